/* The plugin clamav in a host, with a signature file of ours. EICAR is made at run time,
 * so that no scanner takes this file for it. */
#include "unit.h"

#include "buf.h"
#include "clamav_clamd.h"
#include "clamav_names.h"
#include "clamav_tmp.h"
#include "clamav_watch.h"
#include "codec.h"
#include "fakehost.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

extern const struct postern_plugin postern_plugin;

#define SIGNATURES TOP "/contrib/demo/clamav/eicar.ndb"

static const struct fake_row settings[] = {
    {"signatures", {SIGNATURES}}, {"database", {TOP "/contrib/demo/clamav"}}, {NULL}};
static char tmp[] = "/tmp/test_plugin_clamav.XXXXXX";

static void test_names(void)
{
    static const struct {
        const char *name;
        enum clamav_kind want;
    } rows[] = {{"Win.Test.EICAR_HDB-1", CLAMAV_VIRUS},
                {"Heuristics.Limits.Exceeded.MaxScanTime", CLAMAV_UNSCANNABLE},
                {"Heuristics.Limits.Exceeded.MaxFileSize", CLAMAV_UNSCANNABLE},
                {"Heuristics.Encrypted.Zip", CLAMAV_ENCRYPTED},
                {"Heuristics.OLE2.ContainsMacros.VBA", CLAMAV_MACRO},
                {"Heuristics.Broken.Executable", CLAMAV_BROKEN},
                {"Heuristics.Phishing.Email", CLAMAV_HEURISTIC},
                {"Heuristics", CLAMAV_VIRUS},
                {"", CLAMAV_VIRUS}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unit_row(rows[i].name);
        UNIT_INT(clamav_kind(rows[i].name), rows[i].want);
    }
}

static const char eicar[] = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$" /* one half */
                            "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*";

static void scan(struct fakehost *h, const char *label, struct pn_str text, const char *want)
{
    unit_row(label);
    fakehost_reset(h);
    fakehost_client(h, "192.0.2.1", "x");
    fakehost_envelope(h, "a@a.test", "b@b.test");
    fakehost_message(h, text);
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
    UNIT_STR(fakehost_facts(h), pn_str_of(want));
}

static void add_part(struct pn_buf *b, const char *bytes, const char *header)
{
    (void)pn_buf_addf(b,
                      "%sMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
                      "--b\n\nhello\n--b\nContent-Type: application/octet-stream\n"
                      "Content-Transfer-Encoding: base64\n\n",
                      header);
    pn_base64_encode(b, pn_str_of(bytes));
    (void)pn_buf_addz(b, "\n--b--\n");
}

static void test_scan(void)
{
    static const char *const headers[] = {"From: a@a.test\nSubject: s\n",
                                          "X-Odd: the scanner does not know this one\nFrom: a\n",
                                          "MIME-Version: 1.0\n"};
    struct fakehost *h = fakehost_new(&postern_plugin, settings, NULL);
    struct pn_buf b;

    pn_buf_init(&b, 4096);
    UNIT_STR(fakehost_setup_error(h), PN_STR(""));
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        pn_buf_clear(&b);
        add_part(&b, eicar, headers[i]);
        scan(h, headers[i], pn_buf_str(&b), "VIRUS_FOUND=20(Postern.Eicar-Test.UNOFFICIAL)");
    }
    pn_buf_clear(&b);
    add_part(&b, "harmless", headers[0]);
    scan(h, "clean", pn_buf_str(&b), "");
    scan(h, "empty", PN_STR(""), "");
    scan(h, "header alone", PN_STR("From: a\n"), "");
    pn_buf_fini(&b);
    fakehost_free(&h);
}

