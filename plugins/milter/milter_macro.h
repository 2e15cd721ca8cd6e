/*
 * Macros: what a milter is told beside the commands, by names that sendmail's configuration
 * has. Those of a stage are sent before its command. A milter that names macros for a stage
 * gets those, as far as they are known by then; else the stage's usual ones.
 */
#ifndef MILTER_MACRO_H
#define MILTER_MACRO_H

#include "milter_packet.h"

/* What is known; empty: not (yet). Views of the host's, or into the session's memory. */
struct milter_about {
    struct postern_str hostname, daemon, version, client, client_addr, client_name, client_ptr,
        client_port, client_resolve; /* of the session */
    struct postern_str if_name, if_addr, daemon_port, tls_version, cipher, cipher_bits;
    struct postern_str helo, auth_id;
    struct postern_str id, from, mail_args; /* of the message */
    struct postern_str rcpt, rcpt_mailer, rcpt_host;
    struct postern_str rcpt_count, message_id;
    char port_room[8], bits_room[12];
};

/* A bit a macro. */
uint64_t milter_macros_usual(enum milter_stage stage);
/* Of "j {client_addr}, i"; names that we don't know are passed over. */
uint64_t milter_macros_named(struct postern_str names);
/* Packs those that have a value, for the command that follows; nothing for none. */
void milter_put_macros(struct milter_out *out, char command, uint64_t macros,
                       const struct milter_about *about);

#endif
