/* Pixels to PNG: ours, stb_image_write, libspng; and libdeflate on the rows that we filtered. */
#include "api/image.h"
#include "tests/bench/race_codecs.h"

#include <libdeflate.h>
#include <spng.h>
#include <stdlib.h>
#include <string.h>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>

static size_t png_by(const struct race *race, int level, char *out)
{
    struct png png = race->png;
    struct bytes file;
    struct error err;

    png.level = level;
    if (!png_write(&png, NULL, race->arena, &file, &err))
        die(err.detail);
    memcpy(out, file.data, file.size);
    return file.size;
}

static size_t png_ours(const struct race *race, char *out)
{
    return png_by(race, 1, out);
}

static size_t png_stored(const struct race *race, char *out)
{
    return png_by(race, 0, out);
}

static size_t png_stb(const struct race *race, char *out)
{
    const struct png *png = &race->png;
    int size = 0;
    unsigned char *file = stbi_write_png_to_mem(png->pixels, png->width * png->channels, png->width,
                                                png->height, png->channels, &size);

    memcpy(out, file, (size_t)size);
    free(file);
    return (size_t)size;
}

static size_t png_spng(const struct race *race, char *out)
{
    const struct png *png = &race->png;
    struct spng_ihdr header = { .width = (uint32_t)png->width,
                                .height = (uint32_t)png->height,
                                .bit_depth = 8,
                                .color_type = png->channels == 3 ? SPNG_COLOR_TYPE_TRUECOLOR
                                                                 : SPNG_COLOR_TYPE_GRAYSCALE };
    spng_ctx *context = spng_ctx_new(SPNG_CTX_ENCODER);
    size_t size;
    int error;
    void *file;

    spng_set_option(context, SPNG_ENCODE_TO_BUFFER, 1);
    spng_set_option(context, SPNG_IMG_COMPRESSION_LEVEL, 1);
    spng_set_ihdr(context, &header);
    if (spng_encode_image(context, png->pixels, race->units, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE))
        die("libspng");
    file = spng_get_png_buffer(context, &size, &error);
    memcpy(out, file, size);
    free(file);
    spng_ctx_free(context);
    return size;
}

/* The packing alone, of rows that we filtered: what our level 1 takes the place of. */
static size_t png_libdeflate(const struct race *race, char *out)
{
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(1);
    size_t size = libdeflate_zlib_compress(compressor, race->text.data, race->text.size, out,
                                           2 * race->text.size + 4096);

    libdeflate_free_compressor(compressor);
    return size;
}

static size_t check_png(const struct race *race, const char *out, size_t size)
{
    const struct limits limits = { .pixels = 1 << 28 };
    struct picture_info info;
    struct pixels pixels;
    struct error err;

    if ((uint8_t)out[0] == 0x78) /* libdeflate's part: no file */
        return 0;
    return !image_decode((struct bytes){ out, size }, &limits, race->arena, &pixels, &info, &err) ||
           memcmp(pixels.data, race->png.pixels, race->units);
}

/* The rows as our PNG has them, filtered: its stream, inflated. */
static struct bytes filtered_rows(const struct race *race)
{
    size_t most = race->units + (size_t)race->png.height, size = png_ours(race, race->out), got;
    struct libdeflate_decompressor *inflate = libdeflate_alloc_decompressor();
    char *stream = malloc(size), *rows = arena_alloc(race->arena, most, 1);
    size_t length = 0;

    for (size_t at = 8; at < size;) {
        uint32_t chunk;

        memcpy(&chunk, race->out + at, 4);
        chunk = __builtin_bswap32(chunk);
        if (!memcmp(race->out + at + 4, "IDAT", 4)) {
            memcpy(stream + length, race->out + at + 8, chunk);
            length += chunk;
        }
        at += chunk + 12;
    }
    if (libdeflate_zlib_decompress(inflate, stream, length, rows, most, &got))
        die("our own PNG does not inflate");
    free(stream);
    libdeflate_free_decompressor(inflate);
    return (struct bytes){ rows, got };
}

void race_png(const char *data, struct png png, struct arena *arena)
{
    struct rival rivals[] = { { .name = "convolved, level 1", .run = png_ours },
                              { .name = "convolved, level 0", .run = png_stored },
                              { .name = "stb_image_write", .run = png_stb },
                              { .name = "libspng, level 1", .run = png_spng },
                              { .name = "libdeflate 1, rows only", .run = png_libdeflate } };
    size_t bytes = (size_t)png.width * (size_t)png.height * (size_t)png.channels;
    struct race race = { .what = "PNG", .data = data, .unit = "byte", .units = bytes, .png = png };

    race.arena = arena;
    race.out = arena_alloc(arena, 2 * bytes + 8192, 1);
    race.check = check_png;
    race.text = filtered_rows(&race);
    race_run(&race, rivals, 5);
}
