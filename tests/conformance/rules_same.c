/*
 * rules_same FOLDER FILE...
 *
 * Runs the rules of a folder over messages in both ways (see rules_both.h), and names each
 * message of which they state something else, sub-rules included. The last line says how many
 * messages are alike.
 */
#include "rules_both.h"

#include "buf.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static struct pn_str read_file(struct pn_buf *b, const char *path)
{
    FILE *f = fopen(path, "rb");
    char block[65536];
    size_t n;

    pn_buf_init(b, 64 << 20);
    while (f != NULL && (n = fread(block, 1, sizeof(block), f)) > 0)
        (void)pn_buf_add(b, block, n);
    if (f != NULL)
        (void)fclose(f);
    return pn_buf_str(b);
}

static int is_rules(const struct dirent *e)
{
    size_t n = strlen(e->d_name);

    return n > 3 && strcmp(e->d_name + n - 3, ".cf") == 0;
}

/* Their names are kept by the set. */
static bool read_folder(struct rules_both *b, const char *folder)
{
    struct dirent **list;
    int count = scandir(folder, &list, is_rules, alphasort);

    for (int i = 0; i < count; i++) {
        char path[1024];
        struct pn_buf file;

        (void)snprintf(path, sizeof(path), "%s/%s", folder, list[i]->d_name);
        rules_both_read(b, "file", read_file(&file, path));
        pn_buf_fini(&file);
        free(list[i]);
    }
    if (count >= 0)
        free(list);
    rules_both_state_all(b);
    return count > 0;
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
        struct pn_str text = read_file(&file, argv[i]);
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
