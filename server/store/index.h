/*
 * The index of a user: one SQLite file, ".../postern/index.db". A cache: who finds something
 * missing makes it anew. It is written without syncs; a file that is damaged, or says what it can't
 * say (each row has a checksum), is removed and begun again, and index_serial grows, so that who
 * had read from it knows. Thread-safe; its handle is opened when it is needed and closed by
 * index_rest.
 *
 * Rows belong to a folder by its UIDVALIDITY, which no other folder of the user ever has: a
 * rename does not concern them.
 */
#ifndef PN_INDEX_H
#define PN_INDEX_H

#include "buf.h"

struct index;

struct index_msg {
    uint32_t uid, size, keywords;
    uint8_t system;
    bool guessed; /* the size is that of its file */
    bool renewed; /* for who reads it; not kept */
    uint64_t modseq;
    int64_t date;
    uint8_t form;       /* enum of store_int.h; 0: not known */
    uint32_t surrogate; /* its size, where the form has one */
};

/* As of the last time that all rows of the folder were right. */
struct index_folder {
    uint32_t uidvalidity;
    uint64_t modseq, history;
    uint32_t messages, unseen, deleted, uidnext;
    uint32_t epoch; /* of the user's marks */
    uint64_t bytes;
    int64_t mtime_ns[2]; /* of new and cur; 0: not to be relied on */
};

struct index_cached {
    uint32_t uid;
    struct pn_str part[3]; /* envelope, structure, header; p NULL: not there */
};

/* root and place: borrowed. Nothing is opened. Owned. */
struct index *index_new(int root, const char *place);
/* Writes what is queued. True: all that was ever queued was written. */
bool index_free(struct index **index);
/* Writes what is queued, and closes the file if it was not used for so long. True: it is closed
 * now. */
bool index_rest(struct index *index, uint64_t idle_ns);
/* Whether there is one of the user whose directory that is. */
bool index_is_in(int user);
/* Begins from nothing where others removed the file, or put another in its place. */
void index_look(struct index *index);
/* Begins from nothing. */
void index_forget(struct index *index);
/* Whether it was found damaged, and begun anew for that, since it was last asked. */
bool index_was_damaged(struct index *index);
/* One more each time that it began from nothing, or lost some of what was queued. */
unsigned index_serial(struct index *index);

bool index_folder_get(struct index *index, uint32_t uidvalidity, struct index_folder *out);
/* All messages by UID; false: it does not know the folder. */
bool index_messages(struct index *index, uint32_t uidvalidity,
                    void (*fn)(void *ctx, const struct index_msg *msg), void *ctx);
/* At most max of them from UID first on. False: not to be read now. */
bool index_cached_get(struct index *index, uint32_t uidvalidity, uint32_t first, uint32_t last,
                      size_t max, void (*fn)(void *ctx, const struct index_cached *cached),
                      void *ctx);
/* Ranges of UIDs that were expunged after modseq. False: not to be read now, or some are lost. */
bool index_vanished_get(struct index *index, uint32_t uidvalidity, uint64_t modseq,
                        void (*fn)(void *ctx, uint32_t first, uint32_t last), void *ctx);

/* Queued, written in the order of the calls in one transaction with what else is there. */
void index_put_folder(struct index *index, const struct index_folder *row);
void index_put_msg(struct index *index, uint32_t uidvalidity, const struct index_msg *msg);
void index_put_cached(struct index *index, uint32_t uidvalidity, const struct index_cached *cached);
void index_put_vanished(struct index *index, uint32_t uidvalidity, uint64_t modseq, uint32_t first,
                        uint32_t last);
void index_drop_folder(struct index *index, uint32_t uidvalidity);
/* Bytes that wait in the queue. */
size_t index_queued(struct index *index);
void index_flush(struct index *index);

#endif
