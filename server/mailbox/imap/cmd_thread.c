/* THREAD: RFC 5256. */
#include "imap_search.h"
#include "mem.h"
#include "sort.h"
#include "thread.h"

#include <stdlib.h>

enum { SUBJECT_MAX = 64 * 1024 };

struct work {
    struct imap_search search;
    struct thread *thread;
    struct imap_gather gather;
    struct pn_buf subject;
    const struct imap *imap;
    const struct imap_command *command;
    bool threaded;
};

static void work_free(void *p)
{
    struct work *work = p;
    imap_search_fini(&work->search);
    thread_free(&work->thread);
    pn_buf_fini(&work->subject);
    free(work);
}

static enum imap_result begin(struct imap *imap, struct imap_command *command)
{
    struct work *work = pn_calloc(1, sizeof *work);
    command->work = work;
    command->work_free = work_free;
    work->imap = imap;
    work->command = command;
    pn_buf_init(&work->subject, SUBJECT_MAX);
    bool by_references = pn_imap_word(&command->args, "REFERENCES");
    if (!by_references && !pn_imap_word(&command->args, "ORDEREDSUBJECT"))
        return IMAP_SYNTAX;
    work->thread = thread_new(by_references);
    return imap_search_parse_rest(imap, command, &work->search);
}

static bool add(void *ctx, uint32_t seq, const struct pn_mail *mail, struct pn_str header)
{
    struct work *work = ctx;
    struct thread_mail one = {
        .seq = seq,
        .shown = imap_search_shown(work->imap, work->command, seq),
        .date = sort_sent(header, mail),
        .message_id = sort_field(header, PN_STR("Message-ID")),
        .references = sort_field(header, PN_STR("References")),
        .in_reply_to = sort_field(header, PN_STR("In-Reply-To")),
    };
    pn_buf_clear(&work->subject);
    (void)sort_fold_value(sort_field(header, PN_STR("Subject")), &work->subject);
    one.subject = pn_buf_str(&work->subject);
    return thread_add(work->thread, &one);
}

enum imap_result imap_thread(struct imap *imap, struct imap_command *command)
{
    if (command->work == NULL) {
        enum imap_result result = begin(imap, command);
        if (result != IMAP_AGAIN)
            return result;
    }
    struct work *work = command->work;
    if (!imap_search_step(&work->search))
        return IMAP_AGAIN;
    if (!work->threaded) {
        if (!imap_search_gather(imap, &work->search, &work->gather, true, add, work))
            return IMAP_AGAIN;
        if (work->gather.failed)
            return imap_no(command, "[LIMIT] Too many messages to thread");
        struct pn_buf *out = &work->search.answer;
        (void)pn_buf_addz(out, bits_next(search_run_result(work->search.run), 1) != 0 ? "* THREAD "
                                                                                      : "* THREAD");
        (void)thread_print(work->thread, out);
        (void)pn_buf_addz(out, "\r\n");
        work->threaded = true;
    }
    return imap_search_tell(command, &work->search);
}
