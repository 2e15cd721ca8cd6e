#include "text_file.h"

#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- sums */

static uint64_t turn(uint64_t n, unsigned by)
{
    return n << by | n >> (64 - by);
}

/* Four lanes side by side: as fast as memory. Against damage, not against anybody. */
uint64_t text_sum(const void *p, size_t n)
{
    const char *at = p;
    uint64_t lanes[4] = {n, 1, 2, 3}, sum = 0;
    for (; n >= 32; n -= 32, at += 32)
        for (int i = 0; i < 4; i++) {
            uint64_t word;
            memcpy(&word, at + (ptrdiff_t)8 * i, 8);
            lanes[i] = turn(lanes[i] ^ word * UINT64_C(0xc2b2ae3d27d4eb4f), 29) *
                       UINT64_C(0x9e3779b185ebca87);
        }
    for (int i = 0; i < 4; i++)
        sum = turn(sum ^ lanes[i], 17) * UINT64_C(0x165667b19e3779f9);
    for (; n > 0; n--, at++)
        sum = turn(sum ^ (unsigned char)*at, 11) * UINT64_C(0x9e3779b185ebca87);
    return sum ^ sum >> 32;
}

/* ---- names */

void text_name(char name[TEXT_NAME_MAX], uint32_t uidvalidity, uint32_t first, uint32_t last)
{
    (void)snprintf(name, TEXT_NAME_MAX, "%u.%u-%u", uidvalidity, first, last);
}

static bool take_number(struct pn_str *rest, char sep, uint32_t *out)
{
    uint64_t n;
    if (!pn_str_u64(pn_str_split(rest, sep), UINT32_MAX, &n) || n == 0)
        return false;
    *out = (uint32_t)n;
    return true;
}

bool text_name_parse(const char *name, uint32_t *uidvalidity, uint32_t *first, uint32_t *last)
{
    struct pn_str rest = pn_str_of(name);
    char again[TEXT_NAME_MAX];
    if (!take_number(&rest, '.', uidvalidity) || rest.p == NULL ||
        !take_number(&rest, '-', first) || rest.p == NULL || !take_number(&rest, '\0', last) ||
        *first > *last)
        return false;
    text_name(again, *uidvalidity, *first, *last);
    return strcmp(again, name) == 0;
}

/* ---- opening */

static bool read_at(int fd, void *to, size_t n, uint64_t at)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(fd, (char *)to + done, n - done, (off_t)(at + done));
        if (got <= 0 && !(got < 0 && errno == EINTR))
            return false;
        done += got > 0 ? (size_t)got : 0;
    }
    return true;
}

static uint64_t pages_of(const struct text_header *h)
{
    return (h->sums_at - sizeof *h + TEXT_PAGE - 1) / TEXT_PAGE;
}

/* Does [at, at + n) lie between header and sums? */
static bool inside(const struct text_header *h, uint64_t at, uint64_t n)
{
    return at >= sizeof *h && at <= h->sums_at && n <= h->sums_at - at;
}

static bool header_check(const struct text_header *h, uint64_t size)
{
    if (memcmp(h->magic, TEXT_MAGIC, sizeof TEXT_MAGIC) != 0 || h->version != TEXT_VERSION ||
        h->sum != text_sum(h, offsetof(struct text_header, sum)) || h->size != size ||
        h->sums_at < sizeof *h || h->sums_at > size || h->first == 0 || h->first > h->last ||
        (size - h->sums_at) != pages_of(h) * sizeof(uint64_t) ||
        !inside(h, h->docs_at, (uint64_t)h->docs * sizeof(struct text_doc)))
        return false;
    for (int i = 0; i < PN_WORDS_SHELVES; i++) {
        const struct text_shelf *s = &h->shelves[i];
        /* Each message has a byte at least. */
        if (!inside(h, s->text_at, s->text_len) || s->text_len > TEXT_SHELF_MAX ||
            h->docs > s->text_len || s->postings_len > UINT32_MAX ||
            (s->bits != 0 && (s->bits < TEXT_BITS_MIN || s->bits > TEXT_BITS_MAX)) ||
            !inside(h, s->postings_at, s->postings_len) ||
            (s->bits != 0 && !inside(h, s->dict_at, ((UINT64_C(1) << s->bits) + 1) * 4)))
            return false;
    }
    return true;
}

/* The sums stand behind the pages, perhaps at an odd place. */
static uint64_t sum_of_page(const struct text_file *file, uint64_t page)
{
    uint64_t sum;
    memcpy(&sum, file->map + file->h.sums_at + page * sizeof sum, sizeof sum);
    return sum;
}

static bool sums_check(void *arg)
{
    const struct text_file *file = arg;
    return text_sum(file->map + file->h.sums_at, (size_t)(file->h.size - file->h.sums_at)) ==
           file->h.sums_sum;
}

