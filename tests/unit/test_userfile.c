/* The file of users: what is read, what is refused and where, and what edits leave alone. */
#include "unit.h"

#include "userfile.h"
#include "userstore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH43 "9WNEpu8Mx2S4KNGvbVWKM6clOSoY6.YEl7AYF4DGV04"
#define Y      "$y$j9T$abcdefgh$" HASH43
#define KEY    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
#define SALT   "W22ZaJ0SNY7soEsUEjb6gQ=="
#define SCRAM  "SCRAM-SHA-256$4096:" SALT "$" KEY ":" KEY
#define A16    "aaaaaaaaaaaaaaaa"
#define A64    A16 A16 A16 A16

static void test_names(void)
{
    static const struct {
        const char *label, *in, *want; /* NULL: none */
    } rows[] = {
        {"as it is", "ann@here.test", "ann@here.test"},
        {"capitals", "Ann.B+c@HERE.Test", "ann.b+c@here.test"},
        {"a U-label",
         "ann@b\xc3\xbc"
         "cher.test",
         "ann@xn--bcher-kva.test"},
        {"beyond ASCII", "b\xc3\xbcro@here.test", "b\xc3\xbcro@here.test"},
        {"empty", "", NULL},
        {"no domain", "ann", NULL},
        {"no local part", "@here.test", NULL},
        {"nothing behind the @", "ann@", NULL},
        {"quoted", "\"ann\"@here.test", NULL},
        {"a literal", "ann@[192.0.2.1]", NULL},
        {"a colon", "a:b@here.test", NULL},
        {"a blank", "a b@here.test", NULL},
        {"brackets", "<ann@here.test>", NULL},
        {"a line feed", "ann@here.test\n", NULL},
        {"no UTF-8", "\xff@here.test", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_buf b;
        pn_buf_init(&b, PN_USER_NAME_MAX);
        unit_row(rows[i].label);
        bool ok = pn_user_name(pn_str_of(rows[i].in), &b);
        UNIT_TRUE(ok == (rows[i].want != NULL));
        UNIT_STR(pn_buf_str(&b), pn_str_of(rows[i].want == NULL ? "" : rows[i].want));
        pn_buf_fini(&b);
    }
    unit_row("");
}

static void test_long_names(void)
{
    char text[400];
    for (size_t n = PN_USER_NAME_MAX - 3; n < PN_USER_NAME_MAX + 4; n++) {
        struct pn_buf b;
        pn_buf_init(&b, PN_USER_NAME_MAX);
        memset(text, 'a', n);
        memcpy(text + n - 10, "@here.test", 10);
        UNIT_TRUE(pn_user_name((struct pn_str){text, n}, &b) == (n <= PN_USER_NAME_MAX));
        pn_buf_fini(&b);
    }
}

static void test_lines(void)
{
    static const struct {
        const char *label, *in;
        unsigned column; /* 0: a user */
        const char *scram, *options;
    } rows[] = {
        {"all of it", "a@b.test:" Y ":" SCRAM ":quota=1 x-y2=:=", 0, SCRAM, "quota=1 x-y2=:="},
        {"no options", "a@b.test:" Y ":" SCRAM ":", 0, SCRAM, ""},
        {"no third colon", "a@b.test:" Y ":" SCRAM, 0, SCRAM, ""},
        {"no SCRAM", "a@b.test:" Y "::x=1", 0, "", "x=1"},
        {"no second colon", "a@b.test:" Y, 0, "", ""},
        {"two colons", "a@b.test:" Y "::", 0, "", ""},
        {"blanks between options", "a@b.test:" Y ":: x=1  y=2 ", 0, "", " x=1  y=2 "},
        {"beyond ASCII", "a@b.test:" Y "::x=\xc3\xbc", 0, "", "x=\xc3\xbc"},
        {"no name", ":" Y, 1, NULL, NULL},
        {"a name alone", "a@b.test", 9, NULL, NULL},
        {"a blank before it", " a@b.test:" Y, 1, NULL, NULL},
        {"a capital", "A@b.test:" Y, 1, NULL, NULL},
        {"a U-label", "a@\xc3\xbc.test:" Y, 1, NULL, NULL},
        {"no domain", "a:" Y, 1, NULL, NULL},
        {"no verifier", "a@b.test::" SCRAM, 10, NULL, NULL},
        {"another hash", "a@b.test:$1$abcdefgh$irWbblnpmw.5z7wgBnprh0", 10, NULL, NULL},
        {"a password", "a@b.test:secret", 10, NULL, NULL},
        {"a blank behind the hash", "a@b.test:" Y " ", 10, NULL, NULL},
        {"a cost too dear", "a@b.test:$y$jGT$abcdefgh$" HASH43, 10, NULL, NULL},
        {"a cost of none", "a@b.test:$y$$abcdefgh$" HASH43, 10, NULL, NULL},
        {"no salt", "a@b.test:$y$j9T$$" HASH43, 10, NULL, NULL},
        {"a hash too long", "a@b.test:" Y "a", 10, NULL, NULL},
        {"a comma in it", "a@b.test:$y$j9T$abc,efgh$" HASH43, 10, NULL, NULL},
        {"SCRAM-SHA-1", "a@b.test:$y$j9T$abcdefgh$" HASH43 ":SCRAM-SHA-1$4096:" SALT, 70, NULL,
         NULL},
        {"options in SCRAM's place", "a@b.test:" Y ":x=1", 70, NULL, NULL},
        {"SCRAM cut short", "a@b.test:" Y ":SCRAM-SHA-256$4096:" SALT "$" KEY, 70, NULL, NULL},
        {"a CR", "a@b.test:" Y "\r", 69, NULL, NULL},
        {"a tab", "a@b.test:" Y "::x=1\ty=2", 74, NULL, NULL},
        {"no UTF-8", "a@b.test:" Y "::x=\xff", 73, NULL, NULL},
        {"an option without =", "a@b.test:" Y "::x=1 y", 75, NULL, NULL},
        {"an option without key", "a@b.test:" Y "::=1", 71, NULL, NULL},
        {"a capital in a key", "a@b.test:" Y "::xY=1", 71, NULL, NULL},
        {"a key twice", "a@b.test:" Y "::x=1 y=2 x=1", 79, NULL, NULL},
        {"a key at its limit", "a@b.test:" Y "::" A16 A16 "=", 0, "", A16 A16 "="},
        {"a key too long", "a@b.test:" Y "::" A16 A16 "a=", 71, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_userfile_walk walk;
        struct pn_user user;
        struct pn_userfile_error error = {0, 0, ""};
        unit_row(rows[i].label);
        pn_userfile_start(&walk, pn_str_of(rows[i].in));
        int got = pn_userfile_next(&walk, &user, &error);
        UNIT_INT(got, rows[i].column == 0 ? 1 : -1);
        UNIT_INT(error.column, rows[i].column);
        if (got != 1 || rows[i].column != 0)
            continue;
        UNIT_STR(user.name, PN_STR("a@b.test"));
        UNIT_STR(user.yescrypt, PN_STR(Y));
        UNIT_STR(user.scram, pn_str_of(rows[i].scram));
        UNIT_STR(user.options, pn_str_of(rows[i].options));
        UNIT_INT(pn_userfile_next(&walk, &user, &error), 0);
    }
    unit_row("");
}

static void test_scram(void)
{
    static const struct {
        const char *label, *in;
        bool ok;
    } rows[] = {
        {"whole", SCRAM, true},
        {"empty", "", false},
        {"the mechanism alone", "SCRAM-SHA-256", false},
        {"small letters", "scram-sha-256$4096:" SALT "$" KEY ":" KEY, false},
        {"as many as may be", "SCRAM-SHA-256$10000000:" SALT "$" KEY ":" KEY, true},
        {"too many", "SCRAM-SHA-256$10000001:" SALT "$" KEY ":" KEY, false},
        {"too few", "SCRAM-SHA-256$4095:" SALT "$" KEY ":" KEY, false},
        {"a zero in front", "SCRAM-SHA-256$04096:" SALT "$" KEY ":" KEY, false},
        {"no number", "SCRAM-SHA-256$:" SALT "$" KEY ":" KEY, false},
        {"no salt", "SCRAM-SHA-256$4096:$" KEY ":" KEY, false},
        {"a salt of 64 bytes", "SCRAM-SHA-256$4096:" A64 A16 "aaaaaA==$" KEY ":" KEY, true},
        {"a salt of 65", "SCRAM-SHA-256$4096:" A64 A16 "aaaaaaA=$" KEY ":" KEY, false},
        {"no base64", "SCRAM-SHA-256$4096:" SALT "$" KEY ":*" KEY, false},
        {"a key of 33 bytes", "SCRAM-SHA-256$4096:" SALT "$" A16 A16 A16 "aaaa:" KEY, false},
        {"a key of 3 bytes", "SCRAM-SHA-256$4096:" SALT "$" KEY ":aaaa", false},
        {"a third key", SCRAM ":" KEY, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_scram scram;
        unit_row(rows[i].label);
        bool ok = pn_scram_parse(pn_str_of(rows[i].in), &scram);
        UNIT_TRUE(ok == rows[i].ok);
        struct pn_buf b;
        pn_buf_init(&b, 1000);
        if (ok)
            pn_scram_print(&scram, &b);
        UNIT_TRUE(!ok || pn_str_starts(pn_buf_str(&b), PN_STR("SCRAM-SHA-256$")));
        pn_buf_fini(&b);
    }
    for (size_t n = 0; n < strlen(SCRAM); n++) {
        struct pn_scram scram;
        unit_row("cut short");
        UNIT_TRUE(!pn_scram_parse((struct pn_str){SCRAM, n}, &scram));
    }
    unit_row("");
}

static void test_limits(void)
{
    struct pn_buf b;
    struct pn_userfile file;
    struct pn_userfile_error error;
    for (size_t n = PN_USERFILE_LINE_MAX - 1; n < PN_USERFILE_LINE_MAX + 2; n++) {
        pn_buf_init(&b, 10000);
        (void)pn_buf_addz(&b, "# x\na@b.test:" Y "::x=");
        while (b.len < n + 4)
            (void)pn_buf_addc(&b, 'v');
        bool ok = pn_userfile_read(&file, pn_buf_str(&b), &error);
        UNIT_TRUE(ok == (n <= PN_USERFILE_LINE_MAX));
        if (!ok) {
            UNIT_INT(error.line, 2);
            UNIT_INT(error.column, PN_USERFILE_LINE_MAX + 1);
        }
        pn_userfile_fini(&file);
        pn_buf_fini(&b);
    }
    for (int n = PN_USER_OPTIONS_MAX; n < PN_USER_OPTIONS_MAX + 2; n++) {
        pn_buf_init(&b, 10000);
        (void)pn_buf_addz(&b, "a@b.test:" Y "::");
        for (int i = 0; i < n; i++)
            (void)pn_buf_addf(&b, "k%d=v ", i);
        UNIT_TRUE(pn_userfile_read(&file, pn_buf_str(&b), &error) == (n == PN_USER_OPTIONS_MAX));
        pn_userfile_fini(&file);
        pn_buf_fini(&b);
    }
}

#define FILE3 "# users\n\nb@b.test:" Y "::x=1\n  # more\na@b.test:" Y ":" SCRAM "\nc@b.test:" Y

static void test_read(void)
{
    struct pn_userfile file;
    struct pn_userfile_error error;
    UNIT_TRUE(pn_userfile_read(&file, PN_STR(FILE3), &error));
    UNIT_INT(file.count, 3);
    UNIT_INT(pn_userfile_find(&file, PN_STR("a@b.test"))->number, 5);
    UNIT_INT(pn_userfile_find(&file, PN_STR("c@b.test"))->number, 6);
    UNIT_TRUE(pn_userfile_find(&file, PN_STR("d@b.test")) == NULL);
    UNIT_TRUE(pn_userfile_find(&file, PN_STR("")) == NULL);
    pn_userfile_fini(&file);
    UNIT_TRUE(pn_userfile_read(&file, (struct pn_str){NULL, 0}, &error));
    UNIT_TRUE(pn_userfile_find(&file, PN_STR("a@b.test")) == NULL);
    pn_userfile_fini(&file);
    UNIT_TRUE(!pn_userfile_read(
        &file, PN_STR("z@b.test:" Y "\na@b.test:" Y "\n\nz@b.test:" Y "\na@b.test:" Y), &error));
    UNIT_INT(error.line, 4);
    UNIT_STR(pn_str_of(error.text), PN_STR("the user stands in line 1 already"));
    pn_userfile_fini(&file);
}

/* Each edit of a file leaves the rest as it was. */
static void test_edits(void)
{
    static const struct {
        const char *label, *name, *in, *want; /* in its name: replaced; NULL: removed */
        bool remove;
    } rows[] = {
        {"the first user", "n@b.test", "", "n@b.test:" Y "::\n", false},
        {"behind a line feed", "n@b.test", "# x\n", "# x\nn@b.test:" Y "::\n", false},
        {"behind none", "n@b.test", "# x", "# x\nn@b.test:" Y "::\n", false},
        {"replaced, options stay", "b@b.test", "#1\nb@b.test:" Y ":" SCRAM ":x=1  y=2\n#2",
         "#1\nb@b.test:" Y "::x=1  y=2\n#2", false},
        {"replaced at the end", "b@b.test", "#1\nb@b.test:" Y, "#1\nb@b.test:" Y "::", false},
        {"removed", "b@b.test", "#1\n\nb@b.test:" Y "\n#2\n", "#1\n\n#2\n", true},
        {"the last one removed", "b@b.test", "#1\nb@b.test:" Y, "#1\n", true},
        {"the only one removed", "b@b.test", "b@b.test:" Y "\n", "", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_userfile file;
        struct pn_userfile_error error;
        struct pn_buf out;
        struct pn_str in = pn_str_of(rows[i].in);
        unit_row(rows[i].label);
        pn_buf_init(&out, 1000);
        UNIT_TRUE(pn_userfile_read(&file, in, &error));
        const struct pn_user *old = pn_userfile_find(&file, pn_str_of(rows[i].name));
        struct pn_user user = {.name = pn_str_of(rows[i].name), .yescrypt = PN_STR(Y)};
        if (old != NULL)
            user.options = old->options;
        UNIT_TRUE(rows[i].remove ? pn_userfile_remove(in, old, &out)
                  : old == NULL  ? pn_userfile_add(in, &user, &out)
                                 : pn_userfile_replace(in, old, &user, &out));
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
        pn_userfile_fini(&file);
        pn_buf_fini(&out);
    }
    unit_row("");
}

static void check_file(const char *path, struct pn_str want, mode_t mode)
{
    struct pn_userstore store;
    struct stat st;
    UNIT_INT(pn_userstore_open(&store, path, PN_USERSTORE_READ), 0);
    UNIT_STR(pn_buf_str(&store.text), want);
    UNIT_INT(fstat(store.fd, &st), 0);
    UNIT_INT(st.st_mode & 07777, mode);
    pn_userstore_close(&store);
}

static void write_file(const char *path, struct pn_str text)
{
    struct pn_userstore store;
    UNIT_INT(pn_userstore_open(&store, path, PN_USERSTORE_CREATE), 0);
    UNIT_INT(pn_userstore_write(&store, text), 0);
    pn_userstore_close(&store);
}

static void test_store(void)
{
    char folder[] = "/tmp/test_userfile.XXXXXX", path[64], link_path[64], beside[64];
    struct pn_userstore store;
    UNIT_TRUE(mkdtemp(folder) != NULL);
    (void)snprintf(path, sizeof path, "%s/users", folder);
    (void)snprintf(link_path, sizeof link_path, "%s/link", folder);
    (void)snprintf(beside, sizeof beside, "%s/.users.new", folder);
    (void)umask(0);
    UNIT_INT(pn_userstore_open(&store, path, PN_USERSTORE_WRITE), ENOENT);
    pn_userstore_close(&store);
    UNIT_INT(pn_userstore_open(&store, folder, PN_USERSTORE_READ), EINVAL);
    pn_userstore_close(&store);
    write_file(path, PN_STR("one\n"));
    check_file(path, PN_STR("one\n"), 0640);
    unit_row("what a cut left is no hindrance, and a wide mode is narrowed");
    UNIT_INT(symlink("/nowhere", beside), 0);
    UNIT_INT(chmod(path, 0666), 0);
    UNIT_INT(symlink("users", link_path), 0);
    write_file(link_path, PN_STR("two\n"));
    check_file(path, PN_STR("two\n"), 0640);
    UNIT_INT(access(beside, F_OK), -1);
    unit_row("the link stays, a narrow mode too");
    char to[16];
    UNIT_INT(readlink(link_path, to, sizeof to), 5);
    UNIT_INT(chmod(path, 0600), 0);
    write_file(path, PN_STR(""));
    check_file(path, PN_STR(""), 0600);
    unit_row("too large");
    UNIT_INT(truncate(path, PN_USERFILE_MAX + 1), 0);
    UNIT_INT(pn_userstore_open(&store, path, PN_USERSTORE_READ), EFBIG);
    pn_userstore_close(&store);
    unit_row("");
    (void)unlink(path);
    (void)unlink(link_path);
    UNIT_INT(rmdir(folder), 0); /* nothing else was left in it */
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"names", test_names},
        {"long names", test_long_names},
        {"lines", test_lines},
        {"verifiers of SCRAM", test_scram},
        {"limits", test_limits},
        {"a file", test_read},
        {"edits", test_edits},
        {"on disk", test_store},
        {NULL, NULL},
    };
    return unit_main("userfile", tests, argc, argv);
}
