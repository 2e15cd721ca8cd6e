#include "scan_host.h"

#include "answers.h"
#include "dns.h"
#include "launch.h"
#include "log.h"
#include "mem.h"
#include "policy.h"
#include "resolver_host.h"
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { START_MS = 120 * 1000, QUEUE_MAX = 8 * 1024 * 1024 };

/* A worker's control channel: held open for as long as it is to live. */
struct control {
    int fd;
    uint32_t number;
    unsigned group;
    bool solo;
    struct control *next;
};

struct group {
    struct pn_launch template;
    char private_path[PATH_MAX];
};

struct pn_scan_host {
    struct pn_loop *loop;
    struct pn_plan *plan;
    struct pn_runner *runner;
    int policy_fd;
    struct group groups[PN_PLAN_GROUPS_MAX];
    unsigned group_count; /* started */
    uint32_t next_worker;
    struct control *controls;
    struct pn_answers *answers;
    const struct pn_dnsfile *file;
    const struct pn_facts *state; /* what it answered once; NULL: it is empty */
    struct pn_launch resolver;
    struct pn_channel *upstream; /* to the resolver role; NULL: none */
    struct forwarded {
        uint64_t id;            /* ours, to the resolver */
        uint64_t asked;         /* the worker's own */
        struct pn_asker *asker; /* NULL: it is gone */
    } * forwarded;
    size_t forwarded_count, forwarded_cap;
    uint64_t next_id;
    char tmp[PATH_MAX / 2];
};

/* ---- DNS ---- */

static bool forward(struct pn_scan_host *h, struct pn_asker *a, const struct pn_dns_ask *asked)
{
    struct pn_dns_ask ask = *asked;
    struct forwarded f = {++h->next_id, ask.id, a};
    struct pn_buf b;
    if (h->upstream == NULL)
        return false;
    ask.id = f.id;
    pn_buf_init(&b, 1024);
    pn_dns_ask_put(&b, &ask);
    bool sent = pn_channel_send(h->upstream, PN_REC_DNS_ASK, pn_buf_str(&b), NULL, 0);
    pn_buf_fini(&b);
    if (sent) {
        h->forwarded = pn_grow(h->forwarded, &h->forwarded_cap, h->forwarded_count, sizeof f);
        h->forwarded[h->forwarded_count++] = f;
    }
    return sent;
}

static void answer_dns(void *ctx, struct pn_asker *a, const struct pn_dns_ask *ask)
{
    static const struct pn_dns_answer none = {.rcode = PN_DNS_TIMEOUT};
    struct pn_scan_host *h = ctx;
    struct pn_dns_answer answer;
    if (h->file != NULL) {
        pn_dnsfile_find(h->file, ask->name, ask->type, &answer);
        pn_asker_dns(a, ask->id, &answer);
    } else if (!forward(h, a, ask)) {
        pn_asker_dns(a, ask->id, &none);
    }
}

static void on_asker_gone(void *ctx, struct pn_asker *a)
{
    struct pn_scan_host *h = ctx;
    for (size_t i = 0; i < h->forwarded_count; i++)
        if (h->forwarded[i].asker == a)
            h->forwarded[i].asker = NULL;
}

static bool on_answer(void *ctx, struct pn_record *record)
{
    struct pn_scan_host *h = ctx;
    struct pn_dns_record records[PN_DNS_RECORDS_MAX];
    struct pn_dns_answer answer;
    uint64_t id;
    if (record->type == PN_REC_DNS_SHELF)
        return true; /* for who asks often */
    if (record->type != PN_REC_DNS_ANSWER ||
        !pn_dns_answer_get(record->body, &id, &answer, records))
        return false;
    for (size_t i = 0; i < h->forwarded_count; i++) {
        struct forwarded f = h->forwarded[i];
        if (f.id != id)
            continue;
        h->forwarded[i] = h->forwarded[--h->forwarded_count];
        if (f.asker != NULL)
            pn_asker_dns(f.asker, f.asked, &answer);
        return true;
    }
    return true; /* answered behind its deadline */
}

