#include "resolver.h"

#include "admin_link.h"
#include "anchor.h"
#include "asks.h"
#include "clock.h"
#include "dns_shelf.h"
#include "guests.h"
#include "log.h"
#include "policy.h"
#include "proof.h"
#include "role.h"
#include "ub_base.h"
#include "upstream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { FORWARD_MAX = 16, ANSWER_QUEUE = 8 * 1024 * 1024, PATH_BYTES = 4096 };

/* The rows of `resolver`. */
struct settings {
    struct upstream_server forward[FORWARD_MAX];
    size_t forward_count;
    char dns_file[PATH_BYTES];     /* for messages: its descriptor is handed over; empty: none */
    char trust_anchor[PATH_BYTES]; /* empty: none */
    uint64_t cache;
    struct asks_settings asks;
};

enum {
    M_QUESTIONS,
    M_NOERROR,
    M_NXDOMAIN,
    M_SERVFAIL,
    M_OTHER,
    M_TIMEOUT,
    M_REFUSED,
    M_BOGUS,
    M_MALFORMED,
    M_LOST,
    M_IN_FLIGHT,
    M_WAITING,
    M_ANCHOR,
    METRICS
};

#define ANSWERS       "postern_dns_answers_total"
#define ANSWERS_HELP  "Answers given to other roles, by what they said."
#define TROUBLE       "postern_dns_trouble_total"
#define TROUBLE_HELP  "Questions beyond the limit, and replies that were not taken as they came."
#define QUESTIONS     "postern_dns_questions"
#define QUESTION_HELP "Questions now: with the servers, and waiting for their turn."

static const struct pn_metric metric_rows[METRICS] = {
    [M_QUESTIONS] = {"postern_dns_questions_total", NULL,
                     "Questions of other roles, beyond what they knew from shared answers.",
                     PN_COUNTER},
    [M_NOERROR] = {ANSWERS, "rcode=\"NOERROR\"", ANSWERS_HELP, PN_COUNTER},
    [M_NXDOMAIN] = {ANSWERS, "rcode=\"NXDOMAIN\"", ANSWERS_HELP, PN_COUNTER},
    [M_SERVFAIL] = {ANSWERS, "rcode=\"SERVFAIL\"", ANSWERS_HELP, PN_COUNTER},
    [M_OTHER] = {ANSWERS, "rcode=\"OTHER\"", ANSWERS_HELP, PN_COUNTER},
    [M_TIMEOUT] = {ANSWERS, "rcode=\"TIMEOUT\"", ANSWERS_HELP, PN_COUNTER},
    [M_REFUSED] = {TROUBLE, "kind=\"refused\"", TROUBLE_HELP, PN_COUNTER},
    [M_BOGUS] = {TROUBLE, "kind=\"bogus\"", TROUBLE_HELP, PN_COUNTER},
    [M_MALFORMED] = {TROUBLE, "kind=\"malformed\"", TROUBLE_HELP, PN_COUNTER},
    [M_LOST] = {TROUBLE, "kind=\"lost\"", TROUBLE_HELP, PN_COUNTER},
    [M_IN_FLIGHT] = {QUESTIONS, "state=\"in-flight\"", QUESTION_HELP, PN_GAUGE},
    [M_WAITING] = {QUESTIONS, "state=\"waiting\"", QUESTION_HELP, PN_GAUGE},
    [M_ANCHOR] = {"postern_dns_anchor_holds", NULL,
                  "Whether the trust anchor's zone was proved when last looked at.", PN_GAUGE},
};

struct resolver {
    struct pn_loop *loop;
    struct pn_admin_link *admin;
    struct pn_metric metrics[METRICS];
    struct ub_event_base *base;
    struct asks *asks;
    struct pn_dns_shelf *shelf; /* NULL: answers are not shared */
    struct settings settings;
    char granted[PATH_BYTES];     /* folder that the jail lets us read; empty: none */
    struct pn_jail_path readable; /* that folder, for the jail */
    struct pn_guests *guests;
    struct pn_buf out, gathered;
    const struct pn_guest *asking; /* whose record is being read */
    uint64_t lost;                 /* answers for which a channel had no room */
    struct anchor *anchor;         /* NULL: none, or nothing is asked of the network */
};

/* ---- settings ---- */

static bool read_path(const struct pn_policy *policy, const char *name, char path[PATH_BYTES],
                      struct pn_buf *err)
{
    struct pn_str s = pn_policy_str(policy, name);
    if (s.len >= PATH_BYTES) {
        (void)pn_buf_addf(err, "%s: the path is too long", name);
        return false;
    }
    memcpy(path, s.len == 0 ? "" : s.p, s.len);
    path[s.len] = '\0';
    return true;
}

