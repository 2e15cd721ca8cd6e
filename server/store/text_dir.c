#include "text_dir.h"

#include "clock.h"
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOCKS = 64, FILES_MAX = 100000, MOSTLY_GONE_FROM = 64, RUBBISH_S = 3600 };

struct range_name {
    uint32_t first, last;
};

struct pn_texts {
    struct pn_view *view;
    int dir;
    uint32_t uidvalidity;
    struct text_file **files; /* owned, by UID, apart from each other */
    size_t count, cap;
    struct pn_uidset covered;
    struct pn_uidset skipped; /* could not be read just now, or are missing in a file */
    pthread_mutex_t *lock;    /* of who makes files for this folder */
    struct pn_words *words;   /* NULL until something is indexed */
};

/* One lock stands for many folders: who waits for a stranger's waits for a slice at most. */
static pthread_mutex_t locks[LOCKS];
static pthread_once_t locks_once = PTHREAD_ONCE_INIT;

static void locks_init(void)
{
    for (int i = 0; i < LOCKS; i++)
        (void)pthread_mutex_init(&locks[i], NULL);
}

static pthread_mutex_t *lock_of(int dir, uint32_t uidvalidity)
{
    struct stat st = {.st_ino = 0};
    (void)pthread_once(&locks_once, locks_init);
    (void)fstat(dir, &st);
    return &locks[((uint64_t)st.st_ino * 31 + uidvalidity) % LOCKS];
}

/* ---- what is there */

static int by_place(const void *a, const void *b)
{
    const struct range_name *x = a, *y = b;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return x->last > y->last ? -1 : x->last < y->last;
}

