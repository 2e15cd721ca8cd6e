#include "srs.h"

#include "grammar.h"
#include "whole.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/stat.h>

enum {
    DAY_S = 24 * 60 * 60,
    DAYS = 1024, /* two letters of 32 */
    CODE = 8,    /* letters of five bits */
    CODE_BYTES = CODE * 5 / 8,
    TEXT_MAX = 2 * PN_SMTP_PATH_MAX
};

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

bool pn_srs_secrets(struct pn_srs *srs, struct pn_str file, struct pn_buf *err)
{
    unsigned number = 0;
    srs->count = 0;
    for (struct pn_str rest = file; rest.p != NULL;) {
        struct pn_str line = pn_str_trim(pn_str_split(&rest, '\n'));
        number++;
        if (line.len == 0 || line.p[0] == '#')
            continue;
        if (line.len < PN_SRS_SECRET_MIN || srs->count == PN_SRS_SECRETS_MAX) {
            (void)pn_buf_addf(err, "line %u: %s", number,
                              srs->count == PN_SRS_SECRETS_MAX
                                  ? "one secret too many, at most 8 are looked at"
                                  : "the secret is too short, at least 16 bytes were expected");
            return false;
        }
        srs->secrets[srs->count++] = line;
    }
    if (srs->count == 0)
        (void)pn_buf_addz(err, "there is no secret in it, one a line was expected");
    return srs->count != 0;
}

bool pn_srs_read(int fd, struct pn_pool *pool, struct pn_str *bytes, struct pn_buf *err)
{
    struct stat st;
    int error = fstat(fd, &st) != 0 ? errno : 0;
    if (error == 0 && (st.st_size < 0 || st.st_size > PN_SRS_FILE_MAX))
        error = EFBIG;
    size_t size = error == 0 ? (size_t)st.st_size : 0;
    char *to = pn_pool_alloc(pool, size + 1);
    if (error == 0)
        error = to == NULL ? ENOMEM : pn_read_whole_at(fd, to, size, 0, EBUSY);
    *bytes = (struct pn_str){to, size};
    if (error != 0)
        (void)pn_buf_addz(err, strerror(error)); /* EBUSY: it is being written */
    return error == 0;
}

/* ---- addresses in and out of their quotes ---- */

/* What a local part says, without what is only writing. */
static void add_plain(struct pn_buf *out, const struct pn_smtp_mailbox *m)
{
    struct pn_str s = m->quoted ? pn_str_slice(m->local, 1, m->local.len - 1) : m->local;
    for (size_t i = 0; i < s.len; i++) {
        i += m->quoted && s.p[i] == '\\' && i + 1 < s.len;
        (void)pn_buf_addc(out, s.p[i]);
    }
}

/* The address of a local part as add_plain gives it. False: it is none. */
static bool add_address(struct pn_buf *out, struct pn_str plain, struct pn_str domain)
{
    struct pn_smtp_mailbox m;
    struct pn_buf b;
    pn_buf_init(&b, 2 * TEXT_MAX);
    (void)pn_buf_addc(&b, '"');
    for (size_t i = 0; i < plain.len; i++) {
        if (plain.p[i] == '"' || plain.p[i] == '\\')
            (void)pn_buf_addc(&b, '\\');
        (void)pn_buf_addc(&b, plain.p[i]);
    }
    (void)(pn_buf_addz(&b, "\"@") && pn_buf_adds(&b, domain));
    struct pn_buf address;
    pn_buf_init(&address, 2 * TEXT_MAX);
    bool ok = plain.len != 0 && !b.overflow && pn_smtp_mailbox_parse(pn_buf_str(&b), &m);
    if (ok)
        pn_smtp_mailbox_canonical(&address, &m);
    /* Brackets come around it. */
    ok = ok && address.len <= PN_SMTP_PATH_MAX - 2 && pn_buf_adds(out, pn_buf_str(&address));
    pn_buf_fini(&address);
    pn_buf_fini(&b);
    return ok;
}

/* ---- the code ---- */

