#!/usr/bin/env python3
"""Writes server/message/fold_table.c from Python's Unicode data: what fold.c makes of code points.

Case as i;unicode-casemap (RFC 5051): the simple titlecase mapping, kept in its lower-case form, then
the decomposition, again and again. Left out, to keep the table small: compatibility ideographs,
Arabic presentation forms, Kangxi radicals, musical signs, squared words; Hangul is worked out.
Usage: contrib/fold_table.py > server/message/fold_table.c
"""
import unicodedata

LEFT_OUT = [(0x2f00, 0x2fd5), (0x1f100, 0x1f2ff), (0x3200, 0x33ff), (0xac00, 0xd7a3), (0xd800, 0xdfff),
            (0xf900, 0xfaff), (0xfb50, 0xfdff), (0xfe70, 0xfeff), (0x1d100, 0x1d1ff),
            (0x1ee00, 0x1eeff), (0x2f800, 0x2fa1f)]


def letter(c):
    title = c.title() if len(c.title()) == 1 else c
    lower = title.lower()
    return lower if len(lower) == 1 else title


def fold(c):
    s = c
    while True:
        one = ''.join(map(letter, s))
        again = ''.join(map(letter, ''.join(unicodedata.normalize('NFKD', x) for x in one)))
        if again == s:
            return s
        s = again


def tables():
    shifts, spells = [], []
    for code in range(0x80, 0x110000):
        if any(a <= code <= b for a, b in LEFT_OUT):
            continue
        to = fold(chr(code))
        if to == chr(code):
            continue
        if len(to) > 1:
            spells.append((code, to))
            continue
        delta = ord(to) - code
        row = shifts[-1] if shifts else None
        if row and row[3] == delta and (code - row[1] <= 2 if row[0] == row[1] else code - row[1] == row[2]):
            row[2] = code - row[1]
            row[1] = code
        else:
            shifts.append([code, code, 1, delta])
    return shifts, spells


def lines(items):
    line = '   '
    for item in items:
        if len(line) + 1 + len(item) > 98:
            print(line)
            line = '   '
        line += ' ' + item
    print(line)


def main():
    shifts, spells = tables()
    print('/* Made by contrib/fold_table.py from Unicode %s; see there. */' % unicodedata.unidata_version)
    print('/* clang-format off */\n#include "fold_table.h"\n')
    print('const struct fold_shift fold_shifts[] = {')
    lines('{0x%x,0x%x,%d,%d},' % tuple(r) for r in shifts)
    print('};\nconst size_t fold_shift_count = sizeof fold_shifts / sizeof *fold_shifts;\n')
    print('const struct fold_spell fold_spells[] = {')
    lines('{0x%x,"%s"},' % (code, ''.join(chr(b) if chr(b).isalpha() and b < 128 else '\\%03o' % b
                                        for b in to.encode())) for code, to in spells)
    print('};\nconst size_t fold_spell_count = sizeof fold_spells / sizeof *fold_spells;')


main()
