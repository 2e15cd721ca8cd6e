/*
 * DKIM signatures of reports: they are our own mail, from an address at our name, whose domain
 * or one above it a sign block may name. Header and body are hashed on the pool, the signer
 * gives the signatures, and the report is kept with them. One that can't be signed now is
 * not kept now: who makes it tries again.
 */
#include "queue_int.h"

#include "clock.h"
#include "log.h"
#include "mem.h"
#include "memfile.h"
#include "sign.h"
#include "sign_header.h"
#include "signer_link.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { WAIT_MS = 60 * 1000, FIELD_MAX = 16 * 1024, KEYS_MAX = 16, ENV_BYTES = 4 * PN_ENVELOPE_MAX };

struct own {
    struct pn_job job; /* first */
    struct queue *q;
    struct pn_buf envelope; /* encoded */
    int content_fd;         /* owned until it is handed on */
    void (*done)(void *ctx, int error);
    void *ctx;
    struct pn_str domain; /* d=; owned */
    struct pn_sign_header header;
    const char *wrong; /* why it can't be signed */
    unsigned char hash[PN_SIGN_HASH];
    struct own_part {
        struct own *own;
        struct pn_buf field;
    } parts[KEYS_MAX];
    size_t part_count, open;
    bool failed;
};

static void own_free(struct own *o)
{
    for (size_t i = 0; i < o->part_count; i++)
        pn_buf_fini(&o->parts[i].field);
    pn_sign_header_fini(&o->header);
    pn_buf_fini(&o->envelope);
    free((char *)o->domain.p);
    if (o->content_fd >= 0)
        (void)close(o->content_fd);
    free(o);
}

static void give_up(struct own *o)
{
    pn_warn("a report could not be signed now");
    o->done(o->ctx, EAGAIN);
    own_free(o);
}

/* Keeps it with what lines there are. */
static void keep(struct own *o)
{
    struct pn_pool *pool = pn_pool_new(ENV_BYTES);
    struct pn_envelope env;
    struct pn_header_edit lines[KEYS_MAX];
    if (!pn_envelope_get(pn_buf_str(&o->envelope), pool, &env)) {
        o->done(o->ctx, EINVAL);
    } else {
        for (size_t i = 0; i < o->part_count; i++)
            lines[i] = (struct pn_header_edit){.op = PN_HEDIT_TOP,
                                               .name = PN_STR("DKIM-Signature"),
                                               .value = pn_buf_str(&o->parts[i].field)};
        env.groups[0] = (struct pn_edit_group){(uint32_t)o->part_count, lines};
        int fd = o->content_fd;
        o->content_fd = -1;
        take_signed(o->q, &env, fd, o->done, o->ctx);
    }
    pn_pool_free(&pool);
    own_free(o);
}

/* ---- signatures */

static void on_signed(void *ctx, struct pn_str signature)
{
    struct own_part *part = ctx;
    struct own *o = part->own;
    o->failed = o->failed || signature.len == 0;
    pn_sign_field_end(&part->field, signature);
    if (--o->open != 0)
        return;
    if (o->failed)
        give_up(o);
    else
        keep(o);
}

static void on_keys(void *ctx, const struct pn_sign_key *keys, size_t count)
{
    struct own *o = ctx;
    count = count > KEYS_MAX ? KEYS_MAX : count;
    for (; o->part_count < count; o->part_count++) {
        struct own_part *part = &o->parts[o->part_count];
        const struct pn_sign_key *key = &keys[o->part_count];
        unsigned char digest[PN_SIGN_HASH];
        const struct pn_sign_terms terms = {.algorithm = key->algorithm,
                                            .domain = key->domain,
                                            .selector = key->selector,
                                            .unix_s = pn_clock_wall_ms() / 1000,
                                            .body_hash = o->hash};
        part->own = o;
        pn_buf_init(&part->field, FIELD_MAX);
        if (pn_sign_field(&o->header, &terms, &part->field, digest)) {
            o->open++;
            (void)pn_signer_ask(o->q->signer, key->id, digest, WAIT_MS, on_signed, part);
        } else {
            o->failed = true;
        }
    }
    if (o->open == 0)
        give_up(o);
}

/* ---- hashes, on the pool */

static void hash_run(struct pn_job *job)
{
    struct own *o = (struct own *)job;
    struct pn_str content;
    if (pn_map_fd(o->content_fd, true, &content) != 0) {
        o->failed = true;
        return;
    }
    o->wrong = pn_sign_header_read(&o->header, content, NULL);
    struct pn_sign_body *body = pn_sign_body_new();
    if (body != NULL)
        pn_sign_body_add(body, pn_str_slice(content, o->header.body, content.len));
    o->failed = body == NULL || !pn_sign_body_end(body, o->hash);
    pn_sign_body_free(&body);
    pn_unmap(&content);
}

static void hash_done(struct pn_job *job)
{
    struct own *o = (struct own *)job;
    if (o->failed) {
        give_up(o);
    } else if (o->wrong != NULL) {
        pn_warn("a report is not signed: %s", o->wrong);
        keep(o);
    } else {
        (void)pn_signer_wait(o->q->signer, o->domain, WAIT_MS, on_keys, o);
    }
}

/* A report whose header has no line of ours yet: one that was held has its signatures. */
static bool is_due(const struct queue *q, const struct pn_envelope *env, size_t *block)
{
    return q->policy != NULL && (env->flags & PN_ENV_DSN) != 0 && env->group_count == 1 &&
           env->groups[0].count == 0 &&
           pn_policy_sign_find(q->policy, pn_str_of(q->settings.hostname), block);
}

void take_own(struct queue *q, const struct pn_envelope *env, int content_fd,
              void (*done)(void *ctx, int error), void *ctx)
{
    size_t block;
    if (!is_due(q, env, &block)) {
        take_signed(q, env, content_fd, done, ctx);
        return;
    }
    struct own *o = pn_calloc(1, sizeof *o);
    struct pn_str domain = pn_policy_sign_domain(q->policy, block);
    *o = (struct own){.job = {.run = hash_run, .done = hash_done},
                      .q = q,
                      .content_fd = content_fd,
                      .done = done,
                      .ctx = ctx,
                      .domain = {pn_strndup(domain.p, domain.len), domain.len}};
    pn_buf_init(&o->envelope, PN_ENVELOPE_MAX);
    if (pn_envelope_put(&o->envelope, env)) {
        pn_threads_submit(q->threads, &o->job);
        return;
    }
    done(ctx, EINVAL);
    own_free(o);
}
