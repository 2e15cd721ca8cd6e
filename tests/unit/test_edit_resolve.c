/* Wishes for a header, one after another, and how it then stands. */
#include "unit.h"

#include "edit.h"
#include "pool.h"

/* "+N v" add, "-N n" remove, "@p N v" insert, "=N n v" change; parted by '|'. */
static size_t wishes_of(const char *text, struct pn_wish *out)
{
    size_t count = 0;
    struct pn_str rest = pn_str_of(text);
    while (rest.p != NULL && rest.len != 0) {
        struct pn_str one = pn_str_split(&rest, '|');
        struct pn_wish *w = &out[count++];
        uint64_t index = 0;
        char op = one.p[0];
        one = pn_str_slice(one, 1, one.len);
        *w = (struct pn_wish){.op = op == '+'   ? PN_WISH_ADD
                                    : op == '-' ? PN_WISH_REMOVE
                                    : op == '@' ? PN_WISH_INSERT
                                                : PN_WISH_CHANGE};
        if (op == '@')
            UNIT_TRUE(pn_str_u64(pn_str_split(&one, ' '), UINT32_MAX, &index));
        w->name = pn_str_split(&one, ' ');
        if (op == '-' || op == '=')
            UNIT_TRUE(pn_str_u64(pn_str_split(&one, ' '), UINT32_MAX, &index));
        w->index = (uint32_t)index;
        w->value = one.p == NULL ? PN_STR("") : one;
    }
    return count;
}

/* As edge does it: what goes to the very top, then our own lines, then the rest. */
static void apply(struct pn_buf *out, const struct pn_edits *wished, const struct pn_message *m)
{
    struct pn_edits *all = pn_edits_new(1 << 20);
    struct pn_segments s;
    for (unsigned top = 0; top < 2; top++) {
        for (size_t i = 0; i < pn_edits_count(wished); i++) {
            const struct pn_edit *e = pn_edits_at(wished, i);
            if ((e->op == PN_EDIT_ADD_TOP) == (top == 0))
                UNIT_INT(pn_edits_put(all, e), PN_EDIT_OK);
        }
        if (top == 0)
            UNIT_INT(pn_edits_add(all, PN_EDIT_ADD_TOP, PN_STR("Our"), PN_STR("line"), false),
                     PN_EDIT_OK);
    }
    pn_segments_init(&s);
    pn_edits_render(all, m, &s);
    for (size_t i = 0; i < s.count; i++)
        (void)pn_buf_adds(out, pn_segment_bytes(&s.v[i], m));
    UNIT_INT(out->len, s.size);
    pn_segments_fini(&s);
    pn_edits_free(&all);
}

/* Lines parted by '/'. */
static struct pn_str slashed(struct pn_buf *b, struct pn_str text)
{
    pn_buf_clear(b);
    for (size_t i = 0; i < text.len; i++)
        if (text.p[i] == '\n')
            (void)pn_buf_addc(b, '/');
        else if (text.p[i] != '\r')
            (void)pn_buf_addc(b, text.p[i]);
    return pn_buf_str(b);
}

