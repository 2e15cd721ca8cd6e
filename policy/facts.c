#include "facts.h"

enum { ROUND_UP = 8 };

void pn_facts_init(struct pn_facts *f, struct pn_pool *pool)
{
    *f = (struct pn_facts){.pool = pool};
}

/* Room for one more element of a pooled array. The old array stays in the pool: with
 * doubling that wastes at most what is used. False: limit or pool reached. */
static bool room(struct pn_pool *pool, void *arrayp, size_t *cap, size_t count, size_t elem,
                 size_t max)
{
    if (count < *cap)
        return true;
    if (count >= max)
        return false;
    size_t more = *cap == 0 ? ROUND_UP : *cap * 2;
    if (more > max)
        more = max;
    void *grown = pn_pool_alloc(pool, more * elem);
    if (grown == NULL)
        return false;
    void *old;
    memcpy(&old, arrayp, sizeof old);
    if (count != 0)
        memcpy(grown, old, count * elem);
    memcpy(arrayp, &grown, sizeof grown);
    *cap = more;
    return true;
}

static bool copy(struct pn_pool *pool, struct pn_str *s)
{
    *s = s->len == 0 ? PN_STR("") : pn_pool_dup(pool, *s);
    return s->p != NULL;
}

/* Cuts at PN_FACTS_DETAIL_MAX without parting a character. */
static struct pn_str detail_cut(struct pn_str s)
{
    if (s.len <= PN_FACTS_DETAIL_MAX)
        return s;
    size_t to = PN_FACTS_DETAIL_MAX;
    while (to > PN_FACTS_DETAIL_MAX - 4 && ((unsigned char)s.p[to] & 0xc0) == 0x80)
        to--;
    return pn_str_slice(s, 0, to);
}

/* Doubles are looked for by a hash, so that a message with thousands of facts costs
 * thousands of integer comparisons for each and not as many string ones. */
static uint32_t symbol_hash(const struct pn_fact *fact)
{
    uint64_t h = pn_str_hash(fact->name, fact->rcpt, false);
    return (uint32_t)pn_str_hash(fact->detail, pn_str_hash(fact->plugin, h, false), false);
}

static bool symbol_is_there(const struct pn_facts *f, const struct pn_fact *fact, uint32_t hash)
{
    for (size_t i = 0; i < f->symbol_count; i++) {
        const struct pn_fact *s = &f->symbols[i];
        if (f->symbol_hashes[i] == hash && s->rcpt == fact->rcpt &&
            pn_str_eq(s->name, fact->name) && pn_str_eq(s->plugin, fact->plugin) &&
            pn_str_eq(s->detail, fact->detail))
            return true;
    }
    return false;
}

static size_t symbols_max(struct pn_str name)
{
    return PN_FACTS_SYMBOLS_MAX + (pn_symbol_is_ours(name) ? 2 * PN_FACTS_RUNS_MAX : 0);
}

bool pn_facts_add_symbol(struct pn_facts *f, const struct pn_fact *fact)
{
    struct pn_fact add = *fact;
    add.detail = detail_cut(add.detail);
    uint32_t hash = symbol_hash(&add);
    if (symbol_is_there(f, &add, hash))
        return true;
    size_t hash_cap = f->symbol_cap, max = symbols_max(add.name);
    if (f->symbol_count >= max ||
        !room(f->pool, &f->symbol_hashes, &hash_cap, f->symbol_count, sizeof *f->symbol_hashes,
              max) ||
        !room(f->pool, &f->symbols, &f->symbol_cap, f->symbol_count, sizeof *f->symbols, max) ||
        !copy(f->pool, &add.name) || !copy(f->pool, &add.plugin) || !copy(f->pool, &add.detail))
        return false;
    f->symbol_hashes[f->symbol_count] = hash;
    f->symbols[f->symbol_count++] = add;
    return true;
}

bool pn_facts_add_auth(struct pn_facts *f, const struct pn_auth *auth)
{
    struct pn_auth add = *auth;
    if (add.count > PN_FACTS_PROPERTIES_MAX ||
        !room(f->pool, &f->auth, &f->auth_cap, f->auth_count, sizeof *f->auth, PN_FACTS_AUTH_MAX) ||
        !copy(f->pool, &add.plugin) || !copy(f->pool, &add.method) || !copy(f->pool, &add.result))
        return false;
    struct pn_pair *pairs = pn_pool_alloc(f->pool, add.count * sizeof *pairs);
    if (pairs == NULL)
        return false;
    for (uint32_t i = 0; i < add.count; i++) {
        pairs[i] = auth->properties[i];
        if (!copy(f->pool, &pairs[i].name) || !copy(f->pool, &pairs[i].value))
            return false;
    }
    add.properties = pairs;
    f->auth[f->auth_count++] = add;
    return true;
}

