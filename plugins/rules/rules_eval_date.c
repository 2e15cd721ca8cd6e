/* Tests of dates: that of the message against those that servers wrote. */
#include "rules_eval.h"
#include "rules_known.h"
#include "rules_text_in.h"

enum { YEAR_MIN = 1970, YEAR_MAX = 2037, TIMES_MAX = 100, HOUR = 3600 };

static int month_of(struct postern_str s)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";

    for (int i = 0; s.len == 3 && i < 12; i++)
        if (rules_ieq(s, (struct postern_str){names + 3 * i, 3}))
            return i + 1;
    return 0;
}

/* Digits only, at most four; -1: it is no number. */
static int number_of(struct postern_str s)
{
    int n = 0;

    if (s.len == 0 || s.len > 4)
        return -1;
    for (size_t i = 0; i < s.len; i++)
        if (!rules_is_digit(s.p[i]))
            return -1;
        else
            n = n * 10 + (s.p[i] - '0');
    return n;
}

struct date {
    int year, month, day, hour, minute, second;
    int zone; /* seconds east */
};

static int zone_named(struct postern_str s)
{
    static const struct {
        const char *name;
        int hours;
    } zones[] = {{"UTC", 0},  {"GMT", 0},  {"UT", 0},   {"EST", -5}, {"EDT", -4},
                 {"CST", -6}, {"CDT", -5}, {"MST", -7}, {"MDT", -6}, {"PST", -8},
                 {"PDT", -7}, {"BST", 1},  {"WET", 0},  {"CET", 1},  {"MET", 1},
                 {"CEST", 2}, {"EET", 2},  {"EEST", 3}, {"JST", 9},  {"MSK", 3}};

    for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++)
        if (rules_is(s, zones[i].name))
            return zones[i].hours * HOUR;
    return -1;
}

/* "12:34", "12:34:56" */
static bool read_clock(struct postern_str s, struct date *d)
{
    const char *colon = memchr(s.p, ':', s.len);
    struct postern_str rest;

    if (colon == NULL)
        return false;
    d->hour = number_of((struct postern_str){s.p, (size_t)(colon - s.p)});
    rest = (struct postern_str){colon + 1, s.len - (size_t)(colon + 1 - s.p)};
    colon = memchr(rest.p, ':', rest.len);
    d->second =
        colon == NULL
            ? 0
            : number_of((struct postern_str){colon + 1, rest.len - (size_t)(colon + 1 - rest.p)});
    if (colon != NULL)
        rest.len = (size_t)(colon - rest.p);
    d->minute = number_of(rest);
    return d->hour >= 0 && d->minute >= 0 && d->second >= 0;
}

static bool read_zone(struct postern_str s, struct date *d)
{
    int n = s.len == 5 && (s.p[0] == '+' || s.p[0] == '-')
                ? number_of((struct postern_str){s.p + 1, 4})
                : -1;

    if (n >= 0) {
        d->zone = (n / 100 * 60 + n % 100) * 60 * (s.p[0] == '-' ? -1 : 1);
        return true;
    }
    n = zone_named(s);
    if (n == -1)
        return false;
    d->zone = n;
    return true;
}

static int full_year(struct postern_str s)
{
    int n = number_of(s);

    if (s.len == 4)
        return n;
    return s.len == 2 && n < 50 ? n + 2000 : n + 1900;
}

/* Words in whatever order: a day, a month and a year beside one another, a time, a zone. */
static bool read_date(struct postern_str s, struct date *d)
{
    struct postern_str word[16];
    size_t n = 0;
    size_t at = 0;
    bool zone = false;

    *d = (struct date){.month = 0};
    while (n < 16 && at < s.len) {
        size_t from;

        while (at < s.len &&
               (rules_is_blank(s.p[at]) || s.p[at] == ',' || s.p[at] == '(' || s.p[at] == ')'))
            at++;
        for (from = at; at < s.len && !rules_is_blank(s.p[at]) && s.p[at] != ',' &&
                        s.p[at] != '(' && s.p[at] != ')';)
            at++;
        if (at > from)
            word[n++] = (struct postern_str){s.p + from, at - from};
    }
    for (size_t i = 0; i < n; i++) {
        int month = month_of(word[i]);

        if (month > 0 && d->month == 0) {
            bool after = i > 0 && number_of(word[i - 1]) >= 0; /* "22 Aug 2002" */
            size_t year = after ? i + 1 : i + 3;               /* "Aug 22 13:00:00 2002" */

            if (year >= n || number_of(word[year]) < 0 || (!after && number_of(word[i + 1]) < 0))
                continue;
            d->month = month;
            d->day = number_of(after ? word[i - 1] : word[i + 1]);
            d->year = full_year(word[year]);
        } else if (memchr(word[i].p, ':', word[i].len) != NULL && d->hour == 0 && d->minute == 0) {
            (void)read_clock(word[i], d);
        } else if (!zone) {
            zone = read_zone(word[i], d);
        }
    }
    return d->month > 0;
}

