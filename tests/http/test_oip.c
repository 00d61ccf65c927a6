/* A client of the Open Inference Protocol, written from the protocol's text and knowing nothing of the
 * server's sources: what KServe's and Triton's clients send, and what they look at in the reply. */
#include "tests/http/harness.h"

#include <stdio.h>
#include <stdlib.h>

#define INFER "/v2/models/conv2d/infer"

/* Y = 2 * X + 0.5 on [1,1,2,2]. */
#define W "{\"name\":\"W\",\"shape\":[1,1,1,1],\"datatype\":\"FP32\",\"data\":[2]}"
#define B "{\"name\":\"B\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":[0.5]}"
#define X "{\"name\":\"X\",\"shape\":[1,1,2,2],\"datatype\":\"FP32\",\"data\":[1,2,3,4]}"

static struct answer *infer(const char *json)
{
    return http_send(.path = INFER, .body = json);
}

/* The JSON at a binary reply's start, and the bytes behind it. */
static cJSON *split(struct answer *answer, const char **tensors, size_t *size)
{
    const char *length = answer_header(answer, "Inference-Header-Content-Length");
    size_t json = length ? strtoul(length, NULL, 10) : answer->size;

    assert_int_equal(answer->status, 200);
    assert_non_null(length);
    assert_string_equal(answer_header(answer, "Content-Type"), "application/octet-stream");
    assert_true(json > 0 && json <= answer->size);
    *tensors = answer->body + json;
    *size = answer->size - json;
    answer->json = cJSON_ParseWithLength(answer->body, json);
    assert_non_null(answer->json);
    return answer->json;
}

/* A binary request: the JSON, its length in a header of any case, the tensors. */
static struct answer *infer_binary(const char *header, const char *json, const void *tensors,
                                   size_t size)
{
    size_t length = strlen(json);
    char *body = keep(malloc(length + size));

    memcpy(body, json, length);
    memcpy(body + length, tensors, size);
    return http_send(.path = INFER, .headers = { text_format("%s: %zu", header, length) },
                     .body = body, .size = length + size);
}

/* gzip as RFC 1952 has it, its one block not compressed. */
static struct call gzipped(const char *json)
{
    size_t size = strlen(json), at = 10;
    unsigned char *out = keep(calloc(1, size + 64));
    uint32_t crc = ~0u;

