#include "unit.h"

#include "text.h"
#include "utf8.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void test_entities(void)
{
    static const struct {
        const char *in, *want;
    } rows[] = {
        {"", ""},
        {"a&b", "a&b"},
        {"&amp;&lt;&gt;&quot;&apos;", "&<>\"'"},
        {"&auml;&euro;&thetasym;", "\xc3\xa4\xe2\x82\xac\xcf\x91"},
        {"&#65;&#x42;&#X43;&#67", "ABCC"},
        {"&#128;&#x99;", "\xe2\x82\xac\xe2\x84\xa2"},
        {"&#0;&#xd800;&#x110000;&#99999999999999;",
         "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"&#128512;", "\xf0\x9f\x98\x80"},
        {"&#;&#x;&;&x;&nosuchname;", "&#;&#x;&;&x;&nosuchname;"},
        {"&ampx &ltb &copy2 &notit; &alpha", "&x <b \xc2\xa9"
                                             "2 \xc2\xac"
                                             "it; &alpha"},
        {"&thetasy;&theta;&thet;&sup;&sup1;&sup1&sup;", "&thetasy;\xce\xb8&thet;\xe2\x8a\x83"
                                                        "\xc2\xb9\xc2\xb9\xe2\x8a\x83"},
        {"&&&&&&&amp;&&", "&&&&&&&&&"},
        {"&Mu;&M;&g&gt&gtx&lt", "\xce\x9c&M;&g>>x<"},
        {"&zwnj;&zwnjx;&zz;&Z", "\xe2\x80\x8c&zwnjx;&zz;&Z"},
        {"&", "&"},
        {"&#", "&#"},
        {"&AMP;&Auml;", "&AMP;\xc3\x84"},
        {"&colon;&sol;&period;&period", ":/.&period"},
    };
    struct pn_buf out;
    pn_buf_init(&out, 256);
    for (size_t i = 0; i < COUNT(rows); i++) {
        unit_row(rows[i].in);
        pn_buf_clear(&out);
        UNIT_TRUE(pn_html_entities(pn_str_of(rows[i].in), &out));
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
    }
    pn_buf_fini(&out);
}

static void test_html(void)
{
    static const struct {
        const char *in, *want;
        unsigned flags;
    } rows[] = {
        {"", "", 0},
        {"plain", "plain", 0},
        {"  a \r\n\t b  ", "a b", 0},
        {"a<br>b<p>c</p>d<hr/>e", "a\nb\nc\nd\ne", 0},
        {"a<b>b</b>c", "abc", 0},
        {"<table><tr><td>a</td><td>b</td></tr><tr><th>c</table>d", "a b\nc\nd", 0},
        {"a&nbsp;b\xc2\xa0"
         "c",
         "a b c", 0},
        {"V&shy;i\xe2\x80\x8b"
         "a&zwj;g&#8204;ra",
         "Viagra", 0},
        {"a<!-- x <b> -- > y -->b<!-->c<!--->d<!DOCTYPE x>e<?php ?>f</>g</ x>h<!--x--!>i",
         "abcdefghi", 0},
        {"a<script>if (a < b) \"</b>\"</script >b<style>p{}</style>c<title>t</title>d", "abcd",
         PN_HTML_SCRIPT},
        {"a<SCRIPT></scripty></SCRIPT\n x>b", "ab", PN_HTML_SCRIPT},
        {"a<script>never ends", "a", PN_HTML_SCRIPT | PN_HTML_TRUNCATED},
        {"a<!-- never ends", "a", PN_HTML_TRUNCATED},
        {"a<b title=\"never ends", "a", PN_HTML_TRUNCATED},
        {"a<", "a<", 0},
        {"1 < 2 <3 <> x", "1 < 2 <3 <> x", 0},
        {"<a title='>' class=\"<b>\" x=y>z</a>", "z", 0},
        {"<img src=x onerror=alert(1)>a", "a", PN_HTML_SCRIPT},
        {"<form><iframe src=x>y</iframe></form>z", "z", PN_HTML_FORM | PN_HTML_IFRAME},
        {"<a / x = 'y' =z b>t</a>", "t", 0},
        {"<averyveryverylongelementname href=x>t", "t", 0},
        /* hidden elements */
        {"a<span style='display: NONE'>b<i>c</i></span>d", "ad", PN_HTML_HIDDEN},
        {"a<span style=\"color:red;font-size:0px\">b</span>c", "ac", PN_HTML_HIDDEN},
        {"a<span style='font-size:0.9em'>b</span>c", "abc", 0},
        {"a<div hidden>b<div>c</div>d</div>e", "a\ne", PN_HTML_HIDDEN},
        {"a<p hidden>b<div>c</div>", "a\nc", PN_HTML_HIDDEN},
        {"<div>a<span style=display:none>b</div>c", "a\nc", PN_HTML_HIDDEN},
        {"<tr><td hidden>a<td>b</tr>", "b", PN_HTML_HIDDEN},
        {"<ul><li hidden>a<li>b</ul>", "b", PN_HTML_HIDDEN},
        {"a<img hidden>b<br hidden>c", "ab\nc", 0},
        {"a<b hidden>b</i>c</b>d", "ad", PN_HTML_HIDDEN},
        {"a<b hidden><script>x</script>b</b>c", "ac", PN_HTML_HIDDEN | PN_HTML_SCRIPT},
    };
    struct pn_buf out;
    pn_buf_init(&out, 1024);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pn_str in = pn_str_of(rows[i].in);
        unit_row(rows[i].in);
        pn_buf_clear(&out);
        UNIT_INT(pn_html_text(in, &out, NULL), rows[i].flags);
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
        struct pn_str want = pn_str_of(rows[i].want);
        for (size_t max = 0; max < want.len; max++) { /* cut anywhere: a beginning of it */
            struct pn_buf small;
            pn_buf_init(&small, max);
            (void)pn_html_text(in, &small, NULL);
            UNIT_TRUE(small.overflow && pn_str_starts(want, pn_buf_str(&small)));
            UNIT_TRUE(small.len + 4 > max && pn_utf8_valid(pn_buf_str(&small)));
            pn_buf_fini(&small);
        }
    }
    pn_buf_fini(&out);
}

