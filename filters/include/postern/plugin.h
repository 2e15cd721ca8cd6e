/*
 * <postern/plugin.h>: all that a Postern plugin includes.
 *
 * THE CONTRACT
 *
 * A plugin finds facts; policy decides; the core acts. A plugin looks at a client,
 * an envelope or a message and states symbols ("SPF_FAIL"), authentication results
 * and notes, and may propose header edits. It never answers the client.
 *
 * A plugin is a shared object that exports one symbol, the const object
 * `postern_plugin`. The host looks at the file (owner, mode, no group or world
 * write) before dlopen, opens it with RTLD_LOCAL, compares major and minor (VERSIONS,
 * below), and refuses a foreign ABI naming both versions.
 *
 * It runs in a worker process, sandboxed: no file, no socket, no process but what
 * its manifest (`needs`) asks for and the operator grants. A crash, a hang past the
 * deadline or a failed call concerns the one message at hand: the fact
 * PLUGIN_FAILED is recorded, and the operator's `on_failure` decides.
 *
 * Three objects, each made and freed by the plugin:
 *   instance     one a worker and policy generation; read-only once made, since
 *                callbacks of many messages run at once on several threads
 *   session      one a client connection, where session_new is given
 *   transaction  one a message (from MAIL on), where transaction_new is given
 * Callbacks of one session never run at the same time, but they run on any thread of
 * the pool, each with about 500 KB of stack. A worker may be replaced
 * between two stages: the host then calls the earlier stages again in the fresh
 * one and drops the facts that they repeat. So keep nothing else: no statics that
 * change, no threads, no files.
 *
 * Callbacks are plain blocking C. The outside world comes through the host alone:
 * DNS, time and randomness are recorded, so that a verdict can be replayed bit for
 * bit. Calling time(), rand() or a resolver breaks that, and the sandbox.
 *
 * A WORKED EXAMPLE
 *
 *   #include <postern/plugin.h>
 *
 *   enum { SYM_SHOUTING };
 *   static const struct postern_symbol symbols[] = {
 *       [SYM_SHOUTING] = {"SUBJECT_SHOUTS", 1500, "Subject has no small letter"},
 *       {NULL, 0, NULL}};
 *
 *   static int on_headers(struct postern_call *c)
 *   {
 *       struct postern_str subject;
 *       if (c->host->header_get(c, "Subject", 0, &subject) != POSTERN_OK)
 *           return POSTERN_OK;
 *       for (size_t i = 0; i < subject.len; i++)
 *           if (subject.p[i] >= 'a' && subject.p[i] <= 'z')
 *               return POSTERN_OK;
 *       return c->host->fact(c, SYM_SHOUTING, POSTERN_STR("whole subject"));
 *   }
 *
 *   POSTERN_EXPORT const struct postern_plugin postern_plugin = {
 *       .size = sizeof(struct postern_plugin),
 *       .major = POSTERN_ABI_MAJOR, .minor = POSTERN_ABI_MINOR,
 *       .name = "shout", .version = "1.0", .summary = "loud subjects",
 *       .symbols = symbols, .on = {[POSTERN_HEADERS] = on_headers}};
 *
 * LIFETIMES
 *
 * Views that the host hands out live until the transaction ends (in connect and helo
 * stages: until the session ends), unless a line below says otherwise. What a plugin
 * hands to the host is copied. Strings are counted, never NUL-terminated by contract.
 * A `struct postern_call` and a `struct postern_setup` are there for the call that they
 * were given to, and for its thread: keep neither, hand neither to another thread. A
 * settings block lives as long as the instance.
 *
 * WHAT MAY BE CALLED WHEN
 *
 *   prepare, instance_new              set_*, setup_error, setup_warn, tmp_folder
 *   info                               the same, and setup_info
 *   changed                            nothing: it is given no call
 *   tick                               set_*, dns_*, now_ms, left_ms, random, alloc, log,
 *                                      standing, standing_set; client and envelope are NULL,
 *                                      what it states is dropped
 *   prefetch                           set_*, client*, envelope, id, the message, now_ms,
 *                                      left_ms, log, standing, and dns_start; lookups that
 *                                      would wait are POSTERN_INVALID, so are state_*; what
 *                                      it states is dropped
 *   session_new, transaction_new, on   all that takes a call, and set_*
 *   the _free functions                nothing: they are given no call
 *
 * envelope is there from POSTERN_MAIL on, the message from POSTERN_HEADERS on; before
 * that envelope is NULL and the message empty. Facts, results, notes and edits of
 * POSTERN_AFTER are dropped; what it puts into state is kept as from any stage. A
 * function that takes what it may not have gives POSTERN_INVALID; none of them is
 * reentered by a signal handler, and no C++ exception may leave a callback.
 *
 * VERSIONS
 *
 * A host takes a plugin when their majors are the same and the plugin's minor is not
 * above its own. Within a major nothing is removed, renamed, moved or given another
 * meaning; a minor only adds, and these are the places where it may:
 *
 *   - functions at the end of struct postern_host (state for greylists and limits, say).
 *     `size` says how much of the table is there;
 *   - members at the end of struct postern_plugin. `size` says how much of it the plugin
 *     has; what is missing is zero;
 *   - members at the end of what the host hands out by pointer (call, setup, client,
 *     envelope, dns_answer), for plugins that look at the host's minor first;
 *   - stages: `on` and `prefetch` have room for POSTERN_STAGES_ROOM of them;
 *   - words of an enumeration, bits of flags and needs, statuses: take one that you don't
 *     know by its sign, negative is a failure;
 *   - members named `reserved`, in what stands in arrays or is filled in by the host into
 *     a plugin's memory, and so can't grow. A plugin leaves them zero.
 *
 * What a plugin uses that this host doesn't know (a stage, a flag, a reserved member that
 * is not zero, a longer descriptor with anything in it) is refused, never ignored.
 *
 * `minor` in the descriptor is the lowest that the plugin can do with: usually
 * POSTERN_ABI_MINOR, the header's. A plugin that wants to run on older hosts too says a
 * lower one, and asks with POSTERN_HAS before it calls what came later.
 *
 *   1.0   the first
 *   1.1   prefetch, needs_if, changed, tick, info, stages_if, methods; client_in,
 *         client_network, state_get, state_put, state_take, state_take_all, domain_ascii,
 *         words_text;
 *         insert_header, change_header, replace_body, change_from, add_rcpt, remove_rcpt;
 *         standing, standing_set; setup_info; early, tls_version, tls_cipher, tls_bits,
 *         local_ip_text, local_port, unknown_count, unknown of struct postern_client;
 *         mail_args of postern_envelope
 *
 * Widths are fixed: enumerations appear in structs and arguments as uint32_t or int, so
 * that no compiler's option changes them; int has 32 bits, pointers and size_t have the
 * machine's word. Layouts are those of the C ABI of the platform.
 */
