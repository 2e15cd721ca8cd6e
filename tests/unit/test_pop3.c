/* The POP3 engine, on a folder in memory. */
#include "unit.h"

#include "engine.h"
#include "fake_folder.h"
#include "pop3_capability.h"

#include <stdio.h>

#define IN   "+OK Logged in\r\n"
#define BYE  "+OK Bye\r\n"
#define MARK "+OK Marked\r\n"
#define NONE "-ERR No such message\r\n"
#define ARGS "-ERR Bad arguments\r\n"
#define HUH  "-ERR Unknown command\r\n"
#define LATE "-ERR Not after login\r\n"
#define ONE  "Subject: one\r\n\r\nhello\r\n..dot\r\n...\r\nend\r\n"
#define WORDS                                                                                      \
    "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\nUTF8 USER\r\n"   \
    "IMPLEMENTATION Postern\r\n"

/* Seven messages: see each row's label. */
static void fill(void)
{
    fake_folder_clear();
    fake_folder_add(PN_STR("Subject: one\n\nhello\n.dot\n..\nend\n")); /* 38 + */
    fake_folder_add(PN_STR("Only: header\n"));
    fake_folder_add(PN_STR("A: b\n\nno end"));
    fake_folder_add(PN_STR("A: b\r\n\r\nCRLF\r\n.\r\n"));
    fake_folder_add(PN_STR(""));
    fake_folder_add(PN_STR("A: b\n\ngone\n"));
    fake_folder_add((struct pn_str){NULL, 0});
    fake_folder.mails[5].gone = true;
}

struct talk {
    struct pn_engine *engine;
    struct pn_buf in, out;
    enum pn_engine_next next;
};

static void begin(struct talk *t)
{
    struct pn_engine_start start = {.user = fake_user()};
    *t = (struct talk){.engine = pn_pop3_new(&start)};
    pn_buf_init(&t->in, 1 << 20);
    pn_buf_init(&t->out, 64 << 20);
}

/* Runs it until it waits for input, or ends; all output is gathered. */
static void settle(struct talk *t)
{
    struct pn_buf out;
    do {
        struct pn_str in = pn_buf_str(&t->in);
        size_t before = in.len;
        pn_buf_init(&out, 8 << 20);
        t->next = t->engine->kind->run(t->engine, &in, &out);
        pn_buf_consume(&t->in, before - in.len);
        UNIT_TRUE(out.len < 2 * PN_ENGINE_OUT && !out.overflow);
        (void)pn_buf_adds(&t->out, pn_buf_str(&out));
        pn_buf_fini(&out);
    } while (t->next == PN_ENGINE_MORE || t->next == PN_ENGINE_HEARD);
}

static void say(struct talk *t, struct pn_str text, size_t step)
{
    settle(t);
    for (size_t at = 0; at < text.len && t->next != PN_ENGINE_END; at += step) {
        (void)pn_buf_adds(&t->in, pn_str_slice(text, at, step > text.len ? text.len : at + step));
        settle(t);
    }
}

static void end(struct talk *t)
{
    t->engine->kind->free(t->engine);
    UNIT_INT(fake_folder.open, 0);
    UNIT_INT(fake_folder.reading, 0);
    UNIT_INT(fake_folder.users, 1);
    pn_buf_fini(&t->in);
    pn_buf_fini(&t->out);
}

struct row {
    const char *label;
    struct pn_str input;
    const char *want;    /* behind the greeting */
    const char *removed; /* "1 3 ": messages that are deleted for good */
    bool ended;
};

#define SAY(text) PN_STR_INIT(text)

static void removed(char *text, size_t size)
{
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < fake_folder.count; i++)
        if (fake_folder.mails[i].removed)
            len += (size_t)snprintf(text + len, size - len, "%zu ", i + 1);
}

static void run_row(const struct row *row, size_t step)
{
    struct talk t;
    char text[100], want[4096];
    fill();
    begin(&t);
    say(&t, row->input, step);
    (void)snprintf(want, sizeof want, IN "%s", row->want);
    UNIT_STR(pn_buf_str(&t.out), pn_str_of(want));
    UNIT_INT(t.next == PN_ENGINE_END, row->ended);
    removed(text, sizeof text);
    UNIT_STR(pn_str_of(text), pn_str_of(row->removed == NULL ? "" : row->removed));
    end(&t);
}

