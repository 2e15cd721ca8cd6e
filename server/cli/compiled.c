#include "compiled.h"

#include "cli.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static bool readable(const char *file)
{
    struct stat st;
    return access(file, R_OK) == 0 && stat(file, &st) == 0 && S_ISREG(st.st_mode);
}

void pn_compiled_init(struct pn_compiled *c, const char *file, const char *root)
{
    char folder[PATH_MAX];
    *c = (struct pn_compiled){.pool = pn_pool_new(PN_COMPILE_POOL_MAX)};
    pn_problems_init(&c->problems, c->pool);
    pn_buf_init(&c->image, PN_IMAGE_MAX);
    c->plugins.trial = true;
    const struct pn_compile how = {
        .file = pn_str_of(file),
        .root = pn_str_of(root == NULL ? "" : root),
        .plugin_folder = pn_str_of(pn_plugin_folder(folder, sizeof folder)),
        .find_plugin = pn_find_plugin,
        .ctx = &c->plugins,
    };
    c->unreachable = !readable(file);
    if (!pn_compile_run(&how, c->pool, &c->problems, &c->image))
        return;
    struct pn_buf err;
    pn_buf_init(&err, 1000);
    c->policy = pn_policy_of(pn_buf_str(&c->image), &err);
    if (c->policy == NULL)
        pn_error_in(&c->problems, how.file, "%s", pn_buf_cstr(&err));
    pn_buf_fini(&err);
}

void pn_compiled_fini(struct pn_compiled *c)
{
    pn_policy_unref(&c->policy);
    pn_found_fini(&c->plugins);
    pn_buf_fini(&c->image);
    pn_pool_free(&c->pool);
}

int pn_compiled_tell(const struct pn_compiled *c)
{
    struct pn_buf out;
    pn_buf_init(&out, SIZE_MAX);
    pn_problems_print(&out, &c->problems, true);
    (void)fwrite(out.p == NULL ? "" : out.p, 1, out.len, stderr);
    pn_buf_fini(&out);
    return c->policy != NULL ? PN_EXIT_DONE : c->unreachable ? PN_EXIT_UNREACHABLE : PN_EXIT_NO;
}
