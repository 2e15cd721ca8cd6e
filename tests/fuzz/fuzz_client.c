/* 16 bytes of an address, then what the client says in HELO, or what a PTR record says. */
#include "assert.h"
#include "client.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool more(void *ctx, size_t n, struct postern_str *word)
{
    (void)ctx;
    *word = POSTERN_STR("kunde");
    return n == 0;
}

static size_t hex_digits(struct postern_str name)
{
    size_t n = 0;
    for (size_t i = 0; i < name.len; i++)
        n += (name.p[i] >= '0' && name.p[i] <= '9') ||
             ((name.p[i] | 0x20) >= 'a' && (name.p[i] | 0x20) <= 'f');
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char ip[16] = {0}, said[16] = {0};
    size_t n = size < 16 ? size : 16;
    memcpy(ip, data, n);
    struct postern_str text = {(const char *)data + n, size - n};
    enum client_helo kind = client_helo_read(text, said);
    pn_assert(kind != CLIENT_HELO_NAME || (text.len >= 3 && text.len <= CLIENT_NAME_MAX &&
                                           memchr(text.p, '.', text.len) != NULL));
    pn_assert(kind != CLIENT_HELO_LITERAL || text.p[0] == '[');
    pn_assert(kind != CLIENT_HELO_ADDRESS || text.p[0] != '[');
    bool six = client_name_has_address(text, ip, false);
    bool four = client_name_has_address(text, ip, true);
    pn_assert((!four || hex_digits(text) >= 4) && (!six || hex_digits(text) >= 8));
    struct postern_str word = client_name_word(text, more, NULL);
    pn_assert(word.len == 0 || (word.p >= text.p && word.p + word.len <= text.p + text.len));
    return 0;
}
