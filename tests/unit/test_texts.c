/* The index of words: what it finds is what a scan finds, whatever was done to its files. */
#include "fake_view.h"
#include "mem.h"
#include "text_dir.h"
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static int open_folder(void)
{
    return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void make_folder(void)
{
    (void)strncpy(folder, "/tmp/postern-texts-XXXXXX", sizeof folder - 1);
    UNIT_TRUE(mkdtemp(folder) != NULL);
}

static int each_file(char names[][TEXT_NAME_MAX], int max)
{
    DIR *stream = opendir(folder);
    const struct dirent *entry;
    int n = 0;
    while (stream != NULL && (entry = readdir(stream)) != NULL && n < max)
        if (entry->d_name[0] != '.')
            memcpy(names[n++], entry->d_name, strnlen(entry->d_name, TEXT_NAME_MAX - 1));
    if (stream != NULL)
        (void)closedir(stream);
    return n;
}

static void remove_folder(void)
{
    int dir = open_folder();
    texts_sweep(dir, NULL, 0);
    (void)close(dir);
    UNIT_INT(rmdir(folder), 0);
}

static const char *const vocabulary[] = {"the",
                                         "Mail",
                                         "server",
                                         "of",
                                         "postern",
                                         "\xc3\x9c"
                                         "ber",
                                         "a",
                                         "gate",
                                         "x",
                                         "in",
                                         "wall",
                                         "zebra",
                                         "aaaa",
                                         "aaaab",
                                         "\xe6\xbc\xa2\xe5\xad\x97",
                                         "to"};
enum { VOCABULARY = sizeof vocabulary / sizeof *vocabulary };

static void add_words(struct pn_buf *out, int count)
{
    for (int i = 0; i < count; i++) {
        (void)pn_buf_addz(out, vocabulary[rand() % VOCABULARY]);
        (void)pn_buf_addz(out, rand() % 9 == 0 ? "\n" : rand() % 5 == 0 ? "" : " ");
    }
}

static void add_random(struct pn_view *view, uint32_t uid, int longest)
{
    struct pn_buf out;
    pn_buf_init(&out, 10000000);
    (void)pn_buf_addz(&out, "Subject: ");
    add_words(&out, rand() % 4);
    while (out.p[out.len - 1] == '\n')
        out.len--;
    (void)pn_buf_addf(&out, " %u", uid);
    (void)pn_buf_addz(&out, rand() % 2 == 0 ? "\nTo: zebra@gate.test" : "\nX-Gate: In the wall");
    if (rand() % 5 == 0)
        (void)pn_buf_addz(&out, "\nX-Empty:");
    (void)pn_buf_addz(&out, "\n\n");
    add_words(&out, rand() % longest);
    (void)fake_view_add(view, uid, pn_buf_cstr(&out));
    pn_buf_fini(&out);
}

/* What a scan finds, of messages that the index covers. */
static void scan(struct pn_view *view, const struct pn_uidset *covered,
                 const struct pn_words_key *key, struct pn_uidset *out)
{
    struct pn_words *words = pn_words_new();
    for (uint32_t seq = 1; seq <= view->count; seq++) {
        uint32_t uid = view->mails[seq - 1].mail.uid;
        if (!pn_uidset_has(covered, uid))
            continue;
        pn_words_read(words, pn_str_of(view->mails[seq - 1].content));
        if (pn_words_match(words, key))
            (void)pn_uidset_add(out, uid, uid);
    }
    pn_words_free(&words);
}

static void print_key(const struct pn_words_key *key)
{
    static char label[300];
    (void)snprintf(label, sizeof label, "where %d field '%.*s' text '%.*s'", (int)key->where,
                   PN_FMT(key->field), PN_FMT(key->text));
    unit_row(label);
}

static bool find_all(struct pn_texts *texts, const struct pn_words_key *key, struct pn_uidset *hits)
{
    return pn_texts_find(texts, key, &(struct pn_texts_span){0, UINT32_MAX, UINT64_MAX}, hits);
}

static void compare(struct pn_view *view, struct pn_texts *texts, const struct pn_words_key *key)
{
    struct pn_uidset hits, want;
    struct pn_buf got_text, want_text;
    pn_uidset_init(&hits, PN_UIDSET_MAX);
    pn_uidset_init(&want, PN_UIDSET_MAX);
    pn_buf_init(&got_text, 1000000);
    pn_buf_init(&want_text, 1000000);
    print_key(key);
    scan(view, pn_texts_covered(texts), key, &want);
    UNIT_TRUE(find_all(texts, key, &hits));
    /* Of what is gone the index may still know. */
    struct pn_uidset there;
    pn_uidset_init(&there, PN_UIDSET_MAX);
    for (uint32_t i = 0; i < view->count; i++)
        if (pn_uidset_has(&hits, view->mails[i].mail.uid))
            (void)pn_uidset_add(&there, view->mails[i].mail.uid, view->mails[i].mail.uid);
    (void)pn_uidset_print(&there, &got_text);
    (void)pn_uidset_print(&want, &want_text);
    UNIT_STR(pn_buf_str(&got_text), pn_buf_str(&want_text));
    pn_uidset_fini(&hits);
    pn_uidset_fini(&want);
    pn_uidset_fini(&there);
    pn_buf_fini(&got_text);
    pn_buf_fini(&want_text);
}

/* Fixed ones, and parts of the texts themselves. */
static void compare_many(struct pn_view *view, struct pn_texts *texts, int rounds)
{
    static const char *const needles[] = {
        "",      "a",         "ab",     "the",         "postern gate", "u\xcc\x88",
        "aaaab", "not there", "zebra@", "in the wall", "\xe6\xbc\xa2", "1",
        "x a"};
    static const char *const fields[] = {"subject", "to", "x-gate", "x-empty", "none"};
    struct pn_words *words = pn_words_new();
    for (size_t i = 0; i < sizeof needles / sizeof *needles; i++) {
        struct pn_words_key key = {.text = pn_str_of(needles[i])};
        key.where = PN_WORDS_IN_ALL;
        compare(view, texts, &key);
        key.where = PN_WORDS_IN_BODY;
        compare(view, texts, &key);
        key.where = PN_WORDS_IN_FIELD;
        for (size_t f = 0; f < sizeof fields / sizeof *fields; f++) {
            key.field = pn_str_of(fields[f]);
            compare(view, texts, &key);
        }
    }
    for (int i = 0; i < rounds && view->count > 0; i++) {
        pn_words_read(words, pn_str_of(view->mails[rand() % (int)view->count].content));
        struct pn_str text = pn_words_get(words, PN_WORDS_BODY);
        size_t at = text.len < 2 ? 0 : 1 + (size_t)rand() % (text.len - 1);
        struct pn_words_key key = {.where = PN_WORDS_IN_BODY};
        key.text = pn_str_slice(text, at, at + 1 + (size_t)rand() % (i % 10 == 0 ? 200 : 20));
        compare(view, texts, &key);
    }
    pn_words_free(&words);
}

static void catch_up(struct pn_texts *texts, unsigned ms)
{
    enum pn_texts_step step;
    while ((step = pn_texts_catch_up(texts, ms)) == PN_TEXTS_MORE)
        ;
    UNIT_INT(step, PN_TEXTS_DONE);
}

static void test_random(void)
{
    struct pn_view view = {.uidvalidity = 7};
    srand(3);
    make_folder();
    struct pn_texts *texts = texts_open_dir(&view, open_folder());
    compare_many(&view, texts, 1);
    uint32_t uid = 0;
    for (int round = 0; round < 8; round++) {
        for (int i = rand() % 40; i >= 0; i--)
            add_random(&view, uid += 1 + (uint32_t)rand() % 3, round == 5 ? 5000 : 150);
        for (int i = rand() % 20; i > 0 && view.count > 0; i--)
            fake_view_remove(&view, 1 + (uint32_t)rand() % view.count);
        catch_up(texts, round % 2 == 0 ? 0 : 1000);
        if (round % 3 == 0)
            (void)texts_tidy(texts, 1000);
        if (round % 4 == 0) {
            pn_texts_close(&texts);
            texts = texts_open_dir(&view, open_folder());
        }
        compare_many(&view, texts, 4);
        /* All of the view is covered. */
        for (uint32_t i = 0; i < view.count; i++)
            UNIT_TRUE(pn_uidset_has(pn_texts_covered(texts), view.mails[i].mail.uid));
    }
    pn_texts_close(&texts);
    fake_view_fini(&view);
    remove_folder();
}

/* Texts of several blocks, with a needle at each place around their borders. */
static void test_borders(void)
{
    struct pn_view view = {.uidvalidity = 7};
    make_folder();
    for (int i = -16; i <= 4; i++) {
        struct pn_buf out;
        pn_buf_init(&out, 1000000);
        (void)pn_buf_addz(&out, "\n");
        for (int n = 0; n < TEXT_BLOCK + i; n++)
            (void)pn_buf_addc(&out, "abcdefgh"[(n * 7 + n / 64) % 8]);
        (void)pn_buf_addz(&out, i % 2 ? "needleneedle" : "nEEdleneedla");
        for (int n = 0; n < TEXT_BLOCK; n++)
            (void)pn_buf_addc(&out, "ijklmnop"[(n * 5 + n / 64) % 8]);
        (void)fake_view_add(&view, (uint32_t)(i + 17), pn_buf_cstr(&out));
        pn_buf_fini(&out);
    }
    struct pn_texts *texts = texts_open_dir(&view, open_folder());
    catch_up(texts, 10000);
    static const char *const needles[] = {"needle", "needleneedle", "eneedl",
                                          "edla",   "le",           "needlex"};
    for (size_t i = 0; i < sizeof needles / sizeof *needles; i++)
        compare(&view, texts,
                &(struct pn_words_key){.where = PN_WORDS_IN_BODY, .text = pn_str_of(needles[i])});
    pn_texts_close(&texts);
    fake_view_fini(&view);
    remove_folder();
}

/* What is in each nth message: in lists of blocks and in maps of them, and at their border. */
static void test_densities(void)
{
    enum { MAILS = 26 };
    struct pn_view view = {.uidvalidity = 7};
    make_folder();
    for (uint32_t uid = 1; uid <= MAILS; uid++) {
        struct pn_buf out;
        pn_buf_init(&out, 1000000);
        (void)pn_buf_addz(&out, "\n");
        for (int at = 0; out.len < (size_t)3 * TEXT_BLOCK; at++)
            for (uint32_t n = 1; n <= MAILS; n++)
                if (at == 40 && uid % n == 0)
                    (void)pn_buf_addf(&out, "zq%cend %d ", 'a' + (int)n - 1, at);
                else
                    (void)pn_buf_addf(&out, "%d ", at);
        (void)fake_view_add(&view, uid, pn_buf_cstr(&out));
        pn_buf_fini(&out);
    }
    struct pn_texts *texts = texts_open_dir(&view, open_folder());
    catch_up(texts, 10000);
    for (int n = 1; n <= MAILS; n++) {
        char needle[8];
        (void)snprintf(needle, sizeof needle, "zq%c", 'a' + n - 1);
        compare(&view, texts,
                &(struct pn_words_key){.where = PN_WORDS_IN_BODY, .text = pn_str_of(needle)});
    }
    pn_texts_close(&texts);
    fake_view_fini(&view);
    remove_folder();
}

/* Any byte of any file is wrong, or it is cut: found by the sums, and made again. */
static void test_damage(void)
{
    struct pn_view view = {.uidvalidity = 7};
    srand(5);
    make_folder();
    for (uint32_t uid = 1; uid <= 60; uid++)
        add_random(&view, uid, 200);
    for (int round = 0; round < 60; round++) {
        char names[100][TEXT_NAME_MAX] = {""}, path[200];
        struct pn_texts *texts = texts_open_dir(&view, open_folder());
        catch_up(texts, 1000);
        int count = each_file(names, 100);
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[rand() % count]);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        off_t size = lseek(fd, 0, SEEK_END), at = rand() % size;
        char byte;
        if (round % 10 == 0) {
            UNIT_INT(ftruncate(fd, at), 0);
        } else {
            UNIT_INT(pread(fd, &byte, 1, at), 1);
            byte = (char)(byte ^ 1 << rand() % 8);
            UNIT_INT(pwrite(fd, &byte, 1, at), 1);
        }
        (void)close(fd);
        if (round % 3 == 0) {
            pn_texts_close(&texts);
            texts = texts_open_dir(&view, open_folder());
        }
        static const char *const needles[] = {"the", "zebra", "a", "not there at all"};
        struct pn_words_key key = {.where = PN_WORDS_IN_ALL, .text = pn_str_of(needles[round % 4])};
        struct pn_uidset hits;
        pn_uidset_init(&hits, 1000);
        (void)find_all(texts, &key, &hits);
        pn_uidset_fini(&hits);
        compare(&view, texts, &key);
        catch_up(texts, 1000);
        compare(&view, texts, &key);
        pn_texts_close(&texts);
    }
    fake_view_fini(&view);
    remove_folder();
}

