/* Senders of forwarded mail: what they become, what is opened again, what never is. */
#include "srs.h"

#include "unit.h"

#include <stdio.h>

enum { DAY = 24 * 60 * 60 };
static const int64_t NOW = INT64_C(1700000000);

static struct pn_srs ours(const char *secrets)
{
    struct pn_srs srs = {.domain = PN_STR("srs.test"), .valid_days = 21};
    struct pn_buf err;
    pn_buf_init(&err, 200);
    UNIT_TRUE(pn_srs_secrets(&srs, pn_str_of(secrets), &err));
    UNIT_STR(pn_buf_str(&err), PN_STR(""));
    pn_buf_fini(&err);
    return srs;
}

static const char one[] = "a secret of one server\n";

/* Whether text is pattern, where # stands for any one sign. */
static bool agrees(struct pn_str text, struct pn_str pattern)
{
    bool same = text.len == pattern.len;
    for (size_t i = 0; same && i < text.len; i++)
        same = pattern.p[i] == '#' || pattern.p[i] == text.p[i];
    return same;
}

/* made: "" for what can't be rewritten; opened: "" for what the sender is. */
static void test_round(void)
{
    static const struct {
        const char *sender, *made, *opened;
    } rows[] = {
        {"bert@from.test", "SRS0=########=##=from.test=bert@srs.test", ""},
        {"Bert@from.test", "SRS0=########=##=from.test=Bert@srs.test", ""},
        {"a=b+c-d@from.test", "SRS0=########=##=from.test=a=b+c-d@srs.test", ""},
        {"SRS0@from.test", "SRS0=########=##=from.test=SRS0@srs.test", ""},
        {"SRS0=a=b@from.test", "SRS0=########=##=from.test=SRS0=a=b@srs.test", ""},
        {"SRS2=a=b=c=d@from.test", "SRS0=########=##=from.test=SRS2=a=b=c=d@srs.test", ""},
        {"\"a b\"@from.test", "\"SRS0=########=##=from.test=a b\"@srs.test", ""},
        {"\"a\\\"b\\\\c\"@from.test", "\"SRS0=########=##=from.test=a\\\"b\\\\c\"@srs.test", ""},
        {"u@[192.0.2.1]", "\"SRS0=########=##=[192.0.2.1]=u\"@srs.test", ""},
        {"zo\xc3\xab@from.test", "SRS0=########=##=from.test=zo\xc3\xab@srs.test", ""},
        {"SRS0=HHHH=TT=a.test=u@b.test", "SRS1=########=b.test==HHHH=TT=a.test=u@srs.test", ""},
        {"srs0+HHHH=TT=a.test=u@b.test", "SRS1=########=b.test=+HHHH=TT=a.test=u@srs.test",
         "SRS0+HHHH=TT=a.test=u@b.test"},
        {"SRS1=GGGG=b.test==HHHH=TT=a.test=u@c.test",
         "SRS1=########=b.test==HHHH=TT=a.test=u@srs.test", "SRS0=HHHH=TT=a.test=u@b.test"},
        {"srs1-GGGG=b.test=-HHHH=TT=a.test=u@c.test",
         "SRS1=########=b.test=-HHHH=TT=a.test=u@srs.test", "SRS0-HHHH=TT=a.test=u@b.test"},
        {"SRS1=GGGG=b.test=x@c.test", "SRS0=########=##=c.test=SRS1=GGGG=b.test=x@srs.test", ""},
        {"", "", ""},
        {"bert", "", ""},
        {"bert@", "", ""},
        {"@from.test", "", ""},
        {"a b@from.test", "", ""},
        {"bert@from.test\r\n", "", ""},
    };
    struct pn_srs srs = ours(one);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_buf made, opened;
        pn_buf_init(&made, 1000);
        pn_buf_init(&opened, 1000);
        unit_row(rows[i].sender);
        bool ok = pn_srs_make(&srs, pn_str_of(rows[i].sender), NOW, &made);
        UNIT_INT(ok, rows[i].made[0] != '\0');
        if (!agrees(pn_buf_str(&made), pn_str_of(rows[i].made)))
            UNIT_STR(pn_buf_str(&made), pn_str_of(rows[i].made));
        if (ok) {
            UNIT_TRUE(pn_srs_is(pn_buf_str(&made)));
            UNIT_INT(pn_srs_open(&srs, pn_buf_str(&made), NOW, &opened), PN_SRS_OPENED);
            UNIT_STR(pn_buf_str(&opened),
                     pn_str_of(rows[i].opened[0] == '\0' ? rows[i].sender : rows[i].opened));
        }
        pn_buf_fini(&made);
        pn_buf_fini(&opened);
    }
}

/* What was sent out yesterday must open tomorrow, whatever is built until then: the codes are
 * base32 of HMAC-SHA-256 as another program computed it. */
