/*
 * DKIM signatures for mail of our own domains: what users submit, and what comes from a
 * `clients` network of a sign block, where the author (From) is of that block's domain. Each group
 * of recipients with a header of its own gets signatures of its own, one a key, made when all else
 * about the header is known.
 *
 *   BODY   the body is hashed, a piece a turn of the loop: it may be large
 *   KEYS   of a group's domain: which there are (at once but behind a start or a reload)
 *   SIGN   the signer has the digests; the next group follows when all came back
 *
 * Where the signer does not answer in timeouts.handover, the message is deferred: without
 * its signature others may throw it away. What can't be signed (its header can be read in
 * several ways) goes on as it is, and the event says why.
 */
#include "edge.h"

#include "clock.h"
#include "mem.h"
#include "sign.h"
#include "sign_header.h"
#include "signer_link.h"

#include <stdlib.h>
#include <unistd.h>

enum { PIECE = 128 * 1024, FIELD_MAX = 16 * 1024, EDIT_BYTES = 8 * 1024 * 1024 };

struct group {
    struct pn_edit_group *edits;
    struct pn_sign_header header;
    struct pn_str domain; /* d=; empty: not to be signed */
};

/* A key's signature under way. */
struct part {
    struct signing *all;
    struct pn_buf field; /* but for the signature, then with it */
    uint64_t token;
};

struct signing {
    struct transaction *t;
    sign_done_fn *done;
    bool submitted;       /* by a user of ours */
    struct group *groups; /* owned, as is parts */
    uint32_t group_count, group;
    struct part *parts; /* of the group at hand */
    size_t part_count, open;
    uint64_t token; /* of the wait for keys */
    struct pn_sign_body *body;
    uint64_t at; /* of the content, while the body is hashed */
    unsigned char hash[PN_SIGN_HASH];
    bool failed;
};

/* ---- life */

static void parts_fini(struct signing *g)
{
    for (size_t i = 0; i < g->part_count; i++) {
        pn_signer_forget(g->t->s->edge->signer, g->parts[i].token);
        pn_buf_fini(&g->parts[i].field);
    }
    free(g->parts);
    g->parts = NULL;
    g->part_count = g->open = 0;
}

void sign_end(struct transaction *t)
{
    struct signing *g = t->signing;
    if (g == NULL)
        return;
    t->signing = NULL;
    parts_fini(g);
    pn_signer_forget(t->s->edge->signer, g->token);
    pn_loop_forget(t->s->edge->loop, g);
    for (uint32_t i = 0; i < g->group_count; i++)
        pn_sign_header_fini(&g->groups[i].header);
    free(g->groups);
    pn_sign_body_free(&g->body);
    free(g);
}

static void finish(struct signing *g, bool signed_)
{
    struct transaction *t = g->t;
    sign_done_fn *done = g->done;
    if (!signed_)
        t->signed_keys = 0;
    sign_end(t);
    done(t, signed_);
}

/* ---- what is signed */

/* A user's own: each author was found to be his, or, where the configuration lets users be
 * anybody, it is of his own domain. */
static bool is_his(const struct session *s, size_t block)
{
    size_t own;
    return s->gen->submission.own_from ||
           (pn_policy_sign_find(s->edge->gen->policy, rcpt_domain(session_user(s)), &own) &&
            own == block);
}

/* Its author's domain is one of ours, and it comes from where that one's mail comes from. By
 * today's configuration: the signer has today's keys. */
static bool is_ours(const struct signing *g, const struct pn_sign_header *header,
                    struct pn_str *domain)
{
    const struct transaction *t = g->t;
    const struct pn_policy *p = t->s->edge->gen->policy;
    size_t i;
    if (!pn_policy_sign_find(p, pn_buf_str(&header->author), &i) ||
        !((g->submitted && is_his(t->s, i)) || pn_policy_sign_client(p, i, &t->s->ip)))
        return false;
    *domain = pn_policy_sign_domain(p, i);
    return true;
}

/* Whether that client's mail is signed at all: of all others not even the header is read. */
static bool may_be_ours(const struct transaction *t, bool submitted)
{
    const struct pn_policy *p = t->s->edge->gen->policy;
    for (size_t i = 0; i < pn_policy_sign_count(p); i++)
        if (submitted || pn_policy_sign_client(p, i, &t->s->ip))
            return true;
    return false;
}

static struct pn_edits *edits_of(const struct pn_edit_group *group)
{
    struct pn_edits *edits = pn_edits_new(EDIT_BYTES);
    for (uint32_t i = 0; i < group->count; i++) {
        const struct pn_header_edit *e = &group->edits[i];
        const struct pn_edit edit = {(enum pn_edit_op)e->op, e->name, e->value, e->nth};
        if (pn_edits_put(edits, &edit) != PN_EDIT_OK)
            pn_edits_free(&edits); /* who writes it out does not take it either */
        if (edits == NULL)
            break;
    }
    return edits;
}

/* Reads the header as that group gets it. False: it is not to be signed. */
static bool read_group(struct signing *g, struct group *group, struct pn_str content)
{
    struct pn_edits *edits = edits_of(group->edits);
    const char *why = "its edits can't be applied";
    if (edits != NULL)
        why = pn_sign_header_read(&group->header, content, edits);
    pn_edits_free(&edits);
    if (why != NULL)
        g->t->unsigned_because = why;
    else if (is_ours(g, &group->header, &group->domain))
        group->domain = pn_pool_dup(g->t->pool, group->domain);
    return group->domain.len != 0;
}