/* One entry of a tar archive. */
static void add_tar_file(struct pn_buf *b, int number, struct pn_str content)
{
    static const char zeros[512];
    unsigned char h[512] = {0};
    unsigned sum = 0;

    (void)snprintf((char *)h, 100, "file%d", number);
    (void)snprintf((char *)h + 100, 8, "0000644");
    (void)snprintf((char *)h + 124, 12, "%011o", (unsigned)content.len);
    (void)snprintf((char *)h + 136, 12, "00000000000");
    memset(h + 148, ' ', 8);
    h[156] = '0';
    (void)snprintf((char *)h + 257, 6, "ustar");
    memcpy(h + 263, "00", 2);
    for (size_t i = 0; i < 512; i++)
        sum += h[i];
    (void)snprintf((char *)h + 148, 8, "%06o", sum);
    (void)pn_buf_add(b, h, sizeof(h));
    (void)pn_buf_adds(b, content);
    (void)pn_buf_add(b, zeros, (512 - content.len % 512) % 512);
}

static void add_tar_entry(struct pn_buf *b, int number)
{
    char text[16];
    int n = snprintf(text, sizeof(text), "%08d", number);

    add_tar_file(b, number, (struct pn_str){text, (size_t)n});
}

static void add_attachment(struct pn_buf *b, struct pn_str bytes)
{
    (void)pn_buf_addz(b, "From: a\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n"
                         "\n--b\nContent-Type: application/octet-stream\n"
                         "Content-Transfer-Encoding: base64\n\n");
    pn_base64_encode(b, bytes);
    (void)pn_buf_addz(b, "\n--b--\n");
}

static const struct fake_row small[] = {{"signatures", {SIGNATURES}},
                                        {"database", {TOP "/contrib/demo/clamav"}},
                                        {"max-files", {"10"}},
                                        {"max-scan-size", {"1m"}},
                                        {NULL}};

static const struct fake_row shallow[] = {{"signatures", {SIGNATURES}},
                                          {"database", {TOP "/contrib/demo/clamav"}},
                                          {"max-depth", {"3"}},
                                          {NULL}};
static const struct fake_row hasty[] = {{"signatures", {SIGNATURES}},
                                        {"database", {TOP "/contrib/demo/clamav"}},
                                        {"max-time", {"1ms"}},
                                        {NULL}};

/* Mails within mails, and EICAR in the innermost. */
static void add_nested(struct pn_buf *b, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++)
        (void)pn_buf_addz(b, "From: a\nMIME-Version: 1.0\nContent-Type: message/rfc822\n\n");
    add_part(b, eicar, "From: a\n");
}

static void test_depth(void)
{
    struct fakehost *h = fakehost_new(&postern_plugin, shallow, NULL);
    struct pn_buf b, tar;

    pn_buf_init(&b, SIZE_MAX);
    pn_buf_init(&tar, SIZE_MAX);
    add_nested(&b, 1);
    scan(h, "a mail in a mail", pn_buf_str(&b), "VIRUS_FOUND=20(Postern.Eicar-Test.UNOFFICIAL)");
    /* Archives that hold one another, deeper than is looked into. */
    add_tar_entry(&tar, 0);
    for (int depth = 0; depth < 5; depth++) {
        struct pn_buf outer;

        pn_buf_init(&outer, SIZE_MAX);
        add_tar_file(&outer, depth, pn_buf_str(&tar));
        pn_buf_fini(&tar);
        tar = outer;
    }
    pn_buf_clear(&b);
    add_attachment(&b, pn_buf_str(&tar));
    scan(h, "too deep", pn_buf_str(&b),
         "VIRUS_UNSCANNABLE=6(Heuristics.Limits.Exceeded.MaxRecursion)");
    pn_buf_fini(&tar);
    pn_buf_fini(&b);
    fakehost_free(&h);
}

