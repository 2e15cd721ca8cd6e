/*
 * The first three bytes set the limits, the rest is a message. What must hold of any tree
 * holds (message_invariants.c); edits leave all but what they name.
 */
#include "assert.h"
#include "edit.h"
#include "message_invariants.h"
#include "param.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_parts(const struct pn_message *m, struct pn_buf *out)
{
    static const char *const names[] = {"charset", "boundary", "name", "filename"};
    for (size_t i = 0; i < pn_message_parts(m) && i < 20; i++) {
        const struct pn_part *part = pn_message_part(m, i);
        pn_buf_clear(out);
        (void)pn_part_filename(m, part, out);
        (void)pn_part_disposition(m, part);
        for (size_t n = 0; n < sizeof names / sizeof names[0]; n++)
            (void)pn_part_param(m, part, pn_str_of(names[n]), out);
    }
}

static void check_find(const struct pn_message *m)
{
    size_t count = 0;
    const struct pn_field *f = pn_part_fields(m, NULL, &count);
    for (size_t i = 0; i < count && i < 20; i++) {
        struct pn_str name = pn_field_name(m, &f[i]);
        size_t n = pn_field_count(m, NULL, name);
        pn_assert((n == 0) == (name.len == 0));
        if (n != 0) {
            pn_assert(pn_field_find(m, NULL, name, (int)n) == pn_field_find(m, NULL, name, -1));
            pn_assert(pn_field_find(m, NULL, name, (int)n + 1) == NULL);
        }
    }
}

static void join(const struct pn_segments *s, const struct pn_message *m, struct pn_buf *out)
{
    pn_buf_clear(out);
    for (size_t i = 0; i < s->count; i++)
        (void)pn_buf_adds(out, pn_segment_bytes(&s->v[i], m));
    pn_assert(out->len == s->size);
}

static void check_edits(const struct pn_message *m, struct pn_buf *out)
{
    struct pn_edits *edits = pn_edits_new(4096);
    struct pn_segments s;
    pn_segments_init(&s);
    pn_edits_render(NULL, m, &s);
    join(&s, m, out);
    pn_assert(pn_str_eq(pn_buf_str(out), pn_message_content(m)));
    (void)pn_edits_add(edits, PN_EDIT_ADD_TOP, PN_STR("X-Top"), PN_STR("a b"), false);
    pn_edits_render(edits, m, &s);
    join(&s, m, out);
    pn_assert(pn_str_starts(pn_buf_str(out), PN_STR("X-Top: a b")));
    pn_assert(pn_str_ends(pn_buf_str(out), pn_message_content(m)));
    (void)pn_edits_remove(edits, PN_STR("a"), 0);
    (void)pn_edits_remove(edits, PN_STR("Subject"), -1);
    (void)pn_edits_remove_results(edits, PN_STR("b"));
    (void)pn_edits_add(edits, PN_EDIT_ADD_AFTER_TRACE, PN_STR("X-Trace"), PN_STR("c"), false);
    (void)pn_edits_add(edits, PN_EDIT_ADD_END, PN_STR("X-End"), PN_STR("d"), false);
    pn_edits_render(edits, m, &s);
    join(&s, m, out);
    struct pn_message *again = pn_message_new(pn_buf_str(out), NULL);
    pn_assert(pn_field_count(again, NULL, PN_STR("X-Top")) >= 1);
    pn_assert(pn_field_count(again, NULL, PN_STR("X-End")) >= 1);
    pn_assert(pn_field_count(again, NULL, PN_STR("a")) == 0);
    pn_message_free(&again);
    pn_segments_fini(&s);
    pn_edits_free(&edits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    struct pn_message_limits limits = {data[0] * 16U, data[1], data[2]};
    struct pn_str content = {(const char *)data + 3, size - 3};
    struct pn_message *m = pn_message_new(content, &limits);
    struct pn_buf out;
    if (limits.parts == 0)
        limits.parts = 1;
    if (limits.depth > PN_MESSAGE_DEPTH_MAX)
        limits.depth = PN_MESSAGE_DEPTH_MAX;
    pn_buf_init(&out, 1 << 22);
    check_find(m);
    check_edits(m, &out);
    pn_message_mime(m);
    pn_assert(message_invariants(m, &limits) == NULL);
    read_parts(m, &out);
    pn_buf_fini(&out);
    pn_message_free(&m);
    return 0;
}
