/* Plan: everything that can be known or refused before memory. Run: padding, engine, maps. */
#include "core/conv.h"

#include "core/checked.h"
#include "core/engine.h"
#include "core/maps.h"
#include "core/padding.h"

#include <limits.h>
#include <stdatomic.h>
#include <string.h>

/* Best first; the first that fits is used. The last fits every layer and is what tests trust. */
static const struct engine *const engines[] = { &engine_direct,   &engine_pointwise,
                                                &engine_implicit, &engine_swapped,
                                                &engine_winograd, &engine_im2col,
                                                &engine_reference };
enum { ENGINES = sizeof engines / sizeof engines[0] };

/* Engines that failed the self-test on this machine, as bits: refused from then on. */
static _Atomic unsigned broken;

const struct conv_params conv_defaults = {
#define PRESET_INT(value) value
#define PRESET_PAIR(value)                                                                         \
    {                                                                                              \
        value, value                                                                               \
    }
#define PRESET_QUAD(value)                                                                         \
    {                                                                                              \
        value, value, value, value                                                                 \
    }
#define PRESET_WORD(value)                        value
#define PRESET_REAL(value)                        value
#define PRESET_BOOL(value)                        value
#define PARAM(kind, name, preset, min, max, help) .name = PRESET_##kind(preset),
#include "core/params.def"
};

/* A preset outside its range means "not given" and is let through. */
static bool in_range(const char *name, double value, double preset, double min, double max,
                     struct error *err)
{
    return value == preset || (value >= min && value <= max) ||
           fail_range(err, name, value, min, max);
}

