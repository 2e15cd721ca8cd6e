/*
 * `recipients verify`: an edge asks whether the next hop would take a recipient. The answer
 * of MAIL FROM:<> and RCPT there is remembered: a yes for queue.verify-cache, a no for a
 * tenth of it; what is not known (4yz, no connection) is asked again.
 *
 * The memory is a table of fixed size in which a later answer takes an earlier one's
 * place, so that a stranger who tries addresses can't make it grow.
 */
#include "hop.h"

#include "clock.h"
#include "cut.h"
#include "log.h"
#include "mem.h"

#include <stdlib.h>
#include <sys/random.h>

enum { ANSWERS = 16 * 1024, NO_SHARE = 10 };

struct verify_answer {
    char *key; /* owned; NULL: free */
    size_t key_len;
    uint64_t until_ns;
    uint16_t code;
    char *text; /* owned */
};

void verify_init(struct queue *q)
{
    q->answers = pn_calloc(ANSWERS, sizeof *q->answers);
    if (getrandom(&q->answers_seed, sizeof q->answers_seed, 0) < 0)
        q->answers_seed = pn_clock_mono_ns();
}

static void key_of(struct pn_buf *key, uint8_t via, struct pn_str next_hop, struct pn_str address)
{
    (void)pn_buf_addc(key, (char)via);
    (void)pn_buf_adds(key, next_hop);
    (void)pn_buf_addc(key, '\n'); /* in neither of them */
    (void)pn_buf_adds(key, address);
}

static struct verify_answer *slot_of(struct queue *q, struct pn_str key)
{
    return &q->answers[pn_str_hash(key, q->answers_seed, false) % ANSWERS];
}

static const struct verify_answer *known(struct queue *q, struct pn_str key)
{
    const struct verify_answer *a = slot_of(q, key);
    bool its = a->key != NULL && pn_str_eq((struct pn_str){a->key, a->key_len}, key);
    return its && a->until_ns > pn_clock_mono_ns() ? a : NULL;
}

static void learn(struct queue *q, struct pn_str key, uint16_t code, struct pn_str text)
{
    struct verify_answer *a = slot_of(q, key);
    uint64_t ms = q->settings.verify_ms / (code >= 500 ? NO_SHARE : 1);
    free(a->key);
    free(a->text);
    *a = (struct verify_answer){.key = pn_strndup(key.p, key.len),
                                .key_len = key.len,
                                .until_ns = pn_clock_mono_ns() + ms * PN_NS_PER_MS,
                                .code = code,
                                .text = pn_strndup(text.p, text.len)};
}

void probe_settle(struct probe *p, bool of_rcpt, uint16_t code, struct pn_str text)
{
    struct hop *hop = p->hop;
    struct edge_peer *peer = p->peer;
    struct pn_buf key;
    if (peer == NULL) {
        if (p->cut != NULL)
            cut_unopened(p->cut);
        free(p);
        return;
    }
    if (code >= 500 && !of_rcpt) { /* it is not the recipient that was refused */
        code = 451;
        text = PN_STR("4.4.0 The next hop can't be asked");
    }
    pn_buf_init(&key, 2 * PN_ENVELOPE_TEXT_MAX + 2);
    key_of(&key, hop->via, pn_str_of(hop->name), pn_str_of(p->address));
    if (code / 100 == 2 || code / 100 == 5)
        learn(hop->queue, pn_buf_str(&key), code, text);
    pn_buf_fini(&key);
    take_peer_answer(peer, PN_REC_VERIFIED, p->token, code, text);
    free(p->address);
    free(p);
    take_peer_release(peer);
}

bool verify_ask(struct edge_peer *peer, struct pn_str body)
{
    struct queue *q = peer->queue;
    struct pn_verify v;
    struct pn_buf key;
    if (!pn_verify_get(body, &v))
        return false;
    pn_buf_init(&key, 2 * PN_ENVELOPE_TEXT_MAX + 2);
    key_of(&key, v.via, v.next_hop, v.address);
    const struct verify_answer *a = known(q, pn_buf_str(&key));
    pn_buf_fini(&key);
    if (a != NULL) {
        take_peer_answer(peer, PN_REC_VERIFIED, v.token, a->code, pn_str_of(a->text));
        return true;
    }
    struct probe *p = pn_calloc(1, sizeof *p);
    *p = (struct probe){
        .peer = peer, .token = v.token, .address = pn_strndup(v.address.p, v.address.len)};
    peer->takes++;
    hop_probe(q, v.via, v.next_hop, v.address, p);
    return true;
}
