/* Sizes that cannot overflow: every product of numbers that a client chose goes through here. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *product = a * b; false when that is over SIZE_MAX / 2 (so that sums of two still fit). */
static inline bool checked_mul(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product) && *product <= SIZE_MAX / 2;
}

static inline bool checked_add(size_t a, size_t b, size_t *sum)
{
    return !__builtin_add_overflow(a, b, sum) && *sum <= SIZE_MAX / 2;
}