static void run_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unit_row(rows[i].label);
        run_row(&rows[i], SIZE_MAX);
        run_row(&rows[i], 1);
        for (size_t split = 2; split < rows[i].input.len; split++)
            run_row(&rows[i], split);
    }
}

#define ROWS(rows) run_rows(rows, sizeof(rows) / sizeof(rows)[0])

static void test_commands(void)
{
    static const struct row rows[] = {
        {"nothing", SAY(""), ""},
        {"QUIT", SAY("QUIT\r\nSTAT\r\n"), BYE, .ended = true},
        {"letters of any case, a bare LF", SAY("quit\n"), BYE, .ended = true},
        {"NOOP", SAY("NOOP\r\nnoop \r\nNOOP x\r\n"), "+OK\r\n+OK\r\n" ARGS},
        {"STAT", SAY("STAT\r\nDELE 1\r\nSTAT\r\nRSET\r\nSTAT\r\nSTAT 1\r\n"),
         "+OK 7 97\r\n" MARK "+OK 6 59\r\n+OK Nothing is marked\r\n+OK 7 97\r\n" ARGS},
        {"LIST", SAY("LIST\r\nDELE 2\r\nLIST\r\n"),
         "+OK 7 messages\r\n1 38\r\n2 14\r\n3 14\r\n4 17\r\n5 0\r\n6 14\r\n7 0\r\n.\r\n" MARK
         "+OK 6 messages\r\n1 38\r\n3 14\r\n4 17\r\n5 0\r\n6 14\r\n7 0\r\n.\r\n"},
        {"LIST of one", SAY("LIST 1\r\nLIST 8\r\nLIST 0\r\nDELE 1\r\nLIST 1\r\nLIST 1 2\r\n"),
         "+OK 1 38\r\n" NONE NONE MARK NONE ARGS},
        {"UIDL", SAY("DELE 5\r\nUIDL\r\nUIDL 3\r\nUIDL 5\r\nUIDL 99999999999999999999\r\n"),
         MARK "+OK 6 messages\r\n1 1700000000.10\r\n2 1700000000.20\r\n3 1700000000.30\r\n"
              "4 1700000000.40\r\n6 1700000000.60\r\n7 1700000000.70\r\n.\r\n"
              "+OK 3 1700000000.30\r\n" NONE ARGS},
        {"CAPA", SAY("CAPA\r\n"), "+OK Capabilities follow\r\n" WORDS ".\r\n"},
        {"unknown", SAY("XYZZY\r\n\r\nSTATX\r\n"), HUH HUH HUH},
        {"too late", SAY("USER u\r\nPASS pw\r\nSTLS\r\nAUTH PLAIN\r\nUTF8\r\n"),
         LATE LATE LATE LATE LATE},
    };
    ROWS(rows);
}

static void test_messages(void)
{
    static const struct row rows[] = {
        {"RETR", SAY("RETR 1\r\n"), "+OK 38 octets\r\n" ONE ".\r\n"},
        {"no body", SAY("RETR 2\r\n"), "+OK 14 octets\r\nOnly: header\r\n.\r\n"},
        {"no end", SAY("RETR 3\r\n"), "+OK 14 octets\r\nA: b\r\n\r\nno end\r\n.\r\n"},
        {"CRLF in the file", SAY("RETR 4\r\n"), "+OK 17 octets\r\nA: b\r\n\r\nCRLF\r\n..\r\n.\r\n"},
        {"empty", SAY("RETR 5\r\nTOP 5 1\r\n"), "+OK 0 octets\r\n.\r\n+OK\r\n.\r\n"},
        {"gone", SAY("RETR 6\r\nTOP 6 0\r\n"),
         "-ERR Another session deleted this message\r\n"
         "-ERR Another session deleted this message\r\n"},
        {"unreadable", SAY("RETR 7\r\n"), "-ERR [SYS/TEMP] This message can't be read now\r\n"},
        {"none", SAY("RETR 8\r\nRETR 0\r\nRETR -1\r\nRETR x\r\nRETR\r\nRETR 4294967297\r\n"),
         NONE NONE ARGS ARGS ARGS NONE},
        {"marked", SAY("DELE 1\r\nRETR 1\r\nTOP 1 1\r\nDELE 1\r\nRSET\r\nRETR 1\r\n"),
         MARK NONE NONE NONE "+OK Nothing is marked\r\n+OK 38 octets\r\n" ONE ".\r\n"},
        {"TOP", SAY("TOP 1 0\r\nTOP 1 2\r\nTOP 1 99\r\n"),
         "+OK\r\nSubject: one\r\n\r\n.\r\n+OK\r\nSubject: one\r\n\r\nhello\r\n..dot\r\n.\r\n"
         "+OK\r\n" ONE ".\r\n"},
        {"TOP without a body", SAY("TOP 2 3\r\nTOP 3 1\r\nTOP 4 1\r\n"),
         "+OK\r\nOnly: header\r\n.\r\n+OK\r\nA: b\r\n\r\nno end\r\n.\r\n"
         "+OK\r\nA: b\r\n\r\nCRLF\r\n.\r\n"},
        {"TOP's arguments", SAY("TOP 1\r\nTOP\r\nTOP 1 x\r\nTOP 1 -1\r\nTOP 9 1\r\nTOP 1  1 \r\n"),
         ARGS ARGS ARGS ARGS NONE "+OK\r\nSubject: one\r\n\r\nhello\r\n.\r\n"},
        {"pipelined", SAY("RETR 2\r\nDELE 2\r\nRETR 3\r\nDELE 3\r\nQUIT\r\n"),
         "+OK 14 octets\r\nOnly: header\r\n.\r\n" MARK
         "+OK 14 octets\r\nA: b\r\n\r\nno end\r\n.\r\n" MARK BYE,
         "2 3 ", .ended = true},
    };
    ROWS(rows);
}

