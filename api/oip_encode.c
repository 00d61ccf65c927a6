/* The Open Inference Protocol's side of a reply: what the model is, and its outputs as JSON or, behind
 * the JSON, as they lie in memory. */
#include "api/encode.h"
#include "api/oip.h"
#include "api/stored.h"

#include <string.h>

enum {
    REPLY_FIXED = 512, /* members' names, and each output's shape and size */
    TENSOR_ALIGN = 64  /* so that clients can look at the floats where they are */
};

/* --- models ---------------------------------------------------------------------------------- */

/* A segment of a path as a string of its own. */
static const char *segment(const char *path, struct arena *arena)
{
    size_t size = strcspn(path, "/");
    char *copy = arena_zeroed(arena, size + 1, 1);

    return copy ? memcpy(copy, path, size) : NULL;
}

static bool find_layer(const struct message *message, const char *name, const struct stored **layer,
                       struct error *err)
{
    *layer = message->layers ? message->layers->find(message->layers->arg, name, err) : NULL;
    if (*layer || (message->layers && err->code != ERR_NOT_FOUND))
        return *layer != NULL;
    return fail(err, ERR_NOT_FOUND, "", "there is no model %.60s; there is conv2d%s", name,
                message->layers ? ", and what GET /layers lists" : "");
}

bool model_find(const struct message *message, struct arena *arena, struct infer *infer,
                const struct stored **layer, struct error *err)
{
    static const char root[] = "/v2/models/", versions[] = "/versions/";
    const char *name = message->path + strlen(root), *rest = name + strcspn(name, "/");
    bool versioned = !strncmp(rest, versions, strlen(versions));

    *layer = NULL;
    infer->model = segment(name, arena);
    infer->version = versioned ? segment(rest + strlen(versions), arena) : "1";
    if (!infer->model || !infer->version)
        return fail(err, ERR_TOO_LARGE, "", "the request needs more than its memory limit");
    if (strcmp(infer->model, "conv2d") && !find_layer(message, infer->model, layer, err))
        return false;
    if (strcmp(infer->version, "1"))
        return fail(err, ERR_NOT_FOUND, "", "the model %.60s has no version %.20s; it has 1",
                    infer->model, infer->version);
    return true;
}

/* -1: any number. */
static void tensor_facts(struct json *json, const char *name, const char *datatype, int rank,
                         int channels)
{
    const int dims[] = { -1, rank > 1 ? channels : -1, -1, -1 };

    json_open(json, NULL, '{');
    json_text(json, "name", name);
    json_text(json, "datatype", datatype);
    json_ints(json, "shape", dims, rank);
    json_close(json, '}');
}

static void model_facts(struct json *json, const struct stored *layer)
{
    int in = -1, out = -1;

    if (layer)
        stored_channels(layer, &in, &out);
    json_open(json, "versions", '[');
    json_text(json, NULL, "1");
    json_close(json, ']');
    json_text(json, "platform", "convolved");
    json_open(json, "inputs", '[');
    tensor_facts(json, "X", "FP32", 4, in);
    tensor_facts(json, "IMAGE", "BYTES", 1, -1);
    if (!layer) {
        tensor_facts(json, "W", "FP32", 4, -1);
        tensor_facts(json, "B", "FP32", 1, -1);
    }
    json_close(json, ']');
    json_open(json, "outputs", '[');
    tensor_facts(json, "Y", "FP32", 4, out);
    tensor_facts(json, "X_COL", "FP32", 3, -1);
    json_close(json, ']');
}

bool model_encode(const struct message *message, struct arena *arena, struct reply *reply,
                  struct error *err)
{
    enum { SIZE = 2048 };
    const char *last = strrchr(message->path, '/');
    char *buffer = arena_new(arena, char, SIZE);
    const struct stored *layer;
    struct infer infer;
    struct json json;

    if (!model_find(message, arena, &infer, &layer, err))
        return false;
    if (!buffer)
        return fail(err, ERR_TOO_LARGE, "", "the request needs more than its memory limit");
    json_init(&json, buffer, SIZE);
    json_open(&json, NULL, '{');
    json_text(&json, "name", infer.model);
    if (!strcmp(last, "/ready"))
        json_bool(&json, "ready", true);
    else
        model_facts(&json, layer);
    json_close(&json, '}');
    reply_set(reply, 200, "application/json", (struct bytes){ buffer, (size_t)(json.at - buffer) });
    return true;
}

