/* The commands: one row each, and the words of EHLO. */
#include "assert.h"
#include "server_int.h"

#include <inttypes.h>

#define REPLY(name, code, x, y, z, text)                                                           \
    static const struct pn_smtp_reply name = PN_SMTP_REPLY_INIT(code, x, y, z, text)

REPLY(ok, 250, 2, 0, 0, "Ok");
REPLY(sender_ok, 250, 2, 1, 0, "Sender ok");
REPLY(rcpt_ok, 250, 2, 1, 5, "Recipient ok");
REPLY(bad_syntax, 500, 5, 5, 2, "Syntax error");
REPLY(bad_helo, 501, 5, 5, 4, "A domain name or address literal must follow");
REPLY(bad_sender, 501, 5, 1, 7, "Bad sender address");
REPLY(bad_sender_domain, 501, 5, 1, 8, "Bad domain in the sender's address");
REPLY(long_sender, 501, 5, 1, 7, "Sender address too long");
REPLY(bad_rcpt, 501, 5, 1, 3, "Bad recipient address");
REPLY(bad_rcpt_domain, 501, 5, 1, 2, "Bad domain in the recipient's address");
REPLY(long_rcpt, 501, 5, 1, 3, "Recipient address too long");
REPLY(need_utf8, 553, 5, 6, 7, "Addresses beyond ASCII need MAIL with SMTPUTF8");
REPLY(bad_param, 501, 5, 5, 4, "Bad parameter");
REPLY(unknown_param, 555, 5, 5, 4, "Parameter not recognized");
REPLY(too_large, 552, 5, 3, 4, "Message too large");
REPLY(too_many_mails, 421, 4, 7, 0, "Too many messages in this session; come back with a new one");
REPLY(too_many_rcpts, 452, 4, 5, 3, "Too many recipients");
REPLY(no_rcpts, 503, 5, 5, 1, "Give RCPT first");
REPLY(lmtp_no_rcpts, 503, 5, 5, 1, "No valid recipients"); /* RFC 2033, section 4.2 */
REPLY(no_good_rcpts, 554, 5, 5, 1, "No valid recipients");
REPLY(mixed_data, 503, 5, 5, 1, "Its content was begun with BDAT; give RSET first");
REPLY(failed_bdat, 503, 5, 5, 1, "An earlier chunk was refused; give RSET first");
REPLY(bad_bdat, 501, 5, 5, 4, "Bad chunk size; closing");
REPLY(no_tls, 502, 5, 5, 1, "STARTTLS is not available");
REPLY(tls_already, 503, 5, 5, 1, "TLS is on already");
REPLY(tls_not_last, 501, 5, 5, 4, "Nothing may follow STARTTLS before the handshake");
REPLY(no_vrfy_arg, 501, 5, 5, 4, "A name or an address must follow");
REPLY(no_expn, 502, 5, 5, 1, "EXPN is not available");
REPLY(go_data, 354, 0, 0, 0, "End with <CR><LF>.<CR><LF>");
REPLY(go_tls, 220, 2, 0, 0, "Go on with TLS");
REPLY(bye, 221, 2, 0, 0, "Bye");
REPLY(vrfy_answer, 252, 2, 5, 0, "Send some mail and see");
#define COMMANDS "Commands: EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP STARTTLS"
REPLY(help_answer, 214, 2, 0, 0, COMMANDS " QUIT");
REPLY(help_login, 214, 2, 0, 0, COMMANDS " AUTH QUIT");
REPLY(help_lmtp, 214, 2, 0, 0,
      "Commands: LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP STARTTLS QUIT");

/* ---- greeting */

static void stage_connect(struct pn_smtp_server *s, const struct smtp_args *args)
{
    (void)args;
    s->ops->connect(s->ctx);
}