static void test_update(void)
{
    static const struct row rows[] = {
        {"only at QUIT", SAY("DELE 1\r\nDELE 3\r\n"), MARK MARK},
        {"at QUIT", SAY("DELE 3\r\nDELE 1\r\nQUIT\r\n"), MARK MARK BYE, "1 3 ", true},
        {"all",
         SAY("DELE 1\r\nDELE 2\r\nDELE 3\r\nDELE 4\r\nDELE 5\r\nDELE 6\r\nDELE 7\r\nQUIT\r\n"),
         MARK MARK MARK MARK MARK MARK MARK BYE, "1 2 3 4 5 6 7 ", true},
        {"none behind RSET", SAY("DELE 1\r\nRSET\r\nQUIT\r\n"),
         MARK "+OK Nothing is marked\r\n" BYE, .ended = true},
        {"QUIT now", SAY("DELE 1\r\nQUIT now\r\n"), MARK ARGS},
    };
    ROWS(rows);
    struct talk t;
    unit_row("a store that fails");
    fill();
    fake_folder.store_status = PN_STORE_TEMPORARY;
    begin(&t);
    say(&t, PN_STR("DELE 1\r\nQUIT\r\n"), SIZE_MAX);
    UNIT_STR(pn_buf_str(&t.out),
             PN_STR(IN MARK "-ERR [SYS/TEMP] Some marked messages are not deleted\r\n"));
    UNIT_TRUE(!fake_folder.mails[0].removed);
    end(&t);
}

/* What the line swallows is not lost: nothing goes before all that was said has arrived. */
static void test_heard(void)
{
    struct talk t;
    unit_row("QUIT waits until the message is there");
    fill();
    begin(&t);
    struct pn_str in = PN_STR("RETR 1\r\nDELE 1\r\nQUIT\r\n");
    UNIT_INT(t.engine->kind->run(t.engine, &in, &t.out), PN_ENGINE_HEARD);
    UNIT_STR(pn_buf_str(&t.out), PN_STR(IN "+OK 38 octets\r\n" ONE ".\r\n" MARK));
    UNIT_TRUE(!fake_folder.mails[0].removed);
    pn_buf_clear(&t.out);
    UNIT_INT(t.engine->kind->run(t.engine, &in, &t.out), PN_ENGINE_END);
    UNIT_STR(pn_buf_str(&t.out), PN_STR(BYE));
    UNIT_TRUE(fake_folder.mails[0].removed);
    end(&t);
    unit_row("a client that is gone by then");
    fill();
    begin(&t);
    in = PN_STR("RETR 1\r\nDELE 1\r\nQUIT\r\n");
    UNIT_INT(t.engine->kind->run(t.engine, &in, &t.out), PN_ENGINE_HEARD);
    UNIT_TRUE(!fake_folder.mails[0].removed);
    end(&t);
    UNIT_TRUE(!fake_folder.mails[0].removed);
}

