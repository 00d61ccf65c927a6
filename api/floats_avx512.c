/* floats_write() sixteen numbers at a time, the same text. Read floats.c first: this is its method,
 * without a branch but for what is rare. Numbers are in lanes of 32 bits, and of 64 where products
 * need them: "even" are the lanes 0, 2, 4 ... of 32 bits, "odd" the others. */
#include "api/floats.h"
#include "api/floats_inner.h"

#ifdef __x86_64__
#include <immintrin.h>
#include <string.h>

/* The factors of 2^-18 to 2^45, more than plain notation needs, stay in registers: a gather costs
 * as much as all the rest. */
enum { FIRST_EXPONENT = 109, EXPONENTS = 64 };

/* A number's text is sixteen bytes, of which a mask keeps some: the sign, if any, the point, if
 * anything follows it, no zeros at the end. Its sources are sixteen bytes, too: these, and in 8..15
 * the second to ninth digit. UNITS is '0', and in an exponent its last digit. */
enum { FIRST, DOT, UNITS, MINUS, E, TENS, COMMA, LAYOUT };
#define NINE FIRST, 8, 9, 10, 11, 12, 13, 14, 15
static const uint8_t layouts[16][16] __attribute__((aligned(64))) = {
    /* by digits before the point; four zeros and nine digits do not fit, and are rare */
    { MINUS, UNITS, DOT, UNITS, UNITS, UNITS, UNITS, FIRST, 8, 9, 10, 11, 12, 13, 14,
      COMMA },                                                  /*-4*/
    { MINUS, UNITS, DOT, UNITS, UNITS, UNITS, NINE, COMMA },    /* -3: 0.000123456789 */
    { MINUS, UNITS, DOT, UNITS, UNITS, NINE, COMMA },           /* -2 */
    { MINUS, UNITS, DOT, UNITS, NINE, COMMA },                  /* -1 */
    { MINUS, UNITS, DOT, NINE, COMMA },                         /* 0: 0.123456789 */
    { MINUS, FIRST, DOT, 8, 9, 10, 11, 12, 13, 14, 15, COMMA }, /* 1: 1.23456789 */
    { MINUS, FIRST, 8, DOT, 9, 10, 11, 12, 13, 14, 15, COMMA }, /* 2 */
    { MINUS, FIRST, 8, 9, DOT, 10, 11, 12, 13, 14, 15, COMMA }, /* 3 */
    { MINUS, FIRST, 8, 9, 10, DOT, 11, 12, 13, 14, 15, COMMA }, /* 4 */
    { MINUS, FIRST, 8, 9, 10, 11, DOT, 12, 13, 14, 15, COMMA }, /* 5 */
    { MINUS, FIRST, 8, 9, 10, 11, 12, DOT, 13, 14, 15, COMMA }, /* 6 */
    { MINUS, FIRST, 8, 9, 10, 11, 12, 13, DOT, 14, 15, COMMA }, /* 7 */
    { MINUS, FIRST, 8, 9, 10, 11, 12, 13, 14, DOT, 15, COMMA }, /* 8 */
    { MINUS, NINE, DOT, COMMA },                                /* 9: 123456789 */
    { MINUS, FIRST, DOT, 8, 9, 10, 11, 12, 13, 14, 15, E, MINUS, TENS, UNITS, COMMA }, /* 1.2e-34 */
};
enum { LEAST_POINT = -4, SCIENTIFIC = 14, LOW_LAYOUTS = 8, WHOLE = 15 };

/* What each layout always keeps behind its digits. */
#define BIT(place) (1 << (place))
static const int tails[16] = { BIT(15), BIT(15), BIT(14), BIT(13), BIT(12),
                               BIT(11), BIT(11), BIT(11), BIT(11), BIT(11),
                               BIT(11), BIT(11), BIT(11), BIT(11), BIT(11) | BIT(14) | BIT(15) };

/* In this order of the numbers, even and odd lanes unpack into texts that follow each other. */
static const int order[16] = { 0, 8, 4, 12, 1, 9, 5, 13, 2, 10, 6, 14, 3, 11, 7, 15 };
static const int order_back[16] = { 0, 4, 8, 12, 2, 6, 10, 14, 1, 5, 9, 13, 3, 7, 11, 15 };

#define ALL(number)   _mm512_set1_epi64(number)
#define ALL32(number) _mm512_set1_epi32(number)

