/* Pictures: the forms people send, equal to what libpng reads; planes; sniffing; refusals. */
#include "api/image.h"
#include "tests/unit/files.h"

#include <png.h>
#include <stdlib.h>

static const struct limits limits = { .pixels = 50000000 };
static struct arena *arena;
static struct pixels pixels;
static struct picture_info info;
static struct error err;

static bool decode(struct bytes file)
{
    memset(&err, 0, sizeof err);
    return image_decode(file, &limits, arena, &pixels, &info, &err);
}

static void decode_picture(const char *name)
{
    char path[128];

    snprintf(path, sizeof path, "tests/cases/pictures/%s", name);
    if (!decode(file_read(path, arena)))
        fail_msg("%s: %s", name, err.detail);
}

static void begin(void)
{
    arena = arena_create(512 << 20);
    assert_non_null(arena);
}

static void end(void)
{
    arena_destroy(arena);
}

static void expect_picture(const char *name, int width, int height, int channels, int depth)
{
    decode_picture(name);
    assert_int_equal(pixels.width, width);
    assert_int_equal(pixels.height, height);
    assert_int_equal(pixels.channels, channels);
    assert_int_equal(pixels.depth, depth);
    assert_int_equal(info.width, width);
    assert_int_equal(info.count, 1);
}

TEST(every_form_of_the_cat_has_its_size_channels_and_depth)
{
    begin();
    expect_picture("cat-451x300.png", 451, 300, 3, 8);
    assert_string_equal(info.format, "png");
    expect_picture("cat-rgba.png", 64, 64, 4, 8);
    expect_picture("cat-palette.png", 64, 48, 3, 8);
    expect_picture("cat-gray16.png", 64, 48, 1, 16);
    expect_picture("cat-interlaced.png", 64, 48, 3, 8);
    expect_picture("cat.jpg", 227, 227, 3, 8);
    assert_string_equal(info.format, "jpeg");
    expect_picture("cat-progressive.jpg", 227, 227, 3, 8);
    expect_picture("cat-gray.jpg", 227, 227, 1, 8);
    expect_picture("cat-cmyk.jpg", 227, 227, 3, 8);
    expect_picture("cat.bmp", 61, 47, 3, 8);
    assert_string_equal(info.format, "bmp");
    expect_picture("cat.ppm", 61, 47, 3, 8);
    assert_string_equal(info.format, "pnm");
    end();
}

static double mean_difference(const uint8_t *a, const uint8_t *b, size_t count)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += abs(a[i] - b[i]);
    return sum / (double)count;
}

TEST(a_bmp_has_the_same_pixels_as_the_ppm_of_the_same_picture)
{
    struct pixels bmp;

    begin();
    decode_picture("cat.bmp");
    bmp = pixels;
    decode_picture("cat.ppm");
    assert_memory_equal(bmp.data, pixels.data, 61 * 47 * 3);
    end();
}

TEST(baseline_progressive_and_cmyk_jpegs_show_the_same_cat)
{
    struct pixels baseline;

    begin();
    decode_picture("cat.jpg");
    baseline = pixels;
    decode_picture("cat-progressive.jpg");
    assert_true(mean_difference(baseline.data, pixels.data, 227 * 227 * 3) < 1);
    decode_picture("cat-cmyk.jpg");
    assert_true(mean_difference(baseline.data, pixels.data, 227 * 227 * 3) < 12);
    end();
}

/* What libpng makes of a PNG, expanded as we do it. */
struct memory {
    struct bytes file;
    size_t at;
};

static void read_memory(png_structp png, png_bytep out, size_t size)
{
    struct memory *memory = png_get_io_ptr(png);

    if (size > memory->file.size - memory->at)
        png_error(png, "end");
    memcpy(out, memory->file.data + memory->at, size);
    memory->at += size;
}

