/* Whole dialogues with the server engine. Each runs whole, split at every byte, byte by
 * byte, and with every answer of the owner given late: the client sees the same. */
#include "unit.h"

#include "server.h"

#include <stdio.h>

enum { LATE = 1, REPLIES_MAX = 64 * 1024 };

/* An owner of the engine: it decides by what addresses say ("no@" is refused, "later@"
 * deferred, "drop@" cut off) and keeps what it took as text. */
struct owner {
    struct pn_smtp_server *engine;
    struct pn_smtp_server_config config;
    unsigned mode;
    struct pn_buf in;      /* shown and not consumed */
    struct pn_buf replies; /* all that was written */
    struct pn_buf mail;    /* "from|to,to|content;" of each message */
    struct pn_buf content;
    char from[300], to[2000];
    size_t room;      /* content that it takes */
    bool refuse_data; /* answers the data stage with 451 */
    const struct pn_smtp_reply *greet, *verdict;
    const struct pn_smtp_reply *due; /* the late answer: NULL accepts */
    unsigned owed;                   /* answers */
    bool drops, tls_due, closed, resumed;
    bool full; /* says at each write that the client has enough to read */
    unsigned writes, dones, mails, refusals;
};

static const struct pn_smtp_reply reply_no = {550, {5, 1, 1}, PN_STR_INIT("No such user")};
static const struct pn_smtp_reply reply_later = {451, {4, 7, 1}, PN_STR_INIT("Later")};
static const struct pn_smtp_reply reply_drop = {521, {5, 7, 1}, PN_STR_INIT("Go away")};
static const struct pn_smtp_reply reply_bye = {421, {4, 3, 2}, PN_STR_INIT("Closing")};

static void pay(struct owner *o)
{
    o->owed--;
    if (o->drops)
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
    o->owed = count;
    while (!(o->mode & LATE) && o->owed != 0)
        pay(o);
}

static void give(struct owner *o, const struct pn_smtp_reply *reply, bool drops)
{
    o->due = reply;
    o->drops = drops;
    o->owed = 1;
    if (!(o->mode & LATE))
        pay(o);
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
    o->to[0] = '\0';
    decide(o, mail->from.local);
}

static void on_rcpt(void *ctx, const struct pn_smtp_rcpt *rcpt)
{
    struct owner *o = ctx;
    size_t n = strlen(o->to);
    if (!pn_str_eq(rcpt->to.local, PN_STR("no")) && !pn_str_eq(rcpt->to.local, PN_STR("later")))
        snprintf(o->to + n, sizeof o->to - n, "%.*s,", PN_FMT(rcpt->to.address));
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
    .reserve = on_reserve,
    .commit = on_commit,
    .done = on_done,
    .refused = on_refused,
};

static void owner_init(struct owner *o, unsigned mode)
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
        .starttls = true,
    };
    pn_buf_init(&o->in, 1 << 20);
    pn_buf_init(&o->replies, 1 << 20);
    pn_buf_init(&o->mail, 1 << 20);
    pn_buf_init(&o->content, 1 << 20);
    o->engine = pn_smtp_server_new(&o->config, &ops, o);
}

static void owner_fini(struct owner *o)
{
    pn_smtp_server_free(&o->engine);
    pn_buf_fini(&o->in);
    pn_buf_fini(&o->replies);
    pn_buf_fini(&o->mail);
    pn_buf_fini(&o->content);
}

/* Whatever is owed or due, until nothing moves. */
static void settle(struct owner *o)
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
    UNIT_TRUE(o->in.len <= PN_SMTP_LINE_MAX || o->closed);
}

/* Sends it in pieces: up to `split`, then `step` bytes each. \1 in it parts packets
 * that are never joined, as by a client that waits for replies. */
static void talk(struct owner *o, struct pn_str input, size_t split, size_t step)
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

/* "220|250|550 5.1.1|" of what was written, from offset. */
static void codes(struct owner *o, size_t from, struct pn_buf *out)
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

struct dialogue {
    const char *label;
    struct pn_str input;
    const char *want; /* codes behind the greeting */
    const char *mail; /* NULL: none */
    void (*set)(struct owner *o);
    bool closed;
};

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

static void run(const struct dialogue *rows, size_t count)
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

#define RUN(rows) run(rows, sizeof(rows) / sizeof(rows)[0])
#define SAY(text) PN_STR_INIT(text)
#define HI        "EHLO c.test\r\n"
#define ONE       "MAIL FROM:<a@b.test>\r\nRCPT TO:<u@here.test>\r\n"
#define OK        "250 2.0.0|"
#define X10       "xxxxxxxxxx"
#define X100      X10 X10 X10 X10 X10 X10 X10 X10 X10 X10

