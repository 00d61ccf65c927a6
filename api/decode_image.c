/* The input: pictures from files, samples and base64, or a tensor given as numbers. */
#include "api/decode.h"
#include "api/image.h"
#include "api/npy.h"
#include "api/sample.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- pictures -------------------------------------------------------------------------------- */

static bool check_reals(struct decoder *d, int channels)
{
    const char *field = d->mean_count > 1 && d->mean_count != channels ? "mean"
                        : d->std_count > 1 && d->std_count != channels ? "std"
                                                                       : NULL;

    return !field || fail(d->err, ERR_SHAPE, field,
                          "%s has %d numbers but the input has %d channels; give one, or one a "
                          "channel",
                          field, *field == 'm' ? d->mean_count : d->std_count, channels);
}

/* The batch's tensor, of count pictures like this one. */
static bool start_batch(struct decoder *d, const struct pixels *pixels,
                        const struct picture_info *info, int count)
{
    const struct fields *fields = &d->request->fields;
    int channels = image_channels(pixels, (enum channels)fields->channels);
    struct shape shape = { count, channels, pixels->height, pixels->width };

    d->request->picture = *info;
    d->request->picture.count = count;
    if (fields->channels == CHANNELS_AUTO && pixels->channels % 2 == 0)
        warn(&d->request->warnings,
             "the picture's alpha was dropped; channels=4 keeps it as a channel");
    return check_reals(d, channels) &&
           tensor_alloc(&d->request->image, shape, "image", d->arena, d->err);
}

static bool add_picture(struct decoder *d, const struct pixels *pixels,
                        const struct picture_info *info, int index, int count)
{
    const struct tensor *image = &d->request->image;
    const struct picture_info *first = &d->request->picture;
    size_t plane;

    if (!index && !start_batch(d, pixels, info, count))
        return false;
    if (info->width != first->width || info->height != first->height ||
        info->channels != first->channels)
        return fail(d->err, ERR_SHAPE, "image",
                    "picture %d is %dx%d with %d channels but the first is %dx%d with %d; the "
                    "pictures of a batch need the same size",
                    index + 1, info->width, info->height, info->channels, first->width,
                    first->height, first->channels);
    plane =
        (size_t)image->shape.channels * (size_t)image->shape.height * (size_t)image->shape.width;
    image_planes(pixels, (enum channels)d->request->fields.channels, &d->request->fields,
                 image->data + (size_t)index * plane);
    return true;
}

/* --- numbers --------------------------------------------------------------------------------- */

/* dims of HW, CHW, NCHW (or HWC, NHWC) as a shape. */
static bool shape_of(struct decoder *d, const size_t *dims, int rank, bool hwc, const char *field,
                     struct shape *shape)
{
    int sizes[4] = { 1, 1, 1, 1 };

    if (rank < 2 || rank > 4)
        return fail(d->err, ERR_SHAPE, field,
                    "%s has %d dimensions; it must have 2 (height, width), 3 (channels, height, "
                    "width) or 4 (count first)",
                    field, rank);
    for (int i = 0; i < rank; i++) {
        if (!dims[i] || dims[i] > INT_MAX)
            return fail(d->err, ERR_SHAPE, field, "%s has a dimension of %zu", field, dims[i]);
        sizes[4 - rank + i] = (int)dims[i];
    }
    *shape = (struct shape){ sizes[0], sizes[1], sizes[2], sizes[3] };
    if (hwc && rank > 2)
        *shape = (struct shape){ sizes[0], sizes[3], sizes[1], sizes[2] };
    return true;
}

/* [H*W][C] to [C][H*W] for each picture. */
static void planes_of(const float *from, struct shape shape, float *to)
{
    size_t plane = (size_t)shape.height * (size_t)shape.width, channels = (size_t)shape.channels;

    for (int n = 0; n < shape.count; n++, from += channels * plane, to += channels * plane)
        for (size_t c = 0; c < channels; c++)
            for (size_t i = 0; i < plane; i++)
                to[c * plane + i] = from[i * channels + c];
}

/* (v * input_scale - mean) / std, as image_planes does with pixels. */
static void normalize(const struct fields *fields, struct shape shape, const float *from, float *to)
{
    size_t plane = (size_t)shape.height * (size_t)shape.width;

    for (int i = 0; i < shape.count * shape.channels; i++, from += plane, to += plane) {
        int c = i % shape.channels < MAX_PICTURE_CHANNELS ? i % shape.channels : 0;

        for (size_t j = 0; j < plane; j++)
            to[j] = (from[j] * fields->input_scale - fields->mean[c]) / fields->std[c];
    }
}