/* ---- links */

static void add_links(struct pn_buf *out, const struct pn_links *links)
{
    static const char kinds[] = "TBHSF";
    for (size_t i = 0; i < pn_links_count(links); i++) {
        struct pn_link link = pn_links_at(links, i);
        (void)pn_buf_addf(out, "%s%c %.*s %.*s", i == 0 ? "" : "|", kinds[link.kind],
                          PN_FMT(link.url), PN_FMT(link.host));
    }
}

static void test_host(void)
{
    static const struct {
        const char *url, *want; /* NULL: none */
    } rows[] = {
        {"http://Example.COM", "example.com"},
        {"https://example.com:8080/x@y", "example.com"},
        {"ftp://example.com.?x", "example.com"},
        {"http://user:pw@evil.example#x", "evil.example"},
        {"http://good.example@evil.example/", "evil.example"},
        {"http://a@b@evil.example\\@good.example", "evil.example"},
        {"http:evil.example", "evil.example"},
        {"http:/\\evil.example", "evil.example"},
        {"HTTP://%65vil%2Eexample/", "evil.example"},
        {"//evil.example/x", "evil.example"},
        {"www.example.com/x", "www.example.com"},
        {"example.com/x", "example.com"},
        {"mailto:a@Example.com?subject=x@y", "example.com"},
        {"mailto:a", NULL},
        {"http://192.0.2.1/", "192.0.2.1"},
        {"http://3221225985/", "192.0.2.1"},
        {"http://0xC0000201", "192.0.2.1"},
        {"http://0300.0.0x2.1", "192.0.2.1"},
        {"http://192.513", "192.0.2.1"},
        {"http://4294967296", "4294967296"},
        {"http://1.2.3.4.5", "1.2.3.4.5"},
        {"http://256.1.1.1", "256.1.1.1"},
        {"http://[2001:DB8::1]:80/", "2001:db8::1"},
        {"http://[x]", NULL},
        {"http://[", NULL},
        {"http://b\xc3\xbc"
         "cher.example",
         "xn--bcher-kva.example"},
        {"http://B\xc3\x9c"
         "CHER.example",
         "xn--bcher-kva.example"},
        {"http://\xe4\xbe\x8b\xe3\x81\x88.\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88",
         "xn--r8jz45g.xn--zckzah"},
        {"http://ev\xc2\xadil\xe3\x80\x82"
         "example",
         "evil.example"},
        {"http://\xef\xbd\x85\xef\xbd\x96il.example", "evil.example"},
        {"http://", NULL},
        {"http:///x", "x"},
        {"http://a..b", NULL},
        {"http://.", NULL},
        {"http://a b/", NULL},
        {"http://a%00b/", NULL},
        {"http://\xff/", NULL},
        {"http://a_b.example", "a_b.example"},
        {"javascript:alert(1)", NULL},
        {"cid:x@example.com", NULL},
        {"data:text/html,http://example.com", NULL},
        {"#x", NULL},
        {"page.html", NULL},
        {"example.com:80", "example.com"},
        {"", NULL},
    };
    struct pn_buf out;
    pn_buf_init(&out, 512);
    for (size_t i = 0; i < COUNT(rows); i++) {
        unit_row(rows[i].url);
        pn_buf_clear(&out);
        (void)pn_buf_addc(&out, '=');
        UNIT_TRUE(pn_url_host(pn_str_of(rows[i].url), &out) == (rows[i].want != NULL));
        UNIT_STR(pn_str_slice(pn_buf_str(&out), 1, out.len),
                 pn_str_of(rows[i].want == NULL ? "" : rows[i].want));
    }
    char label[80] = "http://";
    memset(label + 7, 'a', 63);
    UNIT_TRUE(pn_url_host((struct pn_str){label, 70}, &out));
    memset(label + 7, 'a', 64);
    UNIT_TRUE(!pn_url_host((struct pn_str){label, 71}, &out));
    pn_buf_fini(&out);
}

