#include "login.h"

#include "log.h"
#include "mem.h"
#include "records.h"

#include <stdlib.h>

enum { BUCKETS = 256, NS_PER_MS = 1000 * 1000, KEPT_PART = 4 };

enum state { CLIENT, HASHING, PASSING, LATE };

struct login {
    struct pn_job job; /* first: it is the job */
    struct login *next;
    struct auth_desk *desk; /* NULL: cancelled, and it hashes yet */
    struct auth_house *house;
    struct pn_sasl_begin begin; /* without its message; session is the next field */
    char session[PN_SASL_SESSION_MAX];
    struct auth_exchange *exchange;
    struct pn_timer *timer;
    struct auth_ticket ticket;
    struct auth_pass *pass; /* PASSING */
    enum state state;
    enum pn_sasl_status outcome; /* LATE */
    bool asked;                  /* the guard */
    bool holding;                /* the ticket */
    bool known;
    bool right; /* the password, once it was hashed */
};

struct auth_desk {
    struct auth_house *house;
    struct pn_channel *channel; /* borrowed */
    size_t count;
    struct login *buckets[BUCKETS];
};

/* ---- where logins are */

static struct login **place_of(struct auth_desk *desk, uint64_t id)
{
    struct login **at = &desk->buckets[(id ^ id >> 32) % BUCKETS];
    while (*at != NULL && (*at)->begin.id != id)
        at = &(*at)->next;
    return at;
}

static void take_out(struct login *l)
{
    if (l->desk == NULL)
        return;
    *place_of(l->desk, l->begin.id) = l->next;
    l->desk->count--;
    l->desk = NULL;
}

static void login_free(struct login *l)
{
    take_out(l);
    if (l->holding)
        auth_guard_dropped(l->house->guard, &l->ticket);
    l->house->open--;
    pn_timer_free(&l->timer);
    auth_passes_forget(&l->pass);
    auth_exchange_free(&l->exchange);
    explicit_bzero(l, sizeof *l);
    free(l);
}

static uint64_t now_ms(const struct login *l)
{
    return pn_loop_now(l->house->loop) / NS_PER_MS;
}

/* ---- words to the edge */

static void say_to(const struct auth_desk *desk, const struct pn_sasl_said *said)
{
    struct pn_buf b;
    pn_buf_init(&b, PN_RECORD_MAX / 2);
    pn_sasl_said_put(&b, said);
    if (!pn_channel_send(desk->channel, PN_REC_SASL_SAID, pn_buf_str(&b), NULL, 0))
        pn_warn("an edge does not read what it asked for");
    pn_buf_fini(&b);
}

static void say(const struct login *l, enum pn_sasl_status status, struct pn_str message)
{
    const struct pn_sasl_said said = {.id = l->begin.id,
                                      .status = (uint8_t)status,
                                      .message = message,
                                      .user = PN_STR(""),
                                      .senders = PN_STR("")};
    if (l->desk != NULL)
        say_to(l->desk, &said);
}

/* token: what opens his mailbox; NULL: he has no use for one. */
static void say_ok(const struct login *l, const unsigned char *token, uint32_t worker)
{
    const struct pn_sasl_said said = {
        .id = l->begin.id,
        .status = PN_SASL_OK,
        .message = PN_STR(""),
        .user = auth_exchange_name(l->exchange),
        .senders = auth_user_senders(auth_exchange_user(l->exchange)),
        .token = {(const char *)token, token == NULL ? 0 : PN_PASS_TOKEN},
        .worker = worker};
    if (l->desk != NULL)
        say_to(l->desk, &said);
}

static void tell(const struct login *l, enum pn_sasl_status status, const char *why)
{
    const struct auth_outcome outcome = {
        .status = status, .begin = &l->begin, .name = auth_exchange_name(l->exchange), .why = why};
    l->house->on_outcome(l->house->ctx, &outcome);
}

/* Before the client hears of it no password is left. */
static void end_with(struct login *l, enum pn_sasl_status status, const char *why)
{
    auth_exchange_wipe(l->exchange);
    tell(l, status, why);
    say(l, status, PN_STR(""));
    login_free(l);
}

/* ---- outcomes */

static void on_timer(void *arg)
{
    struct login *l = arg;
    if (l->state == LATE)
        say(l, l->outcome, PN_STR(""));
    login_free(l);
}

static struct pn_str account_of(const struct login *l)
{
    struct pn_str name = auth_exchange_name(l->exchange);
    return name.len != 0 ? name : auth_exchange_claim(l->exchange);
}

