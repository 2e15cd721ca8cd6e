#include "sign_header.h"

#include "address.h"
#include "codec.h"

#include <openssl/evp.h>

enum { ALWAYS, WHEN_THERE, AS_OFTEN };

/* ALWAYS: once more than there are, also where there is none. WHEN_THERE: once more where
 * there is one: one that is added to mail without it does no harm that we should break
 * a signature for. AS_OFTEN: no more than there are. */
static const struct {
    struct pn_str name;
    int over;
} rows[] = {
    {PN_STR_INIT("From"), ALWAYS},
    {PN_STR_INIT("To"), ALWAYS},
    {PN_STR_INIT("Cc"), ALWAYS},
    {PN_STR_INIT("Subject"), ALWAYS},
    {PN_STR_INIT("Date"), ALWAYS},
    {PN_STR_INIT("Message-ID"), ALWAYS},
    {PN_STR_INIT("Reply-To"), ALWAYS},
    {PN_STR_INIT("MIME-Version"), ALWAYS},
    {PN_STR_INIT("Content-Type"), ALWAYS},
    {PN_STR_INIT("Content-Transfer-Encoding"), ALWAYS},
    {PN_STR_INIT("Content-Disposition"), WHEN_THERE},
    {PN_STR_INIT("Content-ID"), WHEN_THERE},
    {PN_STR_INIT("Content-Language"), WHEN_THERE},
    {PN_STR_INIT("Sender"), WHEN_THERE},
    {PN_STR_INIT("In-Reply-To"), WHEN_THERE},
    {PN_STR_INIT("References"), WHEN_THERE},
    {PN_STR_INIT("Auto-Submitted"), WHEN_THERE},
    {PN_STR_INIT("Autocrypt"), WHEN_THERE},
    {PN_STR_INIT("List-Unsubscribe"), WHEN_THERE},
    {PN_STR_INIT("List-Unsubscribe-Post"), WHEN_THERE}, /* RFC 8058, section 4 */
    {PN_STR_INIT("List-Id"), AS_OFTEN},
    {PN_STR_INIT("List-Help"), AS_OFTEN},
    {PN_STR_INIT("List-Subscribe"), AS_OFTEN},
    {PN_STR_INIT("List-Post"), AS_OFTEN},
    {PN_STR_INIT("List-Owner"), AS_OFTEN},
    {PN_STR_INIT("List-Archive"), AS_OFTEN},
    {PN_STR_INIT("Resent-From"), AS_OFTEN},
    {PN_STR_INIT("Resent-Sender"), AS_OFTEN},
    {PN_STR_INIT("Resent-To"), AS_OFTEN},
    {PN_STR_INIT("Resent-Cc"), AS_OFTEN},
    {PN_STR_INIT("Resent-Date"), AS_OFTEN},
    {PN_STR_INIT("Resent-Message-ID"), AS_OFTEN},
};
enum { ROWS = sizeof rows / sizeof rows[0], NO_ROW = ROWS, LINE = 76 };

static size_t row_of(struct pn_str name)
{
    size_t i = 0;
    while (i < ROWS && !pn_str_ieq(rows[i].name, name))
        i++;
    return i;
}

/* ---- what can be signed */

/* Its shape: what edits don't mend. */
static const char *misshapen(const struct pn_message *m)
{
    const struct pn_part *root = pn_message_part(m, 0);
    size_t count = 0;
    const struct pn_field *f = pn_part_fields(m, NULL, &count);
    if ((root->flags & PN_PART_FIELDS_CUT) != 0)
        return "more header fields than are looked at";
    if ((root->flags & PN_PART_HEADER_CUT) != 0 && pn_message_body(m).len != 0)
        return "no empty line parts header and body";
    for (size_t i = 0; i < count; i++)
        if ((f[i].flags & PN_FIELD_MALFORMED) != 0)
            return "a line of the header is no field";
    return NULL;
}

