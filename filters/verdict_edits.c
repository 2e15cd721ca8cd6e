/* What becomes of the edits that plugins proposed. */
#include "verdict.h"

#include "edit.h"
#include "memfile.h"

#include <openssl/evp.h>

/* By op: its word in the event, and what must be granted. */
static const struct {
    const char *name;
    unsigned grant;
    const char *ungranted;
} ops[PN_FACT_EDIT_OPS] = {
    [PN_FACT_ADD_HEADER] = {"add-header", PN_EDITS_HEADERS, "not granted: edits headers"},
    [PN_FACT_REMOVE_HEADER] = {"remove-header", PN_EDITS_HEADERS, "not granted: edits headers"},
    [PN_FACT_INSERT_HEADER] = {"insert-header", PN_EDITS_HEADERS, "not granted: edits headers"},
    [PN_FACT_CHANGE_HEADER] = {"change-header", PN_EDITS_HEADERS, "not granted: edits headers"},
    [PN_FACT_REPLACE_BODY] = {"replace-body", PN_EDITS_BODY, "not granted: edits body"},
    [PN_FACT_CHANGE_FROM] = {"change-from", PN_EDITS_SENDER, "not granted: edits sender"},
    [PN_FACT_ADD_RCPT] = {"add-recipient", PN_EDITS_RECIPIENTS, "not granted: edits recipients"},
    [PN_FACT_REMOVE_RCPT] = {"remove-recipient", PN_EDITS_RECIPIENTS,
                             "not granted: edits recipients"},
};

bool pn_verdict_edit_op(struct pn_str name, enum pn_fact_edit_op *op)
{
    for (size_t i = 0; i < PN_FACT_EDIT_OPS; i++)
        if (pn_str_eq(name, pn_str_of(ops[i].name))) {
            *op = (enum pn_fact_edit_op)i;
            return true;
        }
    return false;
}

static int plugin_of(const struct pn_policy *policy, struct pn_str name)
{
    size_t count = pn_policy_plugin_count(policy);
    for (size_t i = 0; i < count; i++)
        if (pn_str_eq(pn_plugin_name(pn_policy_plugin(policy, i)), name))
            return (int)i;
    return -1;
}

static struct pn_str pooled(struct pn_pool *pool, struct pn_buf *b)
{
    struct pn_str text = pn_pool_dup(pool, pn_buf_str(b));
    pn_buf_fini(b);
    return text.p == NULL ? PN_STR("") : text;
}

static struct pn_str bytes_text(struct pn_pool *pool, uint32_t bytes)
{
    struct pn_buf b;
    pn_buf_init(&b, 40);
    if (bytes != PN_FACT_BODY_BROKEN)
        (void)pn_buf_addf(&b, "%u bytes", bytes);
    return pooled(pool, &b);
}

/* The worker may be anybody by now: a line is looked at as one of a stranger. What was decided
 * is said by the core alone, whoever reads the mail shall be able to go by that. */
static void check_line(struct pn_verdict_edit *e)
{
    enum pn_edit_status status = pn_edit_check(e->edit->name, e->edit->value, true);
    if (status != PN_EDIT_OK)
        e->refused = pn_str_of(pn_edit_status_text(status));
    else if (pn_str_istarts(e->edit->name, PN_STR("X-Postern-")))
        e->refused = PN_STR("a line of this server's own");
}

bool pn_verdict_edits(struct pn_verdict *v, struct pn_pool *pool)
{
    const struct pn_facts *f = v->facts;
    v->edits = pn_pool_alloc(pool, f->edit_count * sizeof *v->edits);
    v->edit_count = v->edits == NULL ? 0 : f->edit_count;
    for (size_t i = 0; i < v->edit_count; i++) {
        const struct pn_fact_edit *e = &f->edits[i];
        struct pn_verdict_edit *out = &v->edits[i];
        *out = (struct pn_verdict_edit){.edit = e, .plugin = plugin_of(v->policy, e->plugin)};
        out->value = e->op == PN_FACT_REPLACE_BODY ? bytes_text(pool, e->index) : e->value;
        unsigned granted =
            out->plugin < 0 ? 0 : pn_plugin_edits(pn_policy_plugin(v->policy, (size_t)out->plugin));
        if ((granted & ops[e->op].grant) == 0)
            out->refused = pn_str_of(ops[e->op].ungranted);
        else if (ops[e->op].grant == PN_EDITS_HEADERS)
            check_line(out);
    }
    return v->edits != NULL;
}

bool pn_verdict_edit_counts(const struct pn_verdict *v, size_t edit, const struct pn_domain *domain)
{
    const struct pn_verdict_edit *e = &v->edits[edit];
    return e->refused.len == 0 && pn_domain_wants_plugin(v->policy, domain, (size_t)e->plugin);
}

