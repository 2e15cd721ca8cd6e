/* A test for each word that CAPA announces, of that word's name. */
#include "fake_folder.h"
#include "login_owner.h"

#include "engine.h"
#include "pop3_capability.h"

#define IN "USER u\r\nPASS pw\r\n"

/* What a client hears before login; `told` says what was asked of the owner. */
static void before(struct pn_str input, void (*set)(struct login_owner *o), struct pn_buf *out,
                   struct pn_buf *told)
{
    struct login_owner o;
    login_owner_init(&o, PN_LOGIN_POP3, set);
    login_talk(&o, input, 0, SIZE_MAX);
    (void)pn_buf_adds(out, pn_buf_str(&o.out));
    if (told != NULL)
        (void)pn_buf_adds(told, pn_buf_str(&o.told));
    login_owner_fini(&o);
}

/* And after it, on three messages. */
static void after(struct pn_str input, struct pn_buf *out)
{
    enum pn_engine_next next;
    fake_folder_clear();
    fake_folder_add(PN_STR("Subject: 1\n\none\ntwo\n"));
    fake_folder_add(PN_STR("Subject: 2\n\n"));
    fake_folder_add((struct pn_str){NULL, 0}); /* can't be read */
    struct pn_engine_start start = {.user = fake_user()};
    struct pn_engine *engine = pn_pop3_new(&start);
    do
        next = engine->kind->run(engine, &input, out);
    while (next == PN_ENGINE_MORE || next == PN_ENGINE_HEARD);
    engine->kind->free(engine);
}

static bool has(const struct pn_buf *out, const char *text)
{
    struct pn_str all = pn_buf_str(out), want = pn_str_of(text);
    for (size_t at = 0; at + want.len <= all.len; at++)
        if (pn_str_eq(pn_str_slice(all, at, at + want.len), want))
            return true;
    return false;
}

struct said {
    struct pn_buf before, told, after;
};

static void begin(struct said *s, struct pn_str first, void (*set)(struct login_owner *o),
                  struct pn_str then)
{
    pn_buf_init(&s->before, 1 << 20);
    pn_buf_init(&s->told, 1 << 20);
    pn_buf_init(&s->after, 1 << 20);
    before(first, set, &s->before, &s->told);
    after(then, &s->after);
}

static void end(struct said *s)
{
    pn_buf_fini(&s->before);
    pn_buf_fini(&s->told);
    pn_buf_fini(&s->after);
}

/* Announced on both sides of login, mostly; what it promises is in `promise`. */
static void word(const char *line, struct pn_str then, const char *promise)
{
    struct said s;
    unit_row(line);
    begin(&s, PN_STR("CAPA\r\n"), login_secure, PN_STR("CAPA\r\n"));
    UNIT_TRUE(has(&s.before, line));
    UNIT_TRUE(has(&s.after, line));
    end(&s);
    begin(&s, PN_STR(""), login_secure, then);
    UNIT_TRUE(has(&s.after, promise));
    end(&s);
}

static void test_top(void)
{
    word("\r\nTOP\r\n", PN_STR("TOP 1 1\r\n"), "+OK\r\nSubject: 1\r\n\r\none\r\n.\r\n");
}

static void test_uidl(void)
{
    word("\r\nUIDL\r\n", PN_STR("UIDL\r\n"),
         "\r\n1 1700000000.10\r\n2 1700000000.20\r\n3 1700000000.30\r\n.\r\n");
}

static void test_resp_codes(void)
{
    struct said s;
    word("\r\nRESP-CODES\r\n", PN_STR("RETR 3\r\n"), "-ERR [SYS/TEMP] ");
    unit_row("no other answer looks so");
    begin(&s, PN_STR("USER later\r\nPASS pw\r\nSTAT\r\n"), login_secure, PN_STR("RETR 9\r\n"));
    UNIT_TRUE(has(&s.before, "-ERR [SYS/TEMP] ") && has(&s.before, "-ERR Log in first"));
    UNIT_TRUE(has(&s.after, "-ERR No such"));
    end(&s);
}

static void test_auth_resp_code(void)
{
    struct said s;
    word("\r\nAUTH-RESP-CODE\r\n", PN_STR("STAT\r\n"), "+OK 3 ");
    unit_row("only what the client's words were wrong for");
    begin(&s, PN_STR("USER u\r\nPASS no\r\n"), login_secure, PN_STR(""));
    UNIT_TRUE(has(&s.before, "-ERR [AUTH] "));
    end(&s);
    begin(&s, PN_STR("USER later\r\nPASS no\r\n"), login_secure, PN_STR(""));
    UNIT_TRUE(!has(&s.before, "[AUTH]") && has(&s.before, "-ERR [SYS/TEMP] "));
    end(&s);
}

