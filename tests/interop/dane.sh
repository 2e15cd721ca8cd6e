#!/bin/sh
# DANE against zones that Debian's ldns signs and its nsd serves: MX, address and TLSA records,
# aliases, unsigned zones, forged and expired records; delivered by the server itself on port 25,
# in a network of its own. POSTERN_BUILD names the build. Prints "dane: N passed, N failed";
# exit 77: there is no nsd, no ldns, or no such network to be had.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(sh "$here/peers.sh" nsd ldnsutils) || {
    echo "dane: skipped, there is no nsd or no ldns to be had"
    exit 77
}
libs=$(dirname "$(find "$root" -name 'libldns.so.3' | head -n 1)")
if LD_LIBRARY_PATH=$libs ldd "$root/usr/sbin/nsd" "$root/usr/bin/ldns-signzone" | grep -q "not found"; then
    echo "dane: skipped, libraries that nsd or ldns need are not installed"
    exit 77
fi
unshare -rn true 2>/dev/null && command -v ip >/dev/null || {
    echo "dane: skipped, no network of its own can be made"
    exit 77
}
POSTERN_DANE_ROOT=$root POSTERN_DANE_LIBS=$libs exec unshare -rn python3 "$here/dane_check.py"
