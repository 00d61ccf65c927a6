/* The Open Inference Protocol without HTTP: each shape a request may have, each refusal, and the
 * replies byte for byte. */
#include "tests/unit/decoding.h"

#define X       "{\"name\":\"X\",\"shape\":[1,1,2,2],\"datatype\":\"FP32\",\"data\":[1,2,3,4]}"
#define W       "{\"name\":\"W\",\"shape\":[1,1,1,1],\"datatype\":\"FP32\",\"data\":[2]}"
#define INPUTS  "\"inputs\":[" X "," W "]"
#define X_AS(m) "{\"inputs\":[{\"name\":\"X\"," m "}," W "]}"

/* 1 x 1 pixel, grey 7. */
static const char pgm[] = "P5 1 1 255\n\7";
enum { PGM = sizeof pgm - 1 };

static bool infer_at(const char *path, const char *header, const char *query, struct bytes body)
{
    start();
    message.path = path;
    message.query = query;
    message.tensor_header_length = header;
    message.body = with_slack(body.data, body.size);
    return infer_decode(&message, &limits, arena, &request, &err);
}

static bool infer(const char *json)
{
    return infer_at("/v2/models/conv2d/infer", "", "", (struct bytes){ json, strlen(json) });
}

/* A request of JSON with the tensors' bytes behind it. */
static bool infer_binary(const char *json, const void *tensors, size_t size)
{
    static char body[8192];
    size_t length = strlen(json);
    char header[24];

    snprintf(header, sizeof header, "%zu", length);
    memcpy(body, json, length);
    memcpy(body + length, tensors, size);
    return infer_at("/v2/models/conv2d/infer", header, "", (struct bytes){ body, length + size });
}

/* The whole way to a reply's body. */
static struct reply reply;
static const char *answer(bool decoded)
{
    static const atomic_bool going;
    struct stages stages = { 0 };
    struct reply_context context = { NULL, arena, &stages, "id", &going };
    struct conv_context run = { NULL, arena, &going };
    struct conv_plan layer;
    struct tensor output;
    char *text;

    reply = (struct reply){ 0 };
    assert_decodes(decoded);
    assert_decodes(conv_plan_init(&layer, &request.params, request.image.shape, NULL, &err));
    assert_decodes(convolve_admit(&request, &layer, &limits, &err));
    assert_decodes(tensor_alloc(&output, layer.out, "", arena, &err));
    assert_decodes(conv_run(&layer, &request.inputs, output.data, &run, &err));
    assert_decodes(convolve_encode(&request, &layer, output.data, &context, &reply, &err));
    text = arena_zeroed(arena, reply.body.size + 1, 1);
    return memcpy(text, reply.body.data, reply.body.size);
}

#define MODEL "\"model_name\":\"conv2d\",\"model_version\":\"1\""

TEST(flat_and_nested_data_are_the_same_tensor)
{
    static const char want[] = "{" MODEL ",\"outputs\":[{\"name\":\"Y\",\"datatype\":\"FP32\","
                               "\"shape\":[1,1,2,2],\"data\":[2,4,6,8]}]}";

    assert_string_equal(answer(infer("{" INPUTS "}")), want);
    assert_string_equal(reply.content_type, "application/json");
    assert_int_equal(reply.tensor_header_length, 0);
    assert_int_equal(reply.status, 200);
    assert_string_equal(answer(infer(X_AS("\"shape\":[1,1,2,2],\"datatype\":\"FP32\",\"data\":"
                                          "[[[[1,2],[3,4]]]]"))),
                        want);
    assert_string_equal(answer(infer(X_AS("\"shape\":[1,1,2,2],\"datatype\":\"UINT8\",\"data\":"
                                          "[1,2,3,4]"))),
                        want);
    assert_string_equal(answer(infer(X_AS("\"shape\":[1,1,2,2],\"datatype\":\"FP64\",\"data\":"
                                          "[1,2,3,4]"))),
                        want);
}

