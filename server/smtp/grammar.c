#include "grammar.h"

#include "utf8.h"

/* A cursor over the input; every take_ function moves it only over what it took. */
struct cursor {
    const char *p;
    const char *end;
};

static bool at(const struct cursor *c, char ch)
{
    return c->p < c->end && *c->p == ch;
}

static bool take(struct cursor *c, char ch)
{
    if (!at(c, ch))
        return false;
    c->p++;
    return true;
}

/* 33 to 126. */
static bool is_graph(char ch)
{
    return (unsigned char)ch > 32 && (unsigned char)ch < 127;
}

static bool is_atext(char ch)
{
    return pn_is_alpha(ch) || pn_is_digit(ch) ||
           (ch != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", ch) != NULL);
}

/* Bytes of the UTF-8 character beyond ASCII that stands here, or 0. */
static size_t wide(const struct cursor *c)
{
    if (c->p == c->end || (unsigned char)*c->p < 0x80)
        return 0;
    return pn_utf8_next((struct pn_str){c->p, (size_t)(c->end - c->p)});
}

static bool take_atom(struct cursor *c, bool *utf8)
{
    const char *from = c->p;
    while (c->p < c->end) {
        size_t n = wide(c);
        if (n == 0 && !is_atext(*c->p))
            break;
        *utf8 = *utf8 || n != 0;
        c->p += n == 0 ? 1 : n;
    }
    return c->p != from;
}

static bool take_dot_string(struct cursor *c, bool *utf8)
{
    do {
        if (!take_atom(c, utf8))
            return false;
    } while (take(c, '.'));
    return true;
}

static bool take_quoted(struct cursor *c, bool *utf8)
{
    if (!take(c, '"'))
        return false;
    while (c->p < c->end && *c->p != '"') {
        size_t n = wide(c);
        if (n == 0 && take(c, '\\') && c->p == c->end)
            return false;
        if (n == 0 && !is_graph(*c->p) && *c->p != ' ')
            return false;
        *utf8 = *utf8 || n != 0;
        c->p += n == 0 ? 1 : n;
    }
    return take(c, '"');
}

static bool take_label(struct cursor *c, bool *utf8)
{
    const char *from = c->p;
    char last = '-';
    if (at(c, '-'))
        return false;
    while (c->p < c->end) {
        size_t n = wide(c);
        if (n == 0 && !pn_is_alpha(*c->p) && !pn_is_digit(*c->p) && *c->p != '-' && *c->p != '_')
            break;
        last = *c->p;
        *utf8 = *utf8 || n != 0;
        c->p += n == 0 ? 1 : n;
    }
    return last != '-' && c->p - from <= PN_SMTP_LABEL_MAX;
}

static bool take_domain(struct cursor *c, bool *utf8)
{
    const char *from = c->p;
    do {
        if (!take_label(c, utf8))
            return false;
    } while (take(c, '.'));
    return c->p - from <= PN_SMTP_DOMAIN_MAX;
}

static bool take_literal(struct cursor *c)
{
    const char *from = c->p;
    struct pn_ip ip;
    while (c->p < c->end && *c->p != ']' && is_graph(*c->p))
        c->p++;
    return take(c, ']') && pn_smtp_literal((struct pn_str){from, (size_t)(c->p - from)}, &ip);
}

/* "@one,@two:" and, with it, whatever old mailers wrote there. */
static bool take_route(struct cursor *c)
{
    bool utf8 = false;
    do {
        if (!take(c, '@') || !take_domain(c, &utf8))
            return false;
    } while (take(c, ','));
    return take(c, ':');
}

static struct pn_str span(const char *from, const char *to)
{
    return (struct pn_str){from, (size_t)(to - from)};
}

static enum pn_smtp_path_error take_mailbox(struct cursor *c, struct pn_smtp_mailbox *out)
{
    const char *from = c->p;
    out->quoted = at(c, '"');
    if (!(out->quoted ? take_quoted(c, &out->utf8) : take_dot_string(c, &out->utf8)))
        return PN_SMTP_PATH_SYNTAX;
    out->local = span(from, c->p);
    out->address = out->local;
    if (c->p == c->end || *c->p == '>')
        return PN_SMTP_PATH_BARE;
    if (!take(c, '@'))
        return PN_SMTP_PATH_SYNTAX;
    const char *domain = c->p;
    out->literal = at(c, '[');
    if (!(out->literal ? take_literal(c) : take_domain(c, &out->utf8)))
        return PN_SMTP_PATH_DOMAIN;
    out->domain = span(domain, c->p);
    out->address = span(from, c->p);
    return PN_SMTP_PATH_OK;
}

static enum pn_smtp_path_error read_path(struct cursor *c, enum pn_smtp_path_kind kind,
                                         struct pn_smtp_mailbox *out)
{
    bool bracket = take(c, '<');
    if (bracket && kind == PN_SMTP_REVERSE && take(c, '>'))
        return PN_SMTP_PATH_OK;
    if (at(c, '@') && !take_route(c))
        return PN_SMTP_PATH_SYNTAX;
    enum pn_smtp_path_error e = take_mailbox(c, out);
    if (e == PN_SMTP_PATH_BARE && kind == PN_SMTP_FORWARD &&
        pn_str_ieq(out->local, PN_STR("postmaster")))
        e = PN_SMTP_PATH_OK;
    if (e != PN_SMTP_PATH_OK)
        return e;
    if (bracket && !take(c, '>'))
        return PN_SMTP_PATH_SYNTAX;
    if (c->p < c->end && *c->p != ' ')
        return PN_SMTP_PATH_SYNTAX;
    return PN_SMTP_PATH_OK;
}

enum pn_smtp_path_error pn_smtp_path(struct pn_str *rest, enum pn_smtp_path_kind kind,
                                     struct pn_smtp_mailbox *out)
{
    struct cursor c = {rest->p, rest->p + rest->len};
    while (take(&c, ' '))
        ;
    const char *from = c.p;
    *out = (struct pn_smtp_mailbox){0};
    enum pn_smtp_path_error e = read_path(&c, kind, out);
    /* What is far too long is called so even where its domain's length broke it. */
    const char *stop = memchr(from, '>', (size_t)(c.end - from));
    size_t len = (size_t)((stop == NULL || stop < c.p ? c.p : stop + 1) - from);
    if (len > PN_SMTP_PATH_MAX)
        return PN_SMTP_PATH_LONG;
    if (e == PN_SMTP_PATH_OK)
        *rest = span(c.p, c.end);
    return e;
}

bool pn_smtp_mailbox_parse(struct pn_str text, struct pn_smtp_mailbox *out)
{
    *out = (struct pn_smtp_mailbox){0};
    if (text.len == 0)
        return false;
    struct cursor c = {text.p, text.p + text.len};
    return text.len <= PN_SMTP_PATH_MAX && take_mailbox(&c, out) == PN_SMTP_PATH_OK && c.p == c.end;
}

/* A quoted local-part's bytes, its quotes and backslashes taken away. */
static void unquote(struct pn_buf *out, struct pn_str quoted)
{
    for (size_t i = 1; i + 1 < quoted.len; i++) {
        if (quoted.p[i] == '\\' && i + 2 < quoted.len)
            i++;
        (void)pn_buf_addc(out, quoted.p[i]);
    }
}

static void quote(struct pn_buf *out, struct pn_str bytes)
{
    (void)pn_buf_addc(out, '"');
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.p[i] == '"' || bytes.p[i] == '\\')
            (void)pn_buf_addc(out, '\\');
        (void)pn_buf_addc(out, bytes.p[i]);
    }
    (void)pn_buf_addc(out, '"');
}

