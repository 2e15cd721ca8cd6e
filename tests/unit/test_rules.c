/* The parts of the rules plugin: patterns, literals, the search, expressions, files. */
#include "unit.h"

#include "buf.h"
#include "rules_address.h"
#include "rules_html.h"
#include "rules_meta.h"
#include "rules_pattern.h"
#include "rules_relay.h"
#include "rules_search.h"
#include "rules_set.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

static struct postern_str P(const char *cstr) {
    return (struct postern_str){cstr, strlen(cstr)};
}

static struct pn_str
Q(struct postern_str s) {
    return (struct pn_str){s.p == NULL ? "" : s.p, s.len};
}

static struct pn_str
Z(const char *cstr) {
    return pn_str_of(cstr == NULL ? "" : cstr);
}

/* ---- patterns ---- */

static void
test_patterns(void)
{
    static const struct {
        const char *label, *in, *error, *text;
        uint32_t options;
    } rows[] = {{"plain", "/a b/", NULL, "a b", 0},
                {"flags", "/a/ism", NULL, "a", PCRE2_CASELESS | PCRE2_DOTALL | PCRE2_MULTILINE},
                {"flags without a meaning", "/a/og", NULL, "a", 0},
                {"extended", "/a/x", NULL, "a", PCRE2_EXTENDED},
                {"blanks around", "  /a/i  ", NULL, "a", PCRE2_CASELESS},
                {"slash within", "/a\\/b/c/", NULL, "a\\/b/c", 0},
                {"braces", "m{a{2}}i", NULL, "a{2}", PCRE2_CASELESS},
                {"round", "m(a)", NULL, "a", 0},
                {"pointed", "m<a>", NULL, "a", 0},
                {"commas", "m,a/b,i", NULL, "a/b", PCRE2_CASELESS},
                {"empty", "//", "empty pattern", NULL, 0},
                {"nothing", "", "not a pattern", NULL, 0},
                {"no end", "/abc", "pattern without its end", NULL, 0},
                {"one slash", "/", "pattern without its end", NULL, 0},
                {"word", "mabc", "not a pattern", NULL, 0},
                {"foreign flag", "/a/u", "unknown flag of a pattern", NULL, 0}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rules_pattern p;
        const char *error = rules_pattern_read(&p, P(rows[i].in));

        unit_row(rows[i].label);
        UNIT_STR(Z(error), Z(rows[i].error));
        if (error != NULL)
            continue;
        UNIT_STR(Q(p.text), Z(rows[i].text));
        UNIT_INT(p.options, rows[i].options);
    }
}

/* "one 3|two *": how far behind the beginning each of them may stand. */
static void literals_of(const char *pattern, struct pn_buf *out)
{
    struct rules_arena a = {.used = 0};
    struct rules_literals found;
    struct rules_pattern p;

    UNIT_TRUE(rules_pattern_read(&p, P(pattern)) == NULL);
    found = rules_pattern_literals(&p, &a);
    for (size_t i = 0; i < found.count; i++) {
        size_t lead = found.item[i].lead;

        (void)pn_buf_addf(out, "%s%.*s", i == 0 ? "" : "|", PN_FMT(found.item[i].text));
        if (lead == RULES_LEAD_ANY)
            (void)pn_buf_addz(out, " *");
        else if (lead > 0)
            (void)pn_buf_addf(out, " %zu", lead);
    }
    rules_arena_free(&a);
}

static void test_literals(void)
{
    static const struct {
        const char *pattern, *want;
    } rows[] = {{"/viagra/", "viagra"},
                {"/ViAgRa/i", "viagra"},
                {"/\\bcheap\\s+pills\\b/i", "cheap"},
                {"/abc|defg/", "abc|defg"},
                {"/abc|d./", ""},
                {"/(?:abc|defg)xyz1/", "xyz1 4"},
                {"/(?:abcde|defgh)xyz/", "xyz 5"},
                {"/(?:apple|melon)see/", "apple|melon"},
                {"/colou?r/", "colo"},
                {"/abc*de/", ""},
                {"/abcd*/", "abc"},
                {"/abcd+e/", "abcd"},
                {"/abcd{0,3}/", "abc"},
                {"/abcd{2}xx/", "abcd"},
                {"/(abc)?xyz/", "xyz 3"},
                {"/(abc){2}/", "abc"},
                {"/a[bc]d/", ""},
                {"/[]a]bcd/", "bcd 1"},
                {"/[[:alpha:]]bcd[^]x]yz/", "bcd 1"},
                {"/www\\.bad\\.test/", "www.bad.test"},
                {"/100% free/", "100% free"},
                {"/(?!abc)defg/", "defg"},
                {"/(?<=abc)de/", ""},
                {"/(?i)abcd/", "abcd"},
                {"/(?i:abcd)/", "abcd"},
                {"/(?x:a b c d)/", ""},
                {"/a b c d/x", ""},
                {"/\\x41bcd/", "bcd 1"},
                {"/\\x{41}bcd/", "bcd 1"},
                {"/abc{,2}defg/", ""},
                {"/(?=.*abcd)e+f/", "abcd *"},
                {"/(?<N>abcd)e/", "abcd"},
                {"/^https?:\\/\\/[^.]+\\.gov\\//", ".gov/ *"},
                {"/^https?:\\/\\//", "http"},
                {"/\\Qa.b\\E/", ""},
                {"/(a)bcd\\1efgh/", "bcd 1"},
                {"/a.b.c/", ""},
                {"/^abc$/", "abc"},
                {"/(?R)?abc/", ""},
                {"/(*ACCEPT)abc/", ""},
                {"/((((((((((((((abc))))))))))))))/", ""},
                {"/abc\\ndef1/", "def1 4"},
                {"/\\$\\d+,000/", ",000 *"},
                {"/\\b\\d{2,4}[a-c]?\\s(?:x|yz)word/", "word 8"},
                {"/(?:[ab]{3}foo|ba?r..bar\\b)/", "foo 3|bar 5"},
                {"/.{0,5000}foo/", "foo *"},
                {"/a{2,}foo/", "foo *"},
                {"/abcdefghijklmnopqrstuvwxyz0123/", "abcdefghijklmnopqrstuvwx"}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pn_buf out;

        pn_buf_init(&out, 4096);
        literals_of(rows[i].pattern, &out);
        unit_row(rows[i].pattern);
        UNIT_STR(pn_buf_str(&out), Z(rows[i].want));
        pn_buf_fini(&out);
    }
}

