/*
 * Virus scan by libclamav, or by clamd over its socket.
 *
 * The library's signatures are loaded once, in the template; workers share them
 * copy-on-write, and each has a folder of its own to unpack in. New ones are taken up by a
 * new template (`changed`).
 *
 * A message is scanned as it came, behind one Received line: the scanner knows mail by its
 * first bytes, and would take a message that begins with another field for a text, its
 * attachments unread. What it does not decode and readers do is scanned by itself.
 */
#include "clamav_clamd.h"
#include "clamav_engine.h"
#include "clamav_tmp.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    SYM_FOUND,
    SYM_UNSCANNABLE,
    SYM_ENCRYPTED,
    SYM_MACRO,
    SYM_HEURISTIC,
    SYM_NOT_SCANNED,
    SYM_BROKEN
};

static const struct postern_symbol symbols[] = {
    [SYM_FOUND] = {"VIRUS_FOUND", 20000, "A signature matched; detail: its name"},
    [SYM_UNSCANNABLE] = {"VIRUS_UNSCANNABLE", 6000,
                         "A limit was reached or the scan failed: part of it is unseen"},
    [SYM_ENCRYPTED] = {"VIRUS_ENCRYPTED", 1000, "An encrypted archive or document"},
    [SYM_MACRO] = {"VIRUS_MACRO", 1500, "A document with macros"},
    [SYM_HEURISTIC] = {"VIRUS_HEURISTIC", 4000, "Another heuristic of the scanner's"},
    [SYM_NOT_SCANNED] = {"VIRUS_NOT_SCANNED", 0, "There are no signatures to scan with"},
    [SYM_BROKEN] = {"VIRUS_BROKEN", 1000, "An archive out of which nothing could be read"},
    {NULL, 0, NULL}};

static const struct postern_row rows[] = {
    {.name = "mode",
     .type = POSTERN_T_CHOICE,
     .choices = "libclamav|clamd",
     .def = "libclamav",
     .help = "Who scans: the library, in a worker of ours, or clamd over its socket."},
    {.name = "clamd",
     .type = POSTERN_T_STRING,
     .def = "unix:/run/clamav/clamd.ctl",
     .help = "Where clamd listens: unix:PATH or inet:ADDRESS:PORT. It needs `grant network`."},
    {.name = "database",
     .type = POSTERN_T_FOLDER,
     .def = CLAMAV_SITE_FOLDER,
     .help = "Folder of signatures. The default may have none yet: they are waited for."},
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
     .help = "Files unpacked from one message, its parts among them."},
    {.name = "max-depth",
     .type = POSTERN_T_INT,
     .def = "17",
     .min = 2,
     .max = 100,
     .help = "Archives within archives."},
    {.name = "max-time",
     .type = POSTERN_T_DURATION,
     .def = "8s",
     .min = 1,
     .max = 60000,
     .help = "Time for one message; what the library has not done by then is unscannable, no "
             "answer of clamd's is a failure."},
    {.name = "macros",
     .type = POSTERN_T_BOOL,
     .def = "yes",
     .help = "State VIRUS_MACRO for documents with macros."},
    {.name = "encrypted",
     .type = POSTERN_T_BOOL,
     .def = "yes",
     .help = "State VIRUS_ENCRYPTED for encrypted archives and documents."},
    {.name = NULL}};

/* The library looks into what strangers sent: it has no socket. clamd's side has nothing else. */
static const struct postern_need_if needs_if[] = {
    {.row = "mode",
     .value = "libclamav",
     .needs = POSTERN_NEED_TMP | POSTERN_NEED_FILES | POSTERN_NEED_THREADS | POSTERN_NEED_OPENSSL},
    {.row = "mode", .value = "clamd", .needs = POSTERN_NEED_NETWORK},
    {.row = NULL}};

struct prepared {
    bool by_clamd;
    struct clamav_address clamd;
    struct clamav_engine *engine; /* of the library */
    struct clamav_watch *watch;   /* the template's alone */
};

