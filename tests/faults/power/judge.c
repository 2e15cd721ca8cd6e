#include "judge.h"

#include "assert.h"
#include "held.h"
#include "maildir.h"
#include "marks.h"
#include "memfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* How often each message was found, by place. */
struct found {
    unsigned char n[PLACES][MAILS_MAX];
    bool flagged[MAILS_MAX]; /* one of its files has the flag */
};

__attribute__((format(printf, 2, 3))) static void wrong(struct verdict *v, const char *fmt, ...)
{
    va_list ap;
    if (v->wrong[0] != '\0')
        return;
    va_start(ap, fmt);
    (void)vsnprintf(v->wrong, sizeof v->wrong, fmt, ap);
    va_end(ap);
}

static bool is_content(uint32_t id, int fd)
{
    struct pn_str view;
    struct pn_buf want;
    if (fd < 0 || pn_map_fd(fd, false, &view) != 0)
        return false;
    pn_buf_init(&want, SIZE_MAX);
    mail_content(id, &want);
    bool same = pn_str_eq(view, pn_buf_str(&want));
    pn_buf_fini(&want);
    pn_unmap(&view);
    return same;
}

/* ---- the journal ---- */

static void look_at_message(struct server *s, uint32_t id, const struct mail *mail,
                            struct verdict *v)
{
    const struct at_hand *m = &s->mails[id];
    int fd = spool_content(s->spool, &m->ref);
    if (!mail->refused && !is_content(id, fd)) /* the file of one that was refused is gone */
        wrong(v, "message %u: content lost: %s", id, fd < 0 ? strerror(errno) : "other bytes");
    if (fd >= 0)
        (void)close(fd);
    if (m->malformed)
        wrong(v, "message %u: its record is malformed", id);
    for (unsigned i = 0; i < RCPTS; i++)
        if (m->states[i] < mail->low[i])
            wrong(v, "message %u: recipient %u is as it was at %u, %u was confirmed", id, i,
                  m->states[i], mail->low[i]);
        else if (m->states[i] > mail->high[i])
            wrong(v, "message %u: recipient %u has state %u that was never noted", id, i,
                  m->states[i]);
}

static void look_at_journal(struct server *s, const struct oracle *oracle, struct found *found,
                            struct verdict *v)
{
    for (uint32_t id = 0; id < MAILS_MAX; id++)
        if (s->mails[id].live) {
            found->n[IN_JOURNAL][id] = 1;
            look_at_message(s, id, &oracle->mails[id], v);
        }
}

/* ---- held mail ---- */

static void look_at_file(struct server *s, const char *name, uint64_t id, struct verdict *v)
{
    struct pn_buf bytes;
    struct held h;
    struct pn_pool *pool = pn_pool_new(100000);
    pn_buf_init(&bytes, 100000);
    int fd = -1, error = held_get(s->held, name, &bytes, pool, &h);
    if (error == 0)
        error = held_content(s->held, name, &fd);
    if (error != 0 || h.id != id || !is_content((uint32_t)id, fd))
        wrong(v, "message %llu: its held file is torn: %s", (unsigned long long)id,
              strerror(error));
    if (fd >= 0)
        (void)close(fd);
    pn_buf_fini(&bytes);
    pn_pool_free(&pool);
}

static DIR *open_folder(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    pn_assert(dir != NULL);
    return dir;
}

static void look_at_held(struct server *s, struct found *found, struct verdict *v)
{
    DIR *dir = open_folder(s->held, ".");
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        uint64_t id;
        uint32_t index;
        if (!held_name_parse(e->d_name, &id, &index) || id >= MAILS_MAX)
            continue;
        found->n[IN_HELD][id]++;
        s->kept_aside[id] = true;
        look_at_file(s, e->d_name, id, v);
    }
    (void)closedir(dir);
}

/* ---- mailboxes ---- */

/* UIDs found in one folder. */
struct uids {
    uint64_t v[MAILS_MAX];
    size_t count;
};

