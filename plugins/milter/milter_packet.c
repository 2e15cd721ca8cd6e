#include "milter_packet.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD = 5, ROOM = 8192 };

/* ---- writing */

void milter_out_free(struct milter_out *out)
{
    free(out->p);
    *out = (struct milter_out){0};
}

static bool out_room(struct milter_out *out, size_t n)
{
    size_t cap = out->cap == 0 ? ROOM : out->cap;
    char *p;

    if (out->failed)
        return false;
    if (n <= out->cap - out->len)
        return true;
    while (cap - out->len < n)
        cap *= 2;
    p = realloc(out->p, cap);
    if (p == NULL) {
        out->failed = true;
        return false;
    }
    out->p = p;
    out->cap = cap;
    return true;
}

static void out_add(struct milter_out *out, const void *p, size_t n)
{
    if (n == 0 || !out_room(out, n))
        return;
    memcpy(out->p + out->len, p, n);
    out->len += n;
}

static void put_be32(char *p, uint32_t n)
{
    p[0] = (char)(n >> 24);
    p[1] = (char)(n >> 16 & 0xff);
    p[2] = (char)(n >> 8 & 0xff);
    p[3] = (char)(n & 0xff);
}

size_t milter_begin(struct milter_out *out, char command)
{
    size_t at = out->len;
    const char head[HEAD] = {0, 0, 0, 0, command};

    out_add(out, head, sizeof(head));
    return at;
}

void milter_put_byte(struct milter_out *out, char byte)
{
    out_add(out, &byte, 1);
}

void milter_put_u16(struct milter_out *out, uint16_t n)
{
    const char bytes[2] = {(char)(n >> 8), (char)(n & 0xff)};

    out_add(out, bytes, sizeof(bytes));
}

void milter_put_u32(struct milter_out *out, uint32_t n)
{
    char bytes[4];

    put_be32(bytes, n);
    out_add(out, bytes, sizeof(bytes));
}

void milter_put_bytes(struct milter_out *out, struct postern_str s)
{
    out_add(out, s.p, s.len);
}

void milter_put_text(struct milter_out *out, struct postern_str s)
{
    const char *nul = s.len == 0 ? NULL : memchr(s.p, '\0', s.len);

    out_add(out, s.p, nul == NULL ? s.len : (size_t)(nul - s.p));
    milter_put_byte(out, '\0');
}

void milter_put_lines(struct milter_out *out, struct postern_str s)
{
    const char *nul = s.len == 0 ? NULL : memchr(s.p, '\0', s.len);
    const char *end = nul != NULL ? nul : s.p + s.len;

    for (const char *p = s.p; p < end;) {
        const char *cr = memchr(p, '\r', (size_t)(end - p));
        const char *stop = cr == NULL ? end : cr;

        out_add(out, p, (size_t)(stop - p));
        if (cr != NULL && (cr + 1 == end || cr[1] != '\n'))
            milter_put_byte(out, '\r');
        p = cr == NULL ? end : cr + 1;
    }
    milter_put_byte(out, '\0');
}

void milter_end(struct milter_out *out, size_t at)
{
    if (!out->failed)
        put_be32(out->p + at, (uint32_t)(out->len - at - 4));
}

/* ---- reading */

void milter_in_free(struct milter_in *in)
{
    free(in->p);
    *in = (struct milter_in){0};
}

static void in_drop(struct milter_in *in)
{
    if (in->taken == 0)
        return;
    memmove(in->p, in->p + in->taken, in->len - in->taken);
    in->len -= in->taken;
    in->taken = 0;
}

char *milter_in_room(struct milter_in *in, size_t *n)
{
    in_drop(in);
    if (in->cap - in->len < ROOM / 2) {
        size_t cap = in->cap == 0 ? ROOM : in->cap * 2;
        char *p = realloc(in->p, cap);

        if (p == NULL)
            return NULL;
        in->p = p;
        in->cap = cap;
    }
    *n = in->cap - in->len;
    return in->p + in->len;
}

static uint32_t get_be32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;

    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

enum milter_took milter_take(struct milter_in *in, size_t max, struct milter_packet *packet)
{
    const char *p;
    size_t have, len;

    p = in->p + in->taken;
    have = in->len - in->taken;
    if (have < 4)
        return MILTER_TOOK_NONE;
    len = get_be32(p);
    if (len == 0 || len - 1 > max)
        return MILTER_TOOK_BAD;
    if (have - 4 < len)
        return MILTER_TOOK_NONE;
    *packet = (struct milter_packet){p[4], {p + HEAD, len - 1}};
    in->taken += 4 + len;
    return MILTER_TOOK;
}

/* ---- answers */

/* Takes a text up to its NUL off the front. False: there is no NUL. */
static bool take_text(struct postern_str *s, struct postern_str *out)
{
    const char *nul = s->len == 0 ? NULL : memchr(s->p, '\0', s->len);

    if (nul == NULL)
        return false;
    *out = (struct postern_str){s->p, (size_t)(nul - s->p)};
    *s = (struct postern_str){nul + 1, s->len - out->len - 1};
    return true;
}

static bool take_u32(struct postern_str *s, uint32_t *out)
{
    if (s->len < 4)
        return false;
    *out = get_be32(s->p);
    *s = (struct postern_str){s->p + 4, s->len - 4};
    return true;
}

