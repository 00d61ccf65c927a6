/* The strict pass. It writes "the rest" as it goes: the same text without white space, each number
 * as 17 digits, and in place of what was cut a string that starts with a byte no UTF-8 text can
 * hold, so that no client can forge one: [TENSOR_MARK index, numbers...] or STRING_MARK index. */
#include "api/json_scan.h"
#include "api/floats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TENSOR_MARK '\xff'
#define STRING_MARK '\xfe'

/* A list that turns out not to be of numbers is read again, value by value: only a short one. */
enum { RETRY_BYTES = 1 << 16 };

struct scan {
    const char *start, *at, *end;
    struct json_store *json;
    struct arena *arena;
    struct error *err;
    char *rest;
    size_t rest_used, rest_size;
    int depth, values;
    size_t nul;
    char member[64]; /* of the outermost object: what an error is about */
};

static bool malformed(struct scan *scan, const char *what)
{
    return fail(scan->err, ERR_SYNTAX, "", "the JSON is malformed at byte %zu: %s",
                (size_t)(scan->at - scan->start), what);
}

static bool too_large(struct scan *scan)
{
    return fail(scan->err, ERR_TOO_LARGE, scan->member, "the JSON needs more memory than allowed");
}

static bool put(struct scan *scan, const char *text, size_t size)
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
            return too_large(scan);
        if (scan->rest)
            memcpy(larger, scan->rest, scan->rest_used);
        scan->rest = larger;
        scan->rest_size = doubled;
    }
    memcpy(scan->rest + scan->rest_used, text, size);
    scan->rest_used = wanted;
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->end && is_space(*scan->at))
        scan->at++;
}

static char peek(const struct scan *scan)
{
    return scan->at < scan->end ? *scan->at : '\0';
}

static struct json_cut *new_cut(struct scan *scan)
{
    struct json_cut *cut = arena_new(scan->arena, struct json_cut, 1);

    if (!cut)
        return NULL;
    *cut = (struct json_cut){ .next = scan->json->cuts };
    cut->index = cut->next ? cut->next->index + 1 : 0;
    scan->json->cuts = cut;
    return cut;
}

/* --- numbers --------------------------------------------------------------------------------- */

/* -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?, moving at behind it. */
static bool skip_number(struct scan *scan)
{
    if (peek(scan) == '-')
        scan->at++;
    if (peek(scan) == '0')
        scan->at++;
    else if (!is_digit(peek(scan)))
        return malformed(scan, "a number needs a digit here");
    else
        while (is_digit(peek(scan)))
            scan->at++;
    if (peek(scan) == '.') {
        scan->at++;
        if (!is_digit(peek(scan)))
            return malformed(scan, "a decimal point needs a digit behind it");
        while (is_digit(peek(scan)))
            scan->at++;
    }
    if (peek(scan) == 'e' || peek(scan) == 'E') {
        scan->at++;
        if (peek(scan) == '+' || peek(scan) == '-')
            scan->at++;
        if (!is_digit(peek(scan)))
            return malformed(scan, "an exponent needs a digit");
        while (is_digit(peek(scan)))
            scan->at++;
    }
    return true;
}

/* cJSON reads at most 63 bytes of a number: it gets each as 17 digits, which restore the double. */
static bool scan_number(struct scan *scan)
{
    const char *from = scan->at;
    struct arena_mark mark;
    char *copy, text[32];
    double value;
    size_t size;

    if (!skip_number(scan))
        return false;
    size = (size_t)(scan->at - from);
    mark = arena_save(scan->arena);
    copy = arena_new(scan->arena, char, size + 1);
    if (!copy)
        return too_large(scan);
    memcpy(copy, from, size);
    copy[size] = '\0';
    value = strtod(copy, NULL);
    arena_restore(scan->arena, mark);
    if (isinf(value))
        return put(scan, value < 0 ? "-1e999" : "1e999", value < 0 ? 6 : 5);
    return put(scan, text, (size_t)snprintf(text, sizeof text, "%.17g", value));
}

/* --- lists of numbers ------------------------------------------------------------------------ */

