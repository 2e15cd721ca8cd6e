/*
 * Third-party cases for DMARC: policy vectors (JSON: author, what passed, a zone, what is
 * expected) through the plugin, and rows of aligned or unaligned names through the engine.
 * dmarc_cases VECTORS ALIGNMENT prints each miss and "dmarc: N passed, N failed".
 */
#include "buf.h"
#include "dmarc_engine.h"
#include "fakehost.h"

#include <jansson.h>
#include <libpsl.h>
#include <stdio.h>
#include <string.h>

extern const struct postern_plugin postern_plugin;

static unsigned passed, failed;

static const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s == NULL ? "" : s;
}

static void count(bool ok)
{
    if (ok)
        passed++;
    else
        failed++;
}

/* ---- vectors ---- */

static void add_strings(struct pn_buf *b, const json_t *strings)
{
    for (size_t i = 0; i < json_array_size(strings); i++) {
        (void)pn_buf_addz(b, " \"");
        for (const char *s = json_string_value(json_array_get(strings, i)); *s != '\0'; s++)
            (void)pn_buf_addf(b, *s >= '#' && *s < 0x7f && *s != '\\' ? "%c" : "\\%03u",
                              (unsigned char)*s);
        (void)pn_buf_addc(b, '"');
    }
}

static void add_zone(struct pn_buf *b, json_t *zone)
{
    const char *name, *type;
    json_t *types, *answers;
    json_object_foreach(zone, name, types) json_object_foreach(types, type, answers)
    {
        const char *error = text_of(answers, "error");
        if (json_is_object(answers)) {
            (void)pn_buf_addf(b, "%s %s %s\n", name, type,
                              strcmp(error, "ENOTFOUND") == 0 ? "NXDOMAIN"
                              : strcmp(error, "ENODATA") == 0 ? "NODATA"
                                                              : "SERVFAIL");
            continue;
        }
        for (size_t i = 0; i < json_array_size(answers); i++) {
            (void)pn_buf_addf(b, "%s TXT", name);
            add_strings(b, json_array_get(answers, i));
            (void)pn_buf_addc(b, '\n');
        }
    }
}

static void give(struct fakehost *h, const char *method, const json_t *domains)
{
    fakehost_give_auth(h, method, "none", "");
    for (size_t i = 0; i < json_array_size(domains); i++) {
        const json_t *d = json_array_get(domains, i);
        char properties[300];
        (void)snprintf(properties, sizeof properties, "domain=%s",
                       json_is_string(d) ? json_string_value(d) : text_of(d, "domain"));
        fakehost_give_auth(h, method, "pass", properties);
    }
}

/* The value of name= in "dmarc=fail domain=x policy=y", or "". */
static struct pn_str value_of(struct pn_str auth, const char *name)
{
    while (auth.p != NULL && auth.len != 0) {
        struct pn_str word = pn_str_split(&auth, ' ');
        struct pn_str key = pn_str_split(&word, '=');
        if (pn_str_eq(key, pn_str_of(name)))
            return word;
    }
    return PN_STR("");
}

static bool expects(const json_t *expect, const char *key, struct pn_str got)
{
    const json_t *want = json_object_get(expect, key);
    if (want == NULL)
        return true;
    return pn_str_eq(got, pn_str_of(json_is_null(want) ? "" : json_string_value(want)));
}

static void run_vector(const json_t *v)
{
    static const struct fake_row psl[] = {{"organizational-domain", {"psl"}}, {NULL}};
    const json_t *expect = json_object_get(v, "expect");
    bool by_list = strstr(text_of(v, "origin"), "dmarc-verify-test") != NULL;
    struct pn_buf dns, message;
    pn_buf_init(&dns, 1 << 20);
    pn_buf_init(&message, 1 << 20);
    add_zone(&dns, json_object_get(v, "zone"));
    struct fakehost *h = fakehost_new(&postern_plugin, by_list ? psl : NULL, pn_buf_cstr(&dns));
    fakehost_envelope(h, "bounce@elsewhere.example", "u@here.test");
    (void)pn_buf_addf(&message, "From: %s\nSubject: x\n\nx\n", text_of(v, "header_from"));
    fakehost_message(h, pn_buf_str(&message));
    give(h, "spf", json_object_get(v, "spf_pass_domains"));
    give(h, "dkim", json_object_get(v, "dkim_pass_domains"));
    bool ok = fakehost_run(h, POSTERN_MESSAGE) == POSTERN_OK;
    struct pn_str auth = fakehost_auth(h);
    ok = ok && expects(expect, "result", value_of(auth, "dmarc")) &&
         expects(expect, "policy", value_of(auth, "policy"));
    /* Elsewhere record_domain holds the organizational domain. */
    if (strstr(text_of(v, "name"), "psd=n") != NULL)
        ok = ok && expects(expect, "record_domain", value_of(auth, "record_domain"));
    if (!ok)
        printf("MISS %s: got %.*s\n", text_of(v, "name"), PN_FMT(auth));
    count(ok);
    fakehost_free(&h);
    pn_buf_fini(&dns);
    pn_buf_fini(&message);
}

/* ---- alignment ---- */

static int no_record(void *ctx, struct postern_str name, uint32_t type,
                     const struct postern_dns_answer **answer)
{
    static const struct postern_dns_answer none = {.rcode = POSTERN_DNS_NXDOMAIN};
    (void)ctx;
    (void)name;
    (void)type;
    *answer = &none;
    return POSTERN_OK;
}

static const char *registrable(void *ctx, const char *name)
{
    (void)ctx;
    return psl_registrable_domain(psl_builtin(), name);
}

static void run_row(const json_t *row)
{
    const char *a = text_of(row, "a"), *b = text_of(row, "b");
    struct dmarc_query q = {.lookup = no_record, .registrable = registrable};
    struct dmarc_name identifier;
    (void)dmarc_name_of((struct postern_str){a, strlen(a)}, &q.author);
    (void)dmarc_name_of((struct postern_str){b, strlen(b)}, &identifier);
    bool aligned = dmarc_align(&q, &q.author, &identifier,
                               strcmp(text_of(row, "mode"), "strict") == 0) == POSTERN_OK;
    bool ok = aligned == json_is_true(json_object_get(row, "aligned"));
    if (!ok)
        printf("MISS alignment row %lld: \"%s\" and \"%s\"\n",
               (long long)json_integer_value(json_object_get(row, "n")), a, b);
    count(ok);
}

int main(int argc, char **argv)
{
    json_error_t error;
    json_t *vectors = argc == 3 ? json_load_file(argv[1], JSON_ALLOW_NUL, &error) : NULL;
    json_t *rows = argc == 3 ? json_load_file(argv[2], JSON_ALLOW_NUL, &error) : NULL;
    size_t i;
    json_t *item;
    if (vectors == NULL || rows == NULL) {
        (void)fprintf(stderr, "dmarc_cases VECTORS ALIGNMENT: two files of JSON\n");
        return 2;
    }
    json_array_foreach(json_object_get(vectors, "vectors"), i, item) run_vector(item);
    json_array_foreach(rows, i, item) run_row(item);
    json_decref(vectors);
    json_decref(rows);
    printf("dmarc: %u passed, %u failed\n", passed, failed);
    return failed != 0;
}