static bool changes(const struct fields *fields)
{
    bool any = fields->input_scale != 1;

    for (int c = 0; c < MAX_PICTURE_CHANNELS; c++)
        any |= fields->mean[c] != 0 || fields->std[c] != 1;
    return any;
}

static bool wanted_channels(struct decoder *d, int channels)
{
    static const int wanted[] = { [CHANNELS_1] = 1, [CHANNELS_3] = 3, [CHANNELS_4] = 4 };
    int want = d->request->fields.channels;

    return want == CHANNELS_AUTO || wanted[want] == channels ||
           fail(d->err, ERR_SHAPE, "channels",
                "channels=%d is for pictures; this input is numbers with %d channels", wanted[want],
                channels);
}

static bool use_numbers(struct decoder *d, const struct numbers *numbers)
{
    const struct fields *fields = &d->request->fields;
    struct tensor *image = &d->request->image;
    bool hwc = fields->input_layout == INPUT_HWC || (fields->input_layout < 0 && numbers->bytes);
    struct tensor copy;

    if (!shape_of(d, numbers->dims, numbers->rank, hwc, "image", &image->shape) ||
        !wanted_channels(d, image->shape.channels) || !check_reals(d, image->shape.channels))
        return false;
    image->data = (float *)numbers->data; /* the arena's */
    if ((hwc && image->shape.channels > 1) || changes(fields)) {
        if (!tensor_alloc(&copy, image->shape, "image", d->arena, d->err))
            return false;
        if (hwc)
            planes_of(image->data, image->shape, copy.data);
        if (changes(fields))
            normalize(fields, image->shape, hwc ? copy.data : image->data, copy.data);
        *image = copy;
    }
    return true;
}

/* An 8-bit npy of [H][W] or [H][W][1..4] is a picture like any other. */
static bool npy_pixels(struct decoder *d, const struct npy *npy, struct pixels *pixels,
                       struct picture_info *info)
{
    size_t channels = npy->rank == 3 ? npy->dims[2] : 1;
    const size_t *dims = npy->dims;

    if (npy->kind != 'u' || npy->item_size != 1 || npy->fortran ||
        (npy->rank != 2 && npy->rank != 3) || channels < 1 || channels > 4 ||
        d->request->fields.input_layout == INPUT_CHW || dims[0] < 1 || dims[1] < 1 ||
        dims[0] > INT_MAX || dims[1] > INT_MAX)
        return false;
    *pixels = (struct pixels){ (int)dims[1], (int)dims[0], (int)channels, 8, npy->data };
    *info = (struct picture_info){ 1, (int)dims[1], (int)dims[0], (int)channels, 8, "npy" };
    return true;
}

/* --- files ----------------------------------------------------------------------------------- */

static bool decode_npy(struct decoder *d, struct bytes file, int index, int count)
{
    struct picture_info info;
    struct numbers numbers;
    struct pixels pixels;
    struct npy npy;

    if (!npy_read(file, "image", &npy, d->err))
        return false;
    if (npy_pixels(d, &npy, &pixels, &info))
        return add_picture(d, &pixels, &info, index, count);
    if (count > 1)
        return fail(d->err, ERR_SHAPE, "image",
                    "several npy files make no batch; send one of [count, channels, height, "
                    "width]");
    return decode_numbers_file(d, file, "image", &numbers) && use_numbers(d, &numbers);
}

/* One file of the batch. Pixels of all but the first are forgotten once they are planes. */
static bool decode_file(struct decoder *d, struct bytes file, int index, int count)
{
    struct arena_mark mark = arena_save(d->arena);
    struct limits limits = *d->limits;
    struct picture_info info;
    struct pixels pixels;

    if (media_sniff(file) == MEDIA_NPY)
        return decode_npy(d, file, index, count);
    limits.pixels /= (size_t)count; /* the pictures are of one size */
    if (!image_decode(file, &limits, d->arena, &pixels, &info, d->err) ||
        !add_picture(d, &pixels, &info, index, count))
        return false;
    if (index)
        arena_restore(d->arena, mark);
    return true;
}

static bool decode_files(struct decoder *d)
{
    int count = 0, index = 0;

    for (const struct file *file = d->images; file; file = file->next)
        count++;
    for (const struct file *file = d->images; file; file = file->next)
        if (!decode_file(d, file->bytes, index++, count))
            return false;
    return true;
}

/* --- JSON ------------------------------------------------------------------------------------ */

static bool use_sample(struct decoder *d, const char *id, int size)
{
    struct picture_info info;
    struct pixels pixels;

    if (!sample_pixels(id, size, d->limits, d->arena, &pixels, d->err))
        return false;
    info = image_info(&pixels, "sample");
    return add_picture(d, &pixels, &info, 0, 1);
}

