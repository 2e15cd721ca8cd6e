/* Where a page leads. */
#include "rules_html_in.h"

enum { URI_TEXT_MAX = 8192 };

/* Line ends and tabs in it are nothing to a browser. */
static struct postern_str in_one_line(struct rules_html_parser *p, struct postern_str uri)
{
    char *s;
    size_t n = 0;

    for (size_t i = 0; i < uri.len; i++)
        n += rules_in(uri.p[i], "\t\r\n");
    s = n == 0 ? NULL : rules_alloc(p->arena, uri.len);
    if (s == NULL)
        return uri;
    n = 0;
    for (size_t i = 0; i < uri.len; i++)
        if (!rules_in(uri.p[i], "\t\r\n"))
            s[n++] = uri.p[i];
    return (struct postern_str){s, n};
}

struct postern_str rules_html_trimmed(struct rules_html_parser *p, struct postern_str uri)
{
    uri = in_one_line(p, rules_trim(uri));
    if (uri.len > URI_TEXT_MAX) {
        p->h->uri_cut = true;
        uri.len = URI_TEXT_MAX;
    }
    return uri;
}

static bool has_scheme(struct postern_str uri)
{
    for (size_t i = 0; i < uri.len; i++)
        if (uri.p[i] == ':')
            return i > 0;
        else if (rules_in(uri.p[i], "/?#"))
            return false;
    return false;
}

/* As seen from the page's base: only where it says one. */
static struct postern_str absolute(struct rules_html_parser *p, struct postern_str uri)
{
    size_t keep = p->base.len;
    char *s;

    if (keep == 0 || has_scheme(uri) || rules_starts(uri, POSTERN_STR("//")))
        return uri;
    if (uri.len > 0 && uri.p[0] == '/') { /* up to the end of the host */
        const char *slashes = memmem(p->base.p, p->base.len, "//", 2);
        const char *end;

        if (slashes == NULL)
            return uri;
        keep = (size_t)(slashes + 2 - p->base.p);
        end = memchr(p->base.p + keep, '/', p->base.len - keep);
        keep = end == NULL ? p->base.len : (size_t)(end - p->base.p);
    }
    s = rules_alloc(p->arena, keep + uri.len + 1);
    if (s == NULL)
        return uri;
    memcpy(s, p->base.p, keep);
    memcpy(s + keep, uri.p, uri.len);
    return (struct postern_str){s, keep + uri.len};
}

static void keep_uri(struct rules_html_parser *p, unsigned where, struct postern_str uri)
{
    struct rules_html *h = p->h;
    void *list = h->uris;

    uri = absolute(p, rules_html_trimmed(p, uri));
    for (size_t i = 0; i < h->uri_count; i++)
        if (rules_eq(h->uris[i].uri, uri)) {
            h->uris[i].where |= where;
            return;
        }
    if (uri.len == 0 ||
        !rules_more(p->arena, &list, h->uri_count, &h->uri_room, RULES_HTML_URIS, sizeof(*h->uris)))
        return;
    h->uris = list;
    h->uris[h->uri_count++] = (struct rules_html_uri){uri, where};
}

static void set_base(struct rules_html_parser *p, struct postern_str uri)
{
    uri = rules_html_trimmed(p, uri);
    if (!rules_istarts(uri, POSTERN_STR("http")) && !rules_istarts(uri, POSTERN_STR("ftp:")))
        return;
    /* Behind the last slash of the path stands the page's own name. */
    for (size_t i = uri.len; i-- > 8;)
        if (uri.p[i] == '/') {
            uri.len = i + 1;
            break;
        }
    p->base = uri;
}

/* "5; URL=http://…" of a meta element. */
static void keep_refresh(struct rules_html_parser *p, const struct rules_token *t)
{
    struct postern_str what = rules_token_attribute(t, "http-equiv");
    struct postern_str content = rules_token_attribute(t, "content");
    struct postern_str at;

    if (what.p == NULL || content.p == NULL || rules_ifind(what, POSTERN_STR("refresh")).p == NULL)
        return;
    at = rules_ifind(content, POSTERN_STR("url"));
    while (at.len > 3 && at.p[3] != '=' && rules_is_blank(at.p[3]))
        at.p++, at.len--;
    if (at.len < 4 || at.p[3] != '=')
        return;
    at = rules_trim((struct postern_str){at.p + 4, at.len - 4});
    content = at;
    for (at.len = 0; at.len < content.len && at.p[at.len] != ';';)
        at.len++;
    keep_uri(p, RULES_URI_OTHER, at);
}

void rules_html_links(struct rules_html_parser *p, const struct rules_token *t)
{
    static const struct {
        const char *tag, *attribute;
        unsigned where;
    } links[] = {{"a", "href", RULES_URI_A},
                 {"a", "data-saferedirecturl", RULES_URI_A},
                 {"area", "href", RULES_URI_OTHER},
                 {"link", "href", RULES_URI_OTHER},
                 {"base", "href", RULES_URI_OTHER},
                 {"img", "src", RULES_URI_IMG},
                 {"iframe", "src", RULES_URI_IFRAME},
                 {"frame", "src", RULES_URI_OTHER},
                 {"embed", "src", RULES_URI_OTHER},
                 {"script", "src", RULES_URI_OTHER},
                 {"bgsound", "src", RULES_URI_OTHER},
                 {"form", "action", RULES_URI_OTHER},
                 {"body", "background", RULES_URI_OTHER},
                 {"table", "background", RULES_URI_OTHER},
                 {"tr", "background", RULES_URI_OTHER},
                 {"td", "background", RULES_URI_OTHER}};

    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        struct postern_str uri;

        if (!rules_is(t->text, links[i].tag))
            continue;
        uri = rules_token_attribute(t, links[i].attribute);
        if (uri.p == NULL)
            continue;
        keep_uri(p, links[i].where, uri);
        if (rules_eq(t->text, POSTERN_STR("base")))
            set_base(p, uri);
    }
    if (rules_eq(t->text, POSTERN_STR("meta")))
        keep_refresh(p, t);
}
