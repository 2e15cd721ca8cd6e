#include "unit.h"

#include "memfile.h"
#include "reproducers.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct reproducers_limits most = {20, 1000000, 7 * 86400000ULL};

static unsigned count(int state, uint64_t *bytes)
{
    unsigned n = 0;
    int fd = openat(state, "reproducers", O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    *bytes = 0;
    for (const struct dirent *d; dir != NULL && (d = readdir(dir)) != NULL;) {
        struct stat st;
        if (d->d_name[0] == '.' || fstatat(fd, d->d_name, &st, 0) != 0)
            continue;
        UNIT_INT(st.st_mode & 0777, 0600);
        *bytes += (uint64_t)st.st_size;
        n++;
    }
    if (dir != NULL)
        (void)closedir(dir);
    return n;
}

static void empty(int state)
{
    reproducers_prune(state, (struct reproducers_limits){0, 0, 0}, 0, INT64_MAX / 2);
}

static bool keep(int state, struct reproducers_limits limits, const char *json, size_t size,
                 int64_t now)
{
    char *bytes = calloc(1, size + 1);
    int fd = pn_memfile_of("content", (struct pn_str){bytes, size});
    bool ok = reproducers_keep(state, limits, pn_str_of(json), fd, now);
    (void)close(fd);
    free(bytes);
    return ok;
}

static void test_keep(int state)
{
    char text[200];
    uint64_t bytes;
    UNIT_TRUE(keep(state, most, "{\"ip\":\"192.0.2.1\"}", 100, 1700000000000));
    UNIT_INT(count(state, &bytes), 2);
    int fd = openat(state, "reproducers/1700000000000.json", O_RDONLY);
    ssize_t n = read(fd, text, sizeof text);
    UNIT_STR(((struct pn_str){text, n < 0 ? 0 : (size_t)n}),
             PN_STR("{\"ip\":\"192.0.2.1\",\"file\":\"1700000000000.eml\"}\n"));
    (void)close(fd);
    UNIT_TRUE(reproducers_keep(state, most, PN_STR("{\"a\":1}"), -1, 1700000005000));
    UNIT_INT(count(state, &bytes), 4);
    empty(state);
}

static void test_refused(int state)
{
    static const struct {
        const char *label, *json;
        struct reproducers_limits limits;
        size_t size;
        int64_t at;
        bool want;
    } rows[] = {
        {"the first", "{\"a\":1}", {2, 1000, 10000}, 10, 5000, true},
        {"within the second", "{\"a\":1}", {2, 1000, 10000}, 10, 5999, false},
        {"a second later", "{\"a\":1}", {2, 1000, 10000}, 10, 6000, true},
        {"no object", "[1,2,3]", {2, 1000, 10000}, 10, 9000, false},
        {"two lines", "{\"a\"\n:1}", {2, 1000, 10000}, 10, 9000, false},
        {"too large", "{\"a\":1}", {2, 1000, 10000}, 1000, 9000, false},
        {"none wanted", "{\"a\":1}", {0, 1000, 10000}, 10, 9000, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].label);
        UNIT_INT(keep(state, rows[i].limits, rows[i].json, rows[i].size, rows[i].at), rows[i].want);
    }
    empty(state);
}

static void test_limits(int state)
{
    struct reproducers_limits three = {3, 100000, 1000000};
    uint64_t bytes;
    unit_row("the oldest go");
    for (int i = 0; i < 6; i++)
        UNIT_TRUE(keep(state, three, "{\"a\":1}", 100, 1000000 + i * 2000));
    UNIT_INT(count(state, &bytes), 6);
    UNIT_INT(faccessat(state, "reproducers/0000001004000.json", F_OK, 0), -1);
    UNIT_INT(faccessat(state, "reproducers/0000001006000.json", F_OK, 0), 0);
    unit_row("bytes");
    three.bytes = 700;
    UNIT_TRUE(keep(state, three, "{\"a\":1}", 400, 2000000));
    UNIT_TRUE(count(state, &bytes) == 4 && bytes <= 700);
    unit_row("age");
    reproducers_prune(state, three, 0, 2000000 + 1000001);
    UNIT_INT(count(state, &bytes), 0);
}

static int state_folder = -1;

static void test_all(void)
{
    test_keep(state_folder);
    test_refused(state_folder);
    test_limits(state_folder);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"reproducers", test_all}, {NULL, NULL}};
    char folder[] = "/tmp/pn-reproducers-XXXXXX";
    if (mkdtemp(folder) == NULL)
        return 1;
    state_folder = open(folder, O_RDONLY | O_DIRECTORY);
    int status = unit_main("reproducers", tests, argc, argv);
    (void)unlinkat(state_folder, "reproducers", AT_REMOVEDIR);
    (void)rmdir(folder);
    return status;
}
