/*
 * bench_message [FILE...]: speed of the message layer, on made-up messages and on the
 * files given, which are taken as one set. Prints MB/s and microseconds a message for the
 * header alone, the whole tree, decoded text, and the worst input that the caps allow.
 */
#include "decode.h"
#include "lines.h"
#include "message.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_FILES = 4096, MB = 1000000 };

struct set {
    const char *name;
    struct pn_str v[MAX_FILES];
    size_t count, bytes;
};

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run_header(const struct set *set, struct pn_message *m, struct pn_text *text)
{
    (void)text;
    for (size_t i = 0; i < set->count; i++)
        (void)pn_message_reset(m, set->v[i]);
}

static void run_tree(const struct set *set, struct pn_message *m, struct pn_text *text)
{
    (void)text;
    for (size_t i = 0; i < set->count; i++) {
        (void)pn_message_reset(m, set->v[i]);
        pn_message_mime(m);
    }
}

static void run_text(const struct set *set, struct pn_message *m, struct pn_text *text)
{
    static struct pn_links *links;
    if (links == NULL)
        links = pn_links_new(500);
    for (size_t i = 0; i < set->count; i++) {
        (void)pn_message_reset(m, set->v[i]);
        pn_message_mime(m);
        pn_links_clear(links);
        (void)pn_text_message(text, m, links, NULL);
    }
}

static void measure(const struct set *set)
{
    static const struct {
        const char *name;
        void (*run)(const struct set *set, struct pn_message *m, struct pn_text *text);
    } runs[] = {{"header", run_header}, {"tree", run_tree}, {"text", run_text}};
    struct pn_message *m = pn_message_new(PN_STR(""), NULL);
    struct pn_text *text = pn_text_new(1 << 20);
    printf("%-22s %5zu messages %9zu bytes", set->name, set->count, set->bytes);
    for (size_t r = 0; r < sizeof runs / sizeof runs[0]; r++) {
        size_t rounds = 0;
        double start = now(), took = 0;
        do {
            runs[r].run(set, m, text);
            rounds++;
            took = now() - start;
        } while (took < 0.3);
        double messages = (double)(rounds * set->count);
        printf("  %s %8.0f MB/s %9.2f us", runs[r].name, (double)(rounds * set->bytes) / took / MB,
               took / messages * 1e6);
    }
    printf("  %zu parts\n", pn_message_parts(m));
    pn_text_free(&text);
    pn_message_free(&m);
}

static void one(const char *name, struct pn_buf *b)
{
    static struct set set;
    set = (struct set){.name = name, .v = {pn_buf_str(b)}, .count = 1, .bytes = b->len};
    measure(&set);
    pn_buf_fini(b);
}

static void begin(struct pn_buf *b, const char *type)
{
    pn_buf_init(b, SIZE_MAX);
    for (int i = 0; i < 12; i++)
        (void)pn_buf_addf(b, "X-Header-%d: some words that a header field may hold, and more\r\n",
                          i);
    (void)pn_buf_addf(b, "%s\r\n\r\n", type);
}

static void repeat(struct pn_buf *b, const char *text, size_t until)
{
    while (b->len < until)
        (void)pn_buf_addz(b, text);
}

static const char mixed[] = "Content-Type: multipart/mixed; boundary=\"----=_Part_1\"";
static const char base64_line[] =
    "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0\r\n";

static void made_up(void)
{
    struct pn_buf b;
    begin(&b, mixed);
    (void)pn_buf_addz(&b, "------=_Part_1\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n");
    repeat(&b, "Some words of text on a line, as people write them, seventy bytes long.\r\n",
           20000);
    (void)pn_buf_addz(&b, "------=_Part_1\r\nContent-Type: application/pdf\r\n"
                          "Content-Transfer-Encoding: base64\r\n\r\n");
    repeat(&b, base64_line, 100000);
    (void)pn_buf_addz(&b, "------=_Part_1--\r\n");
    one("multipart 100 KB", &b);

    begin(&b, "Content-Type: text/html; charset=utf-8\r\n"
              "Content-Transfer-Encoding: quoted-printable");
    repeat(&b,
           "<p style=3D\"color:red\">Some <b>words</b> of text with <a href=3D\"http://=\r\n"
           "www.a.example/x\">a link</a> &amp; so on, as mailers write them.</p>=\r\n",
           100000);
    one("html, qp 100 KB", &b);

    /* What a "&" costs that begins no reference, or nearly one. */
    static const char *const amps[] = {"&&&&&&&&", "&a&b&z", "&thetasy", "&notinva", "&zzzzzzz"};
    for (size_t i = 0; i < sizeof amps / sizeof amps[0]; i++) {
        begin(&b, "Content-Type: text/html; charset=utf-8");
        repeat(&b, amps[i], 1 * MB);
        one(amps[i], &b);
    }

    begin(&b, "Content-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: base64");
    repeat(&b, base64_line, 100000);
    one("koi8-r, base64 100 KB", &b);

    begin(&b, mixed);
    repeat(&b, base64_line, 50 * MB);
    one("base64 50 MB", &b);

    begin(&b, mixed);
    repeat(&b, "------=_Part_1\r\n\r\nx\r\n", 50 * MB);
    one("siblings 50 MB", &b);

    begin(&b, mixed);
    repeat(&b, "------=_Part_1\r\nContent-Type: multipart/mixed; boundary=\"----=_Part_1\"\r\n\r\n",
           50 * MB);
    one("nested 50 MB", &b);

    begin(&b, "Content-Type: message/rfc822");
    repeat(&b, "Content-Type: message/rfc822\r\n\r\n", 50 * MB);
    one("messages 50 MB", &b);

    begin(&b, "Content-Type: multipart/mixed; boundary=aaa");
    for (int i = 0, last = 0; i < 100; last = i++)
        (void)pn_buf_addf(&b, "--a%c%c\r\nContent-Type: multipart/mixed; boundary=a%c%c\r\n\r\n",
                          'a' + last / 26, 'a' + last % 26, 'a' + i / 26, 'a' + i % 26);
    repeat(&b, "--a\r\n", 50 * MB);
    one("near misses 50 MB", &b);

    pn_buf_init(&b, SIZE_MAX);
    repeat(&b, "A: b\r\n", 50 * MB);
    one("fields 50 MB", &b);
}

static bool load(const char *path, struct pn_str *out)
{
    static char block[1 << 24];
    FILE *f = fopen(path, "rb");
    struct pn_buf b;
    struct pn_lines lines;
    if (f == NULL)
        return false;
    size_t n = fread(block, 1, sizeof block, f);
    (void)fclose(f);
    pn_buf_init(&b, SIZE_MAX); /* kept to the end */
    pn_lines_init(&lines, PN_LINES_TO_CRLF);
    (void)pn_lines_feed(&lines, (struct pn_str){block, n}, &b);
    *out = pn_buf_str(&b);
    return true;
}

int main(int argc, char **argv)
{
    static struct set files = {.name = "files"};
    for (int i = 1; i < argc && files.count < MAX_FILES; i++) {
        if (load(argv[i], &files.v[files.count]))
            files.bytes += files.v[files.count++].len;
    }
    if (files.count != 0)
        measure(&files);
    made_up();
    return EXIT_SUCCESS;
}
