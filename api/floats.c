/* float32 to text and back with one table lookup and one multiplication a number.
 *
 * Writing. A float is c * 2^q. One unit in its last place, 2^q, is 1 to 10 units of 10^k for
 * k = floor(log10(2^q)), so c * (2^q / 10^k) has all digits that can matter, and at most the last
 * can be dropped. The table holds 2^q / 10^k for each exponent; the product is kept as fixed point
 * with 36 bits behind the point. Half a unit in the last place, on either side, is how far the
 * text may lie from the value: a multiple of ten in there is the shortest text, else the nearest
 * integer is. `make exhaustive` compares all 2^32 floats with std::to_chars.
 *
 * Reading. Up to 19 digits as an integer m, then m * 10^e in double, whose error is known: unless
 * the product is that close to a point halfway between two floats, rounding it is right. */
#include "api/floats.h"
#include "api/floats_inner.h"
#include "core/core.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "digits are moved eight at a time");

const uint64_t float_factors[256] = {
#include "api/float_factors.inc"
};

/* 1e-64 to 1e64, each the nearest double. */
static const double powers_of_ten[] = {
    1e-64, 1e-63, 1e-62, 1e-61, 1e-60, 1e-59, 1e-58, 1e-57, 1e-56, 1e-55, 1e-54, 1e-53, 1e-52,
    1e-51, 1e-50, 1e-49, 1e-48, 1e-47, 1e-46, 1e-45, 1e-44, 1e-43, 1e-42, 1e-41, 1e-40, 1e-39,
    1e-38, 1e-37, 1e-36, 1e-35, 1e-34, 1e-33, 1e-32, 1e-31, 1e-30, 1e-29, 1e-28, 1e-27, 1e-26,
    1e-25, 1e-24, 1e-23, 1e-22, 1e-21, 1e-20, 1e-19, 1e-18, 1e-17, 1e-16, 1e-15, 1e-14, 1e-13,
    1e-12, 1e-11, 1e-10, 1e-9,  1e-8,  1e-7,  1e-6,  1e-5,  1e-4,  1e-3,  1e-2,  1e-1,  1e0,
    1e1,   1e2,   1e3,   1e4,   1e5,   1e6,   1e7,   1e8,   1e9,   1e10,  1e11,  1e12,  1e13,
    1e14,  1e15,  1e16,  1e17,  1e18,  1e19,  1e20,  1e21,  1e22,  1e23,  1e24,  1e25,  1e26,
    1e27,  1e28,  1e29,  1e30,  1e31,  1e32,  1e33,  1e34,  1e35,  1e36,  1e37,  1e38,  1e39,
    1e40,  1e41,  1e42,  1e43,  1e44,  1e45,  1e46,  1e47,  1e48,  1e49,  1e50,  1e51,  1e52,
    1e53,  1e54,  1e55,  1e56,  1e57,  1e58,  1e59,  1e60,  1e61,  1e62,  1e63,  1e64,
};
enum { POWER_MAX = 64 };

/* digits * 10^exponent. 0 < digits < 10^9; zeros at its end are allowed. */
struct decimal {
    uint32_t digits;
    int exponent;
};

/* floor(log10(2^q)) for |q| < 200. */
static int log10_of_power(int q)
{
    return (q * 1262611) >> 22;
}

/* The decimal for a power of two, whose neighbour below is only half as far as the one above.
 * whole and fraction are its value in units of 10^exponent; reach is half of the distance above. */
static struct decimal shortest_of_power(uint64_t value, uint64_t reach, int exponent)
{
    uint64_t below = (reach >> 1) + FLOAT_SLOP, above = reach + FLOAT_SLOP;
    uint64_t whole = value >> FLOAT_POINT, fraction = value & (FLOAT_ONE - 1);
    uint64_t tens = whole / 10 * 10, over = value - (tens << FLOAT_POINT);
    uint64_t nearest = (value + FLOAT_ONE / 2 - 1 + (whole & 1)) >> FLOAT_POINT;

