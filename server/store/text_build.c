#include "mem.h"
#include "text_file.h"
#include "whole.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    COPY = 256 * 1024,
    TRIGRAM = 3,
    BITS_FROM = 64 * 1024,
    TEXT_A_SLOT = 64,
    TRIM_FROM = 1024 * 1024
};

void text_build_init(struct text_build *build)
{
    *build = (struct text_build){.docs = NULL};
    for (int i = 0; i < PN_WORDS_SHELVES; i++)
        pn_buf_init(&build->shelves[i], TEXT_SHELF_MAX);
}

void text_build_fini(struct text_build *build)
{
    size_t size = 0;
    for (int i = 0; i < PN_WORDS_SHELVES; i++) {
        size += build->shelves[i].cap;
        pn_buf_fini(&build->shelves[i]);
    }
    free(build->docs);
    build->docs = NULL;
    /* Megabytes that nobody needs soon; the heap of a thread would keep them for good. */
    if (size >= TRIM_FROM)
        (void)malloc_trim(0);
}

bool text_build_full(const struct text_build *build)
{
    size_t size = 0;
    for (int i = 0; i < PN_WORDS_SHELVES; i++)
        size += build->shelves[i].len;
    return size >= TEXT_FILE_MAX || build->count >= TEXT_DOCS_MAX;
}

static void add_doc(struct text_build *build, uint32_t uid)
{
    build->docs = pn_grow(build->docs, &build->cap, build->count, sizeof *build->docs);
    struct text_doc *doc = &build->docs[build->count++];
    doc->uid = uid;
    for (int i = 0; i < PN_WORDS_SHELVES; i++)
        doc->end[i] = (uint32_t)build->shelves[i].len;
}

void text_build_add(struct text_build *build, uint32_t uid, const struct pn_words *words)
{
    for (int i = 0; i < PN_WORDS_SHELVES; i++) {
        (void)pn_buf_adds(&build->shelves[i], pn_words_get(words, (enum pn_words_shelf)i));
        (void)pn_buf_addc(&build->shelves[i], '\0');
    }
    add_doc(build, uid);
}

/* Text [from, to) of a shelf. */
static bool copy_text(struct text_build *build, struct text_file *file, int shelf, uint64_t from,
                      uint64_t to)
{
    while (from < to) {
        size_t n = to - from < COPY ? (size_t)(to - from) : COPY;
        struct pn_str text;
        if (!text_read(file, file->h.shelves[shelf].text_at + from, n, &text) ||
            !pn_buf_adds(&build->shelves[shelf], text))
            return false;
        from += n;
    }
    return true;
}

struct copy {
    struct text_build *build;
    struct text_file *from;
    bool (*alive)(void *ctx, uint32_t uid);
    void *ctx;
};

/* Docs [first, end), whose texts stand in a row. */
static bool copy_run(struct copy *copy, const struct text_doc *docs, uint32_t first, uint32_t end)
{
    static const struct text_doc none;
    const struct text_doc *before = first == 0 ? &none : &docs[first - 1];
    size_t base[PN_WORDS_SHELVES];
    for (int s = 0; s < PN_WORDS_SHELVES; s++) {
        base[s] = copy->build->shelves[s].len;
        if (!copy_text(copy->build, copy->from, s, before->end[s], docs[end - 1].end[s]))
            return false;
    }
    for (uint32_t d = first; d < end; d++) {
        add_doc(copy->build, docs[d].uid);
        for (int s = 0; s < PN_WORDS_SHELVES; s++)
            copy->build->docs[copy->build->count - 1].end[s] =
                (uint32_t)(base[s] + docs[d].end[s] - before->end[s]);
    }
    return true;
}

static bool copy_docs(void *arg)
{
    struct copy *copy = arg;
    const struct text_doc *docs = text_docs(copy->from);
    uint32_t count = copy->from->h.docs;
    bool ok = docs != NULL;
    for (uint32_t i = 0; i < count && ok;) {
        uint32_t first = i;
        while (i < count && copy->alive(copy->ctx, docs[i].uid))
            i++;
        if (i > first)
            ok = copy_run(copy, docs, first, i);
        while (i < count && !copy->alive(copy->ctx, docs[i].uid))
            i++;
    }
    return ok;
}

bool text_build_copy(struct text_build *build, struct text_file *from,
                     bool (*alive)(void *ctx, uint32_t uid), void *ctx)
{
    struct copy copy = {build, from, alive, ctx};
    return text_guard(from, copy_docs, &copy);
}

