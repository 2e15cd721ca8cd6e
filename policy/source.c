#include "source.h"

#include "buf.h"
#include "codec.h"
#include "shipped.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct pn_str shipped_prefix = PN_STR_INIT("postern:");

static struct pn_str join(struct pn_pool *pool, struct pn_str a, struct pn_str b)
{
    struct pn_buf buf;
    pn_buf_init(&buf, SIZE_MAX);
    (void)pn_buf_adds(&buf, a);
    (void)pn_buf_adds(&buf, b);
    struct pn_str s = pn_pool_dup(pool, pn_buf_str(&buf));
    pn_buf_fini(&buf);
    return s.p == NULL ? PN_STR("") : s;
}

void pn_sources_init(struct pn_sources *s, struct pn_pool *pool, struct pn_problems *problems,
                     struct pn_str file)
{
    *s = (struct pn_sources){.pool = pool, .problems = problems};
    size_t slash = file.len;
    while (slash > 0 && file.p[slash - 1] != '/')
        slash--;
    s->folder = pn_str_slice(file, 0, slash);
    const char *given = slash == 0 ? "." : pn_pool_strdup(pool, s->folder);
    char *full = given == NULL ? NULL : realpath(given, NULL);
    /* A folder that is not there shows itself when the file is read. */
    s->folder_full = full == NULL ? s->folder : pn_pool_dup(pool, pn_str_of(full));
    if (s->folder_full.p == NULL || pn_str_eq(s->folder_full, PN_STR("/")))
        s->folder_full = PN_STR("");
    free(full);
}

void pn_sources_mix(struct pn_sources *s, struct pn_str bytes)
{
    /* The length parts what would else run together. */
    uint64_t n = bytes.len;
    s->hash[0] = pn_str_hash(bytes, s->hash[0] ^ n, false);
    s->hash[1] = s->hash[1] * 0x9e3779b97f4a7c15U + pn_crc32c((uint32_t)n, bytes.p, bytes.len);
}

struct pn_str pn_sources_path(const struct pn_sources *s, struct pn_str path)
{
    if (path.len > 0 && path.p[0] == '/')
        return join(s->pool, path, PN_STR(""));
    return join(s->pool, join(s->pool, s->folder_full, PN_STR("/")), path);
}

static struct pn_str name_of(const struct pn_sources *s, struct pn_str path)
{
    bool absolute = path.len > 0 && path.p[0] == '/';
    return join(s->pool, absolute ? PN_STR("") : s->folder, path);
}

/* The main file's path has the folder in front already. */
static struct pn_str shown_of(const struct pn_sources *s, struct pn_str name)
{
    if (s->folder.len != 0 && pn_str_starts(name, s->folder))
        return pn_str_slice(name, s->folder.len, name.len);
    return name;
}