static const char *wrong(const struct pn_message *m)
{
    size_t count = 0, instances = 0, froms = 0;
    const struct pn_field *f = pn_part_fields(m, NULL, &count);
    const char *why = misshapen(m);
    if (why != NULL)
        return why;
    for (size_t i = 0; i < count; i++, f++) {
        size_t row = row_of(pn_field_name(m, f));
        instances += row != NO_ROW;
        froms += row == 0;
    }
    if (froms != 1)
        return froms == 0 ? "no From field" : "more than one From field";
    return instances > PN_SIGN_INSTANCES_MAX ? "too many fields to sign" : NULL;
}

static bool find_author(const struct pn_message *m, struct pn_buf *out)
{
    const struct pn_field *from = pn_field_find(m, NULL, rows[0].name, 1);
    struct pn_address_walk walk;
    struct pn_address a;
    if (from == NULL)
        return false;
    pn_address_start(&walk, pn_field_value(m, from));
    while (pn_address_next(&walk, &a))
        if (a.kind == PN_ADDRESS_MAILBOX)
            return (a.flags & PN_ADDRESS_LITERAL) == 0 && pn_address_domain(&a, out);
    return false;
}

/* ---- the relaxed form of a field (section 3.4.2) */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void relaxed_value(struct pn_buf *out, struct pn_str value)
{
    bool blank = false, any = false;
    for (size_t i = 0; i < value.len; i++) {
        char c = value.p[i];
        if (c == '\n' || (c == '\r' && i + 1 < value.len && value.p[i + 1] == '\n'))
            continue;
        if (is_blank(c)) {
            blank = any;
            continue;
        }
        if (blank)
            (void)pn_buf_addc(out, ' ');
        (void)pn_buf_addc(out, c);
        blank = false;
        any = true;
    }
}

static void relaxed_field(struct pn_buf *out, struct pn_str name, struct pn_str value)
{
    for (size_t i = 0; i < name.len; i++)
        (void)pn_buf_addc(out, pn_lower(name.p[i]));
    (void)pn_buf_addc(out, ':');
    relaxed_value(out, value);
}

/* ---- the signed fields */

static void add_name(struct pn_sign_header *h, struct pn_str name)
{
    if (h->names.len != 0)
        (void)pn_buf_addc(&h->names, ':');
    (void)pn_buf_adds(&h->names, name);
}

static void add_fields(struct pn_sign_header *h, const struct pn_message *m)
{
    uint32_t at[PN_SIGN_INSTANCES_MAX];
    uint8_t row[PN_SIGN_INSTANCES_MAX];
    size_t count = 0, fields = 0;
    const struct pn_field *all = pn_part_fields(m, NULL, &fields);
    /* From the lowest up: that is how a name that stands several times takes them (5.4.2). */
    for (size_t i = fields; i > 0 && count < PN_SIGN_INSTANCES_MAX; i--) {
        row[count] = (uint8_t)row_of(pn_field_name(m, &all[i - 1]));
        at[count] = (uint32_t)(i - 1);
        count += row[count] != NO_ROW;
    }
    for (size_t r = 0; r < ROWS; r++) {
        bool there = false;
        for (size_t i = 0; i < count; i++) {
            if (row[i] != r)
                continue;
            there = true;
            add_name(h, rows[r].name);
            relaxed_field(&h->canonical, rows[r].name, pn_field_value(m, &all[at[i]]));
            (void)pn_buf_addz(&h->canonical, "\r\n");
        }
        if (rows[r].over == ALWAYS || (there && rows[r].over == WHEN_THERE))
            add_name(h, rows[r].name);
    }
}

static const char *read_sent(struct pn_sign_header *h, const struct pn_message *m)
{
    const char *why = wrong(m);
    if (why != NULL)
        return why;
    if (!find_author(m, &h->author))
        return "From holds no address with a domain";
    add_fields(h, m);
    return NULL;
}

/* The bytes of m's header, that edits change. */
static const char *read_edited(struct pn_sign_header *h, const struct pn_message *m,
                               const struct pn_edits *edits)
{
    struct pn_segments segments;
    struct pn_buf text;
    pn_segments_init(&segments);
    pn_buf_init(&text, UINT32_MAX - 1);
    pn_edits_render(edits, m, &segments);
    for (size_t i = 0; i < segments.count; i++)
        (void)pn_buf_adds(&text, pn_segment_bytes(&segments.v[i], m));
    struct pn_message *sent = text.overflow ? NULL : pn_message_new(pn_buf_str(&text), NULL);
    const char *why = sent == NULL ? "too large a header" : read_sent(h, sent);
    pn_message_free(&sent);
    pn_buf_fini(&text);
    pn_segments_fini(&segments);
    return why;
}