static void test_resolve(void)
{
    static const char trace[] = "Received: 1\r\nReceived: 2\r\nA: a\r\nB: b\r\nA: c\r\n\r\nbody";
    static const char plain[] = "A: a\r\nB: b\r\n fold\r\n\r\nbody";
    static const struct {
        const char *label, *in, *wishes, *want;
    } rows[] = {
        {"nothing", plain, "", "Our: line/A: a/B: b/ fold//body"},
        {"very top", plain, "@0 X x", "X: x/Our: line/A: a/B: b/ fold//body"},
        {"very top, the later above", plain, "@0 X x|@0 Y y",
         "Y: y/X: x/Our: line/A: a/B: b/ fold//body"},
        {"behind ours", plain, "@1 X x", "Our: line/X: x/A: a/B: b/ fold//body"},
        {"behind ours, the later above", plain, "@1 X x|@1 Y y",
         "Our: line/Y: y/X: x/A: a/B: b/ fold//body"},
        {"one behind the other", plain, "@1 X x|@2 Y y",
         "Our: line/X: x/Y: y/A: a/B: b/ fold//body"},
        {"counts what was inserted on top", plain, "@0 X x|@1 Y y",
         "X: x/Y: y/Our: line/A: a/B: b/ fold//body"},
        {"between", plain, "@2 X x", "Our: line/A: a/X: x/B: b/ fold//body"},
        {"behind the last", plain, "@3 X x", "Our: line/A: a/B: b/ fold/X: x//body"},
        {"beyond the last", plain, "@4 X x|@4294967295 Y y",
         "Our: line/A: a/B: b/ fold/X: x/Y: y//body"},
        {"between the trace lines", trace, "@2 X x",
         "Our: line/Received: 1/X: x/Received: 2/A: a/B: b/A: c//body"},
        {"what is gone does not count", plain, "-A 0|@2 X x", "Our: line/B: b/ fold/X: x//body"},
        {"at a place where one is gone", plain, "-A 0|@1 X x", "Our: line/X: x/B: b/ fold//body"},
        {"what is changed counts", plain, "=A 0 z|@2 X x", "Our: line/A: z/X: x/B: b/ fold//body"},
        {"add", trace, "+X x|+Y y",
         "Our: line/Received: 1/Received: 2/X: x/Y: y/A: a/B: b/A: c//body"},
        {"add without trace", plain, "+X x|+Y y", "Our: line/X: x/Y: y/A: a/B: b/ fold//body"},
        {"add where the trace is gone", trace, "-Received 0|-Received 1|+X x",
         "Our: line/X: x/A: a/B: b/A: c//body"},
        {"add, and it counts", plain, "+X x|@2 Y y", "Our: line/X: x/Y: y/A: a/B: b/ fold//body"},
        {"remove the second", trace, "-A 1", "Our: line/Received: 1/Received: 2/A: a/B: b//body"},
        {"remove by another case", trace, "-a 0",
         "Our: line/Received: 1/Received: 2/B: b/A: c//body"},
        {"remove one that is not there", plain, "-A 1|-C 0", "Our: line/A: a/B: b/ fold//body"},
        {"numbers stay when one is gone", trace, "-A 0|-A 1",
         "Our: line/Received: 1/Received: 2/B: b//body"},
        {"remove twice", plain, "-A 0|-A 0", "Our: line/B: b/ fold//body"},
        {"change in its place", trace, "=A 1 z",
         "Our: line/Received: 1/Received: 2/A: a/B: b/A: z//body"},
        {"change a folded one", plain, "=B 0 z", "Our: line/A: a/B: z//body"},
        {"change the name's case", plain, "=b 0 z", "Our: line/A: a/b: z//body"},
        {"change to nothing", plain, "=A 0 ", "Our: line/B: b/ fold//body"},
        {"change one that is not there", trace, "=C 0 z",
         "Our: line/Received: 1/Received: 2/C: z/A: a/B: b/A: c//body"},
        {"change nothing to nothing", plain, "=C 0 ", "Our: line/A: a/B: b/ fold//body"},
        {"the last change counts", plain, "=A 0 y|=A 0 z", "Our: line/A: z/B: b/ fold//body"},
        {"removed, then changed", plain, "-A 0|=A 0 z", "Our: line/A: z/B: b/ fold//body"},
        {"changed, then removed", plain, "=A 0 z|-A 0", "Our: line/B: b/ fold//body"},
        {"changed all around an insertion", plain, "=A 0 z|@2 X x|=B 0 y",
         "Our: line/A: z/X: x/B: y//body"},
        {"all gone", plain, "-A 0|-B 0|@1 X x", "Our: line/X: x//body"},
        {"no header", "body text\r\n", "@1 X x|+Y y", "Our: line/X: x/Y: y//body text/"},
        {"no content", "", "@0 X x|=A 0 y", "X: x/Our: line/A: y//"},
        {"an empty header", "\r\nbody", "@5 X x", "Our: line/X: x//body"},
        {"a header alone", "A: a\r\n", "@2 X x|@1 Y y", "Our: line/Y: y/A: a/X: x/"},
    };
    struct pn_buf out, print;
    pn_buf_init(&out, SIZE_MAX);
    pn_buf_init(&print, SIZE_MAX);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_wish wishes[8];
        struct pn_message *m = pn_message_new(pn_str_of(rows[i].in), NULL);
        struct pn_edits *edits = pn_edits_new(1 << 20);
        unit_row(rows[i].label);
        size_t count = wishes_of(rows[i].wishes, wishes);
        UNIT_INT(pn_edits_resolve(edits, m, wishes, count), PN_EDIT_OK);
        pn_buf_clear(&out);
        apply(&out, edits, m);
        UNIT_STR(slashed(&print, pn_buf_str(&out)), pn_str_of(rows[i].want));
        pn_edits_free(&edits);
        pn_message_free(&m);
    }
    pn_buf_fini(&out);
    pn_buf_fini(&print);
}

