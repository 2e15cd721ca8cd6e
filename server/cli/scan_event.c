#include "scan_event.h"

#include "dnsfile.h"
#include "mem.h"
#include "scan_batch.h"

#include <jansson.h>
#include <stdlib.h>

enum { ZONE_MAX = 16 * 1024 * 1024, EVENT_SCHEMA = 1 };

struct pn_scan_event {
    json_t *root;
    json_t *line; /* the same, as a line of a batch */
    struct pn_str rcpts[PN_SCAN_RCPTS_MAX], refusals[PN_SCAN_RCPTS_MAX];
    size_t rcpt_count;
    char *state;       /* its member, written out */
    const char *given; /* --given; NULL: by default */
};

static struct pn_str text_of(const json_t *object, const char *name)
{
    const json_t *v = json_object_get(object, name);
    if (!json_is_string(v))
        return PN_STR("");
    return (struct pn_str){json_string_value(v), json_string_length(v)};
}

static bool names(const json_t *entry, struct pn_str plugin)
{
    return pn_str_eq(text_of(entry, "plugin"), plugin);
}

/* ---- the case ---- */

static bool bad(const char *path, const char *what, struct pn_buf *err)
{
    (void)pn_buf_addf(err, "%s: %s", path, what);
    return false;
}

/* Those refused at RCPT stand where plugins counted them, the others in the order between. */
static json_t *rcpts_of(struct pn_scan_event *e)
{
    const json_t *envelope = json_object_get(e->root, "envelope");
    const json_t *to = json_object_get(envelope, "to"), *entry;
    json_t *list = json_array();
    size_t i, taken = 0, at = 0;
    json_array_foreach(json_object_get(envelope, "refused"), i, entry)
    {
        const json_t *index = json_object_get(entry, "index");
        json_int_t n = json_integer_value(index);
        if (!json_is_integer(index) || n < 0 || n >= PN_SCAN_RCPTS_MAX)
            continue; /* plugins heard nothing of it */
        e->rcpts[n] = text_of(entry, "address");
        e->refusals[n] = text_of(entry, "reply");
        taken++;
    }
    for (i = 0; at < PN_SCAN_RCPTS_MAX && at < json_array_size(to) + taken; at++) {
        const json_t *address = e->refusals[at].p == NULL ? json_array_get(to, i++) : NULL;
        if (json_is_string(address))
            e->rcpts[at] = (struct pn_str){json_string_value(address), json_string_length(address)};
        (void)json_array_append_new(
            list, json_stringn(e->rcpts[at].p == NULL ? "" : e->rcpts[at].p, e->rcpts[at].len));
    }
    e->rcpt_count = at;
    return list;
}

/* A record's data from what a person would write: the other way than the event's. */
static struct pn_str data_of(uint16_t type, struct pn_str text, char room[512])
{
    struct pn_str rest = text, number = pn_str_split(&rest, ' ');
    struct pn_ip ip;
    uint64_t n;
    if ((type == PN_DNS_A || type == PN_DNS_AAAA) && pn_ip_parse(text, &ip)) {
        size_t len = type == PN_DNS_A ? 4 : 16;
        memcpy(room, ip.b + 16 - len, len);
        return (struct pn_str){room, len};
    }
    if (type != PN_DNS_MX || rest.p == NULL || rest.len > 500 || !pn_str_u64(number, 65535, &n))
        return text;
    room[0] = (char)(n >> 8);
    room[1] = (char)(n & 0xff);
    memcpy(room + 2, rest.p, rest.len);
    return (struct pn_str){room, rest.len + 2};
}

static uint16_t rcode_of(struct pn_str name)
{
    for (uint16_t r = 0; r < 512; r++)
        if (pn_dns_rcode_name(r) != NULL && pn_str_eq(name, pn_str_of(pn_dns_rcode_name(r))))
            return r;
    return PN_DNS_SERVFAIL;
}

static void put_answer(struct pn_buf *zone, const json_t *entry, struct pn_dns_record *records,
                       char (*rooms)[512])
{
    const json_t *list = json_object_get(entry, "answers"), *one;
    struct pn_dns_answer a = {.rcode = rcode_of(text_of(entry, "rcode")),
                              .secure = json_is_true(json_object_get(entry, "secure")),
                              .records = records};
    uint16_t type;
    size_t i;
    if (!pn_dns_type_of(text_of(entry, "type"), &type))
        return;
    json_array_foreach(list, i, one)
    {
        if (!json_is_string(one) || i == PN_DNS_RECORDS_MAX)
            break;
        struct pn_str text = {json_string_value(one), json_string_length(one)};
        records[a.count++] = (struct pn_dns_record){0, data_of(type, text, rooms[i])};
    }
    pn_dnsfile_put(zone, text_of(entry, "name"), type, &a);
}

