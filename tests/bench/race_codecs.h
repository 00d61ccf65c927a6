/* A race: several ways to the same result, in turns on one thread, each result checked. */
#pragma once
#include "api/api.h"
#include "api/png.h"

enum { ROUNDS = 25 };

/* What all contestants of one race are given, and where their result goes. */
struct race {
    const char *what, *data, *unit;
    size_t units; /* numbers, or bytes of pixels: times are for one */
    const float *values;
    size_t count;
    struct bytes text;
    struct png png;
    struct arena *arena; /* ours; emptied after each round */
    char *out;
    size_t (*check)(const struct race *race, const char *out, size_t size); /* wrong results */
};

struct rival {
    const char *name;
    size_t (*run)(const struct race *race, char *out); /* bytes of the result */
    size_t size;
    double ns[ROUNDS];
};

/* Everyone once a round, so that the machine's moods meet all alike; then a line for each. The
 * first rival is ours. */
void race_run(const struct race *race, struct rival *rivals, int count);
__attribute__((noreturn)) void die(const char *what);

/* numbers_codecs.c, pictures_codecs.c: a row of races over this data. */
void race_numbers(const char *data, const float *values, size_t count, struct arena *arena);
void race_base64(const float *values, size_t count, struct arena *arena);
void race_png(const char *data, struct png png, struct arena *arena);
