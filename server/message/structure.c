#include "structure.h"

#include "assert.h"
#include "crlf.h"
#include "decode.h"
#include "encword.h"
#include "envelope.h"
#include "imap_quote.h"
#include "lex.h"
#include "param.h"

enum { STRING_MAX = PN_ENVELOPE_STRING, ENCODING_MAX = 64 };

/* The fields that a body has besides type and disposition: the first of each name. */
enum slot {
    SLOT_ID,
    SLOT_DESCRIPTION,
    SLOT_ENCODING,
    SLOT_MD5,
    SLOT_LANGUAGE,
    SLOT_LOCATION,
    SLOTS
};

static const struct pn_str names[SLOTS] = {
    PN_STR_INIT("Content-ID"),
    PN_STR_INIT("Content-Description"),
    PN_STR_INIT("Content-Transfer-Encoding"),
    PN_STR_INIT("Content-MD5"),
    PN_STR_INIT("Content-Language"),
    PN_STR_INIT("Content-Location"),
};

struct structure {
    struct pn_message *m;
    struct pn_buf *out;
    size_t full; /* length of out beyond which NIL is said where it may be */
    bool extensible;
    bool ok;
    struct pn_crlf crlf;
    struct pn_buf text; /* a string that is not as it stands in content */
    /* of the part at hand */
    const struct pn_part *part;
    struct pn_str field[SLOTS]; /* values; .p is NULL for what is not there */
};

static void put(struct structure *s, const char *text)
{
    s->ok = s->ok && pn_buf_addz(s->out, text);
}

static bool is_full(const struct structure *s)
{
    return s->out->len > s->full;
}

static void put_string(struct structure *s, struct pn_str text)
{
    s->ok = s->ok && pn_imap_quote(s->out, pn_str_slice(text, 0, STRING_MAX));
}

static void put_field(struct structure *s, enum slot slot)
{
    if (s->field[slot].p == NULL || is_full(s))
        put(s, "NIL");
    else
        s->ok = s->ok && pn_imap_quote_unfold(s->out, s->field[slot], STRING_MAX);
}

static void put_number(struct structure *s, uint64_t n)
{
    s->ok = s->ok && pn_buf_addf(s->out, " %llu", (unsigned long long)n);
}

/* Looks at the fields of a part once. */
static void begin_part(struct structure *s, const struct pn_part *part)
{
    size_t count = 0;
    const struct pn_field *fields = pn_part_fields(s->m, part, &count);
    s->part = part;
    for (size_t slot = 0; slot < SLOTS; slot++)
        s->field[slot] = (struct pn_str){NULL, 0};
    for (size_t i = 0; i < count; i++) {
        if (fields[i].name_len < names[SLOT_ID].len)
            continue;
        struct pn_str name = pn_field_name(s->m, &fields[i]);
        for (size_t slot = 0; slot < SLOTS; slot++)
            if (names[slot].len == name.len && s->field[slot].p == NULL &&
                pn_str_ieq(name, names[slot]))
                s->field[slot] = pn_field_value(s->m, &fields[i]);
    }
}

static struct pn_str value_of(const struct structure *s, int32_t field)
{
    size_t count = 0;
    const struct pn_field *fields = pn_part_fields(s->m, s->part, &count);
    return pn_field_value(s->m, &fields[(uint32_t)field - s->part->first_field]);
}

/* ---- what a part is told by */

static void put_param(struct structure *s, const struct pn_param *param)
{
    put_string(s, param->name);
    put(s, " ");
    pn_buf_clear(&s->text);
    if (param->quoted)
        (void)lex_unquote(param->value, &s->text);
    else
        (void)pn_unfold(param->value, &s->text);
    put_string(s, pn_buf_str(&s->text));
}

/* The parameters behind where walk stands, or NIL. */
static void put_params(struct structure *s, struct pn_param_walk *walk)
{
    struct pn_param param;
    const char *before = "(";
    while (!is_full(s) && s->ok && pn_param_next(walk, &param)) {
        put(s, before);
        put_param(s, &param);
        before = " ";
    }
    put(s, *before == ' ' ? ")" : "NIL");
}

