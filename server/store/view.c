/* A folder as a session sees it: numbers, and what changed since the last sync. */
#include "store_int.h"

#include "mem.h"

#include <stdlib.h>

/* ---- opening ---- */

static void hold(struct pn_view *v, struct uids *uids, size_t count)
{
    struct uids *old = v->uids;
    v->uids = uids;
    v->count = count;
    if (uids != NULL)
        uids->refs++;
    if (old != NULL && --old->refs == 0)
        free(old);
}

enum pn_store_status pn_view_open(struct pn_user *user, struct pn_str name, bool read_only,
                                  void (*changed)(void *ctx), void *ctx, struct pn_view **out)
{
    struct folder *f;
    *out = NULL;
    enum pn_store_status status = folder_get(user, name, false, &f);
    if (f == NULL)
        return status;
    (void)pthread_mutex_lock(&f->lock);
    status = folder_look(f, false);
    if (status == PN_STORE_OK) {
        struct pn_view *v = pn_calloc(1, sizeof *v);
        *v = (struct pn_view){.next = f->views,
                              .folder = f,
                              .read_only = read_only,
                              .changed = changed,
                              .ctx = ctx,
                              .modseq = f->modseq,
                              .whole = f->modseq,
                              .reading = READING_NONE};
        pn_uidset_init(&v->loud, PN_UIDSET_MAX);
        f->views = v;
        hold(v, f->uids, f->count);
        *out = v;
    }
    (void)pthread_mutex_unlock(&f->lock);
    if (*out != NULL && changed != NULL)
        watch_begin(user);
    if (*out == NULL)
        folder_put(&f);
    return status;
}

/* The dead are forgotten when nobody counts them any more. */
static void forget_dead(struct folder *f)
{
    for (const struct pn_view *v = f->dead_count > 0 ? f->views : NULL; v != NULL; v = v->next)
        if (v->uids != f->uids)
            return;
    f->dead_count = f->dead_kept = 0;
}

void pn_view_close(struct pn_view **view)
{
    struct pn_view *v = *view;
    *view = NULL;
    if (v == NULL)
        return;
    struct folder *f = v->folder;
    if (v->changed != NULL)
        watch_end(f->user);
    (void)pthread_mutex_lock(&f->lock);
    for (struct pn_view **at = &f->views; *at != NULL; at = &(*at)->next)
        if (*at == v) {
            *at = v->next;
            break;
        }
    hold(v, NULL, 0);
    forget_dead(f);
    if (f->views == NULL && f->row_old && !f->gone)
        folder_put_row(f);
    (void)pthread_mutex_unlock(&f->lock);
    folder_put(&f);
    reading_rest(&v->reading);
    free(v->silent);
    pn_uidset_fini(&v->loud);
    free(v);
}

struct pn_str pn_view_folder(const struct pn_view *view)
{
    return pn_str_of(view->folder->name);
}

struct pn_user *pn_view_user(const struct pn_view *view)
{
    return view->folder->user;
}

void pn_view_info(struct pn_view *v, struct pn_view_info *out)
{
    struct folder *f = v->folder;
    *out = (struct pn_view_info){.messages = (uint32_t)v->count, .read_only = v->read_only};
    (void)pthread_mutex_lock(&f->lock);
    out->uidvalidity = f->marks.uidvalidity;
    out->uidnext = f->coming != NULL ? f->coming->msg.uid : f->uidnext;
    out->highestmodseq = v->whole;
    out->holds_back = v->whole < v->modseq;
    for (unsigned i = 0; i < PN_KEYWORDS_MAX; i++)
        out->can_add_keywords = out->can_add_keywords || f->marks.keywords[i] == NULL;
    (void)pthread_mutex_unlock(&f->lock);
}

struct pn_str pn_view_keyword(struct pn_view *v, unsigned n)
{
    struct folder *f = v->folder;
    struct pn_str name = PN_STR("");
    (void)pthread_mutex_lock(&f->lock);
    if (n < PN_KEYWORDS_MAX && f->marks.keywords[n] != NULL)
        name = pn_str_of(f->marks.keywords[n]);
    (void)pthread_mutex_unlock(&f->lock);
    return name;
}

unsigned pn_view_keywords(struct pn_view *v)
{
    struct folder *f = v->folder;
    unsigned n = PN_KEYWORDS_MAX;
    (void)pthread_mutex_lock(&f->lock);
    while (n > 0 && f->marks.keywords[n - 1] == NULL)
        n--;
    (void)pthread_mutex_unlock(&f->lock);
    return n;
}

