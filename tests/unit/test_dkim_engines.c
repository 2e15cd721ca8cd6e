/* Both engines, on messages that the signer of the tests signed: they answer alike, but for
 * the rows of `differ`, which plugins/dkim/README.md lists. */
#include "unit.h"

#include "buf.h"
#include "dkim_engine.h"
#include "dkim_signer.h"

#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>

enum { NOW = 1720000000 };
#define LATER INT64_C(4000000000)

static struct postern_str P(struct pn_str s) {
    return (struct postern_str){s.p, s.len};
}

static struct pn_str
Q(const char *cstr) {
    return pn_str_of(cstr == NULL ? "" : cstr);
}

#define BH "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

enum which {
    KEY_NONE,
    KEY_RSA,
    KEY_WEAK,
    KEY_ED,
    KEYS
};

static EVP_PKEY *rsa, *rsa_weak, *ed;

/* The records at each selector: the key stands behind the tags. Of "slow" the lookup fails, of
 * those that are not here there is no record. */
static struct {
    const char *selector;
    struct {
        const char *tags;
        enum which key;
        struct pn_buf text;
    } at[2];
} zone[] = {
    {"rsa", {{.tags = "v=DKIM1; k=rsa; p=", .key = KEY_RSA}}},
    {"Mixed.Case", {{.tags = "p=", .key = KEY_RSA}}},
    {"weak", {{.tags = "p=", .key = KEY_WEAK}}},
    {"ed", {{.tags = "v=DKIM1; k=ed25519; p=", .key = KEY_ED}}},
    {"both", {{.tags = "k=ed25519; p=", .key = KEY_ED}, {.tags = "k=rsa; p=", .key = KEY_RSA}}},
    {"text", {{.tags = "v=spf1 -all"}, {.tags = "p=", .key = KEY_RSA}}},
    {"junk", {{.tags = "k=rsa; p=QUJD"}}},
    {"revoked", {{.tags = "v=DKIM1; k=rsa; p="}}},
    {"testing", {{.tags = "v=DKIM1; t=y; p=", .key = KEY_RSA}}},
    {"strict", {{.tags = "v=DKIM1; t=s; p=", .key = KEY_RSA}}},
    {"sha1", {{.tags = "v=DKIM1; h=sha1; p=", .key = KEY_RSA}}},
    {"hashes", {{.tags = "v=DKIM1; h=sha1:sha256; p=", .key = KEY_RSA}}},
    {"service", {{.tags = "v=DKIM1; s=tlsrpt; p=", .key = KEY_RSA}}},
    {"mail", {{.tags = "v=DKIM1; s=chat:email; p=", .key = KEY_RSA}}},
    {"kind", {{.tags = "v=DKIM1; k=ed448; p=", .key = KEY_RSA}}},
    {"version", {{.tags = "v=DKIM2; p=", .key = KEY_RSA}}},
    {"syntax", {{.tags = "v=DKIM1; rsa; p=", .key = KEY_RSA}}},
    {"notes", {{.tags = "v=DKIM1; g=*; n=a note; zz=1; p=", .key = KEY_RSA}}},
    {"edrsa", {{.tags = "k=ed25519; p=", .key = KEY_RSA}}}};
enum { SELECTORS = sizeof(zone) / sizeof(zone[0]) };

static void keys_make(void)
{
    if (rsa != NULL)
        return;
    rsa = EVP_RSA_gen(1024);
    rsa_weak = EVP_RSA_gen(768);
    ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    UNIT_TRUE(rsa != NULL && rsa_weak != NULL && ed != NULL);
    EVP_PKEY *const keys[KEYS] = {[KEY_RSA] = rsa, [KEY_WEAK] = rsa_weak, [KEY_ED] = ed};

    for (size_t i = 0; i < 2 * SELECTORS; i++) {
        struct pn_buf record;
        struct pn_buf *text = &zone[i / 2].at[i % 2].text;
        enum which key = zone[i / 2].at[i % 2].key;

        if (zone[i / 2].at[i % 2].tags == NULL)
            continue;
        pn_buf_init(text, 2000);
        pn_buf_init(&record, 2000);
        (void)pn_buf_addz(text, zone[i / 2].at[i % 2].tags);
        if (key != KEY_NONE)
            signer_record(&record, keys[key]);
        /* Behind its own "v=DKIM1; k=...; p=". */
        size_t tags = record.len == 0 ? 0 : pn_str_find(pn_buf_str(&record), 'p', 0) + 2;

        (void)pn_buf_adds(text, pn_str_slice(pn_buf_str(&record), tags, record.len));
        pn_buf_fini(&record);
    }
}