static void proceed_connect(struct pn_smtp_server *s, const struct pn_smtp_reply *answer)
{
    struct pn_buf text;
    (void)answer;
    pn_buf_init(&text, PN_SMTP_REPLY_MAX);
    (void)pn_buf_addf(&text, "%.*s %s", PN_FMT(s->config->name),
                      s->config->lmtp ? "LMTP" : "ESMTP");
    if (s->config->banner.len != 0)
        (void)pn_buf_addf(&text, " %.*s", PN_FMT(s->config->banner));
    smtp_reply(s, &(struct pn_smtp_reply){220, {0}, pn_buf_str(&text)});
    pn_buf_fini(&text);
    s->info.greeted = true;
}

const struct smtp_command smtp_greeting = {
    .name = PN_STR_INIT("CONNECT"), .stage = stage_connect, .proceed = proceed_connect};

/* ---- EHLO, LHLO, HELO */

static bool always(const struct pn_smtp_server *s)
{
    (void)s;
    return true;
}

static bool can_tls(const struct pn_smtp_server *s)
{
    return s->config->starttls && !s->info.tls;
}

static bool can_dsn(const struct pn_smtp_server *s)
{
    return s->config->dsn;
}

static void size_args(const struct pn_smtp_server *s, struct pn_buf *out)
{
    (void)pn_buf_addf(out, " %" PRIu64, s->config->size_max);
}

static void limits_args(const struct pn_smtp_server *s, struct pn_buf *out)
{
    (void)pn_buf_addf(out, " MAILMAX=%u RCPTMAX=%u", s->config->mail_max, s->config->rcpt_max);
}

/* Announce nothing that is not whole: each has tests of its name. */
static const struct {
    const char *word;
    bool (*offered)(const struct pn_smtp_server *s);
    void (*args)(const struct pn_smtp_server *s, struct pn_buf *out);
} words[] = {
    {"PIPELINING", always, NULL},    {"SIZE", always, size_args},
    {"8BITMIME", always, NULL},      {"SMTPUTF8", always, NULL},
    {"CHUNKING", always, NULL},      {"ENHANCEDSTATUSCODES", always, NULL},
    {"DSN", can_dsn, NULL},          {"STARTTLS", can_tls, NULL},
    {"LIMITS", always, limits_args}, {"AUTH", smtp_auth_offered, smtp_auth_args},
};

const char *pn_smtp_server_word(size_t i)
{
    return i < sizeof words / sizeof words[0] ? words[i].word : NULL;
}

static const struct pn_smtp_reply *check_hello(struct pn_smtp_server *s, struct smtp_args *args,
                                               bool esmtp)
{
    args->helo = (struct pn_smtp_helo){args->line, pn_smtp_helo(args->line), esmtp};
    s->helo_esmtp = esmtp;
    return args->helo.kind == PN_SMTP_HELO_NONE ? &bad_helo : NULL;
}

static const struct pn_smtp_reply *check_helo(struct pn_smtp_server *s, struct smtp_args *args)
{
    return check_hello(s, args, false);
}

static const struct pn_smtp_reply *check_ehlo(struct pn_smtp_server *s, struct smtp_args *args)
{
    return check_hello(s, args, true);
}

static void stage_helo(struct pn_smtp_server *s, const struct smtp_args *args)
{
    s->ops->helo(s->ctx, &args->helo);
}

static void proceed_helo(struct pn_smtp_server *s, const struct pn_smtp_reply *answer)
{
    struct pn_buf text;
    (void)answer;
    /* It also does what RSET does (RFC 5321, section 4.1.4). */
    smtp_transaction_end(s);
    s->info.helo = true;
    s->info.esmtp = s->helo_esmtp;
    pn_buf_init(&text, 4096);
    (void)pn_buf_adds(&text, s->config->name);
    for (size_t i = 0; s->helo_esmtp && i < sizeof words / sizeof words[0]; i++) {
        if (!words[i].offered(s))
            continue;
        (void)pn_buf_addf(&text, "\n%s", words[i].word);
        if (words[i].args != NULL)
            words[i].args(s, &text);
    }
    smtp_reply(s, &(struct pn_smtp_reply){250, {0}, pn_buf_str(&text)});
    pn_buf_fini(&text);
}