/* What a pattern matches must hold one of its literals. Patterns and texts are drawn from
 * few letters, so that they often match. */
static uint32_t seed = 7;

static uint32_t draw(uint32_t n)
{
    seed = seed * 1664525U + 1013904223U;
    return (seed >> 10) % n;
}

static void random_pattern(struct pn_buf *b, unsigned depth)
{
    static const char *const bits[] = {"a",   "b",   "aba", "bab",   ".",        "[ab]",
                                       "\\b", "a?",  "b*",  "ab+",   "a{2}",     "b{0,1}",
                                       "\\w", "aab", "^",   "(?=a)", "(?=.*aba)"};

    for (uint32_t n = 1 + draw(4); n > 0; n--) {
        if (depth < 3 && draw(4) == 0) {
            (void)pn_buf_addz(b, draw(2) == 0 ? "(" : "(?:");
            random_pattern(b, depth + 1);
            (void)pn_buf_addz(b, draw(3) == 0 ? ")?" : ")");
        } else {
            (void)pn_buf_addz(b, bits[draw(sizeof(bits) / sizeof(bits[0]))]);
        }
        if (draw(5) == 0)
            (void)pn_buf_addc(b, '|');
    }
    (void)pn_buf_addc(b, 'a');
}

static bool holds(struct pn_str text, struct postern_str what)
{
    return text.len >= what.len && memmem(text.p, text.len, what.p, what.len) != NULL;
}

/* Some literal begins at [begin, begin + lead] and ends within the match; or anywhere behind its
 * beginning. */
static bool reaches(struct pn_str text, size_t begin, size_t end, const struct rules_literals *l)
{
    for (size_t i = 0; i < l->count; i++) {
        struct postern_str s = l->item[i].text;
        size_t lead = l->item[i].lead;

        if (lead == RULES_LEAD_ANY)
            end = text.len;
        for (size_t at = begin; at <= begin + lead && at + s.len <= end; at++)
            if (memcmp(text.p + at, s.p, s.len) == 0)
                return true;
    }
    return false;
}

static void check_literals(const struct rules_pattern *p)
{
    struct rules_arena a = {.used = 0};
    struct rules_literals l = rules_pattern_literals(p, &a);
    size_t at;
    int error;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)p->text.p, p->text.len, 0, &error, &at, NULL);
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);

    for (int round = 0; code != NULL && l.count > 0 && round < 40; round++) {
        char text[24];
        size_t len = draw(sizeof(text));
        const size_t *m = pcre2_get_ovector_pointer(data);

        for (size_t i = 0; i < len; i++)
            text[i] = draw(8) == 0 ? ' ' : draw(2) == 0 ? 'a' : 'b';
        if (pcre2_match(code, (PCRE2_SPTR)text, len, 0, 0, data, NULL) >= 0)
            UNIT_TRUE(reaches((struct pn_str){text, len}, m[0], m[1], &l));
    }
    pcre2_match_data_free(data);
    pcre2_code_free(code);
    rules_arena_free(&a);
}

static void test_literals_random(void)
{
    for (int round = 0; round < 3000; round++) {
        struct pn_buf b;
        struct rules_pattern p = {.options = 0};

        pn_buf_init(&b, 4096);
        random_pattern(&b, 0);
        unit_row(pn_buf_cstr(&b));
        p.text = (struct postern_str){b.p, b.len};
        check_literals(&p);
        pn_buf_fini(&b);
    }
}

/* ---- windows: what a pattern matches must hold so many of them ---- */

struct seen {
    size_t count;
    size_t last; /* place */
    bool where;  /* one was in [start, start + lead] */
    size_t start, lead;
};

static void count_window(void *arg, uint32_t id, size_t at)
{
    struct seen *seen = arg;

    (void)id;
    UNIT_TRUE(seen->count == 0 || at >= seen->last);
    seen->last = at;
    seen->count++;
    seen->where |= at >= seen->start && at <= seen->start + seen->lead;
}