/* Days since 1970 of the Gregorian calendar. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t m = month + (month > 2 ? -3 : 9);

    return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static bool time_of(struct postern_str s, int64_t *out)
{
    struct date d;

    if (!read_date(s, &d))
        return false;
    d.year = d.year < YEAR_MIN ? YEAR_MIN : d.year > YEAR_MAX ? YEAR_MAX : d.year;
    d.hour = d.hour > 23 ? 23 : d.hour;
    d.minute = d.minute > 59 ? 59 : d.minute;
    d.second = d.second > 59 ? 59 : d.second;
    if (d.day > 31) {
        d.day = 1;
        d.month++;
    }
    *out = days_of(d.year + d.month / 13, d.month > 12 ? 1 : d.month, d.day) * 86400 +
           d.hour * HOUR + d.minute * 60 + d.second - d.zone;
    return true;
}

static bool date_of(const struct rules_eval_call *c, int64_t *out)
{
    static const char *const names[] = {"Resent-Date", "Date"};

    for (size_t k = 0; k < 2; k++) {
        struct rules_lines v = rules_text_get(c->text, names[k]);

        for (size_t i = 0; i < v.count; i++)
            if (time_of(v.line[i], out))
                return true;
    }
    return false;
}

/* Dates of Received fields, newest first; a fetching program's own do not count. */
static size_t received_times(const struct rules_eval_call *c, int64_t *out, size_t max)
{
    const struct rules_set *set = c->text->set;
    struct rules_lines v = rules_text_get(c->text, "Received");
    size_t local = v.count > 0 && rules_known(set, RULES_K_LOCAL_RECEIVED, v.line[0]);
    size_t i = v.count > local && rules_known(set, RULES_K_FETCHED, v.line[local]) ? local + 1 : 0;
    size_t n = 0;

    for (; i < v.count && n < max; i++) {
        struct postern_str date;
        size_t at = 0;

        if (rules_known_next(set, RULES_K_DATE, v.line[i], &at, &date))
            n += time_of(date, &out[n]);
    }
    return n;
}

static int64_t distance(int64_t n)
{
    return n < 0 ? -n : n;
}

/* By how much the message's date is off the server's that is nearest to it. */
static int64_t shift_of(const struct rules_eval_call *c)
{
    int64_t times[TIMES_MAX];
    int64_t date;
    size_t n;

    if (!date_of(c, &date))
        return 0;
    n = received_times(c, times, TIMES_MAX);
    /* The program that wrote the message may have written the oldest field as well. */
    if (n > 1 && times[n - 1] == date)
        n--;
    if (n == 0)
        return 0;
    for (size_t i = 1; i < n; i++)
        if (distance(date - times[i]) < distance(date - times[0]))
            times[0] = times[i];
    return date - times[0];
}

static double shifted(const struct rules_eval_call *c)
{
    struct rules_figures *f = &c->text->figures;
    double shift;

    if (!f->shift_made)
        f->shift = shift_of(c);
    f->shift_made = true;
    shift = (double)f->shift;
    return (rules_arg_is(c, 0, "undef") || shift >= HOUR * rules_arg_number(c, 0)) &&
           (rules_arg_is(c, 1, "undef") || shift < HOUR * rules_arg_number(c, 1));
}

/* Outlook's Message-ID holds a time in steps of 429.4967 s since 1601. */
static bool fits_id(const char *hex, int64_t time)
{
    const double step = 0.0023283064365387;
    const double epoch = 27111902.8329849;
    const double slack = 250;
    double token = 0;
    double expected = (double)(int64_t)((double)time * step + epoch);

    for (int i = 0; i < 8; i++)
        token = token * 16 + (rules_is_digit(hex[i]) ? hex[i] - '0' : hex[i] - 'a' + 10);
    return token - expected < slack && expected - token < slack;
}

static double outlook_id(const struct rules_eval_call *c)
{
    struct postern_str hex;
    struct rules_lines v;
    int64_t time = 0;
    size_t at = 0;

    if (!rules_known_next(c->text->set, RULES_K_OUTLOOK_ID,
                          rules_text_get_one(c->text, "MESSAGEID"), &at, &hex))
        return 0;
    (void)time_of(rules_text_get_one(c->text, "Date"), &time);
    if (fits_id(hex.p, time))
        return 0;
    v = rules_text_get(c->text, "Received");
    time = 0;
    if (v.count > 0)
        (void)time_of(rules_text_get_one(c->text, "Received"), &time);
    return !fits_id(hex.p, time);
}

const struct rules_eval rules_eval_date[] = {
    {"check_for_shifted_date", shifted, 2, 2, 0, false},
    {"check_outlook_message_id", outlook_id, 0, 0, 0, false},
    {.name = NULL}};
