/* The rows of a `sign` block, and what has to hold of its names. */
#include "model.h"

#include "alabel.h"
#include "rows.h"

static const struct postern_row key_rows[] = {
    {.name = "file",
     .type = POSTERN_T_FILE,
     .help = "PEM file: the private key; only the supervisor reads it. Without this row the one "
             "that `postern dkim new` made for this selector and domain."},
    {.name = NULL},
};

const struct postern_row pn_sign_rows[] = {
    {.name = "key",
     .type = POSTERN_T_BLOCK,
     .flags = POSTERN_ROW_REPEAT | POSTERN_ROW_TITLED | POSTERN_ROW_REQUIRED,
     .title_type = POSTERN_T_STRING,
     .rows = key_rows,
     .help = "A key by its selector, `key \"s1\" file \"s1.pem\"`; each makes a signature of its "
             "own: RSA for all verifiers, Ed25519 beside it for those that know it."},
    {.name = "clients",
     .type = POSTERN_T_NETWORK,
     .flags = POSTERN_ROW_LIST,
     .help = "Mail that comes from here is the domain's own, and is signed, as is what users "
             "submit: servers that send without logging in."},
    {.name = NULL},
};

/* Labels of letters, digits and hyphens: what a signature's tags and the DNS have. */
static bool name_ok(struct pn_str s)
{
    size_t label = 0;
    bool ok = s.len > 0 && s.len <= 253;
    for (size_t i = 0; i < s.len; i++) {
        ok = ok && (pn_is_alpha(s.p[i]) || pn_is_digit(s.p[i]) || s.p[i] == '-' ||
                    (s.p[i] == '.' && label != 0));
        label = s.p[i] == '.' ? 0 : label + 1;
    }
    return ok && label != 0;
}

static void check_keys(struct model *m, const struct pn_tree_block *block)
{
    struct pn_intern seen;
    pn_intern_init(&seen);
    for (struct pn_tree_value *v = pn_tree_value(block, "key"); v != NULL; v = v->next) {
        struct pn_tree_block *key = v->block;
        bool is_new = true;
        if (name_ok(key->title)) {
            key->title = model_lower(m->p.pool, key->title);
            (void)pn_intern_add(&seen, key->title, &is_new);
        } else {
            pn_error_at(m->p.problems, key->title_at,
                        "'%.*s' is no selector, expected letters, digits and hyphens such as "
                        "\"rsa20261122\"",
                        PN_FMT(key->title));
        }
        if (!is_new)
            pn_error_at(m->p.problems, key->title_at, "key '%.*s' is there twice",
                        PN_FMT(key->title));
    }
    pn_intern_fini(&seen);
}

static bool settle_title(struct model *m, struct pn_tree_block *block)
{
    struct pn_alabel room;
    struct pn_str name = pn_alabel_domain(block->title, &room);
    if (name.p != NULL && name_ok(name)) {
        block->title = model_lower(m->p.pool, name);
        return true;
    }
    pn_error_at(m->p.problems, block->title_at,
                "'%.*s' is no domain to sign for, expected a name such as \"example.org\", which "
                "stands for those below it too",
                PN_FMT(block->title));
    return false;
}

void model_signs(struct model *m)
{
    struct pn_intern seen;
    pn_intern_init(&seen);
    for (const struct pn_tree_value *v = pn_tree_value(m->core, "sign"); v != NULL; v = v->next) {
        bool is_new = true;
        if (settle_title(m, v->block))
            (void)pn_intern_add(&seen, v->block->title, &is_new);
        if (!is_new)
            pn_error_at(m->p.problems, v->block->title_at, "sign '%.*s' is there twice",
                        PN_FMT(v->block->title));
        check_keys(m, v->block);
    }
    pn_intern_fini(&seen);
}