static void on_upstream_end(void *ctx, enum pn_channel_end how)
{
    struct pn_scan_host *h = ctx;
    (void)how;
    pn_channel_free(&h->upstream);
    pn_error("the resolver ended; names time out from now on");
}

void pn_scan_host_dns(struct pn_scan_host *host, const struct pn_dnsfile *file)
{
    host->file = file;
}

/* ---- lasting state: as recorded; else there is nothing, and every bucket is full ---- */

void pn_scan_host_state(struct pn_scan_host *host, const struct pn_facts *facts)
{
    host->state = facts;
}

/* Where the plan is another one by now, the step of a take may be too. */
static const struct pn_state_seen *recorded(const struct pn_scan_host *h,
                                            const struct pn_state_ask *ask)
{
    struct pn_str key = ask->key, plugin = pn_str_split(&key, '/');
    enum pn_state_op op = ask->take ? PN_STATE_TAKE : PN_STATE_GET;
    if (h->state == NULL || key.p == NULL)
        return NULL;
    const struct pn_state_seen *s = pn_facts_state(h->state, plugin, op, key, ask->step);
    for (size_t i = 0; s == NULL && i < h->state->state_count; i++)
        if (h->state->state[i].op == op && pn_str_eq(h->state->state[i].plugin, plugin) &&
            pn_str_eq(h->state->state[i].key, key))
            s = &h->state->state[i];
    return s;
}

static void answer_state(void *ctx, const struct pn_state_ask *ask, struct pn_state_answer *answer)
{
    const struct pn_state_seen *s = recorded(ctx, ask);
    if (s == NULL) {
        pn_answers_empty(ask, answer);
        return;
    }
    answer->status = s->result == PN_STATE_OK     ? PN_STATE_IS_OK
                     : s->result == PN_STATE_NONE ? PN_STATE_IS_NONE
                                                  : PN_STATE_IS_AWAY;
    answer->local = s->local;
    answer->left = s->left;
    answer->value = s->value;
}

/* ---- processes ---- */

static struct pn_start start_of(const struct pn_scan_host *h, enum pn_role role, const char *name)
{
    return (struct pn_start){.role = (uint8_t)role,
                             .generation = h->plan->generation,
                             .flags = PN_START_TOLD,
                             .uid = (uint32_t)getuid(),
                             .gid = (uint32_t)getgid(),
                             .name = pn_str_of(name)};
}

static bool start_resolver(struct pn_scan_host *h, struct pn_buf *err)
{
    static const struct pn_channel_ops ops = {.on_record = on_answer, .on_end = on_upstream_end};
    int fd = pn_resolver_start(&h->resolver, h->plan->policy, h->plan->generation, h->policy_fd,
                               START_MS, err);
    if (fd >= 0)
        h->upstream = pn_channel_new(h->loop, fd, &ops, h, QUEUE_MAX);
    return fd >= 0;
}