static void test_order(void)
{
    static const struct dialogue rows[] = {
        {"one mail", SAY(HI ONE "DATA\r\nhi\r\n.\r\nQUIT\r\n"), "250|" OK OK "354|" OK "221 2.0.0|",
         "a@b.test|u@here.test,|hi\r\n;", NULL, true},
        {"HELO", SAY("helo c.test\r\nmail from:<a@b.test>\r\nrcpt to:<u@x.test>\r\ndata\r\n.\r\n"),
         "250|" OK OK "354|" OK, "a@b.test|u@x.test,|;"},
        {"two mails", SAY(HI ONE "DATA\r\n1\r\n.\r\n" ONE "DATA\r\n2\r\n.\r\n"),
         "250|" OK OK "354|" OK OK OK "354|" OK,
         "a@b.test|u@here.test,|1\r\n;a@b.test|u@here.test,|2\r\n;"},
        {"no EHLO", SAY("MAIL FROM:<a@b.test>\r\nRCPT TO:<a@b.test>\r\nDATA\r\n"),
         "503 5.5.1|503 5.5.1|503 5.5.1|"},
        {"RCPT first", SAY(HI "RCPT TO:<a@b.test>\r\n"), "250|503 5.5.1|"},
        {"DATA first", SAY(HI "DATA\r\n"), "250|503 5.5.1|"},
        {"DATA without RCPT", SAY(HI "MAIL FROM:<>\r\nDATA\r\n"), "250|" OK "503 5.5.1|"},
        {"MAIL twice", SAY(HI "MAIL FROM:<>\r\nMAIL FROM:<>\r\n"), "250|" OK "503 5.5.1|"},
        {"DATA, all refused", SAY(HI "MAIL FROM:<>\r\nRCPT TO:<no@x.test>\r\nDATA\r\n"),
         "250|" OK "550 5.1.1|554 5.5.1|"},
        {"some refused",
         SAY(HI "MAIL FROM:<>\r\nRCPT TO:<no@x.test>\r\nRCPT TO:<u@x.test>\r\nRCPT "
                "TO:<later@x.test>\r\nDATA\r\n\r\n.\r\n"),
         "250|" OK "550 5.1.1|" OK "451 4.7.1|354|" OK, "|u@x.test,|\r\n;"},
        {"RSET", SAY(HI ONE "RSET\r\nDATA\r\nMAIL FROM:<>\r\n"), "250|" OK OK OK "503 5.5.1|" OK},
        {"EHLO resets", SAY(HI ONE HI "DATA\r\n"), "250|" OK OK "250|503 5.5.1|"},
        {"refused helo", SAY("EHLO no.test\r\nMAIL FROM:<>\r\n" HI "MAIL FROM:<>\r\n"),
         "550 5.1.1|503 5.5.1|250|" OK},
        {"refused sender",
         SAY(HI "MAIL FROM:<no@x.test>\r\nMAIL FROM:<later@x.test>\r\nRCPT "
                "TO:<u@x.test>\r\n"),
         "250|550 5.1.1|451 4.7.1|503 5.5.1|"},
        {"dropped", SAY(HI "MAIL FROM:<drop@x.test>\r\nNOOP\r\n"), "250|521 5.7.1|", NULL, NULL,
         true},
        {"dropped within", SAY(HI "MAIL FROM:<>\r\nRCPT TO:<drop@x.test>\r\nNOOP\r\n"),
         "250|" OK "521 5.7.1|", NULL, NULL, true},
        {"others", SAY(HI "NOOP\r\nNOOP x\r\nHELP\r\nVRFY u\r\nEXPN l\r\n"),
         "250|" OK OK "214 2.0.0|252 2.5.0|502 5.5.1|"},
        {"no arguments", SAY("EHLO\r\nHELO\r\nEHLO a b\r\nVRFY\r\nQUIT\r\n"),
         "501 5.5.4|501 5.5.4|501 5.5.4|500 5.5.2|221 2.0.0|", NULL, NULL, true},
        {"too many arguments", SAY(HI ONE "RSET x\r\nDATA x\r\nQUIT x\r\n"),
         "250|" OK OK "501 5.5.4|501 5.5.4|501 5.5.4|"},
        {"spaces", SAY("EHLO  c.test \r\nNOOP \r\nMAIL FROM: <a@b.test> \r\n"), "250|" OK OK},
        {"an odd name is policy's matter", SAY("EHLO @#$\r\n"), "250|"},
        {"an empty message", SAY(HI ONE "DATA\r\n.\r\n"), "250|" OK OK "354|" OK,
         "a@b.test|u@here.test,|;"},
        {"dots", SAY(HI ONE "DATA\r\n..\r\n...\r\n.a\r\n.\r\n"), "250|" OK OK "354|" OK,
         "a@b.test|u@here.test,|.\r\n..\r\na\r\n;"},
    };
    RUN(rows);
}

static void test_paths(void)
{
    static const struct dialogue rows[] = {
        {"bad senders",
         SAY(HI "MAIL LALA: <>\r\nMAIL FROM:\r\nMAIL FROM:<pepe>\r\nMAIL FROM:<a@xn--->\r\n"),
         "250|500 5.5.2|500 5.5.2|501 5.1.7|501 5.1.8|"},
        {"long sender", SAY(HI "MAIL FROM:<" X100 X100 X100 "@b.test>\r\n"), "250|501 5.1.7|"},
        {"bad recipients",
         SAY(HI "MAIL FROM:<>\r\nRCPT TO:\r\nRCPT TO:<>\r\nRCPT TO:<u>\r\nRCPT TO:<u@..>\r\n"
                "RCPT TO:<" X100 X100 X100 "@x.test>\r\n"),
         "250|" OK "500 5.5.2|501 5.1.3|501 5.1.3|501 5.1.2|501 5.1.3|"},
        {"postmaster", SAY(HI "MAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\nDATA\r\n.\r\n"),
         "250|" OK OK "354|" OK, "|Postmaster,|;"},
        {"no brackets", SAY(HI "MAIL FROM: a@b.test\r\nRCPT TO: u@x.test\r\nDATA\r\n.\r\n"),
         "250|" OK OK "354|" OK, "a@b.test|u@x.test,|;"},
        {"source route",
         SAY(HI "MAIL FROM:<@r.test:a@b.test>\r\nRCPT TO:<@r.test,@q.test:u@x.test>"
                "\r\nDATA\r\n.\r\n"),
         "250|" OK OK "354|" OK, "a@b.test|u@x.test,|;"},
        {"parameters nobody knows",
         SAY(HI "MAIL FROM:<> FOO=1\r\nMAIL FROM:<> BODY\r\nMAIL FROM:<> =\r\nMAIL FROM:<>\r\n"
                "RCPT TO:<u@x.test> NOTIFY=NEVER\r\nRCPT TO:<u@x.test> =\r\n"),
         "250|555 5.5.4|501 5.5.4|501 5.5.4|" OK "555 5.5.4|501 5.5.4|"},
    };
    RUN(rows);
}

