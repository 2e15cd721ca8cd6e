/* The whole of a surrogate: which fields of which headers are made anew. */
#include "downgrade.h"

#include "downgrade_priv.h"
#include "lex.h"
#include "message_priv.h"
#include "utf8.h"

/* ---- is it one? ---- */

bool pn_is_international(struct pn_message *m)
{
    const unsigned beyond = PN_PART_FIELDS_CUT | PN_PART_TOO_MANY | PN_PART_TOO_DEEP;
    bool any = false;
    if (pn_str_is_ascii(pn_message_content(m)))
        return false;
    pn_message_mime(m);
    for (size_t i = 0; i < pn_message_parts(m); i++) {
        const struct pn_part *part = pn_message_part(m, i);
        struct pn_str header = pn_part_header(m, part);
        if ((part->flags & beyond) != 0)
            return false;
        if (pn_str_is_ascii(header))
            continue;
        if (!pn_utf8_valid(header))
            return false;
        any = true;
    }
    return any;
}

/* ---- fields ---- */

struct surrogate {
    struct pn_message *m;
    const struct pn_part *part; /* at hand */
    struct pn_str eol;
    size_t more;  /* bytes that may still be added */
    size_t types; /* the same, of parameters of types; a bare type has room beyond both */
    size_t most;  /* so long may out be behind the type at hand, if it has parameters */
    struct pn_buf *out;
};

enum kind { DROPPED, ADDRESSES, PATH, TEXT, TYPE, DISPOSITION, ENCODING };

static const struct {
    struct pn_str name;
    enum kind kind;
} kinds[] = {
    {PN_STR_INIT("Bcc"), ADDRESSES},
    {PN_STR_INIT("Cc"), ADDRESSES},
    {PN_STR_INIT("From"), ADDRESSES},
    {PN_STR_INIT("Reply-To"), ADDRESSES},
    {PN_STR_INIT("Resent-Bcc"), ADDRESSES},
    {PN_STR_INIT("Resent-Cc"), ADDRESSES},
    {PN_STR_INIT("Resent-From"), ADDRESSES},
    {PN_STR_INIT("Resent-Reply-To"), ADDRESSES},
    {PN_STR_INIT("Resent-Sender"), ADDRESSES},
    {PN_STR_INIT("Resent-To"), ADDRESSES},
    {PN_STR_INIT("Sender"), ADDRESSES},
    {PN_STR_INIT("To"), ADDRESSES},
    {PN_STR_INIT("Return-Path"), PATH},
    {PN_STR_INIT("Comments"), TEXT},
    {PN_STR_INIT("Content-Description"), TEXT},
    {PN_STR_INIT("Subject"), TEXT},
    {PN_STR_INIT("Content-Type"), TYPE},
    {PN_STR_INIT("Content-Disposition"), DISPOSITION},
    {PN_STR_INIT("Content-Transfer-Encoding"), ENCODING},
};

static enum kind kind_of(struct pn_str name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (pn_str_ieq(name, kinds[i].name))
            return kinds[i].kind;
    return DROPPED;
}

static bool is_global(const struct surrogate *s)
{
    return s->part->kind == PN_PART_MESSAGE &&
           pn_str_ieq(pn_part_subtype(s->m, s->part), PN_STR("global"));
}

/* Is it the Content-Type that counts for the part? */
static bool is_its_type(const struct surrogate *s, struct pn_str line)
{
    size_t count;
    const struct pn_field *fields = pn_part_fields(s->m, NULL, &count);
    return s->part->content_type != PN_NO_FIELD &&
           line.p == pn_message_content(s->m).p + fields[s->part->content_type].at;
}

/* The type as it was understood: what hangs on it stays as it is. */
static bool put_type(struct surrogate *s, struct pn_str value)
{
    struct pn_buf token;
    pn_buf_init(&token, 1024);
    struct pn_str type = pn_part_type(s->m, s->part), sub = pn_part_subtype(s->m, s->part);
    if (is_global(s))
        sub = PN_STR("rfc822");
    bool ok = pn_buf_adds(&token, type) && pn_buf_addc(&token, '/') && pn_buf_adds(&token, sub) &&
              pn_str_is_ascii(pn_buf_str(&token)) && pn_buf_addc(s->out, ' ');
    size_t bare = s->out->len;
    if (ok &&
        (!downgrade_params(pn_buf_str(&token), value, s->eol, s->out) || s->out->len > s->most)) {
        s->out->len = bare; /* without parameters, rather than not at all */
        s->out->overflow = false;
        ok = pn_buf_adds(s->out, pn_buf_str(&token));
    }
    pn_buf_fini(&token);
    return ok;
}

