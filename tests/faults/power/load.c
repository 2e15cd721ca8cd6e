#include "load.h"

#include "assert.h"
#include "calls.h"
#include "judge.h"
#include "sim.h"

#include <stdlib.h>

struct load {
    const char *name;
    unsigned char mail, file, note, end, move, hold, drop, deliver, fail, reopen, kill, freeze,
        append, change;
    unsigned char keep;  /* messages that wait, about */
    unsigned char steps; /* for a short run */
};

static const struct load loads[] = {
    {"mail, notes, ends", .mail = 5, .note = 4, .end = 3, .keep = 8, .steps = 24},
    {"segments freed and used again", .mail = 4, .end = 8, .keep = 1, .steps = 24},
    {"large content", .mail = 1, .file = 4, .note = 1, .end = 3, .keep = 3, .steps = 24},
    {"survivors moved", .mail = 3, .note = 1, .end = 3, .move = 4, .keep = 4, .steps = 24},
    {"held and released", .mail = 3, .end = 1, .hold = 4, .drop = 3, .keep = 3, .steps = 24},
    {"mailboxes", .mail = 2, .deliver = 6, .keep = 2, .steps = 24},
    {"sessions", .mail = 4, .deliver = 2, .append = 5, .change = 7, .reopen = 1, .keep = 2,
     .steps = 40},
    {"frozen and thawed", .mail = 2, .end = 1, .freeze = 6, .reopen = 1, .keep = 3, .steps = 24},
    {"failing disk", .mail = 3, .file = 2, .note = 2, .end = 2, .hold = 2, .drop = 1, .deliver = 2,
     .freeze = 1, .fail = 8, .move = 1, .keep = 4, .steps = 30},
    {"restarts", .mail = 3, .file = 1, .note = 2, .end = 3, .move = 1, .reopen = 3, .keep = 4,
     .steps = 24},
    {"kills", .mail = 3, .file = 2, .note = 1, .end = 4, .move = 2, .kill = 6, .keep = 2,
     .steps = 40},
    {"kills with large content", .mail = 1, .file = 5, .end = 3, .kill = 5, .keep = 3, .steps = 24},
};

static const struct load after = {"after a cut", .mail = 5, .file = 1, .note = 1,
                                  .end = 6,      .move = 2, .keep = 2, .steps = 8};

struct run {
    const struct load *load;
    struct server *s;
    uint32_t *next_id;
    uint64_t *lot;
    const struct log *log;
    struct verdict *v;
    bool no_room; /* a lazy record would wait for it for ever */
};

unsigned load_count(void)
{
    return sizeof loads / sizeof loads[0];
}

const struct load *load_get(unsigned n)
{
    pn_assert(n < load_count());
    return &loads[n];
}

const char *load_name(const struct load *load)
{
    return load->name;
}

const struct load *load_after(void)
{
    return &after;
}

/* ---- who ---- */

static unsigned live_count(const struct run *r)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < MAILS_MAX; i++)
        n += r->s->mails[i].live;
    return n;
}

/* A live message not in jobs yet: mostly the oldest, which keeps segments. MAILS_MAX: none. */
static uint32_t pick_live(const struct run *r, const struct job *jobs, unsigned count)
{
    uint32_t picked = MAILS_MAX;
    for (uint32_t i = 0; i < MAILS_MAX; i++) {
        bool taken = !r->s->mails[i].live;
        for (unsigned k = 0; k < count; k++)
            taken |= jobs[k].id == i;
        if (taken)
            continue;
        picked = i;
        if (sim_below(r->lot, 3) != 0)
            break;
    }
    return picked;
}

/* ---- steps ---- */

static uint32_t next_id(struct run *r, bool file)
{
    uint32_t id = (*r->next_id)++;
    while (mail_has_file(id) != file)
        id = (*r->next_id)++;
    pn_assert(id < MAILS_MAX);
    return id;
}

static void add(struct run *r, struct job *jobs, unsigned *count, enum job_type type, bool file)
{
    uint32_t id = type == JOB_MAIL ? next_id(r, file) : pick_live(r, jobs, *count);
    if (id < MAILS_MAX)
        jobs[(*count)++] =
            (struct job){type, id, !r->no_room && type != JOB_MAIL && sim_below(r->lot, 2) == 0};
}