/* Files that are no longer whole, of strangers, of folders that are gone. */
static void test_sweep(void)
{
    struct pn_view view = {.uidvalidity = 7};
    make_folder();
    add_random(&view, 1, 100);
    struct pn_texts *texts = texts_open_dir(&view, open_folder());
    catch_up(texts, 1000);
    pn_texts_close(&texts);
    static const char *const rubbish[] = {"tmp.1.1", "8.1-1", "7.2-1",  "7.0-5",
                                          "07.5-6",  "x",     "tmp.2.1"};
    int dir = open_folder();
    for (size_t i = 0; i < sizeof rubbish / sizeof *rubbish; i++)
        (void)close(openat(dir, rubbish[i], O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    texts = texts_open_dir(&view, open_folder());
    UNIT_INT(pn_uidset_size(pn_texts_covered(texts)), 1);
    pn_texts_close(&texts);
    char names[10][TEXT_NAME_MAX] = {""};
    /* One that is new may be another thread's, which makes it just now. */
    const struct timespec old[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}};
    UNIT_INT(utimensat(dir, "tmp.1.1", old, 0), 0);
    texts_sweep(dir, (uint32_t[]){9, 7}, 2);
    UNIT_INT(each_file(names, 10), 2);
    UNIT_INT(faccessat(dir, "tmp.2.1", F_OK, 0), 0);
    UNIT_INT(faccessat(dir, "7.1-1", F_OK, 0), 0);
    UNIT_INT(unlinkat(dir, "tmp.2.1", 0), 0);
    (void)close(dir);
    fake_view_fini(&view);
    remove_folder();
}

/* A file of some messages, all with that text. */
static void make_file(uint32_t first, uint32_t last, const char *content)
{
    int dir = open_folder();
    struct text_build build;
    struct pn_words *words = pn_words_new();
    text_build_init(&build);
    pn_words_read(words, pn_str_of(content));
    for (uint32_t uid = first; uid <= last; uid++)
        text_build_add(&build, uid, words);
    UNIT_INT(text_build_write(&build, dir, 7, first, last), 0);
    text_build_fini(&build);
    pn_words_free(&words);
    (void)close(dir);
}

/* File by file, and only those that are wanted. */
static void test_spans(void)
{
    static const struct {
        uint32_t from, last;
        uint64_t deadline;
        const char *want;
        uint32_t next;
    } rows[] = {
        {1, UINT32_MAX, UINT64_MAX, "1:9", 0},
        {1, UINT32_MAX, 0, "1:3", 4},
        {4, UINT32_MAX, 0, "4:6", 7},
        {7, UINT32_MAX, 0, "7:9", 0},
        {3, 4, UINT64_MAX, "1:6", 0},
        {4, 6, 0, "4:6", 0},
        {2, 3, 0, "1:3", 0},
        {10, 20, 0, "", 0},
    };
    struct pn_view view = {.uidvalidity = 7};
    make_folder();
    make_file(1, 3, "Subject: a\n\nthe gate\n");
    make_file(4, 6, "Subject: b\n\nthe gate\n");
    make_file(7, 9, "Subject: c\n\nthe gate\n");
    struct pn_texts *texts = texts_open_dir(&view, open_folder());
    const struct pn_words_key key = {.where = PN_WORDS_IN_BODY, .text = PN_STR("gate")};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pn_texts_span span = {rows[i].from, rows[i].last, rows[i].deadline};
        struct pn_uidset hits;
        struct pn_buf out;
        pn_uidset_init(&hits, 10);
        pn_buf_init(&out, 100);
        unit_row(rows[i].want);
        UNIT_TRUE(pn_texts_find(texts, &key, &span, &hits));
        (void)pn_uidset_print(&hits, &out);
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
        UNIT_INT(span.from, rows[i].next);
        pn_buf_fini(&out);
        pn_uidset_fini(&hits);
    }
    pn_texts_close(&texts);
    remove_folder();
}

