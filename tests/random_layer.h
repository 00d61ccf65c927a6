/* Random layers that between them use every parameter; the same sequence on every machine. */
#pragma once
#include "core/conv.h"

struct random_layer {
    struct conv_params params;
    struct shape in;
};

uint32_t random_next(uint64_t *state);
int random_between(uint64_t *state, int least, int most);

/* Layers that plan: draws again until conv_plan_init() accepts. */
struct random_layer random_layer(uint64_t *state, struct conv_plan *plan);

/* whole: small whole numbers, on which every order of adding gives the same float32 sum. */
void random_fill(uint64_t *state, float *floats, size_t count, bool whole);