/* Some hundred times as much as one millisecond suffices for. */
static void test_time(void)
{
    struct fakehost *h = fakehost_new(&postern_plugin, hasty, NULL);
    struct pn_buf b, tar;

    pn_buf_init(&b, SIZE_MAX);
    pn_buf_init(&tar, SIZE_MAX);
    for (int i = 0; i < 2000; i++)
        add_tar_entry(&tar, i);
    add_attachment(&b, pn_buf_str(&tar));
    scan(h, "too long", pn_buf_str(&b),
         "VIRUS_UNSCANNABLE=6(Heuristics.Limits.Exceeded.MaxScanTime)");
    pn_buf_fini(&tar);
    pn_buf_fini(&b);
    fakehost_free(&h);
}

/* What can't be unpacked is a fact each time that it comes. */
static void test_broken(void)
{
    static const char seven[] = "7z\xbc\xaf\x27\x1c\0\4 this is none of it, whatever it says so.";
    static const char zip[] = "PK\3\4\24\0\0\0\10\0 and no more than a beginning of the file....";
    struct fakehost *h = fakehost_new(&postern_plugin, settings, NULL);
    struct pn_buf b, tar;

    pn_buf_init(&b, SIZE_MAX);
    pn_buf_init(&tar, SIZE_MAX);
    add_attachment(&b, (struct pn_str){seven, sizeof(seven) - 1});
    scan(h, "7z", pn_buf_str(&b), "VIRUS_BROKEN=1(7z)");
    scan(h, "7z again", pn_buf_str(&b), "VIRUS_BROKEN=1(7z)");
    pn_buf_clear(&b);
    add_attachment(&b, (struct pn_str){zip, sizeof(zip) - 1});
    scan(h, "zip", pn_buf_str(&b), "VIRUS_BROKEN=1(zip)");
    add_tar_entry(&tar, 1);
    pn_buf_clear(&b);
    add_attachment(&b, pn_buf_str(&tar));
    scan(h, "tar", pn_buf_str(&b), "");
    pn_buf_clear(&tar);
    add_tar_file(&tar, 1, (struct pn_str){zip, sizeof(zip) - 1});
    pn_buf_clear(&b);
    add_attachment(&b, pn_buf_str(&tar));
    scan(h, "zip in a tar", pn_buf_str(&b), "VIRUS_BROKEN=1(zip)");
    pn_buf_fini(&tar);
    pn_buf_fini(&b);
    fakehost_free(&h);
}

/* The scanner stops where base64 is padded, readers of mail may not. */
static void test_hidden(void)
{
    struct fakehost *h = fakehost_new(&postern_plugin, settings, NULL);
    struct pn_buf b;

    pn_buf_init(&b, SIZE_MAX);
    for (unsigned parts = 1; parts <= 51; parts += 50) {
        pn_buf_clear(&b);
        (void)pn_buf_addz(
            &b, "From: a\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n");
        for (unsigned i = 1; i < parts; i++)
            (void)pn_buf_addz(&b, "\n--b\nContent-Transfer-Encoding: base64\n\neA==\nfooter\n");
        (void)pn_buf_addz(&b, "\n--b\nContent-Transfer-Encoding: Base64\n\neA==\n");
        pn_base64_encode(&b, pn_str_of(eicar));
        (void)pn_buf_addz(&b, "\n--b--\n");
        scan(h, parts == 1 ? "behind padding" : "behind padding of the 51st part", pn_buf_str(&b),
             parts == 1 ? "VIRUS_FOUND=20(Postern.Eicar-Test.UNOFFICIAL)"
                        : "VIRUS_UNSCANNABLE=6(more behind the padding of base64 than can be "
                          "scanned)");
    }
    scan(h, "a footer behind padding",
         PN_STR("From: a\nContent-Transfer-Encoding: base64\n\neA==\n____\na list's footer\n"), "");
    pn_buf_fini(&b);
    fakehost_free(&h);
}

