#!/bin/sh
# embed.sh FILE.conf...: writes the C source of pn_shipped (policy/shipped.h).
set -e
echo '#include "shipped.h"'
for file in "$@"; do
    name=$(basename "$file" .conf)
    printf 'static const unsigned char text_%s[] = {\n' "$name"
    od -An -v -tx1 "$file" | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'
    echo '};'
done
echo 'const struct pn_shipped pn_shipped[] = {'
for file in "$@"; do
    name=$(basename "$file" .conf)
    printf '    {"%s", text_%s, sizeof text_%s},\n' "$name" "$name" "$name"
done
echo '    {NULL, NULL, 0},'
echo '};'
