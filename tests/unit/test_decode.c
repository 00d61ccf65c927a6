/* Which carrier a body is, what its picture becomes, and what only the whole request can tell. */
#include "api/base64.h"
#include "api/gunzip.h"
#include "api/npy.h"
#include "tests/unit/decoding.h"

#include <libdeflate.h>

#define PGM "P5\n3 2\n255\n\1\2\3\4\5\6"
static const struct bytes pgm = { PGM, sizeof PGM - 1 };

/* 2x1 RGB pixels. */
#define PPM "P6\n2 1\n255\n\12\24\36\50\62\74"
static const struct bytes ppm = { PPM, sizeof PPM - 1 };

/* A float32 npy of these dimensions, whose numbers count from 0. */
static struct bytes npy_of(const size_t *dims, int rank)
{
    static char file[NPY_HEADER + 1024];
    char *end = npy_header(file, dims, rank);
    size_t count = 1;

    for (int i = 0; i < rank; i++)
        count *= dims[i];
    for (size_t i = 0; i < count; i++) {
        float value = (float)i;

        memcpy(end + i * sizeof value, &value, sizeof value);
    }
    return (struct bytes){ file, (size_t)(end - file) + count * sizeof(float) };
}

/* A uint8 npy, likewise. */
static struct bytes npy_bytes(const char *shape, int count)
{
    static char file[256];
    int size =
        sprintf(file + 10, "{'descr': '|u1', 'fortran_order': False, 'shape': (%s), }\n", shape);

    memcpy(file, "\x93NUMPY\1\0", 8);
    file[8] = (char)size;
    file[9] = 0;
    for (int i = 0; i < count; i++)
        file[10 + size + i] = (char)i;
    return (struct bytes){ file, (size_t)(10 + size + count) };
}

static bool image(const char *json)
{
    static char body[4096];

    snprintf(body, sizeof body, "{\"image\":%s,\"weights\":\"identity\"}", json);
    return decode("application/json", "", body);
}

/* --- carriers -------------------------------------------------------------------------------- */

TEST(a_picture_is_known_by_its_first_bytes_whatever_the_type_says)
{
    static const char *const types[] = {
        "",           "application/octet-stream", "application/x-www-form-urlencoded",
        "image/png",  "image/x-portable-anymap",  "application/x-npy",
        "text/plain", "text/plain; charset=utf-8"
    };

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        assert_decodes(decode_bytes(types[i], "kernel=identity", pgm));
        assert_int_equal(request.image.shape.width, 3);
        assert_true(request.image.data[5] == 6);
    }
}

TEST(json_is_known_by_its_first_byte_too)
{
    static const char *const types[] = { "",
                                         "application/json",
                                         "application/json; charset=utf-8",
                                         "Application/JSON",
                                         "application/vnd.x+json",
                                         "application/x-www-form-urlencoded",
                                         "text/plain" };

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        assert_decodes(decode(types[i], "", " \n{\"image\":[[1]],\"weights\":[[1]]}"));
}

TEST(what_curl_sends_with_d_may_be_a_form)
{
    assert_decodes(
        decode("application/x-www-form-urlencoded", "", "image=ramp&kernel=sobel%5Fx&stride=2"));
    assert_int_equal(request.params.stride[0], 2);
    assert_string_equal(request.bank, "sobel_x");
    assert_refuses(decode("application/x-www-form-urlencoded", "stride=1", "image=ramp&stride=2"),
                   ERR_TWICE, "stride", "in the query and in the form");
}

TEST(unknown_bytes_are_415_only_under_a_type_that_is_not_read)
{
    assert_refuses(decode("", "kernel=identity", "hello"), ERR_IMAGE, "image", "PNG, JPEG");
    assert_refuses(decode("application/octet-stream", "kernel=identity", "hello"), ERR_IMAGE,
                   "image", "PNG, JPEG");
    assert_refuses(decode("image/png", "kernel=identity", "hello"), ERR_IMAGE, "image", "PNG");
    assert_refuses(decode("text/csv", "kernel=identity", "1,2"), ERR_MEDIA, "", "\"text/csv\"");
    assert_refuses(decode("application/jsonx", "kernel=identity", "1"), ERR_MEDIA, "",
                   "multipart/form-data");
    assert_refuses(decode("image/webp", "kernel=identity", "RIFF\1\1\1\1WEBPVP8 "), ERR_MEDIA,
                   "image", "PNG");
}

