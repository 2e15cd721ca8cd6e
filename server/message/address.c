#include "address.h"

#include "address_priv.h"
#include "lex.h"

void pn_address_start(struct pn_address_walk *walk, struct pn_str value)
{
    *walk = (struct pn_address_walk){.value = value};
}

/* A quoted string or comment at `at` as a whole; where none ends, one plain byte. */
static size_t pass_quoted(struct pn_address_walk *walk, size_t at)
{
    bool closed = false;
    struct pn_str inside;
    size_t end = walk->quotes_end ? at : lex_quoted(walk->value, at, &inside, &closed);
    if (closed)
        return end;
    walk->quotes_end = true;
    return at + 1;
}

static size_t pass_comment(struct pn_address_walk *walk, size_t at)
{
    bool closed = false;
    size_t end = walk->comments_end ? at : lex_comment(walk->value, at, &closed);
    if (closed)
        return end;
    walk->comments_end = true;
    return at + 1;
}

/* What one element of the list was seen to hold; offsets in the value. */
struct element {
    size_t from, end; /* end: of the comma, "<", ":"... that ended it */
    size_t sign;      /* the last "@" */
    struct pn_str comment;
    bool odd; /* bytes that no element may hold outside quotes */
};

/* A domain literal, if that is what "[" begins: it stands behind an "@". */
static size_t pass_bracket(struct pn_address_walk *walk, struct element *e, size_t at)
{
    struct pn_str s = walk->value;
    if (e->sign != SIZE_MAX && lex_cfws(pn_str_slice(s, 0, at), e->sign + 1) == at) {
        size_t end = at + 1, max = at + ADDRESS_LITERAL_MAX;
        /* Without CR, so that a fold counts alike in content of LF and of CRLF. */
        for (; end < s.len && end < max && s.p[end] != ']' && s.p[end] != '['; end++)
            max += s.p[end] == '\r';
        if (end < s.len && s.p[end] == ']')
            return end + 1;
    }
    e->odd = true;
    return at + 1;
}

/* Passes the element to the first byte of `stops` that is not inside something. */
static void pass_element(struct pn_address_walk *walk, struct element *e, const char *stops)
{
    struct pn_str s = walk->value;
    size_t at = e->from;
    while (at < s.len && (s.p[at] == '\0' || strchr(stops, s.p[at]) == NULL)) {
        size_t next = at + 1;
        if (s.p[at] == '"') {
            next = pass_quoted(walk, at);
            e->odd = e->odd || walk->quotes_end;
        } else if (s.p[at] == '(') {
            next = pass_comment(walk, at);
            e->odd = e->odd || walk->comments_end;
            if (!walk->comments_end)
                e->comment = pn_str_slice(s, at + 1, next - 1);
        } else if (s.p[at] == '[') {
            next = pass_bracket(walk, e, at);
        } else if (s.p[at] == '@') {
            e->odd = e->odd || e->sign != SIZE_MAX;
            e->sign = at;
        } else if (!lex_is_atext(s.p[at]) && !lex_blank(s.p[at]) && s.p[at] != '.') {
            e->odd = true;
        }
        at = next;
    }
    e->end = at;
}

static struct pn_str span(const struct pn_address_walk *walk, size_t from, size_t to)
{
    return pn_str_slice(walk->value, from, to);
}

static void set_address(const struct pn_address_walk *walk, const struct element *e,
                        struct pn_address *out)
{
    size_t sign = e->sign == SIZE_MAX ? SIZE_MAX : e->sign - e->from;
    struct pn_str before = address_split(span(walk, e->from, e->end), sign, out);
    if (e->odd)
        out->flags |= PN_ADDRESS_MALFORMED;
    if (before.len != 0 && out->display.len == 0)
        out->display = before;
}

