/* postern scan: judges messages as the server would, and says why. */
#include "scan_batch.h"
#include "scan_compile.h"
#include "scan_edits.h"
#include "scan_host.h"
#include "scan_input.h"
#include "scan_show.h"

#include "cli.h"
#include "clock.h"
#include "dnsfile.h"
#include "early.h"
#include "log.h"
#include "mem.h"
#include "memfile.h"
#include "verdict.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static const char usage[] =
    "usage: postern scan [options] --ip ADDR --helo NAME --from ADDR --rcpt ADDR... FILE|DIR|-...\n"
    "       postern scan [options] --batch FILE\n"
    "       postern scan [options] --event FILE MESSAGE\n"
    "\n"
    "  -c, --config FILE  policy and plugins; without it the shipped default policy, all\n"
    "                     plugins, and any recipient\n"
    "  --plugins LIST     only these, parted by commas (\"\": none)\n"
    "  --dns FILE         answers DNS questions from this file\n"
    "  --state FILE       what lasting state answered, from the event of a message\n"
    "  --time UNIX        the time that plugins see, in seconds\n"
    "  --auth RESULTS     'spf=pass smtp.mailfrom=D; dkim=pass header.d=D': stands for those "
    "plugins\n"
    "  --standing PLUGIN=TEXT  what the plugin's tick had left (an event's \"standing\")\n"
    "  --port N  --auth-id USER  --tls\n"
    "  --mail-args TEXT   MAIL's ESMTP arguments (an event's \"mail_args\")\n"
    "  --early LIST       what the client did not wait for, of greeting,helo,command\n"
    "  --batch FILE       one JSON case a line: ip helo from rcpt, file or message, dns time auth\n"
    "  --event FILE       judges MESSAGE anew as FILE, its event, says it was: client, envelope, "
    "DNS,\n"
    "                     state, time; what a daemon answered (milter, clamd) is taken from it "
    "too\n"
    "  --given LIST       with --event: only these plugins' facts are taken from it (\"\": none)\n"
    "  --json             one JSON object a message\n"
    "\n"
    "Exit status: 0 all are accepted, 1 some are not, 2 usage, 3 a file or process failed.\n";

enum { FLIGHT_MAX = 16, WORKERS = 2, CASE_POOL_MAX = 64 * 1024 * 1024 };

struct options {
    const char *config, *plugins, *dns, *state, *event, *given;
    bool json, has_ip, has_case; /* has_case: an option says what an event would */
    struct pn_scan_source source;
    struct pn_str rcpts[PN_SCAN_RCPTS_MAX];
};

struct scan {
    struct options *o;
    struct pn_loop *loop;
    struct pn_policy *policy;
    struct pn_plan *plan;
    struct pn_scan_host *host;
    struct pn_dnsfile *dns;      /* of --dns */
    struct pn_dnsfile *case_dns; /* of the batch line at hand */
    struct pn_pool *state_pool;  /* of what the case at hand was answered */
    struct pn_facts state;
    struct pn_buf state_file;    /* of --state */
    struct pn_scan_event *event; /* of --event */
    struct pn_scan_show show;
    size_t flight;       /* cases under way */
    uint64_t next, done; /* numbers: results are printed in the order of the cases */
    bool failed, refused, usage;
    struct pn_buf *err;
};

/* One case under way. */
struct judged {
    struct scan *scan;
    struct pn_pool *pool;
    struct pn_check *check;
    struct pn_str file, from;
    struct pn_ip ip;
    struct pn_str auth_id, held;
    const struct pn_str *rcpts;
    size_t rcpt_count;
    const struct pn_scan_event *event; /* NULL: none */
    struct pn_str id;                  /* the event's */
    const struct pn_str *refusals;     /* beside rcpts; NULL: none was refused at RCPT */
    bool each_replies, before_content;
    size_t body_edit; /* which edit has the new body */
    struct pn_scan_recorded *recorded;
    int content_fd;
    uint64_t number;
};

/* ---- one case ---- */

static void judged_free(struct judged *j)
{
    pn_check_free(&j->check);
    if (j->content_fd >= 0)
        (void)close(j->content_fd);
    pn_pool_free(&j->pool);
    j->scan->flight--;
    free(j);
}

