#include "unit.h"

#include "buf.h"
#include "clock.h"
#include "codec.h"
#include "json.h"
#include "net.h"
#include "pool.h"
#include "utf8.h"
#include "whole.h"
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_u64(void)
{
    static const struct {
        const char *text;
        uint64_t max;
        bool want;
        uint64_t value;
    } rows[] = {
        {"0", 10, true, 0},
        {"10", 10, true, 10},
        {"11", 10, false, 0},
        {"", 10, false, 0},
        {"+1", 10, false, 0},
        {"1 ", 10, false, 0},
        {"007", 10, true, 7},
        {"5", 3, false, 0},
        {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t got = 0;
        unit_row(rows[i].text);
        UNIT_INT(pn_str_u64(pn_str_of(rows[i].text), rows[i].max, &got), rows[i].want);
        if (rows[i].want)
            UNIT_TRUE(got == rows[i].value);
    }
}

static void test_glob(void)
{
    static const struct {
        const char *pattern, *text;
        bool want;
    } rows[] = {
        {"", "", true},
        {"*", "", true},
        {"a*", "abc", true},
        {"*c", "abc", true},
        {"*@Example.net", "x@example.NET", true},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"*a*b*", "xxaYYb", true},
        {"*a*b", "ab b c", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].pattern);
        UNIT_INT(pn_str_glob(pn_str_of(rows[i].pattern), pn_str_of(rows[i].text)), rows[i].want);
    }
}

static void test_untagged(void)
{
    static const struct {
        const char *local, *user, *tag;
    } rows[] = {
        {"ann", "ann", ""},
        {"ann+", "ann", ""},
        {"ann+a", "ann", "a"},
        {"ann+a+b", "ann", "a+b"},
        {"+a", "+a", ""},
        {"+a+b", "+a", "b"},
        {"", "", ""},
        {"+", "+", ""},
        {"\"\"", "\"\"", ""},
        {"\"ann+a b\"", "ann", "a b"},
        {"\"a.n+a b\"", "a.n", "a b"},
        {"\"ann+\"", "ann", ""},
        {"\"+a b\"", "\"+a b\"", ""},
        {"\"a b\"", "\"a b\"", ""},
        {"\"a b+c\"", "\"a b+c\"", ""}, /* whose name needs them */
        {"\"a..n+c\"", "\"a..n+c\"", ""},
        {"\".a+c\"", "\".a+c\"", ""},
        {"\"a.+c\"", "\"a.+c\"", ""},
        {"\"ann+\\\"a\"", "ann", ""}, /* a tag with a quoted-pair finds no folder */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_str tag;
        unit_row(rows[i].local);
        UNIT_STR(pn_str_untagged(pn_str_of(rows[i].local), '+', &tag), pn_str_of(rows[i].user));
        UNIT_STR(tag, pn_str_of(rows[i].tag));
        UNIT_STR(pn_str_untagged(pn_str_of(rows[i].local), '\0', &tag), pn_str_of(rows[i].local));
        UNIT_STR(tag, PN_STR(""));
    }
}

/* Each length, and a byte beyond ASCII at each place. */
static void test_ascii(void)
{
    char in[40];
    UNIT_TRUE(pn_str_is_ascii((struct pn_str){NULL, 0}));
    for (size_t n = 0; n <= sizeof in; n++) {
        memset(in, '\x7f', sizeof in);
        UNIT_TRUE(pn_str_is_ascii((struct pn_str){in, n}));
        for (size_t at = 0; at < sizeof in; at++) {
            in[at] = (char)(at % 2 == 0 ? 0x80 : 0xff);
            UNIT_INT(pn_str_is_ascii((struct pn_str){in, n}), at >= n);
            in[at] = 'a';
        }
    }
}

