#include "milter_mail.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { EDITS_MAX = 1000, REFUSED_MAX = 8, BODY_MAX = 64 * 1024 * 1024, FIELDS_ROOM = 32 };

/* Room for one more in a list of the transaction's memory. */
static void *grow(struct postern_call *c, void *list, size_t count, size_t *cap, size_t size)
{
    size_t more = *cap == 0 ? FIELDS_ROOM : *cap * 2;
    void *fresh;

    if (count < *cap)
        return list;
    fresh = c->host->alloc(c, more * size);
    if (fresh == NULL)
        return NULL;
    if (count > 0)
        memcpy(fresh, list, count * size);
    *cap = more;
    return fresh;
}

static bool keep(struct postern_call *c, struct postern_str *s)
{
    char *copy = c->host->alloc(c, s->len + 1);

    if (copy == NULL)
        return false;
    if (s->len > 0)
        memcpy(copy, s->p, s->len);
    s->p = copy;
    return true;
}

static bool same_name(struct postern_str a, struct postern_str b)
{
    return a.len == b.len && strncasecmp(a.p, b.p, a.len) == 0;
}

/* ---- the message */

static bool add_field(struct milter_mail *mail, size_t at, struct milter_field field)
{
    struct milter_field *fields =
        grow(mail->call, mail->fields, mail->count, &mail->cap, sizeof(*fields));

    if (fields == NULL)
        return false;
    mail->fields = fields;
    memmove(&fields[at + 1], &fields[at], (mail->count - at) * sizeof(*fields));
    fields[at] = field;
    mail->count++;
    return true;
}

bool milter_mail_init(struct milter_mail *mail, struct postern_call *c)
{
    size_t count = c->host->header_count(c);

    *mail = (struct milter_mail){.call = c, .body = c->host->body(c)};
    for (size_t i = 0; i < count; i++) {
        struct milter_field field = {0};

        if (c->host->header_at(c, i, &field.name, &field.value) == POSTERN_OK &&
            !add_field(mail, mail->count, field))
            return false;
    }
    return true;
}

void milter_mail_fini(struct milter_mail *mail)
{
    free(mail->new_body);
    free(mail->next_body);
    mail->new_body = mail->next_body = NULL;
}

void milter_mail_next(struct milter_mail *mail, uint32_t may)
{
    mail->serial++;
    mail->may = may;
    mail->edit_count = 0;
    mail->quarantine = (struct postern_str){NULL, 0};
    free(mail->next_body);
    mail->next_body = NULL;
    mail->next_len = mail->next_cap = 0;
    mail->next_replaced = mail->last_cr = false;
}

bool milter_mail_field(const struct milter_mail *mail, size_t *i, const struct milter_field **field)
{
    while (*i < mail->count && mail->fields[*i].gone_by != 0)
        (*i)++;
    if (*i == mail->count)
        return false;
    *field = &mail->fields[(*i)++];
    return true;
}

/* ---- what a milter says */

static bool body_room(struct milter_mail *mail, size_t n)
{
    size_t cap = mail->next_cap == 0 ? 64 * 1024 : mail->next_cap;
    char *p;

    if (n <= mail->next_cap - mail->next_len)
        return true;
    while (cap - mail->next_len < n)
        cap *= 2;
    p = realloc(mail->next_body, cap);
    if (p == NULL)
        return false;
    mail->next_body = p;
    mail->next_cap = cap;
    return true;
}

/* Line ends of milters that know LF alone become CRLF. What will be refused is not kept. */
static bool take_body(struct milter_mail *mail, struct postern_str chunk)
{
    mail->next_replaced = true;
    if ((mail->may & MILTER_MAY_CHANGE_BODY) == 0)
        return true;
    if (chunk.len > BODY_MAX - mail->next_len || !body_room(mail, 2 * chunk.len + 1))
        return false;
    for (size_t i = 0; i < chunk.len; i++) {
        if (chunk.p[i] == '\n' && !mail->last_cr)
            mail->next_body[mail->next_len++] = '\r';
        mail->next_body[mail->next_len++] = chunk.p[i];
        mail->last_cr = chunk.p[i] == '\r';
    }
    return mail->next_len <= BODY_MAX;
}

