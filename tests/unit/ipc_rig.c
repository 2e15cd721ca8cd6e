#include "ipc_rig.h"

#include "channel.h"
#include "clock.h"
#include "unit.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void turn_until(struct pn_loop *loop, const int *value, int want)
{
    uint64_t stop = pn_clock_mono_ns() + 2 * (uint64_t)PN_NS_PER_S;
    while (*value < want && pn_clock_mono_ns() < stop)
        pn_loop_turn(loop, 50);
    UNIT_INT(*value, want);
}

bool same_file(int a, int b)
{
    struct stat sa, sb;
    return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_ino == sb.st_ino &&
           sa.st_dev == sb.st_dev;
}

struct rlimit leave_room(int n)
{
    struct rlimit was, now;
    UNIT_INT(getrlimit(RLIMIT_NOFILE, &was), 0);
    int next = open("/dev/null", O_RDONLY); /* the lowest that is free */
    (void)close(next);
    now = was;
    now.rlim_cur = (rlim_t)(next + n);
    UNIT_INT(setrlimit(RLIMIT_NOFILE, &now), 0);
    return was;
}

bool room_counts(void)
{
    char bytes[64];
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {bytes, sizeof bytes};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof control};
    int fds[2], got = -1;
    UNIT_INT(pn_channel_pair(fds), 0);
    UNIT_INT(pn_channel_send_fd(fds[0], 1, PN_STR(""), &fds[0], 1), 0);
    struct rlimit was = leave_room(0);
    UNIT_TRUE(recvmsg(fds[1], &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) > 0);
    UNIT_INT(setrlimit(RLIMIT_NOFILE, &was), 0);
    bool counts = (msg.msg_flags & MSG_CTRUNC) != 0;
    if (!counts)
        memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof got);
    if (got >= 0)
        (void)close(got);
    (void)close(fds[0]);
    (void)close(fds[1]);
    if (!counts)
        printf("skipped: what no descriptor is left for, since it comes all the same\n");
    return counts;
}
