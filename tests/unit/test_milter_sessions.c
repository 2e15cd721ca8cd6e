/* The plugin milter over several messages and sessions: connections that go on, and those that
 * fail. */
#include "milter_rig.h"

#include <stdio.h>

static void test_messages(void)
{
    static const struct {
        const char *label, *script, *facts[3], *heard;
    } rows[] = {
        {"three", SHORT, {"", "", ""}, "O M(<a@s.test>) E M(<a@s.test>) E M(<a@s.test>) E Q"},
        {"the second is rejected at once",
         SHORT "M=c M=r M=c",
         {"", "MILTER_REJECT=0(one)", ""},
         "O M(<a@s.test>) E M(<a@s.test>) A M(<a@s.test>) E Q"},
        {"it is gone in the second, and back",
         SHORT "M=c M=X M=c",
         {"", "MILTER_AWAY=0(one: mail: let go before it answered) MILTER_TEMPFAIL=0(one)", ""},
         "O M(<a@s.test>) E M(<a@s.test>) / O M(<a@s.test>) E Q"},
        {"it wants no session",
         "O(6|1ff|27a|0 |1 |2 |3 |4 |5 |6 ) C=a",
         {"", "", ""},
         "O C([192.0.2.1]|4|50025|192.0.2.1) Q"},
    };
    char path[100];
    (void)snprintf(path, sizeof path, "%s/one", milter_tmp);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fakemilter *m = fakemilter_new(path, rows[i].script, false);
        struct fakehost *h = host_of(path, NULL);
        unit_row(rows[i].label);
        connect_client(h);
        fakehost_reset(h); /* what it said to the session */
        for (int k = 0; k < 3; k++)
            message(h, rows[i].facts[k]);
        fakehost_free(&h);
        if (rows[i].heard != NULL)
            UNIT_STR(fakemilter_heard(m), pn_str_of(rows[i].heard));
        fakemilter_free(&m);
    }
}

/* It starts anew between two messages: that is no failure. */
static void test_gone_between(void)
{
    char path[100];
    (void)snprintf(path, sizeof path, "%s/one", milter_tmp);
    struct fakemilter *m = fakemilter_new(path, SHORT "E=c,X", false);
    struct fakehost *h = host_of(path, NULL);
    connect_client(h);
    for (unsigned i = 1; i <= 3; i++) {
        message(h, "");
        fakemilter_wait_gone(m, i);
    }
    fakehost_free(&h);
    UNIT_STR(fakemilter_heard(m),
             PN_STR("O M(<a@s.test>) E / O M(<a@s.test>) E / O M(<a@s.test>) E"));
    fakemilter_free(&m);
}

/* A message that comes to no end is told of so. */
static void test_abort(void)
{
    char path[100];
    (void)snprintf(path, sizeof path, "%s/one", milter_tmp);
    struct fakemilter *m = fakemilter_new(path, SHORT, false);
    struct fakehost *h = host_of(path, NULL);
    connect_client(h);
    fakehost_envelope(h, "a@s.test", "u@here.test");
    UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
    fakehost_reset(h);
    fakehost_envelope(h, "b@s.test", "u@here.test");
    UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
    fakehost_free(&h);
    UNIT_STR(fakemilter_heard(m), PN_STR("O M(<a@s.test>) A M(<b@s.test>) A Q"));
    fakemilter_free(&m);
}

/* Sessions over one connection, one after the other. */
static void test_reuse(void)
{
    static const struct {
        const char *label, *script, *heard;
    } rows[] = {
        {"kept", SHORT, "O M(<a@s.test>) E K M(<a@s.test>) E K Q"},
        {"version 2 knows no such thing", "O(2|1ff|27b|0 |1 |2 |3 |4 |5 |6 )",
         "O M(<a@s.test>) E Q / O M(<a@s.test>) E Q"},
    };
    const struct fake_row keep[] = {{"keep", {"2"}}, {NULL}};
    char path[100];
    (void)snprintf(path, sizeof path, "%s/one", milter_tmp);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fakemilter *m = fakemilter_new(path, rows[i].script, false);
        struct fakehost *h = host_of(path, keep);
        unit_row(rows[i].label);
        for (int k = 0; k < 2; k++) {
            connect_client(h);
            message(h, "");
            fakehost_client(h, "192.0.2.1", "next"); /* a session of its own */
            fakehost_session_end(h);
        }
        fakehost_free(&h);
        UNIT_STR(fakemilter_heard(m), pn_str_of(rows[i].heard));
        fakemilter_free(&m);
    }
}

