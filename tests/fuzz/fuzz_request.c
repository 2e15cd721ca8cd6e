/* The control socket's request line and the HTTP pages' request. */
#include "admin_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_str bytes = {(const char *)data, size};
    struct pn_pool *pool = pn_pool_new(4 * REQUEST_MAX);
    struct admin admin = {.next_token = 0};
    struct pn_command command;
    struct pn_buf out;
    pn_buf_init(&out, 1 << 20);
    if (request_parse(bytes, pool, &command, &out)) {
        /* What was read can be passed on, and read there. */
        struct pn_command back;
        pn_buf_clear(&out);
        command.token = 1;
        pn_command_put(&out, &command);
        if (!pn_command_get(pn_buf_str(&out), &back) || back.count != command.count)
            __builtin_trap();
    }
    pn_buf_clear(&out);
    (void)http_answer(&admin, bytes, &out);
    pn_buf_fini(&out);
    pn_pool_free(&pool);
    return 0;
}
