/*
 * Any existing milter as a stage of the pipeline.
 *
 * The plugin is to a milter what an MTA is: it tells it of a session command by command, and
 * hears its answers. An answer becomes a fact (MILTER_REJECT, its detail the milter's name and
 * words), an edit is proposed to the core; what becomes of either is policy's and the core's.
 *
 * A milter is told of the session where that stage runs, and of the content in the last one:
 * milters are asked one after the other there, so that each sees what those before it changed
 * in the header and body, as behind an MTA. Before that they work side by side.
 *
 * The connection belongs to the session object. A fresh worker is told of the session again,
 * and tells the milter, over a connection of its own.
 */
#include "milter_client.h"
#include "milter_mail.h"
#include "milter_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SYM_REJECT,
    SYM_TEMPFAIL,
    SYM_DISCARD,
    SYM_QUARANTINE,
    SYM_ACCEPT,
    SYM_AWAY,
    SYM_EDIT_REFUSED
};

static const struct postern_symbol symbols[] = {
    [SYM_REJECT] = {"MILTER_REJECT", 0, "A milter rejects; detail: its name, and its reply if any"},
    [SYM_TEMPFAIL] = {"MILTER_TEMPFAIL", 0, "A milter asks to try again later; detail likewise"},
    [SYM_DISCARD] = {"MILTER_DISCARD", 0, "A milter has the message thrown away; detail: its name"},
    [SYM_QUARANTINE] = {"MILTER_QUARANTINE", 0, "A milter holds the message; detail: who, and why"},
    [SYM_ACCEPT] = {"MILTER_ACCEPT", 0, "A milter takes it, and wants to hear no more of it"},
    [SYM_AWAY] = {"MILTER_AWAY", 0, "A milter failed; detail: its name, when, and why"},
    [SYM_EDIT_REFUSED] = {"MILTER_EDIT_REFUSED", 0,
                          "A change that a milter wants and may not make; detail: who, and what"},
    {NULL, 0, NULL}};

/* What is left for the core to write down what was found. */
enum { MARGIN_MS = 100, DETAIL_MAX = 400, REFUSED_MAX = 8 };

struct session {
    struct milter_settings *settings;
    bool named; /* client is filled */
    struct milter_client client;
    struct milter_talk talks[MILTER_SERVERS_MAX];
};

/* ---- saying what was found */

static int state(struct postern_call *c, unsigned symbol, const struct milter_server *server,
                 struct postern_str text)
{
    char detail[DETAIL_MAX];
    int n = snprintf(detail, sizeof(detail), "%.*s%s%.*s", (int)server->name.len, server->name.p,
                     text.len == 0 ? "" : ": ", (int)(text.len < 300 ? text.len : 300), text.p);

    return c->host->fact(c, symbol, (struct postern_str){detail, n < 0 ? 0 : (size_t)n});
}

static int state_for(struct postern_call *c, size_t rcpt, unsigned symbol,
                     const struct milter_talk *talk)
{
    char detail[DETAIL_MAX];
    int n = snprintf(detail, sizeof(detail), "%.*s%s%.*s", (int)talk->server->name.len,
                     talk->server->name.p, talk->reply.len == 0 ? "" : ": ", (int)talk->reply.len,
                     talk->reply.p);

    return c->host->fact_for(c, rcpt, symbol, (struct postern_str){detail, n < 0 ? 0 : (size_t)n});
}

/* What stands for its answer is said as if it had answered so. */
static int state_away(struct postern_call *c, const struct milter_talk *talk)
{
    static const int instead[] = {[MILTER_FAIL_DEFER] = SYM_TEMPFAIL,
                                  [MILTER_FAIL_SKIP] = -1,
                                  [MILTER_FAIL_QUARANTINE] = SYM_QUARANTINE,
                                  [MILTER_FAIL_REJECT] = SYM_REJECT};
    const int symbol = instead[talk->server->on_failure];
    char text[300];
    int n = snprintf(text, sizeof(text), "%s: %s%s%s", talk->at, talk->why,
                     talk->error == 0 ? "" : ", ", talk->error == 0 ? "" : strerror(talk->error));
    int rc;

    rc = state(c, SYM_AWAY, talk->server, (struct postern_str){text, n < 0 ? 0 : strlen(text)});
    if (rc != POSTERN_OK || symbol < 0)
        return rc;
    return state(c, (unsigned)symbol, talk->server, POSTERN_STR(""));
}