/* Of the kind and its fields, in lower case, each ended by a NUL, which none of them holds. */
static bool code_of(struct pn_str secret, char kind, const struct pn_str fields[3], char out[CODE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct pn_buf b;
    pn_buf_init(&b, 2 * TEXT_MAX);
    (void)pn_buf_addc(&b, kind);
    for (int f = 0; f < 3; f++) {
        for (size_t i = 0; i < fields[f].len; i++)
            (void)pn_buf_addc(&b, pn_lower(fields[f].p[i]));
        (void)pn_buf_addc(&b, '\0');
    }
    bool ok = !b.overflow && HMAC(EVP_sha256(), secret.p, (int)secret.len,
                                  (const unsigned char *)b.p, b.len, digest, &n) != NULL;
    uint64_t bits = 0;
    for (int i = 0; ok && i < CODE_BYTES; i++)
        bits = bits << 8 | digest[i];
    for (int i = 0; i < CODE; i++)
        out[i] = letters[bits >> (5 * (CODE - 1 - i)) & 31];
    pn_buf_fini(&b);
    return ok;
}

static bool is_signed(const struct pn_srs *srs, char kind, const struct pn_str fields[3],
                      struct pn_str code)
{
    char given[CODE], ours[CODE];
    bool found = false;
    if (code.len != CODE)
        return false;
    for (int i = 0; i < CODE; i++)
        given[i] = pn_is_alpha(code.p[i]) ? (char)(pn_lower(code.p[i]) - 'a' + 'A') : code.p[i];
    for (uint32_t i = 0; i < srs->count; i++)
        found |=
            code_of(srs->secrets[i], kind, fields, ours) && CRYPTO_memcmp(given, ours, CODE) == 0;
    return found;
}

/* ---- the forms ---- */

/* "SRS0=HHHHHHHH=TT=host=user", "SRS1=HHHHHHHH=host=...": apart, or not of the form. */
struct form {
    char kind; /* '0' or '1' */
    struct pn_str code, day, host;
    struct pn_str rest; /* user; of SRS1 what stands behind "SRS0" there */
    struct pn_str tail; /* all behind "SRS0", its separator too */
};

static bool is_separator(char c)
{
    return c == '=' || c == '+' || c == '-';
}

static bool has_name(struct pn_str plain)
{
    return plain.len > 5 && pn_str_ieq(pn_str_slice(plain, 0, 3), PN_STR("SRS")) &&
           (plain.p[3] == '0' || plain.p[3] == '1') && is_separator(plain.p[4]);
}

static bool is_host(struct pn_str s)
{
    struct pn_ip ip;
    bool utf8;
    return pn_smtp_domain_ok(s, &utf8) || pn_smtp_literal(s, &ip);
}

static bool read_form(struct pn_str plain, struct form *f)
{
    if (!has_name(plain))
        return false;
    f->kind = plain.p[3];
    f->tail = pn_str_slice(plain, 4, plain.len);
    f->rest = pn_str_slice(plain, 5, plain.len);
    f->code = pn_str_split(&f->rest, '=');
    f->day = f->kind == '0' && f->rest.p != NULL ? pn_str_split(&f->rest, '=') : PN_STR("");
    f->host = f->rest.p != NULL ? pn_str_split(&f->rest, '=') : PN_STR("");
    bool ok = f->rest.p != NULL && f->rest.len != 0 && f->code.len != 0 && is_host(f->host);
    return ok && (f->kind == '0' ? f->day.len == 2 : is_separator(f->rest.p[0]));
}

/* Without its quotes, in plain; false: no address. */
static bool read_address(struct pn_str address, struct pn_smtp_mailbox *m, struct pn_buf *plain)
{
    if (!pn_smtp_mailbox_parse(address, m) || m->domain.len == 0)
        return false;
    add_plain(plain, m);
    return plain->len != 0 && !plain->overflow;
}

bool pn_srs_is(struct pn_str address)
{
    struct pn_smtp_mailbox m;
    struct pn_buf plain;
    struct form f;
    pn_buf_init(&plain, TEXT_MAX);
    bool is = read_address(address, &m, &plain) && read_form(pn_buf_str(&plain), &f);
    pn_buf_fini(&plain);
    return is;
}

/* ---- making ---- */

static int day_of(int64_t now_s)
{
    int64_t day = now_s / DAY_S % DAYS;
    return (int)(day < 0 ? day + DAYS : day);
}

static bool make(const struct pn_srs *srs, char kind, const struct pn_str fields[3],
                 struct pn_buf *out)
{
    char code[CODE];
    struct pn_buf b;
    if (srs->count == 0 || !code_of(srs->secrets[0], kind, fields, code))
        return false;
    pn_buf_init(&b, TEXT_MAX);
    (void)pn_buf_addf(&b, "SRS%c=%.*s=", kind, CODE, code);
    if (fields[0].len != 0)
        (void)(pn_buf_adds(&b, fields[0]) && pn_buf_addc(&b, '='));
    (void)(pn_buf_adds(&b, fields[1]) && pn_buf_addc(&b, '=') && pn_buf_adds(&b, fields[2]));
    bool ok = !b.overflow && add_address(out, pn_buf_str(&b), srs->domain);
    pn_buf_fini(&b);
    return ok;
}

bool pn_srs_make(const struct pn_srs *srs, struct pn_str sender, int64_t now_s, struct pn_buf *out)
{
    struct pn_smtp_mailbox m;
    struct pn_buf plain;
    struct form f;
    bool ok = false;
    int today = day_of(now_s);
    const char day[2] = {letters[today >> 5], letters[today & 31]};
    pn_buf_init(&plain, TEXT_MAX);
    if (!read_address(sender, &m, &plain)) {
        ok = false;
    } else if (!read_form(pn_buf_str(&plain), &f)) {
        const struct pn_str fields[3] = {{day, 2}, m.domain, pn_buf_str(&plain)};
        ok = make(srs, '0', fields, out);
    } else { /* SRS1's rest is the tail that its SRS0 had */
        const struct pn_str fields[3] = {PN_STR(""), f.kind == '1' ? f.host : m.domain,
                                         f.kind == '1' ? f.rest : f.tail};
        ok = make(srs, '1', fields, out);
    }
    pn_buf_fini(&plain);
    return ok;
}

/* ---- opening ---- */

static int letter_of(char c)
{
    const char *at = memchr(letters, pn_is_alpha(c) ? pn_lower(c) - 'a' + 'A' : c, 32);
    return at == NULL ? -1 : (int)(at - letters);
}

/* What was made tomorrow was made by a clock that goes ahead. */
static bool is_fresh(const struct pn_srs *srs, struct pn_str day, int64_t now_s)
{
    int high = letter_of(day.p[0]), low = letter_of(day.p[1]);
    if (high < 0 || low < 0)
        return false;
    uint32_t age = (uint32_t)(day_of(now_s) - (high << 5 | low) + DAYS) % DAYS;
    return age <= srs->valid_days || age == DAYS - 1;
}

static enum pn_srs_end open_form(const struct pn_srs *srs, const struct form *f, int64_t now_s,
                                 struct pn_buf *out)
{
    const struct pn_str fields[3] = {f->day, f->host, f->rest};
    struct pn_buf plain;
    if (!is_signed(srs, f->kind, fields, f->code))
        return PN_SRS_NOT_OURS;
    if (f->kind == '0' && !is_fresh(srs, f->day, now_s))
        return PN_SRS_STALE;
    pn_buf_init(&plain, TEXT_MAX);
    (void)((f->kind == '0' || pn_buf_addz(&plain, "SRS0")) && pn_buf_adds(&plain, f->rest));
    bool ok = add_address(out, pn_buf_str(&plain), f->host);
    pn_buf_fini(&plain);
    return ok ? PN_SRS_OPENED : PN_SRS_NOT_OURS;
}

enum pn_srs_end pn_srs_open(const struct pn_srs *srs, struct pn_str address, int64_t now_s,
                            struct pn_buf *out)
{
    struct pn_smtp_mailbox m;
    struct pn_buf plain;
    struct form f;
    pn_buf_init(&plain, TEXT_MAX);
    enum pn_srs_end end = read_address(address, &m, &plain) && read_form(pn_buf_str(&plain), &f)
                              ? open_form(srs, &f, now_s, out)
                              : PN_SRS_NOT_OURS;
    pn_buf_fini(&plain);
    return end;
}