/* The names of this folder's files, sorted: of two that begin alike the longer first. */
static struct range_name *list_names(const struct pn_texts *texts, size_t *count)
{
    struct range_name *names = NULL;
    size_t cap = 0;
    int fd = openat(texts->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    *count = 0;
    if (stream == NULL && fd >= 0)
        (void)close(fd);
    while (stream != NULL && (entry = readdir(stream)) != NULL && *count < FILES_MAX) {
        struct range_name name;
        uint32_t uidvalidity;
        if (!text_name_parse(entry->d_name, &uidvalidity, &name.first, &name.last) ||
            uidvalidity != texts->uidvalidity)
            continue;
        names = pn_grow(names, &cap, *count, sizeof *names);
        names[(*count)++] = name;
    }
    if (stream != NULL)
        (void)closedir(stream);
    if (*count != 0)
        qsort(names, *count, sizeof *names, by_place);
    return names;
}

static void remove_file(const struct pn_texts *texts, uint32_t first, uint32_t last)
{
    char name[TEXT_NAME_MAX];
    text_name(name, texts->uidvalidity, first, last);
    (void)unlinkat(texts->dir, name, 0);
}

/* Opens one, or takes it from those that were open. NULL: it is not there, or was damaged. */
static struct text_file *get_file(struct pn_texts *texts, struct range_name name,
                                  struct text_file **old, size_t old_count)
{
    char path[TEXT_NAME_MAX];
    for (size_t i = 0; i < old_count; i++)
        if (old[i] != NULL && old[i]->h.first == name.first && old[i]->h.last == name.last) {
            struct text_file *file = old[i];
            old[i] = NULL;
            return file;
        }
    text_name(path, texts->uidvalidity, name.first, name.last);
    struct text_file *file = text_open(texts->dir, path);
    if (file == NULL && errno == EBADMSG)
        remove_file(texts, name.first, name.last);
    if (file != NULL && (file->h.uidvalidity != texts->uidvalidity || file->h.first != name.first ||
                         file->h.last != name.last)) {
        remove_file(texts, name.first, name.last);
        text_close(&file);
    }
    return file;
}

static void set_covered(struct pn_texts *texts)
{
    pn_uidset_clear(&texts->covered);
    for (size_t i = 0; i < texts->count; i++)
        (void)pn_uidset_add(&texts->covered, texts->files[i]->h.first, texts->files[i]->h.last);
    for (size_t i = 0; i < texts->skipped.count; i++)
        pn_uidset_remove(&texts->covered, texts->skipped.v[i].first, texts->skipped.v[i].last);
}

struct missing {
    struct pn_texts *texts;
    struct text_file *file;
};

/* A message that was gone when its file was made, and is there again under its UID (restored from
 * a backup, the index of messages lost): scanned, as no file may overlap this one. */
static bool note_missing(void *arg)
{
    struct missing *m = arg;
    const struct pn_view *view = m->texts->view;
    const struct text_header *h = &m->file->h;
    const struct text_doc *docs = text_docs(m->file);
    uint32_t count = pn_view_count(view), d = 0, uid;
    for (uint32_t seq = pn_view_floor(view, h->first);
         docs != NULL && seq <= count && (uid = pn_view_uid(view, seq)) <= h->last; seq++) {
        while (d < h->docs && docs[d].uid < uid)
            d++;
        if ((d == h->docs || docs[d].uid != uid) && !pn_uidset_add(&m->texts->skipped, uid, uid))
            return false;
    }
    return docs != NULL;
}

/* Once a file. False: it is damaged, and removed. */
static bool look_for_missing(struct pn_texts *texts, struct text_file *file)
{
    struct missing missing = {texts, file};
    file->looked = file->looked || text_guard(file, note_missing, &missing);
    if (!file->looked)
        remove_file(texts, file->h.first, file->h.last);
    return file->looked;
}

/* Reads the directory. One that lies within another was merged into it; a merge that takes a file
 * away between the two steps leaves a gap here that is harmless: it is indexed or scanned. */
static void refresh(struct pn_texts *texts)
{
    size_t names_count, old_count = texts->count;
    struct range_name *names = list_names(texts, &names_count);
    struct text_file **old = texts->files;
    uint32_t last = 0;
    texts->files = NULL;
    texts->count = texts->cap = 0;
    for (size_t i = 0; i < names_count; i++) {
        if (names[i].first <= last)
            continue;
        struct text_file *file = get_file(texts, names[i], old, old_count);
        if (file == NULL)
            continue;
        if (!look_for_missing(texts, file)) {
            text_close(&file);
            continue;
        }
        texts->files = pn_grow(texts->files, &texts->cap, texts->count, sizeof *texts->files);
        texts->files[texts->count++] = file;
        last = names[i].last;
    }
    for (size_t i = 0; i < old_count; i++)
        text_close(&old[i]);
    free(old);
    free(names);
    set_covered(texts);
}

struct pn_texts *texts_open_dir(struct pn_view *view, int dir)
{
    struct pn_view_info info;
    if (dir < 0)
        return NULL;
    pn_view_info(view, &info);
    struct pn_texts *texts = pn_calloc(1, sizeof *texts);
    texts->view = view;
    texts->dir = dir;
    texts->uidvalidity = info.uidvalidity;
    texts->lock = lock_of(dir, info.uidvalidity);
    pn_uidset_init(&texts->covered, FILES_MAX);
    pn_uidset_init(&texts->skipped, FILES_MAX);
    refresh(texts);
    return texts;
}

void pn_texts_close(struct pn_texts **texts)
{
    if (*texts == NULL)
        return;
    for (size_t i = 0; i < (*texts)->count; i++)
        text_close(&(*texts)->files[i]);
    free((*texts)->files);
    pn_uidset_fini(&(*texts)->covered);
    pn_uidset_fini(&(*texts)->skipped);
    pn_words_free(&(*texts)->words);
    (void)close((*texts)->dir);
    free(*texts);
    *texts = NULL;
}

const struct pn_uidset *pn_texts_covered(const struct pn_texts *texts)
{
    return &texts->covered;
}

/* Takes a damaged file away. */
static void drop_file(struct pn_texts *texts, size_t index)
{
    remove_file(texts, texts->files[index]->h.first, texts->files[index]->h.last);
    text_close(&texts->files[index]);
    texts->count--;
    memmove(texts->files + index, texts->files + index + 1,
            (texts->count - index) * sizeof *texts->files);
    set_covered(texts);
}

bool pn_texts_find(struct pn_texts *texts, const struct pn_words_key *key,
                   struct pn_texts_span *span, struct pn_uidset *hits)
{
    bool some = false;
    for (size_t i = 0; i < texts->count; i++) {
        const struct text_header *h = &texts->files[i]->h;
        if (h->last < span->from)
            continue;
        if (h->first > span->last)
            break;
        if (some && pn_clock_mono_ns() >= span->deadline) {
            span->from = h->first;
            return true;
        }
        if (!text_find(texts->files[i], key, hits)) {
            drop_file(texts, i);
            return false;
        }
        some = true;
    }
    span->from = 0;
    return true;
}

/* ---- indexing */

/* The number of the first message from seq on that is to be indexed; 0: none. */
static uint32_t next_open(const struct pn_texts *texts, uint32_t seq)
{
    uint32_t count = pn_view_count(texts->view);
    for (; seq <= count; seq++) {
        uint32_t uid = pn_view_uid(texts->view, seq);
        if (pn_uidset_has(&texts->covered, uid)) {
            /* Behind the range that has it. */
            size_t low = 0, high = texts->covered.count;
            while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (texts->covered.v[middle].last < uid)
                    low = middle + 1;
                else
                    high = middle;
            }
            if (texts->covered.v[low].last == UINT32_MAX)
                return 0;
            seq = pn_view_floor(texts->view, texts->covered.v[low].last + 1) - 1;
        } else if (!pn_uidset_has(&texts->skipped, uid)) {
            return seq;
        }
    }
    return 0;
}

