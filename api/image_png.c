/* PNG, all of it: every colour type and depth, interlaced too. Over libdeflate, which knows how
 * large the result must be, so that a small file cannot become a large one; each checksum is
 * looked at, and a palette is never read past its end. */
#include "api/image_formats.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

enum { GREY = 0, RGB = 2, PALETTE = 3, GREY_ALPHA = 4, RGB_ALPHA = 6 };
enum { EXTRA = 65536 }; /* bytes behind the last row that some encoders leave */

struct png {
    struct image_job *job;
    size_t width, height;
    int depth, colour, samples; /* samples of a pixel in the file */
    bool interlaced, keyed;     /* keyed: one colour (key) is transparent */
    unsigned key[3];
    uint8_t palette[256][4];
    unsigned palette_size, palette_alphas;
    size_t data_at, data_size, data_chunks; /* the first IDAT's place; bytes of all; their number */
};

#define BAD(...) fail(png->job->err, ERR_IMAGE, "image", __VA_ARGS__)

static bool read_header(struct png *png, struct bytes body)
{
    static const struct {
        int samples, depths; /* depths: a bit for each */
    } colours[] = { [GREY] = { 1, 1 | 2 | 4 | 8 | 16 },
                    [RGB] = { 3, 8 | 16 },
                    [PALETTE] = { 1, 1 | 2 | 4 | 8 },
                    [GREY_ALPHA] = { 2, 8 | 16 },
                    [RGB_ALPHA] = { 4, 8 | 16 } };

    if (body.size != 13)
        return BAD("the PNG's header has %zu bytes in place of 13", body.size);
    png->width = be32(body, 0);
    png->height = be32(body, 4);
    png->depth = (int)byte_at(body, 8);
    png->colour = (int)byte_at(body, 9);
    if (png->colour > RGB_ALPHA || (png->depth & (png->depth - 1)) ||
        !(colours[png->colour].depths & png->depth))
        return BAD("the PNG says colour type %d with %d bits, which PNG does not have", png->colour,
                   png->depth);
    if (byte_at(body, 10) || byte_at(body, 11) || byte_at(body, 12) > 1)
        return BAD(
            "the PNG uses compression %u, filter %u, interlace %u; PNG knows 0, 0 and 0 or 1",
            byte_at(body, 10), byte_at(body, 11), byte_at(body, 12));
    png->samples = colours[png->colour].samples;
    png->interlaced = byte_at(body, 12);
    return image_fits(png->job, png->width, png->height);
}

static bool read_palette(struct png *png, struct bytes body)
{
    if (body.size == 0 || body.size % 3 || body.size > 768 || png->palette_size)
        return BAD("the PNG's palette of %zu bytes is damaged", body.size);
    png->palette_size = (unsigned)body.size / 3;
    for (size_t i = 0; i < png->palette_size; i++) {
        memcpy(png->palette[i], body.data + 3 * i, 3);
        png->palette[i][3] = 255;
    }
    return true;
}

static bool read_transparency(struct png *png, struct bytes body)
{
    if (png->colour == PALETTE) {
        if (body.size == 0 || body.size > png->palette_size)
            return BAD("the PNG gives %zu palette entries an alpha, but has %u", body.size,
                       png->palette_size);
        png->palette_alphas = (unsigned)body.size;
        for (size_t i = 0; i < body.size; i++)
            png->palette[i][3] = (uint8_t)body.data[i];
        return true;
    }
    if (png->samples % 2 == 0 || body.size != 2 * (size_t)png->samples)
        return BAD("the PNG's transparent colour has %zu bytes, which does not fit its colour type",
                   body.size);
    png->keyed = true;
    for (int i = 0; i < png->samples; i++)
        png->key[i] = be16(body, 2 * (size_t)i) & ((1u << png->depth) - 1);
    return true;
}

static bool note_data(struct png *png, struct bytes body)
{
    size_t at = (size_t)(body.data - png->job->file.data);

    if (png->data_chunks == 0)
        png->data_at = at;
    else if (at != png->data_at + png->data_size + 12 * png->data_chunks)
        return BAD("the PNG's data chunks do not follow one another");
    png->data_size += body.size;
    png->data_chunks++;
    return true;
}

