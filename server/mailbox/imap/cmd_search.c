/* SEARCH: RFC 9051, section 6.4.4; RFC 4731 and RFC 5182 for RETURN; RFC 7162, 3.1.5 for MODSEQ. */
#include "imap_search.h"
#include "mem.h"

#include <stdlib.h>

enum { RETURN_MIN = 1, RETURN_MAX = 2, RETURN_ALL = 4, RETURN_COUNT = 8, RETURN_SAVE = 16 };

struct work {
    struct imap_search search;
    unsigned options;
    bool extended; /* answered by ESEARCH */
};

static void work_free(void *p)
{
    struct work *work = p;
    imap_search_fini(&work->search);
    free(work);
}

/* "RETURN (MIN MAX)" and a space, if it is there. False: malformed. */
static bool read_return(struct pn_imap_args *args, struct work *work)
{
    static const struct {
        const char *word;
        unsigned bit;
    } options[] = {{"MIN", RETURN_MIN},
                   {"MAX", RETURN_MAX},
                   {"ALL", RETURN_ALL},
                   {"COUNT", RETURN_COUNT},
                   {"SAVE", RETURN_SAVE}};
    if (!pn_imap_word(args, "RETURN"))
        return true;
    if (!pn_imap_sp(args) || !pn_imap_char(args, '('))
        return false;
    work->extended = true;
    while (!pn_imap_char(args, ')')) {
        unsigned bit = 0;
        if (work->options != 0 && !pn_imap_sp(args))
            return false;
        for (size_t i = 0; i < sizeof options / sizeof *options && bit == 0; i++)
            if (pn_imap_word(args, options[i].word))
                bit = options[i].bit;
        if (bit == 0)
            return false;
        work->options |= bit;
    }
    work->options = work->options == 0 ? RETURN_ALL : work->options;
    return pn_imap_sp(args);
}

/* ---- answers */

/* Ranges of numbers, or of UIDs that stand beside each other. */
static void add_ranges(const struct imap *imap, const struct imap_command *c,
                       const struct search_bits *found, struct pn_buf *out)
{
    const char *between = " ";
    for (uint32_t seq = bits_next(found, 1), next; seq != 0; seq = next) {
        uint32_t first = imap_search_shown(imap, c, seq), last = first;
        for (next = seq; (next = bits_next(found, next + 1)) != 0; last++)
            if (imap_search_shown(imap, c, next) != last + 1)
                break;
        (void)pn_buf_addf(out, first == last ? "%s%u" : "%s%u:%u", between, first, last);
        between = ",";
    }
}

static uint64_t modseq_of(const struct imap *imap, uint32_t seq)
{
    struct pn_mail mail;
    pn_view_mail(imap->view, seq, &mail);
    return mail.modseq;
}

/* The highest of those told of: RFC 7162, section 3.1.10. */
static uint64_t highest_modseq(const struct imap *imap, const struct search_bits *found,
                               unsigned options)
{
    uint64_t highest = 0, low = modseq_of(imap, bits_next(found, 1));
    uint64_t high = modseq_of(imap, bits_last(found));
    if ((options & (RETURN_ALL | RETURN_COUNT)) == 0 &&
        (options & (RETURN_MIN | RETURN_MAX)) != 0) {
        highest = (options & RETURN_MIN) != 0 ? low : 0;
        return (options & RETURN_MAX) != 0 && high > highest ? high : highest;
    }
    for (uint32_t seq = bits_next(found, 1); seq != 0; seq = bits_next(found, seq + 1)) {
        uint64_t modseq = modseq_of(imap, seq);
        highest = modseq > highest ? modseq : highest;
    }
    return highest;
}

static void answer_plain(const struct imap *imap, const struct imap_command *c, struct work *work)
{
    const struct search_bits *found = search_run_result(work->search.run);
    struct pn_buf *out = &work->search.answer;
    (void)pn_buf_addz(out, "* SEARCH");
    for (uint32_t seq = bits_next(found, 1); seq != 0; seq = bits_next(found, seq + 1))
        (void)pn_buf_addf(out, " %u", imap_search_shown(imap, c, seq));
    if (work->search.program.modseq && bits_next(found, 1) != 0)
        (void)pn_buf_addf(out, " (MODSEQ %llu)",
                          (unsigned long long)highest_modseq(imap, found, RETURN_ALL));
    (void)pn_buf_addz(out, "\r\n");
}

