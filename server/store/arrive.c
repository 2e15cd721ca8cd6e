/* Files of tmp become messages: UIDs, names, one sync for all who wait. */
#include "store_int.h"

#include "mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct landing {
    struct folder *folder;
    struct arrival *v;
    size_t n, renamed;
    int tmp, dir;
    char **names;
    struct coming **coming;
};

void arrival_fini(struct arrival *a)
{
    free(a->tmp);
    a->tmp = NULL;
    for (unsigned i = 0; i < 3; i++)
        pn_buf_fini(&a->cached[i]);
}

static void take_back(struct landing *l)
{
    for (size_t i = 0; i < l->renamed; i++)
        (void)unlinkat(l->dir, l->names[i], 0);
}

static int rename_all(struct landing *l, uint32_t first, bool to_cur)
{
    struct pn_buf name;
    int error = 0;
    pn_buf_init(&name, 256);
    for (size_t i = 0; i < l->n && error == 0; i++) {
        const struct arrival *a = &l->v[i];
        pn_buf_clear(&name);
        (void)mail_name_make(&name, pn_str_of(a->tmp), a->file_size, a->size,
                             l->folder->marks.uidvalidity, first + (uint32_t)i);
        if (to_cur)
            (void)mail_name_flags(&name, PN_STR(""), a->system, a->keywords);
        if (name.overflow || name.len > 255)
            error = ENAMETOOLONG;
        else if (renameat(l->tmp, a->tmp, l->dir, pn_buf_cstr(&name)) != 0)
            error = errno;
        else
            l->names[l->renamed++] = pn_strndup(name.p, name.len);
    }
    pn_buf_fini(&name);
    return error;
}

static void add_coming(struct landing *l, uint32_t first, int dir)
{
    for (size_t i = 0; i < l->n; i++) {
        struct arrival *a = &l->v[i];
        struct coming *c = pn_calloc(1, sizeof *c);
        *c = (struct coming){.msg = {.uid = first + (uint32_t)i,
                                     .size = a->size,
                                     .date = a->date,
                                     .keywords = a->keywords,
                                     .system = a->system,
                                     .in_new = dir == DIR_NEW,
                                     .seen_now = true,
                                     .form = a->form},
                             .name = l->names[i]};
        for (unsigned k = 0; k < 3; k++) {
            c->cached[k] = a->cached[k];
            pn_buf_init(&a->cached[k], 0);
        }
        coming_add(l->folder, c);
        l->coming[i] = c;
    }
}

/* Below the lock, which is let go while the disk works. */
static int settle(struct landing *l, int dir)
{
    struct sync_ask ask;
    group_ask(l->folder, dir, l->dir, &ask);
    int error = group_wait(l->folder, dir, &ask);
    if (error != 0)
        take_back(l);
    for (size_t i = 0; i < l->n; i++)
        if (error != 0)
            l->coming[i]->dropped = true;
        else
            l->coming[i]->done = true;
    coming_publish(l->folder);
    return error;
}

static int put_in_place(struct landing *l, int dir, uint32_t *first)
{
    struct folder *f = l->folder;
    struct seen before[2];
    int error;
    (void)pthread_mutex_lock(&f->lock);
    *first = f->gone ? 0 : folder_give_uids(f, (uint32_t)l->n);
    error = f->gone ? ENOENT : *first == 0 ? errno : 0;
    if (error == 0) {
        folder_change_begin(f, before);
        error = rename_all(l, *first, dir == DIR_CUR);
        if (error != 0)
            take_back(l);
        folder_change_end(f, before);
    }
    if (error == 0) {
        add_coming(l, *first, dir);
        error = settle(l, dir);
    } else {
        for (size_t i = 0; i < l->renamed; i++)
            free(l->names[i]);
    }
    (void)pthread_mutex_unlock(&f->lock);
    return error;
}

enum pn_store_status arrive(struct folder *f, struct arrival *v, size_t n, int dir, uint32_t *first,
                            struct pn_buf *why)
{
    struct landing l = {.folder = f, .v = v, .n = n};
    if (n == 0)
        return PN_STORE_OK;
    l.tmp = folder_open_dir(f, "tmp");
    l.dir = folder_open_dir(f, dir == DIR_NEW ? "new" : "cur");
    l.names = pn_calloc(n, sizeof *l.names);
    l.coming = pn_calloc(n, sizeof *l.coming);
    int error = l.tmp < 0 || l.dir < 0 ? errno : put_in_place(&l, dir, first);
    if (error != 0 && l.tmp >= 0)
        for (size_t i = 0; i < n; i++)
            (void)unlinkat(l.tmp, v[i].tmp, 0);
    if (l.tmp >= 0)
        (void)close(l.tmp);
    if (l.dir >= 0)
        (void)close(l.dir);
    free(l.names);
    free(l.coming);
    return error == 0 ? PN_STORE_OK : store_failed(why, "file", error);
}

enum pn_store_status folder_keyword(struct folder *f, struct pn_str name, uint32_t *bit)
{
    unsigned free_letter = PN_KEYWORDS_MAX;
    *bit = 0;
    if (f->gone) /* its name may be another's by now */
        return PN_STORE_NO_FOLDER;
    for (unsigned i = 0; i < PN_KEYWORDS_MAX; i++) {
        if (f->marks.keywords[i] == NULL) {
            if (free_letter == PN_KEYWORDS_MAX)
                free_letter = i;
        } else if (pn_str_ieq(pn_str_of(f->marks.keywords[i]), name)) {
            *bit = 1U << i;
            return PN_STORE_OK;
        }
    }
    if (name.len == 0 || name.len > PN_KEYWORD_LEN_MAX || free_letter == PN_KEYWORDS_MAX)
        return PN_STORE_LIMIT;
    f->marks.keywords[free_letter] = pn_strndup(name.p, name.len);
    int dir = folder_open_dir(f, NULL);
    int error = dir < 0 ? errno : folder_marks_write(dir, &f->marks, true);
    if (dir >= 0)
        (void)close(dir);
    if (error != 0) {
        free(f->marks.keywords[free_letter]);
        f->marks.keywords[free_letter] = NULL;
        return store_status(error);
    }
    *bit = 1U << free_letter;
    return PN_STORE_OK;
}