static void put_type_params(struct structure *s)
{
    struct pn_param_walk walk = {.at = 0};
    if (s->part->content_type != PN_NO_FIELD)
        (void)pn_param_start(&walk, value_of(s, s->part->content_type));
    put_params(s, &walk);
}

static void put_disposition(struct structure *s)
{
    if (s->part->disposition == PN_NO_FIELD || is_full(s)) {
        put(s, "NIL");
        return;
    }
    struct pn_param_walk walk;
    struct pn_str token = pn_param_start(&walk, value_of(s, s->part->disposition));
    /* RFC 2183, section 2.8: what is not known is an attachment. */
    put(s, "(");
    put_string(s, token.len == 0 ? PN_STR("attachment") : token);
    put(s, " ");
    put_params(s, &walk);
    put(s, ")");
}

static void put_encoding(struct structure *s)
{
    enum pn_encoding encoding = (enum pn_encoding)s->part->encoding;
    struct pn_str known = pn_str_of(pn_encoding_name(encoding)), v = s->field[SLOT_ENCODING];
    if (encoding < PN_ENCODING_UUENCODE || v.p == NULL) {
        put_string(s, known);
        return;
    }
    size_t at = lex_cfws(v, 0);
    struct pn_str word = pn_str_slice(v, at, lex_token(v, at));
    if (at < v.len && v.p[at] == '"') {
        (void)lex_quoted(v, at, &word, NULL);
        pn_buf_clear(&s->text);
        (void)lex_unquote(word, &s->text);
        word = pn_buf_str(&s->text);
    }
    put_string(s, word.len == 0 ? PN_STR("7bit") : pn_str_slice(word, 0, ENCODING_MAX));
}

/* RFC 3282: one tag, or a list of them. */
static void put_language(struct structure *s)
{
    struct pn_str v = s->field[SLOT_LANGUAGE];
    size_t tags = 0;
    if (v.p == NULL || is_full(s)) {
        put(s, "NIL");
        return;
    }
    size_t from = s->out->len;
    for (size_t at = lex_cfws(v, 0); at < v.len && s->ok && !is_full(s);) {
        size_t end = lex_token(v, at);
        if (end > at) {
            put(s, tags++ == 0 ? "(" : " ");
            put_string(s, pn_str_slice(v, at, end));
        }
        at = lex_cfws(v, end > at ? end : at + 1);
    }
    if (tags == 0) {
        s->out->len = from;
        put(s, "NIL");
    } else {
        put(s, ")");
    }
}

/* Disposition, language and location: what ends the extension of leaves and multiparts. */
static void put_extension(struct structure *s)
{
    put(s, " ");
    put_disposition(s);
    put(s, " ");
    put_language(s);
    put(s, " ");
    put_field(s, SLOT_LOCATION);
}

static void put_leaf_extension(struct structure *s)
{
    if (!s->extensible)
        return;
    put(s, " ");
    put_field(s, SLOT_MD5);
    put_extension(s);
}

static uint64_t octets(struct structure *s)
{
    return pn_crlf_size(&s->crlf, s->part->body, s->part->end);
}

/* Line ends, as other servers count and as the example of RFC 3501, section 7.4.2 has it: base64 of
 * 4554 octets and 73 lines of 62 octets, and one of 28 that does not end. */
static void put_lines(struct structure *s)
{
    const struct pn_part *part = s->part;
    bool unfinished = part->end > part->body && pn_message_content(s->m).p[part->end - 1] != '\n';
    put_number(s, part->lines - unfinished);
}

/* Parameters to octets: what all leaves and messages have. */
static void put_basic(struct structure *s)
{
    put(s, " ");
    put_type_params(s);
    put(s, " ");
    put_field(s, SLOT_ID);
    put(s, " ");
    put_field(s, SLOT_DESCRIPTION);
    put(s, " ");
    put_encoding(s);
    put_number(s, octets(s));
}

/* ---- the tree */

