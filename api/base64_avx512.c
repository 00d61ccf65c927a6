/* Base64, 64 letters at a time, on AVX-512 with VBMI: permutations of bytes do all of the work. */
#include "api/base64_inner.h"

#ifdef __x86_64__
#include <immintrin.h>

/* Each four letters come from three bytes a, b, c, laid out b a c b: in these 32 bits a letter's six
 * start at bit 10, 4, 22 and 16. */
#define FOUR_OF(at)    at + 1, at, at + 2, at + 1
#define SIXTEEN_OF(at) FOUR_OF(at), FOUR_OF(at + 3), FOUR_OF(at + 6), FOUR_OF(at + 9)

size_t base64_write_avx512(char *out, const uint8_t *bytes, size_t size)
{
    static const uint8_t spread[64] = { SIXTEEN_OF(0), SIXTEEN_OF(12), SIXTEEN_OF(24),
                                        SIXTEEN_OF(36) };
    const __m512i order = _mm512_loadu_si512(spread);
    const __m512i alphabet = _mm512_loadu_si512(base64_letters);
    const __m512i starts = _mm512_set1_epi64(0x3036242a1016040a);
    size_t at = 0;

    for (; size - at >= 64; at += 48, out += 64) {
        __m512i groups = _mm512_permutexvar_epi8(order, _mm512_loadu_si512(bytes + at));

        _mm512_storeu_si512(
            out, _mm512_permutexvar_epi8(_mm512_multishift_epi64_epi8(starts, groups), alphabet));
    }
    return at;
}

/* Four bytes of sextets, joined to 24 bits of a 32 bit lane, leave it by their three bytes, the
 * highest first. */
#define THREE_OF(lane)  4 * (lane) + 2, 4 * (lane) + 1, 4 * (lane)
#define TWELVE_OF(lane) THREE_OF(lane), THREE_OF(lane + 1), THREE_OF(lane + 2), THREE_OF(lane + 3)

size_t base64_read_avx512(uint8_t *out, const uint8_t *text, size_t length)
{
    static const uint8_t close_up[64] = { TWELVE_OF(0), TWELVE_OF(4), TWELVE_OF(8), TWELVE_OF(12) };
    const __m512i order = _mm512_loadu_si512(close_up);
    const __m512i low = _mm512_loadu_si512(base64_sextets);
    const __m512i high = _mm512_loadu_si512(base64_sextets + 64);
    size_t at = 0;

    for (; length - at > 88; at += 64, out += 48) { /* the last letters are not for us */
        __m512i letters = _mm512_loadu_si512(text + at);
        __m512i sextets = _mm512_permutex2var_epi8(low, letters, high);
        __mmask64 good = _mm512_test_epi8_mask(sextets, _mm512_set1_epi8(BASE64_LETTER));

        if (_mm512_movepi8_mask(letters) || ~good) /* beyond ASCII, or no letter */
            break;
        sextets = _mm512_and_si512(sextets, _mm512_set1_epi8(63));
        sextets = _mm512_maddubs_epi16(sextets, _mm512_set1_epi32(0x01400140)); /* a << 6 | b */
        sextets = _mm512_madd_epi16(sextets, _mm512_set1_epi32(0x00011000));
        _mm512_storeu_si512(out, _mm512_permutexvar_epi8(order, sextets));
    }
    return at;
}
#else
size_t base64_write_avx512(char *out, const uint8_t *bytes, size_t size)
{
    (void)out, (void)bytes, (void)size;
    return 0;
}

size_t base64_read_avx512(uint8_t *out, const uint8_t *text, size_t length)
{
    (void)out, (void)text, (void)length;
    return 0;
}
#endif