static const struct pn_domain *home_of(const struct scan *s, struct pn_str address)
{
    size_t at = address.len;
    while (at > 0 && address.p[at - 1] != '@')
        at--;
    const struct pn_domain *d = pn_policy_domain(s->policy, pn_str_slice(address, at, address.len));
    return d != NULL ? d : pn_policy_default_domain(s->policy);
}

/* Whose policy decides: what a user submits has one of its own. */
static const struct pn_domain *domain_of(void *ctx, struct pn_str address)
{
    const struct judged *j = ctx;
    return j->auth_id.len != 0 ? pn_policy_submitted(j->scan->policy) : home_of(j->scan, address);
}

/* What no line of the policy refused, something else did. */
static void refused_otherwise(struct pn_str reply, struct pn_decision *d)
{
    d->outcome = pn_str_starts(reply, PN_STR("4")) ? PN_DEFER : PN_REJECT;
    d->reply = reply;
    d->because[0] = (struct pn_because){PN_STR(""), PN_STR("refused at RCPT")};
    d->because_count = 1;
}

/* What the server finds at RCPT; it knows no unknown recipients here. NULL: it is itself. */
static const struct pn_expansion *expand(struct judged *j, const struct pn_domain *domain,
                                         struct pn_str address)
{
    struct pn_expansion *x = pn_pool_alloc(j->pool, sizeof *x);
    return x != NULL && pn_expand(j->scan->policy, domain, address, j->pool, x) == PN_EXPAND_DONE
               ? x
               : NULL;
}

static void decide(struct judged *j, struct pn_verdict *v, uint32_t index,
                   const struct pn_scan_rcpt *rcpt)
{
    struct scan *s = j->scan;
    struct pn_verdict_rcpt *r = &v->rcpts[v->rcpt_count++];
    struct pn_decide_input in = {.facts = v->facts,
                                 .sender = j->from,
                                 .recipient = rcpt->address,
                                 .rcpt = index,
                                 .client = j->ip,
                                 .auth_id = j->auth_id,
                                 .held = j->held,
                                 .early = j->before_content};
    *r = (struct pn_verdict_rcpt){.address = rcpt->address,
                                  .index = index,
                                  .domain = domain_of(j, rcpt->address),
                                  .added = rcpt->added,
                                  .removed = rcpt->removed,
                                  .edit = rcpt->edit};
    r->stands_for = expand(j, home_of(s, rcpt->address), rcpt->address);
    pn_decide(s->policy, r->domain, &in, j->pool, &r->decision);
    if (j->before_content && !pn_outcome_refuses(r->decision.outcome))
        refused_otherwise(j->refusals[index], &r->decision);
}

/* The new body is looked at, as the server does, and not kept. */
static void look_at_body(struct judged *j, struct pn_verdict *v, bool *broken)
{
    struct pn_new_body body;
    size_t edit = j->body_edit;
    int fd = pn_check_body(j->check, &(size_t){0});
    if (j->recorded != NULL && pn_scan_recorded_body(v, j->recorded, broken))
        return;
    *broken = pn_verdict_body(v, fd, edit, j->pool, &body) == PN_BODY_BROKEN;
    pn_unmap(&body.bytes);
}

/* Refused at RCPT, all of them: no edit was looked at then. */
static bool decide_early(struct judged *j, struct pn_verdict *v)
{
    v->rcpts = pn_pool_alloc(j->pool, j->rcpt_count * sizeof *v->rcpts);
    for (size_t i = 0; v->rcpts != NULL && i < j->rcpt_count; i++)
        decide(j, v, (uint32_t)i, &(struct pn_scan_rcpt){.address = j->rcpts[i]});
    if (v->rcpts != NULL)
        pn_verdict_settle(v, false, j->pool);
    return v->rcpts != NULL;
}

/* False: the pool's limit. */
static bool decide_all(struct judged *j, struct pn_verdict *v)
{
    const struct pn_scan_envelope envelope = {j->rcpts, j->refusals, j->rcpt_count, j->recorded};
    size_t count = 0;
    bool broken;
    struct pn_scan_rcpt *rcpts = pn_scan_edits(v, &envelope, &count, j->pool, domain_of, j);
    v->rcpts = pn_pool_alloc(j->pool, count * sizeof *v->rcpts);
    if (rcpts == NULL || v->rcpts == NULL)
        return false;
    look_at_body(j, v, &broken);
    for (unsigned class = 0; class < 3; class ++)
        for (size_t i = 0; i < count; i++)
            if ((rcpts[i].removed ? 2 : rcpts[i].added) == class && !rcpts[i].refused)
                decide(j, v, (uint32_t)i, &rcpts[i]);
    pn_verdict_settle(v, j->each_replies, j->pool);
    if (broken)
        pn_verdict_replied(v, PN_STR("451 4.3.0 The message could not be changed as it must be, "
                                     "try again later"));
    return true;
}

