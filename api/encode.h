/* What the files that make replies share. Private to them. */
#pragma once
#include "api/api.h"
#include "api/json_write.h"

/* The tensor that is returned: the picked maps of the picked thing, as planes. */
struct view {
    const float *output; /* the layer's, of which data may be a part */
    const float *data;   /* [count][channels][height][width] */
    struct shape shape;
    bool matrix; /* X_col or W_row: count is 1 or the pictures, channels is 1 */
};

/* Its numbers in the order in which they are returned. */
struct listing {
    const float *data;
    int dims[4], rank;
    size_t count;
};

/* Of the finite numbers; NaN when there are none. */
struct map_stats {
    float min, max;
    double mean;
    size_t nonfinite; /* how many are left out */
};

/* encode.c: what the request's fields say is to be returned, and in which order. */
bool view_init(struct view *view, const struct convolve_request *request,
               const struct conv_plan *plan, const float *output, struct arena *arena,
               struct error *err);
bool listing_init(struct listing *listing, const struct view *view, enum output_layout layout,
                  struct arena *arena, struct error *err);

/* oip_encode.c: the reply of the Open Inference Protocol. */
bool infer_encode(const struct convolve_request *request, const struct conv_plan *plan,
                  const float *output, const struct reply_context *context, struct reply *reply,
                  struct error *err);

/* encode_data.c: numbers to text, by several workers when there are many. */
size_t data_bound(const struct listing *listing, enum data form);
char *data_write(char *out, const struct listing *listing, const struct fields *fields,
                 const struct reply_context *context);
void stats_of(const float *values, size_t count, struct map_stats *stats);
/* One for each plane; NULL when the arena has no room. */
struct map_stats *stats_of_view(const struct view *view, const struct reply_context *context);

/* encode_plan.c: the text so far is the reply; it is never longer than its bound. */
bool reply_json(const struct json *json, const char *buffer, struct reply *reply,
                struct error *err);

/* encode_json.c: the whole document; data is NULL when err says why not. */
struct bytes json_encode(const struct convolve_request *request, const struct conv_plan *plan,
                         const struct view *view, const struct listing *listing,
                         const struct reply_context *context, struct error *err);

/* encode_png.c: a picture of the view. */
bool png_encode(const struct convolve_request *request, const struct conv_plan *plan,
                const struct view *view, const struct reply_context *context, struct reply *reply,
                struct error *err);

/* encode_layer.c: what the answers of /convolve and /plan have in common. */
void input_encode(struct json *json, const struct convolve_request *request);
void layer_encode(struct json *json, const struct convolve_request *request,
                  const struct conv_plan *plan);
void im2col_encode(struct json *json, const struct conv_plan *plan);
void warnings_encode(struct json *json, const struct warnings *warnings);
enum { LAYER_BOUND = 4096, WARNINGS_BOUND = MAX_WARNINGS * 240 * 6 };

/* explain.c: one output value taken apart. */
size_t explain_bound(const struct convolve_request *request, const struct conv_plan *plan);
bool explain_encode(struct json *json, const struct convolve_request *request,
                    const struct conv_plan *plan, const float *output, struct arena *arena,
                    struct error *err);