/* Its token. One that is none stays unknown: without the field it would be 7bit. */
static bool put_encoding(struct pn_str value, struct pn_buf *out)
{
    size_t at = lex_cfws(value, 0);
    struct pn_str token = pn_str_slice(value, at, lex_token(value, at));
    bool known = token.len > 0 && pn_str_is_ascii(token);
    return pn_buf_addc(out, ' ') && pn_buf_adds(out, known ? token : PN_STR("x-unknown"));
}

static bool put_value(struct surrogate *s, enum kind kind, struct pn_str name, struct pn_str value,
                      bool its_type)
{
    struct pn_buf *out = s->out;
    switch (kind) {
    case ADDRESSES:
        return downgrade_addresses(value, name, s->eol, out);
    case PATH:
        return pn_buf_addz(out, " <invalid@internationalized-address.invalid>");
    case TEXT:
        return downgrade_text(value, name, s->eol, out);
    case TYPE:
        return its_type && put_type(s, value);
    case DISPOSITION:
        return pn_buf_addc(out, ' ') && downgrade_params(PN_STR(""), value, s->eol, out);
    case ENCODING:
        return put_encoding(value, out);
    default:
        return false;
    }
}

static void take(size_t *room, size_t bytes)
{
    *room -= bytes < *room ? bytes : *room;
}

/* A field, all its lines; nothing of it where it can't be told in ASCII, or is too long then. */
static void put_field(struct surrogate *s, struct pn_str line)
{
    size_t colon = 0, from = s->out->len, eol = scan_eol(line);
    size_t name_len = header_name_length(line, &colon);
    struct pn_str name = pn_str_slice(line, 0, name_len);
    enum kind kind = name_len == 0 ? DROPPED : kind_of(name);
    bool its_type = kind == TYPE && is_its_type(s, line);
    if (pn_str_is_ascii(line) && !(its_type && is_global(s))) {
        (void)pn_buf_adds(s->out, line);
        return;
    }
    struct pn_str value = pn_str_slice(line, colon + 1, line.len - eol);
    s->most = from + line.len + s->types;
    bool ok = kind != DROPPED && pn_buf_adds(s->out, name) && pn_buf_addc(s->out, ':') &&
              put_value(s, kind, name, value, its_type) && pn_buf_adds(s->out, s->eol);
    size_t len = s->out->len - from;
    if (ok && len > line.len && len - line.len > s->more && !its_type)
        ok = false;
    s->out->overflow = false;
    if (!ok)
        s->out->len = from;
    else if (len > line.len)
        take(its_type ? &s->types : &s->more, len - line.len);
}

/* A field with the lines that continue it. */
static struct pn_str next_field(struct pn_str header, size_t at)
{
    const char *end = header.p + header.len, *p = header.p + at;
    do
        p += scan_line(p, end).len;
    while (p != end && (*p == ' ' || *p == '\t'));
    return pn_str_slice(header, at, (size_t)(p - header.p));
}

static void put_header(struct surrogate *s)
{
    struct pn_str header = pn_part_header(s->m, s->part);
    if (pn_str_is_ascii(header) && !is_global(s)) {
        (void)pn_buf_adds(s->out, header);
        return;
    }
    for (size_t at = 0; at < header.len;) {
        struct pn_str field = next_field(header, at);
        at += field.len;
        put_field(s, field);
    }
}

void pn_downgrade(struct pn_message *m, struct pn_buf *out)
{
    struct pn_str content = pn_message_content(m);
    struct surrogate s = {.m = m,
                          .eol = pn_message_eol(m),
                          .more = PN_DOWNGRADE_MORE / 2,
                          .types = PN_DOWNGRADE_MORE / 4,
                          .out = out};
    size_t done = 0;
    pn_message_mime(m);
    /* Room for the bare types, too, that may not be left out: limits.parts of them. */
    pn_buf_init(out, content.len + PN_DOWNGRADE_MORE);
    (void)pn_buf_reserve(out, content.len);
    for (size_t i = 0; i < pn_message_parts(m); i++) {
        s.part = pn_message_part(m, i);
        (void)pn_buf_adds(out, pn_str_slice(content, done, s.part->header));
        put_header(&s);
        done = s.part->body;
    }
    (void)pn_buf_adds(out, pn_str_slice(content, done, content.len));
}
