/* Where filters come from: numbers, files, presets by name, generators. */
#include "api/weights.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static bool out_of_memory(struct decoder *d)
{
    return fail(d->err, ERR_TOO_LARGE, "weights",
                "the weights need more than the request's memory limit of %zu bytes",
                d->limits->memory);
}

/* --- numbers --------------------------------------------------------------------------------- */

/* Where O, I, H and W stand in each weight_layout. */
static const int layout_axes[][4] = {
    [WEIGHTS_OIHW] = { 0, 1, 2, 3 },
    [WEIGHTS_HWIO] = { 3, 2, 0, 1 },
    [WEIGHTS_OHWI] = { 0, 3, 1, 2 },
    [WEIGHTS_IHWO] = { 3, 0, 1, 2 },
};

/* [dims] in the given order to [O][I][H][W]. */
static bool reorder(struct decoder *d, const int *axes, const size_t *dims, struct filters *f)
{
    size_t steps[4] = { dims[1] * dims[2] * dims[3], dims[2] * dims[3], dims[3], 1 };
    float *out = arena_new(d->arena, float, shape_count(f->shape)), *to = out;

    if (!out)
        return out_of_memory(d);
    for (int o = 0; o < f->shape.count; o++)
        for (int i = 0; i < f->shape.channels; i++)
            for (int y = 0; y < f->shape.height; y++)
                for (int x = 0; x < f->shape.width; x++)
                    *to++ = f->data[(size_t)o * steps[axes[0]] + (size_t)i * steps[axes[1]] +
                                    (size_t)y * steps[axes[2]] + (size_t)x * steps[axes[3]]];
    f->data = out;
    return true;
}

static bool use_numbers(struct decoder *d, const struct numbers *numbers, struct filters *f)
{
    int layout = d->request->fields.weight_layout, rank = numbers->rank, sizes[4] = { 1, 1, 1, 1 };
    const int *axes = layout_axes[rank == 4 ? layout : WEIGHTS_OIHW];

    if (rank < 2 || rank > 4)
        return fail(d->err, ERR_SHAPE, "weights",
                    "weights have %d dimensions; they must have 2 (one kernel), 3 (one filter) or "
                    "4 (filters, channels, height, width)",
                    rank);
    if (rank < 4 && layout != WEIGHTS_OIHW)
        return fail(d->err, ERR_SHAPE, "weight_layout",
                    "weight_layout is for weights of 4 dimensions; these have %d", rank);
    for (int i = 0; i < rank; i++) {
        if (!numbers->dims[i] || numbers->dims[i] > INT_MAX)
            return fail(d->err, ERR_SHAPE, "weights", "weights have a dimension of %zu",
                        numbers->dims[i]);
        sizes[4 - rank + i] = (int)numbers->dims[i];
    }
    *f = (struct filters){ .shape = { sizes[axes[0]], sizes[axes[1]], sizes[axes[2]],
                                      sizes[axes[3]] },
                           .data = numbers->data,
                           .flat = rank == 2,
                           .kind = BANK_LAYER };
    return layout == WEIGHTS_OIHW || reorder(d, axes, numbers->dims, f);
}

/* --- banks ----------------------------------------------------------------------------------- */

static void use_bank(const struct bank *bank, struct filters *f)
{
    *f = (struct filters){ .shape = bank->shape,
                           .data = bank->data,
                           .flat = bank->shape.channels == 1,
                           .kind = bank->kind,
                           .name = bank->id,
                           .stride = bank->stride,
                           .padding = bank->padding };
}

/* One bank's filters, biases and name behind those before it. */
struct stack {
    float *data, *bias;
    char *name;
    const char *separator;
};

static bool push(struct decoder *d, const struct bank *bank, struct filters *f, struct stack *stack)
{
    size_t size = shape_count(bank->shape);

    if (bank->shape.channels != f->shape.channels || bank->shape.height != f->shape.height ||
        bank->shape.width != f->shape.width)
        return fail(d->err, ERR_SHAPE, "weights",
                    "%s has kernels of %dx%d but %s has %dx%d; a list's kernels need one size",
                    bank->id, bank->shape.height, bank->shape.width, f->name, f->shape.height,
                    f->shape.width);
    memcpy(stack->data, bank->data, size * sizeof(float));
    stack->data += size;
    for (int k = 0; k < bank->shape.count; k++)
        *stack->bias++ = bank->bias;
    if (bank->kind != BANK_SMOOTHING && f->kind == BANK_SMOOTHING)
        f->kind = bank->kind;
    stack->name += sprintf(stack->name, "%s%s", stack->separator, bank->id);
    stack->separator = ",";
    return true;
}

enum { MOST_BANKS = 64, ID_SIZE = 64 };