static void test_buf_limit(void)
{
    struct pn_buf b;
    pn_buf_init(&b, 5);
    UNIT_TRUE(pn_buf_addz(&b, "abcde"));
    UNIT_TRUE(!pn_buf_addc(&b, 'f') && b.overflow);
    UNIT_STR(pn_buf_str(&b), PN_STR("abcde"));
    pn_buf_consume(&b, 3);
    UNIT_STR(pn_buf_str(&b), PN_STR("de"));
    pn_buf_clear(&b);
    UNIT_TRUE(pn_buf_addz(&b, "12345") && !b.overflow);
    pn_buf_fini(&b);
    pn_buf_init(&b, SIZE_MAX);
    for (int i = 0; i < 1000; i++)
        (void)pn_buf_addf(&b, "%d,", i);
    UNIT_INT(b.len, 3890);
    pn_buf_fini(&b);
}

static void test_milli(void)
{
    static const struct {
        int64_t v;
        const char *want;
    } rows[] = {{0, "0"},     {7400, "7.4"}, {-50, "-0.05"},
                {1, "0.001"}, {-3000, "-3"}, {100000, "100"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_buf b;
        pn_buf_init(&b, 64);
        (void)pn_buf_add_milli(&b, rows[i].v);
        unit_row(rows[i].want);
        UNIT_STR(pn_buf_str(&b), pn_str_of(rows[i].want));
        pn_buf_fini(&b);
    }
}

static void test_shown(void)
{
    static const struct {
        const char *label;
        struct pn_str text, want;
    } rows[] = {
        {"empty", PN_STR_INIT(""), PN_STR_INIT("")},
        {"text", PN_STR_INIT("a \xc3\xa9 \xf0\x9f\x93\xa7"),
         PN_STR_INIT("a \xc3\xa9 \xf0\x9f\x93\xa7")},
        {"C0 and DEL", PN_STR_INIT("\x1b[1m\r\n\t\x7f\0z"), PN_STR_INIT("?[1m?????z")},
        {"C1", PN_STR_INIT("\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0"), PN_STR_INIT("???\xc2\xa0")},
        {"no UTF-8", PN_STR_INIT("\x9b\xc2\xff\xe2\x82"), PN_STR_INIT("?????")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_buf b;
        pn_buf_init(&b, 100);
        unit_row(rows[i].label);
        UNIT_TRUE(pn_utf8_add_shown(&b, rows[i].text));
        UNIT_STR(pn_buf_str(&b), rows[i].want);
        pn_buf_fini(&b);
    }
}

static void test_utf8(void)
{
    static const struct {
        struct pn_str text;
        bool want;
    } rows[] = {
        {PN_STR_INIT(""), true},
        {PN_STR_INIT("abcdefgh"), true},
        {PN_STR_INIT("abcdefghi"), true},
        {PN_STR_INIT("abcdefg\xc3\xa4hijklmnop"), true},
        {PN_STR_INIT("abcdefgh\xff"), false},
        {PN_STR_INIT("abcdefghijklmno\xc3"), false},
        {PN_STR_INIT("\xe2\x82\xac\xf0\x9f\x98\x80"), true},
        {PN_STR_INIT("\xc0\x80"), false},
        {PN_STR_INIT("\xed\xa0\x80"), false},
        {PN_STR_INIT("\xf4\x90\x80\x80"), false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].text.p);
        UNIT_TRUE(pn_utf8_valid(rows[i].text) == rows[i].want);
    }
}

static int cleaned;

static void cleanup(void *arg)
{
    cleaned = cleaned * 10 + *(int *)arg;
}

static void test_pool(void)
{
    static int one = 1, two = 2;
    struct pn_pool *pool = pn_pool_new(4096);
    cleaned = 0;
    UNIT_TRUE(pn_pool_cleanup(pool, cleanup, &one) && pn_pool_cleanup(pool, cleanup, &two));
    UNIT_TRUE(pn_pool_alloc(pool, 5000) == NULL);
    size_t got = 0;
    while (pn_pool_alloc(pool, 100) != NULL)
        got += 100;
    UNIT_TRUE(got > 3000 && got < 4096);
    pn_pool_reset(pool);
    UNIT_INT(cleaned, 21);
    UNIT_INT(pn_pool_used(pool), 0);
    UNIT_STR(pn_pool_dup(pool, PN_STR("x")), PN_STR("x"));
    pn_pool_free(&pool);
    UNIT_TRUE(pool == NULL);
}

static void test_wire(void)
{
    struct pn_buf b;
    pn_buf_init(&b, 1000);
    pn_wr_u8(&b, 1);
    pn_wr_u16(&b, 2);
    pn_wr_u32(&b, 3);
    pn_wr_i64(&b, -4);
    pn_wr_str(&b, PN_STR("five"));
    /* Cut short at every byte: bad, and never a read past the end. */
    for (size_t cut = 0; cut <= b.len; cut++) {
        struct pn_rd r = pn_rd_of(pn_str_slice(pn_buf_str(&b), 0, cut));
        uint8_t a = pn_rd_u8(&r);
        uint16_t c = pn_rd_u16(&r);
        uint32_t d = pn_rd_u32(&r);
        int64_t e = pn_rd_i64(&r);
        struct pn_str s = pn_rd_str(&r);
        UNIT_INT(pn_rd_done(&r), cut == b.len);
        if (cut == b.len) {
            UNIT_TRUE(a == 1 && c == 2 && d == 3 && e == -4);
            UNIT_STR(s, PN_STR("five"));
        }
    }
    struct pn_rd r = pn_rd_of(PN_STR("\xff\xff\xff\xff"));
    UNIT_INT(pn_rd_count(&r, 1), 0);
    UNIT_TRUE(!pn_rd_ok(&r));
    pn_buf_fini(&b);
}

static void test_net(void)
{
    static const struct {
        const char *net, *ip;
        int want; /* -1: the network is refused */
    } rows[] = {
        {"10.0.0.0/8", "10.1.2.3", 1},
        {"10.0.0.0/8", "11.1.2.3", 0},
        {"10.0.0.1/8", "10.1.2.3", -1},
        {"0.0.0.0/0", "1.2.3.4", 1},
        {"0.0.0.0/0", "2001:db8::1", 0},
        {"2001:db8::/32", "2001:db8:1::", 1},
        {"::/0", "1.2.3.4", 1},
        {"192.0.2.1", "::ffff:192.0.2.1", 1},
        {"192.0.2.0/33", "192.0.2.1", -1},
        {"bad", "192.0.2.1", -1},
        {"192.0.2.0/", "192.0.2.1", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_net net;
        struct pn_ip ip;
        unit_row(rows[i].net);
        UNIT_TRUE(pn_ip_parse(pn_str_of(rows[i].ip), &ip));
        bool ok = pn_net_parse(pn_str_of(rows[i].net), &net);
        UNIT_INT(ok ? pn_net_has(&net, &ip) : -1, rows[i].want);
    }
    struct pn_ip ip;
    uint16_t port;
    UNIT_TRUE(pn_endpoint_parse(PN_STR("[::1]:25"), &ip, &port) && port == 25);
    UNIT_TRUE(!pn_endpoint_parse(PN_STR("::1:25"), &ip, &port));
    UNIT_TRUE(!pn_endpoint_parse(PN_STR("127.0.0.1:0"), &ip, &port));
    UNIT_TRUE(!pn_endpoint_parse(PN_STR("127.0.0.1"), &ip, &port));
    struct sockaddr_storage ss;
    UNIT_TRUE(pn_endpoint_parse(PN_STR("127.0.0.1:2525"), &ip, &port));
    (void)pn_endpoint_to_sockaddr(&ip, port, &ss);
    struct pn_ip back;
    UNIT_TRUE(pn_endpoint_of_sockaddr((struct sockaddr *)&ss, &back, &port));
    UNIT_TRUE(pn_ip_eq(&ip, &back) && port == 2525 && pn_ip_is_loopback(&back));
}

static void test_json(void)
{
    struct pn_buf b;
    pn_buf_init(&b, 1000);
    struct pn_json j = pn_json_to(&b);
    pn_json_object(&j, NULL);
    pn_json_str(&j, "s", PN_STR("a\"\\\n\x01\xff\xc3\xa9"));
    pn_json_array(&j, "list");
    pn_json_i64(&j, NULL, -1);
    pn_json_milli(&j, NULL, 1500);
    pn_json_bool(&j, NULL, true);
    pn_json_null(&j, NULL);
    pn_json_array_end(&j);
    pn_json_object(&j, "o");
    pn_json_object_end(&j);
    pn_json_object_end(&j);
    UNIT_STR(pn_buf_str(&b), PN_STR("{\"s\":\"a\\\"\\\\\\n\\u0001\xef\xbf\xbd\xc3\xa9\",\"list\":[-"
                                    "1,1.5,true,null],\"o\":{}}"));
    pn_buf_fini(&b);
}

static void test_codec(void)
{
    static const struct {
        const char *plain, *text;
    } rows[] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}};
    struct pn_buf b;
    pn_buf_init(&b, 100);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].text);
        pn_buf_clear(&b);
        pn_base64_encode(&b, pn_str_of(rows[i].plain));
        UNIT_STR(pn_buf_str(&b), pn_str_of(rows[i].text));
        pn_buf_clear(&b);
        UNIT_TRUE(pn_base64_decode(&b, pn_str_of(rows[i].text)));
        UNIT_STR(pn_buf_str(&b), pn_str_of(rows[i].plain));
    }
    static const char *const bad[] = {"Zg=", "Zh==", "Z===", "Zg==Zg==", "Zm9=", "Z g=", "===="};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        pn_buf_clear(&b);
        unit_row(bad[i]);
        UNIT_TRUE(!pn_base64_decode(&b, pn_str_of(bad[i])) && b.len == 0);
    }
    pn_buf_fini(&b);
    UNIT_TRUE(pn_crc32c(0, "123456789", 9) == 0xe3069283U);
    UNIT_TRUE(pn_crc32c(pn_crc32c(0, "1234", 4), "56789", 5) == 0xe3069283U);
}

