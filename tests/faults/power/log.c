#include "log.h"

#include "mem.h"
#include "sites.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void log_free(struct log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        free(log->v[i].name);
        free(log->v[i].data);
    }
    free(log->v);
    *log = (struct log){0};
}

struct entry *log_add(struct log *log, enum entry_type type)
{
    log->v = pn_grow(log->v, &log->cap, log->count, sizeof *log->v);
    struct entry *e = &log->v[log->count++];
    *e = (struct entry){.type = (uint8_t)type};
    return e;
}

void log_print(const struct log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        const struct entry *e = &log->v[i];
        printf("%5zu ", i);
        if (e->type == LOG_MAKE)
            printf("make    %s %u\n", e->folder ? "folder" : "file", e->inode);
        else if (e->type == LOG_WRITE)
            printf("write   file %u: %" PRIu64 " bytes at %" PRIu64 "\n", e->inode, e->size, e->at);
        else if (e->type == LOG_SIZE)
            printf("size    file %u: %" PRIu64 "\n", e->inode, e->size);
        else if (e->type == LOG_NAME && e->target == LOG_NONE)
            printf("unname  folder %u: %s\n", e->inode, e->name);
        else if (e->type == LOG_NAME)
            printf("name    folder %u: %s is %u\n", e->inode, e->name, e->target);
        else if (e->type == LOG_EVENT)
            printf("event   message %u: %s %u %u\n", e->event.id, oracle_event_name(e->event.type),
                   e->event.who, e->event.value);
        else
            printf("%s %u (%s)\n", e->type == LOG_SYNC ? "sync   " : "SYNC FAILED", e->inode,
                   site_name(e->site));
    }
}
