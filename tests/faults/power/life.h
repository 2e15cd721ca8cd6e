/*
 * A life of the server: from a disk as it was found, through a load, to its end; and the
 * many deaths it may have on the way.
 */
#ifndef POWER_LIFE_H
#define POWER_LIFE_H

#include "disk.h"
#include "load.h"

struct life {
    struct disk base; /* what it began on */
    struct log log;
    uint32_t next_id;
    char wrong[400]; /* of what it found itself, at a restart within; "": nothing */
};

/* On an empty disk. */
void life_record(struct life *life, const struct load *load, uint64_t seed);
void life_free(struct life *life);

struct tally {
    uint64_t cuts, disks, second; /* second: lives that began on a found disk */
    uint64_t accepted;            /* messages answered 250, summed over the disks */
    uint64_t lost, unheard, repeated;
    char wrong[600]; /* the first */
};

struct thoroughness {
    unsigned each;   /* disks a cut at most */
    unsigned second; /* one in so many disks has a second life; 0: none */
    unsigned stride; /* every so many cuts */
    bool first;      /* the first loss is enough */
};

/* Cuts the power at every moment of it. removed: a site whose syncs count for nothing, or
 * SITE_NONE. Adds to the tally. */
void life_cut(const struct life *life, unsigned removed, const struct thoroughness *how,
              uint64_t seed, struct tally *tally);
/* The number of the site's syncs in it. */
unsigned life_syncs(const struct life *life, unsigned site);

/* Where all folders are made and removed. */
void life_place(const char *folder);

#endif
