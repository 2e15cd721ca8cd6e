/*
 * What tells one state of the signatures from the next: number, size and times of each file
 * of them. In a folder only files with an extension of libclamav's count, since freshclam
 * keeps notes of its own there.
 *
 * A file's state is taken when it is added, which is before it is loaded: what changes
 * meanwhile is seen. A folder is held open, and its files are looked at, never opened: all
 * of that a sandboxed template may.
 */
#ifndef CLAMAV_WATCH_H
#define CLAMAV_WATCH_H

struct clamav_watch;

/* NULL: no memory. Owned. */
struct clamav_watch *clamav_watch_new(void);
void clamav_watch_free(struct clamav_watch *w);
/* A file or a folder, which may not be there yet. False: no memory. */
int clamav_watch_add(struct clamav_watch *w, const char *path);
/* 1: they are others than those that were added, the same as at the look before (nobody is
 * writing them any more), and this was not said yet of them. */
int clamav_watch_changed(struct clamav_watch *w);

#endif
