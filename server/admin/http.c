/* HTTP for a monitor on this machine: three pages, one request a connection. */
#include "admin_int.h"

enum { BODY_MAX = 4 * 1024 * 1024 };

struct page {
    const char *path;
    /* Returns the status code. */
    int (*fn)(struct admin *admin, struct pn_buf *body);
};

static int health(struct admin *admin, struct pn_buf *body)
{
    (void)admin;
    (void)pn_buf_addz(body, "alive\n");
    return 200;
}

static int ready(struct admin *admin, struct pn_buf *body)
{
    bool serving = supervisor_gauge(admin, PN_STR("postern_serving")) == 1;
    (void)pn_buf_addz(body, serving ? "ready\n" : "not ready\n");
    return serving ? 200 : 503;
}

static int metrics(struct admin *admin, struct pn_buf *body)
{
    prometheus_print(admin, body);
    return 200;
}

static const struct page pages[] = {
    {"/health", health},
    {"/ready", ready},
    {"/metrics", metrics},
};

static const char *reason(int status)
{
    return status == 200   ? "OK"
           : status == 404 ? "Not Found"
           : status == 405 ? "Method Not Allowed"
           : status == 503 ? "Service Unavailable"
                           : "Bad Request";
}

static int serve(struct admin *admin, struct pn_str line, bool *head, struct pn_buf *body)
{
    struct pn_str method = pn_str_split(&line, ' ');
    struct pn_str target = line.p == NULL ? PN_STR("") : pn_str_split(&line, ' ');
    *head = pn_str_eq(method, PN_STR("HEAD"));
    if (line.p == NULL || !pn_str_starts(line, PN_STR("HTTP/1.")))
        return 400;
    if (!*head && !pn_str_eq(method, PN_STR("GET")))
        return 405;
    struct pn_str path = pn_str_slice(target, 0, pn_str_find(target, '?', 0));
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        if (pn_str_eq(path, pn_str_of(pages[i].path)))
            return pages[i].fn(admin, body);
    return 404;
}

/* The end of the header, or 0. */
static size_t header_end(struct pn_str request)
{
    for (size_t at = pn_str_find(request, '\n', 0); at != SIZE_MAX;
         at = pn_str_find(request, '\n', at + 1)) {
        struct pn_str rest = pn_str_slice(request, at + 1, request.len);
        if (pn_str_starts(rest, PN_STR("\n")) || pn_str_starts(rest, PN_STR("\r\n")))
            return at + 1;
    }
    return 0;
}

bool http_answer(struct admin *admin, struct pn_str request, struct pn_buf *out)
{
    struct pn_buf body;
    bool head = false;
    if (header_end(request) == 0)
        return false;
    pn_buf_init(&body, BODY_MAX);
    struct pn_str line = pn_str_trim(pn_str_slice(request, 0, pn_str_find(request, '\n', 0)));
    int status = serve(admin, line, &head, &body);
    if (body.len == 0)
        (void)pn_buf_addf(&body, "%s\n", reason(status));
    (void)pn_buf_addf(out,
                      "HTTP/1.1 %d %s\r\nContent-Type: text/plain; version=0.0.4; "
                      "charset=utf-8\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
                      "Connection: close\r\n\r\n",
                      status, reason(status), body.len);
    if (!head)
        (void)pn_buf_adds(out, pn_buf_str(&body));
    pn_buf_fini(&body);
    return true;
}
