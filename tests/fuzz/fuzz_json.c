/* JSON from strangers: the scan must take nothing that is not JSON (cJSON, which is laxer, is asked
 * too), read nothing behind its end, and say of every list that it cuts out how large it is. */
#include "api/json_scan.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

/* cJSON reads at most 63 bytes of a number. */
static bool long_number(const char *text, size_t size)
{
    size_t run = 0;

    for (size_t i = 0; i < size; i++) {
        run = text[i] && strchr("+-.0123456789eE", text[i]) ? run + 1 : 0;
        if (run > 60)
            return true;
    }
    return false;
}

static void check_cuts(const struct json_store *store)
{
    volatile float sum = 0;

    for (const struct json_cut *cut = store->cuts; cut; cut = cut->next) {
        size_t count = 1;

        for (int i = 0; i < cut->rank; i++)
            count *= cut->dims[i];
        if (cut->rank ? count != cut->count || !count : !cut->text.data)
            abort();
        for (size_t i = 0; i < cut->count; i++)
            sum += cut->data[i];
        for (size_t i = 0; i < cut->text.size; i++)
            sum += (float)cut->text.data[i];
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create(16 << 20);
    char *text = malloc(size + BODY_SLACK);
    struct json_store store = { 0 };
    struct error err = { 0 };

    if (arena && text) {
        memcpy(text, data, size);
        memset(text + size, '7', BODY_SLACK); /* digits, which must not be believed */
        if (json_parse((struct bytes){ text, size }, &store, arena, &err)) {
            cJSON *tree = cJSON_ParseWithLength((const char *)data, size);

            if (!tree && !long_number((const char *)data, size))
                abort();
            cJSON_Delete(tree);
            check_cuts(&store);
        } else if (!*err.detail) {
            abort();
        }
        json_free(&store);
    }
    free(text);
    arena_destroy(arena);
    return 0;
}
