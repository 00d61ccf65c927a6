/* The textbook way: windows as columns, then one product, by OpenBLAS. Only as many columns at a
 * time as stay in the cache, so that X_col is never whole. Its sums are in BLAS's order. */
#include "core/columns.h"
#include "core/engine.h"

#include <cblas.h>
#include <pthread.h>
#include <sys/mman.h>

enum {
    TILE_BYTES = 768 * 1024,
    LEAST_COLUMNS = 64,
    LEAST_FILTERS = 64,      /* of a product: BLAS packs X_col for each */
    PRODUCT_MACS = 64 << 20, /* about 2 ms, between two looks whether to stop */
    BLAS_BUFFER = 130 << 20
};

bool blas_has_room(void)
{
    void *room =
        mmap(NULL, BLAS_BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return room != MAP_FAILED && munmap(room, BLAS_BUFFER) == 0;
}

/* Columns of a tile; a multiple of 16, so that its rows are whole cache lines. */
static size_t tile_columns(const struct conv_plan *plan)
{
    size_t columns = TILE_BYTES / sizeof(float) / plan->w_columns / 16 * 16;

    if (columns < LEAST_COLUMNS)
        columns = LEAST_COLUMNS;
    return columns < plan->col_columns ? columns : plan->col_columns;
}

static size_t tiles_of_a_map(const struct conv_plan *plan)
{
    return (plan->col_columns + tile_columns(plan) - 1) / tile_columns(plan);
}

static bool fits(const struct conv_plan *plan, struct error *err)
{
    size_t tiles = tiles_of_a_map(plan) * (size_t)plan->params.groups;

    if (tiles > (size_t)(INT32_MAX / plan->in.count))
        return fail(err, ERR_ENGINE, "algorithm",
                    "im2col cannot cut this layer into tiles; use auto");
    return true;
}

static void size(struct conv_plan *plan)
{
    plan->scratch = plan->w_columns * tile_columns(plan) * sizeof(float);
    plan->tiles = (int)(tiles_of_a_map(plan) * (size_t)plan->params.groups) * plan->in.count;
}

/* OpenBLAS 0.3.21's kernels of small products on AVX-512 take memory for at most 8 columns of X_col
 * or of as many filters, and do not look whether they got it. */
static bool small_kernels_have_room(int filters, int depth)
{
    return memory_is_left(8 * sizeof(float) * (size_t)(filters > depth ? filters : depth));
}

static void multiply_plainly(const struct conv_plan *plan, const float *weights, int filters,
                             const float *x_col, int columns, float *c)
{
    int depth = (int)plan->w_columns;

    for (int i = 0; i < filters; i++, c += plan->col_columns, weights += depth)
        for (int d = 0; d < depth; d++)
            for (int j = 0; j < columns; j++)
                c[j] += weights[d] * x_col[(size_t)d * (size_t)columns + (size_t)j];
}

/* C [filters x columns] += W_row [filters x w_columns] * X_col [w_columns x columns], C's rows
 * being whole maps. The serial OpenBLAS of Debian is built without locks: two products at once
 * share a buffer and give wrong sums (seen with 0.3.21), so there they take turns. */
static void multiply(const struct conv_plan *plan, const float *weights, int filters,
                     const float *x_col, int columns, float *c)
{
    static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
    bool serial = openblas_get_parallel() == OPENBLAS_SEQUENTIAL;
    int depth = (int)plan->w_columns;

    if (!small_kernels_have_room(filters, depth)) {
        multiply_plainly(plan, weights, filters, x_col, columns, c);
        return;
    }
    if (serial)
        pthread_mutex_lock(&turn);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, filters, columns, depth, 1, weights,
                depth, x_col, columns, 1, c, (int)plan->col_columns);
    if (serial)
        pthread_mutex_unlock(&turn);
}

/* One tile is some columns of one group of one picture:
 * C [K/groups x columns] = bias + W_row [K/groups x w_columns] * X_col [w_columns x columns] */
static void run(const struct conv_plan *plan, const struct engine_inputs *in, float *maps,
                const void *shared, void *scratch, int tile)
{
    int of_map = (int)tiles_of_a_map(plan), groups = plan->params.groups;
    int n = tile / of_map / groups, filters = plan->maps.channels / groups;
    int k = tile / of_map % groups * filters;
    size_t first = (size_t)(tile % of_map) * tile_columns(plan), left = plan->col_columns - first;
    size_t columns = left < tile_columns(plan) ? left : tile_columns(plan);
    int block = (int)(PRODUCT_MACS / (plan->w_columns * columns + 1));
    float *c =
        maps + ((size_t)n * (size_t)plan->maps.channels + (size_t)k) * plan->col_columns + first;

    (void)shared;
    block = block < LEAST_FILTERS ? LEAST_FILTERS : block;
    columns_copy(plan, conv_group_image(plan, in->image, n, k), first, columns, scratch, columns);
    for (int i = 0; i < filters; i++)
        for (size_t j = 0; j < columns; j++)
            c[(size_t)i * plan->col_columns + j] = in->bias ? in->bias[k + i] : 0;
    for (int i = 0; i < filters && !conv_stopped(in); i += block)
        multiply(plan, in->weights + (size_t)(k + i) * plan->w_columns,
                 block < filters - i ? block : filters - i, scratch, (int)columns,
                 c + (size_t)i * plan->col_columns);
    for (int i = 0; i < filters; i++)
        conv_finish(plan, c + (size_t)i * plan->col_columns, columns);
}

/* The pool makes the threads: each product stays on the one that asked for it. */
__attribute__((constructor)) static void one_thread(void)
{
    openblas_set_num_threads(1);
}

const char *conv_blas_core(void)
{
    return openblas_get_corename();
}

const struct engine engine_im2col = { .name = "im2col", .fits = fits, .size = size, .run = run };
