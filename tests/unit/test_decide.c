/* decide(): each rule of the order, what counts, the reasons, and that it is pure. */
#include "unit.h"

#include "clock.h"
#include "kit_policy.h"

#include <stdio.h>

/* A short way to write facts: "NAME" or "NAME:detail" or "NAME:detail@rcpt", parted by
 * blanks; plugin and weight by the name's beginning. */
struct given {
    const char *name, *plugin;
    int32_t weight;
};
static const struct given known[] = {
    {"ALPHA_HIT", "alpha", 2000},    {"ALPHA_MISS", "alpha", -500},
    {"BETA_LISTED", "beta", 4000},   {"GAMMA_VIRUS", "gamma", 20000},
    {"BIG", "alpha", INT32_MAX},     {"SMALL", "alpha", INT32_MIN},
    {"PLUGIN_FAILED", "postern", 0}, {"OTHER", "alpha", 0},
    {"DMARC_REJECT", "alpha", 6000}, {NULL, NULL, 0},
};

static void add_fact(struct pn_facts *facts, struct pn_str word)
{
    size_t at = pn_str_find(word, '@', 0), colon = pn_str_find(word, ':', 0);
    struct pn_fact f = {.rcpt = PN_FACT_ALL_RCPTS, .detail = PN_STR("")};
    if (at != SIZE_MAX) {
        f.rcpt = (uint32_t)(word.p[at + 1] - '0');
        word = pn_str_slice(word, 0, at);
    }
    if (colon != SIZE_MAX) {
        f.detail = pn_str_slice(word, colon + 1, word.len);
        word = pn_str_slice(word, 0, colon);
    }
    f.name = word;
    const struct given *g = known;
    while (g->name != NULL && !pn_str_eq(pn_str_of(g->name), word))
        g++;
    UNIT_TRUE(g->name != NULL);
    f.plugin = pn_str_of(g->plugin);
    f.weight = g->weight;
    UNIT_TRUE(pn_facts_add_symbol(facts, &f));
}

static void add_facts(struct pn_facts *facts, const char *text)
{
    struct pn_str rest = pn_str_of(text);
    while (rest.p != NULL) {
        struct pn_str word = pn_str_split(&rest, ' ');
        if (word.len != 0)
            add_fact(facts, word);
    }
}

/* "spf=pass:domain" with identity mailfrom, "helo=pass:domain", "dkim=", "dmarc=". */
static void add_auth(struct pn_facts *facts, const char *text)
{
    struct pn_str rest = pn_str_of(text == NULL ? "" : text);
    while (rest.p != NULL) {
        struct pn_str word = pn_str_split(&rest, ' ');
        size_t eq = pn_str_find(word, '=', 0), colon = pn_str_find(word, ':', 0);
        if (word.len == 0)
            continue;
        struct pn_str method = pn_str_slice(word, 0, eq);
        bool helo = pn_str_eq(method, PN_STR("helo"));
        const struct pn_pair pairs[] = {
            {PN_STR("domain"), pn_str_slice(word, colon + 1, word.len)},
            {PN_STR("identity"), helo ? PN_STR("helo") : PN_STR("mailfrom")}};
        const struct pn_auth auth = {.plugin = method,
                                     .method = helo ? PN_STR("spf") : method,
                                     .result = pn_str_slice(word, eq + 1, colon),
                                     .count = 2,
                                     .properties = pairs};
        UNIT_TRUE(pn_facts_add_auth(facts, &auth));
    }
}

struct row {
    const char *label, *policy, *facts, *auth;
    enum pn_outcome want;
    int32_t score;
    const char *reply, *because; /* NULL: not looked at; because: the first one */
    const char *sender, *client, *user;
    bool early;
    const char *held;
};

static void ask(const struct kit *k, const struct row *row, const char *domain,
                struct pn_facts *facts, struct pn_pool *pool, struct pn_decision *out)
{
    struct pn_decide_input in = {.facts = facts,
                                 .sender =
                                     pn_str_of(row->sender == NULL ? "s@sender.test" : row->sender),
                                 .recipient = PN_STR("u@here.test"),
                                 .rcpt = 1,
                                 .auth_id = pn_str_of(row->user == NULL ? "" : row->user),
                                 .held = pn_str_of(row->held == NULL ? "" : row->held),
                                 .early = row->early};
    UNIT_TRUE(pn_ip_parse(pn_str_of(row->client == NULL ? "192.0.2.1" : row->client), &in.client));
    const struct pn_domain *d = pn_policy_domain(k->policy, pn_str_of(domain));
    pn_decide(k->policy, d == NULL ? pn_policy_default_domain(k->policy) : d, &in, pool, out);
}

static void check_row(const struct row *row)
{
    struct kit k;
    struct pn_facts facts;
    struct pn_decision got, again;
    char text[4000];
    unit_row(row->label);
    (void)snprintf(text, sizeof text, "plugins { alpha beta gamma }\n%s", row->policy);
    kit_open(&k, text, "");
    UNIT_STR(kit_problems(&k), PN_STR(""));
    UNIT_TRUE(k.policy != NULL);
    if (k.policy != NULL) {
        pn_facts_init(&facts, k.pool);
        add_facts(&facts, row->facts);
        add_auth(&facts, row->auth);
        ask(&k, row, "here.test", &facts, k.pool, &got);
        UNIT_STR(pn_str_of(pn_outcome_name(got.outcome)), pn_str_of(pn_outcome_name(row->want)));
        UNIT_INT(got.score, row->score);
        if (row->reply != NULL)
            UNIT_STR(got.reply, pn_str_of(row->reply));
        UNIT_TRUE(got.reply.len > 0 && got.because_count > 0);
        if (row->because != NULL && got.because_count > 0) {
            char line[600];
            (void)snprintf(line, sizeof line, "%.*s %.*s", PN_FMT(got.because[0].where),
                           PN_FMT(got.because[0].text));
            UNIT_STR(pn_str_of(line), pn_str_of(row->because));
        }
        ask(&k, row, "here.test", &facts, k.pool, &again);
        UNIT_TRUE(got.outcome == again.outcome && got.score == again.score &&
                  got.because_count == again.because_count && pn_str_eq(got.reply, again.reply));
    }
    kit_close(&k);
}