static void add_local(struct pn_buf *out, const struct pn_smtp_mailbox *mailbox)
{
    if (!mailbox->quoted) {
        (void)pn_buf_adds(out, mailbox->local);
        return;
    }
    struct pn_buf plain;
    pn_buf_init(&plain, PN_SMTP_PATH_MAX);
    unquote(&plain, mailbox->local);
    struct pn_str bytes = plain.len == 0 ? PN_STR("") : pn_buf_str(&plain);
    struct cursor c = {bytes.p, bytes.p + bytes.len};
    bool utf8 = false;
    if (take_dot_string(&c, &utf8) && c.p == c.end)
        (void)pn_buf_adds(out, bytes);
    else
        quote(out, bytes);
    pn_buf_fini(&plain);
}

void pn_smtp_mailbox_canonical(struct pn_buf *out, const struct pn_smtp_mailbox *mailbox)
{
    if (mailbox->local.len == 0)
        return;
    add_local(out, mailbox);
    if (mailbox->domain.len == 0)
        return;
    (void)pn_buf_addc(out, '@');
    for (size_t i = 0; i < mailbox->domain.len; i++)
        (void)pn_buf_addc(out, pn_lower(mailbox->domain.p[i]));
}

bool pn_smtp_domain_ok(struct pn_str text, bool *utf8)
{
    *utf8 = false;
    if (text.len == 0)
        return false;
    struct cursor c = {text.p, text.p + text.len};
    return take_domain(&c, utf8) && c.p == c.end;
}

