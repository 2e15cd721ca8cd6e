/* The plugin dkim in a host: what it asks, states and limits. */
#include "unit.h"

#include "buf.h"
#include "dkim_signer.h"
#include "fakehost.h"

#include <openssl/rsa.h>
#include <stdio.h>

extern const struct postern_plugin postern_plugin;

static EVP_PKEY *ed, *weak;
static char dns[2500];
static const char HEADER[] = "From: joe@a.test\r\nTo: ann@b.test\r\nSubject: s\r\n";
static const char BODY[] = "Hi.\r\n";

static void make_zone(void)
{
    struct pn_buf record, short_record;

    if (ed == NULL) {
        ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        weak = EVP_RSA_gen(768);
    }
    pn_buf_init(&record, 500);
    pn_buf_init(&short_record, 500);
    signer_record(&short_record, weak);
    signer_record(&record, ed); /* "v=DKIM1; k=..." */
    (void)snprintf(dns, sizeof(dns),
                   "good._domainkey.a.test TXT \"%.*s\"\n"
                   "test._domainkey.a.test TXT \"t=y; %.*s\"\n"
                   "slow._domainkey.a.test TIMEOUT\n"
                   "down._domainkey.a.test SERVFAIL\n"
                   "strict._domainkey.a.test TXT \"t=s; %.*s\"\n"
                   "weak._domainkey.a.test TXT \"%.*s\"\n"
                   "xn--schlssel-95a._domainkey.xn--bcher-kva.test TXT \"%.*s\"\n",
                   (int)record.len - 9, record.p + 9, (int)record.len - 9, record.p + 9,
                   (int)record.len - 9, record.p + 9, (int)short_record.len, short_record.p,
                   (int)record.len - 9, record.p + 9);
    pn_buf_fini(&short_record);
    pn_buf_fini(&record);
}

/* The signatures of the rows, by letter. */
static const struct {
    char letter;
    const char *selector, *domain, *names, *tags;
    long length;
    EVP_PKEY **key; /* NULL: ed */
    bool sha1;
} kinds[] = {{'g', "good", "a.test", "From:To", NULL, -1},
             {'t', "test", "A.test", "From:To", NULL, -1},
             {'s', "slow", "a.test", "From:To", NULL, -1},
             {'d', "down", "a.test", "From:To", NULL, -1},
             {'x', "gone", "a.test", "From:To", NULL, -1},
             {'l', "good", "a.test", "From:To", NULL, 3},
             {'o', "good", "a.test", "From:From:To", NULL, -1},
             {'u', "good", "a.test", "To", NULL, -1},
             {'e', "good", "a.test", "From:To", "t=1; x=1600000000; ", -1},
             {'f', "good", "a.test", "From:To", "t=1700003601; ", -1},
             {'n', "good", "a.test", "From:To", "t=1700003600; ", -1},
             {'i', "strict", "a.test", "From:To", "i=@b.a.test; ", -1},
             {'U', "schl\xc3\xbcssel",
              "B\xc3\xbc"
              "cher.test",
              "From:To", NULL, -1},
             {'I', "schl\xc3\xbcssel", "xn--bcher-KVA.test", "From:To",
              "i=j\xc3\xb6@m.b=C3=BCcher.test; ", -1},
             {'J', "xn--schlssel-95a",
              "b\xc3\xbc"
              "cher.test",
              "From:To", "i=@m.xn--bcher-kva.test; ", -1},
             {'K', "good", "a.test", "From:To",
              "i=@b\xc3\xbc"
              "cher.test; ",
              -1},
             {'L', "good", "a\xff.test", "From:To", NULL, -1},
             {'M', "s\xff", "a.test", "From:To", NULL, -1},
             {'w', "weak", "a.test", "From:To", NULL, -1, &weak, false},
             {'1', "weak", "a.test", "From:To", NULL, -1, &weak, true}};

static void sign(struct pn_buf *out, char letter)
{
    size_t i = 0;

    while (kinds[i].letter != letter)
        i++;
    struct signer_spec spec = {.key = kinds[i].key == NULL ? ed : *kinds[i].key,
                               .sha1 = kinds[i].sha1,
                               .domain = kinds[i].domain,
                               .selector = kinds[i].selector,
                               .canon = "relaxed/relaxed",
                               .names = kinds[i].names,
                               .tags = kinds[i].tags,
                               .length = kinds[i].length};

    signer_sign(out, &spec, pn_str_of(HEADER), pn_str_of(BODY));
}