/* Commands that the server did not know, at the next step; a refusal is of the command alone. */
static void test_unknown(void)
{
    static const struct {
        const char *label, *before[4]; /* HELO, MAIL, RCPT, the message */
        const char *script, *facts, *heard;
    } rows[] = {
        {"none", {NULL}, SHORT, "", "O M(<a@s.test>) E Q"},
        {"not wanted", {"X 1", NULL}, NAMED "37b" NONE " U=r", "", "O M(<a@s.test>) E Q"},
        {"at every step",
         {"X 1", "X 2", "X 3", "X 4"},
         NAMED "27b" NONE,
         "",
         "O U(X 1) U(X 2) M(<a@s.test>) U(X 3) U(X 4) E Q"},
        {"without an answer",
         {"X 1", NULL, "X 3"},
         NAMED "2027b" NONE " U=.",
         "",
         "O U(X 1) M(<a@s.test>) U(X 3) E Q"},
        {"none of its version",
         {"X 1"},
         "O(2|3f|7b|0 |1 |2 |3 |4 |5 |6 )",
         "",
         "O M(<a@s.test>) E Q"},
        {"of its version",
         {"X 1"},
         "O(3|3f|7b|0 |1 |2 |3 |4 |5 |6 )",
         "",
         "O U(X 1) M(<a@s.test>) E Q"},
        {"refused",
         {"X 1", "X 2", "X 3", "X 4"},
         NAMED "27b" NONE " U=r U=t U=y(502 5.5.1 Never) U=4",
         "MILTER_UNKNOWN=0(one: reject) MILTER_UNKNOWN=0(one: tempfail) "
         "MILTER_UNKNOWN=0(one: 502 5.5.1 Never)",
         "O U(X 1) U(X 2) M(<a@s.test>) U(X 3) U(X 4) E Q"},
        {"accepted",
         {"X 1", NULL, "X 3"},
         NAMED "27b" NONE " U=a",
         "MILTER_ACCEPT=0(one)",
         "O U(X 1) M(<a@s.test>) U(X 3) A Q"},
        {"discarded",
         {NULL, "X 2", NULL, "X 4"},
         NAMED "27b" NONE " U=d",
         "MILTER_DISCARD=0(one)",
         "O U(X 2) M(<a@s.test>) U(X 4) A Q"},
        {"fails before the message",
         {"X 1"},
         NAMED "27b" NONE " U=X U=c",
         "",
         "O U(X 1) / O U(X 1) M(<a@s.test>) E Q"},
        {"fails in it",
         {NULL, NULL, NULL, "X 4"},
         NAMED "27b" NONE " U=X",
         "MILTER_AWAY=0(one: unknown command: let go before it answered) MILTER_TEMPFAIL=0(one)",
         "O M(<a@s.test>) U(X 4)"},
        {"bytes of any kind",
         {"X \xff \xc3\xbc", "\xe4"},
         NAMED "27b" NONE,
         "",
         "O U(X \xff \xc3\xbc) U(\xe4) M(<a@s.test>) E Q"},
    };
    static const enum postern_stage stages[] = {POSTERN_HELO, POSTERN_MAIL, POSTERN_RCPT,
                                                POSTERN_MESSAGE};
    char path[100];
    (void)snprintf(path, sizeof path, "%s/one", milter_tmp);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fakemilter *m = fakemilter_new(path, rows[i].script, false);
        struct fakehost *h = host_of(path, NULL);
        unit_row(rows[i].label);
        fakehost_client(h, "192.0.2.1", "friend");
        UNIT_INT(fakehost_run(h, POSTERN_CONNECT), POSTERN_OK);
        for (size_t k = 0; k < 4; k++) {
            if (rows[i].before[k] != NULL)
                fakehost_unknown(h, rows[i].before[k]);
            if (stages[k] == POSTERN_MAIL)
                fakehost_envelope(h, "a@s.test", "u@here.test");
            if (stages[k] == POSTERN_MESSAGE)
                fakehost_message(h, PN_STR(CONTENT));
            UNIT_INT(fakehost_run(h, stages[k]), POSTERN_OK);
        }
        UNIT_STR(fakehost_facts(h), pn_str_of(rows[i].facts));
        fakehost_free(&h);
        UNIT_STR(fakemilter_heard(m), pn_str_of(rows[i].heard));
        fakemilter_free(&m);
    }
}

