/*
 * A plugin that makes trouble when it is told to, for tests of workers and replays.
 *
 * At each stage it looks at one text (connect: the address's last number as "n66";
 * helo: the HELO name; mail, rcpt: the address; headers, message: the Subject) and does
 * what "WORD-STAGE" in it says, else states TROUBLE_NONE with the stage as detail.
 *
 *   crash  abort            wild  write to unmapped memory
 *   hang   for ever         slow  wait 40 ms
 *   many   facts without end, edits, notes    bad  hand the host nonsense
 *   fail   return an error  leak  allocate and forget, 64 MB a call
 *   dns    ask for the TXT of the word behind "dns-STAGE-", and crash where that is "crash"
 *   early  at prefetch: ask what would wait, and crash unless that is refused
 *   deep   call itself for ever     jump  longjmp into a call that is over
 *   quit   exit(0)                  fork  and leave the child behind
 *   stop   SIGSTOP to itself        kill  SIGKILL to itself
 *   spin   hang, with all signals blocked
 *   hog    all memory that it gets, and keep it
 *   shut   close every descriptor of the process
 *   junk   write what is no record to every descriptor of the process; junk0 to junk9:
 *          to that socket of it only
 *   lose   close the descriptors of sockets one by one, all but the first
 *
 * It keeps a session and a transaction object, counts its calls in them, and states the
 * counts: a session that moved to a fresh worker must count the same.
 */
#include <postern/plugin.h>

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NONE, COUNT, RANDOM, ANSWER, WEIGHED };
static const struct postern_symbol symbols[] = {
    [NONE] = {"TROUBLE_NONE", 0, "no trouble"},
    [COUNT] = {"TROUBLE_COUNT", 100, "calls of this session and transaction"},
    [RANDOM] = {"TROUBLE_RANDOM", 0, "random bytes and time"},
    [ANSWER] = {"TROUBLE_ANSWER", 0, "what the DNS said"},
    [WEIGHED] = {"TROUBLE_WEIGHED", 1500, "a weight"},
    {NULL, 0, NULL}};

static const char *const stages[] = {"connect", "helo",    "mail", "rcpt",
                                     "headers", "message", "after"};

struct counter {
    unsigned calls;
};

#if !defined TROUBLE_PLAIN && !defined TROUBLE_CALM
static int object_new(struct postern_call *c, void **object)
{
    struct counter *n = calloc(1, sizeof *n);
    (void)c;
    *object = n;
    return n == NULL ? POSTERN_ERROR : POSTERN_OK;
}

static void object_free(void *instance, void *object)
{
    (void)instance;
    free(object);
}
#endif

static void text_of(struct postern_call *c, char *out, size_t size)
{
    const struct postern_client *client = c->host->client(c);
    const struct postern_envelope *env = c->host->envelope(c);
    struct postern_str s = {"", 0};
    if (c->stage == POSTERN_CONNECT) {
        (void)snprintf(out, size, client->ip[15] == 66 ? "crash-connect" : "n%u", client->ip[15]);
        if (client->ip[15] == 67)
            (void)snprintf(out, size, "hang-connect");
        return;
    }
    if (c->stage == POSTERN_HELO)
        s = client->helo;
    else if (c->stage == POSTERN_MAIL)
        s = env->from;
    else if (c->stage == POSTERN_RCPT)
        s = env->rcpt[env->rcpt_count - 1];
    else
        (void)c->host->header_get(c, "Subject", 0, &s);
    (void)snprintf(out, size, "%.*s", (int)s.len, s.p);
}