struct instance {
    struct prepared *prepared;
    char *tmp;
    uint32_t max_time;
    size_t max_size, max_parts;
    int macros, encrypted;
};

enum { HIDDEN_MAX = 50 }; /* parts scanned by themselves */

static const char first_line[] = "Received: by scanner\r\n";

/* ---- in the template ---- */

static void prepare_free(void *arg)
{
    struct prepared *p = arg;

    clamav_engine_free(p->engine);
    clamav_watch_free(p->watch);
    free(p);
}

static int prepare_clamd(struct postern_setup *s, struct prepared *p)
{
    struct postern_str where, at;
    char text[300];
    const char *error;
    int n;

    if (s->host->set_str(s->settings, "clamd", 0, &where) != POSTERN_OK)
        return POSTERN_ERROR;
    error = clamav_address_read(&p->clamd, where);
    if (error == NULL)
        return POSTERN_OK;
    at = s->host->set_where(s->settings, "clamd", 0);
    n = snprintf(text, sizeof(text), "%.*s: clamd, %s", (int)at.len, at.p, error);
    if (n > 0)
        s->host->setup_error(
            s, (struct postern_str){text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1});
    return POSTERN_ERROR;
}

static int prepare_library(struct postern_setup *s, struct prepared *p)
{
    p->watch = clamav_watch_new();
    if (p->watch == NULL)
        return POSTERN_ERROR;
    p->engine = clamav_engine_new(s, p->watch);
    return p->engine == NULL ? POSTERN_ERROR : POSTERN_OK;
}

static int prepare(struct postern_setup *s, void **prepared)
{
    struct prepared *p = calloc(1, sizeof(*p));
    struct postern_str mode;

    if (p == NULL || s->host->set_str(s->settings, "mode", 0, &mode) != POSTERN_OK) {
        free(p);
        return POSTERN_ERROR;
    }
    p->by_clamd = mode.len == 5;
    if ((p->by_clamd ? prepare_clamd(s, p) : prepare_library(s, p)) != POSTERN_OK) {
        prepare_free(p);
        return POSTERN_ERROR;
    }
    *prepared = p;
    return POSTERN_OK;
}

static int changed(void *arg)
{
    struct prepared *p = arg;

    return p->watch != NULL && clamav_watch_changed(p->watch);
}

/* ---- in the worker ---- */

static void instance_free(void *arg)
{
    struct instance *in = arg;

    clamav_tmp_free(in->tmp);
    free(in);
}

/* Our copy of the engine: the worker was forked with it. The folders are the template's to
 * watch. */
static bool begin_library(struct postern_setup *s, struct instance *in)
{
    struct postern_str tmp = s->host->tmp_folder(s);

    if (tmp.len > 0 && (in->tmp = clamav_tmp_new(tmp)) == NULL)
        return false;
    return clamav_engine_begin(s, in->prepared->engine, in->tmp);
}

static int instance_new(struct postern_setup *s, void **instance)
{
    struct instance *in = calloc(1, sizeof(*in));
    int64_t time, size, files;

    if (in == NULL || s->host->set_int(s->settings, "max-time", 0, &time) != POSTERN_OK ||
        s->host->set_int(s->settings, "max-scan-size", 0, &size) != POSTERN_OK ||
        s->host->set_int(s->settings, "max-files", 0, &files) != POSTERN_OK) {
        free(in);
        return POSTERN_ERROR;
    }
    (void)s->host->set_bool(s->settings, "macros", &in->macros);
    (void)s->host->set_bool(s->settings, "encrypted", &in->encrypted);
    in->prepared = s->prepared;
    in->max_time = (uint32_t)time;
    in->max_size = (size_t)size;
    in->max_parts = (size_t)files;
    if (!in->prepared->by_clamd && !begin_library(s, in)) {
        s->host->setup_error(s, POSTERN_STR("the scanner's private folder can't be used"));
        instance_free(in);
        return POSTERN_ERROR;
    }
    *instance = in;
    return POSTERN_OK;
}

/* ---- a message ---- */

