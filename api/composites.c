/* Reads the parameters that are more than a number or a word: padding in its many forms, pooling,
 * maps, points to explain. */
#include "api/values.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool set_sides(struct decoder *d, const struct given *given)
{
    static const char *const sides[] = { "top", "left", "bottom", "right", NULL };
    const cJSON *side;

    cJSON_ArrayForEach(side, given->item) {
        int index = word_find(sides, side->string);

        if (index < 0)
            return fail(d->err, ERR_UNKNOWN, "padding",
                        "padding has no \"%.40s\"; it has top, left, bottom and right",
                        side->string);
        if (!cJSON_IsNumber(side))
            return value_refuse(d, given, "whole numbers: top, left, bottom, right");
        if (!decode_whole(d, "padding", side->valuedouble, params[P_pads].min, params[P_pads].max,
                          &d->request->params.pads[index])) {
            snprintf(d->err->field, sizeof d->err->field, "padding/%s", sides[index]);
            return false;
        }
    }
    return true;
}

static bool set_padding_word(struct decoder *d, const struct given *given)
{
    static const char *const words[] = { "valid", "same", "same_upper", "same_lower", NULL };
    static const int means[] = { AUTO_PAD_VALID, AUTO_PAD_SAME_UPPER, AUTO_PAD_SAME_UPPER,
                                 AUTO_PAD_SAME_LOWER };
    int index = word_find(words, given->item->valuestring);

    if (index < 0)
        return value_refuse(
            d, given,
            "a whole number, [height,width], valid, same, same_upper, same_lower or "
            "{top,left,bottom,right}");
    if (!decode_mark(d, P_auto_pad, 0, given->where))
        return false;
    d->request->params.auto_pad = means[index];
    return true;
}

static bool whole_padding(struct decoder *d, const struct given *given)
{
    int *pads = d->request->params.pads;
    double values[4];
    int count;

    if (cJSON_IsString(given->item) && !given->part)
        return set_padding_word(d, given);
    if (cJSON_IsObject(given->item) && !given->part)
        return set_sides(d, given);
    count = value_numbers(d, given, values, given->part ? 1 : 4);
    if (count == 4)
        return value_refuse(d, given,
                            "a number or [height,width]; for four numbers use pads, "
                            "[top,left,bottom,right]");
    if (count < 1 || count > 2)
        return value_refuse(d, given,
                            given->part ? "a whole number" : "a whole number or [height,width]");
    if (!value_quad(d, &params[P_pads], values, count, pads)) {
        snprintf(d->err->field, sizeof d->err->field, "padding");
        return false;
    }
    return true;
}

static bool set_half_padding(struct decoder *d, const struct given *given)
{
    int saved[4], *pads = d->request->params.pads;

    memcpy(saved, pads, sizeof saved);
    if (!whole_padding(d, given))
        return false;
    for (int i = 0; i < 4; i++)
        if (i % 2 != given->part - 1)
            pads[i] = saved[i];
    return true;
}

bool set_padding(struct decoder *d, const struct given *given)
{
    return given->part ? set_half_padding(d, given) : whole_padding(d, given);
}

static const struct param *pool_row(const char *member)
{
    const struct param *row = param_find(member, NULL);

    if (!strcmp(member, "type"))
        return &params[P_pool_type];
    switch (row ? id_of(row) : PARAM_COUNT) {
    case P_kernel_size:
        return &params[P_pool_kernel_size];
    case P_stride:
        return &params[P_pool_stride];
    case P_padding:
    case P_pads:
        return &params[P_pool_pads];
    default:
        return NULL;
    }
}

bool set_pool(struct decoder *d, const struct given *given)
{
    struct given member = *given;

    if (cJSON_IsString(given->item)) {
        member.row = &params[P_pool_type];
        return decode_mark(d, P_pool_type, 0, given->where) && value_set(d, &member);
    }
    if (!cJSON_IsObject(given->item))
        return value_refuse(d, given,
                            "max, avg or an object of type, kernel_size, stride, padding");
    cJSON_ArrayForEach(member.item, given->item) {
        member.row = pool_row(member.item->string);
        member.text = false;
        if (!member.row)
            return fail(d->err, ERR_UNKNOWN, "pool",
                        "pool has no \"%.40s\"; it has type, kernel_size, stride and padding",
                        member.item->string);
        if (!decode_mark(d, id_of(member.row), 0, given->where) || !value_set(d, &member))
            return false;
    }
    return true;
}

