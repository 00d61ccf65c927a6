/* What is JSON and what is not, byte for byte; what is cut out of it; what it costs. */
#include "api/json_scan.h"
#include "tests/unit/decoding.h"

#include <math.h>

static struct json_store store;
static size_t nul;

static void restart(void)
{
    json_free(&store);
    store = (struct json_store){ 0 };
    start();
}

static bool scan_sized(const char *text, size_t size)
{
    struct bytes rest;

    restart();
    return json_scan(with_slack(text, size), &store, arena, &rest, &nul, &err);
}

static bool scan(const char *text)
{
    return scan_sized(text, strlen(text));
}

static const cJSON *parse(const char *text)
{
    restart();
    return json_parse(with_slack(text, strlen(text)), &store, arena, &err);
}

/* Of the one list of numbers in {"a":list}. */
static const struct json_cut *cut_of(const char *text)
{
    const cJSON *root = parse(text);

    if (!root)
        fail_msg("%s: %s", text, err.detail);
    return json_tensor(&store, cJSON_GetObjectItem(root, "a"));
}

TEST(what_rfc_8259_calls_json_is_accepted)
{
    static const char *const texts[] = { "0",
                                         "-0",
                                         "1",
                                         "-1.5e+10",
                                         "1E5",
                                         "0.0e-0",
                                         "123456789012345678901234567890",
                                         "1e999",
                                         "true",
                                         "false",
                                         "null",
                                         "\"\"",
                                         "\"a\"",
                                         " [ ] ",
                                         "{}",
                                         "[1]",
                                         "[1,2]",
                                         "[[1],[2]]",
                                         "[-1e-5,2E+3]",
                                         "[1 , 2]",
                                         "\t\r\n [\n1\r,\t2 ] ",
                                         "[[],[]]",
                                         "[[[[[[[[1]]]]]]]]",
                                         "[[[[[[[[[[[[1]]]]]]]]]]]]",
                                         "[1,\"a\"]",
                                         "[[1],2]",
                                         "[[1,2],[\"a\"]]",
                                         "[1,[2,3],4]",
                                         "[null]",
                                         "[1,null]",
                                         "{\"a\":1,\"a\":2}",
                                         "{\"\":0}",
                                         "{\"a\" : [1] , \"b\":{}}",
                                         "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
                                         "\"\\u0041\"",
                                         "\"\\u0000\"",
                                         "\"\\uD834\\udd1e\"",
                                         "\"\xc3\xa4\"",
                                         "\"\xe2\x82\xac\"",
                                         "\"\xf0\x9d\x84\x9e\"",
                                         "\"\xf4\x8f\xbf\xbf\"",
                                         "\"\xef\xbf\xbf\"",
                                         "\"\x7f\"",
                                         "[\"/\"]",
                                         "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]" };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!scan(texts[i]))
            fail_msg("%s is refused: %s", texts[i], err.detail);
}

