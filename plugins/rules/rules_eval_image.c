/* Tests of images: how many, how large, by what their first bytes say. */
#include "rules_eval.h"
#include "rules_text_in.h"

enum { IMAGES_MAX = 100 };

struct image {
    const char *type;
    uint32_t width, height; /* 0: not told */
};

static uint32_t big16(const unsigned char *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t big32(const unsigned char *p)
{
    return big16(p) << 16 | big16(p + 2);
}

static void gif_size(struct postern_str s, struct image *i)
{
    const unsigned char *p = (const unsigned char *)s.p;

    if (s.len < 10 || (memcmp(p, "GIF87a", 6) != 0 && memcmp(p, "GIF89a", 6) != 0))
        return;
    i->width = p[6] | (uint32_t)p[7] << 8;
    i->height = p[8] | (uint32_t)p[9] << 8;
}

static void png_size(struct postern_str s, struct image *i)
{
    const unsigned char *p = (const unsigned char *)s.p;

    if (s.len < 24 || memcmp(p, "\x89PNG\r\n\x1a\n", 8) != 0 || memcmp(p + 12, "IHDR", 4) != 0)
        return;
    i->width = big32(p + 16);
    i->height = big32(p + 20);
}

/* From segment to segment until one tells of a frame. */
static void jpeg_size(struct postern_str s, struct image *i)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t at = 2;

    if (s.len < 4 || p[0] != 0xff || p[1] != 0xd8)
        return;
    while (at + 9 <= s.len && p[at] == 0xff && p[at + 1] != 0xda && p[at + 1] != 0xd9) {
        unsigned mark = p[at + 1];

        if (mark >= 0xc0 && mark <= 0xcf && mark != 0xc4 && mark != 0xc8 && mark != 0xcc) {
            i->height = big16(p + at + 5);
            i->width = big16(p + at + 7);
            return;
        }
        if (big16(p + at + 2) < 2)
            return;
        at += 2 + big16(p + at + 2);
    }
}

/* Those in base64, as senders attach them. */
static size_t images_of(const struct rules_eval_call *c, struct image *out)
{
    static const struct {
        const char *type, *name;
        void (*size)(struct postern_str s, struct image *i);
    } types[] = {{"image/gif", "gif", gif_size},
                 {"image/png", "png", png_size},
                 {"image/jpeg", "jpeg", jpeg_size},
                 {"image/jpg", "jpeg", jpeg_size}};
    size_t count;
    struct rules_part *p = rules_text_parts(c->text, &count);
    size_t n = 0;

    for (size_t i = 0; i < count && n < IMAGES_MAX; i++)
        for (size_t k = 0; k < sizeof(types) / sizeof(types[0]) && n < IMAGES_MAX; k++)
            if (rules_eq(p[i].type, (struct postern_str){types[k].type, strlen(types[k].type)}) &&
                rules_eq(p[i].encoding, POSTERN_STR("base64"))) {
                out[n] = (struct image){types[k].name, 0, 0};
                types[k].size(rules_part_decoded(c->text, &p[i]), &out[n++]);
            }
    return n;
}

static bool is_of(const struct rules_eval_call *c, const struct image *i)
{
    return rules_arg_is(c, 0, "all") || rules_arg_is(c, 0, i->type);
}

/* arg[at] <= value, and <= arg[at + 1] where that is given. */
static bool in_range(const struct rules_eval_call *c, size_t at, double value)
{
    return value >= rules_arg_number(c, at) &&
           (c->args <= at + 1 || value <= rules_arg_number(c, at + 1));
}

static double count_images(const struct rules_eval_call *c)
{
    struct image image[IMAGES_MAX];
    size_t n = images_of(c, image);
    double count = 0;

    for (size_t i = 0; i < n; i++)
        count += is_of(c, &image[i]);
    return in_range(c, 1, count);
}

static double pixels(const struct rules_eval_call *c)
{
    struct image image[IMAGES_MAX];
    size_t n = images_of(c, image);
    double area = 0;

    for (size_t i = 0; i < n; i++)
        if (is_of(c, &image[i]))
            area += (double)image[i].width * image[i].height;
    return area;
}

static double coverage(const struct rules_eval_call *c)
{
    return in_range(c, 1, pixels(c));
}

static double to_text(const struct rules_eval_call *c)
{
    double area = pixels(c);
    double text = (double)rules_text_body(c->text).text.len;
    double ratio = area > 0 ? text / area : 0;

    return area > 0 && text > 0 && ratio >= rules_arg_number(c, 1) &&
           ratio < rules_arg_number(c, 2);
}

static double exact_size(const struct rules_eval_call *c)
{
    struct image image[IMAGES_MAX];
    size_t n = images_of(c, image);

    for (size_t i = 0; i < n; i++)
        if (is_of(c, &image[i]) && image[i].height == rules_arg_number(c, 1) &&
            image[i].width == rules_arg_number(c, 2) && image[i].width > 0)
            return 1;
    return 0;
}

static double size_range(const struct rules_eval_call *c)
{
    struct image image[IMAGES_MAX];
    size_t n = images_of(c, image);

    for (size_t i = 0; i < n; i++)
        if (is_of(c, &image[i]) && image[i].width > 0 &&
            image[i].height >= rules_arg_number(c, 1) && image[i].width >= rules_arg_number(c, 2) &&
            (c->args < 4 || image[i].height <= rules_arg_number(c, 3)) &&
            (c->args < 5 || image[i].width <= rules_arg_number(c, 4)))
            return 1;
    return 0;
}

const struct rules_eval rules_eval_image[] = {{"image_count", count_images, 2, 3, 0, false},
                                              {"pixel_coverage", coverage, 2, 3, 0, false},
                                              {"image_to_text_ratio", to_text, 3, 3, 0, false},
                                              {"image_size_exact", exact_size, 3, 3, 0, false},
                                              {"image_size_range", size_range, 3, 5, 0, false},
                                              {.name = NULL}};
