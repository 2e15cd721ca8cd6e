#!/bin/bash
# run.sh SECONDS [target...]: runs the libFuzzer targets of build/fuzz, the time divided
# between them, from the seeds in tests/fuzz/corpus. What is found is kept in
# build/fuzz/found. Says executions and edges for each.
set -u
cd "$(dirname "$0")/../.." || exit 1
time=${1:-60}
shift || true
./contrib/build.sh fuzz clang "-O1 -g" --enable-fuzz --enable-sanitize || { echo "fuzz: 0 passed, 1 failed"; exit 1; }
cd build/fuzz || exit 1
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(find tests/fuzz -maxdepth 1 -type f -name 'fuzz_*' -perm -u+x -printf '%f\n' | sort)
jobs=$(nproc)
each=$((time * jobs / (${#targets[@]} > 0 ? ${#targets[@]} : 1)))
[ "$each" -gt 0 ] || each=1
mkdir -p found
one() {
    local t=$1 name=${1#fuzz_} dict=() seeds=../../tests/fuzz/corpus/${1#fuzz_}
    mkdir -p "corpus/$name"
    [ -f "../../tests/fuzz/$name.dict" ] && dict=(-dict="../../tests/fuzz/$name.dict")
    [ -d "$seeds" ] || seeds=
    # shellcheck disable=SC2086
    "tests/fuzz/$t" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="found/$name-" "${dict[@]}" "corpus/$name" $seeds >"$t.log" 2>&1
    local status=$? runs edges
    runs=$(sed -nE 's/^stat::number_of_executed_units: *//p' "$t.log")
    edges=$(grep -oE 'cov: [0-9]+' "$t.log" | tail -n 1 | cut -c6-)
    if [ $status = 0 ]; then
        echo "$t: ${runs:-0} executions, ${edges:-0} edges"
    else
        tail -n 30 "$t.log"
        echo "$t: FAILED, see build/fuzz/$t.log"
    fi
    return $status
}
export -f one
printf '%s\n' "${targets[@]}" | xargs -r -P "$jobs" -I{} bash -c "one {} $each || echo {} >>found/.failed-$$"
failed=0
[ -f "found/.failed-$$" ] && failed=$(wc -l <"found/.failed-$$") && rm -f "found/.failed-$$"
echo "fuzz: $((${#targets[@]} - failed)) passed, $failed failed"
[ "$failed" = 0 ] && [ ${#targets[@]} -gt 0 ]
