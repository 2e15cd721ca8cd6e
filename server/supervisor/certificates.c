/*
 * Certificates, the keys of TLS and of signatures, and secrets of senders are read again when their
 * files change: whoever renews them need not know us. They reach edges and signer as with a reload,
 * but nothing else does: what an operator is writing into the configuration meanwhile is no concern
 * of a renewal.
 */
#include "log.h"
#include "mem.h"
#include "supervisor_int.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOOK_MS = 1000 };

void certificates_add_file(struct pn_buf *out, const char *path)
{
    struct stat st = {0};
    if (stat(path, &st) != 0)
        st = (struct stat){0};
    pn_wr_u64(out, st.st_dev);
    pn_wr_u64(out, st.st_ino);
    pn_wr_i64(out, st.st_size);
    pn_wr_i64(out, st.st_mtim.tv_sec);
    pn_wr_i64(out, st.st_mtim.tv_nsec);
    pn_wr_i64(out, st.st_ctim.tv_sec);
    pn_wr_i64(out, st.st_ctim.tv_nsec);
}

uint64_t certificates_mark(const struct plan *plan)
{
    struct pn_buf b;
    pn_buf_init(&b, SIZE_MAX);
    for (size_t i = 0; i < plan->tls_count; i++) {
        certificates_add_file(&b, plan->tls[i].certificate);
        certificates_add_file(&b, plan->tls[i].key);
    }
    for (size_t i = 0; i < plan->sign_count; i++)
        certificates_add_file(&b, plan->signs[i].file);
    if (plan->secret_file != NULL)
        certificates_add_file(&b, plan->secret_file);
    uint64_t mark = pn_str_hash(pn_buf_str(&b), 0, false);
    pn_buf_fini(&b);
    return mark;
}

/* False with a sentence in err: those at hand stay. */
static bool renew(struct supervisor *sup, struct pn_buf *err)
{
    struct coming *now = &sup->now;
    struct coming fresh = {.plan = now->plan, .secret_fd = -1};
    bool ok = files_keys(&fresh, err) && files_secrets(&fresh, err);
    struct coming *old = ok ? now : &fresh;
    free(old->identities);
    free(old->signs);
    pn_pool_free(&old->keys);
    if (old->secret_fd >= 0)
        (void)close(old->secret_fd);
    now->certificates = fresh.certificates; /* bad ones are not tried again and again */
    if (!ok)
        return false;
    now->identities = fresh.identities;
    now->identity_count = fresh.identity_count;
    now->signs = fresh.signs;
    now->sign_count = fresh.sign_count;
    now->keys = fresh.keys;
    now->secret_fd = fresh.secret_fd;
    for (struct child *c = sup->children; c != NULL; c = c->next)
        if (child_alive(c) && (c->kind == PEER_EDGE || c->kind == PEER_SIGNER))
            give_generation(c);
    return true;
}

static void look(void *arg)
{
    struct supervisor *sup = arg;
    uint64_t mark = certificates_mark(&sup->now.plan);
    /* At rest: certificate and key are written one after the other. */
    bool rests = mark == sup->certificates_seen;
    sup->certificates_seen = mark;
    if (sup->state == SUP_SERVING && rests && mark != sup->now.certificates) {
        struct pn_buf err;
        pn_buf_init(&err, 1000);
        bool ok = renew(sup, &err);
        if (ok)
            pn_info("certificates or keys have changed; the new ones are used from now on");
        else
            pn_error("the new certificates and keys are not used: %s", pn_buf_cstr(&err));
        tell_certificates(sup, ok ? NULL : pn_buf_cstr(&err));
        pn_buf_fini(&err);
    }
    pn_timer_set(sup->certificates_timer, LOOK_MS);
}

void certificates_watch(struct supervisor *sup)
{
    sup->certificates_timer = pn_timer_new(sup->loop, look, sup);
    pn_timer_set(sup->certificates_timer, LOOK_MS);
}