static void keys_free(void)
{
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(rsa_weak);
    EVP_PKEY_free(ed);
    for (size_t i = 0; i < 2 * SELECTORS; i++)
        if (zone[i / 2].at[i % 2].tags != NULL)
            pn_buf_fini(&zone[i / 2].at[i % 2].text);
}

static void look_up(struct dkim_sig *s)
{
    struct postern_dns_record r[2];
    struct postern_dns_answer a = {.records = r, .rcode = POSTERN_DNS_NXDOMAIN};

    if (strcmp(s->selector, "slow") == 0)
        a.rcode = POSTERN_DNS_TIMEOUT;
    for (size_t i = 0; i < SELECTORS; i++) {
        if (strcmp(zone[i].selector, s->selector) != 0)
            continue;
        a.rcode = POSTERN_DNS_NOERROR;
        for (; a.count < 2 && zone[i].at[a.count].tags != NULL; a.count++)
            r[a.count].data = P(pn_buf_str(&zone[i].at[a.count].text));
    }
    dkim_key_choose(s, &a);
}

static void print(struct pn_buf *out, const struct dkim_sig *s)
{
    static const struct {
        unsigned flag;
        const char *word;
    } flags[] = {{DKIM_SIG_WEAK_KEY, "weak"},
                 {DKIM_SIG_SHA1, "sha1"},
                 {DKIM_SIG_PARTIAL, "partial"},
                 {DKIM_SIG_TESTING, "testing"},
                 {DKIM_SIG_EXPIRED, "expired"},
                 {DKIM_SIG_FUTURE, "future"},
                 {DKIM_SIG_FROM_UNSIGNED, "from unsigned"},
                 {DKIM_SIG_FROM_ADDED, "from added"},
                 {DKIM_SIG_OVERSIGNED, "oversigned"}};
    struct postern_str result = dkim_result_word(s->result);
    struct postern_str word = dkim_signature_word(s);

    (void)pn_buf_addf(out, "%s%.*s/%.*s", out->len == 0 ? "" : "; ", (int)result.len, result.p,
                      (int)word.len, word.p);
    if (s->reason != NULL)
        (void)pn_buf_addf(out, " %s", s->reason);
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        if ((s->flags & flags[i].flag) != 0)
            (void)pn_buf_addf(out, " [%s]", flags[i].word);
}

static const struct dkim_engine *const engines[] = {&dkim_engine_native, &dkim_engine_opendkim};
enum { ENGINES = 2, SIGS = 12 };

/* Prints "result/signature reason [flag]", parted by "; ". */
static void verify(const struct dkim_engine *engine, struct pn_str header, struct pn_str body,
                   const struct dkim_terms *terms, size_t max, struct pn_buf *out)
{
    static struct dkim_sig sigs[SIGS];
    void *state = engine->make();
    struct dkim_message m;
    size_t n;

    UNIT_TRUE(state != NULL);
    UNIT_INT(dkim_message_read(&m, P(header), P(body)), 0);
    n = dkim_sigs_read(&m, sigs, max, terms);
    for (size_t i = 0; i < n; i++)
        if (sigs[i].result == DKIM_PENDING)
            look_up(&sigs[i]);
    if (n > 0)
        UNIT_INT(engine->verify(state, &m, sigs, n), 0);
    for (size_t i = 0; i < n; i++) {
        dkim_sig_judge(&sigs[i]);
        print(out, &sigs[i]);
    }
    dkim_message_fini(&m);
    engine->free(state);
}

#define NAMES "From:To:Subject:X-Odd"

static const char HEADER[] = "Received: by x\r\n"
                             "From: Joe  <joe@a.test>\r\n"
                             "To: \tann@b.test,\r\n   bob@b.test  \r\n"
                             "Subject:is it?\r\n"
                             "X-Odd : 1\r\n";
static const char BODY[] = "Hi.\r\n\r\nWe lost  the game. \r\n\tJoe\r\n\r\n\r\n";

