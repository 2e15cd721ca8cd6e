/* Base64 (RFC 4648, section 4) and CRC32C (Castagnoli, RFC 3720 appendix B.4). */
#ifndef PN_CODEC_H
#define PN_CODEC_H

#include "buf.h"

void pn_base64_encode(struct pn_buf *out, struct pn_str bytes);
/* Strict: whole groups, right padding, no other byte. False leaves out as it was. */
bool pn_base64_decode(struct pn_buf *out, struct pn_str text);
/* Continues from crc (0 to begin). Uses the CPU's instruction where it has one. */
uint32_t pn_crc32c(uint32_t crc, const void *p, size_t n);

#endif
