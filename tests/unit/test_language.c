/* The language: what is refused, in which words and where; what is taken. */
#include "unit.h"

#include "buf.h"
#include "kit_policy.h"
#include "token.h"
#include "value.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct row {
    const char *text, *want;
};

static void check(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct kit k;
        unit_row(rows[i].text);
        kit_open(&k, rows[i].text, "");
        UNIT_STR(kit_problems(&k), pn_str_of(rows[i].want));
        UNIT_INT(k.policy == NULL, k.problems.errors != 0);
        kit_close(&k);
    }
}
#define CHECK(rows) check((rows), sizeof(rows) / sizeof((rows)[0]))

static void test_tokens(void)
{
    static const struct row rows[] = {
        {"", ""},
        {"\n\n;;\r\n \t", ""},
        {"# only a comment", ""},
        {"budget 3s # behind\n#", ""},
        {"budget \"3s\"", ""},
        {"\xef\xbb\xbf"
         "budget 3s",
         ""},
        {"budget \"3s", "t.conf:1:8: string without its end, expected '\"' on the same line\n"},
        {"budget \"3\ns\"\n", "t.conf:1:8: string without its end, expected '\"' on the same line\n"
                              "t.conf:2:2: quote within a word, expected a blank before it\n"},
        {"budget \"\\q\"", "t.conf:1:9: unknown escape, expected \\\" \\\\ \\n \\t or \\xNN (not "
                           "\\x00)\n"},
        {"budget \"\\x00\"", "t.conf:1:9: unknown escape, expected \\\" \\\\ \\n \\t or \\xNN "
                             "(not \\x00)\n"},
        {"budget \"\\xff\"", "t.conf:1:8: string is not UTF-8 once its escapes are undone\n"},
        {"budget \xff", "t.conf:1:8: not UTF-8\n"},
        {"budget \x01", "t.conf:1:8: control character, expected text\n"},
        {"budget \"a\x01\"", "t.conf:1:10: control character in a string, expected an escape\n"},
        {"\xc3\xa4\xc3\xb6 x", "t.conf:1:1: unknown setting '\xc3\xa4\xc3\xb6', expected one that "
                               "'postern config rows' names\n"},
        {"budget 3s \xc3\xa4 \xff",
         "t.conf:1:11: unknown setting '\xc3\xa4', expected one that 'postern config rows' names\n"
         "t.conf:1:13: not UTF-8\n"},
    };
    CHECK(rows);
}

#define NO_DOMAIN " is no domain, expected a name such as \"example.org\" or \".example.org\"\n"

static void test_mailbox(void)
{
    static const struct row rows[] = {
        {"mailbox { quota 2g folders { sent Gesendet } }\n"
         "domain \"a.test\" { recipients any\n mailbox { quota 3g quota-messages 7 over-quota "
         "reject\n folders { junk \"Post/Spam\" } tag-folders yes } }",
         ""},
        {"domain \"a.test\" { recipients any\n mailbox quota 1m over-quota defer\n}", ""},
        {"mailbox { over-quota later }",
         "t.conf:1:22: 'later' does not fit 'over-quota', expected one of defer, reject\n"},
        {"domain \"a.test\" { recipients any\n mailbox { quota 3q } }",
         "t.conf:2:18: '3q' does not fit 'quota', expected a size such as 512, 64k, 10m, 2g\n"},
        {"domain \"a.test\" { recipients any\n mailbox { quota 1g\n quota 2g } }",
         "t.conf:3:8: 'quota' is set twice, the first time in line 2\n"},
        {"domain \"a.test\" { recipients any\n mailbox { sessions 5 } }",
         "t.conf:2:12: unknown setting 'sessions', expected one of quota, quota-messages, "
         "over-quota, tag-folders, folders, include\n"},
        {"domain \"a.test\" { recipients any\n mailbox\n}",
         "t.conf:2:9: the end of the line stands where 'mailbox' needs its block, expected '{'\n"},
        {"defaults { mailbox { quota 1g } }",
         "t.conf:1:12: 'mailbox' does not stand in 'defaults', expected it at the top, where it "
         "speaks for every domain\n"},
        {"submitted { mailbox { quota 1g } }",
         "t.conf:1:13: 'mailbox' does not stand in 'submitted', expected it in a domain or at the "
         "top\n"},
        {"domain \"a.test\" { recipients any route smtp 127.0.0.1:25\n mailbox { quota 1g } }",
         "t.conf:2:2: warning: 'mailbox' speaks of nobody's mailbox, since mail of this domain "
         "goes to a next hop\n"},
    };
    CHECK(rows);
}

#define NO_FOLDER                                                                                  \
    " is no name of a folder, expected one such as \"Junk\" or \"Mail/Junk\", at most 100 bytes, " \
    "without * and %\n"

