/* The banks by name: presets and groups of core/presets.def, the learned layer, and the generators
 * with their default numbers. */
#include "core/embed.h"
#include "core/filters_inner.h"
#include "core/words.h"

#include <math.h> /* sqrt: exact everywhere */
#include <string.h>

const float bank_luma[3] = { 0.299f, 0.587f, 0.114f };

enum { MOST_GROUPED = 8 };

static const struct preset {
    const char *id;
    enum bank_kind kind;
    int rows, columns, divisor, gradient_divisor;
    float bias;
    int stride, padding;
    const char *help;
    const int16_t *weights;
} presets[] = {
#define PRESET(id, kind, rows, columns, divisor, gradient, bias, stride, padding, help, ...)       \
    { #id,                                                                                         \
      BANK_##kind,                                                                                 \
      rows,                                                                                        \
      columns,                                                                                     \
      divisor,                                                                                     \
      gradient,                                                                                    \
      bias,                                                                                        \
      stride,                                                                                      \
      padding,                                                                                     \
      help,                                                                                        \
      (const int16_t[]){ __VA_ARGS__ } },
#define GROUP(...)
#include "core/presets.def"
};

static const struct group {
    const char *id;
    enum bank_kind kind;
    const char *help;
    const char *members[MOST_GROUPED + 1]; /* of one size */
} groups[] = {
#define PRESET(...)
#define GROUP(id, kind, help, ...) { #id, BANK_##kind, help, { __VA_ARGS__, NULL } },
#include "core/presets.def"
};

