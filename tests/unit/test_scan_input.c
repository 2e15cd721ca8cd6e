#include "unit.h"

#include "buf.h"
#include "mbox.h"
#include "scan_input.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CASES = 8 };

struct seen {
    size_t count;
    struct pn_buf text[CASES]; /* "file|ip|helo|from|rcpt...|content" */
};

static char folder[] = "/tmp/postern-scan-XXXXXX";

static bool on_case(void *ctx, const struct pn_scan_case *c)
{
    struct seen *s = ctx;
    struct pn_buf *b = &s->text[s->count++];
    pn_buf_init(b, 10000);
    size_t slash = c->file.len;
    while (slash > 0 && c->file.p[slash - 1] != '/')
        slash--;
    (void)pn_buf_adds(b, pn_str_slice(c->file, slash, c->file.len));
    (void)pn_buf_addc(b, '|');
    pn_ip_print(b, &c->ip);
    (void)pn_buf_addf(b, "|%.*s|%.*s", PN_FMT(c->helo), PN_FMT(c->from));
    for (size_t i = 0; i < c->rcpt_count; i++)
        (void)pn_buf_addf(b, "|%.*s", PN_FMT(c->rcpts[i]));
    if (c->early != 0)
        (void)pn_buf_addf(b, "|early %u", (unsigned)c->early);
    for (size_t i = 0; i < c->standing_count; i++)
        (void)pn_buf_addf(b, "|%.*s=%.*s@%u", PN_FMT(c->standings[i].plugin),
                          PN_FMT(c->standings[i].value), c->standings[i].step);
    for (size_t i = 0; i < c->unknown_count; i++)
        (void)pn_buf_addf(b, "|%.*s@%u", PN_FMT(c->unknown[i].line), c->unknown[i].step);
    (void)pn_buf_addf(b, "|%.*s", PN_FMT(c->content));
    return s->count < CASES;
}

static void seen_fini(struct seen *s)
{
    for (size_t i = 0; i < s->count; i++)
        pn_buf_fini(&s->text[i]);
    s->count = 0;
}

static const char *path_of(const char *name)
{
    static char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(path_of(name), "we");
    UNIT_TRUE(f != NULL);
    if (f != NULL) {
        (void)fputs(text, f);
        (void)fclose(f);
    }
}

static struct pn_scan_source source_of(const char *const *paths, size_t count)
{
    static const struct pn_str rcpts[] = {PN_STR_INIT("u@x.test")};
    struct pn_scan_source source = {.paths = paths, .path_count = count};
    source.base = (struct pn_scan_case){
        .helo = PN_STR("h"), .from = PN_STR("@s"), .rcpts = rcpts, .rcpt_count = 1, .time_ms = -1};
    (void)pn_ip_parse(PN_STR("::ffff:1.2.3.4"), &source.base.ip);
    return source;
}

static void test_files(void)
{
    struct seen seen = {0};
    struct pn_buf err;
    pn_buf_init(&err, 1000);
    put("a.eml", "A: 1\n\nx\r\ny");
    put("b.mbox", "From a@b Sun Nov 22 10:00:00 2026\nB: 1\n\nFrom here on prose\n>From x\n\n"
                  "From a@b Sun Nov 22 10:00:01 2026\nC: 1\n\n");
    put("c.eml", "");
    const char *paths[] = {folder};
    struct pn_scan_source source = source_of(paths, 1);
    UNIT_INT(pn_scan_count(&source), 4);
    UNIT_TRUE(pn_scan_each(&source, on_case, &seen, &err));
    UNIT_INT(seen.count, 4);
    UNIT_STR(pn_buf_str(&seen.text[0]), PN_STR("a.eml|1.2.3.4|h|@s|u@x.test|A: 1\r\n\r\nx\r\ny"));
    UNIT_STR(
        pn_buf_str(&seen.text[1]),
        PN_STR("b.mbox:1|1.2.3.4|h|@s|u@x.test|B: 1\r\n\r\nFrom here on prose\r\nFrom x\r\n\r\n"));
    UNIT_STR(pn_buf_str(&seen.text[2]), PN_STR("b.mbox:2|1.2.3.4|h|@s|u@x.test|C: 1\r\n\r\n"));
    UNIT_STR(pn_buf_str(&seen.text[3]), PN_STR("c.eml|1.2.3.4|h|@s|u@x.test|"));
    seen_fini(&seen);
    const char *missing[] = {"/nowhere/at/all"};
    source = source_of(missing, 1);
    UNIT_TRUE(!pn_scan_each(&source, on_case, &seen, &err));
    UNIT_STR(pn_buf_str(&err), PN_STR("/nowhere/at/all: No such file or directory"));
    pn_buf_fini(&err);
}