static void loose(struct owner *o)
{
    o->config.normalize = true;
}

static void test_smuggling(void)
{
#define SMUGGLE(bytes) SAY(HI ONE "DATA\r\na\r\nb" bytes "MAIL FROM:<evil@x.test>\r\nz\r\n.\r\n")
    static const char refused[] = "250|" OK OK "354|550 5.6.0|";
    static const struct dialogue rows[] = {
        {"LF.LF", SMUGGLE("\n.\n"), refused},
        {"CR.CR", SMUGGLE("\r.\r"), refused},
        {"LF.CRLF", SMUGGLE("\n.\r\n"), refused},
        {"CRLF.LF", SMUGGLE("\r\n.\n"), refused},
        {"CRLF.CR", SMUGGLE("\r\n.\r"), refused},
        {"CRLF NUL .CRLF", SMUGGLE("\r\n\0.\r\n"), refused},
        {"CRLF.CR CRLF", SMUGGLE("\r\n.\r\r\n"), refused},
        {"CR LF LF.CRLF", SMUGGLE("\r\n\n.\r\n"), refused},
        {"LF CR.CRLF", SMUGGLE("\n\r.\r\n"), refused},
        {"NUL", SMUGGLE("\0"), refused},
        {"LF, normalized", SAY(HI ONE "DATA\r\na\n.\nMAIL\r\n.\r\n"), "250|" OK OK "354|" OK,
         "a@b.test|u@here.test,|a\r\n.\r\nMAIL\r\n;", loose},
        {"CR, normalized", SAY(HI ONE "DATA\r\na\r.\rMAIL\r\n.\r\n"), "250|" OK OK "354|550 5.6.0|",
         NULL, loose},
        {"commands end with CR LF", SAY("EHLO c.test\n" HI "NOOP\n"), "500 5.5.2|250|500 5.5.2|"},
        {"commands, normalized", SAY("EHLO c.test\nNOOP\n"), "250|" OK, NULL, loose},
        {"CR and NUL in commands", SAY("EHLO c\r.test\r\nNOOP\0\r\nNOOP\t\r\n\r\n"),
         "500 5.5.2|500 5.5.2|500 5.5.2|500 5.5.1|"},
    };
    RUN(rows);
}

static void test_limits(void)
{
    struct owner o;
    struct pn_buf got;
    /* A command line of 2048 bytes passes, one of 2049 does not; the next is fine. */
    for (size_t len = PN_SMTP_LINE_MAX - 1; len <= 3 * PN_SMTP_LINE_MAX; len++) {
        if (len > PN_SMTP_LINE_MAX + 3 && len % 1021 != 0)
            continue;
        owner_init(&o, 0);
        pn_buf_init(&got, REPLIES_MAX);
        pn_smtp_server_start(o.engine);
        size_t greeted = o.replies.len;
        struct pn_buf line;
        pn_buf_init(&line, 1 << 16);
        (void)pn_buf_addz(&line, "NOOP ");
        while (line.len + 2 < len)
            (void)pn_buf_addc(&line, 'x');
        (void)pn_buf_addz(&line, "\r\nNOOP\r\n");
        unit_row("line length");
        talk(&o, pn_buf_str(&line), len % 2 ? 1000 : 0, len % 3 ? SIZE_MAX : 7);
        codes(&o, greeted, &got);
        UNIT_STR(pn_buf_str(&got),
                 len <= PN_SMTP_LINE_MAX ? PN_STR(OK OK) : PN_STR("500 5.5.2|" OK));
        pn_buf_fini(&line);
        pn_buf_fini(&got);
        owner_fini(&o);
    }
    static const struct dialogue rows[] = {
        {"unknown commands", SAY("A\r\nB\r\nC\r\nNOOP\r\n"), "500 5.5.1|500 5.5.1|421 4.7.0|", NULL,
         NULL, true},
        {"errors", SAY(HI "DATA\r\nDATA\r\nDATA\r\nDATA\r\nDATA\r\nDATA\r\nNOOP\r\n"),
         "250|503 5.5.1|503 5.5.1|503 5.5.1|503 5.5.1|503 5.5.1|421 4.7.0|", NULL, NULL, true},
        {"a message taken clears errors",
         SAY(HI "DATA\r\nDATA\r\nDATA\r\nDATA\r\n" ONE "DATA\r\n.\r\nDATA\r\nDATA\r\n"),
         "250|503 5.5.1|503 5.5.1|503 5.5.1|503 5.5.1|" OK OK "354|" OK "503 5.5.1|503 5.5.1|",
         "a@b.test|u@here.test,|;"},
        {"refused recipients are errors",
         SAY(HI "MAIL FROM:<>\r\nRCPT TO:<no@x.test>\r\nRCPT TO:<no@x.test>\r\nRCPT TO:<no@x.test>"
                "\r\nRCPT TO:<no@x.test>\r\nRCPT TO:<no@x.test>\r\nRCPT TO:<no@x.test>\r\n"),
         "250|" OK "550 5.1.1|550 5.1.1|550 5.1.1|550 5.1.1|550 5.1.1|421 4.7.0|", NULL, NULL,
         true},
        {"what moves nothing",
         SAY("NOOP\r\nRSET\r\nHELP\r\nVRFY x\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\n"),
         OK OK "214 2.0.0|252 2.5.0|" OK OK "421 4.7.0|", NULL, NULL, true},
        {"another protocol", SAY("GET / HTTP/1.1\r\nHost: a\r\n"), "502 5.5.1|", NULL, NULL, true},
        {"and another", SAY("CONNECT x:25 HTTP/1.1\r\n"), "502 5.5.1|", NULL, NULL, true},
    };
    RUN(rows);
}

