/* Signing: the body's form, which fields are signed, what edits change, what is not signed; all
 * that is signed is verified by both engines of our own plugin. */
#include "unit.h"

#include "dkim_signer.h"
#include "sign_header.h"
#include "sign_rig.h"

#include <openssl/ec.h>
#include <openssl/rsa.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static EVP_PKEY *keys[2]; /* rsa, ed25519 */

static void make_keys(void)
{
    if (keys[0] == NULL)
        keys[0] = EVP_RSA_gen(1024);
    if (keys[1] == NULL)
        keys[1] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    CU_ASSERT_FATAL(keys[0] != NULL && keys[1] != NULL);
}

/* ---- the body */

static void hash_of(struct pn_str bytes, unsigned char hash[PN_SIGN_HASH])
{
    unsigned n = 0;
    UNIT_INT(EVP_Digest(bytes.p == NULL ? "" : bytes.p, bytes.len, hash, &n, EVP_sha256(), NULL),
             1);
}

static void check_body(struct pn_str body, struct pn_str want)
{
    unsigned char wanted[PN_SIGN_HASH], got[PN_SIGN_HASH];
    size_t same = 0;
    hash_of(want, wanted);
    for (size_t piece = 1; piece <= body.len + 1; piece++) {
        sign_rig_body(body, piece, got);
        same += memcmp(got, wanted, sizeof got) == 0;
    }
    UNIT_INT(same, body.len + 1);
}

/* Cut in pieces of every size, the form is the one that stands beside it. */
static void test_body(void)
{
    static const struct {
        const char *label;
        struct pn_str body, want;
    } rows[] = {
        {"empty", PN_STR_INIT(""), PN_STR_INIT("")},
        {"one line end", PN_STR_INIT("\r\n"), PN_STR_INIT("")},
        {"many line ends", PN_STR_INIT("\r\n\r\n\r\n"), PN_STR_INIT("")},
        {"a blank", PN_STR_INIT(" "), PN_STR_INIT("")},
        {"blank lines", PN_STR_INIT(" \r\n\t\r\n \t \r\n"), PN_STR_INIT("")},
        {"a line", PN_STR_INIT("a\r\n"), PN_STR_INIT("a\r\n")},
        {"without its end", PN_STR_INIT("a"), PN_STR_INIT("a\r\n")},
        {"line ends behind it", PN_STR_INIT("a\r\n\r\n\r\n"), PN_STR_INIT("a\r\n")},
        {"blank lines behind it", PN_STR_INIT("a \t\r\n \r\n\t"), PN_STR_INIT("a\r\n")},
        {"line ends before it", PN_STR_INIT("\r\n\r\na\r\n"), PN_STR_INIT("\r\n\r\na\r\n")},
        {"line ends between", PN_STR_INIT("a\r\n\r\n\r\nb\r\n"), PN_STR_INIT("a\r\n\r\n\r\nb\r\n")},
        {"blank lines between", PN_STR_INIT("a\r\n \r\n\t\r\nb"),
         PN_STR_INIT("a\r\n\r\n\r\nb\r\n")},
        {"a blank at the begin stays", PN_STR_INIT(" a\r\n"), PN_STR_INIT(" a\r\n")},
        {"blanks at the begin are one", PN_STR_INIT(" \t a\r\n"), PN_STR_INIT(" a\r\n")},
        {"a tab is a blank", PN_STR_INIT("a\tb\r\n"), PN_STR_INIT("a b\r\n")},
        {"blanks are one", PN_STR_INIT("a  b \t c   d\r\n"), PN_STR_INIT("a b c d\r\n")},
        {"blanks at the end go", PN_STR_INIT("a \r\nb\t\r\nc \t \r\n"),
         PN_STR_INIT("a\r\nb\r\nc\r\n")},
        {"of the RFC", PN_STR_INIT(" C \r\nD \t E\r\n\r\n\r\n"), PN_STR_INIT(" C\r\nD E\r\n")},
        {"a bare CR is a byte", PN_STR_INIT("a\rb\r\r\nc\r"), PN_STR_INIT("a\rb\r\r\nc\r\r\n")},
        {"a blank before it is in the line", PN_STR_INIT("a  \rb \r"), PN_STR_INIT("a \rb \r\r\n")},
        {"a bare LF is a byte", PN_STR_INIT("a\n\nb \n"), PN_STR_INIT("a\n\nb \n\r\n")},
        {"LF alone", PN_STR_INIT("\n"), PN_STR_INIT("\n\r\n")},
        {"CR alone", PN_STR_INIT("\r"), PN_STR_INIT("\r\r\n")},
        {"CR before a line end", PN_STR_INIT("\r\r\n"), PN_STR_INIT("\r\r\n")},
        {"NUL and 8 bits are bytes", {"\0 \0\xe4\r\n", 6}, {"\0 \0\xe4\r\n", 6}},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        unit_row(rows[i].label);
        check_body(rows[i].body, rows[i].want);
    }
}