/* ---- MAIL */

static bool mail_size(struct pn_smtp_mail *mail, const struct pn_smtp_param *param)
{
    /* RFC 1870, section 6.1: up to 20 digits, which may say more than 64 bits hold. */
    if (pn_str_u64(param->value, UINT64_MAX, &mail->size))
        return true;
    mail->size = UINT64_MAX;
    for (size_t i = 0; i < param->value.len; i++)
        if (!pn_is_digit(param->value.p[i]))
            return false;
    return param->value.len != 0 && param->value.len <= 20;
}

static bool mail_body(struct pn_smtp_mail *mail, const struct pn_smtp_param *param)
{
    mail->body_8bit = pn_str_ieq(param->value, PN_STR("8BITMIME"));
    return mail->body_8bit || pn_str_ieq(param->value, PN_STR("7BIT"));
}

static bool mail_utf8(struct pn_smtp_mail *mail, const struct pn_smtp_param *param)
{
    mail->smtputf8 = true;
    return !param->has_value;
}

static bool mail_ret(struct pn_smtp_mail *mail, const struct pn_smtp_param *param)
{
    return pn_smtp_ret_parse(param->value, &mail->dsn.ret);
}

static bool mail_envid(struct pn_smtp_mail *mail, const struct pn_smtp_param *param)
{
    mail->dsn.envid = param->value;
    return pn_smtp_envid_ok(param->value);
}

static bool mail_auth(struct pn_smtp_mail *mail, const struct pn_smtp_param *param)
{
    mail->auth = true;
    return smtp_auth_param(param->value);
}

static const struct {
    struct pn_str key;
    bool (*take)(struct pn_smtp_mail *mail, const struct pn_smtp_param *param);
    bool dsn; /* of that extension */
} mail_params[] = {
    {PN_STR_INIT("SIZE"), mail_size, false},     {PN_STR_INIT("BODY"), mail_body, false},
    {PN_STR_INIT("SMTPUTF8"), mail_utf8, false}, {PN_STR_INIT("RET"), mail_ret, true},
    {PN_STR_INIT("ENVID"), mail_envid, true},    {PN_STR_INIT("AUTH"), mail_auth, false},
};

static const struct pn_smtp_reply *check_mail_params(const struct pn_smtp_server *s,
                                                     struct pn_str rest, struct pn_smtp_mail *mail)
{
    struct pn_smtp_param param;
    unsigned seen = 0;
    int more;
    while ((more = pn_smtp_param_next(&rest, &param)) > 0) {
        size_t i = 0;
        while (i < sizeof mail_params / sizeof mail_params[0] &&
               !pn_str_ieq(param.key, mail_params[i].key))
            i++;
        if (i == sizeof mail_params / sizeof mail_params[0] ||
            (mail_params[i].dsn && !s->config->dsn))
            return &unknown_param;
        if ((seen & 1U << i) != 0 || !mail_params[i].take(mail, &param))
            return &bad_param;
        seen |= 1U << i;
    }
    return more < 0 ? &bad_param : NULL;
}

/* "FROM:" or "TO:" and at least a byte behind it. */
static bool take_word(struct pn_str *line, struct pn_str word)
{
    if (!pn_str_istarts(*line, word) || line->len == word.len)
        return false;
    *line = pn_str_slice(*line, word.len, line->len);
    return true;
}

