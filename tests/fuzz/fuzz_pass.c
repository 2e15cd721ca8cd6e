/* Records of logins (the first byte chooses): what decodes encodes to the same bytes. And what a
 * client sends compressed: unpacked in pieces, never more at a time than there is room for. */
#include "assert.h"
#include "deflate.h"
#include "pass.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 300, STEPS = 200 };

static void records(unsigned which, struct pn_str bytes, struct pn_buf *out)
{
    struct pn_pass pass;
    struct pn_pass_known known;
    struct pn_session session;
    struct pn_session_taken taken;
    struct pn_session_left left;
    bool got = false;
    if (which == 0 && (got = pn_pass_get(bytes, &pass)))
        pn_pass_put(out, &pass);
    else if (which == 1 && (got = pn_pass_known_get(bytes, &known)))
        pn_pass_known_put(out, &known);
    else if (which == 2 && (got = pn_session_get(bytes, &session)))
        pn_session_put(out, &session);
    else if (which == 3 && (got = pn_session_taken_get(bytes, &taken)))
        pn_session_taken_put(out, &taken);
    else if (which == 5 && (got = pn_session_left_get(bytes, &left)))
        pn_session_left_put(out, &left);
    pn_assert(!got || pn_str_eq(pn_buf_str(out), bytes));
}

static void packed(struct pn_str bytes, struct pn_buf *out)
{
    struct deflate *d = deflate_new();
    pn_assert(d != NULL);
    for (int i = 0; i < STEPS; i++) {
        size_t before = bytes.len;
        pn_buf_clear(out);
        if (!deflate_unpack(d, &bytes, out, ROOM))
            break;
        pn_assert(out->len <= ROOM && bytes.len <= before);
        if (bytes.len == 0 && !deflate_holds(d))
            break;
    }
    deflate_free(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_buf out;
    if (size == 0)
        return 0;
    struct pn_str bytes = {(const char *)data + 1, size - 1};
    pn_buf_init(&out, 1024 * 1024);
    if (data[0] % 6 == 4)
        packed(bytes, &out);
    else
        records(data[0] % 6, bytes, &out);
    pn_buf_fini(&out);
    return 0;
}
