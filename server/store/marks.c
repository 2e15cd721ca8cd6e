#include "marks.h"

#include "mem.h"
#include "whole.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MARKS_MAX = 8 * 1024 * 1024, NUMBERS_MAX = 2 };

static const char folder_file[] = "postern-folder", user_file[] = "postern-user";

/* ---- both: a text that is read and replaced whole ---- */

int marks_read_text(int dir, const char *name, size_t max, struct pn_buf *out)
{
    struct stat st;
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno;
    int error = fstat(fd, &st) != 0 ? errno : 0;
    if (error == 0 && (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > max))
        error = EBADMSG;
    if (error == 0 && st.st_size > 0) {
        char *to = pn_buf_reserve(out, (size_t)st.st_size);
        error = pn_read_whole_at(fd, to, (size_t)st.st_size, 0, EBADMSG);
        out->len = error == 0 ? (size_t)st.st_size : 0;
    }
    (void)close(fd);
    return error;
}

/* Bytes of a file that is there, or is made; whatever it had before. */
static int put_text(int dir, const char *name, int flags, struct pn_str text)
{
    struct stat st;
    int fd = openat(dir, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0600);
    if (fd < 0)
        return errno;
    int error = fstat(fd, &st) != 0 ? errno : 0;
    if (error == 0 && (!S_ISREG(st.st_mode) || st.st_nlink != 1))
        error = EEXIST; /* its bytes are another's, too */
    if (error == 0)
        error = pn_write_whole(fd, text);
    if (error == 0 && st.st_size > (off_t)text.len && ftruncate(fd, (off_t)text.len) != 0)
        error = errno;
    if (error == 0 && (flags & O_EXCL) == 0 && fsync(fd) != 0) /* no name before its bytes */
        error = errno;
    (void)close(fd);
    return error;
}

static bool no_room(int error)
{
    return error == ENOSPC || error == EDQUOT;
}