bool conv_params_check(const struct conv_params *params, struct error *err)
{
#define NUMBERS_INT(name)  1, &params->name
#define NUMBERS_PAIR(name) 2, params->name
#define NUMBERS_QUAD(name) 4, params->name
#define CHECK_INTS(count, from, name, preset, min, max)                                            \
    for (int i = 0; i < (count); i++)                                                              \
        if (!in_range(#name, (from)[i], preset, min, max, err))                                    \
            return false;
#define CHECK_INT(name, preset, min, max)  CHECK_INTS(1, &params->name, name, preset, min, max)
#define CHECK_PAIR(name, preset, min, max) CHECK_INTS(2, params->name, name, preset, min, max)
#define CHECK_QUAD(name, preset, min, max) CHECK_INTS(4, params->name, name, preset, min, max)
#define CHECK_WORD(name, preset, min, max) CHECK_INTS(1, &params->name, name, preset, min, max)
#define CHECK_REAL(name, preset, min, max)                                                         \
    if (!in_range(#name, (double)params->name, preset, min, max, err))                             \
        return false;
#define CHECK_BOOL(name, preset, min, max)
#define PARAM(kind, name, preset, min, max, help) CHECK_##kind(name, preset, min, max)
#include "core/params.def"
    return true;
}

static const char *const side_names[2] = { "height", "width" };

/* One side of the layer; 0 is height, 1 is width, as in the pairs. */
struct side {
    int in, kernel, stride, dilation;
    int *before, *after; /* its two pads */
};

static struct side side_of(struct conv_params *p, struct shape in, int side)
{
    return (struct side){ side ? in.width : in.height, p->kernel_size[side], p->stride[side],
                          p->dilation[side],           &p->pads[side],       &p->pads[side + 2] };
}

/* ONNX's rule: the output is ceil(in / stride), the odd pixel goes to the end or the beginning. */
static void resolve_auto_pad(struct conv_params *p, struct shape in)
{
    for (int i = 0; i < 2 && p->auto_pad != AUTO_PAD_NOTSET; i++) {
        struct side s = side_of(p, in, i);
        int64_t out = ((int64_t)s.in + s.stride - 1) / s.stride;
        int64_t total = (out - 1) * s.stride + (int64_t)(s.kernel - 1) * s.dilation + 1 - s.in;

        if (total < 0 || p->auto_pad == AUTO_PAD_VALID)
            total = 0;
        *s.before = (int)(p->auto_pad == AUTO_PAD_SAME_UPPER ? total / 2 : total - total / 2);
        *s.after = (int)total - *s.before;
    }
}

static int64_t dilated(struct side s)
{
    return (int64_t)(s.kernel - 1) * s.dilation + 1;
}

static int64_t padded(struct side s)
{
    return (int64_t)s.in + *s.before + *s.after;
}

static bool too_large_a_kernel(struct conv_plan *plan, struct error *err)
{
    struct side h = side_of(&plan->params, plan->in, 0), w = side_of(&plan->params, plan->in, 1);
    int64_t short_h = dilated(h) - h.in, short_w = dilated(w) - w.in;

    return fail(err, ERR_GEOMETRY, "kernel_size",
                "padded input is %lldx%lld but the dilated kernel is %lldx%lld; raise padding to "
                "at least %lld or lower kernel_size",
                (long long)padded(h), (long long)padded(w), (long long)dilated(h),
                (long long)dilated(w),
                (long long)((short_h > short_w ? short_h : short_w) + 1) / 2);
}

/* W2 = (W1 - F + 2P) / S + 1, with F dilated and the two pads apart; floored. */
static bool output_side(struct conv_plan *plan, int i, int *out, struct error *err)
{
    struct side s = side_of(&plan->params, plan->in, i);
    int64_t slack = padded(s) - dilated(s);

    if (slack < 0)
        return too_large_a_kernel(plan, err);
    plan->unused[i] = (int)(slack % s.stride);
    if (plan->params.strict && plan->unused[i])
        return fail(err, ERR_GEOMETRY, "stride",
                    "a stride of %d leaves %d of the padded %s of %lld over; choose a stride that "
                    "divides %lld, change padding, or leave strict off",
                    s.stride, plan->unused[i], side_names[i], (long long)padded(s),
                    (long long)slack);
    *out = (int)(slack / s.stride) + 1;
    return true;
}

/* reflect needs a pixel to mirror, circular one to wrap to. */
static bool check_padding_mode(const struct conv_plan *plan, struct error *err)
{
    const struct conv_params *p = &plan->params;

    for (int i = 0; i < 4; i++) {
        int in = i % 2 ? plan->in.width : plan->in.height;
        int most = p->padding_mode == PADDING_REFLECT ? in - 1 : in;

        if ((p->padding_mode == PADDING_REFLECT || p->padding_mode == PADDING_CIRCULAR) &&
            p->pads[i] > most)
            return fail(err, ERR_GEOMETRY, "pads",
                        "%s padding of %d is more than the input's %s of %d allows; lower it to "
                        "%d or use replicate",
                        padding_mode_words[p->padding_mode], p->pads[i], side_names[i % 2], in,
                        most);
    }
    return true;
}

static bool resolve_groups(struct conv_plan *plan, struct error *err)
{
    struct conv_params *p = &plan->params;

    if (!p->groups)
        p->groups = plan->in.channels;
    if (plan->in.channels % p->groups)
        return fail(err, ERR_SHAPE, "groups",
                    "groups is %d, which does not divide the input's %d channels", p->groups,
                    plan->in.channels);
    if (p->out_channels % p->groups)
        return fail(err, ERR_SHAPE, "groups",
                    "groups is %d, which does not divide out_channels, %d", p->groups,
                    p->out_channels);
    return true;
}

static bool pooled_side(const struct conv_plan *plan, int i, int in, int *out, struct error *err)
{
    const struct conv_params *p = &plan->params;
    int kernel = p->pool_kernel_size[i];
    int64_t padded = (int64_t)in + p->pool_pads[i] + p->pool_pads[i + 2];

    if (p->pool_pads[i] >= kernel || p->pool_pads[i + 2] >= kernel)
        return fail(err, ERR_GEOMETRY, "pool/padding",
                    "pooling windows of %d with padding %d would hold no value; lower the padding "
                    "below %d",
                    kernel, p->pool_pads[i] >= kernel ? p->pool_pads[i] : p->pool_pads[i + 2],
                    kernel);
    if (kernel > padded)
        return fail(err, ERR_GEOMETRY, "pool/kernel_size",
                    "the pooling window of %d is larger than the padded map's %s of %lld; lower it",
                    kernel, side_names[i], (long long)padded);
    padded = (padded - kernel) / p->pool_stride[i] + 1;
    if (padded > INT32_MAX)
        return fail(err, ERR_TOO_LARGE, "pool/padding", "a pooled map's %s would be %lld",
                    side_names[i], (long long)padded);
    *out = (int)padded;
    return true;
}

static bool resolve_maps(struct conv_plan *plan, struct error *err)
{
    struct conv_params *p = &plan->params;

    plan->out = plan->maps;
    for (int i = 0; i < 2; i++)
        if (!p->pool_stride[i])
            p->pool_stride[i] = p->pool_kernel_size[i];
    if (p->pool_type != POOL_NONE &&
        (!pooled_side(plan, 0, plan->maps.height, &plan->out.height, err) ||
         !pooled_side(plan, 1, plan->maps.width, &plan->out.width, err)))
        return false;
    if (p->combine != COMBINE_NONE)
        plan->out.channels = 1;
    if (!shape_count(plan->maps) || (int64_t)plan->maps.count * plan->maps.channels > INT_MAX)
        return fail(err, ERR_TOO_LARGE, "out_channels", "the output is too large to count");
    return true;
}

static bool count_work(struct conv_plan *plan, struct error *err)
{
    const struct conv_params *p = &plan->params;
    size_t taps = (size_t)p->kernel_size[0] * (size_t)p->kernel_size[1], bytes, outputs;

    if (!checked_mul(taps, (size_t)plan->in.channels, &plan->col_rows) ||
        !checked_mul((size_t)plan->maps.height, (size_t)plan->maps.width, &plan->col_columns) ||
        plan->col_rows > INT_MAX || plan->col_columns > INT_MAX)
        return fail(err, ERR_TOO_LARGE, "kernel_size",
                    "X_col would have more than %d rows or columns; use a smaller input, kernel "
                    "or a larger stride",
                    INT_MAX);
    plan->w_columns = plan->col_rows / (size_t)p->groups;
    outputs = shape_count(plan->maps);
    if (!checked_mul(plan->w_columns, (size_t)p->out_channels * sizeof(float), &bytes) ||
        __builtin_mul_overflow((uint64_t)outputs, (uint64_t)plan->w_columns, &plan->macs))
        return fail(err, ERR_TOO_LARGE, "out_channels", "the layer's work is too large to count");
    return true;
}

static bool pick_engine(struct conv_plan *plan, const char *name, struct error *err)
{
    struct conv_plan seen;
    bool known = false;

    for (int i = 0; i < ENGINES; i++) {
        const struct engine *engine = engines[i];

        if (name ? strcmp(name, engine->name) != 0 : engine->named)
            continue;
        known = true;
        seen = engine->pads ? *plan : padding_plan(plan);
        fail(err, ERR_ENGINE, "algorithm", "%s failed its self-test on this machine; use auto",
             engine->name);
        if (broken & 1u << i || (engine->fits && !engine->fits(&seen, err)) ||
            (!name && engine->suits && !engine->suits(&seen)))
            continue;
        engine->size(&seen);
        plan->engine = engine;
        plan->shared = seen.shared;
        plan->scratch = seen.scratch;
        plan->packs = seen.packs;
        plan->tiles = seen.tiles;
        return true;
    }
    return known ? false
                 : fail(err, ERR_PARAMETER, "algorithm", "there is no algorithm \"%.32s\"", name);
}

bool conv_plan_init(struct conv_plan *plan, const struct conv_params *params, struct shape in,
                    const char *engine, struct error *err)
{
    const int *kernel = params->kernel_size;

    *plan = (struct conv_plan){ .params = *params, .in = in };
    if (!shape_count(in) || (int64_t)in.count * in.channels > INT_MAX)
        return fail(err, ERR_SHAPE, "image", "the input is empty or too large to count");
    if (!conv_params_check(params, err))
        return false;
    if (!params->out_channels || !kernel[0] || !kernel[1])
        return fail(err, ERR_SHAPE, params->out_channels ? "kernel_size" : "out_channels",
                    "the layer needs weights, or out_channels and kernel_size");
    resolve_auto_pad(&plan->params, in);
    plan->maps = (struct shape){ in.count, params->out_channels, 1, 1 };
    return resolve_groups(plan, err) && output_side(plan, 0, &plan->maps.height, err) &&
           output_side(plan, 1, &plan->maps.width, err) && check_padding_mode(plan, err) &&
           resolve_maps(plan, err) && count_work(plan, err) && pick_engine(plan, engine, err);
}

/* ---- run ---- */

static bool needs_copy(const struct conv_plan *plan)
{
    return !plan->engine->pads && padding_needs_copy(plan);
}

static bool needs_maps(const struct conv_plan *plan)
{
    return plan->params.pool_type != POOL_NONE || plan->params.combine != COMBINE_NONE;
}

size_t conv_workspace(const struct conv_plan *plan, const struct pool *pool)
{
    size_t bytes = plan->shared + (size_t)pool_slots(pool) * plan->scratch;

    if (needs_copy(plan))
        bytes += shape_count(padding_plan(plan).in) * sizeof(float);
    if (needs_maps(plan))
        bytes += shape_count(plan->maps) * sizeof(float) + maps_workspace(plan);
    return bytes;
}

size_t conv_packed_size(const struct conv_plan *plan)
{
    return plan->shared;
}

void conv_pack(const struct conv_plan *plan, const struct conv_inputs *in, void *packed)
{
    struct conv_plan seen = plan->engine->pads ? *plan : padding_plan(plan);
    const atomic_bool never = false;
    const struct engine_inputs inputs = { in->image, in->weights, in->bias, &never };

    for (int i = 0; plan->engine->prepare && i < plan->packs; i++)
        plan->engine->prepare(&seen, &inputs, packed, i);
}

struct run {
    const struct conv_plan *plan;
    struct engine_inputs in;
    float *maps;
    void *packed; /* while it is written */
    const void *shared;
    char *scratch;
};

static void run_pack(void *arg, int pack, int slot)
{
    const struct run *run = arg;

    (void)slot;
    if (!conv_stopped(&run->in))
        run->plan->engine->prepare(run->plan, &run->in, run->packed, pack);
}

static void run_tile(void *arg, int tile, int slot)
{
    const struct run *run = arg;
    const struct conv_plan *plan = run->plan;

    if (!conv_stopped(&run->in))
        plan->engine->run(plan, &run->in, run->maps, run->shared,
                          run->scratch + (size_t)slot * plan->scratch, tile);
}

static bool no_memory(const struct conv_plan *plan, const struct conv_context *context,
                      struct error *err)
{
    return fail(err, ERR_TOO_LARGE, "image",
                "%zu bytes of workspace are over the request's memory; send a smaller input",
                conv_workspace(plan, context->pool));
}

/* The engine's part: every tile of the maps, over the idle workers. */
static bool run_engine(const struct conv_plan *plan, const struct conv_inputs *in, float *maps,
                       const struct conv_context *context, struct error *err)
{
    size_t slots = (size_t)pool_slots(context->pool);
    struct pool *pool = plan->macs < SPLIT_MACS ? NULL : context->pool;
    struct run run = { .plan = plan,
                       .in = { in->image, in->weights, in->bias, context->stop },
                       .maps = maps,
                       .shared = in->packed };

    run.scratch = arena_alloc(context->arena, slots, plan->scratch);
    if (!run.scratch)
        return no_memory(plan, context, err);
    if (!in->packed && plan->engine->prepare) {
        run.shared = run.packed = arena_alloc(context->arena, 1, plan->shared);
        if (!run.packed)
            return no_memory(plan, context, err);
        pool_for(pool, plan->packs, run_pack, &run);
    }
    pool_for(pool, plan->tiles, run_tile, &run);
    if (atomic_load(context->stop))
        return fail(err, ERR_DEADLINE, "timeout_ms", "the convolution was stopped at its deadline");
    return true;
}

/* The padding that engines do not know, made into pixels. */
static bool run_padded(const struct conv_plan *plan, const struct conv_inputs *in, float *maps,
                       const struct conv_context *context, struct error *err)
{
    struct conv_plan padded;
    struct conv_inputs inputs = *in;
    float *copy;

    if (!needs_copy(plan))
        return run_engine(plan, in, maps, context, err);
    padded = padding_plan(plan);
    copy = arena_new(context->arena, float, shape_count(padded.in));
    if (!copy)
        return no_memory(plan, context, err);
    padding_copy(plan, in->image, copy, context);
    inputs.image = copy;
    return run_engine(&padded, &inputs, maps, context, err);
}

bool conv_run(const struct conv_plan *plan, const struct conv_inputs *in, float *out,
              const struct conv_context *context, struct error *err)
{
    struct arena_mark mark = arena_save(context->arena);
    float *maps = out, *space = NULL;
    bool done;

    if (needs_maps(plan)) {
        maps = arena_new(context->arena, float, shape_count(plan->maps));
        space = arena_alloc(context->arena, 1, maps_workspace(plan));
        if (!maps || !space)
            return no_memory(plan, context, err);
    }
    done = run_padded(plan, in, maps, context, err);
    if (done && needs_maps(plan))
        maps_finish(plan, maps, space, out, context->pool);
    arena_restore(context->arena, mark);
    return done;
}

const char *conv_engine_name(int index)
{
    return index >= 0 && index < ENGINES ? engines[index]->name : NULL;
}

const char *conv_plan_engine(const struct conv_plan *plan)
{
    return plan->engine->name;
}

bool conv_engine_is_exact(const char *name)
{
    for (int i = 0; i < ENGINES; i++)
        if (!strcmp(name, engines[i]->name))
            return engines[i]->exact;
    return false;
}

void conv_engine_refuse(int index)
{
    atomic_fetch_or(&broken, 1u << index);
}
