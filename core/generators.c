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

static float *begin(struct bank *bank, const char *id, enum bank_kind kind, struct shape shape,
                    struct arena *arena, struct error *err)
{
    *bank = (struct bank){ .id = id, .kind = kind, .shape = shape, .padding = -1 };
    return bank_alloc(bank, arena, err);
}

/* Divides by the sum, of all values or of the positive ones. */
static void divide_by_sum(double *values, int count, bool positive)
{
    double sum = 0;

    for (int i = 0; i < count; i++)
        sum += positive && values[i] < 0 ? 0 : values[i];
    for (int i = 0; i < count; i++)
        values[i] /= sum;
}

static void to_floats(float *out, const double *values, int count)
{
    for (int i = 0; i < count; i++)
        out[i] = (float)values[i];
}

enum { LARGEST = 63 }; /* the def's largest size; a kernel of doubles fits the stack */

bool bank_gaussian(int size, float sigma, struct bank *bank, struct arena *arena, struct error *err)
{
    double kernel[LARGEST * LARGEST], middle = (size - 1) / 2.0;
    float *data;

    if (!check(size, numbers.gaussian_size, "gaussian/size", err) ||
        !check(sigma, numbers.gaussian_sigma, "gaussian/sigma", err))
        return false;
    data = begin(bank, "gaussian", BANK_SMOOTHING, (struct shape){ 1, 1, size, size }, arena, err);
    if (!data)
        return false;
    bank->help = helps[HELP_gaussian];
    for (int i = 0; i < size * size; i++) {
        double x = i % size - middle, y = i / size - middle;

        /* exp(-700) is 0 beside the centre's; a far corner may be smaller still */
        kernel[i] = elementary_exp(-fmin((x * x + y * y) / (2.0 * sigma * sigma), 700));
    }
    divide_by_sum(kernel, size * size, false);
    to_floats(data, kernel, size * size);
    bank_measure(bank);
    return true;
}

bool bank_log(int size, float sigma, struct bank *bank, struct arena *arena, struct error *err)
{
    double kernel[LARGEST * LARGEST], middle = (size - 1) / 2.0, mean = 0;
    float *data;

    if (!check(size, numbers.log_size, "log/size", err) ||
        !check(sigma, numbers.log_sigma, "log/sigma", err))
        return false;
    data = begin(bank, "log", BANK_DERIVATIVE, (struct shape){ 1, 1, size, size }, arena, err);
    if (!data)
        return false;
    bank->help = helps[HELP_log];
    for (int i = 0; i < size * size; i++) {
        double x = i % size - middle, y = i / size - middle;
        double r = (x * x + y * y) / (2.0 * sigma * sigma);

        kernel[i] = (1 - r) * elementary_exp(-fmin(r, 700));
        mean += kernel[i] / (size * size);
    }
    for (int i = 0; i < size * size; i++) /* cut off at the edge, its sum is not 0 by itself */
        kernel[i] -= mean;
    divide_by_sum(kernel, size * size, true);
    to_floats(data, kernel, size * size);
    bank_measure(bank);
    return true;
}

/* One point of the line, shared by the four pixels around it. */
static void splat(double *kernel, int size, double x, double y)
{
    for (int i = 0; i < 4; i++) {
        double column = floor(x) + i % 2, row = floor(y) + i / 2; /* NOLINT: whole numbers */
        double share = (1 - fabs(x - column)) * (1 - fabs(y - row));

        if (share > 0 && column >= 0 && row >= 0 && column < size && row < size)
            kernel[(int)row * size + (int)column] += share;
    }
}

bool bank_motion(int size, float angle, struct bank *bank, struct arena *arena, struct error *err)
{
    double kernel[LARGEST * LARGEST] = { 0 }, middle = (size - 1) / 2.0, dx, dy;
    float *data;

    if (!check(size, numbers.motion_size, "motion/size", err) ||
        !check(angle, numbers.motion_angle, "motion/angle", err))
        return false;
    data = begin(bank, "motion", BANK_SMOOTHING, (struct shape){ 1, 1, size, size }, arena, err);
    if (!data)
        return false;
    bank->help = helps[HELP_motion];
    dx = elementary_cos((double)angle / 360);
    dy = -elementary_cos((double)angle / 360 - 0.25); /* rows go down */
    for (int i = 0; i < size; i++)
        splat(kernel, size, middle + (i - middle) * dx, middle + (i - middle) * dy);
    divide_by_sum(kernel, size * size, false);
    to_floats(data, kernel, size * size);
    bank_measure(bank);
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

/* One wave, without its mean under the Gaussian (so that even light answers 0), of length 1. */
static void draw_gabor(const struct gabor *g, double turns, double octave, float *out)
{
    double kernel[LARGEST * LARGEST], weights[LARGEST * LARGEST], middle = (g->size - 1) / 2.0;
    double along = elementary_cos(turns), up = elementary_cos(turns - 0.25);
    double sigma = g->sigma * octave, sum = 0, mean = 0, squares = 0;
    int count = g->size * g->size;

    for (int i = 0; i < count; i++) {
        double x = i % g->size - middle, y = middle - i / g->size; /* y goes up */
        double u = x * along + y * up, v = (y * along - x * up) * g->gamma;

        weights[i] = elementary_exp(-fmin((u * u + v * v) / (2 * sigma * sigma), 700));
        kernel[i] = elementary_cos(u / (g->lambda * octave) + (double)g->psi / 360);
        sum += weights[i];
        mean += weights[i] * kernel[i];
    }
    mean /= sum;
    for (int i = 0; i < count; i++) {
        kernel[i] = weights[i] * (kernel[i] - mean);
        squares += kernel[i] * kernel[i];
    }
    for (int i = 0; squares > 0 && i < count; i++)
        kernel[i] /= sqrt(squares);
    to_floats(out, kernel, count);
}

bool bank_gabor(const struct gabor *gabor, struct bank *bank, struct arena *arena,
                struct error *err)
{
    struct shape shape = { gabor->orientations * gabor->frequencies, 1, gabor->size, gabor->size };
    double octave = 1;
    float *data;

    if (!check_gabor(gabor, err))
        return false;
    data = begin(bank, "gabor", BANK_LAYER, shape, arena, err);
    if (!data)
        return false;
    bank->help = helps[HELP_gabor];
    for (int f = 0; f < gabor->frequencies; f++, octave *= 2)
        for (int o = 0; o < gabor->orientations; o++) {
            draw_gabor(gabor, o / 2.0 / gabor->orientations, octave, data);
            data += gabor->size * gabor->size;
        }
    bank_measure(bank);
    return true;
}

bool bank_dct8(struct bank *bank, struct arena *arena, struct error *err)
{
    float *data = begin(bank, "dct8", BANK_LAYER, (struct shape){ 64, 1, 8, 8 }, arena, err);

    if (!data)
        return false;
    bank->help = "JPEG's 64 waves of 8x8, orthonormal";
    bank->stride = 8;
    bank->padding = 0;
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
    data = begin(bank, "random", BANK_LAYER, shape, arena, err);
    if (!data)
        return false;
    bank->help = he ? "normal, variance 2 / fan_in (He et al., 2015)"
                    : "uniform, variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010)";
    bank->padding = 0;
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
    return bank_motion((int)numbers.motion_size.preset, (float)numbers.motion_angle.preset, bank,
                       arena, err);
}
