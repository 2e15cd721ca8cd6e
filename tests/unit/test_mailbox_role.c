/* The mailbox role as auth, edges and the supervisor see it, with an engine that says back what
 * it hears. The test is all of them, and the clients. */
#include "unit.h"

#include "kit_policy.h"
#include "mailbox.h"
#include "memfile.h"
#include "pass.h"
#include "role_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

enum { AUTH, EDGE, ADMIN, OTHER_EDGE };

#define ANN "ann@here.test"
#define BOB "bob@here.test"

struct house {
    struct kit kit;
    struct role_rig rig;
    struct pn_buf room;
    unsigned char next;
};

static void house_open(struct house *h, const char *conf)
{
    *h = (struct house){.next = 0};
    pn_buf_init(&h->room, PN_RECORD_MAX);
    kit_open(&h->kit, conf, "");
    UNIT_STR(kit_problems(&h->kit), PN_STR(""));
    role_rig_init(&h->rig, PN_ROLE_MAILBOX, PN_FOLDER_MAIL, pn_mailbox_main);
    h->rig.policy_fd = pn_memfile_of("policy", pn_buf_str(&h->kit.image));
    h->rig.peer_roles[AUTH] = PN_ROLE_AUTH;
    h->rig.peer_roles[EDGE] = PN_ROLE_EDGE;
    h->rig.peer_roles[ADMIN] = PN_ROLE_ADMIN;
    h->rig.peer_roles[OTHER_EDGE] = PN_ROLE_EDGE;
    h->rig.peer_numbers[OTHER_EDGE] = 1;
    h->rig.peer_count = 4;
    role_rig_start(&h->rig);
}

static void house_close(struct house *h)
{
    UNIT_INT(role_rig_drain(&h->rig), 0);
    (void)close(h->rig.policy_fd);
    role_rig_fini(&h->rig);
    kit_close(&h->kit);
    pn_buf_fini(&h->room);
}

/* Auth lets somebody in; false: the channel ended. */
static bool let_in(struct house *h, unsigned peer, const struct pn_pass *pass, bool *noted)
{
    struct pn_buf b;
    struct pn_record record;
    struct pn_pass_known known;
    pn_buf_init(&b, 1000);
    pn_pass_put(&b, pass);
    UNIT_INT(pn_channel_send_fd(h->rig.peers[peer], PN_REC_PASS, pn_buf_str(&b), NULL, 0), 0);
    pn_buf_fini(&b);
    if (pn_channel_recv_fd(h->rig.peers[peer], &record, &h->room, 30000) != 1)
        return false;
    UNIT_INT(record.type, PN_REC_PASS_KNOWN);
    UNIT_TRUE(pn_pass_known_get(record.body, &known));
    UNIT_INT(memcmp(known.token, pass->token, PN_PASS_TOKEN), 0);
    *noted = known.noted;
    return true;
}

static struct pn_pass pass_of(struct house *h, const char *user)
{
    return (struct pn_pass){
        .token = {++h->next, 7}, .service = PN_SASL_IMAP, .user = pn_str_of(user)};
}

static struct pn_session session_of(const struct pn_pass *pass)
{
    struct pn_session s = {.id = 1,
                           .service = pass->service,
                           .user = pass->user,
                           .session = PN_STR("0-1"),
                           .tag = PN_STR("a1"),
                           .relayed = true,
                           .tls = PN_STR("TLSv1.3"),
                           .cipher = PN_STR("C"),
                           .ahead = PN_STR("")};
    memcpy(s.token, pass->token, sizeof s.token);
    UNIT_TRUE(pn_ip_parse(PN_STR("192.0.2.1"), &s.ip));
    return s;
}

/* The next SESSION_TAKEN of an edge; PN_SESSION_WORDS: its channel ended. */
static unsigned word(struct house *h, unsigned edge)
{
    struct pn_record record;
    struct pn_session_taken taken;
    if (pn_channel_recv_fd(h->rig.peers[edge], &record, &h->room, 30000) != 1)
        return PN_SESSION_WORDS;
    UNIT_INT(record.type, PN_REC_SESSION_TAKEN);
    UNIT_TRUE(pn_session_taken_get(record.body, &taken));
    return taken.word;
}

