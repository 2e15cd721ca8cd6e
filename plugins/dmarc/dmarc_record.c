#include "dmarc_record.h"

#include <string.h>

static bool is_wsp(char c)
{
    return c == ' ' || c == '\t';
}

static struct postern_str trim(struct postern_str s)
{
    while (s.len != 0 && is_wsp(s.p[s.len - 1]))
        s.len--;
    while (s.len != 0 && is_wsp(s.p[0])) {
        s.p++;
        s.len--;
    }
    return s;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_word(struct postern_str s, const char *word)
{
    if (s.len != strlen(word))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (lower(s.p[i]) != word[i])
            return false;
    return true;
}

/* What stands before the next ";", trimmed, parted at "=". False at the end. */
static bool next_tag(struct postern_str *rest, struct postern_str *name, struct postern_str *value)
{
    if (rest->p == NULL)
        return false;
    const char *end = rest->len == 0 ? NULL : memchr(rest->p, ';', rest->len);
    struct postern_str tag = {rest->p, end == NULL ? rest->len : (size_t)(end - rest->p)};
    *rest = end == NULL ? (struct postern_str){NULL, 0}
                        : (struct postern_str){end + 1, rest->len - tag.len - 1};
    const char *equals = tag.len == 0 ? NULL : memchr(tag.p, '=', tag.len);
    size_t at = equals == NULL ? tag.len : (size_t)(equals - tag.p);
    *name = trim((struct postern_str){tag.p, at});
    *value = equals == NULL ? (struct postern_str){NULL, 0}
                            : trim((struct postern_str){equals + 1, tag.len - at - 1});
    return true;
}

bool dmarc_record_is(struct postern_str txt)
{
    struct postern_str name, value;
    return txt.len != 0 && !is_wsp(txt.p[0]) && next_tag(&txt, &name, &value) &&
           is_word(name, "v") && value.len == 6 && memcmp(value.p, "DMARC1", 6) == 0;
}

static enum dmarc_policy policy_of(struct postern_str value)
{
    return is_word(value, "none")         ? DMARC_POLICY_NONE
           : is_word(value, "quarantine") ? DMARC_POLICY_QUARANTINE
           : is_word(value, "reject")     ? DMARC_POLICY_REJECT
                                          : DMARC_POLICY_UNSET;
}

/* One URI at least: a scheme, a colon, and something behind it. */
static bool has_uri(struct postern_str list)
{
    while (list.len != 0) {
        const char *comma = memchr(list.p, ',', list.len);
        size_t len = comma == NULL ? list.len : (size_t)(comma - list.p);
        struct postern_str uri = trim((struct postern_str){list.p, len});
        size_t i = 0;
        while (i < uri.len && ((lower(uri.p[i]) >= 'a' && lower(uri.p[i]) <= 'z') ||
                               (i != 0 && ((uri.p[i] >= '0' && uri.p[i] <= '9') ||
                                           uri.p[i] == '+' || uri.p[i] == '-' || uri.p[i] == '.'))))
            i++;
        bool mailto = i == 6 && is_word((struct postern_str){uri.p, i}, "mailto");
        if (i != 0 && i + 1 < uri.len && uri.p[i] == ':' &&
            (!mailto || memchr(uri.p + i + 1, '@', uri.len - i - 1) != NULL))
            return true;
        len += comma != NULL;
        list = (struct postern_str){list.p + len, list.len - len};
    }
    return false;
}

enum tag { TAG_P, TAG_SP, TAG_NP, TAG_PSD, TAG_ADKIM, TAG_ASPF, TAG_T, TAG_RUA, TAG_FO, TAGS };

void dmarc_record_read(struct postern_str txt, struct dmarc_record *out)
{
    static const char *const names[TAGS] = {"p",    "sp", "np",  "psd", "adkim",
                                            "aspf", "t",  "rua", "fo"};
    struct postern_str values[TAGS] = {{NULL, 0}}, name, value;
    while (next_tag(&txt, &name, &value))
        for (unsigned i = 0; i < TAGS; i++)
            if (values[i].p == NULL && value.p != NULL && is_word(name, names[i]))
                values[i] = value;
    *out = (struct dmarc_record){
        .p = policy_of(values[TAG_P]),
        .sp = policy_of(values[TAG_SP]),
        .np = policy_of(values[TAG_NP]),
        .psd = is_word(values[TAG_PSD], "y")   ? DMARC_PSD_Y
               : is_word(values[TAG_PSD], "n") ? DMARC_PSD_N
                                               : DMARC_PSD_U,
        .strict_dkim = is_word(values[TAG_ADKIM], "s"),
        .strict_spf = is_word(values[TAG_ASPF], "s"),
        .testing = is_word(values[TAG_T], "y"),
        .fo = values[TAG_FO],
    };
    if (has_uri(values[TAG_RUA]))
        out->rua = values[TAG_RUA];
    out->usable = out->p != DMARC_POLICY_UNSET &&
                  (out->sp != DMARC_POLICY_UNSET || values[TAG_SP].p == NULL) &&
                  (out->np != DMARC_POLICY_UNSET || values[TAG_NP].p == NULL);
    if (!out->usable && out->rua.len != 0) {
        out->p = DMARC_POLICY_NONE;
        out->sp = out->np = DMARC_POLICY_UNSET;
        out->usable = true;
    }
}

const char *dmarc_policy_name(enum dmarc_policy policy)
{
    return policy == DMARC_POLICY_REJECT       ? "reject"
           : policy == DMARC_POLICY_QUARANTINE ? "quarantine"
                                               : "none";
}
