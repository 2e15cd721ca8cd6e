/*
 * Dialogues with the IMAP engine through run(), no sockets. In what is said and wanted "\n"
 * stands for CRLF; in what is wanted `~` stands for a run of digits.
 */
#ifndef IMAP_RIG_H
#define IMAP_RIG_H

#include "engine.h"

struct imap_turn {
    const char *say;  /* "!..." is said by another session of the same user, its answers unseen */
    const char *want; /* exactly */
};

struct imap_rig {
    struct pn_user *user; /* owned, one of three references */
    struct pn_engine *engine, *other;
    struct pn_buf in, out;
    struct pn_buf moved; /* what host->moved was told */
    struct pn_buf grown; /* what host->grew was told */
    unsigned wakes;
    bool ended, deflate;
};

/* A user for one session; the rig takes three of the same. The program that links it says which
 * store: fake_store.c, or the real one. */
struct pn_user *imap_rig_user(bool again);
extern const bool imap_rig_cuts; /* dialogues are played in pieces, too */
void imap_rig_init(struct imap_rig *rig);
void imap_rig_fini(struct imap_rig *rig);
/* Feeds bytes as they are, runs the engine until it waits. Output is added to out. */
void imap_rig_feed(struct imap_rig *rig, struct pn_str bytes);
/* "\n" becomes CRLF. */
void imap_rig_say(struct imap_rig *rig, const char *text);
void imap_rig_other(struct imap_rig *rig, const char *text);
/* Empties out. */
void imap_rig_want(struct imap_rig *rig, const char *want);
/* All turns on a new user; whole, cut in two at every byte of each turn, and byte by byte. The
 * last turn has a NULL. */
void imap_rig_play(const char *label, const struct imap_turn *turns);

#endif
