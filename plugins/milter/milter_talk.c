#include "milter_talk.h"

#include <stdlib.h>
#include <string.h>

enum {
    GATHER_MAX = 64 * 1024,
    IDLE_MS = 60000,
    NO_STAGE = -1,
    VERSION_OF_UNKNOWN = 3,
    VERSION_OF_DATA = 4
};

static const struct {
    char command;
    uint32_t left_out, mute;
    int stage; /* whose macros are sent before it */
    const char *name;
} rows[MILTER_STEPS_COUNT] = {
    [MILTER_STEP_CONNECT] = {MILTER_CONNECT, MILTER_NO_CONNECT, MILTER_MUTE_CONNECT,
                             MILTER_AT_CONNECT, "connect"},
    [MILTER_STEP_HELO] = {MILTER_HELO, MILTER_NO_HELO, MILTER_MUTE_HELO, MILTER_AT_HELO, "helo"},
    [MILTER_STEP_MAIL] = {MILTER_MAIL, MILTER_NO_MAIL, MILTER_MUTE_MAIL, MILTER_AT_MAIL, "mail"},
    [MILTER_STEP_RCPT] = {MILTER_RCPT, MILTER_NO_RCPT, MILTER_MUTE_RCPT, MILTER_AT_RCPT, "rcpt"},
    [MILTER_STEP_DATA] = {MILTER_DATA_BEGINS, MILTER_NO_DATA, MILTER_MUTE_DATA, MILTER_AT_DATA,
                          "data"},
    [MILTER_STEP_HEADER] = {MILTER_HEADER, MILTER_NO_HEADERS, MILTER_MUTE_HEADER, NO_STAGE,
                            "header"},
    [MILTER_STEP_END_HEADERS] = {MILTER_END_HEADERS, MILTER_NO_END_HEADERS, MILTER_MUTE_END_HEADERS,
                                 MILTER_AT_END_HEADERS, "end of headers"},
    [MILTER_STEP_BODY] = {MILTER_BODY, MILTER_NO_BODY, MILTER_MUTE_BODY, NO_STAGE, "body"},
    [MILTER_STEP_END] = {MILTER_END, 0, 0, MILTER_AT_END, "end of message"},
    [MILTER_STEP_UNKNOWN] = {MILTER_UNKNOWN, MILTER_NO_UNKNOWN, MILTER_MUTE_UNKNOWN, NO_STAGE,
                             "unknown command"}};

/* ---- channels */

static void channel_free(struct milter_channel *channel)
{
    milter_line_close(&channel->line);
    free(channel);
}

static void farewell(struct milter_channel *channel, char command)
{
    milter_end(&channel->line.out, milter_begin(&channel->line.out, command));
    (void)milter_line_flush_now(&channel->line);
}

static int64_t end_of(const struct milter_talk *talk, int64_t limit_ms)
{
    int64_t end = milter_now_ms() + limit_ms;

    return end < talk->until ? end : talk->until;
}

/* A wait begins; it ends by its limit or with the call. */
static int64_t wait_of(struct milter_talk *talk, int64_t limit_ms)
{
    talk->since = milter_now_ms();
    talk->limit_ms = limit_ms < MILTER_DEADLINE_MS ? limit_ms : MILTER_DEADLINE_MS;
    return end_of(talk, limit_ms);
}

static bool fail(struct milter_talk *talk, const char *why, int error)
{
    talk->why = why;
    talk->error = error;
    talk->begun = false;
    talk->cut_short = false;
    talk->stale = talk->reused;
    talk->reused = false;
    if (talk->channel != NULL) {
        channel_free(talk->channel);
        talk->channel = NULL;
    }
    return false;
}

/* The call's time is up, and not by this milter: it had less than half of what it may take. */
static bool was_cut_short(const struct milter_talk *talk)
{
    return talk->channel->line.slow && milter_now_ms() >= talk->until &&
           talk->until - talk->since < talk->limit_ms / 2;
}

static bool fail_line(struct milter_talk *talk)
{
    const struct milter_line *line = &talk->channel->line;
    bool cut_short = was_cut_short(talk);

    (void)fail(talk, cut_short ? "no time was left for it" : line->why, line->error);
    talk->cut_short = cut_short;
    return false;
}

/* Of what it wants, that which we offered; macros by its names or ours. */
static void settle(struct milter_channel *channel, const struct milter_options *answer)
{
    struct milter_options *agreed = &channel->agreed;

    *agreed = *answer;
    agreed->steps &= MILTER_STEPS | MILTER_SIZES;
    if (agreed->version < VERSION_OF_UNKNOWN)
        agreed->steps |= MILTER_NO_UNKNOWN;
    if (agreed->version < VERSION_OF_DATA) /* it takes the command for a broken packet */
        agreed->steps |= MILTER_NO_DATA;
    if ((agreed->steps & MILTER_1M) != 0)
        channel->line.max = MILTER_DATA_1M;
    else if ((agreed->steps & MILTER_256K) != 0)
        channel->line.max = MILTER_DATA_256K;
    for (int i = 0; i < MILTER_STAGES; i++)
        channel->macros[i] = (answer->named >> i & 1) != 0 ? milter_macros_named(answer->macros[i])
                                                           : milter_macros_usual(i);
    memset(agreed->macros, 0, sizeof(agreed->macros)); /* they were views */
}

