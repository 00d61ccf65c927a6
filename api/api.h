/* The door to api: a request's bytes become core's types here, and core's types a reply's bytes.
 * Pure functions over one arena: no sockets, no threads of their own, no files, no clock. */
#pragma once
#include "core/core.h"

struct bytes {
    const char *data;
    size_t size;
};

/* What the server hands over. The texts are never NULL ("" when absent). The body is the arena's
 * own copy, readable (not meaningful) for BODY_SLACK bytes before and behind it. */
enum { BODY_SLACK = 64 };
struct message {
    const char *method, *path;
    const char *query; /* still percent-encoded, without the question mark */
    const char *content_type, *accept, *content_encoding;
    const char *tensor_header_length; /* Inference-Header-Content-Length */
    struct bytes body;
    const struct layer_finder *layers; /* the stored ones; NULL: none are kept */
};

/* A stored layer: parameters and weights that stand behind a request's own. It lives in an arena
 * and is never changed, so that any thread may read it. */
struct stored;
enum { STORED_NAME = 64, STORED_DIGEST = 64 };

/* Layers by name. What is found lives until the request's reply is sent. NULL is an error. */
struct layer_finder {
    const struct stored *(*find)(void *arg, const char *name, struct error *err);
    void *arg;
};

/* What one request may cost; each refusal names the limit and the number. */
struct limits {
    size_t pixels, output; /* decoded pixels of all pictures; bytes of the returned tensor */
    uint64_t macs;
    size_t memory;           /* bytes of the request's arena */
    const atomic_bool *stop; /* set by another thread: decoding ends with ERR_DEADLINE; or NULL */
    /* The request's timeout_ms, counted from started_ms, lowers it before pictures are decoded; or
     * NULL. */
    _Atomic(double) *deadline_ms;
    double started_ms;
};

/* Milliseconds of each stage, filled by the server as it goes. encode is read by the encoder
 * itself, last thing, through clock_ms: that is how JSON can tell its own time. */
struct stages {
    double queue, decode, plan, convolve, encode;
    double started, encode_started;
    double (*clock_ms)(void);
};

/* Lives in the exchange. The body lives in the arena, in static memory, or in problem. */
struct reply {
    int status;
    const char *content_type;
    struct bytes body;
    struct shape output_shape;   /* count 0: no Convolved-Output-Shape header */
    char range[48];              /* "lo,hi" of a PNG, or "" */
    size_t workspace_bytes;      /* Convolved-Workspace-Bytes; with output_shape */
    const char *algorithm;       /* Convolved-Algorithm; the same */
    const char *allow;           /* of a 405, or NULL */
    int retry_after_s;           /* of a 429 or 503, or 0 */
    size_t tensor_header_length; /* Inference-Header-Content-Length of the reply, or 0 */
    char problem[2048];          /* so that the error path allocates nothing */
};

#define WORDS_OF_weight_layout(W)                                                                  \
    W(WEIGHTS_OIHW, "oihw")                                                                        \
    W(WEIGHTS_HWIO, "hwio") W(WEIGHTS_OHWI, "ohwi") W(WEIGHTS_IHWO, "ihwo")
#define WORDS_OF_input_layout(W)  W(INPUT_CHW, "chw") W(INPUT_HWC, "hwc")
#define WORDS_OF_output_layout(W) W(OUTPUT_NCHW, "nchw") W(OUTPUT_NHWC, "nhwc")
#define WORDS_OF_channels(W)                                                                       \
    W(CHANNELS_AUTO, "auto") W(CHANNELS_1, "1") W(CHANNELS_3, "3") W(CHANNELS_4, "4")
#define WORDS_OF_bank_depth(W)                                                                     \
    W(DEPTH_AUTO, "auto")                                                                          \
    W(DEPTH_FULL, "full") W(DEPTH_DEPTHWISE, "depthwise") W(DEPTH_LUMA, "luma")
#define WORDS_OF_format(W)                                                                         \
    W(FORMAT_JSON, "json") W(FORMAT_PNG, "png") W(FORMAT_NPY, "npy") W(FORMAT_RAW, "raw")
