/* The strict pass over values; see json_inner.h for what it leaves behind. */
#include "api/json_inner.h"

#include <string.h>

bool scan_malformed(struct scan *scan, const char *what)
{
    return fail(scan->err, ERR_SYNTAX, "", "the JSON is malformed at byte %zu: %s",
                (size_t)(scan->at - scan->start), what);
}

bool scan_too_large(struct scan *scan)
{
    return fail(scan->err, ERR_TOO_LARGE, scan->member, "the JSON needs more memory than allowed");
}

bool scan_put(struct scan *scan, const char *text, size_t size)
{
    size_t wanted = scan->rest_used + size;
    char *larger;

    if (wanted > JSON_REST)
        return fail(scan->err, ERR_TOO_LARGE, scan->member,
                    "the JSON outside lists of numbers is over %d bytes", JSON_REST);
    if (wanted > scan->rest_size) {
        size_t doubled = 2 * wanted + 1024;

        larger = arena_new(scan->arena, char, doubled);
        if (!larger)
            return scan_too_large(scan);
        if (scan->rest)
            memcpy(larger, scan->rest, scan->rest_used);
        scan->rest = larger;
        scan->rest_size = doubled;
    }
    memcpy(scan->rest + scan->rest_used, text, size);
    scan->rest_used = wanted;
    return true;
}

void scan_space(struct scan *scan)
{
    while (scan->at < scan->end && is_space(*scan->at))
        scan->at++;
}

struct json_cut *scan_cut(struct scan *scan)
{
    struct json_cut *cut = arena_new(scan->arena, struct json_cut, 1);

    if (!cut)
        return NULL;
    *cut = (struct json_cut){ .next = scan->json->cuts };
    cut->index = cut->next ? cut->next->index + 1 : 0;
    scan->json->cuts = cut;
    return cut;
}

static bool scan_value(struct scan *scan);

static bool scan_word(struct scan *scan, const char *word)
{
    size_t size = strlen(word);

    if ((size_t)(scan->end - scan->at) < size || memcmp(scan->at, word, size))
        return scan_malformed(scan, "a value is expected here");
    scan->at += size;
    return scan_put(scan, word, size);
}

/* "name" : value */
static bool scan_member(struct scan *scan)
{
    if (scan_peek(scan) != '"')
        return scan_malformed(scan, "a member's name in quotes is expected here");
    if (!scan_name(scan))
        return false;
    scan_space(scan);
    if (scan_peek(scan) != ':')
        return scan_malformed(scan, "a colon is expected here");
    scan->at++;
    scan_space(scan);
    return scan_put(scan, ":", 1) && scan_value(scan);
}

/* At [ or {: the elements up to the closing bracket. */
static bool scan_elements(struct scan *scan, char close)
{
    if (++scan->depth > JSON_DEPTH)
        return scan_malformed(scan, "lists and objects are nested more than 32 deep");
    if (!scan_put(scan, scan->at++, 1))
        return false;
    scan_space(scan);
    for (bool first = true; scan_peek(scan) != close || !first; first = false) {
        if (!(close == '}' ? scan_member(scan) : scan_value(scan)))
            return false;
        scan_space(scan);
        if (scan_peek(scan) == close)
            break;
        if (scan_peek(scan) != ',')
            return scan_malformed(scan, close == '}' ? "a comma or } is expected here"
                                                     : "a comma or ] is expected here");
        scan->at++;
        scan_space(scan);
        if (!scan_put(scan, ",", 1))
            return false;
    }
    scan->depth--;
    return scan_put(scan, scan->at++, 1);
}

/* Does a list begin here whose first leaf is a number? */
static bool looks_numeric(const struct scan *scan)
{
    const char *p = scan->at;

    while (p < scan->end && (*p == '[' || is_space(*p)))
        p++;
    return p < scan->end && (is_digit(*p) || *p == '-');
}

static bool scan_value(struct scan *scan)
{
    if (++scan->values > JSON_VALUES)
        return scan_malformed(scan, "there are more than 4096 values outside lists of numbers");
    switch (scan_peek(scan)) {
    case '[':
        if (looks_numeric(scan)) {
            enum outcome outcome = scan_numbers(scan);

            if (outcome != MIXED)
                return outcome == DONE;
        }
        return scan_elements(scan, ']');
    case '{':
        return scan_elements(scan, '}');
    case '"':
        return scan_string(scan);
    case 't':
        return scan_word(scan, "true");
    case 'f':
        return scan_word(scan, "false");
    case 'n':
        return scan_word(scan, "null");
    default:
        if (is_digit(scan_peek(scan)) || scan_peek(scan) == '-')
            return scan_number(scan);
        return scan_malformed(scan, "a value is expected here");
    }
}

bool json_scan(struct bytes text, struct json_store *json, struct arena *arena, struct bytes *rest,
               size_t *nul, struct error *err)
{
    struct scan scan = { .start = text.data,
                         .at = text.data,
                         .end = text.data + text.size,
                         .json = json,
                         .arena = arena,
                         .err = err,
                         .nul = SIZE_MAX };

    scan_space(&scan);
    if (!scan_value(&scan))
        return false;
    scan_space(&scan);
    if (scan.at != scan.end)
        return scan_malformed(&scan, "there is something behind the end");
    *rest = (struct bytes){ scan.rest, scan.rest_used };
    *nul = scan.nul;
    return true;
}
