/* The parts of the plugin milter that need no socket: bytes, addresses, macros, the breaker. */
#include "unit.h"

#include "milter_address.h"
#include "milter_line.h"
#include "milter_macro.h"
#include "milter_mail.h"
#include "milter_packet.h"
#include "milter_server.h"
#include "utf8.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct pn_str pn_of(struct postern_str s)
{
    return (struct pn_str){s.p, s.len};
}

/* ---- packets */

static void test_take(void)
{
    const struct {
        const char *label;
        struct pn_str bytes;
        enum milter_took want;
        char command;
        struct pn_str data;
    } rows[] = {
        {"nothing", PN_STR(""), MILTER_TOOK_NONE, 0, PN_STR("")},
        {"a length", PN_STR("\0\0\0\1"), MILTER_TOOK_NONE, 0, PN_STR("")},
        {"length 0", PN_STR("\0\0\0\0"), MILTER_TOOK_BAD, 0, PN_STR("")},
        {"no data", PN_STR("\0\0\0\1c"), MILTER_TOOK, 'c', PN_STR("")},
        {"data", PN_STR("\0\0\0\3yab"), MILTER_TOOK, 'y', PN_STR("ab")},
        {"the most", PN_STR("\0\0\0\5yabcd"), MILTER_TOOK, 'y', PN_STR("abcd")},
        {"one too many", PN_STR("\0\0\0\6yabcde"), MILTER_TOOK_BAD, 0, PN_STR("")},
        {"far too many", PN_STR("\xff\xff\xff\xff"), MILTER_TOOK_BAD, 0, PN_STR("")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t split = 0; split <= rows[i].bytes.len; split++) {
            struct milter_in in = {0};
            struct milter_packet packet = {0};
            enum milter_took took = MILTER_TOOK_NONE;
            unit_row(rows[i].label);
            for (size_t at = 0; at < rows[i].bytes.len;) {
                size_t n = at < split ? split : rows[i].bytes.len, room;
                char *p = milter_in_room(&in, &room);
                memcpy(p, rows[i].bytes.p + at, n - at);
                in.len += n - at;
                at = n;
                if (took == MILTER_TOOK_NONE)
                    took = milter_take(&in, 4, &packet);
            }
            UNIT_INT(took, rows[i].want);
            if (took == MILTER_TOOK) {
                UNIT_INT(packet.command, rows[i].command);
                UNIT_STR(pn_of(packet.data), rows[i].data);
            }
            milter_in_free(&in);
        }
}

static void test_replies(void)
{
    const struct {
        const char *label;
        char command;
        struct pn_str data;
        bool want;
        uint32_t index;
        struct pn_str a, b;
    } rows[] = {
        {"continue", 'c', PN_STR(""), true, 0, PN_STR(""), PN_STR("")},
        {"continue with something", 'c', PN_STR("x"), false, 0, PN_STR(""), PN_STR("")},
        {"unknown", 'z', PN_STR(""), false, 0, PN_STR(""), PN_STR("")},
        {"symbols by themselves", 'l', PN_STR("\0\0\0\0j\0"), false, 0, PN_STR(""), PN_STR("")},
        {"reply", 'y', PN_STR("550 no\0"), true, 0, PN_STR("550 no"), PN_STR("")},
        {"reply without end", 'y', PN_STR("550 no"), false, 0, PN_STR(""), PN_STR("")},
        {"reply with more", 'y', PN_STR("550 no\0x"), false, 0, PN_STR(""), PN_STR("")},
        {"add", 'h', PN_STR("A\0b\0"), true, 0, PN_STR("A"), PN_STR("b")},
        {"add nothing", 'h', PN_STR("A\0\0"), true, 0, PN_STR("A"), PN_STR("")},
        {"add without value", 'h', PN_STR("A\0"), false, 0, PN_STR(""), PN_STR("")},
        {"insert", 'i', PN_STR("\0\0\1\2A\0b\0"), true, 258, PN_STR("A"), PN_STR("b")},
        {"insert, short", 'i', PN_STR("\0\0\1"), false, 0, PN_STR(""), PN_STR("")},
        {"change", 'm', PN_STR("\0\0\0\1A\0\0"), true, 1, PN_STR("A"), PN_STR("")},
        {"from", 'e', PN_STR("<a@b>\0"), true, 0, PN_STR("<a@b>"), PN_STR("")},
        {"from with arguments", 'e', PN_STR("<a@b>\0SIZE=1\0"), true, 0, PN_STR("<a@b>"),
         PN_STR("SIZE=1")},
        {"recipient", '+', PN_STR("<a@b>\0"), true, 0, PN_STR("<a@b>"), PN_STR("")},
        {"recipient with arguments", '2', PN_STR("<a@b>\0X\0"), true, 0, PN_STR("<a@b>"),
         PN_STR("X")},
        {"body", 'b', PN_STR("a\0b"), true, 0, PN_STR("a\0b"), PN_STR("")},
        {"quarantine", 'q', PN_STR("why\0"), true, 0, PN_STR("why"), PN_STR("")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct milter_packet packet = {rows[i].command, {rows[i].data.p, rows[i].data.len}};
        struct milter_reply reply;
        unit_row(rows[i].label);
        UNIT_INT(milter_reply_read(&packet, &reply), rows[i].want);
        if (!rows[i].want)
            continue;
        UNIT_INT(reply.kind, rows[i].command);
        UNIT_INT(reply.index, rows[i].index);
        UNIT_STR(pn_of(reply.a), rows[i].a);
        UNIT_STR(pn_of(reply.b), rows[i].b);
    }
}

static void test_options(void)
{
    const struct {
        const char *label;
        struct pn_str data;
        bool want;
        uint32_t version, actions, steps, named;
    } rows[] = {
        {"version 6", PN_STR("\0\0\0\6\0\0\1\xff\0\x1f\0\0"), true, 6, 0x1ff, 0x1f0000, 0},
        {"version 2", PN_STR("\0\0\0\2\0\0\0\1\0\0\0\0"), true, 2, 1, 0, 0},
        {"version 1", PN_STR("\0\0\0\1\0\0\0\1\0\0\0\0"), false, 0, 0, 0, 0},
        {"version 7", PN_STR("\0\0\0\7\0\0\0\1\0\0\0\0"), false, 0, 0, 0, 0},
        {"short", PN_STR("\0\0\0\6\0\0\0\1\0\0\0"), false, 0, 0, 0, 0},
        {"names", PN_STR("\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\2i {mail_addr}\0\0\0\0\5\0"), true, 6, 0,
         0, 1U << 2 | 1U << 5},
        {"names of a stage to come", PN_STR("\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\7i\0"), true, 6, 0, 0,
         0},
        {"names without end", PN_STR("\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\2i"), false, 0, 0, 0, 0},
        {"half a stage", PN_STR("\0\0\0\6\0\0\0\0\0\0\0\0\0\0"), false, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct milter_packet packet = {'O', {rows[i].data.p, rows[i].data.len}};
        struct milter_options o;
        unit_row(rows[i].label);
        UNIT_INT(milter_options_read(&packet, &o), rows[i].want);
        if (!rows[i].want)
            continue;
        UNIT_INT(o.version, rows[i].version);
        UNIT_INT(o.actions, rows[i].actions);
        UNIT_INT(o.steps, rows[i].steps);
        UNIT_INT(o.named, rows[i].named);
    }
}

static void test_reply_line(void)
{
    static const struct {
        const char *text, *want; /* NULL: none */
    } rows[] = {
        {"550 5.7.1 No", "550 5.7.1 No"},
        {"451 4.7.1 Later", "451 4.7.1 Later"},
        {"421 4.3.2 Going", "451 4.3.2 Going"},
        {"550", "550"},
        {"550 ", "550"},
        {"550-5.7.1 One\r\n550 5.7.1 two", "550 5.7.1 One two"},
        {"550-One\r\n550-two\r\n550 three\r\n", "550 One two three"},
        {"550 caf\xc3\xa9\tx", "550 caf???x"},
        {"250 Fine", NULL},
        {"350 No", NULL},
        {"560 No", NULL},
        {"55x No", NULL},
        {"5500 No", NULL},
        {"55", NULL},
        {"", NULL},
    };
    char room[MILTER_REPLY_MAX], text[400];
    struct postern_str line;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_str s = pn_str_of(rows[i].text);
        unit_row(rows[i].text);
        UNIT_INT(milter_reply_line((struct postern_str){s.p, s.len}, room, &line),
                 rows[i].want != NULL);
        if (rows[i].want != NULL)
            UNIT_STR(pn_of(line), pn_str_of(rows[i].want));
    }
    unit_row("very long");
    (void)snprintf(text, sizeof text, "550 %0390d", 7);
    UNIT_TRUE(milter_reply_line((struct postern_str){text, strlen(text)}, room, &line));
    UNIT_INT(line.len, MILTER_REPLY_MAX);
}

static void test_address(void)
{
    static const struct {
        const char *text;
        int family, port; /* family 0: an error */
    } rows[] = {
        {"inet:8891@127.0.0.1", AF_INET, 8891},
        {"inet:8891@localhost", AF_INET, 8891},
        {"inet6:8891@localhost", AF_INET6, 8891},
        {"inet6:8891@::1", AF_INET6, 8891},
        {"inet:8891@::1", AF_INET6, 8891},
        {"inet:8891@[::1]", AF_INET6, 8891},
        {"inet:127.0.0.1:8891", AF_INET, 8891},
        {"inet:[::1]:65535", AF_INET6, 65535},
        {"unix:/run/x.sock", AF_UNIX, 0},
        {"local:/run/x.sock", AF_UNIX, 0},
        {"unix:run/x.sock", 0, 0},
        {"unix:", 0, 0},
        {"/run/x.sock", 0, 0},
        {"inet:", 0, 0},
        {"inet:@127.0.0.1", 0, 0},
        {"inet:8891@", 0, 0},
        {"inet:8891", 0, 0},
        {"inet:0@127.0.0.1", 0, 0},
        {"inet:65536@127.0.0.1", 0, 0},
        {"inet:008891@127.0.0.1", 0, 0},
        {"inet:::1:8891", 0, 0},
        {"inet:8891@mail.test", 0, 0},
        {"inet6:8891@127.0.0.1", 0, 0},
        {"", 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct milter_address a;
        struct sockaddr_in in;
        struct pn_str s = pn_str_of(rows[i].text);
        unit_row(rows[i].text);
        const char *error = milter_address_read(&a, (struct postern_str){s.p, s.len});
        UNIT_INT(error == NULL, rows[i].family != 0);
        if (error != NULL)
            continue;
        UNIT_INT(a.at.any.sa_family, rows[i].family);
        memcpy(&in, &a.at, sizeof in); /* the port stands in the same place in both */
        if (rows[i].port != 0)
            UNIT_INT(ntohs(in.sin_port), rows[i].port);
    }
}

static void test_macros(void)
{
    static const struct milter_about about = {
        .hostname = {"mx.test", 7}, .id = {"X1", 2}, .from = {"a@b", 3}};
    const struct {
        const char *names;
        struct pn_str want;
    } rows[] = {
        {"", PN_STR("")},
        {"j", PN_STR("\0\0\0\x0c"
                     "DMj\0mx.test\0")},
        {"unknown {also} i", PN_STR("\0\0\0\7"
                                    "DMi\0X1\0")},
        {" j,\t{i} {mail_addr}  ", PN_STR("\0\0\0\x1c"
                                          "DMj\0mx.test\0{mail_addr}\0a@b\0")},
        {"mail_addr", PN_STR("\0\0\0\x12"
                             "DM{mail_addr}\0a@b\0")},
        {"{rcpt_addr}", PN_STR("")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct milter_out out = {0};
        struct pn_str s = pn_str_of(rows[i].names);
        unit_row(rows[i].names);
        milter_put_macros(&out, 'M', milter_macros_named((struct postern_str){s.p, s.len}), &about);
        UNIT_STR(((struct pn_str){out.p == NULL ? "" : out.p, out.len}), rows[i].want);
        milter_out_free(&out);
    }
}

static void test_put_lines(void)
{
    const struct {
        const char *text;
        struct pn_str want;
    } rows[] = {{"", PN_STR("\0")},
                {"a", PN_STR("a\0")},
                {"a\r\n b", PN_STR("a\n b\0")},
                {"a\rb\r", PN_STR("a\rb\r\0")},
                {"\r\r\n\r\n", PN_STR("\r\n\n\0")}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct milter_out out = {0};
        struct pn_str s = pn_str_of(rows[i].text);
        unit_row(rows[i].text);
        milter_put_lines(&out, (struct postern_str){s.p, s.len});
        UNIT_STR(((struct pn_str){out.p, out.len}), rows[i].want);
        milter_out_free(&out);
    }
}

/* ---- the breaker */

static void test_breaker(void)
{
    struct milter_server s = {.failures_max = 2, .pause_ms = 100};
    UNIT_TRUE(milter_server_asks(&s, 0));
    UNIT_TRUE(!milter_server_bad(&s, 0));
    milter_server_good(&s);
    UNIT_TRUE(!milter_server_bad(&s, 0)); /* one in a row again */
    UNIT_TRUE(milter_server_bad(&s, 1000));
    UNIT_TRUE(!milter_server_asks(&s, 1099));
    UNIT_TRUE(milter_server_asks(&s, 1100));  /* one tries */
    UNIT_TRUE(!milter_server_asks(&s, 1101)); /* and the others wait for it */
    milter_server_open(&s);
    UNIT_TRUE(milter_server_asks(&s, 1102));
    UNIT_TRUE(milter_server_bad(&s, 1103)); /* it hung again: one is enough now */
    UNIT_TRUE(!milter_server_asks(&s, 1104));
    UNIT_TRUE(milter_server_asks(&s, 1203));
    milter_server_good(&s);
    UNIT_TRUE(!milter_server_bad(&s, 1300));
    s = (struct milter_server){.failures_max = 0, .pause_ms = 100};
    for (int i = 0; i < 1000; i++)
        UNIT_TRUE(!milter_server_bad(&s, i));
    UNIT_TRUE(milter_server_asks(&s, 0));
}

/* ---- sockets */

enum { FULL = 8 };

/* Lets those in who wait, late. */
static void *accept_all(void *ctx)
{
    int listener = *(int *)ctx, fds[FULL];
    const struct timespec late = {0, 30 * 1000 * 1000};
    (void)nanosleep(&late, NULL);
    for (int i = 0; i < FULL; i++)
        fds[i] = accept(listener, NULL, NULL);
    for (int i = 0; i < FULL; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
    return NULL;
}

/* A queue of connections that is full is waited for; its milter is not away. */
static void test_full_queue(void)
{
    char tmp[] = "/tmp/postern-line-XXXXXX", text[80];
    int waiting[FULL], listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), count = 0;
    struct milter_address address;
    struct milter_line line;
    pthread_t thread;
    UNIT_TRUE(mkdtemp(tmp) != NULL);
    int len = snprintf(text, sizeof text, "unix:%s/full", tmp);
    UNIT_TRUE(milter_address_read(&address, (struct postern_str){text, (size_t)len}) == NULL);
    UNIT_INT(bind(listener, &address.at.any, address.len), 0);
    UNIT_INT(listen(listener, FULL - 2), 0); /* one more is let in by Linux */
    for (; count < FULL; count++) {
        waiting[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connect(waiting[count], &address.at.any, address.len) != 0)
            break;
    }
    UNIT_INT(count, FULL - 1);
    milter_line_init(&line);
    UNIT_TRUE(!milter_line_connect(&line, &address, milter_now_ms() + 20));
    UNIT_TRUE(strcmp(line.why, "took no connection in time") == 0);
    milter_line_close(&line);
    milter_line_init(&line);
    UNIT_INT(pthread_create(&thread, NULL, accept_all, &listener), 0);
    bool open = milter_line_connect(&line, &address, milter_now_ms() + 60000);
    UNIT_TRUE(open);
    if (!open)
        (void)shutdown(listener, SHUT_RDWR); /* ends the thread */
    UNIT_INT(pthread_join(thread, NULL), 0);
    milter_line_close(&line);
    for (int i = 0; i <= count && i < FULL; i++)
        (void)close(waiting[i]);
    (void)close(listener);
    UNIT_INT(unlink(text + 5), 0);
    UNIT_INT(rmdir(tmp), 0);
}

/* The plugin's own notion of a character is the host's. */
static void test_character(void)
{
    static const unsigned char more[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f,
                                         0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xff};
    unsigned char s[4];
    unsigned wrong = 0;
    for (unsigned two = 0; two < 65536; two++)
        for (size_t k = 0; k < sizeof more * sizeof more; k++) {
            s[0] = (unsigned char)(two >> 8);
            s[1] = (unsigned char)two;
            s[2] = more[k / sizeof more];
            s[3] = more[k % sizeof more];
            for (size_t n = k == 0 ? 1 : 4; n <= 4; n++)
                wrong += milter_character((const char *)s, n) !=
                         pn_utf8_next((struct pn_str){(const char *)s, n});
        }
    UNIT_INT(wrong, 0);
}

static void test_field(void)
{
    static char long_value[16 * 1024 + 1];
    static const struct {
        const char *name, *value;
        bool want;
    } rows[] = {{"X-A", "", true},           {"X-A", "1", true},      {"", "1", false},
                {"X A", "1", false},         {"X:", "1", false},      {"X\xc3\xbc", "1", false},
                {"X", "\xc3\xbc", true},     {"X", "\xff", false},    {"X", "a\tb", true},
                {"X", "a\r\n b", true},      {"X", "a\r\n\tb", true}, {"X", "a\r\nb", false},
                {"X", "a\r\n", false},       {"X", "a\r\n ", true},   {"X", "a\nb", false},
                {"X", "a\rb", false},        {"X", "a\x7f", false},   {"X", "\r\n \r\n b", true},
                {"X", "\xed\xa0\x80", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct postern_str name = {rows[i].name, strlen(rows[i].name)};
        struct postern_str value = {rows[i].value, strlen(rows[i].value)};
        unit_row(rows[i].value);
        UNIT_INT(milter_field_ok(name, value), rows[i].want);
    }
    memset(long_value, 'x', sizeof long_value);
    for (size_t len = 76; len <= 77; len++)
        UNIT_INT(milter_field_ok((struct postern_str){long_value, len}, POSTERN_STR("1")),
                 len == 76);
    for (size_t len = 16 * 1024; len <= 16 * 1024 + 1; len++)
        UNIT_INT(milter_field_ok(POSTERN_STR("X"), (struct postern_str){long_value, len}),
                 len == 16 * 1024);
    UNIT_TRUE(!milter_field_ok(POSTERN_STR("X"), (struct postern_str){"a\0b", 3}));
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"take", test_take},
                                             {"replies", test_replies},
                                             {"options", test_options},
                                             {"lines", test_put_lines},
                                             {"addresses", test_address},
                                             {"macros", test_macros},
                                             {"breaker", test_breaker},
                                             {"reply lines", test_reply_line},
                                             {"a full queue", test_full_queue},
                                             {"characters", test_character},
                                             {"fields", test_field},
                                             {NULL, NULL}};
    return unit_main("milter_packet", tests, argc, argv);
}
