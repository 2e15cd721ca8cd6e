#include "secret.h"

#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <termios.h>
#include <unistd.h>

static int refuse(int status, const char *why)
{
    fprintf(stderr, "postern user: %s\n", why);
    return status;
}

/* What a crash leaves on disk must not hold it. */
static void keep_from_cores(void)
{
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
}

static int prepared(struct pn_password *password)
{
    const char *why = pn_password_prepare(password);
    return why == NULL ? PN_EXIT_DONE : refuse(PN_EXIT_NO, why);
}

int pn_secret_read(struct pn_password *password)
{
    char more;
    ssize_t n = 1;
    *password = (struct pn_password){.len = 0};
    keep_from_cores();
    /* Not through stdio: its buffer would keep it. */
    while (n != 0 && password->len < sizeof password->bytes) {
        n = read(0, password->bytes + password->len, sizeof password->bytes - password->len);
        if (n < 0 && errno != EINTR)
            return refuse(PN_EXIT_UNREACHABLE, "standard input could not be read");
        password->len += n > 0 ? (size_t)n : 0;
    }
    bool feed = password->len != 0 && password->bytes[password->len - 1] == '\n';
    if (password->len > PN_PASSWORD_MAX && (!feed || read(0, &more, 1) != 0))
        return refuse(PN_EXIT_NO, "the password is longer than 256 bytes");
    password->len -= feed ? 1 : 0;
    return prepared(password);
}

static volatile sig_atomic_t caught;

static void catch (int signo)
{
    caught = signo;
}

static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
enum { SIGNALS = sizeof signals / sizeof signals[0] };

/* A signal must find the echo back on: they are caught, and raised again behind it. To stop
 * in the middle of a password is not worth the trouble. */
static void catch_signals(struct sigaction *before)
{
    struct sigaction ours = {.sa_handler = catch};
    (void)sigemptyset(&ours.sa_mask);
    caught = 0;
    for (int i = 0; i < SIGNALS; i++) {
        ours.sa_handler = signals[i] == SIGTSTP ? SIG_IGN : catch;
        (void)sigaction(signals[i], &ours, &before[i]);
    }
}

static void release_signals(const struct sigaction *before)
{
    for (int i = 0; i < SIGNALS; i++)
        (void)sigaction(signals[i], &before[i], NULL);
    if (caught != 0)
        (void)raise(caught);
}

static void say(int tty, const char *text)
{
    /* A terminal that takes no prompt takes no password either, which is seen next. */
    ssize_t n = write(tty, text, strlen(text));
    (void)n;
}

/* A line, byte by byte into the place where it is wiped; -1 without one. What does not fit
 * is read, and makes it too long. */
static int read_line(int tty, struct pn_password *password)
{
    char c = '\0';
    password->len = 0;
    while (caught == 0) {
        ssize_t n = read(tty, &c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || (n == 0 && password->len == 0))
            return -1;
        if (n == 0 || c == '\n')
            break;
        if (password->len < sizeof password->bytes)
            password->bytes[password->len++] = c;
    }
    explicit_bzero(&c, sizeof c);
    return caught == 0 ? 0 : -1;
}

static int type(int tty, const char *prompt, struct pn_password *password)
{
    struct termios was, silent;
    struct sigaction before[SIGNALS];
    if (tcgetattr(tty, &was) != 0)
        return -1;
    silent = was;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    silent.c_lflag |= ICANON | ISIG;
    catch_signals(before);
    /* FLUSH: what was typed before the echo went off is no part of it. */
    int rc = tcsetattr(tty, TCSAFLUSH, &silent);
    if (rc == 0) {
        say(tty, prompt);
        rc = read_line(tty, password);
        (void)tcsetattr(tty, TCSAFLUSH, &was);
        say(tty, "\n");
    }
    release_signals(before);
    return rc;
}

static int type_again(int tty, const struct pn_password *password)
{
    struct pn_password again = {.len = 0};
    int rc = type(tty, "Password again: ", &again);
    bool same = again.len == password->len &&
                CRYPTO_memcmp(again.bytes, password->bytes, sizeof again.bytes) == 0;
    pn_password_wipe(&again);
    if (rc != 0)
        return refuse(PN_EXIT_UNREACHABLE, "no password was typed");
    return same ? PN_EXIT_DONE : refuse(PN_EXIT_NO, "the two passwords differ");
}

int pn_secret_ask(struct pn_password *password, bool twice)
{
    int status = PN_EXIT_DONE;
    *password = (struct pn_password){.len = 0};
    keep_from_cores();
    int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (tty < 0)
        return refuse(PN_EXIT_UNREACHABLE, "no terminal to ask on; --stdin reads the password");
    if (type(tty, "Password: ", password) != 0)
        status = refuse(PN_EXIT_UNREACHABLE, "no password was typed");
    else if (twice)
        status = type_again(tty, password);
    (void)close(tty);
    return status == PN_EXIT_DONE ? prepared(password) : status;
}
