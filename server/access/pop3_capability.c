#include "pop3_capability.h"

/* UTF8 USER (RFC 6856): names and passwords are UTF-8 as PLAIN's are. Internationalized messages
 * go out as they came in where the client said UTF8, else downgraded. LANG, which is an option,
 * there is not. Nothing expires, and no login has to wait for another (LOGIN-DELAY). */
static const char *const always[] = {
    "TOP",        "UIDL",         "RESP-CODES", "AUTH-RESP-CODE",
    "PIPELINING", "EXPIRE NEVER", "UTF8 USER",  "IMPLEMENTATION Postern"};
static const char *const sometimes[] = {"STLS", "USER", "SASL"};

enum {
    ALWAYS = sizeof always / sizeof always[0],
    SOMETIMES = sizeof sometimes / sizeof sometimes[0]
};

const char *pn_pop3_capability_word(size_t i)
{
    if (i < ALWAYS)
        return always[i];
    return i - ALWAYS < SOMETIMES ? sometimes[i - ALWAYS] : NULL;
}

void pn_pop3_capabilities(struct pn_buf *out, const struct pn_pop3_offer *offer)
{
    (void)pn_buf_addz(out, "+OK Capabilities follow\r\n");
    for (size_t i = 0; i < ALWAYS; i++)
        (void)pn_buf_addf(out, "%s\r\n", always[i]);
    if (offer->stls)
        (void)pn_buf_addz(out, "STLS\r\n");
    if (offer->user)
        (void)pn_buf_addz(out, "USER\r\n");
    if (offer->sasl.len != 0)
        (void)pn_buf_addf(out, "SASL %.*s\r\n", PN_FMT(offer->sasl));
    (void)pn_buf_addz(out, ".\r\n");
}
