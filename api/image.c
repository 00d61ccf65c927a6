/* One door for all picture formats: sniffing, the limits they all keep, pixels to planes. */
#include "api/image_formats.h"

#include <stdlib.h>
#include <string.h>

static bool starts(struct bytes file, size_t at, const char *magic, size_t size)
{
    return file.size >= at + size && memcmp(file.data + at, magic, size) == 0;
}

#define STARTS(at, magic) starts(file, at, magic, sizeof(magic) - 1)

/* A little-endian length, then a JSON header of that length. */
static bool is_safetensors(struct bytes file)
{
    return file.size > 9 && file.data[8] == '{' && le32(file, 4) == 0 &&
           le32(file, 0) <= file.size - 8;
}

static bool is_json(struct bytes file)
{
    size_t i = 0;

    while (i < file.size && strchr(" \t\r\n", file.data[i]) && file.data[i])
        i++;
    return i < file.size && (file.data[i] == '{' || file.data[i] == '[');
}

enum media media_sniff(struct bytes file)
{
    if (STARTS(0, "\x89PNG\r\n\x1a\n"))
        return MEDIA_PNG;
    if (STARTS(0, "\xff\xd8\xff"))
        return MEDIA_JPEG;
    if (STARTS(0, "BM"))
        return MEDIA_BMP;
    if (file.size > 2 && file.data[0] == 'P' && file.data[1] >= '1' && file.data[1] <= '7' &&
        strchr(" \t\r\n#", file.data[2]) && file.data[2])
        return MEDIA_PNM;
    if (STARTS(0, "\x93NUMPY"))
        return MEDIA_NPY;
    if (STARTS(0, "GIF8"))
        return MEDIA_GIF;
    if (STARTS(0, "RIFF") && STARTS(8, "WEBP"))
        return MEDIA_WEBP;
    if (STARTS(4, "ftyp"))
        return MEDIA_AVIF;
    if (STARTS(0, "II*\0") || STARTS(0, "MM\0*"))
        return MEDIA_TIFF;
    if (is_safetensors(file))
        return MEDIA_SAFETENSORS;
    return is_json(file) ? MEDIA_JSON : MEDIA_UNKNOWN;
}

bool image_fits(struct image_job *job, size_t width, size_t height)
{
    size_t count;

    if (width == 0 || height == 0)
        return fail(job->err, ERR_IMAGE, "image",
                    "the picture says that it is %zux%zu pixels "
                    "large; it must have at least one",
                    width, height);
    if (checked_mul(width, height, &count) && count <= job->limits->pixels &&
        width <= INT32_MAX / 8 && height <= INT32_MAX / 8)
        return true;
    fail(job->err, ERR_TOO_LARGE, "image",
         "the picture is %zux%zu pixels large; the limit is %zu "
         "pixels (--max-pixels); send a smaller one",
         width, height, job->limits->pixels);
    job->err->ranged = true;
    job->err->value = (double)width * (double)height;
    job->err->min = 1;
    job->err->max = (double)job->limits->pixels;
    return false;
}

void *image_alloc(struct image_job *job, size_t width, size_t height, int channels, int depth)
{
    void *room = NULL;

    if (!image_fits(job, width, height))
        return NULL;
    room = arena_alloc(job->arena, width * height, (size_t)channels * (depth == 16 ? 2 : 1));
    if (!room)
        fail(job->err, ERR_TOO_LARGE, "image",
             "the picture of %zux%zu pixels does not fit this "
             "request's memory; send a smaller one",
             width, height);
    *job->pixels = (struct pixels){ (int)width, (int)height, channels, depth, room };
    return room;
}

bool image_stopped(const struct image_job *job)
{
    if (!job->limits->stop || !atomic_load_explicit(job->limits->stop, memory_order_relaxed))
        return false;
    fail(job->err, ERR_DEADLINE, "",
         "the deadline passed while the picture was decoded; send a "
         "smaller one or raise timeout_ms");
    return true;
}

