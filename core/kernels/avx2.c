/* AVX2 with FMA: 16 registers of 8 floats, of which 6 x 2 are sums, 2 the panel's row and 1 the
 * broadcast. */
#if defined(__x86_64__)
#include <immintrin.h>

#define ISA   avx2
#define LANES 8
#define PANEL 16
#define HOLD  "x" /* asm's letter for a vector register */
#define CPU() (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))

#define TILE_MACS     (128 << 20)
#define IMPLICIT_ROWS 6
#define SWAPPED_ROWS  6
#define DIRECT_ROWS                                                                                \
    {                                                                                              \
        { 6, 4 }, { 5, 2 },                                                                        \
        {                                                                                          \
            3, 2                                                                                   \
        }                                                                                          \
    }
#define EDGE_KERNELS 0

typedef __m256 lanes;

typedef int lanes_part; /* so many of the first lanes; all of them the quick way */

static inline lanes_part part_of(int count)
{
    return count;
}

static inline __m256i mask_of(lanes_part part)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(part), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline lanes lanes_load_part(const float *from, lanes_part part)
{
    return part >= LANES ? _mm256_loadu_ps(from) : _mm256_maskload_ps(from, mask_of(part));
}

static inline void lanes_store_part(float *to, lanes value, lanes_part part)
{
    if (part >= LANES)
        _mm256_storeu_ps(to, value);
    else
        _mm256_maskstore_ps(to, mask_of(part), value);
}

static inline lanes lanes_fma(lanes a, lanes b, lanes c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline void lanes_stream(float *to, lanes value)
{
    _mm256_stream_ps(to, value);
}

static void streamed(void)
{
    _mm_sfence();
}

#include "core/kernels/kernels.inc"
#endif
