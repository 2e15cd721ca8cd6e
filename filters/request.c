#include "request.h"

#include <postern/plugin.h>

/* ---- requests */

static void put_ip(struct pn_buf *out, const struct pn_ip *ip)
{
    (void)pn_buf_add(out, ip->b, sizeof ip->b);
}

static void get_ip(struct pn_rd *r, struct pn_ip *ip)
{
    for (size_t i = 0; i < sizeof ip->b; i++)
        ip->b[i] = pn_rd_u8(r);
}

bool pn_request_put(struct pn_buf *out, const struct pn_request *q)
{
    pn_wr_u64(out, q->id);
    pn_wr_u64(out, q->session);
    pn_wr_u32(out, q->transaction);
    pn_wr_u32(out, q->flags);
    for (int i = 0; i < 2; i++) {
        pn_wr_i64(out, q->now_ms[i]);
        pn_wr_u64(out, q->seed[i]);
    }
    pn_wr_u32(out, q->budget_ms);
    pn_wr_str(out, q->log_id);
    put_ip(out, &q->client);
    pn_wr_u16(out, q->port);
    pn_wr_str(out, q->helo);
    pn_wr_str(out, q->auth_id);
    pn_wr_str(out, q->hostname);
    pn_wr_str(out, q->tls_version);
    pn_wr_str(out, q->tls_cipher);
    pn_wr_u32(out, q->tls_bits);
    put_ip(out, &q->local);
    pn_wr_u16(out, q->local_port);
    pn_wr_str(out, q->from);
    pn_wr_str(out, q->mail_args);
    pn_wr_u32(out, q->rcpt_count);
    for (uint32_t i = 0; i < q->rcpt_count; i++)
        pn_wr_str(out, q->rcpts[i]);
    pn_wr_u32(out, q->step_count);
    for (uint32_t i = 0; i < q->step_count; i++) {
        pn_wr_u8(out, q->steps[i].stage);
        pn_wr_u32(out, q->steps[i].rcpts);
        pn_wr_u64(out, q->steps[i].wanted);
    }
    pn_wr_u32(out, q->first_new);
    pn_wr_u32(out, q->unknown_count);
    for (uint32_t i = 0; i < q->unknown_count; i++) {
        pn_wr_u32(out, q->unknown_steps[i]);
        pn_wr_str(out, q->unknown[i]);
    }
    pn_wr_str(out, q->facts);
    pn_wr_u64(out, q->content_size);
    return !out->overflow;
}

/* Stages only go on; rcpt alone repeats, with one recipient more each time. */
static bool steps_ok(const struct pn_request *q)
{
    uint32_t rcpts = 0;
    for (uint32_t i = 0; i < q->step_count; i++) {
        const struct pn_step *s = &q->steps[i];
        if (s->stage >= POSTERN_STAGES || s->rcpts > q->rcpt_count || s->rcpts < rcpts)
            return false;
        if (i > 0 && s->stage <= s[-1].stage &&
            (s->stage != POSTERN_RCPT || s[-1].stage != s->stage))
            return false;
        if (s->stage == POSTERN_RCPT ? s->rcpts == rcpts : s->stage < POSTERN_RCPT && s->rcpts != 0)
            return false;
        if (s->stage >= POSTERN_MAIL && q->transaction == 0)
            return false;
        rcpts = s->rcpts;
    }
    return q->first_new < q->step_count;
}

static bool get_rcpts(struct pn_rd *r, struct pn_pool *pool, struct pn_request *q)
{
    q->rcpt_count = pn_rd_count(r, 4);
    if (q->rcpt_count > PN_REQUEST_RCPTS_MAX)
        return false;
    q->rcpts = pn_pool_alloc(pool, q->rcpt_count * sizeof *q->rcpts);
    for (uint32_t i = 0; q->rcpts != NULL && i < q->rcpt_count; i++)
        q->rcpts[i] = pn_rd_str(r);
    return q->rcpts != NULL;
}

static bool get_steps(struct pn_rd *r, struct pn_pool *pool, struct pn_request *q)
{
    q->step_count = pn_rd_count(r, 13);
    if (q->step_count > PN_REQUEST_STEPS_MAX)
        return false;
    q->steps = pn_pool_alloc(pool, q->step_count * sizeof *q->steps);
    for (uint32_t i = 0; q->steps != NULL && i < q->step_count; i++) {
        q->steps[i].stage = pn_rd_u8(r);
        q->steps[i].rcpts = pn_rd_u32(r);
        q->steps[i].wanted = pn_rd_u64(r);
    }
    q->first_new = pn_rd_u32(r);
    return q->steps != NULL && steps_ok(q);
}

/* In the order in which they came. */
static bool get_unknown(struct pn_rd *r, struct pn_pool *pool, struct pn_request *q)
{
    q->unknown_count = pn_rd_count(r, 8);
    if (q->unknown_count > POSTERN_UNKNOWN_MAX)
        return false;
    q->unknown = pn_pool_alloc(pool, q->unknown_count * sizeof *q->unknown);
    q->unknown_steps = pn_pool_alloc(pool, q->unknown_count * sizeof *q->unknown_steps);
    if (q->unknown == NULL || q->unknown_steps == NULL)
        return false;
    for (uint32_t i = 0, before = 0; i < q->unknown_count; i++) {
        uint32_t step = q->unknown_steps[i] = pn_rd_u32(r);
        q->unknown[i] = pn_rd_str(r);
        if (step < before || step >= q->step_count || q->unknown[i].len > POSTERN_UNKNOWN_BYTES)
            return false;
        before = step;
    }
    return true;
}

