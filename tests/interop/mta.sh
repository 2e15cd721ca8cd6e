#!/bin/sh
# Mail to and from Debian's Postfix, Exim and OpenSMTPD, and by LMTP into Dovecot, over plain
# connections and TLS. POSTERN_BUILD names the build. Prints "mta: N passed, N failed"; exit 77: a
# peer can't be had, or this is not root.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
build=${POSTERN_BUILD:-$top/build/gcc}
POSTERN_BUILD=$build exec sh "$here/netroot.sh" \
    "postfix libnsl2 libdb5.3 libicu72 libsasl2-2 libtirpc3 exim4-base exim4-daemon-light libgnutls-dane0 libunbound8 opensmtpd dovecot-core dovecot-lmtpd libexttextcat-2.0-0 libstemmer0d libsodium23 libwrap0 libapparmor1 libunwind8 liblua5.4-0" \
    "$top" "$build" python3 "$here/mta_check.py" "$@"