/* Fields beyond those that a message keeps are removed and changed too. */
static void test_beyond(void)
{
    static const struct pn_wish wishes[] = {
        {PN_WISH_CHANGE, 0, PN_STR_INIT("Last"), PN_STR_INIT("new")},
        {PN_WISH_REMOVE, 0, PN_STR_INIT("Other"), PN_STR_INIT("")},
    };
    struct pn_buf in, out;
    pn_buf_init(&in, SIZE_MAX);
    pn_buf_init(&out, SIZE_MAX);
    for (size_t i = 0; i < 30000; i++)
        (void)pn_buf_addz(&in, "X: y\r\n");
    (void)pn_buf_addz(&in, "Last: old\r\nOther: one\r\nZ: z\r\n\r\nb");
    struct pn_message *m = pn_message_new(pn_buf_str(&in), NULL);
    struct pn_edits *edits = pn_edits_new(1 << 20);
    UNIT_TRUE((pn_message_part(m, 0)->flags & PN_PART_FIELDS_CUT) != 0);
    UNIT_INT(pn_edits_resolve(edits, m, wishes, 2), PN_EDIT_OK);
    apply(&out, edits, m);
    UNIT_TRUE(pn_str_starts(pn_buf_str(&out), PN_STR("Our: line\r\nLast: new\r\nX: y\r\n")));
    UNIT_TRUE(pn_str_ends(pn_buf_str(&out), PN_STR("X: y\r\nZ: z\r\n\r\nb")));
    pn_edits_free(&edits);
    pn_message_free(&m);
    pn_buf_fini(&in);
    pn_buf_fini(&out);
}

/* What an operation may not have is refused here too, and a list that is full says so. */
static void test_refused(void)
{
    static const struct pn_wish rows[] = {
        {PN_WISH_INSERT, 0, PN_STR_INIT("X"), PN_STR_INIT("a\r\nB: c")},
        {PN_WISH_ADD, 0, PN_STR_INIT("X Y"), PN_STR_INIT("a")},
        {PN_WISH_CHANGE, 0, PN_STR_INIT("A"), PN_STR_INIT("a\nb")},
    };
    struct pn_message *m = pn_message_new(PN_STR("A: a\r\n\r\n"), NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_edits *edits = pn_edits_new(1 << 20);
        UNIT_TRUE(pn_edits_resolve(edits, m, &rows[i], 1) != PN_EDIT_OK);
        pn_edits_free(&edits);
    }
    struct pn_edits *small = pn_edits_new(8);
    const struct pn_wish wish = {PN_WISH_ADD, 0, PN_STR_INIT("X"), PN_STR_INIT("more than eight")};
    UNIT_INT(pn_edits_resolve(small, m, &wish, 1), PN_EDIT_FULL);
    pn_edits_free(&small);
    pn_message_free(&m);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"resolve", test_resolve},
        {"beyond the limit of fields", test_beyond},
        {"refused", test_refused},
        {NULL, NULL},
    };
    return unit_main("edit_resolve", tests, argc, argv);
}
