#include "unit.h"

#include "folder_name.h"
#include "list_select.h"

#include <stdlib.h>

static struct list_pattern *pattern(struct pn_pool *pool, const char *reference, const char *name)
{
    struct list_pattern *p = list_pattern_new(pool, pn_str_of(reference), pn_str_of(name));
    UNIT_TRUE(p != NULL);
    return p;
}

static void test_pattern(void)
{
    static const struct {
        const char *reference, *pattern, *name;
        bool want;
    } rows[] = {
        {"", "", "a", false},
        {"", "a", "a", true},
        {"", "a", "A", false},
        {"", "a", "ab", false},
        {"", "*", "a/b/c", true},
        {"", "%", "a", true},
        {"", "%", "a/b", false},
        {"", "%/%", "a/b", true},
        {"", "%/%", "a/b/c", false},
        {"", "a/*", "a", false},
        {"", "a*", "a", true},
        {"", "a*", "a/b", true},
        {"", "a%", "a", true},
        {"", "a%", "a/b", false},
        {"", "*b", "a/b", true},
        {"", "*b", "a/b/c", false},
        {"", "%b", "a/b", false},
        {"", "*%b", "a/b", true}, /* side by side: the wider one */
        {"", "%*b", "a/b", true},
        {"", "%%b", "a/b", false},
        {"", "**", "", true},
        {"", "*a*a*a", "aaa", true},
        {"", "*a*a*a", "aa", false},
        {"", "*%a%/*%", "xxaxx/yy/z", true},
        {"a/", "%", "a/b", true},
        {"a/", "%", "b", false},
        {"a", "b", "ab", true},
        {"", "inbox", "INBOX", true},
        {"", "InBox", "INBOX", true},
        {"", "in%", "INBOX", true},
        {"", "inbox/x", "INBOX/x", true},
        {"", "inbox/X", "INBOX/x", false},
        {"", "inboxes", "INBOXES", false},
        {"", "\xc3\xbc%", "\xc3\xbcx", true},
    };
    struct pn_pool *pool = pn_pool_new(8 * 1024 * 1024);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].pattern);
        UNIT_INT(list_pattern_matches(pattern(pool, rows[i].reference, rows[i].pattern),
                                      pn_str_of(rows[i].name)),
                 rows[i].want);
    }
    pn_pool_free(&pool);
}

/* As long as can be, one more, and such as make others go back and forth. */
static void test_pattern_limits(void)
{
    static char name[PN_FOLDER_NAME_MAX + 1], odd[2 * PN_FOLDER_NAME_MAX + 4], stars[100001];
    struct pn_pool *pool = pn_pool_new(1024 * 1024);
    memset(name, 'a', PN_FOLDER_NAME_MAX);
    for (size_t i = 0; i < 2 * PN_FOLDER_NAME_MAX; i += 2)
        memcpy(odd + i, "%a", 2);
    UNIT_TRUE(list_pattern_matches(pattern(pool, "", odd), pn_str_of(name)));
    odd[2 * PN_FOLDER_NAME_MAX] = '*';
    UNIT_TRUE(list_pattern_matches(pattern(pool, "", odd), pn_str_of(name)));
    odd[2 * PN_FOLDER_NAME_MAX + 1] = 'a';
    UNIT_TRUE(!list_pattern_matches(pattern(pool, "", odd), pn_str_of(name)));
    odd[2 * PN_FOLDER_NAME_MAX + 1] = '\0';
    odd[2 * PN_FOLDER_NAME_MAX - 1] = 'b';
    UNIT_TRUE(!list_pattern_matches(pattern(pool, "", odd), pn_str_of(name)));
    memset(stars, '*', sizeof stars - 1);
    UNIT_TRUE(list_pattern_matches(pattern(pool, "", stars), pn_str_of(name)));
    memset(stars, 'a', sizeof stars - 1);
    UNIT_TRUE(!list_pattern_matches(pattern(pool, "", stars), pn_str_of(name)));
    UNIT_TRUE(list_pattern_new(pool, PN_STR("a"), PN_STR("")) != NULL);
    pn_pool_free(&pool);
    pool = pn_pool_new(4096);
    UNIT_TRUE(list_pattern_new(pool, PN_STR("a"), PN_STR("")) == NULL);
    pn_pool_free(&pool);
}

