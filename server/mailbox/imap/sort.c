#include "sort.h"

#include "address.h"
#include "base_subject.h"
#include "date.h"
#include "encword.h"
#include "fold.h"
#include "mem.h"
#include "message.h"

#include <stdlib.h>

enum { TEXT_MAX = 512 * 1024 * 1024, VALUE_MAX = 64 * 1024 };

/* A number or a string for each key: dates and sizes, or a place in the text. */
struct sort_value {
    int64_t number;
    uint32_t at, len;
};

struct sort_mail {
    uint32_t seq;
    struct sort_value *values; /* owned; one a key */
};

/* ---- keys */

static const struct {
    const char *word;
    enum sort_what what;
    bool header;
} words[] = {
    {"ARRIVAL", SORT_ARRIVAL, false},
    {"CC", SORT_CC, true},
    {"DATE", SORT_DATE, true},
    {"DISPLAYFROM", SORT_DISPLAYFROM, true},
    {"DISPLAYTO", SORT_DISPLAYTO, true},
    {"FROM", SORT_FROM, true},
    {"SIZE", SORT_SIZE, false},
    {"SUBJECT", SORT_SUBJECT, true},
    {"TO", SORT_TO, true},
};

static bool parse_key(struct sort *sort, struct pn_imap_args *args)
{
    struct pn_str word;
    struct sort_key key = {.reverse = false};
    if (pn_imap_word(args, "REVERSE")) {
        key.reverse = true;
        if (!pn_imap_sp(args))
            return false;
    }
    if (sort->key_count >= SORT_KEYS_MAX || !pn_imap_atom(args, &word))
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (pn_str_ieq(word, pn_str_of(words[i].word))) {
            key.what = words[i].what;
            sort->header = sort->header || words[i].header;
            sort->keys[sort->key_count++] = key;
            return true;
        }
    return false;
}

bool sort_parse(struct sort *sort, struct pn_imap_args *args)
{
    *sort = (struct sort){.key_count = 0};
    pn_buf_init(&sort->text, TEXT_MAX);
    bool ok = pn_imap_char(args, '(') && parse_key(sort, args);
    while (ok && pn_imap_sp(args))
        ok = parse_key(sort, args);
    return ok && pn_imap_char(args, ')');
}

void sort_fini(struct sort *sort)
{
    for (size_t i = 0; i < sort->count; i++)
        free(sort->mails[i].values);
    free(sort->mails);
    pn_buf_fini(&sort->text);
    *sort = (struct sort){.key_count = 0};
}

/* ---- header fields */

struct pn_str sort_field(struct pn_str header, struct pn_str name)
{
    for (size_t at = 0; at < header.len;) {
        struct pn_str line = pn_str_slice(header, at, header.len);
        /* To the end of the field: a line end that no blank follows. */
        size_t end = at;
        do {
            size_t lf = pn_str_find(header, '\n', end);
            end = lf == SIZE_MAX ? header.len : lf + 1;
        } while (end < header.len && (header.p[end] == ' ' || header.p[end] == '\t'));
        line.len = end - at;
        size_t colon = pn_str_find(pn_str_slice(line, 0, name.len + 20), ':', 0);
        if (colon != SIZE_MAX && pn_str_ieq(pn_str_trim(pn_str_slice(line, 0, colon)), name))
            return pn_str_trim(pn_str_slice(line, colon + 1, line.len));
        at = end;
    }
    return PN_STR("");
}

int64_t sort_sent(struct pn_str header, const struct pn_mail *mail)
{
    int64_t seconds;
    struct pn_str value = sort_field(header, PN_STR("Date"));
    return value.len > 0 && pn_date_parse(value, &seconds, NULL) ? seconds : mail->date;
}

bool sort_fold_value(struct pn_str value, struct pn_buf *out)
{
    struct pn_buf decoded;
    pn_buf_init(&decoded, VALUE_MAX);
    (void)pn_words_decode(value, &decoded);
    bool ok = pn_fold(pn_buf_str(&decoded), out);
    pn_buf_fini(&decoded);
    return ok;
}

/* ---- what is compared */