/* Against the naive form of the tests' own signer, over bytes that matter, in any order. */
static void test_body_any(void)
{
    static const char letters[] = {' ', '\t', '\r', '\n', 'a', '\r', '\n'};
    uint64_t seed = 88172645463325252U;
    for (int round = 0; round < 3000; round++) {
        unsigned char want[PN_SIGN_HASH], got[PN_SIGN_HASH];
        struct pn_buf body, form;
        pn_buf_init(&body, 4096);
        pn_buf_init(&form, 8192);
        for (int n = round % 60; n > 0; n--) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            char c = letters[seed % sizeof letters];
            (void)pn_buf_addc(&body, c);
            if (c == '\r' && seed >> 60 < 12)
                (void)pn_buf_addc(&body, '\n');
        }
        signer_body(&form, true, pn_buf_str(&body));
        hash_of(pn_buf_str(&form), want);
        sign_rig_body(pn_buf_str(&body), 1 + (size_t)(seed % 9), got);
        UNIT_TRUE(memcmp(got, want, sizeof got) == 0);
        pn_buf_fini(&body);
        pn_buf_fini(&form);
    }
}

/* Longer than what is gathered, and cut where it hurts. */
static void test_body_long(void)
{
    struct pn_buf body;
    pn_buf_init(&body, SIZE_MAX);
    for (int i = 0; i < 3000; i++)
        (void)pn_buf_addf(&body, "line %d of words %s\r\n", i, i % 7 == 0 ? " \t" : "");
    for (int i = 0; i < 5000; i++)
        (void)pn_buf_addc(&body, 'x');
    (void)pn_buf_addz(&body, "\r\n\r\n");
    unsigned char want[PN_SIGN_HASH], got[PN_SIGN_HASH];
    struct pn_buf form;
    pn_buf_init(&form, SIZE_MAX);
    signer_body(&form, true, pn_buf_str(&body));
    hash_of(pn_buf_str(&form), want);
    static const size_t pieces[] = {1, 2, 3, 1023, 1024, 1025, 2048, 4097, SIZE_MAX / 2};
    for (size_t i = 0; i < COUNT(pieces); i++) {
        sign_rig_body(pn_buf_str(&body), pieces[i], got);
        UNIT_TRUE(memcmp(got, want, sizeof got) == 0);
    }
    pn_buf_fini(&form);
    pn_buf_fini(&body);
}

/* ---- which fields are signed, and how they look */

#define ALWAYS "Reply-To:MIME-Version:Content-Type:Content-Transfer-Encoding"

