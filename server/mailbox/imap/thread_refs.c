/* THREAD=REFERENCES: RFC 5256, section 3. */
#include "base_subject.h"
#include "mem.h"
#include "thread_int.h"

#include <stdlib.h>

enum { SLOTS_MIN = 1024, STEPS_MAX = 50 * 1000 * 1000 };

/* ---- Message-IDs */

/* Blanks and comments go; so do quotes of the local part, with their backslashes. */
static bool add_id(struct pn_str inside, struct pn_buf *id)
{
    bool quoted = false, at_sign = false;
    for (size_t i = 0; i < inside.len; i++) {
        char c = inside.p[i];
        if (c == '"') {
            quoted = !quoted;
            continue;
        }
        if (quoted && c == '\\' && i + 1 < inside.len)
            c = inside.p[++i];
        else if (!quoted && (c == ' ' || c == '\t' || c == '\r' || c == '\n'))
            continue;
        else if (!quoted && c == '<')
            return false;
        at_sign = at_sign || (!quoted && c == '@' && id->len > 0);
        (void)pn_buf_addc(id, c);
    }
    return at_sign && !id->overflow && id->p[id->len - 1] != '@';
}

/* Where the ">" of the id behind `from` is; quotes hide it. */
static size_t id_end(struct pn_str value, size_t from)
{
    bool quoted = false;
    for (size_t i = from; i < value.len && i - from <= THREAD_ID_MAX; i++) {
        char c = value.p[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && c == '>')
            return i;
        else if (!quoted && c == '<')
            return SIZE_MAX;
    }
    return SIZE_MAX;
}

bool thread_next_id(struct pn_str value, size_t *at, struct pn_buf *id)
{
    size_t open;
    while ((open = pn_str_find(value, '<', *at)) != SIZE_MAX) {
        size_t end = id_end(value, open + 1);
        *at = end == SIZE_MAX ? open + 1 : end + 1;
        pn_buf_clear(id);
        if (end != SIZE_MAX && add_id(pn_str_slice(value, open + 1, end), id))
            return true;
    }
    *at = value.len;
    return false;
}

/* ---- the table of ids */

static void slots_grow(struct thread *thread)
{
    size_t count = thread->slot_count == 0 ? SLOTS_MIN : 2 * thread->slot_count;
    free(thread->slots);
    thread->slots = pn_calloc(count, sizeof *thread->slots);
    thread->slot_count = count;
    for (uint32_t i = 1; i < thread->count; i++) {
        struct thread_node *node = &thread->nodes[i];
        if (node->id_len == 0)
            continue;
        uint64_t hash =
            pn_str_hash(thread_text(thread, node->id, node->id_len), thread->seed, false);
        node->same = thread->slots[hash % count];
        thread->slots[hash % count] = i;
    }
}

/* The node of an id, made if there is none; 0 past a limit. */
static uint32_t node_of(struct thread *thread, struct pn_str id)
{
    if (thread->count >= thread->slot_count)
        slots_grow(thread);
    uint32_t *slot = &thread->slots[pn_str_hash(id, thread->seed, false) % thread->slot_count];
    for (uint32_t i = *slot; i != 0; i = thread->nodes[i].same)
        if (pn_str_eq(thread_text(thread, thread->nodes[i].id, thread->nodes[i].id_len), id))
            return i;
    uint32_t at = (uint32_t)thread->text.len, index;
    if (!pn_buf_adds(&thread->text, id) || (index = thread_node_new(thread)) == 0)
        return 0;
    struct thread_node *node = &thread->nodes[index];
    node->id = at;
    node->id_len = (uint32_t)id.len;
    node->same = *slot;
    *slot = index;
    return index;
}

/* ---- links: only parents here, lists of children come when all are known */

/* Who stands for the tree of a node. Trees that once were one may be said to be so still. */
static uint32_t set_of(struct thread *thread, uint32_t node)
{
    while (thread->nodes[node].set != node) {
        thread->nodes[node].set = thread->nodes[thread->nodes[node].set].set;
        node = thread->nodes[node].set;
    }
    return node;
}

/* Is `node` above `below`, or the same? Yes, if it costs too much to say. */
static bool is_above(struct thread *thread, uint32_t node, uint32_t below)
{
    if (set_of(thread, node) != set_of(thread, below))
        return false;
    for (; below != 0; below = thread->nodes[below].parent)
        if (below == node || ++thread->steps > STEPS_MAX)
            return true;
    return false;
}

static void link_to(struct thread *thread, uint32_t parent, uint32_t child)
{
    uint32_t a = set_of(thread, parent), b = set_of(thread, child);
    thread->nodes[child].parent = parent;
    /* The smaller index stands for both: paths are halved as they are walked. */
    thread->nodes[a < b ? b : a].set = a < b ? a : b;
}

