/* IMAP before login. */
#include "login_owner.h"

#define TLS    "t STARTTLS\r\n\1"
#define BEGIN  "t OK Begin TLS now\r\n"
#define MORE   "+ OK\r\n"
#define WRONG  " NO [AUTHENTICATIONFAILED] Authentication credentials invalid\r\n"
#define LATER  " NO [UNAVAILABLE] Nobody can log in now, try again later\r\n"
#define CLEAR  " NO [PRIVACYREQUIRED] Begin TLS first: no passwords in the clear\r\n"
#define ARGS   " BAD Bad arguments\r\n"
#define HUH    " BAD Unknown command\r\n"
#define FIRST  " BAD Log in first\r\n"
#define LONG   " BAD Line too long\r\n"
#define LARGE  " BAD [TOOBIG] The literal is too large\r\n"
#define NOLIT  " BAD No literal can stand here\r\n"
#define NOTAG  "* BAD A command begins with a tag\r\n"
#define GONE   "* BYE Logging out\r\n"
#define NOBASE " BAD This is not base64 (RFC 4648, section 4)\r\n"
#define U_PW   "AHUAcHc="
#define U_NO   "AHUAbm8="
#define X16    "xxxxxxxxxxxxxxxx"
#define X64    X16 X16 X16 X16
#define X256   X64 X64 X64 X64
#define X1024  X256 X256 X256 X256

static void test_commands(void)
{
    static const struct login_row rows[] = {
        {"NOOP", SAY("a NOOP\r\nB2 noop\n"), "a OK Done\r\nB2 OK Done\r\n"},
        {"LOGOUT", SAY("a LOGOUT\r\nb NOOP\r\n"), GONE "a OK Done\r\n", .closed = true},
        {"ID", SAY("a ID NIL\r\nb ID (\"name\" \"x\" \"version\" NIL)\r\nc ID ()\r\n"),
         "* ID (\"name\" \"Postern\")\r\na OK Done\r\n* ID (\"name\" \"Postern\")\r\nb OK Done\r\n"
         "* ID (\"name\" \"Postern\")\r\nc OK Done\r\n"},
        {"a literal in ID", SAY("a ID (\"name\" {3}\r\nabc)\r\nb NOOP\r\n"),
         MORE "* ID (\"name\" \"Postern\")\r\na OK Done\r\nb OK Done\r\n"},
        {"no ID", SAY("a ID\r\nb ID x\r\nc ID (\"name\")\r\nd ID NIL x\r\n"),
         "a" ARGS "b" ARGS "c" ARGS "d" ARGS},
        {"no arguments", SAY("a NOOP x\r\nb CAPABILITY x\r\nc LOGOUT \r\nd STARTTLS x\r\n"),
         "a" ARGS "b" ARGS "c" ARGS "d" ARGS},
        {"no tag", SAY("\r\nNOOP\r\n* NOOP\r\n+ NOOP\r\n"), NOTAG NOTAG NOTAG NOTAG},
        {"a tag of the longest, and one byte more", SAY(X64 " NOOP\r\nx" X64 " NOOP\r\n"),
         X64 " OK Done\r\n" NOTAG},
        {"unknown", SAY("a XYZZY\r\nb  NOOP\r\n"), "a" HUH "b" HUH},
        {"a browser", SAY("POST / HTTP/1.1\r\nHost: x\r\n\r\na NOOP\r\n"),
         "* BYE This is a mail server\r\n", .closed = true},
        {"a tag may look so", SAY("GET NOOP\r\n"), "GET OK Done\r\n"},
        {"too early",
         SAY("a SELECT INBOX\r\nb idle\r\nc ENABLE IMAP4rev2\r\nd UID FETCH 1 FLAGS\r\n"),
         "a" FIRST "b" FIRST "c" FIRST "d" FIRST},
    };
    LOGIN_ROWS(PN_LOGIN_IMAP, rows);
}

static void no_plain(struct login_owner *o)
{
    login_secure(o);
    o->config.mechanisms = PN_STR("SCRAM-SHA-256");
}

static void no_tls(struct login_owner *o)
{
    o->config.starttls = false;
}

static void loopback(struct login_owner *o)
{
    o->config.mechanisms = PN_STR("PLAIN");
}

