#!/bin/sh
# The exit codes of every command of postern, as scripts rely on them: 0 done, 1 the answer
# is no, 2 usage, 3 the server or a file was out of reach. Run by make check in the build
# folder.
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0

# want STATUS ARGUMENT...: the status of ./postern; what is not done is said on stderr.
want() {
    status=$1
    shift
    ./postern "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
    got=$?
    if [ "$got" = "$status" ] && { [ "$got" -lt 2 ] || [ -s "$tmp/err" ]; }; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL: postern $*: status $got, want $status"
        cat "$tmp/out" "$tmp/err"
    fi
}

echo 'listen smtp 127.0.0.1:2525  domain "here.test" { recipients any }' >"$tmp/good.conf"
echo 'limits { nope 1 }' >"$tmp/bad.conf"
printf 'Subject: x\n\nx\n' >"$tmp/x.eml"
echo 'this is no plugin' >"$tmp/text.so"
echo '{"event":"message"}' >"$tmp/events.jsonl"
echo >"$tmp/empty.zone"

want 2
want 0 --help
want 0 help
want 0 --version
want 2 frob
want 2 --frob

for command in check config dkim plugin queue report scan user; do
    want 0 "$command" --help
    want 2 "$command" --frob
done

want 0 check -c "$tmp/good.conf"
want 1 check -c "$tmp/bad.conf"
want 1 check --json -c "$tmp/bad.conf"
want 2 check -c
want 2 check one
want 3 check -c "$tmp/nowhere"
want 3 check -c "$tmp"

want 0 config show -c "$tmp/good.conf"
want 0 config rows
want 1 config show -c "$tmp/bad.conf"
want 2 config
want 2 config frob
want 2 config show rows
want 3 config show -c "$tmp/nowhere"

want 2 dkim
want 2 dkim new
want 2 dkim show
want 2 dkim frob here.test
want 2 dkim new one.test two.test
want 2 dkim new --algorithm rsa-512 --folder "$tmp" here.test
want 2 dkim new --folder "$tmp" nowhere/here.test
want 2 dkim show --algorithm ed25519 --folder "$tmp" here.test
want 2 dkim show --selector s "$tmp/s._domainkey.here.test.pem"
want 2 dkim show "$tmp/x.eml"
want 0 dkim new --algorithm ed25519 --selector s --folder "$tmp" here.test
want 1 dkim new --algorithm ed25519 --selector s --folder "$tmp" here.test
want 0 dkim show --folder "$tmp" here.test
want 0 dkim show --json "$tmp/s._domainkey.here.test.pem"
want 1 dkim show --folder "$tmp" there.test
want 3 dkim show "$tmp/nowhere._domainkey.here.test.pem"
want 3 dkim show --folder "$tmp/nowhere" here.test
want 3 dkim new --folder "$tmp/nowhere" here.test

want 0 plugin list
want 0 plugin list --json
want 1 plugin list --folder "$tmp"
want 1 plugin show --folder "$tmp" text
want 1 plugin show "$tmp/text.so"
want 2 plugin
want 2 plugin show
want 2 plugin show one two
want 2 plugin list one
want 3 plugin list --folder "$tmp/nowhere"
want 3 plugin show nope
want 3 plugin show --json nope
want 3 plugin show "$tmp/nowhere.so"

want 2 queue
want 2 queue frob
want 2 queue show
want 2 queue list one
want 2 queue drop
want 3 queue list --root "$tmp"
want 3 queue list --json --root "$tmp"
want 3 queue show x --socket "$tmp/nowhere"
want 3 queue list --socket "$tmp/x.eml"

want 0 report abuse "$tmp/events.jsonl"
want 0 report abuse --json "$tmp/events.jsonl"
want 2 report
want 2 report frob
want 2 report abuse --since sometime "$tmp/events.jsonl"
want 2 report abuse --since 2026-99-99 "$tmp/events.jsonl"
want 2 report abuse --top 0 "$tmp/events.jsonl"
want 3 report abuse "$tmp/nowhere"
want 3 report abuse "$tmp"
want 3 report abuse --root "$tmp/nowhere"

echo 'not a user' >"$tmp/bad.users"
: >"$tmp/no.users"
want 2 user
want 2 user frob
want 2 user add
want 2 user add nobody
want 2 user add '"a b"@here.test'
want 2 user list one
want 2 user list --stdin
want 0 user list --file "$tmp/no.users"
want 1 user show u@here.test --file "$tmp/no.users"
want 1 user del u@here.test --file "$tmp/no.users"
want 1 user passwd u@here.test --stdin --file "$tmp/no.users"
want 1 user add u@here.test --stdin --file "$tmp/no.users"
want 1 user verify u@here.test --stdin --file "$tmp/no.users"
want 3 user list --file "$tmp/bad.users"
want 3 user list --file "$tmp/nowhere"
want 3 user list --file "$tmp"
want 3 user add u@here.test --stdin --file "$tmp/bad.users"
want 3 user del u@here.test --file "$tmp/nowhere"

who="--ip 192.0.2.1 --helo h --from a@b.test --rcpt u@here.test"
# shellcheck disable=SC2086
{
    want 2 scan
    want 2 scan "$tmp/x.eml"
    want 2 scan --ip nonsense "$tmp/x.eml"
    want 2 scan $who --time never "$tmp/x.eml"
    want 2 scan $who --port 65536 "$tmp/x.eml"
    want 3 scan -c "$tmp/nowhere" $who "$tmp/x.eml"
    want 3 scan -c "$tmp/good.conf" --dns "$tmp/empty.zone" $who "$tmp/nowhere"
    want 3 scan -c "$tmp/good.conf" --dns "$tmp/nowhere" $who "$tmp/x.eml"
    want 3 scan -c "$tmp/good.conf" --batch "$tmp/nowhere"
    want 3 scan -c "$tmp/good.conf" --dns "$tmp/empty.zone" --state "$tmp/nowhere" $who "$tmp/x.eml"
    want 3 scan -c "$tmp/good.conf" --dns "$tmp/empty.zone" --state "$tmp/x.eml" $who "$tmp/x.eml"
    want 0 scan -c "$tmp/good.conf" --dns "$tmp/empty.zone" $who "$tmp/x.eml"
}

echo "exits: $passed passed, $failed failed"
[ "$failed" = 0 ]
