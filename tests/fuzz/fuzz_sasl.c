/*
 * What clients say while they log in. The first byte chooses the mechanism, whether the session
 * is bound to TLS, and whether there is an initial response; the rest are messages, each behind
 * a byte that is its length (255: all that is left).
 *
 * Held to: an exchange ends, and says no more then; nobody is logged in who did not prove it,
 * so only ann, by the password that is hers; a name is in one form or empty; what is sent back
 * fits into one message.
 */
#include "assert.h"
#include "exchange.h"
#include "memfile.h"

#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Her verifier of SCRAM is of "pencil", RFC 7677's; that of yescrypt is never asked here. */
static const char text[] =
    "ann@here.test:$y$j9T$saltsalt$1234567890123456789012345678901234567890123:"
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=:\n";

static struct auth_sasl *sasl;
static struct auth_users *users;

static void set_up(void)
{
    static const unsigned char key[AUTH_SALT_KEY] = {1, 2, 3};
    struct pn_buf err;
    int fd = pn_memfile_of("users", PN_STR(text));
    pn_buf_init(&err, 1000);
    sasl = auth_sasl_new(key, &err);
    users = auth_users_read(fd, &err);
    pn_assert(sasl != NULL && users != NULL);
    (void)close(fd);
    pn_buf_fini(&err);
}

static struct pn_str next_message(struct pn_str *rest)
{
    size_t len = (unsigned char)rest->p[0];
    struct pn_str message = pn_str_slice(*rest, 1, len == 255 ? rest->len : 1 + len);
    *rest = pn_str_slice(*rest, 1 + message.len, rest->len);
    return message;
}

static void check(const struct auth_exchange *e, enum auth_step step, const struct pn_buf *out)
{
    struct pn_str name = auth_exchange_name(e);
    const struct pn_password *password = auth_exchange_password(e);
    struct pn_buf same;
    pn_buf_init(&same, PN_USER_NAME_MAX);
    pn_assert(out->len <= PN_SASL_MESSAGE_MAX && !out->overflow);
    pn_assert(name.len == 0 || (pn_user_name(name, &same) && pn_str_eq(pn_buf_str(&same), name)));
    pn_assert(step != AUTH_OK || auth_exchange_user(e) != NULL);
    pn_assert(step != AUTH_PASSWORD || auth_exchange_named(e));
    pn_assert(password == NULL ||
              (password->len <= PN_PASSWORD_MAX && strlen(password->bytes) == password->len));
    pn_assert(auth_exchange_why(e) != NULL);
    pn_buf_fini(&same);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char exporter[PN_SASL_EXPORTER] = "bound";
    struct pn_buf out;
    if (sasl == NULL)
        set_up();
    if (size == 0)
        return 0;
    bool bound = (data[0] & 4) != 0, initial = (data[0] & 8) != 0;
    struct auth_exchange *e =
        auth_exchange_new(sasl, (enum pn_sasl_mechanism)(data[0] & 3),
                          (struct pn_str){exporter, bound ? sizeof exporter : 0}, users);
    pn_assert(e != NULL);
    pn_buf_init(&out, PN_SASL_MESSAGE_MAX);
    struct pn_str rest = {(const char *)data + 1, size - 1};
    enum auth_step step = AUTH_CHALLENGE;
    if (!initial)
        step = auth_exchange_step(e, false, PN_STR(""), &out);
    while (rest.len != 0 && (step == AUTH_CHALLENGE || step == AUTH_PROVED)) {
        step = auth_exchange_step(e, true, next_message(&rest), &out);
        check(e, step, &out);
    }
    if (step != AUTH_CHALLENGE && step != AUTH_PROVED)
        pn_assert(auth_exchange_step(e, true, PN_STR("x"), &out) == AUTH_MALFORMED);
    pn_buf_fini(&out);
    auth_exchange_free(&e);
    return 0;
}
