/*
 * postern dkim: keys to sign mail with, and the DNS records that publish them (RFC 6376,
 * section 3.6.1; Ed25519: RFC 8463).
 *
 * A key lies in SELECTOR._domainkey.DOMAIN.pem (PKCS #8): the name of its record is the name of
 * its file. It is written once, never over another.
 */
#include "alabel.h"
#include "cli.h"
#include "clock.h"
#include "grammar.h"
#include "json.h"
#include "sign_key.h"
#include "signkey.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char usage[] =
    "usage: postern dkim new [--selector S] [--algorithm A] [--folder DIR] [--json] DOMAIN\n"
    "       postern dkim show [--selector S] [--folder DIR] [--json] DOMAIN\n"
    "       postern dkim show [--json] FILE\n"
    "\n"
    "new makes a key to sign DOMAIN's mail with, in a file that only its owner may read, and\n"
    "prints the DNS record to publish, as a line for the zone's file. A key is never overwritten.\n"
    "show prints the record of each key of DOMAIN, or of the one in FILE, which is a path or\n"
    "ends in .pem. Files are named SELECTOR._domainkey.DOMAIN.pem.\n"
    "Mail is signed with one once a block of the configuration names it:\n"
    "sign \"DOMAIN\" { key \"SELECTOR\" }\n"
    "\n"
    "      --selector S   new: default rsa or ed, and today's date; show: only this one\n"
    "      --algorithm A  rsa-2048 (default: all verifiers know it), rsa-3072 or ed25519\n"
    "      --folder DIR   default " PN_DKIM_FOLDER ", made where it is missing;\n"
    "                     only its owner may write it, root or whoever asks\n"
    "      --json         a JSON object a key: name, domain, selector, algorithm, file, record\n"
    "\n"
    "Exit status: 0 done, 1 the key is there already, or there is none, or it is no key for\n"
    "DKIM, 2 usage, 3 it can't be read or written.\n";

enum {
    OWNER_MAX = NAME_MAX - 4, /* so that .pem fits behind; DNS itself takes 253 */
    STRING_MAX = 255          /* of a TXT record: RFC 1035, section 3.3 */
};

struct options {
    const char *selector, *algorithm, *folder;
    bool json;
};

/* Whose record it is: SELECTOR._domainkey.DOMAIN, in lower case. */
struct owner {
    char name[OWNER_MAX + 1];
    size_t selector; /* its length */
};

static const char infix[] = "._domainkey.";

static const struct kind {
    const char *name, *prefix; /* prefix: of a selector that nobody chose */
    size_t bits;               /* 0: Ed25519 */
} kinds[] = {{"rsa-2048", "rsa", 2048}, {"rsa-3072", "rsa", 3072}, {"ed25519", "ed", 0}};

static int refuse(int status, const char *what, const char *why)
{
    fprintf(stderr, "postern dkim: %s: %s\n", what, why);
    return status;
}

static const char *domain_of(const struct owner *o)
{
    return o->name + o->selector + sizeof infix - 1;
}

/* A name as DNS has it, added to out. */
static bool add_name(struct pn_buf *out, struct pn_str text)
{
    struct pn_alabel room;
    bool utf8;
    if (!pn_smtp_domain_ok(text, &utf8))
        return false;
    struct pn_str name = pn_alabel_domain(text, &room);
    if (name.p == NULL || !pn_smtp_domain_ok(name, &utf8) || utf8)
        return false;
    for (size_t i = 0; i < name.len; i++)
        (void)pn_buf_addc(out, pn_lower(name.p[i]));
    return true;
}

/* NULL, or what is wrong. A selector has no underscores (RFC 6376, section 3.1): the first
 * "_domainkey" of a name ends it. */
static const char *owner_set(struct owner *o, struct pn_str selector, struct pn_str domain)
{
    struct pn_buf name;
    const char *wrong = NULL;
    pn_buf_init(&name, 4096);
    if (pn_str_find(selector, '_', 0) != SIZE_MAX || !add_name(&name, selector))
        wrong = "the selector can't be one: letters, digits, hyphens";
    o->selector = name.len;
    (void)pn_buf_addz(&name, infix);
    if (wrong == NULL && !add_name(&name, domain))
        wrong = "can't be a domain";
    if (wrong == NULL && (name.overflow || name.len > OWNER_MAX))
        wrong = "too long, with its selector";
    (void)snprintf(o->name, sizeof o->name, "%s", wrong == NULL ? pn_buf_cstr(&name) : "");
    pn_buf_fini(&name);
    return wrong;
}

/* From the name of a key's file, without its folder. */
static bool owner_of_file(struct owner *o, const char *file)
{
    const char *at = strstr(file, infix);
    struct pn_str all = pn_str_of(file);
    if (at == NULL || !pn_str_ends(all, PN_STR(".pem")))
        return false;
    size_t n = (size_t)(at - file);
    return owner_set(o, pn_str_slice(all, 0, n),
                     pn_str_slice(all, n + sizeof infix - 1, all.len - 4)) == NULL;
}

