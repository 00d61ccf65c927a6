/* Pieces of X_col. Private to core. */
#pragma once
#include "core/conv.h"

/* Some columns of the rows of X_col that one group of one picture owns:
 *
 *            column = output position y * OW + x
 *           +----------------------------------+
 *   row =   | image[c][y*S - top + i*D]        |   w_columns rows: C/groups * Fh * Fw
 *  (c,i,j)  |         [x*S - left + j*D]       |
 *           +----------------------------------+
 *
 * image: the group's first plane. to: [w_columns x stride] floats, columns first ... first+count-1
 * are written to 0 ... count-1 of each row. */
void columns_copy(const struct conv_plan *plan, const float *image, size_t first, size_t count,
                  float *to, size_t stride);
