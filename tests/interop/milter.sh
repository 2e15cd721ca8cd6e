#!/bin/sh
# The plugin milter against Debian's opendkim, clamav-milter and rspamd (its milter worker), from a
# private root, over TCP and UNIX sockets. POSTERN_BUILD names the build. Prints
# "milter: N passed, N failed"; exit 77: none of them to be had.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(sh "$here/peers.sh" opendkim clamav-daemon clamav-milter rspamd) || {
    echo "milter: skipped, there are no milters to be had"
    exit 77
}
libraries=$root/usr/lib/$(gcc -print-multiarch 2>/dev/null || echo x86_64-linux-gnu):$root/usr/lib/rspamd:$root/usr/lib
for program in usr/sbin/opendkim usr/sbin/clamav-milter usr/sbin/clamd usr/bin/rspamd; do
    if LD_LIBRARY_PATH=$libraries ldd "$root/$program" | grep -q "not found"; then
        echo "milter: skipped, libraries that $program needs are not installed"
        exit 77
    fi
done
POSTERN_MILTER_ROOT=$root POSTERN_MILTER_LIBRARIES=$libraries exec python3 "$here/milter_check.py"
