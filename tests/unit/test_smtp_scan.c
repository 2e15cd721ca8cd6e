#include "unit.h"

#include "buf.h"
#include "content_scan.h"

#include <stdlib.h>

/* Scans in pieces cut at `split` (and at every `step` bytes behind it). */
static struct pn_smtp_scan scan_all(struct pn_str in, bool dots, bool normalize, size_t split,
                                    size_t step, struct pn_buf *out, size_t *read)
{
    struct pn_smtp_scan scan = pn_smtp_scan_begin(dots, normalize);
    size_t at = 0;
    while (at < in.len && scan.state != PN_SMTP_SCAN_END) {
        struct pn_str part = pn_str_slice(in, at, at < split ? split : at + step);
        char *to = pn_buf_reserve(out, pn_smtp_scan_room(&scan, part.len));
        struct pn_smtp_scanned done = pn_smtp_scan(&scan, part, to);
        out->len += done.written;
        at += done.read;
    }
    if (!dots)
        pn_smtp_scan_last(&scan);
    *read = at;
    return scan;
}

static const struct {
    const char *label;
    struct pn_str in;
    bool dots, normalize, end;
    enum pn_smtp_fault fault;
    struct pn_str out; /* looked at when there is no fault */
    size_t left;       /* bytes behind the end */
} scan_rows[] = {
#define DATA(in) PN_STR_INIT(in), true, false
    {"empty", DATA(".\r\n"), true, 0, PN_STR_INIT(""), 0},
    {"one line", DATA("a\r\n.\r\n"), true, 0, PN_STR_INIT("a\r\n"), 0},
    {"pipelined", DATA("a\r\n.\r\nQUIT\r\n"), true, 0, PN_STR_INIT("a\r\n"), 6},
    {"stuffed", DATA("..a\r\n...\r\n.b\r\n.\r\n"), true, 0, PN_STR_INIT(".a\r\n..\r\nb\r\n"), 0},
    {"stuffed dot alone", DATA("..\r\n.\r\n"), true, 0, PN_STR_INIT(".\r\n"), 0},
    {"dot in a line", DATA("a.\r\n.\r\n"), true, 0, PN_STR_INIT("a.\r\n"), 0},
    {"blank lines", DATA("\r\n\r\n.\r\n"), true, 0, PN_STR_INIT("\r\n\r\n"), 0},
    {"8-bit", DATA("\xff\xc3\r\n.\r\n"), true, 0, PN_STR_INIT("\xff\xc3\r\n"), 0},
    {"no end", DATA("a\r\n."), false, 0, PN_STR_INIT("a\r\n"), 0},
    {"no end, CR", DATA("a\r\n.\r"), false, 0, PN_STR_INIT("a\r\n"), 0},
    {"not at a line's start", DATA("a\r\n .\r\n"), false, 0, PN_STR_INIT("a\r\n .\r\n"), 0},
    {"LF.LF", DATA("a\n.\nb\r\n.\r\n"), true, PN_SMTP_FAULT_BARE_LF, PN_STR_INIT(""), 0},
    {"CR.CR", DATA("a\r.\rb\r\n.\r\n"), true, PN_SMTP_FAULT_BARE_CR, PN_STR_INIT(""), 0},
    {"LF.CRLF", DATA("a\n.\r\nb\r\n.\r\n"), true, PN_SMTP_FAULT_BARE_LF, PN_STR_INIT(""), 0},
    {"CRLF.LF", DATA("a\r\n.\nb\r\n.\r\n"), true, PN_SMTP_FAULT_BARE_LF, PN_STR_INIT(""), 0},
    {"CRLF.CR", DATA("a\r\n.\rb\r\n.\r\n"), true, PN_SMTP_FAULT_BARE_CR, PN_STR_INIT(""), 0},
    {"CRLF NUL.CRLF", DATA("a\r\n\0.\r\nb\r\n.\r\n"), true, PN_SMTP_FAULT_NUL, PN_STR_INIT(""), 0},
    {"CRLF.CR CRLF", DATA("\r\n.\r\r\n.\r\n"), true, PN_SMTP_FAULT_BARE_CR, PN_STR_INIT(""), 0},
    {"CR CRLF", DATA("a\r\r\n.\r\n"), true, PN_SMTP_FAULT_BARE_CR, PN_STR_INIT(""), 0},
    {"LF CR", DATA("a\n\r.\r\n"), false, PN_SMTP_FAULT_BARE_LF, PN_STR_INIT(""), 0},
    {"first LF", DATA("\n.\r\n"), false, PN_SMTP_FAULT_BARE_LF, PN_STR_INIT(""), 0},
#undef DATA
#define LOOSE(in) PN_STR_INIT(in), true, true
    {"normalize", LOOSE("a\nb\r\nc\n.\r\n\r\n.\r\n"), true, 0,
     PN_STR_INIT("a\r\nb\r\nc\r\n.\r\n\r\n"), 0},
    {"normalize: LF ends nothing", LOOSE("a\n.\nb"), false, 0, PN_STR_INIT("a\r\n.\r\nb"), 0},
    {"normalize: CR stays a fault", LOOSE("a\rb\r\n.\r\n"), true, PN_SMTP_FAULT_BARE_CR,
     PN_STR_INIT(""), 0},
    {"normalize: CRLF.LF", LOOSE("a\r\n.\nb\r\n.\r\n"), true, 0, PN_STR_INIT("a\r\n\r\nb\r\n"), 0},
#undef LOOSE
#define BDAT(in) PN_STR_INIT(in), false, false
    {"bdat", BDAT("a\r\n.\r\n..b\r\n"), false, 0, PN_STR_INIT("a\r\n.\r\n..b\r\n"), 0},
    {"bdat: no line end", BDAT("a"), false, 0, PN_STR_INIT("a"), 0},
    {"bdat: CR last", BDAT("a\r"), false, PN_SMTP_FAULT_BARE_CR, PN_STR_INIT(""), 0},
    {"bdat: LF", BDAT("a\n"), false, PN_SMTP_FAULT_BARE_LF, PN_STR_INIT(""), 0},
    {"bdat: NUL", BDAT("\0"), false, PN_SMTP_FAULT_NUL, PN_STR_INIT(""), 0},
#undef BDAT
};

