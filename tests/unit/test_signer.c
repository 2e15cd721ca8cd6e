/* Signing between roles: the records, the signer as its peers see it, and the way to it as
 * an asker has it: it dies, is slow, loads other keys. */
#include "unit.h"

#include "assert.h"
#include "ipc_rig.h"
#include "role_rig.h"
#include "sign_key.h"
#include "signer_keys.h"
#include "signer_link.h"
#include "signer_role.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <unistd.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static EVP_PKEY *keys[3]; /* rsa, ed25519, another of those */
static struct pn_buf pems[3];

static void make_keys(void)
{
    keys[0] = EVP_RSA_gen(1024);
    keys[1] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    keys[2] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    for (size_t i = 0; i < 3; i++) {
        char *p;
        BIO *bio = BIO_new(BIO_s_mem());
        pn_assert(PEM_write_bio_PrivateKey(bio, keys[i], NULL, NULL, 0, NULL, NULL) == 1);
        long n = BIO_get_mem_data(bio, &p);
        pn_buf_init(&pems[i], 65536);
        (void)pn_buf_add(&pems[i], p, (size_t)n);
        (void)BIO_free(bio);
    }
}

static void free_keys(void)
{
    for (size_t i = 0; i < 3; i++) {
        EVP_PKEY_free(keys[i]);
        pn_buf_fini(&pems[i]);
    }
}

static const unsigned char digest[PN_SIGN_DIGEST] = {1, 2, 3};

/* ---- records */

/* Read whole it is one; cut anywhere, or with a byte behind it, it is none. */
#define CUT_EVERYWHERE(body, get)                                                                  \
    do {                                                                                           \
        struct pn_buf *b_ = (body);                                                                \
        UNIT_TRUE(get(pn_buf_str(b_), &got));                                                      \
        for (size_t cut_ = 0; cut_ < b_->len; cut_++)                                              \
            UNIT_TRUE(!get(pn_str_slice(pn_buf_str(b_), 0, cut_), &got));                          \
        (void)pn_buf_addc(b_, 'x');                                                                \
        UNIT_TRUE(!get(pn_buf_str(b_), &got));                                                     \
        b_->len--;                                                                                 \
        UNIT_TRUE(get(pn_buf_str(b_), &got));                                                      \
    } while (0)