static void test_folder_names(void)
{
    static const struct row rows[] = {
        {"mailbox { folders { sent \"Objets envoy\xc3\xa9s\" drafts \"INBOX/Drafts\" } }", ""},
        {"mailbox { folders { sent \"\" } }", "t.conf:1:26: ''" NO_FOLDER},
        {"mailbox { folders { sent inbox } }", "t.conf:1:26: 'inbox'" NO_FOLDER},
        {"mailbox { folders { sent \"a//b\" } }", "t.conf:1:26: 'a//b'" NO_FOLDER},
        {"mailbox { folders { sent \"/a\" } }", "t.conf:1:26: '/a'" NO_FOLDER},
        {"mailbox { folders { sent \"a/\" } }", "t.conf:1:26: 'a/'" NO_FOLDER},
        {"mailbox { folders { sent \"a*\" } }", "t.conf:1:26: 'a*'" NO_FOLDER},
        {"mailbox { folders { sent \"a/b/c/d/e/f/g/h\" } }", ""},
        {"mailbox { folders { sent \"a/b/c/d/e/f/g/h/i\" } }",
         "t.conf:1:26: 'a/b/c/d/e/f/g/h/i'" NO_FOLDER},
        {"mailbox { folders { sent \"a\\x07\" } }", "t.conf:1:26: 'a\\x07'" NO_FOLDER},
        {"mailbox { folders { sent Trash } }",
         "t.conf:1:26: 'Trash' is the folder of 'trash' already, expected another name for "
         "'sent'\n"},
        {"mailbox { folders { sent Trash trash Bin } }", ""},
        {"mailbox { folders { sent Bin trash Bin } }",
         "t.conf:1:36: 'Bin' is the folder of 'sent' already, expected another name for "
         "'trash'\n"},
        {"domain \"a.test\" { recipients any\n mailbox { folders { junk Bin } } }\n"
         "mailbox { folders { trash Bin } }",
         "t.conf:2:27: 'Bin' is the folder of 'trash' already, expected another name for "
         "'junk'\n"},
        {"mailbox { folders { trash Bin } }\ndomain \"a.test\" { recipients any\n"
         " mailbox { folders { junk Bin trash Trash } } }",
         ""},
    };
    CHECK(rows);
}

static void test_statements(void)
{
    static const struct row rows[] = {
        {"budgt 3s", "t.conf:1:1: unknown setting 'budgt', did you mean 'budget'?\n"},
        {"limits { message-sise 3k }",
         "t.conf:1:10: unknown setting 'message-sise', did you mean 'message-size'?\n"},
        {"frobnicate 1\nbudget 3s", "t.conf:1:1: unknown setting 'frobnicate', expected one that "
                                    "'postern config rows' names\n"},
        {"frobnicate { a { b } }\nalso 1",
         "t.conf:1:1: unknown setting 'frobnicate', expected one that 'postern config rows' names\n"
         "t.conf:2:1: unknown setting 'also', expected one that 'postern config rows' names\n"},
        {"budget", "t.conf:1:7: the end of the file stands where 'budget' needs its value, "
                   "expected a duration such as 500ms, 3s, 2h, 5d\n"},
        {"budget\n3s",
         "t.conf:1:7: the end of the line stands where 'budget' needs its value, "
         "expected a duration such as 500ms, 3s, 2h, 5d\n"
         "t.conf:2:1: unknown setting '3s', expected one that 'postern config rows' names\n"},
        {"budget ; edges 1", "t.conf:1:8: ';' stands where 'budget' needs its value, expected a "
                             "duration such as 500ms, 3s, 2h, 5d\n"},
        {"budget 3s edges 1", ""},
        {"budget 3s; edges 1", ""},
        {"budget 3s 4s",
         "t.conf:1:11: unknown setting '4s', expected one that 'postern config rows' names\n"},
        {"budget 3s\nbudget 4s", "t.conf:2:8: 'budget' is set twice, the first time in line 1\n"},
        {"}", "t.conf:1:1: '}' without a block, expected a setting\n"},
        {"{ budget 3s }", "t.conf:1:1: '{' without a name, expected a setting\n"},
        {"\"budget\" 3s", "t.conf:1:1: 'budget' stands alone, expected a setting\n"},
        {", budget 3s", "t.conf:1:1: ',' stands alone, expected a setting\n"},
        {"limits {\n budget 3s\n",
         "t.conf:2:2: unknown setting 'budget', expected one that 'postern config rows' names\n"
         "t.conf:1:8: block without its end, expected '}'\n"},
        {"limits 3",
         "t.conf:1:8: '3' stands where 'limits' needs its block, expected '{'\n"
         "t.conf:1:8: unknown setting '3', expected one that 'postern config rows' names\n"},
        {"limits\n{\n errors 5\n}", ""},
        {"limits errors 5 hops 50 budget 2s", ""},
        {"tls { }", "t.conf:1:1: tls has no 'certificate', expected one: PEM file: our "
                    "certificate, then those between it and the root.\n"
                    "t.conf:1:1: tls has no 'key', expected one: PEM file: its private key; only "
                    "the supervisor reads it.\n"},
        {"listen smtp", "t.conf:1:1: listen has no 'address', expected one: The address and port "
                        "to listen on.\n"},
        {"listen smtp 127.0.0.1",
         "t.conf:1:13: '127.0.0.1' does not fit 'address', expected an address "
         "with a port such as 127.0.0.1:25 or [::1]:25\n"},
        {"smtp { hostname \"a b\" authserv-id \"x\\ny\" delimiter ab }",
         "t.conf:1:17: 'a b' does not fit 'hostname', expected a host's name such as "
         "mx.example.org\nt.conf:1:35: 'x\\x0ay' does not fit 'authserv-id', expected a name such "
         "as "
         "mx.example.org\nt.conf:1:52: 'ab' does not fit 'delimiter', expected one sign such as +, "
         "or "
         "\"\" for none\n"},
        {"state { redis 127.0.0.1:6379 prefix \"a b\" user x }",
         "t.conf:1:37: 'a b' does not fit 'prefix', expected up to 64 printable bytes without a "
         "blank\nt.conf:1:48: 'user' without a password, expected 'password-file'\n"},
        {"state { redis 127.0.0.1:6379 prefix \"\" on-away local }", ""},
        {"state { redis \"redis.test\" }",
         "t.conf:1:15: 'redis.test' does not fit 'redis', expected an address with a port such "
         "as 127.0.0.1:25 or [::1]:25\n"},
        {"smtp { hostname [192.0.2.1] authserv-id \"\" delimiter @ }",
         "t.conf:1:41: '' does not fit 'authserv-id', expected a name such as mx.example.org\n"
         "t.conf:1:54: '@' does not fit 'delimiter', expected one sign such as +, or \"\" for "
         "none\n"},
        {"smtp { hostname [IPv6:2001:db8::1] authserv-id a_b.test delimiter \"\" }", ""},
        {"listen smpt 127.0.0.1:25",
         "t.conf:1:8: 'smpt' does not fit 'listen', expected one of smtp, smtps, submission, "
         "submissions, lmtp, imap, imaps, pop3, pop3s, admin\n"},
        {"listen imap 127.0.0.1:143", "t.conf:1:8: 'imap' needs a certificate, expected 'tls { "
                                      "certificate FILE key FILE }'\n"},
        {"listen imap 127.0.0.1:143 listen pop3 127.0.0.1:110 mailbox { plain-login loopback }",
         ""},
        {"listen pop3s 127.0.0.1:995 mailbox { plain-login loopback }",
         "t.conf:1:8: 'pop3s' needs a certificate, expected 'tls { certificate FILE key FILE }'\n"},
        {"listen lmtp 127.0.0.1:24", ""},
        {"listen smtps 127.0.0.1:465", "t.conf:1:8: 'smtps' needs a certificate, expected 'tls { "
                                       "certificate FILE key FILE }'\n"},
        {"listen smtp 127.0.0.1:25\nlisten smtp 127.0.0.1:25",
         "t.conf:2:13: '127.0.0.1:25' is listened on twice, first in line 1\n"},
        {"listen smtp 127.0.0.1:25 listen smtp [::1]:25 listen smtp 127.0.0.1:26", ""},
        {"plugins", "t.conf:1:1: 'plugins' without a block, expected '{'\n"},
        {"defaults", "t.conf:1:1: 'defaults' without a block, expected '{'\n"},
        {"domain", "t.conf:1:7: the end of the file stands where 'domain' needs its value, "
                   "expected a domain's name\n"},
        {"domain x.test\nbudget 3s",
         "t.conf:1:1: 'domain' without a block, expected '{'\n"
         "t.conf:1:1: domain 'x.test' does not say who can be written to, expected 'recipients "
         "list FILE', 'verify', 'local' or 'any'\n"},
    };
    CHECK(rows);
}

