#include "search_key.h"

#include "charset.h"
#include "date.h"
#include "fold.h"
#include "mem.h"

#include <stdlib.h>

const char search_charsets[] =
    "(US-ASCII UTF-8 ISO-8859-1 ISO-8859-2 ISO-8859-5 ISO-8859-7 ISO-8859-15 WINDOWS-1250 "
    "WINDOWS-1251 WINDOWS-1252 KOI8-R KOI8-U ISO-2022-JP SHIFT_JIS EUC-JP EUC-KR GB18030 BIG5)";

enum { DAY = 24 * 60 * 60 };

struct parse {
    struct search_program *program;
    struct pn_imap_args *args;
    const struct search_scope *scope;
    struct pn_str charset;
    size_t ranges; /* of all sets so far */
};

struct key;
typedef enum search_parsed key_read(struct parse *p, const struct key *key);

/* A row is the dispatch: what the word is, what follows it, and what it means. */
struct key {
    const char *word;
    key_read *read;
    enum search_op op;
    bool negated;
    uint64_t number;   /* FLAG: its bit */
    const char *field; /* TEXT: in which field; NULL: the body, "": all */
};

/* ---- nodes */

/* The index of a new node, open until its `end` is set; SIZE_MAX at the limit. */
static size_t node_open(struct parse *p, enum search_op op)
{
    struct search_program *program = p->program;
    if (program->count >= SEARCH_NODES_MAX)
        return SIZE_MAX;
    program->nodes = pn_grow(program->nodes, &program->cap, program->count, sizeof *program->nodes);
    program->nodes[program->count] = (struct search_node){.op = op};
    return program->count++;
}

static void node_close(struct parse *p, size_t index)
{
    p->program->nodes[index].end = (uint32_t)p->program->count;
}

/* A leaf, within a NOT of its own if that is what the word says. */
static enum search_parsed add_leaf(struct parse *p, const struct key *key,
                                   const struct search_node *node)
{
    size_t outer = key->negated ? node_open(p, SEARCH_NOT) : 0, index = node_open(p, key->op);
    p->program->slow += key->op == SEARCH_TEXT || key->op == SEARCH_SENT;
    if (outer == SIZE_MAX || index == SIZE_MAX || p->program->slow > SEARCH_SLOW_MAX)
        return SEARCH_TOO_MUCH;
    p->program->nodes[index] = *node;
    p->program->nodes[index].op = key->op;
    node_close(p, index);
    if (key->negated)
        node_close(p, outer);
    return SEARCH_OK;
}

/* ---- what follows a word */

static enum search_parsed read_nothing(struct parse *p, const struct key *key)
{
    return add_leaf(p, key, &(struct search_node){.number = key->number});
}

static enum search_parsed read_keyword(struct parse *p, const struct key *key)
{
    struct search_node node = {.number = 0};
    if (!pn_imap_sp(p->args) || !pn_imap_atom_to(p->args, "\\", &node.text))
        return SEARCH_BAD;
    return add_leaf(p, key, &node);
}

static enum search_parsed read_size(struct parse *p, const struct key *key)
{
    struct search_node node = {.number = 0};
    if (!pn_imap_sp(p->args) || !pn_imap_number64(p->args, &node.number))
        return SEARCH_BAD;
    return add_leaf(p, key, &node);
}

/* Any year of four digits (RFC 9051, section 9): some say 0001 for "ever". A Date field has none
 * before 1900, but 2000 years later all days have the same names. */
bool search_date(struct pn_str text, int64_t *days)
{
    enum { EARLY = 1900, LATER = 2000, LATER_DAYS = 5 * 146097 };
    struct pn_str rest = text, day = pn_str_split(&rest, '-');
    struct pn_str month = pn_str_split(&rest, '-');
    uint64_t n, year;
    if (day.len > 2 || month.len != 3 || rest.len != 4 || !pn_str_u64(day, 31, &n) ||
        !pn_str_u64(rest, 9999, &year))
        return false;
    bool early = year < EARLY;
    struct pn_buf plain;
    pn_buf_init(&plain, 64);
    int64_t seconds = 0;
    bool ok = pn_buf_addf(&plain, "%.*s %.*s %u 00:00:00 +0000", PN_FMT(day), PN_FMT(month),
                          (unsigned)year + (early ? LATER : 0)) &&
              pn_date_parse(pn_buf_str(&plain), &seconds, NULL);
    pn_buf_fini(&plain);
    *days = (seconds - (seconds < 0 ? DAY - 1 : 0)) / DAY - (early ? LATER_DAYS : 0);
    return ok;
}