static bool read_settings(const struct pn_policy *policy, struct settings *out, struct pn_buf *err)
{
    struct pn_str text;
    *out = (struct settings){
        .cache = (uint64_t)pn_policy_int(policy, "resolver.cache"),
        .asks = {.in_flight = (uint32_t)pn_policy_int(policy, "resolver.questions"),
                 .timeout_ms = (uint32_t)pn_policy_int(policy, "resolver.timeout")},
    };
    for (; pn_policy_str_at(policy, "resolver.forward", out->forward_count, &text);
         out->forward_count++) {
        struct upstream_server *to = &out->forward[out->forward_count];
        if (out->forward_count == FORWARD_MAX) {
            (void)pn_buf_addf(err, "resolver.forward: more than %d servers", FORWARD_MAX);
            return false;
        }
        if (!pn_endpoint_parse(text, &to->ip, &to->port)) {
            (void)pn_buf_addf(err, "resolver.forward: \"%.*s\" is no address and port",
                              PN_FMT(text));
            return false;
        }
    }
    return read_path(policy, "resolver.dns-file", out->dns_file, err) &&
           read_path(policy, "resolver.trust-anchor", out->trust_anchor, err);
}

static bool same_upstream(const struct settings *a, const struct settings *b)
{
    bool same = a->forward_count == b->forward_count && a->cache == b->cache &&
                a->asks.in_flight == b->asks.in_flight &&
                strcmp(a->trust_anchor, b->trust_anchor) == 0 && a->dns_file[0] == '\0' &&
                b->dns_file[0] == '\0';
    for (size_t i = 0; same && i < a->forward_count; i++)
        same = pn_ip_eq(&a->forward[i].ip, &b->forward[i].ip) &&
               a->forward[i].port == b->forward[i].port;
    return same;
}

/* ---- backends ---- */

/* From its beginning, wherever who had it before stopped. path is for messages. */
static struct pn_dnsfile *read_file(int fd, const char *path, struct pn_buf *err)
{
    struct pn_buf text;
    pn_buf_init(&text, PN_DNSFILE_MAX + 1);
    struct pn_dnsfile *file = NULL;
    ssize_t got = 1;
    errno = EBADF; /* none was handed over */
    while (got > 0) {
        char *to = pn_buf_reserve(&text, 64 * 1024);
        if (to == NULL) {
            errno = EFBIG;
            got = -1;
            break;
        }
        got = pread(fd, to, 64 * 1024, (off_t)text.len);
        text.len += got > 0 ? (size_t)got : 0;
    }
    if (got == 0)
        file = pn_dnsfile_parse(pn_buf_str(&text), path, err);
    else
        (void)pn_buf_addf(err, "%s: %s", path, strerror(errno));
    pn_buf_fini(&text);
    return file;
}

static bool make_backend(struct resolver *r, const struct settings *set, int dns_file_fd,
                         struct asks_backend *out, struct pn_buf *err)
{
    if (set->dns_file[0] != '\0') {
        struct pn_dnsfile *file = read_file(dns_file_fd, set->dns_file, err);
        if (file != NULL)
            *out = upstream_file(file);
        return file != NULL;
    }
    const struct upstream_settings upstream = {
        .forward = set->forward,
        .forward_count = set->forward_count,
        .trust_anchor = set->trust_anchor[0] == '\0' ? NULL : set->trust_anchor,
        .cache = set->cache,
        .in_flight = set->asks.in_flight,
    };
    return upstream_new(r->base, &upstream, out, err);
}

/* ---- askers ---- */

static void send_answers(const struct pn_guest *guest, struct pn_buf *answers)
{
    struct resolver *r = guest->ctx;
    /* One who does not read its answers has a deadline of its own. */
    if (answers->len != 0 &&
        !pn_channel_send(guest->channel, PN_REC_DNS_ANSWER, pn_buf_str(answers), NULL, 0))
        r->lost++;
    pn_buf_clear(answers);
}

/* What is known at once of the questions of one record goes back in one, as far as it
 * fits. Others may be answered meanwhile: they have a buffer of their own. */
