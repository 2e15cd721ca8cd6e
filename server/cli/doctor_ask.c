#include "doctor.h"

#include "channel.h"
#include "dnsfile.h"
#include "mem.h"
#include "resolver_host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { START_MS = 30 * 1000, ANSWER_MS = 20 * 1000, FILE_MAX = PN_DNSFILE_MAX };

struct doctor_names {
    struct pn_dnsfile *file; /* NULL: the resolver is asked */
    struct pn_launch resolver;
    int fd;
    uint64_t last;
};

static bool read_file(struct doctor_names *n, const char *path, struct pn_buf *err)
{
    struct pn_buf text;
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        (void)pn_buf_addf(err, "%s: %s", path, strerror(errno));
        return false;
    }
    pn_buf_init(&text, FILE_MAX);
    char part[4096];
    for (size_t got; (got = fread(part, 1, sizeof part, f)) > 0;)
        (void)pn_buf_add(&text, part, got);
    bool whole = !ferror(f) && !text.overflow;
    (void)fclose(f);
    if (whole)
        n->file = pn_dnsfile_parse(pn_buf_str(&text), path, err);
    else
        (void)pn_buf_addf(err, "%s: it can't be read", path);
    pn_buf_fini(&text);
    return n->file != NULL;
}

struct doctor_names *doctor_names_new(const struct doctor *d, int policy_fd, struct pn_buf *err)
{
    struct doctor_names *n = pn_calloc(1, sizeof *n);
    n->fd = n->resolver.fd = -1;
    if (d->dns_path != NULL ? read_file(n, d->dns_path, err)
                            : (n->fd = pn_resolver_start(&n->resolver, d->policy, 1, policy_fd,
                                                         START_MS, err)) >= 0)
        return n;
    doctor_names_free(&n);
    return NULL;
}

void doctor_names_free(struct doctor_names **names)
{
    struct doctor_names *n = *names;
    if (n == NULL)
        return;
    if (n->fd >= 0)
        (void)close(n->fd);
    pn_resolver_stop(&n->resolver);
    pn_dnsfile_free(&n->file);
    free(n);
    *names = NULL;
}

/* What it borrows goes with the next question. */
static struct pn_dns_answer keep(struct doctor *d, const struct pn_dns_answer *from)
{
    struct pn_dns_answer to = *from;
    struct pn_dns_record *records = pn_pool_alloc(d->pool, (from->count + 1) * sizeof *records);
    if (records == NULL)
        return (struct pn_dns_answer){.rcode = PN_DNS_TIMEOUT};
    for (uint32_t i = 0; i < from->count; i++)
        records[i] = (struct pn_dns_record){.ttl = from->records[i].ttl,
                                            .data = pn_pool_dup(d->pool, from->records[i].data)};
    to.records = records;
    to.target = pn_pool_dup(d->pool, from->target);
    return to;
}

/* Others' records (a resolver's shelf) are passed over. */
static bool receive(struct doctor *d, uint64_t id, struct pn_dns_answer *out)
{
    static struct pn_dns_record records[PN_DNS_RECORDS_MAX];
    struct pn_record record;
    struct pn_dns_answer answer;
    struct pn_buf body;
    uint64_t which = 0;
    bool got = false;
    pn_buf_init(&body, PN_RECORD_MAX);
    while (!got && pn_channel_recv_fd(d->names->fd, &record, &body, ANSWER_MS) == 1) {
        pn_record_close_fds(&record);
        got = record.type == PN_REC_DNS_ANSWER &&
              pn_dns_answer_get(record.body, &which, &answer, records) && which == id;
    }
    if (got)
        *out = keep(d, &answer);
    pn_buf_fini(&body);
    return got;
}

static bool ask(struct doctor *d, struct pn_str name, uint16_t type, struct pn_dns_answer *out)
{
    const struct pn_dns_ask question = {.id = ++d->names->last, .type = type, .name = name};
    struct pn_buf b;
    pn_buf_init(&b, 1024);
    pn_dns_ask_put(&b, &question);
    bool sent = pn_channel_send_fd(d->names->fd, PN_REC_DNS_ASK, pn_buf_str(&b), NULL, 0) == 0;
    pn_buf_fini(&b);
    return sent && receive(d, question.id, out);
}

struct pn_dns_answer doctor_ask(struct doctor *d, uint16_t type, const char *fmt, ...)
{
    struct pn_dns_answer answer = {.rcode = PN_DNS_TIMEOUT}, found;
    char name[2 * DOCTOR_NAME_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    struct pn_str asked = {name, n < 0 ? 0 : (size_t)n};
    if (n >= (int)sizeof name || !pn_dns_name_ok(asked))
        answer.rcode = PN_DNS_NXDOMAIN;
    else if (d->names->file == NULL)
        (void)ask(d, asked, type, &answer);
    else {
        pn_dnsfile_find(d->names->file, asked, type, &found);
        answer = keep(d, &found);
    }
    return answer;
}

bool doctor_unsure(const struct pn_dns_answer *answer)
{
    return answer->rcode != PN_DNS_NOERROR && answer->rcode != PN_DNS_NXDOMAIN;
}

const char *doctor_none(const struct pn_dns_answer *answer)
{
    return answer->rcode == PN_DNS_TIMEOUT    ? "no answer could be had"
           : answer->rcode == PN_DNS_NXDOMAIN ? "there is no such name"
           : doctor_unsure(answer)            ? "its name servers fail"
                                              : "there is no such record";
}
