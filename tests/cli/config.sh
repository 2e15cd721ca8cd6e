#!/bin/sh
# postern check and postern config: exit codes and what they print. Run by make check in
# the build folder.
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0

# expect STATUS PATTERN COMMAND...: the status, and a line of output that matches.
expect() {
    want=$1 pattern=$2
    shift 2
    "$@" >"$tmp/out" 2>&1
    got=$?
    if [ "$got" = "$want" ] && grep -q -e "$pattern" "$tmp/out"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL: $*: status $got, want $want; output, want a line like '$pattern':"
        cat "$tmp/out"
    fi
}

cat >"$tmp/good.conf" <<CONF
listen smtp 127.0.0.1:2525
include "postern:default"
domain "here.test" { recipients any  junk at 3 }
CONF
echo 'limits { mesage-size 3k }' >"$tmp/bad.conf"
echo 'plugins { nosuch }' >"$tmp/plugin.conf"

expect 0 'listeners 1, domains 1' ./postern check -c "$tmp/good.conf"
expect 0 '"good":true' ./postern check --json -c "$tmp/good.conf"
expect 1 "bad.conf:1:10: unknown setting 'mesage-size', did you mean 'message-size'?" \
    ./postern check -c "$tmp/bad.conf"
expect 1 '^    limits { mesage-size 3k }$' ./postern check -c "$tmp/bad.conf"
expect 1 '"good":false' ./postern check --json -c "$tmp/bad.conf"
expect 1 'plugin.conf:1:11: .*nosuch.so: No such file' ./postern check -c "$tmp/plugin.conf"
if [ -e plugins/greylist.so ]; then # refused by the plugin itself, and said once
    printf 'folders { plugins "%s/plugins" }\nplugins { greylist { skip-domain "a b" } }\n' \
        "$PWD" >"$tmp/refused.conf"
    expect 1 'refused.conf:2:34: expected a domain' ./postern check -c "$tmp/refused.conf"
    expect 0 '^1$' echo "$(grep -c 'expected a domain' "$tmp/out")"
fi
expect 3 'nowhere.conf: No such file' ./postern check -c "$tmp/nowhere.conf"
expect 2 '^usage: postern check' ./postern check --what
expect 0 '^usage: postern check' ./postern check --help

# What the queue can't be asked is usage, said without a server.
expect 2 '^usage: postern queue' ./postern queue bogus
expect 2 '^usage: postern queue' ./postern queue show
expect 2 '^usage: postern queue' ./postern queue show one two
expect 2 '^usage: postern queue' ./postern queue show --held ''
expect 2 '^usage: postern queue' ./postern queue release --held
expect 2 '^usage: postern queue' ./postern queue list one
expect 3 'no server answers' ./postern queue drop one --root "$tmp"
expect 0 'junk at 3  *# good.conf:3:' ./postern config show -c "$tmp/good.conf"
expect 0 'message-size 50m  *# default' ./postern config show --all -c "$tmp/good.conf"
expect 1 'unknown setting' ./postern config show -c "$tmp/bad.conf"
expect 0 '^limits.message-size  *size  *default 50m' ./postern config rows
expect 0 '"name":"limits.message-size"' ./postern config rows --json
expect 2 '^usage: postern config' ./postern config
expect 2 '^usage: postern plugin' ./postern plugin
expect 3 'nowhere: No such file' ./postern plugin list --folder "$tmp/nowhere"
expect 0 '^beside them  prefetch tick' ./postern plugin show --folder plugins dnsbl
expect 3 'nosuch.so: No such file' ./postern plugin show --folder "$tmp" nosuch
expect 0 '^$' sh -c "./postern plugin list --folder '$tmp'; echo"

# What only the plugin can know of its settings.
printf 'plugins {\n  dnsbl { zone "x.test" {\n    code 10.0.0.1 weight 3 } } }\n' >"$tmp/dnsbl.conf"
expect 1 'dnsbl.conf:3:5: a code is an address' ./postern check -c "$tmp/dnsbl.conf"
expect 1 '"good":false.*dnsbl.conf:3:5: a code' ./postern check --json -c "$tmp/dnsbl.conf"
expect 0 '^plugins: dnsbl$' ./postern check --quick -c "$tmp/dnsbl.conf"
printf 'body X /(/\n' >"$tmp/x.cf"
echo "plugins { spf rules { load \"$tmp/x.cf\" } }" >"$tmp/rules.conf"
expect 0 'PCRE2 refuses: .* (first .*x.cf:1)' ./postern check -c "$tmp/rules.conf"

