/* make bench-limits: what a layer takes beyond its input, weights and output, as the plan says and
 * as the kernel counts it; the time a pixel takes from small to huge pictures, beside a copy of the
 * same bytes; and how much work is done after a layer has been told to stop. WORKERS=n. */
#include "tests/bench/rivals.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct layer {
    const char *name, *engine; /* engine: NULL for the best */
    int channels, height, width, filters, size, stride, padding, groups;
};

static const struct layer workspace_layers[] = {
    { "textbook 227x227", NULL, 3, 227, 227, 96, 11, 4, 0, 1 },
    { "textbook 227x227", "im2col", 3, 227, 227, 96, 11, 4, 0, 1 },
    { "VGG conv1_2 224x224", NULL, 64, 224, 224, 64, 3, 1, 1, 1 },
    { "VGG conv4_2 28x28", NULL, 512, 28, 28, 512, 3, 1, 1, 1 },
    { "50 Mpx gray 3x3", NULL, 1, 6144, 8192, 1, 3, 1, 1, 1 },
    { "50 Mpx gray 7x7 s2 x8", NULL, 1, 6144, 8192, 8, 7, 2, 3, 1 },
};

static const struct layer scaling_layers[] = {
    { "0.05 Mpx", NULL, 1, 192, 256, 1, 3, 1, 1, 1 },
    { "0.5 Mpx", NULL, 1, 600, 832, 1, 3, 1, 1, 1 },
    { "1080p", NULL, 1, 1080, 1920, 1, 3, 1, 1, 1 },
    { "5 Mpx", NULL, 1, 1920, 2560, 1, 3, 1, 1, 1 },
    { "50 Mpx", NULL, 1, 6144, 8192, 1, 3, 1, 1, 1 },
    { "1080p, Sobel's two", NULL, 1, 1080, 1920, 2, 3, 1, 1, 1 },
    { "1080p RGB", NULL, 3, 1080, 1920, 3, 3, 1, 1, 3 },
    { "0.05 Mpx x16 7x7", NULL, 3, 192, 256, 16, 7, 2, 3, 1 },
    { "5 Mpx x16 7x7", NULL, 3, 1920, 2560, 16, 7, 2, 3, 1 },
    { "50 Mpx x16 7x7", NULL, 3, 6144, 8192, 16, 7, 2, 3, 1 },
};

static const struct layer stop_layers[] = {
    { "VGG conv1_2", NULL, 64, 224, 224, 64, 3, 1, 1, 1 },
    { "VGG conv4_2", NULL, 512, 28, 28, 512, 3, 1, 1, 1 },
    { "VGG conv4_2", "implicit", 512, 28, 28, 512, 3, 1, 1, 1 },
    { "VGG conv4_2", "winograd", 512, 28, 28, 512, 3, 1, 1, 1 },
    { "VGG conv4_2", "im2col", 512, 28, 28, 512, 3, 1, 1, 1 },
    { "VGG conv3_2", "reference", 256, 56, 56, 256, 3, 1, 1, 1 },
    { "1x1 2048 to 2048", NULL, 2048, 56, 56, 2048, 1, 1, 0, 1 },
    { "3x3 2048 to 2048", NULL, 2048, 7, 7, 2048, 3, 1, 1, 1 },
    { "50 Mpx gray 3x3", NULL, 1, 6144, 8192, 1, 3, 1, 1, 1 },
    { "5 Mpx 31x31 of 3", NULL, 3, 1920, 2560, 3, 31, 1, 15, 1 },
};

/* A layer, its floats, and what it needs to run. */
struct subject {
    const struct layer *layer;
    struct conv_plan plan;
    struct conv_inputs inputs;
    float *out;
    struct arena *arena;
    struct pool *pool;
    atomic_bool stop;
};

static void fill(float *floats, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        floats[i] = (float)(int32_t)seed * 0x1p-31f;
    }
}

static float *filled(size_t count, uint32_t seed)
{
    float *floats = bench_floats(count);

    fill(floats, count, seed);
    return floats;
}