enum { BEFORE, ON, SINCE };

static enum search_parsed read_date(struct parse *p, const struct key *key)
{
    struct pn_str text;
    int64_t day;
    if (!pn_imap_sp(p->args) || !pn_imap_astring(p->args, &text) || !search_date(text, &day))
        return SEARCH_BAD;
    struct search_node node = {.from = key->number == BEFORE ? INT64_MIN : day,
                               .to = key->number == BEFORE ? day
                                     : key->number == ON   ? day + 1
                                                           : INT64_MAX};
    return add_leaf(p, key, &node);
}

enum { OLDER, YOUNGER };

static enum search_parsed read_age(struct parse *p, const struct key *key)
{
    uint32_t n;
    if (!pn_imap_sp(p->args) || !pn_imap_number(p->args, &n) || n == 0)
        return SEARCH_BAD;
    int64_t at = p->scope->now - (int64_t)n;
    struct search_node node = {.from = key->number == OLDER ? INT64_MIN : at,
                               .to = key->number == OLDER ? at + 1 : INT64_MAX};
    return add_leaf(p, key, &node);
}

/* RFC 7162, section 3.1.5: the name and type of an entry say nothing to us, but are allowed. */
static enum search_parsed read_modseq(struct parse *p, const struct key *key)
{
    struct search_node node = {.number = 0};
    struct pn_str name, type;
    if (!pn_imap_sp(p->args))
        return SEARCH_BAD;
    if (p->args->rest.len > 0 && p->args->rest.p[0] == '"') {
        if (!pn_imap_string(p->args, &name) || !pn_imap_sp(p->args) ||
            !pn_imap_atom(p->args, &type) || !pn_imap_sp(p->args) ||
            !pn_str_istarts(name, PN_STR("/flags/")) ||
            !(pn_str_ieq(type, PN_STR("priv")) || pn_str_ieq(type, PN_STR("shared")) ||
              pn_str_ieq(type, PN_STR("all"))))
            return SEARCH_BAD;
    }
    if (!pn_imap_number64(p->args, &node.number))
        return SEARCH_BAD;
    p->program->modseq = true;
    return add_leaf(p, key, &node);
}

/* ---- text */

/* From the charset to the folded form, in the pool. */
static enum search_parsed fold_text(struct parse *p, struct pn_str text, struct pn_str *out)
{
    struct pn_buf utf8, folded;
    pn_buf_init(&utf8, (size_t)4 * SEARCH_TEXT_MAX);
    pn_buf_init(&folded, SEARCH_TEXT_MAX);
    bool ok = p->charset.len == 0 ? pn_charset_guess_utf8(text, &utf8)
                                  : pn_charset_to_utf8(p->charset, text, &utf8);
    ok = ok && pn_fold(pn_buf_str(&utf8), &folded);
    if (ok) {
        *out = folded.len == 0 ? PN_STR("") : pn_pool_dup(p->args->pool, pn_buf_str(&folded));
        ok = out->p != NULL;
    }
    pn_buf_fini(&utf8);
    pn_buf_fini(&folded);
    return ok ? SEARCH_OK : SEARCH_TOO_MUCH;
}

static enum search_parsed read_text(struct parse *p, const struct key *key)
{
    struct search_node node = {.number = 0};
    struct pn_str text;
    node.words.where = key->field == NULL      ? PN_WORDS_IN_BODY
                       : key->field[0] == '\0' ? PN_WORDS_IN_ALL
                                               : PN_WORDS_IN_FIELD;
    node.words.field = pn_str_of(key->field == NULL ? "" : key->field);
    if (!pn_imap_sp(p->args) || !pn_imap_astring(p->args, &text))
        return SEARCH_BAD;
    enum search_parsed parsed = fold_text(p, text, &node.words.text);
    return parsed == SEARCH_OK ? add_leaf(p, key, &node) : parsed;
}

static enum search_parsed read_header(struct parse *p, const struct key *key)
{
    struct search_node node = {.words.where = PN_WORDS_IN_FIELD};
    struct pn_str name, text;
    if (!pn_imap_sp(p->args) || !pn_imap_astring(p->args, &name) || !pn_imap_sp(p->args) ||
        !pn_imap_astring(p->args, &text) || name.len == 0)
        return SEARCH_BAD;
    enum search_parsed parsed = fold_text(p, name, &node.words.field);
    if (parsed == SEARCH_OK)
        parsed = fold_text(p, text, &node.words.text);
    return parsed == SEARCH_OK ? add_leaf(p, key, &node) : parsed;
}

/* ---- sets */

