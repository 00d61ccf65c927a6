/* floats_write() eight numbers at a time, the same text. Read floats.c first: this is its method in
 * lanes of 64 bits, without a branch but for what is rare. */
#include "api/floats.h"
#include "api/floats_inner.h"

#ifdef __x86_64__
#include <immintrin.h>

/* The factors of 2^-18 to 2^45, all that plain notation needs, stay in registers: a gather costs as
 * much as all the rest. Other exponents are rare and written one by one. */
enum { FIRST_EXPONENT = 109, EXPONENTS = 64 };

/* Where the sixteen bytes of a text come from. Sources 8..15 are the second to ninth digit. Behind
 * the digits that count anything may stand: the next number overwrites it. */
enum { FIRST, DOT, ZERO, MINUS };
#define NINE FIRST, 8, 9, 10, 11, 12, 13, 14, 15
#define SIGNED(...)                                                                                \
    { __VA_ARGS__ },                                                                               \
    {                                                                                              \
        MINUS, __VA_ARGS__                                                                         \
    }
static const uint8_t layouts[][16] __attribute__((aligned(64))) = {
    /* by digits before the point */
    SIGNED(ZERO, DOT, ZERO, ZERO, ZERO, ZERO, NINE),  /* -4: 0.0000123456789 */
    SIGNED(ZERO, DOT, ZERO, ZERO, ZERO, NINE),        /* -3 */
    SIGNED(ZERO, DOT, ZERO, ZERO, NINE),              /* -2 */
    SIGNED(ZERO, DOT, ZERO, NINE),                    /* -1 */
    SIGNED(ZERO, DOT, NINE),                          /* 0: 0.123456789 */
    SIGNED(FIRST, DOT, 8, 9, 10, 11, 12, 13, 14, 15), /* 1: 1.23456789 */
    SIGNED(FIRST, 8, DOT, 9, 10, 11, 12, 13, 14, 15), /* 2 */
    SIGNED(FIRST, 8, 9, DOT, 10, 11, 12, 13, 14, 15), /* 3 */
    SIGNED(FIRST, 8, 9, 10, DOT, 11, 12, 13, 14, 15), /* 4 */
    SIGNED(FIRST, 8, 9, 10, 11, DOT, 12, 13, 14, 15), /* 5 */
    SIGNED(FIRST, 8, 9, 10, 11, 12, DOT, 13, 14, 15), /* 6 */
    SIGNED(FIRST, 8, 9, 10, 11, 12, 13, DOT, 14, 15), /* 7 */
    SIGNED(FIRST, 8, 9, 10, 11, 12, 13, 14, DOT, 15), /* 8 */
    SIGNED(NINE, DOT),                                /* 9: 123456789 */
};
enum { LEAST_POINT = -4, MOST_POINT = 9 };

#define ALL(number) _mm512_set1_epi64(number)

/* Eight texts to be: sixteen source bytes each, their layouts and lengths with the comma. */
struct eight {
    __m512i even, odd;       /* sources of the numbers 0, 2, 4, 6 and 1, 3, 5, 7 */
    uint64_t layout, length; /* a byte a number */
    __mmask8 rare;
};

static inline __m512i factors_of(__m512i index, const __m512i table[8])
{
    __mmask8 bit4 = _mm512_test_epi64_mask(index, ALL(16));
    __mmask8 bit5 = _mm512_test_epi64_mask(index, ALL(32));
    __m512i a = _mm512_permutex2var_epi64(table[0], index, table[1]);
    __m512i b = _mm512_permutex2var_epi64(table[2], index, table[3]);
    __m512i c = _mm512_permutex2var_epi64(table[4], index, table[5]);
    __m512i d = _mm512_permutex2var_epi64(table[6], index, table[7]);

    return _mm512_mask_mov_epi64(_mm512_mask_mov_epi64(a, bit4, b), bit5,
                                 _mm512_mask_mov_epi64(c, bit4, d));
}

