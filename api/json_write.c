/* JSON into a bounded buffer. Texts may come from strangers: what is not UTF-8 is replaced. */
#include "api/json_write.h"
#include "api/floats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void json_init(struct json *json, char *buffer, size_t size)
{
    *json = (struct json){ .at = buffer, .end = buffer + size, .first = true };
}

static void put(struct json *json, const char *bytes, size_t size)
{
    if (size > (size_t)(json->end - json->at)) {
        json->full = true;
        return;
    }
    memcpy(json->at, bytes, size);
    json->at += size;
}

/* The length of the UTF-8 sequence at p (RFC 3629: no surrogates, nothing overlong), or 0. */
static size_t utf8_length(const unsigned char *p)
{
    size_t length = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

    if (p[0] > 0xf4 || (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

/* The text of one character in a string; *text moves behind it. */
static size_t escape(const char **text, char out[8])
{
    const unsigned char *p = (const unsigned char *)*text;
    size_t length = utf8_length(p);

    *text += length ? length : 1;
    if (length == 0)
        return (size_t)snprintf(out, 8, "\xef\xbf\xbd"); /* U+FFFD */
    if (*p == '"' || *p == '\\')
        return (size_t)snprintf(out, 8, "\\%c", *p);
    if (*p == '\n')
        return (size_t)snprintf(out, 8, "\\n");
    if (*p < 0x20 || *p == 0x7f)
        return (size_t)snprintf(out, 8, "\\u%04x", *p);
    memcpy(out, p, length);
    return length;
}

static void put_string(struct json *json, const char *text, size_t most)
{
    char character[8];

    put(json, "\"", 1);
    while (*text) {
        size_t size = escape(&text, character);

        if (size > most)
            break;
        most -= size;
        put(json, character, size);
    }
    put(json, "\"", 1);
}

/* Comma and name: what stands before any value. */
static void put_name(struct json *json, const char *name)
{
    if (!json->first)
        put(json, ",", 1);
    json->first = false;
    if (!name)
        return;
    put_string(json, name, SIZE_MAX);
    put(json, ":", 1);
}

void json_open(struct json *json, const char *name, char bracket)
{
    put_name(json, name);
    put(json, &bracket, 1);
    json->first = true;
}

void json_close(struct json *json, char bracket)
{
    put(json, &bracket, 1);
    json->first = false;
}

void json_text_cut(struct json *json, const char *name, const char *text, size_t most)
{
    put_name(json, name);
    if (text)
        put_string(json, text, most);
    else
        put(json, "null", 4);
}

void json_text(struct json *json, const char *name, const char *text)
{
    json_text_cut(json, name, text, SIZE_MAX);
}

void json_int(struct json *json, const char *name, int64_t value)
{
    char text[JSON_NUMBER];

    put_name(json, name);
    put(json, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)value));
}

void json_ints(struct json *json, const char *name, const int *values, int count)
{
    json_open(json, name, '[');
    for (int i = 0; i < count; i++)
        json_int(json, NULL, values[i]);
    json_close(json, ']');
}

void json_real(struct json *json, const char *name, double value)
{
    char text[JSON_NUMBER];

    put_name(json, name);
    if (!isfinite(value)) {
        put(json, "null", 4);
        return;
    }
    snprintf(text, sizeof text, "%.15g", value);
    if (strtod(text, NULL) != value)
        snprintf(text, sizeof text, "%.17g", value);
    put(json, text, strlen(text));
}

char *json_room(struct json *json, const char *name, size_t size)
{
    put_name(json, name);
    if (size <= (size_t)(json->end - json->at))
        return json->at;
    json->full = true;
    return NULL;
}

void json_float(struct json *json, const char *name, float value)
{
    char text[FLOAT_TEXT + FLOATS_SLACK];

    put_name(json, name);
    put(json, text, (size_t)(floats_write(text, &value, 1) - text));
}

void json_floats(struct json *json, const char *name, const float *values, size_t count)
{
    char *room;

    json_open(json, name, '[');
    room = json_room(json, NULL, count * FLOAT_TEXT + FLOATS_SLACK);
    if (room)
        json->at = floats_write(room, values, count);
    json_close(json, ']');
}

void json_bool(struct json *json, const char *name, bool value)
{
    put_name(json, name);
    put(json, value ? "true" : "false", value ? 4 : 5);
}
