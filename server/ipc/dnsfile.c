#include "dnsfile_int.h"

#include "assert.h"
#include "mem.h"

#include <stdlib.h>

/* What one type of one name is answered with. */
struct set {
    uint16_t type; /* 0: a state for all types */
    bool state, secure;
    uint16_t rcode; /* of a state */
    uint32_t count;
    const struct pn_dns_record *records;
};

/* A name that exists, or that only an NXDOMAIN line is about. name is a tail of some
 * owner: on the wire, what stands behind any label is a name too. */
struct node {
    const unsigned char *name; /* NULL: a free slot */
    uint32_t len;
    bool exists; /* and so do its ancestors */
    uint32_t first_set, sets;
};

struct pn_dnsfile {
    struct pn_pool *pool; /* owner names and data */
    struct pn_dns_record *records;
    struct set *sets;
    struct node *nodes; /* open addressing, a power of two */
    size_t node_cap, node_count;
};

/* ---- the table of names ---- */

static struct node *slot(const struct pn_dnsfile *f, const unsigned char *name, size_t len)
{
    struct pn_str s = {(const char *)name, len};
    size_t mask = f->node_cap - 1;
    size_t i = (size_t)pn_str_hash(s, 0, false) & mask;
    while (f->nodes[i].name != NULL &&
           (f->nodes[i].len != len || memcmp(f->nodes[i].name, name, len) != 0))
        i = (i + 1) & mask;
    return &f->nodes[i];
}

static const struct node *node_find(const struct pn_dnsfile *f, const unsigned char *name,
                                    size_t len)
{
    const struct node *n = slot(f, name, len);
    return n->name == NULL ? NULL : n;
}

static void table_grow(struct pn_dnsfile *f)
{
    struct node *old = f->nodes;
    size_t cap = f->node_cap;
    f->node_cap = cap == 0 ? 64 : cap * 2;
    f->nodes = pn_calloc(f->node_cap, sizeof *f->nodes);
    for (size_t i = 0; i < cap; i++)
        if (old[i].name != NULL)
            *slot(f, old[i].name, old[i].len) = old[i];
    free(old);
}

static struct node *node_make(struct pn_dnsfile *f, const unsigned char *name, size_t len)
{
    if (f->node_count >= f->node_cap / 2)
        table_grow(f);
    struct node *n = slot(f, name, len);
    if (n->name == NULL) {
        *n = (struct node){.name = name, .len = (uint32_t)len};
        f->node_count++;
    }
    return n;
}

static void make_ancestors(struct pn_dnsfile *f, const unsigned char *name, size_t len)
{
    for (;;) {
        struct node *n = node_make(f, name, len);
        if (n->exists)
            return;
        n->exists = true;
        if (len == 1)
            return;
        len -= 1U + name[0];
        name += 1U + name[0];
    }
}

/* ---- from lines to sets ---- */

static int by_owner(const struct dnsfile_entry *x, const struct dnsfile_entry *y)
{
    if (x->owner_len != y->owner_len)
        return x->owner_len < y->owner_len ? -1 : 1;
    return memcmp(x->owner, y->owner, x->owner_len);
}

/* Owner, type, states first, data; then as written, so that the order is total. */
static int by_set(const void *a, const void *b)
{
    const struct dnsfile_entry *x = a, *y = b;
    int order = by_owner(x, y);
    if (order == 0 && x->type != y->type)
        order = x->type < y->type ? -1 : 1;
    if (order == 0 && x->state != y->state)
        order = x->state ? -1 : 1;
    if (order == 0)
        order = pn_str_cmp(x->data, y->data);
    if (order == 0)
        order = x->line < y->line ? -1 : x->line > y->line;
    return order;
}

struct builder {
    struct pn_dnsfile *f;
    const char *file;
    struct pn_buf *err;
    size_t sets, records; /* made so far */
};

static bool fail(struct builder *b, const struct dnsfile_entry *e, const char *what)
{
    (void)pn_buf_addf(b->err, "%s:%u:%u: %s", b->file, e->line, e->column, what);
    return false;
}

/* Makes a set of e[0..count), which share owner and type. */
static bool make_set(struct builder *b, const struct dnsfile_entry *e, size_t count)
{
    struct pn_dns_record *records = b->f->records + b->records;
    struct set *set = &b->f->sets[b->sets++];
    size_t bytes = 0;
    *set = (struct set){.type = e->type, .records = records};
    for (size_t i = 0; i < count; i++) {
        if (e[i].state && e[i].rcode == DNSFILE_SECURE) {
            set->secure = true;
            continue;
        }
        if (e[i].state && set->state && e[i].rcode != set->rcode)
            return fail(b, &e[i], "a second state for this name and type, expected one");
        if (e[i].state)
            set->rcode = e[i].rcode;
        set->state = set->state || e[i].state;
        if (set->state)
            continue;
        if (set->count != 0 && pn_str_eq(records[set->count - 1].data, e[i].data))
            continue;
        if (set->count == (e->type == PN_DNS_CNAME ? 1 : PN_DNS_RECORDS_MAX))
            return fail(b, &e[i], "too many records, expected at most 256 of a type, one CNAME");
        bytes += e[i].data.len;
        if (bytes > PN_DNS_DATA_MAX)
            return fail(b, &e[i], "too much data, expected at most 48 KiB of a type");
        records[set->count++] = (struct pn_dns_record){e[i].ttl, e[i].data};
    }
    b->records += set->count;
    set->state = set->state || set->count == 0; /* SECURE alone */
    return true;
}

