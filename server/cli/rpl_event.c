#include "rpl_event.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

bool rpl_event_find(const char *path, struct rpl_event_want *want)
{
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t cap = 0, seen = 0;
    want->found = NULL;
    if (f == NULL)
        return false;
    for (ssize_t n; want->found == NULL && (n = getline(&line, &cap, f)) > 0;) {
        if (line[n - 1] != '\n')
            break; /* it is being written; what is read next would be its rest */
        json_t *event = json_loadb(line, (size_t)n, 0, NULL);
        const char *kind = json_string_value(json_object_get(event, "event"));
        if (kind != NULL && strcmp(kind, want->kind) == 0 && seen++ == want->skip)
            want->found = event;
        else
            json_decref(event);
    }
    free(line);
    (void)fclose(f);
    return want->found != NULL;
}

void rpl_event_free(struct rpl_event_want *want)
{
    json_decref(want->found);
    want->found = NULL;
}

static bool is(const json_t *object, const char *key, struct pn_str want)
{
    return pn_str_eq(pn_str_of(json_string_value(json_object_get(object, key))), want);
}

static bool any(const json_t *array, const char *key, struct pn_str want)
{
    size_t i;
    const json_t *item;
    json_array_foreach(array, i, item) if (is(item, key, want)) return true;
    return false;
}

/* "NAME", or "NAME:DETAIL". */
static bool symbol(const json_t *event, struct pn_str want)
{
    size_t i;
    const json_t *item;
    struct pn_str detail = want, name = pn_str_split(&detail, ':');
    json_array_foreach(json_object_get(event, "symbols"), i,
                       item) if (is(item, "name", name) &&
                                 (detail.p == NULL || is(item, "detail", detail))) return true;
    return false;
}

static bool because(const json_t *event, struct pn_str want)
{
    size_t i, k;
    const json_t *rcpt, *line;
    json_array_foreach(json_object_get(event, "recipients"), i, rcpt)
        json_array_foreach(json_object_get(rcpt, "because"), k,
                           line) if (memmem(json_string_value(line), json_string_length(line),
                                            want.p, want.len) != NULL) return true;
    return false;
}

static bool plugin(const json_t *event, struct pn_str want)
{
    size_t i;
    const json_t *run;
    struct pn_str status = want, name = pn_str_split(&status, ':');
    if (status.p == NULL || status.len == 0)
        status = PN_STR("ok");
    json_array_foreach(json_object_get(event, "plugins"), i,
                       run) if (is(run, "name", name) && is(run, "status", status)) return true;
    return false;
}

static bool auth(const json_t *event, struct pn_str want)
{
    char method[64];
    struct pn_str result = want, name = pn_str_split(&result, ':');
    (void)snprintf(method, sizeof method, "%.*s", PN_FMT(name));
    const json_t *got = json_object_get(json_object_get(event, "auth"), method);
    return json_is_array(got) ? any(got, "result", result)
                              : json_is_object(got) && is(got, "result", result);
}

static bool dns(const json_t *event, struct pn_str want)
{
    size_t i;
    const json_t *seen;
    json_array_foreach(
        json_object_get(event, "dns"), i,
        seen) if (pn_str_ieq(pn_str_of(json_string_value(json_object_get(seen, "name"))),
                             want)) return true;
    return false;
}

static const json_t *member(const json_t *event, struct pn_str path)
{
    char key[64];
    while (path.p != NULL && event != NULL) {
        struct pn_str name = pn_str_split(&path, '.');
        (void)snprintf(key, sizeof key, "%.*s", PN_FMT(name));
        event = json_object_get(event, key);
    }
    return event;
}

static bool value(const json_t *event, struct pn_str key, struct pn_str want)
{
    const json_t *got = member(event, key);
    char text[64];
    if (json_is_boolean(got))
        return pn_str_eq(want, json_is_true(got) ? PN_STR("true") : PN_STR("false"));
    if (json_is_number(got)) {
        (void)snprintf(text, sizeof text, "%.*s", PN_FMT(want));
        return fabs(strtod(text, NULL) - json_number_value(got)) < 0.0005;
    }
    struct pn_str s = {json_string_value(got), json_string_length(got)};
    return got != NULL &&
           (pn_str_eq(key, PN_STR("reply")) ? pn_str_starts(s, want) : pn_str_eq(s, want));
}

static bool holds(const json_t *event, struct pn_str key, struct pn_str want)
{
    if (pn_str_eq(key, PN_STR("symbol")))
        return symbol(event, want);
    if (pn_str_eq(key, PN_STR("because")))
        return because(event, want);
    if (pn_str_eq(key, PN_STR("plugin")))
        return plugin(event, want);
    if (pn_str_eq(key, PN_STR("auth")))
        return auth(event, want);
    if (pn_str_eq(key, PN_STR("dns")))
        return dns(event, want);
    return value(event, key, want);
}

/* A word that no event has would make a line that can't fail of its negative. */
static bool is_known(const json_t *event, struct pn_str key)
{
    static const char *const words[] = {"symbol", "because", "plugin"};
    char name[64];
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (pn_str_eq(key, pn_str_of(words[i])))
            return true;
    struct pn_str first = pn_str_split(&key, '.');
    (void)snprintf(name, sizeof name, "%.*s", PN_FMT(first));
    return json_object_get(event, name) != NULL;
}

