#include "unit.h"

#include "buf.h"
#include "dkim_canon.h"
#include "dkim_keycache.h"
#include "dkim_rsa.h"
#include "dkim_sig.h"
#include "dkim_signer.h"
#include "dkim_tags.h"
#include "dkim_text.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>

enum { NOW = 1720000000 };
static const struct dkim_terms TERMS = {NOW, 3600, 1024, NULL};

static struct postern_str P(struct pn_str s) {
    return (struct postern_str){s.p, s.len};
}

static struct pn_str
Q(const char *cstr) {
    return pn_str_of(cstr == NULL ? "" : cstr);
}

/* ---- text and tags ---- */

static void
test_base64(void)
{
    static const struct {
        const char *label, *in;
        long want;
        const char *bytes;
    } rows[] = {{"empty", "", 0, ""},
                {"one", "YQ==", 1, "a"},
                {"two", "YWI=", 2, "ab"},
                {"three", "YWJj", 3, "abc"},
                {"folded", "Y\r\n W\tJj", 3, "abc"},
                {"no padding", "YQ", 1, "a"},
                {"at the limit", "YWJjYWJj", 6, "abcabc"},
                {"one too many", "YWJjYWJjYQ==", -1, NULL},
                {"one digit over", "YWJjY", -1, NULL},
                {"half a padding", "YQ=", -1, NULL},
                {"padding within", "YQ==YQ==", -1, NULL},
                {"three pads", "YWJj===", -1, NULL},
                {"foreign byte", "YW_j", -1, NULL}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned char out[6];
        long n = dkim_base64(P(Q(rows[i].in)), out, sizeof(out));

        unit_row(rows[i].label);
        UNIT_INT(n, rows[i].want);
        if (n > 0)
            UNIT_STR(((struct pn_str){(char *)out, (size_t)n}), Q(rows[i].bytes));
    }
}

static void test_number(void)
{
    uint64_t n = 0;

    UNIT_TRUE(!dkim_number(P(Q("")), &n));
    UNIT_TRUE(dkim_number(P(Q("999999999999")), &n));
    UNIT_INT(n, 999999999999);
    UNIT_TRUE(!dkim_number(P(Q("1000000000000")), &n));
    UNIT_TRUE(!dkim_number(P(Q("-1")), &n));
}

static void test_tags(void)
{
    static const struct {
        const char *label, *in, *error;
        size_t count;
    } rows[] = {{"empty", "", NULL, 0},
                {"blanks", " \r\n\t", NULL, 0},
                {"two", " v = 1 ;\r\n a=b", NULL, 2},
                {"semicolon at the end", "v=1;", NULL, 1},
                {"empty value", "p=;", NULL, 1},
                {"equals in value", "b=YQ==", NULL, 1},
                {"empty tag", "v=1;; a=b", "empty tag", 0},
                {"no equals", "aaaaaa", "tag without \"=\"", 0},
                {"twice", "a=1; a=2", "tag given twice", 0},
                {"case tells apart", "a=1; A=2", NULL, 2},
                {"bad name", "1a=b", "malformed tag name", 0},
                {"no name", "=b", "malformed tag name", 0},
                {"control byte", "a=\x01", "malformed tag value", 0}};
    struct dkim_tags tags;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *error = dkim_tags_parse(&tags, P(Q(rows[i].in)), 0);

        unit_row(rows[i].label);
        UNIT_STR(Q(error), Q(rows[i].error));
        if (error == NULL)
            UNIT_INT(tags.count, rows[i].count);
    }
    unit_row("lenient");
    UNIT_TRUE(dkim_tags_parse(&tags, P(Q("v=1;; a=b;;")), 1) == NULL && tags.count == 2);
}

