#include "search_run.h"

#include "clock.h"
#include "date.h"
#include "textsearch.h"

enum {
    DAY = 24 * 60 * 60,
    FEW = 64,       /* messages: not worth the index */
    GAP = 32,       /* numbers that a range of cached rows may read in vain */
    MANY_KEYS = 4,  /* that ask for flags, sizes or dates: these are copied out for them */
    TEXTS_TRIES = 4 /* times that damage may be found in the index before it is left alone */
};

/* What is known so far of a key that needs content. */
struct memo {
    const struct search_node *node;
    struct pn_needle needle; /* TEXT: of what it looks for */
    struct search_bits known, value;
};

struct search_run {
    struct pn_user *user;
    struct pn_view *view;
    const struct search_program *program;
    uint32_t count;
    struct search_bits result;
    struct pn_mail *mails; /* owned; of all messages, for many keys; NULL: not needed so far */
    size_t mail_keys;
    struct memo *memos; /* owned; one a slow node, in their order */
    size_t memo_count;
    struct pn_words *words;
    struct pn_texts *texts; /* NULL: not opened, or none */
    bool opened, caught_up, failed;
    unsigned tries;
    struct pn_uidset hits;
    unsigned ms;       /* of the slice, for what is slow; it begins where that begins */
    uint64_t deadline; /* ns; 0: nothing slow was done in this slice */
};

/* ---- what memory knows */

static int64_t day_of(int64_t seconds)
{
    return (seconds - (seconds < 0 ? DAY - 1 : 0)) / DAY;
}

static bool in_range(const struct search_node *node, int64_t n)
{
    return n >= node->from && n < node->to;
}

static bool match_mail(const struct search_node *node, const struct pn_mail *mail)
{
    switch (node->op) {
    case SEARCH_FLAG:
        return (mail->flags.system & node->number) != 0;
    case SEARCH_MODSEQ:
        return mail->modseq >= node->number;
    case SEARCH_LARGER:
        return mail->size > node->number;
    case SEARCH_SMALLER:
        return mail->size < node->number;
    case SEARCH_DATE:
        return in_range(node, day_of(mail->date));
    case SEARCH_AGE:
        return in_range(node, mail->date);
    default:
        return false;
    }
}

static uint32_t keyword_bit(struct pn_view *view, struct pn_str name)
{
    unsigned count = pn_view_keywords(view);
    for (unsigned i = 0; i < count; i++)
        if (pn_str_ieq(pn_view_keyword(view, i), name))
            return UINT32_C(1) << i;
    return 0;
}

/* Flags and so on of one message; for many keys from a copy of all, made once. */
static const struct pn_mail *mail_of(struct search_run *run, uint32_t seq, struct pn_mail *one)
{
    if (run->mail_keys >= MANY_KEYS && run->mails == NULL) {
        run->mails = pn_calloc((size_t)run->count + 1, sizeof *run->mails);
        for (uint32_t i = 1; i <= run->count; i++)
            pn_view_mail(run->view, i, &run->mails[i]);
    }
    if (run->mails != NULL)
        return &run->mails[seq];
    pn_view_mail(run->view, seq, one);
    return one;
}

static void eval_mail(struct search_run *run, const struct search_node *node,
                      const struct search_bits *in, struct search_bits *out)
{
    uint32_t keyword = node->op == SEARCH_KEYWORD ? keyword_bit(run->view, node->text) : 0;
    if (node->op == SEARCH_KEYWORD && keyword == 0)
        return;
    bool sized = node->op == SEARCH_LARGER || node->op == SEARCH_SMALLER;
    for (uint32_t seq = bits_next(in, 1); seq != 0; seq = bits_next(in, seq + 1)) {
        struct pn_mail one;
        const struct pn_mail *mail = mail_of(run, seq, &one);
        if (sized && mail->guessed) {
            pn_view_mail_sized(run->view, seq, UINT32_MAX, &one);
            mail = &one;
        }
        if (keyword != 0 ? (mail->flags.keywords & keyword) != 0 : match_mail(node, mail))
            bits_add(out, seq);
    }
}

static void eval_set(struct search_run *run, const struct search_node *node,
                     const struct search_bits *in, struct search_bits *out)
{
    for (size_t i = 0; node->set != NULL && i < node->set->count; i++) {
        struct pn_uidrange range = node->set->v[i];
        if (node->op != SEARCH_NUMBERS) {
            range.first = pn_view_floor(run->view, range.first);
            range.last = range.last == UINT32_MAX ? run->count
                                                  : pn_view_floor(run->view, range.last + 1) - 1;
        }
        if (range.first <= run->count && range.first <= range.last)
            bits_add_range(out, range.first, range.last);
    }
    bits_and(out, in);
}

