/* For thread*.c: the messages as nodes of a forest, by index; 0 is nobody. */
#ifndef PN_THREAD_INT_H
#define PN_THREAD_INT_H

#include "thread.h"

struct thread_node {
    uint32_t parent, first, last, next; /* children: a list; next: sibling */
    uint32_t seq, shown;                /* seq 0: a dummy */
    uint32_t id, id_len;                /* in text; id_len 0: none */
    uint32_t subject, subject_len;      /* base subject in text */
    uint32_t same;                      /* of the same hash: next */
    uint32_t set;                       /* union-find: who stands for its tree */
    int64_t date;
    bool reply;
};

struct thread {
    bool by_references;
    struct thread_node *nodes; /* owned; [0] is not used, but its list: all roots */
    size_t count, cap;
    uint32_t *slots; /* owned: by id while references are linked, then by base subject */
    size_t slot_count;
    uint64_t seed;
    struct pn_buf text; /* ids and subjects */
    uint64_t steps;     /* spent on looking for loops */
};

/* A new node; 0 past the limit. */
uint32_t thread_node_new(struct thread *thread);
struct pn_str thread_text(const struct thread *thread, uint32_t at, uint32_t len);
/* Puts child at the end of parent's children. It is in no list. */
void thread_append(struct thread *thread, uint32_t parent, uint32_t child);
/* Sorts the children of a node by sent date, then number; dummies by their first child. */
void thread_sort_children(struct thread *thread, uint32_t parent);
/* All nodes below `top`, each before its own children; owned by the caller. */
uint32_t *thread_walk(const struct thread *thread, uint32_t top, size_t *count);

/* thread_refs.c: links a message by what it refers to. False past a limit. */
bool thread_link(struct thread *thread, const struct thread_mail *mail);
/* Steps 2 to 6 of RFC 5256, section 3, REFERENCES. */
void thread_gather(struct thread *thread);

#endif
