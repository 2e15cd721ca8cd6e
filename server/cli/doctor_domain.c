/* What others ask about a domain before they take its mail, and when they answer it. */
#include "doctor.h"

#include "cli.h"
#include "sign.h"
#include "sign_key.h"
#include "signkey.h"

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TXT_STRING = 255, WORDS_MAX = 32 };

/* ---- where its mail goes ---- */

static bool leads_to_us(struct doctor *d, struct pn_str host)
{
    if (pn_str_ieq(host, d->hostname))
        return true;
    for (size_t i = 0; i < d->address_count; i++) {
        const struct pn_ip *ip = &d->addresses[i];
        bool v4 = pn_ip_is_v4(ip);
        struct pn_dns_answer a = doctor_ask(d, v4 ? PN_DNS_A : PN_DNS_AAAA, "%.*s", PN_FMT(host));
        for (uint32_t n = 0; n < a.count; n++)
            if (memcmp(a.records[n].data.p, v4 ? (const void *)pn_ip_v4(ip) : (const void *)ip,
                       a.records[n].data.len) == 0)
                return true;
    }
    return false;
}

/* RFC 5321, section 5.1: a host with addresses, and no alias. */
static void look_at_host(struct doctor *d, struct pn_str domain, struct pn_str host)
{
    struct pn_dns_answer a = doctor_ask(d, PN_DNS_A, "%.*s", PN_FMT(host));
    struct pn_dns_answer aaaa = doctor_ask(d, PN_DNS_AAAA, "%.*s", PN_FMT(host));
    if (a.count + aaaa.count == 0 && (doctor_unsure(&a) || doctor_unsure(&aaaa)))
        doctor_say(d, DOCTOR_NOTE, "mx", "%.*s: %s", PN_FMT(host), doctor_none(&a));
    else if (a.count + aaaa.count == 0)
        doctor_say(d, DOCTOR_FIX, "mx", "%.*s names %.*s, which has no address", PN_FMT(domain),
                   PN_FMT(host));
    else if (a.target.len > 0 || aaaa.target.len > 0)
        doctor_say(d, DOCTOR_FIX, "mx", "%.*s names %.*s, which is an alias (CNAME): name the host",
                   PN_FMT(domain), PN_FMT(host));
    else if (leads_to_us(d, host))
        doctor_say(d, DOCTOR_OK, "mx", "%.*s names %.*s, this server", PN_FMT(domain),
                   PN_FMT(host));
    else
        doctor_say(d, DOCTOR_OK, "mx", "%.*s names %.*s, another server", PN_FMT(domain),
                   PN_FMT(host));
}

static void look_at_mx(struct doctor *d, struct pn_str domain)
{
    struct pn_dns_answer mx = doctor_ask(d, PN_DNS_MX, "%.*s", PN_FMT(domain));
    bool ours = false;
    for (uint32_t i = 0; i < mx.count; i++) {
        struct pn_str host = pn_str_slice(mx.records[i].data, 2, mx.records[i].data.len);
        if (host.len == 0 || pn_str_eq(host, PN_STR("."))) {
            doctor_say(d, DOCTOR_FIX, "mx", "%.*s says that it takes no mail (null MX)",
                       PN_FMT(domain));
            ours = true;
            continue;
        }
        look_at_host(d, domain, host);
        ours |= leads_to_us(d, host);
    }
    if (doctor_unsure(&mx)) {
        doctor_say(d, DOCTOR_NOTE, "mx", "%.*s: %s", PN_FMT(domain), doctor_none(&mx));
    } else if (mx.count == 0 || !ours) {
        if (mx.count == 0)
            doctor_say(d, DOCTOR_FIX, "mx", "%.*s has none", PN_FMT(domain));
        else
            doctor_say(d, DOCTOR_NOTE, "mx", "none of %.*s leads here", PN_FMT(domain));
        doctor_publish(d, "%.*s. IN MX 10 %.*s.", PN_FMT(domain), PN_FMT(d->hostname));
    }
}

/* ---- SPF, by the same plugin that others' mail is judged by ---- */

