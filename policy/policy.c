#include "image.h"

#include "alabel.h"

#include "assert.h"
#include "mem.h"
#include "rows.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct pn_policy {
    const char *base;
    size_t size;
    bool mapped;
    atomic_uint refs;
};

static struct pn_policy *policy_of(struct pn_str bytes, bool mapped, struct pn_buf *err)
{
    if (!image_check(bytes.p, bytes.len, err))
        return NULL;
    struct pn_policy *p = pn_calloc(1, sizeof *p);
    p->base = bytes.p;
    p->size = bytes.len;
    p->mapped = mapped;
    atomic_init(&p->refs, 1);
    return p;
}

struct pn_policy *pn_policy_of(struct pn_str bytes, struct pn_buf *err)
{
    return policy_of(bytes, false, err);
}

/* Maps all of it. What could still change after it was checked is refused. */
static bool map(int fd, struct pn_str *out, struct pn_buf *err)
{
    const int must = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & must) != must || fstat(fd, &st) != 0) {
        (void)pn_buf_addz(err, "the compiled policy is no sealed memory file");
        return false;
    }
    if (st.st_size <= 0 || (uint64_t)st.st_size > UINT32_MAX) {
        (void)pn_buf_addz(err, "the compiled policy is not whole: its size");
        return false;
    }
    void *base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
        (void)pn_buf_addz(err, "the compiled policy can't be mapped");
        return false;
    }
    *out = (struct pn_str){base, (size_t)st.st_size};
    return true;
}

struct pn_policy *pn_policy_open(int fd, struct pn_buf *err)
{
    struct pn_str bytes;
    bool ok = map(fd, &bytes, err);
    (void)close(fd);
    if (!ok)
        return NULL;
    struct pn_policy *p = policy_of(bytes, true, err);
    if (p == NULL)
        (void)munmap((void *)(uintptr_t)bytes.p, bytes.len);
    return p;
}

