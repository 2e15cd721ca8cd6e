/* Reading the file of users. */
#include "userfile.h"

#include "alabel.h"
#include "grammar.h"
#include "mem.h"
#include "utf8.h"

#include <stdio.h>
#include <stdlib.h>

/* An address that may name a user: no colon can stand in it. */
static bool address_ok(struct pn_str text, struct pn_smtp_mailbox *out)
{
    return text.len <= PN_USER_NAME_MAX && pn_smtp_mailbox_parse(text, out) && !out->quoted &&
           !out->literal;
}

bool pn_user_name(struct pn_str text, struct pn_buf *out)
{
    struct pn_smtp_mailbox box;
    struct pn_alabel room;
    if (!address_ok(text, &box))
        return false;
    struct pn_str domain = pn_alabel_domain(box.domain, &room);
    size_t was = out->len, len = box.local.len + 1 + domain.len;
    if (domain.p == NULL || len > PN_USER_NAME_MAX || pn_buf_reserve(out, len) == NULL)
        return false;
    (void)(pn_buf_adds(out, box.local) && pn_buf_addc(out, '@') && pn_buf_adds(out, domain));
    for (size_t i = was; i < out->len; i++)
        out->p[i] = pn_lower(out->p[i]);
    /* A-labels are longer than what they stand for. */
    if (address_ok(pn_str_slice(pn_buf_str(out), was, out->len), &box))
        return true;
    out->len = was;
    return false;
}

static bool is_one_form(struct pn_str name)
{
    struct pn_smtp_mailbox box;
    if (!address_ok(name, &box) || !pn_str_is_ascii(box.domain))
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (pn_lower(name.p[i]) != name.p[i])
            return false;
    return true;
}

bool pn_user_option(struct pn_str *rest, struct pn_str *key, struct pn_str *value)
{
    while (rest->p != NULL) {
        struct pn_str word = pn_str_split(rest, ' ');
        if (word.len == 0)
            continue;
        *key = pn_str_split(&word, '=');
        *value = word;
        return true;
    }
    return false;
}

static bool key_ok(struct pn_str key)
{
    for (size_t i = 0; i < key.len; i++) {
        bool letter = key.p[i] >= 'a' && key.p[i] <= 'z';
        if (!letter && (i == 0 || (!pn_is_digit(key.p[i]) && key.p[i] != '-')))
            return false;
    }
    return key.len != 0 && key.len <= PN_USER_KEY_MAX;
}

/* What is wrong where; true for none. */
struct flaw {
    const char *at;
    const char *text;
};

static bool flawed(struct flaw *flaw, const char *at, const char *text)
{
    *flaw = (struct flaw){at, text};
    return false;
}

static bool options_ok(struct pn_str options, struct flaw *flaw)
{
    struct pn_str keys[PN_USER_OPTIONS_MAX], key, value;
    size_t count = 0;
    while (pn_user_option(&options, &key, &value)) {
        if (!key_ok(key) || value.p == NULL)
            return flawed(flaw, key.p,
                          "an option is key=value, the key of small letters, digits and -");
        if (count == PN_USER_OPTIONS_MAX)
            return flawed(flaw, key.p, "too many options, expected 32 at most");
        for (size_t i = 0; i < count; i++)
            if (pn_str_eq(keys[i], key))
                return flawed(flaw, key.p, "an option stands here twice");
        keys[count++] = key;
    }
    return true;
}

/* The first byte that may not stand in a user's line. */
static const char *foul_byte(struct pn_str line)
{
    for (size_t at = 0; at < line.len;) {
        size_t n = pn_utf8_next(pn_str_slice(line, at, line.len));
        if (n == 0 || (unsigned char)line.p[at] < ' ' || line.p[at] == 0x7f)
            return line.p + at;
        at += n;
    }
    return NULL;
}

/* The verifier of SCRAM holds two colons of its own. */
static struct pn_str split_scram(struct pn_str *rest)
{
    struct pn_str whole = *rest;
    if (rest->p == NULL)
        return PN_STR("");
    struct pn_str first = pn_str_split(rest, ':');
    for (int i = 0; first.len != 0 && i < 2 && rest->p != NULL; i++)
        (void)pn_str_split(rest, ':');
    size_t len = rest->p == NULL ? whole.len : (size_t)(rest->p - whole.p) - 1;
    return pn_str_slice(whole, 0, len);
}