/* A limit that is reached must not read as clean. */
static void test_limits(void)
{
    struct fakehost *h = fakehost_new(&postern_plugin, small, NULL);
    struct pn_buf b, tar;

    pn_buf_init(&b, SIZE_MAX);
    pn_buf_init(&tar, SIZE_MAX);
    (void)pn_buf_addz(&b, "From: a\n\n");
    for (int i = 0; i < 20000; i++)
        (void)pn_buf_addz(&b,
                          "seventy bytes of text, nothing to a scanner of any kind or sort..\n");
    scan(h, "too large", pn_buf_str(&b), "VIRUS_UNSCANNABLE=6(message is too large)");
    for (int i = 0; i < 30; i++)
        add_tar_entry(&tar, i);
    pn_buf_clear(&b);
    add_attachment(&b, pn_buf_str(&tar));
    scan(h, "too many files", pn_buf_str(&b),
         "VIRUS_UNSCANNABLE=6(Heuristics.Limits.Exceeded.MaxFiles)");
    pn_buf_clear(&b);
    (void)pn_buf_addz(&b,
                      "From: a\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n");
    for (int i = 0; i < 10; i++) /* with the whole: one more than 10 */
        (void)pn_buf_addz(&b, "\n--b\n\nx");
    scan(h, "too many parts", pn_buf_str(&b), "VIRUS_UNSCANNABLE=6(message has too many parts)");
    pn_buf_fini(&b);
    pn_buf_fini(&tar);
    fakehost_free(&h);
}

static void test_setup(void)
{
    static const struct fake_row nowhere[] = {{"database", {"/nonexistent"}}, {NULL}};
    static const struct fake_row none[] = {{"database", {TOP "/contrib/m4"}}, {NULL}};
    static const struct fake_row no_file[] = {
        {"database", {TOP "/contrib/demo/clamav"}}, {"signatures", {"/nonexistent.ndb"}}, {NULL}};
    static const struct fake_row *const bad[] = {nowhere, none, no_file};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct fakehost *h = fakehost_new(&postern_plugin, bad[i], NULL);

        UNIT_TRUE(fakehost_instance(h) == NULL);
        UNIT_TRUE(fakehost_setup_error(h).len > 0);
        fakehost_free(&h);
    }
}

/* Without any signature mail goes on, and says so in each message. */
static void test_no_signatures(void)
{
    struct fakehost *h;

    if (access("/var/lib/clamav", R_OK) == 0)
        return; /* the machine has signatures: the case is not to be had */
    h = fakehost_new(&postern_plugin, NULL, NULL);
    UNIT_TRUE(pn_str_starts(fakehost_setup_error(h), PN_STR("warn: nothing is scanned")));
    scan(h, "no signatures", PN_STR("From: a\n\nhello\n"), "VIRUS_NOT_SCANNED=0(no signatures)");
    fakehost_free(&h);
}

/* ---- clamd */

static void test_address(void)
{
    static const struct {
        const char *text;
        int family; /* 0: refused */
    } rows[] = {{"unix:/run/clamd.ctl", AF_UNIX},
                {"inet:127.0.0.1:3310", AF_INET},
                {"inet:[::1]:3310", AF_INET6},
                {"", 0},
                {"unix:", 0},
                {"unix:run/clamd", 0},
                {"inet:127.0.0.1", 0},
                {"inet:127.0.0.1:", 0},
                {"inet:127.0.0.1:0", 0},
                {"inet:127.0.0.1:65535", AF_INET},
                {"inet:127.0.0.1:65536", 0},
                {"inet:127.0.0.1:1x", 0},
                {"inet:::1:3310", 0},
                {"inet:[::1:3310", 0},
                {"inet:localhost:3310", 0},
                {"tcp:127.0.0.1:3310", 0}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct clamav_address a;
        const char *error =
            clamav_address_read(&a, (struct postern_str){rows[i].text, strlen(rows[i].text)});

        unit_row(rows[i].text);
        UNIT_INT(error == NULL, rows[i].family != 0);
        if (error == NULL)
            UNIT_INT(a.at.any.sa_family, rows[i].family);
    }
}