struct change {
    const char *label;
    struct signer_spec spec;
    const char *above;  /* fields put above the signature */
    const char *header; /* after signing, in place of HEADER */
    const char *body;   /* after signing, in place of BODY */
    const char *want;
    const char *signed_body; /* NULL: BODY */
    const char *signed_header;
    int64_t now;          /* 0: NOW */
    size_t max;           /* signatures looked at; 0: SIGS */
    EVP_PKEY *const *key; /* NULL: rsa */
};

static void play(const struct change *c, const struct dkim_engine *engine)
{
    struct pn_buf header, got;
    struct signer_spec spec = c->spec;

    if (spec.domain == NULL)
        spec.domain = "a.test";
    if (spec.length == 0)
        spec.length = -1;
    if (spec.names == NULL)
        spec.names = NAMES;
    spec.key = c->key == NULL ? rsa : *c->key;
    if (spec.selector == NULL)
        spec.selector = "rsa";
    pn_buf_init(&header, 1 << 20);
    pn_buf_init(&got, 4096);
    const struct dkim_terms terms = {c->now == 0 ? NOW : c->now, 3600, 1024, NULL};
    const char *signed_header = c->signed_header == NULL ? HEADER : c->signed_header;

    (void)pn_buf_addz(&header, c->above == NULL ? "" : c->above);
    signer_sign(&header, &spec, Q(signed_header),
                Q(c->signed_body == NULL ? BODY : c->signed_body));
    (void)pn_buf_addz(&header, c->header == NULL ? signed_header : c->header);
    (void)pn_buf_addz(&header, "\r\n");
    verify(engine, pn_buf_str(&header),
           Q(c->body == NULL ? (c->signed_body == NULL ? BODY : c->signed_body) : c->body), &terms,
           c->max == 0 ? SIGS : c->max, &got);
    unit_row(c->label);
    UNIT_STR(pn_buf_str(&got), Q(c->want));
    pn_buf_fini(&header);
    pn_buf_fini(&got);
}

#define RSA(canon_)                                                                                \
    {                                                                                              \
        .selector = "rsa", .canon = (canon_), .names = NAMES                                       \
    }
#define ED(canon_)                                                                                 \
    {                                                                                              \
        .selector = "ed", .canon = (canon_), .names = NAMES                                        \
    }