static void test_submission(void)
{
    static const struct row rows[] = {
        {"listen submission 127.0.0.1:587",
         "t.conf:1:8: 'submission' needs a certificate, expected 'tls { certificate FILE key FILE "
         "}'\n"},
        {"listen submissions 127.0.0.1:465",
         "t.conf:1:8: 'submissions' needs a certificate, expected 'tls { certificate FILE key FILE "
         "}'\n"},
        {"submitted", "t.conf:1:1: 'submitted' without a block, expected '{'\n"},
        {"submitted { junk at 3 } submitted { reject at 9 }", ""},
        {"submitted { junk at 3 } submitted { junk at 4 }",
         "t.conf:1:37: 'junk' is set twice, the first time in line 1\n"},
        {"submitted { route local }",
         "t.conf:1:1: 'submitted' says what becomes of users' mail; its recipients are anybody, "
         "and its route is that of their domain or by MX\n"},
        {"submission { from mine }",
         "t.conf:1:19: 'mine' does not fit 'from', expected one of own, any\n"},
        {"submission { hold-for 31d }",
         "t.conf:1:23: '31d' does not fit 'hold-for', expected duration from 1s to 30d\n"},
    };
    CHECK(rows);
}

static void test_values(void)
{
    static const struct row rows[] = {
        {"budget 99ms", "t.conf:1:8: '99ms' does not fit 'budget', expected duration from 100ms "
                        "to 10m\n"},
        {"budget 100ms", ""},
        {"budget 10m", ""},
        {"budget 601s", "t.conf:1:8: '601s' does not fit 'budget', expected duration from 100ms "
                        "to 10m\n"},
        {"budget 3", "t.conf:1:8: '3' does not fit 'budget', expected a duration such as 500ms, "
                     "3s, 2h, 5d\n"},
        {"events { sync true }", "t.conf:1:15: 'true' does not fit 'sync', expected yes or no\n"},
        {"limits { exempt 10.0.0.1/8 }",
         "t.conf:1:17: '10.0.0.1/8' does not fit 'exempt', expected a network without host bits: "
         "10.0.0.0/8\n"},
        {"limits { exempt here }", "t.conf:1:17: 'here' does not fit 'exempt', expected a network "
                                   "such as 192.0.2.0/24 or 2001:db8::/32\n"},
        {"resolver { forward 127.0.0.1 }",
         "t.conf:1:20: '127.0.0.1' does not fit 'forward', expected an address with a port such "
         "as 127.0.0.1:25 or [::1]:25\n"},
        {"replies { reject \"450 4.7.1 No\" }",
         "t.conf:1:18: '450 4.7.1 No' does not fit 'reject', expected a reply such as \"550 5.7.1 "
         "Text\": a code of class 5, then one line of printable text, 400 bytes at most\n"},
        {"replies { reject \"550 4.7.1 No\" }",
         "t.conf:1:18: '550 4.7.1 No' does not fit 'reject', expected an enhanced code of class "
         "5, as the reply's own\n"},
        {"replies { reject \"550 No\" }", ""},
        {"users nowhere.txt", "t.conf:1:7: 'nowhere.txt' is not there, expected a file\n"},
        {"users /tmp", "t.conf:1:7: '/tmp' is a folder, expected a file\n"},
        {"auth { users nowhere.txt }",
         "t.conf:1:14: warning: 'nowhere.txt' is not there yet: the server starts without it\n"},
        {"auth { users /etc/passwd }", ""},
        {"users \"\"", "t.conf:1:7: '' does not fit 'users', expected a path\n"},
    };
    CHECK(rows);
}

