/* Keys to sign with: the folder that is made for them, what is refused, what comes back. */
#include "sign_key.h"
#include "signkey.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[64], path[96];

static void begin(void)
{
    (void)snprintf(base, sizeof base, "/tmp/signkey.XXXXXX");
    CU_ASSERT_FATAL(mkdtemp(base) != NULL);
    (void)snprintf(path, sizeof path, "%s/dkim", base);
}

static void end(void)
{
    CU_ASSERT(rmdir(path) == 0);
    CU_ASSERT(rmdir(base) == 0);
}

static void test_folder(void)
{
    struct stat st;
    begin();
    CU_ASSERT(pn_signkey_folder(path, false) == -1 && errno == ENOENT);
    int fd = pn_signkey_folder(path, true);
    CU_ASSERT_FATAL(fd >= 0 && fstat(fd, &st) == 0);
    CU_ASSERT((st.st_mode & 07777) == 0700);
    static const struct {
        mode_t mode;
        bool good;
    } rows[] = {{0700, true},  {0711, true},   {0755, true},  {0720, false},
                {0702, false}, {01777, false}, {0777, false}, {0500, true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CU_ASSERT(fchmod(fd, rows[i].mode) == 0);
        CU_ASSERT((pn_signkey_folder_wrong(fd) == NULL) == rows[i].good);
    }
    (void)close(fd);
    end();
}

/* Made, saved, loaded: the same record; and a second of the name is refused. */
static void test_again(void)
{
    static const size_t sizes[] = {0, 1024, 2048};
    begin();
    int fd = pn_signkey_folder(path, true);
    CU_ASSERT_FATAL(fd >= 0);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        EVP_PKEY *key = pn_signkey_new(sizes[i]), *other = NULL;
        bool open_to_others = true;
        struct pn_buf a, b;
        pn_buf_init(&a, 4096);
        pn_buf_init(&b, 4096);
        CU_ASSERT_FATAL(key != NULL);
        CU_ASSERT(pn_signkey_save(fd, "k.pem", key) == 0);
        CU_ASSERT(pn_signkey_save(fd, "k.pem", key) == EEXIST);
        CU_ASSERT(pn_signkey_load(fd, "k.pem", &other, &open_to_others) == 0);
        CU_ASSERT(!open_to_others && other != NULL);
        CU_ASSERT(pn_sign_key_record(key, &a) && pn_sign_key_record(other, &b));
        CU_ASSERT(a.len > 0 && pn_str_eq(pn_buf_str(&a), pn_buf_str(&b)));
        CU_ASSERT(unlinkat(fd, "k.pem", 0) == 0);
        EVP_PKEY_free(key);
        EVP_PKEY_free(other);
        pn_buf_fini(&a);
        pn_buf_fini(&b);
    }
    (void)close(fd);
    end();
}

static void test_no_record(void)
{
    EVP_PKEY *keys[] = {pn_signkey_new(1016), EVP_PKEY_Q_keygen(NULL, NULL, "X25519"),
                        EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256")};
    struct pn_buf out;
    pn_buf_init(&out, 4096);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        CU_ASSERT_FATAL(keys[i] != NULL);
        CU_ASSERT(!pn_sign_key_record(keys[i], &out) && out.len == 0);
        EVP_PKEY_free(keys[i]);
    }
    pn_buf_fini(&out);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"folder", test_folder},
                                             {"again", test_again},
                                             {"no record", test_no_record},
                                             {NULL, NULL}};
    return unit_main("signkey", tests, argc, argv);
}
