/*
 * The core's settings, as rows: name, type, default, min, max, help.
 *
 * They are the same rows as a plugin's (<postern/plugin.h>), with a few types and
 * flags more. One row feeds the parser, `postern config show` and `postern config
 * rows`, the manual's table. To add a setting, add its row to rows.c: nothing else
 * lists it. Readers name it by its path, "limits.message-size" (policy.h).
 *
 * What can't be said by rows, the statements of a domain ("reject at 15 ..."), has a
 * table of its own: see statements.h.
 */
#ifndef PN_ROWS_H
#define PN_ROWS_H

#include <postern/plugin.h>

/* Types behind POSTERN_T_BLOCK, the core's own. */
enum {
    PN_T_ENDPOINT = POSTERN_T_BLOCK + 1, /* 127.0.0.1:2525, [::1]:2525 */
    PN_T_REPLY, /* "550 5.7.1 Text"; min is the class of the code: 2, 4, 5 */
    PN_T_PATH,  /* a file or folder that need not be there yet; made absolute */
    PN_T_END
};

/* Flags of the core's own. */
enum {
    PN_ROW_BARE = 256,      /* its value stands right behind the block's title, without the name */
    PN_ROW_TITLE_MAY = 512, /* a block whose title may be left out */
    PN_ROW_UNDER_ROOT = 1024, /* a default path: --root DIR goes in front */
    PN_ROW_SAME_TITLE = 2048, /* a block of which several may have the same title */
    PN_ROW_SOON = 4096        /* a path that another program makes: who names one is warned */
};

/* The top level; ends with a NULL name. */
extern const struct postern_row pn_core_rows[];
/* Those of the `auth` block: rows_auth.c. */
extern const struct postern_row pn_auth_rows[];
/* Those of the `submission` block: rows_submission.c. */
extern const struct postern_row pn_submission_rows[];
/* Those of the `mailbox` block at the top: rows_mailbox.c. */
extern const struct postern_row pn_mailbox_rows[];
/* Those of a domain's own; no defaults: what it does not say, the one above says. */
extern const struct postern_row pn_domain_mailbox_rows[];
/* Those of a `destination` block: rows_destination.c. */
extern const struct postern_row pn_destination_rows[];
/* Those of the `forward` block: rows_forward.c. */
extern const struct postern_row pn_forward_rows[];
/* Those of a `sign` block: rows_sign.c. */
extern const struct postern_row pn_sign_rows[];
/* What every plugin's block takes beside the plugin's own rows. */
extern const struct postern_row pn_plugin_host_rows[];

/* "duration", "list of networks"; for the manual and for errors. */
const char *pn_row_type_name(const struct postern_row *row);
/* The row of that name in a table that ends with NULL, or NULL. */
const struct postern_row *pn_row_find(const struct postern_row *rows, const char *name, size_t len);

#endif
