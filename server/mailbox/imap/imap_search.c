#include "imap_search.h"

#include "clock.h"

enum {
    ANSWER_MAX = 256 * 1024 * 1024,
    CHUNK = 64 * 1024, /* of the answer, at a time */
    GAP = 64           /* numbers not found that are read with those found around them */
};

enum imap_result imap_search_parse(struct imap *imap, struct imap_command *command,
                                   struct imap_search *search, struct pn_str charset)
{
    uint32_t count = pn_view_count(imap->view);
    struct search_scope scope = {.count = count,
                                 .last_uid = count == 0 ? 0 : pn_view_uid(imap->view, count),
                                 .saved = &imap->saved,
                                 .now = pn_clock_wall_ms() / 1000,
                                 .utf8 = imap->utf8};
    pn_buf_init(&search->answer, ANSWER_MAX);
    switch (search_parse(&search->program, &command->args, charset, &scope)) {
    case SEARCH_BAD:
        return IMAP_SYNTAX;
    case SEARCH_BADCHARSET:
        return imap_no(command, "[BADCHARSET %s] This charset is not known here", search_charsets);
    case SEARCH_TOO_MUCH:
        return imap_no(command, "[LIMIT] Too many keys, or too long a text");
    case SEARCH_OK:
        break;
    }
    if (search->program.modseq)
        imap_condstore_on(imap, command->out);
    search->run = search_run_new(imap->user, imap->view, &search->program);
    return IMAP_AGAIN;
}

enum imap_result imap_search_parse_rest(struct imap *imap, struct imap_command *command,
                                        struct imap_search *search)
{
    struct pn_imap_args *args = &command->args;
    struct pn_str charset;
    if (!pn_imap_sp(args) || !pn_imap_astring(args, &charset) || !pn_imap_sp(args))
        return IMAP_SYNTAX;
    return imap_search_parse(imap, command, search, charset);
}

void imap_search_fini(struct imap_search *search)
{
    search_run_free(&search->run);
    search_program_fini(&search->program);
    pn_buf_fini(&search->answer);
}

bool imap_search_step(struct imap_search *search)
{
    if (!search->found)
        search->found = search_run_step(search->run, SEARCH_SLICE_MS);
    return search->found;
}

enum imap_result imap_search_tell(struct imap_command *command, struct imap_search *search)
{
    if (search->answer.overflow)
        return imap_no(command, "[LIMIT] Too long an answer");
    while (search->told < search->answer.len) {
        struct pn_str part =
            pn_str_slice(pn_buf_str(&search->answer), search->told, search->told + CHUNK);
        if (imap_full(command))
            return IMAP_AGAIN;
        (void)pn_buf_adds(command->out, part);
        search->told += part.len;
    }
    if (search_run_failed(search->run))
        return imap_no(command, "[UNAVAILABLE] Some messages could not be read");
    return IMAP_DONE;
}

uint32_t imap_search_shown(const struct imap *imap, const struct imap_command *command,
                           uint32_t seq)
{
    return command->uid ? pn_view_uid(imap->view, seq) : seq;
}

/* ---- headers of what was found */

struct gather {
    struct imap *imap;
    const struct search_bits *found;
    struct imap_gather *state;
    imap_gather_fn *fn;
    void *ctx;
    uint64_t deadline;
};

static bool late(const struct gather *gather, uint32_t seq)
{
    return seq % GAP == 0 && pn_clock_mono_ns() >= gather->deadline;
}

static bool one(struct gather *gather, uint32_t seq, struct pn_str header)
{
    struct pn_mail mail;
    pn_view_mail_sized(gather->imap->view, seq, seq, &mail); /* SORT (SIZE) */
    gather->state->next = seq + 1;
    gather->state->failed = !gather->fn(gather->ctx, seq, &mail, header);
    return !gather->state->failed;
}

static bool one_cached(void *ctx, const struct pn_cached *cached)
{
    struct gather *gather = ctx;
    struct pn_str header = cached->header.p == NULL ? PN_STR("") : cached->header;
    if (bits_has(gather->found, cached->seq) && !one(gather, cached->seq, header))
        return false;
    return !late(gather, cached->seq);
}

bool imap_search_gather(struct imap *imap, struct imap_search *search, struct imap_gather *state,
                        bool header, imap_gather_fn *fn, void *ctx)
{
    struct gather gather = {.imap = imap,
                            .found = search_run_result(search->run),
                            .state = state,
                            .fn = fn,
                            .ctx = ctx,
                            .deadline = pn_clock_mono_ns() + SEARCH_SLICE_MS * PN_NS_PER_MS};
    uint32_t seq = bits_next(gather.found, state->next == 0 ? 1 : state->next);
    while (seq != 0 && !state->failed) {
        uint32_t last = seq;
        for (uint32_t next;
             header && (next = bits_next(gather.found, last + 1)) != 0 && next - last <= GAP;)
            last = next;
        if (header)
            (void)pn_view_cached(imap->view, seq, last, PN_CACHED_HEADER, one_cached, &gather);
        else
            (void)one(&gather, seq, PN_STR(""));
        uint32_t next = bits_next(gather.found, state->next);
        if (next != 0 && pn_clock_mono_ns() >= gather.deadline)
            return false;
        if (next == seq) { /* nothing is to be had of it */
            state->failed = true;
            return true;
        }
        seq = next;
    }
    return true;
}
