#!/bin/sh
# Lasting state in Debian's redis-server, from a private root: two nodes that share it, and
# what becomes of mail when it is killed, hung, or says no. POSTERN_BUILD names the build.
# Prints "redis: N passed, N failed"; exit 77: no redis-server.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(sh "$here/peers.sh" redis-server) || {
    echo "redis: skipped, there is no redis-server to be had"
    exit 77
}
libs=$(dirname "$(find "$root" -name 'liblzf.so.1' | head -n 1)")
if LD_LIBRARY_PATH=$libs ldd "$root/usr/bin/redis-server" | grep -q "not found"; then
    echo "redis: skipped, libraries that redis-server needs are not installed"
    exit 77
fi
POSTERN_REDIS=$root/usr/bin POSTERN_REDIS_LIBS=$libs exec python3 "$here/redis_check.py"
