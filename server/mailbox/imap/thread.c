#include "base_subject.h"
#include "mem.h"
#include "thread_int.h"

#include <stdlib.h>
#include <sys/random.h>

enum { TEXT_MAX = 512 * 1024 * 1024 };

struct thread *thread_new(bool by_references)
{
    struct thread *thread = pn_calloc(1, sizeof *thread);
    thread->by_references = by_references;
    if (getrandom(&thread->seed, sizeof thread->seed, 0) < 0)
        thread->seed = (uintptr_t)thread;
    pn_buf_init(&thread->text, TEXT_MAX);
    thread->nodes = pn_grow(NULL, &thread->cap, 0, sizeof *thread->nodes);
    thread->nodes[0] = (struct thread_node){.parent = 0};
    thread->count = 1;
    return thread;
}

void thread_free(struct thread **thread)
{
    if (*thread == NULL)
        return;
    free((*thread)->nodes);
    free((*thread)->slots);
    pn_buf_fini(&(*thread)->text);
    free(*thread);
    *thread = NULL;
}

/* ---- nodes */

uint32_t thread_node_new(struct thread *thread)
{
    if (thread->count >= THREAD_NODES_MAX)
        return 0;
    thread->nodes = pn_grow(thread->nodes, &thread->cap, thread->count, sizeof *thread->nodes);
    thread->nodes[thread->count] = (struct thread_node){.set = (uint32_t)thread->count};
    return (uint32_t)thread->count++;
}

struct pn_str thread_text(const struct thread *thread, uint32_t at, uint32_t len)
{
    return len == 0 ? PN_STR("") : pn_str_slice(pn_buf_str(&thread->text), at, (size_t)at + len);
}

void thread_append(struct thread *thread, uint32_t parent, uint32_t child)
{
    struct thread_node *p = &thread->nodes[parent];
    thread->nodes[child].parent = parent;
    thread->nodes[child].next = 0;
    if (p->first == 0)
        p->first = child;
    else
        thread->nodes[p->last].next = child;
    p->last = child;
}

/* The message whose date and subject stand for a node. */
static const struct thread_node *speaker(const struct thread *thread, uint32_t index)
{
    const struct thread_node *node = &thread->nodes[index];
    return node->seq == 0 && node->first != 0 ? &thread->nodes[node->first] : node;
}

static int by_date(const void *a, const void *b, void *ctx)
{
    const struct thread_node *x = speaker(ctx, *(const uint32_t *)a);
    const struct thread_node *y = speaker(ctx, *(const uint32_t *)b);
    if (x->date != y->date)
        return x->date < y->date ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

void thread_sort_children(struct thread *thread, uint32_t parent)
{
    size_t count = 0, i = 0;
    for (uint32_t c = thread->nodes[parent].first; c != 0; c = thread->nodes[c].next)
        count++;
    if (count < 2)
        return;
    uint32_t *children = pn_alloc(count * sizeof *children);
    for (uint32_t c = thread->nodes[parent].first; c != 0; c = thread->nodes[c].next)
        children[i++] = c;
    qsort_r(children, count, sizeof *children, by_date, thread);
    thread->nodes[parent].first = thread->nodes[parent].last = 0;
    for (i = 0; i < count; i++)
        thread_append(thread, parent, children[i]);
    free(children);
}

uint32_t *thread_walk(const struct thread *thread, uint32_t top, size_t *count)
{
    uint32_t *nodes = pn_alloc(thread->count * sizeof *nodes), at = thread->nodes[top].first;
    *count = 0;
    while (at != 0) {
        nodes[(*count)++] = at;
        if (thread->nodes[at].first != 0) {
            at = thread->nodes[at].first;
            continue;
        }
        while (at != top && thread->nodes[at].next == 0)
            at = thread->nodes[at].parent;
        at = at == top ? 0 : thread->nodes[at].next;
    }
    return nodes;
}

/* ---- messages */

bool thread_add(struct thread *thread, const struct thread_mail *mail)
{
    if (thread->by_references)
        return thread_link(thread, mail);
    uint32_t index = thread_node_new(thread);
    struct thread_node *node = &thread->nodes[index];
    struct pn_str subject = pn_base_subject(mail->subject, &node->reply);
    if (index == 0)
        return false;
    node->seq = mail->seq;
    node->shown = mail->shown;
    node->date = mail->date;
    node->subject = (uint32_t)thread->text.len;
    node->subject_len = (uint32_t)subject.len;
    return pn_buf_adds(&thread->text, subject);
}

/* ---- ORDEREDSUBJECT */

static int by_subject(const void *a, const void *b, void *ctx)
{
    const struct thread *thread = ctx;
    const struct thread_node *x = &thread->nodes[*(const uint32_t *)a];
    const struct thread_node *y = &thread->nodes[*(const uint32_t *)b];
    int order = pn_str_cmp(thread_text(thread, x->subject, x->subject_len),
                           thread_text(thread, y->subject, y->subject_len));
    return order != 0 ? order : by_date(a, b, ctx);
}

static bool same_subject(const struct thread *thread, uint32_t a, uint32_t b)
{
    const struct thread_node *x = &thread->nodes[a], *y = &thread->nodes[b];
    return pn_str_eq(thread_text(thread, x->subject, x->subject_len),
                     thread_text(thread, y->subject, y->subject_len));
}

/* Of each subject the first message is a root, and all others are its children. */
static void order_by_subject(struct thread *thread)
{
    size_t count = thread->count - 1;
    uint32_t *all = pn_alloc((count + 1) * sizeof *all), root = 0;
    for (size_t i = 0; i < count; i++)
        all[i] = (uint32_t)i + 1;
    qsort_r(all, count, sizeof *all, by_subject, thread);
    for (size_t i = 0; i < count; i++) {
        bool child = root != 0 && same_subject(thread, root, all[i]);
        thread_append(thread, child ? root : 0, all[i]);
        root = child ? root : all[i];
    }
    free(all);
    thread_sort_children(thread, 0);
}

/* ---- saying it */

/* RFC 5256, section 4: one child follows its parent, several have parentheses each. A dummy (at
 * the top only) has no number. */
static void print_forest(const struct thread *thread, struct pn_buf *out)
{
    const struct thread_node *nodes = thread->nodes;
    uint32_t at = nodes[0].first;
    bool open = true; /* does `at` begin with a parenthesis? */
    while (at != 0) {
        (void)pn_buf_addz(out, open ? "(" : nodes[at].seq != 0 ? " " : "");
        if (nodes[at].seq != 0)
            (void)pn_buf_addf(out, "%u", nodes[at].shown);
        if (nodes[at].first != 0) {
            open = nodes[at].first != nodes[at].last;
            if (open && nodes[at].seq != 0)
                (void)pn_buf_addc(out, ' ');
            at = nodes[at].first;
            continue;
        }
        (void)pn_buf_addc(out, ')');
        while (at != 0 && nodes[at].next == 0) {
            at = nodes[at].parent;
            if (at != 0 && nodes[at].first != nodes[at].last)
                (void)pn_buf_addc(out, ')');
        }
        at = at == 0 ? 0 : nodes[at].next;
        open = true;
    }
}

bool thread_print(struct thread *thread, struct pn_buf *out)
{
    if (thread->by_references)
        thread_gather(thread);
    else
        order_by_subject(thread);
    print_forest(thread, out);
    return !out->overflow;
}
