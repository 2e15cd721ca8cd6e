#include "dsn_param.h"

#include "grammar.h"
#include "utf8.h"

static const struct {
    struct pn_str word;
    uint8_t flag;
} notify_words[] = {
    {PN_STR_INIT("SUCCESS"), PN_SMTP_NOTIFY_SUCCESS},
    {PN_STR_INIT("FAILURE"), PN_SMTP_NOTIFY_FAILURE},
    {PN_STR_INIT("DELAY"), PN_SMTP_NOTIFY_DELAY},
};

static uint8_t notify_of(struct pn_str word)
{
    for (size_t i = 0; i < sizeof notify_words / sizeof notify_words[0]; i++)
        if (pn_str_ieq(word, notify_words[i].word))
            return notify_words[i].flag;
    return 0;
}

bool pn_smtp_notify_parse(struct pn_str value, uint8_t *notify)
{
    *notify = PN_SMTP_NOTIFY_NEVER;
    if (pn_str_ieq(value, PN_STR("NEVER")))
        return true;
    *notify = 0;
    while (value.p != NULL) { /* "1#element" of RFC 822 lets elements be empty */
        struct pn_str word = pn_str_split(&value, ',');
        uint8_t flag = notify_of(word);
        if (flag == 0 && word.len != 0)
            return false;
        *notify |= flag;
    }
    return *notify != 0;
}

void pn_smtp_notify_put(struct pn_buf *out, uint8_t notify)
{
    size_t from = out->len;
    if (notify & PN_SMTP_NOTIFY_NEVER)
        (void)pn_buf_addz(out, "NEVER");
    for (size_t i = 0; i < sizeof notify_words / sizeof notify_words[0]; i++)
        if (notify & notify_words[i].flag)
            (void)pn_buf_addf(out, "%s%.*s", out->len == from ? "" : ",",
                              PN_FMT(notify_words[i].word));
}

bool pn_smtp_ret_parse(struct pn_str value, uint8_t *ret)
{
    *ret = pn_str_ieq(value, PN_STR("FULL")) ? 'F' : pn_str_ieq(value, PN_STR("HDRS")) ? 'H' : 0;
    return *ret != 0;
}

const char *pn_smtp_ret_name(uint8_t ret)
{
    return ret == 'F' ? "FULL" : ret == 'H' ? "HDRS" : "";
}

/* ---- xtext ---- */

static bool is_xchar(char c)
{
    return c > ' ' && c < 127 && c != '+' && c != '=';
}

/* xtext of printable characters (RFC 3461, sections 4.2 and 4.4). */
static bool xtext_ok(struct pn_str value)
{
    struct pn_buf b;
    pn_buf_init(&b, value.len + 1);
    bool ok = pn_smtp_xtext(value, &b);
    for (size_t i = 0; i < b.len && ok; i++)
        ok = b.p[i] == '\t' || (b.p[i] >= ' ' && b.p[i] < 127);
    pn_buf_fini(&b);
    return ok;
}

static size_t characters(struct pn_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

bool pn_smtp_envid_ok(struct pn_str value)
{
    return value.len != 0 && value.len <= PN_SMTP_ENVID_MAX && xtext_ok(value);
}

void pn_smtp_xtext_put(struct pn_buf *out, struct pn_str bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (is_xchar(bytes.p[i]))
            (void)pn_buf_addc(out, bytes.p[i]);
        else
            (void)pn_buf_addf(out, "+%02X", (unsigned char)bytes.p[i]);
}

/* Decoded where it is xtext, else as it is. */
static void xtext_show(struct pn_buf *out, struct pn_str xtext)
{
    struct pn_buf b;
    pn_buf_init(&b, xtext.len + 1);
    (void)pn_buf_adds(out, pn_smtp_xtext(xtext, &b) ? pn_buf_str(&b) : xtext);
    pn_buf_fini(&b);
}

void pn_smtp_envid_show(struct pn_buf *out, struct pn_str envid)
{
    xtext_show(out, envid);
}

/* ---- ORCPT ---- */

/* An atom of RFC 822, to which addr-type is held. */
static bool is_atom(struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 127 || strchr("()<>@,;:\\\".[]", s.p[i]) != NULL)
            return false;
    return s.len != 0;
}

/* Splits at the semicolon; the address's p NULL: there is none. */
static struct pn_str type_of(struct pn_str *address)
{
    return pn_str_split(address, ';');
}

static bool is_utf8_type(struct pn_str type)
{
    return pn_str_ieq(type, PN_STR("utf-8"));
}

bool pn_smtp_orcpt_ok(struct pn_str value, bool utf8)
{
    struct pn_str address = value, type = type_of(&address);
    if (address.p == NULL || !is_atom(type) || characters(value) > PN_SMTP_ORCPT_MAX)
        return false;
    if (!is_utf8_type(type))
        return xtext_ok(address);
    /* What does not follow that type's syntax is passed on as it is (RFC 6533, section 3). */
    for (size_t i = 0; i < address.len; i++)
        if (address.p[i] == '=' || address.p[i] == 127 || (unsigned char)address.p[i] <= ' ')
            return false;
    return address.len != 0 && (pn_str_is_ascii(address) || (utf8 && pn_utf8_valid(address)));
}