#ifndef POSTERN_PLUGIN_H
#define POSTERN_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define POSTERN_ABI_MAJOR 1
#define POSTERN_ABI_MINOR 1

/* Whether this host's table has a function: POSTERN_HAS(c->host, client_in). */
#define POSTERN_HAS(host, function)                                                                \
    ((host)->size >= offsetof(struct postern_host, function) + sizeof((host)->function))

#define POSTERN_EXPORT __attribute__((visibility("default")))

struct postern_str {
    const char *p;
    size_t len;
};

#define POSTERN_STR(literal) ((struct postern_str){(literal), sizeof(literal) - 1})

/* What host functions and callbacks return, as int. */
enum postern_status {
    POSTERN_OK = 0,
    POSTERN_NONE = 1,      /* there is no such header, part, note, record */
    POSTERN_PART = 2,      /* from a callback, since 1.1: it left something out because time was
                            * short. What it stated counts; a replay takes it from the event, for
                            * on another machine it might have come further */
    POSTERN_ERROR = -1,    /* from a callback: it failed, `on_failure` applies */
    POSTERN_LIMIT = -2,    /* a limit was reached (facts, memory, queries); go on or return it */
    POSTERN_DEADLINE = -3, /* the call's time is up: return it at once */
    POSTERN_INVALID = -4,  /* an argument the host refuses: CR, LF, NUL, a bad index */
    POSTERN_AWAY = -5      /* lasting state is out of reach now: return it, `on_failure` applies */
};

enum postern_stage {
    POSTERN_CONNECT, /* client address known */
    POSTERN_HELO,
    POSTERN_MAIL,
    POSTERN_RCPT,    /* once a recipient, the newest is the last one */
    POSTERN_HEADERS, /* header fields known; the body is there too */
    POSTERN_MESSAGE, /* all of it */
    POSTERN_AFTER,   /* the verdict on the content is made, the client waits for it: be quick.
                      * What is found here is dropped */
    POSTERN_STAGES   /* that this header knows */
};
enum { POSTERN_STAGES_ROOM = 16 };

/* ---- what a plugin declares ---- */

enum postern_type {
    POSTERN_T_STRING,
    POSTERN_T_BOOL, /* yes, no */
    POSTERN_T_INT,
    POSTERN_T_SIZE,     /* bytes: 64k, 10m */
    POSTERN_T_DURATION, /* milliseconds: 500ms, 3s, 2h */
    POSTERN_T_WEIGHT,   /* thousandths: 2.5 is 2500 */
    POSTERN_T_ADDRESS,  /* IPv4 or IPv6 */
    POSTERN_T_NETWORK,
    POSTERN_T_FILE, /* a path; resolved against the configuration's folder, readable to the worker
                     */
    POSTERN_T_FOLDER,
    POSTERN_T_CHOICE, /* one of `choices`, words parted by '|' */
    POSTERN_T_BLOCK   /* name "title" { rows }: see rows */
};

