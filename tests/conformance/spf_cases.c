/*
 * Runs a suite in the form of OpenSPF's RFC 7208 tests (JSON: scenarios with zonedata and
 * tests) through the plugin: spf_cases FILE. Prints each miss, and "spf: N passed, N failed".
 */
#include "buf.h"
#include "fakehost.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

extern const struct postern_plugin postern_plugin;

static void add_quoted(struct pn_buf *b, const char *s, size_t len)
{
    (void)pn_buf_addc(b, '"');
    for (size_t i = 0; i < len; i++)
        (void)pn_buf_addf(b, s[i] >= '#' && s[i] < 0x7f && s[i] != '\\' ? "%c" : "\\%03u",
                          (unsigned char)s[i]);
    (void)pn_buf_addc(b, '"');
}

/* Labels with any byte. */
static void add_name(struct pn_buf *b, const char *name)
{
    if (*name == '\0')
        (void)pn_buf_addc(b, '.');
    for (; *name != '\0'; name++)
        (void)pn_buf_addf(
            b, pn_is_alpha(*name) || pn_is_digit(*name) || strchr("-_.*", *name) ? "%c" : "\\%03u",
            (unsigned char)*name);
}

static void add_strings(struct pn_buf *b, const json_t *value)
{
    if (json_is_string(value))
        add_quoted(b, json_string_value(value), json_string_length(value));
    else if (json_array_size(value) == 0)
        add_quoted(b, "", 0);
    for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++) {
        const json_t *s = json_array_get(value, i);
        (void)pn_buf_addc(b, ' ');
        add_quoted(b, json_string_value(s), json_string_length(s));
    }
}

static void add_record(struct pn_buf *b, const char *name, const char *type, const json_t *value)
{
    add_name(b, name);
    (void)pn_buf_addf(b, " %s ", type);
    if (strcmp(type, "TXT") == 0) {
        add_strings(b, value);
    } else if (strcmp(type, "MX") == 0) {
        (void)pn_buf_addf(b, "%lld ", (long long)json_integer_value(json_array_get(value, 0)));
        add_name(b, json_string_value(json_array_get(value, 1)));
    } else if (strcmp(type, "PTR") == 0 || strcmp(type, "CNAME") == 0) {
        add_name(b, json_string_value(value));
    } else {
        (void)pn_buf_addz(b, json_string_value(value));
    }
    (void)pn_buf_addc(b, '\n');
}

/* The suite's convention: SPF entries stand for TXT where there is no TXT entry. */
static void add_zone_name(struct pn_buf *b, const char *name, json_t *entries)
{
    size_t i;
    json_t *entry, *value;
    const char *type;
    bool has_txt = false;
    json_array_foreach(entries, i, entry) has_txt = has_txt || json_object_get(entry, "TXT");
    json_array_foreach(entries, i, entry)
    {
        if (json_is_string(entry)) {
            add_name(b, name);
            (void)pn_buf_addz(b, " TIMEOUT\n");
            continue;
        }
        json_object_foreach(entry, type, value)
        {
            const char *as = strcmp(type, "SPF") == 0 ? "TXT" : type;
            if (as != type && has_txt)
                continue;
            if (json_is_string(value) && strcmp(json_string_value(value), "NONE") == 0)
                continue;
            if (strcmp(type, "RCODE") == 0) {
                add_name(b, name);
                (void)pn_buf_addz(b,
                                  json_integer_value(value) == 3 ? " NXDOMAIN\n" : " SERVFAIL\n");
                continue;
            }
            add_record(b, name, as, value);
        }
    }
}

static bool has(const json_t *want, const char *got)
{
    if (json_is_string(want))
        return strcmp(json_string_value(want), got) == 0;
    for (size_t i = 0; i < json_array_size(want); i++)
        if (strcmp(json_string_value(json_array_get(want, i)), got) == 0)
            return true;
    return false;
}

static const char *text_of(const json_t *test, const char *key)
{
    const char *s = json_string_value(json_object_get(test, key));
    return s == NULL ? "" : s;
}

/* "spf=fail identity=mailfrom domain=d explanation=words": the result and the words. */
static void split_auth(struct pn_str auth, char result[32], struct pn_str *explanation)
{
    struct pn_str rest = pn_str_slice(auth, 4, auth.len);
    struct pn_str word = pn_str_split(&rest, ' ');
    (void)snprintf(result, 32, "%.*s", PN_FMT(word));
    *explanation = PN_STR("DEFAULT");
    for (size_t i = 0; i < auth.len; i++)
        if (pn_str_starts(pn_str_slice(auth, i, auth.len), PN_STR(" explanation=")))
            *explanation = pn_str_slice(auth, i + 13, auth.len);
}

static bool run_test(const char *name, const json_t *test, const char *dns)
{
    static const struct fake_row settings[] = {{"check-helo", {"no"}}, {NULL}};
    struct fakehost *h = fakehost_new(&postern_plugin, settings, dns);
    char result[32] = "?";
    struct pn_str explanation = PN_STR("");
    fakehost_client(h, text_of(test, "host"), text_of(test, "helo"));
    fakehost_envelope(h, text_of(test, "mailfrom"), "user@here.test");
    bool ok = fakehost_run(h, POSTERN_MAIL) == POSTERN_OK;
    struct pn_str auth = fakehost_auth(h);
    if (ok && auth.len > 4)
        split_auth(auth, result, &explanation);
    ok = ok && has(json_object_get(test, "result"), result);
    const json_t *want = json_object_get(test, "explanation");
    if (want != NULL)
        ok = ok && pn_str_eq(pn_str_of(json_string_value(want)), explanation);
    if (!ok) {
        char *wanted = json_dumps(json_object_get(test, "result"), JSON_ENCODE_ANY);
        printf("MISS %s: want %s \"%s\", got %s \"%.*s\"\n", name, wanted,
               want == NULL ? "" : json_string_value(want), result, PN_FMT(explanation));
        free(wanted);
    }
    fakehost_free(&h);
    return ok;
}

int main(int argc, char **argv)
{
    json_error_t error;
    json_t *suite = argc == 2 ? json_load_file(argv[1], JSON_ALLOW_NUL, &error) : NULL;
    unsigned passed = 0, failed = 0;
    size_t i;
    json_t *scenario, *value;
    const char *name;
    if (suite == NULL) {
        (void)fprintf(stderr, "spf_cases FILE: a suite as JSON\n");
        return 2;
    }
    json_array_foreach(suite, i, scenario)
    {
        struct pn_buf dns;
        pn_buf_init(&dns, 1 << 20);
        json_object_foreach(json_object_get(scenario, "zonedata"), name, value)
            add_zone_name(&dns, name, value);
        json_object_foreach(json_object_get(scenario, "tests"), name, value)
        {
            if (run_test(name, value, pn_buf_cstr(&dns)))
                passed++;
            else
                failed++;
        }
        pn_buf_fini(&dns);
    }
    json_decref(suite);
    printf("spf: %u passed, %u failed\n", passed, failed);
    return failed != 0;
}
