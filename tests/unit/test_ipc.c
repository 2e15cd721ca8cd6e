#include "ipc_rig.h"
#include "unit.h"

#include "buf.h"
#include "channel.h"
#include "clock.h"
#include "dns.h"
#include "log.h"
#include "memfile.h"
#include "net.h"
#include "records.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct pn_loop *loop;

/* One end: what came, and how it ended. */
struct end {
    struct pn_channel *channel;
    int records, rooms, ends, cuts;
    enum pn_channel_end how;
    uint16_t type;
    struct pn_buf body;
    unsigned nfds;
    int kept_fd;  /* taken from the last record */
    bool refuse;  /* on_record answers false */
    bool free_it; /* on_record frees the channel */
};

static bool on_record(void *ctx, struct pn_record *record)
{
    struct end *e = ctx;
    e->records++;
    e->type = record->type;
    pn_buf_clear(&e->body);
    (void)pn_buf_adds(&e->body, record->body);
    e->nfds = record->nfds;
    if (record->nfds != 0) {
        if (e->kept_fd >= 0)
            (void)close(e->kept_fd);
        e->kept_fd = record->fds[0];
        record->fds[0] = -1;
    }
    if (e->free_it)
        pn_channel_free(&e->channel);
    return !e->refuse;
}

static void on_end(void *ctx, enum pn_channel_end how)
{
    struct end *e = ctx;
    e->ends++;
    e->how = how;
}

static bool on_cut(void *ctx, struct pn_record *record)
{
    struct end *e = ctx;
    e->cuts++;
    e->type = record->type;
    e->nfds = record->nfds;
    pn_buf_clear(&e->body);
    (void)pn_buf_adds(&e->body, record->body);
    return !e->refuse;
}

static void on_room(void *ctx)
{
    ((struct end *)ctx)->rooms++;
}

static const struct pn_channel_ops ops = {on_record, on_end, on_room, on_cut};

static void end_init(struct end *e, int fd, size_t queue_max)
{
    *e = (struct end){.kept_fd = -1};
    pn_buf_init(&e->body, PN_RECORD_MAX);
    e->channel = pn_channel_new(loop, fd, &ops, e, queue_max);
}

static void end_fini(struct end *e)
{
    pn_channel_free(&e->channel);
    pn_buf_fini(&e->body);
    if (e->kept_fd >= 0)
        (void)close(e->kept_fd);
}

static void test_records(void)
{
    static char big[PN_RECORD_MAX];
    struct end a, b;
    int fds[2];
    memset(big, 'z', sizeof big);
    loop = pn_loop_new();
    UNIT_INT(pn_channel_pair(fds), 0);
    end_init(&a, fds[0], 1 << 20);
    end_init(&b, fds[1], 1 << 20);
    const size_t lens[] = {0, 1, PN_RECORD_MAX - 8};
    for (int i = 0; i < 3; i++) {
        UNIT_TRUE(pn_channel_send(a.channel, (uint16_t)(PN_REC_CHECK + i),
                                  (struct pn_str){big, lens[i]}, NULL, 0));
        turn_until(loop, &b.records, i + 1);
        UNIT_INT(b.type, PN_REC_CHECK + i);
        UNIT_INT(b.body.len, lens[i]);
        UNIT_TRUE(lens[i] == 0 || memcmp(b.body.p, big, lens[i]) == 0);
    }
    pn_channel_free(&a.channel);
    turn_until(loop, &b.ends, 1);
    UNIT_INT(b.how, PN_CHANNEL_CLOSED);
    UNIT_TRUE(!pn_channel_send(b.channel, 1, PN_STR("x"), NULL, 0));
    end_fini(&a);
    end_fini(&b);
    pn_loop_free(&loop);
}