bool pn_request_get(struct pn_str bytes, struct pn_pool *pool, struct pn_request *q)
{
    struct pn_rd r = pn_rd_of(bytes);
    *q = (struct pn_request){.id = pn_rd_u64(&r)};
    q->session = pn_rd_u64(&r);
    q->transaction = pn_rd_u32(&r);
    q->flags = pn_rd_u32(&r);
    for (int i = 0; i < 2; i++) {
        q->now_ms[i] = pn_rd_i64(&r);
        q->seed[i] = pn_rd_u64(&r);
    }
    q->budget_ms = pn_rd_u32(&r);
    q->log_id = pn_rd_str(&r);
    get_ip(&r, &q->client);
    q->port = pn_rd_u16(&r);
    q->helo = pn_rd_str(&r);
    q->auth_id = pn_rd_str(&r);
    q->hostname = pn_rd_str(&r);
    q->tls_version = pn_rd_str(&r);
    q->tls_cipher = pn_rd_str(&r);
    q->tls_bits = pn_rd_u32(&r);
    get_ip(&r, &q->local);
    q->local_port = pn_rd_u16(&r);
    q->from = pn_rd_str(&r);
    q->mail_args = pn_rd_str(&r);
    if (!pn_rd_ok(&r) || (q->flags & ~(uint32_t)PN_REQUEST_ALL) != 0 || q->id == 0 ||
        !get_rcpts(&r, pool, q) || !get_steps(&r, pool, q) || !get_unknown(&r, pool, q))
        return false;
    q->facts = pn_rd_str(&r);
    q->content_size = pn_rd_u64(&r);
    return pn_rd_done(&r);
}

/* ---- findings */

bool pn_findings_put(struct pn_buf *out, const struct pn_findings *f)
{
    pn_wr_u64(out, f->id);
    pn_wr_u32(out, f->flags);
    pn_wr_u32(out, f->count);
    for (uint32_t i = 0; i < f->count; i++) {
        const struct pn_finding *item = &f->items[i];
        pn_wr_u32(out, item->step);
        pn_wr_u8(out, item->plugin);
        pn_wr_u8(out, item->status);
        pn_wr_u32(out, item->us);
        pn_wr_u8(out, item->body);
        pn_wr_str(out, item->reason);
        pn_wr_str(out, item->facts);
    }
    return !out->overflow;
}

bool pn_findings_get(struct pn_str bytes, struct pn_pool *pool, struct pn_findings *f)
{
    struct pn_rd r = pn_rd_of(bytes);
    unsigned bodies = 0;
    *f = (struct pn_findings){.id = pn_rd_u64(&r)};
    f->flags = pn_rd_u32(&r);
    f->count = pn_rd_count(&r, 19);
    if (!pn_rd_ok(&r) || (f->flags & ~(uint32_t)PN_FINDINGS_ALL) != 0 || f->count > PN_FINDINGS_MAX)
        return false;
    f->items = pn_pool_alloc(pool, f->count * sizeof *f->items);
    for (uint32_t i = 0; f->items != NULL && i < f->count; i++) {
        struct pn_finding *item = &f->items[i];
        item->step = pn_rd_u32(&r);
        item->plugin = pn_rd_u8(&r);
        item->status = pn_rd_u8(&r);
        item->us = pn_rd_u32(&r);
        uint8_t body = pn_rd_u8(&r);
        item->body = body == 1;
        item->reason = pn_rd_str(&r);
        item->facts = pn_rd_str(&r);
        bool later = i == 0 || item->step > item[-1].step ||
                     (item->step == item[-1].step && item->plugin > item[-1].plugin);
        bodies += body;
        if (!later || item->plugin >= 64 || item->status > 3 || body > 1 || bodies > 1)
            return false;
    }
    return f->items != NULL && pn_rd_done(&r);
}

/* ---- the small ones */

void pn_cancel_put(struct pn_buf *out, const struct pn_cancel *c)
{
    pn_wr_u8(out, c->what);
    pn_wr_u64(out, c->session);
    pn_wr_u64(out, c->request);
}

bool pn_cancel_get(struct pn_str body, struct pn_cancel *c)
{
    struct pn_rd r = pn_rd_of(body);
    c->what = pn_rd_u8(&r);
    c->session = pn_rd_u64(&r);
    c->request = pn_rd_u64(&r);
    return pn_rd_done(&r) && c->what < PN_CANCEL_COUNT;
}

void pn_page_tag_put(struct pn_buf *out, const struct pn_page_tag *tag)
{
    pn_wr_u32(out, tag->tag);
}

bool pn_page_tag_get(struct pn_str body, struct pn_page_tag *tag)
{
    struct pn_rd r = pn_rd_of(body);
    tag->tag = pn_rd_u32(&r);
    return pn_rd_done(&r);
}
