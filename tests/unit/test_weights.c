/* Weights in every form, how they meet the picture's channels, and what is folded into them. */
#include "api/base64.h"
#include "api/npy.h"
#include "tests/unit/decoding.h"

#include <math.h>

#define GREY  "\"image\":[[1,2,3],[4,5,6],[7,8,9]]"
#define RGB   "\"image\":[[[1,2],[3,4]],[[5,6],[7,8]],[[9,10],[11,12]]]"
#define SIXTH "\"image\":[[[1]],[[2]],[[3]],[[4]],[[5]],[[6]]]"

static bool with(const char *image, const char *members)
{
    static char body[8192];

    snprintf(body, sizeof body, "{%s,%s}", image, members);
    return decode("application/json", "", body);
}

static void assert_shape(int count, int channels, int height, int width)
{
    assert_int_equal(request.weight_shape.count, count);
    assert_int_equal(request.weight_shape.channels, channels);
    assert_int_equal(request.weight_shape.height, height);
    assert_int_equal(request.weight_shape.width, width);
    assert_int_equal(request.params.out_channels, count);
    assert_int_equal(request.params.kernel_size[0], height);
    assert_int_equal(request.params.kernel_size[1], width);
}

static float weight(int i)
{
    return request.inputs.weights[i];
}

/* --- forms ----------------------------------------------------------------------------------- */

TEST(nested_weights_are_kernels_filters_and_layers)
{
    assert_decodes(with(GREY, "\"weights\":[[1,2],[3,4]]"));
    assert_shape(1, 1, 2, 2);
    assert_true(weight(2) == 3);
    assert_decodes(with(RGB, "\"weights\":[[[1,2]],[[3,4]],[[5,6]]]"));
    assert_shape(1, 3, 1, 2);
    assert_int_equal(request.params.groups, 1);
    assert_decodes(with(RGB, "\"weights\":[[[[1]],[[2]],[[3]]],[[[4]],[[5]],[[6]]]]"));
    assert_shape(2, 3, 1, 1);
    assert_true(weight(3) == 4);
    assert_refuses(with(GREY, "\"weights\":[1,2,3]"), ERR_SHAPE, "weights", "1 dimensions");
    assert_refuses(with(GREY, "\"weights\":[[[[[1]]]]]"), ERR_SHAPE, "weights", "5 dimensions");
    assert_refuses(with(GREY, "\"weights\":[]"), ERR_SHAPE, "weights", "empty");
    assert_refuses(with(GREY, "\"weights\":5"), ERR_PARAMETER, "weights", "nested lists");
    assert_refuses(with(GREY, "\"weights\":true"), ERR_PARAMETER, "weights", "nested lists");
    assert_refuses(with(GREY, "\"stride\":1"), ERR_PARAMETER, "weights", "there are no weights");
}

TEST(weights_have_a_shape_beside_data_or_base64_or_come_as_npy)
{
    char text[1024], file[NPY_HEADER + 8], json[2048],
        *end = npy_header(file, (size_t[]){ 1, 2 }, 2);
    const float numbers[] = { 1.5f, -2 };

    assert_decodes(with(GREY, "\"weights\":{\"shape\":[1,1,1,2],\"data\":[1,2]}"));
    assert_shape(1, 1, 1, 2);
    assert_decodes(with(GREY, "\"weights\":{\"shape\":[2,1],\"base64\":\"AACAPwAAAEA=\"}"));
    assert_shape(1, 1, 2, 1);
    assert_true(weight(1) == 2);
    memcpy(end, numbers, sizeof numbers);
    *base64_write(text, file, (size_t)(end - file) + sizeof numbers) = '\0';
    sprintf(json, "\"weights\":{\"npy\":\"%s\"}", text);
    assert_decodes(with(GREY, json));
    assert_shape(1, 1, 1, 2);
    assert_true(weight(0) == 1.5f && weight(1) == -2);
    assert_refuses(with(GREY, "\"weights\":{\"shape\":[1,2],\"data\":[1]}"), ERR_SHAPE, "weights",
                   "1 numbers but its shape has 2");
    assert_refuses(with(GREY, "\"weights\":{\"npy\":\"aGVsbG8=\"}"), ERR_PARAMETER, "weights",
                   "npy, safetensors or JSON");
}