static void test_tags_limit(void)
{
    struct pn_buf b;
    struct dkim_tags tags;

    pn_buf_init(&b, 4096);
    for (int i = 0; i < DKIM_TAGS_MAX; i++)
        (void)pn_buf_addf(&b, "t%d=x;", i);
    UNIT_TRUE(dkim_tags_parse(&tags, P(pn_buf_str(&b)), 0) == NULL);
    (void)pn_buf_addz(&b, "more=x");
    UNIT_STR(Q(dkim_tags_parse(&tags, P(pn_buf_str(&b)), 0)), Q("too many tags"));
    pn_buf_fini(&b);
}

/* ---- canonical forms ---- */

static void emit(void *arg, const char *p, size_t n)
{
    (void)pn_buf_add(arg, p, n);
}

static void same_body(bool relaxed, struct pn_str body)
{
    /* A copy of its own size: a read beyond the end is seen by the sanitizer. */
    char *copy = malloc(body.len == 0 ? 1 : body.len);
    struct pn_buf got, want;

    if (body.len > 0)
        memcpy(copy, body.p, body.len);
    pn_buf_init(&got, SIZE_MAX);
    pn_buf_init(&want, SIZE_MAX);
    dkim_canon_body(relaxed, (struct postern_str){copy, body.len}, emit, &got);
    signer_body(&want, relaxed, body);
    UNIT_STR(pn_buf_str(&got), pn_buf_str(&want));
    pn_buf_fini(&got);
    pn_buf_fini(&want);
    free(copy);
}

static void test_body(void)
{
    static const struct {
        const char *label, *in, *simple, *relaxed;
    } rows[] = {
        {"empty", "", "\r\n", ""},
        {"only line ends", "\r\n\r\n", "\r\n", ""},
        {"only blanks", " \t \r\n \r\n", " \t \r\n \r\n", ""},
        {"no last CRLF", "a", "a\r\n", "a\r\n"},
        {"RFC 6376, 3.4.5", " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"},
        {"empty line within", "a\r\n\r\n \r\nb\r\n", "a\r\n\r\n \r\nb\r\n", "a\r\n\r\n\r\nb\r\n"},
        {"bare CR", "a \rb \r", "a \rb \r\r\n", "a \rb \r\r\n"},
        {"bare LF", "a \n\n", "a \n\n\r\n", "a \n\n\r\n"},
        {"blanks to the end", "a \t", "a \t\r\n", "a\r\n"},
        {"tab alone", "a\tb\r\n", "a\tb\r\n", "a b\r\n"}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int relaxed = 0; relaxed < 2; relaxed++) {
            struct pn_buf got;

            unit_row(rows[i].label);
            pn_buf_init(&got, 100);
            dkim_canon_body(relaxed, P(Q(rows[i].in)), emit, &got);
            UNIT_STR(pn_buf_str(&got), Q(relaxed ? rows[i].relaxed : rows[i].simple));
            pn_buf_fini(&got);
            same_body(relaxed, Q(rows[i].in));
        }
    }
}

/* Bodies of few kinds of bytes, so that every neighbourhood of blanks, line ends and
 * text at every offset of a 16-byte word comes up. */
static void test_body_random(void)
{
    static const char kinds[] = "ab  \t\r\n\n\rx";
    char body[160];
    uint32_t seed = 1;

    for (int round = 0; round < 4000; round++) {
        size_t len = 0;
        size_t want = (size_t)round % (sizeof(body) - 2);

        while (len < want) {
            seed = seed * 1664525U + 1013904223U;
            if ((seed >> 8) % 4 == 0) {
                body[len++] = '\r';
                body[len++] = '\n';
            } else if ((seed >> 8) % 4 == 1) {
                body[len++] = kinds[(seed >> 16) % (sizeof(kinds) - 1)];
            } else {
                for (uint32_t n = (seed >> 16) % 24; n > 0 && len < want; n--)
                    body[len++] = 'x';
            }
        }
        same_body(true, (struct pn_str){body, len});
        same_body(false, (struct pn_str){body, len});
    }
}