static void test_names(void)
{
    static const struct {
        const char *label, *content, *names, *canonical, *author;
    } rows[] = {
        {"only From", "From: joe@A.Test\r\n\r\n", "From:From:To:Cc:Subject:Date:Message-ID:" ALWAYS,
         "from:joe@A.Test\r\n", "a.test"},
        {"folds and blanks", "from :\r\n Joe \t Doe  <joe@a.test>\t\r\n\r\n",
         "From:From:To:Cc:Subject:Date:Message-ID:" ALWAYS, "from:Joe Doe <joe@a.test>\r\n",
         "a.test"},
        {"an empty field", "From: joe@a.test\r\nSubject:\r\nTo: \t\r\n \r\n\r\n",
         "From:From:To:To:Cc:Subject:Subject:Date:Message-ID:" ALWAYS,
         "from:joe@a.test\r\nto:\r\nsubject:\r\n", "a.test"},
        {"the lower one first",
         "To: a@b.test\r\nFrom: joe@a.test\r\nX-Mine: 1\r\nTo: c@d.test\r\n\r\n",
         "From:From:To:To:To:Cc:Subject:Date:Message-ID:" ALWAYS,
         "from:joe@a.test\r\nto:c@d.test\r\nto:a@b.test\r\n", "a.test"},
        {"once more where there is one, else not", "Sender: x@a.test\r\nFrom: joe@a.test\r\n\r\n",
         "From:From:To:Cc:Subject:Date:Message-ID:" ALWAYS ":Sender:Sender",
         "from:joe@a.test\r\nsender:x@a.test\r\n", "a.test"},
        {"as often as there", "List-Id: <l.a.test>\r\nFrom: joe@a.test\r\n\r\n",
         "From:From:To:Cc:Subject:Date:Message-ID:" ALWAYS ":List-Id",
         "from:joe@a.test\r\nlist-id:<l.a.test>\r\n", "a.test"},
        {"trace is not",
         "Return-Path: <a@b.test>\r\nReceived: by x\r\nAuthentication-Results: y\r\n"
         "DKIM-Signature: v=1\r\nFrom: joe@a.test\r\n\r\n",
         "From:From:To:Cc:Subject:Date:Message-ID:" ALWAYS, "from:joe@a.test\r\n", "a.test"},
        {"the first author counts", "From: Joe <joe@sub.A.test.>, ann@b.test\r\n\r\n",
         "From:From:To:Cc:Subject:Date:Message-ID:" ALWAYS,
         "from:Joe <joe@sub.A.test.>, ann@b.test\r\n", "sub.a.test"},
        {"of a group too", "From: Us: joe@a.test;\r\n\r\n",
         "From:From:To:Cc:Subject:Date:Message-ID:" ALWAYS, "from:Us: joe@a.test;\r\n", "a.test"},
        {"no body, no empty line", "From: joe@a.test\r\n",
         "From:From:To:Cc:Subject:Date:Message-ID:" ALWAYS, "from:joe@a.test\r\n", "a.test"},
        {"nor a line end", "From: joe@a.test", "From:From:To:Cc:Subject:Date:Message-ID:" ALWAYS,
         "from:joe@a.test\r\n", "a.test"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pn_sign_header h;
        const char *why = pn_sign_header_read(&h, pn_str_of(rows[i].content), NULL);
        unit_row(rows[i].label);
        UNIT_STR(pn_str_of(why), PN_STR(""));
        UNIT_STR(pn_buf_str(&h.names), pn_str_of(rows[i].names));
        UNIT_STR(pn_buf_str(&h.canonical), pn_str_of(rows[i].canonical));
        UNIT_STR(pn_buf_str(&h.author), pn_str_of(rows[i].author));
        pn_sign_header_fini(&h);
    }
}

static void test_refused(void)
{
    static const struct {
        const char *label, *content, *want;
    } rows[] = {
        {"nothing", "", "no From field"},
        {"no From", "To: a@b.test\r\n\r\nx", "no From field"},
        {"no header", "\r\nFrom: joe@a.test\r\n", "no From field"},
        {"two Froms", "From: joe@a.test\r\nFROM: eve@e.test\r\n\r\n", "more than one From field"},
        {"no address", "From: Joe\r\n\r\n", "From holds no address with a domain"},
        {"the null address", "From: <>\r\n\r\n", "From holds no address with a domain"},
        {"a literal", "From: joe@[192.0.2.1]\r\n\r\n", "From holds no address with a domain"},
        {"an empty group", "From: us:;\r\n\r\n", "From holds no address with a domain"},
        {"a line that is no field", "From: joe@a.test\r\noops\r\nTo: a@b.test\r\n\r\n",
         "a line of the header is no field"},
        {"it begins with a fold", " x\r\nFrom: joe@a.test\r\n\r\n",
         "a line of the header is no field"},
        {"the body without an empty line", "From: joe@a.test\r\nHello you\r\n\r\nmore\r\n",
         "no empty line parts header and body"},
        {"a delimiter without one", "From: joe@a.test\r\n--b\r\n\r\nmore\r\n",
         "no empty line parts header and body"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pn_sign_header h;
        const char *why = pn_sign_header_read(&h, pn_str_of(rows[i].content), NULL);
        unit_row(rows[i].label);
        UNIT_STR(pn_str_of(why == NULL ? "" : why), pn_str_of(rows[i].want));
        pn_sign_header_fini(&h);
    }
}

/* So many fields of a name, and one more. */
static void test_limits(void)
{
    for (size_t n = PN_SIGN_INSTANCES_MAX - 1; n <= PN_SIGN_INSTANCES_MAX; n++) {
        struct pn_sign_header h;
        struct pn_buf content;
        pn_buf_init(&content, SIZE_MAX);
        (void)pn_buf_addz(&content, "From: joe@a.test\r\n");
        for (size_t i = 0; i < n; i++)
            (void)pn_buf_addf(&content, "To: a%zu@b.test\r\n", i);
        for (size_t i = 0; i < 3000; i++)
            (void)pn_buf_addf(&content, "X-%zu: mine\r\n", i);
        (void)pn_buf_addz(&content, "\r\n");
        const char *why = pn_sign_header_read(&h, pn_buf_str(&content), NULL);
        UNIT_TRUE((why == NULL) == (n < PN_SIGN_INSTANCES_MAX));
        pn_sign_header_fini(&h);
        pn_buf_fini(&content);
    }
}

/* ---- signed, sent, verified */

#define JOE  "From: Joe <joe@a.test>\r\n"
#define REST "To: ann@b.test\r\nSubject: is\r\n  it?\r\n\r\n"
#define BODY "Hi.\r\n\r\nWe lost  the game. \r\n\tJoe\r\n\r\n\r\n"

/* Signed by both keys after the edits; both engines pass both, and call From oversigned. */
static void check_pass(const char *label, const char *content, struct pn_edits *edits)
{
    unit_row(label);
    for (size_t piece = 1; piece < 9; piece += 3) {
        struct pn_buf sent;
        pn_buf_init(&sent, SIZE_MAX);
        const char *why = sign_rig_sign(pn_str_of(content), edits, keys, 2, piece, &sent);
        UNIT_STR(pn_str_of(why), PN_STR(""));
        for (unsigned e = 0; e < SIGN_RIG_ENGINES; e++) {
            struct pn_buf words;
            pn_buf_init(&words, 4096);
            UNIT_INT(sign_rig_verify(e, pn_buf_str(&sent), keys, 2, &words), 2);
            UNIT_STR(pn_buf_str(&words), PN_STR("oversigned;oversigned;"));
            pn_buf_fini(&words);
        }
        pn_buf_fini(&sent);
        if (edits != NULL)
            break; /* the signatures were added to them */
    }
}

static void test_pass(void)
{
    static const struct {
        const char *label, *content;
    } rows[] = {
        {"plain", JOE REST BODY},
        {"no body", JOE REST},
        {"no empty line", JOE},
        {"a body of line ends", JOE REST "\r\n\r\n"},
        {"a body without its last line end", JOE REST "Hi."},
        {"a body that looks like a header", JOE REST "To: x@y.test\r\n\r\nFrom: eve@e.test\r\n"},
        {"blanks before a colon", JOE "To : ann@b.test\r\n\r\nx\r\n"},
        {"folds everywhere", "From:\r\n\tJoe\r\n <joe@a.test>\r\nTo: ann@b.test,\r\n\tb@b.test\r\n"
                             "Subject:\r\n is it\r\n \r\n\r\nx\r\n"},
        {"8 bits", "From: J\xc3\xb6 <joe@a.test>\r\nSubject: \xe4\xff\r\n\r\n\xc3\xa4\r\n"},
        {"fields twice", "Subject: a\r\n" JOE "Subject: b\r\nDate: x\r\nDate: y\r\n\r\nx\r\n"},
        {"another's signature below",
         "DKIM-Signature: v=1; a=rsa-sha256; d=b.test; s=none; h=From; bh=YQ==; b=YQ==\r\n" JOE
         "\r\nx\r\n"},
    };
    make_keys();
    for (size_t i = 0; i + 1 < COUNT(rows); i++)
        check_pass(rows[i].label, rows[i].content, NULL);
    /* Theirs has no key; ours pass all the same. */
    struct pn_buf sent, words;
    pn_buf_init(&sent, SIZE_MAX);
    pn_buf_init(&words, 4096);
    UNIT_TRUE(sign_rig_sign(pn_str_of(rows[COUNT(rows) - 1].content), NULL, keys, 2, 3, &sent) ==
              NULL);
    UNIT_INT(sign_rig_verify(0, pn_buf_str(&sent), keys, 2, &words), 2);
    pn_buf_fini(&sent);
    pn_buf_fini(&words);
}

static void test_edits(void)
{
    static const char content[] =
        "Received: by z\r\nSubject: one\r\n" JOE "Subject: two\r\n" REST BODY;
    static const struct {
        const char *label;
        struct pn_edit edit;
    } rows[] = {
        {"a line on top", {PN_EDIT_ADD_TOP, PN_STR_INIT("Subject"), PN_STR_INIT("zero"), 0}},
        {"behind the trace", {PN_EDIT_ADD_AFTER_TRACE, PN_STR_INIT("To"), PN_STR_INIT("c@d"), 0}},
        {"at the end", {PN_EDIT_ADD_END, PN_STR_INIT("Message-ID"), PN_STR_INIT("<1@a>"), 0}},
        {"before a field", {PN_EDIT_ADD_AT, PN_STR_INIT("Date"), PN_STR_INIT("now"), 2}},
        {"the last goes", {PN_EDIT_REMOVE, PN_STR_INIT("Subject"), PN_STR_INIT(""), -1}},
        {"the first goes", {PN_EDIT_REMOVE, PN_STR_INIT("Subject"), PN_STR_INIT(""), 1}},
        {"all go", {PN_EDIT_REMOVE, PN_STR_INIT("Subject"), PN_STR_INIT(""), 0}},
        {"folded by us",
         {PN_EDIT_ADD_TOP, PN_STR_INIT("References"),
          PN_STR_INIT(
              "<aaaaaaaaaaaaaaaaaaaaaaaaaaaaa@a.test> <bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb@a> "
              "<ccccccccccccccccccccccccccc@a.test>"),
          0}},
    };
    make_keys();
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pn_edits *edits = pn_edits_new(65536);
        UNIT_INT(pn_edits_put(edits, &rows[i].edit), PN_EDIT_OK);
        check_pass(rows[i].label, content, edits);
        pn_edits_free(&edits);
    }
    struct pn_edits *all = pn_edits_new(65536);
    for (size_t i = 0; i < COUNT(rows); i++)
        UNIT_INT(pn_edits_put(all, &rows[i].edit), PN_EDIT_OK);
    check_pass("all of them", content, all);
    pn_edits_free(&all);
}

/* What a user leaves to us: without From, without a header, without anything. */
static void test_added(void)
{
    static const struct {
        const char *label, *content;
    } rows[] = {
        {"no From", REST BODY},
        {"an empty header", "\r\n" BODY},
        {"an empty header and no body", "\r\n"},
        {"nothing", ""},
    };
    make_keys();
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pn_edits *edits = pn_edits_new(65536);
        UNIT_INT(pn_edits_add(edits, PN_EDIT_ADD_TOP, PN_STR("From"), PN_STR("joe@a.test"), false),
                 PN_EDIT_OK);
        UNIT_INT(pn_edits_add(edits, PN_EDIT_ADD_END, PN_STR("Date"),
                              PN_STR("Sun, 15 Jun 2025 10:00:00 +0000"), false),
                 PN_EDIT_OK);
        check_pass(rows[i].label, rows[i].content, edits);
        pn_edits_free(&edits);
    }
}