/*
 * A user's folders, one letter a property: s subscribed, c has children, - does not exist, J \Junk,
 * S \Sent. Those of RFC 5258, section 5, example 10 among them.
 */
static const struct {
    const char *name, *what;
} folders[] = {
    {"INBOX", "s"},      {"Junk", "J"},       {"Sent", "sS"},         {"baz2", "c"},
    {"baz2/bar2", "s"},  {"baz2/bar22", "s"}, {"baz2/bar222", "s"},   {"eps2", "c"},
    {"eps2/mamba", "s"}, {"foo2", "c"},       {"foo2/bar1", "s"},     {"foo2/bar2", "s"},
    {"gone", "-"},       {"gone/deep", "-"},  {"gone/deep/er", "-s"}, {"qux2", "-c"},
    {"qux2/bar2", "s"},  {"zip", ""},
};
enum { FOLDERS = sizeof folders / sizeof folders[0] };

static void folders_fill(struct pn_folder_entry v[FOLDERS])
{
    for (size_t i = 0; i < FOLDERS; i++) {
        const char *what = folders[i].what;
        v[i] = (struct pn_folder_entry){.name = pn_str_of(folders[i].name),
                                        .use = strchr(what, 'J') != NULL   ? PN_USE_JUNK
                                               : strchr(what, 'S') != NULL ? PN_USE_SENT
                                                                           : PN_USE_NONE,
                                        .exists = strchr(what, '-') == NULL,
                                        .subscribed = strchr(what, 's') != NULL,
                                        .children = strchr(what, 'c') != NULL};
        UNIT_TRUE(i == 0 || folder_name_cmp(v[i - 1].name, v[i].name) < 0);
    }
}

static bool choose(const struct pn_folder_list *list, const struct list_ask *ask,
                   struct pn_pool *pool, struct list_rows *out)
{
    struct list_choice choice;
    bool ok = list_choice_init(&choice, list, ask, pool);
    while (ok && !list_choose(&choice, 0))
        ;
    *out = choice.rows;
    return ok;
}

static void test_select(void)
{
    enum { LSUB = 1024 };
    static const struct {
        unsigned how;
        const char *a, *b; /* patterns */
        const char *want;  /* names; + behind those with something below them to tell of */
    } rows[] = {
        {0, "*", NULL,
         "INBOX Junk Sent baz2 baz2/bar2 baz2/bar22 baz2/bar222 eps2 eps2/mamba foo2 foo2/bar1 "
         "foo2/bar2 qux2 qux2/bar2 zip"},
        {0, "%", NULL, "INBOX Junk Sent baz2 eps2 foo2 qux2 zip"},
        {0, "%/%", NULL,
         "baz2/bar2 baz2/bar22 baz2/bar222 eps2/mamba foo2/bar1 foo2/bar2 "
         "qux2/bar2"},
        {0, "inbox", "Junk", "INBOX Junk"},
        {0, "zip", "z*", "zip"}, /* once, though both match */
        {0, "none", NULL, ""},
        {LIST_REMOTE, "z%", NULL, "zip"},
        {LIST_SUBSCRIBED, "%", NULL, "INBOX Sent"},
        {LIST_SUBSCRIBED, "gone*", NULL, "gone/deep/er"},
        {LIST_SPECIAL_USE, "*", NULL, "Junk Sent"},
        {LIST_SPECIAL_USE | LIST_SUBSCRIBED, "*", NULL, "Sent"},
        {LIST_SUBSCRIBED | LIST_RECURSIVE, "*2", NULL,
         "baz2/bar2 baz2/bar22 baz2/bar222 eps2+ foo2+ foo2/bar2 qux2/bar2"},
        {LIST_SUBSCRIBED | LIST_RECURSIVE, "%", NULL, "INBOX Sent baz2+ eps2+ foo2+ gone+ qux2+"},
        {LIST_SUBSCRIBED | LIST_RECURSIVE, "*", NULL,
         "INBOX Sent baz2/bar2 baz2/bar22 baz2/bar222 eps2/mamba foo2/bar1 foo2/bar2 "
         "gone/deep/er qux2/bar2"},
        {LIST_SUBSCRIBED | LIST_RECURSIVE, "gone/%", NULL, "gone/deep+"},
        {LSUB, "*", NULL,
         "INBOX Sent baz2/bar2 baz2/bar22 baz2/bar222 eps2/mamba foo2/bar1 foo2/bar2 "
         "gone/deep/er qux2/bar2"},
        {LSUB, "%", NULL, "INBOX Sent baz2+ eps2+ foo2+ gone+ qux2+"},
        {LSUB, "gone/deep/%", NULL, "gone/deep/er"},
    };
    struct pn_folder_entry v[FOLDERS];
    folders_fill(v);
    const struct pn_folder_list list = {v, FOLDERS};
    struct pn_buf got;
    pn_buf_init(&got, 10000);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_pool *pool = pn_pool_new(1024 * 1024);
        struct list_pattern *patterns[2] = {pattern(pool, "", rows[i].a), NULL};
        if (rows[i].b != NULL)
            patterns[1] = pattern(pool, "", rows[i].b);
        const struct list_ask ask = {.lsub = rows[i].how == LSUB,
                                     .select = rows[i].how == LSUB ? 0 : rows[i].how,
                                     .patterns = patterns,
                                     .pattern_count = rows[i].b == NULL ? 1 : 2};
        struct list_rows out;
        unit_row(rows[i].a);
        pn_buf_clear(&got);
        UNIT_TRUE(choose(&list, &ask, pool, &out));
        for (size_t k = 0; k < out.count; k++)
            (void)pn_buf_addf(&got, "%s%.*s%s", k == 0 ? "" : " ", PN_FMT(out.v[k].entry->name),
                              out.v[k].below ? "+" : "");
        UNIT_STR(pn_buf_str(&got), pn_str_of(rows[i].want));
        pn_pool_free(&pool);
    }
    pn_buf_fini(&got);
}

