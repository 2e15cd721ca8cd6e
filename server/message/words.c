#include "words.h"

#include "charset.h"
#include "decode.h"
#include "encword.h"
#include "fold.h"
#include "mem.h"
#include "text.h"

#include <stdlib.h>

enum {
    SHORT_MAX = 256 * 1024,
    REST_MAX = 1024 * 1024,
    BODY_MAX = 8 * 1024 * 1024,
    NAME_MAX_LEN = 256,
    TEXT_MAX = BODY_MAX / 4 /* pn_text_new keeps four times that of a part */
};

struct pn_words {
    struct pn_buf shelves[PN_WORDS_SHELVES];
    struct pn_buf scratch; /* a value, a part or the view of HTML */
    struct pn_text *text;
    struct pn_message *message;
};

struct pn_words *pn_words_new(void)
{
    struct pn_words *words = pn_calloc(1, sizeof *words);
    pn_buf_init(&words->shelves[PN_WORDS_SHORT], SHORT_MAX);
    pn_buf_init(&words->shelves[PN_WORDS_REST], REST_MAX);
    pn_buf_init(&words->shelves[PN_WORDS_BODY], BODY_MAX);
    pn_buf_init(&words->scratch, BODY_MAX);
    words->text = pn_text_new(TEXT_MAX);
    return words;
}

void pn_words_free(struct pn_words **words)
{
    if (*words == NULL)
        return;
    for (int i = 0; i < PN_WORDS_SHELVES; i++)
        pn_buf_fini(&(*words)->shelves[i]);
    pn_buf_fini(&(*words)->scratch);
    pn_text_free(&(*words)->text);
    pn_message_free(&(*words)->message);
    free(*words);
    *words = NULL;
}

struct pn_str pn_words_get(const struct pn_words *words, enum pn_words_shelf shelf)
{
    struct pn_str s = pn_buf_str(&words->shelves[shelf]);
    return s.p == NULL ? PN_STR("") : s;
}

enum pn_words_shelf pn_words_shelf_of(struct pn_str name)
{
    static const struct pn_str names[] = {
        PN_STR_INIT("from"),        PN_STR_INIT("to"),         PN_STR_INIT("cc"),
        PN_STR_INIT("bcc"),         PN_STR_INIT("reply-to"),   PN_STR_INIT("sender"),
        PN_STR_INIT("subject"),     PN_STR_INIT("date"),       PN_STR_INIT("message-id"),
        PN_STR_INIT("in-reply-to"), PN_STR_INIT("references"), PN_STR_INIT("list-id")};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (pn_str_ieq(name, names[i]))
            return PN_WORDS_SHORT;
    return PN_WORDS_REST;
}

/* ---- fields */

static bool is_plain(struct pn_str value)
{
    return pn_str_is_ascii(value) && memmem(value.p, value.len, "=?", 2) == NULL;
}

/* Those of a part inside all go to the second shelf. */
static void add_field(struct pn_words *words, const struct pn_field *field, bool inner)
{
    struct pn_str name = pn_field_name(words->message, field);
    struct pn_str value = pn_str_trim(pn_field_value(words->message, field));
    if (name.len == 0 || name.len > NAME_MAX_LEN)
        return;
    struct pn_buf *out = &words->shelves[inner ? PN_WORDS_REST : pn_words_shelf_of(name)];
    if (out->overflow)
        return;
    if (value.len > 0 && !is_plain(value)) {
        pn_buf_clear(&words->scratch);
        (void)pn_words_decode(value, &words->scratch);
        value = pn_buf_str(&words->scratch);
    }
    (void)(pn_buf_addc(out, PN_WORDS_MARK) && pn_fold(name, out) && pn_buf_addz(out, ": ") &&
           pn_fold(value, out));
}

static void add_fields(struct pn_words *words, const struct pn_part *part, bool inner)
{
    size_t count = 0;
    const struct pn_field *fields = pn_part_fields(words->message, part, &count);
    for (size_t i = 0; i < count; i++)
        add_field(words, &fields[i], inner);
}

/* ---- bodies */

static void add_text(struct pn_words *words, struct pn_str utf8)
{
    struct pn_buf *out = &words->shelves[PN_WORDS_BODY];
    if (!out->overflow && utf8.len > 0)
        (void)(pn_buf_addc(out, PN_WORDS_MARK) && pn_fold(utf8, out));
}

/* What names no charset, or is wrongly made. */
static void add_raw(struct pn_words *words, const struct pn_part *part)
{
    struct pn_buf utf8;
    pn_buf_init(&utf8, BODY_MAX);
    pn_buf_clear(&words->scratch);
    if (part->kind == PN_PART_LEAF)
        (void)pn_part_decode(words->message, part, &words->scratch);
    else
        (void)pn_buf_adds(&words->scratch,
                          pn_str_slice(pn_part_body(words->message, part), 0, BODY_MAX));
    (void)pn_charset_guess_utf8(pn_buf_str(&words->scratch), &utf8);
    add_text(words, pn_buf_str(&utf8));
    pn_buf_fini(&utf8);
}

