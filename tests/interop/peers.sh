#!/bin/sh
# Other people's programs for interop tests, without installing any: peers.sh PACKAGE... unpacks
# Debian's packages into a private root ($POSTERN_PEERS, or postern-peers in the user's cache)
# and prints it. Libraries that they need must be there already. Exit 77: no package to be had.
set -eu

peers=${POSTERN_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/postern-peers}
mkdir -p "$peers/packages" "$peers/root"
for package in "$@"; do
    [ -e "$peers/packages/$package.done" ] && continue
    (cd "$peers/packages" && rm -f "${package}"_*.deb && apt-get -q download "$package" >/dev/null 2>&1 &&
        dpkg -x "${package}"_*.deb "$peers/root") || {
        echo "peers: $package can't be fetched" >&2
        exit 77
    }
    : >"$peers/packages/$package.done"
done
echo "$peers/root"
