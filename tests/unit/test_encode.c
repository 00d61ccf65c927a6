/* Replies: the JSON document read back by cJSON, npy and raw by their bytes. */
#include "api/api.h"
#include "api/npy.h"
#include "tests/testing.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A layer on made-up numbers, run, with all that an encoder needs. */
struct layer {
    struct convolve_request request;
    struct conv_plan plan;
    struct arena *arena;
    struct stages stages;
    struct reply reply;
    float *output;
};

static const struct fields field_defaults = {
#define PRESET_INT(value)  value
#define PRESET_WORD(value) value
#define PRESET_REAL(value) value
#define PRESET_BOOL(value) value
#define PRESET_REALS(value)                                                                        \
    {                                                                                              \
        value, value, value, value                                                                 \
    }
#define PRESET_TEXT(value)                                                                         \
    {                                                                                              \
        value                                                                                      \
    }
#define PARAM(kind, name, preset, min, max, help) .name = PRESET_##kind(preset),
#include "api/fields.def"
};

static const atomic_bool running = false;

static double two_ms(void)
{
    return 2;
}

static void layer_create(struct layer *layer, struct shape in, int filters, int kernel, int stride)
{
    size_t weights;
    float *image, *weight;

    *layer = (struct layer){ .request.params = conv_defaults, .request.fields = field_defaults };
    layer->request.params.out_channels = filters;
    layer->request.params.kernel_size[0] = layer->request.params.kernel_size[1] = kernel;
    layer->request.params.stride[0] = layer->request.params.stride[1] = stride;
    layer->request.fields.format = FORMAT_JSON;
    layer->arena = arena_create((size_t)1 << 30);
    layer->stages = (struct stages){ .queue = 0.25, .clock_ms = two_ms };
    image = arena_new(layer->arena, float, shape_count(in));
    for (size_t i = 0; i < shape_count(in); i++)
        image[i] = (float)(i * 7 % 256);
    weights = (size_t)filters * (size_t)in.channels * (size_t)kernel * (size_t)kernel;
    weight = arena_new(layer->arena, float, weights);
    for (size_t i = 0; i < weights; i++)
        weight[i] = (float)((int)(i * 5 % 17) - 8) / 8;
    layer->request.image = (struct tensor){ in, image };
    layer->request.weight_shape = (struct shape){ filters, in.channels, kernel, kernel };
    layer->request.inputs = (struct conv_inputs){ image, weight, NULL, NULL };
    layer->request.bank_kind = BANK_LAYER;
    layer->request.range = RANGE_MINMAX;
}

static void layer_destroy(struct layer *layer)
{
    arena_destroy(layer->arena);
}

static void layer_run(struct layer *layer)
{
    struct conv_context context = { NULL, layer->arena, &running };
    struct error err;

    if (!conv_plan_init(&layer->plan, &layer->request.params, layer->request.image.shape, NULL,
                        &err))
        fail_msg("%s", err.detail);
    layer->output = arena_new(layer->arena, float, shape_count(layer->plan.out));
    assert_true(conv_run(&layer->plan, &layer->request.inputs, layer->output, &context, &err));
}

static bool layer_encode(struct layer *layer, struct pool *pool, struct error *err)
{
    struct reply_context context = { pool, layer->arena, &layer->stages, "id-1", &running };

    return convolve_encode(&layer->request, &layer->plan, layer->output, &context, &layer->reply,
                           err);
}

static cJSON *layer_json(struct layer *layer, struct pool *pool)
{
    struct error err;
    cJSON *json;

    if (!layer_encode(layer, pool, &err))
        fail_msg("%s", err.detail);
    assert_int_equal(layer->reply.status, 200);
    assert_string_equal(layer->reply.content_type, "application/json");
    json = cJSON_ParseWithLength(layer->reply.body.data, layer->reply.body.size);
    assert_non_null(json);
    return json;
}

/* The member at a path like "im2col.x_col". */
static cJSON *at(cJSON *json, const char *path)
{
    char name[64];

    while (*path) {
        size_t length = strcspn(path, ".");

        snprintf(name, sizeof name, "%.*s", (int)length, path);
        json = cJSON_GetObjectItemCaseSensitive(json, name);
        if (!json)
            fail_msg("there is no %s", name);
        path += length + (path[length] == '.');
    }
    return json;
}

