/* What happens to the maps after the convolution: activation, pooling, combining. Private to core. */
#pragma once
#include "core/conv.h"

/* Bytes that maps_finish() needs besides maps and out, plus the maps themselves. */
size_t maps_workspace(const struct conv_plan *plan);

/* maps: plan->maps' floats, activated; space: maps_workspace() bytes; out: plan->out's floats. */
void maps_finish(const struct conv_plan *plan, const float *maps, float *space, float *out,
                 struct pool *pool);
