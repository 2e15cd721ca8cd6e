#include "mem.h"
#include "text_file.h"

#include <stdlib.h>

enum {
    BURST = 16 * TEXT_BLOCK,
    LOOK_MAX = 24, /* trigrams whose lists are measured */
    READ_MAX = 8,  /* lists that are read */
    FEW_BLOCKS = 2
};

/* One shelf of one file, looked through for one key. */
struct look {
    struct text_file *file;
    const struct text_shelf *shelf;
    int index; /* of the shelf */
    const struct pn_words_key *key;
    struct pn_needle needle; /* of key->text, for the match within a message */
    struct pn_needle search; /* what is looked for in the text of all */
    uint8_t *hit;            /* a message each */
    uint8_t *blocks;         /* owned: 1 where a match may begin */
    size_t block_count;
    uint32_t doc; /* where the last match was: the next one is not before it */
};

/* ---- which blocks */

struct list {
    uint32_t at, len;
};

static int shorter(const void *a, const void *b)
{
    uint32_t x = ((const struct list *)a)->len, y = ((const struct list *)b)->len;
    return x < y ? -1 : x > y;
}

/* Where the list of one trigram is. */
static bool list_of(struct look *look, size_t offset, struct list *out)
{
    const char *p = look->search.bytes.p + offset;
    uint32_t trigram = text_trigram(text_trigram(text_trigram(0, p[0]), p[1]), p[2]), pair[2];
    uint32_t slot = text_slot(trigram, (unsigned)look->shelf->bits);
    struct pn_str bytes;
    if (!text_read(look->file, look->shelf->dict_at + (uint64_t)slot * 4, sizeof pair, &bytes))
        return false;
    memcpy(pair, bytes.p, sizeof pair);
    if (pair[0] > pair[1] || pair[1] > look->shelf->postings_len)
        return false;
    *out = (struct list){pair[0], pair[1] - pair[0]};
    return true;
}

/* Keeps of the blocks those whose bit is set. */
static void keep_mapped(struct look *look, struct pn_str map, size_t *left)
{
    *left = 0;
    for (size_t b = 0; b < look->block_count; b++) {
        look->blocks[b] &= (uint8_t)((unsigned char)map.p[b / 8] >> b % 8 & 1);
        *left += look->blocks[b];
    }
}

/* Keeps of the blocks those in a list. */
static bool keep_listed(struct look *look, const struct list *list, size_t *left)
{
    struct pn_str bytes;
    size_t block = 0, before = 0;
    if (!text_read(look->file, look->shelf->postings_at + list->at, list->len, &bytes))
        return false;
    if (bytes.len == text_map_len(look->block_count)) {
        keep_mapped(look, bytes, left);
        return true;
    }
    *left = 0;
    for (size_t i = 0; i < bytes.len;) {
        uint32_t n = 0;
        for (unsigned shift = 0; shift < 32 && i < bytes.len; shift += 7) {
            n |= (uint32_t)(bytes.p[i] & 127) << shift;
            if (((unsigned char)bytes.p[i++] & 128) == 0)
                break;
        }
        block += n;
        if (n == 0 || block > look->block_count)
            return false;
        memset(look->blocks + before, 0, block - 1 - before);
        *left += look->blocks[block - 1];
        before = block;
    }
    memset(look->blocks + before, 0, look->block_count - before);
    return true;
}

static bool choose_blocks(struct look *look)
{
    struct list lists[LOOK_MAX];
    struct pn_str needle = look->search.bytes;
    size_t trigrams = needle.len < 3 ? 0 : needle.len - 2, count = 0, left = look->block_count;
    memset(look->blocks, 1, look->block_count);
    if (look->shelf->bits == 0 || trigrams == 0)
        return true;
    trigrams = trigrams > TEXT_OVER ? TEXT_OVER : trigrams;
    size_t step = (trigrams + LOOK_MAX - 1) / LOOK_MAX;
    for (size_t i = 0; i < trigrams; i += step)
        if (!list_of(look, i, &lists[count++]))
            return false;
    qsort(lists, count, sizeof *lists, shorter);
    for (size_t i = 0; i < count && i < READ_MAX && left > FEW_BLOCKS; i++)
        if (!keep_listed(look, &lists[i], &left))
            return false;
    return true;
}

/* ---- which messages */

static uint32_t doc_begin(const struct look *look, uint32_t doc)
{
    return doc == 0 ? 0 : look->file->docs[doc - 1].end[look->index];
}

