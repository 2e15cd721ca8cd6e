/*
 * A library, for tests/plugins/careless.c: fragile_get crashes where it gets no memory, by
 * itself; fragile_make gives NULL then, and fragile_use minds.
 */
#include <stdlib.h>

__attribute__((visibility("default"))) char *fragile_get(void);
__attribute__((visibility("default"))) char *fragile_make(void);
__attribute__((visibility("default"))) void fragile_use(char *p);

char *fragile_make(void)
{
    return malloc(40);
}

void fragile_use(char *p)
{
    *(volatile char *)p = 'x';
}

char *fragile_get(void)
{
    char *p = fragile_make();
    fragile_use(p);
    return p;
}
