/*
 * The engine on libopendkim. It verifies what is pending and nothing else; each of the
 * ways in which the library goes wrong is closed here or by the steps around it:
 *
 *   PASSED is set for the header alone         ask for the body hash as well
 *   one malformed signature loses all          BADSIGHANDLES, its error not heeded; settled
 *                                              ones are ignored
 *   a line without colon, no From: SYNTAX      dkim_message_read left such lines out,
 *                                              dkim_sigs_read settles what lacks a From
 *   a body without its last CRLF fails         CRLF is added
 *   TRYAGAIN for one key loses all             keys are looked up before; never answered here
 *   several TXT records, q=                    dkim_key_choose, dkim_sigs_read
 *   rsa-sha1, several From, many signatures    dkim_sigs_read and the plugin
 *   l= with more behind it passes              our own canonical length, for the judge: the
 *                                              library's counts are of raw bytes
 *   an error in one ends the message           if that happens, each is run alone
 *   a field that fills its buffer of 64 KiB    it reads as far behind the end as the field is
 *                                              long: such a message gets the native engine
 *   a NUL in a field                           it keeps what stands before, and reads on behind
 *                                              its end for what does not: the native engine too
 *   U-labels are bytes to it                   d= and i= would be compared as written: the
 *                                              native engine as well
 *   x= and t= are held against its own clock   such an error has a verdict of its own; no
 *                                              drift helps, it is subtracted from t= unsigned
 */
#include "dkim_canon.h"
#include "dkim_engine.h"
#include "dkim_text.h"

#include <opendkim/dkim.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum {
    CHUNK = 1 << 20,
    HEADER_MAX = 60000 /* bytes of a header that the library is given */
};

struct opendkim {
    DKIM_LIB *lib;
    void *native; /* for what the library is not given */
};

/* What the library's callbacks find again by dkim_get_user_context. */
struct run {
    struct dkim_sig *sigs;
    size_t n;
    size_t only;          /* run this one alone; SIZE_MAX: all */
    DKIM_SIGINFO **infos; /* the library's, in message order; its own until dkim_free */
    int count;
};

static bool wanted(const struct run *r, size_t i)
{
    return r->sigs[i].result == DKIM_PENDING && (r->only == SIZE_MAX || r->only == i);
}

/* Its list and ours are told apart by position alone: make sure. */
static bool is_same(const struct dkim_sig *s, DKIM_SIGINFO *info)
{
    const char *domain = (const char *)dkim_sig_getdomain(info);
    const char *selector = (const char *)dkim_sig_getselector(info);

    return domain != NULL && selector != NULL && strcasecmp(domain, s->domain) == 0 &&
           strcmp(selector, s->selector) == 0;
}

static DKIM_CBSTAT on_prescreen(DKIM *dkim, DKIM_SIGINFO **infos, int count)
{
    struct run *r = dkim_get_user_context(dkim);

    r->infos = infos;
    r->count = count;
    for (int i = 0; i < count; i++)
        if ((size_t)i >= r->n || !wanted(r, (size_t)i) || !is_same(&r->sigs[i], infos[i]))
            dkim_sig_ignore(infos[i]);
    return DKIM_CBSTAT_CONTINUE;
}

/* The record is written anew: kind and key are all that is left to find out. */
static DKIM_CBSTAT on_key(DKIM *dkim, DKIM_SIGINFO *info, u_char *buf, size_t size)
{
    const struct run *r = dkim_get_user_context(dkim);
    struct postern_str p;
    size_t len = 0;
    int head;

    for (int i = 0; i < r->count && (size_t)i < r->n; i++) {
        if (r->infos[i] != info || !wanted(r, (size_t)i))
            continue;
        head = snprintf((char *)buf, size, "v=DKIM1; k=%s; p=",
                        r->sigs[i].alg == DKIM_ED25519_SHA256 ? "ed25519" : "rsa");
        p = r->sigs[i].key.p;
        if (head < 0 || (size_t)head >= size || p.len >= size - (size_t)head)
            return DKIM_CBSTAT_NOTFOUND;
        len = (size_t)head;
        for (size_t k = 0; k < p.len; k++)
            if (!dkim_is_fws(p.p[k]))
                buf[len++] = (u_char)p.p[k];
        buf[len] = '\0';
        return DKIM_CBSTAT_CONTINUE;
    }
    return DKIM_CBSTAT_NOTFOUND;
}

