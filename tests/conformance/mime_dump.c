/*
 * mime_dump [--crlf|--lf] FILE...: what the message layer sees in each file, a JSON object
 * a line, for run-mime. The option turns line ends first. Bytes that need not be UTF-8 are
 * base64: "raw" and "decoded" body, "value" of a field.
 */
#include "address.h"
#include "date.h"
#include "decode.h"
#include "dump.h"
#include "encword.h"
#include "message_invariants.h"
#include "param.h"
#include "text.h"
#include "utf8.h"

#include <stdio.h>
#include <stdlib.h>

static void add_addresses(struct pn_json *j, struct pn_str value)
{
    struct pn_address_walk walk;
    struct pn_address a;
    struct pn_buf text;
    pn_buf_init(&text, 1 << 20);
    pn_json_array(j, "addresses");
    pn_address_start(&walk, value);
    while (pn_address_next(&walk, &a)) {
        pn_json_object(j, NULL);
        pn_json_i64(j, "kind", a.kind);
        pn_buf_clear(&text);
        if (pn_address_display(&a, &text) && text.len != 0)
            pn_json_str(j, "name", pn_buf_str(&text));
        pn_buf_clear(&text);
        if (pn_address_spec(&a, &text))
            pn_json_str(j, "address", pn_buf_str(&text));
        else if (a.domain.len == 0)
            pn_json_str(j, "address", a.local);
        else
            pn_json_str(j, "address", a.raw);
        pn_json_bool(j, "malformed", (a.flags & PN_ADDRESS_MALFORMED) != 0);
        pn_json_object_end(j);
    }
    pn_json_array_end(j);
    pn_buf_fini(&text);
}

static void add_params(struct pn_json *j, struct pn_str value)
{
    struct pn_param_walk walk;
    struct pn_param param;
    struct pn_buf text;
    pn_buf_init(&text, 1 << 20);
    pn_json_str(j, "token", pn_param_start(&walk, value));
    pn_json_object(j, "params");
    while (pn_param_next(&walk, &param)) {
        char name[64];
        size_t star = pn_str_find(param.name, '*', 0);
        struct pn_str base = pn_str_slice(param.name, 0, star);
        if (base.len == 0 || base.len >= sizeof name)
            continue;
        for (size_t i = 0; i < base.len; i++)
            name[i] = pn_lower(base.p[i]);
        name[base.len] = '\0';
        pn_buf_clear(&text);
        if (pn_utf8_valid(base) && pn_param_get(value, base, &text))
            pn_json_str(j, name, pn_buf_str(&text));
    }
    pn_json_object_end(j);
    pn_buf_fini(&text);
}

static void add_fields(struct pn_json *j, const struct pn_message *m, const struct pn_part *part)
{
    size_t count = 0;
    const struct pn_field *f = pn_part_fields(m, part, &count);
    struct pn_buf text;
    pn_buf_init(&text, 1 << 20);
    pn_json_array(j, "fields");
    for (size_t i = 0; i < count; i++, f++) {
        struct pn_str value = pn_field_value(m, f);
        int64_t t = 0;
        int zone = 0;
        pn_json_object(j, NULL);
        pn_json_str(j, "name", pn_field_name(m, f));
        pn_json_i64(j, "at", f->at);
        pn_json_i64(j, "start", f->value);
        pn_json_i64(j, "end", f->end + f->eol);
        dump_bytes(j, "value", value);
        pn_buf_clear(&text);
        if (pn_words_decode(value, &text))
            pn_json_str(j, "text", pn_buf_str(&text));
        if (pn_date_parse(value, &t, &zone)) {
            pn_json_i64(j, "unix", t);
            pn_json_i64(j, "zone", zone);
        }
        add_addresses(j, value);
        add_params(j, value);
        pn_json_object_end(j);
    }
    pn_json_array_end(j);
    pn_buf_fini(&text);
}

