/* Reads parameters as the table says: each number against its range, each word against its list,
 * each name once. */
#include "api/decode.h"
#include "api/image.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A value under way to its row. */
struct given {
    const struct param *row;
    int part;  /* as in struct alias */
    bool text; /* from a query or a form: true may be "1" */
    const cJSON *item;
    const char *where;
};

static bool set(struct decoder *d, const struct given *given);

static enum param_id id_of(const struct param *row)
{
    return (enum param_id)(row - params);
}

static void *place(struct decoder *d, enum param_id id)
{
    return (char *)d->request + params[id].offset;
}

static bool refuse(struct decoder *d, const struct given *given, const char *must_be)
{
    return fail(d->err, ERR_PARAMETER, given->row->name, "%s must be %s", given->row->name,
                must_be);
}

bool decode_unknown(struct decoder *d, const char *name)
{
    const char *nearest = param_nearest(name);

    if (nearest)
        return fail(d->err, ERR_UNKNOWN, name, "there is no parameter \"%.60s\"; did you mean %s?",
                    name, nearest);
    return fail(d->err, ERR_UNKNOWN, name,
                "there is no parameter \"%.60s\"; /openapi.json lists them", name);
}

bool decode_mark(struct decoder *d, enum param_id id, int part, const char *where)
{
    int bits = part ? part : 3;

    if (d->seen[id] & bits)
        return fail(d->err, ERR_TWICE, params[id].name,
                    d->where[id] == where ? "%s is given twice in %s; give it once"
                                          : "%s is given twice, in %s and in %s; give it once",
                    params[id].name, d->where[id], where);
    d->seen[id] |= (unsigned char)bits;
    d->where[id] = where;
    return true;
}

/* --- numbers --------------------------------------------------------------------------------- */

bool decode_whole(struct decoder *d, const char *field, double value, double min, double max,
                  int *out)
{
    if (!(value >= min && value <= max))
        return fail_range(d->err, field, value, min, max);
    if (value != floor(value)) {
        fail(d->err, ERR_PARAMETER, field, "%s is %.9g; it must be a whole number", field, value);
        return false;
    }
    *out = (int)value;
    return true;
}

static bool whole(struct decoder *d, const struct param *row, double value, int *out)
{
    return decode_whole(d, row->name, value, row->min, row->max, out);
}

static bool real(struct decoder *d, const struct param *row, double value, float *out)
{
    if (!(value >= row->min && value <= row->max))
        return fail_range(d->err, row->name, value, row->min, row->max);
    *out = (float)value;
    return true;
}

static int numbers(struct decoder *d, const struct given *given, double *values, int most)
{
    return json_numbers(&d->json, given->item, values, most);
}

static bool set_int(struct decoder *d, const struct given *given)
{
    double value;

    if (numbers(d, given, &value, 1) != 1)
        return refuse(d, given, "a whole number");
    return whole(d, given->row, value, place(d, id_of(given->row)));
}

static bool set_pair(struct decoder *d, const struct given *given)
{
    int *pair = place(d, id_of(given->row));
    double values[2];
    int count = numbers(d, given, values, given->part ? 1 : 2);

    if (count < 0)
        return refuse(d, given,
                      given->part ? "a whole number" : "a whole number or [height,width]");
    if (given->part)
        return whole(d, given->row, values[0], &pair[given->part - 1]);
    return whole(d, given->row, values[0], &pair[0]) &&
           whole(d, given->row, values[count - 1], &pair[1]);
}

/* quad is top, left, bottom, right; values are 1, 2 (height, width) or 4 of them. */
static bool set_quad(struct decoder *d, const struct param *row, const double *values, int count,
                     int *quad)
{
    for (int i = 0; i < 4; i++)
        if (!whole(d, row, values[count == 4 ? i : count == 2 ? i % 2 : 0], &quad[i]))
            return false;
    return true;
}

