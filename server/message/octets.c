#include "assert.h"
#include "mem.h"
#include "section_priv.h"

#include <stdlib.h>

enum {
    CHUNK = 16 * 1024,       /* of content, decoded at a time */
    DECODED_MAX = 4 * CHUNK, /* what may come of it */
};

/*
 * A decoding that stands somewhere in a part: where the next partial begins there, it goes on.
 * What is decoded, but not taken yet, waits in `out`.
 */
struct decoding {
    const struct pn_part *part; /* NULL: none */
    struct pn_decoder decoder;
    struct pn_crlf_place place;
    struct pn_buf out;
    size_t taken; /* of out */
    uint64_t at;  /* in the decoded octets, of out.p[taken] */
    bool ended;
};

struct pn_reader {
    struct pn_str content;
    struct pn_message *m; /* NULL: nobody has asked for what is in it */
    struct pn_crlf crlf;
    struct decoding decoding;
    uint64_t *sizes; /* owned: of each part decoded, one more than that; 0: not known */
};

struct pn_reader *pn_reader_new(struct pn_str content)
{
    if (content.len >= UINT32_MAX)
        return NULL;
    struct pn_reader *r = pn_calloc(1, sizeof *r);
    r->content = content.p == NULL ? PN_STR("") : content;
    pn_crlf_init(&r->crlf, r->content);
    pn_buf_init(&r->decoding.out, DECODED_MAX);
    return r;
}

void pn_reader_free(struct pn_reader **reader)
{
    struct pn_reader *r = *reader;
    if (r == NULL)
        return;
    pn_message_free(&r->m);
    pn_crlf_fini(&r->crlf);
    pn_buf_fini(&r->decoding.out);
    free(r->sizes);
    free(r);
    *reader = NULL;
}

/* Whoever wants the whole, as a download does, has no use for its parse. */
struct pn_message *pn_reader_message(struct pn_reader *reader)
{
    if (reader->m == NULL)
        reader->m = pn_message_new(reader->content, NULL);
    return reader->m;
}

uint64_t pn_reader_size(struct pn_reader *reader)
{
    return pn_crlf_size(&reader->crlf, 0, reader->content.len);
}

/* ---- header fields: whole lines, some of them, and always an empty line */

static const struct pn_field *field_at(const struct pn_octets *o, size_t index)
{
    size_t count = 0;
    const struct pn_field *fields = pn_part_fields(o->reader->m, o->part, &count);
    return index < count ? &fields[index] : NULL;
}

static void set_lines(struct pn_octets *o, size_t from, size_t end)
{
    o->place = (struct pn_crlf_place){from, false};
    o->line_end = end;
    if (from != end)
        o->line_ended = o->reader->content.p[end - 1] == '\n';
}

static void lines_start(struct pn_octets *o)
{
    o->field = 0;
    o->tail = 0;
    o->in_tail = false;
    o->line_ended = true;
    set_lines(o, o->from, o->from);
}

/* Moves on to the next lines that are sent: [place.at, line_end). False: there are none. FIELDS
 * takes each field that is named; NOT all that lies between them, field or not. */
static bool next_lines(struct pn_octets *o)
{
    bool want_named = o->section->what == PN_SECTION_FIELDS;
    size_t from = o->line_end;
    for (const struct pn_field *f; (f = field_at(o, o->field)) != NULL; o->field++) {
        if (!pn_section_has_name(o->section, pn_field_name(o->reader->m, f)))
            continue;
        size_t begin = want_named ? f->at : from, end = want_named ? f->end + f->eol : f->at;
        from = f->end + f->eol;
        if (begin == end)
            continue;
        set_lines(o, begin, end);
        o->field += want_named;
        return true;
    }
    set_lines(o, from, want_named ? from : o->to);
    return o->line_end > from;
}

/* The empty line, and the end of the line before it where that lacks it. */
static const char tail_bytes[] = "\r\n\r\n";
enum { TAIL = 4 };

static void begin_tail(struct pn_octets *o)
{
    o->in_tail = true;
    o->tail = o->line_ended ? 2 : 0;
}

/* Passes `count` octets; returns how many there were, at most so many. */
static uint64_t lines_seek(struct pn_octets *o, uint64_t count)
{
    uint64_t passed = 0;
    lines_start(o);
    while (next_lines(o)) {
        uint64_t n = pn_crlf_size(&o->reader->crlf, o->place.at, o->line_end);
        if (n > count - passed) {
            o->place = pn_crlf_seek(&o->reader->crlf, o->place.at, count - passed);
            return count;
        }
        passed += n;
    }
    begin_tail(o);
    for (; passed < count && o->tail < TAIL; passed++)
        o->tail++;
    return passed;
}

