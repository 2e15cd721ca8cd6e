#!/bin/sh
# plugin_new.sh FILE...: writes the C source of pn_templates (server/cli/plugin_new.h).
set -e
echo '#include "plugin_new.h"'
n=0
for file in "$@"; do
    n=$((n + 1))
    printf 'static const unsigned char text_%s[] = {\n' "$n"
    od -An -v -tx1 "$file" | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'
    echo '};'
done
echo 'const struct pn_template pn_templates[] = {'
n=0
for file in "$@"; do
    n=$((n + 1))
    printf '    {"%s", text_%s, sizeof text_%s},\n' "$(basename "$file")" "$n" "$n"
done
echo '    {NULL, NULL, 0},'
echo '};'
