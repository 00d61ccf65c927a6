/* One convolution layer: check it and size it (plan), then do it (run).
 *
 * The definition. With S the stride, D the dilation, g = k / (K / groups) the filter's group:
 *   Y[n][k][y][x] = act(B[k] + sum over c, i, j of W[k][c][i][j] * X[n][g*C/groups + c]
 *                                                  [y*S - top + i*D][x*S - left + j*D])
 * as ONE chain of fused multiply-adds per output, in the order channel, row, column, starting
 * from the bias. Padding is numbers like any others: 0 (or padding_value, or what padding_mode
 * puts there) is multiplied, so a weight of infinity on a padded tap gives NaN. A sum of -0
 * leaves as +0. Engines that keep this definition give the same bits whatever the tile size, the
 * number of workers or the instruction set; conv_engine_is_exact() says which do. */
#pragma once
#include "core/pool.h"
#include "core/tensor.h"
#include "core/words.h"

#include <stdatomic.h>
#include <stdint.h>

struct conv_params {
#define CONV_FIELD_INT(name)                      int name
#define CONV_FIELD_PAIR(name)                     int name[2]
#define CONV_FIELD_QUAD(name)                     int name[4]
#define CONV_FIELD_WORD(name)                     int name
#define CONV_FIELD_REAL(name)                     float name
#define CONV_FIELD_BOOL(name)                     bool name
#define PARAM(kind, name, preset, min, max, help) CONV_FIELD_##kind(name);
#include "core/params.def"
};

extern const struct conv_params conv_defaults;

struct engine;

/* All that is known before any float is touched. A plain value: copy it, never free it. */
struct conv_plan {
    struct conv_params params; /* resolved: pads, groups and pool_stride have their numbers */
    struct shape in;           /* [N, C, H, W] */
    struct shape maps;         /* [N, K, OH, OW], as the convolution leaves it */
    struct shape out;          /* after pooling and combining */
    int unused[2];             /* rows and columns of the padded input that no window reaches */
    size_t w_columns;          /* W_row is [K x w_columns], w_columns = C/groups*Fh*Fw */
    size_t col_rows;           /* X_col of one picture is [col_rows x col_columns], */
    size_t col_columns;        /*   col_rows = C*Fh*Fw, col_columns = OH*OW */
    uint64_t macs;             /* multiply-adds of the whole batch */
    const struct engine *engine;
    size_t shared, scratch; /* the engine's workspace: once, and for each slot of the pool */
    int packs, tiles;       /* independent parts: of packing the weights, of the work */
};

struct conv_inputs {
    const float *image;   /* [N, C, H, W] */
    const float *weights; /* [K, C/groups, Fh, Fw] */
    const float *bias;    /* [K], or NULL for zeros */
    const void *packed;   /* conv_pack()'s, or NULL: packed again for each run */
};

/* Where a run may work and when it must give up. */
struct conv_context {
    struct pool *pool; /* NULL: the caller's thread alone */
    struct arena *arena;
    const atomic_bool *stop; /* set by another thread: the run ends with ERR_DEADLINE */
};

/* Ranges only. */
bool conv_params_check(const struct conv_params *params, struct error *err);

/* engine: a name from conv_engine_name(), or NULL for the best that fits. Nothing is allocated.
 * ERR_PARAMETER, ERR_GEOMETRY, ERR_SHAPE, ERR_ENGINE, ERR_TOO_LARGE; the field is the parameter
 * to change. */
bool conv_plan_init(struct conv_plan *plan, const struct conv_params *params, struct shape in,
                    const char *engine, struct error *err);

/* Weights and bias as the plan's engine reads them, for those who run a layer many times: good for
 * every plan of the same layer and engine, whatever the size of the pictures. */
size_t conv_packed_size(const struct conv_plan *plan); /* 0: this engine packs nothing */
void conv_pack(const struct conv_plan *plan, const struct conv_inputs *in, void *packed);

/* Bytes that a run takes from its arena beyond input, weights and output;
 * conv_packed_size() of them are not needed when the weights come packed. */
size_t conv_workspace(const struct conv_plan *plan, const struct pool *pool);

/* out: plan->out's floats. ERR_TOO_LARGE when the workspace does not fit the arena; ERR_DEADLINE
 * when stopped. */
bool conv_run(const struct conv_plan *plan, const struct conv_inputs *in, float *out,
              const struct conv_context *context, struct error *err);

const char *conv_engine_name(int index);                    /* best first; NULL past the last */
const char *conv_plan_engine(const struct conv_plan *plan); /* the one that was picked */
bool conv_engine_is_exact(const char *name);                /* keeps the definition bit for bit */
const char *conv_isa(void);                                 /* the kernels' instruction set */
const char *conv_blas_core(void); /* the kernel set that OpenBLAS picked */

/* What stands at row y, column x of the padded plane; y and x may lie in the padding. */
float conv_pixel(const struct conv_plan *plan, const float *plane, int y, int x);

/* X_col of picture n, [col_rows x col_columns], as the textbook draws it. */
void conv_columns(const struct conv_plan *plan, const float *image, int n, float *columns);

/* Which output: picture n, filter k, row y, column x of plan.maps. */
struct conv_point {
    int n, k, y, x;
};

/* One output of the convolution before activation, as its products: window, and products (window
 * times weight), each [C/groups][Fh][Fw], w_columns floats. Returns the exact-order fmaf sum. */
float conv_explain(const struct conv_plan *plan, const struct conv_inputs *in, struct conv_point at,
                   float *window, float *products);
float conv_activate(int activation, float value);

/* The largest |difference| between out and the layer done in float64, the end to end way
 * (activation, pooling and combining too). Takes a float64 copy of the maps from the arena. */
bool conv_verify(const struct conv_plan *plan, const struct conv_inputs *in, const float *out,
                 const struct conv_context *context, double *worst, struct error *err);

/* Every engine against known answers on small layers; false (and the engine's name in field) when
 * one computes wrong on this machine. */
bool conv_self_test(struct error *err);