static void on_after(void *ctx, enum pn_check_end end)
{
    struct judged *j = ctx;
    (void)end;
    j->scan->done++;
    judged_free(j);
}

static void on_checked(void *ctx, enum pn_check_end end)
{
    struct judged *j = ctx;
    struct scan *s = j->scan;
    char id[32];
    (void)snprintf(id, sizeof id, "scan-%" PRIu64, j->number + 1);
    struct pn_verdict v = {.id = pn_str_of(id), .file = j->file, .policy = s->policy};
    struct pn_facts facts;
    v.facts = pn_check_facts(j->check);
    (void)pn_check_body(j->check, &j->body_edit);
    bool ok = end != PN_CHECK_OVERLOAD;
    if (ok && j->event != NULL) {
        ok = pn_scan_event_order(j->event, v.facts, &facts, &j->recorded, &j->body_edit, j->pool);
        v.facts = &facts;
        v.id = j->id;
    }
    v.envelope_count = j->rcpt_count;
    v.envelope = j->rcpts;
    if (!ok || !(j->before_content ? decide_early : decide_all)(j, &v)) {
        pn_error("%.*s: not judged: too much at once", PN_FMT(j->file));
        s->failed = true;
    } else {
        s->refused = s->refused || v.outcome != PN_ACCEPT;
        pn_scan_show_verdict(&s->show, j->number, &v);
    }
    if (end == PN_CHECK_OVERLOAD || !pn_check_run(j->check, POSTERN_AFTER, on_after, j))
        on_after(j, end);
}

/* What --auth gives stands for the plugins of those names. */
static bool give_auth(struct judged *j, struct pn_str auth)
{
    struct pn_facts all;
    pn_facts_init(&all, j->pool);
    if (!pn_scan_auth(auth, &all, j->scan->err))
        return false;
    for (size_t r = 0; r < all.run_count; r++) {
        struct pn_facts one;
        int plugin = pn_plan_find(j->scan->plan, all.runs[r].plugin);
        pn_facts_init(&one, j->pool);
        for (size_t i = 0; i < all.auth_count; i++)
            if (pn_str_eq(all.auth[i].plugin, all.runs[r].plugin))
                (void)pn_facts_add_auth(&one, &all.auth[i]);
        (void)pn_facts_add_run(&one, &all.runs[r]);
        if (plugin < 0) {
            j->scan->usage = j->scan->o->source.batch == NULL;
            (void)pn_buf_addf(j->scan->err, "--auth: no plugin is called %.*s",
                              PN_FMT(all.runs[r].plugin));
            return false;
        }
        pn_check_give(j->check, (unsigned)plugin, &one);
    }
    return true;
}

/* What the event has stands for plugins that learned it elsewhere. */
static bool give_recorded(struct judged *j)
{
    const struct pn_plan *plan = j->scan->plan;
    for (unsigned i = 0; i < plan->count; i++) {
        const struct pn_plan_plugin *p = &plan->plugins[i];
        struct pn_facts facts;
        if (!pn_scan_event_gives(j->event, p->name, (p->needs & POSTERN_NEED_NETWORK) != 0))
            continue;
        pn_facts_init(&facts, j->pool);
        if (!pn_scan_event_facts(j->event, p->name, &facts)) {
            (void)pn_buf_addf(j->scan->err, "--event: %.*s found more than facts hold",
                              PN_FMT(p->name));
            return false;
        }
        pn_check_give(j->check, i, &facts);
    }
    return true;
}

