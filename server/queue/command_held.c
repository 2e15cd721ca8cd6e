/* Commands about quarantined and held mail. */
#include "asked.h"
#include "clock.h"
#include "log.h"
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct names {
    char (*v)[HELD_NAME_MAX];
    bool *named; /* in the command, each */
    size_t count, cap;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Files of held mail, sorted. */
static struct names list_folder(const struct queue *q)
{
    struct names names = {0};
    int again = openat(q->held, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = again < 0 ? NULL : fdopendir(again);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        uint64_t id;
        uint32_t index;
        size_t len = strlen(e->d_name);
        if (len >= HELD_NAME_MAX || !held_name_parse(e->d_name, &id, &index))
            continue;
        names.v = pn_grow(names.v, &names.cap, names.count, sizeof *names.v);
        memcpy(names.v[names.count++], e->d_name, len + 1);
    }
    if (dir != NULL)
        (void)closedir(dir);
    else if (again >= 0)
        (void)close(again);
    if (names.count > 0)
        qsort(names.v, names.count, sizeof *names.v, by_name);
    names.named = pn_calloc(names.count + 1, sizeof *names.named);
    return names;
}

/* Once: who names it twice would get it twice. */
static void add(struct asked *asked, const struct names *names, size_t i)
{
    if (names->named[i])
        asked_refuse(asked, names->v[i], "it is named twice");
    else
        memcpy(asked_add(asked)->name, names->v[i], HELD_NAME_MAX);
    names->named[i] = true;
}

/* All files of that id, or the one file. */
static void add_matches(struct asked *asked, const struct names *names, const char *word)
{
    size_t before = asked->target_count;
    struct pn_str prefix = pn_str_of(word);
    for (size_t i = 0; i < names->count; i++) {
        struct pn_str name = pn_str_of(names->v[i]);
        if (pn_str_istarts(name, prefix) && (name.len == prefix.len || name.p[prefix.len] == '.') &&
            (asked->verb != ASKED_SHOW || asked->target_count == before))
            add(asked, names, i);
    }
    if (asked->target_count == before)
        asked_refuse(asked, word, "no such message");
}

/* On the pool. The folder is read once, whatever is named. */
static void find(struct asked *asked)
{
    struct names names = list_folder(asked->q);
    asked->total = asked->filter.any ? 0 : names.count;
    for (size_t i = 0; i < asked->word_count; i++)
        add_matches(asked, &names, asked->words[i]);
    size_t most = asked->verb == ASKED_LIST && !asked->filter.any ? ANSWER_LIST_MAX : SIZE_MAX;
    for (size_t i = 0; asked_for_all(asked) && i < names.count && i < most; i++)
        add(asked, &names, i);
    free(names.named);
    free(names.v);
}

/* On the pool: what the file says, and the envelope within; 0 or errno. */
static int open_head(struct asked_part *part)
{
    struct pn_pool *pool = pn_pool_new(QUEUE_POOL_MAX);
    int error = held_get(part->asked->q->held, part->target->name, &part->bytes, pool, &part->held);
    if (error == 0 && !pn_envelope_get(part->held.envelope, pool, &part->env))
        error = EBADMSG;
    for (uint32_t i = 0; error == 0 && i < part->held.count; i++)
        if (part->held.indices[i] >= part->env.recipient_count)
            error = EBADMSG;
    part->pool = pool;
    return error;
}

static void read_file(struct asked_part *part)
{
    enum asked_verb verb = part->asked->verb;
    if (verb == ASKED_DROP && !part->asked->filter.any)
        return; /* settle removes it */
    part->failed = open_head(part);
    if (part->failed == 0 && (verb == ASKED_SHOW || verb == ASKED_RELEASE) && !part->asked->dry)
        part->failed = held_content(part->asked->q->held, part->target->name, &part->fd);
}

static void put_held(struct answer *a, const struct asked_part *part)
{
    answer_begin(a);
    answer_message(a, pn_str_of(part->target->name), &part->env);
    pn_json_str(&a->j, "kind", pn_str_of(held_kind_name(part->held.kind)));
    answer_time(a, "since", part->held.since_ms);
    pn_json_str(&a->j, "reason", part->held.reason);
    pn_json_array(&a->j, "to");
    for (uint32_t i = 0; i < part->held.count && i < ANSWER_RECIPIENTS; i++) {
        pn_json_object(&a->j, NULL);
        answer_recipient(a, &part->env.recipients[part->held.indices[i]], NULL);
        pn_json_object_end(&a->j);
    }
    pn_json_array_end(&a->j);
}

static void show(struct asked_part *part)
{
    struct answer *a = &part->asked->a;
    put_held(a, part);
    (void)answer_send(a, false, -1);
    answer_begin(a);
    pn_json_bool(&a->j, "ok", true);
    pn_json_i64(&a->j, "size", (int64_t)part->env.size);
    (void)answer_send(a, true, part->fd);
}

/* It is in the journal, or it is not; its file goes when all parts are so far. */
static void returned(void *ctx, int error)
{
    struct asked_part *part = ctx;
    part->failed = error;
    asked_part_end(part, NULL);
}

static void release(struct asked_part *part)
{
    struct queue *q = part->asked->q;
    struct pn_envelope env = part->env;
    struct pn_recipient *to = pn_calloc(part->held.count, sizeof *to);
    for (uint32_t i = 0; i < part->held.count; i++) {
        to[i] = part->env.recipients[part->held.indices[i]];
        to[i].hand = PN_HAND_DELIVER;
    }
    env.id = pn_queue_id_make(&q->ids);
    env.arrived_ms = pn_clock_wall_ms(); /* time to deliver it begins anew */
    env.flags &= ~(uint32_t)PN_ENV_CONTENT_FILE;
    env.content_file = 0;
    env.recipients = to;
    env.recipient_count = part->held.count;
    int fd = part->fd;
    part->fd = -1;
    take_own(q, &env, fd, returned, part);
    free(to);
}

/* The journal's message that the file comes from; NULL: it is done with that. */
static struct message *origin(const struct asked_part *part, uint32_t *index)
{
    uint64_t id;
    return held_name_parse(part->target->name, &id, index) ? message_find(part->asked->q, id)
                                                           : NULL;
}

/* Its file is there, but on its way still: not on disk yet, or written again since the role
 * died before the journal knew of it. */
static bool is_coming(const struct message *m, uint32_t index)
{
    return m->rcpts == NULL || (index < m->rcpt_count && m->rcpts[index].state != RCPT_HELD);
}

static void proceed(struct asked_part *part)
{
    if (part->asked->verb == ASKED_RELEASE)
        release(part);
    else
        asked_part_end(part, NULL);
}

static void noted(struct message_wait *wait, struct message *m, int error)
{
    struct asked_part *part = (struct asked_part *)wait;
    (void)m;
    part->failed = error;
    if (error != 0)
        asked_part_end(part, NULL);
    else
        proceed(part);
}

/* What is taken out must not come back: were the role to die while its journal does not
 * know yet that the message is held, it would be put there again. */
static void take_out(struct asked_part *part)
{
    uint32_t index;
    struct message *m = origin(part, &index);
    if (m == NULL) {
        proceed(part);
    } else if (is_coming(m, index)) {
        asked_part_end(part, "it is only just being put there; try again");
    } else {
        part->wait.done = noted;
        message_note_for(m, &part->wait);
    }
}

static void list_one(struct asked_part *part)
{
    struct asked *asked = part->asked;
    uint32_t index;
    struct message *m = origin(part, &index);
    bool coming = m != NULL && is_coming(m, index);
    if (!asked->filter.any)
        asked->total -= coming;
    else
        asked->total += !coming;
    if (!coming && asked->shown < ANSWER_LIST_MAX) {
        put_held(&asked->a, part);
        asked->stopped = !answer_send(&asked->a, false, -1);
        asked->shown += !asked->stopped;
    }
}

/* How many of the file's recipients the filter means. */
static uint32_t meant(const struct asked_part *part)
{
    const struct filter *f = &part->asked->filter;
    uint32_t n = 0;
    if (!f->any)
        return part->held.count;
    for (uint32_t i = 0; i < part->held.count; i++)
        n += filter_recipient(f, part->env.recipients[part->held.indices[i]].address,
                              part->held.reason);
    return filter_message(f, &part->env, part->asked->now_ms) ? n : 0;
}

static void act(struct asked_part *part)
{
    struct asked *asked = part->asked;
    uint32_t count = meant(part);
    part->passed_over = asked->filter.any && count == 0;
    if (part->passed_over) {
        asked_part_end(part, NULL);
        return;
    }
    if (asked_changes(asked)) {
        if (count < part->held.count)
            asked_part_end(part, "the filter means some of its recipients only; name its id");
        else if (asked->dry)
            asked_part_end(part, NULL);
        else
            take_out(part);
        return;
    }
    if (asked->verb == ASKED_LIST && !asked->stopped)
        list_one(part);
    if (asked->verb == ASKED_SHOW)
        show(part);
    asked_part_end(part, NULL);
}

/* On the pool: their files go, with one sync of the folder. */
static void settle(struct asked *asked)
{
    int folder = asked->q->held;
    bool any = false;
    for (size_t i = 0; i < asked->part_count; i++) {
        struct asked_part *part = &asked->parts[i];
        if (part->error != NULL || part->failed != 0 || part->passed_over)
            continue;
        part->failed = held_remove(folder, part->target->name);
        any |= part->failed == 0;
    }
    int error = any ? held_settle(folder) : 0;
    for (size_t i = 0; i < asked->part_count && error != 0; i++)
        if (asked->parts[i].error == NULL && asked->parts[i].failed == 0 &&
            !asked->parts[i].passed_over)
            asked->parts[i].failed = error;
}

const struct asked_kind asked_held = {
    .find = find, .read = read_file, .act = act, .settle = settle, .find_on_pool = true};
