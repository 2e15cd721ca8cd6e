#include "unit.h"

#include "uidset.h"

static void test_parse(void)
{
    static const struct {
        const char *label, *text;
        uint32_t star;
        bool ok;
        const char *want;
    } rows[] = {
        {"empty", "", 9, false, ""},
        {"one", "7", 9, true, "7"},
        {"zero", "0", 9, false, ""},
        {"leading zero", "01", 9, false, ""},
        {"range", "2:4", 9, true, "2:4"},
        {"backwards", "4:2", 9, true, "2:4"},
        {"star", "*", 9, true, "9"},
        {"to star", "3:*", 9, true, "3:9"},
        {"star below", "12:*", 9, true, "9:12"},
        {"star first", "*:12", 9, true, "9:12"},
        {"star of nothing", "*", 0, true, ""},
        {"adjacent", "1:3,4,6", 9, true, "1:4,6"},
        {"overlapping", "5:9,1:6,20", 9, true, "1:9,20"},
        {"unsorted", "9,3,5,1", 9, true, "1,3,5,9"},
        {"one between", "1,3,2", 9, true, "1:3"},
        {"swallows", "2,4,6,1:7", 9, true, "1:7"},
        {"greatest", "4294967295,4294967294", 9, true, "4294967294:4294967295"},
        {"too great", "4294967296", 9, false, ""},
        {"empty part", "1,,2", 9, false, "1"},
        {"comma at end", "1,", 9, false, "1"},
        {"half a range", "1:", 9, false, ""},
        {"three", "1:2:3", 9, false, ""},
        {"word", "a", 9, false, ""},
        {"sign", "-1", 9, false, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_uidset set;
        struct pn_buf out;
        unit_row(rows[i].label);
        pn_uidset_init(&set, 100);
        pn_buf_init(&out, 1000);
        UNIT_INT(pn_uidset_parse(&set, pn_str_of(rows[i].text), rows[i].star), rows[i].ok);
        UNIT_TRUE(pn_uidset_print(&set, &out));
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
        pn_buf_fini(&out);
        pn_uidset_fini(&set);
    }
}

enum what { ADD_SET, REMOVE, INTERSECT };

static void test_change(void)
{
    static const struct {
        const char *label;
        enum what what;
        const char *a, *b, *want;
    } rows[] = {
        {"both", ADD_SET, "1:3,9", "4,7", "1:4,7,9"},
        {"interlaced", ADD_SET, "1,5,9", "3,7,11", "1,3,5,7,9,11"},
        {"the same", ADD_SET, "1:9", "1:9", "1:9"},
        {"hole", REMOVE, "1:9", "4:5", "1:3,6:9"},
        {"head", REMOVE, "3:9", "1:4", "5:9"},
        {"tail", REMOVE, "3:9", "8:20", "3:7"},
        {"all", REMOVE, "1,3,5:8", "1:9", ""},
        {"several", REMOVE, "1:3,5,7:9", "3:8", "1:2,9"},
        {"not there", REMOVE, "1:3,9", "5", "1:3,9"},
        {"to the end", REMOVE, "1:4294967295", "4294967295", "1:4294967294"},
        {"common", INTERSECT, "1:5,8:12", "3:9,12:20", "3:5,8:9,12"},
        {"nothing", INTERSECT, "1:3", "4:9", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_uidset a, b;
        struct pn_buf out;
        unit_row(rows[i].label);
        pn_uidset_init(&a, 100);
        pn_uidset_init(&b, 100);
        pn_buf_init(&out, 1000);
        UNIT_TRUE(pn_uidset_parse(&a, pn_str_of(rows[i].a), 1));
        UNIT_TRUE(pn_uidset_parse(&b, pn_str_of(rows[i].b), 1));
        if (rows[i].what == ADD_SET)
            UNIT_TRUE(pn_uidset_add_set(&a, &b));
        else if (rows[i].what == REMOVE)
            pn_uidset_remove(&a, b.v[0].first, b.v[0].last);
        else
            UNIT_TRUE(pn_uidset_intersect(&a, &b));
        UNIT_TRUE(pn_uidset_print(&a, &out));
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
        pn_buf_fini(&out);
        pn_uidset_fini(&a);
        pn_uidset_fini(&b);
    }
}

/* Against a plain array of what is in it. */
static void test_model(void)
{
    enum { TOP = 64 };
    uint32_t state = 1;
    bool in[TOP + 1] = {false};
    struct pn_uidset set;
    pn_uidset_init(&set, TOP);
    for (unsigned step = 0; step < 3000; step++) {
        state = state * 1664525 + 1013904223;
        uint32_t first = 1 + (state >> 8) % TOP, last = first + (state >> 20) % 8;
        bool add = (state >> 28) % 2 == 0;
        if (last > TOP)
            last = TOP;
        for (uint32_t n = first; n <= last; n++)
            in[n] = add;
        if (add)
            UNIT_TRUE(pn_uidset_add(&set, first, last));
        else
            pn_uidset_remove(&set, first, last);
        uint64_t size = 0;
        for (uint32_t n = 1; n <= TOP; n++) {
            size += in[n];
            if (pn_uidset_has(&set, n) != in[n])
                UNIT_TRUE(false);
        }
        UNIT_INT(pn_uidset_size(&set), size);
        for (size_t i = 1; i < set.count; i++)
            UNIT_TRUE(set.v[i].first > set.v[i - 1].last + 1);
    }
    pn_uidset_fini(&set);
}

static void test_limit(void)
{
    struct pn_uidset set;
    pn_uidset_init(&set, 2);
    UNIT_TRUE(pn_uidset_add(&set, 1, 1));
    UNIT_TRUE(pn_uidset_add(&set, 3, 3));
    UNIT_TRUE(!pn_uidset_add(&set, 5, 5));
    UNIT_TRUE(set.overflow);
    UNIT_TRUE(pn_uidset_add(&set, 2, 2)); /* makes one of two */
    UNIT_INT(set.count, 1);
    pn_uidset_clear(&set);
    UNIT_TRUE(!set.overflow && set.count == 0);
    pn_uidset_fini(&set);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"parse", test_parse},
                                             {"change", test_change},
                                             {"model", test_model},
                                             {"limit", test_limit},
                                             {NULL, NULL}};
    return unit_main("store_uidset", tests, argc, argv);
}
