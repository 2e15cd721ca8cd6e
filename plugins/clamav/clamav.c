/*
 * Virus scan by libclamav. Signatures are loaded once, in the template; workers share
 * them copy-on-write, and each has a folder of its own to unpack in.
 *
 * A message is scanned as it came, behind one Received line: the scanner knows mail by
 * its first bytes, and would take a message that begins with another field for a text,
 * its attachments unread.
 */
#include "clamav_names.h"
#include "clamav_tmp.h"

#include <clamav.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SITE_FOLDER "/var/lib/clamav"

enum { SYM_FOUND, SYM_UNSCANNABLE, SYM_ENCRYPTED, SYM_MACRO, SYM_HEURISTIC, SYM_NOT_SCANNED };

static const struct postern_symbol symbols[] = {
    [SYM_FOUND] = {"VIRUS_FOUND", 20000, "A signature matched; detail: its name"},
    [SYM_UNSCANNABLE] = {"VIRUS_UNSCANNABLE", 6000,
                         "A limit was reached or the scan failed: part of it is unseen"},
    [SYM_ENCRYPTED] = {"VIRUS_ENCRYPTED", 1000, "An encrypted archive or document"},
    [SYM_MACRO] = {"VIRUS_MACRO", 1500, "A document with macros"},
    [SYM_HEURISTIC] = {"VIRUS_HEURISTIC", 4000, "Another heuristic of the scanner's"},
    [SYM_NOT_SCANNED] = {"VIRUS_NOT_SCANNED", 0, "There are no signatures to scan with"},
    {NULL, 0, NULL}};

static const struct postern_row rows[] = {
    {.name = "database",
     .type = POSTERN_T_FOLDER,
     .help = "Folder of signatures. By default " SITE_FOLDER ", where it has any."},
    {.name = "signatures",
     .type = POSTERN_T_FILE,
     .flags = POSTERN_ROW_LIST,
     .help = "Further signature files (.ndb, .hdb, .yara…)."},
    {.name = "max-scan-size",
     .type = POSTERN_T_SIZE,
     .def = "200m",
     .min = 1 << 20,
     .max = INT64_C(2) << 30,
     .help = "Bytes looked at in one message, all unpacked; one of more is unscannable."},
    {.name = "max-files",
     .type = POSTERN_T_INT,
     .def = "5000",
     .min = 10,
     .max = 1000000,
     .help = "Files unpacked from one message."},
    {.name = "max-depth",
     .type = POSTERN_T_INT,
     .def = "17",
     .min = 2,
     .max = 100,
     .help = "Archives within archives."},
    {.name = "max-time",
     .type = POSTERN_T_DURATION,
     .def = "8s",
     .min = 100,
     .max = 60000,
     .help = "Time for one message; what is not done by then is unscannable."},
    {.name = "macros",
     .type = POSTERN_T_BOOL,
     .def = "yes",
     .help = "State VIRUS_MACRO for documents with macros."},
    {.name = "encrypted",
     .type = POSTERN_T_BOOL,
     .def = "yes",
     .help = "State VIRUS_ENCRYPTED for encrypted archives and documents."},
    {.name = NULL}};

struct prepared {
    struct cl_engine *engine;
    unsigned signatures;
};

struct instance {
    const struct prepared *prepared;
    struct cl_scan_options options;
    char *tmp;
};

/* ---- in the template ---- */

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

/* The library's own words about a file go to the log of the host as a sentence; what it
 * prints beside them is dropped. */
static void quiet(enum cl_msg severity, const char *full, const char *text, void *context)
{
    (void)severity;
    (void)full;
    (void)text;
    (void)context;
}

