/* Who gets a thread, and the records between runner and worker. */
#include "unit.h"

#include "request.h"
#include "sched.h"

#include <postern/plugin.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Units that hold their thread until the gate opens. */
static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate = PTHREAD_COND_INITIALIZER;
static bool is_open;
static atomic_uint inside[4]; /* by network */

static struct sched *sched;

static void hold(struct sched_unit *u, unsigned thread)
{
    (void)thread;
    (void)atomic_fetch_add(&inside[u->network], 1);
    sched_wait_begin(sched);
    (void)pthread_mutex_lock(&gate_lock);
    while (!is_open)
        (void)pthread_cond_wait(&gate, &gate_lock);
    (void)pthread_mutex_unlock(&gate_lock);
    sched_wait_end(sched);
    (void)atomic_fetch_sub(&inside[u->network], 1);
}

static void set_gate(bool to)
{
    (void)pthread_mutex_lock(&gate_lock);
    is_open = to;
    (void)pthread_cond_broadcast(&gate);
    (void)pthread_mutex_unlock(&gate_lock);
}

/* Until n are inside; they are on their way. */
static void await(unsigned network, unsigned n)
{
    while (atomic_load(&inside[network]) != n)
        sched_yield();
}

/* One network with slow answers does not keep the others out. */
static void test_shares(void)
{
    static struct sched_unit slow[40], quick[6];
    set_gate(false);
    sched = sched_new(16, 2, 25, 64 * 1024);
    for (unsigned i = 0; i < 40; i++) {
        slow[i] = (struct sched_unit){.run = hold, .network = 1, .plugin = -1};
        sched_submit(sched, &slow[i]);
    }
    await(1, 8); /* half of the threads */
    for (unsigned i = 0; i < 6; i++) {
        quick[i] = (struct sched_unit){.run = hold, .network = 2, .plugin = -1};
        sched_submit(sched, &quick[i]);
    }
    await(2, 4); /* its own share, at once */
    UNIT_INT(atomic_load(&inside[1]), 8);
    UNIT_TRUE(sched_threads(sched) <= 16);
    set_gate(true);
    sched_free(&sched); /* waits for all 46 */
    UNIT_INT(atomic_load(&inside[1]) + atomic_load(&inside[2]), 0);
}

static atomic_uint most, now;

static void count(struct sched_unit *u, unsigned thread)
{
    (void)u;
    (void)thread;
    unsigned n = atomic_fetch_add(&now, 1) + 1;
    for (unsigned seen = atomic_load(&most); n > seen;)
        if (atomic_compare_exchange_weak(&most, &seen, n))
            break;
    for (int i = 0; i < 50; i++)
        sched_yield();
    (void)atomic_fetch_sub(&now, 1);
}

/* At most so many at work, and every unit runs. */
static void test_running(void)
{
    static struct sched_unit units[200];
    sched = sched_new(16, 3, 25, 64 * 1024);
    for (unsigned i = 0; i < 200; i++) {
        units[i] = (struct sched_unit){.run = count, .network = i % 4, .plugin = -1};
        sched_submit(sched, &units[i]);
    }
    sched_free(&sched);
    UNIT_TRUE(atomic_load(&most) <= 3 && atomic_load(&most) > 0);
}

/* ---- records */

static void steps_request(struct pn_request *q, struct pn_step *steps, uint32_t count)
{
    static struct pn_str rcpts[2] = {PN_STR_INIT("u@here.test"), PN_STR_INIT("v@here.test")};
    *q = (struct pn_request){.id = 1,
                             .session = 2,
                             .transaction = 1,
                             .log_id = PN_STR("m"),
                             .helo = PN_STR("friend"),
                             .tls_version = PN_STR("TLSv1.3"),
                             .tls_cipher = PN_STR("C"),
                             .tls_bits = 256,
                             .local_port = 25,
                             .from = PN_STR("a@b.test"),
                             .mail_args = PN_STR("SIZE=9 BODY=8BITMIME"),
                             .rcpt_count = 2,
                             .rcpts = rcpts,
                             .step_count = count,
                             .steps = steps};
}

