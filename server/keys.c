/* A key is compared with all of them, whole, whatever matches: time says nothing. */
#include "server/keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SHORTEST = 16, LONGEST = 128, MOST = 1024 };

struct keys {
    int count;
    char text[MOST][LONGEST + 1]; /* zeros behind each */
};

static bool add(struct keys *keys, const char *line, size_t size)
{
    if (size < SHORTEST || size > LONGEST || keys->count == MOST)
        return false;
    for (size_t i = 0; i < size; i++)
        if (line[i] <= ' ' || line[i] >= 0x7f)
            return false;
    memcpy(keys->text[keys->count++], line, size);
    return true;
}

static bool read_lines(FILE *file, const char *path, struct keys *keys, struct error *err)
{
    char line[512];

    for (int number = 1; fgets(line, sizeof line, file); number++) {
        const char *start = line + strspn(line, " \t");
        size_t size = strcspn(start, "\r\n");

        while (size && (start[size - 1] == ' ' || start[size - 1] == '\t'))
            size--;
        if (size && *start != '#' && !add(keys, start, size))
            return fail(err, ERR_PARAMETER, "api_key_file",
                        "%s: line %d must be a key of %d to %d printable characters without "
                        "blanks, and there may be %d keys",
                        path, number, SHORTEST, LONGEST, MOST);
    }
    return keys->count || fail(err, ERR_PARAMETER, "api_key_file", "%s has no key in it", path);
}

struct keys *keys_read(const char *path, struct error *err)
{
    FILE *file = fopen(path, "re");
    struct keys *keys = file ? calloc(1, sizeof *keys) : NULL;

    if (!keys) {
        fail(err, ERR_PARAMETER, "api_key_file", "cannot read the keys in %s: %s", path,
             strerror(errno));
    } else if (!read_lines(file, path, keys, err)) {
        keys_free(keys);
        keys = NULL;
    }
    if (file)
        fclose(file);
    return keys;
}

void keys_free(struct keys *keys)
{
    if (keys)
        explicit_bzero(keys, sizeof *keys);
    free(keys);
}

int keys_find(const struct keys *keys, const char *given)
{
    char padded[LONGEST + 1] = "";
    size_t size = strlen(given);
    int found = -1;

    if (size > LONGEST)
        return -1;
    memcpy(padded, given, size + 1);
    for (int i = 0; i < keys->count; i++) {
        unsigned difference = 0;

        for (int j = 0; j <= LONGEST; j++)
            difference |= (unsigned char)(keys->text[i][j] ^ padded[j]);
        found = difference ? found : i;
    }
    return found;
}

const char *keys_given(const char *authorization, const char *api_key)
{
    if (*api_key || strncasecmp(authorization, "Bearer ", 7))
        return api_key;
    return authorization + 7 + strspn(authorization + 7, " ");
}
