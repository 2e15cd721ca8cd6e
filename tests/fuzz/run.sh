#!/bin/bash
# run.sh SECONDS [target...]: runs the libFuzzer targets of build/fuzz, the time divided
# between them, from the seeds in tests/fuzz/corpus; with EACH=SECONDS every target has that
# time to itself. JOBS at a time (default: the processors). What is found is kept in
# build/fuzz/found. A row a target: executions, edges and features reached, inputs kept,
# findings. Closes with "fuzz: N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 1
time=${1:-60}
shift || true
./contrib/build.sh fuzz clang "-O1 -g" --enable-fuzz --enable-sanitize || { echo "fuzz: 0 passed, 1 failed"; exit 1; }
cd build/fuzz || exit 1
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(find tests/fuzz -maxdepth 1 -type f -name 'fuzz_*' -perm -u+x -printf '%f\n' | sort)
jobs=${JOBS:-$(nproc)}
each=${EACH:-$((time * jobs / (${#targets[@]} > 0 ? ${#targets[@]} : 1)))}
[ "$each" -gt 0 ] || each=1
mkdir -p found
row='%-20s %12s %7s %9s %7s %9s\n'
export row
# Inputs beside the numbers, since a target that rejects all it sees keeps few.
one() {
    local t=$1 name=${1#fuzz_} dict=() seeds=../../tests/fuzz/corpus/${1#fuzz_} stamp status runs last findings
    mkdir -p "corpus/$name"
    [ -f "../../tests/fuzz/$name.dict" ] && dict=(-dict="../../tests/fuzz/$name.dict")
    [ -d "$seeds" ] || seeds=
    stamp=$(mktemp)
    # shellcheck disable=SC2086
    "tests/fuzz/$t" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="found/$name-" "${dict[@]}" "corpus/$name" $seeds >"$t.log" 2>&1
    status=$?
    runs=$(sed -nE 's/^stat::number_of_executed_units: *//p' "$t.log")
    last=$(grep -aoE 'cov: [0-9]+ ft: [0-9]+ corp: [0-9]+' "$t.log" | tail -n 1)
    findings=$(find found -name "$name-*" -newer "$stamp" | wc -l)
    rm -f "$stamp"
    [ $status = 0 ] || [ "$findings" != 0 ] || findings=1
    # shellcheck disable=SC2059,SC2086
    set -- $last
    # shellcheck disable=SC2059
    printf "$row" "$name" "${runs:-0}" "${2:-0}" "${4:-0}" "${6:-0}" "$findings"
    [ $status = 0 ] || { tail -n 30 "$t.log" && echo "$t: FAILED, see build/fuzz/$t.log"; }
    return $status
}
export -f one
echo "${#targets[@]} targets, $each s each, $jobs at a time"
# shellcheck disable=SC2059
printf "$row" target executions edges features inputs findings
printf '%s\n' "${targets[@]}" | xargs -r -P "$jobs" -I{} bash -c "one {} $each || echo {} >>found/.failed-$$"
failed=0
[ -f "found/.failed-$$" ] && failed=$(wc -l <"found/.failed-$$") && rm -f "found/.failed-$$"
echo "fuzz: $((${#targets[@]} - failed)) passed, $failed failed"
[ "$failed" = 0 ] && [ ${#targets[@]} -gt 0 ]
