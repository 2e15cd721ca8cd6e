/*
 * A segment of the journal whose records have right checksums but any fields, and then
 * bytes changed anywhere. Whatever lies there: what is called a record lies within the
 * segment behind the one before, damage is within it too, and the walk ends.
 *
 * The input is a list of orders, each a byte: 0 to 5 put a record (12 bytes of fields, then
 * its meta), 6 moves on, 7 changes a byte of what was put. The first byte: how it is read.
 */
#include "assert.h"
#include "codec.h"
#include "segment.h"
#include "wire.h"

#include <sys/mman.h>
#include <unistd.h>

enum { SIZE = 16 * SEGMENT_PAGE };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    const struct segment *segment;
    uint64_t behind, damaged_to;
    uint64_t most; /* where damage may end: what was acknowledged may be cut off */
};

static char bytes[SIZE];

static void on_record(void *ctx, const struct record *r, uint64_t offset, struct pn_str meta)
{
    struct seen *seen = ctx;
    static volatile size_t sum;
    pn_assert(offset >= seen->behind && offset >= seen->damaged_to);
    pn_assert(offset % RECORD_ALIGN == 0 && offset >= SEGMENT_PAGE);
    pn_assert(meta.len == r->meta_len && r->type > 0 && r->type < RECORD_TYPE_COUNT);
    pn_assert(r->content_at >= RECORD_HEADER + r->meta_len);
    pn_assert(offset + r->content_at + r->content_len <= SIZE);
    for (size_t i = 0; i < meta.len; i++)
        sum += (unsigned char)meta.p[i];
    seen->behind = record_behind(r, offset);
}

static void on_damage(void *ctx, uint64_t from, uint64_t to, bool unheard)
{
    (void)unheard;
    struct seen *seen = ctx;
    pn_assert(from < to && to <= seen->most && from >= seen->damaged_to);
    seen->damaged_to = to;
}

/* Returns where the next may stand. */
static uint64_t put_record(struct pn_rd *rd, const struct segment *segment, uint64_t at)
{
    uint8_t flags = pn_rd_u8(rd);
    struct record r = {.type = flags & 7,
                       .last = (flags & 8) != 0,
                       .paged = (flags & 16) != 0,
                       .id = pn_rd_u8(rd),
                       .batch = pn_rd_u8(rd),
                       .meta_len = pn_rd_u8(rd),
                       .content_len = pn_rd_u16(rd),
                       .content_file = pn_rd_u8(rd) / 250U};
    uint8_t twist = pn_rd_u8(rd);
    struct record_place place = segment_place(segment, at);
    record_lay(&r, at);
    if (pn_rd_ok(rd) && (size_t)(rd->end - rd->p) >= r.meta_len &&
        at + RECORD_HEADER + r.meta_len <= SIZE) {
        memcpy(bytes + at + RECORD_HEADER, rd->p, r.meta_len);
        r.meta_crc = pn_crc32c(record_seed(&place), rd->p, r.meta_len);
        rd->p += r.meta_len;
    }
    if (at + r.content_at + r.content_len <= SIZE)
        r.content_crc =
            pn_crc32c(record_seed(&place), bytes + at + r.content_at, (size_t)r.content_len);
    uint64_t next = record_behind(&r, at);
    if (twist > 250) /* fields that our own writer never gives */
        r.meta_len = UINT32_MAX - twist;
    else if (twist > 245)
        r.content_len = UINT64_MAX - twist;
    else if (twist > 240)
        r.content_at += RECORD_ALIGN;
    record_put(bytes + at, &r, &place);
    return r.last ? (next + SEGMENT_PAGE - 1) / SEGMENT_PAGE * SEGMENT_PAGE : next;
}

static void build(struct pn_rd *rd, const struct segment *segment)
{
    uint64_t at = SEGMENT_PAGE;
    memset(bytes, 0, sizeof bytes);
    while (!pn_rd_done(rd) && pn_rd_ok(rd)) {
        uint8_t order = pn_rd_u8(rd) % 8;
        if (order <= 5 && at + RECORD_HEADER <= SIZE)
            at = put_record(rd, segment, at);
        else if (order == 6)
            at += (uint64_t)pn_rd_u8(rd) * RECORD_ALIGN;
        else
            bytes[pn_rd_u16(rd) % SIZE] = (char)pn_rd_u8(rd);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    if (size == 0)
        return 0;
    if (fd < 0)
        fd = memfd_create("segment", MFD_CLOEXEC);
    struct segment segment = {.serial = 3, .salt = 5, .size = SIZE, .fd = fd, .write_fd = -1};
    uint64_t stop = data[0] < 128 ? 0 : (uint64_t)(data[0] - 127) * SEGMENT_PAGE;
    struct seen seen = {&segment, SEGMENT_PAGE, 0, stop > SIZE ? stop : SIZE};
    const struct segment_scan scan = {on_record, on_damage, &seen};
    struct pn_rd rd = pn_rd_of((struct pn_str){(const char *)data + 1, size - 1});
    build(&rd, &segment);
    pn_assert(pwrite(fd, bytes, SIZE, 0) == SIZE);
    if (segment_scan(&segment, stop, 0, &scan) == 0) {
        pn_assert(segment.end >= SEGMENT_PAGE || stop != 0);
        pn_assert(segment.end <= SIZE || stop > SIZE);
    }
    return 0;
}
