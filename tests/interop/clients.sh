#!/bin/sh
# Mailboxes read and written by other people's mail programs, over plain connections of loopback and
# TLS, from the start and by STARTTLS: mbsync, offlineimap3, mutt (in tmux), curl, fetchmail, mpop, Python and npm's imapflow.
# clients.sh [--dovecot] [NAME...]: --dovecot tries the suite itself, on Debian's Dovecot.
# POSTERN_BUILD names the build. Prints "clients: N passed, N failed"; exit 77: a client can't be
# had, or this is not root.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
build=${POSTERN_BUILD:-$top/build/gcc}
version=${IMAPFLOW_VERSION:-2.10.2}
peers=${POSTERN_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/postern-peers}
flow=$peers/imapflow-$version

if command -v npm >/dev/null && [ ! -d "$flow/node_modules/imapflow" ]; then
    mkdir -p "$flow"
    (cd "$flow" && npm install --silent --no-audit --no-fund --ignore-scripts "imapflow@$version" >/dev/null 2>&1) ||
        rm -rf "$flow"
fi
case " $* " in
*" --dovecot "*) server="dovecot-core dovecot-imapd dovecot-pop3d dovecot-lmtpd" ;;
*) server= ;;
esac
POSTERN_BUILD=$build exec sh "$here/netroot.sh" \
    "$server isync offlineimap3 mutt fetchmail mpop" \
    "$top" "$build" env PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin NODE_PATH="$flow/node_modules" PYTHONDONTWRITEBYTECODE=1 \
    /usr/bin/python3 "$here/mail_clients.py" "$@"