/* Where in a value the ids that count begin: the first, and the last ones in a ring behind it. */
struct places {
    size_t at[THREAD_REFERENCES_MAX], count;
};

static size_t *place(struct places *places, size_t n)
{
    return &places->at[n == 0 ? 0 : 1 + (n - 1) % (THREAD_REFERENCES_MAX - 1)];
}

static void find_places(struct pn_str value, struct pn_buf *id, struct places *out)
{
    out->count = 0;
    for (size_t at = 0, from = 0; thread_next_id(value, &at, id); from = at)
        *place(out, out->count++) = from;
}

/* The ids that a message refers to, oldest first, as nodes: only of those that count, for a
 * stranger may name a hundred thousand. False past a limit. */
static bool references(struct thread *thread, const struct thread_mail *mail, uint32_t *nodes,
                       size_t *count)
{
    struct pn_str value = mail->references;
    struct places places;
    struct pn_buf id;
    bool ok = true;
    if (value.len > THREAD_FIELD_MAX)
        value = pn_str_slice(value, value.len - THREAD_FIELD_MAX, value.len);
    pn_buf_init(&id, THREAD_ID_MAX + 1);
    find_places(value, &id, &places);
    if (places.count == 0) {
        value = pn_str_slice(mail->in_reply_to, 0, THREAD_FIELD_MAX);
        find_places(value, &id, &places);
        places.count = places.count != 0;
    }
    *count = 0;
    for (size_t n = 0; n < places.count && ok; n++) {
        if (n == 1 && places.count > THREAD_REFERENCES_MAX)
            n = places.count - (THREAD_REFERENCES_MAX - 1);
        size_t at = *place(&places, n);
        ok = thread_next_id(value, &at, &id) &&
             (nodes[(*count)++] = node_of(thread, pn_buf_str(&id))) != 0;
    }
    pn_buf_fini(&id);
    return ok;
}

/* The node of the message itself: that of its id, unless it has none or another one has it. */
static uint32_t own_node(struct thread *thread, const struct thread_mail *mail)
{
    struct pn_buf id;
    size_t at = 0;
    uint32_t index = 0;
    bool found = false;
    pn_buf_init(&id, THREAD_ID_MAX + 1);
    if (thread_next_id(pn_str_slice(mail->message_id, 0, THREAD_FIELD_MAX), &at, &id)) {
        index = node_of(thread, pn_buf_str(&id));
        found = index == 0 || thread->nodes[index].seq == 0;
    }
    pn_buf_fini(&id);
    return found ? index : thread_node_new(thread);
}

bool thread_link(struct thread *thread, const struct thread_mail *mail)
{
    uint32_t refs[THREAD_REFERENCES_MAX];
    size_t count;
    uint32_t own = own_node(thread, mail);
    if (own == 0 || !references(thread, mail, refs, &count))
        return false;
    struct thread_node *node = &thread->nodes[own];
    struct pn_str subject = pn_base_subject(mail->subject, &node->reply);
    node->seq = mail->seq;
    node->shown = mail->shown;
    node->date = mail->date;
    node->subject = (uint32_t)thread->text.len;
    node->subject_len = (uint32_t)subject.len;
    if (!pn_buf_adds(&thread->text, subject))
        return false;
    for (size_t i = 1; i < count; i++) /* step 1 A */
        if (thread->nodes[refs[i]].parent == 0 && !is_above(thread, refs[i], refs[i - 1]))
            link_to(thread, refs[i - 1], refs[i]);
    /* Step 1 B: a link that is there comes of somebody's shortened References. */
    thread->nodes[own].parent = 0;
    if (count > 0 && !is_above(thread, own, refs[count - 1]))
        link_to(thread, refs[count - 1], own);
    return true;
}

/* ---- steps 2 and 3: the forest, without those that are only named */

static void build_lists(struct thread *thread)
{
    for (uint32_t i = 1; i < thread->count; i++)
        thread_append(thread, thread->nodes[i].parent, i);
}

/* Puts the children of a dummy in its place at the end of parent's list. */
static void splice(struct thread *thread, uint32_t parent, uint32_t dummy)
{
    struct thread_node *p = &thread->nodes[parent], *d = &thread->nodes[dummy];
    if (d->first == 0)
        return;
    if (p->first == 0)
        p->first = d->first;
    else
        thread->nodes[p->last].next = d->first;
    p->last = d->last;
    d->first = d->last = 0;
}