/* "@a,@b:" before the address in brackets; RFC 5322, section 4.4. */
static size_t pass_route(struct pn_address_walk *walk, size_t at, struct pn_address *out)
{
    struct pn_str s = walk->value;
    size_t from = lex_cfws(s, at), end = from;
    if (from >= s.len || s.p[from] != '@')
        return at;
    while (end < s.len && s.p[end] != ':' && s.p[end] != '>' && s.p[end] != '<')
        end++;
    if (end >= s.len || s.p[end] != ':')
        return at;
    out->route = pn_str_trim(span(walk, from, end));
    out->flags |= PN_ADDRESS_OBSOLETE;
    return end + 1;
}

/* From "<" on. */
static void read_angle(struct pn_address_walk *walk, const struct element *phrase,
                       struct pn_address *out)
{
    struct pn_str s = walk->value;
    struct element e = {.from = pass_route(walk, phrase->end + 1, out), .sign = SIZE_MAX};
    out->display = pn_str_trim(span(walk, phrase->from, phrase->end));
    if (phrase->odd || phrase->sign != SIZE_MAX || !address_phrase_check(out->display))
        out->flags |= PN_ADDRESS_MALFORMED;
    pass_element(walk, &e, "<>,;");
    set_address(walk, &e, out);
    walk->at = e.end;
    if (e.end >= s.len || s.p[e.end] != '>') {
        out->flags |= PN_ADDRESS_MALFORMED;
    } else {
        size_t next = lex_cfws(s, e.end + 1);
        walk->at = next;
        if (next < s.len && s.p[next] != ',' && s.p[next] != ';')
            out->flags |= PN_ADDRESS_MALFORMED;
    }
    out->raw = pn_str_trim(span(walk, phrase->from, e.end + (e.end < s.len && s.p[e.end] == '>')));
}

static void read_bare(struct pn_address_walk *walk, const struct element *e, struct pn_address *out)
{
    set_address(walk, e, out);
    out->raw = pn_str_trim(span(walk, e->from, e->end));
    if (out->display.len == 0 && e->comment.len != 0) {
        out->display = e->comment;
        out->flags |= PN_ADDRESS_COMMENT;
    }
    walk->at = e->end;
}

/* Blanks, comments and commas before an element; true: a group ended there. */
static bool pass_separators(struct pn_address_walk *walk)
{
    struct pn_str s = walk->value;
    while (walk->at < s.len) {
        char c = s.p[walk->at];
        if (c == ';' && walk->group)
            return true;
        if (c == '(') {
            size_t next = pass_comment(walk, walk->at);
            if (walk->comments_end)
                return false;
            walk->at = next;
        } else if (c == ';') {
            walk->malformed = true;
            walk->at++;
        } else if (c == ',' || lex_blank(c)) {
            walk->at++;
        } else {
            return false;
        }
    }
    return walk->group;
}

bool pn_address_next(struct pn_address_walk *walk, struct pn_address *out)
{
    *out = (struct pn_address){.kind = PN_ADDRESS_GROUP_END};
    if (pass_separators(walk)) {
        walk->malformed = walk->malformed || walk->at >= walk->value.len;
        walk->at += walk->at < walk->value.len;
        walk->group = false;
        return true;
    }
    if (walk->at >= walk->value.len)
        return false;
    struct element e = {.from = walk->at, .sign = SIZE_MAX};
    pass_element(walk, &e, walk->group ? "<,;" : "<,;:");
    char stop = e.end < walk->value.len ? walk->value.p[e.end] : '\0';
    out->kind = PN_ADDRESS_MAILBOX;
    if (stop == ':') {
        out->kind = PN_ADDRESS_GROUP;
        out->display = out->raw = pn_str_trim(span(walk, e.from, e.end));
        if (e.odd || e.sign != SIZE_MAX || out->display.len == 0)
            out->flags |= PN_ADDRESS_MALFORMED;
        walk->group = true;
        walk->at = e.end + 1;
    } else if (stop == '<') {
        read_angle(walk, &e, out);
    } else {
        read_bare(walk, &e, out);
    }
    walk->malformed = walk->malformed || (out->flags & PN_ADDRESS_MALFORMED) != 0;
    return true;
}
