/* A client that goes by TLSA records (RFC 7671, RFC 7672): which certificates it takes. */
#include "unit.h"

#include "assert.h"
#include "stream.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- an authority, and servers' certificates by it */

struct signer {
    EVP_PKEY *key;
    X509 *cert;
};

static struct signer authority, another;

static void add_extension(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    pn_assert(e != NULL && X509_add_ext(x, e, -1) == 1);
    X509_EXTENSION_free(e);
}

/* by NULL: it signs itself, as an authority. names: "DNS:mx.test,DNS:*.test", or NULL: only a
 * common name. from, to: seconds from now. */
static struct signer make(const char *common, const char *names, const struct signer *by, long from,
                          long to)
{
    static long serial;
    struct signer s = {EVP_EC_gen("P-256"), X509_new()};
    pn_assert(s.key != NULL && s.cert != NULL);
    (void)X509_set_version(s.cert, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(s.cert), ++serial);
    (void)X509_gmtime_adj(X509_getm_notBefore(s.cert), from);
    (void)X509_gmtime_adj(X509_getm_notAfter(s.cert), to);
    (void)X509_NAME_add_entry_by_txt(X509_get_subject_name(s.cert), "CN", MBSTRING_ASC,
                                     (const unsigned char *)common, -1, -1, 0);
    (void)X509_set_issuer_name(s.cert, X509_get_subject_name(by == NULL ? s.cert : by->cert));
    (void)X509_set_pubkey(s.cert, s.key);
    add_extension(s.cert, NID_basic_constraints, by == NULL ? "critical,CA:TRUE" : "CA:FALSE");
    if (names != NULL)
        add_extension(s.cert, NID_subject_alt_name, names);
    pn_assert(X509_sign(s.cert, by == NULL ? s.key : by->key, EVP_sha256()) > 0);
    return s;
}

static void drop(struct signer *s)
{
    X509_free(s->cert);
    EVP_PKEY_free(s->key);
}

static void add_pem(struct pn_buf *out, X509 *cert, EVP_PKEY *key)
{
    char *p;
    BIO *bio = BIO_new(BIO_s_mem());
    pn_assert(cert != NULL ? PEM_write_bio_X509(bio, cert)
                           : PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL));
    long n = BIO_get_mem_data(bio, &p);
    pn_assert(pn_buf_add(out, p, (size_t)n));
    BIO_free(bio);
}

/* The server shows its own certificate, and the authority's behind it. */
static struct pn_tls_context *server_context(const struct signer *leaf, const struct signer *by)
{
    struct pn_buf chain, key, err;
    pn_buf_init(&chain, 1 << 16);
    pn_buf_init(&key, 1 << 16);
    pn_buf_init(&err, 1000);
    add_pem(&chain, leaf->cert, NULL);
    if (by != NULL)
        add_pem(&chain, by->cert, NULL);
    add_pem(&key, NULL, leaf->key);
    const struct pn_tls_identity id = {PN_STR(""), pn_buf_str(&chain), pn_buf_str(&key)};
    struct pn_tls_context *tls = pn_tls_server_new(&id, 1, &err);
    UNIT_STR(pn_buf_str(&err), PN_STR(""));
    pn_buf_fini(&chain);
    pn_buf_fini(&key);
    pn_buf_fini(&err);
    return tls;
}

/* ---- records: "3 1 1 leaf" is usage, selector, matching type, and of what */

enum { RECORDS_MAX = 4, RECORD_BYTES = 2048 };

struct records {
    struct pn_tlsa v[RECORDS_MAX];
    unsigned char data[RECORDS_MAX][RECORD_BYTES];
    size_t count;
};