static bool set_pads(struct decoder *d, const struct given *given)
{
    bool pool = id_of(given->row) == P_pool_pads;
    double values[4];
    int count = numbers(d, given, values, 4);

    if (count == 4 || (pool && (count == 1 || count == 2)))
        return set_quad(d, given->row, values, count, place(d, id_of(given->row)));
    return refuse(d, given,
                  pool ? "a whole number, [height,width] or [top,left,bottom,right]"
                       : "[top,left,bottom,right]; padding takes a number or [height,width]");
}

static bool set_real(struct decoder *d, const struct given *given)
{
    double value;

    if (numbers(d, given, &value, 1) != 1)
        return refuse(d, given, "a number");
    if (id_of(given->row) == P_scale)
        d->scale = value;
    return real(d, given->row, value, place(d, id_of(given->row)));
}

static bool set_reals(struct decoder *d, const struct given *given)
{
    float *out = place(d, id_of(given->row));
    double values[MAX_PICTURE_CHANNELS];
    int count = numbers(d, given, values, MAX_PICTURE_CHANNELS);

    if (count < 0)
        return refuse(d, given, "a number, or a list of one a channel (at most four)");
    for (int i = 0; i < MAX_PICTURE_CHANNELS; i++)
        if (!real(d, given->row, values[i < count ? i : count - 1], &out[i]))
            return false;
    *(id_of(given->row) == P_mean ? &d->mean_count : &d->std_count) = count;
    return true;
}

/* --- words ----------------------------------------------------------------------------------- */

static bool set_bool(struct decoder *d, const struct given *given)
{
    static const char *const words[] = { "false", "true", "0", "1", NULL };
    bool *out = place(d, id_of(given->row));
    int word;

    if (cJSON_IsBool(given->item)) {
        *out = cJSON_IsTrue(given->item);
        return true;
    }
    if (!given->text || !cJSON_IsString(given->item))
        return refuse(d, given, "true or false");
    word = word_find(words, given->item->valuestring);
    if (word < 0)
        return refuse(d, given, "true or false");
    *out = word % 2;
    return true;
}

/* Other libraries' names of a word. */
static const char *usual_word(enum param_id id, const char *word)
{
    static const char *const modes[][2] = { { "constant", "zeros" },
                                            { "edge", "replicate" },
                                            { "wrap", "circular" },
                                            { "mirror", "reflect" } };

    for (size_t i = 0; id == P_padding_mode && i < sizeof modes / sizeof *modes; i++)
        if (!strcasecmp(modes[i][0], word))
            return modes[i][1];
    return word;
}

static bool refuse_word(struct decoder *d, const struct given *given, const char *word)
{
    char list[200];

    words_join(given->row->words, list, sizeof list);
    return fail(d->err, ERR_PARAMETER, given->row->name, "%s is \"%.40s\"; it must be %s",
                given->row->name, word, list);
}

/* channels is a word that looks like a number: 3 is as good as "3". */
static bool set_word(struct decoder *d, const struct given *given)
{
    char number[32] = "";
    const char *word = number;
    int index;

    if (cJSON_IsString(given->item))
        word = usual_word(id_of(given->row), given->item->valuestring);
    else if (cJSON_IsNumber(given->item))
        snprintf(number, sizeof number, "%.9g", given->item->valuedouble);
    index = word_find(given->row->words, word);
    if (index < 0)
        return refuse_word(d, given, word);
    *(int *)place(d, id_of(given->row)) = index;
    return true;
}

/* algorithm, the one TEXT: an engine that exists. */
static bool set_algorithm(struct decoder *d, const struct given *given)
{
    const char *words[16] = { "auto" };

    for (int i = 0; i < 14 && conv_engine_name(i); i++)
        words[i + 1] = conv_engine_name(i);
    if (!cJSON_IsString(given->item) || word_find(words, given->item->valuestring) < 0) {
        char list[200];

        words_join(words, list, sizeof list);
        return fail(d->err, ERR_PARAMETER, "algorithm", "algorithm must be %s", list);
    }
    snprintf(d->request->fields.algorithm, sizeof d->request->fields.algorithm, "%s",
             words[word_find(words, given->item->valuestring)]);
    return true;
}

