#include "milter_settings.h"

#include <stdio.h>
#include <string.h>

#define MINUTE INT64_C(60000)

static const struct postern_row server_rows[] = {
    {.name = "address",
     .type = POSTERN_T_STRING,
     .flags = POSTERN_ROW_REQUIRED,
     .help = "Where it listens: inet:PORT@ADDRESS, inet:ADDRESS:PORT or unix:PATH."},
    {.name = "on_failure",
     .type = POSTERN_T_CHOICE,
     .def = "defer",
     .choices = "defer|skip|quarantine|reject",
     .help = "What stands for its answer where it is away, too slow, or not understood."},
    {.name = "edits",
     .type = POSTERN_T_CHOICE,
     .flags = POSTERN_ROW_LIST,
     .choices = "none|headers|body|recipients|sender",
     .help = "What it may change; by default what the plugin's own row `edits` says."},
    {.name = "connect-timeout",
     .type = POSTERN_T_DURATION,
     .def = "3s",
     .min = 10,
     .max = 10 * MINUTE,
     .help = "For a connection."},
    {.name = "send-timeout",
     .type = POSTERN_T_DURATION,
     .def = "5s",
     .min = 10,
     .max = 10 * MINUTE,
     .help = "For it to take what is sent."},
    {.name = "reply-timeout",
     .type = POSTERN_T_DURATION,
     .def = "5s",
     .min = 10,
     .max = 10 * MINUTE,
     .help = "For an answer; one that says that it works on it begins the time anew."},
    {.name = "end-timeout",
     .type = POSTERN_T_DURATION,
     .def = "15s",
     .min = 10,
     .max = 10 * MINUTE,
     .help = "The same for the answer to the end of the message."},
    {.name = "failures",
     .type = POSTERN_T_INT,
     .def = "5",
     .min = 0,
     .max = 1000000,
     .help = "After so many failures in a row it is left alone for a while; 0: never."},
    {.name = "pause",
     .type = POSTERN_T_DURATION,
     .def = "30s",
     .min = 10,
     .max = 60 * MINUTE,
     .help = "How long it is left alone then; after that one session tries it."},
    {.name = "keep",
     .type = POSTERN_T_INT,
     .def = "0",
     .min = 0,
     .max = 64,
     .help = "Connections a worker keeps for later sessions, for milters that know QUIT_NC."},
    {.name = "skip",
     .type = POSTERN_T_NETWORK,
     .flags = POSTERN_ROW_LIST,
     .help = "Clients whose mail it is not shown."},
    {.name = NULL}};

const struct postern_row milter_rows[] = {
    {.name = "server",
     .type = POSTERN_T_BLOCK,
     .flags = POSTERN_ROW_REPEAT | POSTERN_ROW_TITLED,
     .rows = server_rows,
     .title_type = POSTERN_T_STRING,
     .help = "A milter, by a name for facts and logs; they are asked in this order."},
    {.name = "client-names",
     .type = POSTERN_T_BOOL,
     .def = "yes",
     .help = "Look up the client's name (PTR, confirmed by its addresses) for them."},
    {.name = NULL}};

static bool refuse(struct postern_setup *s, const struct postern_block *b, const char *row,
                   const char *why)
{
    struct postern_str where = s->host->set_where(b, row, 0), name = s->host->set_title(b);
    char line[600];

    (void)snprintf(line, sizeof(line), "%.*s: server \"%.*s\": %s", (int)where.len, where.p,
                   (int)name.len, name.p, why);
    s->host->setup_error(s, (struct postern_str){line, strlen(line)});
    return false;
}

/* Names stand before a colon in details, and are looked for there by policy. */
static bool name_ok(struct postern_str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.p[i] <= ' ' || name.p[i] >= 0x7f || name.p[i] == ':')
            return false;
    return name.len != 0 && name.len <= MILTER_NAME_MAX;
}

static bool is_word(struct postern_str s, const char *word)
{
    return s.len == strlen(word) && memcmp(s.p, word, s.len) == 0;
}

static uint32_t actions_of(struct postern_str word)
{
    static const struct {
        const char *word;
        uint32_t actions;
    } kinds[] = {
        {"headers", MILTER_MAY_ADD_HEADERS | MILTER_MAY_CHANGE_HEADERS},
        {"body", MILTER_MAY_CHANGE_BODY},
        {"recipients", MILTER_MAY_ADD_RCPT | MILTER_MAY_REMOVE_RCPT | MILTER_MAY_ADD_RCPT_ARGS},
        {"sender", MILTER_MAY_CHANGE_FROM}};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (is_word(word, kinds[i].word))
            return kinds[i].actions;
    return 0;
}

