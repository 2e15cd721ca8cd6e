/* Playing a replay script on a server of its own. */
#include "rpl.h"

#include "clock.h"
#include "rpl_event.h"
#include "rpl_server.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    REPLY_MS = 30 * 1000,
    EVENT_MS = 10 * 1000,
    MAIL_MS = 5 * 1000,
    LOG_MAX = 3000,
    SAID_MAX = 256 * 1024
};
/* Begins where `time` says nothing else, so that a script means the same every day. */
enum { NOT_A_TIME = -1 };

struct player {
    const struct rpl *script;
    struct rpl_server server;
    int fd; /* the session's, or -1 */
    struct pn_buf in;
    bool held; /* the line at the front of in was compared, and is still wanted */
    size_t events, refusals;
    int64_t now_ms;
    struct pn_buf *err;
};

static bool wrong(struct player *p, const char *what, struct pn_str detail)
{
    (void)pn_buf_addf(p->err, "%s%.*s\n", what, PN_FMT(detail));
    return false;
}

/* ---- the session */

static void hang_up(struct player *p)
{
    if (p->fd >= 0)
        (void)close(p->fd);
    p->fd = -1;
    pn_buf_clear(&p->in);
}

static bool start_client(struct player *p, struct pn_str address)
{
    hang_up(p);
    p->fd = rpl_server_connect(&p->server, address);
    return p->fd >= 0 || wrong(p, "no connection: ", pn_str_of(strerror(errno)));
}

/* Reads more; 1 something came, 0 the end, -1 time out. */
static int fill(struct player *p)
{
    struct pollfd w = {.fd = p->fd, .events = POLLIN};
    char bytes[4096];
    if (!rpl_wait(&w, REPLY_MS))
        return -1;
    ssize_t n = recv(p->fd, bytes, sizeof bytes, 0);
    if (n > 0)
        (void)pn_buf_add(&p->in, bytes, (size_t)n);
    return n > 0 ? 1 : 0;
}

/* The next line without its end; borrowed. */
static bool reply_line(struct player *p, struct pn_str *line, size_t *whole)
{
    if (p->fd < 0)
        return wrong(p, "no session: ", PN_STR("a `client` line comes first"));
    for (;;) {
        size_t end = pn_str_find(pn_buf_str(&p->in), '\n', 0);
        if (end < p->in.len) {
            *line = pn_str_trim(pn_str_slice(pn_buf_str(&p->in), 0, end));
            /* Blanks that end a line count: "250 ". */
            size_t len = end > 0 && p->in.p[end - 1] == '\r' ? end - 1 : end;
            *line = (struct pn_str){p->in.p, len};
            *whole = end + 1;
            return true;
        }
        int got = fill(p);
        if (got <= 0)
            return wrong(p, got == 0 ? "the server closed the connection" : "no answer in time",
                         PN_STR(""));
    }
}

static bool expect(struct player *p, struct pn_str prefix, bool skip)
{
    struct pn_str line;
    size_t whole;
    for (;;) {
        if (!reply_line(p, &line, &whole))
            return false;
        if (pn_str_starts(line, prefix)) {
            pn_buf_consume(&p->in, whole);
            return true;
        }
        if (!skip) {
            (void)pn_buf_addf(p->err, "got  %.*s\n      want %.*s\n", PN_FMT(line), PN_FMT(prefix));
            return false;
        }
        pn_buf_consume(&p->in, whole);
    }
}

static bool send_bytes(struct player *p, struct pn_str text, bool line)
{
    struct pn_buf b;
    pn_buf_init(&b, RPL_BYTES_MAX);
    rpl_unescape(text, &b);
    if (line)
        (void)pn_buf_addz(&b, "\r\n");
    bool ok = p->fd >= 0;
    for (size_t at = 0; ok && at < b.len;) {
        ssize_t n = send(p->fd, b.p + at, b.len - at, MSG_NOSIGNAL);
        ok = n > 0;
        at += ok ? (size_t)n : 0;
    }
    pn_buf_fini(&b);
    return ok || wrong(p, "not sent: ", pn_str_of(strerror(errno)));
}

static bool closed(struct player *p)
{
    int got;
    do
        got = p->fd < 0 ? -1 : fill(p);
    while (got > 0);
    if (got < 0 || p->in.len != 0)
        return wrong(p, "not closed but ", pn_buf_str(&p->in));
    return true;
}

/* ---- what the server wrote */

