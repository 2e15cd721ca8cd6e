/* postern doctor: what makes our mail acceptable to others, and what is in its way. */
#include "doctor.h"

#include "alabel.h"
#include "cli.h"
#include "compiled.h"
#include "grammar.h"
#include "memfile.h"
#include "utf8.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static const char usage[] =
    "usage: postern doctor [-c FILE] [--root DIR] [--address IP]... [--dnsbl ZONE]...\n"
    "                      [--dns FILE] [--json] [DOMAIN...]\n"
    "\n"
    "Looks at what others look at before they take mail from here: this server's name,\n"
    "addresses and their names, certificate, clock, DNSBLs, whether it relays for strangers;\n"
    "and of each domain MX, SPF, DKIM keys and DMARC. Without DOMAIN: those of the\n"
    "configuration. Says ok, fix or note, and the record to publish where one mends it.\n"
    "\n"
    "  -c, --config FILE  default " PN_CONFIG_FILE "\n"
    "      --root DIR     as given to the server\n"
    "      --address IP   by which others know this server; else where it listens\n"
    "      --dnsbl ZONE   one more list to ask about these addresses\n"
    "      --dns FILE     names are looked up there, and nowhere else\n"
    "      --json         a JSON object a finding\n"
    "\n"
    "Exit status: 0 nothing to fix, 1 there is, 2 usage, 3 the configuration or the resolver\n"
    "can't be used.\n";

enum { POOL_MAX = 64 * 1024 * 1024, LINE_MAX_BYTES = 8 * 1024, NAME_WIDTH = 8 };

static const char *const kinds[] = {
    [DOCTOR_OK] = "ok", [DOCTOR_FIX] = "fix", [DOCTOR_NOTE] = "note"};

static void print_json(const char *key, const char *value, const char *what, struct pn_str text)
{
    struct pn_buf out;
    pn_buf_init(&out, SIZE_MAX);
    struct pn_json json = pn_json_to(&out);
    pn_json_object(&json, NULL);
    if (value != NULL)
        pn_json_str(&json, key, pn_str_of(value));
    if (what != NULL)
        pn_json_str(&json, "what", pn_str_of(what));
    pn_json_str(&json, value == NULL ? key : "text", text);
    pn_json_object_end(&json);
    printf("%.*s\n", PN_FMT(pn_buf_str(&out)));
    pn_buf_fini(&out);
}

/* Strangers' words must not reach a terminal as they are. */
static void print_text(struct pn_str text)
{
    struct pn_buf shown;
    pn_buf_init(&shown, SIZE_MAX);
    (void)pn_utf8_add_shown(&shown, text);
    printf("%.*s\n", PN_FMT(pn_buf_str(&shown)));
    pn_buf_fini(&shown);
}

void doctor_say(struct doctor *d, enum finding how, const char *what, const char *fmt, ...)
{
    char text[LINE_MAX_BYTES];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    d->found[how]++;
    if (d->json) {
        print_json("is", kinds[how], what, pn_str_of(text));
        return;
    }
    printf("%-5s %-*s ", kinds[how], NAME_WIDTH, what);
    print_text(pn_str_of(text));
}

void doctor_publish(struct doctor *d, const char *fmt, ...)
{
    char text[LINE_MAX_BYTES];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (d->json)
        print_json("publish", NULL, NULL, pn_str_of(text));
    else
        printf("      publish  %s\n", text);
}

static void look_at_domains(struct doctor *d, char *const *named, int count)
{
    for (int i = 0; i < count; i++) {
        struct pn_alabel room;
        bool utf8;
        struct pn_str name = pn_alabel_domain(pn_str_of(named[i]), &room);
        name = name.p == NULL ? name : pn_dns_name_undotted(name);
        if (name.p == NULL || !pn_smtp_domain_ok(name, &utf8))
            doctor_say(d, DOCTOR_FIX, "domain", "%s can't be a domain", named[i]);
        else
            doctor_domain(d, name);
    }
    for (size_t i = 0; count == 0 && i < pn_policy_domain_count(d->policy); i++) {
        struct pn_str name = pn_policy_domain_name(d->policy, i);
        if (name.len > 0 && name.p[0] != '.') /* of all below one nobody knows the names */
            doctor_domain(d, name);
    }
}

static int run(struct doctor *d, struct pn_compiled *c, char *const *named, int count)
{
    struct pn_buf err;
    pn_buf_init(&err, 64 * 1024);
    int fd = pn_memfile_of("policy", pn_buf_str(&c->image));
    d->policy = c->policy;
    d->hostname = pn_policy_str(c->policy, "smtp.hostname");
    d->pool = pn_pool_new(POOL_MAX);
    d->names = fd < 0 ? NULL : doctor_names_new(d, fd, &err);
    if (d->names == NULL) {
        fprintf(stderr, "postern doctor: names can't be asked: %.*s\n", PN_FMT(pn_buf_str(&err)));
    } else {
        doctor_addresses(d);
        doctor_host(d);
        doctor_tls(d);
        doctor_relay(d);
        look_at_domains(d, named, count);
    }
    bool asked = d->names != NULL;
    doctor_names_free(&d->names);
    pn_pool_free(&d->pool);
    pn_buf_fini(&err);
    if (fd >= 0)
        (void)close(fd);
    if (!asked)
        return PN_EXIT_UNREACHABLE;
    if (!d->json)
        printf("%zu ok, %zu to fix, %zu to note\n", d->found[DOCTOR_OK], d->found[DOCTOR_FIX],
               d->found[DOCTOR_NOTE]);
    return d->found[DOCTOR_FIX] == 0 ? PN_EXIT_DONE : PN_EXIT_NO;
}

static bool add_option(struct doctor *d, int option, const char *value)
{
    switch (option) {
    case 'c':
        d->config = value;
        return true;
    case 'r':
        d->root = value;
        return true;
    case 'd':
        d->dns_path = value;
        return true;
    case 'j':
        d->json = true;
        return true;
    case 'a':
        if (d->address_count == DOCTOR_ADDRESSES_MAX ||
            !pn_ip_parse(pn_str_of(value), &d->addresses[d->address_count])) {
            fprintf(stderr, "postern doctor: %s is no address\n", value);
            return false;
        }
        d->address_count++;
        return true;
    case 'z':
        if (d->zone_count == DOCTOR_ZONES_MAX)
            return false;
        d->zones[d->zone_count++] = pn_str_of(value);
        return true;
    default:
        return false;
    }
}

int pn_cli_doctor(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},  {"root", required_argument, NULL, 'r'},
        {"address", required_argument, NULL, 'a'}, {"dnsbl", required_argument, NULL, 'z'},
        {"dns", required_argument, NULL, 'd'},     {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
    };
    static struct doctor d;
    struct pn_compiled c;
    for (int option; (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1;)
        if (!add_option(&d, option, optarg)) {
            fputs(usage, option == 'h' ? stdout : stderr);
            return option == 'h' ? PN_EXIT_DONE : PN_EXIT_USAGE;
        }
    pn_compiled_init(&c, d.config == NULL ? PN_CONFIG_FILE : d.config, d.root);
    int status = pn_compiled_tell(&c);
    if (c.policy != NULL)
        status = run(&d, &c, argv + optind, argc - optind);
    pn_compiled_fini(&c);
    return status;
}
