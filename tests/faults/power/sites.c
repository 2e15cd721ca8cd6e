#include "sites.h"

#include "assert.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CALLS_MAX = 256 };

static struct {
    const char *image; /* this program's file, mapped */
    const ElfW(Sym) * symbols;
    size_t symbol_count;
    const char *strings;
    uintptr_t base; /* where it was loaded */
    struct {
        const void *address;
        uint16_t site;
    } calls[CALLS_MAX];
    unsigned call_count;
    char names[SITES_MAX][96];
    unsigned count;
} sites;

static int find_base(struct dl_phdr_info *info, size_t size, void *ctx)
{
    (void)size;
    *(uintptr_t *)ctx = info->dlpi_addr;
    return 1; /* the first is the program */
}

static void load(void)
{
    struct stat st;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    pn_assert(fd >= 0 && fstat(fd, &st) == 0);
    sites.image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    pn_assert(sites.image != MAP_FAILED);
    (void)close(fd);
    const ElfW(Ehdr) *head = (const void *)sites.image;
    const ElfW(Shdr) *sections = (const void *)(sites.image + head->e_shoff);
    for (unsigned i = 0; i < head->e_shnum; i++)
        if (sections[i].sh_type == SHT_SYMTAB) {
            sites.symbols = (const void *)(sites.image + sections[i].sh_offset);
            sites.symbol_count = sections[i].sh_size / sizeof *sites.symbols;
            sites.strings = sites.image + sections[sections[i].sh_link].sh_offset;
        }
    (void)dl_iterate_phdr(find_base, &sites.base);
}

/* "?" in a stripped program. */
static const char *function_at(const void *address)
{
    uintptr_t at = (uintptr_t)address - sites.base;
    for (size_t i = 0; i < sites.symbol_count; i++) {
        const ElfW(Sym) *s = &sites.symbols[i];
        if (ELF64_ST_TYPE(s->st_info) == STT_FUNC && at > s->st_value &&
            at <= s->st_value + s->st_size)
            return sites.strings + s->st_name;
    }
    return "?";
}

/* The compiler's additions to a name are not ours. */
static void put_name(char *name, size_t size, const void *address, const char *what)
{
    const char *function = function_at(address);
    (void)snprintf(name, size, "%.*s: %s", (int)strcspn(function, "."), function, what);
}

static uint16_t site_named(const char *name)
{
    for (unsigned i = 0; i < sites.count; i++)
        if (strcmp(sites.names[i], name) == 0)
            return (uint16_t)i;
    pn_assert(sites.count < SITES_MAX);
    (void)snprintf(sites.names[sites.count], sizeof sites.names[0], "%s", name);
    return (uint16_t)sites.count++;
}

uint16_t site_of(const void *address, const char *what)
{
    char name[sizeof sites.names[0]];
    for (unsigned i = 0; i < sites.call_count; i++)
        if (sites.calls[i].address == address)
            return sites.calls[i].site;
    if (sites.image == NULL)
        load();
    put_name(name, sizeof name, address, what);
    uint16_t site = site_named(name);
    pn_assert(sites.call_count < CALLS_MAX);
    sites.calls[sites.call_count].address = address;
    sites.calls[sites.call_count++].site = site;
    return site;
}

unsigned site_count(void)
{
    return sites.count;
}

const char *site_name(unsigned site)
{
    pn_assert(site < sites.count);
    return sites.names[site];
}