static void test_field(void)
{
    static const struct {
        const char *label, *in, *relaxed;
    } rows[] = {{"plain", "Subject: a", "subject:a\r\n"},
                {"RFC 6376, 3.4.5", "B \t: Y\t\r\n\tZ  ", "b:Y Z\r\n"},
                {"empty", "X:", "x:\r\n"},
                {"blanks only", "X:  \t ", "x:\r\n"},
                {"fold first", "X:\r\n y", "x:y\r\n"},
                {"fold ends in LF", "X: a\n b", "x:a b\r\n"}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dkim_message m;
        struct pn_buf got;

        unit_row(rows[i].label);
        UNIT_INT(dkim_message_read(&m, P(Q(rows[i].in)), P(Q(""))), 0);
        UNIT_INT(m.count, 1);
        for (int relaxed = 0; m.count == 1 && relaxed < 2; relaxed++) {
            pn_buf_init(&got, 100);
            dkim_canon_field(relaxed, &m.fields[0], emit, &got);
            if (relaxed)
                UNIT_STR(pn_buf_str(&got), Q(rows[i].relaxed));
            else
                UNIT_TRUE(pn_str_starts(pn_buf_str(&got), Q(rows[i].in)) &&
                          got.len == strlen(rows[i].in) + 2);
            pn_buf_fini(&got);
        }
        dkim_message_fini(&m);
    }
}

/* ---- header ---- */

static void test_message(void)
{
    static const struct {
        const char *label, *in;
        size_t count, froms, signatures;
    } rows[] = {{"empty", "", 0, 0, 0},
                {"two", "From: a\r\nTo: b\r\n\r\n", 2, 1, 0},
                {"no last line end", "From: a", 1, 1, 0},
                {"fold", "To: b\r\n c: d\r\nfrom : x\r\n", 2, 1, 0},
                {"line without colon", "oops\r\nFrom: a\r\n", 1, 1, 0},
                {"its fold goes too", "oops\r\n From: a\r\nTo: b\r\n", 1, 0, 0},
                {"mbox line", "From a@b Mon Jan 1 10:00:00\r\nFrom: a\r\n", 1, 1, 0},
                {"no name", ": x\r\nA: b\r\n", 1, 0, 0},
                {"LF", "From: a\nDKIM-Signature: x\n", 2, 1, 1}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dkim_message m;

        unit_row(rows[i].label);
        UNIT_INT(dkim_message_read(&m, P(Q(rows[i].in)), P(Q(""))), 0);
        UNIT_INT(m.count, rows[i].count);
        UNIT_INT(m.froms, rows[i].froms);
        UNIT_INT(m.signatures, rows[i].signatures);
        dkim_message_fini(&m);
    }
}

static void test_fields_limit(void)
{
    for (size_t more = 0; more < 2; more++) {
        struct pn_buf b;
        struct dkim_message m;

        pn_buf_init(&b, SIZE_MAX);
        (void)pn_buf_addz(&b, "From: a\r\n");
        for (size_t i = 1; i < DKIM_FIELDS_MAX + more; i++)
            (void)pn_buf_addz(&b, "A: b\r\n");
        UNIT_INT(dkim_message_read(&m, P(pn_buf_str(&b)), P(Q(""))), 0);
        UNIT_INT(m.count, DKIM_FIELDS_MAX);
        UNIT_INT(m.truncated, more);
        dkim_message_fini(&m);
        pn_buf_fini(&b);
    }
}

/* ---- what a signature says ---- */

#define BH   "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
#define GOOD "v=1; a=rsa-sha256; d=a.test; s=s1; h=From; " BH "; b=YQ=="

