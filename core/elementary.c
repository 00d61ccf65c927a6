/* Taylor series after an exact reduction of the argument. */
#include "core/elementary.h"

#include <math.h> /* floor, frexp, ldexp: exact everywhere */

double elementary_exp(double x)
{
    /* ln 2 in two parts: k times the first is exact. */
    const double ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;
    double k = floor(x / (ln2_high + ln2_low) + 0.5);
    double r = x - k * ln2_high - k * ln2_low, sum = 1;

    for (int n = 16; n > 0; n--) /* 1 + r/1 (1 + r/2 (1 + r/3 ...)) */
        sum = 1 + r / n * sum;
    return ldexp(sum, (int)k);
}

double elementary_log(double x)
{
    const double ln2 = 0x1.62e42fefa39efp-1;
    int exponent;
    double mantissa = frexp(x, &exponent), s, sum = 0;

    if (mantissa < 0.70710678118654752) {
        mantissa *= 2;
        exponent--;
    }
    s = (mantissa - 1) / (mantissa + 1); /* |s| < 0.172; log = 2 (s + s^3/3 + s^5/5 + ...) */
    for (int n = 23; n > 0; n -= 2)
        sum = sum * s * s + 1.0 / n;
    return exponent * ln2 + 2 * s * sum;
}

double elementary_cos(double turns)
{
    const double pi = 0x1.921fb54442d18p+1;
    double t = turns - floor(turns), sign = 1, x, sum = 0;

    if (t > 0.5) /* the cosine is even, and turns sign half a turn on */
        t = 1 - t;
    if (t > 0.25) {
        t = 0.5 - t;
        sign = -1;
    }
    if (t > 0.125) { /* cos(a) = sin(90 degrees - a) */
        x = 2 * pi * (0.25 - t);
        for (int n = 17; n > 1; n -= 2)
            sum = (1 - sum) * x * x / (n * (n - 1));
        return sign * (x - x * sum);
    }
    x = 2 * pi * t;
    for (int n = 18; n > 0; n -= 2)
        sum = (1 - sum) * x * x / (n * (n - 1));
    return sign * (1 - sum);
}