static const struct pn_smtp_reply *check_mail(struct pn_smtp_server *s, struct smtp_args *args)
{
    struct pn_str rest = args->line;
    struct pn_smtp_mail *mail = &args->mail;
    if (!take_word(&rest, PN_STR("FROM:")))
        return &bad_syntax;
    switch (pn_smtp_path(&rest, PN_SMTP_REVERSE, &mail->from)) {
    case PN_SMTP_PATH_OK:
        break;
    case PN_SMTP_PATH_LONG:
        return &long_sender;
    case PN_SMTP_PATH_DOMAIN:
        return &bad_sender_domain;
    case PN_SMTP_PATH_SYNTAX:
    case PN_SMTP_PATH_BARE:
        return &bad_sender;
    }
    mail->args = pn_str_trim(rest);
    const struct pn_smtp_reply *no = check_mail_params(s, rest, mail);
    if (no != NULL)
        return no;
    if (mail->auth && !smtp_auth_offered(s))
        return &unknown_param;
    if (mail->from.utf8 && !mail->smtputf8)
        return &need_utf8;
    if (mail->size > s->config->size_max)
        return &too_large;
    s->smtputf8 = mail->smtputf8;
    return s->info.mails >= s->config->mail_max ? &too_many_mails : NULL;
}

static void stage_mail(struct pn_smtp_server *s, const struct smtp_args *args)
{
    s->ops->mail(s->ctx, &args->mail);
}

static void proceed_mail(struct pn_smtp_server *s, const struct pn_smtp_reply *answer)
{
    s->info.mail = true;
    s->info.mails++;
    smtp_reply(s, answer == NULL ? &sender_ok : answer);
}

/* ---- RCPT */

/* NOTIFY and ORCPT, once each: the extensions that are announced give RCPT no other. */
static const struct pn_smtp_reply *check_rcpt_params(const struct pn_smtp_server *s,
                                                     struct pn_str rest, struct pn_smtp_rcpt *rcpt)
{
    struct pn_smtp_param param;
    int more;
    while ((more = pn_smtp_param_next(&rest, &param)) > 0) {
        bool notify = pn_str_ieq(param.key, PN_STR("NOTIFY"));
        if (!s->config->dsn || (!notify && !pn_str_ieq(param.key, PN_STR("ORCPT"))))
            return &unknown_param;
        bool again = notify ? rcpt->dsn.notify != 0 : rcpt->dsn.orcpt.len != 0;
        if (again || !(notify ? pn_smtp_notify_parse(param.value, &rcpt->dsn.notify)
                              : pn_smtp_orcpt_ok(param.value, s->smtputf8)))
            return &bad_param;
        if (!notify)
            rcpt->dsn.orcpt = param.value;
    }
    return more < 0 ? &bad_param : NULL;
}

static const struct pn_smtp_reply *check_rcpt(struct pn_smtp_server *s, struct smtp_args *args)
{
    struct pn_str rest = args->line;
    if (!take_word(&rest, PN_STR("TO:")))
        return &bad_syntax;
    if (s->bdat)
        return &mixed_data;
    switch (pn_smtp_path(&rest, PN_SMTP_FORWARD, &args->rcpt.to)) {
    case PN_SMTP_PATH_OK:
        break;
    case PN_SMTP_PATH_LONG:
        return &long_rcpt;
    case PN_SMTP_PATH_DOMAIN:
        return &bad_rcpt_domain;
    case PN_SMTP_PATH_SYNTAX:
    case PN_SMTP_PATH_BARE:
        return &bad_rcpt;
    }
    const struct pn_smtp_reply *no = check_rcpt_params(s, rest, &args->rcpt);
    if (no != NULL)
        return no;
    if (args->rcpt.to.utf8 && !s->smtputf8)
        return &need_utf8;
    return s->info.rcpts >= s->config->rcpt_max ? &too_many_rcpts : NULL;
}

static void stage_rcpt(struct pn_smtp_server *s, const struct smtp_args *args)
{
    s->ops->rcpt(s->ctx, &args->rcpt);
}

static void proceed_rcpt(struct pn_smtp_server *s, const struct pn_smtp_reply *answer)
{
    s->info.rcpts++;
    smtp_reply(s, answer == NULL ? &rcpt_ok : answer);
}

/* ---- DATA and BDAT */