TEST(a_body_called_json_must_be_an_object)
{
    assert_refuses(decode("application/json", "", "[[1,2],[3,4]]"), ERR_SYNTAX, "", "object");
    assert_refuses(decode("application/json", "", "hello"), ERR_SYNTAX, "", "byte 0");
    assert_refuses(decode("application/json", "", "{\"image\":[[1]]"), ERR_SYNTAX, "", "byte 14");
}

TEST(without_an_image_the_sentence_says_how_to_send_one)
{
    assert_refuses(decode("", "kernel=identity", ""), ERR_PARAMETER, "image", "form part image");
    assert_refuses(decode("application/json", "", "{\"weights\":[[1]]}"), ERR_PARAMETER, "image",
                   "there is no image");
    assert_decodes(decode("", "kernel=identity&image=ramp", ""));
    assert_refuses(decode("", "kernel=identity&input=3x8x8", ""), ERR_PARAMETER, "input", "/plan");
    assert_refuses(decode_bytes("", "kernel=identity&image=ramp", pgm), ERR_TWICE, "image",
                   "in the query and in the body");
}

/* --- images in JSON --------------------------------------------------------------------------- */

TEST(nested_numbers_are_rows_channels_and_pictures)
{
    assert_decodes(image("[[1,2,3],[4,5,6]]"));
    assert_int_equal(request.image.shape.count, 1);
    assert_int_equal(request.image.shape.channels, 1);
    assert_int_equal(request.image.shape.height, 2);
    assert_int_equal(request.image.shape.width, 3);
    assert_int_equal(request.picture.count, 0);
    assert_decodes(image("[[[1,2],[3,4]],[[5,6],[7,8]]]"));
    assert_int_equal(request.image.shape.channels, 2);
    assert_true(request.image.data[4] == 5);
    assert_decodes(image("[[[[1]]],[[[2]]],[[[3]]]]"));
    assert_int_equal(request.image.shape.count, 3);
    assert_refuses(image("[1,2,3]"), ERR_SHAPE, "image", "1 dimensions");
    assert_refuses(image("[[[[[1]]]]]"), ERR_SHAPE, "image", "5 dimensions");
    assert_refuses(image("[]"), ERR_PARAMETER, "image", "nested lists");
    assert_refuses(image("[[],[]]"), ERR_PARAMETER, "image", "nested lists");
    assert_refuses(image("3"), ERR_PARAMETER, "image", "nested lists");
    assert_refuses(image("true"), ERR_PARAMETER, "image", "nested lists");
    assert_refuses(image("[[1,\"2\"]]"), ERR_PARAMETER, "image", "nested lists");
}

TEST(a_shape_stands_beside_a_flat_list_or_base64)
{
    assert_decodes(image("{\"shape\":[1,2,1,3],\"data\":[1,2,3,4,5,6]}"));
    assert_int_equal(request.image.shape.channels, 2);
    assert_true(request.image.data[5] == 6);
    assert_decodes(image("{\"shape\":[1,2],\"base64\":\"AACAPwAAAEA=\"}"));
    assert_true(request.image.data[0] == 1 && request.image.data[1] == 2);
    assert_refuses(image("{\"shape\":[1,3],\"data\":[1,2]}"), ERR_SHAPE, "image",
                   "2 numbers but its shape has 3");
    assert_refuses(image("{\"shape\":[1,3],\"base64\":\"AACAPwAAAEA=\"}"), ERR_SHAPE, "image",
                   "8 bytes");
    assert_refuses(image("{\"shape\":[1,2],\"base64\":\"AACAPwAAAEA\"}"), ERR_PARAMETER, "image",
                   "base64");
    assert_refuses(image("{\"shape\":[1,0],\"data\":[1]}"), ERR_PARAMETER, "image", "1 to");
    assert_refuses(image("{\"shape\":[1.5],\"data\":[1]}"), ERR_PARAMETER, "image", "whole");
    assert_refuses(image("{\"shape\":[1,2],\"data\":[1,1e39]}"), ERR_PARAMETER, "image",
                   "image holds a number beyond float32's range, 3.4e38");
    assert_refuses(image("{\"shape\":[2147483647,2147483647,2147483647],\"data\":[1]}"),
                   ERR_TOO_LARGE, "image", "any memory");
    assert_refuses(image("{\"shape\":[1,1]}"), ERR_PARAMETER, "image", "data");
    assert_refuses(image("{\"shape\":[1,1],\"data\":[1],\"base64\":\"AA==\"}"), ERR_PARAMETER,
                   "image", "data");
    assert_refuses(image("{\"shape\":\"1x1\",\"data\":[1]}"), ERR_PARAMETER, "image", "list");
    assert_refuses(image("{\"shape\":[1,1,1,1,1,1,1,1,1],\"data\":[1]}"), ERR_PARAMETER, "image",
                   "1 to 8");
    assert_refuses(image("{\"data\":[1]}"), ERR_PARAMETER, "image", "shape");
    assert_refuses(image("{\"shape\":[1,1],\"dtype\":1}"), ERR_UNKNOWN, "image", "\"dtype\"");
    assert_refuses(image("{}"), ERR_PARAMETER, "image", "shape");
}

