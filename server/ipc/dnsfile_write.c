/* The other way: lines that answer a question as it was answered once. */
#include "dnsfile.h"
#include "net.h"

/* Text of a name, or of a quoted string, so that it reads as one word: what the file's syntax
 * uses is escaped; pairs that are escaped already stay. */
static void put_text(struct pn_buf *out, struct pn_str s, bool quoted)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool blank = c < ' ' || c >= 0x7f || (c == ' ' && !quoted);
        bool pair = !quoted && c == '\\' && i + 1 < s.len;
        if (pair)
            (void)pn_buf_add(out, s.p + i++, 2);
        else if (blank)
            (void)pn_buf_addf(out, "\\%03u", c);
        else if (c == '"' || c == '\\' || (!quoted && strchr(";()@$", c) != NULL))
            (void)pn_buf_addf(out, "\\%c", c);
        else
            (void)pn_buf_addc(out, (char)c);
    }
}

/* With its last dot: no word of the syntax looks so. */
static void put_name(struct pn_buf *out, struct pn_str name)
{
    put_text(out, name, false);
    (void)pn_buf_addc(out, '.');
}

static void put_address(struct pn_buf *out, struct pn_str data)
{
    char text[PN_IP_TEXT_MAX];
    struct pn_ip ip = {.b = {[10] = 0xff, [11] = 0xff}};
    if (data.len == 4)
        memcpy(ip.b + 12, data.p, 4);
    else
        memcpy(ip.b, data.p, 16);
    if (data.len == 16 && pn_ip_is_v4(&ip)) /* mapped; its text would be IPv4's */
        (void)pn_buf_addz(out, "::ffff:");
    (void)pn_buf_addz(out, pn_ip_text(&ip, text));
}

static void put_raw(struct pn_buf *out, struct pn_str data)
{
    (void)pn_buf_addf(out, "\\# %zu", data.len);
    for (size_t i = 0; i < data.len; i++)
        (void)pn_buf_addf(out, i == 0 ? " %02x" : "%02x", (unsigned char)data.p[i]);
}

static void put_data(struct pn_buf *out, uint16_t type, struct pn_str data)
{
    switch (type) {
    case PN_DNS_A:
    case PN_DNS_AAAA:
        if (data.len == (type == PN_DNS_A ? 4 : 16))
            put_address(out, data);
        return;
    case PN_DNS_TXT:
        (void)pn_buf_addc(out, '"');
        put_text(out, data, true);
        (void)pn_buf_addc(out, '"');
        return;
    case PN_DNS_MX:
        if (data.len < 2)
            return;
        (void)pn_buf_addf(out, "%u ", (unsigned char)data.p[0] * 256U + (unsigned char)data.p[1]);
        put_name(out, pn_str_slice(data, 2, data.len));
        return;
    case PN_DNS_PTR:
    case PN_DNS_NS:
    case PN_DNS_CNAME:
        put_name(out, data);
        return;
    default:
        put_raw(out, data);
    }
}

static const char *state_word(uint16_t rcode)
{
    switch (rcode) {
    case PN_DNS_NOERROR:
        return "NODATA";
    case PN_DNS_NXDOMAIN:
        return "NXDOMAIN";
    case PN_DNS_TIMEOUT:
        return "TIMEOUT";
    default:
        return "SERVFAIL";
    }
}

static void begin(struct pn_buf *out, struct pn_str name, uint16_t type)
{
    put_name(out, name);
    if (pn_dns_type_name(type) != NULL)
        (void)pn_buf_addf(out, " %s ", pn_dns_type_name(type));
    else
        (void)pn_buf_addf(out, " TYPE%u ", type);
}

void pn_dnsfile_put(struct pn_buf *out, struct pn_str name, uint16_t type,
                    const struct pn_dns_answer *a)
{
    if (a->rcode != PN_DNS_NOERROR || a->count == 0) {
        begin(out, name, type);
        (void)pn_buf_addf(out, "%s\n", state_word(a->rcode));
    }
    for (uint32_t i = 0; a->rcode == PN_DNS_NOERROR && i < a->count; i++) {
        begin(out, name, type);
        put_data(out, type, a->records[i].data);
        (void)pn_buf_addc(out, '\n');
    }
    if (a->secure) {
        begin(out, name, type);
        (void)pn_buf_addz(out, "SECURE\n");
    }
}
