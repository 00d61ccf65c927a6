/* Random layers that use every parameter of the table, spelled as clients spell them and sent to
 * the daemon, against the definition (core's reference engine) in this process. */
#include "core/core.h"
#include "tests/http/harness.h"
#include "tests/random_layer.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void put_tensor(FILE *json, const char *name, struct shape shape, const float *values)
{
    fprintf(json, "\"%s\":{\"shape\":[%d,%d,%d,%d],\"data\":[", name, shape.count, shape.channels,
            shape.height, shape.width);
    for (size_t i = 0; i < shape_count(shape); i++)
        fprintf(json, "%s%.9g", i ? "," : "", (double)values[i]);
    fprintf(json, "]},");
}

/* The layer's numbers in one of the ways that mean the same. */
static void put_padding(FILE *json, uint64_t *state, const struct conv_params *p)
{
    const int *pads = p->pads;

    if (p->auto_pad == AUTO_PAD_NOTSET && pads[0] == pads[1] && pads[0] == pads[2] &&
        pads[0] == pads[3] && random_between(state, 0, 1))
        fprintf(json, "\"P\":%d,", pads[0]);
    else if (p->auto_pad == AUTO_PAD_NOTSET && random_between(state, 0, 1))
        fprintf(json, "\"padding\":{\"top\":%d,\"left\":%d,\"bottom\":%d,\"right\":%d},", pads[0],
                pads[1], pads[2], pads[3]);
    else if (p->auto_pad == AUTO_PAD_NOTSET)
        fprintf(json, "\"pads\":[%d,%d,%d,%d],", pads[0], pads[1], pads[2], pads[3]);
    else
        fprintf(json, random_between(state, 0, 1) ? "\"auto_pad\":\"%s\"," : "\"padding\":\"%s\",",
                auto_pad_words[p->auto_pad]);
    fprintf(json, "\"padding_mode\":\"%s\",\"padding_value\":%g,",
            padding_mode_words[p->padding_mode], (double)p->padding_value);
}

static void put_params(FILE *json, uint64_t *state, const struct conv_params *p)
{
    if (random_between(state, 0, 1))
        fprintf(json, "\"out_channels\":%d,\"kernel_size\":[%d,%d],", p->out_channels,
                p->kernel_size[0], p->kernel_size[1]);
    if (random_between(state, 0, 1))
        fprintf(json, "\"stride\":[%d,%d],\"dilations\":[%d,%d],", p->stride[0], p->stride[1],
                p->dilation[0], p->dilation[1]);
    else
        fprintf(json, "\"stride_h\":%d,\"stride_w\":%d,\"dilation\":[%d,%d],", p->stride[0],
                p->stride[1], p->dilation[0], p->dilation[1]);
    put_padding(json, state, p);
    fprintf(json, "\"group\":%d,\"activation\":\"%s\",\"combine\":\"%s\",", p->groups,
            activation_words[p->activation], combine_words[p->combine]);
    if (p->pool_type != POOL_NONE) {
        fprintf(json, "\"pool\":{\"type\":\"%s\",\"kernel_size\":[%d,%d],\"padding\":[%d,%d]",
                pool_type_words[p->pool_type], p->pool_kernel_size[0], p->pool_kernel_size[1],
                p->pool_pads[0], p->pool_pads[1]);
        if (p->pool_stride[0])
            fprintf(json, ",\"stride\":[%d,%d]", p->pool_stride[0], p->pool_stride[1]);
        fprintf(json, "},");
    }
}

struct attempt {
    struct conv_plan plan;
    struct conv_inputs in;
    const float *want;
    const char *body;
};