static void test_plugins(void)
{
    static const struct row rows[] = {
        {"plugins { nosuch }", "t.conf:1:11: /plugins/nosuch.so: not there, expected a plugin (see "
                               "'postern plugin list')\n"},
        {"plugins { nosuch { file \"/x/y.so\" } alpha }",
         "t.conf:1:11: /x/y.so: not there, expected a plugin (see 'postern plugin list')\n"},
        {"plugins { alpha { cuont 3 } }",
         "t.conf:1:19: unknown setting 'cuont', did you mean 'count'?\n"},
        {"plugins { alpha { count 11 } }",
         "t.conf:1:25: '11' does not fit 'count', expected number from -5 to 10\n"},
        {"plugins { alpha { zone z code 127.0.0.2 } }",
         "t.conf:1:26: code has no 'weight', expected one: W\n"},
        {"plugins { alpha { zone z zone z } }",
         "t.conf:1:31: zone 'z' is there twice, the first time at t.conf:1:24\n"},
        {"plugins { alpha { zone z { code there weight 1 } } }",
         "t.conf:1:33: 'there' does not fit 'code', expected an address such as 192.0.2.1 or "
         "2001:db8::1\n"},
        {"plugins { loopa loopb }", "t.conf:1:11: plugin 'loopa' runs after one that runs after "
                                    "it, expected no circle\n"
                                    "t.conf:1:17: plugin 'loopb' runs after one that runs after "
                                    "it, expected no circle\n"},
        {"plugins { beta\n thief\n}",
         "t.conf:2:2: plugin 'thief' declares the symbol BETA_LISTED, and so does plugin 'beta' in "
         "line 1 of t.conf, expected one of them only\n"},
        {"plugins { thief }", ""},
        {"plugins { loopa }", ""},
        {"plugins { netty }",
         "t.conf:1:11: plugin 'netty' 1.0 asks for network, which is not granted, expected 'grant "
         "network'\n"},
        {"plugins { netty { grant network } }", ""},
        {"plugins { netty { grant dns } }",
         "t.conf:1:25: plugin 'netty' 1.0 asks for network, which is not granted, expected 'grant "
         "network'\n"},
        {"plugins { alpha { on_failure explode } }",
         "t.conf:1:30: 'explode' does not fit 'on_failure', expected one of defer, skip, "
         "quarantine\n"},
        {"plugins { alpha { edits headers body  edits sender } }", ""},
        {"plugins { alpha { edits none } }", ""},
        {"plugins { alpha { edits body none } }",
         "t.conf:1:25: 'none' beside other edits, expected one or the other\n"},
        {"plugins { alpha { edits all } }",
         "t.conf:1:25: 'all' does not fit 'edits', expected one of headers, body, recipients, "
         "sender, none\n"},
        {"plugins { alpha } plugins { alpha { count 1 } beta }", ""},
    };
    CHECK(rows);
}