/* The run of bytes from at that lists of numbers are made of: its end, and its commas. */
static const char *number_run(const struct scan *scan, size_t *commas)
{
    const char *p = scan->at;

    *commas = 0;
    for (; scan->end - p >= 64; p += 64) {
        unsigned foreign = 0, found = 0;

        for (int i = 0; i < 64; i++) {
            unsigned char c = (unsigned char)p[i];

            foreign |= !((unsigned char)(c - '+') < 15 || c == '[' || c == ']' || c == ' ' ||
                         (c | 32) == 'e' || c == '\n' || c == '\r' || c == '\t') |
                       (c == '/');
            found += c == ',';
        }
        if (foreign)
            break;
        *commas += found;
    }
    for (; p < scan->end && memchr("0123456789+-.,eE[] \n\r\t", *p, 22); p++)
        *commas += *p == ',';
    return p;
}

enum outcome { DONE, MIXED, FAILED };

/* The state of one nested list under way. */
struct nest {
    size_t dims[MAX_RANK], counts[MAX_RANK];
    int depth, leaf;  /* how deep we are; how deep the numbers are, 0 not known yet */
    const char *last; /* the last ] of the run: no number behind it is read */
    float *out;
};

static enum outcome ragged(struct scan *scan, size_t count, size_t first)
{
    fail(scan->err, ERR_SHAPE, scan->member,
         "%s is ragged: a list of %zu beside a list of %zu, at byte %zu; lists of one level need "
         "the same length",
         *scan->member ? scan->member : "the list", count, first, (size_t)(scan->at - scan->start));
    return FAILED;
}

/* Numbers up to the ] that closes the innermost list. */
static enum outcome scan_leaves(struct scan *scan, struct nest *nest)
{
    const char *p = scan->at;
    float *out = nest->out;

    for (;;) {
        const char *behind = p < nest->last ? float_read(p, out) : NULL;

        if (!behind)
            break;
        out++;
        p = behind;
        while (is_space(*p))
            p++;
        if (*p == ']') {
            nest->counts[nest->depth - 1] = (size_t)(out - nest->out);
            nest->out = out;
            scan->at = p;
            return DONE;
        }
        if (*p != ',')
            break;
        p++;
        while (is_space(*p))
            p++;
    }
    scan->at = p;
    return MIXED;
}

/* At a ]: closes lists and moves to the next one, or behind the outermost. */
static enum outcome close_lists(struct scan *scan, struct nest *nest)
{
    while (peek(scan) == ']') {
        int level = nest->depth - 1;

        if (nest->dims[level] == SIZE_MAX)
            nest->dims[level] = nest->counts[level];
        else if (nest->dims[level] != nest->counts[level])
            return ragged(scan, nest->counts[level], nest->dims[level]);
        scan->at++;
        nest->depth--;
        if (!level)
            return DONE;
        nest->counts[level - 1]++;
        skip_space(scan);
    }
    if (peek(scan) != ',')
        return MIXED;
    scan->at++;
    skip_space(scan);
    return peek(scan) == '[' ? DONE : MIXED;
}

/* A list, nested at will, whose leaves are all numbers, into cut. MIXED: it is something else. */
static enum outcome scan_nest(struct scan *scan, struct nest *nest)
{
    do {
        enum outcome outcome;

        while (peek(scan) == '[') {
            if (nest->depth == MAX_RANK || (nest->leaf && nest->depth == nest->leaf))
                return MIXED;
            nest->counts[nest->depth++] = 0;
            scan->at++;
            skip_space(scan);
        }
        if (!nest->leaf)
            nest->leaf = nest->depth;
        if (nest->leaf != nest->depth)
            return MIXED;
        outcome = scan_leaves(scan, nest);
        if (outcome == DONE)
            outcome = close_lists(scan, nest);
        if (outcome != DONE)
            return outcome;
    } while (nest->depth);
    return DONE;
}

static bool put_cut(struct scan *scan, const struct json_cut *cut)
{
    char text[40];
    int size = snprintf(text, sizeof text, "[\"%c%d\"", TENSOR_MARK, cut->index);

    return put(scan, text, (size_t)size);
}

/* The handful of numbers between from and the end of its flat list, as cJSON will see them. */
static bool put_handful(struct scan *scan, const char *from, size_t count)
{
    const char *behind = scan->at;

    scan->at = from + 1;
    for (size_t i = 0; i < count; i++, scan->at++) {
        skip_space(scan);
        if (!put(scan, ",", 1) || !scan_number(scan))
            return false;
        skip_space(scan);
    }
    scan->at = behind;
    return true;
}