static void test_find(void)
{
    static const struct {
        const char *in, *want;
    } rows[] = {
        {"", ""},
        {"no links. At all.Really, e.g. this", ""},
        {"see http://a.example/x.", "T http://a.example/x a.example"},
        {"(http://a.example/x)", "T http://a.example/x a.example"},
        {"http://a.example/x_(y), z", "T http://a.example/x_(y) a.example"},
        {"<http://a.example>", "T http://a.example a.example"},
        {"\"https://A.example/?a=b&c\"", "T https://A.example/?a=b&c a.example"},
        {"xhttp://a.example", "T http://a.example a.example"},
        {"http://a.example http://a.example", "T http://a.example a.example"},
        {"http://a.example http://b.example",
         "T http://a.example a.example|T http://b.example b.example"},
        {"www.a.example/x, www.b.zzz", "T www.a.example/x www.a.example|T www.b.zzz www.b.zzz"},
        {"buy at pills.com/x?y today", "B pills.com/x?y pills.com"},
        {"pills.com.", "B pills.com pills.com"},
        {"file.txt and index.html", ""},
        {"mail joe@b.com or mailto:x@c.com.", "B mailto:joe@b.com b.com|T mailto:x@c.com c.com"},
        {"@b.com joe@b joe@", ""},
        {"gopher://a.com/x", "B a.com/x a.com"},
        {"http://", ""},
        {"://www.a.com", "T www.a.com www.a.com"},
        {"http://\xc3\xa4.example", "T http://\xc3\xa4.example xn--4ca.example"},
        {"line\r\nhttp://a.example\r\nx", "T http://a.example a.example"},
    };
    struct pn_buf out;
    struct pn_links *links = pn_links_new(10);
    pn_buf_init(&out, 1024);
    for (size_t i = 0; i < COUNT(rows); i++) {
        unit_row(rows[i].in);
        pn_buf_clear(&out);
        pn_links_clear(links);
        pn_links_find(links, pn_str_of(rows[i].in));
        add_links(&out, links);
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
        UNIT_TRUE(!pn_links_full(links));
    }
    pn_buf_fini(&out);
    pn_links_free(&links);
    UNIT_TRUE(links == NULL);
}

