#include "rules_search.h"

#include <stdlib.h>

/*
 * While strings are added: a trie, its edges in lists. Finished: a table of the next state
 * for each state and class of byte; bytes that no string has share class 0. States are
 * numbered so that those where something ends come last: one comparison a byte tells.
 */
#define NONE UINT32_MAX

struct node {
    uint32_t child, sibling; /* NONE: there is none */
    uint32_t fail;
    uint32_t ends;  /* index of the first ending, or NONE */
    uint32_t state; /* its number in the table */
    unsigned char byte;
};

struct ending {
    uint32_t id, next;
};

struct rules_search {
    struct node *nodes;
    size_t node_count, node_room;
    struct ending *endings;
    size_t ending_count, ending_room;

    unsigned char class[256];
    uint32_t classes;
    uint32_t *next;        /* [state * classes + class] = state * classes of the next */
    uint32_t *node_of;     /* of each state */
    uint32_t first_ending; /* the first state where something ends, times classes */
};

/* Room for one more than count: the array, moved perhaps, or NULL and the old one stays. */
static void *grow(void *array, size_t *room, size_t count, size_t size)
{
    size_t want = *room == 0 ? 64 : *room * 2;
    void *p;

    if (count < *room)
        return array;
    if (want > UINT32_MAX / 64)
        return NULL;
    p = realloc(array, want * size);
    if (p != NULL)
        *room = want;
    return p;
}

static uint32_t node_new(struct rules_search *s, unsigned char byte)
{
    struct node *p = grow(s->nodes, &s->node_room, s->node_count, sizeof(*p));

    if (p == NULL)
        return NONE;
    s->nodes = p;
    s->nodes[s->node_count] = (struct node){NONE, NONE, 0, NONE, 0, byte};
    return (uint32_t)s->node_count++;
}

struct rules_search *rules_search_new(void)
{
    struct rules_search *s = calloc(1, sizeof(*s));

    if (s != NULL && node_new(s, 0) == NONE) {
        free(s);
        return NULL;
    }
    return s;
}

void rules_search_free(struct rules_search *s)
{
    if (s == NULL)
        return;
    free(s->nodes);
    free(s->endings);
    free(s->next);
    free(s->node_of);
    free(s);
}

static uint32_t child_of(const struct rules_search *s, uint32_t node, unsigned char byte)
{
    uint32_t c = s->nodes[node].child;

    while (c != NONE && s->nodes[c].byte != byte)
        c = s->nodes[c].sibling;
    return c;
}

static bool ending_add(struct rules_search *s, uint32_t node, uint32_t id)
{
    struct ending *p = grow(s->endings, &s->ending_room, s->ending_count, sizeof(*p));

    if (p == NULL)
        return false;
    s->endings = p;
    s->endings[s->ending_count] = (struct ending){id, s->nodes[node].ends};
    s->nodes[node].ends = (uint32_t)s->ending_count++;
    return true;
}

bool rules_search_add(struct rules_search *s, struct postern_str text, uint32_t id)
{
    uint32_t node = 0;

    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.p[i];
        uint32_t c = child_of(s, node, byte);

        if (c == NONE) {
            c = node_new(s, byte);
            if (c == NONE)
                return false;
            s->nodes[c].sibling = s->nodes[node].child;
            s->nodes[node].child = c;
        }
        node = c;
        s->class[byte] = 1;
    }
    return ending_add(s, node, id);
}

/* Breadth first: a node's failure is nearer to the root, so done before it. Endings are
 * shared by putting the failure's list behind one's own. */
static bool link_failures(struct rules_search *s, uint32_t *queue)
{
    size_t head = 0;
    size_t tail = 1;

    queue[0] = 0;
    while (head < tail) {
        uint32_t node = queue[head++];

        for (uint32_t c = s->nodes[node].child; c != NONE; c = s->nodes[c].sibling) {
            uint32_t f = s->nodes[node].fail;
            uint32_t to = NONE;
            uint32_t *end = &s->nodes[c].ends;

            while (node != 0 && (to = child_of(s, f, s->nodes[c].byte)) == NONE && f != 0)
                f = s->nodes[f].fail;
            s->nodes[c].fail = to == NONE ? 0 : to;
            while (*end != NONE)
                end = &s->endings[*end].next;
            *end = s->nodes[s->nodes[c].fail].ends;
            queue[tail++] = c;
        }
    }
    return tail == s->node_count;
}

static void number_states(struct rules_search *s)
{
    uint32_t state = 0;

    for (int ending = 0; ending < 2; ending++) {
        if (ending)
            s->first_ending = state * s->classes;
        for (uint32_t n = 0; n < s->node_count; n++)
            if ((s->nodes[n].ends != NONE) == ending) {
                s->node_of[state] = n;
                s->nodes[n].state = state++;
            }
    }
}

static void number_classes(struct rules_search *s)
{
    s->classes = 1;
    for (int i = 0; i < 256; i++)
        if (s->class[i] != 0)
            s->class[i] = (unsigned char)s->classes++;
    for (int i = 'A'; i <= 'Z'; i++)
        s->class[i] = s->class[i | 0x20];
}

/* A state's row is its failure's, but for its own children; again breadth first. */
static void fill(struct rules_search *s, const uint32_t *queue)
{
    for (size_t i = 0; i < s->node_count; i++) {
        const struct node *n = &s->nodes[queue[i]];
        uint32_t *row = s->next + (size_t)n->state * s->classes;

        if (queue[i] == 0) {
            for (uint32_t k = 0; k < s->classes; k++)
                row[k] = s->nodes[0].state * s->classes;
        } else {
            memcpy(row, s->next + (size_t)s->nodes[n->fail].state * s->classes,
                   s->classes * sizeof(*row));
        }
        for (uint32_t c = n->child; c != NONE; c = s->nodes[c].sibling)
            row[s->class[s->nodes[c].byte]] = s->nodes[c].state * s->classes;
    }
}

bool rules_search_finish(struct rules_search *s)
{
    uint32_t *queue = malloc(s->node_count * sizeof(*queue));
    bool good;

    number_classes(s);
    if (s->node_count > UINT32_MAX / s->classes) {
        free(queue);
        return false;
    }
    s->next = calloc(s->node_count * s->classes, sizeof(*s->next));
    s->node_of = malloc(s->node_count * sizeof(*s->node_of));
    good = queue != NULL && s->next != NULL && s->node_of != NULL && link_failures(s, queue);
    if (good) {
        number_states(s);
        fill(s, queue);
    }
    free(queue);
    return good;
}

void rules_search_run(const struct rules_search *s, struct postern_str text, rules_hit *fn,
                      void *arg)
{
    uint32_t at = s->nodes[0].state * s->classes;

    for (size_t i = 0; i < text.len; i++) {
        at = s->next[at + s->class[(unsigned char)text.p[i]]];
        if (at < s->first_ending)
            continue;
        for (uint32_t e = s->nodes[s->node_of[at / s->classes]].ends; e != NONE;
             e = s->endings[e].next)
            fn(arg, s->endings[e].id, i + 1);
    }
}