static json_t *zone_of(const json_t *root)
{
    struct pn_dns_record *records = pn_calloc(PN_DNS_RECORDS_MAX, sizeof *records);
    char(*rooms)[512] = pn_calloc(PN_DNS_RECORDS_MAX, sizeof *rooms);
    const json_t *entry;
    struct pn_buf zone;
    size_t i;
    pn_buf_init(&zone, ZONE_MAX);
    json_array_foreach(json_object_get(root, "dns"), i, entry)
    {
        put_answer(&zone, entry, records, rooms);
    }
    json_t *text = json_stringn(zone.len == 0 ? "" : zone.p, zone.len);
    pn_buf_fini(&zone);
    free(rooms);
    free(records);
    return text;
}

static void copy(json_t *to, const char *name, const json_t *from, const char *as)
{
    json_t *v = json_object_get(from, as);
    if (v != NULL && !json_is_null(v))
        (void)json_object_set(to, name, v);
}

static json_t *line_of(struct pn_scan_event *e)
{
    static const char *const same[] = {"id",           "time",  "session_time", "seed",   "held",
                                       "session_seed", "state", "standing",     "unknown"};
    const json_t *client = json_object_get(e->root, "client");
    json_t *o = json_object();
    copy(o, "ip", client, "ip");
    copy(o, "port", client, "port");
    copy(o, "helo", client, "helo");
    copy(o, "early", client, "early");
    copy(o, "tls_version", client, "tls");
    copy(o, "tls_cipher", client, "tls_cipher");
    copy(o, "tls_bits", client, "tls_bits");
    copy(o, "auth_id", client, "user");
    copy(o, "local_ip", client, "local_ip");
    copy(o, "local_port", client, "local_port");
    copy(o, "from", json_object_get(e->root, "envelope"), "from");
    copy(o, "mail_args", json_object_get(e->root, "envelope"), "mail_args");
    copy(o, "session_id", e->root, "session");
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        copy(o, same[i], e->root, same[i]);
    (void)json_object_set_new(o, "tls",
                              json_boolean(json_is_string(json_object_get(client, "tls"))));
    (void)json_object_set_new(o, "rcpt", rcpts_of(e));
    (void)json_object_set_new(o, "zone", zone_of(e->root));
    return o;
}

static bool take(struct pn_scan_event *e, const char *path, struct pn_scan_case *c,
                 struct pn_buf *err)
{
    if (!json_is_object(e->root) || !pn_str_eq(text_of(e->root, "event"), PN_STR("message")) ||
        json_integer_value(json_object_get(e->root, "schema")) != EVENT_SCHEMA)
        return bad(path, "the event of a message was expected, one JSON object of schema 1", err);
    if (!json_is_object(json_object_get(e->root, "client")) ||
        !json_is_string(json_object_get(json_object_get(e->root, "client"), "ip")))
        return bad(path, "client: an object with an ip was expected", err);
    e->line = line_of(e);
    if (e->rcpt_count == 0)
        return bad(path, "it was refused for every recipient before any plugin was asked", err);
    if (!pn_scan_batch_object(e->line, path, c, e->rcpts, &e->state, err))
        return false;
    c->refusals = e->refusals;
    c->event = e;
    c->each_replies =
        pn_str_eq(text_of(json_object_get(e->root, "client"), "protocol"), PN_STR("lmtp"));
    c->before_content = true;
    for (size_t i = 0; i < e->rcpt_count; i++)
        c->before_content = c->before_content && e->refusals[i].p != NULL;
    return true;
}

struct pn_scan_event *pn_scan_event_read(const char *path, struct pn_scan_case *c,
                                         struct pn_buf *err)
{
    struct pn_scan_event *e = pn_calloc(1, sizeof *e);
    struct pn_buf text;
    json_error_t je;
    bool read = pn_scan_read_file(path, &text, err);
    if (read)
        e->root = json_loadb(text.len == 0 ? "" : text.p, text.len,
                             JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &je);
    if (read && e->root == NULL)
        (void)pn_buf_addf(err, "%s:%d:%d: %s", path, je.line, je.column, je.text);
    pn_buf_fini(&text);
    if (e->root == NULL || !take(e, path, c, err))
        pn_scan_event_free(&e);
    return e;
}