/* What was sent before an end is read, also if that end left records unread. */
static void test_last_words(void)
{
    struct end b;
    int fds[2];
    loop = pn_loop_new();
    UNIT_INT(pn_channel_pair(fds), 0);
    end_init(&b, fds[1], 1 << 20);
    UNIT_TRUE(pn_channel_send(b.channel, 1, PN_STR("never read"), NULL, 0));
    UNIT_INT(pn_channel_send_fd(fds[0], PN_REC_FAILED, PN_STR("why"), NULL, 0), 0);
    (void)close(fds[0]);
    turn_until(loop, &b.records, 1);
    UNIT_STR(pn_buf_str(&b.body), PN_STR("why"));
    turn_until(loop, &b.ends, 1);
    UNIT_INT(b.how, PN_CHANNEL_CLOSED);
    end_fini(&b);
    pn_loop_free(&loop);
}

static int open_fds(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void test_fds(void)
{
    struct end a, b;
    int fds[2], pipe_fds[2], many[PN_RECORD_FDS];
    loop = pn_loop_new();
    UNIT_INT(pn_channel_pair(fds), 0);
    UNIT_INT(pipe(pipe_fds), 0);
    end_init(&a, fds[0], 1 << 20);
    end_init(&b, fds[1], 1 << 20);
    for (int i = 0; i < PN_RECORD_FDS; i++)
        many[i] = pipe_fds[0];
    int before = open_fds();
    UNIT_TRUE(pn_channel_send(a.channel, 7, PN_STR("x"), many, PN_RECORD_FDS));
    turn_until(loop, &b.records, 1);
    UNIT_INT(b.nfds, PN_RECORD_FDS);
    UNIT_TRUE(same_file(b.kept_fd, pipe_fds[0]));
    UNIT_TRUE((fcntl(b.kept_fd, F_GETFD) & FD_CLOEXEC) != 0);
    UNIT_INT(open_fds(), before + 1); /* those not taken were closed */
    (void)close(b.kept_fd);
    b.kept_fd = -1;
    end_fini(&a);
    end_fini(&b);
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
    pn_loop_free(&loop);
}

/* No descriptor left: that record is lost, and nothing else. */
static void test_cut(void)
{
    static const struct {
        const char *label;
        int room;
        unsigned sent, want;
    } rows[] = {{"none of one", 0, 1, 0}, {"one of two", 1, 2, 1}, {"seven of eight", 7, 8, 7}};
    if (!room_counts())
        return;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct end a, b;
        int fds[2], many[PN_RECORD_FDS];
        unit_row(rows[i].label);
        loop = pn_loop_new();
        UNIT_INT(pn_channel_pair(fds), 0);
        end_init(&a, fds[0], 1 << 20);
        end_init(&b, fds[1], 1 << 20);
        for (int n = 0; n < PN_RECORD_FDS; n++)
            many[n] = fds[0];
        int before = open_fds();
        UNIT_TRUE(pn_channel_send(a.channel, 7, PN_STR("who"), many, rows[i].sent));
        UNIT_TRUE(pn_channel_send(a.channel, 8, PN_STR("next"), NULL, 0));
        struct rlimit was = leave_room(rows[i].room);
        pn_log_init("unit", PN_LOG_ERROR + 1);
        turn_until(loop, &b.cuts, 1);
        UNIT_INT(b.nfds, b.records == 0 ? rows[i].want : 0);
        turn_until(loop, &b.records, 1);
        UNIT_STR(pn_buf_str(&b.body), PN_STR("next"));
        UNIT_INT(setrlimit(RLIMIT_NOFILE, &was), 0);
        UNIT_INT(b.ends, 0);
        UNIT_INT(open_fds(), before); /* what came of it was closed */
        UNIT_TRUE(pn_channel_send(a.channel, 7, PN_STR("again"), many, rows[i].sent));
        turn_until(loop, &b.records, 2);
        UNIT_INT(b.nfds, rows[i].sent);
        end_fini(&a);
        end_fini(&b);
        pn_loop_free(&loop);
    }
}

