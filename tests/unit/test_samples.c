/* Built-in pictures: the same pixels on every machine and at every call, and what each promises. */
#include "api/sample.h"
#include "tests/testing.h"

#include <stdlib.h>

static const struct limits limits = { .pixels = 50000000 };
static struct arena *arena;
static struct pixels pixels;
static struct error err;

static uint64_t checksum(const uint8_t *bytes, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3;
    return hash;
}

static const uint8_t *draw(const char *id, int size)
{
    if (!sample_pixels(id, size, &limits, arena, &pixels, &err))
        fail_msg("%s: %s", id, err.detail);
    return pixels.data;
}

static void begin(void)
{
    arena = arena_create(256 << 20);
    assert_non_null(arena);
}

static void end(void)
{
    arena_destroy(arena);
}

TEST(every_sample_has_the_same_pixels_on_every_machine)
{
    static const struct {
        const char *id;
        uint64_t sum;
    } expected[] = { { "scene", 0x8bec80d840d21332 }, { "zone_plate", 0x8feb20fb26600106 },
                     { "star", 0x27d72b900903860f },  { "checker", 0xd46fc4dc6a47e14e },
                     { "ramp", 0x27dcbfacc58e23bc },  { "bars", 0x3ad325501578d117 },
                     { "noise", 0x24bf7624321fe774 }, { "impulse", 0x9934da26085093ee },
                     { "tiny", 0xdeb694380b55d23c },  { "cat", 0x3c91c5d87824207d } };

    begin();
    assert_int_equal(sample_count(), 9);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const uint8_t *data = draw(expected[i].id, 97);
        uint64_t sum = checksum(data, (size_t)97 * 97 * (size_t)pixels.channels);

        if (sum != expected[i].sum)
            fail_msg("%s: 0x%016llx", expected[i].id, (unsigned long long)sum);
    }
    end();
}

TEST(every_sample_can_be_drawn_at_any_size_and_uses_all_of_its_range)
{
    static const int sizes[] = { 1, 2, 3, 31, 300, 511 };

    begin();
    for (int i = 0; i < sample_count(); i++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            const uint8_t *data = draw(sample_at(i)->id, sizes[s]);
            uint8_t least = 255, most = 0;

            assert_true(pixels.width == sizes[s] && pixels.height == sizes[s]);
            for (int p = 0; p < sizes[s] * sizes[s] * pixels.channels; p++) {
                least = data[p] < least ? data[p] : least;
                most = data[p] > most ? data[p] : most;
            }
            if (sizes[s] >= 31 && strcmp(sample_at(i)->id, "tiny") != 0)
                assert_true(most - least > 150);
        }
    end();
}

TEST(a_sample_without_a_size_has_its_own)
{
    begin();
    draw("tiny", 0);
    assert_true(pixels.width == 8 && pixels.height == 8 && pixels.channels == 3);
    draw("cat", 0);
    assert_true(pixels.width == sample_cat_size[0] && pixels.height == sample_cat_size[1]);
    end();
}

TEST(tiny_is_made_of_one_digit_numbers)
{
    const uint8_t *data;

    begin();
    data = draw("tiny", 8);
    for (int i = 0; i < 192; i++)
        assert_true(data[i] <= 9);
    end();
}

TEST(an_impulse_is_one_white_pixel_in_the_middle_and_a_ramp_climbs_evenly)
{
    const uint8_t *data;

    begin();
    data = draw("impulse", 31);
    for (int i = 0; i < 31 * 31; i++)
        assert_int_equal(data[i], i == 15 * 31 + 15 ? 255 : 0);
    data = draw("ramp", 256);
    for (int i = 0; i < 256 * 256; i++)
        assert_int_equal(data[i], i % 256);
    end();
}

TEST(the_cat_at_its_own_height_is_its_middle_square_bit_for_bit)
{
    const uint8_t *square, *whole;

    begin();
    square = draw("cat", 300);
    whole = draw("cat", 0);
    for (size_t y = 0; y < 300; y++)
        assert_memory_equal(square + y * 900, whole + (y * 451 + 75) * 3, 900);
    end();
}

TEST(the_cat_keeps_its_mean_colour_at_every_size)
{
    static const int sizes[] = { 1, 7, 100, 150, 227, 299, 301, 600, 1024 };

    begin();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        double own = 0, resized = 0;
        const uint8_t *data = draw("cat", 300);

        for (int p = 0; p < 300 * 300 * 3; p++)
            own += data[p] / (300.0 * 300 * 3);
        data = draw("cat", sizes[i]);
        for (int p = 0; p < sizes[i] * sizes[i] * 3; p++)
            resized += data[p] / (3.0 * sizes[i] * sizes[i]);
        assert_true(abs((int)(own * 100) - (int)(resized * 100)) < 60);
    }
    end();
}

TEST(an_unknown_sample_a_size_out_of_range_and_too_many_pixels_are_refused)
{
    const struct limits few = { .pixels = 99 };

    begin();
    assert_false(sample_pixels("cta", 0, &limits, arena, &pixels, &err));
    assert_int_equal(err.code, ERR_PARAMETER);
    assert_string_equal(err.field, "image/sample");
    assert_false(sample_pixels("scen", 0, &limits, arena, &pixels, &err));
    assert_non_null(strstr(err.detail, "did you mean 'scene'"));
    assert_false(sample_pixels("cat", 4097, &limits, arena, &pixels, &err));
    assert_string_equal(err.field, "image/size");
    assert_false(sample_pixels("star", -1, &limits, arena, &pixels, &err));
    assert_false(sample_pixels("star", 10, &few, arena, &pixels, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
    end();
}

TEST(a_sample_that_does_not_fit_the_arena_is_too_large)
{
    begin();
    for (size_t size = 1 << 16; size < 8 << 20; size *= 2) {
        struct arena *small = arena_create(size);
        bool ok = sample_pixels("cat", 2000, &limits, small, &pixels, &err);

        assert_false(ok);
        assert_int_equal(err.code, ERR_TOO_LARGE);
        arena_destroy(small);
    }
    end();
}