static void check(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_row(&rows[i]);
}
#define CHECK(rows) check((rows), sizeof(rows) / sizeof((rows)[0]))

#define HERE "domain here.test { recipients any "

static void test_thresholds(void)
{
    static const char all[] = "defaults { junk at 2 quarantine at 4 \"250 2.0.0 Held\" reject at 6 "
                              "\"550 5.7.1 Spam\" }\n" HERE "}";
    static const struct row rows[] = {
        {"no facts, no policy", "", "", NULL, PN_ACCEPT, 0, "250 2.0.0 Taken",
         " no line of the policy speaks against it"},
        {"below all", all, "ALPHA_HIT ALPHA_MISS", NULL, PN_ACCEPT, 1500},
        {"at junk", all, "ALPHA_HIT", NULL, PN_JUNK, 2000, "250 2.0.0 Taken",
         "t.conf:2:12 junk when score >= 2"},
        {"at quarantine", all, "BETA_LISTED", NULL, PN_QUARANTINE, 4000, "250 2.0.0 Held",
         "t.conf:2:22 quarantine when score >= 4"},
        {"at reject", all, "BETA_LISTED ALPHA_HIT", NULL, PN_REJECT, 6000, "550 5.7.1 Spam",
         "t.conf:2:55 reject when score >= 6"},
        {"a domain's own threshold", "defaults { junk at 2 }\n" HERE "junk at 3 }", "ALPHA_HIT",
         NULL, PN_ACCEPT, 2000},
        {"the others stay", "defaults { junk at 2 reject at 9 }\n" HERE "reject at 6 }",
         "ALPHA_HIT", NULL, PN_JUNK, 2000},
        {"general words", "replies { reject \"554 5.7.1 Go away\" }\n" HERE "reject at 1 }",
         "ALPHA_HIT", NULL, PN_REJECT, 2000, "554 5.7.1 Go away"},
        {"a negative threshold", HERE "junk at -0.5 }", "ALPHA_MISS", NULL, PN_JUNK, -500},
        {"never overflows", HERE "reject at 5 }", "BIG:a BIG:b BIG:c", NULL, PN_REJECT, INT32_MAX},
        {"nor below", HERE "reject at 5 }", "SMALL:a SMALL:b", NULL, PN_ACCEPT, INT32_MIN},
        {"sums beyond, then back", HERE "reject at 5 }", "BIG:a BIG:b SMALL:a SMALL:b ALPHA_HIT",
         NULL, PN_ACCEPT, 1998},
    };
    CHECK(rows);
}

static void test_weights(void)
{
    static const struct row rows[] = {
        {"policy's weight wins", HERE "on ALPHA_HIT weight 7 }", "ALPHA_HIT", NULL, PN_ACCEPT,
         7000},
        {"zero is a weight", HERE "on ALPHA_HIT weight 0 }", "ALPHA_HIT", NULL, PN_ACCEPT, 0},
        {"the defaults' weight", "defaults { on ALPHA_HIT weight 3 }\n" HERE "}", "ALPHA_HIT", NULL,
         PN_ACCEPT, 3000},
        {"the domain's before the defaults'",
         "defaults { on ALPHA_HIT weight 3 }\n" HERE "on ALPHA_HIT weight 4 }", "ALPHA_HIT", NULL,
         PN_ACCEPT, 4000},
        {"another domain's does not count",
         "domain other.test { recipients any on ALPHA_HIT weight 9 }\n" HERE "}", "ALPHA_HIT", NULL,
         PN_ACCEPT, 2000},
        {"by detail", HERE "on ALPHA_HIT detail \"zen*\" weight 5 on ALPHA_HIT weight 1 }",
         "ALPHA_HIT:zen.x ALPHA_HIT:other", NULL, PN_ACCEPT, 6000},
        {"details in the order of the file",
         HERE "on ALPHA_HIT weight 1 on ALPHA_HIT detail \"z*\" weight 2 on ALPHA_HIT detail "
              "\"zen*\" weight 4 }",
         "ALPHA_HIT:zen", NULL, PN_ACCEPT, 2000},
        {"a domain's general line before the defaults' detail",
         "defaults { on ALPHA_HIT detail \"z*\" weight 9 }\n" HERE "on ALPHA_HIT weight 1 }",
         "ALPHA_HIT:z", NULL, PN_ACCEPT, 1000},
        {"for this recipient", HERE "}", "ALPHA_HIT@1 BETA_LISTED@0", NULL, PN_ACCEPT, 2000},
        {"for all of them", HERE "}", "ALPHA_HIT:a ALPHA_HIT:b@1", NULL, PN_ACCEPT, 4000},
    };
    CHECK(rows);
}

