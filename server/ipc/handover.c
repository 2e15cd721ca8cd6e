#include "handover.h"

#include "clock.h"

static const char id_digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

enum {
    ID_TAG_BITS = 10,
    ID_COUNT_BITS = 13,
    ID_TIME_SHIFT = ID_TAG_BITS + ID_COUNT_BITS,
    ID_DIGITS = 13
};
static const int64_t ID_EPOCH_MS = 1577836800000; /* 2020-01-01 */

uint64_t pn_queue_id_make(struct pn_queue_id_maker *maker)
{
    int64_t ms = pn_clock_wall_ms() - ID_EPOCH_MS;
    uint64_t now = ms < 1 ? 1 : (uint64_t)ms;
    uint64_t id = now << ID_TIME_SHIFT | (uint64_t)(maker->tag & PN_QUEUE_ID_TAG_MAX)
                                             << ID_COUNT_BITS;
    if (id <= maker->last) { /* the same millisecond, or the clock went back */
        id = maker->last + 1;
        if ((id & ((1U << ID_COUNT_BITS) - 1)) ==
            0) /* count is spent: on to the next millisecond */
            id = maker->last - ((1U << ID_COUNT_BITS) - 1) + (1ULL << ID_TIME_SHIFT);
    }
    maker->last = id;
    return id;
}

const char *pn_queue_id_text(uint64_t id, char text[PN_QUEUE_ID_TEXT_MAX])
{
    for (int i = ID_DIGITS - 1; i >= 0; i--, id >>= 5)
        text[i] = id_digits[id & 31];
    text[ID_DIGITS] = '\0';
    return text;
}

bool pn_queue_id_parse(struct pn_str text, uint64_t *id)
{
    uint64_t v = 0;
    if (text.len != ID_DIGITS)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        const char *at = memchr(id_digits, pn_lower(text.p[i]), sizeof id_digits - 1);
        if (at == NULL || (i == 0 && at - id_digits > 15))
            return false;
        v = v << 5 | (uint64_t)(at - id_digits);
    }
    *id = v;
    return true;
}

int64_t pn_queue_id_time(uint64_t id)
{
    return (int64_t)(id >> ID_TIME_SHIFT) + ID_EPOCH_MS;
}

static bool is_ctl(char c)
{
    return (unsigned char)c < ' ' || c == 127;
}