static int many(struct postern_call *c)
{
    char name[32];
    int rc = POSTERN_OK;
    for (int i = 0; i < 100000 && rc == POSTERN_OK; i++) {
        int n = snprintf(name, sizeof name, "MANY_%d", i);
        rc = c->host->fact_named(c, (struct postern_str){name, (size_t)n}, POSTERN_STR("x"), 1);
    }
    for (int i = 0; i < 1000; i++)
        (void)c->host->add_header(c, POSTERN_STR("X-Many"), POSTERN_STR("x"));
    while (c->host->alloc(c, 1 << 20) != NULL)
        continue;
    return rc == POSTERN_LIMIT ? POSTERN_OK : POSTERN_ERROR;
}

/* Each must be refused; says how many were not. */
static int bad(struct postern_call *c)
{
    const struct postern_dns_answer *a;
    struct postern_str s = {"", 0};
    struct postern_auth auth = {.method = POSTERN_STR("sp f"), .result = POSTERN_STR("pass")};
    const struct postern_host *h = c->host;
    int taken = 0;
    struct postern_auth later = {
        .method = POSTERN_STR("spf"), .result = POSTERN_STR("pass"), .reserved = {&auth, NULL}};
    taken += h->auth(c, &later) != POSTERN_INVALID;
    taken += h->dns_lookup(c, POSTERN_STR("a.test"), 65536 + 1, &a) != POSTERN_INVALID;
    taken += !POSTERN_HAS(h, client_in) || h->size != sizeof *h;
    taken += h->fact(c, 99, s) != POSTERN_INVALID;
    taken += h->fact_named(c, POSTERN_STR("lower"), s, 0) != POSTERN_INVALID;
    taken += h->fact_named(c, POSTERN_STR("PLUGIN_FAILED"), s, 0) != POSTERN_INVALID;
    taken += h->fact_weighted(c, NONE, s, 2000000000) != POSTERN_INVALID;
    taken += h->fact_for(c, 1000000, NONE, s) != POSTERN_INVALID;
    taken += h->auth(c, &auth) != POSTERN_INVALID;
    taken += h->add_header(c, POSTERN_STR("X-A:"), s) != POSTERN_INVALID;
    taken += h->add_header(c, POSTERN_STR("X-A"), POSTERN_STR("a\r\nb: c")) != POSTERN_INVALID;
    taken += h->insert_header(c, 0, POSTERN_STR("X-A"), POSTERN_STR("a\nb")) != POSTERN_INVALID;
    taken += h->change_header(c, POSTERN_STR(""), 0, s) != POSTERN_INVALID;
    taken += h->replace_body(c, POSTERN_STR("a\nb")) != POSTERN_INVALID;
    taken += h->change_from(c, POSTERN_STR("no address")) != POSTERN_INVALID;
    taken += h->add_rcpt(c, s) != POSTERN_INVALID;
    taken += h->remove_rcpt(c, POSTERN_STR("a@b\r\n")) != POSTERN_INVALID;
    taken += h->dns_lookup(c, POSTERN_STR("a..b"), POSTERN_DNS_A, &a) != POSTERN_INVALID;
    taken += h->dns_lookup(c, POSTERN_STR("a"), 7, &a) != POSTERN_INVALID;
    taken += h->note_set(c, POSTERN_STR(""), s) != POSTERN_INVALID;
    taken += h->header_at(c, 1000000, &s, &s) != POSTERN_NONE;
    taken += h->part_text(c, 0, 9, &s) != POSTERN_INVALID;
    (void)h->fact(c, NONE, POSTERN_STR("line\r\nend \x01 and \xff"));
    return taken == 0 ? POSTERN_OK : POSTERN_ERROR;
}

static int ask(struct postern_call *c, const char *name)
{
    const struct postern_dns_answer *a;
    int rc =
        c->host->dns_lookup(c, (struct postern_str){name, strcspn(name, " ")}, POSTERN_DNS_TXT, &a);
    if (rc != POSTERN_OK)
        return rc;
    if (a->rcode != POSTERN_DNS_NOERROR)
        return c->host->fact(c, ANSWER, POSTERN_STR("none"));
    for (size_t i = 0; i < a->count; i++) {
        (void)c->host->fact(c, ANSWER, a->records[i].data);
        if (a->records[i].data.len == 5 && memcmp(a->records[i].data.p, "crash", 5) == 0)
            abort();
    }
    return POSTERN_OK;
}

