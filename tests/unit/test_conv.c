/* Plans and their refusals; every engine against the definition. */
#include "tests/testing.h"

#include "core/core.h"
#include "core/padding.h"
#include "tests/random_layer.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

static struct conv_params layer(int filters, int kernel, int stride, int padding)
{
    struct conv_params p = conv_defaults;

    p.out_channels = filters;
    for (int i = 0; i < 4; i++) {
        p.kernel_size[i % 2] = kernel;
        p.stride[i % 2] = stride;
        p.pads[i] = padding;
    }
    return p;
}

static const struct shape textbook = { 1, 3, 227, 227 };

TEST(the_textbook_layer_has_the_textbooks_numbers)
{
    struct conv_params params = layer(96, 11, 4, 0);
    struct conv_plan plan;
    struct error err;

    assert_true(conv_plan_init(&plan, &params, textbook, NULL, &err));
    assert_int_equal(plan.out.width, 55);
    assert_int_equal(plan.out.height, 55);
    assert_int_equal(plan.out.channels, 96);
    assert_int_equal(plan.col_rows, 363);
    assert_int_equal(plan.col_columns, 3025);
    assert_int_equal(plan.w_columns, 363);
    assert_int_equal(plan.macs, 105415200);
    assert_int_equal(plan.col_rows * plan.col_columns * sizeof(float), 4392300);
}

TEST(a_stride_that_does_not_tile_is_floored_and_the_plan_counts_what_is_left_over)
{
    struct conv_params params = layer(1, 3, 3, 0);
    struct conv_plan plan;
    struct error err;

    assert_true(conv_plan_init(&plan, &params, (struct shape){ 1, 1, 10, 11 }, NULL, &err));
    assert_int_equal(plan.out.height, 3);
    assert_int_equal(plan.unused[0], 1);
    assert_int_equal(plan.unused[1], 2);
}

TEST(a_stride_that_does_not_tile_is_refused_when_strict)
{
    struct conv_params params = layer(1, 3, 3, 0);
    struct conv_plan plan;
    struct error err;

    params.strict = true;
    assert_false(conv_plan_init(&plan, &params, (struct shape){ 1, 1, 10, 9 }, NULL, &err));
    assert_int_equal(err.code, ERR_GEOMETRY);
    assert_string_equal(err.field, "stride");
    assert_string_equal(err.detail,
                        "a stride of 3 leaves 1 of the padded height of 10 over; choose a stride "
                        "that divides 7, change padding, or leave strict off");
}

TEST(a_kernel_larger_than_the_padded_input_is_refused_with_the_padding_that_would_do)
{
    struct conv_params params = layer(1, 4, 1, 0);
    struct conv_plan plan;
    struct error err;

    assert_false(conv_plan_init(&plan, &params, (struct shape){ 1, 1, 3, 7 }, NULL, &err));
    assert_int_equal(err.code, ERR_GEOMETRY);
    assert_string_equal(err.detail, "padded input is 3x7 but the dilated kernel is 4x4; raise "
                                    "padding to at least 1 or lower kernel_size");
}

TEST(a_parameter_out_of_range_is_refused_with_its_name_and_its_range)
{
    struct conv_params params = layer(1, 3, 1, 0);
    struct error err;

    params.stride[1] = 5000;
    assert_false(conv_params_check(&params, &err));
    assert_string_equal(err.field, "stride");
    assert_string_equal(err.detail, "stride is 5000; it must be 1 to 4096");
    assert_true(err.ranged);
}

TEST(groups_that_do_not_divide_the_channels_are_refused)
{
    struct conv_params params = layer(4, 3, 1, 0);
    struct conv_plan plan;
    struct error err;

    params.groups = 3;
    assert_false(conv_plan_init(&plan, &params, (struct shape){ 1, 4, 9, 9 }, NULL, &err));
    assert_int_equal(err.code, ERR_SHAPE);
    assert_string_equal(err.field, "groups");
}