/* A text's numbers, "1,2" or "[1,2]", as an item; NULL when it is no list of numbers. */
static const cJSON *list_of(struct decoder *d, struct bytes text)
{
    const cJSON *list;
    struct error err;
    char *copy;

    if (!text.size || !strchr("-.+0123456789[", text.data[0]))
        return NULL;
    copy = arena_new(d->arena, char, text.size + 2 + BODY_SLACK);
    if (!copy)
        return NULL;
    *copy = '[';
    memcpy(copy + 1, text.data, text.size);
    memcpy(copy + 1 + text.size, "]", 2);
    list = text.data[0] == '['
               ? json_parse((struct bytes){ copy + 1, text.size }, &d->json, d->arena, &err)
               : json_parse((struct bytes){ copy, text.size + 2 }, &d->json, d->arena, &err);
    return json_tensor(&d->json, list) ? list : NULL;
}

static bool set_range(struct decoder *d, const struct given *given)
{
    const cJSON *pair = given->item;
    struct fields *fields = &d->request->fields;
    double values[2];

    if (cJSON_IsString(pair))
        pair = list_of(d, json_string(&d->json, pair));
    if (!pair) {
        if (!set_word(d, given))
            return false;
        return fields->range != RANGE_GIVEN || refuse(d, given, "a word or two numbers lo,hi");
    }
    if (json_numbers(&d->json, pair, values, 2) != 2)
        return refuse(d, given, "clip, minmax, global, symmetric, abs or two numbers lo,hi");
    if (!(fabs(values[0]) <= 1e30 && fabs(values[1]) <= 1e30 && values[0] < values[1]))
        return refuse(d, given, "two numbers lo,hi with lo below hi, within 1e30");
    fields->range = RANGE_GIVEN;
    fields->range_lo = (float)values[0];
    fields->range_hi = (float)values[1];
    return true;
}

/* --- what is made of several values ----------------------------------------------------------- */

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
            return refuse(d, given, "whole numbers: top, left, bottom, right");
        if (!whole(d, &params[P_pads], side->valuedouble, &d->request->params.pads[index])) {
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
        return refuse(d, given,
                      "a whole number, [height,width], valid, same, same_upper, same_lower or "
                      "{top,left,bottom,right}");
    if (!decode_mark(d, P_auto_pad, 0, given->where))
        return false;
    d->request->params.auto_pad = means[index];
    return true;
}

static bool set_padding(struct decoder *d, const struct given *given)
{
    int *pads = d->request->params.pads;
    double values[4];
    int count;

    if (cJSON_IsString(given->item) && !given->part)
        return set_padding_word(d, given);
    if (cJSON_IsObject(given->item) && !given->part)
        return set_sides(d, given);
    count = numbers(d, given, values, given->part ? 1 : 4);
    if (count == 4)
        return refuse(d, given,
                      "a number or [height,width]; for four numbers use pads, "
                      "[top,left,bottom,right]");
    if (count < 1 || count > 2)
        return refuse(d, given,
                      given->part ? "a whole number" : "a whole number or [height,width]");
    if (!set_quad(d, &params[P_pads], values, count, pads)) {
        snprintf(d->err->field, sizeof d->err->field, "padding");
        return false;
    }
    return true;
}

