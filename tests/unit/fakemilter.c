#include "fakemilter.h"

#include "assert.h"
#include "buf.h"
#include "mem.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { DATA_MAX = 4 * 1024 * 1024, COMMANDS = 128 };

struct fakemilter {
    const char *script;
    bool bytewise;
    int listener, fd;
    pthread_t thread;
    bool joined;
    atomic_uint gone; /* connections that are over */
    char path[108];
    struct pn_buf heard;
    unsigned times[COMMANDS]; /* so often was this command heard */
    char *data;               /* of the packet at hand */
    size_t len;
};

/* ---- the script */

static const char *behind_word(const char *p)
{
    for (int depth = 0; *p != '\0' && (depth > 0 || *p != ' '); p++)
        depth += (*p == '(') - (*p == ')');
    return p;
}

/* The entry for the n-th time of a command, or NULL. */
static const char *entry(const struct fakemilter *m, char command, unsigned n)
{
    const char *found = NULL;
    for (const char *p = m->script; *p != '\0'; p = behind_word(p)) {
        p += *p == ' ';
        if (p[0] == command && (p[1] == '=' || p[1] == '(')) {
            found = p + 1 + (p[1] == '=');
            if (n-- == 0)
                break;
        }
    }
    return found;
}

/* ---- sending */

static void send_all(struct fakemilter *m, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t did = send(m->fd, p, m->bytewise ? 1 : n, MSG_NOSIGNAL);
        if (did <= 0)
            return;
        p += did;
        n -= (size_t)did;
    }
}

static void put_u32(struct pn_buf *b, uint32_t n)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        (void)pn_buf_addc(b, (char)(n >> shift & 0xff));
}

static void send_packet(struct fakemilter *m, struct pn_str bytes)
{
    struct pn_buf b;
    pn_buf_init(&b, DATA_MAX + 4);
    put_u32(&b, (uint32_t)bytes.len);
    (void)pn_buf_adds(&b, bytes);
    send_all(m, b.p, b.len);
    pn_buf_fini(&b);
}

/* The texts of "(a|b)"; the first is a number where number says so. */
static void put_texts(struct pn_buf *b, char kind, struct pn_str texts)
{
    bool number = kind == 'i' || kind == 'm', raw = kind == 'b';
    while (texts.p != NULL) {
        const char *bar = texts.len == 0 ? NULL : memchr(texts.p, '|', texts.len);
        struct pn_str one = {texts.p, bar == NULL ? texts.len : (size_t)(bar - texts.p)};
        if (number)
            put_u32(b, (uint32_t)strtoul(one.p, NULL, 10));
        else
            (void)pn_buf_adds(b, one);
        if (!number && !raw)
            (void)pn_buf_addc(b, '\0');
        number = false;
        texts = bar == NULL ? (struct pn_str){NULL, 0}
                            : (struct pn_str){bar + 1, texts.len - one.len - 1};
    }
}

static void send_options(struct fakemilter *m, const char *p)
{
    unsigned long version = 6, actions = 0x1ff, steps = 0;
    struct pn_buf b;
    char *end;
    pn_buf_init(&b, 4096);
    (void)pn_buf_addc(&b, 'O');
    if (p != NULL && *p == '(') {
        version = strtoul(p + 1, &end, 16);
        actions = strtoul(end + 1, &end, 16);
        steps = strtoul(end + 1, &end, 16);
        p = end;
    }
    put_u32(&b, (uint32_t)version);
    put_u32(&b, (uint32_t)actions);
    put_u32(&b, (uint32_t)steps);
    while (p != NULL && *p == '|') {
        put_u32(&b, (uint32_t)strtoul(p + 1, &end, 10));
        p = end + strcspn(end, "|)");
        (void)pn_buf_adds(&b, (struct pn_str){end + 1, (size_t)(p - end - 1)});
        (void)pn_buf_addc(&b, '\0');
    }
    send_packet(m, pn_buf_str(&b));
    pn_buf_fini(&b);
}

/* False: the connection is over. */
static bool say(struct fakemilter *m, char kind, struct pn_str texts)
{
    struct pn_buf b;
    char byte;
    if (kind == 'W')
        while (recv(m->fd, &byte, 1, 0) > 0)
            continue;
    if (kind == 'W' || kind == 'X')
        return false;
    pn_buf_init(&b, DATA_MAX);
    if (kind == 'Z') {
        put_u32(&b, (uint32_t)strtoul(texts.p, NULL, 16));
        send_all(m, b.p, b.len);
    } else if (kind == '!') {
        send_packet(m, texts);
    } else {
        (void)pn_buf_addc(&b, kind);
        put_texts(&b, kind, texts);
        send_packet(m, pn_buf_str(&b));
    }
    pn_buf_fini(&b);
    return true;
}

