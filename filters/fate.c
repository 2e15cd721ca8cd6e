/* What a message leaves in lasting state once its fate is known, as records for the state role. */
#include "runner_int.h"

#include "records.h"
#include "state.h"

#include <postern/plugin.h>

enum { RECORD_ROOM = PN_RECORD_MAX / 2 };

static uint64_t state_plugins(const struct pn_plan *plan)
{
    uint64_t mask = 0;
    for (unsigned i = 0; i < plan->count; i++)
        mask |= (uint64_t)((plan->plugins[i].needs & POSTERN_NEED_STATE) != 0) << i;
    return mask;
}

struct sender {
    const struct pn_check *check;
    pn_state_send *send;
    void *ctx;
    struct pn_buf body, puts;
    struct pn_state_end end;
};

static void flush(struct sender *s)
{
    pn_buf_clear(&s->body);
    pn_state_end_put(&s->body, &s->end);
    (void)pn_buf_adds(&s->body, pn_buf_str(&s->puts));
    s->send(s->ctx, pn_buf_str(&s->body));
    pn_buf_clear(&s->puts);
    s->end.count = 0;
}

static void add(struct sender *s, const struct pn_state_seen *seen)
{
    const struct pn_check *c = s->check;
    char text[PN_STATE_KEY_MAX];
    struct pn_buf key = {.p = text, .cap = sizeof text, .max = sizeof text};
    int64_t now = seen->session ? c->client.now_ms : c->mail.now_ms;
    if (!pn_buf_adds(&key, seen->plugin) || !pn_buf_addc(&key, '/') ||
        !pn_buf_adds(&key, seen->key) || seen->ttl_ms > (uint64_t)PN_STATE_TTL_MAX)
        return;
    pn_state_put_put(&s->puts, &(struct pn_state_put){.key = pn_buf_str(&key),
                                                      .value = seen->value,
                                                      .expires_ms = now + (int64_t)seen->ttl_ms});
    s->end.count++;
    if (s->puts.len > RECORD_ROOM || s->end.count == PN_STATE_PUTS_MAX)
        flush(s);
}

static bool is_due(const struct pn_check *c, const struct pn_state_seen *seen, enum pn_fate fate)
{
    bool when = seen->when == POSTERN_STATE_DECIDED ||
                (seen->when == POSTERN_STATE_TAKEN) == (fate == PN_FATE_TAKEN);
    int plugin = pn_plan_find(c->plan, seen->plugin);
    return seen->op == PN_STATE_PUT && when && plugin >= 0 &&
           ((c->failed | c->session_failed) >> plugin & 1) == 0 &&
           !(seen->session && c->session_kept);
}

/* A later step puts the same key again: its value counts. */
static bool is_last(const struct pn_check *c, size_t i, enum pn_fate fate)
{
    const struct pn_state_seen *a = &c->facts.state[i];
    for (size_t k = i + 1; k < c->facts.state_count; k++) {
        const struct pn_state_seen *b = &c->facts.state[k];
        if (c->facts.state_hashes[i] == c->facts.state_hashes[k] && pn_str_eq(a->key, b->key) &&
            pn_str_eq(a->plugin, b->plugin) && is_due(c, b, fate))
            return false;
    }
    return true;
}

static void keep(struct pn_check *c, enum pn_fate fate, struct sender *s)
{
    for (size_t i = 0; i < c->facts.state_count; i++)
        if (is_due(c, &c->facts.state[i], fate) && is_last(c, i, fate))
            add(s, &c->facts.state[i]);
    if (s->end.count != 0)
        flush(s);
    c->session_kept = true;
}

void pn_check_fate(struct pn_check *c, enum pn_fate fate, pn_state_send *send, void *ctx)
{
    struct sender s = {.check = c, .send = send, .ctx = ctx};
    bool message = c->in_transaction;
    if (state_plugins(c->plan) == 0 || (!message && (c->session_kept || fate != PN_FATE_DROPPED)))
        return;
    s.end = (struct pn_state_end){.owner = message ? c->mail.seed : c->client.seed,
                                  .keep = fate != PN_FATE_DROPPED,
                                  .now_ms = message ? c->mail.now_ms : c->client.now_ms};
    pn_buf_init(&s.body, PN_RECORD_MAX);
    pn_buf_init(&s.puts, PN_RECORD_MAX);
    if (fate != PN_FATE_DROPPED)
        keep(c, fate, &s);
    else if (c->asked_count != 0) /* somebody may have taken something */
        flush(&s);
    pn_buf_fini(&s.body);
    pn_buf_fini(&s.puts);
}
