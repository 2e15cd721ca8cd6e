#include "dnsbl_proof.h"

#include <stdio.h>
#include <string.h>

enum { SOON_MS = 60 * 1000, SUSPENDED_MS = 10 * 60 * 1000, SAY_AGAIN_MS = 60 * 60 * 1000 };

static const struct {
    const char *word, *text;
} states[DNSBL_STATES] = {
    [DNSBL_EVERYTHING] = {"everything", "lists everything"},
    [DNSBL_ANSWERLESS] = {"nothing", "lists nothing, not even its test points"},
    [DNSBL_REFUSES] = {"refused", "refuses us, or is no list any more"},
};

const char *dnsbl_state_text(enum dnsbl_state state)
{
    return states[state].text;
}

/* ---- what the points say */

void dnsbl_proof_add(struct dnsbl_proof *p, const struct postern_dns_answer *answer, bool must)
{
    bool any = false, good = false;
    if (answer == NULL ||
        (answer->rcode != POSTERN_DNS_NOERROR && answer->rcode != POSTERN_DNS_NXDOMAIN)) {
        p->trouble++;
        return;
    }
    for (size_t i = 0; i < answer->count; i++) {
        const unsigned char *ip = (const unsigned char *)answer->records[i].data.p;
        if (answer->records[i].data.len != 4)
            continue;
        any = true;
        good = good || !dnsbl_is_trouble(ip);
    }
    p->refused += any && !good;
    p->listed += must && good;
    p->false_listed += !must && good;
}

/* One family's test points may be missing where another's are there: the list works. */
enum dnsbl_state dnsbl_proof_state(const struct dnsbl_proof *p)
{
    if (p->false_listed != 0)
        return DNSBL_EVERYTHING;
    if (p->refused != 0)
        return DNSBL_REFUSES;
    if (p->trouble != 0)
        return DNSBL_UNKNOWN;
    return p->listed != 0 ? DNSBL_IN_USE : DNSBL_ANSWERLESS;
}

/* ---- the points */

bool dnsbl_point(const struct dnsbl_zone *zone, unsigned n, char room[DNSBL_NAME_MAX + 1],
                 bool *must)
{
    static const unsigned char listed[16] = {[10] = 0xff, 0xff, 127, 0, 0, 2};
    static const unsigned char other[16] = {[10] = 0xff, 0xff, 127, 0, 0, 1};
    const unsigned names = ~(1U << DNSBL_CLIENT | (zone->url_names ? 0U : 1U << DNSBL_URL));
    bool addresses = (zone->kinds >> DNSBL_CLIENT & 1) != 0 ||
                     ((zone->kinds >> DNSBL_URL & 1) != 0 && zone->url_addresses);
    *must = n % 2 == 0;
    if (addresses && zone->ipv4) {
        if (n < 2)
            return dnsbl_ask_address(zone, *must ? listed : other, true, room);
        n -= 2;
    }
    if (addresses && zone->ipv6) {
        if (n < 2)
            return dnsbl_ask_address(zone, *must ? listed : other, false, room);
        n -= 2;
    }
    return (zone->kinds & names) != 0 && n < 2 &&
           dnsbl_ask_name(zone, *must ? POSTERN_STR("test") : POSTERN_STR("invalid"), room);
}

/* ---- the standing */

enum dnsbl_state dnsbl_standing_find(struct postern_str standing, const struct dnsbl_zone *zone)
{
    for (size_t at = 0; at < standing.len;) {
        const char *space = memchr(standing.p + at, ' ', standing.len - at);
        size_t end = space == NULL ? standing.len : (size_t)(space - standing.p);
        size_t word = at + zone->name_len + 1;
        bool mine = end > word && standing.p[word - 1] == '=' &&
                    memcmp(standing.p + at, zone->name, zone->name_len) == 0;
        for (unsigned s = 0; mine && s < DNSBL_STATES; s++)
            if (states[s].word != NULL && strlen(states[s].word) == end - word &&
                memcmp(standing.p + word, states[s].word, end - word) == 0)
                return (enum dnsbl_state)s;
        at = end + 1;
    }
    return DNSBL_IN_USE;
}

bool dnsbl_standing_add(char *room, size_t size, const struct dnsbl_zone *zone,
                        enum dnsbl_state state)
{
    size_t len = strlen(room);
    if (len + zone->name_len + strlen(states[state].word) + 2 >= size)
        return false;
    (void)snprintf(room + len, size - len, "%s%s=%s", len == 0 ? "" : " ", zone->name,
                   states[state].word);
    return true;
}

/* ---- the tick */

static void log_line(struct postern_call *c, uint32_t level, const char *text)
{
    c->host->log(c, level, (struct postern_str){text, strlen(text)});
}