/* Adds one message. False: it could not be read, or not as it came: it is scanned. */
static bool index_mail(struct pn_texts *texts, struct text_build *build, uint32_t seq)
{
    struct pn_content content;
    bool whole;
    enum pn_read read = pn_view_read_whole(texts->view, seq, &content, &whole);
    uint32_t uid = pn_view_uid(texts->view, seq);
    if (read == PN_READ_EXPUNGED) /* covered, and never a hit */
        return true;
    if (whole) {
        if (texts->words == NULL)
            texts->words = pn_words_new();
        pn_words_read(texts->words, content.bytes);
        whole = pn_content_is_whole(&content);
    }
    if (whole)
        text_build_add(build, uid, texts->words);
    else
        (void)pn_uidset_add(&texts->skipped, uid, uid);
    if (read == PN_READ_OK)
        pn_content_done(&content);
    return whole;
}

/* Fills build with messages from seq on, which is to be indexed, until the next one is not or it
 * is full or late. Returns the UID of the last one; 0: not even the first one. */
static uint32_t fill(struct pn_texts *texts, struct text_build *build, uint32_t seq,
                     uint64_t deadline)
{
    uint32_t last = 0, next = seq;
    while (next == seq && index_mail(texts, build, seq)) {
        last = pn_view_uid(texts->view, seq);
        if (pn_clock_mono_ns() >= deadline || text_build_full(build))
            break;
        next = next_open(texts, ++seq);
    }
    return last;
}

/* ---- merging */

static bool is_alive(void *ctx, uint32_t uid)
{
    struct pn_texts *texts = ctx;
    uint32_t count = pn_view_count(texts->view);
    /* What is above all that the view has may be newer than it. */
    return count == 0 || uid > pn_view_uid(texts->view, count) ||
           pn_view_seq(texts->view, uid) != 0;
}

/* Files i to j become one. 0 or errno. */
static int merge(struct pn_texts *texts, size_t i, size_t j)
{
    struct text_build build;
    int error = 0;
    uint32_t first = texts->files[i]->h.first, last = texts->files[j]->h.last;
    text_build_init(&build);
    for (size_t at = i; at <= j && error == 0; at++)
        if (!text_build_copy(&build, texts->files[at], is_alive, texts)) {
            error = EBADMSG;
            drop_file(texts, at);
        }
    if (error == 0)
        error = text_build_write(&build, texts->dir, texts->uidvalidity, first, last);
    text_build_fini(&build);
    for (size_t at = i; at <= j && error == 0 && i != j; at++)
        remove_file(texts, texts->files[at]->h.first, texts->files[at]->h.last);
    if (error == 0 && i == j) /* it has the name of the old one, which is open */
        text_close(&texts->files[i]);
    return error;
}

/* Is there no message between files i and i + 1 that neither covers? */
static bool adjoin(const struct pn_texts *texts, size_t i)
{
    uint32_t seq = pn_view_floor(texts->view, texts->files[i]->h.last + 1);
    return seq > pn_view_count(texts->view) ||
           pn_view_uid(texts->view, seq) >= texts->files[i + 1]->h.first;
}

/*
 * Merges one run of files in which each is at most twice as large as all behind it: so a text is
 * copied a few times in its life, and of small files there are a few. max: bytes of the outcome.
 * True: something was done.
 */
