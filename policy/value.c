#include "value.h"

#include "buf.h"
#include "utf8.h"

#include <inttypes.h>

struct unit {
    struct pn_str name;
    int64_t factor;
};

static const struct unit sizes[] = {
    {PN_STR_INIT("g"), INT64_C(1) << 30},
    {PN_STR_INIT("m"), INT64_C(1) << 20},
    {PN_STR_INIT("k"), INT64_C(1) << 10},
    {PN_STR_INIT("b"), 1},
};

static const struct unit durations[] = {
    {PN_STR_INIT("w"), INT64_C(7) * 24 * 3600 * 1000},
    {PN_STR_INIT("d"), INT64_C(24) * 3600 * 1000},
    {PN_STR_INIT("h"), 3600 * 1000},
    {PN_STR_INIT("m"), 60 * 1000},
    {PN_STR_INIT("s"), 1000},
    {PN_STR_INIT("ms"), 1},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct unit *unit_of(const struct unit *units, size_t count, struct pn_str name)
{
    for (size_t i = 0; i < count; i++)
        if (pn_str_ieq(units[i].name, name))
            return &units[i];
    return NULL;
}

static size_t span_digits(struct pn_str s, size_t from)
{
    while (from < s.len && pn_is_digit(s.p[from]))
        from++;
    return from;
}

static size_t span_letters(struct pn_str s, size_t from)
{
    while (from < s.len && pn_is_alpha(s.p[from]))
        from++;
    return from;
}

/* "1h30m": numbers with units, added up. */
static bool quantity(struct pn_str text, const struct unit *units, size_t count, int64_t *out)
{
    int64_t sum = 0;
    for (size_t at = 0; at < text.len;) {
        size_t digits = span_digits(text, at), letters = span_letters(text, digits);
        const struct unit *unit = unit_of(units, count, pn_str_slice(text, digits, letters));
        uint64_t n;
        if (unit == NULL || !pn_str_u64(pn_str_slice(text, at, digits), INT64_MAX, &n))
            return false;
        if ((int64_t)n > (INT64_MAX - sum) / unit->factor)
            return false;
        sum += (int64_t)n * unit->factor;
        at = letters;
    }
    *out = sum;
    return text.len != 0;
}

bool pn_size_parse(struct pn_str text, int64_t *bytes)
{
    uint64_t n;
    if (pn_str_u64(text, INT64_MAX, &n)) {
        *bytes = (int64_t)n;
        return true;
    }
    return quantity(text, sizes, COUNT(sizes), bytes);
}

bool pn_duration_parse(struct pn_str text, int64_t *ms)
{
    if (pn_str_eq(text, PN_STR("0"))) {
        *ms = 0;
        return true;
    }
    return quantity(text, durations, COUNT(durations), ms);
}

bool pn_weight_parse(struct pn_str text, int32_t *thousandths)
{
    bool minus = text.len > 0 && text.p[0] == '-';
    struct pn_str s = pn_str_slice(text, minus, text.len);
    size_t dot = pn_str_find(s, '.', 0);
    struct pn_str whole = pn_str_slice(s, 0, dot == SIZE_MAX ? s.len : dot);
    struct pn_str part = dot == SIZE_MAX ? PN_STR("") : pn_str_slice(s, dot + 1, s.len);
    uint64_t n, f = 0;
    if (!pn_str_u64(whole, 2000000, &n) || (dot != SIZE_MAX && !pn_str_u64(part, 999, &f)) ||
        part.len > 3)
        return false;
    for (size_t i = part.len; i < 3 && dot != SIZE_MAX; i++)
        f *= 10;
    int32_t v = (int32_t)(n * 1000 + f);
    *thousandths = minus ? -v : v;
    return true;
}

static void print_with(struct pn_buf *out, int64_t v, const struct unit *units, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (v % units[i].factor != 0)
            continue;
        (void)pn_buf_addf(out, "%" PRId64, v / units[i].factor);
        (void)pn_buf_adds(out, units[i].name);
        return;
    }
}

void pn_size_print(struct pn_buf *out, int64_t bytes)
{
    if (bytes % 1024 != 0 || bytes == 0)
        (void)pn_buf_addf(out, "%" PRId64, bytes);
    else
        print_with(out, bytes, sizes, COUNT(sizes));
}

void pn_duration_print(struct pn_buf *out, int64_t ms)
{
    if (ms == 0)
        (void)pn_buf_addc(out, '0');
    else
        print_with(out, ms, durations, COUNT(durations));
}

static void print_number(struct pn_buf *out, const struct postern_row *row, int64_t v)
{
    switch ((int)row->type) {
    case POSTERN_T_SIZE:
        pn_size_print(out, v);
        break;
    case POSTERN_T_DURATION:
        pn_duration_print(out, v);
        break;
    case POSTERN_T_WEIGHT:
        (void)pn_buf_add_milli(out, v);
        break;
    default:
        (void)pn_buf_addf(out, "%" PRId64, v);
    }
}

static bool within(const struct postern_row *row, int64_t v, struct pn_buf *err)
{
    if ((row->min == 0 && row->max == 0) || (v >= row->min && v <= row->max))
        return true;
    (void)pn_buf_addf(err, "%s from ", pn_row_type_name(row));
    print_number(err, row, row->min);
    (void)pn_buf_addz(err, " to ");
    print_number(err, row, row->max);
    return false;
}

static bool number(const struct postern_row *row, struct pn_str text, int64_t *out,
                   struct pn_buf *err)
{
    bool minus = text.len > 0 && text.p[0] == '-';
    uint64_t n;
    if (!pn_str_u64(pn_str_slice(text, minus, text.len), INT64_MAX, &n)) {
        (void)pn_buf_addz(err, "a whole number");
        return false;
    }
    *out = minus ? -(int64_t)n : (int64_t)n;
    return within(row, *out, err);
}

