/*
 * bench_store ROOT USER open [PLACE-OF-CUR]|flags|deliver N THREADS|append N|idle N: what the store
 * takes for a mailbox below ROOT: times on the wall and of the CPU.
 */
#include "assert.h"
#include "clock.h"
#include "mem.h"
#include "store.h"
#include "view.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static struct {
    struct pn_store *store;
    const char *user;
    unsigned each;
} bench;

static double cpu_ms(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

static double wall_ms(void)
{
    return (double)pn_clock_mono_ns() / 1e6;
}

static double began_wall, began_cpu;

static void begin(void)
{
    began_wall = wall_ms();
    began_cpu = cpu_ms();
}

static void end(const char *what, double n)
{
    double wall = wall_ms() - began_wall, cpu = cpu_ms() - began_cpu;
    printf("%-28s %10.2f ms  cpu %10.2f ms", what, wall, cpu);
    if (n > 1)
        printf("  %10.0f/s  cpu %.4f ms each", n / wall * 1000, cpu / n);
    printf("\n");
}

static struct pn_user *open_user(void)
{
    enum pn_store_status status;
    struct pn_buf why;
    pn_buf_init(&why, 500);
    struct pn_user *user = pn_user_open(bench.store, pn_str_of(bench.user), &status, &why);
    pn_assert(user != NULL);
    pn_buf_fini(&why);
    return user;
}

static struct pn_view *open_view(struct pn_user *user)
{
    struct pn_view *v;
    enum pn_store_status status = pn_view_open(user, PN_STR(""), false, NULL, NULL, &v);
    if (v == NULL)
        fprintf(stderr, "status %d\n", (int)status);
    pn_assert(v != NULL);
    return v;
}

static void on_number(void *ctx, uint32_t a, uint32_t b)
{
    (void)ctx, (void)a, (void)b;
}

static void on_exists(void *ctx, uint32_t n)
{
    (void)ctx, (void)n;
}

static void on_flags(void *ctx, uint32_t seq, const struct pn_mail *mail)
{
    (void)ctx, (void)seq, (void)mail;
}

static const struct pn_view_ops ops = {on_number, on_exists, on_flags};

static bool on_cached(void *ctx, const struct pn_cached *c)
{
    *(uint64_t *)ctx += c->envelope.len + c->structure.len + c->header.len;
    return true;
}

static void walk(struct pn_view *v)
{
    struct pn_mail mail;
    uint64_t sum = 0;
    begin();
    for (uint32_t i = 1; i <= pn_view_count(v); i++) {
        pn_view_mail(v, i, &mail);
        sum += mail.size;
    }
    end("flags of all", pn_view_count(v));
    for (unsigned i = 0; i < 3; i++) {
        static const char *const labels[] = {"envelopes, first time", "envelopes",
                                             "envelopes and structures"};
        sum = 0;
        begin();
        (void)pn_view_cached(v, 1, UINT32_MAX,
                             i < 2 ? PN_CACHED_ENVELOPE : PN_CACHED_ENVELOPE | PN_CACHED_STRUCTURE,
                             on_cached, &sum);
        end(labels[i], pn_view_count(v));
        printf("  %llu bytes\n", (unsigned long long)sum);
    }
    struct pn_content content;
    uint64_t bytes = 0;
    begin();
    for (uint32_t i = 1; i <= pn_view_count(v); i++)
        if (pn_view_read(v, i, &content) == PN_READ_OK) {
            bytes += content.bytes.len;
            pn_content_done(&content);
        }
    end("read all", pn_view_count(v));
    printf("  %llu bytes\n", (unsigned long long)bytes);
}

/* place: of his cur. */
static void run_open(int root, const char *place)
{
    struct pn_user *user = open_user();
    begin();
    struct pn_view *v = open_view(user);
    end("open, cold", 1);
    printf("  %u messages\n", pn_view_count(v));
    begin();
    struct pn_view *w = open_view(user);
    end("open, another has it", 1);
    pn_view_close(&w);
    pn_view_close(&v);
    begin();
    v = open_view(user);
    end("open, warm", 1);
    begin();
    for (unsigned i = 0; i < 1000; i++)
        (void)pn_view_sync(v, true, &ops, NULL);
    end("sync without change", 1000);
    int dir = openat(root, place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = dir < 0 ? -1 : openat(dir, "1.another:2,", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    begin();
    (void)pn_view_sync(v, true, &ops, NULL);
    end("sync, a file of others came", 1);
    if (fd >= 0)
        (void)close(fd);
    if (dir >= 0)
        (void)close(dir);
    walk(v);
    pn_view_close(&v);
    pn_user_close(&user);
}

static struct pn_buf text;

static void *deliver(void *ctx)
{
    struct pn_buf why;
    (void)ctx;
    pn_buf_init(&why, 500);
    for (unsigned i = 0; i < bench.each; i++) {
        const struct pn_delivery d = {.user = pn_str_of(bench.user),
                                      .reverse_path = PN_STR("s@from.test"),
                                      .content = pn_buf_str(&text)};
        pn_assert(pn_store_deliver(bench.store, &d, &why) == PN_STORE_OK);
    }
    pn_buf_fini(&why);
    return NULL;
}

static void run_deliver(unsigned n, unsigned threads)
{
    pthread_t ids[64];
    bench.each = n / threads;
    begin();
    for (unsigned i = 0; i < threads; i++)
        pn_assert(pthread_create(&ids[i], NULL, deliver, NULL) == 0);
    for (unsigned i = 0; i < threads; i++)
        (void)pthread_join(ids[i], NULL);
    end("deliver", n);
    pn_store_free(&bench.store);
    end("deliver, index written", n);
}

static void run_append(unsigned n)
{
    struct pn_user *user = open_user();
    begin();
    for (unsigned i = 0; i < n; i++) {
        enum pn_store_status status;
        uint32_t validity;
        struct pn_uidset uids;
        pn_uidset_init(&uids, 10);
        struct pn_append *a = pn_append_new(user, PN_STR(""), &status);
        pn_assert(pn_append_begin(a, 0, NULL, 0, INT64_MIN) == PN_STORE_OK);
        (void)pn_append_feed(a, pn_buf_str(&text));
        pn_assert(pn_append_commit(a, &validity, &uids, NULL) == PN_STORE_OK);
        pn_append_free(&a);
        pn_uidset_fini(&uids);
    }
    end("append", n);
    pn_user_close(&user);
}

static void run_flags(void)
{
    struct pn_user *user = open_user();
    struct pn_view *v = open_view(user);
    struct pn_uidset all;
    const struct pn_flags flags = {PN_FLAGGED, 0};
    pn_uidset_init(&all, 10);
    (void)pn_uidset_add(&all, 1, UINT32_MAX);
    begin();
    (void)pn_view_store(v, &all, PN_FLAGS_ADD, flags, UINT64_MAX, NULL);
    end("flag all", pn_view_count(v));
    begin();
    (void)pn_view_store(v, &all, PN_FLAGS_REMOVE, flags, UINT64_MAX, NULL);
    end("unflag all", pn_view_count(v));
    pn_view_close(&v);
    pn_user_close(&user);
}

/* n users, each with a message and one view: what an idle session costs here. */
static long rss_kb(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    pn_assert(f != NULL && fscanf(f, "%*d %ld", &pages) == 1);
    (void)fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void run_idle(unsigned n)
{
    enum { INDEX_RESTS_S = 8 };
    const char *base = bench.user;
    struct pn_user **users = pn_calloc(n, sizeof(struct pn_user *));
    struct pn_view **views = pn_calloc(n, sizeof(struct pn_view *));
    long before = rss_kb();
    bench.each = 1;
    for (unsigned i = 0; i < n; i++) {
        char name[100];
        (void)snprintf(name, sizeof name, "i%u%s", i, base);
        bench.user = name;
        (void)deliver(NULL);
        users[i] = open_user();
        views[i] = open_view(users[i]);
    }
    (void)sleep(INDEX_RESTS_S);
    printf("idle: %.2f KB a session before trim\n", (double)(rss_kb() - before) / n);
    (void)malloc_trim(0);
    printf("idle: %.2f KB a session\n", (double)(rss_kb() - before) / n);
    for (unsigned i = 0; i < n; i++) {
        pn_view_close(&views[i]);
        pn_user_close(&users[i]);
    }
    free(users);
    free(views);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return EXIT_FAILURE;
    int root = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pn_assert(root >= 0);
    bench.user = argv[2];
    bench.store = pn_store_new(root, PN_STR("bench.test"));
    pn_buf_init(&text, 100000);
    (void)pn_buf_addz(&text,
                      "From: A <a@from.test>\r\nTo: u@here.test\r\nSubject: bench\r\n"
                      "Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@x.test>\r\n\r\n");
    for (unsigned i = 0; i < 50; i++)
        (void)pn_buf_addz(&text,
                          "A line of the body that says nothing much to anybody at all.\r\n");
    unsigned n = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 1000;
    if (strcmp(argv[3], "open") == 0)
        run_open(root, argc > 4 ? argv[4] : "here.test/u/cur");
    else if (strcmp(argv[3], "deliver") == 0)
        run_deliver(n, argc > 5 ? (unsigned)strtoul(argv[5], NULL, 10) : 1);
    else if (strcmp(argv[3], "append") == 0)
        run_append(n);
    else if (strcmp(argv[3], "idle") == 0)
        run_idle(n);
    else if (strcmp(argv[3], "flags") == 0)
        run_flags();
    pn_store_free(&bench.store);
    (void)close(root);
    pn_buf_fini(&text);
    return EXIT_SUCCESS;
}
