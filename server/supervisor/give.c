/* What a child is told: before its GO all that it works by, at a reload what changed. */
#include "policy.h"
#include "supervisor_int.h"

#include <string.h>
#include <unistd.h>

/* Which kinds of sockets, and which folders, a role gets. */
static bool wants_socket(enum peer_kind kind, uint32_t listen_kind)
{
    bool admin = listen_kind == PN_LISTENER_CONTROL || listen_kind == PN_LISTEN_ADMIN;
    return (kind == PEER_ADMIN && admin) || (kind == PEER_EDGE && !admin);
}

static bool wants_folder(enum peer_kind kind, enum pn_folder_purpose purpose)
{
    static const struct {
        enum peer_kind kind;
        enum pn_folder_purpose purpose;
    } rows[] = {
        {PEER_QUEUE, PN_FOLDER_SPOOL}, {PEER_MAILBOX, PN_FOLDER_MAIL},  {PEER_ADMIN, PN_FOLDER_LOG},
        {PEER_ADMIN, PN_FOLDER_STATE}, {PEER_STATE, PN_FOLDER_PLUGINS}, {PEER_AUTH, PN_FOLDER_AUTH},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].kind == kind && rows[i].purpose == purpose)
            return true;
    return false;
}

/* The generation that a child works by. While starting there is only the one that comes. */
static struct coming *coming_of(const struct child *c)
{
    struct supervisor *sup = c->sup;
    bool next = sup->now.serial == 0 || (c->generation != 0 && c->generation == sup->next.serial);
    return next ? &sup->next : &sup->now;
}

static void give_start(struct child *c, const struct coming *coming, struct pn_buf *b)
{
    const struct supervisor *sup = c->sup;
    enum pn_role role = child_role(c);
    struct pn_start start = {
        .role = (uint8_t)role,
        .number = c->number,
        .group = c->group,
        .generation = coming->serial,
        .flags = (sup->drop ? PN_START_DROP : 0U) |
                 (coming->plan.jail_must ? (unsigned)PN_START_JAIL_MUST : 0U) |
                 (sup->options->debug ? (unsigned)PN_START_DEBUG : 0U) |
                 (sup->options->probe ? (unsigned)PN_START_PROBE : 0U) |
                 (sup->options->first_ticks ? (unsigned)PN_START_TICKS : 0U),
        .uid = sup->uid[role],
        .gid = sup->gid[role],
        .name = pn_str_of(c->name),
        .root = pn_str_of(sup->options->root),
    };
    pn_start_put(b, &start);
    (void)child_send(c, PN_REC_START, b, coming->policy_fd);
    pn_buf_clear(b);
}

static void give_sockets(struct child *c, const struct coming *coming, struct pn_buf *b)
{
    const struct supervisor *sup = c->sup;
    for (uint32_t row = 0; row < coming->plan.listen_count; row++) {
        const struct plan_listen *l = &coming->plan.listens[row];
        int fd = sockets_find(sup, l);
        if (fd < 0 || !wants_socket(c->kind, l->kind))
            continue;
        pn_listener_put(b, &(struct pn_listener){.kind = l->kind, .row = row});
        (void)child_send(c, PN_REC_LISTENER, b, fd);
        pn_buf_clear(b);
    }
    if (wants_socket(c->kind, PN_LISTENER_CONTROL) && sup->control_socket >= 0) {
        pn_listener_put(b, &(struct pn_listener){.kind = PN_LISTENER_CONTROL});
        (void)child_send(c, PN_REC_LISTENER, b, sup->control_socket);
        pn_buf_clear(b);
    }
}

static void give_identities(struct child *c, const struct coming *coming, struct pn_buf *b)
{
    for (size_t i = 0; c->kind == PEER_EDGE && i < coming->identity_count; i++) {
        pn_identity_put(b, &coming->identities[i]);
        (void)child_send(c, PN_REC_IDENTITY, b, -1);
        explicit_bzero(b->p, b->len);
        pn_buf_clear(b);
    }
}

