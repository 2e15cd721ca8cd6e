#!/bin/sh
# imap.sh [option...]: mailboxes of Postern beside those of Debian's Dovecot (tests/bench/imap.py says
# what is measured). Dovecot is unpacked into a view of this system that ends with the run
# (tests/interop/netroot.sh); the mail lies in a folder of the build, on a disk. Needs root.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
build=$(cd "${POSTERN_BUILD:-$top/build/gcc}" && pwd)
packages="dovecot-core dovecot-imapd dovecot-pop3d dovecot-lmtpd"
ulimit -n "$(ulimit -Hn)"
POSTERN_BUILD=$build exec sh "$top/tests/interop/netroot.sh" "$packages" "$top" "$build" \
    env PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$here/imap.py" --folder "$build" "$@"
