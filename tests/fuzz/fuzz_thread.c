/*
 * What strangers' headers make of SORT and THREAD: messages are parted by a line of "%". Each has a
 * place in both kinds of threads, once, and the order of SORT is one.
 */
#include "assert.h"
#include "sort.h"
#include "thread.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add(struct thread *thread, uint32_t seq, struct pn_str header)
{
    struct pn_mail none = {.date = seq % 3};
    struct pn_buf subject;
    struct thread_mail mail = {.seq = seq, .shown = seq, .date = sort_sent(header, &none)};
    pn_buf_init(&subject, 10000);
    (void)sort_fold_value(sort_field(header, PN_STR("Subject")), &subject);
    mail.subject = pn_buf_str(&subject);
    mail.message_id = sort_field(header, PN_STR("Message-ID"));
    mail.references = sort_field(header, PN_STR("References"));
    mail.in_reply_to = sort_field(header, PN_STR("In-Reply-To"));
    (void)thread_add(thread, &mail);
    pn_buf_fini(&subject);
}

/* Each number from 1 to count once, all parentheses closed. */
static void check(struct pn_str said, uint32_t count)
{
    uint8_t *seen = calloc(count + 1, 1);
    int open = 0;
    for (size_t i = 0; i < said.len; i++) {
        uint32_t n = 0;
        open += (said.p[i] == '(') - (said.p[i] == ')');
        pn_assert(open > 0 || said.p[i] == ')');
        for (; i < said.len && pn_is_digit(said.p[i]); i++)
            n = n * 10 + (uint32_t)(said.p[i] - '0');
        if (n == 0)
            continue;
        i--;
        pn_assert(seen != NULL && n <= count && !seen[n]);
        seen[n] = 1;
    }
    for (uint32_t n = 1; n <= count; n++)
        pn_assert(seen[n]);
    pn_assert(open == 0);
    free(seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct thread *threads[2] = {thread_new(false), thread_new(true)};
    struct pn_imap_args keys = {.rest = PN_STR("(SUBJECT FROM DISPLAYTO REVERSE CC DATE)")};
    struct pn_str rest = {(const char *)data, size};
    struct sort sort;
    struct pn_buf out;
    uint32_t count = 0;
    pn_assert(sort_parse(&sort, &keys));
    while (rest.len > 0 && count < 200) {
        const char *at = memmem(rest.p, rest.len, "\n%\n", 3);
        size_t end = at == NULL ? rest.len : (size_t)(at - rest.p);
        struct pn_str header = pn_str_slice(rest, 0, end);
        struct pn_mail mail = {.size = (uint32_t)header.len};
        rest = pn_str_slice(rest, end + 3, rest.len);
        count++;
        for (int i = 0; i < 2; i++)
            add(threads[i], count, header);
        pn_assert(sort_add(&sort, count, &mail, header));
    }
    sort_run(&sort);
    pn_buf_init(&out, 1000000);
    for (int i = 0; i < 2; i++) {
        pn_buf_clear(&out);
        pn_assert(thread_print(threads[i], &out));
        check(pn_buf_str(&out), count);
        thread_free(&threads[i]);
    }
    pn_buf_fini(&out);
    sort_fini(&sort);
    return 0;
}
