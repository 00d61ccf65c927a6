/* What filters.c and generators.c share. Private to them. */
#pragma once
#include "core/filters.h"

/* Room for bank->shape's floats, which bank->data points at; NULL with err filled. */
float *bank_alloc(struct bank *bank, struct arena *arena, struct error *err);

void bank_measure(struct bank *bank); /* sets the output range from the weights and the bias */

/* A generator of core/generators.def with its default numbers. */
bool bank_default(const char *name, struct bank *bank, struct arena *arena, struct error *err);