enum {
    POSTERN_ROW_REQUIRED = 1,
    POSTERN_ROW_LIST = 2,   /* several values, and the row may be repeated */
    POSTERN_ROW_REPEAT = 4, /* a block that may be repeated, told apart by title */
    POSTERN_ROW_TITLED = 8  /* a block with a title of type title_type */
};

/*
 * A settings row. One row feeds the parser, `postern config show`, and the manual.
 * Numbers carry min and max in the type's unit; a default is written as the operator
 * would write it and parsed the same way. A block's child rows may also stand behind
 * its title on one line: `code 127.0.0.2 weight 4` is `code 127.0.0.2 { weight 4 }`.
 */
struct postern_row {
    const char *name; /* NULL ends the list */
    uint32_t type;    /* enum postern_type */
    uint32_t flags;
    const char *def;  /* NULL: none */
    int64_t min, max; /* both 0: any */
    const char *choices;
    const struct postern_row *rows; /* of a block */
    uint32_t title_type;            /* enum postern_type */
    const char *help;               /* one sentence */
    const void *reserved[2];
};

/* Symbols are named by their index in this table; order is free, names are for ever. */
struct postern_symbol {
    const char *name; /* A-Z, 0-9, _ ; NULL ends the list */
    int32_t weight;   /* default, thousandths; policy may change it */
    const char *help;
    const void *reserved;
};

/* What the sandbox must leave open for it; the operator sees and grants it. */
enum {
    POSTERN_NEED_DNS = 1,      /* the host's dns functions */
    POSTERN_NEED_FILES = 2,    /* in prepare: the files and folders that its settings of those
                                * types name, by default too; read only */
    POSTERN_NEED_TMP = 4,      /* a private folder in memory: host->tmp_folder */
    POSTERN_NEED_NETWORK = 8,  /* internet sockets, to connect; UNIX ones too where a string
                                * among its settings names a path (/x, unix:/x, local:/x) */
    POSTERN_NEED_ALONE = 16,   /* a worker group of its own, whatever others need */
    POSTERN_NEED_THREADS = 32, /* its library makes threads */
    POSTERN_NEED_OPENSSL = 64, /* hardware probing and getrandom of a crypto library */
    POSTERN_NEED_STATE = 128   /* the host's state functions */
};

/* What a setting adds to `needs`: a plugin that has an engine beside its own, or asks a
 * daemon of the operator's, needs more only where that is chosen. */
struct postern_need_if {
    const char *row;   /* a CHOICE outside of blocks; NULL ends the list */
    const char *value; /* the word that stands there, by default too */
    uint32_t needs;
    uint32_t reserved;
};

/*
 * Which settings call for a stage, so that one that no setting uses costs nothing. A stage
 * that no such row names is always called; one that is named, where a row that holds names
 * it. A row holds in a block where its CHOICE there has the value, by default too; one
 * without `row` in any such block. In each block the first row that holds decides, with its
 * neighbours of the same `row` (a list may have several values); blocks add up.
 *
 *   {"limit", "stage", "rcpt", 1 << POSTERN_RCPT}      each limit { stage rcpt }
 *   {"limit", NULL, NULL, 1 << POSTERN_MAIL}           any limit that no row before names
 */
struct postern_stage_if {
    const char *block; /* a BLOCK of the settings; NULL: those outside of blocks */
    const char *row;
    const char *value;
    uint32_t stages; /* bits 1 << enum postern_stage, of those with a callback; 0 ends the list */
    uint32_t reserved;
};

enum postern_on_failure { POSTERN_FAIL_DEFER, POSTERN_FAIL_SKIP, POSTERN_FAIL_QUARANTINE };

struct postern_call;
struct postern_block;
struct postern_host;

/* Given to instance_new and to `prepare`. */
struct postern_setup {
    const struct postern_host *host;
    const struct postern_block *settings;
    void *prepared; /* what prepare() left, shared copy-on-write by all workers */
    void *internal; /* the host's */
};

struct postern_plugin {
    uint32_t size; /* sizeof(struct postern_plugin) */
    uint16_t major, minor;
    const char *name; /* a-z, 0-9, - ; the word used in the configuration */
    const char *version;
    const char *summary;            /* one line */
    const struct postern_row *rows; /* settings; NULL: none */
    const struct postern_symbol *symbols;
    const char *const *after; /* plugins whose facts it reads, NULL-ended; NULL: none */
    uint32_t needs;
    uint32_t on_failure;  /* enum postern_on_failure */
    uint32_t deadline_ms; /* for one callback; 0: the host's default (5 s) */
    uint32_t reserved;

    /* In the template, from which the workers are forked: load what is large (a signature
     * database, rules) and what is in files. Sandboxed already: of files, those of
     * POSTERN_NEED_FILES are readable, and what libraries lie and look at (below /usr).
     * Leaves no thread and no process behind. May be NULL. *prepared is shared by the workers.
     * On POSTERN_ERROR write why with host->setup_error. */
    int (*prepare)(struct postern_setup *setup, void **prepared);
    void (*prepare_free)(void *prepared);

