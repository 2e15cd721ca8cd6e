/*
 * The scanner's folder for unpacking: one a worker, below the private folder that the
 * host gives, so that what a killed worker left behind can be told from what is in use.
 */
#ifndef CLAMAV_TMP_H
#define CLAMAV_TMP_H

#include <postern/plugin.h>

/* Removes the folders of workers that are gone and makes ours. Owned, NUL-terminated path;
 * NULL with errno set. */
char *clamav_tmp_new(struct postern_str folder);
/* Removes it with all in it. */
void clamav_tmp_free(char *path);

#endif
