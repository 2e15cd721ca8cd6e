/*
 * The input as a header: its envelope keeps IMAP's grammar (a reader of its own says so), is
 * bounded by the input, says the same for LF and CRLF, and a smaller buffer gets nothing.
 */
#include "assert.h"
#include "envelope.h"
#include "imap_grammar.h"
#include "lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer(struct pn_str content, struct pn_buf *out)
{
    struct pn_message *m = pn_message_new(content, NULL);
    size_t at = 0;
    pn_assert(pn_envelope(m, NULL, out));
    pn_assert(grammar_envelope(pn_buf_str(out), &at) == NULL);
    pn_message_free(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_str in = {(const char *)data, size};
    struct pn_buf crlf, a, b;
    struct pn_lines lines;
    pn_buf_init(&crlf, 2 * size + 1);
    pn_buf_init(&a, PN_ENVELOPE_MAX);
    pn_lines_init(&lines, PN_LINES_TO_CRLF);
    pn_assert(pn_lines_feed(&lines, in, &crlf));
    answer(in, &a);
    pn_assert(a.len <= 100 + 60 * size);
    pn_buf_init(&b, a.len);
    answer(pn_buf_str(&crlf), &b);
    pn_assert(pn_str_eq(pn_buf_str(&a), pn_buf_str(&b)));
    pn_buf_fini(&b);
    pn_buf_init(&b, size == 0 ? 1 : data[0] % a.len);
    struct pn_message *m = pn_message_new(in, NULL);
    pn_assert(!pn_envelope(m, NULL, &b) && b.len == 0);
    pn_message_free(&m);
    pn_buf_fini(&crlf);
    pn_buf_fini(&a);
    pn_buf_fini(&b);
    return 0;
}