static bool answer(struct fakemilter *m, const char *p)
{
    bool on = true;
    while (on && *p != '\0' && *p != ' ') {
        char kind = *p++;
        struct pn_str texts = {NULL, 0};
        if (*p == '(') {
            size_t n = strcspn(p + 1, ")");
            texts = (struct pn_str){p + 1, n};
            p += n + 2;
        }
        if (kind != '.')
            on = say(m, kind, texts);
        p += *p == ',';
    }
    return on;
}

/* ---- hearing */

static bool read_exactly(int fd, void *p, size_t n)
{
    return n == 0 || recv(fd, p, n, MSG_WAITALL) == (ssize_t)n;
}

static bool read_packet(struct fakemilter *m, char *command)
{
    unsigned char head[4];
    if (!read_exactly(m->fd, head, sizeof head))
        return false;
    size_t n = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    pn_assert(n > 0 && n <= DATA_MAX);
    m->len = n - 1;
    return read_exactly(m->fd, command, 1) && read_exactly(m->fd, m->data, m->len);
}

/* NUL as '|', and as '=' behind a macro's name. */
static void note_texts(struct fakemilter *m, size_t at, bool macros)
{
    bool name = macros;
    size_t len = m->len > 0 && m->data[m->len - 1] == '\0' ? m->len - 1 : m->len;
    for (; at < len; at++) {
        char c = m->data[at];
        if (c == '\0') {
            c = macros && name ? '=' : '|';
            name = !name;
        }
        (void)pn_buf_addc(&m->heard, c);
    }
}

static void note(struct fakemilter *m, char command)
{
    if (m->heard.len > 0)
        (void)pn_buf_addc(&m->heard, ' ');
    (void)pn_buf_addc(&m->heard, command);
    if (command == 'C') {
        size_t name = strlen(m->data);
        const unsigned char *port = (const unsigned char *)m->data + name + 2;
        (void)pn_buf_addf(&m->heard, "(%s|%c|%u|%s)", m->data, m->data[name + 1],
                          (unsigned)port[0] << 8 | port[1], m->data + name + 4);
    } else if (command == 'B' && m->len > 200) {
        (void)pn_buf_addf(&m->heard, "(%zu bytes)", m->len);
    } else if (command == 'D') {
        (void)pn_buf_addf(&m->heard, "(%c|", m->data[0]);
        note_texts(m, 1, true);
        (void)pn_buf_addc(&m->heard, ')');
    } else if (m->len > 0 && command != 'O') {
        (void)pn_buf_addc(&m->heard, '(');
        note_texts(m, 0, false);
        (void)pn_buf_addc(&m->heard, ')');
    }
}

static bool is_answered(char command)
{
    return strchr("DAKQ", command) == NULL;
}

static void serve(struct fakemilter *m)
{
    char command;
    while (read_packet(m, &command)) {
        unsigned n = m->times[(unsigned char)command % COMMANDS]++;
        const char *p = entry(m, command, n);
        note(m, command);
        if (command == 'Q')
            return;
        if (command == 'O' && (p == NULL || *p == '('))
            send_options(m, p);
        else if (is_answered(command) && !answer(m, p == NULL ? "c" : p))
            return;
    }
}

static void *run(void *arg)
{
    struct fakemilter *m = arg;
    bool first = true;
    while ((m->fd = accept(m->listener, NULL, NULL)) >= 0) {
        if (!first)
            (void)pn_buf_addz(&m->heard, " /");
        first = false;
        serve(m);
        (void)close(m->fd);
        (void)atomic_fetch_add(&m->gone, 1);
    }
    return NULL;
}

/* ---- life */

struct fakemilter *fakemilter_new(const char *path, const char *script, bool bytewise)
{
    struct fakemilter *m = pn_calloc(1, sizeof *m);
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    m->script = script;
    m->bytewise = bytewise;
    m->data = pn_alloc(DATA_MAX);
    pn_buf_init(&m->heard, DATA_MAX);
    pn_assert(strlen(path) < sizeof un.sun_path);
    memcpy(un.sun_path, path, strlen(path) + 1);
    memcpy(m->path, path, strlen(path) + 1);
    (void)unlink(path);
    m->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pn_assert(m->listener >= 0 && bind(m->listener, (struct sockaddr *)&un, sizeof un) == 0 &&
              listen(m->listener, 20) == 0);
    pn_assert(pthread_create(&m->thread, NULL, run, m) == 0);
    return m;
}

void fakemilter_wait_gone(struct fakemilter *m, unsigned connections)
{
    while (atomic_load(&m->gone) < connections)
        (void)sched_yield();
}

struct pn_str fakemilter_heard(struct fakemilter *m)
{
    if (!m->joined) {
        (void)shutdown(m->listener, SHUT_RDWR);
        pn_assert(pthread_join(m->thread, NULL) == 0);
        (void)close(m->listener);
        (void)unlink(m->path);
        m->joined = true;
    }
    return pn_buf_str(&m->heard);
}

void fakemilter_free(struct fakemilter **mp)
{
    struct fakemilter *m = *mp;
    *mp = NULL;
    (void)fakemilter_heard(m);
    pn_buf_fini(&m->heard);
    free(m->data);
    free(m);
}