static const struct pn_smtp_reply *check_rcpts(const struct pn_smtp_server *s)
{
    if (s->info.rcpts != 0)
        return NULL;
    return s->info.rcpts_refused == 0 ? &no_rcpts
           : s->config->lmtp          ? &lmtp_no_rcpts
                                      : &no_good_rcpts;
}

static const struct pn_smtp_reply *check_data(struct pn_smtp_server *s, struct smtp_args *args)
{
    (void)args;
    return s->bdat ? &mixed_data : check_rcpts(s);
}

static void stage_data(struct pn_smtp_server *s, const struct smtp_args *args)
{
    (void)args;
    s->ops->data(s->ctx);
}

static void proceed_data(struct pn_smtp_server *s, const struct pn_smtp_reply *answer)
{
    pn_assert(answer == NULL);
    smtp_reply(s, &go_data);
    smtp_data_begin(s);
}

static const struct pn_smtp_reply *check_bdat(struct pn_smtp_server *s, struct smtp_args *args)
{
    struct pn_str rest = args->line;
    struct pn_str size = pn_str_split(&rest, ' ');
    rest = pn_str_trim(rest);
    s->chunk_last = pn_str_ieq(rest, PN_STR("LAST"));
    s->chunk_skip = false;
    if (!pn_str_u64(size, UINT64_MAX, &s->chunk_left) || (rest.len != 0 && !s->chunk_last)) {
        /* Where the octets end is unknown: taken for commands they would be a gift. */
        s->chunk_left = 0;
        s->closing = true;
        return &bad_bdat;
    }
    if (s->bdat_failed)
        return &failed_bdat;
    const struct pn_smtp_reply *no = check_rcpts(s);
    if (no == NULL && s->chunk_left > s->config->size_max - s->info.size)
        no = &too_large;
    return no;
}

static void stage_bdat(struct pn_smtp_server *s, const struct smtp_args *args)
{
    /* Asked at the first chunk only. */
    if (s->bdat)
        pn_smtp_server_accept(s);
    else
        stage_data(s, args);
}

static void proceed_bdat(struct pn_smtp_server *s, const struct pn_smtp_reply *answer)
{
    pn_assert(answer == NULL);
    smtp_chunk_begin(s);
}

/* ---- the others */

static void proceed_rset(struct pn_smtp_server *s, const struct pn_smtp_reply *answer)
{
    (void)answer;
    smtp_transaction_end(s);
    smtp_reply(s, &ok);
}

static void proceed_noop(struct pn_smtp_server *s, const struct pn_smtp_reply *answer)
{
    (void)answer;
    smtp_reply(s, &ok);
}

static void proceed_quit(struct pn_smtp_server *s, const struct pn_smtp_reply *answer)
{
    (void)answer;
    smtp_transaction_end(s);
    smtp_reply(s, &bye);
    s->closing = true;
}

static const struct pn_smtp_reply *check_vrfy(struct pn_smtp_server *s, struct smtp_args *args)
{
    (void)s;
    return args->line.len == 0 ? &no_vrfy_arg : NULL;
}

static void proceed_vrfy(struct pn_smtp_server *s, const struct pn_smtp_reply *answer)
{
    (void)answer;
    smtp_reply(s, &vrfy_answer);
}

static const struct pn_smtp_reply *check_expn(struct pn_smtp_server *s, struct smtp_args *args)
{
    (void)s;
    (void)args;
    return &no_expn;
}

static void proceed_help(struct pn_smtp_server *s, const struct pn_smtp_reply *answer)
{
    (void)answer;
    smtp_reply(s, s->config->lmtp            ? &help_lmtp
                  : s->config->auth.len == 0 ? &help_answer
                                             : &help_login);
}

static const struct pn_smtp_reply *check_starttls(struct pn_smtp_server *s, struct smtp_args *args)
{
    if (s->info.tls)
        return &tls_already;
    if (!s->config->starttls)
        return &no_tls;
    /* What stands behind it came in plain: it is no part of the session to be. */
    return args->more ? &tls_not_last : NULL;
}