/* shortest() of floats.c, powers of two left out. */
static inline __m512i shortest_digits(__m512i significand, __m512i factor)
{
    __m512i scaled = _mm512_slli_epi64(significand, 8);
    __m512i value = _mm512_add_epi64(_mm512_mul_epu32(scaled, _mm512_srli_epi64(factor, 32)),
                                     _mm512_srli_epi64(_mm512_mul_epu32(scaled, factor), 32));
    __m512i whole = _mm512_srli_epi64(value, FLOAT_POINT);
    __m512i tenth = _mm512_srli_epi64(_mm512_mul_epu32(whole, ALL(0xcccccccd)), 35);
    __m512i tens = _mm512_mul_epu32(tenth, ALL(10));
    __m512i over = _mm512_sub_epi64(value, _mm512_slli_epi64(tens, FLOAT_POINT));
    __mmask8 odd = _mm512_test_epi64_mask(significand, ALL(1));
    __m512i inside =
        _mm512_add_epi64(_mm512_srli_epi64(factor, 25),
                         _mm512_mask_mov_epi64(ALL(FLOAT_SLOP), odd, ALL(-FLOAT_SLOP)));
    __m512i half =
        _mm512_add_epi64(ALL((int64_t)FLOAT_ONE / 2 - 1), _mm512_and_si512(whole, ALL(1)));
    __m512i digits = _mm512_srli_epi64(_mm512_add_epi64(value, half), FLOAT_POINT);

    digits = _mm512_mask_mov_epi64(digits, _mm512_cmple_epu64_mask(over, inside), tens);
    return _mm512_mask_add_epi64(
        digits,
        _mm512_cmpge_epu64_mask(over, _mm512_sub_epi64(ALL(10 * (int64_t)FLOAT_ONE), inside)), tens,
        ALL(10));
}

/* eight_digits() of floats.c. */
static inline __m512i split_digits(__m512i number)
{
    __m512i high = _mm512_srli_epi64(_mm512_mul_epu32(number, ALL(3518437209)), 45); /* / 10^4 */
    __m512i low = _mm512_sub_epi64(number, _mm512_mul_epu32(high, ALL(10000)));
    __m512i parts = _mm512_or_si512(high, _mm512_slli_epi64(low, 32));

    high = _mm512_srli_epi16(_mm512_mulhi_epu16(parts, _mm512_set1_epi16(5243)), 3); /* / 100 */
    low = _mm512_sub_epi16(parts, _mm512_mullo_epi16(high, _mm512_set1_epi16(100)));
    parts = _mm512_or_si512(high, _mm512_slli_epi32(low, 16));
    high = _mm512_mulhi_epu16(parts, _mm512_set1_epi16(6554)); /* / 10 */
    low = _mm512_sub_epi16(parts, _mm512_mullo_epi16(high, _mm512_set1_epi16(10)));
    return _mm512_or_si512(high, _mm512_slli_epi16(low, 8));
}

static inline uint64_t bytes_of(__m512i lanes)
{
    return (uint64_t)_mm_cvtsi128_si64(_mm512_cvtepi64_epi8(lanes));
}

static inline struct eight eight_of(__m512i bits, const __m512i table[8])
{
    __m512i sign = _mm512_srli_epi64(bits, 31);
    __m512i biased = _mm512_and_si512(_mm512_srli_epi64(bits, 23), ALL(255));
    __m512i significand = _mm512_or_si512(_mm512_and_si512(bits, ALL(0x7fffff)), ALL(0x800000));
    __m512i index = _mm512_sub_epi64(biased, ALL(FIRST_EXPONENT));
    __m512i digits, exponent, point, first, rest, count, length;
    __mmask8 zero = _mm512_testn_epi64_mask(bits, ALL(0x7fffffff)), shift, fraction;
    struct eight eight;

    eight.rare = _mm512_cmpeq_epi64_mask(significand, ALL(0x800000)) |
                 _mm512_cmpge_epu64_mask(index, ALL(EXPONENTS));
    digits = _mm512_maskz_mov_epi64((__mmask8)~zero,
                                    shortest_digits(significand, factors_of(index, table)));
    exponent =
        _mm512_srai_epi64(_mm512_mul_epi32(_mm512_sub_epi64(biased, ALL(150)), ALL(1262611)), 22);
    /* to nine digits, as put_decimal() does; a zero has one before the point */
    point = _mm512_add_epi64(exponent, ALL(9));
    for (int i = 0; i < 2; i++) {
        shift = _mm512_cmplt_epu64_mask(digits, ALL(100000000));
        digits = _mm512_mask_mul_epu32(digits, shift, digits, ALL(10));
        point = _mm512_mask_sub_epi64(point, shift, point, ALL(1));
    }
    point = _mm512_mask_mov_epi64(point, zero, ALL(1));
    first = _mm512_srli_epi64(_mm512_mul_epu32(digits, ALL(1441151881)), 57); /* / 10^8 */
    rest = split_digits(_mm512_sub_epi64(digits, _mm512_mul_epu32(first, ALL(100000000))));
    count = _mm512_sub_epi64(ALL(9), _mm512_srli_epi64(_mm512_lzcnt_epi64(rest), 3));

    /* 0.0125 has count + 2 - point bytes; 12.5 count + 1; 1200 point; then sign and comma */
    fraction = _mm512_cmpgt_epi64_mask(count, point);
    length = _mm512_mask_add_epi64(point, fraction, count, ALL(1));
    length = _mm512_mask_sub_epi64(length, _mm512_cmple_epi64_mask(point, ALL(0)),
                                   _mm512_add_epi64(count, ALL(2)), point);
    length = _mm512_add_epi64(length, _mm512_add_epi64(sign, ALL(1)));
    point = _mm512_sub_epi64(point, ALL(LEAST_POINT));
    eight.rare |= _mm512_cmpgt_epu64_mask(point, ALL(MOST_POINT - LEAST_POINT));
    eight.rare &= (__mmask8)~zero;
    eight.layout = bytes_of(_mm512_add_epi64(_mm512_add_epi64(point, point), sign));
    eight.length = bytes_of(length);
    first = _mm512_or_si512(first, ALL('-' << 24 | '0' << 16 | '.' << 8 | '0'));
    rest = _mm512_or_si512(rest, ALL(0x3030303030303030));
    eight.even = _mm512_unpacklo_epi64(first, rest);
    eight.odd = _mm512_unpackhi_epi64(first, rest);
    return eight;
}

