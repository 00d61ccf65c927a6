/* Runs a fuzz target over the files of the folders given, without a fuzzer: what was once found stays
 * found, with any compiler and under any sanitizer. HARM=n also cuts and changes each file at n
 * places. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A block of just this size, so that what is read behind it is seen. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    if (!copy)
        abort();
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

/* Cut off at a place, and with other bits there. */
static void harm(uint8_t *data, size_t size, size_t at)
{
    run(data, at);
    data[at] ^= 0x35;
    run(data, size);
    data[at] ^= 0x35;
}

static bool replay(const char *path, size_t places)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    long size = -1;

    if (file && !fseek(file, 0, SEEK_END) && (size = ftell(file)) >= 0) {
        rewind(file);
        data = malloc(size ? (size_t)size : 1);
    }
    if (!data || fread(data, 1, (size_t)size, file) != (size_t)size)
        size = -1;
    if (file)
        fclose(file);
    if (size >= 0) {
        printf("%s\n", path); /* the last one printed is the one that crashed */
        fflush(stdout);
        run(data, (size_t)size);
        for (size_t i = 1; size && i <= places; i++)
            harm(data, (size_t)size, (size_t)size * i / (places + 1));
    }
    free(data);
    return size >= 0;
}

int main(int argc, char **argv)
{
    const char *places = getenv("HARM");
    int passed = 0, failed = 0;

    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        char path[4096];

        for (struct dirent *entry; folder && (entry = readdir(folder));) {
            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            *(replay(path, places ? strtoul(places, NULL, 10) : 0) ? &passed : &failed) += 1;
        }
        if (folder)
            closedir(folder);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed || !passed;
}
