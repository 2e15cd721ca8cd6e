#include "rules_folder.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pn_str rules_folder_file(struct pn_buf *b, const char *path)
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

bool rules_folder_each(const char *folder, bool (*read)(void *arg, struct pn_str text), void *arg)
{
    struct dirent **list;
    int count = scandir(folder, &list, is_rules, alphasort);
    bool good = count > 0;

    for (int i = 0; i < count; i++) {
        char path[1024];
        struct pn_buf file;

        (void)snprintf(path, sizeof(path), "%s/%s", folder, list[i]->d_name);
        struct pn_str text = rules_folder_file(&file, path);
        good = good && read(arg, text);
        pn_buf_fini(&file);
        free(list[i]);
    }
    if (count >= 0)
        free(list);
    return good;
}