/* The spare takes the place of the file, and that is the next spare. ENOENT: there is none yet. */
static int exchange(int dir, const char *name, const char *spare, struct pn_str text)
{
    if (faccessat(dir, spare, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
        return errno;
    /* What was exchanged last, by us or by one who was killed, is durable before it is written
     * over: else after a power cut the spare might be the file. */
    int error = fsync(dir) != 0 ? errno : put_text(dir, spare, 0, text);
    if (error == 0 && renameat2(dir, spare, dir, name, RENAME_EXCHANGE) != 0)
        error = errno == ENOENT || errno == EINVAL || errno == ENOSYS ? EEXIST : errno;
    if (error == 0 && fsync(dir) != 0)
        error = errno;
    if (error != 0 && !no_room(error))
        (void)unlinkat(dir, spare, 0);
    return error == EEXIST ? ENOENT : error;
}

int marks_write_text(int dir, const char *name, struct pn_str text, bool sync)
{
    struct pn_buf fresh;
    pn_buf_init(&fresh, 100);
    (void)pn_buf_addf(&fresh, "%s.tmp", name);
    int error = pn_replace_whole(dir, name, pn_buf_cstr(&fresh), text);
    if (error == 0 && sync && fsync(dir) != 0)
        error = errno;
    pn_buf_fini(&fresh);
    return error;
}

/*
 * Whole, or as it was. Once there is a file there is a spare beside it, of its size: its bytes are
 * written over, and the two change places. So a disk that is full is no reason that no number can
 * be given any more: who wants to delete must be able to. Where nobody waits for the sync of the
 * directory the spare stays what it is: it might be the file after a power cut.
 */
static int write_small(int dir, const char *name, struct pn_str text, bool sync)
{
    struct pn_buf spare;
    pn_buf_init(&spare, 100);
    (void)pn_buf_addf(&spare, "%s.spare", name);
    int error = sync ? exchange(dir, name, pn_buf_cstr(&spare), text) : ENOENT;
    if (error == ENOENT) {
        error = marks_write_text(dir, name, text, sync);
        if (error == 0)
            (void)put_text(dir, pn_buf_cstr(&spare), O_CREAT | O_EXCL, text);
    }
    pn_buf_fini(&spare);
    return error;
}

/* The lines behind the first, which must be `word 1`. fn: false if the line is malformed. */
static int each_line(struct pn_str text, const char *first,
                     bool (*fn)(void *out, struct pn_str word, struct pn_str value), void *out)
{
    struct pn_str rest = text, line = pn_str_split(&rest, '\n');
    if (!pn_str_ends(text, PN_STR("\n")) || !pn_str_starts(line, pn_str_of(first)) ||
        !pn_str_eq(pn_str_slice(line, strlen(first), line.len), PN_STR(" 1")))
        return EBADMSG;
    while (rest.len > 0) {
        line = pn_str_split(&rest, '\n');
        struct pn_str word = pn_str_split(&line, ' ');
        if (line.p == NULL || !fn(out, word, line))
            return EBADMSG;
    }
    return 0;
}

static bool u32(struct pn_str value, uint32_t *out)
{
    uint64_t n;
    bool ok = pn_str_u64(value, UINT32_MAX, &n) && n > 0;
    if (ok)
        *out = (uint32_t)n;
    return ok;
}

/* ---- postern-folder ---- */

void folder_marks_fini(struct folder_marks *marks)
{
    for (unsigned i = 0; i < PN_KEYWORDS_MAX; i++)
        free(marks->keywords[i]);
    *marks = (struct folder_marks){0};
}

void folder_marks_remove(int dir)
{
    (void)unlinkat(dir, folder_file, 0);
    (void)unlinkat(dir, "postern-folder.spare", 0);
    (void)unlinkat(dir, "postern-folder.tmp", 0);
}

static bool keyword_line(struct folder_marks *m, struct pn_str value)
{
    struct pn_str letter = pn_str_split(&value, ' ');
    if (letter.len != 1 || letter.p[0] < 'a' || letter.p[0] > 'z' || value.len == 0 ||
        value.len > PN_KEYWORD_LEN_MAX)
        return false;
    char **to = &m->keywords[letter.p[0] - 'a'];
    if (*to == NULL)
        *to = pn_strndup(value.p, value.len);
    return true;
}

static bool folder_line(void *out, struct pn_str word, struct pn_str value)
{
    struct folder_marks *m = out;
    if (pn_str_eq(word, PN_STR("uidvalidity")))
        return u32(value, &m->uidvalidity);
    if (pn_str_eq(word, PN_STR("uidnext")))
        return u32(value, &m->uidnext);
    if (pn_str_eq(word, PN_STR("keyword")))
        return keyword_line(m, value);
    if (pn_str_eq(word, PN_STR("directory")))
        return pn_str_u64(value, UINT64_MAX, &m->directory);
    if (pn_str_eq(word, PN_STR("exact")))
        m->exact = true;
    if (pn_str_eq(word, PN_STR("use"))) {
        m->use = pn_special_use_find(value);
        return m->use != PN_USES;
    }
    return true;
}

int folder_marks_read(int dir, struct folder_marks *out)
{
    struct pn_buf text;
    *out = (struct folder_marks){0};
    pn_buf_init(&text, MARKS_MAX);
    int error = marks_read_text(dir, folder_file, MARKS_MAX, &text);
    if (error == 0)
        error = each_line(pn_buf_str(&text), folder_file, folder_line, out);
    if (error == 0 && (out->uidvalidity == 0 || out->uidnext == 0))
        error = EBADMSG;
    if (error != 0)
        folder_marks_fini(out);
    pn_buf_fini(&text);
    return error;
}

int folder_marks_write(int dir, const struct folder_marks *m, bool sync)
{
    struct pn_buf text;
    struct stat st;
    pn_buf_init(&text, MARKS_MAX);
    (void)pn_buf_addf(&text, "%s 1\nuidvalidity %u\nuidnext %u\n", folder_file, m->uidvalidity,
                      m->uidnext);
    if (fstat(dir, &st) == 0)
        (void)pn_buf_addf(&text, "directory %llu\n", (unsigned long long)st.st_ino);
    if (m->exact)
        (void)pn_buf_addz(&text, "exact yes\n");
    if (m->use != PN_USE_NONE)
        (void)pn_buf_addf(&text, "use %s\n", pn_special_use_name(m->use));
    for (unsigned i = 0; i < PN_KEYWORDS_MAX; i++)
        if (m->keywords[i] != NULL)
            (void)pn_buf_addf(&text, "keyword %c %s\n", (char)('a' + (int)i), m->keywords[i]);
    int error = text.overflow ? EFBIG : write_small(dir, folder_file, pn_buf_str(&text), sync);
    pn_buf_fini(&text);
    return error;
}

/* ---- postern-user ---- */

void user_marks_fini(struct user_marks *marks)
{
    for (size_t i = 0; i < marks->subscribed_count; i++)
        free(marks->subscribed[i]);
    free(marks->subscribed);
    *marks = (struct user_marks){0};
}

static bool quota_line(struct user_marks *m, struct pn_str value)
{
    struct pn_str bytes = pn_str_split(&value, ' ');
    m->has_quota = true;
    return pn_str_u64(bytes, UINT64_MAX, &m->quota_bytes) &&
           pn_str_u64(value, UINT64_MAX, &m->quota_messages);
}

/* A name as it is spelled here; who wrote the file may have had others. */
static bool is_spelled(struct pn_str name)
{
    struct pn_buf clean;
    pn_buf_init(&clean, PN_FOLDER_NAME_MAX + 1);
    bool ok = folder_name_clean(&clean, name) &&
              pn_str_eq(clean.len == 0 ? PN_STR("INBOX") : pn_buf_str(&clean), name);
    pn_buf_fini(&clean);
    return ok;
}

/* One that no folder can have is left out: all that read the list rely on the rules of names. */
static bool subscribed_line(struct user_marks *m, struct pn_str value)
{
    if (m->subscribed_count >= PN_FOLDERS_MAX || !is_spelled(value))
        return true;
    m->subscribed =
        pn_grow(m->subscribed, &m->subscribed_cap, m->subscribed_count, sizeof *m->subscribed);
    m->subscribed[m->subscribed_count++] = pn_strndup(value.p, value.len);
    return true;
}

static bool user_line(void *out, struct pn_str word, struct pn_str value)
{
    struct user_marks *m = out;
    if (pn_str_eq(word, PN_STR("uidvalidity")))
        return u32(value, &m->uidvalidity);
    if (pn_str_eq(word, PN_STR("modseq")))
        return pn_str_u64(value, INT64_MAX, &m->modseq) && m->modseq > 0;
    if (pn_str_eq(word, PN_STR("epoch")))
        return u32(value, &m->epoch);
    if (pn_str_eq(word, PN_STR("exact")))
        return pn_str_u64(value, INT64_MAX, &m->exact);
    if (pn_str_eq(word, PN_STR("quota")))
        return quota_line(m, value);
    if (pn_str_eq(word, PN_STR("special")))
        m->special_made = true;
    if (pn_str_eq(word, PN_STR("subscribed")))
        return subscribed_line(m, value);
    return true;
}

int user_marks_read(int dir, struct user_marks *out)
{
    struct pn_buf text;
    *out = (struct user_marks){0};
    pn_buf_init(&text, MARKS_MAX);
    int error = marks_read_text(dir, user_file, MARKS_MAX, &text);
    if (error == 0)
        error = each_line(pn_buf_str(&text), user_file, user_line, out);
    if (error == 0 && (out->uidvalidity == 0 || out->modseq == 0))
        error = EBADMSG;
    if (error != 0)
        user_marks_fini(out);
    pn_buf_fini(&text);
    return error;
}

int user_marks_write_to(int dir, const struct user_marks *m, bool sync)
{
    struct pn_buf text;
    pn_buf_init(&text, MARKS_MAX);
    (void)pn_buf_addf(&text, "%s 1\nuidvalidity %u\nmodseq %llu\n", user_file, m->uidvalidity,
                      (unsigned long long)m->modseq);
    (void)pn_buf_addf(&text, "epoch %u\n", m->epoch);
    if (m->exact != 0)
        (void)pn_buf_addf(&text, "exact %llu\n", (unsigned long long)m->exact);
    if (m->has_quota)
        (void)pn_buf_addf(&text, "quota %llu %llu\n", (unsigned long long)m->quota_bytes,
                          (unsigned long long)m->quota_messages);
    if (m->special_made)
        (void)pn_buf_addz(&text, "special made\n");
    for (size_t i = 0; i < m->subscribed_count; i++)
        (void)pn_buf_addf(&text, "subscribed %s\n", m->subscribed[i]);
    int error = text.overflow ? EFBIG : write_small(dir, user_file, pn_buf_str(&text), sync);
    pn_buf_fini(&text);
    return error;
}