struct row {
    const char *label;
    const char *selectors; /* of the signatures, a letter of `kinds` each */
    const char *above;     /* fields above them */
    const char *body;      /* NULL: BODY */
    const char *facts, *auth, *asked;
};

static void message(struct pn_buf *b, const struct row *r)
{
    (void)pn_buf_addz(b, r->above);
    for (const char *p = r->selectors; *p != '\0'; p++)
        sign(b, *p);
    (void)pn_buf_addz(b, HEADER);
    (void)pn_buf_addz(b, "\r\n");
    (void)pn_buf_addz(b, r->body == NULL ? BODY : r->body);
}

#define ED        " algorithm=ed25519-sha256 bits=256"
#define IDN       "dkim=pass signature=valid domain=xn--bcher-kva.test selector=xn--schlssel-95a" ED
#define IDN_ASKED "TXT xn--schlssel-95a._domainkey.xn--bcher-kva.test"
#define GOOD      "dkim=pass signature=valid domain=a.test selector=good" ED

static void play(const struct row *r, const struct fake_row *settings)
{
    struct fakehost *h = fakehost_new(&postern_plugin, settings, dns);
    struct pn_buf b;

    unit_row(r->label);
    UNIT_STR(fakehost_setup_error(h), PN_STR(""));
    pn_buf_init(&b, 1 << 20);
    message(&b, r);
    fakehost_time(h, INT64_C(1700000000) * 1000);
    fakehost_client(h, "192.0.2.1", "x");
    fakehost_envelope(h, "joe@a.test", "ann@b.test");
    fakehost_message(h, pn_buf_str(&b));
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
    UNIT_STR(fakehost_facts(h), pn_str_of(r->facts));
    UNIT_STR(fakehost_auth(h), pn_str_of(r->auth));
    UNIT_STR(fakehost_asked(h), pn_str_of(r->asked));
    pn_buf_fini(&b);
    fakehost_free(&h);
}

static void play_both(const struct row *rows, size_t n)
{
    static const struct fake_row library[] = {{"engine", {"libopendkim"}}, {NULL}};

    make_zone();
    for (size_t i = 0; i < n; i++) {
        play(&rows[i], NULL);
        play(&rows[i], library);
    }
}

