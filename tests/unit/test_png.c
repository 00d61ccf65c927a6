/* PNG files, read back by libpng and by the decoder of uploads; what is shown on a sheet. */
#include "api/colormap.h"
#include "api/encode.h"
#include "api/huffman.h"
#include "api/image.h"
#include "api/png.h"
#include "tests/paint.h"
#include "tests/testing.h"

#include <libdeflate.h>
#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t random_state = 1;

static uint32_t random_bits(void)
{
    return paint_bits(&random_state);
}

static void take(png_structp reader, png_bytep out, size_t size)
{
    struct bytes *file = png_get_io_ptr(reader);

    if (file->size < size)
        png_error(reader, "the file ends early");
    memcpy(out, file->data, size);
    file->data += size;
    file->size -= size;
}

static void complain(png_structp reader, const char *message)
{
    (void)reader;
    fail_msg("libpng: %s", message);
}

/* The file's rows as they are in it, in the arena; checks checksums and that nothing follows. */
static struct png read_back(struct bytes file, struct arena *arena)
{
    png_structp reader = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, complain, complain);
    png_infop info = png_create_info_struct(reader);
    struct png png;
    uint8_t *pixels;
    size_t row;

    png_set_read_fn(reader, &file, take);
    png_read_info(reader, info);
    png.width = (int)png_get_image_width(reader, info);
    png.height = (int)png_get_image_height(reader, info);
    png.channels = png_get_channels(reader, info);
    png.depth = png_get_bit_depth(reader, info);
    row = png_get_rowbytes(reader, info);
    png.pixels = pixels = arena_alloc(arena, row, (size_t)png.height);
    for (int y = 0; y < png.height; y++)
        png_read_row(reader, pixels + row * (size_t)y, NULL);
    png_read_end(reader, NULL);
    png_destroy_read_struct(&reader, &info, NULL);
    assert_int_equal(file.size, 0);
    return png;
}

static size_t pixel_bytes(const struct png *png)
{
    return (size_t)(png->width * png->height) * (size_t)(png->channels * png->depth / 8);
}

/* By libpng, and by the decoder of uploads. */
static void assert_comes_back(const struct png *png, struct bytes file, struct arena *arena)
{
    const struct limits limits = { .pixels = 1 << 24 };
    struct png back = read_back(file, arena);
    struct picture_info info;
    struct pixels pixels;
    struct error err;

    assert_int_equal(back.width, png->width);
    assert_int_equal(back.height, png->height);
    assert_int_equal(back.channels, png->channels);
    assert_int_equal(back.depth, png->depth);
    assert_memory_equal(back.pixels, png->pixels, pixel_bytes(png));
    if (!image_decode(file, &limits, arena, &pixels, &info, &err))
        fail_msg("%s", err.detail);
    assert_int_equal(pixels.depth, png->depth);
    assert_int_equal(pixels.channels, png->channels);
    if (png->depth == 8) {
        assert_memory_equal(pixels.data, png->pixels, pixel_bytes(png));
        return;
    }
    for (size_t i = 0; i < pixel_bytes(png) / 2; i++)
        assert_int_equal(((const uint16_t *)pixels.data)[i],
                         png->pixels[2 * i] << 8 | png->pixels[2 * i + 1]);
}

TEST(every_small_size_depth_and_level_comes_back_from_two_decoders)
{
    static const int channels[] = { 1, 3, 4 }, levels[] = { 0, 1, 1, 2, 6, 12 };
    static uint8_t pixels[70 * 70 * 8];
    int turn = 0;

    for (int height = 1; height <= 70; height++)
        for (int width = 1; width <= 70; width++)
            for (int part = 0; part < 2; part++, turn++) {
                struct arena *arena = arena_create(1 << 24);
                struct png png = {
                    width, height, channels[turn % 3], part ? 16 : 8, levels[turn / 2 % 6], pixels
                };
                struct bytes file;
                struct error err;

                paint(pixels, &png, &random_state, turn / 5);
                assert_true(png_write(&png, NULL, arena, &file, &err));
                assert_comes_back(&png, file, arena);
                arena_destroy(arena);
            }
}

