/* Tests of bodies and of the links in them. */
#include "rules_eval.h"
#include "rules_known.h"
#include "rules_text_in.h"

#include <stdlib.h>

static double body_length(const struct rules_eval_call *c)
{
    return (double)rules_text_body_length(c->text) <= rules_arg_number(c, 0);
}

/* ---- text against HTML ---- */

enum { WORDS_FIRST = 256, WORDS_MAX = 20000 };

struct words {
    struct postern_str *word; /* sorted when all are there */
    size_t count, room;
};

static int by_bytes(const void *a, const void *b)
{
    const struct postern_str *x = a;
    const struct postern_str *y = b;
    int order = memcmp(x->p, y->p, x->len < y->len ? x->len : y->len);

    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

static bool has_letter(struct postern_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (rules_is_word(s.p[i]) || (unsigned char)s.p[i] >= 0x80)
            return true;
    return false;
}

static void add_word(struct words *w, struct postern_str s)
{
    size_t room = w->room == 0 ? WORDS_FIRST : w->room * 2;
    struct postern_str *p;

    if (w->count == w->room) {
        p = realloc(w->word, room * sizeof(*p));
        if (p == NULL)
            return;
        w->word = p;
        w->room = room;
    }
    w->word[w->count++] = s;
}

static void add_words(struct words *w, struct postern_str s)
{
    size_t at = 0;

    while (at < s.len && w->count < WORDS_MAX) {
        size_t from = at;

        while (at < s.len && !rules_is_blank(s.p[at]))
            at++;
        if (has_letter((struct postern_str){s.p + from, at - from}))
            add_word(w, (struct postern_str){s.p + from, at - from});
        while (at < s.len && rules_is_blank(s.p[at]))
            at++;
    }
}

static size_t different(const struct words *w)
{
    size_t n = 0;

    for (size_t i = 0; i < w->count; i++)
        n += i == 0 || by_bytes(&w->word[i - 1], &w->word[i]) != 0;
    return n;
}

/* Words of a that b has less often. Both are sorted. */
static size_t missing(const struct words *a, const struct words *b)
{
    size_t n = 0;
    size_t k = 0;

    for (size_t i = 0; i < a->count;) {
        size_t from = i;
        size_t has = 0;

        while (i < a->count && by_bytes(&a->word[from], &a->word[i]) == 0)
            i++;
        while (k < b->count && by_bytes(&b->word[k], &a->word[from]) < 0)
            k++;
        for (; k < b->count && by_bytes(&b->word[k], &a->word[from]) == 0; k++)
            has++;
        n += has == 0 || i - from > has;
    }
    return n;
}

struct difference {
    double percent; /* of the HTML's words that the text lacks */
    size_t html, text;
};

static bool is_below(const struct rules_part *p, size_t i, size_t top)
{
    while (i != top && p[i].raw.parent >= 0 && (size_t)p[i].raw.parent < i)
        i = (size_t)p[i].raw.parent;
    return i == top;
}

static void compare(struct rules_text *t, size_t top, struct words *html, struct words *text,
                    struct difference *d)
{
    size_t count;
    struct rules_part *p = rules_text_parts(t, &count);
    size_t page = 0;
    double percent;

    html->count = text->count = 0;
    (void)rules_text_pages(t);
    for (size_t i = 0; i < count; i++) {
        bool is_page = p[i].leaf && rules_eq(p[i].effective, POSTERN_STR("text/html")) &&
                       rules_part_decoded(t, &p[i]).len > 0;

        if (is_page && page < t->page_count && t->pages[page] != NULL && is_below(p, i, top))
            add_words(html, t->pages[page]->text);
        else if (p[i].leaf && rules_eq(p[i].effective, POSTERN_STR("text/plain")) &&
                 is_below(p, i, top))
            add_words(text, rules_part_utf8(t, &p[i]));
        page += is_page;
    }
    if (html->count == 0)
        return;
    qsort(html->word, html->count, sizeof(*html->word), by_bytes);
    if (text->count > 0)
        qsort(text->word, text->count, sizeof(*text->word), by_bytes);
    d->html = different(html);
    d->text = different(text);
    percent = 100 * (double)missing(html, text) / (double)d->html;
    if (percent > d->percent)
        d->percent = percent;
}

static struct difference make_difference(struct rules_text *t)
{
    struct difference d = {0, 0, 0};
    struct words html = {.count = 0};
    struct words text = {.count = 0};
    size_t count;
    struct rules_part *p = rules_text_parts(t, &count);

    for (size_t i = 0; i < count; i++)
        if (rules_eq(p[i].type, POSTERN_STR("multipart/alternative")))
            compare(t, i, &html, &text, &d);
    free(html.word);
    free(text.word);
    return d;
}

static struct difference difference_of(struct rules_text *t)
{
    struct rules_figures *f = &t->figures;
    struct difference d;

    if (f->difference < 0) {
        d = make_difference(t);
        f->difference = d.percent;
        f->html_words = (double)d.html;
        f->text_words = (double)d.text;
    }
    return (struct difference){f->difference, (size_t)f->html_words, (size_t)f->text_words};
}

static double alternatives_differ(const struct rules_eval_call *c)
{
    double d = difference_of(c->text).percent;

    return (rules_arg_number(c, 0) == 0 || d > rules_arg_number(c, 0)) &&
           (rules_arg_is(c, 1, "undef") || d <= rules_arg_number(c, 1));
}

static double alternatives_ratio(const struct rules_eval_call *c)
{
    struct difference d = difference_of(c->text);

    return (double)d.html > rules_arg_number(c, 1) &&
           (double)d.text / (double)d.html > rules_arg_number(c, 0);
}

/* ---- shapes of text ---- */

/* Words of single letters: more blanks than bytes between them. */
static double vertical_words(const struct rules_eval_call *c)
{
    enum { LINE_MIN = 5 };
    struct rules_lines body = rules_text_body(c->text);
    double max = rules_arg_number(c, 1) >= 100 ? 101 : rules_arg_number(c, 1);
    long most = -1;

    for (size_t i = 0; i < body.count; i++) {
        size_t blanks = rules_count(body.line[i], ' ', ' ');
        size_t others;
        long percent;

        if (body.line[i].len <= LINE_MIN)
            continue;
        others = body.line[i].len - blanks;
        percent = blanks > others || others == 0 ? 100 : (long)(100 * blanks / others);
        most = percent > most ? percent : most;
    }
    return (double)most >= rules_arg_number(c, 0) && (double)most < max;
}

enum { LABELS_MAX = 40, LABEL_MAX = 40 };

/* "Current price: …", "Symbol: …": how many such labels the first text has. */
static double stock_info(const struct rules_eval_call *c)
{
    size_t count;
    struct rules_part *p = rules_text_parts(c->text, &count);
    char labels[LABELS_MAX][LABEL_MAX];
    struct postern_str label;
    size_t found = 0;
    size_t at = 0;
    size_t i = 0;

    while (i < count && !(p[i].leaf && rules_eq(p[i].type, POSTERN_STR("text/plain"))))
        i++;
    if (i == count)
        return 0;
    struct postern_str text = rules_part_utf8(c->text, &p[i]);
    while (found < LABELS_MAX &&
           rules_known_next(c->text->set, RULES_K_STOCK_LINE, text, &at, &label)) {
        struct postern_str word;
        char plain[LABEL_MAX];
        size_t n = 0;
        size_t from = 0;
        size_t k = 0;

        for (size_t b = 0; b < label.len && n < LABEL_MAX - 1; b++)
            if (rules_lower(label.p[b]) >= 'a' && rules_lower(label.p[b]) <= 'z')
                plain[n++] = rules_lower(label.p[b]);
        if (!rules_known_next(c->text->set, RULES_K_STOCK_WORD, (struct postern_str){plain, n},
                              &from, &word))
            continue;
        memset(labels[found], 0, LABEL_MAX);
        memcpy(labels[found], word.p, word.len);
        while (k < found && memcmp(labels[k], labels[found], LABEL_MAX) != 0)
            k++;
        found += k == found;
    }
    return (double)found >= rules_arg_number(c, 0);
}

/* ---- links ---- */

static bool is_host_listed(const struct rules_eval_call *c, struct postern_str host)
{
    const struct rules_names *names = &c->text->set->names;
    char key[RULES_NAME_MAX * 3];
    size_t n = c->arg[0].len;

    if (n + 1 + host.len > sizeof(key))
        return false;
    memcpy(key, c->arg[0].p, n);
    key[n] = ' ';
    /* The host itself, then what it is below; "!name" says that one is not. */
    while (host.len > 0) {
        const char *dot;

        memcpy(key + n + 1, host.p, host.len);
        if (rules_names_has(names, RULES_HOSTS, (struct postern_str){key, n + 1 + host.len}))
            return true;
        memmove(key + n + 2, key + n + 1, host.len);
        key[n + 1] = '!';
        if (rules_names_has(names, RULES_HOSTS, (struct postern_str){key, n + 2 + host.len}))
            return false;
        dot = memchr(host.p, '.', host.len);
        if (dot == NULL)
            break;
        host = (struct postern_str){dot + 1, host.len - (size_t)(dot + 1 - host.p)};
    }
    return false;
}

static double host_listed(const struct rules_eval_call *c)
{
    struct rules_lines hosts = rules_text_hosts(c->text);

    for (size_t i = 0; i < hosts.count; i++)
        if (is_host_listed(c, hosts.line[i]))
            return 1;
    return 0;
}

static double uri_cut(const struct rules_eval_call *c)
{
    for (size_t i = 0; i < rules_text_pages(c->text); i++)
        if (c->text->pages[i] != NULL && c->text->pages[i]->uri_cut)
            return 1;
    return 0;
}

/* A link to a bare address whose words promise a safe place elsewhere. */
static double ip_for_https(const struct rules_eval_call *c)
{
    const struct rules_set *set = c->text->set;

    for (size_t i = 0; i < rules_text_pages(c->text); i++) {
        const struct rules_html *h = c->text->pages[i];

        for (size_t k = 0; h != NULL && k < h->text_count; k++)
            if (h->texts[k].kind == RULES_ANCHOR &&
                rules_known(set, RULES_K_HTTP_IP, h->texts[k].uri) &&
                !rules_known(set, RULES_K_HTTP_IP, h->texts[k].text) &&
                rules_ifind(h->texts[k].text, POSTERN_STR("https:")).p != NULL)
                return 1;
    }
    return 0;
}

/* Does one page have such a link, among how many that lead somewhere? */
static bool other_https(const struct rules_eval_call *c, const struct rules_html *h,
                        size_t *anchors)
{
    const struct rules_set *set = c->text->set;
    bool hit = false;

    *anchors = 0;
    for (size_t k = 0; k < h->text_count; k++) {
        const struct rules_html_text *a = &h->texts[k];
        struct postern_str host;
        struct postern_str said;
        size_t at = 0;

        if (a->kind != RULES_ANCHOR || !rules_istarts(a->uri, POSTERN_STR("http")))
            continue;
        host = rules_uri_host(a->uri, &c->text->arena, &set->names);
        if (host.p == NULL || rules_is_ip(host))
            continue;
        ++*anchors;
        if (!rules_known_next(set, RULES_K_HTTPS, a->text, &at, &said))
            continue;
        if (!rules_is_ip(said) && !rules_domain_valid(&set->names, said))
            continue;
        if (!rules_is_ip(said))
            said = rules_domain_of(&set->names, said);
        hit |= !rules_ieq(said, rules_domain_of(&set->names, host));
    }
    return hit;
}

static double https_elsewhere(const struct rules_eval_call *c)
{
    double least = c->args > 0 ? rules_arg_number(c, 0) : 1;

    for (size_t i = 0; i < rules_text_pages(c->text); i++) {
        size_t n;

        if (c->text->pages[i] != NULL && other_https(c, c->text->pages[i], &n) &&
            (double)n >= least && (c->args < 2 || (double)n < rules_arg_number(c, 1)))
            return 1;
    }
    return 0;
}

const struct rules_eval rules_eval_body[] = {
    {"check_body_length", body_length, 1, 1, 0, false},
    {"multipart_alternative_difference", alternatives_differ, 2, 2, 0, false},
    {"multipart_alternative_difference_count", alternatives_ratio, 2, 2, 0, false},
    {"tvd_vertical_words", vertical_words, 2, 2, 0, false},
    {"check_stock_info", stock_info, 1, 1, 0, false},
    {"check_uri_host_listed", host_listed, 1, 1, 0, false},
    {"check_uri_truncated", uri_cut, 0, 0, 0, false},
    {"check_https_ip_mismatch", ip_for_https, 0, 0, 0, false},
    {"check_https_http_mismatch", https_elsewhere, 0, 2, 0, false},
    {.name = NULL}};