static void expect_as_libpng(struct bytes file)
{
    struct memory memory = { file, 0 };
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop png_info = png_create_info_struct(png);
    size_t row;

    png_set_read_fn(png, &memory, read_memory);
    png_read_png(png, png_info, PNG_TRANSFORM_EXPAND | PNG_TRANSFORM_SWAP_ENDIAN, NULL);
    if (!decode(file))
        fail_msg("%s", err.detail);
    assert_int_equal(pixels.width, png_get_image_width(png, png_info));
    assert_int_equal(pixels.height, png_get_image_height(png, png_info));
    assert_int_equal(pixels.channels, png_get_channels(png, png_info));
    assert_int_equal(pixels.depth, png_get_bit_depth(png, png_info));
    row = png_get_rowbytes(png, png_info);
    for (int y = 0; y < pixels.height; y++)
        assert_memory_equal((const char *)pixels.data + (size_t)y * row,
                            png_get_rows(png, png_info)[y], row);
    png_destroy_read_struct(&png, &png_info, NULL);
}

TEST(the_cat_pngs_have_the_pixels_that_libpng_reads)
{
    static const char *const names[] = { "cat-451x300.png", "cat-rgba.png", "cat-palette.png",
                                         "cat-gray16.png", "cat-interlaced.png" };
    char path[128];

    begin();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "tests/cases/pictures/%s", names[i]);
        expect_as_libpng(file_read(path, arena));
    }
    end();
}

struct growing {
    char data[65536];
    size_t size;
};

static void write_memory(png_structp png, png_bytep from, size_t size)
{
    struct growing *to = png_get_io_ptr(png);

    assert_true(to->size + size <= sizeof to->data);
    memcpy(to->data + to->size, from, size);
    to->size += size;
}

static void flush_memory(png_structp png)
{
    (void)png;
}

/* A PNG of random samples, with a transparent colour or palette alphas when asked for. */
static void write_png(struct growing *out, int width, int height, int depth, int colour, bool trans,
                      bool interlaced)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop png_info = png_create_info_struct(png);
    png_color palette[256];
    png_byte alphas[256], rows[32][256], *pointers[32];
    png_color_16 key = { .gray = 1, .red = 1, .green = 0, .blue = 1 };
    int colours = colour == PNG_COLOR_TYPE_PALETTE ? 1 << depth : 0;

    out->size = 0;
    png_set_write_fn(png, out, write_memory, flush_memory);
    png_set_compression_buffer_size(png, 64); /* so that there are several data chunks */
    png_set_IHDR(png, png_info, (png_uint_32)width, (png_uint_32)height, depth, colour,
                 interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, 0, 0);
    for (int i = 0; i < colours; i++) {
        palette[i] = (png_color){ (png_byte)rand(), (png_byte)rand(), (png_byte)rand() };
        alphas[i] = (png_byte)rand();
    }
    if (colours)
        png_set_PLTE(png, png_info, palette, colours);
    if (trans)
        png_set_tRNS(png, png_info, colours ? alphas : NULL, colours ? (colours + 1) / 2 : 0,
                     colours ? NULL : &key);
    for (int y = 0; y < height; y++) {
        for (size_t x = 0; x < sizeof rows[y]; x++) /* few values, so that keys are met */
            rows[y][x] = depth == 16 ? (x % 2 ? rand() & 1 : 0) : (png_byte)rand() & 1;
        if (depth < 8 || colours)
            for (size_t x = 0; x < sizeof rows[y]; x++)
                rows[y][x] = (png_byte)rand();
        pointers[y] = rows[y];
    }
    png_set_rows(png, png_info, pointers);
    png_write_png(png, png_info, 0, NULL);
    png_destroy_write_struct(&png, &png_info);
}

TEST(every_kind_of_png_at_every_small_size_has_the_pixels_that_libpng_reads)
{
    static const int kinds[][2] = { { 1, 0 }, { 2, 0 },  { 4, 0 },  { 8, 0 }, { 16, 0 },
                                    { 8, 2 }, { 16, 2 }, { 1, 3 },  { 2, 3 }, { 4, 3 },
                                    { 8, 3 }, { 8, 4 },  { 16, 4 }, { 8, 6 }, { 16, 6 } };
    struct growing file;

    srand(1);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (int variant = 0; variant < 4; variant++)
            for (int size = 1; size < 18; size++) {
                bool trans = variant & 1 && kinds[k][1] < 4;

                begin();
                write_png(&file, size, 1 + rand() % 17, kinds[k][0], kinds[k][1], trans,
                          variant & 2);
                expect_as_libpng((struct bytes){ file.data, file.size });
                end();
            }
}

