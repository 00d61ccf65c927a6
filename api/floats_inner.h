/* What the vector writer shares with floats.c. Private to the two. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A decimal in work is fixed point with 36 bits behind the point, off by less than SLOP units. */
#define FLOAT_POINT 36
#define FLOAT_ONE   ((uint64_t)1 << FLOAT_POINT)
#define FLOAT_SLOP  2

extern const uint64_t float_factors[256];

char *float_write(char *out, float value); /* no comma; touches up to 24 bytes */

/* Each number with a comma behind it; both write the same. floats_write() picks one. */
char *floats_write_portable(char *out, const float *values, size_t count);
char *floats_write_avx512(char *out, const float *values, size_t count);
bool floats_have_avx512(void); /* may the latter be called? */
