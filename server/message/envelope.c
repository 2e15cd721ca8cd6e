#include "envelope.h"

#include "address_priv.h"
#include "imap_quote.h"
#include "lex.h"

enum slot {
    SLOT_DATE,
    SLOT_SUBJECT,
    SLOT_FROM,
    SLOT_SENDER,
    SLOT_REPLY_TO,
    SLOT_TO,
    SLOT_CC,
    SLOT_BCC,
    SLOT_IN_REPLY_TO,
    SLOT_MESSAGE_ID,
    SLOTS
};

struct envelope {
    const struct pn_message *m;
    const struct pn_part *part;
    const struct pn_field *first[SLOTS];
    struct pn_buf *out;
    struct pn_buf text; /* of an address, as its strings are made */
};

static const struct pn_str names[SLOTS] = {
    PN_STR_INIT("Date"),       PN_STR_INIT("Subject"),  PN_STR_INIT("From"),
    PN_STR_INIT("Sender"),     PN_STR_INIT("Reply-To"), PN_STR_INIT("To"),
    PN_STR_INIT("Cc"),         PN_STR_INIT("Bcc"),      PN_STR_INIT("In-Reply-To"),
    PN_STR_INIT("Message-ID"),
};

static void find_fields(struct envelope *e)
{
    size_t count = 0;
    const struct pn_field *fields = pn_part_fields(e->m, e->part, &count);
    for (size_t i = 0; i < count; i++) {
        struct pn_str name = pn_field_name(e->m, &fields[i]);
        for (size_t slot = 0; slot < SLOTS; slot++)
            if (names[slot].len == name.len && e->first[slot] == NULL &&
                pn_str_ieq(name, names[slot]))
                e->first[slot] = &fields[i];
    }
}

static bool add_text(struct envelope *e, enum slot slot)
{
    if (e->first[slot] == NULL)
        return pn_buf_addz(e->out, "NIL");
    return pn_imap_quote_unfold(e->out, pn_field_value(e->m, e->first[slot]), PN_ENVELOPE_STRING);
}

/* ---- addresses */

/* What was gathered in e->text, which is empty then. */
static bool flush_text(struct envelope *e)
{
    bool ok = pn_imap_quote(e->out, pn_str_slice(pn_buf_str(&e->text), 0, PN_ENVELOPE_STRING));
    pn_buf_clear(&e->text);
    return ok;
}

static bool flush_or_nil(struct envelope *e)
{
    return e->text.len == 0 ? pn_buf_addz(e->out, "NIL") : flush_text(e);
}

/* As written, but for blanks and comments. */
static void domain_bytes(struct pn_str domain, struct pn_buf *out)
{
    bool literal = domain.len > 0 && domain.p[0] == '[';
    for (size_t at = 0; at < domain.len;) {
        size_t next = literal ? at + lex_blank(domain.p[at]) : lex_cfws(domain, at);
        if (next == at)
            (void)pn_buf_addc(out, domain.p[next++]);
        at = next;
    }
}

/* "To: Undisclosed recipients": words that name somebody, but are no mailbox. */
static bool is_name_only(const struct pn_address *a)
{
    struct pn_str s = a->local;
    if (a->display.len != 0 || a->domain.len != 0 || s.len == 0)
        return false;
    if (s.p[0] == '"' || (pn_str_starts(s, PN_STR("=?")) && pn_str_ends(s, PN_STR("?="))))
        return true;
    for (size_t i = 0; i < s.len; i++)
        if (lex_blank(s.p[i]))
            return true;
    return false;
}

static bool add_mailbox(struct envelope *e, struct pn_address a)
{
    if (is_name_only(&a)) {
        a.display = a.local;
        a.local = PN_STR("");
    }
    bool ok = pn_buf_addc(e->out, '(');
    (void)address_phrase(&a, &e->text);
    ok = ok && flush_or_nil(e) && pn_buf_addc(e->out, ' ');
    domain_bytes(a.route, &e->text);
    ok = ok && flush_or_nil(e) && pn_buf_addc(e->out, ' ');
    (void)address_local_bytes(a.local, &e->text);
    ok = ok && flush_text(e) && pn_buf_addc(e->out, ' ');
    domain_bytes(a.domain, &e->text);
    return ok && flush_text(e) && pn_buf_addc(e->out, ')');
}

