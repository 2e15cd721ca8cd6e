/*
 * The first byte: even, a message whose words are rendered; odd, HTML by itself. Text is
 * UTF-8 where its source is, hosts are names that may be asked for.
 */
#include "assert.h"
#include "text.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_links(const struct pn_links *links)
{
    for (size_t i = 0; i < pn_links_count(links); i++) {
        struct pn_link link = pn_links_at(links, i);
        pn_assert(link.url.len != 0 && link.host.len != 0 && link.host.len <= 253);
        for (size_t k = 0; k < link.host.len; k++) {
            char c = link.host.p[k];
            pn_assert(c == pn_lower(c));
            pn_assert(pn_is_alpha(c) || pn_is_digit(c) || strchr("-._:", c) != NULL);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct pn_str in = {(const char *)data + 2, size - 2};
    struct pn_links *links = pn_links_new(data[0] / 2);
    if (data[0] % 2 == 0) {
        struct pn_text *text = pn_text_new((size_t)data[1] * 16);
        struct pn_message *m = pn_message_new(in, NULL);
        pn_message_mime(m);
        unsigned flags = 0;
        struct pn_str words = pn_text_message(text, m, links, &flags);
        pn_assert(words.len <= (size_t)data[1] * 16 && pn_utf8_valid(words));
        for (size_t i = 0; i < pn_message_parts(m) && i < 20; i++) {
            words = pn_text_visible(text, m, pn_message_part(m, i), NULL, NULL);
            pn_assert(pn_utf8_valid(words));
            pn_assert(pn_utf8_valid(pn_text_part(text, m, pn_message_part(m, i))));
        }
        pn_message_free(&m);
        pn_text_free(&text);
    } else {
        struct pn_buf out, html;
        pn_buf_init(&out, (size_t)data[1] * 16);
        pn_buf_init(&html, 1 << 22);
        (void)pn_html_text(in, &out, links);
        pn_assert(!pn_utf8_valid(in) || pn_utf8_valid(pn_buf_str(&out)));
        pn_assert(pn_html_entities(in, &html) && html.len <= in.len);
        pn_links_find(links, in);
        pn_buf_fini(&html);
        pn_buf_fini(&out);
    }
    check_links(links);
    pn_links_free(&links);
    return 0;
}
