/*
 * The questions of one call: all are started, then all awaited; each zone then states at
 * most one listing for each kind of thing that was looked up, the heaviest.
 */
#ifndef DNSBL_ASK_H
#define DNSBL_ASK_H

#include "dnsbl_settings.h"

struct dnsbl_question;

/* Zeroed but for call and in; the list lives in the host's memory of the transaction. */
struct dnsbl_questions {
    struct postern_call *call;
    const struct dnsbl_instance *in;
    struct dnsbl_question *list;
    size_t count, cap;
};

/* Of every zone that checks this kind. Nothing is asked for what is no domain name. */
void dnsbl_add_address(struct dnsbl_questions *q, enum dnsbl_kind kind, const unsigned char ip[16],
                       bool is_ipv4);
void dnsbl_add_name(struct dnsbl_questions *q, enum dnsbl_kind kind, struct postern_str name);
/* Waits, and states the facts. */
int dnsbl_conclude(struct dnsbl_questions *q);

#endif
