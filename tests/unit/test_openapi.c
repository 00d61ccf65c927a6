/* api/openapi.json says what the tables say: a parameter, limit, word, alias, route or problem that
 * is added to one and not to the other fails here. */
#include "api/params.h"
#include "tests/unit/files.h"

#include <cjson/cJSON.h>
#include <stdio.h>

static cJSON *document;

/* Parsed once, by whichever test comes first; freed after the last. */
static cJSON *openapi(void)
{
    struct arena *arena;
    struct bytes file;

    if (document)
        return document;
    arena = arena_create(1 << 20);
    file = file_read("api/openapi.json", arena);
    document = cJSON_ParseWithLength(file.data, file.size);
    arena_destroy(arena);
    if (!document)
        fail_msg("api/openapi.json is not JSON near: %.60s", cJSON_GetErrorPtr());
    return document;
}

__attribute__((destructor)) static void forget(void)
{
    cJSON_Delete(document);
}

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* What stands at "components/schemas/Layer", or NULL. ~1 is a slash in a name. */
static const cJSON *at(const char *path)
{
    const cJSON *from = openapi();

    while (from && *path) {
        char name[128];
        size_t size = strcspn(path, "/"), used = 0;

        for (size_t i = 0; i < size && used + 1 < sizeof name; i++) {
            bool slash = path[i] == '~' && path[i + 1] == '1';

            name[used++] = slash ? '/' : path[i];
            i += slash;
        }
        name[used] = '\0';
        from = member(from, name);
        path += size + (path[size] == '/');
    }
    return from;
}

static bool lists(const cJSON *array, const char *text)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, array) {
        if (cJSON_IsString(item) && !strcmp(item->valuestring, text))
            return true;
    }
    return false;
}

/* How many numbers of this name stand below; one that differs fails. */
static int count_limit(const cJSON *schema, const char *name, double number, const char *where)
{
    const cJSON *item;
    int count = 0;

    cJSON_ArrayForEach(item, schema) {
        if (item->string && !strcmp(item->string, name)) {
            if (item->valuedouble != number)
                fail_msg("%s: %s is %.17g in openapi.json, %.17g in the table", where, name,
                         item->valuedouble, number);
            count++;
        }
        count += count_limit(item, name, number, where);
    }
    return count;
}

/* The words below, wherever enum stands: as many as the table's, but for the pair lo,hi. */
static void check_words(const struct param *row, const cJSON *schema)
{
    const cJSON *list = member(schema, "enum");
    int count = 0;

    if (!list)
        list = member(cJSON_GetArrayItem(member(schema, "oneOf"), 0), "enum");
    for (int i = 0; row->words[i]; i++) {
        if (!strcmp(row->words[i], "lo,hi"))
            continue;
        if (!lists(list, row->words[i]))
            fail_msg("openapi.json's %s lacks the word %s", row->name, row->words[i]);
        count++;
    }
    assert_int_equal(cJSON_GetArraySize(list), count);
    if (row->preset >= 0)
        assert_string_equal(cJSON_GetStringValue(member(schema, "default")),
                            row->words[(int)row->preset]);
}

static void check_numbers(const struct param *row, const cJSON *schema)
{
    const cJSON *preset = member(schema, "default");

    if (!count_limit(schema, "minimum", row->min, row->name) ||
        !count_limit(schema, "maximum", row->max, row->name))
        fail_msg("openapi.json gives %s no limits", row->name);
    if (row->preset >= row->min && (!preset || preset->valuedouble != row->preset))
        fail_msg("openapi.json gives %s another default than %g", row->name, row->preset);
}

static void check_parameter(const struct param *row, const cJSON *schema)
{
    switch (row->kind) {
    case PARAM_INT:
        if (!strcmp(row->name, "depth")) /* bits or a word: of two numbers only these are good */
            break;
        check_numbers(row, schema);
        break;
    case PARAM_PAIR:
    case PARAM_QUAD:
    case PARAM_REAL:
    case PARAM_REALS:
        check_numbers(row, schema);
        break;
    case PARAM_WORD:
        check_words(row, schema);
        break;
    case PARAM_BOOL:
        assert_string_equal(cJSON_GetStringValue(member(schema, "type")), "boolean");
        assert_int_equal(cJSON_IsTrue(member(schema, "default")), row->preset != 0);
        break;
    default:
        break;
    }
}

TEST(openapi_describes_every_parameter_with_the_tables_limits_words_and_presets)
{
    const cJSON *layer = at("components/schemas/Layer/properties"), *item;

    for (int i = 0; i < PARAM_COUNT; i++) {
        const cJSON *schema = member(layer, params[i].name);

        if (!cJSON_IsString(member(schema, "description")))
            fail_msg("openapi.json does not describe %s", params[i].name);
        check_parameter(&params[i], schema);
    }
    cJSON_ArrayForEach(item, layer) {
        const struct param *row = param_find(item->string, NULL);

        if (!row || strcmp(row->name, item->string))
            fail_msg("openapi.json describes %s, which is no parameter", item->string);
    }
}

