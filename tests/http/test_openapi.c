/* Every example of /openapi.json is sent as it stands there; the answer is what is promised. */
#include "tests/http/harness.h"

#include <stdio.h>
#include <stdlib.h>

static struct daemon *daemon; /* one that keeps layers */

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const cJSON *document(void)
{
    struct answer *answer = http_get("/openapi.json");

    assert_int_equal(answer->status, 200);
    answer_json(answer, "openapi");
    return answer->json;
}

/* The object itself, or what its $ref names. */
static const cJSON *resolve(const cJSON *object)
{
    const cJSON *ref = member(object, "$ref"), *at = document();
    char *path, *name, *rest = NULL;

    if (!ref)
        return object;
    path = keep(strdup(ref->valuestring + 2));
    for (name = strtok_r(path, "/", &rest); name; name = strtok_r(NULL, "/", &rest))
        at = member(at, name);
    assert_non_null(at);
    return at;
}

/* The picture that examples call @cat.png. */
static struct answer *cat(void)
{
    struct answer *answer = http_get("/samples/cat?size=227");

    assert_int_equal(answer->status, 200);
    return answer;
}

static char *printed(const cJSON *value)
{
    return keep(cJSON_IsString(value) ? strdup(value->valuestring) : cJSON_PrintUnformatted(value));
}

static struct answer *send_form(const char *method, const char *path, const cJSON *fields)
{
    struct part parts[16] = { { 0 } };
    const cJSON *field;
    int count = 0;

    cJSON_ArrayForEach(field, fields) {
        bool file = cJSON_IsString(field) && *field->valuestring == '@';
        struct answer *picture = file ? cat() : NULL;

        assert_true(count < 15);
        parts[count++] = (struct part){ .name = field->string,
                                        .filename = file ? field->valuestring + 1 : NULL,
                                        .data = file ? picture->body : printed(field),
                                        .size = file ? picture->size : 0 };
    }
    return http_call(daemon, &(struct call){ .path = path, .method = method, .parts = parts });
}

static struct answer *send_example(const char *method, const char *path, const char *type,
                                   const cJSON *example)
{
    const cJSON *value = member(example, "value"), *query = member(example, "x-query");
    struct answer *picture;

    if (query)
        path = text_format("%s?%s", path, query->valuestring);
    if (!strcmp(type, "multipart/form-data"))
        return send_form(method, path, value);
    if (!cJSON_IsString(value))
        return http_call(
            daemon,
            &(struct call){ .path = path, .method = method, .type = type, .body = printed(value) });
    picture = cat();
    return http_call(daemon, &(struct call){ .path = path,
                                             .method = method,
                                             .type = type,
                                             .body = picture->body,
                                             .size = picture->size });
}

/* The status is promised; a success has a media type that is promised, and all members that its
 * schema requires. */
static void check_answer(struct answer *answer, const cJSON *operation, int status,
                         const char *which)
{
    const cJSON *promised = member(operation, "responses"), *media, *item;
    const char *type = answer_header(answer, "Content-Type");
    char name[16], kind[64];

    if (answer->status != status)
        fail_msg("%s: %d instead of %d: %.300s", which, answer->status, status, answer->body);
    snprintf(name, sizeof name, "%d", status);
    snprintf(kind, sizeof kind, "%.*s", (int)strcspn(type, ";"), type);
    media = member(member(resolve(member(promised, name)), "content"), kind);
    if (!media)
        fail_msg("%s: %d as %s is not in openapi.json", which, status, kind);
    if (strcmp(kind, "application/json") && strcmp(kind, "application/problem+json"))
        return;
    cJSON_ArrayForEach(item, member(resolve(member(media, "schema")), "required")) {
        answer_json(answer, item->valuestring);
    }
}

static int send_bodies(const char *method, const char *path, const cJSON *operation)
{
    const cJSON *content = member(member(operation, "requestBody"), "content"), *media, *example;
    int count = 0;

    cJSON_ArrayForEach(media, content) {
        cJSON_ArrayForEach(example, member(media, "examples")) {
            const cJSON *status = member(example, "x-status");

            check_answer(send_example(method, path, media->string, example), operation,
                         status ? status->valueint : 200,
                         text_format("%s %s", path, example->string));
            count++;
        }
    }
    return count;
}

/* The path with the examples of these parameters, in it and in the query. */
static const char *fill(const char *path, const cJSON *parameters)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, parameters) {
        const cJSON *example = member(resolve(item), "example");
        const char *open;

        if (!example)
            continue;
        open = strstr(path, text_format("{%s}", member(item, "name")->valuestring));
        if (open)
            path = text_format("%.*s%s%s", (int)(open - path), path, printed(example),
                               strchr(open, '}') + 1);
        else
            path = text_format("%s%c%s=%s", path, strchr(path, '?') ? '&' : '?',
                               member(item, "name")->valuestring, printed(example));
    }
    return path;
}

static void send_get(const char *path, const cJSON *operation)
{
    const cJSON *query = member(operation, "x-query");

    path = fill(path, member(operation, "parameters"));
    if (query)
        path = text_format("%s?%s", path, query->valuestring);
    check_answer(http_call(daemon, &(struct call){ .path = path }), operation, 200, path);
}

TEST(every_example_of_the_openapi_document_gets_the_answer_it_promises)
{
    char folder[] = "/tmp/convolved-layers-XXXXXX";
    const cJSON *path;
    int bodies = 0, gets = 0;

    assert_non_null(mkdtemp(folder));
    daemon = daemon_start("--layers", folder);
    cJSON_ArrayForEach(path, member(document(), "paths")) {
        const char *real = fill(path->string, member(path, "parameters"));

        if (member(path, "post"))
            bodies += send_bodies("POST", real, member(path, "post"));
        if (member(path, "put"))
            bodies += send_bodies("PUT", real, member(path, "put"));
        if (member(path, "get")) {
            send_get(real, member(path, "get"));
            gets++;
        }
    }
    assert_true(bodies >= 12);
    assert_true(gets >= 12);
    assert_int_equal(daemon_stop(daemon), 0);
    assert_int_equal(system(text_format("rm -r %s", folder)), 0);
}