bool milter_mail_take(void *ctx, const struct milter_reply *reply)
{
    struct milter_mail *mail = ctx;
    struct milter_reply *edits, copy = *reply;

    if (reply->kind == MILTER_REPLACE_BODY)
        return take_body(mail, reply->a);
    if (reply->kind == MILTER_QUARANTINE) {
        mail->quarantine = reply->a;
        return keep(mail->call, &mail->quarantine);
    }
    if (mail->edit_count == EDITS_MAX || !keep(mail->call, &copy.a) || !keep(mail->call, &copy.b))
        return false;
    edits = grow(mail->call, mail->edits, mail->edit_count, &mail->edit_cap, sizeof(*edits));
    if (edits == NULL)
        return false;
    mail->edits = edits;
    edits[mail->edit_count++] = copy;
    return true;
}

/* ---- handing it on */

struct apply {
    struct milter_mail *mail;
    struct postern_call *c;
    const struct milter_talk *talk;
};

/* A value as a host wants it: folds as CRLF, and no blank in front that belongs to the colon. In
 * the transaction's memory, behind a blank that fields have. */
static bool value_of(const struct apply *a, struct postern_str from, struct postern_str *value)
{
    char *p;
    size_t n = 0;

    if (milter_agreed(a->talk, MILTER_LEADING_SPACE) != 0 && from.len > 0 && from.p[0] == ' ')
        from = (struct postern_str){from.p + 1, from.len - 1};
    p = a->c->host->alloc(a->c, 2 * from.len + 2);
    if (p == NULL)
        return false;
    p[n++] = ' ';
    for (size_t i = 0; i < from.len; i++) {
        if (from.p[i] == '\n' && (i == 0 || from.p[i - 1] != '\r'))
            p[n++] = '\r';
        p[n++] = from.p[i];
    }
    *value = (struct postern_str){p + 1, n - 1};
    return true;
}

/* The place where `position` fields stand before it; our own lines are the first of them. */
static size_t place_of(const struct milter_mail *mail, size_t position)
{
    size_t at = 0;

    for (size_t before = 1; before < position && at < mail->count; at++)
        before += mail->fields[at].gone_by == 0;
    return at;
}

static int put_change(const struct apply *a, char kind, size_t index, struct postern_str name,
                      struct postern_str value)
{
    struct milter_mail *mail = a->mail;
    struct milter_change *changes =
        grow(a->c, mail->changes, mail->change_count, &mail->change_cap, sizeof(*changes));

    if (changes == NULL)
        return POSTERN_LIMIT;
    mail->changes = changes;
    changes[mail->change_count++] =
        (struct milter_change){a->talk->server, kind, index, name, value};
    return POSTERN_OK;
}

/* A new field, at that place of the header. */
static int put_field(const struct apply *a, const struct milter_reply *r, char kind, size_t at)
{
    struct milter_field field = {.name = r->a, .by = a->mail->serial};
    struct postern_str value;
    int rc;

    if (!value_of(a, r->b, &value))
        return POSTERN_LIMIT;
    if (!milter_field_ok(r->a, value))
        return POSTERN_INVALID;
    rc = put_change(a, kind, r->index, r->a, value);
    if (rc != POSTERN_OK)
        return rc;
    field.value = (struct postern_str){value.p - 1, value.len + 1};
    field.change = a->mail->change_count - 1;
    return add_field(a->mail, at, field) ? POSTERN_OK : POSTERN_LIMIT;
}

static int add_header(const struct apply *a, const struct milter_reply *r)
{
    return put_field(a, r, MILTER_ADD_HEADER, a->mail->count);
}

static int insert_header(const struct apply *a, const struct milter_reply *r)
{
    return put_field(a, r, MILTER_INSERT_HEADER, place_of(a->mail, r->index));
}

/* Milters count the fields of a name from 1, in the header that they were shown. */
static struct milter_field *find_field(const struct apply *a, struct postern_str name, size_t nth)
{
    for (size_t i = 0; i < a->mail->count; i++) {
        struct milter_field *f = &a->mail->fields[i];

        if (f->by != a->mail->serial && (f->gone_by == 0 || f->gone_by == a->mail->serial) &&
            same_name(f->name, name) && nth-- <= 1)
            return f;
    }
    return NULL;
}

/* Which one it was of those of its name, as the message was received. */
static size_t nth_of(const struct apply *a, const struct milter_field *field)
{
    size_t n = 0;

    for (const struct milter_field *f = a->mail->fields; f < field; f++)
        n += f->by == 0 && same_name(f->name, field->name);
    return n;
}

