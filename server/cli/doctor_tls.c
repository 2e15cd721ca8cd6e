/* The certificate that others see, and what DANE says of it (RFC 7672). */
#include "doctor.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

enum { SOON_DAYS = 14, DIGEST = 32 };

static X509 *read_certificate(struct doctor *d, struct pn_str path)
{
    char file[1024];
    (void)snprintf(file, sizeof file, "%.*s", PN_FMT(path));
    FILE *f = fopen(file, "re");
    X509 *x = f == NULL ? NULL : PEM_read_X509(f, NULL, NULL, NULL);
    if (f != NULL)
        (void)fclose(f);
    if (x == NULL)
        doctor_say(d, DOCTOR_NOTE, "tls", "%s can't be read: run this as root", file);
    return x;
}

static void look_at_dates(struct doctor *d, X509 *x)
{
    int days = 0, seconds = 0;
    bool read = ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x)) == 1;
    if (!read || days < 0 || seconds < 0)
        doctor_say(d, DOCTOR_FIX, "tls", "the certificate's time is over: get a new one");
    else if (X509_cmp_current_time(X509_get0_notBefore(x)) > 0)
        doctor_say(d, DOCTOR_FIX, "tls", "the certificate's time has not begun");
    else if (days < SOON_DAYS)
        doctor_say(d, DOCTOR_FIX, "tls", "the certificate ends in %d days: what renews it?", days);
    else
        doctor_say(d, DOCTOR_OK, "tls", "the certificate is good for %d days", days);
}

static void look_at_names(struct doctor *d, X509 *x)
{
    char host[DOCTOR_NAME_MAX];
    (void)snprintf(host, sizeof host, "%.*s", PN_FMT(d->hostname));
    if (X509_check_host(x, host, 0, 0, NULL) == 1)
        doctor_say(d, DOCTOR_OK, "tls", "it names %s", host);
    else
        doctor_say(d, DOCTOR_FIX, "tls", "it does not name %s", host);
    if (X509_check_issued(x, x) == X509_V_OK)
        doctor_say(d, DOCTOR_NOTE, "tls",
                   "it is signed by itself: senders that check certificates, and mail programs, do "
                   "not believe it");
}

static bool digest_key(X509 *x, unsigned char out[DIGEST])
{
    unsigned char *der = NULL;
    int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
    bool ok = n > 0 && EVP_Digest(der, (size_t)n, out, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(der);
    return ok;
}

/* 3 1 1 and 3 0 1, which speak of this very certificate; 0: others can't be told here. */
static int matches(X509 *x, struct pn_str tlsa)
{
    unsigned char digest[DIGEST];
    if (tlsa.len != 3 + DIGEST || tlsa.p[0] != 3 || tlsa.p[2] != 1)
        return 0;
    bool ok =
        tlsa.p[1] == 1 ? digest_key(x, digest) : X509_digest(x, EVP_sha256(), digest, NULL) == 1;
    return ok && memcmp(digest, tlsa.p + 3, DIGEST) == 0 ? 1 : -1;
}

static void look_at_dane(struct doctor *d, X509 *x)
{
    struct pn_dns_answer a = doctor_ask(d, PN_DNS_TLSA, "_25._tcp.%.*s", PN_FMT(d->hostname));
    unsigned char digest[DIGEST];
    char hex[2 * DIGEST + 1] = "";
    int good = 0, bad = 0;
    for (uint32_t i = 0; i < a.count; i++) {
        int one = matches(x, a.records[i].data);
        good += one > 0;
        bad += one < 0;
    }
    if (good > 0 && a.secure)
        doctor_say(d, DOCTOR_OK, "dane", "its TLSA record is of this certificate, and proved");
    else if (good > 0)
        doctor_say(
            d, DOCTOR_NOTE, "dane",
            "its TLSA record is of this certificate, but DNSSEC does not prove it here: sign "
            "the zone, and give resolver { trust-anchor }");
    else if (bad > 0)
        doctor_say(d, DOCTOR_FIX, "dane",
                   "its TLSA record is of another certificate: who uses DANE sends nothing");
    else if (a.count > 0)
        doctor_say(d, DOCTOR_NOTE, "dane", "its TLSA records are of kinds not looked at here");
    else if (doctor_unsure(&a))
        doctor_say(d, DOCTOR_NOTE, "dane", "_25._tcp.%.*s: %s", PN_FMT(d->hostname),
                   doctor_none(&a));
    else
        doctor_say(d, DOCTOR_NOTE, "dane", "no TLSA record; in a signed zone this one would do");
    if (good > 0 || (bad == 0 && a.count > 0) || doctor_unsure(&a) || !digest_key(x, digest))
        return;
    for (size_t i = 0; i < DIGEST; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    doctor_publish(d, "_25._tcp.%.*s. IN TLSA 3 1 1 %s", PN_FMT(d->hostname), hex);
}

void doctor_tls(struct doctor *d)
{
    struct pn_tls_row row = {0}, one;
    for (size_t i = 0; i < pn_policy_tls_count(d->policy); i++) {
        pn_policy_tls(d->policy, i, &one);
        if (one.name.len == 0 || pn_str_ieq(one.name, d->hostname))
            row = one;
    }
    if (row.certificate.len == 0) {
        doctor_say(d, DOCTOR_FIX, "tls",
                   "no certificate: mail comes in clear, and nobody can log "
                   "in. Set tls { certificate FILE  key FILE }");
        return;
    }
    X509 *x = read_certificate(d, row.certificate);
    if (x == NULL)
        return;
    look_at_dates(d, x);
    look_at_names(d, x);
    look_at_dane(d, x);
    X509_free(x);
}