static enum outcome scan_numbers(struct scan *scan)
{
    const char *from = scan->at, *run;
    struct arena_mark mark = arena_save(scan->arena);
    struct nest nest = { 0 };
    struct json_cut *cut;
    enum outcome outcome;
    size_t commas;
    float *data;

    for (int i = 0; i < MAX_RANK; i++)
        nest.dims[i] = SIZE_MAX;
    run = number_run(scan, &commas);
    for (nest.last = run - 1; nest.last > from && *nest.last != ']';)
        nest.last--;
    if (nest.last == from && run - from > RETRY_BYTES) {
        scan->at = run;
        return malformed(scan, "a list of numbers breaks off here"), FAILED;
    }
    data = nest.out = arena_new(scan->arena, float, commas + 1);
    if (!data)
        return too_large(scan), FAILED;
    outcome = scan_nest(scan, &nest);
    if (outcome == MIXED && scan->at - from > RETRY_BYTES)
        return malformed(scan, "a list of numbers holds something else here"), FAILED;
    if (outcome != DONE) {
        arena_restore(scan->arena, mark);
        scan->at = from;
        return outcome;
    }
    if (!(cut = new_cut(scan)))
        return too_large(scan), FAILED;
    cut->rank = nest.leaf;
    cut->data = data;
    cut->count = (size_t)(nest.out - data);
    memcpy(cut->dims, nest.dims, sizeof cut->dims);
    for (size_t i = 0; i < cut->count; i++)
        cut->infinite |= isinf(data[i]) != 0;
    if (!put_cut(scan, cut) ||
        (cut->rank == 1 && cut->count <= JSON_HANDFUL && !put_handful(scan, from, cut->count)) ||
        !put(scan, "]", 1))
        return FAILED;
    return DONE;
}

/* --- strings --------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hex digits at at; -1 when they are not. */
static int hex4(struct scan *scan)
{
    int code = 0;

    for (int i = 0; i < 4; i++, scan->at++) {
        int digit = hex_digit(peek(scan));

        if (digit < 0)
            return -1;
        code = code * 16 + digit;
    }
    return code;
}

/* Behind a backslash. */
static bool scan_escape(struct scan *scan)
{
    const char *slash = scan->at - 1;
    int code, low;

    if (scan->at == scan->end || !memchr("\"\\/bfnrtu", *scan->at, 9))
        return malformed(scan, "there is no such escape");
    if (*scan->at++ != 'u')
        return true;
    code = hex4(scan);
    if (code < 0)
        return malformed(scan, "\\u needs four hexadecimal digits");
    if (code == 0 && scan->nul == SIZE_MAX)
        scan->nul = (size_t)(slash - scan->start);
    if (code < 0xd800 || code > 0xdfff)
        return true;
    if (code > 0xdbff || peek(scan) != '\\')
        return malformed(scan, "half of a surrogate pair");
    scan->at++;
    if (peek(scan) != 'u')
        return malformed(scan, "half of a surrogate pair");
    scan->at++;
    low = hex4(scan);
    return (low >= 0xdc00 && low <= 0xdfff) || malformed(scan, "half of a surrogate pair");
}

/* At a byte over 0x7f: one character of well-formed UTF-8 (RFC 3629: shortest form, no
 * surrogates, at most U+10FFFF). */
static bool scan_utf8(struct scan *scan)
{
    const unsigned char *p = (const unsigned char *)scan->at;
    ptrdiff_t left = scan->end - scan->at;
    int length = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
    unsigned char low = *p == 0xe0 ? 0xa0 : *p == 0xf0 ? 0x90 : 0x80;
    unsigned char high = *p == 0xed ? 0x9f : *p == 0xf4 ? 0x8f : 0xbf;

    if (*p < 0xc2 || *p > 0xf4 || left < length || p[1] < low || p[1] > high)
        return malformed(scan, "this is not UTF-8");
    for (int i = 2; i < length; i++)
        if (p[i] < 0x80 || p[i] > 0xbf)
            return malformed(scan, "this is not UTF-8");
    scan->at += length;
    return true;
}