static void test_same_for_ever(void)
{
    struct pn_srs srs = ours(one);
    struct pn_buf b;
    pn_buf_init(&b, 1000);
    UNIT_TRUE(pn_srs_make(&srs, PN_STR("bert@from.test"), NOW, &b));
    UNIT_STR(pn_buf_str(&b), PN_STR("SRS0=KOB4NMPI=G3=from.test=bert@srs.test"));
    pn_buf_clear(&b);
    UNIT_TRUE(pn_srs_make(&srs, PN_STR("SRS0=HHHH=TT=a.test=u@b.test"), NOW, &b));
    UNIT_STR(pn_buf_str(&b), PN_STR("SRS1=QVRUQ6TN=b.test==HHHH=TT=a.test=u@srs.test"));
    pn_buf_fini(&b);
}

/* Each letter of what was made, changed: the case of letters says nothing, all else does. */
static void test_forged(void)
{
    static const char *const senders[] = {"bert@from.test", "SRS0=HHHH=TT=a.test=u@b.test"};
    struct pn_srs srs = ours(one);
    for (size_t s = 0; s < 2; s++) {
        struct pn_buf made, out;
        pn_buf_init(&made, 1000);
        pn_buf_init(&out, 1000);
        unit_row(senders[s]);
        UNIT_TRUE(pn_srs_make(&srs, pn_str_of(senders[s]), NOW, &made));
        size_t end = pn_str_find(pn_buf_str(&made), '@', 0);
        for (size_t i = 0; i < end; i++) {
            char was = made.p[i];
            made.p[i] = was == 'x' ? 'y' : 'x';
            UNIT_TRUE(pn_srs_open(&srs, pn_buf_str(&made), NOW, &out) == PN_SRS_NOT_OURS);
            made.p[i] = pn_lower(was);
            UNIT_TRUE(pn_srs_open(&srs, pn_buf_str(&made), NOW, &out) == PN_SRS_OPENED);
            made.p[i] = was;
            pn_buf_clear(&out);
        }
        for (size_t cut = 0; cut < end; cut++) { /* all that is shorter */
            struct pn_buf b;
            pn_buf_init(&b, 1000);
            (void)(pn_buf_add(&b, made.p, cut) && pn_buf_addz(&b, "@srs.test"));
            UNIT_INT(pn_srs_open(&srs, pn_buf_str(&b), NOW, &out), PN_SRS_NOT_OURS);
            pn_buf_fini(&b);
        }
        pn_buf_fini(&made);
        pn_buf_fini(&out);
    }
}

static void test_forms(void)
{
    static const struct {
        const char *address;
        bool want;
    } rows[] = {
        {"SRS0=c=TT=h=u@x.test", true},
        {"srs0+c=TT=h=u@x.test", true},
        {"SRS0-c=TT=h=u@x.test", true},
        {"\"SRS0=c=TT=h=u v\"@x.test", true},
        {"SRS1=c=h==c=TT=h=u@x.test", true},
        {"SRS0=c=TT=h=@x.test", false},
        {"SRS0=c=TT==u@x.test", false},
        {"SRS0==TT=h=u@x.test", false},
        {"SRS0=c=T=h=u@x.test", false},
        {"SRS0=c=TTT=h=u@x.test", false},
        {"SRS0=c=TT=h@x.test", false},
        {"SRS0=c=TT@x.test", false},
        {"SRS0=c@x.test", false},
        {"SRS0=@x.test", false},
        {"SRS0@x.test", false},
        {"SRS0.c=TT=h=u@x.test", false},
        {"SRS1=c=h=u@x.test", false},
        {"SRS1=c=h=@x.test", false},
        {"SRS1=c={h==u@x.test", false},
        {"\"SRS0=c=TT=[192.0.2.1]=u\"@x.test", true},
        {"\"SRS0=c=TT=[192.0.2.1=u\"@x.test", false},
        {"SRS2=c=TT=h=u@x.test", false},
        {"u@x.test", false},
        {"", false},
        {"SRS0=c=TT=h=u", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].address);
        UNIT_INT(pn_srs_is(pn_str_of(rows[i].address)), rows[i].want);
    }
}

/* SRS0 for its days and no longer, whatever the day's number; SRS1 is not stale. */
static void test_age(void)
{
    static const struct {
        int days;
        enum pn_srs_end want;
    } rows[] = {{0, PN_SRS_OPENED},  {1, PN_SRS_OPENED},    {21, PN_SRS_OPENED},
                {22, PN_SRS_STALE},  {500, PN_SRS_STALE},   {-1, PN_SRS_OPENED},
                {-2, PN_SRS_STALE},  {1022, PN_SRS_STALE},  {1023, PN_SRS_OPENED},
                {-25, PN_SRS_STALE}, {1024, PN_SRS_OPENED}, {1046, PN_SRS_STALE}};
    struct pn_srs srs = ours(one);
    for (int64_t began = NOW; began < NOW + INT64_C(1100) * DAY; began += INT64_C(97) * DAY) {
        struct pn_buf made, twice, out;
        pn_buf_init(&made, 1000);
        pn_buf_init(&twice, 1000);
        pn_buf_init(&out, 1000);
        UNIT_TRUE(pn_srs_make(&srs, PN_STR("bert@from.test"), began, &made));
        UNIT_TRUE(pn_srs_make(&srs, PN_STR("SRS0=c=TT=h=u@b.test"), began, &twice));
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            int64_t then = began + (int64_t)rows[i].days * DAY;
            char label[32];
            (void)snprintf(label, sizeof label, "%d days", rows[i].days);
            unit_row(label);
            UNIT_INT(pn_srs_open(&srs, pn_buf_str(&made), then, &out), rows[i].want);
            UNIT_INT(pn_srs_open(&srs, pn_buf_str(&twice), then, &out), PN_SRS_OPENED);
        }
        pn_buf_fini(&made);
        pn_buf_fini(&twice);
        pn_buf_fini(&out);
    }
}

