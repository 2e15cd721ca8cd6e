#!/bin/sh
# postern dkim: the keys that it makes are what openssl reads, the records are what RFC 6376
# (RSA) and RFC 8463 (Ed25519) say, and mail signed with the one passes by the other, by both
# engines of the dkim plugin where that is built. Run by make check in the build folder.
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
keys=$tmp/keys
mkdir -m 700 "$keys"
passed=0 failed=0

ok() { # LABEL COMMAND...
    label=$1
    shift
    if "$@" >"$tmp/said" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL: $label"
        cat "$tmp/said" "$tmp/err"
    fi
}
# status WANT ARGUMENT...: of ./postern dkim; output in $tmp/out, complaints in $tmp/err.
status() {
    want=$1
    shift
    ./postern dkim "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
    got=$?
    ok "postern dkim $*: status $got, want $want" test "$got" = "$want"
}
# The text of the record in the line for a zone; all of the strings of a record.
text() { sed -n 's/" "//g; s/^[^ ;]* IN TXT "\(.*\)"$/\1/p'; }
longest() { awk '/ IN TXT / { sub(/^[^"]*/, ""); n = split($0, s, "\" \""); for (i = 1; i <= n; i++) { gsub(/"/, "", s[i]); if (length(s[i]) > m) m = length(s[i]) } } END { print m + 0 }'; }
pem() { echo "$keys/$1._domainkey.$2.pem"; }

# Signs with the key, and verifies with the record; then the body is another.
verify() { # SELECTOR ALGORITHM
    printf '%s._domainkey.x.test\t%s\n' "$1" "$(cat "$tmp/text")" >"$tmp/records"
    printf 'From: a@x.test\r\nTo: b@y.test\r\nSubject: s\r\nDate: now\r\n\r\nhello\r\n' |
        tests/bench/dkim_sign "$(pem "$1" x.test)" x.test "$1" relaxed/relaxed >"$tmp/signed"
    sed 's/hello/hallo/' "$tmp/signed" >"$tmp/changed"
    for engine in native libopendkim; do
        tests/conformance/dkim_check -e "$engine" "$tmp/records" "$tmp/signed" "$tmp/changed" \
            >"$tmp/verdicts"
        ok "$engine: $1 passes, a changed body fails" sh -c "cut -f2,6 '$tmp/verdicts' | tr '\n\t' '  ' |
            grep -x 'pass $2-sha256 fail $2-sha256 '"
        cp "$tmp/verdicts" "$tmp/err"
    done
}