static const struct change changes[] = {
    {"rsa, forms by default", RSA(NULL), .want = "pass/valid"},
    {"rsa simple/simple", RSA("simple/simple"), .want = "pass/valid"},
    {"rsa simple/relaxed", RSA("simple/relaxed"), .want = "pass/valid"},
    {"rsa relaxed/simple", RSA("relaxed/simple"), .want = "pass/valid"},
    {"rsa relaxed/relaxed", RSA("relaxed/relaxed"), .want = "pass/valid"},
    {"rsa relaxed", RSA("relaxed"), .want = "pass/valid"},
    {"ed25519 simple/simple", ED("simple/simple"), .key = &ed, .want = "pass/valid"},
    {"ed25519 relaxed/relaxed", ED("relaxed/relaxed"), .key = &ed, .want = "pass/valid"},
    {"blanks changed, relaxed", RSA("relaxed/relaxed"),
     .header = "From:Joe <joe@a.test>\r\nTO: ann@b.test, bob@b.test\r\nSubject: is it?\r\n"
               "x-odd: 1\r\n",
     .body = "Hi.\r\n\r\nWe lost the game.\r\n Joe\r\n", .want = "pass/valid"},
    {"blanks changed, simple", RSA("simple/simple"),
     .body = "Hi.\r\n\r\nWe lost the game.\r\n Joe\r\n",
     .want = "fail/invalid body hash did not verify"},
    {"trap 1: body changed, header right", RSA("relaxed/relaxed"),
     .body = "Hi.\r\n\r\nWe won the game.\r\n", .want = "fail/invalid body hash did not verify"},
    {"header changed", RSA("relaxed/relaxed"),
     .header = "From: Joe <joe@a.test>\r\nTo: ann@b.test, bob@b.test\r\nSubject: it is!\r\n"
               "X-Odd: 1\r\n",
     .want = "fail/invalid signature did not verify"},
    {"ed25519, header changed", ED("relaxed/relaxed"), .key = &ed,
     .header = "From: Joe <joe@a.test>\r\nTo: ann@b.test, bob@b.test\r\nSubject: it is!\r\n"
               "X-Odd: 1\r\n",
     .want = "fail/invalid signature did not verify"},
    {"trap 2: one malformed beside it", RSA("relaxed/relaxed"),
     .above = "DKIM-Signature: aaaaaa\r\n",
     .want = "permerror/unchecked tag without \"=\"; pass/valid"},
    {"trap 3: a line without colon", RSA("relaxed/relaxed"), .above = "oops\r\n",
     .want = "pass/valid"},
    {"trap 3: no From",
     {.selector = "rsa", .canon = "relaxed/relaxed", .names = "From:To"},
     .header = "To: \tann@b.test,\r\n   bob@b.test  \r\n",
     .want = "permerror/unchecked no From field to sign"},
    {"trap 5: rsa-sha1",
     {.selector = "rsa", .names = NAMES, .sha1 = true},
     .want = "policy/unchecked rsa-sha1 is no longer accepted [sha1]"},
    {"trap 6: l= and text behind it",
     {.selector = "rsa", .names = NAMES, .length = 5, .canon = "simple/simple"},
     .body = "Hi.\r\nand more\r\n",
     .want = "neutral/valid l= leaves a part of the body unsigned [partial]"},
    {"l= of all of it, relaxed",
     {.selector = "rsa", .names = NAMES, .length = 32, .canon = "relaxed/relaxed"},
     .want = "pass/valid"},
    {"l= is more than there is",
     {.selector = "rsa", .names = NAMES, .length = 32, .canon = "relaxed/relaxed"},
     .body = "Hi.\r\n",
     .want = "permerror/invalid l= is more than the body has"},
    {"trap 7: a second From above is not this step's", RSA("relaxed/relaxed"),
     .above = "From: eve@e.test\r\n", .want = "pass/valid [from added]"},
    {"oversigned From and a second one",
     {.selector = "rsa", .names = "From:From:To", .canon = "relaxed/relaxed"},
     .above = "From: eve@e.test\r\n",
     .want = "fail/invalid signature did not verify"},
    {"oversigned From",
     {.selector = "rsa", .names = "From:From:To:Date", .canon = "relaxed/relaxed"},
     .want = "pass/valid [oversigned]"},
    {"trap 8: no last CRLF", RSA("relaxed/relaxed"), .body = "Hi.", .signed_body = "Hi.\r\n",
     .want = "pass/valid"},
    {"trap 8: no last CRLF, simple", RSA("simple/simple"), .body = "Hi.", .signed_body = "Hi.\r\n",
     .want = "pass/valid"},
    {"empty body, simple", RSA("simple/simple"), .body = "", .signed_body = "",
     .want = "pass/valid"},
    {"empty body, relaxed", RSA("relaxed/relaxed"), .body = "", .signed_body = "",
     .want = "pass/valid"},
    {"trap 9: a slow key beside it", RSA("relaxed/relaxed"),
     .above = "DKIM-Signature: v=1; a=rsa-sha256; d=a.test; s=slow; h=From; " BH "; b=YQ==\r\n",
     .want = "temperror/unchecked key lookup failed; pass/valid"},
    {"trap 10: q=",
     {.selector = "rsa", .names = NAMES, .tags = "q=dns/mx; "},
     .want = "permerror/unchecked unsupported q= tag"},
    {"trap 10: two records, rsa", {.selector = "both", .names = NAMES}, .want = "pass/valid"},
    {"trap 10: two records, ed25519",
     {.selector = "both", .names = NAMES},
     .key = &ed,
     .want = "pass/valid"},
    {"key too short",
     {.selector = "weak", .names = NAMES},
     .key = &rsa_weak,
     .want = "policy/unchecked key is too short [weak]"},
    {"key of another",
     {.selector = "rsa", .names = NAMES},
     .key = &rsa_weak,
     .want = "fail/invalid signature did not verify"},
    {"key is junk",
     {.selector = "junk", .names = NAMES},
     .want = "permerror/unchecked key can't be decoded"},
    {"no key",
     {.selector = "gone", .names = NAMES},
     .want = "permerror/unchecked no key for signature"},
    {"several From names, one From",
     {.names = "From:From:From"},
     .want = "pass/valid [oversigned]"},
    {"From twice, signed twice",
     {.names = "From:From"},
     .signed_header = "From: a@a.test\r\nFrom: b@a.test\r\n",
     .want = "pass/valid"},
    {"From twice, signed once",
     {.names = "From"},
     .signed_header = "From: a@a.test\r\nFrom: b@a.test\r\n",
     .want = "pass/valid [from added]"},
    {"From is not signed",
     {.names = "To:Subject"},
     .want = "permerror/unchecked From is not signed [from unsigned]"},
    {"names folded and blank", {.names = "From :\r\n\tTo: Subject :X-Odd"}, .want = "pass/valid"},
    {"names twice, fields once",
     {.names = "From:To:To:Subject:X-Odd:X-Odd:To"},
     .want = "pass/valid"},
    {"a field added that was signed as absent",
     {.names = "From:Reply-To"},
     .header = "Reply-To: eve@e.test\r\nFrom: Joe  <joe@a.test>\r\n",
     .want = "fail/invalid signature did not verify"},
    {"a second field of a signed name, above",
     {.names = "From:Subject"},
     .above = "Subject: win\r\n",
     .want = "pass/valid"},
    {"a second field of a signed name, below",
     {.names = "From:Subject"},
     .header = "From: Joe  <joe@a.test>\r\nSubject:is it?\r\nSubject: win\r\n",
     .want = "fail/invalid signature did not verify"},
    {"i= below d=", {.tags = "i=joe@b.a.test; "}, .want = "pass/valid"},
    {"i= is d=", {.tags = "i=@a.test; "}, .want = "pass/valid"},
    {"i= encoded", {.tags = "i=j=6Fe@a.test; "}, .want = "pass/valid"},
    {"i= elsewhere",
     {.tags = "i=joe@ba.test; "},
     .want = "permerror/unchecked i= is not within d="},
    {"i= below d=, strict key",
     {.tags = "i=joe@b.a.test; ", .selector = "strict"},
     .want = "permerror/unchecked key is not for subdomains"},
    {"i= is d=, strict key",
     {.tags = "i=joe@A.test; ", .selector = "strict"},
     .want = "pass/valid"},
    {"no i=, strict key", {.selector = "strict"}, .want = "pass/valid"},
    {"expired",
     {.tags = "t=1; x=1719999999; "},
     .want = "permerror/unchecked signature expired [expired]"},
    {"not expired by any clock", {.tags = "t=1719990000; x=99999999999; "}, .want = "pass/valid"},
    {"made now", {.tags = "t=1720000000; "}, .want = "pass/valid"},
    {"made ahead, within the skew", {.tags = "t=1720003600; "}, .want = "pass/valid"},
    {"made in the future",
     {.tags = "t=1720003601; "},
     .want = "policy/unchecked signed in the future [future]"},
    {"key in test", {.selector = "testing"}, .want = "pass/valid [testing]"},
    {"key in test, body changed",
     {.selector = "testing"},
     .body = "x\r\n",
     .want = "fail/invalid body hash did not verify [testing]"},
    {"revoked", {.selector = "revoked"}, .want = "permerror/unchecked key is revoked"},
    {"key for sha1", {.selector = "sha1"}, .want = "permerror/unchecked key is not for sha256"},
    {"key for both hashes", {.selector = "hashes"}, .want = "pass/valid"},
    {"key of another service",
     {.selector = "service"},
     .want = "permerror/unchecked key is not for mail"},
    {"key of several services", {.selector = "mail"}, .want = "pass/valid"},
    {"key of unknown kind",
     {.selector = "kind"},
     .want = "permerror/unchecked key is of another kind"},
    {"ed25519 key for an rsa signature",
     {.selector = "ed"},
     .want = "permerror/unchecked key is of another kind"},
    {"rsa key for an ed25519 signature",
     {.selector = "rsa"},
     .key = &ed,
     .want = "permerror/unchecked key is of another kind"},
    {"ed25519 by name, rsa by content",
     {.selector = "edrsa"},
     .key = &ed,
     .want = "permerror/unchecked key can't be decoded"},
    {"version of the key",
     {.selector = "version"},
     .want = "permerror/unchecked unsupported version of the key record"},
    {"syntax of the key",
     {.selector = "syntax"},
     .want = "permerror/unchecked malformed key record"},
    {"key with notes", {.selector = "notes"}, .want = "pass/valid"},
    {"key beside another text", {.selector = "text"}, .want = "pass/valid"},
    {"key lookup failed", {.selector = "slow"}, .want = "temperror/unchecked key lookup failed"},
    {"a= in capitals", {.a = "RSA-SHA256"}, .want = "pass/valid"},
    {"c= in capitals", {.canon = "relaxed/relaxed", .tags = "q=DNS/TXT; "}, .want = "pass/valid"},
    {"d= in capitals", {.domain = "A.Test"}, .want = "pass/valid"},
    {"selector of labels", {.selector = "Mixed.Case"}, .want = "pass/valid"},
    {"q= of several", {.tags = "q=http:dns/txt; "}, .want = "pass/valid"},
    {"z= and unknown tags",
     {.tags = "z=From:joe@a.test|To:ann; zz=1; r=y; "},
     .want = "pass/valid"},
    {"a tag without a value", {.tags = "zz=; "}, .want = "pass/valid"},
    {"empty tag", {.tags = "; "}, .want = "permerror/unchecked empty tag"},
    {"tag twice", {.tags = "d=a.test; "}, .want = "permerror/unchecked tag given twice"},
    {"l=0",
     {.tags = "l=0; "},
     .signed_body = "",
     .body = "more\r\n",
     .want = "fail/invalid body hash did not verify"},
    {"l=0, relaxed",
     {.canon = "relaxed/relaxed", .tags = "l=0; "},
     .signed_body = "",
     .body = "more\r\n",
     .want = "neutral/valid l= leaves a part of the body unsigned [partial]"},
    {"l= and only line ends behind it",
     {.length = 5},
     .signed_body = "Hi.\r\n",
     .body = "Hi.\r\n\r\n\r\n",
     .want = "pass/valid"},
    {"empty fields",
     {.names = "From:Subject:X", .canon = "relaxed/relaxed"},
     .signed_header = "From: a@a.test\r\nSubject:\r\nX: \r\n",
     .want = "pass/valid"},
    {"8-bit header and body",
     {.names = "From:Subject", .canon = "relaxed/relaxed"},
     .signed_header = "From: a@a.test\r\nSubject: \xc3\xa4\xff\r\n",
     .signed_body = "\xc3\xa4\xff \xa0\r\n",
     .want = "pass/valid"},
    {"a fold of blanks only",
     {.names = "From:Subject", .canon = "relaxed/relaxed"},
     .signed_header = "From: a@a.test\r\nSubject: a\r\n \r\n b\r\n",
     .want = "pass/valid"},
    {"dots and odd lines",
     {.canon = "simple/simple"},
     .signed_body = ".\r\n..\r\n\r\n \r\nFrom x\r\n",
     .want = "pass/valid"},
    {"LF became CRLF",
     {.canon = "simple/simple"},
     .signed_body = "a\nb\r\n",
     .body = "a\r\nb\r\n",
     .want = "fail/invalid body hash did not verify"}};