# A plugin that crashes or ends its process while it is loaded is named, and takes nobody along.
here=$(pwd)
broken() { # VARIANT PATTERN COMMAND...
    printf 'plugins { broken { file "%s/tests/plugins/broken_%s.so" } }\n' "$here" "$1" >"$tmp/broken.conf"
    pattern=$2
    shift 2
    expect 1 "$pattern" ./postern "$@"
}
broken load 'broken.conf:1:11: .*/broken_load.so: died of signal 6 (SIGABRT) while it was loaded' \
    check -c "$tmp/broken.conf"
broken load '"good":false.*broken_load.so: died of signal 6' check --json -c "$tmp/broken.conf"
broken load 'broken_load.so: died of signal 6' config show -c "$tmp/broken.conf"
broken segv 'broken_segv.so: died of signal 11 (SIGSEGV)' check -c "$tmp/broken.conf"
broken exit 'broken_exit.so: ended its process (exit status 0)' check -c "$tmp/broken.conf"
broken abi 'broken_abi.so: built for plugin ABI' check -c "$tmp/broken.conf"
expect 1 'broken_segv.so: died of signal 11' ./postern plugin show "$here/tests/plugins/broken_segv.so"
broken segv ' signal 11 ' config show -c "$tmp/broken.conf"
expect 3 'broken_segv.so: died of signal 11' ./postern scan -c "$tmp/broken.conf" --ip 192.0.2.1 \
    --rcpt a@b.test "$tmp/good.conf"
mkdir "$tmp/plugins"
cp plugins/spf.so tests/plugins/broken_segv.so "$tmp/plugins"
expect 1 '^spf ' ./postern plugin list --folder "$tmp/plugins"
# More results than a message may have would fail the plugin on whatever brings them.
echo 'plugins { dkim { max-signatures 51 } }' >"$tmp/dkim.conf"
expect 1 'number from 1 to 50' ./postern check -c "$tmp/dkim.conf"

# The log, and what it was rotated to, as far back as is asked for.
mkdir "$tmp/log"
for name in events.jsonl events.jsonl.1 events.jsonl.2; do
    echo '{"ts":"2026-11-22T10:00:00.000Z","event":"message","outcome":"junk","client":{},"envelope":{"from":"a@b.test"}}' \
        >"$tmp/log/$name"
done
expect 0 '^3 messages' ./postern report abuse --root "$tmp"
touch -d '2026-11-20 UTC' "$tmp/log/events.jsonl.2"
touch -d '2026-11-22 10:00:00 UTC' "$tmp/log/events.jsonl.1"
expect 0 '^2 messages' ./postern report abuse --root "$tmp" --since 2026-11-22
expect 0 '^2 messages' ./postern report abuse --root "$tmp" --since 2026-11-22T10:00:00
expect 0 '^No message' ./postern report abuse --root "$tmp" --since 2026-11-22T10:00:01
expect 0 '"messages":3' ./postern report abuse --json --root "$tmp"
expect 3 'no server answers' ./postern queue list --root "$tmp"

# What can't be written was not done; what is asked wrongly is usage.
expect 3 'standard output could not be written' sh -c "./postern report abuse --root '$tmp' >/dev/full"
expect 2 "'spf=pas'" ./postern scan --auth 'spf=pas' --ip 192.0.2.1 --rcpt a@b.test "$tmp/good.conf"
expect 2 'no plugin is called arc' ./postern scan --plugins '' --auth 'arc=pass' --ip 192.0.2.1 --rcpt a@b.test "$tmp/good.conf"
expect 2 "'nope' is not configured" ./postern scan --plugins nope --ip 192.0.2.1 --rcpt a@b.test "$tmp/good.conf"
expect 2 'no command is called frob' ./postern frob

echo "config: $passed passed, $failed failed"
[ "$failed" = 0 ]
