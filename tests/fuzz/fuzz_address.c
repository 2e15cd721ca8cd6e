/*
 * The first byte chooses: an address list, a date, Authentication-Results, or the words
 * of a trace line. What is written in one form reads back as the same.
 */
#include "address.h"
#include "assert.h"
#include "authres.h"
#include "date.h"
#include "edit.h"
#include "received.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_spec(const struct pn_address *a, struct pn_buf *out)
{
    struct pn_address again;
    struct pn_buf twice;
    pn_buf_clear(out);
    if (!pn_address_spec(a, out))
        return;
    pn_assert(pn_addr_spec_parse(pn_buf_str(out), &again));
    pn_buf_init(&twice, 1 << 20);
    pn_assert(pn_address_spec(&again, &twice));
    pn_assert(pn_str_eq(pn_buf_str(out), pn_buf_str(&twice)));
    pn_buf_fini(&twice);
}

static void addresses(struct pn_str in, struct pn_buf *out)
{
    struct pn_address_walk walk;
    struct pn_address a;
    size_t last = 0;
    pn_address_start(&walk, in);
    while (pn_address_next(&walk, &a)) {
        pn_assert(walk.at > last || a.kind == PN_ADDRESS_GROUP_END);
        last = walk.at;
        if (a.kind != PN_ADDRESS_MAILBOX)
            continue;
        pn_assert(a.domain.len != 0 || (a.flags & PN_ADDRESS_MALFORMED) != 0);
        pn_buf_clear(out);
        (void)pn_address_display(&a, out);
        pn_assert(pn_utf8_valid(pn_buf_str(out)));
        check_spec(&a, out);
    }
    if (pn_addr_spec_parse(in, &a)) { /* the strict grammar is part of the other */
        pn_address_start(&walk, in);
        pn_assert(pn_address_next(&walk, &a) && a.flags < PN_ADDRESS_UTF8 * 2);
        pn_assert((a.flags & PN_ADDRESS_MALFORMED) == 0 && !pn_address_next(&walk, &a));
        pn_assert(!walk.malformed);
    }
}

static void date(struct pn_str in, struct pn_buf *out)
{
    int64_t t = 0, again = 1;
    int zone = 0, zone_again = 1;
    if (!pn_date_parse(in, &t, &zone))
        return;
    pn_date_format(out, t, zone);
    pn_assert(pn_date_parse(pn_buf_str(out), &again, &zone_again));
    pn_assert(again == t && zone_again == zone);
}

static void authres(struct pn_str in, struct pn_buf *out)
{
    struct pn_authres_walk walk;
    struct pn_authres_item item;
    pn_authres_start(&walk, in, true);
    while (pn_authres_next(&walk, &item))
        pn_assert(item.name.len != 0 || item.ptype.len != 0);
    if (pn_authres_id(in, out))
        pn_assert(pn_authres_claims(in, pn_buf_str(out)));
    struct pn_authres_property property = {in, in, in};
    struct pn_authres result = {in, in, in, in, &property, 1};
    pn_buf_clear(out);
    pn_assert(pn_authres_value(in, &result, 1, out));
    pn_assert(pn_edit_check(PN_STR("A"), pn_buf_str(out), true) == PN_EDIT_OK);
}

static void trace(struct pn_str in, struct pn_buf *out)
{
    struct pn_received r = {.helo = in, .ptr = in, .ip = in, .by = in, .id = in, .rcpt = in};
    r.tls = true;
    r.tls_cipher = r.tls_version = in;
    pn_assert(pn_received_value(&r, out));
    pn_assert(pn_edit_check(PN_STR("Received"), pn_buf_str(out), true) == PN_EDIT_OK);
    pn_buf_clear(out);
    pn_assert(pn_return_path_value(in, out));
    pn_assert(pn_edit_check(PN_STR("Return-Path"), pn_buf_str(out), true) == PN_EDIT_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_buf out;
    if (size < 1)
        return 0;
    struct pn_str in = {(const char *)data + 1, size - 1};
    pn_buf_init(&out, 1 << 22);
    if (data[0] % 4 == 0)
        addresses(in, &out);
    else if (data[0] % 4 == 1)
        date(in, &out);
    else if (data[0] % 4 == 2)
        authres(in, &out);
    else
        trace(in, &out);
    pn_buf_fini(&out);
    return 0;
}
