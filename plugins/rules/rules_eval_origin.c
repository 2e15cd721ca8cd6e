/* Tests of where a message came from: its relays, and what great services write. */
#include "rules_eval.h"
#include "rules_known.h"
#include "rules_text_in.h"

static const struct rules_relays *relays(const struct rules_eval_call *c)
{
    return rules_text_relays(c->text);
}

static bool known(const struct rules_eval_call *c, enum rules_known k, struct postern_str s)
{
    return rules_known(c->text->set, k, s);
}

static struct postern_str get(const struct rules_eval_call *c, const char *spec)
{
    return rules_text_get_one(c->text, spec);
}

static double all_trusted(const struct rules_eval_call *c)
{
    const struct rules_relays *r = relays(c);

    return r->trusted > 0 && r->trusted == r->count && r->unparseable == 0;
}

static double no_relays(const struct rules_eval_call *c)
{
    return relays(c)->count == 0 && relays(c)->unparseable == 0;
}

static double unparseable(const struct rules_eval_call *c)
{
    return relays(c)->unparseable > 0;
}

static bool same_net(struct postern_str a, struct postern_str b)
{
    const char *dot = memrchr(a.p, '.', a.len);
    size_t n = dot == NULL ? a.len : (size_t)(dot - a.p) + 1;

    return b.len >= n && memcmp(a.p, b.p, n) == 0;
}

static double helo_ip_differs(const struct rules_eval_call *c)
{
    const struct rules_relays *r = relays(c);

    for (size_t i = r->trusted; i < r->count; i++) {
        struct postern_str helo = r->relay[i].helo;

        if (rules_is_ipv4(helo) && !rules_ip_is_private(helo) && rules_is_ipv4(r->relay[i].ip) &&
            !r->relay[i].private_ip && !same_net(helo, r->relay[i].ip))
            return 1;
    }
    return 0;
}

static double numeric_helo(const struct rules_eval_call *c)
{
    const struct rules_relays *r = relays(c);

    for (size_t i = r->trusted; i < r->count; i++)
        if (rules_is_ipv4(r->relay[i].helo) && !rules_ip_is_private(r->relay[i].helo))
            return 1;
    return 0;
}

/* The last public relay decides. */
static double big_helo_without_name(const struct rules_eval_call *c)
{
    const struct rules_relays *r = relays(c);
    bool hit = false;

    for (size_t i = r->trusted; i < r->count; i++)
        if (!r->relay[i].private_ip)
            hit = r->relay[i].no_rdns && known(c, RULES_K_BIG_HELO, r->relay[i].helo);
    return hit;
}

/* Two labels, or three below short ones; addresses as they are. */
static struct postern_str domain_of(struct postern_str host)
{
    size_t dots = 0;
    size_t tld = 0;
    bool letters = false;
    size_t want;

    for (size_t i = 0; i < host.len; i++)
        letters |= rules_lower(host.p[i]) >= 'a' && rules_lower(host.p[i]) <= 'z';
    if (!letters)
        return host;
    while (tld < host.len && host.p[host.len - 1 - tld] != '.')
        tld++;
    want = tld > 2 || rules_iends(host, POSTERN_STR(".ie")) ||
                   rules_iends(host, POSTERN_STR(".fr")) || rules_iends(host, POSTERN_STR(".de"))
               ? 2
               : 3;
    for (size_t i = host.len; i-- > 0;)
        if (host.p[i] == '.' && ++dots == want)
            return (struct postern_str){host.p + i + 1, host.len - i - 1};
    return host;
}

/* Each server should be the one that the next one names as its client. */
static double forged_trail(const struct rules_eval_call *c)
{
    const struct rules_relays *r = relays(c);
    unsigned mismatches = 0;

    for (size_t i = r->trusted + 1; i < r->count; i++) {
        struct postern_str by = domain_of(r->relay[i].by);
        struct postern_str before = domain_of(r->relay[i - 1].rdns);

        if (rules_eq(r->relay[i - 1].ip, POSTERN_STR("127.0.0.1")) &&
            rules_istarts(r->relay[i - 1].rdns, POSTERN_STR("localhost")))
            continue;

        if (known(c, RULES_K_HOST_NAME, by) && known(c, RULES_K_HOST_NAME, before) &&
            !rules_ieq(by, before))
            mismatches++;
    }
    return mismatches > 1;
}