static const struct pn_smtp_reply greet_554 = {554, {5, 7, 1}, PN_STR_INIT("No")};

static void refuse_greeting(struct owner *o)
{
    o->greet = &greet_554;
}

static void busy_greeting(struct owner *o)
{
    o->greet = &reply_bye;
}

static void test_greeting(void)
{
    static const struct dialogue rows[] = {
        {"554", SAY(HI "NOOP\r\nQUIT\r\n"), "503 5.7.0|503 5.7.0|221 2.0.0|", NULL, refuse_greeting,
         true},
        {"421", SAY(HI), "", NULL, busy_greeting, true},
    };
    RUN(rows);
    struct owner o;
    owner_init(&o, LATE);
    pn_smtp_server_start(o.engine);
    UNIT_INT(o.replies.len, 0);
    UNIT_TRUE(pn_smtp_server_info(o.engine)->waiting);
    settle(&o);
    UNIT_STR(pn_buf_str(&o.replies), PN_STR("220 mx.here.test ESMTP Postern\r\n"));
    UNIT_TRUE(o.resumed);
    owner_fini(&o);
}

static void no_room(struct owner *o)
{
    o->room = 0;
}

static void refuse_data(struct owner *o)
{
    o->refuse_data = true;
}

static void reject_all(struct owner *o)
{
    o->verdict = &reply_no;
}

static void bye_all(struct owner *o)
{
    o->verdict = &reply_bye;
}

static void test_answers(void)
{
    static const struct dialogue rows[] = {
        {"content refused", SAY(HI ONE "DATA\r\nx\r\n.\r\nDATA\r\nMAIL FROM:<>\r\n"),
         "250|" OK OK "354|550 5.1.1|503 5.5.1|" OK, "a@b.test|u@here.test,|x\r\n;", reject_all},
        {"content 421", SAY(HI ONE "DATA\r\nx\r\n.\r\nNOOP\r\n"), "250|" OK OK "354|421 4.3.2|",
         "a@b.test|u@here.test,|x\r\n;", bye_all, true},
        {"data refused", SAY(HI ONE "DATA\r\nRSET\r\n"), "250|" OK OK "451 4.7.1|" OK, NULL,
         refuse_data},
        {"bdat refused", SAY(HI ONE "BDAT 6\r\nNOOP\r\nBDAT 1 LAST\r\nxRSET\r\n"),
         "250|" OK OK "451 4.7.1|503 5.5.1|" OK, NULL, refuse_data},
        {"no room", SAY(HI ONE "DATA\r\nx\r\n.\r\nNOOP\r\n"), "250|" OK OK "354|452 4.3.1|" OK,
         NULL, no_room},
        {"no room, chunks", SAY(HI ONE "BDAT 1\r\nxBDAT 1 LAST\r\nxNOOP\r\n"),
         "250|" OK OK "452 4.3.1|503 5.5.1|" OK, NULL, no_room},
    };
    RUN(rows);
}

/* Dropped from outside, at any point of a dialogue: one 421, one close, one done. */
static void test_drop(void)
{
    static const struct pn_str input = PN_STR_INIT(HI ONE "BDAT 4\r\nabcdDATA\r\n" ONE "NOOP\r\n");
    for (size_t at = 0; at <= input.len; at++)
        for (unsigned mode = 0; mode <= LATE; mode++) {
            struct owner o;
            owner_init(&o, mode);
            pn_smtp_server_start(o.engine);
            settle(&o);
            talk(&o, pn_str_slice(input, 0, at), 0, SIZE_MAX);
            unit_row("drop");
            pn_smtp_server_drop(o.engine, &reply_bye);
            UNIT_TRUE(o.closed);
            UNIT_TRUE(pn_str_ends(pn_buf_str(&o.replies), PN_STR("421 4.3.2 Closing\r\n")));
            UNIT_INT(o.dones, pn_smtp_server_info(o.engine)->mails);
            pn_smtp_server_drop(o.engine, &reply_bye);
            UNIT_INT(pn_smtp_server_input(o.engine, PN_STR("NOOP\r\n")), 6);
            owner_fini(&o);
        }
}

static void test_codes(void)
{
    struct owner o;
    owner_init(&o, 0);
    pn_smtp_server_start(o.engine);
    talk(&o, PN_STR("HELO c.test\r\n"), 0, SIZE_MAX);
    pn_buf_clear(&o.replies);
    talk(&o, PN_STR(ONE "DATA\r\n.\r\nRSET\r\n"), 0, SIZE_MAX);
    UNIT_STR(pn_buf_str(&o.replies),
             PN_STR("250 2.1.0 Sender ok\r\n250 2.1.5 Recipient ok\r\n354 End with "
                    "<CR><LF>.<CR><LF>\r\n250 2.0.0 Ok, message accepted\r\n250 2.0.0 Ok\r\n"));
    owner_fini(&o);
}

/* ---- a test for each word that EHLO announces */

static bool announced(struct owner *o, const char *line)
{
    char want[100];
    snprintf(want, sizeof want, "250-%s\r\n", line);
    const char *text = pn_buf_cstr(&o->replies);
    if (strstr(text, want) != NULL)
        return true;
    want[3] = ' ';
    return strstr(text, want) != NULL;
}

