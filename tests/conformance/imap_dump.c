/*
 * imap_dump --lf|--crlf FILE [SPEC...]: what IMAP would say of a message, as one JSON object, for
 * run-imap. Line ends are turned first. Bytes are base64; sections are in the order of the SPECs,
 * "1.MIME" or "BINARY 1.2", null where there is no such part; "wrong" is what the grammar says.
 */
#include "dump.h"
#include "envelope.h"
#include "imap_grammar.h"
#include "section.h"
#include "structure.h"

#include <stdio.h>
#include <stdlib.h>

static void add_wrong(struct pn_json *j, const char *wrong)
{
    if (wrong != NULL)
        pn_json_str(j, "wrong", pn_str_of(wrong));
}

static void add_section(struct pn_json *j, struct pn_reader *r, struct pn_str spec)
{
    struct pn_buf text;
    struct pn_section section;
    struct pn_octets o;
    bool binary = pn_str_starts(spec, PN_STR("BINARY "));
    pn_buf_init(&text, SIZE_MAX);
    (void)pn_buf_adds(&text, pn_str_slice(spec, binary ? 7 : 0, spec.len));
    (void)pn_buf_addc(&text, ']');
    bool there = pn_section_parse(pn_buf_str(&text), &section) != SIZE_MAX;
    there = there && (binary ? pn_octets_open_binary(r, &section, &o)
                             : pn_octets_open(r, &section, &o)) == PN_OCTETS_OK;
    if (there) {
        struct pn_buf out;
        pn_buf_init(&out, SIZE_MAX);
        while (pn_octets_left(&o) > 0)
            (void)pn_octets_read(&o, 1000, &out);
        dump_bytes(j, NULL, pn_buf_str(&out));
        pn_buf_fini(&out);
    } else {
        pn_json_null(j, NULL);
    }
    pn_buf_fini(&text);
}

static void dump(struct pn_str content, char **specs, int count)
{
    struct pn_reader *r = pn_reader_new(content);
    struct pn_message *m = pn_reader_message(r);
    struct pn_buf line, text;
    size_t at = 0;
    pn_buf_init(&line, SIZE_MAX);
    pn_buf_init(&text, PN_STRUCTURE_MAX);
    struct pn_json j = pn_json_to(&line);
    pn_json_object(&j, NULL);
    (void)pn_envelope(m, NULL, &text);
    dump_bytes(&j, "envelope", pn_buf_str(&text));
    add_wrong(&j, grammar_envelope(pn_buf_str(&text), &at));
    pn_buf_clear(&text);
    (void)pn_structure(m, true, &text);
    dump_bytes(&j, "structure", pn_buf_str(&text));
    add_wrong(&j, grammar_body(pn_buf_str(&text), true, &at));
    pn_buf_clear(&text);
    (void)pn_structure(m, false, &text);
    dump_bytes(&j, "body", pn_buf_str(&text));
    add_wrong(&j, grammar_body(pn_buf_str(&text), false, &at));
    pn_json_i64(&j, "size", (int64_t)pn_reader_size(r));
    pn_json_array(&j, "sections");
    for (int i = 0; i < count; i++)
        add_section(&j, r, pn_str_of(specs[i]));
    pn_json_array_end(&j);
    pn_json_object_end(&j);
    (void)pn_buf_addc(&line, '\n');
    (void)fwrite(line.p, 1, line.len, stdout);
    pn_buf_fini(&line);
    pn_buf_fini(&text);
    pn_reader_free(&r);
}

int main(int argc, char **argv)
{
    struct pn_buf content;
    struct pn_lines lines;
    bool lf = argc > 1 && strcmp(argv[1], "--lf") == 0;
    pn_buf_init(&content, DUMP_FILE_MAX);
    pn_lines_init(&lines, lf ? PN_LINES_TO_LF : PN_LINES_TO_CRLF);
    if (argc < 3 || !dump_read(argv[2], &lines, &content)) {
        fprintf(stderr, "imap_dump --lf|--crlf FILE [SPEC...]\n");
        return EXIT_FAILURE;
    }
    dump(pn_buf_str(&content), argv + 3, argc - 3);
    pn_buf_fini(&content);
    return EXIT_SUCCESS;
}