static void test_reply(void)
{
    static const struct {
        const char *line;
        enum clamav_reply want;
        const char *text;
    } rows[] = {
        {"stream: OK", CLAMAV_REPLY_OK, ""},
        {"stream: Win.Test.EICAR_HDB-1 FOUND", CLAMAV_REPLY_FOUND, "Win.Test.EICAR_HDB-1"},
        {"stream: a name FOUND", CLAMAV_REPLY_FOUND, "a name"},
        {"stream:  FOUND", CLAMAV_REPLY_STRANGE, ""},
        {"stream: FOUND", CLAMAV_REPLY_STRANGE, ""},
        {"x FOUND", CLAMAV_REPLY_STRANGE, ""},
        {"stream: OK FOUND", CLAMAV_REPLY_FOUND, "OK"},
        {"stream: OK ", CLAMAV_REPLY_STRANGE, ""},
        {"OK", CLAMAV_REPLY_STRANGE, ""},
        {"", CLAMAV_REPLY_STRANGE, ""},
        {"stream: x\n FOUND", CLAMAV_REPLY_STRANGE, ""},
        {"stream: \xc3\xa4 FOUND", CLAMAV_REPLY_STRANGE, ""},
        {"INSTREAM size limit exceeded. ERROR", CLAMAV_REPLY_TOO_LARGE,
         "INSTREAM size limit exceeded."},
        {"stream: Can't allocate memory ERROR", CLAMAV_REPLY_ERROR, "Can't allocate memory"},
        {"UNKNOWN COMMAND", CLAMAV_REPLY_STRANGE, ""}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct postern_str line = {rows[i].line, strlen(rows[i].line)}, text;

        unit_row(rows[i].line);
        UNIT_INT(clamav_reply_read(line, &text), rows[i].want);
        if (rows[i].want != CLAMAV_REPLY_TOO_LARGE)
            UNIT_STR(((struct pn_str){text.p, text.len}), pn_str_of(rows[i].text));
    }
    char longest[CLAMAV_REPLY_MAX + 1];
    struct postern_str text;

    memset(longest, 'x', sizeof(longest));
    memcpy(longest, "stream: ", 8);
    memcpy(longest + sizeof(longest) - 7, " FOUND", 6);
    unit_row("at the limit");
    UNIT_INT(clamav_reply_read((struct postern_str){longest, sizeof(longest) - 1}, &text),
             CLAMAV_REPLY_FOUND);
    memcpy(longest + sizeof(longest) - 7, "x FOUND", 7);
    unit_row("one too many");
    UNIT_INT(clamav_reply_read((struct postern_str){longest, sizeof(longest)}, &text),
             CLAMAV_REPLY_STRANGE);
}

/* A clamd of ours: takes connections one after the other; of each it reads INSTREAM to its
 * end or to `most` bytes, gives its next reply and closes. Without a reply it just closes. */
struct clamd {
    int fd;
    const char *const *replies;
    unsigned connections, count;
    size_t most;
    unsigned char *got; /* content of the last stream */
    size_t len;
};

static bool read_exactly(int fd, void *p, size_t n)
{
    return recv(fd, p, n, MSG_WAITALL) == (ssize_t)n;
}

static bool read_stream(struct clamd *d, int fd)
{
    char command[10];
    unsigned char head[4];

    d->len = 0;
    if (!read_exactly(fd, command, sizeof(command)) || memcmp(command, "zINSTREAM", 10) != 0)
        return false;
    while (read_exactly(fd, head, sizeof(head))) {
        size_t n = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];

        if (n == 0)
            return true;
        if (d->len + n > d->most)
            return true;
        if (!read_exactly(fd, d->got + d->len, n))
            return false;
        d->len += n;
    }
    return false;
}

static const char silent[] = "";
static const char *state_locked = "yes"; /* rows macros and encrypted */

