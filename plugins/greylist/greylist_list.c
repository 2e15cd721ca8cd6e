/* A list of domains in a file. */
#include "greylist.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int by_text(const void *a, const void *b)
{
    const struct postern_str *x = a, *y = b;
    size_t len = x->len < y->len ? x->len : y->len;
    int c = memcmp(x->p, y->p, len);
    return c != 0 ? c : (x->len > y->len) - (x->len < y->len);
}

bool greylist_pattern_ok(struct postern_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] <= ' ' || s.p[i] == 0x7f || s.p[i] == '@')
            return false;
    return s.len > 1 || (s.len == 1 && s.p[0] != '.');
}

/* Lower-cases the copy where it lies. */
static struct postern_str next_line(char **at, char *end)
{
    char *line = *at, *stop = memchr(line, '\n', (size_t)(end - line));
    *at = stop == NULL ? end : stop + 1;
    char *to = stop == NULL ? end : stop, *comment = memchr(line, '#', (size_t)(to - line));
    if (comment != NULL)
        to = comment;
    while (to > line && (to[-1] == ' ' || to[-1] == '\t' || to[-1] == '\r'))
        to--;
    while (line < to && (*line == ' ' || *line == '\t'))
        line++;
    for (char *c = line; c < to; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c | 0x20);
    return (struct postern_str){line, (size_t)(to - line)};
}

bool greylist_list_parse(struct greylist_list *list, const char *bytes, size_t len, char *err,
                         size_t err_size)
{
    size_t lines = 1, number = 0;
    for (size_t i = 0; i < len; i++)
        lines += bytes[i] == '\n';
    *list = (struct greylist_list){.text = malloc(len + 1),
                                   .domains = calloc(lines, sizeof *list->domains)};
    if (list->text == NULL || list->domains == NULL) {
        (void)snprintf(err, err_size, "out of memory");
        greylist_list_free(list);
        return false;
    }
    if (len != 0)
        memcpy(list->text, bytes, len);
    for (char *at = list->text, *end = list->text + len; at < end;) {
        struct postern_str s = next_line(&at, end);
        number++;
        if (s.len == 0)
            continue;
        if (!greylist_pattern_ok(s)) {
            (void)snprintf(err, err_size, "line %zu: expected a domain, or a dot and one", number);
            greylist_list_free(list);
            return false;
        }
        list->domains[list->count++] = s;
    }
    if (list->count != 0)
        qsort(list->domains, list->count, sizeof *list->domains, by_text);
    return true;
}

bool greylist_list_read(struct greylist_list *list, const char *path, char *err, size_t err_size)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *bytes = NULL;
    size_t len = 0;
    *list = (struct greylist_list){NULL, NULL, 0};
    bool ok = fd >= 0 && fstat(fd, &st) == 0;
    if (ok && (!S_ISREG(st.st_mode) || st.st_size > GREYLIST_LIST_MAX)) {
        errno = EFBIG;
        ok = false;
    }
    if (ok)
        ok = (bytes = malloc((size_t)st.st_size + 1)) != NULL;
    while (ok && len < (size_t)st.st_size) {
        ssize_t n = read(fd, bytes + len, (size_t)st.st_size - len);
        if (n <= 0)
            break; /* it became shorter: what was read counts */
        len += (size_t)n;
    }
    if (!ok)
        (void)snprintf(err, err_size, "%s", strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    ok = ok && greylist_list_parse(list, bytes, len, err, err_size);
    free(bytes);
    return ok;
}

void greylist_list_free(struct greylist_list *list)
{
    free(list->text);
    free(list->domains);
    *list = (struct greylist_list){NULL, NULL, 0};
}

static bool has(const struct greylist_list *list, struct postern_str wanted)
{
    return bsearch(&wanted, list->domains, list->count, sizeof wanted, by_text) != NULL;
}

/* The domain itself, then ".x.test" for each that it is below. */
bool greylist_list_has(const struct greylist_list *list, struct postern_str domain)
{
    char text[256];
    if (list->count == 0 || domain.len == 0 || domain.len > sizeof text)
        return false;
    for (size_t i = 0; i < domain.len; i++)
        text[i] =
            domain.p[i] >= 'A' && domain.p[i] <= 'Z' ? (char)(domain.p[i] | 0x20) : domain.p[i];
    if (has(list, (struct postern_str){text, domain.len}))
        return true;
    for (size_t i = 0; i < domain.len; i++)
        if (text[i] == '.' && has(list, (struct postern_str){text + i, domain.len - i}))
            return true;
    return false;
}
