/* The fast engines against the definition, bit for bit. CONVOLVED_ISA picks the kernels; LAYERS=n
 * draws more layers than every day, FIRST=n goes on from another one. */
#include "tests/testing.h"

#include "core/core.h"
#include "tests/random_layer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int number(const char *name, int everyday)
{
    const char *text = getenv(name);

    return text ? atoi(text) : everyday;
}

/* Floats that end where a page begins that nobody may touch: an engine that reads one float too
 * many dies. */
struct guarded {
    char *pages;
    size_t size;
    float *floats;
};

static struct guarded guarded_create(size_t count)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = count * sizeof(float);
    struct guarded g = { .size = (bytes + page - 1) / page * page + page };

    g.pages = mmap(NULL, g.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(g.pages, MAP_FAILED);
    assert_int_equal(mprotect(g.pages + g.size - page, page, PROT_NONE), 0);
    g.floats = (float *)(void *)(g.pages + g.size - page - bytes);
    return g;
}

static void guarded_destroy(struct guarded g)
{
    munmap(g.pages, g.size);
}

/* A layer and its numbers; as a rule finite ones. */
struct subject {
    struct random_layer layer;
    struct conv_plan plan;
    struct guarded image, weights, bias;
    struct conv_inputs in;
};

/* random_layer()'s kinds are small; every fourth gets the filters and the width that fill whole
 * panels and leave odd rests. */
static void widen(uint64_t *state, struct random_layer *l, struct conv_plan *plan)
{
    struct random_layer wide = *l;
    struct conv_plan planned;
    struct error err;

    if (random_between(state, 1, 4) > 1)
        return;
    wide.in.width = random_between(state, 1, 130);
    wide.params.out_channels = wide.params.groups * random_between(state, 1, 80);
    if (!random_between(state, 0, 5))
        wide.in.channels = wide.params.groups * random_between(state, 1, 90);
    if (conv_plan_init(&planned, &wide.params, wide.in, NULL, &err) && planned.macs < 40000000) {
        *l = wide;
        *plan = planned;
    }
}

static void poison(uint64_t *state, float *floats, size_t count)
{
    static const float odd[] = { INFINITY, -INFINITY, NAN, -0.0f, 0, 1e-45f, 3e38f };

    for (int i = random_between(state, 1, 4); i > 0; i--)
        floats[random_next(state) % count] = odd[random_next(state) % 7];
}

static struct subject subject_create(uint64_t *state, bool odd)
{
    struct subject s;
    size_t filters, depth, inputs;

    s.layer = random_layer(state, &s.plan);
    widen(state, &s.layer, &s.plan);
    inputs = shape_count(s.layer.in);
    filters = (size_t)s.layer.params.out_channels;
    depth = (size_t)s.layer.in.channels / (size_t)s.plan.params.groups *
            (size_t)s.layer.params.kernel_size[0] * (size_t)s.layer.params.kernel_size[1];
    s.image = guarded_create(inputs);
    s.weights = guarded_create(filters * depth);
    s.bias = guarded_create(filters);
    random_fill(state, s.image.floats, inputs, false);
    random_fill(state, s.weights.floats, filters * depth, false);
    random_fill(state, s.bias.floats, filters, false);
    if (odd) {
        poison(state, s.image.floats, inputs);
        poison(state, s.weights.floats, filters * depth);
        poison(state, s.bias.floats, filters);
    }
    s.in = (struct conv_inputs){ s.image.floats, s.weights.floats,
                                 random_between(state, 0, 3) ? s.bias.floats : NULL, NULL };
    return s;
}

static void subject_destroy(struct subject *s)
{
    guarded_destroy(s->image);
    guarded_destroy(s->weights);
    guarded_destroy(s->bias);
}

/* Which NaN it is, the definition leaves open. */
static bool same(const float *want, const float *got, size_t count)
{
    if (!memcmp(want, got, count * sizeof *want))
        return true;
    for (size_t i = 0; i < count; i++)
        if (memcmp(&want[i], &got[i], sizeof *want) && !(isnan(want[i]) && isnan(got[i])))
            return false;
    return true;
}

static void say(const struct subject *s, char *text, size_t size)
{
    const struct conv_params *p = &s->plan.params;
    struct shape in = s->layer.in;

    snprintf(text, size,
             "[%d,%d,%d,%d] K%d F%dx%d S%dx%d pads %d,%d,%d,%d D%dx%d groups %d mode %d act %d "
             "pool %d combine %d value %g",
             in.count, in.channels, in.height, in.width, p->out_channels, p->kernel_size[0],
             p->kernel_size[1], p->stride[0], p->stride[1], p->pads[0], p->pads[1], p->pads[2],
             p->pads[3], p->dilation[0], p->dilation[1], p->groups, p->padding_mode, p->activation,
             p->pool_type, p->combine, (double)p->padding_value);
}

static float *run(const struct subject *s, const char *engine, struct pool *pool, bool packed,
                  struct arena *arena)
{
    struct conv_inputs in = s->in;
    atomic_bool stop = false;
    struct conv_context context = { pool, arena, &stop };
    struct conv_plan plan;
    struct error err;
    float *out;

