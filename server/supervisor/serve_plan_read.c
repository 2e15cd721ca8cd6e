#include "serve_plan.h"

#include "destination.h"
#include "policy.h"
#include "sign.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { POOL_BYTES = 8 * 1024 * 1024, WORKERS_MAX_BY_CPU = 4 };

static uint32_t or_by_cpu(int64_t configured, uint32_t by_cpu)
{
    return configured > 0 ? (uint32_t)configured : by_cpu;
}

static bool is_standard(struct pn_str path, const char *standard, const char *root)
{
    struct pn_str r = pn_str_of(root);
    if (r.len != 0 && pn_str_starts(path, r))
        path = pn_str_slice(path, r.len, path.len);
    return pn_str_eq(path, pn_str_of(standard));
}

static const char *below(struct plan *plan, const char *path, const char *name)
{
    struct pn_buf b;
    pn_buf_init(&b, 4096);
    (void)pn_buf_addf(&b, "%s/%s", path, name);
    const char *text = pn_pool_strdup(plan->pool, pn_buf_str(&b));
    pn_buf_fini(&b);
    return text;
}

/* Where a path is, and what --root DIR makes of its default: DIR/mail for
 * /var/mail/postern. One that the operator named stays as it is. */
static const char *placed(struct plan *plan, const struct pn_policy *p, const char *setting,
                          const char *standard, const char *root, const char *name)
{
    struct pn_str path = pn_policy_str(p, setting);
    bool moves = root != NULL && is_standard(path, standard, root);
    return moves ? below(plan, root, name) : pn_pool_strdup(plan->pool, path);
}

static void read_folders(struct plan *plan, const struct pn_policy *p, const char *root)
{
    plan->folders[PN_FOLDER_SPOOL] =
        placed(plan, p, "folders.spool", "/var/spool/postern", root, "spool");
    plan->folders[PN_FOLDER_MAIL] =
        placed(plan, p, "folders.mail", "/var/mail/postern", root, "mail");
    plan->folders[PN_FOLDER_STATE] =
        placed(plan, p, "folders.state", "/var/lib/postern", root, "state");
    plan->folders[PN_FOLDER_PLUGINS] = below(plan, plan->folders[PN_FOLDER_STATE], "state");
    plan->folders[PN_FOLDER_AUTH] = below(plan, plan->folders[PN_FOLDER_STATE], "auth");
    plan->folders[PN_FOLDER_LOG] = placed(plan, p, "folders.log", "/var/log/postern", root, "log");
    plan->run = placed(plan, p, "folders.run", "/run/postern", root, "run");
}

static bool read_listens(struct plan *plan, const struct pn_policy *p)
{
    plan->listen_count = pn_policy_listen_count(p);
    plan->listens = pn_pool_alloc(plan->pool, plan->listen_count * sizeof plan->listens[0] + 1);
    if (plan->listens == NULL)
        return false;
    for (size_t i = 0; i < plan->listen_count; i++) {
        struct pn_listen l;
        pn_policy_listen(p, i, &l);
        plan->listens[i] = (struct plan_listen){.kind = l.kind, .ip = l.ip, .port = l.port};
    }
    return true;
}

static bool read_tls(struct plan *plan, const struct pn_policy *p)
{
    plan->tls_count = pn_policy_tls_count(p);
    plan->tls = pn_pool_alloc(plan->pool, plan->tls_count * sizeof plan->tls[0] + 1);
    for (size_t i = 0; plan->tls != NULL && i < plan->tls_count; i++) {
        struct pn_tls_row row;
        pn_policy_tls(p, i, &row);
        plan->tls[i].name = pn_pool_dup(plan->pool, row.name);
        plan->tls[i].certificate = pn_pool_strdup(plan->pool, row.certificate);
        plan->tls[i].key = pn_pool_strdup(plan->pool, row.key);
        if (plan->tls[i].name.p == NULL || plan->tls[i].certificate == NULL ||
            plan->tls[i].key == NULL)
            return false;
    }
    return plan->tls != NULL;
}

/* Where `postern dkim new` put it. */
static const char *made_key(struct plan *plan, struct pn_str selector, struct pn_str domain)
{
    struct pn_buf b;
    pn_buf_init(&b, 4096);
    (void)pn_buf_addf(&b, "%s/%.*s._domainkey.%.*s.pem", PN_DKIM_FOLDER, PN_FMT(selector),
                      PN_FMT(domain));
    const char *text = pn_pool_strdup(plan->pool, pn_buf_str(&b));
    pn_buf_fini(&b);
    return text;
}

