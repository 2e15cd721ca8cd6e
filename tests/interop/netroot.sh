#!/bin/sh
# A place of its own for servers that must think they were installed: netroot.sh "PACKAGES" TOP
# BUILD COMMAND... unpacks Debian's packages over a view of this system (an overlay, gone at the
# end) and runs COMMAND there, in mount, network and process namespaces of its own: every port is
# free, nothing reaches out, and what it started ends with it. Addresses 192.0.2.1 to .20 are on lo.
# Exit 77: no root, no packages, or a kernel without overlays.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
packages=$1 top=$2 build=$3
shift 3
[ "$(id -u)" = 0 ] || { echo "netroot: needs root" >&2; exit 77; }
# shellcheck disable=SC2086
sh "$here/peers.sh" $packages >/dev/null || exit 77
debs=${POSTERN_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/postern-peers}/packages
packages=$(cd "$debs" && for p in $packages; do cat "$p.with"; done | sort -u)
place=$(mktemp -d /tmp/postern-netroot-XXXXXX)
trap 'rmdir "$place" 2>/dev/null || :' EXIT

# What follows runs within the namespaces.
inside='
set -eu
mount --make-rprivate /
mount -t tmpfs netroot "$PLACE"
mkdir -p "$PLACE/up" "$PLACE/work" "$PLACE/root"
for p in $PACKAGES; do dpkg-deb -x "$DEBS/${p}"_*.deb "$PLACE/up"; done
for d in bin sbin lib; do # this system has them as links into /usr
    [ ! -d "$PLACE/up/$d" ] || { mkdir -p "$PLACE/up/usr/$d"; cp -a "$PLACE/up/$d/." "$PLACE/up/usr/$d/"; rm -rf "$PLACE/up/$d"; }
done
mount -t overlay netroot -o "lowerdir=/,upperdir=$PLACE/up,workdir=$PLACE/work" "$PLACE/root" || exit 77
mount -t proc proc "$PLACE/root/proc"
mount --rbind /dev "$PLACE/root/dev"
mount -t tmpfs tmp "$PLACE/root/tmp" -o mode=1777
mount -t tmpfs run "$PLACE/root/run"
for d in "$TOP" "$BUILD"; do mkdir -p "$PLACE/root$d"; mount --bind "$d" "$PLACE/root$d"; done
ip link set lo up
for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do ip addr add "192.0.2.$n/32" dev lo; done
rm -f "$PLACE/root/etc/resolv.conf" "$PLACE/root/etc/hosts"
echo "127.0.0.1 localhost $(hostname)" >"$PLACE/root/etc/hosts"
echo "nameserver 127.0.0.1" >"$PLACE/root/etc/resolv.conf"
cd "$PLACE/root"
exec chroot "$PLACE/root" "$@"
'
status=0
PLACE=$place PACKAGES=$packages TOP=$top BUILD=$build DEBS=$debs \
    unshare -m -n -p --fork --kill-child sh -c "$inside" netroot "$@" || status=$?
exit $status
