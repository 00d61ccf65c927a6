/* From a message to a request: the query, then the body by its type or its first bytes, then the
 * tensors, then what only the whole request can tell. */
#include "api/accept.h"
#include "api/base64.h"
#include "api/decode.h"
#include "api/gunzip.h"
#include "api/image.h"
#include "api/stored.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

void warn(struct warnings *warnings, const char *format, ...)
{
    va_list args;

    if (warnings->count == MAX_WARNINGS)
        return;
    va_start(args, format);
    vsnprintf(warnings->text[warnings->count++], sizeof warnings->text[0], format, args);
    va_end(args);
}

static bool out_of_memory(struct decoder *d, const char *field)
{
    return fail(d->err, ERR_TOO_LARGE, field,
                "the request needs more than its memory limit, %zu "
                "bytes",
                d->limits->memory);
}

/* --- fields: a query or curl's -d a=1 --------------------------------------------------------- */

static int hex(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

/* Percent-decodes text into out, which may be text itself; -1 for a broken escape or a NUL. */
static ptrdiff_t unescape(const char *text, size_t size, char *out)
{
    char *start = out;

    for (size_t i = 0; i < size; i++) {
        char c = text[i] == '+' ? ' ' : text[i];

        if (c == '%') {
            if (size - i < 3 || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0)
                return -1;
            c = (char)(hex(text[i + 1]) * 16 + hex(text[i + 2]));
            i += 2;
        }
        if (!c)
            return -1;
        *out++ = c;
    }
    return out - start;
}

/* One name=value; value keeps BODY_SLACK bytes behind it. */
static bool decode_field(struct decoder *d, const char *pair, size_t size, const char *where)
{
    const char *equals = memchr(pair, '=', size);
    size_t name_size = equals ? (size_t)(equals - pair) : size;
    size_t value_size = equals ? size - name_size - 1 : 0;
    char *name = arena_new(d->arena, char, name_size + 1);
    char *value = arena_zeroed(d->arena, value_size + BODY_SLACK, 1);
    ptrdiff_t name_end, value_end;

    if (!name || !value)
        return out_of_memory(d, "");
    name_end = unescape(pair, name_size, name);
    value_end = unescape(pair + size - value_size, value_size, value);
    if (name_end < 0 || value_end < 0)
        return fail(d->err, ERR_SYNTAX, "",
                    "%s has a %% without two hexadecimal digits, or a "
                    "NUL: \"%.*s\"",
                    where, (int)(size < 60 ? size : 60), pair);
    name[name_end] = '\0';
    return decode_text(d, name, (struct bytes){ value, (size_t)value_end }, where);
}

static bool decode_fields(struct decoder *d, struct bytes text, const char *where)
{
    const char *at = text.data, *end = text.data + text.size;

    while (at < end) {
        const char *next = memchr(at, '&', (size_t)(end - at));
        size_t size = (size_t)((next ? next : end) - at);

        if (size && !decode_field(d, at, size, where))
            return false;
        at += size + 1;
    }
    return true;
}

/* --- the body -------------------------------------------------------------------------------- */

static bool is_type(const char *content_type, const char *wanted)
{
    size_t size = strlen(wanted);

    return !strncasecmp(content_type, wanted, size) &&
           (!content_type[size] || strchr("; \t", content_type[size]));
}

/* What the type alone says about a body whose first bytes say nothing. */
static bool decode_unknown_bytes(struct decoder *d, const char *type)
{
    if (!*type || is_type(type, "application/octet-stream") || !strncasecmp(type, "image/", 6) ||
        is_type(type, "application/x-npy"))
        return fail(d->err, ERR_IMAGE, "image",
                    "the body's first bytes are of no known format; send PNG, JPEG, BMP, PPM, "
                    "PGM, npy or JSON");
    return fail(d->err, ERR_MEDIA, "",
                "\"%.60s\" is not a media type this reads; send multipart/form-data, "
                "application/json, image/png, image/jpeg, image/bmp, image/x-portable-anymap or "
                "application/x-npy",
                type);
}

bool decode_add_image(struct decoder *d, struct bytes bytes)
{
    struct file *file = arena_new(d->arena, struct file, 1);

    if (!file)
        return out_of_memory(d, "image");
    *file = (struct file){ NULL, bytes };
    *d->next_image = file;
    d->next_image = &file->next;
    return true;
}

bool decode_body(struct decoder *d, const char *type, struct bytes body)
{
    if (is_type(type, "multipart/form-data"))
        return decode_multipart(d, type, body);
    if (!body.size)
        return true;
    if (is_type(type, "application/json") || media_sniff(body) == MEDIA_JSON)
        return decode_json(d, body, "the JSON body");
    if (media_sniff(body) != MEDIA_UNKNOWN)
        return decode_mark(d, P_image, 0, "the body") && decode_add_image(d, body);
    if (is_type(type, "application/x-www-form-urlencoded"))
        return decode_fields(d, body, "the form");
    return decode_unknown_bytes(d, type);
}

/* --- what only the whole request can tell ----------------------------------------------------- */

bool decode_together(struct decoder *d)
{
    const struct conv_params *p = &d->request->params;
    bool pads = p->pads[0] || p->pads[1] || p->pads[2] || p->pads[3];

    if (d->seen[P_padding] && d->seen[P_pads])
        return fail(d->err, ERR_TWICE, "pads", "padding and pads are both given; give one of them");
    if (pads && p->auto_pad != AUTO_PAD_NOTSET)
        return fail(d->err, ERR_PARAMETER, "auto_pad",
                    "auto_pad %s computes the pads itself; leave pads out, or say notset",
                    auto_pad_words[p->auto_pad]);
    if (d->seen[P_scale] && d->seen[P_divisor])
        return fail(d->err, ERR_TWICE, "divisor", "scale and divisor are both given; give one");
    if (p->pool_type == POOL_NONE &&
        (d->seen[P_pool_kernel_size] || d->seen[P_pool_stride] || d->seen[P_pool_pads]))
        return fail(d->err, ERR_PARAMETER, "pool_type",
                    "pooling is described but has no type; say max or avg");
    return true;
}

/* Number fields that stay as they are keep the table's presets. */
static void init_request(struct convolve_request *request)
{
    *request = (struct convolve_request){ .params = conv_defaults, .bank_kind = BANK_LAYER };
    for (int i = 0; i < P_image; i++) { /* the rows before the composites */
        const struct param *row = &params[i];
        void *at = (char *)request + row->offset;

        if (row->offset < offsetof(struct convolve_request, fields))
            continue;
        if (row->kind == PARAM_INT || row->kind == PARAM_WORD)
            *(int *)at = (int)row->preset;
        else if (row->kind == PARAM_BOOL)
            *(bool *)at = row->preset != 0;
        else if (row->kind == PARAM_TEXT)
            memcpy(at, "auto", sizeof "auto");
        else
            for (int c = 0; c < (row->kind == PARAM_REALS ? MAX_PICTURE_CHANNELS : 1); c++)
                ((float *)at)[c] = (float)row->preset;
    }
}

/* Without one, plans and maps are JSON and what a browser shows is a picture. */
static bool resolve_format(struct decoder *d, const struct message *message)
{
    int format;

    if (d->request->fields.format >= 0 || d->plan)
        return true;
    if (!format_from_accept(message->accept, &format, d->err))
        return false;
    d->request->fields.format = format;
    return true;
}

static bool read_own(struct decoder *d, const struct message *message, struct bytes body)
{
    return decode_body(d, message->content_type, body) && resolve_format(d, message);
}

/* From here on the deadline is the request's own, when that is the earlier one. */
static void lower_deadline(const struct decoder *d)
{
    double own = d->limits->started_ms + d->request->fields.timeout_ms;

    if (d->limits->deadline_ms && own < atomic_load(d->limits->deadline_ms))
        atomic_store(d->limits->deadline_ms, own);
}

bool decode_begin(struct decoder *d, const struct message *message)
{
    struct bytes query = { message->query, strlen(message->query) }, body = message->body;

    d->next_image = &d->images;
    d->scale = d->divisor = 1;
    init_request(d->request);
    return gunzip_body(message->content_encoding, &body, d->limits, d->arena, d->err) &&
           decode_fields(d, query, "the query") && d->read(d, message, body);
}

void decode_end(struct decoder *d)
{
    json_free(&d->json);
}

static bool decode_parts(struct decoder *d, const struct message *message)
{
    if (!decode_begin(d, message) || !decode_layer(d, message) || !decode_together(d))
        return false;
    lower_deadline(d);
    return decode_image(d) && decode_weights(d) && conv_params_check(&d->request->params, d->err);
}

static bool decode(struct decoder *d, const struct message *message)
{
    bool ok = decode_parts(d, message);

    d->request->inputs.image = d->request->image.data;
    decode_end(d);
    return ok;
}

bool convolve_decode(const struct message *message, const struct limits *limits,
                     struct arena *arena, struct convolve_request *request, struct error *err)
{
    struct decoder d = { limits, arena, request, err, .read = read_own };

    return decode(&d, message);
}

bool plan_decode(const struct message *message, const struct limits *limits, struct arena *arena,
                 struct convolve_request *request, struct error *err)
{
    struct decoder d = { limits, arena, request, err, .plan = true, .read = read_own };

    return decode(&d, message);
}

bool infer_decode(const struct message *message, const struct limits *limits, struct arena *arena,
                  struct convolve_request *request, struct error *err)
{
    struct decoder d = { limits, arena, request, err, .read = decode_infer };

    return decode(&d, message);
}

/* --- with the plan ---------------------------------------------------------------------------- */

static bool check_points(const struct convolve_request *request, const struct conv_plan *plan,
                         struct error *err)
{
    const struct shape *maps = &plan->maps;

    for (int i = 0; i < request->explain_count; i++) {
        const struct conv_point *p = &request->explain[i];

        if (p->n >= maps->count || p->k >= maps->channels || p->y >= maps->height ||
            p->x >= maps->width)
            return fail(err, ERR_PARAMETER, "explain",
                        "explain asks for n %d, k %d, y %d, x %d, but the maps are [%d, %d, %d, "
                        "%d]; counting starts at 0",
                        p->n, p->k, p->y, p->x, maps->count, maps->channels, maps->height,
                        maps->width);
    }
    for (int i = 0; i < request->map_count; i++)
        if (request->maps[i] >= plan->out.channels) {
            fail_range(err, "maps", request->maps[i], 0, plan->out.channels - 1);
            return false;
        }
    return true;
}

/* Bytes of one tensor that is asked for; SIZE_MAX / 2 when that overflows. */
static size_t tensor_bytes(const struct convolve_request *request, const struct conv_plan *plan,
                           enum what what)
{
    struct shape out = plan->out;
    size_t count;

    switch (what) {
    case WHAT_COLUMNS:
        if (!checked_mul(plan->col_rows, plan->col_columns, &count) ||
            !checked_mul(count, (size_t)plan->in.count, &count))
            return SIZE_MAX / 2;
        break;
    case WHAT_WEIGHTS:
        if (!checked_mul(plan->w_columns, (size_t)plan->params.out_channels, &count))
            return SIZE_MAX / 2;
        break;
    case WHAT_INPUT:
        count = shape_count(plan->in);
        break;
    default:
        if (request->map_count)
            out.channels = request->map_count;
        count = shape_count(out);
    }
    return count && checked_mul(count, sizeof(float), &count) ? count : SIZE_MAX / 2;
}

static size_t returned_bytes(const struct convolve_request *request, const struct conv_plan *plan)
{
    size_t bytes = 0;

    if (!request->infer)
        return tensor_bytes(request, plan, (enum what)request->fields.what);
    for (int i = 0; i < request->infer->count; i++)
        bytes += tensor_bytes(request, plan, request->infer->outputs[i].what);
    return bytes;
}

bool convolve_admit(struct convolve_request *request, const struct conv_plan *plan,
                    const struct limits *limits, struct error *err)
{
    size_t bytes = returned_bytes(request, plan);

    if (bytes > limits->output)
        return fail(err, ERR_TOO_LARGE, "",
                    "the output would be %zu bytes and the limit is %zu; take a larger stride, a "
                    "smaller picture, fewer filters, or some of the maps",
                    bytes, limits->output);
    if (plan->macs > limits->macs)
        return fail(err, ERR_TOO_LARGE, "",
                    "the layer needs %llu multiply-adds and the limit is %llu; take a larger "
                    "stride, a smaller picture or fewer filters",
                    (unsigned long long)plan->macs, (unsigned long long)limits->macs);
    if (!check_points(request, plan, err))
        return false;
    if (plan->unused[0] || plan->unused[1])
        warn(&request->warnings,
             "no window reaches the last %d rows and %d columns of the padded input, since the "
             "stride does not tile it; strict=true refuses such layers",
             plan->unused[0], plan->unused[1]);
    return true;
}
