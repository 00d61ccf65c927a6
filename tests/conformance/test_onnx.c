/* Vectors that nobody here made: ONNX's own, sent as a client would send them. */
#include "tests/conformance/onnx.h"
#include "tests/http/harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define ROOT "/usr/share/libonnx-testdata/data/"

/* "[1,2.5]" */
static char *json_numbers(const struct onnx_tensor *tensor)
{
    char *out = keep(malloc(tensor->count * 20 + 8)), *at = out;

    for (size_t i = 0; i < tensor->count; i++)
        at += sprintf(at, "%c%.9g", i ? ',' : '[', tensor->data[i]);
    strcpy(at, "]");
    return out;
}

static char *json_tensor(const struct onnx_tensor *tensor)
{
    return text_format("{\"shape\":[%zu,%zu,%zu,%zu],\"data\":%s}", tensor->dims[0],
                       tensor->dims[1], tensor->dims[2], tensor->dims[3], json_numbers(tensor));
}

static void assert_shape(struct answer *answer, const struct onnx_tensor *want)
{
    assert_string_equal(
        answer_header(answer, "Convolved-Output-Shape"),
        text_format("%zu,%zu,%zu,%zu", want->dims[0], want->dims[1], want->dims[2], want->dims[3]));
}

static void assert_close(double got, float want, size_t index)
{
    if (!(fabs(got - want) <= 1e-5 + 1e-4 * fabs(want)))
        fail_msg("output %zu is %.9g, not %.9g", index, got, want);
}

static void assert_ok(struct answer *answer)
{
    if (answer->status != 200)
        fail_msg("status %d: %.500s", answer->status, answer->body);
}

static void by_json(struct daemon *daemon, const char *folder)
{
    struct onnx_case onnx;
    struct answer *answer;
    const cJSON *number;
    const char *bias;
    size_t i = 0;

    onnx_read(&onnx, folder);
    bias = onnx.b.count ? text_format(",\"bias\":%s", json_numbers(&onnx.b)) : "";
    answer = http_call(
        daemon, &(struct call){
                    .path = "/convolve",
                    .type = "application/json",
                    .body = text_format("{\"image\":%s,\"weights\":%s%s%s}", json_tensor(&onnx.x),
                                        json_tensor(&onnx.w), bias, onnx.attributes),
                });
    assert_ok(answer);
    assert_shape(answer, &onnx.y);
    assert_int_equal(cJSON_GetArraySize(answer_json(answer, "data")), onnx.y.count);
    cJSON_ArrayForEach(number, answer_json(answer, "data")) {
        assert_close(number->valuedouble, onnx.y.data[i], i);
        i++;
    }
}

/* Version 1.0, little-endian float32, C order. */
static struct part npy_part(const char *name, const struct onnx_tensor *tensor)
{
    size_t header = 128, size = header + tensor->count * sizeof(float);
    char *out = keep(calloc(1, size)), shape[100] = "", *about;

    for (int i = 0; i < tensor->rank; i++)
        sprintf(shape + strlen(shape), "%zu, ", tensor->dims[i]);
    about = text_format("{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }", shape);
    memset(out, ' ', header - 1);
    out[header - 1] = '\n';
    memcpy(out, "\x93NUMPY\x01\x00\x76\x00", 10);
    memcpy(out + 10, about, strlen(about));
    memcpy(out + header, tensor->data, tensor->count * sizeof(float));
    return (struct part){ name, text_format("%s.npy", name), "application/x-npy", out, size };
}

static void by_npy(struct daemon *daemon, const char *folder)
{
    struct onnx_case onnx;
    struct answer *answer;
    struct part parts[5] = { { NULL } };
    float got;

    onnx_read(&onnx, folder);
    parts[0] = (struct part){ "params", NULL, "application/json",
                              text_format("{%s}", onnx.attributes + 1), 0 };
    parts[1] = npy_part("image", &onnx.x);
    parts[2] = npy_part("weights", &onnx.w);
    if (onnx.b.count)
        parts[3] = npy_part("bias", &onnx.b);
    answer = http_call(
        daemon,
        &(struct call){ .path = "/convolve", .accept = "application/x-npy", .parts = parts });
    assert_ok(answer);
    assert_shape(answer, &onnx.y);
    assert_memory_equal(answer->body, "\x93NUMPY\x01", 7);
    assert_non_null(strstr(answer->body + 10, "'<f4'"));
    assert_true(answer->size > onnx.y.count * sizeof got);
    for (size_t i = 0; i < onnx.y.count; i++) {
        memcpy(&got, answer->body + answer->size - (onnx.y.count - i) * sizeof got, sizeof got);
        assert_close(got, onnx.y.data[i], i);
    }
}

/* --- the Open Inference Protocol, whose operands and attributes have ONNX's names --------------- */

#define INFER "/v2/models/conv2d/infer"