static bool set_half_padding(struct decoder *d, const struct given *given)
{
    int saved[4], *pads = d->request->params.pads;

    memcpy(saved, pads, sizeof saved);
    if (!set_padding(d, given))
        return false;
    for (int i = 0; i < 4; i++)
        if (i % 2 != given->part - 1)
            pads[i] = saved[i];
    return true;
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

static bool set_pool(struct decoder *d, const struct given *given)
{
    struct given member = *given;

    if (cJSON_IsString(given->item)) {
        member.row = &params[P_pool_type];
        return decode_mark(d, P_pool_type, 0, given->where) && set(d, &member);
    }
    if (!cJSON_IsObject(given->item))
        return refuse(d, given, "max, avg or an object of type, kernel_size, stride, padding");
    cJSON_ArrayForEach(member.item, given->item) {
        member.row = pool_row(member.item->string);
        member.text = false;
        if (!member.row)
            return fail(d->err, ERR_UNKNOWN, "pool",
                        "pool has no \"%.40s\"; it has type, kernel_size, stride and padding",
                        member.item->string);
        if (!decode_mark(d, id_of(member.row), 0, given->where) || !set(d, &member))
            return false;
    }
    return true;
}

static bool set_divisor(struct decoder *d, const struct given *given)
{
    double value;

    if (numbers(d, given, &value, 1) != 1)
        return refuse(d, given, "a number");
    if (!(fabs(value) >= 1e-9 && fabs(value) <= 1e9))
        return refuse(d, given, "a number other than 0, of 1e-9 to 1e9 in size");
    d->divisor = value;
    return true;
}

static bool set_maps(struct decoder *d, const struct given *given)
{
    const struct json_cut *cut = json_tensor(&d->json, given->item);
    double one;
    int *maps, count = 1;

    if (cut && cut->rank == 1 && cut->count <= 65536)
        count = (int)cut->count;
    else if (cut || numbers(d, given, &one, 1) != 1)
        return refuse(d, given, "a list of map numbers, counted from 0");
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

static bool set_point(struct decoder *d, const cJSON *object, struct explain_point *point)
{
    static const char *const names[] = { "n", "k", "y", "x", NULL };
    const cJSON *member;
    int seen = 1; /* n may be left out */

    *point = (struct explain_point){ 0 };
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

static bool set_explain(struct decoder *d, const struct given *given)
{
    bool one = cJSON_IsObject(given->item);
    int count = one ? 1 : cJSON_IsArray(given->item) ? cJSON_GetArraySize(given->item) : 0;
    struct explain_point *points;
    const cJSON *object = one ? given->item : given->item->child;

    if (!count || count > MAX_EXPLAIN)
        return refuse(d, given, "a list of 1 to 64 points {\"k\",\"y\",\"x\"}");
    points = arena_new(d->arena, struct explain_point, (size_t)count);
    if (!points)
        return fail(d->err, ERR_TOO_LARGE, "explain", "explain is over the memory limit");
    for (int i = 0; i < count; i++, object = object->next)
        if (!cJSON_IsObject(object))
            return refuse(d, given, "a list of points {\"k\",\"y\",\"x\"}");
        else if (!set_point(d, object, &points[i]))
            return false;
    d->request->explain = points;
    d->request->explain_count = count;
    return true;
}

static bool set_output(struct decoder *d, const struct given *given)
{
    const cJSON *member;

    if (!cJSON_IsObject(given->item))
        return refuse(d, given, "an object of format, data and what");
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

/* --- one value ------------------------------------------------------------------------------- */

static bool set(struct decoder *d, const struct given *given)
{
    switch (given->row->kind) {
    case PARAM_INT:
        return set_int(d, given);
    case PARAM_PAIR:
        return set_pair(d, given);
    case PARAM_QUAD:
        return set_pads(d, given);
    case PARAM_WORD:
        return id_of(given->row) == P_range ? set_range(d, given) : set_word(d, given);
    case PARAM_REAL:
        return set_real(d, given);
    case PARAM_REALS:
        return set_reals(d, given);
    case PARAM_BOOL:
        return set_bool(d, given);
    case PARAM_TEXT:
        return set_algorithm(d, given);
    case PARAM_PADDING:
        return given->part ? set_half_padding(d, given) : set_padding(d, given);
    case PARAM_POOL:
        return set_pool(d, given);
    case PARAM_DIVISOR:
        return set_divisor(d, given);
    case PARAM_INTS:
        return set_maps(d, given);
    case PARAM_EXPLAIN:
        return set_explain(d, given);
    case PARAM_OUTPUT:
        return set_output(d, given);
    case PARAM_NAME:
        return fail(d->err, ERR_PARAMETER, "layer",
                    "this server keeps no layers; give weights instead");
    case PARAM_TENSOR:
    case PARAM_SHAPE:
        d->item[id_of(given->row)] = given->item;
        return true;
    }
    __builtin_unreachable();
}

/* Names whose value says which parameter is meant. */
static enum param_id redirect(enum param_id id, const char *name, const cJSON *item)
{
    if (id == P_weights && !strcmp(name, "filters") && cJSON_IsNumber(item))
        return P_out_channels;
    if (id == P_depth && cJSON_IsString(item))
        return P_bank_depth;
    return id;
}

static bool give(struct decoder *d, const char *name, struct given given)
{
    enum param_id id = redirect(id_of(given.row), name, given.item);

    given.row = &params[id];
    if (!decode_mark(d, id, given.part, given.where))
        return false;
    if (id == P_groups && cJSON_IsString(given.item)) {
        if (strcasecmp(given.item->valuestring, "depthwise"))
            return refuse(d, &given, "a whole number or depthwise");
        d->request->params.groups = 0;
        return true;
    }
    if (id == P_depth && cJSON_IsNumber(given.item) && given.item->valuedouble != 8 &&
        given.item->valuedouble != 16)
        return refuse(d, &given, "8 or 16 bits, or full, depthwise or luma");
    return set(d, &given);
}

bool decode_item(struct decoder *d, const char *name, const cJSON *item, const char *where)
{
    int part;
    const struct param *row = param_find(name, &part);

    if (!row)
        return decode_unknown(d, name);
    if (cJSON_IsNull(item))
        return true; /* as good as not there */
    return give(d, name, (struct given){ row, part, false, item, where });
}

bool decode_object(struct decoder *d, const cJSON *object, const char *where)
{
    const cJSON *member;

    if (!cJSON_IsObject(object))
        return fail(d->err, ERR_SYNTAX, "", "%s must hold a JSON object, {...}", where);
    cJSON_ArrayForEach(member, object)
        if (!decode_item(d, member->string, member, where))
            return false;
    return true;
}

/* A text as an item of its own: no cJSON_Delete, it is the arena's. */
static const cJSON *string_item(struct decoder *d, struct bytes text)
{
    cJSON *item = arena_zeroed(d->arena, 1, sizeof *item);
    char *copy = arena_new(d->arena, char, text.size + 1);

    if (!item || !copy)
        return fail(d->err, ERR_TOO_LARGE, "", "the parameters are over the memory limit"), NULL;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    item->type = cJSON_String;
    item->valuestring = copy;
    return item;
}

static bool takes_numbers(const struct param *row)
{
    switch (row->kind) {
    case PARAM_WORD:
    case PARAM_BOOL:
    case PARAM_TEXT:
    case PARAM_NAME:
    case PARAM_SHAPE:
        return false;
    default:
        return row != &params[P_image];
    }
}

/* A text is JSON when it begins like an object or a list, numbers when it begins like one, else a
 * word. "3,3" is [3,3]. */
static const cJSON *text_item(struct decoder *d, const struct param *row, struct bytes text)
{
    const cJSON *item;

    if (media_sniff(text) == MEDIA_JSON) {
        item = json_parse(text, &d->json, d->arena, d->err);
        if (!item && d->err->code == ERR_SYNTAX)
            snprintf(d->err->field, sizeof d->err->field, "%s", row->name);
        return item;
    }
    if (takes_numbers(row) && text.size && strchr("-+.0123456789", text.data[0])) {
        item = list_of(d, text);
        if (!item)
            return fail(d->err, ERR_PARAMETER, row->name,
                        "%s is \"%.*s\", which is not a number or numbers with commas between",
                        row->name, (int)(text.size < 40 ? text.size : 40), text.data),
                   NULL;
        if (json_first(item) && !json_first(item)->next)
            return json_first(item);
        return item;
    }
    return string_item(d, text);
}

bool decode_text(struct decoder *d, const char *name, struct bytes text, const char *where)
{
    int part;
    const struct param *row = param_find(name, &part);
    const cJSON *item;

    if (!row)
        return decode_unknown(d, name);
    if (memchr(text.data, '\0', text.size))
        return fail(d->err, ERR_SYNTAX, row->name, "%s has a NUL byte in it", row->name);
    item = text_item(d, row, text);
    return item && give(d, name, (struct given){ row, part, true, item, where });
}
