/* One table, three carriers: names, aliases, ranges, words, and what may be given once only. */
#include "api/params.h"
#include "tests/unit/decoding.h"

#define IMAGE "\"image\":[[1,2,3,4],[5,6,7,8],[9,10,11,12],[13,14,15,16]]"
#define BASE  IMAGE ",\"weights\":[[1,0],[0,1]]"

static bool json(const char *members)
{
    char body[4096];

    snprintf(body, sizeof body, "{" BASE "%s%s}", *members ? "," : "", members);
    return decode("application/json", "", body);
}

static bool query(const char *text)
{
    return decode("application/json", text, "{" BASE "}");
}

TEST(every_row_has_a_name_of_its_own_and_is_found_by_it)
{
    for (int i = 0; i < PARAM_COUNT; i++) {
        assert_non_null(params[i].name);
        assert_non_null(params[i].help);
        assert_ptr_equal(param_find(params[i].name, NULL), &params[i]);
    }
    for (const struct alias *alias = aliases; alias->name; alias++) {
        int part;

        assert_ptr_equal(param_find(alias->name, &part), &params[alias->id]);
        assert_int_equal(part, alias->part);
    }
    assert_null(param_find("no_such", NULL));
}

TEST(words_of_the_table_are_as_many_as_its_range_says)
{
    for (int i = 0; i < PARAM_COUNT; i++)
        if (params[i].kind == PARAM_WORD) {
            assert_non_null(params[i].words);
            assert_non_null(params[i].words[(int)params[i].max]);
            assert_null(params[i].words[(int)params[i].max + 1]);
        }
}

TEST(without_parameters_a_request_has_the_tables_presets)
{
    assert_decodes(json(""));
    assert_int_equal(request.params.stride[0], 1);
    assert_int_equal(request.params.pads[3], 0);
    assert_int_equal(request.params.groups, 1);
    assert_int_equal(request.params.out_channels, 1);
    assert_int_equal(request.params.kernel_size[1], 2);
    assert_int_equal(request.fields.format, FORMAT_JSON);
    assert_int_equal(request.fields.stats, true);
    assert_int_equal(request.fields.verify, false);
    assert_int_equal(request.fields.timeout_ms, 30000);
    assert_int_equal(request.fields.png_level, 1);
    assert_true(request.fields.scale == 1 && request.fields.std[3] == 1);
    assert_string_equal(request.fields.algorithm, "auto");
    assert_null(request.maps);
    assert_null(request.bank);
    assert_int_equal(request.warnings.count, 0);
}

TEST(one_number_or_height_and_width_make_a_pair_in_every_carrier)
{
    assert_decodes(json("\"stride\":3"));
    assert_int_equal(request.params.stride[0], 3);
    assert_int_equal(request.params.stride[1], 3);
    assert_decodes(json("\"strides\":[2,3]"));
    assert_int_equal(request.params.stride[0], 2);
    assert_int_equal(request.params.stride[1], 3);
    assert_decodes(query("S=2"));
    assert_int_equal(request.params.stride[1], 2);
    assert_decodes(query("S=2,3"));
    assert_int_equal(request.params.stride[1], 3);
    assert_decodes(query("S=%5B2%2C+3%5D"));
    assert_int_equal(request.params.stride[0], 2);
    assert_int_equal(request.params.stride[1], 3);
    assert_decodes(query("stride_h=2&stride_w=3"));
    assert_int_equal(request.params.stride[0], 2);
    assert_int_equal(request.params.stride[1], 3);
    assert_decodes(query("stride_w=3"));
    assert_int_equal(request.params.stride[0], 1);
    assert_refuses(json("\"stride\":[1,2,3]"), ERR_PARAMETER, "stride", "[height,width]");
    assert_refuses(json("\"stride\":[]"), ERR_PARAMETER, "stride", "[height,width]");
    assert_refuses(json("\"stride\":{}"), ERR_PARAMETER, "stride", "[height,width]");
    assert_refuses(json("\"stride_h\":[1,2]"), ERR_PARAMETER, "stride", "whole number");
}

