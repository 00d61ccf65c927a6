/* The rivals of the benchmark, each in the way its own manual tells. */
#include "tests/bench/rivals.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

double bench_now(void)
{
    static int clock = -1;
    struct timespec now;

    if (clock < 0)
        clock = getenv("LOADED") ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

float *bench_floats(size_t count)
{
    size_t bytes = (count * sizeof(float) + 4096) & ~(size_t)63;
    void *floats;

    if (posix_memalign(&floats, bytes > 1 << 20 ? 1 << 21 : 64, bytes)) {
        fputs("bench: out of memory\n", stderr);
        exit(1);
    }
    madvise(floats, bytes, MADV_HUGEPAGE);
    memset(floats, 0, bytes);
    return floats;
}

/* ---- im2col and OpenBLAS ---- */

size_t rival_im2col_floats(const struct conv_plan *plan)
{
    const struct conv_params *p = &plan->params;

    if (p->kernel_size[0] == 1 && p->kernel_size[1] == 1 && p->stride[0] == 1 &&
        p->stride[1] == 1 && !p->pads[0] && !p->pads[1])
        return 0;
    return plan->col_rows / (size_t)p->groups * plan->col_columns;
}

/* Columns [from, to) of an output row whose tap lies in the picture. */
static void inside(int width, int out, int stride, int first, int *from, int *to)
{
    *from = first < 0 ? (-first + stride - 1) / stride : 0;
    *to = width > first ? (width - first + stride - 1) / stride : 0;
    *to = *to < out ? *to : out;
    *from = *from < *to ? *from : *to;
}

/* X_col of a group, [C/groups*F*F x OH*OW]; whole rows are copied where the stride is 1. */
static void fill_columns(const struct conv_plan *plan, const float *image, float *to)
{
    const struct conv_params *p = &plan->params;
    int h = plan->in.height, w = plan->in.width, ow = plan->maps.width, s = p->stride[1];
    int from, end;

    for (int c = 0; c < plan->in.channels / p->groups; c++)
        for (int i = 0; i < p->kernel_size[0]; i++)
            for (int j = 0; j < p->kernel_size[1]; j++)
                for (int y = 0; y < plan->maps.height; y++, to += ow) {
                    int iy = y * p->stride[0] - p->pads[0] + i, first = j - p->pads[1];
                    const float *row = image + ((ptrdiff_t)c * h + iy) * w;

                    inside(w, ow, s, first, &from, &end);
                    if (iy < 0 || iy >= h)
                        from = end = ow;
                    memset(to, 0, (size_t)from * sizeof *to);
                    if (s == 1)
                        memcpy(to + from, row + first + from, (size_t)(end - from) * sizeof *to);
                    else
                        for (int x = from; x < end; x++)
                            to[x] = row[first + x * s];
                    memset(to + end, 0, (size_t)(ow - end) * sizeof *to);
                }
}

void rival_im2col(const struct rival_layer *layer, float *buffer)
{
    const struct conv_plan *plan = layer->plan;
    int groups = plan->params.groups, filters = plan->maps.channels / groups;
    int depth = (int)plan->w_columns, columns = (int)plan->col_columns;
    size_t pixels = (size_t)plan->in.height * (size_t)plan->in.width;

    for (int g = 0; g < groups; g++) {
        const float *image =
            layer->in->image + (size_t)g * (size_t)(plan->in.channels / groups) * pixels;
        const float *x_col = image;

        if (rival_im2col_floats(plan)) {
            fill_columns(plan, image, buffer);
            x_col = buffer;
        }
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, filters, columns, depth, 1,
                    layer->in->weights + (size_t)g * (size_t)filters * plan->w_columns, depth,
                    x_col, columns, 0, layer->out + (size_t)(g * filters) * plan->col_columns,
                    columns);
    }
}

/* ---- oneDNN ---- */

#if __has_include(<dnnl.h>)
#include <dnnl.h>

struct onednn {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t conv, before, after; /* before, after: reorders, or NULL */
    dnnl_memory_t user_src, user_weights, user_dst, bias, src, weights, dst;
    float *buffers[3];
    char name[64];
};

