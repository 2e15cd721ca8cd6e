/*
 * Which disks a cut may leave, drawn from a seed: all of them where little is pending, else
 * nothing, everything, names alone, all but names, sizes without their bytes, some names;
 * then by lot single things, all but one, the oldest, whole files, any of them, a torn sector, a
 * spoilt block.
 */
#ifndef POWER_PLAN_H
#define POWER_PLAN_H

#include "disk.h"

/* How many disks to look at here, when `most` are wanted. */
unsigned plan_count(const struct disk *disk, unsigned most);
/* The n-th of them. cut->on is the caller's to free. */
void plan_draw(const struct disk *disk, unsigned n, unsigned count, uint64_t *lot, struct cut *cut);

#endif
