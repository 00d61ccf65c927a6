/* The rounds, the clock, the lines. JSON=1 prints one object a line. */
#include "tests/bench/race_codecs.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void die(const char *what)
{
    fprintf(stderr, "bench_codecs: %s\n", what);
    exit(1);
}

/* This thread's own time: others on the machine do not count. */
static double now_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void print_row(const struct race *race, const struct rival *rival, double ours)
{
    double ns = rival->ns[ROUNDS / 2] / (double)race->units;

    if (getenv("JSON"))
        printf("{\"bench\":\"%s\",\"data\":\"%s\",\"who\":\"%s\",\"isa\":\"%s\",\"ns_per_%s\":%.4f,"
               "\"ms\":%.4f,\"bytes\":%zu,\"times_ours\":%.2f}\n",
               race->what, race->data, rival->name, conv_isa(), race->unit, ns,
               rival->ns[ROUNDS / 2] / 1e6, rival->size, ns / ours);
    else
        printf("  %-26s %9.3f ns/%-6s %9.3f ms %10zu bytes  %7.2f x ours\n", rival->name, ns,
               race->unit, rival->ns[ROUNDS / 2] / 1e6, rival->size, ns / ours);
}

void race_run(const struct race *race, struct rival *rivals, int count)
{
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < count; i++) {
            struct arena_mark mark = arena_save(race->arena);
            double start = now_ns();

            rivals[i].size = rivals[i].run(race, race->out);
            rivals[i].ns[round] = now_ns() - start;
            if (round == 0 && race->check(race, race->out, rivals[i].size)) {
                fprintf(stderr, "%s, %s: ", race->what, race->data);
                die(rivals[i].name);
            }
            arena_restore(race->arena, mark);
        }
    if (!getenv("JSON"))
        printf("%s: %s, %zu %ss\n", race->what, race->data, race->units, race->unit);
    for (int i = 0; i < count; i++) {
        qsort(rivals[i].ns, ROUNDS, sizeof(double), compare_doubles);
        print_row(race, rivals + i, rivals[0].ns[ROUNDS / 2] / (double)race->units);
    }
    fflush(stdout);
}