static bool set_options(DKIM_LIB *lib)
{
    unsigned flags = DKIM_LIBFLAGS_FIXCRLF | DKIM_LIBFLAGS_BADSIGHANDLES;
    unsigned bits = 1; /* the judge has its own floor */

    return dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags, sizeof(flags)) ==
               DKIM_STAT_OK &&
           dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_MINKEYBITS, &bits, sizeof(bits)) ==
               DKIM_STAT_OK &&
           dkim_set_key_lookup(lib, on_key) == DKIM_STAT_OK &&
           dkim_set_prescreen(lib, on_prescreen) == DKIM_STAT_OK;
}

static void opendkim_free(void *self)
{
    struct opendkim *o = self;

    if (o == NULL)
        return;
    if (o->lib != NULL)
        dkim_close(o->lib);
    dkim_engine_native.free(o->native);
    free(o);
}

static void *opendkim_make(void)
{
    struct opendkim *o = calloc(1, sizeof(*o));

    if (o == NULL)
        return NULL;
    o->native = dkim_engine_native.make();
    o->lib = dkim_init(NULL, NULL);
    if (o->native != NULL && o->lib != NULL && set_options(o->lib))
        return o;
    opendkim_free(o);
    return NULL;
}

static bool is_signature(const struct dkim_field *f)
{
    return dkim_ieq(dkim_field_name(f), POSTERN_STR("DKIM-Signature"));
}

/* Signatures beyond the first n are left out: the library's work grows with their number
 * even where they are ignored. One that signs such a field fails with this engine. */
static bool feed_header(DKIM *dkim, const struct dkim_message *m, size_t n)
{
    size_t signatures = 0;

    for (size_t i = 0; i < m->count; i++) {
        struct postern_str raw = m->fields[i].raw;

        bool ours = is_signature(&m->fields[i]);

        if (ours && ++signatures > n)
            continue;
        /* It takes unsigned bytes and does not change them. */
        if (dkim_header(dkim, (u_char *)(uintptr_t)raw.p, raw.len) != DKIM_STAT_OK && !ours)
            return false;
    }
    return true;
}

static bool feed_body(DKIM *dkim, struct postern_str body)
{
    static const char crlf[] = "\r\n";
    bool ends = body.len == 0 || body.p[body.len - 1] == '\n';

    while (body.len > 0) {
        size_t n = body.len < CHUNK ? body.len : CHUNK;

        if (dkim_body(dkim, (u_char *)(uintptr_t)body.p, n) != DKIM_STAT_OK)
            return false;
        body.p += n;
        body.len -= n;
    }
    return ends || dkim_body(dkim, (u_char *)(uintptr_t)crlf, 2) == DKIM_STAT_OK;
}

static enum dkim_check check_of(DKIM_SIGINFO *info)
{
    unsigned flags = dkim_sig_getflags(info);
    int bh = dkim_sig_getbh(info);

    switch (dkim_sig_geterror(info)) {
    case DKIM_SIGERROR_TOOLARGE_L:
        return DKIM_CHECK_LENGTH;
    case DKIM_SIGERROR_KEYDECODE:
    case DKIM_SIGERROR_DNSSYNTAX:
    case DKIM_SIGERROR_KEYTYPEUNKNOWN:
    case DKIM_SIGERROR_NOKEY:
        return DKIM_CHECK_KEY;
    case DKIM_SIGERROR_EXPIRED:
    case DKIM_SIGERROR_FUTURE:
        return DKIM_CHECK_TIME;
    case DKIM_SIGERROR_KEYTOOSMALL:
        return DKIM_CHECK_SHORT;
    case DKIM_SIGERROR_BADSIG:
        return bh == DKIM_SIGBH_MISMATCH ? DKIM_CHECK_BODY : DKIM_CHECK_SIGNATURE;
    case DKIM_SIGERROR_OK:
    case DKIM_SIGERROR_UNKNOWN:
        break;
    default:
        return DKIM_CHECK_FAILED;
    }
    if ((flags & DKIM_SIGFLAG_PROCESSED) == 0 || bh == DKIM_SIGBH_UNTESTED)
        return DKIM_CHECK_NONE;
    return (flags & DKIM_SIGFLAG_PASSED) != 0 ? DKIM_CHECK_VALID : DKIM_CHECK_SIGNATURE;
}

