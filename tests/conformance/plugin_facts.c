/*
 * plugin_facts [-s ROW=VALUE]... [-t FOLDER] [-n TIMES] FILE...
 *
 * Runs one plugin, linked in, over messages at its headers and message stages in a host
 * of the tests', and prints a line each: the file, a tab, and its facts. LF becomes CRLF,
 * an mbox "From " line is dropped. -t: the private folder. -n repeats each message, for a
 * profiler, and says at the end what the stages took of a message at its quickest, which others
 * on the machine don't change. What the plugin said of its settings goes to stderr.
 */
#include "fakehost.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { ROWS = 16 };

extern const struct postern_plugin postern_plugin;

static struct pn_str read_file(const char *path)
{
    struct pn_str s = {NULL, 0};
    FILE *f = fopen(path, "rb");
    long size;

    if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0)
        return s;
    rewind(f);
    char *p = malloc((size_t)size + 1);
    if (p != NULL)
        s = (struct pn_str){p, fread(p, 1, (size_t)size, f)};
    (void)fclose(f);
    return s;
}

static int64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* *quickest: nanoseconds of the stages, to which this message's are added. */
static int run(struct fakehost *h, const char *path, long times, int64_t *quickest)
{
    struct pn_str file = read_file(path), text = file;
    int64_t least = INT64_MAX;

    if (file.p == NULL) {
        perror(path);
        return 3;
    }
    if (pn_str_starts(text, PN_STR("From ")))
        text = pn_str_slice(text, pn_str_find(text, '\n', 0) + 1, text.len);
    for (long i = 0; i < times; i++) {
        fakehost_reset(h);
        fakehost_client(h, "192.0.2.1", "client.test");
        fakehost_envelope(h, "from@client.test", "to@dest.test");
        fakehost_message(h, text);
        int64_t start = now_ns();
        if (fakehost_run(h, POSTERN_HEADERS) != POSTERN_OK ||
            fakehost_run(h, POSTERN_MESSAGE) != POSTERN_OK)
            printf("%s\tFAILED %.*s\n", path, PN_FMT(fakehost_log(h)));
        if (now_ns() - start < least)
            least = now_ns() - start;
    }
    *quickest += least;
    printf("%s\t%.*s\n", path, PN_FMT(fakehost_facts(h)));
    free((char *)(uintptr_t)file.p);
    return 0;
}

int main(int argc, char **argv)
{
    static struct fake_row rows[ROWS + 1];
    const char *tmp = NULL;
    size_t count = 0;
    long times = 1;
    int64_t quickest = 0;
    int c, status = 0;

    while ((c = getopt(argc, argv, "s:t:n:")) != -1) {
        char *equals = c == 's' ? strchr(optarg, '=') : NULL;

        if (c == 't')
            tmp = optarg;
        else if (c == 'n')
            times = strtol(optarg, NULL, 10);
        else if (equals == NULL || count == ROWS)
            return 2;
        else
            *equals = '\0', rows[count++] = (struct fake_row){optarg, {equals + 1}, NULL};
    }
    fakehost_tmp(tmp);
    struct fakehost *h = fakehost_new(&postern_plugin, rows, "");
    struct pn_str error = fakehost_setup_error(h);

    if (error.len > 0)
        fprintf(stderr, "%.*s\n", PN_FMT(error));
    for (int i = optind; i < argc && status == 0 && fakehost_instance(h) != NULL; i++)
        status = run(h, argv[i], times, &quickest);
    status |= fakehost_instance(h) == NULL ? 3 : 0;
    if (times > 1 && optind < argc)
        fprintf(stderr, "%d messages, %.1f us each at their quickest\n", argc - optind,
                (double)quickest / 1000 / (argc - optind));
    fakehost_free(&h);
    return status;
}