/* Sixteen texts to be, in their order: the bytes and which of them are kept. */
struct texts {
    __m512i bytes[4];
    uint64_t keep[4];
    __mmask16 rare;
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

/* shortest() of floats.c. scaled is the significand times 256, in the lower halves. Powers of two,
 * whose lower neighbour is nearer, are right for the exponents that have a register. */
static inline __m512i shortest_digits(__m512i scaled, __m512i factor)
{
    __m512i value = _mm512_add_epi64(_mm512_mul_epu32(scaled, _mm512_srli_epi64(factor, 32)),
                                     _mm512_srli_epi64(_mm512_mul_epu32(scaled, factor), 32));
    __m512i whole = _mm512_srli_epi64(value, FLOAT_POINT);
    __m512i tenth = _mm512_srli_epi64(_mm512_mul_epu32(whole, ALL(0xcccccccd)), 35);
    __m512i tens = _mm512_mul_epu32(tenth, ALL(10));
    __m512i over = _mm512_sub_epi64(value, _mm512_slli_epi64(tens, FLOAT_POINT));
    __mmask8 odd = _mm512_test_epi64_mask(scaled, ALL(0x100));
    __mmask8 power = _mm512_testn_epi64_mask(scaled, ALL(0x7fffff00));
    __m512i above = _mm512_add_epi64(_mm512_srli_epi64(factor, 25),
                                     _mm512_mask_mov_epi64(ALL(FLOAT_SLOP), odd, ALL(-FLOAT_SLOP)));
    __m512i below =
        _mm512_mask_add_epi64(above, power, _mm512_srli_epi64(factor, 26), ALL(FLOAT_SLOP));
    __m512i half =
        _mm512_add_epi64(ALL((int64_t)FLOAT_ONE / 2 - 1), _mm512_and_si512(whole, ALL(1)));
    __m512i digits = _mm512_srli_epi64(_mm512_add_epi64(value, half), FLOAT_POINT);

    digits = _mm512_mask_mov_epi64(digits, _mm512_cmple_epu64_mask(over, below), tens);
    return _mm512_mask_add_epi64(
        digits,
        _mm512_cmpge_epu64_mask(over, _mm512_sub_epi64(ALL(10 * (int64_t)FLOAT_ONE), above)), tens,
        ALL(10));
}

/* The compiler would make a chain of shifts and sums of these products. */
static inline __m512i times16(__m512i lanes, short factor)
{
    __m512i factors = _mm512_set1_epi16(factor);

    __asm__("" : "+v"(factors));
    return _mm512_mullo_epi16(lanes, factors);
}

/* Nine digits: the first in *first, the others a byte each, as eight_digits() of floats.c. */
static inline __m512i split_digits(__m512i number, __m512i *first)
{
    __m512i high, low, parts;

    *first = _mm512_srli_epi64(_mm512_mul_epu32(number, ALL(1441151881)), 57); /* / 10^8 */
    number = _mm512_sub_epi64(number, _mm512_mul_epu32(*first, ALL(100000000)));
    high = _mm512_srli_epi64(_mm512_mul_epu32(number, ALL(3518437209)), 45); /* / 10^4 */
    low = _mm512_sub_epi64(number, _mm512_mul_epu32(high, ALL(10000)));
    parts = _mm512_or_si512(high, _mm512_slli_epi64(low, 32));
    high = _mm512_srli_epi16(_mm512_mulhi_epu16(parts, _mm512_set1_epi16(5243)), 3); /* / 100 */
    low = _mm512_sub_epi16(parts, times16(high, 100));
    parts = _mm512_or_si512(high, _mm512_slli_epi32(low, 16));
    high = _mm512_mulhi_epu16(parts, _mm512_set1_epi16(6554)); /* / 10 */
    /* high | (parts - 10 * high) << 8 */
    return _mm512_sub_epi16(_mm512_slli_epi16(parts, 8), times16(high, 10 * 256 - 1));
}

static inline __m512i odd_lanes(__m512i lanes)
{
    return _mm512_srli_epi64(lanes, 32);
}

/* even's lower halves, and odd's above them. */
static inline __m512i join(__m512i even, __m512i odd)
{
    return _mm512_or_si512(even, _mm512_slli_epi64(odd, 32));
}

/* What sixteen numbers are in decimal: 0.digits * 10^point with nine digits, in lanes of 32 bits. */
struct decimals {
    __m512i digits, point, negative; /* negative: 1 or 0 */
    __mmask16 rare;                  /* these are left to float_write() */
};

static inline struct decimals decimals_of(__m512i bits, const __m512i table[8])
{
    struct decimals d = { .negative = _mm512_srli_epi32(bits, 31) };
    __m512i biased = _mm512_srli_epi32(_mm512_slli_epi32(bits, 1), 24);
    __m512i scaled = _mm512_or_si512(_mm512_slli_epi32(bits, 8), ALL32(INT32_MIN));
    __m512i index = _mm512_sub_epi32(biased, ALL32(FIRST_EXPONENT)), even, odd;
    __mmask16 some = _mm512_test_epi32_mask(bits, ALL32(INT32_MAX)), less;
    __mmask16 far = _mm512_mask_cmpge_epu32_mask(some, index, ALL32(EXPONENTS));

    if (__builtin_expect(!far, 1)) {
        even = factors_of(index, table);
        odd = factors_of(odd_lanes(index), table);
    } else {
        even = _mm512_i64gather_epi64(_mm512_and_si512(biased, ALL(255)), float_factors, 8);
        odd = _mm512_i64gather_epi64(odd_lanes(biased), float_factors, 8);
        d.rare = _mm512_mask_cmpge_epu32_mask(far, _mm512_sub_epi32(biased, ALL32(1)), ALL32(254)) |
                 _mm512_mask_cmpeq_epi32_mask(far, scaled, ALL32(INT32_MIN));
    }
    d.digits = join(shortest_digits(scaled, even), shortest_digits(odd_lanes(scaled), odd));
    d.digits = _mm512_maskz_mov_epi32(some, d.digits);
    d.point = _mm512_mullo_epi32(_mm512_sub_epi32(biased, ALL32(150)), ALL32(1262611));
    d.point = _mm512_add_epi32(_mm512_srai_epi32(d.point, 22), ALL32(9));
    for (int i = 0; i < 2; i++) { /* to nine digits, as put_decimal() does */
        less = _mm512_cmplt_epu32_mask(d.digits, ALL32(100000000));
        d.digits = _mm512_mask_mullo_epi32(d.digits, less, d.digits, ALL32(10));
        d.point = _mm512_mask_sub_epi32(d.point, less, d.point, ALL32(1));
    }
    d.point = _mm512_mask_mov_epi32(ALL32(1), some, d.point);
    return d;
}

/* The exponents: into the sources of those that have one, and into what is kept of them. */
static inline void put_exponents(__m512i point, __mmask16 which, __m512i head[2], __m512i *keep)
{
    __m512i exponent = _mm512_maskz_sub_epi32(which, point, ALL32(1));
    __m512i size = _mm512_abs_epi32(exponent);
    __m512i tens = _mm512_srli_epi32(_mm512_mullo_epi32(size, ALL32(103)), 10);
    __m512i units = _mm512_sub_epi32(size, _mm512_mullo_epi32(tens, ALL32(10)));
    __m512i minus = _mm512_srli_epi32(exponent, 31), low = ALL(UINT32_MAX);
    __mmask16 two = _mm512_test_epi32_mask(tens, tens);

    *keep = _mm512_or_si512(*keep, _mm512_slli_epi32(minus, 12));
    *keep = _mm512_mask_or_epi32(*keep, two, *keep, ALL32(BIT(13)));
    head[0] = _mm512_or_si512(head[0], _mm512_slli_epi64(_mm512_and_si512(units, low), 16));
    head[0] = _mm512_or_si512(head[0], _mm512_slli_epi64(tens, 40));
    head[1] = _mm512_or_si512(head[1], _mm512_slli_epi64(odd_lanes(units), 16));
    head[1] = _mm512_or_si512(head[1], _mm512_slli_epi64(odd_lanes(tens), 40));
}

/* Sources of four texts to the texts. high: a layout of the second half is among them. */
static inline __m512i lay_out(__m512i sources, bool high)
{
    const __m512i *rows = (const __m512i *)(const void *)layouts;
    __m512i place =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    __m512i at = _mm512_shuffle_epi8(sources, _mm512_set1_epi8(LAYOUT));
    __m512i from;

    at = _mm512_or_si512(at, place);
    from = _mm512_permutex2var_epi8(rows[0], at, rows[1]);
    if (high)
        from = _mm512_mask_mov_epi8(from, _mm512_movepi8_mask(at),
                                    _mm512_permutex2var_epi8(rows[2], at, rows[3]));
    return _mm512_shuffle_epi8(sources, from);
}

static inline struct texts texts_of(const struct decimals *d)
{
    const __m512i constants = ALL(0x002c30652d302e30); /* 0.0-e0, */
    __m512i layout =
        _mm512_min_epu32(_mm512_sub_epi32(d->point, ALL32(LEAST_POINT)), ALL32(SCIENTIFIC));
    __mmask16 scientific = _mm512_cmpeq_epi32_mask(layout, ALL32(SCIENTIFIC));
    bool high = _mm512_cmpge_epu32_mask(layout, ALL32(LOW_LAYOUTS));
    __m512i head[2], rest[2], zeros, count, run, keep, before;
    struct texts texts = { .rare = d->rare };
    __m512i *bytes = texts.bytes;

    rest[0] = split_digits(_mm512_and_si512(d->digits, ALL(UINT32_MAX)), head);
    rest[1] = split_digits(odd_lanes(d->digits), head + 1);
    zeros = join(_mm512_srli_epi64(_mm512_lzcnt_epi64(rest[0]), 3),
                 _mm512_srli_epi64(_mm512_lzcnt_epi64(rest[1]), 3));
    count = _mm512_sub_epi32(ALL32(9), zeros);

    /* 12.5 has count + 1 bytes; 1200 point; 0.0125 count + 2 - point */
    before = _mm512_mask_mov_epi32(d->point, scientific, ALL32(1));
    run = _mm512_mask_add_epi32(before, _mm512_cmpgt_epi32_mask(count, before), count, ALL32(1));
    run = _mm512_add_epi32(
        run, _mm512_max_epi32(_mm512_sub_epi32(ALL32(1), before), _mm512_setzero_si512()));
    texts.rare |= _mm512_cmpeq_epi32_mask(run, ALL32(WHOLE));
    keep = _mm512_sub_epi32(_mm512_sllv_epi32(ALL32(2), run), ALL32(2));
    keep = _mm512_or_si512(keep, _mm512_permutexvar_epi32(layout, _mm512_loadu_si512(tails)));
    keep = _mm512_or_si512(keep, d->negative);

    head[0] = _mm512_or_si512(_mm512_or_si512(head[0], constants), _mm512_slli_epi64(layout, 60));
    head[1] = _mm512_or_si512(
        _mm512_or_si512(head[1], constants),
        _mm512_and_si512(_mm512_slli_epi64(layout, 28), ALL((int64_t)0xf000000000000000)));
    if (__builtin_expect(scientific, 0))
        put_exponents(d->point, scientific, head, &keep);
    for (int i = 0; i < 2; i++) {
        rest[i] = _mm512_or_si512(rest[i], ALL(0x3030303030303030));
        *bytes++ = lay_out(_mm512_unpacklo_epi64(head[i], rest[i]), high);
        *bytes++ = lay_out(_mm512_unpackhi_epi64(head[i], rest[i]), high);
    }
    keep = _mm512_permutexvar_epi32(_mm512_loadu_si512(order_back), keep);
    _mm256_storeu_si256((__m256i *)(void *)texts.keep, _mm512_cvtepi32_epi16(keep));
    return texts;
}

static inline char *put_texts(char *out, const struct texts *texts)
{
    for (int i = 0; i < 4; i++) {
        _mm512_storeu_si512(out, _mm512_maskz_compress_epi8(texts->keep[i], texts->bytes[i]));
        out += __builtin_popcountll(texts->keep[i]);
    }
    return out;
}

/* The first `count` of them, each by itself. */
static char *put_each(char *out, const struct texts *texts, const float *values, size_t count)
{
    __m128i bytes[16];
    uint16_t keep[16];

    memcpy(bytes, texts->bytes, sizeof bytes);
    memcpy(keep, texts->keep, sizeof keep);
    for (size_t i = 0; i < count; i++)
        if (texts->rare >> order_back[i] & 1) {
            out = float_write(out, values[i]);
            *out++ = ',';
        } else {
            _mm_storeu_si128((__m128i *)(void *)out, _mm_maskz_compress_epi8(keep[i], bytes[i]));
            out += __builtin_popcount(keep[i]);
        }
    return out;
}

/* All decimals of a block, then all its texts: a number is one long chain of dependent steps, and
 * only as many run side by side as fit into the processor's window. */
char *floats_write_avx512(char *out, const float *values, size_t count)
{
    enum { BLOCK = 256 };
    struct decimals decimals[BLOCK / 16];
    __m512i table[8];

    for (int i = 0; i < 8; i++)
        table[i] = _mm512_loadu_si512(float_factors + FIRST_EXPONENT + (ptrdiff_t)8 * i);
    while (count > 0) {
        size_t size = count < BLOCK ? count : BLOCK;

        for (size_t at = 0; at < size; at += 16) {
            __mmask16 lanes = (__mmask16)(size - at < 16 ? (1u << (size - at)) - 1 : UINT16_MAX);
            __m512i bits = _mm512_maskz_loadu_epi32(lanes, values + at);

            bits = _mm512_permutexvar_epi32(_mm512_loadu_si512(order), bits);
            decimals[at / 16] = decimals_of(bits, table);
        }
        for (size_t at = 0; at < size; at += 16) {
            struct texts texts = texts_of(&decimals[at / 16]);

            if (__builtin_expect(texts.rare == 0 && size - at >= 16, 1))
                out = put_texts(out, &texts);
            else
                out = put_each(out, &texts, values + at, size - at < 16 ? size - at : 16);
        }
        values += size;
        count -= size;
    }
    return out;
}
#endif
