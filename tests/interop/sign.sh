#!/bin/sh
# Our signatures, verified by others: a server signs messages of many shapes with RSA and Ed25519,
# npm's mailauth and Debian's opendkim-testmsg verify what it delivered, as it is and with one byte
# changed. The first is installed, the second unpacked, into private folders ($POSTERN_PEERS, or
# postern-peers in the user's cache). Exit 77: neither is to be had. POSTERN_BUILD names the build.
# Prints a table and "sign: N passed, N failed".
set -eu

here=$(cd "$(dirname "$0")" && pwd)
version=${MAILAUTH_VERSION:-4.13.3}
peers=${POSTERN_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/postern-peers}
modules=$peers/mailauth-$version
export POSTERN_BUILD="${POSTERN_BUILD:-build/gcc}"

if command -v node >/dev/null && command -v npm >/dev/null && [ ! -d "$modules/node_modules/mailauth" ]; then
    mkdir -p "$modules"
    (cd "$modules" && npm install --silent --no-audit --no-fund --ignore-scripts \
        "mailauth@$version" >/dev/null 2>&1) || rm -rf "$modules"
fi
if [ -d "$modules/node_modules/mailauth" ]; then
    export POSTERN_MAILAUTH="$modules/node_modules"
else
    echo "sign: mailauth $version can't be installed"
fi
if root=$(sh "$here/peers.sh" opendkim-tools) && command -v unshare >/dev/null && [ "$(id -u)" = 0 ]; then
    export POSTERN_TESTMSG="$root/usr/sbin/opendkim-testmsg"
else
    echo "sign: opendkim-testmsg can't be had, or not be given a resolver of ours (root)"
fi
[ -n "${POSTERN_MAILAUTH:-}${POSTERN_TESTMSG:-}" ] || exit 77
exec python3 "$here/sign_check.py" "$here/sign_verify.js"