static void test_signature_syntax(void)
{
    static const struct {
        const char *label, *in, *reason;
    } rows[] = {
        {"good", GOOD, NULL},
        {"no tag", "aaaaaa", "tag without \"=\""},
        {"version",
         "v=2; a=rsa-sha256; d=a.test; s=s1; h=From; " BH "; b=YQ==", "unsupported version"},
        {"no version",
         "a=rsa-sha256; d=a.test; s=s1; h=From; " BH "; b=YQ==", "unsupported version"},
        {"algorithm",
         "v=1; a=rsa-md5; d=a.test; s=s1; h=From; " BH "; b=YQ==", "unsupported algorithm"},
        {"no algorithm", "v=1; d=a.test; s=s1; h=From; " BH "; b=YQ==", "no a= tag"},
        {"sha1", "v=1; a=rsa-sha1; d=a.test; s=s1; h=From; bh=2jmj7l5rSw0yVb/vlWAYkK/YBwk=; b=YQ==",
         "rsa-sha1 is no longer accepted"},
        {"no domain", "v=1; a=rsa-sha256; s=s1; h=From; " BH "; b=YQ==", "no d= tag"},
        {"empty domain", "v=1; a=rsa-sha256; d=; s=s1; h=From; " BH "; b=YQ==", "malformed d= tag"},
        {"empty label",
         "v=1; a=rsa-sha256; d=a..test; s=s1; h=From; " BH "; b=YQ==", "malformed d= tag"},
        {"domain with blank",
         "v=1; a=rsa-sha256; d=a b; s=s1; h=From; " BH "; b=YQ==", "malformed d= tag"},
        {"no selector", "v=1; a=rsa-sha256; d=a.test; h=From; " BH "; b=YQ==", "no s= tag"},
        {"no h", "v=1; a=rsa-sha256; d=a.test; s=s1; " BH "; b=YQ==", "no h= tag"},
        {"From not signed",
         "v=1; a=rsa-sha256; d=a.test; s=s1; h=To:Froma; " BH "; b=YQ==", "From is not signed"},
        {"From folded",
         "v=1; a=rsa-sha256; d=a.test; s=s1; h=To :\r\n from ; " BH "; b=YQ==", NULL},
        {"no bh", "v=1; a=rsa-sha256; d=a.test; s=s1; h=From; b=YQ==", "no bh= tag"},
        {"short bh",
         "v=1; a=rsa-sha256; d=a.test; s=s1; h=From; bh=YQ==; b=YQ==", "malformed bh= tag"},
        {"no b", "v=1; a=rsa-sha256; d=a.test; s=s1; h=From; " BH, "no b= tag"},
        {"empty b", "v=1; a=rsa-sha256; d=a.test; s=s1; h=From; " BH "; b=", "malformed b= tag"},
        {"bad b", "v=1; a=rsa-sha256; d=a.test; s=s1; h=From; " BH "; b=*", "malformed b= tag"},
        {"canon", GOOD "; c=nofws", "unsupported canonicalization"},
        {"canon of body", GOOD "; c=relaxed/nofws", "unsupported canonicalization"},
        {"canon of header only", GOOD "; c=relaxed", NULL},
        {"canon with too much", GOOD "; c=relaxed/relaxed/simple", "unsupported canonicalization"},
        {"length", GOOD "; l=x", "malformed l= tag"},
        {"query", GOOD "; q=http", "unsupported q= tag"},
        {"query option", GOOD "; q=dns/special", "unsupported q= tag"},
        {"query among others", GOOD "; q=http : dns/txt", NULL},
        {"identity is domain", GOOD "; i=@A.Test", NULL},
        {"identity below", GOOD "; i=x@sub.a.test", NULL},
        {"identity encoded", GOOD "; i=x=40a.test", NULL},
        {"identity elsewhere", GOOD "; i=@ba.test", "i= is not within d="},
        {"identity above", GOOD "; i=@test", "i= is not within d="},
        {"identity without @", GOOD "; i=a.test", "malformed i= tag"},
        {"identity cut", GOOD "; i=@a.test=4", "malformed i= tag"},
        {"U-labels where nobody maps them",
         "v=1; a=rsa-sha256; d=b\xc3\xbc"
         "cher.test; s=s1; h=From; " BH "; b=YQ==",
         "malformed d= tag"},
        {"expired", GOOD "; t=1; x=1719999999", "signature expired"},
        {"ends now", GOOD "; t=1; x=1720000000", NULL},
        {"ends before it begins", GOOD "; t=3; x=2", "x= is before t="},
        {"bad time", GOOD "; t=yesterday", "malformed t= tag"},
        {"unknown tag", GOOD "; zz=1", NULL}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pn_buf b;
        struct dkim_message m;
        struct dkim_sig sig;

        unit_row(rows[i].label);
        pn_buf_init(&b, 2000);
        (void)pn_buf_addf(&b, "DKIM-Signature: %s\r\nFrom: a@a.test\r\n", rows[i].in);
        UNIT_INT(dkim_message_read(&m, P(pn_buf_str(&b)), P(Q(""))), 0);
        UNIT_INT(dkim_sigs_read(&m, &sig, 1, &TERMS), 1);
        UNIT_STR(Q(sig.reason), Q(rows[i].reason));
        UNIT_INT(sig.result == DKIM_PENDING, rows[i].reason == NULL);
        dkim_message_fini(&m);
        pn_buf_fini(&b);
    }
}

