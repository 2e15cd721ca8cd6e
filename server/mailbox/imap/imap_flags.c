/* Flags in arguments of STORE and APPEND. */
#include "imap_int.h"

/* \Recent is passed over: some send back what they were told. */
static bool add_flag(struct imap_command *command, struct pn_str word, struct imap_flag_words *out)
{
    if (word.p[0] == '\\') {
        uint32_t bit = imap_system_flag(word);
        out->system |= bit;
        return bit != 0 || pn_str_ieq(word, PN_STR("\\Recent"));
    }
    for (size_t i = 0; i < out->count; i++)
        if (pn_str_ieq(out->keywords[i], word))
            return true;
    if (out->count == IMAP_FLAG_WORDS_MAX || word.len > PN_KEYWORD_LEN_MAX)
        return false;
    out->keywords[out->count] = pn_pool_dup(command->args.pool, word);
    return out->keywords[out->count++].p != NULL;
}

static bool words(struct imap_command *command, struct imap_flag_words *out)
{
    struct pn_str word;
    do {
        if (!pn_imap_flag(&command->args, &word) || !add_flag(command, word, out))
            return false;
    } while (pn_imap_sp(&command->args));
    return true;
}

bool imap_flag_list(struct imap_command *command, struct imap_flag_words *out)
{
    *out = (struct imap_flag_words){0};
    if (!pn_imap_char(&command->args, '('))
        return false;
    if (pn_imap_char(&command->args, ')'))
        return true;
    return words(command, out) && pn_imap_char(&command->args, ')');
}

bool imap_flag_list_or_words(struct imap_command *command, struct imap_flag_words *out)
{
    *out = (struct imap_flag_words){0};
    if (command->args.rest.len > 0 && command->args.rest.p[0] == '(')
        return imap_flag_list(command, out);
    return words(command, out);
}

static bool find_keyword(struct imap *imap, struct pn_str name, uint32_t *bits)
{
    for (unsigned i = 0; i < pn_view_keywords(imap->view); i++)
        if (pn_str_ieq(pn_view_keyword(imap->view, i), name)) {
            *bits |= 1u << i;
            return true;
        }
    return false;
}

enum pn_store_status imap_flag_bits(struct imap *imap, const struct imap_flag_words *words_in,
                                    bool make, struct pn_flags *out)
{
    *out = (struct pn_flags){.system = words_in->system};
    for (size_t i = 0; i < words_in->count; i++) {
        uint32_t bit = 0;
        if (find_keyword(imap, words_in->keywords[i], &out->keywords) || !make)
            continue;
        enum pn_store_status status = pn_view_add_keyword(imap->view, words_in->keywords[i], &bit);
        if (status == PN_STORE_LIMIT) /* not among PERMANENTFLAGS (RFC 9051, 7.1): passed over */
            continue;
        if (status != PN_STORE_OK)
            return status;
        out->keywords |= bit;
    }
    return PN_STORE_OK;
}