#define WORDS_OF_data(W)                                                                           \
    W(DATA_FLAT, "flat") W(DATA_NESTED, "nested") W(DATA_BASE64, "base64") W(DATA_NONE, "none")
#define WORDS_OF_what(W)                                                                           \
    W(WHAT_FEATURES, "features")                                                                   \
    W(WHAT_COLUMNS, "columns") W(WHAT_WEIGHTS, "weights") W(WHAT_INPUT, "input")
#define WORDS_OF_range(W)                                                                          \
    W(RANGE_CLIP, "clip")                                                                          \
    W(RANGE_MINMAX, "minmax")                                                                      \
    W(RANGE_GLOBAL, "global")                                                                      \
    W(RANGE_SYMMETRIC, "symmetric") W(RANGE_ABS, "abs") W(RANGE_GIVEN, "lo,hi")
#define WORDS_OF_colormap(W)                                                                       \
    W(COLORMAP_GRAY, "gray") W(COLORMAP_VIRIDIS, "viridis") W(COLORMAP_RDBU, "rdbu")

enum weight_layout { WORDS_OF_weight_layout(WORD_ENUM) };
enum input_layout { WORDS_OF_input_layout(WORD_ENUM) };
enum output_layout { WORDS_OF_output_layout(WORD_ENUM) };
enum channels { WORDS_OF_channels(WORD_ENUM) };
enum bank_depth { WORDS_OF_bank_depth(WORD_ENUM) };
enum format { WORDS_OF_format(WORD_ENUM) };
enum data { WORDS_OF_data(WORD_ENUM) };
enum what { WORDS_OF_what(WORD_ENUM) };
enum range { WORDS_OF_range(WORD_ENUM) };
enum colormap { WORDS_OF_colormap(WORD_ENUM) };

enum { MAX_PICTURE_CHANNELS = 4, MAX_WARNINGS = 8, MAX_EXPLAIN = 64, MAX_RANK = 8 };

/* The request's own fields, from api/fields.def. */
struct fields {
#define CONV_FIELD_REALS(name)                    float name[MAX_PICTURE_CHANNELS]
#define CONV_FIELD_TEXT(name)                     char name[32]
#define PARAM(kind, name, preset, min, max, help) CONV_FIELD_##kind(name);
#include "api/fields.def"
    float range_lo, range_hi; /* of RANGE_GIVEN */
};

/* What a picture was before it became floats; count 0 when the input was numbers. */
struct picture_info {
    int count, width, height, channels, depth;
    const char *format; /* "png", "jpeg", "bmp", "pnm", "npy", "json", "sample" */
};

struct warnings {
    int count;
    char text[MAX_WARNINGS][240];
};

/* What a request of the Open Inference Protocol wants to have back. */
enum { INFER_OUTPUTS = 2 };
struct infer {
    const char *model, *version, *id; /* id NULL: none was given */
    int count;
    struct infer_output {
        const char *name;
        enum what what;
        bool binary; /* behind the JSON, as little-endian float32 */
    } outputs[INFER_OUTPUTS];
};

struct convolve_request {
    struct conv_params params;
    struct fields fields;
    struct tensor image; /* [N, C, H, W]; data NULL for a plan by shape alone */
    struct picture_info picture;
    struct shape weight_shape; /* [K, C/groups, Fh, Fw] */
    struct conv_inputs inputs; /* the weights as used: scaled, flipped, expanded over channels */
    const char *bank;          /* the preset's id or the generator's word, or NULL */
    enum bank_kind bank_kind;  /* with bank; BANK_LAYER otherwise */
    enum range range;          /* as resolved from the fields, the bank and the layer */
    const int *maps;           /* the maps to return; NULL all */
    int map_count;
    const struct conv_point *explain;
    int explain_count;
    const struct infer *infer; /* the reply is that protocol's; NULL: our own */
    const char *layer;         /* the stored layer's name, or NULL */
    bool layer_weights;        /* the weights are that layer's as they are: they may come packed */
    struct warnings warnings;
};