TEST(three_point_zero_is_three_and_a_quoted_three_is_not)
{
    assert_decodes(json("\"stride\":3.0"));
    assert_int_equal(request.params.stride[0], 3);
    assert_decodes(json("\"stride\":30e-1"));
    assert_int_equal(request.params.stride[0], 3);
    assert_refuses(json("\"stride\":\"3\""), ERR_PARAMETER, "stride", "whole number");
    assert_refuses(json("\"stride\":2.5"), ERR_PARAMETER, "stride", "stride is 2.5");
    assert_refuses(json("\"stride\":true"), ERR_PARAMETER, "stride", "whole number");
    assert_refuses(query("S=x"), ERR_PARAMETER, "stride", "whole number");
    assert_refuses(query("S=3x"), ERR_PARAMETER, "stride", "\"3x\"");
    assert_refuses(query("S="), ERR_PARAMETER, "stride", "whole number");
    assert_refuses(query("S"), ERR_PARAMETER, "stride", "whole number");
}

TEST(numbers_outside_their_range_are_refused_with_the_range)
{
    assert_refuses(json("\"stride\":0"), ERR_PARAMETER, "stride", "1 to 4096");
    assert_true(err.ranged && err.value == 0 && err.min == 1 && err.max == 4096);
    assert_refuses(json("\"stride\":4097"), ERR_PARAMETER, "stride", "4097");
    assert_refuses(json("\"stride\":9007199254740993"), ERR_PARAMETER, "stride", "1 to 4096");
    assert_refuses(json("\"stride\":1e999"), ERR_PARAMETER, "stride", "1 to 4096");
    assert_refuses(json("\"stride\":-1e999"), ERR_PARAMETER, "stride", "1 to 4096");
    assert_refuses(json("\"groups\":-1"), ERR_PARAMETER, "groups", "0 to 65536");
    assert_refuses(json("\"padding\":5000"), ERR_PARAMETER, "padding", "0 to 4096");
    assert_refuses(json("\"scale\":1e10"), ERR_PARAMETER, "scale", "1000000000");
    assert_refuses(json("\"std\":0"), ERR_PARAMETER, "std", "1e-09");
    assert_refuses(json("\"timeout_ms\":0"), ERR_PARAMETER, "timeout_ms", "1 to 3600000");
    assert_refuses(json("\"digits\":10"), ERR_PARAMETER, "digits", "1 to 9");
    assert_refuses(json("\"png_level\":13"), ERR_PARAMETER, "png_level", "0 to 12");
    assert_refuses(json("\"scale\":NaN"), ERR_SYNTAX, "", "value is expected");
}

TEST(an_unknown_name_is_refused_with_the_nearest_known_one)
{
    assert_refuses(json("\"strid\":2"), ERR_UNKNOWN, "strid", "did you mean stride?");
    assert_refuses(query("kernal=sobel_x"), ERR_UNKNOWN, "kernal", "did you mean kernel?");
    assert_refuses(query("k=3"), ERR_UNKNOWN, "k", "did you mean K?");
    assert_refuses(query("paddng=3"), ERR_UNKNOWN, "paddng", "did you mean padding?");
    assert_refuses(query("Activation=relu"), ERR_UNKNOWN, "Activation", "did you mean activation?");
    assert_refuses(json("\"zzzzzz\":2"), ERR_UNKNOWN, "zzzzzz", "openapi.json");
    assert_refuses(query("=3"), ERR_UNKNOWN, "", "openapi.json");
}

