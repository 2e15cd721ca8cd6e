/* postern user: who may log in, to submit mail and to read it, and by which password. */
#include "cli.h"
#include "json.h"
#include "secret.h"
#include "userstore.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "usage: postern user add NAME [--stdin] [--file F] [--json]\n"
    "       postern user passwd NAME [--stdin] [--file F] [--json]\n"
    "       postern user del NAME [--file F] [--json]\n"
    "       postern user list [--file F] [--json]\n"
    "       postern user show NAME [--file F] [--json]\n"
    "       postern user verify NAME [--stdin] [--file F] [--json]\n"
    "\n"
    "  add        a user, user@domain; asks for the password on the terminal, twice\n"
    "  passwd     another password; options stay\n"
    "  del        no user any more\n"
    "  list       all of them, in the file's order\n"
    "  show       one of them; neither prints what passwords are verified by\n"
    "  verify     is this the password? exit status 0 or 1\n"
    "  --stdin    the password is standard input, without a line feed at its end\n"
    "  --file F   the file of users (" PN_USERS_FILE ")\n"
    "  --json     an object a line\n";

struct order {
    const char *file;
    struct pn_str name; /* in the one form; empty for list */
    bool from_stdin, json;
};

/* The file as it stands; `file` borrows from `store`. */
struct view {
    struct pn_userstore store;
    struct pn_userfile file;
};

static int out_of_reach(const struct order *o, const char *what, int error)
{
    fprintf(stderr, "postern user: %s could not be %s: %s\n", o->file, what, strerror(error));
    return PN_EXIT_UNREACHABLE;
}

static int view_open(struct view *view, const struct order *o, enum pn_userstore_mode mode)
{
    struct pn_userfile_error error;
    view->file = (struct pn_userfile){.users = NULL};
    int rc = pn_userstore_open(&view->store, o->file, mode);
    if (rc != 0)
        return out_of_reach(o, "read", rc);
    if (pn_userfile_read(&view->file, pn_buf_str(&view->store.text), &error))
        return PN_EXIT_DONE;
    fprintf(stderr, "postern user: %s:%u:%u: %s\n", o->file, error.line, error.column, error.text);
    return PN_EXIT_UNREACHABLE;
}

static void view_close(struct view *view)
{
    pn_userfile_fini(&view->file);
    pn_userstore_close(&view->store);
}

static void print_buf(struct pn_buf *b)
{
    (void)pn_buf_addc(b, '\n');
    (void)fwrite(b->p, 1, b->len, stdout);
    pn_buf_fini(b);
}

/* key and value: for the line of JSON; done: for people. */
static void tell(const struct order *o, const char *key, bool value, const char *done)
{
    struct pn_buf b;
    pn_buf_init(&b, SIZE_MAX);
    if (o->json) {
        struct pn_json j = pn_json_to(&b);
        pn_json_object(&j, NULL);
        pn_json_str(&j, "user", o->name);
        pn_json_bool(&j, key, value);
        pn_json_object_end(&j);
    } else {
        (void)pn_buf_addf(&b, "%.*s %s", PN_FMT(o->name), done);
    }
    print_buf(&b);
}

static int refuse(const struct order *o, const char *why)
{
    fprintf(stderr, "postern user: %.*s %s\n", PN_FMT(o->name), why);
    return PN_EXIT_NO;
}

/* Whether the user is there as wanted; said if not. */
static int expect(const struct order *o, const struct view *view, bool there,
                  const struct pn_user **user)
{
    *user = pn_userfile_find(&view->file, o->name);
    if ((*user != NULL) == there)
        return PN_EXIT_DONE;
    return refuse(o, there ? "is no user" : "is a user already");
}

static int expect_before(const struct order *o, bool there)
{
    struct view view;
    const struct pn_user *user;
    if (!there) { /* a file that is not there yet has no user either */
        int error = pn_userstore_open(&view.store, o->file, PN_USERSTORE_READ);
        pn_userstore_close(&view.store);
        if (error == ENOENT)
            return PN_EXIT_DONE;
    }
    int status = view_open(&view, o, PN_USERSTORE_READ);
    if (status == PN_EXIT_DONE)
        status = expect(o, &view, there, &user);
    view_close(&view);
    return status;
}

static int ask(const struct order *o, struct pn_password *password, bool twice)
{
    return o->from_stdin ? pn_secret_read(password) : pn_secret_ask(password, twice);
}

/* Both verifiers, one behind the other in *b: views of it in *user. */
static bool make_verifiers(const struct pn_password *password, struct pn_buf *b,
                           struct pn_user *user)
{
    struct pn_scram scram;
    bool ok = pn_password_yescrypt(password, b) && pn_password_scram(password, &scram);
    size_t first = b->len;
    if (ok)
        pn_scram_print(&scram, b);
    explicit_bzero(&scram, sizeof scram);
    user->yescrypt = pn_str_slice(pn_buf_str(b), 0, first);
    user->scram = pn_str_slice(pn_buf_str(b), first, b->len);
    return ok && !b->overflow;
}

