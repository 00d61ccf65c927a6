/* Numbers to text and back, pixels to PNG: ours and what others would use, in turns, each result
 * checked. JSON=1 prints one object a line. Data: what a learned layer makes of the built-in
 * photograph, and numbers of other kinds. */
#include "api/api.h"
#include "api/floats.h"
#include "api/floats_inner.h"
#include "api/image.h"
#include "api/json_scan.h"
#include "api/png.h"

#include <cjson/cJSON.h>
#include <libdeflate.h>
#include <math.h>
#include <spng.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>

enum { ROUNDS = 25, MOST_RIVALS = 6 };

/* What all contestants of one race are given, and where their result goes. */
struct race {
    const char *what, *data, *unit;
    size_t units; /* numbers, or bytes of pixels: times are for one */
    const float *values;
    size_t count;
    struct bytes text;
    struct png png;
    struct arena *arena; /* ours; emptied after each round */
    char *out;
    size_t (*check)(const struct race *race, const char *out, size_t size); /* wrong results */
};

struct rival {
    const char *name;
    size_t (*run)(const struct race *race, char *out); /* bytes of the result */
    size_t size;
    double ns[ROUNDS];
};

static void die(const char *what)
{
    fprintf(stderr, "bench_codecs: %s\n", what);
    exit(1);
}

/* This thread's own time: others on the machine do not count. */
static double now_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void print_row(const struct race *race, const struct rival *rival, double ours)
{
    double ns = rival->ns[ROUNDS / 2] / (double)race->units;

    if (getenv("JSON"))
        printf("{\"bench\":\"%s\",\"data\":\"%s\",\"who\":\"%s\",\"isa\":\"%s\",\"ns_per_%s\":%.4f,"
               "\"ms\":%.4f,\"bytes\":%zu,\"times_ours\":%.2f}\n",
               race->what, race->data, rival->name, conv_isa(), race->unit, ns,
               rival->ns[ROUNDS / 2] / 1e6, rival->size, ns / ours);
    else
        printf("  %-26s %9.3f ns/%-6s %9.3f ms %10zu bytes  %7.2f x ours\n", rival->name, ns,
               race->unit, rival->ns[ROUNDS / 2] / 1e6, rival->size, ns / ours);
}

/* Everyone once a round, so that the machine's moods meet all alike. The first rival is ours. */
static void run_race(const struct race *race, struct rival *rivals, int count)
{
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < count; i++) {
            struct arena_mark mark = arena_save(race->arena);
            double start = now_ns();

            rivals[i].size = rivals[i].run(race, race->out);
            rivals[i].ns[round] = now_ns() - start;
            if (round == 0 && race->check(race, race->out, rivals[i].size)) {
                fprintf(stderr, "%s, %s: ", race->what, race->data);
                die(rivals[i].name);
            }
            arena_restore(race->arena, mark);
        }
    if (!getenv("JSON"))
        printf("%s: %s, %zu %ss\n", race->what, race->data, race->units, race->unit);
    for (int i = 0; i < count; i++) {
        qsort(rivals[i].ns, ROUNDS, sizeof(double), compare_doubles);
        print_row(race, rivals + i, rivals[0].ns[ROUNDS / 2] / (double)race->units);
    }
    fflush(stdout);
}

/* --- numbers ---------------------------------------------------------------------------------- */

static size_t write_ours(const struct race *race, char *out)
{
    char *end = floats_write(out + 1, race->values, race->count);

    *out = '[';
    *end = ']';
    return (size_t)(end + 1 - out);
}

static size_t write_portable(const struct race *race, char *out)
{
    char *end = floats_write_portable(out + 1, race->values, race->count);

    *out = '[';
    end[-1] = ']';
    return (size_t)(end - out);
}

static size_t write_cjson(const struct race *race, char *out)
{
    cJSON *array = cJSON_CreateFloatArray(race->values, (int)race->count);
    char *text = cJSON_PrintUnformatted(array);
    size_t size = strlen(text);

    memcpy(out, text, size);
    free(text);
    cJSON_Delete(array);
    return size;
}

static size_t write_sprintf(const struct race *race, char *out)
{
    char *at = out;

    *at++ = '[';
    for (size_t i = 0; i < race->count; i++)
        at += sprintf(at, "%.9g,", (double)race->values[i]);
    at[-1] = ']';
    return (size_t)(at - out);
}

static size_t check_text(const struct race *race, const char *out, size_t size)
{
    size_t wrong = out[0] != '[' || out[size - 1] != ']';
    char *at = (char *)(uintptr_t)out + 1;

    for (size_t i = 0; i < race->count; i++, at++)
        wrong += strtof(at, &at) != race->values[i];
    return wrong;
}