TEST(big_pictures_come_back_whoever_packs_their_blocks)
{
    struct pool *pool = pool_start(3, 8);

    for (int turn = 0; turn < 24; turn++) {
        struct arena *arena = arena_create(1 << 28);
        struct png png = { 900 + turn,       700 + 3 * turn,
                           turn % 2 ? 3 : 1, turn % 4 < 2 ? 8 : 16,
                           turn % 3,         NULL };
        uint8_t *pixels = arena_alloc(arena, pixel_bytes(&png), 1);
        struct bytes alone, together;
        struct error err;

        paint(pixels, &png, &random_state, turn);
        png.pixels = pixels;
        assert_true(png_write(&png, NULL, arena, &alone, &err));
        assert_true(png_write(&png, pool, arena, &together, &err));
        assert_int_equal(alone.size, together.size);
        assert_memory_equal(alone.data, together.data, alone.size);
        assert_comes_back(&png, together, arena);
        arena_destroy(arena);
    }
    pool_drain(pool);
    pool_destroy(pool);
}

TEST(one_long_row_and_one_long_column_come_back)
{
    for (int turn = 0; turn < 4; turn++) {
        struct arena *arena = arena_create(1 << 28);
        struct png png = { turn % 2 ? 1 : 300000, turn % 2 ? 300000 : 1, 1, 8, turn / 2, NULL };
        uint8_t *pixels = arena_alloc(arena, pixel_bytes(&png), 1);
        struct bytes file;
        struct error err;

        paint(pixels, &png, &random_state, turn);
        png.pixels = pixels;
        assert_true(png_write(&png, NULL, arena, &file, &err));
        assert_memory_equal(read_back(file, arena).pixels, pixels, pixel_bytes(&png));
        arena_destroy(arena);
    }
}

static void assert_inflates(const uint8_t *in, size_t size)
{
    struct libdeflate_decompressor *inflate = libdeflate_alloc_decompressor();
    uint8_t *packed = malloc(2 * huffman_bound(size)), *out = malloc(2 * size + 1);
    size_t first, all, got;

    /* once as a stream of its own, once as two pieces of one */
    all = huffman_encode(packed, in, size, true);
    assert_true(all <= huffman_bound(size));
    assert_int_equal(libdeflate_deflate_decompress(inflate, packed, all, out, 2 * size + 1, &got),
                     LIBDEFLATE_SUCCESS);
    assert_int_equal(got, size);
    assert_memory_equal(out, in, size);
    first = huffman_encode(packed, in, size, false);
    assert_true(first <= huffman_bound(size));
    all = first + huffman_encode(packed + first, in, size, true);
    assert_int_equal(libdeflate_deflate_decompress(inflate, packed, all, out, 2 * size + 1, &got),
                     LIBDEFLATE_SUCCESS);
    assert_int_equal(got, 2 * size);
    assert_memory_equal(out, in, size);
    assert_memory_equal(out + size, in, size);
    free(packed);
    free(out);
    libdeflate_free_decompressor(inflate);
}

TEST(huffman_streams_inflate_to_what_went_in)
{
    enum { MOST = 70000 };
    uint8_t *in = calloc(1, MOST);

    assert_inflates(in, 0);
    for (int turn = 0; turn < 1500; turn++) {
        size_t size = turn < 200 ? (size_t)turn : random_bits() % (turn % 50 ? 3000 : MOST);
        uint32_t skew = random_bits() % 24, repeat = random_bits() % 3;

        for (size_t i = 0; i < size; i++) /* from noise to almost always the same */
            in[i] = i && repeat && random_bits() % 64 > repeat - 1
                        ? in[i - 1]
                        : (uint8_t)(pow((double)random_bits() / 4294967296.0, 1 + skew) * 256);
        assert_inflates(in, size);
    }
    for (size_t run = 1; run < 600; run++) { /* runs of every length */
        memset(in, 5, 700);
        memset(in + 20, 9, run);
        assert_inflates(in, 700);
    }
    /* counts like Fibonacci's numbers, whose tree is as deep as can be */
    for (uint32_t i = 0, a = 1, b = 1, at = 0; i < 22; i++, b += a, a = b - a)
        for (uint32_t j = 0; j < a && at < MOST; j++)
            in[at++] = (uint8_t)(i * 11);
    assert_inflates(in, 46000);
    free(in);
}

TEST(colour_maps_run_from_end_to_end)
{
    uint8_t colors[256][3];

    colormap_fill(COLORMAP_GRAY, colors);
    for (int i = 0; i < 256; i++)
        assert_memory_equal(colors[i], ((uint8_t[]){ (uint8_t)i, (uint8_t)i, (uint8_t)i }), 3);
    colormap_fill(COLORMAP_VIRIDIS, colors);
    assert_memory_equal(colors[0], "\x44\x01\x54", 3);
    assert_memory_equal(colors[255], "\xfd\xe7\x25", 3);
    colormap_fill(COLORMAP_RDBU, colors);
    assert_memory_equal(colors[0], "\x05\x30\x61", 3); /* negative: blue */
    assert_memory_equal(colors[255], "\x67\x00\x1f", 3);
    for (int c = 0; c < 3; c++)
        assert_in_range(colors[128][c], 0xf3, 0xf8);
}