TEST(a_text_ppm_with_comments_is_stretched_to_its_maxval)
{
    static const char ppm[] = "P3 # three\n2 1\n# white is 4\n4\n0 1 2  # no\n 3 4 0\n";
    static const uint8_t expected[] = { 0, 64, 128, 191, 255, 0 };

    begin();
    assert_true(decode((struct bytes){ ppm, sizeof ppm - 1 }));
    assert_int_equal(pixels.channels, 3);
    assert_memory_equal(pixels.data, expected, sizeof expected);
    end();
}

TEST(a_pgm_with_a_maxval_over_255_has_16_bits)
{
    static const char pgm[] = "P5 2 1 65535\n\x01\x02\xff\xfe";
    static const char text[] = "P2 2 1 1023 1023 512";

    begin();
    assert_true(decode((struct bytes){ pgm, sizeof pgm - 1 }));
    assert_int_equal(pixels.depth, 16);
    assert_int_equal(((const uint16_t *)pixels.data)[0], 0x102);
    assert_int_equal(((const uint16_t *)pixels.data)[1], 0xfffe);
    assert_true(decode((struct bytes){ text, sizeof text - 1 }));
    assert_int_equal(((const uint16_t *)pixels.data)[0], 65535);
    assert_int_equal(((const uint16_t *)pixels.data)[1], (512 * 65535 + 511) / 1023);
    end();
}

static const char bmp_head[] = "BM\0\0\0\0\0\0\0\0";

static struct bytes make_bmp(char *out, int height, int bits, int compression, const char *behind,
                             size_t size, size_t pixels_at)
{
    memset(out, 0, 54);
    memcpy(out, bmp_head, sizeof bmp_head - 1);
    out[10] = (char)pixels_at;
    out[14] = 40;
    out[18] = 2;
    memcpy(out + 22, &height, 4);
    out[26] = 1;
    out[28] = (char)bits;
    out[30] = (char)compression;
    memcpy(out + 54, behind, size);
    return (struct bytes){ out, 54 + size };
}

