/*
 * Finding a segment's records. Where the next record must stand is always known: behind
 * the one before, or at the next page if that one closed its batch. What stands there
 * and is no record is damage if anything good follows (or is known to have been synced),
 * else the end.
 */
#include "segment.h"

#include "codec.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>

enum { WINDOW = 16 * 1024, CHUNK = 64 * 1024 };

/* A sliding view of the file, so that a run of small records is one read. */
struct window {
    const struct segment *segment;
    char *bytes;
    size_t cap;
    uint64_t from;
    size_t len;
};

struct walk {
    struct segment *segment;
    const struct segment_scan *scan; /* NULL: only find the end */
    uint64_t stop;                   /* look no further */
    bool open_end;                   /* what ends before stop is no damage */
    uint32_t verify_from;            /* batches that may be torn: their content is checked too */
    struct window window;
    bool unreadable; /* the last header looked at */
    uint64_t end;    /* found: behind the last good record, at a page */
    uint32_t batch;  /* found: of the last good record */
    bool closed;     /* that one was the last of its batch; or there was none yet */
    int error;
};

static uint64_t page_up(uint64_t n)
{
    return (n + SEGMENT_PAGE - 1) / SEGMENT_PAGE * SEGMENT_PAGE;
}

/* n bytes at offset, or NULL if the disk does not give them. */
static const char *window_get(struct window *w, uint64_t offset, size_t n)
{
    if (offset >= w->from && offset + n <= w->from + w->len)
        return w->bytes + (offset - w->from);
    uint64_t left = w->segment->size - offset;
    size_t want = n < WINDOW ? WINDOW : n;
    if (want > left)
        want = (size_t)left;
    if (want > w->cap) {
        free(w->bytes);
        w->bytes = pn_alloc(want);
        w->cap = want;
    }
    w->len = 0;
    if (n > left)
        return NULL;
    if (segment_read(w->segment, offset, w->bytes, want) != 0) {
        want = n; /* only a part further on may be unreadable */
        if (segment_read(w->segment, offset, w->bytes, want) != 0)
            return NULL;
    }
    w->from = offset;
    w->len = want;
    return w->bytes;
}

static bool content_good(const struct walk *walk, const struct record *r,
                         const struct record_place *place)
{
    char chunk[CHUNK];
    uint32_t crc = record_seed(place);
    uint64_t at = place->offset + r->content_at;
    for (uint64_t left = r->content_len; left > 0;) {
        size_t n = left < sizeof chunk ? (size_t)left : sizeof chunk;
        if (segment_read(walk->segment, at, chunk, n) != 0)
            return false;
        crc = pn_crc32c(crc, chunk, n);
        at += n;
        left -= n;
    }
    return r->content_file != 0 || crc == r->content_crc;
}

/* What the disk does not give is no record either: the search finds what is left. */
static enum record_check header_at(struct walk *walk, uint64_t pos, struct record *r)
{
    struct record_place place = segment_place(walk->segment, pos);
    const char *header = window_get(&walk->window, pos, RECORD_HEADER);
    walk->unreadable = header == NULL;
    return header == NULL ? RECORD_NONE : record_get(header, &place, walk->stop - pos, r);
}

static bool body_good(struct walk *walk, uint64_t pos, const struct record *r, struct pn_str *meta)
{
    struct record_place place = segment_place(walk->segment, pos);
    const char *p = window_get(&walk->window, pos + RECORD_HEADER, r->meta_len);
    if (p == NULL || pn_crc32c(record_seed(&place), p, r->meta_len) != r->meta_crc)
        return false;
    *meta = (struct pn_str){p, r->meta_len};
    return r->batch < walk->verify_from || content_good(walk, r, &place);
}

/* The next place from pos on where a good header stands, or stop. */
static uint64_t search(struct walk *walk, uint64_t pos)
{
    struct record r;
    while (pos + RECORD_HEADER <= walk->stop) {
        enum record_check check = header_at(walk, pos, &r);
        if (check == RECORD_GOOD)
            return pos;
        if (check == RECORD_NEWER)
            walk->error = EPROTONOSUPPORT;
        pos = walk->unreadable ? page_up(pos + 1) : pos + RECORD_ALIGN;
    }
    return walk->stop;
}

