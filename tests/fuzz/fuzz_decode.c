/*
 * The first byte chooses what is decoded, the second where the input is cut in two: the
 * result must not depend on it, and what says it is UTF-8 must be.
 */
#include "assert.h"
#include "charset.h"
#include "decode.h"
#include "encword.h"
#include "lines.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decoders(enum pn_encoding encoding, struct pn_str in, size_t cut, struct pn_buf *whole,
                     struct pn_buf *parts)
{
    struct pn_decoder d;
    pn_assert(pn_decode(encoding, in, whole));
    pn_decoder_init(&d, encoding);
    pn_assert(pn_decoder_feed(&d, pn_str_slice(in, 0, cut), parts));
    for (size_t at = cut; at < in.len; at++)
        pn_assert(pn_decoder_feed(&d, pn_str_slice(in, at, at + 1), parts));
    pn_assert(pn_decoder_end(&d, parts));
    pn_assert(pn_str_eq(pn_buf_str(whole), pn_buf_str(parts)));
}

static void charsets(struct pn_str in, size_t cut, struct pn_buf *whole, struct pn_buf *parts)
{
    struct pn_str rest = in, name = pn_str_split(&rest, '\n');
    if (rest.p == NULL)
        return;
    cut = cut < rest.len ? cut : rest.len;
    struct pn_charset *cs = pn_charset_open(name);
    pn_assert(pn_charset_to_utf8(name, rest, whole));
    pn_assert(pn_charset_feed(cs, pn_str_slice(rest, 0, cut), parts));
    pn_assert(pn_charset_feed(cs, pn_str_slice(rest, cut, rest.len), parts));
    pn_assert(pn_charset_end(cs, parts));
    pn_charset_close(&cs);
    pn_assert(pn_utf8_valid(pn_buf_str(whole)));
    pn_assert(pn_str_eq(pn_buf_str(whole), pn_buf_str(parts)));
}

static void lines(enum pn_lines_mode mode, struct pn_str in, size_t cut, struct pn_buf *whole,
                  struct pn_buf *parts)
{
    struct pn_lines l;
    pn_lines_init(&l, mode);
    pn_assert(pn_lines_feed(&l, in, whole) && pn_lines_end(&l, whole));
    pn_lines_init(&l, mode);
    pn_assert(pn_lines_feed(&l, pn_str_slice(in, 0, cut), parts));
    pn_assert(pn_lines_feed(&l, pn_str_slice(in, cut, in.len), parts));
    pn_assert(pn_lines_end(&l, parts));
    pn_assert(pn_str_eq(pn_buf_str(whole), pn_buf_str(parts)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_buf whole, parts;
    if (size < 2)
        return 0;
    struct pn_str in = {(const char *)data + 2, size - 2};
    size_t cut = data[1] < in.len ? data[1] : in.len;
    pn_buf_init(&whole, 1 << 24);
    pn_buf_init(&parts, 1 << 24);
    if (data[0] % 12 <= PN_ENCODING_UNKNOWN) {
        decoders((enum pn_encoding)(data[0] % 12), in, cut, &whole, &parts);
    } else if (data[0] % 12 == 7) {
        charsets(in, cut, &whole, &parts);
    } else if (data[0] % 12 == 8) {
        pn_assert(pn_words_decode(in, &whole) && pn_utf8_valid(pn_buf_str(&whole)));
        pn_assert(pn_unfold(in, &parts) && parts.len <= in.len);
    } else {
        lines((enum pn_lines_mode)(data[0] % 12 - 9), in, cut, &whole, &parts);
    }
    pn_buf_fini(&whole);
    pn_buf_fini(&parts);
    return 0;
}
