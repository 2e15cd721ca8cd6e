#include "dump.h"

#include "codec.h"

#include <stdio.h>

bool dump_read(const char *path, struct pn_lines *lines, struct pn_buf *out)
{
    FILE *f = fopen(path, "rb");
    bool ok = f != NULL;
    char block[65536];
    pn_buf_clear(out);
    for (size_t n = 0; ok && (n = fread(block, 1, sizeof block, f)) > 0;)
        ok = lines != NULL ? pn_lines_feed(lines, (struct pn_str){block, n}, out)
                           : pn_buf_add(out, block, n);
    ok = ok && ferror(f) == 0 && (lines == NULL || pn_lines_end(lines, out));
    if (f != NULL)
        ok = fclose(f) == 0 && ok;
    return ok;
}

void dump_bytes(struct pn_json *j, const char *key, struct pn_str bytes)
{
    struct pn_buf text;
    pn_buf_init(&text, SIZE_MAX);
    pn_base64_encode(&text, bytes);
    pn_json_str(j, key, pn_buf_str(&text));
    pn_buf_fini(&text);
}
