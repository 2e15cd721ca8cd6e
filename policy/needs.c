#include "needs.h"

#include <stddef.h>

const struct pn_need pn_needs[] = {
    {POSTERN_NEED_DNS, "dns", "questions to the resolver, by the host"},
    {POSTERN_NEED_FILES, "files", "the files and folders of its settings, read only, in prepare"},
    {POSTERN_NEED_TMP, "tmp", "a private folder"},
    {POSTERN_NEED_NETWORK, "network",
     "internet sockets, UNIX ones where a setting names a path; never without `grant network`"},
    {POSTERN_NEED_ALONE, "alone", "nothing; its worker processes are its own"},
    {POSTERN_NEED_THREADS, "threads", "threads of its libraries"},
    {POSTERN_NEED_OPENSSL, "openssl", "what OpenSSL looks at"},
    {POSTERN_NEED_STATE, "state", "lasting state, by the host"},
    {0, NULL, NULL},
};
