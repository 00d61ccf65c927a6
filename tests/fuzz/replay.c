/* Runs a fuzz target over the files of the folders given, without a fuzzer: what was once found stays
 * found, with any compiler and under any sanitizer. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static bool replay(const char *path)
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
        LLVMFuzzerTestOneInput(data, (size_t)size);
    }
    free(data);
    return size >= 0;
}

int main(int argc, char **argv)
{
    int passed = 0, failed = 0;

    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        char path[4096];

        for (struct dirent *entry; folder && (entry = readdir(folder));) {
            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            *(replay(path) ? &passed : &failed) += 1;
        }
        if (folder)
            closedir(folder);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed || !passed;
}
