/* One way to convolve. Private to core: others name engines, they never see one. */
#pragma once
#include "core/conv.h"

struct engine {
    const char *name;
    bool exact; /* keeps conv.h's definition bit for bit */
    bool named; /* used only when asked for by name */

    /* Can it do this layer on this machine? err (never NULL) says why not, with the field. */
    bool (*fits)(const struct conv_plan *plan, struct error *err);
    void (*size)(struct conv_plan *plan); /* sets shared, scratch and tiles */

    /* Once, before the tiles: turns the weights into what the tiles read. May be NULL. */
    void (*prepare)(const struct conv_plan *plan, const struct conv_inputs *in, void *shared);

    /* Any tile on any thread, at the same time as others. Writes plan->maps' floats: sum from the
     * bias, then finish(). Engines see only zero padding: conv_run() hands the others a padded
     * copy and a plan without pads. */
    void (*run)(const struct conv_plan *plan, const struct conv_inputs *in, float *maps,
                const void *shared, void *scratch, int tile);
};

extern const struct engine engine_im2col, engine_reference;