/* The worker's word on a session with that descriptor. */
static unsigned bring_fd(struct house *h, unsigned edge, const struct pn_session *s, int fd)
{
    struct pn_buf b;
    pn_buf_init(&b, 2 * PN_SESSION_AHEAD_MAX);
    pn_session_put(&b, s);
    UNIT_INT(pn_channel_send_fd(h->rig.peers[edge], PN_REC_SESSION, pn_buf_str(&b), &fd, 1), 0);
    pn_buf_fini(&b);
    (void)close(fd);
    return word(h, edge);
}

/* Our end of the client, or -1; the worker's word. */
static int bring(struct house *h, unsigned edge, const struct pn_session *s, unsigned *said)
{
    int pair[2];
    UNIT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    *said = bring_fd(h, edge, s, pair[1]);
    if (*said == PN_SESSION_TAKEN)
        return pair[0];
    (void)close(pair[0]);
    return -1;
}

static void say(int fd, const char *text)
{
    UNIT_INT(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* Reads so many bytes, or to the end; how many came. */
static size_t hear(int fd, char *to, size_t want)
{
    size_t got = 0;
    while (got < want) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 30000) != 1)
            break;
        ssize_t n = read(fd, to + got, want - got);
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    return got;
}

static void hears(int fd, const char *text)
{
    char got[500];
    size_t n = hear(fd, got, strlen(text));
    UNIT_STR(((struct pn_str){got, n}), pn_str_of(text));
}

static void ends(int fd)
{
    char c;
    UNIT_INT(hear(fd, &c, 1), 0);
    (void)close(fd);
}

/* That edge's last word on whose a client is. */
static void say_whose(struct house *h, unsigned edge, uint64_t id, unsigned word)
{
    struct pn_buf b;
    const struct pn_session_taken taken = {id, (uint8_t)word};
    pn_buf_init(&b, 64);
    pn_session_taken_put(&b, &taken);
    UNIT_INT(pn_channel_send_fd(h->rig.peers[edge], PN_REC_SESSION_YOURS, pn_buf_str(&b), NULL, 0),
             0);
    pn_buf_fini(&b);
}

/* A client's own socket, taken, on which the worker may not speak yet. */
static int offer(struct house *h, unsigned edge, uint64_t id, const char *user)
{
    struct pn_pass pass = pass_of(h, user);
    struct pn_session s = session_of(&pass);
    unsigned said;
    bool noted = false;
    s.id = id;
    s.relayed = false;
    s.tls = s.cipher = PN_STR("");
    UNIT_TRUE(let_in(h, AUTH, &pass, &noted) && noted);
    int fd = bring(h, edge, &s, &said);
    UNIT_INT(said, PN_SESSION_TAKEN);
    return fd;
}

/* A session that has its greeting. */
static int enter(struct house *h, const char *user)
{
    struct pn_pass pass = pass_of(h, user);
    struct pn_session s = session_of(&pass);
    unsigned said;
    bool noted = false;
    UNIT_TRUE(let_in(h, AUTH, &pass, &noted) && noted);
    int fd = bring(h, EDGE, &s, &said);
    UNIT_INT(said, PN_SESSION_TAKEN);
    hears(fd, "a1 OK\r\n");
    return fd;
}

/* ---- who gets in ---- */

static void test_wall(void)
{
    static const struct {
        const char *label;
        unsigned char other_token;
        uint8_t service;
        const char *user;
    } rows[] = {
        {"a token that is none", 1, PN_SASL_IMAP, ANN},
        {"of another service", 0, PN_SASL_POP3, ANN},
        {"of another user", 0, PN_SASL_IMAP, BOB},
    };
    struct house h;
    unsigned said;
    bool noted = false;
    house_open(&h, "");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_pass pass = pass_of(&h, ANN);
        struct pn_session s = session_of(&pass);
        unit_row(rows[i].label);
        UNIT_TRUE(let_in(&h, AUTH, &pass, &noted) && noted);
        s.token[5] = rows[i].other_token;
        s.service = rows[i].service;
        s.user = pn_str_of(rows[i].user);
        (void)bring(&h, EDGE, &s, &said);
        UNIT_INT(said, PN_SESSION_NO_PASS);
        unit_row("and with the right one, if it was not used up");
        s = session_of(&pass);
        int fd = bring(&h, EDGE, &s, &said);
        UNIT_INT(said, rows[i].other_token ? PN_SESSION_TAKEN : PN_SESSION_NO_PASS);
        if (fd >= 0)
            (void)close(fd);
        unit_row("a second time");
        (void)bring(&h, EDGE, &s, &said);
        UNIT_INT(said, PN_SESSION_NO_PASS);
    }
    unit_row("an edge lets nobody in");
    struct pn_pass pass = pass_of(&h, ANN);
    UNIT_TRUE(!let_in(&h, OTHER_EDGE, &pass, &noted));
    unit_row("one that brings a file for a client is heard no more, and harms nobody");
    role_rig_peer(&h.rig, OTHER_EDGE, PN_ROLE_EDGE, 1);
    struct pn_pass hers = pass_of(&h, ANN);
    struct pn_session file = session_of(&hers);
    UNIT_TRUE(let_in(&h, AUTH, &hers, &noted) && noted);
    UNIT_INT(bring_fd(&h, OTHER_EDGE, &file, pn_memfile_of("file", PN_STR("x"))), PN_SESSION_WORDS);
    (void)close(enter(&h, BOB));
    unit_row("nor does auth bring sessions");
    struct pn_session s = session_of(&pass);
    (void)bring(&h, AUTH, &s, &said);
    UNIT_INT(said, PN_SESSION_WORDS);
    house_close(&h);
}

