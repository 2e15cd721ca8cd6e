/* The stage of the message: each milter sees all of it, as those before it left it. */
#include "milter_mail.h"
#include "milter_tell.h"

#include <stdio.h>
#include <string.h>

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

/* All of it, and the answer to its end. */
static enum milter_answer ask_message(struct milter_talk *talk, const struct milter_about *about,
                                      struct milter_mail *mail, bool *ended)
{
    const struct milter_edits_to to = {milter_mail_take, mail};
    enum milter_answer answer;

    milter_mail_next(mail, talk->server->actions);
    answer = say_message(talk, about, mail);
    *ended = answer == MILTER_GOES_ON;
    return *ended ? milter_hear(talk, MILTER_STEP_END, &to) : answer;
}

/* Its last word. What it wants changed counts where it let the message go on. */
static int heed_end(struct postern_call *c, struct milter_talk *talk, enum milter_answer answer,
                    struct milter_mail *mail)
{
    int rc;

    talk->begun = false;
    rc = milter_heed(c, talk, answer, MILTER_OVER_MAIL);
    if (rc != POSTERN_OK || (answer != MILTER_GOES_ON && answer != MILTER_ACCEPTS))
        return rc;
    if (mail->quarantine.p != NULL)
        rc = milter_state(c, MILTER_SYM_QUARANTINE, talk->server, mail->quarantine);
    return rc == POSTERN_OK ? milter_mail_apply(mail, talk, milter_state_refused) : rc;
}

static int show_message(struct postern_call *c, struct milter_talk *talk,
                        const struct milter_about *about, struct milter_mail *mail)
{
    bool ended = false;
    int rc = milter_tell_unknown(c, talk, about);
    enum milter_answer answer;

    if (rc != POSTERN_OK || !milter_is_asked(c, talk) || talk->rcpts == 0)
        return rc;
    answer = ask_message(talk, about, mail, &ended);
    if (answer == MILTER_FAILED && talk->stale) {
        ended = false;
        answer = milter_renew(c, talk, about, answer, &rc);
        if (rc == POSTERN_OK && answer == MILTER_GOES_ON && talk->rcpts == 0)
            return POSTERN_OK; /* it wants none of the recipients, as it says only now */
        if (rc == POSTERN_OK && answer == MILTER_GOES_ON)
            answer = ask_message(talk, about, mail, &ended);
    }
    if (rc != POSTERN_OK)
        return rc;
    return ended ? heed_end(c, talk, answer, mail) : milter_heed(c, talk, answer, MILTER_OVER_MAIL);
}

int milter_on_message(struct postern_call *c)
{
    struct milter_session *s = c->session;
    struct milter_about about;
    struct milter_mail mail;
    struct postern_str message_id;
    char rcpts[24];
    int rc = POSTERN_OK;

    if (s->settings->count == 0)
        return POSTERN_OK;
    milter_about_fill(c, &about);
    (void)snprintf(rcpts, sizeof(rcpts), "%zu", c->host->envelope(c)->rcpt_count);
    about.rcpt_count = milter_text(rcpts);
    if (c->host->header_get(c, "Message-ID", 0, &message_id) == POSTERN_OK)
        about.message_id = message_id;
    if (!milter_mail_init(&mail, c))
        return POSTERN_LIMIT;
    for (size_t i = 0; i < s->settings->count && rc == POSTERN_OK; i++)
        if (milter_is_asked(c, &s->talks[i]) && s->talks[i].begun && s->talks[i].rcpts > 0)
            rc = show_message(c, &s->talks[i], &about, &mail);
    if (rc == POSTERN_OK)
        rc = milter_mail_finish(&mail, milter_state_refused);
    milter_mail_fini(&mail);
    return rc;
}
