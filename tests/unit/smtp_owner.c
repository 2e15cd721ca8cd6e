#include "smtp_owner.h"

#include <stdio.h>

const struct pn_smtp_reply reply_no = {550, {5, 1, 1}, PN_STR_INIT("No such user")};
const struct pn_smtp_reply reply_later = {451, {4, 7, 1}, PN_STR_INIT("Later")};
const struct pn_smtp_reply reply_drop = {521, {5, 7, 1}, PN_STR_INIT("Go away")};
const struct pn_smtp_reply reply_bye = {421, {4, 3, 2}, PN_STR_INIT("Closing")};

static void pay(struct owner *o)
{
    unsigned owed = o->owed--;
    if (o->at_content && o->all_at_once) {
        o->owed = 0;
        pn_smtp_server_answer_rest(o->engine, o->due);
        return;
    }
    if (o->at_content && o->by_turns && owed % 2 != 0) {
        pn_smtp_server_accept(o->engine);
        return;
    }
    if (o->challenge.p != NULL) {
        struct pn_str bytes = o->challenge;
        o->challenge.p = NULL;
        pn_smtp_server_challenge(o->engine, bytes);
    } else if (o->drops)
        pn_smtp_server_drop(o->engine, o->due);
    else if (o->due == NULL)
        pn_smtp_server_accept(o->engine);
    else
        pn_smtp_server_answer(o->engine, o->due);
}

static void give_each(struct owner *o, const struct pn_smtp_reply *reply, unsigned count)
{
    o->due = reply;
    o->drops = false;
    o->at_content = true;
    o->owed = count;
    while (!(o->mode & LATE) && o->owed != 0)
        pay(o);
}

static void give(struct owner *o, const struct pn_smtp_reply *reply, bool drops)
{
    o->due = reply;
    o->at_content = false;
    o->drops = drops;
    o->owed = 1;
    if (!(o->mode & LATE))
        pay(o);
}

/* ---- logins ---- */

static void challenge(struct owner *o, struct pn_str bytes)
{
    o->challenge = bytes;
    give(o, NULL, false);
}

static void check(struct owner *o, struct pn_str user, struct pn_str password)
{
    static const struct pn_smtp_reply wrong = PN_SMTP_REPLY_INIT(535, 5, 7, 8, "Wrong"),
                                      broken = PN_SMTP_REPLY_INIT(454, 4, 7, 0, "Later");
    bool right = pn_str_eq(user, PN_STR("u")) && pn_str_eq(password, PN_STR("pw"));
    o->logins += right;
    give(o, pn_str_eq(user, PN_STR("later")) ? &broken : right ? NULL : &wrong, false);
}

static void plain(struct owner *o, struct pn_str bytes)
{
    (void)pn_str_split(&bytes, '\0');
    struct pn_str user = pn_str_split(&bytes, '\0');
    check(o, user, bytes);
}

/* What the client must say nothing to comes last. */
static void scram(struct owner *o, struct pn_str bytes)
{
    static const struct pn_smtp_reply odd = PN_SMTP_REPLY_INIT(501, 5, 5, 2, "Nothing was due");
    if (o->user[0] == '\0') {
        o->user[0] = 'u';
        challenge(o, PN_STR("v=last words"));
    } else {
        o->logins += bytes.len == 0;
        give(o, bytes.len == 0 ? NULL : &odd, false);
    }
}

static void on_auth_response(void *ctx, struct pn_str response)
{
    struct owner *o = ctx;
    struct pn_str mechanism = pn_str_of(o->mechanism);
    if (pn_str_eq(mechanism, PN_STR("PLAIN"))) {
        plain(o, response);
    } else if (pn_str_eq(mechanism, PN_STR("SCRAM-SHA-256"))) {
        scram(o, response);
    } else if (o->user[0] != '\0') {
        check(o, pn_str_of(o->user), response);
    } else {
        snprintf(o->user, sizeof o->user, "%.*s", PN_FMT(response));
        challenge(o, PN_STR("Password"));
    }
}

static void on_auth(void *ctx, const struct pn_smtp_auth *auth)
{
    struct owner *o = ctx;
    snprintf(o->mechanism, sizeof o->mechanism, "%.*s", PN_FMT(auth->mechanism));
    o->user[0] = '\0';
    if (auth->has_initial)
        on_auth_response(o, auth->initial);
    else
        challenge(o,
                  pn_str_eq(auth->mechanism, PN_STR("LOGIN")) ? PN_STR("User Name") : PN_STR(""));
}

static void on_auth_cancel(void *ctx)
{
    struct owner *o = ctx;
    UNIT_INT(o->owed, 0);
    o->cancelled++;
}

static bool on_write(void *ctx, struct pn_str bytes)
{
    struct owner *o = ctx;
    UNIT_TRUE(bytes.len != 0 && !o->closed);
    (void)pn_buf_adds(&o->replies, bytes);
    o->writes++;
    return !o->full;
}

static void on_resume(void *ctx)
{
    struct owner *o = ctx;
    o->resumed = true;
}

