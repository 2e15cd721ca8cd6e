/* What decodes must encode to bytes that decode to the same; whatever it is, it ends. */
#include "assert.h"
#include "facts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_pool *pool = pn_pool_new(4 * 1024 * 1024);
    struct pn_buf once, twice;
    struct pn_facts first, second;
    struct pn_rd r = pn_rd_of((struct pn_str){(const char *)data, size});
    pn_buf_init(&once, SIZE_MAX);
    pn_buf_init(&twice, SIZE_MAX);
    pn_facts_init(&first, pool);
    pn_facts_init(&second, pool);
    if (pn_facts_get(&r, &first) && pn_pool_used(pool) < 1024 * 1024) {
        pn_facts_put(&once, &first);
        r = pn_rd_of(pn_buf_str(&once));
        pn_assert(pn_facts_get(&r, &second));
        pn_assert(pn_rd_done(&r));
        pn_facts_put(&twice, &second);
        pn_assert(pn_str_eq(pn_buf_str(&once), pn_buf_str(&twice)));
    }
    pn_buf_fini(&once);
    pn_buf_fini(&twice);
    pn_pool_free(&pool);
    return 0;
}
