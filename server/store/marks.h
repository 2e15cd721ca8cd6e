/*
 * The two small files, which hold what a Maildir has no place for. Lines of text, one thing a
 * line, `word value`, unknown words are kept out; the first says which file in which version. They
 * are replaced whole: written beside, synced, put in their places, and the directory synced. What
 * they take the place of stays beside them as NAME.spare, to be written over the next time: on a
 * disk that is full, too.
 *
 *   postern-folder 1              postern-user 1
 *   uidvalidity 1764000000        uidvalidity 1764000003     the last that was given
 *   uidnext 2001                  modseq 100001              none at or above it was given
 *   use \Junk                     quota 1000000000 0         bytes, messages; 0: none
 *   keyword a $Forwarded          subscribed Lists/Dev
 *
 *   directory 1048577
 *
 * uidnext: no UID at or above it was ever given. directory: the inode in which the file was
 * written, by which a copy of the folder is told from it.
 *
 * epoch grows each time that a user is found whose last process did not end well: what the index
 * has of another epoch may be older than what a client was told.
 *
 * Results are 0 or errno; ENOENT: there is none; EBADMSG: it is damaged.
 */
#ifndef PN_MARKS_H
#define PN_MARKS_H

#include "folders.h"
#include "view.h"

struct folder_marks {
    uint32_t uidvalidity, uidnext;
    enum pn_special_use use;
    bool exact;                      /* uidnext is the next one */
    uint64_t directory;              /* as it was read; what is written is the one written to */
    char *keywords[PN_KEYWORDS_MAX]; /* owned; NULL: the letter is free */
};

struct user_marks {
    uint32_t uidvalidity;
    uint64_t modseq;
    uint32_t epoch;
    uint64_t exact; /* modseq is the next one, and the index had everything when this was written,
                       on a machine that was booted at that second; 0: it may lack something */
    bool has_quota; /* of its own */
    uint64_t quota_bytes, quota_messages;
    char **subscribed; /* names in UTF-8; owned */
    size_t subscribed_count, subscribed_cap;
    bool special_made; /* pn_folders_make_special was here */
};

int folder_marks_read(int dir, struct folder_marks *out);
int folder_marks_write(int dir, const struct folder_marks *marks, bool sync);
/* With their spare: of a folder that goes. */
void folder_marks_remove(int dir);
void folder_marks_fini(struct folder_marks *marks);

/* For another file of the kind, without a spare: all of it, at most max bytes; and replaced whole,
 * with the directory synced or not. */
int marks_read_text(int dir, const char *name, size_t max, struct pn_buf *out);
int marks_write_text(int dir, const char *name, struct pn_str text, bool sync);

int user_marks_read(int dir, struct user_marks *out);
int user_marks_write_to(int dir, const struct user_marks *marks, bool sync);
void user_marks_fini(struct user_marks *marks);

#endif
