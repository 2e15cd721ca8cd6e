/*
 * Conditions of a rule file: if, ifplugin, else, endif. What SpamAssassin's plugins and
 * features are here: those whose tests the plugin knows, and those that need the network
 * or learn, whose rules are there but count as not hit.
 */
#include "rules_read.h"

/* SpamAssassin's version whose syntax this is, as "if (version >= 4.0)" wants it. */
static const double version = 4.000001;
static const double perl_version = 5.036;

static bool is_one_of(struct postern_str name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (rules_is(name, list[i]))
            return true;
    return false;
}

static bool is_known_plugin(struct postern_str name)
{
    static const char *const known[] = {"AskDNS",        "AutoLearnThreshold",
                                        "Bayes",         "BodyEval",
                                        "Check",         "DKIM",
                                        "DMARC",         "DNSEval",
                                        "FreeMail",      "HTMLEval",
                                        "HTTPSMismatch", "HashBL",
                                        "HeaderEval",    "ImageInfo",
                                        "MIMEEval",      "MIMEHeader",
                                        "Pyzor",         "Razor2",
                                        "RelayEval",     "ReplaceTags",
                                        "SPF",           "SpamCop",
                                        "URIDNSBL",      "URIDetail",
                                        "URIEval",       "VBounce",
                                        "WLBLEval",      "WelcomeListSubject"};
    static const char prefix[] = "Mail::SpamAssassin::Plugin::";

    if (!rules_starts(name, (struct postern_str){prefix, sizeof(prefix) - 1}))
        return false;
    name.p += sizeof(prefix) - 1;
    name.len -= sizeof(prefix) - 1;
    if (rules_is(name, "Dmarc")) /* older names, as version 4.0.1 reads them */
        name = POSTERN_STR("DMARC");
    else if (rules_is(name, "WhiteListSubject"))
        name = POSTERN_STR("WelcomeListSubject");
    return is_one_of(name, known, sizeof(known) / sizeof(known[0]));
}

/* Those of version 4.0.1's plugins that are known here, but for what we lack. */
static bool is_feature_of_plugin(struct postern_str name)
{
    static const char *const features[] = {"has_all_header",
                                           "has_arc",
                                           "has_capture_rules",
                                           "has_check_abundant_unicode_ratio",
                                           "has_check_body_length",
                                           "has_check_for_ascii_text_illegal",
                                           "has_check_for_spf_errors",
                                           "has_check_qp_ratio",
                                           "has_check_spf_skipped_noenvfrom",
                                           "has_fork",
                                           "has_hashbl_attachments",
                                           "has_hashbl_bodyre",
                                           "has_hashbl_bodyre_num",
                                           "has_hashbl_email_domain",
                                           "has_hashbl_email_domain_alias",
                                           "has_hashbl_email_regex",
                                           "has_hashbl_email_welcomelist",
                                           "has_hashbl_email_whitelist",
                                           "has_hashbl_emails",
                                           "has_hashbl_ignore",
                                           "has_hashbl_sha256",
                                           "has_hashbl_tag",
                                           "has_hashbl_uris",
                                           "has_host_key",
                                           "has_perl",
                                           "has_plaintext_body_sig_ratio",
                                           "has_subtest_for_ranges",
                                           "has_tag_header",
                                           "has_tflags_domains_only",
                                           "has_tflags_ips_only",
                                           "has_tflags_multiple",
                                           "has_tflags_notrim",
                                           "has_uridnsbl_a_ns",
                                           "has_uridnsbl_for_a",
                                           "has_uridnsbl_skip_mailto"};

    return is_one_of(name, features, sizeof(features) / sizeof(features[0]));
}

/* can(X::feature): features of version 4.0.1 itself, "X::has_…" those of a plugin. */
static bool is_known_feature(const struct rules_set *set, struct postern_str name)
{
    static const char *const features[] = {"feature_bug6558_free",
                                           "feature_welcomelist_blocklist",
                                           "feature_capture_rules",
                                           "perl_min_version_5010000",
                                           "feature_dns_block_rule",
                                           "feature_registryboundaries",
                                           "feature_originating_ip_headers",
                                           "feature_yesno_takes_args",
                                           "feature_bayes_auto_learn_on_error",
                                           "feature_edit_distance",
                                           "feature_get_host",
                                           "feature_blocklist_uri_host",
                                           "feature_header_address_parser",
                                           "feature_local_tests_only",
                                           "feature_header_match_many",
                                           "feature_header_first_last",
                                           "has_tflags_nosubject",
                                           "has_tflags_nolog",
                                           "feature_geodb",
                                           "feature_subjprefix",
                                           "feature_bayes_stopwords",
                                           "feature_dns_query_restriction"};
    static const char conf[] = "Mail::SpamAssassin::Conf::";
    size_t at = name.len;

    if (rules_starts(name, (struct postern_str){conf, sizeof(conf) - 1})) {
        name.p += sizeof(conf) - 1;
        name.len -= sizeof(conf) - 1;
        if (rules_starts(name, POSTERN_STR("compat_"))) /* of an "enable_compat" line */
            return rules_names_has(&set->names, RULES_COMPAT,
                                   (struct postern_str){name.p + 7, name.len - 7});
        return is_one_of(name, features, sizeof(features) / sizeof(features[0]));
    }
    while (at > 0 && name.p[at - 1] != ':')
        at--;
    return at > 2 && is_known_plugin((struct postern_str){name.p, at - 2}) &&
           is_feature_of_plugin((struct postern_str){name.p + at, name.len - at});
}

