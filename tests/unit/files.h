/* Files of tests/cases, whole, in an arena. Tests run from the project's folder. */
#pragma once
#include "api/api.h"
#include "tests/testing.h"

#include <stdio.h>

static inline struct bytes file_read(const char *path, struct arena *arena)
{
    FILE *file = fopen(path, "rb");
    long size;
    char *data;

    if (!file)
        fail_msg("%s cannot be opened; tests run from the project's folder", path);
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    rewind(file);
    data = arena_alloc(arena, (size_t)size + 1, 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)size, file), size);
    fclose(file);
    return (struct bytes){ data, (size_t)size };
}
