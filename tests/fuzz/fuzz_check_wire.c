/* What runner and worker say to each other: the first byte picks which. What decodes
 * encodes to bytes that decode to the same; whatever it is, it ends. */
#include "assert.h"
#include "request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void request(struct pn_str bytes, struct pn_pool *pool, struct pn_buf *out)
{
    struct pn_request q;
    if (pn_request_get(bytes, pool, &q))
        pn_assert(pn_request_put(out, &q) && pn_str_eq(pn_buf_str(out), bytes));
}

static void findings(struct pn_str bytes, struct pn_pool *pool, struct pn_buf *out)
{
    struct pn_findings f;
    if (pn_findings_get(bytes, pool, &f))
        pn_assert(pn_findings_put(out, &f) && pn_str_eq(pn_buf_str(out), bytes));
}

static void small(struct pn_str bytes, struct pn_buf *out)
{
    struct pn_cancel c;
    struct pn_page_tag tag;
    if (pn_cancel_get(bytes, &c)) {
        pn_cancel_put(out, &c);
        pn_assert(pn_str_eq(pn_buf_str(out), bytes));
    } else if (pn_page_tag_get(bytes, &tag)) {
        pn_page_tag_put(out, &tag);
        pn_assert(pn_str_eq(pn_buf_str(out), bytes));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct pn_str bytes = {(const char *)data + 1, size - 1};
    struct pn_pool *pool = pn_pool_new(4 * 1024 * 1024);
    struct pn_buf out;
    pn_buf_init(&out, PN_REQUEST_BYTES_MAX);
    if (data[0] % 3 == 0)
        request(bytes, pool, &out);
    else if (data[0] % 3 == 1)
        findings(bytes, pool, &out);
    else
        small(bytes, &out);
    pn_buf_fini(&out);
    pn_pool_free(&pool);
    return 0;
}