/* A layer's output as it is shown. Planes of 2 x 3 unless said otherwise. */
struct shown {
    struct convolve_request request;
    struct conv_plan plan;
    struct arena *arena;
    struct reply reply;
    struct png png;
};

static void shown_create(struct shown *shown, struct shape shape, enum range range)
{
    *shown = (struct shown){ 0 };
    shown->arena = arena_create(1 << 24);
    shown->request.fields.range = -1;
    shown->request.fields.png_level = 1;
    shown->request.fields.input_scale = 1;
    for (int c = 0; c < MAX_PICTURE_CHANNELS; c++)
        shown->request.fields.std[c] = 1;
    shown->request.fields.format = FORMAT_PNG;
    shown->request.range = range;
    shown->plan.out = shown->plan.maps = shown->plan.in = shape;
    shown->plan.params.groups = 1;
}

static void shown_as_picture(struct shown *shown, int depth)
{
    shown->request.picture = (struct picture_info){
        1, shown->plan.in.width, shown->plan.in.height, shown->plan.in.channels, depth, "png"
    };
    shown->plan.params.groups = shown->plan.in.channels;
}

static bool show(struct shown *shown, const float *values, struct error *err)
{
    struct reply_context context = { NULL, shown->arena, NULL, "", NULL };
    struct view view = { values, values, shown->plan.out, false };

    if (!png_encode(&shown->request, &shown->plan, &view, &context, &shown->reply, err))
        return false;
    assert_string_equal(shown->reply.content_type, "image/png");
    shown->png = read_back(shown->reply.body, shown->arena);
    return true;
}

static void assert_shows(struct shown *shown, const float *values, const uint8_t *pixels,
                         const char *range)
{
    struct error err;

    if (!show(shown, values, &err))
        fail_msg("%s", err.detail);
    assert_memory_equal(shown->png.pixels, pixels, pixel_bytes(&shown->png));
    assert_string_equal(shown->reply.range, range);
}

TEST(a_map_is_shown_by_the_range_that_was_asked_for)
{
    static const float values[] = { -10, 0, 0.5f, 254.49f, 300, NAN };
    struct shown shown;

    shown_create(&shown, (struct shape){ 1, 1, 2, 3 }, RANGE_CLIP);
    assert_shows(&shown, values, (uint8_t[]){ 0, 0, 1, 254, 255, 0 }, "0,255");
    assert_int_equal(shown.png.width, 3);
    assert_int_equal(shown.png.height, 2);
    assert_int_equal(shown.png.channels, 1);
    shown.request.range = RANGE_MINMAX; /* -10..300 */
    assert_shows(&shown, values, (uint8_t[]){ 0, 8, 9, 218, 255, 0 }, "-10,300");
    shown.request.range = RANGE_SYMMETRIC; /* -300..300 */
    assert_shows(&shown, values, (uint8_t[]){ 123, 128, 128, 236, 255, 0 }, "-300,300");
    shown.request.range = RANGE_ABS; /* numbers, no picture: by the largest */
    assert_shows(&shown, values, (uint8_t[]){ 9, 0, 0, 216, 255, 0 }, "0,300");
    shown.request.range = RANGE_GIVEN;
    shown.request.fields.range_lo = -10;
    shown.request.fields.range_hi = 245;
    assert_shows(&shown, values, (uint8_t[]){ 0, 10, 11, 255, 255, 0 }, "-10,245");
    shown.request.fields.range_lo = 255; /* a negative */
    shown.request.fields.range_hi = 0;
    assert_shows(&shown, values, (uint8_t[]){ 255, 255, 255, 1, 0, 0 }, "255,0");
    arena_destroy(shown.arena);
}

TEST(edges_of_a_picture_saturate_at_its_white)
{
    static const float values[] = { -10, 0, 255, -255, 1020, -0.004f };
    struct shown shown;

    shown_create(&shown, (struct shape){ 1, 1, 2, 3 }, RANGE_ABS);
    shown_as_picture(&shown, 8);
    assert_shows(&shown, values, (uint8_t[]){ 10, 0, 255, 255, 255, 0 }, "0,255");
    shown.request.fields.input_scale = 1 / 255.0f; /* its white is 1 now */
    assert_shows(&shown, values, (uint8_t[]){ 255, 0, 255, 255, 255, 1 }, "0,1");
    arena_destroy(shown.arena);
}

