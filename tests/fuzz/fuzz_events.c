/*
 * The event log as `postern report abuse` reads it: lines of anything. What it says of them
 * as JSON is JSON, and counts no line twice; no control byte reaches a terminal.
 */
#include "abuse.h"
#include "assert.h"

#include <jansson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_json(struct pn_abuse *abuse)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    pn_assert(to != NULL);
    pn_abuse_print_json(abuse, 10, to);
    pn_assert(fclose(to) == 0);
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    pn_assert(json_is_object(root));
    json_decref(root);
    free(text);
}

static void check_table(struct pn_abuse *abuse)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    pn_assert(to != NULL);
    pn_abuse_print(abuse, 10, to);
    pn_assert(fclose(to) == 0);
    for (size_t i = 0; i < len; i++)
        pn_assert((unsigned char)text[i] >= ' ' || text[i] == '\n');
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_str rest = {(const char *)data, size}, since = pn_str_split(&rest, '\n');
    struct pn_buf stamp;
    uint64_t lines = 0, sum = 0;
    pn_buf_init(&stamp, 64);
    bool ok = pn_abuse_since(since, INT64_C(1795309323000), &stamp);
    pn_assert(!ok || (stamp.len >= 10 && stamp.len <= 32));
    struct pn_abuse *abuse = pn_abuse_new(ok ? pn_buf_str(&stamp) : PN_STR(""));
    for (; rest.p != NULL; lines++)
        pn_abuse_line(abuse, pn_str_split(&rest, '\n'));
    struct pn_abuse_totals t = pn_abuse_totals(abuse);
    for (int i = 0; i < PN_ABUSE_OUTCOMES; i++)
        sum += t.outcomes[i];
    pn_assert(sum == t.messages && t.messages + t.damaged <= lines);
    check_json(abuse);
    check_table(abuse);
    pn_abuse_free(&abuse);
    pn_buf_fini(&stamp);
    return 0;
}