static void test_engines(void)
{
    keys_make();
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
        for (size_t e = 0; e < ENGINES; e++)
            play(&changes[i], engines[e]);
}

/* Where libopendkim answers otherwise. The README's table has these labels and results. */
static void test_differ(void)
{
    static const char twice[] = "DKIM-Signature: x\r\nFrom: a@a.test\r\n";

    keys_make();
    const struct {
        struct change change;
        const char *library;
    } rows[] = {
        {{"bare CR in the body",
          {.canon = "simple/simple"},
          .signed_body = "a\rb\r\n",
          .want = "pass/valid"},
         "fail/invalid body hash did not verify"},
        {{"bare CR in the body, relaxed",
          {.canon = "relaxed/relaxed"},
          .signed_body = "a \r b\r\n",
          .want = "pass/valid"},
         "fail/invalid body hash did not verify"},
        {{"bare LF in the body",
          {.canon = "simple/simple"},
          .signed_body = "a\nb\r\n",
          .want = "pass/valid"},
         "fail/invalid body hash did not verify"},
        {{"bare LF in the body, relaxed",
          {.canon = "relaxed/relaxed"},
          .signed_body = "a\nb\r\n",
          .want = "pass/valid"},
         "fail/invalid body hash did not verify"},
        {{"CRLF of a fold became a bare CR",
          {.canon = "relaxed/relaxed", .names = "From:Subject"},
          .signed_header = "From: a@a.test\r\nSubject: a\r\n b\r\n",
          .header = "From: a@a.test\r\nSubject: a\r b\r\n",
          .want = "fail/invalid signature did not verify"},
         "pass/valid"},
        {{"form feed behind a field",
          {.canon = "relaxed/relaxed", .names = "From:Subject"},
          .signed_header = "From: a@a.test\r\nSubject: a\r\n",
          .header = "From: a@a.test\r\nSubject: a\f\r\n",
          .want = "fail/invalid signature did not verify"},
         "pass/valid"},
        {{"CRLF of the body became LF",
          {.canon = "simple/simple"},
          .signed_body = "a\r\nb\r\n",
          .body = "a\nb\r\n",
          .want = "fail/invalid body hash did not verify"},
         "pass/valid"},
        {{"`x=` before the machine's clock, not before the message's time",
          {.tags = "t=1719990000; x=1720000000; "},
          .want = "pass/valid"},
         "permerror/unchecked outside its time by the engine's clock"},
        {{"`t=` after the machine's clock, not after the message's time",
          {.tags = "t=3999999999; "},
          .now = LATER,
          .want = "pass/valid"},
         "permerror/unchecked outside its time by the engine's clock"},
        {{"`t=` in the first five minutes of 1970", {.tags = "t=1; "}, .want = "pass/valid"},
         "permerror/unchecked outside its time by the engine's clock"},
        {{"signs a DKIM-Signature field below the first `max-signatures`",
          {.names = "From:DKIM-Signature"},
          .signed_header = twice,
          .max = 1,
          .want = "pass/valid"},
         "fail/invalid signature did not verify"},
        {{"`h=` has DKIM-Signature, and there is no other",
          {.names = "From:DKIM-Signature"},
          .want = "pass/valid"},
         "fail/invalid signature did not verify"},
        {{"`h=` has DKIM-Signature twice, and there is one other",
          {.names = "From:DKIM-Signature:DKIM-Signature"},
          .signed_header = twice,
          .want = "pass/valid; permerror/unchecked tag without \"=\""},
         "fail/invalid signature did not verify; permerror/unchecked tag without \"=\""}};
    char readme[16384];
    FILE *f = fopen(DKIM_README, "r");
    size_t len = f == NULL ? 0 : fread(readme, 1, sizeof(readme), f);

    UNIT_TRUE(f != NULL && fclose(f) == 0 && len > 0 && len < sizeof(readme));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct change c = rows[i].change;
        char line[200];
        int n = snprintf(line, sizeof(line), "\n| %s | `%.*s` | `%.*s` |\n", c.label,
                         (int)strcspn(c.want, "/"), c.want, (int)strcspn(rows[i].library, "/"),
                         rows[i].library);

        play(&c, &dkim_engine_native);
        UNIT_TRUE(n > 0 && memmem(readme, len, line, (size_t)n) != NULL);
        c.want = rows[i].library;
        play(&c, &dkim_engine_opendkim);
    }
}

