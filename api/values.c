/* Reads parameters as the table says: each number against its range, each word against its list,
 * each name once. */
#include "api/image.h"
#include "api/values.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void *place(struct decoder *d, enum param_id id)
{
    return (char *)d->request + params[id].offset;
}

bool value_refuse(struct decoder *d, const struct given *given, const char *must_be)
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

int value_numbers(struct decoder *d, const struct given *given, double *values, int most)
{
    return json_numbers(&d->json, given->item, values, most);
}

static bool set_int(struct decoder *d, const struct given *given)
{
    double value;

    if (value_numbers(d, given, &value, 1) != 1)
        return value_refuse(d, given, "a whole number");
    return whole(d, given->row, value, place(d, id_of(given->row)));
}

static bool set_pair(struct decoder *d, const struct given *given)
{
    int *pair = place(d, id_of(given->row));
    double values[2];
    int count = value_numbers(d, given, values, given->part ? 1 : 2);

    if (count < 0)
        return value_refuse(d, given,
                            given->part ? "a whole number" : "a whole number or [height,width]");
    if (given->part)
        return whole(d, given->row, values[0], &pair[given->part - 1]);
    return whole(d, given->row, values[0], &pair[0]) &&
           whole(d, given->row, values[count - 1], &pair[1]);
}

bool value_quad(struct decoder *d, const struct param *row, const double *values, int count,
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
    int count = value_numbers(d, given, values, 4);

    if (count == 4 || (pool && (count == 1 || count == 2)))
        return value_quad(d, given->row, values, count, place(d, id_of(given->row)));
    return value_refuse(d, given,
                        pool ? "a whole number, [height,width] or [top,left,bottom,right]"
                             : "[top,left,bottom,right]; padding takes a number or [height,width]");
}

static bool set_real(struct decoder *d, const struct given *given)
{
    double value;

    if (value_numbers(d, given, &value, 1) != 1)
        return value_refuse(d, given, "a number");
    if (id_of(given->row) == P_scale)
        d->scale = value;
    return real(d, given->row, value, place(d, id_of(given->row)));
}

static bool set_reals(struct decoder *d, const struct given *given)
{
    float *out = place(d, id_of(given->row));
    double values[MAX_PICTURE_CHANNELS];
    int count = value_numbers(d, given, values, MAX_PICTURE_CHANNELS);

    if (count < 0)
        return value_refuse(d, given, "a number, or a list of one a channel (at most four)");
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
        return value_refuse(d, given, "true or false");
    word = word_find(words, given->item->valuestring);
    if (word < 0)
        return value_refuse(d, given, "true or false");
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

static bool too_large(struct decoder *d, const char *field)
{
    return fail(d->err, ERR_TOO_LARGE, field,
                "%s needs more than the request's memory limit of %zu bytes", field,
                d->limits->memory);
}

static bool begins_like_numbers(struct bytes text)
{
    return text.size && text.data[0] && strchr("-+.0123456789[", text.data[0]);
}

/* A text's numbers, "1,2" or "[1,2]", as an item; NULL is an error. */
static const cJSON *list_of(struct decoder *d, const struct param *row, struct bytes text)
{
    bool bracketed = text.data[0] == '[';
    char *copy = arena_zeroed(d->arena, text.size + 2 + BODY_SLACK, 1);
    const cJSON *list;

    if (!copy)
        return too_large(d, row->name), NULL;
    *copy = '[';
    memcpy(copy + 1, text.data, text.size);
    copy[1 + text.size] = ']';
    list = json_parse((struct bytes){ copy + bracketed, text.size + (bracketed ? 0 : 2) }, &d->json,
                      d->arena, d->err);
    if (json_tensor(&d->json, list))
        return list;
    if (list || d->err->code == ERR_SYNTAX || d->err->code == ERR_SHAPE)
        fail(d->err, ERR_PARAMETER, row->name,
             "%s is \"%.*s\", which is not a number or numbers with commas between", row->name,
             (int)(text.size < 40 ? text.size : 40), text.data);
    return NULL;
}

static bool set_range(struct decoder *d, const struct given *given)
{
    const cJSON *pair = given->item;
    struct fields *fields = &d->request->fields;
    double values[2];

    if (cJSON_IsString(pair)) {
        if (!begins_like_numbers(json_string(&d->json, pair)))
            return set_word(d, given) && (fields->range != RANGE_GIVEN ||
                                          value_refuse(d, given, "a word or two numbers lo,hi"));
        pair = list_of(d, given->row, json_string(&d->json, pair));
        if (!pair)
            return false;
    }
    if (json_numbers(&d->json, pair, values, 2) != 2)
        return value_refuse(d, given, "clip, minmax, global, symmetric, abs or two numbers lo,hi");
    if (!(fabs(values[0]) <= 1e30 && fabs(values[1]) <= 1e30 && values[0] < values[1]))
        return value_refuse(d, given, "two numbers lo,hi with lo below hi, within 1e30");
    fields->range = RANGE_GIVEN;
    fields->range_lo = (float)values[0];
    fields->range_hi = (float)values[1];
    return true;
}

static bool set_layer(struct decoder *d, const struct given *given)
{
    if (!cJSON_IsString(given->item))
        return value_refuse(d, given, "the name of a stored layer; GET /layers lists them");
    d->layer_name = given->item->valuestring;
    return true;
}

/* --- one value ------------------------------------------------------------------------------- */

bool value_set(struct decoder *d, const struct given *given)
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
        return set_padding(d, given);
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
        return set_layer(d, given);
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
            return value_refuse(d, &given, "a whole number or depthwise");
        d->request->params.groups = 0;
        return true;
    }
    if (id == P_depth && cJSON_IsNumber(given.item) && given.item->valuedouble != 8 &&
        given.item->valuedouble != 16)
        return value_refuse(d, &given, "8 or 16 bits, or full, depthwise or luma");
    return value_set(d, &given);
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

static bool decode_object(struct decoder *d, const cJSON *object, const char *where)
{
    const cJSON *member;

    if (!cJSON_IsObject(object))
        return fail(d->err, ERR_SYNTAX, "", "%s must hold a JSON object, {...}", where);
    cJSON_ArrayForEach(member, object)
        if (!decode_item(d, member->string, member, where))
            return false;
    return true;
}

bool decode_json(struct decoder *d, struct bytes text, const char *where)
{
    const cJSON *root = json_parse(text, &d->json, d->arena, d->err);
    const struct param *row;

    if (root)
        return decode_object(d, root, where);
    row = param_find(d->err->field, NULL); /* the scan knows no aliases */
    if (row)
        snprintf(d->err->field, sizeof d->err->field, "%s", row->name);
    return false;
}

/* A text as an item of its own: no cJSON_Delete, it is the arena's. */
static const cJSON *string_item(struct decoder *d, const struct param *row, struct bytes text)
{
    cJSON *item = arena_zeroed(d->arena, 1, sizeof *item);
    char *copy = arena_new(d->arena, char, text.size + 1);

    if (!item || !copy)
        return too_large(d, row->name), NULL;
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
        if (!item)
            snprintf(d->err->field, sizeof d->err->field, "%s", row->name);
        return item;
    }
    if (takes_numbers(row) && begins_like_numbers(text)) {
        item = list_of(d, row, text);
        if (item && json_first(item) && !json_first(item)->next)
            return json_first(item);
        return item;
    }
    return string_item(d, row, text);
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
    if (!json_utf8(text))
        return fail(d->err, ERR_SYNTAX, row->name, "%s is not UTF-8 text", row->name);
    item = text_item(d, row, text);
    return item && give(d, name, (struct given){ row, part, true, item, where });
}
