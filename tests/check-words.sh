#!/bin/sh
# Every word that IMAP's CAPABILITY or POP3's CAPA can print is the name of a registered unit test.
# AUTH=* stands with AUTHENTICATE, LOGINDISABLED with CAPABILITY; what is looked for is {"WORD", test_.
top=$(cd "$(dirname "$0")/.." && pwd) || exit 1
imap=${1:-$top/server/access/imap_capability.c}
pop3=${2:-$top/server/access/pop3_capability.c}
words() {
    sed -n 's/^    {"\([^"]*\)", [A-Z].*/\1/p' "$imap"
    grep -o 'addz*f*(out, " [A-Z][^"]*"' "$imap" | sed 's/.*" //; s/"$//; s/^AUTH=.*/AUTHENTICATE/
        s/^LOGINDISABLED$/CAPABILITY/'
}
words_pop3() {
    sed -n '/\[\] = {/,/};/p' "$pop3" | grep -o '"[^"]*"' | tr -d '"'
}
registered() {
    # $1: a list of files; a table may break its line anywhere
    # shellcheck disable=SC2086
    cat $1 | tr '\n' ' ' | grep -oE '\{ *"[^"]+", *test_[a-z0-9_]+ *\}' | cut -d'"' -f2
}
compare() {
    count=0
    while IFS= read -r word; do
        count=$((count + 1))
        if printf '%s\n' "$3" | grep -qxF -e "$word"; then passed=$((passed + 1)); else
            echo "$1: no test is named $word"
            failed=$((failed + 1))
        fi
    done <<EOF
$2
EOF
    [ "$count" -ge "$4" ] || {
        echo "$1: only $count words read; the table looks otherwise now"
        failed=$((failed + 1))
    }
}
passed=0 failed=0
compare IMAP "$(words)" "$(registered "$top/tests/unit/test_imap_*.c $top/tests/unit/test_login_imap.c")" 30
compare POP3 "$(words_pop3)" "$(registered "$top/tests/unit/test_pop3_words.c")" 10
echo "words: $passed passed, $failed failed"
[ $failed = 0 ]
