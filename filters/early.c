#include "early.h"

#include <postern/plugin.h>

static const struct {
    uint32_t bit;
    const char *word;
} words[] = {{POSTERN_EARLY_GREETING, "greeting"},
             {POSTERN_EARLY_HELO, "helo"},
             {POSTERN_EARLY_COMMAND, "command"}};

void pn_early_json(struct pn_json *j, uint32_t early)
{
    if (early == 0)
        return;
    pn_json_array(j, "early");
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if ((early & words[i].bit) != 0)
            pn_json_str(j, NULL, pn_str_of(words[i].word));
    pn_json_array_end(j);
}

bool pn_early_add(uint32_t *early, struct pn_str word)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (pn_str_eq(word, pn_str_of(words[i].word))) {
            *early |= words[i].bit;
            return true;
        }
    return false;
}
