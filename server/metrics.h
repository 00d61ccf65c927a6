/* Counts for Prometheus. The event loop alone writes and reads them. */
#pragma once
#include "server/exchange.h"

/* Labels come from closed sets, so that no client can make series. */
enum {
    METRIC_ROUTES = 64,
    METRIC_STATUSES = 32,
    METRIC_REASONS = 64,
    METRIC_STAGES = 4,
    METRIC_BUCKETS = 14
};

struct metrics {
    uint64_t requests[METRIC_ROUTES + 1][METRIC_STATUSES]; /* by route, the last: none; status */
    uint64_t rejected[METRIC_REASONS];                     /* by error code */
    struct histogram {
        uint64_t buckets[METRIC_BUCKETS + 1]; /* each its own; the last is +Inf's */
        double sum;
    } stages[METRIC_STAGES];
    double bytes_in, bytes_out, macs, cancelled;
};

/* What is not counted but looked at. */
struct metrics_now {
    double connections, most_connections, waiting, running, workers, queue, memory_used,
        memory_limit, draining;
    double started;
    double cpu_seconds, resident, virtual, files, max_files, threads;
    double layers, layers_bytes;
};

void metrics_count(struct metrics *metrics, const struct exchange *exchange, int status);
bool metrics_encode(const struct metrics *metrics, const struct metrics_now *now,
                    struct exchange *exchange, struct error *err);
void metrics_process(struct metrics_now *now); /* fills the last line */
