/* Built-in pictures at any size: core draws its own; the photo is cut to its middle square and
 * resized, in integers, so that its pixels are alike on every machine. */
#include "api/sample.h"

#include <stdio.h>
#include <string.h>

/* "Chelsea" by Stefan van der Walt, CC0. */
EMBED(cat, "api/cat.png");

const int sample_cat_size[2] = { 451, 300 };
enum { SIDE = 300, RUN = SIDE * 3 };

/* How one row of pixels becomes one of another length: output i is the mean of some inputs from
 * first on, by weights that add up to sum. Shrinking weighs the part of each pixel that lies under
 * the output's; growing weighs the two nearest by their distance. */
struct filter {
    int first, count, sum, weights[SIDE];
};

static void filter_init(struct filter *filter, int from, int to, int i)
{
    int position, last;

    if (to <= from) { /* in units of 1/to of an input pixel, which is `to` long, an output `from` */
        filter->first = i * from / to;
        last = ((i + 1) * from - 1) / to;
        filter->count = last - filter->first + 1;
        filter->sum = from;
        for (int j = filter->first; j <= last; j++) {
            int begin = j * to > i * from ? j * to : i * from;
            int end = (j + 1) * to < (i + 1) * from ? (j + 1) * to : (i + 1) * from;

            filter->weights[j - filter->first] = end - begin;
        }
        return;
    }
    position = (2 * i + 1) * from - to; /* the middle, in units of 1/(2 to) from pixel 0's middle */
    position = position < 0 ? 0 : position;
    filter->first = position / (2 * to);
    filter->sum = 2 * to;
    filter->count = filter->first + 1 < from ? 2 : 1;
    filter->weights[1] = position % (2 * to);
    filter->weights[0] = 2 * to - (filter->count == 2 ? filter->weights[1] : 0);
}

static unsigned apply(const struct filter *filter, const uint16_t *from, size_t step)
{
    int64_t total = filter->sum / 2;

    for (int j = 0; j < filter->count; j++)
        total += (int64_t)filter->weights[j] * from[(size_t)(filter->first + j) * step];
    return (unsigned)(total / filter->sum);
}

/* The photo's middle square to [size][size][3]: rows first, kept with 8 bits more, then columns. */
static bool resize(const uint8_t *from, int size, struct arena *arena, uint8_t *to)
{
    size_t width = (size_t)sample_cat_size[0], left = (width - SIDE) / 2,
           samples = (size_t)size * 3;
    uint16_t *rows = arena_new(arena, uint16_t, SIDE * samples); /* [SIDE][size][3] */
    struct filter *filters = arena_new(arena, struct filter, (size_t)size);
    uint16_t row[RUN];

    if (!rows || !filters)
        return false;
    for (int i = 0; i < size; i++)
        filter_init(&filters[i], SIDE, size, i);
    for (size_t y = 0; y < SIDE; y++) {
        for (size_t x = 0; x < RUN; x++)
            row[x] = (uint16_t)(from[(y * width + left) * 3 + x] << 8);
        for (size_t x = 0; x < samples; x++)
            rows[y * samples + x] = (uint16_t)apply(&filters[x / 3], row + x % 3, 3);
    }
    for (size_t y = 0; y < (size_t)size; y++)
        for (size_t x = 0; x < samples; x++, to++)
            *to = (uint8_t)((apply(&filters[y], rows + x, samples) + 128) >> 8);
    return true;
}

static bool out_of_memory(struct error *err, int size)
{
    return fail(err, ERR_TOO_LARGE, "image",
                "the sample of %dx%d pixels does not fit this request's "
                "memory; ask for a smaller one",
                size, size);
}

static bool photo(int size, const struct limits *limits, struct arena *arena, struct pixels *pixels,
                  struct error *err)
{
    /* cppcheck-suppress comparePointers ; both ends of one file */
    struct bytes file = { cat_start, (size_t)(cat_end - cat_start) };
    struct picture_info info;
    struct pixels whole;
    uint8_t *square;
    struct arena_mark mark;
    bool ok;

    if (size == 0)
        return image_decode(file, limits, arena, pixels, &info, err);
    square = arena_alloc(arena, (size_t)size * (size_t)size, 3);
    if (!square)
        return out_of_memory(err, size);
    mark = arena_save(arena);
    ok = image_decode(file, limits, arena, &whole, &info, err) &&
         (resize(whole.data, size, arena, square) || out_of_memory(err, size));
    arena_restore(arena, mark);
    *pixels = (struct pixels){ size, size, 3, 8, square };
    return ok;
}

static bool drawing(const struct sample *sample, int size, const struct limits *limits,
                    struct arena *arena, struct pixels *pixels, struct error *err)
{
    uint8_t *room;

    room = arena_alloc(arena, (size_t)size * (size_t)size, (size_t)sample->channels);
    if (!room)
        return out_of_memory(err, size);
    if (!sample_draw(sample, size, limits->stop, room))
        return fail(err, ERR_DEADLINE, "image", "the sample was not drawn in time");
    *pixels = (struct pixels){ size, size, sample->channels, 8, room };
    return true;
}

const char *sample_nearest(const char *id)
{
    const char *nearest = "cat";
    int least = word_distance(id, nearest);

    for (int i = 0; i < sample_count(); i++) {
        int distance = word_distance(id, sample_at(i)->id);

        if (distance < least) {
            least = distance;
            nearest = sample_at(i)->id;
        }
    }
    return word_is_near(least, (int)strlen(nearest)) ? nearest : NULL;
}

static bool unknown(const char *id, struct error *err)
{
    const char *nearest = sample_nearest(id);
    char list[160] = "cat";
    size_t used = 3;

    for (int i = 0; i < sample_count(); i++)
        used += (size_t)snprintf(list + used, sizeof list - used, ", %s", sample_at(i)->id);
    if (nearest)
        return fail(err, ERR_PARAMETER, "image/sample",
                    "there is no sample '%.32s'; did you mean "
                    "'%s'? There are %s",
                    id, nearest, list);
    return fail(err, ERR_PARAMETER, "image/sample", "there is no sample '%.32s'; there are %s", id,
                list);
}

bool sample_pixels(const char *id, int size, const struct limits *limits, struct arena *arena,
                   struct pixels *pixels, struct error *err)
{
    const struct sample *sample = sample_find(id);
    bool is_photo = strcmp(id, "cat") == 0;

    if (!sample && !is_photo)
        return unknown(id, err);
    if (size == 0 && sample)
        size = sample->size;
    if (size < 0 || size > SAMPLE_SIZE_MAX)
        return fail_range(err, "image/size", size, 1, SAMPLE_SIZE_MAX);
    if ((size_t)size * (size_t)size > limits->pixels)
        return fail(err, ERR_TOO_LARGE, "image/size",
                    "a sample of %dx%d pixels is over the limit of "
                    "%zu pixels (--max-pixels)",
                    size, size, limits->pixels);
    return is_photo ? photo(size, limits, arena, pixels, err)
                    : drawing(sample, size, limits, arena, pixels, err);
}