TEST(what_is_not_json_is_refused_with_the_byte)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "", "byte 0" },
        { " ", "byte 1" },
        { "[", "byte 1" },
        { "]", "byte 0" },
        { "[1", "byte 2: a comma or ]" },
        { "[1,", "byte 3: a value" },
        { "[1,]", "byte 3: a value" },
        { "[,1]", "byte 1: a value" },
        { "[1,,2]", "byte 3" },
        { "[1 2]", "byte 3: a comma or ]" },
        { "[1]]", "byte 3: there is something behind" },
        { "[1}", "byte 2" },
        { "{]", "byte 1" },
        { "{\"a\"}", "byte 4: a colon" },
        { "{\"a\":}", "byte 5: a value" },
        { "{\"a\":1,}", "byte 7: a member's name" },
        { "{a:1}", "byte 1: a member's name" },
        { "{\"a\":1", "byte 6: a comma or }" },
        { "{1:1}", "byte 1" },
        { "[01]", "byte 2" },
        { "[-01]", "byte 3" },
        { "[-]", "byte 2: a number needs a digit" },
        { "[+1]", "byte 1: a value" },
        { "[.5]", "byte 1" },
        { "[5.]", "byte 3: a decimal point" },
        { "[1.e5]", "byte 3" },
        { "[1e]", "byte 3: an exponent" },
        { "[1e+]", "byte 4" },
        { "[0x10]", "byte 2" },
        { "[1_0]", "byte 2" },
        { "[NaN]", "byte 1" },
        { "[Infinity]", "byte 1" },
        { "[-Infinity]", "byte 2" },
        { "[1,\v2]", "byte 3" },
        { "[1,\f2]", "byte 3" },
        { "[1]\xa0", "byte 3" },
        { "\xef\xbb\xbf[1]", "byte 0" },
        { "tru", "byte 0" },
        { "True", "byte 0" },
        { "nul", "byte 0" },
        { "'a'", "byte 0" },
        { "\"a", "byte 2: the string has no end" },
        { "\"\n\"", "byte 1: a control" },
        { "\"\x1f\"", "byte 1: a control" },
        { "\"\\x\"", "byte 2: there is no such escape" },
        { "\"\\", "byte 2" },
        { "\"\\u12\"", "byte 5: \\u needs" },
        { "\"\\u12G4\"", "byte 5" },
        { "\"\\uD834\"", "byte 7: half" },
        { "\"\\uD834\\n\"", "byte 8: half" },
        { "\"\\uD834\\u0041\"", "byte 13: half" },
        { "\"\\uDD1E\"", "byte 7: half" },
        { "\"\x80\"", "byte 1: this is not UTF-8" },
        { "\"\xc0\x80\"", "byte 1: this is not UTF-8" },
        { "\"\xc1\xbf\"", "byte 1" },
        { "\"\xc3\"", "byte 1" },
        { "\"\xc3(\"", "byte 1" },
        { "\"\xe0\x9f\xbf\"", "byte 1" },
        { "\"\xed\xa0\x80\"", "byte 1" },
        { "\"\xf0\x8f\xbf\xbf\"", "byte 1" },
        { "\"\xf4\x90\x80\x80\"", "byte 1" },
        { "\"\xf5\x80\x80\x80\"", "byte 1" },
        { "\"\xfe\"", "byte 1" },
        { "\"\xff\"", "byte 1" },
        { "[1,2]x", "byte 5" },
        { "/**/[1]", "byte 0" },
        { "[1,/**/2]", "byte 3" },
        { "[\"a\":1]", "byte 4" },
        { "{\"a\",1}", "byte 4" },
        { "[[1,2],[3,4],]", "byte 13" },
        { "[[1,2] [3,4]]", "byte 7" },
        { "[[1,2]", "byte 6" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (scan(cases[i].text))
            fail_msg("%s is accepted", cases[i].text);
        if (err.code != ERR_SYNTAX || !strstr(err.detail, cases[i].says))
            fail_msg("%s: %s", cases[i].text, err.detail);
    }
    assert_false(scan_sized("[1\0]", 4));
    assert_false(scan_sized("\"a\0b\"", 5));
    assert_false(scan_sized("[1]\0", 4));
}

TEST(every_prefix_of_a_text_is_refused_and_no_byte_behind_it_believed)
{
    static const char text[] = "{\"a\":[[1.5,2e3],[-3,4]],\"b\":\"\\u00e4\xc3\xa4\",\"c\":[true,"
                               "null,\"x\"],\"d\":[1,2,3]}";

    assert_true(scan(text));
    for (size_t size = 0; size < sizeof text - 1; size++)
        if (scan_sized(text, size))
            fail_msg("the first %zu bytes are accepted", size);
}

TEST(thirty_two_levels_are_accepted_and_one_more_is_not)
{
    char text[200] = "";

    for (int i = 0; i < 32; i++)
        strcat(text, "[");
    strcat(text, "\"\"");
    for (int i = 0; i < 32; i++)
        strcat(text, "]");
    assert_true(scan(text));
    memmove(text + 1, text, strlen(text) + 1);
    strcat(text, "]");
    assert_refuses(scan(text), ERR_SYNTAX, "", "more than 32 deep");
}

TEST(a_hundred_thousand_opening_brackets_are_refused)
{
    char *text = malloc(100000);

    memset(text, '[', 100000);
    assert_refuses(scan_sized(text, 100000), ERR_SYNTAX, "", "more than 32 deep");
    for (int i = 0; i < 100000; i += 5)
        memcpy(text + i, "{\"a\":", 5);
    assert_refuses(scan_sized(text, 100000), ERR_SYNTAX, "", "more than 32 deep");
    free(text);
}

TEST(values_outside_lists_of_numbers_are_counted)
{
    char *text = malloc(1 << 16);

    for (int count = 4095; count <= 4096; count++) {
        char *at = text;

        *at++ = '[';
        for (int i = 0; i < count; i++)
            at += sprintf(at, "%s\"\"", i ? "," : "");
        *at++ = ']';
        if (count == 4095)
            assert_true(scan_sized(text, (size_t)(at - text)));
        else
            assert_refuses(scan_sized(text, (size_t)(at - text)), ERR_SYNTAX, "", "4096 values");
    }
    free(text);
}

