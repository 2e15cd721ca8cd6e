/* SORT: RFC 5256; RFC 5957 for DISPLAYFROM and DISPLAYTO. */
#include "imap_search.h"
#include "mem.h"
#include "sort.h"

#include <stdlib.h>

struct work {
    struct imap_search search;
    struct sort sort;
    struct imap_gather gather;
    bool sorted;
};

static void work_free(void *p)
{
    struct work *work = p;
    imap_search_fini(&work->search);
    sort_fini(&work->sort);
    free(work);
}

static enum imap_result begin(struct imap *imap, struct imap_command *command)
{
    struct work *work = pn_calloc(1, sizeof *work);
    command->work = work;
    command->work_free = work_free;
    if (!sort_parse(&work->sort, &command->args))
        return IMAP_SYNTAX;
    return imap_search_parse_rest(imap, command, &work->search);
}

static bool add(void *ctx, uint32_t seq, const struct pn_mail *mail, struct pn_str header)
{
    return sort_add(ctx, seq, mail, header);
}

static void answer(const struct imap *imap, const struct imap_command *c, struct work *work)
{
    struct pn_buf *out = &work->search.answer;
    const struct search_bits *found = search_run_result(work->search.run);
    uint64_t highest = 0;
    sort_run(&work->sort);
    (void)pn_buf_addz(out, "* SORT");
    for (size_t i = 0; i < work->sort.count; i++)
        (void)pn_buf_addf(out, " %u", imap_search_shown(imap, c, sort_nth(&work->sort, i)));
    if (work->search.program.modseq && bits_next(found, 1) != 0) { /* RFC 7162, section 3.1.6 */
        for (uint32_t seq = bits_next(found, 1); seq != 0; seq = bits_next(found, seq + 1)) {
            struct pn_mail mail;
            pn_view_mail(imap->view, seq, &mail);
            highest = mail.modseq > highest ? mail.modseq : highest;
        }
        (void)pn_buf_addf(out, " (MODSEQ %llu)", (unsigned long long)highest);
    }
    (void)pn_buf_addz(out, "\r\n");
}

enum imap_result imap_sort(struct imap *imap, struct imap_command *command)
{
    if (command->work == NULL) {
        enum imap_result result = begin(imap, command);
        if (result != IMAP_AGAIN)
            return result;
    }
    struct work *work = command->work;
    if (!imap_search_step(&work->search))
        return IMAP_AGAIN;
    if (!work->sorted) {
        if (!imap_search_gather(imap, &work->search, &work->gather, work->sort.header, add,
                                &work->sort))
            return IMAP_AGAIN;
        if (work->gather.failed)
            return imap_no(command, "[LIMIT] Too many messages to sort");
        answer(imap, command, work);
        work->sorted = true;
    }
    return imap_search_tell(command, &work->search);
}