/* A connection that was kept is dead, which shows at the first command that it is to answer: what
 * was said before is said again over a fresh one. */
static void test_stale(void)
{
    static const struct {
        const char *label, *script, *facts, *heard;
    } rows[] = {
        {"at connect", NAMED "37e" NONE " C=c C=X C=c", "",
         "O" CLIENT " E K" CLIENT " / O" CLIENT " E K Q"},
        {"at helo", NAMED "379" NONE " H=c H=X H=c", "",
         "O H(friend) M(<a@s.test>) E K H(friend) / O H(friend) M(<a@s.test>) E K Q"},
        {"at mail", SHORT "M=c M=X M=c", "",
         "O M(<a@s.test>) E K M(<a@s.test>) / O M(<a@s.test>) E K Q"},
        {"at mail, all before it unanswered", NAMED "3378" NONE " C=. H=. M=c M=X M=c", "",
         "O" CLIENT " H(friend) M(<a@s.test>) E K" CLIENT " H(friend) M(<a@s.test>) / O" CLIENT
         " H(friend) M(<a@s.test>) E K Q"},
        {"at rcpt", NAMED "4373" NONE " M=. R=c R=X R=c", "",
         "O M(<a@s.test>) R(<u@here.test>) E K M(<a@s.test>) R(<u@here.test>) / O M(<a@s.test>) "
         "R(<u@here.test>) E K Q"},
        {"at an unknown command", NAMED "27b" NONE " U=c U=X U=c", "",
         "O U(X) M(<a@s.test>) E K U(X) / O U(X) M(<a@s.test>) E K Q"},
        {"at data", NAMED "c173" NONE " M=. R=. T=c T=X T=c", "",
         "O M(<a@s.test>) R(<u@here.test>) T E K M(<a@s.test>) R(<u@here.test>) T / O "
         "M(<a@s.test>) R(<u@here.test>) T E K Q"},
        {"at the end", NAMED "37f" NONE " E=c E=X E=c", "", "O E K E / O E K Q"},
        {"in its last answer", NAMED "37f" NONE " E=c E=h(X-A|1),X E=c",
         "MILTER_AWAY=0(one: end of message: let go before it answered) MILTER_TEMPFAIL=0(one)",
         "O E K E"},
        {"it answers with what is none", SHORT "M=c M=!(z) M=c",
         "MILTER_AWAY=0(one: mail: sent what is no answer) MILTER_TEMPFAIL=0(one)",
         "O M(<a@s.test>) E K M(<a@s.test>)"},
        {"the fresh one fails too", SHORT "M=c M=X M=X",
         "MILTER_AWAY=0(one: mail: let go before it answered) MILTER_TEMPFAIL=0(one)",
         "O M(<a@s.test>) E K M(<a@s.test>) / O M(<a@s.test>)"},
    };
    const struct fake_row keep[] = {
        {"keep", {"2"}}, {"failures", {"2"}}, {"pause", {"1h"}}, {NULL}};
    char path[100];
    (void)snprintf(path, sizeof path, "%s/one", milter_tmp);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fakemilter *m = fakemilter_new(path, rows[i].script, false);
        struct fakehost *h = host_of(path, keep);
        unit_row(rows[i].label);
        for (int k = 0; k < 2; k++) {
            connect_client(h);
            if (strstr(rows[i].script, "U=") != NULL)
                fakehost_unknown(h, "X");
            message(h, k == 0 ? "" : rows[i].facts);
            UNIT_STR(fakehost_log(h), PN_STR(""));
            fakehost_session_end(h);
        }
        fakehost_free(&h);
        UNIT_STR(fakemilter_heard(m), pn_str_of(rows[i].heard));
        fakemilter_free(&m);
    }
}