static size_t lines_copy(struct pn_octets *o, char *to, size_t room)
{
    struct pn_str content = o->reader->content;
    size_t n = 0;
    while (n < room && !o->in_tail) {
        n += pn_crlf_copy(content, &o->place, o->line_end, (char)0x80, to + n, room - n);
        if (o->place.at == o->line_end && !next_lines(o))
            begin_tail(o);
    }
    while (n < room && o->in_tail && o->tail < TAIL)
        to[n++] = tail_bytes[o->tail++];
    return n;
}

/* ---- BINARY: the transfer encoding undone */

static void decoding_start(struct decoding *d, const struct pn_part *part)
{
    d->part = part;
    d->place = (struct pn_crlf_place){part->body, false};
    d->taken = 0;
    d->at = 0;
    d->ended = false;
    pn_buf_clear(&d->out);
    pn_decoder_init(&d->decoder, (enum pn_encoding)part->encoding);
}

/* Decodes the next piece. Line ends count in quoted-printable alone: there they become CRLF. */
static void decode_piece(struct pn_reader *r)
{
    struct decoding *d = &r->decoding;
    struct pn_str content = r->content, piece;
    size_t end = d->part->end;
    char text[CHUNK];
    if (d->place.at == end) {
        d->ended = true;
        (void)pn_decoder_end(&d->decoder, &d->out);
        return;
    }
    if (d->decoder.encoding == PN_ENCODING_QUOTED_PRINTABLE) {
        piece.p = text;
        piece.len = pn_crlf_copy(content, &d->place, end, '\0', text, sizeof text);
    } else {
        size_t from = d->place.at;
        d->place.at = end - from > CHUNK ? from + CHUNK : end;
        piece = pn_str_slice(content, from, d->place.at);
    }
    (void)pn_decoder_feed(&d->decoder, piece, &d->out);
}

/* What is decoded and not taken; empty at the end of the part. */
static struct pn_str decoded(struct pn_reader *r)
{
    struct decoding *d = &r->decoding;
    while (d->taken == d->out.len && !d->ended) {
        d->taken = 0;
        pn_buf_clear(&d->out);
        decode_piece(r);
    }
    return pn_str_slice(pn_buf_str(&d->out), d->taken, d->out.len);
}

static void take(struct pn_reader *r, size_t n)
{
    r->decoding.taken += n;
    r->decoding.at += n;
}

/* Goes to decoded octet `at` of part, or to its end; from where decoding stands if it can. */
static void decoding_seek(struct pn_reader *r, const struct pn_part *part, uint64_t at)
{
    struct decoding *d = &r->decoding;
    struct pn_str s;
    if (d->part != part || d->at > at)
        decoding_start(d, part);
    while (d->at < at && (s = decoded(r)).len != 0)
        take(r, s.len < at - d->at ? s.len : (size_t)(at - d->at));
}

/* Each part is decoded for it once, so that all sizes of a message cost one pass at most. */
static uint64_t decoded_size(struct pn_reader *r, const struct pn_part *part)
{
    if (r->sizes == NULL)
        r->sizes = pn_calloc(pn_message_parts(r->m), sizeof *r->sizes);
    uint64_t *size = &r->sizes[pn_part_index(r->m, part)];
    if (*size == 0) {
        decoding_seek(r, part, UINT64_MAX);
        *size = r->decoding.at + 1;
        r->decoding.part = NULL;
    }
    return *size - 1;
}

static size_t decoded_copy(struct pn_octets *o, char *to, size_t room)
{
    size_t n = 0;
    struct pn_str s;
    decoding_seek(o->reader, o->part, o->at);
    while (n < room && (s = decoded(o->reader)).len != 0) {
        size_t some = s.len < room - n ? s.len : room - n;
        memcpy(to + n, s.p, some);
        take(o->reader, some);
        n += some;
    }
    return n;
}

/* ---- all */

/* Where the lines of a header end: before its empty line. */
static size_t lines_end(const struct pn_message *m, const struct pn_part *part)
{
    struct pn_str content = pn_message_content(m);
    if (part->flags & PN_PART_HEADER_CUT || part->body == part->header)
        return part->body;
    return part->body -
           (part->body - part->header > 1 && content.p[part->body - 2] == '\r' ? 2 : 1);
}