static void test_html_links(void)
{
    static const char html[] =
        "<base href='http://base.example/'><a href=\"ht\ntp://a.ex&#97;mple/?x&amp;y\">"
        "http://shown.example</a><img src=cid:x><IMG SRC = //b.example/i.png>"
        "<body background=http://c.example/><form action='http://d.example'>"
        "<a href=#top><a href=page.html><a href='javascript:x'><a href=www.e.com>"
        "<meta content='0; URL=http://f.example/'></a href=http://g.example>";
    struct pn_buf out;
    struct pn_links *links = pn_links_new(10);
    pn_buf_init(&out, 1024);
    UNIT_INT(pn_html_text(PN_STR(html), &out, links), PN_HTML_FORM | PN_HTML_SCRIPT);
    UNIT_STR(pn_buf_str(&out), PN_STR("http://shown.example"));
    pn_buf_clear(&out);
    add_links(&out, links);
    UNIT_STR(pn_buf_str(&out),
             PN_STR("H http://base.example/ base.example|H http://a.example/?x&y a.example|S "
                    "//b.example/i.png b.example|S http://c.example/ c.example|F "
                    "http://d.example d.example|H www.e.com www.e.com|H http://f.example/ "
                    "f.example"));
    pn_links_free(&links);
    pn_buf_fini(&out);
}

static void test_link_limits(void)
{
    char text[4096];
    struct pn_links *links = pn_links_new(3);
    for (int i = 0; i < 3; i++) {
        int n = snprintf(text, sizeof text, "http://%d.example/", i);
        UNIT_TRUE(!pn_links_full(links));
        pn_links_add(links, PN_LINK_TEXT, (struct pn_str){text, (size_t)n});
        pn_links_add(links, PN_LINK_TEXT, (struct pn_str){text, (size_t)n});
    }
    UNIT_INT(pn_links_count(links), 3);
    UNIT_TRUE(!pn_links_full(links));
    pn_links_add(links, PN_LINK_TEXT, PN_STR("http://more.example"));
    UNIT_INT(pn_links_count(links), 3);
    UNIT_TRUE(pn_links_full(links));
    pn_links_free(&links);
    links = pn_links_new(100);
    memset(text, 'x', sizeof text);
    memcpy(text, "http://a.example/", 17);
    pn_links_add(links, PN_LINK_TEXT, (struct pn_str){text, 2048});
    pn_links_add(links, PN_LINK_TEXT, (struct pn_str){text, 2047});
    UNIT_INT(pn_links_count(links), 2);
    UNIT_TRUE(!pn_links_at(links, 0).truncated);
    pn_links_clear(links);
    pn_links_add(links, PN_LINK_TEXT, (struct pn_str){text, 2049});
    UNIT_TRUE(pn_links_at(links, 0).truncated);
    UNIT_INT(pn_links_at(links, 0).url.len, 2048);
    for (int i = 0; i < 100; i++) { /* the bytes of all together are limited too */
        text[20] = (char)('a' + i % 20);
        text[21] = (char)('a' + i / 20);
        pn_links_add(links, PN_LINK_TEXT, (struct pn_str){text, 2048});
    }
    UNIT_TRUE(pn_links_full(links) && pn_links_count(links) < 30);
    pn_links_free(&links);
}