    /* In the worker, after fork, before threads start; no file is open any more. */
    int (*instance_new)(struct postern_setup *setup, void **instance);
    void (*instance_free)(void *instance);
    /* Called when a callback of this session (transaction) is due for the first time. */
    int (*session_new)(struct postern_call *call, void **session);
    void (*session_free)(void *instance, void *session);
    int (*transaction_new)(struct postern_call *call, void **transaction);
    void (*transaction_free)(void *instance, void *transaction);

    /* A stage whose entry is NULL costs nothing. POSTERN_OK, or a negative status. */
    int (*on[POSTERN_STAGES_ROOM])(struct postern_call *call);

    /* ---- 1.1 */

    /* Called before any plugin's callbacks of the stages that the host runs together: starts
     * (dns_start) what the callback of the same stage will surely look up, so that the
     * questions of all plugins are out before the first one waits. It reads client,
     * envelope and message and starts lookups; it must not wait, and whatever else it does
     * is dropped. Sessions and transactions are not there yet. Entries may be NULL. */
    void (*prefetch[POSTERN_STAGES_ROOM])(struct postern_call *call);

    /* NULL: what it needs depends on no setting. */
    const struct postern_need_if *needs_if;

    /* In the template, about once a minute (`workers { refresh }`): 1 where what prepare()
     * read is another by now and at rest, and shall be read anew; else 0. The host then makes
     * a new template, as at a reload: sessions that begin later have what it prepared, those
     * begun go on with the old. Where the new prepare() fails, the old serves on and an event
     * says why; so say 1 once for each state of the files. It runs sandboxed, beside the fork
     * of workers: look at files (stat), open none, and be quick. May be NULL. */
    int (*changed)(void *prepared);

    /* In a worker, when it has begun and again whenever *next_ms has passed (an hour, unless it
     * says otherwise: a second to a day): looks after what is no message's own business, whether
     * a list of the DNS still answers as it should, say. It runs beside the callbacks of
     * messages, once at a time, with the deadline of a callback, and costs no message anything;
     * what no other callback looks at, it may keep in the instance.
     * What messages shall know of it, it leaves as its standing (host->standing_set). A negative
     * status is logged, and it is called again in a minute. One that crashes or hangs takes the
     * worker along; those that begin then call it later: after a minute, then two, up to an
     * hour. It is not called where a message is
     * only repeated: in `postern scan`, and in a process that is there for one message alone.
     * May be NULL. */
    int (*tick)(struct postern_call *call, uint32_t *next_ms);

    /* For `postern plugin show`: says with setup_info what prepare() made of the settings: what
     * was loaded and what was left out, line by line, with why. Runs behind prepare() in a
     * process of its own that ends with it, never in a server; setup->prepared is there, files
     * are readable, and it may take its time. May be NULL. On POSTERN_ERROR write why with
     * setup_error. */
    int (*info)(struct postern_setup *setup);

    /* NULL: its stages depend on no setting. */
    const struct postern_stage_if *stages_if;

    /* Methods of the authentication results that it states, as in RFC 8601, NULL-ended; NULL:
     * none, or it doesn't tell. Where one states "iprev", the server asks for no client's name
     * itself. */
    const char *const *methods;
};

/* ---- what a plugin is given in each callback ---- */

struct postern_call {
    const struct postern_host *host;
    uint32_t stage; /* enum postern_stage */
    void *instance;
    void *session;     /* NULL unless session_new is given */
    void *transaction; /* NULL unless transaction_new is given */
    void *internal;    /* the host's */
};

/* What a client did not wait for. Each is told from its own stage on. */
enum {
    POSTERN_EARLY_GREETING = 1, /* CONNECT: it spoke before our greeting */
    POSTERN_EARLY_HELO = 2,     /* HELO: it sent on behind EHLO or HELO, our answer unseen */
    POSTERN_EARLY_COMMAND = 4   /* HEADERS: behind another command that ends a group (RFC 2920,
                                 * section 3.1), or behind any after HELO, which offers none */
};

/* Of a session's unknown commands so many are kept, and so many bytes of each. */
enum { POSTERN_UNKNOWN_MAX = 4, POSTERN_UNKNOWN_BYTES = 512 };

struct postern_client {
    unsigned char ip[16]; /* IPv4 as ::ffff:a.b.c.d */
    uint16_t port;
    int is_ipv4;
    struct postern_str ip_text;     /* dotted or RFC 5952 */
    struct postern_str helo;        /* as given; empty before HELO */
    struct postern_str auth_id;     /* authenticated user, or empty */
    int tls;                        /* 0 plain, 1 TLS */
    struct postern_str authserv_id; /* our own name, RFC 8601 section 2.5 */
    struct postern_str hostname;    /* of this server */

