/* A large message read in pieces, a FETCH after another: it stays open between them, and whatever
 * comes between, the pieces are those of the whole. */
#include "fake_store.h"
#include "imap_rig.h"
#include "unit.h"

#include <stdio.h>

enum { LINES = 8000, STEP = 30011 };

static const char base64_line[] = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZn\n";
static const char plain_line[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg";

struct mails {
    struct pn_buf stored, sent, decoded;
};

static void build(struct mails *mails)
{
    pn_buf_init(&mails->stored, SIZE_MAX);
    pn_buf_init(&mails->sent, SIZE_MAX);
    pn_buf_init(&mails->decoded, SIZE_MAX);
    (void)pn_buf_addz(&mails->stored, "Content-Transfer-Encoding: base64\n\n");
    (void)pn_buf_addz(&mails->sent, "Content-Transfer-Encoding: base64\r\n\r\n");
    for (int i = 0; i < LINES; i++) {
        (void)pn_buf_addz(&mails->stored, base64_line);
        (void)pn_buf_add(&mails->sent, base64_line, sizeof base64_line - 2);
        (void)pn_buf_addz(&mails->sent, "\r\n");
        (void)pn_buf_addz(&mails->decoded, plain_line);
    }
}

static void forget(struct mails *mails)
{
    pn_buf_fini(&mails->stored);
    pn_buf_fini(&mails->sent);
    pn_buf_fini(&mails->decoded);
}

/* One piece of message 1 or 2, which are the same. */
static void want_piece(struct imap_rig *rig, int seq, bool binary, size_t at, struct pn_str whole)
{
    char text[100];
    struct pn_buf want;
    struct pn_str piece = pn_str_slice(whole, at, at + STEP);
    const char *name = binary ? "BINARY[1]" : "BODY[]";
    pn_buf_init(&want, SIZE_MAX);
    (void)snprintf(text, sizeof text, "a FETCH %d %s<%zu.%d>\n", seq,
                   binary ? "BINARY.PEEK[1]" : "BODY.PEEK[]", at, STEP);
    imap_rig_say(rig, text);
    (void)pn_buf_addf(&want, "* %d FETCH (%s<%zu> %s{%zu}\r\n", seq, name, at, binary ? "~" : "",
                      piece.len);
    (void)pn_buf_adds(&want, piece);
    (void)pn_buf_addz(&want, ")\r\na OK FETCH completed\r\n");
    UNIT_INT(rig->out.len, want.len);
    UNIT_TRUE(pn_str_eq(pn_buf_str(&rig->out), pn_buf_str(&want)));
    pn_buf_clear(&rig->out);
    pn_buf_fini(&want);
}

static void begin(struct imap_rig *rig, const struct mails *mails)
{
    imap_rig_init(rig);
    for (int i = 0; i < 2; i++)
        (void)fake_deliver(rig->user, "INBOX", pn_buf_str(&mails->stored));
    imap_rig_say(rig, "s SELECT INBOX\n");
    pn_buf_clear(&rig->out);
}

static void test_pieces(void)
{
    struct mails mails;
    struct imap_rig rig;
    build(&mails);
    begin(&rig, &mails);
    unit_row("in order");
    for (size_t at = 0; at < mails.sent.len + STEP; at += STEP)
        want_piece(&rig, 1, false, at, pn_buf_str(&mails.sent));
    for (size_t at = 0; at < mails.decoded.len + STEP; at += STEP)
        want_piece(&rig, 1, true, at, pn_buf_str(&mails.decoded));
    unit_row("backwards, two messages and two kinds at once");
    for (size_t at = 4 * STEP; at > 0; at -= STEP) {
        want_piece(&rig, 1, false, at, pn_buf_str(&mails.sent));
        want_piece(&rig, 1, true, at, pn_buf_str(&mails.decoded));
        want_piece(&rig, 2, true, at, pn_buf_str(&mails.decoded));
    }
    imap_rig_fini(&rig);
    forget(&mails);
}

/* Each of these comes between two pieces. */
static void test_between(void)
{
    static const char *const commands[] = {"b NOOP\n",
                                           "b FETCH 1 FLAGS\n",
                                           "b FETCH 1 BODY.PEEK[HEADER]\n",
                                           "b XYZZY\n",
                                           "b FETCH\n",
                                           "b FETCH 1 BODY.PEEK[\n",
                                           "b IDLE\nDONE\n",
                                           "b SELECT INBOX\n",
                                           "b CLOSE\n",
                                           "b UNSELECT\n",
                                           "b FETCH 1:2 BODY.PEEK[]<1.2>\n",
                                           "b SEARCH TEXT x\n"};
    struct mails mails;
    struct imap_rig rig;
    build(&mails);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        unit_row(commands[i]);
        begin(&rig, &mails);
        want_piece(&rig, 1, true, STEP, pn_buf_str(&mails.decoded));
        imap_rig_say(&rig, commands[i]);
        imap_rig_say(&rig, "s SELECT INBOX\n");
        pn_buf_clear(&rig.out);
        want_piece(&rig, 1, true, 2 * (size_t)STEP, pn_buf_str(&mails.decoded));
        imap_rig_fini(&rig);
    }
    forget(&mails);
}

