/*
 * The questions of one call: all are gathered, then started, then awaited; each zone then
 * states at most one listing for each kind of thing that was looked up, the heaviest.
 *
 * What is looked up is a *subject*: the client's address, or one name. Where a list of the
 * good spares the others their questions, those about its subjects wait for its answers, and
 * go out for those that it does not know.
 *
 * Budgets, of a zone and of all, are for a message: the message stage counts what the mail
 * stage asked by gathering that again.
 */
#ifndef DNSBL_ASK_H
#define DNSBL_ASK_H

#include "dnsbl_settings.h"

enum { DNSBL_QUESTIONS_MAX = 600, DNSBL_SUBJECTS_MAX = 256 };

/* Of one question: which list, about what. */
struct dnsbl_question {
    const struct postern_dns_answer *answer; /* NULL: not there */
    unsigned zone, kind, subject;
    bool left;        /* beyond a budget: not asked */
    size_t about_len; /* the name asked about is so much of `name`; 0: an address */
    char name[DNSBL_NAME_MAX + 1];
};

/* Of one zone in this call. */
struct dnsbl_use {
    const char *suspended; /* why; NULL: it is not */
    bool wanted;           /* suspended, and would be asked */
    unsigned asked, left;  /* questions; left: beyond a budget */
};

/* Zeroed but for call and in; memory is the host's. */
struct dnsbl_questions {
    struct postern_call *call;
    const struct dnsbl_instance *in;
    struct dnsbl_use *use;
    struct dnsbl_question *list;
    size_t count, cap;
    size_t first; /* those before it are an earlier stage's */
    unsigned asked, subjects;
    bool guarded[DNSBL_SUBJECTS_MAX], spared[DNSBL_SUBJECTS_MAX];
    bool more_hosts, no_memory;
};

/* First of all: which lists are suspended. A status. */
int dnsbl_begin(struct dnsbl_questions *q);
/* Of every zone that checks this kind. Nothing is asked for what is no domain name. */
void dnsbl_add_address(struct dnsbl_questions *q, enum dnsbl_kind kind, const unsigned char ip[16],
                       bool is_ipv4);
void dnsbl_add_name(struct dnsbl_questions *q, enum dnsbl_kind kind, struct postern_str name);
/* What was added so far was asked by an earlier stage: it counts, and that is all. */
void dnsbl_earlier(struct dnsbl_questions *q);
/* Starts what waits for no other answer. */
void dnsbl_start(struct dnsbl_questions *q);
/* Starts, waits, and states the facts. */
int dnsbl_conclude(struct dnsbl_questions *q);

/* ---- facts (dnsbl_say.c) */

/* All that was asked is answered. */
int dnsbl_say(struct dnsbl_questions *q);
/* A TXT record as text for a detail: printable ASCII, cut. */
void dnsbl_reason(struct postern_str data, char *room, size_t size);

#endif
