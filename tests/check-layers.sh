#!/bin/bash
# The order of the layers, as a test: an include that goes the wrong way fails. The
# compiler's include lists say the same; this also sees headers that happen to be found.
set -u
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0

# layer: folders whose headers it may include (its own are always allowed)
declare -A may=(
    [server/base]=""
    [server/event]="server/base"
    [server/message]="server/base"
    [server/ipc]="server/base server/event"
    [server/smtp]="server/base"
    [server/access]="server/base server/message"
    [policy]="server/base filters/include/postern"
    [server/store]="server/base server/message"
    [filters]="server/base server/event server/message server/ipc policy filters/include/postern"
)
common="server/base server/event server/message server/ipc server/smtp server/access server/store policy filters filters/include/postern"
for role in supervisor compile resolver edge queue auth mailbox admin state signer cli; do
    may[server/$role]=$common
done

# The command line edits what the role reads.
may[server/cli]="$common server/auth"

declare -A home # header name -> folder
while IFS= read -r h; do
    name=$(basename "$h")
    if [ -n "${home[$name]:-}" ]; then
        echo "two headers are named $name: ${home[$name]} and $(dirname "$h")"
        failed=$((failed + 1))
    fi
    home[$name]=$(dirname "$h")
done < <(git ls-files 'server/*.h' 'policy/*.h' 'filters/*.h')

for layer in "${!may[@]}"; do
    bad=0
    while IFS=: read -r file inc; do
        from=${home[$inc]:-}
        case $file in $layer/*/*) [ "$layer" = filters ] || [ "$layer" = server/mailbox ] || continue ;; esac
        [ -n "$from" ] || continue
        [ "$from" = "$layer" ] && continue
        case " ${may[$layer]} " in *" $from "*) continue ;; esac
        case $from in "$layer"/*) continue ;; esac
        echo "$file includes $inc of $from: $layer may not"
        bad=1
    done < <(git ls-files "$layer/*.c" "$layer/*.h" | xargs -r grep -HoE '^#include "[^"]+"' | sed -E 's/#include "([^"]+)"/\1/')
    if [ $bad = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done

bad=$(git ls-files 'plugins/*.c' 'plugins/*.h' | while IFS= read -r f; do
    grep -HoE '^#include "[^"]+"' "$f" | sed -E 's/.*"([^"]+)"/\1/' | while IFS= read -r inc; do
        [ -f "$(dirname "$f")/$inc" ] || echo "$f includes $inc: a plugin includes <postern/plugin.h> and its own headers"
    done
done)
if [ -z "$bad" ]; then passed=$((passed + 1)); else
    echo "$bad"
    failed=$((failed + 1))
fi
echo "layers: $passed passed, $failed failed"
[ $failed = 0 ]
