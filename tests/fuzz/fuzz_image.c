/* A compiled policy with bytes changed is refused, or all of it can be read. The input is
 * a list of changes (offset u32, byte) to an image that has something of everything. */
#include "block.h"
#include "expand.h"
#include "kit_policy.h"
#include "mailbox_policy.h"
#include "rows.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] =
    "listen smtp 127.0.0.1:25 { proxy from 10.0.0.0/8 } listen smtp [::1]:24\n"
    "mailbox { quota 2g quota-messages 9 tag-folders yes folders { junk Spam sent a/b } }\n"
    "plugins { alpha { words a, b zone z { code 127.0.0.2 weight 4 } } beta gamma }\n"
    "include \"postern:default\"\n"
    "defaults { recipients any catch-all w@z.test\ndeny client ::1 \"550 5.7.1 x\" on ALPHA_HIT "
    "detail \"z*\" reject "
    "}\n"
    "domain x.test { alias u to v, w@z.test alias v to v, u@q.y.test\n"
    "allow from \"*@y\" if spf pass junk at 3 plugins off beta\n"
    "mailbox { quota 5m over-quota reject folders { trash Bin drafts Later } } }\n"
    "domain .y.test { alias u to v, w@x.test\nroute smtp 127.0.0.1:25 on ALPHA_HIT weight 3 allow "
    "auth \"u*\" }";

static volatile size_t sink;

static void eat(struct pn_str s)
{
    for (size_t i = 0; i <= s.len; i++) /* the NUL behind it too */
        sink += (unsigned char)s.p[i];
}

static void read_rows(const struct pn_policy *p, const struct postern_row *rows, const char *prefix)
{
    for (const struct postern_row *r = rows; r->name != NULL; r++) {
        char name[200];
        struct pn_str s;
        struct pn_net net;
        (void)snprintf(name, sizeof name, "%s%s%s", prefix, *prefix == '\0' ? "" : ".", r->name);
        if (r->type == POSTERN_T_BLOCK && (r->flags & POSTERN_ROW_REPEAT) == 0)
            read_rows(p, r->rows, name);
        if (r->type == POSTERN_T_BLOCK)
            continue;
        sink += (size_t)pn_policy_int(p, name);
        for (size_t n = 0; pn_policy_str_at(p, name, n, &s); n++)
            eat(s);
        for (size_t n = 0; pn_policy_net_at(p, name, n, &net); n++)
            sink += net.bits;
    }
}

static void read_block(const struct postern_block *b, const struct postern_row *rows, int depth)
{
    struct postern_str s;
    const struct postern_block *inner;
    unsigned char ip[16];
    unsigned bits;
    s = pn_block_title(b);
    eat((struct pn_str){s.p, s.len});
    for (const struct postern_row *r = rows; r != NULL && r->name != NULL && depth < 5; r++) {
        for (size_t n = 0; n < pn_block_count(b, r->name); n++) {
            s = pn_block_where(b, r->name, n);
            eat((struct pn_str){s.p, s.len});
            if (pn_block_str(b, r->name, n, &s) == POSTERN_OK)
                eat((struct pn_str){s.p, s.len});
            if (pn_block_net(b, r->name, n, ip, &bits) == POSTERN_OK)
                sink += bits;
            if (pn_block_block(b, r->name, n, &inner) == POSTERN_OK)
                read_block(inner, r->rows, depth + 1);
        }
    }
}

static void read_plugins(const struct pn_policy *p)
{
    for (size_t i = 0; i < pn_policy_plugin_count(p); i++) {
        const struct pn_plugin_row *row = pn_policy_plugin(p, i);
        const struct postern_plugin *desc = kit_plugin(NULL, PN_STR("alpha"), "", NULL);
        eat(pn_plugin_name(row));
        eat(pn_plugin_file(row));
        sink += pn_plugin_group(row) + pn_plugin_stages(row);
        read_block(pn_plugin_settings(p, row), desc->rows, 0);
        read_block(pn_plugin_settings(p, row), pn_plugin_host_rows, 0);
    }
}

