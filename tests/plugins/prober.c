/*
 * A plugin that tries, wherever it is called, what only needs open: files and sockets. What
 * it reached it states as PROBE_REACHED with "WHAT at WHERE", and PROBE_TRIED once a place.
 *
 *   secret   a file of nobody's settings      setting   the file of its row
 *   socket   a socket of the internet         connect   a connection to a port on loopback
 *
 * PROBER_NEEDS is what it asks for when it is compiled.
 */
#include <postern/plugin.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef PROBER_NEEDS
#define PROBER_NEEDS 0
#endif

static const struct postern_row rows[] = {
    {.name = "setting", .type = POSTERN_T_FILE, .help = "A file of its own."},
    {.name = "secret", .type = POSTERN_T_STRING, .help = "One that is not."},
    {.name = "port", .type = POSTERN_T_INT, .def = "9", .help = "Where somebody listens."},
    {.name = NULL},
};

enum { REACHED, TRIED };
static const struct postern_symbol symbols[] = {
    [REACHED] = {"PROBE_REACHED", 0, "what it reached", NULL},
    [TRIED] = {"PROBE_TRIED", 0, "where it tried", NULL},
    {NULL, 0, NULL, NULL}};

enum { SETTING = 1, SECRET = 2, SOCKET = 4, CONNECT = 8 };
static const char *const names[] = {"setting", "secret", "socket", "connect"};

struct instance {
    unsigned prepare, instance;
    char setting[256], secret[256];
    int64_t port;
};

static void path_of(const struct postern_setup *s, const char *row, char out[256])
{
    struct postern_str path;
    out[0] = '\0';
    if (s->host->set_str(s->settings, row, 0, &path) == POSTERN_OK)
        (void)snprintf(out, 256, "%.*s", (int)path.len, path.p);
}

static void settings_of(const struct postern_setup *s, struct instance *i)
{
    path_of(s, "setting", i->setting);
    path_of(s, "secret", i->secret);
    (void)s->host->set_int(s->settings, "port", 0, &i->port);
}

static unsigned opens(const char *path, unsigned bit)
{
    int fd = path[0] == '\0' ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        (void)close(fd);
    return fd >= 0 ? bit : 0;
}

static unsigned try_all(const struct instance *i)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)i->port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    unsigned got = opens(i->setting, SETTING) | opens(i->secret, SECRET);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        got |= SOCKET;
        if (connect(fd, (const struct sockaddr *)&a, sizeof a) == 0)
            got |= CONNECT;
        (void)close(fd);
    }
    return got;
}

static int prepare(struct postern_setup *s, void **prepared)
{
    static unsigned got;
    struct instance i = {0};
    settings_of(s, &i);
    got = try_all(&i);
    *prepared = &got;
    return POSTERN_OK;
}

static int instance_new(struct postern_setup *s, void **instance)
{
    struct instance *i = calloc(1, sizeof *i);
    if (i == NULL)
        return POSTERN_ERROR;
    settings_of(s, i);
    i->prepare = *(const unsigned *)s->prepared;
    i->instance = try_all(i);
    *instance = i;
    return POSTERN_OK;
}

static int say(struct postern_call *c, const char *where, unsigned got)
{
    char text[64];
    int rc = c->host->fact(c, TRIED, (struct postern_str){where, strlen(where)});
    for (unsigned k = 0; rc == POSTERN_OK && k < sizeof names / sizeof names[0]; k++) {
        int n = snprintf(text, sizeof text, "%s at %s", names[k], where);
        if ((got >> k & 1) != 0)
            rc = c->host->fact(c, REACHED, (struct postern_str){text, (size_t)n});
    }
    return rc;
}

static int on_stage(struct postern_call *c)
{
    static const char *const stages[] = {"connect", "helo",    "mail", "rcpt",
                                         "headers", "message", "after"};
    const struct instance *i = c->instance;
    int rc = say(c, stages[c->stage], try_all(i));
    if (rc == POSTERN_OK && c->stage == POSTERN_MESSAGE)
        rc = say(c, "prepare", i->prepare);
    if (rc == POSTERN_OK && c->stage == POSTERN_MESSAGE)
        rc = say(c, "instance_new", i->instance);
    return rc;
}

POSTERN_EXPORT const struct postern_plugin postern_plugin = {
    .size = sizeof(struct postern_plugin),
    .major = POSTERN_ABI_MAJOR,
    .minor = POSTERN_ABI_MINOR,
    .name = "prober",
    .version = "1.0",
    .summary = "tries what it may not",
    .rows = rows,
    .symbols = symbols,
    .needs = PROBER_NEEDS,
    .prepare = prepare,
    .instance_new = instance_new,
    .instance_free = free,
    .on = {[POSTERN_CONNECT] = on_stage,
           [POSTERN_HELO] = on_stage,
           [POSTERN_MAIL] = on_stage,
           [POSTERN_RCPT] = on_stage,
           [POSTERN_HEADERS] = on_stage,
           [POSTERN_MESSAGE] = on_stage},
};