TEST(onnx_attributes_come_as_strings_and_as_lists)
{
    static const char *const parameters[] = {
        "{\"strides\":\"2,1\",\"pads\":\"1,2,3,4\",\"dilations\":\"2,3\",\"group\":\"1\"}",
        "{\"strides\":[2,1],\"pads\":[1,2,3,4],\"dilations\":[2,3],\"group\":1}",
        "{\"strides\":\"[2,1]\",\"pads\":\"[1, 2, 3, 4]\",\"dilations\":\"2, 3\"}",
    };

    for (int i = 0; i < 3; i++) {
        char body[512];

        snprintf(body, sizeof body, "{\"parameters\":%s," INPUTS "}", parameters[i]);
        assert_decodes(infer(body));
        assert_memory_equal(request.params.stride, ((int[]){ 2, 1 }), 2 * sizeof(int));
        assert_memory_equal(request.params.pads, ((int[]){ 1, 2, 3, 4 }), 4 * sizeof(int));
        assert_memory_equal(request.params.dilation, ((int[]){ 2, 3 }), 2 * sizeof(int));
        assert_int_equal(request.params.groups, 1);
    }
    assert_decodes(infer("{" INPUTS ",\"parameters\":{\"auto_pad\":\"SAME_UPPER\","
                         "\"activation\":\"relu\",\"flip\":true,\"timeout\":1500}}"));
    assert_int_equal(request.params.auto_pad, AUTO_PAD_SAME_UPPER);
    assert_int_equal(request.params.activation, ACTIVATION_RELU);
    assert_true(request.fields.flip);
    assert_int_equal(request.fields.timeout_ms, 2);
    assert_decodes(infer_at("/v2/models/conv2d/versions/1/infer", "", "stride=2",
                            (struct bytes){ "{" INPUTS "}", strlen("{" INPUTS "}") }));
    assert_int_equal(request.params.stride[0], 2);
}

TEST(filters_may_be_named_instead_of_sent)
{
    assert_decodes(infer("{\"inputs\":[" X "],\"parameters\":{\"weights\":\"sobel_x\"}}"));
    assert_string_equal(request.bank, "sobel_x");
}

TEST(binary_tensors_lie_behind_the_json_in_their_order)
{
    static const char json[] =
        "{\"inputs\":[{\"name\":\"W\",\"shape\":[1,1,1,1],\"datatype\":\"FP32\",\"parameters\":"
        "{\"binary_data_size\":4}},{\"name\":\"B\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":"
        "[0.5]},{\"name\":\"X\",\"shape\":[1,1,1,2],\"datatype\":\"FP32\",\"parameters\":"
        "{\"binary_data_size\":8}}]}";
    float tensors[] = { 3, 1, -2 };

    assert_string_equal(answer(infer_binary(json, tensors, sizeof tensors)),
                        "{" MODEL ",\"outputs\":[{\"name\":\"Y\",\"datatype\":\"FP32\",\"shape\":"
                        "[1,1,1,2],\"data\":[3.5,-5.5]}]}");
}

/* 1, 2, 3, 200 as each datatype. */
TEST(every_datatype_is_read_from_binary)
{
    const struct {
        const char *name;
        size_t size;
        const void *data;
    } types[] = {
        { "FP32", 16, (float[]){ 1, 2, 3, 200 } },
        { "FP64", 32, (double[]){ 1, 2, 3, 200 } },
        { "FP16", 8, (uint16_t[]){ 0x3c00, 0x4000, 0x4200, 0x5a40 } },
        { "BF16", 8, (uint16_t[]){ 0x3f80, 0x4000, 0x4040, 0x4348 } },
        { "UINT8", 4, (uint8_t[]){ 1, 2, 3, 200 } },
        { "UINT16", 8, (uint16_t[]){ 1, 2, 3, 200 } },
        { "UINT32", 16, (uint32_t[]){ 1, 2, 3, 200 } },
        { "UINT64", 32, (uint64_t[]){ 1, 2, 3, 200 } },
        { "INT16", 8, (int16_t[]){ 1, 2, 3, 200 } },
        { "INT32", 16, (int32_t[]){ 1, 2, 3, 200 } },
        { "INT64", 32, (int64_t[]){ 1, 2, 3, 200 } },
    };
    static const float want[] = { 1, 2, 3, 200 };

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char json[400];

        snprintf(json, sizeof json,
                 X_AS("\"shape\":[1,2,1,2],\"datatype\":\"%s\",\"parameters\":"
                      "{\"binary_data_size\":%zu}"),
                 types[i].name, types[i].size);
        strcpy(strstr(json, W) + strlen("{\"name\":\"W\",\"shape\":[1,"),
               "2,1,1],\"datatype\":\"FP32\",\"data\":[1,1]}]}");
        assert_decodes(infer_binary(json, types[i].data, types[i].size));
        assert_int_equal(request.image.shape.channels, 2); /* UINT8 too is NCHW */
        assert_int_equal(request.image.shape.width, 2);
        assert_memory_equal(request.image.data, want, sizeof want);
    }
    assert_decodes(infer_binary(X_AS("\"shape\":[1,1,1,1],\"datatype\":\"INT8\",\"parameters\":"
                                     "{\"binary_data_size\":1}"),
                                "\xfe", 1));
    assert_true(request.image.data[0] == -2);
}

