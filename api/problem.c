/* Errors as problem documents (RFC 9457). Cannot fail and allocates nothing: it is what is said
 * when memory is gone. */
#include "api/api.h"
#include "api/json_write.h"

#include <stdio.h>

/* The most letters, escapes included, that each text may have before it is cut. */
enum { DETAIL_MOST = 640, FIELD_MOST = 128, ID_MOST = 128, FIXED = 384 };
_Static_assert(2 * DETAIL_MOST + FIELD_MOST + ID_MOST + FIXED + 3 * JSON_NUMBER <=
                   sizeof((struct reply *)0)->problem,
               "the longest problem document fits");

/* No default: a code without its status does not compile (-Wswitch). */
int problem_status(enum error_code code)
{
    switch (code) {
    case ERR_SYNTAX:
    case ERR_UNKNOWN:
    case ERR_TWICE:
    case ERR_PARAMETER:
    case ERR_IMAGE:
        return 400;
    case ERR_UNAUTHORIZED:
        return 401;
    case ERR_ORIGIN:
        return 403;
    case ERR_NOT_FOUND:
        return 404;
    case ERR_METHOD:
        return 405;
    case ERR_ACCEPT:
        return 406;
    case ERR_SLOW:
        return 408;
    case ERR_CONFLICT:
        return 409;
    case ERR_LENGTH:
        return 411;
    case ERR_PRECONDITION:
        return 412;
    case ERR_TOO_LARGE:
        return 413;
    case ERR_MEDIA:
        return 415;
    case ERR_HOST:
        return 421;
    case ERR_GEOMETRY:
    case ERR_SHAPE:
    case ERR_ENGINE:
        return 422;
    case ERR_RATE:
        return 429;
    case ERR_HEADERS:
        return 431;
    case ERR_GONE:
        return 499;
    case ERR_INTERNAL:
        return 500;
    case ERR_ENCODING:
        return 501;
    case ERR_BUSY:
    case ERR_DRAINING:
        return 503;
    case ERR_DEADLINE:
        return 504;
    }
    return 500;
}

void reply_set(struct reply *reply, int status, const char *content_type, struct bytes body)
{
    reply->status = status;
    reply->content_type = content_type;
    reply->body = body;
}

void problem_encode(const struct error *err, const char *request_id, struct reply *reply)
{
    char type[48], pointer[sizeof err->field + 1];
    struct json json;

    snprintf(type, sizeof type, "/problems/%s", error_slug(err->code));
    snprintf(pointer, sizeof pointer, "/%s", err->field);
    json_init(&json, reply->problem, sizeof reply->problem);
    json_open(&json, NULL, '{');
    json_text(&json, "type", type);
    json_text(&json, "title", error_title(err->code));
    json_int(&json, "status", problem_status(err->code));
    json_text_cut(&json, "detail", err->detail, DETAIL_MOST);
    json_text_cut(&json, "error", err->detail, DETAIL_MOST); /* for inference clients */
    if (*err->field)
        json_text_cut(&json, "pointer", pointer, FIELD_MOST);
    if (err->ranged) {
        json_real(&json, "value", err->value);
        json_real(&json, "min", err->min);
        json_real(&json, "max", err->max);
    }
    if (request_id && *request_id)
        json_text_cut(&json, "request_id", request_id, ID_MOST);
    json_close(&json, '}');
    reply->output_shape = (struct shape){ 0 };
    reply->range[0] = 0;
    reply_set(reply, problem_status(err->code), "application/problem+json",
              (struct bytes){ reply->problem, (size_t)(json.at - reply->problem) });
}
