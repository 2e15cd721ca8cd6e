#include "scan_batch.h"

#include "codec.h"
#include "early.h"

#include <errno.h>
#include <stdlib.h>

struct line {
    const char *path; /* of the batch */
    size_t number;
    json_t *object;
    char *state; /* its member, written out; owned */
    struct pn_buf *err;
};

static bool bad(const struct line *l, const char *what)
{
    (void)pn_buf_addf(l->err, "%s:%zu: %s", l->path, l->number, what);
    return false;
}

static struct pn_str str_of(const json_t *v)
{
    return (struct pn_str){json_string_value(v), json_string_length(v)};
}

/* A string member, where there is one. */
static bool get_str(const struct line *l, const char *key, struct pn_str *out)
{
    const json_t *v = json_object_get(l->object, key);
    char what[128];
    if (v == NULL || json_is_null(v))
        return true;
    if (!json_is_string(v)) {
        (void)snprintf(what, sizeof what, "%s: a string was expected", key);
        return bad(l, what);
    }
    *out = str_of(v);
    return true;
}

static bool get_rcpts(const struct line *l, struct pn_scan_case *c, struct pn_str *rcpts)
{
    const json_t *v = json_object_get(l->object, "rcpt");
    if (v == NULL)
        return true;
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    if (n == 0 || n > PN_SCAN_RCPTS_MAX)
        return bad(l, "rcpt: 1 to 1000 addresses were expected");
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_is_array(v) ? json_array_get(v, i) : v;
        if (!json_is_string(one))
            return bad(l, "rcpt: a string or a list of strings was expected");
        rcpts[i] = str_of(one);
    }
    c->rcpts = rcpts;
    c->rcpt_count = n;
    return true;
}

static bool get_early(const struct line *l, struct pn_scan_case *c)
{
    const json_t *v = json_object_get(l->object, "early");
    if (v == NULL)
        return true;
    c->early = 0;
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *word = json_array_get(v, i);
        if (!json_is_string(word) || !pn_early_add(&c->early, str_of(word)))
            return bad(l, "early: greeting, helo and command were expected");
    }
    return json_is_array(v) || bad(l, "early: a list was expected");
}

/* Seconds, whole or not. Absent: *ms stays. */
static bool get_time(const struct line *l, const char *key, int64_t *ms)
{
    const json_t *v = json_object_get(l->object, key);
    char what[128];
    if (v == NULL)
        return true;
    double seconds = json_is_number(v) ? json_number_value(v) : -1;
    if (!(seconds >= 0 && seconds < 1e12)) {
        (void)snprintf(what, sizeof what, "%s: seconds since 1970 were expected", key);
        return bad(l, what);
    }
    *ms = (int64_t)(seconds * 1000 + 0.5);
    return true;
}

/* As the event line has it. */
static bool get_standings(const struct line *l, struct pn_scan_case *c)
{
    const json_t *v = json_object_get(l->object, "standing");
    if (v == NULL)
        return true;
    c->standing_count = 0;
    for (size_t i = 0; i < json_array_size(v) && i < PN_SCAN_STANDINGS_MAX; i++) {
        struct pn_scan_standing *s = &c->standings[c->standing_count++];
        const json_t *one = json_array_get(v, i), *step = json_object_get(one, "step");
        const json_t *plugin = json_object_get(one, "plugin");
        const json_t *value = json_object_get(one, "value");
        if (!json_is_string(plugin) || !json_is_string(value) ||
            (step != NULL && (!json_is_integer(step) || json_integer_value(step) < 0 ||
                              json_integer_value(step) > UINT32_MAX)))
            return bad(l, "standing: a list of {plugin, value, step} was expected");
        *s = (struct pn_scan_standing){str_of(plugin), str_of(value),
                                       (uint32_t)json_integer_value(step)};
    }
    return c->standing_count == json_array_size(v) && json_is_array(v)
               ? true
               : bad(l, "standing: a list of {plugin, value, step} was expected");
}

static bool get_unknown_line(const json_t *one, struct pn_scan_unknown *u)
{
    const json_t *line = json_object_get(one, "line"), *coded = json_object_get(one, "line64");
    struct pn_buf bytes;
    if ((line == NULL) == (coded == NULL) || !json_is_string(line != NULL ? line : coded))
        return false;
    if (line != NULL) {
        u->line = str_of(line);
        return u->line.len <= sizeof u->room;
    }
    pn_buf_init(&bytes, sizeof u->room);
    bool ok = pn_base64_decode(&bytes, str_of(coded));
    if (ok && bytes.len != 0)
        memcpy(u->room, bytes.p, bytes.len);
    u->line = (struct pn_str){u->room, bytes.len};
    pn_buf_fini(&bytes);
    return ok;
}

