#include "abuse.h"

#include "clock.h"
#include "json.h"
#include "mem.h"
#include "net.h"
#include "pool.h"
#include "utf8.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

static const char *const outcome_names[PN_ABUSE_OUTCOMES] = {"accept",  "junk",  "quarantine",
                                                             "discard", "defer", "reject"};

enum { BY_CLIENT, BY_NETWORK, BY_DOMAIN, BY_SYMBOL, TABLES };

static const struct {
    const char *title, *json;
} tables[TABLES] = {[BY_CLIENT] = {"client address", "clients"},
                    [BY_NETWORK] = {"network", "networks"},
                    [BY_DOMAIN] = {"sender domain", "sender_domains"},
                    [BY_SYMBOL] = {"symbol", "symbols"}};

struct row {
    struct pn_str key; /* pooled */
    uint64_t messages;
    uint64_t outcomes[PN_ABUSE_OUTCOMES];
};

/* Open addressing; an empty slot has no messages. */
struct table {
    struct row *rows;
    size_t cap, used;
};

struct pn_abuse {
    struct pn_str since;
    struct pn_pool *pool;
    struct table tables[TABLES];
    struct pn_abuse_totals totals;
};

struct pn_abuse *pn_abuse_new(struct pn_str since)
{
    struct pn_abuse *abuse = pn_calloc(1, sizeof *abuse);
    abuse->since = since;
    abuse->pool = pn_pool_new(SIZE_MAX);
    return abuse;
}

void pn_abuse_free(struct pn_abuse **abusep)
{
    struct pn_abuse *abuse = *abusep;
    if (abuse == NULL)
        return;
    for (int t = 0; t < TABLES; t++)
        free(abuse->tables[t].rows);
    pn_pool_free(&abuse->pool);
    free(abuse);
    *abusep = NULL;
}

struct pn_abuse_totals pn_abuse_totals(const struct pn_abuse *abuse)
{
    return abuse->totals;
}

static struct row *slot_of(const struct table *t, struct pn_str key)
{
    size_t i = pn_str_hash(key, 0x9d5f, true) & (t->cap - 1);
    while (t->rows[i].messages != 0 && !pn_str_ieq(t->rows[i].key, key))
        i = (i + 1) & (t->cap - 1);
    return &t->rows[i];
}

static void grow(struct table *t)
{
    struct table bigger = {.cap = t->cap == 0 ? 256 : t->cap * 2, .used = t->used};
    bigger.rows = pn_calloc(bigger.cap, sizeof *bigger.rows);
    for (size_t i = 0; i < t->cap; i++)
        if (t->rows[i].messages != 0)
            *slot_of(&bigger, t->rows[i].key) = t->rows[i];
    free(t->rows);
    *t = bigger;
}

static void count(struct pn_abuse *abuse, int table, struct pn_str key, int outcome)
{
    struct table *t = &abuse->tables[table];
    if (t->used * 2 >= t->cap)
        grow(t);
    struct row *row = slot_of(t, key);
    if (row->messages == 0) {
        row->key = pn_pool_dup(abuse->pool, key);
        t->used++;
    }
    row->messages++;
    row->outcomes[outcome]++;
}

static struct pn_str text_of(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_string(v) ? (struct pn_str){json_string_value(v), json_string_length(v)}
                             : PN_STR("");
}

static int outcome_of(const json_t *event)
{
    struct pn_str name = text_of(event, "outcome");
    for (int i = 0; i < PN_ABUSE_OUTCOMES; i++)
        if (pn_str_eq(name, pn_str_of(outcome_names[i])))
            return i;
    return -1;
}

static void count_client(struct pn_abuse *abuse, struct pn_str text, int outcome)
{
    struct pn_ip ip;
    struct pn_buf net;
    if (!pn_ip_parse(text, &ip))
        return;
    count(abuse, BY_CLIENT, text, outcome);
    struct pn_net of = pn_net_of_client(&ip);
    pn_buf_init(&net, 2 * PN_IP_TEXT_MAX);
    pn_net_print(&net, &of);
    count(abuse, BY_NETWORK, pn_buf_str(&net), outcome);
    pn_buf_fini(&net);
}

static void count_sender(struct pn_abuse *abuse, struct pn_str from, int outcome)
{
    size_t at = from.len;
    while (at > 0 && from.p[at - 1] != '@')
        at--;
    count(abuse, BY_DOMAIN, at == 0 ? PN_STR("<>") : pn_str_slice(from, at, from.len), outcome);
}

