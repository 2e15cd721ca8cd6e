#include "sign.h"

#include "alabel.h"
#include "assert.h"
#include "block.h"
#include "image.h"

static const struct postern_block *core(const struct pn_policy *p)
{
    const char *base = img_policy_base(p);
    return img_at(base, img_header(base)->core);
}

static const struct postern_block *block(const struct postern_block *outer, const char *row,
                                         size_t n)
{
    const struct postern_block *b = NULL;
    int status = pn_block_block(outer, row, n, &b);
    pn_assert(status == POSTERN_OK);
    return b;
}

static struct pn_str title(const struct postern_block *b)
{
    struct postern_str s = pn_block_title(b);
    return (struct pn_str){s.p, s.len};
}

size_t pn_policy_sign_count(const struct pn_policy *p)
{
    return pn_block_count(core(p), "sign");
}

struct pn_str pn_policy_sign_domain(const struct pn_policy *p, size_t i)
{
    return title(block(core(p), "sign", i));
}

size_t pn_policy_sign_key_count(const struct pn_policy *p, size_t i)
{
    return pn_block_count(block(core(p), "sign", i), "key");
}

void pn_policy_sign_key(const struct pn_policy *p, size_t i, size_t n, struct pn_sign_row *out)
{
    struct postern_str file;
    const struct postern_block *key = block(block(core(p), "sign", i), "key", n);
    *out = (struct pn_sign_row){.selector = title(key), .file = PN_STR("")};
    if (pn_block_str(key, "file", 0, &file) == POSTERN_OK)
        out->file = (struct pn_str){file.p, file.len};
}

static bool find(const struct pn_policy *p, struct pn_str name, size_t *i)
{
    for (*i = 0; *i < pn_policy_sign_count(p); (*i)++)
        if (pn_str_ieq(pn_policy_sign_domain(p, *i), name))
            return true;
    return false;
}

bool pn_policy_sign_find(const struct pn_policy *p, struct pn_str domain, size_t *i)
{
    struct pn_alabel room;
    struct pn_str name =
        pn_policy_sign_count(p) == 0 ? (struct pn_str){NULL, 0} : pn_alabel_domain(domain, &room);
    while (name.p != NULL && name.len != 0) {
        if (find(p, name, i))
            return true;
        (void)pn_str_split(&name, '.');
    }
    return false;
}

bool pn_policy_sign_client(const struct pn_policy *p, size_t i, const struct pn_ip *ip)
{
    return pn_block_has_ip(block(core(p), "sign", i), "clients", ip->b) == POSTERN_OK;
}
