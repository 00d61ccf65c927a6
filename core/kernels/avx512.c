/* AVX-512: 32 registers of 16 floats, of which 12 x 2 (14 x 2) are sums, 2 the panel's row and 1
 * the broadcast. Masks make part loads and stores as cheap as whole ones. */
#if defined(__x86_64__)
#include <immintrin.h>

#define ISA   avx512
#define LANES 16
#define PANEL 32
#define HOLD  "v" /* asm's letter for a vector register */
#define CPU() __builtin_cpu_supports("avx512f")

/* Filters of an implicit kernel, outputs of a swapped one, and each direct block's rows:
 * [filters - 1][one vector, two vectors]. */
#define TILE_MACS     (128 << 20)
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

typedef __mmask16 lanes_part; /* the first lanes of a vector */

static inline lanes_part part_of(int count)
{
    return count >= LANES ? 0xffff : count <= 0 ? 0 : (lanes_part)((1u << count) - 1);
}

static inline lanes lanes_load_part(const float *from, lanes_part part)
{
    return _mm512_maskz_loadu_ps(part, from);
}

static inline void lanes_store_part(float *to, lanes value, lanes_part part)
{
    _mm512_mask_storeu_ps(to, part, value);
}

static inline lanes lanes_fma(lanes a, lanes b, lanes c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline void lanes_stream(float *to, lanes value)
{
    _mm512_stream_ps(to, value);
}

static void streamed(void)
{
    _mm_sfence();
}

#include "core/kernels/kernels.inc"
#endif
