/* For cmd_search.c, cmd_sort.c and cmd_thread.c: what the three commands share. */
#ifndef PN_IMAP_SEARCH_H
#define PN_IMAP_SEARCH_H

#include "imap_int.h"
#include "search_run.h"

/* A search under way, and then its answer on the way out. Kept in the command's `work`. */
struct imap_search {
    struct search_program program;
    struct search_run *run;
    struct pn_buf answer;
    size_t told; /* bytes of it that are in out */
    bool found;  /* the search is done */
};

/* Reads "[CHARSET x] keys" (charset.p NULL) or "keys" in that charset. IMAP_AGAIN: go on; else it
 * is the command's result. */
enum imap_result imap_search_parse(struct imap *imap, struct imap_command *command,
                                   struct imap_search *search, struct pn_str charset);
/* The same behind what is SORT's or THREAD's own: " charset keys". */
enum imap_result imap_search_parse_rest(struct imap *imap, struct imap_command *command,
                                        struct imap_search *search);
void imap_search_fini(struct imap_search *search);
/* Makes way for a slice. True: it is done, and search->run has the result. */
bool imap_search_step(struct imap_search *search);
/* Says a part of search->answer. IMAP_AGAIN: there is more. At its end NO where messages could not
 * be read: what was said is right but for those. */
enum imap_result imap_search_tell(struct imap_command *command, struct imap_search *search);
/* The number or, in a UID command, the UID. */
uint32_t imap_search_shown(const struct imap *imap, const struct imap_command *command,
                           uint32_t seq);

/*
 * The cached headers of what was found, for SORT and THREAD: calls fn for each number found, in
 * order, header empty where there is none. True: all were seen; else call again. fn false: stopped
 * for good, *failed is set.
 */
struct imap_gather {
    uint32_t next; /* the number to go on with; 0 at first */
    bool failed;
};
typedef bool imap_gather_fn(void *ctx, uint32_t seq, const struct pn_mail *mail,
                            struct pn_str header);
bool imap_search_gather(struct imap *imap, struct imap_search *search, struct imap_gather *gather,
                        bool header, imap_gather_fn *fn, void *ctx);

#endif
