#include "rpl.h"

#include "memfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static const struct {
    const char *name;
    bool bare; /* may stand alone */
} words[RPL_WORDS] = {
    [RPL_CONF] = {"conf", false},       [RPL_DNS] = {"dns", false},
    [RPL_FILE] = {"file", false},       [RPL_TIME] = {"time", false},
    [RPL_CLIENT] = {"client", false},   [RPL_SEND] = {"<", true},
    [RPL_SEND_RAW] = {"<|", false},     [RPL_EXPECT] = {">", false},
    [RPL_EXPECT_PAST] = {">|", true},   [RPL_DROP] = {"drop", true},
    [RPL_CLOSED] = {"closed", true},    [RPL_EVENT] = {"event", false},
    [RPL_REFUSED] = {"refused", false}, [RPL_MAIL] = {"mail", false},
};

struct pn_str rpl_first(struct pn_str *rest)
{
    struct pn_str first = pn_str_split(rest, ' ');
    if (rest->p == NULL)
        *rest = PN_STR("");
    return first;
}

static bool read_line(struct rpl *s, unsigned number, struct pn_str text, struct pn_buf *err)
{
    struct pn_str rest = text, word = rpl_first(&rest);
    struct pn_str trimmed = pn_str_trim(text);
    if (trimmed.len == 0 || trimmed.p[0] == '#')
        return true;
    unsigned w = 0;
    while (w < RPL_WORDS && !pn_str_eq(word, pn_str_of(words[w].name)))
        w++;
    if (w == RPL_WORDS || (rest.len == 0 && !words[w].bare)) {
        (void)pn_buf_addf(err, "%s:%u: %s '%.*s', expected a line of a replay script\n", s->path,
                          number, w == RPL_WORDS ? "unknown word" : "nothing behind", PN_FMT(word));
        return false;
    }
    if (w == RPL_DNS)
        rest = pn_str_trim(rest); /* a blank would mean the name of the line before */
    unsigned column = rest.len == 0 ? 0 : (unsigned)(rest.p - text.p);
    s->lines[s->count++] = (struct rpl_line){number, (enum rpl_word)w, rest, column};
    return true;
}

static bool check_line(const struct rpl *s, const struct rpl_line *l, struct pn_buf *err)
{
    int64_t ms;
    struct pn_ip ip;
    const char *want = NULL;
    if (l->word == RPL_TIME && !rpl_time(l->rest, 0, &ms))
        want = "seconds since 1970, or + and seconds";
    else if (l->word == RPL_CLIENT && !pn_ip_parse(pn_str_trim(l->rest), &ip))
        want = "an address";
    if (want != NULL)
        (void)pn_buf_addf(err, "%s:%u: '%.*s' stands there, expected %s\n", s->path, l->number,
                          PN_FMT(l->rest), want);
    return want == NULL;
}

struct rpl *rpl_parse(const char *path, struct pn_str text, struct pn_buf *err)
{
    struct pn_pool *pool = pn_pool_new(16 * (size_t)RPL_BYTES_MAX);
    struct rpl *s = pn_pool_alloc(pool, sizeof *s);
    struct pn_str rest = pn_pool_dup(pool, text);
    size_t lines = 1;
    for (size_t i = 0; i < rest.len; i++)
        lines += rest.p[i] == '\n';
    s->path = path;
    s->pool = pool;
    s->lines = lines > RPL_LINES_MAX ? NULL : pn_pool_alloc(pool, lines * sizeof *s->lines);
    bool ok = s->lines != NULL && text.len <= RPL_BYTES_MAX;
    if (!ok)
        (void)pn_buf_addf(err, "%s: too large, expected at most %d lines\n", path, RPL_LINES_MAX);
    for (unsigned number = 1; ok && rest.p != NULL; number++) {
        struct pn_str line = pn_str_split(&rest, '\n');
        if (line.len > 0 && line.p[line.len - 1] == '\r')
            line.len--;
        ok = read_line(s, number, line, err) &&
             (s->count == 0 || check_line(s, &s->lines[s->count - 1], err));
    }
    if (!ok)
        rpl_free(&s);
    return s;
}

