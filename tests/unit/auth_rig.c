#include "auth_rig.h"

#include "assert.h"
#include "codec.h"
#include "mem.h"
#include "memfile.h"
#include "password.h"

#include <gsasl.h>
#include <stdlib.h>

static void add_user(struct pn_buf *text, const char *name, const char *password, bool scram,
                     const char *options)
{
    struct pn_password p = {.len = strlen(password)};
    memcpy(p.bytes, password, p.len);
    pn_assert(pn_password_prepare(&p) == NULL);
    (void)pn_buf_addf(text, "%s:", name);
    pn_assert(pn_password_yescrypt(&p, text));
    (void)pn_buf_addc(text, ':');
    if (scram) {
        struct pn_scram keys = {.iterations = PN_SCRAM_ITERATIONS_MIN, .salt_len = 16};
        memcpy(keys.salt, "sixteen bytes of", 16);
        pn_assert(pn_password_scram_keys(&p, &keys));
        pn_scram_print(&keys, text);
    }
    (void)pn_buf_addf(text, ":%s\n", options);
}

void auth_rig_users(struct pn_buf *text)
{
    add_user(text, "ann@here.test", "s3cret pass", true, "senders=@here.test,info@other.test");
    add_user(text, "bob@here.test", "bob's own", false, "");
}

int auth_rig_file(struct pn_str text)
{
    int fd = pn_memfile_of("users", text);
    pn_assert(fd >= 0);
    return fd;
}

struct auth_client {
    Gsasl *gsasl;
    Gsasl_session *session;
};

struct auth_client *auth_client_new(enum pn_sasl_mechanism mechanism, const char *user,
                                    const char *password, const char *exporter)
{
    struct auth_client *c = pn_calloc(1, sizeof *c);
    pn_assert(gsasl_init(&c->gsasl) == GSASL_OK);
    pn_assert(gsasl_client_start(c->gsasl, pn_sasl_mechanism_name(mechanism), &c->session) ==
              GSASL_OK);
    (void)gsasl_property_set(c->session, GSASL_AUTHID, user);
    (void)gsasl_property_set(c->session, GSASL_PASSWORD, password);
    if (exporter != NULL) {
        struct pn_buf b;
        pn_buf_init(&b, 100);
        pn_base64_encode(&b, (struct pn_str){exporter, PN_SASL_EXPORTER});
        (void)gsasl_property_set(c->session, GSASL_CB_TLS_EXPORTER, pn_buf_cstr(&b));
        pn_buf_fini(&b);
    }
    return c;
}

void auth_client_authzid(struct auth_client *c, const char *authzid)
{
    (void)gsasl_property_set(c->session, GSASL_AUTHZID, authzid);
}

void auth_client_free(struct auth_client **client)
{
    struct auth_client *c = *client;
    *client = NULL;
    if (c == NULL)
        return;
    gsasl_finish(c->session);
    gsasl_done(c->gsasl);
    free(c);
}

bool auth_client_step(struct auth_client *c, struct pn_str said, struct pn_buf *out)
{
    char *text = NULL;
    size_t len = 0;
    int rc = gsasl_step(c->session, said.p == NULL ? "" : said.p, said.len, &text, &len);
    pn_buf_clear(out);
    if (len != 0)
        (void)pn_buf_add(out, text, len);
    gsasl_free(text);
    return rc == GSASL_OK || rc == GSASL_NEEDS_MORE;
}
