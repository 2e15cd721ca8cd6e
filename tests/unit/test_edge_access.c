/* Users who come for their mail, as edge sees them: what it asks of auth and hands to a mailbox
 * worker, and what it tells the client until that has taken the session. */
#include "edge_rig.h"

#include "pass.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char token[] = "sixteen bytes of";

/* The next line that the client hears, or "" at the end. */
static struct pn_str line_of(struct client *c)
{
    static char text[1000];
    size_t end;
    while ((end = pn_str_find(pn_buf_str(&c->in), '\n', 0)) == SIZE_MAX)
        if (hear_bytes(c) <= 0)
            return PN_STR("");
    size_t n = end + 1 < sizeof text ? end + 1 : sizeof text;
    memcpy(text, c->in.p, n);
    pn_buf_consume(&c->in, end + 1);
    return pn_str_trim((struct pn_str){text, n});
}

static void expect_line(struct client *c, const char *start)
{
    struct pn_str got = line_of(c);
    UNIT_STR(pn_str_slice(got, 0, strlen(start)), pn_str_of(start));
}

/* What auth is asked; its id. */
static uint64_t asked(struct pn_buf *buf, struct pn_sasl_begin *begin)
{
    struct pn_record record;
    *begin = (struct pn_sasl_begin){.id = 0};
    if (!role_rig_recv(&fx.rig, AUTH, &record, buf))
        return 0;
    UNIT_INT(record.type, PN_REC_SASL_BEGIN);
    UNIT_TRUE(pn_sasl_begin_get(record.body, begin));
    return begin->id;
}

static void let_in(uint64_t id, bool with_token, uint32_t worker)
{
    const struct pn_sasl_said said = {.id = id,
                                      .status = PN_SASL_OK,
                                      .message = PN_STR(""),
                                      .user = PN_STR("ann@here.test"),
                                      .senders = PN_STR(""),
                                      .token = {token, with_token ? PN_SASL_TOKEN : 0},
                                      .worker = worker};
    struct pn_buf b;
    pn_buf_init(&b, PN_RECORD_MAX);
    pn_sasl_said_put(&b, &said);
    UNIT_INT(pn_channel_send_fd(fx.rig.peers[AUTH], PN_REC_SASL_SAID, pn_buf_str(&b), NULL, 0), 0);
    pn_buf_fini(&b);
}

/* The session that the worker is handed; its descriptor, or -1. */
static int handed(struct pn_buf *buf, struct pn_session *session)
{
    struct pn_record record;
    if (!role_rig_recv(&fx.rig, MAILBOX, &record, buf) || record.type != PN_REC_SESSION ||
        record.nfds != 1 || !pn_session_get(record.body, session))
        return -1;
    return record.fds[0];
}

static void say_word(uint64_t id, enum pn_session_word word)
{
    struct pn_buf b;
    const struct pn_session_taken taken = {id, (uint8_t)word};
    pn_buf_init(&b, 64);
    pn_session_taken_put(&b, &taken);
    UNIT_INT(
        pn_channel_send_fd(fx.rig.peers[MAILBOX], PN_REC_SESSION_TAKEN, pn_buf_str(&b), NULL, 0),
        0);
    pn_buf_fini(&b);
}

/* What edge says of who has a client. */
static void expect_whose(uint64_t id, bool yours)
{
    struct pn_record record;
    struct pn_session_taken word = {0, PN_SESSION_WORDS};
    struct pn_buf buf;
    pn_buf_init(&buf, PN_RECORD_MAX);
    UNIT_TRUE(role_rig_recv(&fx.rig, MAILBOX, &record, &buf));
    UNIT_INT(record.type, PN_REC_SESSION_YOURS);
    UNIT_TRUE(pn_session_taken_get(record.body, &word));
    UNIT_INT(word.id, id);
    UNIT_INT(word.word == PN_SESSION_TAKEN, yours);
    pn_buf_fini(&buf);
}

/* As recv; the descriptor does not block. */
static ssize_t wait_for(int fd, char *to, size_t n)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 30000) == 1 ? recv(fd, to, n, 0) : -1;
}

static void hear_from(int fd, const char *want)
{
    char got[500];
    size_t n = 0, len = strlen(want);
    while (n < len) {
        ssize_t more = wait_for(fd, got + n, len - n);
        if (more <= 0)
            break;
        n += (size_t)more;
    }
    UNIT_STR(((struct pn_str){got, n}), pn_str_of(want));
}