/* Makes the sets of the owner that `all` begins with. Returns the lines used, 0: an error. */
static size_t make_owner(struct builder *b, const struct dnsfile_entry *all, size_t count)
{
    size_t used = 0, first_set = b->sets;
    bool exists = false;
    while (used < count && by_owner(all, &all[used]) == 0) {
        const struct dnsfile_entry *e = &all[used];
        size_t n = 1;
        while (used + n < count && by_owner(e, &e[n]) == 0 && e[n].type == e->type)
            n++;
        if (!make_set(b, e, n))
            return 0;
        exists = exists || !e->state || e->type != 0 || e->rcode != PN_DNS_NXDOMAIN;
        used += n;
    }
    if (exists)
        make_ancestors(b->f, all->owner, all->owner_len);
    struct node *node = node_make(b->f, all->owner, all->owner_len);
    node->first_set = (uint32_t)first_set;
    node->sets = (uint32_t)(b->sets - first_set);
    return used;
}

static bool build(struct pn_dnsfile *f, struct dnsfile_entries *all, const char *file,
                  struct pn_buf *err)
{
    struct builder b = {.f = f, .file = file, .err = err};
    if (all->count != 0)
        qsort(all->e, all->count, sizeof *all->e, by_set);
    f->records = pn_calloc(all->count + 1, sizeof *f->records);
    f->sets = pn_calloc(all->count + 1, sizeof *f->sets);
    table_grow(f);
    for (size_t i = 0, used; i < all->count; i += used) {
        used = make_owner(&b, all->e + i, all->count - i);
        if (used == 0)
            return false;
    }
    return true;
}

struct pn_dnsfile *pn_dnsfile_parse(struct pn_str text, const char *file, struct pn_buf *err)
{
    struct pn_dnsfile *f = pn_calloc(1, sizeof *f);
    struct dnsfile_entries all = {0};
    /* A short line below a long $ORIGIN makes an owner of 255 bytes. */
    size_t limit = text.len > PN_DNSFILE_MAX ? 0 : text.len * 64;
    f->pool = pn_pool_new(limit + 65536);
    if (!dnsfile_read(text, file, f->pool, &all, err) || !build(f, &all, file, err))
        pn_dnsfile_free(&f);
    free(all.e);
    return f;
}

void pn_dnsfile_free(struct pn_dnsfile **fp)
{
    struct pn_dnsfile *f = *fp;
    if (f == NULL)
        return;
    pn_pool_free(&f->pool);
    free(f->records);
    free(f->sets);
    free(f->nodes);
    free(f);
    *fp = NULL;
}

/* ---- answers ---- */

/* The name itself, or the wildcard that stands for it; NULL: there is none. */
static const struct node *node_for(const struct pn_dnsfile *f, const unsigned char *name,
                                   size_t len)
{
    unsigned char wild[PN_DNS_NAME_MAX + 2] = {1, '*'};
    const struct node *n = node_find(f, name, len);
    while (n == NULL && len > 1) {
        len -= 1U + name[0];
        name += 1U + name[0];
        if (node_find(f, name, len) == NULL)
            continue;
        memcpy(wild + 2, name, len); /* this is the closest encloser, and the only one asked */
        return node_find(f, wild, len + 2);
    }
    return n;
}

/* What the node says of the type; NULL: it exists and has none. */
static const struct set *set_for(const struct pn_dnsfile *f, const struct node *node, uint16_t type)
{
    const struct set *cname = NULL, *all = NULL;
    for (uint32_t i = 0; i < node->sets; i++) {
        const struct set *s = &f->sets[node->first_set + i];
        if (s->type == type)
            return s;
        if (s->type == PN_DNS_CNAME && !s->state)
            cname = s;
        if (s->type == 0)
            all = s;
    }
    return cname != NULL ? cname : all;
}

void pn_dnsfile_find(const struct pn_dnsfile *f, struct pn_str name, uint16_t type,
                     struct pn_dns_answer *out)
{
    unsigned char wire[PN_DNS_NAME_MAX];
    size_t len = pn_dns_name_to_wire(name, wire);
    struct pn_str target = PN_STR("");
    *out = (struct pn_dns_answer){.rcode = PN_DNS_NXDOMAIN};
    if (len == 0)
        return;
    for (int hop = 0; hop <= PN_DNSFILE_CNAMES_MAX; hop++) {
        const struct node *node = node_for(f, wire, len);
        out->target = target;
        if (node == NULL)
            return;
        const struct set *set = set_for(f, node, type);
        if (set == NULL || set->state) {
            out->rcode = set == NULL ? PN_DNS_NOERROR : set->rcode;
            out->secure = set != NULL && set->secure;
            return;
        }
        if (set->type == type) {
            *out = (struct pn_dns_answer){.rcode = PN_DNS_NOERROR,
                                          .secure = set->secure,
                                          .count = set->count,
                                          .records = set->records,
                                          .target = target};
            return;
        }
        target = set->records[0].data;
        len = pn_dns_name_to_wire(target.len == 0 ? PN_STR(".") : target, wire);
        pn_assert(len != 0);
    }
    *out = (struct pn_dns_answer){.rcode = PN_DNS_SERVFAIL};
}