TEST(the_same_name_twice_is_refused_whatever_the_carriers_and_aliases)
{
    assert_refuses(decode("", "stride=2", "{" BASE ",\"S\":2}"), ERR_TWICE, "stride",
                   "given twice, in the query and in the JSON body");
    assert_refuses(query("S=2&S=2"), ERR_TWICE, "stride", "given twice in the query");
    assert_refuses(query("S=2&strides=2"), ERR_TWICE, "stride", "given twice in the query");
    assert_refuses(json("\"S\":1,\"stride\":1"), ERR_TWICE, "stride", "given twice");
    assert_refuses(json("\"S\":1,\"S\":1"), ERR_TWICE, "stride", "given twice");
    assert_refuses(json("\"S\":1,\"\\u0053\":1"), ERR_TWICE, "stride", "given twice");
    assert_refuses(query("stride_h=1&stride_h=1"), ERR_TWICE, "stride", "given twice");
    assert_refuses(query("stride_h=1&stride=1"), ERR_TWICE, "stride", "given twice");
    assert_refuses(query("kernel=sobel_x"), ERR_TWICE, "weights", "given twice");
    assert_refuses(query("image=cat"), ERR_TWICE, "image", "given twice");
    assert_refuses(query("padding=1&pads=1,1,1,1"), ERR_TWICE, "pads", "padding and pads");
    assert_refuses(query("padding=same&auto_pad=VALID"), ERR_TWICE, "auto_pad", "given twice");
    assert_refuses(query("scale=2&divisor=2"), ERR_TWICE, "divisor", "scale and divisor");
    assert_refuses(query("format=png&output.format=png"), ERR_TWICE, "format", "given twice");
    assert_refuses(json("\"output\":{\"format\":\"png\"},\"format\":\"png\""), ERR_TWICE, "format",
                   "given twice");
    assert_refuses(json("\"pool\":\"max\",\"pool_type\":\"max\""), ERR_TWICE, "pool_type",
                   "given twice");
}

TEST(null_is_as_good_as_not_given)
{
    assert_decodes(json("\"bias\":null,\"stride\":null"));
    assert_null(request.inputs.bias);
}

TEST(padding_is_a_number_a_pair_a_word_or_four_named_sides)
{
    const int *pads = request.params.pads;

    assert_decodes(json("\"padding\":2"));
    assert_true(pads[0] == 2 && pads[1] == 2 && pads[2] == 2 && pads[3] == 2);
    assert_decodes(json("\"P\":[1,2]"));
    assert_true(pads[0] == 1 && pads[1] == 2 && pads[2] == 1 && pads[3] == 2);
    assert_decodes(query("pad_h=1"));
    assert_true(pads[0] == 1 && pads[1] == 0 && pads[2] == 1 && pads[3] == 0);
    assert_decodes(query("pad_w=3&pad_h=1"));
    assert_true(pads[0] == 1 && pads[1] == 3 && pads[2] == 1 && pads[3] == 3);
    assert_decodes(json("\"padding\":{\"top\":1,\"right\":4}"));
    assert_true(pads[0] == 1 && pads[1] == 0 && pads[2] == 0 && pads[3] == 4);
    assert_decodes(query("padding={\"bottom\":2}"));
    assert_int_equal(pads[2], 2);
    assert_decodes(query("padding=same"));
    assert_int_equal(request.params.auto_pad, AUTO_PAD_SAME_UPPER);
    assert_decodes(json("\"padding\":\"SAME_LOWER\""));
    assert_int_equal(request.params.auto_pad, AUTO_PAD_SAME_LOWER);
    assert_decodes(json("\"padding\":\"valid\""));
    assert_int_equal(request.params.auto_pad, AUTO_PAD_VALID);
    assert_refuses(json("\"padding\":[1,1,1,1]"), ERR_PARAMETER, "padding", "use pads");
    assert_refuses(json("\"padding\":[1,1,1]"), ERR_PARAMETER, "padding", "[height,width]");
    assert_refuses(json("\"padding\":\"sme\""), ERR_PARAMETER, "padding", "same_upper");
    assert_refuses(json("\"padding\":-1"), ERR_PARAMETER, "padding", "0 to 4096");
    assert_refuses(json("\"padding\":{\"up\":1}"), ERR_UNKNOWN, "padding", "top, left");
    assert_refuses(json("\"padding\":{\"top\":\"1\"}"), ERR_PARAMETER, "padding", "whole numbers");
    assert_refuses(json("\"padding\":{\"top\":-2}"), ERR_PARAMETER, "padding/top", "0 to 4096");
    assert_refuses(json("\"pad_h\":\"same\""), ERR_PARAMETER, "padding", "whole number");
}