    if (over <= below)
        return (struct decimal){ (uint32_t)tens, exponent };
    if (over >= 10 * FLOAT_ONE - above)
        return (struct decimal){ (uint32_t)tens + 10, exponent };
    if (nearest != whole || fraction <= below)
        return (struct decimal){ (uint32_t)nearest, exponent };
    if (FLOAT_ONE - fraction <= above)
        return (struct decimal){ (uint32_t)whole + 1, exponent };
    /* 2^-103, 2^-70, 2^-60 and 2^93 need one digit more. */
    return (struct decimal){
        (uint32_t)(whole * 10 + ((fraction * 10 + FLOAT_ONE / 2) >> FLOAT_POINT)), exponent - 1
    };
}

/* magnitude: the bits of a finite float above zero. */
static struct decimal shortest(uint32_t magnitude)
{
    uint32_t biased = magnitude >> 23, significand = magnitude & 0x7fffff;
    uint64_t factor = float_factors[biased],
             reach = factor >> 25; /* half a unit in the last place */
    int exponent = log10_of_power((biased ? (int)biased : 1) - 150);
    uint64_t value, whole, tens, over, inside;
    uint32_t digits;

    significand |= (uint32_t)(biased != 0) << 23;
    value = (uint64_t)(((unsigned __int128)((uint64_t)significand << 40) * factor) >> 64);
    if (__builtin_expect(significand == 0x800000 && biased > 1, 0))
        return shortest_of_power(value, reach, exponent);
    whole = value >> FLOAT_POINT;
    tens = whole / 10 * 10;
    over = value - (tens << FLOAT_POINT);
    inside = significand & 1 ? reach - FLOAT_SLOP : reach + FLOAT_SLOP; /* ties go to even */
    digits = (uint32_t)((value + FLOAT_ONE / 2 - 1 + (whole & 1)) >> FLOAT_POINT);
    digits = over <= inside ? (uint32_t)tens : digits;
    digits = over >= 10 * FLOAT_ONE - inside ? (uint32_t)tens + 10 : digits;
    return (struct decimal){ digits, exponent };
}

/* Eight digits of number < 10^8, one a byte, the first in the lowest byte: halves, quarters and
 * eighths at once, by multiplications that divide. */
static uint64_t eight_digits(uint32_t number)
{
    uint64_t high = number / 10000, parts = high | (uint64_t)(number - high * 10000) << 32;
    uint64_t quotients = ((parts * 10486) >> 20) & 0x0000007f0000007f;

    parts = quotients | (parts - quotients * 100) << 16;
    quotients = ((parts * 103) >> 10) & 0x000f000f000f000f;
    return quotients | (parts - quotients * 10) << 8;
}

/* Touches up to 24 bytes. */
static char *put_decimal(char *out, struct decimal decimal)
{
    uint32_t digits = decimal.digits, first;
    int exponent = decimal.exponent, point, count, shift;
    const uint64_t zeros = 0x3030303030302e30; /* 0.000000 */
    uint64_t rest;                             /* the second to ninth digit, as letters */

    while (digits < 10000000) /* seldom */
        digits *= 10, exponent--;
    shift = digits < 100000000;
    digits *= shift ? 10 : 1;
    point = exponent - shift + 9; /* digits before the point */
    first = digits / 100000000;
    rest = eight_digits(digits - first * 100000000);
    count = rest ? 9 - (__builtin_clzll(rest) >> 3) : 1;
    rest |= 0x3030303030303030;
    first += '0';
    if (point >= 1 && point <= 9) { /* 12.5 */
        out[0] = (char)first;
        memcpy(out + 1, &rest, 8);
        rest = rest >> 4 * (point - 1) >> 4 * (point - 1);
        out[point] = '.';
        memcpy(out + point + 1, &rest, 8);
        return out + (count > point ? count + 1 : point);
    }
    if (point <= 0 && point > -5) { /* 0.0125 */
        memcpy(out, &zeros, 8);
        out += 2 - point;
        out[0] = (char)first;
        memcpy(out + 1, &rest, 8);
        return out + count;
    }
    out[0] = (char)first; /* 1.25e-9 */
    out[1] = '.';
    memcpy(out + 2, &rest, 8);
    out += count > 1 ? count + 1 : 1;
    point--;
    *out++ = 'e';
    *out = '-';
    out += point < 0;
    point = abs(point);
    if (point >= 10)
        *out++ = (char)('0' + point / 10);
    *out++ = (char)('0' + point % 10);
    return out;
}

