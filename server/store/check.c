#include "check.h"

#include "envelope.h"
#include "folders.h"
#include "store_int.h"
#include "structure.h"
#include "textsearch.h"

#include <unistd.h>

enum {
    LIST_POOL = 32 * 1024 * 1024,
    STEP = 256,
    CACHED = PN_CACHED_ENVELOPE | PN_CACHED_STRUCTURE
};

struct look {
    struct pn_user *user;
    const struct pn_check_ops *ops;
    void *ctx;
    struct pn_check_sum *sum;
    struct pn_view *view;
    struct pn_str folder;
    struct pn_buf cached, fresh; /* of one message: envelope, then structure */
    size_t cached_envelope;
    bool stopped;
};

static void fault(struct look *l, uint32_t uid, const char *what)
{
    l->sum->faults++;
    l->ops->fault(l->ctx, l->folder, uid, what);
}

bool pn_store_has_user(const struct pn_store *store, struct pn_str name)
{
    struct pn_buf path;
    pn_buf_init(&path, PLACE_MAX);
    int fd =
        maildir_user_path(&path, name) ? maildir_open_dir(store->root, pn_buf_cstr(&path)) : -1;
    pn_buf_fini(&path);
    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

/* ---- check ---- */

static bool keep_cached(void *ctx, const struct pn_cached *c)
{
    struct look *l = ctx;
    if (c->whole) {
        (void)pn_buf_adds(&l->cached, c->envelope);
        l->cached_envelope = l->cached.len;
        (void)pn_buf_adds(&l->cached, c->structure);
    }
    return true;
}

/* NULL, or what the index has wrong of a message with these bytes. */
static const char *cached_fault(struct look *l, uint32_t seq, struct pn_str bytes)
{
    struct pn_message *m = pn_message_new(bytes, NULL);
    if (m == NULL)
        return "the message can't be read as one";
    pn_buf_clear(&l->cached);
    pn_buf_clear(&l->fresh);
    l->cached_envelope = 0;
    (void)pn_view_cached(l->view, seq, seq, CACHED, keep_cached, l);
    bool made = pn_envelope(m, NULL, &l->fresh);
    size_t fresh_envelope = l->fresh.len;
    made = pn_structure(m, true, &l->fresh) && made;
    pn_message_free(&m);
    if (!made || l->cached.len == 0)
        return made ? "the index can't say what the message is" : NULL;
    if (!pn_str_eq(pn_str_slice(pn_buf_str(&l->cached), 0, l->cached_envelope),
                   pn_str_slice(pn_buf_str(&l->fresh), 0, fresh_envelope)))
        return "the index has another envelope than the message";
    return pn_str_eq(pn_buf_str(&l->cached), pn_buf_str(&l->fresh))
               ? NULL
               : "the index has another structure than the message";
}

static void check_message(struct look *l, uint32_t seq)
{
    struct pn_mail mail;
    struct pn_content content;
    bool whole;
    const char *what;
    pn_view_mail_sized(l->view, seq, seq, &mail);
    switch (pn_view_read_whole(l->view, seq, &content, &whole)) {
    case PN_READ_EXPUNGED:
        return;
    case PN_READ_ERROR:
        fault(l, mail.uid, "the message can't be read");
        return;
    case PN_READ_OK:
        break;
    }
    what = whole && mail_size(content.bytes) == mail.size
               ? cached_fault(l, seq, content.bytes)
               : "the message is not as long as it should be";
    pn_content_done(&content);
    l->sum->bytes += mail.size;
    if (what != NULL)
        fault(l, mail.uid, what);
}

static void check_step(struct look *l, uint32_t first, uint32_t last)
{
    for (uint32_t seq = first; seq <= last; seq++)
        check_message(l, seq);
}

/* ---- rebuild ---- */

static bool made(void *ctx, const struct pn_cached *c)
{
    (void)ctx, (void)c;
    return true;
}

/* What is missing is made, and kept; and looked at as a check does. */
static void fill_step(struct look *l, uint32_t first, uint32_t last)
{
    (void)pn_view_cached(l->view, first, last, CACHED | PN_CACHED_HEADER, made, l);
    check_step(l, first, last);
}

/* And the words of the folder's messages, the last step of which is not told as done yet. */
static void fill_words(struct look *l, uint32_t done, uint32_t count)
{
    enum { SLICE_MS = 200 };
    struct pn_texts *texts = pn_texts_open(l->user, l->view);
    while (texts != NULL && !l->stopped && pn_texts_catch_up(texts, SLICE_MS) == PN_TEXTS_MORE)
        l->stopped = !l->ops->progress(l->ctx, l->folder, done, count);
    pn_texts_close(&texts);
}

/* ---- all folders ---- */

static void nothing_expunged(void *ctx, uint32_t seq, uint32_t uid)
{
    (void)ctx, (void)seq, (void)uid;
}

static void nothing_exists(void *ctx, uint32_t messages)
{
    (void)ctx, (void)messages;
}

static void no_flags(void *ctx, uint32_t seq, const struct pn_mail *mail)
{
    (void)ctx, (void)seq, (void)mail;
}

static void look_at_folder(struct look *l, void (*step)(struct look *, uint32_t, uint32_t))
{
    static const struct pn_view_ops ops = {nothing_expunged, nothing_exists, no_flags};
    (void)pn_view_sync(l->view, true, &ops, NULL);
    uint32_t count = pn_view_count(l->view);
    l->sum->folders++;
    l->sum->messages += count;
    for (uint32_t at = 0; at < count && !l->stopped; at += STEP) {
        uint32_t last = count - at < STEP ? count : at + STEP;
        step(l, at + 1, last);
        if (step == fill_step && last == count)
            fill_words(l, at, count);
        l->stopped |= !l->ops->progress(l->ctx, l->folder, last, count);
    }
    if (count == 0)
        l->stopped = !l->ops->progress(l->ctx, l->folder, 0, 0);
}

static enum pn_store_status look_at_all(struct pn_user *user, struct look *l,
                                        void (*step)(struct look *, uint32_t, uint32_t))
{
    struct pn_folder_list list;
    struct pn_pool *pool = pn_pool_new(LIST_POOL);
    enum pn_store_status status = pn_folders_list(user, pool, &list);
    pn_buf_init(&l->cached, (size_t)PN_ENVELOPE_MAX + PN_STRUCTURE_MAX);
    pn_buf_init(&l->fresh, (size_t)PN_ENVELOPE_MAX + PN_STRUCTURE_MAX);
    for (size_t i = 0; i < list.count && !l->stopped; i++) {
        if (!list.v[i].exists)
            continue;
        l->folder = list.v[i].name;
        enum pn_store_status opened = pn_view_open(user, l->folder, true, NULL, NULL, &l->view);
        if (opened == PN_STORE_OK) {
            look_at_folder(l, step);
            pn_view_close(&l->view);
        } else if (opened != PN_STORE_NO_FOLDER) { /* it went meanwhile */
            fault(l, 0, "the folder can't be opened");
        }
    }
    pn_buf_fini(&l->cached);
    pn_buf_fini(&l->fresh);
    pn_pool_free(&pool);
    return status;
}

enum pn_store_status pn_user_check(struct pn_user *user, const struct pn_check_ops *ops, void *ctx,
                                   struct pn_check_sum *out)
{
    struct look l = {.user = user, .ops = ops, .ctx = ctx, .sum = out};
    *out = (struct pn_check_sum){0};
    index_look(user->index);
    enum pn_store_status status = look_at_all(user, &l, check_step);
    l.folder = PN_STR("");
    if (index_was_damaged(user->index))
        fault(&l, 0, "the index was damaged, and has been made anew");
    return status;
}

enum pn_store_status pn_user_rebuild(struct pn_user *user, const struct pn_check_ops *ops,
                                     void *ctx, struct pn_check_sum *out)
{
    struct look l = {.user = user, .ops = ops, .ctx = ctx, .sum = out};
    *out = (struct pn_check_sum){0};
    user_forget_index(user);
    pn_texts_forget(user);
    return look_at_all(user, &l, fill_step);
}