static size_t read_ours(const struct race *race, char *out)
{
    struct json_store json = { 0 };
    const cJSON *root;
    struct error err;

    root = json_parse(race->text, &json, race->arena, &err);
    if (!root)
        die(err.detail);
    /* a pointer is the result: nobody has to copy the numbers */
    memcpy(out, &json_tensor(&json, cJSON_GetObjectItem(root, "data"))->data, sizeof(float *));
    json_free(&json);
    return sizeof(float *);
}

static size_t read_cjson(const struct race *race, char *out)
{
    cJSON *root = cJSON_ParseWithLength(race->text.data, race->text.size), *item;
    float *values = arena_new(race->arena, float, race->count), *at = values;

    cJSON_ArrayForEach(item, cJSON_GetObjectItem(root, "data"))
        *at++ = (float)item->valuedouble;
    cJSON_Delete(root);
    memcpy(out, &values, sizeof values);
    return sizeof values;
}

static size_t read_strtof(const struct race *race, char *out)
{
    float *values = arena_new(race->arena, float, race->count);
    char *at = strchr(race->text.data, '[') + 1;

    for (size_t i = 0; i < race->count; i++, at++)
        values[i] = strtof(at, &at);
    memcpy(out, &values, sizeof values);
    return sizeof values;
}

static size_t check_values(const struct race *race, const char *out, size_t size)
{
    const float *values;

    memcpy(&values, out, size);
    return memcmp(values, race->values, race->count * sizeof *values) != 0;
}

static void race_numbers(const char *data, const float *values, size_t count, struct arena *arena)
{
    struct rival writers[] = { { .name = "convolved", .run = write_ours },
                               { .name = "convolved, portable", .run = write_portable },
                               { .name = "cJSON create, print", .run = write_cjson },
                               { .name = "sprintf %.9g", .run = write_sprintf } };
    struct rival readers[] = { { .name = "convolved", .run = read_ours },
                               { .name = "cJSON parse", .run = read_cjson },
                               { .name = "strtof", .run = read_strtof } };
    char *text = arena_alloc(arena, count * FLOAT_TEXT + 4096, 1), *at;
    struct race race = {
        .what = "float32 to JSON", .data = data, .unit = "number", .units = count
    };

    race.values = values;
    race.count = count;
    race.arena = arena;
    race.out = arena_alloc(arena, count * 32 + 4096, 1);
    race.check = check_text;
    run_race(&race, writers, 4);
    memset(text, 0, BODY_SLACK);
    at = text + BODY_SLACK;
    at = floats_write(at + sprintf(at, "{\"data\":["), values, count);
    memcpy(at, "]}", 3);
    race.what = "JSON to float32";
    race.text = (struct bytes){ text + BODY_SLACK, strlen(text + BODY_SLACK) };
    race.check = check_values;
    run_race(&race, readers, 3);
}

static size_t base64_ours(const struct race *race, char *out)
{
    return (size_t)(base64_write(out, race->values, race->count * sizeof(float)) - out);
}

static size_t base64_back(const struct race *race, char *out)
{
    size_t size;

    return base64_read(race->text.data, race->text.size, out, &size) ? size : 0;
}

static size_t check_base64(const struct race *race, const char *out, size_t size)
{
    size_t bytes = race->count * sizeof(float);
    void *back = malloc(size + 4);
    bool right = size == bytes
                     ? !memcmp(out, race->values, bytes)
                     : base64_read(out, size, back, &size) && !memcmp(back, race->values, bytes);

    free(back);
    return !right;
}

static void race_base64(const float *values, size_t count, struct arena *arena)
{
    struct rival rivals[] = { { .name = "convolved, write", .run = base64_ours },
                              { .name = "convolved, read", .run = base64_back } };
    char *text = arena_alloc(arena, count * 6, 1);
    struct race race = { .what = "base64", .data = "maps", .unit = "byte", .units = count * 4 };

    race.values = values;
    race.count = count;
    race.arena = arena;
    race.text = (struct bytes){ text, (size_t)(base64_write(text, values, count * 4) - text) };
    race.out = arena_alloc(arena, count * 6, 1);
    race.check = check_base64;
    run_race(&race, rivals, 2);
}

/* --- pictures --------------------------------------------------------------------------------- */

static size_t png_by(const struct race *race, int level, char *out)
{
    struct png png = race->png;
    struct bytes file;
    struct error err;

    png.level = level;
    if (!png_write(&png, NULL, race->arena, &file, &err))
        die(err.detail);
    memcpy(out, file.data, file.size);
    return file.size;
}

static size_t png_ours(const struct race *race, char *out)
{
    return png_by(race, 1, out);
}

static size_t png_stored(const struct race *race, char *out)
{
    return png_by(race, 0, out);
}

