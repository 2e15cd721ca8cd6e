/* Held: a header that is good at some length is the same, however much stands behind
 * it, and every beginning of it wants more. */
#include "assert.h"
#include "proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_str bytes = {(const char *)data, size};
    struct pn_proxy whole, part;
    if (pn_proxy_parse(bytes, &whole) != PN_PROXY_OK)
        return 0;
    pn_assert(whole.len <= size && whole.len <= PN_PROXY_MAX);
    pn_assert(pn_proxy_parse(pn_str_slice(bytes, 0, whole.len), &part) == PN_PROXY_OK);
    pn_assert(part.local == whole.local && pn_ip_eq(&part.source, &whole.source));
    for (size_t n = 0; n < whole.len; n++)
        pn_assert(pn_proxy_parse(pn_str_slice(bytes, 0, n), &part) == PN_PROXY_MORE);
    return 0;
}