/* Left alone after two failures, and then it says so. */
static void test_left_alone(void)
{
    const struct fake_row more[] = {
        {"failures", {"2"}}, {"pause", {"1h"}}, {"on_failure", {"skip"}}, {NULL}};
    static const char alone[] =
        "MILTER_AWAY=0(one: connection: is left alone for a while, it failed too often)";
    char path[100];
    (void)snprintf(path, sizeof path, "%s/nobody", milter_tmp);
    static const char away[] =
        "MILTER_AWAY=0(one: connection: can't be reached, No such file or directory)";
    struct fakehost *h = host_of(path, more);
    connect_client(h);
    fakehost_envelope(h, "a@s.test", "u@here.test");
    UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK); /* the same failure, once more */
    UNIT_STR(fakehost_facts(h), pn_str_of(away));
    UNIT_STR(fakehost_log(h), PN_STR(""));
    fakehost_session_end(h);
    connect_client(h); /* two */
    fakehost_envelope(h, "a@s.test", "u@here.test");
    UNIT_STR(fakehost_log(h),
             PN_STR("warn: one: connection: can't be reached, No such file or directory; it is "
                    "left alone for 3600000 ms\n"));
    UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
    UNIT_STR(fakehost_facts(h), pn_str_of(alone));
    fakehost_reset(h);
    message(h, alone);
    fakehost_free(&h);
}

/* Each message of a session has its own failure. */
static void test_counted(void)
{
    static const struct {
        const char *label, *script, *log[3]; /* of failures 2 */
    } rows[] = {
        {"in three messages", SHORT "M=X", {"", "left alone", ""}},
        {"at helo and mail", NAMED "279" NONE " H=X", {"", "left alone", ""}},
        {"at helo, then behind mail", NAMED "279" NONE " H=X H=c E=X", {"left alone", "", ""}},
        {"one that answers begins anew", SHORT "M=X M=c M=X M=c", {"", "", ""}},
    };
    const struct fake_row more[] = {
        {"failures", {"2"}}, {"pause", {"1h"}}, {"on_failure", {"skip"}}, {NULL}};
    char path[100];
    (void)snprintf(path, sizeof path, "%s/one", milter_tmp);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fakemilter *m = fakemilter_new(path, rows[i].script, false);
        struct fakehost *h = host_of(path, more);
        unit_row(rows[i].label);
        connect_client(h);
        fakehost_reset(h);
        for (int k = 0; k < 3; k++) {
            fakehost_envelope(h, "a@s.test", "u@here.test");
            UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
            UNIT_INT(fakehost_run(h, POSTERN_RCPT), POSTERN_OK);
            fakehost_message(h, PN_STR(CONTENT));
            UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
            struct pn_str log = fakehost_log(h);
            if (rows[i].log[k][0] == '\0')
                UNIT_STR(log, PN_STR(""));
            else
                UNIT_TRUE(memmem(log.p, log.len, rows[i].log[k], strlen(rows[i].log[k])) != NULL);
            fakehost_reset(h);
        }
        fakehost_free(&h);
        fakemilter_free(&m);
    }
}

static void test_skip(void)
{
    const struct fake_row more[] = {{"skip", {"192.0.2.0/24"}}, {NULL}};
    char path[100];
    (void)snprintf(path, sizeof path, "%s/nobody", milter_tmp);
    struct fakehost *h = host_of(path, more);
    connect_client(h);
    message(h, "");
    fakehost_free(&h);
}

/* No time is left: no wait, and the server's on_failure. */
static void test_no_time(void)
{
    char path[100];
    (void)snprintf(path, sizeof path, "%s/one", milter_tmp);
    struct fakemilter *m = fakemilter_new(path, "O=W", false);
    const struct fake_row more[] = {{"failures", {"1"}}, {"pause", {"1h"}}, {NULL}};
    struct fakehost *h = host_of(path, more);
    fakehost_limits(h, 1000, 16 * 1024 * 1024, 50);
    connect_client(h);
    for (int i = 0; i < 2; i++) /* and it is not the milter's fault */
        message(h,
                "MILTER_AWAY=0(one: negotiation: no time was left for it) MILTER_TEMPFAIL=0(one)");
    fakehost_free(&h);
    fakemilter_free(&m);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"messages", test_messages},
                                             {"gone between", test_gone_between},
                                             {"abort", test_abort},
                                             {"reuse", test_reuse},
                                             {"unknown commands", test_unknown},
                                             {"stale connections", test_stale},
                                             {"left alone", test_left_alone},
                                             {"counted", test_counted},
                                             {"skip", test_skip},
                                             {"no time", test_no_time},
                                             {NULL, NULL}};
    return milter_main("milter_sessions", tests, argc, argv);
}