/* Many go a slice at a time, and others have their turn between. */
static void test_slices(void)
{
    enum { MANY = 5000, TURNS = 5 };
    struct talk t;
    char line[32];
    unsigned turns = 0;
    enum pn_engine_next next;
    fake_folder_clear();
    for (unsigned i = 0; i < MANY; i++)
        fake_folder_add(PN_STR("A: b\n\n"));
    begin(&t);
    for (unsigned i = 1; i <= MANY; i++) {
        (void)snprintf(line, sizeof line, "DELE %u\r\n", i);
        (void)pn_buf_adds(&t.in, pn_str_of(line));
    }
    settle(&t);
    pn_buf_clear(&t.out);
    struct pn_str in = PN_STR("QUIT\r\n");
    while ((next = t.engine->kind->run(t.engine, &in, &t.out)) != PN_ENGINE_END) {
        UNIT_INT(next, turns == 0 ? PN_ENGINE_HEARD : PN_ENGINE_MORE);
        UNIT_TRUE(turns < TURNS + 1 && !fake_folder.mails[MANY - 1].removed);
        turns++;
    }
    UNIT_INT(turns, TURNS);
    UNIT_STR(pn_buf_str(&t.out), PN_STR(BYE));
    for (unsigned i = 0; i < MANY; i++)
        UNIT_TRUE(fake_folder.mails[i].removed);
    end(&t);
}