static void on_answer(void *ctx, uint64_t id, const struct pn_dns_answer *answer)
{
    const struct pn_guest *guest = ctx;
    struct resolver *r = guest->ctx;
    pn_buf_clear(&r->out);
    pn_dns_answer_put(&r->out, id, answer);
    if (r->asking != guest) {
        send_answers(guest, &r->out);
        return;
    }
    if (!pn_buf_adds(&r->gathered, pn_buf_str(&r->out))) {
        send_answers(guest, &r->gathered);
        (void)pn_buf_adds(&r->gathered, pn_buf_str(&r->out));
    }
}

static void ask_one(void *ctx, const struct pn_dns_ask *ask)
{
    asker_ask(ctx, ask);
}

static bool on_record(struct pn_guest *guest, struct pn_record *record)
{
    struct resolver *r = guest->ctx;
    r->asking = guest;
    bool ok = record->type == PN_REC_DNS_ASK && pn_dns_asks_each(record->body, ask_one, guest->own);
    r->asking = NULL;
    send_answers(guest, &r->gathered);
    return ok;
}

static void put_on_shelf(void *ctx, const char *name, uint16_t type,
                         const struct pn_dns_answer *answer, uint32_t ttl)
{
    pn_dns_shelf_put(ctx, pn_str_of(name), type, answer, ttl, pn_clock_mono_ns());
}

static void on_come(struct pn_guest *guest)
{
    struct resolver *r = guest->ctx;
    guest->own = asker_new(r->asks, on_answer, guest);
    if (r->shelf != NULL && guest->role != PN_ROLE_QUEUE) {
        int fd = pn_dns_shelf_fd(r->shelf);
        (void)pn_channel_send(guest->channel, PN_REC_DNS_SHELF, PN_STR(""), &fd, 1);
    }
}

static void on_gone(struct pn_guest *guest)
{
    struct asker *asker = guest->own;
    asker_free(&asker);
}

static const struct pn_guests_ops guests_ops = {.roles = 1U << PN_ROLE_EDGE | 1U << PN_ROLE_FILTER |
                                                         1U << PN_ROLE_QUEUE,
                                                .queue = ANSWER_QUEUE,
                                                .on_come = on_come,
                                                .on_record = on_record,
                                                .on_gone = on_gone};

/* ---- control ---- */

static void fill_metrics(void *ctx)
{
    struct resolver *r = ctx;
    const struct asks_counters *n = asks_counters(r->asks);
    const struct upstream_counters *up = upstream_counters();
    const uint64_t values[METRICS] = {
        [M_QUESTIONS] = n->asked,
        [M_NOERROR] = n->noerror,
        [M_NXDOMAIN] = n->nxdomain,
        [M_SERVFAIL] = n->servfail,
        [M_OTHER] = n->other,
        [M_TIMEOUT] = n->timeout,
        [M_REFUSED] = n->refused,
        [M_BOGUS] = up->bogus,
        [M_MALFORMED] = up->malformed,
        [M_LOST] = r->lost,
        [M_IN_FLIGHT] = n->in_flight,
        [M_WAITING] = n->waiting,
        [M_ANCHOR] = r->anchor != NULL && anchor_holds(r->anchor),
    };
    for (size_t i = 0; i < METRICS; i++)
        r->metrics[i].value = (int64_t)values[i];
}

static void on_peer(void *ctx, struct pn_peer *peer)
{
    struct resolver *r = ctx;
    if (!pn_admin_link_peer(r->admin, peer))
        pn_guests_add(r->guests, peer);
}

/* Takes the generation's policy. */
static bool settings_of(struct pn_generation *gen, struct settings *out, struct pn_buf *err)
{
    struct pn_policy *policy = pn_policy_open(gen->policy_fd, err);
    gen->policy_fd = -1;
    bool ok = policy != NULL && read_settings(policy, out, err);
    pn_policy_unref(&policy);
    return ok;
}

/* The folder of a file: it may be replaced by rename. Empty for no file. */
static void folder_of(const char *file, char folder[PATH_BYTES])
{
    const char *slash = strrchr(file, '/');
    size_t len = slash == NULL ? 0 : slash == file ? 1 : (size_t)(slash - file);
    memcpy(folder, file, len);
    folder[len] = '\0';
}

/* A jail is never widened. */
static bool is_granted(const struct resolver *r, const char *file)
{
    char folder[PATH_BYTES];
    folder_of(file, folder);
    return folder[0] == '\0' || strcmp(folder, r->granted) == 0;
}

/* The trust anchor by this backend; the one of before is not asked any more. */
static void watch_anchor(struct resolver *r, const struct asks_backend *backend)
{
    anchor_free(&r->anchor);
    if (r->settings.trust_anchor[0] != '\0' && r->settings.dns_file[0] == '\0')
        r->anchor = anchor_new(r->loop, r->settings.trust_anchor);
    if (r->anchor != NULL)
        anchor_watch(r->anchor, backend);
}

