/* make bench: our convolution, oneDNN and im2col + OpenBLAS, layer by layer, in turns, each result
 * of ours compared with the definition. LAYERS=file.csv (id,C,H,W,K,F,S,P,groups) brings other
 * layers, JSON=1 prints an object a line, ENGINE=name and WORKERS=n choose, ONLY=text picks ids,
 * RIVALS=0 leaves the others out; LOADED=1 takes minima of processor time in place of medians, on a
 * machine that has other work (one worker only). */
#include "tests/bench/ceiling.h"
#include "tests/bench/rivals.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_TURNS = 200, LEAST_TURNS = 7 };
static const double seconds_a_layer = 0.6;

struct series {
    double times[MOST_TURNS];
    int count;
};

struct subject {
    char id[64];
    struct conv_params params;
    struct shape in;
    struct conv_plan plan;
    struct conv_inputs inputs;
    float *image, *weights, *bias, *packed;
    float *out, *rival_out, *columns;
    struct onednn *onednn;
    struct series ours, cold, theirs, blas;
    struct series share; /* of the FMA ceiling: each turn of ours against a burst just before it */
};

struct settings {
    const char *engine, *only;
    bool json, rivals, loaded;
    int workers;
    struct pool *pool;
    struct arena *arena;
    double ceiling;
    double log_onednn, log_dense, log_blas; /* for the geometric means */
    int layers, dense, blas_layers;
    FILE *file;
    int wrong; /* layers */
};

/* The definition, a row of outputs at a time so that the compiler may use vectors. */
__attribute__((target_clones("avx512f", "fma", "default"))) static void
define_row(const struct conv_plan *plan, const float *image, const float *weights, float bias,
           int y, float *sums)
{
    const struct conv_params *p = &plan->params;
    int width = plan->in.width, ow = plan->maps.width;

    for (int x = 0; x < ow; x++)
        sums[x] = bias;
    for (int c = 0; c < plan->in.channels / p->groups; c++)
        for (int i = 0; i < p->kernel_size[0]; i++)
            for (int j = 0; j < p->kernel_size[1]; j++, weights++) {
                int iy = y * p->stride[0] - p->pads[0] + i, first = j - p->pads[1];
                const float *row = image + ((ptrdiff_t)c * plan->in.height + iy) * width;

                if (iy < 0 || iy >= plan->in.height)
                    continue; /* + 0 * a finite weight */
                for (int x = 0; x < ow; x++) {
                    int ix = x * p->stride[1] + first;
                    float pixel = ix >= 0 && ix < width ? row[ix] : 0;

                    sums[x] = __builtin_fmaf(*weights, pixel, sums[x]);
                }
            }
    for (int x = 0; x < ow; x++)
        sums[x] += 0.0f;
}

static bool same_bits(const struct subject *s, float *row)
{
    const struct conv_plan *plan = &s->plan;
    int group_filters = plan->maps.channels / plan->params.groups;
    size_t plane = (size_t)plan->in.height * (size_t)plan->in.width;
    const float *out = s->out;

    for (int k = 0; k < plan->maps.channels; k++)
        for (int y = 0; y < plan->maps.height; y++, out += plan->maps.width) {
            size_t channel =
                (size_t)(k / group_filters) * (size_t)(plan->in.channels / plan->params.groups);

            define_row(plan, s->image + channel * plane, s->weights + (size_t)k * plan->w_columns,
                       s->bias[k], y, row);
            if (memcmp(row, out, (size_t)plan->maps.width * sizeof *row))
                return false;
        }
    return true;
}

/* The largest difference, for engines outside the promise. */
static double difference(const float *a, const float *b, size_t count)
{
    double worst = 0;

    for (size_t i = 0; i < count; i++)
        worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
    return worst;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(struct series *s)
{
    if (!s->count)
        return 0;
    qsort(s->times, (size_t)s->count, sizeof s->times[0], by_size);
    return s->times[s->count / 2];
}

static double typical_ms(struct series *s, const struct settings *settings)
{
    double middle = median(s);

    return (settings->loaded && s->count ? s->times[0] : middle) * 1e3;
}

static void fill(float *floats, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        floats[i] = (float)(int32_t)seed * 0x1p-31f;
    }
}

