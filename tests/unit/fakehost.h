/*
 * A host for one plugin under test: settings from a table, DNS from a DNS FILE
 * (dnsfile.h), a message from bytes, a clock that stands still. What the plugin
 * states is kept, and printed in one form that a table of wants can hold.
 *
 *   static const struct fake_row settings[] = {      (at file scope, else not static)
 *       {"zone", .blocks = (const struct fake_block[]){
 *           {"bl.test", (const struct fake_row[]){{"weight", {"4"}}, {NULL}}}, {NULL}}},
 *       {NULL}};
 *   struct fakehost *h = fakehost_new(&postern_plugin, settings, "7.2.0.192.bl.test A 127.0.0.2");
 *   fakehost_client(h, "192.0.2.7", "friend");
 *   UNIT_INT(fakehost_run(h, POSTERN_CONNECT), POSTERN_OK);
 *   UNIT_STR(fakehost_facts(h), PN_STR("DNSBL_LISTED=4(bl.test)"));
 *   fakehost_free(&h);
 *
 * Everything is owned by the fakehost; what it prints is borrowed until the next call
 * of the same function. A plugin's default rows apply, parsed as an operator's words.
 * A misuse by the plugin (an index beyond its symbols, a row that it has not) is an
 * assertion: in the true host it would be a failed call.
 */
#ifndef FAKEHOST_H
#define FAKEHOST_H

#include "str.h"

#include <postern/plugin.h>

struct fakehost;

struct fake_block;
/* A row that is set: words as an operator writes them, or the blocks of a block row. */
struct fake_row {
    const char *name; /* NULL ends */
    const char *values[20];
    const struct fake_block *blocks;
};
struct fake_block {
    const char *title; /* NULL ends a list of blocks; "" where it has none */
    const struct fake_row *rows;
};

/* Runs prepare and instance_new. settings may be NULL; a mistake in dns is an assertion.
 * Never NULL: see fakehost_setup_error. */
struct fakehost *fakehost_new(const struct postern_plugin *plugin, const struct fake_row *settings,
                              const char *dns);
void fakehost_free(struct fakehost **host);
/* What setup_error and setup_warn were told, a line each ("warn: ..."); empty when it
 * started. Only fakehost_free may follow an instance that did not start. */
struct pn_str fakehost_setup_error(struct fakehost *h);
void *fakehost_instance(struct fakehost *h);
/* What its `info` said, "key: value" a line, as `postern plugin show` asks for it. A key or value
 * that the true host would refuse is an assertion. */
struct pn_str fakehost_info(struct fakehost *h);

/* ---- what the plugin is shown; text is copied ---- */

void fakehost_client(struct fakehost *h, const char *ip, const char *helo);
void fakehost_auth_id(struct fakehost *h, const char *user);
/* TLS, and where the client connected to. */
void fakehost_tls(struct fakehost *h, const char *version, const char *cipher, uint32_t bits);
void fakehost_local(struct fakehost *h, const char *ip, uint16_t port);
/* Of the envelope that is there. */
void fakehost_mail_args(struct fakehost *h, const char *args);
/* One more line with a command that the server does not know; they stay until the session ends. */
void fakehost_unknown(struct fakehost *h, const char *line);
/* POSTERN_EARLY_*; told from its stage on. */
void fakehost_early(struct fakehost *h, uint32_t early);
/* rcpts: addresses parted by blanks. */
void fakehost_envelope(struct fakehost *h, const char *from, const char *rcpts);
/* LF becomes CRLF. */
void fakehost_message(struct fakehost *h, struct pn_str bytes);
void fakehost_time(struct fakehost *h, int64_t now_ms);
/* Other plugins' facts, for seen, seen_auth, note_get. properties: "name=value name=value". */
void fakehost_give_fact(struct fakehost *h, const char *plugin, const char *name,
                        const char *detail, int32_t weight);
void fakehost_give_auth(struct fakehost *h, const char *method, const char *result,
                        const char *properties);
void fakehost_give_note(struct fakehost *h, const char *plugin, const char *key, const char *value);
/* Limits of the true host, to be met on purpose: lookups, bytes of alloc, time left. */
void fakehost_limits(struct fakehost *h, unsigned lookups, size_t bytes, uint32_t left_ms);
/* Each look at what is left takes so many milliseconds of it. */
void fakehost_pace(struct fakehost *h, uint32_t ms);
/* Lasting state, which outlives fakehost_reset: what is there; whether anybody answers. */
void fakehost_state(struct fakehost *h, const char *key, const char *value);
void fakehost_state_away(struct fakehost *h, bool away);
/* The message was decided: what the plugin put is kept if it is for that. Without this,
 * fakehost_reset drops it, and gives back what was taken. */
void fakehost_decided(struct fakehost *h, bool taken);
/* The private folder of the hosts made from now on, for plugins with POSTERN_NEED_TMP;
 * NULL: none. Borrowed. */
void fakehost_tmp(const char *path);

/* ---- running ---- */

/* Runs the stage's prefetch (one that waits or states something is an assertion), makes
 * session and transaction when due, and runs the stage; POSTERN_OK where it has none. */
int fakehost_run(struct fakehost *h, enum postern_stage stage);
/* Runs the tick; what it logs is in fakehost_log. */
int fakehost_tick(struct fakehost *h, uint32_t *next_ms);
/* What the last tick left; given to the stages. Empty: nothing. */
struct pn_str fakehost_standing(struct fakehost *h);
void fakehost_give_standing(struct fakehost *h, const char *value);
/* Other answers from now on. */
void fakehost_dns(struct fakehost *h, const char *dns);
/* Ends the transaction, forgets message, envelope, facts; the client stays. */
void fakehost_reset(struct fakehost *h);
/* And the session: what is run next is in one of its own. */
void fakehost_session_end(struct fakehost *h);

/* ---- what it said, in order ---- */

/* "SPF_FAIL=3(mailfrom a.test) OTHER=-0.5", a recipient's with "@0": NAME=weight(detail)@rcpt;
 * no brackets without a detail. */
struct pn_str fakehost_facts(struct fakehost *h);
/* "spf=pass identity=mailfrom domain=a.test; dkim=..." */
struct pn_str fakehost_auth(struct fakehost *h);
/* "key=value key=value" */
struct pn_str fakehost_notes(struct fakehost *h);
/* "+X-Name: value|-X-Name:0|@1 X-Name: value|=X-Name:0 value|body|from a@b.test|rcpt+a@b.test|
 * rcpt-a@b.test": added, removed, inserted at a position, changed, and so on. */
struct pn_str fakehost_edits(struct fakehost *h);
/* What replace_body was given in this message; empty where nothing. */
struct pn_str fakehost_body(struct fakehost *h);
/* "TXT a.test, A b.test": what was asked, in order, once each; count too. */
struct pn_str fakehost_asked(struct fakehost *h);
size_t fakehost_asked_count(struct fakehost *h);
/* "get K, put K=V 60s taken, take K 2/10 ok": what was done to lasting state in this message. */
struct pn_str fakehost_remembered(struct fakehost *h);
/* Lines of log, "warn: ...". */
struct pn_str fakehost_log(struct fakehost *h);

#endif
