#include "ask.h"

#include "json.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

const char *pn_ask_path(const char *path, const char *root, char out[PN_ASK_PATH_MAX])
{
    if (path != NULL)
        return path;
    (void)snprintf(out, PN_ASK_PATH_MAX, "%s/control.sock", root == NULL ? "/run/postern" : root);
    if (root != NULL)
        (void)snprintf(out, PN_ASK_PATH_MAX, "%s/run/control.sock", root);
    return out;
}

static int connect_to(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int n = snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    if (n < 0 || (size_t)n >= sizeof at.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof at) != 0) {
        int error = errno;
        (void)close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static bool send_command(int fd, const char *const *words, size_t count)
{
    struct pn_buf b;
    pn_buf_init(&b, PN_ASK_LINE_MAX);
    struct pn_json j = pn_json_to(&b);
    pn_json_object(&j, NULL);
    pn_json_array(&j, "command");
    for (size_t i = 0; i < count; i++)
        pn_json_str(&j, NULL, pn_str_of(words[i]));
    pn_json_array_end(&j);
    pn_json_object_end(&j);
    (void)pn_buf_addc(&b, '\n');
    bool ok = !b.overflow;
    for (size_t at = 0; at < b.len && ok;) {
        ssize_t n = send(fd, b.p + at, b.len - at, MSG_NOSIGNAL);
        ok = n > 0 || (n < 0 && errno == EINTR);
        at += n > 0 ? (size_t)n : 0;
    }
    pn_buf_fini(&b);
    return ok;
}

bool pn_ask_start(struct pn_ask *ask, const char *path, const char *const *words, size_t count)
{
    *ask = (struct pn_ask){0};
    pn_buf_init(&ask->line, PN_ASK_LINE_MAX);
    int fd = connect_to(path);
    if (fd >= 0 && send_command(fd, words, count))
        ask->from = fdopen(fd, "r");
    if (ask->from != NULL)
        return true;
    fprintf(stderr, "postern: no server answers at %s: %s\n", path, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return false;
}

struct pn_str pn_ask_line(struct pn_ask *ask)
{
    int c;
    pn_buf_clear(&ask->line);
    while ((c = getc(ask->from)) != EOF && c != '\n' && pn_buf_addc(&ask->line, (char)c)) {
    }
    if (c != '\n')
        return (struct pn_str){NULL, 0};
    return ask->line.len == 0 ? PN_STR("") : pn_buf_str(&ask->line);
}

/* A stranger's message on a terminal: it may hold no commands to it, those of two bytes
 * (U+0080 to U+009F) included, which `before` finds where a chunk cuts them. */
static bool put_plain(const char *p, size_t n, unsigned char *before, FILE *to)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        bool control = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f ||
                       (*before == 0xc2 && c >= 0x80 && c < 0xa0);
        if (c != '\r' && putc(control ? '?' : c, to) == EOF)
            return false;
        *before = c;
    }
    return true;
}

bool pn_ask_content(struct pn_ask *ask, uint64_t n, FILE *to)
{
    char chunk[16 * 1024];
    const bool plain = isatty(fileno(to)) == 1;
    unsigned char before = 0;
    while (n > 0) {
        size_t got = fread(chunk, 1, n < sizeof chunk ? (size_t)n : sizeof chunk, ask->from);
        if (got == 0 ||
            !(plain ? put_plain(chunk, got, &before, to) : fwrite(chunk, 1, got, to) == got))
            return false;
        n -= got;
    }
    return true;
}

void pn_ask_end(struct pn_ask *ask)
{
    if (ask->from != NULL)
        (void)fclose(ask->from);
    ask->from = NULL;
    pn_buf_fini(&ask->line);
}