static uint64_t behind(uint64_t pos, const struct record *r)
{
    pos = record_behind(r, pos);
    return r->last ? page_up(pos) : pos;
}

static void damaged(const struct walk *walk, uint64_t from, uint64_t to, bool unheard)
{
    if (walk->scan != NULL)
        walk->scan->damage(walk->scan->ctx, from, to, unheard);
}

/* Whether what is bad from here to next, where a good record may stand, is of the last batch
 * that a process wrote before it went: its sectors reach the disk in any order. */
static bool in_last_batch(struct walk *walk, uint64_t next)
{
    struct record r;
    uint32_t at_least = walk->closed ? walk->batch + 1 : walk->batch; /* of what is missing */
    return at_least >= walk->verify_from &&
           (next >= walk->stop ||
            (header_at(walk, next, &r) == RECORD_GOOD && r.batch >= walk->verify_from));
}

/* One step from pos; returns the next place, or stop. */
static uint64_t step(struct walk *walk, uint64_t pos)
{
    struct record r;
    struct pn_str meta;
    enum record_check check = header_at(walk, pos, &r);
    if (check == RECORD_NEWER)
        walk->error = EPROTONOSUPPORT;
    if (check == RECORD_GOOD && body_good(walk, pos, &r, &meta)) {
        if (walk->scan != NULL)
            walk->scan->record(walk->scan->ctx, &r, pos, meta);
        uint64_t next = behind(pos, &r);
        walk->end = page_up(next);
        walk->batch = r.batch;
        walk->closed = r.last;
        return next;
    }
    uint64_t next = check == RECORD_GOOD ? behind(pos, &r) : search(walk, pos + RECORD_ALIGN);
    if (check == RECORD_GOOD && walk->scan == NULL)
        walk->end = page_up(next); /* a good header counts, for where the newest ends */
    /* Nothing good behind it, in a last batch that may never have been synced. */
    if (walk->open_end && search(walk, next) >= walk->stop &&
        (check != RECORD_GOOD || r.batch >= walk->verify_from))
        return walk->stop;
    damaged(walk, pos, next,
            check == RECORD_GOOD ? r.batch >= walk->verify_from : in_last_batch(walk, next));
    return next;
}

static void run(struct walk *walk)
{
    walk->window = (struct window){.segment = walk->segment};
    walk->end = SEGMENT_PAGE;
    walk->closed = true;
    for (uint64_t pos = SEGMENT_PAGE; pos + RECORD_HEADER <= walk->stop && walk->error == 0;)
        pos = step(walk, pos);
    free(walk->window.bytes);
}

/* The newest: first where it ends, then its records, those of the last batch in full. */
static int find_end(struct walk *walk)
{
    struct walk look = {.segment = walk->segment,
                        .stop = walk->segment->size,
                        .open_end = true,
                        .verify_from = UINT32_MAX};
    run(&look);
    walk->stop = look.end < look.stop ? look.end : look.stop;
    walk->open_end = true;
    walk->verify_from = look.batch;
    return look.error;
}

int segment_scan(struct segment *segment, uint64_t stop, uint32_t unheard,
                 const struct segment_scan *scan)
{
    struct walk walk = {
        .segment = segment, .stop = stop, .verify_from = unheard == 0 ? UINT32_MAX : unheard};
    if (stop == 0)
        walk.error = find_end(&walk);
    else if (stop > segment->size)
        walk.stop = segment->size;
    if (walk.error != 0)
        return walk.error;
    walk.scan = scan;
    run(&walk);
    if (stop > walk.stop)
        damaged(&walk, walk.stop, stop, false);
    segment->end = walk.open_end && walk.end < walk.stop ? walk.end : walk.stop;
    segment->batch = walk.batch;
    return walk.error;
}