/* ---- lists of blocks */

struct lists {
    unsigned bits;
    uint32_t *dict;         /* owned: slots and one more */
    unsigned char *entries; /* owned */
};

static unsigned bits_for(size_t len)
{
    unsigned bits = TEXT_BITS_MIN;
    while (bits < TEXT_BITS_MAX && (len >> bits) > TEXT_A_SLOT)
        bits++;
    return len < BITS_FROM ? 0 : bits;
}

static size_t number_len(uint32_t n)
{
    size_t len = 1;
    for (; n >= 128; n >>= 7)
        len++;
    return len;
}

static unsigned char *put_number(unsigned char *to, uint32_t n)
{
    for (; n >= 128; n >>= 7)
        *to++ = (unsigned char)(n | 128);
    *to++ = (unsigned char)n;
    return to;
}

/* Notes in `order` each slot of each block once, and what its list needs in dict[slot + 1]. Returns
 * how many there are; block_end[b] is where those of block b end. */
static size_t note_slots(struct pn_str text, struct lists *lists, uint32_t **order,
                         size_t *block_end)
{
    size_t blocks = text_blocks(text.len), count = 0, cap = 0;
    uint32_t *last = pn_calloc((size_t)1 << lists->bits, sizeof *last);
    for (size_t b = 0; b < blocks; b++) {
        size_t end = (b + 1) * TEXT_BLOCK + TEXT_OVER;
        end = end + TRIGRAM > text.len ? text.len - TRIGRAM + 1 : end;
        if (cap - count < TEXT_BLOCK + TEXT_OVER) {
            cap = 2 * cap + TEXT_BLOCK + TEXT_OVER;
            *order = pn_realloc(*order, cap * sizeof **order);
        }
        uint32_t trigram = text_trigram(text_trigram(0, text.p[b * TEXT_BLOCK]),
                                        b * TEXT_BLOCK < end ? text.p[b * TEXT_BLOCK + 1] : '\0');
        for (size_t i = b * TEXT_BLOCK; i < end; i++) {
            trigram = text_trigram(trigram, text.p[i + 2]);
            uint32_t slot = text_slot(trigram, lists->bits);
            if (last[slot] == b + 1)
                continue;
            lists->dict[slot + 1] += (uint32_t)number_len((uint32_t)(b + 1) - last[slot]);
            last[slot] = (uint32_t)(b + 1);
            (*order)[count++] = slot;
        }
        block_end[b] = count;
    }
    free(last);
    return count;
}

/* From the lengths of lists to where they are; those as long as a map are maps. */
static void place_lists(struct lists *lists, size_t slots, size_t map_len)
{
    for (size_t i = 0; i < slots; i++) {
        size_t len = lists->dict[i + 1] < map_len ? lists->dict[i + 1] : map_len;
        lists->dict[i + 1] = lists->dict[i] + (uint32_t)len;
    }
}

static void lists_make(struct lists *lists, struct pn_str text)
{
    *lists = (struct lists){.bits = bits_for(text.len)};
    if (lists->bits == 0)
        return;
    size_t slots = (size_t)1 << lists->bits, blocks = text_blocks(text.len);
    size_t map_len = text_map_len(blocks);
    uint32_t *order = NULL;
    size_t *block_end = pn_calloc(blocks, sizeof *block_end);
    lists->dict = pn_calloc(slots + 1, sizeof *lists->dict);
    (void)note_slots(text, lists, &order, block_end);
    place_lists(lists, slots, map_len);
    lists->entries = pn_calloc((size_t)lists->dict[slots] + 1, 1);
    uint32_t *last = pn_calloc(slots, sizeof *last), *at = pn_alloc(slots * sizeof *at);
    memcpy(at, lists->dict, slots * sizeof *at);
    for (size_t b = 0, i = 0; b < blocks; b++)
        for (; i < block_end[b]; i++) {
            uint32_t slot = order[i];
            unsigned char *to = lists->entries + at[slot];
            if (lists->dict[slot + 1] - lists->dict[slot] == map_len) {
                to[b / 8] |= (unsigned char)(1U << b % 8);
                continue;
            }
            at[slot] = (uint32_t)(put_number(to, (uint32_t)(b + 1) - last[slot]) - lists->entries);
            last[slot] = (uint32_t)(b + 1);
        }
    free(last);
    free(at);
    free(order);
    free(block_end);
}

