/* Search keys of a stranger: parsed, and tried on a small mailbox; it must end, within bounds. */
#include "fake_view.h"
#include "search_run.h"
#include "textsearch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No index here: the scan alone. */
struct pn_texts *pn_texts_open(struct pn_user *user, struct pn_view *view)
{
    (void)user;
    (void)view;
    return NULL;
}

static struct pn_view view = {.uidvalidity = 1, .keywords = {"Work"}};

static void fill(void)
{
    static const char *const mails[] = {
        "Subject: Hello\nFrom: a@b.test\nDate: Thu, 1 Jan 1970 00:00:00 +0000\n\nthe text\n",
        "Subject: =?utf-8?q?=C3=9C?=\nTo: x\n\n", "\n", "X-A: b\n\nmail"};
    for (uint32_t i = 0; i < sizeof mails / sizeof *mails; i++)
        fake_view_add(&view, 2 * i + 1, mails[i])->mail.flags.system = i;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_pool *pool = pn_pool_new(512 * 1024);
    struct pn_imap_args args = {.rest = {(const char *)data, size}, .pool = pool};
    struct search_scope scope = {.count = 4, .last_uid = 7, .now = 1000};
    struct search_program program;
    if (view.count == 0)
        fill();
    if (search_parse(&program, &args, (struct pn_str){NULL, 0}, &scope) == SEARCH_OK) {
        struct search_run *run = search_run_new(NULL, &view, &program);
        while (!search_run_step(run, 0))
            ;
        search_run_free(&run);
    }
    search_program_fini(&program);
    pn_pool_free(&pool);
    return 0;
}
