/* The many numbers of a reply: text, base64, statistics. Everything else in a reply is small. */
#include "api/encode.h"
#include "api/floats.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

/* Splitting costs a copy of the text: below this it is not worth waking anybody. */
enum { SPLIT_FROM = 1 << 18, MOST_PARTS = 16, FLAT_ROW = 1 << 12 };

/* Text is made in rows: those of the tensor when it is nested, else just long ones. */
struct rows {
    const struct listing *listing;
    int depth;     /* brackets around the innermost numbers, 0 flat */
    size_t length; /* of a row; the last may be shorter */
    size_t count;  /* of rows */
    int digits;
};

static struct rows rows_of(const struct listing *listing, enum data form, int digits)
{
    struct rows rows = { .listing = listing, .length = FLAT_ROW, .digits = digits };

    if (form == DATA_NESTED) {
        rows.depth = listing->rank;
        rows.length = (size_t)listing->dims[listing->rank - 1];
    }
    rows.count = (listing->count + rows.length - 1) / rows.length;
    return rows;
}

/* How many of the nested arrays, the innermost among them, start (or end) at a row. */
static int brackets_at(const struct rows *rows, size_t row)
{
    int brackets = rows->depth > 0;

    for (int d = rows->listing->rank - 2; brackets && brackets < rows->depth; d--, brackets++) {
        if (row % (size_t)rows->listing->dims[d])
            break;
        row /= (size_t)rows->listing->dims[d];
    }
    return brackets;
}

static char *write_rows(char *out, const struct rows *rows, size_t from, size_t to)
{
    for (size_t row = from; row < to; row++) {
        const float *values = rows->listing->data + row * rows->length;
        size_t left = rows->listing->count - row * rows->length;
        size_t length = left < rows->length ? left : rows->length;

        if (row)
            *out++ = ',';
        for (int i = brackets_at(rows, row); i > 0; i--)
            *out++ = '[';
        out = rows->digits ? floats_write_digits(out, values, length, rows->digits)
                           : floats_write(out, values, length);
        for (int i = brackets_at(rows, row + 1); i > 0; i--)
            *out++ = ']';
    }
    return out;
}

/* The longest text of the rows [from, to), and what writers may touch behind it. */
static size_t rows_bound(const struct rows *rows, size_t from, size_t to)
{
    size_t last = to * rows->length, numbers;

    last = last < rows->listing->count ? last : rows->listing->count;
    numbers = last - from * rows->length;
    return numbers * FLOAT_TEXT + (to - from) * (1 + 2 * (size_t)rows->depth) + FLOATS_SLACK;
}

/* Each part has room for its longest text; at the end it is moved up to the one before. */
struct parts {
    const struct rows *rows;
    char *room[MOST_PARTS], *start[MOST_PARTS], *end[MOST_PARTS];
    size_t from[MOST_PARTS + 1];
    atomic_int slots[MOST_PARTS]; /* by whom a part was written, plus one */
};

/* Whoever wrote the part before goes on at its end: only where the worker changes is a gap. */
static void write_part(void *arg, int index, int slot)
{
    struct parts *parts = arg;
    bool mine = index && atomic_load(&parts->slots[index - 1]) == slot + 1;

    parts->start[index] = mine ? parts->end[index - 1] : parts->room[index];
    parts->end[index] =
        write_rows(parts->start[index], parts->rows, parts->from[index], parts->from[index + 1]);
    atomic_store(&parts->slots[index], slot + 1);
}

static char *write_in_parts(char *out, const struct rows *rows, struct pool *pool)
{
    struct parts parts = { .rows = rows };
    size_t count = (size_t)pool_workers(pool);

    count = count < MOST_PARTS ? count : MOST_PARTS;
    count = count < rows->count ? count : rows->count;
    for (size_t i = 0; i <= count; i++)
        parts.from[i] = rows->count * i / count;
    parts.room[0] = out;
    for (size_t i = 1; i < count; i++)
        parts.room[i] = parts.room[i - 1] + rows_bound(rows, parts.from[i - 1], parts.from[i]);
    pool_for(pool, (int)count, write_part, &parts);
    for (size_t i = 0; i < count; i++) {
        size_t size = (size_t)(parts.end[i] - parts.start[i]);

        if (out != parts.start[i])
            memmove(out, parts.start[i], size);
        out += size;
    }
    return out;
}

