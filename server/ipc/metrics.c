#include "metrics.h"

#include "assert.h"

void pn_metrics_put(struct pn_buf *out, const struct pn_metric *metrics, size_t count)
{
    pn_assert(count <= PN_METRICS_MAX);
    pn_wr_u32(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        pn_wr_str(out, pn_str_of(metrics[i].name));
        pn_wr_str(out, pn_str_of(metrics[i].labels));
        pn_wr_str(out, pn_str_of(metrics[i].help));
        pn_wr_u8(out, (uint8_t)metrics[i].kind);
        pn_wr_i64(out, metrics[i].value);
    }
}

static bool name_ok(struct pn_str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!pn_is_alpha(name.p[i]) && name.p[i] != '_' && (i == 0 || !pn_is_digit(name.p[i])))
            return false;
    return name.len != 0;
}

/* One line of printable text. */
static bool text_ok(struct pn_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
            return false;
    return true;
}

bool pn_metrics_get(struct pn_str body, struct pn_metric_view *views, size_t *count)
{
    struct pn_rd r = pn_rd_of(body);
    *count = pn_rd_count(&r, 21);
    if (*count > PN_METRICS_MAX)
        return false;
    for (size_t i = 0; i < *count; i++) {
        struct pn_metric_view *v = &views[i];
        v->name = pn_rd_str(&r);
        v->labels = pn_rd_str(&r);
        v->help = pn_rd_str(&r);
        v->kind = pn_rd_u8(&r);
        v->value = pn_rd_i64(&r);
        if (!name_ok(v->name) || !text_ok(v->labels) || !text_ok(v->help) || v->kind > PN_GAUGE)
            return false;
    }
    return pn_rd_done(&r);
}
