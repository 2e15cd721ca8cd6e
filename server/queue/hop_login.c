#include "hop_login.h"

#include "codec.h"
#include "mem.h"

#include <gsasl.h>
#include <stdlib.h>
#include <string.h>

/* Hashing so often takes half a second; who asks for more means no good. */
enum { ITERATIONS_MAX = 1000000 };

struct login {
    Gsasl_session *session; /* NULL: not begun */
    char *user, *password;  /* owned */
    bool plain, scram;
};

/* One for the process: it is only read once it is made. */
static Gsasl *library(void)
{
    static Gsasl *gsasl;
    if (gsasl == NULL && gsasl_init(&gsasl) != GSASL_OK)
        gsasl = NULL;
    return gsasl;
}

struct login *login_new(struct pn_str user, struct pn_str password, bool plain)
{
    if (library() == NULL)
        return NULL;
    struct login *l = pn_calloc(1, sizeof *l);
    *l = (struct login){.plain = plain,
                        .user = pn_strndup(user.p, user.len),
                        .password = pn_strndup(password.p, password.len)};
    return l;
}

void login_free(struct login **login)
{
    struct login *l = *login;
    *login = NULL;
    if (l == NULL)
        return;
    if (l->session != NULL)
        gsasl_finish(l->session);
    explicit_bzero(l->password, strlen(l->password));
    free(l->password);
    free(l->user);
    free(l);
}

static bool has_word(struct pn_str words, struct pn_str word)
{
    while (words.p != NULL)
        if (pn_str_ieq(pn_str_split(&words, ' '), word))
            return true;
    return false;
}

/* The best that both have, or NULL. */
static const char *choose(const struct login *l, struct pn_str words)
{
    static const char *const names[] = {"SCRAM-SHA-256", "PLAIN", "LOGIN"};
    size_t count = l->plain ? sizeof names / sizeof names[0] : 1;
    for (size_t i = 0; i < count; i++)
        if (has_word(words, pn_str_of(names[i])))
            return names[i];
    return NULL;
}

/* "r=...,s=...,i=4096": is it so many only? */
static bool iterations_ok(struct pn_str challenge)
{
    struct pn_buf text;
    pn_buf_init(&text, LOGIN_WORD_MAX);
    bool ok = pn_base64_decode(&text, challenge);
    struct pn_str rest = pn_buf_str(&text);
    while (ok && rest.p != NULL) {
        struct pn_str part = pn_str_split(&rest, ',');
        uint64_t n;
        if (pn_str_starts(part, PN_STR("i=")))
            ok = pn_str_u64(pn_str_slice(part, 2, part.len), ITERATIONS_MAX, &n);
    }
    pn_buf_fini(&text);
    return ok;
}

/* What libgsasl says to the challenge, "" at the beginning. */
static const char *say(struct login *l, const char *challenge, struct pn_buf *out, bool *last)
{
    char *said = NULL;
    int rc = gsasl_step64(l->session, challenge, &said);
    if (rc == GSASL_OK || rc == GSASL_NEEDS_MORE)
        (void)pn_buf_addz(out, said);
    gsasl_free(said);
    *last = rc == GSASL_OK;
    if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE)
        return "The peer's part of AUTH is not that of who knows the password";
    return out->overflow ? "AUTH takes more than a line" : NULL;
}

static const char *begin(struct login *l, struct pn_str words, struct pn_buf *out, bool *last)
{
    const char *name = choose(l, words);
    if (name == NULL)
        return l->plain ? "AUTH is required, and no mechanism fits"
                        : "AUTH is required, and SCRAM-SHA-256 is not offered (auth { plain yes } "
                          "shows the password)";
    if (gsasl_client_start(library(), name, &l->session) != GSASL_OK)
        return "AUTH can't be begun";
    gsasl_property_set(l->session, GSASL_AUTHID, l->user);
    gsasl_property_set(l->session, GSASL_PASSWORD, l->password);
    l->scram = name[0] == 'S';
    *last = false;
    (void)pn_buf_addz(out, name);
    if (strcmp(name, "LOGIN") == 0)
        return NULL; /* the server speaks first */
    (void)pn_buf_addc(out, ' ');
    return say(l, "", out, last);
}

const char *login_step(struct login *l, bool first, struct pn_str words, struct pn_buf *out,
                       bool *last)
{
    if (first)
        return begin(l, words, out, last);
    if (l->session == NULL || (l->scram && !iterations_ok(words)))
        return "The peer asks for more than AUTH may take";
    char *challenge = pn_strndup(words.p, words.len);
    const char *why = say(l, challenge, out, last);
    free(challenge);
    return why;
}
