#include "fake_store.h"

#include "assert.h"
#include "downgrade.h"
#include "envelope.h"
#include "folders.h"
#include "lines.h"
#include "mem.h"
#include "section.h"
#include "structure.h"
#include "textsearch.h"

#include <stdio.h>
#include <stdlib.h>

struct message {
    uint32_t uid;
    struct pn_flags flags;
    uint64_t modseq;
    int64_t date;
    struct pn_buf content;
    uint32_t size; /* as with CRLF */
    bool gone;
};

struct folder {
    char name[PN_FOLDER_NAME_MAX + 1];
    enum pn_special_use use;
    uint32_t uidvalidity, uidnext;
    char keywords[PN_KEYWORDS_MAX][PN_KEYWORD_LEN_MAX + 1];
    unsigned keyword_count;
    struct message **v; /* all that ever were */
    size_t count, cap;
    bool deleted;
};

struct pn_user {
    unsigned refs;
    uint64_t modseq, room;
    struct folder *folders[64];
    size_t folder_count;
    struct pn_view *views;
};

struct pn_view {
    struct pn_view *next;
    struct pn_user *user;
    struct folder *folder;
    bool read_only;
    void (*changed)(void *ctx);
    void *ctx;
    bool told_changed;
    bool downgrade;
    struct seen {
        struct message *m;
        uint64_t modseq; /* that was told */
    } * v;
    size_t count, cap;
    uint32_t last_uid;
    uint64_t whole; /* up to it all was told */
    bool holds_back;
};

/* ---- users and folders ---- */

static struct folder *find(struct pn_user *user, struct pn_str name)
{
    if (name.len == 0 || pn_str_ieq(name, PN_STR("INBOX")))
        name = PN_STR("INBOX");
    for (size_t i = 0; i < user->folder_count; i++)
        if (!user->folders[i]->deleted && pn_str_eq(pn_str_of(user->folders[i]->name), name))
            return user->folders[i];
    return NULL;
}

static struct folder *make(struct pn_user *user, const char *name, enum pn_special_use use)
{
    struct folder *f = pn_calloc(1, sizeof *f);
    pn_assert(user->folder_count < sizeof user->folders / sizeof user->folders[0]);
    (void)snprintf(f->name, sizeof f->name, "%s", name);
    f->use = use;
    f->uidvalidity = 1000 + (uint32_t)user->folder_count;
    f->uidnext = 1;
    user->folders[user->folder_count++] = f;
    return f;
}

struct pn_user *fake_user(void)
{
    struct pn_user *user = pn_calloc(1, sizeof *user);
    user->refs = 1;
    user->modseq = 1;
    user->room = UINT64_MAX;
    (void)make(user, "INBOX", PN_USE_NONE);
    (void)make(user, "Archive", PN_USE_ARCHIVE);
    (void)make(user, "Junk", PN_USE_JUNK);
    return user;
}

struct pn_user *fake_user_again(struct pn_user *user)
{
    user->refs++;
    return user;
}

void pn_user_close(struct pn_user **userp)
{
    struct pn_user *user = *userp;
    *userp = NULL;
    if (user == NULL || --user->refs > 0)
        return;
    pn_assert(user->views == NULL);
    for (size_t i = 0; i < user->folder_count; i++) {
        struct folder *f = user->folders[i];
        for (size_t n = 0; n < f->count; n++) {
            pn_buf_fini(&f->v[n]->content);
            free(f->v[n]);
        }
        free(f->v);
        free(f);
    }
    free(user);
}

enum pn_store_status pn_user_room(struct pn_user *user, uint64_t bytes)
{
    return bytes > user->room ? PN_STORE_QUOTA : PN_STORE_OK;
}

void fake_room(struct pn_user *user, uint64_t bytes)
{
    user->room = bytes;
}

enum pn_store_status pn_folders_list(struct pn_user *user, struct pn_pool *pool,
                                     struct pn_folder_list *out)
{
    out->v = pn_pool_alloc(pool, (user->folder_count + 1) * sizeof *out->v);
    out->count = 0;
    for (size_t i = 0; out->v != NULL && i < user->folder_count; i++)
        if (!user->folders[i]->deleted)
            out->v[out->count++] =
                (struct pn_folder_entry){.name = pn_str_of(user->folders[i]->name),
                                         .use = user->folders[i]->use,
                                         .exists = true};
    return out->v != NULL ? PN_STORE_OK : PN_STORE_LIMIT;
}