#define IMAGE_AS(m) "{\"inputs\":[{\"name\":\"IMAGE\",\"datatype\":\"BYTES\"," m "}," W "]}"

TEST(pictures_are_elements_of_bytes)
{
    char raw[2 * (4 + PGM)];

    for (int i = 0; i < 2; i++) {
        memcpy(raw + i * (4 + PGM), &(uint32_t){ PGM }, 4);
        memcpy(raw + i * (4 + PGM) + 4, pgm, PGM);
    }
    raw[sizeof raw - 1] = 9;
    assert_decodes(infer_binary(IMAGE_AS("\"shape\":[2],\"parameters\":{\"binary_data_size\":32}"),
                                raw, sizeof raw));
    assert_int_equal(request.image.shape.count, 2);
    assert_true(request.image.data[0] == 7 && request.image.data[1] == 9);
    assert_decodes(infer(IMAGE_AS("\"shape\":[1,1],\"data\":[\"UDUgMSAxIDI1NQoH\"]")));
    assert_true(request.image.data[0] == 7);
    assert_string_equal(request.picture.format, "pnm");
}

TEST(a_header_length_of_0_makes_the_whole_body_the_picture)
{
    char framed[4 + PGM];
    const char *text;
    float value;

    memcpy(framed, &(uint32_t){ PGM }, 4);
    memcpy(framed + 4, pgm, PGM);
    for (int i = 0; i < 2; i++) {
        text = answer(
            infer_at("/v2/models/conv2d/infer", "0", "weights=[[3]]",
                     i ? (struct bytes){ framed, sizeof framed } : (struct bytes){ pgm, PGM }));
        assert_int_equal(reply.tensor_header_length % 64, 0);
        assert_int_equal(reply.body.size, reply.tensor_header_length + 4);
        memcpy(&value, text + reply.tensor_header_length, sizeof value);
        assert_true(value == 21);
    }
    assert_refuses(infer_at("/v2/models/conv2d/infer", "0", "weights=[[3]]",
                            (struct bytes){ "what is this", 12 }),
                   ERR_MEDIA, "image", "accepted are PNG");
}

TEST(outputs_come_as_they_are_asked_for)
{
    static const char want[] =
        "{\"id\":\"a\\\"b\"," MODEL ",\"outputs\":[{\"name\":\"X_COL\",\"datatype\":\"FP32\","
        "\"shape\":[1,1,4],\"data\":[1,2,3,4]},{\"name\":\"Y\",\"datatype\":\"FP32\",\"shape\":"
        "[1,1,2,2],\"parameters\":{\"binary_data_size\":16}}]}";
    static const float y[] = { 2, 4, 6, 8 };
    const char *text = answer(infer("{\"id\":\"a\\\"b\"," INPUTS
                                    ",\"outputs\":[{\"name\":\"X_COL\"},{\"name\":\"Y\","
                                    "\"parameters\":{\"binary_data\":true}}]}"));

    assert_memory_equal(text, want, strlen(want));
    assert_string_equal(reply.content_type, "application/octet-stream");
    assert_int_equal(reply.tensor_header_length % 64, 0);
    for (size_t i = strlen(want); i < reply.tensor_header_length; i++)
        assert_int_equal(text[i], ' ');
    assert_int_equal(reply.body.size, reply.tensor_header_length + sizeof y);
    assert_memory_equal(text + reply.tensor_header_length, y, sizeof y);
}

