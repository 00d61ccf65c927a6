/* The text format of Prometheus, version 0.0.4. */
#include "server/metrics.h"

#include "server/routes.h"
#include "server/version.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static const int statuses[] = { 200, 201, 204, 304, 400, 401, 403, 404, 405,
                                406, 408, 409, 411, 412, 413, 414, 415, 421,
                                422, 429, 431, 499, 500, 501, 503, 504, 507 };
enum { STATUSES = sizeof statuses / sizeof statuses[0] }; /* behind them: others */
_Static_assert((int)STATUSES < (int)METRIC_STATUSES, "room for others");

static const char *const stage_names[METRIC_STAGES] = { "queue", "decode", "convolve", "encode" };
static const double bounds[METRIC_BUCKETS] = { 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                               0.025,  0.05,    0.1,    0.25,  1,      5,     30 };

static void observe(struct histogram *histogram, double ms)
{
    double seconds = ms > 0 ? ms / 1000 : 0;
    int i = 0;

    while (i < METRIC_BUCKETS && seconds > bounds[i])
        i++;
    histogram->buckets[i]++;
    histogram->sum += seconds;
}

void metrics_count(struct metrics *metrics, const struct exchange *exchange, int status)
{
    const struct stages *stages = &exchange->stages;
    const double times[METRIC_STAGES] = { stages->queue, stages->decode, stages->convolve,
                                          stages->encode };
    int route = exchange->route ? route_index(exchange->route) : METRIC_ROUTES, i = 0;

    while (i < STATUSES && statuses[i] != status)
        i++;
    metrics->requests[route][i]++;
    metrics->bytes_in += (double)exchange->in.body.size;
    metrics->bytes_out += (double)exchange->out.body.size;
    metrics->macs += status == 200 ? (double)exchange->macs : 0;
    metrics->cancelled += status == 499;
    if (exchange->refusal)
        metrics->rejected[exchange->refusal - 1]++;
    if (exchange->route && exchange->route->thread == ON_A_WORKER && status == 200)
        for (i = 0; i < METRIC_STAGES; i++)
            if (i == 0 || times[i] > 0) /* a plan does not convolve */
                observe(&metrics->stages[i], times[i]);
}

/* --- as text --- */

struct text {
    char *data;
    size_t size, room;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *text, const char *format, ...)
{
    va_list args;
    int size;

    va_start(args, format);
    size = vsnprintf(text->data + text->size, text->room - text->size, format, args);
    va_end(args);
    if (size > 0 && (size_t)size < text->room - text->size)
        text->size += (size_t)size;
}

static void head(struct text *text, const char *name, const char *kind, const char *help)
{
    put(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void put_requests(struct text *text, const struct metrics *metrics)
{
    head(text, "convolved_requests_total", "counter", "Answered requests by path and status");
    for (int route = 0; route <= METRIC_ROUTES; route++)
        for (int i = 0; i <= STATUSES; i++) {
            char status[8] = "other";

            if (!metrics->requests[route][i])
                continue;
            if (i < STATUSES)
                snprintf(status, sizeof status, "%d", statuses[i]);
            put(text, "convolved_requests_total{method=\"%s\",path=\"%s\",status=\"%s\"} %llu\n",
                route < METRIC_ROUTES ? route_at(route)->method : "other",
                route < METRIC_ROUTES ? route_at(route)->path : "other", status,
                (unsigned long long)metrics->requests[route][i]);
        }
}

static void put_rejected(struct text *text, const struct metrics *metrics)
{
    static const enum error_code codes[] = {
#define ERROR(code, slug, title) code,
#include "core/errors.def"
    };

    head(text, "convolved_rejected_total", "counter", "Refused requests by reason");
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        put(text, "convolved_rejected_total{reason=\"%s\"} %llu\n", error_slug(codes[i]),
            (unsigned long long)metrics->rejected[codes[i]]);
}

static void put_stages(struct text *text, const struct metrics *metrics)
{
    static const char name[] = "convolved_stage_duration_seconds";

    head(text, name, "histogram", "Where the time of successful requests goes");
    for (int stage = 0; stage < METRIC_STAGES; stage++) {
        const struct histogram *histogram = &metrics->stages[stage];
        unsigned long long count = 0;

        for (int i = 0; i < METRIC_BUCKETS; i++) {
            count += histogram->buckets[i];
            put(text, "%s_bucket{stage=\"%s\",le=\"%g\"} %llu\n", name, stage_names[stage],
                bounds[i], count);
        }
        count += histogram->buckets[METRIC_BUCKETS];
        put(text,
            "%s_bucket{stage=\"%s\",le=\"+Inf\"} %llu\n%s_sum{stage=\"%s\"} %.9g\n"
            "%s_count{stage=\"%s\"} %llu\n",
            name, stage_names[stage], count, name, stage_names[stage], histogram->sum, name,
            stage_names[stage], count);
    }
}

static void put_others(struct text *text, const struct metrics *m, const struct metrics_now *now)
{
#define METRIC(kind, name, expression, help)                                                       \
    head(text, #name, #kind, help);                                                                \
    put(text, #name " %.15g\n", (double)(expression));
#include "server/metrics.def"
    head(text, "convolved_build_info", "gauge", "1, with what is running");
    put(text, "convolved_build_info{version=\"%s\",kernels=\"%s\",blas=\"%s\"} 1\n", VERSION,
        conv_isa(), conv_blas_core());
}

bool metrics_encode(const struct metrics *metrics, const struct metrics_now *now,
                    struct exchange *exchange, struct error *err)
{
    struct text text = { .room = 256UL * 1024 };

    text.data = arena_alloc(exchange->arena, text.room, 1);
    if (!text.data)
        return fail(err, ERR_TOO_LARGE, "", "there is no memory for the metrics");
    put_requests(&text, metrics);
    put_rejected(&text, metrics);
    put_stages(&text, metrics);
    put_others(&text, metrics, now);
    reply_set(&exchange->out, 200, "text/plain; version=0.0.4; charset=utf-8",
              (struct bytes){ text.data, text.size });
    return true;
}

/* --- the process --- */

static double count_files(void)
{
    DIR *folder = opendir("/proc/self/fd");
    double count = -3; /* ., .. and the folder itself */

    if (!folder)
        return 0;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

/* The number behind "name:" in /proc/self/status. */
static double status_number(const char *name)
{
    FILE *file = fopen("/proc/self/status", "re");
    size_t size = strlen(name);
    char line[256];
    double number = 0;

    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, name, size) && line[size] == ':')
            number = strtod(line + size + 1, NULL);
    if (file)
        fclose(file);
    return number;
}

void metrics_process(struct metrics_now *now)
{
    struct rlimit files = { 0 };
    struct timespec cpu;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    now->cpu_seconds = (double)cpu.tv_sec + (double)cpu.tv_nsec * 1e-9;
    now->resident = status_number("VmRSS") * 1024;
    now->virtual = status_number("VmSize") * 1024;
    now->threads = status_number("Threads");
    now->files = count_files();
    getrlimit(RLIMIT_NOFILE, &files);
    now->max_files = (double)files.rlim_cur;
}
