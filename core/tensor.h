/* A tensor is a view of float32 that some arena owns: planes, [picture][channel][row][column]. */
#pragma once
#include "core/arena.h"
#include "core/error.h"

#include <stddef.h>

struct shape {
    int count, channels, height, width; /* N, C (D1 in the textbook), H, W */
};

struct tensor {
    struct shape shape;
    float *data;
};

/* Floats in it; 0 for an empty shape, or one whose bytes overflow. */
size_t shape_count(struct shape shape);

/* 64-byte aligned, not zeroed. ERR_TOO_LARGE names field when it does not fit the arena. */
bool tensor_alloc(struct tensor *tensor, struct shape shape, const char *field, struct arena *arena,
                  struct error *err);