static bool merge_some(struct pn_texts *texts, uint64_t max)
{
    for (size_t j = texts->count; j-- > 1;) {
        size_t i = j;
        uint64_t size = text_size(texts->files[j]);
        while (i > 0 && adjoin(texts, i - 1) && text_size(texts->files[i - 1]) <= 2 * size &&
               size + text_size(texts->files[i - 1]) <= max)
            size += text_size(texts->files[--i]);
        if (i == j)
            continue;
        if (merge(texts, i, j) != 0)
            return false;
        refresh(texts);
        return true;
    }
    return false;
}

struct gone {
    struct pn_texts *texts;
    struct text_file *file;
    uint32_t count;
};

static bool count_gone(void *arg)
{
    struct gone *gone = arg;
    const struct text_doc *docs = text_docs(gone->file);
    for (uint32_t d = 0; docs != NULL && d < gone->file->h.docs; d++)
        gone->count += !is_alive(gone->texts, docs[d].uid);
    return docs != NULL;
}

/* Writes a file anew of which most is gone. True: something was done. */
static bool rewrite_some(struct pn_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++) {
        struct gone gone = {texts, texts->files[i], 0};
        bool whole = text_guard(gone.file, count_gone, &gone);
        if (whole && (gone.count < MOSTLY_GONE_FROM || gone.count < gone.file->h.docs / 2))
            continue;
        if (!whole)
            drop_file(texts, i);
        else if (merge(texts, i, i) != 0)
            return false;
        refresh(texts);
        return true;
    }
    return false;
}

bool texts_tidy(struct pn_texts *texts, unsigned ms)
{
    uint64_t deadline = pn_clock_mono_ns() + (uint64_t)ms * PN_NS_PER_MS;
    bool more = true;
    (void)pthread_mutex_lock(texts->lock);
    refresh(texts);
    while (more && pn_clock_mono_ns() < deadline)
        more = merge_some(texts, TEXT_FILE_MAX) || rewrite_some(texts);
    (void)pthread_mutex_unlock(texts->lock);
    return more;
}

enum pn_texts_step pn_texts_catch_up(struct pn_texts *texts, unsigned ms)
{
    enum { AT_ONCE = 4 * 1024 * 1024 }; /* merged by who waits for an answer */
    uint64_t deadline = pn_clock_mono_ns() + (uint64_t)ms * PN_NS_PER_MS;
    enum pn_texts_step step = PN_TEXTS_DONE;
    (void)pthread_mutex_lock(texts->lock);
    refresh(texts); /* another one may have been at it meanwhile */
    uint32_t seq = next_open(texts, 1);
    if (seq != 0) {
        struct text_build build;
        text_build_init(&build);
        uint32_t first = pn_view_uid(texts->view, seq), last = fill(texts, &build, seq, deadline);
        if (last != 0 && text_build_write(&build, texts->dir, texts->uidvalidity, first, last) != 0)
            step = PN_TEXTS_FAILED;
        text_build_fini(&build);
        refresh(texts);
        if (step == PN_TEXTS_DONE && next_open(texts, 1) != 0)
            step = PN_TEXTS_MORE;
        while (step != PN_TEXTS_FAILED && merge_some(texts, AT_ONCE))
            ;
    }
    (void)pthread_mutex_unlock(texts->lock);
    return step;
}

/* ---- rubbish */

/* Not what another thread is just making. */
static bool is_rubbish(int dir, const char *name)
{
    struct timespec now;
    struct stat st;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return strncmp(name, TEXT_TMP, sizeof TEXT_TMP - 1) != 0 ||
           (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            (st.st_mtim.tv_sec < now.tv_sec - RUBBISH_S || st.st_mtim.tv_sec > now.tv_sec));
}

void texts_sweep(int dir, const uint32_t *uidvalidities, size_t count)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    if (stream == NULL && fd >= 0)
        (void)close(fd);
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        uint32_t uidvalidity, first, last;
        bool known = false;
        if (entry->d_name[0] == '.')
            continue;
        if (text_name_parse(entry->d_name, &uidvalidity, &first, &last))
            for (size_t i = 0; i < count && !known; i++)
                known = uidvalidities[i] == uidvalidity;
        if (!known && is_rubbish(dir, entry->d_name))
            (void)unlinkat(dir, entry->d_name, 0);
    }
    if (stream != NULL)
        (void)closedir(stream);
}
