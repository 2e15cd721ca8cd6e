/*
 * suppress list, suppress remove ADDRESS...: recipients that are not asked for (suppress.h).
 *
 * list answers {"recipient":...,"until":...,"reply":...} for each, then the count; remove answers a
 * line for each address, {"recipient":...,"did":"removed"} or why not, then
 * {"ok":...,"did":"removed","done":N,"failed":M}.
 */
#include "command_suppress.h"

#include "answer.h"
#include "clock.h"

#include <string.h>

void suppress_init(struct queue *q)
{
    q->suppress = suppress_new(q->loop, q->threads, q->folder);
}

/* Only of strangers: of our own domains we learn otherwise, and a new mailbox is not to wait. */
static bool is_stranger(const struct pn_recipient *to)
{
    return to->via == PN_VIA_MX;
}

void suppress_note(struct queue *q, const struct pn_recipient *to,
                   const struct pn_smtp_reply *reply)
{
    struct pn_buf b;
    if (q->settings.suppress_ms == 0 || !is_stranger(to) || !suppress_is_hard(reply))
        return;
    pn_buf_init(&b, 2000);
    pn_smtp_reply_print(&b, reply);
    suppress_add(q->suppress, to->address, pn_buf_str(&b),
                 pn_clock_wall_ms() + (int64_t)q->settings.suppress_ms);
    pn_buf_fini(&b);
}

bool suppress_holds(struct queue *q, const struct pn_recipient *to, struct pn_buf *text)
{
    struct suppressed one;
    if (q->settings.suppress_ms == 0 || !is_stranger(to) ||
        !suppress_find(q->suppress, to->address, pn_clock_wall_ms(), &one))
        return false;
    (void)pn_buf_addz(text, "5.1.1 Not asked again until ");
    pn_clock_rfc3339(text, one.until_ms);
    (void)pn_buf_addf(text, "; its server said: %.*s", PN_FMT(one.reply));
    return true;
}

/* ---- commands ---- */

struct listing {
    struct answer *a;
    int64_t now_ms;
    size_t count, shown;
};

static void list_one(void *ctx, const struct suppressed *one)
{
    struct listing *l = ctx;
    if (one->until_ms <= l->now_ms)
        return;
    l->count++;
    answer_begin(l->a);
    pn_json_str(&l->a->j, "recipient", one->address);
    answer_time(l->a, "until", one->until_ms);
    pn_json_str(&l->a->j, "reply", one->reply);
    l->shown += answer_send(l->a, false, -1);
}

static void list(struct answer *a)
{
    struct listing l = {.a = a, .now_ms = pn_clock_wall_ms()};
    suppress_each(a->q->suppress, list_one, &l);
    answer_list_end(a, l.count, l.shown);
}

static void remove_all(struct answer *a, const struct pn_command *c)
{
    uint32_t done = 0, asked = c->count - 2;
    for (uint32_t i = 2; i < c->count; i++) {
        bool was = suppress_remove(a->q->suppress, c->words[i]);
        answer_begin(a);
        pn_json_str(&a->j, "recipient", c->words[i]);
        pn_json_str(&a->j, was ? "did" : "error",
                    was ? PN_STR("removed") : PN_STR("it is not suppressed"));
        (void)answer_send(a, false, -1);
        done += was;
    }
    answer_begin(a);
    pn_json_bool(&a->j, "ok", done == asked);
    if (done < asked)
        pn_json_str(&a->j, "error", PN_STR("not all of it could be done"));
    pn_json_str(&a->j, "did", PN_STR("removed"));
    pn_json_i64(&a->j, "done", done);
    pn_json_i64(&a->j, "failed", asked - done);
    (void)answer_send(a, true, -1);
}

bool suppress_command(struct queue *q, const struct pn_command *c)
{
    if (!pn_str_eq(c->words[0], PN_STR("suppress")))
        return false;
    bool lists = c->count == 2 && pn_str_eq(c->words[1], PN_STR("list"));
    bool removes = c->count > 2 && pn_str_eq(c->words[1], PN_STR("remove"));
    struct answer a = {.q = q, .token = c->token};
    pn_buf_init(&a.line, ANSWER_LINE_MAX);
    if (lists)
        list(&a);
    else if (removes)
        remove_all(&a, c);
    else
        answer_finish(&a, "suppress expects list, or remove and addresses");
    pn_buf_fini(&a.line);
    return true;
}
