/*
 * A role's main in a forked process, with the test at the other end of its channels:
 * the test is its supervisor, its edges, its mailboxes, with blocking calls.
 */
#ifndef ROLE_RIG_H
#define ROLE_RIG_H

#include "control.h"
#include "handover.h"

#include <sys/types.h>

enum { ROLE_RIG_PEERS = 5 };

struct role_rig {
    char path[32]; /* its folder, made on init */
    int folder;
    enum pn_role role;
    enum pn_folder_purpose purpose;
    pn_role_main *main;
    int policy_fd; /* -1: none */
    pid_t pid;
    int control;
    int peers[ROLE_RIG_PEERS]; /* our ends, in the order of peer_roles */
    enum pn_role peer_roles[ROLE_RIG_PEERS];
    uint32_t peer_numbers[ROLE_RIG_PEERS];
    unsigned peer_count;
    /* Sends what else the role gets before GO; may be NULL. */
    void (*before_go)(struct role_rig *rig);
};

void role_rig_init(struct role_rig *rig, enum pn_role role, enum pn_folder_purpose purpose,
                   pn_role_main *main);
/* Ends it and removes the folder. */
void role_rig_fini(struct role_rig *rig);
/* Starts it with these peers and waits until it is ready. */
void role_rig_start(struct role_rig *rig);
void role_rig_kill(struct role_rig *rig);
/* A new process of that role and number came: it takes the place of peer. */
void role_rig_peer(struct role_rig *rig, unsigned peer, enum pn_role role, uint32_t number);
/* Asks it to drain; its exit status. */
int role_rig_drain(struct role_rig *rig);
/* The next record from a peer, or a test failure after half a minute. */
bool role_rig_recv(struct role_rig *rig, unsigned peer, struct pn_record *record,
                   struct pn_buf *buf);

#endif