void folder_notify(struct folder *f)
{
    for (struct pn_view *v = f->views; v != NULL; v = v->next)
        if (!v->told && v->changed != NULL) {
            v->told = true;
            v->changed(v->ctx);
        }
}

/* ---- numbers: no lock, a view's numbers are its own ---- */

uint32_t pn_view_count(const struct pn_view *v)
{
    return (uint32_t)v->count;
}

uint32_t pn_view_uid(const struct pn_view *v, uint32_t seq)
{
    return seq >= 1 && seq <= v->count ? v->uids->v[seq - 1] : 0;
}

uint32_t pn_view_floor(const struct pn_view *v, uint32_t uid)
{
    size_t low = 0, high = v->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (v->uids->v[mid] < uid)
            low = mid + 1;
        else
            high = mid;
    }
    return (uint32_t)low + 1;
}

uint32_t pn_view_seq(const struct pn_view *v, uint32_t uid)
{
    uint32_t seq = pn_view_floor(v, uid);
    return uid != 0 && seq <= v->count && v->uids->v[seq - 1] == uid ? seq : 0;
}

static void tell_mail(const struct pn_view *v, const struct msg *m, bool gone, struct pn_mail *out)
{
    *out = (struct pn_mail){.uid = m->uid,
                            .flags = {m->system, m->keywords},
                            .modseq = m->modseq,
                            .date = m->date,
                            .size = m->size,
                            .guessed = m->guessed || (v->plain && m->form.kind == FORM_UNKNOWN),
                            .downgraded = v->plain && m->form.kind == FORM_INTERNATIONAL,
                            .gone = gone};
    if (out->downgraded)
        out->size = m->form.size;
}

static const struct msg *find_dead(const struct folder *f, uint32_t uid)
{
    size_t low = 0, high = f->dead_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (f->dead[mid].uid < uid)
            low = mid + 1;
        else
            high = mid;
    }
    return low < f->dead_count && f->dead[low].uid == uid ? &f->dead[low] : NULL;
}

void pn_view_mail(struct pn_view *v, uint32_t seq, struct pn_mail *out)
{
    struct folder *f = v->folder;
    uint32_t uid = pn_view_uid(v, seq);
    (void)pthread_mutex_lock(&f->lock);
    size_t at = seq - 1;
    bool found = uid != 0 && at < f->count && f->msgs[at].uid == uid;
    if (!found)
        at = folder_find(f, uid, &found);
    const struct msg *m = found ? &f->msgs[at] : find_dead(f, uid);
    if (m != NULL)
        tell_mail(v, m, !found, out);
    else
        *out = (struct pn_mail){.uid = uid, .gone = true};
    (void)pthread_mutex_unlock(&f->lock);
}

/* ---- sync ---- */

struct gone {
    uint32_t seq, uid;
};

struct told {
    uint32_t seq;
    struct pn_mail mail;
};

struct changes {
    struct gone *gone;
    size_t gone_count, gone_cap;
    struct told *told;
    size_t told_count, told_cap;
    bool grew;
};

/* Those of the view that the folder has no more. */
static void find_gone(const struct pn_view *v, struct changes *c)
{
    const struct folder *f = v->folder;
    size_t j = 0;
    if (v->uids == f->uids)
        return;
    for (size_t i = 0; i < v->count; i++) {
        uint32_t uid = v->uids->v[i];
        while (j < f->count && f->msgs[j].uid < uid)
            j++;
        if (j == f->count || f->msgs[j].uid != uid) {
            c->gone = pn_grow(c->gone, &c->gone_cap, c->gone_count, sizeof *c->gone);
            c->gone[c->gone_count++] = (struct gone){(uint32_t)i + 1, uid};
        }
    }
}

/* A list of the view's own: what it had, and what is new behind that. */
static void keep_gone(struct pn_view *v)
{
    const struct folder *f = v->folder;
    uint32_t last = v->count == 0 ? 0 : v->uids->v[v->count - 1];
    size_t from = folder_find(f, last, NULL), more;
    from += from < f->count && f->msgs[from].uid == last;
    more = f->count - from;
    if (more == 0)
        return;
    struct uids *own = pn_alloc(sizeof *own + (v->count + more) * sizeof own->v[0]);
    *own = (struct uids){.cap = v->count + more};
    if (v->count > 0)
        memcpy(own->v, v->uids->v, v->count * sizeof own->v[0]);
    for (size_t i = 0; i < more; i++)
        own->v[v->count + i] = f->msgs[from + i].uid;
    hold(v, own, v->count + more);
}

