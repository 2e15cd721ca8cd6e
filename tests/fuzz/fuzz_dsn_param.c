/*
 * NOTIFY, RET, ENVID and ORCPT. The first byte says which; held: what is let through is
 * written so that it is let through again and says the same, and nothing that ends a
 * line, or is beyond ASCII where only that may be, comes out of it.
 */
#include "assert.h"
#include "dsn_param.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(struct pn_str s, bool ascii)
{
    for (size_t i = 0; i < s.len; i++)
        pn_assert(s.p[i] == '\t' || ((unsigned char)s.p[i] >= ' ' && s.p[i] != 127));
    pn_assert(ascii ? pn_str_is_ascii(s) : pn_utf8_valid(s));
}

static void notify(struct pn_str value)
{
    uint8_t flags, again;
    struct pn_buf b;
    if (!pn_smtp_notify_parse(value, &flags))
        return;
    pn_buf_init(&b, 100);
    pn_smtp_notify_put(&b, flags);
    pn_assert(pn_smtp_notify_parse(pn_buf_str(&b), &again) && again == flags);
    pn_buf_fini(&b);
}

static void envid(struct pn_str value)
{
    struct pn_buf shown, again;
    if (!pn_smtp_envid_ok(value))
        return;
    pn_buf_init(&shown, 1000);
    pn_buf_init(&again, 1000);
    pn_smtp_envid_show(&shown, value);
    check_line(pn_buf_str(&shown), true);
    pn_smtp_xtext_put(&again, pn_buf_str(&shown));
    pn_buf_clear(&shown);
    size_t n = again.len;
    pn_smtp_envid_show(&shown, pn_buf_str(&again));
    pn_buf_clear(&again);
    pn_smtp_xtext_put(&again, pn_buf_str(&shown));
    pn_assert(again.len == n);
    pn_buf_fini(&shown);
    pn_buf_fini(&again);
}

static void orcpt(struct pn_str value)
{
    struct pn_buf b, twice;
    bool ascii = pn_smtp_orcpt_ok(value, false);
    if (!ascii && !pn_smtp_orcpt_ok(value, true))
        return;
    pn_buf_init(&b, 1 << 16);
    pn_buf_init(&twice, 1 << 16);
    pn_smtp_orcpt_put_ascii(&b, value);
    check_line(pn_buf_str(&b), true);
    pn_assert(!ascii || pn_str_eq(pn_buf_str(&b), value));
    pn_assert(b.len > PN_SMTP_ORCPT_MAX || pn_smtp_orcpt_ok(pn_buf_str(&b), false));
    pn_smtp_orcpt_put_ascii(&twice, pn_buf_str(&b));
    pn_assert(pn_str_eq(pn_buf_str(&twice), pn_buf_str(&b)));
    for (int wide = 0; wide < 2; wide++) {
        pn_buf_clear(&b);
        pn_smtp_orcpt_show(&b, value, wide != 0);
        check_line(pn_buf_str(&b), wide == 0);
    }
    pn_buf_fini(&b);
    pn_buf_fini(&twice);
}

/* Any address that has no control byte makes one that is let through. */
static void make(struct pn_str address)
{
    struct pn_buf b;
    for (size_t i = 0; i < address.len; i++)
        if ((unsigned char)address.p[i] < ' ' || address.p[i] == 127)
            return;
    if (!pn_utf8_valid(address))
        return;
    pn_buf_init(&b, 1 << 16);
    pn_smtp_orcpt_make(&b, address);
    pn_assert(b.len > PN_SMTP_ORCPT_MAX || pn_smtp_orcpt_ok(pn_buf_str(&b), true));
    pn_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t ret;
    if (size < 2 || size > 2000)
        return 0;
    struct pn_str text = {(const char *)data + 1, size - 1};
    switch (data[0] % 5) {
    case 0:
        notify(text);
        break;
    case 1:
        pn_assert(!pn_smtp_ret_parse(text, &ret) ||
                  pn_str_ieq(text, pn_str_of(pn_smtp_ret_name(ret))));
        break;
    case 2:
        envid(text);
        break;
    case 3:
        orcpt(text);
        break;
    default:
        make(text);
    }
    return 0;
}