static void on_close(void *ctx)
{
    struct owner *o = ctx;
    UNIT_TRUE(!o->closed);
    o->closed = true;
}

static void on_connect(void *ctx)
{
    struct owner *o = ctx;
    give(o, o->greet, false);
}

static void on_helo(void *ctx, const struct pn_smtp_helo *helo)
{
    give(ctx, pn_str_eq(helo->name, PN_STR("no.test")) ? &reply_no : NULL, false);
}

static void decide(struct owner *o, struct pn_str local)
{
    if (pn_str_eq(local, PN_STR("no")))
        give(o, &reply_no, false);
    else if (pn_str_eq(local, PN_STR("later")))
        give(o, &reply_later, false);
    else
        give(o, pn_str_eq(local, PN_STR("drop")) ? &reply_drop : NULL,
             pn_str_eq(local, PN_STR("drop")));
}

static void on_mail(void *ctx, const struct pn_smtp_mail *mail)
{
    struct owner *o = ctx;
    snprintf(o->from, sizeof o->from, "%.*s%s%s", PN_FMT(mail->from.address),
             mail->body_8bit ? "+8" : "", mail->smtputf8 ? "+u" : "");
    size_t n = strlen(o->from);
    if (mail->dsn.ret != 0 || mail->dsn.envid.len != 0)
        snprintf(o->from + n, sizeof o->from - n, " %s %.*s", pn_smtp_ret_name(mail->dsn.ret),
                 PN_FMT(mail->dsn.envid));
    o->to[0] = '\0';
    decide(o, mail->from.local);
}

static void put_dsn(struct pn_buf *b, const struct pn_smtp_dsn_rcpt *dsn)
{
    if (dsn->notify == 0 && dsn->orcpt.len == 0)
        return;
    (void)pn_buf_addc(b, ' ');
    pn_smtp_notify_put(b, dsn->notify);
    (void)pn_buf_addf(b, " %.*s", PN_FMT(dsn->orcpt));
}

static void on_rcpt(void *ctx, const struct pn_smtp_rcpt *rcpt)
{
    struct owner *o = ctx;
    size_t n = strlen(o->to);
    struct pn_buf dsn;
    pn_buf_init(&dsn, 1000);
    put_dsn(&dsn, &rcpt->dsn);
    if (!pn_str_eq(rcpt->to.local, PN_STR("no")) && !pn_str_eq(rcpt->to.local, PN_STR("later")))
        snprintf(o->to + n, sizeof o->to - n, "%.*s%s,", PN_FMT(rcpt->to.address),
                 pn_buf_cstr(&dsn));
    pn_buf_fini(&dsn);
    decide(o, rcpt->to.local);
}

static void on_data(void *ctx)
{
    struct owner *o = ctx;
    pn_buf_clear(&o->content);
    give(o, o->refuse_data ? &reply_later : NULL, false);
}

static void on_content(void *ctx)
{
    struct owner *o = ctx;
    UNIT_INT(pn_smtp_server_info(o->engine)->size, o->content.len);
    (void)pn_buf_addf(&o->mail, "%s|%s|%.*s;", o->from, o->to, PN_FMT(o->content));
    give_each(o, o->verdict, o->config.lmtp ? pn_smtp_server_info(o->engine)->rcpts : 1);
}

static void on_starttls(void *ctx)
{
    give(ctx, NULL, false);
}

static void on_tls(void *ctx)
{
    struct owner *o = ctx;
    o->tls_due = true;
}

static char *on_reserve(void *ctx, size_t n)
{
    struct owner *o = ctx;
    return o->content.len >= o->room ? NULL : pn_buf_reserve(&o->content, n);
}

static void on_commit(void *ctx, size_t n)
{
    struct owner *o = ctx;
    o->content.len += n;
}

static void on_done(void *ctx)
{
    struct owner *o = ctx;
    o->dones++;
}

static void on_unknown(void *ctx, struct pn_str line)
{
    struct owner *o = ctx;
    (void)pn_buf_adds(&o->unknown, line);
    (void)pn_buf_addc(&o->unknown, '|');
}

static void on_refused(void *ctx, struct pn_str command, const struct pn_smtp_reply *reply)
{
    struct owner *o = ctx;
    (void)command;
    UNIT_TRUE(pn_smtp_reply_check(reply) == NULL && reply->code >= 400);
    o->refusals++;
}

static const struct pn_smtp_server_ops ops = {
    .write = on_write,
    .resume = on_resume,
    .close = on_close,
    .connect = on_connect,
    .helo = on_helo,
    .mail = on_mail,
    .rcpt = on_rcpt,
    .data = on_data,
    .content = on_content,
    .starttls = on_starttls,
    .tls = on_tls,
    .auth = on_auth,
    .auth_response = on_auth_response,
    .auth_cancel = on_auth_cancel,
    .reserve = on_reserve,
    .commit = on_commit,
    .done = on_done,
    .unknown = on_unknown,
    .refused = on_refused,
};

