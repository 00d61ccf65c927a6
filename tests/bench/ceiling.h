/* The machine's own limit. */
#pragma once

/* GFLOP/s of one short burst on one core; 0 where it cannot be told. Call it often, keep the
 * largest: clocks move. */
double ceiling_gflops(const char *isa);