static void test_relayed(void)
{
    struct client c;
    struct pn_sasl_begin begin;
    struct pn_session s;
    struct pn_buf buf;
    up("}");
    pn_buf_init(&buf, PN_RECORD_MAX);
    dial(&c, IMAPS);
    start_tls(&c);
    expect_line(&c, "* OK ");
    unit_row("no token, no session");
    say(&c, PN_STR("a LOGIN ann@here.test pw\r\n"));
    uint64_t id = asked(&buf, &begin);
    UNIT_INT(begin.service, PN_SASL_IMAP);
    UNIT_TRUE(begin.tls && begin.has_initial);
    UNIT_STR(begin.initial, PN_STR("\0ann@here.test\0pw"));
    let_in(id, false, 0);
    expect_line(&c, "a NO [UNAVAILABLE]");
    unit_row("a worker that is not there");
    pn_buf_clear(&buf);
    say(&c, PN_STR("b LOGIN ann@here.test pw\r\n"));
    let_in(asked(&buf, &begin), true, 3);
    expect_line(&c, "b NO [UNAVAILABLE]");
    for (unsigned word = PN_SESSION_NO_PASS; word < PN_SESSION_WORDS; word++) {
        unit_row("a worker that does not take it");
        pn_buf_clear(&buf);
        say(&c, PN_STR("c LOGIN ann@here.test pw\r\n"));
        let_in(asked(&buf, &begin), true, 0);
        pn_buf_clear(&buf);
        int fd = handed(&buf, &s);
        say_word(s.id, (enum pn_session_word)word);
        expect_line(&c, "c NO [UNAVAILABLE]");
        char byte;
        UNIT_INT(wait_for(fd, &byte, 1), 0); /* and it is left alone */
        (void)close(fd);
    }
    unit_row("one that does, with what the client sent ahead");
    pn_buf_clear(&buf);
    say(&c, PN_STR("d LOGIN ann@here.test pw\r\ne NOOP\r\nf NO"));
    let_in(asked(&buf, &begin), true, 0);
    pn_buf_clear(&buf);
    int fd = handed(&buf, &s);
    UNIT_STR(((struct pn_str){(const char *)s.token, sizeof s.token}),
             ((struct pn_str){token, PN_PASS_TOKEN}));
    UNIT_STR(s.user, PN_STR("ann@here.test"));
    UNIT_STR(s.tag, PN_STR("d"));
    UNIT_STR(s.session, PN_STR("0-1"));
    UNIT_STR(s.ahead, PN_STR("e NOOP\r\nf NO"));
    UNIT_INT(s.service, PN_SASL_IMAP);
    UNIT_TRUE(s.relayed && s.tls.len != 0 && s.cipher.len != 0);
    unit_row("the word of another changes nothing");
    say_word(s.id + 1, PN_SESSION_TAKEN);
    say(&c, PN_STR("OP\r\n"));
    say_word(s.id, PN_SESSION_TAKEN);
    unit_row("then bytes pass both ways");
    hear_from(fd, "OP\r\n");
    UNIT_INT(send(fd, "d OK\r\ne OK\r\n", 12, 0), 12);
    expect_line(&c, "d OK");
    expect_line(&c, "e OK");
    unit_row("the worker is done: the client hears the last of it");
    UNIT_INT(send(fd, "* BYE\r\n", 7, 0), 7);
    (void)close(fd);
    expect_line(&c, "* BYE");
    UNIT_STR(line_of(&c), PN_STR(""));
    hang_up(&c);
    pn_buf_fini(&buf);
    down();
}

static uint64_t last_id; /* of the session below */

/* A session with TLS, let in and taken: the worker's end. */
static int relayed(struct client *c, struct pn_buf *buf)
{
    struct pn_sasl_begin begin;
    struct pn_session s;
    dial(c, IMAPS);
    start_tls(c);
    expect_line(c, "* OK ");
    say(c, PN_STR("a LOGIN ann@here.test pw\r\n"));
    pn_buf_clear(buf);
    let_in(asked(buf, &begin), true, 0);
    pn_buf_clear(buf);
    int fd = handed(buf, &s);
    last_id = s.id;
    say_word(s.id, PN_SESSION_TAKEN);
    UNIT_INT(send(fd, "a OK\r\n", 6, 0), 6);
    expect_line(c, "a OK");
    return fd;
}

/* What a worker said last is heard, though it reads no more and the client speaks. */
static void test_last_words(void)
{
    enum { ROUNDS = 10 };
    struct client c;
    struct pn_buf buf;
    up("}\n");
    pn_buf_init(&buf, PN_RECORD_MAX);
    for (int i = 0; i < ROUNDS; i++) {
        int status, fd = relayed(&c, &buf);
        unit_row("both at once");
        UNIT_INT(kill(fx.rig.pid, SIGSTOP), 0);
        UNIT_INT(waitpid(fx.rig.pid, &status, WUNTRACED), fx.rig.pid);
        say(&c, PN_STR("b NOOP\r\n"));
        UNIT_INT(send(fd, "* BYE\r\n", 7, 0), 7);
        (void)close(fd);
        UNIT_INT(kill(fx.rig.pid, SIGCONT), 0);
        expect_line(&c, "* BYE");
        UNIT_STR(line_of(&c), PN_STR(""));
        hang_up(&c);
    }
    pn_buf_fini(&buf);
    down();
}

