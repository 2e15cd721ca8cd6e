#include "section.h"

#include "imap_quote.h"

/*
 * The list of field names stays as it was written and is read anew when a name is looked up; a
 * bit for each name's first letter and length says of most names that they can't be in it.
 */
static uint64_t name_bit(struct pn_str name)
{
    return name.len == 0 ? 0 : 1ULL << (((unsigned char)pn_lower(name.p[0]) + 7 * name.len) & 63);
}

/* RFC 9051's ATOM-CHAR and "]": what an astring may be without quotes. */
static bool is_astring_char(char c)
{
    return c > ' ' && c < 127 && strchr("(){%*\"\\", c) == NULL;
}

static size_t literal_end(struct pn_str s, size_t at, struct pn_str *name)
{
    uint64_t len = 0;
    size_t close = pn_str_find(pn_str_slice(s, 0, at + 16), '}', at);
    if (close == SIZE_MAX)
        return SIZE_MAX;
    bool plus = s.p[close - 1] == '+';
    size_t from = close + 3;
    if (!pn_str_u64(pn_str_slice(s, at + 1, close - plus), PN_SECTION_NAMES_MAX, &len) ||
        !pn_str_starts(pn_str_slice(s, close, s.len), PN_STR("}\r\n")) || len > s.len - from)
        return SIZE_MAX;
    *name = pn_str_slice(s, from, from + (size_t)len);
    return pn_str_find(*name, '\0', 0) == SIZE_MAX ? from + (size_t)len : SIZE_MAX;
}

/* The closing quote of the string that begins behind `at`; SIZE_MAX: it is none. */
static size_t quoted_end(struct pn_str s, size_t at)
{
    for (; at < s.len && s.p[at] != '"'; at++) {
        if (s.p[at] == '\r' || s.p[at] == '\n' || s.p[at] == '\0')
            return SIZE_MAX;
        if (s.p[at] == '\\' && (++at >= s.len || (s.p[at] != '"' && s.p[at] != '\\')))
            return SIZE_MAX;
    }
    return at < s.len ? at : SIZE_MAX;
}

/* One name at `at`: returns the offset behind it, SIZE_MAX if none is there. A name in quotes is
 * what is between them: no field has a name that needed an escape. */
static size_t name_at(struct pn_str s, size_t at, struct pn_str *name)
{
    if (at < s.len && s.p[at] == '{')
        return literal_end(s, at, name);
    bool quoted = at < s.len && s.p[at] == '"';
    size_t from = at + quoted, end = from;
    if (quoted)
        end = quoted_end(s, from);
    else
        while (end < s.len && is_astring_char(s.p[end]))
            end++;
    if (end == SIZE_MAX || (end == from && !quoted))
        return SIZE_MAX;
    *name = pn_str_slice(s, from, end);
    return end + quoted;
}

static bool next_name(struct pn_str list, size_t *at, struct pn_str *name)
{
    if (*at >= list.len)
        return false;
    size_t end = name_at(list, *at, name);
    *at = end + 1; /* behind the blank */
    return end != SIZE_MAX;
}

bool pn_section_has_name(const struct pn_section *section, struct pn_str name)
{
    struct pn_str wanted;
    if ((section->mask & name_bit(name)) == 0)
        return false;
    for (size_t at = 0; next_name(section->names, &at, &wanted);)
        if (pn_str_ieq(wanted, name))
            return true;
    return false;
}

/* " (A B)" behind HEADER.FIELDS; returns the offset behind it. */
static size_t parse_names(struct pn_str s, size_t at, struct pn_section *out)
{
    struct pn_str name;
    if (!pn_str_starts(pn_str_slice(s, at, s.len), PN_STR(" (")))
        return SIZE_MAX;
    size_t from = at + 2, end = from;
    s = pn_str_slice(s, 0, from + PN_SECTION_NAMES_MAX);
    size_t names = 0;
    for (bool more = true; more; end += more) {
        end = names++ < PN_SECTION_NAMES ? name_at(s, end, &name) : SIZE_MAX;
        if (end == SIZE_MAX)
            return SIZE_MAX;
        out->mask |= name_bit(name);
        more = end < s.len && s.p[end] == ' ';
    }
    out->names = pn_str_slice(s, from, end);
    return end < s.len && s.p[end] == ')' ? end + 1 : SIZE_MAX;
}

