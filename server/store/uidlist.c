#include "uidlist.h"

#include "clock.h"
#include "codec.h"
#include "marks.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

enum { FILE_MAX = 1024 * 1024 * 1024, SUM_LINE = 13 /* "sum 01234567\n" */ };

static const char file[] = "postern-uids";

struct entry {
    uint32_t uid, len;
    size_t at; /* in keys */
};

struct uidlist {
    struct pn_buf keys;
    struct entry *v;
    size_t count, cap;
    uint32_t *slots; /* numbers of entries plus 1; hashed, to the next free one */
    uint64_t seed;   /* names are others': nobody is to know what falls into one slot */
    size_t slot_count;
};

struct uidlist *uidlist_new(void)
{
    struct uidlist *list = pn_calloc(1, sizeof *list);
    pn_buf_init(&list->keys, FILE_MAX);
    if (getrandom(&list->seed, sizeof list->seed, 0) < 0)
        list->seed = pn_clock_mono_ns();
    return list;
}

void uidlist_free(struct uidlist **list)
{
    if (*list == NULL)
        return;
    pn_buf_fini(&(*list)->keys);
    free((*list)->v);
    free((*list)->slots);
    free(*list);
    *list = NULL;
}

struct pn_str uidlist_key(struct pn_str name)
{
    return pn_str_slice(name, 0, pn_str_find(name, ':', 0));
}

static struct pn_str key_of(const struct uidlist *list, const struct entry *e)
{
    return (struct pn_str){list->keys.p + e->at, e->len};
}

/* Where it is, or would be. */
static size_t slot_of(const struct uidlist *list, struct pn_str key)
{
    size_t i = (size_t)(pn_str_hash(key, list->seed, false) % list->slot_count);
    while (list->slots[i] != 0 && !pn_str_eq(key_of(list, &list->v[list->slots[i] - 1]), key))
        i = (i + 1) % list->slot_count;
    return i;
}

static void hash_all(struct uidlist *list, size_t slots)
{
    free(list->slots);
    list->slots = pn_calloc(slots, sizeof *list->slots);
    list->slot_count = slots;
    for (size_t i = 0; i < list->count; i++)
        list->slots[slot_of(list, key_of(list, &list->v[i]))] = (uint32_t)i + 1;
}

uint32_t uidlist_get(const struct uidlist *list, struct pn_str key)
{
    size_t slot = list->count == 0 ? 0 : slot_of(list, key);
    return list->count == 0 || list->slots[slot] == 0 ? 0 : list->v[list->slots[slot] - 1].uid;
}

bool uidlist_add(struct uidlist *list, struct pn_str key, uint32_t uid)
{
    if (key.len == 0 || pn_str_find(key, '\n', 0) != SIZE_MAX || uid == 0)
        return false;
    if (2 * (list->count + 1) > list->slot_count)
        hash_all(list, list->slot_count < 512 ? 1024 : 4 * list->slot_count);
    size_t slot = slot_of(list, key), at = list->keys.len;
    if (list->slots[slot] != 0 || !pn_buf_adds(&list->keys, key))
        return false;
    list->v = pn_grow(list->v, &list->cap, list->count, sizeof *list->v);
    list->v[list->count++] = (struct entry){.uid = uid, .len = (uint32_t)key.len, .at = at};
    list->slots[slot] = (uint32_t)list->count;
    return true;
}

size_t uidlist_count(const struct uidlist *list)
{
    return list->count;
}

void uidlist_cut(struct uidlist *list, size_t count)
{
    if (count >= list->count)
        return;
    list->keys.len = list->v[count].at;
    list->count = count;
    hash_all(list, list->slot_count);
}

/* ---- the file ---- */

static bool read_line(struct uidlist *list, struct pn_str line)
{
    uint64_t uid;
    struct pn_str number = pn_str_split(&line, ' ');
    return line.p != NULL && pn_str_u64(number, UINT32_MAX, &uid) &&
           uidlist_add(list, line, (uint32_t)uid);
}

/* The two lines at the beginning, taken off. */
static int read_head(struct pn_str *rest, uint32_t uidvalidity)
{
    uint64_t n = 0;
    struct pn_str line = pn_str_split(rest, '\n');
    if (!pn_str_eq(line, PN_STR("postern-uids 1")) || rest->p == NULL)
        return EBADMSG;
    line = pn_str_split(rest, '\n');
    struct pn_str word = pn_str_split(&line, ' ');
    if (!pn_str_eq(word, PN_STR("uidvalidity")) || line.p == NULL ||
        !pn_str_u64(line, UINT32_MAX, &n))
        return EBADMSG;
    return n == uidvalidity ? 0 : ENOENT;
}

static void add_sum(struct pn_buf *text)
{
    (void)pn_buf_addf(text, "sum %08x\n", pn_crc32c(0, text->p, text->len));
}

static int read_list(struct pn_str text, uint32_t uidvalidity, struct uidlist *list)
{
    struct pn_buf sum;
    if (text.len < SUM_LINE)
        return EBADMSG;
    struct pn_str rest = pn_str_slice(text, 0, text.len - SUM_LINE);
    pn_buf_init(&sum, SUM_LINE);
    (void)pn_buf_addf(&sum, "sum %08x\n", pn_crc32c(0, rest.p, rest.len));
    bool whole = pn_str_ends(text, pn_buf_str(&sum));
    pn_buf_fini(&sum);
    int error = whole ? read_head(&rest, uidvalidity) : EBADMSG;
    while (error == 0 && rest.len > 0)
        error = read_line(list, pn_str_split(&rest, '\n')) ? 0 : EBADMSG;
    return error;
}

int uidlist_read(int dir, uint32_t uidvalidity, struct uidlist **out)
{
    struct pn_buf text;
    *out = NULL;
    pn_buf_init(&text, FILE_MAX);
    int error = marks_read_text(dir, file, FILE_MAX, &text);
    if (error == 0) {
        *out = uidlist_new();
        error = read_list(pn_buf_str(&text), uidvalidity, *out);
    }
    if (error != 0)
        uidlist_free(out);
    pn_buf_fini(&text);
    return error;
}

int uidlist_write(int dir, uint32_t uidvalidity, const struct uidlist *list)
{
    struct pn_buf text;
    pn_buf_init(&text, FILE_MAX);
    (void)pn_buf_addf(&text, "%s 1\nuidvalidity %u\n", file, uidvalidity);
    for (size_t i = 0; i < list->count; i++) {
        (void)pn_buf_addf(&text, "%u ", list->v[i].uid);
        (void)pn_buf_adds(&text, key_of(list, &list->v[i]));
        (void)pn_buf_addc(&text, '\n');
    }
    add_sum(&text);
    int error = text.overflow ? EFBIG : marks_write_text(dir, file, pn_buf_str(&text), true);
    pn_buf_fini(&text);
    return error;
}

int uidlist_remove(int dir)
{
    return unlinkat(dir, file, 0) != 0 && errno != ENOENT ? errno : 0;
}
