/* Filters as they are given, before they meet the picture's channels. Private to api. */
#pragma once
#include "api/decode.h"

struct filters {
    struct shape shape; /* [K, C, Fh, Fw]; count 0: none are given */
    const float *data;
    bool flat;           /* 2-D kernels: shape.channels is 1 and says nothing of the picture's */
    enum bank_kind kind; /* with name */
    const char *name;    /* the preset's id, ids with commas between, or the generator's word */
    const float *bias;   /* [K] of the bank, for inputs in [0, 1]; NULL zeros */
    int stride, padding; /* the bank's defaults, as in struct bank */
};

/* What is given is a name, names or a generator, not numbers. */
bool filters_named(const struct decoder *d);
bool filters_read(struct decoder *d, struct filters *filters);
