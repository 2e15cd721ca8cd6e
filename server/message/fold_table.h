/* Inside the message folder only: the tables of fold.c, sorted by code point. */
#ifndef PN_FOLD_TABLE_H
#define PN_FOLD_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* first, first + step, ... last become themselves plus delta. */
struct fold_shift {
    uint32_t first, last;
    int32_t step, delta;
};
/* One code point becomes several. */
struct fold_spell {
    uint32_t code;
    const char *to; /* UTF-8 */
};

extern const struct fold_shift fold_shifts[];
extern const size_t fold_shift_count;
extern const struct fold_spell fold_spells[];
extern const size_t fold_spell_count;

#endif
