#include "milter_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

char milter_tmp[] = "/tmp/postern-milter-XXXXXX";

void message(struct fakehost *h, const char *facts)
{
    fakehost_envelope(h, "a@s.test", "u@here.test");
    UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
    UNIT_INT(fakehost_run(h, POSTERN_RCPT), POSTERN_OK);
    fakehost_message(h, PN_STR(CONTENT));
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
    UNIT_STR(fakehost_facts(h), pn_str_of(facts));
    fakehost_reset(h);
}

void connect_client(struct fakehost *h)
{
    fakehost_client(h, "192.0.2.1", "friend");
    UNIT_INT(fakehost_run(h, POSTERN_CONNECT), POSTERN_OK);
    UNIT_INT(fakehost_run(h, POSTERN_HELO), POSTERN_OK);
}

struct fakehost *host_of(const char *path, const struct fake_row *more)
{
    static char address[120];
    static struct fake_row rows[10];
    static struct fake_block blocks[2];
    static struct fake_row settings[2];
    (void)snprintf(address, sizeof address, "unix:%s", path);
    memset(rows, 0, sizeof rows);
    rows[0] = (struct fake_row){"address", {address}};
    for (size_t i = 1; more != NULL && more->name != NULL; i++)
        rows[i] = *more++;
    blocks[0] = (struct fake_block){"one", rows};
    settings[0] = (struct fake_row){"server", .blocks = blocks};
    struct fakehost *h = fakehost_new(&postern_plugin, settings, "");
    UNIT_STR(fakehost_setup_error(h), PN_STR(""));
    fakehost_limits(h, 1000, 16 * 1024 * 1024, 60000);
    return h;
}
int milter_main(const char *name, const struct unit_test *tests, int argc, char **argv)
{
    if (mkdtemp(milter_tmp) == NULL)
        return 1;
    int status = unit_main(name, tests, argc, argv);
    (void)rmdir(milter_tmp);
    return status;
}
