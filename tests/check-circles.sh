#!/bin/sh
# Files of the runner (filters/runner_int.h names them in order) call only those that stand
# before them: read from the symbols of the built library. Run by make check in the build
# folder.
order='remote ledger request_of case ask check_run check replay answer runner'
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0

# names LETTERS FILE: its symbols of these kinds.
names() {
    nm "filters/libfilters_a-$2.o" 2>/dev/null | awk -v k="$1" 'index(k, $(NF - 1)) { print $NF }' | sort -u
}

for file in $order; do
    names T "$file" >"$tmp/has.$file"
    names U "$file" >"$tmp/asks.$file"
    [ -s "$tmp/has.$file" ] || { echo "FAIL: no symbols of $file"; failed=$((failed + 1)); }
done
before=
for file in $order; do
    for other in $order; do
        case " $before $file " in *" $other "*) continue ;; esac
        up=$(comm -12 "$tmp/asks.$file" "$tmp/has.$other" | tr '\n' ' ')
        if [ -z "$up" ]; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
            echo "FAIL: $file.c calls $other.c, which stands behind it: $up"
        fi
    done
    before="$before $file"
done
echo "circles: $passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" = 45 ]
