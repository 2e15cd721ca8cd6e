#include "token.h"

#include "buf.h"
#include "utf8.h"

#include <stdio.h>

void pn_lex_init(struct pn_lex *lex, const struct pn_source *source, struct pn_pool *pool,
                 struct pn_problems *problems)
{
    *lex = (struct pn_lex){
        .source = source, .pool = pool, .problems = problems, .line = 1, .column = 1};
    if (pn_str_starts(source->text, PN_STR("\xef\xbb\xbf")))
        lex->at = 3;
}

static struct pn_place here(const struct pn_lex *lex)
{
    return (struct pn_place){lex->source, lex->line, lex->column};
}

static struct pn_str rest(const struct pn_lex *lex)
{
    return pn_str_slice(lex->source->text, lex->at, lex->source->text.len);
}

/* Over one character; a byte that is none counts as one. */
static void step(struct pn_lex *lex)
{
    size_t n = pn_utf8_next(rest(lex));
    if (lex->source->text.p[lex->at] == '\n') {
        lex->line++;
        lex->column = 0;
    }
    lex->at += n == 0 ? 1 : n;
    lex->column++;
}

static int peek_char(const struct pn_lex *lex)
{
    if (lex->at >= lex->source->text.len)
        return -1;
    return (unsigned char)lex->source->text.p[lex->at];
}

static void skip_to_line_end(struct pn_lex *lex)
{
    while (peek_char(lex) != -1 && peek_char(lex) != '\n')
        step(lex);
}

static void skip_blanks(struct pn_lex *lex)
{
    int c = peek_char(lex);
    while (c == ' ' || c == '\t' || c == '\r' || c == '#') {
        if (c == '#')
            skip_to_line_end(lex);
        else
            step(lex);
        c = peek_char(lex);
    }
}

/* One sentence a line of garbage is enough. */
static struct pn_token bad(struct pn_lex *lex, struct pn_place at, const char *why)
{
    pn_error_at(lex->problems, at, "%s", why);
    skip_to_line_end(lex);
    return (struct pn_token){PN_TOK_BAD, PN_STR(""), at};
}