/* It has the folders that it was made with: who asks for others is refused. Their commands are
 * tried on a real store. */
enum pn_store_status pn_folder_status(struct pn_user *user, struct pn_str name,
                                      struct pn_folder_status *out)
{
    (void)user, (void)name;
    *out = (struct pn_folder_status){0};
    return PN_STORE_REFUSED;
}

enum pn_store_status pn_folder_create(struct pn_user *user, struct pn_str name,
                                      enum pn_special_use use)
{
    (void)user, (void)name, (void)use;
    return PN_STORE_REFUSED;
}

enum pn_store_status pn_folder_delete(struct pn_user *user, struct pn_str name)
{
    (void)user, (void)name;
    return PN_STORE_REFUSED;
}

enum pn_store_status pn_folder_rename(struct pn_user *user, struct pn_str from, struct pn_str to)
{
    (void)user, (void)from, (void)to;
    return PN_STORE_REFUSED;
}

enum pn_store_status pn_folder_subscribe(struct pn_user *user, struct pn_str name, bool subscribed)
{
    (void)user, (void)name, (void)subscribed;
    return PN_STORE_REFUSED;
}

enum pn_store_status pn_user_quota(struct pn_user *user, struct pn_quota *out)
{
    (void)user;
    *out = (struct pn_quota){0};
    return PN_STORE_REFUSED;
}

/* ---- messages ---- */

static void note(struct pn_user *user, const struct folder *f)
{
    for (struct pn_view *v = user->views; v != NULL; v = v->next)
        if (v->folder == f && v->changed != NULL && !v->told_changed) {
            v->told_changed = true;
            v->changed(v->ctx);
        }
}

static uint32_t sent_size(struct pn_str s)
{
    uint32_t n = (uint32_t)s.len;
    for (size_t i = 0; i < s.len; i++)
        n += s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r') ? 1 : 0;
    return n;
}

static struct message *add(struct pn_user *user, struct folder *f, struct pn_str content)
{
    struct message *m = pn_calloc(1, sizeof *m);
    m->uid = f->uidnext++;
    m->date = FAKE_NOW;
    m->modseq = ++user->modseq;
    pn_buf_init(&m->content, SIZE_MAX / 2);
    (void)pn_buf_adds(&m->content, content);
    m->size = sent_size(content);
    f->v = pn_grow(f->v, &f->cap, f->count, sizeof *f->v);
    f->v[f->count++] = m;
    note(user, f);
    return m;
}

static void gone(struct pn_user *user, struct folder *f, struct message *m)
{
    m->gone = true;
    m->modseq = ++user->modseq;
    note(user, f);
}

uint32_t fake_deliver(struct pn_user *user, const char *folder, struct pn_str content)
{
    return add(user, find(user, pn_str_of(folder)), content)->uid;
}

void fake_remove(struct pn_user *user, const char *folder, uint32_t uid)
{
    struct folder *f = find(user, pn_str_of(folder));
    for (size_t i = 0; i < f->count; i++)
        if (f->v[i]->uid == uid)
            gone(user, f, f->v[i]);
}

void fake_delete(struct pn_user *user, const char *folder)
{
    struct folder *f = find(user, pn_str_of(folder));
    f->deleted = true;
    note(user, f);
}

/* ---- views ---- */

static void take_new(struct pn_view *view)
{
    struct folder *f = view->folder;
    for (size_t i = 0; i < f->count; i++)
        if (f->v[i]->uid > view->last_uid) {
            view->last_uid = f->v[i]->uid;
            if (f->v[i]->gone)
                continue;
            view->v = pn_grow(view->v, &view->cap, view->count, sizeof *view->v);
            view->v[view->count++] = (struct seen){f->v[i], f->v[i]->modseq};
        }
}

enum pn_store_status pn_view_open(struct pn_user *user, struct pn_str folder, bool read_only,
                                  void (*changed)(void *ctx), void *ctx, struct pn_view **out)
{
    struct folder *f = find(user, folder);
    if (f == NULL)
        return PN_STORE_NO_FOLDER;
    struct pn_view *view = pn_calloc(1, sizeof *view);
    *view = (struct pn_view){.next = user->views,
                             .user = user,
                             .folder = f,
                             .read_only = read_only,
                             .changed = changed,
                             .ctx = ctx,
                             .whole = user->modseq};
    user->views = view;
    user->refs++;
    take_new(view);
    *out = view;
    return PN_STORE_OK;
}

