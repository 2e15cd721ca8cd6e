/*
 * A DNS file: a small world of DNS for `scan`, tests, the demo, and a resolver that
 * has no network.
 *
 *   name [ttl] [IN] TYPE rdata                            a record (RFC 1035, section 5.1)
 *   name [TYPE] TIMEOUT | SERVFAIL | NXDOMAIN | NODATA    what a question gets instead
 *   name TYPE SECURE                                      and DNSSEC proved that answer
 *
 * Master-file lines: blank owner (the last one's), ";" comments, "(" ")" over lines,
 * $ORIGIN and $TTL, \X and \DDD in names and strings, "@". Names are absolute, with or
 * without the last dot, until an $ORIGIN says otherwise. Types are those of dns.h, and
 * TYPE12345 \# 4 0A000001 (RFC 3597) for any. A string over 255 bytes is taken as if
 * it were split. TTL defaults to an hour.
 *
 * A question is answered as an authoritative server that has everything would: names
 * compare without case, an ancestor of a name exists, a wildcard stands for what does
 * not exist below its parent (RFC 4592), CNAMEs are followed (a loop, or more than
 * CNAMES_MAX, is SERVFAIL), and a name not there is NXDOMAIN. A state with a type comes
 * before data, data before CNAME, both before a state without a type.
 *
 * Read-only once made: any thread may ask. Everything found is borrowed from it.
 */
#ifndef PN_DNSFILE_H
#define PN_DNSFILE_H

#include "dns.h"

enum { PN_DNSFILE_MAX = 64 * 1024 * 1024, PN_DNSFILE_CNAMES_MAX = 16 };

struct pn_dnsfile;

/* file names it in errors. NULL, with "file:line:column: what, what was expected" in err,
 * for the first mistake. text may go afterwards. */
struct pn_dnsfile *pn_dnsfile_parse(struct pn_str text, const char *file, struct pn_buf *err);
void pn_dnsfile_free(struct pn_dnsfile **file);
/* Always answers; a name that can't be asked is NXDOMAIN. */
void pn_dnsfile_find(const struct pn_dnsfile *file, struct pn_str name, uint16_t type,
                     struct pn_dns_answer *out);
/* Appends the lines that make a file answer this question so. TTLs are not kept; an rcode
 * that has no word here is SERVFAIL. */
void pn_dnsfile_put(struct pn_buf *out, struct pn_str name, uint16_t type,
                    const struct pn_dns_answer *answer);

#endif