static inline void put_text(char *out, __m128i sources, uint64_t layout)
{
    _mm_storeu_si128(
        (__m128i *)(void *)out,
        _mm_shuffle_epi8(sources, *(const __m128i *)(const void *)layouts[layout & 255]));
}

/* Nothing rare: the ends come from one multiplication instead of one addition after the other. */
static inline char *put_eight(char *out, const struct eight *eight)
{
    uint64_t ends = eight->length * 0x0101010101010101; /* running sums; 8 * 17 < 256 */
    uint64_t layout = eight->layout;

    put_text(out, _mm512_extracti32x4_epi32(eight->even, 0), layout);
    put_text(out + (ends & 255), _mm512_extracti32x4_epi32(eight->odd, 0), layout >> 8);
    put_text(out + (ends >> 8 & 255), _mm512_extracti32x4_epi32(eight->even, 1), layout >> 16);
    put_text(out + (ends >> 16 & 255), _mm512_extracti32x4_epi32(eight->odd, 1), layout >> 24);
    put_text(out + (ends >> 24 & 255), _mm512_extracti32x4_epi32(eight->even, 2), layout >> 32);
    put_text(out + (ends >> 32 & 255), _mm512_extracti32x4_epi32(eight->odd, 2), layout >> 40);
    put_text(out + (ends >> 40 & 255), _mm512_extracti32x4_epi32(eight->even, 3), layout >> 48);
    put_text(out + (ends >> 48 & 255), _mm512_extracti32x4_epi32(eight->odd, 3), layout >> 56);
    for (int i = 0; i < 64; i += 8)
        out[(ends >> i & 255) - 1] = ',';
    return out + (ends >> 56);
}

/* The first `count` of them, each by itself. */
static char *put_each(char *out, const struct eight *eight, const float *values, size_t count)
{
    __m128i sources[8];

    _mm512_storeu_si512(sources, eight->even);
    _mm512_storeu_si512(sources + 4, eight->odd);
    for (size_t i = 0; i < count; i++) {
        if (eight->rare >> i & 1) {
            out = float_write(out, values[i]);
            *out++ = ',';
            continue;
        }
        put_text(out, sources[i % 2 * 4 + i / 2], eight->layout >> 8 * i);
        out += eight->length >> 8 * i & 255;
        out[-1] = ',';
    }
    return out;
}

char *floats_write_avx512(char *out, const float *values, size_t count)
{
    __m512i table[8];

    for (int i = 0; i < 8; i++)
        table[i] = _mm512_loadu_si512(float_factors + FIRST_EXPONENT + (ptrdiff_t)8 * i);
    for (size_t at = 0; at < count; at += 8) {
        size_t lanes = count - at < 8 ? count - at : 8;
        __m256i bits = _mm256_maskz_loadu_epi32((__mmask8)((1u << lanes) - 1), values + at);
        struct eight eight = eight_of(_mm512_cvtepu32_epi64(bits), table);

        if (__builtin_expect(eight.rare == 0 && lanes == 8, 1))
            out = put_eight(out, &eight);
        else
            out = put_each(out, &eight, values + at, lanes);
    }
    return out;
}
#endif