/* More than a record may bring is no record, however much room there is. */
static void test_too_many_fds(void)
{
    struct end b;
    int fds[2], many[PN_RECORD_FDS + 1];
    union {
        char space[CMSG_SPACE(sizeof many)];
        struct cmsghdr align;
    } control;
    struct iovec iov = {(void *)(uintptr_t) "\1\0\7\0\0\0\0\0", 8};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.space,
                         .msg_controllen = sizeof control.space};
    loop = pn_loop_new();
    UNIT_INT(pn_channel_pair(fds), 0);
    end_init(&b, fds[1], 1000);
    for (int n = 0; n <= PN_RECORD_FDS; n++)
        many[n] = fds[0];
    memset(&control, 0, sizeof control);
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    *c = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof many)};
    memcpy(CMSG_DATA(c), many, sizeof many);
    int before = open_fds();
    UNIT_INT(sendmsg(fds[0], &msg, 0), 8);
    turn_until(loop, &b.ends, 1);
    UNIT_INT(b.how, PN_CHANNEL_PROTOCOL);
    UNIT_INT(open_fds(), before);
    end_fini(&b);
    (void)close(fds[0]);
    pn_loop_free(&loop);
}

static void test_queue(void)
{
    static char text[10000];
    struct end a, b;
    int fds[2], pipe_fds[2];
    loop = pn_loop_new();
    UNIT_INT(pn_channel_pair(fds), 0);
    UNIT_INT(pipe(pipe_fds), 0);
    end_init(&a, fds[0], 300000);
    end_init(&b, fds[1], 300000);
    int sent = 0, before = open_fds();
    while (sent < 10000 &&
           pn_channel_send(a.channel, 9, (struct pn_str){text, sizeof text}, &pipe_fds[0], 1))
        sent++;
    UNIT_TRUE(sent > 25 && sent < 10000);
    UNIT_TRUE(pn_channel_queued(a.channel) <= 300000 && pn_channel_queued(a.channel) > 280000);
    UNIT_INT(a.rooms, 0);
    while (b.records < sent && b.ends == 0) {
        pn_loop_turn(loop, 50);
        UNIT_TRUE(a.rooms <= 1);
    }
    pn_loop_turn(loop, 0);
    UNIT_INT(a.rooms, 1);
    UNIT_INT(pn_channel_queued(a.channel), 0);
    UNIT_TRUE(pn_channel_send(a.channel, 9, PN_STR("again"), NULL, 0));
    turn_until(loop, &b.records, sent + 1);
    UNIT_STR(pn_buf_str(&b.body), PN_STR("again"));
    /* A channel that goes closes what waited. */
    while (pn_channel_send(a.channel, 9, (struct pn_str){text, sizeof text}, &pipe_fds[0], 1))
        ;
    pn_channel_free(&a.channel);
    pn_channel_free(&b.channel);
    UNIT_INT(open_fds(), before - 2 + 1); /* less the pair, and b holds one */
    end_fini(&a);
    end_fini(&b);
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
    pn_loop_free(&loop);
}