size_t data_bound(const struct listing *listing, enum data form)
{
    struct rows rows = rows_of(listing, form, 0);

    if (form == DATA_NONE)
        return 0;
    if (form == DATA_BASE64)
        return base64_size(listing->count * sizeof(float)) + 2;
    return rows_bound(&rows, 0, rows.count) + (size_t)MOST_PARTS * FLOATS_SLACK + 2;
}

char *data_write(char *out, const struct listing *listing, const struct fields *fields,
                 const struct reply_context *context)
{
    struct rows rows = rows_of(listing, (enum data)fields->data, fields->digits);

    if (fields->data == DATA_BASE64) {
        *out++ = '"';
        out = base64_write(out, listing->data, listing->count * sizeof(float));
        *out++ = '"';
        return out;
    }
    if (!rows.depth)
        *out++ = '[';
    if (context->pool && listing->count >= SPLIT_FROM)
        out = write_in_parts(out, &rows, context->pool);
    else
        out = write_rows(out, &rows, 0, rows.count);
    if (!rows.depth)
        *out++ = ']';
    return out;
}

/* One value after the other, leaving out what is not finite. */
static void stats_of_each(const float *values, size_t count, struct map_stats *stats)
{
    size_t finite = 0;

    *stats = (struct map_stats){ INFINITY, -INFINITY, 0, 0 };
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i]))
            continue;
        finite++;
        stats->mean += (double)values[i];
        stats->min = fminf(stats->min, values[i]);
        stats->max = fmaxf(stats->max, values[i]);
    }
    stats->nonfinite = count - finite;
    stats->mean /= (double)finite;
    if (!finite)
        stats->min = stats->max = NAN;
}

/* Most maps are finite: lanes side by side, without a branch, which the compiler makes vectors of. */
void stats_of(const float *values, size_t count, struct map_stats *stats)
{
    enum { LANES = 16 };
    float min[LANES], max[LANES], strange[LANES] = { 0 }; /* v * 0 is NaN unless v is finite */
    double sum[LANES] = { 0 }, all = 0;
    struct map_stats rest;

    for (int i = 0; i < LANES; i++)
        min[i] = INFINITY, max[i] = -INFINITY;
    for (size_t at = 0; at + LANES <= count; at += LANES)
        for (int i = 0; i < LANES; i++) {
            float v = values[at + i];

            min[i] = v < min[i] ? v : min[i];
            max[i] = v > max[i] ? v : max[i];
            sum[i] += (double)v;
            strange[i] += v * 0;
        }
    stats_of_each(values + count / LANES * LANES, count % LANES, &rest);
    *stats = (struct map_stats){ rest.min, rest.max, 0, rest.nonfinite };
    for (int i = 0; i < LANES; i++) {
        stats->min = fminf(stats->min, min[i]); /* of a NaN and a number, the number */
        stats->max = fmaxf(stats->max, max[i]);
        all += sum[i];
        rest.nonfinite += strange[i] != 0;
    }
    if (count < LANES || rest.nonfinite)
        stats_of_each(values, count, stats);
    else
        stats->mean =
            (all + (count % LANES ? rest.mean * (double)(count % LANES) : 0)) / (double)count;
}

struct stats_work {
    const struct view *view;
    struct map_stats *stats;
};

static void stats_of_plane(void *arg, int index, int slot)
{
    struct stats_work *work = arg;
    size_t area = (size_t)work->view->shape.height * (size_t)work->view->shape.width;

    (void)slot;
    stats_of(work->view->data + (size_t)index * area, area, work->stats + index);
}

struct map_stats *stats_of_view(const struct view *view, const struct reply_context *context)
{
    size_t planes = (size_t)view->shape.count * (size_t)view->shape.channels;
    struct stats_work work = { view, arena_new(context->arena, struct map_stats, planes) };

    if (work.stats)
        pool_for(shape_count(view->shape) >= SPLIT_FROM ? context->pool : NULL, (int)planes,
                 stats_of_plane, &work);
    return work.stats;
}
