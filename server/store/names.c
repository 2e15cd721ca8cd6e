/* Names of files: what stands in them, and new ones. */
#include "store_int.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const struct {
    char letter;
    uint8_t flag;
} letters[] = {
    {'D', PN_DRAFT}, {'F', PN_FLAGGED}, {'R', PN_ANSWERED}, {'S', PN_SEEN}, {'T', PN_DELETED}};
enum { LETTERS = sizeof letters / sizeof letters[0] };

static void parse_flags(struct pn_str text, struct mail_name *out)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] >= 'a' && text.p[i] <= 'z')
            out->keywords |= 1U << (text.p[i] - 'a');
        for (unsigned k = 0; k < LETTERS; k++)
            if (text.p[i] == letters[k].letter)
                out->system |= letters[k].flag;
    }
}

static void parse_field(struct pn_str field, struct mail_name *out)
{
    uint64_t n, uid;
    if (field.len < 3 || field.p[1] != '=')
        return;
    struct pn_str value = pn_str_slice(field, 2, field.len);
    if (field.p[0] == 'S' && pn_str_u64(value, UINT64_MAX, &n)) {
        out->file_size = n;
    } else if (field.p[0] == 'W' && pn_str_u64(value, UINT32_MAX, &n)) {
        out->size = (uint32_t)n;
    } else if (field.p[0] == 'U') {
        struct pn_str validity = pn_str_split(&value, '.');
        if (value.p != NULL && pn_str_u64(validity, UINT32_MAX, &n) &&
            pn_str_u64(value, UINT32_MAX, &uid)) {
            out->uidvalidity = (uint32_t)n;
            out->uid = (uint32_t)uid;
        }
    }
}

void mail_name_parse(struct pn_str file, struct mail_name *out)
{
    struct pn_str rest = file, info;
    *out = (struct mail_name){0};
    info = file;
    rest = pn_str_split(&info, ':');
    if (info.p != NULL && pn_str_starts(info, PN_STR("2,")))
        parse_flags(pn_str_slice(info, 2, info.len), out);
    out->base = pn_str_split(&rest, ',');
    while (rest.p != NULL)
        parse_field(pn_str_split(&rest, ','), out);
}

static bool is_ours(char c)
{
    for (unsigned k = 0; k < LETTERS; k++)
        if (c == letters[k].letter)
            return true;
    return c >= 'a' && c <= 'z';
}

bool mail_name_flags(struct pn_buf *out, struct pn_str before, uint32_t system, uint32_t keywords)
{
    bool on[128] = {false};
    struct pn_str info = before;
    (void)pn_str_split(&info, ':');
    for (size_t i = 2; info.p != NULL && i < info.len; i++)
        if (info.p[i] > ' ' && info.p[i] < 127 && info.p[i] != ',' && !is_ours(info.p[i]))
            on[(unsigned char)info.p[i]] = true;
    for (unsigned k = 0; k < LETTERS; k++)
        on[(unsigned char)letters[k].letter] = (system & letters[k].flag) != 0;
    for (unsigned k = 0; k < PN_KEYWORDS_MAX; k++)
        on['a' + k] = (keywords >> k & 1) != 0;
    (void)pn_buf_addz(out, ":2,");
    for (unsigned c = '!'; c < 127; c++) /* in the order of ASCII, as the description asks */
        if (on[c])
            (void)pn_buf_addc(out, (char)c);
    return !out->overflow;
}

void store_unique(struct pn_store *store, struct pn_buf *out)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)pn_buf_addf(out, "%lld.M%06ldP%ldQ%u.%s", (long long)now.tv_sec, now.tv_nsec / 1000,
                      (long)getpid(), atomic_fetch_add(&store->count, 1), store->host);
}

bool mail_name_make(struct pn_buf *out, struct pn_str base, uint64_t file_size, uint32_t size,
                    uint32_t uidvalidity, uint32_t uid)
{
    return pn_buf_addf(out, "%.*s,S=%llu,W=%u,U=%u.%u", PN_FMT(base), (unsigned long long)file_size,
                       size, uidvalidity, uid);
}

enum pn_store_status store_status(int error)
{
    if (error == 0)
        return PN_STORE_OK;
    if (error == ENOSPC || error == EDQUOT)
        return PN_STORE_FULL;
    return error == ENAMETOOLONG ? PN_STORE_BAD_NAME : PN_STORE_TEMPORARY;
}

enum pn_store_status store_failed(struct pn_buf *why, const char *what, int error)
{
    if (why != NULL)
        (void)pn_buf_addf(why, "%s: %s", what, strerror(error));
    return store_status(error);
}
