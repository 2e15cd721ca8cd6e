#!/bin/sh
# Mail to and from Debian's Postfix, Exim and OpenSMTPD, and by LMTP into Dovecot, over plain
# connections and TLS. POSTERN_BUILD names the build. Prints "mta: N passed, N failed"; exit 77: a
# peer can't be had, or this is not root.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
build=${POSTERN_BUILD:-$top/build/gcc}
POSTERN_BUILD=$build exec sh "$here/netroot.sh" \
    "postfix exim4-daemon-light opensmtpd dovecot-core dovecot-lmtpd" \
    "$top" "$build" python3 "$here/mta_check.py" "$@"
