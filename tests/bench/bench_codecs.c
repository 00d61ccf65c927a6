/* Numbers to text and back, pixels to PNG: ours and what others would use, in turns, each result
 * checked. JSON=1 prints one object a line. Data: what a learned layer makes of the built-in
 * photograph, and numbers of other kinds. */
#include "api/image.h"
#include "tests/bench/race_codecs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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
