/*
 * Names that strangers choose and that become something else: the first byte picks user
 * and folder names as paths of a Maildir, addresses and networks, text in JSON, base64.
 */
#include "assert.h"
#include "codec.h"
#include "folder_name.h"
#include "json.h"
#include "maildir.h"
#include "net.h"

#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Below the root, of so many components, none of which another tool takes for its own. */
static void check_path(struct pn_str path, unsigned parts)
{
    unsigned n = 0;
    for (struct pn_str rest = path; rest.p != NULL; n++) {
        struct pn_str part = pn_str_split(&rest, '/');
        pn_assert(part.len > 0 && part.len <= MAILDIR_COMPONENT_MAX && part.p[0] != '.');
        for (size_t i = 0; i < part.len; i++)
            pn_assert((unsigned char)part.p[i] > ' ' && (unsigned char)part.p[i] < 127);
    }
    pn_assert(n == parts);
}

/* What a name becomes on disk is one component, and means that name. */
static void folders(struct pn_str in, struct pn_buf *out)
{
    struct pn_buf name, again;
    bool proper = false;
    pn_buf_init(&name, 1 << 16);
    pn_buf_init(&again, 1 << 16);
    if (maildir_folder_name(out, in) && out->len != 0) {
        pn_assert(out->p[0] == '.' && out->len > 1 && out->p[1] != '.');
        pn_assert(pn_str_find(pn_buf_str(out), '/', 0) == SIZE_MAX);
        pn_assert(pn_str_find(pn_buf_str(out), '\0', 0) == SIZE_MAX);
        pn_assert(out->p[out->len - 1] != '.' && out->len <= MAILDIR_COMPONENT_MAX);
        pn_assert(folder_name_clean(&name, in));
        pn_assert(folder_name_of_disk(&again, pn_buf_str(out), &proper) && proper);
        pn_assert(pn_str_eq(pn_buf_str(&again), pn_buf_str(&name)));
    }
    pn_buf_clear(&name);
    pn_buf_clear(&again);
    if (folder_name_of_disk(&name, in, &proper)) {
        pn_assert(proper ? maildir_folder_name(&again, pn_buf_str(&name))
                         : folder_name_plain(&again, pn_buf_str(&name)));
        pn_assert(pn_str_eq(pn_buf_str(&again), in));
    }
    pn_buf_fini(&name);
    pn_buf_fini(&again);
}

static void users(struct pn_str in, struct pn_buf *out)
{
    if (maildir_user_path(out, in))
        check_path(pn_buf_str(out), 2);
    pn_buf_clear(out);
    folders(in, out);
}

static void nets(struct pn_str in, struct pn_buf *out)
{
    struct pn_ip ip, ip_again;
    struct pn_net net, net_again;
    uint16_t port, port_again;
    if (pn_ip_parse(in, &ip)) {
        pn_ip_print(out, &ip);
        pn_assert(out->len < PN_IP_TEXT_MAX);
        pn_assert(pn_ip_parse(pn_buf_str(out), &ip_again) && pn_ip_eq(&ip, &ip_again));
    }
    pn_buf_clear(out);
    if (pn_net_parse(in, &net)) {
        pn_net_print(out, &net);
        pn_assert(pn_net_parse(pn_buf_str(out), &net_again) && net.bits == net_again.bits);
        pn_assert(pn_ip_eq(&net.ip, &net_again.ip) && pn_net_has(&net, &net.ip));
    }
    pn_buf_clear(out);
    if (pn_endpoint_parse(in, &ip, &port)) {
        pn_endpoint_print(out, &ip, port);
        pn_assert(pn_endpoint_parse(pn_buf_str(out), &ip_again, &port_again));
        pn_assert(pn_ip_eq(&ip, &ip_again) && port == port_again);
    }
}

static void text(struct pn_str in, struct pn_buf *out)
{
    struct pn_json j = pn_json_to(out);
    pn_json_object(&j, NULL);
    pn_json_str(&j, "a", in);
    pn_json_object_end(&j);
    json_t *root = json_loadb(out->p, out->len, JSON_ALLOW_NUL, NULL);
    pn_assert(json_is_object(root));
    json_decref(root);
}

static void base64(struct pn_str in, struct pn_buf *out)
{
    struct pn_buf again;
    pn_buf_init(&again, 1 << 22);
    pn_base64_encode(out, in);
    pn_assert(pn_base64_decode(&again, pn_buf_str(out)) && pn_str_eq(pn_buf_str(&again), in));
    pn_buf_clear(out);
    pn_buf_clear(&again);
    if (pn_base64_decode(out, in)) {
        pn_base64_encode(&again, pn_buf_str(out));
        pn_assert(again.len == in.len);
    }
    pn_buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const kinds[])(struct pn_str, struct pn_buf *) = {users, nets, text, base64};
    struct pn_buf out;
    if (size == 0)
        return 0;
    pn_buf_init(&out, 1 << 22);
    kinds[data[0] % 4]((struct pn_str){(const char *)data + 1, size - 1}, &out);
    pn_buf_fini(&out);
    return 0;
}