static bool event(struct player *p, struct pn_str text, bool refused)
{
    size_t *seen = refused ? &p->refusals : &p->events;
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/log/events.jsonl", p->server.root);
    struct rpl_event_want want = {.kind = refused ? "refused" : "message", .skip = *seen};
    struct pn_patience patience;
    pn_patience_init(&patience, (uint64_t)rpl_patience_ms(EVENT_MS));
    while (!rpl_event_find(path, &want)) {
        if (pn_patience_over(&patience))
            return wrong(p, "no further event of kind ", pn_str_of(want.kind));
        rpl_nap();
    }
    ++*seen;
    bool ok =
        refused ? rpl_event_refused(&want, text, p->err) : rpl_event_holds(&want, text, p->err);
    rpl_event_free(&want);
    return ok;
}

struct mail {
    struct pn_str where; /* prefix of the path below the mail folder */
    size_t base;         /* of that folder's own path */
    size_t count;
    char newest[PATH_MAX];
};

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* Files in folders new and cur, however deep. */
static void walk_mail(struct mail *m, const char *folder, unsigned depth)
{
    DIR *d = depth > 12 ? NULL : opendir(folder);
    char path[PATH_MAX];
    bool holds = strcmp(last_part(folder), "new") == 0 || strcmp(last_part(folder), "cur") == 0;
    const struct dirent *e;
    while (d != NULL && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (e->d_type == DT_DIR) {
            walk_mail(m, path, depth + 1);
        } else if (holds && pn_str_starts(pn_str_of(path + m->base), m->where)) {
            m->count++;
            if (m->newest[0] == '\0' || strcmp(e->d_name, last_part(m->newest)) > 0)
                (void)snprintf(m->newest, sizeof m->newest, "%s", path);
        }
    }
    if (d != NULL)
        (void)closedir(d);
}

static bool file_has(const char *path, struct pn_str text)
{
    struct pn_buf all, want;
    char bytes[8192];
    FILE *f = fopen(path, "re");
    pn_buf_init(&all, RPL_BYTES_MAX);
    pn_buf_init(&want, RPL_BYTES_MAX);
    rpl_unescape(text, &want);
    for (size_t n; f != NULL && (n = fread(bytes, 1, sizeof bytes, f)) > 0;)
        (void)pn_buf_add(&all, bytes, n);
    if (f != NULL)
        (void)fclose(f);
    bool has = want.len == 0 || (all.len != 0 && memmem(all.p, all.len, want.p, want.len) != NULL);
    pn_buf_fini(&want);
    pn_buf_fini(&all);
    return has;
}

static bool mail_is(struct player *p, struct pn_str text, struct mail *m)
{
    char folder[PATH_MAX];
    struct pn_str rest = text, what = rpl_first(&rest);
    uint64_t count;
    *m = (struct mail){.where = PN_STR("")};
    if (pn_str_eq(what, PN_STR("at"))) {
        m->where = rpl_first(&rest);
        what = rpl_first(&rest);
    }
    (void)snprintf(folder, sizeof folder, "%s/mail", p->server.root);
    m->base = strlen(folder) + 1;
    walk_mail(m, folder, 0);
    if (pn_str_u64(what, UINT32_MAX, &count))
        return m->count == count;
    return m->newest[0] != '\0' && file_has(m->newest, rest) == pn_str_eq(what, PN_STR("has"));
}

static bool mail(struct player *p, struct pn_str text)
{
    struct mail m;
    struct pn_patience patience;
    pn_patience_init(&patience, (uint64_t)rpl_patience_ms(MAIL_MS));
    while (!mail_is(p, text, &m)) {
        if (pn_patience_over(&patience)) {
            (void)pn_buf_addf(p->err, "mail %.*s: there are %zu, the newest %s\n", PN_FMT(text),
                              m.count, m.newest);
            return false;
        }
        rpl_nap();
    }
    return true;
}

/* ---- the script */

static bool play_line(struct player *p, const struct rpl_line *l)
{
    switch (l->word) {
    case RPL_TIME:
        return rpl_time(l->rest, p->now_ms, &p->now_ms) &&
               rpl_server_clock(&p->server, p->now_ms, p->err);
    case RPL_CLIENT:
        return start_client(p, pn_str_trim(l->rest));
    case RPL_SEND:
    case RPL_SEND_RAW:
        return send_bytes(p, l->rest, l->word == RPL_SEND);
    case RPL_EXPECT:
    case RPL_EXPECT_PAST:
        return expect(p, l->rest, l->word == RPL_EXPECT_PAST);
    case RPL_DROP:
        hang_up(p);
        return true;
    case RPL_CLOSED:
        return closed(p);
    case RPL_EVENT:
    case RPL_REFUSED:
        return event(p, l->rest, l->word == RPL_REFUSED);
    case RPL_MAIL:
        return mail(p, l->rest);
    default: /* of the server, before it was started */
        return true;
    }
}

