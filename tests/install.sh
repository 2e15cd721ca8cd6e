#!/bin/sh
# make install into a folder of its own: the tree is whole, the programs run from it, the
# shipped configurations are good, and a plugin builds against the installed header.
#
# usage: tests/install.sh BUILD-FOLDER
set -u
build=$(cd "$1" && pwd)
top=$(cd "$(dirname "$0")/.." && pwd)
dest=$(mktemp -d)
prefix=$(sed -n 's/^prefix = //p' "$build/Makefile")
etc=$(sed -n 's/^sysconfdir = //p' "$build/Makefile" | sed "s#\${prefix}#$prefix#")
trap 'rm -rf "$dest"' EXIT
passed=0 failed=0

check() { # WHAT COMMAND...
    what=$1
    shift
    if "$@" >"$dest/out" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $what"
        tail -n 20 "$dest/out"
    fi
}

check "make install" make -s -C "$build" install DESTDIR="$dest"
chmod 755 "$dest"
usr=$dest$prefix
conf=$dest$etc/postern/postern.conf
for path in sbin/posternd bin/postern include/postern/plugin.h lib/pkgconfig/postern.pc lib/postern/spf.so \
    share/man/man8/posternd.8 share/man/man1/postern.1 share/man/man3/postern-plugin.3 share/man/man3/postern-plugin-dns.3 share/man/man7/postern-state.7 share/man/man5/postern-replay.5 share/doc/postern/README.md share/doc/postern/plugins/greylist/README.md lib/systemd/system/postern.service lib/sysusers.d/postern.conf lib/tmpfiles.d/postern.conf; do
    check "$path" test -s "$usr/$path"
done
check "$etc/postern/postern.conf" test -s "$conf"
POSTERN_PLUGINS=$usr/lib/postern
export POSTERN_PLUGINS
check "posternd --version" "$usr/sbin/posternd" --version
check "the first configuration" "$usr/bin/postern" check -c "$conf"
check "posternd --check of it" "$usr/sbin/posternd" --check -c "$conf"

# The demo's, with a certificate of its own.
mkdir -p "$dest/demo/run"
check "a certificate" openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=mx.test \
    -keyout "$dest/demo/run/key.pem" -out "$dest/demo/run/cert.pem"
ln -s "$top/contrib" "$dest/demo/contrib"
sed "s#@TOP@#$dest/demo#g" "$top/contrib/demo/postern.conf.in" >"$dest/demo/postern.conf"
check "the demo's configuration" "$usr/bin/postern" check -c "$dest/demo/postern.conf"