struct rpl *rpl_read(const char *path, struct pn_buf *err)
{
    struct pn_str text;
    struct rpl *s = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || pn_map_fd(fd, false, &text) != 0) {
        (void)pn_buf_addf(err, "%s: %s\n", path, strerror(errno));
    } else {
        s = rpl_parse(path, text, err);
        pn_unmap(&text);
    }
    if (fd >= 0)
        (void)close(fd);
    return s;
}

void rpl_free(struct rpl **script)
{
    struct rpl *s = *script;
    if (s == NULL)
        return;
    *script = NULL;
    struct pn_pool *pool = s->pool;
    pn_pool_free(&pool);
}

void rpl_collect(const struct rpl *s, enum rpl_word word, struct pn_buf *out)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->lines[i].word == word) {
            (void)pn_buf_adds(out, s->lines[i].rest);
            (void)pn_buf_addc(out, '\n');
        }
}

/* The n-th line of that word, from 1; NULL: there is no such. */
static const struct rpl_line *nth_line(const struct rpl *s, enum rpl_word word, uint64_t n)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->lines[i].word == word && --n == 0)
            return &s->lines[i];
    return NULL;
}

static struct pn_str digits(struct pn_str s)
{
    size_t n = 0;
    while (n < s.len && pn_is_digit(s.p[n]))
        n++;
    return pn_str_slice(s, 0, n);
}

void rpl_places(const struct rpl *script, const struct rpl_made *made, struct pn_str text,
                struct pn_buf *out)
{
    const size_t len = strlen(made->path);
    while (text.len != 0) {
        uint64_t l, c;
        const struct rpl_line *at = NULL;
        struct pn_str after = pn_str_slice(text, len + 1, text.len), line = digits(after);
        struct pn_str column = digits(pn_str_slice(after, line.len + 1, after.len));
        if (text.len > len && memcmp(text.p, made->path, len) == 0 && text.p[len] == ':' &&
            pn_str_u64(line, INT32_MAX, &l) && pn_str_u64(column, INT32_MAX, &c) && l > made->own)
            at = nth_line(script, made->word, l - made->own);
        if (at != NULL) {
            (void)pn_buf_addf(out, "%s:%u:%llu", script->path, at->number,
                              (unsigned long long)c + at->column);
            text = pn_str_slice(after, line.len + 1 + column.len, after.len);
        } else {
            (void)pn_buf_addc(out, text.p[0]);
            text = pn_str_slice(text, 1, text.len);
        }
    }
}

static int hex(char c)
{
    c = pn_lower(c);
    return pn_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void rpl_unescape(struct pn_str s, struct pn_buf *out)
{
    static const char from[] = "rnt0\\", to[] = "\r\n\t\0\\";
    for (size_t i = 0; i < s.len; i++) {
        const char *at = NULL;
        if (s.p[i] == '\\' && i + 1 < s.len && s.p[i + 1] != '\0')
            at = strchr(from, s.p[i + 1]);
        if (at != NULL) {
            (void)pn_buf_addc(out, to[at - from]);
            i++;
        } else if (s.p[i] == '\\' && i + 3 < s.len && s.p[i + 1] == 'x' && hex(s.p[i + 2]) >= 0 &&
                   hex(s.p[i + 3]) >= 0) {
            (void)pn_buf_addc(out, (char)(hex(s.p[i + 2]) * 16 + hex(s.p[i + 3])));
            i += 3;
        } else {
            (void)pn_buf_addc(out, s.p[i]);
        }
    }
}

bool rpl_time(struct pn_str rest, int64_t now_ms, int64_t *out)
{
    struct pn_str s = pn_str_trim(rest);
    bool moves = s.len > 0 && s.p[0] == '+';
    uint64_t seconds;
    if (!pn_str_u64(moves ? pn_str_slice(s, 1, s.len) : s, INT32_MAX * 10ULL, &seconds))
        return false;
    *out = (moves ? now_ms : 0) + (int64_t)seconds * 1000;
    return true;
}
