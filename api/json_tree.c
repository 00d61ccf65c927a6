/* The small rest as cJSON's tree, and what was cut out of it found again. */
#include "api/json_inner.h"

#include <stdlib.h>
#include <string.h>

static bool no_twins(const cJSON *item, struct error *err)
{
    const cJSON *child, *other;

    cJSON_ArrayForEach(child, item) {
        if (child->string)
            for (other = item->child; other != child; other = other->next)
                if (other->string && !strcmp(other->string, child->string))
                    return fail(err, ERR_TWICE, child->string, "%.60s is given twice in the JSON",
                                child->string);
        if (!no_twins(child, err))
            return false;
    }
    return true;
}

const cJSON *json_parse(struct bytes text, struct json_store *json, struct arena *arena,
                        struct error *err)
{
    struct json_tree *tree = arena_new(arena, struct json_tree, 1);
    struct bytes rest;
    size_t nul;

    if (!tree)
        return fail(err, ERR_TOO_LARGE, "", "the JSON needs more memory than allowed"), NULL;
    if (!json_scan(text, json, arena, &rest, &nul, err))
        return NULL;
    if (nul != SIZE_MAX)
        return fail(err, ERR_SYNTAX, "", "\\u0000 at byte %zu: no name or word here has it", nul),
               NULL;
    tree->root = cJSON_ParseWithLength(rest.data, rest.size);
    if (!tree->root)
        return fail(err, ERR_BUSY, "", "there is not enough memory for the JSON; try again"), NULL;
    tree->next = json->trees;
    json->trees = tree;
    return no_twins(tree->root, err) ? tree->root : NULL;
}

void json_free(struct json_store *json)
{
    for (; json->trees; json->trees = json->trees->next)
        cJSON_Delete(json->trees->root);
}

/* The cut that item stands for, when it is a string with this mark. */
static const struct json_cut *find_cut(const struct json_store *json, const cJSON *item, char mark)
{
    const struct json_cut *cut = json->cuts;
    int index;

    if (!cJSON_IsString(item) || item->valuestring[0] != mark)
        return NULL;
    index = atoi(item->valuestring + 1);
    while (cut->index != index)
        cut = cut->next;
    return cut;
}

const struct json_cut *json_tensor(const struct json_store *json, const cJSON *item)
{
    return cJSON_IsArray(item) ? find_cut(json, item->child, TENSOR_MARK) : NULL;
}

struct bytes json_string(const struct json_store *json, const cJSON *item)
{
    const struct json_cut *cut = find_cut(json, item, STRING_MARK);

    if (cut)
        return cut->text;
    if (!cJSON_IsString(item))
        return (struct bytes){ NULL, 0 };
    return (struct bytes){ item->valuestring, strlen(item->valuestring) };
}

const cJSON *json_first(const cJSON *list)
{
    const cJSON *first = list ? list->child : NULL;

    return cJSON_IsString(first) && first->valuestring[0] == TENSOR_MARK ? first->next : first;
}

int json_numbers(const struct json_store *json, const cJSON *item, double *numbers, int most)
{
    const cJSON *number;
    int count = 0;

    if (cJSON_IsNumber(item)) {
        *numbers = item->valuedouble;
        return 1;
    }
    if (!json_tensor(json, item))
        return -1;
    for (number = json_first(item); number; number = number->next) {
        if (count == most)
            return -1;
        numbers[count++] = number->valuedouble;
    }
    return count ? count : -1;
}
