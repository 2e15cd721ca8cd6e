/*
 * Content of a stranger's, and an edit: the first line is a field's value to be added, the
 * rest is content. Whatever we sign, our own verifier must find right; cut in pieces or
 * not, the body has the same hash.
 */
#include "sign_rig.h"

#include "assert.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_body(struct pn_str body)
{
    unsigned char whole[PN_SIGN_HASH], cut[PN_SIGN_HASH];
    sign_rig_body(body, body.len + 1, whole);
    sign_rig_body(body, 1, cut);
    pn_assert(memcmp(whole, cut, sizeof cut) == 0);
    sign_rig_body(body, 7, cut);
    pn_assert(memcmp(whole, cut, sizeof cut) == 0);
}

/* Content as SMTP lets it in: no NUL, no bare CR or LF. */
static void normalize(struct pn_str raw, struct pn_buf *out)
{
    for (size_t i = 0; i < raw.len; i++)
        if (raw.p[i] == '\n')
            (void)pn_buf_addz(out, "\r\n");
        else if (raw.p[i] != '\r' && raw.p[i] != '\0')
            (void)pn_buf_addc(out, raw.p[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static EVP_PKEY *key;
    struct pn_str content = {(const char *)data, size}, value;
    struct pn_buf clean, sent, words;
    if (key == NULL)
        key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    pn_assert(key != NULL);
    check_body(content);
    value = pn_str_split(&content, '\n');
    pn_buf_init(&clean, SIZE_MAX);
    pn_buf_init(&sent, SIZE_MAX);
    pn_buf_init(&words, SIZE_MAX);
    if (content.p != NULL)
        normalize(content, &clean);
    struct pn_edits *edits = pn_edits_new(1 << 20);
    (void)pn_edits_add(edits, PN_EDIT_ADD_TOP, PN_STR("Subject"), value, false);
    (void)pn_edits_remove(edits, PN_STR("To"), 1);
    if (sign_rig_sign(pn_buf_str(&clean), edits, &key, 1, 5, &sent) == NULL)
        pn_assert(sign_rig_verify(0, pn_buf_str(&sent), &key, 1, &words) >= 1);
    pn_edits_free(&edits);
    pn_buf_fini(&words);
    pn_buf_fini(&sent);
    pn_buf_fini(&clean);
    return 0;
}