static bool decode(struct image_job *job, const char **format)
{
    static const char *const foreign[] = { [MEDIA_NPY] = "an npy array",
                                           [MEDIA_JSON] = "JSON",
                                           [MEDIA_GIF] = "a GIF",
                                           [MEDIA_WEBP] = "a WebP",
                                           [MEDIA_AVIF] = "an AVIF or HEIF",
                                           [MEDIA_TIFF] = "a TIFF",
                                           [MEDIA_SAFETENSORS] = "a safetensors file" };
    enum media media = media_sniff(job->file);

    switch (media) {
    case MEDIA_PNG:
        *format = "png";
        return image_png(job);
    case MEDIA_JPEG:
        *format = "jpeg";
        return image_jpeg(job);
    case MEDIA_BMP:
        *format = "bmp";
        return image_bmp(job);
    case MEDIA_PNM:
        *format = "pnm";
        return image_pnm(job);
    default:
        if (job->file.size == 0)
            return fail(job->err, ERR_IMAGE, "image",
                        "the picture is empty; send a PNG, JPEG, BMP "
                        "or PNM (PGM, PPM) file");
        return fail(job->err, ERR_MEDIA, "image",
                    "the picture is %s; accepted are PNG, JPEG, BMP "
                    "and PNM (PGM, PPM)",
                    media == MEDIA_UNKNOWN ? "of an unknown format" : foreign[media]);
    }
}

struct picture_info image_info(const struct pixels *pixels, const char *format)
{
    return (struct picture_info){ .count = 1,
                                  .width = pixels->width,
                                  .height = pixels->height,
                                  .channels = pixels->channels,
                                  .depth = pixels->depth,
                                  .format = format };
}

bool image_decode(struct bytes file, const struct limits *limits, struct arena *arena,
                  struct pixels *pixels, struct picture_info *info, struct error *err)
{
    struct image_job job = { file, limits, arena, pixels, err };
    const char *format = NULL;

    *pixels = (struct pixels){ 0 };
    if (!decode(&job, &format)) {
        *pixels = (struct pixels){ 0 };
        return false;
    }
    *info = image_info(pixels, format);
    return true;
}

int image_channels(const struct pixels *pixels, enum channels want)
{
    switch (want) {
    case CHANNELS_1:
        return 1;
    case CHANNELS_3:
        return 3;
    case CHANNELS_4:
        return 4;
    case CHANNELS_AUTO:
        break;
    }
    return pixels->channels >= 3 ? 3 : 1;
}

/* What one output channel is made of. */
struct recipe {
    int from; /* the picture's channel, or one of these two */
    float scale, mean, std;
    float table[256]; /* every 8-bit sample's value, so that a pixel costs one load */
};
enum { FROM_NOTHING = -1, FROM_LUMA = -2 };

static float value(const struct recipe *recipe, unsigned sample)
{
    return ((float)sample * recipe->scale - recipe->mean) / recipe->std;
}

static unsigned luma(unsigned r, unsigned g, unsigned b)
{
    return (299 * r + 587 * g + 114 * b + 500) / 1000;
}

#define SAMPLE(p, opaque)                                                                          \
    (recipe->from >= 0           ? (p)[recipe->from]                                               \
     : recipe->from == FROM_LUMA ? luma((p)[0], (p)[1], (p)[2])                                    \
                                 : (opaque))

static void plane_of_bytes(const struct pixels *pixels, const struct recipe *recipe, float *plane)
{
    size_t count = (size_t)pixels->width * (size_t)pixels->height, step = (size_t)pixels->channels;
    const uint8_t *p = pixels->data;

    if (recipe->from >= 0) { /* nearly always */
        p += recipe->from;
        for (size_t i = 0; i < count; i++, p += step)
            plane[i] = recipe->table[*p];
        return;
    }
    for (size_t i = 0; i < count; i++, p += pixels->channels)
        plane[i] = recipe->table[SAMPLE(p, UINT8_MAX)];
}

static void plane_of_words(const struct pixels *pixels, const struct recipe *recipe, float *plane)
{
    size_t count = (size_t)pixels->width * (size_t)pixels->height;
    const uint16_t *p = pixels->data;

    for (size_t i = 0; i < count; i++, p += pixels->channels)
        plane[i] = value(recipe, SAMPLE(p, UINT16_MAX));
}

void image_planes(const struct pixels *pixels, enum channels want, const struct fields *fields,
                  float *planes)
{
    bool colour = pixels->channels >= 3, alpha = pixels->channels % 2 == 0;
    int channels = image_channels(pixels, want);

    for (int c = 0; c < channels; c++) {
        struct recipe recipe = { .from = colour ? c : 0,
                                 .scale = fields->input_scale,
                                 .mean = fields->mean[c],
                                 .std = fields->std[c] };

        if (c == 3)
            recipe.from = alpha ? pixels->channels - 1 : FROM_NOTHING;
        else if (colour && channels == 1)
            recipe.from = FROM_LUMA;
        for (unsigned v = 0; v < 256; v++)
            recipe.table[v] = value(&recipe, v);
        (pixels->depth == 16 ? plane_of_words : plane_of_bytes)(pixels, &recipe, planes);
        planes += (size_t)pixels->width * (size_t)pixels->height;
    }
}