static void random_shape(struct pn_buf *b, unsigned depth)
{
    static const char *const bits[] = {"[vu]",   "[i1!]",    "a",     "[^a-u]",  "(?i:B)",
                                       "c{1,3}", "[vu]{2,}", "x{10}", "[_\\W]?", "\\d",
                                       "\\x76",  "x*",       "\\b",   "(?!q)"};

    for (uint32_t n = 1 + draw(5); n > 0; n--) {
        if (depth < 2 && draw(4) == 0) {
            (void)pn_buf_addz(b, "(?:");
            random_shape(b, depth + 1);
            (void)pn_buf_addz(b, draw(3) == 0 ? "){2,4}" : ")");
        } else {
            (void)pn_buf_addz(b, bits[draw(sizeof(bits) / sizeof(bits[0]))]);
        }
        if (depth > 0 && draw(6) == 0)
            (void)pn_buf_addz(b, "|vi1a");
    }
}

/* Over texts of the bytes that the patterns are made of. Returns how many matched. */
static size_t check_windows(const struct rules_pattern *p)
{
    static const char bytes[] = "vui1!abBcx_ .7z";
    static struct rules_window found[RULES_WINDOWS_MAX];
    struct rules_windows *w = rules_windows_new();
    struct rules_windowing known = rules_windows_of(p, found);
    size_t n = known.count;
    size_t matched = 0;
    size_t at;
    int error;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)p->text.p, p->text.len, 0, &error, &at, NULL);
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);

    for (size_t i = 0; i < n; i++)
        UNIT_TRUE(rules_windows_add(w, &found[i], 1, (uint32_t)i));
    UNIT_TRUE(rules_windows_finish(w));
    for (int round = 0; code != NULL && n > 0 && round < 60; round++) {
        char text[30];
        size_t len = draw(sizeof(text));
        struct seen seen = {.count = 0, .lead = known.lead};

        for (size_t i = 0; i < len; i++)
            text[i] = bytes[draw(sizeof(bytes) - 1)];
        if (pcre2_match(code, (PCRE2_SPTR)text, len, 0, 0, data, NULL) < 0)
            continue;
        seen.start = pcre2_get_ovector_pointer(data)[0];
        rules_windows_run(w, (struct postern_str){text, len}, count_window, &seen);
        UNIT_TRUE(seen.count >= known.least && seen.where);
        matched++;
    }
    pcre2_match_data_free(data);
    pcre2_code_free(code);
    rules_windows_free(w);
    return matched;
}

static void test_windows_random(void)
{
    size_t matched = 0;

    for (int round = 0; round < 2500; round++) {
        struct pn_buf b;
        struct rules_pattern p = {.options = 0};

        pn_buf_init(&b, 4096);
        random_shape(&b, 0);
        unit_row(pn_buf_cstr(&b));
        p.text = (struct postern_str){b.p, b.len};
        matched += check_windows(&p);
        pn_buf_fini(&b);
    }
    UNIT_TRUE(matched > 500); /* or nothing was tested */
}

/* A pattern of letters in all their ways, too large unless they are taken loosely: a word of them,
 * or very many. */
static void test_windows_loose(void)
{
    enum { WORD = 7, MANY = 2400 };
    static const char letter[] = "(?:v|\\xe7|[\\xc3][\\xa1-\\xa9]|&#1(?:03|11);|\\/w)";
    static const char *const ways[] = {"v", "\xe7", "\xc3\xa5", "&#103;", "&#111;", "/w"};
    static struct rules_window found[RULES_WINDOWS_MAX];
    struct rules_windows *w = rules_windows_new();
    struct rules_windowing known;
    struct pn_buf b;

    pn_buf_init(&b, 1 << 20);
    for (int i = 0; i < WORD; i++)
        (void)pn_buf_addz(&b, letter);
    (void)pn_buf_addc(&b, '|');
    for (int i = 0; i < MANY; i++)
        (void)pn_buf_addz(&b, letter);
    known = rules_windows_of(&(struct rules_pattern){{b.p, b.len}, 0}, found);
    UNIT_TRUE(known.count > 0 && known.least == 1);
    UNIT_TRUE(rules_windows_add(w, found, known.count, 0) && rules_windows_finish(w));
    for (int round = 0; round < 2000; round++) {
        struct seen seen = {.lead = known.lead, .start = draw(4)};

        pn_buf_clear(&b);
        for (size_t i = 0; i < seen.start; i++)
            (void)pn_buf_addc(&b, ' ');
        for (int i = 0; i < WORD; i++)
            (void)pn_buf_addz(&b, ways[draw(sizeof(ways) / sizeof(ways[0]))]);
        rules_windows_run(w, (struct postern_str){b.p, b.len}, count_window, &seen);
        UNIT_TRUE(seen.where);
    }
    rules_windows_free(w);
    pn_buf_fini(&b);
}

/* ---- Received fields ---- */