/* Up to a blank outside of quotes. */
static struct pn_str next_word(struct pn_str *text)
{
    size_t i = 0;
    bool quoted = false;
    *text = pn_str_trim(*text);
    for (; i < text->len && (quoted || text->p[i] != ' '); i++)
        quoted ^= text->p[i] == '"';
    struct pn_str word = pn_str_slice(*text, 0, i);
    *text = pn_str_slice(*text, i, text->len);
    return word;
}

static void say_json(const json_t *part, struct pn_buf *err)
{
    char *text = part == NULL
                     ? NULL
                     : json_dumps(part, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(14));
    (void)pn_buf_addf(err, " %s", text == NULL ? "nothing" : text);
    free(text);
}

/* Of each of them what a word of the script compares: "NAME" or "NAME:DETAIL". */
static void say_each(const json_t *array, const char *key, const char *detail, struct pn_buf *err)
{
    size_t i;
    const json_t *item;
    if (json_array_size(array) == 0)
        (void)pn_buf_addz(err, " nothing");
    json_array_foreach(array, i, item)
    {
        const char *name = json_string_value(json_object_get(item, key));
        const char *more = detail == NULL ? NULL : json_string_value(json_object_get(item, detail));
        bool has = more != NULL && more[0] != '\0';
        (void)pn_buf_addf(err, " %s%s%s", name == NULL ? "?" : name, has ? ":" : "",
                          has ? more : "");
    }
}

static void say_reasons(const json_t *event, struct pn_buf *err)
{
    size_t i;
    const json_t *rcpt;
    json_array_foreach(json_object_get(event, "recipients"), i, rcpt)
        say_json(json_object_get(rcpt, "because"), err);
}

/* What the event holds in place of that word. */
static void say_instead(const json_t *event, struct pn_str key, struct pn_buf *err)
{
    (void)pn_buf_addz(err, "      it has");
    if (pn_str_eq(key, PN_STR("symbol")))
        say_each(json_object_get(event, "symbols"), "name", "detail", err);
    else if (pn_str_eq(key, PN_STR("plugin")))
        say_each(json_object_get(event, "plugins"), "name", "status", err);
    else if (pn_str_eq(key, PN_STR("dns")))
        say_each(json_object_get(event, "dns"), "name", NULL, err);
    else if (pn_str_eq(key, PN_STR("because")))
        say_reasons(event, err);
    else if (pn_str_eq(key, PN_STR("auth")))
        say_json(json_object_get(event, "auth"), err);
    else
        say_json(member(event, key), err);
    (void)pn_buf_addz(err, "\n");
}

static bool not_so(const struct rpl_event_want *want, struct pn_str word, struct pn_str key,
                   struct pn_buf *err)
{
    (void)pn_buf_addf(err, "event does not hold %.*s\n", PN_FMT(word));
    say_instead(want->found, key, err);
    return false;
}

bool rpl_event_holds(const struct rpl_event_want *want, struct pn_str text, struct pn_buf *err)
{
    for (struct pn_str word; (word = next_word(&text)).len != 0;) {
        struct pn_str val = word, key = pn_str_split(&val, '=');
        bool negative = pn_str_starts(key, PN_STR("!"));
        if (negative)
            key = pn_str_slice(key, 1, key.len);
        while (pn_str_starts(val, PN_STR("\"")))
            val = pn_str_slice(val, 1, val.len);
        while (pn_str_ends(val, PN_STR("\"")))
            val.len--;
        if (val.p == NULL || !is_known(want->found, key)) {
            (void)pn_buf_addf(err, "'%.*s', expected KEY=VALUE of a key that an event has\n",
                              PN_FMT(word));
            return false;
        }
        if (holds(want->found, key, val) == negative)
            return not_so(want, word, key, err);
    }
    return true;
}

void rpl_event_plugins(const char *path, struct pn_buf *out)
{
    struct rpl_event_want want = {.kind = "message"}, last = want;
    size_t i;
    const json_t *run;
    for (; rpl_event_find(path, &want); want.skip++) {
        rpl_event_free(&last);
        last.found = want.found;
    }
    json_array_foreach(json_object_get(last.found, "plugins"), i, run)
    {
        const char *status = json_string_value(json_object_get(run, "status"));
        const char *reason = json_string_value(json_object_get(run, "reason"));
        if (status != NULL && strcmp(status, "ok") != 0)
            (void)pn_buf_addf(out, "plugin %s: %s%s%s\n",
                              json_string_value(json_object_get(run, "name")), status,
                              reason == NULL ? "" : ": ", reason == NULL ? "" : reason);
    }
    rpl_event_free(&last);
}

bool rpl_event_refused(const struct rpl_event_want *want, struct pn_str text, struct pn_buf *err)
{
    const json_t *detail = json_object_get(want->found, "detail");
    const char *s = json_string_value(detail);
    if (s != NULL && memmem(s, json_string_length(detail), text.p, text.len) != NULL)
        return true;
    (void)pn_buf_addf(err, "refused event lacks %.*s\n      it has", PN_FMT(text));
    say_json(detail, err);
    (void)pn_buf_addz(err, "\n");
    return false;
}
