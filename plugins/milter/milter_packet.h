/*
 * Packets of the milter protocol, version 6, as the server that asks (the MTA) writes and
 * reads them: four bytes of length (big endian), one of command, and its data.
 *
 * Writing goes to a struct milter_out, which gathers packets until somebody waits for an
 * answer. Reading takes whole packets off a struct milter_in, however they were split on the
 * way. Both own their memory; a packet that was read is borrowed until the next one is taken.
 */
#ifndef MILTER_PACKET_H
#define MILTER_PACKET_H

#include <postern/plugin.h>

#include <stdbool.h>

enum { MILTER_VERSION = 6, MILTER_VERSION_MIN = 2, MILTER_STAGES = 7 };

/* Bytes of data in one packet. */
enum {
    MILTER_DATA = 65535,
    MILTER_DATA_256K = 256 * 1024 - 1,
    MILTER_DATA_1M = 1024 * 1024 - 1,
};

/* What we say. */
enum {
    MILTER_ABORT = 'A',
    MILTER_BODY = 'B',
    MILTER_CONNECT = 'C',
    MILTER_MACRO = 'D',
    MILTER_END = 'E', /* of the body, and of the message */
    MILTER_HELO = 'H',
    MILTER_QUIT_NEXT = 'K', /* another session follows over this connection */
    MILTER_HEADER = 'L',
    MILTER_MAIL = 'M',
    MILTER_END_HEADERS = 'N',
    MILTER_OPTIONS = 'O',
    MILTER_QUIT = 'Q',
    MILTER_RCPT = 'R',
    MILTER_DATA_BEGINS = 'T',
    MILTER_UNKNOWN = 'U'
};

/* What is answered. */
enum {
    MILTER_ADD_RCPT = '+',
    MILTER_REMOVE_RCPT = '-',
    MILTER_ADD_RCPT_ARGS = '2',
    MILTER_SHUTDOWN = '4',
    MILTER_ACCEPT = 'a',
    MILTER_REPLACE_BODY = 'b',
    MILTER_CONTINUE = 'c',
    MILTER_DISCARD = 'd',
    MILTER_CHANGE_FROM = 'e',
    MILTER_FAIL_CONNECTION = 'f',
    MILTER_ADD_HEADER = 'h',
    MILTER_INSERT_HEADER = 'i',
    MILTER_CHANGE_HEADER = 'm',
    MILTER_PROGRESS = 'p',
    MILTER_QUARANTINE = 'q',
    MILTER_REJECT = 'r',
    MILTER_SKIP = 's',
    MILTER_TEMPFAIL = 't',
    MILTER_REPLY_CODE = 'y'
};

/* Actions (SMFIF_). */
enum {
    MILTER_MAY_ADD_HEADERS = 0x1,
    MILTER_MAY_CHANGE_BODY = 0x2,
    MILTER_MAY_ADD_RCPT = 0x4,
    MILTER_MAY_REMOVE_RCPT = 0x8,
    MILTER_MAY_CHANGE_HEADERS = 0x10,
    MILTER_MAY_QUARANTINE = 0x20,
    MILTER_MAY_CHANGE_FROM = 0x40,
    MILTER_MAY_ADD_RCPT_ARGS = 0x80,
    MILTER_MAY_NAME_MACROS = 0x100
};

/* Steps of the protocol (SMFIP_): which are left out, and which are not answered. */
enum {
    MILTER_NO_CONNECT = 0x1,
    MILTER_NO_HELO = 0x2,
    MILTER_NO_MAIL = 0x4,
    MILTER_NO_RCPT = 0x8,
    MILTER_NO_BODY = 0x10,
    MILTER_NO_HEADERS = 0x20,
    MILTER_NO_END_HEADERS = 0x40,
    MILTER_MUTE_HEADER = 0x80,
    MILTER_NO_UNKNOWN = 0x100,
    MILTER_NO_DATA = 0x200,
    MILTER_MAY_SKIP = 0x400,
    MILTER_WANTS_REJECTED = 0x800, /* recipients that were rejected before */
    MILTER_MUTE_CONNECT = 0x1000,
    MILTER_MUTE_HELO = 0x2000,
    MILTER_MUTE_MAIL = 0x4000,
    MILTER_MUTE_RCPT = 0x8000,
    MILTER_MUTE_DATA = 0x10000,
    MILTER_MUTE_UNKNOWN = 0x20000,
    MILTER_MUTE_END_HEADERS = 0x40000,
    MILTER_MUTE_BODY = 0x80000,
    MILTER_LEADING_SPACE = 0x100000, /* of a header's value is sent, and meant */
    MILTER_256K = 0x10000000,
    MILTER_1M = 0x20000000
};
enum {
    MILTER_STEPS = 0x1fffff, /* all of them but the sizes */
    MILTER_SIZES = MILTER_256K | MILTER_1M
};