/* Each preset has as many weights as rows times columns. */
#define PRESET(id, kind, rows, columns, divisor, gradient, bias, stride, padding, help, ...)       \
    _Static_assert(sizeof((const int16_t[]){ __VA_ARGS__ }) == 2 * (rows) * (columns), #id);
#define GROUP(...)
#include "core/presets.def"

enum {
    PRESETS = sizeof presets / sizeof *presets,
    GROUPS = sizeof groups / sizeof *groups,
    LEARNED = PRESETS + GROUPS,
    DCT8,
    BANKS
};

static const char *const generators[] = {
#define GENERATOR(name, kind, help) #name,
#define GENERATED(generator, type, name, preset, min, max, help)
#include "core/generators.def"
};

int bank_count(void)
{
    return BANKS;
}

const char *bank_id(int index)
{
    if (index < PRESETS)
        return presets[index].id;
    if (index < LEARNED)
        return groups[index - PRESETS].id;
    return index == LEARNED ? "learned96" : "dct8";
}

const char *bank_nearest(const char *id)
{
    const char *nearest = NULL;
    int count = BANKS + (int)(sizeof generators / sizeof *generators), least = 99;

    for (int i = 0; i < count; i++) {
        const char *known = i < BANKS ? bank_id(i) : generators[i - BANKS];
        int distance = word_distance(id, known);

        if (distance < least) {
            least = distance;
            nearest = known;
        }
    }
    return nearest && word_is_near(least, (int)strlen(nearest)) ? nearest : NULL;
}

float *bank_alloc(struct bank *bank, struct arena *arena, struct error *err)
{
    struct tensor tensor;

    if (!tensor_alloc(&tensor, bank->shape, "weights", arena, err))
        return NULL;
    bank->data = tensor.data;
    return tensor.data;
}

/* The sums of the negative and of the positive weights, from all sums and those of magnitudes: signs
 * cannot be guessed, so there are no branches; four sums side by side, since additions wait. */
static void sums_by_sign(const float *weights, size_t count, double *low, double *high)
{
    double sum[4] = { 0 }, size[4] = { 0 };
    size_t i = 0;

    for (; i + 4 <= count; i += 4)
#pragma GCC unroll 4
        for (size_t j = 0; j < 4; j++) {
            sum[j] += (double)weights[i + j];
            size[j] += fabs((double)weights[i + j]);
        }
    for (; i < count; i++) {
        sum[0] += (double)weights[i];
        size[0] += fabs((double)weights[i]);
    }
    sum[0] += sum[1] + sum[2] + sum[3];
    size[0] += size[1] + size[2] + size[3];
    *low = (sum[0] - size[0]) / 2;
    *high = (sum[0] + size[0]) / 2;
}

void bank_measure(struct bank *bank)
{
    size_t each = shape_count(bank->shape) / (size_t)bank->shape.count;

    bank->out_min = bank->out_max = bank->bias;
    for (int k = 0; k < bank->shape.count; k++) {
        double low = 0, high = 0;

        for (size_t i = 0; bank->integers && i < each; i++) { /* exactly: few, and divided once */
            int weight = bank->integers[(size_t)k * each + i];

            *(weight < 0 ? &low : &high) += weight;
        }
        if (bank->integers)
            low /= bank->divisor, high /= bank->divisor;
        else
            sums_by_sign(bank->data + (size_t)k * each, each, &low, &high);
        bank->out_min = fmin(bank->out_min, low + bank->bias);
        bank->out_max = fmax(bank->out_max, high + bank->bias);
    }
}

static const struct preset *preset_find(const char *id)
{
    for (int i = 0; i < PRESETS; i++)
        if (strcmp(presets[i].id, id) == 0)
            return &presets[i];
    return NULL;
}

static bool preset_bank(const struct preset *preset, struct bank *bank, struct arena *arena,
                        struct error *err)
{
    float *data;

    *bank = (struct bank){ .id = preset->id,
                           .kind = preset->kind,
                           .shape = { 1, 1, preset->rows, preset->columns },
                           .bias = preset->bias,
                           .stride = preset->stride,
                           .padding = preset->padding,
                           .help = preset->help,
                           .integers = preset->weights,
                           .divisor = preset->divisor,
                           .gradient_divisor = preset->gradient_divisor };
    data = bank_alloc(bank, arena, err);
    for (int i = 0; data && i < preset->rows * preset->columns; i++)
        data[i] = (float)preset->weights[i] / (float)preset->divisor;
    if (data)
        bank_measure(bank);
    return data;
}

/* The members one behind the other; divisor and integers are each member's own. */
static bool group_bank(const struct group *group, struct bank *bank, struct arena *arena,
                       struct error *err)
{
    double low = 0, high = 0;
    struct bank member;
    float *data = NULL;

    for (int k = 0; group->members[k]; k++) {
        size_t each;

        if (!preset_bank(preset_find(group->members[k]), &member, arena, err))
            return false;
        each = shape_count(member.shape);
        if (k == 0) {
            *bank = member;
            bank->id = group->id;
            bank->kind = group->kind;
            bank->help = group->help;
            bank->integers = NULL;
            bank->divisor = bank->gradient_divisor = 0;
            while (group->members[bank->shape.count])
                bank->shape.count++;
            data = bank_alloc(bank, arena, err);
            if (!data)
                return false;
        }
        memcpy(data + (size_t)k * each, member.data, each * sizeof *data);
        low = member.out_min < low ? member.out_min : low;
        high = member.out_max > high ? member.out_max : high;
    }
    bank->out_min = low;
    bank->out_max = high;
    return true;
}

/* 96 filters of 11x11x3 made by k-means on whitened patches of three free photographs: int8,
 * [k][row][column][channel]. */
EMBED(learned, "core/learned96.i8");

static bool learned_bank(struct bank *bank, struct arena *arena, struct error *err)
{
    enum { K = 96, F = 11, C = 3, EACH = C * F * F };
    const int8_t *from = (const int8_t *)learned_start;
    float *data;

    *bank =
        (struct bank){ .id = "learned96",
                       .kind = BANK_LAYER,
                       .shape = { K, C, F, F },
                       .stride = 4,
                       .help = "a learned first layer of AlexNet's shape: edges, waves, colours" };
    data = bank_alloc(bank, arena, err);
    for (int k = 0; data && k < K; k++, from += EACH, data += EACH) {
        int64_t squares = 0;
        float scale;

        for (int i = 0; i < EACH; i++)
            squares += (int64_t)from[i] * from[i];
        scale = squares ? (float)(1 / sqrt((double)squares)) : 0; /* an empty filter stays empty */
        for (int c = 0; c < C; c++)
            for (int i = 0; i < F * F; i++)
                data[c * F * F + i] = (float)from[i * C + c] * scale;
    }
    if (data)
        bank_measure(bank);
    return data;
}

bool bank_find(const char *id, struct bank *bank, struct arena *arena, struct error *err)
{
    const struct preset *preset = preset_find(id);
    const char *nearest;

    if (preset)
        return preset_bank(preset, bank, arena, err);
    for (int i = 0; i < GROUPS; i++)
        if (strcmp(groups[i].id, id) == 0)
            return group_bank(&groups[i], bank, arena, err);
    if (strcmp(id, "learned96") == 0)
        return learned_bank(bank, arena, err);
    if (strcmp(id, "dct8") == 0)
        return bank_dct8(bank, arena, err);
    for (size_t i = 0; i < sizeof generators / sizeof *generators; i++)
        if (strcmp(generators[i], id) == 0)
            return bank_default(id, bank, arena, err);
    nearest = bank_nearest(id);
    if (nearest)
        return fail(err, ERR_PARAMETER, "weights",
                    "there is no filter bank '%.64s'; did you mean "
                    "'%s'? GET /filters lists them",
                    id, nearest);
    return fail(err, ERR_PARAMETER, "weights",
                "there is no filter bank '%.64s'; GET /filters lists "
                "them",
                id);
}
