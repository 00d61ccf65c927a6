/* Any machine that GCC has vectors of four floats for. On AArch64 that is NEON, with its own fused
 * multiply-add. SSE2 has none: there it is made from doubles, slowly, with the same bits. */
#if defined(__aarch64__)
#include <arm_neon.h>
#endif
#include <stdint.h>

#define ISA   portable
#define LANES 4
#define PANEL 8
#define CPU() true

/* HOLD is asm's letter for a vector register. */
#if defined(__aarch64__)
#define HOLD          "w"
#define TILE_MACS     (64 << 20)
#define IMPLICIT_ROWS 12
#define SWAPPED_ROWS  12
#define DIRECT_ROWS                                                                                \
    {                                                                                              \
        { 8, 4 }, { 7, 4 },                                                                        \
        {                                                                                          \
            4, 2                                                                                   \
        }                                                                                          \
    }
#else
#define HOLD          "x"
#define TILE_MACS     (4 << 20)
#define IMPLICIT_ROWS 4
#define SWAPPED_ROWS  4
#define DIRECT_ROWS                                                                                \
    {                                                                                              \
        { 4, 2 }, { 2, 1 },                                                                        \
        {                                                                                          \
            2, 1                                                                                   \
        }                                                                                          \
    }
#endif
#define EDGE_KERNELS 0

typedef float lanes __attribute__((vector_size(16)));

typedef int lanes_part; /* so many of the first lanes */

static inline lanes_part part_of(int count)
{
    return count;
}

static inline lanes lanes_load_part(const float *from, lanes_part part)
{
    lanes value = { 0 };

    for (int i = 0; i < LANES && i < part; i++)
        value[i] = from[i];
    return value;
}

static inline void lanes_store_part(float *to, lanes value, lanes_part part)
{
    for (int i = 0; i < LANES && i < part; i++)
        to[i] = value[i];
}

#if defined(__aarch64__)

static inline lanes lanes_fma(lanes a, lanes b, lanes c)
{
    return vfmaq_f32(c, a, b);
}

#else

/* The product of two floats is exact in double. Their sum with c is rounded to odd: when it is
 * inexact, to the neighbour whose last bit is 1, so that rounding it once more to float gives what
 * rounding the exact sum to float would (Boldo and Melquiond, "Emulation of FMA and correctly
 * rounded sums", 2008). A call: inlined, it would be half a megabyte of kernels. */
static __attribute__((noinline)) lanes lanes_fma(lanes a, lanes b, lanes c)
{
    typedef double wide __attribute__((vector_size(32)));
    typedef int64_t bits __attribute__((vector_size(32)));

    wide product = __builtin_convertvector(a, wide) * __builtin_convertvector(b, wide);
    wide addend = __builtin_convertvector(c, wide), sum = product + addend;
    wide part = sum - product;
    wide error = (product - (sum - part)) + (addend - part); /* exact; NaN past infinity */
    bits even = ((bits)sum & 1) - 1, inexact = (error < 0) | (error > 0);
    bits away = ~((error < 0) ^ (sum < 0)); /* the exact sum is larger in magnitude */

    sum = (wide)((bits)sum + ((even & inexact) & (1 | ~away)));
    return __builtin_convertvector(sum, lanes);
}

#endif

static inline void lanes_stream(float *to, lanes value)
{
    *(lanes *)to = value;
}

static void streamed(void)
{
}

#include "core/kernels/kernels.inc"
