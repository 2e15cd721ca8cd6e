/* Logins as their mechanisms see them: exchanges with libgsasl's own clients, and with what no
 * client should say; the users that they are checked against. */
#include "unit.h"

#include "auth_rig.h"
#include "exchange.h"

#include <stdlib.h>
#include <unistd.h>

static const char exporter[] = "0123456789abcdef0123456789abcdef";
static const char other_exporter[] = "0123456789abcdef0123456789abcdeX";
static const unsigned char salt_key[AUTH_SALT_KEY] = "thirty-two bytes, of random once";

#define P PN_SASL_PLAIN
#define L PN_SASL_LOGIN
#define S PN_SASL_SCRAM_SHA_256
#define X PN_SASL_SCRAM_SHA_256_PLUS

static struct auth_sasl *sasl;
static struct auth_users *users;

static struct auth_exchange *begin(enum pn_sasl_mechanism mechanism, const char *bound_to)
{
    struct pn_str e = pn_str_of(bound_to);
    return auth_exchange_new(sasl, mechanism, e, users);
}

/* To its end, or to the password that is to be checked. */
static enum auth_step converse(struct auth_exchange *e, struct auth_client *client, bool initial)
{
    struct pn_buf said, out;
    enum auth_step step = AUTH_CHALLENGE;
    bool first = true;
    pn_buf_init(&said, 1 << 16);
    pn_buf_init(&out, PN_SASL_MESSAGE_MAX);
    for (int i = 0; i < 8 && (step == AUTH_CHALLENGE || step == AUTH_PROVED); i++) {
        if (!first || initial) {
            if (!auth_client_step(client, pn_buf_str(&out), &said)) {
                step = AUTH_MALFORMED;
                break;
            }
        }
        step = auth_exchange_step(e, !first || initial, pn_buf_str(&said), &out);
        first = false;
    }
    pn_buf_fini(&said);
    pn_buf_fini(&out);
    return step;
}

static bool verify(const struct auth_exchange *e)
{
    const struct pn_password *password = auth_exchange_password(e);
    const struct pn_user *user = auth_exchange_user(e);
    return password != NULL &&
           pn_password_is_yescrypt(password,
                                   user == NULL ? auth_sasl_nobody(sasl) : user->yescrypt) &&
           user != NULL;
}

