/* Stored layers as documents, and the list of models that they are among. */
#include "api/encode.h"
#include "api/stored.h"

#include <string.h>
#include <time.h>

static char *buffer_alloc(struct arena *arena, size_t size, struct error *err)
{
    char *buffer = arena_new(arena, char, size);

    if (!buffer)
        fail(err, ERR_TOO_LARGE, "", "there is no memory for the reply");
    return buffer;
}

void stored_channels(const struct stored *s, int *in, int *out)
{
    const struct conv_params *p = &s->told.params;
    int groups = s->seen[P_groups] ? p->groups : 1;

    *in = s->flat || !groups ? -1 : s->shape.channels * groups;
    *out = p->combine != COMBINE_NONE ? 1 : s->flat ? -1 : s->shape.count;
}

/* Facts that the list has too. */
static void entry_encode(struct json *json, const struct layer_entry *entry)
{
    time_t updated = (time_t)entry->updated;
    char text[32] = "";
    struct tm utc;

    if (gmtime_r(&updated, &utc))
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    json_text(json, "name", entry->name);
    json_int(json, "bytes", (int64_t)entry->bytes);
    json_text(json, "updated", text);
}

bool stored_encode(const struct stored *stored, const struct layer_entry *entry,
                   struct arena *arena, struct reply *reply, struct error *err)
{
    size_t size = stored->parameters.size + 1024;
    char *buffer = buffer_alloc(arena, size, err), *room, digest[STORED_DIGEST + 8] = "sha256:";
    struct json json;
    int in, out;

    if (!buffer)
        return false;
    stored_channels(stored, &in, &out);
    json_init(&json, buffer, size);
    json_open(&json, NULL, '{');
    entry_encode(&json, entry);
    json_text(&json, "digest", strcat(digest, stored->digest));
    json_ints(&json, "weight_shape", &stored->shape.count, 4);
    json_int(&json, "bias", (int64_t)stored->bias.count);
    if (in < 0)
        json_text(&json, "channels", NULL); /* whatever the input has */
    else
        json_int(&json, "channels", in);
    room = json_room(&json, "parameters", stored->parameters.size);
    if (room)
        json.at = mempcpy(room, stored->parameters.data, stored->parameters.size);
    json_close(&json, '}');
    return reply_json(&json, buffer, reply, err);
}

bool layers_encode(const struct layer_entry *entries, int count, struct arena *arena,
                   struct reply *reply, struct error *err)
{
    size_t size = (size_t)count * (STORED_NAME + 128) + 64;
    char *buffer = buffer_alloc(arena, size, err);
    struct json json;

    if (!buffer)
        return false;
    json_init(&json, buffer, size);
    json_open(&json, NULL, '{');
    json_open(&json, "layers", '[');
    for (int i = 0; i < count; i++) {
        json_open(&json, NULL, '{');
        entry_encode(&json, &entries[i]);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_close(&json, '}');
    return reply_json(&json, buffer, reply, err);
}

static void model_entry(struct json *json, const char *name)
{
    json_open(json, NULL, '{');
    json_text(json, "name", name);
    json_text(json, "version", "1");
    json_text(json, "state", "READY");
    json_text(json, "reason", "");
    json_close(json, '}');
}

bool models_encode(const struct layer_entry *entries, int count, struct arena *arena,
                   struct reply *reply, struct error *err)
{
    size_t size = ((size_t)count + 1) * (STORED_NAME + 96) + 64;
    char *buffer = buffer_alloc(arena, size, err);
    struct json json;

    if (!buffer)
        return false;
    json_init(&json, buffer, size);
    json_open(&json, NULL, '[');
    model_entry(&json, "conv2d");
    for (int i = 0; i < count; i++)
        model_entry(&json, entries[i].name);
    json_close(&json, ']');
    return reply_json(&json, buffer, reply, err);
}
