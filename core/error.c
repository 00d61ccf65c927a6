/* What the error codes are called; how an error is filled in. */
#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *slug, *title;
} texts[] = {
#define ERROR(code, slug, title) [code] = { slug, title },
#include "core/errors.def"
};

bool fail(struct error *err, enum error_code code, const char *field, const char *detail, ...)
{
    va_list args;

    *err = (struct error){ .code = code };
    snprintf(err->field, sizeof err->field, "%s", field);
    va_start(args, detail);
    vsnprintf(err->detail, sizeof err->detail, detail, args);
    va_end(args);
    return false;
}

bool fail_range(struct error *err, const char *field, double value, double min, double max)
{
    fail(err, ERR_PARAMETER, field, "%s is %.17g; it must be %.17g to %.17g", field, value, min,
         max);
    err->ranged = true;
    err->value = value;
    err->min = min;
    err->max = max;
    return false;
}

const char *error_slug(enum error_code code)
{
    return texts[code].slug;
}

const char *error_title(enum error_code code)
{
    return texts[code].title;
}