void pn_scan_event_free(struct pn_scan_event **event)
{
    struct pn_scan_event *e = *event;
    *event = NULL;
    if (e == NULL)
        return;
    json_decref(e->root);
    json_decref(e->line);
    free(e->state);
    free(e);
}

/* ---- what is given ---- */

void pn_scan_event_given(struct pn_scan_event *e, const char *list)
{
    e->given = list;
}

static const json_t *run_of(const struct pn_scan_event *e, struct pn_str plugin)
{
    const json_t *entry;
    size_t i;
    json_array_foreach(json_object_get(e->root, "plugins"), i, entry)
    {
        if (pn_str_eq(text_of(entry, "name"), plugin))
            return entry;
    }
    return NULL;
}

bool pn_scan_event_gives(const struct pn_scan_event *e, struct pn_str plugin, bool network)
{
    struct pn_str list = pn_str_of(e->given == NULL ? "" : e->given);
    const json_t *run = run_of(e, plugin);
    if (e->given == NULL)
        return network || (run != NULL && (!pn_str_eq(text_of(run, "status"), PN_STR("ok")) ||
                                           text_of(run, "reason").len != 0)); /* POSTERN_PART */
    while (list.p != NULL)
        if (pn_str_eq(pn_str_trim(pn_str_split(&list, ',')), plugin))
            return true;
    return false;
}

static int32_t milli(const json_t *v)
{
    double x = json_number_value(v) * 1000;
    return x > -1e9 && x < 1e9 ? (int32_t)(x < 0 ? x - 0.5 : x + 0.5) : 0;
}

static uint32_t index_of(const struct pn_scan_event *e, struct pn_str address)
{
    for (size_t i = 0; address.len != 0 && i < e->rcpt_count; i++)
        if (pn_str_eq(e->rcpts[i], address))
            return (uint32_t)i;
    return PN_FACT_ALL_RCPTS;
}

static bool add_symbol(const struct pn_scan_event *e, const json_t *entry, struct pn_facts *facts)
{
    const json_t *own = json_object_get(entry, "own");
    struct pn_fact f = {.name = text_of(entry, "name"),
                        .plugin = text_of(entry, "plugin"),
                        .detail = text_of(entry, "detail"),
                        .weight = milli(own != NULL ? own : json_object_get(entry, "weight")),
                        .rcpt = index_of(e, text_of(entry, "recipient"))};
    return pn_facts_add_symbol(facts, &f);
}

static bool add_auth(const char *method, struct pn_str plugin, json_t *entry,
                     struct pn_facts *facts)
{
    struct pn_pair props[PN_FACTS_PROPERTIES_MAX];
    char numbers[PN_FACTS_PROPERTIES_MAX][24];
    struct pn_auth a = {.plugin = text_of(entry, "plugin"),
                        .method = pn_str_of(method),
                        .result = text_of(entry, "result"),
                        .properties = props};
    const char *name;
    json_t *v;
    if (a.plugin.len == 0)
        a.plugin = a.method;
    if (!pn_str_eq(a.plugin, plugin))
        return true;
    json_object_foreach(entry, name, v)
    {
        if (strcmp(name, "result") == 0 || strcmp(name, "plugin") == 0 ||
            a.count == PN_FACTS_PROPERTIES_MAX)
            continue;
        struct pn_pair *p = &props[a.count];
        *p = (struct pn_pair){pn_str_of(name), text_of(entry, name)};
        if (json_is_integer(v)) {
            (void)snprintf(numbers[a.count], sizeof numbers[0], "%" JSON_INTEGER_FORMAT,
                           json_integer_value(v));
            p->value = pn_str_of(numbers[a.count]);
        }
        a.count++;
    }
    return pn_facts_add_auth(facts, &a);
}

/* One result is an object, several are a list. */
static bool add_auths(const json_t *all, struct pn_str plugin, struct pn_facts *facts)
{
    const char *method;
    json_t *found, *one;
    size_t i;
    bool ok = true;
    json_object_foreach((json_t *)all, method, found)
    {
        if (json_is_object(found))
            ok = ok && add_auth(method, plugin, found, facts);
        json_array_foreach(found, i, one)
        {
            ok = ok && add_auth(method, plugin, one, facts);
        }
    }
    return ok;
}