static bool names_domain(struct postern_str host, struct postern_str domain)
{
    return rules_iends(host, domain) &&
           (host.len == domain.len || host.p[host.len - domain.len - 1] == '.');
}

/* A relay outside has a name in the sender's domain. */
static double sender_matches_relay(const struct rules_eval_call *c)
{
    const struct rules_relays *r = relays(c);
    struct postern_str from = get(c, "EnvelopeFrom:addr");
    const char *at = from.len == 0 ? NULL : memrchr(from.p, '@', from.len);
    struct postern_str domain;

    if (at == NULL || r->trusted == r->count)
        return 0;
    domain = rules_domain_of(&c->text->set->names,
                             (struct postern_str){at + 1, from.len - (size_t)(at + 1 - from.p)});
    return r->relay[r->trusted].rdns.len > 0 && domain.len > 0 &&
           names_domain(r->relay[r->trusted].rdns, domain);
}

/* ---- what great services write ---- */

/* Received fields, blanks collapsed. */
static struct postern_str received(const struct rules_eval_call *c)
{
    struct postern_str s = get(c, "Received");
    struct postern_str copy = rules_dup(&c->text->arena, s);
    char *p = (char *)(uintptr_t)copy.p;
    size_t n = 0;

    for (size_t i = 0; i < copy.len; i++)
        if (!rules_is_blank(p[i]))
            p[n++] = p[i];
        else if (n == 0 || p[n - 1] != ' ')
            p[n++] = ' ';
    return (struct postern_str){copy.p == NULL ? "" : copy.p, n};
}

static double hidden_received(const struct rules_eval_call *c)
{
    struct postern_str rcvd = get(c, "Received");

    if (known(c, RULES_K_EZMLM, get(c, "Mailing-List")) &&
        known(c, RULES_K_EZMLM_TO, get(c, "Delivered-To")) && known(c, RULES_K_QMAIL, rcvd))
        return 1;
    return rcvd.len == 0 || known(c, RULES_K_MSN_GROUPS, rcvd);
}

/* Is the sender of that domain, or of one that ends in it behind a dot or hyphen? */
static bool is_from(const struct rules_eval_call *c, struct postern_str domain)
{
    struct postern_str from = get(c, "From:addr");

    return rules_iends(from, domain) &&
           (from.len == domain.len || !rules_is_word(from.p[from.len - domain.len - 1]));
}

enum hotmail { NO_HOTMAIL, FORGED_HOTMAIL, WITHOUT_HOTMAIL };

static enum hotmail hotmail(const struct rules_eval_call *c)
{
    struct postern_str rcvd = received(c);
    bool ip = known(c, RULES_K_IP, get(c, "X-Originating-Ip"));

    if (known(c, RULES_K_HOTMAIL_PICKUP, rcvd) || hidden_received(c) != 0)
        return NO_HOTMAIL;
    if (ip && (known(c, RULES_K_HOTMAIL_RELAY, rcvd) || known(c, RULES_K_HOTMAIL_BARE, rcvd) ||
               known(c, RULES_K_HOTMAIL_HTTP, rcvd) || known(c, RULES_K_HOTMAIL_YAHOO, rcvd)))
        return NO_HOTMAIL;
    if (known(c, RULES_K_HOTMAIL_NAMED, rcvd))
        return FORGED_HOTMAIL;
    return is_from(c, POSTERN_STR("hotmail.com")) ? WITHOUT_HOTMAIL : NO_HOTMAIL;
}

static double forged_hotmail(const struct rules_eval_call *c)
{
    return hotmail(c) == FORGED_HOTMAIL;
}

static double without_hotmail(const struct rules_eval_call *c)
{
    return hotmail(c) == WITHOUT_HOTMAIL;
}

static double forged_eudoramail(const struct rules_eval_call *c)
{
    if (!is_from(c, POSTERN_STR("eudoramail.com")) || hidden_received(c) != 0)
        return 0;
    return rules_ifind(received(c), POSTERN_STR("whowhere.com;")).p == NULL ||
           !known(c, RULES_K_IP, get(c, "X-Sender-Ip"));
}

