/* Filter banks by name: the classic image kernels, a learned first layer, and generators that
 * give the same numbers on every machine. */
#pragma once
#include "core/tensor.h"

/* What a bank's outputs mean, which decides how it meets a picture of several channels and how
 * its maps are shown. */
enum bank_kind {
    BANK_SMOOTHING,  /* sum 1: depthwise on RGB, clipped when shown */
    BANK_DERIVATIVE, /* sum 0: luma-weighted over the full depth, absolute when shown */
    BANK_LAYER       /* full-depth filters of a layer: each map by its own min..max */
};

/* A bank as it is published: [count, channels, height, width] floats. channels 1 = a 2-D kernel. */
struct bank {
    const char *id;
    enum bank_kind kind;
    struct shape shape; /* [K, C, Fh, Fw] */
    const float *data;  /* cross-correlation order; lives for ever or in the arena it was made in */
    float bias;         /* relief's 0.5; else 0 */
    int stride;         /* its default; 0 none */
    int padding;        /* its default; -1 none (a picture filter: same size) */
    double out_min, out_max; /* exact output range, bias included, for inputs in [0, 1] */
    const char *help;        /* one line */
    const int16_t *integers; /* data = integers / divisor, where that is how it is made; or NULL */
    int divisor;
    int gradient_divisor; /* in its place, a ramp of slope s answers s; 0 for none */
};

int bank_count(void);
const char *bank_id(int index); /* in the order of the list; generators are not in it */

/* The named bank, its floats in the arena; a generator's name gives it with its default numbers
 * (core/generators.def). ERR_PARAMETER on field "weights", with the nearest
 * known id, when there is none. */
bool bank_find(const char *id, struct bank *bank, struct arena *arena, struct error *err);
const char *bank_nearest(const char *id); /* for "did you mean"; NULL when nothing is near */

/* Generators. Their numbers come from the request and are checked here, against the ranges of
 * core/generators.def; the error's field is the number's path ("weights/gabor/sigma"). A sigma of 0
 * is made from the size. */
struct gabor {
    int size, orientations, frequencies; /* size x size; orientations * frequencies filters */
    float sigma, lambda, gamma, psi;     /* of the first frequency; each next one an octave lower */
};
bool bank_gabor(const struct gabor *gabor, struct bank *bank, struct arena *arena,
                struct error *err);
bool bank_gaussian(int size, float sigma, struct bank *bank, struct arena *arena,
                   struct error *err);
bool bank_log(int size, float sigma, struct bank *bank, struct arena *arena, struct error *err);
bool bank_motion(int size, float angle_degrees, struct bank *bank, struct arena *arena,
                 struct error *err);

/* The 64 waves of 8x8 that JPEG uses, orthonormal: filter 8*v+u has v half waves down, u across.
 * The same as bank_find("dct8"). */
bool bank_dct8(struct bank *bank, struct arena *arena, struct error *err);

/* he: N(0, 2 / fan_in); xavier: U(-a, a), a = sqrt(6 / (fan_in + fan_out)). shape [K, C, Fh, Fw]. */
bool bank_random(const char *init, uint64_t seed, struct shape shape, struct bank *bank,
                 struct arena *arena, struct error *err);

/* Rec. 601 luma weights of R, G, B: how a 2-D derivative meets a colour picture. */
extern const float bank_luma[3];
