/*
 * A stranger's message under rules of every kind: all eval tests, all texts, all parts of
 * headers. The rules are our own; the message is the fuzzer's.
 */
#include "fakehost.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern const struct postern_plugin postern_plugin;

static const char rules[] =
    "util_rb_tld com test net\nutil_rb_2tld co.test\nfreemail_domains free.test *.any.test\n"
    "enlist_uri_host (L) a.test !b.a.test\nenlist_addrlist (L) *@a.test\n"
    "redirector_pattern /^http:..r\\.test.(.*)$/\n"
    "header A1 ALL =~ /x/\nheader A2 ALL-EXTERNAL =~ /x/\nheader A3 ToCc:addr =~ /(?<TO>.+)/\n"
    "header A4 From:name =~ /x/\nheader A5 MESSAGEID:raw =~ /x/\nheader A6 EnvelopeFrom =~ /x/\n"
    "header A7 X-Spam-Relays-External =~ /x/\nheader A8 From:addr:domain =~ /x/\n"
    "header A9 Received:revip =~ /x/\nmimeheader A10 Content-Type:raw =~ /x/\n"
    "header A11 From:ip =~ /x/\nheader A12 Subject:host =~ /x/\nheader A13 ALL:first:domain =~ "
    "/x/\nheader A14 Subject:revip =~ /x/\nmeta A15 rules_matching(A1*) > 3\n"
    "body B1 /x/\nbody B2 /(?!y)x/\nbody B3 /[vu][i1]a/\nbody B4 /%{TO}/\nrawbody B5 /^x/\n"
    "full B6 /x/\nuri B7 /x/\nuri B8 m{^https?://\\d}\n"
    "header E1 eval:check_for_missing_to_header()\nheader E2 eval:subject_is_all_caps()\n"
    "header E3 eval:check_for_to_in_subject('user')\nheader E4 "
    "eval:check_illegal_chars('ALL',0,0)\n"
    "header E5 eval:check_unresolved_template()\nheader E6 "
    "eval:check_header_count_range('To',2,9)\n"
    "header E7 eval:check_ratware_name_id()\nheader E8 eval:check_equal_from_domains()\n"
    "header E9 eval:check_ratware_envelope_from()\nheader F1 eval:similar_recipients(0.1,'undef')\n"
    "header F2 eval:sorted_recipients()\nheader F3 eval:check_from_in_list('L')\n"
    "header F4 eval:check_all_trusted()\nheader F5 eval:helo_ip_mismatch()\n"
    "header F6 eval:check_for_forged_received_trail()\nheader F7 "
    "eval:check_mailfrom_matches_rcvd()\n"
    "header F8 eval:check_for_forged_hotmail_received_headers()\n"
    "header F9 eval:check_for_forged_yahoo_received_headers()\n"
    "header G1 eval:check_for_shifted_date('undef',-1)\nheader G2 eval:check_outlook_message_id()\n"
    "body G3 eval:html_range('length',0,'inf')\nbody G4 eval:html_tag_balance('body','!= 0')\n"
    "body G5 eval:html_text_match('anchor','x')\nbody G6 eval:html_image_ratio(0,1)\n"
    "body G7 eval:html_title_subject_ratio(1)\nbody G8 eval:check_https_ip_mismatch()\n"
    "body G9 eval:check_https_http_mismatch()\nbody H1 eval:check_for_mime('mime_qp_long_line')\n"
    "body H2 eval:check_mime_multipart_ratio(0,1)\nbody H3 eval:check_ma_non_text()\n"
    "body H4 eval:check_msg_parse_flags('mime_epilogue_exists')\n"
    "body H5 eval:check_msg_parse_flags('missing_mime_headers')\n"
    "body H6 eval:check_for_uppercase(1,99)\nbody H7 eval:check_base64_length(1)\n"
    "body H8 eval:multipart_alternative_difference(1,99)\nbody H9 eval:tvd_vertical_words(1,99)\n"
    "body I1 eval:check_stock_info(1)\nheader I2 eval:check_uri_host_listed('L')\n"
    "header I3 eval:check_freemail_from()\nheader I4 eval:check_freemail_replyto('reply')\n"
    "header I5 eval:check_freemail_body()\nbody I6 eval:image_count('all',1)\n"
    "body I7 eval:pixel_coverage('all',1)\nbody I8 eval:check_abundant_unicode_ratio(0.01)\n"
    "body I9 eval:check_for_ascii_text_illegal()\nbody J1 eval:check_qp_ratio(0.1)\n";

static struct fakehost *host_of(void)
{
    static char path[] = "/tmp/fuzz_rules_mail.XXXXXX";
    const struct fake_row settings[] = {
        {"default", {"yes"}}, {"session", {"no"}}, {"load", {path}}, {NULL}};
    struct fakehost *h;
    int fd = mkstemp(path);

    if (fd < 0 || write(fd, rules, sizeof(rules) - 1) != (ssize_t)sizeof(rules) - 1)
        abort();
    (void)close(fd);
    h = fakehost_new(&postern_plugin, settings, NULL);
    (void)unlink(path);
    if (h == NULL || fakehost_setup_error(h).len > 0)
        abort();
    return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fakehost *h;

    if (h == NULL)
        h = host_of();
    fakehost_reset(h);
    fakehost_client(h, "192.0.2.1", "client.test");
    fakehost_envelope(h, "from@client.test", "to@dest.test");
    fakehost_message(h, (struct pn_str){(const char *)data, size});
    if (fakehost_run(h, POSTERN_MESSAGE) != POSTERN_OK)
        abort();
    return 0;
}