static void test_bye(void)
{
    static const struct {
        const char *label;
        enum pn_engine_why why;
        const char *want;
    } rows[] = {
        {"silence has no answer", PN_ENGINE_IDLE_TOO_LONG, ""},
        {"shutdown", PN_ENGINE_SHUTDOWN,
         "-ERR [SYS/TEMP] Shutting down, try again in a moment\r\n"},
        {"too long", PN_ENGINE_TOO_LONG, "-ERR Line too long; closing\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct talk t;
        unit_row(rows[i].label);
        fill();
        begin(&t);
        say(&t, PN_STR("DELE 1\r\nQUI"), SIZE_MAX);
        pn_buf_clear(&t.out);
        t.engine->kind->bye(t.engine, rows[i].why, &t.out);
        UNIT_STR(pn_buf_str(&t.out), pn_str_of(rows[i].want));
        struct pn_str in = PN_STR("T\r\n");
        UNIT_INT(t.engine->kind->run(t.engine, &in, &t.out), PN_ENGINE_END);
        UNIT_TRUE(!fake_folder.mails[0].removed);
        end(&t);
    }
    unit_row("RFC 1939 wants ten minutes at least");
    struct talk t;
    fill();
    begin(&t);
    UNIT_TRUE(t.engine->kind->patience(t.engine) >= 600000);
    unit_row("commands are counted");
    say(&t, PN_STR("NOOP\r\nSTAT\r\nXYZZY\r\nNOO"), SIZE_MAX);
    UNIT_INT(t.engine->commands, 3);
    end(&t);
}

static void test_limits(void)
{
    static const struct row rows[] = {
        {"a line of the longest", SAY("NOOP                                    \r\n"), "+OK\r\n"},
    };
    ROWS(rows);
    struct talk t;
    static char line[100000];
    memset(line, 'x', sizeof line);
    unit_row("a line without an end");
    fill();
    begin(&t);
    say(&t, (struct pn_str){line, sizeof line}, 999);
    UNIT_INT(t.in.len, 0);
    say(&t, PN_STR("\r\nNOOP\r\n"), 1);
    UNIT_STR(pn_buf_str(&t.out), PN_STR(IN "-ERR Line too long\r\n+OK\r\n"));
    end(&t);
    unit_row("too many bad commands");
    fill();
    begin(&t);
    for (int i = 0; i < 100 && t.next != PN_ENGINE_END; i++)
        say(&t, PN_STR("x\r\n"), 100);
    UNIT_INT(t.next, PN_ENGINE_END);
    UNIT_TRUE(pn_str_ends(pn_buf_str(&t.out),
                          PN_STR("-ERR [SYS/PERM] Too many bad commands; closing\r\n")));
    end(&t);
    unit_row("the mailbox can't be opened");
    fill();
    fake_folder.open_status = PN_STORE_TEMPORARY;
    begin(&t);
    say(&t, PN_STR("STAT\r\n"), 100);
    UNIT_INT(t.next, PN_ENGINE_END);
    UNIT_STR(pn_buf_str(&t.out), PN_STR("-ERR [SYS/TEMP] The mailbox can't be opened now\r\n"));
    end(&t);
}

/* What a client makes of an answer: without dots, CRLF to LF. */
static void read_answer(struct pn_str text, struct pn_buf *out)
{
    pn_buf_init(out, 64 << 20);
    size_t at = pn_str_find(text, '\n', 0) + 1;
    while (at < text.len) {
        size_t lf = pn_str_find(text, '\n', at);
        UNIT_TRUE(lf != SIZE_MAX && text.p[lf - 1] == '\r');
        struct pn_str line = pn_str_slice(text, at, lf - 1);
        at = lf + 1;
        if (pn_str_eq(line, PN_STR(".")))
            break;
        (void)pn_buf_adds(out, pn_str_slice(line, line.len != 0 && line.p[0] == '.', line.len));
        (void)pn_buf_addc(out, '\n');
    }
    UNIT_INT(at, text.len);
}

/* Lines with dots at all places of the slices' borders. */
static void test_large(void)
{
    struct talk t;
    struct pn_buf mail, got;
    pn_buf_init(&mail, 64 << 20);
    for (size_t i = 0; mail.len < 3000000; i++) {
        for (size_t n = i * 31 % 211; n != 0; n--)
            (void)pn_buf_addc(&mail, n % 3 == 0 ? '.' : 'x');
        (void)pn_buf_addc(&mail, '\n');
    }
    unit_row("a large message");
    fake_folder_clear();
    fake_folder_add(pn_buf_str(&mail));
    begin(&t);
    settle(&t);
    pn_buf_clear(&t.out);
    say(&t, PN_STR("RETR 1\r\n"), SIZE_MAX);
    read_answer(pn_buf_str(&t.out), &got);
    UNIT_TRUE(pn_str_eq(pn_buf_str(&got), pn_buf_str(&mail)));
    pn_buf_fini(&got);
    end(&t);
    unit_row("a line of 3 MB");
    memset(mail.p, '.', mail.len);
    mail.p[mail.len - 1] = '\n';
    fake_folder.users = 0;
    begin(&t);
    settle(&t);
    pn_buf_clear(&t.out);
    say(&t, PN_STR("RETR 1\r\n"), SIZE_MAX);
    read_answer(pn_buf_str(&t.out), &got);
    UNIT_TRUE(pn_str_eq(pn_buf_str(&got), pn_buf_str(&mail)));
    pn_buf_fini(&got);
    end(&t);
    unit_row("the line drops within it");
    fake_folder.users = 0;
    begin(&t);
    (void)pn_buf_addz(&t.in, "RETR 1\r\n");
    struct pn_str in = pn_buf_str(&t.in);
    UNIT_INT(t.engine->kind->run(t.engine, &in, &t.out), PN_ENGINE_MORE);
    UNIT_INT(fake_folder.reading, 1);
    size_t before = t.out.len;
    t.engine->kind->bye(t.engine, PN_ENGINE_SHUTDOWN, &t.out);
    UNIT_INT(t.out.len, before);
    end(&t);
    pn_buf_fini(&mail);
}

static void test_many(void)
{
    struct talk t;
    enum { MANY = 100000 };
    unit_row("100,000 messages");
    fake_folder_clear();
    for (int i = 0; i < MANY; i++)
        fake_folder_add(PN_STR("A: b\n\n"));
    begin(&t);
    say(&t, PN_STR("STAT\r\nDELE 50000\r\nUIDL\r\nLIST\r\n"), SIZE_MAX);
    size_t lines = 0;
    for (size_t at = 0; (at = pn_str_find(pn_buf_str(&t.out), '\n', at)) != SIZE_MAX; at++)
        lines++;
    UNIT_INT(lines, 3 + 2 * (2 + MANY - 1));
    UNIT_TRUE(pn_str_ends(pn_buf_str(&t.out), PN_STR("\r\n99999 8\r\n100000 8\r\n.\r\n")));
    end(&t);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"commands", test_commands},  {"messages", test_messages},
        {"UPDATE", test_update},      {"heard", test_heard},
        {"slices", test_slices},      {"bye", test_bye},
        {"limits", test_limits},      {"large messages", test_large},
        {"many messages", test_many}, {NULL, NULL},
    };
    return unit_main("pop3", tests, argc, argv);
}