/* The first address: its local part, or (display) what a person reads (RFC 5957, section 3). Of a
 * group that comes first its name stands for both, as it does in an envelope. */
static void add_address(struct pn_str value, bool display, struct pn_buf *out)
{
    struct pn_address_walk walk;
    struct pn_address address;
    struct pn_buf text;
    pn_buf_init(&text, SORT_TEXT_MAX);
    pn_address_start(&walk, value);
    if (pn_address_next(&walk, &address)) {
        bool group = address.kind == PN_ADDRESS_GROUP;
        if (display || group)
            (void)pn_address_display(&address, &text);
        if (text.len == 0 && !group && display && !pn_address_spec(&address, &text))
            (void)pn_buf_adds(&text, address.local);
        if (!display && !group && pn_address_spec(&address, &text))
            while (text.len > 0 && text.p[--text.len] != '@')
                ;
        else if (!display && !group)
            (void)pn_buf_adds(&text, address.local);
    }
    (void)pn_fold(pn_buf_str(&text), out);
    pn_buf_fini(&text);
}

static void add_subject(struct pn_str value, struct pn_buf *out)
{
    struct pn_buf folded;
    pn_buf_init(&folded, VALUE_MAX);
    (void)sort_fold_value(value, &folded);
    (void)pn_buf_adds(out, pn_base_subject(pn_buf_str(&folded), NULL));
    pn_buf_fini(&folded);
}

static void set_text(enum sort_what what, struct pn_str header, struct pn_buf *out)
{
    static const struct pn_str fields[] = {
        [SORT_CC] = PN_STR_INIT("Cc"),           [SORT_DISPLAYFROM] = PN_STR_INIT("From"),
        [SORT_DISPLAYTO] = PN_STR_INIT("To"),    [SORT_FROM] = PN_STR_INIT("From"),
        [SORT_SUBJECT] = PN_STR_INIT("Subject"), [SORT_TO] = PN_STR_INIT("To")};
    struct pn_str value = sort_field(header, fields[what]);
    if (what == SORT_SUBJECT)
        add_subject(value, out);
    else
        add_address(value, what == SORT_DISPLAYFROM || what == SORT_DISPLAYTO, out);
}

bool sort_add(struct sort *sort, uint32_t seq, const struct pn_mail *mail, struct pn_str header)
{
    sort->mails = pn_grow(sort->mails, &sort->cap, sort->count, sizeof *sort->mails);
    struct sort_mail *entry = &sort->mails[sort->count++];
    *entry = (struct sort_mail){.seq = seq};
    entry->values = pn_calloc(sort->key_count, sizeof *entry->values);
    for (size_t i = 0; i < sort->key_count; i++) {
        struct sort_value *value = &entry->values[i];
        enum sort_what what = sort->keys[i].what;
        value->at = (uint32_t)sort->text.len;
        if (what == SORT_ARRIVAL || what == SORT_SIZE)
            value->number = what == SORT_ARRIVAL ? mail->date : (int64_t)mail->size;
        else if (what == SORT_DATE)
            value->number = sort_sent(header, mail);
        else
            set_text(what, header, &sort->text);
        value->len = (uint32_t)sort->text.len - value->at;
    }
    return !sort->text.overflow;
}

static int compare(const void *a, const void *b, void *ctx)
{
    const struct sort *sort = ctx;
    const struct sort_mail *x = a, *y = b;
    struct pn_str text = pn_buf_str(&sort->text);
    for (size_t i = 0; i < sort->key_count; i++) {
        const struct sort_value *v = &x->values[i], *w = &y->values[i];
        int order = v->number != w->number ? (v->number < w->number ? -1 : 1) : 0;
        if (order == 0)
            order = pn_str_cmp(pn_str_slice(text, v->at, (size_t)v->at + v->len),
                               pn_str_slice(text, w->at, (size_t)w->at + w->len));
        if (order != 0)
            return sort->keys[i].reverse ? -order : order;
    }
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

void sort_run(struct sort *sort)
{
    if (sort->count > 1)
        qsort_r(sort->mails, sort->count, sizeof *sort->mails, compare, sort);
}

uint32_t sort_nth(const struct sort *sort, size_t n)
{
    return sort->mails[n].seq;
}