/* Several signatures of two kinds on one message, each over its own part of the body. */
static void test_lengths_together(void)
{
    static const long lengths[] = {20, -1, 5, 1, 20, 32};
    static const char *const want =
        "neutral/valid l= leaves a part of the body unsigned [partial]; pass/valid; "
        "neutral/valid l= leaves a part of the body unsigned [partial]; "
        "neutral/valid l= leaves a part of the body unsigned [partial]; "
        "neutral/valid l= leaves a part of the body unsigned [partial]; pass/valid";

    keys_make();
    for (size_t e = 0; e < ENGINES; e++) {
        struct pn_buf header, got;

        pn_buf_init(&header, 1 << 20);
        pn_buf_init(&got, 4096);
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            struct signer_spec spec = ED("simple/relaxed");

            if (i % 2 == 1)
                spec = (struct signer_spec)RSA("relaxed/relaxed");
            spec.key = i % 2 == 1 ? rsa : ed;
            spec.domain = "a.test";
            spec.length = lengths[i];
            signer_sign(&header, &spec, Q(HEADER), Q(BODY));
        }
        (void)pn_buf_addz(&header, HEADER);
        verify(engines[e], pn_buf_str(&header), Q(BODY),
               &(struct dkim_terms){NOW, 3600, 1024, NULL}, SIGS, &got);
        unit_row(engines[e]->name);
        UNIT_STR(pn_buf_str(&got), Q(want));
        pn_buf_fini(&header);
        pn_buf_fini(&got);
    }
}