/* An edit that makes of it what we don't sign. */
static void test_edits_refused(void)
{
    struct pn_edits *edits = pn_edits_new(65536);
    struct pn_sign_header h;
    UNIT_INT(pn_edits_remove(edits, PN_STR("From"), 0), PN_EDIT_OK);
    const char *why = pn_sign_header_read(&h, PN_STR(JOE REST BODY), edits);
    UNIT_STR(pn_str_of(why), PN_STR("no From field"));
    pn_sign_header_fini(&h);
    pn_edits_free(&edits);
}

/* Behind our back: what breaks a signature, and what does not. */
static void test_changed(void)
{
    static const struct {
        const char *label, *find, *put;
        size_t want;
    } rows[] = {
        {"untouched", "Hi.", "Hi.", 2},
        {"the body", "Hi.", "Ho.", 0},
        {"a line behind", "\tJoe\r\n", "\tJoe\r\nPS\r\n", 0},
        {"line ends behind", "\tJoe\r\n", "\tJoe\r\n\r\n\r\n", 2},
        {"blanks", "lost  the", "lost \t the", 2},
        {"a field", "Subject: is", "Subject: it is", 0},
        {"a field's folds", "is\r\n  it?", "is it?", 2},
        {"a field's letters", "Subject: is", "SUBJECT:is", 2},
        {"a second From", "From: Joe", "From: eve@e.test\r\nFrom: Joe", 0},
        {"a second Subject", "From: Joe", "Subject: win\r\nFrom: Joe", 0},
        {"a Subject at the end", "To: ann", "Subject: win\r\nTo: ann", 0},
        {"a Cc, where there was none", "To: ann", "Cc: x@y.test\r\nTo: ann", 0},
        {"a type, where there was none", "To: ann", "Content-Type: text/html\r\nTo: ann", 0},
        {"a date, where there was none", "To: ann", "Date: now\r\nTo: ann", 0},
        {"a list's own fields", "To: ann", "List-Id: <l>\r\nSender: l@l\r\nX-L: 1\r\nTo: ann", 2},
        {"trace", "From: Joe", "Received: by y\r\nFrom: Joe", 2},
        {"To goes", "To: ann@b.test\r\n", "", 0},
    };
    struct pn_buf sent;
    make_keys();
    pn_buf_init(&sent, SIZE_MAX);
    UNIT_TRUE(sign_rig_sign(PN_STR(JOE REST BODY), NULL, keys, 2, 100, &sent) == NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pn_buf changed, words;
        pn_buf_init(&changed, SIZE_MAX);
        pn_buf_init(&words, 4096);
        const char *at = memmem(sent.p, sent.len, rows[i].find, strlen(rows[i].find));
        unit_row(rows[i].label);
        CU_ASSERT_FATAL(at != NULL);
        (void)pn_buf_add(&changed, sent.p, (size_t)(at - sent.p));
        (void)pn_buf_addz(&changed, rows[i].put);
        at += strlen(rows[i].find);
        (void)pn_buf_add(&changed, at, (size_t)(sent.p + sent.len - at));
        for (unsigned e = 0; e < SIGN_RIG_ENGINES; e++)
            UNIT_INT(sign_rig_verify(e, pn_buf_str(&changed), keys, 2, &words), rows[i].want);
        pn_buf_fini(&words);
        pn_buf_fini(&changed);
    }
    pn_buf_fini(&sent);
}