/* A form with a picture and this safetensors file of six floats, 1 to 6. */
/* A file of weights may be JSON, in base64 as in a form's part. */
TEST(weights_in_a_json_file_are_nested_numbers)
{
    assert_decodes(with(GREY, "\"weights\":{\"base64\":\"W1sxLDJdLFszLDRdXQ==\"}"));
    assert_shape(1, 1, 2, 2);
    assert_true(weight(0) == 1 && weight(1) == 2 && weight(2) == 3 && weight(3) == 4);
    assert_refuses(with(GREY, "\"weights\":{\"base64\":\"W1sxLDJdLFszXV0=\"}"), ERR_SHAPE,
                   "weights", "");
    assert_refuses(with(GREY, "\"weights\":{\"base64\":\"W1sxLDI=\"}"), ERR_SYNTAX, "weights", "");
    assert_refuses(with(GREY, "\"weights\":{\"base64\":\"aGVsbG8=\"}"), ERR_PARAMETER, "weights",
                   "weights must be npy, safetensors or JSON; its first bytes are none of these");
}

static bool send_safetensors(const char *header)
{
    static const float numbers[] = { 1, 2, 3, 4, 5, 6 };
    static char body[2048];
    uint64_t size = strlen(header);
    char *at = body;

    at += sprintf(at, "--AB\r\nContent-Disposition: form-data; name=image\r\n\r\n[[1,2],[3,4]]\r\n"
                      "--AB\r\nContent-Disposition: form-data; name=weights; filename=w\r\n\r\n");
    memcpy(at, &size, sizeof size);
    memcpy(at + sizeof size, header, size);
    memcpy(at + sizeof size + size, numbers, sizeof numbers);
    at += sizeof size + size + sizeof numbers;
    at += sprintf(at, "\r\n--AB--\r\n");
    return decode_bytes("multipart/form-data; boundary=AB", "",
                        (struct bytes){ body, (size_t)(at - body) });
}

TEST(a_safetensors_file_holds_the_weights_and_perhaps_the_bias)
{
    assert_decodes(send_safetensors("{\"conv1\":{\"dtype\":\"F32\",\"shape\":[3,1,1,2],"
                                    "\"data_offsets\":[0,24]}}"));
    assert_shape(3, 1, 1, 2);
    assert_null(request.inputs.bias);
    assert_decodes(send_safetensors("{\"bias\":{\"dtype\":\"F32\",\"shape\":[2],"
                                    "\"data_offsets\":[0,8]},\"weight\":{\"dtype\":\"F32\","
                                    "\"shape\":[2,1,1,2],\"data_offsets\":[8,24]}}"));
    assert_shape(2, 1, 1, 2);
    assert_true(weight(0) == 3 && request.inputs.bias[1] == 2);
    assert_refuses(send_safetensors("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],"
                                    "\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\","
                                    "\"shape\":[2,1,1,2],\"data_offsets\":[8,24]}}"),
                   ERR_PARAMETER, "weights", "a, b");
}

TEST(weight_layouts_are_turned_into_oihw)
{
    /* O 1, I 2, H 1, W 3: the number of weight [i][x] is 10 i + x. */
    static const char *const layouts[][2] = {
        { "oihw", "[[[[0,1,2]],[[10,11,12]]]]" },
        { "hwio", "[[[[0],[10]],[[1],[11]],[[2],[12]]]]" },
        { "ohwi", "[[[[0,10],[1,11],[2,12]]]]" },
        { "ihwo", "[[[[0],[1],[2]]],[[[10],[11],[12]]]]" },
    };
    char members[256];

    for (int i = 0; i < 4; i++) {
        sprintf(members, "\"weight_layout\":\"%s\",\"weights\":%s", layouts[i][0], layouts[i][1]);
        assert_decodes(with("\"image\":[[[1,2,3]],[[4,5,6]]]", members));
        assert_shape(1, 2, 1, 3);
        for (int k = 0; k < 6; k++)
            assert_true(weight(k) == (float)(k / 3 * 10 + k % 3));
    }
    assert_refuses(with(GREY, "\"weight_layout\":\"hwio\",\"weights\":[[1]]"), ERR_SHAPE,
                   "weight_layout", "4 dimensions");
}