/* What can't be read is not covered, and does not stop the rest; nor is what is gone. */
static void test_unreadable(void)
{
    struct pn_view view = {.uidvalidity = 7};
    make_folder();
    for (uint32_t uid = 1; uid <= 9; uid++)
        add_random(&view, uid, 20);
    view.mails[0].is = PN_READ_ERROR;
    view.mails[4].is = PN_READ_ERROR;
    view.mails[6].is = PN_READ_EXPUNGED;
    struct pn_texts *texts = texts_open_dir(&view, open_folder());
    catch_up(texts, 1000);
    struct pn_buf out;
    pn_buf_init(&out, 100);
    (void)pn_uidset_print(pn_texts_covered(texts), &out);
    UNIT_STR(pn_buf_str(&out), PN_STR("2:4,6,8:9"));
    view.mails[0].is = view.mails[4].is = PN_READ_OK;
    pn_texts_close(&texts);
    texts = texts_open_dir(&view, open_folder());
    catch_up(texts, 1000);
    pn_buf_clear(&out);
    (void)pn_uidset_print(pn_texts_covered(texts), &out);
    UNIT_STR(pn_buf_str(&out), PN_STR("1:6,8:9"));
    pn_buf_fini(&out);
    pn_texts_close(&texts);
    fake_view_fini(&view);
    remove_folder();
}