/* The named banks as one. */
static bool use_names(struct decoder *d, const char *const *ids, int count, struct filters *f)
{
    struct bank banks[MOST_BANKS];
    struct stack stack;
    float *data;
    char *name;
    int total = 0;

    for (int i = 0; i < count; i++) {
        if (!bank_find(ids[i], &banks[i], d->arena, d->err))
            return false;
        total += banks[i].shape.count;
    }
    use_bank(&banks[0], f);
    if (count == 1 && banks[0].bias == 0)
        return true;
    data = arena_alloc(d->arena, (size_t)total,
                       shape_count(f->shape) / (size_t)f->shape.count * sizeof(float));
    stack.bias = arena_new(d->arena, float, (size_t)total);
    name = arena_zeroed(d->arena, (size_t)count, ID_SIZE);
    if (!data || !stack.bias || !name)
        return out_of_memory(d);
    f->data = stack.data = data;
    f->bias = stack.bias;
    stack.name = name;
    stack.separator = "";
    for (int i = 0; i < count; i++)
        if (!push(d, &banks[i], f, &stack))
            return false;
    f->name = name;
    f->shape.count = total;
    return true;
}

static bool use_name_list(struct decoder *d, const cJSON *list, struct filters *f)
{
    const char *ids[MOST_BANKS];
    const cJSON *item;
    int count = 0;

    cJSON_ArrayForEach(item, list) {
        if (!cJSON_IsString(item) || count == MOST_BANKS)
            return fail(d->err, ERR_PARAMETER, "weights",
                        "weights must be numbers in one shape, or a list of at most %d presets' "
                        "names",
                        MOST_BANKS);
        ids[count++] = item->valuestring;
    }
    return count ? use_names(d, ids, count, f)
                 : fail(d->err, ERR_SHAPE, "weights", "weights are an empty list");
}

/* --- generators ------------------------------------------------------------------------------ */