/* `none` stands alone, as in the plugin's own row. */
static bool edits_ok(struct postern_setup *s, const struct postern_block *b)
{
    struct postern_str word;
    size_t n = 0;
    bool none = false;

    for (; s->host->set_str(b, "edits", n, &word) == POSTERN_OK; n++)
        none = none || is_word(word, "none");
    return !none || n == 1;
}

/* The server's own row; else the plugin's, which the core grants by; else headers. */
static uint32_t read_actions(struct postern_setup *s, const struct postern_block *b)
{
    const struct postern_block *from = s->host->set_count(b, "edits") != 0 ? b : s->settings;
    struct postern_str word;
    uint32_t actions = MILTER_MAY_QUARANTINE;
    size_t n = 0;

    while (s->host->set_str(from, "edits", n, &word) == POSTERN_OK) {
        actions |= actions_of(word);
        n++;
    }
    return n != 0 ? actions : actions | actions_of(POSTERN_STR("headers"));
}

static int64_t number(struct postern_setup *s, const struct postern_block *b, const char *row)
{
    int64_t n = 0;

    (void)s->host->set_int(b, row, 0, &n);
    return n;
}

static enum milter_on_failure read_on_failure(struct postern_setup *s,
                                              const struct postern_block *b)
{
    struct postern_str word = POSTERN_STR("");

    (void)s->host->set_str(b, "on_failure", 0, &word);
    return is_word(word, "skip")         ? MILTER_FAIL_SKIP
           : is_word(word, "quarantine") ? MILTER_FAIL_QUARANTINE
           : is_word(word, "reject")     ? MILTER_FAIL_REJECT
                                         : MILTER_FAIL_DEFER;
}

static bool is_taken(const struct milter_settings *settings, struct postern_str name)
{
    for (size_t i = 0; i < settings->count; i++)
        if (settings->servers[i].name.len == name.len &&
            memcmp(settings->servers[i].name.p, name.p, name.len) == 0)
            return true;
    return false;
}

static bool read_server(struct postern_setup *s, const struct postern_block *b,
                        struct milter_settings *settings)
{
    struct milter_server *server = &settings->servers[settings->count];
    struct postern_str address;
    const char *error;

    server->name = s->host->set_title(b);
    server->block = b;
    if (!name_ok(server->name))
        return refuse(s, b, "address",
                      "a name is 1 to 40 bytes of printable ASCII without blanks and colons");
    if (is_taken(settings, server->name))
        return refuse(s, b, "address", "another one has this name");
    if (s->host->set_str(b, "address", 0, &address) != POSTERN_OK)
        return refuse(s, b, "address", "it has no address");
    error = milter_address_read(&server->address, address);
    if (error != NULL)
        return refuse(s, b, "address", error);
    if (!edits_ok(s, b))
        return refuse(s, b, "edits", "'none' beside other edits");
    server->actions = read_actions(s, b);
    server->on_failure = read_on_failure(s, b);
    server->connect_ms = number(s, b, "connect-timeout");
    server->send_ms = number(s, b, "send-timeout");
    server->reply_ms = number(s, b, "reply-timeout");
    server->end_ms = number(s, b, "end-timeout");
    server->failures_max = (unsigned)number(s, b, "failures");
    server->pause_ms = number(s, b, "pause");
    server->idle_max = (unsigned)number(s, b, "keep");
    return true;
}

bool milter_settings_read(struct postern_setup *s, struct milter_settings *settings)
{
    const struct postern_block *b;
    int names = 1;

    (void)s->host->set_bool(s->settings, "client-names", &names);
    settings->client_names = names != 0;
    while (s->host->set_block(s->settings, "server", settings->count, &b) == POSTERN_OK) {
        if (settings->count == MILTER_SERVERS_MAX)
            return refuse(s, b, "address", "one too many: 16 at most");
        if (!read_server(s, b, settings))
            return false;
        (void)pthread_mutex_init(&settings->servers[settings->count].lock, NULL);
        settings->count++;
    }
    return true;
}

void milter_settings_free(struct milter_settings *settings)
{
    for (size_t i = 0; i < settings->count; i++)
        (void)pthread_mutex_destroy(&settings->servers[i].lock);
}