static void test_select_limits(void)
{
    struct pn_folder_entry v[FOLDERS];
    struct pn_folder_list list = {v, 0};
    struct list_rows out;
    struct pn_pool *pool = pn_pool_new(1024);
    const struct list_ask ask = {.pattern_count = 0};
    folders_fill(v);
    UNIT_TRUE(choose(&list, &ask, pool, &out) && out.count == 0);
    list.count = FOLDERS;
    UNIT_TRUE(choose(&list, &ask, pool, &out) && out.count == 0);
    pn_pool_free(&pool);
    pool = pn_pool_new(300);
    UNIT_TRUE(!choose(&list, &ask, pool, &out));
    pn_pool_free(&pool);
}

/* Many folders: a piece each time, and all in the end. */
static void test_select_pieces(void)
{
    enum { MANY = 1000 };
    static struct pn_folder_entry v[MANY];
    static char names[MANY][8];
    struct pn_pool *pool = pn_pool_new(1000000);
    struct list_pattern *pattern = list_pattern_new(pool, PN_STR(""), PN_STR("*7"));
    const struct list_ask ask = {.patterns = &pattern, .pattern_count = 1};
    const struct pn_folder_list list = {v, MANY};
    struct list_choice choice;
    unsigned calls = 1;
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof names[i], "%03u", i);
        v[i] = (struct pn_folder_entry){.name = pn_str_of(names[i]), .exists = true};
    }
    UNIT_TRUE(list_choice_init(&choice, &list, &ask, pool));
    while (!list_choose(&choice, 0))
        calls++;
    UNIT_INT(calls, MANY / 64 + 1);
    UNIT_INT(choice.rows.count, MANY / 10);
    UNIT_STR(choice.rows.v[99].entry->name, PN_STR("997"));
    UNIT_TRUE(list_choice_init(&choice, &list, &ask, pool) && list_choose(&choice, UINT64_MAX));
    UNIT_INT(choice.rows.count, MANY / 10);
    pn_pool_free(&pool);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"pattern", test_pattern},
                                             {"pattern_limits", test_pattern_limits},
                                             {"select", test_select},
                                             {"select_limits", test_select_limits},
                                             {"select_pieces", test_select_pieces},
                                             {NULL, NULL}};
    return unit_main("list", tests, argc, argv);
}