static bool has_yahoo_name(const struct rules_eval_call *c)
{
    const struct rules_relays *r = relays(c);

    for (size_t i = 0; i < r->count && i <= r->trusted; i++)
        if (rules_iends(r->relay[i].rdns, POSTERN_STR(".yahoo.com")))
            return true;
    return false;
}

static double forged_yahoo(const struct rules_eval_call *c)
{
    struct postern_str from = get(c, "From:addr");
    struct postern_str rcvd = received(c);

    if (!is_from(c, POSTERN_STR("yahoo.com")))
        return 0;
    if (get(c, "Resent-From").len > 0 && get(c, "Resent-To").len > 0 &&
        get(c, "X-Received").len > 0)
        rcvd = get(c, "X-Received");
    if (hidden_received(c) != 0 || has_yahoo_name(c))
        return 0;
    return !(
        known(c, RULES_K_YAHOO_HTTP, rcvd) || known(c, RULES_K_YAHOO_SMTP, rcvd) ||
        known(c, RULES_K_YAHOO_GROUPS, rcvd) || known(c, RULES_K_YAHOO_ID, rcvd) ||
        (known(c, RULES_K_YAHOO_BULK, rcvd) && rules_iends(from, POSTERN_STR("@reply.yahoo.com"))));
}

static double forged_juno(const struct rules_eval_call *c)
{
    struct postern_str ip = get(c, "X-Originating-IP");
    struct postern_str mailer = get(c, "X-Mailer");
    struct postern_str rcvd = get(c, "Received");

    if (!is_from(c, POSTERN_STR("juno.com")) || hidden_received(c) != 0)
        return 0;
    if (ip.len > 0)
        return (!known(c, RULES_K_JUNO, rcvd) && !known(c, RULES_K_JUNO_COOKIE, rcvd)) ||
               memmem(mailer.p, mailer.len, "Juno ", 5) == NULL;
    /* Its web mail says where it was read; without that nothing speaks for it. */
    return 1;
}

static double forged_gmail(const struct rules_eval_call *c)
{
    enum { STATE_MIN = 60 };

    if (!is_from(c, POSTERN_STR("gmail.com")))
        return 0;
    return !(
        known(c, RULES_K_GMAIL, get(c, "X-Received")) ||
        rules_ifind(get(c, "Received"), POSTERN_STR("by smtp.googlemail.com with ESMTPSA id ")).p !=
            NULL ||
        (get(c, "X-Gm-Message-State").len >= STATE_MIN &&
         get(c, "X-Google-Smtp-Source").len >= STATE_MIN));
}

static double fake_aol(const struct rules_eval_call *c)
{
    struct postern_str rcvd = received(c);

    return known(c, RULES_K_AOL_RELAY, rcvd) && !known(c, RULES_K_AOL_MARK, rcvd);
}

const struct rules_eval rules_eval_origin[] = {
    {"check_all_trusted", all_trusted, 0, 0, 0, true},
    {"check_no_relays", no_relays, 0, 0, 0, true},
    {"check_relays_unparseable", unparseable, 0, 0, 0, true},
    {"helo_ip_mismatch", helo_ip_differs, 0, 0, 0, true},
    {"check_for_numeric_helo", numeric_helo, 0, 0, 0, true},
    {"check_for_no_rdns_dotcom_helo", big_helo_without_name, 0, 0, 0, true},
    {"check_for_forged_received_trail", forged_trail, 0, 0, 0, true},
    {"check_mailfrom_matches_rcvd", sender_matches_relay, 0, 0, 0, true},
    {"gated_through_received_hdr_remover", hidden_received, 0, 0, 0, false},
    {"check_for_forged_hotmail_received_headers", forged_hotmail, 0, 0, 0, false},
    {"check_for_no_hotmail_received_headers", without_hotmail, 0, 0, 0, false},
    {"check_for_forged_eudoramail_received_headers", forged_eudoramail, 0, 0, 0, false},
    {"check_for_forged_yahoo_received_headers", forged_yahoo, 0, 0, 0, true},
    {"check_for_forged_juno_received_headers", forged_juno, 0, 0, 0, false},
    {"check_for_forged_gmail_received_headers", forged_gmail, 0, 0, 0, false},
    {"check_for_fake_aol_relay_in_rcvd", fake_aol, 0, 0, 0, false},
    {.name = NULL}};
