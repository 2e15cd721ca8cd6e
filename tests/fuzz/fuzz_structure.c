/*
 * The input as a message: its envelope and structures keep IMAP's grammar (a reader of its own
 * says so), LF and CRLF content say the same, BODY is what is cut from BODYSTRUCTURE. And the
 * input as a cached BODYSTRUCTURE that was damaged: cut or refused, never more.
 */
#include "assert.h"
#include "envelope.h"
#include "imap_grammar.h"
#include "lines.h"
#include "structure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct answers {
    struct pn_buf envelope, extensible, plain;
};

static void answer(struct pn_str content, struct answers *a)
{
    struct pn_message *m = pn_message_new(content, NULL);
    size_t at = 0;
    pn_buf_init(&a->envelope, PN_ENVELOPE_MAX);
    pn_buf_init(&a->extensible, PN_STRUCTURE_MAX);
    pn_buf_init(&a->plain, PN_STRUCTURE_MAX);
    pn_assert(pn_envelope(m, NULL, &a->envelope));
    pn_assert(pn_structure(m, true, &a->extensible));
    pn_assert(pn_structure(m, false, &a->plain));
    pn_assert(grammar_envelope(pn_buf_str(&a->envelope), &at) == NULL);
    pn_assert(grammar_body(pn_buf_str(&a->extensible), true, &at) == NULL);
    pn_assert(grammar_body(pn_buf_str(&a->plain), false, &at) == NULL);
    pn_message_free(&m);
}

static void forget(struct answers *a)
{
    pn_buf_fini(&a->envelope);
    pn_buf_fini(&a->extensible);
    pn_buf_fini(&a->plain);
}

static void same(const struct pn_buf *a, const struct pn_buf *b)
{
    pn_assert(pn_str_eq(pn_buf_str(a), pn_buf_str(b)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_str in = {(const char *)data, size};
    struct answers a, b;
    struct pn_lines lines;
    struct pn_buf crlf, cut;
    pn_buf_init(&crlf, 2 * size + 1);
    pn_buf_init(&cut, PN_STRUCTURE_MAX);
    pn_lines_init(&lines, PN_LINES_TO_CRLF);
    pn_assert(pn_lines_feed(&lines, in, &crlf));
    answer(in, &a);
    answer(pn_buf_str(&crlf), &b);
    same(&a.envelope, &b.envelope);
    same(&a.extensible, &b.extensible);
    same(&a.plain, &b.plain);
    pn_assert(pn_structure_cut(pn_buf_str(&a.extensible), &cut));
    if (a.extensible.len < PN_STRUCTURE_FULL)
        same(&cut, &a.plain);
    pn_buf_clear(&cut);
    if (!pn_structure_cut(in, &cut))
        pn_assert(cut.len == 0);
    else
        pn_assert(cut.len <= size);
    pn_buf_fini(&crlf);
    pn_buf_fini(&cut);
    forget(&a);
    forget(&b);
    return 0;
}
