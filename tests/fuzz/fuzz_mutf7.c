/*
 * The input as modified UTF-7 and as UTF-8: what goes one way comes back the same, so every name
 * has one form.
 */
#include "assert.h"
#include "mutf7.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_str in = {(const char *)data, size};
    struct pn_buf there, back;
    pn_buf_init(&there, 4 * size + 2);
    pn_buf_init(&back, 4 * size + 2);
    if (pn_mutf7_decode(in, &there)) {
        pn_assert(pn_utf8_valid(pn_buf_str(&there)));
        pn_assert(pn_mutf7_encode(pn_buf_str(&there), &back));
        pn_assert(pn_str_eq(pn_buf_str(&back), in));
    } else {
        pn_assert(there.len == 0);
    }
    pn_buf_clear(&there);
    pn_buf_clear(&back);
    if (pn_mutf7_encode(in, &there)) {
        for (size_t i = 0; i < there.len; i++)
            pn_assert(there.p[i] >= 0x20 && there.p[i] <= 0x7e);
        pn_assert(pn_mutf7_decode(pn_buf_str(&there), &back));
        pn_assert(pn_str_eq(pn_buf_str(&back), in));
    } else {
        pn_assert(there.len == 0);
    }
    pn_buf_fini(&there);
    pn_buf_fini(&back);
    return 0;
}