/* No line of the field is longer than 78, but where a name is. */
static void test_folds(void)
{
    make_keys();
    struct pn_buf sent;
    pn_buf_init(&sent, SIZE_MAX);
    UNIT_TRUE(sign_rig_sign(
                  PN_STR("Sender: a@a.test\r\nReferences: <1>\r\nIn-Reply-To: <1>\r\n" JOE REST),
                  NULL, keys, 2, 100, &sent) == NULL);
    struct pn_str rest = pn_buf_str(&sent);
    size_t lines = 0, longest = 0;
    while (rest.p != NULL) {
        struct pn_str line = pn_str_split(&rest, '\n');
        longest = line.len > longest ? line.len : longest;
        lines++;
    }
    UNIT_TRUE(lines > 16);
    UNIT_TRUE(longest <= 79); /* with its CR */
    UNIT_TRUE(memmem(sent.p, sent.len, "l=", 2) == NULL);
    pn_buf_fini(&sent);
}

/* ---- keys */

static void test_keys(void)
{
    struct pn_buf out;
    EVP_PKEY *small = EVP_RSA_gen(768), *curve = EVP_EC_gen("P-256");
    unsigned char digest[PN_SIGN_HASH] = {0};
    make_keys();
    pn_buf_init(&out, 4096);
    UNIT_STR(pn_str_of(pn_sign_key_algorithm(keys[0])), PN_STR("rsa-sha256"));
    UNIT_STR(pn_str_of(pn_sign_key_algorithm(keys[1])), PN_STR("ed25519-sha256"));
    CU_ASSERT(pn_sign_key_algorithm(small) == NULL && pn_sign_key_algorithm(curve) == NULL);
    CU_ASSERT(!pn_sign_key_sign(small, digest, &out) && !pn_sign_key_sign(curve, digest, &out));
    CU_ASSERT(pn_sign_key_sign(keys[0], digest, &out) && out.len == 128);
    CU_ASSERT(pn_sign_key_sign(keys[1], digest, &out) && out.len == 128 + 64);
    static const char *const bad[] = {
        "", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"};
    for (size_t i = 0; i < COUNT(bad); i++)
        CU_ASSERT(pn_sign_key_read(pn_str_of(bad[i])) == NULL);
    EVP_PKEY_free(small);
    EVP_PKEY_free(curve);
    pn_buf_fini(&out);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"body", test_body},
        {"body, any", test_body_any},
        {"body, long", test_body_long},
        {"names", test_names},
        {"refused", test_refused},
        {"limits", test_limits},
        {"pass", test_pass},
        {"edits", test_edits},
        {"added", test_added},
        {"edits refused", test_edits_refused},
        {"changed", test_changed},
        {"folds", test_folds},
        {"keys", test_keys},
        {NULL, NULL},
    };
    int status = unit_main("sign", tests, argc, argv);
    EVP_PKEY_free(keys[0]);
    EVP_PKEY_free(keys[1]);
    return status;
}