static void add_part(struct pn_json *j, const struct pn_message *m, const struct pn_part *part,
                     struct pn_text *text)
{
    static const char *const kinds[] = {"leaf", "multipart", "message"};
    struct pn_buf buf;
    pn_buf_init(&buf, DUMP_FILE_MAX);
    pn_json_object(j, NULL);
    pn_json_i64(j, "parent", part->parent);
    pn_json_str(j, "kind", pn_str_of(kinds[part->kind]));
    pn_json_str(j, "type", pn_part_type(m, part));
    pn_json_str(j, "subtype", pn_part_subtype(m, part));
    pn_json_str(j, "encoding", pn_str_of(pn_encoding_name((enum pn_encoding)part->encoding)));
    pn_json_str(j, "disposition", pn_part_disposition(m, part));
    if (pn_part_filename(m, part, &buf))
        pn_json_str(j, "filename", pn_buf_str(&buf));
    pn_json_i64(j, "header", part->header);
    pn_json_i64(j, "body", part->body);
    pn_json_i64(j, "end", part->end);
    pn_json_i64(j, "lines", part->lines);
    pn_json_i64(j, "flags", part->flags);
    if (part->kind == PN_PART_LEAF) {
        pn_buf_clear(&buf);
        (void)pn_part_decode(m, part, &buf);
        dump_bytes(j, "raw", pn_part_body(m, part));
        dump_bytes(j, "decoded", pn_buf_str(&buf));
        pn_json_str(j, "text", pn_text_part(text, m, part));
        pn_json_str(j, "visible", pn_text_visible(text, m, part, NULL, NULL));
    } else if (part->kind == PN_PART_MULTIPART) {
        struct pn_str content = pn_message_content(m);
        dump_bytes(j, "preamble", pn_str_slice(content, part->body, part->preamble_end));
        dump_bytes(j, "epilogue", pn_str_slice(content, part->epilogue, part->end));
    }
    add_fields(j, m, part);
    pn_json_object_end(j);
    pn_buf_fini(&buf);
}

static void dump(const char *path, struct pn_str content)
{
    struct pn_message *m = pn_message_new(content, NULL);
    struct pn_text *text = pn_text_new(DUMP_FILE_MAX);
    struct pn_buf line;
    pn_buf_init(&line, SIZE_MAX);
    struct pn_json j = pn_json_to(&line);
    pn_message_mime(m);
    const char *wrong = message_invariants(m, &pn_message_limits_default);
    pn_json_object(&j, NULL);
    pn_json_str(&j, "file", pn_str_of(path));
    if (wrong != NULL)
        pn_json_str(&j, "wrong", pn_str_of(wrong));
    pn_json_array(&j, "parts");
    for (size_t i = 0; i < pn_message_parts(m); i++)
        add_part(&j, m, pn_message_part(m, i), text);
    pn_json_array_end(&j);
    pn_json_object_end(&j);
    (void)pn_buf_addc(&line, '\n');
    (void)fwrite(line.p, 1, line.len, stdout);
    pn_buf_fini(&line);
    pn_text_free(&text);
    pn_message_free(&m);
}

int main(int argc, char **argv)
{
    struct pn_buf content;
    int status = EXIT_SUCCESS;
    bool crlf = argc > 1 && strcmp(argv[1], "--crlf") == 0;
    bool lf = argc > 1 && strcmp(argv[1], "--lf") == 0;
    pn_buf_init(&content, DUMP_FILE_MAX);
    for (int i = 1 + (crlf || lf); i < argc; i++) {
        struct pn_lines lines;
        pn_lines_init(&lines, lf ? PN_LINES_TO_LF : PN_LINES_TO_CRLF);
        if (dump_read(argv[i], crlf || lf ? &lines : NULL, &content)) {
            dump(argv[i], pn_buf_str(&content));
        } else {
            fprintf(stderr, "mime_dump: %s can't be read\n", argv[i]);
            status = EXIT_FAILURE;
        }
    }
    pn_buf_fini(&content);
    return status;
}
