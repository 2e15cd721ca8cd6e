#include "wire.h"

#include <endian.h>

void pn_wr_u8(struct pn_buf *b, uint8_t v)
{
    (void)pn_buf_add(b, &v, sizeof v);
}

void pn_wr_u16(struct pn_buf *b, uint16_t v)
{
    v = htole16(v);
    (void)pn_buf_add(b, &v, sizeof v);
}

void pn_wr_u32(struct pn_buf *b, uint32_t v)
{
    v = htole32(v);
    (void)pn_buf_add(b, &v, sizeof v);
}

void pn_wr_u64(struct pn_buf *b, uint64_t v)
{
    v = htole64(v);
    (void)pn_buf_add(b, &v, sizeof v);
}

void pn_wr_i64(struct pn_buf *b, int64_t v)
{
    pn_wr_u64(b, (uint64_t)v);
}

void pn_wr_str(struct pn_buf *b, struct pn_str s)
{
    if (s.len > UINT32_MAX) {
        b->overflow = true;
        return;
    }
    pn_wr_u32(b, (uint32_t)s.len);
    (void)pn_buf_adds(b, s);
}

struct pn_rd pn_rd_of(struct pn_str bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.p;
    return (struct pn_rd){p, bytes.len == 0 ? p : p + bytes.len, false};
}

static bool take(struct pn_rd *r, void *out, size_t n)
{
    if (r->bad || (size_t)(r->end - r->p) < n) {
        r->bad = true;
        memset(out, 0, n);
        return false;
    }
    memcpy(out, r->p, n);
    r->p += n;
    return true;
}

uint8_t pn_rd_u8(struct pn_rd *r)
{
    uint8_t v;
    (void)take(r, &v, sizeof v);
    return v;
}

uint16_t pn_rd_u16(struct pn_rd *r)
{
    uint16_t v;
    (void)take(r, &v, sizeof v);
    return le16toh(v);
}

uint32_t pn_rd_u32(struct pn_rd *r)
{
    uint32_t v;
    (void)take(r, &v, sizeof v);
    return le32toh(v);
}

uint64_t pn_rd_u64(struct pn_rd *r)
{
    uint64_t v;
    (void)take(r, &v, sizeof v);
    return le64toh(v);
}

int64_t pn_rd_i64(struct pn_rd *r)
{
    return (int64_t)pn_rd_u64(r);
}

struct pn_str pn_rd_str(struct pn_rd *r)
{
    uint32_t n = pn_rd_u32(r);
    if (r->bad || (size_t)(r->end - r->p) < n) {
        r->bad = true;
        return PN_STR("");
    }
    struct pn_str s = {(const char *)r->p, n};
    if (n == 0)
        return PN_STR("");
    r->p += n;
    return s;
}

uint32_t pn_rd_count(struct pn_rd *r, size_t min_bytes)
{
    uint32_t n = pn_rd_u32(r);
    size_t left = r->bad ? 0 : (size_t)(r->end - r->p);
    if (min_bytes != 0 && n > left / min_bytes) {
        r->bad = true;
        return 0;
    }
    return n;
}

bool pn_rd_done(const struct pn_rd *r)
{
    return !r->bad && r->p == r->end;
}
