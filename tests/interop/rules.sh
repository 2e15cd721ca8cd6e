#!/bin/sh
# The language of rules against its original: hundreds of small rule files on one message, and
# a rule file on many, are run by Debian's SpamAssassin and by the plugin; each must hit the same.
# SpamAssassin and the Perl modules that it needs are unpacked into a private root (peers.sh).
# Exit 77: no Perl, or no package to be had. POSTERN_BUILD names the build.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
command -v perl >/dev/null || {
    echo "rules: skipped, there is no perl"
    exit 77
}
root=$(sh "$here/peers.sh" spamassassin libhtml-parser-perl libhtml-tagset-perl libnet-dns-perl libnetaddr-ip-perl \
    libhttp-date-perl libtimedate-perl libsocket6-perl libsys-hostname-long-perl libio-string-perl libmail-dkim-perl) || exit $?
arch=$(perl -MConfig -e 'print $Config{archname}, " ", $Config{version} =~ /^(\d+\.\d+)/')
PERL5LIB=$root/usr/share/perl5:$root/usr/lib/${arch% *}/perl5/${arch#* }
for folder in "$root"/usr/lib/*/perl5/*; do
    PERL5LIB=$PERL5LIB:$folder
done
export PERL5LIB
perl -e 'use Mail::SpamAssassin; exit($Mail::SpamAssassin::VERSION eq "4.000001" ? 0 : 1)' 2>/dev/null || {
    echo "rules: skipped, SpamAssassin does not run here, or is not 4.0.1"
    exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 "$here/rules_check.py" "${POSTERN_BUILD:-build/gcc}" "$work"
