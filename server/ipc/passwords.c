#include "passwords.h"

#include "wire.h"

void pn_hop_password_put(struct pn_buf *out, const struct pn_hop_password *password)
{
    pn_wr_str(out, password->destination);
    pn_wr_str(out, password->password);
}

bool pn_hop_password_get(struct pn_str body, struct pn_hop_password *password)
{
    struct pn_rd r = pn_rd_of(body);
    password->destination = pn_rd_str(&r);
    password->password = pn_rd_str(&r);
    size_t len = password->password.len;
    bool ok = pn_rd_done(&r) && len > 0 && len <= PN_PASSWORD_BYTES_MAX;
    for (size_t i = 0; ok && i < len; i++)
        ok = memchr("\r\n", password->password.p[i], 3) == NULL;
    return ok;
}