static void test_bad_records(void)
{
    static const struct {
        const char *label;
        const char *bytes;
        size_t len;
        enum pn_channel_end want;
    } rows[] = {
        {"short head", "\1\0\7\0\0\0\0", 7, PN_CHANNEL_PROTOCOL},
        {"version 2", "\2\0\7\0\0\0\0\0", 8, PN_CHANNEL_PROTOCOL},
        {"length too large", "\1\0\7\0\2\0\0\0x", 9, PN_CHANNEL_PROTOCOL},
        {"length too small", "\1\0\7\0\0\0\0\0x", 9, PN_CHANNEL_PROTOCOL},
        {"huge length", "\1\0\7\0\xff\xff\xff\xff", 8, PN_CHANNEL_PROTOCOL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct end b;
        int fds[2];
        unit_row(rows[i].label);
        loop = pn_loop_new();
        UNIT_INT(pn_channel_pair(fds), 0);
        end_init(&b, fds[1], 1000);
        UNIT_INT(send(fds[0], rows[i].bytes, rows[i].len, 0), (long long)rows[i].len);
        turn_until(loop, &b.ends, 1);
        UNIT_INT(b.how, rows[i].want);
        UNIT_INT(b.records, 0);
        end_fini(&b);
        (void)close(fds[0]);
        pn_loop_free(&loop);
    }
}

static void test_oversized(void)
{
    static char text[PN_RECORD_MAX + 1] = "\1\0\7\0\xf9\xff\0\0";
    struct end b;
    int fds[2];
    loop = pn_loop_new();
    UNIT_INT(pn_channel_pair(fds), 0);
    end_init(&b, fds[1], 1000);
    UNIT_INT(send(fds[0], text, sizeof text, 0), (long long)sizeof text);
    turn_until(loop, &b.ends, 1);
    UNIT_INT(b.how, PN_CHANNEL_PROTOCOL);
    end_fini(&b);
    (void)close(fds[0]);
    pn_loop_free(&loop);
}

static void test_refused_record(void)
{
    struct end a, b;
    int fds[2];
    loop = pn_loop_new();
    UNIT_INT(pn_channel_pair(fds), 0);
    end_init(&a, fds[0], 1000);
    end_init(&b, fds[1], 1000);
    b.refuse = true;
    UNIT_TRUE(pn_channel_send(a.channel, 7, PN_STR("x"), NULL, 0));
    UNIT_TRUE(pn_channel_send(a.channel, 7, PN_STR("y"), NULL, 0));
    turn_until(loop, &b.ends, 1);
    UNIT_INT(b.how, PN_CHANNEL_PROTOCOL);
    UNIT_INT(b.records, 1);
    end_fini(&b);
    turn_until(loop, &a.ends, 1);
    end_fini(&a);
    /* Freed inside its callback. */
    UNIT_INT(pn_channel_pair(fds), 0);
    end_init(&a, fds[0], 1000);
    end_init(&b, fds[1], 1000);
    b.free_it = true;
    UNIT_TRUE(pn_channel_send(a.channel, 7, PN_STR("x"), NULL, 0));
    UNIT_TRUE(pn_channel_send(a.channel, 7, PN_STR("y"), NULL, 0));
    turn_until(loop, &a.ends, 1);
    UNIT_INT(b.records, 1);
    UNIT_INT(b.ends, 0);
    end_fini(&a);
    end_fini(&b);
    pn_loop_free(&loop);
}

static void test_blocking(void)
{
    struct pn_buf buf;
    struct pn_record record;
    int fds[2];
    pn_buf_init(&buf, PN_RECORD_MAX);
    UNIT_INT(pn_channel_pair(fds), 0);
    UNIT_INT(pn_channel_recv_fd(fds[1], &record, &buf, 0), -1);
    UNIT_INT(errno, EAGAIN);
    UNIT_INT(pn_channel_send_fd(fds[0], 3, PN_STR("abc"), &fds[0], 1), 0);
    UNIT_INT(pn_channel_recv_fd(fds[1], &record, &buf, 1000), 1);
    UNIT_INT(record.type, 3);
    UNIT_STR(record.body, PN_STR("abc"));
    UNIT_INT(record.nfds, 1);
    pn_record_close_fds(&record);
    UNIT_INT(send(fds[0], "junk", 4, 0), 4);
    UNIT_INT(pn_channel_recv_fd(fds[1], &record, &buf, 1000), -1);
    UNIT_INT(errno, EPROTO);
    (void)close(fds[0]);
    UNIT_INT(pn_channel_recv_fd(fds[1], &record, &buf, -1), 0);
    (void)close(fds[1]);
    pn_buf_fini(&buf);
}

static void test_memfile(void)
{
    struct pn_memfile m;
    struct pn_str view;
    static const size_t max = 3 << 20;
    UNIT_INT(pn_memfile_init(&m, "unit", max), 0);
    UNIT_INT(pn_map_fd(m.fd, true, &view), -1);
    UNIT_INT(errno, EPERM);
    UNIT_TRUE(pn_memfile_reserve(&m, max + 1) == NULL);
    UNIT_INT(errno, EFBIG);
    for (size_t i = 0; i < max / 16; i++)
        UNIT_TRUE(pn_memfile_add(&m, PN_STR("0123456789abcdef")));
    UNIT_TRUE(!pn_memfile_add(&m, PN_STR("x"))); /* one too many */
    UNIT_TRUE(pn_memfile_add(&m, PN_STR("")));
    UNIT_INT(pn_memfile_seal(&m), 0);
    UNIT_INT(pn_map_fd(m.fd, true, &view), 0);
    UNIT_INT(view.len, max);
    UNIT_STR(pn_str_slice(view, max - 16, max), PN_STR("0123456789abcdef"));
    pn_unmap(&view);
    UNIT_INT(write(m.fd, "x", 1), -1);
    UNIT_INT(ftruncate(m.fd, 0), -1);
    UNIT_TRUE(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, m.fd, 0) == MAP_FAILED);
    pn_memfile_fini(&m);
    UNIT_INT(m.fd, -1);
    /* Written, not mapped. */
    UNIT_INT(pn_memfile_init(&m, "unit", 10), 0);
    UNIT_TRUE(pn_memfile_write(&m, PN_STR("01234")) && pn_memfile_write(&m, PN_STR("")));
    UNIT_TRUE(!pn_memfile_write(&m, PN_STR("567890")));
    UNIT_INT(errno, EFBIG);
    UNIT_TRUE(pn_memfile_write(&m, PN_STR("56789")));
    UNIT_INT(pn_memfile_seal(&m), 0);
    UNIT_TRUE(!pn_memfile_write(&m, PN_STR("x")));
    UNIT_INT(pn_map_fd(m.fd, true, &view), 0);
    UNIT_STR(view, PN_STR("0123456789"));
    pn_unmap(&view);
    pn_memfile_fini(&m);
    /* Empty, and short. */
    UNIT_INT(pn_memfile_init(&m, "unit", 10), 0);
    UNIT_INT(pn_memfile_seal(&m), 0);
    UNIT_INT(pn_map_fd(m.fd, true, &view), 0);
    UNIT_INT(view.len, 0);
    pn_unmap(&view);
    pn_memfile_fini(&m);
    int fd = pn_memfile_of("unit", PN_STR("hello"));
    UNIT_INT(pn_map_fd(fd, true, &view), 0);
    UNIT_STR(view, PN_STR("hello"));
    pn_unmap(&view);
    (void)close(fd);
}