/* One to some jobs of that type, and now and then others in the same batch. */
static void batch(struct run *r, enum job_type type, bool file, bool wait)
{
    struct job jobs[SERVER_BATCH_MAX];
    unsigned count = 0, n = 1 + (unsigned)sim_below(r->lot, file ? 2 : 4);
    for (unsigned i = 0; i < n; i++)
        add(r, jobs, &count, type, file);
    for (unsigned i = (unsigned)sim_below(r->lot, 3); i > 0 && count < SERVER_BATCH_MAX; i--)
        add(r, jobs, &count, sim_below(r->lot, 2) == 0 ? JOB_NOTE : JOB_END, false);
    if (count > 0)
        server_batch(r->s, jobs, count, wait);
}

static void end(struct run *r, uint32_t id)
{
    const struct job job = {JOB_END, id, false};
    server_batch(r->s, &job, 1, true);
}

static void step_hold(struct run *r)
{
    uint32_t id = pick_live(r, NULL, 0);
    if (id < MAILS_MAX && server_hold(r->s, id))
        end(r, id);
}

static void step_deliver(struct run *r)
{
    uint32_t id = pick_live(r, NULL, 0);
    if (id < MAILS_MAX && server_deliver(r->s, id))
        end(r, id);
}

static void step_append(struct run *r)
{
    uint32_t id = pick_live(r, NULL, 0);
    if (id < MAILS_MAX && server_append(r->s, id))
        end(r, id);
}

static void step_change(struct run *r)
{
    uint32_t picked = MAILS_MAX;
    for (uint32_t i = 0; i < MAILS_MAX; i++)
        if (r->s->uids[i] != 0 && (picked == MAILS_MAX || sim_below(r->lot, 3) != 0))
            picked = i;
    if (picked < MAILS_MAX)
        server_change(r->s, picked, (enum change)sim_below(r->lot, CHANGES));
}

static void step_freeze(struct run *r)
{
    enum { DOMAINS = 4 };
    server_freeze(r->s, (uint32_t)sim_below(r->lot, DOMAINS));
}

/* What is taken out is dropped, or released: taken as a new message first. */
static void step_drop(struct run *r)
{
    uint32_t id = 0;
    while (id < MAILS_MAX && !r->s->kept_aside[id])
        id++;
    if (id == MAILS_MAX)
        return;
    if (sim_below(r->lot, 2) == 0)
        batch(r, JOB_MAIL, false, true);
    (void)server_drop(r->s, id);
}

/* Does it find what was answered? No power was cut: what was written is there. */
static void look_again(struct run *r)
{
    static struct oracle oracle;
    bool started = server_open(r->s, r->s->root);
    oracle = (struct oracle){0};
    for (size_t i = 0; i < r->log->count; i++)
        if (r->log->v[i].type == LOG_EVENT)
            oracle_add(&oracle, &r->log->v[i].event);
    judge(r->s, started, &oracle, r->v);
}

static void step_reopen(struct run *r)
{
    server_close(r->s);
    look_again(r);
}

/* At any moment; or when something was written and is being synced, or a segment's name. */
static void step_kill(struct run *r)
{
    static const enum job_type types[] = {JOB_MAIL, JOB_MOVE, JOB_END};
    enum { ANY_TIME, NAME, RECORD };
    uint64_t when = sim_below(r->lot, 5);
    if (when == NAME)
        step_reopen(r); /* its first record begins a segment */
    if (when != ANY_TIME)
        calls_fail(FAULT_STOP, when == NAME ? "spool" : "journal", 0, false);
    batch(r, types[sim_below(r->lot, 3)], false, false);
    if (when == ANY_TIME)
        sim_turns((unsigned)sim_below(r->lot, 24));
    else
        sim_settle();
    server_kill(r->s);
    calls_fail(FAULT_STOP, NULL, 0, false);
    look_again(r);
    if (sim_below(r->lot, 2) == 0)
        sim_settle();
}

