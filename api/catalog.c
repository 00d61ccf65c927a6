/* What is built in, as documents: the filter banks with their numbers, the generators with their
 * ranges, the samples as a list and as pictures. */
#include "api/encode.h"
#include "api/floats.h"
#include "api/json_write.h"
#include "api/png.h"
#include "api/sample.h"

#include <string.h>

enum { LIST_SIZE = 128 * 1024, ENTRY_SIZE = 4096 };

static const struct kind {
    const char *word, *depth, *range;
} kinds[] = { [BANK_SMOOTHING] = { "smoothing", "depthwise", "clip" },
              [BANK_DERIVATIVE] = { "derivative", "luma", "abs" },
              [BANK_LAYER] = { "layer", "luma", "minmax" } };

static const struct generated {
    const char *generator, *name, *type, *help;
    double preset, min, max;
} generated[] = {
#define TYPE_INT  "integer"
#define TYPE_REAL "number"
#define GENERATOR(name, kind, help)
#define GENERATED(generator, type, name, preset, min, max, help)                                   \
    { #generator, #name, TYPE_##type, help, preset, min, max },
#include "core/generators.def"
};

static const struct generator {
    const char *id, *help;
    enum bank_kind kind;
} generators[] = {
#define GENERATOR(name, kind, help) { #name, help, BANK_##kind },
#define GENERATED(generator, type, name, preset, min, max, help)
#include "core/generators.def"
};
enum { GENERATORS = sizeof generators / sizeof *generators };

/* Rows of integers, which the divisor divides. */
static void integers_encode(struct json *json, const struct bank *bank)
{
    int row[64];

    json_open(json, "weights", '[');
    for (int y = 0; y < bank->shape.height; y++) {
        for (int x = 0; x < bank->shape.width; x++)
            row[x] = bank->integers[y * bank->shape.width + x];
        json_ints(json, NULL, row, bank->shape.width);
    }
    json_close(json, ']');
    json_int(json, "divisor", bank->divisor);
    if (bank->gradient_divisor)
        json_int(json, "gradient_divisor", bank->gradient_divisor);
}

/* Whose filters a bank of several presets holds, in their order. */
static void members_encode(struct json *json, const char *id)
{
    static const struct {
        const char *id, *members[9];
    } groups[] = {
#define PRESET(...)
#define GROUP(id, kind, help, ...) { #id, { __VA_ARGS__, NULL } },
#include "core/presets.def"
    };

    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (!strcmp(groups[i].id, id)) {
            json_open(json, "members", '[');
            for (int k = 0; groups[i].members[k]; k++)
                json_text(json, NULL, groups[i].members[k]);
            json_close(json, ']');
        }
}

static void bank_encode(struct json *json, const struct bank *bank)
{
    const struct shape *shape = &bank->shape;
    const struct kind *kind = &kinds[bank->kind];

    json_text(json, "id", bank->id);
    json_text(json, "kind", kind->word);
    json_text(json, "help", bank->help);
    json_ints(json, "shape", (int[]){ shape->count, shape->channels, shape->height, shape->width },
              4);
    members_encode(json, bank->id);
    if (bank->integers)
        integers_encode(json, bank);
    json_real(json, "bias", bank->bias);
    json_open(json, "default", '{');
    json_int(json, "stride", bank->stride ? bank->stride : 1);
    if (bank->padding < 0)
        json_text(json, "padding", "same");
    else
        json_int(json, "padding", bank->padding);
    json_text(json, "depth", shape->channels == 1 ? kind->depth : "full");
    json_text(json, "range", kind->range);
    json_close(json, '}');
    json_open(json, "output", '{'); /* exact, for inputs from 0 to 1 */
    json_real(json, "min", bank->out_min);
    json_real(json, "max", bank->out_max);
    json_close(json, '}');
}

static void parameters_encode(struct json *json, const char *id)
{
    json_open(json, "parameters", '[');
    for (size_t i = 0; i < sizeof generated / sizeof *generated; i++) {
        const struct generated *g = &generated[i];

        if (strcmp(g->generator, id))
            continue;
        json_open(json, NULL, '{');
        json_text(json, "name", g->name);
        json_text(json, "type", g->type);
        if (g->preset >= g->min)
            json_real(json, "default", g->preset);
        json_real(json, "min", g->min);
        json_real(json, "max", g->max);
        json_text(json, "help", g->help);
        json_close(json, '}');
    }
    if (strcmp(id, "random") == 0) {
        json_open(json, NULL, '{');
        json_text(json, "name", "init");
        json_text(json, "type", "string");
        json_text(json, "default", "he");
        json_text(json, "help",
                  "he: normal, variance 2 / fan_in; xavier: uniform, variance 2 / "
                  "(fan_in + fan_out)");
        json_close(json, '}');
    }
    json_close(json, ']');
}

static const struct generator *generator_find(const char *id)
{
    for (int i = 0; i < GENERATORS; i++)
        if (strcmp(generators[i].id, id) == 0)
            return &generators[i];
    return NULL;
}

static void generator_encode(struct json *json, const struct generator *generator)
{
    json_text(json, "id", generator->id);
    json_text(json, "kind", kinds[generator->kind].word);
    json_text(json, "help", generator->help);
    parameters_encode(json, generator->id);
}

static char *begin(struct json *json, size_t size, struct arena *arena, struct error *err)
{
    char *buffer = arena_alloc(arena, size, 1);

    if (!buffer) {
        fail(err, ERR_TOO_LARGE, "", "there is no memory for the reply");
        return NULL;
    }
    json_init(json, buffer, size);
    json_open(json, NULL, '{');
    return buffer;
}

static bool filters_list(struct arena *arena, struct reply *reply, struct error *err)
{
    struct json json;
    char *buffer = begin(&json, LIST_SIZE, arena, err);

    if (!buffer)
        return false;
    json_open(&json, "filters", '[');
    for (int i = 0; i < bank_count(); i++) {
        struct arena_mark mark = arena_save(arena);
        struct bank bank;

        if (!bank_find(bank_id(i), &bank, arena, err))
            return false;
        json_open(&json, NULL, '{');
        bank_encode(&json, &bank);
        json_close(&json, '}');
        arena_restore(arena, mark);
    }
    json_close(&json, ']');
    json_open(&json, "generators", '[');
    for (int i = 0; i < GENERATORS; i++) {
        json_open(&json, NULL, '{');
        generator_encode(&json, &generators[i]);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_close(&json, '}');
    return reply_json(&json, buffer, reply, err);
}

static bool not_found(const char *what, const char *id, const char *nearest, struct error *err)
{
    if (nearest)
        return fail(err, ERR_NOT_FOUND, "",
                    "there is no %s '%.64s'; did you mean '%s'? GET /%ss "
                    "lists them",
                    what, id, nearest, what);
    return fail(err, ERR_NOT_FOUND, "", "there is no %s '%.64s'; GET /%ss lists them", what, id,
                what);
}

/* One bank with its floats, or a generator with those of its default numbers. */
static bool filter_one(const char *id, struct arena *arena, struct reply *reply, struct error *err)
{
    const struct generator *generator = generator_find(id);
    struct bank bank = { 0 };
    struct json json;
    char *buffer;

    if ((!generator || strcmp(id, "random")) && !bank_find(id, &bank, arena, err))
        return err->code == ERR_PARAMETER ? not_found("filter", id, bank_nearest(id), err) : false;
    buffer =
        begin(&json, ENTRY_SIZE + shape_count(bank.shape) * FLOAT_TEXT + FLOATS_SLACK, arena, err);
    if (!buffer)
        return false;
    if (!bank.data && generator) { /* random: its shape is the request's */
        generator_encode(&json, generator);
    } else {
        bank_encode(&json, &bank);
        if (generator)
            parameters_encode(&json, id);
        json_floats(&json, "data", bank.data, shape_count(bank.shape));
    }
    json_close(&json, '}');
    return reply_json(&json, buffer, reply, err);
}

bool filters_encode(const struct message *message, const char *tail, struct arena *arena,
                    struct reply *reply, struct error *err)
{
    (void)message;
    return *tail ? filter_one(tail + 1, arena, reply, err) : filters_list(arena, reply, err);
}

static void sample_encode(struct json *json, const char *id, const char *help, int channels,
                          const int *size)
{
    json_open(json, NULL, '{');
    json_text(json, "id", id);
    json_text(json, "help", help);
    json_int(json, "channels", channels);
    json_int(json, "width", size[0]);
    json_int(json, "height", size[1]);
    json_close(json, '}');
}

static bool samples_list(struct arena *arena, struct reply *reply, struct error *err)
{
    struct json json;
    char *buffer = begin(&json, ENTRY_SIZE, arena, err);

    if (!buffer)
        return false;
    json_open(&json, "samples", '[');
    sample_encode(&json, "cat",
                  "a photo by Stefan van der Walt (CC0); its middle square with a size", 3,
                  sample_cat_size);
    for (int i = 0; i < sample_count(); i++) {
        const struct sample *sample = sample_at(i);

        sample_encode(&json, sample->id, sample->help, sample->channels,
                      (int[]){ sample->size, sample->size });
    }
    json_close(&json, ']');
    json_open(&json, "size", '{');
    json_int(&json, "min", 1);
    json_int(&json, "max", SAMPLE_SIZE_MAX);
    json_close(&json, '}');
    json_close(&json, '}');
    return reply_json(&json, buffer, reply, err);
}

/* "" or "size=N"; 0 for none. */
static bool read_size(const char *query, int *size, struct error *err)
{
    long value = 0;
    const char *digit;

    *size = 0;
    if (!*query)
        return true;
    if (strncmp(query, "size=", 5) != 0 || strchr(query, '&'))
        return fail(err, ERR_UNKNOWN, "", "a sample has one parameter: size=1 to %d",
                    SAMPLE_SIZE_MAX);
    for (digit = query + 5; *digit >= '0' && *digit <= '9' && value <= SAMPLE_SIZE_MAX; digit++)
        value = value * 10 + *digit - '0';
    if (value > SAMPLE_SIZE_MAX)
        return fail_range(err, "size", (double)value, 1, SAMPLE_SIZE_MAX);
    if (*digit || value < 1)
        return fail(err, ERR_PARAMETER, "size", "size must be a whole number of 1 to %d",
                    SAMPLE_SIZE_MAX);
    *size = (int)value;
    return true;
}

static bool sample_one(const char *id, const char *query, struct arena *arena, struct reply *reply,
                       struct error *err)
{
    const struct limits limits = { .pixels = (size_t)SAMPLE_SIZE_MAX * SAMPLE_SIZE_MAX };
    struct pixels pixels;
    struct bytes file;
    struct png png;
    int size;

    if (!read_size(query, &size, err))
        return false;
    if (!sample_pixels(id, size, &limits, arena, &pixels, err))
        return err->code == ERR_PARAMETER ? not_found("sample", id, sample_nearest(id), err)
                                          : false;
    png = (struct png){ pixels.width, pixels.height, pixels.channels, 8, 6, pixels.data };
    if (!png_write(&png, NULL, arena, &file, err))
        return false;
    reply_set(reply, 200, "image/png", file);
    return true;
}

bool samples_encode(const struct message *message, const char *tail, struct arena *arena,
                    struct reply *reply, struct error *err)
{
    return *tail ? sample_one(tail + 1, message->query, arena, reply, err)
                 : samples_list(arena, reply, err);
}