/* Eight bytes at once, while none of them is a quote, a backslash, control or not ASCII. */
static void skip_plain(struct scan *scan)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;

    while (scan->end - scan->at >= 8) {
        uint64_t word, quote, slash;

        memcpy(&word, scan->at, sizeof word);
        quote = word ^ ones * '"';
        slash = word ^ ones * '\\';
        if ((word | (word - ones * 0x20) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) &
            highs)
            return;
        scan->at += 8;
    }
}

/* From behind the opening quote to behind the closing one. plain: no escape but \/ is in it. */
static bool skip_string(struct scan *scan, bool *plain, bool *escaped)
{
    for (*plain = true, *escaped = false;;) {
        skip_plain(scan);
        if (scan->at == scan->end)
            return malformed(scan, "the string has no end");
        if (*scan->at == '"')
            return scan->at++, true;
        if ((unsigned char)*scan->at < 0x20)
            return malformed(scan, "a control character in a string must be escaped");
        if ((unsigned char)*scan->at >= 0x80) {
            if (!scan_utf8(scan))
                return false;
            continue;
        }
        if (*scan->at++ != '\\')
            continue;
        *escaped = true;
        *plain &= peek(scan) == '/';
        if (!scan_escape(scan))
            return false;
    }
}

/* A long string is not copied for cJSON: base64 of megabytes. PHP writes its slashes as \/. */
static bool cut_string(struct scan *scan, struct bytes text, bool escaped)
{
    struct json_cut *cut = new_cut(scan);
    char mark[24], *out;

    if (!cut)
        return too_large(scan);
    cut->text = text;
    if (escaped) {
        out = arena_new(scan->arena, char, text.size + BODY_SLACK);
        if (!out)
            return too_large(scan);
        cut->text.data = out;
        for (size_t i = 0; i < text.size; i++)
            if (text.data[i] != '\\')
                *out++ = text.data[i];
        cut->text.size = (size_t)(out - cut->text.data);
    }
    return put(scan, mark,
               (size_t)snprintf(mark, sizeof mark, "\"%c%d\"", STRING_MARK, cut->index));
}

/* At the opening quote. */
static bool scan_string(struct scan *scan)
{
    const char *from = ++scan->at;
    bool plain, escaped;
    size_t size;

    if (!skip_string(scan, &plain, &escaped))
        return false;
    size = (size_t)(scan->at - 1 - from);
    if (size > JSON_LONG && plain)
        return cut_string(scan, (struct bytes){ from, size }, escaped);
    return put(scan, from - 1, size + 2);
}

/* --- values ---------------------------------------------------------------------------------- */

static bool scan_value(struct scan *scan);

static bool scan_word(struct scan *scan, const char *word)
{
    size_t size = strlen(word);

    if ((size_t)(scan->end - scan->at) < size || memcmp(scan->at, word, size))
        return malformed(scan, "a value is expected here");
    scan->at += size;
    return put(scan, word, size);
}

/* "name" : value */
static bool scan_member(struct scan *scan)
{
    const char *from = scan->at + 1;
    bool plain, escaped;
    size_t size;

    if (peek(scan) != '"')
        return malformed(scan, "a member's name in quotes is expected here");
    scan->at++;
    if (!skip_string(scan, &plain, &escaped))
        return false;
    size = (size_t)(scan->at - 1 - from);
    if (scan->depth == 1) {
        size_t shown = size < sizeof scan->member ? size : sizeof scan->member - 1;

        memcpy(scan->member, from, shown);
        scan->member[shown] = '\0';
    }
    skip_space(scan);
    if (peek(scan) != ':')
        return malformed(scan, "a colon is expected here");
    scan->at++;
    skip_space(scan);
    return put(scan, from - 1, size + 2) && put(scan, ":", 1) && scan_value(scan);
}

