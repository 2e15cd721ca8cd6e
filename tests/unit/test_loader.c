#include "unit.h"

#include "loader.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int callback(struct postern_call *c)
{
    (void)c;
    return POSTERN_OK;
}

static int object_new(struct postern_call *c, void **object)
{
    *object = NULL;
    return callback(c);
}

static void nothing(void *arg)
{
    (void)arg;
}

static bool has(struct pn_buf *b, const char *word)
{
    return strstr(pn_buf_cstr(b), word) != NULL;
}

static void test_load(void)
{
    static const struct {
        const char *file;
        const char *want; /* in the sentence; NULL: loads */
    } rows[] = {
        {PLUGINS "/shout.so", NULL},
        {PLUGINS "/shout_major.so", "built for plugin ABI 2.0, this Postern has 1.0"},
        {PLUGINS "/shout_minor.so", "built for plugin ABI 1.1, this Postern has 1.0"},
        {PLUGINS "/shout_size.so", "its descriptor has"},
        {PLUGINS "/shout_huge.so", "not a plugin's descriptor"},
        {PLUGINS "/shout_tiny.so", "not a plugin's descriptor"},
        {PLUGINS "/shout_hidden.so", "exports no `postern_plugin`"},
        {PLUGINS "/shout_name.so", "a plugin's name is"},
        {PLUGINS "/none.so", "No such file"},
        {PLUGINS, "regular file"},
        {"/dev/null", "regular file"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_buf err;
        pn_buf_init(&err, 4096);
        unit_row(rows[i].file);
        struct pn_plugin *p = pn_plugin_load(rows[i].file, &err);
        UNIT_INT(p != NULL, rows[i].want == NULL);
        if (rows[i].want != NULL)
            UNIT_TRUE(has(&err, rows[i].want) && has(&err, rows[i].file));
        else
            UNIT_INT(err.len, 0);
        if (p != NULL) {
            UNIT_STR(pn_str_of(pn_plugin_desc(p)->name), PN_STR("shout"));
            UNIT_INT(pn_plugin_symbols(p), 1);
        }
        pn_plugin_unload(&p);
        UNIT_TRUE(p == NULL);
        pn_buf_fini(&err);
    }
}

/* The same bytes under modes that others could write through, and bytes that are none. */
static void test_file(void)
{
    static const struct {
        const char *label;
        mode_t mode;
        bool elf;
        const char *want;
    } rows[] = {
        {"group may write", 0664, true, "others may write"},
        {"world may write", 0646, true, "others may write"},
        {"text", 0644, false, "file too short"},
        {"mode 0644", 0644, true, NULL},
    };
    char folder[] = "/tmp/pn-loader-XXXXXX", path[64];
    UNIT_TRUE(mkdtemp(folder) != NULL);
    (void)snprintf(path, sizeof path, "%s/p.so", folder);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_buf err;
        pn_buf_init(&err, 4096);
        unit_row(rows[i].label);
        FILE *from = fopen(rows[i].elf ? PLUGINS "/shout.so" : "/dev/null", "r");
        FILE *to = fopen(path, "w");
        for (int c; from != NULL && to != NULL && (c = getc(from)) != EOF;)
            (void)putc(c, to);
        if (!rows[i].elf)
            (void)fputs("no plugin\n", to);
        UNIT_TRUE(fclose(to) == 0 && fclose(from) == 0 && chmod(path, rows[i].mode) == 0);
        struct pn_plugin *p = pn_plugin_load(path, &err);
        UNIT_INT(p != NULL, rows[i].want == NULL);
        if (rows[i].want != NULL)
            UNIT_TRUE(has(&err, rows[i].want));
        pn_plugin_unload(&p);
        pn_buf_fini(&err);
        UNIT_INT(unlink(path), 0);
    }
    UNIT_INT(rmdir(folder), 0);
}

static const struct postern_row ok_rows[] = {
    {"zone", POSTERN_T_BLOCK, POSTERN_ROW_REPEAT | POSTERN_ROW_TITLED, NULL, 0, 0, NULL,
     (const struct postern_row[]){{"code", POSTERN_T_ADDRESS, 0, NULL, 0, 0, NULL, NULL, 0, "a"},
                                  {NULL}},
     POSTERN_T_STRING, "a zone"},
    {"mode", POSTERN_T_CHOICE, 0, "a", 0, 0, "a|b", NULL, 0, "b"},
    {NULL}};

static const struct postern_plugin good = {.size = sizeof(struct postern_plugin),
                                           .major = POSTERN_ABI_MAJOR,
                                           .name = "good",
                                           .version = "1",
                                           .rows = ok_rows,
                                           .on = {[POSTERN_CONNECT] = callback}};

#define ROW(...)                                                                                   \
    .rows = (const struct postern_row[])                                                           \
    {                                                                                              \
        {__VA_ARGS__},                                                                             \
        {                                                                                          \
            NULL                                                                                   \
        }                                                                                          \
    }