static bool edit_of(const json_t *entry, struct pn_fact_edit *out)
{
    const json_t *index = json_object_get(entry, "index");
    struct pn_str value = text_of(entry, "value"), number = pn_str_split(&value, ' ');
    uint64_t bytes;
    *out = (struct pn_fact_edit){.plugin = text_of(entry, "plugin"),
                                 .name = text_of(entry, "name"),
                                 .value = text_of(entry, "value"),
                                 .index = (uint32_t)json_integer_value(index)};
    if (!pn_verdict_edit_op(text_of(entry, "op"), &out->op))
        return false;
    if (out->op != PN_FACT_REPLACE_BODY)
        return true;
    out->value = PN_STR("");
    out->index = pn_str_u64(number, UINT32_MAX - 1, &bytes) ? (uint32_t)bytes : PN_FACT_BODY_BROKEN;
    return true;
}

static bool add_edits(const json_t *list, struct pn_str plugin, struct pn_facts *facts)
{
    const json_t *entry;
    struct pn_fact_edit edit;
    size_t i;
    bool ok = true;
    json_array_foreach(list, i, entry)
    {
        if (names(entry, plugin) && edit_of(entry, &edit))
            ok = ok && pn_facts_add_edit(facts, &edit);
    }
    return ok;
}

bool pn_scan_event_facts(const struct pn_scan_event *e, struct pn_str plugin,
                         struct pn_facts *facts)
{
    const json_t *entry;
    size_t i;
    bool ok = true;
    json_array_foreach(json_object_get(e->root, "symbols"), i, entry)
    {
        if (names(entry, plugin))
            ok = ok && add_symbol(e, entry, facts);
    }
    return ok && add_auths(json_object_get(e->root, "auth"), plugin, facts) &&
           add_edits(json_object_get(e->root, "edits"), plugin, facts) &&
           add_edits(json_object_get(e->root, "edits_refused"), plugin, facts);
}

/* ---- their places ---- */

/* Items of a run, and which entry of the event each is. */
struct places {
    size_t count;
    const json_t **entry; /* beside the items; NULL: the event has it not */
    bool *given;          /* beside them */
    size_t *order;        /* the result: which item stands where */
    size_t placed;
    bool *done;
};

static bool places_init(struct places *p, size_t count, struct pn_pool *pool)
{
    *p = (struct places){.count = count};
    p->entry = pn_pool_alloc(pool, (count + 1) * sizeof *p->entry);
    p->given = pn_pool_alloc(pool, (count + 1) * sizeof *p->given);
    p->order = pn_pool_alloc(pool, (count + 1) * sizeof *p->order);
    p->done = pn_pool_alloc(pool, (count + 1) * sizeof *p->done);
    if (p->entry == NULL || p->given == NULL || p->order == NULL || p->done == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        p->entry[i] = NULL;
        p->given[i] = p->done[i] = false;
    }
    return true;
}

static void place(struct places *p, size_t i)
{
    if (!p->done[i])
        p->order[p->placed++] = i;
    p->done[i] = true;
}

/* What was given stands as the event has it; what ran keeps its own order. */
static void place_list(struct places *p, const json_t *list)
{
    const json_t *entry;
    size_t k;
    json_array_foreach(list, k, entry)
    {
        size_t i = 0;
        while (i < p->count && p->entry[i] != entry)
            i++;
        for (size_t n = 0; i < p->count && n <= i; n++)
            if (n == i || (!p->given[i] && !p->given[n]))
                place(p, n);
    }
}

static void place_rest(struct places *p)
{
    for (size_t i = 0; i < p->count; i++)
        place(p, i);
}

static bool is_symbol(const struct pn_fact *f, const json_t *entry)
{
    return names(entry, f->plugin) && pn_str_eq(text_of(entry, "name"), f->name) &&
           pn_str_eq(text_of(entry, "detail"), f->detail);
}

static bool is_given(const struct pn_facts *f, struct pn_str plugin)
{
    for (size_t i = 0; i < f->run_count; i++)
        if (pn_str_eq(f->runs[i].plugin, plugin))
            return f->runs[i].status == PN_PLUGIN_GIVEN;
    return false;
}

static bool order_symbols(const struct pn_scan_event *e, const struct pn_facts *from,
                          struct pn_facts *out, struct pn_pool *pool)
{
    const json_t *list = json_object_get(e->root, "symbols"), *entry;
    struct places p;
    size_t k;
    if (!places_init(&p, from->symbol_count, pool))
        return false;
    for (size_t i = 0; i < p.count; i++)
        p.given[i] = is_given(from, from->symbols[i].plugin);
    json_array_foreach(list, k, entry)
    {
        size_t i = 0;
        while (i < p.count && (p.entry[i] != NULL || !is_symbol(&from->symbols[i], entry)))
            i++;
        if (i < p.count)
            p.entry[i] = entry;
    }
    place_list(&p, list);
    place_rest(&p);
    out->symbols = pn_pool_alloc(pool, (p.count + 1) * sizeof *out->symbols);
    for (size_t i = 0; out->symbols != NULL && i < p.count; i++)
        out->symbols[i] = from->symbols[p.order[i]];
    return out->symbols != NULL;
}

