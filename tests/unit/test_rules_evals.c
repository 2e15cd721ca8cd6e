/* The eval tests that the stock set's rules of one message name most: each hits, and does not. */
#include "rules_play.h"
#include "unit.h"

#include "buf.h"

#include <stdio.h>
#include <string.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* Rows of a call and of its end: "HIT" or "". */
struct call {
    const char *eval;
    bool hits;
};

static void play_calls(const char *kind, const char *before, const struct call *calls, size_t count,
                       const char *mail)
{
    char rules[600];

    for (size_t i = 0; i < count; i++) {
        (void)snprintf(rules, sizeof rules, "%s%s HIT eval:%s\n", before, kind, calls[i].eval);
        rules_play(&(struct rules_row){calls[i].eval, rules, calls[i].hits ? "HIT=1" : ""}, mail,
                   NULL);
    }
}

static void test_html(void)
{
    static const char mail[] =
        "Subject: Title\nContent-Type: text/html\n\n"
        "<html><head><title>Title here</title><!-- [hidden] words --></head><body bgcolor=white>"
        "<font face=\"arial, helvetica\" size=1 color=white>pale words</font>"
        "<center><p>Seen words and some more of them</p></body>"
        "<a href=\"http://a.test/\"><img src=\"cid:1\" width=100 height=50></a>"
        "<script>run()</script><odd>x</odd></html>\n";
    static const struct call calls[] = {
        {"html_range('length', '0', '100')", false},
        {"html_range('length', '100', 'inf')", true},
        {"html_range('bad_tag_ratio', '0.02', '0.20')", true},
        {"html_range('bad_tag_ratio', '0.50', '1.00')", false},
        {"html_tag_exists('center')", true},
        {"html_tag_exists('bgsound')", false},
        {"html_tag_balance('center', '> 0')", true},
        {"html_tag_balance('body', '!= 0')", false},
        {"html_tag_balance('none', '!= 0')", false},
        {"html_eval('length', '< 512')", true},
        {"html_eval('length', '< 51')", false},
        {"html_test('font_low_contrast')", true},
        {"html_test('embeds')", false},
        {"html_test('font_face_bad')", false},
        {"html_text_match('comment', '\\[hidden\\]')", true},
        {"html_text_match('comment', 'pale')", false},
        {"html_text_match('title', '^Title here$')", true},
        {"html_text_match('anchor', '<img>')", true},
        {"html_image_only('0000', '0400')", true},
        {"html_image_only('0400', '0800')", false},
        {"html_image_ratio('0.000', '0.100')", true},
        {"html_image_ratio('0.100', '1.000')", false},
        {"html_title_subject_ratio('1.5')", true},
        {"html_title_subject_ratio('3.0')", false},
    };
    play_calls("body", "", calls, COUNT(calls), mail);
}

static void test_of_plain_text(void)
{
    static const struct call calls[] = {{"html_range('length', '0', 'inf')", false},
                                        {"html_tag_exists('html')", false},
                                        {"html_test('font_low_contrast')", false},
                                        {"html_text_match('comment', '.')", false},
                                        {"html_image_only('0000', '0400')", false}};
    play_calls("body", "", calls, COUNT(calls), "Subject: s\n\n<html> is no HTML here\n");
}