static void test_policies(void)
{
    static const struct row rows[] = {
        {"defaults { on lower weight 1 }",
         "t.conf:1:15: 'lower' is no symbol, expected A-Z, 0-9 and _\n"},
        {"defaults { on X }", "t.conf:1:17: '}' does not go on 'on', expected weight N, or one of "
                              "accept, junk, quarantine, discard, defer, reject, none\n"},
        {"defaults { on X none on Y detail \"a\" none }", ""},
        {"defaults { on X reject\n on X none }",
         "t.conf:2:2: 'on X none' is set twice, the first time in line 1\n"},
        {"defaults { on X none \"250 2.0.0 a\" }",
         "t.conf:1:22: '250 2.0.0 a' stands alone, expected a statement\n"},
        {"defaults { on X weight heavy }",
         "t.conf:1:24: 'heavy' does not fit 'on', expected a weight such as 4, -1.5\n"},
        {"defaults { on X reject \"450 4.0.0 a\" }",
         "t.conf:1:24: '450 4.0.0 a' is no reply that can reject, expected a reply such as \"550 "
         "5.7.1 Text\": a code of class 5, then one line of printable text, 400 bytes at most\n"},
        {"defaults { on X defer \"450 4.0.0 a\" on Y junk \"250 2.0.0 b\" }", ""},
        {"defaults { on X weight 1\n on X weight 2 }",
         "t.conf:2:2: 'on X weight 2' is set twice, the first time in line 1\n"},
        {"defaults { on X weight 1\n on X reject\n on X detail \"a\" weight 2 }", ""},
        {"defaults { junk 6 }", "t.conf:1:17: '6' does not go on 'junk', expected 'at' and a "
                                "score\n"},
        {"defaults { junk at 6 junk at 7 }",
         "t.conf:1:22: 'junk' is set twice, the first time in line 1\n"},
        {"defaults { junk at 6 reject at 6 }",
         "t.conf:1:12: warning: 'junk when score >= 6' never acts, because of 'reject when score "
         ">= 6'\n"},
        {"domain b\xc3\xbc"
         "cher.test { recipients any }\ndomain XN--bcher-kva.test { recipients any }",
         "t.conf:2:8: domain 'xn--bcher-kva.test' is there twice, first in line 1 of t.conf\n"},
        {"domain b\xc3\xbc"
         "..test { recipients any }",
         "t.conf:1:8: 'b\xc3\xbc"
         "..test' is no domain, expected a name such as \"example.org\" or "
         "\".example.org\"\n"},
        {"defaults { deny from \"*@b\xc3\xbc*.test\" }",
         "t.conf:1:22: '*@b\xc3\xbc*.test' does not fit 'deny', expected an address pattern such "
         "as "
         "\"*@partner.example\", or \"<>\"\n"},
        {"defaults { frobnicate }",
         "t.conf:1:12: unknown statement 'frobnicate', expected one that 'postern config rows' "
         "names\n"},
        {"domain a.test { recipients some }", "t.conf:1:28: 'some' does not go on 'recipients', "
                                              "expected list FILE, verify, local or any\n"},
        {"domain a..test { recipients any }", "t.conf:1:8: 'a..test'" NO_DOMAIN},
        {"domain *.a.test { recipients any }", "t.conf:1:8: '*.a.test'" NO_DOMAIN},
        {"domain ..a.test { recipients any }", "t.conf:1:8: '..a.test'" NO_DOMAIN},
        {"domain . { recipients any }", "t.conf:1:8: '.'" NO_DOMAIN},
        {"domain \"\" { recipients any }", "t.conf:1:8: ''" NO_DOMAIN},
        {"domain .a.test { recipients any }", ""},
        {"defaults { rejct at 6 }",
         "t.conf:1:12: unknown statement 'rejct', did you mean 'reject'?\n"},
        {"defaults { allow from \"partner.example\" }",
         "t.conf:1:23: 'partner.example' does not fit 'allow', expected an address pattern such "
         "as \"*@partner.example\", or \"<>\"\n"},
        {"defaults { allow from \"*@a.test\" if arc pass }",
         "t.conf:1:37: 'arc' does not go on 'allow', expected spf pass, dkim pass or dmarc "
         "pass\n"},
        {"defaults { allow from \"*@a.test\" if spf }",
         "t.conf:1:41: '}' does not go on 'allow', expected 'pass'\n"},
        {"defaults { deny client 10.0.0.0/8 \"550 5.7.1 Go\" deny from \"<>\" allow auth \"*\" }",
         ""},
        {"defaults { on SPF_FAIL reject with its words }",
         "t.conf:1:40: 'words' does not go on 'on', expected 'with its reply' behind reject or "
         "defer\n"},
        {"defaults { on SPF_FAIL junk with its reply }",
         "t.conf:1:34: 'its' does not go on 'on', expected 'with its reply' behind reject or "
         "defer\n"},
        {"defaults { recipients none }", "t.conf:1:23: 'none' does not go on 'recipients', "
                                         "expected list FILE, verify, local or any\n"},
        {"defaults { recipients verify }",
         "t.conf:1:12: 'recipients verify' asks the next hop, expected a route to one\n"},
        {"defaults { recipients local }", "t.conf:1:12: 'recipients local' without local users, "
                                          "expected 'users FILE' at the top\n"},
        {"defaults { route smtp mail.example:25 }",
         "t.conf:1:23: 'mail.example:25' is no next hop, expected an address with a port such as "
         "127.0.0.1:25 or [::1]:24\n"},
        {"plugins { alpha }\ndefaults { plugins off alpa, beta }",
         "t.conf:2:24: no plugin 'alpa' is configured, did you mean 'alpha'?\n"
         "t.conf:2:30: no plugin 'beta' is configured\n"},
        {"plugins { alpha }\ndefaults { on ALPHA_HTI weight 1 on ALPHA_HIT weight 2 on OTHER "
         "weight 1 }",
         "t.conf:2:15: warning: no plugin declares 'ALPHA_HTI', did you mean 'ALPHA_HIT'?\n"},
        {"domain x.test { recipients any }\ndomain X.test { recipients any }",
         "t.conf:2:8: domain 'x.test' is there twice, first in line 1 of t.conf\n"},
        {"domain \"a b\" { recipients any }", "t.conf:1:8: 'a b'" NO_DOMAIN},
        {"domain x.test { mixed up }",
         "t.conf:1:23: 'up' does not go on 'mixed', expected quarantine or split\n"
         "t.conf:1:1: domain 'x.test' does not say who can be written to, expected 'recipients "
         "list FILE', 'verify', 'local' or 'any'\n"},
    };
    CHECK(rows);
}

