/* The first byte chooses: a sender that is rewritten opens to itself (or to the SRS0 that it
 * stands for), what a stranger wrote never opens, a file of secrets is read. */
#include "assert.h"
#include "grammar.h"
#include "srs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int64_t NOW = INT64_C(1700000000);

static struct pn_srs ours(void)
{
    struct pn_srs srs = {.domain = PN_STR("srs.test"), .valid_days = 21, .count = 1};
    srs.secrets[0] = PN_STR("a secret that no fuzzer guesses: 5f1c7a");
    return srs;
}

static void rewrite(struct pn_str sender)
{
    const struct pn_srs srs = ours();
    struct pn_buf made, opened, again;
    pn_buf_init(&made, 1000);
    pn_buf_init(&opened, 1000);
    pn_buf_init(&again, 1000);
    if (pn_srs_make(&srs, sender, NOW, &made)) {
        struct pn_smtp_mailbox m;
        pn_assert(made.len <= PN_SMTP_PATH_MAX - 2 && pn_srs_is(pn_buf_str(&made)));
        pn_assert(pn_smtp_mailbox_parse(pn_buf_str(&made), &m));
        /* Opened it may be too long only where it was before. */
        if (pn_srs_open(&srs, pn_buf_str(&made), NOW, &opened) == PN_SRS_OPENED) {
            bool is = pn_srs_is(pn_buf_str(&opened));
            pn_assert(!is || pn_srs_is(sender)); /* what SRS1 holds need be no SRS0 of our form */
            pn_assert(is == pn_srs_is(sender) || pn_str_starts(pn_buf_str(&made), PN_STR("SRS1")) ||
                      pn_str_starts(pn_buf_str(&made), PN_STR("\"SRS1")));
            pn_assert(is != pn_srs_is(sender) ||
                      (pn_srs_make(&srs, pn_buf_str(&opened), NOW, &again) &&
                       pn_str_ieq(pn_buf_str(&again), pn_buf_str(&made))));
        } else {
            pn_assert(sender.len > PN_SMTP_PATH_MAX - 8);
        }
    } else {
        pn_assert(made.len == 0);
    }
    pn_buf_fini(&made);
    pn_buf_fini(&opened);
    pn_buf_fini(&again);
}

/* As the server has them; what is none is rewritten to nothing. */
static void rewrite_canonical(struct pn_str text)
{
    struct pn_smtp_mailbox m;
    struct pn_buf b;
    pn_buf_init(&b, 1000);
    if (pn_smtp_mailbox_parse(text, &m))
        pn_smtp_mailbox_canonical(&b, &m);
    else
        (void)pn_buf_adds(&b, text);
    rewrite(pn_buf_str(&b));
    pn_buf_fini(&b);
}

static void open_strange(struct pn_str address)
{
    const struct pn_srs srs = ours();
    struct pn_buf out;
    pn_buf_init(&out, 1000);
    pn_assert(pn_srs_open(&srs, address, NOW, &out) == PN_SRS_NOT_OURS && out.len == 0);
    pn_buf_fini(&out);
}

static void read_secrets(struct pn_str file)
{
    struct pn_srs srs = {.count = 0};
    struct pn_buf err;
    pn_buf_init(&err, 1000);
    bool ok = pn_srs_secrets(&srs, file, &err);
    pn_assert(ok == (err.len == 0) && srs.count <= PN_SRS_SECRETS_MAX && (!ok || srs.count != 0));
    for (uint32_t i = 0; i < srs.count; i++)
        pn_assert(srs.secrets[i].len >= PN_SRS_SECRET_MIN);
    pn_buf_fini(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct pn_str text = {(const char *)data + 1, size - 1};
    switch (data[0] % 3) {
    case 0:
        rewrite_canonical(text);
        break;
    case 1:
        open_strange(text);
        break;
    default:
        read_secrets(text);
    }
    return 0;
}
