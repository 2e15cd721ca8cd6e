/*
 * What an operator asks of a user's mailbox (command.h; `postern mailbox`): the first word is the
 * verb, the second the user, whose worker this is.
 *
 *   list USER                          a line a folder, then {"ok":true,"folders":N,...}
 *   quota USER                         {"ok":true,"bytes":..,"messages":..,"bytes_limit":..,...,
 *                                      "bytes_from":"own", or a line of the policy, or "",...}
 *   quota USER set BYTES MESSAGES      as above, once it is durable; 0: no limit. Who has no
 *                                      mailbox gets one: "made":true
 *   quota USER default                 none of his own any more
 *   check USER, rebuild USER           lines of progress and of faults, then {"ok":..,"faults":N}
 *
 * They run on a thread; lines come to admin in their order.
 */
#include "check.h"
#include "clock.h"
#include "command.h"
#include "folders.h"
#include "json.h"
#include "mailbox_int.h"
#include "mem.h"

#include <stdlib.h>

enum {
    AT_ONCE_MAX = 4,    /* threads are for deliveries first */
    FAULTS_TOLD = 1000, /* the rest is only counted */
    PROGRESS_MS = 500,  /* a line of progress no more often */
    LIST_POOL = 32 * 1024 * 1024,
    LINE_MAX = 32 * 1024,
    WORDS_MAX = 16 * 1024
};

struct order {
    struct pn_job job; /* first */
    struct mailbox *mailbox;
    struct pn_buf body;
    struct pn_command command; /* borrowed from body */
    uint64_t told_ns, faults_told;
    bool rebuild, made; /* made: he had no mailbox before */
};

/* ---- lines ---- */

struct line {
    struct mailbox *mailbox;
    struct pn_buf body; /* of the record */
};

static void send_body(struct mailbox *mb, struct pn_buf *body)
{
    (void)pn_admin_link_send(mb->admin, PN_REC_COMMAND_REPLY, pn_buf_str(body), NULL, 0);
    pn_buf_fini(body);
}

static void on_line(void *arg)
{
    struct line *l = arg;
    send_body(l->mailbox, &l->body);
    free(l);
}

/* From any thread; the order of lines is kept. */
static void tell(struct mailbox *mb, uint64_t token, bool last, struct pn_str text)
{
    struct line *l = pn_calloc(1, sizeof *l);
    l->mailbox = mb;
    pn_buf_init(&l->body, PN_RECORD_MAX);
    pn_command_reply_put(&l->body, &(struct pn_command_reply){token, last, text});
    pn_loop_post(mb->loop, on_line, l);
}

static struct pn_json begin_line(struct pn_buf *out)
{
    pn_buf_init(out, LINE_MAX);
    struct pn_json j = pn_json_to(out);
    pn_json_object(&j, NULL);
    return j;
}

static void end_line(struct order *o, struct pn_json *j, struct pn_buf *line, bool last)
{
    pn_json_object_end(j);
    tell(o->mailbox, o->command.token, last, pn_buf_str(line));
    pn_buf_fini(line);
}

static void refuse(struct mailbox *mb, uint64_t token, const char *why)
{
    struct pn_buf line;
    struct pn_json j = begin_line(&line);
    pn_json_bool(&j, "ok", false);
    pn_json_str(&j, "error", pn_str_of(why));
    pn_json_object_end(&j);
    tell(mb, token, true, pn_buf_str(&line));
    pn_buf_fini(&line);
}

static const char *status_text(enum pn_store_status status)
{
    static const char *const texts[] = {
        [PN_STORE_OK] = "",
        [PN_STORE_TEMPORARY] = "the mailbox can't be read or written now",
        [PN_STORE_FULL] = "the disk is full",
        [PN_STORE_BAD_NAME] = "nobody can have this name",
        [PN_STORE_NO_FOLDER] = "there is no such mailbox",
        [PN_STORE_EXISTS] = "it is there already",
        [PN_STORE_QUOTA] = "the mailbox is full",
        [PN_STORE_LIMIT] = "there are too many folders",
        [PN_STORE_REFUSED] = "it can't be done to this folder",
    };
    return texts[status];
}

static void failed(struct order *o, enum pn_store_status status)
{
    refuse(o->mailbox, o->command.token, status_text(status));
}

/* ---- list ---- */

static bool list_folder(struct order *o, struct pn_user *user, const struct pn_folder_entry *e,
                        struct pn_folder_status *sum)
{
    struct pn_folder_status status;
    struct pn_buf line;
    if (pn_folder_status(user, e->name, &status) != PN_STORE_OK)
        return false;
    struct pn_json j = begin_line(&line);
    pn_json_str(&j, "folder", e->name);
    pn_json_str(&j, "use", pn_str_of(pn_special_use_name(e->use)));
    pn_json_bool(&j, "subscribed", e->subscribed);
    pn_json_i64(&j, "messages", status.messages);
    pn_json_i64(&j, "unseen", status.unseen);
    pn_json_i64(&j, "size", (int64_t)status.size);
    pn_json_i64(&j, "uidvalidity", status.uidvalidity);
    pn_json_i64(&j, "uidnext", status.uidnext);
    end_line(o, &j, &line, false);
    sum->messages += status.messages;
    sum->size += status.size;
    return true;
}