TEST(binary_data_of_an_output_wins_over_binary_data_output)
{
    static const char *const both[] = {
        ",\"outputs\":[{\"name\":\"X_COL\"},{\"name\":\"Y\",\"parameters\":{\"binary_data\":false}}"
        "]"
        ",\"parameters\":{\"binary_data_output\":true}}",
        ",\"parameters\":{\"binary_data_output\":true},\"outputs\":[{\"name\":\"X_COL\"},"
        "{\"name\":\"Y\",\"parameters\":{\"binary_data\":false}}]}",
    };

    for (int i = 0; i < 2; i++) {
        char body[600];

        snprintf(body, sizeof body, "{" INPUTS "%s", both[i]);
        assert_decodes(infer(body));
        assert_int_equal(request.infer->count, 2);
        assert_true(request.infer->outputs[0].binary);
        assert_false(request.infer->outputs[1].binary);
    }
    assert_decodes(
        infer("{" INPUTS ",\"outputs\":[],\"parameters\":{\"binary_data_output\":true}}"));
    assert_int_equal(request.infer->count, 1);
    assert_string_equal(request.infer->outputs[0].name, "Y");
    assert_true(request.infer->outputs[0].binary);
    assert_null(request.infer->id);
}

TEST(x_col_of_a_batch_has_a_matrix_for_each_picture)
{
    assert_non_null(strstr(answer(infer("{\"inputs\":[{\"name\":\"X\",\"shape\":[2,1,1,2],"
                                        "\"datatype\":\"FP32\",\"data\":[1,2,3,4]}," W "],"
                                        "\"outputs\":[{\"name\":\"X_COL\"}]}")),
                           "\"shape\":[2,1,2],\"data\":[1,2,3,4]"));
}

TEST(an_id_of_any_letters_and_length_comes_back)
{
    enum { LONG = 5000 };
    static char body[8 * LONG], id[6 * LONG + 1];

    for (int i = 0; i < LONG; i++)
        strcpy(id + 6 * i, "\\u0001");
    snprintf(body, sizeof body, "{\"id\":\"%s\"," INPUTS "}", id);
    assert_non_null(strstr(answer(infer(body)), id));
    assert_int_equal(strlen(request.infer->id), LONG);
    snprintf(body, sizeof body, "{\"id\":\"%0*d\"," INPUTS "}", LONG, 7);
    assert_non_null(strstr(answer(infer(body)), "00007\",\"model_name\""));
}

TEST(what_is_not_the_protocol_is_refused_with_the_fix)
{
#define REFUSES(json, code, field, says) assert_refuses(infer(json), code, field, says)
    REFUSES("", ERR_SYNTAX, "", "byte 0");
    REFUSES("[]", ERR_SYNTAX, "", "JSON object");
    REFUSES("{}", ERR_PARAMETER, "inputs", "X");
    REFUSES("{\"inputs\":[" X "]}", ERR_PARAMETER, "inputs", "W");
    REFUSES("{\"inputs\":{}}", ERR_SYNTAX, "inputs", "list");
    REFUSES("{\"inputs\":[1]}", ERR_SYNTAX, "inputs", "object");
    REFUSES("{\"input\":[]}", ERR_UNKNOWN, "input", "inputs");
    REFUSES("{\"id\":7," INPUTS "}", ERR_PARAMETER, "id", "string");
    REFUSES("{" INPUTS ",\"parameters\":[]}", ERR_SYNTAX, "parameters", "object");
    REFUSES("{" INPUTS ",\"parameters\":{\"stride\":\"x\"}}", ERR_PARAMETER, "stride", "number");
    REFUSES("{" INPUTS ",\"parameters\":{\"strydes\":1}}", ERR_UNKNOWN, "strydes", "strides");
    REFUSES("{" INPUTS ",\"parameters\":{\"binary_data_output\":1}}", ERR_PARAMETER,
            "binary_data_output", "true or false");
    REFUSES("{" INPUTS ",\"parameters\":{\"timeout\":-1}}", ERR_PARAMETER, "timeout", "micro");
    REFUSES("{" INPUTS ",\"parameters\":{\"format\":\"png\"}}", ERR_PARAMETER, "format", "outputs");
    REFUSES("{" INPUTS ",\"parameters\":{\"weights\":\"sobel_x\"}}", ERR_TWICE, "weights", "twice");
    REFUSES("{\"inputs\":[" X "," X "]}", ERR_TWICE, "image", "twice");
    REFUSES("{\"inputs\":[{\"name\":\"Z\"}]}", ERR_UNKNOWN, "inputs", "IMAGE");
    REFUSES("{\"inputs\":[{\"nam\":\"X\"}]}", ERR_UNKNOWN, "inputs", "datatype");
    REFUSES("{" INPUTS ",\"outputs\":[{\"name\":\"Z\"}]}", ERR_UNKNOWN, "outputs", "X_COL");
    REFUSES("{" INPUTS ",\"outputs\":[{\"name\":\"Y\"},{\"name\":\"Y\"}]}", ERR_TWICE, "outputs",
            "twice");
    REFUSES("{" INPUTS ",\"outputs\":[{\"name\":\"Y\",\"parameters\":{\"classification\":3}}]}",
            ERR_UNKNOWN, "outputs", "binary_data");
    REFUSES("{" INPUTS ",\"outputs\":[{\"name\":\"Y\",\"parameters\":{\"binary_data\":\"yes\"}}]}",
            ERR_PARAMETER, "binary_data", "true or false");
}

