#include "host.h"

#include "address.h"
#include "decode.h"
#include "encword.h"
#include "param.h"
#include "text.h"

#include <stdlib.h>

enum { FIELD_MAX = 256 * 1024 }; /* of one field's value, unfolded */

void host_message_init(struct host_message *m, struct pn_str content, int fd)
{
    *m = (struct host_message){.content = content, .fd = fd};
    (void)pthread_mutex_init(&m->lock, NULL);
}

void host_message_fini(struct host_message *m)
{
    pn_message_free(&m->message);
    pn_links_free(&m->links);
    pn_text_free(&m->text);
    pn_pool_free(&m->pool);
    (void)pthread_mutex_destroy(&m->lock);
}

/* Calls of one message run on several threads, and reading its header or tree changes
 * it; so each function here holds the lock, and what it hands out lies in content or
 * in a pool. NULL: there is no message at this stage. */
static struct pn_message *enter(struct host_call *h)
{
    struct host_message *m = h->message;
    if (m == NULL)
        return NULL;
    (void)pthread_mutex_lock(&m->lock);
    if (m->message == NULL)
        m->message = pn_message_new(m->content, NULL);
    if (m->message == NULL)
        (void)pthread_mutex_unlock(&m->lock);
    return m->message;
}

static int leave(struct host_call *h, int rc)
{
    (void)pthread_mutex_unlock(&h->message->lock);
    return rc;
}

static struct pn_message *enter_mime(struct host_call *h)
{
    struct pn_message *m = enter(h);
    if (m != NULL)
        pn_message_mime(m);
    return m;
}

/* buf's bytes into the call's memory; buf is done with. */
static int keep(struct host_call *h, struct pn_buf *buf, struct postern_str *out)
{
    struct pn_str copy = pn_pool_dup(h->life, pn_buf_str(buf));
    pn_buf_fini(buf);
    *out = host_str(copy);
    return copy.p == NULL ? POSTERN_LIMIT : POSTERN_OK;
}

/* ---- header fields */

struct postern_str host_content(struct postern_call *c)
{
    struct host_message *m = host_of(c)->message;
    return host_str(m == NULL ? PN_STR("") : m->content);
}

struct postern_str host_body(struct postern_call *c)
{
    struct host_call *h = host_of(c);
    struct pn_message *m = enter(h);
    if (m == NULL)
        return host_str(PN_STR(""));
    struct pn_str body = pn_message_body(m);
    (void)leave(h, POSTERN_OK);
    return host_str(body);
}

size_t host_header_count(struct postern_call *c)
{
    struct host_call *h = host_of(c);
    struct pn_message *m = enter(h);
    size_t count = 0;
    if (m == NULL)
        return 0;
    (void)pn_part_fields(m, NULL, &count);
    (void)leave(h, POSTERN_OK);
    return count;
}

int host_header_at(struct postern_call *c, size_t i, struct postern_str *name,
                   struct postern_str *value)
{
    struct host_call *h = host_of(c);
    struct pn_message *m = enter(h);
    size_t count;
    if (m == NULL)
        return POSTERN_NONE;
    const struct pn_field *fields = pn_part_fields(m, NULL, &count);
    if (i >= count)
        return leave(h, POSTERN_NONE);
    *name = host_str(pn_field_name(m, &fields[i]));
    *value = host_str(pn_field_value(m, &fields[i]));
    return leave(h, POSTERN_OK);
}

/* The raw value of the n-th field of a name. */
static int field_value(struct host_call *h, const char *name, size_t n, struct pn_str *value)
{
    struct pn_message *m = enter(h);
    if (m == NULL)
        return POSTERN_NONE;
    const struct pn_field *f =
        n > INT32_MAX - 1 ? NULL : pn_field_find(m, NULL, pn_str_of(name), (int)n + 1);
    if (f == NULL)
        return leave(h, POSTERN_NONE);
    *value = pn_field_value(m, f);
    return leave(h, POSTERN_OK);
}

int host_header_get(struct postern_call *c, const char *name, size_t n, struct postern_str *value)
{
    struct host_call *h = host_of(c);
    struct pn_str raw;
    int rc = field_value(h, name, n, &raw);
    if (rc != POSTERN_OK)
        return rc;
    raw = pn_str_trim(raw);
    *value = host_str(raw);
    if (raw.len == 0 || memchr(raw.p, '\n', raw.len) == NULL)
        return POSTERN_OK; /* no fold, no copy */
    struct pn_buf buf;
    pn_buf_init(&buf, FIELD_MAX);
    (void)pn_unfold(raw, &buf);
    return keep(h, &buf, value);
}

/* Without folds, encoded words decoded. */
static int words_of(struct host_call *h, struct pn_str raw, struct postern_str *out)
{
    struct pn_buf buf;
    pn_buf_init(&buf, FIELD_MAX);
    (void)pn_words_decode(raw, &buf);
    return keep(h, &buf, out);
}