static void assert_json(cJSON *json, const char *path, const char *text)
{
    char *printed = cJSON_PrintUnformatted(at(json, path));

    assert_string_equal(printed, text);
    free(printed);
}

static void assert_number(cJSON *json, const char *path, double value)
{
    assert_true(cJSON_IsNumber(at(json, path)));
    if (at(json, path)->valuedouble != value)
        fail_msg("%s is %.17g, not %.17g", path, at(json, path)->valuedouble, value);
}

TEST(the_textbook_layer_has_the_textbook_s_numbers_in_plan_and_reply)
{
    struct layer layer;
    struct reply_context context;
    struct error err;
    cJSON *json;

    layer_create(&layer, (struct shape){ 1, 3, 227, 227 }, 96, 11, 4);
    layer_run(&layer);
    for (int planned = 0; planned < 2; planned++) {
        if (planned) {
            context = (struct reply_context){ NULL, layer.arena, &layer.stages, "id-1", &running };
            assert_true(plan_encode(&layer.request, &layer.plan, &context, &layer.reply, &err));
            json = cJSON_ParseWithLength(layer.reply.body.data, layer.reply.body.size);
            assert_non_null(json);
            assert_json(json, "formula.width", "\"(227 - 11 + 2*0) / 4 + 1 = 55\"");
            assert_json(json, "formula.height", "\"(227 - 11 + 2*0) / 4 + 1 = 55\"");
            assert_number(json, "bytes.input", 227 * 227 * 3 * 4);
            assert_number(json, "bytes.weights", 96 * 363 * 4);
            assert_number(json, "bytes.output", 55 * 55 * 96 * 4);
            assert_number(json, "bytes.x_col", 4392300);
            assert_number(json, "flops", 210830400);
        } else {
            json = layer_json(&layer, NULL);
            assert_number(json, "timings_ms.queue", 0.25);
            assert_number(json, "timings_ms.total", 2);
            assert_int_equal(cJSON_GetArraySize(at(json, "data")), 55 * 55 * 96);
            assert_int_equal(cJSON_GetArraySize(at(json, "stats")), 96);
        }
        assert_json(json, "output.shape", "[1,96,55,55]");
        assert_json(json, "output.layout", "\"nchw\"");
        assert_json(json, "output.dtype", "\"float32\"");
        assert_number(json, "output.width", 55);
        assert_number(json, "output.channels", 96);
        assert_json(json, "im2col.x_col", "[363,3025]");
        assert_json(json, "im2col.w_row", "[96,363]");
        assert_number(json, "im2col.bytes", 4392300);
        assert_number(json, "im2col.replication", 7.1);
        assert_number(json, "im2col.macs", 105415200);
        assert_json(json, "layer.stride", "[4,4]");
        assert_json(json, "layer.padding", "{\"top\":0,\"left\":0,\"bottom\":0,\"right\":0}");
        assert_json(json, "layer.pool", "null");
        assert_json(json, "input.shape", "[1,3,227,227]");
        assert_json(json, "warnings", "[]");
        assert_json(json, "request_id", "\"id-1\"");
        assert_true(cJSON_IsString(at(json, "algorithm")));
        assert_true(cJSON_IsNumber(at(json, "workspace_bytes")));
        cJSON_Delete(json);
    }
    layer_destroy(&layer);
}

