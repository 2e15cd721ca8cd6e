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
#include "milter_tell.h"

#include <stdlib.h>

static const struct postern_symbol symbols[] = {
    [MILTER_SYM_REJECT] = {"MILTER_REJECT", 0,
                           "A milter rejects; detail: its name, and its reply if any"},
    [MILTER_SYM_TEMPFAIL] = {"MILTER_TEMPFAIL", 0,
                             "A milter asks to try again later; detail likewise"},
    [MILTER_SYM_DISCARD] = {"MILTER_DISCARD", 0,
                            "A milter has the message thrown away; detail: its name"},
    [MILTER_SYM_QUARANTINE] = {"MILTER_QUARANTINE", 0,
                               "A milter holds the message; detail: who, and why"},
    [MILTER_SYM_ACCEPT] = {"MILTER_ACCEPT", 0,
                           "A milter takes it, and wants to hear no more of it"},
    [MILTER_SYM_AWAY] = {"MILTER_AWAY", 0, "A milter failed; detail: its name, when, and why"},
    [MILTER_SYM_UNKNOWN] = {"MILTER_UNKNOWN", 0,
                            "What it would have answered to a command that we do not know; detail: "
                            "its name, and that"},
    [MILTER_SYM_EDIT_REFUSED] =
        {"MILTER_EDIT_REFUSED", 0,
         "A change that a milter wants and may not make; detail: who, and what"},
    {NULL, 0, NULL}};

/* ---- connect and helo */

static bool is_skipped(struct postern_call *c, const struct milter_server *server)
{
    return c->host->client_in(c, server->block, "skip") == POSTERN_OK;
}

static bool open_talk(struct postern_call *c, struct milter_talk *talk)
{
    if (milter_talk_open(talk))
        return true;
    milter_note_failure(c, talk);
    return false;
}

static int on_connect(struct postern_call *c)
{
    struct milter_session *s = c->session;
    struct milter_about about;
    bool told[MILTER_SERVERS_MAX] = {false};
    int rc = POSTERN_OK;

    if (s->settings->count == 0)
        return POSTERN_OK;
    milter_client_fill(&s->client, c, s->settings->client_names);
    milter_about_fill(c, &about);
    for (size_t i = 0; i < s->settings->count; i++) {
        struct milter_talk *talk = &s->talks[i];

        (void)milter_is_asked(c, talk);
        told[i] = !is_skipped(c, talk->server) && open_talk(c, talk);
        if (told[i])
            milter_tell(c, talk, MILTER_STEP_CONNECT, &about);
    }
    for (size_t i = 0; i < s->settings->count && rc == POSTERN_OK; i++) {
        enum milter_answer answer;

        if (!told[i])
            continue;
        (void)milter_is_asked(c, &s->talks[i]);
        answer = milter_ask(c, &s->talks[i], MILTER_STEP_CONNECT, &about, &rc);
        if (rc == POSTERN_OK)
            rc = milter_heed(c, &s->talks[i], answer, MILTER_OVER_SESSION);
    }
    return rc;
}

/* A step before the recipients: said to all that are to hear of it, then their answers. */
static int ask_all(struct postern_call *c, const struct milter_about *about, enum milter_step step,
                   enum milter_over over)
{
    struct milter_session *s = c->session;
    bool told[MILTER_SERVERS_MAX] = {false};
    int rc = POSTERN_OK;

    for (size_t i = 0; i < s->settings->count && rc == POSTERN_OK; i++) {
        if (milter_is_asked(c, &s->talks[i]))
            rc = milter_tell_unknown(c, &s->talks[i], about);
        told[i] = milter_is_asked(c, &s->talks[i]);
        if (told[i] && rc == POSTERN_OK)
            milter_tell(c, &s->talks[i], step, about);
    }
    for (size_t i = 0; i < s->settings->count && rc == POSTERN_OK; i++) {
        enum milter_answer answer;

        if (!told[i])
            continue;
        (void)milter_is_asked(c, &s->talks[i]);
        answer = milter_ask(c, &s->talks[i], step, about, &rc);
        if (rc == POSTERN_OK)
            rc = milter_heed(c, &s->talks[i], answer, over);
    }
    return rc;
}

