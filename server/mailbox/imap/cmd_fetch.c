/*
 * FETCH: answers message after message, in the order of the mailbox. What memory has is written
 * at once; envelopes and structures come from the index in long strides; content is read
 * message by message, and a large section goes out in slices, with its message held open.
 */
#include "fetch.h"
#include "mem.h"
#include "structure.h"

#include <stdlib.h>

enum {
    READ_MAX = 64 * 1024 * 1024, /* bytes of content that a slice opens: BINARY.SIZE says little */
    SEEN_STRIDE = 50,            /* messages that become \Seen with one sync */
    SECTION_STEP = 128 * 1024,   /* octets read at a time */
    CACHED_MAX = 4 * 1024 * 1024 /* bytes of one structure that are shown */
};

struct fetch {
    struct fetch_wants wants;
    struct pn_str set;           /* as it was said: */
    struct pn_uidset uids;       /* what is wanted */
    size_t range;                /* of uids, at hand */
    uint32_t next;               /* UID: nothing below it is left to answer */
    struct pn_uidset seen;       /* became so by this command: FLAGS are told */
    uint32_t seen_to;            /* UIDs up to it were looked at for that */
    struct pn_uidset downgraded; /* of them surrogates were shown (RFC 6858, section 3) */
    bool gone, unknown_cte, failed;
    bool started;
    /* The message whose sections are on their way. */
    struct pn_reader *reader; /* owned; NULL: none is */
    uint32_t uid;
    struct pn_content content;
    const struct fetch_section *section;
    struct pn_octets octets;
    bool octets_open, blank;
    size_t read; /* bytes of content that this slice opened */
};

static void close_message(struct fetch *f)
{
    if (f->reader == NULL)
        return;
    pn_reader_free(&f->reader);
    pn_content_done(&f->content);
    f->octets_open = false;
}

static void fetch_free(void *work)
{
    struct fetch *f = work;
    close_message(f);
    pn_uidset_fini(&f->uids);
    pn_uidset_fini(&f->seen);
    pn_uidset_fini(&f->downgraded);
    free(f);
}

/* ---- what memory has ---- */

static void word(struct fetch *f, struct pn_buf *out, const char *name)
{
    if (f->blank)
        (void)pn_buf_addc(out, ' ');
    f->blank = true;
    (void)pn_buf_addz(out, name);
}

/* With a size that is told; of the others wanted behind it some are counted along. */
static void look_at_mail(const struct imap *imap, const struct fetch *f, uint32_t seq,
                         struct pn_mail *mail)
{
    uint32_t last = seq;
    if ((f->wants.items & FETCH_SIZE) == 0) {
        pn_view_mail(imap->view, seq, mail);
        return;
    }
    if (f->range < f->uids.count && f->uids.v[f->range].last < UINT32_MAX)
        last = pn_view_floor(imap->view, f->uids.v[f->range].last + 1) - 1;
    else if (f->range < f->uids.count)
        last = pn_view_count(imap->view);
    pn_view_mail_sized(imap->view, seq, last, mail);
}

/* A thing of the past, mostly, and good to know for people only: not all of very many. */
static void note_downgraded(struct fetch *f, uint32_t uid)
{
    enum { RANGES = 100 };
    if (f->downgraded.count < RANGES &&
        ((f->wants.items & (FETCH_ENVELOPE | FETCH_BODY | FETCH_STRUCTURE)) != 0 ||
         f->wants.sections != NULL))
        (void)pn_uidset_add(&f->downgraded, uid, uid);
}

