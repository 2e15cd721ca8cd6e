#include "exchange.h"

#include "codec.h"
#include "mem.h"

#include <gsasl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { SALT = 16, DIGEST = 32, NUMBER_MAX = 24 };

struct auth_sasl {
    Gsasl *gsasl;
    unsigned char salt_key[AUTH_SALT_KEY];
    struct pn_buf nobody;
};

enum stage { STAGE_FIRST, STAGE_ASKED, STAGE_PROVED, STAGE_OVER };

struct auth_exchange {
    struct auth_sasl *sasl;
    Gsasl_session *session;
    struct auth_users *users;
    enum pn_sasl_mechanism mechanism;
    enum stage stage;
    unsigned char exporter[PN_SASL_EXPORTER];
    bool bound; /* there is an exporter: PLUS was announced */
    bool named, has_password;
    struct pn_buf name, claim;
    const struct pn_user *user;
    struct pn_password password;
    const char *why;
};

/* ---- names */

/* A name is known once: who comes with another later is not believed. */
static void take_name(struct auth_exchange *e, const char *claim)
{
    if (e->named || claim == NULL)
        return;
    e->named = true;
    (void)pn_buf_adds(&e->claim, pn_str_slice(pn_str_of(claim), 0, e->claim.max));
    if (pn_user_name(pn_str_of(claim), &e->name))
        e->user = auth_users_find(e->users, pn_buf_str(&e->name));
}

/* Nobody acts for somebody else. libgsasl repeats the name where PLAIN leaves this out. */
static bool is_himself(const struct auth_exchange *e, const char *authzid)
{
    struct pn_buf name;
    if (authzid == NULL || authzid[0] == '\0' ||
        pn_str_eq(pn_str_of(authzid), pn_buf_str(&e->claim)))
        return true;
    pn_buf_init(&name, PN_USER_NAME_MAX);
    bool same = e->name.len != 0 && pn_user_name(pn_str_of(authzid), &name) &&
                pn_str_eq(pn_buf_str(&name), pn_buf_str(&e->name));
    pn_buf_fini(&name);
    return same;
}

/* ---- what libgsasl asks for */

static void set_bytes(struct auth_exchange *e, Gsasl_property property, const unsigned char *p,
                      size_t n)
{
    char text[4 * (PN_SCRAM_SALT_MAX / 3 + 1) + 4];
    struct pn_buf b;
    pn_buf_init(&b, sizeof text);
    pn_base64_encode(&b, (struct pn_str){(const char *)p, n});
    memcpy(text, b.p, b.len);
    /* A failure leaves it unset, and the exchange fails with it. */
    (void)gsasl_property_set_raw(e->session, property, text, b.len);
    explicit_bzero(text, sizeof text);
    explicit_bzero(b.p, b.cap);
    pn_buf_fini(&b);
}

static void derive(const struct auth_exchange *e, const char *what, unsigned char out[DIGEST])
{
    struct pn_str name = pn_buf_str(e->name.len != 0 ? &e->name : &e->claim);
    struct pn_buf b;
    pn_buf_init(&b, 64 + name.len);
    (void)pn_buf_addz(&b, what);
    (void)pn_buf_adds(&b, name);
    unsigned n = 0;
    if (HMAC(EVP_sha256(), e->sasl->salt_key, AUTH_SALT_KEY, (const unsigned char *)b.p, b.len, out,
             &n) == NULL)
        memset(out, 0, DIGEST);
    pn_buf_fini(&b);
}

/* As a user would have them, the same whenever he is asked for. */
static void make_up(const struct auth_exchange *e, struct pn_scram *scram)
{
    unsigned char digest[DIGEST];
    *scram = (struct pn_scram){.iterations = PN_PASSWORD_ITERATIONS, .salt_len = SALT};
    derive(e, "salt:", digest);
    memcpy(scram->salt, digest, SALT);
    derive(e, "stored:", scram->stored_key);
    derive(e, "server:", scram->server_key);
}

