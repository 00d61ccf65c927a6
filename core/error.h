/* An error is a value: what kind, where in the request, one sentence that names the fix. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum error_code {
#define ERROR(code, slug, title) code,
#include "core/errors.def"
};

struct error {
    enum error_code code;
    char field[64];   /* the parameter's canonical name, or a path in it ("pool/stride"), or "" */
    char detail[320]; /* one sentence for a person, naming the fix */
    bool ranged;      /* value, min and max say something */
    double value, min, max;
};

/* Fills err and returns false, so that a failure is one line: return fail(err, ...). */
bool fail(struct error *err, enum error_code code, const char *field, const char *detail, ...)
    __attribute__((cold, format(printf, 4, 5)));

/* A number outside [min, max], as ERR_PARAMETER: the sentence is made here. */
bool fail_range(struct error *err, const char *field, double value, double min, double max)
    __attribute__((cold));

const char *error_slug(enum error_code code);
const char *error_title(enum error_code code);