static void stage_starttls(struct pn_smtp_server *s, const struct smtp_args *args)
{
    (void)args;
    s->ops->starttls(s->ctx);
}

static void proceed_starttls(struct pn_smtp_server *s, const struct pn_smtp_reply *answer)
{
    (void)answer;
    smtp_transaction_end(s);
    smtp_reply(s, &go_tls);
    s->tls_next = s->handshake = s->info.waiting = true;
}

static const struct smtp_command commands[] = {
    {PN_STR_INIT("EHLO"), SMTP_ONLY_SMTP | SMTP_HELLO | SMTP_SYNC | SMTP_IDLE, check_ehlo,
     stage_helo, proceed_helo},
    {PN_STR_INIT("HELO"), SMTP_ONLY_SMTP | SMTP_HELLO | SMTP_SYNC | SMTP_IDLE, check_helo,
     stage_helo, proceed_helo},
    {PN_STR_INIT("LHLO"), SMTP_ONLY_LMTP | SMTP_HELLO | SMTP_SYNC | SMTP_IDLE, check_ehlo,
     stage_helo, proceed_helo},
    {PN_STR_INIT("AUTH"), SMTP_NEEDS_HELO | SMTP_NO_MAIL | SMTP_SYNC | SMTP_LOGIN, smtp_auth_check,
     smtp_auth_stage, smtp_auth_proceed},
    {PN_STR_INIT("MAIL"), SMTP_NEEDS_HELO | SMTP_NO_MAIL | SMTP_NEEDS_AUTH, check_mail, stage_mail,
     proceed_mail},
    {PN_STR_INIT("RCPT"), SMTP_NEEDS_HELO | SMTP_NEEDS_MAIL | SMTP_RECIPIENT, check_rcpt,
     stage_rcpt, proceed_rcpt},
    {PN_STR_INIT("DATA"), SMTP_NEEDS_HELO | SMTP_NEEDS_MAIL | SMTP_NO_ARGS | SMTP_SYNC, check_data,
     stage_data, proceed_data},
    {PN_STR_INIT("BDAT"), SMTP_NEEDS_HELO | SMTP_NEEDS_MAIL | SMTP_CHUNK, check_bdat, stage_bdat,
     proceed_bdat},
    {PN_STR_INIT("RSET"), SMTP_NO_ARGS | SMTP_IDLE, NULL, NULL, proceed_rset},
    {PN_STR_INIT("NOOP"), SMTP_SYNC | SMTP_IDLE, NULL, NULL, proceed_noop},
    {PN_STR_INIT("QUIT"), SMTP_NO_ARGS | SMTP_SYNC, NULL, NULL, proceed_quit},
    {PN_STR_INIT("VRFY"), SMTP_SYNC | SMTP_IDLE | SMTP_NEEDS_AUTH, check_vrfy, NULL, proceed_vrfy},
    {PN_STR_INIT("EXPN"), SMTP_SYNC | SMTP_IDLE | SMTP_NEEDS_AUTH, check_expn, NULL, NULL},
    {PN_STR_INIT("HELP"), SMTP_IDLE, NULL, NULL, proceed_help},
    {PN_STR_INIT("STARTTLS"), SMTP_NEEDS_HELO | SMTP_NO_MAIL | SMTP_NO_ARGS | SMTP_SYNC,
     check_starttls, stage_starttls, proceed_starttls},
    {PN_STR_INIT("GET"), SMTP_FOREIGN, NULL, NULL, NULL},
    {PN_STR_INIT("POST"), SMTP_FOREIGN, NULL, NULL, NULL},
    {PN_STR_INIT("CONNECT"), SMTP_FOREIGN, NULL, NULL, NULL},
    {PN_STR_INIT("OPTIONS"), SMTP_FOREIGN, NULL, NULL, NULL},
};

const struct smtp_command *smtp_command_find(struct pn_str name)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (pn_str_ieq(commands[i].name, name))
            return &commands[i];
    return NULL;
}
