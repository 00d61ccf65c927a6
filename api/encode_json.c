/* The JSON document of /convolve: small facts first, the numbers last. */
#include "api/encode.h"
#include "api/floats.h"

#include <math.h>

enum {
    STAT_BOUND = 3 * FLOAT_TEXT + 2 * JSON_NUMBER + 64, /* one map's statistics */
    FIXED_BOUND = LAYER_BOUND + WARNINGS_BOUND + 4096
};

static size_t document_bound(const struct convolve_request *request, const struct conv_plan *plan,
                             const struct view *view, const struct listing *listing)
{
    size_t planes = (size_t)view->shape.count * (size_t)view->shape.channels;

    return FIXED_BOUND + explain_bound(request, plan) + planes * (STAT_BOUND + JSON_NUMBER) +
           data_bound(listing, (enum data)request->fields.data);
}

static void output_encode(struct json *json, const struct convolve_request *request,
                          const struct view *view, const struct listing *listing)
{
#define WORD_TEXT(code, word) word,
    static const char *const what_words[] = { WORDS_OF_what(WORD_TEXT) };

    json_open(json, "output", '{');
    json_text(json, "what", what_words[request->fields.what]);
    json_ints(json, "shape", listing->dims, listing->rank);
    json_text(json, "layout",
              view->matrix                                   ? "matrix"
              : request->fields.output_layout == OUTPUT_NHWC ? "nhwc"
                                                             : "nchw");
    json_text(json, "dtype", "float32");
    json_int(json, "width", view->shape.width);
    json_int(json, "height", view->shape.height);
    json_int(json, "channels", view->shape.channels);
    if (request->maps && request->fields.what == WHAT_FEATURES)
        json_ints(json, "maps", request->maps, request->map_count);
    json_close(json, '}');
}

static void stats_encode(struct json *json, const struct convolve_request *request,
                         const struct view *view, const struct map_stats *stats)
{
    const struct map_stats *map = stats;
    bool picked = request->maps && request->fields.what == WHAT_FEATURES;

    json_open(json, "stats", '[');
    for (int n = 0; n < view->shape.count; n++)
        for (int k = 0; k < view->shape.channels; k++, map++) {
            json_open(json, NULL, '{');
            if (view->shape.count > 1)
                json_int(json, "n", n);
            json_int(json, "k", picked ? request->maps[k] : k);
            json_float(json, "min", map->min);
            json_float(json, "max", map->max);
            json_float(json, "mean", (float)map->mean);
            if (map->nonfinite)
                json_int(json, "nonfinite", (int64_t)map->nonfinite);
            json_close(json, '}');
        }
    json_close(json, ']');
}

static void timings_encode(struct json *json, struct stages *stages)
{
    double now = stages->clock_ms ? stages->clock_ms() : 0;

    stages->encode = now - stages->encode_started;
    json_open(json, "timings_ms", '{');
    json_real(json, "queue", round(stages->queue * 1000) / 1000);
    json_real(json, "decode", round(stages->decode * 1000) / 1000);
    json_real(json, "plan", round(stages->plan * 1000) / 1000);
    json_real(json, "convolve", round(stages->convolve * 1000) / 1000);
    json_real(json, "encode", round(stages->encode * 1000) / 1000);
    json_real(json, "total", round((now - stages->started) * 1000) / 1000);
    json_close(json, '}');
}

static bool verify_encode(struct json *json, const struct convolve_request *request,
                          const struct conv_plan *plan, const float *output,
                          const struct reply_context *context, struct error *err)
{
    struct conv_context run = { context->pool, context->arena, context->stop };
    double worst;

    if (!conv_verify(plan, &request->inputs, output, &run, &worst, err))
        return false;
    json_open(json, "verify", '{');
    json_text(json, "against", "float64");
    json_real(json, "largest_difference", worst);
    json_close(json, '}');
    return true;
}

/* Everything that is not a number of the output. */
static bool facts_encode(struct json *json, const struct convolve_request *request,
                         const struct conv_plan *plan, const float *output,
                         const struct reply_context *context, struct error *err)
{
    input_encode(json, request);
    layer_encode(json, request, plan);
    im2col_encode(json, plan);
    json_text(json, "algorithm", conv_plan_engine(plan));
    json_text(json, "isa", conv_isa());
    json_int(json, "workspace_bytes", (int64_t)conv_workspace(plan, context->pool));
    warnings_encode(json, &request->warnings);
    if (request->fields.verify && !verify_encode(json, request, plan, output, context, err))
        return false;
    return !request->explain_count ||
           explain_encode(json, request, plan, output, context->arena, err);
}

struct bytes json_encode(const struct convolve_request *request, const struct conv_plan *plan,
                         const struct view *view, const struct listing *listing,
                         const struct reply_context *context, struct error *err)
{
    size_t size = document_bound(request, plan, view, listing), nonfinite = 0;
    struct map_stats *stats = stats_of_view(view, context);
    char *buffer = arena_new(context->arena, char, size), *room;
    struct bytes nothing = { NULL, 0 };
    struct json json;

    if (!buffer || !stats) {
        fail(err, ERR_TOO_LARGE, "data",
             "the reply may take %zu bytes as JSON text and there is no memory for it; ask for "
             "data=base64 or none, format=npy or raw, or fewer maps",
             size);
        return nothing;
    }
    json_init(&json, buffer, size);
    json_open(&json, NULL, '{');
    output_encode(&json, request, view, listing);
    if (!facts_encode(&json, request, plan, view->output, context, err))
        return nothing;
    for (int i = 0; i < view->shape.count * view->shape.channels; i++)
        nonfinite += stats[i].nonfinite;
    if (nonfinite)
        json_int(&json, "nonfinite", (int64_t)nonfinite);
    if (request->fields.stats)
        stats_encode(&json, request, view, stats);
    if (request->fields.data != DATA_NONE) {
        room = json_room(&json, "data", data_bound(listing, (enum data)request->fields.data));
        if (room)
            json.at = data_write(room, listing, &request->fields, context);
    }
    timings_encode(&json, context->stages);
    json_text(&json, "request_id", context->request_id);
    json_close(&json, '}');
    if (json.full) {
        fail(err, ERR_INTERNAL, "", "the reply is longer than was computed");
        return nothing;
    }
    return (struct bytes){ buffer, (size_t)(json.at - buffer) };
}