static char *text_of_ip(const struct pn_ip *ip, char text[PN_IP_TEXT_MAX])
{
    (void)pn_ip_text(ip, text);
    return text;
}

/* What `postern scan` says of a mail from the domain by that address; NULL: nothing. */
static json_t *scan(const struct doctor *d, struct pn_str domain, const struct pn_ip *ip)
{
    static const char mail[] = "From: postmaster\r\n\r\n";
    char address[PN_IP_TEXT_MAX], host[DOCTOR_NAME_MAX], from[2 * DOCTOR_NAME_MAX];
    const char *words[WORDS_MAX] = {"postern", "scan", "--json", "--plugins", "spf"};
    size_t n = 5;
    int in[2], out[2];
    (void)snprintf(host, sizeof host, "%.*s", PN_FMT(d->hostname));
    (void)snprintf(from, sizeof from, "postmaster@%.*s", PN_FMT(domain));
    const char *const more[][2] = {
        {"--config", d->config}, {"--dns", d->dns_path}, {"--ip", text_of_ip(ip, address)},
        {"--helo", host},        {"--from", from},       {"--rcpt", from}};
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
        if (more[i][1] != NULL) {
            words[n++] = more[i][0];
            words[n++] = more[i][1];
        }
    words[n++] = "-";
    if (pipe2(in, O_CLOEXEC) != 0)
        return NULL;
    if (pipe2(out, O_CLOEXEC) != 0) {
        (void)close(in[0]);
        (void)close(in[1]);
        return NULL;
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(in[0], STDIN_FILENO);
        (void)dup2(out[1], STDOUT_FILENO);
        (void)execv("/proc/self/exe", (char *const *)(uintptr_t)(const void *)words);
        _exit(127);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    (void)!write(in[1], mail, sizeof mail - 1);
    (void)close(in[1]);
    FILE *f = fdopen(out[0], "r");
    json_t *said = f == NULL ? NULL : json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL);
    if (f != NULL)
        (void)fclose(f);
    int status;
    if (pid > 0)
        (void)waitpid(pid, &status, 0);
    return said;
}

static const char *spf_of(const json_t *said)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(json_object_get(said, "auth"), "spf"), i, one)
    {
        const char *identity = json_string_value(json_object_get(one, "identity"));
        if (identity != NULL && strcmp(identity, "mailfrom") == 0)
            return json_string_value(json_object_get(one, "result"));
    }
    return NULL;
}

static void publish_spf(struct doctor *d, struct pn_str domain)
{
    struct pn_buf b;
    char text[PN_IP_TEXT_MAX];
    pn_buf_init(&b, 4000);
    for (size_t i = 0; i < d->address_count; i++)
        (void)pn_buf_addf(&b, " ip%d:%s", pn_ip_is_v4(&d->addresses[i]) ? 4 : 6,
                          text_of_ip(&d->addresses[i], text));
    doctor_publish(d, "%.*s. IN TXT \"v=spf1 mx%.*s -all\"", PN_FMT(domain),
                   PN_FMT(pn_buf_str(&b)));
    pn_buf_fini(&b);
}

/* An address that nobody has: who lets it send lets anybody. */
static bool lets_anybody(const struct doctor *d, struct pn_str domain)
{
    struct pn_ip nobody;
    if (!pn_ip_parse(PN_STR("240.0.0.1"), &nobody))
        return false;
    json_t *said = scan(d, domain, &nobody);
    const char *result = spf_of(said);
    bool lets = result != NULL && strcmp(result, "pass") == 0;
    json_decref(said);
    return lets;
}