static bool is_silent(const struct pn_view *v, const struct msg *m)
{
    for (size_t i = 0; i < v->silent_count; i++)
        if (v->silent[i] == m->modseq)
            return !pn_uidset_has(&v->loud, m->uid);
    return false;
}

/* Flags that changed among those the view knew, up to UID last. */
static void find_told(const struct pn_view *v, uint32_t last, struct changes *c)
{
    const struct folder *f = v->folder;
    if (f->modseq == v->modseq)
        return;
    for (size_t i = 0; i < f->count && f->msgs[i].uid <= last; i++) {
        const struct msg *m = &f->msgs[i];
        if (m->modseq <= v->modseq || is_silent(v, m))
            continue;
        c->told = pn_grow(c->told, &c->told_cap, c->told_count, sizeof *c->told);
        struct told *t = &c->told[c->told_count++];
        t->seq = v->uids == f->uids ? (uint32_t)i + 1 : pn_view_seq(v, m->uid);
        tell_mail(v, m, false, &t->mail);
    }
}

static void gather(struct pn_view *v, bool may_expunge, struct changes *c)
{
    struct folder *f = v->folder;
    uint32_t last = v->count == 0 ? 0 : v->uids->v[v->count - 1];
    size_t was = v->count;
    v->told = false;
    find_gone(v, c);
    bool holds_back = !may_expunge && c->gone_count > 0;
    if (holds_back) {
        c->gone_count = 0;
        keep_gone(v);
    } else {
        hold(v, f->uids, f->count);
    }
    c->grew = v->count > was - c->gone_count;
    find_told(v, last, c);
    v->modseq = f->modseq;
    if (!holds_back)
        v->whole = f->modseq;
    v->silent_count = 0;
    pn_uidset_clear(&v->loud);
    forget_dead(f);
}

bool pn_view_sync(struct pn_view *v, bool may_expunge, const struct pn_view_ops *ops, void *ctx)
{
    struct folder *f = v->folder;
    struct changes c = {0};
    (void)pthread_mutex_lock(&f->lock);
    enum pn_store_status status = folder_look(f, false);
    if (status != PN_STORE_NO_FOLDER)
        gather(v, may_expunge, &c);
    (void)pthread_mutex_unlock(&f->lock);
    for (size_t i = c.gone_count; i > 0; i--)
        ops->expunged(ctx, c.gone[i - 1].seq, c.gone[i - 1].uid);
    if (c.grew)
        ops->exists(ctx, (uint32_t)v->count);
    for (size_t i = 0; i < c.told_count; i++)
        ops->flags(ctx, c.told[i].seq, &c.told[i].mail);
    free(c.gone);
    free(c.told);
    return status != PN_STORE_NO_FOLDER;
}

/* ---- history ---- */

void pn_view_changed_since(struct pn_view *v, uint64_t modseq, struct pn_uidset *out)
{
    struct folder *f = v->folder;
    (void)pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < f->count; i++)
        if (f->msgs[i].modseq > modseq && pn_view_seq(v, f->msgs[i].uid) != 0)
            (void)pn_uidset_add(out, f->msgs[i].uid, f->msgs[i].uid);
    (void)pthread_mutex_unlock(&f->lock);
}

static void add_range(void *ctx, uint32_t first, uint32_t last)
{
    (void)pn_uidset_add(ctx, first, last);
}

void pn_view_vanished_since(struct pn_view *v, uint64_t modseq, const struct pn_uidset *known,
                            struct pn_uidset *out)
{
    struct folder *f = v->folder;
    struct pn_uidset gone;
    pn_uidset_init(&gone, PN_UIDSET_MAX);
    (void)pthread_mutex_lock(&f->lock);
    /* Where history does not go so far: all that can have been there and is not. */
    if (modseq < f->history ||
        !index_vanished_get(f->user->index, f->marks.uidvalidity, modseq, add_range, &gone) ||
        index_serial(f->user->index) != f->index_serial) {
        pn_uidset_clear(&gone);
        if (f->uidnext > 1)
            (void)pn_uidset_add(&gone, 1, f->uidnext - 1);
    }
    (void)pthread_mutex_unlock(&f->lock);
    if (known != NULL)
        (void)pn_uidset_intersect(&gone, known);
    if (gone.count > 0)
        for (size_t i = 0; i < v->count; i++)
            pn_uidset_remove(&gone, v->uids->v[i], v->uids->v[i]);
    (void)pn_uidset_add_set(out, &gone);
    pn_uidset_fini(&gone);
}