static void test_shipped(void)
{
    static const struct row rows[] = {
        {"include \"postern:default\"", ""},
        {"include \"postern:strict\"", ""},
        {"include \"postern:default\"\ndefaults { junk at 4 on SPF_FAIL weight 9 }", ""},
        {"include \"postern:other\"",
         "t.conf:1:9: 'postern:other': no such shipped policy, expected postern:default or "
         "postern:strict\n"},
        {"plugins { include \"postern:default\" }",
         "postern:default:9:1: "
         "/plugins/defaults.so: not there, expected a plugin (see 'postern plugin list')\n"
         "postern:default:125:1: "
         "/plugins/submitted.so: not there, expected a plugin (see 'postern plugin list')\n"},
    };
    CHECK(rows);
}

static void test_many(void)
{
    struct kit k;
    char text[64 * 1024];
    size_t n = 0;
    for (int i = 0; i < 1000; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "nosuch%d 1\n", i);
    kit_open(&k, text, "");
    UNIT_INT(k.problems.count, PN_PROBLEMS_MAX);
    UNIT_INT(k.problems.errors, 1000);
    UNIT_TRUE(pn_str_ends(kit_problems(&k), PN_STR("\n900 more, not shown\n")));
    kit_close(&k);
}

static void test_deep(void)
{
    struct kit k;
    char text[100002];
    memset(text, '{', sizeof text);
    text[0] = 'x';
    text[sizeof text - 1] = '\0';
    kit_open(&k, text, "");
    UNIT_INT(k.problems.errors, 2);
    kit_close(&k);
}

static void test_marks(void)
{
    struct kit k;
    struct pn_buf out;
    pn_buf_init(&out, SIZE_MAX);
    kit_open(&k, "budget 3s\n\tlimits { erors 5 }", "");
    pn_problems_print(&out, &k.problems, true);
    UNIT_STR(pn_buf_str(&out),
             PN_STR("t.conf:2:11: unknown setting 'erors', did you mean 'errors'?\n"
                    "     limits { erors 5 }\n"
                    "              ^\n"));
    pn_buf_fini(&out);
    kit_close(&k);
}

/* Every beginning of a whole configuration, and each with one byte spoiled: it ends, with
 * or without problems. */
static void test_cut(void)
{
    static const char text[] =
        "listen smtp 127.0.0.1:25 { proxy from 10.0.0.0/8 } limits errors 5\n"
        "plugins { alpha { words \"a\\x41\", b zone z { code 127.0.0.2 weight 4 } } beta }\n"
        "defaults { junk at 6 \"250 2.0.0 x\" on X detail \"y*\" reject plugins off beta }\n"
        "domain x.test { recipients any allow from \"*@y\" if spf pass deny client ::1 }";
    char copy[sizeof text];
    for (size_t cut = 0; cut < sizeof text; cut++) {
        struct kit k;
        memcpy(copy, text, sizeof text);
        copy[cut] = '\0';
        kit_open(&k, copy, "");
        UNIT_INT(k.policy == NULL, k.problems.errors != 0);
        kit_close(&k);
        memcpy(copy, text, sizeof text);
        copy[cut] = cut % 2 == 0 ? '{' : '"';
        copy[sizeof text - 1] = '\0';
        kit_open(&k, copy, "");
        UNIT_INT(k.policy == NULL, k.problems.errors != 0);
        kit_close(&k);
    }
}

/* ---- files ---- */

static char folder[64];

static void put(const char *name, const char *text)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    UNIT_TRUE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    (void)close(fd);
}

static void clean(void)
{
    static const char *const names[] = {"a.conf",   "b.conf",   "c.conf",   "users",
                                        "d/x.conf", "d/y.conf", "d/.z.conf"};
    char path[200];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s%s", folder, names[i]);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof path, "%sd", folder);
    (void)rmdir(path);
    (void)rmdir(folder);
}

static void prepare(void)
{
    char path[200];
    (void)snprintf(folder, sizeof folder, "/tmp/postern-test-XXXXXX");
    UNIT_TRUE(mkdtemp(folder) != NULL);
    (void)strncat(folder, "/", sizeof folder - strlen(folder) - 1);
    (void)snprintf(path, sizeof path, "%sd", folder);
    UNIT_INT(mkdir(path, 0700), 0);
}

static void problems_are(const char *text, const char *want)
{
    struct kit k;
    kit_open(&k, text, folder);
    struct pn_str got = kit_problems(&k);
    /* The folder's name is made up: leave it out. */
    UNIT_STR(pn_str_starts(got, pn_str_of(folder)) ? pn_str_slice(got, strlen(folder), got.len)
                                                   : got,
             pn_str_of(want));
    kit_close(&k);
}

static void test_include(void)
{
    prepare();
    put("a.conf", "budget 3s\ninclude b.conf\n");
    put("b.conf", "edges 2\nbudgte 2\n");
    unit_row("a problem two files down");
    problems_are("include a.conf",
                 "b.conf:2:1: unknown setting 'budgte', did you mean 'budget'?\n");
    put("b.conf", "include a.conf");
    unit_row("a circle");
    struct kit k;
    kit_open(&k, "include a.conf", folder);
    UNIT_TRUE(k.problems.errors == 1 &&
              pn_str_ends(kit_problems(&k), PN_STR("a.conf': includes itself\n")));
    kit_close(&k);
    unit_row("not there");
    kit_open(&k, "include c.conf", folder);
    UNIT_TRUE(pn_str_ends(kit_problems(&k), PN_STR("c.conf': No such file or directory\n")));
    kit_close(&k);
    unit_row("a folder");
    kit_open(&k, "include d", folder);
    UNIT_TRUE(pn_str_ends(kit_problems(&k), PN_STR("d': not a regular file\n")));
    kit_close(&k);
    clean();
}

