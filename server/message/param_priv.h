/* Inside the message folder only: parameters before their charset is undone. */
#ifndef PN_PARAM_PRIV_H
#define PN_PARAM_PRIV_H

#include "param.h"

/* Appends the bytes of parameter `name`: continuations joined, escapes and percent
 * undone. *charset is borrowed; .p is NULL if the value names none (its form is the plain
 * one). False: no such parameter, or out is full. */
bool param_bytes(struct pn_str value, struct pn_str name, struct pn_buf *out,
                 struct pn_str *charset);

#endif