/* What is before the words of the table may grow; the rest depends on the connection. */
static void test_capability(void)
{
    static const struct {
        const char *label;
        void (*set)(struct login_owner *o);
        const char *want;
    } rows[] = {
        {"in the clear", NULL, " STARTTLS LOGINDISABLED\r\na OK Done\r\n"},
        {"over TLS", login_secure, " AUTH=SCRAM-SHA-256 AUTH=PLAIN AUTH=LOGIN\r\na OK Done\r\n"},
        {"no certificate", no_tls, " LOGINDISABLED\r\na OK Done\r\n"},
        {"no plain passwords", no_plain, " LOGINDISABLED AUTH=SCRAM-SHA-256\r\na OK Done\r\n"},
        {"in the clear, allowed", loopback, " STARTTLS AUTH=PLAIN\r\na OK Done\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct login_owner o;
        unit_row(rows[i].label);
        login_owner_init(&o, PN_LOGIN_IMAP, rows[i].set);
        login_talk(&o, PN_STR("a CAPABILITY\r\n"), 0, SIZE_MAX);
        struct pn_str out = pn_buf_str(&o.out), want = pn_str_of(rows[i].want);
        UNIT_TRUE(pn_str_starts(out, PN_STR("* CAPABILITY IMAP4rev1 ")));
        UNIT_STR(pn_str_slice(out, out.len > want.len ? out.len - want.len : 0, out.len), want);
        login_owner_fini(&o);
    }
}

static void test_login(void)
{
    static const struct login_row rows[] = {
        {"atoms", SAY("a LOGIN u pw\r\n"), "", "password(u,pw) in(a) ", "", login_secure},
        {"quoted", SAY("a login \"u\" \"p\\\"\\\\w\"\r\n"), "a" WRONG, "password(u,p\"\\w) ",
         .set = login_secure},
        {"with commands behind", SAY("a LOGIN u pw\r\nb SELECT INBOX\r\nc NO"), "",
         "password(u,pw) in(a) ", "b SELECT INBOX\r\nc NO", login_secure},
        {"literals", SAY("a LOGIN {1}\r\nu {2}\r\npw\r\nb NOOP\r\n"), MORE MORE,
         "password(u,pw) in(a) ", "b NOOP\r\n", login_secure},
        {"literals unasked", SAY("a LOGIN {1+}\r\nu {2+}\r\npw\r\nb NOOP\r\n"), "",
         "password(u,pw) in(a) ", "b NOOP\r\n", login_secure},
        {"any byte in a literal", SAY("a LOGIN u {5}\r\n\"\r\n\\ \r\n"), MORE "a" WRONG,
         "password(u,\"\r\n\\ ) ", .set = login_secure},
        {"a literal of no byte", SAY("a LOGIN u {0}\r\n\r\n"), MORE "a" WRONG, "password(u,) ",
         .set = login_secure},
        {"wrong, then right", SAY("a LOGIN u no\r\nb LOGIN u pw\r\n"), "a" WRONG,
         "password(u,no) password(u,pw) in(b) ", "", login_secure},
        {"arguments", SAY("a LOGIN\r\nb LOGIN u\r\nc LOGIN u pw x\r\nd LOGIN u  pw\r\n"),
         "a" ARGS "b" ARGS "c" ARGS "d" ARGS, .set = login_secure},
        {"an empty name", SAY("a LOGIN \"\" pw\r\n"), "a" ARGS, .set = login_secure},
        {"a NUL", SAY("a LOGIN u {2}\r\n\0x\r\n"), MORE "a" ARGS, .set = login_secure},
        {"in the clear", SAY("a LOGIN u pw\r\nb LOGIN {1}\r\n\1c NOOP\r\n"),
         "a" CLEAR "b" CLEAR "c OK Done\r\n"},
        {"a literal in the clear is refused at once", SAY("a LOGIN {1}\r\n"), "a" CLEAR},
        {"in the clear, unasked", SAY("a LOGIN {1+}\r\nu {2+}\r\npw\r\nc NOOP\r\n"),
         "a" CLEAR "c OK Done\r\n"},
        {"in the clear, allowed", SAY("a LOGIN u pw\r\n"), "", "password(u,pw) in(a) ", "",
         loopback},
        {"not with plain passwords", SAY("a LOGIN u pw\r\n"),
         "a NO [CANNOT] This mechanism is not available\r\n", .set = no_plain},
        {"not here", SAY("a LOGIN u pw\r\n"), "a NO [CANNOT] Nobody can log in here\r\n",
         .set = no_tls},
        {"not now", SAY("a LOGIN later pw\r\nb LOGIN u pw\r\n"), "a" LATER,
         "password(later,pw) password(u,pw) in(b) ", "", login_secure},
        {"shut", SAY("a LOGIN shut pw\r\n"),
         "a NO [UNAVAILABLE] Too many failed logins, try again later\r\n", "password(shut,pw) ",
         .set = login_secure},
        {"no mailbox", SAY("a LOGIN gone pw\r\nb LOGOUT\r\n"), "a" LATER GONE "b OK Done\r\n",
         "password(gone,pw) in(a) ", .set = login_secure, .closed = true},
    };
    LOGIN_ROWS(PN_LOGIN_IMAP, rows);
}

static void test_authenticate(void)
{
    static const struct login_row rows[] = {
        {"a response", SAY("a authenticate plain\r\n" U_PW "\r\nb NOOP\r\n"), "+ \r\n",
         "sasl(PLAIN) response(5) in(a) ", "b NOOP\r\n", login_secure},
        {"LOGIN", SAY("a AUTHENTICATE LOGIN\r\ndQ==\r\ncHc=\r\n"),
         "+ VXNlciBOYW1l\r\n+ UGFzc3dvcmQ=\r\n", "sasl(LOGIN) response(1) response(2) in(a) ", "",
         login_secure},
        {"last words", SAY("a AUTHENTICATE SCRAM-SHA-256 dQ==\r\n\r\nb NOOP\r\n"), "+ dj1sYXN0\r\n",
         "sasl(SCRAM-SHA-256,+) response(0) in(a) ", "b NOOP\r\n", login_secure},
        {"malformed", SAY("a AUTHENTICATE PLAIN AG9kZAA=\r\n"),
         "a BAD This is no message of the mechanism\r\n", "sasl(PLAIN,+) ", .set = login_secure},
        {"*", SAY("a AUTHENTICATE PLAIN\r\n*\r\nb NOOP\r\n"),
         "+ \r\na BAD Authentication cancelled\r\nb OK Done\r\n", "sasl(PLAIN) cancel ",
         .set = login_secure},
        {"no base64", SAY("a AUTHENTICATE PLAIN\r\n!\r\nb AUTHENTICATE PLAIN AHU\r\n"),
         "+ \r\na" NOBASE "b" NOBASE, "sasl(PLAIN) cancel ", .set = login_secure},
        {"a response that ends as a literal", SAY("a AUTHENTICATE PLAIN\r\n{3+}\r\nb NOOP\r\n"),
         "+ \r\na" NOBASE "b OK Done\r\n", "sasl(PLAIN) cancel ", .set = login_secure},
        {"none of ours", SAY("a AUTHENTICATE CRAM-MD5\r\nb AUTHENTICATE SCRAM-SHA-256-PLUS x\r\n"),
         "a NO [CANNOT] This mechanism is not available\r\n"
         "b NO [CANNOT] This mechanism is not available\r\n",
         .set = login_secure},
        {"arguments", SAY("a AUTHENTICATE\r\nb AUTHENTICATE \r\nc AUTHENTICATE PLAIN \r\n"),
         "a" ARGS "b" ARGS "c" ARGS, .set = login_secure},
        {"in the clear",
         SAY("a AUTHENTICATE PLAIN " U_PW "\r\nb AUTHENTICATE PLAIN\r\n" U_PW "\r\n"),
         "a" CLEAR "b" CLEAR NOTAG},
    };
    LOGIN_ROWS(PN_LOGIN_IMAP, rows);
}

static void test_sasl_ir(void)
{
    static const struct login_row rows[] = {
        {"an initial response", SAY("a AUTHENTICATE PLAIN " U_PW "\r\nb NOOP\r\n"), "",
         "sasl(PLAIN,+) in(a) ", "b NOOP\r\n", login_secure},
        {"an initial response of no byte", SAY("a AUTHENTICATE PLAIN =\r\n"), "a" WRONG,
         "sasl(PLAIN,+) ", .set = login_secure},
    };
    LOGIN_ROWS(PN_LOGIN_IMAP, rows);
}

static void test_tls(void)
{
    static const struct login_row rows[] = {
        {"STARTTLS", SAY(TLS "a LOGIN u pw\r\n"), BEGIN, "password(u,pw) in(a) ", ""},
        {"a login sent ahead", SAY("t STARTTLS\r\na LOGIN u pw\r\nb NOOP\r\n"),
         "t BAD Nothing may be sent behind this command before its answer\r\na" CLEAR
         "b OK Done\r\n",
         .whole = true},
        {"half a line sent ahead", SAY("t STARTTLS\r\na LOG"),
         "t BAD Nothing may be sent behind this command before its answer\r\n", .whole = true},
        {"twice", SAY(TLS "a STARTTLS\r\n"), BEGIN "a BAD TLS is active already\r\n"},
        {"no certificate", SAY("a STARTTLS\r\n"), "a BAD TLS is not available\r\n", .set = no_tls},
    };
    LOGIN_ROWS(PN_LOGIN_IMAP, rows);
}

/* Bytes that come between our OK and the handshake are no commands. */
static void test_handshake(void)
{
    struct login_owner o;
    unit_row("plain text in the handshake");
    login_owner_init(&o, PN_LOGIN_IMAP, NULL);
    UNIT_INT(pn_login_input(o.engine, PN_STR("t STARTTLS\r\n")), 12);
    UNIT_TRUE(o.tls_due);
    UNIT_INT(pn_login_input(o.engine, PN_STR("a NOOP\r\n")), 8);
    UNIT_STR(pn_buf_str(&o.out), PN_STR(BEGIN));
    pn_login_drop(o.engine, PN_LOGIN_TIMEOUT);
    UNIT_STR(pn_buf_str(&o.out), PN_STR(BEGIN));
    UNIT_TRUE(o.closed);
    login_owner_fini(&o);
}

static void few_bytes(struct login_owner *o)
{
    login_secure(o);
    o->config.bytes_max = 47; /* the last byte of a line is beyond it */
}

static void test_limits(void)
{
    static const struct login_row rows[] = {
        {"bad commands", SAY("a x\r\nb x\r\nc x\r\nd x\r\ne x\r\nf NOOP\r\n"),
         "a" HUH "b" HUH "c" HUH "d" HUH "* BYE Too many bad commands; closing\r\n",
         .closed = true},
        {"failed logins", SAY("a LOGIN u no\r\nb LOGIN u no\r\nc LOGIN u no\r\nd LOGIN u pw\r\n"),
         "a" WRONG "b" WRONG "c" WRONG "* BYE Too many failed logins; closing\r\n",
         "password(u,no) password(u,no) password(u,no) ", .set = login_secure, .closed = true},
        {"bytes", SAY("a NOOP\r\na NOOP\r\na NOOP\r\na NOOP\r\na NOOP\r\na NOOP\r\na NOOP\r\n"),
         "a OK Done\r\na OK Done\r\na OK Done\r\na OK Done\r\na OK Done\r\na OK Done\r\n"
         "* BYE Too much before a login; closing\r\n",
         .set = few_bytes, .closed = true},
        {"a literal too large", SAY("a LOGIN u {20000}\r\n\1b NOOP\r\n"), "a" LARGE "b OK Done\r\n",
         .set = login_secure},
        {"and at once", SAY("a LOGIN u {20000}\r\n"), "a" LARGE, .set = login_secure},
        {"a literal beyond all numbers", SAY("a LOGIN u {99999999999999999999999}\r\n\1b NOOP\r\n"),
         "a" LARGE "b OK Done\r\n", .set = login_secure},
        {"a literal elsewhere", SAY("a NOOP {3}\r\n\1b SELECT {5}\r\n\1c NOOP\r\n"),
         "a" NOLIT "b" FIRST "c OK Done\r\n", .set = login_secure},
        {"an unasked one beyond what is read over", SAY("a LOGIN u {70000+}\r\nb NOOP\r\n"),
         "* BYE [TOOBIG] The literal is too large; closing\r\n", .set = login_secure,
         .closed = true},
        {"an unasked one that nobody wants", SAY("a NOOP {3+}\r\nabc\r\nb XYZZY {2+}\r\nab\r\n"),
         "a" NOLIT "b" HUH, .set = login_secure},
        {"a password of the longest", SAY("a LOGIN u {1024}\r\n" X1024 "\r\n"), MORE "a" WRONG,
         "password(u," X1024 ") ", .set = login_secure},
        {"one byte more", SAY("a LOGIN u {1025}\r\nx" X1024 "\r\n"), MORE "a" ARGS,
         .set = login_secure},
    };
    LOGIN_ROWS(PN_LOGIN_IMAP, rows);
}

/* 4096 bytes may be sent unasked (RFC 7888, section 5). */
static void test_unasked(void)
{
    static const struct {
        const char *label, *head, *want;
        size_t size;
    } rows[] = {
        {"the most", "a LOGIN u {4096+}\r\n", "a" ARGS "b OK Done\r\n", 4096},
        {"one byte more", "a LOGIN u {4097+}\r\n", "a" LARGE "b OK Done\r\n", 4097},
        {"a line too long behind one", "a LOGIN {1+}\r\nu ", "a" LONG "b OK Done\r\n", 20000},
    };
    static char bytes[20000];
    memset(bytes, 'x', sizeof bytes);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t step = 1; step < 10000; step *= 9) {
            struct login_owner o;
            unit_row(rows[i].label);
            login_owner_init(&o, PN_LOGIN_IMAP, login_secure);
            login_talk(&o, pn_str_of(rows[i].head), 0, step);
            login_talk(&o, (struct pn_str){bytes, rows[i].size}, 0, step);
            login_talk(&o, PN_STR("\r\nb NOOP\r\n"), 0, step);
            UNIT_STR(pn_buf_str(&o.out), pn_str_of(rows[i].want));
            login_owner_fini(&o);
        }
    }
}

