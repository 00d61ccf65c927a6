/* Float text both ways: against the C library, which is slow and right. `make exhaustive` goes
 * through all 2^32. */
#include "api/floats.h"
#include "api/floats_inner.h"
#include "tests/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t random_state = 1;

static uint32_t random_bits(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 32);
}

static float float_of(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, 4);
    return value;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, 4);
    return bits;
}

static void assert_written(float value, const char *text)
{
    char out[FLOAT_TEXT + FLOATS_SLACK];

    *floats_write(out, &value, 1) = 0;
    assert_string_equal(out, text);
}

static void assert_digits(float value, int digits, const char *text)
{
    char out[FLOAT_TEXT + FLOATS_SLACK];

    *floats_write_digits(out, &value, 1, digits) = 0;
    assert_string_equal(out, text);
}

static void assert_read(const char *text, uint32_t bits)
{
    char buffer[1024 + FLOATS_SLACK] = "";
    float value = 7;
    const char *end;

    assert_true(strlen(text) < 1024);
    strcpy(buffer, text);
    end = float_read(buffer, &value);
    if (!end || end != buffer + strlen(text) || bits_of(value) != bits)
        fail_msg("%s is read as %08x, not %08x, up to %d", text, bits_of(value), bits,
                 end ? (int)(end - buffer) : -1);
}

/* Both ways, and by the C library. */
static void assert_restored(uint32_t bits)
{
    char out[FLOAT_TEXT + FLOATS_SLACK] = "";
    float value = float_of(bits), back;
    char *end = floats_write(out, &value, 1);

    *end = 0;
    assert_true(end - out < FLOAT_TEXT);
    if (!isfinite(value)) {
        assert_string_equal(out, "null");
        return;
    }
    if (bits_of(strtof(out, NULL)) != bits)
        fail_msg("%08x is written as %s", bits, out);
    if (float_read(out, &back) != end || bits_of(back) != bits)
        fail_msg("%s is read as %08x, not %08x", out, bits_of(back), bits);
}

/* A text's significant digits as a number without zeros at its end, and how many they are. */
static uint64_t significant(const char *text, int *count)
{
    uint64_t digits = 0;

    for (; *text && *text != 'e'; text++)
        if (*text >= '0' && *text <= '9')
            digits = digits * 10 + (uint64_t)(*text - '0');
    while (digits && digits % 10 == 0)
        digits /= 10;
    *count = 0;
    for (uint64_t rest = digits; rest; rest /= 10)
        ++*count;
    return digits;
}

/* No decimal with a digit less restores the value, and none with as many is nearer. */
static void assert_shortest(uint32_t bits)
{
    char out[FLOAT_TEXT + FLOATS_SLACK], other[64], above[64];
    float value = float_of(bits);
    int count, other_count;
    uint64_t digits;

    *floats_write(out, &value, 1) = 0;
    digits = significant(out, &count);
    if (count > 1) {
        snprintf(other, sizeof other, "%.*e", count - 2, (double)value);
        if (strtof(other, NULL) == value)
            fail_msg("%s is longer than %s", out, other);
        /* the one on the other side: powers of two are nearer to what is below them */
        snprintf(above, sizeof above, "%.*e", count - 2,
                 (double)value + fabs(strtod(other, NULL) - (double)value) * (1 + 1e-9));
        if (strtof(above, NULL) == value)
            fail_msg("%s is longer than %s", out, above);
    }
    snprintf(other, sizeof other, "%.*e", count - 1, (double)value);
    if (strtof(other, NULL) == value && significant(other, &other_count) != digits)
        fail_msg("%s is further away than %s", out, other);
}

TEST(floats_are_written_as_people_write_them)
{
    assert_written(0, "0");
    assert_written(-0.0f, "-0");
    assert_written(1, "1");
    assert_written(-255, "-255");
    assert_written(0.1f, "0.1");
    assert_written(2.5f, "2.5");
    assert_written(100, "100");
    assert_written(16777216, "16777216");
    assert_written(999999936, "999999940"); /* the shortest that restores it */
    assert_written(1e9f, "1e9");
    assert_written(1e20f, "1e20");
    assert_written(0.00001f, "0.00001");
    assert_written(0.000001f, "1e-6");
    assert_written(-0.0000123456789f, "-0.000012345679");
    assert_written(3.4028235e38f, "3.4028235e38");
    assert_written(1.17549435e-38f, "1.1754944e-38");
    assert_written(1.4e-45f, "1e-45");
    assert_written(NAN, "null");
    assert_written(INFINITY, "null");
    assert_written(-INFINITY, "null");
}

