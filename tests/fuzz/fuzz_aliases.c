/* A file of aliases, of any bytes: it compiles or is refused with at least one problem; what
 * compiles leads every name somewhere, within its limits. */
#include "assert.h"
#include "expand.h"
#include "kit_policy.h"

#include "whole.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DEPTH = 4, COUNT = 8 };

static void look_up(const struct pn_policy *p, struct pn_str address)
{
    struct pn_pool *pool = pn_pool_new(1 << 20);
    size_t at = pn_str_find(address, '@', 0);
    struct pn_str domain = pn_str_slice(address, at + 1, address.len);
    struct pn_expansion x;
    enum pn_expand_end end = pn_expand(p, pn_policy_domain(p, domain), address, pool, &x);
    /* All that could go wrong was found by the compiler. */
    pn_assert(end == PN_EXPAND_DONE || end == PN_EXPAND_PLAIN);
    pn_assert(end == PN_EXPAND_PLAIN || (x.count != 0 && x.count <= COUNT));
    for (size_t i = 0; end == PN_EXPAND_DONE && i < x.count; i++) {
        pn_assert(x.targets[i].by_count != 0 && x.targets[i].by_count <= DEPTH);
        pn_assert(pn_str_find(x.targets[i].address, '@', 0) != SIZE_MAX);
        for (size_t k = 0; k < i; k++)
            pn_assert(!pn_str_eq(x.targets[i].address, x.targets[k].address));
    }
    pn_pool_free(&pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[400];
    struct kit k;
    int fd = memfd_create("aliases", MFD_CLOEXEC);
    if (fd < 0 || pn_write_whole(fd, (struct pn_str){(const char *)data, size}) != 0)
        return 0;
    (void)snprintf(text, sizeof text,
                   "forward { depth %d  recipients %d }\n"
                   "domain a.test { recipients any  alias-file \"/proc/self/fd/%d\" }\n"
                   "domain b.test { recipients any  alias x to x@a.test }",
                   DEPTH, COUNT, fd);
    kit_open(&k, text, "");
    pn_assert((k.policy == NULL) == (k.problems.errors != 0));
    static const char *const names[] = {"a@a.test", "b@a.test", "info@a.test", "x@b.test"};
    for (size_t i = 0; k.policy != NULL && i < sizeof names / sizeof names[0]; i++)
        look_up(k.policy, pn_str_of(names[i]));
    kit_close(&k);
    (void)close(fd);
    return 0;
}