static void test_include_glob(void)
{
    prepare();
    put("d/x.conf", "domain x.test { recipients any }");
    put("d/y.conf", "domain y.test { recipients any }");
    put("d/.z.conf", "broken");
    struct kit k;
    kit_open(&k, "include \"d/*.conf\"", folder);
    UNIT_STR(kit_problems(&k), PN_STR(""));
    UNIT_TRUE(k.policy != NULL && pn_policy_domain(k.policy, PN_STR("x.test")) != NULL &&
              pn_policy_domain(k.policy, PN_STR("y.test")) != NULL);
    kit_close(&k);
    unit_row("a block in one file, its body in another");
    put("a.conf", "junk at 6\n recipients any");
    kit_open(&k, "domain z.test { include a.conf reject at 15 }", folder);
    UNIT_STR(kit_problems(&k), PN_STR(""));
    kit_close(&k);
    clean();
}

static void test_override(void)
{
    prepare();
    put("a.conf", "budget 3s limits { errors 5 } queue { retry 1s }");
    struct kit k;
    kit_open(&k, "include a.conf\nbudget 4s queue { retry 2s }", folder);
    UNIT_STR(kit_problems(&k), PN_STR(""));
    UNIT_TRUE(k.policy != NULL);
    if (k.policy != NULL) {
        int64_t ms;
        UNIT_INT(pn_policy_int(k.policy, "budget"), 4000);
        UNIT_INT(pn_policy_int(k.policy, "limits.errors"), 5);
        UNIT_TRUE(pn_policy_int_at(k.policy, "queue.retry", 1, &ms) && ms == 2000);
    }
    kit_close(&k);
    clean();
}

static void test_users(void)
{
    static const struct {
        const char *domain, *local;
        bool want;
    } rows[] = {
        {"a.test", "alice", true},
        {"a.test", "ALICE", true},
        {"a.test", "alice+tag", true},
        {"a.test", "+tag", false},
        {"a.test", "bob", true},
        {"b.test", "bob", false},
        {"b.test", "carol", true},
        {"a.test", "carol", false},
        {"a.test", "dave", false},
        {"b.test", "alice", true},
        {"a.test", "postmaster", true},
        {"b.test", "Abuse", true},
        {"a.test", "", false},
        {"c.test", "alice", true},
        {"c.test", "bob", false},
        {"any.test", "whoever", true},
        {"a.test", "aliceandmore", false},
        {"a.test", "zo\xc3\xab", true},
        {"xn--bcher-kva.test", "erin", true},
        {"b\xc3\xbc"
         "cher.test",
         "erin", true},
        {"b\xc3\xbc"
         "cher.test",
         "frank", true},
        {"xn--fa-hia.test", "frank", false},
        {"fa\xc3\x9f.test", "grace", true},
        {"nob\xc3\xb6"
         "dy.test",
         "alice", false},
    };
    prepare();
    put("users", "# people\n\nalice\n  bob@a.test \r\nCarol@B.test\nzo\xc3\xab\nalice\n"
                 "erin@b\xc3\xbc"
                 "cher.test\nfrank@xn--bcher-kva.test\ngrace@xn--fa-hia.test\n");
    struct kit k;
    kit_open(
        &k,
        "users users domain a.test { recipients list users } domain b.test { recipients local } "
        "domain c.test { recipients list users } domain any.test { recipients any } "
        "domain b\xc3\xbc"
        "cher.test { recipients list users } "
        "domain xn--fa-hia.test { recipients list users }",
        folder);
    UNIT_STR(kit_problems(&k), PN_STR(""));
    for (size_t i = 0; k.policy != NULL && i < sizeof rows / sizeof rows[0]; i++) {
        const struct pn_domain *d = pn_policy_domain(k.policy, pn_str_of(rows[i].domain));
        unit_row(rows[i].local);
        UNIT_INT(d != NULL && pn_domain_has_user(k.policy, d, pn_str_of(rows[i].local)),
                 rows[i].want);
    }
    kit_close(&k);
    put("users", "ok\ntwo words\n@x.test\nx@b\xc3\xbc..test\nx@y.test:$y$j9T$a$b\nx:$y$a\n");
    unit_row("what is no user");
    kit_open(&k, "domain a.test { recipients list users }", folder);
    UNIT_INT(k.problems.errors, 5);
    kit_close(&k);
    clean();
}

/* ---- pieces ---- */

