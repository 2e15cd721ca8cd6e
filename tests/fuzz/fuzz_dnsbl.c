/* A line: a name to look up, a code, a standing, a reason; the rest are addresses, four bytes
 * each, that a zone answers. */
#include "assert.h"
#include "dnsbl_ask.h"
#include "dnsbl_proof.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one_name(struct dnsbl_zone *zone, struct postern_str text)
{
    char room[DNSBL_NAME_MAX + 1], asked[DNSBL_NAME_MAX + 1];
    unsigned char ip[16];
    bool is_ipv4;
    size_t len = dnsbl_domain(text, room);
    pn_assert(len <= DNSBL_NAME_MAX && (len == 0 || strlen(room) == len));
    (void)dnsbl_ip(text, ip, &is_ipv4);
    if (len == 0)
        return;
    for (size_t i = 0; i < len; i++)
        pn_assert(room[i] > ' ' && room[i] < 0x7f && !(room[i] >= 'A' && room[i] <= 'Z'));
    if (dnsbl_ask_name(zone, (struct postern_str){room, len}, asked))
        pn_assert(strlen(asked) == len + 8);
    struct postern_str tail = dnsbl_registered(psl_builtin(), room);
    pn_assert(dnsbl_below((struct postern_str){room, len}, tail));
}

static void one_text(struct dnsbl_zone *zone, struct postern_str text)
{
    struct dnsbl_code code;
    char reason[91], standing[100] = "";
    (void)dnsbl_code_parse(text, &code);
    pn_assert(dnsbl_standing_find(text, zone) < DNSBL_UNKNOWN);
    for (unsigned s = DNSBL_EVERYTHING; s < DNSBL_UNKNOWN; s++) {
        standing[0] = '\0';
        pn_assert(dnsbl_standing_add(standing, sizeof standing, zone, (enum dnsbl_state)s));
        pn_assert(dnsbl_standing_find((struct postern_str){standing, strlen(standing)}, zone) ==
                  (enum dnsbl_state)s);
    }
    dnsbl_reason(text, reason, sizeof reason);
    for (size_t i = 0; reason[i] != '\0'; i++)
        pn_assert(reason[i] >= ' ' && reason[i] <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dnsbl_code codes[] = {{.ip = {127, 0, 0, 2}, .bits = 32, .weight = 4000},
                                        {.ip = {127, 0, 0, 8}, .bits = 29, .weight = -2000},
                                        {.mask = 16, .weight = 1000}};
    struct dnsbl_zone zone = {.codes = codes, .code_count = 3, .ipv4 = true};
    struct pn_str rest = {(const char *)data, size};
    struct pn_str line = pn_str_split(&rest, '\n');
    struct postern_dns_record records[8];
    struct dnsbl_result result;
    struct dnsbl_proof proof = {0};
    pn_assert(dnsbl_zone_name(&zone, POSTERN_STR("bl.test")));
    one_name(&zone, (struct postern_str){line.p, line.len});
    one_text(&zone, (struct postern_str){line.p, line.len});
    size_t count = rest.len / 4 < 8 ? rest.len / 4 : 8;
    for (size_t i = 0; i < count; i++)
        records[i] = (struct postern_dns_record){.ttl = 1, .data = {rest.p + 4 * i, 4}};
    const struct postern_dns_answer answer = {.count = count, .records = records};
    dnsbl_judge(&zone, &answer, &result);
    dnsbl_proof_add(&proof, &answer, true);
    bool any = false;
    for (size_t i = 0; i < count; i++)
        any = any || (unsigned char)rest.p[4 * i] == 127;
    pn_assert(result.meaning != DNSBL_HIT || any);
    pn_assert(result.meaning != DNSBL_HIT || proof.listed != 0);
    pn_assert(proof.trouble == 0 && proof.listed + proof.refused == (count != 0));
    return 0;
}