TEST(presets_come_by_name_alone_or_in_a_list)
{
    assert_decodes(with(GREY, "\"weights\":\"sobel_x\""));
    assert_shape(1, 1, 3, 3);
    assert_string_equal(request.bank, "sobel_x");
    assert_int_equal(request.bank_kind, BANK_DERIVATIVE);
    assert_true(weight(3) == -2);
    assert_decodes(with(GREY, "\"weights\":[\"sobel_x\",\"sobel_y\"]"));
    assert_shape(2, 1, 3, 3);
    assert_string_equal(request.bank, "sobel_x,sobel_y");
    assert_true(weight(3) == -2 && weight(9 + 1) == -2);
    assert_decodes(with(GREY, "\"weights\":\"edges\""));
    assert_shape(2, 1, 3, 3);
    assert_string_equal(request.bank, "edges");
    assert_decodes(
        with("\"image\":{\"sample\":\"scene\",\"size\":16}", "\"weights\":\"learned96\""));
    assert_shape(96, 3, 11, 11);
    assert_int_equal(request.params.stride[0], 4);
    assert_int_equal(request.params.pads[0], 0);
    assert_int_equal(request.params.auto_pad, AUTO_PAD_NOTSET);
    assert_refuses(with(GREY, "\"weights\":\"sobel_xx\""), ERR_PARAMETER, "weights", "sobel_x");
    assert_refuses(with(GREY, "\"weights\":[\"sobel_x\",\"gaussian5\"]"), ERR_SHAPE, "weights",
                   "gaussian5 has kernels of 5x5 but sobel_x has 3x3");
    assert_refuses(with(GREY, "\"weights\":[\"sobel_x\",1]"), ERR_PARAMETER, "weights", "names");
    assert_refuses(with(GREY, "\"weights\":[[1,2],\"sobel_x\"]"), ERR_PARAMETER, "weights",
                   "names");
}

TEST(generators_take_their_numbers_and_refuse_others)
{
    assert_decodes(with(GREY, "\"weights\":{\"gaussian\":{\"size\":3,\"sigma\":1}}"));
    assert_shape(1, 1, 3, 3);
    assert_string_equal(request.bank, "gaussian");
    assert_int_equal(request.bank_kind, BANK_SMOOTHING);
    assert_true(fabs(weight(4) - 0.2042) < 1e-4);
    assert_decodes(with(GREY, "\"weights\":{\"gabor\":{\"size\":3,\"orientations\":4}}"));
    assert_shape(4, 1, 3, 3);
    assert_decodes(with(GREY, "\"weights\":{\"log\":{\"size\":7,\"sigma\":1}}"));
    assert_shape(1, 1, 7, 7);
    assert_decodes(with(GREY, "\"weights\":{\"motion\":{\"size\":3,\"angle\":0}}"));
    assert_shape(1, 1, 3, 3);
    assert_decodes(with(GREY, "\"weights\":{\"dct8\":{}},\"padding\":4"));
    assert_shape(64, 1, 8, 8);
    assert_decodes(with(GREY, "\"weights\":\"dct8\",\"padding\":4"));
    assert_shape(64, 1, 8, 8);
    assert_decodes(with(GREY, "\"weights\":{\"gaussian\":{}},\"kernel_size\":3"));
    assert_shape(1, 1, 3, 3);
    assert_decodes(decode("", "image=ramp&kernel={\"motion\":{\"size\":5}}", ""));
    assert_shape(1, 1, 5, 5);
    assert_refuses(with(GREY, "\"weights\":{\"gaussian\":{\"size\":0}}"), ERR_PARAMETER,
                   "weights/gaussian/size", "1 to 255");
    assert_refuses(with(GREY, "\"weights\":{\"gaussian\":{\"size\":2.5}}"), ERR_PARAMETER,
                   "weights/gaussian/size", "whole");
    assert_refuses(with(GREY, "\"weights\":{\"gaussian\":{\"sigma\":\"1\"}}"), ERR_PARAMETER,
                   "weights/gaussian/sigma", "number");
    assert_refuses(with(GREY, "\"weights\":{\"gaussian\":{\"sigma\":-1}}"), ERR_PARAMETER,
                   "weights/gaussian/sigma", "-1");
    assert_refuses(with(GREY, "\"weights\":{\"gaussian\":{\"theta\":1}}"), ERR_UNKNOWN, "weights",
                   "it takes size sigma");
    assert_refuses(with(GREY, "\"weights\":{\"gaussian\":3}"), ERR_PARAMETER, "weights", "object");
    assert_refuses(with(GREY, "\"weights\":{\"gausian\":{}}"), ERR_UNKNOWN, "weights", "gausian");
    assert_refuses(with(GREY, "\"weights\":\"gaussian\",\"kernel_size\":[3,5]"), ERR_SHAPE,
                   "kernel_size", "square");
    assert_refuses(with(GREY, "\"weights\":\"gaussian\",\"kernel_size\":301"), ERR_SHAPE,
                   "kernel_size", "255");
}