static int edit_refused(struct postern_call *c, const struct milter_server *server,
                        const char *what, struct postern_str about)
{
    char text[200];

    (void)snprintf(text, sizeof(text), "%s%s%.*s", what, about.len == 0 ? "" : " ",
                   (int)(about.len < 100 ? about.len : 100), about.p);
    return state(c, SYM_EDIT_REFUSED, server, (struct postern_str){text, strlen(text)});
}

/* It failed: the breaker counts that, and the log says so once. */
static void note_failure(struct postern_call *c, struct milter_talk *talk)
{
    char line[400];

    if (!milter_server_bad(talk->server, milter_now_ms()))
        return;
    (void)snprintf(line, sizeof(line), "%.*s: %s: %s%s%s; it is left alone for %lld ms",
                   (int)talk->server->name.len, talk->server->name.p, talk->at, talk->why,
                   talk->error == 0 ? "" : ", ", talk->error == 0 ? "" : strerror(talk->error),
                   (long long)talk->server->pause_ms);
    c->host->log(c, POSTERN_LOG_WARN, (struct postern_str){line, strlen(line)});
}

/* An answer that ends the milter's part, before its last word. over: of what. */
static int heed(struct postern_call *c, struct milter_talk *talk, enum milter_answer answer,
                enum milter_over over)
{
    switch (answer) {
    case MILTER_ACCEPTS:
        talk->over = over;
        return state(c, SYM_ACCEPT, talk->server, POSTERN_STR(""));
    case MILTER_REJECTS:
        talk->over = over;
        return state(c, SYM_REJECT, talk->server, talk->reply);
    case MILTER_DEFERS:
        talk->over = over;
        return state(c, SYM_TEMPFAIL, talk->server, talk->reply);
    case MILTER_DISCARDS:
        talk->over = over;
        return state(c, SYM_DISCARD, talk->server, POSTERN_STR(""));
    case MILTER_FAILED:
        note_failure(c, talk);
        return over == MILTER_OVER_MAIL ? state_away(c, talk) : POSTERN_OK;
    default:
        return POSTERN_OK;
    }
}

/* ---- what is known */

static struct postern_str text_of(const char *s)
{
    return (struct postern_str){s, strlen(s)};
}

static void fill_about(struct postern_call *c, struct milter_about *about)
{
    const struct session *s = c->session;
    const struct postern_client *client = c->host->client(c);
    const struct postern_envelope *envelope =
        c->stage >= POSTERN_MAIL ? c->host->envelope(c) : NULL;

    *about = (struct milter_about){.hostname = client->hostname,
                                   .daemon = POSTERN_STR("postern"),
                                   .version = POSTERN_STR("Postern"),
                                   .client = text_of(s->client.both),
                                   .client_addr = client->ip_text,
                                   .client_name = text_of(s->client.name),
                                   .client_ptr = text_of(s->client.ptr),
                                   .client_port = text_of(s->client.port),
                                   .client_resolve = text_of(s->client.resolve),
                                   .helo = client->helo,
                                   .auth_id = client->auth_id};
    if (envelope == NULL)
        return;
    about->id = c->host->id(c);
    about->from = envelope->from;
}

/* Is this server asked at this stage? Its talk gets the call's end in time. */
static bool is_asked(struct postern_call *c, struct milter_talk *talk)
{
    uint32_t left = c->host->left_ms(c);

    talk->until = milter_now_ms() + (left > MARGIN_MS ? left - MARGIN_MS : 0);
    return talk->over == MILTER_ASKED && talk->channel != NULL;
}

static bool is_skipped(struct postern_call *c, const struct milter_server *server)
{
    return c->host->client_in(c, server->block, "skip") == POSTERN_OK;
}

/* ---- connect and helo */

static void say_connect(struct postern_call *c, struct milter_talk *talk,
                        const struct milter_about *about)
{
    const struct session *s = c->session;
    const struct postern_client *client = c->host->client(c);
    struct milter_out *out;
    size_t at;

    milter_say_macros(talk, MILTER_STEP_CONNECT, about);
    if (!milter_wants(talk, MILTER_STEP_CONNECT))
        return;
    at = milter_say(talk, MILTER_STEP_CONNECT, &out);
    milter_put_text(out, text_of(s->client.name));
    milter_put_byte(out, client->is_ipv4 ? '4' : '6');
    milter_put_u16(out, client->port);
    milter_put_text(out, client->ip_text);
    if (milter_said(talk, at))
        milter_send(talk, MILTER_STEP_CONNECT);
}