/* A field that another milter added is there, or never was: what was inserted behind it since then
 * counted it, so its position is another. */
static void keep_addition(const struct apply *a, const struct milter_field *field, bool kept)
{
    struct milter_mail *mail = a->mail;
    struct milter_change *change = &mail->changes[field->change];

    if (kept == (change->server != NULL))
        return;
    change->server = kept ? a->talk->server : NULL;
    for (const struct milter_field *f = field + 1; f < mail->fields + mail->count; f++)
        if (f->by != 0 && f->change > field->change &&
            mail->changes[f->change].kind == MILTER_INSERT_HEADER)
            mail->changes[f->change].index += kept ? 1 : (size_t)-1;
}

static int change_header(const struct apply *a, const struct milter_reply *r)
{
    struct milter_field *field = find_field(a, r->a, r->index);
    struct postern_str value;
    int rc = POSTERN_OK;

    if (field == NULL) /* as sendmail does: one that is not there is added, or stays away */
        return r->b.len == 0 ? POSTERN_OK : add_header(a, r);
    if (!value_of(a, r->b, &value))
        return POSTERN_LIMIT;
    if (!milter_field_ok(r->a, value))
        return POSTERN_INVALID;
    if (field->by == 0) {
        rc = put_change(a, MILTER_CHANGE_HEADER, nth_of(a, field), r->a, value);
    } else {
        keep_addition(a, field, value.len != 0);
        a->mail->changes[field->change].value = value;
    }
    field->gone_by = value.len == 0 ? a->mail->serial : 0;
    if (value.len != 0)
        field->value = (struct postern_str){value.p - 1, value.len + 1};
    return rc;
}

static struct postern_str address_of(struct postern_str s)
{
    while (s.len > 0 && s.p[0] == ' ')
        s = (struct postern_str){s.p + 1, s.len - 1};
    while (s.len > 0 && s.p[s.len - 1] == ' ')
        s.len--;
    if (s.len >= 2 && s.p[0] == '<' && s.p[s.len - 1] == '>')
        s = (struct postern_str){s.p + 1, s.len - 2};
    return s;
}

static int apply_one(const struct apply *a, const struct milter_reply *r)
{
    switch (r->kind) {
    case MILTER_ADD_HEADER:
        return add_header(a, r);
    case MILTER_INSERT_HEADER:
        return insert_header(a, r);
    case MILTER_CHANGE_HEADER:
        return change_header(a, r);
    default:
        return put_change(a, r->kind, 0, r->a, address_of(r->a));
    }
}

static uint32_t action_of(char kind)
{
    switch (kind) {
    case MILTER_ADD_HEADER:
    case MILTER_INSERT_HEADER:
        return MILTER_MAY_ADD_HEADERS;
    case MILTER_CHANGE_HEADER:
        return MILTER_MAY_CHANGE_HEADERS;
    case MILTER_CHANGE_FROM:
        return MILTER_MAY_CHANGE_FROM;
    case MILTER_REMOVE_RCPT:
        return MILTER_MAY_REMOVE_RCPT;
    case MILTER_REPLACE_BODY:
        return MILTER_MAY_CHANGE_BODY;
    default:
        return MILTER_MAY_ADD_RCPT;
    }
}

/* Those that the core sets by itself, as the message that goes on needs them. */
static bool is_ours(struct postern_str arg)
{
    static const char *const keys[] = {"SIZE", "BODY", "SMTPUTF8"};
    size_t len = 0;

    while (len < arg.len && arg.p[len] != '=')
        len++;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (same_name((struct postern_str){arg.p, len},
                      (struct postern_str){keys[i], strlen(keys[i])}))
            return true;
    return false;
}

/* The first ESMTP argument of a sender's or recipient's edit that can't be honoured; or empty. */
static struct postern_str foreign_argument(const struct milter_reply *r)
{
    if (r->kind != MILTER_CHANGE_FROM && r->kind != MILTER_ADD_RCPT_ARGS)
        return POSTERN_STR("");
    for (size_t at = 0; at < r->b.len;) {
        size_t end = at;
        struct postern_str arg;

        while (end < r->b.len && r->b.p[end] != ' ')
            end++;
        arg = (struct postern_str){r->b.p + at, end - at};
        if (arg.len > 0 && !is_ours(arg))
            return arg;
        at = end + 1;
    }
    return POSTERN_STR("");
}

