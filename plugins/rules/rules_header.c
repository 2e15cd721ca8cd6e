/* What header rules look at: fields, pseudo headers, and parts of them. */
#include "rules_text_in.h"

bool rules_list_push(struct rules_text *t, struct rules_list_of *l, struct postern_str s)
{
    if (s.p == NULL)
        return false;
    if (l->count == l->room) {
        size_t room = l->room == 0 ? 8 : l->room * 2;
        struct postern_str *p = rules_alloc(&t->arena, room * sizeof(*p));

        if (p == NULL)
            return false;
        if (l->count > 0)
            memcpy(p, l->p, l->count * sizeof(*p));
        l->p = p;
        l->room = room;
    }
    l->p[l->count++] = s;
    return true;
}

/* ---- fields ---- */

/* LF for CRLF, and one at the end. */
static struct postern_str with_lf(struct rules_text *t, struct postern_str s)
{
    char *p = rules_alloc(&t->arena, s.len + 2);
    size_t n = 0;

    if (p == NULL)
        return (struct postern_str){NULL, 0};
    while (s.len > 0) {
        const char *cr = memchr(s.p, '\r', s.len);
        size_t took = cr == NULL ? s.len : (size_t)(cr - s.p) + 1;

        memcpy(p + n, s.p, took);
        n += took - (took < s.len && s.p[took] == '\n');
        s.p += took;
        s.len -= took;
    }
    p[n++] = '\n';
    return (struct postern_str){p, n};
}

static void number_fields(struct rules_text *t)
{
    for (size_t i = 0; i < t->field_count; i++)
        for (size_t k = i; k-- > 0;)
            if (rules_ieq(t->fields[k].name, t->fields[i].name)) {
                t->fields[i].nth = t->fields[k].nth + 1;
                break;
            }
}

struct rules_field *rules_fields(struct rules_text *t, size_t *count)
{
    const struct postern_host *host = t->call->host;
    size_t n;

    if (!t->fields_made) {
        t->fields_made = true;
        n = host->header_count(t->call);
        if (n > RULES_FIELDS_MAX)
            n = RULES_FIELDS_MAX;
        t->fields = rules_alloc(&t->arena, (n + 1) * sizeof(*t->fields));
        for (size_t i = 0; t->fields != NULL && i < n; i++) {
            struct rules_field f = {.nth = 0};
            struct postern_str value;

            if (host->header_at(t->call, i, &f.name, &value) != POSTERN_OK)
                continue;
            if (value.len > RULES_VALUE_MAX)
                value.len = RULES_VALUE_MAX;
            f.raw = with_lf(t, value);
            if (f.raw.p != NULL)
                t->fields[t->field_count++] = f;
        }
        number_fields(t);
    }
    *count = t->field_count;
    return t->fields;
}

/* Folds to one blank, ends trimmed. */
static struct postern_str unfolded(struct rules_text *t, struct postern_str raw)
{
    char *p = rules_alloc(&t->arena, raw.len + 1);
    size_t n = 0;

    for (size_t i = 0; p != NULL && i < raw.len;) {
        const char *lf = memchr(raw.p + i, '\n', raw.len - i);
        size_t to = lf == NULL ? raw.len : (size_t)(lf - raw.p);

        memcpy(p + n, raw.p + i, to - i);
        n += to - i;
        if (lf != NULL)
            p[n++] = ' ';
        for (i = to + 1; i < raw.len && (raw.p[i] == ' ' || raw.p[i] == '\t');)
            i++;
    }
    return p == NULL ? POSTERN_STR("") : rules_trim((struct postern_str){p, n});
}

bool rules_is_plain(struct postern_str s)
{
    return rules_count(s, 0x80, 0xff) == 0 && (s.len == 0 || memmem(s.p, s.len, "=?", 2) == NULL);
}

