/* What sessions do to mailboxes: append, flag, copy, move, expunge. */
#include "server.h"

#include "assert.h"
#include "calls.h"
#include "store_int.h"
#include "view.h"

static struct pn_user *open_user(struct server *s, uint32_t id)
{
    char name[32];
    enum pn_store_status status;
    struct pn_buf why;
    pn_buf_init(&why, 1000);
    struct pn_user *user = pn_user_open(s->store, pn_str_of(mail_user(id, name)), &status, &why);
    pn_buf_fini(&why);
    return user;
}

static enum pn_store_status append(struct pn_user *user, uint32_t id, uint32_t *uid)
{
    enum pn_store_status status;
    uint32_t validity;
    struct pn_uidset uids;
    struct pn_buf text, why;
    struct pn_append *a = pn_append_new(user, pn_str_of(mail_folder(id)), &status);
    if (a == NULL)
        return status;
    pn_buf_init(&text, SIZE_MAX);
    pn_buf_init(&why, 1000);
    pn_uidset_init(&uids, 10);
    mail_delivered(id, &text);
    status = pn_append_begin(a, 0, NULL, 0, INT64_MIN);
    if (status == PN_STORE_OK && pn_append_feed(a, pn_buf_str(&text)))
        status = pn_append_commit(a, &validity, &uids, &why);
    else
        status = PN_STORE_TEMPORARY;
    *uid = uids.count > 0 ? uids.v[0].first : 0;
    pn_append_free(&a);
    pn_uidset_fini(&uids);
    pn_buf_fini(&text);
    pn_buf_fini(&why);
    return status;
}

bool server_append(struct server *s, uint32_t id)
{
    uint32_t uid = 0;
    struct pn_user *user = open_user(s, id);
    if (user == NULL)
        return false;
    calls_event(EV_DELIVER, id, 0, 0);
    bool ok = append(user, id, &uid) == PN_STORE_OK;
    calls_event(ok ? EV_DELIVERED : EV_DELIVER_FAILED, id, 0, uid);
    s->uids[id] = ok ? uid : 0;
    pn_user_close(&user);
    return ok;
}

static void flag(struct pn_view *view, const struct pn_uidset *uids, uint32_t id)
{
    const struct pn_flags flags = {PN_FLAGGED, 0};
    calls_event(EV_FLAG, id, 0, 0);
    if (pn_view_store(view, uids, PN_FLAGS_ADD, flags, UINT64_MAX, NULL) == PN_STORE_OK)
        calls_event(EV_FLAGGED, id, 0, 0);
}

static void copy(struct pn_view *view, const struct pn_uidset *uids, uint32_t id, bool move)
{
    struct pn_copied copied;
    const char *to = mail_folder(id)[0] == '\0' ? "Junk" : "";
    struct folder *there;
    (void)folder_get(pn_view_user(view), pn_str_of(to), true, &there);
    folder_put(&there);
    calls_event(move ? EV_SHIFT : EV_COPY, id, 0, 0);
    bool ok = pn_view_copy(view, uids, pn_str_of(to), move, &copied) == PN_STORE_OK;
    if (move)
        calls_event(ok ? EV_SHIFTED : EV_SHIFT_FAILED, id, 0, 0);
    else
        calls_event(ok ? EV_COPIED : EV_COPY_FAILED, id, 0, 0);
    pn_copied_fini(&copied);
}

static void expunge(struct pn_view *view, const struct pn_uidset *uids, uint32_t id)
{
    calls_event(EV_EXPUNGE, id, 0, 0);
    bool ok = pn_view_remove(view, uids) == PN_STORE_OK;
    calls_event(ok ? EV_EXPUNGED : EV_EXPUNGE_FAILED, id, 0, 0);
}

void server_change(struct server *s, uint32_t id, enum change what)
{
    struct pn_view *view;
    struct pn_uidset uids;
    struct pn_user *user = open_user(s, id);
    if (user == NULL)
        return;
    pn_uidset_init(&uids, 10);
    (void)pn_uidset_add(&uids, s->uids[id], s->uids[id]);
    if (pn_view_open(user, pn_str_of(mail_folder(id)), false, NULL, NULL, &view) == PN_STORE_OK) {
        if (what == CHANGE_FLAG)
            flag(view, &uids, id);
        else if (what == CHANGE_EXPUNGE && !s->copied[id])
            expunge(view, &uids, id);
        else if (what != CHANGE_EXPUNGE)
            s->copied[id] = true;
        if (what == CHANGE_COPY || what == CHANGE_MOVE)
            copy(view, &uids, id, what == CHANGE_MOVE);
        if (what != CHANGE_FLAG && what != CHANGE_COPY)
            s->uids[id] = 0;
        pn_view_close(&view);
    }
    pn_uidset_fini(&uids);
    pn_user_close(&user);
}