/* Its own children are pruned already. */
static void prune_children(struct thread *thread, uint32_t parent)
{
    uint32_t next, c = thread->nodes[parent].first;
    thread->nodes[parent].first = thread->nodes[parent].last = 0;
    for (; c != 0; c = next) {
        const struct thread_node *child = &thread->nodes[c];
        next = child->next;
        if (child->seq != 0 || (parent == 0 && child->first != child->last))
            thread_append(thread, parent, c);
        else
            splice(thread, parent, c);
    }
}

static void prune(struct thread *thread)
{
    size_t count;
    uint32_t *order = thread_walk(thread, 0, &count);
    while (count > 0)
        prune_children(thread, order[--count]);
    prune_children(thread, 0);
    free(order);
    /* What was spliced names a dummy as its parent. */
    for (uint32_t i = 0; i < thread->count; i++)
        for (uint32_t c = thread->nodes[i].first; c != 0; c = thread->nodes[c].next)
            thread->nodes[c].parent = i;
}

/* ---- step 5: threads of one subject */

static uint32_t subject_of(const struct thread *thread, uint32_t root)
{
    return thread->nodes[root].seq == 0 ? thread->nodes[root].first : root;
}

static struct pn_str subject_text(const struct thread *thread, uint32_t root)
{
    const struct thread_node *node = &thread->nodes[subject_of(thread, root)];
    return thread_text(thread, node->subject, node->subject_len);
}

/* The slot of a subject in the table, in which a root stands, or 0. Open addressing. */
static uint32_t *subject_slot(struct thread *thread, struct pn_str subject)
{
    size_t at = pn_str_hash(subject, thread->seed, false) % thread->slot_count;
    while (thread->slots[at] != 0 && !pn_str_eq(subject_text(thread, thread->slots[at]), subject))
        at = (at + 1) % thread->slot_count;
    return &thread->slots[at];
}

static bool is_dummy(const struct thread *thread, uint32_t node)
{
    return thread->nodes[node].seq == 0;
}

/* 5 B. */
static void fill_table(struct thread *thread)
{
    for (uint32_t c = thread->nodes[0].first; c != 0; c = thread->nodes[c].next) {
        struct pn_str subject = subject_text(thread, c);
        if (subject.len == 0)
            continue;
        uint32_t *slot = subject_slot(thread, subject);
        if (*slot == 0 ||
            (!is_dummy(thread, *slot) &&
             (is_dummy(thread, c) || (thread->nodes[*slot].reply && !thread->nodes[c].reply))))
            *slot = c;
    }
}

/* Makes of the root `there` a dummy, and of what it was the first child of it. */
static void make_dummy(struct thread *thread, uint32_t there)
{
    uint32_t copy = thread_node_new(thread);
    if (copy == 0) /* at the limit: it stays what it is */
        return;
    struct thread_node *was = &thread->nodes[there];
    thread->nodes[copy] = *was;
    for (uint32_t c = was->first; c != 0; c = thread->nodes[c].next)
        thread->nodes[c].parent = copy;
    was->seq = was->first = was->last = 0;
    thread_append(thread, there, copy);
}

/* 5 C for one root, taken from the list of roots: it goes back there, or into another thread. */
static void merge_root(struct thread *thread, uint32_t c)
{
    struct pn_str subject = subject_text(thread, c);
    uint32_t there = subject.len == 0 ? c : *subject_slot(thread, subject);
    if (there == c) {
        thread_append(thread, 0, c);
        return;
    }
    if (!is_dummy(thread, there) && (!thread->nodes[c].reply || thread->nodes[there].reply))
        make_dummy(thread, there);
    if (!is_dummy(thread, c)) {
        thread_append(thread, there, c);
        return;
    }
    for (uint32_t next, g = thread->nodes[c].first; g != 0; g = next) {
        next = thread->nodes[g].next;
        thread_append(thread, there, g);
    }
    thread->nodes[c].first = thread->nodes[c].last = 0; /* c is nobody's parent any more */
}

static void merge_subjects(struct thread *thread)
{
    free(thread->slots);
    thread->slot_count = 2 * thread->count + 1;
    thread->slots = pn_calloc(thread->slot_count, sizeof *thread->slots);
    fill_table(thread);
    uint32_t next, c = thread->nodes[0].first;
    thread->nodes[0].first = thread->nodes[0].last = 0;
    for (; c != 0; c = next) {
        next = thread->nodes[c].next;
        merge_root(thread, c);
    }
}

/* Dummies, all of them roots, are compared by their first child: their children come first. */
static void sort_all(struct thread *thread, bool dummies_only)
{
    for (uint32_t i = 1; i < thread->count; i++)
        if (!dummies_only || is_dummy(thread, i))
            thread_sort_children(thread, i);
    thread_sort_children(thread, 0);
}

void thread_gather(struct thread *thread)
{
    build_lists(thread);
    prune(thread);
    sort_all(thread, true);
    merge_subjects(thread);
    sort_all(thread, false);
}
