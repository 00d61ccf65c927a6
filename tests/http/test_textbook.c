/* The numbers of the textbook: CS231n's first layer of AlexNet, 96 filters of 11x11 at stride 4
 * on a 227x227 picture. */
#include "tests/http/harness.h"

static void assert_textbook(struct answer *answer)
{
    assert_int_equal(answer->status, 200);
    assert_string_equal(answer_print(answer, "output.shape"), "[1,96,55,55]");
    assert_string_equal(answer_print(answer, "im2col.x_col"), "[363,3025]");
    assert_string_equal(answer_print(answer, "im2col.w_row"), "[96,363]");
    assert_int_equal(answer_number(answer, "im2col.bytes"), 4392300);
    assert_int_equal(answer_number(answer, "im2col.macs"), 105415200);
    /* 363 * 3025 numbers from 227 * 227 * 3 */
    assert_float_equal(answer_number(answer, "im2col.replication"), 7.1, 0.05);
}

TEST(the_plan_of_the_textbook_layer_has_the_textbooks_numbers)
{
    assert_textbook(http_get("/plan?input=3x227x227&K=96&F=11&S=4&P=0"));
    assert_textbook(http_get("/plan?input=3x227x227&K=96&F=11&S=4"));
    assert_textbook(http_json("/plan", "{\"input\":[3,227,227],\"out_channels\":96,"
                                       "\"kernel_size\":11,\"stride\":4}"));
}

TEST(convolving_the_textbook_layer_says_the_same_numbers_as_its_plan)
{
    assert_textbook(http_json("/convolve",
                              "{\"image\":{\"sample\":\"cat\",\"size\":227},\"K\":96,\"F\":11,"
                              "\"S\":4,\"P\":0,\"weights\":{\"random\":{\"seed\":1}},"
                              "\"data\":\"none\"}"));
}

TEST(x_col_never_exists_whole_unless_somebody_asks_for_it)
{
    static const char body[] =
        "{\"image\":{\"sample\":\"cat\",\"size\":227},\"weights\":\"learned96\",\"stride\":4,"
        "\"padding\":0,\"algorithm\":\"im2col\",\"what\":\"%s\",\"data\":\"none\"}";
    struct answer *answer = http_json("/convolve", text_format(body, "features"));

    assert_int_equal(answer->status, 200);
    assert_true(answer_number(answer, "workspace_bytes") < 4392300 * 0.75);
    assert_true(answer_number(answer, "workspace_bytes") > 0);
    answer = http_send(.path = "/convolve", .type = "application/json",
                       .accept = "application/x-npy", .body = text_format(body, "columns"));
    assert_int_equal(answer->status, 200);
    assert_int_equal(answer->size, 4392300 + 128);
    assert_non_null(strstr(answer->body + 10, "(363, 3025)"));
}