/* The part that both writers share: sign, zero, what is no number. NULL: magnitude is a finite
 * number above zero, and *out stands behind the sign. */
static char *put_special(char **out, uint32_t bits)
{
    uint32_t magnitude = bits & 0x7fffffff;

    if (__builtin_expect(magnitude >= 0x7f800000, 0)) {
        memcpy(*out, "null", 4);
        return *out + 4;
    }
    **out = '-';
    *out += bits >> 31;
    if (magnitude)
        return NULL;
    **out = '0';
    return *out + 1;
}

char *float_write(char *out, float value)
{
    uint32_t bits;
    char *end;

    memcpy(&bits, &value, 4);
    end = put_special(&out, bits);
    return end ? end : put_decimal(out, shortest(bits & 0x7fffffff));
}

char *floats_write_portable(char *out, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out = float_write(out, values[i]);
        *out++ = ',';
    }
    return out;
}

#ifdef __x86_64__
bool floats_have_avx512(void)
{
    return __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
           __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("popcnt");
}
#else
bool floats_have_avx512(void)
{
    return false;
}

char *floats_write_avx512(char *out, const float *values, size_t count)
{
    return floats_write_portable(out, values, count);
}
#endif

/* As wide as the kernels are, which CONVOLVED_ISA may narrow; a few numbers are not worth it. */
char *floats_write(char *out, const float *values, size_t count)
{
    bool wide = count > 4 && floats_have_avx512() && !strcmp(conv_isa(), "avx512");
    char *end = (wide ? floats_write_avx512 : floats_write_portable)(out, values, count);

    return count ? end - 1 : end;
}

/* value, above zero, to so many digits: scaled to that many before the point in double, which is
 * right unless the fraction is within its error of one half. The C library decides those. */
static struct decimal rounded(double value, int digits)
{
    int exponent = log10_of_power(ilogb(value)) + 1 - digits; /* or one more */
    double most = powers_of_ten[POWER_MAX + digits], scaled, whole;
    char text[32];

    scaled = value * powers_of_ten[POWER_MAX - exponent];
    if (scaled >= most)
        scaled = value * powers_of_ten[POWER_MAX - ++exponent];
    whole = floor(scaled);
    if (fabs(scaled - whole - 0.5) > 1e-5) {
        whole = floor(scaled + 0.5);
        return whole < most ? (struct decimal){ (uint32_t)whole, exponent }
                            : (struct decimal){ 1, exponent + digits };
    }
    snprintf(text, sizeof text, "%.*e", digits - 1, value); /* d.ddde+dd */
    exponent = atoi(strchr(text, 'e') + 1) + 1 - digits;
    memmove(text + 1, text + 2, (size_t)digits - 1);
    text[digits] = 0;
    return (struct decimal){ (uint32_t)atoi(text), exponent };
}

char *floats_write_digits(char *out, const float *values, size_t count, int digits)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        char *end;

        memcpy(&bits, values + i, 4);
        end = put_special(&out, bits);
        out = end ? end : put_decimal(out, rounded(fabs((double)values[i]), digits));
        *out++ = ',';
    }
    return count ? out - 1 : out;
}

/* m * 10^exponent as the nearest float; false when double cannot tell. The product is off by at
 * most 2^14 of its last places even when digits past 10^12 were dropped from m; a float's rounding
 * boundary is where a double's 29 surplus bits are 1000... */
