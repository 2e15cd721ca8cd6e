#include "mem.h"
#include "stream_int.h"
#include "tls_int.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

struct tls_side {
    SSL *ssl;
    struct pn_tls_context *context; /* a reference */
    struct pn_tls_info info;
    char *sni;
    bool ready;       /* handshake done */
    bool wants_write; /* OpenSSL waits until the socket takes bytes */
    bool ended;       /* an end or error waits behind what was read */
    bool broken;      /* no further SSL_* call but SSL_free */
};

struct tls_side *stream_tls_new(struct pn_stream *s, struct pn_tls_context *tls,
                                const struct pn_tls_want *want)
{
    struct tls_side *t = pn_calloc(1, sizeof *t);
    ERR_clear_error();
    t->context = pn_tls_ref(tls);
    t->ssl = SSL_new(tls_context_ssl(tls));
    if (t->ssl == NULL || SSL_set_fd(t->ssl, s->fd) != 1 ||
        (want != NULL && !tls_apply_want(t->ssl, want))) {
        char text[64];
        tls_error_text(text, sizeof text);
        stream_fail(s, PN_CLOSE_TLS, text);
        stream_tls_free(&t);
        return NULL;
    }
    if (want == NULL)
        SSL_set_accept_state(t->ssl);
    else
        SSL_set_connect_state(t->ssl);
    return t;
}

void stream_tls_free(struct tls_side **tls)
{
    struct tls_side *t = *tls;
    *tls = NULL;
    if (t == NULL)
        return;
    SSL_free(t->ssl);
    pn_tls_unref(&t->context);
    free(t->sni);
    free(t);
}

/* Translates the result of an SSL_* call; the stream is failed where it must be. */
static ssize_t outcome(struct pn_stream *s, int result)
{
    struct tls_side *t = s->tls;
    int saved = errno;
    int kind = SSL_get_error(t->ssl, result);
    if (kind == SSL_ERROR_WANT_READ)
        return IO_AGAIN;
    if (kind == SSL_ERROR_WANT_WRITE) {
        t->wants_write = true;
        return IO_AGAIN;
    }
    if (kind == SSL_ERROR_ZERO_RETURN)
        return IO_EOF;
    t->broken = true;
    if (kind == SSL_ERROR_SYSCALL && saved == 0)
        return IO_EOF;
    if (kind == SSL_ERROR_SYSCALL) {
        stream_fail(s, PN_CLOSE_ERROR, strerror(saved));
        return IO_FAILED;
    }
    char text[96];
    long verdict = SSL_get_verify_result(t->ssl);
    if (!t->ready && verdict != X509_V_OK && SSL_get_verify_mode(t->ssl) == SSL_VERIFY_PEER)
        (void)snprintf(text, sizeof text, "certificate refused: %s",
                       X509_verify_cert_error_string(verdict));
    else
        tls_error_text(text, sizeof text);
    ERR_clear_error();
    stream_fail(s, PN_CLOSE_TLS, text);
    return IO_FAILED;
}

static void fill_info(struct tls_side *t)
{
    const char *sni = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
    t->sni = sni == NULL ? NULL : pn_strdup(sni);
    t->info = (struct pn_tls_info){
        .protocol = SSL_get_version(t->ssl),
        .cipher = SSL_get_cipher_name(t->ssl),
        .bits = (unsigned)SSL_get_cipher_bits(t->ssl, NULL),
        .sni = t->sni,
        .verified = tls_verified(t->ssl),
    };
}

bool stream_tls_handshake(struct pn_stream *s)
{
    struct tls_side *t = s->tls;
    t->wants_write = false;
    ERR_clear_error();
    errno = 0;
    int result = SSL_do_handshake(t->ssl);
    if (result == 1) {
        t->ready = true;
        fill_info(t);
        return true;
    }
    if (outcome(s, result) == IO_EOF)
        stream_fail(s, PN_CLOSE_TLS, "the peer closed during the handshake");
    return false;
}

bool stream_tls_ready(const struct pn_stream *s)
{
    return s->tls != NULL && s->tls->ready;
}

/* What came before an end is shown first; a kick makes sure that the end is met. */
static ssize_t after_some(struct pn_stream *s, int result, size_t got)
{
    int kind = SSL_get_error(s->tls->ssl, result);
    if (kind == SSL_ERROR_WANT_WRITE)
        s->tls->wants_write = true;
    else if (kind != SSL_ERROR_WANT_READ)
        s->tls->ended = true;
    ERR_clear_error();
    return (ssize_t)got;
}

ssize_t stream_tls_read(struct pn_stream *s, char *to, size_t room)
{
    size_t got = 0;
    s->tls->wants_write = false;
    while (got < room) {
        size_t n;
        ERR_clear_error();
        errno = 0;
        int result = SSL_read_ex(s->tls->ssl, to + got, room - got, &n);
        if (result != 1)
            return got > 0 ? after_some(s, result, got) : outcome(s, result);
        got += n;
    }
    return (ssize_t)got;
}

ssize_t stream_tls_write(struct pn_stream *s, const char *from, size_t len)
{
    size_t sent = 0;
    s->tls->wants_write = false;
    while (sent < len) {
        size_t n;
        ERR_clear_error();
        errno = 0;
        int result = SSL_write_ex(s->tls->ssl, from + sent, len - sent, &n);
        if (result != 1) {
            ssize_t why = outcome(s, result);
            if (why == IO_EOF)
                stream_fail(s, PN_CLOSE_ERROR, "the peer closed");
            return sent > 0 && why == IO_AGAIN ? (ssize_t)sent : why == IO_EOF ? IO_FAILED : why;
        }
        sent += n;
    }
    return (ssize_t)sent;
}

bool stream_tls_broken(const struct pn_stream *s)
{
    return s->tls != NULL && s->tls->broken;
}

bool stream_tls_wants_write(const struct pn_stream *s)
{
    return s->tls != NULL && s->tls->wants_write;
}

bool stream_tls_has_input(const struct pn_stream *s)
{
    if (!stream_tls_ready(s) || s->tls->broken)
        return false;
    return s->tls->ended || SSL_has_pending(s->tls->ssl) == 1;
}

void stream_tls_bye(struct pn_stream *s)
{
    if (!stream_tls_ready(s) || s->tls->broken)
        return;
    ERR_clear_error();
    (void)SSL_shutdown(s->tls->ssl); /* sends close_notify; the answer is not awaited */
    ERR_clear_error();
}

const struct pn_tls_info *pn_stream_tls(const struct pn_stream *s)
{
    return stream_tls_ready(s) ? &s->tls->info : NULL;
}

bool pn_stream_exporter(const struct pn_stream *s, unsigned char out[32])
{
    static const char label[] = "EXPORTER-Channel-Binding";
    if (!stream_tls_ready(s) || s->tls->broken ||
        (SSL_version(s->tls->ssl) < TLS1_3_VERSION && SSL_get_extms_support(s->tls->ssl) != 1))
        return false;
    bool ok =
        SSL_export_keying_material(s->tls->ssl, out, 32, label, sizeof label - 1, NULL, 0, 0) == 1;
    ERR_clear_error();
    return ok;
}