static void *clamd_run(void *arg)
{
    struct clamd *d = arg;

    for (unsigned i = 0; i < d->count; i++) {
        int fd = accept(d->fd, NULL, NULL);
        const char *reply = d->replies[i];

        d->connections++;
        if (reply == silent)
            (void)!read(fd, &(char){0}, read_stream(d, fd)); /* until it lets go */
        else if (reply != NULL && read_stream(d, fd) && reply[0] != '\0') {
            /* In two pieces, the second with the NUL. */
            (void)!write(fd, reply, 1);
            (void)!write(fd, reply + 1, strlen(reply));
        }
        (void)close(fd);
    }
    return NULL;
}

static void play_clamd(const char *label, struct pn_str text, const char *const *replies,
                       unsigned count, size_t most, int want, const char *facts)
{
    char address[200];
    const struct fake_row by_clamd[] = {{"mode", {"clamd"}},
                                        {"clamd", {address}},
                                        {"max-time", {replies[0] == silent ? "100ms" : "5s"}},
                                        {"macros", {state_locked}},
                                        {"encrypted", {state_locked}},
                                        {NULL}};
    struct clamd d = {.replies = replies, .count = count, .most = most};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    pthread_t thread;

    unit_row(label);
    (void)snprintf(un.sun_path, sizeof(un.sun_path), "%s/clamd", tmp);
    (void)snprintf(address, sizeof(address), "unix:%s", un.sun_path);
    d.got = malloc(most + 1);
    d.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    UNIT_TRUE(bind(d.fd, (struct sockaddr *)&un, sizeof(un)) == 0 && listen(d.fd, 5) == 0);
    UNIT_TRUE(pthread_create(&thread, NULL, clamd_run, &d) == 0);

    struct fakehost *h = fakehost_new(&postern_plugin, by_clamd, NULL);

    UNIT_STR(fakehost_setup_error(h), PN_STR(""));
    fakehost_client(h, "192.0.2.1", "x");
    fakehost_envelope(h, "a@a.test", "b@b.test");
    fakehost_message(h, text);
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), want);
    UNIT_STR(fakehost_facts(h), pn_str_of(facts));
    UNIT_TRUE(pthread_join(thread, NULL) == 0);
    UNIT_INT(d.connections, count);
    if (want == POSTERN_OK && most > text.len + 100)
        UNIT_TRUE(d.len > text.len &&
                  memcmp(d.got, "Received: by scanner\r\nFrom: a\r\n", 31) == 0);
    fakehost_free(&h);
    (void)close(d.fd);
    (void)unlink(un.sun_path);
    free(d.got);
}

