/* Would it take a stranger's mail for strangers? Its own listeners are asked, over loopback where
 * they are at all addresses. */
#include "doctor.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { PATIENCE_S = 10, LINE = 1024 };

static const char *const dialogue[] = {"EHLO doctor.invalid\r\n",
                                       "MAIL FROM:<stranger@relay-check.example>\r\n",
                                       "RCPT TO:<somebody@relay-check.example>\r\n"};

static int dial(const struct pn_listen *l)
{
    struct sockaddr_storage to;
    struct pn_ip ip = l->ip, any;
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    if (pn_ip_parse(PN_STR("0.0.0.0"), &any) && pn_ip_eq(&ip, &any))
        (void)pn_ip_parse(PN_STR("127.0.0.1"), &ip);
    else if (pn_ip_parse(PN_STR("::"), &any) && pn_ip_eq(&ip, &any))
        (void)pn_ip_parse(PN_STR("::1"), &ip);
    socklen_t len = pn_endpoint_to_sockaddr(&ip, l->port, &to);
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (const struct sockaddr *)&to, len) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

/* The code of the next reply; 0: none came. line: its last line. */
static int reply(FILE *f, char line[LINE])
{
    do
        if (fgets(line, LINE, f) == NULL)
            return 0;
    while (strlen(line) > 3 && line[3] == '-');
    int code = 0;
    for (int i = 0; i < 3 && pn_is_digit(line[i]); i++)
        code = code * 10 + (line[i] - '0');
    line[strcspn(line, "\r\n")] = '\0';
    return code;
}

/* The reply to RCPT; 0: it did not come so far. */
static int talk(int fd, char line[LINE])
{
    FILE *f = fdopen(fd, "r");
    if (f == NULL) {
        (void)close(fd);
        return 0;
    }
    int code = reply(f, line);
    for (size_t i = 0; i < sizeof dialogue / sizeof dialogue[0] && code >= 200 && code < 300; i++) {
        ssize_t n = (ssize_t)strlen(dialogue[i]);
        code = send(fd, dialogue[i], (size_t)n, MSG_NOSIGNAL) == n ? reply(f, line) : 0;
        if (code >= 400 && i < 2)
            code = 0; /* it says no to everything just now */
    }
    (void)fclose(f);
    return code;
}

void doctor_relay(struct doctor *d)
{
    struct pn_listen l;
    for (size_t i = 0; i < pn_policy_listen_count(d->policy); i++) {
        char line[LINE] = "";
        struct pn_buf where;
        pn_policy_listen(d->policy, i, &l);
        if (l.kind != PN_LISTEN_SMTP)
            continue;
        pn_buf_init(&where, 200);
        pn_endpoint_print(&where, &l.ip, l.port);
        int fd = l.proxy_count > 0 ? -1 : dial(&l);
        int code = fd < 0 ? 0 : talk(fd, line);
        if (l.proxy_count > 0)
            doctor_say(d, DOCTOR_NOTE, "relay", "%.*s is behind a proxy: not asked",
                       PN_FMT(pn_buf_str(&where)));
        else if (fd < 0)
            doctor_say(d, DOCTOR_NOTE, "relay", "%.*s: nobody answers; is the server running?",
                       PN_FMT(pn_buf_str(&where)));
        else if (code >= 200 && code < 300)
            doctor_say(d, DOCTOR_FIX, "relay",
                       "%.*s takes mail from anybody for anybody: it will be listed within hours",
                       PN_FMT(pn_buf_str(&where)));
        else if (code >= 500)
            doctor_say(d, DOCTOR_OK, "relay", "%.*s refuses mail for others (%s)",
                       PN_FMT(pn_buf_str(&where)), line);
        else
            doctor_say(d, DOCTOR_NOTE, "relay", "%.*s did not say: %s", PN_FMT(pn_buf_str(&where)),
                       line);
        pn_buf_fini(&where);
    }
}