/* The layer with its data, what the definition makes of it, and the request. */
static void attempt_init(struct attempt *attempt, uint64_t *state, const char *engine)
{
    struct arena *arena = arena_create((size_t)1 << 28);
    atomic_bool never = false;
    struct random_layer layer = random_layer(state, &attempt->plan);
    struct shape weights;
    struct error err;
    float *x, *w, *b, *y;
    size_t size, filters;
    char *body;
    FILE *json = open_memstream(&body, &size);

    /* A stride of 0 means the window's own; in a request both are given, or none is. */
    if (!layer.params.pool_stride[0] || !layer.params.pool_stride[1])
        layer.params.pool_stride[0] = layer.params.pool_stride[1] = 0;
    if (!conv_plan_init(&attempt->plan, &layer.params, layer.in, "reference", &err))
        fail_msg("%s", err.detail);
    filters = (size_t)layer.params.out_channels;
    weights = (struct shape){ layer.params.out_channels, layer.in.channels / layer.params.groups,
                              layer.params.kernel_size[0], layer.params.kernel_size[1] };
    random_fill(state, x = arena_new(arena, float, shape_count(layer.in)), shape_count(layer.in),
                false);
    random_fill(state, w = arena_new(arena, float, shape_count(weights)), shape_count(weights),
                false);
    random_fill(state, b = arena_new(arena, float, filters), filters, false);
    y = arena_new(arena, float, shape_count(attempt->plan.out));
    attempt->in = (struct conv_inputs){ .image = x, .weights = w };
    if (random_between(state, 0, 2))
        attempt->in.bias = b;
    assert_true(conv_run(&attempt->plan, &attempt->in, y,
                         &(struct conv_context){ NULL, arena, &never }, &err));
    attempt->want = memcpy(keep(malloc(shape_count(attempt->plan.out) * sizeof *y + 1)), y,
                           shape_count(attempt->plan.out) * sizeof *y);
    fputc('{', json);
    put_tensor(json, "image", layer.in, x);
    put_tensor(json, "weights", weights, w);
    for (size_t i = 0; attempt->in.bias && i < filters; i++)
        fprintf(json, "%s%.9g%s", i ? "," : "\"bias\":[", (double)b[i],
                i + 1 == filters ? "]," : "");
    put_params(json, state, &layer.params);
    fprintf(json, "\"algorithm\":\"%s\",\"format\":\"raw\"}", engine);
    fclose(json);
    attempt->body = keep(body);
    arena_destroy(arena);
}

/* An engine that is not exact may round each term of a sum of sums. */
static void compare(const struct attempt *attempt, struct answer *answer, int number, bool exact)
{
    const struct conv_plan *plan = &attempt->plan;
    float terms = (float)(plan->w_columns + 1), unit = exact ? 0 : 4 * FLT_EPSILON;
    float maps = plan->params.combine == COMBINE_NONE ? 1 : (float)plan->maps.channels, got;

    if (answer->status != 200)
        fail_msg("layer %d: status %d: %.300s\n%.2000s", number, answer->status, answer->body,
                 attempt->body);
    assert_int_equal(answer->size, shape_count(plan->out) * sizeof(float));
    for (size_t i = 0; i < shape_count(plan->out); i++) {
        memcpy(&got, answer->body + i * sizeof got, sizeof got);
        if (!(fabsf(got - attempt->want[i]) <= unit * terms * terms * maps))
            fail_msg("layer %d, output %zu is %.9g, not %.9g:\n%.3000s", number, i, (double)got,
                     (double)attempt->want[i], attempt->body);
    }
}

static void try_layers(const char *engine, int count)
{
    uint64_t state = 20;

    for (int i = 0; i < count / SLOWDOWN; i++) {
        struct attempt attempt;
        struct conv_plan plan;
        struct error err;
        const char *name = strcmp(engine, "auto") ? engine : NULL;

        attempt_init(&attempt, &state, engine);
        assert_true(conv_plan_init(&plan, &attempt.plan.params, attempt.plan.in, name, &err));
        compare(&attempt, http_json("/convolve", attempt.body), i,
                conv_engine_is_exact(conv_plan_engine(&plan)));
        test_teardown(NULL); /* gives the memory of each layer back */
    }
}

TEST(random_layers_through_http_equal_the_definition_bit_for_bit)
{
    try_layers("reference", 400);
}

TEST(random_layers_through_http_by_im2col_equal_it_within_float32)
{
    try_layers("im2col", 400);
}

TEST(random_layers_through_http_by_the_best_engine_that_fits_equal_it)
{
    try_layers("auto", 400);
}