/* Each row, with plain lines of every length up to two blocks before it, so that what
 * matters stands at every place of a block; and split at every byte. */
static void test_rows(void)
{
    struct pn_buf in, out;
    pn_buf_init(&in, 4096);
    pn_buf_init(&out, 8192);
    for (size_t i = 0; i < sizeof scan_rows / sizeof scan_rows[0]; i++) {
        for (size_t pad = 0; pad < 140; pad++) {
            size_t read, padding = 0;
            pn_buf_clear(&in);
            for (; pad > 0 && padding + 2 < pad; padding++)
                (void)pn_buf_addc(&in, 'x');
            if (pad > 0)
                (void)pn_buf_addz(&in, "\r\n");
            padding = in.len;
            (void)pn_buf_adds(&in, scan_rows[i].in);
            unit_row(scan_rows[i].label);
            for (size_t split = pad % 20 == 0 ? 0 : in.len; split <= in.len; split++) {
                pn_buf_clear(&out);
                struct pn_smtp_scan scan =
                    scan_all(pn_buf_str(&in), scan_rows[i].dots, scan_rows[i].normalize, split,
                             split % 3 == 1 ? 1 : SIZE_MAX - split, &out, &read);
                UNIT_INT(scan.state == PN_SMTP_SCAN_END, scan_rows[i].end);
                UNIT_INT(scan.fault, scan_rows[i].fault);
                UNIT_INT(scan.eight, !pn_str_is_ascii(scan_rows[i].in));
                UNIT_INT(in.len - read, scan_rows[i].left);
                if (scan_rows[i].fault == PN_SMTP_FAULT_NONE)
                    UNIT_STR(pn_str_slice(pn_buf_str(&out), padding, out.len), scan_rows[i].out);
            }
        }
    }
    pn_buf_fini(&in);
    pn_buf_fini(&out);
}

/* Random strings over the bytes that matter: blocks and states agree, byte for byte. */
static void test_fast_is_slow(void)
{
    static const char alphabet[] = "\r\n.\0x\x80\xffy";
    char in[300], fast[602], slow[602];
    srand(1);
    for (int round = 0; round < 20000; round++) {
        size_t n = (size_t)rand() % sizeof in;
        int rare = rand() % 40 + 1;
        for (size_t i = 0; i < n; i++)
            in[i] = rand() % rare == 0 ? alphabet[(size_t)rand() % (sizeof alphabet - 1)] : 'z';
        for (size_t i = 1; i < n && round % 2 == 0; i++)
            if (in[i] == '\n' || in[i - 1] == '\r') {
                in[i - 1] = '\r';
                in[i] = '\n';
            }
        struct pn_smtp_scan a = pn_smtp_scan_begin(round & 2, round & 4), b = a;
        struct pn_smtp_scanned da = pn_smtp_scan(&a, (struct pn_str){in, n}, fast);
        struct pn_smtp_scanned db = pn_smtp_scan_slow(&b, (struct pn_str){in, n}, slow);
        unit_row("random");
        UNIT_TRUE(da.read == db.read && da.written == db.written && a.state == b.state &&
                  a.fault == b.fault && memcmp(fast, slow, da.written) == 0);
        UNIT_TRUE(da.written <= pn_smtp_scan_room(&a, n));
        struct pn_smtp_scan c = pn_smtp_scan_begin(round & 2, round & 4);
        struct pn_smtp_scanned dc = pn_smtp_scan(&c, (struct pn_str){in, n}, NULL);
        UNIT_TRUE(dc.read == da.read && dc.written == 0 && c.state == a.state &&
                  c.fault == a.fault);
        bool eight = !pn_str_is_ascii((struct pn_str){in, da.read});
        UNIT_TRUE(a.eight == eight && b.eight == eight && c.eight == eight);
    }
}

static void test_dot_find(void)
{
    char in[200];
    for (size_t len = 0; len < sizeof in; len += 7)
        for (size_t at = 0; at < len; at++) {
            memset(in, '.', len);
            if (at > 0)
                in[at - 1] = '\n';
            unit_row("find");
            struct pn_str bytes = {in, len};
            UNIT_TRUE(pn_smtp_dot_find(bytes, at == 0 ? 0 : at - 1, true) == at);
            UNIT_TRUE(pn_smtp_dot_find(bytes, 0, false) == (at == 0 ? SIZE_MAX : at));
            UNIT_TRUE(pn_smtp_dot_find(bytes, at + 1, true) == SIZE_MAX);
        }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"rows", test_rows},
        {"fast_is_slow", test_fast_is_slow},
        {"dot_find", test_dot_find},
        {NULL, NULL},
    };
    return unit_main("smtp_scan", tests, argc, argv);
}
