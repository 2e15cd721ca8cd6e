#include "milter_macro.h"

#include <string.h>

#define AT(member) offsetof(struct milter_about, member)

/* Sendmail's names; stage: where they are sent unless the milter names macros. */
static const struct {
    const char *name;
    size_t at;
    enum milter_stage stage;
} macros[] = {{"j", AT(hostname), MILTER_AT_CONNECT},
              {"_", AT(client), MILTER_AT_CONNECT},
              {"v", AT(version), MILTER_AT_CONNECT},
              {"{daemon_name}", AT(daemon), MILTER_AT_CONNECT},
              {"{client_addr}", AT(client_addr), MILTER_AT_CONNECT},
              {"{client_name}", AT(client_name), MILTER_AT_CONNECT},
              {"{client_ptr}", AT(client_ptr), MILTER_AT_CONNECT},
              {"{client_port}", AT(client_port), MILTER_AT_CONNECT},
              {"{client_resolve}", AT(client_resolve), MILTER_AT_CONNECT},
              {"{daemon_addr}", AT(if_addr), MILTER_AT_CONNECT},
              {"{daemon_port}", AT(daemon_port), MILTER_AT_CONNECT},
              {"{if_name}", AT(if_name), MILTER_AT_CONNECT},
              {"{if_addr}", AT(if_addr), MILTER_AT_CONNECT},
              {"s", AT(helo), MILTER_AT_HELO},
              {"{tls_version}", AT(tls_version), MILTER_AT_HELO},
              {"{cipher}", AT(cipher), MILTER_AT_HELO},
              {"{cipher_bits}", AT(cipher_bits), MILTER_AT_HELO},
              {"i", AT(id), MILTER_AT_MAIL},
              {"f", AT(from), MILTER_AT_MAIL},
              {"{mail_addr}", AT(from), MILTER_AT_MAIL},
              {"{auth_authen}", AT(auth_id), MILTER_AT_MAIL},
              {"{rcpt_addr}", AT(rcpt), MILTER_AT_RCPT},
              {"{rcpt_mailer}", AT(rcpt_mailer), MILTER_AT_RCPT},
              {"{rcpt_host}", AT(rcpt_host), MILTER_AT_RCPT},
              {"{nrcpts}", AT(rcpt_count), MILTER_AT_DATA},
              {"{msg_id}", AT(message_id), MILTER_AT_END}};
enum { MACROS = sizeof(macros) / sizeof(macros[0]) };

uint64_t milter_macros_usual(enum milter_stage stage)
{
    uint64_t set = 0;

    for (size_t i = 0; i < MACROS; i++)
        if (macros[i].stage == stage)
            set |= UINT64_C(1) << i;
    return set;
}

static uint64_t macro_of(const char *name, size_t len)
{
    for (size_t i = 0; i < MACROS; i++) {
        const char *bare = macros[i].name;
        size_t n = strlen(bare);

        if (n == len && memcmp(bare, name, len) == 0)
            return UINT64_C(1) << i;
        /* Braces may be left out, as sendmail's configuration does not allow but people do. */
        if (n == len + 2 && bare[0] == '{' && memcmp(bare + 1, name, len) == 0)
            return UINT64_C(1) << i;
    }
    return 0;
}

uint64_t milter_macros_named(struct postern_str names)
{
    uint64_t set = 0;

    for (size_t at = 0; at < names.len;) {
        size_t end = at;

        while (end < names.len && memchr(" \t,\r\n", names.p[end], 5) == NULL)
            end++;
        if (end > at)
            set |= macro_of(names.p + at, end - at);
        at = end + 1;
    }
    return set;
}

void milter_put_macros(struct milter_out *out, char command, uint64_t set,
                       const struct milter_about *about)
{
    size_t at = 0;
    bool any = false;

    for (size_t i = 0; i < MACROS; i++) {
        const struct postern_str *value =
            (const struct postern_str *)(const void *)((const char *)about + macros[i].at);

        if ((set >> i & 1) == 0 || value->len == 0)
            continue;
        if (!any) {
            at = milter_begin(out, MILTER_MACRO);
            milter_put_byte(out, command);
        }
        any = true;
        milter_put_text(out, (struct postern_str){macros[i].name, strlen(macros[i].name)});
        milter_put_text(out, *value);
    }
    if (any)
        milter_end(out, at);
}
