/* --state: what lasting state answered when a message was judged, from its event's line. */
#include "scan_input.h"

#include "codec.h"

#include <jansson.h>

static struct pn_str member(const json_t *entry, const char *name)
{
    const json_t *v = json_object_get(entry, name);
    if (!json_is_string(v))
        return PN_STR("");
    return (struct pn_str){json_string_value(v), json_string_length(v)};
}

static bool is_result(struct pn_str s, uint8_t *result)
{
    static const struct {
        const char *word;
        uint8_t result;
    } words[] = {{"ok", PN_STATE_OK},
                 {"none", PN_STATE_NONE},
                 {"no", PN_STATE_NONE},
                 {"away", PN_STATE_AWAY}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (pn_str_eq(s, pn_str_of(words[i].word))) {
            *result = words[i].result;
            return true;
        }
    return false;
}

/* Absent: 0. */
static bool number(const json_t *entry, const char *name, uint32_t *out)
{
    const json_t *v = json_object_get(entry, name);
    json_int_t n = json_integer_value(v);
    *out = (uint32_t)n;
    return v == NULL || (json_is_integer(v) && n >= 0 && n <= UINT32_MAX);
}

/* A sentence about what is wrong, or NULL. What was put is found out anew. */
static const char *add_entry(const json_t *entry, struct pn_facts *facts, struct pn_buf *room)
{
    struct pn_str op = member(entry, "op"), coded = member(entry, "value64");
    struct pn_state_seen s = {.plugin = member(entry, "plugin"), .key = member(entry, "key")};
    if (!json_is_object(entry))
        return "an object was expected";
    if (pn_str_eq(op, PN_STR("put")))
        return NULL;
    if (!pn_str_eq(op, PN_STR("get")) && !pn_str_eq(op, PN_STR("take")))
        return "op: get, take or put was expected";
    s.op = pn_str_eq(op, PN_STR("get")) ? PN_STATE_GET : PN_STATE_TAKE;
    if (s.plugin.len == 0 || s.key.len == 0)
        return "plugin and key were expected";
    if (!is_result(member(entry, "result"), &s.result))
        return "result: ok, none, no or away was expected";
    if (!number(entry, "left", &s.left) || !number(entry, "step", &s.step))
        return "left and step: numbers were expected";
    s.local = json_is_true(json_object_get(entry, "local"));
    s.value = member(entry, "value");
    pn_buf_clear(room);
    if (coded.len != 0 && !pn_base64_decode(room, coded))
        return "value64: base64 was expected";
    if (coded.len != 0)
        s.value = pn_buf_str(room);
    if (s.plugin.len + s.key.len + 1 > PN_SCAN_STATE_KEY_MAX || s.value.len > PN_SCAN_STATE_MAX)
        return "a key or a value is too long";
    return pn_facts_add_state(facts, &s) ? NULL : "too many entries";
}

bool pn_scan_state(struct pn_str text, const char *what, struct pn_facts *facts, struct pn_buf *err)
{
    json_error_t je;
    json_t *root = json_loadb(text.p, text.len, JSON_ALLOW_NUL, &je), *entry;
    const json_t *list = json_is_object(root) ? json_object_get(root, "state") : root;
    struct pn_buf room;
    size_t i;
    bool ok = json_is_array(list) || (json_is_object(root) && list == NULL);
    pn_buf_init(&room, 64 * 1024);
    if (!ok)
        (void)pn_buf_addf(
            err, "%s: %s", what,
            root == NULL ? je.text : "an event's line or the list of its \"state\" was expected");
    json_array_foreach(list, i, entry)
    {
        const char *wrong = ok ? add_entry(entry, facts, &room) : NULL;
        if (wrong != NULL)
            (void)pn_buf_addf(err, "%s: state, entry %zu: %s", what, i + 1, wrong);
        ok = ok && wrong == NULL;
    }
    pn_buf_fini(&room);
    json_decref(root);
    return ok;
}