/* At [ or {: the elements up to the closing bracket. */
static bool scan_elements(struct scan *scan, char close)
{
    if (++scan->depth > JSON_DEPTH)
        return malformed(scan, "lists and objects are nested more than 32 deep");
    if (!put(scan, scan->at++, 1))
        return false;
    skip_space(scan);
    for (bool first = true; peek(scan) != close || !first; first = false) {
        if (!(close == '}' ? scan_member(scan) : scan_value(scan)))
            return false;
        skip_space(scan);
        if (peek(scan) == close)
            break;
        if (peek(scan) != ',')
            return malformed(scan, close == '}' ? "a comma or } is expected here"
                                                : "a comma or ] is expected here");
        scan->at++;
        skip_space(scan);
        if (!put(scan, ",", 1))
            return false;
    }
    scan->depth--;
    return put(scan, scan->at++, 1);
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
        return malformed(scan, "there are more than 4096 values outside lists of numbers");
    switch (peek(scan)) {
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
        if (is_digit(peek(scan)) || peek(scan) == '-')
            return scan_number(scan);
        return malformed(scan, "a value is expected here");
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

    skip_space(&scan);
    if (!scan_value(&scan))
        return false;
    skip_space(&scan);
    if (scan.at != scan.end)
        return malformed(&scan, "there is something behind the end");
    *rest = (struct bytes){ scan.rest, scan.rest_used };
    *nul = scan.nul;
    return true;
}

/* --- the tree -------------------------------------------------------------------------------- */

static bool no_twins(const cJSON *item, struct error *err)
{
    const cJSON *child, *other;

    cJSON_ArrayForEach(child, item) {
        if (child->string)
            for (other = item->child; other != child; other = other->next)
                if (!strcmp(other->string, child->string))
                    return fail(err, ERR_TWICE, child->string, "%.60s is given twice in the JSON",
                                child->string);
        if (!no_twins(child, err))
            return false;
    }
    return true;
}

const cJSON *json_parse(struct bytes text, struct json_store *json, struct arena *arena,
                        struct error *err)
{
    struct json_tree *tree = arena_new(arena, struct json_tree, 1);
    struct bytes rest;
    size_t nul;

    if (!tree)
        return fail(err, ERR_TOO_LARGE, "", "the JSON needs more memory than allowed"), NULL;
    if (!json_scan(text, json, arena, &rest, &nul, err))
        return NULL;
    if (nul != SIZE_MAX)
        return fail(err, ERR_SYNTAX, "", "\\u0000 at byte %zu: no name or word here has it", nul),
               NULL;
    tree->root = cJSON_ParseWithLength(rest.data, rest.size);
    if (!tree->root)
        return fail(err, ERR_BUSY, "", "there is not enough memory for the JSON; try again"), NULL;
    tree->next = json->trees;
    json->trees = tree;
    return no_twins(tree->root, err) ? tree->root : NULL;
}

void json_free(struct json_store *json)
{
    for (; json->trees; json->trees = json->trees->next)
        cJSON_Delete(json->trees->root);
}

/* The cut that item stands for, when it is a string with this mark. */
static const struct json_cut *find_cut(const struct json_store *json, const cJSON *item, char mark)
{
    const struct json_cut *cut = json->cuts;
    int index;

    if (!cJSON_IsString(item) || item->valuestring[0] != mark)
        return NULL;
    index = atoi(item->valuestring + 1);
    while (cut->index != index)
        cut = cut->next;
    return cut;
}

const struct json_cut *json_tensor(const struct json_store *json, const cJSON *item)
{
    return cJSON_IsArray(item) ? find_cut(json, item->child, TENSOR_MARK) : NULL;
}

struct bytes json_string(const struct json_store *json, const cJSON *item)
{
    const struct json_cut *cut = find_cut(json, item, STRING_MARK);

    if (cut)
        return cut->text;
    if (!cJSON_IsString(item))
        return (struct bytes){ NULL, 0 };
    return (struct bytes){ item->valuestring, strlen(item->valuestring) };
}

const cJSON *json_first(const cJSON *list)
{
    const cJSON *first = list ? list->child : NULL;

    return cJSON_IsString(first) && first->valuestring[0] == TENSOR_MARK ? first->next : first;
}

int json_numbers(const struct json_store *json, const cJSON *item, double *numbers, int most)
{
    const cJSON *number;
    int count = 0;

    if (cJSON_IsNumber(item)) {
        *numbers = item->valuedouble;
        return 1;
    }
    if (!json_tensor(json, item))
        return -1;
    for (number = json_first(item); number; number = number->next) {
        if (count == most)
            return -1;
        numbers[count++] = number->valuedouble;
    }
    return count ? count : -1;
}