#define SYM(...)                                                                                   \
    .symbols = (const struct postern_symbol[])                                                     \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            NULL, 0, NULL                                                                          \
        }                                                                                          \
    }
#define AFTER(...)                                                                                 \
    .after = (const char *const[])                                                                 \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static void test_check(void)
{
    static const struct postern_row deep[] = {
        {"a", POSTERN_T_BLOCK, 0, NULL, 0, 0, NULL, deep, 0, NULL}, {NULL}};
    const struct {
        const char *label;
        struct postern_plugin over; /* the fields that are set replace those of `good` */
        const char *want;
    } rows[] = {
        {"good", {0}, NULL},
        {"name of upper case", {.name = "Good"}, "name is"},
        {"name of 33", {.name = "aaaaaaaaaabbbbbbbbbbccccccccccddd"}, "name is"},
        {"name of 32", {.name = "aaaaaaaaaabbbbbbbbbbccccccccccdd"}, NULL},
        {"version with a line end", {.version = "1\n"}, "one line"},
        {"need", {.needs = 1U << 20}, "0x100000"},
        {"on_failure", {.on_failure = (enum postern_on_failure)3}, "on_failure"},
        {"deadline", {.deadline_ms = PN_PLUGIN_DEADLINE_MAX_MS + 1}, "deadline"},
        {"row name", {ROW("A", POSTERN_T_INT)}, "row's name"},
        {"row type", {ROW("a", (enum postern_type)99)}, "doesn't know"},
        {"row flag", {ROW("a", POSTERN_T_INT, 64)}, "doesn't know"},
        {"min, max", {ROW("a", POSTERN_T_INT, 0, NULL, 2, 1)}, "min is above"},
        {"choices", {ROW("a", POSTERN_T_CHOICE, 0, NULL, 0, 0, "a||b")}, "choices"},
        {"no choices", {ROW("a", POSTERN_T_CHOICE)}, "choices"},
        {"choices of an int", {ROW("a", POSTERN_T_INT, 0, NULL, 0, 0, "a")}, "choices"},
        {"required, default", {ROW("a", POSTERN_T_INT, POSTERN_ROW_REQUIRED, "1")}, "required"},
        {"block without rows", {ROW("a", POSTERN_T_BLOCK)}, "without rows"},
        {"rows of an int", {ROW("a", POSTERN_T_INT, 0, NULL, 0, 0, NULL, ok_rows)}, "not a block"},
        {"row twice",
         {.rows = (const struct postern_row[]){{"a", POSTERN_T_INT}, {"a", POSTERN_T_INT}, {NULL}}},
         "stands twice"},
        {"a block in itself", {.rows = deep}, "deep"},
        {"symbol name", {SYM({"lower", 0, NULL})}, "symbol's name"},
        {"symbol of the host", {SYM({"PLUGIN_FAILED", 0, NULL})}, "host's own"},
        {"symbol twice", {SYM({"A", 0, NULL}, {"A", 1, NULL})}, "stands twice"},
        {"weight", {SYM({"A", 1000001, NULL})}, "weight"},
        {"weight at the limit", {SYM({"A", -1000000, NULL})}, NULL},
        {"after itself", {AFTER("good")}, "after itself"},
        {"after what is no name", {AFTER("No")}, "can't be a plugin"},
        {"after", {AFTER("spf", "dkim")}, NULL},
        {"session without free", {.session_new = object_new}, "_free"},
        {"free alone", {.prepare_free = nothing}, "without its _new"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct postern_plugin d = good;
        const struct postern_plugin *o = &rows[i].over;
        struct pn_buf err;
        pn_buf_init(&err, 4096);
        unit_row(rows[i].label);
        d.name = o->name != NULL ? o->name : d.name;
        d.version = o->version != NULL ? o->version : d.version;
        d.rows = o->rows != NULL ? o->rows : d.rows;
        d.needs = o->needs;
        d.on_failure = o->on_failure;
        d.deadline_ms = o->deadline_ms;
        d.symbols = o->symbols;
        d.after = o->after;
        d.session_new = o->session_new;
        d.prepare_free = o->prepare_free;
        UNIT_INT(pn_plugin_check(&d, &err), rows[i].want == NULL);
        if (rows[i].want != NULL)
            UNIT_TRUE(has(&err, rows[i].want));
        pn_buf_fini(&err);
    }
    struct postern_plugin none = good;
    struct pn_buf err;
    none.on[POSTERN_CONNECT] = NULL;
    pn_buf_init(&err, 100);
    unit_row("no callback");
    UNIT_TRUE(!pn_plugin_check(&none, &err) && has(&err, "no callback"));
    pn_buf_fini(&err);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"load", test_load}, {"file", test_file}, {"check", test_check}, {NULL, NULL}};
    return unit_main("loader", tests, argc, argv);
}