static void let_in(struct login *l, const unsigned char *token, uint32_t worker)
{
    auth_exchange_wipe(l->exchange);
    tell(l, PN_SASL_OK, "");
    say_ok(l, token, worker);
    login_free(l);
}

static void on_pass(void *ctx, const unsigned char *token, uint32_t worker)
{
    struct login *l = ctx;
    l->pass = NULL;
    if (token == NULL)
        end_with(l, PN_SASL_BUSY, "mailbox");
    else
        let_in(l, token, worker);
}

static bool opens_mailbox(const struct login *l)
{
    return l->begin.service == PN_SASL_IMAP || l->begin.service == PN_SASL_POP3;
}

static void pass(struct login *l)
{
    const struct auth_house *house = l->house;
    if (l->holding)
        auth_guard_passed(house->guard, &l->ticket, now_ms(l));
    l->holding = false;
    if (!opens_mailbox(l) || l->desk == NULL) {
        let_in(l, NULL, 0);
        return;
    }
    l->state = PASSING;
    pn_timer_clear(l->timer);
    if (house->passes != NULL)
        l->pass = auth_passes_ask(house->passes, house->settings.mailboxes,
                                  (enum pn_sasl_service)l->begin.service,
                                  auth_exchange_name(l->exchange), on_pass, l);
    if (l->pass == NULL)
        end_with(l, PN_SASL_BUSY, "mailbox");
}

static void fail(struct login *l, enum pn_sasl_status status)
{
    uint32_t late_ms = 0;
    if (l->holding)
        late_ms =
            auth_guard_failed(l->house->guard, &l->house->settings.rules, &l->ticket, now_ms(l));
    l->holding = false;
    if (late_ms == 0 || l->desk == NULL) {
        end_with(l, status, auth_exchange_why(l->exchange));
        return;
    }
    auth_exchange_wipe(l->exchange);
    tell(l, status, auth_exchange_why(l->exchange));
    l->state = LATE;
    l->outcome = status;
    pn_timer_set(l->timer, late_ms);
}

/* ---- passwords */

static void hash(struct pn_job *job)
{
    struct login *l = (struct login *)job;
    const struct pn_user *user = auth_exchange_user(l->exchange);
    const struct pn_password *password = auth_exchange_password(l->exchange);
    struct pn_str verifier = user == NULL ? auth_sasl_nobody(l->house->sasl) : user->yescrypt;
    l->right = password != NULL && pn_password_is_yescrypt(password, verifier) && user != NULL;
}

static void hashed(struct pn_job *job)
{
    struct login *l = (struct login *)job;
    const struct pn_password *password = auth_exchange_password(l->exchange);
    if (!l->right && password != NULL)
        auth_guard_print(l->house->guard, &l->ticket, account_of(l),
                         (struct pn_str){password->bytes, password->len});
    if (l->right)
        pass(l);
    else
        fail(l, PN_SASL_REFUSED);
}

/* Strangers leave a part of the room to those who were here before. */
static bool has_room(const struct login *l)
{
    const struct auth_settings *set = &l->house->settings;
    unsigned room = l->known ? set->waiting : set->waiting - set->waiting / KEPT_PART;
    return pn_threads_busy(l->house->threads) < set->threads + (size_t)room;
}

static void check_password(struct login *l)
{
    if (!has_room(l)) {
        end_with(l, PN_SASL_BUSY, "waiting");
        return;
    }
    l->state = HASHING;
    pn_timer_clear(l->timer);
    l->job = (struct pn_job){.run = hash, .done = hashed};
    pn_threads_submit(l->house->threads, &l->job);
}

/* ---- steps */

/* False: it ended. */
static bool ask_guard(struct login *l)
{
    const struct auth_settings *set = &l->house->settings;
    if (l->asked || !auth_exchange_named(l->exchange))
        return true;
    l->asked = true;
    bool shared = auth_settings_shared(set, &l->begin.ip);
    enum auth_word word = auth_guard_ask(l->house->guard, &set->rules, &l->begin.ip, !shared,
                                         account_of(l), now_ms(l), &l->ticket, &l->known);
    l->holding = word == AUTH_GO;
    if (word == AUTH_LATER)
        end_with(l, PN_SASL_BUSY, "many");
    else if (word == AUTH_SHUT)
        end_with(l, PN_SASL_SHUT, "failures");
    return word == AUTH_GO;
}