static void test_map_regular(void)
{
    char path[] = "/tmp/postern-unit-XXXXXX"; /* a regular file has no seals */
    struct pn_str view;
    int fd = mkstemp(path);
    UNIT_TRUE(fd >= 0);
    UNIT_INT(write(fd, "abc", 3), 3);
    UNIT_INT(pn_map_fd(fd, true, &view), 0);
    UNIT_INT(ftruncate(fd, 0), 0); /* under a mapping that would be our end */
    UNIT_STR(view, PN_STR("abc"));
    pn_unmap(&view);
    UNIT_INT(pn_map_fd(fd, true, &view), 0);
    UNIT_STR(view, PN_STR(""));
    UNIT_INT(ftruncate(fd, (off_t)PN_COPY_MAX + 1), 0);
    UNIT_TRUE(pn_map_fd(fd, true, &view) == -1 && errno == EFBIG);
    (void)unlink(path);
    (void)close(fd);
    fd = open("/", O_RDONLY | O_DIRECTORY);
    UNIT_INT(pn_map_fd(fd, false, &view), -1);
    (void)close(fd);
}

static void test_dns_names(void)
{
    static const struct {
        const char *text;
        bool want;
    } rows[] = {
        {"a", true},
        {"x.test", true},
        {"", false},
        {".", false},
        {"x.", true}, /* one last dot */
        {".x", false},
        {"a..b", false},
        {"_dmarc.x.test", true},
        {"123456789012345678901234567890123456789012345678901234567890123.x", true},
        {"1234567890123456789012345678901234567890123456789012345678901234.x", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].text);
        UNIT_INT(pn_dns_name_ok(pn_str_of(rows[i].text)), rows[i].want);
    }
    char name[254];
    memset(name, 'a', sizeof name);
    for (size_t i = 50; i < sizeof name; i += 50)
        name[i] = '.';
    UNIT_TRUE(pn_dns_name_ok((struct pn_str){name, 253}));
    UNIT_TRUE(!pn_dns_name_ok((struct pn_str){name, 254}));
}

