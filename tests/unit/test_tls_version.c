/* TLS 1.2 at least, whatever the machine's configuration of OpenSSL says: what a server answers
 * to an older client, and what a client of ours offers. */
#include "unit.h"

#include "identity.h"
#include "stream.h"
#include "tls.h"

#include <openssl/ssl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct pn_loop *loop;

static void on_close(void *ctx, enum pn_close how, const char *why)
{
    (void)ctx;
    (void)how;
    (void)why;
}

static void on_tls(void *ctx)
{
    (void)ctx;
}

static size_t on_read(void *ctx, struct pn_str bytes)
{
    (void)ctx;
    return bytes.len;
}

static const struct pn_stream_ops ops = {
    .on_read = on_read, .on_tls = on_tls, .on_close = on_close};

static const struct pn_stream_limits limits = {16 * 1024, 64 * 1024};

/* What comes back first, while the loop turns. */
static size_t hear(int fd, unsigned char *to, size_t size)
{
    ssize_t n = -1;
    for (unsigned i = 0; i < 1000 && n <= 0; i++) {
        pn_loop_turn(loop, 10);
        n = recv(fd, to, size, MSG_DONTWAIT);
    }
    return n < 0 ? 0 : (size_t)n;
}

/* The first bytes of a client of this version. */
static size_t hello_of(int version, unsigned char *to, size_t size)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    UNIT_INT(SSL_CTX_set_min_proto_version(context, version), 1);
    UNIT_INT(SSL_CTX_set_max_proto_version(context, version), 1);
    UNIT_INT(SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0"), 1);
    SSL *ssl = SSL_new(context);
    BIO *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
    UNIT_INT(SSL_connect(ssl), -1);
    int n = BIO_read(out, to, (int)size);
    SSL_free(ssl);
    SSL_CTX_free(context);
    return n < 0 ? 0 : (size_t)n;
}

static void test_server(void)
{
    enum { ALERT = 21, HANDSHAKE = 22, PROTOCOL_VERSION = 70 };
    static const struct {
        const char *label;
        int version;
        bool want;
    } rows[] = {{"TLS 1.0", TLS1_VERSION, false},
                {"TLS 1.1", TLS1_1_VERSION, false},
                {"TLS 1.2", TLS1_2_VERSION, true},
                {"TLS 1.3", TLS1_3_VERSION, true}};
    struct pn_buf cert, key, err;
    pn_buf_init(&cert, 1 << 16);
    pn_buf_init(&key, 1 << 16);
    pn_buf_init(&err, 1000);
    identity_make("mx.x.test", &cert, &key);
    struct pn_tls_identity id = {PN_STR(""), pn_buf_str(&cert), pn_buf_str(&key)};
    struct pn_tls_context *tls = pn_tls_server_new(&id, 1, &err);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && tls != NULL; i++) {
        unsigned char bytes[4096] = {0};
        int fds[2];
        unit_row(rows[i].label);
        UNIT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
        struct pn_stream *s = pn_stream_new(loop, fds[0], &ops, NULL, limits);
        pn_stream_start_tls(s, tls, true, NULL);
        size_t len = hello_of(rows[i].version, bytes, sizeof bytes);
        UNIT_TRUE(len > 0 && send(fds[1], bytes, len, 0) == (ssize_t)len);
        UNIT_TRUE(hear(fds[1], bytes, sizeof bytes) >= 7);
        UNIT_INT(bytes[0], rows[i].want ? HANDSHAKE : ALERT);
        if (!rows[i].want)
            UNIT_INT(bytes[6], PROTOCOL_VERSION);
        pn_stream_free(&s);
        (void)close(fds[1]);
    }
    pn_tls_unref(&tls);
    pn_buf_fini(&cert);
    pn_buf_fini(&key);
    pn_buf_fini(&err);
}

static unsigned two(const unsigned char *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

/* The extension supported_versions of a ClientHello (RFC 8446, section 4.2.1): its body. NULL:
 * there is none. */
static const unsigned char *versions_of(const unsigned char *p, size_t len)
{
    size_t at = 5 + 4 + 2 + 32; /* record, handshake, version, random */
    at += 1 + p[at];            /* session */
    at += 2 + two(p + at);      /* ciphers */
    at += 1 + p[at];            /* compression */
    for (at += 2; at + 4 < len; at += 4 + two(p + at + 2))
        if (two(p + at) == 43)
            return p + at + 4;
    return NULL;
}

static void test_client(void)
{
    unsigned char bytes[4096] = {0};
    int fds[2];
    struct pn_buf err;
    pn_buf_init(&err, 1000);
    struct pn_tls_context *tls = pn_tls_client_new(PN_STR(""), &err);
    UNIT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    struct pn_stream *s = pn_stream_new(loop, fds[0], &ops, NULL, limits);
    pn_stream_start_tls(s, tls, false, "mx.x.test");
    size_t len = hear(fds[1], bytes, sizeof bytes);
    UNIT_TRUE(len > 50);
    const unsigned char *versions = len > 50 ? versions_of(bytes, len) : NULL;
    UNIT_TRUE(versions != NULL);
    for (unsigned i = 0; versions != NULL && i < versions[0]; i += 2)
        UNIT_TRUE(two(versions + 1 + i) >= TLS1_2_VERSION);
    pn_stream_free(&s);
    (void)close(fds[1]);
    pn_tls_unref(&tls);
    pn_buf_fini(&err);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"server", test_server}, {"client", test_client}, {NULL, NULL}};
    /* Debian's file forbids older versions too: here the program alone is asked. */
    if (setenv("OPENSSL_CONF", "/dev/null", 1) != 0)
        return 1;
    loop = pn_loop_new();
    int status = unit_main("tls_version", tests, argc, argv);
    pn_loop_free(&loop);
    return status;
}
