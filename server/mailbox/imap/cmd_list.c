/* LIST (RFC 9051, section 6.3.9; RFC 5258, 5819, 6154, 8438) and LSUB (RFC 3501, section 6.3.9). */
#include "imap_status.h"
#include "list_select.h"

#include "clock.h"
#include "mem.h"

#include <stdlib.h>

enum {
    LIST_POOL = 32 * 1024 * 1024, /* ten thousand folders, and some patterns */
    PATTERNS_MAX = 64,
    CHOOSE_MS = 50,   /* of a run, for patterns */
    STATUS_SLICE = 50 /* folders looked at in one run */
};

enum { RETURN_SUBSCRIBED = 1, RETURN_CHILDREN = 2, RETURN_SPECIAL_USE = 4, RETURN_STATUS = 8 };

struct work {
    struct pn_pool *pool;
    struct list_ask ask;
    bool extended; /* in the form of RFC 5258, or the client knows IMAP4rev2 */
    unsigned returns, items;
    struct pn_str reference;
    struct pn_folder_list folders;
    struct list_choice choice;
    bool chosen;
    size_t next; /* row */
};

static void work_free(void *ctx)
{
    struct work *w = ctx;
    pn_pool_free(&w->pool);
    free(w);
}

/* ---- arguments ---- */

/* One word of a table, as a bit; 0: none of them. */
struct option {
    const char *word;
    unsigned bit;
};

static unsigned option(struct pn_imap_args *args, const struct option *table)
{
    struct pn_str word;
    if (pn_imap_atom_to(args, ")", &word))
        for (; table->word != NULL; table++)
            if (pn_str_ieq(word, pn_str_of(table->word)))
                return table->bit;
    return 0;
}

static bool select_options(struct pn_imap_args *args, unsigned *select)
{
    static const struct option table[] = {{"SUBSCRIBED", LIST_SUBSCRIBED},
                                          {"SPECIAL-USE", LIST_SPECIAL_USE},
                                          {"RECURSIVEMATCH", LIST_RECURSIVE},
                                          {"REMOTE", LIST_REMOTE},
                                          {NULL, 0}};
    if (pn_imap_char(args, ')'))
        return true;
    do {
        unsigned bit = option(args, table);
        if (bit == 0)
            return false;
        *select |= bit;
    } while (pn_imap_sp(args));
    /* RECURSIVEMATCH says how others are meant. */
    return pn_imap_char(args, ')') && ((*select & LIST_RECURSIVE) == 0 ||
                                       (*select & (LIST_SUBSCRIBED | LIST_SPECIAL_USE)) != 0);
}

static bool return_options(struct pn_imap_args *args, struct work *w)
{
    static const struct option table[] = {{"SUBSCRIBED", RETURN_SUBSCRIBED},
                                          {"CHILDREN", RETURN_CHILDREN},
                                          {"SPECIAL-USE", RETURN_SPECIAL_USE},
                                          {"STATUS", RETURN_STATUS},
                                          {NULL, 0}};
    if (!pn_imap_sp(args) || !pn_imap_word(args, "RETURN") || !pn_imap_sp(args) ||
        !pn_imap_char(args, '('))
        return false;
    if (pn_imap_char(args, ')'))
        return true;
    do {
        unsigned bit = option(args, table);
        if (bit == 0 ||
            (bit == RETURN_STATUS && (!pn_imap_sp(args) || !imap_status_items(args, &w->items))))
            return false;
        w->returns |= bit;
    } while (pn_imap_sp(args));
    return pn_imap_char(args, ')');
}

/* NULL where it is malformed, or the pool's limit. */
static struct list_pattern *one_pattern(struct imap *imap, struct imap_command *c, struct work *w,
                                        bool *empty)
{
    struct pn_str raw, name;
    if (!pn_imap_list_mailbox(&c->args, &raw))
        return NULL;
    *empty = raw.len == 0;
    if (!imap_mailbox_decode(imap, c, raw, &name))
        return NULL;
    return list_pattern_new(w->pool, w->reference, *empty ? PN_STR("") : name);
}

static bool patterns(struct imap *imap, struct imap_command *c, struct work *w, bool *root)
{
    bool many = pn_imap_char(&c->args, '('), empty = false;
    w->ask.patterns = pn_pool_alloc(w->pool, PATTERNS_MAX * sizeof *w->ask.patterns);
    do {
        if (w->ask.pattern_count == PATTERNS_MAX)
            return false;
        struct list_pattern *p = one_pattern(imap, c, w, &empty);
        if (p == NULL)
            return false;
        w->ask.patterns[w->ask.pattern_count++] = p;
    } while (many && pn_imap_sp(&c->args));
    w->extended = w->extended || many;
    *root = empty && !many;
    return !many || pn_imap_char(&c->args, ')');
}

