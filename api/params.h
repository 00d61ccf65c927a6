/* The one table of request parameters: what may be given, under which names, within which range.
 * Query, form and JSON are read with it; help, OpenAPI's test and the encoder look things up. */
#pragma once
#include "api/api.h"

enum param_kind {
    /* Rows of core/params.def and api/fields.def: a value of struct convolve_request each. */
    PARAM_INT,
    PARAM_PAIR, /* height, width: one number is both */
    PARAM_QUAD, /* top, left, bottom, right */
    PARAM_WORD,
    PARAM_REAL,
    PARAM_REALS, /* one number, or one a channel */
    PARAM_BOOL,
    PARAM_TEXT,
    /* What is made of several values, or of tensors. */
    PARAM_PADDING,
    PARAM_POOL,
    PARAM_DIVISOR,
    PARAM_INTS, /* maps */
    PARAM_EXPLAIN,
    PARAM_OUTPUT, /* an object of format, data, what */
    PARAM_TENSOR, /* image, weights, bias */
    PARAM_SHAPE,  /* input */
    PARAM_NAME    /* layer */
};

enum param_id {
#define PARAM(kind, name, preset, min, max, help) P_##name,
#include "core/params.def"
#define PARAM(kind, name, preset, min, max, help) P_##name,
#include "api/fields.def"
#define COMPOSITE(kind, name, help) P_##name,
#include "api/composites.def"
    PARAM_COUNT
};

struct param {
    enum param_kind kind;
    const char *name;         /* canonical: replies and problems use it */
    const char *const *words; /* of a WORD, NULL-terminated; also "depthwise" of groups */
    double preset, min, max;  /* of each number */
    size_t offset;            /* of the value in struct convolve_request */
    const char *help;
};
extern const struct param params[PARAM_COUNT];

/* Other names that clients use. part: 0 the whole, 1 and 2 the height's and the width's half. */
struct alias {
    const char *name;
    enum param_id id;
    int part;
};
extern const struct alias aliases[]; /* the last has no name */

/* The row of a name or alias; NULL when there is none. part may be NULL. */
const struct param *param_find(const char *name, int *part);
const char *param_nearest(const char *name); /* for "did you mean"; NULL when nothing is near */

/* The word's index in a NULL-terminated list, whatever its case; -1 when it is none of them. */
int word_find(const char *const *words, const char *word);
/* "a, b or c" into text. */
const char *words_join(const char *const *words, char *text, size_t size);