/* A header that a stranger made long. libopendkim, given it, reads behind the end of its buffer
 * and crashes in a worker; names that a hash throws together cost a hash their number squared. */
static void test_long_header(void)
{
    static const struct {
        const char *label, *canon;
        size_t fields, name, value;
    } rows[] = {{"a long field, simple", "simple/simple", 1, 4, 1000000},
                {"a long field, relaxed", "relaxed/relaxed", 1, 4, 1000000},
                {"long names, many", "simple/simple", 3900, 900, 1}};

    keys_make();
    for (size_t i = 0; i < ENGINES * sizeof(rows) / sizeof(rows[0]); i++) {
        const struct dkim_engine *engine = engines[i % ENGINES];
        struct signer_spec spec = {.selector = "ed",
                                   .domain = "a.test",
                                   .key = ed,
                                   .canon = rows[i / ENGINES].canon,
                                   .names = "From:X0000",
                                   .length = -1};
        struct pn_buf header, all, got;

        pn_buf_init(&header, SIZE_MAX);
        pn_buf_init(&all, SIZE_MAX);
        pn_buf_init(&got, 4096);
        (void)pn_buf_addz(&header, "From: a@a.test\r\n");
        for (size_t k = 0; k < rows[i / ENGINES].fields; k++)
            (void)pn_buf_addf(&header, "X%0*zu: %0*d\r\n", (int)rows[i / ENGINES].name, k,
                              (int)rows[i / ENGINES].value, 0);
        signer_sign(&all, &spec, pn_buf_str(&header), Q(BODY));
        (void)pn_buf_adds(&all, pn_buf_str(&header));
        verify(engine, pn_buf_str(&all), Q(BODY), &(struct dkim_terms){NOW, 3600, 1024, NULL}, SIGS,
               &got);
        unit_row(rows[i / ENGINES].label);
        UNIT_STR(pn_buf_str(&got), Q("pass/valid"));
        pn_buf_fini(&header);
        pn_buf_fini(&all);
        pn_buf_fini(&got);
    }
}