static void expect_word(const char *line, bool want, void (*set)(struct owner *o),
                        struct pn_str input)
{
    struct owner o;
    owner_init(&o, 0);
    if (set != NULL)
        set(&o);
    pn_smtp_server_start(o.engine);
    talk(&o, input, 0, SIZE_MAX);
    unit_row(line);
    UNIT_INT(announced(&o, line), want);
    owner_fini(&o);
}

static void test_pipelining(void)
{
    expect_word("PIPELINING", true, NULL, PN_STR(HI));
    /* A group of commands is answered in one write, whether the owner is quick or slow. */
    for (unsigned mode = 0; mode <= LATE; mode++) {
        struct owner o;
        owner_init(&o, mode);
        pn_smtp_server_start(o.engine);
        settle(&o);
        talk(&o, PN_STR(HI), 0, SIZE_MAX);
        o.writes = 0;
        unit_row("a group");
        talk(&o, PN_STR(ONE "RCPT TO:<no@x.test>\r\nDATA\r\n"), 0, SIZE_MAX);
        UNIT_INT(o.writes, 1);
        talk(&o, PN_STR("x\r\n.\r\n" ONE "DATA\r\n"), 0, SIZE_MAX);
        UNIT_INT(o.writes, 2);
        UNIT_TRUE(!pn_smtp_server_info(o.engine)->early);
        talk(&o, PN_STR("y\r\n.\r\nNOOP\r\nNOOP\r\n"), 0, SIZE_MAX);
        UNIT_TRUE(pn_smtp_server_info(o.engine)->early);
        owner_fini(&o);
        /* A client that waits is answered at once, though the next command is begun. */
        owner_init(&o, mode);
        pn_smtp_server_start(o.engine);
        settle(&o);
        o.writes = 0;
        talk(&o, PN_STR(HI "MAI"), 0, SIZE_MAX);
        UNIT_INT(o.writes, 1);
        owner_fini(&o);
    }
}

static void test_size(void)
{
    expect_word("SIZE 1000", true, NULL, PN_STR(HI));
    static const struct dialogue rows[] = {
        {"SIZE",
         SAY(HI "MAIL FROM:<> SIZE=1001\r\nMAIL FROM:<> SIZE=1000\r\nRSET\r\n"
                "MAIL FROM:<> SIZE=0\r\nRSET\r\nMAIL FROM:<> size=1\r\n"),
         "250|552 5.3.4|" OK OK OK OK OK},
        {"bad SIZE",
         SAY(HI "MAIL FROM:<> SIZE=\r\nMAIL FROM:<> SIZE\r\nMAIL FROM:<> SIZE=-1\r\n"
                "MAIL FROM:<> SIZE=1 SIZE=1\r\nMAIL FROM:<> SIZE=1844674407370955161x\r\n"),
         "250|501 5.5.4|501 5.5.4|501 5.5.4|501 5.5.4|501 5.5.4|"},
        {"SIZE of 21 digits", SAY(HI "MAIL FROM:<> SIZE=100000000000000000000\r\n"),
         "250|501 5.5.4|"},
        {"SIZE over 64 bits, 20 digits",
         SAY(HI "MAIL FROM:<> SIZE=18446744073709551616\r\n"
                "MAIL FROM:<> SIZE=99999999999999999999\r\n"),
         "250|552 5.3.4|552 5.3.4|"},
    };
    RUN(rows);
    /* At the limit, and one octet over it; stuffed dots do not count. */
    for (unsigned over = 0; over < 2; over++) {
        struct owner o;
        struct pn_buf got, data;
        owner_init(&o, 0);
        pn_buf_init(&got, REPLIES_MAX);
        pn_buf_init(&data, REPLIES_MAX);
        pn_smtp_server_start(o.engine);
        size_t greeted = o.replies.len;
        (void)pn_buf_addz(&data, HI ONE "DATA\r\n..\r\n");
        for (unsigned i = 0; i < 995 + over; i++)
            (void)pn_buf_addc(&data, 'x');
        (void)pn_buf_addz(&data, "\r\n.\r\nNOOP\r\n");
        talk(&o, pn_buf_str(&data), 0, over ? 100 : SIZE_MAX);
        codes(&o, greeted, &got);
        unit_row(over ? "1001 octets" : "1000 octets");
        UNIT_STR(pn_buf_str(&got), over ? PN_STR("250|" OK OK "354|552 5.3.4|" OK)
                                        : PN_STR("250|" OK OK "354|" OK OK));
        /* Four times as much again is not read. */
        pn_buf_clear(&data);
        (void)pn_buf_addz(&data, ONE "DATA\r\n");
        for (unsigned i = 0; i < 6000; i++)
            (void)pn_buf_addc(&data, 'x');
        talk(&o, pn_buf_str(&data), 0, 100);
        UNIT_TRUE(o.closed);
        pn_buf_fini(&got);
        pn_buf_fini(&data);
        owner_fini(&o);
    }
}

static void test_8bitmime(void)
{
    expect_word("8BITMIME", true, NULL, PN_STR(HI));
    static const struct dialogue rows[] = {
        {"8BITMIME",
         SAY(HI "MAIL FROM:<a@b.test> BODY=8BITMIME\r\nRCPT TO:<u@x.test>\r\nDATA\r\n"
                "\xc3\xbc\xff\r\n.\r\n"),
         "250|" OK OK "354|" OK, "a@b.test+8|u@x.test,|\xc3\xbc\xff\r\n;"},
        {"7BIT", SAY(HI "MAIL FROM:<a@b.test> BODY=7bit\r\n"), "250|" OK},
        {"others", SAY(HI "MAIL FROM:<> BODY=BINARYMIME\r\nMAIL FROM:<> BODY=\r\n"),
         "250|501 5.5.4|501 5.5.4|"},
    };
    RUN(rows);
}