TEST(several_floats_have_commas_between_them_and_none_behind)
{
    const float values[] = { 1, -2.5f, NAN, 0 };
    char out[4 * FLOAT_TEXT + FLOATS_SLACK];

    *floats_write(out, values, 4) = 0;
    assert_string_equal(out, "1,-2.5,null,0");
    assert_ptr_equal(floats_write(out, values, 0), out);
    *floats_write_digits(out, values, 4, 1) = 0;
    assert_string_equal(out, "1,-2,null,0");
}

TEST(the_table_of_factors_is_what_exact_arithmetic_gives)
{
    for (int e = 0; e < 255; e++) {
        int q = (e ? e : 1) - 150, k = (q * 1262611) >> 22;
        int shift = q + 60 - k; /* 2^(q + 60) / 10^k = 2^shift / 5^k */
        unsigned __int128 five = 1, quotient, rest;

        assert_int_equal(k, (int)floorl(log10l(ldexpl(1, q))));
        for (int i = 0; i < abs(k); i++)
            five *= 5;
        if (k < 0) {
            quotient = shift < 0 ? five >> -shift : five << shift;
        } else { /* long division, a bit at a time */
            quotient = 0;
            rest = 1;
            if (rest >= five)
                quotient = 1, rest = 0;
            for (int i = 0; i < shift; i++) {
                quotient <<= 1;
                rest <<= 1;
                if (rest >= five)
                    rest -= five, quotient |= 1;
            }
        }
        assert_true(quotient == float_factors[e]);
    }
}

TEST(powers_of_two_and_their_neighbours_are_restored_and_shortest)
{
    for (uint32_t e = 0; e < 255; e++)
        for (uint32_t d = 0; d < 9; d++) {
            uint32_t bits = (e << 23) + d - 4;

            assert_restored(bits);
            assert_restored(bits ^ 0x80000000);
            if (isfinite(float_of(bits)) && (bits & 0x7fffffff))
                assert_shortest(bits & 0x7fffffff);
        }
    for (uint32_t bits = 1; bits < 5000; bits++) /* the smallest that are not zero */
        assert_restored(bits), assert_shortest(bits);
}

TEST(powers_of_ten_and_their_neighbours_are_restored_and_shortest)
{
    for (int e = -45; e <= 38; e++) {
        char text[16];

        snprintf(text, sizeof text, "1e%d", e);
        for (uint32_t d = 0; d < 9; d++) {
            uint32_t bits = bits_of(strtof(text, NULL)) + d - 4;

            if (!isfinite(float_of(bits)))
                continue;
            assert_restored(bits);
            assert_shortest(bits);
        }
    }
}

TEST(ten_million_random_floats_are_restored)
{
    static float values[1000], back[1000];
    static char out[1000 * FLOAT_TEXT + FLOATS_SLACK];

    for (int round = 0; round < 10000; round++) {
        const char *p = out;

        for (int i = 0; i < 1000; i++) {
            uint32_t bits = random_bits();

            values[i] = float_of(bits);
            if (!isfinite(values[i]))
                values[i] = 0;
        }
        *floats_write(out, values, 1000) = 0;
        for (int i = 0; i < 1000; i++, p++) {
            p = float_read(p, back + i);
            assert_non_null(p);
        }
        assert_memory_equal(values, back, sizeof values);
    }
}