static int give_scram(struct auth_exchange *e)
{
    struct pn_scram scram;
    char number[NUMBER_MAX];
    take_name(e, gsasl_property_fast(e->session, GSASL_AUTHID));
    bool his = e->user != NULL && e->user->scram.len != 0 && pn_scram_parse(e->user->scram, &scram);
    if (!his)
        make_up(e, &scram);
    e->why = his ? "password" : e->user == NULL ? "no-user" : "no-scram";
    (void)snprintf(number, sizeof number, "%u", scram.iterations);
    (void)gsasl_property_set(e->session, GSASL_SCRAM_ITER, number);
    set_bytes(e, GSASL_SCRAM_SALT, scram.salt, scram.salt_len);
    set_bytes(e, GSASL_SCRAM_STOREDKEY, scram.stored_key, PN_SCRAM_KEY);
    set_bytes(e, GSASL_SCRAM_SERVERKEY, scram.server_key, PN_SCRAM_KEY);
    explicit_bzero(&scram, sizeof scram);
    return GSASL_OK;
}

/* Only kept: it is checked elsewhere, since that takes long. */
static int keep_password(struct auth_exchange *e)
{
    const char *text = gsasl_property_fast(e->session, GSASL_PASSWORD);
    take_name(e, gsasl_property_fast(e->session, GSASL_AUTHID));
    size_t len = text == NULL ? 0 : strlen(text);
    e->why = e->user == NULL ? "no-user" : "password";
    if (!is_himself(e, gsasl_property_fast(e->session, GSASL_AUTHZID))) {
        e->why = "authzid";
    } else if (len <= PN_PASSWORD_MAX && len != 0) {
        memcpy(e->password.bytes, text, len);
        e->password.len = len;
        e->has_password = pn_password_prepare(&e->password) == NULL;
    }
    if (len != 0)
        explicit_bzero((void *)(uintptr_t)text, len);
    return GSASL_OK;
}

static int on_property(Gsasl *gsasl, Gsasl_session *session, Gsasl_property property)
{
    struct auth_exchange *e = gsasl_session_hook_get(session);
    (void)gsasl;
    switch ((int)property) {
    case GSASL_VALIDATE_SIMPLE:
        return keep_password(e);
    case GSASL_SCRAM_ITER:
    case GSASL_SCRAM_SALT:
    case GSASL_SCRAM_STOREDKEY:
    case GSASL_SCRAM_SERVERKEY:
        return give_scram(e);
    case GSASL_CB_TLS_EXPORTER:
        if (!e->bound)
            return GSASL_NO_CB_TLS_EXPORTER;
        set_bytes(e, GSASL_CB_TLS_EXPORTER, e->exporter, sizeof e->exporter);
        return GSASL_OK;
    default:
        return GSASL_NO_CALLBACK;
    }
}

/* ---- a process's own */

static bool make_nobody(struct auth_sasl *sasl)
{
    struct pn_password password = {.len = 32};
    bool ok = getrandom(password.bytes, 32, 0) == 32;
    for (size_t i = 0; i < password.len; i++) /* a NUL would end it */
        password.bytes[i] |= 1;
    ok = ok && pn_password_yescrypt(&password, &sasl->nobody);
    pn_password_wipe(&password);
    return ok;
}

struct auth_sasl *auth_sasl_new(const unsigned char salt_key[AUTH_SALT_KEY], struct pn_buf *err)
{
    struct auth_sasl *sasl = pn_calloc(1, sizeof *sasl);
    pn_buf_init(&sasl->nobody, 512);
    memcpy(sasl->salt_key, salt_key, AUTH_SALT_KEY);
    int rc = gsasl_init(&sasl->gsasl);
    if (rc != GSASL_OK) {
        (void)pn_buf_addf(err, "libgsasl: %s", gsasl_strerror(rc));
        auth_sasl_free(&sasl);
        return NULL;
    }
    gsasl_callback_set(sasl->gsasl, on_property);
    if (!make_nobody(sasl)) {
        (void)pn_buf_addz(err, "no randomness, or no memory for yescrypt");
        auth_sasl_free(&sasl);
    }
    return sasl;
}

