/*
 * What strangers write, as rules read it: HTML, Received fields, addresses, URIs, and patterns'
 * shapes. First byte: which of them.
 */
#include "rules_address.h"
#include "rules_html.h"
#include "rules_relay.h"
#include "rules_uri.h"
#include "rules_window.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_html(struct rules_arena *a, struct postern_str s)
{
    const struct rules_html *h = rules_html_parse(s, a);

    if (h == NULL)
        return;
    if (h->text.len > 2 * s.len + 64 || h->text_count > RULES_HTML_TEXTS ||
        h->uri_count > RULES_HTML_URIS || h->tag_count > RULES_TAGS_MAX)
        abort();
    for (size_t i = 0; i < h->tag_count; i++)
        if (h->tag[i].open < 0)
            abort();
}

static void check_received(struct rules_arena *a, struct postern_str s)
{
    struct rules_relay r;
    struct rules_relays all = {.relay = &r, .count = 1};

    if (rules_received_read(s, a, &r) != RULES_RELAY)
        return;
    if (r.ip.p == NULL || r.helo.p == NULL || memchr(r.rdns.p, ' ', r.rdns.len) != NULL ||
        memchr(r.helo.p, ']', r.helo.len) != NULL)
        abort();
    (void)rules_relays_text(&all, 0, 1, a);
}

static void check_addresses(struct rules_arena *a, struct postern_str s)
{
    struct rules_address found[20];
    size_t n = rules_addresses(s, a, found, 20);

    for (size_t i = 0; i < n; i++)
        if (found[i].address.len > s.len || found[i].name.len > s.len)
            abort();
}

static void check_uris(struct rules_arena *a, struct postern_str s)
{
    struct rules_names names = {.count = 0};
    enum rules_uri_kind kind;
    struct postern_str raw;
    size_t at = 0;
    size_t before = 0;

    while ((raw = rules_uri_next(s, &at, &kind, &names)).p != NULL) {
        struct postern_str uri = rules_uri_complete(raw, kind, a, &names);

        if (at <= before || raw.p < s.p || raw.p + raw.len > s.p + s.len)
            abort();
        before = at;
        if (uri.p != NULL)
            (void)rules_uri_host(uri, a, &names);
    }
}

static void check_shape(struct postern_str s)
{
    static struct rules_window windows[RULES_WINDOWS_MAX];
    struct rules_pattern p = {s, 0};
    struct rules_windowing found = rules_windows_of(&p, windows);

    if (found.count > RULES_WINDOWS_MAX || (found.count > 0 && found.least == 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rules_arena a = {.limit = 64 << 20};
    struct postern_str s;

    if (size == 0)
        return 0;
    s = rules_dup(&a, (struct postern_str){(const char *)data + 1, size - 1});
    switch (data[0] % 5) {
    case 0:
        check_html(&a, s);
        break;
    case 1:
        check_received(&a, s);
        break;
    case 2:
        check_addresses(&a, s);
        break;
    case 3:
        check_uris(&a, s);
        break;
    default:
        check_shape(s);
        break;
    }
    rules_arena_free(&a);
    return 0;
}
