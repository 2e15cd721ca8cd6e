/*
 * The seam between what a signature says and whether it is true.
 *
 * A check of one message has four steps, the first, second and last of which are the
 * same for every engine:
 *   1. dkim_message_read splits the header; dkim_sigs_read reads each DKIM-Signature
 *      and settles the verdict of those that can't be right (RFC 6376, section 6.1.1)
 *   2. dkim_key_choose takes the key record out of the DNS answer, or settles the
 *      verdict for the lack of one (section 6.1.2)
 *   3. the engine verifies those still pending (section 6.1.3): canonical forms,
 *      hashes, the signature; it says what it found in `check`, `bits` and `tail`
 *   4. dkim_sig_judge turns that into the verdict
 *
 * An engine is made once a worker and is used by several threads at once.
 */
#ifndef DKIM_ENGINE_H
#define DKIM_ENGINE_H

#include "dkim_message.h"
#include "dkim_sig.h"

struct dkim_engine {
    const char *name;
    /* NULL: the library refused. */
    void *(*make)(void);
    void (*free)(void *self);
    /* Sets `check` of each of the n signatures whose result is DKIM_PENDING, and may use
     * the key of no other. sigs are in message order, the first n of m->signatures. 0, or
     * -1 when memory ran out. */
    int (*verify)(void *self, const struct dkim_message *m, struct dkim_sig *sigs, size_t n);
};

/* Our own, on OpenSSL's EVP. */
extern const struct dkim_engine dkim_engine_native;
/* libopendkim, kept from its traps. */
extern const struct dkim_engine dkim_engine_opendkim;

#endif