static void add_text_part(struct pn_words *words, const struct pn_part *part)
{
    struct pn_str utf8 = pn_text_part(words->text, words->message, part);
    add_text(words, utf8);
    if (!pn_part_is(words->message, part, PN_STR("text"), PN_STR("html")))
        return;
    pn_buf_clear(&words->scratch);
    (void)pn_html_text(utf8, &words->scratch, NULL);
    add_text(words, pn_buf_str(&words->scratch));
}

static void add_body(struct pn_words *words, const struct pn_part *part)
{
    bool broken = (part->flags & (PN_PART_NO_BOUNDARY | PN_PART_NO_DELIMITER)) != 0;
    if (broken)
        add_raw(words, part);
    else if (part->kind != PN_PART_LEAF)
        return;
    else if (pn_part_is(words->message, part, PN_STR("text"), PN_STR("")))
        add_text_part(words, part);
    else if (pn_part_is(words->message, part, PN_STR("message"), PN_STR("")))
        add_raw(words, part);
}

/* ---- all */

static bool begin(struct pn_words *words, struct pn_str content)
{
    for (int i = 0; i < PN_WORDS_SHELVES; i++)
        pn_buf_clear(&words->shelves[i]);
    if (words->message != NULL)
        return pn_message_reset(words->message, content);
    words->message = pn_message_new(content, NULL);
    return words->message != NULL;
}

void pn_words_read_header(struct pn_words *words, struct pn_str header)
{
    if (begin(words, header))
        add_fields(words, pn_message_part(words->message, 0), false);
}

void pn_words_read(struct pn_words *words, struct pn_str content)
{
    if (!begin(words, content))
        return;
    pn_message_mime(words->message);
    size_t parts = pn_message_parts(words->message);
    add_fields(words, pn_message_part(words->message, 0), false);
    if (parts > 1)
        (void)pn_buf_addc(&words->shelves[PN_WORDS_REST], PN_WORDS_INSIDE);
    for (size_t i = 0; i < parts; i++) {
        const struct pn_part *part = pn_message_part(words->message, i);
        if (i > 0)
            add_fields(words, part, true);
        add_body(words, part);
    }
}

/* ---- looking for something */

bool pn_words_key_in(const struct pn_words_key *key, enum pn_words_shelf shelf)
{
    if (key->where == PN_WORDS_IN_FIELD)
        return pn_words_shelf_of(key->field) == shelf;
    return key->where == PN_WORDS_IN_ALL || shelf == PN_WORDS_BODY;
}

/* Field by field: mark, name, ": ", value. */
static bool match_field(const struct pn_words_key *key, const struct pn_needle *needle,
                        struct pn_str text)
{
    size_t inside = pn_str_find(text, PN_WORDS_INSIDE, 0);
    text.len = inside == SIZE_MAX ? text.len : inside;
    for (size_t at = 0; at < text.len;) {
        size_t end = pn_str_find(text, PN_WORDS_MARK, at + 1);
        end = end == SIZE_MAX ? text.len : end;
        struct pn_str field = pn_str_slice(text, at + 1, end);
        size_t name = key->field.len;
        if (pn_str_starts(field, key->field) && name + 1 < field.len && field.p[name] == ':' &&
            pn_needle_find(needle, pn_str_slice(field, name + 2, field.len), 0) != SIZE_MAX)
            return true;
        at = end;
    }
    return false;
}

bool pn_words_key_match(const struct pn_words_key *key, const struct pn_needle *needle,
                        enum pn_words_shelf shelf, struct pn_str text)
{
    if (!pn_words_key_in(key, shelf))
        return false;
    if (key->where == PN_WORDS_IN_FIELD)
        return match_field(key, needle, text);
    return pn_needle_find(needle, text, 0) != SIZE_MAX;
}

bool pn_words_match_with(const struct pn_words *words, const struct pn_words_key *key,
                         const struct pn_needle *needle)
{
    for (int i = 0; i < PN_WORDS_SHELVES; i++) {
        enum pn_words_shelf shelf = (enum pn_words_shelf)i;
        if (pn_words_key_match(key, needle, shelf, pn_words_get(words, shelf)))
            return true;
    }
    return false;
}

bool pn_words_match(const struct pn_words *words, const struct pn_words_key *key)
{
    struct pn_needle needle;
    pn_needle_init(&needle, key->text);
    return pn_words_match_with(words, key, &needle);
}
