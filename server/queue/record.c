#include "record.h"

#include "codec.h"

#include <endian.h>

/* Offsets in the header; numbers are little endian. */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 4,
    AT_TYPE = 5,
    AT_FLAGS = 6, /* a byte of zero follows */
    AT_ID = 8,
    AT_META_LEN = 16,
    AT_BATCH = 20,
    AT_CONTENT_LEN = 24,
    AT_CONTENT_FILE = 32,
    AT_CONTENT_SIZE = 40,
    AT_META_CRC = 48,
    AT_CONTENT_CRC = 52,
    AT_CONTENT_AT = 56,
    AT_CRC = 60
};

enum { FLAG_LAST = 1, FLAG_PAGED = 2 };

static const char magic[4] = {'P', 'n', 'J', '\n'};

static void put32(char *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof v);
}

static void put64(char *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof v);
}

static uint32_t get32(const char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return le32toh(v);
}

static uint64_t get64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return le64toh(v);
}

static uint64_t round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

void record_lay(struct record *record, uint64_t offset)
{
    uint64_t at = offset + RECORD_HEADER + record->meta_len;
    if (record->paged)
        at = round_up(at, RECORD_PAGE);
    record->content_at = (uint32_t)(at - offset);
}

uint64_t record_behind(const struct record *record, uint64_t offset)
{
    uint64_t end = offset + record->content_at + record->content_len;
    return round_up(end, record->paged ? RECORD_PAGE : RECORD_ALIGN);
}

uint32_t record_seed(const struct record_place *place)
{
    char bytes[24];
    put64(bytes, place->salt);
    put64(bytes + 8, place->serial);
    put64(bytes + 16, place->offset);
    return pn_crc32c(0, bytes, sizeof bytes);
}

void record_put(char header[RECORD_HEADER], const struct record *record,
                const struct record_place *place)
{
    memset(header, 0, RECORD_HEADER);
    memcpy(header + AT_MAGIC, magic, sizeof magic);
    header[AT_VERSION] = RECORD_VERSION;
    header[AT_TYPE] = (char)record->type;
    header[AT_FLAGS] = (char)((record->last ? FLAG_LAST : 0) | (record->paged ? FLAG_PAGED : 0));
    put32(header + AT_CONTENT_AT, record->content_at);
    put64(header + AT_ID, record->id);
    put32(header + AT_META_LEN, record->meta_len);
    put32(header + AT_BATCH, record->batch);
    put64(header + AT_CONTENT_LEN, record->content_len);
    put64(header + AT_CONTENT_FILE, record->content_file);
    put64(header + AT_CONTENT_SIZE, record->content_size);
    put32(header + AT_META_CRC, record->meta_crc);
    put32(header + AT_CONTENT_CRC, record->content_crc);
    put32(header + AT_CRC, pn_crc32c(record_seed(place), header, AT_CRC));
}

static bool sane(const struct record *r, uint64_t offset, uint64_t left)
{
    struct record as_laid = *r;
    record_lay(&as_laid, offset);
    return r->type > 0 && r->type < RECORD_TYPE_COUNT && r->meta_len <= RECORD_META_MAX &&
           r->content_at == as_laid.content_at && r->content_at <= left &&
           r->content_len <= left - r->content_at && (r->content_file == 0 || r->content_len == 0);
}

enum record_check record_get(const char header[RECORD_HEADER], const struct record_place *place,
                             uint64_t left, struct record *record)
{
    if (left < RECORD_HEADER || memcmp(header + AT_MAGIC, magic, sizeof magic) != 0 ||
        get32(header + AT_CRC) != pn_crc32c(record_seed(place), header, AT_CRC))
        return RECORD_NONE;
    if ((unsigned char)header[AT_VERSION] != RECORD_VERSION)
        return RECORD_NEWER;
    *record = (struct record){
        .type = (uint8_t)header[AT_TYPE],
        .last = (header[AT_FLAGS] & FLAG_LAST) != 0,
        .paged = (header[AT_FLAGS] & FLAG_PAGED) != 0,
        .content_at = get32(header + AT_CONTENT_AT),
        .id = get64(header + AT_ID),
        .meta_len = get32(header + AT_META_LEN),
        .batch = get32(header + AT_BATCH),
        .content_len = get64(header + AT_CONTENT_LEN),
        .content_file = get64(header + AT_CONTENT_FILE),
        .content_size = get64(header + AT_CONTENT_SIZE),
        .meta_crc = get32(header + AT_META_CRC),
        .content_crc = get32(header + AT_CONTENT_CRC),
    };
    return sane(record, place->offset, left) ? RECORD_GOOD : RECORD_NONE;
}