static void test_flood(void)
{
    struct login_owner o;
    static char line[64 * 1024];
    unit_row("a line without an end");
    login_owner_init(&o, PN_LOGIN_IMAP, login_secure);
    memset(line, 'x', sizeof line);
    for (int i = 0; i < 4 && !o.closed; i++)
        login_talk(&o, (struct pn_str){line, sizeof line}, 0, 1000);
    UNIT_TRUE(o.closed);
    UNIT_STR(pn_buf_str(&o.out), PN_STR("* BYE Too much before a login; closing\r\n"));
    login_owner_fini(&o);
    unit_row("a response without an end");
    login_owner_init(&o, PN_LOGIN_IMAP, login_secure);
    login_talk(&o, PN_STR("a AUTHENTICATE PLAIN\r\n"), 0, SIZE_MAX);
    login_talk(&o, (struct pn_str){line, 20000}, 0, 1000);
    login_talk(&o, PN_STR("\r\nb NOOP\r\n"), 0, SIZE_MAX);
    UNIT_STR(pn_buf_str(&o.told), PN_STR("sasl(PLAIN) cancel "));
    UNIT_STR(pn_buf_str(&o.out),
             PN_STR("+ \r\na BAD Line too long; authentication cancelled\r\nb OK Done\r\n"));
    login_owner_fini(&o);
}