static struct judged *judged_new(struct scan *s, const struct pn_scan_case *c)
{
    struct judged *j = pn_calloc(1, sizeof *j);
    j->scan = s;
    j->pool = pn_pool_new(CASE_POOL_MAX);
    j->number = s->next++;
    j->file = pn_pool_dup(j->pool, c->file);
    j->from = c->from.len == 0 ? PN_STR("") : pn_pool_dup(j->pool, c->from);
    j->auth_id = c->auth_id.len == 0 ? PN_STR("") : pn_pool_dup(j->pool, c->auth_id);
    j->held = c->held.len == 0 ? PN_STR("") : pn_pool_dup(j->pool, c->held);
    j->ip = c->ip;
    j->rcpt_count = c->rcpt_count;
    struct pn_str *rcpts = pn_pool_alloc(j->pool, c->rcpt_count * sizeof *rcpts);
    for (size_t i = 0; i < c->rcpt_count; i++)
        rcpts[i] = pn_pool_dup(j->pool, c->rcpts[i]);
    j->rcpts = rcpts;
    j->event = c->event;
    j->refusals = c->refusals;
    j->each_replies = c->each_replies;
    j->before_content = c->before_content;
    j->id = c->id.len == 0 ? PN_STR("") : pn_pool_dup(j->pool, c->id);
    j->content_fd = pn_memfile_of("scan", c->content);
    s->flight++;
    return j;
}

static bool judge(struct scan *s, const struct pn_scan_case *c)
{
    struct judged *j = judged_new(s, c);
    struct pn_str id = c->id.len != 0 ? c->id : PN_STR("scan");
    int64_t now_ms = c->time_ms >= 0 ? c->time_ms : pn_clock_wall_ms();
    struct pn_check_client client = {.ip = c->ip,
                                     .port = c->port,
                                     .tls = c->tls,
                                     .tls_info = c->tls_info,
                                     .local = c->local,
                                     .local_port = c->local_port,
                                     .early = c->early,
                                     .auth_id = c->auth_id,
                                     .hostname = c->hostname,
                                     .id = c->session_id.len != 0 ? c->session_id : id,
                                     .now_ms =
                                         c->session_time_ms >= 0 ? c->session_time_ms : now_ms,
                                     .seed = c->has_seed ? c->seed[0] : 0};
    j->check = pn_check_new(pn_scan_host_runner(s->host), &client);
    for (size_t i = 0; i < c->standing_count; i++)
        if (!pn_check_standing(j->check, c->standings[i].plugin, c->standings[i].value,
                               c->standings[i].step)) {
            (void)pn_buf_addf(s->err, "%.*s: a standing is longer than %d bytes", PN_FMT(c->file),
                              POSTERN_STANDING_MAX);
            judged_free(j);
            return false;
        }
    pn_check_helo(j->check, c->helo);
    struct pn_check_mail mail = {.from = c->from,
                                 .args = c->mail_args,
                                 .id = id,
                                 .now_ms = now_ms,
                                 .seed = c->has_seed ? c->seed[1] : j->number};
    pn_check_mail(j->check, &mail);
    for (size_t i = 0; i < c->rcpt_count; i++)
        pn_check_rcpt(j->check, c->rcpts[i], pn_plan_wanted(s->plan, domain_of(j, c->rcpts[i])));
    if (j->content_fd < 0) {
        (void)pn_buf_addf(s->err, "%.*s: no memory file: %s", PN_FMT(c->file), strerror(errno));
        judged_free(j);
        return false;
    }
    if (c->auth.len != 0 && !give_auth(j, c->auth)) {
        judged_free(j);
        return false;
    }
    if (j->event != NULL && !give_recorded(j)) {
        judged_free(j);
        return false;
    }
    if (!j->before_content)
        pn_check_content(j->check, j->content_fd, c->content.len);
    for (size_t i = 0; i < c->unknown_count; i++)
        pn_check_unknown(j->check, c->unknown[i].line, c->unknown[i].step);
    if (!pn_check_run(j->check, POSTERN_MESSAGE, on_checked, j))
        on_checked(j, PN_CHECK_WHOLE);
    return true;
}

/* ---- all cases ---- */

static void wait_until(struct scan *s, size_t flight)
{
    while (s->flight > flight)
        pn_loop_turn(s->loop, 1000);
}

static struct pn_dnsfile *read_dns(struct pn_str path, struct pn_buf *err)
{
    struct pn_str text;
    char *z = pn_strndup(path.p, path.len);
    int fd = open(z, O_RDONLY | O_CLOEXEC);
    struct pn_dnsfile *file = NULL;
    if (fd < 0 || pn_map_fd(fd, false, &text) != 0) {
        (void)pn_buf_addf(err, "%s: %s", z, strerror(errno));
    } else {
        file = pn_dnsfile_parse(text, z, err);
        pn_unmap(&text);
    }
    if (fd >= 0)
        (void)close(fd);
    free(z);
    return file;
}