/* (255 / 255 - 0.5) / 0.25 = 2 and so on: black and white are where mean and std have put them. */
TEST(a_clipped_map_is_shown_by_its_own_channels_mean_and_std)
{
    static const float values[] = { -2, 2, 0, 0, -1, 3, 1, 1, -4, 0, -2, -4 };
    struct shown shown;

    shown_create(&shown, (struct shape){ 1, 3, 2, 2 }, RANGE_CLIP);
    shown_as_picture(&shown, 8);
    shown.request.fields.input_scale = 1 / 255.0f;
    memcpy(shown.request.fields.mean, (float[]){ 0.5f, 0.25f, 1 }, 3 * sizeof(float));
    for (int c = 0; c < 3; c++)
        shown.request.fields.std[c] = 0.25f;
    assert_shows(&shown, values, (uint8_t[]){ 0, 0, 0, 255, 255, 255, 128, 128, 128, 128, 128, 0 },
                 "-2,2");
    shown.plan.params.groups = 1; /* of all channels: -4 to 3 */
    assert_shows(
        &shown, (float[]){ -4, 3, -0.4f, 9, 0, 0, 0, 0, 0, 0, 0, 0 },
        (uint8_t[]){ 0, 255, 255, 146, 146, 255, 146, 146, 131, 255, 255, 146, 146, 255, 146, 146 },
        "-4,3");
    arena_destroy(shown.arena);
}

TEST(maps_that_are_all_the_same_or_no_numbers_are_still_pictures)
{
    struct shown shown;

    shown_create(&shown, (struct shape){ 1, 1, 1, 2 }, RANGE_MINMAX);
    assert_shows(&shown, (float[]){ 7, 7 }, (uint8_t[]){ 0, 0 }, "7,8");
    assert_shows(&shown, (float[]){ NAN, NAN }, (uint8_t[]){ 0, 0 }, "0,1");
    assert_shows(&shown, (float[]){ INFINITY, -INFINITY }, (uint8_t[]){ 255, 0 }, "0,1");
    shown.request.range = RANGE_SYMMETRIC;
    assert_shows(&shown, (float[]){ 0, -0.0f }, (uint8_t[]){ 128, 128 }, "-1,1");
    shown.request.range = RANGE_GLOBAL;
    assert_shows(&shown, (float[]){ NAN, NAN }, (uint8_t[]){ 0, 0 }, "0,1");
    arena_destroy(shown.arena);
}

TEST(several_maps_are_a_sheet_with_white_lines_and_ranges_of_their_own)
{
    static const float values[] = { 0, 1, 2, 3, 0, 10, 20, 30, -1, -1, -1, 0, 5, 6, 7, 8 };
    static const uint8_t own[] = { 0,   85,  255, 0, 85,  170, 255, 255, 170, 255, 255, 255, 255,
                                   255, 255, 0,   0, 255, 0,   85,  0,   255, 255, 170, 255 };
    struct shown shown;

    shown_create(&shown, (struct shape){ 1, 4, 2, 2 }, RANGE_MINMAX);
    assert_shows(&shown, values, own, "");
    assert_int_equal(shown.png.width, 5);
    assert_int_equal(shown.png.height, 5);
    shown.request.range = RANGE_GLOBAL; /* -1..30 */
    shown.request.fields.grid = 4;
    assert_shows(&shown, values, (uint8_t[]){ 8,  16, 255, 8,   90,  255, 0, 0, 255, 49, 58,
                                              25, 33, 255, 173, 255, 255, 0, 8, 255, 66, 74 },
                 "-1,30");
    assert_int_equal(shown.png.width, 11);
    assert_int_equal(shown.png.height, 2);
    shown.request.fields.grid = 3; /* one place stays empty */
    assert_shows(&shown, values,
                 (uint8_t[]){ 8,   16,  255, 8,   90,  255, 0,   0,   25,  33,  255, 173, 255, 255,
                              0,   8,   255, 255, 255, 255, 255, 255, 255, 255, 49,  58,  255, 255,
                              255, 255, 255, 255, 66,  74,  255, 255, 255, 255, 255, 255 },
                 "-1,30");
    arena_destroy(shown.arena);
}

TEST(ninety_six_maps_fill_twelve_columns)
{
    static const int tiles[][3] = { { 96, 12, 8 }, { 64, 8, 8 }, { 3, 3, 1 },
                                    { 7, 3, 3 },   { 10, 5, 2 }, { 2, 2, 1 } };
    static float values[96 * 4];
    struct error err;

    for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++) {
        struct shown shown;

        shown_create(&shown, (struct shape){ 1, tiles[i][0], 2, 2 }, RANGE_MINMAX);
        assert_true(show(&shown, values, &err));
        assert_int_equal(shown.png.width, tiles[i][1] * 3 - 1);
        assert_int_equal(shown.png.height, tiles[i][2] * 3 - 1);
        arena_destroy(shown.arena);
    }
}

