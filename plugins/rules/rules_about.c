/* Lines that say something of rules (score, tflags, describe, replace tags), and settings
 * that some tests go by. */
#include "rules_read.h"

#include <stdlib.h>

static void read_describe(struct reader *r, struct postern_str rest)
{
    struct rule *rule = reader_rule(r, rules_word(&rest));

    if (rule != NULL)
        rule->describe = rest;
}

/* Thousandths; false for what is no number of a sensible size. */
static bool read_number(struct postern_str s, int32_t *out)
{
    char text[32];
    char *end;
    double d;

    if (s.len >= 2 && s.p[0] == '(' && s.p[s.len - 1] == ')')
        s = (struct postern_str){s.p + 1, s.len - 2};
    if (s.len == 0 || s.len >= sizeof(text))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!rules_is_digit(s.p[i]) && s.p[i] != '.' && (i > 0 || s.p[i] != '-'))
            return false;
    memcpy(text, s.p, s.len);
    text[s.len] = '\0';
    d = strtod(text, &end);
    if (*end != '\0' || !(d > -10000 && d < 10000))
        return false;
    *out = (int32_t)(d * 1000 + (d < 0 ? -0.5 : 0.5));
    if (*out == 0 && d != 0) /* 0 would switch the rule off */
        *out = d < 0 ? -1 : 1;
    return true;
}

/* One number for all, or four: without network and learning, with the one, the other, both. */
static void read_score(struct reader *r, struct postern_str rest)
{
    struct postern_str name = rules_word(&rest);
    int32_t scores[RULES_SCORES] = {0};
    bool relative = rest.len > 0 && rest.p[0] == '(';
    size_t n = 0;
    struct rule *rule;

    while (rest.len > 0 && n < RULES_SCORES)
        if (!read_number(rules_word(&rest), &scores[n++])) {
            reader_skip(r, "malformed score");
            return;
        }
    if ((n != 1 && n != RULES_SCORES) || rest.len > 0) {
        reader_skip(r, "malformed score");
        return;
    }
    rule = reader_rule(r, name);
    if (rule != NULL && relative && !rule->scored)
        reader_skip(r, "relative score without a score before it");
    if (rule == NULL || (relative && !rule->scored))
        return;
    for (size_t i = 0; i < RULES_SCORES; i++)
        rule->scores[i] = (relative ? rule->scores[i] : 0) + scores[n == RULES_SCORES ? i : 0];
    rule->scored = true;
}

static void read_flag(struct rule *rule, struct postern_str flag)
{
    int32_t n;

    if (rules_eq(flag, POSTERN_STR("multiple")))
        rule->multiple = true;
    else if (rules_eq(flag, POSTERN_STR("nice")))
        rule->nice = true;
    else if (rules_eq(flag, POSTERN_STR("nosubject")))
        rule->no_subject = true;
    else if (rules_eq(flag, POSTERN_STR("net")) || rules_eq(flag, POSTERN_STR("learn")))
        rule->network = true;
    else if (rules_starts(flag, POSTERN_STR("range=")) || rules_eq(flag, POSTERN_STR("concat")))
        rule->odd_parts = true;
    else if (rules_starts(flag, POSTERN_STR("maxhits=")) &&
             read_number((struct postern_str){flag.p + 8, flag.len - 8}, &n) && n > 0)
        rule->max_hits = (uint32_t)n / 1000;
}

static void read_tflags(struct reader *r, struct postern_str rest)
{
    struct rule *rule = reader_rule(r, rules_word(&rest));

    if (rule == NULL)
        return;
    /* A second line of flags takes the place of the first. */
    rule->multiple = rule->nice = rule->no_subject = rule->network = rule->odd_parts = false;
    rule->max_hits = 0;
    while (rest.len > 0)
        read_flag(rule, rules_word(&rest));
}

/* ---- replace tags ---- */

static void read_tag(struct reader *r, char kind, struct postern_str rest)
{
    struct postern_str name = rules_word(&rest);

    if (name.len == 0 || rest.len == 0)
        reader_skip(r, "replace tag without its text");
    else if (!rules_tag_add(r->set, kind, name, rest))
        r->no_memory = true;
}

static void read_replace_rules(struct reader *r, struct postern_str rest)
{
    while (rest.len > 0) {
        struct rule *rule = reader_rule(r, rules_word(&rest));

        if (rule == NULL)
            return;
        rule->replace = true;
    }
}

