#!/bin/bash
# valgrind.sh BUILD PROGRAM...: every unit program and every replay script under memcheck,
# with all the processes that they start. An invalid access, a use of what was never set or
# a definite leak in any of them fails, and so does the test if it fails there.
#
# Run by `make valgrind [JOBS=2]` in a build folder without sanitizers. What valgrind can't
# follow is left out and named behind the table. Closes with "N passed, N failed".
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$1
shift
"$here/../contrib/deps.sh" valgrind || exit 1
export POSTERN_BUILD=$build POSTERN_PATIENCE=20 TESTS=$here
export LOGS=$build/valgrind POSTERN_LEFT_OUT=$build/valgrind/left-out
rm -rf "$LOGS"
mkdir -p "$LOGS"
: >"$POSTERN_LEFT_OUT"
chmod 666 "$POSTERN_LEFT_OUT" # of processes that dropped to another user, too

# said ITEM: what memcheck said of its processes. Children that nobody asks for their exit
# status say it here. One plugin crashes on purpose.
said() {
    local logs
    mapfile -t logs < <(find "$LOGS" -name "$1.[0-9]*" -print0 | xargs -0r grep -L '(trouble\.c:')
    [ ${#logs[@]} = 0 ] || grep -h '^==' "${logs[@]}"
}
export -f said

# one ITEM: a program below BUILD, or a script below tests.
one() {
    local item=$1 name log start=$SECONDS status
    name=$(basename "${item%.*}") log=$LOGS/$(basename "$item")
    local under=(env "LD_PRELOAD=$POSTERN_BUILD/tests/lib/unjailed.so" valgrind -q --vgdb=no
        --trace-children=yes --error-exitcode=99 --leak-check=full --num-callers=30
        --errors-for-leak-kinds=definite --show-leak-kinds=definite
        --suppressions="$TESTS/valgrind.supp" --log-file="$log.%p")
    export POSTERN_WRAP="${under[*]}"
    local run=("${under[@]}" "./$item")
    case $item in
    *.rpl) run=(python3 "$TESTS/replay/play.py" "$TESTS/$item") ;;
    *.py) run=(python3 "$TESTS/$item") ;;
    esac
    cd "$POSTERN_BUILD" || return 1
    timeout -k 5 900 "${run[@]}" </dev/null >"$log.out" 2>&1
    status=$?
    said "$(basename "$item")" >"$log.said"
    if [ $status = 0 ] && [ ! -s "$log.said" ]; then
        echo "ok   $name, $((SECONDS - start)) s"
        return 0
    fi
    echo "FAIL $name: exit status $status, $((SECONDS - start)) s"
    tail -n 40 "$log.out"
    head -n 60 "$log.said"
    return 1
}
export -f one

items=("$@")
for script in "$here"/replay/*.rpl "$here"/replay/test_*.py; do
    items+=("replay/$(basename "$script")")
done
printf '%s\n' "${items[@]}" | xargs -P "${JOBS:-2}" -I{} nice -n 10 bash -c 'one {}' | tee "$LOGS/table"

echo
echo "Left out, as valgrind can't follow it:"
echo "  the seccomp filter, which would end valgrind's own system calls, of $(wc -l <"$POSTERN_LEFT_OUT") processes:"
sed -E 's/[-.0-9]+$//' "$POSTERN_LEFT_OUT" | sort | uniq -c | awk '{printf "%s %s %s", NR == 1 ? "   " : ",", $2, $1} END {print ""}'
echo "  system calls that it answers with ENOSYS, so that what stands in for them ran (444 to 446 are Landlock's):"
cat "$LOGS"/*.[0-9]* 2>/dev/null | sed -nE 's/.*unhandled [a-z0-9-]+ syscall: ([0-9]+).*/\1/p' | sort -n | uniq -c |
    awk '{printf "%s %s (%s times)", NR == 1 ? "   " : ",", $2, $1} END {print ""}'
echo "  what tests/plugins/trouble.c does to itself on purpose, in $(grep -l '(trouble\.c:' "$LOGS"/*.[0-9]* 2>/dev/null | wc -l) processes"
for out in "$LOGS"/*.out; do
    sed -nE "s|^skipped: (.*)|  in $(basename "$out" .out): \1|p" "$out"
done
echo "These are tested without valgrind: make check, tests/faults/test_jail.py."
passed=$(grep -c '^ok ' "$LOGS/table")
failed=$((${#items[@]} - passed))
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ "$passed" != 0 ]
