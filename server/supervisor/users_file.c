/*
 * The file of who may log in: opened here, since auth may open nothing, and given to auth as it
 * is; verifiers pass no other process. It is opened anew when it changed, whoever edited it:
 * `postern user` puts a whole new one in its place, an editor may write in between. Auth says
 * whether it can be read; one that can't leaves the users as they were.
 */
#include "log.h"
#include "supervisor_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOOK_MS = 1000, SETTLE_MS = 100 };

static uint64_t mark_of(const struct plan *plan)
{
    struct pn_buf b;
    pn_buf_init(&b, SIZE_MAX);
    if (plan->users_file != NULL)
        certificates_add_file(&b, plan->users_file);
    uint64_t mark = pn_str_hash(pn_buf_str(&b), 0, false);
    pn_buf_fini(&b);
    return mark;
}

bool users_open(struct coming *coming, struct pn_buf *err)
{
    const char *path = coming->plan.users_file;
    struct stat st;
    coming->users_fd = -1;
    coming->users = mark_of(&coming->plan);
    if (path == NULL)
        return true;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return true;
    bool opened = fd >= 0 && fstat(fd, &st) == 0;
    if (opened && S_ISREG(st.st_mode)) {
        coming->users_fd = fd;
        return true;
    }
    (void)pn_buf_addf(err, "%s: %s", path, opened ? "not a file" : strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return false;
}

static void give_all(struct supervisor *sup)
{
    for (struct child *c = sup->children; c != NULL; c = c->next)
        if (child_alive(c))
            give_users(c);
}

/* What is gone or can't be opened leaves auth with what it has, and its successor too. */
static void renew(struct supervisor *sup)
{
    struct coming *now = &sup->now, fresh = {.plan = now->plan};
    struct pn_buf err;
    pn_buf_init(&err, 1000);
    bool ok = users_open(&fresh, &err);
    now->users = fresh.users; /* a bad one is not tried again and again */
    if (ok && fresh.users_fd < 0)
        (void)pn_buf_addf(&err, "%s: %s", now->plan.users_file, strerror(ENOENT));
    if (err.len != 0) {
        pn_error("users stay as they are: %s", pn_buf_cstr(&err));
    } else {
        if (now->users_fd >= 0)
            (void)close(now->users_fd);
        now->users_fd = fresh.users_fd;
        give_all(sup);
    }
    pn_buf_fini(&err);
}

/* At rest: somebody may be writing. */
static void look(void *arg)
{
    struct supervisor *sup = arg;
    uint64_t mark = mark_of(&sup->now.plan);
    bool rests = mark == sup->users_seen, news = mark != sup->now.users;
    sup->users_seen = mark;
    if (sup->state == SUP_SERVING && rests && news)
        renew(sup);
    pn_timer_set(sup->users_timer, news && !rests ? SETTLE_MS : LOOK_MS);
}

void users_watch(struct supervisor *sup)
{
    sup->users_timer = pn_timer_new(sup->loop, look, sup);
    pn_timer_set(sup->users_timer, LOOK_MS);
}