for row in rsa-2048:rsa:255 rsa-3072:rsa:255 ed25519:ed25519:66; do
    kind=${row%%:*} k=${row#*:} size=${row##*:}
    k=${k%:*}
    status 0 new --folder "$keys" --selector "s-$kind" --algorithm "$kind" x.test
    cp "$tmp/out" "$tmp/made"
    file=$(pem "s-$kind" x.test)
    ok "$kind: mode 0600" test "$(stat -c %a "$file")" = 600
    ok "$kind: openssl reads it" openssl pkey -in "$file" -check -noout
    ok "$kind: the record's name" grep -q "^s-$kind\._domainkey\.x\.test\. IN TXT \"v=DKIM1; " "$tmp/out"
    ok "$kind: strings of 255" test "$(longest <"$tmp/out")" = "$size"
    ok "$kind: the rest is a comment" test "$(grep -vc '^;' "$tmp/out")" = 1
    text <"$tmp/out" >"$tmp/text"
    ok "$kind: k=" grep -q "^v=DKIM1; k=$k; p=[A-Za-z0-9+/]*=*\$" "$tmp/text"
    sed 's/.*p=//' "$tmp/text" | openssl base64 -d -A >"$tmp/public"
    openssl pkey -in "$file" -pubout -outform DER >"$tmp/info"
    if [ "$k" = ed25519 ]; then # the 32 bytes alone
        tail -c 32 "$tmp/info" >"$tmp/raw" && mv "$tmp/raw" "$tmp/info"
    fi
    ok "$kind: p= is the key" cmp "$tmp/public" "$tmp/info"
    status 0 show --folder "$keys" --selector "s-$kind" X.Test
    ok "$kind: show DOMAIN says the same" cmp "$tmp/out" "$tmp/made"
    status 0 show "$file"
    ok "$kind: show FILE says the same" cmp "$tmp/out" "$tmp/made"
    status 0 show --json "$file"
    ok "$kind: --json" python3 -c 'import json, sys
o = json.load(open(sys.argv[1]))
assert o == {"name": "s-%s._domainkey.x.test" % sys.argv[2], "domain": "x.test", "selector": "s-" + sys.argv[2],
             "algorithm": sys.argv[2], "file": sys.argv[3], "record": open(sys.argv[4]).read().strip()}, o' \
        "$tmp/out" "$kind" "$file" "$tmp/text"
    if [ -x tests/conformance/dkim_check ]; then
        verify "s-$kind" "$k"
    fi
done
status 0 show --folder "$keys" x.test
ok 'show: all three' test "$(grep -c ' IN TXT ' "$tmp/out")" = 3

# A key is never overwritten, and a link at its place not followed.
before=$(cksum <"$(pem s-ed25519 x.test)")
status 1 new --folder "$keys" --selector S-ED25519 --algorithm ed25519 X.TEST
ok 'the older key stays' test "$before" = "$(cksum <"$(pem s-ed25519 x.test)")"
ok 'and it is said' grep -q 'never overwritten' "$tmp/err"
ln -s "$tmp/elsewhere" "$(pem link x.test)"
status 1 new --folder "$keys" --selector link --algorithm ed25519 x.test
ok 'no key elsewhere' test ! -e "$tmp/elsewhere"

# Names: with today's date; U-labels as the DNS has them.
status 0 new --folder "$keys" --algorithm ed25519 bücher.test
ok 'A-labels, a dated selector' grep -q '^ed2[0-9]\{7\}\._domainkey\.xn--bcher-kva\.test\. IN TXT' "$tmp/out"
status 0 show --folder "$keys" BÜCHER.test
for name in '' . .. x..test x/../test 'x test' 'x.test;' -x.test "$(printf 'x.test\nsecond')"; do
    status 2 new --folder "$keys" --algorithm ed25519 "$name"
done
for selector in '' . a_b a/b _domainkey 'a b'; do
    status 2 new --folder "$keys" --algorithm ed25519 --selector "$selector" x.test
done
long=$(printf %060d 0)
status 2 new --folder "$keys" --algorithm ed25519 --selector s "$long.$long.$long.$long.test"
ok 'too long' grep -q 'too long' "$tmp/err"
most=$(printf %057d 0) # with it a file's name has 255 bytes
status 0 new --folder "$keys" --algorithm ed25519 --selector "$most" "$long.$long.$long"
status 0 show --folder "$keys" "$long.$long.$long"
status 2 new --folder "$keys" --algorithm ed25519 --selector "0$most" "$long.$long.$long"

# The folder.
mkdir -m 777 "$tmp/open" && chmod 777 "$tmp/open"
status 1 new --folder "$tmp/open" --algorithm ed25519 x.test
ok 'nothing was written there' test -z "$(ls "$tmp/open")"
status 3 new --folder "$tmp/nowhere" --algorithm ed25519 x.test
status 3 new --folder "$tmp/out" --algorithm ed25519 x.test
status 3 show --folder "$tmp/nowhere" x.test
status 1 show --folder "$keys" none.test
status 1 show --folder "$keys" --selector other x.test

# Whatever the umask is; and what can't be written whole is not there.
mkdir -m 700 "$tmp/mask"
for mask in 0 777; do
    (umask $mask && ./postern dkim new --folder "$tmp/mask" --selector "m$mask" --algorithm ed25519 x.test >/dev/null)
    ok "umask $mask" test "$(stat -c %a "$tmp/mask/m$mask._domainkey.x.test.pem")" = 600
done
(
    trap '' XFSZ
    ulimit -f 0
    ./postern dkim new --folder "$keys" --selector full --algorithm ed25519 x.test >/dev/null 2>&1
)
ok 'a full disk: status 3' test $? = 3
ok 'a full disk: no file' test ! -e "$(pem full x.test)"

# What is no key of DKIM's, and who may read one.
openssl ecparam -name prime256v1 -genkey -noout -out "$(pem ec y.test)"
openssl genrsa -out "$(pem short y.test)" 768 2>/dev/null
openssl genrsa -aes128 -passout pass:secret -out "$(pem locked y.test)" 2048 2>/dev/null
openssl pkey -in "$(pem s-rsa-2048 x.test)" -pubout -out "$(pem public y.test)"
printf 'no key\n' >"$(pem text y.test)"
: >"$(pem empty y.test)"
dd if=/dev/zero of="$(pem large y.test)" bs=65537 count=1 2>/dev/null
mkfifo "$(pem fifo y.test)"
for name in ec short locked public text empty large fifo; do
    status 1 show "$(pem $name y.test)"
    ok "$name: nothing is printed" test ! -s "$tmp/out"
done
mkdir "$(pem folder y.test)"
status 3 show "$(pem folder y.test)"
status 3 show "$(pem nowhere y.test)"
status 2 show "$tmp/key.pem"
openssl genrsa -traditional -out "$(pem old z.test)" 1024 2>/dev/null
chmod 644 "$(pem old z.test)"
status 0 show --folder "$keys" z.test
ok 'PKCS #1 too' grep -q '^; domain z.test, selector old, rsa-1024, ' "$tmp/out"
ok 'readers are told of' grep -q 'others than its owner' "$tmp/err"

echo "dkim: $passed passed, $failed failed"
[ "$failed" = 0 ]
