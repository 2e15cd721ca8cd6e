/* Proves once what every reader of an image takes for granted. */
#include "image.h"

#include "policy.h"
#include "rows.h"

struct check {
    const char *base;
    size_t size;
    size_t steps; /* elements looked at: lists that overlap must not take for ever */
    struct pn_buf *err;
};

static bool fail(struct check *c, const char *what)
{
    (void)pn_buf_addf(c->err, "the compiled policy is not whole: %s", what);
    return false;
}

static bool str_ok(const struct check *c, struct img_str s)
{
    return s.off < c->size && s.len < c->size - s.off && c->base[s.off + s.len] == '\0';
}

static bool list_ok(struct check *c, struct img_list list, size_t elem)
{
    if (list.off % 8 != 0 || list.off > c->size || list.count > (c->size - list.off) / elem)
        return false;
    c->steps += list.count;
    return c->steps / 64 <= c->size;
}

/* ---- settings ---- */

static bool block_ok(struct check *c, uint32_t off, uint32_t behind, int depth);

static bool values_ok(struct check *c, const struct img_row *row, uint32_t self, int depth)
{
    const struct img_value *values = img_at(c->base, row->values.off);
    for (uint32_t i = 0; i < row->values.count; i++) {
        bool is_block = row->type == POSTERN_T_BLOCK;
        if (!str_ok(c, values[i].text) || !str_ok(c, values[i].where) || values[i].bits > 128)
            return fail(c, "a value");
        if (is_block != (values[i].block != 0))
            return fail(c, "a block among values");
        if (is_block && !block_ok(c, values[i].block, self, depth + 1))
            return false;
    }
    return true;
}

static bool block_ok(struct check *c, uint32_t off, uint32_t behind, int depth)
{
    if (off % 8 != 0 || off <= behind || off > c->size ||
        c->size - off < sizeof(struct postern_block) || depth >= IMG_BLOCK_DEPTH)
        return fail(c, "a block's place");
    const struct postern_block *b = img_at(c->base, off);
    if (b->self != off || !list_ok(c, b->rows, sizeof(struct img_row)) || !str_ok(c, b->title) ||
        !str_ok(c, b->where))
        return fail(c, "a block");
    const struct img_row *rows = img_at(c->base, b->rows.off);
    for (uint32_t i = 0; i < b->rows.count; i++) {
        if (!str_ok(c, rows[i].name) || rows[i].type >= PN_T_END ||
            !list_ok(c, rows[i].values, sizeof(struct img_value)))
            return fail(c, "a row");
        if (!values_ok(c, &rows[i], off, depth))
            return false;
    }
    return true;
}

/* ---- tables ---- */

static bool strs_ok(const struct check *c, struct img_list list)
{
    const struct img_str *s = img_at(c->base, list.off);
    for (uint32_t i = 0; i < list.count; i++)
        if (!str_ok(c, s[i]))
            return false;
    return true;
}

/* A power of two, every index there, and a free slot at which a search ends. */
static bool slots_ok(struct check *c, struct img_list slots, uint32_t count)
{
    bool is_free = false;
    if (!list_ok(c, slots, sizeof(uint32_t)) || slots.count == 0 ||
        (slots.count & (slots.count - 1)) != 0)
        return false;
    const uint32_t *s = img_at(c->base, slots.off);
    for (uint32_t i = 0; i < slots.count; i++) {
        if (s[i] > count)
            return false;
        is_free = is_free || s[i] == 0;
    }
    return is_free;
}

static bool plugins_ok(struct check *c, const struct img_header *h)
{
    if (!list_ok(c, h->plugins, sizeof(struct pn_plugin_row)) ||
        h->plugins.count > IMG_PLUGINS_MAX || h->groups > h->plugins.count)
        return fail(c, "the plugins");
    const struct pn_plugin_row *p = img_at(c->base, h->plugins.off);
    for (uint32_t i = 0; i < h->plugins.count; i++) {
        if (!str_ok(c, p[i].name) || !str_ok(c, p[i].file) || !str_ok(c, p[i].version) ||
            !str_ok(c, p[i].where) || p[i].stages >> POSTERN_STAGES != 0 ||
            p[i].group >= h->groups || p[i].rank >= IMG_PLUGINS_MAX || p[i].alone > 1 ||
            p[i].after >> i != 0 || p[i].self != h->plugins.off + i * sizeof *p ||
            p[i].on_failure > POSTERN_FAIL_QUARANTINE || p[i].edits > PN_EDITS_ALL ||
            p[i].methods > PN_METHOD_IPREV || p[i].none != 0)
            return fail(c, "a plugin");
        if (!block_ok(c, p[i].settings, 0, 0))
            return false;
    }
    return true;
}

