/*
 * A session of the POP3 engine on a folder in memory. The first byte says how input is split; up
 * to the first NUL it is two messages, parted by \1, the rest is what the client sends. Held:
 * answers are whole lines that begin as they must, a message comes back as it was, nothing is
 * deleted without QUIT, and all that was opened is closed.
 */
#include "assert.h"
#include "engine.h"
#include "fake_folder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pn_str line_of(struct pn_str *rest)
{
    size_t lf = pn_str_find(*rest, '\n', 0);
    pn_assert(lf != SIZE_MAX && lf != 0 && rest->p[lf - 1] == '\r');
    struct pn_str line = pn_str_slice(*rest, 0, lf - 1);
    *rest = pn_str_slice(*rest, lf + 1, rest->len);
    return line;
}

/* Lines up to the dot; behind RETR they are the message. */
static void check_lines(struct pn_str *rest, struct pn_str octets)
{
    uint64_t want, got = 0;
    bool known = pn_str_u64(octets, UINT32_MAX, &want);
    for (;;) {
        size_t lf = pn_str_find(*rest, '\n', 0);
        pn_assert(lf != SIZE_MAX && lf != 0 && rest->p[lf - 1] == '\r');
        struct pn_str line = pn_str_slice(*rest, 0, lf + 1);
        *rest = pn_str_slice(*rest, lf + 1, rest->len);
        if (pn_str_eq(line, PN_STR(".\r\n")))
            break;
        pn_assert(line.p[0] != '.' || line.p[1] == '.');
        got += line.len - (line.p[0] == '.');
    }
    /* A last line without an end gets one. */
    pn_assert(!known || got == want || got == want + 2);
}

static void check(struct pn_str out)
{
    while (out.len != 0) {
        struct pn_str line = line_of(&out), octets = line;
        pn_assert(pn_str_starts(line, PN_STR("+OK")) || pn_str_starts(line, PN_STR("-ERR ")));
        if (pn_str_ends(line, PN_STR(" octets"))) {
            octets = pn_str_slice(line, 4, line.len - 7);
            check_lines(&out, octets);
        } else if (pn_str_eq(line, PN_STR("+OK Capabilities follow")) ||
                   pn_str_ends(line, PN_STR(" messages"))) {
            check_lines(&out, PN_STR(""));
        }
    }
}

static enum pn_engine_next run(struct pn_engine *engine, struct pn_buf *in, struct pn_buf *all)
{
    enum pn_engine_next next;
    do {
        struct pn_str rest = pn_buf_str(in);
        size_t before = rest.len;
        struct pn_buf out;
        pn_buf_init(&out, 4 << 20);
        next = engine->kind->run(engine, &rest, &out);
        pn_buf_consume(in, before - rest.len);
        (void)pn_buf_adds(all, pn_buf_str(&out));
        pn_buf_fini(&out);
    } while (next == PN_ENGINE_MORE || next == PN_ENGINE_HEARD);
    pn_assert(in->len <= 1024 || next == PN_ENGINE_END);
    return next;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct pn_str input = {(const char *)data + 1, size - 1};
    struct pn_str mails = pn_str_split(&input, '\0');
    size_t step = data[0] == 0 ? size : data[0];
    struct pn_engine_start start = {.user = fake_user()};
    struct pn_buf in, all;
    enum pn_engine_next next = PN_ENGINE_INPUT;
    fake_folder_clear();
    fake_folder_add(pn_str_split(&mails, '\1'));
    fake_folder_add(mails);
    struct pn_engine *engine = pn_pop3_new(&start);
    pn_buf_init(&in, 1 << 22);
    pn_buf_init(&all, 1 << 26);
    for (size_t at = 0; at < input.len && next != PN_ENGINE_END; at += step) {
        (void)pn_buf_adds(&in, pn_str_slice(input, at, at + step));
        next = run(engine, &in, &all);
    }
    /* TOP's answer has no size: it is not told apart from others. */
    bool top = false;
    for (size_t i = 0; i + 2 < input.len && !top; i++)
        top = pn_str_ieq(pn_str_slice(input, i, i + 3), PN_STR("TOP"));
    if (!top && !all.overflow)
        check(pn_buf_str(&all));
    if (next != PN_ENGINE_END)
        pn_assert(!fake_folder.mails[0].removed && !fake_folder.mails[1].removed);
    engine->kind->free(engine);
    pn_assert(fake_folder.open == 0 && fake_folder.reading == 0 && fake_folder.users == 1);
    pn_buf_fini(&in);
    pn_buf_fini(&all);
    return 0;
}