/* Blocks of every length, of every kind: zeros, powers of two, wide ranges, what is no number. */
TEST(the_vector_writer_and_the_portable_one_write_the_same)
{
    enum { MOST = 600 }; /* more than a block of the vector writer */
    static float values[MOST];
    static char one[MOST * FLOAT_TEXT + FLOATS_SLACK], other[sizeof one];

    if (!floats_have_avx512())
        skip();
    for (int round = 0; round < 200000; round++) {
        size_t count = random_bits() % (round % 64 ? 33 : MOST);
        uint32_t kind = random_bits() % 7;
        ptrdiff_t size;

        for (size_t i = 0; i < count; i++) {
            uint32_t bits = random_bits();

            values[i] = float_of(bits);
            if (kind < 3) /* those that people have */
                values[i] = ((float)bits / 4294967296.0f - 0.5f) * powf(10, (float)kind * 3 - 2);
            if (kind == 3)
                values[i] = (float)(int)(bits % 600) - 300;
            if (kind == 4)
                values[i] = ldexpf(bits & 1 ? 1 : -1, (int)(bits % 270) - 140);
            if (kind == 5) /* as long as text can be */
                values[i] = (bits & 1 ? 1e-5f : -1e-5f) * (1 + (float)bits / 4294967296.0f);
            if (bits % 9 == kind)
                values[i] = 0;
        }
        size = floats_write_avx512(one, values, count) - one;
        assert_int_equal(floats_write_portable(other, values, count) - other, size);
        assert_memory_equal(one, other, (size_t)size);
    }
}

TEST(a_million_random_floats_are_restored_by_the_c_library_too)
{
    for (int i = 0; i < 1000000; i++)
        assert_restored(random_bits());
}

TEST(random_floats_are_as_short_as_can_be_and_nearest)
{
    for (int i = 0; i < 200000; i++) {
        uint32_t bits = random_bits() & 0x7fffffff;

        if (bits && isfinite(float_of(bits)))
            assert_shortest(bits);
    }
}

TEST(digits_are_rounded_as_printf_rounds_them)
{
    char text[64];

    for (int i = 0; i < 500000; i++) {
        float value = float_of(random_bits());
        int digits = (int)(random_bits() % 9) + 1, count, expected;
        char out[FLOAT_TEXT + FLOATS_SLACK];

        if (i % 3 == 0) /* ties, often */
            value = ldexpf((float)(random_bits() % 100000), -(int)(random_bits() % 12));
        if (!isfinite(value))
            continue;
        *floats_write_digits(out, &value, 1, digits) = 0;
        snprintf(text, sizeof text, "%.*e", digits - 1, (double)value);
        if (strtod(out, NULL) != strtod(text, NULL) ||
            significant(out, &count) != significant(text, &expected) || count != expected)
            fail_msg("%s to %d digits is %s", text, digits, out);
    }
    assert_digits(2.5f, 1, "2");
    assert_digits(9.97f, 2, "10");
    assert_digits(999.97f, 4, "1000");
    assert_digits(0.1f, 9, "0.100000001");
    assert_digits(0.1f, 3, "0.1");
    assert_digits(999999999, 9, "1e9");
    assert_digits(-1.4e-45f, 9, "-1.40129846e-45");
    assert_digits(NAN, 3, "null");
    assert_digits(-0.0f, 3, "-0");
}

TEST(a_number_is_read_by_json_s_grammar_and_no_other)
{
    static const char *const wrong[] = {
        "",         "-",   "+1",    ".5",   "1.",        "-.5",       "01",         "-01",
        "00",       "1e",  "1e+",   "1.e5", "e5",        "NaN",       "inf",        "null",
        "- 1",      "--1", "1.-5",  "1.e",  "0.e1",      "1.5e",      "-a",         "1.a",
        "٣",        "1e-", "1.5e+", "-inf", "1.123456e", "12345678.", "123456789e", "0.12345678e+",
        "012345678"
    };
    static const char *const short_of[] = {
        "1e5x", "1.5.5",     "0x10",
        "1,",   "1]",        "1 ",
        "-0-",  "12345678a", "1.123456789012345678901234567890a"
    };
    float value;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char buffer[64 + FLOATS_SLACK] = "";

        strcpy(buffer, wrong[i]);
        if (float_read(buffer, &value))
            fail_msg("%s is read", wrong[i]);
    }
    for (size_t i = 0; i < sizeof short_of / sizeof *short_of; i++) {
        char buffer[64 + FLOATS_SLACK] = "";
        const char *end;

        strcpy(buffer, short_of[i]);
        end = float_read(buffer, &value);
        assert_non_null(end);
        assert_true((size_t)(end - buffer) < strlen(short_of[i]));
    }
    assert_read("0", 0);
    assert_read("-0", 0x80000000);
    assert_read("-0.0e-99999999999", 0x80000000);
    assert_read("0e999999999999", 0);
    assert_read("1E5", bits_of(1e5f));
    assert_read("1e+05", bits_of(1e5f));
    assert_read("1e400", bits_of(INFINITY));
    assert_read("-1e400", bits_of(-INFINITY));
    assert_read("1e-400", 0);
    /* 2^128 - 2^103, halfway to 2^128, is infinity; anything less is the largest float */
    assert_read("340282356779733661637539395458142568448", bits_of(INFINITY));
    assert_read("340282356779733661637539395458142568447.9", 0x7f7fffff);
    assert_read("7.0064923216240853546186479164495e-46", 0); /* halfway to the smallest */
    assert_read("7.0064923216240853546186479164496e-46", 1);
}