bool pn_smtp_literal(struct pn_str text, struct pn_ip *out)
{
    if (text.len < 2 || text.p[0] != '[' || text.p[text.len - 1] != ']')
        return false;
    struct pn_str inner = pn_str_slice(text, 1, text.len - 1);
    const struct pn_str tag = PN_STR("IPv6:");
    if (!pn_str_istarts(inner, tag))
        return pn_str_find(inner, ':', 0) == SIZE_MAX && pn_ip_parse(inner, out);
    inner = pn_str_slice(inner, tag.len, inner.len);
    return pn_str_find(inner, ':', 0) != SIZE_MAX && pn_ip_parse(inner, out);
}

enum pn_smtp_helo_kind pn_smtp_helo(struct pn_str text)
{
    struct pn_ip ip;
    bool utf8;
    if (text.len == 0 || text.len > PN_SMTP_DOMAIN_MAX)
        return PN_SMTP_HELO_NONE;
    if (text.p[0] == '[' && pn_smtp_literal(text, &ip))
        return PN_SMTP_HELO_LITERAL;
    if (pn_smtp_domain_ok(text, &utf8) && !utf8)
        return PN_SMTP_HELO_DOMAIN;
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.p[i] <= ' ' || text.p[i] == 127)
            return PN_SMTP_HELO_NONE;
    return pn_utf8_valid(text) ? PN_SMTP_HELO_ODD : PN_SMTP_HELO_NONE;
}

static bool take_value(struct cursor *c)
{
    const char *from = c->p;
    while (c->p < c->end) {
        size_t n = wide(c);
        if (n == 0 && (!is_graph(*c->p) || *c->p == '='))
            break;
        c->p += n == 0 ? 1 : n;
    }
    return c->p != from;
}

static int hex(char c)
{
    return pn_is_digit(c) ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool pn_smtp_xtext(struct pn_str text, struct pn_buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];
        if (!is_graph(c) || c == '=')
            return false;
        if (c == '+') {
            int high = i + 2 < text.len ? hex(text.p[i + 1]) : -1;
            int low = i + 2 < text.len ? hex(text.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (!pn_buf_addc(out, c))
            return false;
    }
    return true;
}

int pn_smtp_param_next(struct pn_str *rest, struct pn_smtp_param *out)
{
    struct cursor c = {rest->p, rest->p + rest->len};
    *out = (struct pn_smtp_param){0};
    while (take(&c, ' '))
        ;
    const char *from = c.p;
    if (c.p == c.end)
        return 0;
    while (c.p < c.end && (pn_is_alpha(*c.p) || pn_is_digit(*c.p) || (c.p != from && *c.p == '-')))
        c.p++;
    if (c.p == from)
        return -1;
    out->key = span(from, c.p);
    out->has_value = take(&c, '=');
    from = c.p;
    if (out->has_value && !take_value(&c))
        return -1;
    out->value = span(from, c.p);
    if (c.p < c.end && *c.p != ' ')
        return -1;
    *rest = span(c.p, c.end);
    return 1;
}