static void test_actions(void)
{
    static const struct row rows[] = {
        {"reject", HERE "on ALPHA_HIT reject \"550 5.7.1 Hit\" }", "ALPHA_HIT", NULL, PN_REJECT,
         2000, "550 5.7.1 Hit", "t.conf:2:35 on ALPHA_HIT reject"},
        {"not there", HERE "on ALPHA_HIT reject }", "BETA_LISTED", NULL, PN_ACCEPT, 4000},
        {"general words", HERE "on ALPHA_HIT reject }", "ALPHA_HIT", NULL, PN_REJECT, 2000,
         "550 5.7.1 Message refused by policy"},
        {"defer", HERE "on ALPHA_HIT defer }", "ALPHA_HIT", NULL, PN_DEFER, 2000,
         "451 4.7.1 Message deferred by policy, try again later"},
        {"discard says yes", HERE "on ALPHA_HIT discard }", "ALPHA_HIT", NULL, PN_DISCARD, 2000,
         "250 2.0.0 Taken"},
        {"the strictest of two", HERE "on ALPHA_HIT junk on BETA_LISTED quarantine }",
         "ALPHA_HIT BETA_LISTED", NULL, PN_QUARANTINE, 6000},
        {"whatever their order", HERE "on ALPHA_HIT junk on BETA_LISTED quarantine }",
         "BETA_LISTED ALPHA_HIT", NULL, PN_QUARANTINE, 6000},
        {"reject before defer", HERE "on ALPHA_HIT defer on BETA_LISTED reject }",
         "ALPHA_HIT BETA_LISTED", NULL, PN_REJECT, 6000},
        {"an action before thresholds", HERE "on ALPHA_HIT junk reject at 1 }", "ALPHA_HIT", NULL,
         PN_JUNK, 2000},
        {"accept is one too", HERE "on ALPHA_HIT accept reject at 1 }", "ALPHA_HIT", NULL,
         PN_ACCEPT, 2000, NULL, "t.conf:2:35 on ALPHA_HIT accept"},
        {"but the mildest", HERE "on ALPHA_HIT accept on BETA_LISTED junk }",
         "ALPHA_HIT BETA_LISTED", NULL, PN_JUNK, 6000},
        {"the defaults' action", "defaults { on ALPHA_HIT reject }\n" HERE "}", "ALPHA_HIT", NULL,
         PN_REJECT, 2000},
        {"the domain's instead", "defaults { on ALPHA_HIT reject }\n" HERE "on ALPHA_HIT junk }",
         "ALPHA_HIT", NULL, PN_JUNK, 2000},
        {"by detail", HERE "on ALPHA_HIT detail \"zen*\" reject }", "ALPHA_HIT:other", NULL,
         PN_ACCEPT, 2000},
        {"detail matches", HERE "on ALPHA_HIT detail \"zen*\" reject }", "ALPHA_HIT:ZEN.test", NULL,
         PN_REJECT, 2000},
        {"for another recipient", HERE "on ALPHA_HIT reject }", "ALPHA_HIT@0", NULL, PN_ACCEPT, 0},
    };
    CHECK(rows);
}

/* A fact's own words are a stranger's: they are a reply of that kind, or they are not said. */
static void test_its_reply(void)
{
    static const char fallback[] = "550 5.7.1 Ours";
    static const struct {
        const char *label, *detail, *want;
        bool defer;
    } rows[] = {
        {"behind a name", "one: 550 5.7.1 Theirs", "550 5.7.1 Theirs", false},
        {"all of it", "554 5.7.0 Theirs", "554 5.7.0 Theirs", false},
        {"the first that can be said", "a: 551: b: 550 5.1.1 c: d", "550 5.1.1 c: d", false},
        {"no detail", "", fallback, false},
        {"a name", "one", fallback, false},
        {"a code alone", "one: 550", fallback, false},
        {"another class", "one: 451 4.7.1 Theirs", fallback, false},
        {"an enhanced code of another class", "one: 550 4.7.1 Theirs", fallback, false},
        {"no enhanced code", "one: 550 Theirs", "550 Theirs", false},
        {"no parting blank", "one:550 5.7.1 Theirs", fallback, false},
        {"two lines", "one: 550 5.7.1 a\r\n250 b", fallback, false},
        {"a NUL's neighbour", "one: 550 5.7.1 a\x01", fallback, false},
        {"no text of this world", "one: 550 5.7.1 \xff", fallback, false},
        {"defer", "one: 451 4.7.1 Theirs", "451 4.7.1 Theirs", true},
        {"defer by another class", "one: 550 5.7.1 Theirs", "451 4.7.1 Ours", true},
    };
    struct pn_decision got;
    struct kit k;
    kit_open(&k,
             "plugins { alpha }\n" HERE "on ALPHA_HIT reject with its reply \"550 5.7.1 Ours\" "
             "on OTHER defer with its reply \"451 4.7.1 Ours\" }",
             "");
    UNIT_STR(kit_problems(&k), PN_STR(""));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_facts facts;
        const struct pn_fact fact = {.name = pn_str_of(rows[i].defer ? "OTHER" : "ALPHA_HIT"),
                                     .plugin = PN_STR("alpha"),
                                     .detail = pn_str_of(rows[i].detail),
                                     .rcpt = PN_FACT_ALL_RCPTS};
        unit_row(rows[i].label);
        pn_facts_init(&facts, k.pool);
        UNIT_TRUE(pn_facts_add_symbol(&facts, &fact));
        ask(&k, &(struct row){0}, "here.test", &facts, k.pool, &got);
        UNIT_INT(got.outcome, rows[i].defer ? PN_DEFER : PN_REJECT);
        UNIT_STR(got.reply, pn_str_of(rows[i].want));
        UNIT_STR(got.because[0].text,
                 pn_str_of(rows[i].defer ? "on OTHER defer with its reply"
                                         : "on ALPHA_HIT reject with its reply"));
    }
    kit_close(&k);
}

