/* The wire form of facts: a version, then each kind as a count and its items. */
#include "facts.h"

#include <postern/plugin.h>

/* 2: lasting state. 3: edits beyond the header. 4: whose state it was. */
enum { FACTS_VERSION = 4 };

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

static void put_state(struct pn_buf *out, const struct pn_facts *f)
{
    pn_wr_u32(out, (uint32_t)f->state_count);
    for (size_t i = 0; i < f->state_count; i++) {
        const struct pn_state_seen *s = &f->state[i];
        pn_wr_str(out, s->plugin);
        pn_wr_str(out, s->key);
        pn_wr_u8(out, s->op);
        pn_wr_u8(out, s->result);
        pn_wr_u8(out, s->when);
        pn_wr_u8(out, s->session);
        pn_wr_u8(out, s->local);
        pn_wr_u32(out, s->step);
        pn_wr_u32(out, s->left);
        pn_wr_u64(out, s->ttl_ms);
        pn_wr_str(out, s->value);
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
    put_state(out, f);
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
        if (!pn_rd_ok(r) || op >= PN_FACT_EDIT_OPS || !pn_facts_add_edit(f, &edit))
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

static bool get_state(struct pn_rd *r, struct pn_facts *f)
{
    for (uint32_t n = pn_rd_count(r, 32); n > 0; n--) {
        struct pn_state_seen s;
        s.plugin = pn_rd_str(r);
        s.key = pn_rd_str(r);
        s.op = pn_rd_u8(r);
        s.result = pn_rd_u8(r);
        s.when = pn_rd_u8(r);
        uint8_t session = pn_rd_u8(r), local = pn_rd_u8(r);
        s.session = session == 1;
        s.local = local == 1;
        s.step = pn_rd_u32(r);
        s.left = pn_rd_u32(r);
        s.ttl_ms = pn_rd_u64(r);
        s.value = pn_rd_str(r);
        if (!pn_rd_ok(r) || s.op >= PN_STATE_OPS || s.result >= PN_STATE_RESULTS ||
            s.when > POSTERN_STATE_REFUSED || session > 1 || local > 1 ||
            s.key.len > POSTERN_STATE_KEY_MAX || s.value.len > POSTERN_STATE_VALUE_MAX ||
            !pn_facts_add_state(f, &s))
            return false;
    }
    return pn_rd_ok(r);
}

bool pn_facts_get(struct pn_rd *r, struct pn_facts *f)
{
    return pn_rd_u8(r) == FACTS_VERSION && get_symbols(r, f) && get_auth(r, f) && get_notes(r, f) &&
           get_edits(r, f) && get_runs(r, f) && get_dns(r, f) && get_state(r, f);
}
