/* What is printed: it compiles to the same again, and names each place. */
#include "unit.h"

#include "kit_policy.h"
#include "print.h"

static const char everything[] =
    "listen smtp 127.0.0.1:25 { proxy from 10.0.0.0/8, ::1 }\nlisten smtp [::1]:24\n"
    "smtp { hostname h-x.test normalize 10.0.0.0/8 }\n"
    "replies { relay \"550 5.7.1 \\\"x\\\\\" }\n"
    "queue { retry 1s, 1h30m tls must }\n"
    "mailbox { quota 2g over-quota reject folders { sent \"Sent Items\" } }\n"
    "plugins { alpha { words \"a b\", \"\\x01\" load -1.25 zone z { code 127.0.0.2 weight 4 } "
    "login { user u } } beta gamma { on_failure defer workers { alone yes } } }\n"
    "include \"postern:strict\"\n"
    "defaults { route smtp 127.0.0.1:1 plugins off alpha, beta deny client ::1 \"550 5.7.1 x\" "
    "mixed split on ALPHA_HIT detail \"z*\" reject with its reply \"550 5.7.1 y\" }\n"
    "domain x.test { recipients verify allow from \"*@y\" if spf pass junk at 3 plugins on beta }\n"
    "domain .y.test { recipients any route local on ALPHA_HIT weight -3.125 on DMARC_REJECT none "
    "allow auth \"u*\" "
    "mixed quarantine plugins off gamma }\n"
    "domain plain.test { recipients any }\n"
    "domain m.test { recipients any route local mailbox { quota 0 quota-messages 9 over-quota "
    "defer "
    "tag-folders yes folders { junk \"Un/w\xc3\xbcnscht\" } } }\n"
    "domain n.test { recipients any route local mailbox { } }";

/* Without comments, and so without places. */
static struct pn_str bare(struct pn_pool *pool, struct pn_str text)
{
    struct pn_buf out;
    pn_buf_init(&out, SIZE_MAX);
    while (text.p != NULL) {
        struct pn_str line = pn_str_split(&text, '\n');
        size_t mark = pn_str_find(line, '#', 0);
        (void)pn_buf_adds(&out, pn_str_trim(pn_str_slice(line, 0, mark)));
        (void)pn_buf_addc(&out, '\n');
    }
    struct pn_str s = pn_pool_dup(pool, pn_buf_str(&out));
    pn_buf_fini(&out);
    return s;
}

static void test_again(void)
{
    static const char *const texts[] = {"", everything, "include \"postern:default\""};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct kit first, second;
        struct pn_buf one, two;
        unit_row(texts[i]);
        pn_buf_init(&one, SIZE_MAX);
        pn_buf_init(&two, SIZE_MAX);
        kit_open(&first, texts[i], "");
        UNIT_STR(kit_problems(&first), PN_STR(""));
        if (first.policy != NULL)
            pn_policy_print(first.policy, true, &one);
        kit_open(&second, pn_buf_cstr(&one), "");
        UNIT_STR(kit_problems(&second), PN_STR(""));
        UNIT_TRUE(first.policy != NULL && second.policy != NULL);
        if (second.policy != NULL)
            pn_policy_print(second.policy, true, &two);
        UNIT_TRUE(one.len > 1000);
        UNIT_STR(bare(first.pool, pn_buf_str(&one)), bare(first.pool, pn_buf_str(&two)));
        kit_close(&first);
        kit_close(&second);
        pn_buf_fini(&one);
        pn_buf_fini(&two);
    }
}

static void test_only_what_was_said(void)
{
    struct kit k;
    struct pn_buf out;
    pn_buf_init(&out, SIZE_MAX);
    kit_open(&k, "limits { errors 5 }\nedges 2\nplugins { beta }", "");
    UNIT_TRUE(k.policy != NULL);
    if (k.policy != NULL)
        pn_policy_print(k.policy, false, &out);
    UNIT_STR(pn_buf_str(&out),
             PN_STR("limits {\n"
                    "    errors 5                                    # t.conf:1:17\n"
                    "}\n"
                    "edges 2                                         # t.conf:2:7\n"
                    "plugins {\n"
                    "    beta                                        # t.conf:3:11\n"
                    "}\n"
                    "defaults {\n"
                    "    recipients any                              # default\n"
                    "    route local                                 # default\n"
                    "    mixed quarantine\n"
                    "}\n"));
    pn_buf_fini(&out);
    kit_close(&k);
}