/* The attributes as the protocol's parameters: it has no lists, so they become strings. */
static char *parameters(const struct onnx_case *onnx)
{
    char *text = text_format("{%s}", *onnx->attributes ? onnx->attributes + 1 : "");

    for (char *at = text; *at; at++)
        if (*at == '[' || *at == ']')
            *at = '"';
    return text;
}

/* One input; data is what follows its datatype. */
static char *input(const char *name, const struct onnx_tensor *tensor, const char *data)
{
    char shape[100] = "";

    for (int i = 0; i < tensor->rank; i++)
        sprintf(shape + strlen(shape), "%s%zu", i ? "," : "", tensor->dims[i]);
    return text_format("{\"name\":\"%s\",\"shape\":[%s],\"datatype\":\"FP32\",%s}", name, shape,
                       data);
}

static char *json_input(const char *name, const struct onnx_tensor *tensor)
{
    return input(name, tensor, text_format("\"data\":%s", json_numbers(tensor)));
}

static char *binary_input(const char *name, const struct onnx_tensor *tensor)
{
    return input(
        name, tensor,
        text_format("\"parameters\":{\"binary_data_size\":%zu}", tensor->count * sizeof(float)));
}

static void by_infer_json(struct daemon *daemon, const char *folder)
{
    struct onnx_case onnx;
    struct answer *answer;
    const cJSON *number;
    size_t i = 0;

    onnx_read(&onnx, folder);
    answer = http_call(
        daemon,
        &(struct call){ .path = INFER,
                        .body = text_format(
                            "{\"inputs\":[%s,%s%s%s],\"parameters\":%s}", json_input("X", &onnx.x),
                            json_input("W", &onnx.w), onnx.b.count ? "," : "",
                            onnx.b.count ? json_input("B", &onnx.b) : "", parameters(&onnx)) });
    assert_ok(answer);
    assert_shape(answer, &onnx.y);
    assert_int_equal(cJSON_GetArraySize(answer_json(answer, "outputs.0.data")), onnx.y.count);
    cJSON_ArrayForEach(number, answer_json(answer, "outputs.0.data")) {
        assert_close(number->valuedouble, onnx.y.data[i], i);
        i++;
    }
}

static void by_infer_binary(struct daemon *daemon, const char *folder)
{
    const struct onnx_tensor *tensors[3];
    struct onnx_case onnx;
    struct answer *answer;
    const char *length;
    char *json, *body, *at;
    size_t header;

    onnx_read(&onnx, folder);
    json =
        text_format("{\"inputs\":[%s,%s%s%s],\"parameters\":{\"binary_data_output\":true%s}}",
                    binary_input("X", &onnx.x), binary_input("W", &onnx.w), onnx.b.count ? "," : "",
                    onnx.b.count ? binary_input("B", &onnx.b) : "", onnx.attributes);
    tensors[0] = &onnx.x;
    tensors[1] = &onnx.w;
    tensors[2] = &onnx.b;
    body =
        keep(malloc(strlen(json) + (onnx.x.count + onnx.w.count + onnx.b.count) * sizeof(float)));
    at = body + strlen(json);
    memcpy(body, json, strlen(json));
    for (int i = 0; i < 3 && tensors[i]->count; i++) {
        memcpy(at, tensors[i]->data, tensors[i]->count * sizeof(float));
        at += tensors[i]->count * sizeof(float);
    }
    answer = http_call(
        daemon, &(struct call){ .path = INFER,
                                .headers = { text_format("Inference-Header-Content-Length: %zu",
                                                         strlen(json)) },
                                .body = body,
                                .size = (size_t)(at - body) });
    assert_ok(answer);
    assert_shape(answer, &onnx.y);
    length = answer_header(answer, "Inference-Header-Content-Length");
    assert_non_null(length);
    header = strtoul(length, NULL, 10);
    assert_int_equal(answer->size, header + onnx.y.count * sizeof(float));
    for (size_t i = 0; i < onnx.y.count; i++) {
        float got;

        memcpy(&got, answer->body + header + i * sizeof got, sizeof got);
        assert_close(got, onnx.y.data[i], i);
    }
}

#define CASE(folder, name)                                                                         \
    TEST(name##_by_json)                                                                           \
    {                                                                                              \
        by_json(NULL, ROOT #folder "/" #name);                                                     \
    }                                                                                              \
    TEST(name##_by_npy)                                                                            \
    {                                                                                              \
        by_npy(NULL, ROOT #folder "/" #name);                                                      \
    }                                                                                              \
    TEST(name##_by_inference_in_json)                                                              \
    {                                                                                              \
        by_infer_json(NULL, ROOT #folder "/" #name);                                               \
    }                                                                                              \
    TEST(name##_by_inference_in_binary)                                                            \
    {                                                                                              \
        by_infer_binary(NULL, ROOT #folder "/" #name);                                             \
    }
#include "tests/conformance/cases.def"