static void test_pipelining(void)
{
    struct said s;
    word("\r\nPIPELINING\r\n", PN_STR("STAT\r\nDELE 1\r\nNOOP\r\nQUIT\r\n"),
         "+OK 3 38\r\n+OK Marked\r\n+OK\r\n+OK Bye\r\n");
    unit_row("across a login that fails");
    begin(&s, PN_STR("USER u\r\nPASS no\r\nUSER u\r\nPASS no\r\nCAPA\r\nQUIT\r\n"), login_secure,
          PN_STR(""));
    UNIT_TRUE(has(&s.before, ".\r\n+OK Bye\r\n"));
    end(&s);
}

static void test_expire(void)
{
    /* Nothing but DELE removes: a session that did not say it leaves all. */
    word("\r\nEXPIRE NEVER\r\n", PN_STR("RETR 1\r\nQUIT\r\n"), ".\r\n+OK Bye\r\n");
    for (size_t i = 0; i < fake_folder.count; i++)
        UNIT_TRUE(!fake_folder.mails[i].removed);
}

static void test_utf8(void)
{
    struct said s;
    word("\r\nUTF8 USER\r\n", PN_STR("STAT\r\n"), "+OK 3 ");
    unit_row("a name and a password");
    begin(&s, PN_STR("UTF8\r\nUSER \xc3\xbc\r\nPASS \xc3\xa4 b\r\n"), login_secure, PN_STR(""));
    UNIT_TRUE(has(&s.told, "password(\xc3\xbc,\xc3\xa4 b) "));
    end(&s);
    unit_row("it is told on");
    begin(&s, PN_STR("UTF8\r\n" IN), login_secure, PN_STR(""));
    UNIT_TRUE(has(&s.told, "in(UTF8) "));
    end(&s);
}

static void test_implementation(void)
{
    word("\r\nIMPLEMENTATION Postern\r\n", PN_STR("STAT\r\n"), "+OK 3 ");
}

/* The rest depends on the connection, and is of no use after login. */
static void offered(const char *line, void (*set)(struct login_owner *o), bool want)
{
    struct said s;
    unit_row(line);
    begin(&s, PN_STR("CAPA\r\n"), set, PN_STR("CAPA\r\n"));
    UNIT_INT(has(&s.before, line), want);
    UNIT_TRUE(!has(&s.after, line));
    end(&s);
}

static void no_tls(struct login_owner *o)
{
    o->config.starttls = false;
}

static void only_scram(struct login_owner *o)
{
    login_secure(o);
    o->config.mechanisms = PN_STR("SCRAM-SHA-256");
}

static void test_stls(void)
{
    struct said s;
    offered("\r\nSTLS\r\n", NULL, true);
    offered("\r\nSTLS\r\n", login_secure, false);
    offered("\r\nSTLS\r\n", no_tls, false);
    begin(&s, PN_STR("STLS\r\n\1" IN), NULL, PN_STR(""));
    UNIT_TRUE(has(&s.told, "in() "));
    end(&s);
}

static void test_user(void)
{
    struct said s;
    offered("\r\nUSER\r\n", login_secure, true);
    offered("\r\nUSER\r\n", NULL, false);
    offered("\r\nUSER\r\n", only_scram, false);
    begin(&s, PN_STR(IN), login_secure, PN_STR(""));
    UNIT_TRUE(has(&s.told, "password(u,pw) in() "));
    end(&s);
}

static void test_sasl(void)
{
    struct said s;
    offered("\r\nSASL SCRAM-SHA-256 PLAIN LOGIN\r\n", login_secure, true);
    offered("\r\nSASL SCRAM-SHA-256\r\n", only_scram, true);
    offered("\r\nSASL", NULL, false);
    begin(&s, PN_STR("AUTH PLAIN AHUAcHc=\r\n"), login_secure, PN_STR(""));
    UNIT_TRUE(has(&s.told, "sasl(PLAIN,+) in() "));
    end(&s);
}

static void test_all(void);

static const struct unit_test tests[] = {
    {"TOP", test_top},
    {"UIDL", test_uidl},
    {"RESP-CODES", test_resp_codes},
    {"AUTH-RESP-CODE", test_auth_resp_code},
    {"PIPELINING", test_pipelining},
    {"EXPIRE NEVER", test_expire},
    {"UTF8 USER", test_utf8},
    {"IMPLEMENTATION Postern", test_implementation},
    {"STLS", test_stls},
    {"USER", test_user},
    {"SASL", test_sasl},
    {"each word has a test", test_all},
    {NULL, NULL},
};

static void test_all(void)
{
    const char *name;
    for (size_t i = 0; (name = pn_pop3_capability_word(i)) != NULL; i++) {
        const struct unit_test *t = tests;
        while (t->name != NULL && strcmp(t->name, name) != 0)
            t++;
        unit_row(name);
        UNIT_TRUE(t->name != NULL);
    }
}

int main(int argc, char **argv)
{
    return unit_main("pop3 words", tests, argc, argv);
}