static void begin_line(struct imap *imap, struct fetch *f, uint32_t seq, struct pn_buf *out)
{
    unsigned items = f->wants.items;
    struct pn_mail mail;
    look_at_mail(imap, f, seq, &mail);
    if (mail.downgraded)
        note_downgraded(f, mail.uid);
    if (pn_uidset_has(&f->seen, mail.uid))
        items |= FETCH_FLAGS | (imap->condstore ? (unsigned)FETCH_MODSEQ : 0);
    if ((items & FETCH_FLAGS) != 0 && pn_view_keywords(imap->view) != imap->keywords_told)
        imap_put_known_flags(imap, out);
    (void)pn_buf_add(out, "* ", 2);
    imap_put_number(out, seq);
    (void)pn_buf_add(out, " FETCH (", 8);
    f->blank = false;
    if ((items & FETCH_UID) != 0) {
        word(f, out, "UID ");
        imap_put_number(out, mail.uid);
    }
    if ((items & FETCH_FLAGS) != 0) {
        word(f, out, "FLAGS ");
        imap_put_flags(imap, out, mail.flags);
    }
    if ((items & FETCH_DATE) != 0) {
        word(f, out, "INTERNALDATE ");
        imap_put_date(out, mail.date);
    }
    if ((items & FETCH_SIZE) != 0) {
        word(f, out, "RFC822.SIZE ");
        imap_put_number(out, mail.size);
    }
    if ((items & FETCH_MODSEQ) != 0) {
        word(f, out, "MODSEQ (");
        imap_put_number(out, mail.modseq);
        (void)pn_buf_addc(out, ')');
    }
}

static void end_line(struct pn_buf *out)
{
    (void)pn_buf_add(out, ")\r\n", 3);
}

/* ---- sections ---- */

static enum pn_octets_status open_octets(struct fetch *f)
{
    if (f->section->kind == FETCH_OCTETS)
        return pn_octets_open(f->reader, &f->section->section, &f->octets);
    return pn_octets_open_binary(f->reader, &f->section->section, &f->octets);
}

/* The name, and the literal's head; or all there is to say. */
static void begin_section(struct fetch *f, struct pn_buf *out)
{
    enum pn_octets_status status = open_octets(f);
    word(f, out, "");
    fetch_put_name(f->section, out);
    (void)pn_buf_addc(out, ' ');
    if (status == PN_OCTETS_UNKNOWN_CTE)
        f->unknown_cte = true;
    if (f->section->kind == FETCH_BINARY_SIZE) {
        imap_put_number(out, status == PN_OCTETS_OK ? f->octets.size : 0);
        return;
    }
    if (status != PN_OCTETS_OK) {
        (void)pn_buf_addz(out, "NIL");
        return;
    }
    if (f->section->partial)
        pn_octets_partial(&f->octets, f->section->offset, f->section->count);
    (void)pn_buf_addz(out, f->section->kind == FETCH_BINARY ? "~{" : "{");
    imap_put_number(out, pn_octets_left(&f->octets));
    (void)pn_buf_addz(out, "}\r\n");
    f->octets_open = true;
}

/* ---- what the index has ---- */

/* Fields out of those that the index keeps, as if they were a message. */
static void put_header(struct fetch *f, struct pn_str header, struct pn_buf *out)
{
    f->reader = pn_reader_new(header);
    for (f->section = f->wants.sections; f->section != NULL; f->section = f->section->next) {
        begin_section(f, out);
        if (f->octets_open)
            (void)pn_octets_read(&f->octets, SIZE_MAX, out);
        f->octets_open = false;
    }
    pn_reader_free(&f->reader);
}

struct stride {
    struct imap *imap;
    struct fetch *f;
    struct pn_buf *out;
    bool line; /* each is a line of its own, which ends here */
    bool whole;
    bool header_lacks; /* the index keeps no header of the message it stopped at */
};

static void put_cached(struct fetch *f, const struct pn_cached *cached, struct pn_buf *out)
{
    if ((f->wants.items & FETCH_ENVELOPE) != 0) {
        word(f, out, "ENVELOPE ");
        (void)pn_buf_adds(out, cached->envelope);
    }
    /* Beyond reason, and beyond what one run may bring: told as what can't be opened. */
    bool huge = cached->structure.len > CACHED_MAX;
    static const char text[] = "(\"APPLICATION\" \"OCTET-STREAM\" NIL NIL NIL \"BINARY\" 0)";
    if ((f->wants.items & FETCH_BODY) != 0) {
        word(f, out, "BODY ");
        if (huge || !pn_structure_cut(cached->structure, out))
            (void)pn_buf_addz(out, text);
    }
    if ((f->wants.items & FETCH_STRUCTURE) != 0) {
        word(f, out, "BODYSTRUCTURE ");
        if (huge)
            (void)pn_buf_addz(out, text);
        else
            (void)pn_buf_adds(out, cached->structure);
    }
}

