/* A built-in picture as pixels: core's drawn ones, and the photo "cat", center-cropped to a square
 * and resized. The decoder and GET /samples use it; implemented beside the catalogue. */
#pragma once
#include "api/image.h"

enum { SAMPLE_SIZE_MAX = 4096 };

/* size 0: the sample's own (the photo whole, as it was taken). ERR_PARAMETER
 * on field "image" for an unknown id, with the list; ERR_TOO_LARGE for pixels over the limit. */
bool sample_pixels(const char *id, int size, const struct limits *limits, struct arena *arena,
                   struct pixels *pixels, struct error *err);

const char *sample_nearest(const char *id); /* for "did you mean"; NULL when nothing is near */
extern const int sample_cat_size[2];        /* the photo's own width and height */
