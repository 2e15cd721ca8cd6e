/* PN_REC_QUOTA_ASK: an edge asks, at RCPT, whether a user has room. To count what he has may take
 * the disk a while, so it is done on a thread. */
#include "check.h"
#include "handover.h"
#include "log.h"
#include "mailbox_int.h"
#include "mem.h"

#include <stdlib.h>

enum { UNDER_WAY_MAX = 512 };

struct ask {
    struct pn_job job; /* first */
    struct peer *peer;
    struct pn_quota_ask what; /* user: borrowed from body */
    struct pn_buf body;
    uint16_t code;
};

static void say(struct peer *peer, uint64_t token, uint16_t code)
{
    struct pn_buf b;
    const struct pn_delivered said = {token, {code, PN_STR("")}};
    if (peer->channel == NULL)
        return;
    pn_buf_init(&b, 256);
    pn_delivered_put(&b, &said);
    if (!pn_channel_send(peer->channel, PN_REC_QUOTA_SAID, pn_buf_str(&b), NULL, 0))
        pn_warn("an answer could not be sent");
    pn_buf_fini(&b);
}

/* Who has no mailbox yet gets none by being asked for: strangers ask. */
static void ask_run(struct pn_job *job)
{
    struct ask *ask = (struct ask *)job;
    struct mailbox *mb = ask->peer->mailbox;
    struct pn_store *store = mb->store;
    enum pn_store_status status = PN_STORE_OK;
    struct pn_buf why;
    pn_buf_init(&why, 500);
    struct pn_user *user = pn_store_has_user(store, ask->what.user)
                               ? pn_user_open(store, ask->what.user, &status, &why)
                               : NULL;
    if (user != NULL) {
        status = pn_user_room(user, ask->what.bytes == 0 ? 1 : ask->what.bytes);
        pn_user_close(&user);
    }
    ask->code = status == PN_STORE_OK                      ? 250
                : status != PN_STORE_QUOTA                 ? 451
                : mailbox_full_rejects(mb, ask->what.user) ? 552
                                                           : 452;
    pn_buf_fini(&why);
}

static void ask_done(struct pn_job *job)
{
    struct ask *ask = (struct ask *)job;
    struct mailbox *mb = ask->peer->mailbox;
    say(ask->peer, ask->what.token, ask->code);
    mailbox_tell_quotas(mb);
    mailbox_peer_done(ask->peer);
    pn_buf_fini(&ask->body);
    free(ask);
    mailbox_stop_if_idle(mb);
}

void mailbox_tell_quotas(struct mailbox *mb)
{
    if (!pn_store_has_quotas(mb->store))
        return;
    for (struct peer *peer = mb->peers; peer != NULL; peer = peer->next)
        if (peer->role == PN_ROLE_EDGE && peer->channel != NULL && !peer->quotas_told)
            peer->quotas_told =
                pn_channel_send(peer->channel, PN_REC_HAS_QUOTAS, PN_STR(""), NULL, 0);
}

bool mailbox_quota_ask(struct peer *peer, struct pn_str body)
{
    struct mailbox *mb = peer->mailbox;
    struct ask *ask = pn_calloc(1, sizeof *ask);
    *ask = (struct ask){.job = {.run = ask_run, .done = ask_done}, .peer = peer};
    pn_buf_init(&ask->body, PN_RECORD_MAX);
    (void)pn_buf_adds(&ask->body, body);
    bool ok = pn_quota_ask_get(pn_buf_str(&ask->body), &ask->what);
    bool busy = ok && (!sole_alone(mb) || pn_threads_busy(mb->threads) >= UNDER_WAY_MAX);
    if (busy)
        say(peer, ask->what.token, 451);
    if (!ok || busy) {
        pn_buf_fini(&ask->body);
        free(ask);
        return ok;
    }
    peer->jobs++;
    pn_threads_submit(mb->threads, &ask->job);
    return true;
}