static struct postern_str text_of(const char *cstr)
{
    return (struct postern_str){cstr, strlen(cstr)};
}

static int state_kind(struct postern_call *c, enum clamav_kind kind, struct postern_str detail)
{
    static const unsigned symbol[] = {
        [CLAMAV_VIRUS] = SYM_FOUND,         [CLAMAV_UNSCANNABLE] = SYM_UNSCANNABLE,
        [CLAMAV_ENCRYPTED] = SYM_ENCRYPTED, [CLAMAV_MACRO] = SYM_MACRO,
        [CLAMAV_BROKEN] = SYM_BROKEN,       [CLAMAV_HEURISTIC] = SYM_HEURISTIC};
    const struct instance *in = c->instance;

    /* The library was not asked for these; clamd has settings of its own. */
    if ((kind == CLAMAV_MACRO && !in->macros) || (kind == CLAMAV_ENCRYPTED && !in->encrypted))
        return POSTERN_OK;
    return c->host->fact(c, symbol[kind], detail);
}

static int failed(struct postern_call *c, const char *why, struct postern_str more)
{
    char text[1200];
    int n = snprintf(text, sizeof(text), "%s%s%.*s", why, more.len == 0 ? "" : ": ", (int)more.len,
                     more.p);

    if (n > 0)
        c->host->log(
            c, POSTERN_LOG_ERROR,
            (struct postern_str){text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1});
    return POSTERN_ERROR;
}

/* What is scanned: bytes, and what stands before them. */
struct piece {
    struct postern_str first, content;
    bool virus; /* one was found: that ends the search */
};

static int scan_library(struct postern_call *c, struct piece *piece)
{
    const struct instance *in = c->instance;
    const size_t head = piece->first.len;
    struct clamav_findings found;
    const char *error;
    char *copy = malloc(head + piece->content.len + 1);
    int status = POSTERN_OK;

    if (copy == NULL)
        return POSTERN_ERROR;
    if (head > 0)
        memcpy(copy, piece->first.p, head);
    if (piece->content.len > 0)
        memcpy(copy + head, piece->content.p, piece->content.len);
    error = clamav_engine_scan(in->prepared->engine, copy, head + piece->content.len, &found);
    free(copy);
    if (error != NULL)
        return failed(c, error, POSTERN_STR(""));
    piece->virus = found.name[0] != '\0' && found.kind == CLAMAV_VIRUS;
    if (found.name[0] != '\0')
        status = state_kind(c, found.kind, text_of(found.name));
    for (unsigned i = 0; i < found.broken && status == POSTERN_OK; i++)
        status = state_kind(c, CLAMAV_BROKEN, text_of(found.types[i]));
    return status;
}

static int state_answer(struct postern_call *c, const struct clamav_answer *answer, bool *virus)
{
    char name[CLAMAV_REPLY_MAX + 1];

    switch (answer->reply) {
    case CLAMAV_REPLY_OK:
        return POSTERN_OK;
    case CLAMAV_REPLY_FOUND:
        (void)snprintf(name, sizeof(name), "%.*s", (int)answer->text.len, answer->text.p);
        *virus = clamav_kind(name) == CLAMAV_VIRUS;
        return state_kind(c, clamav_kind(name), answer->text);
    case CLAMAV_REPLY_TOO_LARGE:
        return state_kind(c, CLAMAV_UNSCANNABLE, POSTERN_STR("message is too large for clamd"));
    case CLAMAV_REPLY_ERROR:
        return failed(c, "clamd says", answer->text);
    case CLAMAV_REPLY_STRANGE:
        break;
    }
    return failed(c, "clamd answered what is no answer", POSTERN_STR(""));
}

static int scan_clamd(struct postern_call *c, struct piece *piece)
{
    const struct instance *in = c->instance;
    uint32_t left = c->host->left_ms(c);
    struct clamav_answer answer;
    const char *error;

    if (piece->content.len > in->max_size)
        return state_kind(c, CLAMAV_UNSCANNABLE, POSTERN_STR("message is too large"));
    errno = 0;
    error = clamav_clamd_scan(&in->prepared->clamd, piece->first, piece->content,
                              left < in->max_time ? left : in->max_time, &answer);
    if (error != NULL)
        return failed(c, error, errno == 0 ? POSTERN_STR("") : text_of(strerror(errno)));
    return state_answer(c, &answer, &piece->virus);
}