TEST(onnx_names_its_four_pads_and_its_auto_pad_in_capitals)
{
    const int *pads = request.params.pads;

    assert_decodes(json("\"pads\":[1,2,3,4],\"auto_pad\":\"NOTSET\""));
    assert_true(pads[0] == 1 && pads[1] == 2 && pads[2] == 3 && pads[3] == 4);
    assert_decodes(query("pads=1,2,3,4"));
    assert_true(pads[0] == 1 && pads[1] == 2 && pads[2] == 3 && pads[3] == 4);
    assert_decodes(query("auto_pad=SAME_UPPER"));
    assert_int_equal(request.params.auto_pad, AUTO_PAD_SAME_UPPER);
    assert_refuses(json("\"pads\":[1,2]"), ERR_PARAMETER, "pads", "[top,left,bottom,right]");
    assert_refuses(json("\"pads\":[1,2,3,4,5]"), ERR_PARAMETER, "pads", "[top,left,bottom,right]");
    assert_refuses(query("auto_pad=SAME"), ERR_PARAMETER, "auto_pad", "same_lower");
    assert_refuses(query("auto_pad=VALID&pads=1,1,1,1"), ERR_PARAMETER, "auto_pad", "leave pads");
}

TEST(words_are_read_in_any_case_and_by_their_usual_other_names)
{
    assert_decodes(query("activation=ReLU&padding_mode=edge"));
    assert_int_equal(request.params.activation, ACTIVATION_RELU);
    assert_int_equal(request.params.padding_mode, PADDING_REPLICATE);
    assert_decodes(query("padding_mode=constant"));
    assert_int_equal(request.params.padding_mode, PADDING_ZEROS);
    assert_decodes(query("padding_mode=wrap"));
    assert_int_equal(request.params.padding_mode, PADDING_CIRCULAR);
    assert_decodes(query("padding_mode=mirror"));
    assert_int_equal(request.params.padding_mode, PADDING_REFLECT);
    assert_decodes(query("channels=1"));
    assert_int_equal(request.fields.channels, CHANNELS_1);
    assert_decodes(json("\"channels\":1"));
    assert_int_equal(request.fields.channels, CHANNELS_1);
    assert_refuses(query("channels=2"), ERR_PARAMETER, "channels", "auto, 1, 3 or 4");
    assert_refuses(json("\"activation\":\"rely\""), ERR_PARAMETER, "activation", "\"rely\"");
    assert_refuses(json("\"activation\":[\"relu\"]"), ERR_PARAMETER, "activation", "none, relu");
}

TEST(booleans_are_true_and_false_and_in_texts_also_one_and_nought)
{
    assert_decodes(json("\"verify\":true,\"stats\":false"));
    assert_true(request.fields.verify && !request.fields.stats);
    assert_decodes(query("verify=1&stats=0&strict=true&flip=false"));
    assert_true(request.fields.verify && !request.fields.stats && request.params.strict);
    assert_false(request.fields.flip);
    assert_refuses(json("\"verify\":1"), ERR_PARAMETER, "verify", "true or false");
    assert_refuses(json("\"verify\":\"true\""), ERR_PARAMETER, "verify", "true or false");
    assert_refuses(query("verify=yes"), ERR_PARAMETER, "verify", "true or false");
}

TEST(depth_is_the_pngs_when_a_number_and_the_banks_when_a_word)
{
    assert_decodes(query("depth=16"));
    assert_int_equal(request.fields.depth, 16);
    assert_int_equal(request.fields.bank_depth, DEPTH_AUTO);
    assert_decodes(query("depth=full"));
    assert_int_equal(request.fields.bank_depth, DEPTH_FULL);
    assert_decodes(json("\"depth\":8,\"bank_depth\":\"luma\""));
    assert_int_equal(request.fields.depth, 8);
    assert_int_equal(request.fields.bank_depth, DEPTH_LUMA);
    assert_refuses(query("depth=12"), ERR_PARAMETER, "depth", "8 or 16");
    assert_refuses(query("depth=deep"), ERR_PARAMETER, "bank_depth", "full");
}