TEST(the_reply_s_numbers_are_the_output_s_bits_flat_and_nested_by_one_worker_or_several)
{
    struct pool *pool = pool_start(3, 8);
    struct layer layer;

    layer_create(&layer, (struct shape){ 2, 3, 150, 146 }, 8, 3, 1);
    layer_run(&layer);
    assert_true(shape_count(layer.plan.out) > 1 << 18);
    for (int round = 0; round < 4; round++) {
        cJSON *json, *n, *k, *y, *x, *data;
        const float *value = layer.output;
        size_t count = 0;

        layer.request.fields.data = round & 1 ? DATA_NESTED : DATA_FLAT;
        json = layer_json(&layer, round & 2 ? pool : NULL);
        data = at(json, "data");
        if (layer.request.fields.data == DATA_FLAT) {
            cJSON_ArrayForEach(x, data)
                assert_true((float)x->valuedouble == value[count++]);
        } else {
            assert_int_equal(cJSON_GetArraySize(data), 2);
            cJSON_ArrayForEach(n, data) {
                assert_int_equal(cJSON_GetArraySize(n), 8);
                cJSON_ArrayForEach(k, n) {
                    assert_int_equal(cJSON_GetArraySize(k), 148);
                    cJSON_ArrayForEach(y, k) {
                        assert_int_equal(cJSON_GetArraySize(y), 144);
                        cJSON_ArrayForEach(x, y)
                            assert_true((float)x->valuedouble == value[count++]);
                    }
                }
            }
        }
        assert_int_equal(count, shape_count(layer.plan.out));
        cJSON_Delete(json);
    }
    pool_drain(pool);
    pool_destroy(pool);
    layer_destroy(&layer);
}

TEST(data_may_be_base64_or_left_out_or_rounded)
{
    struct layer layer;
    cJSON *json;

    layer_create(&layer, (struct shape){ 1, 1, 3, 3 }, 1, 2, 1);
    layer_run(&layer);
    memcpy(layer.output, (float[]){ 1, -2, 0.123456789f, 65504 }, 16);
    layer.request.fields.data = DATA_BASE64;
    json = layer_json(&layer, NULL);
    assert_json(json, "data", "\"AACAPwAAAMDq1vw9AOB/Rw==\"");
    cJSON_Delete(json);
    layer.request.fields.data = DATA_NONE;
    json = layer_json(&layer, NULL);
    assert_null(cJSON_GetObjectItem(json, "data"));
    cJSON_Delete(json);
    layer.request.fields.data = DATA_NESTED;
    layer.request.fields.digits = 3;
    json = layer_json(&layer, NULL);
    assert_json(json, "data", "[[[[1,-2],[0.123,65500]]]]");
    cJSON_Delete(json);
    layer_destroy(&layer);
}

TEST(stats_leave_out_what_is_no_number_and_count_it)
{
    struct layer layer;
    cJSON *json, *map;

    layer_create(&layer, (struct shape){ 1, 1, 3, 3 }, 3, 2, 1);
    layer_run(&layer);
    memcpy(layer.output, (float[]){ 1, -2, 4, 5, NAN, 2, -INFINITY, 4, NAN, NAN, NAN, NAN }, 48);
    json = layer_json(&layer, NULL);
    assert_number(json, "nonfinite", 6);
    map = cJSON_GetArrayItem(at(json, "stats"), 0);
    assert_json(map, "", "{\"k\":0,\"min\":-2,\"max\":5,\"mean\":2}");
    map = cJSON_GetArrayItem(at(json, "stats"), 1);
    assert_json(map, "", "{\"k\":1,\"min\":2,\"max\":4,\"mean\":3,\"nonfinite\":2}");
    map = cJSON_GetArrayItem(at(json, "stats"), 2);
    assert_json(map, "", "{\"k\":2,\"min\":null,\"max\":null,\"mean\":null,\"nonfinite\":4}");
    assert_json(json, "data", "[1,-2,4,5,null,2,null,4,null,null,null,null]");
    cJSON_Delete(json);
    layer.request.fields.stats = false;
    json = layer_json(&layer, NULL);
    assert_null(cJSON_GetObjectItem(json, "stats"));
    assert_number(json, "nonfinite", 6);
    cJSON_Delete(json);
    layer_destroy(&layer);
}