/* Fields of machines are never decoded. */
static bool is_of_machines(struct postern_str name)
{
    static const char *const names[] = {"Received",          "Message-ID",  "Date",
                                        "Resent-Message-ID", "Resent-Date", "MIME-Version",
                                        "References",        "In-Reply-To"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (rules_ieq(name, (struct postern_str){names[i], strlen(names[i])}))
            return true;
    return rules_istarts(name, POSTERN_STR("List-"));
}

/* What the host decodes keeps the blanks that a fold begins with: one is left of each. Those
 * between two encoded words are gone already, and a run that looks like one is taken for it.
 * Tabs are blanks like others. */
static size_t without_folds(char *p, size_t len, struct postern_str raw)
{
    size_t from = 0;

    for (size_t i = 0; i + 1 < raw.len; i++) {
        size_t n = 0;
        char *at;

        if (raw.p[i] != '\n')
            continue;
        while (i + 1 + n < raw.len && (raw.p[i + 1 + n] == ' ' || raw.p[i + 1 + n] == '\t'))
            n++;
        at = n < 2 ? NULL : memmem(p + from, len - from, raw.p + i + 1, n);
        if (at == NULL)
            continue;
        from = (size_t)(at - p) + 1;
        memmove(p + from, p + from + n - 1, len - from - n + 1);
        p[from - 1] = ' ';
        len -= n - 1;
    }
    for (size_t i = 0; i < len; i++)
        if (p[i] == '\t')
            p[i] = ' ';
    return len;
}

/* The host's text of a value, as rules see it. */
static struct postern_str decoded(struct rules_text *t, struct postern_str text,
                                  struct postern_str raw)
{
    struct postern_str s = rules_dup(&t->arena, text);

    if (s.p == NULL)
        return POSTERN_STR("");
    s.len = without_folds((char *)(uintptr_t)s.p, s.len, raw);
    return s;
}

struct postern_str rules_field_value(struct rules_text *t, struct rules_field *f)
{
    struct postern_str name;
    struct postern_str text;

    if (f->value.p != NULL)
        return f->value;
    f->value = unfolded(t, f->raw);
    if (rules_is_plain(f->value) || is_of_machines(f->name))
        return f->value;
    name = rules_dup(&t->arena, f->name);
    if (name.p != NULL && t->call->host->header_text(t->call, name.p, f->nth, &text) == POSTERN_OK)
        f->value = decoded(t, text, f->raw);
    return f->value;
}

/* Of a part's own header, as of the message's. */
static struct postern_str part_value(struct rules_text *t, struct postern_str name,
                                     struct postern_str raw)
{
    struct postern_str value = unfolded(t, raw);
    struct postern_str text;

    if (rules_is_plain(value) || is_of_machines(name) ||
        t->call->host->words_text(t->call, raw, &text) != POSTERN_OK)
        return value;
    return decoded(t, text, raw);
}

/* ---- values of a header ---- */

static struct postern_str with_end(struct rules_text *t, struct postern_str s)
{
    char *p = rules_alloc(&t->arena, s.len + 1);

    if (p == NULL)
        return (struct postern_str){NULL, 0};
    if (s.len > 0)
        memcpy(p, s.p, s.len);
    p[s.len] = '\n';
    return (struct postern_str){p, s.len + 1};
}

/* Values that end in a line end stand as they are, others get one between. */
static struct postern_str join(struct rules_text *t, struct rules_lines v)
{
    bool ended = v.count > 0 && v.line[0].len > 0 && v.line[0].p[v.line[0].len - 1] == '\n';
    size_t len = 0;
    char *p;

    if (v.count == 1)
        return v.line[0];
    for (size_t i = 0; i < v.count; i++)
        len += v.line[i].len + 1;
    if (len > RULES_ALL_MAX)
        len = RULES_ALL_MAX;
    p = rules_alloc(&t->arena, len + 1);
    if (p == NULL)
        return POSTERN_STR("");
    size_t at = 0;
    for (size_t i = 0; i < v.count && v.line[i].len < len - at; i++) {
        if (i > 0 && !ended)
            p[at++] = '\n';
        memcpy(p + at, v.line[i].p, v.line[i].len);
        at += v.line[i].len;
    }
    return (struct postern_str){p, at};
}

static void add_fields(struct rules_text *t, struct rules_list_of *l, const char *name, bool raw)
{
    struct postern_str want = {name, strlen(name)};
    size_t count;
    struct rules_field *f = rules_fields(t, &count);

    for (size_t i = 0; i < count; i++)
        if (rules_ieq(f[i].name, want))
            (void)rules_list_push(t, l, raw ? f[i].raw : with_end(t, rules_field_value(t, &f[i])));
}

static void add_whole(struct rules_text *t, struct rules_list_of *l, struct rules_field *f,
                      bool raw)
{
    struct postern_str value = raw ? f->raw : rules_field_value(t, f);
    char *p = rules_alloc(&t->arena, f->name.len + value.len + 3);

    if (f->name.len == 0) { /* a line that is no field */
        if (raw)
            (void)rules_list_push(t, l, f->raw);
        return;
    }
    if (p == NULL)
        return;
    memcpy(p, f->name.p, f->name.len);
    memcpy(p + f->name.len, ": ", 2);
    memcpy(p + f->name.len + (raw ? 1 : 2), value.p, value.len);
    value.len += f->name.len + (raw ? 1 : 2);
    if (!raw)
        p[value.len++] = '\n';
    (void)rules_list_push(t, l, (struct postern_str){p, value.len});
}

/* Fields from the Received of that number on, up to and with that of another. What a relay
 * wrote stands above what it got: number n is written by who took it from the n-th relay. */
static void add_all(struct rules_text *t, struct rules_list_of *l, bool raw, size_t from, size_t to)
{
    size_t count;
    struct rules_field *f = rules_fields(t, &count);
    size_t received = t->session ? 1 : 0; /* so far: the one that we write stands above all */

    for (size_t i = 0; i < count && received <= to; i++) {
        received += rules_ieq(f[i].name, POSTERN_STR("Received"));
        if (received >= from)
            add_whole(t, l, &f[i], raw);
    }
}

static void add_relays(struct rules_text *t, struct rules_list_of *l, bool trusted)
{
    const struct rules_relays *r = rules_text_relays(t);

    (void)rules_list_push(
        t, l,
        rules_relays_text(r, trusted ? 0 : r->trusted, trusted ? r->trusted : r->count, &t->arena));
}

static void add_filenames(struct rules_text *t, struct rules_list_of *l)
{
    size_t count;
    struct rules_part *parts = rules_text_parts(t, &count);

    for (size_t i = 0; i < count; i++)
        if (parts[i].raw.filename.len > 0)
            (void)rules_list_push(t, l, parts[i].raw.filename);
}

/* Taken out of a mailbox of one's own, and marked by the program that wrote it: what is in
 * the fields that follow is not of this way. */
static bool was_fetched(const struct rules_field *f, size_t count)
{
    bool sender = false;

    for (size_t i = 0; i < count && !sender; i++)
        sender = rules_ieq(f[i].name, POSTERN_STR("X-Sender")) &&
                 memchr(f[i].raw.p, '@', f[i].raw.len) != NULL;
    for (size_t i = 0; i < count && sender; i++)
        if (rules_ieq(f[i].name, POSTERN_STR("Received")) &&
            memmem(f[i].raw.p, f[i].raw.len, "(fetchmail", 10) != NULL)
            return true;
    return false;
}

/* The reverse-path: the session's, or what a server that took the message has left. */
static void add_envelope_from(struct rules_text *t, struct rules_list_of *l)
{
    static const char *const names[] = {"X-Envelope-From", "Envelope-Sender", "Return-Path"};
    const struct rules_relays *r;
    const struct rules_relay *last;
    size_t count;
    struct rules_field *f = rules_fields(t, &count);

    if (t->session) {
        (void)rules_list_push(t, l, t->call->host->envelope(t->call)->from);
        return;
    }
    r = rules_text_relays(t);
    last = r->trusted < r->count ? &r->relay[r->trusted]
           : r->count > 0        ? &r->relay[r->count - 1]
                                 : NULL;
    if (last != NULL && last->has_envelope_from &&
        (last->envelope_from.len == 0 ||
         memchr(last->envelope_from.p, '@', last->envelope_from.len) != NULL)) {
        (void)rules_list_push(t, l, last->envelope_from);
        return;
    }
    if (was_fetched(f, count))
        return;
    for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
        struct postern_str name = {names[n], strlen(names[n])};
        bool below = false; /* a Received field: older than what our side wrote */
        struct postern_str found = {NULL, 0};
        bool hidden = false;

        for (size_t i = 0; i < count; i++) {
            struct rules_address a;

            below |= rules_ieq(f[i].name, POSTERN_STR("Received"));
            if (!rules_ieq(f[i].name, name))
                continue;
            if (below) { /* whoever wrote the upper one, it is not told apart */
                found.p = NULL;
                hidden = true;
                break;
            }
            if (found.p == NULL && rules_addresses(f[i].raw, &t->arena, &a, 1) == 1)
                found = a.address;
        }
        if (rules_list_push(t, l, found) || (hidden && n == 0))
            return;
    }
}