static void subject_create(struct subject *s, const struct layer *l, struct pool *pool)
{
    struct conv_params params = conv_defaults;
    struct shape in = { 1, l->channels, l->height, l->width };
    struct error err;

    *s = (struct subject){ .layer = l, .pool = pool, .arena = arena_create((size_t)4 << 30) };
    params.out_channels = l->filters;
    params.groups = l->groups;
    for (int i = 0; i < 4; i++) {
        params.kernel_size[i % 2] = l->size;
        params.stride[i % 2] = l->stride;
        params.pads[i] = l->padding;
    }
    if (!s->arena || !conv_plan_init(&s->plan, &params, in, l->engine, &err)) {
        fprintf(stderr, "bench: %s: %s\n", l->name, err.detail);
        exit(1);
    }
    s->inputs.image = filled(shape_count(in), 1);
    s->inputs.weights = filled((size_t)l->filters * s->plan.w_columns, 2);
    s->inputs.bias = filled((size_t)l->filters, 3);
    s->out = bench_floats(shape_count(s->plan.out));
}

static void subject_destroy(struct subject *s)
{
    free((void *)(uintptr_t)s->inputs.image);
    free((void *)(uintptr_t)s->inputs.weights);
    free((void *)(uintptr_t)s->inputs.bias);
    free((void *)(uintptr_t)s->inputs.packed);
    free(s->out);
    arena_destroy(s->arena);
}

static void pack(struct subject *s)
{
    void *packed = bench_floats(conv_packed_size(&s->plan) / sizeof(float));

    conv_pack(&s->plan, &s->inputs, packed);
    s->inputs.packed = packed;
}

static bool run(struct subject *s)
{
    struct conv_context context = { s->pool, s->arena, &s->stop };
    struct error err;

    if (conv_run(&s->plan, &s->inputs, s->out, &context, &err))
        return true;
    if (err.code == ERR_DEADLINE)
        return false;
    fprintf(stderr, "bench: %s: %s\n", s->layer->name, err.detail);
    exit(1);
}

/* ---- workspace ---- */

/* VmHWM or VmRSS of this process, in bytes. */
static size_t memory_now(const char *name)
{
    char line[256];
    size_t kilobytes = 0, length = strlen(name);
    FILE *file = fopen("/proc/self/status", "r");

    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, name, length))
            kilobytes = strtoul(line + length + 1, NULL, 10);
    if (file)
        fclose(file);
    return kilobytes * 1024;
}

/* From here on VmHWM counts anew. */
static void forget_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");

    if (file) {
        fputs("5", file);
        fclose(file);
    }
}

/* In a process of its own, whose peak nobody else moves. */
static void print_workspace(const struct layer *l, int workers)
{
    struct subject s;
    size_t before, peak, arena, planned;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child) {
        waitpid(child, NULL, 0);
        return;
    }
    subject_create(&s, l, workers > 1 ? pool_start(workers - 1, 1) : NULL);
    pack(&s);
    forget_peak();
    before = memory_now("VmRSS");
    run(&s);
    peak = memory_now("VmHWM");
    arena = arena_peak(s.arena);
    planned = conv_workspace(&s.plan, s.pool) - conv_packed_size(&s.plan);
    printf("%-24s %-9s %10.1f %10.1f %10.1f %12.1f %10.1f %10.1f\n", l->name,
           conv_plan_engine(&s.plan), (double)planned / 1024, (double)arena / 1024,
           (double)(peak > before ? peak - before : 0) / 1024,
           (double)(s.plan.col_rows * s.plan.col_columns) * sizeof(float) / 1024,
           (double)(shape_count(s.plan.in) * sizeof(float)) / 1024,
           (double)(shape_count(s.plan.out) * sizeof(float)) / 1024);
    fflush(stdout);
    _exit(0);
}

/* ---- scaling ---- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

enum { MOST_TURNS = 101, LEAST_TURNS = 7 };

static void print_scaling(const struct layer *l, struct pool *pool)
{
    double ours[MOST_TURNS], copies[MOST_TURNS], start = bench_now(), now;
    struct subject s;
    size_t in, out, copied;
    int count = 0;
    float *from, *to;

    subject_create(&s, l, pool);
    pack(&s);
    in = shape_count(s.plan.in);
    out = shape_count(s.plan.out);
    copied = (in + out) / 2; /* a copy reads and writes each: as many bytes as the layer at least */
    from = filled(copied, 4);
    to = bench_floats(copied);
    run(&s);
    while (count < LEAST_TURNS || (count < MOST_TURNS && bench_now() - start < 0.8)) {
        now = bench_now();
        run(&s);
        ours[count] = bench_now() - now;
        now = bench_now();
        memcpy(to, from, copied * sizeof *to);
        __asm__ volatile("" : : "r"(to) : "memory");
        copies[count++] = bench_now() - now;
    }
    qsort(ours, (size_t)count, sizeof *ours, by_size);
    qsort(copies, (size_t)count, sizeof *copies, by_size);
    printf("%-24s %-9s %10.3f %10.3f %10.3f %8.2f\n", l->name, conv_plan_engine(&s.plan),
           ours[count / 2] * 1e3, ours[count / 2] * 1e9 / (double)(l->height * l->width),
           copies[count / 2] * 1e3, ours[count / 2] / copies[count / 2]);
    free(from);
    free(to);
    subject_destroy(&s);
}