static void test_smtputf8(void)
{
    expect_word("SMTPUTF8", true, NULL, PN_STR(HI));
    static const struct dialogue rows[] = {
        {"SMTPUTF8",
         SAY(HI "MAIL FROM:<\xc3\xb6@b\xc3\xbc.test> SMTPUTF8\r\nRCPT "
                "TO:<\xc3\xa4@x.test>\r\nDATA\r\n.\r\n"),
         "250|" OK OK "354|" OK, "\xc3\xb6@b\xc3\xbc.test+u|\xc3\xa4@x.test,|;"},
        {"not said",
         SAY(HI "MAIL FROM:<\xc3\xb6@b.test>\r\nMAIL FROM:<>\r\nRCPT "
                "TO:<\xc3\xa4@x.test>\r\n"),
         "250|553 5.6.7|" OK "553 5.6.7|"},
        {"not for the next",
         SAY(HI "MAIL FROM:<> SMTPUTF8\r\nRSET\r\nMAIL FROM:<>\r\nRCPT "
                "TO:<\xc3\xa4@x.test>\r\n"),
         "250|" OK OK OK "553 5.6.7|"},
        {"no UTF-8", SAY(HI "MAIL FROM:<\xc3@b.test> SMTPUTF8\r\nMAIL FROM:<> SMTPUTF8=1\r\n"),
         "250|501 5.1.7|501 5.5.4|"},
    };
    RUN(rows);
}

static void test_chunking(void)
{
    expect_word("CHUNKING", true, NULL, PN_STR(HI));
    static const struct dialogue rows[] = {
        {"one chunk", SAY(HI ONE "BDAT 6 LAST\r\n.\r\n.\r\n"), "250|" OK OK OK,
         "a@b.test|u@here.test,|.\r\n.\r\n;"},
        {"chunks", SAY(HI ONE "BDAT 3\r\na\r\nBDAT 0\r\nbdat 3 last\r\n..\nNOOP\r\n"),
         "250|" OK OK OK OK "550 5.6.0|" OK},
        {"a line over two", SAY(HI ONE "BDAT 2\r\na\rBDAT 2\r\n\nbBDAT 0 LAST\r\nNOOP\r\n"),
         "250|" OK OK OK OK OK OK, "a@b.test|u@here.test,|a\r\nb;"},
        {"empty", SAY(HI ONE "BDAT 0 LAST\r\n"), "250|" OK OK OK, "a@b.test|u@here.test,|;"},
        {"a bare CR last", SAY(HI ONE "BDAT 2\r\na\rBDAT 0 LAST\r\nNOOP\r\n"),
         "250|" OK OK OK "550 5.6.0|" OK},
        {"a bare LF first", SAY(HI ONE "BDAT 2\r\na\nBDAT 1 LAST\r\nxNOOP\r\n"),
         "250|" OK OK "550 5.6.0|503 5.5.1|" OK},
        {"too large at once",
         SAY(HI ONE "BDAT 1001 LAST\r\n" X100 X100 X100 X100 X100 X100 X100 X100 X100 X100
                    "xNOOP\r\n"),
         "250|" OK OK "552 5.3.4|" OK},
        {"just not",
         SAY(HI ONE "BDAT 1000 LAST\r\n" X100 X100 X100 X100 X100 X100 X100 X100 X100 X100
                    "NOOP\r\n"),
         "250|" OK OK OK OK,
         "a@b.test|u@here.test,|" X100 X100 X100 X100 X100 X100 X100 X100 X100 X100 ";"},
        {"too large in all",
         SAY(HI ONE "BDAT 500\r\n" X100 X100 X100 X100 X100 "BDAT 501\r\n" X100 X100 X100 X100 X100
                    "xBDAT 1\r\nxBDAT 1 LAST\r\nxMAIL FROM:<>\r\n"),
         "250|" OK OK OK "552 5.3.4|503 5.5.1|503 5.5.1|" OK},
        {"RSET after a refused one", SAY(HI ONE "BDAT 1\r\n\0RSET\r\n" ONE "BDAT 1 LAST\r\nx"),
         "250|" OK OK "550 5.6.0|" OK OK OK OK, "a@b.test|u@here.test,|x;"},
        {"out of place: skipped",
         SAY("BDAT 6\r\nNOOP\r\n" HI "BDAT 6 LAST\r\nNOOP\r\nMAIL FROM:<>\r\nBDAT 6\r\nNOOP\r\n"),
         "503 5.5.1|250|503 5.5.1|" OK "503 5.5.1|"},
        {"DATA within", SAY(HI ONE "BDAT 1\r\nxDATA\r\nRCPT TO:<v@x.test>\r\nBDAT 1 LAST\r\ny"),
         "250|" OK OK OK "503 5.5.1|503 5.5.1|" OK, "a@b.test|u@here.test,|xy;"},
        {"no size", SAY(HI ONE "BDAT\r\nNOOP\r\n"), "250|" OK OK "501 5.5.4|", NULL, NULL, true},
        {"no number", SAY(HI ONE "BDAT -1\r\nNOOP\r\n"), "250|" OK OK "501 5.5.4|", NULL, NULL,
         true},
        {"no LAST", SAY(HI ONE "BDAT 1 FIRST\r\nNOOP\r\n"), "250|" OK OK "501 5.5.4|", NULL, NULL,
         true},
        {"far too large", SAY(HI ONE "BDAT 18446744073709551615\r\nNOOP\r\n"),
         "250|" OK OK "552 5.3.4|"},
    };
    RUN(rows);
}

