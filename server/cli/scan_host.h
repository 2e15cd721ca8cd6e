/*
 * The processes behind `postern scan` and `postern check`: the same templates and workers as the
 * server's, started here, jailed alike, with this process in the place of supervisor, edge and
 * resolver. DNS questions are answered from a DNS file; without one a resolver role is
 * started, with the configuration's resolver. Lasting state answers what was recorded, or is
 * empty and stays so: no case depends on another.
 */
#ifndef PN_SCAN_HOST_H
#define PN_SCAN_HOST_H

#include "dnsfile.h"
#include "facts.h"
#include "plan.h"
#include "runner.h"

struct pn_scan_host;

/* policy_fd is borrowed; it is the mapping that plan was made of. network: questions that
 * no DNS file answers go to a resolver role. workers: of each group. NULL with a sentence in err.
 */
struct pn_scan_host *pn_scan_host_new(struct pn_loop *loop, struct pn_plan *plan, int policy_fd,
                                      bool network, unsigned workers, struct pn_buf *err);
void pn_scan_host_free(struct pn_scan_host **host);
struct pn_runner *pn_scan_host_runner(struct pn_scan_host *host);
/* From now on questions are answered from file (borrowed; NULL: the resolver role, or
 * nothing: every name times out). */
void pn_scan_host_dns(struct pn_scan_host *host, const struct pn_dnsfile *file);

/* From now on lasting state answers what these facts say it did (borrowed; NULL: it is empty). */
void pn_scan_host_state(struct pn_scan_host *host, const struct pn_facts *facts);

#endif
