#include "scan_input.h"

#include "mbox.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scan_batch.h"

struct list {
    char **paths;
    size_t count, cap;
};

/* ftw has no argument for its callback: a walk is a short affair of one thread. */
static struct list *walked;

static int on_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    const char *name = path + ftw->base;
    /* A pipe somebody left there would be waited for without end. */
    if (type == FTW_F && S_ISREG(st->st_mode) && name[0] != '.') {
        walked->paths = pn_grow(walked->paths, &walked->cap, walked->count, sizeof *walked->paths);
        walked->paths[walked->count++] = pn_strdup(path);
    }
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const char *const *x = a;
    const char *const *y = b;
    return strcmp(*x, *y);
}

static void list_free(struct list *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->paths[i]);
    free(l->paths);
}

/* The files that a path stands for, in order of names. */
static bool list_path(struct list *l, const char *path, struct pn_buf *err)
{
    struct stat st;
    if (strcmp(path, "-") != 0 && stat(path, &st) != 0) {
        (void)pn_buf_addf(err, "%s: %s", path, strerror(errno));
        return false;
    }
    if (strcmp(path, "-") == 0 || !S_ISDIR(st.st_mode)) {
        l->paths = pn_grow(l->paths, &l->cap, l->count, sizeof *l->paths);
        l->paths[l->count++] = pn_strdup(path);
        return true;
    }
    size_t first = l->count;
    walked = l;
    int rc = nftw(path, on_entry, 16, FTW_PHYS);
    walked = NULL;
    if (rc != 0) {
        (void)pn_buf_addf(err, "%s: %s", path, strerror(errno));
        return false;
    }
    if (l->count > first)
        qsort(l->paths + first, l->count - first, sizeof *l->paths, by_name);
    return true;
}

bool pn_scan_read_file(const char *path, struct pn_buf *out, struct pn_buf *err)
{
    int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;
    pn_buf_init(out, PN_SCAN_MESSAGE_MAX);
    while (fd >= 0) {
        char *to = pn_buf_reserve(out, 64 * 1024);
        if (to == NULL) {
            errno = EFBIG;
            n = -1;
            break;
        }
        n = read(fd, to, 64 * 1024);
        if (n <= 0)
            break;
        out->len += (size_t)n;
    }
    if (n < 0 && errno == EFBIG)
        (void)pn_buf_addf(err, "%s: too large, expected %d MB at most", path,
                          PN_SCAN_MESSAGE_MAX >> 20);
    else if (n < 0)
        (void)pn_buf_addf(err, "%s: %s", path, strerror(errno));
    if (fd > STDIN_FILENO)
        (void)close(fd);
    return n == 0;
}

static size_t line_end(struct pn_str text, size_t from)
{
    size_t nl = pn_str_find(text, '\n', from);
    return nl == SIZE_MAX ? text.len : nl + 1;
}

/* CRLF ends; in an mbox one '>' goes from ">From ", ">>From " and so on. */
static void canonical(struct pn_str raw, bool mbox, struct pn_buf *out)
{
    pn_buf_clear(out);
    for (size_t at = 0; at < raw.len;) {
        size_t end = line_end(raw, at);
        struct pn_str line = pn_str_slice(raw, at, end);
        size_t quotes = 0;
        while (mbox && quotes < line.len && line.p[quotes] == '>')
            quotes++;
        if (quotes > 0 && pn_str_starts(pn_str_slice(line, quotes, line.len), PN_STR("From ")))
            line = pn_str_slice(line, 1, line.len);
        bool lone_lf = pn_str_ends(line, PN_STR("\n")) && !pn_str_ends(line, PN_STR("\r\n"));
        if (lone_lf)
            line.len--;
        (void)pn_buf_adds(out, line);
        if (lone_lf)
            (void)pn_buf_addz(out, "\r\n");
        at = end;
    }
}

void pn_scan_canonical(struct pn_str raw, struct pn_buf *out)
{
    size_t first = line_end(raw, 0);
    bool mbox = pn_mbox_separator(pn_str_slice(raw, 0, first));
    canonical(mbox ? pn_str_slice(raw, first, raw.len) : raw, mbox, out);
}

typedef bool case_fn(void *ctx, const struct pn_scan_case *c);