static void test_pem(void)
{
    static char name[254], pem[PN_SIGN_PEM_MAX + 1];
    memset(name, 'a', sizeof name);
    static const struct {
        const char *label;
        struct pn_str domain, selector;
        size_t pem;
        bool want;
    } rows[] = {
        {"plain", PN_STR_INIT("a.test"), PN_STR_INIT("s1"), 10, true},
        {"no domain", PN_STR_INIT(""), PN_STR_INIT("s1"), 10, false},
        {"no selector", PN_STR_INIT("a.test"), PN_STR_INIT(""), 10, false},
        {"a sign that ends a tag", PN_STR_INIT("a;b"), PN_STR_INIT("s1"), 10, false},
        {"a line end", PN_STR_INIT("a.test"), PN_STR_INIT("s1\r\n"), 10, false},
        {"the longest", {name, 253}, {name, 253}, PN_SIGN_PEM_MAX, true},
        {"a long domain", {name, 254}, PN_STR_INIT("s1"), 10, false},
        {"a long key", PN_STR_INIT("a.test"), PN_STR_INIT("s1"), PN_SIGN_PEM_MAX + 1, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pn_sign_pem in = {rows[i].domain, rows[i].selector, {pem, rows[i].pem}}, got;
        struct pn_buf b;
        pn_buf_init(&b, 1 << 16);
        pn_sign_pem_put(&b, &in);
        unit_row(rows[i].label);
        UNIT_INT(pn_sign_pem_get(pn_buf_str(&b), &got), rows[i].want);
        if (rows[i].want && b.len < 300)
            CUT_EVERYWHERE(&b, pn_sign_pem_get);
        pn_buf_fini(&b);
    }
}

static void test_asks(void)
{
    struct pn_buf b;
    pn_buf_init(&b, 4096);
    {
        struct pn_sign_ask in = {.token = 7, .key = 1ULL << 60}, got;
        memcpy(in.digest, digest, sizeof digest);
        pn_sign_ask_put(&b, &in);
        CUT_EVERYWHERE(&b, pn_sign_ask_get);
        UNIT_TRUE(got.token == 7 && got.key == in.key && memcmp(got.digest, digest, 32) == 0);
    }
    static char signature[PN_SIGN_ANSWER_MAX + 1];
    for (size_t n = 0; n <= PN_SIGN_ANSWER_MAX; n += PN_SIGN_ANSWER_MAX / 4) {
        struct pn_sign_answer in = {.token = 9, .signature = {signature, n}}, got;
        pn_buf_clear(&b);
        pn_sign_answer_put(&b, &in);
        CUT_EVERYWHERE(&b, pn_sign_answer_get);
        UNIT_TRUE(got.token == 9 && got.signature.len == n);
    }
    struct pn_sign_answer more = {.signature = {signature, PN_SIGN_ANSWER_MAX + 1}};
    pn_buf_clear(&b);
    pn_sign_answer_put(&b, &more);
    UNIT_TRUE(!pn_sign_answer_get(pn_buf_str(&b), &more));
    pn_buf_fini(&b);
}

/* ---- the role */

static void send_pem(int control, size_t key, const char *domain, const char *selector)
{
    struct pn_buf b;
    pn_buf_init(&b, 65536);
    pn_sign_pem_put(
        &b, &(struct pn_sign_pem){pn_str_of(domain), pn_str_of(selector), pn_buf_str(&pems[key])});
    UNIT_INT(pn_channel_send_fd(control, PN_REC_SIGN_KEY, pn_buf_str(&b), NULL, 0), 0);
    pn_buf_fini(&b);
}

static void give_two(struct role_rig *rig)
{
    send_pem(rig->control, 0, "a.test", "s1");
    send_pem(rig->control, 1, "a.test", "s2");
}

/* What it says that it has, as "domain/selector/algorithm "; ids in their order. */
static void recv_keys(struct role_rig *rig, unsigned peer, struct pn_buf *words, uint64_t *ids)
{
    struct pn_record record;
    struct pn_buf buf;
    struct pn_sign_keys head = {.last = false};
    struct pn_sign_key key;
    size_t n = 0;
    pn_buf_init(&buf, PN_RECORD_MAX);
    pn_buf_clear(words);
    while (!head.last && role_rig_recv(rig, peer, &record, &buf)) {
        struct pn_rd r = pn_rd_of(record.body);
        UNIT_INT(record.type, PN_REC_SIGN_KEYS);
        UNIT_TRUE(pn_sign_keys_get(&r, &head));
        for (uint32_t i = 0; i < head.count && pn_sign_key_next(&r, &key); i++) {
            (void)pn_buf_addf(words, "%.*s/%.*s/%.*s ", PN_FMT(key.domain), PN_FMT(key.selector),
                              PN_FMT(key.algorithm));
            if (n < 4)
                ids[n] = key.id;
            n++;
        }
        UNIT_TRUE(pn_rd_done(&r));
    }
    pn_buf_fini(&buf);
}

/* Asks and waits; the signature verifies by that key, or none came (NULL). */
static void check_ask(struct role_rig *rig, unsigned peer, uint64_t id, EVP_PKEY *key)
{
    struct pn_sign_ask ask = {.token = 5, .key = id};
    struct pn_sign_answer got;
    struct pn_record record;
    struct pn_buf b, want;
    pn_buf_init(&b, PN_RECORD_MAX);
    pn_buf_init(&want, PN_SIGNATURE_MAX);
    memcpy(ask.digest, digest, sizeof digest);
    pn_sign_ask_put(&b, &ask);
    UNIT_INT(pn_channel_send_fd(rig->peers[peer], PN_REC_SIGN_ASK, pn_buf_str(&b), NULL, 0), 0);
    CU_ASSERT_FATAL(role_rig_recv(rig, peer, &record, &b));
    UNIT_INT(record.type, PN_REC_SIGN_ANSWER);
    CU_ASSERT_FATAL(pn_sign_answer_get(record.body, &got));
    UNIT_INT(got.token, 5);
    /* Both algorithms give one signature for one digest. */
    UNIT_TRUE(key == NULL || pn_sign_key_sign(key, digest, &want));
    UNIT_TRUE(pn_str_eq(got.signature, pn_buf_str(&want)));
    pn_buf_fini(&b);
    pn_buf_fini(&want);
}

static struct role_rig rig;

static void start(void (*before_go)(struct role_rig *rig))
{
    role_rig_init(&rig, PN_ROLE_SIGNER, PN_FOLDER_STATE, pn_signer_main);
    rig.peer_count = 2;
    rig.peer_roles[0] = PN_ROLE_EDGE;
    rig.peer_roles[1] = PN_ROLE_QUEUE;
    rig.before_go = before_go;
    role_rig_start(&rig);
}

static void next_generation(void)
{
    struct pn_buf b;
    pn_buf_init(&b, 16);
    pn_u32_put(&b, 2);
    int fd = dup(rig.folder); /* it reads no policy */
    UNIT_INT(pn_channel_send_fd(rig.control, PN_REC_POLICY, pn_buf_str(&b), &fd, 1), 0);
    (void)close(fd);
    pn_buf_fini(&b);
}

static void test_role(void)
{
    struct pn_buf words;
    uint64_t ids[4] = {0}, again[4] = {0};
    pn_buf_init(&words, 4096);
    start(give_two);
    for (unsigned peer = 0; peer < 2; peer++) {
        recv_keys(&rig, peer, &words, ids);
        UNIT_STR(pn_buf_str(&words), PN_STR("a.test/s1/rsa-sha256 a.test/s2/ed25519-sha256 "));
        check_ask(&rig, peer, ids[0], keys[0]);
        check_ask(&rig, peer, ids[1], keys[1]);
        check_ask(&rig, peer, ids[1] + 1, NULL);
    }
    /* One key goes, one comes; what was begun is signed. */
    send_pem(rig.control, 0, "a.test", "s1");
    send_pem(rig.control, 2, "b.test", "s2");
    next_generation();
    recv_keys(&rig, 0, &words, again);
    UNIT_STR(pn_buf_str(&words), PN_STR("a.test/s1/rsa-sha256 b.test/s2/ed25519-sha256 "));
    UNIT_TRUE(again[0] == ids[0] && again[1] != ids[1]);
    recv_keys(&rig, 1, &words, again);
    check_ask(&rig, 1, ids[1], keys[1]);
    check_ask(&rig, 1, again[1], keys[2]);
    /* None are left, and two generations later the first are unknown. */
    next_generation();
    recv_keys(&rig, 0, &words, again);
    UNIT_INT(words.len, 0);
    check_ask(&rig, 0, ids[0], keys[0]);
    check_ask(&rig, 0, ids[1], NULL);
    /* Started anew, the keys have the ids they had. */
    role_rig_kill(&rig);
    role_rig_start(&rig);
    recv_keys(&rig, 0, &words, again);
    UNIT_TRUE(again[0] == ids[0] && again[1] == ids[1]);
    role_rig_fini(&rig);
    pn_buf_fini(&words);
}

enum { MANY = 200 };

static void give_many(struct role_rig *to)
{
    for (int i = 0; i < MANY; i++) {
        struct pn_buf name;
        pn_buf_init(&name, 100);
        (void)pn_buf_addf(&name, "d%d.test", i);
        send_pem(to->control, (size_t)i % 3, pn_buf_cstr(&name), "s1");
        pn_buf_fini(&name);
    }
}

/* More than one record holds; and what is no question shows the asker the door. */
static void test_role_many(void)
{
    struct pn_buf words;
    uint64_t ids[4];
    size_t seen = 0;
    pn_buf_init(&words, 65536);
    start(give_many);
    recv_keys(&rig, 0, &words, ids);
    for (size_t i = 0; i < words.len; i++)
        seen += words.p[i] == ' ';
    UNIT_INT(seen, MANY);
    recv_keys(&rig, 1, &words, ids);
    UNIT_INT(pn_channel_send_fd(rig.peers[0], PN_REC_SIGN_ASK, PN_STR("short"), NULL, 0), 0);
    struct pn_record record;
    struct pn_buf b;
    pn_buf_init(&b, PN_RECORD_MAX);
    UNIT_INT(pn_channel_recv_fd(rig.peers[0], &record, &b, 30000), 0);
    check_ask(&rig, 1, ids[0], keys[0]);
    UNIT_INT(role_rig_drain(&rig), 0);
    pn_buf_fini(&b);
    role_rig_fini(&rig);
    pn_buf_fini(&words);
}

/* ---- the way to it */

struct asker {
    int answers, empty, key_answers;
    size_t keys;
    uint64_t id;
    struct pn_signer_link *link;
};

static void on_signed(void *ctx, struct pn_str signature)
{
    struct asker *a = ctx;
    a->answers++;
    a->empty += signature.len == 0;
}

static void on_keys(void *ctx, const struct pn_sign_key *got, size_t count)
{
    struct asker *a = ctx;
    a->key_answers++;
    a->keys = count;
    a->id = count == 0 ? 0 : got[0].id;
}

/* A signer of the test's own, at one end of a channel. */
static int fake_signer(struct pn_signer_link *link)
{
    int fds[2];
    CU_ASSERT_FATAL(pn_channel_pair(fds) == 0);
    struct pn_peer peer = {.role = PN_ROLE_SIGNER, .fd = fds[1]};
    UNIT_TRUE(pn_signer_link_peer(link, &peer) && peer.fd == -1);
    return fds[0];
}

static void say_keys(int fd, const char *domain, uint64_t id)
{
    struct pn_buf b;
    pn_buf_init(&b, 4096);
    pn_sign_keys_put(&b, &(struct pn_sign_keys){true, true, 1});
    pn_sign_key_put(
        &b, &(struct pn_sign_key){id, pn_str_of(domain), PN_STR("s1"), PN_STR("rsa-sha256")});
    UNIT_INT(pn_channel_send_fd(fd, PN_REC_SIGN_KEYS, pn_buf_str(&b), NULL, 0), 0);
    pn_buf_fini(&b);
}

/* The next question, answered. */
static void say_signature(int fd, uint64_t want_key, struct pn_str signature)
{
    struct pn_record record;
    struct pn_sign_ask ask;
    struct pn_buf b;
    pn_buf_init(&b, PN_RECORD_MAX);
    UNIT_INT(pn_channel_recv_fd(fd, &record, &b, 30000), 1);
    UNIT_TRUE(record.type == PN_REC_SIGN_ASK && pn_sign_ask_get(record.body, &ask));
    UNIT_TRUE(ask.key == want_key);
    pn_buf_clear(&b);
    pn_sign_answer_put(&b, &(struct pn_sign_answer){ask.token, signature});
    UNIT_INT(pn_channel_send_fd(fd, PN_REC_SIGN_ANSWER, pn_buf_str(&b), NULL, 0), 0);
    pn_buf_fini(&b);
}

enum { LONG_MS = 600 * 1000 };

static void test_link(void)
{
    struct pn_loop *loop = pn_loop_new();
    struct asker a = {.link = pn_signer_link_new(loop)};
    struct pn_peer other = {.role = PN_ROLE_EDGE, .fd = -1};
    UNIT_TRUE(!pn_signer_link_peer(a.link, &other));
    /* Before there is one: both wait. */
    (void)pn_signer_wait(a.link, PN_STR("a.test"), LONG_MS, on_keys, &a);
    (void)pn_signer_ask(a.link, 11, digest, LONG_MS, on_signed, &a);
    int fd = fake_signer(a.link);
    say_keys(fd, "b.test", 1);
    say_signature(fd, 11, PN_STR("sig"));
    turn_until(loop, &a.answers, 1);
    UNIT_TRUE(a.empty == 0 && a.key_answers == 0);
    say_keys(fd, "A.test", 2);
    turn_until(loop, &a.key_answers, 1);
    UNIT_TRUE(a.keys == 1 && a.id == 2);
    /* It dies: what it was asked, and what is asked meanwhile, the next one is asked. */
    (void)pn_signer_ask(a.link, 21, digest, LONG_MS, on_signed, &a);
    (void)close(fd);
    pn_loop_turn(loop, 10);
    (void)pn_signer_ask(a.link, 21, digest, LONG_MS, on_signed, &a);
    (void)pn_signer_wait(a.link, PN_STR("a.test"), LONG_MS, on_keys, &a);
    turn_until(loop, &a.key_answers, 2); /* those before are known still */
    fd = fake_signer(a.link);
    say_signature(fd, 21, PN_STR("sig"));
    say_signature(fd, 21, PN_STR(""));
    turn_until(loop, &a.answers, 3);
    UNIT_INT(a.empty, 1);
    /* Forgotten: nobody is told. */
    uint64_t token = pn_signer_ask(a.link, 31, digest, LONG_MS, on_signed, &a);
    (void)pn_signer_ask(a.link, 32, digest, LONG_MS, on_signed, &a);
    pn_signer_forget(a.link, token);
    pn_signer_forget(a.link, token);
    pn_signer_forget(a.link, 0);
    say_signature(fd, 31, PN_STR("sig"));
    say_signature(fd, 32, PN_STR("sig"));
    turn_until(loop, &a.answers, 4);
    /* Time is over: empty, and no keys. */
    (void)pn_signer_ask(a.link, 41, digest, 1, on_signed, &a);
    (void)pn_signer_wait(a.link, PN_STR("c.test"), 1, on_keys, &a);
    turn_until(loop, &a.answers, 5);
    turn_until(loop, &a.key_answers, 3);
    UNIT_TRUE(a.empty == 2 && a.keys == 0);
    /* What is left over when it goes is nobody's. */
    (void)pn_signer_ask(a.link, 51, digest, LONG_MS, on_signed, &a);
    (void)pn_signer_wait(a.link, PN_STR("c.test"), LONG_MS, on_keys, &a);
    (void)pn_signer_wait(a.link, PN_STR("a.test"), LONG_MS, on_keys, &a); /* ready */
    pn_signer_link_free(&a.link);
    (void)close(fd);
    pn_loop_turn(loop, 0);
    UNIT_TRUE(a.answers == 5 && a.key_answers == 3);
    pn_loop_free(&loop);
}

/* Records that a signer does not send close the channel; the table stays as it was. */
static void test_link_bad(void)
{
    static const struct {
        const char *label;
        uint16_t type;
        struct pn_str body;
    } rows[] = {
        {"another's", PN_REC_SIGN_ASK, PN_STR_INIT("")},
        {"no table", PN_REC_SIGN_KEYS, PN_STR_INIT("\x09\x00\x00\x00\x00")},
        {"not its first", PN_REC_SIGN_KEYS, PN_STR_INIT("\x02\x00\x00\x00\x00")},
        {"more than is there", PN_REC_SIGN_KEYS, PN_STR_INIT("\x03\x05\x00\x00\x00")},
        {"a short answer", PN_REC_SIGN_ANSWER, PN_STR_INIT("x")},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pn_loop *loop = pn_loop_new();
        struct asker a = {.link = pn_signer_link_new(loop)};
        struct pn_record record;
        struct pn_buf b;
        pn_buf_init(&b, PN_RECORD_MAX);
        int fd = fake_signer(a.link);
        say_keys(fd, "a.test", 3);
        UNIT_INT(pn_channel_send_fd(fd, rows[i].type, rows[i].body, NULL, 0), 0);
        (void)pn_signer_wait(a.link, PN_STR("a.test"), LONG_MS, on_keys, &a);
        turn_until(loop, &a.key_answers, 1);
        for (int turns = 0; turns < 20; turns++)
            pn_loop_turn(loop, 0);
        unit_row(rows[i].label);
        UNIT_INT(pn_channel_recv_fd(fd, &record, &b, 0), 0); /* its end */
        UNIT_INT(a.id, 3);
        (void)close(fd);
        pn_signer_link_free(&a.link);
        pn_loop_free(&loop);
        pn_buf_fini(&b);
    }
}

/* ---- a set of keys */

static void test_bad_keys(void)
{
    struct pn_sign_pem pem = {PN_STR("a.test"), PN_STR("s1"), PN_STR("nothing")};
    struct pn_generation gen = {.signs = &pem, .sign_count = 1};
    struct pn_buf err;
    pn_buf_init(&err, 1000);
    UNIT_TRUE(signer_keys_new(&gen, &err) == NULL);
    UNIT_STR(pn_buf_str(&err),
             PN_STR("key s1 of a.test: no private key in it (PEM, without a passphrase)"));
    pn_buf_fini(&err);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"pem", test_pem},           {"asks", test_asks},
        {"role", test_role},         {"role, many", test_role_many},
        {"link", test_link},         {"link, bad records", test_link_bad},
        {"bad keys", test_bad_keys}, {NULL, NULL},
    };
    make_keys();
    int status = unit_main("signer", tests, argc, argv);
    free_keys();
    return status;
}