bool pn_facts_set_note(struct pn_facts *f, const struct pn_note *note)
{
    struct pn_note add = *note;
    if (!copy(f->pool, &add.value))
        return false;
    for (size_t i = 0; i < f->note_count; i++) {
        if (pn_str_eq(f->notes[i].key, note->key) && pn_str_eq(f->notes[i].plugin, note->plugin)) {
            f->notes[i].value = add.value;
            return true;
        }
    }
    if (!room(f->pool, &f->notes, &f->note_cap, f->note_count, sizeof *f->notes,
              PN_FACTS_NOTES_MAX) ||
        !copy(f->pool, &add.plugin) || !copy(f->pool, &add.key))
        return false;
    f->notes[f->note_count++] = add;
    return true;
}

bool pn_facts_add_edit(struct pn_facts *f, const struct pn_fact_edit *edit)
{
    struct pn_fact_edit add = *edit;
    size_t bytes = add.name.len + add.value.len;
    if (bytes > PN_FACTS_EDIT_BYTES_MAX - f->edit_bytes ||
        !room(f->pool, &f->edits, &f->edit_cap, f->edit_count, sizeof *f->edits,
              PN_FACTS_EDITS_MAX) ||
        !copy(f->pool, &add.plugin) || !copy(f->pool, &add.name) || !copy(f->pool, &add.value))
        return false;
    f->edit_bytes += bytes;
    f->edits[f->edit_count++] = add;
    return true;
}

static int badness(enum pn_plugin_status status)
{
    static const int order[] = {[PN_PLUGIN_OK] = 0,
                                [PN_PLUGIN_GIVEN] = 1,
                                [PN_PLUGIN_SKIPPED] = 2,
                                [PN_PLUGIN_TIMEOUT] = 3,
                                [PN_PLUGIN_FAILED] = 4};
    return order[status];
}

bool pn_facts_add_run(struct pn_facts *f, const struct pn_plugin_run *run)
{
    struct pn_plugin_run add = *run;
    if (!copy(f->pool, &add.reason))
        return false;
    for (size_t i = 0; i < f->run_count; i++) {
        struct pn_plugin_run *there = &f->runs[i];
        if (!pn_str_eq(there->plugin, run->plugin))
            continue;
        there->us = run->us > UINT32_MAX - there->us ? UINT32_MAX : there->us + run->us;
        if (badness(run->status) > badness(there->status) ||
            (run->status == there->status && there->reason.len == 0)) {
            there->status = run->status;
            there->reason = add.reason;
        }
        return true;
    }
    if (!room(f->pool, &f->runs, &f->run_cap, f->run_count, sizeof *f->runs, PN_FACTS_RUNS_MAX) ||
        !copy(f->pool, &add.plugin))
        return false;
    f->runs[f->run_count++] = add;
    return true;
}

static uint32_t dns_hash(const struct pn_dns_seen *seen)
{
    return (uint32_t)pn_str_hash(seen->name, seen->type, true);
}

bool pn_facts_add_dns(struct pn_facts *f, const struct pn_dns_seen *seen)
{
    uint32_t hash = dns_hash(seen);
    for (size_t i = 0; i < f->dns_count; i++)
        if (f->dns_hashes[i] == hash && f->dns[i].type == seen->type &&
            pn_str_ieq(f->dns[i].name, seen->name))
            return true;
    struct pn_dns_seen add = *seen;
    size_t hash_cap = f->dns_cap;
    if (add.count > PN_FACTS_ANSWERS_MAX ||
        !room(f->pool, &f->dns_hashes, &hash_cap, f->dns_count, sizeof *f->dns_hashes,
              PN_FACTS_DNS_MAX) ||
        !room(f->pool, &f->dns, &f->dns_cap, f->dns_count, sizeof *f->dns, PN_FACTS_DNS_MAX) ||
        !copy(f->pool, &add.name))
        return false;
    struct pn_str *answers = pn_pool_alloc(f->pool, add.count * sizeof *answers);
    if (answers == NULL)
        return false;
    for (uint32_t i = 0; i < add.count; i++) {
        answers[i] = seen->answers[i];
        if (!copy(f->pool, &answers[i]))
            return false;
    }
    add.answers = answers;
    f->dns_hashes[f->dns_count] = hash;
    f->dns[f->dns_count++] = add;
    return true;
}