/* Stages of macros (SMFIM_), by their numbers on the wire. */
enum milter_stage {
    MILTER_AT_CONNECT,
    MILTER_AT_HELO,
    MILTER_AT_MAIL,
    MILTER_AT_RCPT,
    MILTER_AT_DATA,
    MILTER_AT_END,
    MILTER_AT_END_HEADERS
};

/* ---- writing */

struct milter_out {
    char *p;
    size_t len, cap;
    bool failed; /* there was no memory; nothing more is taken */
};

void milter_out_free(struct milter_out *out);
/* A packet begins, what is put follows, and it ends: `at` is what begin gave. */
size_t milter_begin(struct milter_out *out, char command);
void milter_put_byte(struct milter_out *out, char byte);
void milter_put_u16(struct milter_out *out, uint16_t n);
void milter_put_u32(struct milter_out *out, uint32_t n);
void milter_put_bytes(struct milter_out *out, struct postern_str s);
/* And a NUL behind it; a NUL in it ends it. */
void milter_put_text(struct milter_out *out, struct postern_str s);
/* The same with every CRLF as LF: how MTAs hand out folded fields. */
void milter_put_lines(struct milter_out *out, struct postern_str s);
void milter_end(struct milter_out *out, size_t at);

/* ---- reading */

struct milter_in {
    char *p;
    size_t len, cap;
    size_t taken; /* of len, by the packet that was read last */
};

struct milter_packet {
    char command;
    struct postern_str data;
};

void milter_in_free(struct milter_in *in);
/* Room for what is read next, where its size goes to *n; NULL: no memory. `in->len` grows by
 * what came. */
char *milter_in_room(struct milter_in *in, size_t *n);

enum milter_took { MILTER_TOOK, MILTER_TOOK_NONE, MILTER_TOOK_BAD };
/* NONE: it is not whole yet. BAD: a length of 0, or more than max bytes of data. */
enum milter_took milter_take(struct milter_in *in, size_t max, struct milter_packet *packet);

/* ---- what an answer says */

/* Bytes of the UTF-8 character in front of s, which is not empty; 0: none. Overlong forms,
 * surrogates and what is beyond U+10FFFF are none. (milter_field.c) */
size_t milter_character(const char *s, size_t n);

struct milter_reply {
    char kind;
    uint32_t index;       /* of a header */
    struct postern_str a; /* name; address; text; bytes of a body */
    struct postern_str b; /* value; arguments of an address */
};

/* False: not an answer that we know, or not of its form. Views into the packet. */
bool milter_reply_read(const struct milter_packet *packet, struct milter_reply *reply);
/* The word for it in sentences: "add-header"; "?" for what is no answer. */
const char *milter_reply_word(char kind);

struct milter_options {
    uint32_t version, actions, steps;
    uint32_t named;                           /* bit: this stage's macros are named */
    struct postern_str macros[MILTER_STAGES]; /* "j {client_addr}" */
};

void milter_put_options(struct milter_out *out, const struct milter_options *options);
/* False: malformed, or a version that we don't speak. */
bool milter_options_read(const struct milter_packet *packet, struct milter_options *options);

/*
 * The text of a MILTER_REPLY_CODE as one line of a reply: "550 5.7.1 Text". Several lines
 * become one, bytes that are not printable ASCII '?'. A 421 is given as 451, for we do not end
 * the session. False: no code of class 4 or 5 stands there. room: MILTER_REPLY_MAX bytes.
 */
enum { MILTER_REPLY_MAX = 180 };
bool milter_reply_line(struct postern_str text, char *room, struct postern_str *line);

#endif
