#!/bin/sh
# valgrind.sh PROGRAM...: each under memcheck; an invalid access or a definite leak fails.
# Run by `make valgrind` in a build folder without sanitizers.
here=$(cd "$(dirname "$0")" && pwd)
supp=
[ -f "$here/valgrind.supp" ] && supp="--suppressions=$here/valgrind.supp"
passed=0 failed=0
for t in "$@"; do
    # valgrind 3.19 does not know Landlock's and seccomp's calls: no jail to test
    case $t in */test_jail) continue ;; esac
    # shellcheck disable=SC2086
    if valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
        --trace-children=no $supp "./$t" </dev/null >valgrind.log 2>&1; then
        passed=$((passed + 1))
    else
        echo "--- $t"
        grep -vE ': [0-9]+ passed, 0 failed' valgrind.log | head -n 40
        failed=$((failed + 1))
    fi
done
echo "valgrind: $passed passed, $failed failed"
[ $failed = 0 ]