static uint32_t state_hash(struct pn_str plugin, struct pn_str key)
{
    return (uint32_t)pn_str_hash(key, pn_str_hash(plugin, 0, false), false);
}

static struct pn_state_seen *find_state(const struct pn_facts *f, uint32_t hash,
                                        const struct pn_state_seen *like)
{
    for (size_t i = 0; i < f->state_count; i++) {
        struct pn_state_seen *s = &f->state[i];
        if (f->state_hashes[i] == hash && s->op == like->op &&
            (s->op == PN_STATE_GET || s->step == like->step) && pn_str_eq(s->key, like->key) &&
            pn_str_eq(s->plugin, like->plugin))
            return s;
    }
    return NULL;
}

const struct pn_state_seen *pn_facts_state(const struct pn_facts *f, struct pn_str plugin,
                                           enum pn_state_op op, struct pn_str key, uint32_t step)
{
    const struct pn_state_seen like = {
        .plugin = plugin, .key = key, .op = (uint8_t)op, .step = step};
    return f->state_count == 0 ? NULL : find_state(f, state_hash(plugin, key), &like);
}

bool pn_facts_add_state(struct pn_facts *f, const struct pn_state_seen *seen)
{
    struct pn_state_seen add = *seen;
    uint32_t hash = state_hash(seen->plugin, seen->key);
    struct pn_state_seen *there = find_state(f, hash, seen);
    size_t hash_cap = f->state_cap;
    if (there != NULL && seen->op != PN_STATE_PUT)
        return true;
    if (!copy(f->pool, &add.value))
        return false;
    if (there != NULL) {
        add.plugin = there->plugin;
        add.key = there->key;
        *there = add;
        return true;
    }
    if (!room(f->pool, &f->state_hashes, &hash_cap, f->state_count, sizeof *f->state_hashes,
              PN_FACTS_STATE_MAX) ||
        !room(f->pool, &f->state, &f->state_cap, f->state_count, sizeof *f->state,
              PN_FACTS_STATE_MAX) ||
        !copy(f->pool, &add.plugin) || !copy(f->pool, &add.key))
        return false;
    f->state_hashes[f->state_count] = hash;
    f->state[f->state_count++] = add;
    return true;
}

bool pn_facts_merge(struct pn_facts *f, const struct pn_facts *from)
{
    bool ok = true;
    for (size_t i = 0; i < from->symbol_count; i++)
        ok = pn_facts_add_symbol(f, &from->symbols[i]) && ok;
    for (size_t i = 0; i < from->auth_count; i++)
        ok = pn_facts_add_auth(f, &from->auth[i]) && ok;
    for (size_t i = 0; i < from->note_count; i++)
        ok = pn_facts_set_note(f, &from->notes[i]) && ok;
    for (size_t i = 0; i < from->edit_count; i++)
        ok = pn_facts_add_edit(f, &from->edits[i]) && ok;
    for (size_t i = 0; i < from->run_count; i++)
        ok = pn_facts_add_run(f, &from->runs[i]) && ok;
    for (size_t i = 0; i < from->dns_count; i++)
        ok = pn_facts_add_dns(f, &from->dns[i]) && ok;
    for (size_t i = 0; i < from->state_count; i++)
        ok = pn_facts_add_state(f, &from->state[i]) && ok;
    return ok;
}

const struct pn_fact *pn_facts_find(const struct pn_facts *f, struct pn_str name)
{
    for (size_t i = 0; i < f->symbol_count; i++)
        if (pn_str_eq(f->symbols[i].name, name))
            return &f->symbols[i];
    return NULL;
}

const struct pn_auth *pn_facts_auth(const struct pn_facts *f, struct pn_str method, size_t n)
{
    for (size_t i = 0; i < f->auth_count; i++)
        if (pn_str_ieq(f->auth[i].method, method) && n-- == 0)
            return &f->auth[i];
    return NULL;
}

struct pn_str pn_auth_get(const struct pn_auth *auth, struct pn_str property)
{
    for (uint32_t i = 0; i < auth->count; i++)
        if (pn_str_eq(auth->properties[i].name, property))
            return auth->properties[i].value;
    return PN_STR("");
}
