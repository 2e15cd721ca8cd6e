#include "imap_capability.h"

#define BEFORE PN_IMAP_BEFORE_LOGIN
#define AFTER  PN_IMAP_AFTER_LOGIN
#define BOTH   (PN_IMAP_BEFORE_LOGIN | PN_IMAP_AFTER_LOGIN)

/* LITERAL- before login and LITERAL+ after it (RFC 7888, section 5: never both): who has not said
 * who he is may not send us as much as he likes unasked. */
static const struct pn_imap_capability table[] = {
    {"IMAP4rev1", BOTH, true},
    {"IMAP4rev2", BOTH, true},
    {"SASL-IR", BEFORE, true},
    {"LITERAL-", BEFORE, true},
    {"LITERAL+", AFTER, true},
    {"ID", BOTH, true},
    {"ENABLE", BOTH, true},
    {"IDLE", AFTER, true},
    {"NAMESPACE", AFTER, true},
    {"CHILDREN", AFTER, true},
    {"UIDPLUS", AFTER, true},
    {"UNSELECT", AFTER, true},
    {"MOVE", AFTER, true},
    {"ESEARCH", AFTER, true},
    {"SEARCHRES", AFTER, true},
    {"LIST-EXTENDED", AFTER, true},
    {"LIST-STATUS", AFTER, true},
    {"SPECIAL-USE", AFTER, true},
    {"CREATE-SPECIAL-USE", AFTER, true},
    {"STATUS=SIZE", AFTER, true},
    {"BINARY", AFTER, true},
    {"APPENDLIMIT=", AFTER, true},
    {"MULTIAPPEND", AFTER, true},
    {"CONDSTORE", AFTER, true},
    {"QRESYNC", AFTER, true},
    {"UTF8=ACCEPT", AFTER, true},
    {"QUOTA", AFTER, true},
    {"QUOTA=RES-STORAGE", AFTER, true},
    {"QUOTA=RES-MESSAGE", AFTER, true},
    {"SORT", AFTER, true},
    {"SORT=DISPLAY", AFTER, true},
    {"THREAD=ORDEREDSUBJECT", AFTER, true},
    {"THREAD=REFERENCES", AFTER, true},
    {"WITHIN", AFTER, true},
    {"COMPRESS=DEFLATE", AFTER, true},
    {NULL, 0, false},
};

const struct pn_imap_capability *pn_imap_capability_table(void)
{
    return table;
}

bool pn_imap_capability_is(const char *word, enum pn_imap_when when)
{
    for (const struct pn_imap_capability *c = table; c->word != NULL; c++)
        if (strcmp(c->word, word) == 0)
            return c->announced && (c->when & when) != 0;
    return false;
}

static void print(struct pn_buf *out, enum pn_imap_when when)
{
    const char *between = "";
    for (const struct pn_imap_capability *c = table; c->word != NULL; c++) {
        if (!c->announced || (c->when & when) == 0)
            continue;
        (void)pn_buf_addf(out, "%s%s", between, c->word);
        if (strcmp(c->word, "APPENDLIMIT=") == 0)
            (void)pn_buf_addf(out, "%d", (int)PN_IMAP_APPEND_MAX);
        between = " ";
    }
}

void pn_imap_capability_before(struct pn_buf *out, const struct pn_imap_offer *offer)
{
    print(out, PN_IMAP_BEFORE_LOGIN);
    if (offer->starttls)
        (void)pn_buf_addz(out, " STARTTLS");
    if (!offer->login)
        (void)pn_buf_addz(out, " LOGINDISABLED");
    for (struct pn_str auth = offer->auth; auth.p != NULL;) {
        struct pn_str word = pn_str_split(&auth, ' ');
        if (word.len > 0)
            (void)pn_buf_addf(out, " AUTH=%.*s", PN_FMT(word));
    }
}

void pn_imap_capability_after(struct pn_buf *out)
{
    print(out, PN_IMAP_AFTER_LOGIN);
}