/* What comes of an mbox whose messages may have max bytes: "A|B|" with the messages' texts,
 * "!" for one that is too large. From a pipe, written in two pieces. */
static void walk(struct pn_str text, size_t split, size_t max, struct pn_buf *out)
{
    char name[40];
    int ends[2];
    struct pn_mbox m;
    struct pn_str raw;
    enum pn_mbox_next next;
    bool more = true, last = true;
    UNIT_INT(pipe(ends), 0);
    UNIT_TRUE(write(ends[1], text.p, split) == (ssize_t)split);
    (void)snprintf(name, sizeof name, "/dev/fd/%d", ends[0]);
    UNIT_TRUE(pn_mbox_open(&m, name, max));
    for (bool rest = true; rest || last; rest = false) {
        if (rest) {
            UNIT_TRUE(write(ends[1], text.p + split, text.len - split) ==
                      (ssize_t)(text.len - split));
            (void)close(ends[1]);
        }
        next = pn_mbox_next(&m, &raw, &more);
        last = next == PN_MBOX_MESSAGE || next == PN_MBOX_TOO_LARGE;
        if (last)
            (void)pn_buf_addf(out, "%.*s|", PN_FMT(next == PN_MBOX_MESSAGE ? raw : PN_STR("!")));
    }
    UNIT_INT(next, PN_MBOX_END);
    UNIT_INT(pn_mbox_next(&m, &raw, &more), PN_MBOX_END);
    pn_mbox_close(&m);
    (void)close(ends[0]);
}

