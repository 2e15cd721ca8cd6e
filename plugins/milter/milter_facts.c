/* What milters answered, as facts; and what they are told of the session. */
#include "milter_session.h"

#include <stdio.h>
#include <string.h>

/* What is left for the core to write down what was found. */
enum { MARGIN_MS = 100, DETAIL_MAX = 400 };

/* ---- saying what was found */

/* A stranger's words: what is no printable UTF-8 is '?'. */
static struct postern_str fit(char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = milter_character(text + i, len - i);
        bool control =
            (unsigned char)text[i] < ' ' || text[i] == 0x7f ||
            (n == 2 && (unsigned char)text[i] == 0xc2 && (unsigned char)text[i + 1] < 0xa0);

        if (n == 0 || control)
            memset(text + i, '?', n == 0 ? 1 : n);
        i += n == 0 ? 1 : n;
    }
    return (struct postern_str){text, len};
}

int milter_state(struct postern_call *c, enum milter_symbol symbol,
                 const struct milter_server *server, struct postern_str text)
{
    char detail[DETAIL_MAX];
    int n = snprintf(detail, sizeof(detail), "%.*s%s%.*s", (int)server->name.len, server->name.p,
                     text.len == 0 ? "" : ": ", (int)(text.len < 300 ? text.len : 300), text.p);

    return c->host->fact(c, symbol, fit(detail, n < 0 ? 0 : strlen(detail)));
}

int milter_state_for(struct postern_call *c, size_t rcpt, enum milter_symbol symbol,
                     const struct milter_talk *talk)
{
    char detail[DETAIL_MAX];
    int n = snprintf(detail, sizeof(detail), "%.*s%s%.*s", (int)talk->server->name.len,
                     talk->server->name.p, talk->reply.len == 0 ? "" : ": ", (int)talk->reply.len,
                     talk->reply.p);

    return c->host->fact_for(c, rcpt, symbol, fit(detail, n < 0 ? 0 : strlen(detail)));
}

/* What stands for its answer is said as if it had answered so. */
int milter_state_away(struct postern_call *c, const struct milter_talk *talk)
{
    static const int instead[] = {[MILTER_FAIL_DEFER] = MILTER_SYM_TEMPFAIL,
                                  [MILTER_FAIL_SKIP] = -1,
                                  [MILTER_FAIL_QUARANTINE] = MILTER_SYM_QUARANTINE,
                                  [MILTER_FAIL_REJECT] = MILTER_SYM_REJECT};
    const int symbol = instead[talk->server->on_failure];
    char text[300];
    int n = snprintf(text, sizeof(text), "%s: %s%s%s", talk->at, talk->why,
                     talk->error == 0 ? "" : ", ", talk->error == 0 ? "" : strerror(talk->error));
    int rc;

    rc = milter_state(c, MILTER_SYM_AWAY, talk->server,
                      (struct postern_str){text, n < 0 ? 0 : strlen(text)});
    if (rc != POSTERN_OK || symbol < 0)
        return rc;
    return milter_state(c, (enum milter_symbol)symbol, talk->server, POSTERN_STR(""));
}

int milter_state_refused(struct postern_call *c, const struct milter_server *server,
                         const char *what, struct postern_str about)
{
    char text[200];

    (void)snprintf(text, sizeof(text), "%s%s%.*s", what, about.len == 0 ? "" : " ",
                   (int)(about.len < 100 ? about.len : 100), about.p);
    return milter_state(c, MILTER_SYM_EDIT_REFUSED, server,
                        (struct postern_str){text, strlen(text)});
}

void milter_note_failure(struct postern_call *c, struct milter_talk *talk)
{
    char line[400];

    if (talk->alone || talk->cut_short || talk->counted)
        return;
    talk->counted = c->stage < POSTERN_MAIL;
    if (!milter_server_bad(talk->server, milter_now_ms()))
        return;
    (void)snprintf(line, sizeof(line), "%.*s: %s: %s%s%s; it is left alone for %lld ms",
                   (int)talk->server->name.len, talk->server->name.p, talk->at, talk->why,
                   talk->error == 0 ? "" : ", ", talk->error == 0 ? "" : strerror(talk->error),
                   (long long)talk->server->pause_ms);
    c->host->log(c, POSTERN_LOG_WARN, (struct postern_str){line, strlen(line)});
}

/* An answer that ends the milter's part, before its last word. over: of what. */
int milter_heed(struct postern_call *c, struct milter_talk *talk, enum milter_answer answer,
                enum milter_over over)
{
    switch (answer) {
    case MILTER_ACCEPTS:
        talk->over = over;
        return milter_state(c, MILTER_SYM_ACCEPT, talk->server, POSTERN_STR(""));
    case MILTER_REJECTS:
        talk->over = over;
        return milter_state(c, MILTER_SYM_REJECT, talk->server, talk->reply);
    case MILTER_DEFERS:
        talk->over = over;
        return milter_state(c, MILTER_SYM_TEMPFAIL, talk->server, talk->reply);
    case MILTER_DISCARDS:
        talk->over = over;
        return milter_state(c, MILTER_SYM_DISCARD, talk->server, POSTERN_STR(""));
    case MILTER_FAILED:
        milter_note_failure(c, talk);
        return over == MILTER_OVER_MAIL ? milter_state_away(c, talk) : POSTERN_OK;
    default:
        return POSTERN_OK;
    }
}

/* ---- what is known */

/* Where it connected to, and how. */
static void fill_connection(const struct postern_client *client, struct milter_about *about)
{
    about->tls_version = client->tls_version;
    about->cipher = client->tls_cipher;
    if (client->tls_bits != 0) {
        (void)snprintf(about->bits_room, sizeof(about->bits_room), "%u", client->tls_bits);
        about->cipher_bits = milter_text(about->bits_room);
    }
    if (client->local_port == 0)
        return;
    (void)snprintf(about->port_room, sizeof(about->port_room), "%u", client->local_port);
    about->daemon_port = milter_text(about->port_room);
    about->if_addr = client->local_ip_text;
    about->if_name = client->hostname;
}

void milter_about_fill(struct postern_call *c, struct milter_about *about)
{
    const struct milter_session *s = c->session;
    const struct postern_client *client = c->host->client(c);
    const struct postern_envelope *envelope =
        c->stage >= POSTERN_MAIL ? c->host->envelope(c) : NULL;

    *about = (struct milter_about){.hostname = client->hostname,
                                   .daemon = POSTERN_STR("postern"),
                                   .version = POSTERN_STR("Postern"),
                                   .client = milter_text(s->client.both),
                                   .client_addr = client->ip_text,
                                   .client_name = milter_text(s->client.name),
                                   .client_ptr = milter_text(s->client.ptr),
                                   .client_port = milter_text(s->client.port),
                                   .client_resolve = milter_text(s->client.resolve),
                                   .helo = client->helo,
                                   .auth_id = client->auth_id};
    fill_connection(client, about);
    if (envelope == NULL)
        return;
    about->mail_args = envelope->mail_args;
    about->id = c->host->id(c);
    about->from = envelope->from;
}

/* Is this server asked at this stage? Its talk gets the call's end in time. */
bool milter_is_asked(struct postern_call *c, struct milter_talk *talk)
{
    uint32_t left = c->host->left_ms(c);

    talk->until = milter_now_ms() + (left > MARGIN_MS ? left - MARGIN_MS : 0);
    return talk->over == MILTER_ASKED && talk->channel != NULL;
}
