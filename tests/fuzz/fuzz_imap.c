/* The whole engine on a small store in memory; what a client says may be cut anywhere (a byte of
 * 0xff cuts, and is left out). What it answers is whole lines. */
#include "assert.h"
#include "engine.h"
#include "fake_store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_wake(void *ctx)
{
    (void)ctx;
}

static void on_moved(void *ctx, struct pn_str from, struct pn_str to, bool into_junk,
                     uint64_t messages, struct pn_str ids)
{
    (void)ctx, (void)from, (void)to, (void)into_junk;
    pn_assert(messages > 0 && ids.len >= 2);
}

static const struct pn_engine_host host = {.wake = on_wake, .moved = on_moved};

static struct pn_user *mailbox(void)
{
    struct pn_user *user = fake_user();
    (void)fake_deliver(user, "INBOX",
                       PN_STR("From: a@b\nSubject: One\nMessage-ID: <1@a>\n\nx\ny\n"));
    (void)fake_deliver(user, "INBOX",
                       PN_STR("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
                              "--b\nContent-Transfer-Encoding: base64\n\nAGEKYg==\n--b\n"
                              "Content-Type: message/rfc822\n\nSubject: in\n\nz\n--b--\n"));
    (void)fake_deliver(user, "INBOX", PN_STR("\n"));
    (void)fake_deliver(user, "Junk", PN_STR("Subject: spam\n\nbuy\n"));
    return user;
}

/* False: it is over. */
static bool feed(struct pn_engine *engine, struct pn_buf *in, unsigned *turns)
{
    enum pn_engine_next next;
    do {
        struct pn_str left = pn_buf_str(in);
        struct pn_buf out;
        pn_buf_init(&out, 8 * 1024 * 1024);
        next = engine->kind->run(engine, &left, &out);
        pn_buf_consume(in, in->len - left.len);
        pn_assert(!out.overflow);
        pn_assert(next == PN_ENGINE_MORE || out.len == 0 ||
                  pn_str_ends(pn_buf_str(&out), PN_STR("\r\n")));
        pn_assert(next != PN_ENGINE_INPUT || in->len == 0);
        pn_buf_fini(&out);
    } while (next == PN_ENGINE_MORE && ++*turns < 10000);
    return next == PN_ENGINE_INPUT || next == PN_ENGINE_DEFLATE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_user *user = mailbox();
    const struct pn_engine_start start = {.user = user, .tag = PN_STR("t"), .host = &host};
    struct pn_engine *engine = pn_imap_new(&start);
    struct pn_str rest = {(const char *)data, size};
    struct pn_buf in;
    unsigned turns = 0;
    pn_buf_init(&in, SIZE_MAX / 2);
    (void)pn_buf_addz(&in, "a SELECT INBOX\r\n");
    while (feed(engine, &in, &turns) && rest.p != NULL)
        (void)pn_buf_adds(&in, pn_str_split(&rest, '\xff'));
    engine->kind->free(engine);
    pn_buf_fini(&in);
    return 0;
}