static bool read_chunk(struct png *png, uint32_t type, struct bytes body, bool *end)
{
    switch (type) {
    case 0x49484452: /* IHDR */
        return png->samples ? BAD("the PNG has two headers") : read_header(png, body);
    case 0x504c5445: /* PLTE */
        return read_palette(png, body);
    case 0x74524e53: /* tRNS */
        return read_transparency(png, body);
    case 0x49444154: /* IDAT */
        return note_data(png, body);
    case 0x49454e44: /* IEND */
        *end = true;
        return true;
    default:
        if (type & 1u << 29) /* a small first letter: we may pass it over */
            return true;
        return BAD("the PNG has a chunk %08x that a reader may not ignore and this one does not "
                   "know",
                   type);
    }
}

static bool read_chunks(struct png *png)
{
    struct bytes file = png->job->file;
    bool end = false;

    for (size_t at = 8; !end;) {
        uint32_t type;
        struct bytes body;

        if (file.size - at < 12 || be32(file, at) > file.size - at - 12)
            return BAD("the PNG is cut short at byte %zu; send the whole file", file.size);
        body = (struct bytes){ file.data + at + 8, be32(file, at) };
        type = be32(file, at + 4);
        if (at == 8 && type != 0x49484452)
            return BAD("the PNG does not begin with its header (IHDR)");
        if (!(type & 1u << 29) && libdeflate_crc32(0, file.data + at + 4, body.size + 4) !=
                                      be32(file, at + 8 + body.size))
            return BAD("the PNG is damaged: the checksum of the chunk at byte %zu is wrong", at);
        if (!read_chunk(png, type, body, &end))
            return false;
        at += body.size + 12;
    }
    if (png->colour == PALETTE && png->palette_size == 0)
        return BAD("the PNG has indices but no palette");
    return png->data_chunks ? true : BAD("the PNG has no picture data");
}

/* Adam7: seven small pictures; a plain PNG is the one pass that takes every pixel. */
struct pass {
    size_t left, top, right, down; /* the first pixel, and the steps to the next */
    size_t width, height, row;     /* in pixels; bytes of a row without its filter byte */
};

static struct pass pass_of(const struct png *png, int index)
{
    static const uint8_t adam7[7][4] = { { 0, 0, 8, 8 }, { 4, 0, 8, 8 }, { 0, 4, 4, 8 },
                                         { 2, 0, 4, 4 }, { 0, 2, 2, 4 }, { 1, 0, 2, 2 },
                                         { 0, 1, 1, 2 } };
    struct pass pass = { 0, 0, 1, 1, png->width, png->height, 0 };

    if (png->interlaced) {
        const uint8_t *a = adam7[index];

        pass = (struct pass){ a[0], a[1], a[2], a[3], 0, 0, 0 };
        pass.width = (png->width + a[2] - 1 - a[0]) / a[2];
        pass.height = (png->height + a[3] - 1 - a[1]) / a[3];
    }
    pass.row = (pass.width * (size_t)png->samples * (size_t)png->depth + 7) / 8;
    if (pass.width == 0)
        pass.height = 0;
    return pass;
}

/* The neighbour that is nearest to left + up - corner. Selections, not branches: nobody can guess. */
static inline int paeth(int left, int up, int corner)
{
    int by_left = abs(up - corner), by_up = abs(left - corner);
    int by_corner = abs(left + up - 2 * corner), nearest = left;

    nearest = by_up < by_left ? up : nearest;
    by_left = by_up < by_left ? by_up : by_left;
    return by_corner < by_left ? corner : nearest;
}

