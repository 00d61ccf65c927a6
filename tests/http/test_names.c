/* The same parameter by query, form field and JSON member, under each of its names: equal answers,
 * never two values at once, and a hand for the mistyped. */
#include "tests/http/harness.h"

#include <stdio.h>
#include <stdlib.h>

#define PICTURE "P5 5 5 255\nabcdefghijklmnopqrstuvwxy"

/* The maps' numbers, by each carrier. value: as JSON. */
static char *by_query(const char *name, const char *value)
{
    struct answer *answer =
        http_send(.path = text_format("/convolve?weights=sobel_x&%s=%s", name, value),
                  .body = PICTURE, .size = sizeof PICTURE - 1);

    return answer->status == 200 ? (char *)answer_print(answer, "data") : answer->body;
}

static char *by_form(const char *name, const char *value)
{
    struct part parts[] = { { "image", "a.pgm", NULL, PICTURE, sizeof PICTURE - 1 },
                            { "weights", NULL, NULL, "sobel_x", 0 },
                            { name, NULL, NULL, value, 0 },
                            { NULL, NULL, NULL, NULL, 0 } };
    struct answer *answer = http_send(.path = "/convolve", .parts = parts);

    return answer->status == 200 ? (char *)answer_print(answer, "data") : answer->body;
}

static char *by_params(const char *name, const char *value)
{
    struct part parts[] = { { "image", "a.pgm", NULL, PICTURE, sizeof PICTURE - 1 },
                            { "params", NULL, NULL,
                              text_format("{\"kernel\":\"sobel_x\",\"%s\":%s}", name, value), 0 },
                            { NULL, NULL, NULL, NULL, 0 } };
    struct answer *answer = http_send(.path = "/convolve", .parts = parts);

    return answer->status == 200 ? (char *)answer_print(answer, "data") : answer->body;
}

TEST(a_parameter_means_the_same_in_every_carrier_and_under_every_name)
{
    static const char *const names[][4] = { { "stride", "S", "strides", "2" },
                                            { "padding", "P", "pad", "0" },
                                            { "dilation", "dilations", "dilation_rate", "2" },
                                            { "out_channels", "K", "num_output", "1" },
                                            { "kernel_size", "F", "kernel_shape", "3" },
                                            { "groups", "group", "groups", "1" } };
    const char *base = by_query("stride", "1");

    assert_int_equal(*base, '[');
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = names[i][3], *want = by_query(names[i][0], value);

        assert_int_equal(*want, '[');
        if (i < 3)
            assert_string_not_equal(want, base);
        for (int j = 0; j < 3; j++) {
            assert_string_equal(by_query(names[i][j], value), want);
            assert_string_equal(by_form(names[i][j], value), want);
            assert_string_equal(by_params(names[i][j], value), want);
        }
    }
}

TEST(a_name_that_is_nearly_one_is_answered_with_the_right_one)
{
    static const char *const wrong[][2] = {
        { "strid", "stride" },      { "paddding", "padding" },     { "kernal", "kernel" },
        { "dilatoin", "dilation" }, { "activaton", "activation" }, { "fromat", "format" }
    };

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char *words = text_format("did you mean %s", wrong[i][1]);

        assert_non_null(strstr(by_query(wrong[i][0], "1"), words));
        assert_non_null(strstr(by_form(wrong[i][0], "1"), words));
        assert_non_null(strstr(by_params(wrong[i][0], "1"), words));
    }
    assert_null(strstr(by_query("xyzzy", "1"), "did you mean"));
}

TEST(the_same_parameter_twice_is_refused_whatever_carries_it)
{
    static const char json[] = "{\"image\":[[1,2,3],[4,5,6],[7,8,9]],\"weights\":[[1]],\"%s\":1}";
    struct part parts[] = { { "image", "a.pgm", NULL, PICTURE, sizeof PICTURE - 1 },
                            { "weights", NULL, NULL, "sobel_x", 0 },
                            { "params", NULL, NULL, "{\"stride\":2}", 0 },
                            { "S", NULL, NULL, "2", 0 },
                            { NULL, NULL, NULL, NULL, 0 } };

    assert_problem(http_json("/convolve?stride=1", text_format(json, "stride")), 400, "given-twice",
                   "/stride", "twice");
    assert_problem(http_json("/convolve?S=1", text_format(json, "strides")), 400, "given-twice",
                   "/stride", "twice");
    assert_problem(http_json("/convolve?stride=1&S=1", text_format(json, "padding")), 400,
                   "given-twice", "/stride", "twice");
    assert_problem(http_send(.path = "/convolve", .parts = parts), 400, "given-twice", "/stride",
                   "twice");
    parts[2].name = NULL;
    assert_problem(http_send(.path = "/convolve?weights=sobel_y", .parts = parts), 400,
                   "given-twice", "/weights", "twice");
}

TEST(numbers_are_whole_numbers_only_where_they_are)
{
    static const char json[] = "{\"image\":[[1,2,3],[4,5,6],[7,8,9]],\"weights\":[[1]],"
                               "\"stride\":%s}";

    assert_int_equal(http_json("/convolve", text_format(json, "3.0"))->status, 200);
    assert_problem(http_json("/convolve", text_format(json, "\"3\"")), 400, "parameter", "/stride",
                   "whole number");
    assert_problem(http_json("/convolve", text_format(json, "1.5")), 400, "parameter", "/stride",
                   "whole number");
    assert_problem(http_json("/convolve", text_format(json, "9007199254740993")), 400, "parameter",
                   "/stride", "4096");
    assert_problem(http_json("/convolve", text_format(json, "-1")), 400, "parameter", "/stride",
                   "1 to 4096");
}