TEST(random_weights_have_the_shape_that_is_asked_for_and_repeat)
{
    float first;

    assert_decodes(with(RGB, "\"weights\":{\"random\":{\"seed\":7}},\"K\":4,\"F\":[1,2]"));
    assert_shape(4, 3, 1, 2);
    assert_int_equal(request.params.groups, 1);
    assert_int_equal(request.bank_kind, BANK_LAYER);
    first = weight(5);
    assert_decodes(with(RGB, "\"weights\":{\"random\":{\"seed\":7}},\"K\":4,\"F\":[1,2]"));
    assert_true(weight(5) == first);
    assert_decodes(with(RGB, "\"weights\":{\"random\":{\"seed\":8}},\"K\":4,\"F\":[1,2]"));
    assert_true(weight(5) != first);
    assert_decodes(with(RGB, "\"weights\":{\"random\":{\"init\":\"xavier\"}},\"K\":3,\"F\":1,"
                             "\"groups\":\"depthwise\""));
    assert_shape(3, 1, 1, 1);
    assert_decodes(with(GREY, "\"weights\":\"random\",\"filters\":2,\"F\":2"));
    assert_shape(2, 1, 2, 2);
    assert_refuses(with(RGB, "\"weights\":\"random\",\"F\":2"), ERR_PARAMETER, "out_channels",
                   "(K)");
    assert_refuses(with(RGB, "\"weights\":\"random\",\"K\":2"), ERR_PARAMETER, "kernel_size",
                   "(F)");
    assert_refuses(with(RGB, "\"weights\":\"random\",\"K\":2,\"F\":1,\"groups\":2"), ERR_SHAPE,
                   "groups", "3 channels");
    assert_refuses(with(RGB, "\"weights\":{\"random\":{\"init\":\"zeros\"}},\"K\":1,\"F\":1"),
                   ERR_PARAMETER, "weights/random/init", "he or xavier");
    assert_refuses(
        with(RGB, "\"weights\":{\"random\":{\"seed\":9007199254740993}},\"K\":1,\"F\":1"),
        ERR_PARAMETER, "weights/random/seed", "0 to 9007199254740991");
    assert_refuses(with(RGB, "\"weights\":\"random\",\"K\":65536,\"F\":4096"), ERR_TOO_LARGE,
                   "weights", "");
}

/* --- channels -------------------------------------------------------------------------------- */

TEST(a_kernel_of_numbers_works_on_each_channel)
{
    assert_decodes(with(RGB, "\"weights\":[[1,2]]"));
    assert_shape(3, 1, 1, 2);
    assert_int_equal(request.params.groups, 3);
    assert_true(weight(4) == 1 && weight(5) == 2);
    assert_int_equal(request.range, RANGE_CLIP);
    assert_int_equal(request.params.auto_pad, AUTO_PAD_NOTSET); /* padding is 0 by default */
}

