/*
 * Rate limits: token buckets by keys made of what is known of a message. This header is the
 * plugin's own.
 */
#ifndef RATELIMIT_H
#define RATELIMIT_H

#include <postern/plugin.h>

#include <stdbool.h>

/* In the order of the choices of the row `key`. */
enum ratelimit_part {
    RATELIMIT_CLIENT,
    RATELIMIT_NETWORK,
    RATELIMIT_HELO,
    RATELIMIT_SENDER,
    RATELIMIT_SENDER_DOMAIN,
    RATELIMIT_RECIPIENT,
    RATELIMIT_RECIPIENT_DOMAIN,
    RATELIMIT_USER,
    RATELIMIT_SYMBOL,
    RATELIMIT_PARTS
};
#define RATELIMIT_PART_NAMES                                                                       \
    "client|network|helo|sender|sender-domain|recipient|recipient-domain|user|symbol"

enum ratelimit_cost { RATELIMIT_ONE, RATELIMIT_RECIPIENTS, RATELIMIT_KILOBYTES };
enum ratelimit_users { RATELIMIT_ANYBODY, RATELIMIT_USERS, RATELIMIT_STRANGERS };

enum { RATELIMIT_MAX = 64, RATELIMIT_SYMBOLS_MAX = 16, RATELIMIT_KEY_MAX = 200 };

struct ratelimit_limit {
    const struct postern_block *block;
    struct postern_str name;
    uint32_t stage; /* enum postern_stage */
    enum ratelimit_part parts[RATELIMIT_PARTS];
    size_t part_count;
    struct postern_str symbols[RATELIMIT_SYMBOLS_MAX];
    size_t symbol_count;
    struct postern_bucket bucket; /* without its cost */
    enum ratelimit_cost cost;
    enum ratelimit_users users;
    unsigned bits4, bits6;
};

struct ratelimit_instance {
    struct ratelimit_limit limits[RATELIMIT_MAX];
    size_t count;
};

extern const struct postern_row ratelimit_rows[];

/* False: setup_error was called. */
bool ratelimit_settings(struct postern_setup *setup, struct ratelimit_instance *in);

/*
 * The key of a limit for this call: its name, then each part. text: of RATELIMIT_KEY_MAX bytes.
 * A long one is cut, and what is cut stands behind it as a hash. 0: the limit has nothing to
 * say here: a part is not known, or no symbol it asks for is there.
 */
size_t ratelimit_key(struct postern_call *c, const struct ratelimit_limit *limit, char *text);

#endif