static void test_clamd(void)
{
    static const char *const ok[] = {"stream: OK"};
    static const char *const found[] = {"stream: Win.Test.EICAR_HDB-1 FOUND"};
    static const char *const limit[] = {"stream: Heuristics.Limits.Exceeded.MaxFiles FOUND"};
    static const char *const locked[] = {"stream: Heuristics.Encrypted.Zip FOUND"};
    static const char *const large[] = {"INSTREAM size limit exceeded. ERROR"};
    static const char *const error[] = {"stream: Can't create temporary directory ERROR"};
    static const char *const strange[] = {"PONG"};
    static const char *const again[] = {NULL, "", "stream: OK"};
    struct pn_buf b;

    pn_buf_init(&b, SIZE_MAX);
    (void)pn_buf_addz(&b, "From: a\r\n\r\n");
    while (b.len < 1000 * 1000)
        (void)pn_buf_addz(&b,
                          "seventy bytes of text, nothing to a scanner of any kind or sort.\r\n");
    const struct pn_str mail = PN_STR("From: a\r\n\r\nhello\r\n"), long_mail = pn_buf_str(&b);
    const size_t most = 2000 * 1000;

    play_clamd("clean", mail, ok, 1, most, POSTERN_OK, "");
    play_clamd("long", long_mail, ok, 1, most, POSTERN_OK, "");
    play_clamd("found", mail, found, 1, most, POSTERN_OK, "VIRUS_FOUND=20(Win.Test.EICAR_HDB-1)");
    play_clamd("a limit of clamd's", mail, limit, 1, most, POSTERN_OK,
               "VIRUS_UNSCANNABLE=6(Heuristics.Limits.Exceeded.MaxFiles)");
    play_clamd("encrypted", mail, locked, 1, most, POSTERN_OK,
               "VIRUS_ENCRYPTED=1(Heuristics.Encrypted.Zip)");
    static const char *const spoofed[] = {"stream: Heuristics.Phishing.Email.SpoofedDomain FOUND"};
    static const char *const macro[] = {"stream: Heuristics.OLE2.ContainsMacros.VBA FOUND"};
    static const char *const program[] = {"stream: Heuristics.Broken.Executable FOUND"};

    play_clamd("a heuristic", mail, spoofed, 1, most, POSTERN_OK,
               "VIRUS_HEURISTIC=4(Heuristics.Phishing.Email.SpoofedDomain)");
    play_clamd("macros", mail, macro, 1, most, POSTERN_OK,
               "VIRUS_MACRO=1.5(Heuristics.OLE2.ContainsMacros.VBA)");
    play_clamd("a broken program", mail, program, 1, most, POSTERN_OK,
               "VIRUS_BROKEN=1(Heuristics.Broken.Executable)");
    state_locked = "no";
    play_clamd("macros, not to be stated", mail, macro, 1, most, POSTERN_OK, "");
    play_clamd("encrypted, not to be stated", mail, locked, 1, most, POSTERN_OK, "");
    state_locked = "yes";
    play_clamd("too large for clamd", long_mail, large, 1, 1000, POSTERN_OK,
               "VIRUS_UNSCANNABLE=6(message is too large for clamd)");
    play_clamd("its error", mail, error, 1, most, POSTERN_ERROR, "");
    play_clamd("strange", mail, strange, 1, most, POSTERN_ERROR, "");
    play_clamd("silent", mail, &(const char *){silent}, 1, most, POSTERN_ERROR, "");
    char endless[CLAMAV_REPLY_MAX + 2] = "stream: ";

    memset(endless + 8, 'x', sizeof(endless) - 9);
    endless[sizeof(endless) - 1] = '\0';
    play_clamd("endless", mail, &(const char *){endless}, 1, most, POSTERN_ERROR, "");
    const struct pn_str hidden =
        PN_STR("From: a\r\nContent-Transfer-Encoding: base64\r\n\r\neA==\r\nZXZpbA==\r\n");
    static const char *const second[] = {"stream: OK", "stream: Evil FOUND"};

    play_clamd("behind padding", hidden, second, 2, 50, POSTERN_OK, "VIRUS_FOUND=20(Evil)");
    play_clamd("it lets go twice and comes back", mail, again, 3, most, POSTERN_OK, "");
    pn_buf_fini(&b);
}

static void test_no_clamd(void)
{
    static const struct fake_row nobody[] = {{"mode", {"clamd"}},
                                             {"clamd", {"unix:/nonexistent/clamd"}},
                                             {"max-time", {"150ms"}},
                                             {NULL}};
    static const struct fake_row nowhere[] = {
        {"mode", {"clamd"}}, {"clamd", {"localhost"}}, {NULL}};
    struct fakehost *h = fakehost_new(&postern_plugin, nobody, NULL);

    fakehost_client(h, "192.0.2.1", "x");
    fakehost_envelope(h, "a@a.test", "b@b.test");
    fakehost_message(h, PN_STR("From: a\n\nhello\n"));
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_ERROR);
    UNIT_STR(fakehost_facts(h), PN_STR(""));
    fakehost_free(&h);
    h = fakehost_new(&postern_plugin, nowhere, NULL);
    UNIT_TRUE(fakehost_instance(h) == NULL);
    fakehost_free(&h);
}

/* ---- new signatures */