static int scan_piece(struct postern_call *c, struct piece *piece)
{
    const struct instance *in = c->instance;

    return in->prepared->by_clamd ? scan_clamd(c, piece) : scan_library(c, piece);
}

/* ---- what the scanner does not decode */

/* It stops at a base64's padding. Some readers of mail go on: an attachment may hide behind an
 * encoded byte, as behind a mailing list's footer a second encoding stands in good faith. */
static bool hides(const struct postern_part *part)
{
    const struct postern_str s = part->body;
    const char *p = s.len == 0 ? NULL : memchr(s.p, '=', s.len);

    if (p == NULL || part->encoding.len != 6 || strncasecmp(part->encoding.p, "base64", 6) != 0)
        return false;
    for (; p < s.p + s.len; p++)
        if (isalnum((unsigned char)*p) || *p == '+' || *p == '/')
            return true;
    return false;
}

/* left: milliseconds that were left when the scan began. Half of max-time may be gone, so that
 * what is scanned now ends before the call's own deadline. */
static int scan_hidden(struct postern_call *c, uint32_t left)
{
    static const struct postern_str unseen = {
        "more behind the padding of base64 than can be scanned", 53};
    const struct instance *in = c->instance;
    struct postern_part part;
    struct piece piece = {.virus = false};
    int status = POSTERN_OK;
    unsigned count = 0;

    for (size_t i = 0; status == POSTERN_OK && !piece.virus; i++) {
        if (c->host->part(c, i, &part) != POSTERN_OK)
            return POSTERN_OK;
        if (!hides(&part))
            continue;
        if (++count > HIDDEN_MAX || left - c->host->left_ms(c) > in->max_time / 2 ||
            c->host->part_text(c, i, POSTERN_TEXT_DECODED, &piece.content) != POSTERN_OK)
            return state_kind(c, CLAMAV_UNSCANNABLE, unseen);
        status = scan_piece(c, &piece);
    }
    return status;
}

static int on_message(struct postern_call *c)
{
    const struct instance *in = c->instance;
    struct piece all = {.first = {first_line, sizeof(first_line) - 1},
                        .content = c->host->content(c)};
    uint32_t left = c->host->left_ms(c);
    int status;

    if (!in->prepared->by_clamd && !clamav_engine_ready(in->prepared->engine))
        return c->host->fact(c, SYM_NOT_SCANNED, POSTERN_STR("no signatures"));
    /* The scanner makes a file of each, and looks at the time too seldom: a million of them
     * took it a minute. */
    if (c->host->part_count(c) > in->max_parts)
        return state_kind(c, CLAMAV_UNSCANNABLE, POSTERN_STR("message has too many parts"));
    status = scan_piece(c, &all);
    return status != POSTERN_OK || all.virus ? status : scan_hidden(c, left);
}

POSTERN_EXPORT const struct postern_plugin postern_plugin = {.size = sizeof(struct postern_plugin),
                                                             .major = POSTERN_ABI_MAJOR,
                                                             .minor = POSTERN_ABI_MINOR,
                                                             .name = "clamav",
                                                             .version = "1.1",
                                                             .summary =
                                                                 "virus scan by libclamav or clamd",
                                                             .rows = rows,
                                                             .symbols = symbols,
                                                             .needs = POSTERN_NEED_ALONE,
                                                             .on_failure = POSTERN_FAIL_DEFER,
                                                             .deadline_ms = 12000,
                                                             .prepare = prepare,
                                                             .prepare_free = prepare_free,
                                                             .instance_new = instance_new,
                                                             .instance_free = instance_free,
                                                             .on = {[POSTERN_MESSAGE] = on_message},
                                                             .needs_if = needs_if,
                                                             .changed = changed};