/* The message that has text offset at; it is not before look->doc. */
static uint32_t doc_at(const struct look *look, uint64_t at)
{
    uint32_t low = look->doc, high = look->file->h.docs;
    for (uint32_t step = 1; low + step < high; step *= 2)
        if (look->file->docs[low + step].end[look->index] > at)
            high = low + step + 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (look->file->docs[middle].end[look->index] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Is the field there in that message? */
static bool doc_match(struct look *look, uint32_t doc, bool *ok)
{
    uint64_t from = doc_begin(look, doc), to = look->file->docs[doc].end[look->index] - 1;
    struct pn_str text;
    *ok = text_read(look->file, look->shelf->text_at + from, (size_t)(to - from), &text);
    return *ok &&
           pn_words_key_match(look->key, &look->needle, (enum pn_words_shelf)look->index, text);
}

/* Looks for matches that begin in [from, to) of the text, which goes on behind it. Returns where to
 * go on: behind the message of the last match, or at to. */
static uint64_t look_through(struct look *look, struct pn_str text, uint64_t from, uint64_t to,
                             bool *ok)
{
    uint64_t at = from;
    while (at < to && *ok) {
        size_t found = pn_needle_find(&look->search, text, (size_t)(at - from));
        if (found == SIZE_MAX || from + found >= to)
            return to;
        uint32_t doc = look->doc = doc_at(look, from + found);
        if (!look->hit[doc])
            look->hit[doc] = look->key->where != PN_WORDS_IN_FIELD || doc_match(look, doc, ok);
        at = look->file->docs[doc].end[look->index];
    }
    return at;
}

static bool look_at_blocks(struct look *look)
{
    uint64_t len = look->shelf->text_len, at = 0;
    size_t over = look->search.bytes.len - 1;
    bool ok = true;
    while (at < len && ok) {
        size_t block = (size_t)(at / TEXT_BLOCK), run = block;
        if (!look->blocks[block]) {
            at = (uint64_t)(block + 1) * TEXT_BLOCK;
            continue;
        }
        while (run < look->block_count && look->blocks[run] && run - block < BURST / TEXT_BLOCK)
            run++;
        uint64_t to = (uint64_t)run * TEXT_BLOCK;
        to = to > len ? len : to;
        struct pn_str text;
        uint64_t want = to + over > len ? len : to + over;
        ok = text_read(look->file, look->shelf->text_at + at, (size_t)(want - at), &text);
        at = ok ? look_through(look, text, at, to, &ok) : at;
    }
    return ok;
}

static bool look_in(struct look *look)
{
    if (look->search.bytes.len == 0) { /* all have it */
        memset(look->hit, 1, look->file->h.docs);
        return true;
    }
    look->block_count = text_blocks(look->shelf->text_len);
    return choose_blocks(look) &&
           (memchr(look->blocks, 1, look->block_count) == NULL || look_at_blocks(look));
}

static bool look_in_shelves(void *arg)
{
    struct look *look = arg;
    bool ok = text_docs(look->file) != NULL;
    for (int i = 0; i < PN_WORDS_SHELVES && ok; i++) {
        if (!pn_words_key_in(look->key, (enum pn_words_shelf)i))
            continue;
        look->index = i;
        look->shelf = &look->file->h.shelves[i];
        look->doc = 0;
        ok = look_in(look);
    }
    return ok;
}

/* What is looked for in the text of all messages: the words, or where there are none the field's
 * name as it stands there. */
static struct pn_str search_bytes(const struct pn_words_key *key, struct pn_buf *name)
{
    if (key->text.len != 0 || key->where != PN_WORDS_IN_FIELD)
        return key->text;
    (void)(pn_buf_addc(name, PN_WORDS_MARK) && pn_buf_adds(name, key->field) &&
           pn_buf_addz(name, ": "));
    return pn_buf_str(name);
}

struct hits {
    const struct text_file *file;
    const uint8_t *hit;
    struct pn_uidset *out;
};

static bool add_hits(void *arg)
{
    struct hits *hits = arg;
    for (uint32_t i = 0; i < hits->file->h.docs; i++)
        if (hits->hit[i])
            (void)pn_uidset_add(hits->out, hits->file->docs[i].uid, hits->file->docs[i].uid);
    return true;
}

/* Of the longest shelf. */
static size_t most_blocks(const struct text_file *file)
{
    uint64_t most = 0;
    for (int i = 0; i < PN_WORDS_SHELVES; i++)
        if (file->h.shelves[i].text_len > most)
            most = file->h.shelves[i].text_len;
    return text_blocks(most);
}

bool text_find(struct text_file *file, const struct pn_words_key *key, struct pn_uidset *hits)
{
    struct pn_buf name;
    struct look look = {.file = file, .key = key};
    /* All that it owns, before it reads: see text_guard. */
    look.hit = pn_calloc(file->h.docs + 1U, 1);
    look.blocks = pn_alloc(most_blocks(file) + 1);
    pn_buf_init(&name, key->field.len + 8);
    pn_needle_init(&look.needle, key->text);
    pn_needle_init(&look.search, search_bytes(key, &name));
    bool ok = text_guard(file, look_in_shelves, &look);
    if (ok)
        ok = text_guard(file, add_hits, &(struct hits){file, look.hit, hits});
    pn_buf_fini(&name);
    free(look.blocks);
    free(look.hit);
    return ok;
}
