/*
 * The event of --event: what comes of it is a case with recipients, and the facts of each plugin
 * that it names, which keep their number when they are put in order.
 */
#include "assert.h"
#include "scan_event.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void give(const struct pn_scan_event *e, struct pn_str plugin, struct pn_pool *pool)
{
    struct pn_plugin_run run = {.plugin = plugin, .status = PN_PLUGIN_GIVEN};
    struct pn_scan_recorded *recorded;
    struct pn_facts facts, ordered;
    size_t body = 0;
    pn_facts_init(&facts, pool);
    if (!pn_scan_event_facts(e, plugin, &facts) || !pn_facts_add_run(&facts, &run) ||
        !pn_scan_event_order(e, &facts, &ordered, &recorded, &body, pool))
        return;
    pn_assert(ordered.symbol_count == facts.symbol_count && ordered.edit_count == facts.edit_count);
    for (size_t i = 0; i < facts.symbol_count; i++)
        pn_assert(pn_str_eq(ordered.symbols[i].plugin, plugin));
    for (size_t i = 0; i < facts.edit_count; i++)
        pn_assert(recorded[i].given && ordered.edits[i].op < PN_FACT_EDIT_OPS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct pn_str rcpt = PN_STR_INIT("u@here.test");
    static int fd = -1;
    static char path[64];
    if (fd < 0) {
        fd = memfd_create("event", MFD_CLOEXEC);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    pn_assert(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    struct pn_scan_case c = {.rcpts = &rcpt, .rcpt_count = 1, .time_ms = -1};
    struct pn_buf err;
    pn_buf_init(&err, 4096);
    struct pn_scan_event *e = pn_scan_event_read(path, &c, &err);
    pn_assert(e != NULL || err.len != 0);
    if (e != NULL) {
        struct pn_pool *pool = pn_pool_new(16 << 20);
        pn_assert(c.rcpt_count > 0 && c.rcpt_count <= PN_SCAN_RCPTS_MAX && c.refusals != NULL);
        for (size_t i = 0; i < c.rcpt_count; i++)
            pn_assert(c.rcpts[i].p != NULL);
        for (size_t i = 0; i < c.unknown_count; i++)
            pn_assert(c.unknown[i].line.len <= POSTERN_UNKNOWN_BYTES);
        (void)pn_scan_event_gives(e, PN_STR("spf"), false);
        give(e, PN_STR("milter"), pool);
        give(e, PN_STR("dkim"), pool);
        pn_pool_free(&pool);
    }
    pn_scan_event_free(&e);
    pn_buf_fini(&err);
    return 0;
}