static enum search_parsed read_set(struct parse *p, const struct key *key)
{
    struct pn_str text;
    struct search_program *program = p->program;
    if (!pn_imap_set(p->args, &text))
        return SEARCH_BAD;
    if (pn_str_eq(text, PN_STR("$"))) {
        static const struct key saved = {.op = SEARCH_SAVED};
        return add_leaf(p, &saved, &(struct search_node){.set = p->scope->saved});
    }
    struct pn_uidset *set = pn_alloc(sizeof *set);
    pn_uidset_init(set, SEARCH_RANGES_MAX - p->ranges);
    program->sets =
        pn_grow(program->sets, &program->set_cap, program->set_count, sizeof *program->sets);
    program->sets[program->set_count++] = set;
    uint32_t star = key->op == SEARCH_UIDS ? p->scope->last_uid : p->scope->count;
    if (!pn_uidset_parse(set, text, star))
        return set->overflow ? SEARCH_TOO_MUCH : SEARCH_BAD;
    p->ranges += set->count;
    return add_leaf(p, key, &(struct search_node){.set = set});
}

static enum search_parsed read_uids(struct parse *p, const struct key *key)
{
    return pn_imap_sp(p->args) ? read_set(p, key) : SEARCH_BAD;
}

/* ---- keys */

static const struct key keys[] = {
    {"ALL", read_nothing, SEARCH_AND, false, 0, NULL},
    {"ANSWERED", read_nothing, SEARCH_FLAG, false, PN_ANSWERED, NULL},
    {"BCC", read_text, SEARCH_TEXT, false, 0, "bcc"},
    {"BEFORE", read_date, SEARCH_DATE, false, BEFORE, NULL},
    {"BODY", read_text, SEARCH_TEXT, false, 0, NULL},
    {"CC", read_text, SEARCH_TEXT, false, 0, "cc"},
    {"DELETED", read_nothing, SEARCH_FLAG, false, PN_DELETED, NULL},
    {"DRAFT", read_nothing, SEARCH_FLAG, false, PN_DRAFT, NULL},
    {"FLAGGED", read_nothing, SEARCH_FLAG, false, PN_FLAGGED, NULL},
    {"FROM", read_text, SEARCH_TEXT, false, 0, "from"},
    {"HEADER", read_header, SEARCH_TEXT, false, 0, NULL},
    {"KEYWORD", read_keyword, SEARCH_KEYWORD, false, 0, NULL},
    {"LARGER", read_size, SEARCH_LARGER, false, 0, NULL},
    {"MODSEQ", read_modseq, SEARCH_MODSEQ, false, 0, NULL},
    {"NEW", read_nothing, SEARCH_AND, true, 0, NULL}, /* nothing is \Recent here, as in rev2 */
    {"OLD", read_nothing, SEARCH_AND, false, 0, NULL},
    {"OLDER", read_age, SEARCH_AGE, false, OLDER, NULL},
    {"ON", read_date, SEARCH_DATE, false, ON, NULL},
    {"RECENT", read_nothing, SEARCH_AND, true, 0, NULL},
    {"SEEN", read_nothing, SEARCH_FLAG, false, PN_SEEN, NULL},
    {"SENTBEFORE", read_date, SEARCH_SENT, false, BEFORE, NULL},
    {"SENTON", read_date, SEARCH_SENT, false, ON, NULL},
    {"SENTSINCE", read_date, SEARCH_SENT, false, SINCE, NULL},
    {"SINCE", read_date, SEARCH_DATE, false, SINCE, NULL},
    {"SMALLER", read_size, SEARCH_SMALLER, false, 0, NULL},
    {"SUBJECT", read_text, SEARCH_TEXT, false, 0, "subject"},
    {"TEXT", read_text, SEARCH_TEXT, false, 0, ""},
    {"TO", read_text, SEARCH_TEXT, false, 0, "to"},
    {"UID", read_uids, SEARCH_UIDS, false, 0, NULL},
    {"UNANSWERED", read_nothing, SEARCH_FLAG, true, PN_ANSWERED, NULL},
    {"UNDELETED", read_nothing, SEARCH_FLAG, true, PN_DELETED, NULL},
    {"UNDRAFT", read_nothing, SEARCH_FLAG, true, PN_DRAFT, NULL},
    {"UNFLAGGED", read_nothing, SEARCH_FLAG, true, PN_FLAGGED, NULL},
    {"UNKEYWORD", read_keyword, SEARCH_KEYWORD, true, 0, NULL},
    {"UNSEEN", read_nothing, SEARCH_FLAG, true, PN_SEEN, NULL},
    {"YOUNGER", read_age, SEARCH_AGE, false, YOUNGER, NULL},
};