    assert_true(size < 65536);
    memcpy(out, "\x1f\x8b\x08", 3);
    out[at++] = 1;
    memcpy(out + at, &(uint16_t){ (uint16_t)size }, 2);
    memcpy(out + at + 2, &(uint16_t){ (uint16_t)~size }, 2);
    memcpy(out + at + 4, json, size);
    for (size_t i = 0; i < size; i++) {
        crc ^= (unsigned char)json[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    memcpy(out + at + 4 + size, &(uint32_t){ ~crc }, 4);
    memcpy(out + at + 8 + size, &(uint32_t){ (uint32_t)size }, 4);
    return (struct call){
        .path = INFER, .headers = { "content-encoding: gzip" }, .body = out, .size = at + 12 + size
    };
}

TEST(a_client_finds_the_server_live_and_ready_and_reads_its_name)
{
    static const char *const roots[] = { "/v2", "/v2/" };

    for (int i = 0; i < 2; i++) {
        struct answer *answer = http_get(roots[i]);

        assert_int_equal(answer->status, 200);
        assert_string_equal(answer_text(answer, "name"), "convolved");
        assert_true(strlen(answer_text(answer, "version")) > 0);
        assert_string_equal(answer_text(answer, "extensions.0"), "binary_tensor_data");
    }
    assert_string_equal(http_get("/v2/health/live")->body, "{\"live\":true}");
    assert_string_equal(http_get("/v2/health/ready")->body, "{\"ready\":true}");
    assert_int_equal(http_get("/v2/health/live")->status, 200);
    assert_int_equal(http_get("/v2/health/ready")->status, 200);
    assert_int_equal(http_send(.path = "/v2/health/live", .method = "HEAD")->status, 200);
}

TEST(a_client_finds_the_model_ready_and_reads_its_tensors)
{
    static const char *const paths[] = { "/v2/models/conv2d", "/v2/models/conv2d/versions/1" };

    for (int i = 0; i < 2; i++) {
        struct answer *answer = http_get(paths[i]);
        struct answer *ready = http_get(text_format("%s/ready", paths[i]));

        assert_int_equal(answer->status, 200);
        assert_string_equal(answer_text(answer, "name"), "conv2d");
        assert_string_equal(answer_print(answer, "versions"), "[\"1\"]");
        assert_string_equal(answer_text(answer, "inputs.0.name"), "X");
        assert_string_equal(answer_text(answer, "inputs.0.datatype"), "FP32");
        assert_string_equal(answer_print(answer, "inputs.0.shape"), "[-1,-1,-1,-1]");
        assert_string_equal(answer_text(answer, "inputs.1.datatype"), "BYTES");
        assert_string_equal(answer_text(answer, "outputs.0.name"), "Y");
        assert_int_equal(ready->status, 200);
        assert_string_equal(ready->body, "{\"name\":\"conv2d\",\"ready\":true}");
    }
}

TEST(json_inference_needs_no_content_type_and_gets_its_id_back)
{
    struct answer *answer = infer("{\"id\":\"42\",\"inputs\":[" X "," W "," B "]}");

    assert_int_equal(answer->status, 200);
    assert_string_equal(answer_header(answer, "Content-Type"), "application/json");
    assert_null(answer_header(answer, "Inference-Header-Content-Length"));
    assert_string_equal(answer_header(answer, "Convolved-Output-Shape"), "1,1,2,2");
    assert_string_equal(answer_text(answer, "id"), "42");
    assert_string_equal(answer_text(answer, "model_name"), "conv2d");
    assert_string_equal(answer_text(answer, "outputs.0.name"), "Y");
    assert_string_equal(answer_text(answer, "outputs.0.datatype"), "FP32");
    assert_string_equal(answer_print(answer, "outputs.0.shape"), "[1,1,2,2]");
    assert_string_equal(answer_print(answer, "outputs.0.data"), "[2.5,4.5,6.5,8.5]");
    answer = http_send(.path = "/v2/models/conv2d/versions/1/infer", .type = "text/plain",
                       .body = "{\"inputs\":[" X "," W "]}");
    assert_string_equal(answer_print(answer, "outputs.0.data"), "[2,4,6,8]");
}

TEST(a_gzipped_request_is_the_same_request)
{
    struct call call = gzipped("{\"inputs\":[" X "," W "," B "]}");
    struct answer *answer = http_call(NULL, &call);

    assert_int_equal(answer->status, 200);
    assert_string_equal(answer_print(answer, "outputs.0.data"), "[2.5,4.5,6.5,8.5]");
    ((char *)(uintptr_t)call.body)[call.size - 8] ^= 1; /* the check sum */
    assert_problem(http_call(NULL, &call), 400, "malformed", "", "gzip");
}

/* As tritonclient.http does it: a lower-case header, binary_data_output, outputs left out. */
TEST(binary_inference_works_with_the_header_in_any_case)
{
    static const char *const headers[] = { "inference-header-content-length",
                                           "Inference-Header-Content-Length",
                                           "INFERENCE-HEADER-CONTENT-LENGTH" };
    static const char json[] =
        "{\"id\":\"7\",\"parameters\":{\"binary_data_output\":true},\"inputs\":["
        "{\"name\":\"X\",\"shape\":[1,1,2,2],\"datatype\":\"FP32\",\"parameters\":"
        "{\"binary_data_size\":16}},{\"name\":\"W\",\"shape\":[1,1,1,1],\"datatype\":\"FP32\","
        "\"parameters\":{\"binary_data_size\":4}}]}";
    static const float tensors[] = { 1, 2, 3, 4, -2 }, want[] = { -2, -4, -6, -8 };

    for (int i = 0; i < 3; i++) {
        struct answer *answer = infer_binary(headers[i], json, tensors, sizeof tensors);
        const char *y;
        size_t size;

        split(answer, &y, &size);
        assert_string_equal(answer_text(answer, "id"), "7");
        assert_string_equal(answer_print(answer, "outputs.0.shape"), "[1,1,2,2]");
        assert_int_equal(answer_number(answer, "outputs.0.parameters.binary_data_size"), 16);
        assert_int_equal(size, 16);
        assert_memory_equal(y, want, sizeof want);
    }
}

TEST(outputs_are_picked_by_name_each_in_its_own_form)
{
    struct answer *answer =
        infer("{\"inputs\":[" X "," W "],\"outputs\":[{\"name\":\"Y\"},{\"name\":\"X_COL\","
              "\"parameters\":{\"binary_data\":true}}]}");
    static const float want[] = { 1, 2, 3, 4 };
    const char *columns;
    size_t size;

    split(answer, &columns, &size);
    assert_string_equal(answer_print(answer, "outputs.0.data"), "[2,4,6,8]");
    assert_string_equal(answer_print(answer, "outputs.1.shape"), "[1,1,4]");
    assert_int_equal(size, sizeof want);
    assert_memory_equal(columns, want, sizeof want);
}

/* The photo as an element of BYTES, as base64, and as the whole body: three times the same maps. */
TEST(a_picture_comes_as_bytes_as_base64_and_as_the_whole_body)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t size, first_size, other_size;
    char *photo = file_read("tests/cases/pictures/cat.jpg", &size);
    char *framed = keep(malloc(4 + size)), *text = keep(calloc(1, size / 3 * 4 + 8)), *at = text;
    const char *first, *other;
    struct answer *answers[3];

    memcpy(framed, &(uint32_t){ (uint32_t)size }, 4);
    memcpy(framed + 4, photo, size);
    for (size_t i = 0; i < size; i += 3) {
        uint32_t three = (uint32_t)(unsigned char)photo[i] << 16;

        three |= i + 1 < size ? (uint32_t)(unsigned char)photo[i + 1] << 8 : 0;
        three |= i + 2 < size ? (unsigned char)photo[i + 2] : 0;
        for (int shift = 18; shift >= 0; shift -= 6)
            *at++ = i + (size_t)(18 - shift) / 6 > size ? '=' : alphabet[three >> shift & 63];
    }
#define PICTURE(rest)                                                                              \
    "{\"parameters\":{\"weights\":\"sobel_x\",\"binary_data_output\":true},\"inputs\":["           \
    "{\"name\":\"IMAGE\",\"shape\":[1],\"datatype\":\"BYTES\"," rest "}]}"
    answers[0] =
        infer_binary("Inference-Header-Content-Length",
                     text_format(PICTURE("\"parameters\":{\"binary_data_size\":%zu}"), 4 + size),
                     framed, 4 + size);
    answers[1] = infer(text_format(PICTURE("\"data\":[\"%s\"]"), text));
    answers[2] =
        http_send(.path = INFER "?weights=sobel_x",
                  .headers = { "Inference-Header-Content-Length: 0" }, .body = photo, .size = size);
    split(answers[0], &first, &first_size);
    assert_true(first_size > 1000);
    for (int i = 1; i < 3; i++) {
        split(answers[i], &other, &other_size);
        assert_int_equal(other_size, first_size);
        assert_memory_equal(other, first, first_size);
    }
}

TEST(every_refusal_carries_error_and_is_not_200)
{
    static const struct {
        const char *path, *body;
        int status;
        const char *words;
    } refusals[] = {
        { INFER, "{\"inputs\":[" X "]}", 400, "W" },
        { INFER, "{", 400, "byte" },
        { INFER, "not json", 400, "byte 0" },
        { INFER, "{\"inputs\":[" X "," W "],\"parameters\":{\"pad\":\"1\",\"pads\":\"1,1,1,1\"}}",
          400, "pads" },
        { "/v2/models/resnet/infer", "{}", 404, "resnet" },
        { "/v2/models/conv2d/versions/9/infer", "{}", 404, "version" },
        { "/v2/models/resnet", NULL, 404, "resnet" },
        { "/v2/models/resnet/ready", NULL, 404, "resnet" },
        { INFER, NULL, 405, "POST" },
        { "/v2/models/conv2d", "{}", 405, "GET" },
        { "/v2/models", NULL, 404, "nothing" },
        { "/v2/models//infer", "{}", 404, "nothing" },
    };

    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct answer *answer = http_send(.path = refusals[i].path, .body = refusals[i].body);

        if (answer->status != refusals[i].status ||
            !strstr(answer_text(answer, "error"), refusals[i].words))
            fail_msg("%s %s: %d %s", refusals[i].path, refusals[i].body ? refusals[i].body : "",
                     answer->status, answer->body);
    }
}

TEST(a_header_length_over_the_body_and_bytes_left_over_are_refused)
{
    static const float tensors[6] = { 0 };
    static const char json[] =
        "{\"inputs\":[{\"name\":\"X\",\"shape\":[1,1,2,2],\"datatype\":\"FP32\",\"parameters\":"
        "{\"binary_data_size\":16}}," W "]}";

    assert_problem(infer_binary("Inference-Header-Content-Length", json, tensors, 15), 400,
                   "malformed", "/X", "15 bytes");
    assert_problem(infer_binary("Inference-Header-Content-Length", json, tensors, 20), 400,
                   "malformed", "", "4 bytes are left");
    assert_problem(http_send(.path = INFER, .headers = { "Inference-Header-Content-Length: 99" },
                             .body = "{}"),
                   400, "malformed", "", "2 bytes");
    assert_problem(http_send(.path = INFER, .headers = { "Inference-Header-Content-Length: two" },
                             .body = "{}"),
                   400, "malformed", "", "number");
}