/* One sentence into the request's warnings; silently full after MAX_WARNINGS. */
void warn(struct warnings *warnings, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Bytes to a request whose numbers are in range and whose tensors match the layer's shapes
 * (conv_plan_init still checks geometry). convolve: a picture or tensor and weights are there.
 * plan: neither need be; image.shape comes from `input` or the picture, the weights may be
 * missing (inputs.weights is NULL then). infer: the Open Inference Protocol's request to the model
 * that message->path names. Limits of pixels and memory are kept before decoding. */
bool convolve_decode(const struct message *message, const struct limits *limits,
                     struct arena *arena, struct convolve_request *request, struct error *err);
bool plan_decode(const struct message *message, const struct limits *limits, struct arena *arena,
                 struct convolve_request *request, struct error *err);
bool infer_decode(const struct message *message, const struct limits *limits, struct arena *arena,
                  struct convolve_request *request, struct error *err);

/* Refuses what would be over limits->output or limits->macs, with the numbers; adds the
 * warnings that only the plan can know (rows and columns that no window reaches). */
bool convolve_admit(struct convolve_request *request, const struct conv_plan *plan,
                    const struct limits *limits, struct error *err);

/* What an encoder needs besides the request. */
struct reply_context {
    struct pool *pool; /* big replies are encoded by several workers; may be NULL */
    struct arena *arena;
    struct stages *stages;
    const char *request_id;
    const atomic_bool *stop;
};

/* output: plan->out's floats. */
bool convolve_encode(const struct convolve_request *request, const struct conv_plan *plan,
                     const float *output, const struct reply_context *context, struct reply *reply,
                     struct error *err);
bool plan_encode(const struct convolve_request *request, const struct conv_plan *plan,
                 const struct reply_context *context, struct reply *reply, struct error *err);

/* GET /filters and /filters/{id}; GET /samples and /samples/{id}. tail is the path behind the
 * collection's name: "" or "/id". */
bool filters_encode(const struct message *message, const char *tail, struct arena *arena,
                    struct reply *reply, struct error *err);
bool samples_encode(const struct message *message, const char *tail, struct arena *arena,
                    struct reply *reply, struct error *err);

/* GET /v2/models/{model}[/versions/{version}][/ready]: a model of the Open Inference Protocol. */
bool model_encode(const struct message *message, struct arena *arena, struct reply *reply,
                  struct error *err);

/* ^[a-z0-9][a-z0-9._-]{0,63}$, and no model's of our own. ERR_PARAMETER or ERR_CONFLICT. */
bool stored_name_check(const char *name, struct error *err);

/* PUT /layers/{name}: parameters, weights and bias, carried as a request's, to a layer and the file
 * that holds it. Checked as far as can be without a picture. */
bool stored_decode(const struct message *message, const struct limits *limits, struct arena *arena,
                   const struct stored **stored, struct bytes *file, struct error *err);
/* The file's bytes to the layer, which lives in the arena; of limits, memory is read. ERR_SYNTAX
 * when the file is not whole. */
bool stored_read(struct bytes file, const struct limits *limits, struct arena *arena,
                 const struct stored **stored, struct error *err);
void stored_seal(char *file, size_t size); /* writes the digest into what is a layer's file else */
const char *stored_digest(const struct stored *stored); /* SHA-256 in hexadecimal digits */

/* What GET /layers says of each. */
struct layer_entry {
    char name[STORED_NAME + 1];
    size_t bytes;    /* of the file */
    int64_t updated; /* Unix time */
};
bool layers_encode(const struct layer_entry *entries, int count, struct arena *arena,
                   struct reply *reply, struct error *err);
bool stored_encode(const struct stored *stored, const struct layer_entry *entry,
                   struct arena *arena, struct reply *reply, struct error *err);
/* POST /v2/repository/index: every model, the layers among them. */
bool models_encode(const struct layer_entry *entries, int count, struct arena *arena,
                   struct reply *reply, struct error *err);

/* GET /info: what api and core know; server_json is the server's own members, `"name":value,...`. */
bool info_encode(const struct limits *limits, const char *server_json, struct arena *arena,
                 struct reply *reply, struct error *err);

void reply_set(struct reply *reply, int status, const char *content_type, struct bytes body);

/* RFC 9457, application/problem+json, with the request's id. Cannot fail, allocates nothing. */
void problem_encode(const struct error *err, const char *request_id, struct reply *reply);
int problem_status(enum error_code code);
