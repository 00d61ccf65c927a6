/* Pixels for tests of the PNG writer. */
#pragma once
#include "api/png.h"

enum { PAINTS = 6 };

static inline uint32_t paint_bits(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 32);
}

/* Contents that meet every filter and every kind of block. */
static inline void paint(uint8_t *pixels, const struct png *png, uint64_t *state, int kind)
{
    size_t pixel = (size_t)(png->channels * png->depth / 8), row = pixel * (size_t)png->width;

    for (size_t i = 0; i < row * (size_t)png->height; i++) {
        size_t y = i / row, x = i % row / pixel;

        switch (kind % PAINTS) {
        case 0: /* noise */
            pixels[i] = (uint8_t)paint_bits(state);
            break;
        case 1: /* slopes: Sub and Up */
            pixels[i] = (uint8_t)(x * 3 + y * 5 + (paint_bits(state) & 1));
            break;
        case 2: /* sparse: None */
            pixels[i] = paint_bits(state) % 5 ? 0 : (uint8_t)paint_bits(state);
            break;
        case 3: /* one colour */
            pixels[i] = 77;
            break;
        case 4: /* columns */
            pixels[i] = (uint8_t)(x * 97);
            break;
        default: /* bars with noise on them: rows of different kinds */
            pixels[i] = y % 7 < 3 ? (uint8_t)(x / 4 * 40) : (uint8_t)(paint_bits(state) & 3);
        }
    }
}