    /* ---- 1.1 */
    uint32_t early; /* POSTERN_EARLY_* */
    uint32_t reserved;
    struct postern_str tls_version; /* "TLSv1.3"; empty where tls is 0 */
    struct postern_str tls_cipher;  /* OpenSSL's name of it */
    uint32_t tls_bits;              /* of the cipher's key; 0 where tls is 0 */
    uint16_t local_port; /* where it connected to, as a PROXY header says if there is one; 0:
                          * not known */
    uint16_t reserved2;
    struct postern_str local_ip_text; /* likewise, written as ip_text; empty: not known */
    /* Lines with a command that this server does not know, as they came up to this stage, the
     * first ones of the session: without control bytes, cut, and maybe no UTF-8. */
    size_t unknown_count; /* POSTERN_UNKNOWN_MAX at most */
    const struct postern_str *unknown;
};

struct postern_envelope {
    struct postern_str from; /* reverse-path without brackets; empty: null */
    size_t rcpt_count;
    const struct postern_str *rcpt; /* addresses without brackets */

    /* ---- 1.1 */
    /* The ESMTP arguments of MAIL as the client wrote them, parted by blanks ("SIZE=1200
     * BODY=8BITMIME"); empty for none. RCPT has none: this server refuses them all. */
    struct postern_str mail_args;
};

struct postern_pair {
    struct postern_str name, value;
};

/*
 * An authentication result (RFC 8601). For method and result the registry's words.
 * Properties are names of our event line ("domain", "selector", "identity",
 * "reason"…); the core knows how to write those of spf, dkim, dmarc and arc as
 * ptype.property; for other methods name them "header.d" and the like.
 *
 *   spf    identity (mailfrom|helo), domain, explanation?
 *   dkim   signature (valid|invalid|unchecked), reason, domain, selector, algorithm, bits
 *   dmarc  domain, record_domain, org_domain, policy, disposition; and for a report spf, dkim
 *          (pass|fail: aligned), p, sp?, np?, adkim, aspf, testing, discovery, fo?, rua?,
 *          override?, override_comment?
 */
struct postern_auth {
    struct postern_str method, result;
    size_t count;
    const struct postern_pair *properties;
    const void *reserved[2];
};

struct postern_fact {
    struct postern_str plugin, name, detail;
    int32_t weight; /* default weight, thousandths */
    uint32_t reserved;
    const void *reserved2[2];
};

enum postern_dns_type {
    POSTERN_DNS_A = 1,
    POSTERN_DNS_PTR = 12,
    POSTERN_DNS_MX = 15,
    POSTERN_DNS_TXT = 16,
    POSTERN_DNS_AAAA = 28
};

enum postern_dns_rcode {
    POSTERN_DNS_NOERROR = 0,
    POSTERN_DNS_SERVFAIL = 2,
    POSTERN_DNS_NXDOMAIN = 3,
    POSTERN_DNS_TIMEOUT = 256 /* no answer within the time left */
};

/* A: 4 bytes, AAAA: 16 bytes, TXT: strings joined, PTR: name, MX: two bytes of preference
 * (big endian) and the name. Names in presentation form without the last dot. */
struct postern_dns_record {
    uint32_t ttl;
    uint32_t reserved;
    struct postern_str data;
};

/* Records sorted by data. NOERROR with count 0: the name exists without this type. */
struct postern_dns_answer {
    uint16_t rcode;
    int secure; /* proved by DNSSEC */
    size_t count;
    const struct postern_dns_record *records;
};

/* A leaf or container of the MIME tree, in document order; part 0 is the message. */
struct postern_part {
    int32_t parent; /* -1 for part 0 */
    uint32_t depth;
    struct postern_str type, subtype;                            /* lower case */
    struct postern_str charset, filename, encoding, disposition; /* empty where none */
    struct postern_str header;                                   /* raw, with its empty line */
    struct postern_str body;                                     /* raw, still encoded */
    int is_multipart, is_message;
    const void *reserved[4];
};

enum postern_text {
    POSTERN_TEXT_DECODED, /* transfer encoding undone: bytes */
    POSTERN_TEXT_UTF8,    /* and converted to UTF-8; text parts only */
    POSTERN_TEXT_VISIBLE  /* and HTML rendered to what a person sees; text parts only */
};

/*
 * Lasting state: what a plugin remembers from one message to the next (a greylist, how often
 * somebody came). It is shared by all workers. A key is the plugin's own, whatever others call
 * theirs.
 *
 * The host remembers what a message did to it, and nothing lasts before the message's fate
 * is known: a put is written behind the last decision, and dropped where there was none
 * (the client went away, this plugin failed); what a take took is given back then. A message
 * whose worker died is looked at again and finds what it found before.
 */
enum { POSTERN_STATE_KEY_MAX = 255, POSTERN_STATE_VALUE_MAX = 1024 };