static void count_symbols(struct pn_abuse *abuse, const json_t *symbols, int outcome)
{
    size_t i, k;
    const json_t *symbol, *earlier;
    json_array_foreach(symbols, i, symbol)
    {
        /* A symbol that stands twice, with two details, is one message all the same. */
        struct pn_str name = text_of(symbol, "name");
        bool again = false;
        json_array_foreach(symbols, k, earlier)
        {
            if (k >= i)
                break;
            again = again || pn_str_eq(text_of(earlier, "name"), name);
        }
        if (!again && name.len != 0)
            count(abuse, BY_SYMBOL, name, outcome);
    }
}

static void count_event(struct pn_abuse *abuse, const json_t *event)
{
    struct pn_str ts = text_of(event, "ts");
    int outcome = outcome_of(event);
    if (!pn_str_eq(text_of(event, "event"), PN_STR("message")) || outcome < 0)
        return;
    if (abuse->since.len != 0 && pn_str_cmp(ts, abuse->since) < 0)
        return;
    struct pn_abuse_totals *totals = &abuse->totals;
    if (totals->messages++ == 0)
        totals->first = pn_pool_dup(abuse->pool, ts);
    if (totals->last.len != ts.len)
        totals->last = pn_pool_dup(abuse->pool, ts);
    else if (ts.len != 0)
        memcpy((char *)(uintptr_t)totals->last.p, ts.p, ts.len);
    totals->outcomes[outcome]++;
    count_client(abuse, text_of(json_object_get(event, "client"), "ip"), outcome);
    count_sender(abuse, text_of(json_object_get(event, "envelope"), "from"), outcome);
    count_symbols(abuse, json_object_get(event, "symbols"), outcome);
}

void pn_abuse_line(struct pn_abuse *abuse, struct pn_str line)
{
    json_t *event = json_loadb(line.p, line.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(event))
        abuse->totals.damaged++;
    else
        count_event(abuse, event);
    json_decref(event);
}

static uint64_t refused(const struct row *row)
{
    return row->messages - row->outcomes[0];
}

static int worst_first(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (refused(x) != refused(y))
        return refused(x) < refused(y) ? 1 : -1;
    if (x->messages != y->messages)
        return x->messages < y->messages ? 1 : -1;
    return pn_str_cmp(x->key, y->key);
}

/* The table's rows in order; owned. */
static struct row *sorted(const struct table *t, size_t *count_out)
{
    struct row *rows = pn_calloc(t->used, sizeof *rows);
    size_t n = 0;
    for (size_t i = 0; i < t->cap; i++)
        if (t->rows[i].messages != 0)
            rows[n++] = t->rows[i];
    if (n != 0)
        qsort(rows, n, sizeof *rows, worst_first);
    *count_out = n;
    return rows;
}

enum { KEY_WIDTH = 44 };

/* At most KEY_WIDTH characters of text, padded to `least`: what a terminal's columns show. */
static void print_shown(FILE *to, struct pn_str text, size_t least)
{
    struct pn_buf shown;
    size_t width = 0, end = 0;
    pn_buf_init(&shown, SIZE_MAX);
    (void)pn_utf8_add_shown(&shown, text);
    for (; end < shown.len && width < KEY_WIDTH; width++)
        end += pn_utf8_next(pn_str_slice(pn_buf_str(&shown), end, shown.len));
    fprintf(to, "%.*s%*s", (int)end, shown.p == NULL ? "" : shown.p,
            (int)(width < least ? least - width : 0), "");
    pn_buf_fini(&shown);
}

static void print_row(FILE *to, const struct row *row)
{
    fputs("  ", to);
    print_shown(to, row->key, KEY_WIDTH);
    fprintf(to, " %9" PRIu64, row->messages);
    for (int i = 0; i < PN_ABUSE_OUTCOMES; i++)
        fprintf(to, " %10" PRIu64, row->outcomes[i]);
    fputc('\n', to);
}

static void print_head(FILE *to, const char *title)
{
    fprintf(to, "\n  %-*s %9s", (int)KEY_WIDTH, title, "messages");
    for (int i = 0; i < PN_ABUSE_OUTCOMES; i++)
        fprintf(to, " %10s", outcome_names[i]);
    fputc('\n', to);
}