static void decide_all(const struct pn_policy *p, struct pn_pool *pool)
{
    static const char *const domains[] = {"x.test", "a.y.test", "none"};
    static const struct pn_pair pairs[] = {{PN_STR_INIT("domain"), PN_STR_INIT("y")},
                                           {PN_STR_INIT("identity"), PN_STR_INIT("mailfrom")}};
    struct pn_facts facts;
    struct pn_decision out;
    pn_facts_init(&facts, pool);
    const struct pn_auth auth = {PN_STR("spf"), PN_STR("spf"), PN_STR("pass"), 2, pairs};
    (void)pn_facts_add_auth(&facts, &auth);
    static const char *const names[] = {"ALPHA_HIT", "SPF_FAIL", "PLUGIN_FAILED", "NONE"};
    for (size_t i = 0; i < 4; i++) {
        const struct pn_fact fact = {pn_str_of(names[i]), PN_STR("alpha"), PN_STR("zeta"), 1000,
                                     PN_FACT_ALL_RCPTS};
        (void)pn_facts_add_symbol(&facts, &fact);
    }
    for (int i = 0; i < 6; i++) {
        const struct pn_domain *d = pn_policy_domain(p, pn_str_of(domains[i / 2]));
        struct pn_decide_input in = {.facts = &facts, .early = i % 2 != 0};
        struct pn_route route;
        in.sender = PN_STR("u@y");
        in.recipient = PN_STR("u@x.test");
        in.auth_id = PN_STR("user");
        if (d == NULL)
            d = pn_policy_default_domain(p);
        pn_decide(p, d, &in, pool, &out);
        eat(out.reply);
        sink += out.because_count + pn_domain_group(d) + pn_domain_has_user(p, d, PN_STR("u+x"));
        sink += pn_domain_wants_plugin(p, d, 0) + (size_t)pn_domain_recipients(d);
        pn_domain_route(p, d, &route);
        eat(route.host);
    }
}

static void expand_all(const struct pn_policy *p, struct pn_pool *pool)
{
    static const char *const names[] = {"u@x.test", "v+z@x.test", "nobody@x.test", "u@a.y.test",
                                        "postmaster@none"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct pn_str address = pn_str_of(names[i]);
        const struct pn_domain *d = pn_policy_domain(
            p, pn_str_slice(address, pn_str_find(address, '@', 0) + 1, address.len));
        struct pn_expansion x;
        struct pn_buf b;
        if (d == NULL)
            d = pn_policy_default_domain(p);
        sink += pn_expand(p, d, address, pool, &x);
        for (size_t k = 0; k < x.count; k++) {
            pn_buf_init(&b, 100000);
            pn_expand_print(&b, &x.targets[k]);
            sink += b.len + x.targets[k].local.len;
            pn_buf_fini(&b);
        }
    }
}

static void read_mailboxes(const struct pn_policy *p)
{
    static const char *const users[] = {"u@x.test", "u@a.y.test", "u@none", "u"};
    for (size_t i = 0; i < sizeof users / sizeof users[0]; i++) {
        struct pn_mailbox_policy mailbox;
        pn_policy_mailbox_of(p, pn_str_of(users[i]), &mailbox);
        sink += mailbox.bytes.value + mailbox.messages.value;
        sink += (size_t)mailbox.full_rejects + mailbox.tag_folders;
        eat(mailbox.bytes.where);
        eat(mailbox.messages.where);
        for (unsigned n = 0; n < PN_POLICY_FOLDERS; n++)
            eat(mailbox.folders[n]);
    }
    const struct pn_domain *d = pn_policy_domain(p, PN_STR("x.test"));
    sink += d != NULL && pn_domain_has_quota(p, d);
}

static void read_all(const struct pn_policy *p)
{
    struct pn_pool *pool = pn_pool_new(1024 * 1024);
    eat(pn_policy_generation(p));
    read_rows(p, pn_core_rows, "");
    for (size_t i = 0; i < pn_policy_listen_count(p); i++) {
        struct pn_listen listen;
        pn_policy_listen(p, i, &listen);
        for (size_t n = 0; n < listen.proxy_count; n++)
            sink += pn_policy_listen_proxy(p, i, n).bits;
    }
    for (size_t i = 0; i < pn_policy_tls_count(p); i++) {
        struct pn_tls_row tls;
        pn_policy_tls(p, i, &tls);
        eat(tls.name);
        eat(tls.certificate);
    }
    read_plugins(p);
    decide_all(p, pool);
    expand_all(p, pool);
    read_mailboxes(p);
    pn_pool_free(&pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct kit k;
    static struct pn_str whole;
    if (whole.len == 0) {
        kit_open(&k, text, "");
        if (k.policy == NULL)
            abort();
        read_all(k.policy);
        whole = pn_buf_str(&k.image);
    }
    char *copy = malloc(whole.len);
    struct pn_buf err;
    if (copy == NULL)
        return 0;
    memcpy(copy, whole.p, whole.len);
    for (size_t i = 0; i + 5 <= size && i < 5 * 64; i += 5) {
        uint32_t at;
        memcpy(&at, data + i, sizeof at);
        copy[at % whole.len] = (char)data[i + 4];
    }
    pn_buf_init(&err, 1000);
    struct pn_policy *p = pn_policy_of((struct pn_str){copy, whole.len}, &err);
    if (p != NULL)
        read_all(p);
    pn_policy_unref(&p);
    pn_buf_fini(&err);
    free(copy);
    return 0;
}