TEST(base64_holds_a_picture_an_npy_or_a_data_url)
{
    char text[1024], *end, json[2048];
    struct bytes file = npy_of((size_t[]){ 2, 3 }, 2);

    end = base64_write(text, pgm.data, pgm.size);
    *end = '\0';
    sprintf(json, "{\"base64\":\"%s\"}", text);
    assert_decodes(image(json));
    assert_int_equal(request.image.shape.width, 3);
    assert_string_equal(request.picture.format, "pnm");
    sprintf(json, "\"data:image/x-portable-graymap;base64,%s\"", text);
    assert_decodes(image(json));
    assert_int_equal(request.image.shape.width, 3);
    sprintf(json, "{\"base64\":\"data:image/x-portable-graymap;base64,%s\"}", text);
    assert_decodes(image(json));
    end = base64_write(text, file.data, file.size);
    *end = '\0';
    sprintf(json, "{\"npy\":\"%s\"}", text);
    assert_decodes(image(json));
    assert_true(request.image.data[5] == 5);
    sprintf(json, "{\"base64\":\"%s\"}", text);
    assert_decodes(image(json));
    assert_refuses(image("{\"base64\":\"AAA\"}"), ERR_PARAMETER, "image", "base64");
    assert_refuses(image("{\"base64\":5}"), ERR_PARAMETER, "image", "");
    assert_refuses(image("{\"base64\":\"aGVsbG8=\"}"), ERR_MEDIA, "image", "PNG");
}

TEST(a_sample_has_a_name_and_a_size)
{
    assert_decodes(image("{\"sample\":\"ramp\",\"size\":16}"));
    assert_int_equal(request.image.shape.height, 16);
    assert_string_equal(request.picture.format, "sample");
    assert_decodes(image("{\"sample\":\"ramp\"}"));
    assert_decodes(image("\"ramp\""));
    assert_refuses(image("{\"sample\":\"rampp\"}"), ERR_PARAMETER, "image/sample", "did you mean");
    assert_refuses(image("{\"sample\":\"ramp\",\"size\":0}"), ERR_PARAMETER, "image/size", "1 to");
    assert_refuses(image("{\"sample\":\"ramp\",\"size\":4097}"), ERR_PARAMETER, "image/size",
                   "4096");
    assert_refuses(image("{\"sample\":\"ramp\",\"size\":\"8\"}"), ERR_PARAMETER, "image/size",
                   "whole number");
    assert_refuses(image("{\"sample\":\"ramp\",\"side\":8}"), ERR_UNKNOWN, "image", "size");
    assert_refuses(image("{\"sample\":7}"), ERR_PARAMETER, "image/sample", "name");
    start();
    limits.pixels = 100;
    message.query = "image=ramp&kernel=identity";
    assert_refuses(convolve_decode(&message, &limits, arena, &request, &err), ERR_TOO_LARGE,
                   "image/size", "256x256");
}

/* --- arrays ---------------------------------------------------------------------------------- */

