/*
 * A message, as it is and, where it is an internationalized one, downgraded: no header of the
 * surrogate is beyond ASCII, it is not much longer, has no more parts, and all behind the headers
 * is as it was.
 */
#include "assert.h"
#include "downgrade.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct pn_message *m, struct pn_str surrogate)
{
    struct pn_str content = pn_message_content(m);
    struct pn_message *other = pn_message_new(surrogate, NULL);
    pn_assert(surrogate.len <= content.len + PN_DOWNGRADE_MORE);
    pn_message_mime(other);
    for (size_t i = 0; i < pn_message_parts(other); i++)
        pn_assert(pn_str_is_ascii(pn_part_header(other, pn_message_part(other, i))));
    pn_assert(pn_message_parts(other) <= pn_message_parts(m));
    const struct pn_part *last = pn_message_part(m, pn_message_parts(m) - 1);
    pn_assert(pn_str_ends(surrogate, pn_str_slice(content, last->body, content.len)));
    pn_message_free(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_buf out;
    struct pn_message *m = pn_message_new((struct pn_str){(const char *)data, size}, NULL);
    if (pn_is_international(m)) {
        pn_downgrade(m, &out);
        check(m, pn_buf_str(&out));
        pn_buf_fini(&out);
    }
    pn_message_free(&m);
    return 0;
}