# Manual pages: without an error, as strictly as the tool at hand looks; every long option of
# posternd and every command of postern stands in its page.
for page in man8/posternd.8 man1/postern.1 $(cd "$usr/share/man" && ls man3/postern-plugin*.3 man5/*.5 man7/*.7); do
    file=$usr/share/man/$page
    check "$page: folders are filled in" sh -c "! grep -q '@[a-z]*@' '$file'"
    if command -v mandoc >/dev/null; then
        check "$page: mandoc" mandoc -T lint -W error "$file"
    elif command -v groff >/dev/null; then
        check "$page: groff" sh -c "LC_ALL=C groff -mandoc -ww -T ascii -z '$file' 2>&1 | tee /dev/stderr | grep -c . | grep -qx 0"
    fi
done
for option in $("$usr/sbin/posternd" --help 2>&1 | grep -o -e '--[a-z-]*' | sort -u); do
    check "posternd.8 tells of $option" grep -q -e "Fl.* -${option#--}\\>" "$usr/share/man/man8/posternd.8"
done
for command in $("$usr/bin/postern" --help | sed -n 's/^  \([a-z]*\)  *.*/\1/p'); do
    check "postern.1 tells of $command" grep -q "^.It Ic $command " "$usr/share/man/man1/postern.1"
done

# It keeps what is there.
echo "# mine" >"$conf"
check "make install again" make -s -C "$build" install DESTDIR="$dest"
check "a configuration is not replaced" grep -qx "# mine" "$conf"

flags=$(PKG_CONFIG_PATH="$usr/lib/pkgconfig" pkg-config --define-variable=prefix="$usr" --cflags postern)
# shellcheck disable=SC2086
check "a plugin out of tree" cc -std=c17 $flags -I"$usr/include" -fPIC -shared -o "$dest/shout.so" "$top/tests/plugins/shout.c"
check "which loads" "$usr/bin/postern" plugin show "$dest/shout.so"
check "one with the header of 1.0" cc -std=c17 -I"$top/tests/abi/1.0" -fPIC -shared -o "$dest/whole.so" "$top/tests/plugins/whole.c"
check "which loads" sh -c "'$usr/bin/postern' plugin show '$dest/whole.so' | grep -qx 'ABI  *1.0'"
echo "plugins { shout { file \"$dest/shout.so\" } }" >"$dest/shout.conf"
printf 'Subject: LOUD\n\nhello\n' >"$dest/loud.eml"
: >"$dest/empty.zone"
check "and finds its facts" sh -c "'$usr/bin/postern' scan -c '$dest/shout.conf' --dns '$dest/empty.zone' --ip 192.0.2.1 \
    --rcpt u@x.test '$dest/loud.eml' | grep 'SUBJECT_SHOUTS (whole subject)'"
if command -v c++ >/dev/null; then
    cat >"$dest/cpp.cc" <<'CODE'
#include <postern/plugin.h>
static int on_headers(struct postern_call *)
{
    return POSTERN_OK;
}
static struct postern_plugin describe()
{
    struct postern_plugin p {};
    p.size = sizeof p;
    p.major = POSTERN_ABI_MAJOR;
    p.name = "cpp";
    p.version = p.summary = "1";
    p.on[POSTERN_HEADERS] = on_headers;
    return p;
}
const struct postern_plugin postern_plugin = describe();
CODE
    # shellcheck disable=SC2086
    check "a plugin in C++" c++ $flags -I"$usr/include" -fvisibility=hidden -fPIC -shared -o "$dest/cpp.so" "$dest/cpp.cc"
    check "which loads too" "$usr/bin/postern" plugin show "$dest/cpp.so"
fi

# The kit: what `postern plugin new` writes builds with plain make, passes its own test, and
# is the example in the tree.
PKG_CONFIG_PATH=$usr/lib/pkgconfig
export PKG_CONFIG_PATH
kit="make -s PKG_CONFIG=\"pkg-config --define-variable=includedir=$usr/include --define-variable=libdir=$usr/lib\" POSTERN=$usr/bin/postern CFLAGS=\"-O2 -Werror -Wall -Wextra\""
check "postern plugin new" "$usr/bin/postern" plugin new --folder "$dest/example" example
check "which is the example in the tree" diff -r "$dest/example" "$top/contrib/example-plugin"
check "it builds with plain make" sh -c "$kit -C '$dest/example'"
check "its script passes, and it is proved" sh -c "$kit -C '$dest/example' check"
check "it is installed" sh -c "$kit -C '$dest/example' install"
check "where it is found" sh -c "'$usr/bin/postern' plugin list | grep -q '^example '"
check "one of another name" "$usr/bin/postern" plugin new --folder "$dest/two" loud-words
check "builds too" sh -c "$kit -C '$dest/two' loud-words.so"
check "and has a name of its own" sh -c "'$usr/bin/postern' plugin show '$dest/two/loud-words.so' | grep -q LOUD_WORDS_WORD"
check "a folder that is there is left alone" sh -c "'$usr/bin/postern' plugin new --folder '$dest/two' loud-words; test \$? = 1"
check "a name that can't be is usage" sh -c "'$usr/bin/postern' plugin new Loud; test \$? = 2"
rm -f "$usr/lib/postern/example.so"
if command -v systemd-analyze >/dev/null; then
    mkdir -p "$dest/units"
    sed "s#=/usr/#=$dest/usr/#" "$usr/lib/systemd/system/postern.service" >"$dest/units/postern.service"
    check "the unit" systemd-analyze verify --man=no "$dest/units/postern.service"
fi
check "make uninstall" make -s -C "$build" uninstall DESTDIR="$dest"
check "nothing is left but the configuration" test "$(find "$dest$prefix" "$dest$etc" -type f | sort -u)" = "$conf"

echo "install: $passed passed, $failed failed"
[ "$failed" = 0 ]
