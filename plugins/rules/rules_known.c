#define PCRE2_CODE_UNIT_WIDTH 8
#include "rules_known.h"

#include <pcre2.h>

#define NUMBER "(?:\\d{1,3}\\.){3}\\d{1,3}"

static const struct {
    const char *text;
    uint32_t options;
} patterns[RULES_KNOWN] = {
    [RULES_K_TEMPLATE] = {"%[A-Z][A-Z_-]", 0},
    [RULES_K_TEMPLATE_FIELD] = {"^(?:x-vms-to|x-uidl|x-face|to|cc|from|subject|references|"
                                "in-reply-to|(?:x-|resent-|x-original-)?message-id):",
                                PCRE2_CASELESS},
    [RULES_K_CAPS_CHARSET] = {"(?:koi|jp|jis|euc|gb|big5|isoir|cp1251|windows-1251|georgianps|"
                              "pt154|tis)",
                              PCRE2_CASELESS},
    [RULES_K_ROBOT_ID] = {"<[A-Z]{28}\\.([^>]+)>", 0},
    [RULES_K_OUTLOOK_ID] = {"^<[0-9a-f]{4}([0-9a-f]{8})(?:\\$[0-9a-f]{8}){2}@", 0},
    [RULES_K_DATE] = {"(\\s.?\\d+ \\S{3} \\d+ \\d+:\\d+:\\d+ \\S+)", 0},
    [RULES_K_LOCAL_RECEIVED] = {"\\bfrom (?:localhost\\s|(?:\\S+ ){1,2}\\S*\\b127\\.0\\.0\\.1\\b)|"
                                "qmail \\d+ invoked by uid \\d",
                                0},
    [RULES_K_FETCHED] = {"\\bby localhost with \\w+ \\(fetchmail-[\\d.]", 0},
    [RULES_K_EZMLM] = {"^contact \\S+@\\S+; run by ezmlm$", PCRE2_MULTILINE},
    [RULES_K_EZMLM_TO] = {"^mailing list \\S+@\\S", PCRE2_MULTILINE},
    [RULES_K_QMAIL] = {"qmail \\d+ invoked (?:from network|by .{3,20})\\); \\d+ \\w{3} \\d", 0},
    [RULES_K_MSN_GROUPS] = {"from groups\\.msn\\.com \\(\\S+\\.msn\\.com ", 0},
    [RULES_K_HOTMAIL_PICKUP] = {"from mail pickup service by hotmail\\.com with Microsoft SMTPSVC;",
                                0},
    [RULES_K_HOTMAIL_RELAY] =
        {"from (?:\\S*\\.)?hotmail.com \\(\\S+\\.hotmail(?:\\.msn)?\\.com[ )]", 0},
    [RULES_K_HOTMAIL_BARE] = {"from \\S*\\.hotmail.com \\(\\[" NUMBER "\\][ ):]", 0},
    [RULES_K_HOTMAIL_HTTP] = {"from \\S+ by \\S+\\.hotmail(?:\\.msn)?\\.com with HTTP;", 0},
    [RULES_K_HOTMAIL_YAHOO] = {"from \\[66\\.218\\.\\S+\\] by \\S+\\.yahoo\\.com", 0},
    [RULES_K_HOTMAIL_NAMED] = {"(?:from |HELO |helo=)\\S*hotmail\\.com\\b", 0},
    [RULES_K_YAHOO_RDNS] = {" rdns=\\S+\\.yahoo\\.com ", 0},
    [RULES_K_YAHOO_HTTP] = {"by (?:web\\S+\\.mail\\S*\\.yahoo\\.com via|sonic\\S+\\.consmr\\.mail"
                            "\\S*\\.yahoo\\.com with) HTTP",
                            0},
    [RULES_K_YAHOO_SMTP] = {"by smtp\\S+\\.yahoo\\.com with SMTP", 0},
    [RULES_K_YAHOO_GROUPS] = {"from \\[" NUMBER
                              "\\] by \\S+\\.(?:groups|scd|dcn)\\.yahoo\\.com with NNFMP",
                              0},
    [RULES_K_YAHOO_BULK] = {"\\bmailer\\d+\\.bulk\\.scd\\.yahoo\\.com\\b", 0},
    [RULES_K_YAHOO_ID] =
        {"by \\w+\\.\\w+\\.yahoo\\.com \\([\\d.]+/[\\d.]+\\)(?: with ESMTP)? id \\w", 0},
    [RULES_K_AOL_RELAY] = {" rly-[a-z]{2}\\d\\d\\.", PCRE2_CASELESS},
    [RULES_K_AOL_MARK] = {"/AOL-\\d+\\.\\d+\\.\\d+\\)|ESMTP id (?:RELAY|MAILRELAY|MAILIN)", 0},
    [RULES_K_JUNO] = {"from.*\\b(?:juno|untd)\\.com.*[[(]" NUMBER "[\\])].*by", 0},
    [RULES_K_JUNO_COOKIE] = {" cookie\\.(?:juno|untd)\\.com ", 0},
    [RULES_K_MAILCOM] = {"from.*\\bmail\\.com.*\\[" NUMBER "\\].*by", 0},
    [RULES_K_GMAIL] = {"by 10\\.\\S+ with SMTP id \\S|by 2002:a\\d\\d:\\w+:\\S+ with SMTP id \\S",
                       0},
    [RULES_K_IP] = {"\\b" NUMBER "\\b", 0},
    [RULES_K_NOT_PERSON] = {"^(?:abuse|support|sales|info|helpdesk|contact|kontakt|"
                            "(?:post|host|domain)master|undisclosed.*|request-[a-f0-9]{16}|"
                            "bounced?-|[a-f0-9]{8}(?:\\.[a-f0-9]{8}|(?:-[a-f0-9]{4}){3}-[a-f0-9]"
                            "{12})|.+=.+=.+)@",
                            PCRE2_CASELESS},
    [RULES_K_BULK_SENDER] = {"(?:^(?:post|host|domain)master|^double-bounce|"
                             "^(?:sentto|owner|return|(?:gr)?bounced?)-.+|"
                             "-(?:request|bounces?|admin|owner)|\\b(?:do[._-t]?)?no[._-t]?repl"
                             "(?:y|ies)|.+=.+)@",
                             PCRE2_CASELESS},
    [RULES_K_HOST_NAME] = {"^\\w+(?:[\\w.-]+\\.)+\\w+$", 0},
    [RULES_K_BIG_HELO] = {"(?:\\.|^)(?:(?:lycos|hotmail|localhost|excite|caramail|cs|aol|msn|yahoo|"
                          "drizzle)\\.com|lycos\\.co\\.uk)$",
                          PCRE2_CASELESS},
    [RULES_K_BASE64_LINE] = {"^(?:[A-Za-z0-9+/=]{60,76} ){2}", 0},
    [RULES_K_STOCK_LINE] = {"^\\s*([^:\\s][^:\\n]{2,29})\\s*:\\s*\\S", PCRE2_MULTILINE},
    [RULES_K_STOCK_WORD] = {"(^trad(?:e|ing)date|company(?:name)?|"
                            "s\\w?(?:t\\w?o\\w?c\\w?k|y\\w?m(?:\\w?b\\w?o\\w?l)?)|t(?:arget|icker)|"
                            "(?:opening|current)p(?:rice)?|p(?:rojected|osition)|expectations|"
                            "weeks?high|marketperformance|"
                            "(?:year|week|month|day|price)(?:target|estimates?)|sector|"
                            "r(?:ecommendation|ating))$",
                            0},
    [RULES_K_HTTPS] = {"https://([^\\s/:?#]+)", PCRE2_CASELESS},
    [RULES_K_HTTP_IP] = {"^https?:/*(?:[^@/]+@)?" NUMBER, PCRE2_CASELESS},
    [RULES_K_REPLY_MARKS] = {"^(?:(?:re|fwd|fw|aw|antwort|wg|sv|vb|vs|vl):\\s*)+", PCRE2_CASELESS}};

