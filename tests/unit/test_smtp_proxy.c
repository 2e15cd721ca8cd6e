#include "unit.h"

#include "codec.h"
#include "proxy.h"

#include <stdlib.h>

#define V2   "\r\n\r\n\0\r\nQUIT\n"
#define IP4S "\xc0\x00\x02\x01\xc0\x00\x02\x02\x30\x39\x00\x19"
#define IP6S                                                                                       \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x30\x39" \
    "\x00\x19"

static const struct {
    const char *label;
    struct pn_str in;
    enum pn_proxy_status want;
    size_t left; /* bytes behind the header */
    const char *source, *dest;
    uint16_t port; /* source's; dest's is 25 */
} rows[] = {
    {"v1 TCP4", PN_STR_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 12345 25\r\nEHLO"), PN_PROXY_OK, 4,
     "192.0.2.1", "192.0.2.2", 12345},
    {"v1 TCP6", PN_STR_INIT("PROXY TCP6 2001:db8::1 2001:db8::2 65535 25\r\n"), PN_PROXY_OK, 0,
     "2001:db8::1", "2001:db8::2", 65535},
    {"v1 UNKNOWN", PN_STR_INIT("PROXY UNKNOWN\r\n"), PN_PROXY_OK, 0, NULL, NULL, 0},
    {"v1 UNKNOWN and more", PN_STR_INIT("PROXY UNKNOWN a b c\r\nx"), PN_PROXY_OK, 1, NULL, NULL, 0},
    {"v1 other family", PN_STR_INIT("PROXY UDP4 192.0.2.1 192.0.2.2 1 25\r\n"), PN_PROXY_BAD},
    {"v1 no family", PN_STR_INIT("PROXY \r\n"), PN_PROXY_BAD},
    {"v1 wrong address", PN_STR_INIT("PROXY TCP4 2001:db8::1 192.0.2.2 1 25\r\n"), PN_PROXY_BAD},
    {"v1 wrong address 6", PN_STR_INIT("PROXY TCP6 192.0.2.1 2001:db8::2 1 25\r\n"), PN_PROXY_BAD},
    {"v1 no address", PN_STR_INIT("PROXY TCP4\r\n"), PN_PROXY_BAD},
    {"v1 no ports", PN_STR_INIT("PROXY TCP4 192.0.2.1 192.0.2.2\r\n"), PN_PROXY_BAD},
    {"v1 port too high", PN_STR_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 65536 25\r\n"), PN_PROXY_BAD},
    {"v1 one word more", PN_STR_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 1 25 x\r\n"), PN_PROXY_BAD},
    {"v1 two spaces", PN_STR_INIT("PROXY TCP4  192.0.2.1 192.0.2.2 1 25\r\n"), PN_PROXY_BAD},
    {"v1 bare LF", PN_STR_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 1 25\n"), PN_PROXY_BAD},
    {"v1 at the limit",
     PN_STR_INIT("PROXY UNKNOWN 0123456789012345678901234567890123456789012345678901234567890123456"
                 "78901234567890123456789\r\n"),
     PN_PROXY_OK, 0, NULL, NULL, 0},
    {"v1 too long",
     PN_STR_INIT("PROXY UNKNOWN 0123456789012345678901234567890123456789012345678901234567890123456"
                 "789012345678901234567890123\r\n"),
     PN_PROXY_BAD},
    {"small letters", PN_STR_INIT("proxy TCP4 "), PN_PROXY_BAD},
    {"no header", PN_STR_INIT("EHLO c.test\r\n"), PN_PROXY_BAD},
    {"v2 TCP4", PN_STR_INIT(V2 "\x21\x11\0\x0c" IP4S "EHLO"), PN_PROXY_OK, 4, "192.0.2.1",
     "192.0.2.2", 12345},
    {"v2 TCP6", PN_STR_INIT(V2 "\x21\x21\0\x24" IP6S), PN_PROXY_OK, 0, "2001:db8::1", "2001:db8::2",
     12345},
    {"v2 with extensions", PN_STR_INIT(V2 "\x21\x11\0\x14" IP4S "\x04\0\0\x01\0\x02h2"),
     PN_PROXY_OK, 0, "192.0.2.1", "192.0.2.2", 12345},
    {"v2 LOCAL", PN_STR_INIT(V2 "\x20\0\0\0x"), PN_PROXY_OK, 1, NULL, NULL, 0},
    {"v2 LOCAL with bytes",
     PN_STR_INIT(V2 "\x20\x11\0\x03"
                    "abc"),
     PN_PROXY_OK, 0, NULL, NULL, 0},
    {"v2 UNSPEC",
     PN_STR_INIT(V2 "\x21\0\0\x02"
                    "ab"),
     PN_PROXY_OK, 0, NULL, NULL, 0},
    {"v2 UNIX",
     PN_STR_INIT(V2 "\x21\x31\0\x02"
                    "ab"),
     PN_PROXY_OK, 0, NULL, NULL, 0},
    {"v2 UDP", PN_STR_INIT(V2 "\x21\x12\0\x0c" IP4S), PN_PROXY_OK, 0, NULL, NULL, 0},
    {"v2 other version", PN_STR_INIT(V2 "\x31\x11\0\x0c" IP4S), PN_PROXY_BAD},
    {"v2 other command", PN_STR_INIT(V2 "\x22\x11\0\x0c" IP4S), PN_PROXY_BAD},
    {"v2 too short", PN_STR_INIT(V2 "\x21\x11\0\x0b" IP4S), PN_PROXY_BAD},
    {"v2 TCP6 too short", PN_STR_INIT(V2 "\x21\x21\0\x0c" IP4S), PN_PROXY_BAD},
    {"v2 extension cut", PN_STR_INIT(V2 "\x21\x11\0\x0e" IP4S "\x04\0"), PN_PROXY_BAD},
    {"v2 extension too long", PN_STR_INIT(V2 "\x21\x11\0\x10" IP4S "\x04\0\x02x"), PN_PROXY_BAD},
    {"v2 checksum of 3 bytes", PN_STR_INIT(V2 "\x21\x11\0\x12" IP4S "\x03\0\x03xyz"), PN_PROXY_BAD},
    {"v2 wrong checksum", PN_STR_INIT(V2 "\x21\x11\0\x13" IP4S "\x03\0\x04wxyz"), PN_PROXY_BAD},
    {"v2 claims too much", PN_STR_INIT(V2 "\x21\x11\x07\xf1" IP4S), PN_PROXY_BAD},
    {"v2 mark broken", PN_STR_INIT("\r\n\r\n\0\r\nQUIT\r"), PN_PROXY_BAD},
};

static void test_rows(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        /* Every beginning of a good header wants more; no beginning is good itself. */
        size_t whole = rows[i].in.len - rows[i].left;
        for (size_t n = 0; n <= rows[i].in.len; n++) {
            char *copy = malloc(n + 1);
            struct pn_proxy got;
            struct pn_ip ip;
            memcpy(copy, rows[i].in.p, n);
            copy = realloc(copy, n == 0 ? 1 : n);
            enum pn_proxy_status status = pn_proxy_parse((struct pn_str){copy, n}, &got);
            unit_row(rows[i].label);
            if (rows[i].want == PN_PROXY_OK)
                UNIT_INT(status, n < whole ? PN_PROXY_MORE : PN_PROXY_OK);
            else
                UNIT_TRUE(status == PN_PROXY_BAD || (status == PN_PROXY_MORE && n < whole));
            free(copy);
            if (status != PN_PROXY_OK)
                continue;
            UNIT_INT(got.len, whole);
            UNIT_INT(got.local, rows[i].source == NULL);
            if (got.local)
                continue;
            UNIT_TRUE(pn_ip_parse(pn_str_of(rows[i].source), &ip) && pn_ip_eq(&ip, &got.source));
            UNIT_TRUE(pn_ip_parse(pn_str_of(rows[i].dest), &ip) && pn_ip_eq(&ip, &got.dest));
            UNIT_INT(got.source_port, rows[i].port);
            UNIT_INT(got.dest_port, 25);
        }
    }
}

static void test_checksum(void)
{
    char bytes[] = V2 "\x21\x11\0\x18" IP4S "\x03\0\x04\0\0\0\0\x04\0\x02xy";
    struct pn_str header = {bytes, sizeof bytes - 1};
    struct pn_proxy got;
    uint32_t crc = pn_crc32c(0, header.p, header.len);
    for (unsigned i = 0; i < 4; i++)
        bytes[16 + 12 + 3 + i] = (char)(crc >> (24 - 8 * i));
    UNIT_INT(pn_proxy_parse(header, &got), PN_PROXY_OK);
    bytes[16]++; /* another client than the one that was summed */
    UNIT_INT(pn_proxy_parse(header, &got), PN_PROXY_BAD);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"rows", test_rows}, {"checksum", test_checksum}, {NULL, NULL}};
    return unit_main("smtp_proxy", tests, argc, argv);
}
