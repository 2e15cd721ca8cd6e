#include "mail.h"

#include "sim.h"
#include "wire.h"

#include <stdio.h>

enum { NEW_USERS = 4, LINE = 62 };

bool mail_has_file(uint32_t id)
{
    return id % 7 == 3;
}

bool mail_is_paged(uint32_t id)
{
    return id % 7 == 5;
}

void mail_content(uint32_t id, struct pn_buf *out)
{
    uint64_t lot = id;
    size_t start = out->len;
    size_t size = mail_is_paged(id) ? PAGED_BYTES : 40 + sim_below(&lot, id % 4 == 0 ? 3000 : 600);
    if (mail_has_file(id))
        size = 1000 + sim_below(&lot, 6000);
    (void)pn_buf_addf(out, "X-Id: %u\r\n\r\n", id);
    for (size_t n = 0; out->len - start < size; n++)
        (void)pn_buf_addc(out, (char)(n % LINE == LINE - 1 ? '.' : 'a' + sim_below(&lot, 26)));
    (void)pn_buf_addz(out, "\r\n");
}

void mail_delivered(uint32_t id, struct pn_buf *out)
{
    struct pn_buf content;
    pn_buf_init(&content, SIZE_MAX);
    mail_content(id, &content);
    (void)pn_buf_addz(out, "Return-Path: <s@from.test>\n");
    for (size_t i = 0; i < content.len; i++)
        if (content.p[i] != '\r')
            (void)pn_buf_addc(out, content.p[i]);
    pn_buf_fini(&content);
}

const char *mail_user(uint32_t id, char text[32])
{
    if (id % NEW_USERS == 0)
        (void)snprintf(text, 32, "n%u@new%u.test", id, id % 3);
    else
        (void)snprintf(text, 32, "u%u@here.test", id % NEW_USERS);
    return text;
}

const char *mail_folder(uint32_t id)
{
    return id % 3 == 1 ? "Junk" : "";
}

void mail_meta(uint32_t id, const uint32_t states[RCPTS], struct pn_buf *out)
{
    pn_wr_u32(out, id);
    for (unsigned i = 0; i < RCPTS; i++)
        pn_wr_u32(out, states[i]);
    for (unsigned i = 0; i < id % 200; i++) /* an envelope */
        pn_wr_u8(out, (uint8_t)(id + i));
}

bool mail_meta_get(uint32_t id, struct pn_str meta, uint32_t states[RCPTS])
{
    struct pn_rd rd = pn_rd_of(meta);
    bool same = pn_rd_u32(&rd) == id;
    for (unsigned i = 0; i < RCPTS; i++)
        states[i] = pn_rd_u32(&rd);
    for (unsigned i = 0; i < id % 200; i++)
        same &= pn_rd_u8(&rd) == (uint8_t)(id + i);
    return same && pn_rd_done(&rd);
}

void mail_note(uint32_t who, uint32_t value, struct pn_buf *out)
{
    pn_wr_u32(out, who);
    pn_wr_u32(out, value);
}

bool mail_note_get(struct pn_str meta, uint32_t states[RCPTS])
{
    struct pn_rd rd = pn_rd_of(meta);
    uint32_t who = pn_rd_u32(&rd), value = pn_rd_u32(&rd);
    if (!pn_rd_done(&rd) || who >= RCPTS)
        return false;
    states[who] = value;
    return true;
}