static size_t png_stb(const struct race *race, char *out)
{
    const struct png *png = &race->png;
    int size = 0;
    unsigned char *file = stbi_write_png_to_mem(png->pixels, png->width * png->channels, png->width,
                                                png->height, png->channels, &size);

    memcpy(out, file, (size_t)size);
    free(file);
    return (size_t)size;
}

static size_t png_spng(const struct race *race, char *out)
{
    const struct png *png = &race->png;
    struct spng_ihdr header = { .width = (uint32_t)png->width,
                                .height = (uint32_t)png->height,
                                .bit_depth = 8,
                                .color_type = png->channels == 3 ? SPNG_COLOR_TYPE_TRUECOLOR
                                                                 : SPNG_COLOR_TYPE_GRAYSCALE };
    spng_ctx *context = spng_ctx_new(SPNG_CTX_ENCODER);
    size_t size;
    int error;
    void *file;

    spng_set_option(context, SPNG_ENCODE_TO_BUFFER, 1);
    spng_set_option(context, SPNG_IMG_COMPRESSION_LEVEL, 1);
    spng_set_ihdr(context, &header);
    if (spng_encode_image(context, png->pixels, race->units, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE))
        die("libspng");
    file = spng_get_png_buffer(context, &size, &error);
    memcpy(out, file, size);
    free(file);
    spng_ctx_free(context);
    return size;
}

/* The packing alone, of rows that we filtered: what our level 1 takes the place of. */
static size_t png_libdeflate(const struct race *race, char *out)
{
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(1);
    size_t size = libdeflate_zlib_compress(compressor, race->text.data, race->text.size, out,
                                           2 * race->text.size + 4096);

    libdeflate_free_compressor(compressor);
    return size;
}

static size_t check_png(const struct race *race, const char *out, size_t size)
{
    const struct limits limits = { .pixels = 1 << 28 };
    struct picture_info info;
    struct pixels pixels;
    struct error err;

    if ((uint8_t)out[0] == 0x78) /* libdeflate's part: no file */
        return 0;
    return !image_decode((struct bytes){ out, size }, &limits, race->arena, &pixels, &info, &err) ||
           memcmp(pixels.data, race->png.pixels, race->units);
}

/* The rows as our PNG has them, filtered: its stream, inflated. */
static struct bytes filtered_rows(const struct race *race)
{
    size_t most = race->units + (size_t)race->png.height, size = png_ours(race, race->out), got;
    struct libdeflate_decompressor *inflate = libdeflate_alloc_decompressor();
    char *stream = malloc(size), *rows = arena_alloc(race->arena, most, 1);
    size_t length = 0;

    for (size_t at = 8; at < size;) {
        uint32_t chunk;

        memcpy(&chunk, race->out + at, 4);
        chunk = __builtin_bswap32(chunk);
        if (!memcmp(race->out + at + 4, "IDAT", 4)) {
            memcpy(stream + length, race->out + at + 8, chunk);
            length += chunk;
        }
        at += chunk + 12;
    }
    if (libdeflate_zlib_decompress(inflate, stream, length, rows, most, &got))
        die("our own PNG does not inflate");
    free(stream);
    libdeflate_free_decompressor(inflate);
    return (struct bytes){ rows, got };
}

static void race_png(const char *data, struct png png, struct arena *arena)
{
    struct rival rivals[] = { { .name = "convolved, level 1", .run = png_ours },
                              { .name = "convolved, level 0", .run = png_stored },
                              { .name = "stb_image_write", .run = png_stb },
                              { .name = "libspng, level 1", .run = png_spng },
                              { .name = "libdeflate 1, rows only", .run = png_libdeflate } };
    size_t bytes = (size_t)png.width * (size_t)png.height * (size_t)png.channels;
    struct race race = { .what = "PNG", .data = data, .unit = "byte", .units = bytes, .png = png };

    race.arena = arena;
    race.out = arena_alloc(arena, 2 * bytes + 8192, 1);
    race.check = check_png;
    race.text = filtered_rows(&race);
    run_race(&race, rivals, 5);
}

/* --- data ------------------------------------------------------------------------------------- */

static const char textbook[] = "{\"image\":{\"sample\":\"cat\",\"size\":227},"
                               "\"weights\":\"learned96\",\"stride\":4}";
static const char relu[] = "{\"image\":{\"sample\":\"cat\",\"size\":227},"
                           "\"weights\":\"learned96\",\"stride\":4,\"activation\":\"relu\"}";
static const char vgg[] = "{\"image\":{\"sample\":\"cat\",\"size\":224},\"weights\":{\"random\":"
                          "{\"seed\":1}},\"out_channels\":64,\"kernel_size\":3,\"padding\":1}";