static bool add_address(struct envelope *e, const struct pn_address *a)
{
    if (a->kind == PN_ADDRESS_MAILBOX)
        return add_mailbox(e, *a);
    if (a->kind == PN_ADDRESS_GROUP_END)
        return pn_buf_addz(e->out, "(NIL NIL NIL NIL)");
    (void)address_phrase(a, &e->text);
    return pn_buf_addz(e->out, "(NIL NIL ") && flush_text(e) && pn_buf_addz(e->out, " NIL)");
}

/* The addresses of one field; *full is set where the list may not go on. */
static bool add_field(struct envelope *e, const struct pn_field *field, size_t from, bool *full)
{
    struct pn_address_walk walk;
    struct pn_address a;
    bool ok = true;
    pn_address_start(&walk, pn_field_value(e->m, field));
    while (ok && !*full) {
        bool in_group = walk.group;
        size_t len = e->out->len;
        if (!pn_address_next(&walk, &a))
            return true;
        ok = add_address(e, &a);
        *full = e->out->len - from > PN_ENVELOPE_LIST;
        if (!ok || !*full)
            continue;
        e->out->len = len;
        a.kind = PN_ADDRESS_GROUP_END;
        ok = !in_group || add_address(e, &a);
    }
    return ok;
}

/* All fields of a name as one list; *from and *len say where it stands in out. */
static bool add_list(struct envelope *e, enum slot slot, size_t *from, size_t *len)
{
    bool ok = pn_buf_addc(e->out, '('), full = false;
    size_t empty = e->out->len;
    *from = e->out->len - 1;
    const struct pn_field *field = e->first[slot];
    for (; field != NULL && ok && !full; field = pn_field_next(e->m, e->part, names[slot], field))
        ok = add_field(e, field, *from, &full);
    ok = ok && pn_buf_addc(e->out, ')');
    *len = e->out->len - *from;
    if (!ok || e->out->len != empty + 1)
        return ok;
    e->out->len = *from;
    *len = 3;
    return pn_buf_addz(e->out, "NIL");
}

static bool copy_list(struct pn_buf *out, size_t from, size_t len)
{
    if (pn_buf_reserve(out, len) == NULL)
        return false;
    memcpy(out->p + out->len, out->p + from, len);
    out->len += len;
    return true;
}

static bool add_lists(struct envelope *e)
{
    size_t from = 0, from_len = 0, at = 0, len = 0;
    bool ok = add_list(e, SLOT_FROM, &from, &from_len);
    for (enum slot slot = SLOT_SENDER; slot <= SLOT_BCC && ok; slot++) {
        ok = pn_buf_addc(e->out, ' ') && add_list(e, slot, &at, &len);
        bool nobody = ok && memcmp(e->out->p + at, "NIL", 3) == 0;
        if (!nobody || slot > SLOT_REPLY_TO)
            continue;
        e->out->len = at;
        ok = copy_list(e->out, from, from_len);
    }
    return ok;
}

bool pn_envelope(const struct pn_message *m, const struct pn_part *part, struct pn_buf *out)
{
    struct envelope e = {.m = m, .part = part, .out = out};
    size_t len = out->len;
    pn_buf_init(&e.text, SIZE_MAX);
    find_fields(&e);
    bool ok = pn_buf_addc(out, '(') && add_text(&e, SLOT_DATE) && pn_buf_addc(out, ' ') &&
              add_text(&e, SLOT_SUBJECT) && pn_buf_addc(out, ' ') && add_lists(&e) &&
              pn_buf_addc(out, ' ') && add_text(&e, SLOT_IN_REPLY_TO) && pn_buf_addc(out, ' ') &&
              add_text(&e, SLOT_MESSAGE_ID) && pn_buf_addc(out, ')');
    pn_buf_fini(&e.text);
    if (!ok)
        out->len = len;
    return ok;
}