int host_header_text(struct postern_call *c, const char *name, size_t n, struct postern_str *value)
{
    struct host_call *h = host_of(c);
    struct pn_str raw;
    int rc = field_value(h, name, n, &raw);
    if (rc != POSTERN_OK)
        return rc;
    return words_of(h, raw, value);
}

int host_words_text(struct postern_call *c, struct postern_str value, struct postern_str *out)
{
    return words_of(host_of(c), host_view(value), out);
}

/* The field's addresses, walked on from where the call before stood if it was the same. */
static int addresses_of(struct host_call *h, const char *name, size_t n, struct host_addresses *a)
{
    size_t len = strnlen(name, sizeof a->name);
    if (a->name[0] != '\0' && a->n == n && len < sizeof a->name && strcmp(a->name, name) == 0)
        return POSTERN_OK;
    int rc = field_value(h, name, n, &a->value);
    if (rc != POSTERN_OK)
        return rc;
    a->n = n;
    a->next = 0;
    pn_address_start(&a->walk, a->value);
    memcpy(a->name, name, len < sizeof a->name ? len + 1 : 0);
    if (len == sizeof a->name)
        a->name[0] = '\0';
    return POSTERN_OK;
}

/* The k-th mailbox of the list. */
static bool mailbox_at(struct host_addresses *a, size_t k)
{
    if (a->next > k + 1) {
        pn_address_start(&a->walk, a->value);
        a->next = 0;
    }
    while (a->next <= k) {
        if (!pn_address_next(&a->walk, &a->last)) {
            a->name[0] = '\0'; /* its walk is over */
            return false;
        }
        a->next += a->last.kind == PN_ADDRESS_MAILBOX;
    }
    return true;
}

int host_header_address(struct postern_call *c, const char *name, size_t n, size_t k,
                        struct postern_str *local, struct postern_str *domain,
                        struct postern_str *display)
{
    struct host_call *h = host_of(c);
    const struct pn_address *a = &h->addresses.last;
    struct pn_buf buf;
    int rc = addresses_of(h, name, n, &h->addresses);
    if (rc != POSTERN_OK)
        return rc;
    if (!mailbox_at(&h->addresses, k))
        return POSTERN_NONE;
    *local = host_str(a->local);
    pn_buf_init(&buf, FIELD_MAX);
    (void)pn_address_display(a, &buf);
    rc = keep(h, &buf, display);
    if (rc != POSTERN_OK)
        return rc;
    pn_buf_init(&buf, FIELD_MAX);
    bool whole = pn_address_domain(a, &buf);
    rc = keep(h, &buf, domain);
    if (rc != POSTERN_OK)
        return rc;
    return whole && (a->flags & PN_ADDRESS_MALFORMED) == 0 ? POSTERN_OK : POSTERN_INVALID;
}

/* ---- parts */

size_t host_part_count(struct postern_call *c)
{
    struct host_call *h = host_of(c);
    struct pn_message *m = enter_mime(h);
    if (m == NULL)
        return 0;
    size_t count = pn_message_parts(m);
    (void)leave(h, POSTERN_OK);
    return count;
}

static struct pn_str lower(struct host_call *h, struct pn_str s)
{
    size_t i = 0;
    while (i < s.len && !(s.p[i] >= 'A' && s.p[i] <= 'Z'))
        i++;
    if (i == s.len)
        return s;
    char *copy = pn_pool_strdup(h->life, s);
    for (i = 0; copy != NULL && i < s.len; i++)
        copy[i] = pn_lower(copy[i]);
    return (struct pn_str){copy, copy == NULL ? 0 : s.len};
}

static const char *encoding_name(uint8_t encoding)
{
    static const char *const names[] = {
        [PN_ENCODING_7BIT] = "7bit",      [PN_ENCODING_8BIT] = "8bit",
        [PN_ENCODING_BINARY] = "binary",  [PN_ENCODING_QUOTED_PRINTABLE] = "quoted-printable",
        [PN_ENCODING_BASE64] = "base64",  [PN_ENCODING_UUENCODE] = "x-uuencode",
        [PN_ENCODING_UNKNOWN] = "unknown"};
    return names[encoding];
}

static bool part_words(struct host_call *h, struct pn_message *m, const struct pn_part *p,
                       struct postern_part *out)
{
    struct pn_buf buf;
    pn_buf_init(&buf, 1024);
    (void)pn_part_param(m, p, PN_STR("charset"), &buf);
    if (keep(h, &buf, &out->charset) != POSTERN_OK)
        return false;
    pn_buf_init(&buf, 1024);
    (void)pn_part_filename(m, p, &buf);
    if (keep(h, &buf, &out->filename) != POSTERN_OK)
        return false;
    struct pn_str type = lower(h, pn_part_type(m, p)), sub = lower(h, pn_part_subtype(m, p)),
                  disposition = lower(h, pn_part_disposition(m, p));
    out->type = host_str(type);
    out->subtype = host_str(sub);
    out->disposition = host_str(disposition);
    return type.p != NULL && sub.p != NULL && (disposition.p != NULL || disposition.len == 0);
}