void owner_init(struct owner *o, unsigned mode)
{
    *o = (struct owner){.mode = mode, .room = SIZE_MAX};
    o->config = (struct pn_smtp_server_config){
        .name = PN_STR("mx.here.test"),
        .banner = PN_STR("Postern"),
        .size_max = 1000,
        .rcpt_max = 3,
        .mail_max = 4,
        .error_max = 5,
        .unknown_max = 2,
        .idle_max = 6,
        .auth_max = 2,
        .starttls = true,
        .dsn = true,
    };
    pn_buf_init(&o->in, 1 << 20);
    pn_buf_init(&o->replies, 1 << 20);
    pn_buf_init(&o->mail, 1 << 20);
    pn_buf_init(&o->unknown, REPLIES_MAX);
    pn_buf_init(&o->content, 1 << 20);
    o->engine = pn_smtp_server_new(&o->config, &ops, o);
}

void owner_fini(struct owner *o)
{
    pn_smtp_server_free(&o->engine);
    pn_buf_fini(&o->in);
    pn_buf_fini(&o->replies);
    pn_buf_fini(&o->mail);
    pn_buf_fini(&o->unknown);
    pn_buf_fini(&o->content);
}

void settle(struct owner *o)
{
    for (;;) {
        const struct pn_smtp_server_info *info = pn_smtp_server_info(o->engine);
        if (o->owed != 0 && !o->closed) {
            pay(o);
        } else if (o->tls_due) {
            o->tls_due = false;
            UNIT_INT(o->in.len, 0);
            pn_smtp_server_tls(o->engine);
        } else if (o->in.len != 0 && !info->waiting) {
            size_t used = pn_smtp_server_input(o->engine, pn_buf_str(&o->in));
            pn_buf_consume(&o->in, used);
            if (used == 0 && !pn_smtp_server_info(o->engine)->waiting)
                break;
        } else {
            break;
        }
    }
    UNIT_TRUE(o->in.len <= PN_SMTP_AUTH_LINE_MAX || o->closed);
    UNIT_TRUE(o->in.len <= PN_SMTP_LINE_MAX || o->closed || o->config.auth.len != 0);
}

void talk(struct owner *o, struct pn_str input, size_t split, size_t step)
{
    size_t at = 0;
    while (at < input.len) {
        size_t stop = pn_str_find(input, '\1', at);
        size_t to = at < split ? split : (step > input.len ? input.len : at + step);
        if (to > input.len)
            to = input.len;
        if (stop < to)
            to = stop;
        (void)pn_buf_adds(&o->in, pn_str_slice(input, at, to));
        settle(o);
        at = stop == to ? to + 1 : to;
    }
}

void codes(struct owner *o, size_t from, struct pn_buf *out)
{
    struct pn_str rest = pn_str_slice(pn_buf_str(&o->replies), from, o->replies.len);
    struct pn_smtp_reply_reader reader;
    struct pn_smtp_reply reply;
    pn_smtp_reply_reader_init(&reader);
    while (rest.len != 0) {
        int got = pn_smtp_reply_next(&reader, &rest, &reply);
        UNIT_INT(got, 1);
        if (got != 1)
            break;
        reply.text.len = 0;
        /* The tables say OK for all three; test_codes tells them apart. */
        if (reply.code == 250 && reply.status.x != 0)
            reply.status.y = reply.status.z = 0;
        pn_smtp_reply_print(out, &reply);
        (void)pn_buf_addc(out, '|');
    }
    pn_smtp_reply_reader_fini(&reader);
}

static void run_once(const struct dialogue *d, unsigned mode, size_t split, size_t step)
{
    struct owner o;
    struct pn_buf got;
    owner_init(&o, mode);
    if (d->set != NULL)
        d->set(&o);
    pn_buf_init(&got, REPLIES_MAX);
    pn_smtp_server_start(o.engine);
    settle(&o);
    size_t greeted = o.replies.len;
    talk(&o, d->input, split, step);
    codes(&o, greeted, &got);
    UNIT_STR(pn_buf_str(&got), pn_str_of(d->want));
    UNIT_STR(pn_buf_str(&o.mail), pn_str_of(d->mail == NULL ? "" : d->mail));
    UNIT_INT(o.closed, d->closed);
    /* Nothing begun is left open but by the dialogue's end. */
    UNIT_INT(o.dones + pn_smtp_server_info(o.engine)->mail, pn_smtp_server_info(o.engine)->mails);
    pn_buf_fini(&got);
    owner_fini(&o);
}

void run(const struct dialogue *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unit_row(rows[i].label);
        run_once(&rows[i], 0, 0, SIZE_MAX);
        run_once(&rows[i], LATE, 0, SIZE_MAX);
        run_once(&rows[i], 0, 0, 1);
        run_once(&rows[i], LATE, 0, 1);
        for (size_t split = 1; split < rows[i].input.len && split < 600; split++)
            run_once(&rows[i], split % 2 ? LATE : 0, split, SIZE_MAX);
    }
}