TEST(a_float_npy_is_channels_first_and_a_byte_npy_channels_last)
{
    assert_decodes(
        decode_bytes("application/x-npy", "kernel=identity", npy_of((size_t[]){ 3, 2, 4 }, 3)));
    assert_int_equal(request.image.shape.channels, 3);
    assert_int_equal(request.image.shape.width, 4);
    assert_int_equal(request.picture.count, 0);
    assert_decodes(decode_bytes("application/x-npy", "kernel=identity", npy_bytes("2, 4, 3", 24)));
    assert_int_equal(request.image.shape.channels, 3);
    assert_int_equal(request.image.shape.height, 2);
    assert_true(request.image.data[1] == 3 && request.image.data[8] == 1);
    assert_string_equal(request.picture.format, "npy");
    assert_decodes(decode_bytes("", "kernel=identity&input_layout=chw", npy_bytes("2, 4, 3", 24)));
    assert_int_equal(request.image.shape.channels, 2);
    assert_true(request.image.data[1] == 1);
    assert_decodes(decode_bytes("", "kernel=identity", npy_bytes("4, 3", 12)));
    assert_int_equal(request.image.shape.height, 4);
    assert_decodes(decode_bytes("", "kernel=identity", npy_bytes("2, 1, 2, 3", 12)));
    assert_int_equal(request.image.shape.count, 2);
    assert_int_equal(request.image.shape.channels, 3);
    assert_true(request.image.data[1] == 3 && request.image.data[6] == 6);
    assert_refuses(decode_bytes("", "kernel=identity", npy_of((size_t[]){ 4 }, 1)), ERR_SHAPE,
                   "image", "1 dimensions");
}

TEST(input_layout_turns_numbers_around)
{
    assert_decodes(decode("", "",
                          "{\"image\":[[[1,2],[3,4],[5,6]]],\"input_layout\":\"hwc\","
                          "\"weights\":\"identity\"}"));
    assert_int_equal(request.image.shape.channels, 2);
    assert_int_equal(request.image.shape.width, 3);
    assert_true(request.image.data[1] == 3 && request.image.data[3] == 2);
}

/* --- pixels ---------------------------------------------------------------------------------- */

TEST(input_scale_mean_and_std_are_for_pictures_and_numbers_alike)
{
    const char *query = "kernel=identity&input_scale=0.5&mean=1,2,3&std=1,2,4";

    assert_decodes(decode_bytes("", query, ppm));
    assert_true(request.image.data[0] == 4 && request.image.data[2] == 4 &&
                request.image.data[5] == 6.75f);
    assert_decodes(decode("", query, "{\"image\":[[[10,40]],[[20,50]],[[30,60]]]}"));
    assert_true(request.image.data[0] == 4 && request.image.data[2] == 4 &&
                request.image.data[5] == 6.75f);
    assert_refuses(decode_bytes("", query, pgm), ERR_SHAPE, "mean", "3 numbers");
    assert_refuses(decode("", "mean=1&std=1,2", "{\"image\":[[1]],\"weights\":[[1]]}"), ERR_SHAPE,
                   "std", "2 numbers");
    assert_decodes(decode("", "mean=1",
                          "{\"image\":[[[3]],[[4]],[[5]],[[6]],[[7]]],"
                          "\"kernel\":\"identity\"}"));
    assert_true(request.image.data[4] == 6);
}

TEST(channels_make_grey_of_colour_and_colour_of_grey)
{
    assert_decodes(decode_bytes("", "kernel=identity&channels=1", ppm));
    assert_int_equal(request.image.shape.channels, 1);
    assert_true(request.image.data[0] == 18); /* 0.299 * 10 + 0.587 * 20 + 0.114 * 30 = 18.15 */
    assert_decodes(decode_bytes("", "kernel=identity&channels=3", pgm));
    assert_int_equal(request.image.shape.channels, 3);
    assert_refuses(decode("", "channels=3", "{\"image\":[[1]],\"weights\":[[1]]}"), ERR_SHAPE,
                   "channels", "numbers with 1 channels");
    assert_decodes(decode("", "channels=1", "{\"image\":[[1]],\"weights\":[[1]]}"));
}

