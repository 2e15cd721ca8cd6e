/*
 * Patterns that tests of our own need, compiled once with the set: marks that mail
 * programs and services leave.
 */
#ifndef RULES_KNOWN_H
#define RULES_KNOWN_H

#include "rules_set.h"

enum rules_known {
    RULES_K_TEMPLATE, /* "%FIRST_NAME" that nobody filled in */
    RULES_K_TEMPLATE_FIELD,
    RULES_K_CAPS_CHARSET, /* charsets whose bytes look like capitals */
    RULES_K_ROBOT_ID,     /* captures what stands behind 28 capitals */
    RULES_K_OUTLOOK_ID,   /* captures its time */
    RULES_K_DATE,         /* captures the date of a Received field */
    RULES_K_LOCAL_RECEIVED,
    RULES_K_FETCHED,
    RULES_K_EZMLM,
    RULES_K_EZMLM_TO,
    RULES_K_QMAIL,
    RULES_K_MSN_GROUPS,
    RULES_K_HOTMAIL_PICKUP,
    RULES_K_HOTMAIL_RELAY,
    RULES_K_HOTMAIL_BARE,
    RULES_K_HOTMAIL_HTTP,
    RULES_K_HOTMAIL_YAHOO,
    RULES_K_HOTMAIL_NAMED,
    RULES_K_YAHOO_RDNS,
    RULES_K_YAHOO_HTTP,
    RULES_K_YAHOO_SMTP,
    RULES_K_YAHOO_GROUPS,
    RULES_K_YAHOO_BULK,
    RULES_K_YAHOO_ID,
    RULES_K_AOL_RELAY,
    RULES_K_AOL_MARK,
    RULES_K_JUNO,
    RULES_K_JUNO_COOKIE,
    RULES_K_MAILCOM,
    RULES_K_GMAIL,
    RULES_K_IP,
    RULES_K_NOT_PERSON, /* addresses of roles and robots */
    RULES_K_BULK_SENDER,
    RULES_K_HOST_NAME,
    RULES_K_BIG_HELO,
    RULES_K_BASE64_LINE,
    RULES_K_STOCK_LINE, /* captures the label of "label: value" */
    RULES_K_STOCK_WORD,
    RULES_K_HTTPS, /* captures its host */
    RULES_K_HTTP_IP,
    RULES_K_REPLY_MARKS,
    RULES_KNOWN
};

/* False when memory ran out. */
bool rules_known_compile(void *codes[RULES_KNOWN]);
void rules_known_free(void *codes[RULES_KNOWN]);
/* Does it match at or behind *at, which goes behind the match? *capture (may be NULL): its
 * first group, .p NULL without one. */
bool rules_known_next(const struct rules_set *set, enum rules_known k, struct postern_str s,
                      size_t *at, struct postern_str *capture);
bool rules_known(const struct rules_set *set, enum rules_known k, struct postern_str s);

#endif