static volatile unsigned sink;

/* ---- what no plugin should do to its process; TROUBLE_FDS is enough to reach all of it */

#ifdef __SANITIZE_ADDRESS__
enum { TROUBLE_FDS = 64, HOG_MAX_MB = 256 }; /* no limit on memory holds there */
#else
enum { TROUBLE_FDS = 64, HOG_MAX_MB = 3072 };
#endif

static unsigned deep(volatile unsigned *above);
/* Volatile: no compiler can make a loop of it, or see that it has no end. */
static unsigned (*volatile deeper)(volatile unsigned *) = deep;

static unsigned deep(volatile unsigned *above)
{
    volatile unsigned here[64] = {*above + 1};
    return deeper(here) + here[0];
}

static jmp_buf over;

static __attribute__((noinline)) int set_over(void)
{
    volatile char room[4096];
    room[0] = 1;
    sink += (unsigned)room[0];
    return setjmp(over);
}

static int jump(void)
{
    if (set_over() == 0)
        longjmp(over, 1);
    abort(); /* it came back into what was left: as good as any crash */
}

static void hog(void)
{
    for (int mb = 0; mb < HOG_MAX_MB; mb += 16) {
        char *p = malloc(16U << 20);
        if (p == NULL)
            return;
        for (size_t i = 0; i < 16U << 20; i += 4096)
            p[i] = 1;
    }
}

static void spin(void)
{
    sigset_t all;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, NULL);
    for (;;)
        sink++;
}

static bool is_socket(int fd)
{
    int type;
    socklen_t len = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
}

static void each_descriptor(const char *word)
{
    bool junk = strncmp(word, "junk", 4) == 0, shut = strncmp(word, "shut", 4) == 0;
    int only = junk && word[4] != '-' ? word[4] - '0' : -1, sockets = 0;
    for (int fd = 3; fd < TROUBLE_FDS; fd++) {
        int number = is_socket(fd) ? sockets++ : -1;
        if (junk && (only < 0 || only == number))
            sink += write(fd, "junk", 4) < 0;
        else if (shut || (!junk && number > 0))
            (void)close(fd);
    }
}

static int act_on_process(const char *word)
{
    volatile unsigned none = 0;
    if (strncmp(word, "deep", 4) == 0)
        sink += deep(&none);
    if (strncmp(word, "jump", 4) == 0)
        return jump();
    if (strncmp(word, "quit", 4) == 0)
        exit(0);
    if (strncmp(word, "fork", 4) == 0)
        return fork() < 0 ? POSTERN_ERROR : POSTERN_OK;
    if (strncmp(word, "stop", 4) == 0)
        (void)raise(SIGSTOP);
    if (strncmp(word, "kill", 4) == 0)
        (void)raise(SIGKILL);
    if (strncmp(word, "spin", 4) == 0)
        spin();
    if (strncmp(word, "hog", 3) == 0)
        hog();
    each_descriptor(word);
    return POSTERN_OK;
}

static int act(struct postern_call *c, const char *word)
{
    if (strncmp(word, "crash", 5) == 0)
        abort();
    if (strncmp(word, "wild", 4) == 0) {
        char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        page[100] = 1;
    }
    for (; strncmp(word, "hang", 4) == 0;)
        sink++;
    if (strncmp(word, "leak", 4) == 0) {
        char *p = malloc(64 << 20);
        for (size_t i = 0; p != NULL && i < 64U << 20; i += 4096)
            p[i] = 1;
        sink += p == NULL;
    }
    if (strncmp(word, "slow", 4) == 0)
        (void)usleep(40000);
    if (strncmp(word, "many", 4) == 0)
        return many(c);
    if (strncmp(word, "bad", 3) == 0)
        return bad(c);
    if (strncmp(word, "fail", 4) == 0)
        return POSTERN_ERROR;
    if (strncmp(word, "early", 5) == 0)
        return POSTERN_OK;
    static const char *const others[] = {"deep", "jump", "quit", "fork", "stop", "kill",
                                         "spin", "hog",  "shut", "junk", "lose"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strncmp(word, others[i], strlen(others[i])) == 0)
            return act_on_process(word);
    return POSTERN_OK;
}

