#include "queue_rig.h"

#include "clock.h"
#include "command.h"
#include "memfile.h"
#include "queue.h"
#include "unit.h"

#include <string.h>
#include <unistd.h>

enum { LIST_TOKEN = 1000000 };

void queue_rig_init(struct role_rig *rig)
{
    static const enum pn_role peers[] = {PN_ROLE_EDGE, PN_ROLE_MAILBOX, PN_ROLE_ADMIN};
    role_rig_init(rig, PN_ROLE_QUEUE, PN_FOLDER_SPOOL, pn_queue_main);
    for (rig->peer_count = 0; rig->peer_count < 3; rig->peer_count++)
        rig->peer_roles[rig->peer_count] = peers[rig->peer_count];
}

void queue_rig_send(struct role_rig *rig, unsigned edge, const struct pn_envelope *env,
                    struct pn_str content)
{
    struct pn_buf body;
    pn_buf_init(&body, PN_ENVELOPE_MAX);
    UNIT_TRUE(pn_envelope_put(&body, env));
    int fd = env->content_file != 0 ? -1 : pn_memfile_of("test", content);
    UNIT_INT(pn_channel_send_fd(rig->peers[edge], PN_REC_TAKE, pn_buf_str(&body), &fd, fd >= 0), 0);
    if (fd >= 0)
        (void)close(fd);
    pn_buf_fini(&body);
}

uint16_t queue_rig_taken(struct role_rig *rig, unsigned edge, uint64_t *id)
{
    struct pn_record record;
    struct pn_taken t = {0};
    struct pn_buf buf;
    pn_buf_init(&buf, PN_RECORD_MAX);
    if (role_rig_recv(rig, edge, &record, &buf))
        UNIT_TRUE(record.type == PN_REC_TAKEN && pn_taken_get(record.body, &t));
    pn_buf_fini(&buf);
    *id = t.id;
    return t.reply.code;
}

uint16_t queue_rig_offer(struct role_rig *rig, unsigned edge, const struct pn_envelope *env,
                         struct pn_str content)
{
    uint64_t id;
    queue_rig_send(rig, edge, env, content);
    uint16_t code = queue_rig_taken(rig, edge, &id);
    UNIT_INT(id, env->id);
    return code;
}

static void send_command(struct role_rig *rig, unsigned admin, const struct pn_command *c)
{
    struct pn_buf b;
    pn_buf_init(&b, PN_RECORD_MAX);
    pn_command_put(&b, c);
    UNIT_INT(pn_channel_send_fd(rig->peers[admin], PN_REC_COMMAND, pn_buf_str(&b), NULL, 0), 0);
    pn_buf_fini(&b);
}

void queue_rig_ask(struct role_rig *rig, unsigned admin, uint64_t token, const char *verb,
                   const char *id, bool held)
{
    struct pn_command c = {.token = token, .count = 1, .words = {pn_str_of(verb)}};
    if (id != NULL)
        c.words[c.count++] = pn_str_of(id);
    if (held)
        c.words[c.count++] = PN_STR("--held");
    send_command(rig, admin, &c);
}

void queue_rig_ask_words(struct role_rig *rig, unsigned admin, uint64_t token, const char *words)
{
    struct pn_command c = {.token = token};
    for (struct pn_str rest = pn_str_of(words); rest.p != NULL && c.count < PN_COMMAND_WORDS_MAX;)
        c.words[c.count++] = pn_str_split(&rest, ' ');
    send_command(rig, admin, &c);
}

void queue_rig_answer(struct role_rig *rig, unsigned admin, uint64_t token, struct pn_buf *lines)
{
    struct pn_record record;
    struct pn_buf buf;
    struct pn_command_reply reply = {0};
    pn_buf_init(&buf, PN_RECORD_MAX);
    pn_buf_clear(lines);
    while (!reply.last && role_rig_recv(rig, admin, &record, &buf)) {
        if (record.type == PN_REC_COMMAND_REPLY && pn_command_reply_get(record.body, &reply)) {
            UNIT_INT(reply.token, token);
            (void)pn_buf_adds(lines, reply.line);
        }
        pn_record_close_fds(&record);
        pn_buf_clear(&buf);
    }
    pn_buf_fini(&buf);
}

bool queue_rig_says(const struct pn_buf *lines, const char *words)
{
    return memmem(lines->p, lines->len, words, strlen(words)) != NULL;
}

void queue_rig_wait_list(struct role_rig *rig, unsigned admin, bool held, const char *words,
                         bool there)
{
    struct pn_buf lines;
    bool says = !there;
    pn_buf_init(&lines, 100000);
    for (int n = 0; n < QUEUE_RIG_PATIENCE_MS / 10 && says != there; n++) {
        queue_rig_ask(rig, admin, LIST_TOKEN, "list", NULL, held);
        queue_rig_answer(rig, admin, LIST_TOKEN, &lines);
        says = queue_rig_says(&lines, words);
        if (says != there)
            (void)usleep(10000);
    }
    UNIT_INT(says, there);
    pn_buf_fini(&lines);
}

void queue_rig_flush(struct role_rig *rig, unsigned edge, uint64_t id)
{
    static const struct pn_str content = PN_STR_INIT("A: b\r\n\r\n");
    struct pn_edit_group group = {0, NULL};
    struct pn_recipient to = {.address = PN_STR("f"), .user = PN_STR("f"), .hand = PN_HAND_HOLD};
    const struct pn_envelope env = {.id = id,
                                    .arrived_ms = pn_clock_wall_ms(),
                                    .size = content.len,
                                    .group_count = 1,
                                    .groups = &group,
                                    .recipient_count = 1,
                                    .recipients = &to};
    UNIT_INT(queue_rig_offer(rig, edge, &env, content), 250);
}