static void test_signature_limits(void)
{
    static const struct {
        const char *label;
        size_t selector, domain;
        const char *reason;
    } rows[] = {{"at the limit", 63, 178, NULL},
                {"one too many", 63, 179, "selector and domain are too long"},
                {"label of 64", 64, 20, "malformed s= tag"}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pn_buf b;
        struct dkim_message m;
        struct dkim_sig sig;

        unit_row(rows[i].label);
        pn_buf_init(&b, 2000);
        (void)pn_buf_addz(&b, "From: a@b\r\nDKIM-Signature: v=1; a=rsa-sha256; s=");
        for (size_t k = 0; k < rows[i].selector; k++)
            (void)pn_buf_addc(&b, 's');
        (void)pn_buf_addz(&b, "; d=");
        for (size_t k = 0; k < rows[i].domain; k++)
            (void)pn_buf_addc(&b, k % 60 == 59 ? '.' : 'd');
        (void)pn_buf_addz(&b, "; h=From; " BH "; b=YQ==\r\n");
        UNIT_INT(dkim_message_read(&m, P(pn_buf_str(&b)), P(Q(""))), 0);
        UNIT_INT(dkim_sigs_read(&m, &sig, 1, &TERMS), 1);
        UNIT_STR(Q(sig.reason), Q(rows[i].reason));
        dkim_message_fini(&m);
        pn_buf_fini(&b);
    }
}

/* ---- key records ---- */