struct pn_policy *pn_policy_ref(struct pn_policy *p)
{
    (void)atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void pn_policy_unref(struct pn_policy **pp)
{
    struct pn_policy *p = *pp;
    *pp = NULL;
    if (p == NULL || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (p->mapped)
        (void)munmap((void *)(uintptr_t)p->base, p->size);
    free(p);
}

const char *img_policy_base(const struct pn_policy *p)
{
    return p->base;
}

struct pn_str pn_policy_generation(const struct pn_policy *p)
{
    return img_text(p->base, img_header(p->base)->generation);
}

/* ---- lookups ---- */

const struct img_row *img_row_find(const struct postern_block *block, struct pn_str name)
{
    const char *base = img_block_base(block);
    const struct img_row *rows = img_at(base, block->rows.off);
    for (uint32_t i = 0; i < block->rows.count; i++)
        if (pn_str_eq(img_text(base, rows[i].name), name))
            return &rows[i];
    return NULL;
}

uint32_t img_lookup(const char *base, struct img_list slots, struct img_list names, size_t stride,
                    struct pn_str name, bool fold)
{
    const uint32_t *table = img_at(base, slots.off);
    const char *first = img_at(base, names.off);
    uint32_t at = (uint32_t)pn_str_hash(name, 0, fold) & (slots.count - 1);
    for (; table[at] != 0; at = (at + 1) & (slots.count - 1)) {
        struct img_str s;
        memcpy(&s, first + (table[at] - 1) * stride, sizeof s);
        struct pn_str there = img_text(base, s);
        if (fold ? pn_str_ieq(there, name) : pn_str_eq(there, name))
            return table[at] - 1;
    }
    return IMG_NONE;
}

/* "limits.message-size": down the blocks to the row. */
static const struct img_row *setting(const struct pn_policy *p, const char *name)
{
    const struct postern_block *block = img_at(p->base, img_header(p->base)->core);
    struct pn_str path = pn_str_of(name);
    const struct img_row *row = NULL;
    while (path.p != NULL) {
        if (row != NULL) {
            pn_assert(row->type == POSTERN_T_BLOCK && row->values.count == 1);
            const struct img_value *v = img_at(p->base, row->values.off);
            block = img_at(p->base, v->block);
        }
        row = img_row_find(block, pn_str_split(&path, '.'));
        pn_assert(row != NULL);
    }
    pn_assert(row != NULL && row->type != POSTERN_T_BLOCK);
    return row;
}

static const struct img_value *value(const struct pn_policy *p, const struct img_row *row, size_t n)
{
    const struct img_value *values = img_at(p->base, row->values.off);
    return n < row->values.count ? &values[n] : NULL;
}

int64_t pn_policy_int(const struct pn_policy *p, const char *name)
{
    const struct img_value *v = value(p, setting(p, name), 0);
    return v == NULL ? 0 : v->number;
}

bool pn_policy_bool(const struct pn_policy *p, const char *name)
{
    return pn_policy_int(p, name) != 0;
}

bool pn_policy_str_at(const struct pn_policy *p, const char *name, size_t n, struct pn_str *out)
{
    const struct img_value *v = value(p, setting(p, name), n);
    *out = v == NULL ? PN_STR("") : img_text(p->base, v->text);
    return v != NULL;
}

struct pn_str pn_policy_str(const struct pn_policy *p, const char *name)
{
    struct pn_str s;
    (void)pn_policy_str_at(p, name, 0, &s);
    return s;
}

static struct pn_net net_of(const struct img_value *v)
{
    struct pn_net net = {.bits = (uint8_t)v->bits};
    memcpy(net.ip.b, v->ip, sizeof net.ip.b);
    return net;
}

bool pn_policy_net_at(const struct pn_policy *p, const char *name, size_t n, struct pn_net *out)
{
    const struct img_value *v = value(p, setting(p, name), n);
    if (v != NULL)
        *out = net_of(v);
    return v != NULL;
}

bool pn_policy_int_at(const struct pn_policy *p, const char *name, size_t n, int64_t *out)
{
    const struct img_value *v = value(p, setting(p, name), n);
    if (v != NULL)
        *out = v->number;
    return v != NULL;
}

/* ---- listeners and certificates: blocks of the core that may be repeated ---- */

static const struct img_row *core_row(const struct pn_policy *p, const char *name)
{
    const struct postern_block *core = img_at(p->base, img_header(p->base)->core);
    const struct img_row *row = img_row_find(core, pn_str_of(name));
    pn_assert(row != NULL);
    return row;
}

static const struct img_value *core_block(const struct pn_policy *p, const char *name, size_t i,
                                          const struct postern_block **block)
{
    const struct img_value *v = value(p, core_row(p, name), i);
    pn_assert(v != NULL);
    *block = img_at(p->base, v->block);
    return v;
}

static const struct img_value *inner(const struct pn_policy *p, const struct postern_block *block,
                                     const char *name, size_t n)
{
    const struct img_row *row = img_row_find(block, pn_str_of(name));
    pn_assert(row != NULL);
    return value(p, row, n);
}

size_t pn_policy_listen_count(const struct pn_policy *p)
{
    return core_row(p, "listen")->values.count;
}

/* The PROXY networks of a listener, or NULL. */
static const struct img_row *proxy_row(const struct pn_policy *p,
                                       const struct postern_block *listen)
{
    const struct img_value *proxy = inner(p, listen, "proxy", 0);
    return proxy == NULL ? NULL : img_row_find(img_at(p->base, proxy->block), PN_STR("from"));
}

void pn_policy_listen(const struct pn_policy *p, size_t i, struct pn_listen *out)
{
    const struct postern_block *block;
    const struct img_value *v = core_block(p, "listen", i, &block);
    const struct img_value *address = inner(p, block, "address", 0);
    const struct img_row *proxy = proxy_row(p, block);
    *out = (struct pn_listen){.kind = (enum pn_listen_kind)v->number,
                              .proxy_count = proxy == NULL ? 0 : proxy->values.count};
    if (address != NULL) {
        memcpy(out->ip.b, address->ip, sizeof out->ip.b);
        out->port = (uint16_t)address->number;
    }
}

struct pn_net pn_policy_listen_proxy(const struct pn_policy *p, size_t i, size_t n)
{
    const struct postern_block *block;
    (void)core_block(p, "listen", i, &block);
    const struct img_row *proxy = proxy_row(p, block);
    const struct img_value *v = proxy == NULL ? NULL : value(p, proxy, n);
    pn_assert(v != NULL);
    return net_of(v);
}

size_t pn_policy_tls_count(const struct pn_policy *p)
{
    return core_row(p, "tls")->values.count;
}

static struct pn_str inner_text(const struct pn_policy *p, const struct postern_block *block,
                                const char *name)
{
    const struct img_value *v = inner(p, block, name, 0);
    return v == NULL ? PN_STR("") : img_text(p->base, v->text);
}

void pn_policy_tls(const struct pn_policy *p, size_t i, struct pn_tls_row *out)
{
    const struct postern_block *block;
    (void)core_block(p, "tls", i, &block);
    out->name = img_text(p->base, block->title);
    out->certificate = inner_text(p, block, "certificate");
    out->key = inner_text(p, block, "key");
}

/* ---- plugins ---- */

size_t pn_policy_plugin_count(const struct pn_policy *p)
{
    return img_header(p->base)->plugins.count;
}

size_t pn_policy_group_count(const struct pn_policy *p)
{
    return img_header(p->base)->groups;
}

const struct pn_plugin_row *pn_policy_plugin(const struct pn_policy *p, size_t i)
{
    const struct img_header *h = img_header(p->base);
    const struct pn_plugin_row *rows = img_at(p->base, h->plugins.off);
    pn_assert(i < h->plugins.count);
    return &rows[i];
}

static const char *row_base(const struct pn_plugin_row *row)
{
    return (const char *)row - row->self;
}

struct pn_str pn_plugin_name(const struct pn_plugin_row *row)
{
    return img_text(row_base(row), row->name);
}

struct pn_str pn_plugin_file(const struct pn_plugin_row *row)
{
    return img_text(row_base(row), row->file);
}

unsigned pn_plugin_needs(const struct pn_plugin_row *row)
{
    return row->needs;
}

unsigned pn_plugin_edits(const struct pn_plugin_row *row)
{
    return row->edits;
}

unsigned pn_plugin_methods(const struct pn_plugin_row *row)
{
    return row->methods;
}

unsigned pn_plugin_stages(const struct pn_plugin_row *row)
{
    return row->stages;
}

uint64_t pn_plugin_after(const struct pn_plugin_row *row)
{
    return row->after;
}

unsigned pn_plugin_rank(const struct pn_plugin_row *row)
{
    return row->rank;
}

unsigned pn_plugin_group(const struct pn_plugin_row *row)
{
    return row->group;
}

unsigned pn_plugin_on_failure(const struct pn_plugin_row *row)
{
    return row->on_failure;
}

uint32_t pn_plugin_deadline_ms(const struct pn_plugin_row *row)
{
    return row->deadline_ms;
}

bool pn_plugin_alone(const struct pn_plugin_row *row)
{
    return row->alone != 0;
}

const struct postern_block *pn_plugin_settings(const struct pn_policy *p,
                                               const struct pn_plugin_row *row)
{
    return img_at(p->base, row->settings);
}

/* ---- domains ---- */

static const struct pn_domain *domain_at(const struct pn_policy *p, uint32_t i)
{
    const struct pn_domain *domains = img_at(p->base, img_header(p->base)->domains.off);
    return &domains[i];
}

const struct pn_domain *pn_policy_default_domain(const struct pn_policy *p)
{
    return domain_at(p, 0);
}

static uint32_t domain_find(const struct pn_policy *p, struct pn_str name)
{
    const struct img_header *h = img_header(p->base);
    return img_lookup(p->base, h->domain_slots, h->domains, sizeof(struct pn_domain), name, true);
}

const struct pn_domain *pn_policy_submitted(const struct pn_policy *p)
{
    uint32_t i = domain_find(p, PN_STR(IMG_SUBMITTED));
    return domain_at(p, i == IMG_NONE ? 0 : i);
}

size_t pn_policy_domain_count(const struct pn_policy *p)
{
    bool submitted = domain_find(p, PN_STR(IMG_SUBMITTED)) != IMG_NONE;
    return img_header(p->base)->domains.count - 1U - submitted;
}

struct pn_str pn_policy_domain_name(const struct pn_policy *p, size_t i)
{
    uint32_t submitted = domain_find(p, PN_STR(IMG_SUBMITTED)), at = (uint32_t)i + 1;
    at += submitted != IMG_NONE && at >= submitted;
    return img_text(p->base, domain_at(p, at)->name);
}

const struct pn_domain *pn_policy_domain(const struct pn_policy *p, struct pn_str domain)
{
    struct pn_alabel room;
    if (domain.len == 0 || domain.len > 255 || domain.p[0] == '.')
        return NULL;
    domain = pn_alabel_domain(domain, &room);
    if (domain.p == NULL)
        return NULL;
    uint32_t i = domain_find(p, domain);
    for (size_t dot = pn_str_find(domain, '.', 0); i == IMG_NONE && dot != SIZE_MAX;
         dot = pn_str_find(domain, '.', dot + 1))
        i = domain_find(p, pn_str_slice(domain, dot, domain.len));
    return i == IMG_NONE ? NULL : domain_at(p, i);
}

enum pn_recipients pn_domain_recipients(const struct pn_domain *d)
{
    return (enum pn_recipients)d->recipients;
}

/* Order of memcmp over lower-case bytes, as the list is sorted. */
static int compare_lower(struct pn_str a, struct pn_str lower)
{
    size_t n = a.len < lower.len ? a.len : lower.len;
    for (size_t i = 0; i < n; i++) {
        unsigned char x = (unsigned char)pn_lower(a.p[i]), y = (unsigned char)lower.p[i];
        if (x != y)
            return x < y ? -1 : 1;
    }
    return (a.len > lower.len) - (a.len < lower.len);
}

static bool user_is_there(const struct pn_policy *p, struct img_list users, struct pn_str local)
{
    const struct img_str *list = img_at(p->base, users.off);
    uint32_t from = 0, to = users.count;
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        int c = compare_lower(local, img_text(p->base, list[mid]));
        if (c == 0)
            return true;
        if (c < 0)
            to = mid;
        else
            from = mid + 1;
    }
    return false;
}

bool img_user_listed(const struct pn_policy *p, const struct pn_domain *d, struct pn_str local)
{
    return (d->recipients == PN_RCPT_LIST || d->recipients == PN_RCPT_LOCAL) &&
           user_is_there(p, d->users, local);
}

bool pn_domain_has_user(const struct pn_policy *p, const struct pn_domain *d, struct pn_str local)
{
    if (d->recipients == PN_RCPT_ANY || d->recipients == PN_RCPT_VERIFY ||
        pn_str_ieq(local, PN_STR("postmaster")) || pn_str_ieq(local, PN_STR("abuse")) ||
        user_is_there(p, d->users, local))
        return true;
    struct pn_str without = img_untagged(p, local);
    return without.len != local.len && user_is_there(p, d->users, without);
}

struct pn_str img_untagged(const struct pn_policy *p, struct pn_str local)
{
    struct pn_str delimiter = pn_policy_str(p, "smtp.delimiter");
    return delimiter.len == 1 ? pn_str_untagged(local, delimiter.p[0], NULL) : local;
}

struct pn_str pn_domain_user(const struct pn_policy *p, const struct pn_domain *d,
                             struct pn_str local)
{
    struct pn_str without = img_untagged(p, local);
    bool own = without.len != local.len && d != NULL && img_user_listed(p, d, local);
    return own ? local : without;
}

bool pn_domain_is_local(const struct pn_domain *d)
{
    return d->route == PN_ROUTE_LOCAL;
}

void pn_domain_route(const struct pn_policy *p, const struct pn_domain *d, struct pn_route *out)
{
    *out = (struct pn_route){.kind = (enum pn_route_kind)d->route,
                             .port = (uint16_t)d->port,
                             .host = img_text(p->base, d->host)};
    memcpy(out->ip.b, d->ip, sizeof out->ip.b);
}

bool pn_domain_mixed_split(const struct pn_domain *d)
{
    return d->mixed_split != 0;
}

bool pn_domain_wants_plugin(const struct pn_policy *p, const struct pn_domain *d, size_t plugin)
{
    const struct img_policy *policies = img_at(p->base, img_header(p->base)->policies.off);
    pn_assert(plugin < IMG_PLUGINS_MAX);
    return (policies[d->policy].masked >> plugin & 1) == 0;
}

uint32_t pn_domain_group(const struct pn_domain *d)
{
    return d->group;
}