static void say_helo(struct postern_call *c, struct milter_talk *talk,
                     const struct milter_about *about)
{
    struct milter_out *out;
    size_t at;

    (void)c;
    milter_say_macros(talk, MILTER_STEP_HELO, about);
    if (!milter_wants(talk, MILTER_STEP_HELO))
        return;
    at = milter_say(talk, MILTER_STEP_HELO, &out);
    milter_put_text(out, about->helo);
    if (milter_said(talk, at))
        milter_send(talk, MILTER_STEP_HELO);
}

/* The answer to CONNECT. A channel that another session left may have died meanwhile: that is no
 * failure of the milter's, a fresh one is tried. */
static int hear_connect(struct postern_call *c, struct milter_talk *talk,
                        const struct milter_about *about)
{
    bool reused = talk->reused;
    enum milter_answer answer = milter_hear(talk, MILTER_STEP_CONNECT, NULL);

    if (answer == MILTER_FAILED && reused && talk->channel == NULL &&
        milter_talk_open_fresh(talk)) {
        say_connect(c, talk, about);
        answer = milter_hear(talk, MILTER_STEP_CONNECT, NULL);
    }
    return heed(c, talk, answer, MILTER_OVER_SESSION);
}

static bool open_talk(struct postern_call *c, struct milter_talk *talk)
{
    if (milter_talk_open(talk))
        return true;
    if (!talk->alone) /* that is no failure more */
        note_failure(c, talk);
    return false;
}

static int on_connect(struct postern_call *c)
{
    struct session *s = c->session;
    struct milter_about about;
    int rc = POSTERN_OK;

    if (s->settings->count == 0)
        return POSTERN_OK;
    milter_client_fill(&s->client, c, s->settings->client_names);
    s->named = true;
    fill_about(c, &about);
    for (size_t i = 0; i < s->settings->count; i++) {
        struct milter_talk *talk = &s->talks[i];

        (void)is_asked(c, talk);
        if (!is_skipped(c, talk->server) && open_talk(c, talk))
            say_connect(c, talk, &about);
    }
    for (size_t i = 0; i < s->settings->count && rc == POSTERN_OK; i++)
        if (is_asked(c, &s->talks[i]))
            rc = hear_connect(c, &s->talks[i], &about);
    return rc;
}

static int on_helo(struct postern_call *c)
{
    struct session *s = c->session;
    struct milter_about about;
    int rc = POSTERN_OK;

    fill_about(c, &about);
    for (size_t i = 0; i < s->settings->count; i++) {
        struct milter_talk *talk = &s->talks[i];

        if (talk->over == MILTER_OVER_HELO)
            talk->over = MILTER_ASKED;
        if (is_asked(c, talk))
            say_helo(c, talk, &about);
    }
    for (size_t i = 0; i < s->settings->count && rc == POSTERN_OK; i++)
        if (is_asked(c, &s->talks[i]))
            rc = heed(c, &s->talks[i], milter_hear(&s->talks[i], MILTER_STEP_HELO, NULL),
                      MILTER_OVER_HELO);
    return rc;
}

/* ---- the envelope */

static void put_address(struct milter_out *out, struct postern_str address)
{
    milter_put_byte(out, '<');
    milter_put_bytes(out, address);
    milter_put_text(out, POSTERN_STR(">"));
}

/* A milter that failed before is told of the session again, over a new connection. Facts of its
 * answers to that are the message's now. */
static int open_again(struct postern_call *c, struct milter_talk *talk,
                      const struct milter_about *about)
{
    enum milter_answer answer;
    int rc;

    if (!open_talk(c, talk))
        return state_away(c, talk);
    say_connect(c, talk, about);
    answer = milter_hear(talk, MILTER_STEP_CONNECT, NULL);
    if (answer == MILTER_GOES_ON) {
        say_helo(c, talk, about);
        answer = milter_hear(talk, MILTER_STEP_HELO, NULL);
    }
    rc = heed(c, talk, answer, MILTER_OVER_MAIL);
    if (answer != MILTER_GOES_ON)
        milter_talk_close(talk); /* and asked again for the next message */
    return rc;
}

