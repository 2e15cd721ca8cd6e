#include "facts.h"

enum { FACTS_VERSION = 1, ROUND_UP = 8 };

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

bool pn_facts_add_symbol(struct pn_facts *f, const struct pn_fact *fact)
{
    struct pn_fact add = *fact;
    add.detail = detail_cut(add.detail);
    uint32_t hash = symbol_hash(&add);
    if (symbol_is_there(f, &add, hash))
        return true;
    size_t hash_cap = f->symbol_cap;
    if (!room(f->pool, &f->symbol_hashes, &hash_cap, f->symbol_count, sizeof *f->symbol_hashes,
              PN_FACTS_SYMBOLS_MAX) ||
        !room(f->pool, &f->symbols, &f->symbol_cap, f->symbol_count, sizeof *f->symbols,
              PN_FACTS_SYMBOLS_MAX) ||
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
    if (!room(f->pool, &f->edits, &f->edit_cap, f->edit_count, sizeof *f->edits,
              PN_FACTS_EDITS_MAX) ||
        !copy(f->pool, &add.plugin) || !copy(f->pool, &add.name) || !copy(f->pool, &add.value))
        return false;
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
        if (badness(run->status) > badness(there->status)) {
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

/* ---- the wire form: a version, then each kind as a count and its items ---- */

static void put_symbols(struct pn_buf *out, const struct pn_facts *f)
{
    pn_wr_u32(out, (uint32_t)f->symbol_count);
    for (size_t i = 0; i < f->symbol_count; i++) {
        const struct pn_fact *s = &f->symbols[i];
        pn_wr_str(out, s->name);
        pn_wr_str(out, s->plugin);
        pn_wr_str(out, s->detail);
        pn_wr_u32(out, (uint32_t)s->weight);
        pn_wr_u32(out, s->rcpt);
    }
}

static void put_auth(struct pn_buf *out, const struct pn_facts *f)
{
    pn_wr_u32(out, (uint32_t)f->auth_count);
    for (size_t i = 0; i < f->auth_count; i++) {
        const struct pn_auth *a = &f->auth[i];
        pn_wr_str(out, a->plugin);
        pn_wr_str(out, a->method);
        pn_wr_str(out, a->result);
        pn_wr_u32(out, a->count);
        for (uint32_t k = 0; k < a->count; k++) {
            pn_wr_str(out, a->properties[k].name);
            pn_wr_str(out, a->properties[k].value);
        }
    }
}

static void put_notes(struct pn_buf *out, const struct pn_facts *f)
{
    pn_wr_u32(out, (uint32_t)f->note_count);
    for (size_t i = 0; i < f->note_count; i++) {
        pn_wr_str(out, f->notes[i].plugin);
        pn_wr_str(out, f->notes[i].key);
        pn_wr_str(out, f->notes[i].value);
    }
}

static void put_edits(struct pn_buf *out, const struct pn_facts *f)
{
    pn_wr_u32(out, (uint32_t)f->edit_count);
    for (size_t i = 0; i < f->edit_count; i++) {
        pn_wr_u8(out, (uint8_t)f->edits[i].op);
        pn_wr_str(out, f->edits[i].plugin);
        pn_wr_str(out, f->edits[i].name);
        pn_wr_str(out, f->edits[i].value);
        pn_wr_u32(out, f->edits[i].index);
    }
}

static void put_runs(struct pn_buf *out, const struct pn_facts *f)
{
    pn_wr_u32(out, (uint32_t)f->run_count);
    for (size_t i = 0; i < f->run_count; i++) {
        pn_wr_str(out, f->runs[i].plugin);
        pn_wr_u8(out, (uint8_t)f->runs[i].status);
        pn_wr_u32(out, f->runs[i].us);
        pn_wr_str(out, f->runs[i].reason);
    }
}

static void put_dns(struct pn_buf *out, const struct pn_facts *f)
{
    pn_wr_u32(out, (uint32_t)f->dns_count);
    for (size_t i = 0; i < f->dns_count; i++) {
        const struct pn_dns_seen *d = &f->dns[i];
        pn_wr_str(out, d->name);
        pn_wr_u16(out, d->type);
        pn_wr_u16(out, d->rcode);
        pn_wr_u8(out, d->secure);
        pn_wr_u32(out, d->count);
        for (uint32_t k = 0; k < d->count; k++)
            pn_wr_str(out, d->answers[k]);
    }
}

void pn_facts_put(struct pn_buf *out, const struct pn_facts *f)
{
    pn_wr_u8(out, FACTS_VERSION);
    put_symbols(out, f);
    put_auth(out, f);
    put_notes(out, f);
    put_edits(out, f);
    put_runs(out, f);
    put_dns(out, f);
}

static bool get_symbols(struct pn_rd *r, struct pn_facts *f)
{
    for (uint32_t n = pn_rd_count(r, 20); n > 0; n--) {
        struct pn_fact s;
        s.name = pn_rd_str(r);
        s.plugin = pn_rd_str(r);
        s.detail = pn_rd_str(r);
        s.weight = (int32_t)pn_rd_u32(r);
        s.rcpt = pn_rd_u32(r);
        if (!pn_rd_ok(r) || !pn_facts_add_symbol(f, &s))
            return false;
    }
    return pn_rd_ok(r);
}

static bool get_auth(struct pn_rd *r, struct pn_facts *f)
{
    for (uint32_t n = pn_rd_count(r, 16); n > 0; n--) {
        struct pn_pair pairs[PN_FACTS_PROPERTIES_MAX];
        struct pn_auth a;
        a.plugin = pn_rd_str(r);
        a.method = pn_rd_str(r);
        a.result = pn_rd_str(r);
        a.count = pn_rd_count(r, 8);
        a.properties = pairs;
        if (a.count > PN_FACTS_PROPERTIES_MAX)
            return false;
        for (uint32_t k = 0; k < a.count; k++) {
            pairs[k].name = pn_rd_str(r);
            pairs[k].value = pn_rd_str(r);
        }
        if (!pn_rd_ok(r) || !pn_facts_add_auth(f, &a))
            return false;
    }
    return pn_rd_ok(r);
}

static bool get_notes(struct pn_rd *r, struct pn_facts *f)
{
    for (uint32_t n = pn_rd_count(r, 12); n > 0; n--) {
        struct pn_note note;
        note.plugin = pn_rd_str(r);
        note.key = pn_rd_str(r);
        note.value = pn_rd_str(r);
        if (!pn_rd_ok(r) || !pn_facts_set_note(f, &note))
            return false;
    }
    return pn_rd_ok(r);
}

static bool get_edits(struct pn_rd *r, struct pn_facts *f)
{
    for (uint32_t n = pn_rd_count(r, 17); n > 0; n--) {
        uint8_t op = pn_rd_u8(r);
        struct pn_fact_edit edit;
        edit.op = (enum pn_fact_edit_op)op;
        edit.plugin = pn_rd_str(r);
        edit.name = pn_rd_str(r);
        edit.value = pn_rd_str(r);
        edit.index = pn_rd_u32(r);
        if (!pn_rd_ok(r) || op > PN_FACT_REMOVE_HEADER || !pn_facts_add_edit(f, &edit))
            return false;
    }
    return pn_rd_ok(r);
}

static bool get_runs(struct pn_rd *r, struct pn_facts *f)
{
    for (uint32_t n = pn_rd_count(r, 13); n > 0; n--) {
        struct pn_plugin_run run;
        run.plugin = pn_rd_str(r);
        uint8_t status = pn_rd_u8(r);
        run.status = (enum pn_plugin_status)status;
        run.us = pn_rd_u32(r);
        run.reason = pn_rd_str(r);
        if (!pn_rd_ok(r) || status > PN_PLUGIN_GIVEN || !pn_facts_add_run(f, &run))
            return false;
    }
    return pn_rd_ok(r);
}

static bool get_dns(struct pn_rd *r, struct pn_facts *f)
{
    for (uint32_t n = pn_rd_count(r, 13); n > 0; n--) {
        struct pn_str answers[PN_FACTS_ANSWERS_MAX];
        struct pn_dns_seen d = {.answers = answers};
        d.name = pn_rd_str(r);
        d.type = pn_rd_u16(r);
        d.rcode = pn_rd_u16(r);
        d.secure = pn_rd_u8(r) != 0;
        d.count = pn_rd_count(r, 4);
        if (d.count > PN_FACTS_ANSWERS_MAX)
            return false;
        for (uint32_t k = 0; k < d.count; k++)
            answers[k] = pn_rd_str(r);
        if (!pn_rd_ok(r) || !pn_facts_add_dns(f, &d))
            return false;
    }
    return pn_rd_ok(r);
}

bool pn_facts_get(struct pn_rd *r, struct pn_facts *f)
{
    return pn_rd_u8(r) == FACTS_VERSION && get_symbols(r, f) && get_auth(r, f) && get_notes(r, f) &&
           get_edits(r, f) && get_runs(r, f) && get_dns(r, f);
}
