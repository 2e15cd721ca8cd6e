#include "clamav_engine.h"

#include <clamav.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct clamav_engine {
    struct cl_engine *cl;
    unsigned signatures;
    struct clamav_watch *watch; /* borrowed, while it is loaded */
    struct cl_scan_options options;
};

/* ---- in the template */

static void say(void (*tell)(struct postern_setup *, struct postern_str), struct postern_setup *s,
                const char *what, const char *path, const char *why)
{
    char text[1024];
    int n = snprintf(text, sizeof(text), "%s %s: %s", what, path, why);

    if (n > 0)
        tell(s,
             (struct postern_str){text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1});
}

static char *copy_path(struct postern_str s)
{
    return strndup(s.p, s.len);
}

/* What went wrong with a file is told as a sentence; what the library prints beside it is
 * dropped. */
static void quiet(enum cl_msg severity, const char *full, const char *text, void *context)
{
    (void)severity;
    (void)full;
    (void)text;
    (void)context;
}

static int load(struct postern_setup *s, struct clamav_engine *p, const char *path)
{
    cl_error_t error;

    if (!clamav_watch_add(p->watch, path))
        return POSTERN_ERROR;
    error = cl_load(path, p->cl, &p->signatures, CL_DB_STDOPT);
    if (error == CL_SUCCESS)
        return POSTERN_OK;
    say(s->host->setup_error, s, "signatures in", path, cl_strerror(error));
    return POSTERN_ERROR;
}

static bool folder_has_signatures(const char *path)
{
    unsigned n = 0;

    return cl_countsigs(path, CL_COUNTSIGS_ALL, &n) == CL_SUCCESS && n > 0;
}

/* What the site has, which may be nothing yet: then it is waited for. */
static int load_site(struct postern_setup *s, struct clamav_engine *p)
{
    if (folder_has_signatures(CLAMAV_SITE_FOLDER))
        return load(s, p, CLAMAV_SITE_FOLDER);
    return clamav_watch_add(p->watch, CLAMAV_SITE_FOLDER) ? POSTERN_OK : POSTERN_ERROR;
}

static int load_folder(struct postern_setup *s, struct clamav_engine *p)
{
    struct postern_str set;
    char *path;
    int status = POSTERN_OK;

    if (s->host->set_str(s->settings, "database", 0, &set) != POSTERN_OK)
        return POSTERN_ERROR;
    path = copy_path(set);
    if (path == NULL)
        return POSTERN_ERROR;
    if (strcmp(path, CLAMAV_SITE_FOLDER) == 0) {
        free(path);
        return load_site(s, p);
    }
    if (folder_has_signatures(path)) {
        status = load(s, p, path);
    } else {
        say(s->host->setup_error, s, "database", path,
            "there are no signatures in this folder; freshclam fetches them");
        status = POSTERN_ERROR;
    }
    free(path);
    return status;
}

static int load_files(struct postern_setup *s, struct clamav_engine *p)
{
    size_t n = s->host->set_count(s->settings, "signatures");
    int status = POSTERN_OK;

    for (size_t i = 0; i < n && status == POSTERN_OK; i++) {
        struct postern_str set;
        char *path = NULL;

        if (s->host->set_str(s->settings, "signatures", i, &set) != POSTERN_OK ||
            (path = copy_path(set)) == NULL)
            return POSTERN_ERROR;
        status = load(s, p, path);
        free(path);
    }
    return status;
}

static bool set_limit(struct postern_setup *s, struct cl_engine *engine, enum cl_engine_field field,
                      const char *row)
{
    int64_t value;

    return s->host->set_int(s->settings, row, 0, &value) == POSTERN_OK &&
           cl_engine_set_num(engine, field, (long long)value) == CL_SUCCESS;
}

/* One limit for a file and for all: an unpacked file over MAX_FILESIZE alone is cut, and
 * what is cut off is not reported. Bytecode signatures are interpreted: the other way
 * writes code, which the sandbox forbids. */
