#!/bin/sh
# fresh.sh [COMMAND...]: a clean Debian 12 root by debootstrap, a clone of this tree in it, and
# there COMMAND (./.ci/run): what a newcomer's machine would do. Needs root, git, debootstrap.
#
# The mirror, its keys and proxies are those of this machine's apt (or MIRROR=URL). The
# third-party suites are seen there if they lie beside this tree (or SHARED=FOLDER), read-only.
# KEEP=yes leaves the root behind and says where. Mounts and network are its own: ports that
# this machine uses are free there, and nothing but apt-get reaches out.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
[ $# -gt 0 ] || set -- ./.ci/run
[ "$(id -u)" = 0 ] || { echo "fresh.sh: run as root" >&2; exit 1; }
for tool in debootstrap git ip nsenter pivot_root unshare; do
    command -v $tool >/dev/null || { echo "fresh.sh: needs $tool" >&2; exit 1; }
done
shared=${SHARED:-$(cd "$top/.." && pwd)/shared}
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' | awk '$2 == "bookworm" {print $1; exit}')}
[ -n "$mirror" ] || { echo "fresh.sh: apt knows no mirror of bookworm; MIRROR=URL" >&2; exit 1; }

work=$(mktemp -d /var/tmp/postern-fresh.XXXXXX)
root=$work/root
clean() {
    if [ "${KEEP:-no}" = yes ]; then echo "kept: $root"; else rm -rf --one-file-system "$work"; fi
}
trap clean EXIT

echo "A clean Debian 12 in $root"
debootstrap --variant=minbase --include=ca-certificates,git bookworm "$root" "$mirror" >"$work/debootstrap.log" 2>&1 || {
    tail -n 20 "$work/debootstrap.log" >&2
    exit 1
}
# apt's own settings and bookworm's sources; nobody else's repositories.
for file in /etc/apt/apt.conf.d/*; do
    if grep -q '^Acquire::' "$file"; then cp "$file" "$root/etc/apt/apt.conf.d/"; fi
done
if [ -f /etc/apt/sources.list.d/debian.sources ]; then
    rm -f "$root/etc/apt/sources.list"
    cp /etc/apt/sources.list.d/debian.sources "$root/etc/apt/sources.list.d/"
fi
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
git clone -q --no-local "$top" "$root/work/postern"
mkdir -p "$root/work/shared"

# apt-get alone goes by this machine's network: everything else must do with loopback.
cat >"$root/usr/local/sbin/apt-get" <<'SH'
#!/bin/sh
exec nsenter --net=/run/outside /usr/bin/apt-get "$@"
SH
chmod 755 "$root/usr/local/sbin/apt-get"
: >"$root/run/outside"

export root shared
unshare -m --propagation private sh -c '
    set -e
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmp "$root/tmp"
    chmod 1777 "$root/tmp"
    mount --bind /proc/self/ns/net "$root/run/outside"
    if [ -d "$shared" ]; then
        mount --bind "$shared" "$root/work/shared"
        mount -o remount,ro,bind "$root/work/shared"
    fi
    exec unshare -n sh -c "ip link set lo up && exec \"\$@\"" sh "$@"
' sh sh -c '
    set -e
    cd "$root"
    mkdir -p old
    pivot_root . old
    exec chroot . sh -c "umount -l /old && rmdir /old && exec \"\$@\"" sh "$@"
' sh env -i HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
    sh -c 'cd /work/postern && exec "$@"' sh "$@"
