/* Any text compiles or is refused with at least one problem; what compiles is whole, and
 * compiles to the same bytes again. */
#include "assert.h"
#include "kit_policy.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kit once, twice;
    char *text = malloc(size + 1);
    if (text == NULL)
        return 0;
    if (size != 0)
        memcpy(text, data, size);
    text[size] = '\0';
    kit_open(&once, text, "");
    pn_assert((once.policy == NULL) == (once.problems.errors != 0));
    if (once.policy != NULL) {
        kit_open(&twice, text, "");
        pn_assert(pn_str_eq(pn_buf_str(&once.image), pn_buf_str(&twice.image)));
        kit_close(&twice);
    }
    kit_close(&once);
    free(text);
    return 0;
}