void auth_sasl_free(struct auth_sasl **sasl)
{
    struct auth_sasl *s = *sasl;
    *sasl = NULL;
    if (s == NULL)
        return;
    if (s->gsasl != NULL)
        gsasl_done(s->gsasl);
    explicit_bzero(s->salt_key, sizeof s->salt_key);
    pn_buf_fini(&s->nobody);
    free(s);
}

struct pn_str auth_sasl_nobody(const struct auth_sasl *sasl)
{
    return pn_buf_str(&sasl->nobody);
}

/* ---- an exchange */

struct auth_exchange *auth_exchange_new(struct auth_sasl *sasl, enum pn_sasl_mechanism mechanism,
                                        struct pn_str exporter, struct auth_users *users)
{
    Gsasl_session *session;
    if (gsasl_server_start(sasl->gsasl, pn_sasl_mechanism_name(mechanism), &session) != GSASL_OK)
        return NULL;
    struct auth_exchange *e = pn_calloc(1, sizeof *e);
    *e = (struct auth_exchange){.sasl = sasl,
                                .session = session,
                                .users = auth_users_ref(users),
                                .mechanism = mechanism,
                                .bound = exporter.len == PN_SASL_EXPORTER,
                                .why = "malformed"};
    if (e->bound)
        memcpy(e->exporter, exporter.p, PN_SASL_EXPORTER);
    pn_buf_init(&e->name, PN_USER_NAME_MAX);
    pn_buf_init(&e->claim, PN_USER_NAME_MAX);
    gsasl_session_hook_set(session, e);
    return e;
}

static void wipe_buf(struct pn_buf *b)
{
    if (b->p != NULL)
        explicit_bzero(b->p, b->cap);
    pn_buf_fini(b);
}

/* LOGIN's session keeps the password. */
void auth_exchange_wipe(struct auth_exchange *e)
{
    e->stage = STAGE_OVER;
    e->has_password = false;
    pn_password_wipe(&e->password);
    if (e->session != NULL)
        gsasl_finish(e->session);
    e->session = NULL;
}

void auth_exchange_free(struct auth_exchange **exchange)
{
    struct auth_exchange *e = *exchange;
    *exchange = NULL;
    if (e == NULL)
        return;
    auth_exchange_wipe(e);
    auth_users_unref(&e->users);
    wipe_buf(&e->name);
    wipe_buf(&e->claim);
    explicit_bzero(e, sizeof *e);
    free(e);
}

static enum auth_step over(struct auth_exchange *e, enum auth_step step, const char *why)
{
    e->stage = STAGE_OVER;
    if (why != NULL)
        e->why = why;
    return step;
}

static bool is_scram(const struct auth_exchange *e)
{
    return e->mechanism == PN_SASL_SCRAM_SHA_256 || e->mechanism == PN_SASL_SCRAM_SHA_256_PLUS;
}

static enum auth_step finished(struct auth_exchange *e, struct pn_buf *out)
{
    if (!is_scram(e)) {
        pn_buf_clear(out);
        if (strcmp(e->why, "authzid") == 0)
            return over(e, AUTH_REFUSED, NULL);
        return over(e, AUTH_PASSWORD, NULL);
    }
    if (!is_himself(e, gsasl_property_fast(e->session, GSASL_AUTHZID)))
        return over(e, AUTH_REFUSED, "authzid");
    e->stage = STAGE_PROVED;
    return AUTH_PROVED;
}

static enum auth_step failed(struct auth_exchange *e, int rc)
{
    switch (rc) {
    case GSASL_MECHANISM_PARSE_ERROR:
    case GSASL_BASE64_ERROR:
    case GSASL_SASLPREP_ERROR:
    case GSASL_MECHANISM_CALLED_TOO_MANY_TIMES:
        return over(e, AUTH_MALFORMED, "malformed");
    case GSASL_AUTHENTICATION_ERROR: /* give_scram knows why, if it came so far */
        return over(e, AUTH_REFUSED, e->named ? NULL : "binding");
    default:
        return over(e, AUTH_REFUSED, "binding");
    }
}