static bool negotiate(struct milter_talk *talk)
{
    struct milter_line *line = &talk->channel->line;
    const struct milter_options ours = {
        .version = MILTER_VERSION,
        .actions = talk->server->actions | MILTER_MAY_NAME_MACROS,
        .steps = MILTER_STEPS | MILTER_SIZES,
    };
    struct milter_options answer;
    struct milter_packet packet;

    milter_put_options(&line->out, &ours);
    if (!milter_line_take(line, wait_of(talk, talk->server->reply_ms), &packet))
        return fail_line(talk);
    if (!milter_options_read(&packet, &answer))
        return fail(talk, "agreed to no version from 2 to 6", 0);
    settle(talk->channel, &answer);
    return true;
}

bool milter_talk_open_fresh(struct milter_talk *talk)
{
    struct milter_channel *channel = calloc(1, sizeof(*channel));

    talk->at = "connection";
    talk->reused = false;
    talk->unknown = 0;
    if (channel == NULL)
        return fail(talk, "no memory", 0);
    milter_line_init(&channel->line);
    talk->channel = channel;
    if (!milter_line_connect(&channel->line, &talk->server->address,
                             wait_of(talk, talk->server->connect_ms)))
        return fail_line(talk);
    talk->at = "negotiation";
    if (!negotiate(talk))
        return false;
    milter_server_open(talk->server);
    return true;
}

static struct milter_channel *take_idle(struct milter_server *server)
{
    int64_t now = milter_now_ms();

    for (;;) {
        (void)pthread_mutex_lock(&server->lock);
        struct milter_channel *channel = server->idle;
        if (channel != NULL) {
            server->idle = channel->next;
            server->idle_count--;
        }
        (void)pthread_mutex_unlock(&server->lock);
        if (channel == NULL ||
            (now - channel->idle_since < IDLE_MS && milter_line_quiet(&channel->line)))
            return channel;
        farewell(channel, MILTER_QUIT);
        channel_free(channel);
    }
}

bool milter_talk_open(struct milter_talk *talk)
{
    talk->over = MILTER_ASKED;
    talk->unknown = 0;
    talk->alone = !milter_server_asks(talk->server, milter_now_ms());
    if (talk->alone) {
        talk->at = "connection";
        return fail(talk, "is left alone for a while, it failed too often", 0);
    }
    talk->channel = take_idle(talk->server);
    talk->reused = talk->channel != NULL;
    return talk->reused || milter_talk_open_fresh(talk);
}

void milter_talk_look(struct milter_talk *talk)
{
    if (talk->channel == NULL || milter_line_quiet(&talk->channel->line))
        return;
    channel_free(talk->channel);
    talk->channel = NULL;
}

/* ---- steps */

bool milter_wants(const struct milter_talk *talk, enum milter_step step)
{
    return (talk->channel->agreed.steps & rows[step].left_out) == 0;
}

uint32_t milter_agreed(const struct milter_talk *talk, uint32_t steps)
{
    return talk->channel->agreed.steps & steps;
}

size_t milter_data_max(const struct milter_talk *talk)
{
    return talk->channel->line.max;
}

/* Macros of a command that a milter of its version does not know are none to it either. */
static bool knows(const struct milter_talk *talk, enum milter_step step)
{
    return step != MILTER_STEP_DATA || talk->channel->agreed.version >= VERSION_OF_DATA;
}

void milter_say_macros(struct milter_talk *talk, enum milter_step step,
                       const struct milter_about *about)
{
    if (talk->channel != NULL && rows[step].stage != NO_STAGE && knows(talk, step))
        milter_put_macros(&talk->channel->line.out, rows[step].command,
                          talk->channel->macros[rows[step].stage], about);
}

size_t milter_say(struct milter_talk *talk, enum milter_step step, struct milter_out **out)
{
    talk->at = rows[step].name;
    *out = &talk->channel->line.out;
    return milter_begin(*out, rows[step].command);
}

bool milter_said(struct milter_talk *talk, size_t at)
{
    struct milter_line *line = &talk->channel->line;

    milter_end(&line->out, at);
    if (line->out.failed)
        return fail(talk, "no memory", 0);
    if (line->out.len < GATHER_MAX || milter_line_flush(line, wait_of(talk, talk->server->send_ms)))
        return true;
    return fail_line(talk);
}

static bool answers(const struct milter_talk *talk, enum milter_step step)
{
    return (talk->channel->agreed.steps & (rows[step].left_out | rows[step].mute)) == 0;
}

void milter_send(struct milter_talk *talk, enum milter_step step)
{
    if (talk->channel == NULL || !answers(talk, step))
        return;
    if (!milter_line_flush(&talk->channel->line, wait_of(talk, talk->server->send_ms)))
        (void)fail_line(talk);
}

static enum milter_answer failed(struct milter_talk *talk, const char *why)
{
    (void)fail(talk, why, 0);
    return MILTER_FAILED;
}

