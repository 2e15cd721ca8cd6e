/* The plugin clamav in a host, with a signature file of ours. EICAR is made at run time,
 * so that no scanner takes this file for it. */
#include "unit.h"

#include "buf.h"
#include "clamav_names.h"
#include "clamav_tmp.h"
#include "codec.h"
#include "fakehost.h"

#include <stdio.h>
#include <stdlib.h>
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
                {"Heuristics.Broken.Executable", CLAMAV_HEURISTIC},
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

/* One entry of a tar archive: 512 bytes of header, 512 of content. */
static void add_tar_entry(struct pn_buf *b, int number)
{
    unsigned char h[1024] = {0};
    unsigned sum = 0;

    (void)snprintf((char *)h, 100, "file%d", number);
    (void)snprintf((char *)h + 100, 8, "0000644");
    (void)snprintf((char *)h + 124, 12, "%011o", 8);
    (void)snprintf((char *)h + 136, 12, "00000000000");
    memset(h + 148, ' ', 8);
    h[156] = '0';
    (void)snprintf((char *)h + 257, 6, "ustar");
    memcpy(h + 263, "00", 2);
    for (size_t i = 0; i < 512; i++)
        sum += h[i];
    (void)snprintf((char *)h + 148, 8, "%06o", sum);
    (void)snprintf((char *)h + 512, 9, "%08d", number);
    (void)pn_buf_add(b, h, sizeof(h));
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
                                             {"setup", test_setup},
                                             {"no signatures", test_no_signatures},
                                             {"folder", test_folder},
                                             {NULL, NULL}};

    if (mkdtemp(tmp) == NULL)
        return 1;
    fakehost_tmp(tmp);
    return unit_main("plugin_clamav", tests, argc, argv);
}
