#include "state_resp.h"

#include "assert.h"
#include "mem.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>

#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

enum { WORDS_MAX = 8 };

struct resp {
    redisReader *reader;
    struct resp_reply reply;
    char text[RESP_TEXT_MAX];
};

static struct resp *resp_of(const redisReadTask *task)
{
    return task->privdata;
}

static void *on_text(const redisReadTask *task, char *text, size_t len)
{
    struct resp *r = resp_of(task);
    size_t kept = len < sizeof r->text ? len : sizeof r->text;
    if (kept != 0)
        memcpy(r->text, text, kept);
    r->reply = (struct resp_reply){.type = task->type == REDIS_REPLY_ERROR    ? RESP_ERROR
                                           : task->type == REDIS_REPLY_STATUS ? RESP_STATUS
                                                                              : RESP_TEXT,
                                   .text = {r->text, kept},
                                   .cut = kept != len};
    return &r->reply;
}

static void *on_number(const redisReadTask *task, long long number)
{
    struct resp *r = resp_of(task);
    r->reply = (struct resp_reply){.type = RESP_NUMBER, .number = number, .text = PN_STR("")};
    return &r->reply;
}

static void *on_none(const redisReadTask *task)
{
    struct resp *r = resp_of(task);
    r->reply = (struct resp_reply){.type = RESP_NONE, .text = PN_STR("")};
    return &r->reply;
}

static void *on_array(const redisReadTask *task, element_count count)
{
    (void)task;
    (void)count;
    return NULL;
}

static void on_free(void *reply)
{
    (void)reply;
}

struct resp *resp_new(void)
{
    static redisReplyObjectFunctions functions = {.createString = on_text,
                                                  .createArray = on_array,
                                                  .createInteger = on_number,
                                                  .createNil = on_none,
                                                  .freeObject = on_free};
    struct resp *r = pn_calloc(1, sizeof *r);
    r->reader = redisReaderCreateWithFunctions(&functions);
    pn_assert(r->reader != NULL);
    r->reader->privdata = r;
    return r;
}

void resp_free(struct resp **resp)
{
    if (*resp == NULL)
        return;
    redisReaderFree((*resp)->reader);
    free(*resp);
    *resp = NULL;
}

bool resp_feed(struct resp *r, struct pn_str bytes)
{
    return redisReaderFeed(r->reader, bytes.p, bytes.len) == REDIS_OK;
}

int resp_next(struct resp *r, struct resp_reply *reply)
{
    void *got = NULL;
    if (redisReaderGetReply(r->reader, &got) != REDIS_OK)
        return -1;
    if (got == NULL)
        return r->reader->len - r->reader->pos > RESP_OPEN_MAX ? -1 : 0;
    if (got != &r->reply) /* a kind of RESP3, which nobody asked for: newer readers take it */
        return -1;
    *reply = r->reply;
    return 1;
}

bool resp_command(struct pn_buf *out, const struct pn_str *words, size_t count)
{
    const char *argv[WORDS_MAX];
    size_t lengths[WORDS_MAX];
    char *text = NULL;
    pn_assert(count <= WORDS_MAX);
    for (size_t i = 0; i < count; i++) {
        argv[i] = words[i].p == NULL ? "" : words[i].p;
        lengths[i] = words[i].len;
    }
    int len = (int)redisFormatCommandArgv(&text, (int)count, argv, lengths);
    bool ok = len > 0 && pn_buf_add(out, text, (size_t)len);
    free(text);
    return ok;
}
