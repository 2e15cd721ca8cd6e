/*
 * The file of a key that mail is signed with (PEM, PKCS #8); the key itself: sign_key.h.
 *
 * Keys are the caller's, to be freed with EVP_PKEY_free. Results are 0 or an errno.
 */
#ifndef PN_SIGNKEY_H
#define PN_SIGNKEY_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>

/* bits: of RSA; 0 makes an Ed25519 key. NULL: OpenSSL makes none. */
EVP_PKEY *pn_signkey_new(size_t bits);

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