static void test_mbox(void)
{
#define SEP "From a@b Sun Nov 22 10:00:00 2026\n"
    static const struct {
        const char *label, *text, *want;
    } rows[] = {
        {"empty", "", "|"},
        {"no mbox", "A\n\n" SEP "x", "A\n\n" SEP "x|"},
        {"a separator alone", SEP, "|"},
        {"without its end", "From a@b 10:00", "|"},
        {"prose", "From a@b some time\n", "From a@b some time\n|"},
        {"one", SEP "A: 1\n\nx\n", "A: 1\n\nx\n|"},
        {"two", SEP "A\n\n" SEP "B\n", "A\n\n|B\n|"},
        {"an empty one between", SEP "A\n\n" SEP "\n" SEP "B", "A\n\n|\n|B|"},
        {"no empty line before", SEP "A\n" SEP "B\n", "A\n" SEP "B\n|"},
        {"CRLF", SEP "A\r\n\r\n" SEP "B\r\n", "A\r\n\r\n|B\r\n|"},
        {"at the limit", SEP "12345678901234567890123456789012345678\n\n" SEP "B",
         "12345678901234567890123456789012345678\n\n|B|"},
        {"one too many", SEP "123456789012345678901234567890123456789\n\n" SEP "B", "!|B|"},
        {"lines beyond it",
         SEP "A\n\nB\n\nC\n\nD\n\nE\n\nF\n\nG\n\nH\n\nI\n\nJ\n\nK\n\nL\n\nM\n\nN\n\n" SEP "B",
         "!|B|"},
        {"the last", SEP "A\n\n" SEP "1234567890123456789012345678901234567890\n", "A\n\n|!|"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_str text = pn_str_of(rows[i].text);
        unit_row(rows[i].label);
        for (size_t split = 0; split <= text.len; split++) {
            struct pn_buf out;
            pn_buf_init(&out, 1000);
            walk(text, split, 40, &out);
            UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
            pn_buf_fini(&out);
        }
    }
}

/* A file of 40 times what a message may have; a line in it has 20 times that. */
static void test_large_mbox(void)
{
    enum { MAX = 100 * 1000, COUNT = 20 };
    static char letters[100];
    struct pn_mbox m;
    struct pn_str raw;
    bool more;
    size_t good = 0, large = 0;
    FILE *f = fopen(path_of("large"), "we");
    UNIT_TRUE(f != NULL);
    if (f == NULL)
        return;
    memset(letters, 'x', sizeof letters);
    for (size_t i = 0; i < COUNT; i++) {
        (void)fputs(SEP, f);
        for (size_t k = 0; k < (i == COUNT / 2 ? 20 * MAX : MAX) / sizeof letters; k++)
            (void)fwrite(letters, 1, sizeof letters - 1, f);
        (void)fprintf(f, "\n%zu\n\n", i);
    }
    UNIT_INT(fclose(f), 0);
    UNIT_TRUE(pn_mbox_open(&m, path_of("large"), MAX));
    for (size_t i = 0; i < COUNT; i++) {
        enum pn_mbox_next next = pn_mbox_next(&m, &raw, &more);
        good += next == PN_MBOX_MESSAGE;
        large += next == PN_MBOX_TOO_LARGE;
        UNIT_TRUE(more == (i + 1 < COUNT));
        char want[20];
        (void)snprintf(want, sizeof want, "x\n%zu\n\n", i);
        UNIT_TRUE(next != PN_MBOX_MESSAGE || pn_str_ends(raw, pn_str_of(want)));
        UNIT_TRUE(m.held.cap < 10 * MAX);
    }
    UNIT_INT(pn_mbox_next(&m, &raw, &more), PN_MBOX_END);
    UNIT_INT(good, COUNT - 1);
    UNIT_INT(large, 1);
    pn_mbox_close(&m);
    /* What is no mbox and never ends is not read to its end. */
    UNIT_TRUE(pn_mbox_open(&m, "/dev/zero", MAX));
    UNIT_INT(pn_mbox_next(&m, &raw, &more), PN_MBOX_TOO_LARGE);
    UNIT_INT(pn_mbox_next(&m, &raw, &more), PN_MBOX_END);
    pn_mbox_close(&m);
    (void)unlink(path_of("large"));
}

/* A pipe is read once, so it is not counted; one that lies in a folder is nobody's mail. A
 * file that can't be read is named, and the others are judged. */
static void test_pipes(void)
{
    struct seen seen = {0};
    struct pn_buf err;
    char name[40];
    int ends[2];
    pn_buf_init(&err, 1000);
    UNIT_INT(mkfifo(path_of("fifo"), 0600), 0);
    UNIT_INT(pipe(ends), 0);
    UNIT_INT(write(ends[1], "P: 1\n", 5), 5);
    (void)close(ends[1]);
    (void)snprintf(name, sizeof name, "/dev/fd/%d", ends[0]);
    const char *paths[] = {"/proc/self/mem", name, folder};
    struct pn_scan_source source = source_of(paths, 3);
    UNIT_INT(pn_scan_count(&source), 0);
    UNIT_TRUE(!pn_scan_each(&source, on_case, &seen, &err));
    UNIT_INT(seen.count, 5);
    UNIT_TRUE(pn_str_ends(pn_buf_str(&seen.text[0]), PN_STR("|P: 1\r\n")));
    UNIT_STR(pn_buf_str(&err), PN_STR("/proc/self/mem: Input/output error\n"));
    (void)close(ends[0]);
    (void)unlink(path_of("fifo"));
    seen_fini(&seen);
    pn_buf_fini(&err);
}

static void test_batch(void)
{
    static const struct {
        const char *line, *want; /* want of an error begins with "batch:" */
    } rows[] = {
        {"{\"ip\":\"2001:db8::1\",\"helo\":\"h2\",\"from\":\"\",\"rcpt\":[\"a\",\"b\"],"
         "\"message\":\"S: \\u00e9\\n\"}",
         "|2001:db8::1|h2||a|b|S: \xc3\xa9\r\n"},
        {"{\"message\":\"\"}", "|1.2.3.4|h|@s|u@x.test|"},
        {"[]", "batch:1:1: not an object, one JSON object a line was expected"},
        {"{\"ip\":\"1.2.3\",\"message\":\"\"}",
         "batch:1: ip: an IPv4 or IPv6 address was expected"},
        {"{\"ip\":7,\"message\":\"\"}", "batch:1: ip: a string was expected"},
        {"{}", "batch:1: either file or message was expected"},
        {"{\"message\":\"\",\"rcpt\":[]}", "batch:1: rcpt: 1 to 1000 addresses were expected"},
        {"{\"message\":\"\",\"early\":[]}", "|1.2.3.4|h|@s|u@x.test|"},
        {"{\"message\":\"\",\"early\":[\"helo\",\"greeting\",\"command\"]}",
         "|1.2.3.4|h|@s|u@x.test|early 7|"},
        {"{\"message\":\"\",\"early\":\"helo\"}", "batch:1: early: a list was expected"},
        {"{\"message\":\"\",\"early\":[\"hello\"]}",
         "batch:1: early: greeting, helo and command were expected"},
        {"{\"message\":\"\",\"standing\":[{\"plugin\":\"p\",\"value\":\"v\",\"step\":3}]}",
         "|1.2.3.4|h|@s|u@x.test|p=v@3|"},
        {"{\"message\":\"\",\"standing\":{}}",
         "batch:1: standing: a list of {plugin, value, step} was expected"},
        {"{\"message\":\"\",\"standing\":[{\"plugin\":\"p\"}]}",
         "batch:1: standing: a list of {plugin, value, step} was expected"},
#define NOT_UNKNOWN "batch:1: unknown: up to 4 of {line or line64, step} were expected"
        {"{\"message\":\"\",\"unknown\":[]}", "|1.2.3.4|h|@s|u@x.test|"},
        {"{\"message\":\"\",\"unknown\":[{\"line\":\"A 1\",\"step\":1},"
         "{\"line64\":\"QiD/\",\"step\":2},{\"line\":\"\",\"step\":3},"
         "{\"line64\":\"\",\"step\":4}]}",
         "|1.2.3.4|h|@s|u@x.test|A 1@1|B \xff@2|@3|@4|"},
        {"{\"message\":\"\",\"unknown\":{}}", NOT_UNKNOWN},
        {"{\"message\":\"\",\"unknown\":[1]}", NOT_UNKNOWN},
        {"{\"message\":\"\",\"unknown\":[{\"step\":1}]}", NOT_UNKNOWN},
        {"{\"message\":\"\",\"unknown\":[{\"line\":\"\",\"line64\":\"\",\"step\":1}]}",
         NOT_UNKNOWN},
        {"{\"message\":\"\",\"unknown\":[{\"line\":1,\"step\":1}]}", NOT_UNKNOWN},
        {"{\"message\":\"\",\"unknown\":[{\"line64\":\"QiD\",\"step\":1}]}", NOT_UNKNOWN},
        {"{\"message\":\"\",\"unknown\":[{\"line\":\"A\"}]}", NOT_UNKNOWN},
        {"{\"message\":\"\",\"unknown\":[{\"line\":\"A\",\"step\":-1}]}", NOT_UNKNOWN},
        {"{\"message\":\"\",\"unknown\":[{\"line\":\"A\",\"step\":4294967295}]}", NOT_UNKNOWN},
        {"{\"message\":\"\",\"time\":-1}", "batch:1: time: seconds since 1970 were expected"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct seen seen = {0};
        struct pn_buf err;
        pn_buf_init(&err, 1000);
        unit_row(rows[i].line);
        put("batch", rows[i].line);
        struct pn_scan_source source = source_of(NULL, 0);
        source.batch = path_of("batch");
        bool ok = pn_scan_each(&source, on_case, &seen, &err);
        struct pn_str got = ok && seen.count == 1 ? pn_buf_str(&seen.text[0]) : pn_buf_str(&err);
        if (!ok)
            got = pn_str_slice(got, strlen(folder) + 1, got.len);
        UNIT_STR(got, pn_str_of(rows[i].want));
        seen_fini(&seen);
        pn_buf_fini(&err);
    }
}

static void test_auth(void)
{
    struct pn_pool *pool = pn_pool_new(1 << 16);
    struct pn_facts facts;
    struct pn_buf err;
    pn_buf_init(&err, 1000);
    pn_facts_init(&facts, pool);
    UNIT_TRUE(pn_scan_auth(PN_STR("spf=pass smtp.mailfrom=a@d.test; dkim=pass header.d=e.test "
                                  "header.s=s1; dkim=fail"),
                           &facts, &err));
    UNIT_INT(facts.auth_count, 3);
    UNIT_INT(facts.run_count, 2);
    const struct pn_auth *spf = pn_facts_auth(&facts, PN_STR("spf"), 0);
    const struct pn_auth *dkim = pn_facts_auth(&facts, PN_STR("dkim"), 0);
    UNIT_TRUE(spf != NULL && dkim != NULL);
    if (spf != NULL && dkim != NULL) {
        UNIT_STR(pn_auth_get(spf, PN_STR("domain")), PN_STR("d.test"));
        UNIT_STR(pn_auth_get(spf, PN_STR("identity")), PN_STR("mailfrom"));
        UNIT_STR(pn_auth_get(dkim, PN_STR("domain")), PN_STR("e.test"));
        UNIT_STR(pn_auth_get(dkim, PN_STR("signature")), PN_STR("valid"));
    }
    UNIT_TRUE(!pn_scan_auth(PN_STR("spf pass"), &facts, &err));
    UNIT_TRUE(pn_scan_auth(PN_STR(""), &facts, &err));
    pn_buf_clear(&err);
    UNIT_TRUE(!pn_scan_auth(PN_STR("spf=pas smtp.mailfrom=d.test"), &facts, &err));
    UNIT_STR(pn_buf_str(&err), PN_STR("--auth: 'spf=pas', none, pass, fail, softfail, neutral, "
                                      "policy, temperror or permerror were expected"));
    pn_buf_fini(&err);
    pn_pool_free(&pool);
}

static void test_state(void)
{
    static const struct {
        const char *label, *text;
        bool want;
        size_t count;
    } rows[] = {
        {"an event without any", "{\"event\":\"message\"}", true, 0},
        {"a list", "[{\"op\":\"get\",\"plugin\":\"p\",\"key\":\"k\",\"result\":\"none\"}]", true,
         1},
        {"an event",
         "{\"state\":[{\"op\":\"get\",\"plugin\":\"p\",\"key\":\"k\",\"result\":\"ok\",\"value\":"
         "\"v\"},"
         "{\"op\":\"take\",\"plugin\":\"p\",\"key\":\"k\",\"result\":\"no\",\"left\":2,\"step\":3},"
         "{\"op\":\"put\",\"plugin\":\"p\",\"key\":\"k\",\"value\":\"w\"}]}",
         true, 2},
        {"bytes",
         "[{\"op\":\"get\",\"plugin\":\"p\",\"key\":\"k\",\"result\":\"ok\",\"value64\":\"/w==\"}]",
         true, 1},
        {"no JSON", "{", false, 0},
        {"a number", "1", false, 0},
        {"no list", "{\"state\":1}", false, 0},
        {"no object", "[1]", false, 0},
        {"no operation", "[{\"plugin\":\"p\",\"key\":\"k\"}]", false, 0},
        {"no key", "[{\"op\":\"get\",\"plugin\":\"p\",\"result\":\"none\"}]", false, 0},
        {"no result", "[{\"op\":\"get\",\"plugin\":\"p\",\"key\":\"k\"}]", false, 0},
        {"less than nothing",
         "[{\"op\":\"take\",\"plugin\":\"p\",\"key\":\"k\",\"result\":\"ok\",\"left\":-1}]", false,
         0},
        {"no base64",
         "[{\"op\":\"get\",\"plugin\":\"p\",\"key\":\"k\",\"result\":\"ok\",\"value64\":\"*\"}]",
         false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_pool *pool = pn_pool_new(1 << 20);
        struct pn_facts facts;
        struct pn_buf err;
        pn_buf_init(&err, 1000);
        pn_facts_init(&facts, pool);
        unit_row(rows[i].label);
        UNIT_INT(pn_scan_state(pn_str_of(rows[i].text), "x", &facts, &err), rows[i].want);
        UNIT_INT(err.len == 0, rows[i].want);
        if (rows[i].want)
            UNIT_INT(facts.state_count, rows[i].count);
        pn_buf_fini(&err);
        pn_pool_free(&pool);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"files", test_files}, {"pipes", test_pipes},
        {"mboxes", test_mbox}, {"large mboxes", test_large_mbox},
        {"batch", test_batch}, {"auth", test_auth},
        {"state", test_state}, {NULL, NULL}};
    if (mkdtemp(folder) == NULL)
        return EXIT_FAILURE;
    int status = unit_main("scan_input", tests, argc, argv);
    for (size_t i = 0; i < 4; i++)
        (void)unlink(path_of((const char *const[]){"a.eml", "b.mbox", "c.eml", "batch"}[i]));
    (void)rmdir(folder);
    return status;
}
