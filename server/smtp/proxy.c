#include "proxy.h"

#include "codec.h"

static const struct pn_str v1_mark = PN_STR_INIT("PROXY ");
static const struct pn_str v2_mark = PN_STR_INIT("\r\n\r\n\0\r\nQUIT\n");

enum { V2_HEAD = 16, TLV_HEAD = 3, TLV_CRC32C = 3, CRC_LEN = 4 };

/* ---- version 1: a line of text */

static bool take_port(struct pn_str *rest, uint16_t *port)
{
    uint64_t n;
    if (rest->p == NULL || !pn_str_u64(pn_str_split(rest, ' '), UINT16_MAX, &n))
        return false;
    *port = (uint16_t)n;
    return true;
}

static bool take_ip(struct pn_str *rest, bool v4, struct pn_ip *ip)
{
    if (rest->p == NULL)
        return false;
    struct pn_str text = pn_str_split(rest, ' ');
    return (pn_str_find(text, ':', 0) == SIZE_MAX) == v4 && pn_ip_parse(text, ip);
}

static bool read_v1(struct pn_str line, struct pn_proxy *out)
{
    struct pn_str rest = pn_str_slice(line, v1_mark.len, line.len);
    struct pn_str family = pn_str_split(&rest, ' ');
    bool v4 = pn_str_eq(family, PN_STR("TCP4"));
    out->local = pn_str_eq(family, PN_STR("UNKNOWN"));
    if (out->local)
        return true; /* what follows says nothing */
    if (!v4 && !pn_str_eq(family, PN_STR("TCP6")))
        return false;
    return take_ip(&rest, v4, &out->source) && take_ip(&rest, v4, &out->dest) &&
           take_port(&rest, &out->source_port) && take_port(&rest, &out->dest_port) &&
           rest.p == NULL;
}

static enum pn_proxy_status parse_v1(struct pn_str bytes, struct pn_proxy *out)
{
    size_t lf = pn_str_find(pn_str_slice(bytes, 0, PN_PROXY_V1_MAX), '\n', 0);
    if (lf == SIZE_MAX)
        return bytes.len < PN_PROXY_V1_MAX ? PN_PROXY_MORE : PN_PROXY_BAD;
    if (bytes.p[lf - 1] != '\r')
        return PN_PROXY_BAD;
    out->len = lf + 1;
    return read_v1(pn_str_slice(bytes, 0, lf - 1), out) ? PN_PROXY_OK : PN_PROXY_BAD;
}

/* ---- version 2: binary, big endian */

static uint16_t be16(const char *p)
{
    return (uint16_t)((unsigned char)p[0] << 8 | (unsigned char)p[1]);
}

static void read_ip(const char *p, bool v4, struct pn_ip *ip)
{
    static const struct pn_ip mapped = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}};
    *ip = mapped;
    memcpy(v4 ? ip->b + 12 : ip->b, p, v4 ? 4 : 16);
}

/* The checksum is taken over the whole header, its own four bytes as zeros. */
static bool crc_ok(struct pn_str header, size_t at)
{
    static const char zeros[CRC_LEN];
    uint32_t want = (uint32_t)be16(header.p + at) << 16 | be16(header.p + at + 2);
    uint32_t crc = pn_crc32c(0, header.p, at);
    crc = pn_crc32c(crc, zeros, CRC_LEN);
    size_t behind = at + CRC_LEN;
    return pn_crc32c(crc, header.p + behind, header.len - behind) == want;
}

static bool extensions_ok(struct pn_str header, size_t at)
{
    while (at < header.len) {
        if (header.len - at < TLV_HEAD)
            return false;
        size_t len = be16(header.p + at + 1);
        char type = header.p[at];
        at += TLV_HEAD;
        if (len > header.len - at || (type == TLV_CRC32C && len != CRC_LEN))
            return false;
        if (type == TLV_CRC32C && !crc_ok(header, at))
            return false;
        at += len;
    }
    return true;
}

static enum pn_proxy_status read_v2(struct pn_str header, struct pn_proxy *out)
{
    unsigned char command = (unsigned char)header.p[12], family = (unsigned char)header.p[13];
    bool v4 = family == 0x11, v6 = family == 0x21;
    size_t addresses = v4 ? 12 : v6 ? 36 : 0, size = v4 ? 4 : 16;
    const char *p = header.p + V2_HEAD;
    if (command == 0x20) {
        out->local = true; /* its own health check: the rest is to be ignored */
        return PN_PROXY_OK;
    }
    if (command != 0x21 || header.len - V2_HEAD < addresses)
        return PN_PROXY_BAD;
    /* Families that are not TCP over IP say nothing that we could use. */
    out->local = addresses == 0;
    if (out->local)
        return PN_PROXY_OK;
    read_ip(p, v4, &out->source);
    read_ip(p + size, v4, &out->dest);
    out->source_port = be16(p + 2 * size);
    out->dest_port = be16(p + 2 * size + 2);
    return extensions_ok(header, V2_HEAD + addresses) ? PN_PROXY_OK : PN_PROXY_BAD;
}

static enum pn_proxy_status parse_v2(struct pn_str bytes, struct pn_proxy *out)
{
    if (bytes.len < V2_HEAD)
        return PN_PROXY_MORE;
    out->len = V2_HEAD + (size_t)be16(bytes.p + 14);
    if (out->len > PN_PROXY_MAX)
        return PN_PROXY_BAD;
    if (bytes.len < out->len)
        return PN_PROXY_MORE;
    return read_v2(pn_str_slice(bytes, 0, out->len), out);
}

/* Does one begin the other? */
static bool agree(struct pn_str bytes, struct pn_str mark)
{
    size_t n = bytes.len < mark.len ? bytes.len : mark.len;
    return pn_str_eq(pn_str_slice(bytes, 0, n), pn_str_slice(mark, 0, n));
}

enum pn_proxy_status pn_proxy_parse(struct pn_str bytes, struct pn_proxy *out)
{
    *out = (struct pn_proxy){0};
    if (bytes.len == 0)
        return PN_PROXY_MORE;
    if (agree(bytes, v1_mark))
        return bytes.len < v1_mark.len ? PN_PROXY_MORE : parse_v1(bytes, out);
    return agree(bytes, v2_mark) ? parse_v2(bytes, out) : PN_PROXY_BAD;
}
