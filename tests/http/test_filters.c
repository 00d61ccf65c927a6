/* GET /filters promises what a bank does when the request says nothing else. */
#include "tests/http/harness.h"

static struct answer *weights_of(const char *id, const char *depth)
{
    return http_json("/convolve", text_format("{\"image\":{\"sample\":\"scene\",\"size\":32},"
                                              "\"weights\":\"%s\",\"what\":\"weights\","
                                              "\"bank_depth\":\"%s\",\"format\":\"raw\"}",
                                              id, depth));
}

/* Do its weights on an RGB picture come out as with the depth that it says? */
static void assert_depth(const char *id, const char *depth)
{
    struct answer *said = weights_of(id, depth), *usual = weights_of(id, "auto");

    if (said->status != 200 || usual->status != 200)
        fail_msg("%s: %.200s", id, said->body);
    if (said->size != usual->size || memcmp(said->body, usual->body, said->size) != 0)
        fail_msg("%s does not meet RGB by %s, as GET /filters says", id, depth);
}

TEST(every_bank_meets_a_colour_picture_as_it_says)
{
    struct answer *list = http_get("/filters");
    const cJSON *bank;
    int count = 0;

    cJSON_ArrayForEach(bank, answer_json(list, "filters")) {
        const cJSON *usual = cJSON_GetObjectItem(bank, "default");

        assert_depth(cJSON_GetObjectItem(bank, "id")->valuestring,
                     cJSON_GetObjectItem(usual, "depth")->valuestring);
        count++;
    }
    assert_true(count > 40);
    cJSON_ArrayForEach(bank, answer_json(list, "generators")) {
        const char *id = cJSON_GetObjectItem(bank, "id")->valuestring;

        if (strcmp(id, "random") != 0)
            assert_depth(id,
                         answer_text(http_get(text_format("/filters/%s", id)), "default.depth"));
    }
}
