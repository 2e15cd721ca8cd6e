/* The two verifiers of a user, as the file has them. */
#include "userfile.h"

#include "codec.h"

static const char yescrypt_letters[] =
    "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
enum { YESCRYPT_SALT_MAX = 86, YESCRYPT_HASH = 43 };

static bool letters_of_crypt(struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] == '\0' || strchr(yescrypt_letters, s.p[i]) == NULL)
            return false;
    return true;
}

/* Dearer parameters than these could take all memory of who checks them. */
static bool cost_ok(struct pn_str s)
{
    return s.len == 3 && s.p[0] == 'j' && s.p[1] != '\0' && strchr("56789ABCDEF", s.p[1]) != NULL &&
           (s.p[2] == '5' || s.p[2] == 'T');
}

bool pn_yescrypt_ok(struct pn_str text)
{
    if (!pn_str_starts(text, PN_STR("$y$")))
        return false;
    struct pn_str rest = pn_str_slice(text, 3, text.len);
    struct pn_str cost = pn_str_split(&rest, '$');
    struct pn_str salt = rest.p == NULL ? PN_STR("") : pn_str_split(&rest, '$');
    return rest.p != NULL && cost_ok(cost) && salt.len > 0 && salt.len <= YESCRYPT_SALT_MAX &&
           letters_of_crypt(salt) && rest.len == YESCRYPT_HASH && letters_of_crypt(rest);
}

/* Bytes of text's base64, min to max of them; 0 for anything else. */
static size_t decode(struct pn_str text, unsigned char *to, size_t min, size_t max)
{
    struct pn_buf b;
    pn_buf_init(&b, max + 3); /* the decoder takes room for whole groups */
    bool ok = text.p != NULL && pn_base64_decode(&b, text) && b.len >= min && b.len <= max;
    size_t len = ok ? b.len : 0;
    if (len != 0)
        memcpy(to, b.p, len);
    if (b.p != NULL)
        explicit_bzero(b.p, b.cap);
    pn_buf_fini(&b);
    return len;
}

bool pn_scram_parse(struct pn_str text, struct pn_scram *out)
{
    uint64_t iterations;
    struct pn_str rest = text;
    if (!pn_str_eq(pn_str_split(&rest, '$'), PN_STR("SCRAM-SHA-256")) || rest.p == NULL)
        return false;
    struct pn_str keys = rest;
    struct pn_str salt = pn_str_split(&keys, '$');
    struct pn_str count = pn_str_split(&salt, ':');
    struct pn_str stored = keys.p == NULL ? keys : pn_str_split(&keys, ':');
    if (!pn_str_u64(count, PN_SCRAM_ITERATIONS_MAX, &iterations) ||
        iterations < PN_SCRAM_ITERATIONS_MIN || count.p[0] == '0')
        return false;
    out->iterations = (uint32_t)iterations;
    out->salt_len = decode(salt, out->salt, 1, sizeof out->salt);
    return out->salt_len != 0 && decode(stored, out->stored_key, PN_SCRAM_KEY, PN_SCRAM_KEY) != 0 &&
           decode(keys, out->server_key, PN_SCRAM_KEY, PN_SCRAM_KEY) != 0;
}

static void print_base64(const unsigned char *p, size_t n, struct pn_buf *out)
{
    pn_base64_encode(out, (struct pn_str){(const char *)p, n});
}

void pn_scram_print(const struct pn_scram *scram, struct pn_buf *out)
{
    (void)pn_buf_addf(out, "SCRAM-SHA-256$%u:", scram->iterations);
    print_base64(scram->salt, scram->salt_len, out);
    (void)pn_buf_addc(out, '$');
    print_base64(scram->stored_key, PN_SCRAM_KEY, out);
    (void)pn_buf_addc(out, ':');
    print_base64(scram->server_key, PN_SCRAM_KEY, out);
}
