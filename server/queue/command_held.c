/* Commands about quarantined and held mail. */
#include "answer.h"
#include "clock.h"
#include "held.h"
#include "log.h"
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { META_MAX = 8 * 1024 * 1024 };

struct names {
    char (*v)[HELD_NAME_MAX];
    size_t count, cap;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Files of held mail, sorted; prefix "": all. */
static struct names held_list(struct queue *q, struct pn_str prefix)
{
    struct names names = {0};
    int again = openat(q->held, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = again < 0 ? NULL : fdopendir(again);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        uint64_t id;
        struct pn_str name = pn_str_of(e->d_name);
        if (name.len >= HELD_NAME_MAX || !held_name_parse(e->d_name, &id) ||
            !pn_str_istarts(name, prefix) ||
            (prefix.len > 0 && name.len > prefix.len && name.p[prefix.len] != '.'))
            continue;
        names.v = pn_grow(names.v, &names.cap, names.count, sizeof *names.v);
        memcpy(names.v[names.count++], e->d_name, name.len + 1);
    }
    if (dir != NULL)
        (void)closedir(dir);
    else if (again >= 0)
        (void)close(again);
    if (names.count > 0)
        qsort(names.v, names.count, sizeof *names.v, by_name);
    return names;
}

/* A held file opened: what it says, and the envelope within. */
struct opened {
    struct pn_buf bytes;
    struct pn_pool *pool;
    struct held held;
    struct pn_envelope env;
};

/* 0 or errno; fini in either case. */
static int opened_init(struct opened *o, struct queue *q, const char *name)
{
    *o = (struct opened){.pool = pn_pool_new(QUEUE_POOL_MAX)};
    pn_buf_init(&o->bytes, META_MAX);
    int error = held_get(q->held, name, &o->bytes, o->pool, &o->held);
    if (error == 0 && !pn_envelope_get(o->held.envelope, o->pool, &o->env))
        error = EBADMSG;
    for (uint32_t i = 0; error == 0 && i < o->held.count; i++)
        if (o->held.indices[i] >= o->env.recipient_count)
            error = EBADMSG;
    return error;
}

static void opened_fini(struct opened *o)
{
    pn_pool_free(&o->pool);
    pn_buf_fini(&o->bytes);
}

static void put_held(struct answer *a, const char *name, const struct opened *o)
{
    answer_begin(a);
    answer_message(a, pn_str_of(name), &o->env);
    pn_json_str(&a->j, "kind", pn_str_of(held_kind_name(o->held.kind)));
    answer_time(a, "since", o->held.since_ms);
    pn_json_str(&a->j, "reason", o->held.reason);
    pn_json_array(&a->j, "to");
    for (uint32_t i = 0; i < o->held.count && i < ANSWER_RECIPIENTS; i++) {
        pn_json_object(&a->j, NULL);
        answer_recipient(a, &o->env.recipients[o->held.indices[i]], NULL);
        pn_json_object_end(&a->j);
    }
    pn_json_array_end(&a->j);
}

void held_answer_list(struct answer *a)
{
    struct names names = held_list(a->q, PN_STR(""));
    size_t shown = 0;
    bool sent = true;
    for (; shown < names.count && shown < ANSWER_LIST_MAX && sent; shown++) {
        struct opened o;
        int error = opened_init(&o, a->q, names.v[shown]);
        if (error == 0)
            put_held(a, names.v[shown], &o);
        if (error == 0)
            sent = answer_send(a, false, -1);
        else
            answer_outcome(a, pn_str_of(names.v[shown]), NULL, strerror(error));
        opened_fini(&o);
    }
    answer_list_end(a, names.count, shown);
    free(names.v);
}

static void show_file(struct answer *a, const char *name)
{
    struct opened o;
    int fd = -1, error = opened_init(&o, a->q, name);
    if (error == 0)
        error = held_content(a->q->held, name, &fd);
    if (error == 0) {
        put_held(a, name, &o);
        (void)answer_send(a, false, -1);
        answer_begin(a);
        pn_json_bool(&a->j, "ok", true);
        pn_json_i64(&a->j, "size", (int64_t)o.env.size);
        (void)answer_send(a, true, fd);
        (void)close(fd);
    } else {
        answer_finish(a, strerror(error));
    }
    opened_fini(&o);
}

/* A held message on its way back into the journal; the file goes once it is kept there. */
struct returning {
    struct returning *next;
    struct queue *q;
    struct acting *acting;
    char name[HELD_NAME_MAX];
};

static void returned(void *ctx, int error)
{
    struct returning *r = ctx, **at = &r->q->returning;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    int gone = error == 0 ? held_remove(r->q->held, r->name) : error;
    if (gone != 0)
        pn_error("held message %s: %s", r->name, strerror(gone));
    acting_outcome(r->acting, pn_str_of(r->name), gone == 0 ? NULL : strerror(gone));
    free(r);
}

/* Its file is there until the message is kept: who asks again would get it twice. */
static bool is_returning(const struct queue *q, const char *name)
{
    const struct returning *r = q->returning;
    while (r != NULL && strcmp(r->name, name) != 0)
        r = r->next;
    return r != NULL;
}

static void held_release(struct acting *acting, const char *name)
{
    struct queue *q = acting->q;
    struct opened o;
    int fd = -1, error = opened_init(&o, q, name);
    if (error == 0)
        error = held_content(q->held, name, &fd);
    if (error == 0) {
        struct pn_recipient *to = pn_calloc(o.held.count, sizeof *to);
        for (uint32_t i = 0; i < o.held.count; i++) {
            to[i] = o.env.recipients[o.held.indices[i]];
            to[i].hand = PN_HAND_DELIVER;
        }
        o.env.id = pn_queue_id_make(&q->ids);
        o.env.arrived_ms = pn_clock_wall_ms(); /* time to deliver it begins anew */
        o.env.flags &= ~(uint32_t)PN_ENV_CONTENT_FILE;
        o.env.content_file = 0;
        o.env.recipients = to;
        o.env.recipient_count = o.held.count;
        struct returning *r = pn_calloc(1, sizeof *r);
        *r = (struct returning){.next = q->returning, .q = q, .acting = acting};
        q->returning = r;
        (void)held_name(o.held.id, o.held.indices[0], r->name);
        take_own(q, &o.env, fd, returned, r);
        free(to);
    }
    if (error != 0)
        acting_outcome(acting, pn_str_of(name), strerror(error));
    opened_fini(&o);
}

static void held_drop(struct acting *acting, const char *name)
{
    int error = held_remove(acting->q->held, name);
    acting_outcome(acting, pn_str_of(name), error == 0 ? NULL : strerror(error));
}

void held_answer_show(struct answer *a, struct pn_str id)
{
    struct names names = held_list(a->q, id);
    if (names.count == 0 || id.len == 0)
        answer_finish(a, "no such message");
    else
        show_file(a, names.v[0]);
    free(names.v);
}

void held_answer_act(struct acting *acting, struct pn_str id)
{
    struct names names = held_list(acting->q, id);
    if (names.count == 0 || id.len == 0) {
        acting_wait(acting);
        acting_outcome(acting, id, "no such message");
    }
    for (size_t i = 0; i < names.count && id.len > 0; i++) {
        acting_wait(acting);
        if (is_returning(acting->q, names.v[i]))
            acting_outcome(acting, pn_str_of(names.v[i]), "it is being released");
        else if (acting->releasing)
            held_release(acting, names.v[i]);
        else
            held_drop(acting, names.v[i]);
    }
    free(names.v);
}
