#!/bin/sh
# Calls that have a safe twin, sizes (a file over 1000 lines, a function over 100), and what a test
# left lying about.
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0
verdict() { # name, what was found
    if [ -z "$2" ]; then passed=$((passed + 1)); else
        printf '%s:\n%s\n' "$1" "$2"
        failed=$((failed + 1))
    fi
}
verdict "banned calls" "$(git grep -nE '(^|[^_a-zA-Z0-9>.])(strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|gets|alloca)[[:space:]]*\(' -- '*.c' '*.h')"
verdict "files over 1000 lines" "$(git ls-files '*.c' '*.h' | xargs -r wc -l | awk '$2 != "total" && $1 > 1000')"
verdict "functions over 100 lines" "$(git ls-files '*.c' | xargs -r awk '
    FNR == 1 { open = 0 }
    /^\{/ { open = FNR; next }
    /^\}/ { if (open && FNR - open > 100) print FILENAME ":" open ": " FNR - open " lines"; open = 0 }')"
verdict "no place at the top" "$(git ls-files | cut -d/ -f1 | sort -u | grep -vxE '\.ci|\.clang-format|\.gitignore|LICENSE|Makefile\.am|README\.md|autogen\.sh|check|configure\.ac|contrib|filters|plugins|policy|server|start|tests')"
verdict "unfinished by their own words" "$(git grep -nwE 'TODO|FIXME|XXX' -- '*.c' '*.h' '*.sh' '*.py' '*.md' | grep -v check-banned.sh)"
echo "banned: $passed passed, $failed failed"
[ $failed = 0 ]