/* "Name: value", from a field as it stands; a line that is none is left as it is. */
static struct postern_str whole_of_part(struct rules_text *t, struct postern_str s)
{
    const char *colon = memchr(s.p, ':', s.len);
    struct postern_str name = {s.p, colon == NULL ? 0 : (size_t)(colon - s.p)};
    struct postern_str value;
    char *p;

    if (name.len == 0)
        return with_end(t, unfolded(t, s));
    value = part_value(t, name, (struct postern_str){colon + 1, s.len - name.len - 1});
    p = rules_alloc(&t->arena, name.len + value.len + 3);
    if (p == NULL)
        return (struct postern_str){NULL, 0};
    memcpy(p, name.p, name.len);
    memcpy(p + name.len, ": ", 2);
    memcpy(p + name.len + 2, value.p, value.len);
    p[name.len + 2 + value.len] = '\n';
    return (struct postern_str){p, name.len + value.len + 3};
}

/* "ALL": the part's header, folds undone and words decoded, or as it stands. */
static struct postern_str all_of_part(struct rules_text *t, const struct rules_part *p, bool raw)
{
    struct postern_str s = rules_without_cr(t, p->raw.header);
    struct rules_list_of lines = {.count = 0};

    if (s.len > 0 && s.p[s.len - 1] == '\n' && (s.len == 1 || s.p[s.len - 2] == '\n'))
        s.len--; /* the empty line */
    if (s.len > RULES_VALUE_MAX)
        s.len = RULES_VALUE_MAX;
    if (raw)
        return s;
    while (s.len > 0) {
        size_t n = 0;

        do {
            const char *lf = memchr(s.p + n, '\n', s.len - n);

            n = lf == NULL ? s.len : (size_t)(lf - s.p) + 1;
        } while (n < s.len && (s.p[n] == ' ' || s.p[n] == '\t'));
        (void)rules_list_push(t, &lines, whole_of_part(t, (struct postern_str){s.p, n}));
        s.p += n;
        s.len -= n;
    }
    return join(t, (struct rules_lines){{"", 0}, lines.p, lines.count});
}

