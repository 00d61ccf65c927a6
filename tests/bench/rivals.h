/* What we are timed against: the textbook's im2col on OpenBLAS, and oneDNN where it is installed.
 * Neither is linked into the daemon for this. */
#pragma once
#include "core/core.h"

struct rival_layer {
    const struct conv_plan *plan;
    const struct conv_inputs *in;
    float *out; /* plan->out's floats */
};

/* X_col whole, then one product a group; buffer: rival_im2col_floats(). */
size_t rival_im2col_floats(const struct conv_plan *plan); /* 0: X_col is the picture itself */
void rival_im2col(const struct rival_layer *layer, float *buffer);

struct onednn;

/* Weights prepacked, bias fused, NCHW in and out; the better of its own formats with reorders
 * and plain NCHW. NULL where there is no oneDNN, or it cannot. */
struct onednn *onednn_create(const struct rival_layer *layer);
void onednn_run(struct onednn *onednn);
const char *onednn_name(const struct onednn *onednn); /* of the implementation */
void onednn_destroy(struct onednn *onednn);

/* 64-byte aligned, on huge pages where the system has them, touched. */
float *bench_floats(size_t count);
double bench_now(void); /* seconds; with LOADED=1 of the thread's processor time */
