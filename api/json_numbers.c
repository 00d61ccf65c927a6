/* Numbers, and nested lists of them cut straight into floats with their shape. */
#include "api/floats.h"
#include "api/json_inner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A list that turns out not to be of numbers is read again, value by value: only a short one. */
enum { RETRY_BYTES = 1 << 16 };

/* --- numbers --------------------------------------------------------------------------------- */

/* -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?, moving at behind it. */
static bool skip_number(struct scan *scan)
{
    if (scan_peek(scan) == '-')
        scan->at++;
    if (scan_peek(scan) == '0')
        scan->at++;
    else if (!is_digit(scan_peek(scan)))
        return scan_malformed(scan, "a number needs a digit here");
    else
        while (is_digit(scan_peek(scan)))
            scan->at++;
    if (scan_peek(scan) == '.') {
        scan->at++;
        if (!is_digit(scan_peek(scan)))
            return scan_malformed(scan, "a decimal point needs a digit behind it");
        while (is_digit(scan_peek(scan)))
            scan->at++;
    }
    if (scan_peek(scan) == 'e' || scan_peek(scan) == 'E') {
        scan->at++;
        if (scan_peek(scan) == '+' || scan_peek(scan) == '-')
            scan->at++;
        if (!is_digit(scan_peek(scan)))
            return scan_malformed(scan, "an exponent needs a digit");
        while (is_digit(scan_peek(scan)))
            scan->at++;
    }
    return true;
}

/* cJSON reads at most 63 bytes of a number: it gets each as 17 digits, which restore the double. */
bool scan_number(struct scan *scan)
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
        return scan_too_large(scan);
    memcpy(copy, from, size);
    copy[size] = '\0';
    value = strtod(copy, NULL);
    arena_restore(scan->arena, mark);
    if (isinf(value))
        return scan_put(scan, value < 0 ? "-1e999" : "1e999", value < 0 ? 6 : 5);
    return scan_put(scan, text, (size_t)snprintf(text, sizeof text, "%.17g", value));
}

/* --- lists of numbers ------------------------------------------------------------------------ */

static size_t count_commas(const char *p, const char *end)
{
    size_t commas = 0;

    for (; end - p >= 64; p += 64) { /* 64 at once: the compiler knows how */
        unsigned char some = 0;

        for (int i = 0; i < 64; i++)
            some += p[i] == ',';
        commas += some;
    }
    for (; p < end; p++)
        commas += *p == ',';
    return commas;
}

/* No list of numbers goes beyond the next quote: so many it may have at most, and no number behind
 * the last ] before it is read, so that each that is read ends in the text. Looked for once. */
static void find_run(struct scan *scan)
{
    size_t left = (size_t)(scan->end - scan->at);
    const char *quote, *last;

    if (scan->run > scan->at)
        return;
    quote = memchr(scan->at, '"', left);
    scan->run = quote ? quote : scan->end;
    last = memrchr(scan->at, ']', (size_t)(scan->run - scan->at));
    scan->last = last ? last : scan->at;
    scan->commas = count_commas(scan->at, scan->run);
}

/* The state of one nested list under way. */
struct nest {
    size_t dims[MAX_RANK], counts[MAX_RANK];
    int depth, leaf; /* how deep we are; how deep the numbers are, 0 not known yet */
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
        const char *behind = p < scan->last ? float_read(p, out) : NULL;

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
    while (scan_peek(scan) == ']') {
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
        scan_space(scan);
    }
    if (scan_peek(scan) != ',')
        return MIXED;
    scan->at++;
    scan_space(scan);
    return scan_peek(scan) == '[' ? DONE : MIXED;
}

/* A list, nested at will, whose leaves are all numbers, into cut. MIXED: it is something else. */
static enum outcome scan_nest(struct scan *scan, struct nest *nest)
{
    do {
        enum outcome outcome;

        while (scan_peek(scan) == '[') {
            if (nest->depth == MAX_RANK || (nest->leaf && nest->depth == nest->leaf))
                return MIXED;
            nest->counts[nest->depth++] = 0;
            scan->at++;
            scan_space(scan);
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

    return scan_put(scan, text, (size_t)size);
}

/* The handful of numbers between from and the end of its flat list, as cJSON will see them. */
static bool put_handful(struct scan *scan, const char *from, size_t count)
{
    const char *behind = scan->at;

    scan->at = from + 1;
    for (size_t i = 0; i < count; i++, scan->at++) {
        scan_space(scan);
        if (!scan_put(scan, ",", 1) || !scan_number(scan))
            return false;
        scan_space(scan);
    }
    scan->at = behind;
    return true;
}

enum outcome scan_numbers(struct scan *scan)
{
    const char *from = scan->at;
    struct arena_mark mark = arena_save(scan->arena);
    struct nest nest = { 0 };
    struct json_cut *cut;
    enum outcome outcome;
    float *data;

    for (int i = 0; i < MAX_RANK; i++)
        nest.dims[i] = SIZE_MAX;
    find_run(scan);
    if (scan->last <= from && scan->run - from < RETRY_BYTES)
        return MIXED; /* it has no end: what reads values will say where */
    if (scan->last <= from) {
        scan->at = scan->run;
        return scan_malformed(scan, "a list of numbers breaks off here"), FAILED;
    }
    data = nest.out = arena_new(scan->arena, float, scan->commas + 1);
    if (!data)
        return scan_too_large(scan), FAILED;
    outcome = scan_nest(scan, &nest);
    if (outcome == MIXED && scan->at - from > RETRY_BYTES)
        return scan_malformed(scan, "a list of numbers holds something else here"), FAILED;
    if (outcome != DONE) {
        arena_restore(scan->arena, mark);
        scan->at = from;
        return outcome;
    }
    if (!(cut = scan_cut(scan)))
        return scan_too_large(scan), FAILED;
    cut->rank = nest.leaf;
    cut->data = data;
    cut->count = (size_t)(nest.out - data);
    memcpy(cut->dims, nest.dims, sizeof cut->dims);
    for (size_t i = 0; i < cut->count; i++)
        cut->infinite |= isinf(data[i]) != 0;
    if (!put_cut(scan, cut) ||
        (cut->rank == 1 && cut->count <= JSON_HANDFUL && !put_handful(scan, from, cut->count)) ||
        !scan_put(scan, "]", 1))
        return FAILED;
    return DONE;
}
