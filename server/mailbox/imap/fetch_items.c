/* What a FETCH wants: RFC 9051, 6.4.5; BINARY: RFC 3516; MODSEQ, CHANGEDSINCE, VANISHED: RFC
 * 7162. */
#include "fetch.h"

#include <inttypes.h>

/* ---- items without brackets ---- */

static const struct {
    const char *word;
    unsigned items;
    bool macro; /* alone only */
} words[] = {
    {"UID", FETCH_UID, false},
    {"FLAGS", FETCH_FLAGS, false},
    {"INTERNALDATE", FETCH_DATE, false},
    {"RFC822.SIZE", FETCH_SIZE, false},
    {"MODSEQ", FETCH_MODSEQ, false},
    {"ENVELOPE", FETCH_ENVELOPE, false},
    {"BODY", FETCH_BODY, false},
    {"BODYSTRUCTURE", FETCH_STRUCTURE, false},
    {"FAST", FETCH_FLAGS | FETCH_DATE | FETCH_SIZE, true},
    {"ALL", FETCH_FLAGS | FETCH_DATE | FETCH_SIZE | FETCH_ENVELOPE, true},
    {"FULL", FETCH_FLAGS | FETCH_DATE | FETCH_SIZE | FETCH_ENVELOPE | FETCH_BODY, true},
};

/* RFC 3501's names of sections. */
static const struct {
    const char *word, *section;
    bool sees;
} old_words[] = {
    {"RFC822", "]", true},
    {"RFC822.HEADER", "HEADER]", false},
    {"RFC822.TEXT", "TEXT]", true},
};

static struct fetch_section *add_section(struct imap_command *command, struct fetch_wants *wants)
{
    struct fetch_section *s = wants->section_count < FETCH_SECTIONS_MAX
                                  ? pn_pool_alloc(command->args.pool, sizeof *s)
                                  : NULL;
    if (s == NULL)
        return NULL;
    *wants->sections_end = s;
    wants->sections_end = &s->next;
    wants->section_count++;
    return s;
}

static bool read_word(struct imap_command *command, struct pn_str word, bool alone,
                      struct fetch_wants *wants)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (pn_str_ieq(word, pn_str_of(words[i].word)) && (alone || !words[i].macro)) {
            wants->items |= words[i].items;
            return true;
        }
    for (size_t i = 0; i < sizeof old_words / sizeof old_words[0]; i++)
        if (pn_str_ieq(word, pn_str_of(old_words[i].word))) {
            struct fetch_section *s = add_section(command, wants);
            if (s == NULL)
                return false;
            s->name = old_words[i].word;
            wants->sees |= old_words[i].sees;
            return pn_section_parse(pn_str_of(old_words[i].section), &s->section) != SIZE_MAX;
        }
    return false;
}

/* ---- sections ---- */

static bool read_partial(struct pn_imap_args *args, struct fetch_section *s)
{
    s->partial = pn_imap_char(args, '<');
    return !s->partial ||
           (pn_imap_number64(args, &s->offset) && pn_imap_char(args, '.') &&
            pn_imap_number64(args, &s->count) && s->count > 0 && pn_imap_char(args, '>'));
}

static const struct {
    const char *word;
    enum fetch_kind kind;
    bool sees;
} brackets[] = {
    {"BODY", FETCH_OCTETS, true},
    {"BODY.PEEK", FETCH_OCTETS, false},
    {"BINARY", FETCH_BINARY, true},
    {"BINARY.PEEK", FETCH_BINARY, false},
    {"BINARY.SIZE", FETCH_BINARY_SIZE, false},
};

/* Behind "[". */
static bool read_section(struct imap_command *command, struct pn_str word,
                         struct fetch_wants *wants)
{
    struct pn_imap_args *args = &command->args;
    struct fetch_section *s = add_section(command, wants);
    size_t kinds = sizeof brackets / sizeof brackets[0], i = 0;
    while (i < kinds && !pn_str_ieq(word, pn_str_of(brackets[i].word)))
        i++;
    if (s == NULL || i == kinds)
        return false;
    s->kind = brackets[i].kind;
    wants->sees |= brackets[i].sees;
    size_t len = pn_section_parse(args->rest, &s->section);
    if (len == SIZE_MAX || (s->kind != FETCH_OCTETS && s->section.what != PN_SECTION_ALL))
        return false;
    args->rest = pn_str_slice(args->rest, len, args->rest.len);
    return pn_imap_char(args, ']') && (s->kind == FETCH_BINARY_SIZE || read_partial(args, s));
}

static bool read_item(struct imap_command *command, bool alone, struct fetch_wants *wants)
{
    struct pn_str word;
    if (!pn_imap_atom_to(&command->args, "[", &word))
        return false;
    if (pn_imap_char(&command->args, '['))
        return read_section(command, word, wants);
    return read_word(command, word, alone, wants);
}

/* ---- all of it ---- */

static bool read_modifiers(struct pn_imap_args *args, struct fetch_wants *wants)
{
    if (pn_imap_end(args))
        return true;
    if (!pn_imap_sp(args) || !pn_imap_char(args, '('))
        return false;
    do {
        if (pn_imap_word(args, "VANISHED")) {
            wants->vanished = true;
        } else if (pn_imap_word(args, "CHANGEDSINCE")) {
            wants->has_changed_since = true;
            if (!pn_imap_sp(args) || !pn_imap_number64(args, &wants->changed_since))
                return false;
        } else {
            return false;
        }
    } while (pn_imap_sp(args));
    return pn_imap_char(args, ')') && pn_imap_end(args);
}

static bool are_kept(struct imap_command *command, struct pn_str names)
{
    struct pn_imap_args args = {names, command->args.pool};
    struct pn_str name;
    do {
        if (!pn_imap_astring(&args, &name) || !pn_cached_has_field(name))
            return false;
    } while (pn_imap_sp(&args));
    return pn_imap_end(&args);
}

static bool wants_header(struct imap_command *command, const struct fetch_wants *wants)
{
    for (const struct fetch_section *s = wants->sections; s != NULL; s = s->next)
        if (s->kind != FETCH_OCTETS || s->section.what != PN_SECTION_FIELDS ||
            s->section.depth != 0 || !are_kept(command, s->section.names))
            return false;
    return wants->sections != NULL;
}

static bool read_all(struct imap_command *command, struct fetch_wants *wants)
{
    wants->sections_end = &wants->sections;
    if (!pn_imap_char(&command->args, '('))
        return read_item(command, true, wants) && read_modifiers(&command->args, wants);
    do {
        if (!read_item(command, false, wants))
            return false;
    } while (pn_imap_sp(&command->args));
    return pn_imap_char(&command->args, ')') && read_modifiers(&command->args, wants);
}

bool fetch_read(struct imap_command *command, struct fetch_wants *wants)
{
    bool ok = read_all(command, wants);
    wants->header = ok && !wants->sees && wants_header(command, wants);
    return ok;
}

void fetch_put_name(const struct fetch_section *section, struct pn_buf *out)
{
    static const char *const kinds[] = {
        [FETCH_OCTETS] = "BODY[", [FETCH_BINARY] = "BINARY[", [FETCH_BINARY_SIZE] = "BINARY.SIZE["};
    if (section->name != NULL) {
        (void)pn_buf_addz(out, section->name);
        return;
    }
    (void)pn_buf_addz(out, kinds[section->kind]);
    (void)pn_section_write(&section->section, out);
    (void)pn_buf_addc(out, ']');
    if (section->partial)
        (void)pn_buf_addf(out, "<%" PRIu64 ">", section->offset);
}