static void test_received(void)
{
    static const struct {
        const char *in, *want;
    } rows[] = {{"", "no relay"},
                {"by mx.test with SMTP; Mon, 1 Jan 2024 00:00:00 +0000", "no relay"},
                {"from a.test by b.test; Mon, 1 Jan 2024 00:00:00 +0000", "no relay"},
                {"from helo.test (rdns.test [192.0.2.1]) by mx.test (Postfix) with ESMTP id ABC123",
                 "192.0.2.1 rdns.test helo.test mx.test"},
                {"from helo.test (unknown [192.0.2.1]) by mx.test (Postfix) with ESMTP id ABC123",
                 "192.0.2.1 - helo.test mx.test"},
                {"from helo.test ([192.0.2.1]) by mx.test (8.12/8.12) with SMTP id x12",
                 "192.0.2.1 - helo.test mx.test"},
                {"from rdns.test (HELO said) (joe@192.0.2.1) by mx.test with SMTP",
                 "192.0.2.1 rdns.test said mx.test"},
                {"from unknown (192.0.2.1) by mx.test with QMQP", "192.0.2.1 - unknown mx.test"},
                {"from [192.0.2.1] (helo=said) by mx.test with esmtp (Exim 4.9)",
                 "192.0.2.1 - said mx.test"},
                {"from rdns.test ([192.0.2.1] helo=said) by mx.test with esmtp (Exim 4.9)",
                 "192.0.2.1 rdns.test said mx.test"},
                {"from h (r.test [IPv6:2001:db8::1]) by mx.test (Postfix) with ESMTP",
                 "2001:db8::1 r.test h mx.test"},
                {"from h ([192.0.2.1]) by [mx] (x) with y", "192.0.2.1 - h !mx!"},
                {"from mailbox [127.0.0.1] by localhost with IMAP (fetchmail-6)", "fetched"},
                {"from ((((((((((((((((( by", "unparseable"},
                {"from x (y [999.0.2.1]) by z (a) with b", "unparseable"}};
    static const char *const kinds[] = {"", "no relay", "fetched", "unparseable"};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rules_arena a = {.used = 0};
        struct rules_relay r;
        struct pn_buf out;
        enum rules_received kind = rules_received_read(P(rows[i].in), &a, &r);

        unit_row(rows[i].in);
        pn_buf_init(&out, 500);
        (void)pn_buf_addz(&out, kinds[kind]);
        if (kind == RULES_RELAY)
            (void)pn_buf_addf(&out, "%.*s %.*s %.*s %.*s", PN_FMT(r.ip),
                              PN_FMT(r.rdns.len > 0 ? r.rdns : P("-")), PN_FMT(r.helo),
                              PN_FMT(r.by));
        UNIT_STR(pn_buf_str(&out), Z(rows[i].want));
        pn_buf_fini(&out);
        rules_arena_free(&a);
    }
}

/* ---- HTML ---- */

static void test_html(void)
{
    static const struct {
        const char *in, *want;
    } rows[] = {{"", ""},
                {"a <b>b</b>  c", "a b c"},
                {"one<br>two<p>three", "one\ntwo\n\nthree"},
                {"<td>a</td><td>b</td>", " a  b "},
                {"a&nbsp;b &eacute;&#233;&#xe9; &amp; &bogus; &lt",
                 "a b \xc3\xa9\xc3\xa9\xc3\xa9 & &bogus; <"},
                {"x<script>if (a<b) {}</script>y<style>p {}</style>z", "xyz"},
                {"a<!-- b -->c<!-- d", "ac<!-- d"},
                {"a < b <c", "a < b <c"},
                {"<a href=\"x>y\">t</a>", "t"},
                {"<a href=\"x>t</a>", "<a href=\"x>t"},
                {"<font color=white>hidden</font> shown", "hidden shown"}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rules_arena a = {.used = 0};
        struct rules_html *h = rules_html_parse(P(rows[i].in), &a);

        unit_row(rows[i].in);
        UNIT_TRUE(h != NULL);
        if (h != NULL)
            UNIT_STR(Q(h->text), Z(rows[i].want));
        rules_arena_free(&a);
    }
}

static void test_html_facts(void)
{
    struct rules_arena a = {.used = 0};
    struct rules_html *h = rules_html_parse(
        P("<html><body><font color=#fffffe size=+3 face='a,%'>x</font><img width=10 height=20>"
          "</center><a href=' http://a.test/ '>w<b>o</b>rd<img></a><embed><title>t</title>"),
        &a);

    UNIT_TRUE(h != NULL && h->low_contrast && h->bad_face && h->embeds && !h->invalid_color);
    UNIT_INT(h->max_size, 6);
    UNIT_INT(h->closed_extra, 1);
    UNIT_INT(h->obfuscation, 3);
    UNIT_TRUE(h->image_area > 199 && h->image_area < 201);
    UNIT_INT(h->uri_count, 1);
    UNIT_STR(Q(h->uris[0].uri), Z("http://a.test/"));
    UNIT_INT(rules_html_tag(h, P("body"))->open, 1);
    UNIT_TRUE(rules_html_tag(h, P("table")) == NULL);
    rules_arena_free(&a);
}

/* ---- addresses ---- */

static void test_addresses(void)
{
    static const struct {
        const char *in, *want;
    } rows[] = {{"", ""},
                {"a@b.test", "a@b.test|;"},
                {"Joe <a@b.test>, \"Ann, X\" <c@d.test>", "a@b.test|Joe;c@d.test|Ann, X;"},
                {"a@b.test (Joe (x))", "a@b.test|Joe (x);"},
                {"Friends: a@b.test, c@d.test;", "a@b.test|;c@d.test|;"},
                {"undisclosed-recipients:;", ""},
                {"<a@b.test> <c@d.test>", "a@b.test|;c@d.test|;"},
                {"\"unclosed <a@b.test>", "a@b.test|\"unclosed;"},
                {"Joe <no address>", "|Joe;"}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rules_arena a = {.used = 0};
        struct rules_address found[4];
        struct pn_buf out;
        size_t n = rules_addresses(P(rows[i].in), &a, found, 4);

        unit_row(rows[i].in);
        pn_buf_init(&out, 500);
        for (size_t k = 0; k < n; k++)
            (void)pn_buf_addf(&out, "%.*s|%.*s;", PN_FMT(found[k].address), PN_FMT(found[k].name));
        UNIT_STR(pn_buf_str(&out), Z(rows[i].want));
        pn_buf_fini(&out);
        rules_arena_free(&a);
    }
}