static void test_durations(void)
{
    static const struct {
        const char *text;
        bool want;
        int64_t ms;
        const char *print;
    } rows[] = {
        {"0", true, 0, "0"},
        {"1ms", true, 1, "1ms"},
        {"1500ms", true, 1500, "1500ms"},
        {"3s", true, 3000, "3s"},
        {"1h30m", true, 5400000, "90m"},
        {"2w", true, 1209600000, "2w"},
        {"60s", true, 60000, "1m"},
        {"1", false, 0, ""},
        {"s", false, 0, ""},
        {"1x", false, 0, ""},
        {"-1s", false, 0, ""},
        {"1 s", false, 0, ""},
        {"", false, 0, ""},
        {"9223372036854775807ms", true, INT64_MAX, "9223372036854775807ms"},
        {"9223372036854775808ms", false, 0, ""},
        {"9223372036854775807s", false, 0, ""},
        {"9223372036854775807ms1ms", false, 0, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t ms = 0;
        unit_row(rows[i].text);
        UNIT_INT(pn_duration_parse(pn_str_of(rows[i].text), &ms), rows[i].want);
        UNIT_INT(ms, rows[i].ms);
        struct pn_buf b;
        pn_buf_init(&b, 100);
        if (rows[i].want)
            pn_duration_print(&b, ms);
        UNIT_STR(pn_buf_str(&b), pn_str_of(rows[i].print));
        pn_buf_fini(&b);
    }
}

static void test_sizes_and_weights(void)
{
    static const struct {
        const char *text;
        bool size_ok;
        int64_t size;
        bool weight_ok;
        int32_t weight;
    } rows[] = {
        {"0", true, 0, true, 0},
        {"64k", true, 65536, false, 0},
        {"10M", true, 10485760, false, 0},
        {"1g1k", true, 1073742848, false, 0},
        {"512", true, 512, true, 512000},
        {"-1", false, 0, true, -1000},
        {"2.5", false, 0, true, 2500},
        {"-0.05", false, 0, true, -50},
        {"0.001", false, 0, true, 1},
        {"0.0001", false, 0, false, 0},
        {".5", false, 0, false, 0},
        {"5.", false, 0, false, 0},
        {"--1", false, 0, false, 0},
        {"2000000", true, 2000000, true, 2000000000},
        {"2000001", true, 2000001, false, 0},
        {"99999999999999999999", false, 0, false, 0},
        {"8589934592g", false, 0, false, 0},
        {"", false, 0, false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t size = 0;
        int32_t weight = 0;
        unit_row(rows[i].text);
        UNIT_INT(pn_size_parse(pn_str_of(rows[i].text), &size), rows[i].size_ok);
        UNIT_INT(size, rows[i].size);
        UNIT_INT(pn_weight_parse(pn_str_of(rows[i].text), &weight), rows[i].weight_ok);
        UNIT_INT(weight, rows[i].weight);
    }
}

static void test_replies(void)
{
    static const struct {
        const char *text;
        int reply_class;
        bool want;
    } rows[] = {
        {"550 5.7.1 No", 5, true},
        {"550 No", 5, true},
        {"550 5.7.1", 5, true},
        {"550", 5, false},
        {"550 ", 5, false},
        {"550-5.7.1 No", 5, false},
        {"450 4.7.1 No", 5, false},
        {"550 2.7.1 No", 5, false},
        {"451 4.7.1 Later", 4, true},
        {"250 2.0.0 Ok", 2, true},
        {"560 5.0.0 x", 5, false},
        {"550 5.7.1 a\nb", 5, false},
        {"550 5.7.1 a\x7f", 5, false},
        {"550 5.1234.1 x", 5, true},
        {"550 5.7 x", 5, true},
        {"", 5, false},
    };
    char at[PN_REPLY_TEXT_MAX + 2];
    struct pn_buf err;
    pn_buf_init(&err, SIZE_MAX);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].text);
        UNIT_INT(pn_reply_check(pn_str_of(rows[i].text), rows[i].reply_class, &err), rows[i].want);
    }
    memset(at, 'x', sizeof at);
    memcpy(at, "550 ", 4);
    unit_row("at the limit");
    UNIT_TRUE(pn_reply_check((struct pn_str){at, PN_REPLY_TEXT_MAX}, 5, &err));
    UNIT_TRUE(!pn_reply_check((struct pn_str){at, PN_REPLY_TEXT_MAX + 1}, 5, &err));
    pn_buf_fini(&err);
}

static void test_suggest(void)
{
    static const char *const names[] = {"threshold", "timeout", "weight", NULL};
    static const struct {
        const char *word, *want;
    } rows[] = {
        {"treshold", "threshold"},
        {"thershold", "threshold"},
        {"Timeout", "timeout"},
        {"wieght", "weight"},
        {"weigh", "weight"},
        {"height", "weight"},
        {"zzz", NULL},
        {"", NULL},
        {"w", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *got = pn_suggest(pn_str_of(rows[i].word), names);
        unit_row(rows[i].word);
        UNIT_STR(pn_str_of(got == NULL ? "" : got),
                 pn_str_of(rows[i].want == NULL ? "" : rows[i].want));
    }
    UNIT_INT(pn_edit_distance(PN_STR("ab"), PN_STR("ba"), 5), 1);
    UNIT_INT(pn_edit_distance(PN_STR(""), PN_STR("abc"), 5), 3);
    UNIT_INT(pn_edit_distance(PN_STR("abcdef"), PN_STR("x"), 2), 3);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"tokens", test_tokens},
        {"statements", test_statements},
        {"mailbox", test_mailbox},
        {"folder names", test_folder_names},
        {"submission", test_submission},
        {"values", test_values},
        {"plugins", test_plugins},
        {"policies", test_policies},
        {"shipped", test_shipped},
        {"many problems", test_many},
        {"deep", test_deep},
        {"marks", test_marks},
        {"cut", test_cut},
        {"include", test_include},
        {"include a pattern", test_include_glob},
        {"a later file counts", test_override},
        {"users", test_users},
        {"durations", test_durations},
        {"sizes and weights", test_sizes_and_weights},
        {"replies", test_replies},
        {"suggest", test_suggest},
        {NULL, NULL},
    };
    return unit_main("language", tests, argc, argv);
}