static bool file_begin(struct text_file *file, int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !read_at(fd, &file->h, sizeof file->h, 0) ||
        !header_check(&file->h, (uint64_t)st.st_size))
        return false;
    void *map = mmap(NULL, (size_t)file->h.size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return false;
    file->map = map;
    file->state = text_state_get(fd, (size_t)pages_of(&file->h));
    return file->state != NULL && text_guard(file, sums_check, file);
}

struct text_file *text_open(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return NULL;
    struct text_file *file = pn_calloc(1, sizeof *file);
    bool whole = file_begin(file, fd);
    (void)close(fd);
    if (!whole) {
        text_close(&file);
        errno = EBADMSG;
    }
    return file;
}

void text_close(struct text_file **file)
{
    if (*file == NULL)
        return;
    if ((*file)->map != NULL)
        (void)munmap((void *)(uintptr_t)(*file)->map, (size_t)(*file)->h.size);
    text_state_put(&(*file)->state);
    free(*file);
    *file = NULL;
}

uint64_t text_size(const struct text_file *file)
{
    uint64_t size = 0;
    for (int i = 0; i < PN_WORDS_SHELVES; i++)
        size += file->h.shelves[i].text_len;
    return size;
}

/* ---- reading */

/* Where the thread goes on when the file it reads can't be read. */
static _Thread_local sigjmp_buf guard_jump;
static _Thread_local const struct text_file *volatile guarded;
static struct sigaction guard_before;
static pthread_once_t guard_once = PTHREAD_ONCE_INIT;

static void on_bus_error(int signal, siginfo_t *info, void *context)
{
    const struct text_file *file = guarded;
    uintptr_t at = (uintptr_t)info->si_addr, from = file == NULL ? 0 : (uintptr_t)file->map;
    if (file != NULL && at >= from && at - from < file->h.size)
        siglongjmp(guard_jump, 1);
    /* Not ours: as if we were not here. */
    if ((guard_before.sa_flags & SA_SIGINFO) != 0)
        guard_before.sa_sigaction(signal, info, context);
    else if (sigaction(SIGBUS, &guard_before, NULL) == 0)
        (void)raise(SIGBUS);
}

static void guard_init(void)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGBUS, &action, &guard_before);
}

bool text_guard(const struct text_file *file, bool (*fn)(void *arg), void *arg)
{
    bool ok = false;
    (void)pthread_once(&guard_once, guard_init);
    if (sigsetjmp(guard_jump, 1) != 0) {
        guarded = NULL;
        return false;
    }
    guarded = file;
    ok = fn(arg);
    guarded = NULL;
    return ok;
}

bool text_read(struct text_file *file, uint64_t at, size_t len, struct pn_str *out)
{
    if (!inside(&file->h, at, len))
        return false;
    uint64_t from = at - sizeof file->h, end = from + len;
    for (uint64_t page = from / TEXT_PAGE; page * TEXT_PAGE < end; page++) {
        unsigned char *right = &file->state->right[page];
        if (__atomic_load_n(right, __ATOMIC_RELAXED) != 0)
            continue;
        uint64_t start = sizeof file->h + page * TEXT_PAGE, left = file->h.sums_at - start;
        size_t n = left < TEXT_PAGE ? (size_t)left : TEXT_PAGE;
        if (text_sum(file->map + start, n) != sum_of_page(file, page))
            return false;
        __atomic_store_n(right, 1, __ATOMIC_RELAXED);
    }
    *out = (struct pn_str){file->map + at, len};
    return true;
}

static bool docs_check(const struct text_file *file, const struct text_doc *docs)
{
    struct text_doc before = {.uid = 0};
    for (uint32_t i = 0; i < file->h.docs; i++) {
        const struct text_doc *doc = &docs[i];
        if (doc->uid <= before.uid || doc->uid < file->h.first || doc->uid > file->h.last)
            return false;
        for (int s = 0; s < PN_WORDS_SHELVES; s++)
            if (doc->end[s] <= before.end[s] || doc->end[s] > file->h.shelves[s].text_len)
                return false;
        before = *doc;
    }
    for (int s = 0; s < PN_WORDS_SHELVES; s++)
        if (before.end[s] != file->h.shelves[s].text_len)
            return false;
    return true;
}

const struct text_doc *text_docs(struct text_file *file)
{
    struct pn_str bytes;
    if (file->docs != NULL)
        return file->docs;
    if (file->h.docs_at % _Alignof(struct text_doc) != 0 ||
        !text_read(file, file->h.docs_at, file->h.docs * sizeof(struct text_doc), &bytes))
        return NULL;
    const struct text_doc *docs = (const struct text_doc *)(const void *)bytes.p;
    if (docs_check(file, docs))
        file->docs = docs;
    return file->docs;
}