TEST(a_bmp_may_be_upside_down_have_a_palette_or_bit_fields)
{
    static const uint8_t two_rows[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
    static const uint8_t indexed[] = { 4, 5, 6, 1, 2, 3 };
    static const uint8_t fields[] = { 255, 0, 0, 0, 255, 0 };
    char file[256];

    begin();
    assert_true(decode(make_bmp(file, -2, 24, 0, "\3\2\1\6\5\4\0\0\t\x8\7\xc\xb\n\0\0", 16, 54)));
    assert_memory_equal(pixels.data, two_rows, 12);
    assert_true(decode(make_bmp(file, 2, 24, 0, "\t\x8\7\xc\xb\n\0\0\3\2\1\6\5\4\0\0", 16, 54)));
    assert_memory_equal(pixels.data, two_rows, 12);
    make_bmp(file, 1, 8, 0, "\3\2\1\0\6\5\4\0\1\0\0\0", 12, 62);
    file[46] = 2;
    assert_true(decode((struct bytes){ file, 66 }));
    assert_memory_equal(pixels.data, indexed, 6);
    file[62] = 2;
    assert_false(decode((struct bytes){ file, 66 }));
    assert_non_null(strstr(err.detail, "palette of 2"));
    assert_true(
        decode(make_bmp(file, 1, 16, 3, "\0\xf8\0\0\xe0\7\0\0\x1f\0\0\0\0\xf8\xe0\7", 16, 66)));
    assert_memory_equal(pixels.data, fields, 6);
    assert_false(decode(make_bmp(file, 1, 8, 1, "", 0, 54)));
    assert_non_null(strstr(err.detail, "compress"));
    end();
}

static const struct fields plain = { .input_scale = 1, .std = { 1, 1, 1, 1 } };

static void planes_of(int channels, const uint8_t *samples, enum channels want, float *planes)
{
    struct pixels two = { 2, 1, channels, 8, samples };

    image_planes(&two, want, &plain, planes);
}

TEST(channels_are_kept_dropped_repeated_or_added_as_asked)
{
    static const uint8_t grey_alpha[] = { 10, 200, 20, 100 };
    static const uint8_t rgba[] = { 255, 0, 0, 7, 0, 0, 255, 9 };
    float planes[8];

    planes_of(2, grey_alpha, CHANNELS_AUTO, planes);
    assert_true(planes[0] == 10 && planes[1] == 20);
    planes_of(2, grey_alpha, CHANNELS_4, planes);
    assert_true(planes[0] == 10 && planes[3] == 20 && planes[4] == 10);
    assert_true(planes[6] == 200 && planes[7] == 100);
    planes_of(4, rgba, CHANNELS_AUTO, planes);
    assert_true(planes[0] == 255 && planes[1] == 0 && planes[2] == 0 && planes[5] == 255);
    planes_of(4, rgba, CHANNELS_1, planes);
    assert_true(planes[0] == 76 && planes[1] == 29);
    planes_of(1, grey_alpha, CHANNELS_4, planes);
    assert_true(planes[0] == 10 && planes[4] == 10 && planes[6] == 255 && planes[7] == 255);
    assert_int_equal(image_channels(&(struct pixels){ .channels = 2 }, CHANNELS_AUTO), 1);
    assert_int_equal(image_channels(&(struct pixels){ .channels = 4 }, CHANNELS_AUTO), 3);
    assert_int_equal(image_channels(&(struct pixels){ .channels = 1 }, CHANNELS_4), 4);
}

TEST(pixels_are_scaled_shifted_and_divided_channel_by_channel)
{
    static const uint8_t rgb[] = { 255, 51, 0, 0, 0, 255 };
    static const uint16_t grey[] = { 65535, 0 };
    struct pixels deep = { 2, 1, 1, 16, grey }, picture = { 2, 1, 3, 8, rgb };
    struct fields fields = { .input_scale = 1 / 255.0f,
                             .mean = { 0.5f, 0.25f, 0 },
                             .std = { 0.5f, 1, 2, 1 } };
    float planes[6];

    image_planes(&picture, CHANNELS_AUTO, &fields, planes);
    assert_true(planes[0] == 1 && planes[1] == -1 && planes[5] == 0.5f);
    assert_true(planes[2] == 51 * (1 / 255.0f) - 0.25f);
    image_planes(&deep, CHANNELS_AUTO, &plain, planes);
    assert_true(planes[0] == 65535 && planes[1] == 0);
}

static void expect_media(const char *text, size_t size, enum media media)
{
    assert_int_equal(media_sniff((struct bytes){ text, size }), media);
}

#define SNIFF(text, media) expect_media(text, sizeof(text) - 1, media)

TEST(the_first_bytes_say_what_a_body_is)
{
    SNIFF("\x89PNG\r\n\x1a\n", MEDIA_PNG);
    SNIFF("\xff\xd8\xff", MEDIA_JPEG);
    SNIFF("P6\n", MEDIA_PNM);
    SNIFF("PK\3\4", MEDIA_UNKNOWN);
    SNIFF("\x93NUMPY", MEDIA_NPY);
    SNIFF(" \n{", MEDIA_JSON);
    SNIFF("[1]", MEDIA_JSON);
    SNIFF("", MEDIA_UNKNOWN);
    SNIFF("   ", MEDIA_UNKNOWN);
    SNIFF("GIF89a", MEDIA_GIF);
    SNIFF("RIFF\0\0\0\0WEBP", MEDIA_WEBP);
    SNIFF("\0\0\0\x20"
          "ftypavif",
          MEDIA_AVIF);
    SNIFF("II*\0", MEDIA_TIFF);
    SNIFF("\2\0\0\0\0\0\0\0{}", MEDIA_SAFETENSORS);
}

TEST(gif_and_webp_are_refused_with_the_list_of_what_is_accepted)
{
    begin();
    assert_false(decode(file_read("tests/cases/pictures/cat.gif", arena)));
    assert_int_equal(err.code, ERR_MEDIA);
    assert_non_null(strstr(err.detail, "a GIF; accepted are PNG, JPEG, BMP and PNM"));
    assert_string_equal(err.field, "image");
    assert_false(decode(file_read("tests/cases/pictures/cat.webp", arena)));
    assert_int_equal(err.code, ERR_MEDIA);
    assert_false(decode((struct bytes){ "II*\0", 4 }));
    assert_int_equal(err.code, ERR_MEDIA);
    assert_false(decode((struct bytes){ "", 0 }));
    assert_int_equal(err.code, ERR_IMAGE);
    end();
}

static void expect_hostile(const char *name, enum error_code code, const char *says)
{
    char path[128];

    begin();
    snprintf(path, sizeof path, "tests/cases/hostile/%s", name);
    if (decode(file_read(path, arena)))
        fail_msg("%s is taken for a picture", name);
    if (err.code != code || !strstr(err.detail, says))
        fail_msg("%s: %s", name, err.detail);
    assert_null(pixels.data);
    assert_true(arena_peak(arena) < 1 << 20);
    end();
}

TEST(every_hostile_file_is_refused_for_what_is_wrong_with_it_and_before_it_costs_anything)
{
    expect_hostile("nosos.jpg", ERR_IMAGE, "in none of its 0 scans");
    expect_hostile("nosos1.jpg", ERR_IMAGE, "in none of its 0 scans");
    expect_hostile("dht.jpg", ERR_IMAGE, "Huffman table of 355 symbols");
    expect_hostile("dht2.jpg", ERR_IMAGE, "Huffman table of 1275 symbols");
    expect_hostile("prog1000.jpg", ERR_IMAGE, "out of order");
    expect_hostile("pal.png", ERR_IMAGE, "past its palette of 1");
    expect_hostile("tiny.bmp", ERR_TOO_LARGE, "8000x8000");
    expect_hostile("tiny.ppm", ERR_TOO_LARGE, "8000x8000");
    expect_hostile("trunc.pgm", ERR_IMAGE, "cut short");
    expect_hostile("trunc.tga", ERR_MEDIA, "unknown format");
}

TEST(a_picture_over_the_pixel_limit_is_refused_from_its_header)
{
    static const char *const names[] = { "cat.jpg", "cat-rgba.png", "cat.bmp", "cat.ppm" };
    const struct limits few = { .pixels = 61 * 47 - 1 };
    char path[128];

    begin();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct bytes file;

        snprintf(path, sizeof path, "tests/cases/pictures/%s", names[i]);
        file = file_read(path, arena);
        assert_false(image_decode(file, &few, arena, &pixels, &info, &err));
        assert_int_equal(err.code, ERR_TOO_LARGE);
        assert_true(err.ranged && err.max == 61 * 47 - 1);
    }
    end();
}

