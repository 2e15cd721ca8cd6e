#include "command.h"

void pn_command_put(struct pn_buf *out, const struct pn_command *c)
{
    pn_wr_u64(out, c->token);
    pn_wr_u32(out, c->count);
    for (uint32_t i = 0; i < c->count; i++)
        pn_wr_str(out, c->words[i]);
}

bool pn_command_get(struct pn_str body, struct pn_command *c)
{
    struct pn_rd r = pn_rd_of(body);
    c->token = pn_rd_u64(&r);
    c->count = pn_rd_count(&r, 4);
    if (c->count == 0 || c->count > PN_COMMAND_WORDS_MAX)
        return false;
    for (uint32_t i = 0; i < c->count; i++)
        c->words[i] = pn_rd_str(&r);
    return pn_rd_done(&r);
}

void pn_command_reply_put(struct pn_buf *out, const struct pn_command_reply *reply)
{
    pn_wr_u64(out, reply->token);
    pn_wr_u8(out, reply->last);
    pn_wr_str(out, reply->line);
}

bool pn_command_reply_get(struct pn_str body, struct pn_command_reply *reply)
{
    struct pn_rd r = pn_rd_of(body);
    reply->token = pn_rd_u64(&r);
    uint8_t last = pn_rd_u8(&r);
    reply->last = last == 1;
    reply->line = pn_rd_str(&r);
    return pn_rd_done(&r) && last <= 1 &&
           memchr(reply->line.p == NULL ? "" : reply->line.p, '\n', reply->line.len) == NULL;
}