/* i: a number; t: a text; o: a text that may be missing; *: the rest, any bytes. */
static const struct {
    char kind;
    const char *shape, *word;
} kinds[] = {{MILTER_ADD_RCPT, "t", "add-recipient"},
             {MILTER_REMOVE_RCPT, "t", "remove-recipient"},
             {MILTER_ADD_RCPT_ARGS, "to", "add-recipient"},
             {MILTER_SHUTDOWN, "", "shutdown"},
             {MILTER_ACCEPT, "", "accept"},
             {MILTER_REPLACE_BODY, "*", "replace-body"},
             {MILTER_CONTINUE, "", "continue"},
             {MILTER_DISCARD, "", "discard"},
             {MILTER_CHANGE_FROM, "to", "change-sender"},
             {MILTER_FAIL_CONNECTION, "", "fail-connection"},
             {MILTER_ADD_HEADER, "tt", "add-header"},
             {MILTER_INSERT_HEADER, "itt", "insert-header"},
             {MILTER_CHANGE_HEADER, "itt", "change-header"},
             {MILTER_PROGRESS, "", "progress"},
             {MILTER_QUARANTINE, "t", "quarantine"},
             {MILTER_REJECT, "", "reject"},
             {MILTER_SKIP, "", "skip"},
             {MILTER_TEMPFAIL, "", "tempfail"},
             {MILTER_REPLY_CODE, "t", "reply"}};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

bool milter_reply_read(const struct milter_packet *packet, struct milter_reply *reply)
{
    struct postern_str rest = packet->data, *text = &reply->a;
    size_t k = 0;

    while (k < KINDS && kinds[k].kind != packet->command)
        k++;
    if (k == KINDS)
        return false;
    *reply = (struct milter_reply){packet->command, 0, POSTERN_STR(""), POSTERN_STR("")};
    for (const char *shape = kinds[k].shape; *shape != '\0'; shape++) {
        bool good = true;

        if (*shape == 'i') {
            good = take_u32(&rest, &reply->index);
        } else if (*shape == '*') {
            reply->a = rest;
            return true;
        } else if (*shape == 't' || rest.len > 0) {
            good = take_text(&rest, text);
            text = &reply->b;
        }
        if (!good)
            return false;
    }
    return rest.len == 0;
}

const char *milter_reply_word(char kind)
{
    for (size_t k = 0; k < KINDS; k++)
        if (kinds[k].kind == kind)
            return kinds[k].word;
    return "?";
}

/* ---- options */

void milter_put_options(struct milter_out *out, const struct milter_options *options)
{
    size_t at = milter_begin(out, MILTER_OPTIONS);

    milter_put_u32(out, options->version);
    milter_put_u32(out, options->actions);
    milter_put_u32(out, options->steps);
    milter_end(out, at);
}

bool milter_options_read(const struct milter_packet *packet, struct milter_options *options)
{
    struct postern_str rest = packet->data, names;
    uint32_t stage;

    memset(options, 0, sizeof(*options));
    if (packet->command != MILTER_OPTIONS || !take_u32(&rest, &options->version) ||
        !take_u32(&rest, &options->actions) || !take_u32(&rest, &options->steps) ||
        options->version < MILTER_VERSION_MIN || options->version > MILTER_VERSION)
        return false;
    while (rest.len > 0) {
        if (!take_u32(&rest, &stage) || !take_text(&rest, &names))
            return false;
        if (stage >= MILTER_STAGES) /* of a version to come */
            continue;
        options->named |= 1U << stage;
        options->macros[stage] = names;
    }
    return true;
}

/* ---- reply codes */

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A line's own text: behind "550-" or "550 ". */
static struct postern_str line_text(struct postern_str line, struct postern_str code)
{
    if (line.len >= 3 && memcmp(line.p, code.p, 3) == 0 &&
        (line.len == 3 || line.p[3] == ' ' || line.p[3] == '-')) {
        size_t head = line.len > 3 ? 4 : 3;

        line = (struct postern_str){line.p + head, line.len - head};
    }
    return line;
}

/* "5.7.1 " in front, which a further line repeats. */
static size_t enhanced_length(struct postern_str s)
{
    size_t at = 0;

    for (int part = 0; part < 3; part++) {
        size_t begin = at;

        while (at < s.len && digit(s.p[at]) && at - begin < 3)
            at++;
        if (at == begin || at == s.len || s.p[at] != (part < 2 ? '.' : ' '))
            return 0;
        at++;
    }
    return at;
}

static void add_line(char *room, size_t *len, struct postern_str text)
{
    size_t skip = *len > 4 ? enhanced_length(text) : 0;

    if (*len > 4 && text.len > skip && *len < MILTER_REPLY_MAX)
        room[(*len)++] = ' ';
    for (size_t i = skip; i < text.len && *len < MILTER_REPLY_MAX; i++) {
        char c = text.p[i];

        if (c != '\r')
            room[(*len)++] = c >= ' ' && c <= '~' ? c : '?';
    }
}

bool milter_reply_line(struct postern_str text, char *room, struct postern_str *line)
{
    struct postern_str rest = text;
    size_t len = 4;

    if (text.len < 3 || (text.p[0] != '4' && text.p[0] != '5') || !digit(text.p[1]) ||
        text.p[1] > '5' || !digit(text.p[2]) ||
        (text.len > 3 && text.p[3] != ' ' && text.p[3] != '-'))
        return false;
    memcpy(room, memcmp(text.p, "421", 3) == 0 ? "451" : text.p, 3);
    room[3] = ' ';
    while (rest.len > 0) {
        const char *lf = memchr(rest.p, '\n', rest.len);
        size_t n = lf == NULL ? rest.len : (size_t)(lf - rest.p);

        add_line(room, &len, line_text((struct postern_str){rest.p, n}, text));
        n += lf != NULL;
        rest = (struct postern_str){rest.p + n, rest.len - n};
    }
    while (len > 4 && room[len - 1] == ' ')
        len--;
    *line = (struct postern_str){room, len == 4 ? 3 : len};
    return true;
}
