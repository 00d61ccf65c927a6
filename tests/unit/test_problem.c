/* Problem documents and the JSON writer below them, read back by cJSON. */
#include "api/api.h"
#include "api/json_write.h"
#include "tests/testing.h"

#include <cjson/cJSON.h>
#include <math.h>

static cJSON *encoded(const struct error *err, const char *request_id, struct reply *reply)
{
    cJSON *json;

    problem_encode(err, request_id, reply);
    json = cJSON_ParseWithLength(reply->body.data, reply->body.size);
    assert_non_null(json);
    return json;
}

static void assert_member(const cJSON *json, const char *name, const char *text)
{
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(json, name)), text);
}

TEST(every_error_code_has_a_status_and_a_problem_document)
{
#define ERROR(code, slug, title) code,
    static const enum error_code codes[] = {
#include "core/errors.def"
    };

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct error err = { .code = codes[i], .detail = "a sentence" };
        struct reply reply;
        cJSON *json = encoded(&err, "id", &reply);
        char type[64] = "/problems/";

        assert_in_range(reply.status, 400, 504);
        assert_int_equal(reply.status, cJSON_GetObjectItem(json, "status")->valueint);
        assert_string_equal(reply.content_type, "application/problem+json");
        assert_member(json, "type", strcat(type, error_slug(codes[i])));
        assert_member(json, "title", error_title(codes[i]));
        assert_member(json, "detail", "a sentence");
        assert_member(json, "error", "a sentence");
        assert_member(json, "request_id", "id");
        assert_null(cJSON_GetObjectItem(json, "pointer"));
        assert_null(cJSON_GetObjectItem(json, "min"));
        cJSON_Delete(json);
    }
    assert_int_equal(problem_status(ERR_SYNTAX), 400);
    assert_int_equal(problem_status(ERR_TOO_LARGE), 413);
    assert_int_equal(problem_status(ERR_GEOMETRY), 422);
    assert_int_equal(problem_status(ERR_BUSY), 503);
    assert_int_equal(problem_status(ERR_DEADLINE), 504);
}

TEST(a_range_error_points_at_its_field_and_tells_the_numbers)
{
    struct reply reply;
    struct error err;
    cJSON *json;

    fail_range(&err, "pool/stride", 0.1, 1, 4096);
    json = encoded(&err, "", &reply);
    assert_member(json, "pointer", "/pool/stride");
    assert_true(cJSON_GetObjectItem(json, "value")->valuedouble == 0.1);
    assert_true(cJSON_GetObjectItem(json, "min")->valuedouble == 1);
    assert_true(cJSON_GetObjectItem(json, "max")->valuedouble == 4096);
    assert_null(cJSON_GetObjectItem(json, "request_id"));
    assert_non_null(strstr(reply.problem, "\"value\":0.1,"));
    cJSON_Delete(json);
}

TEST(what_a_stranger_wrote_comes_back_escaped)
{
    struct error err = { .code = ERR_UNKNOWN };
    struct reply reply;
    cJSON *json;

    strcpy(err.detail, "no \"x\\y\"\n\t\x01\x7f \xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xb1 "
                       "\xff \xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82");
    json = encoded(&err, "a\"b", &reply);
    assert_member(json, "detail",
                  "no \"x\\y\"\n\t\x01\x7f \xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xb1 "
                  "\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd "
                  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd "
                  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd "
                  "\xef\xbf\xbd\xef\xbf\xbd");
    assert_member(json, "request_id", "a\"b");
    cJSON_Delete(json);
}

TEST(the_longest_problem_is_cut_but_stays_json)
{
    static const char worst[] = { 1, '"', '\xff' };
    char id[1000];

    for (size_t i = 0; i < sizeof worst; i++) {
        struct error err;
        struct reply reply;

        fail_range(&err, "f", -1.2345678901234567e-300, -1.2345678901234567e-300, 1e300);
        memset(err.detail, worst[i], sizeof err.detail - 1);
        memset(err.field, worst[i], sizeof err.field - 1);
        memset(id, worst[i], sizeof id - 1);
        id[sizeof id - 1] = 0;
        for (int code = 0; code <= ERR_DEADLINE; code++) {
            err.code = (enum error_code)code;
            cJSON_Delete(encoded(&err, id, &reply));
            assert_true(reply.body.size < sizeof reply.problem);
        }
    }
}

TEST(the_json_writer_keeps_to_its_buffer)
{
    char buffer[400];

    for (size_t size = 0; size < sizeof buffer; size++) {
        struct json json;

        memset(buffer, '#', sizeof buffer);
        json_init(&json, buffer, size);
        json_open(&json, NULL, '{');
        json_text(&json, "name", "a\x01z");
        json_ints(&json, "shape", (int[]){ 1, -2, 3 }, 3);
        json_real(&json, "third", 1.0 / 3);
        json_real(&json, "nan", NAN);
        json_float(&json, "tenth", 0.1f);
        json_floats(&json, "floats", (float[]){ 1, 2.5f }, 2);
        json_bool(&json, "yes", true);
        json_close(&json, '}');
        assert_true(buffer[size] == '#');
        assert_true(json.full || size > 140); /* floats want their bound, not their size */
        assert_true(!json.full || size < 300);
        if (!json.full) {
            *json.at = 0;
            assert_string_equal(buffer, "{\"name\":\"a\\u0001z\",\"shape\":[1,-2,3],"
                                        "\"third\":0.33333333333333331,\"nan\":null,\"tenth\":0.1,"
                                        "\"floats\":[1,2.5],\"yes\":true}");
        }
    }
}