static bool on_cached(void *ctx, const struct pn_cached *cached)
{
    struct stride *s = ctx;
    s->whole = cached->whole;
    if (!cached->whole) {
        s->f->gone = true;
        return true;
    }
    s->header_lacks = s->line && s->f->wants.header && cached->header.len == 0;
    if (s->header_lacks)
        return false;
    if (s->line)
        begin_line(s->imap, s->f, cached->seq, s->out);
    put_cached(s->f, cached, s->out);
    if (s->line && s->f->wants.header)
        put_header(s->f, cached->header, s->out);
    if (s->line)
        end_line(s->out);
    return s->out->len <= PN_ENGINE_OUT;
}

static unsigned cached_wants(const struct fetch *f)
{
    unsigned items = f->wants.items;
    return ((items & FETCH_ENVELOPE) != 0 ? (unsigned)PN_CACHED_ENVELOPE : 0) |
           ((items & (FETCH_BODY | FETCH_STRUCTURE)) != 0 ? (unsigned)PN_CACHED_STRUCTURE : 0) |
           (f->wants.header ? (unsigned)PN_CACHED_HEADER : 0);
}

static unsigned shown_wants(const struct fetch *f)
{
    return cached_wants(f) | PN_CACHED_SHOWN;
}

/* ---- what content has ---- */

/* False: there is no message to read. */
static bool open_content(struct imap *imap, struct fetch *f, uint32_t seq)
{
    if (fetch_kept(imap, pn_view_uid(imap->view, seq), &f->reader, &f->content))
        return true;
    switch (pn_view_show(imap->view, seq, &f->content)) {
    case PN_READ_EXPUNGED:
        f->gone = true;
        return false;
    case PN_READ_ERROR:
        f->failed = true;
        return false;
    case PN_READ_OK:
        break;
    }
    f->reader = pn_reader_new(f->content.bytes);
    if (f->reader == NULL) {
        pn_content_done(&f->content);
        f->failed = true;
    }
    return f->reader != NULL;
}

/* False: there is no message to answer with. */
static bool open_message(struct imap *imap, struct fetch *f, uint32_t seq, struct pn_buf *out)
{
    if (!open_content(imap, f, seq))
        return false;
    f->uid = pn_view_uid(imap->view, seq);
    f->section = f->wants.sections;
    f->read += f->content.bytes.len;
    size_t line = out->len;
    begin_line(imap, f, seq, out);
    struct stride s = {.imap = imap, .f = f, .out = out, .whole = true};
    if (cached_wants(f) != 0)
        (void)pn_view_cached(imap->view, seq, seq, shown_wants(f), on_cached, &s);
    if (s.whole)
        return true;
    out->len = line;
    close_message(f);
    return false;
}

/* False: out is full, and the message not at its end. */
static bool go_on(struct imap *imap, struct fetch *f, struct pn_buf *out)
{
    while (f->section != NULL) {
        if (!f->octets_open)
            begin_section(f, out);
        while (f->octets_open && pn_octets_left(&f->octets) > 0) {
            if (out->len > PN_ENGINE_OUT)
                return false;
            (void)pn_octets_read(&f->octets, SECTION_STEP, out);
            if (out->overflow)
                return false;
        }
        f->octets_open = false;
        f->section = f->section->next;
    }
    end_line(out);
    if (!fetch_keep(imap, &f->wants, f->uid, &f->reader, &f->content))
        close_message(f);
    return true;
}

/* ---- \Seen ---- */