/* ---- parts and messages */

#define HEAD "Content-Type: multipart/mixed; boundary=b\r\n\r\n"

static void test_message_text(void)
{
    static const struct {
        const char *label, *in, *want, *links;
        unsigned flags;
    } rows[] = {
        {"empty", "", "", "", 0},
        {"plain", "A: b\r\n\r\nhello\r\nwww.a.com\r\n", "hello\nwww.a.com\n",
         "T www.a.com www.a.com", 0},
        {"8-bit without charset", "\r\n\xe4 \xc3\xa4\r\n", "\xc3\xa4 \xc3\xa4\n", "", 0},
        {"base64, koi8-r",
         "Content-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\n\r\n"
         "8NLJ\r\n",
         "\xd0\x9f\xd1\x80\xd0\xb8\n", "", 0},
        {"quoted-printable HTML",
         "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: "
         "quoted-printable\r\n\r\n<a href=3D\"http://a.example\">x=C3=A4</a>=\r\n<br>y",
         "x\xc3\xa4\ny\n", "H http://a.example a.example", 0},
        {"HTML that names its charset",
         "Content-Type: text/html\r\n\r\n<meta charset='koi8-r'>\xf0\xd2\xc9",
         "\xd0\x9f\xd1\x80\xd0\xb8\n", "", 0},
        {"all parts but attachments",
         HEAD "--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>two<script></script>\r\n"
              "--b\r\nContent-Disposition: Attachment\r\n\r\nno\r\n--b\r\nContent-Type: "
              "application/x\r\n\r\nno\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n\r\n"
              "three\r\n--b--\r\n",
         "one\ntwo\nthree\n", "", PN_HTML_SCRIPT},
        {"broken multipart", HEAD "http://a.example\r\n", "http://a.example\n",
         "T http://a.example a.example", 0},
        {"multipart without boundary", "Content-Type: multipart/x\r\n\r\nx\r\n", "x\n", "", 0},
        {"invisible",
         "\r\nV\xc2\xadi\xe2\x80\x8b"
         "a\xef\xbb\xbf\xe2\x82\xac\xcd\x8f\xcd\x8e",
         "Via\xe2\x82\xac\xcd\x8e\n", "", 0},
        {"utf-16",
         "Content-Type: text/plain; charset=utf-16\r\n"
         "Content-Transfer-Encoding: base64\r\n\r\n//54AHkA",
         "xy\n", "", 0},
    };
    struct pn_text *text = pn_text_new(1000);
    struct pn_links *links = pn_links_new(10);
    struct pn_buf found;
    pn_buf_init(&found, 1024);
    for (size_t i = 0; i < COUNT(rows); i++) {
        unsigned flags = 0;
        struct pn_message *m = pn_message_new(pn_str_of(rows[i].in), NULL);
        unit_row(rows[i].label);
        pn_message_mime(m);
        pn_links_clear(links);
        pn_buf_clear(&found);
        UNIT_STR(pn_text_message(text, m, links, &flags), pn_str_of(rows[i].want));
        UNIT_TRUE(!pn_text_cut(text));
        add_links(&found, links);
        UNIT_STR(pn_buf_str(&found), pn_str_of(rows[i].links));
        UNIT_INT(flags, rows[i].flags);
        (void)pn_text_message(text, m, NULL, NULL);
        pn_message_free(&m);
    }
    pn_buf_fini(&found);
    pn_links_free(&links);
    pn_text_free(&text);
}

