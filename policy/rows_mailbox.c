/* The rows of a `mailbox` block: users who read their mail here. At the top it speaks for all; a
 * domain's own has what may differ between domains. */
#include "model.h"

#include "rows.h"
#include "utf8.h"

#define MB     INT64_C(1048576)
#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)

#define QUOTA_MAX    (INT64_C(1) << 50)
#define MESSAGES_MAX INT64_C(1000000000)
#define FULL_CHOICES "defer|reject"

#define FOLDER(row, default_name, text)                                                            \
    {                                                                                              \
        .name = (row), .type = POSTERN_T_STRING, .def = (default_name), .help = (text)             \
    }

static const char drafts_help[] = "What is not sent yet.";
static const char sent_help[] = "Copies of what was sent.";
static const char junk_help[] =
    "Where policy puts what it takes for junk; who renamed his has it there.";
static const char trash_help[] = "What was deleted.";
static const char archive_help[] = "What is kept.";

static const struct postern_row folder_rows[] = {
    FOLDER("drafts", "Drafts", drafts_help),    FOLDER("sent", "Sent", sent_help),
    FOLDER("junk", "Junk", junk_help),          FOLDER("trash", "Trash", trash_help),
    FOLDER("archive", "Archive", archive_help), {.name = NULL},
};

static const struct postern_row domain_folder_rows[] = {
    FOLDER("drafts", NULL, drafts_help),   FOLDER("sent", NULL, sent_help),
    FOLDER("junk", NULL, junk_help),       FOLDER("trash", NULL, trash_help),
    FOLDER("archive", NULL, archive_help), {.name = NULL},
};

static const char quota_help[] =
    "What a user without a quota of his own may keep; 0: no limit. His domain may say another.";
static const char messages_help[] = "The same, counted in messages; 0: no limit.";
static const char full_help[] =
    "What is said at RCPT of a mailbox that is full: 452 4.2.2, and the sender tries again, or 552 "
    "5.2.2, and its sender is told.";
static const char tag_help[] =
    "Mail to user+folder goes into that user's folder of that name, if there is one without a "
    "special use.";
static const char folders_help[] =
    "Names of the folders with a use, which are made when a user is here first; '/' between "
    "levels.";

const struct postern_row pn_mailbox_rows[] = {
    {.name = "plain-login",
     .type = POSTERN_T_CHOICE,
     .def = "never",
     .choices = "never|loopback",
     .help = "Who may log in without TLS: nobody, or clients of this machine (a webmail)."},
    {.name = "login-time",
     .type = POSTERN_T_DURATION,
     .def = "1m",
     .min = SECOND,
     .max = 30 * MINUTE,
     .help = "From connecting to a login; then a client is told to go."},
    {.name = "sessions",
     .type = POSTERN_T_INT,
     .def = "20000",
     .min = 1,
     .max = 1000000,
     .help = "Sessions of one of the processes that keep mailboxes, at once."},
    {.name = "sessions-per-user",
     .type = POSTERN_T_INT,
     .def = "50",
     .min = 1,
     .max = 100000,
     .help = "Sessions of one user at once; mail programs open some each."},
    {.name = "threads",
     .type = POSTERN_T_INT,
     .def = "16",
     .min = 4,
     .max = 256,
     .help = "Commands that are worked on at once by each of these processes; one user has a "
             "quarter of them at most, and a quarter is for commands that begin. Those that take "
             "long may have as many again."},
    {.name = "quota", .type = POSTERN_T_SIZE, .def = "0", .max = QUOTA_MAX, .help = quota_help},
    {.name = "quota-messages",
     .type = POSTERN_T_INT,
     .def = "0",
     .max = MESSAGES_MAX,
     .help = messages_help},
    {.name = "over-quota",
     .type = POSTERN_T_CHOICE,
     .def = "defer",
     .choices = FULL_CHOICES,
     .help = full_help},
    {.name = "tag-folders", .type = POSTERN_T_BOOL, .def = "no", .help = tag_help},
    {.name = "folders", .type = POSTERN_T_BLOCK, .rows = folder_rows, .help = folders_help},
    {.name = NULL},
};

const struct postern_row pn_domain_mailbox_rows[] = {
    {.name = "quota", .type = POSTERN_T_SIZE, .max = QUOTA_MAX, .help = quota_help},
    {.name = "quota-messages", .type = POSTERN_T_INT, .max = MESSAGES_MAX, .help = messages_help},
    {.name = "over-quota", .type = POSTERN_T_CHOICE, .choices = FULL_CHOICES, .help = full_help},
    {.name = "tag-folders", .type = POSTERN_T_BOOL, .help = tag_help},
    {.name = "folders", .type = POSTERN_T_BLOCK, .rows = domain_folder_rows, .help = folders_help},
    {.name = NULL},
};

/* ---- a domain's own ---- */

static const struct postern_row domain_rows[] = {
    {.name = "mailbox", .type = POSTERN_T_BLOCK, .rows = pn_domain_mailbox_rows},
    {.name = NULL},
};