void pn_view_close(struct pn_view **viewp)
{
    struct pn_view *view = *viewp;
    struct pn_view **at = &view->user->views;
    while (*at != view)
        at = &(*at)->next;
    *at = view->next;
    pn_user_close(&view->user);
    free(view->v);
    free(view);
    *viewp = NULL;
}

struct pn_str pn_view_folder(const struct pn_view *view)
{
    return pn_str_of(view->folder->name);
}

void pn_view_info(struct pn_view *view, struct pn_view_info *out)
{
    *out =
        (struct pn_view_info){.uidvalidity = view->folder->uidvalidity,
                              .uidnext = view->folder->uidnext,
                              .messages = (uint32_t)view->count,
                              .highestmodseq = view->holds_back ? view->whole : view->user->modseq,
                              .holds_back = view->holds_back,
                              .read_only = view->read_only,
                              .can_add_keywords = view->folder->keyword_count < PN_KEYWORDS_MAX};
}

struct pn_str pn_view_keyword(struct pn_view *view, unsigned n)
{
    return n < view->folder->keyword_count ? pn_str_of(view->folder->keywords[n]) : PN_STR("");
}

unsigned pn_view_keywords(struct pn_view *view)
{
    return view->folder->keyword_count;
}

bool pn_view_sync(struct pn_view *view, bool may_expunge, const struct pn_view_ops *ops, void *ctx)
{
    size_t kept = 0, before;
    view->told_changed = false;
    if (view->folder->deleted)
        return false;
    for (size_t i = view->count; may_expunge && i > 0; i--)
        if (view->v[i - 1].m->gone)
            ops->expunged(ctx, (uint32_t)i, view->v[i - 1].m->uid);
    view->holds_back = false;
    for (size_t i = 0; i < view->count; i++)
        if (!may_expunge || !view->v[i].m->gone) {
            view->holds_back = view->holds_back || view->v[i].m->gone;
            view->v[kept++] = view->v[i];
        }
    view->whole = view->holds_back ? view->whole : view->user->modseq;
    before = view->count = kept;
    take_new(view);
    if (view->count > before)
        ops->exists(ctx, (uint32_t)view->count);
    for (size_t i = 0; i < view->count; i++)
        if (view->v[i].modseq != view->v[i].m->modseq && !view->v[i].m->gone) {
            struct pn_mail mail;
            view->v[i].modseq = view->v[i].m->modseq;
            pn_view_mail(view, (uint32_t)i + 1, &mail);
            ops->flags(ctx, (uint32_t)i + 1, &mail);
        }
    return true;
}

/* ---- reading ---- */

uint32_t pn_view_count(const struct pn_view *view)
{
    return (uint32_t)view->count;
}

uint32_t pn_view_uid(const struct pn_view *view, uint32_t seq)
{
    pn_assert(seq >= 1 && seq <= view->count);
    return view->v[seq - 1].m->uid;
}

uint32_t pn_view_floor(const struct pn_view *view, uint32_t uid)
{
    uint32_t low = 0, high = (uint32_t)view->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (view->v[mid].m->uid < uid)
            low = mid + 1;
        else
            high = mid;
    }
    return low + 1;
}

uint32_t pn_view_seq(const struct pn_view *view, uint32_t uid)
{
    uint32_t seq = pn_view_floor(view, uid);
    return seq <= view->count && pn_view_uid(view, seq) == uid ? seq : 0;
}

void pn_view_downgrade(struct pn_view *view, bool on)
{
    view->downgrade = on;
}

/* True: *out is a surrogate, else a copy. */
static bool show(const struct pn_view *view, const struct message *mail, struct pn_buf *out)
{
    struct pn_message *m = pn_message_new(pn_buf_str(&mail->content), NULL);
    bool is = view->downgrade && pn_is_international(m);
    if (is) {
        pn_downgrade(m, out);
    } else {
        pn_buf_init(out, SIZE_MAX);
        (void)pn_buf_adds(out, pn_buf_str(&mail->content));
    }
    pn_message_free(&m);
    return is;
}

static size_t lines_of(struct pn_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += s.p[i] == '\n';
    return n;
}