static int on_helo(struct postern_call *c)
{
    struct milter_session *s = c->session;
    struct milter_about about;

    milter_about_fill(c, &about);
    for (size_t i = 0; i < s->settings->count; i++)
        if (s->talks[i].over == MILTER_OVER_HELO)
            s->talks[i].over = MILTER_ASKED;
    return ask_all(c, &about, MILTER_STEP_HELO, MILTER_OVER_HELO);
}

/* ---- the envelope */

/* A milter that failed before is told of the session again, over a new connection. Facts of its
 * answers to that are the message's now. */
static int open_again(struct postern_call *c, struct milter_talk *talk,
                      const struct milter_about *about)
{
    enum milter_answer answer;
    int rc = POSTERN_OK;

    if (!open_talk(c, talk))
        return milter_state_away(c, talk);
    answer = milter_tell_again(c, talk, about, &rc);
    if (rc == POSTERN_OK)
        rc = milter_heed(c, talk, answer, MILTER_OVER_MAIL);
    if (answer != MILTER_GOES_ON)
        milter_talk_close(talk); /* and asked again for the next message */
    return rc;
}

static int on_mail(struct postern_call *c)
{
    struct milter_session *s = c->session;
    struct milter_about about;
    int rc = POSTERN_OK;

    milter_about_fill(c, &about);
    for (size_t i = 0; i < s->settings->count && rc == POSTERN_OK; i++) {
        struct milter_talk *talk = &s->talks[i];

        milter_talk_abort(talk); /* what was said of the message before is over */
        milter_talk_look(talk);
        (void)milter_is_asked(c, talk);
        if (talk->channel == NULL && talk->over == MILTER_ASKED && !is_skipped(c, talk->server))
            rc = open_again(c, talk, &about);
        talk->counted = false;
    }
    return rc == POSTERN_OK ? ask_all(c, &about, MILTER_STEP_MAIL, MILTER_OVER_MAIL) : rc;
}

static int heed_rcpt(struct postern_call *c, struct milter_talk *talk, enum milter_answer answer,
                     size_t rcpt, bool *rejected)
{
    enum milter_symbol symbol = answer == MILTER_REJECTS ? MILTER_SYM_REJECT : MILTER_SYM_TEMPFAIL;

    if (answer != MILTER_REJECTS && answer != MILTER_DEFERS) {
        talk->rcpts++;
        return milter_heed(c, talk, answer, MILTER_OVER_MAIL);
    }
    *rejected = true;
    return milter_state_for(c, rcpt, symbol, talk);
}

/* One milter after the other, and all of them: whether a recipient that one before rejected is
 * rejected is policy's to say, and if it is not, who was not told of it would be passed by.
 * Those who want to know what became of it (SMFIP_RCPT_REJ) are told so. */
static int on_rcpt(struct postern_call *c)
{
    struct milter_session *s = c->session;
    const struct postern_envelope *envelope = c->host->envelope(c);
    const size_t rcpt = envelope->rcpt_count - 1;
    struct milter_about about;
    bool rejected = false;
    int rc = POSTERN_OK;

    milter_about_fill(c, &about);
    about.rcpt = envelope->rcpt[rcpt];
    for (size_t i = 0; i < s->settings->count && rc == POSTERN_OK; i++) {
        struct milter_talk *talk = &s->talks[i];
        enum milter_answer answer;

        if (milter_is_asked(c, talk))
            rc = milter_tell_unknown(c, talk, &about);
        if (rc != POSTERN_OK || !milter_is_asked(c, talk))
            continue;
        bool say_so = rejected && milter_agreed(talk, MILTER_WANTS_REJECTED) != 0;
        about.rcpt_mailer = say_so ? POSTERN_STR("error") : POSTERN_STR("");
        about.rcpt_host = say_so ? POSTERN_STR("5.7.1") : POSTERN_STR("");
        milter_tell(c, talk, MILTER_STEP_RCPT, &about);
        answer = milter_ask(c, talk, MILTER_STEP_RCPT, &about, &rc);
        if (rc == POSTERN_OK)
            rc = heed_rcpt(c, talk, answer, rcpt, &rejected);
    }
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
    struct milter_session *s = calloc(1, sizeof(*s));

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
    struct milter_session *s = session;

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
    struct milter_session *s = transaction;

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
    .deadline_ms = MILTER_DEADLINE_MS,
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
           [POSTERN_MESSAGE] = milter_on_message},
    .prefetch = {[POSTERN_CONNECT] = prefetch_connect}};
