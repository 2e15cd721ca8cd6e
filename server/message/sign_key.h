/*
 * A key that mail is signed with (RFC 6376; Ed25519: RFC 8463): from its PEM text, to the
 * record that publishes it, and what it signs. RSA of 1024 bits (RFC 8301, section 3.2) to
 * 8192, and Ed25519.
 *
 * Keys are the caller's, to be freed with EVP_PKEY_free. A key may be used by several threads
 * at once.
 */
#ifndef PN_SIGN_KEY_H
#define PN_SIGN_KEY_H

#include "buf.h"
#include "sign_body.h"

#include <openssl/evp.h>

enum { PN_SIGNATURE_MAX = 1024 }; /* bytes: RSA of 8192 bits */

/* NULL: there is no private key in it (PKCS #8 or RSA's own form), or one behind a
 * passphrase: nobody is asked for one. */
EVP_PKEY *pn_sign_key_read(struct pn_str pem);
/* "rsa-sha256", "ed25519-sha256"; NULL: DKIM has no keys of this kind or size. */
const char *pn_sign_key_algorithm(const EVP_PKEY *key);
/* "v=DKIM1; k=...; p=...". false: DKIM has no such keys; out is as it was. */
bool pn_sign_key_record(EVP_PKEY *key, struct pn_buf *out);
/* Appends the signature of what SHA-256 gave. false: OpenSSL failed. */
bool pn_sign_key_sign(EVP_PKEY *key, const unsigned char digest[PN_SIGN_HASH], struct pn_buf *out);

#endif