static int write_text(const struct order *o, struct view *view, bool made, struct pn_buf *text)
{
    int error = made ? pn_userstore_write(&view->store, pn_buf_str(text)) : EFBIG;
    if (text->p != NULL)
        explicit_bzero(text->p, text->cap);
    pn_buf_fini(text);
    return error == 0 ? PN_EXIT_DONE : out_of_reach(o, "written", error);
}

/* Room at once: a buffer that grows leaves copies behind. */
static void text_init(struct pn_buf *text, const struct view *view)
{
    pn_buf_init(text, PN_USERFILE_MAX);
    (void)pn_buf_reserve(text, view->store.text.len + PN_USERFILE_LINE_MAX);
}

static int put_user(const struct order *o, struct pn_user *user, bool is_new)
{
    struct view view;
    struct pn_buf text;
    const struct pn_user *old;
    int status = view_open(&view, o, is_new ? PN_USERSTORE_CREATE : PN_USERSTORE_WRITE);
    if (status == PN_EXIT_DONE)
        status = expect(o, &view, !is_new, &old);
    if (status == PN_EXIT_DONE) {
        struct pn_str before = pn_buf_str(&view.store.text);
        text_init(&text, &view);
        user->options = old == NULL ? PN_STR("") : old->options;
        bool made = old == NULL ? pn_userfile_add(before, user, &text)
                                : pn_userfile_replace(before, old, user, &text);
        status = write_text(o, &view, made, &text);
    }
    view_close(&view);
    return status;
}

/* add and passwd. The file is not locked while somebody types: so it is looked at twice. */
static int set_password(const struct order *o, bool is_new)
{
    struct pn_password password;
    struct pn_buf verifiers;
    struct pn_user user = {.name = o->name};
    int status = expect_before(o, !is_new);
    if (status != PN_EXIT_DONE)
        return status;
    status = ask(o, &password, true);
    pn_buf_init(&verifiers, PN_USERFILE_LINE_MAX);
    (void)pn_buf_reserve(&verifiers, PN_USERFILE_LINE_MAX);
    if (status == PN_EXIT_DONE && !make_verifiers(&password, &verifiers, &user)) {
        fputs("postern user: no memory or no randomness for a verifier\n", stderr);
        status = PN_EXIT_UNREACHABLE;
    }
    pn_password_wipe(&password);
    if (status == PN_EXIT_DONE)
        status = put_user(o, &user, is_new);
    if (verifiers.p != NULL)
        explicit_bzero(verifiers.p, verifiers.cap);
    pn_buf_fini(&verifiers);
    if (status == PN_EXIT_DONE)
        tell(o, is_new ? "added" : "changed", true, is_new ? "added" : "has a new password");
    return status;
}

static int add(const struct order *o)
{
    return set_password(o, true);
}

static int passwd(const struct order *o)
{
    return set_password(o, false);
}

static int del(const struct order *o)
{
    struct view view;
    struct pn_buf text;
    const struct pn_user *old;
    int status = view_open(&view, o, PN_USERSTORE_WRITE);
    if (status == PN_EXIT_DONE)
        status = expect(o, &view, true, &old);
    if (status == PN_EXIT_DONE) {
        text_init(&text, &view);
        bool made = pn_userfile_remove(pn_buf_str(&view.store.text), old, &text);
        status = write_text(o, &view, made, &text);
    }
    view_close(&view);
    if (status == PN_EXIT_DONE)
        tell(o, "deleted", true, "deleted");
    return status;
}

static uint32_t iterations_of(const struct pn_user *user)
{
    struct pn_scram scram;
    bool ok = user->scram.len != 0 && pn_scram_parse(user->scram, &scram);
    uint32_t iterations = ok ? scram.iterations : 0;
    explicit_bzero(&scram, sizeof scram);
    return iterations;
}

static void print_json(const struct pn_user *user)
{
    struct pn_buf b;
    struct pn_str options = user->options, key, value;
    char text[PN_USER_KEY_MAX + 1];
    uint32_t iterations = iterations_of(user);
    pn_buf_init(&b, SIZE_MAX);
    struct pn_json j = pn_json_to(&b);
    pn_json_object(&j, NULL);
    pn_json_str(&j, "user", user->name);
    pn_json_i64(&j, "line", user->number);
    pn_json_bool(&j, "scram", iterations != 0);
    if (iterations != 0)
        pn_json_i64(&j, "iterations", iterations);
    pn_json_object(&j, "options");
    while (pn_user_option(&options, &key, &value)) {
        (void)snprintf(text, sizeof text, "%.*s", PN_FMT(key));
        pn_json_str(&j, text, value);
    }
    pn_json_object_end(&j);
    pn_json_object_end(&j);
    print_buf(&b);
}