/* False: the content can't be read. *any: some are to be signed. */
static bool read_groups(struct signing *g, struct pn_envelope *env, bool *any)
{
    struct pn_str content, map;
    bool read = content_header(g->t, &content, &map);
    g->groups = pn_calloc(env->group_count, sizeof *g->groups);
    g->group_count = env->group_count;
    *any = false;
    for (uint32_t i = 0; read && i < env->group_count; i++) {
        g->groups[i].edits = &env->groups[i];
        if (read_group(g, &g->groups[i], content)) {
            *any = true;
            g->at = g->groups[i].header.body;
        }
    }
    pn_unmap(&map);
    return read;
}

/* ---- a group's signatures */

static void next_group(struct signing *g);

/* Behind all other lines that are added on top: right above what the client sent. */
static bool add_field(struct signing *g, struct pn_str value)
{
    struct pn_edit_group *to = g->groups[g->group].edits;
    struct pn_header_edit *edits = pn_pool_alloc(g->t->pool, (to->count + 1) * sizeof *edits);
    struct pn_str copy = pn_pool_dup(g->t->pool, value);
    if (edits == NULL || copy.p == NULL)
        return false;
    memcpy(edits, to->edits, to->count * sizeof *edits);
    edits[to->count] = (struct pn_header_edit){
        .op = PN_HEDIT_TOP, .name = PN_STR("DKIM-Signature"), .value = copy};
    to->edits = edits;
    to->count++;
    return true;
}

/* So that the envelope holds no more lines than an envelope may. */
static bool has_room(const struct signing *g)
{
    size_t lines = g->part_count;
    for (uint32_t i = 0; i < g->group_count; i++)
        lines += g->groups[i].edits->count;
    return lines <= PN_ENVELOPE_EDITS_MAX;
}

static void group_done(struct signing *g)
{
    bool ok = true, room = has_room(g);
    if (!room)
        g->t->unsigned_because = "too many lines are added to it";
    for (size_t i = 0; ok && room && i < g->part_count; i++)
        ok = add_field(g, pn_buf_str(&g->parts[i].field));
    parts_fini(g);
    if (!ok) {
        finish(g, false);
        return;
    }
    g->group++;
    next_group(g);
}

static void on_signed(void *ctx, struct pn_str signature)
{
    struct part *part = ctx;
    struct signing *g = part->all;
    part->token = 0;
    g->failed = g->failed || signature.len == 0;
    pn_sign_field_end(&part->field, signature);
    if (--g->open != 0)
        return;
    if (g->failed)
        finish(g, false);
    else
        group_done(g);
}

static bool begin_part(struct signing *g, struct part *part, const struct pn_sign_key *key)
{
    unsigned char digest[PN_SIGN_HASH];
    struct transaction *t = g->t;
    const struct pn_sign_terms terms = {.algorithm = key->algorithm,
                                        .domain = key->domain,
                                        .selector = key->selector,
                                        .unix_s = pn_clock_wall_ms() / 1000,
                                        .body_hash = g->hash};
    part->all = g;
    pn_buf_init(&part->field, FIELD_MAX);
    if (!pn_sign_field(&g->groups[g->group].header, &terms, &part->field, digest))
        return false;
    part->token =
        pn_signer_ask(t->s->edge->signer, key->id, digest, t->s->gen->handover_ms, on_signed, part);
    g->open++;
    return true;
}

static void on_keys(void *ctx, const struct pn_sign_key *keys, size_t count)
{
    struct signing *g = ctx;
    bool ok = count != 0;
    g->token = 0;
    g->parts = pn_calloc(count + 1, sizeof *g->parts);
    for (; ok && g->part_count < count; g->part_count++)
        ok = begin_part(g, &g->parts[g->part_count], &keys[g->part_count]);
    if (!ok)
        finish(g, false);
    else
        g->t->signed_keys = (uint32_t)count;
}

static void next_group(struct signing *g)
{
    struct transaction *t = g->t;
    while (g->group < g->group_count && g->groups[g->group].domain.len == 0)
        g->group++;
    if (g->group == g->group_count) {
        finish(g, true);
        return;
    }
    t->signed_domain = g->groups[g->group].domain;
    g->token =
        pn_signer_wait(t->s->edge->signer, t->signed_domain, t->s->gen->handover_ms, on_keys, g);
}

/* ---- the body, which all groups share */

static void hash_piece(void *arg)
{
    struct signing *g = arg;
    struct transaction *t = g->t;
    char *scratch = t->s->edge->scratch;
    uint64_t left = t->content.len - g->at;
    ssize_t n = 0;
    if (left != 0)
        n = pread(content_fd(t), scratch, left < PIECE ? (size_t)left : PIECE, (off_t)g->at);
    if (left != 0 && n <= 0) {
        finish(g, false);
        return;
    }
    pn_sign_body_add(g->body, (struct pn_str){scratch, (size_t)n});
    g->at += (uint64_t)n;
    if (g->at < t->content.len)
        pn_loop_defer(t->s->edge->loop, hash_piece, g);
    else if (pn_sign_body_end(g->body, g->hash))
        next_group(g);
    else
        finish(g, false);
}

void sign_begin(struct transaction *t, struct pn_envelope *env, sign_done_fn *done)
{
    bool submitted = (env->flags & PN_ENV_SUBMITTED) != 0;
    if (!may_be_ours(t, submitted)) {
        done(t, true);
        return;
    }
    struct signing *g = pn_calloc(1, sizeof *g);
    *g = (struct signing){.t = t, .done = done, .submitted = submitted};
    t->signing = g;
    bool any;
    bool read = read_groups(g, env, &any);
    if (!read || !any) {
        finish(g, read);
        return;
    }
    g->body = pn_sign_body_new();
    if (g->body == NULL)
        finish(g, false);
    else
        hash_piece(g);
}