static void go_on(struct login *l, enum auth_step step, struct pn_str challenge)
{
    switch (step) {
    case AUTH_CHALLENGE:
    case AUTH_PROVED:
        l->state = CLIENT;
        pn_timer_set(l->timer, PN_SASL_SILENT_MS);
        say(l, PN_SASL_CHALLENGE, challenge);
        return;
    case AUTH_PASSWORD:
        check_password(l);
        return;
    case AUTH_OK:
        pass(l);
        return;
    case AUTH_REFUSED:
        fail(l, PN_SASL_REFUSED);
        return;
    case AUTH_MALFORMED:
        fail(l, PN_SASL_MALFORMED);
        return;
    }
}

static void advance(struct login *l, bool has_message, struct pn_str message)
{
    struct pn_buf out;
    pn_buf_init(&out, PN_SASL_MESSAGE_MAX);
    enum auth_step step = auth_exchange_step(l->exchange, has_message, message, &out);
    if (ask_guard(l))
        go_on(l, step, pn_buf_str(&out));
    pn_buf_fini(&out);
}

/* ---- a desk */

struct auth_desk *auth_desk_new(struct auth_house *house, struct pn_channel *channel)
{
    struct auth_desk *desk = pn_calloc(1, sizeof *desk);
    desk->house = house;
    desk->channel = channel;
    return desk;
}

static void drop(struct login *l)
{
    if (l->state == HASHING)
        take_out(l);
    else
        login_free(l);
}

void auth_desk_free(struct auth_desk **desk)
{
    struct auth_desk *d = *desk;
    *desk = NULL;
    if (d == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (d->buckets[i] != NULL)
            drop(d->buckets[i]);
    free(d);
}

static struct login *login_new(struct auth_desk *desk, const struct pn_sasl_begin *begin)
{
    struct auth_house *house = desk->house;
    struct auth_exchange *exchange = auth_exchange_new(
        house->sasl, (enum pn_sasl_mechanism)begin->mechanism, begin->exporter, house->users);
    if (exchange == NULL)
        return NULL;
    struct login *l = pn_calloc(1, sizeof *l);
    *l = (struct login){.desk = desk, .house = house, .begin = *begin, .exchange = exchange};
    memcpy(l->session, begin->session.p, begin->session.len);
    l->begin.session.p = l->session;
    l->begin.initial = l->begin.exporter = PN_STR("");
    l->timer = pn_timer_new(house->loop, on_timer, l);
    struct login **at = place_of(desk, begin->id);
    *at = l;
    desk->count++;
    house->open++;
    return l;
}

/* Not even begun. */
static void turn_away(const struct auth_desk *desk, const struct pn_sasl_begin *begin,
                      enum pn_sasl_status status, const char *why)
{
    struct pn_sasl_begin bare = *begin;
    bare.initial = bare.exporter = PN_STR("");
    const struct auth_outcome outcome = {
        .status = status, .begin = &bare, .name = PN_STR(""), .why = why};
    const struct pn_sasl_said said = {.id = begin->id,
                                      .status = (uint8_t)status,
                                      .message = PN_STR(""),
                                      .user = PN_STR(""),
                                      .senders = PN_STR("")};
    desk->house->on_outcome(desk->house->ctx, &outcome);
    say_to(desk, &said);
}

bool auth_desk_begin(struct auth_desk *desk, const struct pn_sasl_begin *begin)
{
    if (*place_of(desk, begin->id) != NULL)
        return false;
    struct login *l = NULL;
    bool plain = pn_sasl_plain_ok((enum pn_sasl_service)begin->service, &begin->ip,
                                  desk->house->settings.plain_login);
    if (!pn_sasl_mechanism_fits((enum pn_sasl_mechanism)begin->mechanism, begin->tls || plain,
                                begin->exporter.len != 0))
        turn_away(desk, begin, PN_SASL_REFUSED, "tls");
    else if (desk->house->users == NULL)
        turn_away(desk, begin, PN_SASL_BUSY, "users-file");
    else if (desk->count >= PN_SASL_OPEN_MAX)
        turn_away(desk, begin, PN_SASL_BUSY, "many");
    else if ((l = login_new(desk, begin)) == NULL)
        turn_away(desk, begin, PN_SASL_BUSY, "library");
    else
        advance(l, begin->has_initial, begin->initial);
    return true;
}

bool auth_desk_answer(struct auth_desk *desk, const struct pn_sasl_answer *answer)
{
    struct login *l = *place_of(desk, answer->id);
    if (l == NULL)
        return true;
    if (l->state != CLIENT)
        return false;
    advance(l, true, answer->message);
    return true;
}

void auth_desk_cancel(struct auth_desk *desk, uint64_t id)
{
    struct login *l = *place_of(desk, id);
    if (l != NULL)
        drop(l);
}