static bool read_replace(struct reader *r, struct postern_str word, struct postern_str rest)
{
    if (rules_eq(word, POSTERN_STR("replace_tag")))
        read_tag(r, 't', rest);
    else if (rules_eq(word, POSTERN_STR("replace_pre")))
        read_tag(r, 'b', rest);
    else if (rules_eq(word, POSTERN_STR("replace_inter")))
        read_tag(r, 'i', rest);
    else if (rules_eq(word, POSTERN_STR("replace_post")))
        read_tag(r, 'a', rest);
    else if (rules_eq(word, POSTERN_STR("replace_rules")))
        read_replace_rules(r, rest);
    else if (rules_eq(word, POSTERN_STR("replace_start")) && rest.len == 1)
        r->set->tag_open = rest.p[0];
    else if (rules_eq(word, POSTERN_STR("replace_end")) && rest.len == 1)
        r->set->tag_close = rest.p[0];
    else
        return false;
    return true;
}

bool reader_about(struct reader *r, struct postern_str word, struct postern_str rest)
{
    static const char *const silent[] = {"priority", "test", "require_version", "reuse"};

    for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++)
        if (rules_is(word, silent[i]))
            return true;
    if (rules_eq(word, POSTERN_STR("describe")))
        read_describe(r, rest);
    else if (rules_eq(word, POSTERN_STR("score")))
        read_score(r, rest);
    else if (rules_eq(word, POSTERN_STR("tflags")))
        read_tflags(r, rest);
    else
        return read_replace(r, word, rest);
    return true;
}

/* ---- settings ---- */

static void add_names(struct reader *r, enum rules_list list, struct postern_str rest)
{
    while (rest.len > 0) {
        struct postern_str name = rules_word(&rest);

        if (!rules_names_add(&r->set->names, &r->set->arena, list, name)) {
            if (r->set->names.count >= RULES_NAMES_MAX)
                reader_skip(r, "too many names");
            else
                r->no_memory = true;
            return;
        }
    }
}

/* "(LIST) a b c": kept as "LIST a", "LIST b"… */
static void add_listed(struct reader *r, enum rules_list list, struct postern_str rest)
{
    struct postern_str title = rules_word(&rest);
    char key[RULES_NAME_MAX * 2 + 2];

    if (title.len < 3 || title.len > RULES_NAME_MAX || title.p[0] != '(' ||
        title.p[title.len - 1] != ')') {
        reader_skip(r, "list without its name");
        return;
    }
    memcpy(key, title.p + 1, title.len - 2);
    key[title.len - 2] = ' ';
    while (rest.len > 0) {
        struct postern_str name = rules_word(&rest);

        if (name.len > RULES_NAME_MAX)
            continue;
        memcpy(key + title.len - 1, name.p, name.len);
        if (!rules_names_add(&r->set->names, &r->set->arena, list,
                             (struct postern_str){key, title.len - 1 + name.len}))
            r->no_memory = true;
    }
}

static void add_redirector(struct reader *r, struct postern_str rest)
{
    struct rules_set *set = r->set;
    const char *error;

    if (set->redirector_count == RULES_REDIRECTORS_MAX) {
        reader_skip(r, "too many redirectors");
        return;
    }
    error = rules_pattern_read(&set->redirectors[set->redirector_count], rest);
    if (error != NULL)
        reader_skip(r, error);
    else
        set->redirector_count++;
}

static void clear_domains(struct reader *r)
{
    rules_names_clear(&r->set->names, RULES_TLDS);
    rules_names_clear(&r->set->names, RULES_TWO_TLDS);
    rules_names_clear(&r->set->names, RULES_THREE_TLDS);
}

bool reader_setting(struct reader *r, struct postern_str word, struct postern_str rest)
{
    static const struct {
        const char *word;
        enum rules_list list;
    } lists[] = {{"util_rb_tld", RULES_TLDS},
                 {"util_rb_2tld", RULES_TWO_TLDS},
                 {"util_rb_3tld", RULES_THREE_TLDS},
                 {"freemail_domains", RULES_FREEMAIL},
                 {"freemail_welcomelist", RULES_NOT_FREEMAIL},
                 {"freemail_whitelist", RULES_NOT_FREEMAIL},
                 {"trusted_networks", RULES_TRUSTED},
                 {"internal_networks", RULES_TRUSTED}};

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        if (rules_is(word, lists[i].word)) {
            add_names(r, lists[i].list, rest);
            return true;
        }
    if (rules_eq(word, POSTERN_STR("enable_compat")))
        add_names(r, RULES_COMPAT, rest);
    else if (rules_eq(word, POSTERN_STR("clear_util_rb")))
        clear_domains(r);
    else if (rules_eq(word, POSTERN_STR("enlist_uri_host")))
        add_listed(r, RULES_HOSTS, rest);
    else if (rules_eq(word, POSTERN_STR("enlist_addrlist")))
        add_listed(r, RULES_ADDRESSES, rest);
    else if (rules_eq(word, POSTERN_STR("redirector_pattern")))
        add_redirector(r, rest);
    else
        return false;
    return true;
}
