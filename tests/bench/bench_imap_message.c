/*
 * bench_imap_message: what IMAP asks of the message layer, on messages of 50 MB as stored (LF
 * ends), plain ones and the worst that the limits allow: time and size of ENVELOPE and
 * BODYSTRUCTURE, BODY[] streamed in slices, in partials of 64 KiB, a part of the middle, and
 * BINARY[1] twice (its size, then its bytes). Memory is what the process grew by at most.
 */
#include "envelope.h"
#include "section.h"
#include "structure.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { MB = 1000000, SIZE = 50 * MB, SLICE = 64 * 1024 };

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long peak_kb(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void repeat(struct pn_buf *b, const char *text, size_t until)
{
    size_t n = strlen(text);
    while (b->len + n <= until)
        (void)pn_buf_add(b, text, n);
}

/* All that a section has, through one buffer. */
static uint64_t drain(struct pn_octets *o, struct pn_buf *out)
{
    uint64_t n = 0;
    while (pn_octets_left(o) > 0) {
        pn_buf_clear(out);
        (void)pn_octets_read(o, SLICE, out);
        n += out->len;
    }
    return n;
}

static void show(const char *what, double start, uint64_t octets)
{
    double took = now() - start;
    printf("  %s %.1f ms", what, took * 1e3);
    if (octets > 10 * MB)
        printf(" (%.1f GB/s)", (double)octets / took / 1e9);
}

static void partials(struct pn_reader *r, const struct pn_section *section, bool binary,
                     struct pn_buf *out)
{
    struct pn_octets o;
    double start = now();
    uint64_t at = 0;
    bool more = true;
    while (more) {
        more = (binary ? pn_octets_open_binary(r, section, &o) : pn_octets_open(r, section, &o)) ==
               PN_OCTETS_OK;
        if (more)
            pn_octets_partial(&o, at, SLICE);
        uint64_t n = more ? drain(&o, out) : 0;
        at += n;
        more = n != 0;
    }
    show(binary ? "BINARY partials" : "partials", start, at);
}

static void sections(struct pn_reader *r, struct pn_buf *out)
{
    struct pn_section all, first, deep;
    struct pn_octets o;
    (void)pn_section_parse(PN_STR("]"), &all);
    (void)pn_section_parse(PN_STR("1]"), &first);
    (void)pn_section_parse(PN_STR("5000.MIME]"), &deep);
    double start = now();
    (void)pn_octets_open(r, &all, &o);
    show("BODY[]", start, drain(&o, out));
    partials(r, &all, false, out);
    start = now();
    if (pn_octets_open(r, &deep, &o) == PN_OCTETS_OK)
        show("BODY[5000.MIME]", start, drain(&o, out));
    start = now();
    if (pn_octets_open_binary(r, &first, &o) == PN_OCTETS_OK && o.size > MB) {
        show("BINARY.SIZE[1]", start, o.size);
        start = now();
        show("BINARY[1]", start, drain(&o, out));
        partials(r, &first, true, out);
    }
}

static void one(const char *name, struct pn_buf *content)
{
    struct pn_buf out;
    long before = peak_kb();
    printf("%-24s %zu bytes:", name, content->len);
    double start = now();
    struct pn_reader *r = pn_reader_new(pn_buf_str(content));
    struct pn_message *m = pn_reader_message(r);
    pn_message_mime(m);
    show("tree", start, content->len);
    printf(" (%zu parts)", pn_message_parts(m));
    pn_buf_init(&out, PN_STRUCTURE_MAX);
    start = now();
    (void)pn_envelope(m, NULL, &out);
    show("ENVELOPE", start, 0);
    printf(" (%zu bytes)", out.len);
    pn_buf_clear(&out);
    start = now();
    (void)pn_structure(m, true, &out);
    show("BODYSTRUCTURE", start, 0);
    printf(" (%zu bytes)", out.len);
    sections(r, &out);
    printf("  memory %+ld KB\n", peak_kb() - before);
    pn_reader_free(&r);
    pn_buf_fini(&out);
    content->len = 0;
}

static const char text[] =
    "Some words of text on a line, as people write them, seventy bytes long\n";
static const char base64[] =
    "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0\n";

static void nested_multiparts(struct pn_buf *b)
{
    for (unsigned i = 0; i < 100000; i++)
        (void)pn_buf_addf(b, "Content-Type: multipart/mixed; boundary=b%u\n\n--b%u\n", i, i);
}

int main(void)
{
    static const struct {
        const char *name, *head, *rest;
    } rows[] = {
        {"text", "Subject: x\n\n", text},
        {"base64", "Content-Transfer-Encoding: base64\n\n", base64},
        {"quoted-printable", "Content-Transfer-Encoding: quoted-printable\n\n",
         "Some words =C3=BC of text on a line, as people write them, they are long =\n"},
        {"empty lines", "Subject: x\n\n", "\n"},
        {"CRLF", "Subject: x\r\n\r\n", "words of text with its own line end\r\n"},
        {"100,000 siblings", "Content-Type: multipart/mixed; boundary=b\n\n",
         "--b\nContent-Type: text/plain; charset=utf-8; name=\"a name\"\nContent-ID: <a@b.test>\n"
         "Content-Disposition: attachment; filename=\"a name\"\n\n"
         "Some words of text on a line, as people write them, seventy bytes long\n"
         "Some words of text on a line, as people write them, seventy bytes long\n"
         "Some words of text on a line, as people write them, seventy bytes long\n"
         "Some words of text on a line, as people write them, seventy bytes long\n\n"},
        {"sibling messages", "Content-Type: multipart/digest; boundary=b\n\n",
         "--b\n\nFrom: a@b\nTo: c@d, e@f, g@h\nSubject: words\n\ntext\n"},
        {"messages in messages", "", "Content-Type: message/rfc822\nTo: a, b, c, d, e, f\n\n"},
        {"short addresses", "From: ", "a,"},
        {"comments", "From: ", "(("},
        {"quotes", "Subject: x\nTo: ", "\"\\"},
        {"fields", "", "To: a\n"},
        {"folds", "Subject:", " \n"},
        {"parameters", "Content-Type: a/b", ";a=b"},
        {"dashes", "Content-Type: multipart/mixed; boundary=b\n\n", "--\n--a\n"},
    };
    struct pn_buf content;
    pn_buf_init(&content, SIZE_MAX);
    (void)pn_buf_reserve(&content, SIZE);
    memset(content.p, 'x', SIZE);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)pn_buf_addz(&content, rows[i].head);
        repeat(&content, rows[i].rest, SIZE);
        one(rows[i].name, &content);
    }
    nested_multiparts(&content);
    one("multiparts in multiparts", &content);
    pn_buf_fini(&content);
    return EXIT_SUCCESS;
}