static void add_record(struct records *r, const char *text, const struct signer *leaf)
{
    unsigned usage, selector, matching, len = 0;
    char what[20];
    unsigned char *der = NULL;
    pn_assert(sscanf(text, "%u %u %u %19s", &usage, &selector, &matching, what) == 4);
    const struct signer *of = strcmp(what, "leaf") == 0        ? leaf
                              : strcmp(what, "authority") == 0 ? &authority
                                                               : &another;
    int n = selector == 0 ? i2d_X509(of->cert, &der) : i2d_PUBKEY(of->key, &der);
    unsigned char *to = r->data[r->count];
    pn_assert(n > 0 && n <= RECORD_BYTES);
    if (matching == 0)
        memcpy(to, der, len = (unsigned)n);
    else
        pn_assert(EVP_Digest(der, (size_t)n, to, &len, matching == 1 ? EVP_sha256() : EVP_sha512(),
                             NULL) == 1);
    OPENSSL_free(der);
    r->v[r->count++] = (struct pn_tlsa){
        (uint8_t)usage, (uint8_t)selector, (uint8_t)matching, {(const char *)to, len}};
}

/* ---- the two ends */

struct end {
    struct pn_stream *stream;
    int tls, closed;
    enum pn_close how;
    char why[200];
};

static size_t on_read(void *ctx, struct pn_str bytes)
{
    (void)ctx;
    return bytes.len;
}

static void on_tls(void *ctx)
{
    ((struct end *)ctx)->tls++;
}

static void on_close(void *ctx, enum pn_close how, const char *why)
{
    struct end *e = ctx;
    e->closed++;
    e->how = how;
    (void)snprintf(e->why, sizeof e->why, "%s", why);
}

static const struct pn_stream_ops ops = {
    .on_read = on_read, .on_tls = on_tls, .on_close = on_close};
static struct pn_loop *loop;
static struct pn_str authorities = PN_STR_INIT(""); /* that clients go by */

static void end_init(struct end *e, int fd)
{
    *e = (struct end){0};
    e->stream = pn_stream_new(loop, fd, &ops, e, (struct pn_stream_limits){4096, 4096});
}

