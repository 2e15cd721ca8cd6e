#include "scan_show.h"

#include "mem.h"
#include "utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

struct pn_scan_held {
    struct pn_scan_held *next;
    uint64_t number;
    struct pn_buf text;
};

enum { TEXT_MAX = 256 * 1024 * 1024, BAR = 40 };

bool pn_scan_show_wants_total(void)
{
    return isatty(STDERR_FILENO) == 1;
}

void pn_scan_show_init(struct pn_scan_show *show, bool json, size_t total, FILE *to)
{
    *show = (struct pn_scan_show){.to = to, .json = json, .total = total};
    show->bar = total > 1 && pn_scan_show_wants_total();
    show->over = show->bar && isatty(fileno(to)) == 1;
}

static void add_symbols(struct pn_buf *b, const struct pn_verdict *v)
{
    const struct pn_verdict_rcpt *worst = &v->rcpts[v->strictest];
    for (size_t i = 0; i < v->facts->symbol_count; i++) {
        const struct pn_fact *f = &v->facts->symbols[i];
        bool counts;
        int32_t weight = pn_decide_weight(v->policy, worst->domain, f, &counts);
        counts = counts && (f->rcpt == PN_FACT_ALL_RCPTS || f->rcpt == worst->index);
        (void)pn_buf_addz(b, "    ");
        struct pn_buf number;
        pn_buf_init(&number, 32);
        (void)pn_buf_add_milli(&number, counts ? weight : 0);
        (void)pn_buf_addf(b, "%8.*s  ", PN_FMT(pn_buf_str(&number)));
        pn_buf_fini(&number);
        (void)pn_utf8_add_shown(b, f->name);
        if (f->detail.len != 0) {
            (void)pn_buf_addz(b, " (");
            (void)pn_utf8_add_shown(b, f->detail);
            (void)pn_buf_addc(b, ')');
        }
        (void)pn_buf_addz(b, counts ? "\n" : ", does not count here\n");
    }
}

/* Who has it in a recipient's place. */
static void add_expansion(struct pn_buf *b, const struct pn_verdict_rcpt *r)
{
    const struct pn_expansion *x = r->stands_for;
    for (size_t i = 0; x != NULL && i < x->count; i++) {
        const char *kept = pn_verdict_kept(r, &x->targets[i]);
        (void)pn_buf_addz(b, "    ");
        (void)pn_utf8_add_shown(b, r->address);
        (void)pn_buf_addz(b, " -> ");
        (void)pn_utf8_add_shown(b, x->targets[i].address);
        (void)pn_buf_addz(b, " by ");
        pn_expand_print(b, &x->targets[i]);
        if (kept != NULL)
            (void)pn_buf_addf(b, "; kept: %s", kept);
        (void)pn_buf_addc(b, '\n');
    }
}

static void for_people(struct pn_buf *b, const struct pn_verdict *v)
{
    (void)pn_utf8_add_shown(b, v->file);
    (void)pn_buf_addf(b, ": %s, score ", pn_outcome_name(v->outcome));
    (void)pn_buf_add_milli(b, v->rcpts[v->strictest].decision.score);
    (void)pn_buf_addf(b, "\n    reply   %.*s\n", PN_FMT(v->reply));
    for (size_t i = 0; i < v->rcpt_count; i++) {
        const struct pn_decision *d = &v->rcpts[i].decision;
        for (size_t k = 0; k < d->because_count; k++) {
            (void)pn_buf_addz(b, "    ");
            (void)pn_utf8_add_shown(b, v->rcpts[i].address);
            (void)pn_buf_addf(b, ": %s because %.*s%s", pn_outcome_name(d->outcome),
                              PN_FMT(d->because[k].where), d->because[k].where.len ? " " : "");
            (void)pn_utf8_add_shown(b, d->because[k].text);
            (void)pn_buf_addc(b, '\n');
        }
        add_expansion(b, &v->rcpts[i]);
    }
    add_symbols(b, v);
    for (size_t i = 0; i < v->facts->run_count; i++) {
        const struct pn_plugin_run *run = &v->facts->runs[i];
        bool ok = run->status == PN_PLUGIN_OK || run->status == PN_PLUGIN_GIVEN;
        if (ok && run->reason.len == 0)
            continue;
        (void)pn_buf_addf(b, "    plugin %.*s %s: ", PN_FMT(run->plugin),
                          ok                                 ? "ran in part"
                          : run->status == PN_PLUGIN_SKIPPED ? "was skipped"
                                                             : "failed");
        (void)pn_utf8_add_shown(b, run->reason);
        (void)pn_buf_addc(b, '\n');
    }
}

/* The bar stays on the last line of the terminal, below what is printed. */
static void draw_bar(const struct pn_scan_show *show)
{
    size_t full = (size_t)(show->next * BAR / show->total);
    fprintf(stderr, "\r[%.*s%*s] %" PRIu64 "/%zu", (int)full,
            "########################################", (int)(BAR - full), "", show->next,
            show->total);
    if (show->next == show->total)
        fputc('\n', stderr);
}

static void print(struct pn_scan_show *show, struct pn_buf *text)
{
    if (show->over)
        fputs("\r\033[K", stderr);
    (void)fwrite(text->p, 1, text->len, show->to);
    show->next++;
    if (show->over)
        (void)fflush(show->to);
    if (show->bar)
        draw_bar(show);
}

void pn_scan_show_verdict(struct pn_scan_show *show, uint64_t number, const struct pn_verdict *v)
{
    struct pn_buf text;
    pn_buf_init(&text, TEXT_MAX);
    show->outcomes[v->outcome]++;
    if (show->json) {
        struct pn_json j = pn_json_to(&text);
        pn_json_object(&j, NULL);
        pn_verdict_json(&j, v);
        pn_json_object_end(&j);
        (void)pn_buf_addc(&text, '\n');
    } else {
        for_people(&text, v);
    }
    if (number != show->next) {
        struct pn_scan_held *held = pn_calloc(1, sizeof *held);
        *held = (struct pn_scan_held){show->held, number, text};
        show->held = held;
        return;
    }
    print(show, &text);
    pn_buf_fini(&text);
    for (struct pn_scan_held **at = &show->held; *at != NULL;) {
        struct pn_scan_held *held = *at;
        if (held->number != show->next) {
            at = &held->next;
            continue;
        }
        *at = held->next;
        print(show, &held->text);
        pn_buf_fini(&held->text);
        free(held);
        at = &show->held;
    }
}

void pn_scan_show_fini(struct pn_scan_show *show)
{
    uint64_t sum = 0;
    while (show->held != NULL) { /* a case between failed: the rest is shown all the same */
        struct pn_scan_held *held = show->held;
        show->held = held->next;
        print(show, &held->text);
        pn_buf_fini(&held->text);
        free(held);
    }
    if (show->bar && show->next < show->total)
        fputc('\n', stderr);
    for (int i = 0; i <= PN_REJECT; i++)
        sum += show->outcomes[i];
    if (show->json || sum < 2)
        return;
    fprintf(show->to, "%" PRIu64 " messages:", sum);
    for (int i = 0; i <= PN_REJECT; i++)
        if (show->outcomes[i] != 0)
            fprintf(show->to, " %s %" PRIu64, pn_outcome_name((enum pn_outcome)i),
                    show->outcomes[i]);
    fputc('\n', show->to);
}