static enum search_parsed parse_leaf(struct parse *p)
{
    static const struct key numbers = {.op = SEARCH_NUMBERS};
    struct pn_str word, rest = p->args->rest;
    if (rest.len > 0 && (pn_is_digit(rest.p[0]) || rest.p[0] == '*' || rest.p[0] == '$'))
        return read_set(p, &numbers);
    if (!pn_imap_atom(p->args, &word))
        return SEARCH_BAD;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (pn_str_ieq(word, pn_str_of(keys[i].word)))
            return keys[i].read(p, &keys[i]);
    return SEARCH_BAD;
}

static enum search_parsed parse_key(struct parse *p, unsigned depth);

/* Behind "(", up to the ")"; or, at depth 0, to the end. */
static enum search_parsed parse_list(struct parse *p, unsigned depth)
{
    size_t index = node_open(p, SEARCH_AND);
    enum search_parsed parsed = index == SIZE_MAX ? SEARCH_TOO_MUCH : parse_key(p, depth);
    while (parsed == SEARCH_OK && pn_imap_sp(p->args))
        parsed = parse_key(p, depth);
    if (parsed == SEARCH_OK)
        node_close(p, index);
    return parsed;
}

/* Behind "OR": all operands of ORs that are operands of ORs. */
static enum search_parsed parse_or(struct parse *p, unsigned depth)
{
    size_t index = node_open(p, SEARCH_OR);
    enum search_parsed parsed = index == SIZE_MAX ? SEARCH_TOO_MUCH : SEARCH_OK;
    for (size_t missing = 2; missing > 0 && parsed == SEARCH_OK;) {
        if (!pn_imap_sp(p->args))
            return SEARCH_BAD;
        if (pn_imap_word(p->args, "OR")) {
            missing++;
            continue;
        }
        parsed = parse_key(p, depth);
        missing--;
    }
    if (parsed == SEARCH_OK)
        node_close(p, index);
    return parsed;
}

/* Behind "NOT": two of them are none. */
static enum search_parsed parse_not(struct parse *p, unsigned depth)
{
    bool odd = true;
    if (!pn_imap_sp(p->args))
        return SEARCH_BAD;
    for (; pn_imap_word(p->args, "NOT"); odd = !odd)
        if (!pn_imap_sp(p->args))
            return SEARCH_BAD;
    if (!odd)
        return parse_key(p, depth);
    size_t index = node_open(p, SEARCH_NOT);
    enum search_parsed parsed = index == SIZE_MAX ? SEARCH_TOO_MUCH : parse_key(p, depth);
    if (parsed == SEARCH_OK)
        node_close(p, index);
    return parsed;
}

static enum search_parsed parse_key(struct parse *p, unsigned depth)
{
    if (depth >= SEARCH_DEPTH_MAX)
        return SEARCH_TOO_MUCH;
    if (pn_imap_word(p->args, "NOT"))
        return parse_not(p, depth + 1);
    if (pn_imap_word(p->args, "OR"))
        return parse_or(p, depth + 1);
    if (!pn_imap_char(p->args, '('))
        return parse_leaf(p);
    enum search_parsed parsed = parse_list(p, depth + 1);
    if (parsed == SEARCH_OK && !pn_imap_char(p->args, ')'))
        parsed = SEARCH_BAD;
    return parsed;
}

enum search_parsed search_parse(struct search_program *program, struct pn_imap_args *args,
                                struct pn_str charset, const struct search_scope *scope)
{
    struct parse p = {.program = program, .args = args, .scope = scope, .charset = charset};
    *program = (struct search_program){.nodes = NULL};
    if (charset.p == NULL && pn_imap_word(args, "CHARSET") &&
        (scope->utf8 || !pn_imap_sp(args) || !pn_imap_astring(args, &p.charset) ||
         !pn_imap_sp(args)))
        return SEARCH_BAD;
    if (p.charset.len != 0 && !pn_charset_known(p.charset))
        return SEARCH_BADCHARSET;
    enum search_parsed parsed = parse_list(&p, 0);
    return parsed == SEARCH_OK && !pn_imap_end(args) ? SEARCH_BAD : parsed;
}

void search_program_fini(struct search_program *program)
{
    for (size_t i = 0; i < program->set_count; i++) {
        pn_uidset_fini(program->sets[i]);
        free(program->sets[i]);
    }
    free(program->sets);
    free(program->nodes);
    *program = (struct search_program){.nodes = NULL};
}
