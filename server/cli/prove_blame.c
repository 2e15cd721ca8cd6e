#include "prove_blame.h"

#include "assert.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { FRAMES_MAX = 100 };

/* Innermost in the plugin: where it will return to, and how many frames lie outside. */
struct place {
    uintptr_t at; /* 0: nowhere */
    int depth;
};

static struct blame {
    struct place refused, crashed;
    int call; /* the jail's, and 1 */
    char library[64];
} * blame;

static uintptr_t plugin_begin, plugin_end;

void blame_init(void)
{
    void *frame[1];
    blame = mmap(NULL, sizeof *blame, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pn_assert(blame != MAP_FAILED);
    (void)backtrace(frame, 1); /* loads what it needs, which a jail would not allow */
}

static int find_plugin(struct dl_phdr_info *info, size_t size, void *ctx)
{
    uintptr_t symbol = (uintptr_t)ctx, begin = UINTPTR_MAX, end = 0;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + p->p_vaddr;
        if (p->p_type != PT_LOAD)
            continue;
        begin = from < begin ? from : begin;
        end = from + p->p_memsz > end ? from + p->p_memsz : end;
    }
    if (symbol < begin || symbol >= end)
        return 0;
    plugin_begin = begin;
    plugin_end = end;
    return 1;
}

void blame_plugin(const void *symbol)
{
    (void)dl_iterate_phdr(find_plugin, (void *)(uintptr_t)symbol);
}

void blame_reset(void)
{
    memset(blame, 0, sizeof *blame);
}

/* i: the plugin's frame. A stack that is not seen whole is nobody's. */
static struct place find(void *const *frames, int n, int *i)
{
    for (*i = 0; *i < n && n < FRAMES_MAX; ++*i) {
        uintptr_t at = (uintptr_t)frames[*i];
        if (at >= plugin_begin && at < plugin_end)
            return (struct place){at, n - *i};
    }
    return (struct place){0, 0};
}

void blame_refused(void)
{
    void *frames[FRAMES_MAX];
    int i, n = backtrace(frames, FRAMES_MAX);
    Dl_info info, self;
    blame->refused = find(frames, n, &i);
    if (blame->refused.at == 0 || i == 0 || dladdr(frames[i - 1], &info) == 0)
        return;
    if (dladdr(frames[0], &self) != 0 && self.dli_fbase == info.dli_fbase) {
        blame->refused.at = 0; /* the plugin asked itself */
        return;
    }
    const char *slash = strrchr(info.dli_fname, '/');
    (void)snprintf(blame->library, sizeof blame->library, "%s",
                   slash == NULL ? info.dli_fname : slash + 1);
}

static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE};
enum { SIGNALS = sizeof signals / sizeof signals[0] };
static struct sigaction before[SIGNALS];

static void on_crash(int signo)
{
    void *frames[FRAMES_MAX];
    int i;
    if (blame->crashed.at == 0)
        blame->crashed = find(frames, backtrace(frames, FRAMES_MAX), &i);
    for (i = 0; i < SIGNALS; i++) {
        if (signals[i] != signo)
            continue;
        (void)sigaction(signo, &before[i], NULL);
        if ((before[i].sa_flags & SA_SIGINFO) == 0 && before[i].sa_handler != SIG_DFL &&
            before[i].sa_handler != SIG_IGN)
            before[i].sa_handler(signo);
    }
}

static void on_refused_call(int signo, siginfo_t *info, void *context)
{
    (void)context;
    blame->call = info->si_syscall + 1;
    (void)signal(signo, SIG_DFL);
    (void)raise(signo); /* when this returns */
}

int blame_call(void)
{
    return blame->call - 1;
}

void blame_watch(void)
{
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK};
    struct sigaction refused = {.sa_sigaction = on_refused_call,
                                .sa_flags = SA_ONSTACK | SA_SIGINFO};
    (void)sigemptyset(&action.sa_mask);
    (void)sigemptyset(&refused.sa_mask);
    (void)sigaction(SIGSYS, &refused, NULL);
    for (int i = 0; i < SIGNALS; i++)
        (void)sigaction(signals[i], &action, &before[i]);
}

const char *blame_library(char *out, size_t size)
{
    if (blame->refused.at == 0 || blame->refused.at != blame->crashed.at ||
        blame->refused.depth != blame->crashed.depth)
        return NULL;
    (void)snprintf(out, size, "%s", blame->library);
    return out;
}
