/* What commands share of their answers: the tagged line, names, flags, dates. */
#include "imap_int.h"
#include "mutf7.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/* ---- the tagged line ---- */

enum imap_result imap_reply(struct imap_command *command, const char *word, const char *fmt, ...)
{
    va_list ap;
    pn_buf_clear(&command->reply);
    (void)pn_buf_addz(&command->reply, word);
    va_start(ap, fmt);
    (void)pn_buf_addv(&command->reply, fmt, ap);
    va_end(ap);
    return IMAP_DONE;
}

enum imap_result imap_syntax(struct imap_command *command)
{
    enum { SHOWN = 40 };
    char shown[SHOWN + 1];
    struct pn_str near = pn_str_trim(command->args.near);
    size_t n = near.len < SHOWN ? near.len : SHOWN;
    for (size_t i = 0; i < n; i++) /* RFC 9051, 9: TEXT-CHAR; and no quote ends ours */
        shown[i] = near.p[i] < ' ' || near.p[i] > '~' ? '?' : near.p[i] == '"' ? '\'' : near.p[i];
    shown[n] = '\0';
    const char *uid = command->uid ? "UID " : "", *name = command->row->name;
    if (n == 0)
        return imap_bad(command, "Wrong arguments of %s%s", uid, name);
    return imap_bad(command, "Wrong arguments of %s%s near \"%s%s\"", uid, name, shown,
                    near.len > n ? "..." : "");
}

enum imap_result imap_said(struct imap_command *command, enum pn_store_status status, bool into)
{
    switch (status) {
    case PN_STORE_OK:
        return IMAP_DONE;
    case PN_STORE_TEMPORARY:
        return imap_no(command, "[UNAVAILABLE] The store failed; try again later");
    case PN_STORE_FULL:
        return imap_no(command, "[UNAVAILABLE] The disk is full; try again later");
    case PN_STORE_BAD_NAME:
        return imap_no(command, "[CANNOT] No mailbox can have this name");
    case PN_STORE_NO_FOLDER:
        return imap_no(command, into ? "[TRYCREATE] There is no such mailbox"
                                     : "[NONEXISTENT] There is no such mailbox");
    case PN_STORE_EXISTS:
        return imap_no(command, "[ALREADYEXISTS] There is a mailbox of this name");
    case PN_STORE_QUOTA:
        return imap_no(command, "[OVERQUOTA] The quota leaves no room");
    case PN_STORE_LIMIT:
        return imap_no(command, "[LIMIT] A limit of the server is reached");
    case PN_STORE_REFUSED:
        break;
    }
    return imap_no(command, "[CANNOT] That can't be done to this mailbox");
}

void imap_put_number(struct pn_buf *out, uint64_t n)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    (void)pn_buf_add(out, digits + at, sizeof digits - at);
}

bool imap_full(const struct imap_command *command)
{
    return command->out->len > PN_ENGINE_OUT;
}

/* ---- names and strings ---- */

bool imap_speaks_utf8(const struct imap *imap)
{
    return imap->utf8 || imap->rev2;
}

bool imap_mailbox_decode(struct imap *imap, struct imap_command *command, struct pn_str raw,
                         struct pn_str *name)
{
    struct pn_buf out;
    bool ok = true;
    *name = raw;
    if (pn_str_ieq(raw, PN_STR("INBOX"))) {
        *name = PN_STR("INBOX");
        return true;
    }
    /* UTF-8 without leave is taken for what it is: no modified UTF-7 looks so. */
    if (imap_speaks_utf8(imap) || !pn_str_is_ascii(raw) || pn_str_find(raw, '&', 0) == SIZE_MAX)
        return true;
    pn_buf_init(&out, IMAP_TEXT_MAX * 2);
    if (pn_mutf7_decode(raw, &out)) {
        *name = pn_pool_dup(command->args.pool, pn_buf_str(&out));
        ok = name->p != NULL;
    }
    pn_buf_fini(&out);
    return ok;
}

/* Below the INBOX, whose name has no case, its first level is spelled as LIST has it. False: the
 * pool's limit. */
static bool spell(struct imap_command *command, struct pn_str *name)
{
    static const struct pn_str top = PN_STR_INIT("INBOX/");
    if (!pn_str_istarts(*name, top) || pn_str_starts(*name, top))
        return true;
    char *own = pn_pool_alloc(command->args.pool, name->len);
    if (own == NULL)
        return false;
    memcpy(own, name->p, name->len);
    memcpy(own, top.p, top.len);
    *name = (struct pn_str){own, name->len};
    return true;
}

bool imap_mailbox(struct imap *imap, struct imap_command *command, struct pn_str *name)
{
    struct pn_str raw;
    if (!pn_imap_astring(&command->args, &raw) || !imap_mailbox_decode(imap, command, raw, name))
        return false;
    command->spelled = *name;
    if (name->len == 0)
        *name = PN_STR("/"); /* which no folder is called: the store's own "" is the INBOX */
    return spell(command, name);
}

void imap_put_list(const struct imap *imap, const struct imap_command *command, struct pn_str name)
{
    (void)pn_buf_addz(command->out, "* LIST () \"/\" ");
    imap_put_mailbox(imap, command->out, name);
    if (!pn_str_eq(command->spelled, name)) {
        (void)pn_buf_addz(command->out, " (\"OLDNAME\" (");
        imap_put_mailbox(imap, command->out, command->spelled);
        (void)pn_buf_addz(command->out, "))");
    }
    (void)pn_buf_addz(command->out, "\r\n");
}