static const struct {
    struct pn_str word;
    enum pn_section_what what;
    bool names, numbered; /* a list follows; only behind a number */
} words[] = {
    {PN_STR_INIT("HEADER"), PN_SECTION_HEADER, false, false},
    {PN_STR_INIT("HEADER.FIELDS"), PN_SECTION_FIELDS, true, false},
    {PN_STR_INIT("HEADER.FIELDS.NOT"), PN_SECTION_FIELDS_NOT, true, false},
    {PN_STR_INIT("TEXT"), PN_SECTION_TEXT, false, false},
    {PN_STR_INIT("MIME"), PN_SECTION_MIME, false, true},
};
enum { WORDS = sizeof words / sizeof words[0] };

static size_t parse_word(struct pn_str s, size_t at, struct pn_section *out)
{
    size_t end = at;
    while (end < s.len && (pn_is_alpha(s.p[end]) || s.p[end] == '.'))
        end++;
    struct pn_str word = pn_str_slice(s, at, end);
    for (size_t i = 0; i < WORDS; i++)
        if (pn_str_ieq(word, words[i].word) && (!words[i].numbered || out->depth != 0)) {
            out->what = words[i].what;
            return words[i].names ? parse_names(s, end, out) : end;
        }
    return SIZE_MAX;
}

/* Numbers with dots between; returns the offset behind the last, and its dot if a word follows. */
static size_t parse_path(struct pn_str s, struct pn_section *out, bool *word)
{
    size_t at = 0;
    *word = at < s.len && pn_is_alpha(s.p[at]);
    while (at < s.len && pn_is_digit(s.p[at])) {
        size_t end = at;
        uint64_t number = 0;
        while (end < s.len && pn_is_digit(s.p[end]))
            end++;
        if (s.p[at] == '0' || out->depth == PN_SECTION_DEPTH ||
            !pn_str_u64(pn_str_slice(s, at, end), UINT32_MAX, &number))
            return SIZE_MAX;
        out->path[out->depth++] = (uint32_t)number;
        at = end;
        if (at >= s.len || s.p[at] != '.')
            return at;
        at++;
        *word = at < s.len && pn_is_alpha(s.p[at]);
        if (!*word && (at >= s.len || !pn_is_digit(s.p[at])))
            return SIZE_MAX;
    }
    return at;
}

size_t pn_section_parse(struct pn_str text, struct pn_section *out)
{
    bool word = false;
    out->what = PN_SECTION_ALL;
    out->depth = 0;
    out->names = PN_STR("");
    out->mask = 0;
    size_t at = parse_path(text, out, &word);
    if (at != SIZE_MAX && word)
        at = parse_word(text, at, out);
    return at != SIZE_MAX && at < text.len && text.p[at] == ']' ? at : SIZE_MAX;
}

static bool write_name(struct pn_str name, struct pn_buf *out)
{
    bool atom = name.len != 0;
    for (size_t i = 0; i < name.len; i++)
        atom = atom && is_astring_char(name.p[i]) && name.p[i] != ']';
    if (atom)
        return pn_buf_adds(out, name);
    /* With escapes it stood in quotes, and goes back into them; what would need them stays a
     * literal. So it is the same name when it is read again. */
    bool quoted = name.len != 0 && name.p[-1] == '"';
    if (pn_str_find(name, '\\', 0) == SIZE_MAX && pn_str_find(name, '"', 0) == SIZE_MAX)
        return pn_imap_quote(out, name);
    if (quoted && pn_str_is_ascii(name))
        return pn_buf_addc(out, '"') && pn_buf_adds(out, name) && pn_buf_addc(out, '"');
    return pn_buf_addf(out, "{%zu}\r\n", name.len) && pn_buf_adds(out, name);
}

bool pn_section_write(const struct pn_section *section, struct pn_buf *out)
{
    bool ok = true;
    struct pn_str name;
    for (unsigned i = 0; i < section->depth && ok; i++)
        ok = pn_buf_addf(out, i == 0 ? "%u" : ".%u", section->path[i]);
    for (size_t i = 0; i < WORDS && ok && section->what != PN_SECTION_ALL; i++)
        if (words[i].what == section->what)
            ok = (section->depth == 0 || pn_buf_addc(out, '.')) && pn_buf_adds(out, words[i].word);
    const char *before = " (";
    for (size_t at = 0; ok && next_name(section->names, &at, &name); before = " ")
        ok = pn_buf_addz(out, before) && write_name(name, out);
    return ok && (section->names.len == 0 || pn_buf_addc(out, ')'));
}