static bool is_edit(const struct pn_fact_edit *a, const json_t *entry)
{
    struct pn_fact_edit b;
    return edit_of(entry, &b) && a->op == b.op && pn_str_eq(a->plugin, b.plugin) &&
           pn_str_eq(a->name, b.name) && pn_str_eq(a->value, b.value) && a->index == b.index;
}

static void find_edits(struct places *p, const json_t *list, const struct pn_facts *from)
{
    const json_t *entry;
    size_t k;
    json_array_foreach(list, k, entry)
    {
        size_t i = 0;
        while (i < p->count && (p->entry[i] != NULL || !is_edit(&from->edits[i], entry)))
            i++;
        if (i < p->count)
            p->entry[i] = entry;
    }
}

static bool order_edits(const struct pn_scan_event *e, const struct pn_facts *from,
                        struct pn_facts *out, struct pn_scan_recorded **recorded, size_t *body,
                        struct pn_pool *pool)
{
    const json_t *made = json_object_get(e->root, "edits");
    const json_t *refused = json_object_get(e->root, "edits_refused");
    size_t was = *body;
    struct places p;
    if (!places_init(&p, from->edit_count, pool))
        return false;
    for (size_t i = 0; i < p.count; i++)
        p.given[i] = is_given(from, from->edits[i].plugin);
    find_edits(&p, made, from);
    find_edits(&p, refused, from);
    place_list(&p, made);
    place_list(&p, refused);
    place_rest(&p);
    out->edits = pn_pool_alloc(pool, (p.count + 1) * sizeof *out->edits);
    struct pn_scan_recorded *r = pn_pool_alloc(pool, (p.count + 1) * sizeof *r);
    for (size_t i = 0; out->edits != NULL && r != NULL && i < p.count; i++) {
        size_t from_at = p.order[i];
        const json_t *entry = p.entry[from_at];
        out->edits[i] = from->edits[from_at];
        r[i] = (struct pn_scan_recorded){p.given[from_at], text_of(entry, "value"),
                                         text_of(entry, "because")};
        if (from_at == was)
            *body = i;
    }
    *recorded = r;
    return out->edits != NULL && r != NULL;
}

bool pn_scan_event_order(const struct pn_scan_event *e, const struct pn_facts *facts,
                         struct pn_facts *out, struct pn_scan_recorded **recorded, size_t *body,
                         struct pn_pool *pool)
{
    *out = *facts;
    return order_symbols(e, facts, out, pool) && order_edits(e, facts, out, recorded, body, pool);
}

/* ---- what became of edits ---- */

void pn_scan_recorded_refusals(struct pn_verdict *v, const struct pn_scan_recorded *recorded)
{
    for (size_t i = 0; i < v->edit_count; i++) {
        enum pn_fact_edit_op op = v->edits[i].edit->op;
        bool ours = op == PN_FACT_ADD_RCPT || (op == PN_FACT_REPLACE_BODY && recorded[i].given);
        if (v->edits[i].refused.len == 0 && ours)
            v->edits[i].refused = recorded[i].because;
    }
}

/* Of what is looked at: pn_verdict_body's own sentences. */
static bool came_to_none(const struct pn_verdict_edit *e)
{
    return pn_str_starts(e->refused, PN_STR("the new body"));
}

bool pn_scan_recorded_body(struct pn_verdict *v, const struct pn_scan_recorded *recorded,
                           bool *broken)
{
    bool ours = false;
    *broken = false;
    for (size_t i = 0; i < v->edit_count; i++) {
        struct pn_verdict_edit *e = &v->edits[i];
        if (e->edit->op != PN_FACT_REPLACE_BODY || !recorded[i].given)
            continue;
        e->value = recorded[i].value;
        *broken = *broken || came_to_none(e);
        ours = ours || e->refused.len == 0 || came_to_none(e);
    }
    for (size_t i = 0; ours && i < v->edit_count; i++) {
        struct pn_verdict_edit *e = &v->edits[i];
        if (e->edit->op == PN_FACT_REPLACE_BODY && !recorded[i].given && e->refused.len == 0)
            e->refused = PN_STR("another one came later");
    }
    return ours;
}