void imap_put_mailbox(const struct imap *imap, struct pn_buf *out, struct pn_str name)
{
    struct pn_buf coded;
    pn_buf_init(&coded, 8192);
    if (!imap_speaks_utf8(imap) && pn_mutf7_encode(name, &coded))
        name = pn_buf_str(&coded);
    pn_imap_put_astring(out, name, imap_speaks_utf8(imap));
    pn_buf_fini(&coded);
}

void imap_put_string(const struct imap *imap, struct pn_buf *out, struct pn_str s)
{
    pn_imap_put_string(out, s, imap_speaks_utf8(imap));
}

/* ---- flags ---- */

static const char *const system_flags[] = {"\\Seen", "\\Answered", "\\Flagged", "\\Deleted",
                                           "\\Draft"};
enum { SYSTEM_FLAGS = 5 };

uint32_t imap_system_flag(struct pn_str word)
{
    for (unsigned i = 0; i < SYSTEM_FLAGS; i++)
        if (pn_str_ieq(word, pn_str_of(system_flags[i])))
            return 1u << i;
    return 0;
}

void imap_put_flags(struct imap *imap, struct pn_buf *out, struct pn_flags flags)
{
    const char *between = "(";
    for (unsigned i = 0; i < SYSTEM_FLAGS; i++)
        if ((flags.system & 1u << i) != 0) {
            (void)pn_buf_addz(out, between);
            (void)pn_buf_addz(out, system_flags[i]);
            between = " ";
        }
    for (unsigned i = 0; flags.keywords >> i != 0; i++)
        if ((flags.keywords & 1u << i) != 0 && pn_view_keyword(imap->view, i).len > 0) {
            (void)pn_buf_addz(out, between);
            (void)pn_buf_adds(out, pn_view_keyword(imap->view, i));
            between = " ";
        }
    (void)pn_buf_addz(out, *between == '(' ? "()" : ")");
}

void imap_put_known_flags(struct imap *imap, struct pn_buf *out)
{
    struct pn_view_info info;
    struct pn_flags all = {.system = (1u << SYSTEM_FLAGS) - 1};
    pn_view_info(imap->view, &info);
    imap->keywords_told = pn_view_keywords(imap->view);
    for (unsigned i = 0; i < imap->keywords_told; i++)
        all.keywords |= 1u << i;
    (void)pn_buf_addz(out, "* FLAGS ");
    imap_put_flags(imap, out, all);
    (void)pn_buf_addz(out, "\r\n* OK [PERMANENTFLAGS ");
    if (info.read_only)
        (void)pn_buf_addz(out, "()");
    else
        imap_put_flags(imap, out, all);
    if (!info.read_only && info.can_add_keywords) {
        out->len--; /* the parenthesis */
        (void)pn_buf_addz(out, " \\*)");
    }
    (void)pn_buf_addz(out, "] Flags that stay\r\n");
}

/* ---- dates ---- */

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

void imap_put_date(struct pn_buf *out, int64_t unix_s)
{
    struct tm tm;
    time_t t = (time_t)unix_s;
    if (gmtime_r(&t, &tm) == NULL || tm.tm_year + 1900 < 0 || tm.tm_year + 1900 > 9999) {
        (void)pn_buf_addz(out, "\"01-Jan-1970 00:00:00 +0000\"");
        return;
    }
    (void)pn_buf_addf(out, "\"%2d-%.3s-%04d %02d:%02d:%02d +0000\"", tm.tm_mday,
                      months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static bool digits(struct pn_str s, size_t at, size_t n, int *out)
{
    uint64_t v;
    if (!pn_str_u64(pn_str_slice(s, at, at + n), 9999, &v))
        return false;
    *out = (int)v;
    return true;
}

static int month_of(struct pn_str s)
{
    for (int i = 0; i < 12; i++)
        if (pn_str_ieq(s, (struct pn_str){months + 3 * i, 3}))
            return i;
    return -1;
}

/* "dd-Mon-yyyy hh:mm:ss +zzzz", the day with a blank or a zero in front. */
bool imap_date_time(struct pn_imap_args *args, int64_t *unix_s)
{
    struct pn_imap_args at = *args;
    struct pn_str s;
    struct tm tm = {0};
    int zone_h, zone_m;
    if (!pn_imap_string(&at, &s) || s.len != 26 || s.p[2] != '-' || s.p[6] != '-' ||
        s.p[11] != ' ' || s.p[14] != ':' || s.p[17] != ':' || s.p[20] != ' ' ||
        (s.p[21] != '+' && s.p[21] != '-'))
        return false;
    size_t day = s.p[0] == ' ' ? 1 : 0;
    tm.tm_mon = month_of(pn_str_slice(s, 3, 6));
    if (tm.tm_mon < 0 || !digits(s, day, 2 - day, &tm.tm_mday) || !digits(s, 7, 4, &tm.tm_year) ||
        !digits(s, 12, 2, &tm.tm_hour) || !digits(s, 15, 2, &tm.tm_min) ||
        !digits(s, 18, 2, &tm.tm_sec) || !digits(s, 22, 2, &zone_h) || !digits(s, 24, 2, &zone_m) ||
        tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60 ||
        zone_m > 59)
        return false;
    tm.tm_year -= 1900;
    int64_t zone = (int64_t)zone_h * 3600 + zone_m * 60;
    *unix_s = (int64_t)timegm(&tm) - (s.p[21] == '-' ? -zone : zone);
    *args = at;
    return true;
}