static void say(struct postern_call *c, uint32_t level, const struct dnsbl_zone *zone,
                const char *what)
{
    char text[DNSBL_ZONE_MAX + 200];
    (void)snprintf(text, sizeof text, "list %s %s", zone->name, what);
    log_line(c, level, text);
}

/* The lists that got no answer, and are to be told of in this tick. */
struct unproved {
    char names[600];
    size_t len, count, unnamed;
};

/* Without DNS each tick of each list would say the same: once, and again after an hour. */
static void is_unproved(struct postern_call *c, struct unproved *u, struct dnsbl_zone *zone)
{
    int64_t now = c->host->now_ms(c);
    if (zone->unproved && now >= zone->said_ms && now - zone->said_ms < SAY_AGAIN_MS)
        return;
    zone->unproved = true;
    zone->said_ms = now;
    u->count++;
    if (u->len + zone->name_len + 3 > sizeof u->names)
        u->unnamed++;
    else
        u->len += (size_t)snprintf(u->names + u->len, sizeof u->names - u->len, "%s%s",
                                   u->len == 0 ? "" : ", ", zone->name);
}

static void say_unproved(struct postern_call *c, const struct unproved *u)
{
    char text[sizeof u->names + 200], more[40] = "";
    if (u->count == 0)
        return;
    if (u->unnamed != 0)
        (void)snprintf(more, sizeof more, " and %zu more", u->unnamed);
    (void)snprintf(text, sizeof text,
                   "list%s %s%s could not be proved: no answer for %s test points",
                   u->count == 1 ? "" : "s", u->names, more, u->count == 1 ? "its" : "their");
    log_line(c, POSTERN_LOG_WARN, text);
}

static void say_change(struct postern_call *c, const struct dnsbl_zone *zone, enum dnsbl_state was,
                       enum dnsbl_state is)
{
    char text[200];
    if (is == was)
        return;
    if (is == DNSBL_IN_USE)
        say(c, POSTERN_LOG_INFO, zone, "passed its proof, and is in use again");
    else {
        (void)snprintf(text, sizeof text, "is suspended: it %s%s", states[is].text,
                       is == DNSBL_ANSWERLESS ? " (`proof no` where it never had any)" : "");
        say(c, POSTERN_LOG_WARN, zone, text);
    }
}

/* What does not come in time is no answer: the other lists are not to wait for that one. */
static enum dnsbl_state prove(struct postern_call *c, const struct dnsbl_zone *zone)
{
    struct dnsbl_proof proof = {0};
    char room[DNSBL_NAME_MAX + 1];
    bool must;
    for (unsigned n = 0; dnsbl_point(zone, n, room, &must); n++) {
        const struct postern_dns_answer *answer = NULL;
        int status = c->host->dns_lookup(c, (struct postern_str){room, strlen(room)}, POSTERN_DNS_A,
                                         &answer);
        dnsbl_proof_add(&proof, status == POSTERN_OK ? answer : NULL, must);
    }
    return dnsbl_proof_state(&proof);
}

static void start_all(struct postern_call *c, const struct dnsbl_instance *in)
{
    char room[DNSBL_NAME_MAX + 1];
    bool must;
    for (size_t i = 0; i < in->zone_count; i++)
        for (unsigned n = 0; in->zones[i].proof && dnsbl_point(&in->zones[i], n, room, &must); n++)
            (void)c->host->dns_start(c, (struct postern_str){room, strlen(room)}, POSTERN_DNS_A);
}

static uint32_t sooner(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

int dnsbl_tick(struct postern_call *c, uint32_t *next_ms)
{
    const struct dnsbl_instance *in = c->instance;
    struct postern_str before = {"", 0};
    char now[POSTERN_STANDING_MAX + 1] = "";
    struct unproved unproved = {.len = 0};
    *next_ms = in->prove_ms;
    start_all(c, in);
    (void)c->host->standing(c, &before);
    for (size_t i = 0; i < in->zone_count; i++) {
        struct dnsbl_zone *zone = &in->zones[i];
        enum dnsbl_state was = dnsbl_standing_find(before, zone);
        enum dnsbl_state is = zone->proof ? prove(c, zone) : DNSBL_IN_USE;
        if (is == DNSBL_UNKNOWN) {
            is_unproved(c, &unproved, zone);
            *next_ms = sooner(*next_ms, SOON_MS);
            is = was;
        } else {
            zone->unproved = false;
            say_change(c, zone, was, is);
        }
        if (is == DNSBL_IN_USE)
            continue;
        *next_ms = sooner(*next_ms, SUSPENDED_MS);
        if (!dnsbl_standing_add(now, sizeof now, zone, is))
            say(c, POSTERN_LOG_WARN, zone, "is asked all the same: too many others are suspended");
    }
    say_unproved(c, &unproved);
    return c->host->standing_set(c, (struct postern_str){now, strlen(now)});
}
