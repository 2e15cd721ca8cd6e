/* The bodies of the control records: fields in, fields out. */
#include "control.h"

void pn_start_put(struct pn_buf *out, const struct pn_start *s)
{
    pn_wr_u8(out, s->role);
    pn_wr_u32(out, s->number);
    pn_wr_u32(out, s->group);
    pn_wr_u32(out, s->generation);
    pn_wr_u32(out, s->flags);
    pn_wr_u32(out, s->uid);
    pn_wr_u32(out, s->gid);
    pn_wr_str(out, s->name);
    pn_wr_str(out, s->root);
    pn_wr_str(out, s->file);
}

bool pn_start_get(struct pn_str body, struct pn_start *s)
{
    struct pn_rd r = pn_rd_of(body);
    s->role = pn_rd_u8(&r);
    s->number = pn_rd_u32(&r);
    s->group = pn_rd_u32(&r);
    s->generation = pn_rd_u32(&r);
    s->flags = pn_rd_u32(&r);
    s->uid = pn_rd_u32(&r);
    s->gid = pn_rd_u32(&r);
    s->name = pn_rd_str(&r);
    s->root = pn_rd_str(&r);
    s->file = pn_rd_str(&r);
    return pn_rd_done(&r) && s->role < PN_ROLE_COUNT && (s->flags & ~(uint32_t)PN_START_ALL) == 0 &&
           s->name.len != 0 && s->name.len < PN_ROLE_NAME_MAX;
}

void pn_peer_put(struct pn_buf *out, const struct pn_peer *p)
{
    pn_wr_u8(out, p->role);
    pn_wr_u32(out, p->number);
    pn_wr_u32(out, p->group);
    pn_wr_u32(out, p->generation);
    pn_wr_u32(out, p->flags);
    pn_wr_u64(out, p->token);
}

bool pn_peer_get(struct pn_str body, struct pn_peer *p)
{
    struct pn_rd r = pn_rd_of(body);
    p->role = pn_rd_u8(&r);
    p->number = pn_rd_u32(&r);
    p->group = pn_rd_u32(&r);
    p->generation = pn_rd_u32(&r);
    p->flags = pn_rd_u32(&r);
    p->token = pn_rd_u64(&r);
    p->fd = -1;
    return pn_rd_done(&r) && p->role < PN_ROLE_COUNT;
}

void pn_listener_put(struct pn_buf *out, const struct pn_listener *l)
{
    pn_wr_u32(out, l->kind);
    pn_wr_u32(out, l->row);
}

bool pn_listener_get(struct pn_str body, struct pn_listener *l)
{
    struct pn_rd r = pn_rd_of(body);
    l->kind = pn_rd_u32(&r);
    l->row = pn_rd_u32(&r);
    l->fd = -1;
    return pn_rd_done(&r);
}

void pn_identity_put(struct pn_buf *out, const struct pn_tls_identity *id)
{
    pn_wr_str(out, id->name);
    pn_wr_str(out, id->chain_pem);
    pn_wr_str(out, id->key_pem);
}

bool pn_identity_get(struct pn_str body, struct pn_tls_identity *id)
{
    struct pn_rd r = pn_rd_of(body);
    id->name = pn_rd_str(&r);
    id->chain_pem = pn_rd_str(&r);
    id->key_pem = pn_rd_str(&r);
    return pn_rd_done(&r);
}

void pn_folder_put(struct pn_buf *out, const struct pn_folder *f)
{
    pn_wr_u8(out, f->purpose);
    pn_wr_str(out, f->path);
}

bool pn_folder_get(struct pn_str body, struct pn_folder *f)
{
    struct pn_rd r = pn_rd_of(body);
    f->purpose = pn_rd_u8(&r);
    f->path = pn_rd_str(&r);
    f->fd = -1;
    return pn_rd_done(&r) && f->purpose < PN_FOLDER_COUNT && f->path.len != 0;
}

void pn_worker_put(struct pn_buf *out, const struct pn_worker *w)
{
    pn_wr_u32(out, w->number);
    pn_wr_u32(out, (uint32_t)w->pid);
    pn_wr_u32(out, (uint32_t)w->status);
}

bool pn_worker_get(struct pn_str body, struct pn_worker *w)
{
    struct pn_rd r = pn_rd_of(body);
    w->number = pn_rd_u32(&r);
    w->pid = (int32_t)pn_rd_u32(&r);
    w->status = (int32_t)pn_rd_u32(&r);
    return pn_rd_done(&r);
}

void pn_want_solo_put(struct pn_buf *out, const struct pn_want_solo *w)
{
    pn_wr_u64(out, w->token);
    pn_wr_u32(out, w->group);
    pn_wr_u32(out, w->generation);
}

bool pn_want_solo_get(struct pn_str body, struct pn_want_solo *w)
{
    struct pn_rd r = pn_rd_of(body);
    w->token = pn_rd_u64(&r);
    w->group = pn_rd_u32(&r);
    w->generation = pn_rd_u32(&r);
    return pn_rd_done(&r);
}

void pn_u32_put(struct pn_buf *out, uint32_t value)
{
    pn_wr_u32(out, value);
}

bool pn_u32_get(struct pn_str body, uint32_t *value)
{
    struct pn_rd r = pn_rd_of(body);
    *value = pn_rd_u32(&r);
    return pn_rd_done(&r);
}