static void test_dns_reverse(void)
{
    static const struct {
        const char *ip, *suffix, *want;
    } rows[] = {
        {"192.0.2.7", "", "7.2.0.192.in-addr.arpa"},
        {"192.0.2.7", "bl.test", "7.2.0.192.bl.test"},
        {"::ffff:192.0.2.7", "", "7.2.0.192.in-addr.arpa"},
        {"2001:db8::1", "",
         "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_ip ip;
        struct pn_buf out;
        pn_buf_init(&out, 256);
        unit_row(rows[i].ip);
        UNIT_TRUE(pn_ip_parse(pn_str_of(rows[i].ip), &ip));
        pn_dns_reverse(&out, &ip, pn_str_of(rows[i].suffix));
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
        pn_buf_fini(&out);
    }
    uint16_t type = 0;
    UNIT_TRUE(pn_dns_type_of(PN_STR("txt"), &type) && type == PN_DNS_TXT);
    UNIT_TRUE(!pn_dns_type_of(PN_STR("TYPE99"), &type) && pn_dns_type_name(99) == NULL);
    UNIT_STR(pn_str_of(pn_dns_rcode_name(PN_DNS_TIMEOUT)), PN_STR("TIMEOUT"));
    UNIT_STR(pn_str_of(pn_dns_rcode_name(3)), PN_STR("NXDOMAIN"));
    UNIT_STR(pn_str_of(pn_dns_rcode_name(77)), PN_STR("OTHER"));
}

static void test_dns_records(void)
{
    struct pn_buf b;
    struct pn_dns_record records[2] = {{60, PN_STR_INIT("\x7f\0\0\2")}, {9, PN_STR_INIT("")}};
    struct pn_dns_answer answer = {
        .rcode = PN_DNS_TIMEOUT, .secure = true, .count = 2, .records = records};
    static struct pn_dns_record got_records[PN_DNS_RECORDS_MAX];
    struct pn_dns_answer got;
    struct pn_dns_ask ask = {.id = 5, .type = 16, .deadline_ms = 7, .name = PN_STR("x.test")}, back;
    uint64_t id;
    pn_buf_init(&b, 1000);
    pn_dns_answer_put(&b, 1ULL << 63, &answer);
    struct pn_str body = pn_buf_str(&b);
    UNIT_TRUE(pn_dns_answer_get(body, &id, &got, got_records));
    UNIT_TRUE(id == 1ULL << 63 && got.secure);
    UNIT_INT(got.rcode, PN_DNS_TIMEOUT);
    UNIT_INT(got.count, 2);
    UNIT_STR(got.records[0].data, records[0].data);
    UNIT_INT(got.records[1].ttl, 9);
    for (size_t i = 0; i < body.len; i++) /* cut at every byte */
        UNIT_TRUE(!pn_dns_answer_get(pn_str_slice(body, 0, i), &id, &got, got_records));
    pn_buf_clear(&b);
    pn_dns_ask_put(&b, &ask);
    UNIT_TRUE(pn_dns_ask_get(pn_buf_str(&b), &back));
    UNIT_STR(back.name, ask.name);
    UNIT_INT(back.deadline_ms, 7);
    for (size_t i = 0; i < b.len; i++)
        UNIT_TRUE(!pn_dns_ask_get(pn_str_slice(pn_buf_str(&b), 0, i), &back));
    pn_wr_u8(&b, 0); /* one byte too many */
    UNIT_TRUE(!pn_dns_ask_get(pn_buf_str(&b), &back));
    pn_buf_fini(&b);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"records", test_records},
        {"last words", test_last_words},
        {"descriptors", test_fds},
        {"no descriptor left", test_cut},
        {"too many descriptors", test_too_many_fds},
        {"queue", test_queue},
        {"bad records", test_bad_records},
        {"oversized", test_oversized},
        {"refused record", test_refused_record},
        {"blocking", test_blocking},
        {"memory file", test_memfile},
        {"map a regular file", test_map_regular},
        {"DNS names", test_dns_names},
        {"DNS reverse", test_dns_reverse},
        {"DNS records", test_dns_records},
        {NULL, NULL},
    };
    return unit_main("ipc", tests, argc, argv);
}
