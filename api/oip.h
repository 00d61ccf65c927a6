/* What the two sides of the Open Inference Protocol share. Private to them. */
#pragma once
#include "api/decode.h"

/* One request under way. */
struct wire {
    struct decoder *d;
    struct bytes raw;    /* the tensors behind the JSON that are not read yet */
    struct infer *infer; /* the request's */
    int binary_default;  /* binary_data_output */
    bool asked[INFER_OUTPUTS];
    int binary[INFER_OUTPUTS]; /* of each known output; -1 is the default */
};

extern const char infer_where[]; /* for decode_mark() */

/* One of inputs, into the decoder. */
bool infer_input(struct wire *wire, const cJSON *object);
bool infer_out_of_memory(struct decoder *d, const char *field);

/* The model and version that /v2/models/{model}[/versions/{version}]... names, and the stored layer
 * that it is, or NULL for conv2d; ERR_NOT_FOUND. */
bool model_find(const struct message *message, struct arena *arena, struct infer *infer,
                const struct stored **layer, struct error *err);
