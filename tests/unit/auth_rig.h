/* A file of users for tests of logins, and clients that log in, by libgsasl's other half. */
#ifndef AUTH_RIG_H
#define AUTH_RIG_H

#include "auth_users.h"
#include "sasl.h"

/* ann@here.test has both verifiers of "s3cret pass", senders=@here.test,info@other.test;
 * bob@here.test, of "bob's own", has no SCRAM. Appends the file's text. */
void auth_rig_users(struct pn_buf *text);
/* A memory file of this text; the caller closes it. */
int auth_rig_file(struct pn_str text);

struct auth_client;
/* exporter: NULL, or 32 bytes. */
struct auth_client *auth_client_new(enum pn_sasl_mechanism mechanism, const char *user,
                                    const char *password, const char *exporter);
void auth_client_authzid(struct auth_client *client, const char *authzid);
void auth_client_free(struct auth_client **client);
/* What it says to this; false: the server did wrong. out is replaced. */
bool auth_client_step(struct auth_client *client, struct pn_str said, struct pn_buf *out);

#endif
