#include "anchor.h"

#include "log.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { SOON_MS = 60 * 1000, LATER_MS = 3600 * 1000, FILE_MAX = 64 * 1024 };

struct anchor {
    struct pn_timer *timer;
    struct asks_backend backend; /* borrowed */
    char zone[PN_DNS_NAME_MAX + 1];
    bool holds, told; /* told: what the log says last is so */
};

bool anchor_zone(struct pn_str text, char zone[PN_DNS_NAME_MAX + 1])
{
    while (text.p != NULL) {
        struct pn_str line = pn_str_split(&text, '\n'), rest = line;
        struct pn_str first = pn_str_trim(pn_str_split(&rest, ' '));
        size_t tab = pn_str_find(first, '\t', 0);
        first = pn_str_slice(first, 0, tab == SIZE_MAX ? first.len : tab);
        bool owner = first.len > 0 && first.p == line.p && first.p[0] != ';' && first.p[0] != '$';
        if (owner && (pn_str_eq(first, PN_STR(".")) || pn_dns_name_ok(first)) &&
            first.len <= PN_DNS_NAME_MAX) {
            memcpy(zone, first.p, first.len);
            zone[first.len] = '\0';
            return true;
        }
    }
    return false;
}

static void on_told(void *ctx, bool proved)
{
    struct anchor *a = ctx;
    if (proved && (!a->told || !a->holds))
        pn_info("the trust anchor of %s holds: answers are proved by DNSSEC", a->zone);
    if (!proved && (!a->told || a->holds))
        pn_error("the trust anchor of %s does not hold: nothing can be proved below it, and it is "
                 "all taken for forged. Its key has changed, or a forwarder drops what DNSSEC "
                 "needs, or nobody answers",
                 a->zone);
    a->told = true;
    a->holds = proved;
    pn_timer_set(a->timer, proved ? LATER_MS : SOON_MS);
}

static void look(void *ctx)
{
    struct anchor *a = ctx;
    pn_timer_set(a->timer, SOON_MS); /* if it is never answered */
    upstream_prove(&a->backend, a->zone, on_told, a);
}

struct anchor *anchor_new(struct pn_loop *loop, const char *file)
{
    char text[FILE_MAX];
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (fd >= 0)
        (void)close(fd);
    struct anchor *a = pn_calloc(1, sizeof *a);
    if (got < 0 || !anchor_zone((struct pn_str){text, (size_t)got}, a->zone)) {
        free(a);
        return NULL;
    }
    a->timer = pn_timer_new(loop, look, a);
    return a;
}

void anchor_free(struct anchor **anchor)
{
    struct anchor *a = *anchor;
    *anchor = NULL;
    if (a == NULL)
        return;
    pn_timer_free(&a->timer);
    upstream_forget(&a->backend);
    free(a);
}

void anchor_watch(struct anchor *a, const struct asks_backend *backend)
{
    a->backend = *backend;
    pn_timer_set(a->timer, 1);
}

bool anchor_holds(const struct anchor *a)
{
    return a->holds;
}
