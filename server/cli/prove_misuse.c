/*
 * What a plugin does wrong with the host and nobody would see: calls that are refused whatever
 * a message says, calls of a call that is over, writing to what was only lent.
 *
 * Stands between the plugin and host_table in workers that are proved. Says a sentence once;
 * the sentences lie in memory that the workers share.
 */
#include "prove.h"

#include "assert.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { SENTENCES_MAX = 32, SENTENCE_MAX = 200, LENT_MAX = 64 * 1024 };

static struct misuse {
    _Atomic uint32_t count;
    struct {
        _Atomic bool there;
        char stage[16], text[SENTENCE_MAX];
    } sentences[SENTENCES_MAX];
} * misuse;

static struct postern_host table; /* of this worker */
static _Thread_local struct postern_call *current;
static _Thread_local bool setting_up; /* instance_new */

void misuse_init(void)
{
    void *map =
        mmap(NULL, sizeof *misuse, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pn_assert(map != MAP_FAILED);
    misuse = map;
}

static const char *stage_now(void)
{
    if (current == NULL)
        return setting_up ? "instance_new" : "";
    return host_of(current)->tick ? "tick" : pn_stage_name(current->stage);
}

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *fmt, ...)
{
    char text[SENTENCE_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    uint32_t count = atomic_load(&misuse->count);
    for (uint32_t i = 0; i < count && i < SENTENCES_MAX; i++)
        if (atomic_load(&misuse->sentences[i].there) &&
            strcmp(misuse->sentences[i].text, text) == 0)
            return;
    uint32_t at = atomic_fetch_add(&misuse->count, 1);
    if (at >= SENTENCES_MAX)
        return;
    (void)snprintf(misuse->sentences[at].stage, sizeof misuse->sentences[at].stage, "%s",
                   stage_now());
    memcpy(misuse->sentences[at].text, text, sizeof text);
    atomic_store(&misuse->sentences[at].there, true);
}

bool misuse_next(size_t *at, const char **stage, const char **text)
{
    uint32_t count = atomic_load(&misuse->count);
    if (*at >= count || *at >= SENTENCES_MAX || !atomic_load(&misuse->sentences[*at].there))
        return false;
    *stage = misuse->sentences[*at].stage;
    *text = misuse->sentences[*at].text;
    ++*at;
    return true;
}

/* ---- what was lent */

struct lent {
    struct postern_client client;
    struct postern_envelope envelope;
    uint64_t content;
};

static _Thread_local struct lent before;

/* Large content is mapped, and can't be written to. */
static uint64_t content_of(const struct host_call *h)
{
    const struct host_message *m = h->message;
    return m == NULL || m->content.len > LENT_MAX ? 0 : pn_str_hash(m->content, 1, false);
}

static struct lent lent_by(const struct host_call *h)
{
    return (struct lent){h->client, h->envelope, content_of(h)};
}

void misuse_begin(struct postern_call *c)
{
    current = c;
    before = lent_by(host_of(c));
}

static const char *status_name(int rc)
{
    switch (rc) {
    case POSTERN_OK:
    case POSTERN_NONE:
    case POSTERN_PART:
    case POSTERN_ERROR:
    case POSTERN_LIMIT:
    case POSTERN_DEADLINE:
    case POSTERN_AWAY:
        return NULL;
    case POSTERN_INVALID:
        return "POSTERN_INVALID: what the host refused for a stranger's words fails the message";
    default:
        return "which is no status";
    }
}

void misuse_end(int rc)
{
    const struct host_call *h = host_of(current);
    if (memcmp(&before.client, &h->client, sizeof h->client) != 0)
        say("writes to what client() lent it");
    if (memcmp(&before.envelope, &h->envelope, sizeof h->envelope) != 0)
        say("writes to what envelope() lent it");
    if (before.content != content_of(h))
        say("writes to the message that the host lent it");
    if (status_name(rc) != NULL)
        say("returns %d, %s", rc, status_name(rc));
    current = NULL;
}

/* ---- settings */

static int row_is(int rc, const char *function, const char *row)
{
    if (rc == POSTERN_INVALID && (current != NULL || setting_up))
        say("%s: \"%.40s\" is no row of that block, or of another type", function, row);
    return rc;
}

static int set_str(const struct postern_block *b, const char *row, size_t n,
                   struct postern_str *out)
{
    return row_is(host_table.set_str(b, row, n, out), "set_str", row);
}

static int set_int(const struct postern_block *b, const char *row, size_t n, int64_t *out)
{
    return row_is(host_table.set_int(b, row, n, out), "set_int", row);
}

static int set_bool(const struct postern_block *b, const char *row, int *out)
{
    return row_is(host_table.set_bool(b, row, out), "set_bool", row);
}

static int set_net(const struct postern_block *b, const char *row, size_t n, unsigned char ip[16],
                   unsigned *bits)
{
    return row_is(host_table.set_net(b, row, n, ip, bits), "set_net", row);
}

static int set_block(const struct postern_block *b, const char *row, size_t n,
                     const struct postern_block **out)
{
    return row_is(host_table.set_block(b, row, n, out), "set_block", row);
}

static int client_in(struct postern_call *c, const struct postern_block *b, const char *row)
{
    return row_is(host_table.client_in(c, b, row), "client_in", row);
}

/* ---- calls */

/* False: it is not this thread's call, and must not be touched. */
static bool alive(const struct postern_call *c, const char *function)
{
    if (c == current)
        return true;
    say("%s: with a call that is over, or another thread's", function);
    return false;
}

static bool has_need(const struct postern_call *c, unsigned need, const char *name,
                     const char *function)
{
    const struct host_plugin *p = host_of((struct postern_call *)(uintptr_t)c)->plugin;
    if (((p->desc->needs | p->needs) & need) != 0)
        return true;
    say("%s: %s is not among its needs", function, name);
    return false;
}

/* Whatever is stated there is dropped. */
static void dropped(struct postern_call *c, const char *function)
{
    const struct host_call *h = host_of(c);
    if (h->tick || h->prefetch)
        say("%s: what is stated in %s is dropped", function, h->tick ? "a tick" : "prefetch");
    else if (c->stage == POSTERN_AFTER)
        say("%s: what is stated in the stage after is dropped", function);
}

static int stated(struct postern_call *c, const char *function, unsigned symbol, int64_t weight,
                  int rc)
{
    const struct host_plugin *p = host_of(c)->plugin;
    dropped(c, function);
    if (symbol >= p->symbols)
        say("%s: %u is no index of its %zu symbols", function, symbol, p->symbols);
    else if (weight > PN_PLUGIN_WEIGHT_MAX || weight < -PN_PLUGIN_WEIGHT_MAX)
        say("%s: a weight is at most %d thousandths", function, PN_PLUGIN_WEIGHT_MAX);
    return rc;
}

static int fact(struct postern_call *c, unsigned symbol, struct postern_str detail)
{
    if (!alive(c, "fact"))
        return POSTERN_INVALID;
    return stated(c, "fact", symbol, 0, host_table.fact(c, symbol, detail));
}

static int fact_weighted(struct postern_call *c, unsigned symbol, struct postern_str detail,
                         int32_t weight)
{
    if (!alive(c, "fact_weighted"))
        return POSTERN_INVALID;
    return stated(c, "fact_weighted", symbol, weight,
                  host_table.fact_weighted(c, symbol, detail, weight));
}

static int fact_named(struct postern_call *c, struct postern_str name, struct postern_str detail,
                      int32_t weight)
{
    if (!alive(c, "fact_named"))
        return POSTERN_INVALID;
    int rc = host_table.fact_named(c, name, detail, weight);
    dropped(c, "fact_named");
    if (rc == POSTERN_INVALID)
        say("fact_named: a bad name, or a weight beyond %d thousandths", PN_PLUGIN_WEIGHT_MAX);
    return rc;
}

static int fact_for(struct postern_call *c, size_t rcpt, unsigned symbol, struct postern_str detail)
{
    if (!alive(c, "fact_for"))
        return POSTERN_INVALID;
    if (rcpt >= host_of(c)->step->rcpts)
        say("fact_for: %zu is no index of the envelope's %u recipients", rcpt,
            host_of(c)->step->rcpts);
    return stated(c, "fact_for", symbol, 0, host_table.fact_for(c, rcpt, symbol, detail));
}

static int note_get(struct postern_call *c, const char *plugin, struct postern_str key,
                    struct postern_str *out)
{
    if (!alive(c, "note_get"))
        return POSTERN_INVALID;
    const struct postern_plugin *desc = host_of(c)->plugin->desc;
    bool named = plugin == NULL || strcmp(plugin, desc->name) == 0;
    for (const char *const *a = desc->after; !named && a != NULL && *a != NULL; a++)
        named = strcmp(*a, plugin) == 0;
    if (!named)
        say("note_get: plugin \"%.32s\" is not in its `after`", plugin);
    return host_table.note_get(c, plugin, key, out);
}

/* ---- what needs a need */

static int lookup(struct postern_call *c, struct postern_str name, uint32_t type,
                  const struct postern_dns_answer **out)
{
    if (!alive(c, "dns_lookup"))
        return POSTERN_INVALID;
    if (has_need(c, POSTERN_NEED_DNS, "POSTERN_NEED_DNS", "dns_lookup") && host_of(c)->prefetch)
        say("dns_lookup: prefetch waits for nothing: dns_start is for it");
    return host_table.dns_lookup(c, name, type, out);
}

static int start(struct postern_call *c, struct postern_str name, uint32_t type)
{
    if (!alive(c, "dns_start"))
        return POSTERN_INVALID;
    (void)has_need(c, POSTERN_NEED_DNS, "POSTERN_NEED_DNS", "dns_start");
    return host_table.dns_start(c, name, type);
}

static int wait_all(struct postern_call *c)
{
    if (!alive(c, "dns_wait_all"))
        return POSTERN_INVALID;
    if (host_of(c)->prefetch)
        say("dns_wait_all: prefetch waits for nothing");
    return host_table.dns_wait_all(c);
}

static bool state_may(struct postern_call *c, const char *function)
{
    if (!alive(c, function))
        return false;
    if (has_need(c, POSTERN_NEED_STATE, "POSTERN_NEED_STATE", function) &&
        (host_of(c)->prefetch || host_of(c)->tick))
        say("%s: not in prefetch, nor in a tick", function);
    return true;
}

static int state_get(struct postern_call *c, struct postern_str key, struct postern_str *value)
{
    return state_may(c, "state_get") ? host_table.state_get(c, key, value) : POSTERN_INVALID;
}

static int state_put(struct postern_call *c, struct postern_str key, struct postern_str value,
                     uint64_t ttl_ms, uint32_t when)
{
    return state_may(c, "state_put") ? host_table.state_put(c, key, value, ttl_ms, when)
                                     : POSTERN_INVALID;
}

static int state_take(struct postern_call *c, struct postern_str key,
                      const struct postern_bucket *bucket, uint32_t *left)
{
    return state_may(c, "state_take") ? host_table.state_take(c, key, bucket, left)
                                      : POSTERN_INVALID;
}

static int state_take_all(struct postern_call *c, struct postern_take *takes, size_t count)
{
    return state_may(c, "state_take_all") ? host_table.state_take_all(c, takes, count)
                                          : POSTERN_INVALID;
}

static int standing_set(struct postern_call *c, struct postern_str value)
{
    if (!alive(c, "standing_set"))
        return POSTERN_INVALID;
    if (!host_of(c)->tick)
        say("standing_set: in a tick only");
    return host_table.standing_set(c, value);
}

/* ---- the message and its edits */

static bool message_may(const struct postern_call *c, const char *function)
{
    if (!alive(c, function))
        return false;
    if (c->stage < POSTERN_HEADERS)
        say("%s: there is no message before POSTERN_HEADERS", function);
    return true;
}

static int header_get(struct postern_call *c, const char *name, size_t n, struct postern_str *value)
{
    return message_may(c, "header_get") ? host_table.header_get(c, name, n, value)
                                        : POSTERN_INVALID;
}

static int header_text(struct postern_call *c, const char *name, size_t n,
                       struct postern_str *value)
{
    return message_may(c, "header_text") ? host_table.header_text(c, name, n, value)
                                         : POSTERN_INVALID;
}

static int header_address(struct postern_call *c, const char *name, size_t n, size_t k,
                          struct postern_str *local, struct postern_str *domain,
                          struct postern_str *display)
{
    return message_may(c, "header_address")
               ? host_table.header_address(c, name, n, k, local, domain, display)
               : POSTERN_INVALID;
}

static struct postern_str content(struct postern_call *c)
{
    return message_may(c, "content") ? host_table.content(c) : POSTERN_STR("");
}

static struct postern_str body(struct postern_call *c)
{
    return message_may(c, "body") ? host_table.body(c) : POSTERN_STR("");
}

static bool edit_may(struct postern_call *c, const char *function)
{
    if (!alive(c, function))
        return false;
    if (host_of(c)->prefetch || (c->stage != POSTERN_HEADERS && c->stage != POSTERN_MESSAGE))
        say("%s: only in POSTERN_HEADERS and POSTERN_MESSAGE", function);
    return true;
}

static int insert_header(struct postern_call *c, size_t position, struct postern_str name,
                         struct postern_str value)
{
    return edit_may(c, "insert_header") ? host_table.insert_header(c, position, name, value)
                                        : POSTERN_INVALID;
}

static int change_header(struct postern_call *c, struct postern_str name, size_t n,
                         struct postern_str value)
{
    return edit_may(c, "change_header") ? host_table.change_header(c, name, n, value)
                                        : POSTERN_INVALID;
}

static int replace_body(struct postern_call *c, struct postern_str chunk)
{
    return edit_may(c, "replace_body") ? host_table.replace_body(c, chunk) : POSTERN_INVALID;
}

static int change_from(struct postern_call *c, struct postern_str address)
{
    return edit_may(c, "change_from") ? host_table.change_from(c, address) : POSTERN_INVALID;
}

static int add_rcpt(struct postern_call *c, struct postern_str address)
{
    return edit_may(c, "add_rcpt") ? host_table.add_rcpt(c, address) : POSTERN_INVALID;
}

static int remove_rcpt(struct postern_call *c, struct postern_str address)
{
    return edit_may(c, "remove_rcpt") ? host_table.remove_rcpt(c, address) : POSTERN_INVALID;
}

/* ---- the table */

const struct postern_host *misuse_setting_up(bool begins)
{
    setting_up = begins;
    return &table;
}

struct postern_host *misuse_table(void)
{
    table = host_table;
    table.set_str = set_str;
    table.set_int = set_int;
    table.set_bool = set_bool;
    table.set_net = set_net;
    table.set_block = set_block;
    table.client_in = client_in;
    table.fact = fact;
    table.fact_weighted = fact_weighted;
    table.fact_named = fact_named;
    table.fact_for = fact_for;
    table.note_get = note_get;
    table.dns_lookup = lookup;
    table.dns_start = start;
    table.dns_wait_all = wait_all;
    table.state_get = state_get;
    table.state_put = state_put;
    table.state_take = state_take;
    table.state_take_all = state_take_all;
    table.standing_set = standing_set;
    table.header_get = header_get;
    table.header_text = header_text;
    table.header_address = header_address;
    table.content = content;
    table.body = body;
    table.insert_header = insert_header;
    table.change_header = change_header;
    table.replace_body = replace_body;
    table.change_from = change_from;
    table.add_rcpt = add_rcpt;
    table.remove_rcpt = remove_rcpt;
    return &table;
}
