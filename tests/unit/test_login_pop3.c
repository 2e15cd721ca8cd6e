/* POP3 before login. */
#include "login_owner.h"

#include "pop3_capability.h"

#define TLS   "STLS\r\n\1"
#define BEGIN "+OK Begin TLS now\r\n"
#define NEXT  "+OK Now the password\r\n"
#define BYE   "+OK Bye\r\n"
#define WRONG "-ERR [AUTH] Authentication credentials invalid\r\n"
#define LATER "-ERR [SYS/TEMP] Nobody can log in now, try again later\r\n"
#define CLEAR "-ERR Begin TLS first: no passwords in the clear\r\n"
#define ARGS  "-ERR This command takes no argument\r\n"
#define HUH   "-ERR Unknown command\r\n"
#define FIRST "-ERR Log in first\r\n"
#define U_PW  "AHUAcHc="
#define U_NO  "AHUAbm8="
#define WORDS                                                                                      \
    "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\nUTF8 USER\r\n"   \
    "IMPLEMENTATION Postern\r\n"
#define X16  "xxxxxxxxxxxxxxxx"
#define X64  X16 X16 X16 X16
#define X256 X64 X64 X64 X64

static void test_commands(void)
{
    static const struct login_row rows[] = {
        {"QUIT", SAY("QUIT\r\nCAPA\r\n"), BYE, .closed = true},
        {"letters of any case, a bare LF", SAY("quit\n"), BYE, .closed = true},
        {"in the clear", SAY("CAPA\r\n"), "+OK Capabilities follow\r\n" WORDS "STLS\r\n.\r\n"},
        {"over TLS", SAY("CAPA\r\n"),
         "+OK Capabilities follow\r\n" WORDS "USER\r\nSASL SCRAM-SHA-256 PLAIN LOGIN\r\n.\r\n",
         .set = login_secure},
        {"no arguments", SAY("QUIT now\r\nCAPA x\r\nSTLS x\r\n"), ARGS ARGS ARGS},
        {"blanks are none", SAY("UTF8 \r\nQUIT \r\n"), "+OK UTF-8 it is\r\n" BYE, .closed = true},
        {"unknown ones", SAY("APOP u 0\r\n\r\nget x\r\n"), HUH HUH HUH},
        {"a browser", SAY("GET / HTTP/1.1\r\nHost: x\r\n\r\nQUIT\r\n"),
         "-ERR This is a mail server\r\n", .closed = true},
        {"too early", SAY("STAT\r\nretr 1\r\nNOOP\r\n"), FIRST FIRST FIRST},
        {"a NUL", SAY("QU\0IT\r\nQUIT\r\n"), "-ERR A NUL byte has no place here\r\n" BYE,
         .closed = true},
    };
    LOGIN_ROWS(PN_LOGIN_POP3, rows);
}

static void test_user_pass(void)
{
    static const struct login_row rows[] = {
        {"in", SAY("USER u\r\nPASS pw\r\n"), NEXT, "password(u,pw) in() ", "", login_secure},
        {"with commands behind", SAY("USER u\r\nPASS pw\r\nSTAT\r\nQUIT\r\n"), NEXT,
         "password(u,pw) in() ", "STAT\r\nQUIT\r\n", login_secure},
        {"UTF8 first", SAY("UTF8\r\nUSER u\r\nPASS pw\r\n"), "+OK UTF-8 it is\r\n" NEXT,
         "password(u,pw) in(UTF8) ", "", login_secure},
        {"UTF8 before TLS is forgotten", SAY("UTF8\r\n" TLS "USER u\r\nPASS pw\r\n"),
         "+OK UTF-8 it is\r\n" BEGIN NEXT, "password(u,pw) in() ", ""},
        {"the last USER counts", SAY("USER x\r\nUSER u\r\nPASS pw\r\n"), NEXT NEXT,
         "password(u,pw) in() ", "", login_secure},
        {"blanks of a password", SAY("USER u\r\nPASS  p w \r\n"), NEXT WRONG, "password(u, p w ) ",
         .set = login_secure},
        {"an empty one", SAY("USER u\r\nPASS\r\n"), NEXT WRONG, "password(u,) ",
         .set = login_secure},
        {"PASS without USER", SAY("PASS pw\r\nUSER u\r\nPASS no\r\nPASS pw\r\n"),
         "-ERR Give USER first\r\n" NEXT WRONG "-ERR Give USER first\r\n", "password(u,no) ",
         .set = login_secure},
        {"no name", SAY("USER\r\nUSER \r\nUSER " X256 "\r\nPASS x\r\n"),
         "-ERR Bad arguments\r\n-ERR Bad arguments\r\n-ERR Bad arguments\r\n-ERR Give USER "
         "first\r\n",
         .set = login_secure},
        {"in the clear", SAY("USER u\r\nPASS pw\r\nAUTH PLAIN " U_PW "\r\n"), CLEAR CLEAR CLEAR},
        {"a name from before TLS", SAY("USER u\r\n" TLS "PASS pw\r\n"),
         CLEAR BEGIN "-ERR Give USER first\r\n"},
        {"not now", SAY("USER later\r\nPASS pw\r\nUSER u\r\nPASS pw\r\n"), NEXT LATER NEXT,
         "password(later,pw) password(u,pw) in() ", "", login_secure},
        {"shut", SAY("USER shut\r\nPASS pw\r\n"),
         NEXT "-ERR [SYS/TEMP] Too many failed logins, try again later\r\n", "password(shut,pw) ",
         .set = login_secure},
        {"no mailbox", SAY("USER gone\r\nPASS pw\r\nQUIT\r\n"), NEXT LATER BYE,
         "password(gone,pw) in() ", .set = login_secure, .closed = true},
    };
    LOGIN_ROWS(PN_LOGIN_POP3, rows);
}