static void test_limits(void)
{
    struct house h;
    unsigned said;
    bool noted = false;
    house_open(&h, "mailbox { sessions 3  sessions-per-user 2 }");
    int first = enter(&h, ANN), second = enter(&h, ANN);
    struct pn_pass pass = pass_of(&h, ANN);
    struct pn_session s = session_of(&pass);
    unit_row("a third of hers");
    UNIT_TRUE(let_in(&h, AUTH, &pass, &noted) && noted);
    (void)bring(&h, EDGE, &s, &said);
    UNIT_INT(said, PN_SESSION_TOO_MANY);
    int other = enter(&h, BOB);
    unit_row("a fourth of all");
    pass = pass_of(&h, "eve@here.test");
    s = session_of(&pass);
    UNIT_TRUE(let_in(&h, AUTH, &pass, &noted) && noted);
    (void)bring(&h, EDGE, &s, &said);
    UNIT_INT(said, PN_SESSION_TOO_MANY);
    unit_row("one went");
    say(first, "quit\r\n");
    hears(first, "bye\r\n");
    ends(first);
    /* It is told when its engine is freed; until then it counts. */
    for (int tries = 0; tries < 1000; tries++) {
        pass = pass_of(&h, ANN);
        s = session_of(&pass);
        UNIT_TRUE(let_in(&h, AUTH, &pass, &noted) && noted);
        first = bring(&h, EDGE, &s, &said);
        if (said == PN_SESSION_TAKEN)
            break;
    }
    UNIT_INT(said, PN_SESSION_TAKEN);
    hears(first, "a1 OK\r\n");
    unit_row("a mailbox that can't be opened");
    (void)close(second);
    do {
        pass = pass_of(&h, "broken@here.test");
        s = session_of(&pass);
        UNIT_TRUE(let_in(&h, AUTH, &pass, &noted) && noted);
        second = bring(&h, EDGE, &s, &said);
    } while (said == PN_SESSION_TOO_MANY);
    hears(second, "a1 NO [UNAVAILABLE] Mailbox can't be opened now\r\n* BYE\r\n");
    ends(second);
    (void)close(first);
    (void)close(other);
    house_close(&h);
}

static bool silent(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLRDHUP};
    return poll(&p, 1, 0) == 0;
}

/* Of a client's own socket either side has a descriptor for a while: one alone may speak. */
static void test_owner(void)
{
    struct house h;
    house_open(&h, "");
    int fd = offer(&h, EDGE, 7, ANN);
    unit_row("not a word before edge lets go");
    (void)close(enter(&h, BOB)); /* whose mailbox was opened behind hers */
    UNIT_TRUE(silent(fd));
    unit_row("of another session, or from another edge");
    say_whose(&h, EDGE, 8, PN_SESSION_TAKEN);
    say_whose(&h, OTHER_EDGE, 7, PN_SESSION_TAKEN);
    (void)close(enter(&h, BOB));
    UNIT_TRUE(silent(fd));
    unit_row("then it has the client, and the word of the edge changes nothing any more");
    say_whose(&h, EDGE, 7, PN_SESSION_TAKEN);
    hears(fd, "a1 OK\r\n");
    say_whose(&h, EDGE, 7, PN_SESSION_LOST);
    say(fd, "echo here\r\n");
    hears(fd, "here\r\n");
    (void)close(fd);
    unit_row("edge keeps it: not a word ever");
    fd = offer(&h, EDGE, 9, ANN);
    say_whose(&h, EDGE, 9, PN_SESSION_LOST);
    ends(fd);
    unit_row("edge dies");
    fd = offer(&h, OTHER_EDGE, 10, ANN);
    (void)close(h.rig.peers[OTHER_EDGE]);
    ends(fd);
    h.rig.peers[OTHER_EDGE] = dup(h.rig.peers[AUTH]); /* that all can be closed */
    unit_row("the worker ends meanwhile: who has the client says so");
    fd = offer(&h, EDGE, 11, ANN);
    int kept = offer(&h, EDGE, 12, BOB);
    pn_buf_clear(&h.room);
    pn_u32_put(&h.room, 30000);
    UNIT_INT(pn_channel_send_fd(h.rig.control, PN_REC_DRAIN, pn_buf_str(&h.room), NULL, 0), 0);
    say_whose(&h, EDGE, 11, PN_SESSION_TAKEN);
    say_whose(&h, EDGE, 12, PN_SESSION_NO_PASS);
    hears(fd, "a1 OK\r\n* BYE 1\r\n");
    ends(fd);
    ends(kept);
    house_close(&h);
}