/* What each generator may be told. */
#define WHOLE_INT  true
#define WHOLE_REAL false
static const struct argument {
    const char *generator, *name;
    double preset, min, max;
    bool whole;
} arguments[] = {
#define GENERATOR(name, kind, help)
#define GENERATED(generator, type, name, preset, min, max, help)                                   \
    { #generator, #name, preset, min, max, WHOLE_##type },
#include "core/generators.def"
};
enum { ARGUMENTS = sizeof arguments / sizeof *arguments };

struct generator {
    const char *word;
    double values[ARGUMENTS];
    bool given[ARGUMENTS];
    char init[16];
};

static double value(const struct generator *g, const char *name)
{
    int i = 0;

    while (strcmp(arguments[i].generator, g->word) || strcmp(arguments[i].name, name))
        i++;
    return g->values[i];
}

static bool read_init(struct decoder *d, const cJSON *item, struct generator *g)
{
    static const char *const words[] = { "he", "xavier", NULL };
    int word = cJSON_IsString(item) ? word_find(words, item->valuestring) : -1;

    if (word < 0)
        return fail(d->err, ERR_PARAMETER, "weights/random/init", "init must be he or xavier");
    snprintf(g->init, sizeof g->init, "%s", words[word]);
    return true;
}

static bool read_argument(struct decoder *d, const cJSON *item, struct generator *g)
{
    char field[64], list[160] = "";

    if (!strcmp(g->word, "random") && !strcmp(item->string, "init"))
        return read_init(d, item, g);
    for (int i = 0; i < ARGUMENTS; i++) {
        const struct argument *a = &arguments[i];

        if (strcmp(a->generator, g->word))
            continue;
        snprintf(list + strlen(list), sizeof list - strlen(list), " %s", a->name);
        if (strcmp(a->name, item->string))
            continue;
        snprintf(field, sizeof field, "weights/%s/%s", g->word, a->name);
        if (!cJSON_IsNumber(item))
            return fail(d->err, ERR_PARAMETER, field, "%s must be a number", a->name);
        g->values[i] = item->valuedouble;
        g->given[i] = true;
        if (!(g->values[i] >= a->min && g->values[i] <= a->max))
            return fail_range(d->err, field, g->values[i], a->min, a->max);
        return !a->whole || g->values[i] == (double)(int64_t)g->values[i] ||
               fail(d->err, ERR_PARAMETER, field, "%s must be a whole number", a->name);
    }
    return fail(d->err, ERR_UNKNOWN, "weights", "%s has no \"%.40s\"; it takes%s%s", g->word,
                item->string, strcmp(g->word, "random") ? "" : " init", list);
}

/* kernel_size beside a generator is its size, when that is not given itself. */
static bool size_from_kernel(struct decoder *d, struct generator *g)
{
    const int *size = d->request->params.kernel_size;

    for (int i = 0; i < ARGUMENTS; i++)
        if (d->seen[P_kernel_size] && !strcmp(arguments[i].generator, g->word) &&
            !strcmp(arguments[i].name, "size") && !g->given[i]) {
            if (size[0] != size[1] || size[0] > arguments[i].max)
                return fail(d->err, ERR_SHAPE, "kernel_size",
                            "%s makes square kernels of 1 to %g; kernel_size is %dx%d", g->word,
                            arguments[i].max, size[0], size[1]);
            g->values[i] = size[0];
        }
    return true;
}

static bool make_random(struct decoder *d, const struct generator *g, struct bank *bank)
{
    const struct conv_params *p = &d->request->params;
    int channels = d->request->image.shape.channels, groups = p->groups ? p->groups : channels;
    struct shape shape = { p->out_channels, channels / groups, p->kernel_size[0],
                           p->kernel_size[1] };

    if (!p->out_channels || !p->kernel_size[0] || !p->kernel_size[1])
        return fail(d->err, ERR_PARAMETER, p->out_channels ? "kernel_size" : "out_channels",
                    "random weights need out_channels (K) and kernel_size (F)");
    if (channels % groups)
        return fail(d->err, ERR_SHAPE, "groups",
                    "groups is %d, which does not divide the input's "
                    "%d channels",
                    groups, channels);
    return bank_random(g->init, (uint64_t)value(g, "seed"), shape, bank, d->arena, d->err);
}

static bool make_gabor(struct decoder *d, const struct generator *g, struct bank *bank)
{
    struct gabor gabor = { .size = (int)value(g, "size"),
                           .orientations = (int)value(g, "orientations"),
                           .frequencies = (int)value(g, "frequencies"),
                           .sigma = (float)value(g, "sigma"),
                           .lambda = (float)value(g, "lambda"),
                           .gamma = (float)value(g, "gamma"),
                           .psi = (float)value(g, "psi") };

    return bank_gabor(&gabor, bank, d->arena, d->err);
}

static bool make_gaussian(struct decoder *d, const struct generator *g, struct bank *bank)
{
    return bank_gaussian((int)value(g, "size"), (float)value(g, "sigma"), bank, d->arena, d->err);
}

static bool make_log(struct decoder *d, const struct generator *g, struct bank *bank)
{
    return bank_log((int)value(g, "size"), (float)value(g, "sigma"), bank, d->arena, d->err);
}

static bool make_motion(struct decoder *d, const struct generator *g, struct bank *bank)
{
    return bank_motion((int)value(g, "size"), (float)value(g, "angle"), bank, d->arena, d->err);
}

static bool make_dct8(struct decoder *d, const struct generator *g, struct bank *bank)
{
    (void)g;
    return bank_dct8(bank, d->arena, d->err);
}

static const struct maker {
    const char *word;
    bool (*make)(struct decoder *d, const struct generator *g, struct bank *bank);
} makers[] = { { "random", make_random }, { "gabor", make_gabor },   { "gaussian", make_gaussian },
               { "log", make_log },       { "motion", make_motion }, { "dct8", make_dct8 } };

static const struct maker *maker_find(const char *word)
{
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
        if (word && !strcmp(makers[i].word, word))
            return &makers[i];
    return NULL;
}

/* told: an object of arguments, or NULL for the presets. */
static bool use_generator(struct decoder *d, const struct maker *maker, const cJSON *told,
                          struct filters *f)
{
    struct generator g = { .word = maker->word, .init = "he" };
    const cJSON *item;
    struct bank bank;

    for (int i = 0; i < ARGUMENTS; i++)
        g.values[i] = arguments[i].preset;
    if (told && !cJSON_IsObject(told))
        return fail(d->err, ERR_PARAMETER, "weights", "%s takes an object: {\"%s\":{...}}", g.word,
                    g.word);
    cJSON_ArrayForEach(item, told)
        if (!read_argument(d, item, &g))
            return false;
    if (!size_from_kernel(d, &g) || !maker->make(d, &g, &bank))
        return false;
    use_bank(&bank, f);
    f->name = maker->word;
    f->flat &= strcmp(maker->word, "random") != 0;
    return true;
}

/* --- all of them ----------------------------------------------------------------------------- */

static bool use_name(struct decoder *d, const char *name, struct filters *f)
{
    const struct maker *maker = maker_find(name);

    return maker ? use_generator(d, maker, NULL, f) : use_names(d, &name, 1, f);
}

static const struct maker *generator_of(const cJSON *item)
{
    return cJSON_IsObject(item) && item->child && !item->child->next
               ? maker_find(item->child->string)
               : NULL;
}

bool filters_named(const struct decoder *d)
{
    const cJSON *item = d->item[P_weights];

    return !d->operands[P_weights] && !d->weights.data &&
           (cJSON_IsString(item) || (cJSON_IsArray(item) && !json_tensor(&d->json, item)) ||
            generator_of(item));
}

bool filters_read(struct decoder *d, struct filters *filters)
{
    const cJSON *item = d->item[P_weights];
    struct numbers numbers;

    *filters = (struct filters){ 0 };
    if (d->operands[P_weights])
        return use_numbers(d, d->operands[P_weights], filters);
    if (d->weights.data)
        return decode_numbers_file(d, d->weights, "weights", &numbers) &&
               use_numbers(d, &numbers, filters);
    if (!item)
        return true;
    if (!filters_named(d))
        return decode_numbers(d, item, "weights", &numbers) && use_numbers(d, &numbers, filters);
    if (cJSON_IsString(item))
        return use_name(d, item->valuestring, filters);
    if (cJSON_IsArray(item))
        return use_name_list(d, item, filters);
    return use_generator(d, generator_of(item), item->child, filters);
}
