#include "clamav_names.h"

#include <string.h>

enum clamav_kind clamav_kind(const char *name)
{
    static const struct {
        const char *prefix;
        enum clamav_kind kind;
    } table[] = {{"Heuristics.Limits.Exceeded", CLAMAV_UNSCANNABLE},
                 {"Heuristics.Encrypted.", CLAMAV_ENCRYPTED},
                 {"Heuristics.OLE2.ContainsMacros", CLAMAV_MACRO},
                 {"Heuristics.Broken.", CLAMAV_BROKEN},
                 {"Heuristics.", CLAMAV_HEURISTIC}};

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (strncmp(name, table[i].prefix, strlen(table[i].prefix)) == 0)
            return table[i].kind;
    return CLAMAV_VIRUS;
}
