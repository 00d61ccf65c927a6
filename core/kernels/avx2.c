/* AVX2 with FMA: 16 registers of 8 floats, of which 6 x 2 are sums, 2 the panel's row and 1 the
 * broadcast. */
#if defined(__x86_64__)
#include <immintrin.h>

#define ISA   avx2
#define LANES 8
#define PANEL 16
#define CPU() (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))

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

static inline __m256i first(int count)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline lanes lanes_load_part(const float *from, int count)
{
    return count >= LANES ? _mm256_loadu_ps(from) : _mm256_maskload_ps(from, first(count));
}

static inline void lanes_store_part(float *to, lanes value, int count)
{
    if (count >= LANES)
        _mm256_storeu_ps(to, value);
    else
        _mm256_maskstore_ps(to, first(count), value);
}

static inline lanes lanes_fma(lanes a, lanes b, lanes c)
{
    return _mm256_fmadd_ps(a, b, c);
}

#include "core/kernels/kernels.inc"
#endif