bool set_divisor(struct decoder *d, const struct given *given)
{
    double value;

    if (value_numbers(d, given, &value, 1) != 1)
        return value_refuse(d, given, "a number");
    if (!(fabs(value) >= 1e-9 && fabs(value) <= 1e9))
        return value_refuse(d, given, "a number other than 0, of 1e-9 to 1e9 in size");
    d->divisor = value;
    return true;
}

bool set_maps(struct decoder *d, const struct given *given)
{
    const struct json_cut *cut = json_tensor(&d->json, given->item);
    double one;
    int *maps, count = 1;

    if (cut && cut->rank == 1 && cut->count <= 65536)
        count = (int)cut->count;
    else if (cut || value_numbers(d, given, &one, 1) != 1)
        return value_refuse(d, given, "a list of map numbers, counted from 0");
    maps = arena_new(d->arena, int, (size_t)count);
    if (!maps)
        return fail(d->err, ERR_TOO_LARGE, "maps", "maps is over the memory limit");
    for (int i = 0; i < count; i++)
        if (!decode_whole(d, "maps", cut ? (double)cut->data[i] : one, 0, 65535, &maps[i]))
            return false;
    d->request->maps = maps;
    d->request->map_count = count;
    return true;
}

static bool set_point(struct decoder *d, const cJSON *object, struct conv_point *point)
{
    static const char *const names[] = { "n", "k", "y", "x", NULL };
    const cJSON *member;
    int seen = 1; /* n may be left out */

    *point = (struct conv_point){ 0 };
    cJSON_ArrayForEach(member, object) {
        int index = word_find(names, member->string);
        int *out[] = { &point->n, &point->k, &point->y, &point->x };

        if (index < 0)
            return fail(d->err, ERR_UNKNOWN, "explain",
                        "a point of explain has no \"%.40s\"; it has n, k, y and x",
                        member->string);
        if (!cJSON_IsNumber(member))
            return fail(d->err, ERR_PARAMETER, "explain", "explain's %s must be a whole number",
                        names[index]);
        if (!decode_whole(d, "explain", member->valuedouble, 0, 1e9, out[index]))
            return false;
        seen |= 1 << index;
    }
    return seen == 15 ||
           fail(d->err, ERR_PARAMETER, "explain", "a point of explain needs k, y and x");
}

bool set_explain(struct decoder *d, const struct given *given)
{
    bool one = cJSON_IsObject(given->item);
    int count = one ? 1 : cJSON_IsArray(given->item) ? cJSON_GetArraySize(given->item) : 0;
    struct conv_point *points;
    const cJSON *object = one ? given->item : given->item->child;

    if (!count || count > MAX_EXPLAIN)
        return value_refuse(d, given, "a list of 1 to 64 points {\"k\",\"y\",\"x\"}");
    points = arena_new(d->arena, struct conv_point, (size_t)count);
    if (!points)
        return fail(d->err, ERR_TOO_LARGE, "explain", "explain is over the memory limit");
    for (int i = 0; i < count; i++, object = object->next)
        if (!cJSON_IsObject(object))
            return value_refuse(d, given, "a list of points {\"k\",\"y\",\"x\"}");
        else if (!set_point(d, object, &points[i]))
            return false;
    d->request->explain = points;
    d->request->explain_count = count;
    return true;
}

bool set_output(struct decoder *d, const struct given *given)
{
    const cJSON *member;

    if (!cJSON_IsObject(given->item))
        return value_refuse(d, given, "an object of format, data and what");
    cJSON_ArrayForEach(member, given->item) {
        const struct param *row = param_find(member->string, NULL);

        if (!row || (row != &params[P_format] && row != &params[P_data] && row != &params[P_what]))
            return fail(d->err, ERR_UNKNOWN, "output",
                        "output has no \"%.40s\"; it has format, data and what", member->string);
        if (!decode_item(d, row->name, member, given->where))
            return false;
    }
    return true;
}
