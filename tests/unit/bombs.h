/* Small files that want to become large ones. Each is malloc'd; the caller frees its data. */
#pragma once
#include "api/api.h"

/* A PNG of one pixel whose data inflates to this many bytes. */
struct bytes bomb_idat(size_t inflated);

/* An honest black PNG of side x side pixels with one bit each: a few kilobytes. */
struct bytes bomb_bits(uint32_t side);

/* A progressive JPEG of side x side pixels that sends the same coefficients this many times, in 34
 * bytes each time. */
struct bytes bomb_scans(unsigned side, int scans);