static dnnl_memory_t memory_create(const struct onednn *o, const dnnl_memory_desc_t *desc,
                                   const void *floats)
{
    dnnl_memory_t memory = NULL;

    dnnl_memory_create(&memory, desc, o->engine, (void *)(uintptr_t)floats);
    return memory;
}

static dnnl_primitive_t reorder_create(const struct onednn *o, const dnnl_memory_desc_t *from,
                                       const dnnl_memory_desc_t *to)
{
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_t reorder = NULL;

    dnnl_reorder_primitive_desc_create(&desc, from, o->engine, to, o->engine, NULL);
    dnnl_primitive_create(&reorder, desc);
    dnnl_primitive_desc_destroy(desc);
    return reorder;
}

static void reorder_run(const struct onednn *o, dnnl_primitive_t reorder, dnnl_memory_t from,
                        dnnl_memory_t to)
{
    dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, from }, { DNNL_ARG_TO, to } };

    dnnl_primitive_execute(reorder, o->stream, 2, args);
}

/* The primitive's own memory where its format is not the user's; else the user's. */
static dnnl_memory_t format(struct onednn *o, int which, dnnl_query_t query,
                            const dnnl_memory_desc_t *user, dnnl_memory_t user_memory)
{
    const dnnl_memory_desc_t *own = dnnl_primitive_desc_query_md(o->desc, query, 0);

    if (dnnl_memory_desc_equal(own, user))
        return user_memory;
    o->buffers[which] = bench_floats(dnnl_memory_desc_get_size(own) / sizeof(float));
    if (which == 0)
        o->before = reorder_create(o, user, own);
    if (which == 2)
        o->after = reorder_create(o, own, user);
    return memory_create(o, own, o->buffers[which]);
}

static bool create_desc(struct onednn *o, const struct conv_plan *plan, bool plain,
                        const dnnl_memory_desc_t user[4])
{
    const struct conv_params *p = &plan->params;
    dnnl_dims_t strides = { p->stride[0], p->stride[1] }, before = { p->pads[0], p->pads[1] };
    dnnl_dims_t after = { p->pads[2] - plan->unused[0], p->pads[3] - plan->unused[1] };
    dnnl_memory_desc_t own[4];
    dnnl_convolution_desc_t conv;

    memcpy(own, user, sizeof own);
    for (int i = 0; i < 3; i++)
        if (i == 1 || !plain)
            dnnl_memory_desc_init_by_tag(&own[i], user[i].ndims, user[i].dims, dnnl_f32,
                                         dnnl_format_tag_any);
    return dnnl_convolution_forward_desc_init(&conv, dnnl_forward_inference,
                                              dnnl_convolution_direct, &own[0], &own[1], &own[3],
                                              &own[2], strides, before, after) == dnnl_success &&
           dnnl_primitive_desc_create(&o->desc, &conv, NULL, o->engine, NULL) == dnnl_success &&
           dnnl_primitive_create(&o->conv, o->desc) == dnnl_success;
}

/* src, weights, dst, bias as the user has them. */
static void user_descs(const struct conv_plan *plan, dnnl_memory_desc_t user[4])
{
    const struct conv_params *p = &plan->params;
    int g = p->groups, fh = p->kernel_size[0], fw = p->kernel_size[1];
    dnnl_dims_t src = { plan->in.count, plan->in.channels, plan->in.height, plan->in.width };
    dnnl_dims_t dst = { plan->maps.count, plan->maps.channels, plan->maps.height,
                        plan->maps.width };
    dnnl_dims_t weights = { plan->maps.channels, plan->in.channels, fh, fw };
    dnnl_dims_t grouped = { g, plan->maps.channels / g, plan->in.channels / g, fh, fw };
    dnnl_dims_t bias = { plan->maps.channels };

    dnnl_memory_desc_init_by_tag(&user[0], 4, src, dnnl_f32, dnnl_nchw);
    dnnl_memory_desc_init_by_tag(&user[1], g > 1 ? 5 : 4, g > 1 ? grouped : weights, dnnl_f32,
                                 g > 1 ? dnnl_goihw : dnnl_oihw);
    dnnl_memory_desc_init_by_tag(&user[2], 4, dst, dnnl_f32, dnnl_nchw);
    dnnl_memory_desc_init_by_tag(&user[3], 1, bias, dnnl_f32, dnnl_a);
}