static void test_auth(void)
{
    static const struct login_row rows[] = {
        {"an initial response", SAY("AUTH PLAIN " U_PW "\r\nSTAT\r\n"), "", "sasl(PLAIN,+) in() ",
         "STAT\r\n", login_secure},
        {"a response", SAY("auth plain\r\n" U_PW "\r\n"), "+ \r\n", "sasl(PLAIN) response(5) in() ",
         "", login_secure},
        {"LOGIN", SAY("AUTH LOGIN\r\ndQ==\r\ncHc=\r\n"), "+ VXNlciBOYW1l\r\n+ UGFzc3dvcmQ=\r\n",
         "sasl(LOGIN) response(1) response(2) in() ", "", login_secure},
        {"last words", SAY("AUTH SCRAM-SHA-256 dQ==\r\n\r\nSTAT\r\n"), "+ dj1sYXN0\r\n",
         "sasl(SCRAM-SHA-256,+) response(0) in() ", "STAT\r\n", login_secure},
        {"an initial response of no byte", SAY("AUTH PLAIN =\r\n"), WRONG, "sasl(PLAIN,+) ",
         .set = login_secure},
        {"wrong, then right", SAY("AUTH PLAIN " U_NO "\r\nAUTH PLAIN " U_PW "\r\n"), WRONG,
         "sasl(PLAIN,+) sasl(PLAIN,+) in() ", "", login_secure},
        {"malformed", SAY("AUTH PLAIN AG9kZAA=\r\n"),
         "-ERR This is no message of the mechanism\r\n", "sasl(PLAIN,+) ", .set = login_secure},
        {"*", SAY("AUTH PLAIN\r\n*\r\nQUIT\r\n"), "+ \r\n-ERR Authentication cancelled\r\n" BYE,
         "sasl(PLAIN) cancel ", .set = login_secure, .closed = true},
        {"* within", SAY("AUTH LOGIN\r\ndQ==\r\n*\r\ncHc=\r\n"),
         "+ VXNlciBOYW1l\r\n+ UGFzc3dvcmQ=\r\n-ERR Authentication cancelled\r\n" HUH,
         "sasl(LOGIN) response(1) cancel ", .set = login_secure},
        {"no base64", SAY("AUTH PLAIN\r\n!\r\nAUTH PLAIN AHU\r\n"),
         "+ \r\n-ERR This is not base64 (RFC 4648, section 4)\r\n"
         "-ERR This is not base64 (RFC 4648, section 4)\r\n",
         "sasl(PLAIN) cancel ", .set = login_secure},
        {"none of ours", SAY("AUTH CRAM-MD5\r\nAUTH SCRAM-SHA-256-PLUS\r\nAUTH PLAI x\r\n"),
         "-ERR This mechanism is not available\r\n-ERR This mechanism is not available\r\n"
         "-ERR This mechanism is not available\r\n",
         .set = login_secure},
        {"their list", SAY("AUTH\r\n"),
         "+OK Mechanisms follow\r\nSCRAM-SHA-256\r\nPLAIN\r\nLOGIN\r\n.\r\n", .set = login_secure},
        {"their list in the clear", SAY("AUTH\r\n"), "+OK Mechanisms follow\r\n.\r\n"},
        {"a secret in the clear is no response", SAY("AUTH PLAIN\r\n" U_PW "\r\n"), CLEAR HUH},
    };
    LOGIN_ROWS(PN_LOGIN_POP3, rows);
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

static void test_tls(void)
{
    static const struct login_row rows[] = {
        {"STLS", SAY(TLS "USER u\r\nPASS pw\r\n"), BEGIN NEXT, "password(u,pw) in() ", ""},
        {"a login sent ahead", SAY("STLS\r\nUSER u\r\nPASS pw\r\nQUIT\r\n"),
         "-ERR Nothing may be sent behind this command before its answer\r\n" CLEAR CLEAR BYE,
         .closed = true, .whole = true},
        {"half a line sent ahead", SAY("STLS\r\nUSE"),
         "-ERR Nothing may be sent behind this command before its answer\r\n", .whole = true},
        {"twice", SAY(TLS "STLS\r\nCAPA\r\n"),
         BEGIN "-ERR TLS is active already\r\n+OK Capabilities follow\r\n" WORDS
               "USER\r\nSASL SCRAM-SHA-256 PLAIN LOGIN\r\n.\r\n"},
        {"no certificate", SAY("STLS\r\nUSER u\r\nCAPA\r\n"),
         "-ERR TLS is not available\r\n-ERR [SYS/PERM] Nobody can log in here\r\n"
         "+OK Capabilities follow\r\n" WORDS ".\r\n",
         .set = no_tls},
        {"no plain passwords", SAY("USER u\r\nPASS pw\r\nCAPA\r\n"),
         "-ERR This mechanism is not available\r\n-ERR This mechanism is not available\r\n"
         "+OK Capabilities follow\r\n" WORDS "SASL SCRAM-SHA-256\r\n.\r\n",
         .set = no_plain},
    };
    LOGIN_ROWS(PN_LOGIN_POP3, rows);
}

static void few_bytes(struct login_owner *o)
{
    login_secure(o);
    o->config.bytes_max = 40;
}

static void test_limits(void)
{
    static const struct login_row rows[] = {
        {"bad commands", SAY("x\r\nx\r\nx\r\nx\r\nx\r\nCAPA\r\n"),
         HUH HUH HUH HUH "-ERR [SYS/PERM] Too many bad commands; closing\r\n", .closed = true},
        {"all commands",
         SAY("UTF8\r\nUTF8\r\nUTF8\r\nUTF8\r\nUTF8\r\nUTF8\r\nUTF8\r\nUTF8\r\nUTF8\r\nUTF8\r\n"
             "UTF8\r\nUTF8\r\nUTF8\r\nUTF8\r\n"),
         "+OK UTF-8 it is\r\n+OK UTF-8 it is\r\n+OK UTF-8 it is\r\n+OK UTF-8 it is\r\n"
         "+OK UTF-8 it is\r\n+OK UTF-8 it is\r\n+OK UTF-8 it is\r\n+OK UTF-8 it is\r\n"
         "+OK UTF-8 it is\r\n+OK UTF-8 it is\r\n+OK UTF-8 it is\r\n+OK UTF-8 it is\r\n"
         "-ERR [SYS/PERM] Too much before a login; closing\r\n",
         .closed = true},
        {"failed logins",
         SAY("AUTH PLAIN " U_NO "\r\nAUTH PLAIN " U_NO "\r\nAUTH PLAIN " U_NO "\r\nQUIT\r\n"),
         WRONG WRONG WRONG, "sasl(PLAIN,+) sasl(PLAIN,+) sasl(PLAIN,+) ", .set = login_secure,
         .closed = true},
        {"bytes", SAY("UTF8\r\nUTF8\r\nUTF8\r\nUTF8\r\nUTF8\r\nUTF8\r\nUTF8\r\nQUIT\r\n"),
         "+OK UTF-8 it is\r\n+OK UTF-8 it is\r\n+OK UTF-8 it is\r\n+OK UTF-8 it is\r\n"
         "+OK UTF-8 it is\r\n+OK UTF-8 it is\r\n+OK UTF-8 it is\r\n"
         "-ERR [SYS/PERM] Too much before a login; closing\r\n",
         .set = few_bytes, .closed = true},
        {"a long line", SAY(X256 X256 X256 X256 X256 "\r\nQUIT\r\n"), "-ERR Line too long\r\n" BYE,
         .closed = true},
        {"a password of the longest", SAY("USER u\r\nPASS " X256 X256 X256 X256 "\r\n"), NEXT WRONG,
         "password(u," X256 X256 X256 X256 ") ", .set = login_secure},
        {"one byte more", SAY("USER u\r\nPASS x" X256 X256 X256 X256 "\r\n"),
         NEXT "-ERR Line too long\r\n", .set = login_secure},
        {"AUTH has longer ones", SAY("AUTH PLAIN " X256 X256 X256 X256 X256 "\r\n"), WRONG,
         "sasl(PLAIN,+) ", .set = login_secure},
        {"a response as well", SAY("AUTH PLAIN\r\n" X256 X256 X256 X256 X256 "\r\n"),
         "+ \r\n" WRONG, "sasl(PLAIN) response(960) ", .set = login_secure},
    };
    LOGIN_ROWS(PN_LOGIN_POP3, rows);
}

static void test_long_response(void)
{
    struct login_owner o;
    char line[12300];
    unit_row("a response beyond its limit ends the exchange");
    login_owner_init(&o, PN_LOGIN_POP3, login_secure);
    memset(line, 'A', sizeof line);
    login_talk(&o, PN_STR("AUTH PLAIN\r\n"), 0, SIZE_MAX);
    login_talk(&o, (struct pn_str){line, sizeof line}, 0, 1000);
    UNIT_INT(o.in.len, 0);
    login_talk(&o, PN_STR("A\r\nQUIT\r\n"), 0, SIZE_MAX);
    UNIT_STR(pn_buf_str(&o.out),
             PN_STR("+ \r\n-ERR Line too long; authentication cancelled\r\n" BYE));
    UNIT_STR(pn_buf_str(&o.told), PN_STR("sasl(PLAIN) cancel "));
    login_owner_fini(&o);
}

static void test_drop(void)
{
    static const struct {
        const char *label;
        enum pn_login_why why;
        struct pn_str input;
        bool late;
        const char *want;
    } rows[] = {
        {"silence has no answer", PN_LOGIN_TIMEOUT, SAY("QUI"), false, ""},
        {"shutdown", PN_LOGIN_SHUTDOWN, SAY(""), false,
         "-ERR [SYS/TEMP] Shutting down, try again in a moment\r\n"},
        {"too many", PN_LOGIN_TOO_MANY, SAY(""), false,
         "-ERR [SYS/TEMP] Too many connections, try again later\r\n"},
        {"while auth thinks", PN_LOGIN_SHUTDOWN, SAY("USER u\r\nPASS pw\r\n"), true,
         NEXT "-ERR [SYS/TEMP] Shutting down, try again in a moment\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct login_owner o;
        unit_row(rows[i].label);
        login_owner_init(&o, PN_LOGIN_POP3, login_secure);
        (void)pn_buf_adds(&o.in, rows[i].input);
        o.late = rows[i].late;
        (void)pn_login_input(o.engine, pn_buf_str(&o.in));
        pn_login_drop(o.engine, rows[i].why);
        pn_login_drop(o.engine, rows[i].why);
        UNIT_STR(pn_buf_str(&o.out), pn_str_of(rows[i].want));
        UNIT_TRUE(o.closed);
        UNIT_INT(pn_login_input(o.engine, PN_STR("CAPA\r\n")), 6);
        login_owner_fini(&o);
    }
}

static void test_full(void)
{
    struct login_owner o;
    unit_row("a client that reads nothing is answered one command at a time");
    login_owner_init(&o, PN_LOGIN_POP3, login_secure);
    o.full = true;
    size_t all = 0;
    struct pn_str input = PN_STR("CAPA\r\nUTF8\r\nCAPA\r\nUTF8\r\n");
    for (int calls = 0; calls < 10 && all < input.len; calls++)
        all += pn_login_input(o.engine, pn_str_slice(input, all, input.len));
    UNIT_INT(all, input.len);
    login_owner_fini(&o);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"commands", test_commands},
        {"USER and PASS", test_user_pass},
        {"AUTH", test_auth},
        {"STLS", test_tls},
        {"limits", test_limits},
        {"a long response", test_long_response},
        {"drop", test_drop},
        {"a full client", test_full},
        {NULL, NULL},
    };
    return unit_main("login pop3", tests, argc, argv);
}