static void take_new_body(struct milter_mail *mail, const struct milter_server *server)
{
    free(mail->new_body);
    mail->new_body = mail->next_body;
    mail->body = (struct postern_str){mail->new_body == NULL ? "" : mail->new_body, mail->next_len};
    mail->replaced = server;
    mail->next_body = NULL;
}

/* One edit was too many: the host takes none. */
static int lose(struct milter_mail *mail, const struct milter_server *server,
                milter_refused *refused)
{
    if (mail->lost)
        return POSTERN_OK;
    mail->lost = true;
    return refused(mail->call, server, "all edits, one is too many", POSTERN_STR(""));
}

int milter_mail_apply(struct milter_mail *mail, const struct milter_talk *talk,
                      milter_refused *refused)
{
    const struct apply a = {mail, mail->call, talk};
    const uint32_t may = talk->server->actions;
    unsigned refusals = 0;
    int rc = POSTERN_OK;

    for (size_t i = 0; i < mail->edit_count && rc == POSTERN_OK; i++) {
        const struct milter_reply *r = &mail->edits[i];

        rc = (may & action_of(r->kind)) == 0 ? POSTERN_INVALID : apply_one(&a, r);
        if (rc == POSTERN_OK && foreign_argument(r).len > 0 && refusals++ < REFUSED_MAX)
            rc = refused(mail->call, talk->server, "argument", foreign_argument(r));
        if (rc == POSTERN_LIMIT)
            return lose(mail, talk->server, refused);
        if (rc != POSTERN_INVALID)
            continue;
        rc = POSTERN_OK;
        if (refusals++ < REFUSED_MAX) /* more say no more */
            rc = refused(mail->call, talk->server, milter_reply_word(r->kind), r->a);
    }
    if (!mail->next_replaced || rc != POSTERN_OK)
        return rc;
    if ((may & MILTER_MAY_CHANGE_BODY) == 0)
        return refused(mail->call, talk->server, milter_reply_word(MILTER_REPLACE_BODY),
                       POSTERN_STR(""));
    take_new_body(mail, talk->server);
    return POSTERN_OK;
}

static int hand_on(struct milter_mail *mail, const struct milter_change *change)
{
    const struct postern_host *host = mail->call->host;

    switch (change->kind) {
    case MILTER_ADD_HEADER: /* a milter's is the last; the host's own way is behind trace lines */
        return host->insert_header(mail->call, UINT32_MAX, change->name, change->value);
    case MILTER_INSERT_HEADER:
        return host->insert_header(mail->call, change->index, change->name, change->value);
    case MILTER_CHANGE_HEADER:
        return host->change_header(mail->call, change->name, change->index, change->value);
    case MILTER_CHANGE_FROM:
        return host->change_from(mail->call, change->value);
    case MILTER_REMOVE_RCPT:
        return host->remove_rcpt(mail->call, change->value);
    default:
        return host->add_rcpt(mail->call, change->value);
    }
}

static int hand_on_all(struct milter_mail *mail, milter_refused *refused)
{
    unsigned refusals = 0;
    int rc = POSTERN_OK;

    for (size_t i = 0; i < mail->change_count && rc == POSTERN_OK && !mail->lost; i++) {
        const struct milter_change *change = &mail->changes[i];

        if (change->server == NULL)
            continue;
        rc = hand_on(mail, change);
        if (rc == POSTERN_LIMIT)
            return lose(mail, change->server, refused);
        if (rc != POSTERN_INVALID)
            continue;
        rc = POSTERN_OK;
        if (refusals++ < REFUSED_MAX)
            rc = refused(mail->call, change->server, milter_reply_word(change->kind), change->name);
    }
    return rc;
}

int milter_mail_finish(struct milter_mail *mail, milter_refused *refused)
{
    int rc = hand_on_all(mail, refused);

    if (rc != POSTERN_OK || mail->lost || mail->replaced == NULL)
        return rc;
    rc = mail->call->host->replace_body(mail->call, mail->body);
    if (rc != POSTERN_INVALID && rc != POSTERN_LIMIT)
        return rc;
    return refused(mail->call, mail->replaced, milter_reply_word(MILTER_REPLACE_BODY),
                   POSTERN_STR(""));
}