/* Of each part the last such field. */
static void add_parts(struct rules_text *t, struct rules_list_of *l, const struct rules_header *h)
{
    size_t count;
    struct rules_part *parts = rules_text_parts(t, &count);
    bool as_is = (h->parts & RULES_RAW) != 0;
    bool all = rules_eq(h->name, POSTERN_STR("ALL"));

    for (size_t i = 0; i < count; i++) {
        struct postern_str raw =
            all ? all_of_part(t, &parts[i], as_is) : rules_part_field(t, &parts[i], h->name);

        /* A part's own header begins behind the blanks. */
        while (i > 0 && raw.len > 0 && (raw.p[0] == ' ' || raw.p[0] == '\t'))
            raw.p++, raw.len--;
        if (raw.p != NULL)
            (void)rules_list_push(t, l,
                                  as_is || all ? raw : with_end(t, part_value(t, h->name, raw)));
        else if (h->unset.len > 0)
            (void)rules_list_push(t, l, h->unset);
    }
}

/* Pseudo headers by name; false: it is none. */
static bool add_pseudo(struct rules_text *t, struct rules_list_of *l, const struct rules_header *h)
{
    const struct rules_relays *r;
    bool raw = (h->parts & RULES_RAW) != 0;

    if (rules_ieq(h->name, POSTERN_STR("X-Spam-Relays-Trusted")) ||
        rules_ieq(h->name, POSTERN_STR("X-Spam-Relays-Internal"))) {
        add_relays(t, l, true);
        return true;
    }
    if (rules_ieq(h->name, POSTERN_STR("X-Spam-Relays-Untrusted")) ||
        rules_ieq(h->name, POSTERN_STR("X-Spam-Relays-External"))) {
        add_relays(t, l, false);
        return true;
    }
    if (rules_eq(h->name, POSTERN_STR("ALL"))) {
        add_all(t, l, raw, 0, SIZE_MAX);
        return true;
    }
    if (rules_eq(h->name, POSTERN_STR("ALL-EXTERNAL")) ||
        rules_eq(h->name, POSTERN_STR("ALL-UNTRUSTED"))) {
        r = rules_text_relays(t);
        add_all(t, l, raw, r->trusted_fields + 1, SIZE_MAX);
        return true;
    }
    if (rules_eq(h->name, POSTERN_STR("ALL-TRUSTED")) ||
        rules_eq(h->name, POSTERN_STR("ALL-INTERNAL"))) {
        r = rules_text_relays(t);
        add_all(t, l, raw, 0, r->trusted_fields);
        return true;
    }
    return false;
}

