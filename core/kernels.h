/* The inner loops of the fast engines, once for each instruction set: one const table a file in
 * core/kernels/, all stamped from core/kernels/kernels.inc. Each sums one chain of fused
 * multiply-adds per output, so all tables give the same bits. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KERNEL_ROWS = 14,   /* the most rows of sums that any table keeps in registers */
    DIRECT_FILTERS = 3, /* the most filters of a direct kernel */
    PANEL_MOST = 32     /* the most columns of a panel: two of the widest vectors */
};

/* Windows on planes (core/engines/planes.h): the pixel under tap t in channel c for the output
 * that is `right` of the first one stands at pixels[c * channel_step + offset[t] + right]. */
struct windows {
    const float *pixels;
    size_t channel_step;
    int channels, taps;
    const int32_t *offset; /* [taps] */
};

/* Pixels on lanes: sums[rows][columns] = bias + weights * panel.
 *
 *            columns: neighbouring outputs            The panel is X_col's [depth x columns],
 *           |---- vector ----|---- vector ----|       depth = channels * taps. It is never made:
 *   w w w w |   sums[0]      |                |       `pack` reads the windows, multiplies, and
 *   w w w w |   sums[1]      |                |       keeps what it read in `panel`, where the
 *   w w w w |   ...          |                |       next filters' `packed` calls find it.
 *   [depth][rows] broadcast, one filter a row  */
struct implicit_call {
    struct windows in;
    const float *weights; /* [depth][rows] */
    float *panel;         /* [depth][panel], 64-byte aligned */
    float *out;           /* the first filter's first output */
    size_t out_step;      /* from one filter's output to the next one's */
    int columns;          /* outputs to store, at most a panel (narrow: a vector) */
    const float *bias;    /* [rows], or NULL: go on from what out holds */
    bool stream;          /* store past the caches: a whole panel, 64-byte aligned */
};

/* Filters on lanes: sums[rows][panel] = bias + pixels * weights; rows are neighbouring outputs.
 * What implicit does with the roles changed: nothing needs packing but the weights, and a tap
 * that falls into the padding can be left out. */
struct swapped_call {
    struct windows in;
    const float *weights; /* [channels][weights_step]: [taps][panel] of it are used */
    size_t weights_step;
    float *sums;        /* [rows][panel], 64-byte aligned */
    const float *bias;  /* [panel], or NULL: go on from sums */
    const float *ahead; /* what is needed soon: asked for along the way, */
    size_t ahead_step;  /*   so many floats further at each tap */
};

/* At most DIRECT_FILTERS filters, a block of rows x columns outputs each. */
struct direct_call {
    struct windows in;
    size_t row_step;      /* from one output row's pixels to the next one's */
    const float *weights; /* [filters][channels][taps], as the layer brings them */
    const float *bias;    /* [filters] */
    float *out;
    size_t out_step, map_step; /* from row to row, from map to map */
    int rows, columns;         /* outputs to store */
};

/* to[rows_before + i][before + t] = from[i][t * stride] for t < count, i < rows; zeros around. */
struct cut_call {
    float *to;
    const float *from;
    size_t to_step, from_step; /* from row to row */
    int rows_before, rows, rows_after;
    int before, count, after;
    int stride;
};

/* How an output row's end is cut: the `side` columns of a 3x3 (5x5) filter that stick out of the
 * picture by 1 (2) are not multiplied. */
enum edge { EDGE_NONE, EDGE_LEFT, EDGE_RIGHT, EDGE_BOTH, EDGES };
enum direct_form { DIRECT_ANY, DIRECT_3X3, DIRECT_5X5, DIRECT_FORMS };

typedef void implicit_kernel(const struct implicit_call *call);
typedef void swapped_kernel(const struct swapped_call *call);
typedef void direct_kernel(const struct direct_call *call);

struct kernels {
    const char *isa;
    int lanes;         /* floats in a vector */
    int panel;         /* columns of a panel: two vectors */
    int implicit_rows; /* filters of an implicit kernel, at most */
    int swapped_rows;  /* outputs of a swapped kernel, at most */
    int tile_macs;     /* about 2 ms of work: how long a tile may be, so that it can be stopped */
    bool (*runs_here)(void);

    /* Indexed by rows. narrow: one vector of outputs, read from the windows. */
    implicit_kernel *const *implicit_pack, *const *implicit_packed, *const *implicit_narrow;
    void (*streamed)(void); /* after `stream`: from now on, other threads see what was stored */

    /* Indexed by rows. swapped_half: the panel's second half has no filters. */
    swapped_kernel *const *swapped, *const *swapped_half;
    /* [3x3, 5x5][edge][rows]; NULL entries: there is none, use the plain one. */
    swapped_kernel *const (*swapped_edge)[EDGES][KERNEL_ROWS + 1];

    /* [filters - 1][form][wide]: blocks of direct_rows[filters - 1][wide] x (wide ? 2 : 1)
     * vectors. */
    direct_kernel *const (*direct)[DIRECT_FORMS][2];
    const int (*direct_rows)[2];

    /* Winograd's transforms of pixels and sums; see core/kernels/winograd.inc. */
    void (*winograd_input)(const struct windows *in, float *to, size_t to_step, int count);
    void (*winograd_output)(const float *sums, size_t step, const float *bias, float *out,
                            size_t row_step);

    void (*cut)(const struct cut_call *call);
    /* to[j][i] = from[i][j] for i < rows, j < columns. */
    void (*transpose)(const float *from, size_t from_step, int rows, int columns, float *to,
                      size_t to_step);
};

extern const struct kernels kernels_avx512, kernels_avx2, kernels_portable;

/* The best that runs here; CONVOLVED_ISA narrows the choice, so that tests reach every table on
 * one machine. */
const struct kernels *kernels_best(void);
