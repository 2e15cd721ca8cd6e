/*
 * A DKIM signer for tests and demo mail: plain, byte by byte, written apart from the
 * verifier so that the two check each other. Content is CRLF; a field is one line or
 * folded. Errors end the program: it is a tool.
 */
#ifndef DKIM_SIGNER_H
#define DKIM_SIGNER_H

#include "buf.h"

#include <openssl/evp.h>

struct signer_spec {
    EVP_PKEY *key; /* RSA or Ed25519 */
    const char *domain;
    const char *selector;
    const char *canon; /* "relaxed/simple"…; NULL: no c= */
    const char *names; /* h= */
    const char *tags;  /* more tags, "t=1; x=2; "; NULL: none. They come before b= */
    const char *a;     /* NULL: what fits the key */
    long length;       /* l=; negative: none */
    bool sha1;
};

/* The DKIM-Signature field with its CRLF, for that header and body. */
void signer_sign(struct pn_buf *out, const struct signer_spec *spec, struct pn_str header,
                 struct pn_str body);
/* "v=DKIM1; k=...; p=..." */
void signer_record(struct pn_buf *out, EVP_PKEY *key);

/* The naive canonical forms. */
void signer_body(struct pn_buf *out, bool relaxed, struct pn_str body);
void signer_field(struct pn_buf *out, bool relaxed, struct pn_str field);

#endif