/* ---- a new body */

/* What is wrong with it as the end of a message; NULL: nothing. */
static const char *look_at(struct pn_str body, bool *eight)
{
    *eight = false;
    for (size_t i = 0; i < body.len; i++) {
        char c = body.p[i];
        *eight = *eight || ((unsigned char)c & 0x80) != 0;
        if (c == '\0')
            return "the new body has a NUL";
        if (c == '\n' && (i == 0 || body.p[i - 1] != '\r'))
            return "the new body has a bare LF";
        if (c == '\r' && (i + 1 == body.len || body.p[i + 1] != '\n'))
            return "the new body has a bare CR";
    }
    return NULL;
}

/* "12 bytes, sha256 9f86d0..." */
static struct pn_str digest_text(struct pn_pool *pool, struct pn_str body)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    struct pn_buf b;
    pn_buf_init(&b, 200);
    (void)pn_buf_addf(&b, "%zu bytes", body.len);
    if (EVP_Digest(body.p, body.len, digest, &len, EVP_sha256(), NULL) == 1)
        (void)pn_buf_addz(&b, ", sha256 ");
    for (unsigned i = 0; i < len; i++)
        (void)pn_buf_addf(&b, "%02x", digest[i]);
    return pooled(pool, &b);
}

static bool open_body(int fd, struct pn_verdict_edit *e, struct pn_pool *pool,
                      struct pn_new_body *out)
{
    if (pn_map_fd(fd, true, &out->bytes) != 0) {
        e->refused = PN_STR("the new body can't be read");
        return false;
    }
    const char *wrong = out->bytes.len != e->edit->index ? "the new body is not what was said of it"
                                                         : look_at(out->bytes, &out->eight);
    if (wrong != NULL) {
        e->refused = pn_str_of(wrong);
        pn_unmap(&out->bytes);
        return false;
    }
    e->value = digest_text(pool, out->bytes);
    return true;
}

enum pn_new_body_end pn_verdict_body(struct pn_verdict *v, int fd, size_t which,
                                     struct pn_pool *pool, struct pn_new_body *out)
{
    struct pn_verdict_edit *last = NULL;
    *out = (struct pn_new_body){.bytes = PN_STR("")};
    for (size_t i = 0; i < v->edit_count; i++) {
        struct pn_verdict_edit *e = &v->edits[i];
        if (e->edit->op != PN_FACT_REPLACE_BODY || e->refused.len != 0)
            continue;
        if (last != NULL)
            last->refused = PN_STR("another one came later");
        last = e;
    }
    if (last == NULL)
        return PN_BODY_STAYS;
    if (last->edit->index == PN_FACT_BODY_BROKEN) {
        last->refused = PN_STR("the new body is more than a message may have");
        return PN_BODY_BROKEN;
    }
    if (fd < 0 || (size_t)(last - v->edits) != which) {
        last->refused = PN_STR("the new body did not come");
        return PN_BODY_BROKEN;
    }
    return open_body(fd, last, pool, out) ? PN_BODY_NEW : PN_BODY_BROKEN;
}

/* ---- JSON */

static bool has_index(enum pn_fact_edit_op op)
{
    return op == PN_FACT_REMOVE_HEADER || op == PN_FACT_INSERT_HEADER ||
           op == PN_FACT_CHANGE_HEADER;
}

static void edit_json(struct pn_json *j, const struct pn_verdict_edit *e)
{
    pn_json_object(j, NULL);
    pn_json_str(j, "op", pn_str_of(ops[e->edit->op].name));
    pn_json_str(j, "name", e->edit->name);
    if (e->edit->op != PN_FACT_REMOVE_HEADER)
        pn_json_str(j, "value", e->value);
    if (has_index(e->edit->op))
        pn_json_i64(j, "index", e->edit->index);
    pn_json_str(j, "plugin", e->edit->plugin);
    if (e->refused.len != 0)
        pn_json_str(j, "because", e->refused);
    pn_json_object_end(j);
}

static void array(struct pn_json *j, const char *name, const struct pn_verdict *v, bool refused)
{
    pn_json_array(j, name);
    for (size_t i = 0; i < v->edit_count; i++)
        if ((v->edits[i].refused.len != 0) == refused)
            edit_json(j, &v->edits[i]);
    pn_json_array_end(j);
}

void pn_verdict_edits_json(struct pn_json *j, const struct pn_verdict *v)
{
    size_t refused = 0;
    for (size_t i = 0; i < v->edit_count; i++)
        refused += v->edits[i].refused.len != 0;
    array(j, "edits", v, false);
    if (refused != 0)
        array(j, "edits_refused", v, true);
}
