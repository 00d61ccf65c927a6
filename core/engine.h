/* One way to convolve. Private to core: others name engines, they never see one. */
#pragma once
#include "core/conv.h"

/* Below so many multiply-adds, two workers are no faster than one. */
enum { SPLIT_MACS = 5 * 1000 * 1000 };

/* What packs and tiles are made of. */
struct engine_inputs {
    const float *image, *weights, *bias; /* as in conv_inputs */
    const atomic_bool *stop;
};

/* Is the run to be given up? Asked before each pack and tile, and within those that may take more
 * than about 2 ms: what they leave is then nobody's. */
static inline bool conv_stopped(const struct engine_inputs *in)
{
    return atomic_load_explicit(in->stop, memory_order_relaxed);
}

struct engine {
    const char *name;
    bool exact; /* keeps conv.h's definition bit for bit */
    bool named; /* used only when asked for by name */
    bool pads;  /* knows every padding mode; the others see only zeros, and a copy for the rest */

    /* Can it do this layer on this machine? err (never NULL) says why not, with the field. NULL:
     * any layer. */
    bool (*fits)(const struct conv_plan *plan, struct error *err);
    /* Is it the fastest that can? NULL: whenever it fits. Asked for by name, it need not be. */
    bool (*suits)(const struct conv_plan *plan);
    void (*size)(struct conv_plan *plan); /* sets shared, scratch, packs and tiles */

    /* Before the tiles: turns weights and bias into what the tiles read, each pack on any thread.
     * May be NULL. What it writes may not depend on the picture's size: a stored layer keeps it. */
    void (*prepare)(const struct conv_plan *plan, const struct engine_inputs *in, void *shared,
                    int pack);

    /* Any tile on any thread, at the same time as others. Writes plan->maps' floats: the sums from
     * the bias, then conv_finish() on them while they are in the cache. */
    void (*run)(const struct conv_plan *plan, const struct engine_inputs *in, float *maps,
                const void *shared, void *scratch, int tile);
};

/* The first plane of the group that filter k of picture n looks at: [C/groups][H][W]. */
static inline const float *conv_group_image(const struct conv_plan *plan, const float *image, int n,
                                            int k)
{
    int group_channels = plan->in.channels / plan->params.groups;
    int group = k / (plan->maps.channels / plan->params.groups);
    size_t plane = (size_t)plan->in.height * (size_t)plan->in.width;

    return image +
           ((size_t)n * (size_t)plan->in.channels + (size_t)(group * group_channels)) * plane;
}

/* -0 becomes +0, then the activation: what every engine does last to each of its outputs. */
void conv_finish(const struct conv_plan *plan, float *values, size_t count);

/* Refuses an engine from now on (the self-test's word); index as in conv_engine_name(). */
void conv_engine_refuse(int index);

/* OpenBLAS asks for its one buffer over and over, for ever, while there is no room for it. Once it
 * has it, it keeps it. */
bool blas_has_room(void);

extern const struct engine engine_direct, engine_pointwise, engine_implicit, engine_swapped,
    engine_winograd, engine_im2col, engine_reference;