static bool parse(struct imap *imap, struct imap_command *c, struct work *w, bool *root)
{
    struct pn_str raw;
    if (!w->ask.lsub && pn_imap_char(&c->args, '(')) {
        w->extended = true;
        if (!select_options(&c->args, &w->ask.select) || !pn_imap_sp(&c->args))
            return false;
    }
    if (!pn_imap_astring(&c->args, &raw) || !pn_imap_sp(&c->args) ||
        !imap_mailbox_decode(imap, c, raw, &w->reference))
        return false;
    if (raw.len == 0)
        w->reference = PN_STR("");
    if (!patterns(imap, c, w, root))
        return false;
    if (!w->ask.lsub && !pn_imap_end(&c->args)) {
        w->extended = true;
        if (!return_options(&c->args, w))
            return false;
    }
    *root = *root && !w->extended && !w->ask.lsub;
    w->extended = w->extended || imap->rev2;
    return pn_imap_end(&c->args);
}

/* ---- the answer ---- */

static void put_flag(struct pn_buf *out, bool *first, const char *flag)
{
    (void)pn_buf_addf(out, "%s%s", *first ? "" : " ", flag);
    *first = false;
}

/* Neither \Marked nor \Unmarked: nothing keeps when a folder was selected last, so that what came
 * since is not known, and then neither should be told (RFC 9051, section 7.3.1). */
static void put_flags(const struct work *w, const struct list_row *row, struct pn_buf *out)
{
    const struct pn_folder_entry *e = row->entry;
    bool first = true;
    if (w->ask.lsub) { /* only that it is, or is not, subscribed itself */
        if (row->below)
            put_flag(out, &first, "\\Noselect");
        return;
    }
    if (!e->exists)
        put_flag(out, &first, w->extended ? "\\NonExistent" : "\\Noselect");
    put_flag(out, &first, e->children ? "\\HasChildren" : "\\HasNoChildren");
    if (e->subscribed &&
        ((w->ask.select & LIST_SUBSCRIBED) != 0 || (w->returns & RETURN_SUBSCRIBED) != 0))
        put_flag(out, &first, "\\Subscribed");
    if (e->use != PN_USE_NONE)
        put_flag(out, &first, pn_special_use_name(e->use));
}

static void put_row(const struct imap *imap, const struct work *w, const struct list_row *row,
                    struct pn_buf *out)
{
    (void)pn_buf_addf(out, "* %s (", w->ask.lsub ? "LSUB" : "LIST");
    put_flags(w, row, out);
    (void)pn_buf_addz(out, ") \"/\" ");
    imap_put_mailbox(imap, out, row->entry->name);
    if (!w->ask.lsub && row->below) {
        bool first = true;
        (void)pn_buf_addz(out, " (\"CHILDINFO\" (");
        if ((w->ask.select & LIST_SUBSCRIBED) != 0)
            put_flag(out, &first, "\"SUBSCRIBED\"");
        if ((w->ask.select & LIST_SPECIAL_USE) != 0)
            put_flag(out, &first, "\"SPECIAL-USE\"");
        (void)pn_buf_addz(out, "))");
    }
    (void)pn_buf_addz(out, "\r\n");
}

static enum imap_result answer(struct imap *imap, struct imap_command *c, struct work *w)
{
    unsigned looked_at = 0;
    uint64_t deadline = pn_clock_mono_ns() + CHOOSE_MS * PN_NS_PER_MS;
    w->chosen = w->chosen || list_choose(&w->choice, deadline);
    if (!w->chosen)
        return IMAP_AGAIN;
    while (w->next < w->choice.rows.count) {
        const struct list_row *row = &w->choice.rows.v[w->next];
        struct pn_folder_status status;
        if (imap_full(c) || looked_at == STATUS_SLICE)
            return IMAP_AGAIN;
        put_row(imap, w, row, c->out);
        if ((w->returns & RETURN_STATUS) != 0 && row->entry->exists) {
            looked_at++;
            if (pn_folder_status(imap->user, row->entry->name, &status) == PN_STORE_OK)
                imap_put_status(imap, c->out, row->entry->name, w->items, &status);
        }
        w->next++;
    }
    return IMAP_DONE;
}

static enum imap_result begin(struct imap *imap, struct imap_command *c, bool lsub)
{
    struct work *w = pn_calloc(1, sizeof *w);
    bool root = false;
    w->pool = pn_pool_new(LIST_POOL);
    w->ask.lsub = lsub;
    c->work = w;
    c->work_free = work_free;
    if (!parse(imap, c, w, &root))
        return IMAP_SYNTAX;
    if (root) { /* what separates levels is asked for */
        (void)pn_buf_addz(c->out, "* LIST (\\Noselect) \"/\" \"\"\r\n");
        return IMAP_DONE;
    }
    if (imap_status_wants_modseq(w->items))
        imap_condstore_on(imap, c->out);
    enum pn_store_status status = pn_folders_list(imap->user, w->pool, &w->folders);
    if (status == PN_STORE_OK && !list_choice_init(&w->choice, &w->folders, &w->ask, w->pool))
        status = PN_STORE_LIMIT;
    return status == PN_STORE_OK ? answer(imap, c, w) : imap_said(c, status, false);
}

enum imap_result imap_list(struct imap *imap, struct imap_command *command)
{
    return command->work == NULL ? begin(imap, command, false)
                                 : answer(imap, command, command->work);
}

enum imap_result imap_lsub(struct imap *imap, struct imap_command *command)
{
    return command->work == NULL ? begin(imap, command, true)
                                 : answer(imap, command, command->work);
}