static void say_mail(struct milter_talk *talk, const struct milter_about *about)
{
    struct milter_out *out;
    size_t at;

    talk->begun = true;
    talk->rcpts = 0;
    milter_say_macros(talk, MILTER_STEP_MAIL, about);
    if (!milter_wants(talk, MILTER_STEP_MAIL))
        return;
    at = milter_say(talk, MILTER_STEP_MAIL, &out);
    put_address(out, about->from);
    if (milter_said(talk, at))
        milter_send(talk, MILTER_STEP_MAIL);
}

static int on_mail(struct postern_call *c)
{
    struct session *s = c->session;
    struct milter_about about;
    bool told[MILTER_SERVERS_MAX] = {false};
    int rc = POSTERN_OK;

    fill_about(c, &about);
    for (size_t i = 0; i < s->settings->count && rc == POSTERN_OK; i++) {
        struct milter_talk *talk = &s->talks[i];

        milter_talk_abort(talk); /* what was said of the message before is over */
        milter_talk_look(talk);
        (void)is_asked(c, talk);
        if (talk->channel == NULL && talk->over == MILTER_ASKED && !is_skipped(c, talk->server))
            rc = open_again(c, talk, &about);
        told[i] = is_asked(c, talk);
        if (told[i])
            say_mail(talk, &about);
    }
    for (size_t i = 0; i < s->settings->count && rc == POSTERN_OK; i++)
        if (told[i])
            rc = heed(c, &s->talks[i], milter_hear(&s->talks[i], MILTER_STEP_MAIL, NULL),
                      MILTER_OVER_MAIL);
    return rc;
}

static int heed_rcpt(struct postern_call *c, struct milter_talk *talk, enum milter_answer answer,
                     size_t rcpt, bool *rejected)
{
    unsigned symbol = answer == MILTER_REJECTS ? SYM_REJECT : SYM_TEMPFAIL;

    if (answer != MILTER_REJECTS && answer != MILTER_DEFERS) {
        talk->rcpts++;
        return heed(c, talk, answer, MILTER_OVER_MAIL);
    }
    *rejected = true;
    return state_for(c, rcpt, symbol, talk);
}

/* One milter after the other: those behind are not told of a recipient that one before rejected,
 * but for those who want to know (SMFIP_RCPT_REJ). */
static int on_rcpt(struct postern_call *c)
{
    struct session *s = c->session;
    const struct postern_envelope *envelope = c->host->envelope(c);
    const size_t rcpt = envelope->rcpt_count - 1;
    struct milter_about about;
    struct milter_out *out;
    bool rejected = false;
    int rc = POSTERN_OK;

    fill_about(c, &about);
    about.rcpt = envelope->rcpt[rcpt];
    for (size_t i = 0; i < s->settings->count && rc == POSTERN_OK; i++) {
        struct milter_talk *talk = &s->talks[i];

        if (!is_asked(c, talk) || (rejected && milter_agreed(talk, MILTER_WANTS_REJECTED) == 0))
            continue;
        about.rcpt_mailer = rejected ? POSTERN_STR("error") : POSTERN_STR("");
        about.rcpt_host = rejected ? POSTERN_STR("5.7.1") : POSTERN_STR("");
        milter_say_macros(talk, MILTER_STEP_RCPT, &about);
        if (milter_wants(talk, MILTER_STEP_RCPT)) {
            size_t at = milter_say(talk, MILTER_STEP_RCPT, &out);

            put_address(out, about.rcpt);
            (void)milter_said(talk, at);
        }
        rc = heed_rcpt(c, talk, milter_hear(talk, MILTER_STEP_RCPT, NULL), rcpt, &rejected);
    }
    return rc;
}

/* ---- the message */

static enum milter_answer say_plain(struct milter_talk *talk, enum milter_step step,
                                    const struct milter_about *about)
{
    struct milter_out *out;

    milter_say_macros(talk, step, about);
    if (milter_wants(talk, step) && !milter_said(talk, milter_say(talk, step, &out)))
        return MILTER_FAILED;
    return step == MILTER_STEP_END ? MILTER_GOES_ON : milter_hear(talk, step, NULL);
}

