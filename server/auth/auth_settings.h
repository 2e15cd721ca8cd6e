/* The rows of `auth`, as the role goes by them. */
#ifndef AUTH_SETTINGS_H
#define AUTH_SETTINGS_H

#include "control.h"
#include "guard.h"

struct auth_settings {
    struct auth_guard_rules rules;
    unsigned threads, waiting;
    uint32_t mailboxes;    /* workers */
    bool plain_login;      /* IMAP and POP3 clients of this machine may do without TLS */
    struct pn_net *shared; /* owned */
    size_t shared_count, shared_cap;
};

/* Takes the generation's policy. False with a sentence in err; to be finished if true. */
bool auth_settings_of(struct pn_generation *gen, struct auth_settings *out, struct pn_buf *err);
void auth_settings_fini(struct auth_settings *set);
/* Many users come from there by right. */
bool auth_settings_shared(const struct auth_settings *set, const struct pn_ip *ip);

#endif