/* Expunged by somebody else between two pieces: what is open may be read on, until that is told. */
static void test_expunged(void)
{
    struct mails mails;
    struct imap_rig rig;
    build(&mails);
    begin(&rig, &mails);
    want_piece(&rig, 1, false, 0, pn_buf_str(&mails.sent));
    imap_rig_other(&rig, "x SELECT INBOX\nx STORE 1 +FLAGS.SILENT (\\Deleted)\nx EXPUNGE\n");
    imap_rig_say(&rig, "a NOOP\n");
    UNIT_STR(pn_buf_str(&rig.out), PN_STR("* 1 EXPUNGE\r\na OK NOOP completed\r\n"));
    pn_buf_clear(&rig.out);
    want_piece(&rig, 1, false, STEP, pn_buf_str(&mails.sent));
    imap_rig_fini(&rig);
    forget(&mails);
}

/* One slice of the command; then the host says that the session ends. */
static void want_bye(struct imap_rig *rig, const char *command, const char *want)
{
    struct pn_buf out;
    struct pn_str in = pn_str_of(command);
    unit_row(command);
    pn_buf_init(&out, SIZE_MAX);
    UNIT_INT(rig->engine->kind->run(rig->engine, &in, &out), PN_ENGINE_MORE);
    pn_buf_clear(&out);
    rig->engine->kind->bye(rig->engine, PN_ENGINE_SHUTDOWN, &out);
    UNIT_STR(pn_buf_str(&out), pn_str_of(want));
    pn_buf_fini(&out);
}

/* A session that is ended within an answer says no word that would be taken for a part of it. */
static void test_bye(void)
{
    enum { MANY = 60000 };
    static const char said[] =
        "* BYE [UNAVAILABLE] The server is renewed or stopped: connect again at once\r\n";
    struct mails mails;
    struct imap_rig rig;
    build(&mails);
    begin(&rig, &mails);
    want_bye(&rig, "a FETCH 1 BODY.PEEK[]\r\n", "");
    imap_rig_fini(&rig);
    begin(&rig, &mails);
    want_bye(&rig, "a FETCH 1 BODY.PEEK[]\r\na NOOP\r\n", "");
    imap_rig_fini(&rig);
    imap_rig_init(&rig);
    for (int i = 0; i < MANY; i++)
        (void)fake_deliver(rig.user, "INBOX", PN_STR("\n"));
    imap_rig_say(&rig, "s SELECT INBOX\n");
    want_bye(&rig, "a SEARCH ALL\r\n", "");
    imap_rig_fini(&rig);
    imap_rig_init(&rig);
    for (int i = 0; i < MANY; i++)
        (void)fake_deliver(rig.user, "INBOX", PN_STR("\n"));
    imap_rig_say(&rig, "s SELECT INBOX\n");
    want_bye(&rig, "a FETCH 1:* UID\r\n", said);
    imap_rig_fini(&rig);
    forget(&mails);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"pieces", test_pieces},
        {"between", test_between},
        {"expunged", test_expunged},
        {"bye", test_bye},
        {NULL, NULL},
    };
    return unit_main("imap_partials", tests, argc, argv);
}