TEST(numbers_are_read_correctly_rounded_however_long)
{
    char text[512];

    for (int i = 0; i < 600000; i++) {
        float value = float_of(random_bits());
        double between;

        if (!isfinite(value))
            continue;
        /* halfway to the next float, exactly, and a hair beside it: where rounding goes wrong */
        between = ((double)value + (double)nextafterf(value, INFINITY)) / 2;
        if (isinf((float)between))
            continue;
        if (i % 4 == 1)
            between = nextafter(between, INFINITY);
        if (i % 4 == 2)
            between = nextafter(between, -INFINITY);
        if (i % 3 == 0)
            snprintf(text, sizeof text, "%.*e", (int)(random_bits() % 160), between);
        else if (i % 3 == 1)
            snprintf(text, sizeof text, "%.17g", between);
        else if (fabs(between) < 1e30)
            snprintf(text, sizeof text, "%.*f", (int)(random_bits() % 60), between);
        assert_read(text, bits_of(strtof(text, NULL)));
    }
}

TEST(base64_is_rfc_4648_s_and_comes_back)
{
    static const char *const known[][2] = { { "", "" },
                                            { "f", "Zg==" },
                                            { "fo", "Zm8=" },
                                            { "foo", "Zm9v" },
                                            { "foob", "Zm9vYg==" },
                                            { "fooba", "Zm9vYmE=" },
                                            { "foobar", "Zm9vYmFy" } };
    unsigned char bytes[300], back[400];
    char text[500];
    size_t size;

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        *base64_write(text, known[i][0], strlen(known[i][0])) = 0;
        assert_string_equal(text, known[i][1]);
    }
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)random_bits();
    for (size_t length = 0; length <= sizeof bytes; length++) {
        char *end = base64_write(text, bytes, length);

        assert_int_equal(end - text, base64_size(length));
        assert_true(base64_read(text, (size_t)(end - text), back, &size));
        assert_int_equal(size, length);
        assert_memory_equal(bytes, back, length);
    }
}

TEST(base64_that_is_not_canonical_is_refused)
{
    static const char *const wrong[] = { "Z",        "Zg",      "Zg=",      "Zg===", "=",
                                         "====",     "Zh==",    "Zm9=",     "Zm9v=", "Z===",
                                         "Zg==Zg==", "Zm 9",    "Zm9v\n",   "Zm9-",  "Zm9_",
                                         "Zm8=Zm9v", "\xffm9v", "Zm9vZg=a", "Z=9v",  "Zm=v" };
    unsigned char out[64], buffer[240];
    size_t size;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (base64_read(wrong[i], strlen(wrong[i]), out, &size))
            fail_msg("%s is read", wrong[i]);
    for (int at = 0; at < 320; at++) { /* every place of a long text, which vectors read */
        char text[321];

        memset(text, 'A', 320);
        for (int i = 0; i < 5; i++) {
            text[at] = "=\xc1-_\n"[i];
            assert_false(base64_read(text, 320, buffer, &size) && !(at == 319 && i == 0));
        }
    }
    for (int c = 0; c < 256; c++) /* every byte at every place of two groups */
        for (int at = 0; at < 8; at++) {
            char text[9] = "QUJDREVG";
            bool letter = c && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                      "0123456789+/",
                                      c);

            text[at] = (char)c;
            assert_int_equal(base64_read(text, 8, out, &size),
                             letter /* not '=': V's last bits are not 0 */);
        }
}
