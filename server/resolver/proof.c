#include "proof.h"

#include "dns.h"
#include "memfile.h"
#include "proof_zone.h"

#include <stdio.h>
#include <unbound.h>
#include <unistd.h>

enum { ZONES = 3, CLASS_IN = 1 };

static const char plain_zone[] = "plain.proof.postern. 3600 IN SOA . . 1 3600 3600 3600 3600\n"
                                 "plain.proof.postern. 3600 IN NS ns.proof.postern.\n"
                                 "plain.proof.postern. 3600 IN TXT \"nobody signs here\"\n";

static const struct {
    const char *name, *text;
} zones[ZONES] = {{"proof.postern.", proof_top},
                  {"rsa.proof.postern.", proof_rsa},
                  {"plain.proof.postern.", plain_zone}};

static const struct proof_case usual[] = {
    {"a good signature", "good.proof.postern", PN_DNS_TXT, PROOF_SECURE},
    {"a good signature by RSA, behind a delegation", "rsa.proof.postern", PN_DNS_TXT, PROOF_SECURE},
    {"a proof that there is no such name", "none.proof.postern", PN_DNS_TXT, PROOF_SECURE},
    {"a proof that there is no such record", "good.proof.postern", PN_DNS_TLSA, PROOF_SECURE},
    {"a zone that is not signed", "plain.proof.postern", PN_DNS_TXT, PROOF_INSECURE},
    {"a forged record", "forged.proof.postern", PN_DNS_TXT, PROOF_REFUSED},
    {"a record without its signature", "bare.proof.postern", PN_DNS_TXT, PROOF_REFUSED},
    {"a signature that has expired", "late.proof.postern", PN_DNS_TXT, PROOF_REFUSED},
    {NULL}};

struct proof {
    struct ub_ctx *ctx;
    int fds[ZONES + 1]; /* the zones, and what names them */
    struct pn_buf *err;
};

static bool failed(struct proof *p, const char *what, int e)
{
    (void)pn_buf_addf(p->err, "DNSSEC can't be proved to work: %s: %s", what, ub_strerror(e));
    return false;
}

static bool open_files(struct proof *p)
{
    struct pn_buf conf;
    bool ok = true;
    pn_buf_init(&conf, 4096);
    (void)pn_buf_addz(&conf, "server:\n chroot: \"\"\n directory: \"\"\n");
    for (size_t i = 0; i < ZONES; i++) {
        p->fds[i] = pn_memfile_of("proof", pn_str_of(zones[i].text));
        ok = ok && p->fds[i] >= 0;
        (void)pn_buf_addf(&conf,
                          "auth-zone:\n name: \"%s\"\n zonefile: \"/proc/self/fd/%d\"\n"
                          " for-downstream: no\n for-upstream: yes\n fallback-enabled: no\n",
                          zones[i].name, p->fds[i]);
    }
    p->fds[ZONES] = pn_memfile_of("proof", pn_buf_str(&conf));
    pn_buf_fini(&conf);
    if (!ok || p->fds[ZONES] < 0)
        return failed(p, "memory files", UB_NOMEM);
    return true;
}

static bool open_context(struct proof *p)
{
    char path[40];
    p->ctx = ub_ctx_create();
    if (p->ctx == NULL)
        return failed(p, "libunbound", UB_NOMEM);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", p->fds[ZONES]);
    int e = ub_ctx_config(p->ctx, path);
    if (e == 0)
        e = ub_ctx_set_option(p->ctx, "val-override-date:", "20300101000000");
    if (e == 0)
        e = ub_ctx_add_ta(p->ctx, proof_anchor);
    return e == 0 || failed(p, "settings", e);
}

static enum proof_answer answer_of(const struct ub_result *r)
{
    if (r->bogus != 0 || r->rcode == PN_DNS_SERVFAIL)
        return PROOF_REFUSED;
    return r->secure != 0 ? PROOF_SECURE : PROOF_INSECURE;
}

static bool holds(struct proof *p, const struct proof_case *c)
{
    static const char *const words[] = {
        [PROOF_SECURE] = "secure", [PROOF_INSECURE] = "insecure", [PROOF_REFUSED] = "bogus"};
    struct ub_result *r = NULL;
    int e = ub_resolve(p->ctx, c->name, c->type, CLASS_IN, &r);
    if (e != 0)
        return failed(p, c->what, e);
    enum proof_answer got = answer_of(r);
    if (got != c->want)
        (void)pn_buf_addf(p->err, "DNSSEC can't be proved to work: %s is taken for %s, not for %s",
                          c->what, words[got], words[c->want]);
    ub_resolve_free(r);
    return got == c->want;
}

bool proof_run_cases(const struct proof_case *cases, struct pn_buf *err)
{
    struct proof p = {.err = err, .fds = {-1, -1, -1, -1}};
    bool ok = open_files(&p) && open_context(&p);
    for (size_t i = 0; ok && cases[i].name != NULL; i++)
        ok = holds(&p, &cases[i]);
    ub_ctx_delete(p.ctx);
    for (size_t i = 0; i <= ZONES; i++)
        if (p.fds[i] >= 0)
            (void)close(p.fds[i]);
    return ok;
}

bool proof_run(struct pn_buf *err)
{
    return proof_run_cases(usual, err);
}