static void test_steps(void)
{
    static const struct {
        const char *label;
        uint32_t count, first_new, transaction;
        struct pn_step steps[5];
        bool want;
    } rows[] = {
        {"connect", 1, 0, 0, {{POSTERN_CONNECT, 0, 1}}, true},
        {"none", 0, 0, 0, {{0}}, false},
        {"nothing new", 1, 1, 0, {{POSTERN_CONNECT, 0, 1}}, false},
        {"two recipients",
         3,
         0,
         1,
         {{POSTERN_MAIL, 0, 1}, {POSTERN_RCPT, 1, 1}, {POSTERN_RCPT, 2, 1}},
         true},
        {"no transaction", 1, 0, 0, {{POSTERN_MAIL, 0, 1}}, false},
        {"back", 2, 0, 1, {{POSTERN_HELO, 0, 1}, {POSTERN_CONNECT, 0, 1}}, false},
        {"twice", 2, 0, 1, {{POSTERN_HELO, 0, 1}, {POSTERN_HELO, 0, 1}}, false},
        {"rcpt without one", 1, 0, 1, {{POSTERN_RCPT, 0, 1}}, false},
        {"rcpt with the same", 2, 0, 1, {{POSTERN_RCPT, 1, 1}, {POSTERN_RCPT, 1, 1}}, false},
        {"a recipient too many", 1, 0, 1, {{POSTERN_RCPT, 3, 1}}, false},
        {"an unknown stage", 1, 0, 1, {{POSTERN_STAGES, 2, 1}}, false},
        {"a message", 2, 1, 1, {{POSTERN_HEADERS, 2, 1}, {POSTERN_MESSAGE, 2, 3}}, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_request q, got;
        struct pn_step steps[5];
        struct pn_buf b;
        unit_row(rows[i].label);
        memcpy(steps, rows[i].steps, sizeof steps);
        steps_request(&q, steps, rows[i].count);
        q.first_new = rows[i].first_new;
        q.transaction = rows[i].transaction;
        pn_buf_init(&b, 10000);
        UNIT_TRUE(pn_request_put(&b, &q));
        struct pn_pool *pool = pn_pool_new(100000);
        UNIT_INT(pn_request_get(pn_buf_str(&b), pool, &got), rows[i].want);
        if (rows[i].want) {
            UNIT_STR(got.mail_args, q.mail_args);
            UNIT_STR(got.tls_version, q.tls_version);
            UNIT_STR(got.tls_cipher, q.tls_cipher);
            UNIT_INT(got.tls_bits, 256);
            UNIT_INT(got.local_port, 25);
        }
        /* Cut anywhere it is none. */
        for (size_t n = 0; n < b.len; n++)
            UNIT_TRUE(!pn_request_get(pn_str_slice(pn_buf_str(&b), 0, n), pool, &got));
        pn_pool_free(&pool);
        pn_buf_fini(&b);
    }
}

/* Lines of commands that we don't know: few, short, in order, of steps that are there. */
static void test_unknown(void)
{
    static char text[POSTERN_UNKNOWN_BYTES + 1];
    static const struct {
        const char *label;
        uint32_t count, steps[POSTERN_UNKNOWN_MAX + 1];
        size_t len;
        bool want;
    } rows[] = {
        {"none", 0, {0}, 0, true},
        {"empty", 1, {0}, 0, true},
        {"as many as there may be", 4, {0, 1, 1, 2}, 10, true},
        {"one too many", 5, {0, 1, 1, 2, 2}, 10, false},
        {"as long as one may be", 1, {2}, POSTERN_UNKNOWN_BYTES, true},
        {"one byte too long", 1, {2}, POSTERN_UNKNOWN_BYTES + 1, false},
        {"no such step", 1, {3}, 1, false},
        {"out of order", 2, {2, 1}, 1, false},
    };
    struct pn_step steps[] = {{POSTERN_CONNECT, 0, 1}, {POSTERN_HELO, 0, 1}, {POSTERN_MAIL, 0, 1}};
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_str lines[POSTERN_UNKNOWN_MAX + 1];
        uint32_t numbers[POSTERN_UNKNOWN_MAX + 1];
        struct pn_request q, got;
        struct pn_buf b;
        unit_row(rows[i].label);
        steps_request(&q, steps, 3);
        for (uint32_t k = 0; k < rows[i].count; k++) {
            lines[k] = (struct pn_str){text, rows[i].len};
            numbers[k] = rows[i].steps[k];
        }
        q.unknown_count = rows[i].count;
        q.unknown = lines;
        q.unknown_steps = numbers;
        pn_buf_init(&b, 10000);
        UNIT_TRUE(pn_request_put(&b, &q));
        struct pn_pool *pool = pn_pool_new(1000000);
        UNIT_INT(pn_request_get(pn_buf_str(&b), pool, &got), rows[i].want);
        for (uint32_t k = 0; rows[i].want && k < rows[i].count; k++) {
            UNIT_STR(got.unknown[k], lines[k]);
            UNIT_INT(got.unknown_steps[k], numbers[k]);
        }
        for (size_t n = 0; n < b.len; n++)
            UNIT_TRUE(!pn_request_get(pn_str_slice(pn_buf_str(&b), 0, n), pool, &got));
        pn_pool_free(&pool);
        pn_buf_fini(&b);
    }
}

static void test_findings(void)
{
    static const struct {
        const char *label;
        struct pn_finding items[2];
        bool want;
    } rows[] = {
        {"in order", {{.step = 0, .plugin = 3}, {.step = 1, .plugin = 0}}, true},
        {"same step", {{.step = 1, .plugin = 0}, {.step = 1, .plugin = 1}}, true},
        {"twice", {{.step = 1, .plugin = 1}, {.step = 1, .plugin = 1}}, false},
        {"out of order", {{.step = 1, .plugin = 0}, {.step = 0, .plugin = 1}}, false},
        {"no such plugin", {{.step = 0, .plugin = 0}, {.step = 0, .plugin = 64}}, false},
        {"no such status", {{.status = 4}, {.step = 1}}, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_finding items[2];
        struct pn_findings f = {.id = 9, .count = 2, .items = items}, got;
        struct pn_buf b;
        unit_row(rows[i].label);
        memcpy(items, rows[i].items, sizeof items);
        items[0].reason = PN_STR("why");
        items[1].facts = PN_STR("bytes");
        pn_buf_init(&b, 10000);
        UNIT_TRUE(pn_findings_put(&b, &f));
        struct pn_pool *pool = pn_pool_new(100000);
        UNIT_INT(pn_findings_get(pn_buf_str(&b), pool, &got), rows[i].want);
        for (size_t n = 0; n < b.len; n++)
            UNIT_TRUE(!pn_findings_get(pn_str_slice(pn_buf_str(&b), 0, n), pool, &got));
        pn_pool_free(&pool);
        pn_buf_fini(&b);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"shares", test_shares},     {"running", test_running},
                                             {"steps", test_steps},       {"unknown", test_unknown},
                                             {"findings", test_findings}, {NULL, NULL}};
    return unit_main("sched", tests, argc, argv);
}