/* The first signs, all open. */
static void test_rotation(void)
{
    struct pn_srs before = ours("the secret of last year\n");
    struct pn_srs now = ours("the secret of this year\nthe secret of last year\n");
    struct pn_srs later = ours("the secret of this year\n");
    struct pn_buf old, new, out;
    pn_buf_init(&old, 1000);
    pn_buf_init(&new, 1000);
    pn_buf_init(&out, 1000);
    UNIT_TRUE(pn_srs_make(&before, PN_STR("u@from.test"), NOW, &old));
    UNIT_TRUE(pn_srs_make(&now, PN_STR("u@from.test"), NOW, &new));
    UNIT_INT(pn_srs_open(&now, pn_buf_str(&old), NOW, &out), PN_SRS_OPENED);
    UNIT_INT(pn_srs_open(&now, pn_buf_str(&new), NOW, &out), PN_SRS_OPENED);
    UNIT_INT(pn_srs_open(&before, pn_buf_str(&new), NOW, &out), PN_SRS_NOT_OURS);
    UNIT_INT(pn_srs_open(&later, pn_buf_str(&old), NOW, &out), PN_SRS_NOT_OURS);
    UNIT_INT(pn_srs_open(&later, pn_buf_str(&new), NOW, &out), PN_SRS_OPENED);
    pn_buf_fini(&old);
    pn_buf_fini(&new);
    pn_buf_fini(&out);
}

static void test_secrets(void)
{
    static const struct {
        const char *file, *want; /* "": it is right */
        uint32_t count;
    } rows[] = {
        {"sixteen bytes of\n", "", 1},
        {"sixteen bytes of", "", 1},
        {"# old and new\n\n  sixteen bytes of  \r\nanother sixteen bytes\n", "", 2},
        {"fifteen bytes o\n", "line 1: the secret is too short, at least 16 bytes were expected",
         0},
        {"", "there is no secret in it, one a line was expected", 0},
        {"\n# sixteen bytes of\n", "there is no secret in it, one a line was expected", 0},
        {"sixteen bytes 01\nsixteen bytes 02\nsixteen bytes 03\nsixteen bytes 04\n"
         "sixteen bytes 05\nsixteen bytes 06\nsixteen bytes 07\nsixteen bytes 08\n",
         "", 8},
        {"sixteen bytes 01\nsixteen bytes 02\nsixteen bytes 03\nsixteen bytes 04\n"
         "sixteen bytes 05\nsixteen bytes 06\nsixteen bytes 07\nsixteen bytes 08\n"
         "sixteen bytes 09\n",
         "line 9: one secret too many, at most 8 are looked at", 8},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_srs srs = {.count = 7};
        struct pn_buf err;
        pn_buf_init(&err, 200);
        unit_row(rows[i].file);
        UNIT_INT(pn_srs_secrets(&srs, pn_str_of(rows[i].file), &err), rows[i].want[0] == '\0');
        UNIT_STR(pn_buf_str(&err), pn_str_of(rows[i].want));
        UNIT_INT(srs.count, rows[i].count);
        pn_buf_fini(&err);
    }
    UNIT_TRUE(true);
}

/* As long as an address may be, and one more. */
static void test_length(void)
{
    struct pn_srs srs = ours(one);
    char local[300];
    memset(local, 'u', sizeof local);
    for (int quoted = 0; quoted < 2; quoted++) {
        /* "SRS0=" code "=" day "=from.test=" ... "@srs.test" */
        size_t most = 254 - (5 + 8 + 1 + 2 + 11 + 9) - (quoted != 0 ? 2 : 0);
        for (size_t len = most; len <= most + 1; len++) {
            struct pn_buf sender, out;
            pn_buf_init(&sender, 1000);
            pn_buf_init(&out, 1000);
            local[0] = quoted != 0 ? ' ' : 'u';
            (void)pn_buf_addf(&sender, "%s%.*s%s@from.test", quoted != 0 ? "\"" : "", (int)len,
                              local, quoted != 0 ? "\"" : "");
            UNIT_INT(pn_srs_make(&srs, pn_buf_str(&sender), NOW, &out), len == most);
            UNIT_INT(out.len, len == most ? 254 : 0);
            pn_buf_fini(&sender);
            pn_buf_fini(&out);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"there and back", test_round},
        {"the same for ever", test_same_for_ever},
        {"forged", test_forged},
        {"forms", test_forms},
        {"age", test_age},
        {"secrets change", test_rotation},
        {"secrets' file", test_secrets},
        {"length", test_length},
        {NULL, NULL},
    };
    return unit_main("srs", tests, argc, argv);
}
