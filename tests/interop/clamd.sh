#!/bin/sh
# mode clamd against Debian's clamd, from a private root, with a signature file of ours.
# POSTERN_BUILD names the build. Prints "clamd: N passed, N failed"; exit 77: no clamd.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(sh "$here/peers.sh" clamav-daemon) || {
    echo "clamd: skipped, there is no clamd to be had"
    exit 77
}
clamd=$root/usr/sbin/clamd
if ldd "$clamd" | grep -q "not found"; then
    echo "clamd: skipped, libraries that clamd needs are not installed"
    exit 77
fi
POSTERN_CLAMD=$clamd exec python3 "$here/clamd_check.py"