/* What the domain says of a fact takes the place of the action that it inherits. */
static void test_taken_back(void)
{
#define REJECTS "defaults { junk at 6 on ALPHA_HIT reject on ALPHA_HIT weight 5 }\n"
    static const struct row rows[] = {
        {"a domain's weight", REJECTS HERE "on ALPHA_HIT weight 1 }", "ALPHA_HIT", NULL, PN_ACCEPT,
         1000},
        {"weighs as any other", REJECTS HERE "on ALPHA_HIT weight 7 }", "ALPHA_HIT", NULL, PN_JUNK,
         7000, NULL, "t.conf:2:12 junk when score >= 6"},
        {"none leaves the weight", REJECTS HERE "on ALPHA_HIT none }", "ALPHA_HIT", NULL, PN_ACCEPT,
         5000},
        {"none and a weight", REJECTS HERE "on ALPHA_HIT none on ALPHA_HIT weight 2 }", "ALPHA_HIT",
         NULL, PN_ACCEPT, 2000},
        {"a weight and an action of its own",
         REJECTS HERE "on ALPHA_HIT weight 2 on ALPHA_HIT defer }", "ALPHA_HIT", NULL, PN_DEFER,
         2000},
        {"an action leaves the weight", REJECTS HERE "on ALPHA_HIT junk }", "ALPHA_HIT", NULL,
         PN_JUNK, 5000},
        {"not before content either", REJECTS HERE "on ALPHA_HIT none }", "ALPHA_HIT", NULL,
         PN_ACCEPT, 5000, NULL, NULL, NULL, NULL, NULL, true},
        {"of another symbol", REJECTS HERE "on ALPHA_MISS none }", "ALPHA_HIT", NULL, PN_REJECT,
         5000},
        {"another domain's",
         REJECTS "domain other.test { recipients any on ALPHA_HIT none }\n" HERE "}", "ALPHA_HIT",
         NULL, PN_REJECT, 5000},
        {"with a detail, of those facts", REJECTS HERE "on ALPHA_HIT detail \"z*\" none }",
         "ALPHA_HIT:zen", NULL, PN_ACCEPT, 5000},
        {"the others keep it", REJECTS HERE "on ALPHA_HIT detail \"z*\" weight 1 }",
         "ALPHA_HIT:zen ALPHA_HIT:pbl", NULL, PN_REJECT, 6000},
        {"without one, of all",
         "defaults { on ALPHA_HIT detail \"z*\" reject }\n" HERE "on ALPHA_HIT weight 1 }",
         "ALPHA_HIT:zen", NULL, PN_ACCEPT, 1000},
        {"one of its own details", HERE "on ALPHA_HIT reject on ALPHA_HIT detail \"z*\" none }",
         "ALPHA_HIT:zen", NULL, PN_ACCEPT, 2000},
        {"and its own rest", HERE "on ALPHA_HIT reject on ALPHA_HIT detail \"z*\" none }",
         "ALPHA_HIT:pbl", NULL, PN_REJECT, 2000},
        {"none in the defaults is nothing to take back",
         "defaults { on ALPHA_HIT none }\n" HERE "on ALPHA_HIT weight 1 }", "ALPHA_HIT", NULL,
         PN_ACCEPT, 1000},
        {"a later file's weight",
         "include \"postern:strict\"\ndefaults { on DMARC_REJECT weight 4.5 }\n" HERE "}",
         "DMARC_REJECT", NULL, PN_ACCEPT, 4500},
        {"a later file's none",
         "include \"postern:strict\"\ndefaults { on DMARC_REJECT none }\n" HERE "}", "DMARC_REJECT",
         NULL, PN_JUNK, 6000},
        {"an earlier file's weight takes nothing back",
         "defaults { on DMARC_REJECT weight 4 }\ninclude \"postern:strict\"\n" HERE "}",
         "DMARC_REJECT", NULL, PN_REJECT, 6000},
        {"strict, but here", "include \"postern:strict\"\n" HERE "on DMARC_REJECT weight 4 }",
         "DMARC_REJECT", NULL, PN_ACCEPT, 4000},
    };
    CHECK(rows);
}

/* It is said, beside what was decided. */
static void test_taken_back_said(void)
{
    static const struct row row = {"said", NULL, NULL, NULL, PN_ACCEPT, 0};
    static const char *const wants[] = {
        "no line of the policy speaks against it",
        "on ALPHA_HIT none, not 'on ALPHA_HIT reject' of t.conf:1:41", "ALPHA_HIT 2",
        "on ALPHA_HIT weight 2, not 'on ALPHA_HIT "
        "reject' of t.conf:1:41"};
    static const char *const own[] = {"on ALPHA_HIT none", "on ALPHA_HIT weight 2 junk at 1"};
    for (size_t i = 0; i < 2; i++) {
        struct kit k;
        struct pn_facts facts;
        struct pn_decision got;
        char text[400];
        (void)snprintf(
            text, sizeof text,
            "plugins { alpha beta gamma } defaults { on ALPHA_HIT reject }\n" HERE "%s }", own[i]);
        kit_open(&k, text, "");
        UNIT_TRUE(k.policy != NULL);
        if (k.policy == NULL)
            continue;
        pn_facts_init(&facts, k.pool);
        add_facts(&facts, "ALPHA_HIT");
        ask(&k, &row, "here.test", &facts, k.pool, &got);
        UNIT_INT(got.because_count, 2 + i);
        for (size_t n = 0; n < 2 && got.because_count == 2 + i; n++)
            UNIT_STR(got.because[n + i].text, pn_str_of(wants[2 * i + n]));
        kit_close(&k);
    }
}