TEST(three_maps_of_a_colour_picture_are_one_again_bit_for_bit)
{
    static const float values[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 255, 18 };
    static const uint8_t rgb[] = { 1, 7, 13, 2, 8, 14, 3, 9, 15, 4, 10, 0, 5, 11, 255, 6, 12, 18 };
    struct shown shown;

    shown_create(&shown, (struct shape){ 1, 3, 2, 3 }, RANGE_CLIP);
    shown_as_picture(&shown, 8);
    assert_shows(&shown, values, rgb, "0,255");
    assert_int_equal(shown.png.channels, 3);
    assert_int_equal(shown.png.width, 3);
    shown.plan.params.groups = 1; /* full depth: three maps that are no colours */
    assert_true(show(&shown, values, &(struct error){ 0 }));
    assert_int_equal(shown.png.channels, 1);
    assert_int_equal(shown.png.width, 11);
    arena_destroy(shown.arena);
}

TEST(four_maps_of_a_picture_with_alpha_keep_it_unless_it_would_be_stretched)
{
    struct shown shown;

    shown_create(&shown, (struct shape){ 1, 4, 1, 2 }, RANGE_CLIP);
    shown_as_picture(&shown, 8);
    assert_shows(&shown, (float[]){ 1, 2, 3, 4, 5, 6, 255, 0 },
                 (uint8_t[]){ 1, 3, 5, 255, 2, 4, 6, 0 }, "0,255");
    assert_int_equal(shown.png.channels, 4);
    shown.request.range = RANGE_ABS;
    assert_true(show(&shown, (float[8]){ 0 }, &(struct error){ 0 }));
    assert_int_equal(shown.png.channels, 1);
    arena_destroy(shown.arena);
}

TEST(colour_pictures_of_a_batch_stand_one_after_the_other)
{
    static const float values[] = { 1, 2, 3, 4, 5, 6 };
    struct shown shown;

    shown_create(&shown, (struct shape){ 2, 3, 1, 1 }, RANGE_CLIP);
    shown_as_picture(&shown, 8);
    assert_shows(&shown, values, (uint8_t[]){ 1, 2, 3, 255, 255, 255, 4, 5, 6 }, "0,255");
    arena_destroy(shown.arena);
}

TEST(sixteen_bit_pictures_stay_sixteen_bit)
{
    static const float values[] = { 0, 1, 256, 65535, 70000, 513.4f };
    struct shown shown;

    shown_create(&shown, (struct shape){ 1, 1, 2, 3 }, RANGE_CLIP);
    shown_as_picture(&shown, 16);
    assert_shows(&shown, values, (uint8_t[]){ 0, 0, 0, 1, 1, 0, 255, 255, 255, 255, 2, 1 },
                 "0,65535");
    assert_int_equal(shown.png.depth, 16);
    shown.request.fields.depth = 8;
    assert_shows(&shown, values, (uint8_t[]){ 0, 0, 1, 255, 255, 2 }, "0,65535");
    shown_as_picture(&shown, 8);
    shown.request.fields.depth = 16;
    assert_shows(&shown, (float[]){ 0, 1, 2, 128, 254, 255 },
                 (uint8_t[]){ 0, 0, 1, 1, 2, 2, 128, 128, 254, 254, 255, 255 }, "0,255");
    arena_destroy(shown.arena);
}

TEST(colour_maps_make_rgb_of_grey_and_have_eight_bits)
{
    struct shown shown;
    struct error err;

    shown_create(&shown, (struct shape){ 1, 1, 1, 2 }, RANGE_CLIP);
    shown.request.fields.colormap = COLORMAP_VIRIDIS;
    assert_shows(&shown, (float[]){ 0, 255 }, (const uint8_t *)"\x44\x01\x54\xfd\xe7\x25", "0,255");
    shown.request.fields.depth = 16;
    assert_false(show(&shown, (float[]){ 0, 255 }, &err));
    assert_int_equal(err.code, ERR_PARAMETER);
    assert_string_equal(err.field, "depth");
    arena_destroy(shown.arena);
}

TEST(a_sheet_that_is_too_large_is_refused_before_it_is_drawn)
{
    struct shown shown;
    struct error err;

    shown_create(&shown, (struct shape){ 1, 1000000, 3000, 3000 }, RANGE_CLIP);
    shown.request.fields.grid = 1000000;
    assert_false(show(&shown, NULL, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
    arena_destroy(shown.arena);
}