TEST(smoothing_presets_are_depthwise_and_as_large_as_the_picture)
{
    assert_decodes(with(RGB, "\"weights\":\"box3\""));
    assert_shape(3, 1, 3, 3);
    assert_int_equal(request.params.groups, 3);
    assert_int_equal(request.params.auto_pad, AUTO_PAD_SAME_UPPER);
    assert_int_equal(request.range, RANGE_CLIP);
    assert_decodes(with(RGB, "\"weights\":\"box3\",\"padding\":0"));
    assert_int_equal(request.params.auto_pad, AUTO_PAD_NOTSET);
    assert_decodes(with(RGB, "\"weights\":\"box3\",\"auto_pad\":\"valid\""));
    assert_int_equal(request.params.auto_pad, AUTO_PAD_VALID);
}

TEST(derivative_presets_see_the_luma_of_the_full_depth)
{
    assert_decodes(with(RGB, "\"weights\":\"sobel_x\""));
    assert_shape(1, 3, 3, 3);
    assert_int_equal(request.params.groups, 1);
    assert_true(weight(3) == -2 * bank_luma[0] && weight(9 + 5) == 2 * bank_luma[1] &&
                weight(18 + 2) == bank_luma[2]);
    assert_int_equal(request.range, RANGE_ABS);
    assert_decodes(with("\"image\":[[[1]],[[2]],[[3]],[[4]]]", "\"weights\":\"sobel_x\""));
    assert_shape(1, 4, 3, 3);
    assert_true(weight(27 + 3) == 0); /* alpha */
    assert_decodes(with("\"image\":[[[1]],[[2]]]", "\"weights\":\"sobel_x\""));
    assert_true(weight(3) == -1 && weight(9 + 3) == -1);
    assert_decodes(with(RGB, "\"weights\":\"edges\""));
    assert_shape(2, 3, 3, 3);
}

TEST(groups_and_depth_override_how_a_kernel_meets_the_channels)
{
    assert_decodes(with(RGB, "\"weights\":\"sobel_x\",\"groups\":\"depthwise\""));
    assert_shape(3, 1, 3, 3);
    assert_int_equal(request.params.groups, 3);
    assert_decodes(with(RGB, "\"weights\":\"sobel_x\",\"groups\":3"));
    assert_shape(3, 1, 3, 3);
    assert_decodes(with(RGB, "\"weights\":\"box3\",\"groups\":1"));
    assert_shape(1, 3, 3, 3);
    assert_true(weight(0) == weight(9));
    assert_decodes(with(RGB, "\"weights\":\"sobel_x\",\"groups\":1"));
    assert_true(weight(3) == -2 * bank_luma[0]);
    assert_decodes(with(RGB, "\"weights\":\"sobel_x\",\"depth\":\"full\""));
    assert_shape(1, 3, 3, 3);
    assert_true(weight(3) == -2 && weight(9 + 3) == -2);
    assert_decodes(with(RGB, "\"weights\":\"sobel_x\",\"depth\":\"depthwise\""));
    assert_shape(3, 1, 3, 3);
    assert_decodes(with(RGB, "\"weights\":[[1,2]],\"depth\":\"luma\""));
    assert_shape(1, 3, 1, 2);
    assert_true(weight(5) == 2 * bank_luma[2]);
    assert_refuses(with(SIXTH, "\"weights\":[[1]],\"groups\":2"), ERR_SHAPE, "groups",
                   "takes 1, or 6");
    assert_refuses(with(RGB, "\"weights\":[[1]],\"groups\":1,\"depth\":\"depthwise\""), ERR_SHAPE,
                   "groups", "depth must agree");
    assert_refuses(with(RGB, "\"weights\":[[[[1]],[[1]],[[1]]]],\"depth\":\"luma\""), ERR_PARAMETER,
                   "depth", "2-D kernels");
}

