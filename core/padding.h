/* What stands in the padding. Private to core. */
#pragma once
#include "core/conv.h"

/* Engines know only zeros: anything else is copied out into pixels first. */
bool padding_needs_copy(const struct conv_plan *plan);

/* The same layer on the padded copy: larger input, no pads. As it was where no copy is needed. */
struct conv_plan padding_plan(const struct conv_plan *plan);

/* copy: padding_plan()'s input, [N, C, H + top + bottom, W + left + right]. */
void padding_copy(const struct conv_plan *plan, const float *image, float *copy,
                  const struct conv_context *context);