static bool parse_line(struct pn_user *user, struct flaw *flaw)
{
    struct pn_str rest = user->line;
    struct pn_scram scram;
    const char *foul = foul_byte(pn_str_slice(rest, 0, PN_USERFILE_LINE_MAX));
    if (rest.len > PN_USERFILE_LINE_MAX)
        return flawed(flaw, rest.p + PN_USERFILE_LINE_MAX, "the line is longer than 4096 bytes");
    if (foul != NULL)
        return flawed(flaw, foul, "a control character, or a byte that is no UTF-8");
    user->name = pn_str_split(&rest, ':');
    if (!is_one_form(user->name))
        return flawed(flaw, user->name.p,
                      "expected user@domain in small letters, no quotes, the domain as in DNS");
    if (rest.p == NULL)
        return flawed(flaw, user->line.p + user->line.len, "expected : and a yescrypt verifier");
    user->yescrypt = pn_str_split(&rest, ':');
    if (!pn_yescrypt_ok(user->yescrypt))
        return flawed(flaw, user->yescrypt.p, "expected a yescrypt verifier, $y$COST$SALT$HASH");
    user->scram = split_scram(&rest);
    bool ok = user->scram.len == 0 || pn_scram_parse(user->scram, &scram);
    explicit_bzero(&scram, sizeof scram);
    if (!ok)
        return flawed(flaw, user->scram.p,
                      "expected nothing, or SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY");
    user->options = rest.p == NULL ? PN_STR("") : rest;
    return options_ok(user->options, flaw);
}

void pn_userfile_start(struct pn_userfile_walk *walk, struct pn_str text)
{
    *walk = (struct pn_userfile_walk){.rest = text.len == 0 ? PN_STR("") : text};
}

static void set_error(struct pn_userfile_error *error, unsigned line, size_t column,
                      const char *text)
{
    error->line = line;
    error->column = (unsigned)column;
    (void)snprintf(error->text, sizeof error->text, "%s", text);
}

int pn_userfile_next(struct pn_userfile_walk *walk, struct pn_user *user,
                     struct pn_userfile_error *error)
{
    while (walk->rest.p != NULL) {
        struct pn_str line = pn_str_split(&walk->rest, '\n');
        struct pn_str trimmed = pn_str_trim(line);
        struct flaw flaw;
        walk->line++;
        if (trimmed.len == 0 || trimmed.p[0] == '#')
            continue;
        *user = (struct pn_user){.line = line, .number = walk->line};
        if (parse_line(user, &flaw))
            return 1;
        set_error(error, walk->line, (size_t)(flaw.at - line.p) + 1, flaw.text);
        return -1;
    }
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct pn_user *x = a, *y = b;
    int c = pn_str_cmp(x->name, y->name);
    return c != 0 ? c : (x->number > y->number) - (x->number < y->number);
}

/* Of the names that stand twice, the one that does so first in the file. */
static bool no_name_twice(const struct pn_userfile *file, struct pn_userfile_error *error)
{
    const struct pn_user *twice = NULL, *before = NULL;
    for (size_t i = 1; i < file->count; i++) {
        const struct pn_user *user = &file->users[i];
        if (pn_str_eq(user[-1].name, user->name) &&
            (twice == NULL || user->number < twice->number)) {
            twice = user;
            before = user - 1;
        }
    }
    if (twice == NULL)
        return true;
    char text[64];
    (void)snprintf(text, sizeof text, "the user stands in line %u already", before->number);
    set_error(error, twice->number, 1, text);
    return false;
}

bool pn_userfile_read(struct pn_userfile *file, struct pn_str text, struct pn_userfile_error *error)
{
    struct pn_userfile_walk walk;
    struct pn_user user;
    int got;
    *file = (struct pn_userfile){NULL, 0, 0};
    if (text.len > PN_USERFILE_MAX) {
        set_error(error, 1, 1, "the file is larger than 64 MiB");
        return false;
    }
    pn_userfile_start(&walk, text);
    while ((got = pn_userfile_next(&walk, &user, error)) > 0) {
        file->users = pn_grow(file->users, &file->cap, file->count, sizeof *file->users);
        file->users[file->count++] = user;
    }
    if (file->count != 0)
        qsort(file->users, file->count, sizeof *file->users, by_name);
    return got == 0 && no_name_twice(file, error);
}

void pn_userfile_fini(struct pn_userfile *file)
{
    free(file->users);
    *file = (struct pn_userfile){NULL, 0, 0};
}

static int name_is(const void *key, const void *user)
{
    return pn_str_cmp(*(const struct pn_str *)key, ((const struct pn_user *)user)->name);
}

const struct pn_user *pn_userfile_find(const struct pn_userfile *file, struct pn_str name)
{
    if (file->count == 0)
        return NULL;
    return bsearch(&name, file->users, file->count, sizeof *file->users, name_is);
}
