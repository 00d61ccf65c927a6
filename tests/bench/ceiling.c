/* What this machine's fused multiply-add units can do at most: 24 independent chains in registers,
 * no memory operand. */
#include "tests/bench/ceiling.h"
#include "tests/bench/rivals.h"

#include <string.h>

#if defined(__x86_64__)

#define FMA(r, n) "vfmadd231ps %%" r "30, %%" r "31, %%" r #n "\n\t"
#define FMA_8(r, a, b, c, d, e, f, g, h)                                                           \
    FMA(r, a) FMA(r, b) FMA(r, c) FMA(r, d) FMA(r, e) FMA(r, f) FMA(r, g) FMA(r, h)
#define LOOP(r)                                                                                    \
    "vxorps %%" r "30, %%" r "30, %%" r "30\n\t"                                                   \
    "vxorps %%" r "31, %%" r "31, %%" r "31\n\t"                                                   \
    "1:\n\t" FMA_8(r, 0, 1, 2, 3, 4, 5, 6, 7) FMA_8(r, 8, 9, 10, 11, 12, 13, 14, 15)               \
        FMA_8(r, 16, 17, 18, 19, 20, 21, 22, 23) "dec %0\n\tjnz 1b"
#define CLOBBERS                                                                                   \
    "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20",  \
        "xmm21", "xmm22", "xmm23", "xmm30", "xmm31"
/* Without registers 16 to 31: 12 chains, which still are more than latency times two. */
#define LOOP_YMM                                                                                   \
    "vxorps %%ymm12, %%ymm12, %%ymm12\n\tvxorps %%ymm13, %%ymm13, %%ymm13\n\t1:\n\t" LOOP_YMM_12   \
        LOOP_YMM_12 "dec %0\n\tjnz 1b"
#define YMM(n) "vfmadd231ps %%ymm12, %%ymm13, %%ymm" #n "\n\t"
#define LOOP_YMM_12                                                                                \
    YMM(0) YMM(1) YMM(2) YMM(3) YMM(4) YMM(5) YMM(6) YMM(7) YMM(8) YMM(9) YMM(10) YMM(11)

__attribute__((target("avx512f"))) static void burst_512(long count)
{
    __asm__ volatile(LOOP("zmm") : "+r"(count) : : CLOBBERS);
}

__attribute__((target("fma"))) static void burst_256(long count)
{
    __asm__ volatile(LOOP_YMM
                     : "+r"(count)
                     :
                     : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                       "xmm9", "xmm10", "xmm11", "xmm12", "xmm13");
}

double ceiling_gflops(const char *isa)
{
    enum { TURNS = 100000, CHAINS = 24 };
    int lanes = !strcmp(isa, "avx512") ? 16 : !strcmp(isa, "avx2") ? 8 : 0;
    double start = bench_now();

    if (!lanes)
        return 0;
    if (lanes == 16)
        burst_512(TURNS);
    else
        burst_256(TURNS);
    return 2.0 * TURNS * CHAINS * lanes / (bench_now() - start) * 1e-9;
}

#else

double ceiling_gflops(const char *isa)
{
    (void)isa;
    return 0;
}

#endif
