/*
 * Domains and addresses by their A-labels: what comes of a U-label is a name of letters,
 * digits, hyphens, underscores and dots, and nothing that an address or a pattern is made of.
 */
#include "alabel.h"
#include "assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t domain_at(struct pn_str s)
{
    size_t at = s.len;
    while (at > 0 && s.p[at - 1] != '@')
        at--;
    return at;
}

static void check_name(struct pn_str s, const char *more)
{
    for (size_t i = 0; i < s.len; i++)
        pn_assert(pn_is_alpha(s.p[i]) || pn_is_digit(s.p[i]) ||
                  (s.p[i] != '\0' && strchr(more, s.p[i]) != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_alabel room;
    struct pn_str in = {(const char *)data, size};
    struct pn_str s = pn_alabel_domain(in, &room);
    if (s.p == room.p)
        check_name(s, "-_.");
    pn_assert(s.p == NULL || s.p == room.p || (s.p == in.p && s.len == in.len));
    s = pn_alabel_address(in, &room);
    if (s.p == room.p) {
        size_t at = domain_at(s), was = domain_at(in);
        pn_assert(at == was && memcmp(s.p, in.p, at) == 0);
        for (size_t i = at; i < s.len; i++)
            pn_assert((unsigned char)s.p[i] < 0x80);
    }
    return 0;
}
