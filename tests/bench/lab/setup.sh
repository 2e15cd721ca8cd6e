#!/bin/bash
# setup.sh BUILD: Postern in the lab of ../shared/bench, from that build folder.
set -eu
build=$(cd "$1" && pwd)
lab=${BENCH_WORK:-${XDG_CACHE_HOME:-$HOME/.cache}/postern-bench}
common='
listen smtp 127.0.0.1:2525 { proxy from 127.0.0.0/8 }
smtp { hostname "mx.dest.test" }
limits { exempt 0.0.0.0/0  sessions 60000  messages-in-flight 20000 }
'
plugins='
resolver { forward 127.53.0.53:53 }
plugins { spf  dkim  dmarc  rules  dnsbl { zone "dnsbl.test" { code 127.0.0.2 weight 4 } } }
'
# tags and never rejects: the peers only warn, too
domain='
domain "dest.test" { recipients any  route smtp 127.0.0.1:2600  junk at 6 }
'
mkdir -p "$lab/conf/postern"
printf '%s' "$common$plugins$domain" >"$lab/conf/postern/full.conf"
printf '%s' "$common$domain" >"$lab/conf/postern/plain.conf"
cat >"$lab/peers.local.sh" <<PEERS
postern_up() { rm -rf "$lab/run/\$1"; mkdir -p "$lab/run/\$1"; cgbg \$1 env POSTERN_PLUGINS="$build/plugins" "$build/posternd" -c "$lab/conf/postern/\$2.conf" --root "$lab/run/\$1" --no-drop; waitport 2525; sleep 1; }
peer_postern()       { case \$1 in port) echo 2525;; opts) echo -X;; start) postern_up postern full;; stop) cgkill postern;; esac; }
peer_postern_plain() { case \$1 in port) echo 2525;; opts) echo -X;; start) postern_up postern_plain plain;; stop) cgkill postern_plain;; esac; }
PEERS
echo "Postern of $build is in $lab"