void pn_view_mail(struct pn_view *view, uint32_t seq, struct pn_mail *out)
{
    pn_assert(seq >= 1 && seq <= view->count);
    const struct message *m = view->v[seq - 1].m;
    *out = (struct pn_mail){.uid = m->uid,
                            .flags = m->flags,
                            .modseq = m->modseq,
                            .date = m->date,
                            .size = m->size,
                            .gone = m->gone};
    if (view->downgrade && !m->gone) {
        struct pn_buf shown;
        out->downgraded = show(view, m, &shown);
        if (out->downgraded)
            out->size = (uint32_t)(shown.len + lines_of(pn_buf_str(&shown)));
        pn_buf_fini(&shown);
    }
}

void pn_view_mail_sized(struct pn_view *view, uint32_t seq, uint32_t last, struct pn_mail *out)
{
    (void)last;
    pn_view_mail(view, seq, out);
}

uint32_t pn_view_cached(struct pn_view *view, uint32_t first, uint32_t last, unsigned what,
                        bool (*fn)(void *ctx, const struct pn_cached *cached), void *ctx)
{
    for (uint32_t seq = first; seq <= last; seq++) {
        const struct message *mail = view->v[seq - 1].m;
        struct pn_cached cached = {.seq = seq, .whole = !mail->gone};
        struct pn_buf envelope, structure, content;
        if (view->downgrade && (what & PN_CACHED_SHOWN) != 0) {
            (void)show(view, mail, &content);
        } else {
            pn_buf_init(&content, SIZE_MAX);
            (void)pn_buf_adds(&content, pn_buf_str(&mail->content));
        }
        pn_buf_init(&envelope, PN_ENVELOPE_MAX);
        pn_buf_init(&structure, PN_STRUCTURE_MAX);
        struct pn_message *m = pn_message_new(pn_buf_str(&content), NULL);
        if (!mail->gone) {
            if ((what & PN_CACHED_ENVELOPE) != 0)
                (void)pn_envelope(m, NULL, &envelope);
            if ((what & PN_CACHED_STRUCTURE) != 0)
                (void)pn_structure(m, true, &structure);
            cached.envelope = pn_buf_str(&envelope);
            cached.structure = pn_buf_str(&structure);
            /* As if the index lacked it, where there is no Message-ID. */
            if (pn_field_find(m, NULL, PN_STR("Message-ID"), 1) != NULL)
                cached.header = pn_part_header(m, pn_message_part(m, 0));
        }
        bool more = fn(ctx, &cached);
        pn_message_free(&m);
        pn_buf_fini(&content);
        pn_buf_fini(&envelope);
        pn_buf_fini(&structure);
        if (!more)
            return seq;
    }
    return last + 1;
}

bool pn_cached_has_field(struct pn_str name)
{
    return pn_str_ieq(name, PN_STR("Subject")) || pn_str_ieq(name, PN_STR("To"));
}

enum pn_read pn_view_read(struct pn_view *view, uint32_t seq, struct pn_content *out)
{
    const struct message *m = view->v[seq - 1].m;
    *out = (struct pn_content){.bytes = pn_buf_str(&m->content)};
    return m->gone ? PN_READ_EXPUNGED : PN_READ_OK;
}

enum pn_read pn_view_read_whole(struct pn_view *view, uint32_t seq, struct pn_content *out,
                                bool *whole)
{
    enum pn_read read = pn_view_read(view, seq, out);
    *whole = read == PN_READ_OK;
    return read;
}

void pn_view_rest(struct pn_view *view)
{
    (void)view;
}

enum pn_read pn_view_show(struct pn_view *view, uint32_t seq, struct pn_content *out)
{
    const struct message *m = view->v[seq - 1].m;
    struct pn_buf shown;
    if (!view->downgrade || m->gone)
        return pn_view_read(view, seq, out);
    (void)show(view, m, &shown);
    *out = (struct pn_content){pn_buf_str(&shown), shown.p};
    return PN_READ_OK;
}

bool pn_content_is_whole(const struct pn_content *content)
{
    (void)content;
    return true;
}

void pn_content_done(struct pn_content *content)
{
    free(content->own);
    *content = (struct pn_content){.own = NULL};
}

/* ---- changing ---- */