/* ---- what needs content */

/* Asked behind each piece of slow work, so that every slice does at least one. */
static bool late(const struct search_run *run)
{
    return pn_clock_mono_ns() >= run->deadline;
}

/* Before slow work: what memory knows may have taken long, and is done again in each slice. */
static void begin_slow(struct search_run *run)
{
    if (run->deadline == 0)
        run->deadline = pn_clock_mono_ns() + (uint64_t)run->ms * PN_NS_PER_MS;
}

static bool is_cached(const struct search_node *node)
{
    return node->op == SEARCH_SENT || (node->words.where == PN_WORDS_IN_FIELD &&
                                       pn_words_shelf_of(node->words.field) == PN_WORDS_SHORT);
}

/* The day in the Date field, in its own zone, from what was read. */
static bool sent_day(const struct pn_words *words, int64_t *day)
{
    static const char name[] = {PN_WORDS_MARK, 'd', 'a', 't', 'e', ':', ' '};
    struct pn_str text = pn_words_get(words, PN_WORDS_SHORT);
    const char *at = memmem(text.p, text.len, name, sizeof name);
    if (at == NULL)
        return false;
    struct pn_str value = pn_str_slice(text, (size_t)(at - text.p) + sizeof name, text.len);
    size_t end = pn_str_find(value, PN_WORDS_MARK, 0);
    int64_t seconds;
    int zone = 0;
    if (!pn_date_parse(pn_str_slice(value, 0, end), &seconds, &zone))
        return false;
    *day = day_of(seconds + (int64_t)zone * 60);
    return true;
}

/* Notes for all keys what the message that was read says. whole: its body was read, too. */
static void note(struct search_run *run, uint32_t seq, bool whole)
{
    int64_t day = 0;
    for (size_t i = 0; i < run->memo_count; i++) {
        struct memo *memo = &run->memos[i];
        if ((!whole && !is_cached(memo->node)) || bits_has(&memo->known, seq))
            continue;
        bits_add(&memo->known, seq);
        bool match = memo->node->op == SEARCH_SENT
                         ? sent_day(run->words, &day) && in_range(memo->node, day)
                         : pn_words_match_with(run->words, &memo->node->words, &memo->needle);
        if (match)
            bits_add(&memo->value, seq);
    }
}

/* A walk over cached header fields. */
struct walk {
    struct search_run *run;
    const struct search_bits *todo;
    uint32_t last; /* number read; 0: none */
};

static bool note_cached(void *ctx, const struct pn_cached *cached)
{
    struct walk *walk = ctx;
    walk->last = cached->seq;
    if (bits_has(walk->todo, cached->seq)) {
        struct pn_mail mail = {.gone = true};
        if (!cached->whole)
            pn_view_mail(walk->run->view, cached->seq, &mail);
        walk->run->failed = walk->run->failed || !mail.gone;
        pn_words_read_header(walk->run->words, cached->header);
        note(walk->run, cached->seq, false);
    }
    return cached->seq % FEW != 0 || !late(walk->run);
}

/* True: all of todo is known. */
static bool read_cached(struct search_run *run, const struct search_bits *todo)
{
    for (uint32_t seq = bits_next(todo, 1); seq != 0;) {
        uint32_t last = seq;
        for (uint32_t next; (next = bits_next(todo, last + 1)) != 0 && next - last <= GAP;)
            last = next;
        struct walk walk = {.run = run, .todo = todo};
        uint32_t end = pn_view_cached(run->view, seq, last, PN_CACHED_HEADER, note_cached, &walk);
        if (end <= last) /* it was told to stop */
            return bits_next(todo, walk.last + 1) == 0;
        if (late(run))
            return bits_next(todo, last + 1) == 0;
        seq = bits_next(todo, last + 1);
    }
    return true;
}

static bool read_mails(struct search_run *run, const struct search_bits *todo)
{
    for (uint32_t seq = bits_next(todo, 1); seq != 0; seq = bits_next(todo, seq + 1)) {
        struct pn_content content;
        enum pn_read read = pn_view_read(run->view, seq, &content);
        pn_words_read(run->words, read == PN_READ_OK ? content.bytes : PN_STR(""));
        run->failed = run->failed || read == PN_READ_ERROR;
        note(run, seq, true);
        if (read == PN_READ_OK)
            pn_content_done(&content);
        if (late(run))
            return bits_next(todo, seq + 1) == 0;
    }
    return true;
}