static void test_key_choice(void)
{
    static const struct {
        const char *label, *tags; /* of the signature, beyond the good ones */
        const char *record[2];
        const char *reason, *p;
    } rows[] = {
        {"plain", "", {"v=DKIM1; p=QQ=="}, NULL, "QQ=="},
        {"kind by default", "", {"p=QQ=="}, NULL, "QQ=="},
        {"the one that fits", "", {"k=ed25519; p=RUU=", "k=rsa; p=QQ=="}, NULL, "QQ=="},
        {"none fits", "", {"k=ed25519; p=RUU="}, "key is of another kind", NULL},
        {"revoked", "", {"v=DKIM1; k=rsa; p="}, "key is revoked", NULL},
        {"revoked beside a good one", "", {"v=DKIM1; p=", "v=DKIM1; p=QQ=="}, NULL, "QQ=="},
        {"foreign text beside it", "", {"v=spf1 -all", "v=DKIM1; p=QQ=="}, NULL, "QQ=="},
        {"empty", "", {""}, "key record without a key", NULL},
        {"version", "", {"v=DKIM2; p=QQ=="}, "unsupported version of the key record", NULL},
        {"version not first",
         "",
         {"p=QQ==; v=DKIM1"},
         "unsupported version of the key record",
         NULL},
        {"syntax", "", {"k=rsa; t; p=QQ=="}, "malformed key record", NULL},
        {"hash", "", {"h=sha1; p=QQ=="}, "key is not for sha256", NULL},
        {"hashes", "", {"h=sha1:sha256; p=QQ=="}, NULL, "QQ=="},
        {"service", "", {"s=tlsrpt; p=QQ=="}, "key is not for mail", NULL},
        {"services", "", {"s=chat : email; p=QQ=="}, NULL, "QQ=="},
        {"any service", "", {"s=*; p=QQ=="}, NULL, "QQ=="},
        {"strict, same", "; i=@a.test", {"t=s; p=QQ=="}, NULL, "QQ=="},
        {"strict, below", "; i=@b.a.test", {"t=y:s; p=QQ=="}, "key is not for subdomains", NULL},
        {"below", "; i=@b.a.test", {"t=y; p=QQ=="}, NULL, "QQ=="},
        {"empty tags", "", {"v=DKIM1;; p=QQ==;;"}, NULL, "QQ=="},
        {"notes", "", {"n=no; zz=1; p=QQ=="}, NULL, "QQ=="}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct postern_dns_record records[2];
        struct postern_dns_answer answer = {.records = records};
        struct pn_buf b;
        struct dkim_message m;
        struct dkim_sig sig;

        unit_row(rows[i].label);
        for (; answer.count < 2 && rows[i].record[answer.count] != NULL; answer.count++)
            records[answer.count].data = P(Q(rows[i].record[answer.count]));
        pn_buf_init(&b, 2000);
        (void)pn_buf_addf(&b, "From: a@b\r\nDKIM-Signature: " GOOD "%s\r\n", rows[i].tags);
        UNIT_INT(dkim_message_read(&m, P(pn_buf_str(&b)), P(Q(""))), 0);
        UNIT_INT(dkim_sigs_read(&m, &sig, 1, &TERMS), 1);
        dkim_key_choose(&sig, &answer);
        UNIT_STR(Q(sig.reason), Q(rows[i].reason));
        if (rows[i].p != NULL)
            UNIT_STR(((struct pn_str){sig.key.p.p, sig.key.p.len}), Q(rows[i].p));
        dkim_message_fini(&m);
        pn_buf_fini(&b);
    }
}

static void test_key_missing(void)
{
    static const struct {
        uint16_t rcode;
        enum dkim_result want;
    } rows[] = {{POSTERN_DNS_NOERROR, DKIM_PERMERROR},
                {POSTERN_DNS_NXDOMAIN, DKIM_PERMERROR},
                {POSTERN_DNS_SERVFAIL, DKIM_TEMPERROR},
                {POSTERN_DNS_TIMEOUT, DKIM_TEMPERROR}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct postern_dns_answer answer = {.rcode = rows[i].rcode};
        struct dkim_sig sig = {.result = DKIM_PENDING};

        dkim_key_choose(&sig, &answer);
        UNIT_INT(sig.result, rows[i].want);
    }
    struct dkim_sig sig = {.result = DKIM_PENDING};

    dkim_key_choose(&sig, NULL);
    UNIT_INT(sig.result, DKIM_TEMPERROR);
}

/* What our decoder takes OpenSSL's takes too, for the same key. */
static bool agrees(const unsigned char *der, size_t len)
{
    EVP_PKEY *ours = dkim_rsa_key(der, len);
    if (ours == NULL)
        return false;
    const unsigned char *at = der;
    EVP_PKEY *theirs = d2i_PUBKEY(NULL, &at, (long)len);
    UNIT_TRUE(theirs != NULL && at == der + len);
    UNIT_INT(EVP_PKEY_get_base_id(ours), EVP_PKEY_RSA);
    UNIT_TRUE(theirs != NULL && EVP_PKEY_eq(ours, theirs) == 1);
    EVP_PKEY_free(ours);
    EVP_PKEY_free(theirs);
    ERR_clear_error();
    return true;
}

