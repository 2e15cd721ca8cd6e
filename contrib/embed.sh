#!/bin/sh
# embed.sh HEADER ARRAY FILE...: writes the C source of a list of files (server/base/embedded.h)
# that HEADER declares. A file's name is its own, without folders and without .conf.
set -e
header=$1 array=$2
shift 2
printf '#include "%s"\n' "$header"
n=0
for file in "$@"; do
    n=$((n + 1))
    printf 'static const unsigned char text_%s[] = {\n' "$n"
    od -An -v -tx1 "$file" | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'
    echo '};'
done
printf 'const struct pn_embedded %s[] = {\n' "$array"
n=0
for file in "$@"; do
    n=$((n + 1))
    printf '    {"%s", text_%s, sizeof text_%s},\n' "$(basename "$file" .conf)" "$n" "$n"
done
echo '    {NULL, NULL, 0},'
echo '};'