static int load(struct postern_setup *s, struct prepared *p, const char *path)
{
    cl_error_t error = cl_load(path, p->engine, &p->signatures, CL_DB_STDOPT);

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

static int load_folder(struct postern_setup *s, struct prepared *p)
{
    struct postern_str set;
    char *path;
    int status = POSTERN_OK;

    if (s->host->set_str(s->settings, "database", 0, &set) != POSTERN_OK)
        return folder_has_signatures(SITE_FOLDER) ? load(s, p, SITE_FOLDER) : POSTERN_OK;
    path = copy_path(set);
    if (path == NULL)
        return POSTERN_ERROR;
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

static int load_files(struct postern_setup *s, struct prepared *p)
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
           cl_engine_set_num(engine, CL_ENGINE_BYTECODE_MODE, CL_BYTECODE_MODE_INTERPRETER) ==
               CL_SUCCESS;
}

static void prepare_free(void *arg)
{
    struct prepared *p = arg;

    if (p->engine != NULL)
        (void)cl_engine_free(p->engine);
    free(p);
}

static int engine_load(struct postern_setup *s, struct prepared *p)
{
    cl_error_t error;

    if (!set_limits(s, p->engine)) {
        s->host->setup_error(s, POSTERN_STR("libclamav does not take these limits"));
        return POSTERN_ERROR;
    }
    if (load_folder(s, p) != POSTERN_OK || load_files(s, p) != POSTERN_OK)
        return POSTERN_ERROR;
    if (p->signatures == 0) {
        s->host->setup_warn(
            s, POSTERN_STR("nothing is scanned for viruses: there are no signatures in " SITE_FOLDER
                           "; install clamav-freshclam, or name a folder with `database`, or "
                           "files with `signatures`"));
        return POSTERN_OK;
    }
    error = cl_engine_compile(p->engine);
    if (error == CL_SUCCESS)
        return POSTERN_OK;
    say(s->host->setup_error, s, "signatures", "", cl_strerror(error));
    return POSTERN_ERROR;
}

static int prepare(struct postern_setup *s, void **prepared)
{
    struct prepared *p = calloc(1, sizeof(*p));

    cl_set_clcb_msg(quiet);
    if (p == NULL || cl_init(CL_INIT_DEFAULT) != CL_SUCCESS ||
        (p->engine = cl_engine_new()) == NULL) {
        s->host->setup_error(s, POSTERN_STR("libclamav refused to start"));
        free(p);
        return POSTERN_ERROR;
    }
    if (engine_load(s, p) != POSTERN_OK) {
        prepare_free(p);
        return POSTERN_ERROR;
    }
    *prepared = p;
    return POSTERN_OK;
}

/* ---- in the worker ---- */

static void set_options(struct postern_setup *s, struct cl_scan_options *o)
{
    int macros = 1;
    int encrypted = 1;

    (void)s->host->set_bool(s->settings, "macros", &macros);
    (void)s->host->set_bool(s->settings, "encrypted", &encrypted);
    o->general = CL_SCAN_GENERAL_HEURISTICS;
    o->parse = ~0U;
    /* Without it a limit that was reached is reported as clean. */
    o->heuristic = CL_SCAN_HEURISTIC_EXCEEDS_MAX;
    if (macros)
        o->heuristic |= CL_SCAN_HEURISTIC_MACROS;
    if (encrypted)
        o->heuristic |= CL_SCAN_HEURISTIC_ENCRYPTED_ARCHIVE | CL_SCAN_HEURISTIC_ENCRYPTED_DOC;
}

static void instance_free(void *arg)
{
    struct instance *in = arg;

    clamav_tmp_free(in->tmp);
    free(in);
}

static int instance_new(struct postern_setup *s, void **instance)
{
    struct instance *in = calloc(1, sizeof(*in));
    struct postern_str tmp = s->host->tmp_folder(s);

    if (in == NULL)
        return POSTERN_ERROR;
    in->prepared = s->prepared;
    set_options(s, &in->options);
    if (tmp.len > 0) {
        in->tmp = clamav_tmp_new(tmp);
        /* Our copy of the engine: the worker was forked with it. */
        if (in->tmp == NULL ||
            cl_engine_set_str(in->prepared->engine, CL_ENGINE_TMPDIR, in->tmp) != CL_SUCCESS) {
            s->host->setup_error(s, POSTERN_STR("the scanner's private folder can't be used"));
            instance_free(in);
            return POSTERN_ERROR;
        }
    }
    *instance = in;
    return POSTERN_OK;
}

static int state(struct postern_call *c, unsigned symbol, const char *detail)
{
    return c->host->fact(c, symbol, (struct postern_str){detail, strlen(detail)});
}

static int state_name(struct postern_call *c, const char *name)
{
    static const unsigned symbol[] = {[CLAMAV_VIRUS] = SYM_FOUND,
                                      [CLAMAV_UNSCANNABLE] = SYM_UNSCANNABLE,
                                      [CLAMAV_ENCRYPTED] = SYM_ENCRYPTED,
                                      [CLAMAV_MACRO] = SYM_MACRO,
                                      [CLAMAV_HEURISTIC] = SYM_HEURISTIC};

    return state(c, symbol[clamav_kind(name)], name);
}

/* Errors that the message causes make it unscannable; those of the machine (memory, the
 * temporary folder) are the plugin's failure, and `on_failure` applies. */
static int state_error(struct postern_call *c, cl_error_t error)
{
    switch (error) {
    case CL_ETIMEOUT:
    case CL_EMAXREC:
    case CL_EMAXSIZE:
    case CL_EMAXFILES:
    case CL_EFORMAT:
    case CL_EPARSE:
    case CL_EUNPACK:
    case CL_EBYTECODE:
        return state(c, SYM_UNSCANNABLE, cl_strerror(error));
    default:
        c->host->log(c, POSTERN_LOG_ERROR,
                     (struct postern_str){cl_strerror(error), strlen(cl_strerror(error))});
        return POSTERN_ERROR;
    }
}

static int scan(struct postern_call *c, const char *p, size_t len)
{
    const struct instance *in = c->instance;
    struct cl_scan_options options = in->options;
    const char *name = NULL;
    unsigned long scanned = 0;
    cl_fmap_t *map = cl_fmap_open_memory(p, len);
    cl_error_t error;
    int status = POSTERN_OK;

    if (map == NULL)
        return POSTERN_ERROR;
    error = cl_scanmap_callback(map, NULL, &name, &scanned, in->prepared->engine, &options, NULL);
    /* A message over the limits is a virus without a name to the library. */
    if (error == CL_VIRUS && (name == NULL || name[0] == '\0'))
        status = state(c, SYM_UNSCANNABLE, "message is too large");
    else if (error == CL_VIRUS)
        status = state_name(c, name);
    else if (error != CL_CLEAN)
        status = state_error(c, error);
    cl_fmap_close(map);
    return status;
}

static int on_message(struct postern_call *c)
{
    static const char first[] = "Received: by scanner\r\n";
    const struct instance *in = c->instance;
    struct postern_str content = c->host->content(c);
    char *copy;
    int status;

    if (in->prepared->signatures == 0)
        return state(c, SYM_NOT_SCANNED, "no signatures");
    copy = malloc(sizeof(first) - 1 + content.len);
    if (copy == NULL)
        return POSTERN_ERROR;
    memcpy(copy, first, sizeof(first) - 1);
    if (content.len > 0)
        memcpy(copy + sizeof(first) - 1, content.p, content.len);
    status = scan(c, copy, sizeof(first) - 1 + content.len);
    free(copy);
    return status;
}

POSTERN_EXPORT const struct postern_plugin postern_plugin = {
    .size = sizeof(struct postern_plugin),
    .major = POSTERN_ABI_MAJOR,
    .minor = POSTERN_ABI_MINOR,
    .name = "clamav",
    .version = "1.0",
    .summary = "virus scan by libclamav",
    .rows = rows,
    .symbols = symbols,
    .needs = POSTERN_NEED_ALONE | POSTERN_NEED_TMP | POSTERN_NEED_FILES | POSTERN_NEED_THREADS |
             POSTERN_NEED_OPENSSL,
    .on_failure = POSTERN_FAIL_DEFER,
    .deadline_ms = 12000,
    .prepare = prepare,
    .prepare_free = prepare_free,
    .instance_new = instance_new,
    .instance_free = instance_free,
    .on = {[POSTERN_MESSAGE] = on_message}};
