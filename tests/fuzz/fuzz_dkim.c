/*
 * A message and a key record of a stranger's: the record is what stands before the first
 * NUL. The relaxed form must not depend on where bytes lie, so the body is canonicalized
 * from two places. libopendkim has every sixteenth input: it takes a hundred times as long.
 */
#include "dkim_canon.h"
#include "dkim_engine.h"

#include <stdlib.h>
#include <string.h>

enum { SIGS = 10, NOW = 1720000000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
    size_t n;
    uint32_t hash;
};

static void add(void *arg, const char *p, size_t n)
{
    struct sum *s = arg;

    s->n += n;
    for (size_t i = 0; i < n; i++)
        s->hash = s->hash * 31 + (unsigned char)p[i];
}

static void check_body(struct postern_str body)
{
    char *moved = malloc(body.len + 1);
    struct sum a = {0}, b = {0};

    if (moved == NULL)
        return;
    memcpy(moved + 1, body.p, body.len);
    dkim_canon_body(true, body, add, &a);
    dkim_canon_body(true, (struct postern_str){moved + 1, body.len}, add, &b);
    if (a.n != b.n || a.hash != b.hash || a.n > body.len + 2)
        abort();
    free(moved);
}

static void check_signatures(const struct dkim_engine *engine, void *state,
                             const struct dkim_message *m, const struct postern_dns_answer *keys)
{
    static struct dkim_sig sigs[SIGS];
    size_t n = dkim_sigs_read(m, sigs, SIGS, &(struct dkim_terms){NOW, 3600, 1024, NULL});

    for (size_t i = 0; i < n; i++)
        if (sigs[i].result == DKIM_PENDING)
            dkim_key_choose(&sigs[i], keys);
    if (n > 0 && engine->verify(state, m, sigs, n) != 0)
        abort();
    for (size_t i = 0; i < n; i++) {
        dkim_sig_judge(&sigs[i]);
        if (sigs[i].result == DKIM_PENDING)
            abort();
    }
}

static void check_message(struct postern_str record, struct postern_str text)
{
    static const struct dkim_engine *const engines[] = {&dkim_engine_native, &dkim_engine_opendkim};
    static void *states[2];
    struct postern_dns_record r = {.data = record};
    struct postern_dns_answer a = {.count = 1, .records = &r};
    const char *gap = memmem(text.p, text.len, "\r\n\r\n", 4);
    struct postern_str body = {text.p + text.len, 0};
    struct dkim_message m;

    if (gap != NULL)
        body = (struct postern_str){gap + 4, (size_t)(text.p + text.len - gap - 4)};
    text.len -= body.len;
    if (dkim_message_read(&m, text, body) != 0)
        return;
    for (size_t i = 0; i < (text.len % 16 == 0 ? 2U : 1U); i++) {
        if (states[i] == NULL && (states[i] = engines[i]->make()) == NULL)
            abort();
        check_signatures(engines[i], states[i], &m, &a);
    }
    check_body(body);
    dkim_message_fini(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size == 0 ? NULL : memchr(data, 0, size);
    size_t at = nul == NULL ? 0 : (size_t)(nul - data);
    struct postern_str record = {(const char *)data, at};

    if (nul != NULL)
        at++;
    if (size > at)
        check_message(record, (struct postern_str){(const char *)data + at, size - at});
    return 0;
}
