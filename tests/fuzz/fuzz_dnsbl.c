/* A line: a name to look up; the rest are addresses, four bytes each, that a zone answers. */
#include "assert.h"
#include "dnsbl_zone.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dnsbl_code codes[] = {{.ip = {127, 0, 0, 2}, .bits = 32, .weight = 4000},
                                        {.ip = {127, 0, 0, 8}, .bits = 29, .weight = -2000},
                                        {.mask = 16, .weight = 1000}};
    struct dnsbl_zone zone = {.codes = codes, .code_count = 3};
    struct pn_str rest = {(const char *)data, size};
    struct pn_str name = pn_str_split(&rest, '\n');
    struct postern_dns_record records[8];
    struct dnsbl_result result;
    struct dnsbl_code code;
    char room[DNSBL_NAME_MAX + 1], asked[DNSBL_NAME_MAX + 1];
    pn_assert(dnsbl_zone_name(&zone, POSTERN_STR("bl.test")));
    size_t len = dnsbl_domain((struct postern_str){name.p, name.len}, room);
    pn_assert(len <= DNSBL_NAME_MAX && (len == 0 || strlen(room) == len));
    if (len != 0 && dnsbl_ask_name(&zone, (struct postern_str){room, len}, asked))
        pn_assert(strlen(asked) == len + 8);
    (void)dnsbl_code_parse((struct postern_str){name.p, name.len}, &code);
    size_t count = rest.len / 4 < 8 ? rest.len / 4 : 8;
    for (size_t i = 0; i < count; i++)
        records[i] = (struct postern_dns_record){.ttl = 1, .data = {rest.p + 4 * i, 4}};
    const struct postern_dns_answer answer = {.count = count, .records = records};
    dnsbl_judge(&zone, &answer, &result);
    bool any = false;
    for (size_t i = 0; i < count; i++)
        any = any || (unsigned char)rest.p[4 * i] == 127;
    pn_assert(result.meaning != DNSBL_HIT || any);
    return 0;
}
