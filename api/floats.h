/* float32 numbers as JSON text, both ways: written as the shortest text that restores the same
 * bits, read strictly and correctly rounded. The daemon's largest cost if done naively. */
#pragma once
#include "api/base64.h"

enum {
    FLOAT_TEXT = 17, /* the most bytes that a number and its comma take */
    FLOATS_SLACK =
        64 /* bytes behind the end that writers may touch, and that readers may look at */
};

/* "1,2.5,-3e-9,null": the numbers with commas between; returns the end. Plain notation for
 * 1e-5 <= |v| < 1e9, no exponent signs or zeros that are not needed; NaN and infinities are null.
 * out has count * FLOAT_TEXT + FLOATS_SLACK bytes. */
char *floats_write(char *out, const float *values, size_t count);

/* The same, each number rounded (to nearest, ties to even) to 1..9 significant digits. */
char *floats_write_digits(char *out, const float *values, size_t count, int digits);

/* One number of RFC 8259's grammar: where it ends, or NULL when it is none. One too large for a
 * float32 is read as infinity, for the caller to refuse. The text is followed by a byte that is
 * in no number (a 0 does) and by FLOATS_SLACK readable bytes. */
const char *float_read(const char *text, float *value);
