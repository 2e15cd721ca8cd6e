/* What a rename is about to do, written down in postern/rename until it is done. */
#include "folders_int.h"
#include "whole.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char hidden[] = "postern", name[] = "rename", fresh[] = "rename.new";
static const char inbox[] = "INBOX";

/* No link is followed; -1 with errno. */
static int open_hidden(int dir)
{
    return openat(dir, hidden, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int renaming_write(int dir, struct pn_str from, struct pn_str to, uint32_t uidvalidity,
                   uint32_t below)
{
    char text[PLAN_MAX + 1];
    struct pn_str called = from.len == 0 ? pn_str_of(inbox) : from;
    int n = snprintf(text, sizeof text, "%.*s\n%.*s\n", PN_FMT(called), PN_FMT(to));
    if (n > 0 && (size_t)n < sizeof text && from.len == 0)
        n += snprintf(text + n, sizeof text - (size_t)n, "%u\n%u\n", uidvalidity, below);
    if (n < 0 || (size_t)n >= sizeof text)
        return ENAMETOOLONG;
    if (mkdirat(dir, hidden, 0700) != 0 && errno != EEXIST)
        return errno;
    int own = open_hidden(dir);
    if (own < 0)
        return errno;
    int error = pn_replace_whole(own, name, fresh, (struct pn_str){text, (size_t)n});
    if (error == 0 && fsync(own) != 0)
        error = errno;
    (void)close(own);
    /* It may have been made just now. */
    return error == 0 && fsync(dir) != 0 ? errno : error;
}

int renaming_end(int dir)
{
    int own = open_hidden(dir);
    if (own < 0)
        return errno == ENOENT ? 0 : errno;
    int error = unlinkat(own, name, 0) != 0 && errno != ENOENT ? errno : 0;
    if (error == 0 && fsync(own) != 0)
        error = errno;
    (void)close(own);
    return error;
}

static void parse(struct renaming *plan, struct pn_str text)
{
    uint64_t n;
    struct pn_str rest = text;
    plan->from = pn_str_split(&rest, '\n');
    plan->to = rest.p == NULL ? PN_STR("") : pn_str_split(&rest, '\n');
    plan->of_inbox = pn_str_eq(plan->from, pn_str_of(inbox));
    if (!plan->of_inbox)
        return;
    plan->from = PN_STR("");
    struct pn_str line = rest.p == NULL ? PN_STR("") : pn_str_split(&rest, '\n');
    plan->uidvalidity = pn_str_u64(line, UINT32_MAX, &n) ? (uint32_t)n : 0;
    line = rest.p == NULL ? PN_STR("") : pn_str_split(&rest, '\n');
    plan->below = pn_str_u64(line, UINT32_MAX, &n) ? (uint32_t)n : 0;
}

int renaming_read(int dir, struct renaming *out)
{
    *out = (struct renaming){.below = 0};
    int own = open_hidden(dir);
    int fd = own < 0 ? -1 : openat(own, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int error = fd < 0 ? errno : 0;
    if (own >= 0)
        (void)close(own);
    if (fd < 0)
        return error;
    ssize_t n = read(fd, out->text, PLAN_MAX);
    error = n < 0 ? errno : 0;
    (void)close(fd);
    if (error == 0)
        parse(out, (struct pn_str){out->text, (size_t)n});
    return error;
}
