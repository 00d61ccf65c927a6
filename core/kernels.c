/* Picks the kernels for this machine, once. */
#include "core/kernels.h"

#include "core/conv.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const struct kernels *const widest_first[] = {
#if defined(__x86_64__)
    &kernels_avx512, &kernels_avx2,
#endif
    &kernels_portable
};

static const struct kernels *choose(void)
{
    const char *only = getenv("CONVOLVED_ISA");

    for (size_t i = 0; i < sizeof widest_first / sizeof widest_first[0]; i++)
        if (widest_first[i]->runs_here() &&
            (!only || !*only || !strcmp(only, widest_first[i]->isa)))
            return widest_first[i];
    return &kernels_portable;
}

const struct kernels *kernels_best(void)
{
    static const struct kernels *_Atomic best; /* two threads may both choose: the same */
    const struct kernels *chosen = atomic_load_explicit(&best, memory_order_acquire);

    if (!chosen) {
        chosen = choose();
        atomic_store_explicit(&best, chosen, memory_order_release);
    }
    return chosen;
}

const char *conv_isa(void)
{
    return kernels_best()->isa;
}
