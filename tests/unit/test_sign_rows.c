/* `sign` blocks: what is refused, which block signs a domain's mail, whose mail is its own. */
#include "unit.h"

#include "kit_policy.h"
#include "sign.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define HERE        "domain \"here.test\" { recipients any  route local }\n"

static void test_refused(void)
{
    static const struct {
        const char *label, *text, *want;
    } rows[] = {
        {"whole", "sign \"a.test\" { key \"s1\" }", ""},
        {"two keys, one below another",
         "sign \"a.test\" { key \"s1\"  key \"s2\" }\nsign \"b.a.test\" { key \"s1\" }", ""},
        {"a selector of several labels", "sign \"a.test\" { key \"s1.mail\" }", ""},
        {"no key", "sign \"a.test\" { clients 192.0.2.1 }",
         "t.conf:2:1: sign has no 'key', expected one"},
        {"no domain", "sign \"a b\" { key \"s1\" }", "t.conf:2:6: 'a b' is no domain"},
        {"a domain with what ends a tag", "sign \"a;b.test\" { key \"s1\" }",
         "t.conf:2:6: 'a;b.test' is no domain"},
        {"all below", "sign \".a.test\" { key \"s1\" }", "t.conf:2:6: '.a.test' is no"},
        {"the same otherwise written",
         "sign \"B\xc3\xbc.test\" { key \"s1\" }\nsign \"xn--b-eha.test\" { key \"s1\" }",
         "t.conf:3:6: sign 'xn--b-eha.test' is there twice"},
        {"the same selector", "sign \"a.test\" { key \"s1\"  key \"S1\" }",
         "t.conf:2:31: key 's1' is there twice"},
        {"no selector", "sign \"a.test\" { key \"\" }", "t.conf:2:21: '' is no selector"},
        {"one with what ends a tag", "sign \"a.test\" { key \"s;1\" }",
         "t.conf:2:21: 's;1' is no selector"},
        {"one with an underscore", "sign \"a.test\" { key \"s_1\" }",
         "t.conf:2:21: 's_1' is no selector"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct kit k;
        struct pn_buf text;
        pn_buf_init(&text, 4096);
        (void)pn_buf_addf(&text, HERE "%s\n", rows[i].text);
        kit_open(&k, pn_buf_cstr(&text), "");
        unit_row(rows[i].label);
        struct pn_str got = kit_problems(&k);
        UNIT_TRUE((k.policy != NULL) == (rows[i].want[0] == '\0'));
        UNIT_STR(pn_str_slice(got, 0, strlen(rows[i].want)), pn_str_of(rows[i].want));
        kit_close(&k);
        pn_buf_fini(&text);
    }
}

static void test_find(void)
{
    static const struct {
        const char *domain, *want;
    } rows[] = {
        {"a.test", "a.test"},
        {"A.TEST", "a.test"},
        {"x.a.test", "a.test"},
        {"y.x.a.test", "a.test"},
        {"b.a.test", "b.a.test"},
        {"x.b.a.test", "b.a.test"},
        {"ba.test", ""},
        {"xa.test", ""},
        {"test", ""},
        {"", ""},
        {"b\xc3\xbc.test", "xn--b-eha.test"},
        {"XN--B-EHA.test", "xn--b-eha.test"},
        {"x.B\xc3\x9c.test", "xn--b-eha.test"},
        {"\xff.test", ""},
    };
    struct kit k;
    kit_open(&k,
             HERE "sign \"A.Test\" { key \"S1\" clients 192.0.2.0/28, 2001:db8::/32 key \"s2\" }\n"
                  "sign \"b.a.test\" { key \"s1\" }\nsign \"B\xc3\xbc.test\" { key \"s1\" }\n",
             "");
    CU_ASSERT_FATAL(k.policy != NULL);
    UNIT_INT(pn_policy_sign_count(k.policy), 3);
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t at;
        bool found = pn_policy_sign_find(k.policy, pn_str_of(rows[i].domain), &at);
        unit_row(rows[i].domain);
        UNIT_STR(found ? pn_policy_sign_domain(k.policy, at) : PN_STR(""), pn_str_of(rows[i].want));
    }
    struct pn_sign_row key;
    UNIT_INT(pn_policy_sign_key_count(k.policy, 0), 2);
    pn_policy_sign_key(k.policy, 0, 0, &key);
    UNIT_STR(key.selector, PN_STR("s1"));
    UNIT_STR(key.file, PN_STR(""));
    static const struct {
        const char *ip;
        bool first, second;
    } clients[] = {
        {"192.0.2.15", true, false}, {"192.0.2.16", false, false}, {"2001:db8::1", true, false}};
    for (size_t i = 0; i < COUNT(clients); i++) {
        struct pn_ip ip;
        unit_row(clients[i].ip);
        UNIT_TRUE(pn_ip_parse(pn_str_of(clients[i].ip), &ip));
        UNIT_TRUE(pn_policy_sign_client(k.policy, 0, &ip) == clients[i].first);
        UNIT_TRUE(pn_policy_sign_client(k.policy, 1, &ip) == clients[i].second);
    }
    kit_close(&k);
    kit_open(&k, HERE, "");
    size_t at;
    UNIT_TRUE(!pn_policy_sign_find(k.policy, PN_STR("a.test"), &at));
    kit_close(&k);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"refused", test_refused},
        {"find", test_find},
        {NULL, NULL},
    };
    return unit_main("sign rows", tests, argc, argv);
}