/* One whom that worker of two has. */
static const char *user_of(uint32_t worker)
{
    static char text[32];
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(text, sizeof text, "u%u@here.test", i);
        if (pn_mailbox_of(pn_str_of(text), 2) == worker)
            break;
    }
    return text;
}

/* The count of workers changed: who had a user is done before another has him. */
static void test_sole(void)
{
    struct house h;
    bool noted = true;
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 1};
    house_open(&h, "mailboxes 2");
    int old = openat(h.rig.folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    UNIT_INT(fcntl(old, F_OFD_SETLK, &lock), 0);
    unit_row("one of five is there yet");
    struct pn_pass pass = pass_of(&h, user_of(0));
    UNIT_TRUE(let_in(&h, AUTH, &pass, &noted));
    UNIT_TRUE(!noted);
    unit_row("as one of two, as we are, is");
    lock.l_type = F_UNLCK;
    UNIT_INT(fcntl(old, F_OFD_SETLK, &lock), 0);
    lock.l_type = F_RDLCK;
    lock.l_start = 2;
    UNIT_INT(fcntl(old, F_OFD_SETLK, &lock), 0);
    (void)close(enter(&h, user_of(0)));
    unit_row("a user of the other");
    pass = pass_of(&h, user_of(1));
    UNIT_TRUE(let_in(&h, AUTH, &pass, &noted));
    UNIT_TRUE(!noted);
    unit_row("we have a lock of our own");
    lock.l_type = F_WRLCK;
    lock.l_pid = 0;
    (void)fcntl(old, F_OFD_GETLK, &lock);
    UNIT_INT(lock.l_type, F_RDLCK);
    (void)close(old);
    house_close(&h);
}

/* ---- a session ---- */

