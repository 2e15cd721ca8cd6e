/*
 * Inside the index: what its files share. index.c has the file and its statements, index_write.c
 * the queue and what is written of it, index_read.c what is read. index->lock is held wherever
 * not said otherwise.
 */
#ifndef PN_INDEX_INT_H
#define PN_INDEX_INT_H

#include "index.h"

#include <pthread.h>
#include <sqlite3.h>
#include <sys/types.h>

enum {
    INDEX_GUESSED = 128,
    INDEX_FORM = 32,
    INDEX_FORMS = 3 /* beside the system flags of a row */
};
enum { INDEX_QUEUE_MAX = 256 * 1024 * 1024 };

enum statement {
    BEGIN,
    COMMIT,
    PUT_FOLDER,
    PUT_MSG,
    PUT_CACHED,
    PUT_VANISHED,
    DROP_MSGS,
    DROP_CACHED,
    DROP_FOLDER,
    DROP_VANISHED,
    GET_FOLDER,
    GET_MSGS,
    GET_CACHED,
    GET_VANISHED,
    STATEMENTS
};

struct index {
    int root;
    const char *place;
    pthread_mutex_t lock;
    sqlite3 *db; /* NULL: closed */
    dev_t device;
    ino_t inode; /* of its file */
    sqlite3_stmt *statements[STATEMENTS];
    uint64_t used_ns, looked_ns;
    unsigned serial;
    bool damaged; /* it was, and nobody has asked since */
    bool lost;    /* something that was queued could not be written */
    bool holes; /* and who had queued it does not know yet: by serial, when it can be written again
                 */
    pthread_mutex_t queue_lock;
    struct pn_buf queue;
    bool spilt; /* the queue had no room */
};

/* False: not now. */
bool index_ready(struct index *index);
/* What a statement answered that should not have. */
void index_failed(struct index *index, int result);
/* It says what can't be so: it and all it has are removed. */
void index_damaged(struct index *index, const char *why);
/* Reset; borrowed. The file is open. */
sqlite3_stmt *index_statement(struct index *index, enum statement which);
int64_t index_key(uint32_t uidvalidity, uint32_t uid);
uint32_t index_vanished_sum(uint32_t validity, uint64_t modseq, uint32_t first, uint32_t last);
/* Writes what is queued. */
void index_write(struct index *index);

#endif