static void print_user(const struct order *o, const struct pn_user *user)
{
    if (o->json)
        print_json(user);
    else
        printf("%.*s  yescrypt%s%s%.*s\n", PN_FMT(user->name),
               user->scram.len == 0 ? "" : " scram-sha-256", user->options.len == 0 ? "" : "  ",
               PN_FMT(user->options));
}

static int show(const struct order *o)
{
    struct view view;
    const struct pn_user *user;
    int status = view_open(&view, o, PN_USERSTORE_READ);
    if (status == PN_EXIT_DONE)
        status = expect(o, &view, true, &user);
    if (status == PN_EXIT_DONE)
        print_user(o, user);
    view_close(&view);
    return status;
}

static int list(const struct order *o)
{
    struct view view;
    struct pn_userfile_walk walk;
    struct pn_userfile_error error;
    struct pn_user user;
    int status = view_open(&view, o, PN_USERSTORE_READ);
    pn_userfile_start(&walk, pn_buf_str(&view.store.text));
    while (status == PN_EXIT_DONE && pn_userfile_next(&walk, &user, &error) > 0)
        print_user(o, &user);
    view_close(&view);
    return status;
}

/* Both verifiers have to say so: a line edited by hand may hold those of two passwords. */
static bool is_password_of(const struct pn_password *password, const struct pn_user *user)
{
    struct pn_scram scram;
    bool plain = pn_password_is_yescrypt(password, user->yescrypt);
    if (user->scram.len == 0)
        return plain;
    bool other = pn_scram_parse(user->scram, &scram) && pn_password_is_scram(password, &scram);
    explicit_bzero(&scram, sizeof scram);
    if (plain != other)
        fprintf(stderr, "postern user: %.*s: the two verifiers are not of one password\n",
                PN_FMT(user->name));
    return plain && other;
}

/* Who is no user is asked all the same, and answered like one. */
static int verify(const struct order *o)
{
    struct view view;
    struct pn_password password = {.len = 0};
    int status = view_open(&view, o, PN_USERSTORE_READ);
    if (status == PN_EXIT_DONE)
        status = ask(o, &password, false);
    if (status == PN_EXIT_DONE) {
        const struct pn_user *user = pn_userfile_find(&view.file, o->name);
        bool ok = user != NULL && is_password_of(&password, user);
        tell(o, "verified", ok, ok ? "verified" : "not verified");
        status = ok ? PN_EXIT_DONE : PN_EXIT_NO;
    }
    pn_password_wipe(&password);
    view_close(&view);
    return status;
}

static const struct verb {
    const char *name;
    int (*run)(const struct order *o);
    bool named, asks;
} verbs[] = {
    {"add", add, true, true},     {"passwd", passwd, true, true}, {"del", del, true, false},
    {"list", list, false, false}, {"show", show, true, false},    {"verify", verify, true, true},
};

static const struct verb *verb_of(int count, char **words, const struct order *o)
{
    for (size_t i = 0; count > 0 && i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(words[0], verbs[i].name) == 0 && count == (verbs[i].named ? 2 : 1) &&
            (verbs[i].asks || !o->from_stdin))
            return &verbs[i];
    return NULL;
}

static int run(const struct verb *verb, struct order *o, const char *word)
{
    struct pn_buf name;
    pn_buf_init(&name, PN_USER_NAME_MAX);
    int status = PN_EXIT_USAGE;
    if (verb->named && !pn_user_name(pn_str_of(word), &name)) {
        fputs("postern user: a user is called user@domain, without quotes\n", stderr);
    } else {
        o->name = pn_buf_str(&name);
        status = verb->run(o);
    }
    pn_buf_fini(&name);
    return status;
}

int pn_cli_user(int argc, char **argv)
{
    static const struct option options[] = {{"file", required_argument, NULL, 'f'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"stdin", no_argument, NULL, 's'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct order o = {.file = PN_USERS_FILE};
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (c == 'h') {
            fputs(usage, stdout);
            return PN_EXIT_DONE;
        }
        if (c == '?') {
            fputs(usage, stderr);
            return PN_EXIT_USAGE;
        }
        o.file = c == 'f' ? optarg : o.file;
        o.json |= c == 'j';
        o.from_stdin |= c == 's';
    }
    const struct verb *verb = verb_of(argc - optind, argv + optind, &o);
    if (verb == NULL) {
        fputs(usage, stderr);
        return PN_EXIT_USAGE;
    }
    return run(verb, &o, verb->named ? argv[optind + 1] : NULL);
}
