/* The words of an operator's command. */
#include "asked.h"

const struct asked_row asked_rows[ASKED_VERBS] = {
    [ASKED_LIST] = {.name = "list"},
    [ASKED_SHOW] = {.name = "show"},
    [ASKED_RELEASE] = {.name = "release", .did = "released", .held = true},
    [ASKED_DROP] = {.name = "drop", .did = "dropped", .held = true},
    [ASKED_RETRY] = {.name = "retry", .did = "retried"},
    [ASKED_HOLD] = {.name = "hold", .did = "held"},
    [ASKED_BOUNCE] = {.name = "bounce", .did = "bounced"},
};

static const char *put_id(struct asked *asked, struct pn_str word)
{
    if (word.len == 0 || word.len >= ASKED_WORD_MAX || memchr(word.p, '\0', word.len) != NULL)
        return "that is no id";
    memcpy(asked->words[asked->word_count++], word.p, word.len);
    return NULL;
}

static const char *put_option(struct asked *asked, struct pn_str option)
{
    if (pn_str_eq(option, PN_STR("--held")))
        asked->kind = &asked_held;
    else if (pn_str_eq(option, PN_STR("--all")))
        asked->all = true;
    else if (pn_str_eq(option, PN_STR("--dry-run")))
        asked->dry = true;
    else
        return "the queue knows --held, --all, --dry-run, and as filters --from, --to, --domain, "
               "--older, --newer, --reason and --user";
    return NULL;
}

/* What goes together. */
static const char *check(const struct asked *asked)
{
    bool changes = asked_changes(asked), filtered = asked->filter.any;
    if (changes && asked->kind == &asked_held && !asked_rows[asked->verb].held)
        return "held mail is released or dropped";
    if (asked->dry && !changes)
        return "--dry-run is for what changes something";
    if (asked->verb == ASKED_LIST)
        return asked->word_count > 0 ? "list expects filters; show expects an id" : NULL;
    if (asked->verb == ASKED_SHOW)
        return asked->word_count == 1 && !filtered && !asked->all
                   ? NULL
                   : "which message? show expects one id, and no filter";
    if ((asked->word_count > 0) + filtered + asked->all > 1)
        return "ids, filters or --all: only one of them";
    if (asked->word_count == 0 && !filtered && !asked->all)
        return "which message? ids are expected, or filters, or --all";
    return NULL;
}

const char *asked_parse(struct asked *asked, const struct pn_command *c)
{
    const char *error = NULL;
    size_t verb = 0;
    while (verb < ASKED_VERBS && !pn_str_eq(c->words[0], pn_str_of(asked_rows[verb].name)))
        verb++;
    if (verb == ASKED_VERBS)
        return "the queue knows list, show, retry, release, hold, bounce, drop, freeze, thaw, "
               "frozen and suppress";
    asked->verb = (enum asked_verb)verb;
    asked->kind = &asked_journal;
    for (uint32_t i = 1; i < c->count && error == NULL; i++) {
        if (filter_knows(c->words[i])) {
            struct pn_str word = i + 1 < c->count ? c->words[i + 1] : PN_STR("");
            error = filter_add(&asked->filter, c->words[i++], word);
        } else if (pn_str_starts(c->words[i], PN_STR("-"))) {
            error = put_option(asked, c->words[i]);
        } else {
            error = put_id(asked, c->words[i]);
        }
    }
    return error != NULL ? error : check(asked);
}