static bool needs_escape(char c)
{
    return (unsigned char)c <= ' ' || c == 127 || c == '\\' || c == '+' || c == '=';
}

void pn_smtp_orcpt_make(struct pn_buf *out, struct pn_str address)
{
    if (pn_str_is_ascii(address)) {
        (void)pn_buf_addz(out, "rfc822;");
        pn_smtp_xtext_put(out, address);
        return;
    }
    (void)pn_buf_addz(out, "utf-8;");
    for (size_t i = 0; i < address.len; i++)
        if (needs_escape(address.p[i]))
            (void)pn_buf_addf(out, "\\x{%02X}", (unsigned char)address.p[i]);
        else
            (void)pn_buf_addc(out, address.p[i]);
}

/* The character that s begins with, n bytes of UTF-8 beyond ASCII. */
static uint32_t code_of(struct pn_str s, size_t n)
{
    uint32_t code = (unsigned char)s.p[0] & (0xffU >> (n + 1));
    for (size_t i = 1; i < n; i++)
        code = code << 6 | ((unsigned char)s.p[i] & 0x3f);
    return code;
}

void pn_smtp_orcpt_put_ascii(struct pn_buf *out, struct pn_str orcpt)
{
    while (orcpt.len != 0) {
        size_t n = (unsigned char)orcpt.p[0] < 0x80 ? 1 : pn_utf8_next(orcpt);
        if (n == 0)
            (void)pn_buf_addc(out, '?');
        else if (n == 1)
            (void)pn_buf_addc(out, orcpt.p[0]);
        else
            (void)pn_buf_addf(out, "\\x{%X}", (unsigned)code_of(orcpt, n));
        orcpt = pn_str_slice(orcpt, n == 0 ? 1 : n, orcpt.len);
    }
}

static void put_code(struct pn_buf *out, uint32_t code)
{
    unsigned more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char first[] = {0, 0xc0, 0xe0, 0xf0};
    (void)pn_buf_addc(out, (char)(first[more] | code >> (6 * more)));
    while (more-- > 0)
        (void)pn_buf_addc(out, (char)(0x80 | (code >> (6 * more) & 0x3f)));
}

static int hex_of(char c)
{
    char l = pn_lower(c);
    return pn_is_digit(c) ? c - '0' : l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/* "\x{FC}", from the backslash: how long it is, 0: it is none. */
static size_t embedded(struct pn_str s, uint32_t *code)
{
    enum { DIGITS_MIN = 2, DIGITS_MAX = 6 };
    size_t at = 3;
    *code = 0;
    if (!pn_str_starts(s, PN_STR("\\x{")))
        return 0;
    while (at < s.len && at - 3 < DIGITS_MAX && hex_of(s.p[at]) >= 0)
        *code = *code << 4 | (uint32_t)hex_of(s.p[at++]);
    bool whole = at - 3 >= DIGITS_MIN && at < s.len && s.p[at] == '}';
    bool surrogate = *code >= 0xd800 && *code <= 0xdfff;
    return whole && !surrogate && *code != 0 && *code <= 0x10ffff ? at + 1 : 0;
}

/* A utf-8-enc-addr as the address that it stands for; false: it is none. */
static bool unitext(struct pn_buf *out, struct pn_str text)
{
    struct pn_smtp_mailbox mailbox;
    for (size_t i = 0; i < text.len;) {
        uint32_t code;
        size_t n = embedded(pn_str_slice(text, i, text.len), &code);
        if (n != 0)
            put_code(out, code);
        else if (needs_escape(text.p[i]))
            return false;
        else
            (void)pn_buf_addc(out, text.p[i]);
        i += n == 0 ? 1 : n;
    }
    return !out->overflow && pn_smtp_mailbox_parse(pn_buf_str(out), &mailbox);
}

void pn_smtp_orcpt_show(struct pn_buf *out, struct pn_str orcpt, bool wide)
{
    struct pn_str address = orcpt, type = type_of(&address);
    struct pn_buf b;
    if (!is_utf8_type(type) || address.p == NULL) {
        (void)pn_buf_adds(out, type);
        (void)(address.p != NULL && pn_buf_addc(out, ';'));
        xtext_show(out, address);
        return;
    }
    if (!wide) {
        pn_smtp_orcpt_put_ascii(out, orcpt);
        return;
    }
    pn_buf_init(&b, 4 * orcpt.len + 1);
    bool is = unitext(&b, address);
    (void)(pn_buf_adds(out, type) && pn_buf_addc(out, ';') &&
           pn_buf_adds(out, is ? pn_buf_str(&b) : address));
    pn_buf_fini(&b);
}