/* As the event line has it. */
static bool get_unknown(const struct line *l, struct pn_scan_case *c)
{
    static const char want[] = "unknown: up to 4 of {line or line64, step} were expected";
    const json_t *v = json_object_get(l->object, "unknown");
    if (v == NULL)
        return true;
    if (!json_is_array(v) || json_array_size(v) > POSTERN_UNKNOWN_MAX)
        return bad(l, want);
    c->unknown_count = json_array_size(v);
    for (size_t i = 0; i < c->unknown_count; i++) {
        const json_t *one = json_array_get(v, i), *step = json_object_get(one, "step");
        if (!get_unknown_line(one, &c->unknown[i]) || !json_is_integer(step) ||
            json_integer_value(step) < 0 || json_integer_value(step) >= UINT32_MAX)
            return bad(l, want);
        c->unknown[i].step = (uint32_t)json_integer_value(step);
    }
    return true;
}

static bool get_seed(const struct line *l, const char *key, struct pn_scan_case *c, uint64_t *out)
{
    struct pn_str s = {NULL, 0};
    char what[128], *end = NULL;
    if (!get_str(l, key, &s))
        return false;
    if (s.p == NULL)
        return true;
    *out = strtoull(s.p, &end, 16);
    c->has_seed = true;
    if (s.len > 0 && s.len <= 16 && end == s.p + s.len && strspn(s.p, "0123456789abcdef") == s.len)
        return true;
    (void)snprintf(what, sizeof what, "%s: up to 16 hexadecimal digits were expected", key);
    return bad(l, what);
}

static bool get_number(const struct line *l, const char *key, uint32_t max, uint32_t *out)
{
    const json_t *v = json_object_get(l->object, key);
    char what[128];
    if (v == NULL)
        return true;
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > max) {
        (void)snprintf(what, sizeof what, "%s: a number up to %u was expected", key, max);
        return bad(l, what);
    }
    *out = (uint32_t)json_integer_value(v);
    return true;
}

/* What the client connected to, and how. */
static bool get_connection(const struct line *l, struct pn_scan_case *c)
{
    struct pn_str local = {NULL, 0};
    uint32_t port = c->local_port;
    if (!get_str(l, "tls_version", &c->tls_info.version) ||
        !get_str(l, "tls_cipher", &c->tls_info.cipher) ||
        !get_number(l, "tls_bits", 65535, &c->tls_info.bits) || !get_str(l, "local_ip", &local) ||
        !get_number(l, "local_port", 65535, &port))
        return false;
    c->local_port = (uint16_t)port;
    return local.p == NULL || pn_ip_parse(local, &c->local) ||
           bad(l, "local_ip: an IPv4 or IPv6 address was expected");
}

static bool get_numbers(const struct line *l, struct pn_scan_case *c)
{
    const json_t *port = json_object_get(l->object, "port");
    const json_t *tls = json_object_get(l->object, "tls");
    if (port != NULL && (!json_is_integer(port) || json_integer_value(port) < 0 ||
                         json_integer_value(port) > 65535))
        return bad(l, "port: a number up to 65535 was expected");
    if (!get_time(l, "time", &c->time_ms) || !get_time(l, "session_time", &c->session_time_ms) ||
        !get_seed(l, "session_seed", c, &c->seed[0]) || !get_seed(l, "seed", c, &c->seed[1]))
        return false;
    if (tls != NULL && !json_is_boolean(tls))
        return bad(l, "tls: true or false was expected");
    if (port != NULL)
        c->port = (uint16_t)json_integer_value(port);
    if (tls != NULL)
        c->tls = json_is_true(tls);
    return true;
}

/* As text: it is read where a case is begun. */
static bool get_state(struct line *l, struct pn_scan_case *c)
{
    const json_t *v = json_object_get(l->object, "state");
    free(l->state);
    l->state = NULL;
    if (v == NULL)
        return true;
    if (!json_is_array(v))
        return bad(l, "state: a list was expected");
    l->state = json_dumps(v, JSON_COMPACT);
    if (l->state == NULL)
        return bad(l, "state: it can't be taken");
    c->state = pn_str_of(l->state);
    return true;
}

