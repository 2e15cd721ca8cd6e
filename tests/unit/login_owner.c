#include "login_owner.h"

#include <stdio.h>

static const char with_tls[] = "SCRAM-SHA-256 PLAIN LOGIN";

static void pay(struct login_owner *o)
{
    if (o->owes_challenge) {
        o->owes_challenge = false;
        pn_login_challenge(o->engine, o->challenge);
    } else {
        o->owes_status = false;
        pn_login_said(o->engine, o->status);
    }
}

static void say(struct login_owner *o, enum pn_login_status status)
{
    o->status = status;
    o->owes_status = true;
    if (!o->late)
        pay(o);
}

static void challenge(struct login_owner *o, struct pn_str bytes)
{
    o->challenge = bytes;
    o->owes_challenge = true;
    if (!o->late)
        pay(o);
}

static void judge(struct login_owner *o, struct pn_str user, struct pn_str password)
{
    static const struct {
        const char *user;
        enum pn_login_status status;
    } rows[] = {{"later", PN_LOGIN_BUSY}, {"shut", PN_LOGIN_SHUT}, {"odd", PN_LOGIN_MALFORMED}};
    o->no_worker = pn_str_eq(user, PN_STR("gone"));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (pn_str_eq(user, pn_str_of(rows[i].user))) {
            say(o, rows[i].status);
            return;
        }
    }
    bool right =
        pn_str_eq(password, PN_STR("pw")) && (o->no_worker || pn_str_eq(user, PN_STR("u")));
    say(o, right ? PN_LOGIN_OK : PN_LOGIN_REFUSED);
}

static void on_password(void *ctx, struct pn_str user, struct pn_str password)
{
    struct login_owner *o = ctx;
    (void)pn_buf_addf(&o->told, "password(%.*s,%.*s) ", PN_FMT(user), PN_FMT(password));
    judge(o, user, password);
}

static void on_message(struct login_owner *o, struct pn_str message)
{
    if (pn_str_eq(pn_str_of(o->mechanism), PN_STR("PLAIN"))) {
        (void)pn_str_split(&message, '\0');
        struct pn_str user = pn_str_split(&message, '\0');
        judge(o, user, message);
    } else if (o->user[0] == '\0') {
        (void)snprintf(o->user, sizeof o->user, "%.*s", PN_FMT(message));
        challenge(o, o->mechanism[0] == 'L' ? PN_STR("Password") : PN_STR("v=last"));
    } else if (o->mechanism[0] == 'L') {
        judge(o, pn_str_of(o->user), message);
    } else {
        say(o, message.len == 0 ? PN_LOGIN_OK : PN_LOGIN_MALFORMED);
    }
}

static void on_sasl(void *ctx, struct pn_str mechanism, bool has_initial, struct pn_str initial)
{
    struct login_owner *o = ctx;
    (void)pn_buf_addf(&o->told, "sasl(%.*s%s) ", PN_FMT(mechanism), has_initial ? ",+" : "");
    (void)snprintf(o->mechanism, sizeof o->mechanism, "%.*s", PN_FMT(mechanism));
    o->user[0] = '\0';
    if (has_initial)
        on_message(o, initial);
    else
        challenge(o, o->mechanism[0] == 'L' ? PN_STR("User Name") : PN_STR(""));
}

static void on_response(void *ctx, struct pn_str message)
{
    struct login_owner *o = ctx;
    (void)pn_buf_addf(&o->told, "response(%zu) ", message.len);
    on_message(o, message);
}

static void on_cancel(void *ctx)
{
    struct login_owner *o = ctx;
    UNIT_TRUE(!o->owes_challenge && !o->owes_status);
    (void)pn_buf_addz(&o->told, "cancel ");
}

static void on_hand_over(void *ctx, struct pn_str tag)
{
    struct login_owner *o = ctx;
    (void)pn_buf_addf(&o->told, "in(%.*s) ", PN_FMT(tag));
    if (o->no_worker)
        say(o, PN_LOGIN_BUSY);
    else
        o->handed = true;
}

static bool on_write(void *ctx, struct pn_str bytes)
{
    struct login_owner *o = ctx;
    UNIT_TRUE(bytes.len != 0 && !o->closed && !o->handed);
    (void)pn_buf_adds(&o->out, bytes);
    return !o->full;
}