static int hex(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = pn_lower((char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Behind the backslash; the byte it stands for, or -1. */
static int escape(struct pn_lex *lex)
{
    int c = peek_char(lex);
    if (c == -1 || c == '\n')
        return -1;
    step(lex);
    switch (c) {
    case '"':
    case '\\':
        return c;
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'x':
        break;
    default:
        return -1;
    }
    int byte = 0;
    for (int i = 0; i < 2; i++) {
        int digit = hex(peek_char(lex));
        if (digit < 0)
            return -1;
        byte = byte * 16 + digit;
        step(lex);
    }
    return byte == 0 ? -1 : byte;
}

static const char bad_escape[] = "unknown escape, expected \\\" \\\\ \\n \\t or \\xNN (not \\x00)";

static struct pn_token escaped(struct pn_lex *lex, struct pn_place at, size_t from)
{
    struct pn_buf b;
    pn_buf_init(&b, PN_TOKEN_MAX);
    (void)pn_buf_adds(&b, pn_str_slice(lex->source->text, from, lex->at));
    struct pn_token token = {PN_TOK_STRING, PN_STR(""), at};
    for (int c = peek_char(lex); c != '"'; c = peek_char(lex)) {
        struct pn_place spot = here(lex);
        if (c == -1 || c == '\n') {
            token = bad(lex, at, "string without its end, expected '\"' on the same line");
            break;
        }
        size_t before = lex->at;
        step(lex);
        int byte = c == '\\' ? escape(lex) : 0;
        if (byte < 0) {
            token = bad(lex, spot, bad_escape);
            break;
        }
        if (c == '\\')
            (void)pn_buf_addc(&b, (char)byte);
        else
            (void)pn_buf_adds(&b, pn_str_slice(lex->source->text, before, lex->at));
    }
    if (token.kind == PN_TOK_STRING) {
        step(lex);
        token.text = b.overflow ? PN_STR("") : pn_pool_dup(lex->pool, pn_buf_str(&b));
        if (b.overflow || token.text.p == NULL)
            token = bad(lex, at, "string too long");
        else if (!pn_utf8_valid(token.text))
            token = bad(lex, at, "string is not UTF-8 once its escapes are undone");
    }
    pn_buf_fini(&b);
    return token;
}

static struct pn_token string(struct pn_lex *lex, struct pn_place at)
{
    step(lex);
    size_t from = lex->at;
    for (;;) {
        int c = peek_char(lex);
        if (c == '\\')
            return escaped(lex, at, from);
        if (c == '"')
            break;
        if (c == -1 || c == '\n')
            return bad(lex, at, "string without its end, expected '\"' on the same line");
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return bad(lex, here(lex), "control character in a string, expected an escape");
        if (pn_utf8_next(rest(lex)) == 0)
            return bad(lex, here(lex), "not UTF-8");
        step(lex);
    }
    struct pn_str text = pn_str_slice(lex->source->text, from, lex->at);
    step(lex);
    if (text.len > PN_TOKEN_MAX)
        return bad(lex, at, "string too long");
    return (struct pn_token){PN_TOK_STRING, text, at};
}

static bool ends_word(int c)
{
    return c == -1 || c <= ' ' || c == 0x7f || strchr("{};,#\"", c) != NULL;
}

static struct pn_token word(struct pn_lex *lex, struct pn_place at)
{
    size_t from = lex->at;
    while (!ends_word(peek_char(lex))) {
        if (pn_utf8_next(rest(lex)) == 0)
            return bad(lex, here(lex), "not UTF-8");
        step(lex);
    }
    if (lex->at == from)
        return bad(lex, at, "control character, expected text");
    struct pn_str text = pn_str_slice(lex->source->text, from, lex->at);
    if (text.len > PN_TOKEN_MAX)
        return bad(lex, at, "word too long");
    if (peek_char(lex) == '"')
        return bad(lex, here(lex), "quote within a word, expected a blank before it");
    return (struct pn_token){PN_TOK_WORD, text, at};
}

static struct pn_token scan(struct pn_lex *lex)
{
    skip_blanks(lex);
    struct pn_place at = here(lex);
    struct pn_token token = {PN_TOK_END, PN_STR(""), at};
    switch (peek_char(lex)) {
    case -1:
        return token;
    case '"':
        return string(lex, at);
    case '\n':
        token.kind = PN_TOK_LINE;
        break;
    case ';':
        token.kind = PN_TOK_LINE;
        token.text = PN_STR(";");
        break;
    case '{':
        token.kind = PN_TOK_OPEN;
        break;
    case '}':
        token.kind = PN_TOK_CLOSE;
        break;
    case ',':
        token.kind = PN_TOK_COMMA;
        break;
    default:
        return word(lex, at);
    }
    step(lex);
    return token;
}

struct pn_token pn_lex_peek(struct pn_lex *lex)
{
    if (!lex->looked) {
        lex->look = scan(lex);
        lex->looked = true;
    }
    return lex->look;
}

struct pn_token pn_lex_next(struct pn_lex *lex)
{
    struct pn_token token = pn_lex_peek(lex);
    lex->looked = false;
    return token;
}

bool pn_token_is_value(const struct pn_token *token)
{
    return token->kind == PN_TOK_WORD || token->kind == PN_TOK_STRING;
}

const char *pn_token_name(struct pn_pool *pool, const struct pn_token *token)
{
    enum { SHOWN = 80 };
    char text[SHOWN + 16];
    switch (token->kind) {
    case PN_TOK_END:
        return "the end of the file";
    case PN_TOK_LINE:
        return token->text.len == 0 ? "the end of the line" : "';'";
    case PN_TOK_OPEN:
        return "'{'";
    case PN_TOK_CLOSE:
        return "'}'";
    case PN_TOK_COMMA:
        return "','";
    default:
        break;
    }
    struct pn_str s = pn_str_slice(token->text, 0, SHOWN);
    int n =
        snprintf(text, sizeof text, "'%.*s'%s", PN_FMT(s), s.len < token->text.len ? "..." : "");
    const char *copy = n < 0 ? NULL : pn_pool_strdup(pool, (struct pn_str){text, (size_t)n});
    return copy == NULL ? "this" : copy;
}

void pn_lex_skip_block(struct pn_lex *lex, struct pn_place open)
{
    for (size_t depth = 1; depth > 0;) {
        struct pn_token token = pn_lex_next(lex);
        if (token.kind == PN_TOK_END) {
            pn_error_at(lex->problems, open, "block without its end, expected '}'");
            return;
        }
        depth += token.kind == PN_TOK_OPEN;
        depth -= token.kind == PN_TOK_CLOSE;
    }
}

void pn_lex_skip_statement(struct pn_lex *lex)
{
    for (;;) {
        struct pn_token token = pn_lex_peek(lex);
        if (token.kind == PN_TOK_END || token.kind == PN_TOK_LINE || token.kind == PN_TOK_CLOSE)
            return;
        (void)pn_lex_next(lex);
        if (token.kind == PN_TOK_OPEN) {
            pn_lex_skip_block(lex, token.at);
            return;
        }
    }
}

bool pn_lex_open(struct pn_lex *lex, struct pn_place *at)
{
    struct pn_lex ahead = *lex;
    struct pn_token token = pn_lex_next(&ahead);
    while (token.kind == PN_TOK_LINE && token.text.len == 0)
        token = pn_lex_next(&ahead);
    if (token.kind != PN_TOK_OPEN)
        return false;
    *at = token.at;
    *lex = ahead;
    return true;
}