/* So many bytes come, and then the end. */
static void expect_bytes(struct client *c, size_t want)
{
    size_t got = c->in.len;
    pn_buf_clear(&c->in);
    while (hear_bytes(c) > 0) {
        got += c->in.len;
        pn_buf_clear(&c->in);
    }
    UNIT_INT(got, want);
}

/* What edge says is left of it. */
static uint64_t left_of(uint64_t id, uint32_t serial)
{
    struct pn_record record;
    struct pn_session_left left = {id, serial, 0};
    struct pn_buf b;
    pn_buf_init(&b, PN_RECORD_MAX);
    pn_session_left_put(&b, &left);
    UNIT_INT(pn_channel_send_fd(fx.rig.peers[MAILBOX], PN_REC_SESSION_ASK, pn_buf_str(&b), NULL, 0),
             0);
    pn_buf_clear(&b);
    UNIT_TRUE(role_rig_recv(&fx.rig, MAILBOX, &record, &b));
    UNIT_INT(record.type, PN_REC_SESSION_LEFT);
    UNIT_TRUE(pn_session_left_get(record.body, &left));
    UNIT_TRUE(left.id == id && left.serial == serial);
    pn_buf_fini(&b);
    return left.bytes;
}

/* A worker asks whether its client has all. */
static void test_left(void)
{
    enum { MUCH = 64 * 1024 * 1024, PIECE = 64 * 1024 };
    static char much[PIECE];
    struct client c;
    struct pn_buf buf;
    size_t sent = 0;
    up("}\n");
    pn_buf_init(&buf, PN_RECORD_MAX);
    int fd = relayed(&c, &buf);
    uint64_t id = last_id;
    unit_row("it has all");
    while (left_of(id, 1) != 0) /* until that is acknowledged */
        continue;
    unit_row("another session");
    UNIT_TRUE(left_of(id + 1, 2) == UINT64_MAX);
    unit_row("it reads nothing: what its own side can't take any more is left");
    while (left_of(id, 3) == 0 && sent < MUCH) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        UNIT_INT(poll(&p, 1, 30000), 1);
        ssize_t n = send(fd, much, sizeof much, MSG_NOSIGNAL | MSG_DONTWAIT);
        sent += n > 0 ? (size_t)n : 0;
    }
    UNIT_TRUE(sent < MUCH);
    unit_row("it reads again");
    for (size_t got = 0; got < sent && hear_bytes(&c) > 0; pn_buf_clear(&c.in))
        got += c.in.len;
    while (left_of(id, 3) != 0)
        continue;
    unit_row("it is gone, which is found out by saying more");
    hang_up(&c);
    while (left_of(id, 4) != UINT64_MAX)
        (void)send(fd, much, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)close(fd);
    pn_buf_fini(&buf);
    down();
}

/* Who is relayed is counted, until the end. */
static void test_counted(void)
{
    static char much[1000];
    enum { PIECES = 600 };
    struct client c, other;
    struct pn_buf buf;
    up("}\nlimits { sessions 1 }\n");
    pn_buf_init(&buf, PN_RECORD_MAX);
    int fd = relayed(&c, &buf);
    unit_row("he who is relayed has the place");
    dial(&other, POP3);
    expect_line(&other, "-ERR [SYS/TEMP] Too many");
    hang_up(&other);
    unit_row("the worker is done: he hears all of it");
    memset(much, 'x', sizeof much);
    for (size_t i = 0; i < PIECES; i++) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        UNIT_INT(poll(&p, 1, 30000), 1);
        UNIT_INT(send(fd, much, sizeof much, MSG_NOSIGNAL), (ssize_t)sizeof much);
    }
    (void)close(fd);
    expect_bytes(&c, (size_t)PIECES * sizeof much);
    hang_up(&c);
    unit_row("no longer");
    for (bool in = false; !in;) {
        dial(&other, POP3);
        in = pn_str_starts(line_of(&other), PN_STR("+OK"));
        hang_up(&other);
    }
    pn_buf_fini(&buf);
    down();
}

