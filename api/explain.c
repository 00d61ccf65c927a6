/* One number of the output taken apart: its window, the weights, their products, the sum. The points
 * are inside the maps: convolve_admit() has seen to it. */
#include "api/encode.h"
#include "api/floats.h"

#include <string.h>

size_t explain_bound(const struct convolve_request *request, const struct conv_plan *plan)
{
    size_t point = 3 * (plan->w_columns * FLOAT_TEXT + FLOATS_SLACK) + 1024;

    return (size_t)request->explain_count * point;
}

/* The same number as the reply has it, where the maps leave as they are: no pooling on top. */
static void compare_with_output(struct json *json, const struct conv_plan *plan,
                                const struct conv_point *point, float activated,
                                const float *output)
{
    const struct shape *maps = &plan->maps;
    size_t at =
        (((size_t)point->n * (size_t)maps->channels + (size_t)point->k) * (size_t)maps->height +
         (size_t)point->y) *
            (size_t)maps->width +
        (size_t)point->x;
    uint32_t bits, output_bits;

    if (plan->params.pool_type != POOL_NONE || plan->params.combine != COMBINE_NONE)
        return;
    json_float(json, "output", output[at]);
    memcpy(&bits, &activated, sizeof bits);
    memcpy(&output_bits, output + at, sizeof bits);
    json_bool(json, "equal", bits == output_bits);
}

bool explain_encode(struct json *json, const struct convolve_request *request,
                    const struct conv_plan *plan, const float *output, struct arena *arena,
                    struct error *err)
{
    float *window = arena_new(arena, float, plan->w_columns);
    float *products = arena_new(arena, float, plan->w_columns);

    if (!window || !products)
        return fail(err, ERR_TOO_LARGE, "explain", "there is no memory left for explain");
    json_open(json, "explain", '[');
    for (int i = 0; i < request->explain_count; i++) {
        const struct conv_point *point = request->explain + i;
        float sum = conv_explain(plan, &request->inputs, *point, window, products);
        float activated = conv_activate(plan->params.activation, sum);
        const float *bias = request->inputs.bias;

        json_open(json, NULL, '{');
        json_int(json, "n", point->n);
        json_int(json, "k", point->k);
        json_int(json, "y", point->y);
        json_int(json, "x", point->x);
        /* the place of this window in X_col: y * OW + x */
        json_int(json, "column", (int64_t)point->y * plan->maps.width + point->x);
        json_ints(json, "shape",
                  (int[]){ plan->in.channels / plan->params.groups, plan->params.kernel_size[0],
                           plan->params.kernel_size[1] },
                  3);
        json_floats(json, "window", window, plan->w_columns);
        json_floats(json, "weights", request->inputs.weights + (size_t)point->k * plan->w_columns,
                    plan->w_columns);
        json_floats(json, "products", products, plan->w_columns);
        json_float(json, "bias", bias ? bias[point->k] : 0);
        json_float(json, "sum", sum);
        json_float(json, "activated", activated);
        compare_with_output(json, plan, point, activated, output);
        json_close(json, '}');
    }
    json_close(json, ']');
    return true;
}
