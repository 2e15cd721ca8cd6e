#define PCRE2_CODE_UNIT_WIDTH 8
#include "rules_eval.h"

#include <pcre2.h>
#include <stdlib.h>

static const struct rules_eval *const tables[] = {
    rules_eval_header, rules_eval_origin, rules_eval_date,     rules_eval_html,
    rules_eval_mime,   rules_eval_body,   rules_eval_freemail, rules_eval_image};

const struct rules_eval *rules_eval_find(struct postern_str name)
{
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        for (const struct rules_eval *e = tables[i]; e->name != NULL; e++)
            if (rules_eq(name, (struct postern_str){e->name, strlen(e->name)}))
                return e;
    return NULL;
}

bool rules_eval_is_elsewhere(struct postern_str name)
{
    static const char *const begins[] = {"check_rbl",
                                         "check_dkim",
                                         "check_for_spf",
                                         "check_for_def_spf",
                                         "check_dmarc",
                                         "check_razor",
                                         "check_pyzor",
                                         "check_dcc",
                                         "check_bayes",
                                         "check_uridnsbl",
                                         "check_hashbl",
                                         "check_for_dkim",
                                         "check_for_def_dkim",
                                         "check_arc",
                                         "check_dns_sender",
                                         "check_senders_reputation",
                                         "check_shortcircuit",
                                         "check_from_in_auto",
                                         "check_subject_in_",
                                         "check_to_in_",
                                         "check_from_in_welcomelist",
                                         "check_from_in_whitelist",
                                         "check_from_in_default_",
                                         "check_from_in_def",
                                         "check_from_in_blocklist",
                                         "check_from_in_blacklist",
                                         "check_uri_host_in_",
                                         "check_whitelist_bounce",
                                         "check_welcomelist_bounce",
                                         "have_any_bounce_relays",
                                         "check_mailspike",
                                         "check_language",
                                         "check_body_8bits",
                                         "check_for_faraway_charset",
                                         "html_charset_faraway"};

    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
        if (rules_starts(name, (struct postern_str){begins[i], strlen(begins[i])}))
            return true;
    return false;
}

/* One argument: in quotes of its own choice, or a word. */
static const char *read_arg(struct postern_str *rest, struct postern_str *out)
{
    char quote = rest->p[0];
    size_t n = 0;

    if (quote == '\'' || quote == '"') {
        const char *end = memchr(rest->p + 1, quote, rest->len - 1);

        if (end == NULL)
            return "argument without its quote";
        *out = (struct postern_str){rest->p + 1, (size_t)(end - rest->p) - 1};
        n = out->len + 2;
    } else {
        while (n < rest->len && rest->p[n] != ',' && rest->p[n] != ')' &&
               !rules_is_blank(rest->p[n]))
            n++;
        *out = (struct postern_str){rest->p, n};
    }
    *rest = rules_trim((struct postern_str){rest->p + n, rest->len - n});
    return NULL;
}

const char *rules_eval_read(struct postern_str text, struct postern_str *name, rules_args args,
                            size_t *count)
{
    struct postern_str rest;

    *count = 0;
    for (name->p = text.p, name->len = 0; name->len < text.len && rules_is_word(text.p[name->len]);)
        name->len++;
    rest = rules_trim((struct postern_str){text.p + name->len, text.len - name->len});
    if (name->len == 0 || rest.len < 2 || rest.p[0] != '(' || rest.p[rest.len - 1] != ')')
        return rest.len == 0 && name->len > 0 ? NULL : "malformed eval test";
    rest = rules_trim((struct postern_str){rest.p + 1, rest.len - 2});
    while (rest.len > 0) {
        const char *error;

        if (*count == RULES_ARGS_MAX)
            return "eval test with too many arguments";
        error = read_arg(&rest, &args[(*count)++]);
        if (error != NULL)
            return error;
        if (rest.len > 0 && rest.p[0] != ',')
            return "malformed eval test";
        if (rest.len > 0)
            rest = rules_trim((struct postern_str){rest.p + 1, rest.len - 1});
    }
    return NULL;
}

/* ---- arguments ---- */

double rules_arg_number(const struct rules_eval_call *c, size_t i)
{
    char text[32];

    if (i >= c->args || c->arg[i].len >= sizeof(text))
        return 0;
    memcpy(text, c->arg[i].p, c->arg[i].len);
    text[c->arg[i].len] = '\0';
    return strtod(text, NULL);
}

bool rules_arg_is(const struct rules_eval_call *c, size_t i, const char *word)
{
    return i < c->args && rules_eq(c->arg[i], (struct postern_str){word, strlen(word)});
}

enum { ARG_MATCH_LIMIT = 100000 };

bool rules_arg_matches(const struct rules_eval_call *c, struct postern_str s)
{
    pcre2_match_data *data = c->pattern == NULL ? NULL : pcre2_match_data_create(1, NULL);
    pcre2_match_context *context = data == NULL ? NULL : pcre2_match_context_create(NULL);
    bool hit = false;

    if (context != NULL) {
        (void)pcre2_set_match_limit(context, ARG_MATCH_LIMIT);
        hit = pcre2_match(c->pattern, (PCRE2_SPTR)(s.p == NULL ? "" : s.p), s.len, 0, 0, data,
                          context) >= 0;
    }
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    return hit;
}

bool rules_arg_range(const struct rules_eval_call *c, size_t min, double value)
{
    if (value <= rules_arg_number(c, min))
        return false;
    return min + 1 >= c->args || rules_arg_is(c, min + 1, "inf") ||
           rules_arg_is(c, min + 1, "undef") || value <= rules_arg_number(c, min + 1);
}
