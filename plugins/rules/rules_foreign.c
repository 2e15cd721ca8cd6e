/* Lines that are no rules: settings of SpamAssassin and its plugins, and who does that here. */
#include "rules_read.h"

/* The line's first word begins so; the first that fits counts. */
static const struct {
    const char *word, *why;
} foreign[] = {
    {"askdns", "asks DNS: dnsbl's work"},
    {"urirhs", "asks DNS: dnsbl's work"},
    {"urinsrhs", "asks DNS: dnsbl's work"},
    {"urifullnsrhs", "asks DNS: dnsbl's work"},
    {"uridns", "asks DNS: dnsbl's work"},
    {"urins", "asks DNS: dnsbl's work"},
    {"dns_", "asks DNS: dnsbl's work"},
    {"asn_", "asks DNS: not done here"},
    {"hashbl_", "asks DNS: dnsbl's work"},
    {"skip_rbl_checks", "asks DNS: dnsbl's work"},
    {"rbl_timeout", "asks DNS: dnsbl's work"},
    {"url_shortener", "asks the network: not done here"},
    {"adsp_", "a test of DKIM: dkim's and dmarc's work"},
    {"dkim_", "a test of DKIM: dkim's and dmarc's work"},
    {"spf_", "a test of SPF: spf's work"},
    {"def_welcomelist_", "a list of senders: the policy's `allow from`"},
    {"def_whitelist_", "a list of senders: the policy's `allow from`"},
    {"welcomelist_", "a list of senders: the policy's `allow from`"},
    {"whitelist_", "a list of senders: the policy's `allow from`"},
    {"unwelcomelist_", "a list of senders: the policy's `allow from`"},
    {"unwhitelist_", "a list of senders: the policy's `allow from`"},
    {"blocklist_", "a list of senders: the policy's list rules"},
    {"blacklist_", "a list of senders: the policy's list rules"},
    {"unblocklist_", "a list of senders: the policy's list rules"},
    {"unblacklist_", "a list of senders: the policy's list rules"},
    {"all_spam_to", "a list of recipients: the policy's work"},
    {"more_spam_to", "a list of recipients: the policy's work"},
    {"bayes_", "learning: not done here"},
    {"use_", "a switch of SpamAssassin's own plugins"},
    {"auto_", "learning: not done here"},
    {"txrep_", "learning: not done here"},
    {"razor_", "asks the network: not done here"},
    {"pyzor_", "asks the network: not done here"},
    {"dcc_", "asks the network: not done here"},
    {"shortcircuit", "an order of rules: all are run"},
    {"required_score", "a threshold: the policy's `junk at`"},
    {"add_header", "SpamAssassin's own output"},
    {"remove_header", "SpamAssassin's own output"},
    {"clear_", "SpamAssassin's own output"},
    {"report", "SpamAssassin's own output"},
    {"unsafe_report", "SpamAssassin's own output"},
    {"rewrite_header", "SpamAssassin's own output"},
    {"fold_headers", "SpamAssassin's own output"},
    {"subjprefix", "SpamAssassin's own output"},
    {"loadplugin", "code of Perl"},
    {"tryplugin", "code of Perl"},
    {"ok_", "languages and charsets a user reads: not asked for here"},
    {"fns_", "a setting of FromNameSpoof, which is not known here"},
    {"originating_ip_headers", "headers of web mailers: not looked at for relays"},
};

void reader_foreign(struct reader *r, struct postern_str word)
{
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
        if (rules_starts(word, (struct postern_str){foreign[i].word, strlen(foreign[i].word)})) {
            reader_skip(r, foreign[i].why);
            return;
        }
    reader_skip(r, "setting that is not for rules");
}