/* All but those that are objects: a query parameter of /convolve and of both /plan. */
TEST(openapi_takes_every_parameter_in_the_query_of_both_paths)
{
    static const char *const operations[] = { "paths/~1convolve/post", "paths/~1plan/get",
                                              "paths/~1plan/post" };

    for (int i = 0; i < PARAM_COUNT; i++) {
        char path[128], name[128];

        if (i == P_image || i == P_output)
            continue;
        snprintf(path, sizeof path, "components/parameters/%s/schema/$ref", params[i].name);
        snprintf(name, sizeof name, "#/components/schemas/Layer/properties/%s", params[i].name);
        if (!at(path) || strcmp(at(path)->valuestring, name))
            fail_msg("openapi.json has no query parameter %s", params[i].name);
        snprintf(name, sizeof name, "#/components/parameters/%s", params[i].name);
        for (size_t o = 0; o < sizeof operations / sizeof *operations; o++) {
            bool found = false;
            const cJSON *item;

            snprintf(path, sizeof path, "%s/parameters", operations[o]);
            cJSON_ArrayForEach(item, at(path)) {
                found |= !strcmp(cJSON_GetStringValue(member(item, "$ref")), name);
            }
            if (!found)
                fail_msg("%s lacks the parameter %s", operations[o], params[i].name);
        }
    }
}

TEST(openapi_lists_every_alias_at_its_parameter_and_no_other)
{
    const cJSON *item, *name;
    int count = 0, listed = 0;

    for (const struct alias *alias = aliases; alias->name; alias++, count++) {
        char path[128];

        snprintf(path, sizeof path, "components/schemas/Layer/properties/%s/x-aliases",
                 params[alias->id].name);
        if (!lists(at(path), alias->name))
            fail_msg("openapi.json does not list %s at %s", alias->name, params[alias->id].name);
    }
    cJSON_ArrayForEach(item, at("components/schemas/Layer/properties")) {
        cJSON_ArrayForEach(name, member(item, "x-aliases")) {
            listed++;
        }
    }
    assert_int_equal(listed, count);
}

TEST(openapi_describes_every_generator_with_the_tables_limits)
{
    static const struct {
        const char *generator, *name;
        double preset, min, max;
    } numbers[] = {
#define GENERATOR(name, kind, help)
#define GENERATED(generator, type, name, preset, min, max, help)                                   \
    { #generator, #name, preset, min, max },
#include "core/generators.def"
    };

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct param row = { .name = numbers[i].name,
                             .preset = numbers[i].preset,
                             .min = numbers[i].min,
                             .max = numbers[i].max };
        char path[160];

        snprintf(path, sizeof path, "components/schemas/Generator/properties/%s/properties/%s",
                 numbers[i].generator, numbers[i].name);
        if (!at(path))
            fail_msg("openapi.json does not describe %s", path);
        check_numbers(&row, at(path));
    }
}

TEST(openapi_lists_every_problem_with_its_title_and_status)
{
    static const struct {
        enum error_code code;
        const char *type, *title;
    } errors[] = {
#define ERROR(code, slug, title) { code, "/problems/" slug, title },
#include "core/errors.def"
    };
    enum { ERRORS = sizeof errors / sizeof *errors };

    assert_int_equal(cJSON_GetArraySize(at("components/schemas/Problem/x-types")), ERRORS);
    for (int i = 0; i < ERRORS; i++) {
        const cJSON *item = cJSON_GetArrayItem(at("components/schemas/Problem/x-types"), i);
        int status = problem_status(errors[i].code);
        char path[64];

        assert_string_equal(cJSON_GetStringValue(member(item, "type")), errors[i].type);
        assert_string_equal(cJSON_GetStringValue(member(item, "title")), errors[i].title);
        assert_int_equal(cJSON_GetNumberValue(member(item, "status")), status);
        assert_true(lists(at("components/schemas/Problem/properties/type/enum"), errors[i].type));
        snprintf(path, sizeof path, "components/responses/%d", status);
        if (status != 499 && !at(path)) /* 499 is for the log: nobody is left to read it */
            fail_msg("openapi.json has no response %d", status);
    }
}

static const struct {
    const char *method, *path;
    enum { NO_ITEM, ITEM } item;
} routes[] = {
#define ROUTE(method, path, item, handler, thread) { method, path, item },
#include "server/routes.def"
};
enum { ROUTES = sizeof routes / sizeof *routes };

static bool same_method(const char *upper, const char *lower)
{
    while (*upper && (*upper | 32) == *lower)
        upper++, lower++;
    return !*upper && !*lower;
}

/* Does the route serve this documented path? A * of the route is a {name} there; behind a route
 * with items may stand one more. */
static bool serves(int route, const char *path)
{
    for (const char *at = routes[route].path; *at; at++) {
        if (*at != '*' && *at != *path++)
            return false;
        if (*at == '*' && *path != '{')
            return false;
        if (*at == '*')
            path += strcspn(path, "/");
    }
    return !*path ||
           (routes[route].item == ITEM && !strncmp(path, "/{", 2) && !strchr(path + 2, '/'));
}

TEST(openapi_has_every_route_and_the_server_every_path)
{
    bool documented[ROUTES] = { false };
    const cJSON *path, *operation;

    cJSON_ArrayForEach(path, at("paths")) {
        cJSON_ArrayForEach(operation, path) {
            bool served = !strcmp(operation->string, "parameters");

            for (int i = 0; i < ROUTES; i++)
                if (same_method(routes[i].method, operation->string) && serves(i, path->string))
                    served = documented[i] = true;
            if (!served)
                fail_msg("openapi.json has %s %s, the server has not", operation->string,
                         path->string);
        }
    }
    for (int i = 0; i < ROUTES; i++)
        if (!documented[i])
            fail_msg("openapi.json lacks %s %s", routes[i].method, routes[i].path);
}

static void check_references(const cJSON *from)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, from) {
        if (item->string && !strcmp(item->string, "$ref") && !at(item->valuestring + 2))
            fail_msg("openapi.json refers to %s, which is not there", item->valuestring);
        check_references(item);
    }
}

TEST(openapi_refers_to_nothing_that_is_not_there)
{
    check_references(openapi());
}
