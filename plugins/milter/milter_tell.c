/* What is said of a session, and what is said of it again: to a milter that failed before the
 * message, or over a connection in place of one that proved dead. */
#include "milter_tell.h"

/* ---- connect, helo, mail */

static void say_connect(struct postern_call *c, struct milter_talk *talk,
                        const struct milter_about *about)
{
    const struct milter_session *s = c->session;
    const struct postern_client *client = c->host->client(c);
    struct milter_out *out;
    size_t at;

    milter_say_macros(talk, MILTER_STEP_CONNECT, about);
    if (!milter_wants(talk, MILTER_STEP_CONNECT))
        return;
    at = milter_say(talk, MILTER_STEP_CONNECT, &out);
    milter_put_text(out, milter_text(s->client.name));
    milter_put_byte(out, client->is_ipv4 ? '4' : '6');
    milter_put_u16(out, client->port);
    milter_put_text(out, client->ip_text);
    (void)milter_said(talk, at);
}

static void say_helo(struct milter_talk *talk, const struct milter_about *about)
{
    struct milter_out *out;
    size_t at;

    milter_say_macros(talk, MILTER_STEP_HELO, about);
    if (!milter_wants(talk, MILTER_STEP_HELO))
        return;
    at = milter_say(talk, MILTER_STEP_HELO, &out);
    milter_put_text(out, about->helo);
    (void)milter_said(talk, at);
}

static void put_address(struct milter_out *out, struct postern_str address)
{
    milter_put_byte(out, '<');
    milter_put_bytes(out, address);
    milter_put_text(out, POSTERN_STR(">"));
}

/* A string each. */
static void put_arguments(struct milter_out *out, struct postern_str args)
{
    for (size_t at = 0; at < args.len;) {
        size_t end = at;

        while (end < args.len && args.p[end] != ' ')
            end++;
        if (end > at)
            milter_put_text(out, (struct postern_str){args.p + at, end - at});
        at = end + 1;
    }
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
    put_arguments(out, about->mail_args);
    (void)milter_said(talk, at);
}

static void say_rcpt(struct milter_talk *talk, const struct milter_about *about)
{
    struct milter_out *out;
    size_t at;

    milter_say_macros(talk, MILTER_STEP_RCPT, about);
    if (!milter_wants(talk, MILTER_STEP_RCPT))
        return;
    at = milter_say(talk, MILTER_STEP_RCPT, &out);
    put_address(out, about->rcpt);
    (void)milter_said(talk, at);
}

void milter_tell(struct postern_call *c, struct milter_talk *talk, enum milter_step step,
                 const struct milter_about *about)
{
    switch (step) {
    case MILTER_STEP_CONNECT:
        say_connect(c, talk, about);
        break;
    case MILTER_STEP_HELO:
        say_helo(talk, about);
        break;
    case MILTER_STEP_MAIL:
        say_mail(talk, about);
        break;
    default:
        say_rcpt(talk, about);
    }
    milter_send(talk, step);
}

/* ---- unknown commands */

static int state_unknown(struct postern_call *c, const struct milter_talk *talk,
                         enum milter_answer answer)
{
    struct postern_str text = talk->reply;

    if (text.len == 0)
        text = answer == MILTER_REJECTS ? POSTERN_STR("reject") : POSTERN_STR("tempfail");
    return milter_state(c, MILTER_SYM_UNKNOWN, talk->server, text);
}

/* The command was refused already, and a refusal is of that command alone. Outside of a message
 * there is nothing to accept or to throw away. */
static int heed_unknown(struct postern_call *c, struct milter_talk *talk, enum milter_answer answer)
{
    switch (answer) {
    case MILTER_REJECTS:
    case MILTER_DEFERS:
        return state_unknown(c, talk, answer);
    case MILTER_ACCEPTS:
    case MILTER_DISCARDS:
        return talk->begun ? milter_heed(c, talk, answer, MILTER_OVER_MAIL) : POSTERN_OK;
    default:
        return POSTERN_OK;
    }
}

static enum milter_answer tell_unknown(struct postern_call *c, struct milter_talk *talk, int *rc)
{
    const struct postern_client *client = c->host->client(c);
    enum milter_answer answer = MILTER_GOES_ON;
    struct milter_out *out;
    size_t at;

    while (*rc == POSTERN_OK && talk->unknown < client->unknown_count && milter_is_asked(c, talk)) {
        const struct postern_str line = client->unknown[talk->unknown++];

        if (!milter_wants(talk, MILTER_STEP_UNKNOWN))
            continue;
        at = milter_say(talk, MILTER_STEP_UNKNOWN, &out);
        milter_put_text(out, line);
        (void)milter_said(talk, at);
        answer = milter_hear(talk, MILTER_STEP_UNKNOWN, NULL);
        if (answer == MILTER_FAILED)
            return answer;
        *rc = heed_unknown(c, talk, answer);
    }
    return MILTER_GOES_ON;
}

