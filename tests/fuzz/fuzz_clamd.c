/* What clamd answers, and where it is said to be. */
#include "clamav_clamd.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct postern_str text, line = {(const char *)data, size};
    enum clamav_reply reply = clamav_reply_read(line, &text);
    struct clamav_address address;

    /* A view into the line; a name is there where one was found, and can be stated. */
    if (text.len > size || (text.len > 0 && (text.p < line.p || text.p + text.len > line.p + size)))
        abort();
    if (reply == CLAMAV_REPLY_FOUND && text.len == 0)
        abort();
    for (size_t i = 0; i < text.len; i++)
        if (text.p[i] < ' ' || text.p[i] > '~')
            abort();
    if (clamav_address_read(&address, line) == NULL &&
        (address.len == 0 || address.len > sizeof(address.at)))
        abort();
    return 0;
}
