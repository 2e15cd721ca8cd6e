/*
 * Memory files: content and other large things between roles, by descriptor.
 *
 * Written by one role, then sealed (F_SEAL_WRITE and the rest), so that nobody,
 * the writer included, can change what others have judged. Readers map it.
 */
#ifndef PN_MEMFILE_H
#define PN_MEMFILE_H

#include "buf.h"

struct pn_memfile {
    int fd;     /* owned; -1 when none */
    char *map;  /* the written part, while writing */
    size_t len; /* bytes written */
    size_t cap; /* bytes mapped */
    size_t max; /* limit */
};

/* 0, or -1 with errno. Nothing is allocated in the kernel until the first write. */
int pn_memfile_init(struct pn_memfile *m, const char *name, size_t max);
void pn_memfile_fini(struct pn_memfile *m);
/* Room for n bytes at m->map + m->len; the caller writes them and adds to len. NULL:
 * past the limit or out of memory (errno EFBIG or other). */
char *pn_memfile_reserve(struct pn_memfile *m, size_t n);
bool pn_memfile_add(struct pn_memfile *m, struct pn_str bytes);
/* Appends by the kernel's copy: no page is mapped, zeroed or faulted in first. For who
 * writes much and reads nothing; not mixed with the two above. False with errno. */
bool pn_memfile_write(struct pn_memfile *m, struct pn_str bytes);
/* Trims, unmaps, seals against every change; m->fd stays open and owned. 0 or -1. */
int pn_memfile_seal(struct pn_memfile *m);

/* A new one, empty and not sealed: an fd, or -1 with errno. */
int pn_memfile_fd(const char *name);
/* A sealed file of these bytes: an fd, or -1 with errno. */
int pn_memfile_of(const char *name, struct pn_str bytes);

/* Reads: the whole of a regular or memory file, read-only. 0 or -1 with errno.
 * With must_be_sealed, for what another role gave: a memory file that could still change is
 * refused (EPERM), and a regular file is copied (at most PN_COPY_MAX bytes, else EFBIG),
 * since whoever may write it could cut it short under a mapping. All else is mapped.
 * An empty file gives an empty view. */
enum { PN_COPY_MAX = 0x7fffffff }; /* limits.message-size goes no further */
int pn_map_fd(int fd, bool must_be_sealed, struct pn_str *out);
void pn_unmap(struct pn_str *view);

#endif
