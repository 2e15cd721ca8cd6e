/*
 * Messages signed as a role would sign them, and verified by the plugin's engines: one
 * rig for the tests and the fuzzer. Errors of the tools end the program.
 */
#ifndef SIGN_RIG_H
#define SIGN_RIG_H

#include "edit.h"
#include "sign_key.h"

enum { SIGN_RIG_NOW = 1720000000, SIGN_RIG_ENGINES = 2 };

/* The body's hash, fed in pieces of that size. */
void sign_rig_body(struct pn_str body, size_t piece, unsigned char hash[PN_SIGN_HASH]);
/* NULL: out is the message as sent, with one signature a key on top, d=a.test, selectors "s0"
 * and so on. Else why not, and out is as it was. edits may be NULL. */
const char *sign_rig_sign(struct pn_str content, struct pn_edits *edits, EVP_PKEY *const *keys,
                          size_t count, size_t piece, struct pn_buf *out);
/* How many of its signatures verify with those keys, by that engine; each must have been
 * judged, and why not is added to words. */
size_t sign_rig_verify(unsigned engine, struct pn_str sent, EVP_PKEY *const *keys, size_t count,
                       struct pn_buf *words);

#endif