TEST(same_padding_follows_onnx_and_puts_the_odd_pixel_where_the_word_says)
{
    struct conv_params params = layer(1, 4, 1, 0);
    struct conv_plan plan;
    struct error err;

    params.auto_pad = AUTO_PAD_SAME_UPPER;
    assert_true(conv_plan_init(&plan, &params, (struct shape){ 1, 1, 5, 5 }, NULL, &err));
    assert_int_equal(plan.out.height, 5);
    assert_int_equal(plan.params.pads[0], 1);
    assert_int_equal(plan.params.pads[2], 2);
    params.auto_pad = AUTO_PAD_SAME_LOWER;
    assert_true(conv_plan_init(&plan, &params, (struct shape){ 1, 1, 5, 5 }, NULL, &err));
    assert_int_equal(plan.params.pads[0], 2);
    assert_int_equal(plan.params.pads[2], 1);
}

TEST(reflect_padding_wider_than_the_picture_is_refused)
{
    struct conv_params params = layer(1, 3, 1, 5);
    struct conv_plan plan;
    struct error err;

    params.padding_mode = PADDING_REFLECT;
    assert_false(conv_plan_init(&plan, &params, (struct shape){ 1, 1, 5, 9 }, NULL, &err));
    assert_string_equal(err.field, "pads");
}

TEST(an_unknown_algorithm_is_refused_by_name)
{
    struct conv_params params = layer(1, 3, 1, 0);
    struct conv_plan plan;
    struct error err;

    assert_false(conv_plan_init(&plan, &params, textbook, "fft", &err));
    assert_string_equal(err.detail, "there is no algorithm \"fft\"");
}