static int state_counts(struct postern_call *c)
{
    struct counter *s = c->session, *t = c->transaction;
    char text[64];
    int n = snprintf(text, sizeof text, "%s %u %u", stages[c->stage], ++s->calls,
                     t == NULL ? 0 : ++t->calls);
    return c->host->fact(c, COUNT, (struct postern_str){text, (size_t)n});
}

static int call(struct postern_call *c)
{
    char text[512], want[64];
    unsigned char r[4];
#ifdef TROUBLE_CALM
    return c->host->fact(c, NONE, (struct postern_str){stages[c->stage], strlen(stages[c->stage])});
#endif
    static const char *const words[] = {
        "crash", "wild",  "hang",  "leak",  "slow",  "many",  "bad",   "fail",
        "deep",  "jump",  "quit",  "fork",  "stop",  "kill",  "spin",  "hog",
        "shut",  "junk",  "lose",  "junk0", "junk1", "junk2", "junk3", "junk4",
        "junk5", "junk6", "junk7", "junk8", "junk9", "early", NULL};
    text_of(c, text, sizeof text);
    for (int i = 0; words[i] != NULL; i++) {
        (void)snprintf(want, sizeof want, "%s-%s", words[i], stages[c->stage]);
        if (strstr(text, want) != NULL)
            return act(c, want);
    }
    (void)snprintf(want, sizeof want, "dns-%s-", stages[c->stage]);
    const char *at = strstr(text, want);
    if (at != NULL)
        return ask(c, at + strlen(want));
    c->host->random(c, r, sizeof r);
    int n = snprintf(text, sizeof text, "%02x%02x%02x%02x %lld", r[0], r[1], r[2], r[3],
                     (long long)c->host->now_ms(c));
    (void)c->host->fact(c, RANDOM, (struct postern_str){text, (size_t)n});
    if (c->session != NULL)
        (void)state_counts(c);
    return c->host->fact(c, NONE, (struct postern_str){stages[c->stage], strlen(stages[c->stage])});
}

static void early(struct postern_call *c)
{
    const struct postern_dns_answer *a;
    char text[512];
    text_of(c, text, sizeof text);
    if (strstr(text, "early-message") != NULL &&
        (c->host->dns_lookup(c, POSTERN_STR("early.test"), POSTERN_DNS_TXT, &a) !=
             POSTERN_INVALID ||
         c->host->dns_wait_all(c) != POSTERN_INVALID))
        abort();
}

POSTERN_EXPORT extern const struct postern_plugin postern_plugin;
const struct postern_plugin postern_plugin = {.size = sizeof(struct postern_plugin),
                                              .major = POSTERN_ABI_MAJOR,
                                              .minor = POSTERN_ABI_MINOR,
#ifdef TROUBLE_PLAIN
                                              .name = "plain",
#elif defined TROUBLE_CALM
                                              .name = "calm",
#else
                                              .name = "trouble",
                                              .session_new = object_new,
                                              .session_free = object_free,
                                              .transaction_new = object_new,
                                              .transaction_free = object_free,
#endif
                                              .version = "1.0",
                                              .summary = "makes trouble on demand",
                                              .symbols = symbols,
                                              .needs = POSTERN_NEED_DNS,
                                              .deadline_ms = 500,
                                              .on = {call, call, call, call, call, call, NULL},
                                              .prefetch = {[POSTERN_MESSAGE] = early}};
