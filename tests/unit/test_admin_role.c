/* The admin role over its channels: the test is queue (peer 0), edge (peer 1) and the
 * operator at the control socket. */
#include "role_rig.h"
#include "unit.h"

#include "admin.h"
#include "assert.h"
#include "command.h"
#include "kit_policy.h"
#include "launch.h"
#include "memfile.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { QUEUE, EDGE };

static struct sockaddr_un address_of(const struct role_rig *rig)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%s/control", rig->path);
    return addr;
}

static void give_socket(struct role_rig *rig)
{
    const struct sockaddr_un addr = address_of(rig);
    struct pn_buf b;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    UNIT_INT(bind(fd, (const struct sockaddr *)&addr, sizeof addr), 0);
    UNIT_INT(listen(fd, 8), 0);
    pn_buf_init(&b, 100);
    pn_listener_put(&b, &(struct pn_listener){.kind = PN_LISTENER_CONTROL});
    UNIT_INT(pn_channel_send_fd(rig->control, PN_REC_LISTENER, pn_buf_str(&b), &fd, 1), 0);
    pn_buf_fini(&b);
    (void)close(fd);
}

static void rig_up(struct role_rig *rig, struct kit *kit)
{
    kit_open(kit, "", "");
    UNIT_STR(kit_problems(kit), PN_STR(""));
    role_rig_init(rig, PN_ROLE_ADMIN, PN_FOLDER_LOG, pn_admin_main);
    rig->policy_fd = pn_memfile_of("policy", pn_buf_str(&kit->image));
    rig->peer_roles[QUEUE] = PN_ROLE_QUEUE;
    rig->peer_roles[EDGE] = PN_ROLE_EDGE;
    rig->peer_count = 2;
    rig->before_go = give_socket;
    role_rig_start(rig);
}

static void rig_down(struct role_rig *rig, struct kit *kit)
{
    UNIT_INT(role_rig_drain(rig), 0);
    (void)close(rig->policy_fd);
    role_rig_fini(rig);
    kit_close(kit);
}

/* Asks the queue, as an operator does; the socket. */
static int ask(const struct role_rig *rig)
{
    static const char line[] = "{\"command\":[\"queue\",\"list\"]}\n";
    const struct sockaddr_un addr = address_of(rig);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    UNIT_INT(connect(fd, (const struct sockaddr *)&addr, sizeof addr), 0);
    UNIT_INT(write(fd, line, sizeof line - 1), sizeof line - 1);
    return fd;
}

static uint64_t token_of(struct role_rig *rig)
{
    struct pn_record record;
    struct pn_command command = {0};
    struct pn_buf b;
    pn_buf_init(&b, PN_RECORD_MAX);
    if (role_rig_recv(rig, QUEUE, &record, &b))
        UNIT_TRUE(record.type == PN_REC_COMMAND && pn_command_get(record.body, &command));
    pn_buf_fini(&b);
    return command.token;
}

static void answer(struct role_rig *rig, unsigned peer, uint64_t token, const char *line, int fd)
{
    const struct pn_command_reply reply = {token, true, pn_str_of(line)};
    struct pn_buf b;
    pn_buf_init(&b, 1000);
    pn_command_reply_put(&b, &reply);
    UNIT_INT(pn_channel_send_fd(rig->peers[peer], PN_REC_COMMAND_REPLY, pn_buf_str(&b), &fd,
                                fd >= 0 ? 1 : 0),
             0);
    pn_buf_fini(&b);
}

/* All that the operator gets. */
static void expect(int fd, const char *want)
{
    char got[200];
    size_t len = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (ssize_t n = 1; n > 0 && len<sizeof got; len += n> 0 ? (size_t)n : 0)
        n = poll(&p, 1, 10000) == 1 ? read(fd, got + len, sizeof got - len) : -1;
    UNIT_STR(((struct pn_str){got, len}), pn_str_of(want));
    (void)close(fd);
}

/* An edge that was taken over may not speak to the operator in the queue's name. */
static void test_who_answers(void)
{
    struct role_rig rig;
    struct kit kit;
    struct pn_record record;
    struct pn_buf b;
    rig_up(&rig, &kit);
    int fd = ask(&rig);
    uint64_t token = token_of(&rig);
    answer(&rig, EDGE, token, "{\"forged\":true}", -1);
    pn_buf_init(&b, PN_RECORD_MAX);
    UNIT_INT(pn_channel_recv_fd(rig.peers[EDGE], &record, &b, 10000), 0); /* it is cut off */
    pn_buf_fini(&b);
    answer(&rig, QUEUE, token, "{\"ok\":true}", -1);
    expect(fd, "{\"ok\":true}\n");
    rig_down(&rig, &kit);
}

/* Content that its sender could still cut short under our hands is not read. */
static void test_content(void)
{
    struct role_rig rig;
    struct kit kit;
    struct pn_memfile open_file;
    rig_up(&rig, &kit);
    int sealed = pn_memfile_of("shown", PN_STR("content\n"));
    pn_assert(pn_memfile_init(&open_file, "shown", 100) == 0);
    UNIT_TRUE(pn_memfile_write(&open_file, PN_STR("content\n")));
    int fd = ask(&rig);
    answer(&rig, QUEUE, token_of(&rig), "{\"ok\":true}", sealed);
    expect(fd, "{\"ok\":true}\ncontent\n");
    fd = ask(&rig);
    answer(&rig, QUEUE, token_of(&rig), "{\"ok\":true}", open_file.fd);
    expect(fd, "{\"ok\":true}\n");
    (void)close(sealed);
    pn_memfile_fini(&open_file);
    rig_down(&rig, &kit);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"who_answers", test_who_answers}, {"content", test_content}, {NULL, NULL}};
    return unit_main("admin_role", tests, argc, argv);
}