static void list_run(struct order *o, struct pn_user *user)
{
    struct pn_folder_list list;
    struct pn_folder_status sum = {0};
    struct pn_buf line;
    int64_t folders = 0;
    struct pn_pool *pool = pn_pool_new(LIST_POOL);
    enum pn_store_status status = pn_folders_list(user, pool, &list);
    for (size_t i = 0; i < list.count; i++)
        if (list.v[i].exists && list_folder(o, user, &list.v[i], &sum))
            folders++;
    pn_pool_free(&pool);
    if (status != PN_STORE_OK) {
        failed(o, status);
        return;
    }
    struct pn_json j = begin_line(&line);
    pn_json_bool(&j, "ok", true);
    pn_json_i64(&j, "folders", folders);
    pn_json_i64(&j, "messages", sum.messages);
    pn_json_i64(&j, "size", (int64_t)sum.size);
    end_line(o, &j, &line, true);
}

/* ---- quota ---- */

static enum pn_store_status quota_change(const struct order *o, struct pn_user *user)
{
    const struct pn_command *c = &o->command;
    uint64_t bytes, messages;
    if (c->count == 2)
        return PN_STORE_OK;
    if (c->count == 3 && pn_str_eq(c->words[2], PN_STR("default")))
        return pn_user_quota_set(user, false, 0, 0);
    if (c->count == 5 && pn_str_eq(c->words[2], PN_STR("set")) &&
        pn_str_u64(c->words[3], INT64_MAX, &bytes) && pn_str_u64(c->words[4], INT64_MAX, &messages))
        return pn_user_quota_set(user, true, bytes, messages);
    return PN_STORE_REFUSED;
}

struct sources {
    struct pn_json *json;
    bool own;
};

/* The line that sets each limit: his own, one of the policy, or none. */
static void put_sources(void *ctx, const struct pn_mailbox_policy *said)
{
    const struct sources *s = ctx;
    const struct pn_str own = PN_STR("own");
    pn_json_str(s->json, "bytes_from", s->own ? own : said->bytes.where);
    pn_json_str(s->json, "messages_from", s->own ? own : said->messages.where);
    pn_json_str(s->json, "full", said->full_rejects ? PN_STR("reject") : PN_STR("defer"));
}

static void quota_run(struct order *o, struct pn_user *user)
{
    struct pn_quota quota;
    struct pn_buf line;
    enum pn_store_status status = quota_change(o, user);
    if (status == PN_STORE_REFUSED) {
        refuse(o->mailbox, o->command.token, "set BYTES MESSAGES, or default, was expected");
        return;
    }
    if (status == PN_STORE_OK)
        status = pn_user_quota(user, &quota);
    if (status != PN_STORE_OK) {
        failed(o, status);
        return;
    }
    struct pn_json j = begin_line(&line);
    pn_json_bool(&j, "ok", true);
    pn_json_str(&j, "user", o->command.words[1]);
    if (o->made)
        pn_json_bool(&j, "made", true);
    pn_json_i64(&j, "bytes", (int64_t)quota.bytes);
    pn_json_i64(&j, "messages", (int64_t)quota.messages);
    pn_json_i64(&j, "bytes_limit", (int64_t)quota.bytes_limit);
    pn_json_i64(&j, "messages_limit", (int64_t)quota.messages_limit);
    struct sources sources = {&j, quota.own};
    mailbox_rules(o->mailbox, pn_user_address(user), put_sources, &sources);
    end_line(o, &j, &line, true);
}

/* ---- check, rebuild ---- */

static bool on_progress(void *ctx, struct pn_str folder, uint32_t done, uint32_t of)
{
    struct order *o = ctx;
    uint64_t now = pn_clock_mono_ns();
    struct pn_buf line;
    if (done == of || now - o->told_ns >= PROGRESS_MS * (uint64_t)PN_NS_PER_MS) {
        o->told_ns = now;
        struct pn_json j = begin_line(&line);
        pn_json_str(&j, "folder", folder);
        pn_json_i64(&j, "done", done);
        pn_json_i64(&j, "of", of);
        end_line(o, &j, &line, false);
    }
    return !o->mailbox->draining;
}