TEST(a_picture_that_does_not_fit_the_arena_is_too_large)
{
    static const char *const names[] = { "cat.jpg", "cat-progressive.jpg", "cat-451x300.png" };
    char path[128];

    begin();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t size = 65536; size <= 8 << 16; size += 65536) {
            struct arena *small = arena_create(size);
            struct bytes file;
            bool ok;

            snprintf(path, sizeof path, "tests/cases/pictures/%s", names[i]);
            file = file_read(path, arena);
            ok = image_decode(file, &limits, small, &pixels, &info, &err);
            assert_true(ok || err.code == ERR_TOO_LARGE);
            assert_true(arena_peak(small) <= size);
            assert_false(ok && size == 65536);
            arena_destroy(small);
        }
    end();
}

TEST(a_stop_ends_the_decoding_of_every_format)
{
    static const char *const names[] = { "cat.jpg", "cat-rgba.png", "cat.bmp", "cat.ppm" };
    atomic_bool stop = true;
    const struct limits stopped = { .pixels = 50000000, .stop = &stop };
    char path[128];

    begin();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "tests/cases/pictures/%s", names[i]);
        assert_false(image_decode(file_read(path, arena), &stopped, arena, &pixels, &info, &err));
        assert_int_equal(err.code, ERR_DEADLINE);
    }
    end();
}