/* One handshake; true: both have it, and info says how. */
static bool shake(struct pn_tls_context *server, const struct pn_tls_want *want, struct end *c,
                  struct pn_tls_info *info)
{
    struct end s;
    struct pn_buf err;
    int fds[2];
    pn_buf_init(&err, 1000);
    struct pn_tls_context *client = pn_tls_client_new(authorities, &err);
    pn_assert(client != NULL && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    loop = pn_loop_new();
    end_init(c, fds[0]);
    end_init(&s, fds[1]);
    pn_stream_start_tls(s.stream, server, true, NULL);
    pn_stream_start_tls_with(c->stream, client, want);
    for (int i = 0; i < 2000 && c->closed == 0 && (c->tls == 0 || s.tls == 0); i++)
        (void)pn_loop_turn(loop, 100);
    bool ok = c->tls == 1 && c->closed == 0;
    if (ok)
        *info = *pn_stream_tls(c->stream);
    if (ok && want->sni != NULL)
        UNIT_STR(pn_str_of(pn_stream_tls(s.stream)->sni), pn_str_of(want->sni));
    pn_stream_free(&c->stream);
    pn_stream_free(&s.stream);
    pn_tls_unref(&client);
    pn_loop_free(&loop);
    pn_buf_fini(&err);
    return ok;
}

struct row {
    const char *label;
    const char *names; /* of the certificate */
    bool expired;
    const char *records[RECORDS_MAX];
    const char *wants[3]; /* reference names */
    bool want;
};

static void play(const struct row *row)
{
    struct signer leaf = make("leaf.test", row->names, &authority, row->expired ? -7200 : -60,
                              row->expired ? -3600 : 3600);
    struct pn_tls_context *server = server_context(&leaf, &authority);
    struct pn_tls_want want = {.sni = row->wants[0], .names = row->wants};
    struct pn_tls_info info = {0};
    static struct records records;
    struct end c;
    records.count = 0;
    for (size_t i = 0; i < RECORDS_MAX && row->records[i] != NULL; i++)
        add_record(&records, row->records[i], &leaf);
    for (size_t i = 0; i < records.count; i++)
        UNIT_TRUE(pn_tlsa_usable(&records.v[i]));
    while (want.name_count < 3 && row->wants[want.name_count] != NULL)
        want.name_count++;
    want.tlsa = records.v;
    want.tlsa_count = records.count;
    unit_row(row->label);
    bool ok = shake(server, &want, &c, &info);
    UNIT_INT(ok, row->want);
    if (ok) {
        UNIT_INT(info.verified, records.count > 0 ? PN_TLS_BY_DANE : PN_TLS_UNVERIFIED);
    } else {
        UNIT_INT(c.how, PN_CLOSE_TLS);
        UNIT_TRUE(strncmp(c.why, "certificate refused: ", 21) == 0);
    }
    pn_tls_unref(&server);
    drop(&leaf);
}

#define MX                                                                                         \
    {                                                                                              \
        "mx.test", NULL, NULL                                                                      \
    }

static void test_records(void)
{
    static const struct row rows[] = {
        {"none", "DNS:mx.test", false, {NULL}, MX, true},
        {"key, SHA-256", "DNS:mx.test", false, {"3 1 1 leaf"}, MX, true},
        {"key, SHA-512", "DNS:mx.test", false, {"3 1 2 leaf"}, MX, true},
        {"key, whole", "DNS:mx.test", false, {"3 1 0 leaf"}, MX, true},
        {"certificate, SHA-256", "DNS:mx.test", false, {"3 0 1 leaf"}, MX, true},
        {"certificate, SHA-512", "DNS:mx.test", false, {"3 0 2 leaf"}, MX, true},
        {"certificate, whole", "DNS:mx.test", false, {"3 0 0 leaf"}, MX, true},
        {"another's key", "DNS:mx.test", false, {"3 1 1 another"}, MX, false},
        {"another's certificate, whole", "DNS:mx.test", false, {"3 0 0 another"}, MX, false},
        {"EE with the authority's key", "DNS:mx.test", false, {"3 1 1 authority"}, MX, false},
        {"EE asks for no name", "DNS:other.test", false, {"3 1 1 leaf"}, MX, true},
        {"EE asks for no date", "DNS:mx.test", true, {"3 1 1 leaf"}, MX, true},
        {"TA, key, SHA-256", "DNS:mx.test", false, {"2 1 1 authority"}, MX, true},
        {"TA, certificate, SHA-512", "DNS:mx.test", false, {"2 0 2 authority"}, MX, true},
        {"TA, certificate, whole", "DNS:mx.test", false, {"2 0 0 authority"}, MX, true},
        {"TA, key, whole", "DNS:mx.test", false, {"2 1 0 authority"}, MX, true},
        {"TA, another's", "DNS:mx.test", false, {"2 0 1 another"}, MX, false},
        {"TA asks for the date", "DNS:mx.test", true, {"2 0 1 authority"}, MX, false},
        {"the second matches", "DNS:mx.test", false, {"3 1 1 another", "3 1 1 leaf"}, MX, true},
        {"TA or EE", "DNS:x.test", false, {"2 0 1 authority", "3 1 1 leaf"}, MX, true},
        {"the stronger digest decides",
         "DNS:mx.test",
         false,
         {"3 1 2 another", "3 1 1 leaf"},
         MX,
         false},
        {"of one selector", "DNS:mx.test", false, {"3 0 2 another", "3 1 1 leaf"}, MX, true},
    };
    authority = make("authority.test", NULL, NULL, -60, 3600);
    another = make("another.test", NULL, NULL, -60, 3600);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        play(&rows[i]);
    drop(&authority);
    drop(&another);
}

static void test_names(void)
{
    static const struct row rows[] = {
        {"the first", "DNS:mx.test", false, {"2 0 1 authority"}, {"mx.test", "a.test"}, true},
        {"the second", "DNS:a.test", false, {"2 0 1 authority"}, {"mx.test", "a.test"}, true},
        {"the third",
         "DNS:b.test",
         false,
         {"2 0 1 authority"},
         {"mx.test", "a.test", "b.test"},
         true},
        {"another", "DNS:c.test", false, {"2 0 1 authority"}, {"mx.test", "a.test"}, false},
        {"without case", "DNS:MX.Test", false, {"2 0 1 authority"}, MX, true},
        {"a label less", "DNS:test", false, {"2 0 1 authority"}, MX, false},
        {"a label more", "DNS:a.mx.test", false, {"2 0 1 authority"}, MX, false},
        {"the star for a label", "DNS:*.a.test", false, {"2 0 1 authority"}, {"mx.a.test"}, true},
        {"the star for two", "DNS:*.a.test", false, {"2 0 1 authority"}, {"b.mx.a.test"}, false},
        {"the star for part of one",
         "DNS:m*.a.test",
         false,
         {"2 0 1 authority"},
         {"mx.a.test"},
         false},
        {"the star within", "DNS:mx.*.a.test", false, {"2 0 1 authority"}, {"mx.b.a.test"}, false},
        {"the common name, where there is no other",
         NULL,
         false,
         {"2 0 1 authority"},
         {"leaf.test"},
         true},
        {"the common name, where there are others",
         "DNS:mx.test",
         false,
         {"2 0 1 authority"},
         {"leaf.test"},
         false},
    };
    authority = make("authority.test", NULL, NULL, -60, 3600);
    another = make("another.test", NULL, NULL, -60, 3600);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        play(&rows[i]);
    drop(&authority);
    drop(&another);
}

/* Without records: a certificate of that name by an authority, asked for or only noted. */
static void test_authority(void)
{
    static const struct {
        const char *label, *names, *sni;
        bool expired, known, another, asked, want; /* known: the client has the authority */
        enum pn_tls_verified verified;
    } rows[] = {
        {"good", "DNS:mx.test", "mx.test", false, true, false, true, true, PN_TLS_BY_AUTHORITY},
        {"good, not asked for", "DNS:mx.test", "mx.test", false, true, false, false, true,
         PN_TLS_BY_AUTHORITY},
        {"another name", "DNS:a.test", "mx.test", false, true, false, true, false, 0},
        {"another name, not asked for", "DNS:a.test", "mx.test", false, true, false, false, true,
         PN_TLS_UNVERIFIED},
        {"late", "DNS:mx.test", "mx.test", true, true, false, true, false, 0},
        {"late, not asked for", "DNS:mx.test", "mx.test", true, true, false, false, true,
         PN_TLS_UNVERIFIED},
        {"another's", "DNS:mx.test", "mx.test", false, true, true, true, false, 0},
        {"another's, not asked for", "DNS:mx.test", "mx.test", false, true, true, false, true,
         PN_TLS_UNVERIFIED},
        {"no authorities", "DNS:mx.test", "mx.test", false, false, false, true, false, 0},
        {"no authorities, not asked for", "DNS:mx.test", "mx.test", false, false, false, false,
         true, PN_TLS_UNVERIFIED},
        {"no name, not asked for", "DNS:mx.test", NULL, false, true, false, false, true,
         PN_TLS_UNVERIFIED},
        {"no name", "DNS:mx.test", NULL, false, true, false, true, false, 0},
    };
    struct pn_buf pem;
    pn_buf_init(&pem, 1 << 16);
    authority = make("authority.test", NULL, NULL, -60, 3600);
    another = make("another.test", NULL, NULL, -60, 3600);
    add_pem(&pem, authority.cert, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct signer *by = rows[i].another ? &another : &authority;
        struct signer leaf = make("leaf.test", rows[i].names, by, rows[i].expired ? -7200 : -60,
                                  rows[i].expired ? -3600 : 3600);
        struct pn_tls_context *server = server_context(&leaf, by);
        const struct pn_tls_want want = {.sni = rows[i].sni,
                                         .names = &rows[i].sni,
                                         .name_count = rows[i].sni != NULL,
                                         .authority = rows[i].asked};
        struct pn_tls_info info = {0};
        struct end c;
        authorities = rows[i].known ? pn_buf_str(&pem) : PN_STR("");
        unit_row(rows[i].label);
        bool ok = shake(server, &want, &c, &info);
        UNIT_INT(ok, rows[i].want);
        if (ok)
            UNIT_INT(info.verified, rows[i].verified);
        pn_tls_unref(&server);
        drop(&leaf);
    }
    authorities = PN_STR("");
    drop(&authority);
    drop(&another);
    pn_buf_fini(&pem);
}

/* Files of authorities: what is one, and what is not. */
static void test_bundle(void)
{
    struct pn_buf one, two, key;
    pn_buf_init(&one, 1 << 16);
    pn_buf_init(&two, 1 << 16);
    pn_buf_init(&key, 1 << 16);
    authority = make("authority.test", NULL, NULL, -60, 3600);
    add_pem(&one, authority.cert, NULL);
    (void)pn_buf_addz(&two, "# two of them, with words between\n");
    (void)pn_buf_adds(&two, pn_buf_str(&one));
    (void)pn_buf_addz(&two, "words\n");
    (void)pn_buf_adds(&two, pn_buf_str(&one));
    add_pem(&key, NULL, authority.key);
    const struct {
        const char *label;
        struct pn_str pem;
        bool want, some;
    } rows[] = {
        {"none", PN_STR(""), true, false},
        {"one", pn_buf_str(&one), true, true},
        {"two, the same", pn_buf_str(&two), true, true},
        {"a key", pn_buf_str(&key), false, false},
        {"words", PN_STR("no certificates at all"), false, false},
        {"cut", pn_str_slice(pn_buf_str(&one), 0, one.len / 2), false, false},
        {"the second is cut", pn_str_slice(pn_buf_str(&two), 0, two.len - 100), false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_buf err;
        pn_buf_init(&err, 1000);
        unit_row(rows[i].label);
        struct pn_tls_context *tls = pn_tls_client_new(rows[i].pem, &err);
        UNIT_INT(tls != NULL, rows[i].want);
        UNIT_INT(err.len == 0, rows[i].want);
        if (tls != NULL)
            UNIT_INT(pn_tls_has_authorities(tls), rows[i].some);
        pn_tls_unref(&tls);
        pn_buf_fini(&err);
    }
    drop(&authority);
    pn_buf_fini(&one);
    pn_buf_fini(&two);
    pn_buf_fini(&key);
}

/* Records, and no name that they could be of: no handshake is made. */
static void test_nameless(void)
{
    static const char *const sni[] = {NULL, "", "192.0.2.1"};
    authority = make("authority.test", NULL, NULL, -60, 3600);
    for (size_t i = 0; i < sizeof sni / sizeof sni[0]; i++) {
        struct pn_tls_context *server = server_context(&authority, NULL);
        static struct records records;
        struct pn_tls_info info;
        struct end c;
        records.count = 0;
        add_record(&records, "3 1 1 authority", &authority);
        const struct pn_tls_want want = {
            .sni = sni[i], .names = &sni[i], .name_count = 1, .tlsa = records.v, .tlsa_count = 1};
        unit_row(sni[i] == NULL ? "NULL" : sni[i]);
        UNIT_TRUE(!shake(server, &want, &c, &info));
        UNIT_INT(c.how, PN_CLOSE_TLS);
        pn_tls_unref(&server);
    }
    drop(&authority);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"records", test_records},     {"names", test_names},   {"nameless", test_nameless},
        {"authority", test_authority}, {"bundle", test_bundle}, {NULL, NULL}};
    return unit_main("stream_dane", tests, argc, argv);
}
