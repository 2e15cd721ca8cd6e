#include "date.h"

#include "lex.h"

/* What was read, each -1 until it is. */
struct parts {
    int year, month, day, hour, minute, second;
    int zone; /* minutes */
};

static const char month_names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
static const char day_names[] = "sunmontuewedthufrisat";

/* Index of the three letters that word begins with, or -1. */
static int name_index(struct pn_str word, const char *names)
{
    for (int i = 0; names[3 * i] != '\0' && word.len >= 3; i++)
        if (pn_str_ieq(pn_str_slice(word, 0, 3), (struct pn_str){names + (ptrdiff_t)3 * i, 3}))
            return i;
    return -1;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 1970-01-01 to a date of the Gregorian calendar, by whole 400-year cycles of
 * years that begin in March. */
static int64_t days_from_civil(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void civil_from_days(int64_t days, struct parts *out)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097, of_era = days - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;
    out->day = (int)(of_year - (153 * month + 2) / 5 + 1);
    out->month = (int)(month < 10 ? month + 3 : month - 9);
    out->year = (int)(year + era * 400 + (out->month <= 2));
}

/* ---- reading: tokens of one kind of byte, and a decision by what is still missing */

struct reader {
    struct pn_str s;
    size_t at;
    struct parts p;
};

static char peek(const struct reader *r)
{
    return r->at < r->s.len ? r->s.p[r->at] : '\0';
}

/* Up to `max` digits; the count of them. */
static int number(struct reader *r, int max, int *out)
{
    int n = 0;
    *out = 0;
    while (n < max && pn_is_digit(peek(r))) {
        *out = *out * 10 + (r->s.p[r->at++] - '0');
        n++;
    }
    return n;
}

static bool colon(struct reader *r)
{
    size_t at = lex_cfws(r->s, r->at);
    if (at >= r->s.len || r->s.p[at] != ':')
        return false;
    r->at = lex_cfws(r->s, at + 1);
    return true;
}

/* Behind the hour: ":" minute, perhaps ":" second and a fraction. */
static bool read_time(struct reader *r, int hour)
{
    r->p.hour = hour;
    r->p.second = 0;
    if (!colon(r) || number(r, 2, &r->p.minute) == 0)
        return false;
    if (colon(r))
        (void)number(r, 2, &r->p.second);
    if (peek(r) == '.')
        for (r->at++; pn_is_digit(peek(r));)
            r->at++;
    return true;
}

/* RFC 5322, section 4.3: two digits are 1950 to 2049, three count from 1900. */
static int full_year(int digits, int year)
{
    if (digits == 2)
        return year < 50 ? 2000 + year : 1900 + year;
    return digits == 3 ? 1900 + year : year;
}

/* "2026-11-22T" behind its year. */
static bool read_iso(struct reader *r, int year)
{
    r->p.year = year;
    r->at++;
    if (number(r, 2, &r->p.month) == 0 || peek(r) != '-')
        return false;
    r->at++;
    if (number(r, 2, &r->p.day) == 0)
        return false;
    if (peek(r) == 'T' || peek(r) == 't')
        r->at++;
    return true;
}

static bool read_number(struct reader *r)
{
    int v = 0, digits = number(r, 5, &v);
    if (pn_is_digit(peek(r)))
        return false;
    if (digits == 4 && peek(r) == '-' && r->p.year < 0)
        return read_iso(r, v);
    size_t next = lex_cfws(r->s, r->at);
    if (digits <= 2 && r->p.hour < 0 && next < r->s.len && r->s.p[next] == ':')
        return read_time(r, v);
    if (digits <= 2 && r->p.day < 0)
        r->p.day = v;
    else if (digits >= 2 && digits <= 4 && r->p.year < 0)
        r->p.year = full_year(digits, v);
    else
        return false;
    return true;
}

/* "+0100", "+01:00", "+1"; what is out of range is no zone. */
static void read_offset(struct reader *r)
{
    int sign = peek(r) == '-' ? -1 : 1, v = 0, minutes = 0;
    r->at++;
    int digits = number(r, 4, &v);
    if (digits <= 2) {
        if (peek(r) == ':')
            r->at++;
        (void)number(r, 2, &minutes);
    } else {
        minutes = v % 100;
        v /= 100;
    }
    if (digits > 0 && v < 24 && minutes < 60)
        r->p.zone = sign * (v * 60 + minutes);
}

static bool read_word(struct reader *r)
{
    static const struct {
        struct pn_str name;
        int zone;
    } zones[] = {
        {PN_STR_INIT("EST"), -300}, {PN_STR_INIT("EDT"), -240}, {PN_STR_INIT("CST"), -360},
        {PN_STR_INIT("CDT"), -300}, {PN_STR_INIT("MST"), -420}, {PN_STR_INIT("MDT"), -360},
        {PN_STR_INIT("PST"), -480}, {PN_STR_INIT("PDT"), -420},
    };
    size_t from = r->at;
    while (pn_is_alpha(peek(r)))
        r->at++;
    struct pn_str word = pn_str_slice(r->s, from, r->at);
    if (r->p.hour >= 0) {
        for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++)
            if (pn_str_ieq(word, zones[i].name))
                r->p.zone = zones[i].zone;
        return true;
    }
    int month = name_index(word, month_names);
    if (month >= 0 && r->p.month < 0)
        r->p.month = month + 1;
    return month >= 0 || name_index(word, day_names) >= 0;
}

