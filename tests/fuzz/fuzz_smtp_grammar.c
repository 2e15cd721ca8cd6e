/* The first byte chooses what is parsed. What parses must print to a canonical form
 * that parses to itself. */
#include "assert.h"
#include "grammar.h"
#include "reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void canonical_holds(const struct pn_smtp_mailbox *m)
{
    struct pn_smtp_mailbox again;
    struct pn_buf one, two;
    if (m->domain.len == 0)
        return;
    pn_buf_init(&one, 1024);
    pn_buf_init(&two, 1024);
    pn_smtp_mailbox_canonical(&one, m);
    /* Minimal quoting may double at most what quoting is there. */
    if (pn_smtp_mailbox_parse(pn_buf_str(&one), &again)) {
        pn_smtp_mailbox_canonical(&two, &again);
        pn_assert(pn_str_eq(pn_buf_str(&one), pn_buf_str(&two)));
    } else {
        pn_assert(one.len > PN_SMTP_PATH_MAX);
    }
    pn_buf_fini(&one);
    pn_buf_fini(&two);
}

static void paths(struct pn_str text, enum pn_smtp_path_kind kind)
{
    struct pn_smtp_mailbox m;
    struct pn_smtp_param param;
    struct pn_str rest = text;
    if (pn_smtp_path(&rest, kind, &m) != PN_SMTP_PATH_OK)
        return;
    pn_assert(rest.p + rest.len == text.p + text.len);
    pn_assert(pn_str_find(m.address, '\r', 0) == SIZE_MAX &&
              pn_str_find(m.address, '\n', 0) == SIZE_MAX &&
              pn_str_find(m.address, '\0', 0) == SIZE_MAX);
    canonical_holds(&m);
    while (pn_smtp_param_next(&rest, &param) > 0)
        pn_assert(param.key.len != 0);
}

static void replies(struct pn_str text)
{
    struct pn_smtp_reply reply, again;
    struct pn_buf out;
    pn_buf_init(&out, 1 << 20);
    if (pn_smtp_reply_read(text, &reply)) {
        pn_smtp_reply_print(&out, &reply);
        pn_assert(pn_smtp_reply_read(pn_buf_str(&out), &again) && again.code == reply.code);
        pn_buf_clear(&out);
        pn_smtp_reply_put(&out, &reply, true);
        struct pn_str rest = pn_buf_str(&out);
        while (rest.len != 0)
            pn_assert(pn_str_split(&rest, '\n').len < PN_SMTP_REPLY_MAX);
    }
    pn_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_ip ip;
    if (size < 2)
        return 0;
    struct pn_str text = {(const char *)data + 1, size - 1};
    switch (data[0] % 4) {
    case 0:
        paths(text, PN_SMTP_REVERSE);
        break;
    case 1:
        paths(text, PN_SMTP_FORWARD);
        break;
    case 2:
        (void)pn_smtp_helo(text);
        (void)pn_smtp_literal(text, &ip);
        break;
    default:
        replies(text);
    }
    return 0;
}