/* ---- the search ---- */

static void note(void *arg, uint32_t id, size_t to, size_t reach)
{
    (void)reach;
    UNIT_TRUE(to > 0);
    ((unsigned char *)arg)[id] = 1;
}

static void test_search(void)
{
    static const char *const words[] = {"the", "she",          "hist",           "hers",
                                        "s h", "\xff\x01\x02", "quick brown fox"};
    static const struct {
        const char *text, *want;
    } rows[] = {{"", "......."},
                {"th", "......."},
                {"the", "x......"},
                {"ushers", ".x.x..."},
                {"HIST", "..x...."},
                {"h e r s", "......."},
                {"his history", "..x.x.."},
                {"\xff\x01\x02", ".....x."},
                {"A Quick Brown Fox", "......x"},
                {"quick brown fo", "......."},
                {"uick brown fox", "......."},
                {"hhhhhe she", ".x....."},
                {"hers", "...x..."}};
    struct rules_search *s = rules_search_new();

    for (uint32_t i = 0; i < 7; i++)
        UNIT_TRUE(rules_search_add(s, P(words[i]), i % 2, i, 0) >= RULES_SEARCH_MIN);
    UNIT_TRUE(rules_search_finish(s));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned char found[7] = {0};
        char got[7];

        rules_search_run(s, P(rows[i].text), 0, note, found);
        rules_search_run(s, P(rows[i].text), 1, note, found);
        for (size_t k = 0; k < 7; k++)
            got[k] = found[k] ? 'x' : '.';
        unit_row(rows[i].text);
        UNIT_STR(((struct pn_str){got, 7}), Z(rows[i].want));
    }
    rules_search_free(s);
}

/* Against the plain way, on words and texts of three letters; marks must come in order. */
struct heard {
    unsigned char found[20];
    size_t last;
    uint32_t kind;
};

static void hear(void *arg, uint32_t id, size_t mark, size_t reach)
{
    struct heard *h = arg;

    (void)reach;
    UNIT_TRUE(mark >= h->last && id % 2 == h->kind);
    h->last = mark;
    h->found[id] = 1;
}

static void test_search_random(void)
{
    for (int round = 0; round < 300; round++) {
        enum { WORDS = 20 };
        struct rules_search *s = rules_search_new();
        struct heard heard = {.last = 0};
        char words[WORDS][12];
        char text[60];

        for (uint32_t i = 0; i < WORDS; i++) {
            size_t len = 3 + draw(6);

            for (size_t k = 0; k < len; k++)
                words[i][k] = (char)('a' + draw(3));
            words[i][len] = '\0';
            UNIT_TRUE(rules_search_add(s, P(words[i]), i % 2, i, 0) > 0);
        }
        UNIT_TRUE(rules_search_finish(s));
        for (size_t i = 0; i < sizeof(text); i++)
            text[i] = (char)('a' + draw(3));
        for (uint32_t kind = 0; kind < 2; kind++) {
            heard.last = 0;
            heard.kind = kind;
            rules_search_run(s, (struct postern_str){text, sizeof(text)}, kind, hear, &heard);
        }
        for (size_t i = 0; i < WORDS; i++)
            UNIT_INT(heard.found[i], holds((struct pn_str){text, sizeof(text)}, P(words[i])));
        rules_search_free(s);
    }
}

/* ---- expressions: A is 1, B is 0, C is 3; U is unknown ---- */

static bool resolve(void *arg, struct postern_str name, struct postern_str argument, uint32_t *out)
{
    (void)arg;
    if (argument.p != NULL) { /* "len(abc)" is the length */
        *out = 100 + (uint32_t)argument.len;
        return rules_eq(name, P("len"));
    }
    *out = (uint32_t)(name.p[0] - 'A');
    return name.len == 1;
}

static struct rules_value lookup(const void *arg, uint32_t name)
{
    static const double values[] = {1, 0, 3};

    (void)arg;
    if (name >= 100)
        return (struct rules_value){name - 100, true};
    return (struct rules_value){name < 3 ? values[name] : 0, name < 3};
}

static void test_expressions(void)
{
    static const struct {
        const char *in, *want;
    } rows[] = {{"A", "1"},
                {"!A", "0"},
                {"!!C", "1"},
                {"A && B", "0"},
                {"A || B", "1"},
                {"B || B", "0"},
                {"A && C", "1"},
                {"A + C", "4"},
                {"A + B * C", "1"},
                {"(A + C) * C", "12"},
                {"C - A - A", "1"},
                {"C / 2", "1.5"},
                {"C / B", "?"},
                {"-C + 5", "2"},
                {"A + B + C > 3", "1"},
                {"A + B + C > 4", "0"},
                {"C >= 3 && C <= 3", "1"},
                {"C == 3", "1"},
                {"C != 3", "0"},
                {"1 < 2 == 1", "1"},
                {"A||B&&B", "1"},
                {"0.25 + .5", "0.75"},
                {"len(a b) + 1", "4"},
                {"U", "?"},
                {"!U", "?"},
                {"U && B", "0"},
                {"B && U", "0"},
                {"U && A", "?"},
                {"U || A", "1"},
                {"A || U", "1"},
                {"U || B", "?"},
                {"U + 1 > 0", "?"},
                {"", "operand missing"},
                {"A &&", "operand missing"},
                {"&& A", "operand missing"},
                {"A B", "operator missing"},
                {"A & B", "operator missing"},
                {"(A", "bracket without its end"},
                {"A)", "operator missing"},
                {"len(a", "bracket without its end"},
                {"AB", "a name that means nothing here"},
                {"f(x)", "a name that means nothing here"},
                {"A @ B", "operator missing"}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rules_arena a = {.used = 0};
        struct rules_meta m;
        const char *error = rules_meta_compile(&m, P(rows[i].in), &a, resolve, NULL);
        char got[32] = "?";

        if (error == NULL) {
            struct rules_value v = rules_meta_run(&m, lookup, NULL);

            if (v.known)
                (void)snprintf(got, sizeof(got), "%g", v.number);
        }
        unit_row(rows[i].in);
        UNIT_STR(Z(error != NULL ? error : got), Z(rows[i].want));
        rules_arena_free(&a);
    }
}