TEST(range_is_a_word_or_two_numbers)
{
    assert_decodes(query("range=0,255"));
    assert_int_equal(request.range, RANGE_GIVEN);
    assert_true(request.fields.range_lo == 0 && request.fields.range_hi == 255);
    assert_decodes(json("\"range\":[-1.5,1.5]"));
    assert_int_equal(request.range, RANGE_GIVEN);
    assert_true(request.fields.range_lo == -1.5f && request.fields.range_hi == 1.5f);
    assert_decodes(json("\"range\":\"-1,1\""));
    assert_true(request.fields.range_lo == -1 && request.fields.range_hi == 1);
    assert_decodes(query("range=global"));
    assert_int_equal(request.range, RANGE_GLOBAL);
    assert_refuses(query("range=lo,hi"), ERR_PARAMETER, "range", "lo,hi");
    assert_refuses(query("range=1,1"), ERR_PARAMETER, "range", "lo below hi");
    assert_refuses(query("range=1"), ERR_PARAMETER, "range", "two numbers");
    assert_refuses(query("range=1,2,3"), ERR_PARAMETER, "range", "two numbers");
    assert_refuses(json("\"range\":[0,1e999]"), ERR_PARAMETER, "range", "lo below hi");
    assert_refuses(query("range=all"), ERR_PARAMETER, "range", "minmax");
}

TEST(pooling_is_an_object_a_word_or_its_flat_names)
{
    assert_decodes(json("\"pool\":{\"type\":\"max\",\"kernel_size\":[2,1],\"stride\":1,"
                        "\"padding\":[1,0]}"));
    assert_int_equal(request.params.pool_type, POOL_MAX);
    assert_int_equal(request.params.pool_kernel_size[1], 1);
    assert_int_equal(request.params.pool_stride[0], 1);
    assert_true(request.params.pool_pads[0] == 1 && request.params.pool_pads[1] == 0 &&
                request.params.pool_pads[2] == 1 && request.params.pool_pads[3] == 0);
    assert_decodes(query("pool=avg"));
    assert_int_equal(request.params.pool_type, POOL_AVG);
    assert_decodes(query("pool={\"type\":\"max\"}"));
    assert_decodes(query("pool_type=max&pool_kernel_size=3"));
    assert_int_equal(request.params.pool_kernel_size[0], 3);
    assert_refuses(query("pool=mean"), ERR_PARAMETER, "pool_type", "max or avg");
    assert_refuses(query("pool_stride=2"), ERR_PARAMETER, "pool_type", "max or avg");
    assert_refuses(json("\"pool\":{\"kernel_size\":2}"), ERR_PARAMETER, "pool_type", "max or avg");
    assert_refuses(json("\"pool\":{\"type\":\"max\",\"size\":2}"), ERR_UNKNOWN, "pool",
                   "kernel_size");
    assert_refuses(json("\"pool\":{\"type\":\"max\",\"stride\":0}"), ERR_PARAMETER, "pool_stride",
                   "1 to 4096");
    assert_refuses(json("\"pool\":2"), ERR_PARAMETER, "pool", "object");
}

TEST(groups_may_be_said_to_be_depthwise)
{
    assert_decodes(
        decode("", "groups=depthwise",
               "{\"image\":[[[1,2],[3,4]],[[5,6],[7,8]]],\"weights\":[[[[1]]],[[[2]]]]}"));
    assert_int_equal(request.params.groups, 0);
    assert_refuses(query("groups=each"), ERR_PARAMETER, "groups", "depthwise");
}

TEST(maps_are_a_number_or_a_list_of_them)
{
    assert_decodes(query("maps=0"));
    assert_int_equal(request.map_count, 1);
    assert_decodes(json("\"maps\":[0,5,9]"));
    assert_int_equal(request.map_count, 3);
    assert_int_equal(request.maps[2], 9);
    assert_decodes(query("maps=0,5,9"));
    assert_int_equal(request.maps[1], 5);
    assert_refuses(query("maps=-1"), ERR_PARAMETER, "maps", "0 to 65535");
    assert_refuses(query("maps=1.5"), ERR_PARAMETER, "maps", "whole number");
    assert_refuses(query("maps=a"), ERR_PARAMETER, "maps", "map numbers");
    assert_refuses(json("\"maps\":[[1]]"), ERR_PARAMETER, "maps", "map numbers");
    assert_refuses(json("\"maps\":[]"), ERR_PARAMETER, "maps", "map numbers");
}

