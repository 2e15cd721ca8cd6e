#!/bin/sh
# DKIM against another implementation: npm's mailauth signs, `postern scan` verifies; then every
# byte that was signed is changed, one at a time. mailauth is installed into a private folder
# ($POSTERN_PEERS, or postern-peers in the user's cache). Exit 77: there is no node or no registry.
# POSTERN_BUILD names the build. Prints a table and "dkim: N passed, N failed".
set -eu

here=$(cd "$(dirname "$0")" && pwd)
version=${MAILAUTH_VERSION:-4.13.3}
peers=${POSTERN_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/postern-peers}
modules=$peers/mailauth-$version

command -v node >/dev/null && command -v npm >/dev/null || {
    echo "dkim: skipped, there is no node or npm"
    exit 77
}
if [ ! -d "$modules/node_modules/mailauth" ]; then
    mkdir -p "$modules"
    (cd "$modules" && npm install --silent --no-audit --no-fund --ignore-scripts \
        "mailauth@$version" >/dev/null 2>&1) || {
        rm -rf "$modules"
        echo "dkim: skipped, mailauth $version can't be installed"
        exit 77
    }
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
NODE_PATH=$modules/node_modules node "$here/dkim_sign.js" "$work"
python3 "$here/dkim_check.py" "${POSTERN_BUILD:-build/gcc}" "$work"