static enum pn_store_status keyword(struct folder *f, struct pn_str name, uint32_t *bit)
{
    for (unsigned i = 0; i < f->keyword_count; i++)
        if (pn_str_ieq(pn_str_of(f->keywords[i]), name)) {
            *bit = 1u << i;
            return PN_STORE_OK;
        }
    if (f->keyword_count == PN_KEYWORDS_MAX)
        return PN_STORE_LIMIT;
    (void)snprintf(f->keywords[f->keyword_count], sizeof f->keywords[0], "%.*s", PN_FMT(name));
    *bit = 1u << f->keyword_count++;
    return PN_STORE_OK;
}

enum pn_store_status pn_view_add_keyword(struct pn_view *view, struct pn_str name, uint32_t *bit)
{
    return keyword(view->folder, name, bit);
}

static struct pn_flags changed_flags(struct pn_flags was, enum pn_flag_op op, struct pn_flags by)
{
    switch (op) {
    case PN_FLAGS_ADD:
        return (struct pn_flags){was.system | by.system, was.keywords | by.keywords};
    case PN_FLAGS_REMOVE:
        return (struct pn_flags){was.system & ~by.system, was.keywords & ~by.keywords};
    case PN_FLAGS_SET:
        break;
    }
    return by;
}

enum pn_store_status pn_view_store(struct pn_view *view, const struct pn_uidset *uids,
                                   enum pn_flag_op op, struct pn_flags flags,
                                   uint64_t unchanged_since, struct pn_uidset *modified)
{
    for (size_t i = 0; i < view->count; i++) {
        struct message *m = view->v[i].m;
        if (m->gone || !pn_uidset_has(uids, m->uid))
            continue;
        if (m->modseq > unchanged_since) {
            (void)pn_uidset_add(modified, m->uid, m->uid);
            continue;
        }
        struct pn_flags now = changed_flags(m->flags, op, flags);
        if (now.system == m->flags.system && now.keywords == m->flags.keywords)
            continue;
        bool told = view->v[i].modseq == m->modseq;
        m->flags = now;
        m->modseq = ++view->user->modseq;
        if (told) /* else there is something of others to tell */
            view->v[i].modseq = m->modseq;
    }
    note(view->user, view->folder);
    return PN_STORE_OK;
}

enum pn_store_status pn_view_expunge(struct pn_view *view, const struct pn_uidset *uids)
{
    for (size_t i = 0; i < view->count; i++) {
        struct message *m = view->v[i].m;
        if (!m->gone && (m->flags.system & PN_DELETED) != 0 &&
            (uids == NULL || pn_uidset_has(uids, m->uid)))
            gone(view->user, view->folder, m);
    }
    return PN_STORE_OK;
}

enum pn_store_status pn_view_copy(struct pn_view *view, const struct pn_uidset *uids,
                                  struct pn_str folder, bool move, struct pn_copied *out)
{
    struct folder *to = find(view->user, folder);
    *out = (struct pn_copied){0};
    pn_uidset_init(&out->from, PN_UIDSET_MAX);
    pn_uidset_init(&out->to, PN_UIDSET_MAX);
    if (to == NULL)
        return PN_STORE_NO_FOLDER;
    out->uidvalidity = to->uidvalidity;
    for (size_t i = 0; i < view->count; i++) {
        struct message *m = view->v[i].m;
        if (m->gone || !pn_uidset_has(uids, m->uid))
            continue;
        struct message *copy = add(view->user, to, pn_buf_str(&m->content));
        copy->flags.system = m->flags.system;
        copy->date = m->date;
        for (unsigned k = 0; k < view->folder->keyword_count; k++) {
            uint32_t bit = 0;
            if ((m->flags.keywords & 1u << k) != 0 &&
                keyword(to, pn_str_of(view->folder->keywords[k]), &bit) == PN_STORE_OK)
                copy->flags.keywords |= bit;
        }
        (void)pn_uidset_add(&out->from, m->uid, m->uid);
        (void)pn_uidset_add(&out->to, copy->uid, copy->uid);
        if (move)
            gone(view->user, view->folder, m);
    }
    return PN_STORE_OK;
}

void pn_copied_fini(struct pn_copied *copied)
{
    pn_uidset_fini(&copied->from);
    pn_uidset_fini(&copied->to);
}

void pn_view_changed_since(struct pn_view *view, uint64_t modseq, struct pn_uidset *out)
{
    for (size_t i = 0; i < view->count; i++)
        if (!view->v[i].m->gone && view->v[i].m->modseq > modseq)
            (void)pn_uidset_add(out, view->v[i].m->uid, view->v[i].m->uid);
}

