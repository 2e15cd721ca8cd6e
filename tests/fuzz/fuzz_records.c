/*
 * Bodies of the records that roles send each other, but for those of handover.h and
 * request.h (fuzz_handover, fuzz_check_wire): the first byte chooses. What decodes encodes
 * to the same bytes, so that no two readings of one body are possible.
 */
#include "assert.h"
#include "command.h"
#include "control.h"
#include "dns.h"
#include "metrics.h"
#include "sasl.h"
#include "signing.h"
#include "state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TWICE(name, type)                                                                          \
    static void name(struct pn_str body, struct pn_buf *out)                                       \
    {                                                                                              \
        type it;                                                                                   \
        if (pn_##name##_get(body, &it)) {                                                          \
            pn_##name##_put(out, &it);                                                             \
            pn_assert(pn_str_eq(pn_buf_str(out), body));                                           \
        }                                                                                          \
    }

TWICE(start, struct pn_start)
TWICE(peer, struct pn_peer)
TWICE(listener, struct pn_listener)
TWICE(identity, struct pn_tls_identity)
TWICE(folder, struct pn_folder)
TWICE(worker, struct pn_worker)
TWICE(want_solo, struct pn_want_solo)
TWICE(command, struct pn_command)
TWICE(command_reply, struct pn_command_reply)
TWICE(sasl_begin, struct pn_sasl_begin)
TWICE(sasl_answer, struct pn_sasl_answer)
TWICE(sasl_said, struct pn_sasl_said)
TWICE(sign_pem, struct pn_sign_pem)
TWICE(sign_ask, struct pn_sign_ask)
TWICE(sign_answer, struct pn_sign_answer)

static void number(struct pn_str body, struct pn_buf *out)
{
    uint32_t n;
    if (pn_u32_get(body, &n)) {
        pn_u32_put(out, n);
        pn_assert(pn_str_eq(pn_buf_str(out), body));
    }
}

static void metrics(struct pn_str body, struct pn_buf *out)
{
    struct pn_metric_view views[PN_METRICS_MAX];
    size_t count;
    (void)out;
    if (!pn_metrics_get(body, views, &count))
        return;
    pn_assert(count <= PN_METRICS_MAX);
    for (size_t i = 0; i < count; i++) {
        /* They are printed as they are, a line each. */
        pn_assert(pn_str_find(views[i].name, '\n', 0) == SIZE_MAX && views[i].name.len != 0);
        pn_assert(pn_str_find(views[i].labels, '\n', 0) == SIZE_MAX);
    }
}

/* Several may stand in one record. */
static void dns_asks(struct pn_str body, struct pn_buf *out)
{
    struct pn_rd r = pn_rd_of(body);
    struct pn_dns_ask ask;
    while (!pn_rd_done(&r)) {
        const unsigned char *from = r.p;
        if (!pn_dns_ask_next(&r, &ask))
            return;
        pn_assert(r.p > from && pn_dns_name_ok(ask.name));
        pn_dns_ask_put(out, &ask);
    }
    pn_assert(pn_str_eq(pn_buf_str(out), body));
}

static void dns_answers(struct pn_str body, struct pn_buf *out)
{
    struct pn_rd r = pn_rd_of(body);
    struct pn_dns_record records[PN_DNS_RECORDS_MAX];
    struct pn_dns_answer a;
    uint64_t id;
    while (!pn_rd_done(&r)) {
        const unsigned char *from = r.p;
        if (!pn_dns_answer_next(&r, &id, &a, records))
            return;
        pn_assert(r.p > from && a.count <= PN_DNS_RECORDS_MAX);
        pn_dns_answer_put(out, id, &a);
    }
    pn_assert(pn_str_eq(pn_buf_str(out), body));
}

static void state_asks(struct pn_str body, struct pn_buf *out)
{
    struct pn_rd r = pn_rd_of(body);
    struct pn_state_ask ask;
    while (!pn_rd_done(&r)) {
        int64_t full_us = 0;
        uint32_t left;
        if (!pn_state_ask_next(&r, &ask))
            return;
        pn_state_ask_put(out, &ask);
        if (ask.take && pn_bucket_take(&full_us, ask.now_ms, &ask.bucket, &left))
            pn_assert(left <= ask.bucket.capacity && ask.bucket.cost <= ask.bucket.capacity);
    }
    pn_assert(pn_str_eq(pn_buf_str(out), body));
}

static void state_answers(struct pn_str body, struct pn_buf *out)
{
    struct pn_rd r = pn_rd_of(body);
    struct pn_state_answer answer;
    while (!pn_rd_done(&r)) {
        if (!pn_state_answer_next(&r, &answer))
            return;
        pn_assert(answer.status < PN_STATE_STATUSES && answer.value.len <= PN_STATE_VALUE_MAX);
        pn_state_answer_put(out, &answer);
    }
    pn_assert(pn_str_eq(pn_buf_str(out), body));
}

static void state_end(struct pn_str body, struct pn_buf *out)
{
    struct pn_rd r = pn_rd_of(body);
    struct pn_state_end end;
    struct pn_state_put put;
    if (!pn_state_end_get(&r, &end))
        return;
    pn_state_end_put(out, &end);
    for (uint32_t i = 0; i < end.count; i++) {
        if (!pn_state_put_next(&r, &put))
            return;
        pn_state_put_put(out, &put);
    }
    if (pn_rd_done(&r))
        pn_assert(pn_str_eq(pn_buf_str(out), body));
}

static void sign_keys(struct pn_str body, struct pn_buf *out)
{
    struct pn_rd r = pn_rd_of(body);
    struct pn_sign_keys keys;
    struct pn_sign_key key;
    if (!pn_sign_keys_get(&r, &keys))
        return;
    pn_sign_keys_put(out, &keys);
    for (uint32_t i = 0; i < keys.count; i++) {
        if (!pn_sign_key_next(&r, &key))
            return;
        /* They become parts of a header. */
        pn_assert(key.domain.len != 0 && pn_str_find(key.domain, ';', 0) == SIZE_MAX);
        pn_sign_key_put(out, &key);
    }
    if (pn_rd_done(&r))
        pn_assert(pn_str_eq(pn_buf_str(out), body));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const kinds[])(struct pn_str, struct pn_buf *) = {
        start,       peer,          listener,   identity,      folder,     worker,
        want_solo,   command,       number,     command_reply, metrics,    dns_asks,
        dns_answers, state_answers, state_asks, state_end,     sasl_begin, sasl_answer,
        sasl_said,   sign_pem,      sign_ask,   sign_answer,   sign_keys,
    };
    enum { KINDS = sizeof kinds / sizeof kinds[0] };
    struct pn_buf out;
    if (size == 0)
        return 0;
    pn_buf_init(&out, 1 << 20);
    kinds[data[0] % KINDS]((struct pn_str){(const char *)data + 1, size - 1}, &out);
    pn_buf_fini(&out);
    return 0;
}
