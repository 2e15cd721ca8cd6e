/* What the POP3 engine itself costs, on a folder in memory: a full download of large and of small
 * messages, and the lists of 100,000. Times are printed, none is a verdict. */
#include "clock.h"
#include "engine.h"
#include "fake_folder.h"
#include "mem.h"

#include <stdio.h>
#include <stdlib.h>

/* Output is taken as the host takes it: one buffer a run. */
static size_t say(struct pn_engine *engine, const char *text)
{
    struct pn_str in = pn_str_of(text);
    size_t all = 0;
    enum pn_engine_next next;
    do {
        struct pn_buf out;
        pn_buf_init(&out, 8 << 20);
        next = engine->kind->run(engine, &in, &out);
        all += out.len;
        pn_buf_fini(&out);
    } while (next == PN_ENGINE_MORE || next == PN_ENGINE_HEARD);
    return all;
}

static void row(struct pn_engine *engine, const char *what, const char *text)
{
    uint64_t from = pn_clock_mono_ns();
    size_t bytes = say(engine, text);
    double ms = (double)(pn_clock_mono_ns() - from) / 1e6;
    printf("%-32s %9.2f ms %12zu bytes %8.0f MB/s\n", what, ms, bytes, (double)bytes / ms / 1e3);
}

static char *letter(size_t size)
{
    char *p = pn_alloc(size);
    for (size_t i = 0; i < size; i++)
        p[i] = i % 77 == 76 ? '\n' : 'x';
    return p;
}

static struct pn_engine *session(void)
{
    struct pn_engine_start start = {.user = fake_user()};
    return pn_pop3_new(&start);
}

static void download(const char *what, size_t count, size_t size)
{
    char *content = letter(size), *commands = pn_alloc(count * 16 + 1);
    size_t len = 0;
    fake_folder_clear();
    for (size_t i = 0; i < count; i++) {
        fake_folder_add((struct pn_str){content, size});
        len += (size_t)snprintf(commands + len, 17, "RETR %zu\r\n", i + 1);
    }
    struct pn_engine *engine = session();
    (void)say(engine, "");
    row(engine, what, commands);
    engine->kind->free(engine);
    free(commands);
    free(content);
}

int main(void)
{
    download("RETR of 10 of 20 MB", 10, 20 * 1000 * 1000);
    download("RETR of 20,000 of 10 KB", 20000, 10 * 1000);
    download("RETR of 100,000 of 2 KB", 100000, 2 * 1000);
    struct pn_engine *engine = session();
    fake_folder_clear();
    for (int i = 0; i < 100000; i++)
        fake_folder_add(PN_STR("A: b\n\n"));
    row(engine, "login with 100,000", "");
    row(engine, "STAT", "STAT\r\n");
    row(engine, "LIST", "LIST\r\n");
    row(engine, "UIDL", "UIDL\r\n");
    engine->kind->free(engine);
    fake_folder_clear();
    return 0;
}