static void print_json(const struct owner *o, const char *algorithm, const char *path,
                       struct pn_str record)
{
    struct pn_buf out;
    pn_buf_init(&out, SIZE_MAX);
    struct pn_json json = pn_json_to(&out);
    pn_json_object(&json, NULL);
    pn_json_str(&json, "name", pn_str_of(o->name));
    pn_json_str(&json, "domain", pn_str_of(domain_of(o)));
    pn_json_str(&json, "selector", (struct pn_str){o->name, o->selector});
    pn_json_str(&json, "algorithm", pn_str_of(algorithm));
    pn_json_str(&json, "file", pn_str_of(path));
    pn_json_str(&json, "record", record);
    pn_json_object_end(&json);
    printf("%.*s\n", PN_FMT(pn_buf_str(&out)));
    pn_buf_fini(&out);
}

/* All of it may go into a zone's file: what is no record is a comment there. */
static int print_key(const struct options *o, const struct owner *owner, EVP_PKEY *key,
                     const char *path)
{
    char algorithm[32] = "ed25519";
    struct pn_buf record;
    pn_buf_init(&record, SIZE_MAX);
    if (!pn_sign_key_record(key, &record)) {
        pn_buf_fini(&record);
        return refuse(PN_EXIT_NO, path, "DKIM has RSA keys of 1024 bits and more, and Ed25519");
    }
    if (EVP_PKEY_is_a(key, "RSA"))
        (void)snprintf(algorithm, sizeof algorithm, "rsa-%d", EVP_PKEY_get_bits(key));
    if (o->json) {
        print_json(owner, algorithm, path, pn_buf_str(&record));
    } else {
        printf("; domain %s, selector %.*s, %s, key in %s\n%s. IN TXT", domain_of(owner),
               (int)owner->selector, owner->name, algorithm, path, owner->name);
        for (size_t at = 0; at < record.len; at += STRING_MAX)
            printf(" \"%.*s\"", PN_FMT(pn_str_slice(pn_buf_str(&record), at, at + STRING_MAX)));
        printf("\n");
    }
    pn_buf_fini(&record);
    return PN_EXIT_DONE;
}

static int save(const char *folder, const char *file, const char *path, EVP_PKEY *key)
{
    int dir = pn_signkey_folder(folder, strcmp(folder, PN_DKIM_FOLDER) == 0);
    if (dir < 0)
        return refuse(PN_EXIT_UNREACHABLE, folder, strerror(errno));
    const char *wrong = pn_signkey_folder_wrong(dir);
    int error = wrong == NULL ? pn_signkey_save(dir, file, key) : 0;
    (void)close(dir);
    if (wrong != NULL)
        return refuse(PN_EXIT_NO, folder, wrong);
    if (error == EEXIST)
        return refuse(PN_EXIT_NO, path, "there already, and a key is never overwritten");
    return error == 0 ? PN_EXIT_DONE : refuse(PN_EXIT_UNREACHABLE, path, strerror(error));
}