static const char photo[] = "{\"image\":{\"sample\":\"cat\"},\"weights\":\"identity\"}";

struct layer {
    struct convolve_request request;
    struct conv_plan plan;
    struct tensor output;
};

/* What the service would compute for this request. */
static void run_layer(const char *json, struct layer *layer, struct arena *arena)
{
    const struct limits limits = { .pixels = 1 << 28, .memory = (size_t)1 << 32 };
    const atomic_bool stop = false;
    struct conv_context context = { NULL, arena, &stop };
    struct message message = { .method = "POST",
                               .path = "/convolve",
                               .query = "",
                               .accept = "",
                               .content_type = "application/json",
                               .content_encoding = "",
                               .tensor_header_length = "" };
    char *body = arena_zeroed(arena, strlen(json) + 2 * BODY_SLACK, 1);
    struct error err;

    memcpy(body + BODY_SLACK, json, strlen(json));
    message.body = (struct bytes){ body + BODY_SLACK, strlen(json) };
    if (!convolve_decode(&message, &limits, arena, &layer->request, &err) ||
        !conv_plan_init(&layer->plan, &layer->request.params, layer->request.image.shape, NULL,
                        &err) ||
        !tensor_alloc(&layer->output, layer->plan.out, "output", arena, &err) ||
        !conv_run(&layer->plan, &layer->request.inputs, layer->output.data, &context, &err))
        die(err.detail);
}

static struct tensor layer_output(const char *json, struct arena *arena)
{
    struct layer layer;

    run_layer(json, &layer, arena);
    return layer.output;
}

/* The sheet as /convolve would send it. */
static struct png sheet_of(const char *json, struct arena *arena)
{
    const struct limits limits = { .pixels = 1 << 28 };
    struct stages stages = { 0 };
    struct reply_context context = { NULL, arena, &stages, "", NULL };
    struct picture_info info;
    struct layer layer;
    struct pixels pixels;
    struct reply reply;
    struct error err;

    run_layer(json, &layer, arena);
    layer.request.fields.format = FORMAT_PNG;
    if (!convolve_encode(&layer.request, &layer.plan, layer.output.data, &context, &reply, &err) ||
        !image_decode(reply.body, &limits, arena, &pixels, &info, &err))
        die(err.detail);
    return (struct png){ pixels.width, pixels.height, pixels.channels, 8, 1, pixels.data };
}

static float normal(void)
{
    float u = ((float)rand() + 1) / ((float)RAND_MAX + 2), v = (float)rand() / (float)RAND_MAX;

    return sqrtf(-2 * logf(u)) * cosf(6.2831853f * v);
}

static const float *made_up(const char *kind, size_t count, struct arena *arena)
{
    float *values = arena_new(arena, float, count);

    for (size_t i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)rand() << 16 ^ (uint32_t)rand();

        if (!strcmp(kind, "uniform -5..5"))
            values[i] = (float)rand() / (float)RAND_MAX * 10 - 5;
        else if (!strcmp(kind, "weights N(0, 0.05)"))
            values[i] = normal() * 0.05f;
        else if (!strcmp(kind, "integers 0..255"))
            values[i] = (float)(rand() & 255);
        else
            memcpy(values + i, &bits, sizeof bits);
        if (!isfinite(values[i]))
            values[i] = 1;
    }
    return values;
}

static void race_all_numbers(struct arena *arena)
{
    static const char *const kinds[] = { "uniform -5..5", "weights N(0, 0.05)", "integers 0..255",
                                         "random bits" };
    struct tensor maps = layer_output(textbook, arena), positive = layer_output(relu, arena);
    size_t count = shape_count(maps.shape);

    race_numbers("maps of the textbook layer", maps.data, count, arena);
    race_numbers("the same after ReLU", positive.data, count, arena);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        race_numbers(kinds[i], made_up(kinds[i], count, arena), count, arena);
    race_base64(maps.data, count, arena);
}

int main(int argc, char **argv)
{
    struct arena_cache *cache = arena_cache_create((size_t)1 << 28); /* as the server has it */
    struct arena *arena = arena_create_cached((size_t)2 << 30, cache);

    if (argc < 2 || !strcmp(argv[1], "numbers"))
        race_all_numbers(arena);
    if (argc < 2 || !strcmp(argv[1], "png")) {
        race_png("96 maps 55x55", sheet_of(textbook, arena), arena);
        race_png("96 maps 55x55 after ReLU", sheet_of(relu, arena), arena);
        race_png("64 maps 224x224", sheet_of(vgg, arena), arena);
        race_png("photograph 451x300 RGB", sheet_of(photo, arena), arena);
    }
    arena_destroy(arena);
    arena_cache_destroy(cache);
}
