/*
 * A file of the index of words as others may leave it on disk. The input is such a file without
 * its sums, which are made right here: else nothing behind them would ever be read. It is looked
 * through, and copied as a merge does; what comes of that must be a whole file.
 */
#include "assert.h"
#include "mem.h"
#include "text_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1024 * 1024 };

static char folder[32] = "/tmp/postern-fuzz-XXXXXX";
static int dir = -1;

static void end(void)
{
    (void)close(dir);
    (void)rmdir(folder);
}

static void begin(void)
{
    pn_assert(mkdtemp(folder) != NULL);
    dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pn_assert(dir >= 0 && atexit(end) == 0);
}

static void put_file(const char *name, struct text_header h, const uint8_t *body, size_t len)
{
    size_t pages = (len + TEXT_PAGE - 1) / TEXT_PAGE;
    uint64_t *sums = pn_calloc(pages + 1, sizeof *sums);
    for (size_t i = 0; i < pages; i++) {
        size_t left = len - i * TEXT_PAGE;
        sums[i] = text_sum(body + i * TEXT_PAGE, left < TEXT_PAGE ? left : TEXT_PAGE);
    }
    memcpy(h.magic, TEXT_MAGIC, sizeof TEXT_MAGIC);
    h.version = TEXT_VERSION;
    h.sums_at = sizeof h + len;
    h.size = h.sums_at + pages * sizeof *sums;
    h.sums_sum = text_sum(sums, pages * sizeof *sums);
    h.sum = text_sum(&h, offsetof(struct text_header, sum));
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    pn_assert(fd >= 0 && write(fd, &h, sizeof h) == (ssize_t)sizeof h);
    pn_assert(write(fd, body, len) == (ssize_t)len);
    pn_assert(write(fd, sums, pages * sizeof *sums) == (ssize_t)(pages * sizeof *sums));
    (void)close(fd);
    free(sums);
}

static void find(struct text_file *file, const struct pn_words_key *key)
{
    struct pn_uidset hits;
    pn_uidset_init(&hits, PN_UIDSET_MAX);
    if (text_find(file, key, &hits) && hits.count > 0)
        pn_assert(hits.v[0].first >= file->h.first && hits.v[hits.count - 1].last <= file->h.last);
    pn_uidset_fini(&hits);
}

static bool alive(void *ctx, uint32_t uid)
{
    (void)ctx;
    return uid % 3 != 0;
}

static bool has_docs(void *file)
{
    return text_docs(file) != NULL;
}

static void copy(struct text_file *file)
{
    char name[TEXT_NAME_MAX];
    struct text_build build;
    text_build_init(&build);
    if (text_build_copy(&build, file, alive, NULL)) {
        text_name(name, 2, file->h.first, file->h.last);
        pn_assert(text_build_write(&build, dir, 2, file->h.first, file->h.last) == 0);
        struct text_file *made = text_open(dir, name);
        pn_assert(made != NULL && made->h.docs == build.count);
        pn_assert(text_guard(made, has_docs, made));
        find(made, &(struct pn_words_key){.text = PN_STR("the")});
        text_close(&made);
        (void)unlinkat(dir, name, 0);
    }
    text_build_fini(&build);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct pn_str texts[] = {PN_STR_INIT(""), PN_STR_INIT("e"), PN_STR_INIT("postern"),
                                          PN_STR_INIT("the gate in the wall is small and keeps it"
                                                      " what the gate in the wall is for")};
    struct text_header h;
    if (size < sizeof h || size > INPUT_MAX)
        return 0;
    if (dir < 0)
        begin();
    memcpy(&h, data, sizeof h);
    put_file("7.1-9", h, data + sizeof h, size - sizeof h);
    struct text_file *file = text_open(dir, "7.1-9");
    for (size_t i = 0; file != NULL && i < 4 * sizeof texts / sizeof *texts; i++) {
        struct pn_words_key key = {.text = texts[i / 4]};
        key.where = i % 4 == 0   ? PN_WORDS_IN_ALL
                    : i % 4 == 1 ? PN_WORDS_IN_BODY
                                 : PN_WORDS_IN_FIELD;
        key.field = i % 4 == 2 ? PN_STR("subject") : PN_STR("x-gate");
        find(file, &key);
    }
    if (file != NULL)
        copy(file);
    text_close(&file);
    (void)unlinkat(dir, "7.1-9", 0);
    return 0;
}