static enum milter_answer by_code(struct milter_talk *talk, struct postern_str text)
{
    if (!milter_reply_line(text, talk->room, &talk->reply))
        return failed(talk, "sent a reply without a code");
    return talk->reply.p[0] == '4' ? MILTER_DEFERS : MILTER_REJECTS;
}

/* There are steps that nothing of their kind follows, and a session is nothing to throw away. */
static enum milter_answer at_step(struct milter_talk *talk, enum milter_step step,
                                  enum milter_answer answer)
{
    bool many = step == MILTER_STEP_HEADER || step == MILTER_STEP_BODY;

    if (answer == MILTER_SKIPS && !many)
        return MILTER_GOES_ON;
    if (answer == MILTER_DISCARDS && step <= MILTER_STEP_HELO)
        return failed(talk, "discards a session");
    return answer;
}

static enum milter_answer answer_of(struct milter_talk *talk, const struct milter_reply *reply)
{
    switch (reply->kind) {
    case MILTER_CONTINUE:
        return MILTER_GOES_ON;
    case MILTER_ACCEPT:
        return MILTER_ACCEPTS;
    case MILTER_SKIP:
        return MILTER_SKIPS;
    case MILTER_REJECT:
        return MILTER_REJECTS;
    case MILTER_TEMPFAIL:
    case MILTER_SHUTDOWN:
        return MILTER_DEFERS;
    case MILTER_DISCARD:
        return MILTER_DISCARDS;
    case MILTER_REPLY_CODE:
        return by_code(talk, reply->a);
    case MILTER_FAIL_CONNECTION:
        return failed(talk, "asked for a failed connection");
    default:
        return failed(talk, "sent an edit before the end of the message");
    }
}

static bool is_edit(char kind)
{
    return strchr("+-2behimq", kind) != NULL;
}

/* What is said about edits is over with the last answer. */
static enum milter_answer hear_one(struct milter_talk *talk, int64_t limit_ms,
                                   const struct milter_edits_to *edits)
{
    int64_t end = wait_of(talk, limit_ms);

    for (;; end = end_of(talk, limit_ms)) {
        struct milter_packet packet;
        struct milter_reply reply;

        if (!milter_line_take(&talk->channel->line, end, &packet)) {
            (void)fail_line(talk);
            return MILTER_FAILED;
        }
        talk->reused = false;
        if (!milter_reply_read(&packet, &reply))
            return failed(talk, "sent what is no answer");
        if (reply.kind == MILTER_PROGRESS)
            continue;
        if (edits == NULL || !is_edit(reply.kind))
            return answer_of(talk, &reply);
        if (!edits->take(edits->ctx, &reply))
            return failed(talk, "no memory");
    }
}

enum milter_answer milter_hear(struct milter_talk *talk, enum milter_step step,
                               const struct milter_edits_to *edits)
{
    bool end = step == MILTER_STEP_END;
    enum milter_answer answer;

    talk->reply = POSTERN_STR("");
    talk->at = rows[step].name;
    if (talk->channel == NULL)
        return MILTER_FAILED;
    if (!answers(talk, step))
        return MILTER_GOES_ON;
    answer = hear_one(talk, end ? talk->server->end_ms : talk->server->reply_ms, edits);
    answer = at_step(talk, step, answer);
    if (answer != MILTER_FAILED && (end || answer != MILTER_GOES_ON))
        milter_server_good(talk->server);
    return answer;
}

/* ---- the ends */

void milter_talk_abort(struct milter_talk *talk)
{
    if (talk->over == MILTER_OVER_MAIL)
        talk->over = MILTER_ASKED;
    if (!talk->begun || talk->channel == NULL)
        return;
    talk->begun = false;
    farewell(talk->channel, MILTER_ABORT);
    if (talk->channel->line.out.len != 0) /* it does not take it: it hangs */
        (void)fail_line(talk);
}

static bool keep(struct milter_server *server, struct milter_channel *channel)
{
    bool kept;

    if (server->idle_max == 0 || channel->agreed.version < 6)
        return false;
    farewell(channel, MILTER_QUIT_NEXT);
    if (channel->line.out.len != 0 || !milter_line_quiet(&channel->line))
        return false;
    channel->idle_since = milter_now_ms();
    (void)pthread_mutex_lock(&server->lock);
    kept = server->idle_count < server->idle_max;
    if (kept) {
        channel->next = server->idle;
        server->idle = channel;
        server->idle_count++;
    }
    (void)pthread_mutex_unlock(&server->lock);
    return kept;
}

void milter_talk_close(struct milter_talk *talk)
{
    enum milter_over over = talk->over;
    struct milter_channel *channel;

    milter_talk_abort(talk);
    talk->over = over;
    channel = talk->channel;
    talk->channel = NULL;
    if (channel == NULL || keep(talk->server, channel))
        return;
    farewell(channel, MILTER_QUIT);
    channel_free(channel);
}

void milter_server_quit(struct milter_server *server)
{
    while (server->idle != NULL) {
        struct milter_channel *channel = server->idle;

        server->idle = channel->next;
        farewell(channel, MILTER_QUIT);
        channel_free(channel);
    }
    server->idle_count = 0;
}