TEST(a_size_that_overflows_is_refused_before_it_is_multiplied)
{
    struct conv_params params = layer(65536, 1, 1, 4096);
    struct conv_plan plan;
    struct error err;
    int most = 2147483647;

    assert_false(conv_plan_init(&plan, &params, (struct shape){ 1, most, most, most }, NULL, &err));
    assert_int_equal(err.code, ERR_SHAPE);
    assert_false(conv_plan_init(&plan, &params, (struct shape){ 1, 1, 60000, 60000 }, NULL, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
}

static void refused(const struct conv_params *params, struct shape in, enum error_code code,
                    const char *field, const char *says)
{
    struct conv_plan plan;
    struct error err;

    assert_false(conv_plan_init(&plan, params, in, NULL, &err));
    assert_string_equal(err.detail, says);
    assert_string_equal(err.field, field);
    assert_int_equal(err.code, code);
}

TEST(outputs_and_work_that_no_number_counts_are_refused)
{
    struct conv_params params = layer(65536, 1, 1, 0);

    refused(&params, (struct shape){ 65536, 1, 1, 1 }, ERR_TOO_LARGE, "out_channels",
            "the output is too large to count");
    params = layer(32768, 32, 1, 0);
    refused(&params, (struct shape){ 32768, 1, 32768, 32768 }, ERR_TOO_LARGE, "out_channels",
            "the layer's work is too large to count");
    params = layer(1, 1, 1, 0);
    params.pool_type = POOL_MAX;
    params.pool_kernel_size[0] = 2;
    params.pool_kernel_size[1] = params.pool_stride[0] = params.pool_stride[1] = 1;
    params.pool_pads[0] = params.pool_pads[2] = 1;
    refused(&params, (struct shape){ 1, 1, 2147483647, 1 }, ERR_TOO_LARGE, "pool/padding",
            "a pooled map's height would be 2147483648");
}

TEST(a_layer_without_filters_is_refused_and_depthwise_is_a_group_a_channel)
{
    struct conv_params params = layer(0, 3, 1, 0);
    struct conv_plan plan;
    struct error err;

    refused(&params, textbook, ERR_SHAPE, "out_channels",
            "the layer needs weights, or out_channels and kernel_size");
    params = layer(3, 0, 1, 0);
    refused(&params, textbook, ERR_SHAPE, "kernel_size",
            "the layer needs weights, or out_channels and kernel_size");
    params = layer(6, 3, 1, 0);
    params.groups = 0;
    assert_true(conv_plan_init(&plan, &params, textbook, NULL, &err));
    assert_int_equal(plan.params.groups, 3);
    assert_int_equal(plan.w_columns, 9);
}

/* ---- running ---- */

struct bench {
    struct arena *arena;
    struct pool *pool;
    struct conv_context context;
    atomic_bool stop;
};

static void open_bench(struct bench *b, int workers)
{
    b->arena = arena_create((size_t)1 << 30);
    b->pool = workers ? pool_start(workers, 4) : NULL;
    atomic_init(&b->stop, false);
    b->context = (struct conv_context){ b->pool, b->arena, &b->stop };
}

static void close_bench(struct bench *b)
{
    if (b->pool) {
        pool_drain(b->pool);
        pool_destroy(b->pool);
    }
    arena_destroy(b->arena);
}

static struct conv_inputs draw_inputs(struct bench *b, const struct conv_plan *plan,
                                      uint64_t *state, bool whole)
{
    size_t inputs = shape_count(plan->in), filters = (size_t)plan->maps.channels;
    float *image = arena_new(b->arena, float, inputs);
    float *weights = arena_new(b->arena, float, filters * plan->w_columns);
    float *bias = arena_new(b->arena, float, filters);

    random_fill(state, image, inputs, whole);
    random_fill(state, weights, filters * plan->w_columns, whole);
    random_fill(state, bias, filters, whole);
    return (struct conv_inputs){ image, weights, random_between(state, 0, 3) ? bias : NULL, NULL };
}

static float *run_layer(struct bench *b, const struct random_layer *l, const struct conv_inputs *in,
                        const char *engine)
{
    struct conv_plan plan;
    struct error err;
    float *out;

    assert_true(conv_plan_init(&plan, &l->params, l->in, engine, &err));
    out = arena_new(b->arena, float, shape_count(plan.out));
    assert_true(conv_run(&plan, in, out, &b->context, &err));
    return out;
}

/* |difference| that float32 sums of this layer may show: n roundings of partial sums that are at
 * most n (all numbers are below 1, padding_value below 4), on both sides, times what combining
 * adds. */
static float bound(const struct conv_plan *plan)
{
    float terms = (float)(plan->w_columns + 1);
    float maps = plan->params.combine == COMBINE_NONE ? 1 : (float)plan->maps.channels;

    return 4 * FLT_EPSILON * terms * terms * maps;
}

static int layers_to_try(int everyday)
{
    const char *count = getenv("LAYERS");

    return count ? atoi(count) : everyday;
}

TEST(im2col_equals_the_reference_within_float32_on_random_layers_of_every_kind)
{
    uint64_t state = 1;
    struct bench b;

    open_bench(&b, 0);
    for (int i = 0, tries = layers_to_try(5000); i < tries; i++) {
        struct arena_mark mark = arena_save(b.arena);
        struct conv_plan plan;
        struct random_layer l = random_layer(&state, &plan);
        struct conv_inputs in = draw_inputs(&b, &plan, &state, false);
        const float *want = run_layer(&b, &l, &in, "reference");
        const float *got = run_layer(&b, &l, &in, "im2col");

        for (size_t j = 0; j < shape_count(plan.out); j++)
            if (!(fabsf(want[j] - got[j]) <= bound(&plan)))
                fail_msg("layer %d, output %zu: %.9g, not %.9g", i, j, (double)got[j],
                         (double)want[j]);
        arena_restore(b.arena, mark);
    }
    close_bench(&b);
}

TEST(im2col_equals_the_reference_bit_for_bit_on_whole_numbers_with_any_number_of_workers)
{
    uint64_t state = 2;

    for (int workers = 0; workers < 4; workers++) {
        struct bench b;

        open_bench(&b, workers);
        for (int i = 0, tries = layers_to_try(1200) / 4; i < tries; i++) {
            struct arena_mark mark = arena_save(b.arena);
            struct conv_plan plan;
            struct random_layer l = random_layer(&state, &plan);
            struct conv_inputs in = draw_inputs(&b, &plan, &state, true);
            const float *want = run_layer(&b, &l, &in, "reference");
            const float *got = run_layer(&b, &l, &in, "im2col");

            if (memcmp(want, got, shape_count(plan.out) * sizeof *got))
                fail_msg("layer %d with %d workers differs", i, workers);
            arena_restore(b.arena, mark);
        }
        close_bench(&b);
    }
}

TEST(verify_finds_float64s_answer_within_float32s_error_and_notices_a_wrong_one)
{
    uint64_t state = 3;

    for (int i = 0; i < 300; i++) {
        struct conv_plan plan;
        struct random_layer l = random_layer(&state, &plan);
        struct error err;
        struct bench b;
        struct conv_inputs in;
        double worst;
        float *out;

        open_bench(&b, i % 3);
        in = draw_inputs(&b, &plan, &state, false);
        out = run_layer(&b, &l, &in, "reference");
        assert_true(conv_verify(&plan, &in, out, &b.context, &worst, &err));
        assert_true(worst <= (double)bound(&plan));
        out[shape_count(plan.out) - 1] += 1;
        assert_true(conv_verify(&plan, &in, out, &b.context, &worst, &err));
        assert_true(worst > 0.5);
        close_bench(&b);
    }
}

TEST(explain_adds_up_to_the_output_bit_for_bit)
{
    uint64_t state = 4;

    for (int i = 0; i < 200; i++) {
        struct conv_plan plan;
        struct random_layer l = random_layer(&state, &plan);
        struct error err;
        struct bench b;
        struct conv_inputs in;
        float *out, *window, *products;

        l.params.pool_type = POOL_NONE;
        l.params.combine = COMBINE_NONE;
        open_bench(&b, 0);
        assert_true(conv_plan_init(&plan, &l.params, l.in, "reference", &err));
        in = draw_inputs(&b, &plan, &state, false);
        out = run_layer(&b, &l, &in, "reference");
        window = arena_new(b.arena, float, plan.w_columns);
        products = arena_new(b.arena, float, plan.w_columns);
        for (size_t j = 0; j < shape_count(plan.out); j++) {
            int x = (int)(j % (size_t)plan.maps.width), rest = (int)(j / (size_t)plan.maps.width);
            int y = rest % plan.maps.height, map = rest / plan.maps.height;
            struct conv_point at = { map / plan.maps.channels, map % plan.maps.channels, y, x };
            float sum = conv_explain(&plan, &in, at, window, products);

            sum = conv_activate(l.params.activation, sum);
            assert_memory_equal(&sum, &out[j], sizeof sum);
        }
        close_bench(&b);
    }
}

TEST(x_col_times_w_row_is_the_output)
{
    struct random_layer l = { layer(4, 3, 2, 1), { 2, 3, 9, 8 } };
    struct bench b;
    struct conv_plan plan;
    struct error err;
    struct conv_inputs in;
    uint64_t state = 5;
    float *out, *columns;

    open_bench(&b, 0);
    assert_true(conv_plan_init(&plan, &l.params, l.in, NULL, &err));
    in = draw_inputs(&b, &plan, &state, true);
    out = run_layer(&b, &l, &in, "reference");
    columns = arena_new(b.arena, float, plan.col_rows *plan.col_columns);
    conv_columns(&plan, in.image, 1, columns);
    for (size_t k = 0; k < 4; k++)
        for (size_t i = 0; i < plan.col_columns; i++) {
            float sum = in.bias ? in.bias[k] : 0;

            for (size_t r = 0; r < plan.col_rows; r++)
                sum += in.weights[k * plan.w_columns + r] * columns[r * plan.col_columns + i];
            assert_true(sum == out[(4 + k) * plan.col_columns + i]);
        }
    close_bench(&b);
}

TEST(padding_is_multiplied_like_any_number_and_minus_zero_leaves_as_plus_zero)
{
    struct random_layer l = { layer(1, 3, 1, 1), { 1, 1, 3, 3 } };
    float image[9] = { 0 }, endless[9] = { INFINITY, 0, 0, 0, 1, 0, 0, 0, 0 };
    float minus[9] = { -0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f };
    float bias = -0.0f;

    for (int i = 0; conv_engine_name(i); i++) {
        struct bench b;
        struct conv_plan plan;
        struct error err;

        if (!conv_plan_init(&plan, &l.params, l.in, conv_engine_name(i), &err) ||
            !conv_engine_is_exact(conv_engine_name(i)))
            continue;
        open_bench(&b, 0);
        assert_true(isnan(run_layer(&b, &l, &(struct conv_inputs){ image, endless, &bias, NULL },
                                    conv_engine_name(i))[0]));
        assert_false(signbit(run_layer(&b, &l, &(struct conv_inputs){ image, minus, &bias, NULL },
                                       conv_engine_name(i))[4]));
        close_bench(&b);
    }
}

/* The textbook's layer, its numbers drawn: where its output goes. */
static float *open_textbook(struct bench *b, struct conv_plan *plan, struct conv_inputs *in)
{
    struct conv_params params = layer(96, 11, 4, 0);
    struct error err;
    uint64_t state = 6;

    open_bench(b, 2);
    assert_true(conv_plan_init(plan, &params, textbook, NULL, &err));
    *in = draw_inputs(b, plan, &state, false);
    return arena_new(b->arena, float, shape_count(plan->out));
}

TEST(a_stopped_layer_ends_with_the_deadline_error)
{
    struct conv_plan plan;
    struct conv_inputs in;
    struct error err;
    struct bench b;
    float *out = open_textbook(&b, &plan, &in);

    atomic_store(&b.stop, true);
    assert_false(conv_run(&plan, &in, out, &b.context, &err));
    assert_int_equal(err.code, ERR_DEADLINE);
    close_bench(&b);
}

/* With 4096 of padding all around, the copy is most of a small layer's work. */
TEST(the_copy_of_padding_stops_at_the_deadline_too)
{
    const float pixel = 1;
    struct conv_params params = layer(1, 1, 1, 1);
    struct conv_plan plan;
    struct error err;
    struct bench b;
    float copy[9] = { 0 };

    params.padding_mode = PADDING_REPLICATE;
    open_bench(&b, 0);
    assert_true(conv_plan_init(&plan, &params, (struct shape){ 1, 1, 1, 1 }, NULL, &err));
    atomic_store(&b.stop, true);
    padding_copy(&plan, &pixel, copy, &b.context);
    assert_true(copy[0] == 0 && copy[8] == 0);
    atomic_store(&b.stop, false);
    padding_copy(&plan, &pixel, copy, &b.context);
    assert_true(copy[0] == 1 && copy[8] == 1);
    close_bench(&b);
}

TEST(the_workspace_that_is_planned_is_the_workspace_that_is_taken)
{
    struct conv_plan plan;
    struct conv_inputs in;
    struct error err;
    struct bench b;
    float *out = open_textbook(&b, &plan, &in);
    size_t before = arena_used(b.arena);

    assert_true(conv_run(&plan, &in, out, &b.context, &err));
    assert_true(arena_peak(b.arena) <= before + conv_workspace(&plan, b.pool) + 65536);
    assert_int_equal(arena_used(b.arena), before);
    close_bench(&b);
}

/* Mirrored padding and pooling take memory of their own beside the engine's. */
TEST(a_layer_whose_work_does_not_fit_the_memory_is_refused_and_leaves_nothing)
{
    struct conv_params params = layer(20, 3, 1, 1);
    struct conv_plan plan;
    struct conv_inputs in;
    struct error err;
    struct bench b;
    uint64_t state = 8;
    float *wanted, *out;
    int refusals = 0;

    params.padding_mode = PADDING_REFLECT;
    params.pool_type = POOL_MAX;
    open_bench(&b, 0);
    for (int i = 0; conv_engine_name(i); i++) {
        bool done = !conv_plan_init(&plan, &params, (struct shape){ 1, 8, 40, 40 },
                                    conv_engine_name(i), &err);

        if (done) /* an engine for other layers */
            continue;
        in = draw_inputs(&b, &plan, &state, false);
        wanted = arena_new(b.arena, float, shape_count(plan.out));
        out = arena_new(b.arena, float, shape_count(plan.out));
        assert_true(conv_run(&plan, &in, wanted, &b.context, &err));
        for (size_t size = 0; !done; size += 16384) {
            struct arena *small = arena_create(size);
            struct conv_context context = { NULL, small, &b.stop };

            done = conv_run(&plan, &in, out, &context, &err);
            if (!done) {
                refusals++;
                assert_int_equal(err.code, ERR_TOO_LARGE);
                assert_non_null(strstr(err.detail, "of workspace are over the request's memory"));
            }
            assert_true(size < 64 << 20);
            arena_destroy(small);
        }
        assert_memory_equal(out, wanted, shape_count(plan.out) * sizeof *out);
    }
    assert_true(refusals > 20);
    close_bench(&b);
}

TEST(every_engine_passes_its_self_test)
{
    struct error err;

    assert_true(conv_self_test(&err));
}
