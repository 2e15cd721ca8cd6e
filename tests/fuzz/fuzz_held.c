/*
 * A file of held mail: the first byte says whether the rest is the file as it stands, or
 * (behind two bytes that part them) meta and content, below a header that is right.
 */
#include "assert.h"
#include "codec.h"
#include "held.h"
#include "record.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[] = "/tmp/fuzz-held-XXXXXX";
static int folder = -1;

static void remove_folder(void)
{
    (void)unlinkat(folder, "1.0", 0);
    (void)rmdir(path);
}

static void make_folder(void)
{
    pn_assert(mkdtemp(path) != NULL && atexit(remove_folder) == 0);
    folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pn_assert(folder >= 0);
}

static void put_file(struct pn_str bytes)
{
    int fd = openat(folder, "1.0", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    pn_assert(fd >= 0 && write(fd, bytes.p, bytes.len) == (ssize_t)bytes.len);
    pn_assert(ftruncate(fd, (off_t)bytes.len) == 0 && close(fd) == 0);
}

/* A header that fits what stands behind it. */
static void dress(struct pn_str meta, struct pn_str content, struct pn_buf *out)
{
    static const struct record_place nowhere;
    char header[RECORD_HEADER];
    uint32_t seed = record_seed(&nowhere);
    struct record r = {.type = RECORD_MESSAGE,
                       .last = true,
                       .id = 1,
                       .meta_len = (uint32_t)meta.len,
                       .content_len = content.len,
                       .content_size = content.len,
                       .meta_crc = pn_crc32c(seed, meta.p, meta.len),
                       .content_crc = pn_crc32c(seed, content.p, content.len)};
    record_lay(&r, 0);
    record_put(header, &r, &nowhere);
    pn_assert(pn_buf_add(out, header, sizeof header) && pn_buf_adds(out, meta) &&
              pn_buf_adds(out, content));
}

static void look(void)
{
    struct pn_buf bytes;
    struct pn_pool *pool = pn_pool_new(8 * 1024 * 1024);
    struct held h;
    int fd = -1;
    pn_buf_init(&bytes, RECORD_META_MAX);
    if (held_get(folder, "1.0", &bytes, pool, &h) == 0) {
        struct pn_envelope env;
        pn_assert(h.count > 0 && h.kind < HELD_KIND_COUNT);
        (void)pn_envelope_get(h.envelope, pool, &env);
    }
    if (held_content(folder, "1.0", &fd) == 0)
        (void)close(fd);
    pn_pool_free(&pool);
    pn_buf_fini(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_buf file;
    uint64_t id;
    if (size == 0)
        return 0;
    if (folder < 0)
        make_folder();
    struct pn_str in = {(const char *)data + 1, size - 1};
    pn_buf_init(&file, 1 << 24);
    if (data[0] % 4 != 0) {
        size_t meta = in.len < 2 ? in.len : ((size_t)data[1] << 8 | data[2]) % (in.len - 1);
        in = in.len < 2 ? in : pn_str_slice(in, 2, in.len);
        dress(pn_str_slice(in, 0, meta), pn_str_slice(in, meta, in.len), &file);
    } else {
        char name[64];
        size_t n = in.len < sizeof name - 1 ? in.len : sizeof name - 1;
        memcpy(name, in.p, n);
        name[n] = '\0';
        (void)held_name_parse(name, &id, &(uint32_t){0});
        pn_assert(pn_buf_adds(&file, in));
    }
    put_file(pn_buf_str(&file));
    look();
    pn_buf_fini(&file);
    return 0;
}
