/*
 * Greylisting: a client network that was never seen with a sender's domain is asked to come
 * again. What a server does, and much spam software does not (RFC 6647).
 *
 * One entry a pair, "NETWORK DOMAIN", with the value "FIRST PASSES": when it was first seen
 * (ms since 1970), and how many messages were taken since. This header is the plugin's own.
 */
#ifndef GREYLIST_H
#define GREYLIST_H

#include <postern/plugin.h>

#include <stdbool.h>

enum { GREYLIST_KEY_MAX = 200, GREYLIST_NETWORK_MAX = 60, GREYLIST_VALUE_MAX = 48 };

struct greylist_entry {
    int64_t first_ms;
    uint32_t passes;
};

/* Lower case, printable ASCII; a domain that is too long is cut in front. "<>" for the null
 * sender. text: of at least GREYLIST_KEY_MAX bytes. Returns its length. network: of at most
 * GREYLIST_NETWORK_MAX bytes, "spf" where the domain vouched for the client. */
size_t greylist_key(char *text, struct postern_str network, struct postern_str from);
/* False: not such a value. */
bool greylist_value_get(struct postern_str value, struct greylist_entry *entry);
/* Returns its length; text: of at least GREYLIST_VALUE_MAX bytes. */
size_t greylist_value_put(char *text, const struct greylist_entry *entry);

/* The part behind the last @, without a last dot. */
struct postern_str greylist_domain(struct postern_str address);
/* domain is pattern, or, where pattern begins with a dot, below it; without case. */
bool greylist_matches(struct postern_str domain, struct postern_str pattern);

/* Is it one that something can match? */
bool greylist_pattern_ok(struct postern_str pattern);

/* A list of senders' domains from a file: one a line, as in greylist_matches, "#" begins a
 * comment. Sorted; owned. */
struct greylist_list {
    char *text;
    struct postern_str *domains;
    size_t count;
};
enum { GREYLIST_LIST_MAX = 16 * 1024 * 1024 };

/* False with a sentence in err (of err_size bytes, NUL-terminated); nothing is to be freed. */
bool greylist_list_read(struct greylist_list *list, const char *path, char *err, size_t err_size);
/* The same from memory, which is copied. */
bool greylist_list_parse(struct greylist_list *list, const char *bytes, size_t len, char *err,
                         size_t err_size);
void greylist_list_free(struct greylist_list *list);
bool greylist_list_has(const struct greylist_list *list, struct postern_str domain);

#endif