TEST(a_nested_list_of_numbers_is_cut_out_with_its_shape)
{
    const struct json_cut *cut = cut_of("{\"a\": [ [[1,2.5 , -3],[4,5,6]] ,\n [[7,8,9],[1e2,11,"
                                        "12]]]}");

    assert_non_null(cut);
    assert_int_equal(cut->rank, 3);
    assert_int_equal(cut->dims[0], 2);
    assert_int_equal(cut->dims[1], 2);
    assert_int_equal(cut->dims[2], 3);
    assert_int_equal(cut->count, 12);
    assert_true(cut->data[1] == 2.5f && cut->data[2] == -3 && cut->data[9] == 100);
    assert_false(cut->infinite);
}

TEST(a_handful_of_numbers_is_there_as_doubles_too)
{
    double numbers[4];
    const cJSON *root = parse("{\"a\":[9007199254740991,0.1],\"b\":5,\"c\":[1,2,3,4,5],"
                              "\"d\":[[1]],\"e\":\"5\",\"f\":[]}");

    assert_int_equal(json_numbers(&store, cJSON_GetObjectItem(root, "a"), numbers, 4), 2);
    assert_true(numbers[0] == 9007199254740991.0 && numbers[1] == 0.1);
    assert_int_equal(json_numbers(&store, cJSON_GetObjectItem(root, "b"), numbers, 4), 1);
    assert_true(numbers[0] == 5);
    assert_int_equal(json_numbers(&store, cJSON_GetObjectItem(root, "c"), numbers, 4), -1);
    assert_int_equal(json_numbers(&store, cJSON_GetObjectItem(root, "d"), numbers, 4), -1);
    assert_int_equal(json_numbers(&store, cJSON_GetObjectItem(root, "e"), numbers, 4), -1);
    assert_int_equal(json_numbers(&store, cJSON_GetObjectItem(root, "f"), numbers, 4), -1);
    assert_int_equal(json_numbers(&store, NULL, numbers, 4), -1);
    json_free(&store);
}

TEST(numbers_are_rounded_correctly_from_text_to_float)
{
    /* Halfway between two floats, and a hair above: a double in between would round both down. */
    const struct json_cut *cut = cut_of("{\"a\":[[1.00000005960464477539062500],"
                                        "[1.00000005960464477539062501],[16777217],[16777219]]}");

    assert_true(cut->data[0] == 1.0f);
    assert_true(cut->data[1] == nextafterf(1, 2));
    assert_true(cut->data[2] == 16777216.0f);
    assert_true(cut->data[3] == 16777220.0f);
}

TEST(ragged_lists_are_refused_by_the_name_of_their_member)
{
    assert_refuses(parse("{\"image\":[[1,2],[3]]}"), ERR_SHAPE, "image",
                   "a list of 1 beside a list of 2, at byte 18");
    assert_refuses(parse("{\"x\":{\"data\":[[[1],[2]],[[3]]]}}"), ERR_SHAPE, "x", "ragged");
    assert_refuses(decode("", "", "{\"kernel\":[[1,2],[3]]}"), ERR_SHAPE, "weights", "ragged");
    assert_refuses(decode("", "", "{\"image\":[[1,2],[3,4]],\"weights\":[[1],2]}"), ERR_PARAMETER,
                   "weights", "presets' names");
}

TEST(a_number_beyond_float32_is_kept_as_infinite_for_the_reader_to_refuse)
{
    assert_true(cut_of("{\"a\":[1,1e39]}")->infinite);
    assert_false(cut_of("{\"a\":[1,3.4028235e38]}")->infinite);
    json_free(&store);
    assert_refuses(decode("", "", "{\"image\":[[1,-1e39]],\"weights\":[[1]]}"), ERR_PARAMETER,
                   "image", "float32's range");
}

TEST(long_strings_are_cut_out_and_a_slash_may_be_escaped)
{
    char text[2000] = "{\"a\":\"", *at = text + strlen(text);
    struct bytes string;
    const cJSON *root;

    for (int i = 0; i < 300; i++)
        at += sprintf(at, i % 2 ? "\\/" : "x");
    strcpy(at, "\",\"b\":\"short\"}");
    root = parse(text);
    assert_non_null(root);
    string = json_string(&store, cJSON_GetObjectItem(root, "a"));
    assert_int_equal(string.size, 300);
    assert_memory_equal(string.data, "x/x/x/", 6);
    string = json_string(&store, cJSON_GetObjectItem(root, "b"));
    assert_int_equal(string.size, 5);
    assert_null(json_string(&store, root).data);
    assert_null(json_string(&store, NULL).data);
    json_free(&store);
}