/* The filters that look to the left: each channel's neighbours stay in registers. */
static inline __attribute__((always_inline)) void
unfilter_left(int filter, uint8_t *row, const uint8_t *above, size_t size, size_t gap)
{
    int left[8] = { 0 }, corner[8] = { 0 };

    for (size_t i = 0; i + gap <= size; i += gap)
#pragma GCC unroll 8
        for (size_t c = 0; c < gap; c++) {
            int up = above[i + c], guess = left[c];

            if (filter == 3)
                guess = (left[c] + up) / 2;
            if (filter == 4)
                guess = paeth(left[c], up, corner[c]);
            row[i + c] = (uint8_t)(row[i + c] + guess);
            left[c] = row[i + c];
            corner[c] = up;
        }
}

#define UNFILTER_LEFT(filter)                                                                      \
    gap == 1   ? unfilter_left(filter, row, above, size, 1)                                        \
    : gap == 2 ? unfilter_left(filter, row, above, size, 2)                                        \
    : gap == 3 ? unfilter_left(filter, row, above, size, 3)                                        \
    : gap == 4 ? unfilter_left(filter, row, above, size, 4)                                        \
               : unfilter_left(filter, row, above, size, gap)

/* row: [size] bytes as filtered, made whole in place; above: the row above, or zeros. gap: bytes
 * of a whole pixel (1..8), the distance to its left neighbour; size is a multiple of it. */
static bool unfilter(int filter, uint8_t *row, const uint8_t *above, size_t size, size_t gap)
{
    switch (filter) {
    case 0:
        break;
    case 1:
        UNFILTER_LEFT(1);
        break;
    case 2:
        for (size_t i = 0; i < size; i++)
            row[i] = (uint8_t)(row[i] + above[i]);
        break;
    case 3:
        UNFILTER_LEFT(3);
        break;
    case 4:
        UNFILTER_LEFT(4);
        break;
    default:
        return false;
    }
    return true;
}

static unsigned sample(const struct png *png, const uint8_t *row, size_t i)
{
    size_t bit = i * (size_t)png->depth;

    if (png->depth == 16)
        return (unsigned)row[2 * i] << 8 | row[2 * i + 1];
    return row[bit / 8] >> (8 - (size_t)png->depth - bit % 8) & ((1u << png->depth) - 1);
}

static void put(const struct png *png, void *pixel, int channel, unsigned value)
{
    if (png->depth == 16)
        ((uint16_t *)pixel)[channel] = (uint16_t)value;
    else
        ((uint8_t *)pixel)[channel] = (uint8_t)value;
}

/* One pixel of the row as the picture has it; false when its index is past the palette. */
static bool expand(const struct png *png, const uint8_t *row, size_t x, void *pixel)
{
    unsigned white = png->depth == 16 ? 65535 : 255, scale = 1;
    int channels = png->job->pixels->channels;
    bool transparent = true;

    if (png->colour == PALETTE) {
        unsigned index = sample(png, row, x);

        memcpy(pixel, png->palette[index], (size_t)channels);
        return index < png->palette_size;
    }
    if (png->depth < 8)
        scale = 255 / ((1u << png->depth) - 1);
    for (int c = 0; c < png->samples; c++) {
        unsigned value = sample(png, row, x * (size_t)png->samples + (size_t)c);

        transparent = transparent && value == png->key[c % 3];
        put(png, pixel, c, value * scale);
    }
    if (png->keyed)
        put(png, pixel, channels - 1, transparent ? 0 : white);
    return true;
}

/* raw: the pass's filtered rows, each behind its filter byte; they are made whole in place. */
static bool read_pass(const struct png *png, const struct pass *pass, uint8_t *raw,
                      const uint8_t *zeros, uint8_t *out)
{
    size_t gap = ((size_t)png->samples * (size_t)png->depth + 7) / 8;
    size_t pixel = (size_t)png->job->pixels->channels * (png->depth == 16 ? 2 : 1);
    bool plain = pass->right == 1 && png->depth == 8 && png->colour != PALETTE && !png->keyed;
    const uint8_t *above = zeros;

    for (size_t y = 0; y < pass->height; y++, raw += pass->row + 1) {
        uint8_t *to = out + ((pass->top + y * pass->down) * png->width + pass->left) * pixel;

        if (!unfilter(raw[0], raw + 1, above, pass->row, gap))
            return BAD("the PNG is damaged: row %zu has filter %u", y, raw[0]);
        above = raw + 1;
        if (y % 64 == 0 && image_stopped(png->job))
            return false;
        if (plain) {
            memcpy(to, above, pass->row);
            continue;
        }
        for (size_t x = 0; x < pass->width; x++, to += pass->right * pixel)
            if (!expand(png, above, x, to))
                return BAD("the PNG's pixel %zu of row %zu names a colour past its palette of %u",
                           x, y, png->palette_size);
    }
    return true;
}

