/* What a plugin would see of a script's sessions: its commands read as the server reads
 * them, but for what the server would refuse. */
#include "rpl.h"

struct reader {
    const struct rpl *script;
    struct rpl_case now;
    struct pn_str *rcpts; /* of now */
    bool in_data;
    struct pn_buf content;
    struct rpl_case *cases;
    size_t count, cap;
};

static void keep(struct reader *r)
{
    struct pn_pool *pool = r->script->pool;
    struct rpl_case *c = &r->now;
    if (r->count == r->cap) {
        size_t cap = r->cap == 0 ? 16 : 2 * r->cap;
        struct rpl_case *cases = pn_pool_alloc(pool, cap * sizeof *cases);
        if (cases == NULL)
            return;
        if (r->count != 0)
            memcpy(cases, r->cases, r->count * sizeof *cases);
        r->cases = cases;
        r->cap = cap;
    }
    if (c->has_content)
        c->content = pn_pool_dup(pool, pn_buf_str(&r->content));
    r->cases[r->count++] = *c;
}

/* Between messages of one session. */
static void next_mail(struct reader *r)
{
    r->now.has_mail = r->now.has_content = r->in_data = false;
    r->now.from = r->now.content = PN_STR("");
    r->now.rcpt_count = 0;
    r->now.rcpts = r->rcpts = NULL;
    pn_buf_clear(&r->content);
}

/* A session, or a transaction, that ends before its content is a case too: if it said
 * anything. */
static void end_mail(struct reader *r, unsigned line)
{
    if (r->now.line == 0)
        r->now.line = line;
    if (r->now.has_mail || (r->count == 0 && r->now.helo.len != 0))
        keep(r);
    next_mail(r);
    r->now.line = 0;
}

/* "<a@b>" behind the colon, without parameters. */
static struct pn_str path_of(struct pn_str line)
{
    size_t open = pn_str_find(line, '<', 0), close = pn_str_find(line, '>', 0);
    return open < line.len && close < line.len && open < close ? pn_str_slice(line, open + 1, close)
                                                               : PN_STR("");
}

static void add_rcpt(struct reader *r, struct pn_str address)
{
    struct pn_pool *pool = r->script->pool;
    if (r->rcpts == NULL)
        r->rcpts = pn_pool_alloc(pool, RPL_CASE_RCPTS_MAX * sizeof *r->rcpts);
    if (r->rcpts == NULL || r->now.rcpt_count == RPL_CASE_RCPTS_MAX)
        return;
    r->rcpts[r->now.rcpt_count++] = pn_pool_dup(pool, address);
    r->now.rcpts = r->rcpts;
}

static void on_content(struct reader *r, struct pn_str line, unsigned number)
{
    if (pn_str_eq(line, PN_STR("."))) {
        r->in_data = false;
        r->now.has_content = true;
        end_mail(r, number);
        return;
    }
    if (pn_str_starts(line, PN_STR(".")))
        line = pn_str_slice(line, 1, line.len);
    (void)pn_buf_adds(&r->content, line);
    (void)pn_buf_addz(&r->content, "\r\n");
}

static void on_command(struct reader *r, struct pn_str line, unsigned number)
{
    struct pn_pool *pool = r->script->pool;
    if (pn_str_istarts(line, PN_STR("EHLO ")) || pn_str_istarts(line, PN_STR("HELO "))) {
        r->now.helo = pn_pool_dup(pool, pn_str_trim(pn_str_slice(line, 5, line.len)));
    } else if (pn_str_istarts(line, PN_STR("MAIL FROM:"))) {
        next_mail(r);
        r->now.has_mail = true;
        r->now.line = number;
        r->now.from = pn_pool_dup(pool, path_of(line));
    } else if (pn_str_istarts(line, PN_STR("RCPT TO:"))) {
        if (r->now.has_mail)
            add_rcpt(r, path_of(line));
    } else if (pn_str_ieq(line, PN_STR("DATA"))) {
        r->in_data = r->now.rcpt_count > 0;
    } else if (pn_str_ieq(line, PN_STR("RSET"))) {
        end_mail(r, number);
    }
}

static void on_line(struct reader *r, const struct rpl_line *l)
{
    struct pn_buf text;
    switch (l->word) {
    case RPL_TIME:
        (void)rpl_time(l->rest, r->now.now_ms, &r->now.now_ms);
        return;
    case RPL_CLIENT:
        end_mail(r, l->number);
        (void)pn_ip_parse(pn_str_trim(l->rest), &r->now.ip);
        r->now.helo = PN_STR("");
        return;
    case RPL_DROP:
        end_mail(r, l->number);
        return;
    case RPL_SEND:
        pn_buf_init(&text, RPL_BYTES_MAX);
        rpl_unescape(l->rest, &text);
        if (r->in_data)
            on_content(r, pn_buf_str(&text), l->number);
        else
            on_command(r, pn_buf_str(&text), l->number);
        pn_buf_fini(&text);
        return;
    default:
        return;
    }
}

size_t rpl_cases(const struct rpl *script, int64_t now_ms, struct rpl_case **out)
{
    struct reader r = {.script = script, .now = {.now_ms = now_ms}};
    (void)pn_ip_parse(PN_STR("192.0.2.1"), &r.now.ip);
    r.now.helo = r.now.from = r.now.content = PN_STR("");
    pn_buf_init(&r.content, RPL_BYTES_MAX);
    for (size_t i = 0; i < script->count; i++)
        on_line(&r, &script->lines[i]);
    end_mail(&r, script->count == 0 ? 0 : script->lines[script->count - 1].number);
    pn_buf_fini(&r.content);
    *out = r.cases;
    return r.count;
}