static const char *compile_repeated(const char *before, const char *bit, size_t times,
                                    const char *middle, const char *after)
{
    struct rules_arena a = {.used = 0};
    struct rules_meta m;
    struct pn_buf b;
    const char *error;

    pn_buf_init(&b, 1 << 20);
    (void)pn_buf_addz(&b, before);
    for (size_t i = 0; i < times; i++)
        (void)pn_buf_addz(&b, bit);
    (void)pn_buf_addz(&b, middle);
    for (size_t i = 0; i < times; i++)
        (void)pn_buf_addz(&b, after);
    error = rules_meta_compile(&m, (struct postern_str){b.p, b.len}, &a, resolve, NULL);
    if (error == NULL)
        UNIT_TRUE(rules_meta_run(&m, lookup, NULL).known);
    pn_buf_fini(&b);
    rules_arena_free(&a);
    return error;
}

static void test_expression_limits(void)
{
    UNIT_STR(Z(compile_repeated("", "(", RULES_META_DEPTH_MAX - 1, "A", ")")), Z(NULL));
    UNIT_STR(Z(compile_repeated("", "(", RULES_META_DEPTH_MAX, "A", ")")),
             Z("expression nested too deeply"));
    UNIT_STR(Z(compile_repeated("", "!", 5000, "A", "")), Z("expression nested too deeply"));
    UNIT_STR(Z(compile_repeated("A", "+A", RULES_META_STEPS_MAX / 2 - 1, "", "")), Z(NULL));
    UNIT_STR(Z(compile_repeated("A", "+A", RULES_META_STEPS_MAX / 2, "", "")),
             Z("expression too long"));
    /* The fullest stack: each nesting has an operand waiting at every level. */
    UNIT_STR(Z(compile_repeated("", "A||A&&A==A+A*(", RULES_META_DEPTH_MAX - 1, "A", ")")),
             Z(NULL));
}

/* ---- files ---- */

static struct postern_str load(void *arg, struct rules_arena *a, struct postern_str path)
{
    if (rules_eq(path, P("more.cf")))
        return rules_dup(a, P("body FROM_FILE /x/\n"));
    if (rules_eq(path, P("self.cf")))
        return rules_dup(a, P("include self.cf\ninclude more.cf\n"));
    if (rules_eq(path, P("one.cf")))
        return rules_dup(a, P("include two.cf\n"));
    if (rules_eq(path, P("two.cf")))
        return rules_dup(a, P("include one.cf\n"));
    (void)arg;
    return (struct postern_str){NULL, 0};
}

static void read_set(struct rules_set *set, const char *text)
{
    *set = (struct rules_set){.column = 1};
    UNIT_TRUE(rules_set_read(set, P("a.cf"), rules_dup(&set->arena, P(text)), load, NULL));
    UNIT_TRUE(rules_set_finish(set));
}

/* Files that include two others each: read until there were too many, not until all ended. */
static struct postern_str load_two(void *arg, struct rules_arena *a, struct postern_str path)
{
    char text[64];

    ++*(unsigned *)arg;
    (void)snprintf(text, sizeof text, "include %.*sa\ninclude %.*sb\n", (int)path.len, path.p,
                   (int)path.len, path.p);
    return rules_dup(a, (struct postern_str){text, strlen(text)});
}

static void test_includes(void)
{
    struct rules_set set = {.column = 1};
    unsigned read = 0;

    UNIT_TRUE(
        rules_set_read(&set, P("a.cf"), rules_dup(&set.arena, P("include x\n")), load_two, &read));
    UNIT_INT(read, RULES_INCLUDED_MAX);
    UNIT_TRUE(set.skipped > 0);
    rules_set_free(&set);
}

/* As many rules as there may be, and one more. */
static void test_most_rules(void)
{
    struct rules_set set = {.column = 1};
    struct pn_buf text;

    pn_buf_init(&text, 1 << 20);
    for (int i = 0; i <= RULES_MAX; i++)
        (void)pn_buf_addf(&text, "body __R%d /x/\n", i);
    UNIT_TRUE(rules_set_read(&set, P("a.cf"),
                             rules_dup(&set.arena, (struct postern_str){text.p, text.len}), load,
                             NULL));
    UNIT_INT(set.count, RULES_MAX);
    UNIT_INT(set.skipped, 1);
    rules_set_free(&set);
    pn_buf_fini(&text);
}