static bool out_of_memory(const struct png *png)
{
    return fail(png->job->err, ERR_TOO_LARGE, "image",
                "decoding the PNG of %zux%zu pixels needs "
                "more than this request's memory; send a smaller one",
                png->width, png->height);
}

/* The data of all chunks as one: a view into the file when there is one, else a copy. */
static const char *gather(const struct png *png)
{
    const char *from = png->job->file.data + png->data_at;
    size_t length;
    char *all, *to;

    if (png->data_chunks == 1)
        return from;
    all = to = arena_alloc(png->job->arena, png->data_size, 1);
    for (size_t i = 0; all && i < png->data_chunks; i++, from += length + 12, to += length) {
        length = be32((struct bytes){ from - 8, 4 }, 0);
        memcpy(to, from, length);
    }
    return all;
}

static bool inflate(const struct png *png, uint8_t *raw, size_t size)
{
    const char *data = gather(png);
    struct libdeflate_decompressor *inflater;
    enum libdeflate_result result;
    size_t got = 0;

    if (!data)
        return out_of_memory(png);
    inflater = libdeflate_alloc_decompressor();
    if (!inflater)
        return fail(png->job->err, ERR_BUSY, "", "no memory to inflate the PNG; try again");
    result = libdeflate_zlib_decompress(inflater, data, png->data_size, raw, size + EXTRA, &got);
    libdeflate_free_decompressor(inflater);
    if (result == LIBDEFLATE_INSUFFICIENT_SPACE)
        return BAD("the PNG inflates to more than the %zu bytes that its %zux%zu pixels take", size,
                   png->width, png->height);
    if (result != LIBDEFLATE_SUCCESS)
        return BAD("the PNG's data is damaged; encode the picture again");
    if (got < size)
        return BAD("the PNG is cut short: it has %zu of the %zu bytes of its %zux%zu pixels", got,
                   size, png->width, png->height);
    return true;
}

static bool read_rows(const struct png *png, uint8_t *out)
{
    int passes = png->interlaced ? 7 : 1;
    size_t size = 0, widest = pass_of(png, passes - 1).row;
    uint8_t *raw, *zeros;
    bool ok;

    for (int p = 0; p < passes; p++)
        size += pass_of(png, p).height * (pass_of(png, p).row + 1);
    raw = arena_alloc(png->job->arena, size + EXTRA, 1);
    zeros = arena_zeroed(png->job->arena, widest + 8, 1);
    if (!raw || !zeros)
        return out_of_memory(png);
    ok = inflate(png, raw, size);
    for (int p = 0; ok && p < passes; p++) {
        struct pass pass = pass_of(png, p);

        ok = read_pass(png, &pass, raw, zeros, out);
        raw += pass.height * (pass.row + 1);
    }
    return ok;
}

bool image_png(struct image_job *job)
{
    struct png png = { .job = job };
    struct arena_mark mark;
    int channels;
    uint8_t *out;
    bool ok;

    if (!read_chunks(&png))
        return false;
    channels = png.samples + png.keyed;
    if (png.colour == PALETTE)
        channels = png.palette_alphas ? 4 : 3;
    out = image_alloc(job, png.width, png.height, channels, png.depth == 16 ? 16 : 8);
    if (!out)
        return false;
    mark = arena_save(job->arena);
    ok = read_rows(&png, out);
    arena_restore(job->arena, mark);
    return ok;
}
