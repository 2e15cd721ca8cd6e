/* postern plugin new: a plugin that builds with plain make, with its test and README. */
#include "plugin_new.h"

#include "buf.h"
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "usage: postern plugin new [--folder DIR] NAME\n"
    "\n"
    "Writes a plugin into the new folder DIR (default: NAME): NAME.c, a replay script, a README,\n"
    "and a Makefile that builds it with pkg-config against the installed Postern.\n"
    "NAME is a letter, then at most 31 of a-z, 0-9 and -.\n"
    "\n"
    "Exit status: 0 done, 1 the folder is there already, 2 usage, 3 it can't be written.\n";

enum { NAME_MAX_LEN = 32 };

static bool name_ok(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++)
        if (!(name[i] >= 'a' && name[i] <= 'z') &&
            (i == 0 || (!pn_is_digit(name[i]) && name[i] != '-')))
            return false;
    return len > 0 && len <= NAME_MAX_LEN;
}

/* text with the names put in. */
static void fill_in(struct pn_str text, const char *name, struct pn_buf *out)
{
    char upper[NAME_MAX_LEN + 1];
    size_t n = 0;
    for (; name[n] != '\0'; n++)
        upper[n] = name[n] == '-'                     ? '_'
                   : name[n] >= 'a' && name[n] <= 'z' ? (char)(name[n] - 'a' + 'A')
                                                      : name[n];
    upper[n] = '\0';
    for (size_t i = 0; i < text.len;) {
        struct pn_str rest = pn_str_slice(text, i, text.len);
        bool low = pn_str_starts(rest, PN_STR("example"));
        if (low || pn_str_starts(rest, PN_STR("EXAMPLE"))) {
            (void)pn_buf_addz(out, low ? name : upper);
            i += 7;
        } else {
            (void)pn_buf_addc(out, text.p[i++]);
        }
    }
}

static bool write_one(const char *folder, const struct pn_embedded *t, const char *name)
{
    char path[PATH_MAX];
    struct pn_buf file, text;
    pn_buf_init(&file, 256);
    pn_buf_init(&text, 1 << 20);
    fill_in(pn_str_of(t->name), name, &file);
    fill_in((struct pn_str){(const char *)t->text, t->len}, name, &text);
    int n = snprintf(path, sizeof path, "%s/%s", folder, pn_buf_cstr(&file));
    int fd = n < 0 || (size_t)n >= sizeof path
                 ? -1
                 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    bool ok = fd >= 0 && write(fd, text.p, text.len) == (ssize_t)text.len;
    int saved = errno;
    ok = (fd < 0 || close(fd) == 0) && ok;
    if (!ok)
        fprintf(stderr, "postern plugin new: %s: %s\n", path, strerror(saved));
    pn_buf_fini(&file);
    pn_buf_fini(&text);
    return ok;
}

static int write_all(const char *folder, const char *name)
{
    if (mkdir(folder, 0755) != 0) {
        int saved = errno;
        fprintf(stderr, "postern plugin new: %s: %s\n", folder, strerror(saved));
        return saved == EEXIST ? PN_EXIT_NO : PN_EXIT_UNREACHABLE;
    }
    for (const struct pn_embedded *t = pn_templates; t->name != NULL; t++)
        if (!write_one(folder, t, name))
            return PN_EXIT_UNREACHABLE;
    printf("%s: a plugin that finds words in the Subject, to begin with. Now:\n"
           "    make -C %s && make -C %s check\n",
           folder, folder, folder);
    return PN_EXIT_DONE;
}

int pn_cli_plugin_new(int argc, char **argv)
{
    static const struct option options[] = {{"folder", required_argument, NULL, 'f'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *folder = NULL;
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'f') {
            folder = optarg;
        } else {
            fputs(usage, option == 'h' ? stdout : stderr);
            return option == 'h' ? PN_EXIT_DONE : PN_EXIT_USAGE;
        }
    }
    if (optind + 1 != argc || !name_ok(argv[optind])) {
        if (optind + 1 == argc)
            fprintf(stderr, "postern plugin new: '%s' can't be a plugin's name\n", argv[optind]);
        fputs(usage, stderr);
        return PN_EXIT_USAGE;
    }
    return write_all(folder == NULL ? argv[optind] : folder, argv[optind]);
}