/* "NAME=score" of what would be stated, and the reasons for what is left out. */
static void print_set(const struct rules_set *set, struct pn_buf *out)
{
    for (size_t i = 0; i < set->count; i++)
        if (rule_is_stated(&set->rules[i]))
            (void)pn_buf_addf(out, "%s%.*s=%d", out->len == 0 ? "" : " ",
                              PN_FMT(set->rules[i].name), (int)set->rules[i].score);
    struct rules_reason reasons[20];
    size_t count = rules_set_reasons(set, reasons, 20);

    for (size_t i = 0; i < count; i++)
        (void)pn_buf_addf(out, "; %u %.*s", reasons[i].count, PN_FMT(reasons[i].why));
}

static const struct {
    const char *label, *in, *want;
} file_rows[] = {
    {"empty", "", ""},
    {"comments", "# all\n   # of it\n\n", ""},
    {"score by default", "body A /x/\n", "A=1000"},
    {"nice by default", "body A /x/\ntflags A nice\n", "A=-1000"},
    {"in test by default", "body T_A /x/\n", "T_A=10"},
    {"score", "body A /x/\nscore A 2.5\n", "A=2500"},
    {"score first", "score A -0.001\nbody A /x/\n", "A=-1"},
    {"four scores", "body A /x/\nscore A 1 2 3 4\n", "A=2000"},
    {"relative score", "body A /x/\nscore A 1\nscore A (0.5)\n", "A=1500"},
    {"score of none", "body A /x/\nscore A 0\n", ""},
    {"bad score", "body A /x/\nscore A x\nscore A\nscore A 1 2 3 4 5\nscore A 99999\n",
     "A=1000; 4 malformed score"},
    {"relative score of none", "body A /x/\nscore A (2)\n",
     "A=1000; 1 relative score without a score before it"},
    {"two scores", "body A /x/\nscore A 1 2\nscore A 0x3\nscore A 1e1\n",
     "A=1000; 3 malformed score"},
    {"redefined by what is not understood",
     "body A /x/\nbody A x\nbody B /x/\nheader B From\nbody C /x/\nmeta C ((\n"
     "body D /x/\nheader D From =~ /(/\nmeta E 1\nmeta E\nbody F /x/\n"
     "mimeheader F X:addr =~ /x/\nbody G /x/\nheader G exists:X y\n",
     "A=1000 B=1000 C=1000 D=1000 E=1000 F=1000 G=1000; 1 empty expression; "
     "1 header test without =~; 1 malformed name of a header; 1 not a pattern; 1 operand "
     "missing; "
     "1 part of a header that parts of a message don't have; "
     "1 pattern that PCRE2 refuses: missing closing parenthesis"},
    {"names that no fact can have",
     "body _A /x/\nbody A2345678901234567890123456789012345678901234567890123456789012345 /x/\n"
     "body A234567890123456789012345678901234567890123456789012345678901234 /x/\n",
     "A234567890123456789012345678901234567890123456789012345678901234=1000; "
     "2 name that no fact can have: of more than 64 letters, or with none first"},
    {"sub-rule", "body __A /x/\n", ""},
    {"comment behind", "body A /x/ # why\n", "A=1000"},
    {"escaped hash", "body A /x\\#y/\n", "A=1000"},
    {"CRLF", "body A /x/\r\nscore A 2\r\n", "A=2000"},
    {"no last line end", "body A /x/", "A=1000"},
    {"eval",
     "body A eval:check()\nheader B eval:x()\nscore A 1\nheader C eval:check_no_relays()\n"
     "body D eval:html_range('length', 0, 10)\n",
     "C=1000 D=1000; 1 eval test check is not known here; 1 eval test x is not known here"},
    {"eval, malformed",
     "body A eval:x(\nbody B eval:html_test('a\nbody C eval:html_test()\n"
     "body D eval:html_test('a')b\nbody E eval:html_test('a' 'b')\n",
     "; 4 malformed eval test; 1 eval test with a wrong number of arguments"},
    {"eval of the network",
     "header A eval:check_rbl('x')\nheader B eval:check_x()\n"
     "tflags B net\nmeta C !A && !B\n",
     "C=1000"},
    {"replace tags",
     "replace_tag A [a4]\nreplace_tag AB <A>b\nreplace_inter W \\s\nbody X /<inter W><AB><A>/\n"
     "replace_rules X\n",
     "X=1000"},
    {"redefined", "body A /x/\nheader A Subject =~ /y/\n", "A=1000"},
    {"redefined, not understood", "body A /x/\nbody A eval:x()\n",
     "; 1 eval test x is not known here"},
    {"header",
     "header A Subject =~ /x/\nheader B From:addr !~ /x/i [if-unset: y]\n"
     "header C exists:X-Odd\n",
     "A=1000 B=1000 C=1000"},
    {"header, not understood",
     "header A Subject = /x/\nheader B Subject:odd =~ /x/\n"
     "header C X-Spam-Relays-Untrusted =~ /x/\nheader D\n",
     "C=1000; 2 header test without =~; 1 part of a header that "
     "is "
     "not known here"},
    {"pattern", "body A x\nbody B /(/\nbody C /%{TAG}/\nbody D /x/q\n",
     "C=1000; 1 not a pattern; 1 pattern that PCRE2 refuses: missing closing parenthesis; "
     "1 unknown flag of a pattern"},
    {"names", "body 1A /x/\nbody A-B /x/\nbody\n", "; 3 malformed name of a rule"},
    {"other settings", "required_score 5\nreport x\nlang de body A /x/\n",
     "; 1 SpamAssassin's own output; 1 a threshold: the policy's `junk at`"},
    {"setting of nobody", "frobnicate x\n", "; 1 setting that is not for rules"},
    {"uri_detail", "uri_detail A type =~ /x/\nmeta B A || 0\nmeta C A || 1\n",
     "B=1000 C=1000; 1 uri_detail, a test of a URI's parts, which is not known here"},
    {"ifplugin", "ifplugin Mail::X\nbody A /x/\nendif\nbody B /x/\n",
     "B=1000; 1 for Mail::X, which is not known here"},
    {"else", "ifplugin Mail::X\nbody A /x/\nelse\nbody B /x/\nendif\nbody C /x/\n",
     "B=1000 C=1000; 1 for Mail::X, which is not known here"},
    {"not ifplugin", "if !plugin(Mail::X)\nbody A /x/\nelse\nbody B /x/\nendif\n", "A=1000"},
    {"version",
     "if (version >= 3.004002)\nbody A /x/\nendif\nif (version < 4)\nbody B /x/\nendif\n",
     "A=1000"},
    {"nested",
     "if can(X)\nif version > 1\nbody A /x/\nelse\nbody B /x/\nendif\nbody C /x/\nendif\nbody "
     "D /x/\n",
     "D=1000"},
    {"condition", "if odd(\nbody A /x/\nendif\n",
     "; 1 condition that is not understood; 1 under a condition that is not understood"},
    {"endings", "endif\nelse\nif version > 1\n",
     "; 1 else without if; 1 endif without if; 1 if without endif"},
    {"include", "include more.cf\n", "FROM_FILE=1000"},
    {"include of none", "include none.cf\n", "; 1 include of a file that can't be read"},
    {"include of itself", "include self.cf\n",
     "FROM_FILE=1000; 1 include of a file that is being read already"},
    {"include in a ring", "include one.cf\n", "; 1 include of a file that is being read already"},
    {"include of one file twice", "include more.cf\ninclude more.cf\n", "FROM_FILE=1000"},
    {"expression", "body __A /x/\nmeta B __A && !__GONE\n", "B=1000"},
    {"expression, malformed", "meta A B &&\nmeta C\n", "; 1 empty expression; 1 operand missing"},
    {"expression of itself", "meta A B\nmeta B C\nmeta C A\n",
     "A=1000 B=1000; 1 expression that leads back to itself"},
    {"small letters", "body odd_Name /x/\n", "odd_Name=1000"}};

