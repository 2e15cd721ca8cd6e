#!/bin/sh
# Layout is .clang-format's: every C file is as clang-format 14 leaves it.
cd "$(dirname "$0")/.." || exit 1
tool=$(command -v clang-format-14 || command -v clang-format) || {
    echo "clang-format 14 is missing"
    echo "format: 0 passed, 1 failed"
    exit 1
}
bad=$(git ls-files '*.c' '*.h' | xargs -r -P "$(nproc)" -n 8 "$tool" --dry-run 2>&1 | grep -E '^[^ ]+: (warning|error)' | cut -d: -f1 | sort -u)
if [ -z "$bad" ]; then
    echo "format: $(git ls-files '*.c' '*.h' | wc -l) passed, 0 failed"
else
    printf 'not as clang-format leaves it:\n%s\n' "$bad"
    echo "format: 0 passed, $(echo "$bad" | wc -l) failed"
    exit 1
fi
