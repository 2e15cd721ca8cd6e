#include "fakehost_int.h"

#include "address.h"
#include "assert.h"
#include "decode.h"
#include "encword.h"
#include "param.h"

#include <sys/mman.h>
#include <unistd.h>

enum { VALUE_MAX = 4 * 1024 * 1024, DECODED_MAX = 64 * 1024 * 1024 };

void fakehost_message(struct fakehost *h, struct pn_str bytes)
{
    struct pn_buf b;
    pn_buf_init(&b, DECODED_MAX);
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.p[i] == '\n' && (i == 0 || bytes.p[i - 1] != '\r'))
            (void)pn_buf_addc(&b, '\r');
        (void)pn_buf_addc(&b, bytes.p[i]);
    }
    fake_message_forget(h);
    h->content = fake_pn(fake_keep(h, pn_buf_str(&b)));
    pn_buf_fini(&b);
}

void fake_message_forget(struct fakehost *h)
{
    pn_message_free(&h->message);
    if (h->content_fd >= 0)
        (void)close(h->content_fd);
    h->content_fd = -1;
    h->content = PN_STR("");
    pn_links_free(&h->links);
}

static struct pn_message *message_of(struct postern_call *c)
{
    struct fakehost *h = fake_of(c);
    pn_assert(c->stage >= POSTERN_HEADERS);
    if (h->message == NULL) {
        h->message = pn_message_new(h->content, NULL);
        pn_assert(h->message != NULL);
        pn_message_mime(h->message);
    }
    return h->message;
}

static struct postern_str content(struct postern_call *c)
{
    return fake_postern(pn_message_content(message_of(c)));
}

static struct postern_str body(struct postern_call *c)
{
    return fake_postern(pn_message_body(message_of(c)));
}

static size_t header_count(struct postern_call *c)
{
    size_t count;
    (void)pn_part_fields(message_of(c), NULL, &count);
    return count;
}

static int header_at(struct postern_call *c, size_t i, struct postern_str *name,
                     struct postern_str *value)
{
    size_t count;
    const struct pn_message *m = message_of(c);
    const struct pn_field *fields = pn_part_fields(m, NULL, &count);
    if (i >= count)
        return POSTERN_NONE;
    *name = fake_postern(pn_field_name(m, &fields[i]));
    *value = fake_postern(pn_field_value(m, &fields[i]));
    return POSTERN_OK;
}

static const struct pn_field *find(struct postern_call *c, const char *name, size_t n)
{
    return pn_field_find(message_of(c), NULL, pn_str_of(name), (int)n + 1);
}

/* The value through one of encword.h's ways. */
static int header_by(struct postern_call *c, const char *name, size_t n, struct postern_str *value,
                     bool (*way)(struct pn_str value, struct pn_buf *out))
{
    const struct pn_field *field = find(c, name, n);
    if (field == NULL)
        return POSTERN_NONE;
    struct pn_buf b;
    pn_buf_init(&b, VALUE_MAX);
    (void)way(pn_field_value(message_of(c), field), &b);
    *value = fake_keep(fake_of(c), pn_buf_str(&b));
    pn_buf_fini(&b);
    return POSTERN_OK;
}

static int header_get(struct postern_call *c, const char *name, size_t n, struct postern_str *value)
{
    return header_by(c, name, n, value, pn_unfold);
}

static int header_text(struct postern_call *c, const char *name, size_t n,
                       struct postern_str *value)
{
    return header_by(c, name, n, value, pn_words_decode);
}

static int words_text(struct postern_call *c, struct postern_str value, struct postern_str *out)
{
    struct pn_buf b;
    pn_buf_init(&b, VALUE_MAX);
    (void)pn_words_decode(fake_pn(value), &b);
    *out = fake_keep(fake_of(c), pn_buf_str(&b));
    pn_buf_fini(&b);
    return POSTERN_OK;
}

static size_t part_count(struct postern_call *c)
{
    return pn_message_parts(message_of(c));
}

static struct postern_str lower(struct fakehost *h, struct pn_str s)
{
    char *copy = pn_pool_strdup(h->transaction, s);
    for (size_t i = 0; i < s.len; i++)
        copy[i] = pn_lower(copy[i]);
    return (struct postern_str){copy, s.len};
}

static struct postern_str encoding_word(enum pn_encoding e)
{
    static const char *const words[] = {"7bit",   "8bit",       "binary", "quoted-printable",
                                        "base64", "x-uuencode", "unknown"};
    return fake_postern(pn_str_of(words[e]));
}