/* A stride at a time becomes \Seen before it is sent, and says so in its answers. */
static enum pn_store_status mark_seen(struct imap *imap, struct fetch *f, uint32_t seq)
{
    struct pn_mail mail;
    size_t n = 0;
    pn_uidset_clear(&f->seen);
    for (; n < SEEN_STRIDE && seq <= pn_view_count(imap->view); seq++) {
        pn_view_mail(imap->view, seq, &mail);
        f->seen_to = mail.uid;
        if (!pn_uidset_has(&f->uids, mail.uid) || mail.gone)
            continue;
        n++;
        if ((mail.flags.system & PN_SEEN) == 0)
            (void)pn_uidset_add(&f->seen, mail.uid, mail.uid);
    }
    if (f->seen.count == 0)
        return PN_STORE_OK;
    struct pn_uidset none; /* there is no condition to fail */
    pn_uidset_init(&none, 1);
    enum pn_store_status status =
        pn_view_store(imap->view, &f->seen, PN_FLAGS_ADD, (struct pn_flags){.system = PN_SEEN},
                      UINT64_MAX, &none);
    pn_uidset_fini(&none);
    return status;
}

/* ---- message after message ---- */

/* The number of the next message to answer; 0 at the end. *last: those up to it are wanted, too. */
static uint32_t next_message(struct imap *imap, struct fetch *f, uint32_t *last)
{
    for (; f->range < f->uids.count; f->range++) {
        const struct pn_uidrange *r = &f->uids.v[f->range];
        uint32_t first = r->first > f->next ? r->first : f->next;
        uint32_t seq = pn_view_floor(imap->view, first);
        if (first > r->last || seq > pn_view_count(imap->view) ||
            pn_view_uid(imap->view, seq) > r->last)
            continue;
        *last = r->last == UINT32_MAX ? pn_view_count(imap->view)
                                      : pn_view_floor(imap->view, r->last + 1) - 1;
        return seq;
    }
    return 0;
}

static void done_to(struct imap *imap, struct fetch *f, uint32_t seq)
{
    uint32_t uid = pn_view_uid(imap->view, seq);
    if (uid == UINT32_MAX)
        f->range = f->uids.count;
    else
        f->next = uid + 1;
}

static void from_memory(struct imap *imap, struct fetch *f, uint32_t seq, uint32_t last,
                        struct pn_buf *out)
{
    for (; seq <= last && out->len <= PN_ENGINE_OUT; seq++) {
        begin_line(imap, f, seq, out);
        end_line(out);
        done_to(imap, f, seq);
    }
}

/* False: the store can't mark \Seen. */
static bool from_content(struct imap *imap, struct fetch *f, uint32_t seq, struct pn_buf *out)
{
    uint32_t uid = pn_view_uid(imap->view, seq);
    if (f->wants.sees && uid > f->seen_to && mark_seen(imap, f, seq) != PN_STORE_OK)
        return false;
    done_to(imap, f, seq);
    if (open_message(imap, f, seq, out))
        (void)go_on(imap, f, out);
    return true;
}

static bool from_index(struct imap *imap, struct fetch *f, uint32_t seq, uint32_t last,
                       struct pn_buf *out)
{
    struct stride s = {.imap = imap, .f = f, .out = out, .line = true};
    uint32_t stopped = pn_view_cached(imap->view, seq, last, shown_wants(f), on_cached, &s);
    if (!s.header_lacks) {
        done_to(imap, f, stopped <= last ? stopped : last);
        return true;
    }
    if (stopped > seq)
        done_to(imap, f, stopped - 1);
    return from_content(imap, f, stopped, out);
}

static void tell_downgraded(struct imap_command *command, const struct fetch *f)
{
    (void)imap_ok(command, "[DOWNGRADED ");
    (void)pn_uidset_print(&f->downgraded, &command->reply);
    (void)pn_buf_addf(&command->reply, "] %sFETCH completed", command->uid ? "UID " : "");
}

