/*
 * Fills a spool with messages that wait: fill_spool FOLDER COUNT NEXT-HOP [BYTES]. They are to
 * COUNT/2000 domains, from as many senders, tried three times and due again in two hours. For
 * measurements of a full queue; the server that then opens the folder believes it.
 */
#include "clock.h"
#include "handover.h"
#include "mem.h"
#include "spool.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { UNDER_WAY = 4096, A_DOMAIN = 2000, META_VERSION = 1, WAITING = 0, TRIES = 3 };

/* One that is being written. */
struct slot {
    struct spool_op op; /* first */
    struct pn_buf meta;
    struct slot *next_free;
};

struct filler {
    struct spool *spool;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct slot *free_slots;
    size_t waiting;
    int error;
    struct pn_str next_hop, content;
    int64_t now_ms;
};

static void finished(void *ctx, struct spool_op *ops)
{
    struct filler *f = ctx;
    (void)pthread_mutex_lock(&f->lock);
    for (struct spool_op *op = ops, *next; op != NULL; op = next) {
        struct slot *slot = (struct slot *)op;
        next = op->next;
        f->error = op->error != 0 ? op->error : f->error;
        slot->next_free = f->free_slots;
        f->free_slots = slot;
        f->waiting--;
    }
    (void)pthread_cond_signal(&f->cond);
    (void)pthread_mutex_unlock(&f->lock);
}

static void alarmed(void *ctx, const char *sentence)
{
    (void)ctx;
    fprintf(stderr, "fill_spool: %s\n", sentence);
}

static void found_message(void *ctx, uint64_t id, struct pn_str meta, const struct spool_ref *ref)
{
    (void)ctx, (void)id, (void)meta, (void)ref;
}

static void found_note(void *ctx, uint64_t id, struct pn_str meta)
{
    (void)ctx, (void)id, (void)meta;
}

static void found_end(void *ctx, uint64_t id)
{
    (void)ctx, (void)id;
}

static void set_meta(const struct filler *f, struct pn_buf *meta, uint64_t id, unsigned n)
{
    char from[64], to[64];
    int from_len = snprintf(from, sizeof from, "list-%u@sender%u.test", n % 97, n / A_DOMAIN);
    int to_len = snprintf(to, sizeof to, "user%u@dead%u.test", n, n / A_DOMAIN);
    struct pn_recipient rcpt = {
        .address = {to, (size_t)to_len}, .via = PN_VIA_SMTP, .next_hop = f->next_hop};
    struct pn_edit_group group = {0};
    const struct pn_envelope env = {.id = id,
                                    .arrived_ms = f->now_ms,
                                    .size = f->content.len,
                                    .flags = PN_ENV_SPF_PASS,
                                    .reverse_path = {from, (size_t)from_len},
                                    .client = PN_STR("192.0.2.1"),
                                    .helo = PN_STR("client.test"),
                                    .group_count = 1,
                                    .groups = &group,
                                    .recipient_count = 1,
                                    .recipients = &rcpt};
    struct pn_buf envelope;
    pn_buf_init(&envelope, PN_ENVELOPE_MAX);
    (void)pn_envelope_put(&envelope, &env);
    pn_buf_clear(meta);
    pn_wr_u8(meta, META_VERSION);
    pn_wr_str(meta, pn_buf_str(&envelope));
    pn_wr_u32(meta, 1);
    pn_wr_u32(meta, 0);
    pn_wr_u8(meta, WAITING);
    pn_wr_u16(meta, TRIES);
    pn_wr_i64(meta, f->now_ms + 2 * 3600 * 1000LL + (int64_t)n * 5);
    pn_wr_str(meta, PN_STR("451 4.4.1 Connection refused"));
    pn_buf_fini(&envelope);
}

static void wait_for(struct filler *f, bool all)
{
    (void)pthread_mutex_lock(&f->lock);
    while (all ? f->waiting > 0 : f->free_slots == NULL)
        (void)pthread_cond_wait(&f->cond, &f->lock);
    (void)pthread_mutex_unlock(&f->lock);
}

static void fill(struct filler *f, unsigned count)
{
    struct pn_queue_id_maker ids = {.tag = PN_QUEUE_ID_TAG_MAX};
    for (unsigned n = 0; n < count && f->error == 0; n++) {
        wait_for(f, false);
        (void)pthread_mutex_lock(&f->lock);
        struct slot *slot = f->free_slots;
        f->free_slots = slot->next_free;
        f->waiting++;
        (void)pthread_mutex_unlock(&f->lock);
        uint64_t id = pn_queue_id_make(&ids);
        set_meta(f, &slot->meta, id, n);
        slot->op = (struct spool_op){.type = SPOOL_MESSAGE,
                                     .id = id,
                                     .meta = pn_buf_str(&slot->meta),
                                     .content = f->content,
                                     .content_size = f->content.len};
        spool_submit(f->spool, &slot->op);
    }
    wait_for(f, true);
}

static struct pn_str content_of(size_t size)
{
    static const char head[] = "Subject: waiting\r\n\r\n";
    struct pn_buf b;
    pn_buf_init(&b, size + 100);
    (void)pn_buf_addz(&b, head);
    while (b.len + 80 < size)
        (void)pn_buf_addz(&b, "a line of a message that nobody takes, and of a length that is "
                              "common\r\n");
    return pn_buf_str(&b); /* until the process ends */
}

int main(int argc, char **argv)
{
    static struct slot slots[UNDER_WAY];
    struct filler f = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    struct pn_buf err;
    if (argc < 4 || argc > 5 || strtoul(argv[2], NULL, 10) == 0) {
        fputs("usage: fill_spool FOLDER COUNT NEXT-HOP [BYTES]\n", stderr);
        return 2;
    }
    unsigned count = (unsigned)strtoul(argv[2], NULL, 10);
    f.next_hop = pn_str_of(argv[3]);
    f.content = content_of(argc > 4 ? strtoul(argv[4], NULL, 10) : 2000);
    f.now_ms = pn_clock_wall_ms();
    for (size_t i = 0; i < UNDER_WAY; i++) {
        pn_buf_init(&slots[i].meta, PN_ENVELOPE_MAX);
        slots[i].next_free = f.free_slots;
        f.free_slots = &slots[i];
    }
    pn_buf_init(&err, 1000);
    (void)mkdir(argv[1], 0700);
    int folder = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct spool_settings settings = {.finished = finished, .alarm = alarmed, .ctx = &f};
    const struct spool_found none = {found_message, found_note, found_end, NULL, NULL};
    f.spool = folder < 0 ? NULL : spool_open(folder, &settings, &none, &err);
    if (f.spool == NULL) {
        fprintf(stderr, "fill_spool: %s: %.*s\n", argv[1], (int)err.len, err.len > 0 ? err.p : "");
        return 1;
    }
    fill(&f, count);
    spool_close(&f.spool);
    if (f.error != 0)
        fprintf(stderr, "fill_spool: %s\n", strerror(f.error));
    return f.error != 0;
}
