/* Banks made from a few numbers, in double arithmetic that rounds alike everywhere. */
#include "core/elementary.h"
#include "core/filters_inner.h"

#include <math.h> /* sqrt, floor: exact everywhere */
#include <stdio.h>
#include <string.h>

/* The rows of core/generators.def by name, gabor_size and so on. */
struct number {
    double preset, min, max;
};
static const struct {
#define GENERATOR(name, kind, help)
#define GENERATED(generator, type, name, preset, min, max, help) struct number generator##_##name;
#include "core/generators.def"
} numbers = {
#define GENERATOR(name, kind, help)
#define GENERATED(generator, type, name, preset, min, max, help)                                   \
    .generator##_##name = { preset, min, max },
#include "core/generators.def"
};

static const char *const helps[] = {
#define GENERATOR(name, kind, help) help,
#define GENERATED(generator, type, name, preset, min, max, help)
#include "core/generators.def"
};
enum {
#define GENERATOR(name, kind, help) HELP_##name,
#define GENERATED(generator, type, name, preset, min, max, help)
#include "core/generators.def"
};

/* A NaN is outside every range. */
static bool check(double value, struct number range, const char *path, struct error *err)
{
    char field[64];

    if (value >= range.min && value <= range.max)
        return true;
    snprintf(field, sizeof field, "weights/%s", path);
    return fail_range(err, field, value, range.min, range.max);
}

/* A kernel under way: doubles while it is made, floats of the bank at the end. */
struct draft {
    double *kernel;
    float *data;
    struct arena_mark mark;
};

/* The bank's floats, and behind them doubles for one kernel (or two) that draft_end() gives back. */
static bool draft_begin(struct draft *draft, struct bank *bank, int kernels, struct arena *arena,
                        struct error *err)
{
    size_t count = (size_t)kernels * (size_t)bank->shape.height * (size_t)bank->shape.width;

    draft->data = bank_alloc(bank, arena, err);
    if (!draft->data)
        return false;
    draft->mark = arena_save(arena);
    draft->kernel = arena_zeroed(arena, count, sizeof(double));
    return draft->kernel || fail(err, ERR_TOO_LARGE, "weights",
                                 "the filters do not fit this "
                                 "request's memory; make them smaller");
}

/* Divides by the sum, of all values or of the positive ones. */
static void draft_end(struct draft *draft, struct bank *bank, bool positive, struct arena *arena)
{
    int count = bank->shape.height * bank->shape.width;
    double sum = 0;

    for (int i = 0; i < count; i++)
        sum += positive && draft->kernel[i] < 0 ? 0 : draft->kernel[i];
    for (int i = 0; i < count; i++)
        draft->data[i] = (float)(draft->kernel[i] / sum);
    arena_restore(arena, draft->mark);
    bank_measure(bank);
}

/* exp(-x); below that of -700 it is nothing beside the kernel's middle. */
static double decay(double x)
{
    return elementary_exp(-(x < 700 ? x : 700));
}

bool bank_gaussian(int size, float sigma, struct bank *bank, struct arena *arena, struct error *err)
{
    double middle = (size - 1) / 2.0, width = sigma;
    struct draft draft;

    if (sigma == 0) /* not given: OpenCV's rule */
        width = 0.3 * (middle - 1) + 0.8;
    *bank = (struct bank){ .id = "gaussian",
                           .kind = BANK_SMOOTHING,
                           .shape = { 1, 1, size, size },
                           .padding = -1,
                           .help = helps[HELP_gaussian] };
    if (!check(size, numbers.gaussian_size, "gaussian/size", err) ||
        !check(width, numbers.gaussian_sigma, "gaussian/sigma", err) ||
        !draft_begin(&draft, bank, 1, arena, err))
        return false;
    for (int i = 0; i < size * size; i++) {
        int row = i / size;
        double x = i % size - middle, y = row - middle;

        draft.kernel[i] = decay((x * x + y * y) / (2 * width * width));
    }
    draft_end(&draft, bank, false, arena);
    return true;
}