static void set_range(struct pn_octets *o, size_t from, size_t to)
{
    o->kind = PN_OCTETS_RANGE;
    o->from = from;
    o->to = to;
    o->place = (struct pn_crlf_place){from, false};
    o->size = o->end = pn_crlf_size(&o->reader->crlf, from, to);
}

static void set_lines_of(struct pn_octets *o)
{
    o->kind = PN_OCTETS_LINES;
    o->from = o->part->header;
    o->to = lines_end(o->reader->m, o->part);
    o->size = o->end = lines_seek(o, UINT64_MAX);
    lines_start(o);
}

static void set_whole(struct pn_octets *o, const struct pn_section *section)
{
    if (section->depth == 0)
        set_range(o, 0, o->reader->content.len);
    else
        set_range(o, o->part->body, o->part->end);
}

enum pn_octets_status pn_octets_open(struct pn_reader *reader, const struct pn_section *section,
                                     struct pn_octets *out)
{
    struct section_place place = {.part = NULL};
    bool whole = section->what == PN_SECTION_ALL && section->depth == 0;
    if (!whole && !section_find(pn_reader_message(reader), section, &place))
        return PN_OCTETS_NONE;
    const struct pn_part *part = place.part;
    *out =
        (struct pn_octets){.reader = reader, .section = section, .part = part, .nul = (char)0x80};
    switch (section->what) {
    case PN_SECTION_ALL:
        set_whole(out, section);
        break;
    case PN_SECTION_HEADER:
        set_range(out, part->header, part->body);
        break;
    case PN_SECTION_MIME:
        if (place.made_up)
            return PN_OCTETS_NONE;
        set_range(out, part->header, part->body);
        break;
    case PN_SECTION_TEXT:
        set_range(out, part->body, part->end);
        break;
    case PN_SECTION_FIELDS:
    case PN_SECTION_FIELDS_NOT:
        set_lines_of(out);
        break;
    }
    return PN_OCTETS_OK;
}

/* Is a leaf, or the made-up part, in an encoding that is to be undone? */
static bool is_encoded(const struct pn_message *m, const struct section_place *place)
{
    bool multipart = pn_part_is(m, place->part, PN_STR("multipart"), PN_STR(""));
    return place->part->kind == PN_PART_LEAF && (place->made_up || !multipart) &&
           place->part->encoding > PN_ENCODING_BINARY;
}

enum pn_octets_status pn_octets_open_binary(struct pn_reader *reader,
                                            const struct pn_section *section, struct pn_octets *out)
{
    struct section_place place;
    if (!section_find(pn_reader_message(reader), section, &place))
        return PN_OCTETS_NONE;
    *out = (struct pn_octets){.reader = reader, .section = section, .part = place.part};
    if (section->depth == 0 || !is_encoded(reader->m, &place)) {
        set_whole(out, section);
        return PN_OCTETS_OK;
    }
    if (place.part->encoding == PN_ENCODING_UNKNOWN)
        return PN_OCTETS_UNKNOWN_CTE;
    out->kind = PN_OCTETS_DECODED;
    out->size = out->end = decoded_size(reader, place.part);
    return PN_OCTETS_OK;
}

void pn_octets_partial(struct pn_octets *o, uint64_t offset, uint64_t count)
{
    o->at = offset < o->size ? offset : o->size;
    o->end = count < o->size - o->at ? o->at + count : o->size;
    if (o->kind == PN_OCTETS_RANGE)
        o->place = pn_crlf_seek(&o->reader->crlf, o->from, o->at);
    else if (o->kind == PN_OCTETS_LINES)
        (void)lines_seek(o, o->at);
}

bool pn_octets_read(struct pn_octets *o, size_t max, struct pn_buf *out)
{
    size_t n = pn_octets_left(o) < max ? (size_t)pn_octets_left(o) : max;
    char *to = n == 0 ? NULL : pn_buf_reserve(out, n);
    if (to == NULL)
        return n == 0;
    struct pn_str content = o->reader->content;
    size_t got = o->kind == PN_OCTETS_LINES ? lines_copy(o, to, n)
                 : o->kind == PN_OCTETS_DECODED
                     ? decoded_copy(o, to, n)
                     : pn_crlf_copy(content, &o->place, o->to, o->nul, to, n);
    pn_assert(got == n);
    out->len += got;
    o->at += got;
    return true;
}
