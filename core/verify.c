/* Answers about answers: one output taken apart, a whole layer redone in float64, every engine
 * against whole numbers before the first request. */
#include "core/engine.h"

#include <math.h>
#include <stdlib.h>

/* The window of one output, [C/groups][Fh][Fw]. */
static void read_window(const struct conv_plan *plan, const float *image, int y, int x,
                        float *window)
{
    const struct conv_params *p = &plan->params;
    size_t plane = (size_t)plan->in.height * (size_t)plan->in.width;

    for (int c = 0; c < plan->in.channels / p->groups; c++, image += plane)
        for (int i = 0; i < p->kernel_size[0]; i++)
            for (int j = 0; j < p->kernel_size[1]; j++)
                *window++ =
                    conv_pixel(plan, image, y * p->stride[0] - p->pads[0] + i * p->dilation[0],
                               x * p->stride[1] - p->pads[1] + j * p->dilation[1]);
}

float conv_explain(const struct conv_plan *plan, const struct conv_inputs *in, struct conv_point at,
                   float *window, float *products)
{
    const float *weights = in->weights + (size_t)at.k * plan->w_columns;
    float sum = in->bias ? in->bias[at.k] : 0;

    read_window(plan, conv_group_image(plan, in->image, at.n, at.k), at.y, at.x, window);
    for (size_t i = 0; i < plan->w_columns; i++) {
        products[i] = window[i] * weights[i];
        sum = fmaf(window[i], weights[i], sum);
    }
    return sum + 0.0f;
}

/* ---- float64 ---- */

static double activate64(int activation, double v)
{
    switch ((enum activation)activation) {
    case ACTIVATION_NONE:
        return v;
    case ACTIVATION_RELU:
        return v < 0 ? 0 : v;
    case ACTIVATION_RELU6:
        return v < 0 ? 0 : v > 6 ? 6 : v;
    case ACTIVATION_LEAKY_RELU:
        return v < 0 ? 0.01 * v : v;
    case ACTIVATION_SIGMOID:
        return 1 / (1 + exp(-v));
    case ACTIVATION_TANH:
        return tanh(v);
    case ACTIVATION_ELU:
        return v < 0 ? expm1(v) : v;
    case ACTIVATION_HARDSWISH:
        return v * fmin(fmax(v + 3, 0), 6) / 6;
    }
    return v;
}

struct verifying {
    const struct conv_plan *plan;
    const struct conv_inputs *in;
    const float *out;
    const atomic_bool *stop;
    double *maps;   /* [N][K][OH][OW] */
    float *windows; /* a slot each, w_columns */
    double *worsts; /* a slot each */
};

static void verify_map(void *arg, int index, int slot)
{
    const struct verifying *job = arg;
    const struct conv_plan *plan = job->plan;
    int n = index / plan->maps.channels, k = index % plan->maps.channels;
    const float *weights = job->in->weights + (size_t)k * plan->w_columns;
    const float *image = conv_group_image(plan, job->in->image, n, k);
    double *map = job->maps + (size_t)index * plan->col_columns;
    float *window = job->windows + (size_t)slot * plan->w_columns;

    for (int y = 0; y < plan->maps.height && !atomic_load(job->stop); y++)
        for (int x = 0; x < plan->maps.width; x++) {
            double sum = job->in->bias ? (double)job->in->bias[k] : 0;

            read_window(plan, image, y, x, window);
            for (size_t i = 0; i < plan->w_columns; i++)
                sum += (double)window[i] * (double)weights[i];
            *map++ = activate64(plan->params.activation, sum);
        }
}

/* Output [y][x] of one map after pooling, in float64. */
static double pooled64(const struct conv_plan *plan, const double *map, int y, int x)
{
    const struct conv_params *p = &plan->params;
    int height = plan->maps.height, width = plan->maps.width, count = 0;
    double sum = 0, best = -INFINITY;

    if (p->pool_type == POOL_NONE)
        return map[(size_t)y * (size_t)width + (size_t)x];
    for (int i = 0; i < p->pool_kernel_size[0]; i++)
        for (int j = 0; j < p->pool_kernel_size[1]; j++) {
            int row = y * p->pool_stride[0] - p->pool_pads[0] + i;
            int column = x * p->pool_stride[1] - p->pool_pads[1] + j;

            if (row < 0 || row >= height || column < 0 || column >= width)
                continue;
            sum += map[(size_t)row * (size_t)width + (size_t)column];
            best = fmax(best, map[(size_t)row * (size_t)width + (size_t)column]);
            count++;
        }
    return p->pool_type == POOL_MAX ? best : sum / count;
}

static double combined64(const struct conv_plan *plan, const double *maps, int k, int y, int x)
{
    int first = plan->params.combine == COMBINE_NONE ? k : 0;
    int last = plan->params.combine == COMBINE_NONE ? k : plan->maps.channels - 1;
    double sum = 0, squares = 0, most = -INFINITY;

    for (int i = first; i <= last; i++) {
        double v = pooled64(plan, maps + (size_t)i * plan->col_columns, y, x);

        sum += v;
        squares += v * v;
        most = fmax(most, v);
    }
    return plan->params.combine == COMBINE_MAGNITUDE ? sqrt(squares)
           : plan->params.combine == COMBINE_MAX     ? most
                                                     : sum;
}

/* Differences of row index (over pictures, channels and rows of the output). */
static void compare_row(void *arg, int index, int slot)
{
    const struct verifying *job = arg;
    const struct conv_plan *plan = job->plan;
    int y = index % plan->out.height, map = index / plan->out.height;
    int k = map % plan->out.channels, n = map / plan->out.channels;
    const double *maps = job->maps + (size_t)n * (size_t)plan->maps.channels * plan->col_columns;
    const float *out = job->out + (size_t)index * (size_t)plan->out.width;

    for (int x = 0; x < plan->out.width; x++) {
        double off = fabs((double)out[x] - combined64(plan, maps, k, y, x));

        if (off > job->worsts[slot]) /* a NaN on both sides is no difference */
            job->worsts[slot] = off;
    }
}