/* For which ends of the message a put is written. */
enum postern_state_when {
    POSTERN_STATE_DECIDED, /* whatever was decided */
    POSTERN_STATE_TAKEN,   /* it was taken, for one recipient at least */
    POSTERN_STATE_REFUSED  /* nobody has it: it was rejected or deferred */
};

/* A bucket of `capacity` tokens, which fills up in `interval_ms` from empty to full, evenly;
 * `cost` of them are wanted. 1 to 1000000 tokens, a second to a year; cost 0 only looks. */
struct postern_bucket {
    uint32_t capacity, cost;
    uint64_t interval_ms;
    const void *reserved;
};

/* One of several: key and bucket are the caller's, left and status the answer. */
enum { POSTERN_STATE_TAKES_MAX = 64 };
struct postern_take {
    struct postern_str key;
    struct postern_bucket bucket;
    uint32_t left;
    int32_t status;
};

/* Bytes that a plugin's tick may leave as its standing. */
enum { POSTERN_STANDING_MAX = 1024 };

enum postern_log { POSTERN_LOG_DEBUG, POSTERN_LOG_INFO, POSTERN_LOG_WARN, POSTERN_LOG_ERROR };

struct postern_host {
    uint32_t size; /* sizeof, of the host's; functions beyond it are not there */
    uint16_t major, minor;

    /* -- settings; in prepare and instance_new, and later too: the block stays. A row that
     *    is absent and has no default gives POSTERN_NONE. n counts a list's values. The
     *    core's own rows of the plugin's block can be read as well: `edits`, what it may change. */
    int (*set_str)(const struct postern_block *b, const char *row, size_t n,
                   struct postern_str *out);
    int (*set_int)(const struct postern_block *b, const char *row, size_t n, int64_t *out);
    int (*set_bool)(const struct postern_block *b, const char *row, int *out);
    int (*set_net)(const struct postern_block *b, const char *row, size_t n, unsigned char ip[16],
                   unsigned *bits); /* addresses too: bits is 128 */
    int (*set_block)(const struct postern_block *b, const char *row, size_t n,
                     const struct postern_block **out);
    size_t (*set_count)(const struct postern_block *b, const char *row);
    struct postern_str (*set_title)(const struct postern_block *b);
    /* "file:line:column" of the row's value, for errors; of a default, its block's. */
    struct postern_str (*set_where)(const struct postern_block *b, const char *row, size_t n);
    void (*setup_error)(struct postern_setup *s, struct postern_str sentence);
    void (*setup_warn)(struct postern_setup *s, struct postern_str sentence);

    /* -- who and what */
    const struct postern_client *(*client)(struct postern_call *c);
    const struct postern_envelope *(*envelope)(struct postern_call *c); /* from MAIL on */
    /* Text that names this message in the log. */
    struct postern_str (*id)(struct postern_call *c);

    /* -- stating facts. detail is printable UTF-8, at most 200 bytes are kept. The same
     *    symbol with the same detail twice counts once. */
    int (*fact)(struct postern_call *c, unsigned symbol, struct postern_str detail);
    /* With a weight of its own (thousandths) in place of the default: for lists and rules
     * that are data. Policy's weight for the symbol, where one is set, still wins. */
    int (*fact_weighted)(struct postern_call *c, unsigned symbol, struct postern_str detail,
                         int32_t weight);
    /* A symbol that is not in the table: the names of rules read from files. Same name rules. */
    int (*fact_named)(struct postern_call *c, struct postern_str name, struct postern_str detail,
                      int32_t weight);
    /* For one recipient (its index in the envelope) only. */
    int (*fact_for)(struct postern_call *c, size_t rcpt, unsigned symbol,
                    struct postern_str detail);
    int (*auth)(struct postern_call *c, const struct postern_auth *result);

    /* -- earlier facts: this plugin's own, and those of plugins named in `after`; n counts from 0
     */
    int (*seen)(struct postern_call *c, size_t n, struct postern_fact *out);
    int (*seen_auth)(struct postern_call *c, struct postern_str method, size_t n,
                     struct postern_auth *out);

    /* -- notes: small values that one plugin leaves for another, or for a later stage */
    int (*note_set)(struct postern_call *c, struct postern_str key, struct postern_str value);
    int (*note_get)(struct postern_call *c, const char *plugin, struct postern_str key,
                    struct postern_str *out);

    /* -- proposed edits; the core checks and applies them. All of a callback's are made, or none:
     *    where one is too many it is POSTERN_LIMIT, those before it are gone, and the core states
     *    PLUGIN_EDITS_DROPPED. value is UTF-8, unfolded, or folded (each CRLF with a blank behind
     *    it) and then kept as it is. n counts as header_get's does: in the message as received. */
    int (*add_header)(struct postern_call *c, struct postern_str name, struct postern_str value);
    int (*remove_header)(struct postern_call *c, struct postern_str name, size_t n);

