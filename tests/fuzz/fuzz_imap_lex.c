/* Commands fed whole and byte by byte must be told alike; the first byte says what becomes of
 * literals. Each command's tokens are read as they come, whatever they are. */
#include "assert.h"
#include "imap_lex.h"
#include "imap_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct pn_imap_limits limits = {.text_max = 512, .nonsync_max = 100, .skip_max = 2000};

static void read_tokens(struct pn_str text)
{
    struct pn_pool *pool = pn_pool_new(8192);
    struct pn_imap_args args = {text, pool};
    struct pn_str got;
    uint64_t n;
    while (!pn_imap_end(&args)) {
        size_t before = args.rest.len;
        if (pn_imap_nstring(&args, &got) || pn_imap_number64(&args, &n) ||
            pn_imap_set(&args, &got) || pn_imap_flag(&args, &got) ||
            pn_imap_list_mailbox(&args, &got) || pn_imap_atom_to(&args, "[", &got))
            pn_assert(args.rest.len < before);
        else
            args.rest = pn_str_slice(args.rest, 1, args.rest.len);
    }
    pn_pool_free(&pool);
}

/* False: a flood, nothing more comes. */
static bool feed(struct pn_imap_lex *lex, unsigned choice, struct pn_str in, struct pn_buf *told)
{
    struct pn_str bytes;
    for (;;) {
        enum pn_imap_got got = pn_imap_lex_feed(lex, &in, &bytes);
        pn_assert(lex->text.len <= limits.text_max);
        switch (got) {
        case PN_IMAP_MORE:
            pn_assert(in.len == 0);
            return true;
        case PN_IMAP_LITERAL:
            if (choice % 3 == 0)
                (void)pn_imap_lex_keep(lex);
            else if (choice % 3 == 1)
                pn_imap_lex_stream(lex);
            else
                pn_imap_lex_refuse(lex);
            break;
        case PN_IMAP_BYTES:
            (void)pn_buf_adds(told, bytes);
            break;
        case PN_IMAP_COMMAND:
        case PN_IMAP_REFUSED:
            (void)pn_buf_addf(told, "[%d %zu]", got, pn_imap_lex_tag(lex).len);
            if (got == PN_IMAP_COMMAND)
                (void)pn_buf_adds(told, pn_imap_lex_text(lex));
            read_tokens(pn_imap_lex_text(lex));
            pn_imap_lex_next(lex);
            break;
        case PN_IMAP_FLOOD:
            return false;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_imap_lex lex;
    struct pn_buf whole, bytewise;
    if (size < 2)
        return 0;
    struct pn_str in = {(const char *)data + 1, size - 1};
    pn_buf_init(&whole, SIZE_MAX / 2);
    pn_buf_init(&bytewise, SIZE_MAX / 2);
    pn_imap_lex_init(&lex, &limits);
    (void)feed(&lex, data[0], in, &whole);
    pn_imap_lex_fini(&lex);
    pn_imap_lex_init(&lex, &limits);
    for (size_t i = 0; i < in.len; i++)
        if (!feed(&lex, data[0], pn_str_slice(in, i, i + 1), &bytewise))
            break;
    pn_imap_lex_fini(&lex);
    pn_assert(pn_str_eq(pn_buf_str(&whole), pn_buf_str(&bytewise)));
    pn_buf_fini(&whole);
    pn_buf_fini(&bytewise);
    return 0;
}