static void test_part_text(void)
{
    static const char in[] = HEAD "--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n"
                                  "Content-Transfer-Encoding: base64\r\n\r\nPGI+w6Q8L2I+\r\n--b--";
    struct pn_text *text = pn_text_new(100);
    struct pn_message *m = pn_message_new(PN_STR(in), NULL);
    pn_message_mime(m);
    UNIT_STR(pn_text_part(text, m, pn_message_part(m, 0)), PN_STR(""));
    struct pn_str one = pn_text_part(text, m, pn_message_part(m, 1));
    UNIT_STR(one, PN_STR("one"));
    UNIT_TRUE(one.p >= in && one.p < in + sizeof in); /* the content itself, no copy */
    UNIT_STR(pn_text_part(text, m, pn_message_part(m, 2)), PN_STR("<b>\xc3\xa4</b>"));
    UNIT_STR(pn_text_visible(text, m, pn_message_part(m, 2), NULL, NULL), PN_STR("\xc3\xa4"));
    UNIT_STR(pn_text_visible(text, m, pn_message_part(m, 0), NULL, NULL), PN_STR(""));
    pn_message_free(&m);
    pn_text_free(&text);
}

static void test_text_limits(void)
{
    static const char *const bodies[] = {
        "\r\n\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4",
        "Content-Type: text/html\r\n\r\n<p>\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4",
        "Content-Transfer-Encoding: base64\r\n\r\nw6TDpMOkw6TDpA==",
        HEAD "--b\r\n\r\n\xc3\xa4\xc3\xa4\r\n--b\r\n\r\n\xc3\xa4\xc3\xa4\r\n--b--",
    };
    for (size_t i = 0; i < COUNT(bodies); i++) {
        struct pn_message *m = pn_message_new(pn_str_of(bodies[i]), NULL);
        pn_message_mime(m);
        unit_row(bodies[i]);
        for (size_t max = 0; max < 9; max++) {
            struct pn_text *text = pn_text_new(max);
            struct pn_str got = pn_text_message(text, m, NULL, NULL);
            UNIT_TRUE(pn_text_cut(text) && got.len <= max && got.len + 2 > max);
            UNIT_TRUE(pn_utf8_valid(got));
            pn_text_free(&text);
        }
        pn_message_free(&m);
    }
}

/* 300,000 bytes of each: linear, or this test takes minutes. */
static void test_hostile(void)
{
    static const char *const pieces[] = {
        "<",
        "<a ",
        "<!--",
        "<script>",
        "<a href=\"",
        "&",
        "&#1",
        "&amp",
        "</",
        "<b hidden>",
        "<p hidden></b>",
        "http://",
        "http://a.com/(",
        "a.com ",
        "a.",
        "@",
        "www.",
        "<a b=>",
        "<a href=http://a.com/x>",
        "mailto:a@",
        "http://!!!!!!!!!!",
        "http://a.com/......... ",
        "\xc2\xa0",
        "&nosuchentityname",
    };
    enum { SIZE = 300000 };
    struct pn_buf in, out;
    struct pn_links *links = pn_links_new(1000);
    pn_buf_init(&in, SIZE + 64);
    pn_buf_init(&out, 2 * SIZE);
    for (size_t i = 0; i < COUNT(pieces); i++) {
        pn_buf_clear(&in);
        pn_buf_clear(&out);
        while (in.len < SIZE)
            (void)pn_buf_addz(&in, pieces[i]);
        pn_links_clear(links);
        (void)pn_html_text(pn_buf_str(&in), &out, links);
        pn_links_find(links, pn_buf_str(&in));
        UNIT_TRUE(out.len <= in.len);
    }
    pn_buf_fini(&in);
    pn_buf_fini(&out);
    pn_links_free(&links);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"entities", test_entities},
        {"html", test_html},
        {"host", test_host},
        {"find", test_find},
        {"html_links", test_html_links},
        {"link_limits", test_link_limits},
        {"message_text", test_message_text},
        {"part_text", test_part_text},
        {"text_limits", test_text_limits},
        {"hostile", test_hostile},
        {NULL, NULL},
    };
    return unit_main("test_text", tests, argc, argv);
}