static void add_values(struct rules_text *t, struct rules_list_of *l, const struct rules_header *h)
{
    static const char *const ids[] = {"X-Message-Id", "Resent-Message-Id", "X-Original-Message-Id",
                                      "Message-Id"};
    bool raw = (h->parts & (RULES_RAW | RULES_ADDR | RULES_NAME)) != 0;

    if (rules_ieq(h->name, POSTERN_STR("EnvelopeFrom"))) {
        add_envelope_from(t, l);
    } else if (rules_ieq(h->name, POSTERN_STR("ToCc"))) {
        add_fields(t, l, "To", raw);
        add_fields(t, l, "Cc", raw);
    } else if (rules_eq(h->name, POSTERN_STR("MESSAGEID"))) {
        for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
            add_fields(t, l, ids[i], raw);
    } else if (rules_eq(h->name, POSTERN_STR("FILENAMES"))) {
        add_filenames(t, l);
    } else if (!add_pseudo(t, l, h)) {
        add_fields(t, l, h->cstr, raw);
    }
}

/* ---- what is asked for ---- */

static struct rules_lines make_values(struct rules_text *t, const struct rules_header *h)
{
    struct rules_list_of l = {.count = 0};

    if ((h->parts & RULES_PARTS) != 0) {
        add_parts(t, &l, h);
    } else {
        add_values(t, &l, h);
        l = rules_narrowed(t, h, l);
    }
    return (struct rules_lines){{"", 0}, l.p, l.count};
}

struct rules_lines rules_text_values(struct rules_text *t, uint32_t header)
{
    struct header_text *h = &t->header[header];

    if (!h->made) {
        h->made = true;
        h->values = make_values(t, &t->set->headers[header]);
        h->present = h->values.count > 0;
    }
    return h->values;
}

struct postern_str rules_text_header(struct rules_text *t, uint32_t header, bool *present)
{
    struct header_text *h = &t->header[header];
    struct rules_lines v = rules_text_values(t, header);

    if (present != NULL)
        *present = h->present;
    if (!h->present)
        return t->set->headers[header].unset;
    if (!h->joined_made) {
        h->joined_made = true;
        h->joined = join(t, v);
    }
    return h->joined;
}

static struct rules_lines make_got(struct rules_text *t, const char *spec)
{
    struct rules_header h = {.parts = 0};
    struct postern_str name;

    if (rules_header_read(&h, (struct postern_str){spec, strlen(spec)}) != NULL)
        return (struct rules_lines){{"", 0}, NULL, 0};
    name = rules_dup(&t->arena, h.name);
    if (name.p == NULL)
        return (struct rules_lines){{"", 0}, NULL, 0};
    h.cstr = name.p;
    return make_values(t, &h);
}

struct rules_lines rules_text_get(struct rules_text *t, const char *spec)
{
    struct postern_str s = {spec, strlen(spec)};
    struct rules_got *g;

    for (size_t i = 0; i < t->got_count; i++)
        if (rules_eq(t->got[i].spec, s))
            return t->got[i].lines;
    if (t->got_count == RULES_GOT_MAX)
        return make_got(t, spec);
    g = &t->got[t->got_count];
    g->lines = make_got(t, spec);
    g->spec = rules_dup(&t->arena, s);
    t->got_count += g->spec.p != NULL;
    return g->lines;
}

struct postern_str rules_text_get_one(struct rules_text *t, const char *spec)
{
    struct rules_lines v = rules_text_get(t, spec);
    bool first = strchr(spec, ':') != NULL && strstr(spec, ":raw") == NULL;

    if (v.count == 0)
        return POSTERN_STR("");
    return first || strcmp(spec, "EnvelopeFrom") == 0 ? v.line[0] : join(t, v);
}
