#!/bin/sh
# deps.sh WORD...: installs those Debian packages of packages.txt that have one of the
# words and are missing, with one apt call. Says what it installs; asks for nothing.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
words=$(printf '%s|' "$@")
missing=
for name in $(awk -v words="${words%|}" '!/^#/ && NF > 1 && $2 ~ ("^(" words ")$") {print $1}' "$here/packages.txt"); do
    status=$(dpkg-query -W -f '${db:Status-Abbrev}' "$name" 2>/dev/null || true)
    case $status in ii*) ;; *) missing="$missing $name" ;; esac
done
[ -n "$missing" ] || exit 0
command -v apt-get >/dev/null || {
    echo "These Debian packages are needed:$missing" >&2
    exit 1
}
sudo=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || {
        echo "Run as root, or have sudo: apt-get install$missing" >&2
        exit 1
    }
    sudo=sudo
fi
echo "Installing libraries and build tools:$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
{
    $sudo apt-get update -qq
    $sudo apt-get install -y -qq --no-install-recommends $missing
} >/tmp/postern-apt.$$ 2>&1 </dev/null || {
    cat /tmp/postern-apt.$$ >&2
    rm -f /tmp/postern-apt.$$
    echo "apt-get could not install:$missing" >&2
    exit 1
}
rm -f /tmp/postern-apt.$$