    if (!conv_plan_init(&plan, &s->layer.params, s->layer.in, engine, &err))
        return NULL; /* the engine cannot do this layer */
    out = arena_new(arena, float, shape_count(plan.out));
    memset(out, 0xff, shape_count(plan.out) * sizeof *out);
    if (packed && conv_packed_size(&plan)) {
        void *weights = arena_alloc(arena, 1, conv_packed_size(&plan));

        conv_pack(&plan, &in, weights);
        in.packed = weights;
    }
    assert_true(conv_run(&plan, &in, out, &context, &err));
    return out;
}

static void compare(const struct subject *s, int number_of, struct pool **pools, int pool_count,
                    struct arena *arena)
{
    struct arena_mark mark = arena_save(arena);
    const float *want = run(s, "reference", NULL, false, arena);
    const char *engine;

    for (int e = 0; (engine = conv_engine_name(e)); e++) {
        struct arena_mark inner = arena_save(arena);
        const float *got;
        char layer[200];

        if (!conv_engine_is_exact(engine) || !strcmp(engine, "reference"))
            continue;
        got = run(s, engine, pools[(e + number_of) % pool_count], number_of % 2, arena);
        say(s, layer, sizeof layer);
        if (got && !same(want, got, shape_count(s->plan.out)))
            fail_msg("layer %d, %s, %s: %s differs", number_of, conv_isa(), engine, layer);
        arena_restore(arena, inner);
    }
    arena_restore(arena, mark);
}

static void try_layers(uint64_t seed, int count, bool odd)
{
    static const int workers[] = { 1, 2, 3, 7 };
    struct pool *pools[5] = { NULL };
    struct arena *arena = arena_create((size_t)1 << 30);

    for (int i = 0; i < 4; i++)
        assert_non_null(pools[i + 1] = pool_start(workers[i], 4));
    for (int i = number("FIRST", 0), end = i + number("LAYERS", count); i < end; i++) {
        uint64_t state = seed + (uint64_t)i * 0x9e3779b97f4a7c15u;
        struct subject s = subject_create(&state, odd);

        compare(&s, i, pools, 5, arena);
        subject_destroy(&s);
    }
    for (int i = 1; i < 5; i++) {
        pool_drain(pools[i]);
        pool_destroy(pools[i]);
    }
    arena_destroy(arena);
}

TEST(every_exact_engine_gives_the_references_bits_on_random_layers_with_any_number_of_workers)
{
    try_layers(1, 800, false);
}

TEST(every_exact_engine_treats_infinities_nans_and_minus_zeros_as_the_reference_does)
{
    try_layers(2, 300, true);
}

TEST(a_strided_1x1_layer_whose_padding_restores_the_size_is_not_taken_for_the_picture_itself)
{
    static const float image[18] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 }, weights[6] = { 1, 10, 100 };
    struct subject s = { .layer = { conv_defaults, { 1, 6, 1, 3 } },
                         .in = { image, weights, NULL, NULL } };
    struct arena *arena = arena_create((size_t)1 << 24);
    struct error err;

    s.layer.params.out_channels = 1;
    s.layer.params.kernel_size[0] = s.layer.params.kernel_size[1] = 1;
    s.layer.params.stride[0] = s.layer.params.stride[1] = 2;
    s.layer.params.pads[3] = 2;
    assert_true(conv_plan_init(&s.plan, &s.layer.params, s.layer.in, NULL, &err));
    assert_int_equal(s.plan.out.width, 3);
    assert_null(run(&s, "pointwise", NULL, false, arena));
    compare(&s, 0, &(struct pool *){ NULL }, 1, arena);
    arena_destroy(arena);
}

/* The largest difference, as a part of the largest value. */
static double relative_difference(const float *want, const float *got, size_t count)
{
    double most = 1, worst = 0;

    for (size_t i = 0; i < count; i++) {
        most = fmax(most, fabs((double)want[i]));
        worst = fmax(worst, fabs((double)want[i] - (double)got[i]));
    }
    return worst / most;
}

TEST(winograd_comes_near_the_reference_on_3x3_layers_and_refuses_others)
{
    struct arena *arena = arena_create((size_t)1 << 30);
    int done = 0;

    for (uint64_t i = 0; i < 1500; i++) {
        uint64_t state = 3 + i * 0x9e3779b97f4a7c15u;
        struct subject s = subject_create(&state, false);
        struct arena_mark mark = arena_save(arena);
        const int *f = s.plan.params.kernel_size, *stride = s.plan.params.stride;
        const int *dilation = s.plan.params.dilation;
        bool can = f[0] == 3 && f[1] == 3 && stride[0] == 1 && stride[1] == 1 && dilation[0] == 1 &&
                   dilation[1] == 1;
        const float *got = run(&s, "winograd", NULL, i % 2, arena);

        assert_int_equal(got != NULL, can);
        if (can && s.plan.params.activation < ACTIVATION_SIGMOID) {
            const float *want = run(&s, "reference", NULL, false, arena);

            assert_true(relative_difference(want, got, shape_count(s.plan.out)) < 2e-5);
            done++;
        }
        arena_restore(arena, mark);
        subject_destroy(&s);
    }
    assert_true(done > 10);
    arena_destroy(arena);
}