static bool set_limits(struct postern_setup *s, struct cl_engine *engine)
{
    return set_limit(s, engine, CL_ENGINE_MAX_SCANSIZE, "max-scan-size") &&
           set_limit(s, engine, CL_ENGINE_MAX_FILESIZE, "max-scan-size") &&
           set_limit(s, engine, CL_ENGINE_MAX_FILES, "max-files") &&
           set_limit(s, engine, CL_ENGINE_MAX_RECURSION, "max-depth") &&
           set_limit(s, engine, CL_ENGINE_MAX_SCANTIME, "max-time") &&
           cl_engine_set_num(engine, CL_ENGINE_DISABLE_CACHE, 1) == CL_SUCCESS &&
           cl_engine_set_num(engine, CL_ENGINE_BYTECODE_MODE, CL_BYTECODE_MODE_INTERPRETER) ==
               CL_SUCCESS;
}

/* ---- what it unpacks */

/* Types that are worth nothing but what is in them. */
static const char *const archives[] = {
    "ZIP", "GZ",      "BZ",        "XZ",      "7Z",        "RAR",      "MSCAB",    "ARJ",     "EGG",
    "ALZ", "LHA_LZH", "POSIX_TAR", "OLD_TAR", "CPIO_NEWC", "CPIO_ODC", "CPIO_CRC", "CPIO_OLD"};

/* The archive that was opened last and gave nothing yet. */
struct unpacking {
    struct clamav_findings *findings;
    const char *open; /* its type; NULL: none */
    uint32_t level;
};

static const char *archive_type(const char *type)
{
    static const char prefix[] = "CL_TYPE_";

    if (type == NULL || strncmp(type, prefix, sizeof(prefix) - 1) != 0)
        return NULL;
    for (size_t i = 0; i < sizeof(archives) / sizeof(archives[0]); i++)
        if (strcmp(type + sizeof(prefix) - 1, archives[i]) == 0)
            return archives[i];
    return NULL;
}

static void note_broken(struct unpacking *u)
{
    struct clamav_findings *f = u->findings;
    size_t len = u->open == NULL ? 0 : strlen(u->open);

    if (len == 0 || len >= CLAMAV_TYPE_MAX || f->broken == CLAMAV_BROKEN_MAX)
        return;
    for (size_t i = 0; i < len; i++)
        f->types[f->broken][i] = (char)tolower((unsigned char)u->open[i]);
    f->types[f->broken++][len] = '\0';
}

/* Called for each file, outer ones first. */
static cl_error_t on_file(int fd, const char *type, const char **ancestors, size_t parent_size,
                          const char *name, size_t size, const char *buffer, uint32_t level,
                          uint32_t attributes, void *context)
{
    struct unpacking *u = context;

    (void)fd;
    (void)ancestors;
    (void)parent_size;
    (void)name;
    (void)size;
    (void)buffer;
    (void)attributes;
    if (u == NULL)
        return CL_CLEAN;
    if (u->open != NULL && level <= u->level)
        note_broken(u);
    u->open = archive_type(type);
    u->level = level;
    return CL_CLEAN;
}

static int engine_load(struct postern_setup *s, struct clamav_engine *p)
{
    cl_error_t error;

    if (!set_limits(s, p->cl)) {
        s->host->setup_error(s, POSTERN_STR("libclamav does not take these limits"));
        return POSTERN_ERROR;
    }
    if (load_folder(s, p) != POSTERN_OK || load_files(s, p) != POSTERN_OK)
        return POSTERN_ERROR;
    if (p->signatures == 0) {
        s->host->setup_warn(
            s, POSTERN_STR(
                   "nothing is scanned for viruses: there are no signatures in " CLAMAV_SITE_FOLDER
                   "; install clamav-freshclam, or name a folder with `database`, or "
                   "files with `signatures`"));
        return POSTERN_OK;
    }
    cl_engine_set_clcb_file_inspection(p->cl, on_file);
    error = cl_engine_compile(p->cl);
    if (error == CL_SUCCESS)
        return POSTERN_OK;
    say(s->host->setup_error, s, "signatures", "", cl_strerror(error));
    return POSTERN_ERROR;
}