void pn_abuse_print(struct pn_abuse *abuse, size_t top, FILE *to)
{
    const struct pn_abuse_totals *totals = &abuse->totals;
    if (totals->messages == 0) {
        fprintf(to, "No message in the log for that time.\n");
    } else {
        fprintf(to, "%" PRIu64 " messages from ", totals->messages);
        print_shown(to, totals->first, 0);
        fputs(" to ", to);
        print_shown(to, totals->last, 0);
        for (int i = 0; i < PN_ABUSE_OUTCOMES; i++)
            if (totals->outcomes[i] != 0)
                fprintf(to, ", %s %" PRIu64, outcome_names[i], totals->outcomes[i]);
        fputc('\n', to);
        for (int t = 0; t < TABLES; t++) {
            size_t n;
            struct row *rows = sorted(&abuse->tables[t], &n);
            print_head(to, tables[t].title);
            for (size_t i = 0; i < n && i < top; i++)
                print_row(to, &rows[i]);
            if (n > top)
                fprintf(to, "  and %zu more\n", n - top);
            free(rows);
        }
    }
    if (totals->damaged != 0)
        fprintf(to, "\n%" PRIu64 " lines are no JSON and were passed over.\n", totals->damaged);
}

static void json_outcomes(struct pn_json *j, const uint64_t outcomes[PN_ABUSE_OUTCOMES])
{
    pn_json_object(j, "outcomes");
    for (int i = 0; i < PN_ABUSE_OUTCOMES; i++)
        pn_json_i64(j, outcome_names[i], (int64_t)outcomes[i]);
    pn_json_object_end(j);
}

void pn_abuse_print_json(struct pn_abuse *abuse, size_t top, FILE *to)
{
    const struct pn_abuse_totals *totals = &abuse->totals;
    struct pn_buf out;
    pn_buf_init(&out, SIZE_MAX);
    struct pn_json j = pn_json_to(&out);
    pn_json_object(&j, NULL);
    pn_json_i64(&j, "messages", (int64_t)totals->messages);
    pn_json_i64(&j, "damaged", (int64_t)totals->damaged);
    pn_json_str(&j, "first", totals->first);
    pn_json_str(&j, "last", totals->last);
    json_outcomes(&j, totals->outcomes);
    for (int t = 0; t < TABLES; t++) {
        size_t n;
        struct row *rows = sorted(&abuse->tables[t], &n);
        pn_json_array(&j, tables[t].json);
        for (size_t i = 0; i < n && i < top; i++) {
            pn_json_object(&j, NULL);
            pn_json_str(&j, "key", rows[i].key);
            pn_json_i64(&j, "messages", (int64_t)rows[i].messages);
            json_outcomes(&j, rows[i].outcomes);
            pn_json_object_end(&j);
        }
        pn_json_array_end(&j);
        free(rows);
    }
    pn_json_object_end(&j);
    (void)pn_buf_addc(&out, '\n');
    (void)fwrite(out.p, 1, out.len, to);
    pn_buf_fini(&out);
}

static unsigned digits(struct pn_str s, size_t at, size_t n)
{
    unsigned v = 0;
    for (size_t i = at; i < at + n; i++)
        v = v * 10 + (unsigned)(s.p[i] - '0');
    return v;
}

/* "2026-11-22" or "2026-11-22T08:00:00", whose shape is right: is there such a moment? */
static bool is_moment(struct pn_str stamp)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned year = digits(stamp, 0, 4), month = digits(stamp, 5, 2), day = digits(stamp, 8, 2);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (month < 1 || month > 12 || day < 1 ||
        day > days[month - 1] + (month == 2 && leap ? 1U : 0U))
        return false;
    return stamp.len == 10 || (digits(stamp, 11, 2) < 24 && digits(stamp, 14, 2) < 60 &&
                               digits(stamp, 17, 2) <= 60); /* a leap second's */
}

bool pn_abuse_since(struct pn_str text, int64_t now_ms, struct pn_buf *out)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}, {'w', 604800000}};
    static const char shape[] = "dddd-dd-ddTdd:dd:dd";
    uint64_t n;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (text.len < 2 || text.p[text.len - 1] != units[i].unit ||
            !pn_str_u64(pn_str_slice(text, 0, text.len - 1), 100000, &n))
            continue;
        int64_t at = now_ms - (int64_t)n * units[i].ms;
        pn_clock_rfc3339(out, at < 0 ? 0 : at);
        return true;
    }
    /* A date, or a date and time, without or with a final Z: compared as text. */
    struct pn_str stamp =
        pn_str_ends(text, PN_STR("Z")) ? pn_str_slice(text, 0, text.len - 1) : text;
    if (stamp.len != 10 && stamp.len != sizeof shape - 1)
        return false;
    for (size_t i = 0; i < stamp.len; i++)
        if (shape[i] == 'd' ? !pn_is_digit(stamp.p[i]) : stamp.p[i] != shape[i])
            return false;
    return is_moment(stamp) && pn_buf_adds(out, stamp);
}
