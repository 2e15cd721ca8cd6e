#!/bin/sh
# Every function of struct postern_host stands in exactly one manual page, with the arguments
# that it has, and no page tells of one that is not there.
top=$(cd "$(dirname "$0")/../.." && pwd)
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0

# type name(argument,argument) a line, blanks out.
python3 - "$top/filters/include/postern/plugin.h" >"$tmp/header" <<'CODE'
import re, sys
text = open(sys.argv[1], encoding="utf-8").read()
table = re.search(r"struct postern_host \{\n(.*?)\n\};", text, re.S).group(1)
table = re.sub(r"/\*.*?\*/", "", table, flags=re.S)
for kind, name, args in re.findall(r"([^;]*)\(\*(\w+)\)\(([^;]*)\);", table):
    kind = kind.split(";")[-1]
    print(re.sub(r"\s+", "", f"{kind}:{name}({args})"))
CODE
cat "$top"/contrib/man/postern-plugin-*.3 | awk '
    /^\.Ft / { sub(/^\.Ft /, ""); gsub(/"/, ""); type = $0 }
    /^\.Fo / { line = type ":" $2 "(" ; comma = ""; open = 1 }
    open && /^\.Fa / { sub(/^\.Fa /, ""); gsub(/"/, ""); line = line comma $0; comma = "," }
    /^\.Fc/ { gsub(/[ \t]/, "", line); print line ")"; open = 0 }' >"$tmp/pages"
while read -r prototype; do
    if [ "$(grep -cxF "$prototype" "$tmp/pages")" = 1 ]; then
        passed=$((passed + 1))
    else
        echo "FAIL $prototype: not once in contrib/man/postern-plugin-*.3"
        failed=$((failed + 1))
    fi
done <"$tmp/header"
while read -r prototype; do
    grep -qxF "$prototype" "$tmp/header" && continue
    echo "FAIL $prototype: in a page, but no function of the host"
    failed=$((failed + 1))
done <"$tmp/pages"
# What a page declares it names, tells of, and the overview leads to it.
for page in "$top"/contrib/man/postern-plugin-*.3; do
    for name in $(sed -n 's/^\.Fo //p' "$page"); do
        if grep -q "^\.Nm $name\( ,\)*$" "$page" && grep -q "^\.Fn $name\>" "$page"; then
            passed=$((passed + 1))
        else
            echo "FAIL $(basename "$page") does not tell of $name"
            failed=$((failed + 1))
        fi
    done
    if grep -q "^\.Xr $(basename "$page" .3) 3" "$top/contrib/man/postern-plugin.3"; then
        passed=$((passed + 1))
    else
        echo "FAIL postern-plugin.3 does not lead to $(basename "$page")"
        failed=$((failed + 1))
    fi
done
# Each word of replay scripts has its item.
for word in $(sed -n 's/.*\[RPL_[A-Z_]*\] = {"\([^"]*\)", .*\[RPL_[A-Z_]*\] = {"\([^"]*\)", .*/\1 \2/p' "$top/server/cli/rpl.c"); do
    if grep -qF ".It Ic $word" "$top/contrib/man/postern-replay.5"; then
        passed=$((passed + 1))
    else
        echo "FAIL postern-replay.5 does not tell of $word"
        failed=$((failed + 1))
    fi
done
echo "man: $passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