/* A batch line with DNS of its own: what runs must be done before the answers change. */
static bool switch_dns(struct scan *s, const struct pn_scan_case *c)
{
    bool own = c->zone.p != NULL || c->dns.len != 0;
    if (!own && s->case_dns == NULL)
        return true;
    wait_until(s, 0);
    pn_scan_host_dns(s->host, s->dns);
    pn_dnsfile_free(&s->case_dns);
    if (!own)
        return true;
    s->case_dns =
        c->zone.p != NULL ? pn_dnsfile_parse(c->zone, "zone", s->err) : read_dns(c->dns, s->err);
    pn_scan_host_dns(s->host, s->case_dns);
    return s->case_dns != NULL;
}

/* The same for lasting state. */
static bool switch_state(struct scan *s, const struct pn_scan_case *c)
{
    if (c->state.p == NULL && s->state_pool == NULL)
        return true;
    wait_until(s, 0);
    pn_scan_host_state(s->host, NULL);
    pn_pool_free(&s->state_pool);
    if (c->state.p == NULL)
        return true;
    s->state_pool = pn_pool_new(CASE_POOL_MAX);
    pn_facts_init(&s->state, s->state_pool);
    pn_scan_host_state(s->host, &s->state);
    const char *what = s->o->state != NULL ? s->o->state : "batch";
    return pn_scan_state(c->state, what, &s->state, s->err);
}

static bool on_case(void *ctx, const struct pn_scan_case *c)
{
    struct scan *s = ctx;
    wait_until(s, FLIGHT_MAX - 1);
    s->failed = s->failed || !switch_dns(s, c) || !switch_state(s, c) || !judge(s, c);
    return !s->failed && ferror(stdout) == 0;
}

/* The one message of an event; one that was refused at RCPT has none. */
static bool each(struct scan *s)
{
    struct pn_scan_case *base = &s->o->source.base;
    if (s->event == NULL || !base->before_content)
        return pn_scan_each(&s->o->source, on_case, s, s->err);
    base->file = PN_STR("-");
    base->content = PN_STR("");
    return on_case(s, base);
}

static bool run(struct scan *s)
{
    size_t total = pn_scan_show_wants_total() ? pn_scan_count(&s->o->source) : 0;
    pn_scan_show_init(&s->show, s->o->json, total, stdout);
    bool ok = each(s) && !s->failed;
    wait_until(s, 0);
    pn_scan_show_fini(&s->show);
    return ok && !s->failed;
}

/* ---- options ---- */

static bool bad_option(const char *what, const char *expected)
{
    fprintf(stderr, "postern scan: %s: %s was expected\n", what, expected);
    return false;
}

static bool auth_ok(struct pn_str text)
{
    struct pn_pool *pool = pn_pool_new(1 << 20);
    struct pn_facts facts;
    struct pn_buf err;
    pn_buf_init(&err, 1000);
    pn_facts_init(&facts, pool);
    bool ok = pn_scan_auth(text, &facts, &err);
    if (!ok)
        fprintf(stderr, "postern scan: %s\n", pn_buf_cstr(&err));
    pn_buf_fini(&err);
    pn_pool_free(&pool);
    return ok;
}

static bool take_early(struct pn_scan_case *base, struct pn_str list)
{
    while (list.p != NULL)
        if (!pn_early_add(&base->early, pn_str_split(&list, ',')))
            return bad_option("--early", "a list of greeting, helo, command");
    return true;
}

/* PLUGIN=TEXT */
static bool take_standing(struct pn_scan_case *base, const char *text)
{
    size_t name = strcspn(text, "=");
    if (name == 0 || text[name] == '\0' || base->standing_count == PN_SCAN_STANDINGS_MAX)
        return bad_option("--standing", "PLUGIN=TEXT, at most 64 of them");
    base->standings[base->standing_count++] =
        (struct pn_scan_standing){{text, name}, pn_str_of(text + name + 1), 0};
    return true;
}

/* "1795309323" or "1795309323.25": an event's "time". */
static bool take_time(struct pn_scan_case *base, struct pn_str text)
{
    struct pn_str fraction = text, whole = pn_str_split(&fraction, '.');
    uint64_t seconds, n = 0;
    size_t digits = fraction.p == NULL ? 0 : fraction.len;
    if (!pn_str_u64(whole, INT64_MAX / 1000 - 1, &seconds) || digits > 3 ||
        (fraction.p != NULL && !pn_str_u64(fraction, 999, &n)))
        return bad_option("--time", "seconds since 1970");
    for (; digits != 0 && digits < 3; digits++)
        n *= 10;
    base->time_ms = (int64_t)(seconds * 1000 + n);
    return true;
}

