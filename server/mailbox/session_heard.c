/*
 * Has the client what was said? An engine may want to know before it goes on (PN_ENGINE_HEARD). Of
 * a client's own socket the kernel knows; one that edge relays, edge is asked about. A client that
 * does not read is looked at again, less and less often.
 */
#include "clock.h"
#include "mailbox_int.h"

enum { LOOK_MS = 5, LOOK_MAX_MS = 500, ANSWER_MS = 1000 };

static void on_look(void *ctx)
{
    struct visit *v = ctx;
    if (v->hearing && v->state == VISIT_SENDING && v->stream != NULL)
        visit_listen(v);
}

static void look_in(struct visit *v, unsigned ms)
{
    if (v->timer == NULL)
        v->timer = pn_timer_new(v->mailbox->loop, on_look, v);
    pn_timer_set(v->timer, ms);
}

static void give_up(struct visit *v, const char *why)
{
    pn_stream_free(&v->stream);
    visit_finish(v, why);
}

/* So much of it is not there yet. */
static void judge(struct visit *v, uint64_t left)
{
    if (left == UINT64_MAX) {
        give_up(v, "closed");
        return;
    }
    if (left == 0) {
        v->hearing = false;
        visit_run(v, true);
        return;
    }
    if (left < v->unheard)
        v->moved_ns = pn_loop_now(v->mailbox->loop);
    v->unheard = left;
    look_in(v, v->look_ms);
    v->look_ms = 2 * v->look_ms < LOOK_MAX_MS ? 2 * v->look_ms : LOOK_MAX_MS;
}

static void ask(struct visit *v)
{
    const struct pn_session_left left = {v->id, ++v->asked, 0};
    struct pn_buf b;
    pn_buf_init(&b, 64);
    pn_session_left_put(&b, &left);
    bool asked = peer_send(v->relay, PN_REC_SESSION_ASK, pn_buf_str(&b));
    pn_buf_fini(&b);
    look_in(v, asked ? ANSWER_MS : LOOK_MAX_MS); /* again, if no answer comes */
}

void visit_listen(struct visit *v)
{
    if (pn_stream_pending(v->stream) != 0)
        return; /* its end is told, and has a time of its own */
    if (pn_loop_now(v->mailbox->loop) - v->moved_ns > VISIT_SEND_MS * (uint64_t)PN_NS_PER_MS) {
        give_up(v, "slow");
        return;
    }
    if (v->relay != NULL) {
        ask(v);
        return;
    }
    size_t left = pn_stream_unheard(v->stream);
    judge(v, left == SIZE_MAX ? UINT64_MAX : left);
}

void visit_listen_begin(struct visit *v)
{
    v->hearing = true;
    v->unheard = UINT64_MAX;
    v->moved_ns = pn_loop_now(v->mailbox->loop);
    v->look_ms = LOOK_MS;
    visit_listen(v);
}

bool sessions_left_said(struct peer *peer, struct pn_str body)
{
    struct pn_session_left left;
    if (!pn_session_left_get(body, &left))
        return false;
    struct visit *v = peer->mailbox->visits;
    while (v != NULL && !(v->hearing && v->relay == peer && v->id == left.id))
        v = v->next;
    if (v != NULL && v->asked == left.serial && v->state == VISIT_SENDING && v->stream != NULL &&
        pn_stream_pending(v->stream) == 0)
        judge(v, left.bytes);
    return true;
}