TEST(only_the_maps_that_were_asked_for_come_back)
{
    struct layer layer;
    cJSON *json;

    layer_create(&layer, (struct shape){ 2, 1, 2, 2 }, 4, 2, 1);
    layer_run(&layer);
    memcpy(layer.output, (float[]){ 0, 1, 2, 3, 10, 11, 12, 13 }, 32);
    layer.request.maps = (int[]){ 3, 1 };
    layer.request.map_count = 2;
    json = layer_json(&layer, NULL);
    assert_json(json, "data", "[3,1,13,11]");
    assert_json(json, "output.shape", "[2,2,1,1]");
    assert_json(json, "output.maps", "[3,1]");
    assert_json(json, "layer.out_channels", "4");
    assert_int_equal(cJSON_GetArraySize(at(json, "stats")), 4);
    assert_json(cJSON_GetArrayItem(at(json, "stats"), 2), "",
                "{\"n\":1,\"k\":3,\"min\":13,\"max\":13,\"mean\":13}");
    cJSON_Delete(json);
    assert_int_equal(layer.reply.output_shape.channels, 2);
    layer_destroy(&layer);
}

TEST(explain_takes_a_number_apart_and_it_is_the_reply_s)
{
    static const struct conv_point points[] = { { 1, 2, 3, 4 }, { 0, 0, 0, 0 } };
    struct layer layer;
    cJSON *json, *point, *window, *weights, *products;
    double sum = 0;

    layer_create(&layer, (struct shape){ 2, 3, 9, 8 }, 4, 3, 1);
    layer.request.inputs.bias = (float[]){ 1, 2, 0.5f, 4 };
    layer.request.params.activation = ACTIVATION_RELU;
    layer_run(&layer);
    layer.request.explain = points;
    layer.request.explain_count = 2;
    json = layer_json(&layer, NULL);
    point = cJSON_GetArrayItem(at(json, "explain"), 0);
    assert_number(point, "column", 3 * 6 + 4);
    assert_json(point, "shape", "[3,3,3]");
    assert_number(point, "bias", 0.5);
    window = at(point, "window");
    weights = at(point, "weights");
    products = at(point, "products");
    assert_int_equal(cJSON_GetArraySize(products), 27);
    for (int i = 0; i < 27; i++) {
        double product = cJSON_GetArrayItem(products, i)->valuedouble;

        assert_true(product == cJSON_GetArrayItem(window, i)->valuedouble *
                                   cJSON_GetArrayItem(weights, i)->valuedouble);
        sum += product;
    }
    assert_number(point, "sum", sum + 0.5); /* small integers and eighths: exact */
    assert_number(point, "activated", sum + 0.5 > 0 ? sum + 0.5 : 0);
    assert_number(point, "output", layer.output[((1 * 4 + 2) * 7 + 3) * 6 + 4]);
    assert_true(cJSON_IsTrue(at(point, "equal")));
    assert_true(cJSON_IsTrue(at(cJSON_GetArrayItem(at(json, "explain"), 1), "equal")));
    cJSON_Delete(json);
    layer_destroy(&layer);
}

TEST(what_returns_the_matrices_of_im2col_and_the_input)
{
    struct layer layer;
    cJSON *json;

    layer_create(&layer, (struct shape){ 1, 2, 3, 3 }, 2, 2, 1);
    layer_run(&layer);
    layer.request.fields.what = WHAT_COLUMNS;
    json = layer_json(&layer, NULL);
    assert_json(json, "output.shape", "[8,4]");
    assert_json(json, "output.layout", "\"matrix\"");
    assert_json(json, "output.what", "\"columns\"");
    /* the input is 0 7 14 / 21 28 35 / ...: the first row is each window's first pixel */
    assert_int_equal(cJSON_GetArraySize(at(json, "data")), 32);
    for (int i = 0; i < 4; i++)
        assert_int_equal(cJSON_GetArrayItem(at(json, "data"), i)->valueint,
                         7 * (i / 2 * 3 + i % 2));
    cJSON_Delete(json);
    layer.request.fields.what = WHAT_WEIGHTS;
    layer.request.fields.data = DATA_NESTED;
    json = layer_json(&layer, NULL);
    assert_json(json, "output.shape", "[2,8]");
    assert_int_equal(cJSON_GetArraySize(at(json, "data")), 2);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetArrayItem(at(json, "data"), 0)), 8);
    cJSON_Delete(json);
    layer.request.fields.what = WHAT_INPUT;
    json = layer_json(&layer, NULL);
    assert_json(json, "output.shape", "[1,2,3,3]");
    assert_json(json, "data",
                "[[[[0,7,14],[21,28,35],[42,49,56]],[[63,70,77],[84,91,98],[105,112,119]]]]");
    cJSON_Delete(json);
    layer_destroy(&layer);
}