static void write_file(const char *name, const char *text)
{
    char path[300];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", tmp, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    UNIT_TRUE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static void test_watch(void)
{
    char file[300];
    struct clamav_watch *w = clamav_watch_new();

    (void)snprintf(file, sizeof(file), "%s/more.yara", tmp);
    write_file("a.ndb", "1");
    UNIT_TRUE(clamav_watch_add(w, tmp) && clamav_watch_add(w, file));
    UNIT_INT(clamav_watch_changed(w), 0);
    write_file("freshclam.dat", "its own");
    UNIT_INT(clamav_watch_changed(w) + clamav_watch_changed(w), 0);
    write_file("b.hdb", "22");
    UNIT_INT(clamav_watch_changed(w), 0); /* somebody may be writing it */
    write_file("b.hdb", "333");
    UNIT_INT(clamav_watch_changed(w), 0);
    UNIT_INT(clamav_watch_changed(w), 1);
    UNIT_INT(clamav_watch_changed(w), 0); /* said once */
    write_file("a.ndb", "4444");
    UNIT_INT(clamav_watch_changed(w) * 10 + clamav_watch_changed(w), 1);
    write_file("more.yara", "rule"); /* one that was named and not there */
    UNIT_INT(clamav_watch_changed(w) * 10 + clamav_watch_changed(w), 1);
    (void)unlink(file);
    UNIT_INT(clamav_watch_changed(w) * 10 + clamav_watch_changed(w), 1);
    clamav_watch_free(w);
    (void)snprintf(file, sizeof(file), "%s/a.ndb", tmp);
    (void)unlink(file);
    (void)snprintf(file, sizeof(file), "%s/b.hdb", tmp);
    (void)unlink(file);
    (void)snprintf(file, sizeof(file), "%s/freshclam.dat", tmp);
    (void)unlink(file);
}

/* What a worker that is gone left behind goes; what others use stays. */
static void test_folder(void)
{
    char path[200], kept[200], ours[200];

    (void)snprintf(path, sizeof(path), "%s/w%d", tmp, (int)getppid());
    (void)snprintf(kept, sizeof(kept), "%s/other", tmp);
    UNIT_TRUE(mkdir(path, 0700) == 0 && mkdir(kept, 0700) == 0);
    /* A number that no process can have. */
    (void)snprintf(ours, sizeof(ours), "%s/w999999999", tmp);
    UNIT_TRUE(mkdir(ours, 0700) == 0);
    (void)snprintf(ours, sizeof(ours), "%s/w999999999/deep", tmp);
    UNIT_TRUE(mkdir(ours, 0700) == 0);

    char *made = clamav_tmp_new((struct postern_str){tmp, strlen(tmp)});

    UNIT_TRUE(made != NULL && access(made, W_OK) == 0);
    UNIT_TRUE(access(ours, F_OK) != 0);
    UNIT_TRUE(access(path, F_OK) == 0 && access(kept, F_OK) == 0);
    clamav_tmp_free(made);
    UNIT_TRUE(rmdir(path) == 0 && rmdir(kept) == 0);
    UNIT_TRUE(rmdir(tmp) == 0); /* nothing else is left */
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"names", test_names},
                                             {"scan", test_scan},
                                             {"limits", test_limits},
                                             {"depth", test_depth},
                                             {"time", test_time},
                                             {"broken", test_broken},
                                             {"hidden", test_hidden},
                                             {"setup", test_setup},
                                             {"clamd's address", test_address},
                                             {"clamd's replies", test_reply},
                                             {"clamd", test_clamd},
                                             {"no clamd", test_no_clamd},
                                             {"new signatures", test_watch},
                                             {"no signatures", test_no_signatures},
                                             {"folder", test_folder},
                                             {NULL, NULL}};

    if (mkdtemp(tmp) == NULL)
        return 1;
    fakehost_tmp(tmp);
    return unit_main("plugin_clamav", tests, argc, argv);
}