static enum auth_step pass_on(struct auth_exchange *e, struct pn_str message, struct pn_buf *out)
{
    char *said = NULL;
    size_t len = 0;
    int rc = gsasl_step(e->session, message.p, message.len, &said, &len);
    pn_buf_clear(out);
    bool fits = len == 0 || (len <= PN_SASL_MESSAGE_MAX && pn_buf_add(out, said, len));
    if (said != NULL)
        explicit_bzero(said, len);
    gsasl_free(said);
    if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE)
        return failed(e, rc);
    if (!fits)
        return over(e, AUTH_MALFORMED, "malformed");
    if (rc == GSASL_OK)
        return finished(e, out);
    e->stage = STAGE_ASKED;
    return AUTH_CHALLENGE;
}

/* LOGIN asks first, whatever the client began with; the others wait for him. */
static enum auth_step begin(struct auth_exchange *e, bool has_message, struct pn_str message,
                            struct pn_buf *out)
{
    e->stage = STAGE_ASKED;
    if (e->mechanism == PN_SASL_LOGIN) {
        enum auth_step step = pass_on(e, PN_STR(""), out);
        if (step != AUTH_CHALLENGE || !has_message)
            return step;
    }
    if (has_message)
        return pass_on(e, message, out);
    pn_buf_clear(out);
    return AUTH_CHALLENGE;
}

static bool sane(const struct auth_exchange *e, struct pn_str message)
{
    bool nul = pn_str_find(message, '\0', 0) != SIZE_MAX;
    return message.len <= PN_SASL_MESSAGE_MAX &&
           (e->mechanism == PN_SASL_LOGIN || message.len != 0) &&
           (e->mechanism == PN_SASL_PLAIN || !nul);
}

/* What libgsasl would let pass of SCRAM's first message without PLUS (RFC 5802, section 6).
 * "y": he could bind to TLS and believes that we can't, though we announced it. "p": he binds,
 * which he may with PLUS alone. */
static const char *misbound(const struct auth_exchange *e, struct pn_str message)
{
    if (e->mechanism != PN_SASL_SCRAM_SHA_256 || e->named)
        return NULL;
    if (message.p[0] == 'y' && e->bound)
        return "downgrade";
    return message.p[0] == 'p' ? "binding" : NULL;
}

enum auth_step auth_exchange_step(struct auth_exchange *e, bool has_message, struct pn_str message,
                                  struct pn_buf *out)
{
    if (message.len == 0)
        message = PN_STR("");
    if (e->stage == STAGE_PROVED) {
        pn_buf_clear(out);
        return message.len == 0 ? over(e, AUTH_OK, "") : over(e, AUTH_MALFORMED, "malformed");
    }
    if (e->stage == STAGE_OVER || (has_message && !sane(e, message)))
        return over(e, AUTH_MALFORMED, "malformed");
    const char *why = has_message ? misbound(e, message) : NULL;
    if (why != NULL)
        return over(e, AUTH_REFUSED, why);
    return e->stage == STAGE_FIRST ? begin(e, has_message, message, out) : pass_on(e, message, out);
}

bool auth_exchange_named(const struct auth_exchange *e)
{
    return e->named;
}

struct pn_str auth_exchange_name(const struct auth_exchange *e)
{
    return pn_buf_str(&e->name);
}

struct pn_str auth_exchange_claim(const struct auth_exchange *e)
{
    return pn_buf_str(&e->claim);
}

const struct pn_user *auth_exchange_user(const struct auth_exchange *e)
{
    return e->user;
}

const struct pn_password *auth_exchange_password(const struct auth_exchange *e)
{
    return e->has_password ? &e->password : NULL;
}

const char *auth_exchange_why(const struct auth_exchange *e)
{
    return e->why;
}
