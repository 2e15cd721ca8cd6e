/*
 * What command.c, command_journal.c and command_held.c share: a command on its way.
 *
 * What it is about are targets: messages of the journal, or files of held mail, named by
 * an operator or all there are, of which a filter picks (asked_filter.h). They are dealt with PARTS
 * at a time: what must be read or removed is read or removed on the pool, the rest is done on the
 * loop, and the lines of all of them are sent, in their order, when the last is on disk. So an
 * operator's command, however much it names, holds neither the queue's loop nor more than PARTS
 * messages in memory.
 *
 *   find      which targets           held mail: on the pool
 *   scan      all there are, some of them at a time; true: more are left      loop
 *   begin     of a part               loop
 *   read      of a part               pool
 *   act       of a part; it ends with asked_part_end, now or later      loop
 *   settle    what is left to do once all parts ended: on the pool; NULL: nothing
 *   answer    a part's line           loop
 *
 * Commands that only look and those that change something go one after the other each, in
 * two lines, so that a list never waits for a disk that hangs.
 */
#ifndef PN_QUEUE_ASKED_H
#define PN_QUEUE_ASKED_H

#include "answer.h"
#include "asked_filter.h"
#include "command.h"
#include "held.h"

enum asked_verb {
    ASKED_LIST,
    ASKED_SHOW,
    ASKED_RELEASE,
    ASKED_DROP,
    ASKED_RETRY,
    ASKED_HOLD,
    ASKED_BOUNCE,
    ASKED_VERBS
};
/* did NULL: it only looks. held: it is about held mail, too. */
extern const struct asked_row {
    const char *name, *did;
    bool held;
} asked_rows[ASKED_VERBS];

enum { ASKED_PARTS = 16, ASKED_WAITING_MAX = 64, ASKED_WORD_MAX = 64 };

struct asked_target {
    const char *why; /* it can't be dealt with; static; NULL: it can */
    uint64_t id;     /* the journal's */
    char name[ASKED_WORD_MAX];
};

struct asked_part {
    struct message_wait wait; /* first */
    struct asked *asked;
    const struct asked_target *target;
    struct asked_target own; /* where the target is one of all */
    const char *error;       /* static; NULL: none */
    const char *instead;     /* what was done if it is not what was asked; static */
    bool passed_over;        /* the filter does not mean it */
    struct spool_ref ref;    /* kept while it is read; segment NULL: nothing is */
    struct pn_buf bytes;     /* the meta of a record or of a held file */
    struct pn_pool *pool;    /* of env's arrays; NULL: there is no env */
    struct pn_envelope env;
    struct held held;
    int fd;       /* of content; -1: none */
    bool damaged; /* fd's bytes are not what was written */
    int failed;   /* errno of what was done to it, or 0 */
};

struct asked_kind {
    void (*find)(struct asked *asked);
    bool (*scan)(struct asked *asked);
    void (*begin)(struct asked_part *part);
    void (*read)(struct asked_part *part);
    void (*act)(struct asked_part *part);
    void (*settle)(struct asked *asked);
    bool find_on_pool;
};

struct asked {
    struct pn_job job; /* first */
    struct asked *next;
    struct queue *q;
    const struct asked_kind *kind;
    enum asked_verb verb;
    struct answer a;
    char words[PN_COMMAND_WORDS_MAX][ASKED_WORD_MAX];
    size_t word_count;
    struct filter filter;
    bool all, dry; /* all: with nothing else said, everything is meant */
    uint64_t *ids; /* of all there are, where there is a scan; 8 bytes a message */
    size_t id_count, id_cap, id_dealt;
    size_t cursor; /* of the scan */
    int64_t now_ms;
    struct asked_target *targets;
    size_t target_count, target_cap, dealt;
    size_t total, shown; /* of a list: how many there are, and how many were told */
    struct asked_part parts[ASKED_PARTS];
    size_t part_count, open;
    bool stopped;        /* a list that finds no room in the channel */
    size_t done, failed; /* of a change */
};

extern const struct asked_kind asked_journal, asked_held;

/* asked_words.c: NULL, or why these are no words for the queue; static. */
const char *asked_parse(struct asked *asked, const struct pn_command *c);
static inline bool asked_changes(const struct asked *asked)
{
    return asked_rows[asked->verb].did != NULL;
}
/* No message is named. */
static inline bool asked_for_all(const struct asked *asked)
{
    return asked->word_count == 0;
}
/* In find. */
struct asked_target *asked_add(struct asked *asked);
void asked_refuse(struct asked *asked, const char *word, const char *why);
/* Decodes an envelope into part; false: malformed. Any thread. */
bool asked_envelope(struct asked_part *part, struct pn_str envelope);
/* Once for each part. error: static, why it was not done; NULL and failed 0: it was. */
void asked_part_end(struct asked_part *part, const char *error);

#endif
