/* A stored layer as api sees it: the values that it sets, by the same table as a request's.
 * Private to api. */
#pragma once
#include "api/decode.h"

struct stored {
    struct bytes parameters; /* JSON, as the file has it: by canonical names, weights by name too */
    char digest[STORED_DIGEST + 1];
    struct convolve_request told; /* what the parameters set, where seen says so */
    unsigned char seen[PARAM_COUNT];
    double scale, divisor;
    int mean_count, std_count;
    struct numbers weights, bias; /* count 0: none. Weights are one kernel, or OIHW */
    struct bytes named;           /* else the weights' preset or generator, as JSON */
    struct shape shape;           /* of the weights; */
    bool flat;                    /*   its channels are the input's, whatever these are */
};

/* The layer that the request names (d->layer_name, or the path of an inference request) stands
 * behind the request: sets all that the request has not. */
bool decode_layer(struct decoder *d, const struct message *message);

/* Of the input and the output; -1: any. */
void stored_channels(const struct stored *stored, int *in, int *out);

/* A layer's file: a safetensors file with the parameters and a digest among its metadata. */
bool stored_write(const struct stored *stored, struct arena *arena, struct bytes *file,
                  struct error *err);
bool stored_is_file(struct bytes file); /* by its first bytes */
/* The parts, each checked as such; not what they mean together. */
bool stored_parts(struct decoder *d, struct bytes file, struct stored *stored);
