/* Any content through every function of the plugins' host that looks at a message. */
#include "assert.h"
#include "host.h"

#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int nothing(struct postern_call *c)
{
    (void)c;
    return POSTERN_OK;
}

static const struct postern_plugin desc = {
    .name = "fuzz", .version = "1", .on = {[POSTERN_MESSAGE] = nothing}};

/* Each byte is read, so that a view that is too long is seen. */
static size_t touch(struct postern_str s)
{
    size_t sum = s.len;
    for (size_t i = 0; i < s.len; i++)
        sum += (unsigned char)s.p[i];
    return sum;
}

static size_t look_at_header(struct postern_call *c)
{
    const struct postern_host *h = c->host;
    struct postern_str a, b, d;
    size_t sum = 0;
    for (size_t i = 0; h->header_at(c, i, &a, &b) == POSTERN_OK; i++) {
        sum += touch(a) + touch(b);
        if (h->words_text(c, b, &d) == POSTERN_OK)
            sum += touch(d);
    }
    for (size_t n = 0; n < 5 && h->header_get(c, "Subject", n, &a) == POSTERN_OK; n++)
        sum += touch(a);
    for (size_t n = 0; n < 5 && h->header_text(c, "Subject", n, &a) == POSTERN_OK; n++)
        sum += touch(a);
    for (size_t k = 0; k < 50 && h->header_address(c, "From", 0, k, &a, &b, &d) != POSTERN_NONE;
         k++)
        sum += touch(a) + touch(b) + touch(d);
    return sum;
}

static size_t look_at_parts(struct postern_call *c)
{
    const struct postern_host *h = c->host;
    struct postern_part part;
    struct postern_str s, host;
    size_t sum = 0, count = h->part_count(c);
    for (size_t i = 0; i < count && i < 200; i++) {
        pn_assert(h->part(c, i, &part) == POSTERN_OK && part.parent < (int32_t)i);
        sum += touch(part.type) + touch(part.charset) + touch(part.filename) + touch(part.body) +
               touch(part.header) + touch(part.disposition);
        for (int how = POSTERN_TEXT_DECODED; how <= POSTERN_TEXT_VISIBLE; how++)
            if (h->part_text(c, i, how, &s) == POSTERN_OK)
                sum += touch(s);
    }
    pn_assert(h->part(c, count, &part) == POSTERN_NONE);
    for (size_t n = 0; h->url(c, n, &s, &host) == POSTERN_OK; n++)
        sum += touch(s) + touch(host);
    return sum;
}

/* What is in the message may be said again, whatever it is. */
static void speak(struct postern_call *c)
{
    const struct postern_host *h = c->host;
    struct postern_str name, value;
    for (size_t i = 0; i < 20 && h->header_at(c, i, &name, &value) == POSTERN_OK; i++) {
        struct postern_pair pair = {name, value};
        struct postern_auth auth = {name, value, 1, &pair};
        (void)h->fact_named(c, name, value, 1);
        (void)h->note_set(c, name, value);
        (void)h->add_header(c, name, value);
        (void)h->remove_header(c, name, i);
        (void)h->insert_header(c, i, name, value);
        (void)h->change_header(c, name, i, value);
        (void)h->replace_body(c, value);
        (void)h->change_from(c, value);
        (void)h->add_rcpt(c, value);
        (void)h->remove_rcpt(c, value);
        (void)h->auth(c, &auth);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static volatile size_t sink;
    struct pn_pool *pool = pn_pool_new(HOST_POOL_MAX);
    struct pn_step step = {.stage = POSTERN_MESSAGE};
    struct pn_request q = {.steps = &step, .step_count = 1, .transaction = 1};
    struct host_plugin plugin = {.desc = &desc};
    struct host_message message;
    struct host_call call;
    struct pn_facts facts;
    host_message_init(&message, (struct pn_str){(const char *)data, size}, -1);
    host_call_init(&call, &plugin, &q, 0);
    pn_facts_init(&facts, pool);
    call.message = &message;
    call.facts = &facts;
    call.earlier = &facts;
    call.pool = call.life = pool;
    sink = look_at_header(&call.call) + look_at_parts(&call.call);
    sink += touch(host_body(&call.call)) + touch(host_content(&call.call));
    speak(&call.call);
    host_message_fini(&message);
    pn_pool_free(&pool);
    return 0;
}