static bool get_content(const struct line *l, struct pn_scan_case *c, struct pn_buf *raw,
                        struct pn_buf *content)
{
    struct pn_str message = {NULL, 0}, file = {NULL, 0};
    if (!get_str(l, "message", &message) || !get_str(l, "file", &file))
        return false;
    if ((message.p == NULL) == (file.p == NULL))
        return bad(l, "either file or message was expected");
    if (file.p != NULL) {
        pn_buf_fini(raw);
        if (!pn_scan_read_file(file.p, raw, l->err))
            return false;
        message = pn_buf_str(raw);
        c->file = file;
    }
    if (json_is_true(json_object_get(l->object, "exact"))) {
        pn_buf_clear(content);
        (void)pn_buf_adds(content, message);
    } else {
        pn_scan_canonical(message, content);
    }
    c->content = content->len == 0 ? PN_STR("") : pn_buf_str(content);
    return true;
}

static bool fill(const struct line *l, struct pn_scan_case *c, struct pn_str *rcpts)
{
    struct pn_str ip = {NULL, 0};
    if (!get_str(l, "ip", &ip) || !get_str(l, "helo", &c->helo) || !get_str(l, "from", &c->from) ||
        !get_str(l, "dns", &c->dns) || !get_str(l, "zone", &c->zone) || !get_str(l, "id", &c->id) ||
        !get_str(l, "session_id", &c->session_id) || !get_str(l, "hostname", &c->hostname) ||
        !get_str(l, "auth", &c->auth) || !get_str(l, "auth_id", &c->auth_id) ||
        !get_str(l, "held", &c->held) || !get_str(l, "mail_args", &c->mail_args) ||
        !get_connection(l, c) || !get_rcpts(l, c, rcpts) || !get_numbers(l, c) ||
        !get_early(l, c) || !get_standings(l, c) || !get_unknown(l, c))
        return false;
    if (ip.p != NULL && !pn_ip_parse(ip, &c->ip))
        return bad(l, "ip: an IPv4 or IPv6 address was expected");
    if (c->rcpt_count == 0)
        return bad(l, "rcpt: at least one address was expected");
    return true;
}

bool pn_scan_batch_object(json_t *object, const char *what, struct pn_scan_case *c,
                          struct pn_str *rcpts, char **state, struct pn_buf *err)
{
    struct line l = {.path = what, .number = 1, .object = object, .err = err};
    bool ok = fill(&l, c, rcpts) && get_state(&l, c);
    *state = l.state;
    return ok;
}

static bool run_line(struct line *l, struct pn_str text, const struct pn_scan_case *base,
                     struct pn_str *rcpts, struct pn_buf *raw, struct pn_buf *content,
                     struct pn_scan_case *c)
{
    json_error_t je;
    l->object = json_loadb(text.p, text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &je);
    if (!json_is_object(l->object)) {
        (void)pn_buf_addf(l->err, "%s:%zu:%d: %s, one JSON object a line was expected", l->path,
                          l->number, l->object == NULL ? je.column : 1,
                          l->object == NULL ? je.text : "not an object");
        return false;
    }
    *c = *base;
    return fill(l, c, rcpts) && get_state(l, c) && get_content(l, c, raw, content);
}

bool pn_scan_batch(const struct pn_scan_case *base, const char *path,
                   bool (*fn)(void *ctx, const struct pn_scan_case *c), void *ctx,
                   struct pn_buf *err)
{
    FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    struct pn_str *rcpts = calloc(PN_SCAN_RCPTS_MAX, sizeof *rcpts);
    struct line l = {.path = path, .err = err};
    struct pn_buf raw, content;
    char *text = NULL;
    size_t cap = 0;
    ssize_t n;
    bool ok = in != NULL && rcpts != NULL, go_on = true;
    if (!ok)
        (void)pn_buf_addf(err, "%s: %s", path, strerror(errno));
    pn_buf_init(&raw, PN_SCAN_MESSAGE_MAX);
    pn_buf_init(&content, SIZE_MAX);
    while (ok && go_on && (n = getline(&text, &cap, in)) > 0) {
        struct pn_str line = pn_str_trim((struct pn_str){text, (size_t)n});
        struct pn_scan_case c;
        l.number++;
        if (line.len == 0)
            continue;
        ok = run_line(&l, line, base, rcpts, &raw, &content, &c);
        if (ok)
            go_on = fn(ctx, &c);
        json_decref(l.object);
    }
    if (in != NULL && in != stdin)
        (void)fclose(in);
    free(text);
    free(l.state);
    free(rcpts);
    pn_buf_fini(&raw);
    pn_buf_fini(&content);
    return ok;
}