/* ---- stop ---- */

static double clock_now(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

struct running {
    struct subject *subject;
    double ended, worked; /* when; the thread's processor time by then */
    bool finished;
};

static void *run_thread(void *arg)
{
    struct running *running = arg;

    running->finished = run(running->subject);
    running->worked = clock_now(CLOCK_THREAD_CPUTIME_ID);
    running->ended = clock_now(CLOCK_MONOTONIC);
    return NULL;
}

/* Told to stop at `part` of its time: seconds until it ends, and of its thread's work in them. */
static bool stop_once(struct subject *s, double seconds, double part, double *waited,
                      double *worked)
{
    struct running running = { .subject = s };
    struct timespec pause;
    double work, told;
    pthread_t thread;
    clockid_t clock;

    seconds *= part;
    pause = (struct timespec){ (time_t)seconds, (long)((seconds - floor(seconds)) * 1e9) };
    atomic_store(&s->stop, false);
    if (pthread_create(&thread, NULL, run_thread, &running))
        return false;
    pthread_getcpuclockid(thread, &clock);
    nanosleep(&pause, NULL);
    work = clock_now(clock);
    told = clock_now(CLOCK_MONOTONIC);
    atomic_store(&s->stop, true);
    pthread_join(thread, NULL);
    atomic_store(&s->stop, false);
    *waited = running.ended - told;
    *worked = running.worked - work;
    return !running.finished;
}

static void print_stop(const struct layer *l, struct pool *pool, bool cold)
{
    enum { TRIES = 24 };
    double most_waited = 0, most_worked = 0, start, seconds;
    struct subject s;
    int stopped = 0;

    subject_create(&s, l, pool);
    if (!cold)
        pack(&s);
    if (strcmp(conv_plan_engine(&s.plan), "reference") != 0)
        run(&s);
    start = bench_now();
    if (strcmp(conv_plan_engine(&s.plan), "reference") != 0)
        run(&s);
    seconds = fmax(bench_now() - start, 0.02);
    for (int i = 0; i < TRIES; i++) {
        double waited, worked;

        if (!stop_once(&s, seconds, 0.04 * (i + 0.5), &waited, &worked))
            continue;
        stopped++;
        most_waited = fmax(most_waited, waited);
        most_worked = fmax(most_worked, worked);
    }
    printf("%-24s %-9s %6s %10.2f %8d %10.2f %10.2f\n", l->name, conv_plan_engine(&s.plan),
           cold ? "cold" : "packed", seconds * 1e3, stopped, most_worked * 1e3, most_waited * 1e3);
    fflush(stdout);
    subject_destroy(&s);
}

#define EACH(layer, of)                                                                            \
    for (const struct layer *layer = of; layer < of + sizeof of / sizeof *of; layer++)

int main(void)
{
    const char *text = getenv("WORKERS");
    int workers = text && atoi(text) > 0 ? atoi(text) : 1;
    struct pool *pool;

    printf("Workspace in KB, %d worker(s), weights packed before; measured: VmHWM above VmRSS\n"
           "%-24s %-9s %10s %10s %10s %12s %10s %10s\n",
           workers, "layer", "engine", "planned", "arena", "measured", "X_col", "input", "output");
    EACH(layer, workspace_layers)
    print_workspace(layer, workers);
    pool = workers > 1 ? pool_start(workers - 1, 1) : NULL;
    printf("\nTime by size of the picture, beside a copy of as many bytes as it reads and writes\n"
           "%-24s %-9s %10s %10s %10s %8s\n",
           "layer", "engine", "ms", "ns/pixel", "copy ms", "x copy");
    EACH(layer, scaling_layers)
    print_scaling(layer, pool);
    printf("\nStopped at 24 moments of its time; the most work and time after the word, in ms\n"
           "%-24s %-9s %6s %10s %8s %10s %10s\n",
           "layer", "engine", "", "whole", "stopped", "work", "time");
    EACH(layer, stop_layers)
    print_stop(layer, pool, false);
    EACH(layer, stop_layers)
    if (conv_engine_is_exact("swapped"))
        print_stop(layer, pool, true);
    if (pool) {
        pool_drain(pool);
        pool_destroy(pool);
    }
    return 0;
}