static void on_resume(void *ctx)
{
    (void)ctx;
}

static void on_close(void *ctx)
{
    struct login_owner *o = ctx;
    UNIT_TRUE(!o->closed);
    o->closed = true;
}

static void on_tls(void *ctx)
{
    struct login_owner *o = ctx;
    o->tls_due = true;
}

static const struct pn_login_ops ops = {.write = on_write,
                                        .resume = on_resume,
                                        .close = on_close,
                                        .tls = on_tls,
                                        .password = on_password,
                                        .sasl = on_sasl,
                                        .response = on_response,
                                        .cancel = on_cancel,
                                        .hand_over = on_hand_over};

static void take_tls(struct login_owner *o)
{
    o->tls_due = false;
    o->config.mechanisms = pn_str_of(with_tls);
    pn_login_configure(o->engine, &o->config);
    pn_login_tls(o->engine);
}

void login_secure(struct login_owner *o)
{
    take_tls(o);
}

void login_owner_init(struct login_owner *o, enum pn_login_protocol protocol,
                      void (*set)(struct login_owner *o))
{
    *o = (struct login_owner){.config = {.name = PN_STR("mx.test"),
                                         .starttls = true,
                                         .failures_max = 2,
                                         .errors_max = 4,
                                         .commands_max = 12}};
    pn_buf_init(&o->in, 1 << 20);
    pn_buf_init(&o->out, 1 << 20);
    pn_buf_init(&o->told, 1 << 20);
    o->engine = pn_login_new(protocol, &o->config, &ops, o);
    if (set != NULL)
        set(o);
    pn_login_start(o->engine);
    UNIT_TRUE(o->out.len != 0);
    pn_buf_clear(&o->out);
}

void login_owner_fini(struct login_owner *o)
{
    pn_login_free(&o->engine);
    pn_buf_fini(&o->in);
    pn_buf_fini(&o->out);
    pn_buf_fini(&o->told);
}

static void settle(struct login_owner *o)
{
    const struct pn_login_info *info = pn_login_info(o->engine);
    for (;;) {
        if ((o->owes_challenge || o->owes_status) && !o->closed) {
            pay(o);
        } else if (o->tls_due) {
            take_tls(o);
        } else if (o->in.len != 0 && !info->waiting) {
            size_t used = pn_login_input(o->engine, pn_buf_str(&o->in));
            pn_buf_consume(&o->in, used);
            if (used == 0 && !info->waiting)
                break;
        } else {
            break;
        }
    }
    UNIT_TRUE(o->in.len <= PN_LOGIN_INPUT_MAX || info->waiting || o->closed);
}

void login_talk(struct login_owner *o, struct pn_str input, size_t split, size_t step)
{
    size_t at = 0;
    while (at < input.len) {
        size_t stop = pn_str_find(input, '\1', at);
        size_t to = at < split ? split : (step > input.len ? input.len : at + step);
        to = to > input.len ? input.len : to;
        to = stop < to ? stop : to;
        (void)pn_buf_adds(&o->in, pn_str_slice(input, at, to));
        settle(o);
        at = stop == to ? to + 1 : to;
    }
}

static void run(enum pn_login_protocol protocol, const struct login_row *row, bool late,
                size_t split, size_t step)
{
    struct login_owner o;
    login_owner_init(&o, protocol, row->set);
    o.late = late;
    login_talk(&o, row->input, split, step);
    UNIT_STR(pn_buf_str(&o.out), pn_str_of(row->want));
    UNIT_STR(pn_buf_str(&o.told), pn_str_of(row->told == NULL ? "" : row->told));
    UNIT_INT(o.closed, row->closed);
    UNIT_INT(o.handed, row->left != NULL);
    if (row->left != NULL)
        UNIT_STR(pn_buf_str(&o.in), pn_str_of(row->left));
    login_owner_fini(&o);
}

void login_rows(enum pn_login_protocol protocol, const struct login_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct login_row *row = &rows[i];
        unit_row(row->label);
        run(protocol, row, false, 0, SIZE_MAX);
        run(protocol, row, true, 0, SIZE_MAX);
        if (row->whole)
            continue;
        run(protocol, row, false, 0, 1);
        run(protocol, row, true, 0, 1);
        for (size_t split = 1; split < row->input.len && split < 600; split++)
            run(protocol, row, false, split, SIZE_MAX);
    }
}