bool conv_verify(const struct conv_plan *plan, const struct conv_inputs *in, const float *out,
                 const struct conv_context *context, double *worst, struct error *err)
{
    struct arena_mark mark = arena_save(context->arena);
    size_t slots = (size_t)pool_slots(context->pool);
    struct verifying job = { .plan = plan, .in = in, .out = out, .stop = context->stop };

    job.maps = arena_new(context->arena, double, shape_count(plan->maps));
    job.windows = arena_new(context->arena, float, slots * plan->w_columns);
    job.worsts = arena_zeroed(context->arena, slots, sizeof *job.worsts);
    if (!job.maps || !job.windows || !job.worsts)
        return fail(err, ERR_TOO_LARGE, "verify",
                    "a float64 copy of the maps is over the request's memory; leave verify off");
    pool_for(context->pool, plan->maps.count * plan->maps.channels, verify_map, &job);
    if (atomic_load(context->stop))
        return fail(err, ERR_DEADLINE, "timeout_ms", "verify was stopped at the deadline");
    pool_for(context->pool, plan->out.count * plan->out.channels * plan->out.height, compare_row,
             &job);
    *worst = 0;
    for (size_t i = 0; i < slots; i++)
        *worst = fmax(*worst, job.worsts[i]);
    arena_restore(context->arena, mark);
    return true;
}

/* ---- self-test ---- */

enum { TEST_FLOATS = 4096 };

/* channels, height, width, filters, kernel, stride, padding, groups */
static const int test_layers[][8] = {
    { 3, 17, 19, 8, 3, 1, 1, 1 }, { 4, 12, 12, 6, 5, 2, 2, 2 }, { 16, 7, 7, 24, 1, 1, 0, 1 },
    { 1, 31, 33, 1, 3, 1, 1, 1 }, { 8, 10, 11, 8, 3, 1, 1, 8 }, { 3, 23, 23, 4, 11, 4, 0, 1 },
    { 2, 9, 40, 13, 3, 2, 0, 1 }, { 32, 6, 6, 40, 3, 1, 1, 1 }, { 5, 15, 8, 5, 2, 3, 1, 5 },
    { 12, 8, 8, 33, 1, 2, 0, 1 },
};

/* Small whole numbers, so that every order of adding gives the same sum. */
static void fill(float *floats, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        floats[i] = (float)((int)(seed >> 24) % 17 - 8);
    }
}

/* One output in whole numbers. */
static int64_t exact(const struct conv_plan *plan, const struct conv_inputs *in, int k, int y,
                     int x, float *window)
{
    int64_t sum = (int64_t)in->bias[k];

    read_window(plan, conv_group_image(plan, in->image, 0, k), y, x, window);
    for (size_t i = 0; i < plan->w_columns; i++)
        sum += (int64_t)window[i] * (int64_t)in->weights[(size_t)k * plan->w_columns + i];
    return sum;
}

static bool test_layer(const int *l, const char *engine, struct arena *arena)
{
    struct conv_params params = conv_defaults;
    struct shape in = { 1, l[0], l[1], l[2] };
    const atomic_bool stop = false;
    struct conv_context context = { NULL, arena, &stop };
    float *floats[4];
    struct conv_plan plan;
    struct error err;
    bool right = true;

    params.out_channels = l[3];
    for (int i = 0; i < 4; i++) {
        params.kernel_size[i % 2] = l[4];
        params.stride[i % 2] = l[5];
        params.pads[i] = l[6];
        if (!(floats[i] = arena_new(arena, float, (size_t)4 * TEST_FLOATS)))
            return false;
        fill(floats[i], (size_t)4 * TEST_FLOATS, (uint32_t)i);
    }
    params.groups = l[7];
    if (!conv_plan_init(&plan, &params, in, engine, &err))
        return err.code == ERR_ENGINE; /* not its kind of layer */
    struct conv_inputs inputs = { floats[0], floats[1], floats[2], NULL };
    if (!conv_run(&plan, &inputs, floats[3], &context, &err))
        return false;
    for (int k = 0; k < plan.maps.channels; k++)
        for (int y = 0; y < plan.maps.height; y++)
            for (int x = 0; x < plan.maps.width; x++) {
                double want =
                    (double)exact(&plan, &inputs, k, y, x, floats[0] + (size_t)3 * TEST_FLOATS);
                double off = fabs((double)*floats[3]++ - want);

                right =
                    right && off <= (conv_engine_is_exact(engine) ? 0 : 0.01 + fabs(want) / 1e4);
            }
    return right;
}

bool conv_self_test(struct error *err)
{
    bool right = true;

    if (!blas_has_room())
        return fail(err, ERR_INTERNAL, "im2col",
                    "there are no 130 MiB of address space for OpenBLAS; raise ulimit -v");
    for (int i = 0; conv_engine_name(i); i++) {
        bool good = true;

        for (size_t l = 0; l < sizeof test_layers / sizeof test_layers[0]; l++) {
            struct arena *arena = arena_create((size_t)64 << 20);

            good = good && arena && test_layer(test_layers[l], conv_engine_name(i), arena);
            arena_destroy(arena);
        }
        if (good)
            continue;
        conv_engine_refuse(i);
        right =
            fail(err, ERR_INTERNAL, conv_engine_name(i),
                 "%s computes wrong numbers on this machine and is refused", conv_engine_name(i));
    }
    return right;
}