static void test_clock(void)
{
    struct pn_buf b;
    pn_buf_init(&b, 100);
    pn_clock_rfc3339(&b, 1795309323456);
    UNIT_STR(pn_buf_str(&b), PN_STR("2026-11-22T01:02:03.456Z"));
    pn_buf_clear(&b);
    pn_clock_rfc5322(&b, 1795309323456);
    UNIT_STR(pn_buf_str(&b), PN_STR("Sun, 22 Nov 2026 01:02:03 +0000"));
    pn_buf_fini(&b);
    pn_clock_wall_fix(5);
    UNIT_INT(pn_clock_wall_ms(), 5);
    pn_clock_wall_fix(-1);
    UNIT_TRUE(pn_clock_wall_ms() > 1700000000000);
}

/* Its end comes by what it took of the CPU, not by the time that went by. */
static void test_patience(void)
{
    struct pn_patience p;
    pn_patience_init(&p, 3600 * 1000);
    UNIT_TRUE(!pn_patience_over(&p));
    UNIT_INT(p.cpu_ns, PN_PATIENCE_CPU_MS * (uint64_t)PN_NS_PER_MS);
    p.until = 1;
    UNIT_TRUE(!pn_patience_over(&p) && p.cpu_ns != 0);
    p.cpu_ns = 1;
    UNIT_TRUE(pn_patience_over(&p) && pn_patience_over(&p));
    pn_patience_init(&p, 0);
    UNIT_TRUE(pn_patience_over(&p));
}