static void test_rsa_key(void)
{
    static const unsigned bits[] = {512, 1000, 1024, 2048};
    static const unsigned char other[] = {0x00, 0x01, 0x80, 0xff};
    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        EVP_PKEY *key = EVP_RSA_gen(bits[i]);
        unsigned char *der = NULL;
        int len = i2d_PUBKEY(key, &der);
        char row[40];
        (void)snprintf(row, sizeof(row), "%u bits", bits[i]);
        unit_row(row);
        UNIT_TRUE(len > 0 && agrees(der, (size_t)len));
        for (int cut = 0; cut < len; cut++)
            UNIT_TRUE(dkim_rsa_key(der, (size_t)cut) == NULL);
        /* Another byte anywhere: refused, or the key that it now is. */
        for (int at = 0; i == 0 && at < len; at++)
            for (size_t k = 0; k < sizeof(other); k++) {
                unsigned char was = der[at];
                der[at] = other[k];
                (void)agrees(der, (size_t)len);
                der[at] = was;
            }
        unsigned char *longer = malloc((size_t)len + 1);
        memcpy(longer, der, (size_t)len);
        longer[len] = 0;
        UNIT_TRUE(dkim_rsa_key(longer, (size_t)len + 1) == NULL);
        free(longer);
        OPENSSL_free(der);
        EVP_PKEY_free(key);
    }
    EVP_PKEY *edwards = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(edwards, &der);
    unit_row("another algorithm");
    UNIT_TRUE(len > 0 && dkim_rsa_key(der, (size_t)len) == NULL);
    OPENSSL_free(der);
    EVP_PKEY_free(edwards);
}

static EVP_PKEY *key_with(const char *exponent)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;
    BIGNUM *e = NULL;

    UNIT_TRUE(BN_hex2bn(&e, exponent) > 0 && EVP_PKEY_keygen_init(ctx) == 1 &&
              EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 1024) == 1 &&
              EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e) == 1 && EVP_PKEY_keygen(ctx, &key) == 1);
    BN_free(e);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

/* A verification costs as much as its exponent is long, and the key is a stranger's. */
static void test_exponent(void)
{
    static const struct {
        const char *exponent;
        bool want;
    } rows[] = {{"10001", true}, {"FFFFFFFFFFFFFFC5", true}, {"1000000000000000D", false}};
    struct dkim_keycache *cache = dkim_keycache_new();

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        EVP_PKEY *key = key_with(rows[i].exponent);
        struct pn_buf record;

        unit_row(rows[i].exponent);
        pn_buf_init(&record, 2000);
        signer_record(&record, key); /* "v=DKIM1; k=rsa; p=..." */
        EVP_PKEY *got = dkim_keycache_get(cache, DKIM_RSA_SHA256,
                                          P(pn_str_slice(pn_buf_str(&record), 18, record.len)));
        UNIT_INT(got != NULL, rows[i].want);
        UNIT_TRUE(got == NULL || EVP_PKEY_eq(got, key) == 1);
        EVP_PKEY_free(got);
        EVP_PKEY_free(key);
        pn_buf_fini(&record);
    }
    dkim_keycache_free(cache);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"base64", test_base64},
                                             {"number", test_number},
                                             {"tags", test_tags},
                                             {"tags at the limit", test_tags_limit},
                                             {"canonical bodies", test_body},
                                             {"canonical bodies, random", test_body_random},
                                             {"canonical fields", test_field},
                                             {"header fields", test_message},
                                             {"header fields at the limit", test_fields_limit},
                                             {"signatures", test_signature_syntax},
                                             {"signatures at the limit", test_signature_limits},
                                             {"key records", test_key_choice},
                                             {"no key record", test_key_missing},
                                             {"RSA keys", test_rsa_key},
                                             {"RSA exponents", test_exponent},
                                             {NULL, NULL}};

    return unit_main("dkim", tests, argc, argv);
}