/* One line of text for an SMTP command, a header or an operator's eyes. */
static bool text_ok(struct pn_str s)
{
    if (s.len > PN_ENVELOPE_TEXT_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (is_ctl(s.p[i]) && s.p[i] != '\t')
            return false;
    return true;
}

bool pn_header_name_ok(struct pn_str name)
{
    if (name.len == 0 || name.len > PN_ENVELOPE_TEXT_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (name.p[i] <= ' ' || name.p[i] >= 127 || name.p[i] == ':')
            return false;
    return true;
}

bool pn_header_value_ok(struct pn_str value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.p[i];
        if (c == '\0' || c == '\n')
            return false;
        if (c != '\r')
            continue;
        /* CRLF and a space or tab: folding; anything else would end the line. */
        if (value.len - i < 3 || value.p[i + 1] != '\n' ||
            (value.p[i + 2] != ' ' && value.p[i + 2] != '\t'))
            return false;
        i += 2;
    }
    return true;
}

static void edits_put(struct pn_buf *out, const struct pn_edit_group *group)
{
    pn_wr_u32(out, group->count);
    for (uint32_t i = 0; i < group->count; i++) {
        const struct pn_header_edit *e = &group->edits[i];
        pn_wr_u8(out, e->op);
        pn_wr_u32(out, (uint32_t)e->nth);
        pn_wr_str(out, e->name);
        pn_wr_str(out, e->value);
    }
}

static bool edit_ok(const struct pn_header_edit *e)
{
    bool nameless = e->op == PN_HEDIT_REMOVE_RESULTS && e->name.len == 0;
    return e->op < PN_HEDIT_COUNT && e->nth >= (e->op == PN_HEDIT_AT ? 0 : -1) &&
           (nameless || pn_header_name_ok(e->name)) && pn_header_value_ok(e->value);
}

/* left: edits that may still come, over all groups. */
static bool edits_get(struct pn_rd *r, struct pn_pool *pool, uint32_t *left,
                      struct pn_edit_group *group)
{
    uint32_t count = pn_rd_count(r, 1 + 4 + 4 + 4);
    if (!pn_rd_ok(r) || count > *left)
        return false;
    *left -= count;
    *group = (struct pn_edit_group){count, pn_pool_alloc(pool, count * sizeof *group->edits)};
    if (group->edits == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct pn_header_edit *e = &group->edits[i];
        e->op = pn_rd_u8(r);
        e->nth = (int32_t)pn_rd_u32(r);
        e->name = pn_rd_str(r);
        e->value = pn_rd_str(r);
        if (!pn_rd_ok(r) || !edit_ok(e))
            return false;
    }
    return true;
}

static void recipient_put(struct pn_buf *out, const struct pn_recipient *to)
{
    pn_wr_str(out, to->address);
    pn_wr_u8(out, to->hand);
    pn_wr_u8(out, to->via);
    pn_wr_u8(out, to->notify);
    pn_wr_u16(out, to->group);
    pn_wr_str(out, to->next_hop);
    pn_wr_str(out, to->user);
    pn_wr_str(out, to->folder);
    pn_wr_str(out, to->orcpt);
    pn_wr_str(out, to->reason);
}

enum { RECIPIENT_BYTES_MIN = 6 * 4 + 5 };

/* from and by: later_get's; given: given_get's. */
static bool recipient_get(struct pn_rd *r, uint32_t groups, struct pn_recipient *to)
{
    to->address = pn_rd_str(r);
    to->hand = pn_rd_u8(r);
    to->via = pn_rd_u8(r);
    to->notify = pn_rd_u8(r);
    to->group = pn_rd_u16(r);
    to->next_hop = pn_rd_str(r);
    to->user = pn_rd_str(r);
    to->folder = pn_rd_str(r);
    to->orcpt = pn_rd_str(r);
    to->reason = pn_rd_str(r);
    return pn_rd_ok(r) && to->address.len > 0 && to->hand < PN_HAND_COUNT &&
           to->via < PN_VIA_COUNT && to->notify < 16 && to->group < groups &&
           (to->via == PN_VIA_LOCAL ? to->user.len : to->next_hop.len) > 0 &&
           text_ok(to->address) && text_ok(to->next_hop) && text_ok(to->user) &&
           text_ok(to->folder) && text_ok(to->orcpt) && text_ok(to->reason);
}

/* What version 2 has behind all that version 1 has. */
static void later_put(struct pn_buf *out, const struct pn_envelope *env)
{
    for (uint32_t i = 0; i < env->recipient_count; i++) {
        pn_wr_str(out, env->recipients[i].from);
        pn_wr_str(out, env->recipients[i].by);
    }
}

static bool later_get(struct pn_rd *r, const struct pn_envelope *env)
{
    for (uint32_t i = 0; i < env->recipient_count; i++) {
        struct pn_recipient *to = &env->recipients[i];
        to->from = pn_rd_str(r);
        to->by = pn_rd_str(r);
        if (!pn_rd_ok(r) || !text_ok(to->from) || !text_ok(to->by))
            return false;
    }
    return true;
}

/* And version 3 behind that. */
static void given_put(struct pn_buf *out, const struct pn_envelope *env)
{
    for (uint32_t i = 0; i < env->recipient_count; i++)
        pn_wr_str(out, env->recipients[i].given);
}

static bool given_get(struct pn_rd *r, const struct pn_envelope *env)
{
    for (uint32_t i = 0; i < env->recipient_count; i++) {
        env->recipients[i].given = pn_rd_str(r);
        if (!pn_rd_ok(r) || !text_ok(env->recipients[i].given))
            return false;
    }
    return true;
}

/* And version 4 behind that. */
static bool submitter_get(struct pn_rd *r, struct pn_envelope *env)
{
    env->submitter = pn_rd_str(r);
    return pn_rd_ok(r) && text_ok(env->submitter);
}

bool pn_envelope_put(struct pn_buf *out, const struct pn_envelope *env)
{
    size_t start = out->len;
    pn_wr_u8(out, PN_ENVELOPE_VERSION);
    pn_wr_u64(out, env->id);
    pn_wr_i64(out, env->arrived_ms);
    pn_wr_u64(out, env->size);
    pn_wr_u32(out, env->flags);
    pn_wr_u8(out, env->ret);
    pn_wr_u32(out, env->generation);
    pn_wr_u64(out, env->content_file);
    pn_wr_str(out, env->reverse_path);
    pn_wr_str(out, env->envid);
    pn_wr_str(out, env->client);
    pn_wr_str(out, env->helo);
    pn_wr_u32(out, env->group_count);
    for (uint32_t i = 0; i < env->group_count; i++)
        edits_put(out, &env->groups[i]);
    pn_wr_u32(out, env->recipient_count);
    for (uint32_t i = 0; i < env->recipient_count; i++)
        recipient_put(out, &env->recipients[i]);
    later_put(out, env);
    given_put(out, env);
    pn_wr_str(out, env->submitter);
    return !out->overflow && out->len - start <= PN_ENVELOPE_MAX;
}

static bool groups_get(struct pn_rd *r, struct pn_pool *pool, struct pn_envelope *env)
{
    uint32_t edits_left = PN_ENVELOPE_EDITS_MAX;
    env->group_count = pn_rd_count(r, 4);
    if (!pn_rd_ok(r) || env->group_count > PN_ENVELOPE_GROUPS_MAX)
        return false;
    env->groups = pn_pool_alloc(pool, env->group_count * sizeof *env->groups);
    if (env->groups == NULL)
        return false;
    for (uint32_t i = 0; i < env->group_count; i++)
        if (!edits_get(r, pool, &edits_left, &env->groups[i]))
            return false;
    return true;
}

static bool recipients_get(struct pn_rd *r, struct pn_pool *pool, struct pn_envelope *env)
{
    env->recipient_count = pn_rd_count(r, RECIPIENT_BYTES_MIN);
    if (!pn_rd_ok(r) || env->recipient_count == 0 ||
        env->recipient_count > PN_ENVELOPE_RECIPIENTS_MAX)
        return false;
    env->recipients = pn_pool_alloc(pool, env->recipient_count * sizeof *env->recipients);
    if (env->recipients == NULL)
        return false;
    for (uint32_t i = 0; i < env->recipient_count; i++)
        if (!recipient_get(r, env->group_count, &env->recipients[i]))
            return false;
    return true;
}

static bool head_ok(const struct pn_envelope *env)
{
    bool file = (env->flags & PN_ENV_CONTENT_FILE) != 0;
    return (env->flags & ~(uint32_t)PN_ENV_ALL) == 0 && file == (env->content_file != 0) &&
           (env->ret == 0 || env->ret == 'F' || env->ret == 'H') && text_ok(env->reverse_path) &&
           text_ok(env->envid) && text_ok(env->client) && text_ok(env->helo);
}

bool pn_envelope_get(struct pn_str bytes, struct pn_pool *pool, struct pn_envelope *env)
{
    struct pn_rd r = pn_rd_of(bytes);
    *env = (struct pn_envelope){0};
    uint8_t version = pn_rd_u8(&r);
    if (bytes.len > PN_ENVELOPE_MAX || version == 0 || version > PN_ENVELOPE_VERSION)
        return false;
    env->id = pn_rd_u64(&r);
    env->arrived_ms = pn_rd_i64(&r);
    env->size = pn_rd_u64(&r);
    env->flags = pn_rd_u32(&r);
    env->ret = pn_rd_u8(&r);
    env->generation = pn_rd_u32(&r);
    env->content_file = pn_rd_u64(&r);
    env->reverse_path = pn_rd_str(&r);
    env->envid = pn_rd_str(&r);
    env->client = pn_rd_str(&r);
    env->helo = pn_rd_str(&r);
    return pn_rd_ok(&r) && head_ok(env) && groups_get(&r, pool, env) &&
           recipients_get(&r, pool, env) && (version < 2 || later_get(&r, env)) &&
           (version < 3 || given_get(&r, env)) && (version < 4 || submitter_get(&r, env)) &&
           pn_rd_done(&r);
}

static void reply_put(struct pn_buf *out, const struct pn_reply *reply)
{
    pn_wr_u16(out, reply->code);
    pn_wr_str(out, reply->text);
}

static bool reply_get(struct pn_rd *r, struct pn_reply *reply)
{
    reply->code = pn_rd_u16(r);
    reply->text = pn_rd_str(r);
    return pn_rd_ok(r) && (reply->code == 0 || (reply->code >= 200 && reply->code <= 599)) &&
           text_ok(reply->text);
}

void pn_taken_put(struct pn_buf *out, const struct pn_taken *taken)
{
    pn_wr_u64(out, taken->id);
    reply_put(out, &taken->reply);
}

bool pn_taken_get(struct pn_str body, struct pn_taken *taken)
{
    struct pn_rd r = pn_rd_of(body);
    taken->id = pn_rd_u64(&r);
    return reply_get(&r, &taken->reply) && taken->reply.code != 0 && pn_rd_done(&r);
}

void pn_content_want_put(struct pn_buf *out, const struct pn_content_want *want)
{
    pn_wr_u64(out, want->token);
    pn_wr_u64(out, want->size);
}

bool pn_content_want_get(struct pn_str body, struct pn_content_want *want)
{
    struct pn_rd r = pn_rd_of(body);
    want->token = pn_rd_u64(&r);
    want->size = pn_rd_u64(&r);
    return pn_rd_done(&r);
}

void pn_content_file_put(struct pn_buf *out, const struct pn_content_file *file)
{
    pn_wr_u64(out, file->token);
    pn_wr_u64(out, file->file);
    reply_put(out, &file->reply);
}

bool pn_content_file_get(struct pn_str body, struct pn_content_file *file)
{
    struct pn_rd r = pn_rd_of(body);
    file->token = pn_rd_u64(&r);
    file->file = pn_rd_u64(&r);
    return reply_get(&r, &file->reply) && pn_rd_done(&r);
}

bool pn_deliver_put(struct pn_buf *out, const struct pn_deliver *deliver)
{
    pn_wr_u64(out, deliver->token);
    pn_wr_u64(out, deliver->id);
    pn_wr_i64(out, deliver->arrived_ms);
    pn_wr_u64(out, deliver->size);
    pn_wr_str(out, deliver->reverse_path);
    pn_wr_str(out, deliver->recipient);
    pn_wr_str(out, deliver->user);
    pn_wr_str(out, deliver->folder);
    edits_put(out, &deliver->edits);
    return !out->overflow;
}

bool pn_deliver_get(struct pn_str body, struct pn_pool *pool, struct pn_deliver *deliver)
{
    struct pn_rd r = pn_rd_of(body);
    uint32_t edits_left = PN_ENVELOPE_EDITS_MAX;
    deliver->token = pn_rd_u64(&r);
    deliver->id = pn_rd_u64(&r);
    deliver->arrived_ms = pn_rd_i64(&r);
    deliver->size = pn_rd_u64(&r);
    deliver->reverse_path = pn_rd_str(&r);
    deliver->recipient = pn_rd_str(&r);
    deliver->user = pn_rd_str(&r);
    deliver->folder = pn_rd_str(&r);
    return pn_rd_ok(&r) && deliver->user.len > 0 && text_ok(deliver->reverse_path) &&
           text_ok(deliver->recipient) && text_ok(deliver->user) && text_ok(deliver->folder) &&
           edits_get(&r, pool, &edits_left, &deliver->edits) && pn_rd_done(&r);
}

void pn_delivered_put(struct pn_buf *out, const struct pn_delivered *delivered)
{
    pn_wr_u64(out, delivered->token);
    reply_put(out, &delivered->reply);
}

bool pn_delivered_get(struct pn_str body, struct pn_delivered *delivered)
{
    struct pn_rd r = pn_rd_of(body);
    delivered->token = pn_rd_u64(&r);
    return reply_get(&r, &delivered->reply) && pn_rd_done(&r);
}

void pn_verify_put(struct pn_buf *out, const struct pn_verify *verify)
{
    pn_wr_u64(out, verify->token);
    pn_wr_u8(out, verify->via);
    pn_wr_str(out, verify->next_hop);
    pn_wr_str(out, verify->address);
}

bool pn_verify_get(struct pn_str body, struct pn_verify *verify)
{
    struct pn_rd r = pn_rd_of(body);
    verify->token = pn_rd_u64(&r);
    verify->via = pn_rd_u8(&r);
    verify->next_hop = pn_rd_str(&r);
    verify->address = pn_rd_str(&r);
    return pn_rd_done(&r) && (verify->via == PN_VIA_SMTP || verify->via == PN_VIA_LMTP) &&
           verify->next_hop.len > 0 && verify->address.len > 0 && text_ok(verify->next_hop) &&
           text_ok(verify->address);
}

void pn_quota_ask_put(struct pn_buf *out, const struct pn_quota_ask *ask)
{
    pn_wr_u64(out, ask->token);
    pn_wr_u64(out, ask->bytes);
    pn_wr_str(out, ask->user);
}

bool pn_quota_ask_get(struct pn_str body, struct pn_quota_ask *ask)
{
    struct pn_rd r = pn_rd_of(body);
    ask->token = pn_rd_u64(&r);
    ask->bytes = pn_rd_u64(&r);
    ask->user = pn_rd_str(&r);
    return pn_rd_done(&r) && ask->user.len > 0 && text_ok(ask->user);
}

uint32_t pn_mailbox_of(struct pn_str user, uint32_t count)
{
    return count == 0 ? 0 : (uint32_t)(pn_str_hash(user, 0, true) % count);
}