void pn_view_vanished_since(struct pn_view *view, uint64_t modseq, const struct pn_uidset *known,
                            struct pn_uidset *out)
{
    for (size_t i = 0; i < view->folder->count; i++) {
        const struct message *m = view->folder->v[i];
        if (m->gone && m->modseq > modseq && (known == NULL || pn_uidset_has(known, m->uid)))
            (void)pn_uidset_add(out, m->uid, m->uid);
    }
}

/* ---- APPEND ---- */

struct pn_append {
    struct pn_user *user;
    struct folder *folder;
    struct message *v[16];
    size_t count;
    struct pn_lines lines;
    bool failed;
};

struct pn_append *pn_append_new(struct pn_user *user, struct pn_str folder,
                                enum pn_store_status *status)
{
    struct folder *f = find(user, folder);
    *status = f == NULL ? PN_STORE_NO_FOLDER : PN_STORE_OK;
    if (f == NULL)
        return NULL;
    struct pn_append *a = pn_calloc(1, sizeof *a);
    a->user = user;
    a->folder = f;
    return a;
}

static void end_one(struct pn_append *a)
{
    if (a->count > 0)
        (void)pn_lines_end(&a->lines, &a->v[a->count - 1]->content);
}

enum pn_store_status pn_append_begin(struct pn_append *append, uint32_t system_flags,
                                     const struct pn_str *keywords, size_t keyword_count,
                                     int64_t date)
{
    end_one(append);
    if (append->count == sizeof append->v / sizeof append->v[0])
        return PN_STORE_LIMIT;
    struct message *m = append->v[append->count++] = pn_calloc(1, sizeof *m);
    pn_buf_init(&m->content, SIZE_MAX / 2);
    pn_lines_init(&append->lines, PN_LINES_TO_LF);
    m->flags.system = system_flags;
    m->date = date == INT64_MIN ? FAKE_NOW : date;
    for (size_t i = 0; i < keyword_count; i++) {
        uint32_t bit;
        if (keyword(append->folder, keywords[i], &bit) == PN_STORE_OK)
            m->flags.keywords |= bit;
    }
    return PN_STORE_OK;
}

bool pn_append_feed(struct pn_append *append, struct pn_str bytes)
{
    append->failed |= bytes.len > 0 && memchr(bytes.p, '\0', bytes.len) != NULL;
    (void)pn_lines_feed(&append->lines, bytes, &append->v[append->count - 1]->content);
    return !append->failed;
}

enum pn_store_status pn_append_commit(struct pn_append *append, uint32_t *uidvalidity,
                                      struct pn_uidset *uids, struct pn_buf *why)
{
    (void)why;
    if (append->failed)
        return PN_STORE_REFUSED;
    end_one(append);
    *uidvalidity = append->folder->uidvalidity;
    for (size_t i = 0; i < append->count; i++) {
        struct message *m = add(append->user, append->folder, pn_buf_str(&append->v[i]->content));
        m->flags = append->v[i]->flags;
        m->date = append->v[i]->date;
        (void)pn_uidset_add(uids, m->uid, m->uid);
    }
    return PN_STORE_OK;
}

unsigned pn_append_use(const struct pn_append *append)
{
    return append->folder->use;
}

void pn_append_free(struct pn_append **appendp)
{
    struct pn_append *a = *appendp;
    *appendp = NULL;
    if (a == NULL)
        return;
    for (size_t i = 0; i < a->count; i++) {
        pn_buf_fini(&a->v[i]->content);
        free(a->v[i]);
    }
    free(a);
}

/* ---- no index of words: SEARCH scans ---- */

struct pn_texts *pn_texts_open(struct pn_user *user, struct pn_view *view)
{
    (void)user, (void)view;
    return NULL;
}

void pn_texts_close(struct pn_texts **texts)
{
    pn_assert(*texts == NULL);
}

const struct pn_uidset *pn_texts_covered(const struct pn_texts *texts)
{
    pn_assert(texts != NULL);
    return NULL;
}

enum pn_texts_step pn_texts_catch_up(struct pn_texts *texts, unsigned ms)
{
    (void)texts, (void)ms;
    return PN_TEXTS_FAILED;
}

bool pn_texts_find(struct pn_texts *texts, const struct pn_words_key *key,
                   struct pn_texts_span *span, struct pn_uidset *hits)
{
    (void)texts, (void)key, (void)span, (void)hits;
    return false;
}