    /* -- DNS; recorded. lookup blocks. start returns at once; wait_all blocks until all that
     *    was started has come or the deadline passed; a lookup of a started name then
     *    costs nothing. Names as text, with or without the last dot. type is enum
     *    postern_dns_type. */
    int (*dns_lookup)(struct postern_call *c, struct postern_str name, uint32_t type,
                      const struct postern_dns_answer **out);
    int (*dns_start)(struct postern_call *c, struct postern_str name, uint32_t type);
    int (*dns_wait_all)(struct postern_call *c);

    /* -- time and randomness; recorded */
    int64_t (*now_ms)(struct postern_call *c);   /* wall clock at the transaction's beginning */
    uint32_t (*left_ms)(struct postern_call *c); /* until this call's deadline */
    void (*random)(struct postern_call *c, void *out, size_t n);

    /* -- the message; from HEADERS on. Header names without case; n counts from the top. */
    struct postern_str (*content)(struct postern_call *c); /* all of it, CRLF ends, as received */
    struct postern_str (*body)(struct postern_call *c);    /* behind the empty line */
    size_t (*header_count)(struct postern_call *c);
    /* The i-th field: name, and value as it stands (folds kept, last CRLF off). */
    int (*header_at)(struct postern_call *c, size_t i, struct postern_str *name,
                     struct postern_str *value);
    /* The n-th field of that name: value with folds removed and blanks trimmed. */
    int (*header_get)(struct postern_call *c, const char *name, size_t n,
                      struct postern_str *value);
    /* As header_get, encoded words (RFC 2047) decoded to UTF-8. */
    int (*header_text)(struct postern_call *c, const char *name, size_t n,
                       struct postern_str *value);
    /* The k-th address of the n-th field of that name; POSTERN_INVALID where the field is
     * malformed there. local as it stands, domain lower-case without a last dot, display as
     * people read it: unquoted, encoded words decoded, UTF-8; empty where there is none. */
    int (*header_address)(struct postern_call *c, const char *name, size_t n, size_t k,
                          struct postern_str *local, struct postern_str *domain,
                          struct postern_str *display);
    size_t (*part_count)(struct postern_call *c);
    int (*part)(struct postern_call *c, size_t i, struct postern_part *out);
    int (*part_text)(struct postern_call *c, size_t i, uint32_t how, struct postern_str *out);
    /* URLs found in text and HTML parts, in order, duplicates dropped. */
    int (*url)(struct postern_call *c, size_t n, struct postern_str *url, struct postern_str *host);
    /* A read-only descriptor of the content; the host's, do not close. */
    int (*content_fd)(struct postern_call *c);

    /* -- memory that lives as long as the transaction (session before MAIL), zeroed, aligned
     *    for any type; NULL past the limit. */
    void *(*alloc)(struct postern_call *c, size_t n);
    /* The private folder of POSTERN_NEED_TMP; empty without it. */
    struct postern_str (*tmp_folder)(struct postern_setup *s);
    void (*log)(struct postern_call *c, uint32_t level, struct postern_str line);

    /* ---- 1.1 */

    /* Is the client in one of the networks (or addresses) of this row? POSTERN_OK: yes,
     * POSTERN_NONE: no, POSTERN_INVALID: no such row, or of another type. */
    int (*client_in)(struct postern_call *c, const struct postern_block *b, const char *row);

    /* -- lasting state (POSTERN_NEED_STATE), recorded; in session_new, transaction_new and the
     *    stages. They wait for a moment, never for long: POSTERN_AWAY where nobody answers.
     *    A key is 1 to POSTERN_STATE_KEY_MAX bytes of printable UTF-8.
     *
     *    get: what was put, by this message or by an earlier one, and is not too old.
     *    POSTERN_NONE: nothing. The same key twice in a message gives the same. */
    int (*state_get)(struct postern_call *c, struct postern_str key, struct postern_str *value);
    /* any bytes, POSTERN_STATE_VALUE_MAX at most, forgotten after ttl_ms (1 to 10 years). when is
     * enum postern_state_when. The same key twice in a message: the last one counts. */
    int (*state_put)(struct postern_call *c, struct postern_str key, struct postern_str value,
                     uint64_t ttl_ms, uint32_t when);
    /* POSTERN_OK: the tokens were there and are taken. POSTERN_NONE: there are too few, none is
     * taken. *left: tokens in the bucket then. Once a callback and key: taken again, it gives
     * the same answer and takes nothing. */
    int (*state_take)(struct postern_call *c, struct postern_str key,
                      const struct postern_bucket *bucket, uint32_t *left);