static void step_fail(struct run *r)
{
    static const struct {
        enum fault_call call;
        const char *prefix;
    } faults[] = {{FAULT_WRITE, "journal"}, {FAULT_SYNC, "journal"}, {FAULT_WRITE, "spare"},
                  {FAULT_SYNC, "spare"},    {FAULT_WRITE, "fill"},   {FAULT_SYNC, "fill"},
                  {FAULT_ROOM, "fill"},     {FAULT_ROOM, ""},        {FAULT_WRITE, "content"},
                  {FAULT_SYNC, "content"},  {FAULT_SYNC, "spool"},   {FAULT_WRITE, "new-"},
                  {FAULT_SYNC, "new-"},     {FAULT_WRITE, "frozen"}, {FAULT_SYNC, "frozen"},
                  {FAULT_SYNC, "held"},     {FAULT_SYNC, "new"},     {FAULT_SYNC, ""},
                  {FAULT_WRITE, ""}};
    size_t n = sim_below(r->lot, sizeof faults / sizeof faults[0]);
    calls_fail(faults[n].call, faults[n].prefix, (unsigned)sim_below(r->lot, 3),
               sim_below(r->lot, 2) == 0);
    r->no_room = faults[n].call == FAULT_ROOM;
    for (unsigned i = 0; i < 3; i++) {
        unsigned what = (unsigned)sim_below(r->lot, 7);
        if (what < 2)
            batch(r, JOB_MAIL, what == 0, true);
        else if (what == 2)
            batch(r, JOB_NOTE, false, true);
        else if (what == 3)
            step_hold(r);
        else if (what == 4)
            step_deliver(r);
        else if (what == 5)
            step_freeze(r);
        else
            batch(r, JOB_END, false, true);
    }
    calls_fail(FAULT_WRITE, NULL, 0, false);
    r->no_room = false;
    sim_settle();
}

static void step(struct run *r)
{
    const struct load *l = r->load;
    const unsigned weights[] = {l->mail, l->file,   l->note,    l->end,   l->move,
                                l->hold, l->drop,   l->deliver, l->fail,  l->reopen,
                                l->kill, l->freeze, l->append,  l->change};
    enum {
        MAIL,
        FILE_,
        NOTE,
        END,
        MOVE,
        HOLD,
        DROP,
        DELIVER,
        FAIL,
        REOPEN,
        KILL,
        FREEZE,
        APPEND,
        CHANGE,
        STEPS
    };
    unsigned sum = 0, which = 0;
    for (unsigned i = 0; i < STEPS; i++)
        sum += weights[i];
    for (uint64_t at = sim_below(r->lot, sum); at >= weights[which]; which++)
        at -= weights[which];
    if (live_count(r) > 2U * l->keep)
        which = END;
    else if (live_count(r) == 0 && which >= NOTE && which <= HOLD)
        which = MAIL;
    if (which <= MAIL || which == FILE_)
        batch(r, JOB_MAIL, which == FILE_, true);
    else if (which <= MOVE)
        batch(r, which == NOTE ? JOB_NOTE : which == END ? JOB_END : JOB_MOVE, false, true);
    else if (which == HOLD)
        step_hold(r);
    else if (which == DROP)
        step_drop(r);
    else if (which == DELIVER)
        step_deliver(r);
    else if (which == FAIL)
        step_fail(r);
    else if (which == REOPEN)
        step_reopen(r);
    else if (which == KILL)
        step_kill(r);
    else if (which == APPEND)
        step_append(r);
    else if (which == CHANGE)
        step_change(r);
    else
        step_freeze(r);
    if (sim_below(r->lot, 2) == 0)
        sim_settle();
}

bool load_run(const struct load *load, struct server *s, uint32_t *next, uint64_t *lot,
              const struct log *log, struct verdict *v)
{
    struct run r = {load, s, next, lot, log, v, false};
    v->wrong[0] = '\0';
    for (unsigned i = 0; i < load->steps && v->wrong[0] == '\0'; i++)
        step(&r);
    return v->wrong[0] == '\0';
}