/* Cut where it is longer than a packet of this milter's may be. */
static void put_field(struct milter_talk *talk, struct milter_out *out,
                      const struct milter_field *field)
{
    struct postern_str name = field->name, value = field->value;
    size_t max = milter_data_max(talk) - 2;

    if (value.len > 0 && value.p[0] == ' ' && milter_agreed(talk, MILTER_LEADING_SPACE) == 0)
        value = (struct postern_str){value.p + 1, value.len - 1};
    if (name.len > max)
        name.len = max;
    if (value.len > max - name.len)
        value.len = max - name.len;
    milter_put_text(out, name);
    milter_put_lines(out, value);
}

static enum milter_answer say_header(struct milter_talk *talk, const struct milter_mail *mail)
{
    enum milter_answer answer = MILTER_GOES_ON;
    const struct milter_field *field;
    struct milter_out *out;
    size_t i = 0;

    if (!milter_wants(talk, MILTER_STEP_HEADER))
        return answer;
    while (answer == MILTER_GOES_ON && milter_mail_field(mail, &i, &field)) {
        size_t at = milter_say(talk, MILTER_STEP_HEADER, &out);

        put_field(talk, out, field);
        answer =
            milter_said(talk, at) ? milter_hear(talk, MILTER_STEP_HEADER, NULL) : MILTER_FAILED;
    }
    return answer == MILTER_SKIPS ? MILTER_GOES_ON : answer;
}

static enum milter_answer say_body(struct milter_talk *talk, const struct milter_mail *mail)
{
    enum milter_answer answer = MILTER_GOES_ON;
    struct postern_str rest = mail->body;
    struct milter_out *out;

    if (!milter_wants(talk, MILTER_STEP_BODY))
        return answer;
    while (answer == MILTER_GOES_ON && rest.len > 0) {
        size_t max = milter_data_max(talk), n = rest.len < max ? rest.len : max;
        size_t at = milter_say(talk, MILTER_STEP_BODY, &out);

        milter_put_bytes(out, (struct postern_str){rest.p, n});
        answer = milter_said(talk, at) ? milter_hear(talk, MILTER_STEP_BODY, NULL) : MILTER_FAILED;
        rest = (struct postern_str){rest.p + n, rest.len - n};
    }
    return answer == MILTER_SKIPS ? MILTER_GOES_ON : answer;
}

/* All of it but the answer to its end. */
static enum milter_answer say_message(struct milter_talk *talk, const struct milter_about *about,
                                      const struct milter_mail *mail)
{
    enum milter_answer answer = say_plain(talk, MILTER_STEP_DATA, about);

    if (answer == MILTER_GOES_ON)
        answer = say_header(talk, mail);
    if (answer == MILTER_GOES_ON)
        answer = say_plain(talk, MILTER_STEP_END_HEADERS, about);
    if (answer == MILTER_GOES_ON)
        answer = say_body(talk, mail);
    return answer == MILTER_GOES_ON ? say_plain(talk, MILTER_STEP_END, about) : answer;
}

/* Its last word. What it wants changed counts where it let the message go on. */
static int hear_end(struct postern_call *c, struct milter_talk *talk, struct milter_mail *mail)
{
    const struct milter_edits_to to = {milter_mail_take, mail};
    enum milter_answer answer = milter_hear(talk, MILTER_STEP_END, &to);
    int rc;

    talk->begun = false;
    rc = heed(c, talk, answer, MILTER_OVER_MAIL);
    if (rc != POSTERN_OK || (answer != MILTER_GOES_ON && answer != MILTER_ACCEPTS))
        return rc;
    if (mail->quarantine.p != NULL)
        rc = state(c, SYM_QUARANTINE, talk->server, mail->quarantine);
    return rc == POSTERN_OK ? milter_mail_apply(mail, talk, edit_refused) : rc;
}

static int show_message(struct postern_call *c, struct milter_talk *talk,
                        const struct milter_about *about, struct milter_mail *mail)
{
    enum milter_answer answer;

    milter_mail_next(mail);
    answer = say_message(talk, about, mail);
    return answer == MILTER_GOES_ON ? hear_end(c, talk, mail)
                                    : heed(c, talk, answer, MILTER_OVER_MAIL);
}

