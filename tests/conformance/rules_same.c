/*
 * rules_same FOLDER FILE...
 *
 * Runs the rules of a folder over messages in both ways (see rules_both.h), and names each
 * message of which they state something else, sub-rules included. The last line says how many
 * messages are alike.
 */
#include "rules_both.h"
#include "rules_folder.h"

#include <stdio.h>

/* Their names are kept by the set. */
static bool read_rules(void *arg, struct pn_str text)
{
    rules_both_read(arg, "file", text);
    return true;
}

static bool read_folder(struct rules_both *b, const char *folder)
{
    bool good = rules_folder_each(folder, read_rules, b);

    rules_both_state_all(b);
    return good;
}

int main(int argc, char **argv)
{
    struct rules_both *b = rules_both_new();
    int alike = 0;

    if (argc < 3 || !read_folder(b, argv[1]) || !rules_both_finish(b)) {
        fputs("usage: rules_same FOLDER FILE...\n", stderr);
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        struct pn_buf file;
        struct pn_str text = rules_folder_file(&file, argv[i]);
        struct pn_str searched, plain;

        if (pn_str_starts(text, PN_STR("From ")))
            text = pn_str_slice(text, pn_str_find(text, '\n', 0) + 1, text.len);
        rules_both_run(b, text, &searched, &plain);
        if (pn_str_eq(searched, plain))
            alike++;
        else
            printf("%s\n  searched: %.*s\n  plain:    %.*s\n", argv[i], PN_FMT(searched),
                   PN_FMT(plain));
        pn_buf_fini(&file);
    }
    printf("%d of %d messages alike\n", alike, argc - 2);
    rules_both_free(&b);
    return alike == argc - 2 ? 0 : 1;
}
