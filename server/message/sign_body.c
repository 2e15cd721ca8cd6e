#include "sign_body.h"

#include "mem.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct pn_sign_body {
    EVP_MD_CTX *ctx;
    bool failed;
    /* What the bytes so far leave open. */
    bool any;        /* something was hashed: the form ends in CRLF */
    bool blank;      /* blanks came: one, unless the line ends here */
    bool cr;         /* a CR came: of a line end, if LF follows */
    uint64_t breaks; /* line ends that count only if something follows */
    size_t len;      /* gathered, so that the hash is not called for each byte */
    char p[2048];
};

struct pn_sign_body *pn_sign_body_new(void)
{
    struct pn_sign_body *b = pn_calloc(1, sizeof *b);
    b->ctx = EVP_MD_CTX_new();
    if (b->ctx == NULL || EVP_DigestInit_ex(b->ctx, EVP_sha256(), NULL) != 1)
        pn_sign_body_free(&b);
    return b;
}

void pn_sign_body_free(struct pn_sign_body **body)
{
    if (*body == NULL)
        return;
    EVP_MD_CTX_free((*body)->ctx);
    free(*body);
    *body = NULL;
}

/* ---- hashing */

static void flush(struct pn_sign_body *b)
{
    if (b->len != 0 && EVP_DigestUpdate(b->ctx, b->p, b->len) != 1)
        b->failed = true;
    b->len = 0;
}

static void put(struct pn_sign_body *b, const char *p, size_t n)
{
    if (n > sizeof b->p - b->len)
        flush(b);
    if (n > sizeof b->p / 2) {
        flush(b);
        b->failed |= EVP_DigestUpdate(b->ctx, p, n) != 1;
        return;
    }
    memcpy(b->p + b->len, p, n);
    b->len += n;
}

/* ---- byte by byte: where something is left open */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* A byte of a line, that what is owed comes before. */
static void plain(struct pn_sign_body *b, char c)
{
    for (; b->breaks != 0; b->breaks--)
        put(b, "\r\n", 2);
    if (b->blank)
        put(b, " ", 1);
    put(b, &c, 1);
    b->blank = false;
    b->any = true;
}

static void step(struct pn_sign_body *b, char c)
{
    if (b->cr && c == '\n') {
        b->cr = b->blank = false;
        b->breaks++;
        return;
    }
    if (b->cr)
        plain(b, '\r');
    b->cr = c == '\r';
    if (is_blank(c))
        b->blank = true;
    else if (!b->cr)
        plain(b, c);
}

/* ---- the inside of a piece: from one plain byte to another, most of it as it stands */

/* The first at or after p that may change: a tab, or a blank before another or a CR. p[1] is
 * there for all p < end. */
static const char *next_change(const char *p, const char *end)
{
    for (; p < end; p++)
        if (*p == '\t' || (*p == ' ' && (is_blank(p[1]) || p[1] == '\r')))
            return p;
    return end;
}

static void inside(struct pn_sign_body *b, const char *p, const char *last)
{
    for (const char *at = next_change(p, last); at < last; at = next_change(p, last)) {
        put(b, p, (size_t)(at - p));
        for (p = at; is_blank(*p); p++)
            ;
        if (*p != '\r' || p[1] != '\n') /* a bare CR may be the last but one: p[1] is there */
            put(b, " ", 1);
    }
    put(b, p, (size_t)(last + 1 - p));
}

static bool is_open(char c)
{
    return is_blank(c) || c == '\r' || c == '\n';
}

void pn_sign_body_add(struct pn_sign_body *b, struct pn_str piece)
{
    const char *p = piece.p, *end = piece.p + piece.len, *last = end;
    /* A bare LF leaves nothing open, but its CR may stand in the piece before. */
    while (p != end && is_open(*p))
        step(b, *p++);
    if (p == end)
        return;
    step(b, *p++);
    while (last > p && is_open(last[-1]))
        last--;
    if (last > p)
        inside(b, p, last - 1);
    for (p = last; p != end; p++)
        step(b, *p);
}

bool pn_sign_body_end(struct pn_sign_body *b, unsigned char hash[PN_SIGN_HASH])
{
    if (b->cr)
        plain(b, '\r');
    if (b->any)
        put(b, "\r\n", 2);
    flush(b);
    return !b->failed && EVP_DigestFinal_ex(b->ctx, hash, NULL) == 1;
}