TEST(several_kernels_on_several_channels_are_ordered_as_frameworks_do)
{
    assert_decodes(with(RGB, "\"weights\":[\"sobel_x\",\"sobel_y\"],\"groups\":3"));
    assert_shape(6, 1, 3, 3); /* channel 0: x, y; channel 1: x, y; ... */
    for (int k = 0; k < 6; k++)
        assert_true(weight(9 * k + 3) == (k % 2 ? 0 : -2));
}

TEST(grouped_weights_must_fit_the_channels)
{
    assert_decodes(
        with(SIXTH, "\"weights\":[[[[1]],[[2]]],[[[3]],[[4]]],[[[5]],[[6]]]],\"groups\":3"));
    assert_shape(3, 2, 1, 1);
    assert_refuses(with(RGB, "\"weights\":[[[[1]],[[2]]]]"), ERR_SHAPE, "weights",
                   "for 2 channels but the input has 3");
    assert_refuses(with(RGB, "\"weights\":[[[[1]]]],\"groups\":2"), ERR_SHAPE, "groups",
                   "does not divide the input's 3 channels");
}

TEST(numbers_given_beside_the_weights_are_checked_not_believed)
{
    assert_decodes(with(GREY, "\"weights\":[[1,2]],\"K\":1,\"F\":[1,2]"));
    assert_decodes(with(GREY, "\"weights\":[[1,2]],\"kernel_w\":2"));
    assert_refuses(with(GREY, "\"weights\":[[1,2]],\"K\":2"), ERR_SHAPE, "out_channels",
                   "out_channels is 2 but the weights make 1");
    assert_refuses(with(RGB, "\"weights\":[[1,2]],\"K\":1"), ERR_SHAPE, "out_channels", "make 3");
    assert_refuses(with(GREY, "\"weights\":[[1,2]],\"F\":2"), ERR_SHAPE, "kernel_size",
                   "kernel_size is 2x2 but the weights are 1x2");
    assert_refuses(with(GREY, "\"weights\":[[1,2]],\"kernel_h\":2"), ERR_SHAPE, "kernel_size",
                   "1x2");
}

/* --- folding --------------------------------------------------------------------------------- */

TEST(flip_turns_each_kernel_by_half_a_turn)
{
    static const float turned[] = { 3, 2, 1, 6, 5, 4 };

    assert_decodes(with("\"image\":[[[1,2,3]],[[4,5,6]]]",
                        "\"weights\":[[[[1,2,3]],[[4,5,6]]]],\"flip\":true"));
    for (int i = 0; i < 6; i++)
        assert_true(weight(i) == turned[i]);
    assert_decodes(with(GREY, "\"weights\":[[1,2],[3,4]],\"flip\":true"));
    assert_true(weight(0) == 4 && weight(1) == 3 && weight(3) == 1);
}

TEST(scale_divisor_and_normalize_are_computed_in_double_and_rounded_once)
{
    assert_decodes(with(GREY, "\"weights\":[[1,2],[3,4]],\"scale\":0.1"));
    assert_true(weight(2) == (float)(3 * 0.1));
    assert_true(request.fields.scale == 0.1f);
    assert_decodes(with(GREY, "\"weights\":[[1,2],[3,4]],\"divisor\":16"));
    assert_true(weight(3) == 0.25f && request.fields.scale == 0.0625f);
    assert_decodes(with(GREY, "\"weights\":[[1,2],[3,4]],\"normalize\":true"));
    assert_true(weight(3) == 0.4f);
    assert_decodes(with(GREY, "\"weights\":[[1,-1],[3,-3]],\"normalize\":true"));
    assert_true(weight(2) == 3); /* a sum of 0 counts as 1 */
    assert_decodes(with(GREY, "\"weights\":[[[[1,3]]],[[[2,2]]]],\"normalize\":true,\"scale\":2"));
    assert_true(weight(1) == 1.5f && weight(2) == 1);
    assert_refuses(with(GREY, "\"weights\":[[1]],\"divisor\":0"), ERR_PARAMETER, "divisor",
                   "other than 0");
    assert_refuses(with(GREY, "\"weights\":[[1]],\"divisor\":\"9\""), ERR_PARAMETER, "divisor",
                   "a number");
}