static bool take_option(struct options *o, int c)
{
    struct pn_scan_case *base = &o->source.base;
    uint64_t n;
    o->has_case = o->has_case || strchr("dStAspuTEiefrb", c) != NULL;
    switch (c) {
    case 'v':
        o->event = optarg;
        return true;
    case 'g':
        o->given = optarg;
        return true;
    case 'c':
        o->config = optarg;
        return true;
    case 'P':
        o->plugins = optarg;
        return true;
    case 'd':
        o->dns = optarg;
        return true;
    case 'S':
        o->state = optarg;
        return true;
    case 't':
        return take_time(base, pn_str_of(optarg));
    case 'A':
        base->auth = pn_str_of(optarg);
        return auth_ok(base->auth);
    case 's':
        return take_standing(base, optarg);
    case 'p':
        if (!pn_str_u64(pn_str_of(optarg), 65535, &n))
            return bad_option("--port", "a port number");
        base->port = (uint16_t)n;
        return true;
    case 'u':
        base->auth_id = pn_str_of(optarg);
        return true;
    case 'T':
        base->tls = true;
        return true;
    case 'E':
        return take_early(base, pn_str_of(optarg));
    case 'i':
        o->has_ip = pn_ip_parse(pn_str_of(optarg), &base->ip);
        return o->has_ip || bad_option("--ip", "an IPv4 or IPv6 address");
    case 'e':
        base->helo = pn_str_of(optarg);
        return true;
    case 'm':
        base->mail_args = pn_str_of(optarg);
        return true;
    case 'f':
        base->from = pn_str_of(optarg);
        return true;
    case 'r':
        if (base->rcpt_count == PN_SCAN_RCPTS_MAX)
            return bad_option("--rcpt", "at most 1000 of them");
        o->rcpts[base->rcpt_count++] = pn_str_of(optarg);
        return true;
    case 'b':
        o->source.batch = optarg;
        return true;
    case 'j':
        o->json = true;
        return true;
    default:
        return false;
    }
}

/* 0 go on, else the exit status plus one. */
static int parse(struct options *o, int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"plugins", required_argument, NULL, 'P'},
                                            {"dns", required_argument, NULL, 'd'},
                                            {"time", required_argument, NULL, 't'},
                                            {"auth", required_argument, NULL, 'A'},
                                            {"port", required_argument, NULL, 'p'},
                                            {"auth-id", required_argument, NULL, 'u'},
                                            {"tls", no_argument, NULL, 'T'},
                                            {"early", required_argument, NULL, 'E'},
                                            {"ip", required_argument, NULL, 'i'},
                                            {"helo", required_argument, NULL, 'e'},
                                            {"from", required_argument, NULL, 'f'},
                                            {"mail-args", required_argument, NULL, 'm'},
                                            {"rcpt", required_argument, NULL, 'r'},
                                            {"batch", required_argument, NULL, 'b'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"standing", required_argument, NULL, 's'},
                                            {"state", required_argument, NULL, 'S'},
                                            {"event", required_argument, NULL, 'v'},
                                            {"given", required_argument, NULL, 'g'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int c;
    o->source.base = (struct pn_scan_case){
        .time_ms = -1, .session_time_ms = -1, .helo = PN_STR(""), .from = PN_STR("")};
    o->source.base.rcpts = o->rcpts;
    o->source.base.auth = o->source.base.dns = PN_STR("");
    o->source.base.mail_args = PN_STR("");
    o->source.base.tls_info = (struct pn_check_tls){PN_STR(""), PN_STR(""), 0};
    optind = 1;
    while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (c == 'h') {
            fputs(usage, stdout);
            return PN_EXIT_DONE + 1;
        }
        if (!take_option(o, c)) {
            if (c == '?')
                fputs(usage, stderr);
            return PN_EXIT_USAGE + 1;
        }
    }
    o->source.paths = (const char *const *)(argv + optind);
    o->source.path_count = (size_t)(argc - optind);
    bool batch = o->source.batch != NULL, event = o->event != NULL;
    if (event ? o->has_case || o->source.path_count > 1 : o->given != NULL) {
        fputs(usage, stderr);
        return PN_EXIT_USAGE + 1;
    }
    if (event)
        return 0;
    if (batch ? optind != argc : optind == argc || !o->has_ip || o->source.base.rcpt_count == 0) {
        fputs(usage, stderr);
        return PN_EXIT_USAGE + 1;
    }
    return 0;
}

