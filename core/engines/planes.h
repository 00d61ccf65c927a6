/* A tile of the maps, and its part of the picture as the kernels want to read it. Private to the
 * fast engines. */
#pragma once
#include "core/engine.h"

enum { LEAST_TILES = 8 }; /* of a layer that is worth splitting */

/* The outputs of one tile: rows and columns of the maps of filters [filter, filter + filters) of a
 * group, or of all filters of some groups. */
struct tile {
    int picture, group, groups, filter, filters, y, x, rows, columns;
};

/* The maps cut into tiles of at most rows x columns outputs of `filters` filters of each of
 * `groups` groups (one of the two is split, not both).
 * flat: F = 1, so that windows are pixels and a row's end means nothing.
 * whole: flat, at stride 1, unpadded: the picture itself is X_col, and a map counts as one row of
 * height * width outputs. */
struct tiling {
    int height, width;                  /* of a map: 1 x OH*OW when whole */
    int rows, columns, filters, groups; /* of a tile */
    int down, across, deep, bundles;    /* tiles in a map, in a group's filters, of groups */
    bool flat, whole;
};

/* Whole maps of a group; then change and tiling_count(). */
struct tiling tiling_of(const struct conv_plan *plan);
int tiling_count(struct tiling *tiling, const struct conv_plan *plan); /* sets down ... */
struct tile tiling_tile(const struct tiling *tiling, const struct conv_plan *plan, int index);

/* The tile's first output. */
float *tile_maps(const struct tiling *tiling, const struct conv_plan *plan, struct tile tile,
                 float *maps);
/* The activation, over the tile while it is in the cache. */
void tile_finish(const struct tiling *tiling, const struct conv_plan *plan, struct tile tile,
                 float *maps);

/* One axis of a tile's planes. Windows of neighbouring outputs overlap, but at stride S they start
 * S pixels apart; the kernels read neighbours that lie side by side. So pixels are sorted into
 * slots: slot s holds what tap s sees, output after output, and tap s + cycle finds its pixels in
 * the same slot, `advance` further on:
 *
 *   S = 2, F = 3, D = 1:   picture   a b c d e f g h i        cycle = 2, advance = 1
 *                          slot 0    a   c   e   g   i        tap 0; tap 2 from c on
 *                          slot 1      b   d   f   h          tap 1
 *
 * Where the slots would be mostly gaps (a large dilation), each tap has its own. */
struct axis {
    int cycle, advance;
    int slots, length;
    int longest; /* slots behind this one are shorter by advance: they have a tap less */
    int stride, dilation;
    int origin, limit; /* input coordinate of slot 0's first element; the input's size */
};

/* Planes of a tile: [channels][y.slots][y.length][x.slots][x.length], zero padded. */
struct planes {
    struct axis y, x;
    size_t row_step; /* floats from one output row's windows to the next one's */
    size_t channel_step;
};

/* For tiles of rows x columns at most; every tile of a plan has the same steps. */
struct planes planes_of(const struct conv_plan *plan, const struct tiling *tiling);
/* Floats for so many channels, and what kernels may read (and not use) behind them. */
size_t planes_floats(const struct planes *planes, size_t channels, size_t behind);
/* offset: [Fh * Fw], where each tap's pixels start. */
void planes_offsets(const struct planes *planes, const struct conv_plan *plan, int32_t *offset);
/* image: the first of the channels' input planes. */
void planes_cut(const struct planes *planes, const struct conv_plan *plan, struct tile tile,
                const float *image, int channels, float *to);

/* Takes bytes off a scratch, cache line by cache line. A NULL scratch only counts. */
struct carver {
    char *at;
    size_t bytes;
};
void *carve(struct carver *carver, size_t count, size_t size);

/* What prepare() leaves for the tiles: [filters] of bias, zeros where none is given; [filters] bytes
 * that say whether a panel's weights are all finite, for an engine that asks; the weights in the
 * engine's own order. Distances are in floats. */
struct packed {
    size_t finite, weights, bytes;
};
struct packed packed_of(size_t filters, size_t filter_floats);
/* Filters [first, first + filters) of the layer's bias; the rest of `padded` is 0. */
void packed_bias(const struct engine_inputs *in, size_t first, size_t filters, size_t padded,
                 float *bias);

/* A product of two counts that are not negative, as what it is used for: a distance. */
static inline size_t times(int a, int b)
{
    return (size_t)a * (size_t)b;
}

static inline int at_most(int a, int b)
{
    return a < b ? a : b;
}

static inline int at_least(int a, int b)
{
    return a > b ? a : b;
}

static inline int parts(int whole, int part)
{
    return (int)(((int64_t)whole + part - 1) / part);
}