static bool is_multipart(const struct structure *s)
{
    return pn_part_is(s->m, s->part, PN_STR("multipart"), PN_STR(""));
}

/* One that IMAP opens: not message/news, though the tree does. */
static bool is_message(const struct structure *s)
{
    return pn_part_is(s->m, s->part, PN_STR("message"), PN_STR("rfc822")) ||
           pn_part_is(s->m, s->part, PN_STR("message"), PN_STR("global"));
}

static void close_multipart(struct structure *s)
{
    put(s, " ");
    put_string(s, pn_part_subtype(s->m, s->part));
    if (s->extensible) {
        put(s, " ");
        put_type_params(s);
        put_extension(s);
    }
    put(s, ")");
}

static void close_message(struct structure *s)
{
    put_lines(s);
    put_leaf_extension(s);
    put(s, ")");
}

/* A multipart in which no part was found. */
static void put_broken_multipart(struct structure *s)
{
    put(s, "((\"text\" \"plain\" NIL NIL NIL ");
    put_encoding(s);
    put_number(s, octets(s));
    put_lines(s);
    put(s, s->extensible ? " NIL NIL NIL NIL)" : ")");
    close_multipart(s);
}

static void put_leaf(struct structure *s)
{
    bool closed = is_message(s); /* a message that is not opened */
    put(s, "(");
    put_string(s, closed ? PN_STR("application") : pn_part_type(s->m, s->part));
    put(s, " ");
    put_string(s, closed ? PN_STR("octet-stream") : pn_part_subtype(s->m, s->part));
    put_basic(s);
    if (pn_part_is(s->m, s->part, PN_STR("text"), PN_STR("")))
        put_lines(s);
    put_leaf_extension(s);
    put(s, ")");
}

static void put_envelope(struct structure *s, const struct pn_part *inside)
{
    put(s, " ");
    if (is_full(s))
        put(s, "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
    else
        s->ok = s->ok && pn_envelope(s->m, inside, s->out);
    put(s, " ");
}

static void open_message(struct structure *s, const struct pn_part *inside)
{
    put(s, "(\"message\" ");
    put_string(s, pn_part_subtype(s->m, s->part));
    put_basic(s);
    put_envelope(s, inside);
}

/* Writes a part, or of a container what stands before its children: true then. */
static bool open_part(struct structure *s, const struct pn_part *part)
{
    const struct pn_part *child = pn_part_child(s->m, part);
    begin_part(s, part);
    if (is_multipart(s)) {
        if (child != NULL)
            put(s, "(");
        else
            put_broken_multipart(s);
        return child != NULL;
    }
    if (child == NULL || !is_message(s)) {
        put_leaf(s);
        return false;
    }
    open_message(s, child);
    return true;
}

/* Closes the containers that `part` is the last of; returns the part behind, NULL at the end. */
static const struct pn_part *leave_part(struct structure *s, const struct pn_part *part)
{
    const struct pn_part *next = NULL;
    while (part != NULL && (next = pn_part_next(s->m, part)) == NULL) {
        part = pn_part_parent(s->m, part);
        if (part == NULL)
            break;
        begin_part(s, part);
        if (is_multipart(s))
            close_multipart(s);
        else
            close_message(s);
    }
    return next;
}

bool pn_structure(struct pn_message *m, bool extensible, struct pn_buf *out)
{
    struct structure s = {.m = m,
                          .out = out,
                          .full = out->len + PN_STRUCTURE_FULL,
                          .extensible = extensible,
                          .ok = true};
    size_t len = out->len;
    pn_message_mime(m);
    pn_crlf_init(&s.crlf, pn_message_content(m));
    pn_buf_init(&s.text, SIZE_MAX);
    for (const struct pn_part *part = pn_message_part(m, 0); part != NULL && s.ok;)
        part = open_part(&s, part) ? pn_part_child(m, part) : leave_part(&s, part);
    pn_crlf_fini(&s.crlf);
    pn_buf_fini(&s.text);
    if (!s.ok)
        out->len = len;
    return s.ok;
}
