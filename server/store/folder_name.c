#include "folder_name.h"

#include "maildir.h"
#include "mutf7.h"
#include "utf8.h"

static const struct pn_str inbox = PN_STR_INIT("INBOX");

bool folder_is_inbox(struct pn_str name)
{
    return name.len == 0 || pn_str_ieq(name, inbox);
}

/* C0, DEL, C1: two bytes beginning with C2. */
static bool has_control(struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 32 || c == 127 || (c == 0xc2 && i + 1 < s.len && (unsigned char)s.p[i + 1] < 0xa0))
            return true;
    }
    return false;
}

static bool levels_ok(struct pn_str name)
{
    unsigned levels = 0;
    for (struct pn_str rest = name; rest.p != NULL;)
        if (pn_str_split(&rest, '/').len == 0 || ++levels > PN_FOLDER_LEVELS_MAX)
            return false;
    return true;
}

bool folder_name_clean(struct pn_buf *out, struct pn_str name)
{
    if (folder_is_inbox(name))
        return true;
    if (name.len > PN_FOLDER_NAME_MAX || !pn_utf8_valid(name) || has_control(name) ||
        !levels_ok(name))
        return false;
    bool below = name.len > inbox.len && name.p[inbox.len] == '/' && pn_str_istarts(name, inbox);
    return below ? pn_buf_adds(out, inbox) &&
                       pn_buf_adds(out, pn_str_slice(name, inbox.len, name.len))
                 : pn_buf_adds(out, name);
}

/* One level: pieces between dots are in modified UTF-7, each by itself. */
static bool add_level(struct pn_buf *out, struct pn_str level)
{
    for (struct pn_str rest = level; rest.p != NULL;) {
        if (!pn_mutf7_encode(pn_str_split(&rest, '.'), out))
            return false;
        if (rest.p != NULL && !pn_buf_addz(out, "&AC4-"))
            return false;
    }
    return true;
}

bool maildir_folder_name(struct pn_buf *out, struct pn_str folder)
{
    struct pn_buf clean;
    size_t start = out->len;
    pn_buf_init(&clean, PN_FOLDER_NAME_MAX + 1);
    bool ok = folder_name_clean(&clean, folder);
    for (struct pn_str rest = pn_buf_str(&clean); ok && rest.len != 0;)
        ok = pn_buf_addc(out, '.') && add_level(out, pn_str_split(&rest, '/'));
    pn_buf_fini(&clean);
    return ok && out->len - start <= MAILDIR_COMPONENT_MAX;
}

bool folder_name_plain(struct pn_buf *out, struct pn_str name)
{
    size_t start = out->len;
    if (pn_str_find(name, '.', 0) != SIZE_MAX)
        return false;
    for (struct pn_str rest = name; rest.len != 0;)
        if (!pn_buf_addc(out, '.') || !pn_buf_adds(out, pn_str_split(&rest, '/')))
            return false;
    return out->len - start <= MAILDIR_COMPONENT_MAX;
}

/* The next "&AC4-" of a level, or its end. No shift but this one begins with that '&'. */
static size_t next_dot(struct pn_str level, size_t from)
{
    static const struct pn_str dot = PN_STR_INIT("&AC4-");
    for (size_t i = from; (i = pn_str_find(level, '&', i)) != SIZE_MAX; i++)
        if (pn_str_starts(pn_str_slice(level, i, level.len), dot))
            return i;
    return level.len;
}

static bool level_of_disk(struct pn_buf *out, struct pn_str level)
{
    for (size_t at = 0;;) {
        size_t end = next_dot(level, at);
        if (!pn_mutf7_decode(pn_str_slice(level, at, end), out))
            return false;
        if (end == level.len)
            return true;
        if (!pn_buf_addc(out, '.'))
            return false;
        at = end + 5;
    }
}

/* Is it what maildir_folder_name makes of the name? */
static bool makes(struct pn_str name, struct pn_str component)
{
    struct pn_buf b;
    pn_buf_init(&b, 2 * MAILDIR_COMPONENT_MAX);
    bool same =
        name.len != 0 && maildir_folder_name(&b, name) && pn_str_eq(pn_buf_str(&b), component);
    pn_buf_fini(&b);
    return same;
}

static bool decode(struct pn_buf *out, struct pn_str component, bool plain)
{
    struct pn_str rest = pn_str_slice(component, 1, component.len);
    for (bool first = true; rest.p != NULL; first = false) {
        struct pn_str level = pn_str_split(&rest, '.');
        if ((!first && !pn_buf_addc(out, '/')) ||
            !(plain ? pn_buf_adds(out, level) : level_of_disk(out, level)))
            return false;
    }
    return true;
}

/* A name that is spelled the one way, and not the INBOX. */
static bool is_clean(struct pn_str name)
{
    struct pn_buf b;
    pn_buf_init(&b, PN_FOLDER_NAME_MAX + 1);
    bool clean = folder_name_clean(&b, name) && b.len != 0 && pn_str_eq(pn_buf_str(&b), name);
    pn_buf_fini(&b);
    return clean;
}

bool folder_name_of_disk(struct pn_buf *out, struct pn_str component, bool *proper)
{
    struct pn_buf name;
    if (component.len < 2 || component.p[0] != '.' || component.len > MAILDIR_COMPONENT_MAX ||
        pn_str_find(component, '/', 0) != SIZE_MAX)
        return false;
    pn_buf_init(&name, 4 * MAILDIR_COMPONENT_MAX);
    *proper = decode(&name, component, false) && makes(pn_buf_str(&name), component);
    if (!*proper) {
        pn_buf_clear(&name);
        (void)decode(&name, component, true);
    }
    bool ok = (*proper || is_clean(pn_buf_str(&name))) && pn_buf_adds(out, pn_buf_str(&name));
    pn_buf_fini(&name);
    return ok;
}

struct pn_str folder_name_parent(struct pn_str name)
{
    for (size_t i = name.len; i > 0; i--)
        if (name.p[i - 1] == '/')
            return pn_str_slice(name, 0, i - 1);
    return (struct pn_str){NULL, 0};
}

bool folder_name_below(struct pn_str name, struct pn_str top)
{
    return name.len > top.len && name.p[top.len] == '/' && pn_str_starts(name, top);
}

/* INBOX and what is below it before all. */
static bool of_inbox(struct pn_str name)
{
    return name.len == 0 || pn_str_eq(name, inbox) || folder_name_below(name, inbox);
}

int folder_name_cmp(struct pn_str a, struct pn_str b)
{
    if (of_inbox(a) != of_inbox(b))
        return of_inbox(a) ? -1 : 1;
    a = a.len == 0 ? inbox : a;
    b = b.len == 0 ? inbox : b;
    size_t i = 0;
    while (i < a.len && i < b.len && a.p[i] == b.p[i])
        i++;
    int left = i == a.len ? -2 : a.p[i] == '/' ? -1 : (unsigned char)a.p[i];
    int right = i == b.len ? -2 : b.p[i] == '/' ? -1 : (unsigned char)b.p[i];
    return left < right ? -1 : left > right;
}