static void test_enhancedstatuscodes(void)
{
    expect_word("ENHANCEDSTATUSCODES", true, NULL, PN_STR(HI));
    /* In every 2yz, 4yz and 5yz but greeting and EHLO, each line (RFC 2034, section 4). */
    struct owner o;
    owner_init(&o, 0);
    pn_smtp_server_start(o.engine);
    talk(&o, PN_STR(HI "NOOP\r\nFOO\r\nMAIL FROM:<later@x.test>\r\nHELP\r\n"), 0, SIZE_MAX);
    struct pn_str rest = pn_buf_str(&o.replies);
    unsigned lines = 0;
    while (rest.len != 0) {
        struct pn_str line = pn_str_split(&rest, '\n');
        bool hello = pn_str_starts(line, PN_STR("220")) || pn_str_starts(line, PN_STR("250-")) ||
                     pn_str_starts(line, PN_STR("250 LIMITS"));
        unit_row("line");
        UNIT_INT(line.len > 9 && line.p[4] == line.p[0] && line.p[5] == '.' && line.p[7] == '.',
                 !hello);
        lines++;
    }
    UNIT_INT(lines, 1 + 9 + 4);
    owner_fini(&o);
}

static void no_tls(struct owner *o)
{
    o->config.starttls = false;
}

static void test_starttls(void)
{
    expect_word("STARTTLS", true, NULL, PN_STR(HI));
    expect_word("STARTTLS", false, no_tls, PN_STR(HI));
    static const struct dialogue rows[] = {
        {"STARTTLS", SAY(HI "\1STARTTLS\r\n\1MAIL FROM:<>\r\n" HI "STARTTLS\r\n"),
         "250|220 2.0.0|503 5.5.1|250|503 5.5.1|"},
        {"argument", SAY(HI "STARTTLS x\r\n"), "250|501 5.5.4|"},
        {"before EHLO", SAY("STARTTLS\r\n"), "503 5.5.1|"},
        {"within a mail", SAY(HI "MAIL FROM:<>\r\n\1STARTTLS\r\n"), "250|" OK "503 5.5.1|"},
        {"not offered", SAY(HI "\1STARTTLS\r\n"), "250|502 5.5.1|", NULL, no_tls},
    };
    RUN(rows);
    /* What stands behind it in the same packet came before TLS. */
    struct owner o;
    struct pn_buf got;
    owner_init(&o, 0);
    pn_buf_init(&got, REPLIES_MAX);
    pn_smtp_server_start(o.engine);
    size_t greeted = o.replies.len;
    talk(&o, PN_STR(HI "STARTTLS\r\nRSET\r\n"), 0, SIZE_MAX);
    codes(&o, greeted, &got);
    unit_row("injected");
    UNIT_STR(pn_buf_str(&got), PN_STR("250|501 5.5.4|" OK));
    UNIT_TRUE(!pn_smtp_server_info(o.engine)->tls);
    pn_buf_fini(&got);
    owner_fini(&o);
    /* Under TLS it is offered no more, and nothing is consumed during the handshake. */
    owner_init(&o, 0);
    pn_smtp_server_start(o.engine);
    talk(&o, PN_STR(HI "\1"), 0, SIZE_MAX);
    UNIT_INT(pn_smtp_server_input(o.engine, PN_STR("STARTTLS\r\n")), 10);
    UNIT_TRUE(o.tls_due && pn_smtp_server_info(o.engine)->waiting);
    UNIT_INT(pn_smtp_server_input(o.engine, PN_STR("NOOP\r\n")), 0);
    o.tls_due = false;
    pn_smtp_server_tls(o.engine);
    pn_buf_clear(&o.replies);
    talk(&o, PN_STR(HI), 0, SIZE_MAX);
    unit_row("under TLS");
    UNIT_TRUE(!announced(&o, "STARTTLS") && announced(&o, "SIZE 1000"));
    owner_fini(&o);
}

static void test_limits_word(void)
{
    expect_word("LIMITS MAILMAX=4 RCPTMAX=3", true, NULL, PN_STR(HI));
    static const struct dialogue rows[] = {
        {"RCPTMAX",
         SAY(HI "MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nRCPT "
                "TO:<c@x.test>\r\nRCPT TO:<d@x.test>\r\nDATA\r\n.\r\n"),
         "250|" OK OK OK OK "452 4.5.3|354|" OK, "|a@x.test,b@x.test,c@x.test,|;"},
        {"MAILMAX",
         SAY(HI "MAIL FROM:<>\r\nRSET\r\nMAIL FROM:<>\r\nRSET\r\nMAIL FROM:<>\r\nRSET\r\n"
                "MAIL FROM:<>\r\nRSET\r\nMAIL FROM:<>\r\nRSET\r\n"),
         "250|" OK OK OK OK OK OK OK OK "421 4.7.0|", NULL, NULL, true},
    };
    RUN(rows);
}

/* ---- LMTP */

static void lmtp(struct owner *o)
{
    o->config.lmtp = true;
}

static void lmtp_full(struct owner *o)
{
    o->config.lmtp = true;
    o->room = 0;
}