static void test_mechanisms(void)
{
    static const struct {
        const char *label;
        enum pn_sasl_mechanism mechanism;
        bool initial;
        const char *user, *password, *theirs, *ours; /* exporters */
        enum auth_step want;
        bool verified;
        const char *name, *why;
    } rows[] = {
        {"plain", P, true, "ann@here.test", "s3cret pass", NULL, NULL, AUTH_PASSWORD, true,
         "ann@here.test", "password"},
        {"plain, asked for", P, false, "ann@here.test", "s3cret pass", NULL, NULL, AUTH_PASSWORD,
         true, "ann@here.test", "password"},
        {"another form of the name", P, true, "Ann@HERE.test", "s3cret pass", NULL, NULL,
         AUTH_PASSWORD, true, "ann@here.test", "password"},
        {"plain, a wrong password", P, true, "ann@here.test", "s3cret  pass", NULL, NULL,
         AUTH_PASSWORD, false, "ann@here.test", "password"},
        {"plain, nobody", P, true, "eve@here.test", "s3cret pass", NULL, NULL, AUTH_PASSWORD, false,
         "eve@here.test", "no-user"},
        {"plain, no address", P, true, "ann", "s3cret pass", NULL, NULL, AUTH_PASSWORD, false, "",
         "no-user"},
        {"login", L, false, "bob@here.test", "bob's own", NULL, NULL, AUTH_PASSWORD, true,
         "bob@here.test", "password"},
        {"login, a wrong password", L, false, "bob@here.test", "x", NULL, NULL, AUTH_PASSWORD,
         false, "bob@here.test", "password"},
        {"scram", S, true, "ann@here.test", "s3cret pass", NULL, NULL, AUTH_OK, false,
         "ann@here.test", ""},
        {"scram, asked for", S, false, "ann@here.test", "s3cret pass", NULL, NULL, AUTH_OK, false,
         "ann@here.test", ""},
        {"scram, without case", S, true, "ANN@here.test", "s3cret pass", NULL, NULL, AUTH_OK, false,
         "ann@here.test", ""},
        {"scram, a wrong password", S, true, "ann@here.test", "secret", NULL, NULL, AUTH_REFUSED,
         false, "ann@here.test", "password"},
        {"scram, nobody", S, true, "eve@here.test", "s3cret pass", NULL, NULL, AUTH_REFUSED, false,
         "eve@here.test", "no-user"},
        {"scram, no verifier", S, true, "bob@here.test", "bob's own", NULL, NULL, AUTH_REFUSED,
         false, "bob@here.test", "no-scram"},
        {"scram, though it could bind", S, true, "ann@here.test", "s3cret pass", NULL, exporter,
         AUTH_OK, false, "ann@here.test", ""},
        {"plus", X, true, "ann@here.test", "s3cret pass", exporter, exporter, AUTH_OK, false,
         "ann@here.test", ""},
        {"plus, a wrong password", X, true, "ann@here.test", "secret", exporter, exporter,
         AUTH_REFUSED, false, "ann@here.test", "password"},
        {"plus, somebody between", X, true, "ann@here.test", "s3cret pass", other_exporter,
         exporter, AUTH_REFUSED, false, "ann@here.test", "password"},
        {"plus, not bound here", X, true, "ann@here.test", "s3cret pass", exporter, NULL,
         AUTH_REFUSED, false, "", "binding"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct auth_exchange *e = begin(rows[i].mechanism, rows[i].ours);
        struct auth_client *client =
            auth_client_new(rows[i].mechanism, rows[i].user, rows[i].password, rows[i].theirs);
        unit_row(rows[i].label);
        UNIT_INT(converse(e, client, rows[i].initial), rows[i].want);
        if (rows[i].want == AUTH_PASSWORD)
            UNIT_INT(verify(e), rows[i].verified);
        auth_exchange_wipe(e);
        UNIT_TRUE(auth_exchange_password(e) == NULL);
        UNIT_STR(auth_exchange_name(e), pn_str_of(rows[i].name));
        UNIT_STR(pn_str_of(auth_exchange_why(e)), pn_str_of(rows[i].why));
        auth_client_free(&client);
        auth_exchange_free(&e);
    }
}

static void test_authzid(void)
{
    static const struct {
        const char *label, *authzid;
        bool want;
    } rows[] = {{"himself", "ann@here.test", true},
                {"in another form", "ANN@Here.test", true},
                {"another", "bob@here.test", false},
                {"no name", "root", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int scram = 0; scram < 2; scram++) {
            enum pn_sasl_mechanism mechanism = scram ? PN_SASL_SCRAM_SHA_256 : PN_SASL_PLAIN;
            struct auth_exchange *e = begin(mechanism, NULL);
            struct auth_client *client =
                auth_client_new(mechanism, "ann@here.test", "s3cret pass", NULL);
            auth_client_authzid(client, rows[i].authzid);
            unit_row(rows[i].label);
            UNIT_INT(converse(e, client, true), !rows[i].want ? AUTH_REFUSED
                                                : scram       ? AUTH_OK
                                                              : AUTH_PASSWORD);
            if (!rows[i].want)
                UNIT_STR(pn_str_of(auth_exchange_why(e)), PN_STR("authzid"));
            auth_client_free(&client);
            auth_exchange_free(&e);
        }
    }
}

static char many[PN_SASL_MESSAGE_MAX];

/* One message, or several parted by '|' ("|" alone: an empty one first). */
static void test_messages(void)
{
    static const struct {
        const char *label;
        enum pn_sasl_mechanism mechanism;
        bool bound;
        struct pn_str said;
        enum auth_step want;
    } rows[] = {
        {"plain, empty", P, false, PN_STR_INIT(""), AUTH_MALFORMED},
        {"plain, no NUL", P, false, PN_STR_INIT("ann"), AUTH_MALFORMED},
        {"plain, one NUL", P, false, PN_STR_INIT("\0ann"), AUTH_MALFORMED},
        {"plain, nothing in it", P, false, PN_STR_INIT("\0\0"), AUTH_PASSWORD},
        {"plain, three NULs", P, false, PN_STR_INIT("\0a@b.test\0p\0q"), AUTH_MALFORMED},
        {"plain, no UTF-8", P, false, PN_STR_INIT("\0a\xff\0p"), AUTH_MALFORMED},
        {"login", L, false, PN_STR_INIT("a@b.test|p"), AUTH_PASSWORD},
        {"login, nothing in it", L, false, PN_STR_INIT("|"), AUTH_MALFORMED},
        {"login, a NUL", L, false, PN_STR_INIT("a\0b|p"), AUTH_MALFORMED},
        {"login, one more", L, false, PN_STR_INIT("a@b.test|p|q"), AUTH_MALFORMED},
        {"scram, empty", S, false, PN_STR_INIT(""), AUTH_MALFORMED},
        {"scram", S, false, PN_STR_INIT("n,,n=a@b.test,r=abc"), AUTH_CHALLENGE},
        {"scram, bound without PLUS", S, true, PN_STR_INIT("p=tls-exporter,,n=a@b.test,r=abc"),
         AUTH_REFUSED},
        {"scram, kept from PLUS", S, true, PN_STR_INIT("y,,n=a@b.test,r=abc"), AUTH_REFUSED},
        {"scram, no PLUS here", S, false, PN_STR_INIT("y,,n=a@b.test,r=abc"), AUTH_CHALLENGE},
        {"scram, no name", S, false, PN_STR_INIT("n,,r=abc"), AUTH_MALFORMED},
        {"scram, no nonce", S, false, PN_STR_INIT("n,,n=a@b.test"), AUTH_MALFORMED},
        {"scram, an extension", S, false, PN_STR_INIT("n,,m=x,n=a@b.test,r=abc"), AUTH_MALFORMED},
        {"scram, a NUL", S, false, PN_STR_INIT("n,,n=a\0b,r=abc"), AUTH_MALFORMED},
        {"scram, no proof", S, false, PN_STR_INIT("n,,n=a@b.test,r=abc|c=biws,r=abc"),
         AUTH_MALFORMED},
        {"scram, another nonce", S, false,
         PN_STR_INIT("n,,n=a@b.test,r=abc|c=biws,r=xyz,p=dHJ1ZXRydWV0cnVldHJ1ZXRydWV0cnVldHJ1ZXQ="),
         AUTH_REFUSED},
        {"plus, not bound", X, true, PN_STR_INIT("n,,n=a@b.test,r=abc"), AUTH_REFUSED},
        {"plus, kept from itself", X, true, PN_STR_INIT("y,,n=a@b.test,r=abc"), AUTH_REFUSED},
        {"plus, to what we don't have", X, true, PN_STR_INIT("p=tls-unique,,n=a@b.test,r=abc"),
         AUTH_REFUSED},
        {"plus, to nothing known", X, true, PN_STR_INIT("p=moon,,n=a@b.test,r=abc"), AUTH_REFUSED},
        {"plus", X, true, PN_STR_INIT("p=tls-exporter,,n=a@b.test,r=abc"), AUTH_CHALLENGE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct auth_exchange *e = begin(rows[i].mechanism, rows[i].bound ? exporter : NULL);
        struct pn_buf out;
        pn_buf_init(&out, PN_SASL_MESSAGE_MAX);
        enum auth_step step = AUTH_CHALLENGE;
        unit_row(rows[i].label);
        for (struct pn_str rest = rows[i].said; rest.p != NULL;)
            step = auth_exchange_step(e, true, pn_str_split(&rest, '|'), &out);
        UNIT_INT(step, rows[i].want);
        pn_buf_fini(&out);
        auth_exchange_free(&e);
    }
}

/* What a client sends that we send back must still fit into one message. */
static void test_long_nonce(void)
{
    struct pn_buf said, out;
    pn_buf_init(&said, sizeof many);
    pn_buf_init(&out, PN_SASL_MESSAGE_MAX);
    memset(many, 'r', sizeof many);
    static const size_t rows[] = {64, 4000, PN_SASL_MESSAGE_MAX - 20};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct auth_exchange *e = begin(PN_SASL_SCRAM_SHA_256, NULL);
        pn_buf_clear(&said);
        (void)pn_buf_addz(&said, "n,,n=a@b.test,r=");
        (void)pn_buf_add(&said, many, rows[i]);
        UNIT_INT(auth_exchange_step(e, true, pn_buf_str(&said), &out),
                 i < 2 ? AUTH_CHALLENGE : AUTH_MALFORMED);
        auth_exchange_free(&e);
    }
    pn_buf_fini(&said);
    pn_buf_fini(&out);
}

static void first_of(const char *name, struct pn_buf *out)
{
    struct auth_exchange *e = begin(PN_SASL_SCRAM_SHA_256, NULL);
    struct pn_buf said;
    pn_buf_init(&said, 1000);
    (void)pn_buf_addf(&said, "n,,n=%s,r=abc", name);
    UNIT_INT(auth_exchange_step(e, true, pn_buf_str(&said), out), AUTH_CHALLENGE);
    size_t comma = pn_str_find(pn_buf_str(out), ',', 0);
    pn_buf_consume(out, comma == SIZE_MAX ? 0 : comma); /* the nonce */
    pn_buf_fini(&said);
    auth_exchange_free(&e);
}

/* What is made up is made up alike each time, and each has his own. */
static void test_made_up(void)
{
    struct pn_buf a, b;
    pn_buf_init(&a, PN_SASL_MESSAGE_MAX);
    pn_buf_init(&b, PN_SASL_MESSAGE_MAX);
    first_of("eve@here.test", &a);
    first_of("EVE@here.test", &b);
    UNIT_STR(pn_buf_str(&a), pn_buf_str(&b));
    first_of("eva@here.test", &b);
    UNIT_TRUE(!pn_str_eq(pn_buf_str(&a), pn_buf_str(&b)));
    UNIT_INT(a.len, b.len);
    first_of("bob@here.test", &a);
    UNIT_INT(a.len, b.len);
    struct auth_sasl *first = sasl;
    struct pn_buf err;
    pn_buf_init(&err, 200);
    sasl = auth_sasl_new(salt_key, &err);
    unit_row("another process, the same key");
    first_of("bob@here.test", &b);
    UNIT_STR(pn_buf_str(&a), pn_buf_str(&b));
    auth_sasl_free(&sasl);
    sasl = first;
    pn_buf_fini(&err);
    pn_buf_fini(&a);
    pn_buf_fini(&b);
}

/* Its answer to SCRAM's last word is empty. */
static void test_last_word(void)
{
    struct auth_exchange *e = begin(PN_SASL_SCRAM_SHA_256, NULL);
    struct auth_client *client =
        auth_client_new(PN_SASL_SCRAM_SHA_256, "ann@here.test", "s3cret pass", NULL);
    struct pn_buf said, out;
    pn_buf_init(&said, 1000);
    pn_buf_init(&out, PN_SASL_MESSAGE_MAX);
    UNIT_TRUE(auth_client_step(client, PN_STR(""), &said));
    UNIT_INT(auth_exchange_step(e, true, pn_buf_str(&said), &out), AUTH_CHALLENGE);
    UNIT_TRUE(auth_client_step(client, pn_buf_str(&out), &said));
    UNIT_INT(auth_exchange_step(e, true, pn_buf_str(&said), &out), AUTH_PROVED);
    UNIT_TRUE(pn_str_starts(pn_buf_str(&out), PN_STR("v=")));
    UNIT_INT(auth_exchange_step(e, true, PN_STR("x"), &out), AUTH_MALFORMED);
    UNIT_INT(auth_exchange_step(e, true, PN_STR(""), &out), AUTH_MALFORMED);
    pn_buf_fini(&said);
    pn_buf_fini(&out);
    auth_client_free(&client);
    auth_exchange_free(&e);
}

static void test_users(void)
{
    static const struct {
        const char *label, *options, *want;
    } rows[] = {
        {"none", "", NULL},
        {"others", "quota=5 x=y", NULL},
        {"senders", "senders=@a.test,b@c.test", NULL},
        {"not senders", "x=1 senders=a.test",
         "line 3, column 83: expected senders=ADDRESS,@DOMAIN,... or senders=*"},
        {"no option", "senders",
         "line 3, column 71: an option is key=value, the key of small letters, digits and -"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_buf text, err;
        pn_buf_init(&text, 4096);
        pn_buf_init(&err, 500);
        (void)pn_buf_addf(&text,
                          "# users\n\nu@a.test:$y$j9T$saltsalt$"
                          "1234567890123456789012345678901234567890123::%s\n",
                          rows[i].options);
        int fd = auth_rig_file(pn_buf_str(&text));
        struct auth_users *u = auth_users_read(fd, &err);
        unit_row(rows[i].label);
        UNIT_STR(pn_buf_str(&err), pn_str_of(rows[i].want));
        UNIT_INT(u != NULL, rows[i].want == NULL);
        if (u != NULL)
            UNIT_INT(auth_users_count(u), 1);
        auth_users_unref(&u);
        (void)close(fd);
        pn_buf_fini(&text);
        pn_buf_fini(&err);
    }
    UNIT_STR(auth_user_senders(auth_users_find(users, PN_STR("ann@here.test"))),
             PN_STR("@here.test,info@other.test"));
    UNIT_STR(auth_user_senders(auth_users_find(users, PN_STR("bob@here.test"))), PN_STR(""));
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"mechanisms", test_mechanisms}, {"authzid", test_authzid},
        {"messages", test_messages},     {"long nonce", test_long_nonce},
        {"made up", test_made_up},       {"last word", test_last_word},
        {"users", test_users},           {NULL, NULL},
    };
    struct pn_buf text, err;
    pn_buf_init(&text, 1 << 16);
    pn_buf_init(&err, 500);
    auth_rig_users(&text);
    int fd = auth_rig_file(pn_buf_str(&text));
    users = auth_users_read(fd, &err);
    sasl = auth_sasl_new(salt_key, &err);
    int status =
        users == NULL || sasl == NULL ? EXIT_FAILURE : unit_main("sasl", tests, argc, argv);
    auth_users_unref(&users);
    auth_sasl_free(&sasl);
    (void)close(fd);
    pn_buf_fini(&text);
    pn_buf_fini(&err);
    return status;
}
