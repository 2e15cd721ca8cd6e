#include "asked_filter.h"

#include "value.h"

static const struct {
    const char *option;
    const char *expected;
} globs[FILTER_GLOBS] = {
    [FILTER_FROM] = {"--from", "--from expects a sender such as a@b.test or *@b.test, or <>"},
    [FILTER_TO] = {"--to", "--to expects a recipient such as a@b.test or *@b.test"},
    [FILTER_DOMAIN] = {"--domain", "--domain expects a domain such as b.test or *.b.test"},
    [FILTER_REASON] = {"--reason", "--reason expects words of the reason, such as *greylist*"},
    [FILTER_USER] = {"--user", "--user expects who submitted it, such as a@b.test or *@b.test"},
};

static size_t glob_of(struct pn_str option)
{
    size_t i = 0;
    while (i < FILTER_GLOBS && !pn_str_eq(option, pn_str_of(globs[i].option)))
        i++;
    return i;
}

bool filter_knows(struct pn_str option)
{
    return glob_of(option) < FILTER_GLOBS || pn_str_eq(option, PN_STR("--older")) ||
           pn_str_eq(option, PN_STR("--newer"));
}

static const char *add_age(struct filter *f, bool older, struct pn_str word)
{
    int64_t *to = older ? &f->older_ms : &f->newer_ms, ms;
    if (*to != 0)
        return older ? "--older is said twice" : "--newer is said twice";
    if (!pn_duration_parse(word, &ms) || ms <= 0)
        return older ? "--older expects a duration such as 90s, 10m or 2h"
                     : "--newer expects a duration such as 90s, 10m or 2h";
    *to = ms;
    f->any = true;
    return NULL;
}

const char *filter_add(struct filter *f, struct pn_str option, struct pn_str word)
{
    size_t i = glob_of(option);
    if (i == FILTER_GLOBS)
        return add_age(f, pn_str_eq(option, PN_STR("--older")), word);
    if (f->said[i])
        return "a filter is said twice";
    if (word.len == 0 || word.len >= FILTER_TEXT_MAX || memchr(word.p, '\0', word.len) != NULL ||
        pn_str_starts(word, PN_STR("--")))
        return globs[i].expected;
    if (i == FILTER_FROM && pn_str_eq(word, PN_STR("<>")))
        word = PN_STR("");
    memcpy(f->text[i], word.p, word.len);
    f->said[i] = f->any = true;
    return NULL;
}

static bool agrees(const struct filter *f, enum filter_glob i, struct pn_str s)
{
    return !f->said[i] || pn_str_glob(pn_str_of(f->text[i]), s);
}

bool filter_message(const struct filter *f, const struct pn_envelope *env, int64_t now_ms)
{
    int64_t age = now_ms - env->arrived_ms;
    return agrees(f, FILTER_FROM, env->reverse_path) && agrees(f, FILTER_USER, env->submitter) &&
           (f->older_ms == 0 || age >= f->older_ms) && (f->newer_ms == 0 || age <= f->newer_ms);
}

bool filter_recipient(const struct filter *f, struct pn_str address, struct pn_str reason)
{
    size_t at = address.len;
    while (at > 0 && address.p[at - 1] != '@')
        at--;
    struct pn_str domain = at == 0 ? PN_STR("") : pn_str_slice(address, at, address.len);
    return agrees(f, FILTER_TO, address) && agrees(f, FILTER_DOMAIN, domain) &&
           agrees(f, FILTER_REASON, reason);
}
