#include "base_subject.h"

static size_t blanks(struct pn_str s, size_t at)
{
    while (at < s.len && s.p[at] == ' ')
        at++;
    return at;
}

/* subj-blob at `at`: "[...]" and blanks. Returns where it ends; `at` if there is none. */
static size_t blob(struct pn_str s, size_t at)
{
    if (at >= s.len || s.p[at] != '[')
        return at;
    for (size_t i = at + 1; i < s.len && s.p[i] != '['; i++)
        if (s.p[i] == ']')
            return blanks(s, i + 1);
    return at;
}

/* subj-refwd at `at`: "re:", "fw [x] :", "fwd:". */
static size_t refwd(struct pn_str s, size_t at)
{
    struct pn_str rest = pn_str_slice(s, at, s.len);
    size_t len = pn_str_starts(rest, PN_STR("fwd"))                                       ? 3
                 : pn_str_starts(rest, PN_STR("re")) || pn_str_starts(rest, PN_STR("fw")) ? 2
                                                                                          : 0;
    size_t end = len == 0 ? at : blob(s, blanks(s, at + len));
    return len != 0 && end < s.len && s.p[end] == ':' ? end + 1 : at;
}

/* Step 2. */
static struct pn_str cut_trailers(struct pn_str s, bool *reply)
{
    for (;;) {
        if (s.len > 0 && s.p[s.len - 1] == ' ') {
            s.len--;
        } else if (pn_str_ends(s, PN_STR("(fwd)"))) {
            s.len -= 5;
            *reply = true;
        } else {
            return s;
        }
    }
}

/* Step 3, once: a blank, or blobs and a refwd. */
static bool cut_leader(struct pn_str *s, bool *reply)
{
    size_t at = 0, next;
    if (s->len > 0 && s->p[0] == ' ') {
        *s = pn_str_slice(*s, 1, s->len);
        return true;
    }
    while ((next = blob(*s, at)) != at)
        at = next;
    next = refwd(*s, at);
    if (next == at)
        return false;
    *s = pn_str_slice(*s, next, s->len);
    *reply = true;
    return true;
}

/* Step 4. */
static bool cut_blob(struct pn_str *s)
{
    size_t end = blob(*s, 0);
    if (end == 0 || end == s->len)
        return false;
    *s = pn_str_slice(*s, end, s->len);
    return true;
}

struct pn_str pn_base_subject(struct pn_str folded, bool *reply)
{
    struct pn_str s = pn_str_slice(folded, 0, PN_SUBJECT_MAX);
    bool is_reply = false;
    for (;;) {
        s = cut_trailers(s, &is_reply);
        while (cut_leader(&s, &is_reply) || cut_blob(&s))
            ;
        if (!pn_str_starts(s, PN_STR("[fwd:")) || !pn_str_ends(s, PN_STR("]")))
            break;
        s = pn_str_slice(s, 5, s.len - 1);
        is_reply = true;
    }
    if (reply != NULL)
        *reply = is_reply;
    return s;
}
