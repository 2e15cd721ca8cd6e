#!/bin/sh
# postern plugin show of a plugin that tells what it made of its settings. Run by make check in
# the build folder.
passed=0 failed=0
note() { # label, status
    if [ "$2" = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL: $1"
    fi
}
if [ ! -e plugins/rules.so ]; then
    echo "prepared: 0 passed, 0 failed, 1 skipped: no plugin rules"
    exit 0
fi
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
POSTERN_PLUGINS=$PWD/plugins
export POSTERN_PLUGINS
{
    echo 'smtp { hostname "mx.test" }'
    echo 'domain "d.test" { recipients any route smtp 127.0.0.1:2600 }'
} >"$tmp/without"
{
    cat "$tmp/without"
    echo "plugins { rules { default no load \"$tmp/own.cf\" } }"
} >"$tmp/with"
printf 'body A /a/\nbody B /(/\nbody C eval:none()\nrequired_score 5\n' >"$tmp/own.cf"

./postern plugin show rules >"$tmp/out" 2>"$tmp/err"
note "default settings" $?
grep -q '^made of default settings$' "$tmp/out"
note "which settings" $?
grep -Eq '^  patterns +[0-9]+ defined' "$tmp/out"
note "patterns are counted" $?
! grep -q 'left-out-rule' "$tmp/out"
note "of the default set nothing is left out" $?

./postern plugin show --config "$tmp/with" rules >"$tmp/out" 2>"$tmp/err"
note "with a configuration" $?
for line in "left-out-rule +B $tmp/own.cf:2: pattern that PCRE2 refuses: missing closing paren" \
    "left-out-rule +C $tmp/own.cf:3: eval test none is not known here" \
    "left-out-line +$tmp/own.cf:4: required_score 5: a threshold" "body +1 defined, 1 run"; do
    grep -Eq "^  $line" "$tmp/out"
    note "$line" $?
done
./postern plugin show --json -c "$tmp/with" rules | python3 -c '
import json, sys
info = json.load(sys.stdin)["info"]
sys.exit(not any(i["key"] == "left-out-rule" and i["value"].startswith("B ") for i in info))'
note "as JSON" $?

./postern plugin show --config "$tmp/without" rules >"$tmp/out" 2>"$tmp/err"
[ $? = 1 ] && grep -q 'plugin rules is not configured there' "$tmp/err" && [ -s "$tmp/out" ]
note "a configuration that does not load it" $?
./postern plugin show --config "$tmp/none" rules >"$tmp/out" 2>"$tmp/err"
[ $? = 3 ]
note "no configuration there" $?
rm "$tmp/own.cf"
./postern plugin show --config "$tmp/with" rules >"$tmp/out" 2>"$tmp/err"
[ $? = 1 ] && grep -q "own.cf" "$tmp/err"
note "a file that is gone" $?
./postern plugin show ./plugins/rules.so | grep -q '^made of'
note "by its file" $?
./postern plugin show --json spf | grep -q '"info"' && status=1 || status=0
note "a plugin that tells nothing" $status
echo "prepared: $passed passed, $failed failed"
[ "$failed" = 0 ]
