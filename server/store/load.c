/* A folder's messages, read for the first time: what is there against what the index knows. */
#include "scan_int.h"

#include "mem.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct rows {
    struct index_msg *v;
    size_t count, cap;
};

static void add_row(void *ctx, const struct index_msg *msg)
{
    struct rows *rows = ctx;
    rows->v = pn_grow(rows->v, &rows->cap, rows->count, sizeof *rows->v);
    rows->v[rows->count++] = *msg;
}

static void add_vanished(void *ctx, uint32_t first, uint32_t last)
{
    (void)pn_uidset_add(ctx, first, last);
}

/* What the index had and the disk has not. */
static void note_missing(struct folder *f, const struct pn_uidset *missing, uint64_t modseq)
{
    for (size_t i = 0; i < missing->count; i++)
        index_put_vanished(f->user->index, f->marks.uidvalidity, modseq, missing->v[i].first,
                           missing->v[i].last);
}

static uint64_t modseq_now(struct folder *f, uint64_t *modseq)
{
    if (*modseq == 0)
        *modseq = user_any_modseq(f->user);
    return *modseq;
}

static void load_one(struct listing *l, const struct found *found, const struct index_msg *row,
                     uint64_t *modseq)
{
    struct folder *f = l->folder;
    bool same = row != NULL && row->system == found->system && row->keywords == found->keywords;
    struct msg m = {.uid = found->uid,
                    .size = found->size,
                    .keywords = found->keywords,
                    .system = found->system,
                    .in_new = found->dir == DIR_NEW,
                    .foreign = found->listed};
    if (row == NULL) {
        (void)found_stat(l, found, &m);
    } else {
        m.date = row->date;
        m.guessed = found->size == 0 && row->guessed;
        m.form = (struct form){.kind = row->form & 3U, .size = row->surrogate & FORM_SIZE_MAX};
        if (m.size == 0)
            m.size = row->size;
    }
    m.modseq = same ? row->modseq : modseq_now(f, modseq);
    folder_append(f, &m, found_name(l, found));
    if (!same || row->renewed)
        folder_put_msg(f, &m);
}

static void load_all(struct listing *l, const struct rows *rows, uint64_t *modseq)
{
    struct folder *f = l->folder;
    struct pn_uidset missing, vanished;
    size_t i = 0;
    pn_uidset_init(&missing, PN_UIDSET_MAX);
    pn_uidset_init(&vanished, PN_UIDSET_MAX);
    if (rows->count > 0)
        (void)index_vanished_get(f->user->index, f->marks.uidvalidity, 0, add_vanished, &vanished);
    for (size_t j = l->strangers; j < l->count; j++) {
        struct found *found = &l->v[j];
        for (; i < rows->count && rows->v[i].uid < found->uid; i++)
            (void)pn_uidset_add(&missing, rows->v[i].uid, rows->v[i].uid);
        bool known = i < rows->count && rows->v[i].uid == found->uid;
        if (!known && pn_uidset_has(&vanished, found->uid))
            found->uid = 0;
        else
            load_one(l, found, known ? &rows->v[i] : NULL, modseq);
        i += known;
    }
    for (; i < rows->count; i++)
        if (!coming_has(f, rows->v[i].uid))
            (void)pn_uidset_add(&missing, rows->v[i].uid, rows->v[i].uid);
    if (missing.count > 0)
        note_missing(f, &missing, modseq_now(f, modseq));
    pn_uidset_fini(&missing);
    pn_uidset_fini(&vanished);
}

/* What a crash left in tmp long ago, as the Maildir description has it. */
static void sweep_tmp(const struct folder *f)
{
    enum { OLD_S = 36 * 3600 };
    struct timespec now;
    int fd = folder_open_dir(f, "tmp");
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (entries == NULL && fd >= 0)
        (void)close(fd);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    for (struct dirent *e; entries != NULL && (e = readdir(entries)) != NULL;) {
        struct stat st;
        if (e->d_name[0] != '.' && fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode) && now.tv_sec - st.st_ctim.tv_sec > OLD_S)
            (void)unlinkat(fd, e->d_name, 0);
    }
    if (entries != NULL)
        (void)closedir(entries);
}

/* A client may have been told of a change that no row has: each message changed, for all we know.
 */
static void renew(struct rows *rows, uint64_t modseq)
{
    for (size_t i = 0; i < rows->count; i++) {
        rows->v[i].modseq = modseq;
        rows->v[i].renewed = true;
    }
}

/* What may have been counted of the folder while it was not in memory, against what is there. */
static void recount(struct folder *f, const struct rows *rows)
{
    int64_t bytes = (int64_t)f->bytes;
    for (size_t i = 0; i < rows->count; i++)
        bytes -= rows->v[i].size;
    if (bytes != 0 || f->count != rows->count)
        user_count_again(f); /* the index may have begun anew since it was counted by */
}

void load_folder(struct listing *l)
{
    struct folder *f = l->folder;
    struct index_folder row;
    struct rows rows = {0};
    uint64_t modseq = 0;
    sweep_tmp(f);
    f->index_serial = index_serial(f->user->index); /* if it begins anew below, all is put again */
    bool known = index_folder_get(f->user->index, f->marks.uidvalidity, &row);
    bool all = index_messages(f->user->index, f->marks.uidvalidity, add_row, &rows);
    /* A crash: what was queued for the index is lost; or it is damaged. */
    if (!known || !all || row.epoch != f->epoch) {
        row.history = modseq_now(f, &modseq);
        row.modseq = modseq;
        renew(&rows, modseq);
    }
    load_all(l, &rows, &modseq);
    recount(f, &rows);
    listing_sort(l);
    f->history = row.history;
    f->modseq = row.modseq;
    if (f->modseq < modseq)
        f->modseq = modseq;
    for (size_t i = 0; i < f->count; i++)
        if (f->modseq < f->msgs[i].modseq)
            f->modseq = f->msgs[i].modseq;
    f->row_old = true;
    f->loaded = true;
    if (f->list != NULL || f->guessed > 0)
        later_begin(f);
    free(rows.v);
}