bool bank_log(int size, float sigma, struct bank *bank, struct arena *arena, struct error *err)
{
    double middle = (size - 1) / 2.0, mean = 0;
    struct draft draft;

    *bank = (struct bank){ .id = "log",
                           .kind = BANK_DERIVATIVE,
                           .shape = { 1, 1, size, size },
                           .padding = -1,
                           .help = helps[HELP_log] };
    if (!check(size, numbers.log_size, "log/size", err) ||
        !check(sigma, numbers.log_sigma, "log/sigma", err) ||
        !draft_begin(&draft, bank, 1, arena, err))
        return false;
    for (int i = 0; i < size * size; i++) {
        int row = i / size;
        double x = i % size - middle, y = row - middle;
        double r = (x * x + y * y) / (2.0 * sigma * sigma);

        draft.kernel[i] = (1 - r) * decay(r);
        mean += draft.kernel[i] / (size * size);
    }
    for (int i = 0; i < size * size; i++) /* cut off at the edge, its sum is not 0 by itself */
        draft.kernel[i] -= mean;
    draft_end(&draft, bank, true, arena);
    return true;
}

/* One point of the line, shared by the four pixels around it. */
static void splat(double *kernel, int size, double x, double y)
{
    for (int i = 0; i < 4; i++) {
        int column = (int)floor(x) + i % 2, row = (int)floor(y) + i / 2;
        double share = (1 - fabs(x - column)) * (1 - fabs(y - row));

        if (column >= 0 && row >= 0 && column < size && row < size)
            kernel[row * size + column] += share;
    }
}

bool bank_motion(int size, float angle_degrees, struct bank *bank, struct arena *arena,
                 struct error *err)
{
    double middle = (size - 1) / 2.0, dx, dy;
    struct draft draft;

    *bank = (struct bank){ .id = "motion",
                           .kind = BANK_SMOOTHING,
                           .shape = { 1, 1, size, size },
                           .padding = -1,
                           .help = helps[HELP_motion] };
    if (!check(size, numbers.motion_size, "motion/size", err) ||
        !check(angle_degrees, numbers.motion_angle, "motion/angle", err) ||
        !draft_begin(&draft, bank, 1, arena, err))
        return false;
    dx = elementary_cos((double)angle_degrees / 360);
    dy = -elementary_cos((double)angle_degrees / 360 - 0.25); /* rows go down */
    for (int i = 0; i < size; i++)
        splat(draft.kernel, size, middle + (i - middle) * dx, middle + (i - middle) * dy);
    draft_end(&draft, bank, false, arena);
    return true;
}

static bool check_gabor(const struct gabor *g, struct error *err)
{
    return check(g->size, numbers.gabor_size, "gabor/size", err) &&
           check(g->orientations, numbers.gabor_orientations, "gabor/orientations", err) &&
           check(g->frequencies, numbers.gabor_frequencies, "gabor/frequencies", err) &&
           check(g->sigma, numbers.gabor_sigma, "gabor/sigma", err) &&
           check(g->lambda, numbers.gabor_lambda, "gabor/lambda", err) &&
           check(g->gamma, numbers.gabor_gamma, "gabor/gamma", err) &&
           check(g->psi, numbers.gabor_psi, "gabor/psi", err);
}

/* One wave, without its mean under the Gaussian (so that even light answers 0), of length 1.
 * room: two kernels of doubles. */
static void draw_gabor(const struct gabor *g, double turns, double octave, double *room, float *out)
{
    int count = g->size * g->size;
    double *wave = room, *light = room + count, middle = (g->size - 1) / 2.0;
    double along = elementary_cos(turns), up = elementary_cos(turns - 0.25);
    double sigma = g->sigma * octave, sum = 0, mean = 0, squares = 0;

    for (int i = 0; i < count; i++) {
        int row = i / g->size;
        double x = i % g->size - middle, y = middle - row; /* y goes up */
        double u = x * along + y * up, v = (y * along - x * up) * g->gamma;

        light[i] = decay((u * u + v * v) / (2 * sigma * sigma));
        wave[i] = elementary_cos(u / (g->lambda * octave) + g->psi * 0x1.45f306dc9c883p-3);
        sum += light[i];
        mean += light[i] * wave[i];
    }
    for (int i = 0; i < count; i++) {
        wave[i] = light[i] * (wave[i] - mean / sum);
        squares += wave[i] * wave[i];
    }
    for (int i = 0; i < count; i++)
        out[i] = (float)(squares > 0 ? wave[i] / sqrt(squares) : 0);
}

bool bank_gabor(const struct gabor *gabor, struct bank *bank, struct arena *arena,
                struct error *err)
{
    double octave = 1;
    struct draft draft;
    float *data;

