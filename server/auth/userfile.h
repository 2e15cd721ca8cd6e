/*
 * The file of users: who may submit mail, and by what each is known. A line a user:
 *
 *     # comment
 *     ann@example.net:$y$j9T$SALT$HASH:SCRAM-SHA-256$65536:SALT$STORED:SERVER:key=value key=value
 *
 * The name is the user's address in one form (pn_user_name): without quotes, ASCII in lower
 * case, the domain by its A-labels. The first verifier is crypt(5)'s yescrypt, for PLAIN and
 * LOGIN; the second is that of RFC 5803 for SCRAM-SHA-256 (RFC 5802, 7677), and may be empty:
 * such an account has no SCRAM. Options are words parted by blanks, no key twice; those that
 * nobody knows are kept. What is empty at the end may be left out with its colons. Lines that
 * are blank or begin with # are comments, and stay where they are whatever is edited.
 *
 * Everything here is pure: text in, views of that text out, nothing read or written. A line is
 * read in linear time; memory is taken by the user, and for the base64 of a line. Lines and columns
 * count from 1, columns in bytes.
 */
#ifndef PN_USERFILE_H
#define PN_USERFILE_H

#include "buf.h"

enum {
    PN_USERFILE_MAX = 64 << 20, /* bytes of the file */
    PN_USERFILE_LINE_MAX = 4096,
    PN_USER_NAME_MAX = 254, /* a path without its brackets: RFC 5321, section 4.5.3.1.3 */
    PN_USER_OPTIONS_MAX = 32,
    PN_USER_KEY_MAX = 32,
    PN_SCRAM_SALT_MAX = 64,
    PN_SCRAM_KEY = 32,                  /* SHA-256's bytes */
    PN_SCRAM_ITERATIONS_MIN = 4096,     /* RFC 7677, section 4 */
    PN_SCRAM_ITERATIONS_MAX = 10000000, /* a client has to do them: seconds of its time */
};

/* Views of the text that was read; options is raw: see pn_user_option. */
struct pn_user {
    struct pn_str line; /* the whole, without its line feed */
    struct pn_str name, yescrypt, scram, options;
    unsigned number; /* of the line */
};

struct pn_userfile_error {
    unsigned line, column;
    char text[160];
};

/* A verifier of SCRAM-SHA-256 in bytes. */
struct pn_scram {
    uint32_t iterations;
    size_t salt_len;
    unsigned char salt[PN_SCRAM_SALT_MAX];
    unsigned char stored_key[PN_SCRAM_KEY], server_key[PN_SCRAM_KEY];
};

/* The one form of a user's name; false (nothing appended) if text is no address that may be
 * one. */
bool pn_user_name(struct pn_str text, struct pn_buf *out);
/* The next "key=value" of *rest, which begins as a user's options; false at the end. */
bool pn_user_option(struct pn_str *rest, struct pn_str *key, struct pn_str *value);
/* "SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey". */
bool pn_scram_parse(struct pn_str text, struct pn_scram *out);
void pn_scram_print(const struct pn_scram *scram, struct pn_buf *out);
/* A setting and hash of yescrypt, of a cost that crypt_gensalt gives (up to 11). */
bool pn_yescrypt_ok(struct pn_str text);

struct pn_userfile_walk {
    struct pn_str rest;
    unsigned line; /* the last one that was read */
};
void pn_userfile_start(struct pn_userfile_walk *walk, struct pn_str text);
/* 1 and *user, 0 at the end, -1 and *error: a line is no user. It goes on behind that. */
int pn_userfile_next(struct pn_userfile_walk *walk, struct pn_user *user,
                     struct pn_userfile_error *error);

/* All of a file, by name. Views borrow from the text. */
struct pn_userfile {
    struct pn_user *users; /* owned; sorted by name */
    size_t count, cap;
};
/* False, and *error: the first line that is wrong, or whose name stands in a line before it.
 * To be finished in both cases. */
bool pn_userfile_read(struct pn_userfile *file, struct pn_str text,
                      struct pn_userfile_error *error);
void pn_userfile_fini(struct pn_userfile *file);
/* By its name in the one form. NULL: nobody is called that. Borrowed from file. */
const struct pn_user *pn_userfile_find(const struct pn_userfile *file, struct pn_str name);

/* Appends the line of a user. */
void pn_user_print(const struct pn_user *user, struct pn_buf *out);
/* Appends text with one line added at its end, put in the place of old's, or without old's;
 * all other bytes stay. old is a user of that text. False at out's limit. */
bool pn_userfile_add(struct pn_str text, const struct pn_user *user, struct pn_buf *out);
bool pn_userfile_replace(struct pn_str text, const struct pn_user *old, const struct pn_user *user,
                         struct pn_buf *out);
bool pn_userfile_remove(struct pn_str text, const struct pn_user *old, struct pn_buf *out);

#endif
