# rules_hits.pl FOLDER: reads lines "RULES<TAB>MESSAGE[<TAB>MESSAGE...]" and prints, a line for each
# message, "RULES<TAB>MESSAGE<TAB>NAME=SCORE ..." as SpamAssassin without network hits. Its modules
# are loaded once; each rule file is run by a child of its own. FOLDER has what *.pre files say.
use strict;
use warnings;
use Mail::SpamAssassin;

my $site = shift;
$ENV{HOME} = $site;
delete @ENV{qw(LANGUAGE LC_ALL LC_MESSAGES LANG)};
$| = 1;

sub original {
    return Mail::SpamAssassin->new({
        rules_filename => $_[0], site_rules_filename => $site,
        userprefs_filename => "$site/none", dont_copy_prefs => 1, local_tests_only => 1,
        userstate_dir => $site, LOCAL_STATE_DIR => $site, require_rules => 0});
}

sub hits {
    my ($rules, @messages) = @_;
    open(my $out, '>&', \*STDOUT);
    open(STDOUT, '>', '/dev/null');    # it prints the expressions of rules with names of one letter
    open(STDERR, '>', '/dev/null');
    alarm 20;
    my $sa = original($rules);
    my $said = '';
    for my $file (@messages) {
        open(my $in, '<:raw', $file) or die;
        my $mail = $sa->parse([<$in>], 1);
        my $status = $sa->check($mail);
        my %score = map { $_ => $status->{conf}->{scores}->{$_} } @{$status->{test_names_hit}};
        $said .= join("\t", $rules, $file, join(' ', map { sprintf '%s=%g', $_, $score{$_} } sort keys %score)) . "\n";
        $status->finish;
        $mail->finish;
    }
    syswrite($out, $said);
}

my @lines = <STDIN>;
chomp @lines;
original("$site/none")->init(0);
for my $line (@lines) {
    my $child = fork;
    if (!$child) {
        hits(split /\t/, $line);
        exit 0;
    }
    waitpid $child, 0;
}