struct clamav_engine *clamav_engine_new(struct postern_setup *s, struct clamav_watch *watch)
{
    struct clamav_engine *p = calloc(1, sizeof(*p));

    cl_set_clcb_msg(quiet);
    if (p == NULL || cl_init(CL_INIT_DEFAULT) != CL_SUCCESS || (p->cl = cl_engine_new()) == NULL) {
        s->host->setup_error(s, POSTERN_STR("libclamav refused to start"));
        free(p);
        return NULL;
    }
    p->watch = watch;
    if (engine_load(s, p) != POSTERN_OK)
        clamav_engine_free(p), p = NULL;
    else
        p->watch = NULL;
    return p;
}

void clamav_engine_free(struct clamav_engine *p)
{
    if (p == NULL)
        return;
    (void)cl_engine_free(p->cl);
    free(p);
}

bool clamav_engine_ready(const struct clamav_engine *p)
{
    return p->signatures > 0;
}

/* ---- in the worker */

bool clamav_engine_begin(struct postern_setup *s, struct clamav_engine *p, const char *tmp)
{
    int macros = 1;
    int encrypted = 1;

    (void)s->host->set_bool(s->settings, "macros", &macros);
    (void)s->host->set_bool(s->settings, "encrypted", &encrypted);
    p->options.general = CL_SCAN_GENERAL_HEURISTICS;
    p->options.parse = ~0U;
    /* Without it a limit that was reached is reported as clean. */
    p->options.heuristic = CL_SCAN_HEURISTIC_EXCEEDS_MAX | CL_SCAN_HEURISTIC_BROKEN;
    if (macros)
        p->options.heuristic |= CL_SCAN_HEURISTIC_MACROS;
    if (encrypted)
        p->options.heuristic |=
            CL_SCAN_HEURISTIC_ENCRYPTED_ARCHIVE | CL_SCAN_HEURISTIC_ENCRYPTED_DOC;
    return tmp == NULL || cl_engine_set_str(p->cl, CL_ENGINE_TMPDIR, tmp) == CL_SUCCESS;
}

static void name_found(struct clamav_findings *out, enum clamav_kind kind, const char *name)
{
    out->kind = kind;
    (void)snprintf(out->name, sizeof(out->name), "%s", name);
}

/* Errors that the message causes make it unscannable. */
static const char *settle(cl_error_t error, const char *name, struct clamav_findings *out)
{
    switch (error) {
    case CL_CLEAN:
        return NULL;
    case CL_VIRUS: /* a message over the limits is a virus without a name to the library */
        if (name == NULL || name[0] == '\0')
            name_found(out, CLAMAV_UNSCANNABLE, "message is too large");
        else
            name_found(out, clamav_kind(name), name);
        return NULL;
    case CL_ETIMEOUT:
    case CL_EMAXREC:
    case CL_EMAXSIZE:
    case CL_EMAXFILES:
    case CL_EFORMAT:
    case CL_EPARSE:
    case CL_EUNPACK:
    case CL_EBYTECODE:
        name_found(out, CLAMAV_UNSCANNABLE, cl_strerror(error));
        return NULL;
    default:
        return cl_strerror(error);
    }
}

const char *clamav_engine_scan(const struct clamav_engine *p, const char *bytes, size_t len,
                               struct clamav_findings *out)
{
    struct unpacking u = {.findings = out};
    struct cl_scan_options options = p->options;
    const char *name = NULL;
    unsigned long scanned = 0;
    cl_fmap_t *map = cl_fmap_open_memory(bytes, len);
    cl_error_t error;

    *out = (struct clamav_findings){.broken = 0};
    if (map == NULL)
        return "no memory";
    error = cl_scanmap_callback(map, NULL, &name, &scanned, p->cl, &options, &u);
    cl_fmap_close(map);
    if (u.open != NULL)
        note_broken(&u);
    /* What ended the scan early, or is locked, did not get to what was in it. */
    if (error != CL_CLEAN)
        out->broken = 0;
    return settle(error, name, out);
}