static enum imap_result slice(struct imap *imap, struct imap_command *command, struct fetch *f)
{
    uint32_t seq, last = 0;
    f->read = 0;
    if (f->reader != NULL && !go_on(imap, f, command->out))
        return IMAP_AGAIN;
    while ((seq = next_message(imap, f, &last)) != 0) {
        if (imap_full(command) || f->read > READ_MAX)
            return IMAP_AGAIN;
        bool ok = true;
        if (f->wants.sections != NULL && !f->wants.header)
            ok = from_content(imap, f, seq, command->out);
        else if (cached_wants(f) != 0)
            ok = from_index(imap, f, seq, last, command->out);
        else
            from_memory(imap, f, seq, last, command->out);
        if (!ok)
            return imap_no(command, "[UNAVAILABLE] The store failed; try again later");
        if (f->reader != NULL)
            return IMAP_AGAIN;
    }
    if (f->unknown_cte)
        return imap_no(command, "[UNKNOWN-CTE] Some parts can't be decoded");
    if (f->failed)
        return imap_no(command, "[UNAVAILABLE] Some messages could not be read");
    if (f->gone)
        return imap_no(command, "[EXPUNGEISSUED] Some of the messages are gone");
    if (f->downgraded.count > 0)
        tell_downgraded(command, f);
    return IMAP_DONE;
}

/* ---- the beginning ---- */

/* The last message may be among those that vanished: for them `*` is the last UID there was. */
static void tell_vanished(struct imap *imap, struct imap_command *command, const struct fetch *f)
{
    struct pn_uidset which, found;
    pn_uidset_init(&which, PN_UIDSET_MAX);
    pn_uidset_init(&found, PN_UIDSET_MAX);
    if (pn_str_find(f->set, '*', 0) != SIZE_MAX)
        (void)pn_uidset_parse(&which, f->set, UINT32_MAX);
    (void)pn_uidset_add_set(&which, &f->uids);
    pn_view_vanished_since(imap->view, f->wants.changed_since, &which, &found);
    imap_put_vanished(command->out, &found);
    pn_uidset_fini(&found);
    pn_uidset_fini(&which);
}

/* Of the set only those that changed; those that vanished are told here. */
static void narrow(struct imap *imap, struct imap_command *command, struct fetch *f)
{
    struct pn_uidset found;
    pn_uidset_init(&found, PN_UIDSET_MAX);
    if (f->wants.vanished)
        tell_vanished(imap, command, f);
    pn_view_changed_since(imap->view, f->wants.changed_since, &found);
    (void)pn_uidset_intersect(&f->uids, &found);
    pn_uidset_fini(&found);
}

static bool read_args(struct imap *imap, struct imap_command *command, struct fetch *f)
{
    return pn_imap_set(&command->args, &f->set) && imap_set(imap, f->set, command->uid, &f->uids) &&
           pn_imap_sp(&command->args) && fetch_read(command, &f->wants) &&
           (!f->wants.vanished || (command->uid && imap->qresync && f->wants.has_changed_since));
}

bool fetch_within(const struct imap_command *command)
{
    const struct fetch *f = command->row->run == imap_fetch ? command->work : NULL;
    return f != NULL && f->reader != NULL;
}

enum imap_result imap_fetch(struct imap *imap, struct imap_command *command)
{
    struct pn_view_info info;
    struct fetch *f = command->work;
    if (f != NULL)
        return slice(imap, command, f);
    f = command->work = pn_calloc(1, sizeof *f);
    command->work_free = fetch_free;
    pn_uidset_init(&f->seen, PN_UIDSET_MAX);
    pn_uidset_init(&f->downgraded, PN_UIDSET_MAX);
    if (!read_args(imap, command, f))
        return IMAP_SYNTAX;
    if (command->uid)
        f->wants.items |= FETCH_UID;
    if (f->wants.has_changed_since)
        f->wants.items |= FETCH_MODSEQ;
    if ((f->wants.items & FETCH_MODSEQ) != 0)
        imap_condstore_on(imap, command->out);
    pn_view_info(imap->view, &info);
    f->wants.sees = f->wants.sees && !info.read_only;
    if (f->wants.has_changed_since)
        narrow(imap, command, f);
    return slice(imap, command, f);
}
