#include "imap_grammar.h"

enum { DEPTH_MAX = 300 };

/* A reader that stops at the first thing that is wrong: then `wrong` says what. */
struct reader {
    struct pn_str s;
    size_t at;
    bool extensible;
    const char *wrong;
};

static void fail(struct reader *r, const char *what)
{
    if (r->wrong == NULL)
        r->wrong = what;
}

static char peek(const struct reader *r)
{
    return r->wrong == NULL && r->at < r->s.len ? r->s.p[r->at] : '\0';
}

static void want(struct reader *r, char c, const char *what)
{
    if (peek(r) == c)
        r->at++;
    else
        fail(r, what);
}

static void blank(struct reader *r)
{
    want(r, ' ', "a blank is missing");
}

static bool is_nil(const struct reader *r)
{
    return r->wrong == NULL && pn_str_istarts(pn_str_slice(r->s, r->at, r->s.len), PN_STR("NIL"));
}

static uint64_t number(struct reader *r)
{
    size_t from = r->at;
    uint64_t n = 0;
    while (pn_is_digit(peek(r)))
        r->at++;
    struct pn_str digits = pn_str_slice(r->s, from, r->at);
    if (!pn_str_u64(digits, UINT32_MAX, &n) || (digits.len > 1 && digits.p[0] == '0'))
        fail(r, "no number");
    return n;
}

static struct pn_str quoted(struct reader *r)
{
    size_t from = ++r->at;
    for (char c; (c = peek(r)) != '"' && r->wrong == NULL; r->at++) {
        if (r->at >= r->s.len || c == '\0' || c == '\r' || c == '\n' || (unsigned char)c >= 0x80)
            fail(r, "a byte that no quoted string holds");
        if (c == '\\' && (++r->at >= r->s.len || (peek(r) != '"' && peek(r) != '\\')))
            fail(r, "an escape of what needs none");
    }
    return pn_str_slice(r->s, from, r->wrong == NULL ? r->at++ : from);
}

static struct pn_str literal(struct reader *r)
{
    r->at++;
    uint64_t len = number(r);
    want(r, '}', "a literal without its brace");
    want(r, '\r', "a literal without CR");
    want(r, '\n', "a literal without LF");
    if (r->wrong == NULL && len > r->s.len - r->at)
        fail(r, "a literal longer than what is there");
    struct pn_str text = pn_str_slice(r->s, r->at, r->at + (r->wrong == NULL ? (size_t)len : 0));
    if (pn_str_find(text, '\0', 0) != SIZE_MAX)
        fail(r, "NUL in a literal");
    r->at += text.len;
    return text;
}

static struct pn_str string(struct reader *r)
{
    if (peek(r) == '"')
        return quoted(r);
    if (peek(r) == '{')
        return literal(r);
    fail(r, "no string");
    return PN_STR("");
}

/* True: it is NIL. */
static bool nstring(struct reader *r)
{
    if (is_nil(r)) {
        r->at += 3;
        return true;
    }
    (void)string(r);
    return false;
}

static void address(struct reader *r)
{
    want(r, '(', "no address");
    for (int i = 0; i < 4; i++) {
        if (i > 0)
            blank(r);
        (void)nstring(r);
    }
    want(r, ')', "an address does not end");
}

static void addresses(struct reader *r)
{
    if (is_nil(r)) {
        r->at += 3;
        return;
    }
    want(r, '(', "no list of addresses");
    do
        address(r);
    while (peek(r) == '(');
    want(r, ')', "a list of addresses does not end");
}

static void envelope(struct reader *r)
{
    want(r, '(', "no envelope");
    (void)nstring(r);
    blank(r);
    (void)nstring(r);
    for (int i = 0; i < 6; i++) {
        blank(r);
        addresses(r);
    }
    blank(r);
    (void)nstring(r);
    blank(r);
    (void)nstring(r);
    want(r, ')', "an envelope does not end");
}

static void params(struct reader *r)
{
    if (is_nil(r)) {
        r->at += 3;
        return;
    }
    want(r, '(', "no parameters");
    for (bool more = true; more && r->wrong == NULL; r->at += more) {
        (void)string(r);
        blank(r);
        (void)string(r);
        more = peek(r) == ' ';
    }
    want(r, ')', "parameters do not end");
}

static void disposition(struct reader *r)
{
    if (is_nil(r)) {
        r->at += 3;
        return;
    }
    want(r, '(', "no disposition");
    (void)string(r);
    blank(r);
    params(r);
    want(r, ')', "a disposition does not end");
}

static void language(struct reader *r)
{
    if (peek(r) != '(') {
        (void)nstring(r);
        return;
    }
    r->at++;
    for (bool more = true; more && r->wrong == NULL; r->at += more) {
        (void)string(r);
        more = peek(r) == ' ';
    }
    want(r, ')', "languages do not end");
}

static void extension(struct reader *r)
{
    blank(r);
    disposition(r);
    blank(r);
    language(r);
    blank(r);
    (void)nstring(r);
}

static void end_leaf(struct reader *r)
{
    if (r->extensible) {
        blank(r);
        (void)nstring(r);
        extension(r);
    }
    want(r, ')', "a body does not end");
}

static void end_multipart(struct reader *r)
{
    blank(r);
    (void)string(r);
    if (r->extensible) {
        blank(r);
        params(r);
        extension(r);
    }
    want(r, ')', "a multipart does not end");
}

/* From behind its "("; true: it is a message, whose body follows. */
static bool leaf(struct reader *r)
{
    struct pn_str type = string(r);
    blank(r);
    struct pn_str subtype = string(r);
    if (pn_str_ieq(type, PN_STR("multipart")))
        fail(r, "a multipart that is told as a leaf");
    blank(r);
    params(r);
    blank(r);
    (void)nstring(r);
    blank(r);
    (void)nstring(r);
    blank(r);
    (void)string(r);
    blank(r);
    (void)number(r);
    if (pn_str_ieq(type, PN_STR("message")) &&
        (pn_str_ieq(subtype, PN_STR("rfc822")) || pn_str_ieq(subtype, PN_STR("global")))) {
        blank(r);
        envelope(r);
        blank(r);
        return true;
    }
    if (pn_str_ieq(type, PN_STR("text"))) {
        blank(r);
        (void)number(r);
    }
    end_leaf(r);
    return false;
}

static void body(struct reader *r)
{
    bool multipart[DEPTH_MAX] = {false};
    size_t depth = 0;
    do {
        bool down = true;
        while (down && r->wrong == NULL) {
            want(r, '(', "no body");
            multipart[depth] = peek(r) == '(';
            down = multipart[depth] || leaf(r);
            depth += down;
            if (depth == DEPTH_MAX)
                fail(r, "too deep");
        }
        while (depth > 0 && r->wrong == NULL && !(multipart[depth - 1] && peek(r) == '(')) {
            if (multipart[--depth]) {
                end_multipart(r);
            } else {
                blank(r);
                (void)number(r);
                end_leaf(r);
            }
        }
    } while (depth > 0 && r->wrong == NULL);
}

static const char *finish(struct reader *r, size_t *at)
{
    if (r->at != r->s.len)
        fail(r, "more than was asked for");
    *at = r->at;
    return r->wrong;
}

const char *grammar_envelope(struct pn_str s, size_t *at)
{
    struct reader r = {.s = s};
    envelope(&r);
    return finish(&r, at);
}

const char *grammar_body(struct pn_str s, bool extensible, size_t *at)
{
    struct reader r = {.s = s, .extensible = extensible};
    body(&r);
    return finish(&r, at);
}
