#include "resolver_host.h"

#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

const char *pn_daemon_path(char *out, size_t size)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0) {
        self[n] = '\0';
        const char *folder = dirname(self);
        (void)snprintf(out, size, "%s/posternd", folder);
        if (access(out, X_OK) == 0)
            return out;
        (void)snprintf(out, size, "%s/../sbin/posternd", folder);
        if (access(out, X_OK) == 0)
            return out;
    }
    (void)snprintf(out, size, "%s", PN_SBIN_DIR "/posternd");
    return out;
}

void pn_role_drain(int fd)
{
    struct pn_buf b;
    pn_buf_init(&b, 16);
    pn_u32_put(&b, 0);
    (void)pn_channel_send_fd(fd, PN_REC_DRAIN, pn_buf_str(&b), NULL, 0);
    pn_buf_fini(&b);
}

/* The file that the configuration names; the resolver opens none itself. */
static bool give_dns_file(const struct pn_launch *resolver, const struct pn_policy *policy,
                          struct pn_buf *err)
{
    char path[PATH_MAX];
    struct pn_str s = policy == NULL ? PN_STR("") : pn_policy_str(policy, "resolver.dns-file");
    if (s.len == 0)
        return true;
    (void)snprintf(path, sizeof path, "%.*s", PN_FMT(s));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && pn_launch_dns_file(resolver->fd, fd);
    if (fd < 0)
        (void)pn_buf_addf(err, "%s: %s", path, strerror(errno));
    else
        (void)close(fd);
    return ok;
}

int pn_resolver_start(struct pn_launch *resolver, const struct pn_policy *policy,
                      uint32_t generation, int policy_fd, int timeout_ms, struct pn_buf *err)
{
    char program[PATH_MAX];
    int fds[2];
    const struct pn_start start = {.role = PN_ROLE_RESOLVER,
                                   .generation = generation,
                                   .flags = PN_START_TOLD,
                                   .uid = (uint32_t)getuid(),
                                   .gid = (uint32_t)getgid(),
                                   .name = PN_STR("resolver")};
    if (!pn_launch(resolver, pn_daemon_path(program, sizeof program), PN_ROLE_RESOLVER, err))
        return -1;
    if (pn_channel_pair(fds) != 0) {
        (void)pn_buf_addf(err, "no channel: %s", strerror(errno));
        return -1;
    }
    const struct pn_peer peer = {.role = PN_ROLE_EDGE, .fd = fds[1]};
    bool ok = pn_launch_start(resolver->fd, &start, policy_fd) &&
              pn_launch_peer(resolver->fd, &peer) && give_dns_file(resolver, policy, err) &&
              pn_launch_go(resolver->fd);
    (void)close(fds[1]);
    if (ok && pn_launch_ready(resolver->fd, timeout_ms, err))
        return fds[0];
    (void)close(fds[0]);
    return -1;
}

void pn_resolver_stop(struct pn_launch *resolver)
{
    if (resolver->pid <= 0)
        return;
    pn_role_drain(resolver->fd);
    pn_launch_stop(resolver);
}
