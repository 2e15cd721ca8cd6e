#include "password.h"

#include "utf8.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stringprep.h>
#include <sys/random.h>

enum {
    YESCRYPT_COST = 5, /* crypt_gensalt's own: 16 MiB of memory */
    SALT = 16
};

void pn_password_wipe(struct pn_password *password)
{
    explicit_bzero(password, sizeof *password);
}

static const char *prepare_wide(struct pn_password *password)
{
    int rc = stringprep(password->bytes, sizeof password->bytes, STRINGPREP_NO_UNASSIGNED,
                        stringprep_saslprep);
    password->len = strlen(password->bytes);
    switch (rc) {
    case STRINGPREP_OK:
        return password->len == 0 ? "the password is empty once prepared" : NULL;
    case STRINGPREP_TOO_SMALL_BUFFER:
        return "the password is longer than 256 bytes once prepared";
    case STRINGPREP_CONTAINS_UNASSIGNED:
        return "the password holds a character that SASLprep does not know (Unicode 3.2)";
    case STRINGPREP_CONTAINS_PROHIBITED:
        return "the password holds a character that SASLprep forbids";
    default:
        return "the password mixes directions of writing as SASLprep forbids";
    }
}

/* Printable ASCII is prepared as it is. */
const char *pn_password_prepare(struct pn_password *password)
{
    struct pn_str s = {password->bytes, password->len};
    if (s.len == 0)
        return "the password is empty";
    if (s.len > PN_PASSWORD_MAX)
        return "the password is longer than 256 bytes";
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
            return s.p[i] == '\0' ? "the password holds a NUL"
                                  : "the password holds a control character";
    password->bytes[password->len] = '\0';
    if (pn_str_is_ascii(s))
        return NULL;
    return pn_utf8_valid(s) ? prepare_wide(password) : "the password is no UTF-8";
}

/* crypt's answer for this setting (or verifier); NULL if there is none. */
static const char *crypted(const struct pn_password *password, const char *setting,
                           struct crypt_data *data)
{
    *data = (struct crypt_data){.initialized = 0};
    return crypt_rn(password->bytes, setting, data, (int)sizeof *data);
}

bool pn_password_yescrypt(const struct pn_password *password, struct pn_buf *out)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    struct crypt_data data;
    if (crypt_gensalt_rn("$y$", YESCRYPT_COST, NULL, 0, setting, (int)sizeof setting) == NULL)
        return false;
    const char *hash = crypted(password, setting, &data);
    bool ok = hash != NULL && pn_yescrypt_ok(pn_str_of(hash)) && pn_buf_addz(out, hash);
    explicit_bzero(&data, sizeof data);
    return ok;
}

bool pn_password_is_yescrypt(const struct pn_password *password, struct pn_str verifier)
{
    char setting[CRYPT_OUTPUT_SIZE];
    struct crypt_data data;
    if (!pn_yescrypt_ok(verifier) || verifier.len >= sizeof setting)
        return false;
    memcpy(setting, verifier.p, verifier.len);
    setting[verifier.len] = '\0';
    const char *hash = crypted(password, setting, &data);
    bool ok = hash != NULL && strlen(hash) == verifier.len &&
              CRYPTO_memcmp(hash, verifier.p, verifier.len) == 0;
    explicit_bzero(&data, sizeof data);
    return ok;
}

static bool hmac(const unsigned char *key, const char *text, unsigned char *out)
{
    unsigned n = 0;
    return HMAC(EVP_sha256(), key, PN_SCRAM_KEY, (const unsigned char *)text, strlen(text), out,
                &n) != NULL &&
           n == PN_SCRAM_KEY;
}

/* RFC 5802, section 3. */
bool pn_password_scram_keys(const struct pn_password *password, struct pn_scram *scram)
{
    unsigned char salted[PN_SCRAM_KEY], client_key[PN_SCRAM_KEY];
    bool ok =
        PKCS5_PBKDF2_HMAC(password->bytes, (int)password->len, scram->salt, (int)scram->salt_len,
                          (int)scram->iterations, EVP_sha256(), PN_SCRAM_KEY, salted) == 1 &&
        hmac(salted, "Client Key", client_key) &&
        SHA256(client_key, PN_SCRAM_KEY, scram->stored_key) != NULL &&
        hmac(salted, "Server Key", scram->server_key);
    explicit_bzero(salted, sizeof salted);
    explicit_bzero(client_key, sizeof client_key);
    return ok;
}

bool pn_password_scram(const struct pn_password *password, struct pn_scram *out)
{
    *out = (struct pn_scram){.iterations = PN_PASSWORD_ITERATIONS, .salt_len = SALT};
    return getrandom(out->salt, SALT, 0) == SALT && pn_password_scram_keys(password, out);
}

bool pn_password_is_scram(const struct pn_password *password, const struct pn_scram *scram)
{
    struct pn_scram mine = *scram;
    bool made = pn_password_scram_keys(password, &mine);
    int differ = CRYPTO_memcmp(mine.stored_key, scram->stored_key, PN_SCRAM_KEY) |
                 CRYPTO_memcmp(mine.server_key, scram->server_key, PN_SCRAM_KEY);
    explicit_bzero(&mine, sizeof mine);
    return made && differ == 0;
}