static void test_lmtp(void)
{
    static const struct dialogue rows[] = {
        {"a reply a recipient",
         SAY("LHLO c.test\r\nMAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nRCPT TO:<no@x.test>\r\n"
             "RCPT TO:<b@x.test>\r\nDATA\r\nhi\r\n.\r\nBDAT 1\r\nxQUIT\r\n"),
         "250|" OK OK "550 5.1.1|" OK "354|" OK OK "503 5.5.1|221 2.0.0|",
         "|a@x.test,b@x.test,|hi\r\n;", lmtp, true},
        {"chunks too",
         SAY("LHLO c.test\r\nMAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nRCPT "
             "TO:<b@x.test>\r\nBDAT 1\r\nxBDAT 1 LAST\r\ny"),
         "250|" OK OK OK OK OK OK, "|a@x.test,b@x.test,|xy;", lmtp},
        {"refused content",
         SAY("LHLO c.test\r\nMAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nRCPT "
             "TO:<b@x.test>\r\nDATA\r\nx\r\n.\r\n"),
         "250|" OK OK OK "354|452 4.3.1|452 4.3.1|", NULL, lmtp_full},
        {"no EHLO", SAY("EHLO c.test\r\nHELO c.test\r\n"), "500 5.5.1|500 5.5.1|", NULL, lmtp},
        {"no LHLO", SAY("LHLO c.test\r\n"), "500 5.5.1|"},
    };
    RUN(rows);
}

/* One refusal each, however many they are. */
static void test_lmtp_many(void)
{
    enum { MANY = 4000 };
    struct owner o;
    char line[64];
    size_t replies = 0;
    owner_init(&o, 0);
    lmtp_full(&o);
    o.config.rcpt_max = MANY;
    pn_smtp_server_start(o.engine);
    talk(&o, PN_STR("LHLO c.test\r\nMAIL FROM:<>\r\n"), 0, SIZE_MAX);
    for (unsigned i = 0; i < MANY; i++) {
        int n = snprintf(line, sizeof line, "RCPT TO:<u%u@x.test>\r\n", i);
        talk(&o, (struct pn_str){line, (size_t)n}, 0, SIZE_MAX);
    }
    talk(&o, PN_STR("DATA\r\n"), 0, SIZE_MAX);
    pn_buf_clear(&o.replies);
    talk(&o, PN_STR("x\r\n.\r\n"), 0, SIZE_MAX);
    struct pn_str rest = pn_buf_str(&o.replies);
    while (rest.len != 0)
        replies += pn_str_starts(pn_str_split(&rest, '\n'), PN_STR("452 4.3.1 "));
    UNIT_INT(replies, MANY);
    owner_fini(&o);
}

/* Whatever stands in the input, no more replies gather than the client takes; all are
 * given in the end. */
static void test_unread(void)
{
    enum { MANY = 5000 };
    struct owner o;
    struct pn_buf all;
    size_t at = 0, calls = 0;
    owner_init(&o, 0);
    o.config.idle_max = MANY;
    o.full = true;
    pn_buf_init(&all, 1 << 20);
    for (unsigned i = 0; i < MANY; i++)
        (void)pn_buf_addz(&all, "HELP\r\n");
    pn_smtp_server_start(o.engine);
    pn_buf_clear(&o.replies);
    for (; at < all.len; calls++) {
        size_t used = pn_smtp_server_input(o.engine, pn_str_slice(pn_buf_str(&all), at, all.len));
        UNIT_TRUE(used > 0 && o.replies.len <= 20 * 1024);
        at += used;
        if (o.replies.len > 20 * 1024 || used == 0)
            break;
        pn_buf_clear(&o.replies);
    }
    UNIT_TRUE(calls > 10 && at == all.len);
    pn_buf_fini(&all);
    owner_fini(&o);
}

static void test_words(void);

/* The name of an announced word's test is that word. */
static const struct unit_test tests[] = {
    {"order", test_order},
    {"paths", test_paths},
    {"smuggling", test_smuggling},
    {"limits", test_limits},
    {"greeting", test_greeting},
    {"answers", test_answers},
    {"drop", test_drop},
    {"codes", test_codes},
    {"lmtp", test_lmtp},
    {"lmtp_many", test_lmtp_many},
    {"unread", test_unread},
    {"PIPELINING", test_pipelining},
    {"SIZE", test_size},
    {"8BITMIME", test_8bitmime},
    {"SMTPUTF8", test_smtputf8},
    {"CHUNKING", test_chunking},
    {"ENHANCEDSTATUSCODES", test_enhancedstatuscodes},
    {"STARTTLS", test_starttls},
    {"LIMITS", test_limits_word},
    {"words", test_words},
    {NULL, NULL},
};

/* Announce nothing that is not tested: what EHLO says is looked up in the table, and is
 * in the engine's list of words. */
static void test_words(void)
{
    struct owner o;
    owner_init(&o, 0);
    pn_smtp_server_start(o.engine);
    pn_buf_clear(&o.replies);
    talk(&o, PN_STR(HI), 0, SIZE_MAX);
    struct pn_str rest = pn_buf_str(&o.replies);
    size_t lines = 0, count = 0;
    while (pn_smtp_server_word(count) != NULL)
        count++;
    for (; rest.len != 0; lines++) {
        struct pn_str line = pn_str_trim(pn_str_split(&rest, '\n'));
        line = pn_str_slice(line, 4, line.len);
        struct pn_str word = pn_str_split(&line, ' ');
        bool tested = lines == 0; /* our name */
        bool listed = tested;
        for (size_t i = 0; tests[i].name != NULL; i++)
            tested = tested || pn_str_eq(word, pn_str_of(tests[i].name));
        for (size_t i = 0; i < count; i++)
            listed = listed || pn_str_eq(word, pn_str_of(pn_smtp_server_word(i)));
        if (!tested || !listed)
            printf("announced and %s: %.*s\n", tested ? "not listed" : "not tested", PN_FMT(word));
        UNIT_TRUE(tested && listed);
    }
    UNIT_INT(lines, 1 + count);
    owner_fini(&o);
}

int main(int argc, char **argv)
{
    return unit_main("smtp_server", tests, argc, argv);
}
