/* The first byte chooses the body; what decodes must encode to the same bytes, or, where an
 * older binary wrote it, to such as do. */
#include "assert.h"
#include "cut_record.h"
#include "handover.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void envelope(struct pn_str bytes, struct pn_pool *pool, struct pn_buf *out)
{
    struct pn_envelope env, again;
    if (!pn_envelope_get(bytes, pool, &env))
        return;
    bool whole = pn_envelope_put(out, &env);
    if (bytes.p[0] == PN_ENVELOPE_VERSION)
        pn_assert(whole && pn_str_eq(pn_buf_str(out), bytes));
    else if (whole)
        pn_assert(pn_envelope_get(pn_buf_str(out), pool, &again));
}

static void deliver(struct pn_str bytes, struct pn_pool *pool, struct pn_buf *out)
{
    struct pn_deliver d;
    if (pn_deliver_get(bytes, pool, &d)) {
        pn_assert(pn_deliver_put(out, &d));
        pn_assert(pn_str_eq(pn_buf_str(out), bytes));
    }
}

static void answers(struct pn_str bytes)
{
    struct pn_taken taken;
    struct pn_content_file file;
    struct pn_delivered delivered;
    struct pn_content_want want;
    uint64_t id;
    (void)pn_taken_get(bytes, &taken);
    (void)pn_content_file_get(bytes, &file);
    (void)pn_delivered_get(bytes, &delivered);
    (void)pn_content_want_get(bytes, &want);
    struct pn_verify verify;
    (void)pn_verify_get(bytes, &verify);
    struct pn_quota_ask quota;
    (void)pn_quota_ask_get(bytes, &quota);
    struct pn_cut_rcpt cut;
    struct pn_cut_drop drop;
    (void)pn_cut_rcpt_get(bytes, &cut);
    (void)pn_cut_drop_get(bytes, &drop);
    (void)pn_queue_id_parse(bytes, &id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct pn_str bytes = {(const char *)data + 1, size - 1};
    struct pn_pool *pool = pn_pool_new(8 * 1024 * 1024);
    struct pn_buf out;
    pn_buf_init(&out, PN_ENVELOPE_MAX);
    if (data[0] % 3 == 0)
        envelope(bytes, pool, &out);
    else if (data[0] % 3 == 1)
        deliver(bytes, pool, &out);
    else
        answers(bytes);
    pn_buf_fini(&out);
    pn_pool_free(&pool);
    return 0;
}