TEST(npy_and_raw_carry_the_output_in_the_layout_that_was_asked_for)
{
    static const size_t nchw[] = { 2, 3, 4, 5 }, nhwc[] = { 2, 4, 5, 3 };
    struct layer layer;
    struct error err;

    layer_create(&layer, (struct shape){ 2, 1, 5, 6 }, 3, 2, 1);
    layer_run(&layer);
    for (int round = 0; round < 4; round++) {
        bool hwc = round & 1;
        const float *numbers;
        struct npy npy;

        layer.request.fields.format = round & 2 ? FORMAT_NPY : FORMAT_RAW;
        layer.request.fields.output_layout = hwc ? OUTPUT_NHWC : OUTPUT_NCHW;
        assert_true(layer_encode(&layer, NULL, &err));
        numbers = (const float *)(const void *)layer.reply.body.data;
        if (round & 2) {
            assert_string_equal(layer.reply.content_type, "application/x-npy");
            assert_true(npy_read(layer.reply.body, "image", &npy, &err));
            assert_int_equal(npy.rank, 4);
            assert_memory_equal(npy.dims, hwc ? nhwc : nchw, sizeof nchw);
            assert_int_equal(npy.kind, 'f');
            numbers = npy.data;
        } else {
            assert_string_equal(layer.reply.content_type, "application/octet-stream");
            assert_int_equal(layer.reply.body.size, 120 * sizeof(float));
        }
        for (int n = 0; n < 2; n++)
            for (int k = 0; k < 3; k++)
                for (int i = 0; i < 20; i++)
                    assert_true(numbers[hwc ? (n * 20 + i) * 3 + k : (n * 3 + k) * 20 + i] ==
                                layer.output[(n * 3 + k) * 20 + i]);
    }
    layer_destroy(&layer);
}

TEST(verify_tells_the_largest_difference_from_float64)
{
    struct layer layer;
    cJSON *json;

    layer_create(&layer, (struct shape){ 1, 2, 9, 9 }, 2, 3, 1);
    layer_run(&layer);
    layer.request.fields.verify = true;
    json = layer_json(&layer, NULL);
    assert_number(json, "verify.largest_difference", 0);
    cJSON_Delete(json);
    layer.output[5] += 0.5f;
    json = layer_json(&layer, NULL);
    assert_number(json, "verify.largest_difference", 0.5);
    cJSON_Delete(json);
    layer_destroy(&layer);
}

TEST(warnings_and_picture_are_told_and_the_longest_still_fit)
{
    struct layer layer;
    cJSON *json;

    layer_create(&layer, (struct shape){ 1, 1, 8, 8 }, 1, 3, 1);
    layer_run(&layer);
    layer.request.picture = (struct picture_info){ 1, 800, 600, 3, 8, "jpeg" };
    for (int i = 0; i < MAX_WARNINGS; i++)
        memset(layer.request.warnings.text[i], 1, sizeof layer.request.warnings.text[i] - 1);
    layer.request.warnings.count = MAX_WARNINGS;
    json = layer_json(&layer, NULL);
    assert_int_equal(cJSON_GetArraySize(at(json, "warnings")), MAX_WARNINGS);
    assert_json(json, "input.picture",
                "{\"format\":\"jpeg\",\"width\":800,\"height\":600,\"channels\":3,\"depth\":8}");
    cJSON_Delete(json);
    layer_destroy(&layer);
}

