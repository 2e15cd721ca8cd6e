/*
 * Fields in, fields out: the one encoding of role records, spool records, facts
 * and the policy mapping's parts. Little endian, fixed widths, strings as u32
 * length and bytes. Nothing here allocates but the buffer that is written to.
 *
 * A reader is sticky: a read past the end, or a length that is too large, sets
 * `bad` and every later read gives zero or an empty view. So a decoder reads all
 * its fields and checks `pn_rd_ok` once. Views it returns borrow from its bytes.
 */
#ifndef PN_WIRE_H
#define PN_WIRE_H

#include "buf.h"

void pn_wr_u8(struct pn_buf *b, uint8_t v);
void pn_wr_u16(struct pn_buf *b, uint16_t v);
void pn_wr_u32(struct pn_buf *b, uint32_t v);
void pn_wr_u64(struct pn_buf *b, uint64_t v);
void pn_wr_i64(struct pn_buf *b, int64_t v);
void pn_wr_str(struct pn_buf *b, struct pn_str s);

struct pn_rd {
    const unsigned char *p;
    const unsigned char *end;
    bool bad;
};

struct pn_rd pn_rd_of(struct pn_str bytes);
uint8_t pn_rd_u8(struct pn_rd *r);
uint16_t pn_rd_u16(struct pn_rd *r);
uint32_t pn_rd_u32(struct pn_rd *r);
uint64_t pn_rd_u64(struct pn_rd *r);
int64_t pn_rd_i64(struct pn_rd *r);
struct pn_str pn_rd_str(struct pn_rd *r);
/* A count of items that each take at least min_bytes: more than the rest could
 * hold is bad, so an array may be sized by it. */
uint32_t pn_rd_count(struct pn_rd *r, size_t min_bytes);
/* All read and nothing was bad. */
bool pn_rd_done(const struct pn_rd *r);
static inline bool pn_rd_ok(const struct pn_rd *r)
{
    return !r->bad;
}

#endif
