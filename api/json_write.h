/* JSON into a buffer whose size the caller has bounded: commas, names and escapes are done here.
 * What does not fit is left out and remembered in `full`, so that one check at the end is enough. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
    char *at, *end;
    bool full;
    bool first; /* nothing stands behind the innermost bracket yet */
};

/* Bytes that any number takes with its comma; that a name takes beyond its letters. */
enum { JSON_NUMBER = 26, JSON_NAME = 4 };

void json_init(struct json *json, char *buffer, size_t size);

/* name: the member's, or NULL in an array (and for the outermost value). A bracket is one of
 * { } [ ]. */
void json_open(struct json *json, const char *name, char bracket);
void json_close(struct json *json, char bracket);
void json_text(struct json *json, const char *name, const char *text); /* NULL writes null */
void json_text_cut(struct json *json, const char *name, const char *text, size_t most);
void json_int(struct json *json, const char *name, int64_t value);
void json_ints(struct json *json, const char *name, const int *values, int count); /* an array */
void json_real(struct json *json, const char *name, double value); /* NaN, infinities: null */
void json_float(struct json *json, const char *name, float value); /* shortest */
void json_floats(struct json *json, const char *name, const float *values, size_t count);
void json_bool(struct json *json, const char *name, bool value);

/* Room for size bytes of a value that the caller writes itself, then puts json->at behind it;
 * NULL when there is none. */
char *json_room(struct json *json, const char *name, size_t size);