TEST(dropped_alpha_is_told)
{
    assert_decodes(decode_bytes("", "kernel=identity", npy_bytes("1, 2, 4", 8)));
    assert_int_equal(request.image.shape.channels, 3);
    assert_int_equal(request.warnings.count, 1);
    assert_non_null(strstr(request.warnings.text[0], "alpha"));
    assert_decodes(decode_bytes("", "kernel=identity&channels=4", npy_bytes("1, 2, 4", 8)));
    assert_int_equal(request.image.shape.channels, 4);
    assert_int_equal(request.warnings.count, 0);
}

TEST(a_picture_over_the_pixel_limit_is_refused_by_its_header)
{
    start();
    limits.pixels = 5;
    message.query = "kernel=identity";
    message.body = with_slack(pgm.data, pgm.size);
    assert_false(convolve_decode(&message, &limits, arena, &request, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_string_equal(err.field, "image");
}

TEST(a_request_over_its_memory_is_refused_not_crashed)
{
    for (size_t limit = 0; limit < 400000; limit += 1999) {
        struct arena *small = arena_create(limit);
        bool decoded;

        start();
        message.query = "image=ramp&kernel=gaussian5&bias=1&flip=true";
        decoded = convolve_decode(&message, &limits, small, &request, &err);
        if (!decoded)
            assert_int_equal(err.code, ERR_TOO_LARGE);
        arena_destroy(small);
    }
}

/* --- gzip ------------------------------------------------------------------------------------ */

static bool decode_gzip(const char *encoding, const void *data, size_t size)
{
    start();
    message.content_encoding = encoding;
    message.query = "kernel=identity";
    message.body = with_slack(data, size);
    return convolve_decode(&message, &limits, arena, &request, &err);
}

static size_t gzip(const void *data, size_t size, char *out, size_t most)
{
    struct libdeflate_compressor *deflater = libdeflate_alloc_compressor(9);
    size_t written = libdeflate_gzip_compress(deflater, data, size, out, most);

    libdeflate_free_compressor(deflater);
    return written;
}

TEST(a_gzip_body_is_inflated)
{
    char out[512];
    size_t size = gzip(pgm.data, pgm.size, out, sizeof out);

    assert_decodes(decode_gzip("gzip", out, size));
    assert_true(request.image.data[5] == 6);
    assert_decodes(decode_gzip("X-GZIP", out, size));
    assert_decodes(decode_gzip("identity", pgm.data, pgm.size));
    assert_refuses(decode_gzip("br", out, size), ERR_MEDIA, "", "gzip or none");
    assert_refuses(decode_gzip("gzip, gzip", out, size), ERR_MEDIA, "", "gzip or none");
    assert_refuses(decode_gzip("gzip", pgm.data, pgm.size), ERR_SYNTAX, "", "too short");
    for (size_t cut = 18; cut < size; cut++)
        assert_false(decode_gzip("gzip", out, cut));
    for (size_t at = 0; at < size; at++) { /* each byte damaged: the checksum or the header tells */
        out[at] ^= 0x10;
        if (decode_gzip("gzip", out, size))
            assert_in_range(at, 4, 10); /* time, system, and the padding of a stored block */
        out[at] ^= 0x10;
    }
    out[size] = 0;
    assert_false(decode_gzip("gzip", out, size + 1));
}

TEST(a_gzip_bomb_is_refused_before_it_is_inflated)
{
    size_t size = (size_t)GUNZIP_FREE + 4096, written;
    char *zeros = calloc(size, 1), *out = malloc(1 << 20);

    written = gzip(zeros, size, out, 1 << 20);
    assert_in_range(written, 1, 20000);
    assert_refuses(decode_gzip("gzip", out, written), ERR_TOO_LARGE, "", "64 times");
    assert_true(arena_peak(arena) < 1 << 20);
    memset(out + written - 4, 0, 4); /* its trailer lies: libdeflate stops at the end of its room */
    assert_refuses(decode_gzip("gzip", out, written), ERR_SYNTAX, "", "gzip stream");
    start();
    written = gzip(zeros, 1 << 20, out, 1 << 20);
    limits.memory = 1 << 19;
    message.content_encoding = "gzip";
    message.body = with_slack(out, written);
    assert_refuses(convolve_decode(&message, &limits, arena, &request, &err), ERR_TOO_LARGE, "",
                   "1048576 bytes");
    start(); /* what others hold of the memory is missing, too */
    arena_destroy(arena);
    arena = arena_create(1 << 19);
    message.content_encoding = "gzip";
    message.body = with_slack(out, written);
    assert_refuses(convolve_decode(&message, &limits, arena, &request, &err), ERR_TOO_LARGE, "",
                   "the body inflates to 1048576 bytes, over the memory limit");
    free(zeros);
    free(out);
}

/* --- plans ----------------------------------------------------------------------------------- */

TEST(a_plan_needs_shapes_only)
{
    assert_decodes(plan("input=3x227x227&K=96&F=11&S=4", ""));
    assert_int_equal(request.image.shape.count, 1);
    assert_int_equal(request.image.shape.channels, 3);
    assert_int_equal(request.image.shape.width, 227);
    assert_null(request.image.data);
    assert_null(request.inputs.weights);
    assert_int_equal(request.weight_shape.count, 96);
    assert_int_equal(request.weight_shape.channels, 3);
    assert_decodes(plan("input=2x3x8x9&K=6&F=3,2&groups=3", ""));
    assert_int_equal(request.image.shape.count, 2);
    assert_int_equal(request.weight_shape.channels, 1);
    assert_int_equal(request.weight_shape.width, 2);
    assert_decodes(plan("", "{\"input\":[3,8,9],\"K\":6,\"kernel_shape\":[3,3]}"));
    assert_int_equal(request.image.shape.width, 9);
    assert_decodes(plan("", "{\"input\":\"8x9\",\"kernel\":\"sobel_x\"}"));
    assert_int_equal(request.image.shape.height, 8);
    assert_non_null(request.inputs.weights);
    assert_decodes(plan("kernel=identity", "{\"image\":[[1]]}"));
    assert_decodes(plan("input=8,9,3&input_layout=hwc&K=1&F=1", ""));
    assert_int_equal(request.image.shape.channels, 3);
}

TEST(a_plan_says_what_it_misses)
{
    assert_refuses(plan("K=96&F=11", ""), ERR_PARAMETER, "input", "input=3x227x227");
    assert_refuses(plan("input=3x8x8&F=3", ""), ERR_PARAMETER, "out_channels", "(K)");
    assert_refuses(plan("input=3x8x8&K=3", ""), ERR_PARAMETER, "kernel_size", "(F)");
    assert_refuses(plan("input=3x8x8&K=3&F=3&groups=2", ""), ERR_SHAPE, "groups", "3 channels");
    assert_refuses(plan("input=3x8x8&image=cat&kernel=box3", ""), ERR_TWICE, "input", "image");
    assert_refuses(plan("input=3x8&input=3x8", ""), ERR_TWICE, "input", "twice");
    assert_refuses(plan("input=3xx8&K=1&F=1", ""), ERR_PARAMETER, "input", "like 3x227x227");
    assert_refuses(plan("input=3x8x8x&K=1&F=1", ""), ERR_PARAMETER, "input", "like");
    assert_refuses(plan("input=3x-8x8&K=1&F=1", ""), ERR_PARAMETER, "input", "like");
    assert_refuses(plan("input=1x2x3x4x5&K=1&F=1", ""), ERR_PARAMETER, "input", "like");
    assert_refuses(plan("input=8&K=1&F=1", ""), ERR_PARAMETER, "input", "like");
    assert_refuses(plan("input=cat&K=1&F=1", ""), ERR_PARAMETER, "input", "like");
    assert_refuses(plan("input=3x0x8&K=1&F=1", ""), ERR_SHAPE, "input", "dimension of 0");
    assert_refuses(plan("input=3x99999999999999999999x8&K=1&F=1", ""), ERR_SHAPE, "input",
                   "dimension");
    assert_refuses(plan("", "{\"input\":[3,0.5,8],\"K\":1,\"F\":1}"), ERR_PARAMETER, "input",
                   "1 to");
    assert_refuses(plan("", "{\"input\":{},\"K\":1,\"F\":1}"), ERR_PARAMETER, "input", "like");
    assert_refuses(plan("input=2147483647x2147483647x2147483647&K=1&F=1", ""), ERR_TOO_LARGE,
                   "input", "any memory");
}

/* --- admission ------------------------------------------------------------------------------- */

static bool admit(const char *query, const char *body)
{
    struct conv_plan plan_;

    if (!decode("", query, body))
        fail_msg("%s", err.detail);
    if (!conv_plan_init(&plan_, &request.params, request.image.shape, NULL, &err))
        fail_msg("%s", err.detail);
    return convolve_admit(&request, &plan_, &limits, &err);
}

static bool admit_with(size_t output, uint64_t macs, const char *query)
{
    struct conv_plan plan_;

    start();
    message.query = query;
    limits.output = output;
    limits.macs = macs;
    return convolve_decode(&message, &limits, arena, &request, &err) &&
           conv_plan_init(&plan_, &request.params, request.image.shape, NULL, &err) &&
           convolve_admit(&request, &plan_, &limits, &err);
}

TEST(outputs_and_work_over_the_limits_are_refused_with_the_numbers)
{
    const char *query = "image={\"sample\":\"ramp\",\"size\":16}&kernel=identity&channels=1";

    assert_decodes(admit_with(1024, 2304, query));
    assert_refuses(admit_with(1023, 2304, query), ERR_TOO_LARGE, "",
                   "1024 bytes and the limit is "
                   "1023");
    assert_refuses(admit_with(1024, 2303, query), ERR_TOO_LARGE, "", "2304 multiply-adds");
    query = "image={\"sample\":\"ramp\",\"size\":16}&kernel=identity&channels=1&what=columns";
    assert_refuses(admit_with(1024 * 9 - 1, 2304, query), ERR_TOO_LARGE, "", "9216 bytes");
    assert_decodes(admit_with(1024 * 9, 2304, query));
    query = "image={\"sample\":\"ramp\",\"size\":16}&kernel=identity&channels=1&what=weights";
    assert_decodes(admit_with(36, 2304, query));
    assert_refuses(admit_with(35, 2304, query), ERR_TOO_LARGE, "", "36 bytes");
    query =
        "image={\"sample\":\"ramp\",\"size\":16}&kernel=kirsch8&channels=1&maps=1,2&what=features";
    assert_decodes(admit_with(2048, 1000000, query));
    assert_refuses(admit_with(2047, 1000000, query), ERR_TOO_LARGE, "", "2048 bytes");
    query = "image={\"sample\":\"ramp\",\"size\":16}&kernel=identity&channels=1&what=input";
    assert_refuses(admit_with(1023, 1000000, query), ERR_TOO_LARGE, "", "1024 bytes");
}

TEST(maps_and_points_outside_the_output_are_refused_with_its_shape)
{
    const char *body = "{\"image\":[[1,2,3],[4,5,6]],\"weights\":[[[[1]]],[[[2]]]]}";

    assert_decodes(admit("maps=1", body));
    assert_refuses(admit("maps=0,2", body), ERR_PARAMETER, "maps", "0 to 1");
    assert_decodes(admit("explain={\"k\":1,\"y\":1,\"x\":2}", body));
    assert_refuses(admit("explain={\"k\":1,\"y\":2,\"x\":2}", body), ERR_PARAMETER, "explain",
                   "[1, 2, 2, 3]");
    assert_refuses(admit("explain={\"k\":2,\"y\":0,\"x\":0}", body), ERR_PARAMETER, "explain",
                   "k 2");
    assert_refuses(admit("explain={\"k\":0,\"y\":0,\"x\":0,\"n\":1}", body), ERR_PARAMETER,
                   "explain", "n 1");
}

TEST(rows_and_columns_that_no_window_reaches_are_told)
{
    assert_decodes(admit("S=2", "{\"image\":[[1,2,3,4],[5,6,7,8]],\"weights\":[[1,1,1]]}"));
    assert_int_equal(request.warnings.count, 1);
    assert_non_null(strstr(request.warnings.text[0], "last 1 rows and 1 columns"));
    assert_decodes(admit("S=1", "{\"image\":[[1,2,3,4],[5,6,7,8]],\"weights\":[[1,1,1]]}"));
    assert_int_equal(request.warnings.count, 0);
}

TEST(warnings_beyond_the_eighth_are_dropped_not_written)
{
    struct warnings warnings = { 0 };

    for (int i = 0; i < 20; i++)
        warn(&warnings, "number %d", i);
    assert_int_equal(warnings.count, MAX_WARNINGS);
    assert_string_equal(warnings.text[MAX_WARNINGS - 1], "number 7");
}
