/* Built-in pictures: made by arithmetic that gives the same pixels on every machine. The photo
 * (cat) is a file and lives in api. */
#pragma once
#include "core/tensor.h"

#include <stdatomic.h>

struct sample {
    const char *id, *help;
    int channels, size; /* size: height and width when none is asked for */
};

int sample_count(void);
const struct sample *sample_at(int index);
const struct sample *sample_find(const char *id); /* NULL when there is none */

/* pixels: [size][size][channels] bytes, interleaved as pictures are; 1 <= size <= 4096.
 * false: stop (which may be NULL) was set meanwhile. */
bool sample_draw(const struct sample *sample, int size, const atomic_bool *stop, uint8_t *pixels);
