/* One value under way to its row of the table. Private to values.c and composites.c. */
#pragma once
#include "api/decode.h"

struct given {
    const struct param *row;
    int part;  /* as in struct alias */
    bool text; /* from a query or a form: true may be "1" */
    const cJSON *item;
    const char *where;
};

static inline enum param_id id_of(const struct param *row)
{
    return (enum param_id)(row - params);
}

bool value_set(struct decoder *d, const struct given *given);

/* "name must be ..."; false. */
bool value_refuse(struct decoder *d, const struct given *given, const char *must_be);

/* json_numbers() of the item. */
int value_numbers(struct decoder *d, const struct given *given, double *values, int most);

/* quad is top, left, bottom, right; values are 1, 2 (height, width) or 4 of them. */
bool value_quad(struct decoder *d, const struct param *row, const double *values, int count,
                int *quad);

/* Values that are more than a number or a word, by kind. */
bool set_padding(struct decoder *d, const struct given *given);
bool set_pool(struct decoder *d, const struct given *given);
bool set_divisor(struct decoder *d, const struct given *given);
bool set_maps(struct decoder *d, const struct given *given);
bool set_explain(struct decoder *d, const struct given *given);
bool set_output(struct decoder *d, const struct given *given);