static struct onednn *create(const struct rival_layer *layer, bool plain)
{
    struct onednn *o = calloc(1, sizeof *o);
    dnnl_memory_desc_t user[4];
    const char *name = "";

    dnnl_engine_create(&o->engine, dnnl_cpu, 0);
    dnnl_stream_create(&o->stream, o->engine, dnnl_stream_default_flags);
    user_descs(layer->plan, user);
    if (!create_desc(o, layer->plan, plain, user)) {
        onednn_destroy(o);
        return NULL;
    }
    o->user_src = memory_create(o, &user[0], layer->in->image);
    o->user_weights = memory_create(o, &user[1], layer->in->weights);
    o->user_dst = memory_create(o, &user[2], layer->out);
    o->bias = memory_create(o, &user[3], layer->in->bias);
    o->src = format(o, 0, dnnl_query_src_md, &user[0], o->user_src);
    o->weights = format(o, 1, dnnl_query_weights_md, &user[1], o->user_weights);
    o->dst = format(o, 2, dnnl_query_dst_md, &user[2], o->user_dst);
    if (o->weights != o->user_weights) {
        dnnl_primitive_t pack = reorder_create(
            o, &user[1], dnnl_primitive_desc_query_md(o->desc, dnnl_query_weights_md, 0));

        reorder_run(o, pack, o->user_weights, o->weights);
        dnnl_primitive_destroy(pack);
    }
    dnnl_primitive_desc_query(o->desc, dnnl_query_impl_info_str, 0, &name);
    snprintf(o->name, sizeof o->name, "%s%s%s", name, o->before ? " +reorder" : "",
             o->after ? " reorder+" : "");
    dnnl_stream_wait(o->stream);
    return o;
}

void onednn_run(struct onednn *o)
{
    dnnl_exec_arg_t args[] = { { DNNL_ARG_SRC, o->src },
                               { DNNL_ARG_WEIGHTS, o->weights },
                               { DNNL_ARG_BIAS, o->bias },
                               { DNNL_ARG_DST, o->dst } };

    if (o->before)
        reorder_run(o, o->before, o->user_src, o->src);
    dnnl_primitive_execute(o->conv, o->stream, 4, args);
    if (o->after)
        reorder_run(o, o->after, o->dst, o->user_dst);
    dnnl_stream_wait(o->stream);
}

static double best_of_seven(struct onednn *o)
{
    double best = 1e9;

    for (int i = 0; o && i < 8; i++) {
        double start = bench_now(), took;

        onednn_run(o);
        took = bench_now() - start;
        best = i && took < best ? took : best;
    }
    return best;
}

struct onednn *onednn_create(const struct rival_layer *layer)
{
    struct onednn *own = create(layer, false), *plain = create(layer, true);
    bool plain_wins = best_of_seven(plain) < best_of_seven(own);

    onednn_destroy(plain_wins ? own : plain);
    return plain_wins ? plain : own;
}

const char *onednn_name(const struct onednn *o)
{
    return o->name;
}

void onednn_destroy(struct onednn *o)
{
    if (!o)
        return;
    if (o->src != o->user_src)
        dnnl_memory_destroy(o->src);
    if (o->weights != o->user_weights)
        dnnl_memory_destroy(o->weights);
    if (o->dst != o->user_dst)
        dnnl_memory_destroy(o->dst);
    dnnl_memory_destroy(o->user_src);
    dnnl_memory_destroy(o->user_weights);
    dnnl_memory_destroy(o->user_dst);
    dnnl_memory_destroy(o->bias);
    dnnl_primitive_destroy(o->before);
    dnnl_primitive_destroy(o->after);
    dnnl_primitive_destroy(o->conv);
    dnnl_primitive_desc_destroy(o->desc);
    dnnl_stream_destroy(o->stream);
    dnnl_engine_destroy(o->engine);
    for (int i = 0; i < 3; i++)
        free(o->buffers[i]);
    free(o);
}

#else

struct onednn *onednn_create(const struct rival_layer *layer)
{
    (void)layer;
    return NULL;
}

void onednn_run(struct onednn *onednn)
{
    (void)onednn;
}

const char *onednn_name(const struct onednn *onednn)
{
    (void)onednn;
    return "not installed";
}

void onednn_destroy(struct onednn *onednn)
{
    (void)onednn;
}

#endif
