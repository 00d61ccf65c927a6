/* Edit distance over short names. */
#include "server/nearest.h"

#include <stddef.h>
#include <string.h>

enum { LONGEST = 63 };

/* Insertions, deletions and replacements from a to b, row by row of the usual table. */
static size_t distance(const char *a, const char *b)
{
    size_t width = strnlen(b, LONGEST), row[LONGEST + 1];

    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 1; i <= strnlen(a, LONGEST); i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[width];
}

const char *nearest(const char *given, const char *const *words)
{
    const char *near = NULL;
    size_t least = strlen(given) / 4 + 2; /* more than this and it was something else */

    for (; *words; words++) {
        size_t steps = distance(given, *words);

        if (steps < least) {
            least = steps;
            near = *words;
        }
    }
    return near;
}