int host_part(struct postern_call *c, size_t i, struct postern_part *out)
{
    struct host_call *h = host_of(c);
    struct pn_message *m = enter_mime(h);
    if (m == NULL)
        return POSTERN_NONE;
    if (i >= pn_message_parts(m))
        return leave(h, POSTERN_NONE);
    const struct pn_part *p = pn_message_part(m, i);
    *out = (struct postern_part){.parent = p->parent,
                                 .depth = p->depth,
                                 .encoding = host_str(pn_str_of(encoding_name(p->encoding))),
                                 .header = host_str(pn_part_header(m, p)),
                                 .body = host_str(pn_part_body(m, p)),
                                 .is_multipart = p->kind == PN_PART_MULTIPART,
                                 .is_message = p->kind == PN_PART_MESSAGE};
    return leave(h, part_words(h, m, p, out) ? POSTERN_OK : POSTERN_LIMIT);
}

/* Makes one form of a part's text, in a buffer whose limit is what is left for the
 * message; what does not fit is cut off. */
static void make_text(struct host_message *hm, const struct pn_part *p, uint32_t how,
                      struct pn_buf *out)
{
    if (how == POSTERN_TEXT_DECODED) {
        (void)pn_part_decode(hm->message, p, out);
        return;
    }
    if (hm->text == NULL)
        hm->text = pn_text_new(HOST_TEXT_MAX);
    struct pn_str utf8 = pn_text_part(hm->text, hm->message, p);
    if (how == POSTERN_TEXT_VISIBLE && pn_part_is(hm->message, p, PN_STR("text"), PN_STR("html")))
        (void)pn_html_text(utf8, out, NULL);
    else
        (void)pn_buf_adds(out, pn_str_slice(utf8, 0, out->max));
}

/* Kept, since several plugins ask for the same; in the message's own pool. */
static int text_of(struct host_message *hm, size_t i, uint32_t how, struct pn_str *out)
{
    size_t count = pn_message_parts(hm->message);
    if (hm->pool == NULL)
        hm->pool = pn_pool_new(HOST_TEXT_MAX + count * 3 * sizeof(struct pn_str) + 4096);
    if (hm->texts == NULL)
        hm->texts = pn_pool_alloc(hm->pool, count * 3 * sizeof *hm->texts);
    struct pn_str *text = &hm->texts[i * 3 + how];
    if (text->p == NULL) {
        struct pn_buf buf;
        pn_buf_init(&buf, HOST_TEXT_MAX - hm->text_bytes);
        make_text(hm, pn_message_part(hm->message, i), how, &buf);
        *text = pn_pool_dup(hm->pool, pn_buf_str(&buf));
        hm->text_bytes += text->len;
        pn_buf_fini(&buf);
    }
    *out = *text;
    return text->p == NULL ? POSTERN_LIMIT : POSTERN_OK;
}

int host_part_text(struct postern_call *c, size_t i, uint32_t how, struct postern_str *out)
{
    struct host_call *h = host_of(c);
    struct pn_str text;
    if ((unsigned)how > POSTERN_TEXT_VISIBLE)
        return POSTERN_INVALID;
    struct pn_message *m = enter_mime(h);
    if (m == NULL)
        return POSTERN_NONE;
    if (i >= pn_message_parts(m) || pn_message_part(m, i)->kind != PN_PART_LEAF)
        return leave(h, POSTERN_NONE);
    if (how != POSTERN_TEXT_DECODED &&
        !pn_part_is(m, pn_message_part(m, i), PN_STR("text"), PN_STR("")))
        return leave(h, POSTERN_NONE);
    int rc = text_of(h->message, i, how, &text);
    *out = host_str(text);
    return leave(h, rc);
}

int host_url(struct postern_call *c, size_t n, struct postern_str *url, struct postern_str *host)
{
    struct host_call *h = host_of(c);
    struct pn_message *m = enter_mime(h);
    if (m == NULL)
        return POSTERN_NONE;
    struct host_message *hm = h->message;
    if (hm->links == NULL) {
        hm->links = pn_links_new(HOST_LINKS_MAX);
        if (hm->text == NULL)
            hm->text = pn_text_new(HOST_TEXT_MAX);
        (void)pn_text_message(hm->text, m, hm->links, NULL);
    }
    if (n >= pn_links_count(hm->links))
        return leave(h, POSTERN_NONE);
    struct pn_link link = pn_links_at(hm->links, n);
    *url = host_str(link.url);
    *host = host_str(link.host);
    return leave(h, POSTERN_OK);
}

int host_content_fd(struct postern_call *c)
{
    struct host_message *m = host_of(c)->message;
    return m == NULL ? -1 : m->fd;
}