static void on_fault(void *ctx, struct pn_str folder, uint32_t uid, const char *what)
{
    struct order *o = ctx;
    struct pn_buf line;
    if (++o->faults_told > FAULTS_TOLD)
        return;
    struct pn_json j = begin_line(&line);
    pn_json_str(&j, "folder", folder);
    if (uid != 0)
        pn_json_i64(&j, "uid", uid);
    pn_json_str(&j, "fault", pn_str_of(what));
    end_line(o, &j, &line, false);
}

static void check_run(struct order *o, struct pn_user *user)
{
    static const struct pn_check_ops ops = {on_progress, on_fault};
    struct pn_check_sum sum;
    struct pn_buf line;
    enum pn_store_status status =
        o->rebuild ? pn_user_rebuild(user, &ops, o, &sum) : pn_user_check(user, &ops, o, &sum);
    if (status != PN_STORE_OK || o->mailbox->draining) {
        if (status != PN_STORE_OK)
            failed(o, status);
        else
            refuse(o->mailbox, o->command.token, "the mailbox role stops; nothing is lost");
        return;
    }
    struct pn_json j = begin_line(&line);
    pn_json_bool(&j, "ok", sum.faults == 0);
    pn_json_i64(&j, "folders", (int64_t)sum.folders);
    pn_json_i64(&j, "messages", (int64_t)sum.messages);
    pn_json_i64(&j, "bytes", (int64_t)sum.bytes);
    pn_json_i64(&j, "faults", (int64_t)sum.faults);
    end_line(o, &j, &line, true);
}

/* ---- the command ---- */

static const struct {
    const char *verb;
    uint32_t words_max;
    void (*run)(struct order *o, struct pn_user *user);
} verbs[] = {
    {"list", 2, list_run},
    {"quota", 5, quota_run},
    {"check", 2, check_run},
    {"rebuild", 2, check_run},
};

enum { VERBS = sizeof verbs / sizeof verbs[0] };

static size_t verb_of(const struct pn_command *c)
{
    size_t i = 0;
    while (i < VERBS && !pn_str_eq(c->words[0], pn_str_of(verbs[i].verb)))
        i++;
    return i < VERBS && c->count >= 2 && c->count <= verbs[i].words_max ? i : VERBS;
}

/* A quota may be set before the first mail comes. */
static bool makes_mailbox(const struct pn_command *c)
{
    return pn_str_eq(c->words[0], PN_STR("quota")) && c->count == 5 &&
           pn_str_eq(c->words[2], PN_STR("set"));
}

static void order_run(struct pn_job *job)
{
    struct order *o = (struct order *)job;
    enum pn_store_status status;
    struct pn_str name = o->command.words[1];
    struct pn_user *user = NULL;
    struct pn_buf why;
    pn_buf_init(&why, 500);
    o->made = !pn_store_has_user(o->mailbox->store, name);
    /* Who has no mailbox gets none by being asked for. */
    if (!o->made || makes_mailbox(&o->command))
        user = pn_user_open(o->mailbox->store, name, &status, &why);
    if (user != NULL)
        verbs[verb_of(&o->command)].run(o, user);
    else
        refuse(o->mailbox, o->command.token,
               why.len != 0 ? pn_buf_cstr(&why)
                            : "there is no mailbox of that name: the first mail makes it, a login, "
                              "or a quota that is set");
    pn_user_close(&user);
    pn_buf_fini(&why);
}

static void order_done(struct pn_job *job)
{
    struct order *o = (struct order *)job;
    struct mailbox *mb = o->mailbox;
    mailbox_tell_quotas(mb);
    mb->orders--;
    pn_buf_fini(&o->body);
    free(o);
    mailbox_stop_if_idle(mb);
}

bool mailbox_command(void *ctx, struct pn_record *record)
{
    struct mailbox *mb = ctx;
    struct order *o = pn_calloc(1, sizeof *o);
    *o = (struct order){.job = {.run = order_run, .done = order_done}, .mailbox = mb};
    pn_buf_init(&o->body, PN_RECORD_MAX);
    (void)pn_buf_adds(&o->body, record->body);
    bool ok = record->type == PN_REC_COMMAND && pn_command_get(pn_buf_str(&o->body), &o->command);
    const char *error = !ok || verb_of(&o->command) == VERBS
                            ? "list, quota, check or rebuild, and a user, were expected"
                        : mb->orders >= AT_ONCE_MAX ? "too many commands at once"
                        : mb->draining              ? "the mailbox role stops"
                        : !sole_alone(mb)           ? "mailboxes change hands; try again"
                                                    : NULL;
    if (ok && error == NULL) {
        o->rebuild = pn_str_eq(o->command.words[0], PN_STR("rebuild"));
        mb->orders++;
        pn_threads_submit(mb->threads, &o->job);
        return true;
    }
    if (ok)
        refuse(mb, o->command.token, error);
    pn_buf_fini(&o->body);
    free(o);
    return ok;
}