enum { NO, YES, VERSION, PERL_VERSION };

static bool resolve(void *arg, struct postern_str name, struct postern_str argument, uint32_t *out)
{
    const struct rules_set *set = arg;

    *out = NO;
    if (rules_eq(name, POSTERN_STR("version")))
        *out = VERSION;
    else if (rules_eq(name, POSTERN_STR("perl_version")))
        *out = PERL_VERSION;
    else if (rules_eq(name, POSTERN_STR("plugin")))
        *out = is_known_plugin(argument) ? YES : NO;
    else if (rules_eq(name, POSTERN_STR("can")) || rules_eq(name, POSTERN_STR("has")))
        *out = is_known_feature(set, argument) ? YES : NO;
    else if (rules_eq(name, POSTERN_STR("true")) || rules_eq(name, POSTERN_STR("local_tests_only")))
        *out = YES;
    else
        return rules_eq(name, POSTERN_STR("false"));
    return true;
}

static struct rules_value lookup(const void *arg, uint32_t name)
{
    double values[] = {0, 1, version, perl_version};

    (void)arg;
    return (struct rules_value){values[name], true};
}

static void open_if(struct reader *r, bool holds, struct postern_str why)
{
    r->ifs++;
    if (r->skipping == 0 && !holds) {
        r->skipping = r->ifs;
        r->skip_why = why;
    }
}

/* "for Mail::SpamAssassin::Plugin::X, which is not here" */
static struct postern_str why_of(struct reader *r, struct postern_str plugin)
{
    static const char before[] = "for ";
    static const char behind[] = ", which is not known here";
    struct postern_str s;
    char *p = plugin.len > RULES_NAME_MAX
                  ? NULL
                  : rules_alloc(&r->set->arena, plugin.len + sizeof(before) + sizeof(behind));

    if (p == NULL)
        return POSTERN_STR("for a plugin that is not known here");
    s = (struct postern_str){p, 0};
    memcpy(p, before, sizeof(before) - 1);
    s.len += sizeof(before) - 1;
    memcpy(p + s.len, plugin.p, plugin.len);
    s.len += plugin.len;
    memcpy(p + s.len, behind, sizeof(behind) - 1);
    s.len += sizeof(behind) - 1;
    return s;
}

static void read_ifplugin(struct reader *r, struct postern_str rest)
{
    struct postern_str plugin = rules_word(&rest);
    bool known = is_known_plugin(plugin);

    open_if(r, known, known ? POSTERN_STR("") : why_of(r, plugin));
}

static void read_if(struct reader *r, struct postern_str rest)
{
    struct rules_meta m;
    struct rules_arena a = {.used = 0};
    struct rules_value v = {0, false};
    const char *error = rules_meta_compile(&m, rest, &a, resolve, r->set);

    if (error == NULL)
        v = rules_meta_run(&m, lookup, NULL);
    rules_arena_free(&a);
    if (error != NULL && r->skipping == 0)
        reader_skip(r, "condition that is not understood");
    open_if(r, v.known && v.number != 0,
            error != NULL ? POSTERN_STR("under a condition that is not understood")
                          : POSTERN_STR(""));
}

static void read_else(struct reader *r)
{
    if (r->ifs == 0) {
        reader_skip(r, "else without if");
    } else if (r->skipping == 0) {
        r->skipping = r->ifs;
        r->skip_why = POSTERN_STR("");
    } else if (r->skipping == r->ifs) {
        r->skipping = 0;
    }
}

static void read_endif(struct reader *r)
{
    if (r->ifs == 0) {
        reader_skip(r, "endif without if");
        return;
    }
    if (r->skipping == r->ifs)
        r->skipping = 0;
    r->ifs--;
}

bool reader_condition(struct reader *r, struct postern_str word, struct postern_str rest)
{
    if (rules_eq(word, POSTERN_STR("ifplugin")))
        read_ifplugin(r, rest);
    else if (rules_eq(word, POSTERN_STR("if")))
        read_if(r, rest);
    else if (rules_eq(word, POSTERN_STR("else")))
        read_else(r);
    else if (rules_eq(word, POSTERN_STR("endif")))
        read_endif(r);
    else
        return false;
    return true;
}
