#include "admin_link.h"

#include "log.h"
#include "mem.h"
#include "memfile.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    CHANNEL_BYTES = 4 * 1024 * 1024,
    WAITING_BYTES = 1024 * 1024, /* while no admin is there */
    INLINE_MAX = PN_RECORD_MAX - 64,
    TELL_MS = 1000
};

struct pn_admin_link {
    struct pn_loop *loop;
    struct pn_channel *channel; /* NULL: no admin */
    struct pn_control *control; /* borrowed; NULL: not there yet */
    struct pn_timer *timer;
    const struct pn_metric *metrics;
    size_t count;
    void (*fill)(void *ctx);
    bool (*on_command)(void *ctx, struct pn_record *record);
    void *ctx;
    struct pn_buf waiting; /* lines, each with its length in front */
    uint64_t lost;
};

static void send_metrics(struct pn_admin_link *link)
{
    struct pn_buf b;
    if (link->channel == NULL || link->count == 0)
        return;
    if (link->fill != NULL)
        link->fill(link->ctx);
    pn_buf_init(&b, INLINE_MAX);
    pn_metrics_put(&b, link->metrics, link->count);
    /* A full queue: the next ones say more. */
    (void)pn_channel_send(link->channel, PN_REC_METRICS, pn_buf_str(&b), NULL, 0);
    pn_buf_fini(&b);
}

static void on_timer(void *arg)
{
    struct pn_admin_link *link = arg;
    send_metrics(link);
    pn_timer_set(link->timer, TELL_MS);
}

static bool on_record(void *ctx, struct pn_record *record)
{
    struct pn_admin_link *link = ctx;
    return record->type == PN_REC_COMMAND && link->on_command != NULL &&
           link->on_command(link->ctx, record);
}

static void on_end(void *ctx, enum pn_channel_end how)
{
    struct pn_admin_link *link = ctx;
    (void)how; /* a new one comes by a PEER record */
    pn_channel_free(&link->channel);
    pn_control_missing(link->control, PN_ROLE_ADMIN, 0);
}

struct pn_admin_link *pn_admin_link_new(struct pn_loop *loop, const struct pn_metric *metrics,
                                        size_t count, void (*fill)(void *ctx), void *ctx)
{
    struct pn_admin_link *link = pn_calloc(1, sizeof *link);
    *link = (struct pn_admin_link){
        .loop = loop, .metrics = metrics, .count = count, .fill = fill, .ctx = ctx};
    pn_buf_init(&link->waiting, WAITING_BYTES);
    link->timer = pn_timer_new(loop, on_timer, link);
    if (count != 0)
        pn_timer_set(link->timer, TELL_MS);
    return link;
}

void pn_admin_link_free(struct pn_admin_link **link)
{
    struct pn_admin_link *l = *link;
    if (l == NULL)
        return;
    *link = NULL;
    pn_channel_free(&l->channel);
    pn_timer_free(&l->timer);
    pn_buf_fini(&l->waiting);
    free(l);
}

void pn_admin_link_control(struct pn_admin_link *link, struct pn_control *control)
{
    link->control = control;
}

static bool send_line(struct pn_admin_link *link, struct pn_str line)
{
    if (line.len <= INLINE_MAX)
        return pn_channel_send(link->channel, PN_REC_EVENT, line, NULL, 0);
    int fd = pn_memfile_of("event", line);
    if (fd < 0)
        return false;
    bool ok = pn_channel_send(link->channel, PN_REC_EVENT, (struct pn_str){"", 0}, &fd, 1);
    (void)close(fd);
    return ok;
}

static void send_waiting(struct pn_admin_link *link)
{
    struct pn_rd r = pn_rd_of(pn_buf_str(&link->waiting));
    while (pn_rd_ok(&r) && !pn_rd_done(&r)) {
        if (!send_line(link, pn_rd_str(&r)))
            link->lost++;
    }
    pn_buf_fini(&link->waiting);
    if (link->lost != 0)
        pn_warn("%llu events were lost while admin was not there", (unsigned long long)link->lost);
    link->lost = 0;
}

bool pn_admin_link_peer(struct pn_admin_link *link, struct pn_peer *peer)
{
    static const struct pn_channel_ops ops = {.on_record = on_record, .on_end = on_end};
    if (peer->role != PN_ROLE_ADMIN)
        return false;
    pn_channel_free(&link->channel);
    link->channel = pn_channel_new(link->loop, peer->fd, &ops, link, CHANNEL_BYTES);
    peer->fd = -1;
    send_waiting(link);
    if (link->count != 0) /* not now: the role may not be whole yet */
        pn_timer_set(link->timer, 0);
    return true;
}

bool pn_admin_link_event(struct pn_admin_link *link, struct pn_str line)
{
    bool ok = link->channel != NULL && send_line(link, line);
    if (!ok && link->waiting.len + line.len + 4 <= WAITING_BYTES && link->channel == NULL) {
        pn_wr_str(&link->waiting, line);
        ok = true;
    }
    link->lost += !ok;
    return ok;
}

void pn_admin_link_commands(struct pn_admin_link *link,
                            bool (*on_command)(void *ctx, struct pn_record *record))
{
    link->on_command = on_command;
}

bool pn_admin_link_send(struct pn_admin_link *link, uint16_t type, struct pn_str body,
                        const int *fds, unsigned nfds)
{
    return link->channel != NULL && pn_channel_send(link->channel, type, body, fds, nfds);
}