static void lists_fini(struct lists *lists)
{
    free(lists->dict);
    free(lists->entries);
}

/* ---- writing: page by page, for the sums */

struct writer {
    int fd, error;
    uint64_t at; /* of what comes next */
    char page[TEXT_PAGE];
    size_t used;
    uint64_t *sums; /* owned */
    size_t count, cap;
};

static void write_at(struct writer *w, const void *p, size_t n, uint64_t at)
{
    for (size_t done = 0; done < n && w->error == 0;) {
        ssize_t put = pwrite(w->fd, (const char *)p + done, n - done, (off_t)(at + done));
        if (put < 0 && errno != EINTR)
            w->error = errno;
        done += put > 0 ? (size_t)put : 0;
    }
}

static void flush_page(struct writer *w)
{
    if (w->used == 0)
        return;
    w->sums = pn_grow(w->sums, &w->cap, w->count, sizeof *w->sums);
    w->sums[w->count++] = text_sum(w->page, w->used);
    write_at(w, w->page, w->used, w->at - w->used);
    w->used = 0;
}

/* Returns where it stands. */
static uint64_t put(struct writer *w, const void *p, size_t n)
{
    const char *from = p;
    uint64_t at = w->at;
    while (n > 0) {
        size_t room = TEXT_PAGE - w->used, part = n < room ? n : room;
        memcpy(w->page + w->used, from, part);
        w->used += part;
        w->at += part;
        from += part;
        n -= part;
        if (w->used == TEXT_PAGE)
            flush_page(w);
    }
    return at;
}

static void put_shelf(struct writer *w, struct pn_str text, struct text_shelf *shelf)
{
    struct lists lists;
    lists_make(&lists, text);
    size_t slots = (size_t)1 << lists.bits;
    shelf->bits = lists.bits;
    shelf->text_len = text.len;
    shelf->text_at = put(w, text.p, text.len);
    shelf->postings_len = lists.bits == 0 ? 0 : lists.dict[slots];
    shelf->dict_at = put(w, lists.dict, lists.bits == 0 ? 0 : (slots + 1) * sizeof *lists.dict);
    shelf->postings_at = put(w, lists.entries, (size_t)shelf->postings_len);
    lists_fini(&lists);
}

static int write_file(const struct text_build *build, int fd, struct text_header *h)
{
    struct writer *w = pn_calloc(1, sizeof *w);
    w->fd = fd;
    w->at = sizeof *h;
    memcpy(h->magic, TEXT_MAGIC, sizeof TEXT_MAGIC);
    h->version = TEXT_VERSION;
    h->docs = (uint32_t)build->count;
    h->docs_at = put(w, build->docs, build->count * sizeof *build->docs);
    for (int i = 0; i < PN_WORDS_SHELVES; i++)
        put_shelf(w, pn_buf_str(&build->shelves[i]), &h->shelves[i]);
    flush_page(w);
    h->sums_at = w->at;
    size_t sums = w->count * sizeof *w->sums;
    h->size = h->sums_at + sums;
    h->sums_sum = text_sum(w->sums, sums);
    h->sum = text_sum(h, offsetof(struct text_header, sum));
    write_at(w, w->sums, sums, h->sums_at);
    write_at(w, h, sizeof *h, 0);
    int error = w->error;
    free(w->sums);
    free(w);
    return error;
}

int text_build_write(const struct text_build *build, int dir, uint32_t uidvalidity, uint32_t first,
                     uint32_t last)
{
    static atomic_uint turn;
    struct text_header h;
    memset(&h, 0, sizeof h);
    h.uidvalidity = uidvalidity;
    h.first = first;
    h.last = last;
    char name[TEXT_NAME_MAX], temporary[TEXT_NAME_MAX];
    text_name(name, uidvalidity, first, last);
    (void)snprintf(temporary, sizeof temporary, TEXT_TMP "%d.%u", (int)getpid(),
                   atomic_fetch_add(&turn, 1));
    int fd = pn_make_anew(dir, temporary, 0);
    if (fd < 0)
        return errno;
    int error = write_file(build, fd, &h);
    if (close(fd) < 0 && error == 0)
        error = errno;
    if (error == 0 && renameat(dir, temporary, dir, name) < 0)
        error = errno;
    if (error != 0)
        (void)unlinkat(dir, temporary, 0);
    return error;
}