/* ---- all of it again */

static int heed_rcpt(struct postern_call *c, struct milter_talk *talk, enum milter_answer answer,
                     size_t rcpt)
{
    enum milter_symbol symbol = answer == MILTER_REJECTS ? MILTER_SYM_REJECT : MILTER_SYM_TEMPFAIL;

    if (answer == MILTER_REJECTS || answer == MILTER_DEFERS)
        return milter_state_for(c, rcpt, symbol, talk);
    talk->rcpts++;
    return POSTERN_OK;
}

/* Recipients that came before this stage's own. */
static enum milter_answer tell_rcpts(struct postern_call *c, struct milter_talk *talk,
                                     const struct milter_about *about, int *rc)
{
    const struct postern_envelope *envelope = c->host->envelope(c);
    size_t count = envelope->rcpt_count - (c->stage == POSTERN_RCPT);
    struct milter_about one = *about;

    one.rcpt_mailer = one.rcpt_host = POSTERN_STR("");
    for (size_t i = 0; i < count && *rc == POSTERN_OK; i++) {
        enum milter_answer answer;

        one.rcpt = envelope->rcpt[i];
        milter_tell(c, talk, MILTER_STEP_RCPT, &one);
        answer = milter_hear(talk, MILTER_STEP_RCPT, NULL);
        if (answer == MILTER_FAILED || answer == MILTER_ACCEPTS || answer == MILTER_DISCARDS)
            return answer;
        *rc = heed_rcpt(c, talk, answer, i);
    }
    return MILTER_GOES_ON;
}

static enum milter_answer tell_step(struct postern_call *c, struct milter_talk *talk,
                                    enum milter_step step, const struct milter_about *about)
{
    milter_tell(c, talk, step, about);
    return milter_hear(talk, step, NULL);
}

/* What came before this stage. */
static enum milter_answer tell_before(struct postern_call *c, struct milter_talk *talk,
                                      const struct milter_about *about, int *rc)
{
    enum milter_answer answer = MILTER_GOES_ON;

    if (c->stage > POSTERN_CONNECT)
        answer = tell_step(c, talk, MILTER_STEP_CONNECT, about);
    if (answer == MILTER_GOES_ON && c->stage > POSTERN_HELO)
        answer = tell_step(c, talk, MILTER_STEP_HELO, about);
    if (answer == MILTER_GOES_ON)
        answer = tell_unknown(c, talk, rc);
    if (answer == MILTER_GOES_ON && c->stage > POSTERN_MAIL)
        answer = tell_step(c, talk, MILTER_STEP_MAIL, about);
    if (answer == MILTER_GOES_ON && c->stage > POSTERN_MAIL)
        answer = tell_rcpts(c, talk, about, rc);
    return answer;
}

/* True: it failed on a connection that another session had left, and has a fresh one now. */
static bool is_renewed(struct milter_talk *talk, enum milter_answer answer)
{
    return answer == MILTER_FAILED && talk->stale && milter_talk_open_fresh(talk);
}

enum milter_answer milter_tell_again(struct postern_call *c, struct milter_talk *talk,
                                     const struct milter_about *about, int *rc)
{
    enum milter_answer answer = tell_before(c, talk, about, rc);

    return *rc == POSTERN_OK && is_renewed(talk, answer) ? tell_before(c, talk, about, rc) : answer;
}

enum milter_answer milter_renew(struct postern_call *c, struct milter_talk *talk,
                                const struct milter_about *about, enum milter_answer answer,
                                int *rc)
{
    return is_renewed(talk, answer) ? tell_before(c, talk, about, rc) : MILTER_FAILED;
}

enum milter_answer milter_ask(struct postern_call *c, struct milter_talk *talk,
                              enum milter_step step, const struct milter_about *about, int *rc)
{
    enum milter_answer answer = milter_hear(talk, step, NULL);

    if (answer != MILTER_FAILED || !talk->stale)
        return answer;
    answer = milter_renew(c, talk, about, answer, rc);
    return answer == MILTER_GOES_ON && *rc == POSTERN_OK ? tell_step(c, talk, step, about) : answer;
}

int milter_tell_unknown(struct postern_call *c, struct milter_talk *talk,
                        const struct milter_about *about)
{
    int rc = POSTERN_OK;
    enum milter_answer answer = tell_unknown(c, talk, &rc);

    if (answer == MILTER_FAILED && talk->stale)
        answer = milter_renew(c, talk, about, answer, &rc);
    if (rc != POSTERN_OK || answer == MILTER_GOES_ON)
        return rc;
    return milter_heed(c, talk, answer,
                       c->stage >= POSTERN_MAIL ? MILTER_OVER_MAIL : MILTER_OVER_HELO);
}
