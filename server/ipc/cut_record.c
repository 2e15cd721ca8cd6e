#include "cut_record.h"

void pn_cut_rcpt_put(struct pn_buf *out, const struct pn_cut_rcpt *rcpt)
{
    pn_wr_u64(out, rcpt->token);
    pn_wr_u64(out, rcpt->id);
    pn_wr_u8(out, rcpt->via);
    pn_wr_u8(out, rcpt->flags);
    pn_wr_str(out, rcpt->next_hop);
    pn_wr_str(out, rcpt->reverse_path);
    pn_wr_str(out, rcpt->address);
}

/* What may stand in a command line. */
static bool text_ok(struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == '\0')
            return false;
    return s.len <= PN_ENVELOPE_TEXT_MAX;
}

bool pn_cut_rcpt_get(struct pn_str body, struct pn_cut_rcpt *rcpt)
{
    struct pn_rd r = pn_rd_of(body);
    rcpt->token = pn_rd_u64(&r);
    rcpt->id = pn_rd_u64(&r);
    rcpt->via = pn_rd_u8(&r);
    rcpt->flags = pn_rd_u8(&r);
    rcpt->next_hop = pn_rd_str(&r);
    rcpt->reverse_path = pn_rd_str(&r);
    rcpt->address = pn_rd_str(&r);
    return pn_rd_done(&r) && (rcpt->via == PN_VIA_SMTP || rcpt->via == PN_VIA_LMTP) &&
           (rcpt->flags & ~PN_ENV_SMTPUTF8) == 0 && rcpt->next_hop.len > 0 &&
           rcpt->address.len > 0 && text_ok(rcpt->next_hop) && text_ok(rcpt->reverse_path) &&
           text_ok(rcpt->address);
}

void pn_cut_drop_put(struct pn_buf *out, const struct pn_cut_drop *drop)
{
    pn_wr_u64(out, drop->id);
}

bool pn_cut_drop_get(struct pn_str body, struct pn_cut_drop *drop)
{
    struct pn_rd r = pn_rd_of(body);
    drop->id = pn_rd_u64(&r);
    return pn_rd_done(&r);
}