TEST(a_long_string_with_other_escapes_is_unescaped)
{
    char text[2000] = "{\"a\":\"";
    const cJSON *root;

    for (int i = 0; i < 300; i++)
        strcat(text, "\\n");
    strcat(text, "\"}");
    root = parse(text);
    assert_int_equal(json_string(&store, cJSON_GetObjectItem(root, "a")).size, 300);
    json_free(&store);
}

TEST(no_client_can_forge_the_mark_of_what_was_cut)
{
    assert_refuses(parse("{\"image\":[\"\xff\x30\",1]}"), ERR_SYNTAX, "", "not UTF-8");
    assert_refuses(decode("", "", "{\"image\":[\"\\u00ff0\"],\"weights\":[[1]]}"), ERR_PARAMETER,
                   "image", "nested lists");
}

TEST(numbers_longer_than_cjson_reads_keep_their_value)
{
    const cJSON *root = parse("{\"a\":0.000000000000000000000000000000000000000000000000000000000"
                              "000000000000000000000000000000000000000012345e100}");

    assert_true(cJSON_GetObjectItem(root, "a")->valuedouble == 123.45);
    json_free(&store);
}

TEST(a_member_given_twice_is_refused_by_name_at_any_depth)
{
    assert_refuses(parse("{\"a\":1,\"b\":2,\"a\":3}"), ERR_TWICE, "a", "given twice");
    assert_refuses(parse("{\"x\":[{\"k\":1,\"\\u006b\":2}]}"), ERR_TWICE, "k", "given twice");
    json_free(&store);
}

TEST(a_nul_escape_is_json_but_no_request_has_one)
{
    assert_true(scan("[\"\\u0000\"]"));
    assert_int_equal(nul, 2);
    assert_refuses(parse("{\"a\":\"b\\u0000c\"}"), ERR_SYNTAX, "", "byte 7");
}

TEST(two_megabytes_of_noughts_cost_at_most_three_times_their_size)
{
    size_t count = (1 << 20) - 8, size = 0;
    char *text = malloc(2 * count + 32);
    struct bytes body, rest;

    size = (size_t)sprintf(text, "{\"a\":[");
    for (size_t i = 0; i < count; i++)
        size += (size_t)sprintf(text + size, "%s0", i ? "," : "");
    size += (size_t)sprintf(text + size, "]}");
    restart();
    body = with_slack(text, size);
    assert_true(json_scan(body, &store, arena, &rest, &nul, &err));
    assert_int_equal(store.cuts->count, count);
    assert_true(arena_peak(arena) <= 2 * size + 3 * 65536); /* beside the body; blocks of 64 KiB */
    free(text);
}

TEST(a_list_that_stops_being_numbers_far_out_is_refused_without_reading_it_again)
{
    size_t size = 200000;
    char *text = malloc(size);

    for (size_t i = 0; i < size; i += 2)
        memcpy(text + i, "1,", 2);
    memcpy(text, "[[1", 3);
    memcpy(text + size - 6, "],\"x\"]", 6);
    assert_refuses(scan_sized(text, size), ERR_SYNTAX, "", "something else here");
    text[1] = ' ';
    text[size - 6] = ' ';
    assert_refuses(scan_sized(text, size), ERR_SYNTAX, "", "byte 199996: a list of numbers breaks");
    free(text);
}

/* A text changed at random: what is accepted must be what cJSON, which is laxer, accepts too. */
TEST(no_mutated_text_is_accepted_that_cjson_refuses)
{
    static const char seed[] = "{\"a\":[[1,2.5],[-3e2,0]],\"b\":{\"c\":\"d\\n\\u0041\",\"e\":[true,"
                               "false,null]},\"f\":[1,\"g\",{}],\"h\":-0.5E-1}";
    static const char alphabet[] = "[]{},:\"\\0123456789.-+eEtfnau /\n";
    uint32_t state = 12345;
    int accepted = 0;

    for (int round = 0; round < 100000; round++) {
        char text[sizeof seed];
        cJSON *tree;

        memcpy(text, seed, sizeof seed);
        for (int changes = 1 + round % 3; changes; changes--) {
            state = state * 1664525 + 1013904223;
            text[(state >> 8) % (sizeof seed - 1)] =
                alphabet[(state >> 20) % (sizeof alphabet - 1)];
        }
        if (!scan(text))
            continue;
        accepted++;
        tree = cJSON_ParseWithLength(text, sizeof seed);
        if (!tree && !strstr(text, "\\u"))
            fail_msg("%s is accepted", text);
        cJSON_Delete(tree);
    }
    assert_in_range(accepted, 1000, 99000);
}