static bool decode_sample(struct decoder *d, const cJSON *object)
{
    const cJSON *member;
    const char *id = NULL;
    int size = 0;

    cJSON_ArrayForEach(member, object) {
        if (!strcmp(member->string, "sample"))
            id = member->valuestring; /* NULL when it is no string */
        else if (strcmp(member->string, "size"))
            return fail(d->err, ERR_UNKNOWN, "image",
                        "a sample has a name and a size: {\"sample\":\"cat\",\"size\":227}");
        else if (!cJSON_IsNumber(member))
            return fail(d->err, ERR_PARAMETER, "image/size", "size must be a whole number");
        else if (!decode_whole(d, "image/size", member->valuedouble, 1, SAMPLE_SIZE_MAX, &size))
            return false;
    }
    if (!id)
        return fail(d->err, ERR_PARAMETER, "image/sample",
                    "sample must be a name; GET /samples "
                    "lists them");
    return use_sample(d, id, size);
}

/* base64 of a file, or in a plain string "data:image/png;base64,...", or a sample's name. */
static bool decode_image_text(struct decoder *d, struct bytes text, bool may_be_sample)
{
    struct bytes file;

    if (may_be_sample && text.size < 32 && !memchr(text.data, ',', text.size))
        return use_sample(d, text.data, 0);
    file = decode_base64(d, text, "image");
    return file.data && decode_file(d, file, 0, 1);
}

static bool decode_image_item(struct decoder *d, const cJSON *item)
{
    struct bytes text = json_string(&d->json, item);
    struct numbers numbers;
    const cJSON *base64;

    if (text.data)
        return decode_image_text(d, text, true);
    if (cJSON_GetObjectItemCaseSensitive(item, "sample"))
        return decode_sample(d, item);
    base64 = cJSON_GetObjectItemCaseSensitive(item, "base64");
    text = json_string(&d->json, base64);
    if (cJSON_IsObject(item) && text.data && item->child == base64 && !base64->next)
        return decode_image_text(d, text, false);
    return decode_numbers(d, item, "image", &numbers) && use_numbers(d, &numbers);
}

/* --- a plan's input --------------------------------------------------------------------------- */

bool decode_input_shape(struct decoder *d)
{
    const cJSON *item = d->item[P_input];
    size_t dims[4] = { 0 }, count = 1;
    double given[4];
    int rank = 0;

    if (cJSON_IsString(item)) {
        char *at = item->valuestring, separator = 'x';

        for (; separator && rank < 4 && *at >= '0' && *at <= '9'; at++) {
            dims[rank++] = strtoul(at, &at, 10);
            separator = *at;
            if (separator && separator != 'x' && separator != ',')
                break;
        }
        if (separator)
            rank = 0;
    } else if (cJSON_IsArray(item)) {
        rank = json_numbers(&d->json, item, given, 4);
        for (int i = 0; i < rank; i++)
            if (!decode_whole(d, "input", given[i], 1, INT_MAX, &(int){ 0 }))
                return false;
            else
                dims[i] = (size_t)given[i];
    }
    if (rank < 2)
        return fail(d->err, ERR_PARAMETER, "input",
                    "input must be the input's shape, like 3x227x227 or 1x3x227x227");
    if (!shape_of(d, dims, rank, d->request->fields.input_layout == INPUT_HWC, "input",
                  &d->request->image.shape))
        return false;
    for (int i = 0; i < rank; i++)
        if (!checked_mul(count, dims[i], &count))
            return fail(d->err, ERR_TOO_LARGE, "input", "input is larger than any memory");
    return true;
}

bool decode_image(struct decoder *d)
{
    if (d->item[P_input]) {
        if (!d->plan)
            return fail(d->err, ERR_PARAMETER, "input",
                        "input is a shape, for /plan; /convolve "
                        "needs an image");
        if (d->images || d->item[P_image])
            return fail(d->err, ERR_TWICE, "input", "input and image both say the shape; give one");
        return decode_input_shape(d);
    }
    if (d->operands[P_image])
        return use_numbers(d, d->operands[P_image]);
    if (d->images)
        return decode_files(d);
    if (d->item[P_image])
        return decode_image_item(d, d->item[P_image]);
    return fail(d->err, ERR_PARAMETER, d->plan ? "input" : "image",
                d->plan ? "there is no input; give its shape, input=3x227x227, or an image"
                        : "there is no image; send one as the body, as the form part image, or as "
                          "the JSON member image");
}
