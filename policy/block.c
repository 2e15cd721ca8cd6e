#include "block.h"

#include "image.h"
#include "net.h"

static const struct img_row *row_of(const struct postern_block *b, const char *row)
{
    return img_row_find(b, pn_str_of(row));
}

#define TYPE(type) (1U << POSTERN_T_##type)
enum {
    NUMBERS = TYPE(INT) | TYPE(SIZE) | TYPE(DURATION) | TYPE(WEIGHT),
    ADDRESSES = TYPE(ADDRESS) | TYPE(NETWORK),
    TEXTS = TYPE(BLOCK) - 1 /* every value has its words */
};

/* The n-th value of a row of one of these types; status says why there is none. */
static const struct img_value *value(const struct postern_block *b, const char *name, size_t n,
                                     unsigned types, int *status)
{
    const struct img_row *row = row_of(b, name);
    if (row == NULL || row->type > POSTERN_T_BLOCK || (types >> row->type & 1) == 0) {
        *status = POSTERN_INVALID;
        return NULL;
    }
    if (n >= row->values.count) {
        *status = POSTERN_NONE;
        return NULL;
    }
    const struct img_value *values = img_at(img_block_base(b), row->values.off);
    *status = POSTERN_OK;
    return &values[n];
}

static struct postern_str text(const struct postern_block *b, struct img_str s)
{
    struct pn_str t = img_text(img_block_base(b), s);
    return (struct postern_str){t.p, t.len};
}

int pn_block_str(const struct postern_block *b, const char *row, size_t n, struct postern_str *out)
{
    int status;
    const struct img_value *v = value(b, row, n, TEXTS, &status);
    if (v != NULL)
        *out = text(b, v->text);
    return status;
}

int pn_block_int(const struct postern_block *b, const char *row, size_t n, int64_t *out)
{
    int status;
    const struct img_value *v = value(b, row, n, NUMBERS, &status);
    if (v != NULL)
        *out = v->number;
    return status;
}

int pn_block_bool(const struct postern_block *b, const char *row, int *out)
{
    int status;
    const struct img_value *v = value(b, row, 0, TYPE(BOOL), &status);
    if (v != NULL)
        *out = v->number != 0;
    return status;
}

int pn_block_net(const struct postern_block *b, const char *row, size_t n, unsigned char ip[16],
                 unsigned *bits)
{
    int status;
    const struct img_value *v = value(b, row, n, ADDRESSES, &status);
    if (v != NULL) {
        memcpy(ip, v->ip, sizeof v->ip);
        *bits = v->bits;
    }
    return status;
}

int pn_block_has_ip(const struct postern_block *b, const char *row, const unsigned char ip[16])
{
    int status;
    struct pn_ip client;
    memcpy(client.b, ip, sizeof client.b);
    const struct img_value *v = value(b, row, 0, ADDRESSES, &status);
    const size_t count = v == NULL ? 0 : pn_block_count(b, row);
    for (size_t i = 0; i < count; i++) {
        struct pn_net net = {.bits = (uint8_t)v[i].bits};
        memcpy(net.ip.b, v[i].ip, sizeof net.ip.b);
        if (pn_net_has(&net, &client))
            return POSTERN_OK;
    }
    return v == NULL ? status : POSTERN_NONE;
}

int pn_block_block(const struct postern_block *b, const char *row, size_t n,
                   const struct postern_block **out)
{
    int status;
    const struct img_value *v = value(b, row, n, TYPE(BLOCK), &status);
    if (v != NULL)
        *out = img_at(img_block_base(b), v->block);
    return status;
}

size_t pn_block_count(const struct postern_block *b, const char *row)
{
    const struct img_row *r = row_of(b, row);
    return r == NULL ? 0 : r->values.count;
}

struct postern_str pn_block_title(const struct postern_block *b)
{
    return text(b, b->title);
}

struct postern_str pn_block_where(const struct postern_block *b, const char *row, size_t n)
{
    const struct img_row *r = row_of(b, row);
    if (r == NULL || n >= r->values.count)
        return text(b, b->where);
    const struct img_value *values = img_at(img_block_base(b), r->values.off);
    /* A default stands nowhere: the block without it does. */
    return text(b, values[n].where.len == 0 ? b->where : values[n].where);
}

static void paths(const struct postern_block *b, void (*fn)(void *ctx, struct postern_str path),
                  void *ctx, unsigned depth)
{
    const char *base = img_block_base(b);
    const struct img_row *rows = img_at(base, b->rows.off);
    for (uint32_t i = 0; i < b->rows.count; i++) {
        const struct img_value *values = img_at(base, rows[i].values.off);
        for (uint32_t k = 0; k < rows[i].values.count; k++) {
            if (rows[i].type == POSTERN_T_FILE || rows[i].type == POSTERN_T_FOLDER)
                fn(ctx, text(b, values[k].text));
            else if (rows[i].type == POSTERN_T_BLOCK && values[k].block != 0 && depth > 0)
                paths(img_at(base, values[k].block), fn, ctx, depth - 1);
        }
    }
}

void pn_block_paths(const struct postern_block *b, void (*fn)(void *ctx, struct postern_str path),
                    void *ctx)
{
    enum { DEPTH_MAX = 8 };
    paths(b, fn, ctx, DEPTH_MAX);
}
