/*
 * Reading the settings of a plugin, straight from the compiled policy: the functions
 * that the host table of <postern/plugin.h> points to (set_str and so on); they
 * allocate nothing, and may be called from any thread.
 *
 * An untitled block that the configuration does not name, and none of whose rows is
 * required, is there with its rows' defaults. Views live as long as the pn_policy.
 */
#ifndef PN_BLOCK_H
#define PN_BLOCK_H

#include <postern/plugin.h>

/* POSTERN_OK; POSTERN_NONE: no value there; POSTERN_INVALID: no row of that name, or
 * one of another type. */
int pn_block_str(const struct postern_block *b, const char *row, size_t n, struct postern_str *out);
int pn_block_int(const struct postern_block *b, const char *row, size_t n, int64_t *out);
int pn_block_bool(const struct postern_block *b, const char *row, int *out);
int pn_block_net(const struct postern_block *b, const char *row, size_t n, unsigned char ip[16],
                 unsigned *bits);
/* POSTERN_OK: ip is in one of the row's networks; POSTERN_NONE: in none. */
int pn_block_has_ip(const struct postern_block *b, const char *row, const unsigned char ip[16]);
int pn_block_block(const struct postern_block *b, const char *row, size_t n,
                   const struct postern_block **out);
size_t pn_block_count(const struct postern_block *b, const char *row);
struct postern_str pn_block_title(const struct postern_block *b);
struct postern_str pn_block_where(const struct postern_block *b, const char *row, size_t n);

/* Each file and folder that it and the blocks in it name. */
void pn_block_paths(const struct postern_block *b, void (*fn)(void *ctx, struct postern_str path),
                    void *ctx);

#endif
