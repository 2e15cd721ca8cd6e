/* The input as a Date: what is one and can be written is read again as the same second and zone. */
#include "assert.h"
#include "date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t first = 0, again = 0;
    int zone = 0, zone_again = 0;
    if (!pn_date_parse((struct pn_str){(const char *)data, size}, &first, &zone))
        return 0;
    pn_assert(zone > -24 * 60 && zone < 24 * 60);
    struct pn_buf out;
    pn_buf_init(&out, 64);
    int64_t here = first + (int64_t)zone * 60;
    if (here >= -2208988800 && here < 253402300800) { /* 1900 to 9999 there, which it can write */
        pn_date_format(&out, first, zone);
        pn_assert(pn_date_parse(pn_buf_str(&out), &again, &zone_again));
        pn_assert(again == first && zone_again == zone);
    }
    pn_buf_fini(&out);
    return 0;
}
