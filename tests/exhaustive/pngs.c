/* Every PNG that we write for 1 to 70 columns and rows, each depth, channels, level and content (of
 * which the adaptive filter takes each kind of row): libpng and libspng read back what went in. A
 * STEP above 1 takes a sample. */
#include "tests/paint.h"

#include <png.h>
#include <pthread.h>
#include <spng.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIDE = 70, LEVELS = 13, MOST_BYTES = SIDE * SIDE * 8 };

static atomic_size_t next_row, checked, wrong;
static size_t step;

static bool libpng_reads(struct bytes file, const struct png *png)
{
    static _Thread_local uint8_t back[MOST_BYTES];
    static const unsigned formats[] = {
        [1] = PNG_COLOR_TYPE_GRAY, [3] = PNG_COLOR_TYPE_RGB, [4] = PNG_COLOR_TYPE_RGB_ALPHA
    };
    png_structp reader = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(reader);
    FILE *in = fmemopen((void *)file.data, file.size, "r");
    size_t row = (size_t)(png->width * png->channels * png->depth / 8);
    bool same = false;

    if (!setjmp(png_jmpbuf(reader))) {
        png_init_io(reader, in);
        png_read_info(reader, info);
        same = (int)png_get_image_width(reader, info) == png->width &&
               (int)png_get_image_height(reader, info) == png->height &&
               png_get_bit_depth(reader, info) == png->depth &&
               png_get_color_type(reader, info) == formats[png->channels];
        for (int y = 0; same && y < png->height; y++)
            png_read_row(reader, back + row * (size_t)y, NULL);
        png_read_end(reader, NULL);
        same = same && !memcmp(back, png->pixels, row * (size_t)png->height);
    }
    png_destroy_read_struct(&reader, &info, NULL);
    fclose(in);
    return same;
}

static bool libspng_reads(struct bytes file, const struct png *png)
{
    static _Thread_local uint8_t back[MOST_BYTES];
    size_t size = (size_t)(png->width * png->height * png->channels * png->depth / 8);
    spng_ctx *reader = spng_ctx_new(0);
    struct spng_ihdr header;
    bool same;

    spng_set_png_buffer(reader, file.data, file.size);
    same = !spng_get_ihdr(reader, &header) && (int)header.width == png->width &&
           (int)header.height == png->height && header.bit_depth == png->depth &&
           !spng_decode_image(reader, back, size, SPNG_FMT_RAW, 0) &&
           !memcmp(back, png->pixels, size);
    spng_ctx_free(reader);
    return same;
}

static void check(const struct png *png, int kind)
{
    struct arena *arena = arena_create(1 << 24);
    struct bytes file;
    struct error err;

    if (!png_write(png, NULL, arena, &file, &err) || !libpng_reads(file, png) ||
        !libspng_reads(file, png)) {
        wrong++;
        printf("%dx%d, %d channels of %d bits, level %d, content %d\n", png->width, png->height,
               png->channels, png->depth, png->level, kind);
    }
    checked++;
    arena_destroy(arena);
}

/* All of one height. */
static void *check_rows(void *arg)
{
    static const int channels[] = { 1, 3, 4 };
    static _Thread_local uint8_t pixels[MOST_BYTES];
    size_t turn = 0;

    for (size_t height; (height = ++next_row) <= SIDE;)
        for (int width = 1; width <= SIDE; width++)
            for (int i = 0; i < 3 * 2 * LEVELS * PAINTS; i++) {
                uint64_t state = (uint64_t)i + 1;
                struct png png = { .width = width,
                                   .height = (int)height,
                                   .channels = channels[i % 3],
                                   .depth = i / 3 % 2 ? 16 : 8,
                                   .level = i / 6 % LEVELS,
                                   .pixels = pixels };

                if (turn++ % step)
                    continue;
                paint(pixels, &png, &state, i / (6 * LEVELS));
                check(&png, i / (6 * LEVELS));
            }
    return arg;
}

int main(int argc, char **argv)
{
    int count = (int)sysconf(_SC_NPROCESSORS_ONLN);
    pthread_t threads[64];

    step = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
    step = step ? step : 1;
    count = count < 64 ? count : 64;
    for (int i = 0; i < count; i++)
        pthread_create(&threads[i], NULL, check_rows, NULL);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    printf("%zu PNG files, %zu wrong\n", (size_t)checked, (size_t)wrong);
    return wrong != 0;
}
