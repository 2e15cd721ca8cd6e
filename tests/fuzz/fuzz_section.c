/*
 * A line with the spec (and "]"), two bytes for a partial, one for the slice; the rest is a
 * message. A spec written again means the same; LF and CRLF content give the same octets, and
 * these, read whole, in slices and as a partial, are as many as was said.
 */
#include "assert.h"
#include "lines.h"
#include "section.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_spec(const struct pn_section *a, const struct pn_section *b)
{
    return a->what == b->what && a->depth == b->depth && a->mask == b->mask &&
           memcmp(a->path, b->path, a->depth * sizeof a->path[0]) == 0;
}

static void check_spec(const struct pn_section *section)
{
    struct pn_buf once;
    struct pn_section again;
    pn_buf_init(&once, SIZE_MAX);
    pn_assert(pn_section_write(section, &once));
    pn_assert(pn_buf_addc(&once, ']'));
    if (once.len < PN_SECTION_NAMES_MAX) { /* quotes may make it longer than is taken */
        pn_assert(pn_section_parse(pn_buf_str(&once), &again) == once.len - 1);
        pn_assert(same_spec(section, &again));
    }
    pn_buf_fini(&once);
}

static enum pn_octets_status open_it(struct pn_reader *r, const struct pn_section *section,
                                     bool binary, struct pn_octets *o)
{
    return binary ? pn_octets_open_binary(r, section, o) : pn_octets_open(r, section, o);
}

static void read_all(struct pn_octets *o, size_t slice, struct pn_buf *out)
{
    uint64_t left = pn_octets_left(o);
    while (pn_octets_left(o) > 0)
        pn_assert(pn_octets_read(o, slice, out));
    pn_assert(out->len == left);
}

static enum pn_octets_status check(struct pn_str content, const struct pn_section *section,
                                   bool binary, const uint8_t *how, struct pn_buf *whole)
{
    struct pn_reader *r = pn_reader_new(content);
    struct pn_octets o;
    struct pn_buf part;
    size_t from = how[0] * 3U, count = how[1] * 2U, slice = how[2] + 1U;
    pn_buf_init(&part, SIZE_MAX);
    enum pn_octets_status status = open_it(r, section, binary, &o);
    if (status == PN_OCTETS_OK) {
        read_all(&o, slice, whole);
        pn_assert(whole->len == o.size);
        if (section->what == PN_SECTION_FIELDS || section->what == PN_SECTION_FIELDS_NOT)
            pn_assert(pn_str_eq(pn_buf_str(whole), PN_STR("\r\n")) ||
                      pn_str_ends(pn_buf_str(whole), PN_STR("\r\n\r\n")));
        for (int again = 0; again < 2; again++, from += count) {
            pn_buf_clear(&part);
            pn_assert(open_it(r, section, binary, &o) == PN_OCTETS_OK);
            pn_octets_partial(&o, from, count);
            read_all(&o, SIZE_MAX, &part);
            pn_assert(
                pn_str_eq(pn_buf_str(&part), pn_str_slice(pn_buf_str(whole), from, from + count)));
        }
    }
    pn_buf_fini(&part);
    pn_reader_free(&r);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_str rest = {(const char *)data, size}, spec = pn_str_split(&rest, '\n');
    struct pn_section section;
    if (rest.p == NULL || rest.len < 4 || pn_section_parse(spec, &section) == SIZE_MAX)
        return 0;
    check_spec(&section);
    const uint8_t *how = data + spec.len + 1;
    bool binary = how[3] % 2 != 0 && section.what == PN_SECTION_ALL;
    struct pn_str content = pn_str_slice(rest, 4, rest.len);
    struct pn_buf crlf, a, b;
    struct pn_lines lines;
    pn_buf_init(&crlf, 2 * size + 1);
    pn_buf_init(&a, SIZE_MAX);
    pn_buf_init(&b, SIZE_MAX);
    pn_lines_init(&lines, PN_LINES_TO_CRLF);
    pn_assert(pn_lines_feed(&lines, content, &crlf));
    pn_assert(check(content, &section, binary, how, &a) ==
              check(pn_buf_str(&crlf), &section, binary, how, &b));
    pn_assert(pn_str_eq(pn_buf_str(&a), pn_buf_str(&b)));
    pn_buf_fini(&crlf);
    pn_buf_fini(&a);
    pn_buf_fini(&b);
    return 0;
}
