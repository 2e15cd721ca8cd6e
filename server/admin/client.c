/* Connections to the control socket and to the HTTP pages. */
#include "admin_int.h"
#include "json.h"
#include "log.h"
#include "mem.h"
#include "memfile.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    CLIENTS_MAX = 64, /* of each kind */
    IDLE_MS = 10 * 1000,
    ANSWER_MS = 60 * 1000,
    OUT_MAX = 160 * 1024 * 1024 /* a message that the operator asked to see */
};

struct client {
    struct client *next;
    struct admin *admin;
    struct pn_stream *stream;
    bool control;
    uint64_t token;          /* of the command that it waits for; 0: none */
    struct asked_role asked; /* it waits for this one */
};

static void client_free(struct client *c)
{
    for (struct client **at = &c->admin->clients; *at != NULL; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    pn_stream_close(&c->stream);
    free(c);
}

void client_free_all(struct admin *admin)
{
    while (admin->clients != NULL)
        client_free(admin->clients);
}

static void say_error(struct client *c, const char *text)
{
    struct pn_buf b;
    pn_buf_init(&b, 1000);
    struct pn_json j = pn_json_to(&b);
    pn_json_object(&j, NULL);
    pn_json_bool(&j, "ok", false);
    pn_json_str(&j, "error", pn_str_of(text));
    pn_json_object_end(&j);
    (void)pn_buf_addc(&b, '\n');
    (void)pn_stream_write(c->stream, pn_buf_str(&b));
    pn_buf_fini(&b);
}

/* True: the client waits for a role now. */
static bool start_command(struct client *c, struct pn_str line)
{
    struct pn_command command;
    struct pn_pool *pool = pn_pool_new(4 * REQUEST_MAX);
    struct pn_buf err;
    pn_buf_init(&err, 200);
    bool ok = request_parse(line, pool, &command, &err);
    if (ok) {
        struct pn_str role = command.words[0];
        bool supervisor = command.count == 1;
        command.token = c->token = ++c->admin->next_token;
        if (supervisor) { /* "reload", "stop", "status" stand alone */
            role = PN_STR("supervisor");
        } else {
            command.count--;
            memmove(command.words, command.words + 1, command.count * sizeof command.words[0]);
        }
        ok = ask_role(c->admin, role, &command, &c->asked);
        if (!ok)
            (void)pn_buf_addf(&err, "no role takes commands for \"%.*s\" now", PN_FMT(role));
    }
    if (!ok)
        say_error(c, pn_buf_cstr(&err));
    pn_pool_free(&pool);
    pn_buf_fini(&err);
    return ok;
}

static size_t read_command(struct client *c, struct pn_str bytes)
{
    size_t end = pn_str_find(bytes, '\n', 0);
    if (c->token != 0 || end == SIZE_MAX)
        return 0;
    pn_stream_pause(c->stream);
    pn_stream_timeout(c->stream, ANSWER_MS);
    if (!start_command(c, pn_str_slice(bytes, 0, end)))
        client_free(c);
    return end + 1;
}

static size_t read_http(struct client *c, struct pn_str bytes)
{
    struct pn_buf out;
    pn_buf_init(&out, OUT_MAX);
    bool whole = http_answer(c->admin, bytes, &out);
    if (whole) {
        (void)pn_stream_write(c->stream, pn_buf_str(&out));
        client_free(c);
    }
    pn_buf_fini(&out);
    return whole ? bytes.len : 0;
}

static size_t on_read(void *ctx, struct pn_str bytes)
{
    struct client *c = ctx;
    return c->control ? read_command(c, bytes) : read_http(c, bytes);
}

static void on_close(void *ctx, enum pn_close how, const char *why)
{
    (void)how;
    (void)why;
    client_free(ctx);
}

/* Who says nothing must not keep others out: the oldest that has asked nothing yet goes.
 * The page's port is any local user's, so its clients never count against the socket's. */
static bool make_room(struct admin *admin, bool control)
{
    struct client *oldest = NULL;
    size_t count = 0;
    for (struct client *c = admin->clients; c != NULL; c = c->next) {
        if (c->control != control)
            continue;
        count++;
        oldest = c->token == 0 ? c : oldest;
    }
    if (count < CLIENTS_MAX)
        return true;
    if (oldest == NULL)
        return false;
    client_free(oldest);
    return true;
}

void client_accept(struct admin *admin, int fd, bool control)
{
    static const struct pn_stream_ops ops = {.on_read = on_read, .on_close = on_close};
    if (!make_room(admin, control)) {
        (void)close(fd);
        return;
    }
    struct client *c = pn_calloc(1, sizeof *c);
    *c = (struct client){.next = admin->clients, .admin = admin, .control = control};
    c->stream =
        pn_stream_new(admin->loop, fd, &ops, c, (struct pn_stream_limits){REQUEST_MAX, OUT_MAX});
    pn_stream_timeout(c->stream, IDLE_MS);
    admin->clients = c;
}

/* ---- replies */

/* What the operator asked to see, behind the reply that announces it. */
static void write_content(struct client *c, int fd)
{
    struct pn_str content;
    if (fd < 0)
        return;
    if (pn_map_fd(fd, true, &content) != 0) {
        pn_warn("the content of a reply can't be read");
        return;
    }
    (void)pn_stream_write(c->stream, content);
    pn_unmap(&content);
}

static bool same(struct asked_role a, struct asked_role b)
{
    return a.role == b.role && a.number == b.number;
}

void client_reply(struct admin *admin, struct asked_role from, const struct pn_command_reply *reply,
                  int fd)
{
    struct client *c = admin->clients;
    while (c != NULL && (c->token != reply->token || !same(c->asked, from)))
        c = c->next;
    if (c == NULL) /* it went away */
        return;
    if (reply->line.len != 0) {
        (void)pn_stream_write(c->stream, reply->line);
        (void)pn_stream_write(c->stream, PN_STR("\n"));
    }
    write_content(c, fd);
    if (reply->last)
        client_free(c);
}

void client_lost(struct admin *admin, struct asked_role who)
{
    for (struct client *c = admin->clients, *next; c != NULL; c = next) {
        next = c->next;
        if (c->token == 0 || !same(c->asked, who))
            continue;
        say_error(c, "the role died before it answered");
        client_free(c);
    }
}
