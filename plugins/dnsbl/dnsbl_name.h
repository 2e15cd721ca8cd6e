/*
 * Names to ask lists about: as the DNS has them, and the domain that somebody registered. Pure.
 */
#ifndef DNSBL_NAME_H
#define DNSBL_NAME_H

#include <postern/plugin.h>

#include <libpsl.h>
#include <stdbool.h>

enum { DNSBL_NAME_MAX = 253 };

/* Labels of letters, digits, "-" and "_" into room of max + 1 bytes: lower-cased, the last dot
 * off. Returns how many there are; 0: no name, or a longer one. */
size_t dnsbl_labels(struct postern_str text, char *room, size_t max);
/* A domain that lists may know, of two labels at least, and no address. Other letters than
 * ASCII's become A-labels (RFC 5891, with the mapping of UTS 46). Its length or 0. */
size_t dnsbl_domain(struct postern_str text, char room[DNSBL_NAME_MAX + 1]);
/* The tail of a name made above that is a public suffix and one label more; all of it where it
 * is a suffix itself, or without a list. */
struct postern_str dnsbl_registered(const psl_ctx_t *list, const char *name);
/* Is it that name, or one below it? */
bool dnsbl_below(struct postern_str name, struct postern_str parent);
/* Dotted IPv4, as ::ffff:a.b.c.d, or IPv6. */
bool dnsbl_ip(struct postern_str text, unsigned char ip[16], bool *is_ipv4);

#endif
