/* BMP: 1, 4 and 8 bits with a palette, 16, 24 and 32 with or without bit fields, either way up.
 * Compressed ones are refused. */
#include "api/image_formats.h"

struct bmp {
    struct image_job *job;
    size_t width, height, bits, row; /* row: bytes with padding */
    size_t pixels_at, palette_at, palette_size, palette_step;
    bool top_down;
    uint32_t masks[4]; /* red, green, blue, alpha; 0 for none */
};

enum { RGB_PLAIN = 0, BIT_FIELDS = 3, ALPHA_BIT_FIELDS = 6 };

#define BAD(...) fail(bmp->job->err, ERR_IMAGE, "image", __VA_ARGS__)

static bool read_masks(struct bmp *bmp, size_t header, uint32_t compression)
{
    struct bytes file = bmp->job->file;
    static const uint32_t plain[2][4] = { { 0x7c00, 0x3e0, 0x1f, 0 },
                                          { 0xff0000, 0xff00, 0xff, 0 } };
    int count = header >= 56 || compression == ALPHA_BIT_FIELDS ? 4 : 3;

    for (int c = 0; c < 4; c++)
        bmp->masks[c] = plain[bmp->bits == 32][c];
    if (compression == RGB_PLAIN)
        return true;
    if (bmp->bits != 16 && bmp->bits != 32)
        return BAD("the BMP has bit fields in %zu bits", bmp->bits);
    if (file.size < 14 + 40 + 4 * (size_t)count)
        return BAD("the BMP is cut short in its header; send the whole file");
    for (int c = 0; c < count; c++) {
        uint32_t mask = le32(file, 54 + 4 * (size_t)c);

        /* One run of bits: adding the lowest one must carry out of all of them. */
        if ((mask == 0 && c < 3) || (mask && (mask + (mask & -mask)) & mask))
            return BAD("the BMP's bit field %08x is not one run of bits", mask);
        bmp->masks[c] = mask;
    }
    return true;
}

static bool read_header(struct bmp *bmp)
{
    struct bytes file = bmp->job->file;
    size_t header = file.size < 26 ? 0 : le32(file, 14);
    bool old = header == 12;
    uint32_t compression = 0;

    if (header < 12 || (header > 12 && header < 40) || header > 256 || file.size < 14 + header)
        return BAD("the BMP is cut short in its header; send the whole file");
    bmp->width = old ? le16(file, 18) : le32(file, 18);
    bmp->height = old ? le16(file, 20) : le32(file, 22);
    bmp->bits = le16(file, old ? 24 : 28);
    bmp->top_down = !old && bmp->height >> 31;
    if (bmp->top_down)
        bmp->height = (uint32_t)-bmp->height;
    if (!old)
        compression = le32(file, 30);
    if (compression != RGB_PLAIN && compression != BIT_FIELDS && compression != ALPHA_BIT_FIELDS)
        return BAD("the BMP is compressed (kind %u); save it without compression, or as PNG",
                   compression);
    if (bmp->bits != 1 && bmp->bits != 4 && bmp->bits != 8 && bmp->bits != 16 && bmp->bits != 24 &&
        bmp->bits != 32)
        return BAD("the BMP has %zu bits a pixel; 1, 4, 8, 16, 24 and 32 are read", bmp->bits);
    bmp->pixels_at = le32(file, 10);
    bmp->palette_at = 14 + header;
    bmp->palette_step = old ? 3 : 4;
    bmp->palette_size = old || le32(file, 46) == 0 ? (size_t)1 << (bmp->bits & 15) : le32(file, 46);
    return image_fits(bmp->job, bmp->width, bmp->height) && read_masks(bmp, header, compression);
}

/* The field's bits as 0 to 255, rounded. */
static uint8_t field(uint32_t pixel, uint32_t mask)
{
    uint32_t lowest = mask & -mask;
    uint64_t most, bits;

    if (!lowest) /* read_masks() lets none through; for those who only see this function */
        return 0;
    most = mask / lowest;
    bits = (pixel & mask) / lowest;
    return (uint8_t)((bits * 255 + most / 2) / most);
}

static bool read_indices(const struct bmp *bmp, const uint8_t *row, uint8_t *out)
{
    for (size_t x = 0; x < bmp->width; x++, out += 3) {
        size_t bit = x * bmp->bits;
        size_t index = row[bit / 8] >> (8 - bmp->bits - bit % 8) & ((1u << bmp->bits) - 1);
        size_t at = bmp->palette_at + index * bmp->palette_step;

        if (index >= bmp->palette_size)
            return BAD("a pixel of the BMP names colour %zu of a palette of %zu", index,
                       bmp->palette_size);
        for (size_t c = 0; c < 3; c++)
            out[c] = (uint8_t)byte_at(bmp->job->file, at + 2 - c);
    }
    return true;
}

static bool read_row(const struct bmp *bmp, const uint8_t *row, uint8_t *out)
{
    int channels = bmp->job->pixels->channels;

    if (bmp->bits <= 8)
        return read_indices(bmp, row, out);
    for (size_t x = 0; x < bmp->width; x++, out += channels) {
        const uint8_t *p = row + x * bmp->bits / 8;
        uint32_t pixel = p[0] | (uint32_t)p[1] << 8;

        if (bmp->bits == 24) {
            out[0] = p[2];
            out[1] = p[1];
            out[2] = p[0];
            continue;
        }
        if (bmp->bits == 32)
            pixel |= (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        for (int c = 0; c < channels; c++)
            out[c] = field(pixel, bmp->masks[c]);
    }
    return true;
}

static bool check_bounds(const struct bmp *bmp)
{
    struct bytes file = bmp->job->file;
    size_t last = (bmp->width * bmp->bits + 7) / 8; /* the last row may lack its padding */
    size_t need = bmp->pixels_at + bmp->row * (bmp->height - 1) + last;

    if (bmp->pixels_at < bmp->palette_at || file.size < need)
        return BAD(
            "the BMP is cut short: its %zux%zu pixels end at byte %zu of %zu; send the whole "
            "file",
            bmp->width, bmp->height, need, file.size);
    if (bmp->bits <= 8 && (bmp->palette_size > 256 ||
                           bmp->palette_at + bmp->palette_size * bmp->palette_step > file.size))
        return BAD("the BMP's palette of %zu colours does not fit its file", bmp->palette_size);
    return true;
}

bool image_bmp(struct image_job *job)
{
    struct bmp bmp = { .job = job };
    uint8_t *out;

    if (!read_header(&bmp))
        return false;
    bmp.row = (bmp.width * bmp.bits + 31) / 32 * 4;
    if (!check_bounds(&bmp))
        return false;
    out = image_alloc(job, bmp.width, bmp.height, bmp.bits > 8 && bmp.masks[3] ? 4 : 3, 8);
    for (size_t y = 0; out && y < bmp.height; y++) {
        size_t from = bmp.top_down ? y : bmp.height - 1 - y;

        if ((y % 64 == 0 && image_stopped(job)) ||
            !read_row(&bmp, (const uint8_t *)job->file.data + bmp.pixels_at + from * bmp.row,
                      out + y * bmp.width * (size_t)job->pixels->channels))
            return false;
    }
    return out;
}