static void test_files(void)
{
    for (size_t i = 0; i < sizeof(file_rows) / sizeof(file_rows[0]); i++) {
        struct rules_set set;
        struct pn_buf out;

        pn_buf_init(&out, 4096);
        unit_row(file_rows[i].label);
        read_set(&set, file_rows[i].in);
        print_set(&set, &out);
        UNIT_STR(pn_buf_str(&out), Z(file_rows[i].want));
        pn_buf_fini(&out);
        rules_set_free(&set);
    }
}

/* What nothing needs is not compiled, and expressions stand behind what they name. */
static void test_order(void)
{
    struct rules_set set;
    struct pn_buf out;

    read_set(&set,
             "meta E __D\nmeta __D __C + __B\nmeta __C !__B\nbody __B /x/\nbody __UNUSED /(/\n"
             "meta __ALSO_UNUSED __B\n");
    pn_buf_init(&out, 100);
    for (size_t i = 0; i < set.order_count[RULES_META]; i++)
        (void)pn_buf_addf(&out, " %.*s", PN_FMT(set.rules[set.order[RULES_META][i]].name));
    UNIT_STR(pn_buf_str(&out), Z(" __C __D E"));
    UNIT_INT(set.order_count[RULES_BODY], 1);
    UNIT_INT(set.skipped, 0);
    pn_buf_fini(&out);
    rules_set_free(&set);
}

static void test_set_limit(void)
{
    struct rules_set set = {.count = 0};
    struct pn_buf b;

    pn_buf_init(&b, SIZE_MAX);
    for (int i = 0; i <= RULES_MAX; i++)
        (void)pn_buf_addf(&b, "score R%d 1\n", i);
    UNIT_TRUE(rules_set_read(&set, P("a.cf"),
                             rules_dup(&set.arena, (struct postern_str){b.p, b.len}), NULL, NULL));
    UNIT_TRUE(set.count >= RULES_MAX);
    UNIT_TRUE(rules_set_finish(&set));
    pn_buf_fini(&b);
    rules_set_free(&set);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"patterns", test_patterns},
                                             {"literals", test_literals},
                                             {"literals, random", test_literals_random},
                                             {"windows, random", test_windows_random},
                                             {"windows, loose", test_windows_loose},
                                             {"Received fields", test_received},
                                             {"HTML", test_html},
                                             {"HTML, what tests ask", test_html_facts},
                                             {"addresses", test_addresses},
                                             {"search", test_search},
                                             {"search, random", test_search_random},
                                             {"expressions", test_expressions},
                                             {"expressions at the limit", test_expression_limits},
                                             {"files", test_files},
                                             {"includes", test_includes},
                                             {"most rules", test_most_rules},
                                             {"order", test_order},
                                             {"rules at the limit", test_set_limit},
                                             {NULL, NULL}};

    return unit_main("rules", tests, argc, argv);
}
