/* libpng, read from memory. */
#include "tests/http/png_read.h"
#include "tests/http/harness.h"

#include <png.h>
#include <stdlib.h>

struct source {
    const char *at, *end;
};

static void take(png_structp png, png_bytep out, size_t size)
{
    struct source *source = png_get_io_ptr(png);

    if ((size_t)(source->end - source->at) < size)
        png_error(png, "the file ends early");
    memcpy(out, source->at, size);
    source->at += size;
}

static void complain(__attribute__((unused)) png_structp png, const char *message)
{
    fail_msg("libpng: %s", message);
}

void png_read_pixels(struct png_pixels *pixels, const void *file, size_t size)
{
    struct source source = { file, (const char *)file + size };
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, complain, complain);
    png_infop info = png_create_info_struct(png);
    png_bytep *rows, data;
    size_t row;

    png_set_read_fn(png, &source, take);
    png_read_info(png, info);
    png_set_palette_to_rgb(png);
    if (png_get_color_type(png, info) == PNG_COLOR_TYPE_GRAY)
        png_set_expand_gray_1_2_4_to_8(png);
    png_set_interlace_handling(png);
    if (png_get_bit_depth(png, info) == 16)
        png_set_swap(png);
    png_read_update_info(png, info);
    pixels->width = (int)png_get_image_width(png, info);
    pixels->height = (int)png_get_image_height(png, info);
    pixels->channels = png_get_channels(png, info);
    pixels->depth = png_get_bit_depth(png, info);
    row = png_get_rowbytes(png, info);
    pixels->data = data = keep(malloc(row * (size_t)pixels->height));
    rows = keep(malloc(sizeof *rows * (size_t)pixels->height));
    for (int y = 0; y < pixels->height; y++)
        rows[y] = data + row * (size_t)y;
    png_read_image(png, rows);
    png_read_end(png, NULL);
    png_destroy_read_struct(&png, &info, NULL);
}
