#!/bin/sh
# Every setting that can be written is read by somebody: a row that does nothing would be
# a promise not kept. Run by make check in the build folder.
: "${srcdir:=../..}"
passed=0 failed=0
for name in $(./postern config rows --json |
    tr '{' '\n' | grep -v '"type":"block' | sed -n 's/.*"name":"\([a-z.-]*\)","type".*/\1/p'); do
    last=${name##*.}
    if grep -rqF "\"$name\"" "$srcdir/server" "$srcdir/filters" --include=*.c ||
        { find "$srcdir/policy" -name '*.c' ! -name 'rows*.c' ! -name 'print*.c' -exec cat {} + |
            grep -F -e "\"$last\"" -e "\"$name\"" >/dev/null; }; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL: nobody reads the setting $name"
    fi
done
[ "$passed" -gt 50 ] || failed=$((failed + 1))
echo "settings: $passed passed, $failed failed"
[ "$failed" = 0 ]