static bool read_all(int fd, char *to, size_t n)
{
    while (n > 0) {
        ssize_t got = read(fd, to, n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        to += got;
        n -= (size_t)got;
    }
    return true;
}

static void refuse(struct pn_sources *s, struct pn_str name, struct pn_place at, const char *why)
{
    if (at.source == NULL)
        pn_error_in(s->problems, name, "%s", why);
    else
        pn_error_at(s->problems, at, "'%.*s': %s", PN_FMT(name), why);
}

static bool includes_itself(const struct pn_source *from, const struct stat *st)
{
    for (; from != NULL; from = from->parent)
        if (from->inode == st->st_ino && from->device == st->st_dev)
            return true;
    return false;
}

/* NULL, or why this file is not read. */
static const char *check(const struct pn_sources *s, int fd, struct pn_place at, struct stat *st)
{
    if (fstat(fd, st) != 0)
        return strerror(errno);
    if (!S_ISREG(st->st_mode))
        return "not a regular file";
    if (st->st_size > PN_SOURCE_SIZE_MAX || (size_t)st->st_size > PN_SOURCES_SIZE_MAX - s->bytes)
        return "too large for a configuration file";
    if (includes_itself(at.source, st))
        return "includes itself";
    if (at.source != NULL && at.source->depth + 1 > PN_INCLUDE_DEPTH_MAX)
        return "includes are nested too deep, expected 16 levels at most";
    if (s->count >= PN_SOURCES_MAX)
        return "too many files";
    return NULL;
}

static const struct pn_source *read_fd(struct pn_sources *s, int fd, struct pn_str name,
                                       struct pn_place at)
{
    struct stat st;
    const char *why = check(s, fd, at, &st);
    if (why != NULL) {
        refuse(s, name, at, why);
        return NULL;
    }
    struct pn_source *source = pn_pool_alloc(s->pool, sizeof *source);
    char *text = pn_pool_alloc(s->pool, (size_t)st.st_size + 1);
    if (source == NULL || text == NULL || !read_all(fd, text, (size_t)st.st_size)) {
        refuse(s, name, at, text == NULL ? "no memory left for it" : "could not be read whole");
        return NULL;
    }
    *source = (struct pn_source){.name = name,
                                 .shown = shown_of(s, name),
                                 .text = {text, (size_t)st.st_size},
                                 .device = st.st_dev,
                                 .inode = st.st_ino,
                                 .parent = at.source,
                                 .depth = at.source == NULL ? 0 : at.source->depth + 1};
    s->count++;
    s->bytes += source->text.len;
    pn_sources_mix(s, source->shown);
    pn_sources_mix(s, source->text);
    return source;
}

static const struct pn_source *shipped(struct pn_sources *s, struct pn_str path, struct pn_place at)
{
    struct pn_str name = pn_str_slice(path, shipped_prefix.len, path.len);
    for (const struct pn_embedded *x = pn_shipped; x->name != NULL; x++)
        if (pn_str_eq(pn_str_of(x->name), name))
            return pn_source_of(s, path, (struct pn_str){(const char *)x->text, x->len});
    refuse(s, path, at, "no such shipped policy, expected postern:default or postern:strict");
    return NULL;
}

const struct pn_source *pn_source_read(struct pn_sources *s, struct pn_str path, struct pn_place at)
{
    if (pn_str_starts(path, shipped_prefix))
        return shipped(s, path, at);
    struct pn_str name = at.source == NULL ? join(s->pool, path, PN_STR("")) : name_of(s, path);
    if (memchr(name.p, '\0', name.len) != NULL) {
        refuse(s, name, at, "a path can't hold a NUL byte");
        return NULL;
    }
    int fd = open(name.p, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        refuse(s, name, at, strerror(errno));
        return NULL;
    }
    const struct pn_source *source = read_fd(s, fd, name, at);
    (void)close(fd);
    return source;
}

const struct pn_source *pn_source_of(struct pn_sources *s, struct pn_str name, struct pn_str text)
{
    struct pn_source *source = pn_pool_alloc(s->pool, sizeof *source);
    if (source == NULL)
        return NULL;
    *source = (struct pn_source){.name = name, .shown = name, .text = text};
    pn_sources_mix(s, name);
    pn_sources_mix(s, text);
    return source;
}

static int by_text(const void *a, const void *b)
{
    return pn_str_cmp(*(const struct pn_str *)a, *(const struct pn_str *)b);
}

static bool glob_add(struct pn_sources *s, struct pn_buf *list, struct pn_str folder,
                     struct pn_str pattern, const char *entry)
{
    /* As a shell does: * finds no hidden files. */
    struct pn_str name = pn_str_of(entry);
    if (name.p[0] == '.' || !pn_str_glob(pattern, name))
        return true;
    struct pn_str path = join(s->pool, folder, name);
    return pn_buf_add(list, &path, sizeof path);
}

bool pn_sources_glob(struct pn_sources *s, struct pn_str pattern, struct pn_place at,
                     struct pn_str **paths, size_t *count)
{
    struct pn_buf list;
    pn_buf_init(&list, PN_SOURCES_MAX * sizeof(struct pn_str));
    size_t slash = pattern.len;
    while (slash > 0 && pattern.p[slash - 1] != '/')
        slash--;
    struct pn_str folder = pn_str_slice(pattern, 0, slash);
    struct pn_str last = pn_str_slice(pattern, slash, pattern.len);
    bool ok = true;
    if (pn_str_find(last, '*', 0) == SIZE_MAX) {
        ok = pn_buf_add(&list, &pattern, sizeof pattern);
    } else {
        struct pn_str name = name_of(s, folder);
        DIR *dir = opendir(name.len == 0 ? "." : name.p);
        if (dir == NULL) {
            refuse(s, name, at, strerror(errno));
            pn_buf_fini(&list);
            return false;
        }
        for (struct dirent *e = readdir(dir); ok && e != NULL; e = readdir(dir))
            ok = glob_add(s, &list, folder, last, e->d_name);
        (void)closedir(dir);
        if (!ok)
            refuse(s, name, at, "too many files");
    }
    *count = list.len / sizeof(struct pn_str);
    struct pn_str copy = pn_pool_dup(s->pool, pn_buf_str(&list));
    ok = ok && copy.p != NULL;
    pn_buf_fini(&list);
    /* The pool aligns for any type. */
    *paths = (struct pn_str *)(void *)(uintptr_t)copy.p;
    if (ok)
        qsort(*paths, *count, sizeof **paths, by_text);
    return ok;
}
