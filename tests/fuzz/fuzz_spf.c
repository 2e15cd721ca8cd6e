/*
 * Two records apart by a NUL byte, of a domain and of what it includes; behind another
 * NUL the sender's local part. The first byte chooses the client's address. By both engines.
 */
#include "assert.h"
#include "spf_engine.h"
#include "spf_guard.h"
#include "spf_libspf2.h"
#include "spf_text.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    struct postern_dns_record record;
    struct postern_dns_answer answer;
    struct pn_str records[2];
    unsigned asked;
};

static int lookup(void *ctx, struct postern_str name, uint32_t type,
                  const struct postern_dns_answer **answer)
{
    struct world *w = ctx;
    struct pn_str s = {"\0\005mx.test", 9};
    w->asked++;
    w->answer = (struct postern_dns_answer){.count = 1, .records = &w->record};
    w->record = (struct postern_dns_record){.ttl = 1};
    if (type == POSTERN_DNS_TXT)
        s = w->records[spf_ieq(name, POSTERN_STR("a.test")) ? 0 : 1];
    else if (type == POSTERN_DNS_A)
        s = (struct pn_str){"\300\0\002\001", 4};
    else if (type == POSTERN_DNS_AAAA)
        s = (struct pn_str){" \001\r\270\0\0\0\0\0\0\0\0\0\0\0\001", 16};
    else if (type == POSTERN_DNS_PTR)
        s = PN_STR("mx.a.test");
    if (name.len % 7 == 0)
        w->answer.count = 0;
    w->record.data = (struct postern_str){s.p, s.len};
    *answer = &w->answer;
    return name.len > 300 ? POSTERN_INVALID : POSTERN_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char v4[16] = {[10] = 0xff, 0xff, 192, 0, 2, 1};
    struct world w = {.asked = 0};
    struct spf_outcome out;
    if (size == 0)
        return 0;
    struct pn_str rest = {(const char *)data + 1, size - 1};
    w.records[0] = pn_str_split(&rest, '\0');
    w.records[1] = rest.p == NULL ? PN_STR("") : pn_str_split(&rest, '\0');
    struct spf_query q = {.is_ipv4 = data[0] % 2 == 0,
                          .ip_text = POSTERN_STR("192.0.2.1"),
                          .local = {rest.p, rest.len},
                          .domain = POSTERN_STR("a.test"),
                          .helo = POSTERN_STR("h.test"),
                          .voids_max = SPF_VOIDS_MAX,
                          .lookup = lookup,
                          .ctx = &w};
    memcpy(q.ip, v4, sizeof v4);
    pn_assert(spf_check(&q, &out) == POSTERN_OK);
    pn_assert(out.explanation_len <= SPF_EXPLANATION_MAX);
    pn_assert(out.problem == NULL || out.result != SPF_PASS);
    (void)spf_result_name(out.result);
#ifdef HAVE_LIBSPF2
    w.asked = 0;
    pn_assert(spf_libspf2_check(&q, &out) == POSTERN_OK);
    pn_assert(out.explanation_len <= SPF_EXPLANATION_MAX);
    /* An explanation, and what a %{p} in it asks for, stand beside the rest. */
    pn_assert(w.asked <= SPF_GUARD_ASKED_MAX + 2 + SPF_PTR_MAX);
#endif
    return 0;
}