static void give_signs(struct child *c, const struct coming *coming, struct pn_buf *b)
{
    for (size_t i = 0; c->kind == PEER_SIGNER && i < coming->sign_count; i++) {
        pn_sign_pem_put(b, &coming->signs[i]);
        (void)child_send(c, PN_REC_SIGN_KEY, b, -1);
        explicit_bzero(b->p, b->len);
        pn_buf_clear(b);
    }
}

static void give_folder(struct child *c, const struct pn_folder *f, struct pn_buf *b)
{
    pn_folder_put(b, f);
    (void)child_send(c, PN_REC_FOLDER, b, f->fd);
    pn_buf_clear(b);
}

/* Templates and workers get their group's own. */
static void give_private(struct child *c, struct pn_buf *b)
{
    char path[4096];
    if (c->kind != PEER_TEMPLATE && c->kind != PEER_WORKER)
        return;
    int fd = files_private(c->sup, c->group, path, sizeof path);
    if (fd < 0)
        return;
    give_folder(c, &(struct pn_folder){PN_FOLDER_PRIVATE, pn_str_of(path), fd}, b);
    (void)close(fd);
}

static void give_folders(struct child *c, struct pn_buf *b)
{
    for (int i = 0; i < PN_FOLDER_COUNT; i++) {
        const struct pn_folder *f = &c->sup->folders[i];
        if (f->fd >= 0 && wants_folder(c->kind, (enum pn_folder_purpose)i))
            give_folder(c, f, b);
    }
    give_private(c, b);
}

static void give_dns_file(struct child *c, const struct coming *coming)
{
    if (c->kind == PEER_RESOLVER && coming->dns_file_fd >= 0)
        (void)child_send(c, PN_REC_DNS_FILE, NULL, coming->dns_file_fd);
}

static void give_secret_file(struct child *c, const struct coming *coming)
{
    if (c->kind == PEER_EDGE && coming->secret_fd >= 0)
        (void)child_send(c, PN_REC_SECRET_FILE, NULL, coming->secret_fd);
}

void give_users(struct child *c)
{
    const struct coming *coming = coming_of(c);
    if (c->kind == PEER_AUTH && coming->users_fd >= 0)
        (void)child_send(c, PN_REC_USERS_FILE, NULL, coming->users_fd);
}

static void give_authorities(struct child *c, const struct coming *coming)
{
    if (c->kind == PEER_QUEUE && coming->authorities_fd >= 0)
        (void)child_send(c, PN_REC_AUTHORITIES_FILE, NULL, coming->authorities_fd);
}

void give_environment(struct child *c)
{
    const struct coming *coming = coming_of(c);
    struct pn_buf b;
    pn_buf_init(&b, PN_RECORD_MAX);
    give_start(c, coming, &b);
    peers_connect(c);
    give_sockets(c, coming, &b);
    give_identities(c, coming, &b);
    give_signs(c, coming, &b);
    give_passwords(c, &coming->plan, &b);
    give_folders(c, &b);
    give_dns_file(c, coming);
    give_secret_file(c, coming);
    give_users(c);
    give_authorities(c, coming);
    if (c->kind == PEER_EDGE && c->sup->limits_fd >= 0)
        (void)child_send(c, PN_REC_LIMITS, NULL, c->sup->limits_fd);
    (void)child_send(c, PN_REC_GO, NULL, -1);
    pn_buf_fini(&b);
}

void give_generation(struct child *c)
{
    const struct coming *coming = &c->sup->now;
    struct pn_buf b;
    pn_buf_init(&b, PN_RECORD_MAX);
    give_sockets(c, coming, &b);
    give_identities(c, coming, &b);
    give_signs(c, coming, &b);
    give_passwords(c, &coming->plan, &b);
    give_dns_file(c, coming);
    give_secret_file(c, coming);
    give_users(c);
    give_authorities(c, coming);
    pn_u32_put(&b, coming->serial);
    (void)child_send(c, PN_REC_POLICY, &b, coming->policy_fd);
    pn_buf_fini(&b);
}