bool rules_known_compile(void *codes[RULES_KNOWN])
{
    for (size_t i = 0; i < RULES_KNOWN; i++) {
        int error;
        size_t offset;

        codes[i] = pcre2_compile((PCRE2_SPTR)patterns[i].text, PCRE2_ZERO_TERMINATED,
                                 patterns[i].options, &error, &offset, NULL);
        if (codes[i] == NULL)
            return false;
        (void)pcre2_jit_compile(codes[i], PCRE2_JIT_COMPLETE);
    }
    return true;
}

void rules_known_free(void *codes[RULES_KNOWN])
{
    for (size_t i = 0; i < RULES_KNOWN; i++)
        pcre2_code_free(codes[i]);
}

enum { MATCH_LIMIT = 100000 };

bool rules_known_next(const struct rules_set *set, enum rules_known k, struct postern_str s,
                      size_t *at, struct postern_str *capture)
{
    pcre2_match_data *data = pcre2_match_data_create(2, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    int n = 0;

    if (data != NULL && context != NULL && *at <= s.len) {
        (void)pcre2_set_match_limit(context, MATCH_LIMIT);
        n = pcre2_match(set->known[k], (PCRE2_SPTR)(s.p == NULL ? "" : s.p), s.len, *at, 0, data,
                        context);
    }
    if (n > 0) {
        const size_t *o = pcre2_get_ovector_pointer(data);

        *at = o[1] > *at ? o[1] : *at + 1;
        if (capture != NULL)
            *capture = n > 1 && o[2] != PCRE2_UNSET ? (struct postern_str){s.p + o[2], o[3] - o[2]}
                                                    : (struct postern_str){NULL, 0};
    }
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    return n > 0;
}

bool rules_known(const struct rules_set *set, enum rules_known k, struct postern_str s)
{
    size_t at = 0;

    return rules_known_next(set, k, s, &at, NULL);
}
