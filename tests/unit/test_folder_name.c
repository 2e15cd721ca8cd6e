#include "unit.h"

#include "folder_name.h"
#include "folders.h"
#include "maildir.h"

static struct pn_str disk_of(struct pn_buf *b, const char *name)
{
    pn_buf_clear(b);
    return maildir_folder_name(b, pn_str_of(name)) ? pn_buf_str(b) : PN_STR("(none)");
}

static void test_to_disk(void)
{
    static const struct {
        const char *name, *want;
    } rows[] = {
        {"", ""},
        {"INBOX", ""},
        {"inBox", ""},
        {"Junk", ".Junk"},
        {"Lists/Dev", ".Lists.Dev"},
        {"inbox/a", ".INBOX.a"},
        {"inboxes/a", ".inboxes.a"},
        {"a b", ".a b"},
        {"R&D", ".R&-D"},
        {"v1.2/x", ".v1&AC4-2.x"},
        {".", ".&AC4-"},
        {"..", ".&AC4-&AC4-"},
        {"a..b", ".a&AC4-&AC4-b"},
        {"Entw\xc3\xbcrfe", ".Entw&APw-rfe"},
        {"\xc3\xa9.\xc3\xbc", ".&AOk-&AC4-&APw-"},
        {"\xe2\x82\xac/\xf0\x9f\x93\xa8", ".&IKw-.&2D3c6A-"},
        {"/", "(none)"},
        {"a/", "(none)"},
        {"/a", "(none)"},
        {"a//b", "(none)"},
        {"x\ty", "(none)"},
        {"x\x7f", "(none)"},
        {"c1\xc2\x85", "(none)"},
        {"latin\xfc", "(none)"},
        {"1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16", ".1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16"},
        {"1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", "(none)"},
    };
    struct pn_buf b, back;
    pn_buf_init(&b, 1000);
    pn_buf_init(&back, 1000);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool proper = false;
        unit_row(rows[i].name);
        UNIT_STR(disk_of(&b, rows[i].name), pn_str_of(rows[i].want));
        if (rows[i].want[0] != '.')
            continue;
        pn_buf_clear(&back);
        UNIT_TRUE(folder_name_of_disk(&back, pn_buf_str(&b), &proper) && proper);
        struct pn_buf clean;
        pn_buf_init(&clean, 1000);
        UNIT_TRUE(folder_name_clean(&clean, pn_str_of(rows[i].name)));
        UNIT_STR(pn_buf_str(&back), pn_buf_str(&clean));
        pn_buf_fini(&clean);
    }
    pn_buf_fini(&b);
    pn_buf_fini(&back);
}

static void test_limits(void)
{
    static char name[PN_FOLDER_NAME_MAX + 2];
    struct pn_buf b;
    pn_buf_init(&b, 1000);
    memset(name, 'a', PN_FOLDER_NAME_MAX);
    UNIT_INT(disk_of(&b, name).len, PN_FOLDER_NAME_MAX + 1);
    name[PN_FOLDER_NAME_MAX] = 'a';
    UNIT_STR(disk_of(&b, name), PN_STR("(none)"));
    /* Short enough, but not on disk: each dot is five bytes there. */
    memset(name, 0, sizeof name);
    memset(name, '.', 50);
    UNIT_INT(disk_of(&b, name).len, 251);
    name[50] = '.';
    UNIT_STR(disk_of(&b, name), PN_STR("(none)"));
    pn_buf_fini(&b);
}

static void test_of_disk(void)
{
    static const struct {
        const char *disk, *want;
        bool proper;
    } rows[] = {
        {".Junk", "Junk", true},
        {".Lists.Dev", "Lists/Dev", true},
        {".&AOk-", "\xc3\xa9", true},
        {".R&-D", "R&D", true},
        {".R&D", "R&D", false}, /* made by hand, or by a program that knows no UTF-7 */
        {".Entw\xc3\xbcrfe", "Entw\xc3\xbcrfe", false},
        {".a&AGI-", "a&AGI-", false}, /* a letter shifted for nothing */
        {".&AC8-", "&AC8-", false},   /* a slash */
        {".&AC4-", ".", true},
        {".", NULL, false},
        {"..", NULL, false},
        {"..a", NULL, false},
        {".a.", NULL, false},
        {".a..b", NULL, false},
        {"cur", NULL, false},
        {"", NULL, false},
        {".INBOX", NULL, false},
        {".inbox", NULL, false},
        {".inbox.a", NULL, false}, /* INBOX/a is .INBOX.a */
        {".INBOX.a", "INBOX/a", true},
        {".a\nb", NULL, false},
        {".latin\xfc", NULL, false},
    };
    struct pn_buf b;
    pn_buf_init(&b, 1000);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool proper = false;
        unit_row(rows[i].disk);
        pn_buf_clear(&b);
        bool ok = folder_name_of_disk(&b, pn_str_of(rows[i].disk), &proper);
        UNIT_INT(ok, rows[i].want != NULL);
        if (!ok || rows[i].want == NULL)
            continue;
        UNIT_STR(pn_buf_str(&b), pn_str_of(rows[i].want));
        UNIT_INT(proper, rows[i].proper);
        struct pn_buf plain;
        pn_buf_init(&plain, 1000);
        if (!proper) {
            UNIT_TRUE(folder_name_plain(&plain, pn_buf_str(&b)));
            UNIT_STR(pn_buf_str(&plain), pn_str_of(rows[i].disk));
        }
        pn_buf_fini(&plain);
    }
    pn_buf_fini(&b);
}

static void test_order(void)
{
    static const char *const sorted[] = {"INBOX", "INBOX/b", "A", "A/x", "A/x/y",
                                         "A!",    "A.",      "B", "a",   "\xc3\xa9"};
    enum { COUNT = sizeof sorted / sizeof sorted[0] };
    for (int i = 0; i < COUNT; i++)
        for (int j = 0; j < COUNT; j++) {
            unit_row(sorted[i]);
            int cmp = folder_name_cmp(pn_str_of(sorted[i]), pn_str_of(sorted[j]));
            UNIT_INT((cmp > 0) - (cmp < 0), (i > j) - (i < j));
        }
    UNIT_INT(folder_name_cmp(PN_STR(""), PN_STR("INBOX")), 0);
}

static void test_levels(void)
{
    UNIT_STR(folder_name_parent(PN_STR("a/b/c")), PN_STR("a/b"));
    UNIT_TRUE(folder_name_parent(PN_STR("a")).p == NULL);
    UNIT_TRUE(folder_name_below(PN_STR("a/b"), PN_STR("a")));
    UNIT_TRUE(!folder_name_below(PN_STR("ab"), PN_STR("a")));
    UNIT_TRUE(!folder_name_below(PN_STR("a"), PN_STR("a")));
}

static void test_special_use(void)
{
    for (unsigned use = PN_USE_NONE; use < PN_USES; use++)
        UNIT_INT(pn_special_use_find(pn_str_of(pn_special_use_name((enum pn_special_use)use))),
                 use);
    UNIT_INT(pn_special_use_find(PN_STR("\\jUNK")), PN_USE_JUNK);
    UNIT_INT(pn_special_use_find(PN_STR("\\All")), PN_USES);
    UNIT_INT(pn_special_use_find(PN_STR("Junk")), PN_USES);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"to_disk", test_to_disk},
                                             {"limits", test_limits},
                                             {"of_disk", test_of_disk},
                                             {"order", test_order},
                                             {"levels", test_levels},
                                             {"special_use", test_special_use},
                                             {NULL, NULL}};
    return unit_main("folder_name", tests, argc, argv);
}