/* Mail of users who logged in: held where others' would be junk. */
static void test_submitted(void)
{
    static const struct row rows[] = {
        {"junk is held", HERE "junk at 1 }", "ALPHA_HIT", NULL, PN_QUARANTINE, 2000,
         "250 2.0.0 Taken", "t.conf:2:35 junk when score >= 1", .user = "ann"},
        {"by a line on a fact", HERE "on ALPHA_HIT junk }", "ALPHA_HIT", NULL, PN_QUARANTINE, 2000,
         .user = "ann"},
        {"of nobody it stays junk", HERE "junk at 1 }", "ALPHA_HIT", NULL, PN_JUNK, 2000},
        {"refused stays refused", HERE "junk at 1 reject at 2 }", "ALPHA_HIT", NULL, PN_REJECT,
         2000, .user = "ann"},
        {"all of an account", HERE "}", "", NULL, PN_QUARANTINE, 0, "250 2.0.0 Taken", " too much",
         .user = "ann", .held = "too much"},
        {"what is allowed too", HERE "allow auth ann }", "", NULL, PN_QUARANTINE, 0, NULL,
         " too much", .user = "ann", .held = "too much"},
        {"but what is refused", HERE "deny auth ann }", "", NULL, PN_REJECT, 0, .user = "ann",
         .held = "too much"},
        {"not before content", HERE "}", "", NULL, PN_ACCEPT, 0, .user = "ann", .held = "too much",
         .early = true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_row(&rows[i]);
    struct kit k;
    unit_row("which policy");
    kit_open(&k, "domain submitted { recipients any junk at 5 }", "");
    UNIT_TRUE(pn_policy_submitted(k.policy) == pn_policy_default_domain(k.policy));
    UNIT_INT(pn_policy_domain_count(k.policy), 1);
    kit_close(&k);
    kit_open(&k, "submitted { junk at 1 } domain a.test { recipients any }", "");
    UNIT_TRUE(pn_policy_submitted(k.policy) != pn_policy_default_domain(k.policy));
    UNIT_INT(pn_policy_domain_count(k.policy), 1);
    kit_close(&k);
}

static void test_entries(void)
{
    static const struct row rows[] = {
        {"deny from", HERE "deny from \"*@sender.test\" }", "", NULL, PN_REJECT, 0,
         "550 5.7.1 Message refused by policy", "t.conf:2:35 deny from *@sender.test"},
        {"deny with words", HERE "deny from \"*@sender.test\" \"550 5.7.1 You\" }", "", NULL,
         PN_REJECT, 0, "550 5.7.1 You"},
        {"deny another", HERE "deny from \"*@other.test\" }", "", NULL, PN_ACCEPT, 0},
        {"deny client", HERE "deny client 192.0.2.0/24 }", "", NULL, PN_REJECT, 0},
        {"deny mapped client", HERE "deny client 192.0.2.0/24 }", "", NULL, PN_REJECT, 0, NULL,
         NULL, NULL, "::ffff:192.0.2.9"},
        {"deny another client", HERE "deny client 192.0.3.0/24 }", "", NULL, PN_ACCEPT, 0},
        {"deny the null sender", HERE "deny from \"<>\" }", "", NULL, PN_REJECT, 0, NULL, NULL, ""},
        {"which is no address", HERE "deny from \"*@*\" }", "", NULL, PN_ACCEPT, 0, NULL, NULL, ""},
        {"deny auth", HERE "deny auth \"bad*\" }", "", NULL, PN_REJECT, 0, NULL, NULL, NULL, NULL,
         "badger"},
        {"nobody is no user", HERE "deny auth \"*\" }", "", NULL, PN_ACCEPT, 0},
        {"allow before all else but deny", HERE "allow client 192.0.2.1 on ALPHA_HIT reject }",
         "ALPHA_HIT", NULL, PN_ACCEPT, 2000, NULL, "t.conf:2:35 allow client 192.0.2.1"},
        {"deny before allow", HERE "allow client 192.0.2.1 deny from \"*@sender.test\" }", "", NULL,
         PN_REJECT, 0},
        {"the defaults' deny before the domain's allow",
         "defaults { deny client 192.0.2.1 }\n" HERE "allow client 192.0.2.1 }", "", NULL,
         PN_REJECT, 0},
        {"allow before a failed plugin", HERE "allow from \"*@sender.test\" }",
         "PLUGIN_FAILED:alpha", NULL, PN_ACCEPT, 0},
        {"a sender's domain in U-letters",
         HERE "deny from \"*@b\xc3\xbc"
              "cher.test\" }",
         "", NULL, PN_REJECT, 0, NULL,
         "t.conf:2:35 deny from *@b\xc3\xbc"
         "cher.test",
         "a@xn--bcher-kva.test"},
        {"and the other way round", HERE "deny from \"*@*.XN--bcher-kva.test\" }", "", NULL,
         PN_REJECT, 0, NULL, NULL,
         "a@x.b\xc3\xbc"
         "cher.test"},
        {"both so",
         HERE "deny from \"*@B\xc3\x9c"
              "CHER.test\" }",
         "", NULL, PN_REJECT, 0, NULL, NULL,
         "a@b\xc3\xbc"
         "cher.test"},
        {"letters do not matter", HERE "deny from \"*@SENDER.test\" }", "", NULL, PN_REJECT, 0},
    };
    CHECK(rows);
}

static void test_conditions(void)
{
    static const char dmarc[] = HERE "allow from \"*@partner.test\" if dmarc pass reject at 1 }";
    static const char spf[] = HERE "allow from \"*@partner.test\" if spf pass reject at 1 }";
    static const char dkim[] = HERE "allow from \"*@partner.test\" if dkim pass reject at 1 }";
    static const char user[] = HERE "allow from \"boss@partner.test\" if dkim pass reject at 1 }";
    static const struct row rows[] = {
        {"dmarc pass", dmarc, "ALPHA_HIT", "dmarc=pass:partner.test", PN_ACCEPT, 2000, NULL,
         "t.conf:2:35 allow from *@partner.test if dmarc pass", "x@partner.test"},
        {"no result", dmarc, "ALPHA_HIT", NULL, PN_REJECT, 2000, NULL, NULL, "x@partner.test"},
        {"dmarc fail", dmarc, "ALPHA_HIT", "dmarc=fail:partner.test", PN_REJECT, 2000, NULL, NULL,
         "x@partner.test"},
        {"another domain's pass beside a forged reverse-path", dmarc, "ALPHA_HIT",
         "dmarc=pass:evil.test", PN_REJECT, 2000, NULL, NULL, "x@partner.test"},
        {"the author's domain passed, the reverse-path is a newsletter's", dmarc, "ALPHA_HIT",
         "dmarc=pass:partner.test", PN_ACCEPT, 2000, NULL, NULL, "bounce@bulk.test"},
        {"spf pass of the reverse-path", spf, "ALPHA_HIT", "spf=pass:partner.test", PN_ACCEPT, 2000,
         NULL, NULL, "x@partner.test"},
        {"spf pass of a HELO name is another's", spf, "ALPHA_HIT", "helo=pass:partner.test",
         PN_REJECT, 2000, NULL, NULL, "x@partner.test"},
        {"spf pass of another domain", spf, "ALPHA_HIT", "spf=pass:evil.test", PN_REJECT, 2000,
         NULL, NULL, "x@partner.test"},
        {"the second signature", dkim, "ALPHA_HIT", "dkim=pass:list.test dkim=pass:Partner.test",
         PN_ACCEPT, 2000, NULL, NULL, "x@partner.test"},
        {"only strangers' signatures", dkim, "ALPHA_HIT",
         "dkim=pass:list.test dkim=fail:partner.test", PN_REJECT, 2000, NULL, NULL,
         "x@partner.test"},
        {"a signature of a subdomain is not the domain's", dkim, "ALPHA_HIT",
         "dkim=pass:partner.test.evil.test", PN_REJECT, 2000, NULL, NULL, "x@partner.test"},
        {"a sender in U-letters, vouched by its A-label",
         HERE "allow from \"x@b\xc3\xbc"
              "cher.test\" if spf pass reject at 1 }",
         "ALPHA_HIT", "spf=pass:xn--bcher-kva.test", PN_ACCEPT, 2000, NULL, NULL,
         "x@b\xc3\xbc"
         "cher.test"},
        {"and by its U-label",
         HERE "allow from \"*@xn--bcher-kva.test\" if dmarc pass reject at 1 }", "ALPHA_HIT",
         "dmarc=pass:b\xc3\xbc"
         "cher.test",
         PN_ACCEPT, 2000, NULL, NULL, "x@y.test"},
        {"a named sender, vouched", user, "ALPHA_HIT", "dkim=pass:partner.test", PN_ACCEPT, 2000,
         NULL, NULL, "boss@partner.test"},
        {"another sender of that domain", user, "ALPHA_HIT", "dkim=pass:partner.test", PN_REJECT,
         2000, NULL, NULL, "x@partner.test"},
        {"a named sender, another's signature", user, "ALPHA_HIT", "dkim=pass:evil.test", PN_REJECT,
         2000, NULL, NULL, "boss@partner.test"},
    };
    CHECK(rows);
}

static void test_failures(void)
{
    static const struct row rows[] = {
        {"defer", HERE "}", "PLUGIN_FAILED:alpha", NULL, PN_DEFER, 0,
         "451 4.3.0 Message can't be checked now, try again later",
         "t.conf:1:11 plugin alpha failed: on_failure defer"},
        {"skip", HERE "}", "PLUGIN_FAILED:beta", NULL, PN_ACCEPT, 0},
        {"quarantine", HERE "}", "PLUGIN_FAILED:gamma", NULL, PN_QUARANTINE, 0, "250 2.0.0 Taken"},
        {"the strictest", HERE "}", "PLUGIN_FAILED:gamma PLUGIN_FAILED:alpha PLUGIN_FAILED:beta",
         NULL, PN_DEFER, 0},
        {"before actions", HERE "on ALPHA_HIT reject }", "ALPHA_HIT PLUGIN_FAILED:alpha", NULL,
         PN_DEFER, 2000},
        {"a plugin that nobody knows", HERE "}", "PLUGIN_FAILED:ghost", NULL, PN_DEFER, 0},
        {"off here", HERE "plugins off alpha }", "PLUGIN_FAILED:alpha", NULL, PN_ACCEPT, 0},
        {"a fact as any", HERE "on PLUGIN_FAILED weight 3 junk at 3 }", "PLUGIN_FAILED:beta", NULL,
         PN_JUNK, 3000},
    };
    CHECK(rows);
}

static void test_masks(void)
{
    static const struct row rows[] = {
        {"off here", HERE "plugins off alpha junk at 1 }", "ALPHA_HIT", NULL, PN_ACCEPT, 0},
        {"others count", HERE "plugins off alpha junk at 1 }", "ALPHA_HIT BETA_LISTED", NULL,
         PN_JUNK, 4000},
        {"its actions are off too", HERE "plugins off alpha on ALPHA_HIT reject }", "ALPHA_HIT",
         NULL, PN_ACCEPT, 0},
        {"off everywhere", "defaults { plugins off alpha, beta junk at 1 }\n" HERE "}",
         "ALPHA_HIT BETA_LISTED", NULL, PN_ACCEPT, 0},
        {"on again here",
         "defaults { plugins off alpha, beta junk at 1 }\n" HERE "plugins on alpha }",
         "ALPHA_HIT BETA_LISTED", NULL, PN_JUNK, 2000},
        {"off in another domain",
         "domain other.test { recipients any plugins off alpha }\n" HERE "junk at 1 }", "ALPHA_HIT",
         NULL, PN_JUNK, 2000},
    };
    CHECK(rows);
}

static void test_early(void)
{
    static const char hold[] = HERE "allow from \"*@partner.test\" if dmarc pass on ALPHA_HIT "
                                    "reject }";
    static const struct row rows[] = {
        {"on ... reject acts", HERE "on ALPHA_HIT reject }", "ALPHA_HIT", NULL, PN_REJECT, 2000,
         NULL, NULL, NULL, NULL, NULL, true},
        {"on ... defer acts", HERE "on ALPHA_HIT defer }", "ALPHA_HIT", NULL, PN_DEFER, 2000, NULL,
         NULL, NULL, NULL, NULL, true},
        {"on ... junk waits", HERE "on ALPHA_HIT junk }", "ALPHA_HIT", NULL, PN_ACCEPT, 2000, NULL,
         NULL, NULL, NULL, NULL, true},
        {"a milder action hides no stricter one",
         HERE "on ALPHA_HIT discard on BETA_LISTED defer }", "ALPHA_HIT BETA_LISTED", NULL,
         PN_DEFER, 6000, NULL, NULL, NULL, NULL, NULL, true},
        {"thresholds wait", HERE "reject at 1 }", "ALPHA_HIT", NULL, PN_ACCEPT, 2000, NULL, NULL,
         NULL, NULL, NULL, true},
        {"deny acts", HERE "deny client 192.0.2.1 }", "", NULL, PN_REJECT, 0, NULL, NULL, NULL,
         NULL, NULL, true},
        {"allow holds it back", HERE "allow client 192.0.2.1 on ALPHA_HIT reject }", "ALPHA_HIT",
         NULL, PN_ACCEPT, 2000, NULL, NULL, NULL, NULL, NULL, true},
        {"a failure defers", HERE "}", "PLUGIN_FAILED:alpha", NULL, PN_DEFER, 0, NULL, NULL, NULL,
         NULL, NULL, true},
        {"a quarantine waits", HERE "}", "PLUGIN_FAILED:gamma", NULL, PN_ACCEPT, 0, NULL, NULL,
         NULL, NULL, NULL, true},
        {"a condition not known yet holds back", hold, "ALPHA_HIT", NULL, PN_ACCEPT, 2000, NULL,
         NULL, "x@partner.test", NULL, NULL, true},
        {"but not for other senders", hold, "ALPHA_HIT", NULL, PN_REJECT, 2000, NULL, NULL,
         "x@other.test", NULL, NULL, true},
    };
    CHECK(rows);
}

/* Is there anything to wait for before content? */
static void test_acts_early(void)
{
    static const struct {
        const char *label, *policy;
        bool want;
    } rows[] = {
        {"nothing", HERE "}", false},
        {"thresholds", HERE "reject at 1 }", false},
        {"weights", HERE "on ALPHA_HIT weight 5 }", false},
        {"junk", HERE "on ALPHA_HIT junk on BETA_LISTED discard }", false},
        {"entries", HERE "deny client 192.0.2.1 allow from \"*@b.test\" if spf pass }", false},
        {"reject", HERE "on ALPHA_HIT weight 2 on BETA_LISTED reject }", true},
        {"defer", HERE "on ALPHA_HIT defer }", true},
        {"the defaults' lines count", "defaults { on ALPHA_HIT defer }\n" HERE "}", true},
        {"another domain's do not",
         "domain other.test { recipients any on ALPHA_HIT defer }\n" HERE "}", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kit k;
        char text[4000];
        unit_row(rows[i].label);
        (void)snprintf(text, sizeof text, "plugins { alpha beta gamma }\n%s", rows[i].policy);
        kit_open(&k, text, "");
        UNIT_STR(kit_problems(&k), PN_STR(""));
        const struct pn_domain *d = pn_policy_domain(k.policy, PN_STR("here.test"));
        UNIT_TRUE(d != NULL);
        if (d != NULL)
            UNIT_INT(pn_domain_acts_early(k.policy, d), rows[i].want);
        kit_close(&k);
    }
}

/* ---- reasons ---- */

static void test_reasons(void)
{
    struct kit k;
    struct pn_facts facts;
    struct pn_decision got;
    static const struct row row = {.label = "reasons"};
    kit_open(&k,
             "plugins { alpha beta gamma }\n"
             "defaults {\n  reject at 15\n  on ALPHA_HIT weight 3\n}\n" HERE "}",
             "");
    UNIT_TRUE(k.policy != NULL);
    if (k.policy != NULL) {
        pn_facts_init(&facts, k.pool);
        add_facts(&facts, "ALPHA_HIT:zen GAMMA_VIRUS ALPHA_MISS OTHER");
        ask(&k, &row, "here.test", &facts, k.pool, &got);
        UNIT_INT(got.because_count, 3);
        UNIT_STR(got.because[0].where, PN_STR("t.conf:3:3"));
        UNIT_STR(got.because[0].text, PN_STR("reject when score >= 15"));
        UNIT_STR(got.because[1].text, PN_STR("GAMMA_VIRUS 20"));
        UNIT_STR(got.because[1].where, PN_STR(""));
        UNIT_STR(got.because[2].text, PN_STR("ALPHA_HIT 3 (zen)"));
        UNIT_STR(got.because[2].where, PN_STR("t.conf:4:3"));
    }
    kit_close(&k);
}

static void test_many_reasons(void)
{
    struct kit k;
    struct pn_facts facts;
    struct pn_decision got;
    static const struct row row = {.label = "many"};
    kit_open(&k, "plugins { alpha beta gamma } defaults { junk at 1 }", "");
    UNIT_TRUE(k.policy != NULL);
    if (k.policy != NULL) {
        char word[32];
        pn_facts_init(&facts, k.pool);
        for (int i = 0; i < PN_FACTS_SYMBOLS_MAX; i++) {
            (void)snprintf(word, sizeof word, "%s:%d", i % 7 == 0 ? "BETA_LISTED" : "ALPHA_HIT", i);
            add_facts(&facts, word);
        }
        ask(&k, &row, "", &facts, k.pool, &got);
        UNIT_TRUE(got.because_count > 1 && got.because_count <= PN_BECAUSE_MAX);
        UNIT_STR(got.because[1].text, PN_STR("BETA_LISTED 4 (0)"));
        UNIT_INT(got.score, (286 * 4 + (PN_FACTS_SYMBOLS_MAX - 286) * 2) * 1000);
    }
    kit_close(&k);
}

static void test_small_pool(void)
{
    struct kit k;
    struct pn_facts facts;
    struct pn_decision got;
    static const struct row row = {.label = "a pool at its end"};
    struct pn_pool *tiny = pn_pool_new(1);
    kit_open(&k, "plugins { alpha beta gamma } defaults { junk at 1 }", "");
    UNIT_TRUE(k.policy != NULL);
    if (k.policy != NULL) {
        pn_facts_init(&facts, k.pool);
        add_facts(&facts, "ALPHA_HIT");
        ask(&k, &row, "", &facts, tiny, &got);
        UNIT_INT(got.outcome, PN_JUNK);
        UNIT_STR(got.reply, PN_STR("250 2.0.0 Taken"));
    }
    kit_close(&k);
    pn_pool_free(&tiny);
}

/* ---- against a second decide, written the plain way ---- */

static uint32_t random_of(uint32_t *state, uint32_t below)
{
    *state = *state * 1664525U + 1013904223U;
    return (*state >> 8) % below;
}

struct plain {
    int weight[2][3]; /* [defaults, here][symbol], thousands; 99: not set */
    int action[2][3]; /* 6: none; 99: not set */
    int at[2][3];     /* reject, quarantine, junk; 99: not set */
    bool off[3];      /* alpha, beta, gamma here */
};

static const char *const plain_symbols[] = {"ALPHA_HIT", "BETA_LISTED", "GAMMA_VIRUS"};

static void plain_block(const struct plain *p, int b, struct pn_buf *out)
{
    static const char *const at[] = {"reject", "quarantine", "junk"};
    for (int s = 0; s < 3; s++) {
        if (p->weight[b][s] != 99)
            (void)pn_buf_addf(out, "on %s weight %d\n", plain_symbols[s], p->weight[b][s]);
        if (p->action[b][s] != 99)
            (void)pn_buf_addf(
                out, "on %s %s\n", plain_symbols[s],
                p->action[b][s] == 6 ? "none" : pn_outcome_name((enum pn_outcome)p->action[b][s]));
        if (p->at[b][s] != 99)
            (void)pn_buf_addf(out, "%s at %d\n", at[s], p->at[b][s]);
    }
}

static int pick(const int values[2][3], int s)
{
    return values[1][s] != 99 ? values[1][s] : values[0][s];
}

/* -1: nothing. */
static int plain_action(const struct plain *p, int s)
{
    int a = p->action[1][s];
    if (a == 99)
        a = p->weight[1][s] != 99 ? 6 : p->action[0][s];
    return a > 5 ? -1 : a;
}

static enum pn_outcome plain_decide(const struct plain *p, unsigned facts, int *score)
{
    static const int own[] = {2, 4, 20};
    static const enum pn_outcome by_score[] = {PN_REJECT, PN_QUARANTINE, PN_JUNK};
    int action = -1;
    *score = 0;
    for (int s = 0; s < 3; s++) {
        if ((facts >> s & 1) == 0 || p->off[s])
            continue;
        int w = pick(p->weight, s), a = plain_action(p, s);
        *score += w == 99 ? own[s] : w;
        if (a > action)
            action = a;
    }
    if (action >= 0)
        return (enum pn_outcome)action;
    for (int t = 0; t < 3; t++)
        if (pick(p->at, t) != 99 && *score >= pick(p->at, t))
            return by_score[t];
    return PN_ACCEPT;
}

static void plain_make(struct plain *p, uint32_t *state)
{
    for (int b = 0; b < 2; b++) {
        for (int s = 0; s < 3; s++) {
            p->weight[b][s] = random_of(state, 2) ? 99 : (int)random_of(state, 11) - 5;
            p->action[b][s] = random_of(state, 4) ? 99 : (int)random_of(state, 7);
            p->at[b][s] = random_of(state, 2) ? 99 : (int)random_of(state, 12);
        }
    }
    for (int s = 0; s < 3; s++)
        p->off[s] = random_of(state, 5) == 0;
}

static void plain_compare(const struct plain *p)
{
    static const char *const names[] = {"alpha", "beta", "gamma"};
    struct kit k;
    struct pn_buf text;
    static const struct row row = {.label = ""};
    pn_buf_init(&text, SIZE_MAX);
    (void)pn_buf_addz(&text, "plugins { alpha beta gamma }\ndefaults {\n");
    plain_block(p, 0, &text);
    (void)pn_buf_addz(&text, "}\n" HERE "\n");
    plain_block(p, 1, &text);
    for (int s = 0; s < 3; s++)
        if (p->off[s])
            (void)pn_buf_addf(&text, "plugins off %s\n", names[s]);
    (void)pn_buf_addz(&text, "}");
    unit_row(pn_buf_cstr(&text));
    kit_open(&k, pn_buf_cstr(&text), "");
    UNIT_TRUE(k.policy != NULL);
    for (unsigned facts = 0; k.policy != NULL && facts < 8; facts++) {
        struct pn_facts f;
        struct pn_decision got;
        int score;
        pn_facts_init(&f, k.pool);
        for (int s = 0; s < 3; s++)
            if ((facts >> s & 1) != 0)
                add_facts(&f, plain_symbols[s]);
        ask(&k, &row, "here.test", &f, k.pool, &got);
        UNIT_INT(got.outcome, plain_decide(p, facts, &score));
        UNIT_INT(got.score, score * 1000);
    }
    kit_close(&k);
    unit_row("");
    pn_buf_fini(&text);
}

static void test_plain(void)
{
    uint32_t state = 12345;
    for (int i = 0; i < 300; i++) {
        struct plain p;
        plain_make(&p, &state);
        plain_compare(&p);
    }
}

/* Cheap: it is asked for every recipient. The limit leaves room for sanitizers and a busy
 * machine (valgrind too); the release build needs a thousandth of it. */
static void test_speed(void)
{
    enum { ROUNDS = 2000, FACTS = 30 };
    struct kit k;
    struct pn_facts facts;
    struct pn_decision got;
    static const struct row row = {.label = "speed"};
    kit_open(&k, "plugins { alpha beta gamma } include \"postern:default\" " HERE "junk at 7 }",
             "");
    UNIT_TRUE(k.policy != NULL);
    if (k.policy == NULL)
        return;
    pn_facts_init(&facts, k.pool);
    for (int i = 0; i < FACTS; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "RULE_NUMBER_%d", i);
        struct pn_fact f = {.plugin = PN_STR("rules"), .weight = 10};
        f.name = i % 3 == 0 ? PN_STR("SPF_FAIL") : pn_str_of(name);
        f.detail = pn_str_of(name);
        f.rcpt = PN_FACT_ALL_RCPTS;
        UNIT_TRUE(pn_facts_add_symbol(&facts, &f));
    }
    struct pn_pool *pool = pn_pool_new(1024 * 1024);
    uint64_t begin = pn_clock_mono_ns();
    for (int i = 0; i < ROUNDS; i++) {
        ask(&k, &row, "here.test", &facts, pool, &got);
        pn_pool_reset(pool);
    }
    uint64_t each = (pn_clock_mono_ns() - begin) / ROUNDS;
    printf("decide: %llu ns with %zu facts\n", (unsigned long long)each, facts.symbol_count);
    UNIT_TRUE(each < 1000000);
    pn_pool_free(&pool);
    kit_close(&k);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"thresholds", test_thresholds},
        {"weights", test_weights},
        {"actions", test_actions},
        {"its reply", test_its_reply},
        {"an action is taken back", test_taken_back},
        {"and that is said", test_taken_back_said},
        {"deny and allow", test_entries},
        {"submitted", test_submitted},
        {"conditions", test_conditions},
        {"failures", test_failures},
        {"masks", test_masks},
        {"early", test_early},
        {"acts_early", test_acts_early},
        {"reasons", test_reasons},
        {"many reasons", test_many_reasons},
        {"small pool", test_small_pool},
        {"against a plain one", test_plain},
        {"speed", test_speed},
        {NULL, NULL},
    };
    return unit_main("decide", tests, argc, argv);
}