    /* -- more edits, in HEADERS and MESSAGE; POSTERN_INVALID elsewhere. What plugins read, and
     *    what is decided, is the message as received; edits are applied where it is handed on,
     *    in the order of the plan, then of the calls. The operator grants kinds of them to each
     *    plugin (the row `edits`: headers alone unless it says more). What is not granted, or
     *    fails a check of the core's, is left out and named in the event; the plugin is not told.
     *    So are lines whose name begins with X-Postern-: those are the core's.
     *
     *    kind headers. position is libmilter's (smfi_insheader): 0 is the very top, above the
     *    lines of this server, which count as one field; 1 is behind them. It counts in the
     *    header as edits before this one left it; one too large is the header's end. */
    int (*insert_header)(struct postern_call *c, size_t position, struct postern_str name,
                         struct postern_str value);
    /* The n-th field of that name gets this value, in its place; an empty one removes it. One that
     * isn't there is added, as add_header does. Of several changes of a field the last counts. */
    int (*change_header)(struct postern_call *c, struct postern_str name, size_t n,
                         struct postern_str value);
    /* kind body: all behind the header's empty line. The first call of a callback begins a new
     * body (the chunk may be empty), those that follow append. Line ends are CRLF, which two
     * chunks may share; a bare CR or LF, or a NUL, is POSTERN_INVALID and takes nothing.
     * POSTERN_LIMIT beyond what a message may have (limits.message-size): then there is no such
     * body, and a message that was to have it is deferred, as it is where header and body are too
     * much together. The whole takes the place of what earlier callbacks said. */
    int (*replace_body)(struct postern_call *c, struct postern_str chunk);
    /* kind sender: the reverse-path with which the message goes on (Return-Path, reports); "" is
     * the null one. Addresses are without brackets; POSTERN_INVALID for what is none. */
    int (*change_from)(struct postern_call *c, struct postern_str address);
    /* kind recipients. One more is taken where this client could have named it itself, and gets
     * a decision of its own; nothing is relayed. One that is removed does not get the message;
     * where none is left it is taken and dropped. An address is removed as the envelope has it;
     * one that is not there is named in the event. */
    int (*add_rcpt)(struct postern_call *c, struct postern_str address);
    int (*remove_rcpt)(struct postern_call *c, struct postern_str address);

    /* -- standing: what the last tick of this worker found out, for the messages that come.
     *
     *    standing: POSTERN_NONE where it left nothing, or none ran yet. Else recorded: the event
     *    has it, and the message finds the same in all its later stages. In a tick: what the
     *    one before left. */
    int (*standing)(struct postern_call *c, struct postern_str *value);
    /* In a tick only. Up to POSTERN_STANDING_MAX bytes of printable UTF-8; empty: nothing. It
     * stays until it is set again, also over ticks that fail. */
    int (*standing_set)(struct postern_call *c, struct postern_str value);

    /* -- in `info` alone, elsewhere POSTERN_INVALID: one line of what the plugin says of itself.
     *    key: 1 to 64 of a-z, 0-9, - (what it is: "patterns", "left-out"); the same key again is
     *    one more of its kind. value: one line of printable UTF-8, at most 2000 bytes.
     *    POSTERN_LIMIT beyond 32 MB in all. */
    int (*setup_info)(struct postern_setup *s, struct postern_str key, struct postern_str value);

    /* -- state_take for several buckets at once: one question instead of one each. Up to
     *    POSTERN_STATE_TAKES_MAX; each is taken or not for itself, and its status says so: as
     *    state_take returns it. Of the same key twice the first counts. POSTERN_OK, or a status
     *    below zero that one of them has (POSTERN_AWAY); POSTERN_INVALID, and nothing is taken,
     *    where one of them is. */
    int (*state_take_all)(struct postern_call *c, struct postern_take *takes, size_t count);

    /* -- a domain's name as DNS has it: U-labels become A-labels (RFC 5890; mapped as UTS 46 says,
     *    so that capitals and full-width dots of another script make no other name). One of
     *    ASCII is given back as it stands, unchecked. For all that compares or looks up a name
     *    that a stranger wrote (RFC 8616). out lives as long as the call. POSTERN_INVALID: IDNA
     *    has no such name; POSTERN_LIMIT: no memory. */
    int (*domain_ascii)(struct postern_call *c, struct postern_str domain, struct postern_str *out);

    /* -- the network of so many bits that the client lies in, as a key for what counts as one:
     *    "192.0.2.0/24", "2001:db8::/64". bits4: up to 32, of an IPv4 client; bits6: up to 128.
     *    out lives as long as the call. POSTERN_INVALID: more bits; POSTERN_LIMIT: no memory. */
    int (*client_network)(struct postern_call *c, uint32_t bits4, uint32_t bits6,
                          struct postern_str *out);

    /* -- any field's value as header_text gives those of the message: folds removed, blanks
     *    trimmed, encoded words decoded to UTF-8. For what a plugin has out of a part's own
     *    header. Of what would be over 256 KB the first so many. out lives as header_text's
     *    does. POSTERN_LIMIT: no memory. */
    int (*words_text)(struct postern_call *c, struct postern_str value, struct postern_str *out);
};

#ifdef __cplusplus
/* The one symbol of a plugin: without this, a const object is its file's own in C++. */
extern POSTERN_EXPORT const struct postern_plugin postern_plugin;
}
#endif

#endif