static bool subject_create(struct subject *s, const char *line, struct settings *settings)
{
    int k, f, stride, padding, groups;
    struct error err;
    size_t weights, in, out;

    *s = (struct subject){ .params = conv_defaults, .in.count = 1 };
    if (sscanf(line, "%63[^,],%d,%d,%d,%d,%d,%d,%d,%d", s->id, &s->in.channels, &s->in.height,
               &s->in.width, &k, &f, &stride, &padding, &groups) != 9)
        return false;
    s->params.out_channels = k;
    s->params.groups = groups;
    for (int i = 0; i < 4; i++) {
        s->params.kernel_size[i % 2] = f;
        s->params.stride[i % 2] = stride;
        s->params.pads[i] = padding;
    }
    if (!conv_plan_init(&s->plan, &s->params, s->in, settings->engine, &err)) {
        fprintf(stderr, "bench: %s: %s\n", s->id, err.detail);
        return false;
    }
    weights = (size_t)k * s->plan.w_columns;
    in = shape_count(s->in);
    out = shape_count(s->plan.out);
    fill(s->image = bench_floats(in), in, 1);
    fill(s->weights = bench_floats(weights), weights, 2);
    fill(s->bias = bench_floats((size_t)k), (size_t)k, 3);
    s->packed = bench_floats(conv_packed_size(&s->plan) / sizeof(float));
    s->out = bench_floats(out);
    s->rival_out = bench_floats(out);
    s->inputs = (struct conv_inputs){ s->image, s->weights, s->bias, NULL };
    if (settings->rivals) {
        s->columns = bench_floats(rival_im2col_floats(&s->plan));
        s->onednn = onednn_create(&(struct rival_layer){ &s->plan, &s->inputs, s->rival_out });
    }
    return true;
}

static void subject_destroy(struct subject *s)
{
    float *all[] = { s->image, s->weights, s->bias, s->packed, s->out, s->rival_out, s->columns };

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
    onednn_destroy(s->onednn);
}

static void run_ours(struct subject *s, const struct settings *settings, bool cold)
{
    static atomic_bool stop;
    struct conv_context context = { settings->pool, settings->arena, &stop };
    struct conv_inputs inputs = s->inputs;
    struct error err;

    inputs.packed = cold ? NULL : s->packed;
    if (!conv_run(&s->plan, &inputs, s->out, &context, &err)) {
        fprintf(stderr, "bench: %s: %s\n", s->id, err.detail);
        exit(1);
    }
}

#define TIME(sample, call)                                                                         \
    do {                                                                                           \
        double began_ = bench_now();                                                               \
        call;                                                                                      \
        (sample).times[(sample).count++] = bench_now() - began_;                                   \
    } while (0)

static void measure(struct subject *s, struct settings *settings)
{
    struct rival_layer rival = { &s->plan, &s->inputs, s->rival_out };
    double start = bench_now();

    conv_pack(&s->plan, &s->inputs, s->packed);
    run_ours(s, settings, false);
    while (s->ours.count < LEAST_TURNS ||
           (s->ours.count < MOST_TURNS && bench_now() - start < seconds_a_layer)) {
        double ceiling = ceiling_gflops(conv_isa()), seconds;

        settings->ceiling = fmax(settings->ceiling, ceiling);
        TIME(s->ours, run_ours(s, settings, false));
        seconds = s->ours.times[s->ours.count - 1];
        if (ceiling > 0)
            s->share.times[s->share.count++] =
                2e-9 * (double)s->plan.macs / seconds / ceiling / settings->workers;
        if (settings->rivals && s->onednn)
            TIME(s->theirs, onednn_run(s->onednn));
        if (settings->rivals)
            TIME(s->blas, rival_im2col(&rival, s->columns));
        if (s->cold.count < LEAST_TURNS)
            TIME(s->cold, run_ours(s, settings, true));
    }
}

static const char *check(struct subject *s, struct settings *settings)
{
    static float row[1 << 20];
    static char text[64];

    memset(s->out, 0xff, shape_count(s->plan.out) * sizeof *s->out);
    run_ours(s, settings, false);
    if (conv_engine_is_exact(conv_plan_engine(&s->plan)))
        return s->plan.maps.width > 1 << 20 ? "unchecked" : same_bits(s, row) ? "same" : "DIFFERS";
    if (s->onednn)
        onednn_run(s->onednn);
    snprintf(text, sizeof text, "%.1e", difference(s->out, s->rival_out, shape_count(s->plan.out)));
    return text;
}

