/* Pixels to a PNG file. */
#pragma once
#include "api/api.h"

struct png {
    int width, height;
    int channels;          /* 1 grey, 3 RGB, 4 RGBA */
    int depth;             /* 8, or 16 with the high byte first */
    int level;             /* 0 stored; 1 Huffman codes; 2 to 12 libdeflate's */
    const uint8_t *pixels; /* rows without gaps */
};

/* The file is in the arena. Blocks of rows are packed by the pool's workers, which may be NULL. */
bool png_write(const struct png *png, struct pool *pool, struct arena *arena, struct bytes *file,
               struct error *err);
