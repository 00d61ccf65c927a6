/* Pictures in the forms that people send, through the kernel that changes nothing: whatever comes
 * back differently was lost on the way in or out. */
#include "tests/http/harness.h"
#include "tests/http/png_read.h"

#include <stdio.h>
#include <stdlib.h>

#define PICTURES "tests/cases/pictures/"

static struct answer *identity(const char *name, const char *more)
{
    size_t size;
    char *file = file_read(text_format(PICTURES "%s", name), &size);
    struct answer *answer = http_send(.path = text_format("/convolve?weights=identity%s", more),
                                      .body = file, .size = size);

    if (answer->status != 200)
        fail_msg("%s: status %d: %.400s", name, answer->status, answer->body);
    return answer;
}

static void assert_channels(const struct png_pixels *got, const struct png_pixels *want,
                            int channels)
{
    const uint8_t *ours = got->data, *theirs = want->data;
    size_t pixels = (size_t)want->width * (size_t)want->height, sample = (size_t)want->depth / 8;

    assert_int_equal(got->width, want->width);
    assert_int_equal(got->height, want->height);
    assert_int_equal(got->channels, channels);
    assert_int_equal(got->depth, want->depth);
    for (size_t i = 0; i < pixels; i++)
        assert_memory_equal(ours + i * sample * (size_t)channels,
                            theirs + i * sample * (size_t)want->channels,
                            sample * (size_t)channels);
}

/* The same in PNG's own terms: alpha is dropped (said so in a warning), nothing else. */
static void png_returns(const char *name, int channels)
{
    struct png_pixels got, want;
    struct answer *answer = identity(name, "&format=png");
    size_t size;
    char *file = file_read(text_format(PICTURES "%s", name), &size);

    assert_string_equal(answer_header(answer, "Content-Type"), "image/png");
    png_read_pixels(&got, answer->body, answer->size);
    png_read_pixels(&want, file, size);
    assert_channels(&got, &want, channels);
}

/* JPEG decoders may differ in the last bit, so here the daemon's own reading (what=input) is what
 * must come back, and it must resemble the picture. */
static void jpeg_returns(const char *name, int channels)
{
    struct png_pixels got;
    struct answer *picture = identity(name, "&format=png");
    struct answer *input = identity(name, "&format=raw&what=input");
    size_t pixels, wrong = 0;

    png_read_pixels(&got, picture->body, picture->size);
    assert_int_equal(got.channels, channels);
    assert_int_equal(got.depth, 8);
    pixels = (size_t)got.width * (size_t)got.height;
    assert_int_equal(input->size, pixels * (size_t)channels * sizeof(float));
    for (size_t i = 0; i < pixels * (size_t)channels; i++) {
        size_t c = i / pixels, at = i % pixels;
        float want;

        memcpy(&want, input->body + i * sizeof want, sizeof want);
        wrong += ((const uint8_t *)got.data)[at * (size_t)channels + c] != want;
    }
    assert_int_equal(wrong, 0);
}

/* Rows of R, G, B from the two formats that have no compression to get wrong. */
static void plain_returns(const char *name, const uint8_t *rows, size_t stride, int upside_down,
                          int red_first)
{
    struct png_pixels got;
    struct answer *answer = identity(name, "&format=png");
    const uint8_t *ours;

    png_read_pixels(&got, answer->body, answer->size);
    assert_true(got.channels == 3 && got.depth == 8 && got.width == 61 && got.height == 47);
    ours = got.data;
    for (size_t y = 0; y < 47; y++)
        for (size_t x = 0; x < 61; x++)
            for (size_t c = 0; c < 3; c++)
                assert_int_equal(
                    ours[(y * 61 + x) * 3 + c],
                    rows[(upside_down ? 46 - y : y) * stride + x * 3 + (red_first ? c : 2 - c)]);
}

TEST(an_rgb_png_returns_bit_for_bit)
{
    png_returns("cat-451x300.png", 3);
}
TEST(a_palette_png_returns_bit_for_bit)
{
    png_returns("cat-palette.png", 3);
}
TEST(an_interlaced_png_returns_bit_for_bit)
{
    png_returns("cat-interlaced.png", 3);
}
TEST(a_16_bit_grey_png_returns_all_of_its_16_bits)
{
    png_returns("cat-gray16.png", 1);
}
TEST(an_rgba_png_returns_its_colours_with_a_warning_about_alpha)
{
    png_returns("cat-rgba.png", 3);
    assert_non_null(
        strstr(answer_print(identity("cat-rgba.png", "&data=none"), "warnings"), "alpha"));
}
TEST(a_baseline_jpeg_returns_bit_for_bit)
{
    jpeg_returns("cat.jpg", 3);
}
TEST(a_progressive_jpeg_returns_bit_for_bit)
{
    jpeg_returns("cat-progressive.jpg", 3);
}
TEST(a_grey_jpeg_returns_bit_for_bit)
{
    jpeg_returns("cat-gray.jpg", 1);
}
TEST(a_cmyk_jpeg_returns_bit_for_bit)
{
    jpeg_returns("cat-cmyk.jpg", 3);
}
TEST(a_ppm_returns_bit_for_bit)
{
    size_t size;
    const uint8_t *file = (const uint8_t *)file_read(PICTURES "cat.ppm", &size);

    plain_returns("cat.ppm", file + size - 61 * 47 * 3, (size_t)61 * 3, false, true);
}
TEST(a_bmp_returns_bit_for_bit)
{
    size_t size;
    const uint8_t *file = (const uint8_t *)file_read(PICTURES "cat.bmp", &size);

    plain_returns("cat.bmp", file + 54, (61 * 3 + 3) / 4 * 4, true, false);
}
TEST(gif_and_webp_are_415_with_a_list_of_what_is_accepted)
{
    static const char *const names[] = { "cat.gif", "cat.webp" };

    for (int i = 0; i < 2; i++) {
        size_t size;
        char *file = file_read(text_format(PICTURES "%s", names[i]), &size);

        assert_problem(http_send(.path = "/convolve?weights=identity", .body = file, .size = size),
                       415, "media-type", "/image", "PNG, JPEG, BMP");
    }
}
