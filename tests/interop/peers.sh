#!/bin/sh
# Other people's programs for interop tests, without installing any: peers.sh PACKAGE... unpacks
# Debian's packages, and what they need and this system has not, into a private root
# ($POSTERN_PEERS, or postern-peers in the user's cache) and prints it. The names of what belongs to
# a package are left in packages/PACKAGE.with. Exit 77: no package to be had.
set -eu

peers=${POSTERN_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/postern-peers}
mkdir -p "$peers/packages" "$peers/root"
cd "$peers/packages"

# needs PACKAGE: it, and what apt would install with it; no newer version of what is there.
needs() {
    echo "$1"
    apt-get -s -qq --no-install-recommends install "$1" 2>/dev/null |
        awk -v package="$1" '$1 == "Inst" && $3 !~ /^\[/ && $2 != package {print $2}'
}

for package in "$@"; do
    [ ! -e "$package.with" ] || continue
    needs "$package" >"$package.new"
    while read -r name; do
        set -- "${name}"_*.deb
        { [ -e "$1" ] || apt-get -q download "$name" >/dev/null 2>&1; } && dpkg -x "${name}"_*.deb "$peers/root" || {
            echo "peers: $name can't be fetched" >&2
            exit 77
        }
    done <"$package.new"
    mv "$package.new" "$package.with"
done
echo "$peers/root"