static bool read_sign(struct plan *plan, const struct pn_policy *p, size_t i, size_t n)
{
    struct plan_sign *to = &plan->signs[plan->sign_count++];
    struct pn_sign_row row;
    pn_policy_sign_key(p, i, n, &row);
    to->domain = pn_pool_dup(plan->pool, pn_policy_sign_domain(p, i));
    to->selector = pn_pool_dup(plan->pool, row.selector);
    to->file = row.file.len != 0 ? pn_pool_strdup(plan->pool, row.file)
                                 : made_key(plan, row.selector, to->domain);
    return to->domain.p != NULL && to->selector.p != NULL && to->file != NULL;
}

static bool read_signs(struct plan *plan, const struct pn_policy *p)
{
    size_t blocks = pn_policy_sign_count(p), count = 0;
    for (size_t i = 0; i < blocks; i++)
        count += pn_policy_sign_key_count(p, i);
    plan->signs = pn_pool_alloc(plan->pool, count * sizeof plan->signs[0] + 1);
    bool ok = plan->signs != NULL && count <= PN_SIGN_KEYS_MAX;
    for (size_t i = 0; i < blocks; i++)
        for (size_t n = 0; ok && n < pn_policy_sign_key_count(p, i); n++)
            ok = read_sign(plan, p, i, n);
    return ok;
}

static bool read_passwords(struct plan *plan, const struct pn_policy *p)
{
    size_t count = pn_policy_destination_count(p);
    plan->passwords = pn_pool_alloc(plan->pool, (count + 1) * sizeof plan->passwords[0]);
    for (size_t i = 0; plan->passwords != NULL && i < count; i++) {
        struct pn_destination d;
        struct plan_password *to = &plan->passwords[plan->password_count];
        pn_policy_destination(p, i, &d);
        if (d.password_file.len == 0)
            continue;
        to->destination = pn_pool_dup(plan->pool, d.name);
        to->file = pn_pool_strdup(plan->pool, d.password_file);
        if (to->destination.p == NULL || to->file == NULL)
            return false;
        plan->password_count++;
    }
    return plan->passwords != NULL;
}

static void read_state_server(struct plan *plan, const struct pn_policy *p)
{
    struct plan_server *to = &plan->state_server;
    struct pn_str path = pn_policy_str(p, "state.password-file");
    to->wanted = pn_endpoint_parse(pn_policy_str(p, "state.redis"), &to->ip, &to->port);
    to->password_file = path.len == 0 ? NULL : pn_pool_strdup(plan->pool, path);
}

bool plan_read(struct plan *plan, int policy_fd, const char *root, struct pn_buf *err)
{
    uint32_t cpus = plan_cpus();
    int fd = fcntl(policy_fd, F_DUPFD_CLOEXEC, 0);
    struct pn_policy *p = NULL;
    *plan = (struct plan){.pool = pn_pool_new(POOL_BYTES)};
    if (fd < 0)
        (void)pn_buf_addf(err, "the compiled policy: %s", strerror(errno));
    else
        p = pn_policy_open(fd, err);
    if (p == NULL)
        return false;
    plan->edges = or_by_cpu(pn_policy_int(p, "edges"), (cpus + 1) / 2);
    plan->mailboxes = or_by_cpu(pn_policy_int(p, "mailboxes"), 1);
    plan->workers = or_by_cpu(pn_policy_int(p, "workers.count"),
                              cpus < WORKERS_MAX_BY_CPU ? cpus : WORKERS_MAX_BY_CPU);
    plan->groups = (uint32_t)pn_policy_group_count(p);
    plan->drain_ms = (uint64_t)pn_policy_int(p, "timeouts.drain");
    plan->jail_must = pn_str_eq(pn_policy_str(p, "jail"), PN_STR("must"));
    read_folders(plan, p, root);
    struct pn_str dns_file = pn_policy_str(p, "resolver.dns-file");
    plan->dns_file = dns_file.len == 0 ? NULL : pn_pool_strdup(plan->pool, dns_file);
    struct pn_str secret_file = pn_policy_str(p, "forward.secret-file");
    plan->secret_file = secret_file.len == 0 ? NULL : pn_pool_strdup(plan->pool, secret_file);
    plan->users_file = placed(plan, p, "auth.users", "/etc/postern/users", root, "auth-users");
    struct pn_str authorities = pn_policy_str(p, "queue.tls-authorities");
    plan->authorities = authorities.len == 0 ? NULL : pn_pool_strdup(plan->pool, authorities);
    read_state_server(plan, p);
    bool ok = read_listens(plan, p) && read_tls(plan, p) && read_signs(plan, p) &&
              read_passwords(plan, p);
    if (!ok)
        (void)pn_buf_addz(err, "more listeners, certificates, keys or destinations than fit");
    pn_policy_unref(&p);
    return ok;
}