static bool read_all(struct reader *r)
{
    for (r->at = lex_cfws(r->s, 0); r->at < r->s.len; r->at = lex_cfws(r->s, r->at)) {
        char c = peek(r);
        if (pn_is_digit(c)) {
            if (!read_number(r))
                return false;
        } else if (pn_is_alpha(c)) {
            if (!read_word(r))
                return false;
        } else if ((c == '+' || c == '-') && r->p.hour >= 0) {
            read_offset(r);
        } else if (c == ',' || c == '-' || c == '.') {
            r->at++;
        } else {
            return r->p.hour >= 0; /* junk behind the time is let be */
        }
    }
    return true;
}

bool pn_date_parse(struct pn_str value, int64_t *unix_s, int *zone_min)
{
    struct reader r = {.s = value, .p = {-1, -1, -1, -1, -1, -1, 0}};
    const struct parts *p = &r.p;
    if (!read_all(&r) || p->year < 1900 || p->year > 9999 || p->month < 1 || p->month > 12 ||
        p->day < 1 || p->day > month_days(p->year, p->month) || p->hour < 0 || p->hour > 23 ||
        p->minute < 0 || p->minute > 59 || p->second > 60)
        return false;
    int second = p->second == 60 ? 59 : p->second;
    int64_t minutes = days_from_civil(p->year, p->month, p->day) * 1440 + p->hour * 60 + p->minute;
    *unix_s = (minutes - p->zone) * 60 + second;
    if (zone_min != NULL)
        *zone_min = p->zone;
    return true;
}

void pn_date_format(struct pn_buf *out, int64_t unix_s, int zone_min)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t local = unix_s + (int64_t)zone_min * 60;
    int64_t day = (local >= 0 ? local : local - 86399) / 86400, second = local - day * 86400;
    int64_t weekday = ((day + 4) % 7 + 7) % 7;
    int zone = zone_min < 0 ? -zone_min : zone_min;
    struct parts p;
    civil_from_days(day, &p);
    (void)pn_buf_addf(out, "%.3s, %02d %.3s %04d %02d:%02d:%02d %c%02d%02d", days + 3 * weekday,
                      p.day, months + (ptrdiff_t)3 * (p.month - 1), p.year, (int)(second / 3600),
                      (int)(second / 60 % 60), (int)(second % 60), zone_min < 0 ? '-' : '+',
                      zone / 60, zone % 60);
}