static inline __attribute__((always_inline)) bool scale_exactly(uint64_t m, long exponent,
                                                                bool negative, float *value)
{
    double scaled;
    uint64_t bits;

    if (m == 0)
        exponent = 0;
    if (exponent < -POWER_MAX || exponent > POWER_MAX)
        return false;
    scaled = (double)m * powers_of_ten[POWER_MAX + exponent];
    memcpy(&bits, &scaled, 8);
    if (((uint32_t)bits & 0x1fffffff) - (0x10000000u - 16384) <= 32768)
        return false;
    if (!(scaled < 3.4e38) || (scaled < 1.2e-38 && m)) /* near overflow, or denormal */
        return false;
    *value = (float)(negative ? -scaled : scaled);
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The whole grammar, a byte at a time: long numbers, and what is wrong. */
static __attribute__((noinline)) const char *read_slowly(const char *text, float *value)
{
    const char *p = text + (*text == '-');
    bool negative = *text == '-', minus;
    long exponent = 0, given = 0;
    int significant = 0;
    uint64_t m = 0;
    char *end;

    if (!is_digit(*p) || (*p == '0' && is_digit(p[1])))
        return NULL;
    for (; is_digit(*p); p++) {
        if (significant < 19)
            m = m * 10 + (uint64_t)(*p - '0'), significant += m != 0;
        else
            exponent++;
    }
    if (*p == '.') {
        if (!is_digit(*++p))
            return NULL;
        for (; is_digit(*p); p++)
            if (significant < 19)
                m = m * 10 + (uint64_t)(*p - '0'), significant += m != 0, exponent--;
    }
    if (*p == 'e' || *p == 'E') {
        minus = *++p == '-';
        p += *p == '-' || *p == '+';
        if (!is_digit(*p))
            return NULL;
        for (; is_digit(*p); p++)
            given = given < 100000 ? given * 10 + (*p - '0') : given;
        exponent += minus ? -given : given;
    }
    if (scale_exactly(m, exponent, negative, value))
        return p;
    *value = strtof(text, &end); /* the locale is C's: nobody calls setlocale() */
    return end == p ? p : NULL;
}

/* How many of eight bytes are digits before the first that is none. (A carry in the sum can only
 * come from a byte that is none, and reaches only those behind it.) */
static unsigned leading_digits(uint64_t bytes)
{
    uint64_t away = bytes ^ 0x3030303030303030; /* a digit is 0..9 now */
    uint64_t other = ((away + 0x7676767676767676) | away) & 0x8080808080808080;

    return other ? (unsigned)__builtin_ctzll(other) >> 3 : 8;
}

/* The number that count (1..8) digits are. */
static uint64_t digits_value(uint64_t bytes, unsigned count)
{
    bytes <<= 64 - 8 * count; /* zeros before them */
    bytes = (bytes & 0x0f0f0f0f0f0f0f0f) * 2561 >> 8;
    bytes = (bytes & 0x00ff00ff00ff00ff) * 6553601 >> 16;
    return (bytes & 0x0000ffff0000ffff) * 42949672960001 >> 32;
}

/* e-12 at p, added to *exponent; returns its end. NULL: no exponent, or one of three digits. */
static inline const char *read_exponent(const char *p, long *exponent)
{
    bool minus = *++p == '-', two;
    long given;

    p += minus | (*p == '+');
    if (!is_digit(*p))
        return NULL;
    two = is_digit(p[1]);
    given = two ? (p[0] - '0') * 10 + p[1] - '0' : p[0] - '0';
    *exponent += minus ? -given : given;
    p += 1 + two;
    return is_digit(*p) ? NULL : p;
}

/* Branches ask only for what is seldom: how long a number is, and its sign, cannot be foretold. */
const char *float_read(const char *text, float *value)
{
    static const uint64_t tens[] = {
        1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000
    };
    const char *p = text + (*text == '-');
    unsigned before, behind;
    uint64_t bytes, m;
    long exponent = 0;

    memcpy(&bytes, p, 8);
    before = leading_digits(bytes);
    if (before == 0 || is_digit(p[before]) || (before > 1 && *p == '0'))
        return read_slowly(text, value);
    m = digits_value(bytes, before);
    p += before;
    if (*p == '.') {
        memcpy(&bytes, ++p, 8);
        behind = leading_digits(bytes);
        if (behind == 0)
            return NULL;
        m = m * tens[behind] + digits_value(bytes, behind);
        p += behind;
        exponent = -(long)behind;
        if (is_digit(*p)) { /* eight more at most; what follows them no float can feel */
            memcpy(&bytes, p, 8);
            behind = leading_digits(bytes);
            if (before > 3)
                return read_slowly(text, value);
            m = m * tens[behind] + digits_value(bytes, behind);
            p += behind;
            exponent -= (long)behind;
            if (behind == 8 && m < 1000000000000)
                return read_slowly(text, value);
            while (is_digit(*p))
                p++;
        }
    }
    if ((*p | 0x20) == 'e' && !(p = read_exponent(p, &exponent)))
        return read_slowly(text, value);
    return scale_exactly(m, exponent, *text == '-', value) ? p : read_slowly(text, value);
}