static bool cant_read(const char *path, int error, struct pn_buf *err)
{
    (void)pn_buf_addf(err, "%s: %s", path, strerror(error));
    return false;
}

/* The messages of one file; *go_on is false when fn had enough. */
static bool each_of_file(const struct pn_scan_case *base, const char *path, case_fn *fn, void *ctx,
                         bool *go_on, struct pn_buf *err)
{
    struct pn_buf content, label;
    struct pn_mbox m;
    struct pn_str raw;
    bool more, whole = true;
    if (!pn_mbox_open(&m, path, PN_SCAN_MESSAGE_MAX)) {
        pn_mbox_close(&m);
        return cant_read(path, errno, err);
    }
    pn_buf_init(&content, SIZE_MAX);
    pn_buf_init(&label, 8192);
    for (size_t number = 1; *go_on; number++) {
        enum pn_mbox_next next = pn_mbox_next(&m, &raw, &more);
        if (next == PN_MBOX_ERROR)
            whole = cant_read(path, m.error, err);
        if (next == PN_MBOX_ERROR || next == PN_MBOX_END)
            break;
        pn_buf_clear(&label);
        (void)pn_buf_addz(&label, path);
        if (number > 1 || more)
            (void)pn_buf_addf(&label, ":%zu", number);
        if (next == PN_MBOX_TOO_LARGE) {
            (void)pn_buf_addf(err, "%s%.*s: too large, expected %d MB at most", whole ? "" : "\n",
                              PN_FMT(pn_buf_str(&label)), PN_SCAN_MESSAGE_MAX >> 20);
            whole = false;
            continue;
        }
        struct pn_scan_case c = *base;
        canonical(raw, m.mbox, &content);
        c.file = pn_buf_str(&label);
        c.content = content.len == 0 ? PN_STR("") : pn_buf_str(&content);
        *go_on = fn(ctx, &c);
    }
    pn_mbox_close(&m);
    pn_buf_fini(&content);
    pn_buf_fini(&label);
    return whole;
}

/* What is read once only, a pipe, must not be read to be counted. */
static bool is_countable(const char *path)
{
    struct stat st;
    return strcmp(path, "-") != 0 && stat(path, &st) == 0 &&
           (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

static size_t count_file(const char *path)
{
    struct pn_mbox m;
    struct pn_str raw;
    size_t n = 0;
    bool more;
    if (pn_mbox_open(&m, path, PN_SCAN_MESSAGE_MAX)) {
        enum pn_mbox_next next;
        while ((next = pn_mbox_next(&m, &raw, &more)) == PN_MBOX_MESSAGE ||
               next == PN_MBOX_TOO_LARGE)
            n += next == PN_MBOX_MESSAGE;
    }
    pn_mbox_close(&m);
    return n;
}

size_t pn_scan_count(const struct pn_scan_source *source)
{
    struct list l = {NULL, 0, 0};
    struct pn_buf err;
    size_t n = 0;
    bool known = source->batch == NULL;
    pn_buf_init(&err, 1024);
    for (size_t i = 0; i < source->path_count && known; i++)
        known = is_countable(source->paths[i]) && list_path(&l, source->paths[i], &err);
    for (size_t i = 0; i < l.count && known; i++)
        n += count_file(l.paths[i]);
    list_free(&l);
    pn_buf_fini(&err);
    return known ? n : 0;
}

bool pn_scan_each(const struct pn_scan_source *source, case_fn *fn, void *ctx, struct pn_buf *err)
{
    struct list l = {NULL, 0, 0};
    bool ok = true, go_on = true;
    size_t unread = 0;
    if (source->batch != NULL)
        return pn_scan_batch(&source->base, source->batch, fn, ctx, err);
    for (size_t i = 0; i < source->path_count && ok; i++)
        ok = list_path(&l, source->paths[i], err);
    for (size_t i = 0; i < l.count && ok && go_on; i++) {
        if (err->len != 0 && err->p[err->len - 1] != '\n')
            (void)pn_buf_addc(err, '\n');
        unread += !each_of_file(&source->base, l.paths[i], fn, ctx, &go_on, err);
    }
    list_free(&l);
    return ok && unread == 0;
}
