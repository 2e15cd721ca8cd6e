#!/bin/sh
# build.sh FOLDER CC CFLAGS [configure option...]: configures (once, and again when the
# options change) and builds in build/FOLDER. Quiet unless something goes wrong.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
folder=$top/build/$1 cc=$2 cflags=$3
shift 3
cd "$top"
if [ ! -x configure ] || [ configure.ac -nt configure ] || [ Makefile.am -nt Makefile.in ]; then
    ./autogen.sh >/dev/null 2>build.log || { cat build.log >&2; exit 1; }
    rm -f build.log
fi
command -v ccache >/dev/null && cc="ccache $cc"
mkdir -p "$folder"
cd "$folder"
want="$cc|$cflags|$*"
if [ ! -f Makefile ] || [ "$(cat .options 2>/dev/null)" != "$want" ]; then
    ../../configure -q CC="$cc" CFLAGS="$cflags" "$@"
    printf '%s\n' "$want" >.options
fi
jobs=$(nproc)
make -s -j"$jobs" all >make.log 2>&1 || { tail -n 60 make.log >&2; exit 1; }
