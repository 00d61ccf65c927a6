/* GET /filters and /samples: what the documents say is what core computes. */
#include "api/image.h"
#include "tests/testing.h"

#include <cjson/cJSON.h>
#include <math.h>

static struct arena *arena;
static struct reply reply;
static struct error err;

static const cJSON *member(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    if (!item)
        fail_msg("there is no \"%s\"", name);
    return item;
}

static cJSON *document(const char *tail)
{
    static const struct message message = { .query = "" };
    cJSON *json;

    if (!filters_encode(&message, tail, arena, &reply, &err))
        fail_msg("%s: %s", tail, err.detail);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.content_type, "application/json");
    json = cJSON_ParseWithLength(reply.body.data, reply.body.size);
    assert_non_null(json);
    return json;
}

static bool sample(const char *tail, const char *query)
{
    const struct message message = { .query = query };

    return samples_encode(&message, tail, arena, &reply, &err);
}

TEST(the_list_has_every_bank_with_its_defaults_and_every_generator_with_its_ranges)
{
    const cJSON *item, *parameter;
    int count = 0, parameters = 0;
    cJSON *json;

    arena = arena_create(64 << 20);
    json = document("");
    cJSON_ArrayForEach(item, member(json, "filters")) {
        struct bank bank;

        assert_string_equal(member(item, "id")->valuestring, bank_id(count++));
        assert_true(bank_find(member(item, "id")->valuestring, &bank, arena, &err));
        assert_int_equal(member(item, "shape")->child->valueint, bank.shape.count);
        assert_true(member(member(item, "output"), "max")->valuedouble == bank.out_max);
        assert_non_null(member(member(item, "default"), "stride"));
    }
    assert_int_equal(count, bank_count());
    cJSON_ArrayForEach(item, member(json, "generators")) {
        cJSON_ArrayForEach(parameter, member(item, "parameters")) {
            assert_true(strlen(member(parameter, "help")->valuestring) > 4);
            parameters++;
        }
    }
    assert_true(parameters >= 15);
    cJSON_Delete(json);
    arena_destroy(arena);
}

TEST(a_bank_by_id_carries_its_floats_exactly)
{
    static const char *const ids[] = { "relief", "learned96", "edges", "gabor", "dct8", "log" };

    arena = arena_create(64 << 20);
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        char tail[32] = "/";
        const cJSON *number;
        struct bank bank;
        size_t n = 0;
        cJSON *json;

        strcat(tail, ids[i]);
        json = document(tail);
        assert_true(bank_find(ids[i], &bank, arena, &err));
        cJSON_ArrayForEach(number, member(json, "data")) {
            assert_true((float)number->valuedouble == bank.data[n++]);
        }
        assert_int_equal(n, shape_count(bank.shape));
        assert_true(member(json, "bias")->valuedouble == bank.bias);
        cJSON_Delete(json);
    }
    arena_destroy(arena);
}

TEST(a_preset_by_id_carries_its_integers_and_divisor)
{
    const cJSON *rows;
    cJSON *json;

    arena = arena_create(64 << 20);
    json = document("/sobel_x");
    rows = member(json, "weights");
    assert_int_equal(cJSON_GetArrayItem(cJSON_GetArrayItem(rows, 1), 2)->valueint, 2);
    assert_int_equal(member(json, "divisor")->valueint, 1);
    assert_int_equal(member(json, "gradient_divisor")->valueint, 8);
    assert_string_equal(member(json, "kind")->valuestring, "derivative");
    assert_string_equal(member(member(json, "default"), "range")->valuestring, "abs");
    cJSON_Delete(json);
    json = document("/random");
    assert_non_null(member(json, "parameters"));
    cJSON_Delete(json);
    arena_destroy(arena);
}

TEST(an_unknown_filter_or_sample_is_404_with_the_nearest_name)
{
    static const struct message message = { .query = "" };

    arena = arena_create(1 << 20);
    assert_false(filters_encode(&message, "/sobely", arena, &reply, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_non_null(strstr(err.detail, "did you mean 'sobel_y'"));
    assert_false(filters_encode(&message, "/", arena, &reply, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_false(sample("/scene2", ""));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_non_null(strstr(err.detail, "did you mean 'scene'"));
    arena_destroy(arena);
}

TEST(a_sample_comes_as_a_png_of_the_size_asked_for)
{
    static const struct limits limits = { .pixels = 1 << 20 };
    struct picture_info info;
    struct pixels pixels;
    uint8_t drawn[50 * 50 * 3];

    arena = arena_create(64 << 20);
    assert_true(sample("/scene", "size=50"));
    assert_string_equal(reply.content_type, "image/png");
    assert_true(image_decode(reply.body, &limits, arena, &pixels, &info, &err));
    assert_true(sample_draw(sample_find("scene"), 50, NULL, drawn));
    assert_int_equal(pixels.width, 50);
    assert_memory_equal(pixels.data, drawn, sizeof drawn);
    assert_true(sample("/cat", ""));
    assert_true(image_decode(reply.body, &limits, arena, &pixels, &info, &err));
    assert_true(pixels.width == 451 && pixels.height == 300);
    arena_destroy(arena);
}

TEST(a_samples_size_is_a_whole_number_in_range_and_its_only_parameter)
{
    arena = arena_create(16 << 20);
    assert_false(sample("/cat", "size=0"));
    assert_int_equal(err.code, ERR_PARAMETER);
    assert_false(sample("/cat", "size=4097"));
    assert_true(err.code == ERR_PARAMETER && err.ranged);
    assert_false(sample("/cat", "size=99999999999999999999"));
    assert_false(sample("/cat", "size="));
    assert_false(sample("/cat", "size=8x"));
    assert_false(sample("/cat", "size=8&size=9"));
    assert_int_equal(err.code, ERR_UNKNOWN);
    assert_false(sample("/cat", "sise=8"));
    assert_int_equal(err.code, ERR_UNKNOWN);
    arena_destroy(arena);
}

TEST(the_list_of_samples_names_the_photo_and_every_drawing)
{
    cJSON *json;

    arena = arena_create(1 << 20);
    assert_true(sample("", ""));
    json = cJSON_ParseWithLength(reply.body.data, reply.body.size);
    assert_int_equal(cJSON_GetArraySize(member(json, "samples")), sample_count() + 1);
    cJSON_Delete(json);
    arena_destroy(arena);
}