static void answer_extended(const struct imap *imap, const struct imap_command *c,
                            struct work *work)
{
    const struct search_bits *found = search_run_result(work->search.run);
    struct pn_buf *out = &work->search.answer;
    bool any = bits_next(found, 1) != 0;
    (void)pn_buf_addf(out, "* ESEARCH (TAG \"%s\")%s", imap->tag, c->uid ? " UID" : "");
    if (any && (work->options & RETURN_MIN) != 0)
        (void)pn_buf_addf(out, " MIN %u", imap_search_shown(imap, c, bits_next(found, 1)));
    if (any && (work->options & RETURN_MAX) != 0)
        (void)pn_buf_addf(out, " MAX %u", imap_search_shown(imap, c, bits_last(found)));
    if (any && (work->options & RETURN_ALL) != 0) {
        (void)pn_buf_addz(out, " ALL");
        add_ranges(imap, c, found, out);
    }
    if ((work->options & RETURN_COUNT) != 0)
        (void)pn_buf_addf(out, " COUNT %u", bits_count(found));
    if (any && work->search.program.modseq)
        (void)pn_buf_addf(out, " MODSEQ %llu",
                          (unsigned long long)highest_modseq(imap, found, work->options));
    (void)pn_buf_addz(out, "\r\n");
}

/* RFC 5182, section 2.4: with MIN or MAX, and without ALL and COUNT, only those are kept. */
static void save(struct imap *imap, const struct search_bits *found, unsigned options)
{
    uint32_t first = bits_next(found, 1), last = bits_last(found);
    bool ends =
        (options & (RETURN_MIN | RETURN_MAX)) != 0 && (options & (RETURN_ALL | RETURN_COUNT)) == 0;
    pn_uidset_clear(&imap->saved);
    for (uint32_t seq = first; seq != 0; seq = bits_next(found, seq + 1)) {
        if (ends && !((options & RETURN_MIN) != 0 && seq == first) &&
            !((options & RETURN_MAX) != 0 && seq == last))
            continue;
        uint32_t uid = pn_view_uid(imap->view, seq);
        (void)pn_uidset_add(&imap->saved, uid, uid);
    }
}

static enum imap_result begin(struct imap *imap, struct imap_command *command)
{
    struct work *work = pn_calloc(1, sizeof *work);
    command->work = work;
    command->work_free = work_free;
    work->extended = imap->rev2;
    if (!read_return(&command->args, work))
        return IMAP_SYNTAX;
    enum imap_result result =
        imap_search_parse(imap, command, &work->search, (struct pn_str){NULL, 0});
    if (result == IMAP_DONE && (work->options & RETURN_SAVE) != 0)
        pn_uidset_clear(&imap->saved); /* section 2.1: a NO empties it */
    if (work->options == 0)
        work->options = RETURN_ALL;
    return result;
}

enum imap_result imap_search(struct imap *imap, struct imap_command *command)
{
    if (command->work == NULL) {
        enum imap_result result = begin(imap, command);
        if (result != IMAP_AGAIN)
            return result;
    }
    struct work *work = command->work;
    bool before = work->search.found;
    if (!imap_search_step(&work->search))
        return IMAP_AGAIN;
    if (!before) {
        if ((work->options & RETURN_SAVE) != 0)
            save(imap, search_run_result(work->search.run), work->options);
        if ((work->options & RETURN_SAVE) != 0 && search_run_failed(work->search.run))
            pn_uidset_clear(&imap->saved); /* as with each NO */
        if (!work->extended)
            answer_plain(imap, command, work);
        else if (work->options != RETURN_SAVE)
            answer_extended(imap, command, work);
    }
    return imap_search_tell(command, &work->search);
}
