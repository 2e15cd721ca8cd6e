/*
 * Files for programs that run rules by hand: a file whole, and the rule files of a folder in the
 * order in which the plugin reads them.
 */
#ifndef RULES_FOLDER_H
#define RULES_FOLDER_H

#include "buf.h"

/* The text lives in b, which the caller ends; empty where the file can't be read. */
struct pn_str rules_folder_file(struct pn_buf *b, const char *path);

/* Gives each *.cf of the folder to read, whose text is gone behind it. False: one of them was
 * not taken, or there is none. */
bool rules_folder_each(const char *folder, bool (*read)(void *arg, struct pn_str text), void *arg);

#endif