/* RFC 8616: A-labels from the moment they are read. */
static void test_u_labels(void)
{
    static const struct row rows[] = {
        {"U-labels", "U", "", NULL, "DKIM_VALID=-0.1(xn--bcher-kva.test)", IDN, IDN_ASKED},
        {"U-labels, body changed", "U", "", "Ho.\r\n",
         "DKIM_INVALID=0.2(xn--bcher-kva.test: body hash did not verify)",
         "dkim=fail signature=invalid reason=body hash did not verify domain=xn--bcher-kva.test "
         "selector=xn--schlssel-95a" ED,
         IDN_ASKED},
        {"U-labels in i=", "I", "", NULL, "DKIM_VALID=-0.1(xn--bcher-kva.test)", IDN, IDN_ASKED},
        {"U-labels in d=, not in i=", "J", "", NULL, "DKIM_VALID=-0.1(xn--bcher-kva.test)", IDN,
         IDN_ASKED},
        {"U-labels beside ASCII", "Ug", "", NULL,
         "DKIM_VALID=-0.1(xn--bcher-kva.test) DKIM_VALID=-0.1(a.test)", IDN "; " GOOD,
         IDN_ASKED ", TXT good._domainkey.a.test"},
        {"U-labels elsewhere", "K", "", NULL, "DKIM_PERMERROR=0.1(a.test: i= is not within d=)",
         "dkim=permerror signature=unchecked reason=i= is not within d= domain=a.test "
         "selector=good algorithm=ed25519-sha256",
         ""},
        {"not UTF-8 in d=", "L", "", NULL, "DKIM_PERMERROR=0.1(?: malformed d= tag)",
         "dkim=permerror signature=unchecked reason=malformed d= tag algorithm=ed25519-sha256", ""},
        {"not UTF-8 in s=", "M", "", NULL, "DKIM_PERMERROR=0.1(a.test: malformed s= tag)",
         "dkim=permerror signature=unchecked reason=malformed s= tag domain=a.test "
         "algorithm=ed25519-sha256",
         ""}};

    play_both(rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_facts(void)
{
    static const struct row rows[] = {
        {"none", "", "", NULL, "DKIM_NONE=0", "dkim=none", ""},
        {"good", "g", "", NULL, "DKIM_VALID=-0.1(a.test)", GOOD, "TXT good._domainkey.a.test"},
        {"body changed", "g", "", "Ho.\r\n", "DKIM_INVALID=0.2(a.test: body hash did not verify)",
         "dkim=fail signature=invalid reason=body hash did not verify domain=a.test "
         "selector=good" ED,
         "TXT good._domainkey.a.test"},
        {"key in test", "t", "", NULL, "DKIM_VALID=-0.1(a.test) DKIM_TESTING=0(a.test)",
         "dkim=pass signature=valid domain=a.test selector=test" ED, "TXT test._domainkey.a.test"},
        {"body changed, key in test", "t", "", "Ho.\r\n",
         "DKIM_TESTING=0(a.test: body hash did not verify)",
         "dkim=fail signature=invalid reason=body hash did not verify domain=a.test "
         "selector=test" ED,
         "TXT test._domainkey.a.test"},
        {"slow key and good", "sg", "", NULL,
         "DKIM_TEMPERROR=0(a.test: key lookup failed) DKIM_VALID=-0.1(a.test)",
         "dkim=temperror signature=unchecked reason=key lookup failed domain=a.test "
         "selector=slow algorithm=ed25519-sha256; " GOOD,
         "TXT slow._domainkey.a.test, TXT good._domainkey.a.test"},
        {"no key", "x", "", NULL, "DKIM_PERMERROR=0.1(a.test: no key for signature)",
         "dkim=permerror signature=unchecked reason=no key for signature domain=a.test "
         "selector=gone algorithm=ed25519-sha256",
         "TXT gone._domainkey.a.test"},
        {"malformed", "g", "DKIM-Signature: aaaaaa\r\n", NULL,
         "DKIM_PERMERROR=0.1(?: tag without \"=\") DKIM_VALID=-0.1(a.test)",
         "dkim=permerror signature=unchecked reason=tag without \"=\"; " GOOD,
         "TXT good._domainkey.a.test"},
        {"algorithm with a fold in it", "g",
         "DKIM-Signature: v=1; a=rsa\r\n -sha256; d=a.test; s=x; h=From; bh=YQ==; b=YQ==\r\n", NULL,
         "DKIM_PERMERROR=0.1(a.test: unsupported algorithm) DKIM_VALID=-0.1(a.test)",
         "dkim=permerror signature=unchecked reason=unsupported algorithm domain=a.test "
         "selector=x; " GOOD,
         "TXT good._domainkey.a.test"},
        {"algorithm in foreign bytes", "",
         "DKIM-Signature: v=1; a=\xff; d=a.test; s=x; h=From; bh=YQ==; b=YQ==\r\n", NULL,
         "DKIM_PERMERROR=0.1(a.test: unsupported algorithm)",
         "dkim=permerror signature=unchecked reason=unsupported algorithm domain=a.test "
         "selector=x",
         ""},
        {"unsigned tail", "l", "", NULL,
         "DKIM_PARTIAL_BODY=0.5(a.test: l= leaves a part of the body unsigned)",
         "dkim=neutral signature=valid reason=l= leaves a part of the body unsigned "
         "domain=a.test selector=good" ED,
         "TXT good._domainkey.a.test"},
        {"second From", "g", "From: eve@e.test\r\n", NULL,
         "DKIM_MULTIPLE_FROM=2.5(2) DKIM_VALID=-0.1(a.test) DKIM_FROM_ADDED=0.5(a.test)", GOOD,
         "TXT good._domainkey.a.test"},
        {"second From where one more is signed", "o", "From: eve@e.test\r\n", NULL,
         "DKIM_MULTIPLE_FROM=2.5(2) DKIM_INVALID=0.2(a.test: signature did not verify)",
         "dkim=fail signature=invalid reason=signature did not verify domain=a.test "
         "selector=good" ED,
         "TXT good._domainkey.a.test"},
        {"oversigned", "o", "", NULL, "DKIM_VALID=-0.1(a.test) DKIM_OVERSIGNED=0(a.test)", GOOD,
         "TXT good._domainkey.a.test"},
        {"From not signed", "u", "", NULL,
         "DKIM_PERMERROR=0.1(a.test: From is not signed) "
         "DKIM_FROM_UNSIGNED=0.5(a.test: From is not signed)",
         "dkim=permerror signature=unchecked reason=From is not signed domain=a.test "
         "selector=good algorithm=ed25519-sha256",
         ""},
        {"expired", "e", "", NULL,
         "DKIM_PERMERROR=0.1(a.test: signature expired) DKIM_EXPIRED=0(a.test: signature expired)",
         "dkim=permerror signature=unchecked reason=signature expired domain=a.test "
         "selector=good algorithm=ed25519-sha256",
         ""},
        {"ahead by the skew", "n", "", NULL, "DKIM_VALID=-0.1(a.test)", GOOD,
         "TXT good._domainkey.a.test"},
        {"ahead by more", "f", "", NULL, "DKIM_FUTURE=0.5(a.test: signed in the future)",
         "dkim=policy signature=unchecked reason=signed in the future domain=a.test "
         "selector=good algorithm=ed25519-sha256",
         ""},
        {"below d=, strict key", "i", "", NULL,
         "DKIM_PERMERROR=0.1(a.test: key is not for subdomains)",
         "dkim=permerror signature=unchecked reason=key is not for subdomains domain=a.test "
         "selector=strict algorithm=ed25519-sha256",
         "TXT strict._domainkey.a.test"},
        {"a short key", "w", "", NULL, "DKIM_WEAK_KEY=0.1(a.test: key is too short)",
         "dkim=policy signature=unchecked reason=key is too short domain=a.test selector=weak "
         "algorithm=rsa-sha256 bits=768",
         "TXT weak._domainkey.a.test"},
        {"rsa-sha1", "1", "", NULL, "DKIM_SHA1=0.1(a.test: rsa-sha1 is no longer accepted)",
         "dkim=policy signature=unchecked reason=rsa-sha1 is no longer accepted domain=a.test "
         "selector=weak algorithm=rsa-sha1",
         ""},
        {"two keys in trouble and a good one", "dgs", "", NULL,
         "DKIM_TEMPERROR=0(a.test: key lookup failed) DKIM_VALID=-0.1(a.test)",
         "dkim=temperror signature=unchecked reason=key lookup failed domain=a.test "
         "selector=down algorithm=ed25519-sha256; " GOOD
         "; dkim=temperror signature=unchecked reason=key lookup failed domain=a.test "
         "selector=slow algorithm=ed25519-sha256",
         "TXT down._domainkey.a.test, TXT good._domainkey.a.test, TXT slow._domainkey.a.test"}};

    play_both(rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_too_many(void)
{
    static const struct fake_row settings[] = {{"max-signatures", {"2"}}, {NULL}};
    static const struct row at = {"at the limit",
                                  "gg",
                                  "",
                                  NULL,
                                  "DKIM_VALID=-0.1(a.test)",
                                  GOOD "; " GOOD,
                                  "TXT good._domainkey.a.test"};
    static const struct row over = {"one too many",
                                    "ggg",
                                    "",
                                    NULL,
                                    "DKIM_VALID=-0.1(a.test) DKIM_TOO_MANY=0.5(3)",
                                    GOOD "; " GOOD,
                                    "TXT good._domainkey.a.test"};

    make_zone();
    play(&at, settings);
    play(&over, settings);
}

/* Ed25519 keys have no length to be short of; the row is of the setting itself. */
static void test_settings(void)
{
    static const struct fake_row settings[] = {{"min-bits", {"2048"}}, {NULL}};
    static const struct fake_row skew[] = {{"clock-skew", {"3601s"}}, {NULL}};
    static const struct row row = {
        "ed25519", "g", "", NULL, "DKIM_VALID=-0.1(a.test)", GOOD, "TXT good._domainkey.a.test"};
    static const struct row ahead = {
        "ahead", "f", "", NULL, "DKIM_VALID=-0.1(a.test)", GOOD, "TXT good._domainkey.a.test"};

    make_zone();
    play(&row, settings);
    play(&ahead, skew);
    EVP_PKEY_free(ed);
    EVP_PKEY_free(weak);
    ed = NULL;
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"facts", test_facts},
                                             {"U-labels", test_u_labels},
                                             {"too many", test_too_many},
                                             {"settings", test_settings},
                                             {NULL, NULL}};

    return unit_main("plugin_dkim", tests, argc, argv);
}
