/*
 * An RSA public key from the bytes that nearly every record holds: a SubjectPublicKeyInfo
 * (RFC 5280, section 4.1) with rsaEncryption, in DER as it should be. OpenSSL's own decoder
 * tries every form that there is, which takes longer than many verifications.
 */
#ifndef DKIM_RSA_H
#define DKIM_RSA_H

#include <openssl/evp.h>

/* Owned by the caller (EVP_PKEY_free). NULL: another form, or none; OpenSSL may know it. */
EVP_PKEY *dkim_rsa_key(const unsigned char *der, size_t len);

#endif
