/*
 * Wishes for the header of any message: the first byte counts them, three bytes each follow
 * (operation, index, field or name), the rest is the message. Whatever they are, the body stays,
 * fields that nobody named stay, and what is inserted is there once.
 */
#include "assert.h"
#include "edit.h"

#include <stdint.h>

enum { WISHES_MAX = 16 };

struct render {
    struct pn_buf text;
    struct pn_message *m;
};

static void render(struct render *r, const struct pn_edits *edits, const struct pn_message *m)
{
    struct pn_segments s;
    pn_segments_init(&s);
    pn_edits_render(edits, m, &s);
    pn_buf_init(&r->text, SIZE_MAX);
    for (size_t i = 0; i < s.count; i++)
        (void)pn_buf_adds(&r->text, pn_segment_bytes(&s.v[i], m));
    pn_assert(r->text.len == s.size);
    pn_segments_fini(&s);
    r->m = pn_message_new(r->text.len == 0 ? PN_STR("") : pn_buf_str(&r->text), NULL);
}

static struct pn_str name_for(const struct pn_message *m, unsigned byte)
{
    static const struct pn_str names[] = {PN_STR_INIT("Received"), PN_STR_INIT("A"),
                                          PN_STR_INIT("a"), PN_STR_INIT("Subject")};
    size_t count = 0;
    const struct pn_field *fields = pn_part_fields(m, NULL, &count);
    struct pn_str name = PN_STR("");
    if (byte >= 4 && count != 0)
        name = pn_field_name(m, &fields[byte % count]);
    /* What no line of ours could be called is not wished for: edge sees to that. */
    return pn_edit_check(name, PN_STR(""), false) == PN_EDIT_OK ? name : names[byte % 4];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_wish wishes[WISHES_MAX];
    size_t count = size == 0 ? 0 : data[0] % WISHES_MAX, inserted = 0;
    if (size < 1 + 3 * count)
        return 0;
    const struct pn_str content = {(const char *)data + 1 + 3 * count, size - 1 - 3 * count};
    struct pn_message *m = pn_message_new(content, NULL);
    if (m == NULL)
        return 0;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *b = data + 1 + 3 * i;
        wishes[i] = (struct pn_wish){(enum pn_wish_op)(b[0] % 4), b[1], PN_STR("X-Inserted"),
                                     PN_STR("v w")};
        if (wishes[i].op == PN_WISH_REMOVE || wishes[i].op == PN_WISH_CHANGE)
            wishes[i].name = name_for(m, b[2]);
        else
            inserted++;
        if (wishes[i].op == PN_WISH_REMOVE || (wishes[i].op == PN_WISH_CHANGE && b[2] % 2 == 0))
            wishes[i].value = PN_STR("");
    }
    struct pn_edits *edits = pn_edits_new(1 << 20);
    struct render before, after;
    pn_assert(pn_edits_resolve(edits, m, wishes, count) == PN_EDIT_OK);
    render(&before, NULL, m);
    render(&after, edits, m);
    struct pn_str body = pn_str_slice(content, pn_message_part(m, 0)->body, content.len);
    pn_assert(pn_str_eq(pn_buf_str(&before.text), content));
    pn_assert(pn_str_ends(pn_buf_str(&after.text), body));
    bool named = false; /* a change may name what was inserted by the message itself */
    for (size_t i = 0; i < count; i++)
        named = named || ((wishes[i].op == PN_WISH_REMOVE || wishes[i].op == PN_WISH_CHANGE) &&
                          pn_str_ieq(wishes[i].name, PN_STR("X-Inserted")));
    bool cut = (pn_message_part(after.m, 0)->flags & PN_PART_FIELDS_CUT) != 0;
    if (!named && !cut)
        pn_assert(pn_field_count(after.m, NULL, PN_STR("X-Inserted")) ==
                  pn_field_count(m, NULL, PN_STR("X-Inserted")) + inserted);
    pn_message_free(&before.m);
    pn_message_free(&after.m);
    pn_buf_fini(&before.text);
    pn_buf_fini(&after.text);
    pn_edits_free(&edits);
    pn_message_free(&m);
    return 0;
}