static void look_at_spf(struct doctor *d, struct pn_str domain)
{
    bool wrong = lets_anybody(d, domain);
    if (wrong)
        doctor_say(d, DOCTOR_FIX, "spf", "%.*s lets anybody send its mail, forgers too",
                   PN_FMT(domain));
    for (size_t i = 0; i < d->address_count; i++) {
        char text[PN_IP_TEXT_MAX];
        json_t *said = scan(d, domain, &d->addresses[i]);
        const char *result = spf_of(said);
        (void)text_of_ip(&d->addresses[i], text);
        if (result == NULL || strcmp(result, "temperror") == 0) {
            doctor_say(d, DOCTOR_NOTE, "spf", "%.*s: it could not be looked at", PN_FMT(domain));
        } else if (strcmp(result, "pass") == 0) {
            doctor_say(d, DOCTOR_OK, "spf", "%.*s lets %s send its mail", PN_FMT(domain), text);
        } else {
            wrong = true;
            doctor_say(d, DOCTOR_FIX, "spf", "%.*s, of mail by %s: %s", PN_FMT(domain), text,
                       strcmp(result, "none") == 0 ? "there is no record" : result);
        }
        json_decref(said);
    }
    if (wrong)
        publish_spf(d, domain);
    if (d->address_count == 0)
        doctor_say(d, DOCTOR_NOTE, "spf", "%.*s: no address of ours to ask for", PN_FMT(domain));
}

/* ---- DKIM ---- */

/* The value of p= without white space, or {NULL}. DMARC's records have one, too. */
static struct pn_str p_in(struct doctor *d, struct pn_str record)
{
    while (record.p != NULL) {
        struct pn_str tag = pn_str_trim(pn_str_split(&record, ';'));
        struct pn_str name = pn_str_trim(pn_str_split(&tag, '='));
        if (!pn_str_eq(name, PN_STR("p")) || tag.p == NULL)
            continue;
        char *value = pn_pool_alloc(d->pool, tag.len + 1);
        size_t n = 0;
        for (size_t i = 0; value != NULL && i < tag.len; i++)
            if (tag.p[i] != ' ' && tag.p[i] != '\t')
                value[n++] = tag.p[i];
        return (struct pn_str){value, n};
    }
    return (struct pn_str){NULL, 0};
}

static void publish_key(struct doctor *d, struct pn_str selector, struct pn_str domain,
                        struct pn_str record)
{
    struct pn_buf b;
    pn_buf_init(&b, 16 * 1024);
    for (size_t at = 0; at < record.len; at += TXT_STRING)
        (void)pn_buf_addf(&b, " \"%.*s\"", PN_FMT(pn_str_slice(record, at, at + TXT_STRING)));
    doctor_publish(d, "%.*s._domainkey.%.*s. IN TXT%.*s", PN_FMT(selector), PN_FMT(domain),
                   PN_FMT(pn_buf_str(&b)));
    pn_buf_fini(&b);
}

static void compare_key(struct doctor *d, struct pn_str selector, struct pn_str domain,
                        struct pn_str record)
{
    struct pn_dns_answer a =
        doctor_ask(d, PN_DNS_TXT, "%.*s._domainkey.%.*s", PN_FMT(selector), PN_FMT(domain));
    struct pn_str ours = p_in(d, record);
    bool same = false;
    for (uint32_t i = 0; i < a.count; i++)
        same |= pn_str_eq(p_in(d, a.records[i].data), ours);
    if (same && a.count == 1)
        doctor_say(d, DOCTOR_OK, "dkim", "%.*s._domainkey.%.*s is the key we sign with",
                   PN_FMT(selector), PN_FMT(domain));
    else if (doctor_unsure(&a))
        doctor_say(d, DOCTOR_NOTE, "dkim", "%.*s._domainkey.%.*s: %s", PN_FMT(selector),
                   PN_FMT(domain), doctor_none(&a));
    else
        doctor_say(d, DOCTOR_FIX, "dkim", "%.*s._domainkey.%.*s: %s", PN_FMT(selector),
                   PN_FMT(domain),
                   a.count == 0  ? "not published, so our signatures fail"
                   : a.count > 1 ? "several records, of which none counts for sure"
                                 : "another key than the one we sign with");
    if (!doctor_unsure(&a) && (!same || a.count != 1))
        publish_key(d, selector, domain, record);
}

