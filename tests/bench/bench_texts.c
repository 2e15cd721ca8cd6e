/*
 * The index of words on the files of one directory: how long it takes to make, how large it is, and
 * how long searches take, beside a scan of all messages with the same matcher.
 *   bench_texts MAILDIR/cur INDEX-FOLDER NEEDLE...
 */
#include "clock.h"
#include "mem.h"
#include "text_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct pn_view {
    int dir;
    char **names;
    uint32_t count;
    size_t cap;
};

void pn_view_info(struct pn_view *view, struct pn_view_info *out)
{
    *out = (struct pn_view_info){.uidvalidity = 1, .messages = view->count};
}

uint32_t pn_view_count(const struct pn_view *view)
{
    return view->count;
}

uint32_t pn_view_uid(const struct pn_view *view, uint32_t seq)
{
    (void)view;
    return seq;
}

uint32_t pn_view_floor(const struct pn_view *view, uint32_t uid)
{
    return uid > view->count ? view->count + 1 : uid == 0 ? 1 : uid;
}

uint32_t pn_view_seq(const struct pn_view *view, uint32_t uid)
{
    return uid > view->count ? 0 : uid;
}

enum pn_read pn_view_read(struct pn_view *view, uint32_t seq, struct pn_content *out)
{
    int fd = openat(view->dir, view->names[seq - 1], O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return PN_READ_ERROR;
    char *bytes = pn_alloc((size_t)st.st_size + 1);
    ssize_t got = read(fd, bytes, (size_t)st.st_size);
    (void)close(fd);
    *out = (struct pn_content){.bytes = {bytes, got < 0 ? 0 : (size_t)got}, .own = bytes};
    return PN_READ_OK;
}

enum pn_read pn_view_read_whole(struct pn_view *view, uint32_t seq, struct pn_content *out,
                                bool *whole)
{
    enum pn_read read = pn_view_read(view, seq, out);
    *whole = read == PN_READ_OK;
    return read;
}

bool pn_content_is_whole(const struct pn_content *content)
{
    (void)content;
    return true;
}

void pn_content_done(struct pn_content *content)
{
    free(content->own);
}

static double seconds(uint64_t from)
{
    return (double)(pn_clock_mono_ns() - from) / 1e9;
}

static void open_view(struct pn_view *view, const char *path)
{
    DIR *stream = opendir(path);
    const struct dirent *entry;
    view->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        view->names = pn_grow(view->names, &view->cap, view->count, sizeof *view->names);
        view->names[view->count++] = pn_strdup(entry->d_name);
    }
    if (stream != NULL)
        (void)closedir(stream);
}

static unsigned long long folder_size(const char *path)
{
    DIR *stream = opendir(path);
    const struct dirent *entry;
    unsigned long long size = 0;
    struct stat st;
    while (stream != NULL && (entry = readdir(stream)) != NULL)
        if (entry->d_name[0] != '.' && fstatat(dirfd(stream), entry->d_name, &st, 0) == 0)
            size += (unsigned long long)st.st_size;
    if (stream != NULL)
        (void)closedir(stream);
    return size;
}

static uint64_t scan(struct pn_view *view, const struct pn_words_key *key)
{
    struct pn_words *words = pn_words_new();
    uint64_t found = 0;
    for (uint32_t seq = 1; seq <= view->count; seq++) {
        struct pn_content content;
        if (pn_view_read(view, seq, &content) != PN_READ_OK)
            continue;
        pn_words_read(words, content.bytes);
        found += pn_words_match(words, key);
        pn_content_done(&content);
    }
    pn_words_free(&words);
    return found;
}

static void search(struct pn_texts *texts, struct pn_view *view, const char *needle, bool compare)
{
    struct pn_words_key key = {.where = PN_WORDS_IN_BODY, .text = pn_str_of(needle)};
    if (strncmp(needle, "text:", 5) == 0)
        key = (struct pn_words_key){.where = PN_WORDS_IN_ALL, .text = pn_str_of(needle + 5)};
    else if (strncmp(needle, "from:", 5) == 0 || strncmp(needle, "subj:", 5) == 0)
        key = (struct pn_words_key){.where = PN_WORDS_IN_FIELD,
                                    .field = pn_str_of(needle[0] == 'f' ? "from" : "subject"),
                                    .text = pn_str_of(needle + 5)};
    struct pn_uidset hits;
    pn_uidset_init(&hits, PN_UIDSET_MAX);
    double best = 1e9;
    for (int i = 0; i < 5; i++) {
        uint64_t from = pn_clock_mono_ns();
        pn_uidset_clear(&hits);
        struct pn_texts_span all = {.last = UINT32_MAX, .deadline = UINT64_MAX};
        if (!pn_texts_find(texts, &key, &all, &hits))
            (void)printf("damaged\n");
        best = seconds(from) < best ? seconds(from) : best;
    }
    (void)printf("%-24s %8llu found, %8.2f ms", needle, (unsigned long long)pn_uidset_size(&hits),
                 best * 1e3);
    if (compare) {
        uint64_t from = pn_clock_mono_ns(), found = scan(view, &key);
        (void)printf("; by scan %8llu, %8.2f ms", (unsigned long long)found, seconds(from) * 1e3);
    }
    (void)printf("\n");
    pn_uidset_fini(&hits);
}

int main(int argc, char **argv)
{
    struct pn_view view = {.dir = -1};
    if (argc < 3)
        return 2;
    open_view(&view, argv[1]);
    uint64_t from = pn_clock_mono_ns();
    struct pn_texts *texts =
        texts_open_dir(&view, open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (texts == NULL)
        return 3;
    (void)printf("opened in %.2f ms\n", seconds(from) * 1e3);
    from = pn_clock_mono_ns();
    double longest = 0;
    unsigned slices = 0;
    for (enum pn_texts_step step = PN_TEXTS_MORE; step == PN_TEXTS_MORE; slices++) {
        uint64_t slice = pn_clock_mono_ns();
        step = pn_texts_catch_up(texts, 200);
        longest = seconds(slice) > longest ? seconds(slice) : longest;
    }
    double took = seconds(from);
    (void)printf("indexed %u messages in %.2f s (%.0f/s), %u slices, the longest %.0f ms\n",
                 view.count, took, view.count / took, slices, longest * 1e3);
    from = pn_clock_mono_ns();
    while (texts_tidy(texts, 1000))
        ;
    (void)printf("tidied in %.2f s; index %.1f MB\n", seconds(from),
                 (double)folder_size(argv[2]) / 1e6);
    for (int i = 3; i < argc; i++)
        search(texts, &view, argv[i], getenv("SCAN") != NULL);
    pn_texts_close(&texts);
    return 0;
}
