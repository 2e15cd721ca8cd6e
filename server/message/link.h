/*
 * Links found in a message, with the host that lists of names (URIBL) ask about.
 * Bounded in number and bytes; the same link twice is kept once.
 */
#ifndef PN_LINK_H
#define PN_LINK_H

#include "buf.h"

enum pn_link_kind {
    PN_LINK_TEXT,   /* written out with its scheme, or "www." */
    PN_LINK_BARE,   /* a domain name in the text, nothing before it */
    PN_LINK_HREF,   /* HTML: a, area, base, link */
    PN_LINK_SOURCE, /* HTML: img, iframe, script, background... */
    PN_LINK_FORM,   /* HTML: form, button */
};

struct pn_link {
    enum pn_link_kind kind;
    bool truncated;     /* longer than the 2,048 bytes kept */
    struct pn_str url;  /* as written, entities undone, blanks within it dropped; UTF-8 */
    struct pn_str host; /* lower case, no user, port or last dot, escapes undone; an IPv4 address in
                           any of its disguises is dotted; IPv6 without brackets. Empty: none */
};

struct pn_links; /* owned */

/* max: links kept. */
struct pn_links *pn_links_new(size_t max);
void pn_links_free(struct pn_links **links);
void pn_links_clear(struct pn_links *links);
size_t pn_links_count(const struct pn_links *links);
/* Borrowed until the next add or clear. */
struct pn_link pn_links_at(const struct pn_links *links, size_t index);
/* More than max were found, or they were too long together. */
bool pn_links_full(const struct pn_links *links);
/* Adds one; empty ones, "cid:", "data:", "#..." and such without a host are dropped,
 * but "mailto:" is kept with its domain as host. */
void pn_links_add(struct pn_links *links, enum pn_link_kind kind, struct pn_str url);

/* Appends the host of a URL as pn_link has it. False: it has none. */
bool pn_url_host(struct pn_str url, struct pn_buf *out);
/* Finds what looks like a link in plain UTF-8 text. Linear. */
void pn_links_find(struct pn_links *links, struct pn_str text);

#endif