static bool rules_ok(struct check *c, struct img_list list, uint32_t symbols)
{
    if (!list_ok(c, list, sizeof(struct img_rule)))
        return false;
    const struct img_rule *r = img_at(c->base, list.off);
    for (uint32_t i = 0; i < list.count; i++) {
        if (r[i].symbol >= symbols || (i > 0 && r[i - 1].symbol > r[i].symbol) ||
            r[i].flags > IMG_FLAGS || r[i].outcome > PN_REJECT || !str_ok(c, r[i].detail) ||
            !str_ok(c, r[i].reply) || !str_ok(c, r[i].where) || !str_ok(c, r[i].text))
            return false;
    }
    return true;
}

static bool entries_ok(struct check *c, struct img_list list)
{
    if (!list_ok(c, list, sizeof(struct img_entry)))
        return false;
    const struct img_entry *e = img_at(c->base, list.off);
    for (uint32_t i = 0; i < list.count; i++) {
        if (e[i].kind >= IMG_ENTRY_KINDS || e[i].condition >= IMG_CONDITIONS || e[i].bits > 128 ||
            !str_ok(c, e[i].pattern) || !str_ok(c, e[i].local) || !str_ok(c, e[i].domain) ||
            !str_ok(c, e[i].reply) || !str_ok(c, e[i].where) || !str_ok(c, e[i].text))
            return false;
    }
    return true;
}

static bool thresholds_ok(const struct check *c, const struct img_threshold *t)
{
    for (int i = 0; i < IMG_THRESHOLDS; i++)
        if (!str_ok(c, t[i].reply) || !str_ok(c, t[i].where) || !str_ok(c, t[i].text))
            return false;
    return true;
}

static bool policies_ok(struct check *c, const struct img_header *h)
{
    if (!list_ok(c, h->policies, sizeof(struct img_policy)) || h->policies.count == 0)
        return fail(c, "the policies");
    const struct img_policy *p = img_at(c->base, h->policies.off);
    for (uint32_t i = 0; i < h->policies.count; i++)
        if (!rules_ok(c, p[i].rules, h->symbols.count) || !entries_ok(c, p[i].deny) ||
            !entries_ok(c, p[i].allow) || !thresholds_ok(c, p[i].thresholds))
            return fail(c, "a policy");
    return true;
}

static bool domains_ok(struct check *c, const struct img_header *h)
{
    if (!list_ok(c, h->domains, sizeof(struct pn_domain)) || h->domains.count == 0 ||
        !slots_ok(c, h->domain_slots, h->domains.count))
        return fail(c, "the domains");
    const struct pn_domain *d = img_at(c->base, h->domains.off);
    for (uint32_t i = 0; i < h->domains.count; i++)
        if (!str_ok(c, d[i].name) || !str_ok(c, d[i].host) || !str_ok(c, d[i].list) ||
            !str_ok(c, d[i].recipients_where) || !str_ok(c, d[i].route_where) ||
            d[i].policy >= h->policies.count || d[i].recipients > PN_RCPT_ANY ||
            d[i].route > PN_ROUTE_LMTP || d[i].port > UINT16_MAX || d[i].users.off > c->size ||
            d[i].mixed_split > 1)
            return fail(c, "a domain");
    return true;
}

static bool alias_list_ok(struct check *c, struct img_list list)
{
    if (!list_ok(c, list, sizeof(struct img_alias)))
        return false;
    const struct img_alias *a = img_at(c->base, list.off);
    for (uint32_t i = 0; i < list.count; i++)
        if (!str_ok(c, a[i].name) || !str_ok(c, a[i].where) || !str_ok(c, a[i].text) ||
            !list_ok(c, a[i].targets, sizeof(struct img_str)) || !strs_ok(c, a[i].targets))
            return false;
    return true;
}

static bool aliases_ok(struct check *c, const struct img_header *h)
{
    const struct pn_domain *d = img_at(c->base, h->domains.off);
    for (uint32_t i = 0; i < h->domains.count; i++)
        if (!alias_list_ok(c, d[i].aliases) || !alias_list_ok(c, d[i].catch_all))
            return fail(c, "an alias");
    return true;
}