TEST(an_input_that_does_not_fit_its_shape_or_type_is_refused)
{
#define TYPED(shape, type, data)                                                                   \
    X_AS("\"shape\":" shape ",\"datatype\":\"" type "\",\"data\":" data)
    REFUSES(TYPED("[1,1,2,3]", "FP32", "[1,2,3,4]"), ERR_SHAPE, "X", "6 numbers");
    REFUSES(TYPED("[1,1,2,2]", "FP32", "[[1,2],[3,4]]"), ERR_SHAPE, "X", "nested");
    REFUSES(TYPED("[1,2,2]", "FP32", "[1,2,3,4]"), ERR_SHAPE, "X", "4, [count");
    REFUSES(TYPED("[1,1,0,2]", "FP32", "[]"), ERR_PARAMETER, "X", "");
    REFUSES(TYPED("[1,1,2147483647,2147483647]", "FP32", "[1]"), ERR_SHAPE, "X", "");
    REFUSES(TYPED("[2147483647,2147483647,2147483647,4]", "FP32", "[1]"), ERR_TOO_LARGE, "X", "");
    REFUSES(TYPED("\"1,1,2,2\"", "FP32", "[1,2,3,4]"), ERR_PARAMETER, "X", "shape");
    REFUSES(TYPED("[1,1,2,2]", "fp32", "[1,2,3,4]"), ERR_PARAMETER, "X", "FP32");
    REFUSES(TYPED("[1,1,2,2]", "BYTES", "[1,2,3,4]"), ERR_PARAMETER, "X", "FP32");
    REFUSES(TYPED("[1,1,2,2]", "FP16", "[1,2,3,4]"), ERR_PARAMETER, "X", "binary");
    REFUSES(TYPED("[1,1,2,2]", "UINT8", "[1,2,3,256]"), ERR_PARAMETER, "X", "element 3");
    REFUSES(TYPED("[1,1,2,2]", "UINT8", "[1,2.5,3,4]"), ERR_PARAMETER, "X", "element 1");
    REFUSES(TYPED("[1,1,2,2]", "INT8", "[-129,2,3,4]"), ERR_PARAMETER, "X", "element 0");
    REFUSES(TYPED("[1,1,2,2]", "FP32", "[1,2,3,1e39]"), ERR_PARAMETER, "X", "3.4e38");
    REFUSES(TYPED("[1,1,2,2]", "FP32", "[1,2,3,\"4\"]"), ERR_PARAMETER, "X", "numbers");
    REFUSES(X_AS("\"shape\":[1,1,2,2],\"datatype\":\"FP32\""), ERR_PARAMETER, "X", "data");
    REFUSES(X_AS("\"datatype\":\"FP32\",\"data\":[1]"), ERR_PARAMETER, "X", "shape");
    REFUSES(IMAGE_AS("\"shape\":[1],\"data\":\"x\""), ERR_PARAMETER, "IMAGE", "base64");
    REFUSES(IMAGE_AS("\"shape\":[1],\"data\":[7]"), ERR_PARAMETER, "IMAGE", "base64");
    REFUSES(IMAGE_AS("\"shape\":[1],\"data\":[\"???\"]"), ERR_PARAMETER, "IMAGE", "base64");
    REFUSES(IMAGE_AS("\"shape\":[2],\"data\":[\"UDUgMSAxIDI1NQoH\"]"), ERR_SHAPE, "IMAGE", "2");
    REFUSES("{\"inputs\":[{\"name\":\"W\",\"shape\":[1,1],\"datatype\":\"FP32\",\"data\":[1]}]}",
            ERR_SHAPE, "W", "4, [filters");
    REFUSES("{\"inputs\":[{\"name\":\"B\",\"shape\":[1,1],\"datatype\":\"FP32\",\"data\":[1]}]}",
            ERR_SHAPE, "B", "1, [filters]");
    REFUSES("{\"inputs\":[" X ",{\"name\":\"IMAGE\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":"
            "[\"UDUgMSAxIDI1NQoH\"]}]}",
            ERR_TWICE, "image", "twice");
}

