/* What the plugin under test proposes to change, in one line of text. */
#include "fakehost_int.h"

static bool lines_ok(struct postern_str s)
{
    struct pn_str v = fake_pn(s);
    for (size_t i = 0; i < v.len; i++) {
        bool fold = i + 2 < v.len && v.p[i + 1] == '\n' &&
                    pn_str_find(PN_STR(" \t"), v.p[i + 2], 0) != SIZE_MAX;
        if (v.p[i] == '\0' || v.p[i] == '\n' || (v.p[i] == '\r' && !fold))
            return false;
        i += v.p[i] == '\r';
    }
    return true;
}

static bool may(struct postern_call *c)
{
    return c->stage == POSTERN_HEADERS || c->stage == POSTERN_MESSAGE;
}

/* Room for one more. */
static struct pn_buf *next(struct postern_call *c)
{
    struct pn_buf *b = &fake_of(c)->edits;
    if (b->len != 0)
        (void)pn_buf_addc(b, '|');
    return b;
}

static int add_header(struct postern_call *c, struct postern_str name, struct postern_str value)
{
    if (name.len == 0 || !lines_ok(name) || !lines_ok(value))
        return POSTERN_INVALID;
    (void)pn_buf_addf(next(c), "+%.*s: %.*s", PN_FMT(name), PN_FMT(value));
    return POSTERN_OK;
}

static int remove_header(struct postern_call *c, struct postern_str name, size_t n)
{
    (void)pn_buf_addf(next(c), "-%.*s:%zu", PN_FMT(name), n);
    return POSTERN_OK;
}

static int insert_header(struct postern_call *c, size_t position, struct postern_str name,
                         struct postern_str value)
{
    if (!may(c) || name.len == 0 || !lines_ok(name) || !lines_ok(value))
        return POSTERN_INVALID;
    (void)pn_buf_addf(next(c), "@%zu %.*s: %.*s", position, PN_FMT(name), PN_FMT(value));
    return POSTERN_OK;
}

static int change_header(struct postern_call *c, struct postern_str name, size_t n,
                         struct postern_str value)
{
    if (!may(c) || name.len == 0 || !lines_ok(name) || !lines_ok(value))
        return POSTERN_INVALID;
    (void)pn_buf_addf(next(c), "=%.*s:%zu %.*s", PN_FMT(name), n, PN_FMT(value));
    return POSTERN_OK;
}

/* Line ends as the true host wants them, over chunks too. */
static bool body_ok(struct pn_str body)
{
    for (size_t i = 0; i < body.len; i++)
        if (body.p[i] == '\0' || (body.p[i] == '\n') != (i > 0 && body.p[i - 1] == '\r'))
            return false;
    return true;
}

static int replace_body(struct postern_call *c, struct postern_str chunk)
{
    struct fakehost *h = fake_of(c);
    size_t before = h->body.len;
    if (!may(c))
        return POSTERN_INVALID;
    (void)pn_buf_add(&h->body, chunk.p, chunk.len);
    if (!body_ok(pn_buf_str(&h->body))) {
        h->body.len = before;
        return POSTERN_INVALID;
    }
    if (!h->new_body)
        (void)pn_buf_addz(next(c), "body");
    h->new_body = true;
    return POSTERN_OK;
}

static int address(struct postern_call *c, const char *what, struct postern_str address)
{
    if (!may(c) || !lines_ok(address) ||
        (address.len != 0 && pn_str_find(fake_pn(address), '@', 0) == SIZE_MAX))
        return POSTERN_INVALID;
    (void)pn_buf_addf(next(c), "%s%.*s", what, PN_FMT(address));
    return POSTERN_OK;
}

static int change_from(struct postern_call *c, struct postern_str from)
{
    return address(c, "from ", from);
}

static int add_rcpt(struct postern_call *c, struct postern_str to)
{
    return to.len == 0 ? POSTERN_INVALID : address(c, "rcpt+", to);
}

static int remove_rcpt(struct postern_call *c, struct postern_str to)
{
    return to.len == 0 ? POSTERN_INVALID : address(c, "rcpt-", to);
}

void fake_edits_table(struct postern_host *t)
{
    t->add_header = add_header;
    t->remove_header = remove_header;
    t->insert_header = insert_header;
    t->change_header = change_header;
    t->replace_body = replace_body;
    t->change_from = change_from;
    t->add_rcpt = add_rcpt;
    t->remove_rcpt = remove_rcpt;
}

struct pn_str fakehost_edits(struct fakehost *h)
{
    return pn_buf_str(&h->edits);
}

struct pn_str fakehost_body(struct fakehost *h)
{
    return pn_buf_str(&h->body);
}
