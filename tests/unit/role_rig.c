#include "role_rig.h"

#include "assert.h"
#include "launch.h"
#include "unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000 };

void role_rig_init(struct role_rig *rig, enum pn_role role, enum pn_folder_purpose purpose,
                   pn_role_main *main)
{
    *rig = (struct role_rig){.path = "role.XXXXXX",
                             .role = role,
                             .purpose = purpose,
                             .main = main,
                             .policy_fd = -1,
                             .control = -1};
    pn_assert(mkdtemp(rig->path) != NULL);
    rig->folder = open(rig->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pn_assert(rig->folder >= 0);
}

static int remove_it(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static void close_ends(struct role_rig *rig)
{
    for (unsigned i = 0; i < rig->peer_count; i++)
        (void)close(rig->peers[i]);
    if (rig->control >= 0)
        (void)close(rig->control);
    rig->control = -1;
    rig->pid = 0;
}

void role_rig_kill(struct role_rig *rig)
{
    if (rig->pid == 0)
        return;
    UNIT_INT(kill(rig->pid, SIGKILL), 0);
    UNIT_INT(waitpid(rig->pid, NULL, 0), rig->pid);
    close_ends(rig);
}

void role_rig_fini(struct role_rig *rig)
{
    role_rig_kill(rig);
    (void)close(rig->folder);
    UNIT_INT(nftw(rig->path, remove_it, 8, FTW_DEPTH | FTW_PHYS), 0);
}

_Noreturn static void child(struct role_rig *rig, int control, const int *ends)
{
    struct pn_role_env env;
    for (unsigned i = 0; i < rig->peer_count; i++) {
        (void)close(rig->peers[i]);
        (void)close(ends[i]); /* it gets its own by record */
    }
    if (!pn_role_env_read(&env, control))
        _exit(99);
    int status = rig->main(&env);
    pn_role_env_fini(&env);
    (void)fflush(NULL);
    _exit(status);
}

void role_rig_start(struct role_rig *rig)
{
    int control[2], ends[ROLE_RIG_PEERS];
    struct pn_buf err;
    pn_assert(pn_channel_pair(control) == 0);
    rig->control = control[0];
    for (unsigned i = 0; i < rig->peer_count; i++) {
        int pair[2];
        pn_assert(pn_channel_pair(pair) == 0);
        rig->peers[i] = pair[0];
        ends[i] = pair[1];
    }
    (void)fflush(stdout);
    rig->pid = fork();
    pn_assert(rig->pid >= 0);
    if (rig->pid == 0) {
        (void)close(control[0]);
        child(rig, control[1], ends);
    }
    (void)close(control[1]);
    const struct pn_start start = {.role = (uint8_t)rig->role, .name = PN_STR("test")};
    const struct pn_folder folder = {(uint8_t)rig->purpose, PN_STR("/test"), rig->folder};
    UNIT_TRUE(pn_launch_start(rig->control, &start, rig->policy_fd));
    for (unsigned i = 0; i < rig->peer_count; i++) {
        const struct pn_peer peer = {
            .role = (uint8_t)rig->peer_roles[i], .number = rig->peer_numbers[i], .fd = ends[i]};
        UNIT_TRUE(pn_launch_peer(rig->control, &peer));
        (void)close(ends[i]);
    }
    UNIT_TRUE(pn_launch_folder(rig->control, &folder));
    if (rig->before_go != NULL)
        rig->before_go(rig);
    UNIT_TRUE(pn_launch_go(rig->control));
    pn_buf_init(&err, 1000);
    UNIT_TRUE(pn_launch_ready(rig->control, PATIENCE_MS, &err));
    UNIT_STR(pn_buf_str(&err), PN_STR(""));
    pn_buf_fini(&err);
}

void role_rig_peer(struct role_rig *rig, unsigned peer, enum pn_role role, uint32_t number)
{
    int pair[2];
    struct pn_buf b;
    (void)close(rig->peers[peer]);
    pn_assert(pn_channel_pair(pair) == 0);
    const struct pn_peer p = {.role = (uint8_t)role, .number = number, .fd = pair[1]};
    pn_buf_init(&b, 1000);
    pn_peer_put(&b, &p);
    UNIT_INT(pn_channel_send_fd(rig->control, PN_REC_PEER, pn_buf_str(&b), &pair[1], 1), 0);
    pn_buf_fini(&b);
    (void)close(pair[1]);
    rig->peers[peer] = pair[0];
}

int role_rig_drain(struct role_rig *rig)
{
    struct pn_buf b;
    int status = -1;
    pn_buf_init(&b, 100);
    pn_u32_put(&b, PATIENCE_MS);
    UNIT_INT(pn_channel_send_fd(rig->control, PN_REC_DRAIN, pn_buf_str(&b), NULL, 0), 0);
    pn_buf_fini(&b);
    UNIT_INT(waitpid(rig->pid, &status, 0), rig->pid);
    close_ends(rig);
    return status;
}

bool role_rig_recv(struct role_rig *rig, unsigned peer, struct pn_record *record,
                   struct pn_buf *buf)
{
    int got = pn_channel_recv_fd(rig->peers[peer], record, buf, PATIENCE_MS);
    UNIT_INT(got, 1);
    return got == 1;
}