/* ---- the index */

static struct pn_texts *texts(struct search_run *run)
{
    if (run->user != NULL && !run->opened)
        run->texts = pn_texts_open(run->user, run->view);
    run->opened = true;
    return run->texts;
}

/* Those of todo that the index covers, or (covered false) does not. */
static void split(struct search_run *run, const struct search_bits *todo, bool covered,
                  struct search_bits *out)
{
    struct search_node node = {.op = SEARCH_UIDS, .set = pn_texts_covered(run->texts)};
    bits_clear(out);
    eval_set(run, &node, todo, out);
    if (!covered) {
        struct search_bits rest;
        bits_init(&rest, run->count);
        bits_copy(&rest, todo);
        bits_without(&rest, out);
        bits_copy(out, &rest);
        bits_fini(&rest);
    }
}

/* Makes the index whole where that is no more work than a scan of todo. False: not yet. */
static bool catch_up(struct search_run *run, const struct search_bits *todo,
                     struct search_bits *scratch)
{
    if (run->caught_up)
        return true;
    split(run, todo, false, scratch);
    uint32_t wanted = bits_count(scratch);
    struct search_bits all;
    bits_init(&all, run->count);
    bits_add_range(&all, 1, run->count);
    split(run, &all, false, scratch);
    bits_fini(&all);
    if (wanted < FEW || wanted < bits_count(scratch) / 4)
        return true;
    run->caught_up = pn_texts_catch_up(run->texts, SEARCH_SLICE_MS) != PN_TEXTS_MORE;
    return run->caught_up;
}

/* Asks the index for what it covers of todo. False: to be called again. */
static bool ask_index(struct search_run *run, struct memo *memo, const struct search_bits *todo,
                      struct search_bits *scratch)
{
    if (!is_cached(memo->node) && !catch_up(run, todo, scratch))
        return false;
    split(run, todo, true, scratch);
    if (bits_next(scratch, 1) == 0)
        return true;
    struct pn_texts_span span = {.from = pn_view_uid(run->view, bits_next(scratch, 1)),
                                 .last = pn_view_uid(run->view, bits_last(scratch)),
                                 .deadline = run->deadline};
    pn_uidset_clear(&run->hits);
    if (!pn_texts_find(run->texts, &memo->node->words, &span, &run->hits) || run->hits.overflow) {
        run->caught_up = false;
        if (++run->tries >= TEXTS_TRIES)
            pn_texts_close(&run->texts);
        return run->texts == NULL;
    }
    if (span.from != 0)
        bits_remove_from(scratch, pn_view_floor(run->view, span.from));
    struct search_node hits = {.op = SEARCH_UIDS, .set = &run->hits};
    bits_or(&memo->known, scratch);
    struct search_bits found;
    bits_init(&found, run->count);
    eval_set(run, &hits, scratch, &found);
    bits_or(&memo->value, &found);
    bits_fini(&found);
    return span.from == 0;
}

static bool fill(struct search_run *run, struct memo *memo, const struct search_bits *in)
{
    struct search_bits todo, scratch;
    bool done = true;
    begin_slow(run);
    bits_init(&todo, run->count);
    bits_init(&scratch, run->count);
    bits_copy(&todo, in);
    bits_without(&todo, &memo->known);
    if (memo->node->op == SEARCH_TEXT && bits_count(&todo) >= FEW && texts(run) != NULL)
        done = ask_index(run, memo, &todo, &scratch);
    bits_without(&todo, &memo->known);
    if (done)
        done = is_cached(memo->node) ? read_cached(run, &todo) : read_mails(run, &todo);
    bits_fini(&todo);
    bits_fini(&scratch);
    return done;
}

/* ---- the tree */

enum { COST_MEMORY, COST_CACHED, COST_CONTENT, COSTS };

static int cost(const struct search_run *run, uint32_t index)
{
    int most = COST_MEMORY;
    const struct search_node *nodes = run->program->nodes;
    for (uint32_t i = index; i < nodes[index].end; i++)
        if (nodes[i].op == SEARCH_TEXT || nodes[i].op == SEARCH_SENT)
            most = !is_cached(&nodes[i]) ? COST_CONTENT : most == COST_CONTENT ? most : COST_CACHED;
    return most;
}

static bool eval(struct search_run *run, uint32_t index, const struct search_bits *in,
                 struct search_bits *out);