TEST(explain_is_a_list_of_points)
{
    assert_decodes(json("\"explain\":[{\"k\":0,\"y\":1,\"x\":2}]"));
    assert_int_equal(request.explain_count, 1);
    assert_int_equal(request.explain[0].x, 2);
    assert_decodes(query("explain={\"k\":0,\"y\":1,\"x\":2,\"n\":0}"));
    assert_int_equal(request.explain[0].y, 1);
    assert_refuses(json("\"explain\":[{\"k\":0,\"y\":1}]"), ERR_PARAMETER, "explain", "k, y and x");
    assert_refuses(json("\"explain\":[{\"k\":0,\"z\":1}]"), ERR_UNKNOWN, "explain", "\"z\"");
    assert_refuses(json("\"explain\":[{\"k\":-1,\"y\":1,\"x\":0}]"), ERR_PARAMETER, "explain",
                   "-1");
    assert_refuses(json("\"explain\":[{\"k\":\"0\",\"y\":1,\"x\":0}]"), ERR_PARAMETER, "explain",
                   "whole number");
    assert_refuses(json("\"explain\":[]"), ERR_PARAMETER, "explain", "1 to 64");
    assert_refuses(json("\"explain\":[1,2]"), ERR_PARAMETER, "explain", "points");
    assert_refuses(json("\"explain\":\"all\""), ERR_PARAMETER, "explain", "points");
}

TEST(an_algorithm_that_does_not_exist_is_refused_with_the_list)
{
    assert_decodes(query("engine=im2col"));
    assert_string_equal(request.fields.algorithm, "im2col");
    assert_decodes(json("\"algorithm\":\"auto\""));
    assert_refuses(query("algorithm=magic"), ERR_PARAMETER, "algorithm", "im2col");
    assert_refuses(json("\"algorithm\":1"), ERR_PARAMETER, "algorithm", "reference");
}

TEST(the_output_object_holds_format_data_and_what)
{
    assert_decodes(json("\"output\":{\"format\":\"npy\",\"data\":\"none\",\"what\":\"columns\"}"));
    assert_int_equal(request.fields.format, FORMAT_NPY);
    assert_int_equal(request.fields.data, DATA_NONE);
    assert_int_equal(request.fields.what, WHAT_COLUMNS);
    assert_decodes(query("output.format=png"));
    assert_int_equal(request.fields.format, FORMAT_PNG);
    assert_refuses(json("\"output\":{\"stride\":1}"), ERR_UNKNOWN, "output", "format, data");
    assert_refuses(json("\"output\":\"png\""), ERR_PARAMETER, "output", "object");
    assert_refuses(query("format=gif"), ERR_PARAMETER, "format", "json, png, npy or raw");
}

TEST(filters_are_k_when_a_number_and_else_the_weights)
{
    assert_decodes(json("\"filters\":1"));
    assert_refuses(json("\"filters\":2"), ERR_SHAPE, "out_channels", "weights make 1");
    assert_decodes(decode("", "", "{" IMAGE ",\"filters\":[[1,2],[3,4]]}"));
    assert_int_equal(request.weight_shape.height, 2);
}

TEST(a_query_is_percent_decoded_once)
{
    assert_decodes(query("&&activation=%72elu&"));
    assert_int_equal(request.params.activation, ACTIVATION_RELU);
    assert_refuses(query("stride=%3"), ERR_SYNTAX, "", "hexadecimal");
    assert_refuses(query("stride=%zz"), ERR_SYNTAX, "", "hexadecimal");
    assert_refuses(query("stride=%00"), ERR_SYNTAX, "", "NUL");
    assert_refuses(query("weights=%fe1"), ERR_SYNTAX, "weights", "UTF-8"); /* the marks of */
    assert_refuses(query("image=%ff0"), ERR_SYNTAX, "image", "UTF-8");     /* json_inner.h */
    assert_refuses(query("activation=%2572elu"), ERR_PARAMETER, "activation", "%72elu");
}

TEST(a_layers_name_means_nothing_to_a_server_that_keeps_none)
{
    start();
    message.query = "layer=edges&input=3x8x8";
    assert_refuses(plan_decode(&message, &limits, arena, &request, &err), ERR_PARAMETER, "layer",
                   "--layers");
}
