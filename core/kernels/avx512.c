/* AVX-512: 32 registers of 16 floats, of which 12 x 2 (14 x 2) are sums, 2 the panel's row and 1
 * the broadcast. Masks make part loads and stores as cheap as whole ones. */
#if defined(__x86_64__)
#include <immintrin.h>

#define ISA   avx512
#define LANES 16
#define PANEL 32
#define CPU() __builtin_cpu_supports("avx512f")

/* Filters of an implicit kernel, outputs of a swapped one, and each direct block's rows:
 * [filters - 1][one vector, two vectors]. */
#define IMPLICIT_ROWS 12
#define SWAPPED_ROWS  14
#define DIRECT_ROWS                                                                                \
    {                                                                                              \
        { 8, 4 }, { 7, 4 },                                                                        \
        {                                                                                          \
            7, 4                                                                                   \
        }                                                                                          \
    }
#define EDGE_KERNELS 1

typedef __m512 lanes;

static inline __mmask16 first(int count)
{
    return count >= LANES ? 0xffff : count <= 0 ? 0 : (__mmask16)((1u << count) - 1);
}

static inline lanes lanes_load_part(const float *from, int count)
{
    return _mm512_maskz_loadu_ps(first(count), from);
}

static inline void lanes_store_part(float *to, lanes value, int count)
{
    _mm512_mask_storeu_ps(to, first(count), value);
}

static inline lanes lanes_fma(lanes a, lanes b, lanes c)
{
    return _mm512_fmadd_ps(a, b, c);
}

#include "core/kernels/kernels.inc"
#endif
