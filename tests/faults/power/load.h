/* What is done to the server while it is recorded: steps drawn by lot from a row of weights,
 * so that each row goes on about something else. */
#ifndef POWER_LOAD_H
#define POWER_LOAD_H

#include "judge.h"
#include "log.h"

struct load;
unsigned load_count(void);
const struct load *load_get(unsigned n);
const char *load_name(const struct load *load);
/* Which things happen after a restart on a found disk. */
const struct load *load_after(void);

/* Runs its steps. The server is open before and after; *next_id is the first id
 * not used yet. False: a restart within did not find what it should, said in v. */
bool load_run(const struct load *load, struct server *s, uint32_t *next_id, uint64_t *lot,
              const struct log *log, struct verdict *v);

#endif
