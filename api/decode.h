/* A request under way from bytes to struct convolve_request. Private to api: decode.c leads,
 * values.c reads what the table describes, decode_image.c and weights.c the tensors. */
#pragma once
#include "api/json_scan.h"
#include "api/npy.h"
#include "api/params.h"

/* A file that came as a body or a part. */
struct file {
    struct file *next;
    struct bytes bytes;
};

/* A tensor of numbers, whichever way it came. */
struct numbers {
    int rank;
    size_t dims[MAX_RANK], count;
    const float *data;
    bool bytes; /* an 8-bit npy: a picture more likely than a tensor */
};

struct decoder {
    const struct limits *limits;
    struct arena *arena;
    struct convolve_request *request;
    struct error *err;
    bool plan; /* for /plan: neither picture nor weights need be there */
    bool (*read)(struct decoder *d, const struct message *message, struct bytes body);

    struct json_store json;
    unsigned char seen[PARAM_COUNT]; /* 1 the height's half, 2 the width's, 3 the whole */
    const char *where[PARAM_COUNT];  /* "the query", ... */
    const cJSON *item[PARAM_COUNT];  /* of what is read at the end: tensors and the input's shape */
    struct file *images, **next_image;
    struct bytes weights, bias;                  /* files; data NULL: not given */
    const struct numbers *operands[PARAM_COUNT]; /* tensors that were numbers from the start */
    int mean_count, std_count;                   /* numbers given */
    double scale, divisor;      /* of the weights, before they are rounded to fields.scale */
    const char *layer_name;     /* the parameter layer, or the model of an inference request */
    const struct stored *layer; /* what it names */
};

/* Readies a decoder whose limits, arena, request, err and read are set, and reads the query and the
 * body into it: all but the tensors. decode_end() in any case. */
bool decode_begin(struct decoder *d, const struct message *message);
bool decode_together(struct decoder *d); /* parameters that exclude or need each other */
void decode_end(struct decoder *d);

/* A body by its type or its first bytes. */
bool decode_body(struct decoder *d, const char *type, struct bytes body);

/* A parameter by any of its names, from JSON or as a text; where is "the query" and so on. */
bool decode_item(struct decoder *d, const char *name, const cJSON *item, const char *where);
bool decode_text(struct decoder *d, const char *name, struct bytes text, const char *where);
bool decode_json(struct decoder *d, struct bytes text, const char *where); /* an object of them */

bool decode_add_image(struct decoder *d, struct bytes bytes); /* one more file of the batch */

/* ERR_UNKNOWN with the nearest name; ERR_TWICE when id's half or whole was given before. */
bool decode_unknown(struct decoder *d, const char *name);
bool decode_mark(struct decoder *d, enum param_id id, int part, const char *where);

/* A text that is a file's content by its bytes: base64, padded or not, "data:...;base64," before
 * it or not. NULL data and an error on field when it is not. */
struct bytes decode_base64(struct decoder *d, struct bytes text, const char *field);

/* One whole number of row's range. */
bool decode_whole(struct decoder *d, const char *field, double value, double min, double max,
                  int *out);

/* The parts of a multipart body, given to the functions above. */
bool decode_multipart(struct decoder *d, const char *content_type, struct bytes body);

/* request->image and picture from d->images or d->item[P_image], when either is there. */
bool decode_image(struct decoder *d);
/* "3x227x227" or [3,227,227]. */
bool decode_input_shape(struct decoder *d);

/* request's weights, bias, groups and bank from d->weights or d->item[P_weights]. */
bool decode_weights(struct decoder *d);
bool decode_bias(struct decoder *d, struct numbers *bias); /* as given; count 0: none is */

/* Numbers given as nested lists, {"shape","data"}, {"shape","base64"}, {"npy"} or a file. */
bool decode_numbers(struct decoder *d, const cJSON *item, const char *field,
                    struct numbers *numbers);
bool decode_numbers_file(struct decoder *d, struct bytes file, const char *field,
                         struct numbers *numbers);
/* The list of whole numbers in shape, and their product as numbers->count. */
bool decode_shape(struct decoder *d, const cJSON *shape, const char *field,
                  struct numbers *numbers);
/* The floats of an npy (or of any bytes described like one) in the arena. */
bool decode_npy_numbers(struct decoder *d, const struct npy *npy, const char *field,
                        struct numbers *numbers);

/* oip.c: the body of an inference request; the read of infer_decode(). */
bool decode_infer(struct decoder *d, const struct message *message, struct bytes body);
