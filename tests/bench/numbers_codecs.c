/* Numbers to text and back: ours, cJSON, the C library. */
#include "api/floats.h"
#include "api/floats_inner.h"
#include "api/json_scan.h"
#include "tests/bench/race_codecs.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t write_ours(const struct race *race, char *out)
{
    char *end = floats_write(out + 1, race->values, race->count);

    *out = '[';
    *end = ']';
    return (size_t)(end + 1 - out);
}

static size_t write_portable(const struct race *race, char *out)
{
    char *end = floats_write_portable(out + 1, race->values, race->count);

    *out = '[';
    end[-1] = ']';
    return (size_t)(end - out);
}

static size_t write_cjson(const struct race *race, char *out)
{
    cJSON *array = cJSON_CreateFloatArray(race->values, (int)race->count);
    char *text = cJSON_PrintUnformatted(array);
    size_t size = strlen(text);

    memcpy(out, text, size);
    free(text);
    cJSON_Delete(array);
    return size;
}

static size_t write_sprintf(const struct race *race, char *out)
{
    char *at = out;

    *at++ = '[';
    for (size_t i = 0; i < race->count; i++)
        at += sprintf(at, "%.9g,", (double)race->values[i]);
    at[-1] = ']';
    return (size_t)(at - out);
}

static size_t check_text(const struct race *race, const char *out, size_t size)
{
    size_t wrong = out[0] != '[' || out[size - 1] != ']';
    char *at = (char *)(uintptr_t)out + 1;

    for (size_t i = 0; i < race->count; i++, at++)
        wrong += strtof(at, &at) != race->values[i];
    return wrong;
}

static size_t read_ours(const struct race *race, char *out)
{
    struct json_store json = { 0 };
    const cJSON *root;
    struct error err;

    root = json_parse(race->text, &json, race->arena, &err);
    if (!root)
        die(err.detail);
    /* a pointer is the result: nobody has to copy the numbers */
    memcpy(out, &json_tensor(&json, cJSON_GetObjectItem(root, "data"))->data, sizeof(float *));
    json_free(&json);
    return sizeof(float *);
}

static size_t read_cjson(const struct race *race, char *out)
{
    cJSON *root = cJSON_ParseWithLength(race->text.data, race->text.size), *item;
    float *values = arena_new(race->arena, float, race->count), *at = values;

    cJSON_ArrayForEach(item, cJSON_GetObjectItem(root, "data"))
        *at++ = (float)item->valuedouble;
    cJSON_Delete(root);
    memcpy(out, &values, sizeof values);
    return sizeof values;
}

static size_t read_strtof(const struct race *race, char *out)
{
    float *values = arena_new(race->arena, float, race->count);
    char *at = strchr(race->text.data, '[') + 1;

    for (size_t i = 0; i < race->count; i++, at++)
        values[i] = strtof(at, &at);
    memcpy(out, &values, sizeof values);
    return sizeof values;
}

static size_t check_values(const struct race *race, const char *out, size_t size)
{
    const float *values;

    memcpy(&values, out, size);
    return memcmp(values, race->values, race->count * sizeof *values) != 0;
}

void race_numbers(const char *data, const float *values, size_t count, struct arena *arena)
{
    struct rival writers[] = { { .name = "convolved", .run = write_ours },
                               { .name = "convolved, portable", .run = write_portable },
                               { .name = "cJSON create, print", .run = write_cjson },
                               { .name = "sprintf %.9g", .run = write_sprintf } };
    struct rival readers[] = { { .name = "convolved", .run = read_ours },
                               { .name = "cJSON parse", .run = read_cjson },
                               { .name = "strtof", .run = read_strtof } };
    char *text = arena_alloc(arena, count * FLOAT_TEXT + 4096, 1), *at;
    struct race race = {
        .what = "float32 to JSON", .data = data, .unit = "number", .units = count
    };

    race.values = values;
    race.count = count;
    race.arena = arena;
    race.out = arena_alloc(arena, count * 32 + 4096, 1);
    race.check = check_text;
    race_run(&race, writers, 4);
    memset(text, 0, BODY_SLACK);
    at = text + BODY_SLACK;
    at = floats_write(at + sprintf(at, "{\"data\":["), values, count);
    memcpy(at, "]}", 3);
    race.what = "JSON to float32";
    race.text = (struct bytes){ text + BODY_SLACK, strlen(text + BODY_SLACK) };
    race.check = check_values;
    race_run(&race, readers, 3);
}

static size_t base64_ours(const struct race *race, char *out)
{
    return (size_t)(base64_write(out, race->values, race->count * sizeof(float)) - out);
}

static size_t base64_back(const struct race *race, char *out)
{
    size_t size;

    return base64_read(race->text.data, race->text.size, out, &size) ? size : 0;
}

static size_t check_base64(const struct race *race, const char *out, size_t size)
{
    size_t bytes = race->count * sizeof(float);
    void *back = malloc(size + 4);
    bool right = size == bytes
                     ? !memcmp(out, race->values, bytes)
                     : base64_read(out, size, back, &size) && !memcmp(back, race->values, bytes);

    free(back);
    return !right;
}

void race_base64(const float *values, size_t count, struct arena *arena)
{
    struct rival rivals[] = { { .name = "convolved, write", .run = base64_ours },
                              { .name = "convolved, read", .run = base64_back } };
    char *text = arena_alloc(arena, count * 6, 1);
    struct race race = { .what = "base64", .data = "maps", .unit = "byte", .units = count * 4 };

    race.values = values;
    race.count = count;
    race.arena = arena;
    race.text = (struct bytes){ text, (size_t)(base64_write(text, values, count * 4) - text) };
    race.out = arena_alloc(arena, count * 6, 1);
    race.check = check_base64;
    race_run(&race, rivals, 2);
}
