/*
 * A spool in a folder of its own, driven in step: submit and wait, close, look at what
 * a new opening finds. For test_spool.c and test_spool_crash.c.
 */
#ifndef SPOOL_RIG_H
#define SPOOL_RIG_H

#include "spool.h"

#include <pthread.h>

enum { RIG_SEGMENT = 64 * 1024, RIG_FOUND_MAX = 512, RIG_TEXT_MAX = 64 };

struct rig_found {
    uint64_t id;
    uint8_t type; /* enum spool_op_type */
    char meta[RIG_TEXT_MAX];
    size_t meta_len;
    struct spool_ref ref;
};

struct rig {
    char path[64];
    int folder;
    struct spool_settings settings;
    struct spool *spool;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    unsigned finished;
    unsigned alarms;
    char last_alarm[256];
    struct rig_found found[RIG_FOUND_MAX]; /* of the last opening, in order */
    unsigned found_count;
    char error[256]; /* of a refused opening */
};

/* A fresh, empty folder below the working directory. */
void rig_init(struct rig *rig);
/* Removes it. */
void rig_fini(struct rig *rig);
bool rig_open(struct rig *rig);
void rig_close(struct rig *rig);
struct spool_op rig_message(uint64_t id, const char *meta, struct pn_str content);
/* Submits n ops in one go and waits until all are finished. */
void rig_put(struct rig *rig, struct spool_op *ops, size_t n);
/* One record of each kind, waited for; returns its error. */
int rig_put_message(struct rig *rig, uint64_t id, const char *meta, struct pn_str content,
                    struct spool_ref *ref);
int rig_put_mark(struct rig *rig, uint8_t type, uint64_t id, const char *meta);
/* The n-th thing found, as "message 7 meta"; "" past the end. Borrowed until the next call. */
struct pn_str rig_found_text(const struct rig *rig, unsigned n);
/* What the content descriptor of ref holds; owned, as a buffer to fini. False: damaged. */
bool rig_content(const struct rig *rig, const struct spool_ref *ref, struct pn_buf *out);

/* Whole files, for a crash to be made of. Paths are below the rig's folder. */
bool rig_file_get(const struct rig *rig, const char *name, struct pn_buf *out);
void rig_file_put(const struct rig *rig, const char *name, struct pn_str bytes);
/* Files whose name begins with prefix. */
unsigned rig_count(const struct rig *rig, const char *prefix);

#endif
