/*
 * A key that mail is signed with: its file (PEM, PKCS #8) and the text of the record that
 * publishes it (RFC 6376, section 3.6.1; Ed25519: RFC 8463, section 4). RSA of 1024 bits and
 * more (RFC 8301, section 3.2), and Ed25519.
 *
 * Keys are the caller's, to be freed with EVP_PKEY_free. Results are 0 or an errno.
 */
#ifndef PN_SIGNKEY_H
#define PN_SIGNKEY_H

#include "buf.h"

#include <openssl/evp.h>

/* bits: of RSA; 0 makes an Ed25519 key. NULL: OpenSSL makes none. */
EVP_PKEY *pn_signkey_new(size_t bits);
/* false: DKIM has no keys of this kind or size; out is as it was. */
bool pn_signkey_record(EVP_PKEY *key, struct pn_buf *out);

/* An open folder, or -1 with errno; make: one that is missing, 0700 and synced. */
int pn_signkey_folder(const char *path, bool make);
/* NULL, or why it is no place for keys: others could put their own in a key's place. */
const char *pn_signkey_folder_wrong(int folder);
/* Writes a file of mode 0600 and syncs it and the folder. EEXIST: something is there, and stays.
 * What can't be wholly written goes again. */
int pn_signkey_save(int folder, const char *file, EVP_PKEY *key);
/* EBADMSG: there is no private key in it, or one behind a passphrase. *open_to_others: more
 * than its owner may use it. */
int pn_signkey_load(int folder, const char *file, EVP_PKEY **key, bool *open_to_others);

#endif
