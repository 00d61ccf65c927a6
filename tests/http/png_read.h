/* A PNG's samples as they stand in the file, by libpng: nobody here wrote that decoder. */
#pragma once
#include <stddef.h>

struct png_pixels {
    int width, height, channels, depth; /* depth 8, or 16 in host order */
    const void *data;                   /* the test's memory */
};

/* Palettes and 1, 2, 4 bits are expanded, nothing else. */
void png_read_pixels(struct png_pixels *pixels, const void *png, size_t size);