#define SIZED(n)                                                                                   \
    X_AS("\"shape\":[1,1,2,2],\"datatype\":\"FP32\",\"parameters\":{\"binary_data_size\":" n "}")

TEST(binary_sizes_must_agree_with_the_shape_and_the_body)
{
    static const char path[] = "/v2/models/conv2d/infer", zeros[64];

#define REFUSES_BINARY(json, size, code, field, says)                                              \
    assert_refuses(infer_binary(json, zeros, size), code, field, says)
    assert_decodes(infer_binary(SIZED("16"), zeros, 16));
    REFUSES_BINARY(SIZED("16"), 15, ERR_SYNTAX, "X", "15 bytes");
    REFUSES_BINARY(SIZED("16"), 17, ERR_SYNTAX, "", "1 bytes are left behind");
    REFUSES_BINARY(SIZED("12"), 12, ERR_SHAPE, "X", "FP32, 4 bytes");
    REFUSES_BINARY(SIZED("1e300"), 16, ERR_SYNTAX, "X", "16 bytes");
    REFUSES_BINARY(SIZED("-1"), 16, ERR_PARAMETER, "X", "whole");
    REFUSES_BINARY(SIZED("15.5"), 16, ERR_PARAMETER, "X", "whole");
    REFUSES_BINARY(SIZED("\"16\""), 16, ERR_PARAMETER, "X", "whole");
    REFUSES_BINARY(SIZED("16,\"shared_memory_region\":\"a\""), 16, ERR_UNKNOWN, "X", "shared");
    REFUSES_BINARY(SIZED("16},\"data\":[1,2,3,4],\"shape\":[1,1,2,2],\"parameters\":{"), 16,
                   ERR_TWICE, "shape", "");
    REFUSES_BINARY(X_AS("\"shape\":[1,1,2,2],\"datatype\":\"FP32\",\"data\":[1,2,3,4],"
                        "\"parameters\":{\"binary_data_size\":16}"),
                   16, ERR_TWICE, "X", "both");
    REFUSES_BINARY(IMAGE_AS("\"shape\":[1],\"parameters\":{\"binary_data_size\":3}"), 3, ERR_SHAPE,
                   "IMAGE", "3 bytes more");
    REFUSES_BINARY(IMAGE_AS("\"shape\":[1],\"parameters\":{\"binary_data_size\":8}"), 8, ERR_SHAPE,
                   "IMAGE", "is 2 elements");
    assert_refuses(infer_binary(IMAGE_AS("\"shape\":[1],\"parameters\":{\"binary_data_size\":8}"),
                                "\377\377\377\377abcd", 8),
                   ERR_SYNTAX, "IMAGE", "4294967295 bytes");
    assert_refuses(infer_at(path, "999", "", (struct bytes){ "{}", 2 }), ERR_SYNTAX, "",
                   "has 2 bytes");
    assert_refuses(infer_at(path, "99999999999999999999999999", "", (struct bytes){ "{}", 2 }),
                   ERR_SYNTAX, "", "has 2 bytes");
    assert_refuses(infer_at(path, "2x", "", (struct bytes){ "{}", 2 }), ERR_SYNTAX, "", "number");
    assert_refuses(infer_at(path, "-2", "", (struct bytes){ "{}", 2 }), ERR_SYNTAX, "", "number");
    assert_refuses(infer_at(path, "1", "", (struct bytes){ "{}", 2 }), ERR_SYNTAX, "", "byte 1");
}

