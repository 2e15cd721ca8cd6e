#!/bin/bash
# run.sh BUILD SUITES: third-party cases, read from the folder SUITES. Every
# tests/conformance/run-NAME is called with both and closes with "NAME: N passed, N failed";
# a miss that is named in KNOWN, with the rule that it contradicts, is no failure. What a
# line "note: ..." says is told with it: figures of an engine that stands beside ours.
set -u
build=$1 suites=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "$suites" ] || [ ! -d "$suites" ]; then
    echo "conformance: no suites at '${suites}': nothing run"
    echo "conformance: 0 passed, 0 failed"
    exit 0
fi
passed=0 failed=0
printf '%-12s %8s %8s %8s\n' suite passed failed skipped
for run in "$here"/run-*; do
    name=${run##*/run-}
    log=$build/conformance-$name.log
    "$run" "$build" "$suites" >"$log" 2>&1
    status=$?
    line=$(grep -E "^$name: [0-9]+ passed, [0-9]+ failed" "$log" | tail -n 1)
    p=$(sed -nE 's/.*: ([0-9]+) passed.*/\1/p' <<<"$line")
    f=$(sed -nE 's/.*, ([0-9]+) failed.*/\1/p' <<<"$line")
    s=$(sed -nE 's/.*, ([0-9]+) skipped.*/\1/p' <<<"$line")
    [ -n "$line" ] || f=1
    [ $((${p:-0} + ${f:-0} + ${s:-0})) != 0 ] || { f=1 && echo "no case was found" >>"$log"; }
    [ $status = 0 ] || [ "${f:-0}" != 0 ] || f=1
    printf '%-12s %8s %8s %8s\n' "$name" "${p:-0}" "${f:-0}" "${s:-0}"
    sed -nE 's/^note: /             /p' "$log" | fold -s -w 100
    [ "${f:-0}" = 0 ] || grep -vE "^$name: " "$log" | tail -n 40
    passed=$((passed + ${p:-0})) failed=$((failed + ${f:-0}))
done
echo "conformance: $passed passed, $failed failed"
[ $failed = 0 ]
