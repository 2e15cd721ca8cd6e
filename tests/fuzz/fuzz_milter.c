/* What a milter answers, byte for byte as it comes over the socket; and where it is said to be. */
#include "milter_address.h"
#include "milter_macro.h"
#include "milter_packet.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void within(const struct milter_in *in, struct postern_str s)
{
    if (s.len > 0 && (s.p < in->p || s.p + s.len > in->p + in->len))
        abort();
}

static void look_at_line(struct postern_str text)
{
    char room[MILTER_REPLY_MAX];
    struct postern_str line;

    if (!milter_reply_line(text, room, &line))
        return;
    if (line.len < 3 || line.len > sizeof(room) || (line.p[0] != '4' && line.p[0] != '5'))
        abort();
    for (size_t i = 0; i < line.len; i++)
        if (line.p[i] < ' ' || line.p[i] > '~')
            abort();
}

static void look_at(const struct milter_in *in, const struct milter_packet *packet)
{
    struct milter_options options;
    struct milter_reply reply;

    within(in, packet->data);
    if (milter_reply_read(packet, &reply)) {
        within(in, reply.a);
        within(in, reply.b);
        look_at_line(reply.a);
        if (milter_reply_word(reply.kind)[0] == '?')
            abort();
    }
    if (milter_options_read(packet, &options))
        for (int i = 0; i < MILTER_STAGES; i++)
            if ((options.named >> i & 1) != 0) {
                within(in, options.macros[i]);
                (void)milter_macros_named(options.macros[i]);
            }
}

/* The first byte says in what pieces the rest comes. */
static void read_all(const uint8_t *data, size_t size, size_t piece)
{
    struct milter_in in = {0};
    struct milter_packet packet;
    enum milter_took took = MILTER_TOOK_NONE;

    for (size_t at = 0; at < size && took != MILTER_TOOK_BAD;) {
        size_t n = size - at < piece ? size - at : piece, room;
        char *p = milter_in_room(&in, &room);

        if (p == NULL)
            break;
        n = n < room ? n : room;
        memcpy(p, data + at, n);
        in.len += n;
        at += n;
        while ((took = milter_take(&in, MILTER_DATA, &packet)) == MILTER_TOOK)
            look_at(&in, &packet);
    }
    milter_in_free(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct milter_address address;
    struct postern_str text = {(const char *)data, size};

    if (milter_address_read(&address, text) == NULL &&
        (address.len == 0 || address.len > sizeof(address.at)))
        abort();
    if (size > 0)
        read_all(data + 1, size - 1, (size_t)data[0] + 1);
    return 0;
}