/* --- outputs --------------------------------------------------------------------------------- */

static bool list_output(struct listing *listing, const struct convolve_request *request,
                        const struct conv_plan *plan, const float *output,
                        const struct reply_context *context, struct error *err)
{
    struct view view;

    if (!view_init(&view, request, plan, output, context->arena, err) ||
        !listing_init(listing, &view, (enum output_layout)request->fields.output_layout,
                      context->arena, err))
        return false;
    if (view.matrix) { /* one rank, whatever the count */
        listing->rank = 3;
        memcpy(listing->dims, ((int[]){ view.shape.count, view.shape.height, view.shape.width }),
               3 * sizeof(int));
    }
    return true;
}

static void output_facts(struct json *json, const struct infer_output *output,
                         const struct listing *listing, const struct fields *fields,
                         const struct reply_context *context)
{
    char *room;

    json_open(json, NULL, '{');
    json_text(json, "name", output->name);
    json_text(json, "datatype", "FP32");
    json_ints(json, "shape", listing->dims, listing->rank);
    if (output->binary) {
        json_open(json, "parameters", '{');
        json_int(json, "binary_data_size", (int64_t)(listing->count * sizeof(float)));
        json_close(json, '}');
    } else {
        room = json_room(json, "data", data_bound(listing, DATA_FLAT));
        if (room)
            json->at = data_write(room, listing, fields, context);
    }
    json_close(json, '}');
}

/* The reply's size at most: JSON, blanks up to where the floats may start, floats. */
static size_t reply_bound(const struct infer *infer, const struct listing *listings)
{
    size_t size = REPLY_FIXED + TENSOR_ALIGN + 6 * strlen(infer->model);

    size += infer->id ? 6 * strlen(infer->id) : 0;
    for (int i = 0; i < infer->count; i++)
        size += infer->outputs[i].binary ? listings[i].count * sizeof(float)
                                         : data_bound(&listings[i], DATA_FLAT);
    return size;
}

static void json_encode_outputs(struct json *json, const struct convolve_request *request,
                                const struct listing *listings, const struct reply_context *context)
{
    const struct infer *infer = request->infer;

    json_open(json, NULL, '{');
    if (infer->id)
        json_text(json, "id", infer->id);
    json_text(json, "model_name", infer->model);
    json_text(json, "model_version", infer->version);
    json_open(json, "outputs", '[');
    for (int i = 0; i < infer->count; i++)
        output_facts(json, &infer->outputs[i], &listings[i], &request->fields, context);
    json_close(json, ']');
    json_close(json, '}');
}

bool infer_encode(const struct convolve_request *request, const struct conv_plan *plan,
                  const float *output, const struct reply_context *context, struct reply *reply,
                  struct error *err)
{
    const struct infer *infer = request->infer;
    struct convolve_request asking = *request;
    struct listing listings[INFER_OUTPUTS];
    bool binary = false;
    struct json json;
    char *buffer;
    size_t bound;

    for (int i = 0; i < infer->count; i++) {
        asking.fields.what = infer->outputs[i].what;
        if (!list_output(&listings[i], &asking, plan, output, context, err))
            return false;
        binary |= infer->outputs[i].binary;
    }
    bound = reply_bound(infer, listings);
    buffer = arena_new(context->arena, char, bound);
    if (!buffer)
        return fail(err, ERR_TOO_LARGE, "outputs",
                    "the reply may take %zu bytes and there is no memory for it; ask for "
                    "binary_data, or for fewer maps",
                    bound);
    json_init(&json, buffer, bound);
    json_encode_outputs(&json, request, listings, context);
    if (json.full)
        return fail(err, ERR_INTERNAL, "", "the reply is longer than was computed");
    while (binary && (json.at - buffer) % TENSOR_ALIGN)
        *json.at++ = ' ';
    reply->tensor_header_length = binary ? (size_t)(json.at - buffer) : 0;
    for (int i = 0; i < infer->count; i++)
        if (infer->outputs[i].binary) {
            memcpy(json.at, listings[i].data, listings[i].count * sizeof(float));
            json.at += listings[i].count * sizeof(float);
        }
    reply->output_shape = plan->out;
    reply_set(reply, 200, binary ? "application/octet-stream" : "application/json",
              (struct bytes){ buffer, (size_t)(json.at - buffer) });
    return true;
}
