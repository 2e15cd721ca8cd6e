/* Rules of a table played by the plugin on one message, in a host of the tests'. */
#ifndef RULES_PLAY_H
#define RULES_PLAY_H

struct rules_row {
    const char *label, *rules, *facts;
};

/* What client, DNS and settings there are; NULL: 192.0.2.7, none, the default. */
struct rules_world {
    const char *ip, *dns, *session;
    const char *from; /* the reverse-path */
};

/* The rules are written to a file, and the message is played twice: the second time the plugin
 * has memory of the first. */
void rules_play(const struct rules_row *row, const char *mail, const struct rules_world *world);
/* Once, with a clock that takes a millisecond at each look; what the log must tell. */
void rules_play_slow(const struct rules_row *row, const char *mail, const char *log);
/* A file beside the one that the rules are written to. */
void rules_play_file(const char *name, const char *text);
void rules_play_begin(void);
void rules_play_end(void);

#endif
