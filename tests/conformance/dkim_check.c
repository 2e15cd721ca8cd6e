/*
 * dkim_check [-e native|libopendkim] [-m MAX] [-t NOW] [-n TIMES] KEYS FILE...
 *
 * Verifies messages straight over an engine, without host, DNS or plan. KEYS: lines of a
 * name, a tab, and a TXT record or "!SERVFAIL"; a name that is not there has no key. LF
 * becomes CRLF. Prints one line a signature: file, result, signature, domain, selector,
 * algorithm, bits, reason, parted by tabs; or the file and "none". -n repeats the work,
 * for a profiler.
 */
#include "dkim_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIGS = 100, RECORDS = 8 };

struct options {
    const struct dkim_engine *engine;
    void *state;
    size_t max;
    long long now;
    long times;
    struct postern_str keys;
};

static struct postern_str read_file(const char *path, int crlf)
{
    struct postern_str s = {NULL, 0};
    FILE *f = fopen(path, "rb");
    char *p;
    long size;
    int c, before = 0;

    if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0)
        return s;
    rewind(f);
    p = malloc(2 * (size_t)size + 1);
    while (p != NULL && (c = getc(f)) != EOF) {
        if (crlf && c == '\n' && before != '\r')
            p[s.len++] = '\r';
        p[s.len++] = (char)c;
        before = c;
    }
    (void)fclose(f);
    s.p = p;
    return s;
}

/* The records of that name among the lines of the keys file. */
static void look_up(const struct options *o, struct dkim_sig *s)
{
    struct postern_dns_record records[RECORDS];
    struct postern_dns_answer a = {.rcode = POSTERN_DNS_NXDOMAIN, .records = records};
    struct postern_str rest = o->keys;
    size_t len = strlen(s->query);

    while (rest.len > 0 && a.count < RECORDS) {
        const char *lf = memchr(rest.p, '\n', rest.len);
        size_t line = lf == NULL ? rest.len : (size_t)(lf - rest.p);

        if (line > len && rest.p[len] == '\t' && strncasecmp(rest.p, s->query, len) == 0) {
            struct postern_str text = {rest.p + len + 1, line - len - 1};

            if (text.len > 0 && text.p[0] == '!')
                a.rcode = POSTERN_DNS_SERVFAIL;
            else
                a.rcode = POSTERN_DNS_NOERROR, records[a.count++].data = text;
        }
        line += lf != NULL;
        rest.p += line;
        rest.len -= line;
    }
    dkim_key_choose(s, &a);
}

static void print(const char *path, const struct dkim_sig *s)
{
    struct postern_str result = dkim_result_word(s->result);
    struct postern_str word = dkim_signature_word(s);

    printf("%s\t%.*s\t%.*s\t%s\t%s\t%.*s\t%u\t%s\n", path, (int)result.len, result.p, (int)word.len,
           word.p, s->domain, s->selector, (int)s->algorithm.len, s->algorithm.p, s->bits,
           s->reason == NULL ? "" : s->reason);
}

static size_t verify(const struct options *o, struct postern_str content, struct dkim_sig *sigs)
{
    struct dkim_message m;
    struct postern_str body = {content.p + content.len, 0};
    const char *gap = memmem(content.p, content.len, "\r\n\r\n", 4);
    size_t n;

    if (gap != NULL)
        body = (struct postern_str){gap + 4, (size_t)(content.p + content.len - gap - 4)};
    content.len -= body.len;
    if (dkim_message_read(&m, content, body) != 0)
        exit(3);
    n = dkim_sigs_read(&m, sigs, o->max, &(struct dkim_terms){o->now, 3600, 1024, NULL});
    for (size_t i = 0; i < n; i++)
        if (sigs[i].result == DKIM_PENDING)
            look_up(o, &sigs[i]);
    if (n > 0 && o->engine->verify(o->state, &m, sigs, n) != 0)
        exit(3);
    for (size_t i = 0; i < n; i++)
        dkim_sig_judge(&sigs[i]);
    dkim_message_fini(&m);
    return n;
}

static void check(const struct options *o, const char *path)
{
    static struct dkim_sig sigs[SIGS];
    struct postern_str content = read_file(path, 1);
    size_t n = 0;

    if (content.p == NULL) {
        perror(path);
        exit(3);
    }
    for (long i = 0; i < o->times; i++)
        n = verify(o, content, sigs);
    if (n == 0)
        printf("%s\tnone\n", path);
    for (size_t i = 0; i < n; i++)
        print(path, &sigs[i]);
    free((void *)(uintptr_t)content.p);
}

int main(int argc, char **argv)
{
    struct options o = {.engine = &dkim_engine_native, .max = 10, .times = 1};
    int c;

    while ((c = getopt(argc, argv, "e:m:t:n:")) != -1) {
        if (c == 'e' && strcmp(optarg, dkim_engine_opendkim.name) == 0)
            o.engine = &dkim_engine_opendkim;
        else if (c == 'm')
            o.max = strtoul(optarg, NULL, 10);
        else if (c == 't')
            o.now = strtoll(optarg, NULL, 10);
        else if (c == 'n')
            o.times = strtol(optarg, NULL, 10);
        else if (c != 'e')
            return 2;
    }
    if (argc - optind < 2 || o.max > SIGS)
        return 2;
    o.keys = read_file(argv[optind], 0);
    o.state = o.engine->make();
    if (o.keys.p == NULL || o.state == NULL)
        return 3;
    for (int i = optind + 1; i < argc; i++)
        check(&o, argv[i]);
    o.engine->free(o.state);
    free((void *)(uintptr_t)o.keys.p);
    return 0;
}