TEST(what_does_not_fit_the_memory_is_refused_at_every_step)
{
    static const char body[] = "{\"id\":\"x\"," INPUTS ",\"parameters\":{\"pads\":\"1,1,1,1\"}}";
    bool done = false;

    for (size_t limit = 512; !done && limit < 1 << 20; limit += 512) {
        start();
        arena_destroy(arena);
        arena = arena_create(limit);
        if (!arena)
            continue;
        message.path = "/v2/models/conv2d/infer";
        message.body = with_slack(body, strlen(body));
        done = infer_decode(&message, &limits, arena, &request, &err);
        if (!done)
            assert_int_equal(err.code, ERR_TOO_LARGE);
    }
    assert_true(done);
}

TEST(both_outputs_count_against_the_output_limit)
{
    struct conv_plan layer;

    assert_decodes(infer("{" INPUTS ",\"outputs\":[{\"name\":\"X_COL\"},{\"name\":\"Y\"}]}"));
    assert_decodes(conv_plan_init(&layer, &request.params, request.image.shape, NULL, &err));
    limits.output = 32;
    assert_decodes(convolve_admit(&request, &layer, &limits, &err));
    limits.output = 31;
    assert_refuses(convolve_admit(&request, &layer, &limits, &err), ERR_TOO_LARGE, "", "32 bytes");
}

static const char *model(const char *path)
{
    char *text;

    start();
    message.path = path;
    reply = (struct reply){ 0 };
    if (!model_encode(&message, arena, &reply, &err))
        return err.detail;
    text = arena_zeroed(arena, reply.body.size + 1, 1);
    return memcpy(text, reply.body.data, reply.body.size);
}

TEST(the_model_says_its_operands_and_that_it_is_ready)
{
    static const char metadata[] =
        "{\"name\":\"conv2d\",\"versions\":[\"1\"],\"platform\":\"convolved\",\"inputs\":["
        "{\"name\":\"X\",\"datatype\":\"FP32\",\"shape\":[-1,-1,-1,-1]},"
        "{\"name\":\"IMAGE\",\"datatype\":\"BYTES\",\"shape\":[-1]},"
        "{\"name\":\"W\",\"datatype\":\"FP32\",\"shape\":[-1,-1,-1,-1]},"
        "{\"name\":\"B\",\"datatype\":\"FP32\",\"shape\":[-1]}],\"outputs\":["
        "{\"name\":\"Y\",\"datatype\":\"FP32\",\"shape\":[-1,-1,-1,-1]},"
        "{\"name\":\"X_COL\",\"datatype\":\"FP32\",\"shape\":[-1,-1,-1]}]}";

    assert_string_equal(model("/v2/models/conv2d"), metadata);
    assert_string_equal(model("/v2/models/conv2d/versions/1"), metadata);
    assert_string_equal(model("/v2/models/conv2d/ready"), "{\"name\":\"conv2d\",\"ready\":true}");
    assert_string_equal(model("/v2/models/conv2d/versions/1/ready"),
                        "{\"name\":\"conv2d\",\"ready\":true}");
    assert_string_equal(model("/v2/models/ready"), "there is no model ready; there is conv2d");
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_string_equal(model("/v2/models/conv2d/versions/2"),
                        "the model conv2d has no version 2; it has 1");
    assert_refuses(infer_at("/v2/models/alexnet/infer", "", "", (struct bytes){ "{}", 2 }),
                   ERR_NOT_FOUND, "", "conv2d");
}