static void report(struct subject *s, struct settings *settings, const char *bits)
{
    double ours = typical_ms(&s->ours, settings);
    double theirs = typical_ms(&s->theirs, settings), blas = typical_ms(&s->blas, settings),
           cold = typical_ms(&s->cold, settings);
    double ceiling = settings->ceiling * settings->workers, percent = 100 * median(&s->share);
    size_t workspace = conv_workspace(&s->plan, settings->pool) - conv_packed_size(&s->plan);
    size_t columns = s->columns ? rival_im2col_floats(&s->plan) * sizeof(float) : 0;

    if (settings->json)
        printf("{\"id\":\"%s\",\"ours_ms\":%.4f,\"ceiling_gflops\":%.1f,\"percent\":%.1f,"
               "\"onednn_ms\":%.4f,\"im2col_ms\":%.4f,\"workspace_bytes\":%zu,\"xcol_bytes\":%zu,"
               "\"algorithm\":\"%s\",\"isa\":\"%s\",\"workers\":%d,\"cold_ms\":%.4f,"
               "\"bits\":\"%s\"}\n",
               s->id, ours, ceiling, percent, theirs, blas, workspace, columns,
               conv_plan_engine(&s->plan), conv_isa(), settings->workers, cold, bits);
    else
        printf("%-18s %8.3f %8.3f %5.0f%% %9.3f %5.2f %9.3f %5.2f %7zu %8zu  %-9s %-8s %s\n", s->id,
               ours, cold, percent, theirs, theirs / ours, blas, blas / ours, workspace / 1024,
               columns / 1024, conv_plan_engine(&s->plan), bits,
               s->onednn ? onednn_name(s->onednn) : "");
    fflush(stdout);
    if (s->theirs.count) {
        bool dense = s->params.groups < s->in.channels && s->params.out_channels > 3;

        settings->log_onednn += log(theirs / ours);
        settings->log_dense += dense ? log(theirs / ours) : 0;
        settings->dense += dense;
        settings->layers++;
    }
    if (s->blas.count) {
        settings->log_blas += log(blas / ours);
        settings->blas_layers++;
    }
}

static void machine_name(char *name, size_t size)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");

    snprintf(name, size, "unknown processor");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, "model name", 10) && strchr(line, ':')) {
            line[strcspn(line, "\n")] = 0;
            snprintf(name, size, "%s", strchr(line, ':') + 2);
            break;
        }
    if (file)
        fclose(file);
}

static void bench(void *arg)
{
    struct settings *settings = arg;
    char line[256], name[128];

    machine_name(name, sizeof name);
    if (!settings->json)
        printf("%s; kernels %s, OpenBLAS %s, %d worker(s); %s in ms\n"
               "%-18s %8s %8s %6s %9s %5s %9s %5s %7s %8s  %-9s %-8s %s\n",
               name, conv_isa(), conv_blas_core(), settings->workers,
               settings->loaded ? "minima of processor time" : "medians", "layer", "ours", "cold",
               "ceil", "oneDNN", "x", "im2col", "x", "work KB", "X_col KB", "engine", "bits",
               "oneDNN's");
    while (fgets(line, sizeof line, settings->file)) {
        struct subject s;
        const char *bits;

        if (!strncmp(line, "id,", 3) || (settings->only && !strstr(line, settings->only)) ||
            !subject_create(&s, line, settings))
            continue;
        measure(&s, settings);
        bits = check(&s, settings);
        settings->wrong += !strcmp(bits, "DIFFERS");
        report(&s, settings, bits);
        subject_destroy(&s);
    }
    if (!settings->json && settings->layers)
        printf("geometric means: %.2f x oneDNN over %d layers (%.2f over %d dense ones), %.2f x "
               "im2col; ceiling %.1f GFLOP/s a core\n",
               exp(settings->log_onednn / settings->layers), settings->layers,
               exp(settings->log_dense / settings->dense), settings->dense,
               exp(settings->log_blas / settings->blas_layers), settings->ceiling);
}

int main(int argc, char **argv)
{
    const char *workers = getenv("WORKERS"), *json = getenv("JSON"), *rivals = getenv("RIVALS");
    const char *loaded = getenv("LOADED");
    const char *path = argc > 1 ? argv[1] : "tests/bench/layers.csv";
    struct settings settings = { .engine = getenv("ENGINE"), .only = getenv("ONLY") };
    struct arena_cache *cache;

    settings.file = fopen(path, "r");
    if (!settings.file) {
        fprintf(stderr, "bench: cannot read %s\n", path);
        return 2;
    }
    settings.loaded = loaded != NULL;
    settings.json = json && strcmp(json, "0");
    settings.rivals = !rivals || strcmp(rivals, "0");
    settings.workers = workers && atoi(workers) > 0 ? atoi(workers) : 1;
    settings.pool = settings.workers > 1 ? pool_start(settings.workers, 1) : NULL;
    cache = arena_cache_create((size_t)1 << 30); /* blocks are kept warm, as in the daemon */
    settings.arena = arena_create_cached((size_t)4 << 30, cache);
    for (int i = 0; i < 30; i++)
        settings.ceiling = fmax(settings.ceiling, ceiling_gflops(conv_isa()));
    if (settings.pool) { /* as in the daemon: each layer begins on a worker */
        pool_submit(settings.pool, bench, &settings);
        while (pool_queued(settings.pool) + pool_running(settings.pool))
            usleep(10000); /* a pool that drains helps no more */
        pool_drain(settings.pool);
        pool_destroy(settings.pool);
    } else {
        bench(&settings);
    }
    fclose(settings.file);
    arena_destroy(settings.arena);
    arena_cache_destroy(cache);
    return settings.wrong != 0;
}
