#include "log.h"

#include "buf.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096 };

static const char *log_role = "postern";
static enum pn_log_level log_least = PN_LOG_INFO;

void pn_log_init(const char *role, enum pn_log_level least)
{
    log_role = role;
    log_least = least;
}

void pn_log(enum pn_log_level level, const char *fmt, ...)
{
    static const char names[][6] = {"debug", "info", "warn", "error"};
    char text[LINE_MAX_BYTES / 2];
    char line[LINE_MAX_BYTES];
    int saved = errno;
    if (level < log_least)
        return;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    size_t len = (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    n = snprintf(line, sizeof line, "%s %s: ", names[level], log_role);
    size_t at = n < 0 ? 0 : (size_t)n;
    for (size_t i = 0; i < len && at + 5 < sizeof line; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != 0x7f) {
            line[at++] = (char)c;
        } else {
            (void)snprintf(line + at, 5, "\\x%02x", c);
            at += 4;
        }
    }
    line[at++] = '\n';
    /* One write, so that lines of several roles never mix. */
    ssize_t written = write(STDERR_FILENO, line, at);
    (void)written;
    errno = saved;
}