static void test_session(void)
{
    enum { MUCH = 40 };
    struct house h;
    struct pn_pass pass;
    unsigned said;
    bool noted = false;
    house_open(&h, "");
    int fd = enter(&h, ANN);
    unit_row("commands, whole and in pieces");
    say(fd, "echo one\r\necho t");
    hears(fd, "one\r\n");
    say(fd, "wo\r\n");
    hears(fd, "two\r\n");
    unit_row("news");
    say(fd, "news\r\n");
    hears(fd, "* news\r\n");
    unit_row("more than a client reads at once");
    say(fd, "much 40\r\necho end\r\n");
    char *much = malloc((size_t)MUCH * 100000);
    UNIT_TRUE(much != NULL);
    UNIT_INT(hear(fd, much, (size_t)MUCH * 100000), (size_t)MUCH * 100000);
    hears(fd, "end\r\n");
    free(much);
    unit_row("a half-closed client hears all it asked for");
    say(fd, "echo last\r\nmuch 2\r\n");
    UNIT_INT(shutdown(fd, SHUT_WR), 0);
    hears(fd, "last\r\n");
    char *rest = malloc(200000);
    UNIT_TRUE(rest != NULL);
    UNIT_INT(hear(fd, rest, 200000), 200000);
    free(rest);
    ends(fd);
    unit_row("what came with the login");
    pass = pass_of(&h, ANN);
    struct pn_session s = session_of(&pass);
    s.ahead = PN_STR("echo ahead\r\nquit\r\n");
    UNIT_TRUE(let_in(&h, AUTH, &pass, &noted) && noted);
    fd = bring(&h, EDGE, &s, &said);
    hears(fd, "a1 OK\r\nahead\r\nbye\r\n");
    ends(fd);
    unit_row("a line without an end");
    fd = enter(&h, ANN);
    char line[70000];
    memset(line, 'x', sizeof line);
    size_t sent = 0;
    while (sent < sizeof line) {
        ssize_t n = send(fd, line + sent, sizeof line - sent, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    hears(fd, "* BYE 2\r\n");
    (void)close(fd);
    house_close(&h);
}

/* Asks for PIECES echoes and reads none of them until no more is taken of it. */
static void test_unread(void)
{
    enum { LINE = 50000, PIECES = 600, QUIET_MS = 500 };
    struct house h;
    char *text = malloc(LINE + 7), *got = malloc(LINE + 7);
    size_t sent = 0, heard = 0;
    bool waits = false;
    house_open(&h, "");
    int fd = enter(&h, ANN);
    UNIT_TRUE(text != NULL && got != NULL);
    memset(text, 'z', LINE + 7);
    memcpy(text, "echo ", 5);
    memcpy(text + LINE + 5, "\r\n", 2);
    unit_row("who reads nothing is asked for no more, and hears all in the end");
    while (heard < (size_t)PIECES * (LINE + 2)) {
        struct pollfd p = {.fd = fd,
                           .events = (short)((waits ? POLLIN : 0) |
                                             (sent < (size_t)PIECES * (LINE + 7) ? POLLOUT : 0))};
        int ready = poll(&p, 1, waits ? 30000 : QUIET_MS);
        waits = waits || ready == 0;
        if ((p.revents & POLLOUT) != 0) {
            size_t at = sent % (LINE + 7);
            ssize_t n = send(fd, text + at, LINE + 7 - at, MSG_NOSIGNAL | MSG_DONTWAIT);
            sent += n > 0 ? (size_t)n : 0;
        }
        ssize_t n = (p.revents & (POLLIN | POLLHUP)) != 0 ? read(fd, got, LINE + 7) : 1;
        if (n <= 0 || (ready == 0 && p.events == POLLIN))
            break;
        heard += (p.revents & POLLIN) != 0 ? (size_t)n : 0;
    }
    UNIT_TRUE(waits);
    UNIT_INT((long)heard, (long)PIECES * (LINE + 2));
    (void)close(fd);
    free(text);
    free(got);
    house_close(&h);
}

static unsigned pieces_said(int fd)
{
    char said[6] = "";
    say(fd, "pieces\r\n");
    UNIT_INT(hear(fd, said, 5), 5);
    return (unsigned)strtoul(said, NULL, 10);
}

/* An engine says more while what it said is sent; but not to a client that takes nothing. */
static void test_ahead(void)
{
    enum { PIECES = 300, AHEAD = 8, LOOKS = 50, PIECE = 100000 };
    struct house h;
    char *got = malloc(PIECE);
    house_open(&h, "");
    int fd = enter(&h, ANN), bob = enter(&h, BOB);
    UNIT_TRUE(got != NULL);
    say(fd, "much 300\r\n");
    for (unsigned read = 0; read < PIECES && got != NULL; read++) {
        for (int i = 0; i < (read % 100 == 0 ? LOOKS : 1); i++)
            UNIT_TRUE(pieces_said(bob) <= read + AHEAD);
        UNIT_INT((long)hear(fd, got, PIECE), PIECE);
    }
    UNIT_INT(pieces_said(bob), PIECES);
    say(fd, "echo then\r\n");
    hears(fd, "then\r\n");
    (void)close(fd);
    (void)close(bob);
    free(got);
    house_close(&h);
}

/* ---- compressed ---- */

static void send_packed(int fd, z_stream *z, const char *text)
{
    unsigned char out[4096];
    z->next_in = (unsigned char *)(uintptr_t)text;
    z->avail_in = (unsigned)strlen(text);
    z->next_out = out;
    z->avail_out = sizeof out;
    UNIT_INT(deflate(z, Z_SYNC_FLUSH), Z_OK);
    UNIT_INT(write(fd, out, sizeof out - z->avail_out), (ssize_t)(sizeof out - z->avail_out));
}

/* Unpacks so many bytes; what came beyond them stays for the next call. */
static size_t hear_packed(int fd, z_stream *z, char *to, size_t want)
{
    static unsigned char in[1000];
    z->next_out = (unsigned char *)to;
    z->avail_out = (unsigned)want;
    while (z->avail_out != 0) {
        if (z->avail_in == 0) {
            struct pollfd p = {.fd = fd, .events = POLLIN};
            ssize_t n = poll(&p, 1, 30000) == 1 ? read(fd, in, sizeof in) : -1;
            if (n <= 0)
                break;
            z->next_in = in;
            z->avail_in = (unsigned)n;
        }
        int result = inflate(z, Z_SYNC_FLUSH);
        if (result != Z_OK && result != Z_BUF_ERROR)
            break;
    }
    return want - z->avail_out;
}

static void test_packed(void)
{
    struct house h;
    z_stream out = {.next_in = NULL}, in = {.next_in = NULL};
    char *got = malloc(1000000);
    house_open(&h, "");
    UNIT_TRUE(got != NULL && deflateInit2(&out, 6, Z_DEFLATED, -15, 8, 0) == Z_OK &&
              inflateInit2(&in, -15) == Z_OK);
    int fd = enter(&h, ANN);
    say(fd, "pack\r\n");
    hears(fd, "packed\r\n");
    unit_row("a command");
    send_packed(fd, &out, "echo hello\r\n");
    UNIT_INT(hear_packed(fd, &in, got, 7), 7);
    UNIT_INT(memcmp(got, "hello\r\n", 7), 0);
    unit_row("much");
    send_packed(fd, &out, "much 10\r\necho end\r\n");
    UNIT_INT(hear_packed(fd, &in, got, 1000000), 1000000);
    UNIT_INT(hear_packed(fd, &in, got, 5), 5);
    UNIT_INT(memcmp(got, "end\r\n", 5), 0);
    unit_row("a little that stands for much: a line too long ends it, not the role");
    memset(got, 'y', 999999);
    got[999999] = '\0';
    send_packed(fd, &out, got);
    UNIT_INT(hear_packed(fd, &in, got, 9), 9);
    UNIT_INT(memcmp(got, "* BYE 2\r\n", 9), 0);
    (void)close(fd);
    unit_row("what is not packed");
    fd = enter(&h, ANN);
    say(fd, "pack\r\n");
    hears(fd, "packed\r\n");
    say(fd, "\377\377\377\377echo no\r\n");
    ends(fd);
    unit_row("others are served");
    fd = enter(&h, BOB);
    say(fd, "echo yes\r\n");
    hears(fd, "yes\r\n");
    (void)close(fd);
    (void)deflateEnd(&out);
    (void)inflateEnd(&in);
    free(got);
    house_close(&h);
}

/* ---- one user's commands and the others ---- */

static void test_fair(void)
{
    enum { SESSIONS = 12 };
    struct house h;
    int fds[SESSIONS];
    char text[32];
    house_open(&h, "mailbox { threads 8 }");
    for (int i = 0; i < SESSIONS; i++)
        fds[i] = enter(&h, ANN);
    for (int i = 0; i < SESSIONS; i++)
        say(fds[i], "hold\r\n");
    unit_row("another is served while they hold all that is hers: a quarter of the threads");
    int bob = enter(&h, BOB);
    do {
        say(bob, "release\r\n");
        (void)hear(bob, text, 12);
    } while (memcmp(text, "released 2\r\n", 12) != 0 && memcmp(text, "released ", 9) == 0);
    UNIT_INT(memcmp(text, "released 2\r\n", 12), 0);
    unit_row("and all of hers come to an end");
    for (int i = 0; i < SESSIONS;) {
        struct pollfd p = {.fd = fds[i], .events = POLLIN};
        if (poll(&p, 1, 1) == 1) {
            hears(fds[i], "held\r\n");
            (void)close(fds[i++]);
            continue;
        }
        say(bob, "release\r\n");
        (void)hear(bob, text, 12);
        UNIT_TRUE(text[9] <= '2');
    }
    (void)close(bob);
    house_close(&h);
}

/* The same of many users, and of long commands that are sliced. */
static void test_fair_users(void)
{
    enum { USERS = 16 };
    struct house h;
    int fds[2 * USERS];
    char text[32];
    house_open(&h, "mailbox { threads 4 }");
    int bob = enter(&h, BOB);
    unit_row(
        "commands without an end, a slice after the other, of more users than there are threads");
    for (int i = 0; i < USERS; i++) {
        (void)snprintf(text, sizeof text, "u%d@here.test", i);
        fds[i] = enter(&h, text);
        say(fds[i], "spin\r\n");
    }
    say(bob, "echo now\r\n");
    hears(bob, "now\r\n");
    unit_row("and of hers");
    fds[USERS] = enter(&h, BOB);
    say(fds[USERS], "spin\r\n");
    say(bob, "echo now\r\n");
    hears(bob, "now\r\n");
    unit_row("they end");
    say(bob, "stop\r\n");
    hears(bob, "stopped\r\n");
    for (int i = 0; i <= USERS; i++) {
        hears(fds[i], "spun\r\n");
        (void)close(fds[i]);
    }
    unit_row("four users who hold a thread each, which are all that there are");
    for (int i = 0; i < 4; i++) {
        (void)snprintf(text, sizeof text, "u%d@here.test", i);
        fds[i] = enter(&h, text);
        say(fds[i], "hold\r\n");
    }
    do {
        say(bob, "held?\r\n");
        (void)hear(bob, text, 3);
    } while (text[0] != '4' && text[1] == '\r');
    say(bob, "release\r\n");
    hears(bob, "released 4\r\n");
    for (int i = 0; i < 4; i++) {
        hears(fds[i], "held\r\n");
        (void)close(fds[i]);
    }
    (void)close(bob);
    house_close(&h);
}

/* ---- ends ---- */

/* An event of that name; empty: none came. */
static struct pn_str event(struct house *h, struct pn_str name)
{
    struct pn_record record;
    while (role_rig_recv(&h->rig, ADMIN, &record, &h->room))
        if (record.type == PN_REC_EVENT && record.body.len > 50) {
            size_t from = 0; /* behind the time */
            for (int i = 0; i < 4; i++)
                from = pn_str_find(record.body, '"', from + 1);
            struct pn_str rest = pn_str_slice(record.body, from + 2, record.body.len);
            if (pn_str_starts(pn_str_slice(rest, 8, rest.len), name))
                return rest;
        }
    return PN_STR("");
}

static void test_ends(void)
{
    struct house h;
    unsigned said;
    bool noted = false;
    house_open(&h, "");
    unit_row("the edge stops: those it relays are told");
    int fd = enter(&h, ANN);
    struct pn_pass pass = pass_of(&h, BOB);
    struct pn_session s = session_of(&pass);
    s.relayed = false;
    s.tls = s.cipher = PN_STR("");
    UNIT_TRUE(let_in(&h, AUTH, &pass, &noted) && noted);
    int plain = bring(&h, EDGE, &s, &said);
    say_whose(&h, EDGE, s.id, PN_SESSION_TAKEN);
    hears(plain, "a1 OK\r\n");
    UNIT_INT(pn_channel_send_fd(h.rig.peers[EDGE], PN_REC_SESSIONS_END, PN_STR(""), NULL, 0), 0);
    hears(fd, "* BYE 1\r\n");
    ends(fd);
    unit_row("its event");
    struct pn_str line = event(&h, PN_STR("\"session\""));
    UNIT_TRUE(pn_str_starts(
        line, PN_STR("\"event\":\"session\",\"schema\":1,\"session\":\"0-1\",\"service\":\"imap\","
                     "\"user\":\"" ANN "\",\"ip\":\"192.0.2.1\",\"cipher\":\"C\",\"ms\":")));
    UNIT_TRUE(pn_str_ends(line, PN_STR("\"bytes_in\":0,\"bytes_out\":16,\"commands\":0,"
                                       "\"end\":\"shutdown\"}")));
    unit_row("but not those that have their client");
    say(plain, "junk\r\necho here\r\n");
    hears(plain, "here\r\n");
    line = event(&h, PN_STR("\"moved\""));
    UNIT_TRUE(pn_str_ends(line, PN_STR("\"from\":\"INBOX\",\"to\":\"Junk\",\"junk\":true,"
                                       "\"messages\":1,\"message_ids\":[\"<1@x>\"]}")));
    unit_row("the edge is killed: what it relayed is over, the rest goes on");
    fd = enter(&h, ANN);
    (void)close(h.rig.peers[EDGE]);
    role_rig_peer(&h.rig, OTHER_EDGE, PN_ROLE_EDGE, 0);
    ends(fd);
    say(plain, "echo still\r\n");
    hears(plain, "still\r\n");
    unit_row("drained: all are told, and nobody is let in");
    pass = pass_of(&h, ANN);
    s = session_of(&pass);
    UNIT_TRUE(let_in(&h, AUTH, &pass, &noted) && noted);
    int other = bring(&h, OTHER_EDGE, &s, &said);
    hears(other, "a1 OK\r\n");
    h.rig.peers[EDGE] = dup(h.rig.peers[AUTH]); /* that all can be closed */
    house_close(&h);
    char got[100];
    size_t n = hear(other, got, sizeof got);
    UNIT_STR(((struct pn_str){got, n}), PN_STR("* BYE 1\r\n"));
    (void)close(other);
    (void)close(plain);
}

/* What a worker asks of that session; its serial. */
static uint32_t asked(struct house *h, uint64_t id)
{
    struct pn_record record;
    struct pn_session_left left = {0, 0, 0};
    UNIT_INT(pn_channel_recv_fd(h->rig.peers[EDGE], &record, &h->room, 30000), 1);
    UNIT_INT(record.type, PN_REC_SESSION_ASK);
    UNIT_TRUE(pn_session_left_get(record.body, &left));
    UNIT_INT(left.id, id);
    return left.serial;
}

static void say_left(struct house *h, uint64_t id, uint32_t serial, uint64_t bytes)
{
    const struct pn_session_left left = {id, serial, bytes};
    struct pn_buf b;
    pn_buf_init(&b, 64);
    pn_session_left_put(&b, &left);
    UNIT_INT(pn_channel_send_fd(h->rig.peers[EDGE], PN_REC_SESSION_LEFT, pn_buf_str(&b), NULL, 0),
             0);
    pn_buf_fini(&b);
}

/* What has not arrived is not taken for said: POP3 deletes by that. */
static void test_heard(void)
{
    enum { PIECE = 100000 };
    struct house h;
    char *got = malloc(PIECE);
    UNIT_TRUE(got != NULL);
    house_open(&h, "");
    int bob = enter(&h, BOB);
    unit_row("a client that goes when it has half of it");
    int fd = offer(&h, EDGE, 7, ANN);
    say_whose(&h, EDGE, 7, PN_SESSION_TAKEN);
    hears(fd, "a1 OK\r\n");
    say(fd, "heard\r\n");
    UNIT_INT(hear(fd, got, PIECE / 2), PIECE / 2);
    say(bob, "arrivals\r\n");
    hears(bob, "0\r\n");
    (void)close(fd);
    UNIT_TRUE(pn_str_ends(event(&h, PN_STR("\"session\"")), PN_STR("\"end\":\"closed\"}")));
    say(bob, "arrivals\r\n");
    hears(bob, "0\r\n");
    unit_row("one that reads all, though it says no more");
    fd = offer(&h, EDGE, 8, ANN);
    say_whose(&h, EDGE, 8, PN_SESSION_TAKEN);
    hears(fd, "a1 OK\r\n");
    say(fd, "heard\r\n");
    UNIT_INT(shutdown(fd, SHUT_WR), 0);
    UNIT_INT(hear(fd, got, PIECE), PIECE);
    hears(fd, "arrived\r\n");
    ends(fd);
    say(bob, "arrivals\r\n");
    hears(bob, "1\r\n");
    unit_row("of one that is relayed edge knows");
    fd = enter(&h, ANN);
    say(fd, "heard\r\n");
    UNIT_INT(hear(fd, got, PIECE), PIECE);
    uint32_t serial = asked(&h, 1);
    say_left(&h, 1, serial - 1, 0);
    say_left(&h, 1, serial, 10);
    serial = asked(&h, 1);
    say(bob, "arrivals\r\n");
    hears(bob, "1\r\n");
    say_left(&h, 1, serial, 0);
    hears(fd, "arrived\r\n");
    unit_row("whose client is gone");
    say(fd, "heard\r\n");
    UNIT_INT(hear(fd, got, PIECE), PIECE);
    say_left(&h, 1, asked(&h, 1), UINT64_MAX);
    ends(fd);
    say(bob, "arrivals\r\n");
    hears(bob, "2\r\n");
    (void)close(bob);
    free(got);
    house_close(&h);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"wall", test_wall},
        {"limits", test_limits},
        {"session", test_session},
        {"unread", test_unread},
        {"ahead", test_ahead},
        {"packed", test_packed},
        {"fair", test_fair},
        {"ends", test_ends},
        {"owner", test_owner},
        {"heard", test_heard},
        {"sole", test_sole},
        {"fair users", test_fair_users},
        {NULL, NULL},
    };
    return unit_main("mailbox_role", tests, argc, argv);
}
