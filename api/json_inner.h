/* The strict pass under way, shared by its three files: json_scan.c reads values, json_strings.c
 * strings, json_numbers.c numbers and lists of them. Private to them.
 *
 * The pass writes "the rest" as it goes: the same text without white space, each number as 17
 * digits, and in place of what was cut a string that starts with a byte no UTF-8 text can hold, so
 * that no client can forge one: [TENSOR_MARK index, numbers...] or STRING_MARK index. */
#pragma once
#include "api/json_scan.h"

#define TENSOR_MARK '\xff'
#define STRING_MARK '\xfe'

struct scan {
    const char *start, *at, *end;
    const char *run, *last; /* where lists of numbers end at the latest; the last ] before */
    size_t commas;          /* from where the run was found to its end */
    struct json_store *json;
    struct arena *arena;
    struct error *err;
    char *rest;
    size_t rest_used, rest_size;
    int depth, values;
    size_t nul;
    char member[64]; /* of the outermost object: what an error is about */
};

enum outcome { DONE, MIXED, FAILED };

bool scan_malformed(struct scan *scan, const char *what); /* ERR_SYNTAX, here; false */
bool scan_too_large(struct scan *scan);                   /* ERR_TOO_LARGE; false */
bool scan_put(struct scan *scan, const char *text, size_t size);
struct json_cut *scan_cut(struct scan *scan); /* a new one; NULL is scan_too_large */
void scan_space(struct scan *scan);

/* The next byte; NUL at the end. */
static inline char scan_peek(const struct scan *scan)
{
    return scan->at < scan->end ? *scan->at : '\0';
}

static inline bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool scan_number(struct scan *scan);
enum outcome scan_numbers(struct scan *scan); /* MIXED, and at unmoved: not a list of numbers */
bool scan_name(struct scan *scan);            /* a member's; kept in scan->member at depth 1 */
bool scan_string(struct scan *scan);