static void test_stalled(void)
{
    static char much[64 * 1024];
    struct client c;
    struct pn_sasl_begin begin;
    struct pn_session s;
    struct pn_buf buf;
    ssize_t n = 0;
    up("}\ntimeouts { data 1s }\n");
    pn_buf_init(&buf, PN_RECORD_MAX);
    dial(&c, IMAPS);
    start_tls(&c);
    expect_line(&c, "* OK ");
    say(&c, PN_STR("a LOGIN ann@here.test pw\r\n"));
    let_in(asked(&buf, &begin), true, 0);
    pn_buf_clear(&buf);
    int fd = handed(&buf, &s);
    say_word(s.id, PN_SESSION_TAKEN);
    unit_row("a client that takes nothing is left, though the worker says no more, either");
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    while (poll(&p, 1, 30000) == 1 && (p.revents & POLLHUP) == 0 &&
           (n = send(fd, much, sizeof much, MSG_NOSIGNAL | MSG_DONTWAIT)) > 0)
        continue;
    UNIT_TRUE((p.revents & POLLHUP) != 0 || n < 0);
    UNIT_TRUE(wait_for(fd, much, 1) <= 0);
    (void)close(fd);
    hang_up(&c);
    pn_buf_fini(&buf);
    down();
}

/* A stop while a worker's word is due: he may not try again here. */
static void test_stopped(void)
{
    struct client c, other;
    struct pn_sasl_begin begin;
    struct pn_session s;
    struct pn_buf buf;
    up("}\nmailbox { plain-login loopback }\n");
    pn_buf_init(&buf, PN_RECORD_MAX);
    dial(&other, POP3);
    expect_line(&other, "+OK");
    dial(&c, POP3);
    expect_line(&c, "+OK");
    say(&c, PN_STR("USER ann@here.test\r\n"));
    expect_line(&c, "+OK");
    say(&c, PN_STR("PASS pw\r\n"));
    let_in(asked(&buf, &begin), true, 0);
    pn_buf_clear(&buf);
    int fd = handed(&buf, &s);
    (void)close(fd);
    pn_buf_clear(&buf);
    pn_u32_put(&buf, 30000);
    UNIT_INT(pn_channel_send_fd(fx.rig.control, PN_REC_DRAIN, pn_buf_str(&buf), NULL, 0), 0);
    expect_line(&other, "-ERR [SYS/TEMP] Shutting");
    say_word(s.id, PN_SESSION_ENDING);
    expect_line(&c, "-ERR [SYS/TEMP] Shutting");
    UNIT_STR(line_of(&c), PN_STR(""));
    hang_up(&c);
    hang_up(&other);
    pn_buf_fini(&buf);
    down();
}

static void test_plain(void)
{
    struct client c;
    struct pn_sasl_begin begin;
    struct pn_session s;
    struct pn_buf buf;
    up("}\nmailbox { plain-login loopback }\n");
    pn_buf_init(&buf, PN_RECORD_MAX);
    dial(&c, POP3);
    expect_line(&c, "+OK");
    say(&c, PN_STR("USER ann@here.test\r\n"));
    expect_line(&c, "+OK");
    say(&c, PN_STR("PASS pw\r\nSTAT\r\n"));
    uint64_t id = asked(&buf, &begin);
    UNIT_INT(begin.service, PN_SASL_POP3);
    UNIT_TRUE(!begin.tls);
    let_in(id, true, 0);
    pn_buf_clear(&buf);
    int fd = handed(&buf, &s);
    UNIT_TRUE(!s.relayed && s.tls.len == 0);
    UNIT_STR(s.ahead, PN_STR("STAT\r\n"));
    unit_row("the worker dies before its word");
    (void)close(fd);
    role_rig_peer(&fx.rig, MAILBOX, PN_ROLE_MAILBOX, 0);
    expect_line(&c, "-ERR [SYS/TEMP]");
    unit_row("what stood behind the login is edge's again");
    expect_line(&c, "-ERR");
    unit_row("a word that comes when the client was told otherwise");
    say_word(s.id, PN_SESSION_TAKEN);
    expect_whose(s.id, false);
    unit_row("taken: the descriptor is the client");
    pn_buf_clear(&buf);
    say(&c, PN_STR("USER ann@here.test\r\n"));
    expect_line(&c, "+OK");
    say(&c, PN_STR("PASS pw\r\n"));
    let_in(asked(&buf, &begin), true, 0);
    pn_buf_clear(&buf);
    fd = handed(&buf, &s);
    say_word(s.id, PN_SESSION_TAKEN);
    expect_whose(s.id, true);
    UNIT_INT(send(fd, "+OK in\r\n", 8, 0), 8);
    expect_line(&c, "+OK in");
    unit_row("the edge is killed: nothing happens to it");
    role_rig_kill(&fx.rig);
    say(&c, PN_STR("LIST\r\n"));
    hear_from(fd, "LIST\r\n");
    (void)close(fd);
    UNIT_STR(line_of(&c), PN_STR(""));
    hang_up(&c);
    pn_buf_fini(&buf);
    down();
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"relayed", test_relayed}, {"last words", test_last_words},
        {"left", test_left},       {"counted", test_counted},
        {"stalled", test_stalled}, {"stopped", test_stopped},
        {"plain", test_plain},     {NULL, NULL},
    };
    return unit_main("edge_access", tests, argc, argv);
}