/* A UID in a name was given once, below a mark that was durable before; so was the UIDVALIDITY. */
static void look_at_uid(int folder, const char *name, struct uids *uids, struct verdict *v)
{
    struct folder_marks marks;
    unsigned validity = 0, uid = 0;
    const char *at = strstr(name, ",U=");
    int parent = openat(folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = parent < 0 ? errno : folder_marks_read(parent, &marks);
    if (at == NULL || sscanf(at, ",U=%u.%u", &validity, &uid) != 2 || uid == 0)
        wrong(v, "a mailbox has a file without a UID");
    else if (error != 0)
        wrong(v, "UID %u: its folder has no marks: %s", uid, strerror(error));
    else if (marks.uidvalidity != validity || marks.uidnext <= uid)
        wrong(v, "UID %u.%u: the marks of its folder are at %u.%u", validity, uid,
              marks.uidvalidity, marks.uidnext);
    for (size_t i = 0; i < uids->count; i++)
        if (uids->v[i] == ((uint64_t)validity << 32 | uid))
            wrong(v, "UID %u.%u was given twice", validity, uid);
    if (uids->count < MAILS_MAX)
        uids->v[uids->count++] = (uint64_t)validity << 32 | uid;
    if (parent >= 0)
        (void)close(parent);
    if (error == 0)
        folder_marks_fini(&marks);
}

static void look_at_delivered(int folder, const char *name, struct found *found, struct verdict *v)
{
    unsigned id = MAILS_MAX;
    struct pn_buf want;
    struct pn_str view;
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    pn_assert(fd >= 0 && pn_map_fd(fd, false, &view) == 0);
    size_t at = pn_str_find(view, '\n', 0);
    struct pn_str line = pn_str_slice(view, at == SIZE_MAX ? view.len : at + 1, view.len);
    if (line.len > 6 && memcmp(line.p, "X-Id: ", 6) == 0)
        for (id = 0, at = 6; at < line.len && pn_is_digit(line.p[at]) && id < MAILS_MAX; at++)
            id = id * 10 + (unsigned)(line.p[at] - '0');
    pn_buf_init(&want, SIZE_MAX);
    if (id < MAILS_MAX)
        mail_delivered(id, &want);
    if (id >= MAILS_MAX || !pn_str_eq(view, pn_buf_str(&want)))
        wrong(v, "a mailbox has a torn file of %zu bytes", view.len);
    else
        found->n[IN_MAILBOX][id]++;
    if (id < MAILS_MAX && strstr(name, ":2,") != NULL && strchr(strstr(name, ":2,"), 'F') != NULL)
        found->flagged[id] = true;
    pn_buf_fini(&want);
    pn_unmap(&view);
    (void)close(fd);
}

/* All files in folders "new" below. */
static void look_at_mailboxes(int at, const char *name, unsigned depth, struct found *found,
                              struct verdict *v)
{
    enum { DEPTH_MAX = 6 };
    struct uids uids = {.count = 0};
    DIR *dir = open_folder(at, name);
    pn_assert(depth < DEPTH_MAX);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (e->d_type == DT_DIR)
            look_at_mailboxes(dirfd(dir), e->d_name, depth + 1, found, v);
        else if (strcmp(name, "new") == 0 || strcmp(name, "cur") == 0) {
            look_at_uid(dirfd(dir), e->d_name, &uids, v);
            look_at_delivered(dirfd(dir), e->d_name, found, v);
        }
    }
    (void)closedir(dir);
}

/* A UID that was told of is below the mark for ever, whatever became of the message. */
static void look_at_mark(struct server *s, uint32_t id, uint32_t uid, struct verdict *v)
{
    char user[32];
    struct pn_buf path;
    struct folder_marks marks;
    pn_buf_init(&path, 1000);
    (void)maildir_user_path(&path, pn_str_of(mail_user(id, user)));
    if (mail_folder(id)[0] != '\0')
        (void)pn_buf_addc(&path, '/');
    (void)maildir_folder_name(&path, pn_str_of(mail_folder(id)));
    int dir = maildir_open_dir(s->mail, pn_buf_cstr(&path));
    int error = dir < 0 ? errno : folder_marks_read(dir, &marks);
    if (error != 0)
        wrong(v, "message %u: the marks of its folder are gone: %s", id, strerror(error));
    else if (marks.uidnext <= uid)
        wrong(v, "message %u: its UID %u may be given again", id, uid);
    if (error == 0)
        folder_marks_fini(&marks);
    if (dir >= 0)
        (void)close(dir);
    pn_buf_fini(&path);
}

static void look_at_frozen(const struct server *s, struct found *found, struct verdict *v)
{
    for (size_t i = 0; i < s->frozen->count; i++) {
        uint32_t id = server_frozen_id(s->frozen->domains[i].glob);
        if (id < MAILS_MAX)
            found->n[IN_FROZEN][id]++;
        else
            wrong(v, "a domain is frozen that never was: %s", s->frozen->domains[i].glob);
    }
}

/* ---- against the oracle ---- */

static void compare(uint32_t id, const struct mail *mail, const struct found *found,
                    struct verdict *v)
{
    unsigned all = 0;
    for (unsigned p = 0; p < PLACES; p++) {
        unsigned n = found->n[p][id];
        all += p == IN_FROZEN ? 0 : n;
        if (p == IN_MAILBOX && n < mail->least)
            wrong(v, "message %u: found %u times in the mailbox, %u were confirmed", id, n,
                  mail->least);
        if (p == IN_MAILBOX && n > 0 && mail->flagged && !found->flagged[id])
            wrong(v, "message %u: its flag is lost", id);
        if (n == 0 && mail->must[p] == MUST)
            wrong(v, "message %u: lost from the %s, where it was confirmed", id,
                  oracle_place_name(p));
        else if (n > 0 && mail->must[p] == MUST_NOT)
            wrong(v, "message %u: found in the %s, %s", id, oracle_place_name(p),
                  p == IN_JOURNAL && mail->refused ? "though it was refused"
                                                   : "where it was ended or never put");
        else if (n > mail->tries[p])
            wrong(v, "message %u: found %u times in the %s", id, n, oracle_place_name(p));
        v->unheard += n > 0 && mail->must[p] == MAY && p == IN_JOURNAL && !mail->kept;
    }
    v->repeated += all > 1 || (all > 0 && mail->kept && mail->must[IN_JOURNAL] == MAY);
}

void judge(struct server *s, bool started, const struct oracle *oracle, struct verdict *v)
{
    static struct found found;
    *v = (struct verdict){0};
    if (!started) {
        wrong(v, "it did not start: %s", s->error);
        return;
    }
    found = (struct found){0};
    look_at_journal(s, oracle, &found, v);
    look_at_held(s, &found, v);
    look_at_mailboxes(s->mail, ".", 0, &found, v);
    look_at_frozen(s, &found, v);
    for (uint32_t id = 0; id < MAILS_MAX; id++)
        if (oracle->mails[id].uid != 0)
            look_at_mark(s, id, oracle->mails[id].uid, v);
    for (uint32_t id = 0; id < MAILS_MAX; id++)
        compare(id, &oracle->mails[id], &found, v);
    if (s->alarms > 0)
        wrong(v, "false alarm: %s", s->alarm);
}