static void look_at_key(struct doctor *d, struct pn_str domain, const struct pn_sign_row *row)
{
    char path[PATH_MAX];
    EVP_PKEY *key = NULL;
    bool open_to_others = false;
    struct pn_buf record;
    if (row->file.len > 0)
        (void)snprintf(path, sizeof path, "%.*s", PN_FMT(row->file));
    else
        (void)snprintf(path, sizeof path, "%s%s/%.*s._domainkey.%.*s.pem",
                       d->root == NULL ? "" : d->root, PN_DKIM_FOLDER, PN_FMT(row->selector),
                       PN_FMT(domain));
    pn_buf_init(&record, 16 * 1024);
    if (pn_signkey_load(AT_FDCWD, path, &key, &open_to_others) != 0)
        doctor_say(d, DOCTOR_NOTE, "dkim", "%s can't be read: run this as root", path);
    else if (!pn_sign_key_record(key, &record))
        doctor_say(d, DOCTOR_FIX, "dkim", "%s is no key for DKIM", path);
    else
        compare_key(d, row->selector, domain, pn_buf_str(&record));
    if (open_to_others)
        doctor_say(d, DOCTOR_FIX, "dkim", "%s: others than its owner may use this key: chmod 600",
                   path);
    EVP_PKEY_free(key);
    pn_buf_fini(&record);
}

static void look_at_dkim(struct doctor *d, struct pn_str domain)
{
    size_t block;
    if (!pn_policy_sign_find(d->policy, domain, &block)) {
        doctor_say(d, DOCTOR_FIX, "dkim",
                   "mail of %.*s is not signed: postern dkim new %.*s, then sign \"%.*s\" { key }",
                   PN_FMT(domain), PN_FMT(domain), PN_FMT(domain));
        return;
    }
    struct pn_str signs = pn_policy_sign_domain(d->policy, block);
    for (size_t i = 0; i < pn_policy_sign_key_count(d->policy, block); i++) {
        struct pn_sign_row row;
        pn_policy_sign_key(d->policy, block, i, &row);
        look_at_key(d, signs, &row);
    }
}

/* ---- DMARC ---- */

static bool asks_for_something(struct doctor *d, struct pn_str record)
{
    struct pn_str p = p_in(d, record);
    return p.p != NULL && (pn_str_ieq(p, PN_STR("none")) || pn_str_ieq(p, PN_STR("quarantine")) ||
                           pn_str_ieq(p, PN_STR("reject")));
}

static void look_at_dmarc(struct doctor *d, struct pn_str domain)
{
    struct pn_dns_answer a = doctor_ask(d, PN_DNS_TXT, "_dmarc.%.*s", PN_FMT(domain));
    struct pn_str record = {NULL, 0};
    size_t count = 0;
    for (uint32_t i = 0; i < a.count; i++)
        if (pn_str_starts(a.records[i].data, PN_STR("v=DMARC1"))) {
            record = a.records[i].data;
            count++;
        }
    if (doctor_unsure(&a)) {
        doctor_say(d, DOCTOR_NOTE, "dmarc", "_dmarc.%.*s: %s", PN_FMT(domain), doctor_none(&a));
    } else if (count == 1 && asks_for_something(d, record)) {
        doctor_say(d, DOCTOR_OK, "dmarc", "_dmarc.%.*s says %.*s", PN_FMT(domain), PN_FMT(record));
    } else {
        doctor_say(d, DOCTOR_FIX, "dmarc", "_dmarc.%.*s: %s", PN_FMT(domain),
                   count > 1    ? "several records, of which none counts"
                   : count == 1 ? "its p= is none of none, quarantine and reject"
                                : "none; large receivers ask for one");
        doctor_publish(d, "_dmarc.%.*s. IN TXT \"v=DMARC1; p=none; rua=mailto:postmaster@%.*s\"",
                       PN_FMT(domain), PN_FMT(domain));
    }
}

void doctor_domain(struct doctor *d, struct pn_str domain)
{
    look_at_mx(d, domain);
    look_at_spf(d, domain);
    look_at_dkim(d, domain);
    look_at_dmarc(d, domain);
}