static bool write_files(struct player *p)
{
    for (size_t i = 0; i < p->script->count; i++) {
        struct pn_str rest = p->script->lines[i].rest;
        if (p->script->lines[i].word != RPL_FILE)
            continue;
        struct pn_str name = rpl_first(&rest);
        if (pn_str_find(name, '/', 0) < name.len)
            return wrong(p, "a file's name has no folder: ", name);
        if (!rpl_server_file(&p->server, name, rest, p->err))
            return false;
    }
    return true;
}

/* The clock is the script's from the start, or the real one throughout. */
static bool set_clock(struct player *p)
{
    for (size_t i = 0; i < p->script->count; i++)
        if (p->script->lines[i].word == RPL_TIME)
            return rpl_time(p->script->lines[i].rest, pn_clock_wall_ms(), &p->now_ms) &&
                   rpl_server_clock(&p->server, p->now_ms, p->err);
    return true;
}

static bool make_server(struct player *p, const struct rpl_options *o)
{
    struct pn_buf conf, dns;
    pn_buf_init(&conf, RPL_BYTES_MAX);
    pn_buf_init(&dns, RPL_BYTES_MAX);
    if (o->name != NULL) /* first: the file of a plugin's first block is what is loaded */
        (void)pn_buf_addf(&conf, "plugins { %s { file \"%s\" } }\n", o->name, o->file);
    rpl_collect(p->script, RPL_CONF, &conf);
    rpl_collect(p->script, RPL_DNS, &dns);
    bool ok = rpl_server_init(&p->server, pn_buf_str(&conf), pn_buf_str(&dns), p->err) &&
              write_files(p) && set_clock(p) && rpl_server_start(&p->server, p->err);
    pn_buf_fini(&conf);
    pn_buf_fini(&dns);
    return ok;
}

static bool play(struct player *p, const struct rpl_options *o, unsigned *number)
{
    if (!make_server(p, o))
        return false;
    bool first_time = true;
    for (size_t i = 0; i < p->script->count; i++) {
        const struct rpl_line *l = &p->script->lines[i];
        *number = l->number;
        if (l->word == RPL_TIME && first_time)
            first_time = false; /* the server began with it */
        else if (!play_line(p, l))
            return false;
    }
    hang_up(p);
    int status = rpl_server_stop(&p->server);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    (void)pn_buf_addf(p->err, "posternd ended with %d\n",
                      WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
    return false;
}

/* The line that failed, why plugins did, and the log, with places of the script's own. */
static void say_why(struct player *p, const struct rpl_options *o, unsigned number,
                    struct pn_buf *err)
{
    char path[PATH_MAX];
    struct rpl_made conf = {path, RPL_CONF, RPL_SERVER_OWN_LINES + (o->name != NULL)};
    struct rpl_made dns = {path, RPL_DNS, 0};
    struct pn_buf text, half;
    pn_buf_init(&text, SAID_MAX);
    pn_buf_init(&half, SAID_MAX);
    (void)pn_buf_addz(&text, p->script->path);
    if (number != 0)
        (void)pn_buf_addf(&text, ":%u", number);
    (void)pn_buf_addf(&text, ": %.*s", PN_FMT(pn_buf_str(p->err)));
    (void)snprintf(path, sizeof path, "%s/log/events.jsonl", p->server.root);
    rpl_event_plugins(path, &text);
    (void)pn_buf_addz(&text, "--- log\n");
    rpl_server_log(&p->server, &text, LOG_MAX);
    (void)snprintf(path, sizeof path, "%s/postern.conf", p->server.root);
    rpl_places(p->script, &conf, pn_buf_str(&text), &half);
    (void)snprintf(path, sizeof path, "%s/dns.zone", p->server.root);
    rpl_places(p->script, &dns, pn_buf_str(&half), err);
    pn_buf_fini(&half);
    pn_buf_fini(&text);
}

bool rpl_play(const struct rpl *script, const struct rpl_options *options, struct pn_buf *err)
{
    struct pn_buf why;
    struct player p = {.script = script, .fd = -1, .err = &why};
    unsigned number = 0;
    pn_buf_init(&why, 64 * 1024);
    pn_buf_init(&p.in, RPL_BYTES_MAX);
    bool ok = play(&p, options, &number);
    hang_up(&p);
    if (!ok) {
        (void)rpl_server_stop(&p.server);
        say_why(&p, options, number, err);
    }
    rpl_server_fini(&p.server);
    pn_buf_fini(&p.in);
    pn_buf_fini(&why);
    return ok;
}
