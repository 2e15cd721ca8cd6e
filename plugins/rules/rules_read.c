/* A rule file's lines, each handed to whom it concerns. */
#include "rules_read.h"

void reader_leave(struct reader *r, struct postern_str name, struct postern_str why)
{
    rules_set_leave(r->set, (struct rules_left){name, why, r->file, r->line, r->text});
}

void reader_skip(struct reader *r, const char *why)
{
    reader_leave(r, POSTERN_STR(""), (struct postern_str){why, strlen(why)});
}

static bool is_rule_name(struct postern_str s)
{
    if (s.len == 0 || s.len > RULES_NAME_MAX || rules_is_digit(s.p[0]))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!rules_is_word(s.p[i]))
            return false;
    return true;
}

struct rule *reader_rule(struct reader *r, struct postern_str name)
{
    struct rule *rule;

    if (!is_rule_name(name)) {
        reader_skip(r, "malformed name of a rule");
        return NULL;
    }
    rule = rules_set_rule(r->set, name);
    if (rule == NULL && r->set->count >= RULES_MAX)
        reader_skip(r, "too many rules");
    else if (rule == NULL)
        r->no_memory = true;
    return rule;
}

static bool read_text(struct reader *r, struct postern_str text);

/* Beside the file that includes it, unless it begins with a slash. */
static struct postern_str beside(struct reader *r, struct postern_str path)
{
    struct postern_str full = {NULL, 0};
    size_t folder = r->file.len;
    char *p;

    while (folder > 0 && r->file.p[folder - 1] != '/')
        folder--;
    if (path.len > 0 && path.p[0] == '/')
        folder = 0;
    p = rules_alloc(&r->set->arena, folder + path.len + 1);
    if (p == NULL)
        return full;
    memcpy(p, r->file.p, folder);
    memcpy(p + folder, path.p, path.len);
    return (struct postern_str){p, folder + path.len};
}

/* Itself, or one that led here: it would never end. */
static bool is_being_read(const struct reader *r, struct postern_str path)
{
    for (; r != NULL; r = r->within)
        if (rules_eq(r->file, path))
            return true;
    return false;
}

static void read_include(struct reader *r, struct postern_str path)
{
    struct reader inner = {
        .set = r->set, .load = r->load, .arg = r->arg, .depth = r->depth + 1, .within = r};
    struct postern_str text = {NULL, 0};
    const char *error = NULL;

    inner.file = beside(r, path);
    if (is_being_read(r, inner.file))
        error = "include of a file that is being read already";
    else if (r->depth == RULES_INCLUDES_MAX)
        error = "include nested too deeply";
    else if (r->set->included++ >= RULES_INCLUDED_MAX)
        error = "too many includes";
    else if (inner.file.p != NULL && r->load != NULL)
        text = r->load(r->arg, &r->set->arena, inner.file);
    if (error == NULL && text.p == NULL)
        error = "include of a file that can't be read";
    if (error != NULL)
        reader_skip(r, error);
    else if (!read_text(&inner, text))
        r->no_memory = true;
}

/* A definition behind a condition that asks for what we lack is worth naming; a line
 * behind one that is false is not: its author left it out. */
static void read_skipped(struct reader *r, struct postern_str word, struct postern_str rest)
{
    static const char *const kinds[] = {"header", "mimeheader", "body",       "rawbody", "full",
                                        "uri",    "meta",       "uri_detail", "askdns"};

    for (size_t i = 0; r->skip_why.len > 0 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (rules_is(word, kinds[i])) {
            reader_leave(r, rules_word(&rest), r->skip_why);
            return;
        }
}

/* "#" begins a comment unless a backslash stands before it, which then goes. In place. */
static struct postern_str without_comment(char *p, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        if (p[i] == '#' && (n == 0 || p[n - 1] != '\\'))
            break;
        if (p[i] == '#')
            n--;
        p[n++] = p[i];
    }
    return rules_trim((struct postern_str){p, n});
}

/* What a line says first: in capitals or not, with hyphens or underscores. In place. */
static struct postern_str keyword(struct postern_str *line)
{
    struct postern_str word = rules_word(line);
    char *p = (char *)(uintptr_t)word.p;

    for (size_t i = 0; i < word.len; i++)
        p[i] = p[i] == '-' ? '_' : rules_lower(p[i]);
    return word;
}

/* A daemon has no locale but C, which is taken for American English. */
static bool is_our_language(struct postern_str name)
{
    return name.len > 0 && rules_istarts(POSTERN_STR("en_US"), name);
}

static void read_line(struct reader *r, struct postern_str line)
{
    struct postern_str word;

    r->text = line;
    word = keyword(&line);
    if (rules_eq(word, POSTERN_STR("lang"))) {
        if (!is_our_language(rules_word(&line)))
            return;
        word = keyword(&line);
    }
    if (word.len == 0 || reader_condition(r, word, line))
        return;
    if (r->skipping != 0)
        read_skipped(r, word, line);
    else if (rules_eq(word, POSTERN_STR("include")))
        read_include(r, line);
    else if (!reader_define(r, word, line) && !reader_about(r, word, line) &&
             !reader_setting(r, word, line))
        reader_foreign(r, word);
}

static bool read_text(struct reader *r, struct postern_str text)
{
    while (text.len > 0 && !r->no_memory) {
        const char *lf = memchr(text.p, '\n', text.len);
        size_t len = lf == NULL ? text.len : (size_t)(lf - text.p);

        r->line++;
        /* The text is the set's own, and writable. */
        read_line(r, without_comment((char *)(uintptr_t)text.p, len));
        len += lf != NULL;
        text.p += len;
        text.len -= len;
    }
    if (r->ifs > 0)
        reader_skip(r, "if without endif");
    return !r->no_memory;
}

bool rules_set_read(struct rules_set *set, struct postern_str name, struct postern_str text,
                    rules_load *load, void *arg)
{
    struct reader r = {.set = set, .load = load, .arg = arg};

    if (set->tag_open == '\0') {
        set->tag_open = '<';
        set->tag_close = '>';
    }
    r.file = rules_dup(&set->arena, name);
    return r.file.p != NULL && read_text(&r, text);
}
