#include "answer.h"

#include "assert.h"
#include "clock.h"
#include "command.h"
#include "dsn_param.h"
#include "frozen.h"
#include "mem.h"

#include <stdlib.h>

void answer_begin(struct answer *a)
{
    pn_buf_clear(&a->line);
    a->j = pn_json_to(&a->line);
    pn_json_object(&a->j, NULL);
}

bool answer_send(struct answer *a, bool last, int fd)
{
    struct pn_buf b;
    pn_json_object_end(&a->j);
    pn_buf_init(&b, PN_RECORD_MAX);
    pn_command_reply_put(&b, &(struct pn_command_reply){a->token, last, pn_buf_str(&a->line)});
    bool sent = !b.overflow && pn_admin_link_send(a->q->admin, PN_REC_COMMAND_REPLY, pn_buf_str(&b),
                                                  &fd, fd >= 0 ? 1 : 0);
    pn_buf_fini(&b);
    return sent;
}

void answer_finish(struct answer *a, const char *error)
{
    answer_begin(a);
    pn_json_bool(&a->j, "ok", error == NULL);
    if (error != NULL)
        pn_json_str(&a->j, "error", pn_str_of(error));
    (void)answer_send(a, true, -1);
}

void answer_outcome(struct answer *a, struct pn_str id, const char *key, const char *did,
                    const char *error)
{
    answer_begin(a);
    pn_json_str(&a->j, "id", id);
    if (error == NULL)
        pn_json_str(&a->j, key, pn_str_of(did));
    else
        pn_json_str(&a->j, "error", pn_str_of(error));
    (void)answer_send(a, false, -1);
}

void answer_time(struct answer *a, const char *key, int64_t ms)
{
    struct pn_buf b;
    pn_buf_init(&b, 64);
    pn_clock_rfc3339(&b, ms);
    pn_json_str(&a->j, key, pn_buf_str(&b));
    pn_buf_fini(&b);
}

/* What the client asked of reports, as it wrote it (RFC 3461). */
static void put_dsn(struct answer *a, const struct pn_recipient *to)
{
    struct pn_buf b;
    pn_buf_init(&b, 2 * PN_ENVELOPE_TEXT_MAX);
    pn_smtp_notify_put(&b, to->notify);
    if (b.len > 0)
        pn_json_str(&a->j, "notify", pn_buf_str(&b));
    if (to->orcpt.len > 0)
        pn_json_str(&a->j, "orcpt", to->orcpt);
    if (to->given.len > 0)
        pn_json_str(&a->j, "given", to->given);
    pn_buf_fini(&b);
}

void answer_message(struct answer *a, struct pn_str id, const struct pn_envelope *env)
{
    pn_json_str(&a->j, "id", id);
    answer_time(a, "arrived", env->arrived_ms);
    pn_json_i64(&a->j, "size", (int64_t)env->size);
    pn_json_str(&a->j, "from", env->reverse_path);
    pn_json_str(&a->j, "client", env->client);
    pn_json_str(&a->j, "helo", env->helo);
    if (env->submitter.len != 0)
        pn_json_str(&a->j, "user", env->submitter);
    pn_json_i64(&a->j, "recipients", env->recipient_count);
    if (env->ret != 0)
        pn_json_str(&a->j, "ret", pn_str_of(pn_smtp_ret_name(env->ret)));
    if (env->envid.len > 0)
        pn_json_str(&a->j, "envid", env->envid);
}

void answer_recipient(struct answer *a, const struct pn_recipient *to, const struct rcpt *r)
{
    static const char *const states[RCPT_STATE_COUNT] = {
        [RCPT_WAITING] = "waiting",
        [RCPT_UNDER_WAY] = "under way",
        [RCPT_DELIVERED] = "delivered",
        [RCPT_FAILED] = "failed",
        [RCPT_HELD] = "held",
        [RCPT_DROPPED] = "dropped",
        [RCPT_FAILING] = "failing",
        [RCPT_KEPT_BACK] = "kept back",
        [RCPT_REPORTING] = "delivered, a report is due",
        [RCPT_RELAYING] = "relayed, a report is due"};
    pn_json_str(&a->j, "address", to->address);
    pn_json_str(&a->j, "next_hop", to->via == PN_VIA_LOCAL ? to->user : to->next_hop);
    if (to->by.len != 0)
        pn_json_str(&a->j, "by", to->by);
    if (to->from.len != 0)
        pn_json_str(&a->j, "mail_from", to->from);
    put_dsn(a, to);
    if (r == NULL)
        return;
    if (r->warned)
        pn_json_bool(&a->j, "warned", true);
    pn_json_str(&a->j, "state", pn_str_of(states[r->state]));
    pn_json_i64(&a->j, "tries", r->tries);
    if (r->state == RCPT_WAITING && frozen_holds(a->q->frozen, to->address))
        pn_json_bool(&a->j, "frozen", true);
    else if (r->state == RCPT_WAITING && r->due_ms > 0)
        answer_time(a, "next", r->due_ms);
    pn_json_str(&a->j, "reply", pn_str_of(r->reply));
}

void answer_list_end(struct answer *a, size_t count, size_t shown)
{
    answer_begin(a);
    pn_json_bool(&a->j, "ok", true);
    pn_json_i64(&a->j, "count", (int64_t)count);
    pn_json_i64(&a->j, "shown", (int64_t)shown);
    (void)answer_send(a, true, -1);
}
