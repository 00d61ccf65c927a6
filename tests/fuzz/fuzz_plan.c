/* The arithmetic of shapes, against wider integers, and every engine against the definition. The
 * input is the layer, number by number: a byte below 200 is itself modulo 19, any other announces
 * four bytes. */
#include "core/core.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_MACS = 200000, MOST_FLOATS = 1 << 16 };

struct input {
    const uint8_t *data;
    size_t left;
};

static uint32_t next(struct input *input)
{
    uint32_t value = input->left ? *input->data++ : 1;

    input->left -= input->left > 0;
    if (value < 200)
        return value % 19;
    for (int i = 0; i < 4 && input->left; i++, input->left--)
        value = value << 8 | *input->data++;
    return value;
}

static void fill_ints(struct input *input, int *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (int)next(input);
}

static void read_layer(struct input *input, struct conv_params *params, struct shape *in)
{
    fill_ints(input, &in->count, 1);
    fill_ints(input, &in->channels, 1);
    fill_ints(input, &in->height, 1);
    fill_ints(input, &in->width, 1);
    *params = conv_defaults;
#define FUZZ_INT(name)                            fill_ints(input, &params->name, 1)
#define FUZZ_PAIR(name)                           fill_ints(input, params->name, 2)
#define FUZZ_QUAD(name)                           fill_ints(input, params->name, 4)
#define FUZZ_WORD(name)                           fill_ints(input, &params->name, 1)
#define FUZZ_REAL(name)                           params->name = (float)next(input)
#define FUZZ_BOOL(name)                           params->name = next(input) % 2
#define PARAM(kind, name, preset, min, max, help) FUZZ_##kind(name);
#include "core/params.def"
}

typedef __int128 wide;

/* Rows or columns of the output, as the textbook counts them. */
static wide windows(const struct conv_params *p, int size, int axis)
{
    wide padded = (wide)size + p->pads[axis] + p->pads[axis + 2];
    wide kernel = (wide)p->dilation[axis] * (p->kernel_size[axis] - 1) + 1;

    return padded < kernel ? 0 : (padded - kernel) / p->stride[axis] + 1;
}

static void check_plan(const struct conv_plan *plan)
{
    const struct conv_params *p = &plan->params;
    wide taps = (wide)(plan->in.channels / p->groups) * p->kernel_size[0] * p->kernel_size[1];
    wide outputs =
        (wide)plan->maps.count * plan->maps.channels * plan->maps.height * plan->maps.width;

    if (plan->maps.height != windows(p, plan->in.height, 0) ||
        plan->maps.width != windows(p, plan->in.width, 1) || plan->maps.height < 1 ||
        plan->maps.width < 1)
        abort();
    if (plan->maps.count != plan->in.count || plan->maps.channels != p->out_channels ||
        p->groups < 1 || plan->in.channels % p->groups || p->out_channels % p->groups)
        abort();
    if ((wide)plan->w_columns != taps || (wide)plan->macs != outputs * taps ||
        (wide)shape_count(plan->maps) != outputs || !shape_count(plan->out))
        abort();
    if (plan->tiles < 1 || conv_workspace(plan, NULL) > SIZE_MAX / 2)
        abort();
}

static float *numbers(struct arena *arena, size_t count, uint32_t seed)
{
    float *floats = arena_new(arena, float, count);

    for (size_t i = 0; floats && i < count; i++)
        floats[i] = (float)((int)((seed = seed * 1664525 + 1013904223) >> 20) - 2048) / 64;
    return floats;
}

/* The same bits from every engine that promises them. */
static void compare_engines(const struct conv_plan *plan, struct arena *arena)
{
    const atomic_bool never = false;
    struct conv_context context = { NULL, arena, &never };
    size_t count = shape_count(plan->out);
    struct conv_inputs in = { numbers(arena, shape_count(plan->in), 1),
                              numbers(arena, (size_t)plan->params.out_channels * plan->w_columns,
                                      2),
                              numbers(arena, (size_t)plan->params.out_channels, 3), NULL };
    float *want = arena_new(arena, float, count), *got = arena_new(arena, float, count);
    struct conv_plan other;
    struct error err;

    if (!in.image || !in.weights || !in.bias || !want || !got ||
        !conv_plan_init(&other, &plan->params, plan->in, "reference", &err) ||
        !conv_run(&other, &in, want, &context, &err))
        return;
    for (int i = 0; conv_engine_name(i); i++)
        if (conv_plan_init(&other, &plan->params, plan->in, conv_engine_name(i), &err) &&
            conv_run(&other, &in, got, &context, &err) &&
            conv_engine_is_exact(conv_engine_name(i)) &&
            memcmp(want, got, count * sizeof *got) != 0)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = { data, size };
    struct conv_params params;
    struct conv_plan plan;
    struct shape in;
    struct error err = { 0 };
    struct arena *arena;

    read_layer(&input, &params, &in);
    if (!conv_params_check(&params, &err) || !conv_plan_init(&plan, &params, in, NULL, &err)) {
        if (!*err.detail)
            abort();
        return 0;
    }
    check_plan(&plan);
    if (plan.macs > MOST_MACS || shape_count(plan.in) > MOST_FLOATS ||
        shape_count(plan.maps) > MOST_FLOATS)
        return 0;
    arena = arena_create(64 << 20);
    if (arena)
        compare_engines(&plan, arena);
    arena_destroy(arena);
    return 0;
}