static int get_part(struct postern_call *c, size_t i, struct postern_part *out)
{
    struct fakehost *h = fake_of(c);
    const struct pn_message *m = message_of(c);
    if (i >= pn_message_parts(m))
        return POSTERN_NONE;
    const struct pn_part *part = pn_message_part(m, i);
    struct pn_buf b;
    pn_buf_init(&b, VALUE_MAX);
    *out = (struct postern_part){
        .parent = part->parent,
        .depth = part->depth,
        .type = lower(h, pn_part_type(m, part)),
        .subtype = lower(h, pn_part_subtype(m, part)),
        .encoding = encoding_word(part->encoding),
        .disposition = lower(h, pn_part_disposition(m, part)),
        .header = fake_postern(pn_part_header(m, part)),
        .body = fake_postern(pn_part_body(m, part)),
        .is_multipart = part->kind == PN_PART_MULTIPART,
        .is_message = part->kind == PN_PART_MESSAGE,
    };
    (void)pn_part_param(m, part, PN_STR("charset"), &b);
    out->charset = lower(h, pn_buf_str(&b));
    pn_buf_clear(&b);
    (void)pn_part_filename(m, part, &b);
    out->filename = fake_keep(h, pn_buf_str(&b));
    pn_buf_fini(&b);
    return POSTERN_OK;
}

static struct postern_str keep_buf(struct fakehost *h, struct pn_buf *b)
{
    struct postern_str s = fake_keep(h, pn_buf_str(b));
    pn_buf_fini(b);
    return s;
}

/* The k-th mailbox; the names and ends of groups do not count. */
static bool mailbox_at(struct pn_str value, size_t k, struct pn_address *out)
{
    struct pn_address_walk walk;
    pn_address_start(&walk, value);
    while (pn_address_next(&walk, out))
        if (out->kind == PN_ADDRESS_MAILBOX && k-- == 0)
            return true;
    return false;
}

static int header_address(struct postern_call *c, const char *name, size_t n, size_t k,
                          struct postern_str *local, struct postern_str *domain,
                          struct postern_str *display)
{
    struct fakehost *h = fake_of(c);
    const struct pn_field *field = find(c, name, n);
    struct pn_address a;
    struct pn_buf b;
    if (field == NULL || !mailbox_at(pn_field_value(message_of(c), field), k, &a))
        return POSTERN_NONE;
    *local = fake_postern(a.local);
    pn_buf_init(&b, VALUE_MAX);
    (void)pn_address_display(&a, &b);
    *display = keep_buf(h, &b);
    pn_buf_init(&b, VALUE_MAX);
    bool whole = pn_address_domain(&a, &b);
    *domain = keep_buf(h, &b);
    return whole && (a.flags & PN_ADDRESS_MALFORMED) == 0 ? POSTERN_OK : POSTERN_INVALID;
}

static int part_text(struct postern_call *c, size_t i, uint32_t how, struct postern_str *out)
{
    const struct pn_message *m = message_of(c);
    if (i >= pn_message_parts(m))
        return POSTERN_NONE;
    const struct pn_part *part = pn_message_part(m, i);
    if (part->kind != PN_PART_LEAF ||
        (how != POSTERN_TEXT_DECODED && !pn_part_is(m, part, PN_STR("text"), PN_STR(""))))
        return POSTERN_NONE;
    struct pn_text *text = pn_text_new(DECODED_MAX);
    struct pn_buf b;
    pn_buf_init(&b, DECODED_MAX);
    if (how == POSTERN_TEXT_DECODED)
        (void)pn_part_decode(m, part, &b);
    else if (how == POSTERN_TEXT_VISIBLE && pn_part_is(m, part, PN_STR("text"), PN_STR("html")))
        (void)pn_html_text(pn_text_part(text, m, part), &b, NULL);
    else
        (void)pn_buf_adds(&b, pn_text_part(text, m, part));
    *out = keep_buf(fake_of(c), &b);
    pn_text_free(&text);
    return POSTERN_OK;
}

static int url(struct postern_call *c, size_t n, struct postern_str *out, struct postern_str *host)
{
    struct fakehost *h = fake_of(c);
    if (h->links == NULL) {
        struct pn_text *text = pn_text_new(DECODED_MAX);
        h->links = pn_links_new(FAKE_MANY);
        (void)pn_text_message(text, message_of(c), h->links, NULL);
        pn_text_free(&text);
    }
    if (n >= pn_links_count(h->links))
        return POSTERN_NONE;
    struct pn_link link = pn_links_at(h->links, n);
    *out = fake_postern(link.url);
    *host = fake_postern(link.host);
    return POSTERN_OK;
}

static int content_fd(struct postern_call *c)
{
    struct fakehost *h = fake_of(c);
    if (h->content_fd >= 0)
        return h->content_fd;
    h->content_fd = memfd_create("content", MFD_CLOEXEC);
    pn_assert(h->content_fd >= 0);
    pn_assert(write(h->content_fd, h->content.p, h->content.len) == (ssize_t)h->content.len);
    pn_assert(lseek(h->content_fd, 0, SEEK_SET) == 0);
    return h->content_fd;
}

void fake_message_table(struct postern_host *t)
{
    t->content = content;
    t->body = body;
    t->header_count = header_count;
    t->header_at = header_at;
    t->header_get = header_get;
    t->header_text = header_text;
    t->words_text = words_text;
    t->part_count = part_count;
    t->part = get_part;
    t->part_text = part_text;
    t->header_address = header_address;
    t->url = url;
    t->content_fd = content_fd;
}