/* libopendkim reads behind a field that has a NUL in it. */
static void test_nul(void)
{
    static const char bytes[] = "From: a\0 joe@a.test\r\nX: \0\0\0 and on\r\n";
    const struct pn_str header = {bytes, sizeof(bytes) - 1};

    keys_make();
    for (size_t e = 0; e < ENGINES; e++) {
        struct pn_buf all, got;
        struct signer_spec spec = ED("relaxed/relaxed");

        spec.key = ed;
        spec.domain = "a.test";
        spec.names = "From:X";
        spec.length = -1;
        pn_buf_init(&all, 1 << 20);
        pn_buf_init(&got, 4096);
        signer_sign(&all, &spec, header, Q(BODY));
        (void)pn_buf_adds(&all, header);
        verify(engines[e], pn_buf_str(&all), Q(BODY), &(struct dkim_terms){NOW, 3600, 1024, NULL},
               SIGS, &got);
        unit_row(engines[e]->name);
        UNIT_STR(pn_buf_str(&got), Q("pass/valid"));
        pn_buf_fini(&all);
        pn_buf_fini(&got);
    }
}

/* More signatures than are looked at: the first of them count, the rest cost nothing. */
static void test_too_many(void)
{
    keys_make();
    for (size_t e = 0; e < ENGINES; e++) {
        struct pn_buf header, got;
        struct signer_spec spec = ED("relaxed/relaxed");

        spec.key = ed;
        spec.domain = "a.test";
        spec.length = -1;
        pn_buf_init(&header, 1 << 20);
        pn_buf_init(&got, 4096);
        for (int i = 0; i < 40; i++)
            signer_sign(&header, &spec, Q(HEADER), Q(BODY));
        (void)pn_buf_addz(&header, HEADER);
        verify(engines[e], pn_buf_str(&header), Q(BODY),
               &(struct dkim_terms){NOW, 3600, 1024, NULL}, 3, &got);
        unit_row(engines[e]->name);
        UNIT_STR(pn_buf_str(&got), Q("pass/valid; pass/valid; pass/valid"));
        pn_buf_fini(&header);
        pn_buf_fini(&got);
    }
    keys_free();
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"engines", test_engines},
                                             {"where they differ", test_differ},
                                             {"several lengths", test_lengths_together},
                                             {"long header", test_long_header},
                                             {"NUL", test_nul},
                                             {"too many", test_too_many},
                                             {NULL, NULL}};

    return unit_main("dkim_engines", tests, argc, argv);
}
