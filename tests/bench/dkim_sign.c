/*
 * dkim_sign [-b] KEY.pem DOMAIN SELECTOR CANON < message > signed
 *
 * Signs mail for the demo and for measuring: From, To, Subject and Date. LF becomes CRLF,
 * and with -b CRLF becomes LF again. With the four arguments and "-r" in front it prints
 * the zone's line for the key instead. -g KEY.pem rsa|ed25519 makes a key.
 */
#include "buf.h"
#include "dkim_signer.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <unistd.h>

static void read_stdin(struct pn_buf *b)
{
    int c, before = 0;

    while ((c = getchar()) != EOF) {
        if (c == '\n' && before != '\r')
            (void)pn_buf_addc(b, '\r');
        (void)pn_buf_addc(b, (char)c);
        before = c;
    }
}

static void write_stdout(struct pn_str s, bool bare)
{
    for (size_t i = 0; i < s.len; i++)
        if (!bare || s.p[i] != '\r')
            (void)putchar(s.p[i]);
}

static int make_key(const char *path, const char *kind)
{
    EVP_PKEY *key =
        strcmp(kind, "rsa") == 0 ? EVP_RSA_gen(2048) : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    FILE *f = fopen(path, "w");
    int good = key != NULL && f != NULL && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);

    EVP_PKEY_free(key);
    if (f != NULL && fclose(f) != 0)
        good = 0;
    return good ? 0 : 3;
}

static void sign(const struct signer_spec *spec, bool bare)
{
    struct pn_buf in, out;
    const char *gap;
    size_t header;

    pn_buf_init(&in, SIZE_MAX);
    pn_buf_init(&out, SIZE_MAX);
    read_stdin(&in);
    gap = in.len == 0 ? NULL : memmem(in.p, in.len, "\r\n\r\n", 4);
    header = gap == NULL ? in.len : (size_t)(gap - in.p) + 2;
    signer_sign(&out, spec, pn_str_slice(pn_buf_str(&in), 0, header),
                pn_str_slice(pn_buf_str(&in), header + 2, in.len));
    write_stdout(pn_buf_str(&out), bare);
    write_stdout(pn_buf_str(&in), bare);
    pn_buf_fini(&in);
    pn_buf_fini(&out);
}

/* In strings of 255 bytes, as a zone wants them. */
static void print_record(const struct signer_spec *spec)
{
    struct pn_buf b;

    pn_buf_init(&b, SIZE_MAX);
    signer_record(&b, spec->key);
    printf("%s._domainkey.%s TXT", spec->selector, spec->domain);
    for (size_t at = 0; at < b.len; at += 255)
        printf(" \"%.*s\"", PN_FMT(pn_str_slice(pn_buf_str(&b), at, at + 255)));
    printf("\n");
    pn_buf_fini(&b);
}

int main(int argc, char **argv)
{
    bool bare = false, record = false, make = false;
    int c;

    while ((c = getopt(argc, argv, "brg")) != -1) {
        bare |= c == 'b';
        record |= c == 'r';
        make |= c == 'g';
        if (c == '?')
            return 2;
    }
    argv += optind;
    argc -= optind;
    if (make)
        return argc == 2 ? make_key(argv[0], argv[1]) : 2;
    if (argc != 4)
        return 2;

    FILE *f = fopen(argv[0], "r");
    struct signer_spec spec = {.key = f == NULL ? NULL : PEM_read_PrivateKey(f, NULL, NULL, NULL),
                               .domain = argv[1],
                               .selector = argv[2],
                               .canon = argv[3],
                               .names = "From:To:Subject:Date",
                               .length = -1};

    if (f != NULL)
        (void)fclose(f);
    if (spec.key == NULL) {
        fprintf(stderr, "dkim_sign: no key in %s\n", argv[0]);
        return 3;
    }
    if (record)
        print_record(&spec);
    else
        sign(&spec, bare);
    EVP_PKEY_free(spec.key);
    return 0;
}
