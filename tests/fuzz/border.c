/* For MODE=msan alone: where our code meets libraries that MemorySanitizer does not see into. What
 * they write is known from here on, what they are given must have been. Linked by --wrap. */
#include <cjson/cJSON.h>
#include <libdeflate.h>
#include <sanitizer/msan_interface.h>
#include <stdlib.h>
#include <string.h>

#define BORDER(type, name, ...)                                                                    \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

BORDER(enum libdeflate_result, libdeflate_zlib_decompress, struct libdeflate_decompressor *inflater,
       const void *in, size_t in_size, void *out, size_t room, size_t *written)
{
    enum libdeflate_result result;

    __msan_check_mem_is_initialized(in, in_size);
    result = __real_libdeflate_zlib_decompress(inflater, in, in_size, out, room, written);
    if (result == LIBDEFLATE_SUCCESS) {
        __msan_unpoison(written, sizeof *written);
        __msan_unpoison(out, *written);
    }
    return result;
}

BORDER(enum libdeflate_result, libdeflate_gzip_decompress_ex,
       struct libdeflate_decompressor *inflater, const void *in, size_t in_size, void *out,
       size_t room, size_t *read, size_t *written)
{
    enum libdeflate_result result;

    __msan_check_mem_is_initialized(in, in_size);
    result = __real_libdeflate_gzip_decompress_ex(inflater, in, in_size, out, room, read, written);
    if (result == LIBDEFLATE_SUCCESS) {
        __msan_unpoison(read, sizeof *read);
        __msan_unpoison(written, sizeof *written);
        __msan_unpoison(out, *written);
    }
    return result;
}

BORDER(size_t, libdeflate_zlib_compress, struct libdeflate_compressor *deflater, const void *in,
       size_t in_size, void *out, size_t room)
{
    size_t size;

    __msan_check_mem_is_initialized(in, in_size);
    size = __real_libdeflate_zlib_compress(deflater, in, in_size, out, room);
    __msan_unpoison(out, size);
    return size;
}

BORDER(cJSON_bool, cJSON_PrintPreallocated, cJSON *item, char *text, int room, cJSON_bool format)
{
    cJSON_bool done = __real_cJSON_PrintPreallocated(item, text, room, format);

    __msan_unpoison(text, done ? strlen(text) + 1 : 0);
    return done;
}

static void *zeroed(size_t size)
{
    return calloc(1, size);
}

/* cJSON's tree is its own work. */
__attribute__((constructor)) static void mark_trees(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){ zeroed, free });
}