static void test_whole(void)
{
    char got[20];
    int ends[2], fd = memfd_create("test", MFD_CLOEXEC);
    UNIT_INT(pn_write_whole(fd, PN_STR("")), 0);
    UNIT_INT(pn_write_whole(fd, PN_STR("abc")), 0);
    UNIT_INT(pn_write_whole_at(fd, PN_STR("defg"), 3), 0);
    UNIT_INT(pn_write_whole(fd, PN_STR("D")), 0); /* where the first one stopped */
    UNIT_INT(pn_read_whole_at(fd, got, 7, 0, EBADMSG), 0);
    UNIT_STR(((struct pn_str){got, 7}), PN_STR("abcDefg"));
    UNIT_INT(pn_read_whole_at(fd, got, 2, 5, EBADMSG), 0);
    UNIT_STR(((struct pn_str){got, 2}), PN_STR("fg"));
    UNIT_INT(pn_read_whole_at(fd, got, 3, 5, EBADMSG), EBADMSG);
    UNIT_INT(pn_read_whole_at(fd, got, 1, 7, EMSGSIZE), EMSGSIZE);
    UNIT_INT(pn_read_whole_at(fd, got, 0, 99, EBADMSG), 0);
    (void)close(fd);
    UNIT_INT(pn_write_whole(fd, PN_STR("x")), EBADF);
    UNIT_INT(pn_read_whole_at(fd, got, 1, 0, EBADMSG), EBADF);
    UNIT_INT(pipe2(ends, O_NONBLOCK), 0);
    UNIT_INT(pn_write_whole_at(ends[1], PN_STR("x"), 0), ESPIPE);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void has(int folder, const char *name, struct pn_str want)
{
    char got[20];
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    UNIT_INT(pn_read_whole_at(fd, got, want.len, 0, EBADMSG), 0);
    UNIT_STR(((struct pn_str){got, want.len}), want);
    UNIT_INT(pn_read_whole_at(fd, got, 1, want.len, EBADMSG), EBADMSG);
    (void)close(fd);
}

/* What stands where the new one is written is another's: after a power cut, the file itself. */
static void test_replace(void)
{
    char path[] = "/tmp/test_base-XXXXXX";
    UNIT_TRUE(mkdtemp(path) != NULL);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    UNIT_INT(pn_replace_whole(folder, "file", "new", PN_STR("first")), 0);
    has(folder, "file", PN_STR("first"));
    UNIT_INT(faccessat(folder, "new", F_OK, 0), -1);
    UNIT_INT(linkat(folder, "file", folder, "new", 0), 0);
    UNIT_INT(linkat(folder, "file", folder, "kept", 0), 0);
    UNIT_INT(pn_replace_whole(folder, "file", "new", PN_STR("second")), 0);
    has(folder, "file", PN_STR("second"));
    has(folder, "kept", PN_STR("first"));
    UNIT_INT(symlinkat("kept", folder, "new"), 0);
    int fd = pn_make_anew(folder, "new", 0);
    UNIT_INT(pn_write_whole(fd, PN_STR("x")), 0);
    (void)close(fd);
    has(folder, "kept", PN_STR("first"));
    UNIT_INT(unlinkat(folder, "new", 0), 0);
    UNIT_INT(mkdirat(folder, "busy", 0700), 0);
    UNIT_INT(pn_replace_whole(folder, "busy", "new", PN_STR("x")), EISDIR);
    UNIT_INT(faccessat(folder, "new", F_OK, 0), -1);
    UNIT_INT(pn_replace_whole(folder, "file", "busy", PN_STR("x")), EISDIR);
    has(folder, "file", PN_STR("second"));
    UNIT_INT(unlinkat(folder, "busy", AT_REMOVEDIR), 0);
    UNIT_INT(unlinkat(folder, "file", 0), 0);
    UNIT_INT(unlinkat(folder, "kept", 0), 0);
    (void)close(folder);
    UNIT_INT(rmdir(path), 0);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"u64", test_u64},           {"glob", test_glob},
        {"untagged", test_untagged}, {"buf_limit", test_buf_limit},
        {"milli", test_milli},       {"utf8", test_utf8},
        {"shown", test_shown},       {"pool", test_pool},
        {"wire", test_wire},         {"net", test_net},
        {"json", test_json},         {"codec", test_codec},
        {"clock", test_clock},       {"ascii", test_ascii},
        {"whole", test_whole},       {"replace", test_replace},
        {"patience", test_patience}, {NULL, NULL},
    };
    return unit_main("base", tests, argc, argv);
}