void model_parse_mailbox(struct model *m, struct pn_lex *lex, struct model_policy *policy,
                         struct pn_token name)
{
    if (policy->settings == NULL)
        policy->settings = pn_tree_block_new(&m->p, domain_rows, name.at);
    if (policy->settings != NULL)
        (void)pn_tree_statement(&m->p, lex, policy->settings, name);
}

const struct pn_tree_value *model_mailbox(const struct model_policy *policy)
{
    return policy->settings == NULL ? NULL : pn_tree_value(policy->settings, "mailbox");
}

/* ---- names of folders ---- */

enum { NAME_MAX_BYTES = 100, LEVELS_MAX = 8 };

/* As server/store/folder_name.h has them, and neither the INBOX nor what LIST takes for a
 * pattern. */
static bool folder_name_ok(struct pn_str s)
{
    unsigned levels = 0;
    bool ok = s.len <= NAME_MAX_BYTES && pn_utf8_valid(s) && !pn_str_ieq(s, PN_STR("INBOX"));
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool c1 = c == 0xc2 && i + 1 < s.len && (unsigned char)s.p[i + 1] < 0xa0;
        ok = ok && c >= 32 && c != 127 && c != '%' && c != '*' && !c1;
    }
    for (struct pn_str rest = s; ok && rest.p != NULL; levels++)
        ok = pn_str_split(&rest, '/').len != 0 && levels < LEVELS_MAX;
    return ok;
}

static bool is_later(struct pn_place a, struct pn_place b)
{
    return a.source == b.source && (a.line > b.line || (a.line == b.line && a.column > b.column));
}

/* Two uses can't share a folder. here: the block that says it; all: what counts where it says
 * nothing. Of two in one block the later one is told of. */
static void check_distinct(struct model *m, const struct pn_tree_block *here,
                           const struct pn_tree_block *all, const struct pn_tree_value *v,
                           const char *row)
{
    for (const struct postern_row *r = folder_rows; r->name != NULL; r++) {
        const struct pn_tree_value *own = pn_tree_value(here, r->name);
        const struct pn_tree_value *other = own != NULL ? own : pn_tree_value(all, r->name);
        if (other == NULL || other == v || (own != NULL && is_later(own->at, v->at)))
            continue;
        if (pn_str_eq(other->data.text, v->data.text))
            pn_error_at(m->p.problems, v->at,
                        "'%.*s' is the folder of '%s' already, expected another name for '%s'",
                        PN_FMT(v->data.text), r->name, row);
    }
}

static void check_folders(struct model *m, const struct pn_tree_block *here,
                          const struct pn_tree_block *all)
{
    for (const struct postern_row *r = folder_rows; r->name != NULL; r++) {
        const struct pn_tree_value *v = pn_tree_value(here, r->name);
        if (v == NULL || v->at.source == NULL)
            continue;
        if (!folder_name_ok(v->data.text))
            pn_error_at(m->p.problems, v->at,
                        "'%.*s' is no name of a folder, expected one such as \"Junk\" or "
                        "\"Mail/Junk\", at most %d bytes, without * and %%",
                        PN_FMT(v->data.text), (int)NAME_MAX_BYTES);
        else
            check_distinct(m, here, all, v, r->name);
    }
}

static const struct pn_tree_block *folders_of(const struct pn_tree_value *mailbox)
{
    return pn_tree_value(mailbox->block, "folders")->block;
}

/* ---- what fits where ---- */

static void check_domain(struct model *m, const struct model_domain *domain,
                         const struct pn_tree_block *all)
{
    const struct model_policy *own = domain->policy;
    const struct model_policy *route = own->route_at.source != NULL ? own : &m->defaults;
    const struct pn_tree_value *mailbox = model_mailbox(own);
    if (mailbox == NULL)
        return;
    pn_tree_finish(&m->p, own->settings, "domain");
    if (pn_str_eq(domain->name, PN_STR(IMG_SUBMITTED)))
        pn_error_at(m->p.problems, mailbox->at,
                    "'mailbox' does not stand in 'submitted', expected it in a domain or at the "
                    "top");
    else if (route->route_at.source != NULL && route->route != PN_ROUTE_LOCAL)
        pn_warning_at(m->p.problems, mailbox->at,
                      "'mailbox' speaks of nobody's mailbox, since mail of this domain goes to a "
                      "next hop");
    check_folders(m, folders_of(mailbox), all);
}

void model_mailboxes(struct model *m)
{
    const struct pn_tree_block *all = folders_of(pn_tree_value(m->core, "mailbox"));
    const struct pn_tree_value *defaults = model_mailbox(&m->defaults);
    if (defaults != NULL)
        pn_error_at(m->p.problems, defaults->at,
                    "'mailbox' does not stand in 'defaults', expected it at the top, where it "
                    "speaks for every domain");
    check_folders(m, all, all);
    for (size_t i = 0; i < m->domain_count; i++)
        check_domain(m, &m->domains[i], all);
}
