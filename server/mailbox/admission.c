#include "admission.h"

#include "mem.h"

#include <stdlib.h>

enum { BUCKETS = 1024 };

struct entry {
    struct entry *next;           /* of its bucket */
    struct entry *newer, **older; /* by age, the oldest first */
    uint64_t until_ms;
    unsigned char token[PN_PASS_TOKEN];
    uint8_t service;
    size_t user_len;
    char user[];
};

struct admission {
    struct entry *buckets[BUCKETS];
    struct entry *oldest, **newest; /* newest: where the next is put */
    size_t count;
};

/* Tokens are random: any bytes of them spread. */
static struct entry **bucket_of(struct admission *a, const unsigned char token[PN_PASS_TOKEN])
{
    return &a->buckets[(token[0] | (unsigned)token[1] << 8) % BUCKETS];
}

/* In the same time whatever they are. */
static bool same_token(const unsigned char *a, const unsigned char *b)
{
    unsigned differ = 0;
    for (size_t i = 0; i < PN_PASS_TOKEN; i++)
        differ |= (unsigned)(a[i] ^ b[i]);
    return differ == 0;
}

static struct entry **find(struct admission *a, const unsigned char token[PN_PASS_TOKEN])
{
    struct entry **at = bucket_of(a, token);
    while (*at != NULL && !same_token((*at)->token, token))
        at = &(*at)->next;
    return at;
}

static void drop(struct admission *a, struct entry **at)
{
    struct entry *e = *at;
    *at = e->next;
    *e->older = e->newer;
    if (e->newer != NULL)
        e->newer->older = e->older;
    else
        a->newest = e->older;
    a->count--;
    explicit_bzero(e->token, sizeof e->token);
    free(e);
}

static void purge(struct admission *a, uint64_t now_ms)
{
    while (a->oldest != NULL && a->oldest->until_ms <= now_ms)
        drop(a, find(a, a->oldest->token));
}

struct admission *admission_new(void)
{
    struct admission *a = pn_calloc(1, sizeof *a);
    a->newest = &a->oldest;
    return a;
}

void admission_free(struct admission **admission)
{
    struct admission *a = *admission;
    *admission = NULL;
    if (a == NULL)
        return;
    purge(a, UINT64_MAX);
    free(a);
}

bool admission_note(struct admission *a, const struct pn_pass *pass, uint64_t now_ms)
{
    purge(a, now_ms);
    if (a->count >= PN_PASS_OPEN_MAX || *find(a, pass->token) != NULL)
        return false;
    struct entry *e = pn_calloc(1, sizeof *e + pass->user.len);
    *e = (struct entry){.next = *bucket_of(a, pass->token),
                        .older = a->newest,
                        .until_ms = now_ms + PN_PASS_MS,
                        .service = pass->service,
                        .user_len = pass->user.len};
    memcpy(e->token, pass->token, sizeof e->token);
    memcpy(e->user, pass->user.p, pass->user.len);
    *bucket_of(a, pass->token) = e;
    *a->newest = e;
    a->newest = &e->newer;
    a->count++;
    return true;
}

bool admission_use(struct admission *a, const unsigned char token[PN_PASS_TOKEN], uint8_t service,
                   struct pn_str user, uint64_t now_ms)
{
    purge(a, now_ms);
    struct entry **at = find(a, token);
    if (*at == NULL)
        return false;
    bool his =
        (*at)->service == service && pn_str_eq((struct pn_str){(*at)->user, (*at)->user_len}, user);
    drop(a, at);
    return his;
}

size_t admission_count(struct admission *a, uint64_t now_ms)
{
    purge(a, now_ms);
    return a->count;
}