static void test_drop(void)
{
    static const struct {
        const char *label;
        enum pn_login_why why;
        const char *want;
    } rows[] = {
        {"silence", PN_LOGIN_TIMEOUT, "* BYE Timeout, closing the connection\r\n"},
        {"shutdown", PN_LOGIN_SHUTDOWN,
         "* BYE [UNAVAILABLE] Shutting down, try again in a moment\r\n"},
        {"too many", PN_LOGIN_TOO_MANY,
         "* BYE [UNAVAILABLE] Too many connections, try again later\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct login_owner o;
        unit_row(rows[i].label);
        login_owner_init(&o, PN_LOGIN_IMAP, NULL);
        pn_login_drop(o.engine, rows[i].why);
        UNIT_STR(pn_buf_str(&o.out), pn_str_of(rows[i].want));
        UNIT_TRUE(o.closed);
        login_owner_fini(&o);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"commands", test_commands},
        {"CAPABILITY", test_capability},
        {"LOGIN", test_login},
        {"AUTHENTICATE", test_authenticate},
        {"SASL-IR", test_sasl_ir},
        {"STARTTLS", test_tls},
        {"the handshake", test_handshake},
        {"limits", test_limits},
        {"floods", test_flood},
        {"LITERAL-", test_unasked},
        {"drop", test_drop},
        {NULL, NULL},
    };
    return unit_main("login imap", tests, argc, argv);
}
