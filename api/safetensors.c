/* safetensors: eight bytes of length, a JSON header of names, types, shapes and offsets, numbers.
 * cJSON reads the header, which is at most a mebibyte. */
#include "api/json_scan.h"
#include "api/npy.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

enum { MOST_HEADER = 1 << 20, MOST_TENSORS = 4096 };

static const struct {
    const char *word;
    char kind;
    int size;
} types[] = { { "F32", 'f', 4 }, { "F16", 'f', 2 }, { "BF16", 'B', 2 }, { "F64", 'f', 8 },
              { "U8", 'u', 1 },  { "I8", 'i', 1 },  { "U16", 'u', 2 },  { "I16", 'i', 2 },
              { "U32", 'u', 4 }, { "I32", 'i', 4 }, { "U64", 'u', 8 },  { "I64", 'i', 8 },
              { "BOOL", 'b', 1 } };

#define BAD(...) fail(err, ERR_SYNTAX, "weights", __VA_ARGS__)

/* A JSON number that is a whole one below 2^53. */
static bool whole(const cJSON *item, size_t *number)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble < 0x1p53))
        return false;
    *number = (size_t)item->valuedouble;
    return (double)*number == item->valuedouble;
}

static bool read_type(const cJSON *dtype, struct npy *npy)
{
    for (size_t i = 0; cJSON_IsString(dtype) && i < sizeof types / sizeof *types; i++)
        if (strcmp(dtype->valuestring, types[i].word) == 0) {
            npy->kind = types[i].kind;
            npy->item_size = types[i].size;
            return true;
        }
    return false;
}

static bool read_entry(const cJSON *entry, struct bytes data, struct npy *npy, struct error *err)
{
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(entry, "shape");
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets"), *dim;
    size_t begin, end;

    if (!read_type(cJSON_GetObjectItemCaseSensitive(entry, "dtype"), npy))
        return BAD("the tensor's dtype is none of F16, BF16, F32, F64, BOOL and the 8 to 64 bit "
                   "integers");
    if (!cJSON_IsArray(shape))
        return BAD("the tensor has no shape");
    npy->count = 1;
    cJSON_ArrayForEach(dim, shape) {
        if (npy->rank == MAX_RANK || !whole(dim, &npy->dims[npy->rank]) ||
            !checked_mul(npy->count, npy->dims[npy->rank++], &npy->count))
            return BAD("the tensor's shape is not one of at most %d dimensions", MAX_RANK);
    }
    if (!cJSON_IsArray(offsets) || !offsets->child || !offsets->child->next ||
        offsets->child->next->next || !whole(offsets->child, &begin) ||
        !whole(offsets->child->next, &end) || begin > end || end > data.size)
        return BAD("the tensor's data_offsets do not lie in the file; is it whole?");
    if (npy->count == 0 || (end - begin) % (size_t)npy->item_size ||
        (end - begin) / (size_t)npy->item_size != npy->count)
        return BAD("the tensor's shape of %zu numbers does not fill its %zu bytes", npy->count,
                   end - begin);
    npy->data = data.data + begin;
    return true;
}

/* The entry to read, or NULL with err filled. */
static const cJSON *pick(const cJSON *header, const char *name, struct error *err)
{
    char names[200] = "";
    const cJSON *entry, *found = NULL;
    size_t used = 0, count = 0;

    cJSON_ArrayForEach(entry, header) {
        if (strcmp(entry->string, "__metadata__") == 0)
            continue;
        if (++count > MOST_TENSORS) {
            BAD("the safetensors file has more than %d tensors", MOST_TENSORS);
            return NULL;
        }
        if (!name || strcmp(entry->string, name) == 0)
            found = found && name ? found : entry;
        if (used + 4 < sizeof names)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "",
                                     entry->string);
    }
    if (count == 0)
        BAD("the safetensors file has no tensor");
    else if (!found)
        fail(err, ERR_PARAMETER, "weights",
             "the safetensors file has no tensor '%.64s'; it has: %s", name, names);
    else if (!name && count > 1)
        fail(err, ERR_PARAMETER, "weights",
             "the safetensors file has %zu tensors and the request "
             "names none; send one of: %s",
             count, names);
    else
        return found;
    return NULL;
}

/* cJSON does not say whether the text was wrong or memory was out; the strict scan can tell. True
 * with err: it was the memory. */
static bool lacks_memory(struct bytes header, struct arena *arena, struct error *err)
{
    char *copy = arena_zeroed(arena, header.size + BODY_SLACK, 1); /* the scan looks behind it */
    struct json_store store = { 0 };
    struct bytes rest;
    size_t nul;

    if (!copy)
        return !fail(err, ERR_TOO_LARGE, "weights", "there is no memory left for the weights");
    memcpy(copy, header.data, header.size);
    if (json_scan((struct bytes){ copy, header.size }, &store, arena, &rest, &nul, err))
        return !fail(err, ERR_BUSY, "", "there is not enough memory for the JSON; try again");
    return err->code == ERR_TOO_LARGE;
}

cJSON *safetensors_header(struct bytes text, struct arena *arena, struct error *err)
{
    cJSON *header = cJSON_ParseWithLength(text.data, text.size);

    if (cJSON_IsObject(header))
        return header;
    if (header || !lacks_memory(text, arena, err))
        BAD("the safetensors header is not a JSON object");
    cJSON_Delete(header);
    return NULL;
}

bool safetensors_read(struct bytes file, const char *name, struct arena *arena, struct npy *npy,
                      struct error *err)
{
    uint64_t length = 0;
    struct bytes data;
    const cJSON *entry;
    cJSON *header;
    bool ok;

    *npy = (struct npy){ 0 };
    if (file.size < 8)
        return BAD("this is not a safetensors file: it has %zu bytes", file.size);
    memcpy(&length, file.data, 8); /* little-endian, as every machine this is built for */
    if (length > MOST_HEADER || length > file.size - 8)
        return BAD("the safetensors header says it is %llu bytes long; it must fit the file and "
                   "%d bytes",
                   (unsigned long long)length, MOST_HEADER);
    data = (struct bytes){ file.data + 8 + length, file.size - 8 - (size_t)length };
    header = safetensors_header((struct bytes){ file.data + 8, (size_t)length }, arena, err);
    entry = header ? pick(header, name, err) : NULL;
    ok = entry && read_entry(entry, data, npy, err);
    cJSON_Delete(header);
    return ok;
}