static bool give_private(struct pn_scan_host *h, unsigned group, int fd)
{
    struct pn_folder folder = {.purpose = PN_FOLDER_PRIVATE,
                               .path = pn_str_of(h->groups[group].private_path)};
    folder.fd = open(h->groups[group].private_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = folder.fd >= 0 && pn_launch_folder(fd, &folder);
    if (folder.fd >= 0)
        (void)close(folder.fd);
    return ok;
}

static bool start_template(struct pn_scan_host *h, const char *program, unsigned group,
                           struct pn_buf *err)
{
    char name[PN_ROLE_NAME_MAX];
    struct group *g = &h->groups[group];
    (void)snprintf(name, sizeof name, "template-%u", group);
    (void)snprintf(g->private_path, sizeof g->private_path, "%s/%u", h->tmp, group);
    if (mkdir(g->private_path, 0700) != 0) {
        (void)pn_buf_addf(err, "%s: %s", g->private_path, strerror(errno));
        return false;
    }
    struct pn_start start = start_of(h, PN_ROLE_FILTER, name);
    start.group = group;
    if (!pn_launch(&g->template, program, PN_ROLE_FILTER, err))
        return false;
    h->group_count = group + 1;
    return pn_launch_start(g->template.fd, &start, h->policy_fd) &&
           give_private(h, group, g->template.fd) && pn_launch_go(g->template.fd) &&
           pn_launch_ready(g->template.fd, START_MS, err);
}

/* A channel pair whose one end goes to the worker as a peer of that role; the other, or -1. */
static int introduce(int control, struct pn_peer peer)
{
    int fds[2];
    if (pn_channel_pair(fds) != 0)
        return -1;
    peer.fd = fds[1];
    bool ok = pn_launch_peer(control, &peer);
    (void)close(fds[1]);
    if (!ok) {
        (void)close(fds[0]);
        return -1;
    }
    return fds[0];
}

/* want: NULL for an ordinary worker. */
static bool start_worker(struct pn_scan_host *h, unsigned group, const struct pn_want_solo *want,
                         struct pn_buf *err)
{
    char name[PN_ROLE_NAME_MAX];
    int fds[2];
    uint32_t number = h->next_worker++;
    struct pn_worker worker = {.number = number};
    struct pn_peer edge = {.role = PN_ROLE_EDGE,
                           .generation = h->plan->generation,
                           .flags = PN_PEER_STILL |
                                    (want == NULL ? 0U : PN_PEER_SOLO)}; /* ends when let go */
    struct pn_peer resolver = {.role = PN_ROLE_RESOLVER}, state = {.role = PN_ROLE_STATE};
    if (pn_channel_pair(fds) != 0) {
        (void)pn_buf_addf(err, "no channel: %s", strerror(errno));
        return false;
    }
    (void)snprintf(name, sizeof name, "worker-%u", number);
    struct pn_start start = start_of(h, PN_ROLE_FILTER, name);
    start.number = number;
    start.group = group;
    struct control *control = pn_calloc(1, sizeof *control);
    *control = (struct control){fds[0], number, group, want != NULL, h->controls};
    h->controls = control;
    bool ok = pn_launch_worker(h->groups[group].template.fd, &worker, fds[1]) &&
              pn_launch_start(fds[0], &start, h->policy_fd);
    (void)close(fds[1]);
    int edge_fd = ok ? introduce(fds[0], edge) : -1;
    int dns_fd = ok ? introduce(fds[0], resolver) : -1;
    int state_fd = ok ? introduce(fds[0], state) : -1;
    if (dns_fd >= 0)
        pn_answers_add_dns(h->answers, dns_fd);
    if (state_fd >= 0)
        pn_answers_add_state(h->answers, state_fd);
    if (edge_fd < 0 || dns_fd < 0 || state_fd < 0 || !give_private(h, group, fds[0]) ||
        !pn_launch_go(fds[0]) || !pn_launch_ready(fds[0], START_MS, err)) {
        if (err->len == 0)
            (void)pn_buf_addf(err, "worker %u of group %u did not start", number, group);
        if (edge_fd >= 0)
            (void)close(edge_fd);
        return false;
    }
    struct pn_peer peer = {.role = PN_ROLE_FILTER,
                           .number = number,
                           .group = group,
                           .generation = h->plan->generation,
                           .flags = want == NULL ? 0 : PN_PEER_SOLO,
                           .token = want == NULL ? 0 : want->token,
                           .fd = edge_fd};
    pn_runner_add_worker(h->runner, &peer);
    return true;
}

/* Solo workers end when the runner lets them go; nobody tells us. */
static void forget_ended(struct pn_scan_host *h)
{
    for (struct control **at = &h->controls; *at != NULL;) {
        struct control *c = *at;
        struct pollfd p = {.fd = c->fd};
        if (!c->solo || poll(&p, 1, 0) <= 0 || (p.revents & POLLHUP) == 0) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        (void)close(c->fd);
        free(c);
    }
}

static void on_want_solo(void *ctx, const struct pn_want_solo *want)
{
    struct pn_scan_host *h = ctx;
    struct pn_buf err;
    forget_ended(h);
    pn_buf_init(&err, 1024);
    if (want->group >= h->group_count || !start_worker(h, want->group, want, &err))
        pn_error("no worker to replay in: %s", pn_buf_cstr(&err));
    pn_buf_fini(&err);
}

static void on_lost_worker(void *ctx, uint32_t number)
{
    struct pn_scan_host *h = ctx;
    struct pn_buf err;
    struct control **at = &h->controls;
    while (*at != NULL && (*at)->number != number)
        at = &(*at)->next;
    if (*at == NULL)
        return;
    struct control *gone = *at;
    *at = gone->next;
    (void)close(gone->fd);
    pn_buf_init(&err, 1024);
    if (!gone->solo && !start_worker(h, gone->group, NULL, &err))
        pn_error("no worker in place of one that died: %s", pn_buf_cstr(&err));
    pn_buf_fini(&err);
    free(gone);
}

static bool start_all(struct pn_scan_host *h, bool network, unsigned workers, struct pn_buf *err)
{
    char program[PATH_MAX];
    (void)pn_daemon_path(program, sizeof program);
    if (network && !start_resolver(h, err))
        return false;
    for (unsigned g = 0; g < h->plan->group_count; g++) {
        if (!start_template(h, program, g, err))
            return false;
        for (unsigned i = 0; i < workers; i++)
            if (!start_worker(h, g, NULL, err))
                return false;
    }
    return true;
}

struct pn_scan_host *pn_scan_host_new(struct pn_loop *loop, struct pn_plan *plan, int policy_fd,
                                      bool network, unsigned workers, struct pn_buf *err)
{
    static const struct pn_answers_ops answers_ops = {
        .dns = answer_dns, .state = answer_state, .gone = on_asker_gone};
    static const struct pn_runner_ops ops = {.want_solo = on_want_solo,
                                             .lost_worker = on_lost_worker};
    const char *tmp = getenv("TMPDIR");
    struct pn_scan_host *h = pn_calloc(1, sizeof *h);
    h->loop = loop;
    h->answers = pn_answers_new(loop, &answers_ops, h);
    h->plan = pn_plan_ref(plan);
    h->policy_fd = policy_fd;
    h->resolver.fd = -1;
    (void)snprintf(h->tmp, sizeof h->tmp, "%s/postern-scan-XXXXXX", tmp != NULL ? tmp : "/tmp");
    struct pn_str hostname =
        plan->policy == NULL ? PN_STR("localhost") : pn_policy_str(plan->policy, "smtp.hostname");
    h->runner = pn_runner_new(loop, plan, hostname, &ops, h);
    if (mkdtemp(h->tmp) == NULL) {
        (void)pn_buf_addf(err, "%s: %s", h->tmp, strerror(errno));
        h->tmp[0] = '\0';
    } else if (start_all(h, network, workers, err)) {
        return h;
    }
    if (err->len == 0)
        (void)pn_buf_addz(err, "a filter process did not start");
    pn_scan_host_free(&h);
    return NULL;
}

struct pn_runner *pn_scan_host_runner(struct pn_scan_host *host)
{
    return host->runner;
}

void pn_scan_host_free(struct pn_scan_host **hp)
{
    struct pn_scan_host *h = *hp;
    if (h == NULL)
        return;
    *hp = NULL;
    pn_runner_free(&h->runner);
    pn_answers_free(&h->answers);
    /* Before its workers, of whose end it would have news else. */
    for (unsigned g = 0; g < h->group_count; g++)
        pn_role_drain(h->groups[g].template.fd);
    while (h->controls != NULL) {
        struct control *c = h->controls;
        h->controls = c->next;
        pn_role_drain(c->fd);
        (void)close(c->fd);
        free(c);
    }
    for (unsigned g = 0; g < h->group_count; g++) {
        pn_launch_stop(&h->groups[g].template);
        (void)rmdir(h->groups[g].private_path);
    }
    pn_channel_free(&h->upstream);
    pn_resolver_stop(&h->resolver);
    if (h->tmp[0] != '\0')
        (void)rmdir(h->tmp);
    pn_plan_unref(&h->plan);
    free(h->forwarded);
    free(h);
}