static int on_message(struct postern_call *c)
{
    struct session *s = c->session;
    struct milter_about about;
    struct milter_mail mail;
    struct postern_str message_id;
    char rcpts[24];
    int rc = POSTERN_OK;

    if (s->settings->count == 0)
        return POSTERN_OK;
    fill_about(c, &about);
    (void)snprintf(rcpts, sizeof(rcpts), "%zu", c->host->envelope(c)->rcpt_count);
    about.rcpt_count = text_of(rcpts);
    if (c->host->header_get(c, "Message-ID", 0, &message_id) == POSTERN_OK)
        about.message_id = message_id;
    if (!milter_mail_init(&mail, c))
        return POSTERN_LIMIT;
    for (size_t i = 0; i < s->settings->count && rc == POSTERN_OK; i++)
        if (is_asked(c, &s->talks[i]) && s->talks[i].begun && s->talks[i].rcpts > 0)
            rc = show_message(c, &s->talks[i], &about, &mail);
    if (rc == POSTERN_OK)
        rc = milter_mail_finish(&mail, edit_refused);
    milter_mail_fini(&mail);
    return rc;
}

/* ---- objects */

static int instance_new(struct postern_setup *s, void **instance)
{
    struct milter_settings *settings = calloc(1, sizeof(*settings));

    if (settings == NULL)
        return POSTERN_ERROR;
    if (!milter_settings_read(s, settings)) {
        milter_settings_free(settings);
        free(settings);
        return POSTERN_ERROR;
    }
    *instance = settings;
    return POSTERN_OK;
}

static void instance_free(void *instance)
{
    struct milter_settings *settings = instance;

    for (size_t i = 0; i < settings->count; i++)
        milter_server_quit(&settings->servers[i]);
    milter_settings_free(settings);
    free(settings);
}

static int session_new(struct postern_call *c, void **session)
{
    struct session *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return POSTERN_ERROR;
    s->settings = c->instance;
    s->client.resolve = "";
    for (size_t i = 0; i < s->settings->count; i++)
        s->talks[i].server = &s->settings->servers[i];
    *session = s;
    return POSTERN_OK;
}

static void session_free(void *instance, void *session)
{
    struct session *s = session;

    (void)instance;
    for (size_t i = 0; i < s->settings->count; i++)
        milter_talk_close(&s->talks[i]);
    free(s);
}

/* The transaction is the session: what ends with it is the message that milters were told of. */
static int transaction_new(struct postern_call *c, void **transaction)
{
    *transaction = c->session;
    return POSTERN_OK;
}

static void transaction_free(void *instance, void *transaction)
{
    struct session *s = transaction;

    (void)instance;
    for (size_t i = 0; i < s->settings->count; i++)
        milter_talk_abort(&s->talks[i]);
}

static void prefetch_connect(struct postern_call *c)
{
    const struct milter_settings *settings = c->instance;
    char room[MILTER_REVERSE_MAX];

    if (settings->count > 0 && settings->client_names)
        (void)c->host->dns_start(
            c, (struct postern_str){room, milter_reverse(c->host->client(c), room)},
            POSTERN_DNS_PTR);
}

POSTERN_EXPORT const struct postern_plugin postern_plugin = {
    .size = sizeof(struct postern_plugin),
    .major = POSTERN_ABI_MAJOR,
    .minor = POSTERN_ABI_MINOR,
    .name = "milter",
    .version = "1.0",
    .summary = "existing milters, asked over their sockets",
    .rows = milter_rows,
    .symbols = symbols,
    .needs = POSTERN_NEED_NETWORK | POSTERN_NEED_DNS,
    .on_failure = POSTERN_FAIL_DEFER,
    .deadline_ms = 20000,
    .instance_new = instance_new,
    .instance_free = instance_free,
    .session_new = session_new,
    .session_free = session_free,
    .transaction_new = transaction_new,
    .transaction_free = transaction_free,
    .on = {[POSTERN_CONNECT] = on_connect,
           [POSTERN_HELO] = on_helo,
           [POSTERN_MAIL] = on_mail,
           [POSTERN_RCPT] = on_rcpt,
           [POSTERN_MESSAGE] = on_message},
    .prefetch = {[POSTERN_CONNECT] = prefetch_connect}};