/* ---- all of it ---- */

static bool given_known(const struct scan *s)
{
    struct pn_str list = pn_str_of(s->o->given == NULL ? "" : s->o->given);
    while (list.p != NULL) {
        struct pn_str name = pn_str_trim(pn_str_split(&list, ','));
        if (name.len == 0 || pn_plan_find(s->plan, name) >= 0)
            continue;
        (void)pn_buf_addf(s->err, "--given: no plugin is called %.*s", PN_FMT(name));
        return false;
    }
    return true;
}

static bool read_event(struct scan *s)
{
    struct pn_scan_source *source = &s->o->source;
    s->event = pn_scan_event_read(s->o->event, &source->base, s->err);
    if (s->event == NULL)
        return false;
    pn_scan_event_given(s->event, s->o->given);
    s->usage = !given_known(s);
    if (s->usage)
        return false;
    if (source->base.before_content == (source->path_count == 0))
        return true;
    s->usage = true;
    (void)pn_buf_addf(s->err, "%s: %s", s->o->event,
                      source->path_count == 0
                          ? "the message that it is of was expected too"
                          : "all were refused at RCPT, no message was expected");
    return false;
}

static bool prepare(struct scan *s, int *policy_fd)
{
    *policy_fd = pn_scan_compile(s->o->config, s->o->plugins, &s->usage, s->err);
    int fd = *policy_fd < 0 ? -1 : dup(*policy_fd);
    s->policy = fd < 0 ? NULL : pn_policy_open(fd, s->err);
    if (s->policy == NULL)
        return false;
    if (s->o->dns != NULL) {
        s->dns = read_dns(pn_str_of(s->o->dns), s->err);
        if (s->dns == NULL)
            return false;
    }
    if (s->o->state != NULL) {
        if (!pn_scan_read_file(s->o->state, &s->state_file, s->err))
            return false;
        s->o->source.base.state = pn_buf_str(&s->state_file);
    }
    s->plan = pn_plan_new(s->policy, 1);
    if (s->o->event != NULL && !read_event(s))
        return false;
    s->loop = pn_loop_new();
    bool network = s->dns == NULL && s->o->source.batch == NULL && s->event == NULL;
    s->host = pn_scan_host_new(s->loop, s->plan, *policy_fd, network, WORKERS, s->err);
    if (s->host != NULL)
        pn_scan_host_dns(s->host, s->dns);
    return s->host != NULL;
}

int pn_cli_scan(int argc, char **argv)
{
    struct options *o = pn_calloc(1, sizeof *o);
    struct scan s = {.o = o};
    struct pn_buf err;
    int policy_fd = -1;
    int status = parse(o, argc, argv) - 1;
    if (status < 0) {
        pn_buf_init(&err, 64 * 1024);
        s.err = &err;
        (void)signal(SIGPIPE, SIG_IGN);
        bool ok = prepare(&s, &policy_fd) && run(&s);
        if (err.len != 0)
            fprintf(stderr, "%s%s", pn_buf_cstr(&err),
                    pn_str_ends(pn_buf_str(&err), PN_STR("\n")) ? "" : "\n");
        status = s.usage     ? PN_EXIT_USAGE
                 : !ok       ? PN_EXIT_UNREACHABLE
                 : s.refused ? PN_EXIT_NO
                             : PN_EXIT_DONE;
        pn_scan_host_free(&s.host);
        pn_dnsfile_free(&s.dns);
        pn_dnsfile_free(&s.case_dns);
        pn_pool_free(&s.state_pool);
        pn_scan_event_free(&s.event);
        if (s.state_file.max != 0)
            pn_buf_fini(&s.state_file);
        if (s.plan != NULL)
            pn_plan_unref(&s.plan);
        if (s.policy != NULL)
            pn_policy_unref(&s.policy);
        if (s.loop != NULL)
            pn_loop_free(&s.loop);
        if (policy_fd >= 0)
            (void)close(policy_fd);
        pn_buf_fini(&err);
    }
    free(o);
    return status;
}