TEST(the_bias_is_a_number_a_list_or_an_offset_on_top)
{
    assert_decodes(with(GREY, "\"weights\":[[1]]"));
    assert_null(request.inputs.bias);
    assert_decodes(with(RGB, "\"weights\":[[1]],\"bias\":2,\"offset\":0.5"));
    for (int k = 0; k < 3; k++)
        assert_true(request.inputs.bias[k] == 2.5f);
    assert_decodes(with(RGB, "\"weights\":[[1]],\"bias\":[1,2,3]"));
    assert_true(request.inputs.bias[2] == 3);
    assert_decodes(with(RGB, "\"weights\":[[1]],\"bias\":{\"shape\":[3],\"data\":[1,2,3]}"));
    assert_true(request.inputs.bias[2] == 3);
    assert_decodes(decode("", "image=ramp&kernel=identity&bias=-1.5", ""));
    assert_true(request.inputs.bias[0] == -1.5f);
    assert_decodes(decode("", "image=ramp&kernel=edges&bias=1,2", ""));
    assert_true(request.inputs.bias[1] == 2);
    assert_refuses(with(RGB, "\"weights\":[[1]],\"bias\":[1,2]"), ERR_SHAPE, "bias",
                   "2 numbers but there are 3 filters");
    assert_refuses(with(RGB, "\"weights\":[[1]],\"bias\":\"relief\""), ERR_PARAMETER, "bias",
                   "bias must be");
    assert_refuses(with(RGB, "\"weights\":[[1]],\"bias\":1e999"), ERR_PARAMETER, "bias", "inf");
}

TEST(reliefs_grey_middle_is_in_the_pictures_units)
{
    assert_decodes(decode("", "image=ramp&kernel=relief", ""));
    assert_true(request.inputs.bias[0] == 127.5f);
    assert_decodes(decode("", "image=ramp&kernel=relief&input_scale=0.5&offset=1", ""));
    assert_true(request.inputs.bias[0] == 64.75f);
    assert_decodes(decode("", "image=ramp&kernel=relief&bias=3", ""));
    assert_true(request.inputs.bias[0] == 3);
    assert_decodes(with(GREY, "\"weights\":\"relief\""));
    assert_true(request.inputs.bias[0] == 0.5f);
}

TEST(a_bank_brings_its_stride_and_padding_unless_the_request_has_its_own)
{
    assert_decodes(decode("", "image=ramp&kernel=haar_ll", ""));
    assert_int_equal(request.params.stride[1], 2);
    assert_int_equal(request.params.auto_pad, AUTO_PAD_NOTSET);
    assert_int_equal(request.params.pads[0], 0);
    assert_decodes(decode("", "image=ramp&kernel=haar_ll&stride=1&padding=1", ""));
    assert_int_equal(request.params.stride[1], 1);
    assert_int_equal(request.params.pads[0], 1);
}

TEST(the_range_follows_the_bank_and_the_layer_unless_it_is_given)
{
    assert_decodes(decode("", "image=ramp&kernel=gaussian3", ""));
    assert_int_equal(request.range, RANGE_CLIP);
    assert_decodes(decode("", "image=ramp&kernel=sobel_x", ""));
    assert_int_equal(request.range, RANGE_ABS);
    assert_decodes(decode("", "image=ramp&kernel=sobel_x&range=symmetric", ""));
    assert_int_equal(request.range, RANGE_SYMMETRIC);
    assert_decodes(decode("", "image=ramp&kernel=random&K=2&F=3", ""));
    assert_int_equal(request.range, RANGE_MINMAX);
    assert_decodes(with(RGB, "\"weights\":[[[1]],[[1]],[[1]]]"));
    assert_int_equal(request.range, RANGE_MINMAX);
    assert_decodes(with(GREY, "\"weights\":[[1]]"));
    assert_int_equal(request.range, RANGE_CLIP);
}
