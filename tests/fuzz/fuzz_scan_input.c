/*
 * What `postern scan` is given: the first byte chooses a file (a message or an mbox), a
 * batch of JSON lines, the words of --auth, or the event of --state. Every case has what the scan
 * relies on: content with CRLF ends alone.
 */
#include "assert.h"
#include "scan_batch.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t cases;

static bool on_case(void *ctx, const struct pn_scan_case *c)
{
    (void)ctx;
    for (size_t i = 0; i < c->content.len; i++)
        pn_assert(c->content.p[i] != '\n' || (i > 0 && c->content.p[i - 1] == '\r'));
    pn_assert(c->rcpt_count > 0 && c->rcpt_count <= PN_SCAN_RCPTS_MAX);
    return ++cases < 50;
}

static void source(struct pn_str in, bool batch)
{
    static int fd = -1;
    static char path[64];
    static const struct pn_str rcpt = PN_STR_INIT("u@here.test");
    struct pn_buf err;
    if (fd < 0) {
        fd = memfd_create("input", MFD_CLOEXEC);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    const char *const paths[] = {path};
    struct pn_scan_source s = {.paths = paths, .path_count = batch ? 0 : 1};
    s.base = (struct pn_scan_case){.rcpts = &rcpt, .rcpt_count = 1, .time_ms = -1};
    s.batch = batch ? path : NULL;
    pn_assert(ftruncate(fd, 0) == 0 && pwrite(fd, in.p, in.len, 0) == (ssize_t)in.len);
    pn_buf_init(&err, 4096);
    size_t count = pn_scan_count(&s);
    cases = 0;
    bool ok = pn_scan_each(&s, on_case, NULL, &err);
    pn_assert(ok || err.len != 0 || cases >= 50);
    pn_assert(batch || !ok || cases >= 50 || cases == count);
    pn_buf_fini(&err);
}

static bool auth(struct pn_str in, struct pn_facts *facts, struct pn_buf *err)
{
    return pn_scan_auth(in, facts, err);
}

static bool state(struct pn_str in, struct pn_facts *facts, struct pn_buf *err)
{
    return pn_scan_state(in, "event", facts, err);
}

static void words(struct pn_str in, bool (*fn)(struct pn_str, struct pn_facts *, struct pn_buf *))
{
    struct pn_pool *pool = pn_pool_new(1 << 20);
    struct pn_facts facts;
    struct pn_buf err;
    pn_buf_init(&err, 4096);
    pn_facts_init(&facts, pool);
    pn_assert(fn(in, &facts, &err) || err.len != 0);
    pn_buf_fini(&err);
    pn_pool_free(&pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct pn_str in = {(const char *)data + 1, size - 1};
    if (data[0] == 'S')
        words(in, state);
    else if (data[0] % 3 == 2)
        words(in, auth);
    else
        source(in, data[0] % 3 == 1);
    return 0;
}
