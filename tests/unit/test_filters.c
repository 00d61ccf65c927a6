/* The banks: presets against published kernels, generators against their definitions and against
 * checksums that hold on every machine. */
#include "core/elementary.h"
#include "core/filters.h"
#include "core/words.h"
#include "tests/unit/files.h"

#include <cjson/cJSON.h>
#include <math.h>

static struct arena *arena;
static struct error err;
static struct bank bank;

static void begin(void)
{
    arena = arena_create(64 << 20);
    assert_non_null(arena);
}

static void end(void)
{
    arena_destroy(arena);
}

static void find(const char *id)
{
    if (!bank_find(id, &bank, arena, &err))
        fail_msg("%s: %s", id, err.detail);
}

static double sum(const float *data, size_t count)
{
    double total = 0;

    for (size_t i = 0; i < count; i++)
        total += data[i];
    return total;
}

/* FNV-1a of a bank's bytes. */
static uint64_t checksum(void)
{
    const uint8_t *bytes = (const uint8_t *)bank.data;
    uint64_t hash = 0xcbf29ce484222325;

    for (size_t i = 0; i < shape_count(bank.shape) * sizeof(float); i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3;
    return hash;
}

static double number(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    return item ? item->valuedouble : 0;
}

static void expect_preset(const cJSON *expected)
{
    const cJSON *size = cJSON_GetObjectItemCaseSensitive(expected, "size"), *weight;
    const char *id = cJSON_GetObjectItemCaseSensitive(expected, "id")->valuestring;
    double div = number(expected, "div"), total = 0;
    int i = 0;

    find(id);
    assert_string_equal(bank.id, id);
    assert_true(bank.shape.count == 1 && bank.shape.channels == 1);
    assert_int_equal(bank.shape.height, size->child->valueint);
    assert_int_equal(bank.shape.width, size->child->next->valueint);
    cJSON_ArrayForEach(weight, cJSON_GetObjectItemCaseSensitive(expected, "w")) {
        assert_true(bank.data[i] == (float)(weight->valuedouble / div));
        total += bank.integers[i++];
    }
    assert_int_equal(i, bank.shape.height * bank.shape.width);
    assert_true(fabs(total / bank.divisor - number(expected, "sum")) < 1e-12);
    assert_true(bank.bias == (float)number(expected, "bias"));
    assert_true(fabs(bank.out_min - bank.bias - number(expected, "out_min")) < 1e-12);
    assert_true(fabs(bank.out_max - bank.bias - number(expected, "out_max")) < 1e-12);
    assert_int_equal(bank.gradient_divisor, (int)number(expected, "gradient_div"));
    assert_int_equal(bank.stride, (int)number(expected, "stride"));
    assert_int_equal(bank.padding, cJSON_HasObjectItem(expected, "padding") ? 0 : -1);
}

TEST(each_of_the_42_presets_has_its_published_weights_sum_and_range)
{
    struct bytes file;
    const cJSON *filters, *item;
    cJSON *json;

    begin();
    file = file_read("tests/cases/filters.json", arena);
    json = cJSON_ParseWithLength(file.data, file.size);
    filters = cJSON_GetObjectItemCaseSensitive(json, "filters");
    assert_int_equal(cJSON_GetArraySize(filters), 42);
    cJSON_ArrayForEach(item, filters) {
        expect_preset(item);
    }
    cJSON_Delete(json);
    end();
}

TEST(every_listed_bank_is_found_and_its_kind_fits_its_sum)
{
    begin();
    assert_true(bank_count() > 42);
    for (int i = 0; i < bank_count(); i++) {
        size_t each;

        find(bank_id(i));
        assert_string_equal(bank.id, bank_id(i));
        assert_true(strlen(bank.help) > 4);
        each = shape_count(bank.shape) / (size_t)bank.shape.count;
        for (int k = 0; k < bank.shape.count && bank.kind != BANK_LAYER; k++) {
            double total = sum(bank.data + (size_t)k * each, each);

            if (bank.kind == BANK_DERIVATIVE || bank.bias != 0)
                assert_true(fabs(total) < 1e-6);
            else
                assert_true(fabs(total - 1) < 1e-6);
        }
    }
    end();
}

TEST(an_unknown_bank_is_refused_with_the_nearest_name)
{
    begin();
    assert_false(bank_find("sobelx", &bank, arena, &err));
    assert_int_equal(err.code, ERR_PARAMETER);
    assert_string_equal(err.field, "weights");
    assert_non_null(strstr(err.detail, "did you mean 'sobel_x'"));
    assert_false(bank_find("Gausian5", &bank, arena, &err));
    assert_non_null(strstr(err.detail, "did you mean 'gaussian5'"));
    assert_false(bank_find("something else", &bank, arena, &err));
    assert_null(strstr(err.detail, "did you mean"));
    assert_null(bank_nearest(""));
    assert_false(bank_find("random", &bank, arena, &err));
    assert_non_null(strstr(err.detail, "out_channels"));
    end();
}

TEST(a_words_distance_is_the_letters_to_change)
{
    assert_int_equal(word_distance("kitten", "sitting"), 3);
    assert_int_equal(word_distance("", "abc"), 3);
    assert_int_equal(word_distance("Stride", "stride"), 0);
    assert_int_equal(word_distance("a123456789012345678901234567890123", "a"), 99);
}

TEST(of_several_words_the_nearest_is_meant_if_it_is_near)
{
    static const char *const words[] = { "queue", "quiet", "s", NULL };

    assert_string_equal(word_nearest("queu", words), "queue");
    assert_string_equal(word_nearest("QUIT", words), "quiet");
    assert_null(word_nearest("quick brown", words));
    assert_null(word_nearest("t", words)); /* any letter would be near */
    assert_null(word_nearest("", words));
}

TEST(edges_are_sobels_pair_and_haar4_a_wavelets_four)
{
    begin();
    find("edges");
    assert_int_equal(bank.shape.count, 2);
    assert_true(bank.data[2] == 1 && bank.data[9 + 6] == 1 && bank.kind == BANK_DERIVATIVE);
    assert_true(bank.out_min == -4 && bank.out_max == 4);
    find("haar4");
    assert_true(bank.shape.count == 4 && bank.stride == 2 && bank.padding == 0);
    assert_true(bank.out_min == -1 && bank.out_max == 2);
    find("kirsch8");
    assert_int_equal(bank.shape.count, 8);
    end();
}

TEST(the_learned_filters_have_length_1_and_stand_in_oihw_order)
{
    struct bytes file;
    const int8_t *raw;

    begin();
    find("learned96");
    file = file_read("core/learned96.i8", arena);
    raw = (const int8_t *)file.data;
    assert_int_equal(shape_count(bank.shape), file.size);
    for (int k = 0; k < 96; k++) {
        const float *f = bank.data + k * 363;
        double squares = 0;
        float scale;

        for (int i = 0; i < 363; i++)
            squares += f[i] * f[i];
        assert_true(fabs(squares - 1) < 1e-5);
        scale = f[121 + 11 + 2] / raw[k * 363 + (11 + 2) * 3 + 1]; /* channel 1, row 1, column 2 */
        if (raw[k * 363 + (11 + 2) * 3 + 1])
            assert_true(fabsf(f[242] - scale * raw[k * 363 + 2]) < 1e-6f);
    }
    assert_true(bank.kind == BANK_LAYER && bank.stride == 4);
    end();
}

TEST(a_gaussian_sums_to_1_is_symmetric_and_has_its_sigma)
{
    begin();
    for (int size = 1; size < 40; size += 3) {
        double variance = 0;

        assert_true(bank_gaussian(size, 1.5f, &bank, arena, &err));
        assert_true(fabs(sum(bank.data, (size_t)size * (size_t)size) - 1) < 1e-6);
        for (int i = 0; i < size * size; i++) {
            double x = i % size - (size - 1) / 2.0;

            assert_true(bank.data[i] == bank.data[size * size - 1 - i]);
            assert_true(bank.data[i] == bank.data[i % size * size + i / size]);
            variance += bank.data[i] * x * x;
        }
        if (size > 12)
            assert_true(fabs(variance - 1.5 * 1.5) < 1e-3);
    }
    assert_true(bank_gaussian(5, 0, &bank, arena, &err)); /* sigma from the size: 1.1 */
    assert_true(fabs(bank.data[13] / bank.data[12] - exp(-1 / (2 * 1.1 * 1.1))) < 1e-6);
    assert_true(bank.out_min == 0 && fabs(bank.out_max - 1) < 1e-6);
    end();
}

TEST(a_laplacian_of_a_gaussian_sums_to_0_with_a_positive_centre)
{
    begin();
    assert_true(bank_log(9, 1.4f, &bank, arena, &err));
    assert_true(fabs(sum(bank.data, 81)) < 1e-6);
    assert_true(bank.data[40] > 0 && bank.data[43] < 0 && bank.data[40] > bank.data[39]);
    assert_true(fabs(bank.out_max - 1) < 1e-6 && fabs(bank.out_min + 1) < 1e-6);
    end();
}

TEST(motion_is_a_line_at_its_angle)
{
    begin();
    assert_true(bank_motion(9, 0, &bank, arena, &err));
    for (int i = 0; i < 81; i++)
        assert_true(bank.data[i] == (i / 9 == 4 ? 1 / 9.0f : 0));
    assert_true(bank_motion(9, 90, &bank, arena, &err));
    for (int i = 0; i < 81; i++)
        assert_true(bank.data[i] == (i % 9 == 4 ? 1 / 9.0f : 0));
    assert_true(bank_motion(8, 30, &bank, arena, &err));
    assert_true(fabs(sum(bank.data, 64) - 1) < 1e-6);
    assert_true(bank.data[1 * 8 + 6] > 0 || bank.data[2 * 8 + 6] > 0); /* up to the right */
    assert_true(bank.data[1 * 8 + 1] == 0);
    end();
}

/* The answer of filter k to a wave of this many pixels across. */
static double answer_to_wave(int k, int size, double pixels, bool across)
{
    double total = 0;

    for (int i = 0; i < size * size; i++)
        total += bank.data[k * size * size + i] *
                 cos(6.283185307179586 * ((across ? i % size : i / size) - size / 2) / pixels);
    return fabs(total);
}

TEST(a_gabor_filter_hears_its_own_wave_and_not_even_light)
{
    const struct gabor gabor = { 15, 4, 2, 2, 4, 1, 0 };

    begin();
    assert_true(bank_gabor(&gabor, &bank, arena, &err));
    assert_int_equal(bank.shape.count, 8);
    for (int k = 0; k < 8; k++) {
        double squares = 0;

        for (int i = 0; i < 225; i++)
            squares += bank.data[k * 225 + i] * bank.data[k * 225 + i];
        assert_true(fabs(squares - 1) < 1e-5);
        assert_true(fabs(sum(bank.data + k * 225, 225)) < 1e-5);
    }
    assert_true(answer_to_wave(0, 15, 4, true) > 10 * answer_to_wave(2, 15, 4, true));
    assert_true(answer_to_wave(2, 15, 4, false) > 10 * answer_to_wave(0, 15, 4, false));
    assert_true(answer_to_wave(4, 15, 8, true) > 2 * answer_to_wave(0, 15, 8, true));
    end();
}

TEST(the_dct_is_orthonormal_and_its_first_wave_is_flat)
{
    begin();
    assert_true(bank_dct8(&bank, arena, &err));
    for (int a = 0; a < 64; a++)
        for (int b = 0; b < 64; b++) {
            double dot = 0;

            for (int i = 0; i < 64; i++)
                dot += (double)bank.data[a * 64 + i] * bank.data[b * 64 + i];
            assert_true(fabs(dot - (a == b)) < 1e-6);
        }
    for (int i = 0; i < 64; i++)
        assert_true(bank.data[i] == 0.125f);
    assert_true(bank.data[64] > 0 && bank.data[64 + 7] < 0 && bank.data[64] == bank.data[64 + 8]);
    assert_int_equal(bank.stride, 8);
    end();
}

static void moments(double *mean, double *deviation)
{
    size_t count = shape_count(bank.shape);
    double squares = 0;

    *mean = sum(bank.data, count) / (double)count;
    for (size_t i = 0; i < count; i++)
        squares += (bank.data[i] - *mean) * (bank.data[i] - *mean);
    *deviation = sqrt(squares / (double)count);
}

TEST(random_weights_have_the_spread_that_their_init_promises)
{
    const struct shape shape = { 96, 3, 11, 11 };
    double mean, deviation;
    float first;

    begin();
    assert_true(bank_random("he", 1, shape, &bank, arena, &err));
    first = bank.data[0];
    moments(&mean, &deviation);
    assert_true(fabs(mean) < 0.001 && fabs(deviation - sqrt(2 / 363.0)) < 0.001);
    assert_true(bank_random("he", 2, shape, &bank, arena, &err));
    assert_true(bank.data[0] != first);
    assert_true(bank_random("xavier", 1, shape, &bank, arena, &err));
    moments(&mean, &deviation);
    assert_true(fabs(mean) < 0.001 && fabs(deviation - sqrt(2 / (121 * 99.0))) < 0.001);
    for (size_t i = 0; i < shape_count(shape); i++)
        assert_true(fabsf(bank.data[i]) <= (float)sqrt(6 / (121 * 99.0)));
    assert_false(bank_random("normal", 1, shape, &bank, arena, &err));
    assert_string_equal(err.field, "weights/random/init");
    end();
}

TEST(generators_give_the_same_bits_on_every_machine)
{
    const struct gabor gabor = { 11, 8, 2, 2.8f, 5, 0.5f, 0.7f };

    begin();
    assert_true(bank_random("he", 1, (struct shape){ 96, 3, 11, 11 }, &bank, arena, &err));
    assert_int_equal(checksum(), 0x47b1132aaafc465e);
    assert_true(bank_random("xavier", 7, (struct shape){ 8, 4, 3, 3 }, &bank, arena, &err));
    assert_int_equal(checksum(), 0x4d1a2d273e980f0c);
    assert_true(bank_gabor(&gabor, &bank, arena, &err));
    assert_int_equal(checksum(), 0xd93758054bf69f8d);
    assert_true(bank_gaussian(21, 3.3f, &bank, arena, &err));
    assert_int_equal(checksum(), 0x9f2a1d9ac9951604);
    assert_true(bank_log(21, 3.3f, &bank, arena, &err));
    assert_int_equal(checksum(), 0xc35b078481c03ec5);
    assert_true(bank_motion(15, 33, &bank, arena, &err));
    assert_int_equal(checksum(), 0xe955a272d9126181);
    find("dct8");
    assert_int_equal(checksum(), 0x7d6313eaa2e739a5);
    find("learned96");
    assert_int_equal(checksum(), 0x997c80309cf91c33);
    end();
}

static void refused(bool ok, const char *field)
{
    assert_false(ok);
    assert_int_equal(err.code, ERR_PARAMETER);
    assert_string_equal(err.field, field);
    assert_true(err.ranged && err.min < err.max);
}

TEST(a_generators_numbers_are_held_to_their_ranges)
{
    struct gabor gabor = { 11, 8, 1, 2.8f, 5, 0.5f, 0 };

    begin();
    refused(bank_gaussian(0, 1, &bank, arena, &err), "weights/gaussian/size");
    refused(bank_gaussian(5, NAN, &bank, arena, &err), "weights/gaussian/sigma");
    refused(bank_gaussian(256, 1, &bank, arena, &err), "weights/gaussian/size");
    refused(bank_log(5, 0, &bank, arena, &err), "weights/log/sigma");
    refused(bank_motion(5, 1e9f, &bank, arena, &err), "weights/motion/angle");
    gabor.orientations = -1;
    refused(bank_gabor(&gabor, &bank, arena, &err), "weights/gabor/orientations");
    gabor.orientations = 8;
    gabor.gamma = INFINITY;
    refused(bank_gabor(&gabor, &bank, arena, &err), "weights/gabor/gamma");
    end();
}

TEST(extreme_but_allowed_numbers_give_finite_filters)
{
    static const float widths[] = { 0.2f, 1, 1000 };

    begin();
    for (int w = 0; w < 3; w++)
        for (int size = 3; size < 256; size += 63) {
            struct gabor gabor = { size, 2, 16, widths[w], widths[2 - w] < 1 ? 1 : widths[2 - w],
                                   100,  10 };
            bool ok = bank_gaussian(size, widths[w], &bank, arena, &err);

            for (int i = 0; ok && i < size * size; i++)
                assert_true(isfinite(bank.data[i]));
            ok = bank_log(size, widths[w], &bank, arena, &err);
            for (int i = 0; ok && i < size * size; i++)
                assert_true(isfinite(bank.data[i]));
            ok = bank_gabor(&gabor, &bank, arena, &err);
            for (int i = 0; ok && i < size * size * 32; i++)
                assert_true(isfinite(bank.data[i]));
        }
    end();
}

TEST(the_elementary_functions_are_those_of_libm_to_the_last_digits)
{
    for (double x = -700; x < 700; x += 0.37) {
        assert_true(fabs(elementary_exp(x) / exp(x) - 1) < 1e-15);
        assert_true(fabs(elementary_log(exp(x)) - log(exp(x))) <= 1e-15 * fabs(x) + 1e-16);
        assert_true(fabs(elementary_cos(x / 100) - cos(x / 100 * 6.283185307179586)) < 1e-14);
    }
    assert_true(elementary_cos(0.25) == 0 && elementary_cos(0.5) == -1 && elementary_exp(0) == 1);
    assert_true(elementary_log(1) == 0 && elementary_cos(-3) == 1);
}