static void on_generation(void *ctx, struct pn_generation *gen)
{
    struct resolver *r = ctx;
    struct settings set;
    struct asks_backend backend;
    struct pn_buf err;
    pn_buf_init(&err, 2000);
    if (!settings_of(gen, &set, &err)) {
        pn_error("the new settings can't be used, the old ones stay: %s", pn_buf_cstr(&err));
    } else if (!is_granted(r, set.trust_anchor)) {
        /* Who asked us asks the next one. */
        pn_info("starting anew: the settings name a file that this jail can't read");
        pn_loop_stop(r->loop);
    } else if (same_upstream(&set, &r->settings)) {
        r->settings = set;
        asks_set(r->asks, &set.asks);
    } else if (make_backend(r, &set, gen->dns_file_fd, &backend, &err)) {
        r->settings = set;
        watch_anchor(r, &backend);
        asks_reload(r->asks, &set.asks, backend);
        if (r->shelf != NULL)
            pn_dns_shelf_clear(r->shelf);
    } else {
        pn_error("the new settings can't be used, the old ones stay: %s", pn_buf_cstr(&err));
    }
    pn_generation_free(&gen);
    pn_buf_fini(&err);
}

static void on_drain(void *ctx, uint32_t limit_ms)
{
    struct resolver *r = ctx;
    pn_guests_drain(r->guests, limit_ms);
}

/* ---- the role ---- */

/* A socket a question in flight: as many descriptors as this user may have. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        pn_warn("the limit of descriptors stays at its default: %s", strerror(errno));
}

/* The folder of the trust anchor, which libunbound reads again at a reload. */
static void widen_jail(struct resolver *r, struct pn_jail *jail)
{
    folder_of(r->settings.trust_anchor, r->granted);
    r->readable = (struct pn_jail_path){r->granted, false};
    if (r->granted[0] != '\0') {
        jail->paths = &r->readable;
        jail->path_count = 1;
        jail->grants = PN_GRANT_FILES;
    }
}

/* Settings, a backend, and what lives on the loop. */
static bool begin(struct pn_role_life *life, struct pn_buf *err)
{
    struct resolver *r = life->ctx;
    struct pn_role_env *env = life->env;
    struct asks_backend backend;
    pn_buf_init(&r->out, PN_RECORD_MAX - 64);
    pn_buf_init(&r->gathered, PN_RECORD_MAX - 64);
    raise_descriptors();
    r->loop = life->loop;
    r->base = ub_base_new(r->loop);
    if (!settings_of(env->gen, &r->settings, err) ||
        (r->settings.trust_anchor[0] != '\0' && !proof_run(err)) ||
        !make_backend(r, &r->settings, env->gen->dns_file_fd, &backend, err))
        return false;
    pn_generation_free(&env->gen); /* nothing more is read from it */
    r->asks = asks_new(r->loop, &r->settings.asks, backend);
    watch_anchor(r, &backend);
    r->shelf = pn_dns_shelf_new();
    if (r->shelf != NULL)
        asks_keep(r->asks, put_on_shelf, r->shelf);
    r->guests = pn_guests_new(r->loop, &guests_ops, r);
    memcpy(r->metrics, metric_rows, sizeof r->metrics);
    r->admin = pn_admin_link_new(r->loop, r->metrics, METRICS, fill_metrics, r);
    widen_jail(r, &life->jail);
    return true;
}

static void join(struct pn_role_life *life)
{
    struct resolver *r = life->ctx;
    pn_admin_link_control(r->admin, life->control);
}

static void end(struct pn_role_life *life)
{
    struct resolver *r = life->ctx;
    pn_guests_free(&r->guests);
    anchor_free(&r->anchor);
    pn_admin_link_free(&r->admin);
    asks_free(&r->asks);
    pn_dns_shelf_free(&r->shelf);
    ub_base_free(&r->base);
    pn_buf_fini(&r->out);
    pn_buf_fini(&r->gathered);
}

int pn_resolver_main(struct pn_role_env *env)
{
    static const struct pn_role_steps steps = {
        .jail = PN_JAIL_RESOLVER,
        .control = {on_generation, on_peer, on_drain, NULL},
        .begin = begin,
        .join = join,
        .end = end,
    };
    struct resolver r = {0};
    return pn_role_run(env, &steps, &r);
}