const char *pn_sign_header_read(struct pn_sign_header *h, struct pn_str content,
                                const struct pn_edits *edits)
{
    *h = (struct pn_sign_header){.body = 0};
    pn_buf_init(&h->names, SIZE_MAX);
    pn_buf_init(&h->canonical, SIZE_MAX);
    pn_buf_init(&h->author, 4096);
    struct pn_message *m = pn_message_new(content, NULL);
    if (m == NULL)
        return "too large a header";
    const char *why = misshapen(m);
    h->body = pn_message_part(m, 0)->body;
    /* What follows is none of the edits' business. */
    if (why == NULL && pn_message_reset(m, pn_str_slice(content, 0, h->body)))
        why = edits == NULL ? read_sent(h, m) : read_edited(h, m, edits);
    pn_message_free(&m);
    return why;
}

void pn_sign_header_fini(struct pn_sign_header *h)
{
    pn_buf_fini(&h->author);
    pn_buf_fini(&h->names);
    pn_buf_fini(&h->canonical);
}

/* ---- the field */

/* Behind what stands in the line, or on a new one. *line: where this one begins. */
static void add_folded(struct pn_buf *out, struct pn_str text, size_t *line)
{
    if (out->len - *line + text.len > LINE) {
        (void)pn_buf_addz(out, "\r\n\t");
        *line = out->len - 1;
    }
    (void)pn_buf_adds(out, text);
}

/* Folds may stand around each colon. */
static void add_names(struct pn_buf *out, struct pn_str names, size_t *line)
{
    (void)pn_buf_addz(out, "h=");
    while (names.p != NULL) {
        struct pn_str name = pn_str_split(&names, ':');
        if (names.p != NULL)
            name.len++; /* its colon */
        add_folded(out, name, line);
    }
}

static bool digest_of(const struct pn_sign_header *h, struct pn_str value,
                      unsigned char digest[PN_SIGN_HASH])
{
    struct pn_buf own;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    pn_buf_init(&own, SIZE_MAX);
    relaxed_field(&own, PN_STR("DKIM-Signature"), value);
    bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(ctx, h->canonical.p, h->canonical.len) == 1 &&
              EVP_DigestUpdate(ctx, own.p, own.len) == 1 &&
              EVP_DigestFinal_ex(ctx, digest, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    pn_buf_fini(&own);
    return ok;
}

bool pn_sign_field(const struct pn_sign_header *h, const struct pn_sign_terms *t,
                   struct pn_buf *value, unsigned char digest[PN_SIGN_HASH])
{
    size_t from = value->len;
    (void)pn_buf_addf(value, "v=1; a=%.*s; c=relaxed/relaxed;\r\n\td=%.*s; s=%.*s;\r\n\tt=%lld; ",
                      PN_FMT(t->algorithm), PN_FMT(t->domain), PN_FMT(t->selector),
                      (long long)t->unix_s);
    size_t line = value->len;
    while (value->p[line - 1] != '\n')
        line--;
    add_names(value, pn_buf_str(&h->names), &line);
    (void)pn_buf_addz(value, ";\r\n\tbh=");
    pn_base64_encode(value, (struct pn_str){(const char *)t->body_hash, PN_SIGN_HASH});
    (void)pn_buf_addz(value, ";\r\n\tb=");
    struct pn_str own = pn_str_slice(pn_buf_str(value), from, value->len);
    return !value->overflow && digest_of(h, own, digest);
}

void pn_sign_field_end(struct pn_buf *value, struct pn_str signature)
{
    struct pn_buf text;
    pn_buf_init(&text, SIZE_MAX);
    pn_base64_encode(&text, signature);
    for (size_t at = 0; at < text.len; at += LINE - 4) {
        if (at != 0)
            (void)pn_buf_addz(value, "\r\n\t");
        (void)pn_buf_adds(value, pn_str_slice(pn_buf_str(&text), at, at + LINE - 4));
    }
    pn_buf_fini(&text);
}
