/* Expressions: names of small letters are known or not by their first one. */
#include "rules_meta.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool resolve(void *arg, struct postern_str name, struct postern_str argument, uint32_t *out)
{
    (void)arg;
    *out = (uint32_t)(unsigned char)name.p[0] + (uint32_t)argument.len;
    return name.len < 8;
}

static struct rules_value lookup(const void *arg, uint32_t name)
{
    (void)arg;
    return (struct rules_value){(double)name - 97, name % 4 != 0};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rules_arena a = {.used = 0};
    struct rules_meta m;
    struct postern_str text = {(const char *)data, size};

    if (rules_meta_compile(&m, text, &a, resolve, NULL) == NULL) {
        if (m.count == 0 || m.count > RULES_META_STEPS_MAX)
            abort();
        (void)rules_meta_run(&m, lookup, NULL);
    }
    rules_arena_free(&a);
    return 0;
}