/* A message that comes back under its UID, into the midst of what a file covers: found by a scan.
 */
static void test_come_back(void)
{
    struct pn_view view = {.uidvalidity = 7};
    struct pn_buf out;
    make_folder();
    for (uint32_t uid = 1; uid <= 9; uid++)
        add_random(&view, uid, 20);
    fake_view_remove(&view, 5);
    fake_view_remove(&view, 1);
    struct pn_texts *texts = texts_open_dir(&view, open_folder());
    catch_up(texts, 1000);
    pn_texts_close(&texts);
    fake_view_fini(&view);
    view = (struct pn_view){.uidvalidity = 7};
    for (uint32_t uid = 1; uid <= 9; uid++)
        add_random(&view, uid, 20);
    texts = texts_open_dir(&view, open_folder());
    catch_up(texts, 1000);
    pn_buf_init(&out, 100);
    (void)pn_uidset_print(pn_texts_covered(texts), &out);
    UNIT_STR(pn_buf_str(&out), PN_STR("1:4,6:9"));
    pn_buf_fini(&out);
    pn_texts_close(&texts);
    fake_view_fini(&view);
    remove_folder();
}

/* Several sessions and somebody who removes files: what is said to be covered is answered right. */
static void *session(void *arg)
{
    struct pn_view *view = arg;
    for (int round = 0; round < 6; round++) {
        struct pn_texts *texts = texts_open_dir(view, open_folder());
        enum pn_texts_step step = PN_TEXTS_MORE;
        for (int i = 0; i < 10 && step == PN_TEXTS_MORE; i++)
            step = pn_texts_catch_up(texts, 1);
        struct pn_uidset hits;
        pn_uidset_init(&hits, PN_UIDSET_MAX);
        struct pn_words_key key = {.where = PN_WORDS_IN_BODY, .text = PN_STR("zebra")};
        bool whole = find_all(texts, &key, &hits);
        for (uint32_t i = 0; whole && i < view->count; i++) {
            uint32_t uid = view->mails[i].mail.uid;
            bool want = pn_uidset_has(pn_texts_covered(texts), uid) &&
                        strstr(view->mails[i].content + 40, "zebra") != NULL;
            if (pn_uidset_has(&hits, uid) != want)
                return view;
        }
        pn_uidset_fini(&hits);
        if (round % 2 == 0)
            (void)texts_tidy(texts, 2);
        char names[20][TEXT_NAME_MAX] = {""}, path[200];
        int count = each_file(names, 20);
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[0]);
        if (round % 3 == 0 && count > 0)
            (void)unlink(path);
        pn_texts_close(&texts);
    }
    return NULL;
}

static void test_threads(void)
{
    enum { THREADS = 4 };
    struct pn_view view = {.uidvalidity = 7};
    pthread_t threads[THREADS];
    make_folder();
    for (uint32_t uid = 1; uid <= 200; uid++) {
        char content[200];
        (void)snprintf(content, sizeof content, "Subject: none, %040u\n\nthe %s in the wall\n", uid,
                       uid % 3 == 0 ? "zebra" : "gate");
        (void)fake_view_add(&view, uid, content);
    }
    for (int i = 0; i < THREADS; i++)
        UNIT_INT(pthread_create(&threads[i], NULL, session, &view), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed = NULL;
        UNIT_INT(pthread_join(threads[i], &failed), 0);
        UNIT_TRUE(failed == NULL);
    }
    fake_view_fini(&view);
    remove_folder();
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"random", test_random},         {"borders", test_borders},
        {"densities", test_densities},   {"damage", test_damage},
        {"sweep", test_sweep},           {"spans", test_spans},
        {"unreadable", test_unreadable}, {"come_back", test_come_back},
        {"threads", test_threads},       {NULL, NULL}};
    return unit_main("texts", tests, argc, argv);
}