static void count(void *arg, const char *p, size_t n)
{
    (void)p;
    *(uint64_t *)arg += n;
}

static void collect(DKIM *dkim, const struct dkim_message *m, const struct run *r)
{
    for (size_t i = 0; i < r->n && i < (size_t)r->count; i++) {
        struct dkim_sig *s = &r->sigs[i];
        uint64_t canonical = 0;
        unsigned bits = 0;

        if (!wanted(r, i))
            continue;
        /* The end of the message stops at the first that passes. */
        (void)dkim_sig_process(dkim, r->infos[i]);
        s->check = check_of(r->infos[i]);
        if (dkim_sig_getkeysize(r->infos[i], &bits) == DKIM_STAT_OK)
            s->bits = bits;
        if (s->alg == DKIM_ED25519_SHA256)
            s->bits = 256;
        else if (s->bits > 0 && s->bits < s->min_bits)
            s->check = DKIM_CHECK_SHORT;
        if (!s->has_length || s->check != DKIM_CHECK_VALID)
            continue;
        dkim_canon_body(s->body_relaxed, m->body, count, &canonical);
        s->tail = canonical - s->length;
    }
}

static int run_once(DKIM_LIB *lib, const struct dkim_message *m, struct run *r)
{
    DKIM_STAT status = DKIM_STAT_OK;
    DKIM *dkim = dkim_verify(lib, (const unsigned char *)"", NULL, &status);
    bool testkey = false;

    if (dkim == NULL)
        return -1;
    r->count = 0;
    if (dkim_set_user_context(dkim, r) == DKIM_STAT_OK && feed_header(dkim, m, r->n) &&
        dkim_eoh(dkim) == DKIM_STAT_OK && feed_body(dkim, m->body)) {
        (void)dkim_eom(dkim, &testkey);
        collect(dkim, m, r);
    }
    (void)dkim_free(dkim);
    r->infos = NULL;
    return 0;
}

static bool fits(const struct dkim_message *m, const struct dkim_sig *sigs, size_t n)
{
    size_t len = 0;

    for (size_t i = 0; i < n; i++)
        if (sigs[i].u_labels && sigs[i].result == DKIM_PENDING)
            return false;
    for (size_t i = 0; i < m->count; i++) {
        struct postern_str raw = m->fields[i].raw;

        len += raw.len + 2;
        if (len > HEADER_MAX || memchr(raw.p, '\0', raw.len) != NULL)
            return false;
    }
    return true;
}

static int opendkim_verify(void *self, const struct dkim_message *m, struct dkim_sig *sigs,
                           size_t n)
{
    const struct opendkim *o = self;
    struct run r = {.sigs = sigs, .n = n, .only = SIZE_MAX};
    int result;

    if (!fits(m, sigs, n))
        return dkim_engine_native.verify(o->native, m, sigs, n);
    result = run_once(o->lib, m, &r);
    for (size_t i = 0; i < n && result == 0; i++) {
        if (sigs[i].result != DKIM_PENDING || sigs[i].check != DKIM_CHECK_NONE)
            continue;
        r.only = i;
        result = run_once(o->lib, m, &r);
        if (sigs[i].check == DKIM_CHECK_NONE)
            sigs[i].check = DKIM_CHECK_FAILED;
    }
    return result;
}

const struct dkim_engine dkim_engine_opendkim = {
    .name = "libopendkim", .make = opendkim_make, .free = opendkim_free, .verify = opendkim_verify};