TEST(the_plan_writes_its_formula_out)
{
    struct layer layer;
    struct reply_context context;
    struct error err;
    cJSON *json;

    layer_create(&layer, (struct shape){ 1, 1, 32, 33 }, 1, 3, 2);
    layer.request.params.dilation[1] = 2;
    memcpy(layer.request.params.pads, (int[]){ 0, 1, 1, 1 }, 4 * sizeof(int));
    layer.request.params.pool_type = POOL_MAX;
    layer_run(&layer);
    context = (struct reply_context){ NULL, layer.arena, &layer.stages, "", &running };
    assert_true(plan_encode(&layer.request, &layer.plan, &context, &layer.reply, &err));
    json = cJSON_ParseWithLength(layer.reply.body.data, layer.reply.body.size);
    assert_non_null(json);
    assert_json(json, "formula.height", "\"(32 - 3 + 0 + 1) / 2 + 1 = 16\"");
    assert_json(json, "formula.width", "\"(33 - 2*(3 - 1) - 1 + 2*1) / 2 + 1 = 16\"");
    assert_json(json, "formula.pool_width", "\"(16 - 2 + 2*0) / 2 + 1 = 8\"");
    assert_json(json, "layer.pool.type", "\"max\"");
    cJSON_Delete(json);
    layer_destroy(&layer);
    layer_create(&layer, (struct shape){ 1, 1, 10, 11 }, 1, 3, 2);
    layer_run(&layer);
    context.arena = layer.arena;
    assert_true(plan_encode(&layer.request, &layer.plan, &context, &layer.reply, &err));
    json = cJSON_ParseWithLength(layer.reply.body.data, layer.reply.body.size);
    assert_json(json, "formula.height", "\"floor((10 - 3 + 2*0) / 2) + 1 = 4\"");
    cJSON_Delete(json);
    layer_destroy(&layer);
}

TEST(info_lists_limits_engines_and_what_the_server_adds)
{
    struct limits limits = {
        .pixels = 50000000, .output = 1 << 28, .macs = 1000000000000, .memory = 1 << 30
    };
    struct arena *arena = arena_create(1 << 20);
    struct reply reply;
    struct error err;
    cJSON *json;

    assert_true(info_encode(&limits, "\"version\":\"1\",\"workers\":2", arena, &reply, &err));
    json = cJSON_ParseWithLength(reply.body.data, reply.body.size);
    assert_non_null(json);
    assert_number(json, "limits.macs", 1e12);
    assert_number(json, "limits.pixels", 5e7);
    assert_number(json, "workers", 2);
    assert_json(json, "version", "\"1\"");
    assert_true(cJSON_GetArraySize(at(json, "engines")) >= 2);
    cJSON_Delete(json);
    assert_true(info_encode(&limits, "", arena, &reply, &err));
    json = cJSON_ParseWithLength(reply.body.data, reply.body.size);
    assert_non_null(json);
    cJSON_Delete(json);
    arena_destroy(arena);
}

TEST(a_reply_that_does_not_fit_the_memory_says_what_to_ask_for)
{
    struct layer layer;
    struct error err;

    layer_create(&layer, (struct shape){ 1, 1, 100, 100 }, 8, 3, 1);
    layer_run(&layer);
    arena_destroy(layer.arena); /* only the small one is left to the encoder */
    layer.arena = arena_create(1 << 17);
    layer.output = calloc(shape_count(layer.plan.out), sizeof(float));
    for (int format = FORMAT_JSON; format <= FORMAT_NPY; format++) {
        layer.request.fields.format = format;
        assert_false(layer_encode(&layer, NULL, &err));
        assert_int_equal(err.code, ERR_TOO_LARGE);
    }
    layer.request.fields.format = FORMAT_RAW;
    assert_true(layer_encode(&layer, NULL, &err));
    layer.request.fields.output_layout = OUTPUT_NHWC;
    assert_false(layer_encode(&layer, NULL, &err));
    assert_string_equal(err.field, "output_layout");
    layer.request.fields.output_layout = OUTPUT_NCHW;
    layer.request.maps = (const int[]){ 7, 6, 5, 4, 3 };
    layer.request.map_count = 5;
    assert_false(layer_encode(&layer, NULL, &err));
    assert_string_equal(err.field, "maps");
    layer.request.fields.what = WHAT_COLUMNS;
    assert_false(layer_encode(&layer, NULL, &err));
    assert_string_equal(err.field, "what");
    assert_int_equal(err.code, ERR_TOO_LARGE);
    free(layer.output);
    layer_destroy(&layer);
}