static bool choice(const char *choices, struct pn_str text, int64_t *out, struct pn_buf *err)
{
    struct pn_str all = pn_str_of(choices);
    for (*out = 0; all.p != NULL; ++*out)
        if (pn_str_eq(pn_str_split(&all, '|'), text))
            return true;
    (void)pn_buf_addz(err, "one of");
    all = pn_str_of(choices);
    for (const char *sep = " "; all.p != NULL; sep = ", ") {
        (void)pn_buf_addz(err, sep);
        (void)pn_buf_adds(err, pn_str_split(&all, '|'));
    }
    return false;
}

static bool network(struct pn_str text, struct pn_net *out, struct pn_buf *err)
{
    if (pn_net_parse(text, out))
        return true;
    /* Set host bits are the usual slip: say the network that was meant. */
    size_t slash = pn_str_find(text, '/', 0);
    uint64_t bits;
    struct pn_ip ip;
    if (slash != SIZE_MAX && pn_ip_parse(pn_str_slice(text, 0, slash), &ip) &&
        pn_str_u64(pn_str_slice(text, slash + 1, text.len), 128, &bits)) {
        bool v4 = pn_ip_is_v4(&ip);
        struct pn_net net = {ip, (uint8_t)(v4 && bits <= 32 ? bits + 96 : bits)};
        if (!v4 || bits <= 32) {
            for (unsigned i = net.bits; i < 128; i++)
                net.ip.b[i / 8] &= (unsigned char)~(0x80U >> i % 8);
            (void)pn_buf_addz(err, "a network without host bits: ");
            pn_net_print(err, &net);
            return false;
        }
    }
    (void)pn_buf_addz(err, "a network such as 192.0.2.0/24 or 2001:db8::/32");
    return false;
}

static bool expect(bool ok, struct pn_buf *err, const char *what)
{
    if (!ok)
        (void)pn_buf_addz(err, what);
    return ok;
}

static bool path_ok(struct pn_str text)
{
    return text.len > 0 && text.len < 4096 && memchr(text.p, '\0', text.len) == NULL;
}

bool pn_value_parse(const struct postern_row *row, struct pn_str text, struct pn_value_data *out,
                    struct pn_buf *err)
{
    uint16_t port;
    int32_t weight;
    *out = (struct pn_value_data){.text = text};
    switch ((int)row->type) {
    case POSTERN_T_STRING:
        return true;
    case POSTERN_T_BOOL:
        out->number = pn_str_eq(text, PN_STR("yes"));
        return expect(out->number == 1 || pn_str_eq(text, PN_STR("no")), err, "yes or no");
    case POSTERN_T_INT:
        return number(row, text, &out->number, err);
    case POSTERN_T_SIZE:
        return expect(pn_size_parse(text, &out->number), err, "a size such as 512, 64k, 10m, 2g") &&
               within(row, out->number, err);
    case POSTERN_T_DURATION:
        return expect(pn_duration_parse(text, &out->number), err,
                      "a duration such as 500ms, 3s, 2h, 5d") &&
               within(row, out->number, err);
    case POSTERN_T_WEIGHT:
        if (!expect(pn_weight_parse(text, &weight), err, "a weight such as 4, -1.5, 0.25"))
            return false;
        out->number = weight;
        return within(row, weight, err);
    case POSTERN_T_ADDRESS:
        out->net.bits = 128;
        return expect(pn_ip_parse(text, &out->net.ip), err,
                      "an address such as 192.0.2.1 or 2001:db8::1");
    case POSTERN_T_NETWORK:
        return network(text, &out->net, err);
    case POSTERN_T_CHOICE:
        return choice(row->choices, text, &out->number, err);
    case PN_T_ENDPOINT:
        out->net.bits = 128;
        if (!expect(pn_endpoint_parse(text, &out->net.ip, &port), err,
                    "an address with a port such as 127.0.0.1:25 or [::1]:25"))
            return false;
        out->number = port;
        return true;
    case PN_T_REPLY:
        return pn_reply_check(text, (int)row->min, err);
    default:
        return expect(path_ok(text), err, "a path");
    }
}

static bool reply_text_ok(struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return pn_utf8_valid(s);
}

/* "5.7.1", and the digits of its class, at the beginning of s; its length or 0. */
static size_t enhanced_code(struct pn_str s)
{
    size_t at = 0;
    for (int part = 0; part < 3; part++) {
        size_t end = span_digits(s, at);
        if (end == at || end - at > (part == 0 ? 1U : 3U))
            return 0;
        if (part < 2 && (end >= s.len || s.p[end] != '.'))
            return 0;
        at = end + (part < 2);
    }
    return at < s.len && s.p[at] != ' ' ? 0 : at;
}

bool pn_reply_check(struct pn_str text, int reply_class, struct pn_buf *err)
{
    char digit = (char)('0' + reply_class);
    bool code = text.len >= 5 && text.p[0] == digit && text.p[1] >= '0' && text.p[1] <= '5' &&
                pn_is_digit(text.p[2]) && text.p[3] == ' ';
    if (!code || text.len > PN_REPLY_TEXT_MAX || !reply_text_ok(text)) {
        (void)pn_buf_addf(err,
                          "a reply such as \"%c50 %c.7.1 Text\": a code of class %c, then one line "
                          "of printable text, %d bytes at most",
                          digit, digit, digit, PN_REPLY_TEXT_MAX);
        return false;
    }
    struct pn_str behind = pn_str_slice(text, 4, text.len);
    size_t n = enhanced_code(behind);
    if (n != 0 && behind.p[0] != digit) {
        (void)pn_buf_addf(err, "an enhanced code of class %c, as the reply's own", digit);
        return false;
    }
    return true;
}