/* Operands of AND, or (either) of OR, cheapest first: each looks only at what is still open. */
static bool eval_many(struct search_run *run, uint32_t index, bool either,
                      const struct search_bits *in, struct search_bits *out)
{
    const struct search_node *nodes = run->program->nodes;
    struct search_bits open, found;
    bool done = true;
    bits_init(&open, run->count);
    bits_init(&found, run->count);
    bits_copy(&open, in);
    for (int class = COST_MEMORY; class < COSTS && done; class ++)
        for (uint32_t i = index + 1; i < nodes[index].end && done; i = nodes[i].end) {
            if (bits_next(&open, 1) == 0)
                break;
            if (cost(run, i) != class)
                continue;
            bits_clear(&found);
            done = eval(run, i, &open, &found);
            if (either) {
                bits_or(out, &found);
                bits_without(&open, &found);
            } else {
                bits_copy(&open, &found);
            }
        }
    if (!either)
        bits_copy(out, &open);
    bits_fini(&open);
    bits_fini(&found);
    return done;
}

static struct memo *memo_of(struct search_run *run, const struct search_node *node)
{
    size_t i = 0;
    while (run->memos[i].node != node)
        i++;
    return &run->memos[i];
}

/* Adds to out, which is empty, those of in that match. False: not done yet. */
static bool eval(struct search_run *run, uint32_t index, const struct search_bits *in,
                 struct search_bits *out)
{
    const struct search_node *node = &run->program->nodes[index];
    bool done = true;
    switch (node->op) {
    case SEARCH_AND:
    case SEARCH_OR:
        return eval_many(run, index, node->op == SEARCH_OR, in, out);
    case SEARCH_NOT: {
        struct search_bits found;
        bits_init(&found, run->count);
        done = eval(run, index + 1, in, &found);
        bits_copy(out, in);
        bits_without(out, &found);
        bits_fini(&found);
        return done;
    }
    case SEARCH_NUMBERS:
    case SEARCH_UIDS:
    case SEARCH_SAVED:
        eval_set(run, node, in, out);
        return true;
    case SEARCH_TEXT:
    case SEARCH_SENT: {
        struct memo *memo = memo_of(run, node);
        done = fill(run, memo, in);
        bits_copy(out, in);
        bits_and(out, &memo->value);
        return done;
    }
    default:
        eval_mail(run, node, in, out);
        return true;
    }
}

/* ---- life */

struct search_run *search_run_new(struct pn_user *user, struct pn_view *view,
                                  const struct search_program *program)
{
    struct search_run *run = pn_calloc(1, sizeof *run);
    run->view = view;
    run->program = program;
    run->count = pn_view_count(view);
    run->user = user;
    run->words = pn_words_new();
    bits_init(&run->result, run->count);
    pn_uidset_init(&run->hits, PN_UIDSET_MAX);
    run->memos = pn_calloc(program->slow + 1, sizeof *run->memos);
    for (size_t i = 0; i < program->count; i++) {
        const struct search_node *node = &program->nodes[i];
        run->mail_keys += node->op >= SEARCH_FLAG && node->op < SEARCH_SENT;
        if (node->op != SEARCH_TEXT && node->op != SEARCH_SENT)
            continue;
        struct memo *memo = &run->memos[run->memo_count++];
        memo->node = node;
        pn_needle_init(&memo->needle, node->words.text);
        bits_init(&memo->known, run->count);
        bits_init(&memo->value, run->count);
    }
    return run;
}

void search_run_free(struct search_run **run)
{
    if (*run == NULL)
        return;
    for (size_t i = 0; i < (*run)->memo_count; i++) {
        bits_fini(&(*run)->memos[i].known);
        bits_fini(&(*run)->memos[i].value);
    }
    free((*run)->memos);
    free((*run)->mails);
    bits_fini(&(*run)->result);
    pn_uidset_fini(&(*run)->hits);
    pn_words_free(&(*run)->words);
    pn_texts_close(&(*run)->texts);
    free(*run);
    *run = NULL;
}

bool search_run_step(struct search_run *run, unsigned ms)
{
    struct search_bits all;
    run->ms = ms;
    run->deadline = 0;
    bits_init(&all, run->count);
    bits_add_range(&all, 1, run->count);
    bits_clear(&run->result);
    bool done = eval(run, 0, &all, &run->result);
    bits_fini(&all);
    return done;
}

bool search_run_failed(const struct search_run *run)
{
    return run->failed;
}

const struct search_bits *search_run_result(const struct search_run *run)
{
    return &run->result;
}
