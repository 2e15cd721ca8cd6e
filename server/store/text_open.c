/* Where the index of words is, and the work on it in the background. */
#include "clock.h"
#include "folders_int.h"
#include "text_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SWEEP_EVERY = 64 }; /* pieces of work that came to their end */

/* The directory `name` in another one, made if need be; takes that one. -1 with errno. */
static int step_into(int above, const char *name)
{
    int fd = -1;
    if (above < 0)
        return -1;
    if (mkdirat(above, name, 0700) == 0 || errno == EEXIST)
        fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    int error = errno;
    (void)close(above);
    errno = error;
    return fd;
}

/* The directory of a user's index. -1 with errno. */
static int open_words(const struct pn_user *user)
{
    struct pn_buf path;
    pn_buf_init(&path, PATH_MAX);
    int fd = -1;
    if (user_path(user, "", &path))
        fd = maildir_open_dir(user->store->root, pn_buf_cstr(&path));
    pn_buf_fini(&path);
    return step_into(step_into(fd, "postern"), "words");
}

struct pn_texts *pn_texts_open(struct pn_user *user, struct pn_view *view)
{
    return texts_open_dir(view, open_words(user));
}

void pn_texts_forget(struct pn_user *user)
{
    int words = open_words(user);
    if (words >= 0) {
        texts_sweep(words, NULL, 0);
        (void)close(words);
    }
}

/* The UIDVALIDITY of a folder; 0: it never had one. False: it could not be read. */
static bool known_of(int above, const char *component, uint32_t *out)
{
    struct folder_marks marks;
    int fd = openat(above, component, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int error = fd < 0 ? errno : folder_marks_read(fd, &marks);
    *out = error == 0 ? marks.uidvalidity : 0;
    if (error == 0)
        folder_marks_fini(&marks);
    if (fd >= 0)
        (void)close(fd);
    return error == 0 || error == ENOENT;
}

/* Removes what is left of folders that are gone. Opens none: those that nobody used so far would
 * each be made known, with all their messages. */
static void sweep(const struct pn_user *user)
{
    struct pn_pool *pool = pn_pool_new(16 * 1024 * 1024);
    struct on_disk_list list = {NULL, 0, 0};
    int dir = user_open_dir(user), words = open_words(user);
    bool whole = dir >= 0 && words >= 0 && folders_scan(dir, false, pool, &list) == 0;
    uint32_t *known = whole ? pn_pool_alloc(pool, (list.count + 1) * sizeof *known) : NULL;
    whole = known != NULL && known_of(dir, ".", &known[0]);
    for (size_t i = 0; i < list.count && whole; i++)
        whole = known_of(dir, list.v[i].component.p, &known[i + 1]);
    if (whole)
        texts_sweep(words, known, list.count + 1);
    folders_scan_fini(&list);
    if (words >= 0)
        (void)close(words);
    if (dir >= 0)
        (void)close(dir);
    pn_pool_free(&pool);
}

bool pn_text_work(struct pn_user *user, struct pn_str folder, unsigned ms)
{
    static atomic_uint turn;
    uint64_t deadline = pn_clock_mono_ns() + (uint64_t)ms * PN_NS_PER_MS;
    struct pn_view *view = NULL;
    bool more = false;
    if (pn_view_open(user, folder, true, NULL, NULL, &view) != PN_STORE_OK)
        return false;
    struct pn_texts *texts = pn_texts_open(user, view);
    enum pn_texts_step step = PN_TEXTS_FAILED;
    if (texts != NULL)
        step = pn_texts_catch_up(texts, ms);
    if (step == PN_TEXTS_DONE && pn_clock_mono_ns() < deadline)
        more = texts_tidy(texts, (unsigned)((deadline - pn_clock_mono_ns()) / PN_NS_PER_MS));
    pn_texts_close(&texts);
    pn_view_close(&view);
    if (!more && step == PN_TEXTS_DONE && atomic_fetch_add(&turn, 1) % SWEEP_EVERY == 0)
        sweep(user);
    return more || step == PN_TEXTS_MORE;
}
