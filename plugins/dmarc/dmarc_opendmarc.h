/*
 * `engine libopendmarc`: alignment and policy by libopendmarc 1.4.2, the RFC 7489 way, for
 * sites that want its answers. Lookups, the choice of the record and the reading of its tags are
 * ours: the library asks no DNS, and is given the record as we understood it, so that it
 * parses nothing foreign. Its list of suffixes is global: one list a process.
 *
 * Its faults stand in the README: strict alignment does not work, and names whose
 * label below the suffix is one letter all align with each other.
 */
#ifndef DMARC_OPENDMARC_H
#define DMARC_OPENDMARC_H

#include "dmarc_engine.h"

/* Once a process, before there are threads; path: a list of public suffixes, as text. False:
 * it can't be read. */
bool dmarc_opendmarc_init(const char *path);
/* Nothing if it was not begun. */
void dmarc_opendmarc_fini(void);
/* As dmarc_check(); query->registrable must be there. */
int dmarc_opendmarc_check(const struct dmarc_query *query, struct dmarc_outcome *out);

#endif
