#!/bin/sh
# Makes proof_zone.h anew, with ldns-keygen and ldns-signzone (Debian: ldnsutils): zones of which
# each name is right or wrong by DNSSEC in one way. The keys are thrown away. Signatures hold
# from 2026 to 2036; proof.c says which day it is.
set -eu
out=$(cd "$(dirname "$0")" && pwd)/proof_zone.h
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
cat >rsa <<'END'
$ORIGIN rsa.proof.postern.
$TTL 3600
@ SOA . . 1 3600 3600 3600 3600
@ NS ns.proof.postern.
@ TXT "as it was signed"
END
cat >top <<'END'
$ORIGIN proof.postern.
$TTL 3600
@ SOA . . 1 3600 3600 3600 3600
@ NS ns.proof.postern.
good TXT "as it was signed"
forged TXT "as it was signed"
bare TXT "as it was signed"
late TXT "as it was signed"
rsa NS ns.proof.postern.
plain NS ns.proof.postern.
END
top=$(ldns-keygen -a ECDSAP256SHA256 -k proof.postern)
rsa=$(ldns-keygen -a RSASHA256 -b 2048 -k rsa.proof.postern)
ldns-signzone -i 20260101000000 -e 20360101000000 -f rsa.signed rsa "$rsa"
cat "$rsa.ds" >>top
ldns-signzone -i 20250101000000 -e 20250201000000 -f top.late top "$top"
ldns-signzone -i 20260101000000 -e 20360101000000 -f top.all top "$top"
grep -v '^late.*RRSIG.TXT\|^bare.*RRSIG.TXT' top.all | sed '/^forged.*TXT.*as it/s/as it was/as it was not/' >top.signed
grep '^late.*RRSIG.TXT' top.late >>top.signed
text() { # NAME FILE
    printf 'static const char %s[] =\n' "$1"
    sed 's/ *;{.*//; s/[[:space:]][[:space:]]*/ /g; s/ $//; s/\\/\\\\/g; s/"/\\"/g; s/.*/    "&\\n"/' "$2"
    printf '    ;\n'
}
{
    echo '/* Made by proof_zone.sh. */'
    echo '/* clang-format off */'
    text proof_anchor "$top.ds"
    text proof_top top.signed
    text proof_rsa rsa.signed
    echo '/* clang-format on */'
} >"$out"