/* Lists of users may be shared by many domains: those of neighbours are walked once. */
static bool users_ok(struct check *c, const struct img_header *h)
{
    const struct pn_domain *d = img_at(c->base, h->domains.off);
    struct img_list last = {0, 0};
    for (uint32_t i = 0; i < h->domains.count; i++) {
        if (d[i].users.off == last.off && d[i].users.count == last.count)
            continue;
        last = d[i].users;
        if (!list_ok(c, last, sizeof(struct img_str)) || !strs_ok(c, last))
            return fail(c, "a list of users");
    }
    return true;
}

/* The core's settings are read by name without a second look: each row is there with its
 * type, and with a value where it has a default. */
static int64_t choices(const char *words)
{
    int64_t n = words != NULL;
    for (; words != NULL && *words != '\0'; words++)
        n += *words == '|';
    return n;
}

/* As many values as readers count on. */
static bool count_ok(const struct postern_row *want, uint32_t count)
{
    bool several = (want->flags & (POSTERN_ROW_LIST | POSTERN_ROW_REPEAT)) != 0;
    bool is_block = want->type == POSTERN_T_BLOCK && (want->flags & POSTERN_ROW_TITLED) == 0;
    bool must = want->def != NULL || (want->flags & POSTERN_ROW_REQUIRED) != 0;
    for (const struct postern_row *r = want->rows; is_block && !several && r->name != NULL; r++)
        is_block = (r->flags & POSTERN_ROW_REQUIRED) == 0;
    return several ? count > 0 || !must : count <= 1 && (count == 1 || !(must || is_block));
}

static bool core_ok(struct check *c, const struct postern_block *b, const struct postern_row *want)
{
    const struct img_row *rows = img_at(c->base, b->rows.off);
    uint32_t i = 0;
    for (; want->name != NULL; want++, i++) {
        if (i >= b->rows.count ||
            !pn_str_eq(img_text(c->base, rows[i].name), pn_str_of(want->name)) ||
            rows[i].type != (uint32_t)want->type || !count_ok(want, rows[i].values.count))
            return fail(c, "the core's settings");
        const struct img_value *v = img_at(c->base, rows[i].values.off);
        for (uint32_t k = 0; k < rows[i].values.count; k++) {
            if (want->choices != NULL && (v[k].number < 0 || v[k].number >= choices(want->choices)))
                return fail(c, "a choice");
            if (want->type == POSTERN_T_BLOCK &&
                !core_ok(c, img_at(c->base, v[k].block), want->rows))
                return false;
        }
    }
    return i == b->rows.count || fail(c, "a setting that is unknown here");
}

static bool mailboxes_ok(struct check *c, const struct img_header *h)
{
    const struct pn_domain *d = img_at(c->base, h->domains.off);
    for (uint32_t i = 0; i < h->domains.count; i++) {
        if (d[i].unused != 0)
            return fail(c, "a domain");
        if (d[i].mailbox != 0 &&
            (!block_ok(c, d[i].mailbox, 0, 0) ||
             !core_ok(c, img_at(c->base, d[i].mailbox), pn_domain_mailbox_rows)))
            return false;
    }
    return true;
}

bool image_check(const char *base, size_t size, struct pn_buf *err)
{
    struct check c = {base, size, 0, err};
    const struct img_header *h = img_header(base);
    static const char magic[8] = IMG_MAGIC_BYTES;
    if (size < sizeof *h || size > UINT32_MAX || (uintptr_t)base % 8 != 0)
        return fail(&c, "its size");
    if (memcmp(h->magic, magic, sizeof magic) != 0 || h->size != size)
        return fail(&c, "its beginning");
    if (h->version != IMG_VERSION) {
        (void)pn_buf_addf(err, "the compiled policy is of version %u, this program reads %d",
                          (unsigned)h->version, IMG_VERSION);
        return false;
    }
    if (!str_ok(&c, h->generation) || !list_ok(&c, h->symbols, sizeof(struct img_str)) ||
        !strs_ok(&c, h->symbols) || !slots_ok(&c, h->symbol_slots, h->symbols.count))
        return fail(&c, "its tables");
    for (int i = 0; i < IMG_REPLIES; i++)
        if (!str_ok(&c, h->replies[i]))
            return fail(&c, "a reply");
    return block_ok(&c, h->core, 0, 0) && core_ok(&c, img_at(base, h->core), pn_core_rows) &&
           plugins_ok(&c, h) && policies_ok(&c, h) && domains_ok(&c, h) && users_ok(&c, h) &&
           aliases_ok(&c, h) && mailboxes_ok(&c, h);
}