static const struct kind *kind_of(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

/* "rsa20261122": a key is replaced by a younger one, beside it in the DNS for a while. */
static void todays_selector(const struct kind *kind, struct pn_buf *out)
{
    struct pn_buf now;
    pn_buf_init(&now, 64);
    pn_clock_rfc3339(&now, pn_clock_wall_ms());
    (void)pn_buf_addz(out, kind->prefix);
    for (size_t i = 0; i < now.len && now.p[i] != 'T'; i++)
        if (now.p[i] != '-')
            (void)pn_buf_addc(out, now.p[i]);
    pn_buf_fini(&now);
}

static int make(const struct options *o, const struct kind *kind, const struct owner *owner)
{
    struct pn_buf path;
    pn_buf_init(&path, PATH_MAX);
    (void)pn_buf_addf(&path, "%s/", o->folder);
    size_t file = path.len;
    (void)pn_buf_addf(&path, "%s.pem", owner->name);
    const char *shown = pn_buf_cstr(&path);
    EVP_PKEY *key = pn_signkey_new(kind->bits);
    int status;
    if (path.overflow || shown == NULL)
        status = refuse(PN_EXIT_UNREACHABLE, o->folder, strerror(ENAMETOOLONG));
    else if (key == NULL)
        status = refuse(PN_EXIT_UNREACHABLE, kind->name, "OpenSSL can't make such a key");
    else
        status = save(o->folder, shown + file, shown, key);
    if (status == PN_EXIT_DONE)
        status = print_key(o, owner, key, shown);
    EVP_PKEY_free(key);
    pn_buf_fini(&path);
    return status;
}

static int new_key(const struct options *o, const char *domain)
{
    const struct kind *kind = kind_of(o->algorithm == NULL ? kinds[0].name : o->algorithm);
    struct owner owner;
    struct pn_buf selector;
    if (kind == NULL)
        return refuse(PN_EXIT_USAGE, o->algorithm, "no algorithm: rsa-2048, rsa-3072, ed25519");
    pn_buf_init(&selector, 4096);
    if (o->selector == NULL)
        todays_selector(kind, &selector);
    else
        (void)pn_buf_addz(&selector, o->selector);
    const char *wrong = owner_set(&owner, pn_buf_str(&selector), pn_str_of(domain));
    pn_buf_fini(&selector);
    if (wrong != NULL)
        return refuse(PN_EXIT_USAGE, domain, wrong);
    return make(o, kind, &owner);
}

static int show_file(const struct options *o, const struct owner *owner, int folder,
                     const char *file, const char *path)
{
    EVP_PKEY *key = NULL;
    bool open_to_others = false;
    int error = pn_signkey_load(folder, file, &key, &open_to_others);
    if (error == EBADMSG)
        return refuse(PN_EXIT_NO, path, "no private key in it (PEM, without a passphrase)");
    if (error != 0)
        return refuse(PN_EXIT_UNREACHABLE, path, strerror(error));
    if (open_to_others)
        (void)refuse(PN_EXIT_DONE, path, "others than its owner may use this key (chmod 600)");
    int status = print_key(o, owner, key, path);
    EVP_PKEY_free(key);
    return status;
}

static int show_path(const struct options *o, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct owner owner;
    if (!owner_of_file(&owner, slash == NULL ? path : slash + 1))
        return refuse(PN_EXIT_USAGE, path, "not named SELECTOR._domainkey.DOMAIN.pem");
    return show_file(o, &owner, AT_FDCWD, path, path);
}

/* Is it a key of the domain of `asked`, with the selector that was asked for? */
static bool wanted(const struct options *o, const struct owner *asked, const char *file,
                   struct owner *its)
{
    return owner_of_file(its, file) && strcmp(domain_of(its), domain_of(asked)) == 0 &&
           (o->selector == NULL || strcmp(its->name, asked->name) == 0);
}

static int show_all(const struct options *o, const struct owner *asked, int folder)
{
    struct dirent **entries = NULL;
    int count = scandirat(folder, ".", &entries, NULL, alphasort);
    int status = PN_EXIT_DONE, shown = 0;
    if (count < 0)
        return refuse(PN_EXIT_UNREACHABLE, o->folder, strerror(errno));
    for (int i = 0; i < count; i++) {
        struct owner its;
        struct pn_buf path;
        pn_buf_init(&path, PATH_MAX);
        if (wanted(o, asked, entries[i]->d_name, &its)) {
            (void)pn_buf_addf(&path, "%s/%s", o->folder, entries[i]->d_name);
            const char *name = path.overflow ? NULL : pn_buf_cstr(&path);
            int one = show_file(o, &its, folder, entries[i]->d_name,
                                name == NULL ? entries[i]->d_name : name);
            status = one > status ? one : status;
            shown++;
        }
        pn_buf_fini(&path);
        free(entries[i]);
    }
    free(entries);
    return shown > 0 ? status : refuse(PN_EXIT_NO, domain_of(asked), "no key is there");
}

static int show(const struct options *o, const char *what)
{
    struct pn_str selector = o->selector == NULL ? PN_STR("x") : pn_str_of(o->selector);
    struct owner asked;
    const char *wrong = owner_set(&asked, selector, pn_str_of(what));
    if (wrong != NULL)
        return refuse(PN_EXIT_USAGE, what, wrong);
    int folder = pn_signkey_folder(o->folder, false);
    if (folder < 0)
        return refuse(PN_EXIT_UNREACHABLE, o->folder, strerror(errno));
    int status = show_all(o, &asked, folder);
    (void)close(folder);
    return status;
}

static int run(struct options *o, const char *command, const char *what)
{
    bool path = strchr(what, '/') != NULL || pn_str_ends(pn_str_of(what), PN_STR(".pem"));
    bool make_one = strcmp(command, "new") == 0;
    bool odd =
        !make_one && (o->algorithm != NULL || (path && (o->selector != NULL || o->folder != NULL)));
    if (odd || (!make_one && strcmp(command, "show") != 0)) {
        fputs(usage, stderr);
        return PN_EXIT_USAGE;
    }
    if (o->folder == NULL)
        o->folder = PN_DKIM_FOLDER;
    if (make_one)
        return new_key(o, what);
    return path ? show_path(o, what) : show(o, what);
}

int pn_cli_dkim(int argc, char **argv)
{
    static const struct option options[] = {
        {"selector", required_argument, NULL, 's'}, {"algorithm", required_argument, NULL, 'a'},
        {"folder", required_argument, NULL, 'f'},   {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
    };
    struct options o = {0};
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 's') {
            o.selector = optarg;
        } else if (option == 'a') {
            o.algorithm = optarg;
        } else if (option == 'f') {
            o.folder = optarg;
        } else if (option == 'j') {
            o.json = true;
        } else {
            fputs(usage, option == 'h' ? stdout : stderr);
            return option == 'h' ? PN_EXIT_DONE : PN_EXIT_USAGE;
        }
    }
    if (optind + 2 == argc)
        return run(&o, argv[optind], argv[optind + 1]);
    fputs(usage, stderr);
    return PN_EXIT_USAGE;
}
