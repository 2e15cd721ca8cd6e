/* Tests of HTML parts: any one that says yes is enough. */
#include "rules_eval.h"
#include "rules_text_in.h"

/* A page's figure by the name that rules have for it; false: it has none. */
static bool figure(const struct rules_html *h, struct postern_str name, double *out)
{
    static const char *const names[] = {"length",
                                        "max_size",
                                        "min_size",
                                        "obfuscation_ratio",
                                        "closed_extra_ratio",
                                        "bad_tag_ratio",
                                        "non_element_ratio",
                                        "image_area",
                                        "non_space_len",
                                        "html_length"};
    double tags = h->tags;
    double seen = h->tags_seen;
    double values[] = {(double)h->length,
                       h->max_size,
                       h->min_size,
                       h->obfuscation / (tags > 0 ? tags : 1),
                       h->closed_extra / (tags > 0 ? tags : 1),
                       (tags - h->elements) / (tags > 0 ? tags : 1),
                       (seen - h->elements_seen) / (seen > 0 ? seen : 1),
                       h->image_area,
                       (double)h->non_space,
                       (double)h->rendered_length};
    bool defined[] = {true,
                      true,
                      true,
                      tags > 0 && h->obfuscation > 0,
                      tags > 0,
                      tags > 0 && h->elements > 0,
                      seen > 0 && h->elements_seen > 0,
                      true,
                      true,
                      true};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (rules_is(name, names[i])) {
            *out = values[i];
            return defined[i];
        }
    return false;
}

/* fn for each page until one says yes. */
typedef bool page_test(const struct rules_eval_call *c, const struct rules_html *h);

static double any(const struct rules_eval_call *c, page_test *fn)
{
    for (size_t i = 0; i < rules_text_pages(c->text); i++)
        if (c->text->pages[i] != NULL && fn(c, c->text->pages[i]))
            return 1;
    return 0;
}

static bool range_of(const struct rules_eval_call *c, const struct rules_html *h)
{
    double value;

    return figure(h, c->arg[0], &value) && rules_arg_range(c, 1, value);
}

static double range(const struct rules_eval_call *c)
{
    return any(c, range_of);
}

/* "!= 0", "< 512" */
static bool compares(double value, struct postern_str expression)
{
    struct postern_str op = rules_word(&expression);
    struct rules_eval_call c = {.arg = &expression, .args = 1};
    double n = rules_arg_number(&c, 0);

    if (rules_eq(op, POSTERN_STR("!=")))
        return value != n;
    if (rules_eq(op, POSTERN_STR("==")))
        return value == n;
    if (rules_eq(op, POSTERN_STR("<")))
        return value < n;
    if (rules_eq(op, POSTERN_STR("<=")))
        return value <= n;
    if (rules_eq(op, POSTERN_STR(">")))
        return value > n;
    return rules_eq(op, POSTERN_STR(">=")) && value >= n;
}

static bool eval_of(const struct rules_eval_call *c, const struct rules_html *h)
{
    double value;

    return figure(h, c->arg[0], &value) && compares(value, c->arg[1]);
}

static double html_eval(const struct rules_eval_call *c)
{
    return any(c, eval_of);
}

static bool balance_of(const struct rules_eval_call *c, const struct rules_html *h)
{
    const struct rules_tag_count *t = rules_html_tag(h, c->arg[0]);

    return t != NULL && compares(t->open, c->arg[1]);
}

static double tag_balance(const struct rules_eval_call *c)
{
    return any(c, balance_of);
}

static bool exists_in(const struct rules_eval_call *c, const struct rules_html *h)
{
    return rules_html_tag(h, c->arg[0]) != NULL;
}

static double tag_exists(const struct rules_eval_call *c)
{
    return any(c, exists_in);
}

static bool test_of(const struct rules_eval_call *c, const struct rules_html *h)
{
    if (rules_arg_is(c, 0, "html"))
        return true;
    if (rules_arg_is(c, 0, "font_low_contrast"))
        return h->low_contrast;
    if (rules_arg_is(c, 0, "font_face_bad"))
        return h->bad_face;
    if (rules_arg_is(c, 0, "font_invalid_color"))
        return h->invalid_color;
    if (rules_arg_is(c, 0, "embeds"))
        return h->embeds;
    return rules_arg_is(c, 0, "form_action_mailto") && h->mailto_form;
}

static double html_test(const struct rules_eval_call *c)
{
    return any(c, test_of);
}

static bool match_of(const struct rules_eval_call *c, const struct rules_html *h)
{
    static const char *const kinds[] = {"comment", "anchor", "title", "script"};

    for (size_t i = 0; i < h->text_count; i++)
        if (rules_arg_is(c, 0, kinds[h->texts[i].kind]) && rules_arg_matches(c, h->texts[i].text))
            return true;
    return false;
}

static double text_match(const struct rules_eval_call *c)
{
    return any(c, match_of);
}

static bool image_only_of(const struct rules_eval_call *c, const struct rules_html *h)
{
    return rules_html_tag(h, POSTERN_STR("img")) != NULL &&
           rules_arg_range(c, 0, (double)h->length);
}

static double image_only(const struct rules_eval_call *c)
{
    return any(c, image_only_of);
}

static bool image_ratio_of(const struct rules_eval_call *c, const struct rules_html *h)
{
    return h->image_area > 0 && rules_arg_range(c, 0, (double)h->non_space / h->image_area);
}

static double image_ratio(const struct rules_eval_call *c)
{
    return any(c, image_ratio_of);
}

static bool title_ratio_of(const struct rules_eval_call *c, const struct rules_html *h)
{
    struct postern_str subject = rules_text_get_one(c->text, "Subject");

    for (size_t i = 0; i < h->text_count && subject.len > 0; i++)
        if (h->texts[i].kind == RULES_TITLE &&
            (double)h->texts[i].text.len / (double)subject.len > rules_arg_number(c, 0))
            return true;
    return false;
}

static double title_subject_ratio(const struct rules_eval_call *c)
{
    return any(c, title_ratio_of);
}

static bool iframe_of(const struct rules_eval_call *c, const struct rules_html *h)
{
    (void)c;
    for (size_t i = 0; i < h->uri_count; i++)
        if ((h->uris[i].where & RULES_URI_IFRAME) != 0)
            return true;
    return false;
}

static double iframe_src(const struct rules_eval_call *c)
{
    return any(c, iframe_of);
}

const struct rules_eval rules_eval_html[] = {
    {"html_range", range, 2, 3, 0, false},
    {"html_eval", html_eval, 2, 2, 0, false},
    {"html_tag_balance", tag_balance, 2, 2, 0, false},
    {"html_tag_exists", tag_exists, 1, 1, 0, false},
    {"html_test", html_test, 1, 1, 0, false},
    {"html_text_match", text_match, 2, 2, 2, false},
    {"html_image_only", image_only, 2, 2, 0, false},
    {"html_image_ratio", image_ratio, 2, 2, 0, false},
    {"html_title_subject_ratio", title_subject_ratio, 1, 1, 0, false},
    {"check_iframe_src", iframe_src, 0, 0, 0, false},
    {.name = NULL}};