static void test_json(void)
{
    struct kit k;
    struct pn_buf out;
    pn_buf_init(&out, SIZE_MAX);
    kit_open(&k,
             "edges 2 plugins { alpha { zone z { code 127.0.0.2 weight 4 } } }\n"
             "domain x.test { recipients any\nmailbox { quota 3g folders { sent S } } }",
             "");
    UNIT_TRUE(k.policy != NULL);
    if (k.policy != NULL)
        pn_policy_print_json(k.policy, false, &out);
    static const char *const parts[] = {
        "{\"name\":\"edges\",\"value\":\"2\",\"where\":\"t.conf:1:7\"}",
        "{\"name\":\"zone[z].code[127.0.0.2].weight\",\"value\":\"4\",\"where\":\"t.conf:1:58\"}",
        "\"domains\":[{\"domain\":\"\",\"recipients\":\"any\"",
        "\"mailbox\":[{\"name\":\"mailbox.quota\",\"value\":\"3g\",\"where\":\"t.conf:3:17\"},"
        "{\"name\":\"mailbox.folders.sent\",\"value\":\"S\",\"where\":\"t.conf:3:35\"}]",
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        unit_row(parts[i]);
        UNIT_TRUE(strstr(pn_buf_cstr(&out), parts[i]) != NULL);
    }
    pn_buf_fini(&out);
    kit_close(&k);
}

/* Each row has what the manual needs, and a default that its own type takes. */
static void check_rows(const struct postern_row *rows)
{
    for (const struct postern_row *r = rows; r->name != NULL; r++) {
        unit_row(r->name);
        UNIT_TRUE(r->help != NULL && pn_str_ends(pn_str_of(r->help), PN_STR(".")));
        UNIT_TRUE(r->min <= r->max || (int)r->type == PN_T_REPLY);
        UNIT_TRUE((r->type == POSTERN_T_CHOICE) == (r->choices != NULL) ||
                  r->type == POSTERN_T_BLOCK);
        if (r->type == POSTERN_T_BLOCK)
            check_rows(r->rows);
    }
}

/* What a domain's line takes the place of is said beside it. */
static void test_instead(void)
{
    struct kit k;
    struct pn_buf text, json;
    pn_buf_init(&text, SIZE_MAX);
    pn_buf_init(&json, SIZE_MAX);
    kit_open(&k,
             "plugins { alpha }\ndefaults { on ALPHA_HIT reject on ALPHA_HIT weight 3 }\n"
             "domain x.test { recipients any\non ALPHA_HIT none\non ALPHA_MISS none }",
             "");
    UNIT_TRUE(k.policy != NULL);
    if (k.policy != NULL) {
        pn_policy_print(k.policy, false, &text);
        pn_policy_print_json(k.policy, false, &json);
        UNIT_TRUE(strstr(pn_buf_cstr(&text),
                         "    on ALPHA_HIT none                           # t.conf:4:1, not "
                         "'on ALPHA_HIT reject' of t.conf:2:12\n") != NULL);
        UNIT_TRUE(strstr(pn_buf_cstr(&text), "# t.conf:5:1\n") != NULL);
        UNIT_TRUE(
            strstr(pn_buf_cstr(&json),
                   "{\"line\":\"on ALPHA_HIT none\",\"where\":\"t.conf:4:1\",\"not\":[{\"line\":"
                   "\"on ALPHA_HIT reject\",\"where\":\"t.conf:2:12\"}]}") != NULL);
    }
    pn_buf_fini(&text);
    pn_buf_fini(&json);
    kit_close(&k);
}

static void test_rows(void)
{
    struct pn_buf out;
    pn_buf_init(&out, SIZE_MAX);
    check_rows(pn_core_rows);
    check_rows(pn_plugin_host_rows);
    pn_rows_print(pn_core_rows, "", &out);
    pn_statements_print(&out);
    UNIT_TRUE(strstr(pn_buf_cstr(&out), "limits.message-size               size        default "
                                        "50m; 64k to 2147483647\n") != NULL);
    UNIT_TRUE(strstr(pn_buf_cstr(&out), "mixed quarantine | split\n") != NULL);
    pn_buf_fini(&out);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"compiles to the same again", test_again},
        {"only what was said", test_only_what_was_said},
        {"json", test_json},
        {"what a line takes the place of", test_instead},
        {"rows", test_rows},
        {NULL, NULL},
    };
    return unit_main("print", tests, argc, argv);
}
