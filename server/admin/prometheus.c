/* Prometheus's text format, from the last counters of every role. */
#include "admin_int.h"
#include "mem.h"

#include <stdlib.h>

/* One row of all roles. */
struct row {
    const struct source *source;
    struct pn_metric_view view;
};

struct rows {
    struct row *list;
    size_t count, cap;
};

static void add_rows(struct rows *rows, const struct source *source)
{
    static struct pn_metric_view views[PN_METRICS_MAX];
    size_t count;
    if (source->metrics.len == 0 || !pn_metrics_get(pn_buf_str(&source->metrics), views, &count))
        return;
    for (size_t i = 0; i < count; i++) {
        rows->list = pn_grow(rows->list, &rows->cap, rows->count, sizeof rows->list[0]);
        rows->list[rows->count++] = (struct row){source, views[i]};
    }
}

static int by_name(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = pn_str_cmp(x->view.name, y->view.name);
    if (order == 0)
        order = strcmp(x->source->name, y->source->name);
    return order == 0 ? pn_str_cmp(x->view.labels, y->view.labels) : order;
}

static void print_row(struct pn_buf *out, const struct row *row)
{
    const struct pn_metric_view *v = &row->view;
    bool supervisor = row->source->channel == NULL;
    (void)pn_buf_adds(out, v->name);
    if (!supervisor || v->labels.len != 0) {
        (void)pn_buf_addc(out, '{');
        if (!supervisor)
            (void)pn_buf_addf(out, "role=\"%s\"%s", row->source->name,
                              v->labels.len != 0 ? "," : "");
        (void)pn_buf_adds(out, v->labels);
        (void)pn_buf_addc(out, '}');
    }
    (void)pn_buf_addf(out, " %lld\n", (long long)v->value);
}

/* The format wants all rows of a name together, below one head. */
void prometheus_print(const struct admin *admin, struct pn_buf *out)
{
    struct rows rows = {NULL, 0, 0};
    add_rows(&rows, &admin->supervisor);
    for (const struct source *s = admin->sources; s != NULL; s = s->next)
        add_rows(&rows, s);
    if (rows.count != 0)
        qsort(rows.list, rows.count, sizeof rows.list[0], by_name);
    for (size_t i = 0; i < rows.count; i++) {
        const struct pn_metric_view *v = &rows.list[i].view;
        if (i == 0 || !pn_str_eq(v->name, rows.list[i - 1].view.name)) {
            (void)pn_buf_addf(out, "# HELP %.*s %.*s\n", PN_FMT(v->name), PN_FMT(v->help));
            (void)pn_buf_addf(out, "# TYPE %.*s %s\n", PN_FMT(v->name),
                              v->kind == PN_COUNTER ? "counter" : "gauge");
        }
        print_row(out, &rows.list[i]);
    }
    free(rows.list);
}

int64_t supervisor_gauge(const struct admin *admin, struct pn_str name)
{
    static struct pn_metric_view views[PN_METRICS_MAX];
    size_t count;
    if (admin->supervisor.metrics.len == 0 ||
        !pn_metrics_get(pn_buf_str(&admin->supervisor.metrics), views, &count))
        return -1;
    for (size_t i = 0; i < count; i++)
        if (pn_str_eq(views[i].name, name))
            return views[i].value;
    return -1;
}