static void test_dates(void)
{
    static const struct {
        const char *date, *min, *max;
        bool hits;
    } rows[] = {
        /* the Received field is of 12:00 */
        {"Sat, 14 Jun 2025 12:00:30 +0000", "'-3'", "'3'", true},
        {"Sat, 14 Jun 2025 04:00:00 +0000", "'-12'", "'-6'", true},
        {"Sat, 14 Jun 2025 04:00:00 +0000", "'-6'", "'-3'", false},
        {"Sat, 14 Jun 2025 20:00:00 +0000", "'6'", "'12'", true},
        {"Sat, 14 Jun 2025 16:00:00 +0400", "'-3'", "'3'", true},
        {"Wed, 11 Jun 2025 12:00:00 +0000", "'-96'", "'-48'", true},
        {"Tue, 14 Jan 2025 12:00:00 +0000", "'undef'", "'-96'", true},
        {"Mon, 14 Jul 2025 12:00:00 +0000", "'96'", "'undef'", true},
        {"no date", "'-12'", "'-6'", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char rules[200], mail[400];
        (void)snprintf(rules, sizeof rules, "header HIT eval:check_for_shifted_date(%s, %s)\n",
                       rows[i].min, rows[i].max);
        (void)snprintf(mail, sizeof mail,
                       "Received: from a.test (a.test [192.0.2.1]) by b.test with SMTP id 1;\n"
                       "\tSat, 14 Jun 2025 12:00:00 +0000\nDate: %s\nFrom: a@a.test\n\nx\n",
                       rows[i].date);
        rules_play(&(struct rules_row){rows[i].date, rules, rows[i].hits ? "HIT=1" : ""}, mail,
                   &(struct rules_world){.session = "no"});
    }
}

static void test_mime(void)
{
    static const char mail[] =
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Type: text/plain\n"
        "\n--b\nContent-Type: text/plain; charset=us-ascii\nContent-Transfer-Encoding: base64\n\n"
        "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWkFCQ0RFRkdISUpL\n"
        "--b\nContent-Disposition: attachment; filename=a.bin\n"
        "Content-Type: application/octet-stream\n\nx\n--b--\nbehind the end\n";
    static const struct call body[] = {
        {"check_for_mime('mime_attachment')", true},
        {"check_for_mime('mime_base64_encoded_text')", true},
        {"check_for_mime('mime_bad_iso_charset')", false},
        {"check_for_mime('mime_qp_long_line')", false},
        {"check_msg_parse_flags('mime_epilogue_exists')", true},
        {"check_msg_parse_flags('missing_head_body_separator')", false},
        {"check_msg_parse_flags('truncated_header')", false},
        {"check_base64_length('79')", true},
        {"check_base64_length('84', '90')", true},
        {"check_base64_length('90')", false},
        {"check_body_length('1024')", true},
        {"check_body_length('128')", false},
    };
    static const struct call headers[] = {
        {"check_header_count_range('Content-Type', '2', '999')", true},
        {"check_header_count_range('Content-Type', '3', '999')", false},
        {"check_header_count_range('Subject', '0', '0')", true}};
    play_calls("body", "", body, COUNT(body), mail);
    play_calls("header", "", headers, COUNT(headers), mail);
}

static void test_letters(void)
{
    static const char shouting[] =
        "Subject: s\n\n"
        "BUY OUR BEST THINGS NOW AND HERE, THERE IS NO OTHER TIME FOR IT THAN THIS\n"
        "AND WE SAY SO AGAIN AND AGAIN UNTIL YOU HAVE HEARD OF IT AND BOUGHT ALL\n"
        "THAT WE HAVE IN OUR STORES AND IN THE STORES OF ALL OTHERS OF THIS TOWN\n";
    static const struct call loud[] = {{"check_for_uppercase('75', '100')", true},
                                       {"check_for_uppercase('25', '50')", false}};
    static const struct call quiet[] = {{"check_for_uppercase('75', '100')", false},
                                        {"check_abundant_unicode_ratio('0.02')", false},
                                        {"check_illegal_chars('Subject', '0.1', '2')", false}};
    static const struct call foreign[] = {{"check_abundant_unicode_ratio('0.02')", true},
                                          {"check_illegal_chars('Subject', '0.1', '2')", true},
                                          {"check_illegal_chars('From', '0.1', '2')", false}};
    play_calls("body", "", loud, 2, shouting);
    play_calls("body", "", quiet, 2,
               "Subject: s\n\nnothing to shout of, and so it is said in small letters, "
               "some more of which follow here so that there is enough of them to count\n");
    play_calls("header", "", &quiet[2], 1, "Subject: nothing odd\n\nx\n");
    play_calls("body", "", foreign, 1, "Subject: s\n\n&#x0430;&#x0431;&#x0432; letters\n");
    play_calls("header", "", &foreign[1], 2,
               "From: a@a.test\nSubject: \xd2\xeb\xf3\xd2\xeb\xf3\xd2\xeb\xf3 x\n\nx\n");
}

static void test_freemail(void)
{
    static const char lists[] = "freemail_domains free.test *.mail.test\n"
                                "enlist_addrlist (BANKS) *@bank.test\n"
                                "enlist_uri_host (SHORT) short.test\n";
    static const char mail[] = "From: Ann <ann@free.test>\nReply-To: other@x.mail.test\n"
                               "To: b@b.test\n\nsee http://www.short.test/1 or write to "
                               "third@free.test\n";
    static const char bank[] = "From: Bank <info@bank.test>\n\nsee http://long.test/\n";
    static const struct call free_header[] = {{"check_freemail_header('From')", true},
                                              {"check_freemail_header('To')", false},
                                              {"check_freemail_header('From', '^ann')", true},
                                              {"check_freemail_header('From', '\\d')", false},
                                              {"check_freemail_replyto('replyto')", true},
                                              {"check_freemail_from()", true},
                                              {"check_from_in_list('BANKS')", false}};
    static const struct call bank_header[] = {{"check_from_in_list('BANKS')", true},
                                              {"check_from_in_list('NONE')", false},
                                              {"check_freemail_replyto('reply')", false},
                                              {"check_freemail_from()", false}};
    static const struct call listed[] = {{"check_uri_host_listed('SHORT')", true},
                                         {"check_uri_host_listed('OTHER')", false}};
    static const struct call unlisted[] = {{"check_uri_host_listed('SHORT')", false}};
    static const struct rules_world world = {.from = "ann@free.test"};

    for (size_t i = 0; i < COUNT(free_header); i++) {
        char rules[600];
        (void)snprintf(rules, sizeof rules, "%sheader HIT eval:%s\n", lists, free_header[i].eval);
        rules_play(
            &(struct rules_row){free_header[i].eval, rules, free_header[i].hits ? "HIT=1" : ""},
            mail, &world);
    }
    play_calls("header", lists, bank_header, COUNT(bank_header), bank);
    play_calls("header", lists, listed, COUNT(listed), mail);
    play_calls("header", lists, unlisted, COUNT(unlisted), bank);
}

static void test_images(void)
{
    /* a GIF of 400 by 300, a PNG of 10 by 10: their beginnings */
    static const char mail[] =
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nfew words\n"
        "--b\nContent-Type: image/gif; name=a.gif\nContent-Transfer-Encoding: base64\n\n"
        "R0lGODlhkAEsAfAAAAAAAP///ywAAAAAkAEsAQAC\n"
        "--b\nContent-Type: image/png; name=b.png\nContent-Transfer-Encoding: base64\n\n"
        "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjq\n--b--\n";
    static const struct call calls[] = {{"image_count('all', 2, 2)", true},
                                        {"image_count('gif', 1, 1)", true},
                                        {"image_count('jpeg', 1)", false},
                                        {"pixel_coverage('gif', 100000, 150000)", true},
                                        {"pixel_coverage('all', 120100, 120100)", true},
                                        {"pixel_coverage('png', 101, 200)", false},
                                        {"image_size_exact('gif', 300, 400)", true},
                                        {"image_size_exact('gif', 400, 300)", false},
                                        {"image_size_range('png', 5, 5, 20, 20)", true},
                                        {"image_to_text_ratio('all', 0.000, 0.015)", true},
                                        {"image_to_text_ratio('all', 1.0, 2.0)", false}};
    play_calls("body", "", calls, COUNT(calls), mail);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"html", test_html},       {"of plain text", test_of_plain_text},
        {"dates", test_dates},     {"mime", test_mime},
        {"letters", test_letters}, {"freemail", test_freemail},
        {"images", test_images},   {NULL, NULL}};
    rules_play_begin();
    int status = unit_main("rules_evals", tests, argc, argv);
    rules_play_end();
    return status;
}
