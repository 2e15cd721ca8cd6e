/* What a Redis server sends: however it is cut, the same replies, none larger than a value. */
#include "state_resp.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
    uint64_t hash;
    size_t count;
    bool bad;
};

static void take(struct resp *r, struct sum *s)
{
    struct resp_reply reply;
    int got;
    while ((got = resp_next(r, &reply)) > 0) {
        if (reply.text.len > RESP_TEXT_MAX || reply.type > RESP_NONE)
            abort();
        s->hash = pn_str_hash(reply.text, s->hash + (uint64_t)reply.number + reply.type, false);
        s->count++;
    }
    s->bad = s->bad || got < 0;
}

/* cut: bytes at a time; 0: all. */
static struct sum play(struct pn_str all, size_t cut)
{
    struct sum s = {0, 0, false};
    struct resp *r = resp_new();
    for (size_t at = 0; at < all.len && !s.bad; at += cut == 0 ? all.len : cut) {
        if (!resp_feed(r,
                       pn_str_slice(all, at, cut == 0 || at + cut > all.len ? all.len : at + cut)))
            abort();
        take(r, &s);
    }
    resp_free(&r);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_str all = {(const char *)data, size};
    if (size == 0)
        return 0;
    struct sum whole = play(all, 0), cut = play(pn_str_slice(all, 1, size), 1 + data[0] % 7);
    struct sum rest = play(pn_str_slice(all, 1, size), 0);
    if (whole.count > size || rest.count != cut.count || rest.hash != cut.hash)
        abort();
    return 0;
}
