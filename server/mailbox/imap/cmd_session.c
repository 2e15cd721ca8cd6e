/* Commands that are about the session: CAPABILITY, ENABLE, ID, IDLE, NOOP, CHECK, COMPRESS,
 * LOGOUT, and those that came too late: LOGIN, AUTHENTICATE, STARTTLS. */
#include "imap_capability.h"
#include "imap_id.h"
#include "imap_int.h"

enum imap_result imap_capability(struct imap *imap, struct imap_command *command)
{
    (void)imap;
    (void)pn_buf_addz(command->out, "* CAPABILITY ");
    pn_imap_capability_after(command->out);
    (void)pn_buf_addz(command->out, "\r\n");
    return IMAP_DONE;
}

/* What there is to tell, the engine tells in front of the OK. */
enum imap_result imap_noop(struct imap *imap, struct imap_command *command)
{
    (void)imap;
    (void)command;
    return IMAP_DONE;
}

enum imap_result imap_check(struct imap *imap, struct imap_command *command)
{
    return imap_noop(imap, command);
}

enum imap_result imap_id(struct imap *imap, struct imap_command *command)
{
    (void)imap;
    if (!pn_imap_id_args(&command->args) || !pn_imap_end(&command->args))
        return IMAP_SYNTAX;
    pn_imap_id_put(command->out);
    return IMAP_DONE;
}

enum imap_result imap_login(struct imap *imap, struct imap_command *command)
{
    (void)imap;
    return imap_bad(command, "You are logged in");
}

/* ---- ENABLE (RFC 5161) ---- */

static void enable_rev2(struct imap *imap, struct pn_buf *out)
{
    (void)out;
    imap->rev2 = true;
}

static void enable_utf8(struct imap *imap, struct pn_buf *out)
{
    (void)out;
    imap->utf8 = true;
}

static void enable_qresync(struct imap *imap, struct pn_buf *out)
{
    imap_condstore_on(imap, out);
    imap->qresync = true;
}

static const struct {
    const char *word;
    void (*on)(struct imap *imap, struct pn_buf *out);
} enables[] = {
    {"IMAP4rev2", enable_rev2},
    {"UTF8=ACCEPT", enable_utf8},
    {"CONDSTORE", imap_condstore_on},
    {"QRESYNC", enable_qresync},
};

/* Words that are unknown, or not announced, are passed over. */
enum imap_result imap_enable(struct imap *imap, struct imap_command *command)
{
    struct pn_str word;
    struct pn_buf untagged;
    pn_buf_init(&untagged, 1024);
    (void)pn_buf_addz(command->out, "* ENABLED");
    bool ok;
    do {
        ok = pn_imap_atom(&command->args, &word);
        for (size_t i = 0; ok && i < sizeof enables / sizeof enables[0]; i++)
            if (pn_str_ieq(word, pn_str_of(enables[i].word)) &&
                pn_imap_capability_is(enables[i].word, PN_IMAP_AFTER_LOGIN)) {
                enables[i].on(imap, &untagged);
                (void)pn_buf_addf(command->out, " %s", enables[i].word);
            }
    } while (ok && pn_imap_sp(&command->args));
    (void)pn_buf_addz(command->out, "\r\n");
    (void)pn_buf_adds(command->out, pn_buf_str(&untagged));
    pn_buf_fini(&untagged);
    if (imap->view != NULL) /* too late (RFC 5161, section 3.1), but so it may be */
        pn_view_downgrade(imap->view, !imap_speaks_utf8(imap));
    return ok && pn_imap_end(&command->args) ? IMAP_DONE : IMAP_SYNTAX;
}

/* ---- IDLE (RFC 2177), COMPRESS (RFC 4978), LOGOUT ---- */

enum imap_result imap_idle(struct imap *imap, struct imap_command *command)
{
    /* From here on the store may wake the host; what came before is told now. */
    atomic_store(&imap->idling, true);
    (void)pn_buf_addz(command->out, "+ idling\r\n");
    if (imap->view != NULL)
        (void)imap_updates(imap, command->out, true, false);
    return IMAP_WAIT;
}

enum imap_result imap_compress(struct imap *imap, struct imap_command *command)
{
    if (!pn_imap_word(&command->args, "DEFLATE") || !pn_imap_end(&command->args))
        return IMAP_SYNTAX;
    if (imap->deflate)
        return imap_no(command, "[COMPRESSIONACTIVE] DEFLATE is on");
    imap->deflate = true;
    command->quiet = true; /* updates would be told on the wrong side of the change */
    return imap_ok(command, "DEFLATE is on");
}

enum imap_result imap_logout(struct imap *imap, struct imap_command *command)
{
    (void)pn_buf_addz(command->out, "* BYE Until next time\r\n");
    command->quiet = true;
    imap->over = true;
    return IMAP_DONE;
}
