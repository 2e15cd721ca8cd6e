/*
 * The file of users: what is read as a user is printed as one that reads the same; edits
 * keep the others; a name in its one form stays so.
 */
#include "assert.h"
#include "userfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct pn_user *a, const struct pn_user *b)
{
    pn_assert(pn_str_eq(a->name, b->name) && pn_str_eq(a->yescrypt, b->yescrypt) &&
              pn_str_eq(a->scram, b->scram) && pn_str_eq(a->options, b->options));
}

static void check_user(const struct pn_user *user)
{
    struct pn_buf b, name;
    struct pn_userfile again;
    struct pn_userfile_error error;
    pn_buf_init(&b, SIZE_MAX);
    pn_buf_init(&name, PN_USER_NAME_MAX);
    pn_assert(pn_user_name(user->name, &name) && pn_str_eq(pn_buf_str(&name), user->name));
    pn_user_print(user, &b);
    if (b.len <= PN_USERFILE_LINE_MAX) { /* with colons that were left out it may be longer */
        pn_assert(pn_userfile_read(&again, pn_buf_str(&b), &error) && again.count == 1);
        check_same(&again.users[0], user);
        pn_userfile_fini(&again);
    }
    pn_buf_fini(&name);
    pn_buf_fini(&b);
}

/* Without each of the first few users, the others are as they were. */
static void check_edits(const struct pn_userfile *file, struct pn_str text)
{
    for (size_t i = 0; i < file->count && i < 4; i++) {
        struct pn_userfile less;
        struct pn_userfile_error error;
        struct pn_buf out;
        pn_buf_init(&out, SIZE_MAX);
        pn_assert(pn_userfile_remove(text, &file->users[i], &out));
        pn_assert(pn_userfile_read(&less, pn_buf_str(&out), &error));
        pn_assert(less.count == file->count - 1);
        for (size_t k = 0; k < less.count; k++)
            check_same(&less.users[k], &file->users[k < i ? k : k + 1]);
        pn_userfile_fini(&less);
        pn_buf_fini(&out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_str text = {(const char *)data, size};
    struct pn_userfile_walk walk;
    struct pn_userfile_error error = {0, 0, ""};
    struct pn_userfile file;
    struct pn_user user;
    unsigned wrong = 0;
    int got;
    pn_userfile_start(&walk, text);
    while ((got = pn_userfile_next(&walk, &user, &error)) != 0) {
        if (got > 0)
            check_user(&user);
        else
            pn_assert(error.line == walk.line && error.column > 0 && error.text[0] != '\0');
        wrong += got < 0 ? 1 : 0;
    }
    if (pn_userfile_read(&file, text, &error)) {
        pn_assert(wrong == 0);
        for (size_t i = 0; i < file.count; i++)
            pn_assert(pn_userfile_find(&file, file.users[i].name) == &file.users[i]);
        check_edits(&file, text);
    }
    pn_userfile_fini(&file);
    struct pn_buf name, again;
    pn_buf_init(&name, PN_USER_NAME_MAX);
    pn_buf_init(&again, PN_USER_NAME_MAX);
    if (pn_user_name(text, &name))
        pn_assert(pn_user_name(pn_buf_str(&name), &again) &&
                  pn_str_eq(pn_buf_str(&name), pn_buf_str(&again)));
    pn_buf_fini(&name);
    pn_buf_fini(&again);
    return 0;
}