    if (!check_gabor(gabor, err))
        return false;
    *bank = (struct bank){ .id = "gabor",
                           .kind = BANK_LAYER,
                           .shape = { gabor->orientations * gabor->frequencies, 1, gabor->size,
                                      gabor->size },
                           .padding = -1,
                           .help = helps[HELP_gabor] };
    if (!draft_begin(&draft, bank, 2, arena, err))
        return false;
    data = draft.data;
    for (int f = 0; f < gabor->frequencies; f++, octave *= 2)
        for (int o = 0; o < gabor->orientations; o++) {
            draw_gabor(gabor, o / 2.0 / gabor->orientations, octave, draft.kernel, data);
            data += (size_t)gabor->size * (size_t)gabor->size;
        }
    arena_restore(arena, draft.mark);
    bank_measure(bank);
    return true;
}

bool bank_dct8(struct bank *bank, struct arena *arena, struct error *err)
{
    float *data;

    *bank = (struct bank){ .id = "dct8",
                           .kind = BANK_LAYER,
                           .shape = { 64, 1, 8, 8 },
                           .stride = 8,
                           .help = "JPEG's 64 waves of 8x8, orthonormal" };
    data = bank_alloc(bank, arena, err);
    if (!data)
        return false;
    for (int i = 0; i < 64 * 64; i++) {
        int v = i / 512, u = i / 64 % 8, y = i / 8 % 8, x = i % 8;
        double scale = (v ? 0.5 : sqrt(0.125)) * (u ? 0.5 : sqrt(0.125));

        data[i] = (float)(scale * elementary_cos((2 * x + 1) * u / 32.0) *
                          elementary_cos((2 * y + 1) * v / 32.0));
    }
    bank_measure(bank);
    return true;
}

/* splitmix64 (Steele, Lea and Flood, 2014): a counter, scrambled. */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* In (0, 1): 53 bits, and a half so that it is never 0. */
static double uniform(uint64_t *state)
{
    return ((double)(next(state) >> 11) + 0.5) * 0x1p-53;
}

/* Box and Muller: two uniform numbers make a normal one. */
static double normal(uint64_t *state)
{
    double length = sqrt(-2 * elementary_log(uniform(state)));

    return length * elementary_cos(uniform(state));
}

bool bank_random(const char *init, uint64_t seed, struct shape shape, struct bank *bank,
                 struct arena *arena, struct error *err)
{
    bool he = strcmp(init, "he") == 0;
    size_t count = shape_count(shape);
    double taps = (double)shape.height * shape.width;
    double fan_in = shape.channels * taps, fan_out = shape.count * taps;
    float *data;

    if (!he && strcmp(init, "xavier") != 0)
        return fail(err, ERR_PARAMETER, "weights/random/init",
                    "init is '%.32s'; it must be he or "
                    "xavier",
                    init);
    *bank = (struct bank){
        .id = "random", .kind = BANK_LAYER, .shape = shape, .help = helps[HELP_random]
    };
    data = bank_alloc(bank, arena, err);
    if (!data)
        return false;
    for (size_t i = 0; i < count; i++)
        data[i] = (float)(he ? normal(&seed) * sqrt(2 / fan_in)
                             : (2 * uniform(&seed) - 1) * sqrt(6 / (fan_in + fan_out)));
    bank_measure(bank);
    return true;
}

bool bank_default(const char *name, struct bank *bank, struct arena *arena, struct error *err)
{
    const struct gabor gabor = {
        (int)numbers.gabor_size.preset,        (int)numbers.gabor_orientations.preset,
        (int)numbers.gabor_frequencies.preset, (float)numbers.gabor_sigma.preset,
        (float)numbers.gabor_lambda.preset,    (float)numbers.gabor_gamma.preset,
        (float)numbers.gabor_psi.preset
    };

    if (strcmp(name, "gabor") == 0)
        return bank_gabor(&gabor, bank, arena, err);
    if (strcmp(name, "gaussian") == 0)
        return bank_gaussian((int)numbers.gaussian_size.preset,
                             (float)numbers.gaussian_sigma.preset, bank, arena, err);
    if (strcmp(name, "log") == 0)
        return bank_log((int)numbers.log_size.preset, (float)numbers.log_sigma.preset, bank, arena,
                        err);
    if (strcmp(name, "random") == 0)
        return fail(err, ERR_PARAMETER, "weights",
                    "random weights need to know that they are: "
                    "weights={\"random\":{\"seed\":1}}, with out_channels (K) and kernel_size (F)");
    return bank_motion((int)numbers.motion_size.preset, (float)numbers.motion_angle.preset, bank,
                       arena, err);
}
