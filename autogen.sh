#!/bin/sh
# Makes ./configure and what belongs to it.
set -e
cd "$(dirname "$0")"
mkdir -p contrib/build-aux contrib/m4
exec autoreconf --install --warnings=all
