#include "ask_show.h"

#include "cli.h"
#include "utf8.h"

const char *pn_answer_text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s == NULL ? "" : s;
}

long long pn_answer_number(const json_t *o, const char *key)
{
    return (long long)json_integer_value(json_object_get(o, key));
}

void pn_answer_print(FILE *to, const char *text)
{
    struct pn_buf b;
    pn_buf_init(&b, SIZE_MAX);
    (void)pn_utf8_add_shown(&b, pn_str_of(text));
    (void)fwrite(b.p == NULL ? "" : b.p, 1, b.len, to);
    pn_buf_fini(&b);
}

/* Up to the last line; its exit status, or -1: it did not come. */
static int each_line(const struct pn_ask_show *show, struct pn_ask *ask, bool json)
{
    struct pn_str line;
    int status = -1;
    while (status < 0 && (line = pn_ask_line(ask)).p != NULL) {
        json_t *o = json_loadb(line.p, line.len, 0, NULL);
        bool last = json_object_get(o, "ok") != NULL;
        if (json)
            printf("%.*s\n", PN_FMT(line));
        else if (!last)
            show->line(o);
        if (last)
            status = show->last(show->ctx, ask, o, json);
        json_decref(o);
    }
    return status;
}

int pn_ask_show(const struct pn_ask_show *show, const char *path, const char *const *words,
                size_t count, bool json)
{
    struct pn_ask ask;
    bool asked = pn_ask_start(&ask, path, words, count);
    int status = asked ? each_line(show, &ask, json) : PN_EXIT_UNREACHABLE;
    pn_ask_end(&ask);
    if (status >= 0)
        return status;
    fprintf(stderr, "postern %s: the server ended its answer early\n", show->name);
    return PN_EXIT_UNREACHABLE;
}
